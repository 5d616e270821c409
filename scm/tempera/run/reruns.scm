;;; reruns.scm -- running a run again, and comparing: the same bits, or what differs.

(define-module (tempera run reruns)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera run environment)
  #:use-module (tempera base errors)
  #:use-module (tempera file values)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera file tables)
  #:export (rerun compare-runs comparison? comparison-differences comparison-files
            comparison-run))

(define-record-type <comparison>
  (make-comparison before run files differences)
  comparison?
  (before comparison-before)
  (run comparison-run)                  ; the later one
  (files comparison-files)              ; how many were compared
  (differences comparison-differences)) ; lines of text

(set-record-type-printer! <comparison>
  (lambda (c port)
    (let ((n (length (comparison-differences c))))
      (format port "#<~a after ~a: ~a>" (run-directory (comparison-run c))
              (run-directory (comparison-before c))
              (if (zero? n)
                  (format #f "the same bits in result, metrics and ~a files" (comparison-files c))
                  (string-join (cons (if (= n 1) "1 difference" (format #f "~a differences" n))
                                     (comparison-differences c))
                               "\n  "))))))

(define (timing? name)
  ;; How long something took is no result.
  (let ((name (if (symbol? name) (symbol->string name) name)))
    (or (string-contains name "seconds") (string-suffix? "per-second" name))))

(define (without-timings value)
  (cond ((vector? value) (list->vector (map without-timings (vector->list value))))
        ((and (pair? value) (pair? (car value)) (or (symbol? (caar value)) (string? (caar value)))
              (timing? (caar value)))
         (without-timings (cdr value)))
        ((pair? value) (cons (without-timings (car value)) (without-timings (cdr value))))
        (else value)))

(define (table-difference name a b)
  (let* ((columns (lambda (t) (remove timing? (table-columns t))))
         (only (lambda (x y) (lset-difference eq? (columns x) (columns y)))))
    (cond ((pair? (append (only a b) (only b a)))
           (list (format #f "~a: columns ~a, then ~a" name (columns a) (columns b))))
          ((not (= (table-size a) (table-size b)))
           (list (format #f "~a: ~a rows, then ~a" name (table-size a) (table-size b))))
          (else
           (filter-map (lambda (column)
                         (let* ((x (table-column a column)) (y (table-column b column))
                                (row (list-index (lambda (x y) (not (equal? x y))) x y)))
                           (and row
                                (format #f "~a: column ~a, row ~a: ~a, then ~a" name column
                                        (1+ row) (list-ref x row) (list-ref y row)))))
                       (columns a))))))

(define (byte-difference name x y)
  (let ((end (min (bytevector-length x) (bytevector-length y))))
    (let loop ((i 0))
      (cond ((and (< i end) (= (bytevector-u8-ref x i) (bytevector-u8-ref y i))) (loop (1+ i)))
            ((< i end) (format #f "~a: differs from byte ~a on" name i))
            (else (format #f "~a: ~a bytes, then ~a" name (bytevector-length x)
                          (bytevector-length y)))))))

(define (file-differences name a b)
  (let ((x (file-bytes a)) (y (file-bytes b)))
    (cond ((bytevector=? x y) '())
          ((string-suffix? ".csv" name)
           (table-difference name (load-table a) (load-table b)))
          ((and (string-suffix? ".json" name)
                (equal? (without-timings (load-json a)) (without-timings (load-json b))))
           '())
          (else (list (byte-difference name x y))))))

(define (compared-files run)
  ;; A report is a view of the rest, and may be made later; which checkpoint was before the last
  ;; depends on where a run was interrupted.  Runs and sweeps inside of it have logs and times of their own.
  (define (beside? name other) (file-exists? (string-append (run-directory run) "/" (dirname name) "/" other)))
  (remove (lambda (name)
            (or (string-suffix? ".html" name) (string-suffix? ".before" name)
                (and (own-name? (basename name)) (beside? name "config.scm"))
                (and (member (basename name) '("sweep.scm" "errors.txt")) (beside? name "sweep.scm"))))
          (run-own-files run)))

(define (compare-runs before after)
  "Compare the results of the runs BEFORE and AFTER: what their experiments returned, metrics, and all files
that they wrote, bit by bit, but for logs and for what is named for seconds, or per-second.  The
comparison prints; `comparison-differences' is the list of lines, empty for the same bits.
Example: (compare-runs (open-run \"runs/a\") (open-run \"runs/b\"))"
  (for-each (lambda (run)
              (check-that (run? run) 'compare-runs "expected a run, as `open-run' gives, got ~s" run))
            (list before after))
  (let* ((names-before (compared-files before)) (names-after (compared-files after))
         (common (lset-intersection string=? names-before names-after))
         (path (lambda (run name) (string-append (run-directory run) "/" name)))
         (x (without-timings (run-result before))) (y (without-timings (run-result after))))
    (make-comparison
     before after (length common)
     (append
      (if (eq? (run-state before) (run-state after))
          '()
          (list (format #f "state: ~a, then ~a" (run-state before) (run-state after))))
      (if (equal? x y) '() (list (format #f "result: ~s, then ~s" x y)))
      (table-difference "metrics.csv" (run-metrics before) (run-metrics after))
      (map (lambda (name) (format #f "~a: only before" name))
           (lset-difference string=? names-before common))
      (map (lambda (name) (format #f "~a: only now" name))
           (lset-difference string=? names-after common))
      (append-map (lambda (name) (file-differences name (path before name) (path after name)))
                  common)))))

(define* (rerun run #:key (directory #f))
  "Run again what ran in RUN, a run or its directory: its copy of the script with its settings, in
the folder where it ran if that is still there.  What is different from then (script,
versions, processor) is said before it starts.  The results go to DIRECTORY, a new one in runs/
unless given, and are compared with the old ones: see `compare-runs' for the value.
Example: (rerun \"runs/two-moons\" #:directory \"runs/again\")"
  (let* ((run (if (run? run) run (open-run run)))
         (experiment (run-own-experiment run))
         (before (open-run (absolute-name (run-directory run)))))
    (for-each (lambda (line) (format (current-error-port) "~a~%" line)) (run-differences run))
    (let ((directory (absolute-name (or directory
                                        (fresh-directory (assq-ref (run-config run) 'experiment))))))
      (call-in-folder (assq-ref (run-config run) 'folder)
        (lambda ()
          (run-experiment experiment (assq-ref (run-config run) 'settings)
                          #:directory directory)))
      ;; From disk, as the old one is.
      (compare-runs before (open-run directory)))))

(document
 (comparison?
  "True when OBJECT is what `rerun' and `compare-runs' give.
Example: (comparison? 3) => #f")
 (comparison-run
  "The later of both runs of COMPARISON.
Example: (comparison-run (compare-runs (open-run \"runs/a\") (open-run \"runs/a\")))")
 (comparison-files
  "How many files COMPARISON is of.
Example: (comparison-files (compare-runs (open-run \"runs/a\") (open-run \"runs/a\")))")
 (comparison-differences
  "Where the runs of COMPARISON differ, lines of text; none where they are the same to the bit.
Example: (comparison-differences (compare-runs (open-run \"runs/a\") (open-run \"runs/a\"))) => ()"))
