;;; operators.scm -- linear measurements y = A x + n: forward, adjoint, normal.
;;;
;;; An operator acts on images (H W) and on batches (C H W), c64 or f32.  It knows its
;;; adjoint A^H and its normal operator A^H A; where A^H A is diagonal in Fourier
;;; space it knows that diagonal too, from which the sampler makes its mass.

(define-module (tempera problem operators)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera problem masks)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera base streams)
  #:export (make-operator operator? operator-name operator-domain operator-range
            operator-normal-diagonal operator-normal-function operator-mask operator-restrict operator-inverse-name
            mri-operator
            apply-forward apply-adjoint apply-normal apply-approximate-inverse normal-inverse
            fourier-filter measure adjoint-defect check-data)
  #:re-export (fft2 ifft2 fourier-multiply))

;;; --- Images, complex and real --------------------------------------------------

(define (fourier-filter x table)
  "F^H diag (TABLE) F X for images X, c64 or f32 (... H W), with TABLE, f32 (H W), over centred k-space.  Real images stay
real, as they do if TABLE is the same at k and -k: what it is not is dropped.
Example: (tensor-dtype (fourier-filter (tensor-abs scan) (power-spectrum '(16 16)))) => f32"
  (if (eq? (tensor-dtype x) 'c64)
      (fourier-multiply x table)
      (tensor-real (fourier-multiply (tensor+ x (tensor-zeros (tensor-shape x) 'c64)) table))))

;;; --- Operators --------------------------------------------------------------

(define-record-type <operator>
  (%make-operator name domain range forward adjoint normal approximate-inverse inverse-name normal-diagonal
                  normal-function mask restrict)
  operator?
  (name operator-name)
  (domain operator-domain)
  (range operator-range)
  (forward operator-forward)
  (adjoint operator-adjoint)
  (normal operator-normal)
  (approximate-inverse operator-approximate-inverse)
  (inverse-name operator-inverse-name)  ; of the image that it makes
  (normal-diagonal operator-normal-diagonal)
  (normal-function operator-normal-function) ; f x -> f (A^H A) x, or #f
  (mask operator-mask)                  ; where k-space is measured, or #f
  (restrict operator-restrict))

(define (shape-text shape)
  (if shape
      (format #f "(~a)" (string-join (map (lambda (n) (if n (number->string n) "*")) shape)))
      "any shape"))

(set-record-type-printer! <operator>
  (lambda (op port)
    (format port "#<operator ~a: ~a -> ~a>" (operator-name op)
            (shape-text (operator-domain op)) (shape-text (operator-range op)))))

(define* (make-operator name #:key forward adjoint normal (approximate-inverse adjoint) domain
                        (range domain) normal-diagonal normal-function mask (restrict identity)
                        (inverse-name (if mask "zero-filled" "adjoint")))
  "A linear operator A called NAME.  FORWARD is the procedure x -> A x on images or
batches of them, ADJOINT y -> A^H y, NORMAL x -> A^H A x (made of the two unless
given), APPROXIMATE-INVERSE y -> an image that looks like x (ADJOINT unless given), which figures and reports call
INVERSE-NAME, zero-filled where there is a MASK and adjoint elsewhere unless given.
DOMAIN and RANGE are the shapes of one image and of its measurement, lists
with #f for any length, or #f.  NORMAL-DIAGONAL, f32 over centred k-space, says
that A^H A = F^H diag(NORMAL-DIAGONAL) F; NORMAL-FUNCTION, the procedure of f and x that gives f (A^H A) x for f
from a tensor of eigenvalues to another, says that its eigenvectors are known.  MASK, f32 over centred k-space, says that measurements are
k-space, where it is 1.  RESTRICT projects noise onto the
measurements that exist.  Test your own with `check-operator'.
Example: (make-operator \"denoising\" #:forward identity #:adjoint identity)"
  (for-each (lambda (argument procedure)
              (check-that (procedure? procedure) 'make-operator
                          "~a: expected a procedure, got ~s" argument procedure))
            '("forward" "adjoint" "approximate-inverse" "restrict")
            (list forward adjoint approximate-inverse restrict))
  (check-that (or (not normal) (procedure? normal)) 'make-operator
              "normal: expected a procedure, got ~s" normal)
  (check-that (or (not normal-diagonal)
                  (and (tensor? normal-diagonal) (tensor-finite? normal-diagonal)
                       (>= (tensor->number (tensor-min normal-diagonal)) 0)))
              'make-operator "normal-diagonal: expected a table of finite numbers, 0 or more, got ~s"
              normal-diagonal)
  (check-that (or (not normal-function) (procedure? normal-function)) 'make-operator
              "normal-function: expected a procedure, got ~s" normal-function)
  (check-that (and (string? inverse-name) (not (string-null? inverse-name))) 'make-operator
              "inverse-name: expected a string, got ~s" inverse-name)
  (check-that (or (not mask) (and (tensor? mask) (every (lambda (m) (memv m '(0.0 1.0)))
                                                        (tensor->list mask))))
              'make-operator "mask: expected a tensor of 0 and 1, got ~s" mask)
  (%make-operator name domain range forward adjoint
                  (or normal (lambda (x) (adjoint (forward x))))
                  approximate-inverse inverse-name normal-diagonal normal-function mask restrict))

(define* (mri-operator #:key mask shape)
  "Single-coil imaging, A = M F (equation 5), undersampled by MASK.  MASK is f32 (W) over columns or (H W),
of 0 and 1, or as files have it, such as (1 W), (1 1 W 1), or of 0 and 255; one over rows is
(H 1).  SHAPE, (H W), is needed for that one, and else only to have the shape of images checked.
Example: (mri-operator #:mask (random-mask 256 #:acceleration 4 #:seed 1))"
  (let* ((mask (plain-mask 'mri-operator mask shape))
         (columns? (= (length (tensor-shape mask)) 1))
         (mask-shape (if columns? (cons #f (tensor-shape mask)) (tensor-shape mask)))
         (entries (tensor->list mask)))
    (check-that (every (lambda (m) (or (= m 0) (= m 1))) entries)
                'mri-operator "mask: expected 0 and 1 only, got ~s"
                (find (lambda (m) (not (or (= m 0) (= m 1)))) entries))
    (check-that (or (not shape)
                    (and (list? shape) (= (length shape) 2)
                         (every (lambda (n m) (or (not m) (eqv? n m))) shape mask-shape)))
                'mri-operator "shape: expected ~a as the mask has, got ~s~a"
                (shape-text mask-shape) shape
                (if (and (list? shape)
                         (or (equal? mask-shape (reverse shape)) (eqv? (last mask-shape) (car shape))))
                    "; transposed it would fit" ""))
    (let ((shape (or shape mask-shape)))
      (make-operator (format #f "MRI, ~a of ~a ~a measured" (count (lambda (m) (= m 1)) entries)
                             (length entries) (if columns? "columns" "points"))
                     #:forward (lambda (x) (mri-forward x mask))
                     #:adjoint (lambda (y) (mri-adjoint y mask))
                     #:normal (lambda (x) (fourier-multiply x mask)) ; a mask of 0 and 1 is its square
                     #:domain shape
                     #:normal-diagonal mask #:mask mask
                     #:restrict (lambda (n) (tensor* n mask))))))

(define (check-operand procedure argument op shape tensor)
  ;; TENSOR is one object of SHAPE, or a batch of them.
  (check-that (operator? op) procedure "operator: expected one, got ~s" op)
  (check-that (tensor? tensor) procedure "~a: expected a tensor, got ~s" argument tensor)
  (let* ((got (tensor-shape tensor)) (extra (- (length got) (length (or shape got)))))
    (check-that (and (<= 0 extra 1)
                     (or (not shape)
                         (every (lambda (n m) (or (not m) (= n m))) (drop got extra) shape)))
                procedure "~a: expected ~a, or a batch of them, for ~a; got shape ~a"
                argument (shape-text shape) op got)))

(define (apply-forward op x)
  "A X: what the operator OP measures of the image or batch X, without noise.
Example: (tensor-shape (apply-forward op scan)) => (16 16)"
  (check-operand 'apply-forward "x" op (and (operator? op) (operator-domain op)) x)
  ((operator-forward op) x))

(define (apply-adjoint op y)
  "A^H Y; for MRI, the zero-filled image of the measurements Y.
Example: (tensor-shape (apply-adjoint op y)) => (16 16)"
  (check-operand 'apply-adjoint "y" op (and (operator? op) (operator-range op)) y)
  ((operator-adjoint op) y))

(define (apply-normal op x)
  "A^H A X.
Example: (apply-normal op scan)"
  (check-operand 'apply-normal "x" op (and (operator? op) (operator-domain op)) x)
  ((operator-normal op) x))

(define (apply-approximate-inverse op y)
  "An image from the measurements Y that looks like what was measured: A^H Y, unless OP has better.
Example: (tensor-shape (apply-approximate-inverse op y)) => (16 16)"
  (check-operand 'apply-approximate-inverse "y" op (and (operator? op) (operator-range op)) y)
  ((operator-approximate-inverse op) y))

(define (check-finite procedure argument tensor)
  ;; Or say how much of TENSOR is not, and where that begins.
  (unless (tensor-finite? tensor)
    (let* ((number? (lambda (x) (and (finite? (real-part x)) (finite? (imag-part x)))))
           (entries (tensor->list tensor))
           (first-bad (list-index (negate number?) entries)))
      (complain procedure "~a: ~a of its ~a numbers are NaN or infinite, the first at ~a; expected \
finite ones, also where nothing was measured (put 0 there)"
                argument (count (negate number?) entries) (length entries)
                (place first-bad (tensor-shape tensor))))))

(define (place index shape)
  ;; Of element number INDEX of a tensor of SHAPE, row by row.
  (cdr (fold-right (lambda (n rest)
                     (cons (quotient (car rest) n) (cons (modulo (car rest) n) (cdr rest))))
                   (list index) shape)))

(define (check-data procedure op y)
  "Complain from PROCEDURE unless Y is one measurement by the operator OP, of finite numbers.
Example: (check-data 'posterior op y)"
  (check-that (operator? op) procedure "operator: expected one, got ~s" op)
  (check-that (and (tensor? y) (or (not (operator-range op))
                                   (= (length (tensor-shape y)) (length (operator-range op)))))
              procedure "y: expected one measurement, ~a, got ~s" (shape-text (operator-range op)) y)
  (check-operand procedure "y" op (operator-range op) y)
  (check-finite procedure "y" y))

(define* (normal-inverse op table #:key (measured? #f))
  "The procedure v -> (A^H A + TABLE)^-1 v on images (H W), with TABLE a positive number or f32
(H W) over centred k-space: at once where A^H A is diagonal there, else by conjugate gradients.
MEASURED? says that every v is an A^H y, so that nothing is in it, nor in the result, where A^H A
has nothing: else rounding there is divided by TABLE, which may be small.
Example: ((normal-inverse op 0.1 #:measured? #t) (apply-adjoint op y))"
  (check-that (operator? op) 'normal-inverse "operator: expected one, got ~s" op)
  (check-that (if (tensor? table)
                  (and (tensor-finite? table) (>= (tensor->number (tensor-min table)) 0))
                  (and (real? table) (finite? table) (> table 0)))
              'normal-inverse "table: expected a positive number or a table of them, got ~s" table)
  (cond
   ((operator-normal-diagonal op)
    ;; A frequency that neither A nor the table has is left as good as 0.
    (let* ((diagonal (operator-normal-diagonal op))
           (sum (tensor+ diagonal table))
           (inverse (tensor/ (tensor< 0 (if measured? (tensor+ diagonal (tensor* 0 table)) sum))
                             (tensor-maximum 1e-30 sum))))
      (lambda (v)
        (fourier-filter v (tensor-copy (tensor-broadcast inverse (tensor-shape v)))))))
   ((and (operator-normal-function op) (real? table))
    (lambda (v)
      (tensor-reshape ((operator-normal-function op) (lambda (values) (tensor/ 1 (tensor+ values table)))
                                                     (batch-of-one v))
                      (tensor-shape v))))
   (else
    (lambda (v)
      (tensor-reshape
       (conjugate-gradient (lambda (x)
                             (tensor+ (apply-normal op x)
                                      (if (tensor? table)
                                          (fourier-filter x table)
                                          (tensor* table x))))
                           (batch-of-one v) 100 1e-6)
       (tensor-shape v))))))

(define* (measure op x #:key (noise 0.1) (seed 0))
  "A X + n: a simulated measurement of X by OP, with noise of standard deviation NOISE, a number or a map of A X's shape, on each
real and imaginary part, where there are measurements.
Example: (measure op scan #:noise 0.1 #:seed 2)"
  (check-that (if (tensor? noise)
                  (and (eq? 'f32 (tensor-dtype noise)) (tensor-finite? noise) (>= (tensor->number (tensor-min noise)) 0))
                  (and (real? noise) (finite? noise) (>= noise 0)))
              'measure "noise: expected a number of 0 or more, or a map of them, got ~s" noise)
  (check-seed 'measure seed)
  (let* ((y (apply-forward op x))
         (z (random-normal (tensor-shape y) seed (random-stream 'measurement)
                           (tensor-dtype y))))
    (check-finite 'measure "A x" y)
    (tensor+ y ((operator-restrict op) (tensor* noise z)))))

(define* (adjoint-defect op shape #:key (dtype 'c64) (seed 0))
  "|<A x, y> - <x, A^H y>| / (|A x| |y|) for random x of SHAPE and y: rounding, about
1e-7, when OP's adjoint is right.
Example: (< (adjoint-defect op '(16 16)) 1e-4) => #t"
  (let* ((x (random-normal shape seed (random-stream 'check 0) dtype))
         (ax (apply-forward op x))
         (y (random-normal (tensor-shape ax) seed (random-stream 'check 1) (tensor-dtype ax)))
         (dot (lambda (a b)
                (vector-ref (chains-dot (batch-of-one a) (batch-of-one b)) 0))))
    (/ (abs (- (dot ax y) (dot x (apply-adjoint op y))))
       (sqrt (* (dot ax ax) (dot y y))))))

(document
 (operator?
  "True when OBJECT is an operator.
Example: (operator? op) => #t")
 (operator-name
  "The name of OP, a string.
Example: (operator-name op) => \"MRI, 4 of 16 columns measured\"")
 (operator-domain
  "The shape of what OP measures; * is any length, and #f any shape.
Example: (operator-domain op)")
 (operator-range
  "The shape of OP's measurements; * is any length, and #f any shape.
Example: (operator-range op)")
 (operator-inverse-name
  "What the image is called that `apply-approximate-inverse' makes by OP, a string.
Example: (operator-inverse-name op) => \"zero-filled\"")
 (operator-normal-diagonal
  "A^H A of OP where it is diagonal in k-space: a table f32 (H W) or (W); else #f.
Example: (tensor-shape (operator-normal-diagonal op)) => (16)")
 (operator-normal-function
  "The procedure f x -> f (A^H A) x of OP, on batches, where the eigenvectors of A^H A are known but not
those of the Fourier transform; else #f.
Example: (operator-normal-function op) => #f")
 (operator-mask
  "Where OP measures k-space: f32 (H W) or (W) of 0 and 1; #f where its measurements are no k-space.
Example: (tensor-shape (operator-mask op)) => (16)")
 (operator-restrict
  "The procedure of OP that sets to 0 what it does not measure; `identity' where it measures all.
Example: (operator-restrict op)"))
