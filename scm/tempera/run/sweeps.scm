;;; sweeps.scm -- an experiment at many points: a directory, and its results as a table.
;;;
;;;   sweep.scm     experiment, points, halving; read, never evaluated
;;;   script.scm    the script as it was, if the experiment is of one
;;;   points/0001   the run of the first point, and so on, or by names given; with halving 0001-100, the budget last
;;;   results.csv   the table, when all is done
;;;   errors.txt    what the points' processes said to standard error
;;;
;;; All that is known of a point is in its run's directory, so that any process, now or later,
;;; can find what is left to do.  workers.scm does it.

(define-module (tempera run sweeps)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base program)
  #:use-module (tempera run environment)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera run points)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera file tables)
  #:use-module (tempera tensor ranks)
  #:export (halving make-sweep open-sweep sweep? sweep-directory sweep-config sweep-points
            sweep-experiment sweep-results save-results! sweep-metrics sweep-stage
            sweep-jobs job? job-sweep job-name job-point job-settings job-directory job-outcome job-error
            run-job mend-sweep!))

;;; --- Halving ------------------------------------------------------------------

(define (budgets from to keep)
  ;; FROM, and each next one larger as there are fewer points, up to TO.
  (let loop ((budget from) (budgets '()))
    (if (>= budget to)
        (reverse (cons to budgets))
        (loop (let ((next (/ budget keep)))
                (if (exact-integer? from) (inexact->exact (round next)) (exact->inexact next)))
              (cons budget budgets)))))

(define* (halving metric #:key budget from to (keep 1/2) (best 'largest))
  "Stop bad points early: run all at the value FROM of the parameter BUDGET (training steps, chains),
keep the share KEEP of them with the best METRIC, run those at FROM / KEEP, and so on up to TO.
METRIC is a name in what the experiment returns, else among its metrics; BEST of it is
largest or smallest.  A point that fails, or has no such number, is not kept.
Example: (halving 'psnr #:budget 'steps #:from 100 #:to 1600)"
  (define (check condition name value expected)
    (check-that condition 'halving "~a: expected ~a, got ~s" name expected value))
  (check (symbol? metric) "metric" metric "a name")
  (check (symbol? budget) "budget" budget "the name of a parameter")
  (check (and (real? from) (rational? from) (> from 0)) "from" from "a positive number")
  (check (and (real? to) (rational? to) (>= to from)) "to" to "a number not below from")
  (check (and (real? keep) (< 0 keep 1)) "keep" keep "a share between 0 and 1")
  (check (memq best '(largest smallest)) "best" best "largest or smallest")
  `((metric . ,metric) (budget . ,budget) (budgets . ,(budgets from to keep)) (keep . ,keep)
    (best . ,best)))

;;; --- Sweeps as values -----------------------------------------------------------

(define-record-type <sweep>
  (%make-sweep directory config)
  sweep?
  (directory sweep-directory)
  (config sweep-config))                ; association list, as sweep.scm has it

(define (sweep-points sweep)
  "The points of SWEEP, a list of association lists.
Example: (length (sweep-points (open-sweep \"runs/norms\")))"
  (check-sweep 'sweep-points sweep)
  (assq-ref (sweep-config sweep) 'points))

(define (check-sweep who sweep)
  (check-that (sweep? sweep) who "sweep: expected one, as `open-sweep' gives, got ~s" sweep))

(set-record-type-printer! <sweep>
  (lambda (sweep port)
    (let* ((outcomes (map job-outcome (sweep-jobs sweep)))
           (of (lambda (outcome name)
                 (let ((n (count (lambda (o) (eq? o outcome)) outcomes)))
                   (if (zero? n) '() (list (format #f "~a ~a" n name)))))))
      (format port "#<sweep ~a of ~a points: ~a>" (assq-ref (sweep-config sweep) 'experiment)
              (length (sweep-points sweep))
              (string-join (append (of 'finished "finished") (of 'failed "failed")
                                   (of 'running "running") (of 'waiting "left"))
                           ", ")))))

(define format-number 1)                ; of sweep.scm

(define (in-sweep directory name) (string-append directory "/" name))

(define* (make-sweep experiment points #:key (settings '()) (directory #f) (halving #f) (names #f))
  "Write down the sweep of EXPERIMENT over POINTS in DIRECTORY, a new one in the folder runs/ unless
given, and run nothing.  SETTINGS are those that all points share; HALVING is that of `halving'; NAMES are
those of the points' directories, strings, numbers from 0001 on unless given.
Where DIRECTORY has a sweep already, it must be the same.
Example: (make-sweep two-moons (grid #:norms '((0) (1))))"
  (check-points 'sweep points)
  (check-that (experiment? experiment) 'sweep "experiment: expected one, got ~s" experiment)
  (check-that (or (experiment-script experiment) (experiment-module experiment)) 'sweep
              "~a: points run in processes of their own, which read the experiment from its \
script; define it in a file and load that" (experiment-name experiment))
  (check-that (or (not names) (and (list? names) (= (length names) (length points)) (every string? names)
                                   (= (length names) (length (delete-duplicates names)))))
              'sweep "names: expected a string for each point, no two alike, got ~s" names)
  (let* ((budget (and halving (assq-ref halving 'budget)))
         (full (lambda (point) (experiment-settings experiment (append settings point))))
         (checked (map (lambda (point)
                         ;; Values by their types; no point runs if one is wrong.
                         (let ((all (full (append point
                                                  (if budget
                                                      `((,budget . ,(last (assq-ref halving 'budgets))))
                                                      '())))))
                           (map (lambda (entry) (cons (car entry) (assq-ref all (car entry))))
                                point)))
                       points))
         (config `((format . ,format-number)
                   (experiment . ,(experiment-name experiment))
                   (script . ,(experiment-script experiment))
                   (script-hash . ,(and=> (experiment-text experiment) text-hash))
                   (module . ,(experiment-module experiment))
                   (settings . ,settings)
                   (halving . ,halving)
                   (points . ,checked)
                   ,@(if names `((names . ,names)) '())
                   (folder . ,(getcwd))
                   (version . ,tempera-version)))
         (directory (or directory
                        (fresh-directory (format #f "~a-sweep" (experiment-name experiment))))))
    (check-that (string? directory) 'sweep "directory: expected a string, got ~s" directory)
    (call-on-first-rank
     (lambda ()
       (check-that (not (file-exists? (in-sweep directory "config.scm"))) 'sweep
                   "~a: is a run's directory; choose another" directory)
       (make-directories directory)
       (if (file-exists? (in-sweep directory "sweep.scm"))
           (check-same directory (sweep-config (open-sweep directory)) config)
           (begin
             (when (experiment-text experiment)
               (save-text (in-sweep directory "script.scm") (experiment-text experiment)))
             (save-datum (in-sweep directory "sweep.scm") config)))
       #t))
    (%make-sweep directory config)))

(define (check-same directory before now)
  (for-each (lambda (key)
              (check-that (equal? (assq-ref before key) (assq-ref now key)) 'sweep
                          "~a: has a sweep with other ~a; go on with what it has (`tempera sweep \
--continue=~a', with --mended by the script as it is now) or choose another directory" directory
                          (if (eq? key 'script-hash) "text of its script" key) directory))
            '(experiment script-hash settings halving points names)))

(define (open-sweep directory)
  "The sweep in DIRECTORY as a value, complete or not; see `sweep-results'.
Example: (open-sweep \"runs/norms\")"
  (check-path 'open-sweep directory)
  (check-that (file-exists? (in-sweep directory "sweep.scm")) 'open-sweep
              "~a: is no sweep's directory: it has no sweep.scm" directory)
  (let ((config (load-alist 'open-sweep directory "sweep.scm")))
    (check-points 'open-sweep (assq-ref config 'points))
    (check-that (symbol? (assq-ref config 'experiment)) 'open-sweep
                "~a/sweep.scm: expected the name of an experiment" directory)
    (for-each (lambda (key good? expected)
                (check-that (good? (assq-ref config key)) 'open-sweep
                            "~a/sweep.scm: ~a: expected ~a, got ~s" directory key expected
                            (assq-ref config key)))
              '(script settings halving names)
              (list (lambda (script) (or (string? script) (and (not script) (assq-ref config 'module))))
                    (lambda (settings) (and (list? settings) (every pair? settings)))
                    (lambda (halving)
                      (or (not halving)
                          (and (list? halving) (every pair? halving)
                               (pair? (assq-ref halving 'budgets))
                               (every symbol? (map (lambda (k) (assq-ref halving k))
                                                   '(metric budget best)))
                               (let ((keep (assq-ref halving 'keep)))
                                 (and (real? keep) (< 0 keep 1))))))
                    (lambda (names)
                      (or (not names)
                          (and (list? names) (= (length names) (length (assq-ref config 'points)))
                               (every string? names)))))
              '("the name of a file" "an association list" "what `halving' makes" "a string for each point"))
    (check-scripts 'open-sweep directory (assq-ref config 'scripts))
    (check-module 'open-sweep directory (assq-ref config 'module))
    (%make-sweep directory (with-present-hashes directory config))))

(define (sweep-experiment sweep)
  "The experiment of SWEEP, from the sweep's own copy of its script, or from its module.
Example: (sweep-experiment (open-sweep \"runs/norms\"))"
  (check-sweep 'sweep-experiment sweep)
  (let ((copy (in-sweep (sweep-directory sweep) "script.scm"))
        (module (assq-ref (sweep-config sweep) 'module))
        (name (assq-ref (sweep-config sweep) 'experiment)))
    (cond (module (module-experiment module name))
          (else
           (check-that (file-exists? copy) 'sweep-experiment "~a: is missing" copy)
           (load-script (assq-ref (sweep-config sweep) 'script) #:text (file-text copy)
                        #:name name)))))

;;; --- Jobs: the runs that a sweep takes --------------------------------------------

(define-record-type <job>
  (make-job sweep point settings name)
  job?
  (sweep job-sweep)
  (point job-point)                     ; from 1
  (settings job-settings)               ; those of the point, and the budget
  (name job-name))                      ; of its directory

(set-record-type-printer! <job>
  (lambda (job port) (format port "#<job ~a ~s>" (job-name job) (job-settings job))))

(define (job-of sweep point budget)
  (let* ((parameter (and budget (assq-ref (assq-ref (sweep-config sweep) 'halving) 'budget)))
         (names (assq-ref (sweep-config sweep) 'names))
         (number (if names (list-ref names (1- point)) (string-pad (number->string point) 4 #\0))))
    (make-job sweep point
              (append (list-ref (sweep-points sweep) (1- point))
                      (if parameter `((,parameter . ,budget)) '()))
              (if budget (format #f "~a-~a" number budget) number))))

(define (job-directory job)
  "The directory of the run of JOB.
Example: (job-directory (car (sweep-jobs (open-sweep \"runs/norms\"))))"
  (format #f "~a/points/~a" (sweep-directory (job-sweep job)) (job-name job)))

(define (job-run job)
  ;; The run of JOB, or #f before it has begun.
  (and (file-exists? (in-sweep (job-directory job) "config.scm"))
       (open-run (job-directory job))))

(define (job-outcome job)
  "How JOB stands: finished, failed, running (by whatever process) or waiting (also to be gone on
with).
Example: (job-outcome (car (sweep-jobs (open-sweep \"runs/norms\"))))"
  (let ((state (directory-state (job-directory job))))
    (if (eq? state 'interrupted) 'waiting state)))

(define (job-error job)
  "Why JOB stopped, a text: of a failed one, or of one that waits since the disk had no room; else #f.
Example: (job-error (car (sweep-jobs (open-sweep \"runs/norms\")))) => #f"
  (assq-ref (load-state (job-directory job)) 'error))

(define (complete? job) (memq (job-outcome job) '(finished failed)))

(define (score-of job metric)
  ;; The number METRIC that the run of JOB came to, else its last among the metrics, or #f.
  (let ((run (job-run job)))
    (and run (eq? (run-state run) 'finished)
         (find (lambda (value) (and (real? value) (not (nan? value))))
               (cons (assq-ref (run-outcome run) metric)
                     (let ((metrics (run-metrics run)))
                       (if (memq metric (table-columns metrics))
                           (reverse (table-column metrics metric))
                           '())))))))

(define (kept jobs halving)
  ;; The points of the best of JOBS, in their order.
  (let* ((metric (assq-ref halving 'metric))
         (better (if (eq? (assq-ref halving 'best) 'largest) > <))
         (scored (filter-map (lambda (job)
                               (let ((score (score-of job metric)))
                                 (and score (cons score (job-point job)))))
                             jobs))
         (ranked (stable-sort scored (lambda (a b) (better (car a) (car b)))))
         (n (inexact->exact (ceiling (* (assq-ref halving 'keep) (length jobs))))))
    (sort (map cdr (list-head ranked (min n (length ranked)))) <)))

(define (stages sweep)
  ;; The jobs of each stage that can be known by now, a list of lists.
  (let* ((halving (assq-ref (sweep-config sweep) 'halving))
         (all (iota (length (sweep-points sweep)) 1)))
    (if (not halving)
        (list (map (lambda (point) (job-of sweep point #f)) all))
        (let loop ((points all) (budgets (assq-ref halving 'budgets)))
          (if (or (null? points) (null? budgets))
              '()
              (let ((jobs (map (lambda (point) (job-of sweep point (car budgets))) points)))
                (cons jobs
                      (if (every complete? jobs)
                          (loop (kept jobs halving) (cdr budgets))
                          '()))))))))

(define (sweep-stage sweep)
  "The jobs of SWEEP that can run by now: all, or with halving those of the last stage whose
budget is known to be due.
Example: (sweep-stage (open-sweep \"runs/norms\"))"
  (last (stages sweep)))

(define (sweep-jobs sweep)
  "All jobs of SWEEP that are known by now, those of earlier stages of halving among them.
Example: (length (sweep-jobs (open-sweep \"runs/norms\")))"
  (check-sweep 'sweep-jobs sweep)
  (concatenate (stages sweep)))

(define (run-job sweep name)
  "Run in this process the job NAME of SWEEP (\"0007\"), unless it is finished or another process
runs it; the run, or #f.
Example: (run-job (open-sweep \"runs/norms\") \"0001\")"
  (let ((job (or (find (lambda (job) (string=? (job-name job) name)) (sweep-jobs sweep))
                 (complain 'run-job "~a: has no point ~a by now" (sweep-directory sweep) name))))
    (and (eq? 'waiting (call-on-first-rank (lambda () (job-outcome job))))
         (let ((experiment (sweep-experiment sweep))
               (directory (absolute-name (job-directory job))))
           (call-in-folder (assq-ref (sweep-config sweep) 'folder)
             (lambda ()
               (run-experiment experiment
                               (append (assq-ref (sweep-config sweep) 'settings)
                                       (job-settings job))
                               #:directory directory
                               ;; Some points may have begun before that.
                               #:mended (pair? (assq-ref (sweep-config sweep) 'scripts)))))))))

(define* (mend-sweep! sweep #:key (script #f))
  "Let what is left of SWEEP, or of the directory of one, run by its script as it is now, or by the
file SCRIPT, and its failed points be run again; return the sweep.  What has finished stays; the
directory keeps both copies, see `run-experiment'.  Without a change, or of a command, which has no
script, the failed points are all.
Example: (mend-sweep! \"runs/norms\")"
  (let* ((sweep (if (sweep? sweep) sweep (open-sweep sweep)))
         (directory (sweep-directory sweep)))
    (%make-sweep directory (call-on-first-rank (lambda () (mend! sweep directory (sweep-config sweep) script))))))

(define (mend! sweep directory config script)
  ;; What `mend-sweep!' does; the config there is then.
  (let ((config (if (assq-ref config 'module)
                    (begin
                      (check-that (not script) 'mend-sweep! "~a: its experiment has no script, got ~a"
                                  directory script)
                      config)
                    (mended-config directory config
                                   (if script (absolute-name script) (assq-ref config 'script))))))
    (save-datum (in-sweep directory "sweep.scm") config)
    (for-each (lambda (job)
                (when (eq? (job-outcome job) 'failed)
                  (save-state! (job-directory job) 'interrupted
                               #:seconds (assq-ref (load-state (job-directory job)) 'seconds))))
              (sweep-jobs sweep))
    config))

(define (mended-config directory config script)
  ;; CONFIG, of the sweep in DIRECTORY, which goes on by the file SCRIPT as it is now.
  (let* ((experiment (load-script script #:name (assq-ref config 'experiment)))
         (text (experiment-text experiment)))
    (if (equal? (text-hash text) (assq-ref config 'script-hash))
        config
        (begin
          ;; No point runs if one does not fit.
          (call-in-folder (assq-ref config 'folder)
            (lambda ()
              (for-each (lambda (point)
                          (experiment-settings experiment
                                               (append (assq-ref config 'settings) point)))
                        (assq-ref config 'points))))
          (map (lambda (entry)
                 (if (eq? (car entry) 'script)
                     `(script . ,(experiment-script experiment))
                     entry))
               (replace-script! directory config text `((version . ,tempera-version))))))))

(define (job-script job)
  ;; The file of the sweep's that JOB's run ended by, if there are several, else #f.
  (let* ((scripts (assq-ref (sweep-config (job-sweep job)) 'scripts)) (run (and scripts (job-run job))))
    (and run
         (any (lambda (script)
                (and (equal? (assq-ref script 'hash) (assq-ref (run-config run) 'script-hash))
                     (assq-ref script 'file)))
              scripts))))

;;; --- Results ------------------------------------------------------------------

(define (setting-value value)
  (if (boolean? value) (if value 'yes 'no) value))

(define (settings-columns job)
  (cons (cons 'point (job-point job))
        (map (lambda (entry) (cons (car entry) (setting-value (cdr entry)))) (job-settings job))))

(define (tabular? value)
  (or (real? value) (string? value) (symbol? value) (boolean? value)
      (and (list? value) (every real? value))))

(define (sweep-results sweep)
  "The results of SWEEP, or of the directory of one, as a table: a row for each point with its
number, settings, what its run came to (see `run-outcome'), seconds, in a mended sweep the script's
copy that it ran by, and state: finished, failed, running, waiting, or stopped by halving, at the budget that is its last.
Example: (table-sort (sweep-results \"runs/norms\") 'psnr #:descending #t)"
  (let* ((sweep (if (sweep? sweep) sweep (open-sweep sweep)))
         (stages (stages sweep))
         (last-stage (map job-point (last stages)))
         (jobs (map (lambda (point)
                      (last (filter (lambda (job) (= (job-point job) point))
                                    (concatenate stages))))
                    (iota (length (sweep-points sweep)) 1))))
    (rows->table
     (map (lambda (job)
            (let* ((outcome (job-outcome job))
                   (run (job-run job))
                   (settings (settings-columns job))
                   (results (if (and run (eq? outcome 'finished))
                                (filter (lambda (e)
                                          (and (tabular? (cdr e)) (not (assq (car e) settings))
                                               (not (memq (car e) '(seconds state)))))
                                        (run-outcome run))
                                '())))
              `(,@settings
                ,@(map (lambda (e) (cons (car e) (setting-value (cdr e)))) results)
                (seconds . ,(and run (memq outcome '(finished failed)) (run-seconds run)))
                ,@(if (assq-ref (sweep-config sweep) 'scripts) `((script . ,(job-script job))) '())
                (state . ,(if (and (eq? outcome 'finished)
                                   (not (memv (job-point job) last-stage)))
                              'stopped
                              outcome)))))
          jobs))))

(define (save-results! sweep)
  "Write results.csv of SWEEP: its table of `sweep-results'."
  (save-table (in-sweep (sweep-directory sweep) "results.csv") (sweep-results sweep)))

(define (sweep-metrics sweep)
  "The metrics of all runs of SWEEP, or of the directory of one, as a table: their rows, each with its
point and settings.
Example: (table-filter (sweep-metrics \"runs/norms\") (lambda (point) (= point 3)) 'point)"
  (let ((sweep (if (sweep? sweep) sweep (open-sweep sweep))))
    (rows->table
     (append-map (lambda (job)
                   (let ((run (job-run job)) (settings (settings-columns job)))
                     (if run
                         (let ((metrics (run-metrics run)))
                           (map (lambda (row)
                                  (append settings
                                          (remove (lambda (e) (assq (car e) settings))
                                                  (map cons (table-columns metrics) row))))
                                (table-rows metrics)))
                         '())))
                 (sweep-jobs sweep)))))

(document
 (sweep?
  "True when OBJECT is a sweep.
Example: (sweep? 3) => #f")
 (sweep-directory
  "The directory of SWEEP, a string.
Example: (sweep-directory (open-sweep \"runs/norms\")) => \"runs/norms\"")
 (sweep-config
  "What SWEEP is, an association list as sweep.scm has it.
Example: (assq-ref (sweep-config (open-sweep \"runs/norms\")) 'experiment) => two-moons")
 (job?
  "True when OBJECT is a job: a point of a sweep, at a budget.
Example: (job? 3) => #f")
 (job-sweep
  "The sweep that JOB belongs to.
Example: (job-sweep (car (sweep-jobs (open-sweep \"runs/norms\"))))")
 (job-point
  "The number of the point of JOB, from 1.
Example: (job-point (car (sweep-jobs (open-sweep \"runs/norms\")))) => 1")
 (job-settings
  "The settings of JOB, an association list: those of its point, and the budget.
Example: (job-settings (car (sweep-jobs (open-sweep \"runs/norms\"))))")
 (job-name
  "The name of the directory of JOB, a string.
Example: (job-name (car (sweep-jobs (open-sweep \"runs/norms\")))) => \"0001\""))
