;;; priors.scm -- what is known before measuring; exact priors to test and teach with.
;;;
;;; A prior is anything that has a score grad log p_sigma (x), where p_sigma is the
;;; prior convolved with noise of standard deviation sigma: a network, any
;;; procedure of x and sigma, or one of the exact priors below, which also know
;;; their log density and how to draw from themselves.  x is a batch, (C ...);
;;; sigma a number or f32 (C), one for every chain.

(define-module (tempera problem priors)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module ((oop goops) #:select (define-method <top>))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base streams)
  #:export (make-prior prior? prior-name prior-shape prior-dtype
            score log-density has-log-density? prior-draw learned?
            power-spectrum power-spectrum-by-size power-law? power-spectrum-of
            gaussian-prior gaussian-posterior hybrid-prior
            gaussian-mixture-prior two-moons-prior funnel-prior))

(define-record-type <prior>
  (%make-prior name shape dtype score log-density draw)
  prior?
  (name prior-name)
  (shape prior-shape)                   ; of one x
  (dtype prior-dtype)
  (score prior-score)
  (log-density prior-log-density)       ; or #f
  (draw prior-drawer))                  ; count seed -> batch, or #f

(set-record-type-printer! <prior>
  (lambda (p port)
    (format port "#<prior ~a over ~a>" (prior-name p) (prior-shape p))))

(define* (make-prior name #:key shape (dtype 'f32) score log-density draw)
  "A prior called NAME over x of SHAPE and DTYPE, f32 or c64: SCORE is the procedure x sigma -> score,
LOG-DENSITY x sigma -> a vector with a number for each chain (or #f), DRAW count
seed -> a batch of draws (or #f).
Example: (make-prior \"flat\" #:shape '(2) #:score (lambda (x sigma) (tensor* 0 x)))"
  (check-that (procedure? score) 'make-prior "score: expected a procedure, got ~s" score)
  (%make-prior name shape dtype score log-density draw))

;; Of networks, which come later, it is true.
(define-method (learned? (prior <top>)) #f)

(define (score prior x sigma)
  "The score grad log p_sigma at X, (C ...), of PRIOR: a prior, a network or any
procedure of x and sigma.  SIGMA is a number or f32 (C).
Example: (score (two-moons-prior) x 0.5)"
  (cond ((prior? prior) ((prior-score prior) x sigma))
        ((procedure? prior) (prior x sigma))
        (else (complain 'score "prior: expected a prior, a network or a procedure, got ~s" prior))))

(define (has-log-density? prior)
  "True when `log-density' knows PRIOR.
Example: (has-log-density? (two-moons-prior)) => #t"
  (and (prior? prior) (prior-log-density prior) #t))

(define (log-density prior x sigma)
  "log p_sigma of each chain of X, (C ...), as a vector; for priors that have one.
Example: (log-density (two-moons-prior) x 0.1)"
  (check-that (has-log-density? prior) 'log-density
              "prior: expected one with a log density, got ~s" prior)
  ((prior-log-density prior) x sigma))

(define* (prior-draw prior count #:key (seed 0))
  "COUNT independent draws from an exact PRIOR: a batch (COUNT ...).
Example: (tensor-shape (prior-draw prior 3 #:seed 1)) => (3 16 16)"
  (check-that (and (prior? prior) (prior-drawer prior)) 'prior-draw
              "prior: expected one that can be drawn from, got ~s" prior)
  (check-that (and (exact-integer? count) (> count 0)) 'prior-draw
              "count: expected a positive integer, got ~s" count)
  (check-seed 'prior-draw seed)
  ((prior-drawer prior) count seed))

(define pi (* 4 (atan 1)))

;;; --- A Gaussian random field --------------------------------------------------

(define* (power-spectrum shape #:key (amplitude 1) (exponent 3) (corner 2))
  "A power law over centred k-space, f32 (H W) for SHAPE (H W):
P(k) = AMPLITUDE (1 + |k|^2 / CORNER^2)^(-EXPONENT/2), k in cycles per image.
Example: (power-spectrum '(64 64) #:amplitude 100 #:exponent 3)"
  (check-that (and (list? shape) (= (length shape) 2)
                   (every (lambda (n) (and (exact-integer? n) (> n 0))) shape))
              'power-spectrum "shape: expected (rows columns), got ~s" shape)
  (for-each (lambda (name value)
              (check-that (and (real? value) (finite? value) (> value 0)) 'power-spectrum
                          "~a: expected a positive number, got ~s" name value))
            '("amplitude" "exponent" "corner") (list amplitude exponent corner))
  (let* ((h (first shape)) (w (second shape))
         (square (lambda (i n) (expt (- i (quotient n 2)) 2))))
    (list->tensor
     (append-map
      (lambda (r)
        (map (lambda (c)
               (* amplitude
                  (expt (+ 1. (/ (+ (square r h) (square c w)) (* 1. corner corner)))
                        (/ exponent -2.))))
             (iota w)))
      (iota h))
     shape)))

(define (power-law? object)
  "Whether OBJECT is a list of three positive numbers (A p c), as `power-spectrum-by-size' takes it.
Example: (power-law? '(300 5/2 0.6)) => #t"
  (and (list? object) (= (length object) 3)
       (every (lambda (n) (and (real? n) (finite? n) (> n 0))) object)))

(define (power-spectrum-by-size law)
  "The procedure of a size (H W) that gives the spectrum of images of one kind, whatever their size:
`power-spectrum' of exponent p, corner c and amplitude A H W, when LAW is (A p c), made once for
each size.  (Of the same head in twice as many pixels each coefficient of F x is twice as large.)
Example: ((power-spectrum-by-size '(300 2.5 0.6)) '(64 64))"
  (check-that (power-law? law) 'power-spectrum-by-size
              "law: expected three positive numbers, got ~s" law)
  (let ((made (make-hash-table)))
    (lambda (size)
      (or (hash-ref made size)
          (let ((p (keep-always! (power-spectrum size #:amplitude (* (first law) (apply * size))
                                                 #:exponent (second law) #:corner (third law)))))
            (hash-set! made size p)
            p)))))

(define* (power-spectrum-of images #:key (floor 1e-6))
  "The power over centred k-space of a batch of IMAGES, c64 (N H W): P(k) is the mean of
|F x|^2 / 2, the variance of the real and of the imaginary part if these are alike and have no
mean.  No P(k) is below FLOOR times the greatest.  f32 (H W), as `gaussian-prior' takes it; of
few images, a rough estimate.
Example: (gaussian-prior (power-spectrum-of (random-slices (load-dataset) 8 16)))"
  (check-that (and (tensor? images) (eq? (tensor-dtype images) 'c64)
                   (= 3 (length (tensor-shape images))) (tensor-finite? images))
              'power-spectrum-of "images: expected finite c64 (images rows columns), got ~s" images)
  (check-that (and (real? floor) (< 0 floor 1)) 'power-spectrum-of
              "floor: expected a number between 0 and 1, got ~s" floor)
  (let* ((power (tensor/ (tensor-sum-squares (fft2 images) 0) (* 2 (first (tensor-shape images)))))
         (greatest (tensor->number (tensor-max power))))
    (check-that (> greatest 0) 'power-spectrum-of "images: they are 0 everywhere")
    (tensor-maximum power (* floor greatest))))

(define (noise-variance sigma)
  ;; sigma^2, in a shape that broadcasts over (C H W) when there is one for
  ;; every chain.
  (if (tensor? sigma)
      (tensor-reshape (tensor* sigma sigma) '(-1 1 1))
      (* sigma sigma)))

(define (gaussian-prior spectrum)
  "Complex Gaussian images whose k-space coefficients are independent, with the
variance SPECTRUM, f32 (H W), in real and imaginary part each.
Convolved with noise the variance is P(k) + sigma^2.
Example: (gaussian-prior (power-spectrum '(64 64) #:amplitude 100))"
  (check-that (and (tensor? spectrum) (eq? (tensor-dtype spectrum) 'f32)
                   (= (length (tensor-shape spectrum)) 2)
                   (tensor-finite? spectrum) (every positive? (tensor->list spectrum)))
              'gaussian-prior "spectrum: expected positive numbers, f32 (rows columns), got ~s"
              spectrum)
  (let* ((shape (tensor-shape spectrum))
         (variance (lambda (sigma) (tensor+ spectrum (noise-variance sigma))))
         (score (lambda (x sigma)
                  ;; -F^H 1/(P + sigma^2) F x
                  (fourier-multiply x (tensor/ -1 (variance sigma))))))
    (make-prior "Gaussian field" #:shape shape #:dtype 'c64 #:score score
                #:log-density
                (lambda (x sigma)
                  ;; x^H grad log p / 2 - sum_k log (2 pi (P + sigma^2))
                  (let* ((logs (tensor-log (tensor* (* 2 pi) (variance sigma))))
                         (normalisers (if (tensor? sigma)
                                          (tensor->list (tensor-sum logs '(1 2)))
                                          (make-list (first (tensor-shape x))
                                                     (tensor->number (tensor-sum logs))))))
                    (list->vector
                     (map (lambda (inner normaliser) (- (/ inner 2) normaliser))
                          (vector->list (chains-dot x (score x sigma)))
                          normalisers))))
                #:draw
                (lambda (count seed)
                  ;; A momentum of mass P is a draw from N (0, F^H P F).
                  (momentum-draw (tensor-zeros (cons count shape) 'c64) spectrum
                                 seed (random-stream 'prior))))))

(define* (gaussian-posterior spectrum op y #:key (noise 0.1) (sigma 0) (widening 0))
  "The posterior that `gaussian-prior' of SPECTRUM and the measurement Y, (H W), of OP
have exactly, at the temperature SIGMA: two values, the mean, c64 (H W), and the
variance of real and imaginary part in k-space, f32 (H W):
1 / (D / (NOISE^2 + WIDENING SIGMA^2) + 1 / (P + SIGMA^2)) with D the diagonal of A^H A, and
WIDENING as in `posterior'.
Example: (gaussian-posterior (power-spectrum '(16 16) #:amplitude 100) op y)"
  (let ((diagonal (operator-normal-diagonal op)))
    (check-that diagonal 'gaussian-posterior
                "operator: expected one whose normal is diagonal in Fourier space, got ~s" op)
    (check-measurement 'gaussian-posterior op y)
    (for-each (lambda (name value least)
                (check-that (and (real? value) (finite? value) (least value)) 'gaussian-posterior
                            "~a: expected a finite number above 0 (noise) or not below (others), got ~s"
                            name value))
              '("noise" "sigma" "widening") (list noise sigma widening)
              (list positive? (negate negative?) (negate negative?)))
    (let* ((precision (/ (+ (* noise noise) (* widening sigma sigma))))
           (variance (tensor/
                      1 (tensor+ (tensor* precision diagonal)
                                 (tensor/ 1 (tensor+ spectrum (* sigma sigma)))))))
      ;; Where nothing was measured, A^H y is rounding.
      (values (fourier-multiply (apply-adjoint op y)
                                (tensor* (tensor< 0 diagonal) (tensor* precision variance)))
              variance))))

;;; --- A Gaussian field and what a network knows better -----------------------

(define (hybrid-prior spectrum residual)
  "The prior whose score is that of the Gaussian field of SPECTRUM, f32 (H W), plus RESIDUAL, a
network or procedure of x and sigma: the Gaussian knows the power on all scales, however large,
and the network learns only what is not Gaussian, as `make-trainer' with #:gaussian trains it.
The network sees x and sigma alone; papers that give it the Gaussian score as a further input
spare it a linear filter of x, at the price of a body of its own.
Source: Remy et al., arXiv:2011.08271, section 3.
Example: (hybrid-prior (power-spectrum '(16 16) #:amplitude 100) net)"
  (check-that (procedure? residual) 'hybrid-prior
              "residual: expected a network or a procedure, got ~s" residual)
  (let ((gaussian (gaussian-prior spectrum)))
    (make-prior "Gaussian field and residual" #:shape (prior-shape gaussian) #:dtype 'c64
                #:score (lambda (x sigma)
                          (tensor+ (score gaussian x sigma) (residual x sigma))))))

;;; --- Mixtures -----------------------------------------------------------------

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

(document
 (learned?
  "Whether PRIOR was learned from examples, so that its score has errors: a network's is.  A method
for a class of your own says so of your priors.
Example: (learned? prior) => #f")
 (prior?
  "True when OBJECT is an exact prior.
Example: (prior? prior) => #t")
 (prior-dtype
  "The type of one x of PRIOR, f32 or c64.
Example: (prior-dtype prior) => c64")
 (prior-name
  "The name of PRIOR, a string.
Example: (prior-name (two-moons-prior))")
 (prior-shape
  "The shape of one x of PRIOR.
Example: (prior-shape prior) => (16 16)"))
