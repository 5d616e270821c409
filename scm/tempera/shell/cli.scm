;;; cli.scm -- the command line: `tempera COMMAND ...'.
;;;
;;; A command NAME is the module (tempera shell commands NAME), which exports
;;; `summary', one line for `tempera --help', and `main', a procedure of the
;;; list of words after the command's name.  A command that is an experiment exports that too,
;;; under its own name (launch.scm).  A new command is a new file.
;;; What is no command but a file is a script, as for the command run.
;;; A command ends by returning; an error is one line on standard error and
;;; exit status 1; Ctrl-C ends with status 130, SIGTERM with 143; a reader that goes away with 141.

(define-module (tempera shell cli)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 control)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera base exceptions)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base spelling)
  #:use-module (tempera base program)
  #:use-module (tempera shell options)
  #:export (main after-error command-names command-summary command-usage command-value))

;;; --- Commands --------------------------------------------------------------

(define (command-names)
  "The commands that there are: the files of the folder commands/."
  (let ((folder (find file-exists?
                      (map (lambda (path) (string-append path "/tempera/shell/commands"))
                           %load-path))))
    (map (lambda (file) (string-drop-right file 4))
         (or (and folder (scandir folder (lambda (file) (string-suffix? ".scm" file))))
             '()))))

(define* (command-value name variable #:optional default)
  "What the module of the command NAME exports as VARIABLE, or DEFAULT."
  (let ((found (module-variable (resolve-interface `(tempera shell commands ,(string->symbol name)))
                                variable)))
    (if found (variable-ref found) default)))

(define (command-summary name)
  "What the command NAME does, one line."
  (command-value name 'summary))

(define (command-usage name)
  "Four values of the command NAME: its operands and what it says of itself, strings, its parameters
and its options, lists of `make-parameter-spec'.  For the manual, the man page and completion."
  (call/ec
   (lambda (return)
     (parameterize ((usage-wanted return))
       ((command-value name 'main) '())))))

(define (show-help)
  (display "Usage: tempera [--debug] [COMMAND [ARGUMENT...]]
       tempera [--debug] SCRIPT [ARGUMENT...]
Bayesian imaging with learned score priors.  Without a command: a prompt.  A SCRIPT, a file of
Scheme or - for standard input, is run as by the command run.

")
  (for-each (lambda (name)
              (format #t "  ~a  ~a~%" (string-pad-right name 12)
                      (command-summary name)))
            (command-names))
  (display "
  --help       say this and end; `tempera COMMAND --help' says more
  --version    say which version this is and end
  --debug      on an error, show where it came from
"))

(define (script? word)
  (or (string=? word "-") (string-suffix? ".scm" word) (string-index word #\/)
      (and (file-exists? word) (not (file-is-directory? word)))))

(define (run-command arguments)
  (let ((command (if (null? arguments) "" (car arguments))))
    (cond ((null? arguments)
           ((module-ref (resolve-interface '(tempera shell repl)) 'start-prompt)))
          ((member command '("--help" "-h" "help")) (show-help))
          ((string=? command "--version") (format #t "tempera ~a~%" tempera-version))
          ((and (string-prefix? "-" command) (not (string=? command "-")))
           (complain 'tempera "~a"
                     (unknown-name-text "option" command '("--debug" "--help" "--version"))))
          ((member command (command-names))
           ((command-value command 'main) (cdr arguments)))
          ((script? command) ((command-value "run" 'main) arguments))
          (else
           (complain 'tempera "~a" (unknown-name-text "command" command (command-names)))))))

;;; --- Errors and signals ----------------------------------------------------

(define (one-line text)
  (string-join (string-tokenize text) " "))

(define after-error
  ;; A procedure of no arguments that a command may set: how to go on after an error, or #f.
  (make-parameter (const #f)))

(define (failed-write exception)
  ;; The number of the error, where EXCEPTION is of writing to a port that has no name: what is printed.
  (and (eq? 'system-error (exception-kind exception))
       (equal? "fport_write" (first (exception-args exception)))
       (system-error-errno (cons 'system-error (exception-args exception)))))

(define (report-error exception)
  ;; "tempera: FILE:LINE:COLUMN: FORM: PROCEDURE: message", and no "tempera: tempera:".
  (let ((text (if (failed-write exception)
                  (string-append "standard output: " (strerror (failed-write exception)))
                  (one-line (exception-text exception))))
        (next ((after-error))))
    (format (current-error-port) "~a~a~a~%"
            (if (string-prefix? "tempera: " text) "" "tempera: ") text
            (if next (format #f "; ~a" next) ""))))

;; Of what the core cannot use, and passes over.  Few runs have either: `@' loads when needed.
(define (warn-of-variables)
  (define (warn-unless used? name in-its-place)
    (let ((value (getenv name)))
      (when (and value (not (string-null? value)) (not (used? value)))
        (format (current-error-port) "tempera: ~a=~a: ~a~%" name value (in-its-place)))))
  (warn-unless (lambda (value) (string=? value (symbol->string ((@ (tempera tensor primitives) instruction-set)))))
               "TEMPERA_ISA"
               (lambda ()
                 (format #f "expected generic, v3, v4 or v4-bf16, as far as this processor has it; \
going on with ~a" ((@ (tempera tensor primitives) instruction-set)))))
  (warn-unless (lambda (value)
                 (let ((n (string->number value)))
                   (and (exact-integer? n) (> n 0)
                        ;; Few are always to be had.
                        (or (< n 16) (= n ((@ (tempera tensor primitives) threads)))))))
               "TEMPERA_THREADS"
               (lambda ()
                 (format #f "expected a positive integer, of threads that are to be had; going on with ~a"
                         ((@ (tempera tensor primitives) threads))))))

(define (check-encoding arguments)
  ;; Guile has put a question mark for each byte that is no text in this locale; no file has
  ;; such a name, and nobody would see why.
  (define (marks text) (string-count text #\?))
  (when (any (lambda (argument) (positive? (marks argument))) arguments)
    (let ((bytes (false-if-error
                  (call-with-input-file "/proc/self/cmdline" get-string-all
                                        #:encoding "ISO-8859-1"))))
      (when bytes
        (let ((words (take-right (drop-right (string-split bytes #\nul) 1) (length arguments))))
          (for-each (lambda (argument word)
                      (check-that (= (marks argument) (marks word)) 'tempera
                                  "~a: the ? stands for bytes that are no text in ~a; rename the file, \
or set LC_ALL to the locale in which it has its name" argument
                                  (or (setlocale LC_CTYPE) "this locale")))
                    arguments words))))))

(define (joined?)
  ;; Whether this process is one of several that compute together.
  (let ((ranks (resolve-module '(tempera tensor ranks) #f #:ensure #f)))
    (and ranks (> ((@ (tempera tensor primitives) mpi-size)) 1))))

(define (main arguments)
  "Do what ARGUMENTS, those after the program's name, ask for, and leave with
the exit status: 0, 1 after an error, 128 and a signal's number after one: 130 after Ctrl-C."
  (false-if-error (setlocale LC_ALL ""))
  (let* ((all-arguments arguments)
         (debug? (and (pair? arguments) (string=? (car arguments) "--debug")))
         (arguments (if debug? (cdr arguments) arguments))
         (status
          (call-keeping-stack
           (lambda ()
             (handle-signals)
             (when (rank?) (resolve-interface '(tempera tensor ranks))) ; only rank 0 prints
             (warn-of-variables)
             (started-as (cons "tempera" all-arguments))
             (check-encoding all-arguments)
             (run-command arguments)
             (force-output)
             0)
           (lambda (exception)
             (cond ((eq? 'quit (exception-kind exception))
                    (apply (lambda* (#:optional (status #t)) status) (exception-args exception)))
                   ((interrupt-status exception)
                    => (lambda (status) (end-interrupted-line) status))
                   ;; `tempera help | head': who read it has enough.
                   ((eqv? EPIPE (failed-write exception)) (+ 128 SIGPIPE))
                   (else
                    (let ((print (lambda ()
                                   (when debug? (write-backtrace exception (current-error-port)))
                                   (report-error exception))))
                      (if (joined?)
                          ((@ (tempera tensor ranks) report-failure) exception print)
                          (print)))
                    1))))))
    (exit status)))
