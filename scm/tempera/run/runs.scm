;;; runs.scm -- what an experiment leaves behind: a directory with all that is needed to look and to rerun.
;;;
;;;   config.scm    what ran: experiment, script, settings, versions, machine; read, never evaluated
;;;   script.scm    the script as it was; a command's experiment has none, but its module's name in config.scm
;;;   state.scm     running, finished, failed or interrupted; seconds, error, result
;;;   log.txt       all that the experiment printed, as it came
;;;   metrics.csv   the rows of `record-metrics!'
;;;   lock          held by the process that runs it; the system releases it when that dies
;;;
;;; and what the experiment itself writes, to names that `run-path' gives.
;;;
;;; Of several ranks all call the experiment, since they compute together, and the directory is rank 0's.  To the others `run-path'
;;; names files in folders of their own, with what the directory held when all began; these are removed at the end.
;;;
;;; Long, since what is written there is read again: to look at, to go on with, and to say what differs now.

(define-module (tempera run runs)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base parameters)
  #:use-module (tempera base process)
  #:use-module (tempera base program)
  #:use-module (tempera run environment)
  #:use-module (tempera base errors)
  #:use-module (tempera base evaluation)
  #:use-module (tempera base exceptions)
  #:use-module (tempera run claims)
  #:use-module (tempera run experiments)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera base progress)
  #:use-module (tempera run recorders)
  #:use-module (tempera run run-files)
  #:use-module (tempera file tables)
  #:re-export (run-path record-metrics!)
  #:export (run-experiment resume-run open-run list-runs run? run-directory run-config
            run-setting run-state run-seconds run-memory run-error run-result run-outcome run-metrics run-log
            run-pictures run-own-files run-own-experiment run-differences))

;;; --- Runs as values -----------------------------------------------------------

(define-record-type <run>
  (make-run directory config value)
  run?
  (directory run-directory)
  (config run-config)                   ; association list, as config.scm has it
  (value run-value))                    ; what the body returned in this process, or `nothing'

(define nothing (make-symbol "nothing"))

(set-record-type-printer! <run>
  (lambda (run port)
    (format port "#<run ~a, ~a>" (assq-ref (run-config run) 'experiment)
            (string-join
             (append (list (state-text run))
                     (let ((seed (assq 'seed (assq-ref (run-config run) 'settings))))
                       (if seed (list (format #f "seed ~a" (cdr seed))) '()))
                     (map (match-lambda
                            ((name . x)
                             (format #f "~a ~a" name (if (exact-integer? x) x (significant x 4)))))
                          (headline run)))
             ", "))))

(define (state-text run)
  ;; To print must not fail, whatever is in the files.
  (catch 'tempera-error
    (lambda ()
      (let ((state (run-state run)))
        (if (eq? state 'finished)
            (format #f "finished in ~a" (duration-text (run-seconds run)))
            (symbol->string state))))
    (const "with a state that cannot be read")))

(define (headline run)
  ;; Two numbers at most that tell most of RUN.
  (let ((numbers (filter (lambda (e) (real? (cdr e)))
                         (or (false-if-error (run-outcome run)) '()))))
    (list-head numbers (min 2 (length numbers)))))

;;; --- Looking ------------------------------------------------------------------

(define (open-run directory)
  "The run in DIRECTORY as a value, finished or not; see `run-config', `run-state', `run-seconds',
`run-error', `run-result', `run-metrics', `run-log', `run-pictures'.
Example: (open-run \"runs/two-moons\")"
  (make-run directory (load-config 'open-run directory) nothing))

(define* (list-runs #:optional (directory "runs"))
  "The runs in the folder DIRECTORY, in the order of their names; what is no run is passed over.
Example: (list-runs \"runs\")"
  (check-that (string? directory) 'list-runs "directory: expected a string, got ~s" directory)
  (filter-map (lambda (name)
                (let ((path (in-run directory name)))
                  (and (file-exists? (in-run path "config.scm"))
                       (catch 'tempera-error (lambda () (open-run path)) (const #f)))))
              (or (scandir directory (lambda (name) (not (string-prefix? "." name)))) '())))

(define (check-run who run)
  (check-that (run? run) who "run: expected one, as `open-run' gives, got ~s" run))

(define (run-setting run name)
  "The value that RUN has of the parameter NAME, a symbol.
Example: (run-setting (open-run \"runs/two-moons\") 'seed) => 0"
  (check-run 'run-setting run)
  (let* ((settings (assq-ref (run-config run) 'settings))
         (setting (assq name settings)))
    (check-that setting 'run-setting "~a has no parameter ~a; known: ~a"
                (assq-ref (run-config run) 'experiment) name (map car settings))
    (cdr setting)))

(define (run-state run)
  "Running, finished, failed or interrupted, a symbol.  A run whose process died is interrupted.
Example: (run-state (open-run \"runs/two-moons\")) => finished"
  (check-run 'run-state run)
  (directory-state (run-directory run)))

(define (run-seconds run)
  "How long RUN took, in seconds, with what came before an interruption that was noticed.
Example: (run-seconds (open-run \"runs/two-moons\"))"
  (check-run 'run-seconds run)
  (assq-ref (load-state (run-directory run)) 'seconds))

(define (run-memory run)
  "How many bytes of memory the process in which RUN finished has had at most, or #f where the system does not tell.
Example: (run-memory (open-run \"runs/two-moons\"))"
  (check-run 'run-memory run)
  (assq-ref (load-state (run-directory run)) 'memory))

(define (run-error run)
  "The text of the error that ended RUN, or #f.
Example: (run-error (open-run \"runs/two-moons\")) => #f"
  (check-run 'run-error run)
  (assq-ref (load-state (run-directory run)) 'error))

(define (run-result run)
  "What the body of RUN's experiment returned.  Of a run that is read from its directory, where
that was data (numbers, text, symbols, lists); else #f.
Example: (run-result (open-run \"runs/two-moons\"))"
  (check-run 'run-result run)
  (if (eq? (run-value run) nothing)
      (assq-ref (load-state (run-directory run)) 'result)
      (run-value run)))

(define (run-outcome run)
  "What RUN came to, an association list from symbols: its result, if that is one; else its result
under the name `result'; of a run without, the last row of its metrics.
Example: (assq-ref (run-outcome (open-run \"runs/two-moons\")) 'psnr) => 24.5"
  (check-run 'run-outcome run)
  (let ((result (run-result run)))
    (cond ((and (pair? result) (list? result)
                (every (lambda (e) (and (pair? e) (or (symbol? (car e)) (string? (car e)))))
                       result))
           (map (lambda (e) (cons (if (string? (car e)) (string->symbol (car e)) (car e)) (cdr e)))
                result))
          ((and result (datum? result)) `((result . ,result)))
          (else
           (let ((metrics (run-metrics run)))
             (if (null? (table-rows metrics))
                 '()
                 (map cons (table-columns metrics) (last (table-rows metrics)))))))))

(define (run-metrics run)
  "The table of what `record-metrics!' recorded in RUN so far.
Example: (table-column (run-metrics (open-run \"runs/two-moons\")) 'psnr) => (24 25)"
  (check-run 'run-metrics run)
  (load-metrics (run-directory run)))

(define (run-log run)
  "The text of all that RUN printed so far.
Example: (display (run-log (open-run \"runs/two-moons\")))"
  (check-run 'run-log run)
  (let ((path (in-run (run-directory run) "log.txt")))
    (if (file-exists? path)
        ;; A byte that is no UTF-8, as a crash may leave one, is shown as ?.
        (call-with-input-file path
          (lambda (port)
            (set-port-conversion-strategy! port 'substitute)
            (get-string-all port))
          #:encoding "UTF-8")
        "")))

(define (run-pictures run)
  "The paths of RUN's pictures (PNG, SVG, WebP, GIF), wherever in its directory they are.
Example: (run-pictures (open-run \"runs/two-moons\")) => ()"
  (check-run 'run-pictures run)
  (filter-map (lambda (name)
                (and (file-holds? name 'picture)
                     (in-run (run-directory run) name)))
              (files-below (run-directory run))))

(define (run-own-files run)
  "The names, inside its directory, of the files that RUN's experiment wrote, sorted.
Example: (run-own-files (open-run \"runs/two-moons\"))"
  (check-run 'run-own-files run)
  (remove own-name? (files-below (run-directory run))))

(define (run-differences run)
  "What is different now from when RUN ran, as lines of text: the script, input files, versions, the
processor; an empty list when nothing is.
Example: (run-differences (open-run \"runs/two-moons\")) => ()"
  (check-run 'run-differences run)
  (let* ((config (run-config run))
         (now (environment))
         (script (assq-ref config 'script))
         (own (in-run (run-directory run) "script.scm")))
    (define (difference name before after)
      (if (equal? before after)
          '()
          (list (format #f "~a: ~a then, ~a now" name (or before "none") (or after "none")))))
    (append
     (cond ((not script) '())
           ((not (and (file-exists? own) (equal? (text-hash (file-text own))
                                                 (assq-ref config 'script-hash))))
            (list (format #f "~a: is not the script that ran" own)))
           ((not (file-exists? script))
            (list (format #f "~a: is gone; the run has its copy" script)))
           ((not (equal? (text-hash (file-text script)) (assq-ref config 'script-hash)))
            (list (format #f "~a: has changed since; the run has its copy" script)))
           (else '()))
     (append-map (lambda (input)
                   (let* ((name (assq-ref (assq-ref config 'settings) (car input)))
                          (path (if (absolute-file-name? name)
                                    name
                                    (in-run (or (assq-ref config 'folder) ".") name))))
                     (cond ((not (file-exists? path)) (list (format #f "~a: is gone" path)))
                           ((file-is-directory? path) (list (format #f "~a: is a folder now" path)))
                           ((equal? (file-hash path) (cdr input)) '())
                           (else (list (format #f "~a: has changed since" path))))))
                 (or (assq-ref config 'inputs) '()))
     (let ((scripts (or (assq-ref config 'scripts) '())))
       (if (> (length scripts) 1)
           (list (format #f "its script was mended on the way: ~a began it"
                         (string-join (map (lambda (s) (assq-ref s 'file)) (drop-right scripts 1))
                                      ", then ")))
           '()))
     (append-map (lambda (key)
                   (difference key (assq-ref config key) (assq-ref now key)))
                 '(version processor instruction-set))
     (let ((before (or (assq-ref config 'libraries) '())) (after (assq-ref now 'libraries)))
       (append-map (lambda (name)
                     (difference name (assoc-ref before name) (assoc-ref after name)))
                   (delete-duplicates (map car (append before after))))))))

;;; --- Running ------------------------------------------------------------------

(define (iso-time)
  (strftime "%Y-%m-%dT%H:%M:%SZ" (gmtime (current-time))))

(define (module-file module)
  ;; The source of the module of that name; where there is none, "." is as good as another.
  (or (%search-load-path (string-append (string-join (map symbol->string module) "/") ".scm"))
      "."))

(define (input-hashes experiment settings)
  ;; Of the parameters that name files: an association list from a name to the hash of what the file holds.
  (filter-map (lambda (parameter)
                (let ((path (assq-ref settings (parameter-name parameter))))
                  (and path (eq? 'file (parameter-type parameter))
                       (eq? 'regular (stat:type (stat path)))
                       (cons (parameter-name parameter) (file-hash path)))))
              (experiment-parameters experiment)))

(define (make-config experiment settings)
  (let ((script (experiment-script experiment)) (module (experiment-module experiment)))
    `((format . ,format-number)
      (experiment . ,(experiment-name experiment))
      (settings . ,settings)
      (inputs . ,(input-hashes experiment settings))
      (script . ,script)
      (script-hash . ,(and script (text-hash (experiment-text experiment))))
      (module . ,module)
      (commit . ,(commit-of (cond (script (dirname script))
                                  (module (dirname (module-file module)))
                                  (else (getcwd)))))
      (folder . ,(getcwd))
      (command . ,(started-as))
      (started . ,(iso-time))
      ,@(environment))))

(define (check-empty directory)
  ;; Nobody's files get lost among a run's; those a run has before its config are its own.
  (let ((other (find (lambda (name)
                       (not (any (lambda (own) (string-prefix? own name)) own-names)))
                     (scandir directory (lambda (name) (not (member name '("." ".."))))))))
    (check-that (not other) 'run-experiment
                "~a: is no run's directory and not empty (~a is in it); choose another"
                directory other)))

(define (check-same directory config experiment settings mended)
  ;; That a run that goes on is what it was; when MENDED, in another script, which may have more
  ;; parameters.
  (define (differ what before now)
    (complain 'run-experiment "~a: ran with ~a ~a, not ~a; go on with what it has (`tempera run ~
--continue=~a' alone) or choose another directory" directory what before now directory))
  (unless (eq? (assq-ref config 'experiment) (experiment-name experiment))
    (differ "the experiment" (assq-ref config 'experiment) (experiment-name experiment)))
  (let ((before (assq-ref config 'settings)))
    (for-each (lambda (setting)
                (let ((old (assq (car setting) before)))
                  (unless (if old (equal? (cdr old) (cdr setting)) mended)
                    (differ (car setting) (if old (cdr old) "unset") (cdr setting)))))
              settings)
    (for-each (lambda (old)
                (unless (assq (car old) settings) (differ (car old) (cdr old) "without")))
              before))
  (for-each (lambda (input)
              (let ((before (assq-ref (or (assq-ref config 'inputs) '()) (car input))))
                (check-that (or (not before) (equal? before (cdr input))) 'run-experiment
                            "~a: ~a: ~a has changed since it ran; choose another directory" directory
                            (car input) (assq-ref settings (car input)))))
            (input-hashes experiment settings))
  (let ((text (experiment-text experiment)))
    (unless (or mended (equal? (and text (text-hash text)) (assq-ref config 'script-hash)))
      (complain 'run-experiment "~a: its script has changed since it ran; go on by the script as it ~
is now (`--mended', #:mended #t), with the run's own copy (`tempera run --continue=~a' alone), or choose ~
another directory" directory directory))))

(define (mend! directory config experiment settings)
  ;; The config of the run in DIRECTORY, which goes on by another script; both copies stay.
  (let* ((state (load-state directory))
         (script (experiment-script experiment))
         (config (replace-script! directory config (experiment-text experiment)
                                  `((commit . ,(commit-of (dirname script)))
                                    (version . ,tempera-version)
                                    (started . ,(iso-time))
                                    (seconds . ,(assq-ref state 'seconds))
                                    (rows . ,(table-size (load-metrics directory)))
                                    (error . ,(assq-ref state 'error)))))
         (config (map (lambda (entry)
                        (case (car entry)
                          ((settings) `(settings . ,settings))
                          ((script) `(script . ,script))
                          (else entry)))
                      config))
         (log (append-port (in-run directory "log.txt")))
         (scripts (reverse (assq-ref config 'scripts))))
    (save-datum (in-run directory "config.scm") config)
    (for-each (lambda (port)
                (format port "going on by the mended script; ~a made what there is so far~%"
                        (assq-ref (second scripts) 'file)))
              (list log (current-error-port)))
    (close-port log)
    config))

(define (failed-at-once? directory config settings)
  ;; Whether the run in DIRECTORY, of other SETTINGS, failed before it had anything to show.
  (and (not (equal? settings (assq-ref config 'settings)))
       (eq? 'failed (assq-ref (load-state directory) 'state))
       (not (file-exists? (in-run directory "metrics.csv")))
       (every own-name? (files-below directory))))

(define (prepare! directory experiment settings mended)
  ;; The config of the run in DIRECTORY, new or from before.
  (if (and (file-exists? (in-run directory "config.scm"))
           (not (failed-at-once? directory (load-config 'run-experiment directory) settings)))
      (let ((config (load-config 'run-experiment directory)))
        (check-that (not (eq? (assq-ref (load-state directory) 'state) 'finished)) 'run-experiment
                    "~a: has a finished run; look at it with (open-run ~s), or choose another ~
directory" directory directory)
        (check-same directory config experiment settings mended)
        (if (equal? (and=> (experiment-text experiment) text-hash) (assq-ref config 'script-hash))
            config
            (mend! directory config experiment settings)))
      (let ((config (make-config experiment settings)))
        (check-empty directory)
        (for-each (lambda (name) (false-if-error (delete-file (in-run directory name))))
                  '("state.scm" "log.txt"))
        (when (experiment-text experiment)
          (save-text (in-run directory "script.scm") (experiment-text experiment)))
        (save-datum (in-run directory "config.scm") config)
        config)))

(define (exit-status exception)
  ;; The status of `exit', or #f of any other exception.
  (and (eq? (exception-kind exception) 'quit)
       (let ((arguments (exception-args exception)))
         (cond ((or (null? arguments) (eq? (first arguments) #t)) 0)
               ((exact-integer? (first arguments)) (first arguments))
               (else 1)))))

(define* (run-experiment experiment #:optional (settings '()) #:key (directory #f) (mended #f))
  "Run EXPERIMENT and return the run, a value: see `run-result' for what the experiment returned.
SETTINGS are as of `experiment-settings'.  All that belongs to the run goes to DIRECTORY, a new one
in the folder runs/ unless given; that of a run that was interrupted or failed is gone on with, if
script and settings are the same, or begun anew if it failed before it had written anything; that of
a finished run is refused.  With MENDED the script may
have changed: what there is stays, what is left is made by the new one, and the directory keeps
both and says in config.scm, under `scripts', when which began.  Ctrl-C leaves the run
interrupted, for `resume-run'.  An error's backtrace is in the run's log.
Example: (let ()
           (define-experiment toy ((n 3 positive? \"points\")) (* 2 n))
           (run-experiment toy '((n . 5)) #:directory \"runs/toy\"))"
  (let* ((settings (experiment-settings experiment settings))
         (directory (or directory (fresh-directory (experiment-name experiment)))))
    (check-that (and (string? directory) (not (string-null? directory))) 'run-experiment
                "directory: expected a name, got ~s" directory)
    (define let-go (const #t))
    (define (take!)
      ;; The directory is this process's until `let-go' is called; the config of the run there.
      (make-directories directory)
      (check-that (file-is-directory? directory) 'run-experiment "~a: is a file" directory)
      (temporaries-sweep! directory)
      (unless (file-exists? (in-run directory "config.scm")) (check-empty directory))
      (set! let-go (or (claim directory)
                       (complain 'run-experiment "~a: another process runs it" directory)))
      (prepare! directory experiment settings mended))
    (call-failing-together
     (lambda ()
       (dynamic-wind
         (const #t)
         (lambda ()
           (let ((config (call-on-first-rank take!)))
             (make-run directory config
                       (if (or (first-rank?) (not (together?)))
                           (run-body directory config experiment settings)
                           (run-body-beside directory experiment settings)))))
         (lambda () (let-go)))))))

(define (run-body-beside directory experiment settings)
  ;; What the experiment returns on a rank that is not the first, whose files nobody keeps.
  (call-with-temporary-folder
   (lambda (folder)
     (all-meet)                         ; have what the first has written so far
     (copy-files directory folder)
     (all-meet)                         ; have copied it; the experiment begins
     (let ((value (parameterize ((current-recorder (start-recorder folder)))
                    (apply (experiment-procedure experiment) (map cdr settings)))))
       (all-meet)                       ; are well
       (all-meet)                       ; find the run finished
       value))))

(define (copy-files from to)
  ;; The files of the run in the folder FROM, without those of sweeps inside it, where all ranks see them.
  (for-each (lambda (name)
              (let ((path (in-run from name)) (copy (in-run to name)))
                (cond ((not (file-is-directory? path)) (copy-file path copy))
                      ((not (file-exists? (in-run path "sweep.scm")))
                       (mkdir copy)
                       (copy-files path copy)))))
            (scandir from (lambda (name) (not (member name '("." ".." "lock")))))))

(define (run-body directory config experiment settings)
  ;; What the experiment returns; `nothing' when it was paused.
  (let* ((before (assq-ref (load-state directory) 'seconds))
         (start (seconds-now))
         (seconds (lambda () (+ before (- (seconds-now) start))))
         (log (append-port (in-run directory "log.txt")))
         (recorder (start-recorder directory))
         (output (tee (current-output-port) log))
         (errors (tee (current-error-port) log))
         (ended (lambda (exception)
                  (false-if-error (force-output output))
                  (false-if-error (force-output errors))
                  (let ((status (exit-status exception)))
                    (cond ((eqv? status 0) (save-state! directory 'finished #:seconds (seconds)))
                          ((interrupt-signal exception)
                           (put-string log "interrupted\n")
                           (save-state! directory 'interrupted #:seconds (seconds)))
                          ((no-space? (exception-kind exception) (exception-args exception))
                           ;; It may go well another time; what can be written says so.
                           (false-if-error (format log "~a~%" (exception-text exception)))
                           (false-if-error (force-output log))
                           (false-if-error (save-state! directory 'interrupted #:seconds (seconds)
                                                        #:error (exception-text exception))))
                          (else
                           (let ((text (if status
                                           (format #f "exit ~a" status)
                                           (exception-text exception))))
                             (format log "~a~%" text)
                             (write-backtrace exception log)
                             (save-state! directory 'failed #:seconds (seconds)
                                          #:error text))))))))
    (define (body)
      (parameterize ((current-recorder recorder)
                     (progress-port (current-error-port))
                     (current-output-port output)
                     (current-error-port errors)
                     (current-warning-port errors))
        (call-with-stop
         (lambda ()
           (all-meet)                   ; the directory is as the others are to have it
           (all-meet)                   ; and they have copied it
           (let ((value (apply (experiment-procedure experiment) (map cdr settings))))
             (all-meet)
             (force-output output)
             (force-output errors)
             value))
         ended)))
    (save-state! directory 'running #:seconds before)
    (dynamic-wind
      (const #t)
      (lambda ()
        (let ((value (call-with-pause (make-run directory config nothing) "run" body
                       (lambda (name)
                         (when name (say-how-to-go-on directory config))
                         nothing))))
          (unless (eq? value nothing)
            (save-state! directory 'finished #:seconds (seconds) #:memory (assq-ref (process-memory) 'peak)
                         #:result (and (datum? value) value))
            (all-meet))
          value))
      (lambda ()
        (false-if-error (close-metrics! recorder)) ; each row was written, or an error
        (false-if-error (close-port log))))))

(define (say-how-to-go-on directory config)
  (format (current-error-port) "~a: interrupted; ~a goes on~%" directory
          (if (or (assq-ref config 'script) (assq-ref config 'module))
              (format #f "(resume-run ~s)" directory)
              (format #f "(run-experiment ~a '~s #:directory ~s)" (assq-ref config 'experiment)
                      (assq-ref config 'settings) directory))))

;;; --- Again --------------------------------------------------------------------

(define (run-own-experiment run)
  "The experiment of RUN, from the run's own copy of its script, or from its module.
Example: (run-own-experiment (open-run \"runs/two-moons\"))"
  (check-run 'run-own-experiment run)
  (let* ((config (run-config run))
         (name (assq-ref config 'experiment))
         (script (assq-ref config 'script)) (module (assq-ref config 'module))
         (copy (in-run (run-directory run) "script.scm")))
    (check-that (or script module) 'run-own-experiment
                "~a: its experiment was defined at the prompt, and has no script to read"
                (run-directory run))
    (cond (module (module-experiment module name))
          (else
           (check-that (file-exists? copy) 'run-own-experiment "~a: its script.scm is missing"
                       (run-directory run))
           ;; Under its old name: a script may look for files beside itself.
           (load-script script #:text (file-text copy) #:name name)))))

(define* (resume-run run #:key (mended #f))
  "Go on with RUN, a run or its directory, which was interrupted or failed: its own copy of the
script, its settings, the folder where it ran, and the files it has left, such as checkpoints.
MENDED, #t or the name of a script: go on by the script as it is now, as `run-experiment' does.
Example: (resume-run \"runs/b\")"
  (let* ((run (if (run? run) run (open-run run)))
         (directory (absolute-name (run-directory run)))
         (config (run-config run))
         (script (if (string? mended) (absolute-name mended) (assq-ref config 'script))))
    (check-that (or (not mended) script) 'resume-run
                "~a: its experiment has no script to be mended; go on with what it has"
                (run-directory run))
    (call-in-folder (assq-ref config 'folder)
      (lambda ()
        (run-experiment (if mended
                            (load-script script #:name (assq-ref config 'experiment))
                            (run-own-experiment (open-run directory)))
                        (assq-ref config 'settings) #:directory directory
                        #:mended (and mended #t))))
    (make-run (run-directory run) (load-config 'resume-run directory) (run-value run))))

(pauses! run-experiment resume-run)

(document
 (run?
  "True when OBJECT is a run.
Example: (run? (open-run \"runs/two-moons\")) => #t")
 (run-directory
  "The directory of RUN, a string.
Example: (run-directory (open-run \"runs/two-moons\")) => \"runs/two-moons\"")
 (run-config
  "What RUN was, an association list as config.scm has it.
Example: (assq-ref (run-config (open-run \"runs/two-moons\")) 'experiment) => two-moons"))
