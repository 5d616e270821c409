;;; schedules.scm -- temperatures and step sizes as values.
;;;
;;; A schedule is either a sequence (it has a length: the temperatures of an
;;; annealing) or a rule (a function of sigma: a step size).  Where a schedule is
;;; asked for, a list or vector of numbers serves as a sequence, and a number or
;;; a procedure of sigma as a rule.

(define-module (tempera sample schedules)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:export (schedule? schedule-length schedule-ref schedule->list schedule-at
            geometric linear log-linear schedule-tabulate
            power-law constant piecewise
            schedule-append schedule-slice schedule-between schedule-map
            adaptive adaptive? adaptive-from adaptive-until adaptive-ratio next-ratio
            dual-averaging dual-averaging? initial-tuning tuned-step-size tune
            sequence->vector rule->procedure))

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
  (significant number 4))

(define-syntax-rule (check-positive procedure (name value) ...)
  (begin
    (check-that (positive-number? value) procedure
                "~a: expected a positive number, got ~s" name value)
    ...))

(define (schedule-length schedule)
  "The number of values of a sequence SCHEDULE; #f for a rule.
Example: (schedule-length (geometric 100 #:ratio 0.5 #:until 1)) => 8"
  (check-that (schedule? schedule) 'schedule-length "expected a schedule, got ~s" schedule)
  (%schedule-length schedule))

(define (schedule-ref schedule index)
  "Value number INDEX, from 0, of a sequence SCHEDULE.
Example: (schedule-ref (geometric 100 #:ratio 0.5 #:until 1) 1) => 50.0"
  (let ((length (schedule-length schedule)))
    (check-that length 'schedule-ref "~a has no values by number: it is a rule" schedule)
    (check-that (and (exact-integer? index) (< -1 index length)) 'schedule-ref
                "index: expected an integer from 0 to ~a, got ~s" (1- length) index)
    ((schedule-procedure schedule) index)))

(define (schedule->list schedule)
  "The values of a sequence SCHEDULE, in order.
Example: (schedule->list (geometric 4 #:ratio 0.5 #:until 1)) => (4.0 2.0 1.0)"
  (map (lambda (i) (schedule-ref schedule i)) (iota (or (schedule-length schedule) 0))))

(define (schedule-at schedule sigma)
  "The value of a rule SCHEDULE at the temperature SIGMA.
Example: (schedule-at (power-law 10 #:exponent 1.5) 25) => 1.25"
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

(define (check-ends procedure from until count)
  (check-positive procedure ("from" from) ("until" until))
  (check-that (and (exact-integer? count) (>= count 2)) procedure
              "count: expected an integer, 2 or more, got ~s" count))

(define* (linear from #:key until count)
  "COUNT temperatures from FROM to UNTIL, their differences equal.
Example: (schedule->list (linear 10 #:until 1 #:count 4)) => (10.0 7.0 4.0 1.0)"
  (check-ends 'linear from until count)
  (make-schedule "linear" count
                 (lambda (i) (exact->inexact (+ from (* (/ i (1- count)) (- until from)))))))

(define* (log-linear from #:key until count)
  "COUNT temperatures from FROM to UNTIL, their ratios equal: `geometric' by how many there
are to be.
Example: (schedule->list (log-linear 8 #:until 1 #:count 4)) => (8.0 4.0 2.0 1.0)"
  (check-ends 'log-linear from until count)
  (make-schedule "log-linear" count
                 (lambda (i)
                   (cond ((zero? i) (exact->inexact from))
                         ((= i (1- count)) (exact->inexact until))
                         (else (* from (expt (exact->inexact (/ until from))
                                             (/ i (1- count)))))))))

(define (schedule-tabulate count procedure)
  "The sequence of COUNT values that PROCEDURE gives for 0, 1, ..., COUNT - 1.
Example: (schedule->list (schedule-tabulate 3 (lambda (i) (/ 6 (+ 1 i))))) => (6.0 3.0 2.0)"
  (check-that (and (exact-integer? count) (> count 0)) 'schedule-tabulate
              "count: expected a positive integer, got ~s" count)
  (check-that (procedure? procedure) 'schedule-tabulate
              "procedure: expected one of an index, got ~s" procedure)
  (sequence "tabulated" (map-in-order procedure (iota count)) 'schedule-tabulate))

(define (sequence text values procedure)
  ;; Of VALUES, a list; errors name PROCEDURE.
  (check-that (pair? values) procedure "expected a value at least, got none")
  (for-each (lambda (value)
              (check-that (positive-number? value) procedure
                          "expected positive numbers, got ~s" value))
            values)
  (let ((values (list->vector (map exact->inexact values))))
    (make-schedule text (vector-length values) (lambda (i) (vector-ref values i)))))

(define (constant value)
  "The rule that has VALUE at every temperature.
Example: (constant 0.5)"
  (check-positive 'constant ("value" value))
  (make-schedule (format #f "constant ~a" value) #f (const value)))

;;; --- Schedules of schedules ---------------------------------------------------------

(define (piecewise . pieces)
  "The rule that is the first of PIECES, lists (SIGMA RULE) from hot to cold, whose SIGMA is
at or below the temperature; the last one's also below that.  RULE is a number, a rule or a
procedure of sigma.
Example: (schedule-at (piecewise '(10 0.45) '(1 0.3) '(0.1 0.2)) 5) => 0.3"
  (define (piece? p) (and (list? p) (= (length p) 2) (positive-number? (first p))))
  (check-that (and (pair? pieces) (every piece? pieces) (apply > +inf.0 (map first pieces)))
              'piecewise "pieces: expected lists (sigma rule), sigma falling, got ~s" pieces)
  (let ((pieces (map (lambda (p)
                       (cons (first p) (rule->procedure 'piecewise "rule" (second p)
                                                        positive-number? "a positive number")))
                     pieces)))
    (make-schedule (format #f "piecewise from ~a" (string-join (map (lambda (p)
                                                                      (format #f "~a" (car p)))
                                                                    pieces)
                                                               ", "))
                   #f
                   (lambda (sigma)
                     ((cdr (or (find (lambda (p) (>= sigma (car p))) pieces) (last pieces)))
                      sigma)))))

(define (schedule-append . sequences)
  "SEQUENCES one after the other; a value that one ends and the next begins with is there
once.  Lists serve too.
Example: (schedule-append (geometric 100 #:ratio 0.8 #:until 10)
                          (geometric 10 #:ratio 0.95 #:until 0.05))"
  (check-that (pair? sequences) 'schedule-append "expected a sequence at least")
  (sequence "appended"
            (fold-right (lambda (s rest)
                          (let ((values (vector->list (sequence->vector 'schedule-append
                                                                        "sequence" s))))
                            (if (and (pair? rest) (= (last values) (first rest)))
                                (append values (cdr rest))
                                (append values rest))))
                        '() sequences)
            'schedule-append))

(define* (schedule-slice schedule start #:optional (end #f))
  "Values START, from 0, up to but not END (the length unless given) of the sequence SCHEDULE.
Example: (schedule->list (schedule-slice (geometric 8 #:ratio 0.5 #:until 1) 1 3)) => (4.0 2.0)"
  (let* ((values (vector->list (sequence->vector 'schedule-slice "schedule" schedule)))
         (end (or end (length values))))
    (check-that (and (exact-integer? start) (exact-integer? end) (<= 0 start) (< start end)
                     (<= end (length values)))
                'schedule-slice "start, end: expected 0 <= start < end <= ~a, got ~s and ~s"
                (length values) start end)
    (sequence "slice" (list-head (list-tail values start) (- end start)) 'schedule-slice)))

(define (schedule-between schedule high low)
  "The values of the sequence SCHEDULE that are from HIGH down to LOW.
Example: (schedule->list (schedule-between (geometric 8 #:ratio 0.5 #:until 1) 5 2)) => (4.0 2.0)"
  (let* ((all (vector->list (sequence->vector 'schedule-between "schedule" schedule)))
         (values (filter (lambda (value) (<= low value high)) all)))
    (check-that (pair? values) 'schedule-between
                "high, low: no value is from ~a down to ~a; they are from ~a to ~a"
                high low (short (first all)) (short (last all)))
    (sequence "slice" values 'schedule-between)))

(define (schedule-map procedure schedule . schedules)
  "The schedule whose values are PROCEDURE of those of SCHEDULE and SCHEDULES: of sequences of
one length, or of rules; numbers and procedures of sigma serve as rules.
Example: (schedule-at (schedule-map min (power-law 10) 0.45) 100) => 0.45"
  (check-that (procedure? procedure) 'schedule-map "procedure: expected one, got ~s" procedure)
  (let ((all (cons schedule schedules)))
    (if (any (lambda (s) (or (pair? s) (vector? s) (and (schedule? s) (schedule-length s)))) all)
        (let ((lists (map (lambda (s)
                            (vector->list (sequence->vector 'schedule-map "schedule" s)))
                          all)))
          (check-that (apply = (map length lists)) 'schedule-map
                      "schedules: expected sequences of one length, got ~a" (map length lists))
          (sequence "mapped" (apply map procedure lists) 'schedule-map))
        (let ((rules (map (lambda (s)
                            (rule->procedure 'schedule-map "schedule" s positive-number?
                                             "a positive number"))
                          all)))
          (make-schedule (format #f "mapped over ~a"
                                 (string-join (map (lambda (s)
                                                     (if (schedule? s) (schedule-text s)
                                                         (format #f "~a" s)))
                                                   all)
                                              ", "))
                         #f
                         (lambda (sigma)
                           (apply procedure (map (lambda (rule) (rule sigma)) rules))))))))

;;; --- What tunes itself ----------------------------------------------------------

(define-record-type <adaptive>
  (make-adaptive from until move ratio fastest slowest)
  adaptive?
  (from adaptive-from)
  (until adaptive-until)
  (move adaptive-move)
  (ratio adaptive-ratio)
  (fastest adaptive-fastest)
  (slowest adaptive-slowest))

(set-record-type-printer! <adaptive>
  (lambda (a port)
    ;; All of it, by which `load-chain' tells one from another.
    (format port "#<adaptive temperatures: ~a ... ~a, move ~a, ratios ~a to ~a, the first ~a>"
            (adaptive-from a) (adaptive-until a) (adaptive-move a) (adaptive-fastest a)
            (adaptive-slowest a) (adaptive-ratio a))))

(define* (adaptive from #:key until (move 0.2) (ratio 0.9) (fastest 0.85) (slowest 0.98))
  "Temperatures from FROM down to UNTIL, placed while the chains run so that each of them moves
the target by MOVE, the root mean square over dimensions of the score's change in units of
the mass, |M^-1/2 (s' - s)|: of a Gaussian the relative change of variance.  So 0.2 is a
ratio of 0.9 as long as sigma is all there is; where the data decide, steps grow.  The first
ratio is RATIO, all are from FASTEST to SLOWEST.  It costs no evaluation.
Example: (anneal target #:temperatures (adaptive 100 #:until 0.05))"
  (check-positive 'adaptive ("from" from) ("until" until) ("move" move))
  (check-that (<= until from) 'adaptive "until: expected at most from, ~a, got ~a" from until)
  (for-each (lambda (name value)
              (check-that (and (positive-number? value) (< value 1)) 'adaptive
                          "~a: expected a number between 0 and 1, got ~s" name value))
            '("ratio" "fastest" "slowest") (list ratio fastest slowest))
  (check-that (<= fastest ratio slowest) 'adaptive
              "fastest, ratio, slowest: expected them in order, got ~a, ~a, ~a"
              fastest ratio slowest)
  (make-adaptive (exact->inexact from) (exact->inexact until) move ratio fastest slowest))

(define (next-ratio adaptive ratio moved)
  "The ratio to the next temperature where RATIO moved the target by MOVED: the move is
proportional to the logarithm of the ratio, and no ratio's is more than half as large again
as the one before.
Example: (next-ratio (adaptive 100 #:until 1 #:move 0.2) 0.9 0.1) => 0.8538149682454623"
  (let ((change (if (> moved 0) (min 1.5 (max 2/3 (/ (adaptive-move adaptive) moved))) 1.5)))
    (max (adaptive-fastest adaptive)
         (min (adaptive-slowest adaptive) (expt ratio (exact->inexact change))))))

(define-record-type <dual-averaging>
  (make-dual-averaging target initial memory)
  dual-averaging?
  (target dual-averaging-target)
  (initial dual-averaging-initial)
  (memory dual-averaging-memory))

(set-record-type-printer! <dual-averaging>
  (lambda (d port)
    (format port "#<step size for acceptance ~a, from ~a>" (dual-averaging-target d)
            (dual-averaging-initial d))))

(define* (dual-averaging #:key (target 0.8) (initial 0.35) (memory 50))
  "For #:step-size: steps that come to the acceptance TARGET, mean over chains of min(1,
ratio), by Nesterov's dual averaging (Hoffman, Gelman 2014, section 3.2) from INITIAL on.
As the best step changes with sigma, transitions further back than MEMORY fade.  Of use with
samplers that accept and reject.
Example: (anneal target #:step-size (dual-averaging #:target 0.8))"
  (check-that (and (positive-number? target) (< target 1)) 'dual-averaging
              "target: expected a number between 0 and 1, got ~s" target)
  (check-positive 'dual-averaging ("initial" initial) ("memory" memory))
  (make-dual-averaging target initial memory))

;; Hoffman and Gelman's gamma and t_0; they have 0.05 and 10 for one chain.  Over several
;; chains acceptance is less noisy, and a larger gamma follows it more calmly.
(define gamma 0.5)
(define t0 10)

(define initial-tuning '(0. . 0))       ; the mean lack of acceptance H, and transitions m

(define (tuned-step-size rule tuning)
  "The step size of RULE, made by `dual-averaging', in the state TUNING:
initial exp (-sqrt(m) / gamma H).
Example: (tuned-step-size (dual-averaging #:initial 0.5) initial-tuning) => 0.5"
  (* (dual-averaging-initial rule)
     (exp (* -1 (/ (sqrt (cdr tuning)) gamma) (car tuning)))))

(define (tune rule tuning acceptance)
  "The state after TUNING where a transition was accepted with probability ACCEPTANCE.
Example: (tune (dual-averaging #:target 0.8) initial-tuning 0.8) => (0.0 . 1)"
  (let* ((m (min (dual-averaging-memory rule) (1+ (cdr tuning))))
         (weight (/ 1. (+ m t0))))
    (cons (+ (* (- 1 weight) (car tuning))
             (* weight (- (dual-averaging-target rule) acceptance)))
          m)))

(define (sequence->vector procedure argument object)
  "The positive numbers of OBJECT, a sequence, list or vector, as a vector; errors
name PROCEDURE and ARGUMENT.
Example: (sequence->vector 'f \"temperatures\" '(4 2 1)) => #(4.0 2.0 1.0)"
  (let ((values (cond ((and (schedule? object) (schedule-length object)) (schedule->list object))
                      ((vector? object) (vector->list object))
                      (else object))))
    (check-that (and (list? values) (pair? values) (every positive-number? values)) procedure
                "~a: expected a schedule with a length, or a list of positive numbers, got ~s"
                argument object)
    (list->vector (map exact->inexact values))))

(define (rule->procedure procedure argument object valid? expected)
  "OBJECT (a number, rule or procedure) as a procedure of sigma whose every value
must be VALID?, EXPECTED in words; errors name PROCEDURE and ARGUMENT.
Example: ((rule->procedure 'f \"step-size\" (power-law 10) positive-number? \"a positive number\") 100) => 10.0"
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

(document
 (schedule?
  "True when OBJECT is a schedule, a sequence or a rule.
Example: (schedule? (constant 1)) => #t")
 (adaptive?
  "True when OBJECT is what `adaptive' makes.
Example: (adaptive? 3) => #f")
 (adaptive-from
  "The first temperature of ADAPTIVE.
Example: (adaptive-from (adaptive 100 #:until 0.05)) => 100.0")
 (adaptive-until
  "The last temperature of ADAPTIVE.
Example: (adaptive-until (adaptive 100 #:until 0.05)) => 0.05")
 (adaptive-ratio
  "The first ratio of ADAPTIVE.
Example: (adaptive-ratio (adaptive 100 #:until 0.05)) => 0.9")
 (dual-averaging?
  "True when OBJECT is what `dual-averaging' makes.
Example: (dual-averaging? (dual-averaging)) => #t")
 (initial-tuning
  "The state of `tuned-step-size' before any transition.
Example: initial-tuning => (0.0 . 0)"))
