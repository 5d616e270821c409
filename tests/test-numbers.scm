;;; test-numbers.scm -- means, and numbers rounded to be read.

(use-modules (harness) (tempera) (tempera base numbers))

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

(finish-tests)
