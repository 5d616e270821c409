;;; test-operators.scm -- the MRI operator and operators of a user's own.

(use-modules (harness)
             (tempera problem masks) (tempera problem operators) (tempera tensor power-iteration) (tempera tensor primitives)
             (tempera tensor tensors)
             (srfi srfi-1))

(start-tests "operators")

;; The adjoints, on images and batches, even and odd, column and point masks.
(for-each
 (lambda (shape mask)
   (let ((op (mri-operator #:mask mask)))
     ;; Rounding: float32 sums of up to 20000 products.
     (test-assert (format #f "adjoint on ~a" shape)
       (every (lambda (seed) (< (adjoint-defect op shape #:seed seed) 1e-6)) '(0 1 2)))
     (let ((x (random-normal shape 5 0 'c64)))
       (test-assert (format #f "normal on ~a" shape)
         (< (tensor->number (tensor-max (tensor-abs (tensor- (apply-normal op x)
                                                             (apply-adjoint op (apply-forward op x))))))
            1e-5)))))
 '((64 64) (3 64 64) (33 47) (2 20 31))
 (list (random-mask 64) (random-mask 64 #:seed 3)
       (equispaced-mask 47 #:seed 1)
       (tensor< (random-uniform '(20 31) 1) 0.4)))

(test-assert "a wrong adjoint is seen"
  (> (adjoint-defect (make-operator "shifted" #:forward (lambda (x) (tensor* +i x))
                                    #:adjoint (lambda (y) (tensor* +i y)))
                     '(16 16))
     1e-3))
(let ((double (make-operator "twice" #:forward (lambda (x) (tensor* 2 x))
                             #:adjoint (lambda (y) (tensor* 2 y)))))
  (test-assert "an operator over reals"
    (< (adjoint-defect double '(10 10) #:dtype 'f32) 1e-6))
  (test-equal "the normal of forward and adjoint" '(4.0 8.0)
    (tensor->list (apply-normal double (list->tensor '(1 2) '(1 2))))))

;; Measurements.
(let* ((op (mri-operator #:mask (random-mask 64 #:seed 1)))
       (x (random-normal '(64 64) 2 0 'c64))
       (clean (apply-forward op x))
       (noise (tensor- (measure op x #:noise 0.1 #:seed 3) clean))
       (measured (* 64 (tensor->number (tensor-sum (operator-normal-diagonal op)))))
       (variance (/ (tensor->number (tensor-sum-squares noise)) (* 2 measured))))
  ;; A chi-square of 2 * measured degrees of freedom.
  (test-approximate "the noise's variance" 0.01 variance (* 4 0.01 (sqrt (/ 1 measured))))
  (test-assert "no noise where nothing is measured"
    (tensor-identical? noise (tensor* noise (operator-normal-diagonal op))))
  (test-equal "noise 0" 0.0
    (tensor->number (tensor-max (tensor-abs (tensor- clean (measure op x #:noise 0))))))
  (test-assert "the same seed, the same noise"
    (tensor-identical? (measure op x #:seed 4) (measure op x #:seed 4)))
  (test-equal "print" "#<operator MRI, 2 of 3 columns measured: (* 3) -> (* 3)>"
    (format #f "~a" (mri-operator #:mask (list->tensor '(1 0 1)))))

  ;; Bad input.
  (test-error-matching "width" "x: expected (* 64), or a batch of them"
    (apply-forward op (tensor-zeros '(64 32) 'c64)))
  (test-error-matching "rank" "got shape (1 1 64 64)"
    (apply-adjoint op (tensor-zeros '(1 1 64 64) 'c64)))
  (test-error-matching "type" "c64" (apply-forward op (tensor-zeros '(64 64))))
  (test-error-matching "no tensor" "x: expected a tensor, got 3" (apply-normal op 3))
  (test-error-matching "no operator" "operator: expected one" (apply-normal 7 x))
  (test-error-matching "negative noise" "noise: expected" (measure op x #:noise -1))
  (test-error-matching "NaN noise" "noise: expected" (measure op x #:noise +nan.0))
  (test-error-matching "seed" "seed: expected" (measure op x #:seed 'a)))

;; The power method: of each item its own greatest eigenvalue, by magnitude.
(let ((found (power-iteration
              ;; diag (3, 1), and diag (2, -7).
              (lambda (x) (tensor* x (list->tensor '(3 1 2 -7) '(2 2))))
              (random-normal '(2 2) 1) 60)))
  (test-approximate "greatest eigenvalue" 3 (first found) 1e-5)
  (test-approximate "of the other item" 7 (second found) 1e-5))
(test-equal "of a map to 0" '(0) (map inexact->exact (power-iteration (lambda (x) (tensor* 0 x)) (random-normal '(1 4) 1) 3)))
(test-error-matching "no mask" "mask: expected" (mri-operator))
(test-error-matching "weights" "mask: expected 0 and 1 only, got 0.5"
  (mri-operator #:mask (list->tensor '(1 0.5))))
(test-error-matching "shape" "shape: expected (* 64)"
  (mri-operator #:mask (random-mask 64) #:shape '(64 32)))
(test-error-matching "forward" "forward: expected a procedure" (make-operator "none"))
(test-error-matching "fft" "expected images" (fft2 (tensor-zeros '(4) 'c64)))
(test-error-matching "ifft" "k: " (ifft2 (tensor-zeros '(4 4))))
(test-error-matching "table" "table: expected one number for each k-space column"
  (fourier-multiply (tensor-zeros '(4 4) 'c64) (tensor-zeros '(3))))

(finish-tests)
