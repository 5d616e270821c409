;;; recorders.scm -- what an experiment records while it runs: files, metrics, a log.

(define-module (tempera run recorders)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera run run-files)
  #:use-module (tempera file tables)
  #:export (current-recorder start-recorder close-metrics! append-port tee
            run-path record-metrics!))

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

(define* (run-path #:optional name)
  "The path of the file NAME in the directory of the run that is active; folders in NAME are made.
Without NAME, of that directory.
Example: (define (draw mean) (save-png (run-path \"pictures/mean.png\") mean))"
  (let ((recorder (active 'run-path)))
    (if (not name)
        (recorder-directory recorder)
        (begin
          (check-that (and (string? name) (not (string-null? name))) 'run-path
                      "name: expected the name of a file, got ~s" name)
          (check-that (not (or (string-prefix? "/" name) (member ".." (string-split name #\/))))
                      'run-path "name: expected one inside of the run's directory, got ~a" name)
          (check-that (not (own-name? name)) 'run-path
                      "name: ~a is the run's own; choose another" name)
          (let ((path (in-run (recorder-directory recorder) name)))
            (make-directories (dirname path))
            path)))))

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
          (call-writing "metrics.csv"
            (lambda ()
              (let ((port (recorder-port recorder)))
                (put-string port (csv-row recorder row))
                (force-output port))))
          (rewrite-metrics! recorder)))))

(define (call-writing name thunk)
  ;; Call THUNK, which writes to the run's file NAME; an error says so.
  (catch 'system-error thunk
    (lambda arguments
      (complain-of-system 'run-experiment (in-run (recorder-directory (current-recorder)) name)
                          (system-error-errno arguments)))))

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
  "The file PATH, open to be written at its end."
  (let ((port (open path (logior O_WRONLY O_APPEND O_CREAT O_CLOEXEC))))
    (set-port-encoding! port "UTF-8")
    port))

(define (close-metrics! recorder)
  "Let go of metrics.csv."
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
  "A recorder for the run in DIRECTORY, with the rows that are there already."
  (let ((before (load-metrics directory)))
    (make-recorder directory
                   (and (pair? (table-rows before))
                        (map (lambda (row) (map cons (table-columns before) row))
                             (table-rows before)))
                   (table-columns before) '() #f)))

(define (tee port log)
  "A port that writes to both PORT and LOG, and to disk at each line."
  (let* ((both (lambda (text)
                 (call-writing "log.txt" (lambda () (put-string log text) (force-output log)))
                 (put-string port text)))
         (tee (make-soft-port (vector (lambda (c) (both (string c))) both
                                      (lambda () (force-output log) (force-output port))
                                      #f (const #t))
                              "w")))
    (set-port-encoding! tee "UTF-8")
    (setvbuf tee 'line)
    tee))
