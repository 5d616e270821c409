;;; rerun.scm -- `tempera rerun DIR': run a run again, and compare the bits.

(define-module (tempera shell commands rerun)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base parameters)
  #:use-module (tempera shell options)
  #:use-module (tempera run reruns)
  #:use-module (tempera run runs)
  #:export (main summary))

(define summary "run a run's directory again and compare the results")

(define options
  (parameter-specs
   (out (optional string) "directory of the new run; runs/NAME-DATE-TIME")))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "rerun" options arguments #:operands "DIR" #:count 1
                               #:text "Runs again what ran in DIR, a script's run (from its own copy of the script) or a
command's.  Says first what is different from then; afterwards \"the same bits\", or which file, column and
row differ: then the exit status is 1.")))
    (let* ((comparison (rerun (car operands) #:directory (assq-ref options 'out)))
           (differences (comparison-differences comparison)))
      (for-each (lambda (line) (format #t "~a~%" line)) differences)
      (if (null? differences)
          (format #t "~a: the same bits in result, metrics and ~a files~%"
                  (run-directory (comparison-run comparison)) (comparison-files comparison))
          (exit 1)))))
