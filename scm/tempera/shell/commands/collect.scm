;;; collect.scm -- `tempera collect DIR': the results of a sweep, wherever its points ran.

(define-module (tempera shell commands collect)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera run sweeps)
  #:use-module (tempera shell options)
  #:use-module (tempera shell sweep-words)
  #:export (main summary))

(define summary "gather the results of a sweep, submitted or not, as a table")

(define (main words)
  (let*-values (((_ words) (parse-options "collect" '() words #:operands "DIR" #:count 1
                                          #:text "Writes results.csv in DIR, a sweep's directory, and prints it: a row for each point.
The status is 1 if a point failed or is left."))
                ((sweep) (open-sweep (first words)))
                ((left) (remove (lambda (job) (memq (job-outcome job) '(finished failed))) (sweep-jobs sweep))))
    (save-results! sweep)
    (say-end sweep)
    (unless (null? left)
      (force-output)
      (complain 'collect "~a of ~a points are left: ~a; see `tempera status ~a'" (length left)
                (length (sweep-points sweep)) (string-join (map job-name (list-head left (min 10 (length left)))))
                (sweep-directory sweep)))))
