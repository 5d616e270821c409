;;; workers.scm -- the points of a sweep, each in a process of its own.
;;;
;;; The driver starts `tempera sweep --continue=DIR --point=NAME' for points that no process
;;; is running, up to a given number at a time.  A point's process holds the lock of its run, which
;;; the system releases however the process dies.  So several drivers need not talk to each other,
;;; and each can find what is left to do.  Ranks are such drivers, and begin at different points.

(define-module (tempera run workers)
  #:use-module (ice-9 popen)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera base progress)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera run sweeps)
  #:use-module (tempera file tables)
  #:export (sweep continue-sweep sweep-done-text tempera-program start-process last-metrics))

(define* (sweep experiment points #:key (settings '()) (directory #f) (halving #f) (names #f)
                (workers (threads)) (retries 3))
  "Run EXPERIMENT at each of POINTS (see `grid', `random-points', `sobol-points'; any list of
association lists) and return the sweep, a value: `sweep-results' is its table.  SETTINGS are those
that all points share.  WORKERS points run at a time, each in a process of its own, which reads
the experiment from its script.  All goes to DIRECTORY, a new one in the folder runs/ unless
given.  HALVING, as `halving' gives, stops bad points early; NAMES are those of points' directories.  A point whose process dies is tried
again RETRIES times.  What is interrupted, or killed, is gone on with by `continue-sweep', which
may run at several terminals at once.
Example: (sweep two-moons (grid #:norms '((0) (1) (10))) #:workers 2)"
  (check-workers 'sweep workers retries)
  (drive (make-sweep experiment points #:settings settings #:directory directory
                     #:halving halving #:names names)
         workers retries))

(define* (continue-sweep sweep #:key (workers (threads)) (retries 3) (mended #f))
  "Run what is left of SWEEP, or of the directory of one, WORKERS points at a time, beside whoever
else does, and points again for which the disk had no room; return it when all points are complete.  See `sweep'.  MENDED, #t or the name of a
script, does first what `mend-sweep!' does: failed points run again, by the script as it is now.
Example: (continue-sweep \"runs/norms\" #:workers 1)"
  (check-workers 'continue-sweep workers retries)
  (drive (cond (mended (mend-sweep! sweep #:script (and (string? mended) mended)))
               ((sweep? sweep) sweep)
               (else (open-sweep sweep)))
         workers retries))

(define (check-workers who workers retries)
  (check-that (and (exact-integer? workers) (< 0 workers 1000)) who
              "workers: expected an integer from 1 to 999, got ~s" workers)
  (check-that (and (exact-integer? retries) (>= retries 0)) who
              "retries: expected an integer, 0 or more, got ~s" retries))

;;; --- Processes ----------------------------------------------------------------

(define (tempera-program)
  "The program to start: what started this process; of another Guile, what the path has.
Example: (tempera-program)"
  (or (getenv "TEMPERA_PROGRAM") "tempera"))

(define (start-process job threads)
  "Start a process of THREADS threads that runs JOB; its number."
  ;; The shell is there for the redirections, and gone at once: what the point
  ;; prints is in its log, and what comes before that goes to errors.txt.
  (let* ((sweep (job-sweep job))
         (command (list "sh" "-c" "exec \"$@\" </dev/null >/dev/null 2>>\"$0\""
                        (string-append (sweep-directory sweep) "/errors.txt")
                        "env" (format #f "TEMPERA_THREADS=~a" threads)
                        (format #f "TEMPERA_DRIVER=~a" (getpid)) ; by which a point ends with us
                        (tempera-program) "sweep"
                        (string-append "--continue=" (sweep-directory sweep))
                        (string-append "--point=" (job-name job)))))
    (call-with-values (lambda () (pipeline (list command)))
      (lambda (from to numbers)
        (close-port from)
        (close-port to)
        (car numbers)))))

(define (ended process)
  ;; The status of PROCESS when it is no more, else #f.
  (let ((found (waitpid process WNOHANG)))
    (and (= (car found) process) (cdr found))))

(define (stop-processes processes)
  ;; By a signal that lets each say so in its run; those that take long, at once.
  (define (signal s) (lambda (process) (false-if-error (kill process s))))
  (for-each (signal SIGTERM) processes)
  (let wait ((processes processes) (tries 100))
    (let ((left (remove ended processes)))
      (cond ((null? left))
            ((> tries 0) (usleep 20000) (wait left (1- tries)))
            (else
             (for-each (signal SIGKILL) left)
             (for-each waitpid left))))))

;;; --- The driver ---------------------------------------------------------------

(define-record-type <task>
  (make-task job process started)
  task?
  (job task-job)
  (process task-process)
  (started task-started))

(define look-seconds 0.3)               ; between looks at what other drivers do

(define (complete? job) (memq (job-outcome job) '(finished failed)))

(define (rotated jobs)
  ;; JOBS, those that are this rank's share of them first.
  (let ((n (if (together?) (quotient (* (length jobs) (mpi-rank)) (mpi-size)) 0)))
    (append (drop jobs n) (take jobs n))))

(define (drive sweep workers retries)
  (define share (max 1 (quotient (threads) workers))) ; of the processors
  (define board (make-board sweep))
  (define deaths (make-hash-table))
  (define tasks '())
  (define left '())                     ; jobs of this stage that may wait for somebody
  (define elsewhere '())                ; that ran with others when last looked at
  (define looked (seconds-now))
  (define (start! job)
    ;; No signal comes between: a process that is not among the tasks would not be stopped.
    (call-with-blocked-asyncs
     (lambda ()
       (set! tasks (append tasks (list (make-task job (start-process job share) (seconds-now))))))))
  (define (died! job status)
    (let ((n (1+ (hash-ref deaths (job-name job) 0))))
      (hash-set! deaths (job-name job) n)
      (if (<= n retries)
          (set! left (append left (list job)))
          (begin
            (fail-run! (job-directory job)
                       (format #f "its process died ~a times, the last by ~a; see its log.txt \
and the sweep's errors.txt" n (if (status:term-sig status)
                                  (format #f "signal ~a" (status:term-sig status))
                                  (format #f "exit ~a" (status:exit-val status)))))
            (board-completed! board job)))))
  (define (reap!)
    (for-each (lambda (task)
                (let ((status (ended (task-process task))) (job (task-job task)))
                  (when status
                    (set! tasks (delq task tasks))
                    (case (job-outcome job)
                      ((finished failed) (board-completed! board job))
                      ((running) (set! elsewhere (cons job elsewhere)))
                      ;; Tried again at once it would end so again.
                      (else (if (job-error job) (board-completed! board job) (died! job status)))))))
              tasks))
  (define (fill!)
    ;; Start what waits, while workers are free.
    (when (and (pair? left) (< (length tasks) workers))
      (let ((job (car left)))
        (set! left (cdr left))
        (case (job-outcome job)
          ((waiting) (start! job))
          ((running) (set! elsewhere (cons job elsewhere)))
          (else (board-completed! board job)))
        (fill!))))
  (define (look-elsewhere!)
    (when (> (- (seconds-now) looked) look-seconds)
      (set! looked (seconds-now))
      (set! left (append left (reverse elsewhere)))
      (set! elsewhere '())))
  (define (run-stage jobs)
    (set! left (rotated (remove complete? jobs)))
    (let loop ()
      (reap!)
      (fill!)
      (board-progress! board (map (lambda (task) (cons (task-job task) (task-started task))) tasks)
                       (+ (length left) (length elsewhere)))
      (when (or (pair? left) (pair? elsewhere) (pair? tasks))
        (when (and (null? left) (< (length tasks) workers)) (look-elsewhere!))
        (usleep 10000)
        (loop))))
  (define (run-stages jobs)
    (run-stage jobs)
    (let ((next (sweep-stage sweep)))
      (unless (equal? (map job-name next) (map job-name jobs))
        (run-stages next))))
  (temporaries-sweep! (sweep-directory sweep))
  (call-with-pause sweep "sweep"
   (lambda ()
     (call-together
      (lambda ()
        (run-stages (sweep-stage sweep))
        (board-finish! board)
        (call-on-first-rank (lambda () (save-results! sweep) #t)))))
   (lambda (name)
     (board-finish! board)
     (stop-processes (map task-process tasks))
     (when name
       (format (current-error-port) "stopped, ~a; (continue-sweep ~a) goes on~%"
               (sweep-done-text sweep) name))))
  sweep)

(pauses! sweep continue-sweep)

(define (sweep-done-text sweep)
  "How far SWEEP has come: \"3 of 12 points done\".
Example: (sweep-done-text (open-sweep \"runs/norms\"))"
  (let ((states (table-column (sweep-results sweep) 'state)))
    (format #f "~a of ~a points done"
            (count (lambda (state) (memq state '(finished failed stopped))) states)
            (length states))))

;;; --- What is seen of it ---------------------------------------------------------

(define-record-type <board>
  (%make-board sweep port started begun completed drawn lines)
  board?
  (sweep board-sweep)
  (port board-port)                   ; a terminal, or #f
  (started board-started)
  (begun board-begun)                 ; jobs that were complete before
  (completed board-done set-board-done!) ; jobs completed here
  (drawn board-drawn set-board-drawn!)   ; when last
  (lines board-lines set-board-lines!))  ; how many stand there

(define (make-board sweep)
  (let ((port (or (progress-port) (current-error-port))))
    (%make-board sweep
                 (and (terminal-port? port) (not (equal? (getenv "TERM") "dumb")) port)
                 (seconds-now)
                   (count complete? (sweep-jobs sweep))
                   0 0 0)))

(define (value-text value)
  (cond ((and (real? value) (not (exact-integer? value))) (number->string (significant value 4)))
        ((list? value) (string-join (map value-text value) ","))
        ((boolean? value) (if value "yes" "no"))
        (else (object->string value display))))

(define (entries-text entries)
  (string-join (map (lambda (e) (format #f "~a ~a" (car e) (value-text (cdr e)))) entries) "  "))

(define (short entries)
  (let ((numbers (filter (lambda (e) (real? (cdr e))) entries)))
    (entries-text (list-head numbers (min 3 (length numbers))))))

(define (board-completed! board job)
  ;; A line that stays, where there is no terminal.
  (set-board-done! board (1+ (board-done board)))
  (unless (board-port board)
    (let ((run (open-run-or-false (job-directory job))) (outcome (job-outcome job)))
      (format #t "~a ~a~a  ~a  ~a  (~a)~%" (job-name job) outcome
              (if (and run (eq? outcome 'finished))
                  (format #f " in ~a" (duration-text (run-seconds run)))
                  "")
              (entries-text (job-settings job))
              (cond ((not run) "")
                    ((eq? outcome 'finished) (short (run-outcome run)))
                    (else (or (run-error run) "")))
              (progress-text board))
      (force-output))))

(define (progress-text board)
  ;; Of points, or with halving of the runs of which it is known by now.
  (let* ((all (length (sweep-jobs (board-sweep board)))) (left (- all (board-done board) (board-begun board))))
    (format #f "~a of ~a, ~a left" (- all left) all
            (duration-text (* left (/ (- (seconds-now) (board-started board)) (board-done board)))))))

(define (open-run-or-false directory)
  (catch 'tempera-error (lambda () (open-run directory)) (const #f)))

(define redraw-seconds 0.5)

(define (board-progress! board running left)
  ;; RUNNING: pairs of a job that runs here and when it began; LEFT: how many more there are.
  (let ((port (board-port board)) (time (seconds-now)))
    (when (and port (> (- time (board-drawn board)) redraw-seconds))
      (set-board-drawn! board time)
      (let* ((elapsed (- time (board-started board)))
             (done (board-done board))
             (lines (cons
                     (format #f "~a  ~a done  ~a running  ~a left  ~a gone~a"
                             (assq-ref (sweep-config (board-sweep board)) 'experiment)
                             (+ done (board-begun board)) (length running) left
                             (duration-text elapsed)
                             (if (> done 0)
                                 (format #f "  ~a left"
                                         (duration-text (* (/ elapsed done)
                                                           (+ left (length running)))))
                                 ""))
                     (map (lambda (pair)
                            (format #f "  ~a  ~a  ~a  ~a" (job-name (car pair))
                                    (duration-text (- time (cdr pair)))
                                    (entries-text (job-settings (car pair)))
                                    (last-metrics (job-directory (car pair)))))
                          running))))
        (erase! board)
        (for-each (lambda (line) (format port "~a~%" (cut line (columns-of port)))) lines)
        (force-output port)
        (set-board-lines! board (length lines))))))

(define (last-metrics directory)
  "The last numbers that the run in DIRECTORY recorded, up to three: \"step 300  loss 0.21\".
Example: (last-metrics \"runs/norms/points/0001\")"
  (let* ((run (open-run-or-false directory))
         (metrics (and run (false-if-error (run-metrics run)))))
    (if (and metrics (pair? (table-rows metrics)))
        (short (map cons (table-columns metrics) (last (table-rows metrics))))
        "")))

(define (columns-of port)
  (let ((columns (false-if-error (second (terminal-measure (fileno port))))))
    (if (and columns (> columns 0)) columns 80)))

(define (cut line width)
  (if (< (string-length line) width) line (string-take line (max 0 (1- width)))))

(define (erase! board)
  ;; Up to the first line of what stands there, and away with it.
  (when (> (board-lines board) 0)
    (format (board-port board) "\x1b[~aA\x1b[J" (board-lines board))
    (set-board-lines! board 0)))

(define (board-finish! board)
  (when (board-port board)
    (erase! board)
    (force-output (board-port board))))
