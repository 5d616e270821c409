;;; submissions.scm -- a sweep as an array job of Slurm: its script, and what the queue says of it.
;;;
;;; A task of the array takes one point, or with fewer tasks than points every so many-th, by the command
;;; that a driver starts for a point (workers.scm).  So the sweep's directory says what is left, whoever does it, and
;;; nothing is kept here but the numbers of the jobs, in slurm/jobs.csv.
;;;
;;; Before the time limit, or when a job is preempted, Slurm sends SIGTERM to the step that the script
;;; starts, which writes its checkpoint and ends with 143; the script puts the job back in the queue.  `scancel' ends the script
;;; too, so that what its user cancelled stays so.

(define-module (tempera run submissions)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file tables)
  #:use-module (tempera run environment)
  #:use-module (tempera run sweeps)
  #:use-module (tempera run workers)
  #:export (site-lines most-tasks submission-script submit-sweep! queue-states))

;;; --- What a site wants in every script -------------------------------------------------

(define (site-file)
  (let ((given (getenv "XDG_CONFIG_HOME")))
    (string-append (if (and given (absolute-file-name? given))
                       given
                       (string-append (or (getenv "HOME") "/") "/.config"))
                   "/tempera/slurm")))

(define (site-lines)
  "Two values from the file tempera/slurm in $XDG_CONFIG_HOME or ~/.config, if there is one: its lines that begin
with --, options of sbatch, and the others, which the shell is to do before a point (\"module load openmpi\").
Example: (site-lines)"
  (let ((lines (if (file-exists? (site-file))
                   (remove (lambda (line) (or (string-null? line) (string-prefix? "#" line)))
                           (map string-trim-both
                                (string-split (call-with-input-file (site-file) get-string-all) #\newline)))
                   '())))
    (partition (lambda (line) (string-prefix? "--" line)) lines)))

;;; --- The script ------------------------------------------------------------------------

(define (ranges-text numbers)
  ;; NUMBERS, ascending, as an array has them: 3,7-9.
  (let loop ((rest numbers) (runs '()))
    (if (null? rest)
        (string-join (map (lambda (run)
                            (if (= (first run) (last run))
                                (number->string (first run))
                                (format #f "~a-~a" (last run) (first run))))
                          (reverse runs))
                     ",")
        (loop (cdr rest)
              (if (and (pair? runs) (= (car rest) (1+ (first (car runs)))))
                  (cons (list (car rest) (last (car runs))) (cdr runs))
                  (cons (list (car rest)) runs))))))

(define (limit-text seconds)
  ;; A time limit, which Slurm has in minutes.
  (let* ((minutes (max 1 (inexact->exact (ceiling (/ seconds 60))))))
    (format #f "~a:~a:00" (quotient minutes 60)
            (string-pad (number->string (remainder minutes 60)) 2 #\0))))

(define most-tasks 1000)                ; what an array may have unless a site allows more
(define most-stops 100)                 ; that a task is queued again after,
(define most-deaths 3)                  ; and deaths

(define* (submission-script directory name count #:key (left (iota count 1)) (tasks (min count most-tasks))
                            (at-once #f) (cores 1) (ranks 1) (memory #f) (seconds #f) (grace 120)
                            (options '()) (prelude '()))
  "The batch script, a string, of the sweep of the experiment NAME in DIRECTORY, of COUNT points, of which those of the
numbers LEFT are to be done: by an array of TASKS, AT-ONCE of them at a time, each with CORES for each of RANKS processes,
MEMORY in bytes and a limit of SECONDS (unless #f, which leaves it to the site).  GRACE seconds before the
limit a task is stopped and queued again.  OPTIONS are further options of sbatch, strings, and PRELUDE lines for the
shell.
Example: (display (submission-script \"runs/norms\" 'two-moons 6 #:cores 2))"
  (let* ((directory (absolute-name directory))
         (each? (>= tasks count))
         (word (lambda (text) (shell-text (list text))))
         (options
          `(,(format #f "--job-name=~a" name)
            ,(format #f "--array=~a~a" (ranges-text (if each? left (iota tasks 1)))
                     (if at-once (format #f "%~a" at-once) ""))
            ,(format #f "--ntasks=~a" ranks)
            ,(format #f "--cpus-per-task=~a" cores)
            ,@(if memory (list (format #f "--mem=~aM" (inexact->exact (ceiling (/ memory 1e6))))) '())
            ,@(if seconds (list (string-append "--time=" (limit-text seconds))) '())
            ,(format #f "--signal=TERM@~a" grace)
            "--requeue" "--open-mode=append"
            ,(string-append "--output=" (word (string-append directory "/slurm/%a.txt")))
            ,@options)))
    (string-append
     "#!/bin/sh\n"
     (string-concatenate (map (lambda (option) (format #f "#SBATCH ~a\n" option)) options))
     (format #f "
# ~a
again () { # LIMIT: put this task back in the queue, unless that was done LIMIT times.
  [ \"${SLURM_RESTART_COUNT:-0}\" -ge \"$1\" ] ||
    exec scontrol requeue \"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\"
}
" (if each?
      (format #f "The point TASK of ~a, TASK the number of this one in the array." count)
      (format #f "The points TASK, TASK + ~a, ... of ~a, TASK the number of this one in the array." tasks count)))
     (string-concatenate (map (lambda (line) (string-append line "\n")) prelude))
     (format #f "export TEMPERA_THREADS=\"$SLURM_CPUS_PER_TASK\"
export TEMPERA_CLAIMS=links # also where flock does not hold across nodes
failed=0
point=$SLURM_ARRAY_TASK_ID
while [ \"$point\" -le ~a ]; do
  srun --cpus-per-task=\"$SLURM_CPUS_PER_TASK\" --kill-on-bad-exit=1 \\
    ~a --point=\"$(printf %04d \"$point\")\"
  status=$?
  case $status in
    0) ;;
    1) failed=1 ;;                      # its log says why
    143 | 75) again ~a; exit $status ;; # stopped by SIGTERM, what was done is kept; or another process has it
    *) again ~a; exit $status ;;          # killed
  esac
  point=$((point + ~a))
done
exit $failed
" count
  (shell-text (list (tempera-program) "sweep" (string-append "--continue=" directory)))
  most-stops most-deaths (if each? count tasks)))))

;;; --- The queue -------------------------------------------------------------------------

(define (in-slurm directory name) (string-append directory "/slurm/" name))

(define (submitted-jobs directory)
  ;; Rows (job tasks), the last first.
  (let ((path (in-slurm directory "jobs.csv")))
    (if (file-exists? path) (reverse (table-rows (load-table path))) '())))

(define (said-by . command)
  ;; What COMMAND says on both streams, and its status.
  (let* ((port (apply open-pipe* OPEN_READ "sh" "-c" "exec \"$@\" 2>&1" command))
         (text (string-trim-both (get-string-all port))))
    (values text (status:exit-val (close-pipe port)))))

(define (submit-sweep! sweep script tasks)
  "Hand SCRIPT, as `submission-script' makes it for TASKS tasks of SWEEP, to Slurm; the number of the job.  An error if
there is no Slurm here, or if it refuses.
Example: (submit-sweep! (open-sweep \"runs/norms\") \"#!/bin/sh\" 6)"
  (let* ((directory (sweep-directory sweep)) (path (in-slurm directory "job.sh")))
    (check-that (program-exists? "sbatch") 'submit "the program sbatch, of Slurm, is needed and is not here")
    (make-directories (dirname path))
    (save-text path script)
    (call-with-values (lambda () (said-by "sbatch" "sbatch" "--parsable" path))
      (lambda (text status)
        (let ((job (string->number (car (string-split (last (string-split text #\newline)) #\;)))))
          (check-that (and (eqv? status 0) job) 'submit "sbatch: ~a" text)
          (save-table (in-slurm directory "jobs.csv")
                      (table '(job tasks) (reverse (cons (list job tasks) (submitted-jobs directory)))))
          job)))))

(define (queue-states sweep)
  "What Slurm's queue has of SWEEP: an association list from the number of a point to a text, such as
\"PENDING, Resources\"; empty where there is no Slurm.
Example: (queue-states (open-sweep \"runs/norms\")) => ()"
  (let ((count (length (sweep-points sweep))))
    (if (program-exists? "squeue")
        (append-map
         (lambda (row)
           (let ((job (first row)) (tasks (second row)))
             (append-map
              (lambda (line)
                (let* ((fields (string-split line #\|)) (task (string->number (first fields))))
                  (if (and task (= 4 (length fields)))
                      (let ((text (format #f "~a ~a_~a, ~a" (second fields) job task
                                          (if (string-null? (third fields)) (fourth fields) (third fields)))))
                        (map (lambda (point) (cons point text))
                             (iota (1+ (quotient (- count task) tasks)) task tasks)))
                      '())))
              (program-lines "squeue" "--noheader" "--array" (format #f "--jobs=~a" job)
                             "--format=%K|%T|%N|%r"))))
         (submitted-jobs (sweep-directory sweep)))
        '())))
