;;; run-files.scm -- the files of a run's directory: config, state, lock, and their formats.
;;;
;;; The files that runs.scm describes are read here, and checked, since anybody may have edited them.

(define-module (tempera run run-files)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module ((tempera base evaluation) #:select (file-text))
  #:use-module (tempera file paths)
  #:use-module (tempera run claims)
  #:use-module (tempera file values)
  #:use-module (tempera file tables)
  #:use-module ((tempera tensor primitives) #:select (crc32 sha256 sha256-of-file))
  #:use-module (tempera tensor ranks)
  #:re-export (file-text)
  #:export (format-number own-name? own-names in-run files-below text-hash file-bytes file-hash
            with-present-hashes replace-script!
            load-alist check-scripts check-module load-config load-state save-state! load-metrics
            directory-state fail-run! fresh-directory))

(define format-number 1)                ; of config.scm, state.scm and sweep.scm

(define own-names '("config.scm" "script.scm" "state.scm" "log.txt" "metrics.csv" "lock" "claim-" "report.html"
                    "run.html"))

(define (own-name? name)
  "Whether NAME is that of a file which a run keeps for itself, script-1.scm and the like among them."
  (or (member name own-names) (string-match "^(script-[0-9]+\\.scm|claim-.*)$" name)))

(define (in-run directory name)
  "The path of the file NAME in DIRECTORY."
  (string-append directory "/" name))

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

(define (check-scripts who directory scripts)
  "That SCRIPTS, what a file of DIRECTORY says of its script's copies, is #f or a list of association
lists, each with a file and a hash; else an error of WHO."
  (check-that (or (not scripts)
                  (and (list? scripts) (pair? scripts)
                       (every (lambda (script)
                                (and (list? script) (every pair? script)
                                     (string? (assq-ref script 'file))
                                     (string? (assq-ref script 'hash))))
                              scripts)))
              who "~a: scripts: expected the file and hash of each, got ~s" directory scripts))

(define (check-module who path module)
  "That MODULE, what the file PATH says of the module of its experiment, is #f or a module's name;
else an error of WHO."
  (check-that (or (not module) (and (list? module) (pair? module) (every symbol? module)))
              who "~a: module: expected the name of a module, got ~s" path module))

(define (load-config who directory)
  "What config.scm of DIRECTORY says, checked; errors are of WHO."
  (check-path who directory)
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
      (check-module who path (assq-ref config 'module))
      (check-scripts who path (assq-ref config 'scripts))
      (let ((inputs (assq-ref config 'inputs)))
        (check-that (or (not inputs)
                        (and (list? inputs)
                             (every (lambda (i) (and (pair? i) (string? (assq-ref (assq-ref config 'settings)
                                                                                  (car i)))))
                                    inputs)))
                    who "~a: inputs: expected hashes of files that settings name, got ~s" path inputs))
      (let ((libraries (assq-ref config 'libraries)))
        (check-that (or (not libraries) (and (list? libraries) (every pair? libraries))) who
                    "~a: libraries: expected a list of pairs, got ~s" path libraries))
      (with-present-hashes directory config))))

(define states '(running finished failed interrupted))

(define (load-state directory)
  "The association list in state.scm of DIRECTORY; before there is one, that of a run that died
at birth."
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

(define* (save-state! directory state #:key (seconds 0) (error #f) (result #f) (memory #f))
  "Write state.scm of DIRECTORY, with the checksum of the metrics that do not grow any more.  MEMORY is what the run's
process has had of it at most, in bytes."
  (let ((sum (and (not (eq? state 'running)) (metrics-sum directory))))
    (save-datum (in-run directory "state.scm")
                `((format . ,format-number) (state . ,state) (seconds . ,seconds)
                  (error . ,error) (result . ,result)
                  ,@(if memory `((memory . ,memory)) '())
                  ,@(if sum `((metrics-crc32 . ,sum)) '())))))

(define (metrics-sum directory)
  ;; Of metrics.csv in DIRECTORY, or #f where there is none.
  (let ((path (in-run directory "metrics.csv")))
    (and (file-exists? path)
         ;; Bytes that are no text any more count too.
         (crc32 (call-with-input-file path get-string-all #:encoding "ISO-8859-1")))))

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

(define (fail-run! directory text)
  "Say that the run in DIRECTORY, which nobody runs, has failed for the reason TEXT.
Example: (fail-run! \"runs/b\" \"its process died 3 times\")"
  (make-directories directory)
  (save-state! directory 'failed #:error text))

;;; --- Others -------------------------------------------------------------------

(define (load-metrics directory)
  "The table in metrics.csv of DIRECTORY; empty where there is none.  It is an error if the run is over
and they are not what it recorded."
  (let ((path (in-run directory "metrics.csv"))
        (sum (assq-ref (load-state directory) 'metrics-crc32)))
    (check-that (or (not sum) (equal? sum (metrics-sum directory))) 'run-metrics
                "~a: damaged: it is not as it was when the run ended, by the checksum in state.scm" path)
    (if (file-exists? path) (load-table path #:torn #t) (table '() '()))))

(define (files-below directory)
  "The names of all files below DIRECTORY, relative to it, sorted."
  (let ((start (1+ (string-length directory))))
    (sort (file-system-fold (const #t)
                            (lambda (path stat names) (cons (substring path start) names))
                            (lambda (path stat names) names)
                            (lambda (path stat names) names)
                            (lambda (path stat names) names)
                            (lambda (path stat errno names) names)
                            '() directory)
          string<?)))

(define hash-prefix "sha256-")

(define (text-hash text)
  "A hash of TEXT, SHA-256, which tells a changed script from the one that ran.
Example: (text-hash \"\") => \"sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
  (string-append hash-prefix (sha256 (string->utf8 text))))

(define (file-bytes path)
  "What the file PATH holds, a bytevector."
  (call-with-input-file path
    (lambda (port)
      (let ((all (get-bytevector-all port)))
        (if (eof-object? all) (make-bytevector 0) all)))
    #:binary #t))

(define (file-hash path)
  "A hash of the bytes in the file PATH, as `text-hash' has it of a text's."
  (string-append hash-prefix (sha256-of-file path)))

(define (with-present-hashes directory config)
  "CONFIG, what config.scm or sweep.scm of DIRECTORY says, with hashes as `text-hash' makes them: those
of an earlier version, which made others, are taken anew of the scripts' copies there."
  (define (present hash file)
    (let ((copy (in-run directory file)))
      (if (and (string? hash) (not (string-prefix? hash-prefix hash)) (file-exists? copy))
          (text-hash (file-text copy))
          hash)))
  (map (lambda (entry)
         (case (car entry)
           ((script-hash) `(script-hash . ,(present (cdr entry) "script.scm")))
           ((scripts)
            `(scripts . ,(map (lambda (script)
                                (map (lambda (part)
                                       (if (eq? (car part) 'hash)
                                           `(hash . ,(present (cdr part) (assq-ref script 'file)))
                                           part))
                                     script))
                              (cdr entry))))
           (else entry)))
       config))

(define (replace-script! directory config text about)
  "Let TEXT be script.scm of DIRECTORY, a run's or a sweep's, from now on.  What was there goes to
script-1.scm, and so on.  Of CONFIG, what config.scm or sweep.scm says, two entries are new:
script-hash, and `scripts', the copies in the order of their use, each an association list of its
file, its hash, and, but for the first, ABOUT: what to know of the time when it began."
  (let* ((before (or (assq-ref config 'scripts)
                     `(((file . "script.scm") (hash . ,(assq-ref config 'script-hash))))))
         (kept (format #f "script-~a.scm" (length before)))
         (script (in-run directory "script.scm")))
    ;; This may come a second time, if a process died in the middle.
    (when (and (file-exists? script)
               (equal? (text-hash (file-text script)) (assq-ref config 'script-hash)))
      (save-text (in-run directory kept) (file-text script)))
    (save-text script text)
    (map (lambda (entry) (if (eq? (car entry) 'script-hash) `(script-hash . ,(text-hash text)) entry))
         (append (alist-delete 'scripts config)
                 `((scripts ,@(drop-right before 1)
                            ((file . ,kept) ,@(alist-delete 'file (last before)))
                            ((file . "script.scm") (hash . ,(text-hash text)) ,@about)))))))

(define* (fresh-directory name #:key (folder "runs"))
  "Make and name a directory for a run of what is called NAME: FOLDER/NAME-DATE-TIME.  All ranks have the same.
Example: (fresh-directory \"two-moons\")"
  (call-on-first-rank (lambda () (new-directory name folder))))

(define (new-directory name folder)
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
