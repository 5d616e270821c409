;;; costs.scm -- what a run will take: time, memory and disk, from two trials of it in small.
;;;
;;; An experiment says what its trials are, and in which work its costs are straight lines (`experiment-trials'):
;;; steps of training, chains times temperatures.  A trial is a run in a process of its own.  What it took is kept in
;;; $XDG_CACHE_HOME/tempera/trials by version, processor, instruction set, threads and settings, so that the next
;;; estimate, here or on another machine that shares the folder, needs no trial.

(define-module (tempera run costs)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 textual-ports)
  #:autoload (ice-9 threads) (total-processor-count)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera run environment)
  #:use-module (tempera run experiments)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera run sweeps)
  #:use-module (tempera run workers)
  #:use-module (tempera tensor primitives)
  #:export (estimate cost? cost-seconds cost-processor-seconds cost-memory cost-disk bytes-text trials-folder))

(define-record-type <cost>
  (make-cost seconds processor-seconds memory disk)
  cost?
  (seconds cost-seconds)
  (processor-seconds cost-processor-seconds)
  (memory cost-memory)                  ; at most, of a process, in bytes
  (disk cost-disk))                     ; what the run leaves, in bytes

(define (bytes-text bytes)
  "BYTES to be read: \"1.2 GB\".
Example: (bytes-text 3500000) => 3.5 MB"
  (let ((unit (find (lambda (unit) (>= bytes (car unit))) '((1e12 . "TB") (1e9 . "GB") (1e6 . "MB") (0 . "kB")))))
    (format #f "~a ~a" (number-text (/ bytes (if (zero? (car unit)) 1e3 (car unit))) 2) (cdr unit))))

(set-record-type-printer! <cost>
  (lambda (cost port)
    (format port "#<cost ~a, ~a of a processor, ~a of memory, ~a of disk>" (duration-text (cost-seconds cost))
            (duration-text (cost-processor-seconds cost)) (bytes-text (cost-memory cost)) (bytes-text (cost-disk cost)))))

;;; --- Trials ------------------------------------------------------------------------------

(define (trials-folder)
  "Where trials are kept.
Example: (trials-folder)"
  (let ((cache (getenv "XDG_CACHE_HOME")))
    (string-append (if (and cache (absolute-file-name? cache))
                       cache
                       (string-append (or (getenv "HOME") "/tmp") "/.cache"))
                   "/tempera/trials")))

(define (file-mark value)
  ;; What tells that the file VALUE, a setting, is another one than before; #f of what names no file.
  (and (string? value) (not (string-null? value)) (file-exists? value)
       (let ((status (stat value)))
         (list (absolute-name value) (stat:size status) (stat:mtime status)))))

(define (trial-key experiment settings threads)
  ;; All that a trial depends on.  Seeds change no cost.
  (let ((now (environment)) (settings (alist-delete 'seed settings)))
    `(,@(map (lambda (name) (assq name now)) '(version processor instruction-set))
      (threads . ,threads)
      (experiment . ,(experiment-name experiment))
      (script-hash . ,(and=> (experiment-text experiment) text-hash))
      (settings . ,settings)
      (files . ,(filter-map (lambda (setting) (file-mark (cdr setting))) settings)))))

(define (waited-for-processor process)
  ;; The seconds that the main thread of PROCESS waited for a processor that others had; 0 where the system does not tell.
  (let ((words (string-tokenize (or (false-if-error (call-with-input-file (format #f "/proc/~a/schedstat" process)
                                                      get-string-all))
                                    ""))))
    (if (= 3 (length words)) (/ (string->number (second words)) 1e9) 0)))

(define (wait-for process)
  ;; The same of PROCESS until its end.
  (let loop ((waited 0))
    (let ((waited (max waited (waited-for-processor process))))
      (if (zero? (car (waitpid process WNOHANG)))
          (begin (usleep 5000) (loop waited))
          waited))))

(define (processor-seconds-of-children)
  (let ((t (times)))
    (/ (+ (tms:cutime t) (tms:cstime t)) (exact->inexact internal-time-units-per-second))))

(define (folder-bytes folder)
  (apply + (map (lambda (name) (stat:size (lstat (string-append folder "/" name)))) (files-below folder))))

(define (run-trial experiment settings threads)
  ;; What the run of EXPERIMENT with SETTINGS takes: an association list of seconds, processor-seconds, memory, disk.
  (call-with-temporary-folder
   (lambda (folder)
     (let* ((sweep (make-sweep experiment (list (remove (lambda (setting) (not (cdr setting))) settings))
                               #:directory (string-append folder "/trial")))
            (job (first (sweep-jobs sweep)))
            (start (seconds-now)) (before (processor-seconds-of-children))
            (process (start-process job threads))
            (waited (call-with-stop (lambda () (wait-for process))
                                    (lambda (exception) (false-if-error (kill process SIGTERM)))))
            ;; Where others compute too, without what it waited for them.
            (seconds (- (seconds-now) start waited)))
       (check-that (eq? 'finished (job-outcome job)) 'estimate "a trial of ~a failed: ~a" (experiment-name experiment)
                   (or (job-error job)
                       (string-trim-both (false-if-error (file-text (string-append folder "/trial/errors.txt"))))))
       `((seconds . ,seconds)
         (processor-seconds . ,(- (processor-seconds-of-children) before))
         (memory . ,(or (run-memory (open-run (job-directory job))) 0))
         (disk . ,(folder-bytes (job-directory job))))))))

(define (trial experiment settings threads)
  ;; The same, kept from before or now.
  (let* ((key (trial-key experiment settings threads))
         (path (format #f "~a/~a.scm" (trials-folder) (text-hash (object->string key))))
         (kept (and (file-exists? path) (false-if-error (load-datum path)))))
    (if (and kept (equal? key (assq-ref kept 'key)))
        (assq-ref kept 'took)
        (let ((took (run-trial experiment settings threads)))
          (make-directories (trials-folder))
          (save-datum path `((key . ,key) (took . ,took)))
          took))))

;;; --- Estimates -----------------------------------------------------------------------------

(define (changed settings changes)
  (map (lambda (setting) (or (assq (car setting) changes) setting)) settings))

(define (on-line small large work)
  ;; Where the line through what two trials took, SMALL and LARGE, is at the third of WORK; the larger without that.
  (let ((a (and work (first work))) (b (and work (second work))))
    (if (and work (not (= a b)))
        (+ small (* (/ (- large small) (- b a)) (- (third work) a)))
        (max small large))))

(define* (estimate experiment #:optional (settings '()) #:key (threads (threads)) (ranks 1) (trials #f))
  "What a run of EXPERIMENT with SETTINGS takes with THREADS threads on a machine such as this one, a cost: see
`cost-seconds', `cost-processor-seconds', `cost-memory' and `cost-disk'.  Two small runs tell, unless they are kept
from before.  TRIALS says what they are in place of the experiment itself, as of `experiment-trials'.
With several RANKS the work above the small trial's is shared among them, without what they say to each other;
memory is that of one.
Example: (cost? (estimate two-moons '((samples . 100)) #:threads 1)) => #t"
  (let* ((settings (experiment-settings experiment settings))
         (trials (or trials (experiment-trials experiment settings)
                     (complain 'estimate "~a does not say how it is tried in small; expected #:trials in its \
definition, or --trial=PARAMETER=SMALL,LARGE" (experiment-name experiment))))
         (processors (total-processor-count)))
    (check-that (<= threads processors) 'estimate "threads: there are ~a processors here, got ~a; call it where it will run"
                processors threads)
    (let* ((took (lambda (which)
                   (trial experiment (experiment-settings experiment (changed settings (assq-ref trials which))) threads)))
           (small (took 'small)) (large (took 'large))
           (work (lambda (name) (assq-ref trials name)))
           (share (lambda (work)
                    (and work (list (first work) (second work)
                                    (+ (first work) (/ (- (third work) (first work)) ranks))))))
           (of (lambda (what work) (max 0 (on-line (assq-ref small what) (assq-ref large what) work))))
           (times (or (assq-ref trials 'times) 1)))
      (make-cost (* times (of 'seconds (share (work 'seconds))))
                 (* times (of 'processor-seconds (work 'seconds)))
                 (of 'memory (share (work 'memory)))
                 (* times (of 'disk (work 'disk)))))))

(document
 (cost?
  "True when OBJECT is a cost.
Example: (cost? 3) => #f")
 (cost-seconds
  "The seconds by the clock of COST, as `estimate' gives it, on a machine that does nothing else.
Example: (cost-seconds (estimate two-moons #:threads 1))")
 (cost-processor-seconds
  "The seconds of COST that processors work, all of them together.
Example: (cost-processor-seconds (estimate two-moons #:threads 1))")
 (cost-memory
  "The bytes of memory of COST, at most, of a process.
Example: (cost-memory (estimate two-moons #:threads 1))")
 (cost-disk
  "The bytes of COST that the run leaves in its directory.
Example: (cost-disk (estimate two-moons #:threads 1))"))
