;;; measurements.scm -- what was measured: an operator, its data, and the noise in them.
;;;
;;; A measurement is checked when it is made, for a posterior is as confident about wrong data as
;;; about any other.  What takes a measurement also takes an operator, data and #:noise in its place,
;;; which simulations have at hand; these are checked less.

(define-module (tempera problem measurements)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem kspace)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:export (measurement measurement? measurement-operator measurement-data measurement-noise
            as-measurement zero-filled))

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

(define (check-parts who op y noise)
  (check-data who op y)
  (check-that (positive-number? noise) who "noise: expected a positive number, got ~s" noise))

(define (warn-of-unmeasured who op y)
  ;; What OP does not measure does not count.  A whole scan that OP undersamples is fine; an image
  ;; given for Y, or the data of another mask, is not, and nothing else would show it.
  (when (> (tensor->number (tensor-sum-squares (tensor- y ((operator-restrict op) y)))) 0)
    (format (current-warning-port) "warning: ~a: y has data where ~a measures nothing; they do \
not count.  If y is an image, (measure op y) is its measurement; (measurement op y) says more~%"
            who (operator-name op))))

(define* (measurement op y #:key (noise default-noise) (warn warn-of-doubt))
  "The measurement Y = A x + n by the operator OP, with A x as `apply-forward' makes it and n of
standard deviation NOISE, in real and imaginary part each.  Of k-space what `kspace-doubts' finds
wrong is an error, and WARN is called with each text of what is doubtful; it prints it unless given.
Example: (measurement op y #:noise 0.1) => #<measurement (16 16) by MRI, 4 of 16 columns measured, noise 0.1>"
  (cond ((and (operator? op) (operator-mask op))
         (check-that (positive-number? noise) 'measurement "noise: expected a positive number, got ~s"
                     noise)
         (check-kspace 'measurement op y noise warn))
        (else
         (check-parts 'measurement op y noise)
         (warn-of-unmeasured 'measurement op y)))
  (make-measurement op y noise))

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
           (make-measurement what y noise)))))

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
