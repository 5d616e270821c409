;;; run.scm -- `tempera run SCRIPT key=value ...': run a script's experiment.

(define-module (tempera commands run)
  #:use-module (srfi srfi-11)
  #:use-module (system base compile)
  #:use-module (tempera cli)
  #:use-module (tempera errors)
  #:use-module (tempera experiments)
  #:export (main summary))

(define summary "run the experiment that a script defines")

(define (load-script file)
  ;; Compile form by form, in memory: fast loops, and no cache that outlives
  ;; the version of Tempera whose macros it expanded.
  (check-that (file-exists? file) 'run "no such file: ~a" file)
  (parameterize ((last-experiment #f))
    (save-module-excursion
     (lambda ()
       (set-current-module (user-module))
       (call-with-input-file file
         (lambda (port)
           (let loop ((form (read-syntax port)))
             (unless (eof-object? form)
               (compile form #:env (current-module))
               (loop (read-syntax port))))))))
    (or (last-experiment)
        (complain 'run "~a defines no experiment; see define-experiment" file))))

(define (show-usage script)
  (display "Usage: tempera run SCRIPT [KEY=VALUE...]
Run the experiment that SCRIPT defines last, with the parameters given.
`tempera run SCRIPT --help' lists them.
")
  (when script
    (newline)
    (display (experiment-usage (load-script script)))))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "run" '() (delete "--help" arguments)
                               #:operands "SCRIPT [KEY=VALUE...]")))
    (cond ((member "--help" arguments)
           (show-usage (and (pair? operands) (car operands))))
          ((null? operands)
           (complain 'run "expected a script, got none"))
          (else
           (let ((settings (settings-from-arguments 'run (cdr operands))))
             (run-experiment (load-script (car operands)) settings))))))
