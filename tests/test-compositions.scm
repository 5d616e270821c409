;;; test-compositions.scm -- operators made of operators: adjoints, normals and diagonals.

(use-modules (harness)
             (tempera problem compositions) (tempera problem masks) (tempera problem operators)
             (tempera tensor primitives)
             (srfi srfi-1))

(start-tests "compositions")

(define a (mri-operator #:mask (random-mask 24 #:seed 1)))
(define b (mri-operator #:mask (random-mask 24 #:seed 2 #:acceleration 2)))
(define whole (mri-operator #:mask (tensor+ 1 (tensor-zeros '(24)))))
(define blur-table (tensor+ 0.5 (random-uniform '(20 24) 3)))
(define blur
  (let ((apply-blur (lambda (x) (fourier-multiply x blur-table))))
    (make-operator "blur" #:forward apply-blur #:adjoint apply-blur #:domain '(20 24)
                   #:normal-diagonal (tensor* blur-table blur-table))))
;; Real and imaginary parts are both turned, so that a conjugate that is forgotten is seen.
(define turn (make-operator "turn" #:forward (lambda (x) (tensor* +i x))
                            #:adjoint (lambda (y) (tensor* -i y)) #:domain '(20 24)))

(define (distance x y)
  (sqrt (/ (tensor->number (tensor-sum-squares (tensor- x y)))
           (max 1e-30 (tensor->number (tensor-sum-squares y))))))

(test-equal "what they are called" '("(2 blur) of turn" "adjoint of (2 blur)")
  (map operator-name (list (composed-operator (scaled-operator 2 blur) turn)
                           (adjoint-operator (scaled-operator 2 blur)))))

;; In float32 each of a few transforms of 480 numbers rounds by about 1e-7.
(for-each
 (lambda (op)
   (for-each
    (lambda (shape)
      (let ((x (random-normal shape 5 0 'c64)))
        (test-assert (format #f "~a: adjoint, ~a" op shape) (< (adjoint-defect op shape) 1e-6))
        (test-assert (format #f "~a: normal, ~a" op shape)
          (< (distance (apply-normal op x) (apply-adjoint op (apply-forward op x))) 1e-6))
        (when (operator-normal-diagonal op)
          (test-assert (format #f "~a: diagonal, ~a" op shape)
            (< (distance (apply-normal op x)
                         (fourier-multiply x (let ((table (operator-normal-diagonal op)))
                                               (if (= 2 (length (tensor-shape table)) (1- (length shape)))
                                                   (tensor-copy (tensor-broadcast table shape))
                                                   table))))
               1e-6)))))
    '((20 24) (3 20 24))))
 (list (composed-operator a blur) (composed-operator a blur turn) (composed-operator whole blur)
       (sum-operator a b turn) (stacked-operator a b) (stacked-operator a (composed-operator b blur))
       (scaled-operator 3 a) (scaled-operator 1-2i a) (adjoint-operator a)
       (adjoint-operator (composed-operator a turn))
       (scaled-operator +i (stacked-operator (scaled-operator 2 a) (sum-operator a b)))))

(let ((x (random-normal '(20 24) 6 0 'c64)) (known? (lambda (op) (and (operator-normal-diagonal op) #t))))
  (test-assert "the last acts first"
    (tensor-identical? (apply-forward (composed-operator a blur) x)
                       (apply-forward a (apply-forward blur x))))
  (test-equal "diagonals that are known" '(#t #t #t #t)
    (map known? (list (composed-operator whole blur) (stacked-operator a b) (scaled-operator 2 a)
                      (composed-operator a))))
  (test-equal "and not" '(#f #f #f)
    (map known? (list (composed-operator a blur) (sum-operator a b) (adjoint-operator a))))
  (test-equal "a stack's range" '(2 #f 24) (operator-range (stacked-operator a b)))
  (test-assert "a stack's noise is where its parts measure"
    (let* ((op (stacked-operator a b))
           (noise (tensor- (measure op x #:noise 1 #:seed 1) (apply-forward op x))))
      (tensor-identical? noise ((operator-restrict op) noise)))))

(test-error-matching "no operator" "operators: expected them, got 3" (sum-operator a 3))
(test-error-matching "none" "operators: expected one or more" (stacked-operator))
(test-error-matching "domains" "differ in domain"
  (sum-operator a (mri-operator #:mask (random-mask 32))))
(test-error-matching "a chain that does not fit" "measures no"
  (composed-operator (mri-operator #:mask (random-mask 32)) a))
(test-error-matching "number" "c: expected a finite number, got x" (scaled-operator 'x a))
(test-error-matching "infinite" "c: expected a finite number" (scaled-operator +inf.0 a))

(finish-tests)
