;;; launch.scm -- an experiment run by the words of a command line: a script's, or a command's own.
;;;
;;; A command that is an experiment, NAME, is the module (tempera shell commands NAME), which defines
;;; and exports it; so `tempera NAME' runs it, and `tempera sweep NAME' does at many settings.  One that has several, as
;;; reconstruct has by its problems, exports `experiment-for'.

(define-module (tempera shell launch)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base parameters)
  #:use-module (tempera file programs)
  #:use-module (tempera run experiments)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera shell cli)
  #:use-module (tempera shell options)
  #:export (named-experiment experiment-words operand-names run-command call-saying-stopped))

(define* (named-experiment name #:optional (words '()))
  "The experiment of the command NAME, or the one that the script NAME defines.  A command that has several exports
`experiment-for', a procedure that finds it by the WORDS after its name."
  (or (and (member name (command-names))
           (let ((experiment-for (command-value name 'experiment-for)))
             (if experiment-for (experiment-for words) (command-value name (string->symbol name)))))
      (load-script name)))

(define (operands experiment)
  ;; The parameters that a word alone is the value of.
  (filter parameter-required? (experiment-parameters experiment)))

(define (operand-names experiment)
  "The operands of EXPERIMENT as help writes them: (\"INPUT\")."
  (map (lambda (p) (string-upcase (symbol->string (parameter-name p)))) (operands experiment)))

(define (experiment-words experiment words options)
  "Two values of WORDS: an association list of the OPTIONS given and one of the settings of
EXPERIMENT, names and text.  A word that is neither is the value of the next parameter that is
required and not named."
  (let*-values (((who) (experiment-name experiment))
                ((given settings rest)
                 (parse-words who words options #:parameters (experiment-parameters experiment)))
                ((open) (remove (lambda (p) (assq (parameter-name p) settings))
                                (operands experiment))))
    (check-that (<= (length rest) (length open)) who "expected key=value, got ~a"
                (string-join (drop rest (min (length open) (length rest)))))
    (values given
            (append (map (lambda (p word) (cons (parameter-name p) word))
                         (take open (length rest)) rest)
                    settings))))

(define (call-saying-stopped directory mended? thunk)
  "What THUNK returns, which runs the run in DIRECTORY.  After a signal, or an error inside, say how
to go on; MENDED?: the script being mended first."
  (define (go-on . more)
    (shell-text (cons* "tempera" "run" (string-append "--continue=" directory) more)))
  (after-error
   (lambda ()
     (and (eq? 'failed (false-if-error (run-state (open-run directory))))
          (if mended?
              (format #f "~a/log.txt has its backtrace; once it is mended, go on with: ~a" directory
                      (go-on "--mended"))
              (format #f "~a/log.txt has its backtrace" directory)))))
  (call-saying-stop thunk
    (lambda ()
      (format #f "~a: interrupted; go on with: ~a" directory (go-on)))))

(define (command-options experiment)
  (parameter-specs
   (out (optional string) (const #t)
        (format #f "directory for what the run leaves; runs/~a-DATE-TIME" (experiment-name experiment)))))

(define* (run-command experiment words #:key (called (symbol->string (experiment-name experiment))))
  "Run EXPERIMENT, a command's, with the WORDS after the command's name; help says that it is CALLED so."
  (let ((name (symbol->string (experiment-name experiment)))
        (options (command-options experiment))
        (operands (string-join (operand-names experiment)))
        (text (experiment-documentation experiment)) (parameters (experiment-parameters experiment)))
    (when (usage-wanted) ((usage-wanted) operands text parameters options))
    (let-values (((given settings)
                  (experiment-words experiment words (cons help-option options))))
      (if (assq 'help given)
          (show-usage called operands text parameters options)
          ;; Nothing is made before settings are right.
          (let* ((settings (experiment-settings experiment settings))
                 (directory (or (assq-ref (option-values name options given) 'out)
                                (fresh-directory name))))
            (call-saying-stopped directory #f
             (lambda () (run-experiment experiment settings #:directory directory))))))))
