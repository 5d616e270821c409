;;; repl.scm -- the prompt: expressions in, values out, with everything of Tempera at hand.
;;;
;;; It has line editing, completion, a history that is kept, and after a comma Guile's commands and
;;; some of its own.  An error leaves the prompt as it was; `,bt' shows where the last one came
;;; from.

(define-module (tempera shell repl)
  #:use-module (ice-9 buffered-input)
  #:use-module (ice-9 control)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 rdelim)
  #:use-module (ice-9 regex)
  #:use-module (rnrs bytevectors)
  #:use-module (system base language)
  #:use-module (system foreign)
  #:use-module (system repl command)
  #:use-module (system repl common)
  #:use-module (system repl debug)
  #:use-module (tempera base errors)
  #:use-module (tempera base program)
  #:use-module (tempera base user-module)
  #:use-module (tempera shell completion)
  #:use-module (tempera base evaluation)
  #:use-module (tempera base exceptions)
  #:use-module (tempera shell help)
  #:use-module (tempera base interrupts)
  #:use-module (tempera see plots)
  #:use-module (tempera run runs)
  #:use-module (tempera run sweeps)
  #:use-module (tempera file tables)
  #:export (start-prompt))

(define (state-directory)
  ;; $XDG_STATE_HOME/tempera, made when missing; #f where that cannot be.
  (let* ((home (or (getenv "HOME") ""))
         (given (getenv "XDG_STATE_HOME"))
         (state (if (and given (absolute-file-name? given))
                    given
                    (string-append home "/.local/state")))
         (directory (string-append state "/tempera")))
    (define (make path)
      (unless (or (string-null? path) (file-exists? path))
        (make (dirname path))
        (mkdir path)))
    (false-if-error (begin (make directory) directory))))

(define (start-line-editing)
  (let ((directory (state-directory)))
    (when directory
      ;; (ice-9 readline) looks for this name when it starts.
      (setenv "GUILE_HISTORY" (string-append directory "/history"))))
  (let ((readline (false-if-error (resolve-interface '(ice-9 readline)))))
    (cond (readline
           (wait-for-keys! (current-input-port))
           ((module-ref readline 'activate-readline))
           (complete-line-editing (map symbol->string prompt-commands)))
          (else
           (set-current-input-port (line-port (current-input-port)))))))

(define (line-port terminal)
  ;; A port like readline's, without its editing.
  (make-line-buffered-input-port
   (lambda (continuation?)
     (when continuation? (display "... ") (force-output))
     (wait-for-input terminal)
     (read-line terminal))))

(define (wait-for-input port)
  ;; Wait until PORT has input.  Ctrl-C ends this at once; inside a read Guile would notice it only
  ;; at the next key or line.
  (unless (pair? (car (catch 'system-error
                        (lambda () (select (list port) '() '()))
                        (lambda arguments
                          (if (= EINTR (system-error-errno arguments))
                              '(())
                              (apply throw arguments))))))
    (wait-for-input port)))

(define read-key #f)                    ; for C, which may call it as long as the program runs

(define (wait-for-keys! port)
  ;; Let readline wait for PORT's next key by `wait-for-input'.
  (let ((variable (readline-variable "rl_getc_function")))
    (when variable
      (let ((read-ready-key (pointer->procedure int (dereference-pointer variable) '(*))))
        (set! read-key (procedure->pointer int
                                           (lambda (file)
                                             (wait-for-input port)
                                             (read-ready-key file))
                                           '(*)))
        (bytevector-uint-set! (pointer->bytevector variable (sizeof '*)) 0
                              (pointer-address read-key) (native-endianness) (sizeof '*))))))

;;; --- Commands -------------------------------------------------------------------

(define prompt-commands '())            ; names, symbols

(define-syntax-rule (define-prompt-command (name group repl . arguments) text body ...)
  ;; Define ,NAME, listed in GROUP, or #f if it replaces one of Guile's.  The first line of TEXT says
  ;; how to call it.
  (begin
    (define-meta-command ((name group) repl . arguments) text body ...)
    (set! prompt-commands (cons 'name prompt-commands))
    (let ((end (string-index text #\newline)))
      (add-help-topic! (string-append "," (substring text 0 end)) (substring text (1+ end))))))

(define guile-command
  ;; Guile's own command of this name.
  (let ((lookup (@@ (system repl command) lookup-command))
        (procedure (@@ (system repl command) command-procedure)))
    (lambda (name) (procedure (lookup name)))))

(define guile-help (guile-command 'help))

(define-prompt-command (describe #f repl (what))
  "describe NAME
Say what NAME is: its arguments, what it does, an example."
  (help-about (let ((datum (syntax->datum what))) ; the reader keeps where it was
                (if (or (symbol? datum) (string? datum))
                    datum
                    (repl-eval repl what)))))

(define-prompt-command (help #f repl . words)
  "help [GROUP | COMMAND | WORDS]
List the prompt's commands; or say what a COMMAND is for; or search everything for WORDS."
  (if (or (null? words)
          (memq (car words) '(all -c))
          (assq (car words) (@@ (system repl command) *command-table*))
          ((@@ (system repl command) lookup-command) (car words)))
      (apply guile-help repl words)
      (help-about (if (null? (cdr words))
                      (car words)
                      (string-join (map object->string words))))))

(define-prompt-command (runs tempera repl . words)
  "runs [FOLDER]
List the runs in FOLDER, runs/ unless given."
  (let ((found (list-runs (if (null? words) "runs" (object->text (car words))))))
    (if (null? found)
        (format #t "no runs there~%")
        (for-each (lambda (run) (format #t "~a  ~a~%" (run-directory run) run)) found))))

(define-prompt-command (sweep tempera repl . words)
  "sweep DIRECTORY
Show the results of the sweep in DIRECTORY, as far as it has come."
  (if (null? words)
      (guile-help repl 'sweep)          ; how to call it
      (let ((sweep (open-sweep (object->text (car words)))))
        (format #t "~a~%~a~%" sweep (table-text (sweep-results sweep))))))

(define-prompt-command (plot tempera repl . expressions)
  "plot EXPRESSION [KEYWORD EXPRESSION]...
Draw what EXPRESSION gives, a schedule, a chain, a trainer, a table, numbers, as `plot' does."
  (if (null? expressions)
      (guile-help repl 'plot)
      (apply plot (map (lambda (expression) (repl-eval repl expression)) expressions))))

(define (object->text word)
  ;; A folder's name, with quotes or without.
  (let ((word (syntax->datum word)))
    (if (string? word) word (object->string word))))

(define-prompt-command (load #f repl file)
  "load FILE
Evaluate the forms in FILE."
  (load-file #f (object->text file)))

;;; --- Evaluation -----------------------------------------------------------------

(define failed? #f)                     ; whether anything that was read here did

(define prompt-language
  ;; Scheme, evaluated by `evaluate'.
  (let ((scheme (lookup-language 'scheme)))
    (make-language #:name 'tempera #:title "Tempera" #:evaluator evaluate
                   #:reader (language-reader scheme) #:printer (language-printer scheme)
                   #:compilers (language-compilers scheme)
                   #:decompilers (language-decompilers scheme)
                   #:make-default-environment (language-make-default-environment scheme))))

(define (typed-form form module)
  ;; FORM, as typed, with a call of a procedure that pauses marked as typed: (anneal ...),
  ;; (apply anneal ...), or either as the value in a `define' or `set!'.
  (define (value-of name)
    (let* ((name (syntax->datum name))
           (variable (and (symbol? name) (module-variable module name))))
      (and variable (variable-bound? variable) (variable-ref variable))))
  (define (marked call)
    (syntax-case call ()
      ((head . arguments) (pauses? (value-of #'head)) #'(call-typed head . arguments))
      ((head first . arguments)
       (and (eq? 'apply (syntax->datum #'head)) (pauses? (value-of #'first)))
       #'(call-typed head first . arguments))
      (_ call)))
  (syntax-case form ()
    ((head name value)
     (and (memq (syntax->datum #'head) '(define set!)) (symbol? (syntax->datum #'name)))
     #`(head name #,(marked #'value)))
    (_ (marked form))))

(define (show-error repl exception)
  ;; Show where it came from and what it says; keep it for `,bt'.
  (set! failed? #t)
  (let ((place (exception-place exception)) (message (exception-words exception)))
    (when place (format #t "~a~%" place))
    (format #t "~a~%" message)
    (unless (repl-debug repl)           ; the first
      (format #t "(,bt shows where that came from.)~%"))
    (set! (repl-debug repl) (make-debug (exception-frames exception) 0 message))))

(define (call-at-one-level repl thunk)
  ;; Call THUNK and show an error in it.  Ctrl-C ends it; `quit' and other signals are raised
  ;; again, for the prompt itself.
  (call-keeping-stack
   (lambda () (call-at-prompt thunk))
   (lambda (exception)
     (let ((signal (interrupt-signal exception)))
       (cond ((or (eq? 'quit (exception-kind exception)) (and signal (not (eqv? signal SIGINT))))
              (raise-exception exception))
             (signal
              (set! failed? #t)
              ;; Over the ^C that the terminal shows.
              (format #t "~ainterrupted~%" (if (isatty? (current-output-port)) "\r" "")))
             (else (show-error repl exception)))))))

(define (answer repl expression)
  (call-at-one-level repl
    (lambda ()
      (if (eq? expression command-token)
          (meta-command repl)
          (call-with-values
              (lambda ()
                (run-hook before-eval-hook expression) ; which makes $1 and the like known
                ;; With Guile's prompt tag, which `abort' and the like look for.
                (% (start-stack #t (evaluate (typed-form expression (current-module))
                                             (current-module)))
                   (lambda _ (values))))
            (lambda values
              (for-each (lambda (value) (repl-print repl value)) values)))))))

;;; --- The prompt -----------------------------------------------------------------

(define (prompt-text repl)
  ;; Deeper levels are prompts that stopped at a `,break'.
  (let ((level (1- (length (fluid-ref *repl-stack*)))))
    (if (zero? level)
        "tempera> "
        (format #f "tempera [~a]> " level))))

(define command-token (list 'command))

(define (skip-white-space port)
  ;; Skip white space, lines included; the next character, which is not read.
  (let ((next (peek-char port)))
    (cond ((eof-object? next) next)
          ((char-whitespace? next) (read-char port) (skip-white-space port))
          (else next))))

(define (skip-rest-of-line port)
  ;; Skip white space that is ready in PORT, up to the end of the line.
  (when (char-ready? port)
    (let ((next (peek-char port)))
      (when (and (char? next) (char-whitespace? next))
        (read-char port)
        (unless (char=? next #\newline) (skip-rest-of-line port))))))

(define (skip-ready-input port)
  (when (and (char-ready? port) (char? (read-char port)))
    (skip-ready-input port)))

(define (read-expression port)
  ;; The next expression in PORT; unspecified for a comment, `command-token' for a comma, or the end
  ;; of file.
  (let ((next (skip-white-space port)))
    (cond ((eof-object? next) next)
          ((char=? next #\,) (read-char port) command-token)
          ((char=? next #\;) (read-line port) *unspecified*)
          (else ((language-reader prompt-language) port (current-module))))))

(define (without-place text)
  ;; The reader's "#<unknown port>:10:2: unexpected ...": what was typed is no file.
  (let ((found (string-match "^[^ ]+ port>:[0-9]+:[0-9]+: " text)))
    (if found (match:suffix found) text)))

(define (next-expression repl)
  ;; What is typed next; unspecified when that was Ctrl-C or could not be read.
  (set-buffered-input-continuation?! (current-input-port) #f)
  (call-keeping-stack
   (lambda ()
     (repl-reader (lambda () (prompt-text repl))
                  (lambda* (#:optional (port (current-input-port))) (read-expression port))))
   (lambda (exception)
     (cond ((eqv? SIGINT (interrupt-signal exception))
            (unless (using-readline?) (newline))) ; which has ended the line
           ((interrupt-signal exception) (raise-exception exception))
           (else
            (set! failed? #t)
            (format #t "~a~%" (without-place (exception-words exception)))))
     (skip-ready-input (current-input-port))
     *unspecified*)))

(define (take-turn repl)
  ;; Read and answer; whether there is more to be read.
  (let ((expression (next-expression repl)))
    (cond ((eof-object? expression) (newline) #f)
          (else
           (unless (unspecified? expression)
             (unless (eq? expression command-token)
               (skip-rest-of-line (current-input-port)))
             (answer repl expression))
           #t))))

(define (take-turns repl)
  ;; Until there is no more.  Ctrl-C may come between what catches it above, or while an error is shown.
  (when (call-keeping-stack
         (lambda () (take-turn repl))
         (lambda (exception)
           (unless (eqv? SIGINT (interrupt-signal exception)) (raise-exception exception))
           (newline)
           #t))
    (take-turns repl)))

(define (start-prompt)
  "Read, evaluate and print expressions until `,quit' or the end of input.  Input that is no
terminal is read to its end too, whatever fails; the process then ends with status 1 if something did."
  (when (isatty? (current-input-port)) (start-line-editing))
  (set-current-module (user-module))
  (module-use! (current-module) (resolve-interface '(ice-9 session) #:select '(apropos)))
  (repl-default-option-set! 'prompt prompt-text)
  (repl-default-option-set! 'interp #t) ; by the language's evaluator
  (format #t "Tempera ~a on Guile ~a.  (help) says how to begin; ,help lists the prompt's commands.~%"
          tempera-version (version))
  (let ((repl (make-repl prompt-language)))
    (dynamic-wind
      (const #t)
      (lambda ()
        (parameterize ((current-language prompt-language))
          (with-fluids ((*repl-stack* (list repl)))
            (catch 'quit
              (lambda () (take-turns repl))
              ;; `,quit' is the end of input; (exit 5) has a status of its own.
              (lambda (key . status)
                (unless (null? status) (apply throw key status)))))))
      (lambda () (run-hook exit-hook))))
  (when (and failed? (not (isatty? (current-input-port)))) (exit 1)))
