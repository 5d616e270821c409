;;; measurements.scm -- what was measured: an operator, its data, and the noise in them.
;;;
;;; A measurement is checked when it is made, for a posterior is as confident about wrong data as
;;; about any other.  Noise that is not the same everywhere is made so: operator and data are divided by
;;; what it varies by.  What takes a measurement also takes an operator, data and #:noise in its place,
;;; which simulations have at hand; these are checked less.

(define-module (tempera problem measurements)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem kspace)
  #:use-module (tempera data noise)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (tensor-size))
  #:export (measurement measurement? measurement-operator measurement-data measurement-noise
            as-measurement zero-filled weighted-operator))

(define-record-type <measurement>
  (make-measurement operator data noise)
  measurement?
  (operator measurement-operator)
  (data measurement-data)               ; y = A x + n
  (noise measurement-noise))            ; the standard deviation of n

(set-record-type-printer! <measurement>
  (lambda (m port)
    (format port "#<measurement ~a by ~a, noise ~a>" (tensor-shape (measurement-data m))
            (operator-name (measurement-operator m)) (measurement-noise m))))

(define default-noise 0.1)

;;; --- Noise that varies -------------------------------------------------------------

(define (check-noise who noise y)
  (cond ((not (tensor? noise))
         (check-that (positive-number? noise) who "noise: expected a positive number, a map or a covariance of coils, \
got ~s" noise))
        ((eq? 'c64 (tensor-dtype noise))
         (check-covariance who noise)
         (let ((shape (tensor-shape y)))
           (check-that (and (>= (length shape) 2) (eqv? (car shape) (tensor-size noise 0))) who
                       "noise: expected a covariance of as many coils as y has, got ~a for y of shape ~a"
                       (tensor-shape noise) shape)))
        (else
         (let* ((extra (- (length (tensor-shape y)) (length (tensor-shape noise)))))
           (check-that (and (>= extra 0)
                            (every (lambda (n m) (or (= n 1) (= n m))) (tensor-shape noise) (drop (tensor-shape y) extra))
                            (tensor-finite? noise) (> (tensor->number (tensor-min noise)) 0))
                       who "noise: expected a map of positive numbers that fits y, ~a, got ~s" (tensor-shape y) noise)))))

(define (weighted-operator op weights)
  "WEIGHTS, f32, times what OP measures.  Of an `mri-operator' the normal stays diagonal.
Example: (weighted-operator op (tensor+ 2 (tensor-zeros '(16 16))))"
  (let* ((squares (tensor-square weights)) (mask (operator-mask op)))
    (make-operator (string-append (operator-name op) ", weighted")
                   #:forward (lambda (x) (tensor* weights (apply-forward op x)))
                   #:adjoint (lambda (y) (apply-adjoint op (tensor* weights y)))
                   #:normal (lambda (x) (apply-adjoint op (tensor* squares (apply-forward op x))))
                   #:normal-diagonal (and mask (eq? mask (operator-normal-diagonal op)) (tensor* squares mask))
                   #:domain (operator-domain op) #:range (operator-range op)
                   #:mask mask #:restrict (operator-restrict op) #:inverse-name (operator-inverse-name op))))

(define (mixed op matrix)
  ;; MATRIX times the coils that OP measures, of which each is measured at the same points.
  (let ((adjoint (tensor-copy (tensor-transpose (tensor-conjugate matrix) '(1 0))))
        (square (matrix-product matrix matrix #t #f)))
    (make-operator (string-append (operator-name op) ", whitened")
                   #:forward (lambda (x) (mix-coils matrix (apply-forward op x)))
                   #:adjoint (lambda (y) (apply-adjoint op (mix-coils adjoint y)))
                   #:normal (lambda (x) (apply-adjoint op (mix-coils square (apply-forward op x))))
                   #:domain (operator-domain op) #:range (operator-range op)
                   #:mask (operator-mask op) #:restrict (operator-restrict op))))

(define (evened op y noise)
  ;; OP, Y and NOISE with the same standard deviation of noise everywhere, a number: its root mean square.
  (cond ((not (tensor? noise)) (values op y noise))
        ((eq? 'c64 (tensor-dtype noise))
         (let ((matrix (whitening-matrix noise)))
           (values (mixed op matrix) (mix-coils matrix y) (noise-deviation noise))))
        (else
         (let* ((deviation (sqrt (tensor->number (tensor-mean (tensor-square noise)))))
                (weights (tensor/ deviation noise)))
           (values (weighted-operator op weights) (tensor* weights y) deviation)))))

;;; --- Measurements ---------------------------------------------------------------------

(define (check-parts who op y noise)
  (check-data who op y)
  (check-noise who noise y))

(define (warn-of-unmeasured who op y)
  ;; What OP does not measure does not count.  A whole scan that OP undersamples is fine; an image
  ;; given for Y, or the data of another mask, is not, and nothing else would show it.
  (when (> (tensor->number (tensor-sum-squares (tensor- y ((operator-restrict op) y)))) 0)
    (format (current-warning-port) "warning: ~a: y has data where ~a measures nothing; they do \
not count.  If y is an image, (measure op y) is its measurement; (measurement op y) says more~%"
            who (operator-name op))))

(define* (measurement op y #:key (noise default-noise) (warn warn-of-doubt))
  "The measurement Y = A x + n by the operator OP, with A x as `apply-forward' makes it and n of
standard deviation NOISE, in real and imaginary part each: a number; or a map, f32, of a shape that broadcasts to
Y's; or the covariance of coils, c64 (K K), as `noise-covariance' gives it, for Y (K ...).  With the last two the
measurement has operator and data divided by what noise varies by, and as its noise the root of the mean variance.
Of k-space what `kspace-doubts' finds wrong is an error, and WARN is called with each text of what is doubtful;
it prints it unless given.
Example: (measurement op y #:noise 0.1) => #<measurement (16 16) by MRI, 4 of 16 columns measured, noise 0.1>"
  (cond ((and (operator? op) (operator-mask op))
         (check-that (tensor? y) 'measurement "k-space: expected a tensor, got ~s" y)
         (check-noise 'measurement noise y)
         (check-kspace 'measurement op y
                       (cond ((not (tensor? noise)) noise)
                             ((eq? 'c64 (tensor-dtype noise)) (noise-deviation noise))
                             (else (tensor->number (tensor-min noise))))
                       warn))
        (else
         (check-parts 'measurement op y noise)
         (warn-of-unmeasured 'measurement op y)))
  (measured op y noise))

(define (measured op y noise)
  (let-values (((op y noise) (evened op y noise)))
    (make-measurement op y noise)))

(define (as-measurement who what y noise)
  "WHAT if it is a measurement, else that of the operator WHAT, the data Y and NOISE, 0.1 if it is
#f.  Errors are of WHO.
Example: (as-measurement 'posterior op y 0.1)"
  (cond ((measurement? what)
         (check-that (not y) who "y: expected none beside ~a, which has its own, got ~s" what y)
         (check-that (not noise) who "noise: expected none beside ~a, which has its own, got ~s"
                     what noise)
         what)
        (else
         (check-that (operator? what) who
                     "operator: expected one and its data, or a measurement, got ~s" what)
         (check-that y who "y: expected the data of the operator ~a, got ~s" what y)
         (let ((noise (or noise default-noise)))
           (check-parts who what y noise)
           (warn-of-unmeasured who what y)
           (measured what y noise)))))

(define (zero-filled measurement)
  "The image that MEASUREMENT's data make as they are, A^H y: for MRI, that of k-space with 0 where nothing
was measured; away from a Cartesian grid, of data weighted by `density-compensation' (gridding).
Example: (tensor-shape (zero-filled (measurement op y))) => (16 16)"
  (check-that (measurement? measurement) 'zero-filled "measurement: expected one, got ~s" measurement)
  (apply-approximate-inverse (measurement-operator measurement) (measurement-data measurement)))

(document
 (measurement?
  "True when OBJECT is a measurement.
Example: (measurement? (measurement op y)) => #t")
 (measurement-operator
  "The operator of MEASUREMENT.
Example: (measurement-operator (measurement op y))")
 (measurement-data
  "The data of MEASUREMENT, as its operator has them.
Example: (tensor-shape (measurement-data (measurement op y))) => (16 16)")
 (measurement-noise
  "The standard deviation of the noise in the data of MEASUREMENT.
Example: (measurement-noise (measurement op y #:noise 0.2)) => 0.2"))
