;;; run.scm -- `tempera run SCRIPT key=value ...': run a script's experiment.

(define-module (tempera commands run)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera cli)
  #:use-module (tempera errors)
  #:use-module (tempera experiments)
  #:use-module (tempera files)
  #:use-module (tempera interrupts)
  #:use-module (tempera progress)
  #:use-module (tempera run-files)
  #:use-module (tempera runs)
  #:export (main summary))

(define summary "run the experiment that a script defines")

(define options
  '((run string "directory for what the run leaves; runs/NAME-DATE-TIME")))

(define (show-usage script)
  (display "Usage: tempera run [--run=DIR] SCRIPT [KEY=VALUE...]
       tempera run --run=DIR
Run the experiment that SCRIPT defines last, with the parameters given.
`tempera run SCRIPT --help' lists them.

  --run=DIR  directory for what the run leaves: config, log, metrics, results;
             runs/NAME-DATE-TIME.  A run that was interrupted or failed is gone on with,
             by its own copy of the script if none is given; a finished one is kept.
")
  (when script
    (newline)
    (display (experiment-usage (load-script script)))))

(define (run-script script arguments directory)
  (let* ((experiment (load-script script))
         ;; Checked before a directory is made.
         (settings (experiment-settings experiment (settings-from-arguments 'run arguments))))
    (let ((directory (or directory (fresh-directory (experiment-name experiment)))))
      (call-saying-interrupted directory
       (lambda () (run-experiment experiment settings #:directory directory))))))

(define (call-saying-interrupted directory thunk)
  (call-saying-stop thunk
    (lambda ()
      (format #f "~a: interrupted; go on with: ~a" directory
              (shell-text (list "tempera" "run" (string-append "--run=" directory)))))))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "run" options (delete "--help" arguments))))
    (let ((directory (assq-ref options 'run)))
      (cond ((member "--help" arguments)
             (show-usage (and (pair? operands) (car operands))))
            ((pair? operands)
             (say-end (run-script (car operands) (cdr operands) directory)))
            (directory
             (say-end (call-saying-interrupted directory (lambda () (resume-run directory)))))
            (else
             (complain 'run "expected a script, got none"))))))

(define (say-end run)
  (format #t "~a: ~a in ~a~%" (run-directory run) (run-state run) (duration-text (run-seconds run))))
