;;; estimate.scm -- `tempera estimate NAME key=value ...': time, memory and disk of a run or a sweep, before it runs.

(define-module (tempera shell commands estimate)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera base progress)
  #:use-module (tempera run costs)
  #:use-module (tempera run environment)
  #:use-module (tempera run experiments)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:use-module (tempera shell point-costs)
  #:use-module (tempera shell sweep-words)
  #:use-module (tempera tensor primitives)
  #:export (main summary))

(define summary "say what a run or a sweep will take: time, memory and disk")

(define options
  (append
   points-options
   (list trial-option)
   (parameter-specs
    (made (optional string) "COILSxROWSxCOLUMNS: the input is k-space of that shape, made up for the trials")
    (cores (optional integer) positive? "of a process; as many as there are threads here")
    (ranks 1 positive? "processes that share the work of a point by MPI")
    (times 1 positive? "how often all of it is to be done")
    (nodes 1 positive? "machines such as this one that do points at the same time"))))

(define operands "SCRIPT|COMMAND NAME=VALUE...")
(define text "Tries the experiment that SCRIPT defines, or a COMMAND (train, reconstruct), in small, twice, and says what it takes
as it is given; several values of a parameter are a sweep.  What a trial took is kept, for this processor and number of
threads, in tempera/trials of $XDG_CACHE_HOME (or ~/.cache).  An estimate holds for machines such as the one where it is made: on
a cluster make it by srun.")

(define (main words)
  (when (usage-wanted) ((usage-wanted) operands text '() options))
  (let*-values (((known) (cons help-option options))
                ((given _ words) (parse-words "estimate" words known #:leading? #t)))
    (cond ((assq 'help given) (show-usage "estimate" operands text '() options))
          (else
           (check-that (pair? words) 'estimate "expected a script or a command, got none")
           (estimate-words (named-experiment (car words) (cdr words)) given (cdr words))))))

(define (estimate-words experiment given words)
  (let*-values (((more settings) (experiment-words experiment words (cons help-option options)))
                ((given) (append given more)))
    (if (assq 'help given)
        (show-usage "estimate" operands text (experiment-parameters experiment) options)
        (let*-values (((values) (option-values "estimate" options given))
                      ((ref) (lambda (name) (assq-ref values name)))
                      ((settings) (with-made-input 'estimate experiment settings (ref 'made)))
                      ((shared points) (points-of-words 'estimate experiment settings ref #:single? #t))
                      ((cores) (or (ref 'cores) (threads)))
                      ((costs) (point-costs experiment shared points #:threads cores #:ranks (ref 'ranks)
                                            #:trial (ref 'trial))))
          (say costs (* (ref 'times) (length points)) (ref 'nodes) cores (ref 'ranks))))))

(define (say costs count nodes cores ranks)
  ;; COSTS of points that stand for COUNT.
  (define (of field) (/ (apply + (map field costs)) (length costs)))
  (define (most field) (apply max (map field costs)))
  (format #t "on ~a thread~a of ~a~a~%" cores (if (= cores 1) "" "s") (assq-ref (environment) 'processor)
          (if (= ranks 1) "" (format #f ", ~a ranks" ranks)))
  (format #t "a point: ~a, ~a of a processor, ~a of memory, ~a of disk~%"
          (duration-text (of cost-seconds)) (duration-text (of cost-processor-seconds))
          (bytes-text (most cost-memory)) (bytes-text (of cost-disk)))
  (when (> (* count nodes) 1)
    (format #t "~a points, ~a at a time: ~a, ~a of a processor, ~a of disk~%" count nodes
            (duration-text (* (ceiling (/ count nodes)) (of cost-seconds)))
            (duration-text (* count (of cost-processor-seconds)))
            (bytes-text (* count (of cost-disk))))))
