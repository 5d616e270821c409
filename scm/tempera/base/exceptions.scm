;;; exceptions.scm -- where an exception came from: its stack, and its place in the user's own code.
;;;
;;; The place is the innermost call that is in one of the user's files, rather than in Guile or Tempera.

(define-module (tempera base exceptions)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 textual-ports)
  #:use-module (system repl debug)
  #:use-module (system vm frame)
  #:use-module (system vm program)
  #:use-module (tempera base errors)
  #:export (evaluated-texts current-place
            call-keeping-stack keep-stack-of-throw!
            exception-frames exception-place exception-words exception-text write-backtrace))

(define evaluated-texts (make-hash-table))        ; from a file's name to the text evaluated last

(define current-place
  ;; Of the form of a file that is read or evaluated: name, line and column from 0; or #f.
  (make-fluid #f))

(define kept
  ;; Of the exception kept last: itself, or its key and arguments while C has it; its stack as
  ;; frames; and the value of `current-place'.
  (vector #f '() #f))

(define (keep-stack! exception)
  (let ((before (vector-ref kept 0)))
    (cond ((eq? before exception))      ; an inner call has kept it
          ((and (pair? before) (equal? before (cons (exception-kind exception)
                                                    (exception-args exception))))
           (vector-set! kept 0 exception))
          (else (set! kept (stack-kept-as exception))))))

(define (stack-kept-as what)
  (vector what
          (vector->list (stack->vector (make-stack #t 1))) ; 1: without itself
          (fluid-ref current-place)))

(define (keep-stack-of-throw! key arguments)
  "For C, which catches what is thrown in a procedure of Scheme's that it calls, frees what is
its own, and throws it again, as another exception."
  (let ((before (vector-ref kept 0)) (thrown (cons key arguments)))
    (if (and (exception? before)
             (equal? thrown (cons (exception-kind before) (exception-args before))))
        (vector-set! kept 0 thrown)
        (set! kept (stack-kept-as thrown)))))

(define (call-keeping-stack thunk handler)
  "What THUNK returns; when an exception ends it, what HANDLER returns, called with that after
the stack is unwound.  The stack is kept for `exception-frames' and `exception-place'."
  (with-exception-handler handler
    (lambda ()
      (with-exception-handler
          (lambda (exception)
            (keep-stack! exception)
            (raise-exception exception))
        thunk))
    #:unwind? #t))

(define (frame-file frame)
  (let ((source (frame-source frame)))
    (and source (source:file source))))

(define (kept-frames exception)
  ;; Innermost first; none if EXCEPTION is not the one that is kept.
  (if (eq? exception (vector-ref kept 0)) (vector-ref kept 1) '()))

(define (exception-frames exception)
  "A vector of the frames of where EXCEPTION came from, innermost first, without those that are
around everything and tell nothing."
  (define (in? . files)
    (lambda (frame) (member (frame-file frame) files)))
  (list->vector
   (remove (in? "ice-9/boot-9.scm" "ice-9/eval.scm" "tempera/base/errors.scm" "tempera/base/evaluation.scm"
                "tempera/base/exceptions.scm" "tempera/base/interrupts.scm")
           (take-while (negate (in? "tempera/shell/repl.scm" "tempera/shell/cli.scm"))
                       (kept-frames exception)))))

(define (write-backtrace exception port)
  "On PORT, where EXCEPTION came from: calls, the innermost last."
  (catch-errors
   (lambda () (print-frames (exception-frames exception) port #:width 100))
   ;; What a frame holds cannot always be shown.
   (lambda _ (format port "...~%"))))

(define (text-at text line column)
  ;; TEXT from there on.
  (call-with-input-string text
    (lambda (port)
      (let skip ()
        (unless (or (and (= line (port-line port)) (= column (port-column port)))
                    (eof-object? (read-char port)))
          (skip)))
      (get-string-all port))))

(define most-characters 70)             ; of a form that is shown

(define (form-text text)
  ;; The form that TEXT begins with, cut to a line; of one that cannot be read its first line.
  (let* ((end (catch-errors
               (lambda ()
                 (call-with-input-string text (lambda (port) (read port) (ftell port))))
               (lambda _ (string-index text #\newline))))
         (line (string-join (string-tokenize (if end (substring text 0 end) text)))))
    (if (> (string-length line) most-characters)
        (string-append (string-take line (- most-characters 3)) "...")
        line)))

(define (frame-place frame)
  ;; As `current-place', of a FRAME in a file that was evaluated here; else #f.
  (let ((source (frame-source frame)))
    (and source (hash-ref evaluated-texts (source:file source))
         (list (source:file source) (source:line source) (source:column source)))))

(define (exception-place exception)
  "\"script.scm:3:5: (car 5)\", the place of EXCEPTION in a file of the user's, or #f."
  (let* ((form-place (and (eq? exception (vector-ref kept 0)) (vector-ref kept 2)))
         (place (let loop ((frames (kept-frames exception)))
                  (cond ((null? frames) form-place)
                        ((frame-place (car frames)))
                        ((and form-place (eq? 'evaluate-forms (frame-procedure-name (car frames))))
                         form-place)
                        (else (loop (cdr frames)))))))
    (and place
         (apply (lambda (file line column)
                  (format #f "~a:~a:~a: ~a" file (1+ line) (1+ column)
                          (form-text (text-at (hash-ref evaluated-texts file) line column))))
                place))))

(define (exception-words exception)
  "What EXCEPTION says, without its place."
  (let ((text (string-trim-both (error-text (exception-kind exception) (exception-args exception)))))
    (if (string-prefix? "In procedure " text) (substring text 13) text)))

(define (exception-text exception)
  "What EXCEPTION says, its place first."
  (let ((place (exception-place exception)) (message (exception-words exception)))
    (if place (string-append place ": " message) message)))
