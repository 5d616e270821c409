;;; repl.scm -- the prompt: Guile's own, with everything of Tempera at hand.
;;;
;;; Line editing, completion of every name, a history that lasts, and Guile's
;;; nested prompt after an error: the session stays usable, and `,bt' shows
;;; where it came from.

(define-module (tempera repl)
  #:use-module (system repl repl)
  #:use-module (system repl common)
  #:use-module (tempera cli)
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
      ((module-ref readline 'activate-readline)))))

(define (prompt-text repl)
  ;; The stack ends with the one that `start-prompt' put there.
  (let ((level (- (length (fluid-ref *repl-stack*)) 2)))
    (if (zero? level)
        "tempera> "
        (format #f "tempera [~a]> " level))))

(define (start-prompt)
  "Read, evaluate and print expressions until `,quit' or the end of input."
  (when (isatty? (current-input-port)) (start-line-editing))
  (set-current-module (user-module))
  (module-use! (current-module) (resolve-interface '(ice-9 session)))
  (repl-default-option-set! 'prompt prompt-text)
  (format #t "Tempera ~a on Guile ~a.  ,describe NAME explains; ,help lists the prompt's commands.~%"
          tempera-version (version))
  ;; A prompt inside another does not greet: Guile's greeting has no option.
  (with-fluids ((*repl-stack* (list (make-repl (current-language)))))
    (start-repl))
  (run-hook exit-hook))
