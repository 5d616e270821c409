;;; evaluation.scm -- the user's own text: how it is evaluated, and where in it an error is.
;;;
;;; Scripts and what is typed at the prompt are evaluated form by form, in memory: no cache
;;; outlives the version of Tempera whose macros it expanded.  An error has the place of the
;;; innermost call that stands in a file of the user's, not in Guile or Tempera.

(define-module (tempera base evaluation)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 textual-ports)
  #:autoload (system base compile) (compile default-warning-level)
  #:autoload (system repl debug) (print-frames stack->vector)
  #:use-module (system vm frame)
  #:use-module (system vm program)
  #:use-module (tempera base errors)
  #:export (evaluate evaluate-text load-file file-text call-keeping-stack keep-stack-of-throw!
            exception-frames exception-place exception-words exception-text write-backtrace)
  #:replace (load))

;;; --- One form -------------------------------------------------------------------

;; Guile keeps the code of every expression that it compiled, and ends at some two thousand
;; (its collector's "Too many root sets").  So what has no loop, which a prompt sees most, is
;; interpreted, and after a while everything.
(define most-compiled 1000)
(define compiled 0)

(define (loops? datum)
  (and (pair? datum)
       (or (memq (car datum) '(lambda lambda* case-lambda case-lambda* define* do while))
           (and (memq (car datum) '(define let)) (pair? (cdr datum))
                (eq? (eq? 'define (car datum)) (pair? (cadr datum)))
                (not (null? (cadr datum))))
           (let any-loops? ((rest datum))
             (and (pair? rest) (or (loops? (car rest)) (any-loops? (cdr rest))))))))

(define* (evaluate form module #:key (compile? (loops? (syntax->datum form))))
  "The value of FORM in MODULE: compiled if COMPILE?, which is faster where it has loops."
  (if (and compile? (< compiled most-compiled))
      (begin
        (set! compiled (1+ compiled))
        (compile form #:env module #:from 'scheme))
      (primitive-eval form)))

;;; --- A file ---------------------------------------------------------------------

(define (without-interpreter text)
  ;; TEXT less its first line `#!/usr/bin/env tempera', which a script need not close by !#.
  (if (and (string-prefix? "#!" text) (not (string-contains text "\n!#")))
      (substring text (or (string-index text #\newline) (string-length text)))
      text))

(define texts (make-hash-table))        ; from a file's name to the text evaluated last

(define current-place
  ;; Of the form of a file that is read or evaluated: name, line and column from 0; or #f.
  (make-fluid #f))

(define (file-text file)
  "The text of FILE.
Example: (file-text \"experiments/two-moons.scm\")"
  (call-with-input-file file get-string-all #:encoding "UTF-8"))

(define (skip-blank port)
  ;; To the next form of PORT: past white space and comments that go to the line's end.
  (let ((next (peek-char port)))
    (cond ((eof-object? next))
          ((char-whitespace? next) (read-char port) (skip-blank port))
          ((char=? next #\;) (get-line port) (skip-blank port)))))

(define (evaluate-forms port module compile?)
  (let loop ((value *unspecified*))
    (skip-blank port)
    (if (eof-object? (peek-char port))
        value
        (let ((line (port-line port)))
          (loop (with-fluids ((current-place (list (port-filename port) line (port-column port))))
                  (let ((form (read-syntax port)))
                    (if (eof-object? form) ; a comment stood there
                        value
                        (evaluate form module
                                  #:compile? (compile? form (> (port-line port) line)))))))))))

(define* (evaluate-text file text module
                        #:key (compile? (lambda (form long?)
                                          (or long? (loops? (syntax->datum form))))))
  "Evaluate in MODULE the forms of TEXT, which FILE has, and return the last one's value.
COMPILE? tells of a form, and whether it takes more than a line, whether to compile it:
interpreted code does not know its lines."
  (hash-set! texts file text)
  (call-with-input-string (without-interpreter text)
    (lambda (port)
      (set-port-filename! port file)
      (evaluate-forms port module compile?))))

(define (load-file directory file)
  "Evaluate FILE, a name in DIRECTORY unless it is absolute, in the current module."
  (check-that (string? file) 'load "file: expected a string, got ~s" file)
  (let ((path (if (or (absolute-file-name? file) (member directory '(#f ".")))
                  file
                  (string-append directory "/" file))))
    (check-that (file-exists? path) 'load "no such file: ~a" path)
    (check-that (not (file-is-directory? path)) 'load "expected a file, got the folder ~a" path)
    (save-module-excursion
     (lambda ()
       ;; Names that are defined further down are no mistake.
       (parameterize ((default-warning-level 0))
         (evaluate-text path (file-text path) (current-module)))))))

(define-syntax load
  ;; As Guile's, whose files do not know where their errors are: a name is meant beside the file
  ;; that has the call.
  (lambda (form)
    (let* ((file (assq-ref (or (syntax-source form) '()) 'filename))
           (directory (and (string? file) (dirname file))))
      (syntax-case form ()
        ((_ file) #`(load-file #,directory file))
        (name (identifier? #'name) #`(lambda (file) (load-file #,directory file)))))))

;;; --- Errors ---------------------------------------------------------------------

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
                "tempera/base/interrupts.scm")
           (take-while (negate (in? "tempera/shell/repl.scm" "tempera/shell/cli.scm"))
                       (kept-frames exception)))))

(define (write-backtrace exception port)
  "On PORT, where EXCEPTION came from: calls, the innermost last."
  (catch #t
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
  (let* ((end (catch #t
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
    (and source (hash-ref texts (source:file source))
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
                          (form-text (text-at (hash-ref texts file) line column))))
                place))))

(define (exception-words exception)
  "What EXCEPTION says, without its place."
  (let ((text (string-trim-both (error-text (exception-kind exception) (exception-args exception)))))
    (if (string-prefix? "In procedure " text) (substring text 13) text)))

(define (exception-text exception)
  "What EXCEPTION says, its place first."
  (let ((place (exception-place exception)) (message (exception-words exception)))
    (if place (string-append place ": " message) message)))
