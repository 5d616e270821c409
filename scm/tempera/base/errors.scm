;;; errors.scm -- how Tempera says that something is wrong.
;;;
;;; Every error that a user can cause has the key `tempera-error', the name of
;;; the procedure, a message that says which argument was wrong, what was expected and
;;; what came, and the core's status (bad-argument, bad-shape, ...).

(define-module (tempera base errors)
  #:use-module (tempera base documentation)
  #:export (complain complain-of-system no-space? check-that check-path check-file bounded error-text
            catch-errors false-if-error))

(define most-items 200)                 ; of a list, in a message
(define most-depth 16)
(define longest-text 4000)

(define (bounded object)
  "OBJECT so that it can be printed: lists and vectors may come from files, and nested or long
without end.  What is left out of them is ...
Example: (bounded '(1 #(2))) => (1 #(2))"
  (define (items x depth)
    (let loop ((x x) (left most-items) (seen '()))
      (cond ((null? x) (reverse seen))
            ((not (pair? x)) (append-reverse seen (copy x depth)))
            ((zero? left) (reverse (cons '... seen)))
            (else (loop (cdr x) (1- left) (cons (copy (car x) depth) seen))))))
  (define (append-reverse reversed tail)
    (if (null? reversed) tail (append-reverse (cdr reversed) (cons (car reversed) tail))))
  (define (copy x depth)
    (cond ((not (or (pair? x) (vector? x))) x)
          ((zero? depth) '...)
          ((pair? x) (items x (1- depth)))
          (else (list->vector (items (vector->list x) (1- depth))))))
  (copy object most-depth))

(define (cut text)
  (if (> (string-length text) longest-text)
      (string-append (substring text 0 longest-text) " ...")
      text))

(define (complain procedure message . arguments)
  "Raise a `tempera-error' from PROCEDURE (a symbol or string) whose text is
MESSAGE, a format string for ARGUMENTS.
Example: (catch 'tempera-error (lambda () (complain 'anneal \"chains: expected 1 or more, got ~a\" 0))
           (lambda (key . arguments) (error-text key arguments)))"
  (scm-error 'tempera-error
             (if (symbol? procedure) (symbol->string procedure) procedure)
             "~A" (list (cut (apply format #f message (map bounded arguments))))
             '(bad-argument)))

;; Of what a full disk, a quota, a limit on the size of files is.
(define no-space (list ENOSPC 122 27))  ; EDQUOT, EFBIG

(define (complain-of-system procedure path errno)
  "Raise a `tempera-error' from PROCEDURE: what the system says, ERRNO, of the file PATH.
Example: (catch 'tempera-error (lambda () (complain-of-system 'f \"a.csv\" ENOENT))
           (lambda (key . arguments) (error-text key arguments)))"
  (scm-error 'tempera-error (symbol->string procedure) "~a: ~a" (list path (strerror errno))
             (list (if (memv errno no-space) 'no-space 'io))))

(define (no-space? key arguments)
  "Whether the exception KEY with ARGUMENTS, as caught by `catch', came of a full disk, a quota or a
limit on the size of files: the same may go well another time.
Example: (no-space? 'system-error (list \"write\" \"~a\" '(\"full\") (list ENOSPC))) => #t"
  (and (pair? arguments)
       (case key
         ((tempera-error) (equal? '(no-space) (car (last-pair arguments))))
         ((system-error) (and (memv (system-error-errno (cons key arguments)) no-space) #t))
         (else #f))))

(define-syntax-rule (check-that condition procedure message argument ...)
  (unless condition (complain procedure message argument ...)))

(define (check-path procedure path)
  "Complain from PROCEDURE unless PATH can name a file: a string without NUL characters, at which
the system would take it to end.
Example: (check-path 'load-json \"chain.json\")"
  (check-that (and (string? path) (not (string-index path #\nul))) procedure
              "path: expected a string without NUL characters, got ~s" path))

;; What Ctrl-C and other signals raise (interrupts.scm; at Guile's own prompt the second), and `exit'.
(define no-errors '(signal user-interrupt quit))

(define (catch-errors thunk handler)
  "What THUNK returns; if an error ends it, what HANDLER returns, called with the error's key and
arguments, as by `catch'.  What a signal or `exit' raises is no error, and goes through.
Example: (catch-errors (lambda () (car '())) (lambda (key . arguments) key)) => wrong-type-arg"
  (catch #t
    thunk
    (lambda (key . arguments)
      (apply (if (memq key no-errors) throw handler) key arguments))))

(define-syntax-rule (false-if-error expression)
  (catch-errors (lambda () expression) (const #f)))

(define (check-file procedure path)
  "Complain from PROCEDURE unless PATH names a regular file that is there: a pipe or a device may have
no end, and no writer.
Example: (check-file 'load-json \"summary.json\")"
  (check-path procedure path)
  (let ((status (stat path #f)))
    (check-that status procedure "~a: no such file" path)
    (check-that (eq? 'regular (stat:type status)) procedure "~a: expected a regular file, got a ~a"
                path (stat:type status))))

(define (error-text key arguments)
  "The one line that a user reads for an exception KEY with ARGUMENTS, as caught
by `catch'.
Example: (error-text 'tempera-error '(\"f\" \"~A\" (\"x: expected 1\") (bad-argument)))"
  (call-with-output-string
    (lambda (port) (print-exception port #f key arguments))))

(define (print-tempera-error port key arguments default)
  (apply (lambda (procedure message message-arguments . rest)
           (format port "~a: " procedure)
           (apply format port message message-arguments))
         arguments))

(set-exception-printer! 'tempera-error print-tempera-error)

;; Guile 3.0.8 hands over the bounds of what (list-ref items -1) and the like get as raw numbers
;; where values are expected; to print them, or just to look at their type, is a segmentation fault.
;; Sound bounds of a length or an index begin with 0, which can be told by its bits alone.
(set-exception-printer! 'out-of-range
  (lambda (port key arguments default)
    (apply (lambda (procedure message values . rest)
             (when procedure (format port "In procedure ~a: " procedure))
             (if (and (= 3 (length values)) (not (eq? 0 (car values))))
                 (format port "Value out of range: ~s" (caddr values))
                 (apply simple-format port message values)))
           arguments)))

(document
 (check-that
  "(check-that CONDITION PROCEDURE MESSAGE ARGUMENT ...)
`complain' from PROCEDURE unless CONDITION holds.
Example: (check-that (> 3 0) 'anneal \"chains: expected 1 or more, got ~a\" 3)")
 (false-if-error
  "(false-if-error EXPRESSION)
The value of EXPRESSION, or #f if an error ends it; see `catch-errors'.
Example: (false-if-error (car '())) => #f"))
