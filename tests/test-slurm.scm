;;; test-slurm.scm -- sweeps as array jobs: the script, and a real Slurm of one node.
;;;
;;; With `./bootstrap slurm' it starts munged, slurmctld and slurmd, as the user that it has, on ports of the loopback interface that are
;;; free, and ends them by the ids that it started.  A point is killed, all are preempted, one comes near its time limit; each must
;;; have been done once in the end.
;;;
;;; Slurm looks at time limits every half minute, and sends the signal before one at the look that is at most half a minute too
;;; early.  With TEMPERA_SLURM=long, which is the command's, that is waited for: a grace of 5 s of a minute has it come 25 s
;;; after a task's start or later, when the others have been preempted.  Else limits are far, and `scancel' sends the signal, to
;;; the same step.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera) (tempera run submissions) (tempera run sweeps))

(start-tests "slurm")

(define long? (equal? (getenv "TEMPERA_SLURM") "long"))

(define (write-file name text)
  (call-with-output-file name (lambda (port) (display text port))))

(define (file-text name)
  (if (file-exists? name) (call-with-input-file name get-string-all) ""))

(define (has? text part) (->bool (string-contains text part)))

;;; --- The script -------------------------------------------------------------------

(let ((script (submission-script "/x/norms" 'toy 12 #:left '(1 3 4 5 9 11 12) #:cores 4 #:memory 2.5e9
                                 #:seconds 5401 #:at-once 3 #:options '("--partition=big")
                                 #:prelude '("module load openmpi"))))
  (for-each (lambda (line) (test-assert line (has? script (string-append "\n" line "\n"))))
            '("#SBATCH --array=1,3-5,9,11-12%3" "#SBATCH --cpus-per-task=4" "#SBATCH --mem=2500M"
              "#SBATCH --time=1:31:00" "#SBATCH --signal=TERM@120" "#SBATCH --partition=big" "#SBATCH --requeue"
              "module load openmpi"))
  (test-assert "each its own" (has? script "point=$((point + 12))")))
(let ((script (submission-script "/x/norms" 'toy 5000)))
  (test-assert "no more tasks than an array has" (has? script "#SBATCH --array=1-1000\n"))
  (test-assert "which share the points" (has? script "point=$((point + 1000))"))
  (test-assert "limits are the site's" (not (or (has? script "--mem") (has? script "--time=")))))

(define toy "
(define-experiment toy ((kind 'good) (n 1 positive?) (journal \"\"))
  (define (note! what)
    (let ((port (open journal (logior O_WRONLY O_APPEND O_CREAT))))
      (display (format #f \"~a ~a\\n\" what kind) port)
      (close-port port)))
  (define file (run-path \"begun.scm\"))
  (define begun (if (file-exists? file) (load-datum file) 0))
  (define (wait) (usleep 50000) (wait))
  (save-datum file (1+ begun))
  (note! 'begin)
  (case kind
    ((killed) (when (= begun 0) (kill (getpid) SIGKILL)))
    ((preempted) (when (= begun 0) (wait)))
    ((limited) (when (< begun 2) (wait))))
  (note! 'end)
  `((begun . ,(1+ begun))))
")

(define (journal) (remove string-null? (string-split (file-text "journal") #\newline)))
(define (noted what kind) (count (lambda (line) (string=? line (format #f "~a ~a" what kind))) (journal)))

;;; --- Slurm ------------------------------------------------------------------------

(define missing
  (find (lambda (name) (not (program-exists? name)))
        '("munged" "slurmctld" "slurmd" "sbatch" "squeue" "scontrol" "scancel" "srun")))

(define (free-ports count)
  (let* ((sockets (map (lambda (k)
                         (let ((s (socket PF_INET SOCK_STREAM 0)))
                           (bind s AF_INET INADDR_LOOPBACK 0)
                           s))
                       (iota count)))
         (ports (map (lambda (s) (sockaddr:port (getsockname s))) sockets)))
    (for-each close-port sockets)
    ports))

(define (configuration folder control node)
  (let ((user (passwd:name (getpwuid (getuid)))))
    (string-join
     (list "ClusterName=tempera" "SlurmctldHost=localhost(127.0.0.1)"
           (format #f "SlurmctldPort=~a" control) (format #f "SlurmdPort=~a" node)
           (format #f "SlurmUser=~a" user) (format #f "SlurmdUser=~a" user)
           "AuthType=auth/munge" (format #f "AuthInfo=socket=~a/munge/socket" folder) "CredType=cred/munge"
           (format #f "StateSaveLocation=~a/state" folder) (format #f "SlurmdSpoolDir=~a/spool" folder)
           (format #f "SlurmctldPidFile=~a/slurmctld.pid" folder) (format #f "SlurmdPidFile=~a/slurmd.pid" folder)
           (format #f "SlurmctldLogFile=~a/slurmctld.log" folder) (format #f "SlurmdLogFile=~a/slurmd.log" folder)
           "ProctrackType=proctrack/linuxproc" "TaskPlugin=task/none" "JobAcctGatherType=jobacct_gather/none"
           "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" "SwitchType=switch/none" "MpiDefault=none" "ReturnToService=2"
           "SchedulerParameters=batch_sched_delay=0,bf_interval=1" "KillWait=5"
           "SelectType=select/cons_tres" "SelectTypeParameters=CR_CPU"
           "PreemptType=preempt/partition_prio" "PreemptMode=REQUEUE"
           ;; More processors than there may be: the points sleep.
           "SlurmdParameters=config_overrides" "NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000"
           "PartitionName=low Nodes=localhost Default=YES PriorityTier=1 State=UP"
           "PartitionName=high Nodes=localhost PriorityTier=10 State=UP PreemptMode=OFF" "")
     "\n")))

(define (start log . words)
  ;; The number of a process of WORDS that ends in five minutes at the latest.
  (call-with-values
      (lambda ()
        (pipeline (list (append (list "sh" "-c" "exec \"$@\" </dev/null >>\"$0\" 2>&1" log
                                      "timeout" "--signal=KILL" "300")
                                words))))
    (lambda (from to processes)
      (close-port from)
      (close-port to)
      (car processes))))

(define (stop process)
  (false-if-exception (kill process SIGTERM))
  (let wait ((tries 100))
    (cond ((= process (car (waitpid process WNOHANG))))
          ((> tries 0) (usleep 50000) (wait (1- tries)))
          (else (false-if-exception (kill process SIGKILL)) (waitpid process)))))

(define* (eventually what? seconds #:optional (meanwhile (const #t)))
  ;; Whether WHAT? comes true in SECONDS.
  (let loop ((tries (* 5 seconds)))
    (cond ((what?) #t)
          ((= tries 0) #f)
          (else (meanwhile) (usleep 200000) (loop (1- tries))))))

(define (said . words) (cdr (apply shell words)))

(define (call-with-slurm folder thunk)
  ;; What THUNK returns with a Slurm running in FOLDER; #f if it does not come up.
  (define (in-folder name) (string-append folder "/" name))
  (define processes '())
  (define (start! name . words)
    (set! processes (cons (apply start (in-folder (string-append name ".out")) words) processes)))
  (for-each (lambda (name) (mkdir (in-folder name))) '("key" "munge" "state" "spool"))
  (chmod folder #o755)
  (chmod (in-folder "key") #o700)
  (chmod (in-folder "munge") #o755)
  (shell "head -c 128 /dev/urandom >" (in-folder "key/key"))
  (chmod (in-folder "key/key") #o600)
  (write-file (in-folder "slurm.conf") (apply configuration folder (free-ports 2)))
  (setenv "SLURM_CONF" (in-folder "slurm.conf"))
  (dynamic-wind
    (const #t)
    (lambda ()
      (start! "munged" "munged" "--foreground" "--force" (string-append "--key-file=" (in-folder "key/key"))
              (string-append "--socket=" (in-folder "munge/socket"))
              (string-append "--pid-file=" (in-folder "munge/pid"))
              (string-append "--log-file=" (in-folder "munge/log"))
              (string-append "--seed-file=" (in-folder "munge/seed")))
      (and (eventually (lambda () (file-exists? (in-folder "munge/socket"))) 5)
           (begin
             (start! "slurmctld" "slurmctld" "-D" "-f" (in-folder "slurm.conf"))
             (start! "slurmd" "slurmd" "-D" "-N" "localhost" "-f" (in-folder "slurm.conf"))
             (eventually (lambda () (has? (said "sinfo -h -p low -o %T") "idle")) 15))
           (begin (thunk) #t)))
    (lambda ()
      (shell "scancel --state=PENDING --user=$(id -un)")
      (shell "scancel --user=$(id -un)")
      (eventually (lambda () (string-null? (said "squeue -h"))) 10)
      (for-each stop processes)
      (unsetenv "SLURM_CONF"))))

(define (hurry!)
  ;; Slurm has what it queues again wait for two minutes.
  (for-each (lambda (job)
              (unless (string-null? job) (shell "scontrol" "update" (string-append "JobId=" job) "StartTime=now")))
            (string-split (said "squeue -h -r -t PENDING -o '%r %i' | sed -n 's/^BeginTime //p'") #\newline)))

(define (test-slurm folder)
  (define preempting? #f)
  (define limiting? long?)
  (define (preempt!)
    ;; A job of a higher partition that takes the whole node for a second.
    (set! preempting? #t)
    (write-file "urgent.sh" "#!/bin/sh\nsleep 1\n")
    (shell "sbatch --partition=high --ntasks=4 --output=/dev/null urgent.sh"))
  (define (limit!)
    (set! limiting? (eqv? 0 (car (shell "scancel --signal=TERM $(squeue -h -r -t RUNNING -o %i | grep _4)")))))
  (check-shell "submitted" 0 "points to do: 4"
    "tempera submit toy.scm kind=good,killed,preempted,limited" (string-append "journal=" folder "/journal")
    (format #f "--out=sweep --cores=1 --memory=100M --time=~a --grace=5" (if long? 1 10)))
  (let ((sweep (open-sweep "sweep")))
    (test-assert "the queue is seen" (pair? (queue-states sweep)))
    (test-assert "all is done"
      (eventually (lambda () (every (lambda (job) (eq? 'finished (job-outcome job))) (sweep-jobs sweep)))
                  150
                  (lambda ()
                    (cond ((not preempting?)
                           (when (and (= 1 (noted 'begin 'preempted)) (= 1 (noted 'begin 'limited)))
                             (check-shell "status" 0 "RUNNING" "tempera status sweep")
                             (preempt!)))
                          ((and (not limiting?) (= 2 (noted 'begin 'limited))) (limit!)))
                    (hurry!))))
    (for-each (lambda (kind) (test-equal (format #f "~a once" kind) 1 (noted 'end kind)))
              '(good killed preempted limited))
    (for-each (lambda (kind begins) (test-equal (format #f "~a: begun" kind) begins (noted 'begin kind)))
              '(good killed preempted limited) '(1 2 2 3))
    (let ((log (file-text (string-append folder "/slurmctld.log"))))
      (test-assert "one was preempted" (has? log "preempted JobId="))
      (test-assert "one was put back by its script" (has? log "Requeuing JobId=1_4"))
      (test-assert "who puts itself back leaves the others alone" (not (has? log "Requeuing JobId=1_1"))))
    (check-shell "collected" 0 "finished" "tempera collect sweep")
    (test-equal "a row each" '(1 2 2 3) (table-column (load-table "sweep/results.csv") 'begun))
    (check-shell "nothing is left" 1 "no point is left" "tempera submit --continue=sweep")))

(call-with-temporary-directory
 (lambda (folder)
   (chdir folder)
   (setenv "XDG_CONFIG_HOME" folder)
   (mkdir "tempera")
   (write-file "tempera/slurm" "# of this site\n--qos=long\nmodule load openmpi\n")
   (write-file "toy.scm" toy)
   (let ((script (said "tempera submit toy.scm kind=good,bad --dry-run --partition=big --sbatch='--nice --x=1'")))
     (for-each (lambda (line) (test-assert line (has? script line)))
               '("#SBATCH --array=1-2\n" "#SBATCH --qos=long\n" "#SBATCH --partition=big\n#SBATCH --nice\n#SBATCH --x=1\n"
                 "\nmodule load openmpi\n" "/runs/toy-sweep --point=")))
   (test-assert "and nothing is left" (not (file-exists? "runs")))
   (delete-file "tempera/slurm")
   (check-shell "a single run" 0 "#SBATCH --array=1\n" "tempera submit toy.scm n=3 --dry-run --out=one")
   (check-shell "a limit" 1 "--time: expected a limit" "tempera submit toy.scm n=1,2 --dry-run --time=soon")
   (check-shell "a size" 1 "--memory: expected a size" "tempera submit toy.scm n=1,2 --dry-run --memory=much")
   (check-shell "a parameter" 1 "unknown parameter" "tempera submit toy.scm m=1,2 --dry-run")
   (check-shell "a sweep" 1 "is no sweep's directory" "tempera status" folder)
   (check-shell "to be swept" 0 "1 of 1" "tempera sweep toy.scm n=1,2 journal=journal --out=local >/dev/null && echo 1 of 1")
   (check-shell "collected too" 0 "finished" "tempera collect local")
   (delete-file "journal")
   (cond ((not (getenv "TEMPERA_SLURM")) (format #t "skipped: a real Slurm is for `./bootstrap slurm'~%"))
         (missing (format #t "skipped: ~a is not installed (./bootstrap installs it where it can)~%" missing))
         ((not (call-with-slurm folder (lambda () (test-slurm folder))))
          (format #t "skipped: Slurm does not start here:~%~a~a~%" (file-text "munged.out") (file-text "slurmctld.log"))))
   (chdir "/")))

(finish-tests)
