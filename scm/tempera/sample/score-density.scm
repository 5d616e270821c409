;;; score-density.scm -- the log density of images that a score has.
;;;
;;; Two models of images have the score r: what the probability flow makes of draws at the largest sigma, and what the
;;; reverse diffusion makes of them.  With an exact score they are the same.
;;;
;;; Along the flow, dx/dsigma = -sigma r(x, sigma), the log density changes by the divergence of r alone (Song et al.
;;; 2021, equation 39; here with log sigma as the time):
;;;
;;;   log p_from (x) = log p_until (x_until) - integral of sigma^2 div r(x_sigma, sigma) dlog sigma.
;;;
;;; div r is the mean of <v, J v> over random v of independent signs (Hutchinson 1990), or the sum over all axes.
;;; Errors of r grow on the way up, and x may leave the images that r knows.
;;;
;;; Of the reverse diffusion a lower bound is known, by equation 3's loss, of an image x under noise (Song, Durkan,
;;; Murray and Ermon 2021, theorem 3), d being its number of real numbers and u normal:
;;;
;;;   E log p_from (x + from u) >= E log p_until (x + until u)
;;;                                - integral of (E |u + sigma r(x + sigma u, sigma)|^2 - d) dlog sigma.
;;;
;;; It is exact for an exact score, and asks r for nothing but what it was trained on.

(define-module (tempera sample score-density)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem priors)
  #:export (flow-log-density denoising-log-density bits-per-dimension))

(define pi (* 4 (atan 1)))

(define (dimensions x)
  ;; How many real numbers one of the batch X has.
  (* (apply * (cdr (tensor-shape x))) (if (eq? (tensor-dtype x) 'c64) 2 1)))

(define (as-batch numbers x)
  ;; Real NUMBERS, of the count of the real numbers in X, as a batch like X.
  (if (eq? (tensor-dtype x) 'c64)
      (complex-view (tensor-reshape numbers (append (tensor-shape x) '(2))))
      (tensor-reshape numbers (tensor-shape x))))

(define (random-signs x seed index)
  (as-batch (tensor-sign (random-normal (list (* (tensor-size x 0) (dimensions x)))
                                        seed (random-stream 'check index)))
            x))

(define (axis x number)
  ;; For each of X the unit vector of NUMBER.
  (let ((d (dimensions x)))
    (as-batch (tensor-tabulate (list (tensor-size x 0) d) (lambda (i j) (if (= j number) 1 0))) x)))

(define (score-and-divergence prior x sigma probes seed index)
  ;; r, and div r of each of X, a vector.
  (let* ((exact? (eq? probes 'all))
         (count (if exact? (dimensions x) probes)))
    (let loop ((k 0) (r #f) (sum #f))
      (if (= k count)
          (values r (if exact? sum (vector-map (lambda (s) (/ s count)) sum)))
          (let-values (((r slopes)
                        (score-and-slope prior x sigma
                                         (if exact? (axis x k)
                                             (random-signs x seed (+ k (* count index)))))))
            (loop (1+ k) r (if sum (vector-map + sum slopes) slopes)))))))

(define (base-log-density base x sigma)
  ;; That of BASE, or of noise alone.
  (if base (log-density base x sigma) (white-log-density x sigma)))

(define (white-log-density x sigma)
  (vector-map (lambda (squares)
                (- (/ squares (* -2 sigma sigma))
                   (* (dimensions x) 1/2 (log (* 2 pi sigma sigma)))))
              (chains-dot x x)))

(define (levels-between from until ratio)
  ;; Pairs of sigma and its weight in an integral over log sigma, by the trapezoid rule.
  (let* ((steps (inexact->exact (ceiling (/ (log (/ until from)) (- (log ratio))))))
         (width (/ (log (/ until from)) steps)))
    (map (lambda (k)
           (if (< 0 k steps)
               (cons (* from (exp (* k width))) width)
               (cons (if (zero? k) from until) (/ width 2))))
         (iota (1+ steps)))))

(define (check-density-arguments who prior x from until ratio base seed)
  (check-prior who prior)
  (check-that (and (tensor? x) (> (length (tensor-shape x)) 1) (tensor-finite? x)) who
              "x: expected a batch (N ...) of finite numbers, got ~s" x)
  (check-that (positive-number? from) who "from: expected a positive number, got ~s" from)
  (check-that (and (finite-number? until) (> until from)) who
              "until: expected a number above ~a, got ~s" from until)
  (check-that (and (positive-number? ratio) (< ratio 1)) who
              "ratio: expected a number between 0 and 1, got ~s" ratio)
  (check-that (or (not base) (has-log-density? base)) who
              "base: expected a prior with a log density, got ~s" base)
  (check-seed who seed))

(define* (flow-log-density prior x #:key (from 1) (until (white-level prior)) (ratio 0.9) (probes 1) (seed 0) (base #f))
  "log p_FROM of each of the batch X, (N ...), as a vector, for any PRIOR that has a score (see `score'): by the
probability flow from sigma = FROM to UNTIL, the largest that PRIOR knows, by Heun's rule in steps by
1 / RATIO.  The divergence is by PROBES random directions at each step, or, if PROBES is all, by every
axis, which few dimensions allow.  At UNTIL the density is that of BASE, an exact prior, or of noise
alone unless one is given: images that are larger than UNTIL want a Gaussian field of their spectrum.  X
are draws of p_FROM: add noise FROM to what has none.
Source: Song et al. 2021, section 4.3 and appendix D.2.
Example: (flow-log-density prior (prior-draw prior 2) #:from 0.5 #:ratio 0.7 #:base prior)"
  (check-density-arguments 'flow-log-density prior x from until ratio base seed)
  (check-that (or (eq? probes 'all) (positive-integer? probes)) 'flow-log-density
              "probes: expected a positive integer or all, got ~s" probes)
  (let loop ((levels (levels-between from until ratio)) (k 0) (x x)
             (sum (make-vector (tensor-size x 0) 0)))
    (let*-values
        (((sigma width) (car+cdr (first levels)))
         ((next) (and (pair? (cdr levels)) (car (second levels))))
         ((x sum)
          (with-scope
           (lambda ()
             (let*-values (((r divergence) (score-and-divergence prior x sigma probes seed k))
                           ((sum) (vector-map (lambda (s d) (+ s (* width sigma sigma d))) sum divergence)))
               (if next
                   (let* ((h (- next sigma))
                          (slope (tensor* (- sigma) r))
                          (ahead (tensor* (- next) (score prior (tensor+ x (tensor* h slope)) next))))
                     (values (tensor+ x (tensor* (/ h 2) (tensor+ slope ahead))) sum))
                   (values x sum)))))))
      (if next
          (loop (cdr levels) (1+ k) x sum)
          (vector-map - (base-log-density base x until) sum)))))

(define* (denoising-log-density prior x #:key (from 1) (until (white-level prior)) (ratio 0.9) (draws 1) (seed 0) (base #f))
  "What E log p_FROM of each of the batch X, (N ...), under noise FROM is at least, as a vector, for any PRIOR that has a
score (see `score'): by equation 3's loss at sigmas from FROM to UNTIL, the largest that PRIOR knows, in steps by
1 / RATIO, with DRAWS of noise at each.  It is exact for an exact score.  At UNTIL the density is that of BASE, an exact
prior, or of noise alone, as for `flow-log-density'.
Source: Song, Durkan, Murray and Ermon 2021, theorem 3.
Example: (denoising-log-density prior (prior-draw prior 2) #:from 0.5 #:base prior)"
  (check-density-arguments 'denoising-log-density prior x from until ratio base seed)
  (check-that (positive-integer? draws) 'denoising-log-density
              "draws: expected a positive integer, got ~s" draws)
  (let* ((d (dimensions x))
         (noise (lambda (k draw)
                  (random-normal (tensor-shape x) seed (random-stream 'check (+ draw (* draws k)))
                                 (tensor-dtype x))))
         (mean-of (lambda (k of)
                    ;; Of the vectors that OF gives for each draw of noise at level K.
                    (with-scope
                     (lambda ()
                       (vector-map (lambda (s) (/ s draws))
                                   (apply vector-map +
                                          (map (lambda (draw) (of (noise k draw))) (iota draws)))))))))
    (let loop ((levels (levels-between from until ratio)) (k 0)
               (sum (make-vector (tensor-size x 0) 0)))
      (if (null? levels)
          (vector-map - (mean-of k (lambda (u) (base-log-density base (tensor+ x (tensor* until u)) until)))
                      sum)
          (let*-values (((sigma width) (car+cdr (first levels)))
                        ((losses)
                         (mean-of k (lambda (u)
                                      (let* ((r (score prior (tensor+ x (tensor* sigma u)) sigma))
                                             (left (tensor+ u (tensor* sigma r))))
                                        (chains-dot left left))))))
            (loop (cdr levels) (1+ k)
                  (vector-map (lambda (s loss) (+ s (* width (- loss d)))) sum losses)))))))

(define (bits-per-dimension log-densities x)
  "How many bits each of the batch X, (N ...), takes by LOG-DENSITIES, a vector as of `log-density' or
`flow-log-density', for each of its real numbers: -log2 p / d, a list.  It is of a density, so by the unit of
intensity: on another scale, by a number more or less, and it may be below 0.
Example: (let ((x (prior-draw prior 2))) (bits-per-dimension (log-density prior x 1) x))"
  (check-that (and (tensor? x) (> (length (tensor-shape x)) 1)) 'bits-per-dimension
              "x: expected a batch (N ...), got ~s" x)
  (check-that (and (vector? log-densities) (= (vector-length log-densities) (tensor-size x 0)))
              'bits-per-dimension "log-densities: expected a vector of ~a numbers, got ~s"
              (tensor-size x 0) log-densities)
  (map (lambda (l) (/ l (* (dimensions x) (- (log 2))))) (vector->list log-densities)))
