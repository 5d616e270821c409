;;; test-schedules.scm -- temperatures and step sizes: their values, how they combine, what is refused.

(use-modules (harness) (small-problem)
             (tempera) (tempera sample schedules) (tempera base streams)
             (srfi srfi-1))

(start-tests "schedules")

;;; --- Schedules ------------------------------------------------------------------

(let ((s (geometric 100 #:ratio 0.5 #:until 1)))
  (test-equal "its values" '(100. 50. 25. 12.5 6.25 3.125 1.5625 1.) (schedule->list s))
  (test-equal "print" "#<schedule geometric 0.5: 100.0 ... 1.0, 8 values>" (format #f "~a" s)))
(test-equal "a last step that falls on until" '(8. 4. 2. 1.)
  (schedule->list (geometric 8 #:ratio 0.5 #:until 1)))
(test-equal "one temperature" 1 (schedule-length (geometric 5 #:ratio 0.9 #:until 5)))
(test-equal "the paper's" 1518 (schedule-length (geometric 100 #:ratio 0.995 #:until 0.05)))
(test-equal "the paper's step" 1.25 (schedule-at (power-law 10 #:exponent 1.5) 25))
(let ((network (score-network '(paper-unet #:channels (2 2) #:blocks 1 #:normalisation #f))))
  (test-equal "an exact prior's temperatures" (schedule->list (geometric 100 #:ratio 0.95 #:until 0.046))
    (schedule->list (default-temperatures (two-moons-prior))))
  (test-equal "a network's" '(100. 50. 25. 12.5 6.25 4. 1. 0.25 0.1)
    (schedule->list (default-temperatures network #:ratio 0.5 #:until 0.1)))
  (test-equal "a network's that end hot" '(100. 50. 25. 12.5 8.)
    (schedule->list (default-temperatures network #:ratio 0.5 #:until 8)))
  (test-equal "without a ratio" '(54 108)
    (map (lambda (ratio) (schedule-length (default-temperatures network #:ratio ratio))) '(#f 0.95)))
  (test-equal "which a chain has" 54
    (length (chain-ahead (start-chain (prior-target network #:shape '(8 8) #:dtype 'c64) #:chains 1))))
  (test-error-matching "a ratio" "default-temperatures: ratio: expected a number between 0 and 1, got 1"
    (default-temperatures network #:ratio 1))
  (test-error-matching "an end" "default-temperatures: until: expected a positive number, 100 at most, got 200"
    (default-temperatures network #:until 200)))
(test-equal "constant" 0.5 (schedule-at (constant 0.5) 3))
(test-equal "print a rule" "#<schedule 10 (sigma/100)^1.5>" (format #f "~a" (power-law 10)))
(test-error-matching "ratio" "ratio: expected a number between 0 and 1, got 2"
  (geometric 100 #:ratio 2 #:until 1))
(test-error-matching "no until" "until: expected a positive number, got #f"
  (geometric 100 #:ratio 0.9))
(test-error-matching "until above" "until: expected at most" (geometric 1 #:ratio 0.9 #:until 2))
(test-error-matching "NaN" "from: expected" (geometric +nan.0 #:ratio 0.9 #:until 2))
(test-error-matching "exponent" "exponent: expected" (power-law 1 #:exponent 'a))
(test-error-matching "constant 0" "value: expected" (constant 0))
(test-error-matching "ref" "index: expected an integer from 0 to 0, got 1"
  (schedule-ref (geometric 5 #:ratio 0.9 #:until 5) 1))
(test-error-matching "ref of a rule" "it is a rule" (schedule-ref (constant 1) 0))
(test-error-matching "at of a sequence" "expected a rule"
  (schedule-at (geometric 5 #:ratio 0.9 #:until 5) 1))
(test-error-matching "sigma" "sigma: expected" (schedule-at (constant 1) -1))
(test-error-matching "length" "expected a schedule" (schedule-length 3))

(test-equal "linear" '(10. 7. 4. 1.) (schedule->list (linear 10 #:until 1 #:count 4)))
(test-equal "upwards too" '(1. 2. 3.) (schedule->list (linear 1 #:until 3 #:count 3)))
(let ((s (schedule->list (log-linear 100 #:until 0.05 #:count 40))))
  (test-equal "log-linear, its ends" '(100. 0.05) (list (first s) (last s)))
  (test-assert "its ratios"
    (every (lambda (a b) (close? 1e-9 (/ b a) (expt 0.0005 1/39))) (drop-right s 1) (cdr s))))
(test-equal "tabulated" '(6. 3. 2.)
  (schedule->list (schedule-tabulate 3 (lambda (i) (/ 6 (1+ i))))))
(let ((s (geometric 8 #:ratio 0.5 #:until 1)) (list-of schedule->list))
  (test-equal "appended, a common end once" '(8. 4. 2. 1. 0.5)
    (list-of (schedule-append s '(1 0.5))))
  (test-equal "three" '(8. 4. 2. 1. 3. 2. 1.) (list-of (schedule-append s '(3 2) '#(1))))
  (test-equal "a slice" '(4. 2.) (list-of (schedule-slice s 1 3)))
  (test-equal "to the end" '(2. 1.) (list-of (schedule-slice s 2)))
  (test-equal "between" '(4. 2.) (list-of (schedule-between s 5 2)))
  (test-equal "mapped" '(4. 2. 1. 0.5) (list-of (schedule-map (lambda (x) (/ x 2)) s)))
  (test-equal "two mapped" '(16. 8. 4. 2.) (list-of (schedule-map + s s)))
  (test-equal "print a slice" "#<schedule slice: 4.0 ... 2.0, 2 values>"
    (format #f "~a" (schedule-slice s 1 3)))
  (test-error-matching "slice" "expected 0 <= start < end <= 4, got 2 and 9" (schedule-slice s 2 9))
  (test-error-matching "between nothing" "no value is from 0.5 down to 0.1; they are from 8.0 to 1.0"
    (schedule-between s 0.5 0.1))
  (test-error-matching "lengths" "one length, got (4 2)" (schedule-map + s '(1 2)))
  (test-error-matching "a value that is none" "expected positive numbers, got 0"
    (schedule-map (lambda (x) 0) s))
  (test-error-matching "a rule and a sequence" "schedule: expected" (schedule-map + s (constant 1))))
(let ((s (piecewise '(10 0.45) `(1 ,(power-law 1 #:exponent 1 #:reference 10)) '(0.1 0.2))))
  (test-equal "piecewise" '(0.45 0.45 0.5 0.2 0.2) (map (lambda (x) (schedule-at s x)) '(50 10 5 0.5 0.01)))
  (test-equal "print it" "#<schedule piecewise from 10, 1, 0.1>" (format #f "~a" s))
  (test-equal "rules mapped" 0.25 (schedule-at (schedule-map * s 0.5) 5))
  (test-equal "with a procedure" 5. (schedule-at (schedule-map max (lambda (sigma) sigma) s) 5.)))
(test-error-matching "pieces" "sigma falling" (piecewise '(1 0.3) '(10 0.2)))
(test-error-matching "no pieces" "pieces: expected" (piecewise))
(test-error-matching "a piece's rule" "rule: expected" (piecewise '(1 a)))
(test-error-matching "count" "count: expected an integer, 2 or more, got 1" (linear 2 #:until 1 #:count 1))
(test-error-matching "no end" "until: expected a positive number, got #f" (log-linear 2 #:count 3))
(test-error-matching "append" "sequence: expected" (schedule-append (constant 1)))
(test-error-matching "append nothing" "expected a sequence" (schedule-append))
(test-error-matching "tabulate" "expected positive numbers, got -1" (schedule-tabulate 2 (const -1)))
(test-error-matching "tabulate none" "count: expected" (schedule-tabulate 0 identity))
(test-error-matching "stream" "purpose: expected one of" (random-stream 'lottery))
(test-error-matching "counter" "counter: expected" (random-stream 'start -1))

(finish-tests)
