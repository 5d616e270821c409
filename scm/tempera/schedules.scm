;;; schedules.scm -- temperatures and step sizes as values.
;;;
;;; A schedule is either a sequence (it has a length: the temperatures of an
;;; annealing) or a rule (a function of sigma: a step size).  Where a schedule is
;;; asked for, a list or vector of numbers serves as a sequence, and a number or
;;; a procedure of sigma as a rule.

(define-module (tempera schedules)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera errors)
  #:export (schedule? schedule-length schedule-ref schedule->list schedule-at
            geometric power-law constant
            sequence->vector rule->procedure positive-number?))

(define-record-type <schedule>
  (make-schedule text length procedure)
  schedule?
  (text schedule-text)
  (length %schedule-length)             ; #f: a rule
  (procedure schedule-procedure))       ; of an index below length, or of sigma

(set-record-type-printer! <schedule>
  (lambda (s port)
    (let ((n (%schedule-length s)))
      (if n
          (format port "#<schedule ~a: ~a ... ~a, ~a values>" (schedule-text s)
                  (short (schedule-ref s 0)) (short (schedule-ref s (1- n))) n)
          (format port "#<schedule ~a>" (schedule-text s))))))

(define (short number)
  ;; Four digits are enough to recognise a temperature by.
  (let* ((x (exact->inexact number))
         (scale (if (zero? x) 1 (expt 10. (- 3 (floor (log10 (abs x))))))))
    (/ (round (* x scale)) scale)))

(define (positive-number? x)
  "True when X is a finite real number above 0."
  (and (real? x) (finite? x) (> x 0)))

(define-syntax-rule (check-positive procedure (name value) ...)
  (begin
    (check-that (positive-number? value) procedure
                "~a: expected a positive number, got ~s" name value)
    ...))

(define (schedule-length schedule)
  "The number of values of a sequence SCHEDULE; #f for a rule.
Example: (schedule-length (geometric 100 #:ratio 0.5 #:until 1)) is 8."
  (check-that (schedule? schedule) 'schedule-length "expected a schedule, got ~s" schedule)
  (%schedule-length schedule))

(define (schedule-ref schedule index)
  "Value number INDEX, from 0, of a sequence SCHEDULE.
Example: (schedule-ref (geometric 100 #:ratio 0.5 #:until 1) 1) is 50."
  (let ((length (schedule-length schedule)))
    (check-that length 'schedule-ref "~a has no values by number: it is a rule" schedule)
    (check-that (and (exact-integer? index) (< -1 index length)) 'schedule-ref
                "index: expected an integer from 0 to ~a, got ~s" (1- length) index)
    ((schedule-procedure schedule) index)))

(define (schedule->list schedule)
  "The values of a sequence SCHEDULE, in order."
  (map (lambda (i) (schedule-ref schedule i)) (iota (or (schedule-length schedule) 0))))

(define (schedule-at schedule sigma)
  "The value of a rule SCHEDULE at the temperature SIGMA.
Example: (schedule-at (power-law 10 #:exponent 1.5) 25) is 1.25."
  (check-that (and (schedule? schedule) (not (%schedule-length schedule))) 'schedule-at
              "expected a rule, got ~s" schedule)
  (check-positive 'schedule-at ("sigma" sigma))
  ((schedule-procedure schedule) sigma))

(define* (geometric from #:key ratio until)
  "The temperatures FROM, RATIO FROM, RATIO^2 FROM, ..., down to UNTIL, which is
the last.  The paper lowers sigma by 0.995 from 100.
Example: (geometric 100 #:ratio 0.995 #:until 0.05)"
  (check-positive 'geometric ("from" from) ("until" until))
  (check-that (and (positive-number? ratio) (< ratio 1)) 'geometric
              "ratio: expected a number between 0 and 1, got ~s" ratio)
  (check-that (<= until from) 'geometric "until: expected at most from, ~a, got ~a" from until)
  ;; A step that falls on UNTIL but for rounding is not made twice.
  (let ((steps (inexact->exact (ceiling (- (/ (log (/ until from)) (log ratio)) 1e-9)))))
    (make-schedule (format #f "geometric ~a" ratio) (1+ steps)
                   (lambda (i)
                     (exact->inexact (if (= i steps) until (* from (expt ratio i))))))))

(define* (power-law size #:key (exponent 1.5) (reference 100))
  "The step size SIZE (sigma / REFERENCE)^EXPONENT; the paper has 10 (sigma/100)^1.5.
Example: (power-law 10 #:exponent 1.5)"
  (check-positive 'power-law ("size" size) ("reference" reference))
  (check-that (and (real? exponent) (finite? exponent)) 'power-law
              "exponent: expected a finite number, got ~s" exponent)
  (make-schedule (format #f "~a (sigma/~a)^~a" size reference exponent) #f
                 (lambda (sigma) (* size (expt (/ sigma reference) (exact->inexact exponent))))))

(define (constant value)
  "The rule that has VALUE at every temperature.
Example: (constant 0.5)"
  (check-positive 'constant ("value" value))
  (make-schedule (format #f "constant ~a" value) #f (const value)))

(define (sequence->vector procedure argument object)
  "The positive numbers of OBJECT, a sequence, list or vector, as a vector; errors
name PROCEDURE and ARGUMENT."
  (let ((values (cond ((and (schedule? object) (schedule-length object)) (schedule->list object))
                      ((vector? object) (vector->list object))
                      (else object))))
    (check-that (and (list? values) (pair? values) (every positive-number? values)) procedure
                "~a: expected a schedule with a length, or a list of positive numbers, got ~s"
                argument object)
    (list->vector (map exact->inexact values))))

(define (rule->procedure procedure argument object valid? expected)
  "OBJECT (a number, rule or procedure) as a procedure of sigma whose every value
must be VALID?, EXPECTED in words; errors name PROCEDURE and ARGUMENT."
  (define (check value sigma)
    (check-that (valid? value) procedure "~a: expected ~a, got ~s at sigma ~a" argument expected
                value (short sigma))
    value)
  (cond ((and (schedule? object) (not (schedule-length object)))
         (lambda (sigma) (check (schedule-at object sigma) sigma)))
        ((procedure? object) (lambda (sigma) (check (object sigma) sigma)))
        (else
         (check-that (valid? object) procedure "~a: expected ~a, or a rule over sigma, got ~s"
                     argument expected object)
         (const object))))
