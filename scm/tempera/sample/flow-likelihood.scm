;;; flow-likelihood.scm -- the log density that a score has, by the probability flow.
;;;
;;; Along dx/dsigma = -sigma r(x, sigma), which takes p_sigma from one sigma to the next, the log density changes by
;;; the divergence of r alone (Song et al. 2021, equation 39; here with log sigma as the time):
;;;
;;;   log p_from (x) = log p_until (x_until) - integral of sigma^2 div r(x_sigma, sigma) dlog sigma.
;;;
;;; div r is the mean of <v, J v> over random v of independent signs (Hutchinson 1990), or the sum over all axes.

(define-module (tempera sample flow-likelihood)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem priors)
  #:export (flow-log-density bits-per-dimension))

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

(define (white-log-density x sigma)
  (vector-map (lambda (squares)
                (- (/ squares (* -2 sigma sigma))
                   (* (dimensions x) 1/2 (log (* 2 pi sigma sigma)))))
              (chains-dot x x)))

(define* (flow-log-density prior x #:key (from 1) (until 150) (ratio 0.9) (probes 1) (seed 0) (end #f))
  "log p_FROM of each of the batch X, (N ...), as a vector, for any PRIOR that has a score (see `score'): by the
probability flow from sigma = FROM to UNTIL, the largest that PRIOR knows, by Heun's rule in steps by
1 / RATIO.  The divergence is by PROBES random directions at each step, or, if PROBES is all, by every
axis, which few dimensions allow.  At UNTIL the density is that of END, an exact prior, or of noise
alone unless one is given: images that are larger than UNTIL want a Gaussian field of their spectrum.  X
are draws of p_FROM: add noise FROM to what has none.
Source: Song et al. 2021, section 4.3 and appendix D.2.
Example: (flow-log-density prior x #:from 0.5 #:end (gaussian-prior (power-spectrum '(16 16))))"
  (check-prior 'flow-log-density prior)
  (check-that (and (tensor? x) (> (length (tensor-shape x)) 1) (tensor-finite? x)) 'flow-log-density
              "x: expected a batch (N ...) of finite numbers, got ~s" x)
  (check-that (positive-number? from) 'flow-log-density "from: expected a positive number, got ~s" from)
  (check-that (and (finite-number? until) (> until from)) 'flow-log-density
              "until: expected a number above ~a, got ~s" from until)
  (check-that (and (positive-number? ratio) (< ratio 1)) 'flow-log-density
              "ratio: expected a number between 0 and 1, got ~s" ratio)
  (check-that (or (eq? probes 'all) (positive-integer? probes)) 'flow-log-density
              "probes: expected a positive integer or all, got ~s" probes)
  (check-that (or (not end) (has-log-density? end)) 'flow-log-density
              "end: expected a prior with a log density, got ~s" end)
  (check-seed 'flow-log-density seed)
  (let* ((steps (inexact->exact (ceiling (/ (log (/ until from)) (- (log ratio))))))
         (width (/ (log (/ until from)) steps))
         (sigma-at (lambda (k) (if (= k steps) until (* from (exp (* k width)))))))
    (let loop ((k 0) (x x) (sum (make-vector (tensor-size x 0) 0)))
      (let*-values
          (((sigma) (sigma-at k))
           ((x sum)
            (with-scope
             (lambda ()
               (let-values (((r divergence) (score-and-divergence prior x sigma probes seed k)))
                 (let ((sum (vector-map
                             (lambda (s d)
                               (+ s (* (if (< 0 k steps) 1 1/2) width sigma sigma d)))
                             sum divergence)))
                   (if (= k steps)
                       (values x sum)
                       (let* ((next (sigma-at (1+ k))) (h (- next sigma))
                              (slope (tensor* (- sigma) r))
                              (ahead (tensor* (- next)
                                              (score prior (tensor+ x (tensor* h slope)) next))))
                         (values (tensor+ x (tensor* (/ h 2) (tensor+ slope ahead)))
                                 sum)))))))))
        (if (< k steps)
            (loop (1+ k) x sum)
            (vector-map - (if end (log-density end x until) (white-log-density x until)) sum))))))

(define (bits-per-dimension log-densities x)
  "How many bits each of the batch X, (N ...), takes by LOG-DENSITIES, a vector as of `log-density' or
`flow-log-density', for each of its real numbers: -log2 p / d, a list.  It is of a density, so by the unit of
intensity: on another scale, by a number more or less, and it may be below 0.
Example: (bits-per-dimension (log-density prior x 1) x)"
  (check-that (and (tensor? x) (> (length (tensor-shape x)) 1)) 'bits-per-dimension
              "x: expected a batch (N ...), got ~s" x)
  (check-that (and (vector? log-densities) (= (vector-length log-densities) (tensor-size x 0)))
              'bits-per-dimension "log-densities: expected a vector of ~a numbers, got ~s"
              (tensor-size x 0) log-densities)
  (map (lambda (l) (/ l (* (dimensions x) (- (log 2))))) (vector->list log-densities)))
