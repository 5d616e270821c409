;;; submit.scm -- `tempera submit NAME key=a,b,c ...': a sweep as an array job of Slurm.

(define-module (tempera shell commands submit)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera file paths)
  #:use-module (tempera run costs)
  #:use-module (tempera run experiments)
  #:use-module (tempera run run-files)
  #:use-module (tempera run submissions)
  #:use-module (tempera run sweeps)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:use-module (tempera shell point-costs)
  #:use-module (tempera shell sweep-words)
  #:use-module (tempera tensor primitives)
  #:export (main summary))

(define summary "hand a sweep, or one run, to Slurm as an array job")

(define options
  (append
   (parameter-specs
    (out (optional string) "directory for what the sweep leaves; runs/NAME-sweep-DATE-TIME")
    (continue (optional string) "submit what is left of the sweep in this directory")
    (mended #f "with --continue: failed points too, and all that is left by the script as it is now")
    (dry-run #f "print the script, and submit nothing"))
   points-options
   (list trial-option)
   (parameter-specs
    (time (optional string) "limit of a task: MINUTES, HOURS:MINUTES:00 or DAYS-HOURS; unless given by an estimate")
    (memory (optional string) "of a task: 900M, 4G; unless given by an estimate")
    (cores (optional integer) positive? "of a process; as many as there are threads here")
    (ranks 1 positive? "processes of a task, which share its work by MPI")
    (tasks (optional integer) positive? "of the array, which share the points; one a point, but at most 1000")
    (at-once (optional integer) positive? "tasks that run at a time")
    (grace 120 positive? "seconds before the limit at which a task writes its checkpoint and is queued again")
    (partition (optional string) "where it is to run")
    (account (optional string) "who pays")
    (sbatch (optional string) "further options of sbatch, separated by blanks: \"--constraint=avx512 --mail-type=END\""))))

(define operands "SCRIPT|COMMAND NAME=A,B,C...")
(define text "Writes the sweep that `tempera sweep' would run and submits it to Slurm, a task of an array for each point;
without lists of values there is one point.  A task that is preempted or near its time limit writes its checkpoint, and is
queued again; one that dies is tried again three times.  Limits of time and memory that are not given are those of `tempera
estimate', half as much again and some to spare, where it can tell; else the site's.  `tempera status DIR' says how far it is, `tempera collect DIR' gathers
the results, --continue=DIR submits what is left.  Lines of the file tempera/slurm in $XDG_CONFIG_HOME (or ~/.config) that begin
with -- are options of sbatch for every script; other lines are for the shell of every task, such as module load.")

(define (main words)
  (when (usage-wanted) ((usage-wanted) operands text '() options))
  (let*-values (((known) (cons help-option options))
                ((given _ words) (parse-words "submit" words known #:leading? #t)))
    (cond ((assq 'help given) (show-usage "submit" operands text '() options))
          ((assq 'continue given) (go-on given words))
          (else
           (check-that (pair? words) 'submit "expected a script or a command, got none")
           (begin-with (named-experiment (car words) (cdr words)) given (cdr words))))))

(define (begin-with experiment given words)
  (let*-values (((more settings) (experiment-words experiment words (cons help-option options)))
                ((given) (append given more)))
    (if (assq 'help given)
        (show-usage "submit" operands text (experiment-parameters experiment) options)
        (let*-values (((values) (option-values "submit" options given))
                      ((ref) (lambda (name) (assq-ref values name)))
                      ((shared points) (points-of-words 'submit experiment settings ref #:single? #t))
                      ((made) (lambda (directory)
                                (make-sweep experiment points #:settings shared #:directory directory))))
          (check-that (not (ref 'continue)) 'submit "--continue: expected nothing else, got ~a"
                      (experiment-name experiment))
          (check-that (not (ref 'mended)) 'submit "--mended: expected --continue=DIR with it")
          (if (ref 'dry-run)
              (call-with-temporary-folder
               (lambda (folder)
                 (show-script (made (string-append folder "/sweep"))
                              (or (ref 'out) (format #f "runs/~a-sweep" (experiment-name experiment))) ref)))
              (hand-over (made (ref 'out)) ref))))))

(define (go-on given words)
  ;; With the sweep that --continue names; the first of WORDS may be the mended script.
  (let*-values (((more _ others) (parse-words "submit" words (cons help-option options)))
                ((values) (option-values "submit" options (append given more)))
                ((ref) (lambda (name) (assq-ref values name)))
                ((sweep) (open-sweep (ref 'continue))))
    (check-that (or (null? others) (and (ref 'mended) (null? (cdr others)))) 'submit
                "--continue: expected nothing else, got ~a" (string-join others))
    (if (ref 'dry-run)
        (show-script sweep (sweep-directory sweep) ref)
        (hand-over (if (ref 'mended)
                       (mend-sweep! sweep #:script (and (pair? others) (first others)))
                       sweep)
                   ref))))

;;; --- Limits ------------------------------------------------------------------------------

(define (bytes-of text)
  ;; Of 900M or 4G; a plain number is of megabytes, as sbatch has it.
  (let* ((unit (and (not (string-null? text)) (assv-ref '((#\K . 1e3) (#\M . 1e6) (#\G . 1e9) (#\T . 1e12))
                                                       (char-upcase (string-ref text (1- (string-length text)))))))
         (number (string->number (if unit (string-drop-right text 1) text))))
    (check-that (and (real? number) (> number 0)) 'submit "--memory: expected a size such as 900M or 4G, got ~a" text)
    (* number (or unit 1e6))))

(define (seconds-of text)
  ;; Of a time limit as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S.
  (let* ((parts (string-split text #\-))
         (days (and (= 2 (length parts)) (string->number (first parts))))
         (fields (map string->number (string-split (last parts) #\:))))
    (check-that (and (<= (length parts) 2) (or days (null? (cdr parts))) (<= (length fields) 3)
                     (every (lambda (n) (and (exact-integer? n) (>= n 0))) fields))
                'submit "--time: expected a limit such as 90, 1:30:00 or 2-12, got ~a" text)
    (apply + (* 86400 (or days 0))
           (map * fields
                (cond (days '(3600 60 1))
                      ((= 3 (length fields)) '(3600 60 1))
                      (else '(60 1)))))))

(define (left-points sweep)
  ;; The numbers of the points of SWEEP that nobody has done.
  (filter-map (lambda (job) (and (not (memq (job-outcome job) '(finished failed))) (job-point job)))
              (sweep-jobs sweep)))

(define (limits sweep cores tasks ref)
  ;; Two values: bytes of memory and seconds for each of TASKS with CORES, those given or by an estimate, #f for the site's.
  (let* ((experiment (sweep-experiment sweep))
         (points (sweep-points sweep)) (shared (assq-ref (sweep-config sweep) 'settings))
         (costs (if (and (not (and (ref 'time) (ref 'memory)))
                         (or (ref 'trial)
                             (experiment-trials experiment (experiment-settings experiment (append shared (first points))))))
                    (point-costs experiment shared points #:threads cores #:ranks (ref 'ranks) #:trial (ref 'trial))
                    '()))
         (most (lambda (field) (apply max (map field costs)))))
    (values (cond ((ref 'memory) => bytes-of)
                  ((pair? costs) (* (ref 'ranks) (+ 1e8 (* 1.2 (most cost-memory)))))
                  (else #f))
            (cond ((ref 'time) => seconds-of)
                  ((pair? costs) (+ 600 (* 1.5 (most cost-seconds) (ceiling (/ (length points) tasks)))))
                  (else #f)))))

;;; --- The script ------------------------------------------------------------------------

(define (script-of sweep directory ref)
  ;; Two values: the script for what is left of SWEEP, which is or will be in DIRECTORY, and its tasks.
  (let*-values (((count) (length (sweep-points sweep)))
                ((tasks) (min count (or (ref 'tasks) most-tasks)))
                ((cores) (or (ref 'cores) (threads)))
                ((memory seconds) (limits sweep cores tasks ref))
                ((site prelude) (site-lines)))
    (values
     (submission-script directory (assq-ref (sweep-config sweep) 'experiment) count
                        #:left (left-points sweep)
                        #:tasks tasks #:at-once (ref 'at-once)
                        #:cores cores #:ranks (ref 'ranks) #:grace (ref 'grace)
                        #:memory memory #:seconds seconds
                        #:options (append site
                                          (filter-map (lambda (name)
                                                        (and (ref name) (format #f "--~a=~a" name (ref name))))
                                                      '(partition account))
                                          (string-tokenize (or (ref 'sbatch) "")))
                        #:prelude prelude)
     tasks)))

(define (show-script sweep directory ref)
  (let-values (((script _) (script-of sweep directory ref)))
    (display script)))

(define (hand-over sweep ref)
  (let* ((directory (sweep-directory sweep)) (left (length (left-points sweep))))
    (check-that (positive? left) 'submit "~a: no point is left; see `tempera collect ~a'" directory directory)
    (let*-values (((script tasks) (script-of sweep directory ref))
                  ((job) (submit-sweep! sweep script tasks)))
      (format #t "~a: job ~a, points to do: ~a; see `tempera status ~a'~%" directory job left directory))))
