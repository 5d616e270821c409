;;; runs.scm -- what an experiment leaves: a directory with all that it takes to look and to rerun.
;;;
;;;   config.scm    what ran: experiment, script, settings, versions, machine; read, never evaluated
;;;   script.scm    the script as it was
;;;   state.scm     running, finished, failed or interrupted; seconds, error, result
;;;   log.txt       all that the experiment printed, as it came
;;;   metrics.csv   the rows of `record-metrics!'
;;;   lock          held by the process that runs it, and let go of by the system when that dies
;;;
;;; and what the experiment writes where `run-path' says.

(define-module (tempera runs)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera cli)
  #:use-module (tempera documentation)
  #:use-module (tempera errors)
  #:use-module (tempera experiments)
  #:use-module (tempera files)
  #:use-module (tempera interrupts)
  #:use-module (tempera numbers)
  #:use-module (tempera primitives)
  #:use-module (tempera progress)
  #:use-module (tempera tables)
  #:export (run-experiment resume-run open-run list-runs run? run-directory run-config
            run-setting run-state run-seconds run-error run-result run-outcome run-metrics run-log
            run-pictures run-path record-metrics! run-differences run-own-experiment
            run-own-files environment fresh-directory run-claimed? directory-state fail-run! file-text text-hash load-alist
            absolute-name call-in-folder))

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
                         (or (false-if-exception (run-outcome run)) '()))))
    (list-head numbers (min 2 (length numbers)))))

;;; --- Files of a run -------------------------------------------------------------

(define format-number 1)                ; of config.scm and state.scm

(define (in-run directory name) (string-append directory "/" name))

(define (load-alist who directory name)
  "The association list in the file NAME of DIRECTORY, which must be of the format that this version
reads; else an error of WHO.
Example: (load-alist 'open-run \"runs/two-moons\" \"config.scm\")"
  (let* ((path (in-run directory name))
         (value (load-datum path)))
    (check-that (and (list? value)
                     (every (lambda (e) (and (pair? e) (symbol? (car e)))) value)
                     (assq 'format value))
                who "~a: expected an association list with a format" path)
    (check-that (equal? (assq-ref value 'format) format-number) who
                "~a: is of format ~s, this version reads ~a; use the version of Tempera that ~
wrote it~a" path (assq-ref value 'format) format-number
                (let ((version (assq-ref value 'version)))
                  (if version (format #f ", ~a" version) "")))
    value))

(define (load-config who directory)
  (check-that (string? directory) who "directory: expected a string, got ~s" directory)
  (let ((path (in-run directory "config.scm")))
    (check-that (file-exists? directory) who "~a: no such directory" directory)
    (check-that (file-exists? path) who "~a: is no run's directory: it has no config.scm" directory)
    (let ((config (load-alist who directory "config.scm")))
      (check-that (and (symbol? (assq-ref config 'experiment))
                       (let ((settings (assq-ref config 'settings)))
                         (and (list? settings)
                              (every (lambda (s) (and (pair? s) (symbol? (car s)))) settings))))
                  who "~a: expected the name of an experiment and its settings" path)
      (for-each (lambda (key)
                  (let ((value (assq-ref config key)))
                    (check-that (or (not value) (string? value)) who "~a: ~a: expected text, got ~s"
                                path key value)))
                '(script folder))
      (let ((libraries (assq-ref config 'libraries)))
        (check-that (or (not libraries) (and (list? libraries) (every pair? libraries))) who
                    "~a: libraries: expected a list of pairs, got ~s" path libraries))
      config)))

(define states '(running finished failed interrupted))

(define (load-state directory)
  ;; The association list in state.scm; before there is one, as of a run that died at birth.
  (if (file-exists? (in-run directory "state.scm"))
      (let ((state (load-alist 'run-state directory "state.scm")))
        (check-that (memq (assq-ref state 'state) states) 'run-state
                    "~a/state.scm: expected a state among ~a, got ~s" directory states
                    (assq-ref state 'state))
        (let ((seconds (assq-ref state 'seconds)))
          (check-that (and (real? seconds) (finite? seconds) (>= seconds 0)) 'run-state
                      "~a/state.scm: expected seconds, 0 or more, got ~s" directory seconds))
        state)
      '((state . running) (seconds . 0) (error . #f) (result . #f))))

(define* (save-state! directory state #:key (seconds 0) (error #f) (result #f))
  (save-datum (in-run directory "state.scm")
              `((format . ,format-number) (state . ,state) (seconds . ,seconds)
                (error . ,error) (result . ,result))))

(define (claim directory)
  ;; The lock of the run in DIRECTORY, a port to be kept open; #f while somebody has it.
  (let ((port (open (in-run directory "lock") (logior O_RDWR O_CREAT O_CLOEXEC))))
    (let try ((n 3))                    ; `run-claimed?' may hold it for a moment
      (catch 'system-error
        (lambda () (flock port (logior LOCK_EX LOCK_NB)) port)
        (lambda (key . arguments)
          (let ((errno (system-error-errno (cons key arguments))))
            (cond ((not (= errno EWOULDBLOCK))
                   (close-port port)
                   (complain 'run-experiment "~a/lock: ~a" directory (strerror errno)))
                  ((> n 1) (usleep 20000) (try (1- n)))
                  (else (close-port port) #f))))))))

(define (run-claimed? directory)
  "Whether a living process runs the run in DIRECTORY.
Example: (run-claimed? \"runs/two-moons\") => #f"
  (and (file-exists? (in-run directory "lock"))
       (let* ((port (open (in-run directory "lock") (logior O_RDWR O_CLOEXEC)))
              (free? (catch 'system-error
                       (lambda () (flock port (logior LOCK_SH LOCK_NB)) #t)
                       (const #f))))
         (close-port port)
         (not free?))))

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

(define (directory-state directory)
  "The state of the run in DIRECTORY, as of `run-state'; interrupted where none has begun.
Example: (directory-state \"runs/two-moons\") => finished"
  (let ((state (assq-ref (load-state directory) 'state)))
    (cond ((not (eq? state 'running)) state)
          ((run-claimed? directory) state)
          ;; It may have ended between the two looks.
          (else
           (let ((now (assq-ref (load-state directory) 'state)))
             (if (eq? now 'running) 'interrupted now))))))

(define (run-seconds run)
  "How long RUN took, in seconds, with what came before an interruption that was noticed.
Example: (run-seconds (open-run \"runs/two-moons\"))"
  (check-run 'run-seconds run)
  (assq-ref (load-state (run-directory run)) 'seconds))

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

(define (load-metrics directory)
  (let ((path (in-run directory "metrics.csv")))
    (if (file-exists? path) (load-table path #:torn #t) (table '() '()))))

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

(define picture-endings '(".png" ".svg" ".webp" ".gif"))

(define (files-below directory)
  ;; The names of all files below DIRECTORY, relative to it, sorted.
  (let ((start (1+ (string-length directory))))
    (sort (file-system-fold (const #t)
                            (lambda (path stat names) (cons (substring path start) names))
                            (lambda (path stat names) names)
                            (lambda (path stat names) names)
                            (lambda (path stat names) names)
                            (lambda (path stat errno names) names)
                            '() directory)
          string<?)))

(define (run-pictures run)
  "The paths of RUN's pictures (PNG, SVG, WebP, GIF), wherever in its directory they are.
Example: (run-pictures (open-run \"runs/two-moons\")) => ()"
  (check-run 'run-pictures run)
  (filter-map (lambda (name)
                (and (any (lambda (ending) (string-suffix? ending name)) picture-endings)
                     (in-run (run-directory run) name)))
              (files-below (run-directory run))))

(define own-names '("config.scm" "script.scm" "state.scm" "log.txt" "metrics.csv" "lock" "report.html"))

(define (run-own-files run)
  "The names, inside its directory, of the files that RUN's experiment wrote, sorted.
Example: (run-own-files (open-run \"runs/two-moons\"))"
  (check-run 'run-own-files run)
  (remove (lambda (name) (member name own-names)) (files-below (run-directory run))))

;;; --- Where and what: the environment ----------------------------------------------

(define (first-line . command)
  ;; What COMMAND says first, or #f when it fails or is not there.
  (and (program-exists? (car command))
       (let* ((pipe (with-error-to-port (%make-void-port "w")
                      (lambda () (apply open-pipe* OPEN_READ command))))
              (line (get-line pipe)))
         (and (zero? (close-pipe pipe)) (string? line) line))))

(define (commit-of folder)
  ;; The git commit of the files in FOLDER, with "-dirty" when some differ; #f outside of git.
  (first-line "sh" "-c" "git -C \"$0\" describe --always --dirty --abbrev=40 2>/dev/null" folder))

(define (processor)
  (or (false-if-exception
       (let* ((text (call-with-input-file "/proc/cpuinfo" get-string-all))
              (found (string-match "model name[ \t]*: ([^\n]*)" text)))
         (and found (match:substring found 1))))
      (utsname:machine (uname))))

(define (environment)
  "What a result may depend on besides its script and settings: an association list of the
versions of Tempera and its libraries, and of host, processor, instruction set and threads.
Example: (assq-ref (environment) 'threads)"
  `((version . ,tempera-version)
    (libraries ("guile" . ,(version)) ,@(library-versions))
    (host . ,(gethostname))
    (system . ,(format #f "~a ~a" (utsname:sysname (uname)) (utsname:release (uname))))
    (processor . ,(processor))
    (instruction-set . ,(instruction-set))
    (threads . ,(threads))))

(define (run-differences run)
  "What is different now from when RUN ran, as lines of text: the script, versions, the processor;
an empty list when nothing is.
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
     (append-map (lambda (key)
                   (difference key (assq-ref config key) (assq-ref now key)))
                 '(version processor instruction-set))
     (let ((before (or (assq-ref config 'libraries) '())) (after (assq-ref now 'libraries)))
       (append-map (lambda (name)
                     (difference name (assoc-ref before name) (assoc-ref after name)))
                   (delete-duplicates (map car (append before after))))))))

(define (file-text path)
  "The text of the file PATH.
Example: (file-text \"experiments/two-moons.scm\")"
  (call-with-input-file path get-string-all #:encoding "UTF-8"))

(define (text-hash text)
  "A hash of TEXT (FNV-1a, 64 bits), which tells a changed script from the one that ran; it is no
defence against malice.
Example: (text-hash \"\") => \"fnv1a-cbf29ce484222325\""
  (string-append
   "fnv1a-"
   (number->string
    (string-fold (lambda (c hash)
                   (logand (* (logxor hash (char->integer c)) #x100000001b3) #xffffffffffffffff))
                 #xcbf29ce484222325 text)
    16)))

;;; --- Inside of a run ------------------------------------------------------------

(define-record-type <recorder>
  ;; What the experiment that runs here writes to.
  (make-recorder directory earlier columns rows port)
  recorder?
  (directory recorder-directory)
  (earlier recorder-earlier set-recorder-earlier!) ; rows from before an interruption, or #f
  (columns recorder-columns set-recorder-columns!)
  (rows recorder-rows set-recorder-rows!) ; the last first
  (port recorder-port set-recorder-port!)) ; metrics.csv open at its end, or #f

(define current-recorder (make-parameter #f))

(define (active who)
  (or (current-recorder)
      (complain who "no run is active: experiments run by `run-experiment' or `tempera run'")))

(define (run-path name)
  "The path of the file NAME in the directory of the run that is active; folders in NAME are made.
Example: (define (draw mean) (save-png (run-path \"pictures/mean.png\") mean))"
  (let ((recorder (active 'run-path)))
    (check-that (and (string? name) (not (string-null? name))) 'run-path
                "name: expected the name of a file, got ~s" name)
    (check-that (not (or (string-prefix? "/" name) (member ".." (string-split name #\/))))
                'run-path "name: expected one inside of the run's directory, got ~a" name)
    (check-that (not (member name own-names)) 'run-path
                "name: ~a is the run's own; choose another" name)
    (let ((path (in-run (recorder-directory recorder) name)))
      (make-directories (dirname path))
      path)))

(define (record-metrics! row)
  "Append ROW, an association list from symbols to numbers, text or symbols, to metrics.csv of the
run that is active; it is on disk when this returns.  Columns may be new.  In a run
that goes on after an interruption, rows from before it stay up to the first that has the same
first entry as the first new one: those are computed again.
Example: (define (note sigma psnr) (record-metrics! `((sigma . ,sigma) (psnr . ,psnr))))"
  (let ((recorder (active 'record-metrics!)))
    (check-that (and (list? row) (pair? row)
                     (every (lambda (e) (and (pair? e) (symbol? (car e)) (datum? (cdr e)))) row))
                'record-metrics! "row: expected an association list such as ((sigma . 3.2)), got ~s"
                row)
    (when (recorder-earlier recorder)
      (set-recorder-rows! recorder
                          (reverse (take-while (lambda (old) (not (repeats? old row)))
                                               (recorder-earlier recorder))))
      (set-recorder-earlier! recorder #f)
      (close-metrics! recorder))
    (let ((new (remove (lambda (name) (memq name (recorder-columns recorder))) (map car row))))
      (set-recorder-rows! recorder (cons row (recorder-rows recorder)))
      (set-recorder-columns! recorder (append (recorder-columns recorder) new))
      (if (and (recorder-port recorder) (null? new))
          (let ((port (recorder-port recorder)))
            (put-string port (csv-row recorder row))
            (force-output port))
          (rewrite-metrics! recorder)))))

(define (repeats? old row)
  (let ((value (assq-ref old (car (first row)))))
    (if (and (number? value) (number? (cdr (first row))))
        (= value (cdr (first row)))
        (equal? (if (symbol? value) (symbol->string value) value)
                (let ((new (cdr (first row)))) (if (symbol? new) (symbol->string new) new))))))

(define (ordered recorder row)
  (map (lambda (column) (assq-ref row column)) (recorder-columns recorder)))

(define (csv-row recorder row)
  (let ((text (table->csv (table (recorder-columns recorder) (list (ordered recorder row))))))
    (substring text (1+ (string-index text #\newline)))))

(define (append-port path)
  (let ((port (open path (logior O_WRONLY O_APPEND O_CREAT O_CLOEXEC))))
    (set-port-encoding! port "UTF-8")
    port))

(define (close-metrics! recorder)
  (when (recorder-port recorder)
    (close-port (recorder-port recorder))
    (set-recorder-port! recorder #f)))

(define (rewrite-metrics! recorder)
  (let ((path (in-run (recorder-directory recorder) "metrics.csv")))
    (close-metrics! recorder)
    (save-table path (table (recorder-columns recorder)
                            (map (lambda (row) (ordered recorder row))
                                 (reverse (recorder-rows recorder)))))
    (set-recorder-port! recorder (append-port path))))

(define (start-recorder directory)
  (let ((before (load-metrics directory)))
    (make-recorder directory
                   (and (pair? (table-rows before))
                        (map (lambda (row) (map cons (table-columns before) row))
                             (table-rows before)))
                   (table-columns before) '() #f)))

(define (tee port log)
  ;; A port that writes to both PORT and LOG, and to disk at each line.
  (let* ((both (lambda (text)
                 (put-string log text)
                 (force-output log)
                 (put-string port text)))
         (tee (make-soft-port (vector (lambda (c) (both (string c))) both
                                      (lambda () (force-output log) (force-output port))
                                      #f (const #t))
                              "w")))
    (set-port-encoding! tee "UTF-8")
    (setvbuf tee 'line)
    tee))

;;; --- Running ------------------------------------------------------------------

(define* (fresh-directory name #:key (folder "runs"))
  "Make and name a directory for a run of what is called NAME: FOLDER/NAME-DATE-TIME.
Example: (fresh-directory \"two-moons\")"
  (make-directories folder)
  (let ((path (format #f "~a/~a-~a" folder name
                      (strftime "%Y%m%d-%H%M%S" (localtime (current-time))))))
    (let try ((k 1))
      (let ((path (if (= k 1) path (format #f "~a-~a" path k))))
        (if (catch 'system-error
              (lambda () (mkdir path) #t)
              (lambda (key . arguments)
                (let ((errno (system-error-errno (cons key arguments))))
                  (unless (= errno EEXIST)
                    (complain 'run-experiment "~a: ~a" path (strerror errno))))
                #f))
            path
            (try (1+ k)))))))

(define (iso-time)
  (strftime "%Y-%m-%dT%H:%M:%SZ" (gmtime (current-time))))

(define (make-config experiment settings)
  (let ((script (experiment-script experiment)))
    `((format . ,format-number)
      (experiment . ,(experiment-name experiment))
      (settings . ,settings)
      (script . ,script)
      (script-hash . ,(and script (text-hash (experiment-text experiment))))
      (commit . ,(commit-of (if script (dirname script) (getcwd))))
      (folder . ,(getcwd))
      (command "tempera" ,@(cdr (command-line)))
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

(define (check-same directory config experiment settings)
  ;; That a run that goes on is what it was.
  (define (differ what before now)
    (complain 'run-experiment "~a: ran with ~a ~a, not ~a; go on with what it has (`tempera run ~
--run=~a' alone) or choose another directory" directory what before now directory))
  (unless (eq? (assq-ref config 'experiment) (experiment-name experiment))
    (differ "the experiment" (assq-ref config 'experiment) (experiment-name experiment)))
  (let ((before (assq-ref config 'settings)))
    (for-each (lambda (setting)
                (let ((old (assq (car setting) before)))
                  (unless (and old (equal? (cdr old) (cdr setting)))
                    (differ (car setting) (if old (cdr old) "unset") (cdr setting)))))
              settings)
    (for-each (lambda (old)
                (unless (assq (car old) settings) (differ (car old) (cdr old) "without")))
              before))
  (let ((text (experiment-text experiment)))
    (unless (equal? (and text (text-hash text)) (assq-ref config 'script-hash))
      (complain 'run-experiment "~a: its script has changed since it ran; go on with the run's ~
own copy (`tempera run --run=~a' alone) or choose another directory" directory directory))))

(define (prepare! directory experiment settings)
  ;; The config of the run in DIRECTORY, new or from before.
  (if (file-exists? (in-run directory "config.scm"))
      (let ((config (load-config 'run-experiment directory)))
        (check-that (not (eq? (assq-ref (load-state directory) 'state) 'finished)) 'run-experiment
                    "~a: has a finished run; look at it with (open-run ~s), or choose another ~
directory" directory directory)
        (check-same directory config experiment settings)
        config)
      (let ((config (make-config experiment settings)))
        (check-empty directory)
        (when (experiment-text experiment)
          (save-text (in-run directory "script.scm") (experiment-text experiment)))
        (save-datum (in-run directory "config.scm") config)
        config)))

(define (seconds-since start)
  (/ (- (get-internal-real-time) start) (exact->inexact internal-time-units-per-second)))

(define (exit-status exception)
  ;; The status of `exit', or #f of any other exception.
  (and (eq? (exception-kind exception) 'quit)
       (let ((arguments (exception-args exception)))
         (cond ((or (null? arguments) (eq? (first arguments) #t)) 0)
               ((exact-integer? (first arguments)) (first arguments))
               (else 1)))))

(define (exception-text exception)
  (string-trim-both (error-text (exception-kind exception) (exception-args exception))))

(define* (run-experiment experiment #:optional (settings '()) #:key (directory #f))
  "Run EXPERIMENT and return the run, a value: see `run-result' for what the experiment returned.
SETTINGS are as of `experiment-settings'.  All that belongs to the run goes to DIRECTORY, a new one
in the folder runs/ unless given; that of a run that was interrupted or failed is gone on with, if
script and settings are the same, and that of a finished run is refused.  Ctrl-C at a prompt
leaves the run interrupted, for `resume-run'.
Example: (let ()
           (define-experiment toy ((n 3 positive? \"points\")) (* 2 n))
           (run-experiment toy '((n . 5)) #:directory \"runs/toy\"))"
  (let* ((settings (experiment-settings experiment settings))
         (directory (or directory (fresh-directory (experiment-name experiment)))))
    (check-that (string? directory) 'run-experiment "directory: expected a string, got ~s" directory)
    (make-directories directory)
    (check-that (file-is-directory? directory) 'run-experiment "~a: is a file" directory)
    (let ((lock (or (claim directory)
                    (complain 'run-experiment "~a: another process runs it" directory))))
      (dynamic-wind
        (const #t)
        (lambda ()
          (let ((config (prepare! directory experiment settings)))
            (make-run directory config (run-body directory experiment settings))))
        (lambda () (close-port lock))))))

(define (run-body directory experiment settings)
  ;; What the experiment returns; `nothing' when it was paused.
  (let* ((before (assq-ref (load-state directory) 'seconds))
         (start (get-internal-real-time))
         (seconds (lambda () (+ before (seconds-since start))))
         (log (append-port (in-run directory "log.txt")))
         (recorder (start-recorder directory))
         (output (tee (current-output-port) log))
         (errors (tee (current-error-port) log))
         (ended (lambda (exception)
                  (force-output output)
                  (force-output errors)
                  (let ((status (exit-status exception)))
                    (cond ((eqv? status 0) (save-state! directory 'finished #:seconds (seconds)))
                          ((interrupt? exception)
                           (put-string log "interrupted\n")
                           (save-state! directory 'interrupted #:seconds (seconds)))
                          (else
                           (let ((text (if status
                                           (format #f "exit ~a" status)
                                           (exception-text exception))))
                             (format log "~a~%" text)
                             (save-state! directory 'failed #:seconds (seconds)
                                          #:error text))))))))
    (define (body)
      (parameterize ((current-recorder recorder)
                     (progress-port (current-error-port))
                     (current-output-port output)
                     (current-error-port errors)
                     (current-warning-port errors))
        (with-exception-handler
            (lambda (exception)
              ;; Before the stack is unwound, so that --debug shows it.
              (ended exception)
              (raise-exception exception))
          (lambda ()
            (let ((value (apply (experiment-procedure experiment) (map cdr settings))))
              (force-output output)
              (force-output errors)
              value)))))
    (save-state! directory 'running #:seconds before)
    (dynamic-wind
      (const #t)
      (lambda ()
        (let ((value (call-without-pauses body nothing)))
          (unless (eq? value nothing)
            (save-state! directory 'finished #:seconds (seconds)
                         #:result (and (datum? value) value)))
          value))
      (lambda ()
        (close-metrics! recorder)
        (close-port log)))))

(define (fail-run! directory text)
  "Say that the run in DIRECTORY, which nobody runs, has failed for the reason TEXT.
Example: (fail-run! \"runs/b\" \"its process died 3 times\")"
  (make-directories directory)
  (save-state! directory 'failed #:error text))

;;; --- Again --------------------------------------------------------------------

(define (run-own-experiment run)
  "The experiment of RUN, from the run's own copy of its script.
Example: (run-own-experiment (open-run \"runs/two-moons\"))"
  (check-run 'run-own-experiment run)
  (let* ((config (run-config run))
         (name (assq-ref config 'experiment))
         (script (assq-ref config 'script))
         (copy (in-run (run-directory run) "script.scm")))
    (check-that script 'run-own-experiment
                "~a: its experiment was defined at the prompt, and has no script to read"
                (run-directory run))
    (check-that (file-exists? copy) 'run-own-experiment "~a: its script.scm is missing"
                (run-directory run))
    ;; Under its old name: a script may look for files beside itself.
    (load-script script #:text (file-text copy) #:name name)))

(define (absolute-name path)
  "PATH from the root on, that means the same in any folder.
Example: (absolute-name \"/tmp/x\") => \"/tmp/x\""
  (if (string-prefix? "/" path) path (string-append (getcwd) "/" path)))

(define (call-in-folder folder thunk)
  "What THUNK returns, called in FOLDER if there still is one: names in settings mean what they did.
Example: (call-in-folder \"/tmp\" getcwd) => \"/tmp\""
  (if (and (string? folder) (false-if-exception (file-is-directory? folder)))
      (let ((here (getcwd)))
        (dynamic-wind
          (lambda () (chdir folder))
          thunk
          (lambda () (chdir here))))
      (begin
        (format (current-error-port) "the folder ~a is gone; going on in ~a~%" folder (getcwd))
        (thunk))))

(define (resume-run run)
  "Go on with RUN, a run or its directory, which was interrupted or failed: its own copy of the
script, its settings, the folder where it ran, and the files it has left, such as checkpoints.
Example: (resume-run \"runs/b\")"
  (let* ((run (if (run? run) run (open-run run)))
         (directory (absolute-name (run-directory run))))
    (call-in-folder (assq-ref (run-config run) 'folder)
      (lambda ()
        (run-experiment (run-own-experiment (open-run directory))
                        (assq-ref (run-config run) 'settings) #:directory directory)))
    run))

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
