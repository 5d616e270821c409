;;; status.scm -- `tempera status DIR': how far a sweep is, and what Slurm's queue has of it.

(define-module (tempera shell commands status)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera file tables)
  #:use-module (tempera run submissions)
  #:use-module (tempera run sweeps)
  #:use-module (tempera run workers)
  #:use-module (tempera shell options)
  #:export (main summary))

(define summary "say how far a sweep is, and where its points are in Slurm's queue")

(define (main words)
  (let*-values (((_ words) (parse-options "status" '() words #:operands "DIR" #:count 1
                                          #:text "Of DIR, a sweep's directory: how many points are done, and a row for each that is not finished."))
                ((sweep) (open-sweep (first words)))
                ((queue) (queue-states sweep))
                ((open) (remove (lambda (job) (eq? 'finished (job-outcome job))) (sweep-jobs sweep))))
    (format #t "~a~%" sweep)
    (unless (null? open)
      (format #t "~a~%"
              (table-text
               (rows->table
                (map (lambda (job)
                       `((point . ,(job-point job))
                         ,@(job-settings job)
                         (state . ,(job-outcome job))
                         (queue . ,(or (assv-ref queue (job-point job)) ""))
                         (latest . ,(or (job-error job) (last-metrics (job-directory job))))))
                     open)))))))
