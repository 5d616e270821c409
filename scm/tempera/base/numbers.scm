;;; numbers.scm -- predicates of numbers, means, rounding for display, and the clock.

(define-module (tempera base numbers)
  #:export (positive-number? positive-integer? natural? finite-number?
            mean significant number-text seconds-now timed))

(define (finite-number? x)
  "Whether X is a finite real number.
Example: (finite-number? +nan.0) => #f"
  (and (real? x) (finite? x)))

(define (positive-number? x)
  "Whether X is a finite real number above 0.
Example: (positive-number? 0) => #f"
  (and (finite-number? x) (> x 0)))

(define (positive-integer? n)
  "Whether N is a positive exact integer.
Example: (positive-integer? 2) => #t"
  (and (exact-integer? n) (> n 0)))

(define (natural? n)
  "Whether N is an exact integer, 0 or more.
Example: (natural? 0) => #t"
  (and (exact-integer? n) (>= n 0)))

(define (seconds-now)
  "The clock, in seconds from a start of its own: for differences.
Example: (let ((start (seconds-now))) (- (seconds-now) start))"
  (/ (get-internal-real-time) (exact->inexact internal-time-units-per-second)))

(define (timed thunk)
  "What THUNK returns, and as a second value the seconds that it took.
Example: (timed (lambda () (tensor-sum (tensor* x x))))"
  (let* ((start (seconds-now))
         (result (thunk)))
    (values result (- (seconds-now) start))))

(define (mean numbers)
  "The mean of NUMBERS, a list with one or more.
Example: (mean '(1 2 6)) => 3"
  (/ (apply + numbers) (length numbers)))

(define (significant x digits)
  "X rounded to DIGITS significant digits, to be printed; what is not finite as it is.
Example: (significant 3.14159 3) => 3.14"
  (let ((x (exact->inexact x)))
    (if (or (zero? x) (not (finite? x)))
        x
        ;; Exact on the way, lest 99 thousands become 98999.99999999997.
        (let ((scale (expt 10 (- digits 1 (inexact->exact (floor (log10 (abs x))))))))
          (exact->inexact (/ (round (* (inexact->exact x) scale)) scale))))))

(define* (number-text x #:optional (digits 3))
  "X in DIGITS significant digits, whole numbers without a point: beside a colour bar, say.
Example: (number-text 12.0) => \"12\""
  (let ((x (significant x digits)))
    (number->string (if (and (finite? x) (integer? x) (< (abs x) 1e6))
                        (inexact->exact x)
                        x))))
