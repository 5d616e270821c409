;;; compressed-sensing.scm -- reconstructions by sparsity: what a learned prior has to beat.
;;;
;;; Both minimise 1/2 |A x - y|^2 + weight R(x) over complex images x: R is the total variation,
;;; by ADMM, or the sum of the magnitudes of wavelet coefficients, by FISTA over shifted
;;; frames.  Which weight is best is found on images whose truth is known.

(define-module (tempera method compressed-sensing)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor power-iteration)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor tensors)
  #:export (total-variation total-variation-of wavelet-reconstruction))

(define (check-settings procedure weight iterations)
  (check-that (positive-number? weight) procedure "weight: expected a positive number, got ~s" weight)
  (check-that (and (exact-integer? iterations) (> iterations 0)) procedure
              "iterations: expected a positive integer, got ~s" iterations))

(define (iterate title count state step)
  ;; STEP, a procedure of the index and of a list of tensors, gives the next list; COUNT times.
  (let ((progress (make-progress title count)))
    (let loop ((k 0) (state state))
      (if (= k count)
          (begin (progress-finish! progress) state)
          (let ((next (with-scope (lambda () (step k state)))))
            (progress-update! progress (1+ k))
            (loop (1+ k) next))))))

;; z (1 - threshold / |z|), or 0 where |z| is below THRESHOLD, with |z| given as MAGNITUDE.
(define (shrink z magnitude threshold)
  (tensor* z (tensor/ (tensor-maximum 0 (tensor- magnitude threshold))
                      (tensor-maximum 1e-20 magnitude))))

;;; --- Total variation ------------------------------------------------------------------

(define (rotate x axis by)
  ;; x(i + BY) at place i of AXIS, around its end.
  (let* ((n (tensor-size x axis)) (by (modulo by n)))
    (if (zero? by)
        x
        (tensor-concatenate (list (tensor-slice x axis by n) (tensor-slice x axis 0 by)) axis))))

(define (differences x)
  (map (lambda (axis) (tensor- (rotate x axis 1) x)) '(0 1)))

(define (differences-adjoint d)
  (fold (lambda (z axis sum) (tensor+ sum (tensor- (rotate z axis -1) z)))
        (number->tensor 0) d '(0 1)))

(define (length-of d)
  ;; Of the gradient at each pixel, over both axes and both parts.
  (tensor-sqrt (fold (lambda (z sum) (tensor+ sum (tensor-square (tensor-abs z))))
                     (number->tensor 0) d)))

(define (total-variation-of image)
  "The total variation of IMAGE, (rows columns): the sum over pixels of the length of the
gradient by differences to the right and below, periodic; of complex images over both parts.
Example: (total-variation-of (list->tensor '(0 0 0 0 1 0 0 0 0) '(3 3))) => 3.414213562373095"
  (check-that (and (tensor? image) (= 2 (length (tensor-shape image)))) 'total-variation-of
              "image: expected a tensor (rows columns), got ~s" image)
  (tensor->number (tensor-sum (length-of (differences image)))))

(define (laplacian rows columns)
  ;; The eigenvalues of the differences' normal operator over centred k-space.
  (define (along n)
    (map (lambda (k) (- 2 (* 2 (cos (/ (* 8 (atan 1) (- k (quotient n 2))) n))))) (iota n)))
  (tensor+ (list->tensor (along rows) (list rows 1)) (list->tensor (along columns))))

(define* (total-variation measurement #:optional data
                          #:key (weight 1) (iterations 100) (penalty (/ weight 5)))
  "The image x, (rows columns), that minimises 1/2 |A x - y|^2 + WEIGHT TV(x) for MEASUREMENT, or an
operator A and its DATA, by ITERATIONS of ADMM with PENALTY, which says how fast it gets there.
Source: Rudin, Osher, Fatemi 1992; Boyd et al. 2011, section 6.4.
Example: (total-variation (measurement op y) #:weight 0.5)"
  (check-settings 'total-variation weight iterations)
  (check-that (positive-number? penalty) 'total-variation
              "penalty: expected a positive number, got ~s" penalty)
  (let* ((measurement (as-measurement 'total-variation measurement data #f))
         (op (measurement-operator measurement))
         (b (apply-adjoint op (measurement-data measurement)))
         (shape (tensor-shape b))
         (table (tensor* penalty (laplacian (first shape) (second shape))))
         (solve (normal-inverse op table))
         (of-data ((normal-inverse op table #:measured? #t) b))
         (nothing (tensor-zeros shape (tensor-dtype b))))
    (first
     (iterate "total variation" iterations (list b nothing nothing nothing nothing)
              (lambda (k state)
                (apply
                 (lambda (x z0 z1 u0 u1)
                   ;; z = D x, with the multipliers u.
                   (let* ((x (tensor+ of-data
                                      (solve (tensor* penalty
                                                      (differences-adjoint
                                                       (list (tensor- z0 u0) (tensor- z1 u1)))))))
                          (d (map tensor+ (differences x) (list u0 u1)))
                          (magnitude (length-of d))
                          (z (map (lambda (d) (shrink d magnitude (/ weight penalty))) d)))
                     (cons x (append z (map tensor- d z)))))
                 state))))))

;;; --- Wavelets -------------------------------------------------------------------------

(define coarse 8)                       ; coefficients of so many pixels a side are left alone

(define (power-of-two-above n)
  (let loop ((m 16)) (if (>= m n) m (loop (* 2 m)))))

(define (shrink-wavelets x taps weight shift)
  ;; The image nearest to X with small coefficients, in the frame moved by SHIFT, a list.
  (let* ((shape (tensor-shape x))
         (n (power-of-two-above (apply max shape)))
         (square (tensor-zeros (list n n) (tensor-dtype x)))
         (inside (lambda (t)
                   (tensor-slice (tensor-slice t 0 0 (first shape)) 1 0 (second shape)))))
    (tensor-assign! (inside square) x)
    (let* ((moved (rotate (rotate square 0 (first shift)) 1 (second shift)))
           (w (wavelet-transform moved taps))
           (shrunk (shrink w (tensor-abs w) weight)))
      (let ((corner (lambda (t) (tensor-slice (tensor-slice t 0 0 coarse) 1 0 coarse))))
        (tensor-assign! (corner shrunk) (corner w)))
      (tensor-copy (inside (rotate (rotate (wavelet-transform shrunk taps #t)
                                           0 (- (first shift)))
                                   1 (- (second shift))))))))

(define (largest-eigenvalue op shape dtype)
  ;; Of A^H A; a little more, since the estimate comes from below.  1 where A is 0.
  (let ((size (first (power-iteration (lambda (x) (apply-normal op x))
                                      (random-normal (cons 1 shape) 0 (random-stream 'check) dtype)
                                      20))))
    (if (zero? size) 1 (* 1.02 size))))

(define* (wavelet-reconstruction measurement #:optional data
                                 #:key (weight 1) (iterations 100) (taps 4) (seed 0))
  "The image x, (rows columns), that minimises 1/2 |A x - y|^2 for MEASUREMENT, or an operator A and
its DATA, + WEIGHT times the magnitudes of its coefficients in Daubechies's wavelets with TAPS coefficients, but for the coarsest 8 x
8, by ITERATIONS of FISTA; each takes its frame moved at random by SEED, so that the result
is about the mean over all frames (cycle spinning).  Images are padded with zeros to a power
of two.
Source: Beck, Teboulle 2009; Coifman, Donoho 1995; Figueiredo, Nowak 2003.
Example: (wavelet-reconstruction (measurement op y) #:weight 0.5)"
  (check-settings 'wavelet-reconstruction weight iterations)
  (check-seed 'wavelet-reconstruction seed)
  (let* ((measurement (as-measurement 'wavelet-reconstruction measurement data #f))
         (op (measurement-operator measurement))
         (b (apply-adjoint op (measurement-data measurement)))
         (start (zero-filled measurement))
         (shape (tensor-shape b))
         (step (/ (largest-eigenvalue op shape (tensor-dtype b))))
         (n (power-of-two-above (apply max shape)))
         (shift (lambda (k)
                  (map (lambda (u) (min (1- n) (inexact->exact (floor (* n u)))))
                       (tensor->list (random-uniform '(2) seed (random-stream 'check (1+ k))))))))
    (first
     (iterate "wavelets" iterations (list start start (number->tensor 1))
              (lambda (k state)
                (apply
                 (lambda (x v t)
                   (let* ((t (tensor->number t))
                          (t1 (/ (+ 1 (sqrt (+ 1 (* 4 t t)))) 2))
                          (x1 (shrink-wavelets
                               (tensor+ v (tensor* step (tensor- b (apply-normal op v))))
                               taps (* step weight) (shift k))))
                     (list x1 (tensor+ x1 (tensor* (/ (- t 1) t1) (tensor- x1 x)))
                           (number->tensor t1))))
                 state))))))
