;;; shear.scm -- weak lensing: the shear that a convergence makes, and the map of Kaiser and Squires (1993).

(define-module (tempera problem shear)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (shear-operator kaiser-squires))

(define (check-shape who shape)
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) who
              "shape: expected (rows columns), got ~s" shape))

(define (frequency i n)
  ;; Cycles a pixel at place I of N in centred k-space.
  (/ (- i (quotient n 2)) (exact->inexact n)))

(define (transfer shape)
  (tensor-tabulate shape
                   (lambda (i j)
                     ;; Of the highest frequency of an even number both signs are the same.
                     (let* ((k1 (frequency j (second shape))) (k2 (frequency i (first shape)))
                            (square (+ (* k1 k1) (* k2 k2))))
                       (if (zero? square)
                           0
                           (make-rectangular (/ (- (* k1 k1) (* k2 k2)) square) (/ (* 2 k1 k2) square)))))))

(define (as-complex x)
  (if (eq? 'c64 (tensor-dtype x)) x (tensor+ x (tensor-zeros (tensor-shape x) 'c64))))

(define* (shear-operator shape #:key (dtype 'c64))
  "The shear gamma_1 + i gamma_2 of the convergence kappa of SHAPE, (H W): in Fourier space, with k_1 along columns and
k_2 along rows,
  gamma = (k_1^2 - k_2^2 + 2 i k_1 k_2) / |k|^2 kappa        (Kaiser and Squires 1993)
and 0 at k = 0, where shear says nothing of the mean.  kappa is c64, its real part the E mode, which mass makes, and its
imaginary part the B mode, which it does not; or with DTYPE f32 the E mode alone.  A^H gamma is the map of Kaiser and
Squires.  Periodic: pad what is not.
Example: (shear-operator '(64 64))"
  (check-shape 'shear-operator shape)
  (check-that (memq dtype '(c64 f32)) 'shear-operator "dtype: expected c64 or f32, got ~s" dtype)
  (let* ((table (transfer shape))
         (back (tensor-conjugate table))
         (power (tensor-square (tensor-abs table)))
         (part (if (eq? dtype 'c64) identity tensor-real)))
    (make-operator (if (eq? dtype 'c64) "shear" "shear of E modes")
                   #:forward (lambda (kappa) (ifft2 (tensor* table (fft2 (as-complex kappa)))))
                   #:adjoint (lambda (gamma) (part (ifft2 (tensor* back (fft2 (as-complex gamma))))))
                   #:normal (lambda (kappa) (fourier-filter kappa power))
                   #:domain shape #:normal-diagonal power)))

(define* (kaiser-squires shear #:key (smoothing 0))
  "The convergence that Kaiser and Squires's inversion makes of SHEAR, gamma_1 + i gamma_2, c64 (H W), 0 where nothing was
measured: c64, the E mode and, as imaginary part, the B mode; smoothed by a Gaussian whose standard deviation is SMOOTHING
pixels.
Example: (kaiser-squires (apply-forward (shear-operator '(16 16)) scan) #:smoothing 2)"
  (check-that (and (tensor? shear) (eq? 'c64 (tensor-dtype shear)) (= 2 (length (tensor-shape shear)))
                   (tensor-finite? shear))
              'kaiser-squires "shear: expected finite c64 (rows columns), got ~s" shear)
  (check-that (and (real? smoothing) (finite? smoothing) (>= smoothing 0)) 'kaiser-squires
              "smoothing: expected a number of pixels, 0 or more, got ~s" smoothing)
  (let* ((shape (tensor-shape shear))
         (width (* 2 (expt (* 3.141592653589793 smoothing) 2)))) ; exp (-2 pi^2 s^2 |k|^2)
    (fourier-multiply (apply-adjoint (shear-operator shape) shear)
                      (tensor-tabulate shape
                                       (lambda (i j)
                                         (let ((k1 (frequency j (second shape))) (k2 (frequency i (first shape))))
                                           (exp (- (* width (+ (* k1 k1) (* k2 k2)))))))))))
