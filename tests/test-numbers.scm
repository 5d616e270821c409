;;; test-numbers.scm -- means, and numbers rounded to be read; errors, which signals are not.

(use-modules (harness) (tempera) (tempera base errors) (tempera base interrupts)
             (tempera base numbers))

(start-tests "numbers")

(test-equal "a mean" 3 (mean '(1 2 6)))
(test-equal "an exact one" 3/2 (mean '(1 2)))
(for-each (lambda (x digits expected)
            (test-equal (format #f "~a to ~a digits" x digits) expected (significant x digits)))
          '(3.14159 3.14159 0.000123456 98765 -2.56 99.96 0 1/3 10)
          '(3 1 2 2 2 3 3 2 1)
          '(3.14 3. 0.00012 99000. -2.6 100. 0. 0.33 10.))
(test-equal "what is not finite" '(+inf.0 -inf.0) (map (lambda (x) (significant x 2)) '(+inf.0 -inf.0)))
(test-assert "not a number" (nan? (significant +nan.0 2)))

(test-equal "as text" '("12" "0.123" "-57000" "100" "0" "+inf.0" "+nan.0" "1.23e9")
  (map number-text '(12.0 0.12345 -57024 99.96 0 +inf.0 +nan.0 1.234e9)))

(test-equal "in more digits" '("1234" "12.4" "0.3333") (map number-text '(1234 12.4 1/3) '(4 4 4)))

(call-with-values (lambda () (timed (lambda () (usleep 1000) 'done)))
  (lambda (result seconds)
    (test-equal "what was timed" 'done result)
    (test-assert "its seconds" (> seconds 0))))

;;; --- Errors and signals -------------------------------------------------------------

(define (interrupt) (raise-interrupt SIGINT))
(define (key-of thunk) (catch #t thunk (lambda (key . arguments) key)))
(test-equal "an error is caught" '(wrong-type-arg . #f)
  (cons (catch-errors (lambda () (car '())) (lambda (key . arguments) key))
        (false-if-error (car '()))))
(test-equal "a value is returned" '(3 . 3) (cons (catch-errors (const 3) (const 4)) (false-if-error 3)))
(test-equal "Ctrl-C goes through" '(signal signal)
  (list (key-of (lambda () (catch-errors interrupt (const 'caught))))
        (key-of (lambda () (false-if-error (interrupt))))))
;; A test that runs in the background has SIGINT ignored.
(test-equal "what ended a program that was run, too" 'signal
  (key-of (lambda () (run-program 'f "env" "--default-signal=INT" "sh" "-c" "kill -INT $$"))))
(test-equal "so does exit" 'quit (key-of (lambda () (catch-errors (lambda () (exit 3)) (const 'caught)))))
(test-equal "Ctrl-C while a network is made is not an error of its description" 'signal
  (begin
    (add-body! 'interrupted interrupt)
    (key-of (lambda () (score-network '(interrupted))))))

(finish-tests)
