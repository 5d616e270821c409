;;; mixtures.scm -- priors of several modes or scales, with exact scores, to test samplers with.

(define-module (tempera problem mixtures)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor primitives)
  #:export (gaussian-mixture-prior two-moons-prior funnel-prior))

(define pi (* 4 (atan 1)))

;;; --- Mixtures of Gaussians ------------------------------------------------------

(define* (gaussian-mixture-prior means #:key (weights #f) (sd 1) (name "Gaussian mixture"))
  "The mixture of isotropic Gaussians of standard deviation SD around MEANS, (K ...)
f32 or c64, with WEIGHTS, a list of K positive numbers (equal unless given).
Example: (gaussian-mixture-prior (list->tensor '(-1 0 1 0) '(2 2)) #:weights '(3 1))"
  (check-that (and (tensor? means) (>= (length (tensor-shape means)) 2) (tensor-finite? means))
              'gaussian-mixture-prior
              "means: expected a tensor (components ...) of finite numbers, got ~s" means)
  (let* ((components (first (tensor-shape means)))
         (shape (cdr (tensor-shape means)))
         (weights (or weights (make-list components 1))))
    (check-that (and (list? weights) (= (length weights) components)
                     (every (lambda (w) (and (real? w) (finite? w) (> w 0))) weights))
                'gaussian-mixture-prior "weights: expected a list of ~a positive numbers, got ~s"
                components weights)
    (check-that (and (real? sd) (finite? sd) (> sd 0)) 'gaussian-mixture-prior
                "sd: expected a positive number, got ~s" sd)
    (let ((log-weights (list->tensor (map log weights) (list components)))
          (bounds (let ((total (apply + weights)))
                    (cdr (reverse (fold (lambda (w sums) (cons (+ (car sums) (/ w total)) sums))
                                        '(0) weights))))))
      (make-prior name #:shape shape #:dtype (tensor-dtype means)
                  #:score (lambda (x sigma) (mixture-score x means log-weights sd sigma))
                  #:log-density
                  (lambda (x sigma) (mixture-log-density x means log-weights sd sigma))
                  #:draw
                  (lambda (count seed)
                    (let* ((uniform (tensor->list (random-uniform (list count) seed
                                                                  (random-stream 'prior 0))))
                           (choice (map (lambda (u)
                                          (or (list-index (lambda (bound) (< u bound)) bounds)
                                              (1- components)))
                                        uniform))
                           (noise (random-normal (cons count shape) seed (random-stream 'prior 1)
                                                 (tensor-dtype means))))
                      (tensor+ (tensor* sd noise)
                                  (tensor-concatenate
                                   (map (lambda (k) (tensor-slice means 0 k (1+ k))) choice)
                                   0))))))))

(define* (two-moons-prior #:key (sd 0.05) (points 100))
  "Two interleaved half circles of radius 1 in the plane, x f32 (C 2): a mixture of
POINTS isotropic Gaussians of standard deviation SD on each arc.
Example: (log-density (two-moons-prior) x 0.1)"
  (check-that (and (exact-integer? points) (> points 1)) 'two-moons-prior
              "points: expected an integer of 2 or more, got ~s" points)
  (let* ((angles (map (lambda (i) (* i (/ pi (1- points)))) (iota points)))
         (outer (append-map (lambda (t) (list (cos t) (sin t))) angles))
         (inner (append-map (lambda (t) (list (- 1 (cos t)) (- 1/2 (sin t)))) angles)))
    (gaussian-mixture-prior (list->tensor (append outer inner) (list (* 2 points) 2))
                            #:sd sd #:name "two moons")))

;;; --- A funnel -----------------------------------------------------------------

(define* (funnel-prior #:key (dimension 10) (sd 3))
  "Neal's funnel, x f32 (C DIMENSION): the first number is v ~ N(0, SD^2), SD at most 4, the
others are N(0, e^v), given it.  Its width goes over many scales, and no step size suits all of
them; at a high temperature it is a round cloud.  Density and score with noise are exact to
rounding (one integral, src/mcmc/funnel.h).
Source: Neal, Slice sampling, Annals of Statistics 31 (2003), section 8.
Example: (score (funnel-prior #:dimension 2) (list->tensor '(-4 0.1) '(1 2)) 0.1)"
  (check-that (and (exact-integer? dimension) (> dimension 1)) 'funnel-prior
              "dimension: expected an integer of 2 or more, got ~s" dimension)
  (check-that (and (real? sd) (< 0 sd) (<= sd 4)) 'funnel-prior
              "sd: expected a positive number, 4 at most, got ~s" sd)
  (define (check-state x)
    (check-that (and (tensor? x) (= dimension (last (tensor-shape x)))) 'funnel-prior
                "x: expected states of ~a numbers, got ~s" dimension x))
  (make-prior "funnel" #:shape (list dimension)
              #:score (lambda (x sigma) (check-state x) (funnel-score x sd sigma))
              #:log-density (lambda (x sigma) (check-state x) (funnel-log-density x sd sigma))
              #:draw (lambda (count seed)
                       (let* ((z (random-normal (list count dimension) seed (random-stream 'prior)))
                              (v (tensor* sd (tensor-slice z 1 0 1))))
                         (tensor-concatenate
                          (list v (tensor* (tensor-exp (tensor* 1/2 v))
                                           (tensor-slice z 1 1 dimension)))
                          1)))))
