;;; harness.scm -- what the Scheme tests share: SRFI-64 with a readable runner.
;;;
;;; A test program is a file of checks between two lines:
;;;
;;;   (use-modules (harness))
;;;   (start-tests "schedules")
;;;   (test-equal "a length" 3 (vector-length v))
;;;   (test-error-matching "bad ratio" "ratio: expected" (geometric 100 #:ratio 2))
;;;   (finish-tests)
;;;
;;; A check that fails prints its place, what was expected and what came.  The
;;; last line is "N passed, N failed"; the exit status is 1 if any failed.

(define-module (harness)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-64)
  #:use-module (ice-9 match)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:re-export (test-assert test-equal test-eqv test-eq test-approximate test-error
               test-group test-skip test-begin test-end)
  #:export (start-tests finish-tests test-error-matching test-file
            call-with-temporary-directory error-message-of same-text? shell check-shell))

(define passed 0)
(define failed 0)

(define (print-failure runner)
  (let ((property (lambda (key) (test-result-ref runner key #f))))
    (format #t "~a:~a: FAILED: ~a~%"
            (or (property 'source-file) "?") (or (property 'source-line) "?")
            (string-join (append (test-runner-group-path runner)
                                 (list (test-runner-test-name runner)))
                         ": "))
    (for-each (match-lambda
                ((key . title)
                 (when (assq key (test-result-alist runner))
                   (format #t "  ~a: ~a~%" title
                           (match (list key (property key))
                             (('actual-error ((? symbol? thrown) . arguments))
                              (string-trim-right (error-text thrown arguments)))
                             ((_ value) (format #f "~s" value)))))))
              '((expected-value . "expected") (actual-value . "got")
                (expected-error . "expected error") (actual-error . "error")))))

(define (make-runner)
  (let ((runner (test-runner-null)))
    (test-runner-on-test-end! runner
      (lambda (runner)
        (case (test-result-kind runner)
          ((pass xfail) (set! passed (1+ passed)))
          ((fail xpass)
           (set! failed (1+ failed))
           (print-failure runner)))))
    runner))

(define (start-tests name)
  "Begin the test program NAME."
  (setvbuf (current-output-port) 'line)
  (test-runner-current (make-runner))
  (test-begin name))

(define (finish-tests)
  "Print the count and leave: status 0 if every check passed, else 1."
  (test-end)
  (format #t "~a passed, ~a failed~%" passed failed)
  (exit (if (zero? failed) 0 1)))

(define (error-message-of thunk)
  "The line a user would read if THUNK raised an error, or #f if it raises none."
  (catch #t
    (lambda () (thunk) #f)
    (lambda (key . arguments) (string-trim-right (error-text key arguments)))))

(define-syntax-rule (test-error-matching name text expression)
  ;; EXPRESSION raises an error whose message contains TEXT.
  (let ((message (error-message-of (lambda () expression))))
    (test-equal name text
                (if (and message (string-contains message text)) text message))))

(define (test-file name)
  "The file NAME inside tests/ of the source tree."
  (string-append (or (getenv "srcdir") ".") "/tests/" name))

(define (call-with-temporary-directory procedure)
  "Call PROCEDURE with the name of a fresh directory, and remove it afterwards."
  (let ((directory (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp")
                                           "/tempera-test-XXXXXX"))))
    (dynamic-wind
      (const #t)
      (lambda () (procedure directory))
      (lambda () (system* "rm" "-rf" directory)))))

;;; --- Commands of the shell ---------------------------------------------------

(define (shell . words)
  "The exit status of WORDS, a command of the shell, and what it said on both streams, a pair."
  (let* ((port (open-input-pipe (string-append "{ " (string-join words) "; } 2>&1")))
         (text (get-string-all port)))
    (cons (status:exit-val (close-pipe port)) text)))

(define (check-shell name status text . words)
  "That the command WORDS ends with STATUS and says TEXT, among other things."
  (let ((said (apply shell words)))
    (test-equal name (list status text)
                (if (and (eqv? status (car said)) (string-contains (cdr said) text))
                    (list status text)
                    said))))

;;; --- Printed values ----------------------------------------------------------

(define (tokens text)
  (string-tokenize text (char-set-complement (string->char-set " \t\n()\"#<>,'"))))

(define (printed-precision text)
  ;; A unit and a half of the last digit of TEXT, a decimal number.
  (let* ((mantissa (car (string-split text #\e)))
         (point (string-index mantissa #\.))
         (digits (if point (- (string-length mantissa) point 1) 0))
         (exponent (let ((parts (string-split text #\e)))
                     (if (pair? (cdr parts)) (string->number (cadr parts)) 0))))
    (* 1.5 (expt 10. (- exponent digits)))))

;; How much TOLERANCES allow VALUE, PRINTED so, to be off, or #f: each is a list of 'part or
;; 'amount, a number, and the numbers as printed of which it holds; none are all.
(define (allowed-by tolerances printed value)
  (any (match-lambda
         ((kind number . those)
          (and (or (null? those) (member printed those))
               (if (eq? kind 'part) (* number (abs value)) number))))
       tolerances))

(define (same-token? wanted got tolerances)
  (let* ((a (string->number wanted)) (b (string->number got))
         (allowed (and a (real? a) (allowed-by tolerances wanted a))))
    (cond ((not (and a b (real? a) (real? b))) (string=? wanted got))
          ((or (= a b) (and (nan? a) (nan? b))) #t)
          (allowed (<= (abs (- a b)) allowed))
          ((and (exact? a) (exact? b)) #f)
          (else (< (abs (- a b)) (max (printed-precision wanted) (* 1e-5 (abs a))))))))

(define* (same-text? wanted got #:optional (tolerances '()))
  "Whether GOT is what the documentation prints, WANTED: the same words, and numbers within the
digits that WANTED has, or within TOLERANCES, lists (part SHARE NUMBER ...) or (amount AMOUNT
NUMBER ...): of the NUMBERs as printed, whole ones too, or of all when none is named."
  (let ((a (tokens wanted)) (b (tokens got)))
    (and (= (length a) (length b)) (every (lambda (a b) (same-token? a b tolerances)) a b))))
