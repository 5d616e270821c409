;;; numbers.scm -- means, and numbers rounded to be read.

(define-module (tempera base numbers)
  #:export (mean significant number-text))

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

(define (number-text x)
  "X in three significant digits, whole numbers without a point: beside a colour bar, say.
Example: (number-text 12.0) => \"12\""
  (let ((x (significant x 3)))
    (number->string (if (and (finite? x) (integer? x) (< (abs x) 1e6))
                        (inexact->exact x)
                        x))))
