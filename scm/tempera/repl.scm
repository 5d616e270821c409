;;; repl.scm -- the prompt: Guile's own, with everything of Tempera at hand.
;;;
;;; Line editing, completion, a history that lasts, commands of its own after a comma, and
;;; Guile's nested prompt after an error: the session stays usable, and `,bt' shows where it
;;; came from.

(define-module (tempera repl)
  #:use-module (ice-9 exceptions)
  #:use-module (system base compile)
  #:use-module (system base language)
  #:use-module (system repl repl)
  #:use-module (system repl command)
  #:use-module (system repl common)
  #:use-module (tempera cli)
  #:use-module (tempera completion)
  #:use-module (tempera help)
  #:use-module (tempera plots)
  #:use-module (tempera runs)
  #:use-module (tempera sweeps)
  #:use-module (tempera tables)
  #:export (start-prompt))

(define (state-directory)
  ;; $XDG_STATE_HOME/tempera, made when missing; #f where that cannot be.
  (let* ((home (or (getenv "HOME") ""))
         (state (or (getenv "XDG_STATE_HOME") (string-append home "/.local/state")))
         (directory (string-append state "/tempera")))
    (define (make path)
      (unless (or (string-null? path) (file-exists? path))
        (make (dirname path))
        (mkdir path)))
    (false-if-exception (begin (make directory) directory))))

(define (start-line-editing)
  (let ((directory (state-directory)))
    (when directory
      ;; (ice-9 readline) looks for this name when it starts.
      (setenv "GUILE_HISTORY" (string-append directory "/history"))))
  (let ((readline (false-if-exception (resolve-interface '(ice-9 readline)))))
    (when readline
      ((module-ref readline 'activate-readline))
      (complete-line-editing (map symbol->string prompt-commands)))))

;;; --- Commands -------------------------------------------------------------------

(define prompt-commands '())            ; names, symbols

(define-syntax-rule (define-prompt-command (name group repl . arguments) text body ...)
  ;; ,NAME at the prompt, listed in GROUP; #f for what takes the place of Guile's.  The first
  ;; line of TEXT is how to call it.
  (begin
    (define-meta-command ((name group) repl . arguments) text body ...)
    (set! prompt-commands (cons 'name prompt-commands))
    (let ((end (string-index text #\newline)))
      (add-help-topic! (string-append "," (substring text 0 end)) (substring text (1+ end))))))

(define guile-command
  ;; That of Guile's own with this name.
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

;;; --- Evaluation -----------------------------------------------------------------

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

(define (evaluate form module)
  (if (and (< compiled most-compiled) (loops? (syntax->datum form)))
      (begin
        (set! compiled (1+ compiled))
        (compile form #:env module #:from 'scheme))
      (primitive-eval form)))

(define failed? #f)                     ; whether anything that was read here did

(define (noting-failure procedure)
  ;; PROCEDURE, which raises what it raises.
  (lambda arguments
    (with-exception-handler
        (lambda (exception)
          (unless (eq? 'quit (exception-kind exception)) (set! failed? #t))
          (raise-continuable exception))
      (lambda () (apply procedure arguments)))))

(define prompt-language
  ;; Scheme but for `evaluate'.
  (let ((scheme (lookup-language 'scheme)))
    (make-language #:name 'tempera #:title "Tempera" #:evaluator (noting-failure evaluate)
                   #:reader (noting-failure (language-reader scheme)) #:printer (language-printer scheme)
                   #:compilers (language-compilers scheme)
                   #:decompilers (language-decompilers scheme)
                   #:make-default-environment (language-make-default-environment scheme))))

(define (prompt-text repl)
  ;; The stack ends with the one that `start-prompt' put there.
  (let ((level (- (length (fluid-ref *repl-stack*)) 2)))
    (if (zero? level)
        "tempera> "
        (format #f "tempera [~a]> " level))))

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
  ;; A prompt inside another does not greet: Guile's greeting has no option.
  (with-fluids ((*repl-stack* (list (make-repl prompt-language))))
    (start-repl prompt-language))
  (run-hook exit-hook)
  (when (and failed? (not (isatty? (current-input-port)))) (exit 1)))
