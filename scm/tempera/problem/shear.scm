;;; shear.scm -- weak lensing: the shear that a convergence makes (Kaiser and Squires 1993).

(define-module (tempera problem shear)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem blurs)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (shear-operator))

(define (shear-operator shape)
  "The shear gamma_1 + i gamma_2 of the convergence kappa, c64 of SHAPE, (H W), whose real part is the E mode, which
mass makes, and whose imaginary part is the B mode, which it does not: in Fourier space, with k_1 along columns and
k_2 along rows,
  gamma = (k_1^2 - k_2^2 + 2 i k_1 k_2) / |k|^2 kappa        (Kaiser and Squires 1993)
and 0 at k = 0, where shear says nothing of the mean.  A^H gamma is the map of Kaiser and Squires.  Periodic: pad
what is not.
Example: (shear-operator '(64 64))"
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) 'shear-operator
              "shape: expected (rows columns), got ~s" shape)
  (let ((frequency (lambda (i n) (let ((k (- i (quotient n 2))))
                                   ;; Of the highest of an even number both signs are the same.
                                   (/ k (exact->inexact n))))))
    (fourier-operator
     "shear"
     (tensor-tabulate shape
                      (lambda (i j)
                        (let* ((k1 (frequency j (second shape))) (k2 (frequency i (first shape)))
                               (square (+ (* k1 k1) (* k2 k2))))
                          (if (zero? square)
                              0
                              (make-rectangular (/ (- (* k1 k1) (* k2 k2)) square) (/ (* 2 k1 k2) square)))))))))
