;;; report.scm -- a chain, a run or a sweep as one HTML file that needs nothing else.

(define-module (tempera see report)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera file files)
  #:use-module (tempera base progress)
  #:use-module (tempera see report-chain)
  #:use-module (tempera see report-page)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera sample sampling)
  #:use-module (tempera run sweeps)
  #:use-module (tempera file tables)
  #:use-module (tempera problem targets)
  #:export (write-report))

;;; --- Tables -------------------------------------------------------------------

(define (names->strings names) (map symbol->string names))

(define (table-block caption table)
  (data-table caption (names->strings (table-columns table)) (table-rows table)))

(define (numeric? table column)
  ;; Numbers alone, and at least one.
  (let ((values (filter identity (table-column table column))))
    (and (pair? values) (every real? values))))

(define (wide? numbers)
  ;; Better looked at in logarithms.
  (and (every positive? numbers) (> (apply max numbers) (* 30 (apply min numbers)))))

(define (metric-charts metrics)
  ;; A chart of each column of METRICS, a list of (name . table), that has numbers, over the first
  ;; one that has, with a line for each of the tables.
  (define (has? column)
    (lambda (named)
      (and (memq column (table-columns (cdr named))) (numeric? (cdr named) column))))
  (define (column-of named column) (table-column (cdr named) column))
  (let ((columns (delete-duplicates (append-map (lambda (m) (table-columns (cdr m))) metrics))))
    (match (filter (lambda (column) (any (has? column) metrics)) columns)
      ((x y ...)
       (let* ((with-x (filter (has? x) metrics))
              (all (append-map (lambda (m) (filter real? (column-of m x))) with-x))
              (over (axis (symbol->string x) #:log? (wide? all))))
         (apply charts
                (map (lambda (column)
                       (apply data-chart (symbol->string column) over (axis)
                              (map (lambda (m)
                                     (data-series "line" (zip (column-of m x) (column-of m column))
                                                  (car m)))
                                   (filter (has? column) with-x))))
                     y))))
      (_ #f))))

;;; --- Runs ---------------------------------------------------------------------

(define most-picture-bytes 12000000)    ; of a run's pictures in all
(define most-log-characters 100000)

(define (image-blocks run)
  ;; The pictures of RUN, as long as they are not too many bytes together.
  (let loop ((paths (filter picture-type (run-pictures run))) (bytes 0) (in '()) (out '()))
    (match paths
      ((path . rest)
       (let ((size (stat:size (stat path)))
             (name (substring path (1+ (string-length (run-directory run))))))
         (if (<= (+ bytes size) most-picture-bytes)
             (loop rest (+ bytes size) (cons (picture-data path name) in) out)
             (loop rest bytes in (cons name out)))))
      (()
       (list (and (pair? in) (block "images" `("images" . ,(list->vector (reverse in)))))
             (and (pair? out)
                  (block "text" `("text" . ,(format #f "Left out, since they are large: ~a."
                                                    (string-join (reverse out) ", "))))))))))

(define (pair-rows alist)
  (filter-map (match-lambda
                (((? symbol? name) . value) (list (symbol->string name) value))
                (((? string? name) . value) (list name value))
                (_ #f))
              alist))

(define (log-block text)
  (and (not (string-null? text))
       (block "log" `("text" .
                      ,(if (> (string-length text) most-log-characters)
                           (string-append "...\n" (string-take-right text most-log-characters))
                           text)))))

(define (script-block directory)
  (let ((path (string-append directory "/script.scm")))
    (and (file-exists? path) (log-block (file-text path)))))

(define (command-block . words)
  (block "command" `("text" . ,(shell-text words))))

(define (environment-rows config)
  `(,@(filter-map (lambda (key) (let ((value (assq-ref config key)))
                                  (and value (list (symbol->string key) value))))
                  '(version commit started host system processor instruction-set threads))
    ,@(pair-rows (or (assq-ref config 'libraries) '()))))

(define (run-summary run)
  (format #f "~a~a~a" (run-state run)
          (if (eq? (run-state run) 'finished)
              (format #f " in ~a" (duration-text (run-seconds run)))
              "")
          (let ((started (assq-ref (run-config run) 'started)))
            (if started (format #f ", started ~a" started) ""))))

(define (run-sections run)
  (let ((config (run-config run)) (metrics (run-metrics run)) (directory (run-directory run)))
    (list (section "Outcome"
                   (and (run-error run)
                        (block "notes" '("good" . #f) `("items" . ,(vector (run-error run)))))
                   (facts (pair-rows (run-outcome run))))
          (apply section "Pictures" (image-blocks run))
          (and (pair? (table-rows metrics))
               (section "Metrics" (metric-charts `(("" . ,metrics)))
                        (table-block "Rows as they were recorded" metrics)))
          (section "Configuration" (facts (pair-rows (assq-ref config 'settings))))
          (section "How to run it again"
                   (command-block "tempera" "rerun" directory)
                   (let ((command (assq-ref config 'command)))
                     (and (pair? command) (every string? command)
                          (facts `(("It was run by" ,(shell-text command)))))))
          (section "Log" (log-block (run-log run)))
          (section "Made with" (facts (environment-rows config)))
          (section "Script" (script-block directory)))))

;;; --- Sweeps -------------------------------------------------------------------

(define most-lines 24)                  ; of metrics in a chart

(define (different values) (length (delete-duplicates values)))

(define (sweep-parameters sweep)
  ;; Those that are not the same at all points.
  (let ((points (sweep-points sweep)))
    (filter (lambda (name) (> (different (map (lambda (p) (assq-ref p name)) points)) 1))
            (delete-duplicates (append-map (lambda (p) (map car p)) points)))))

(define (point-name point parameters)
  (string-join (map (lambda (name) (format #f "~a ~a" name (words (assq-ref point name))))
                    parameters)
               ", "))

(define (point-metrics sweep parameters)
  ;; (name . metrics) of each point of SWEEP that has some, if they are few enough to tell apart.
  (let ((metrics (sweep-metrics sweep)) (points (sweep-points sweep)))
    (if (or (> (length points) most-lines) (null? (table-rows metrics)))
        '()
        (let ((others (remove (lambda (c) (or (eq? c 'point) (assq c (first points))))
                              (table-columns metrics))))
          (map (lambda (point number)
                 (cons (point-name point parameters)
                       (apply table-select
                              (table-filter metrics (lambda (p) (eqv? p number)) 'point) others)))
               points (iota (length points) 1))))))

(define (sweep-sections sweep)
  (let* ((results (sweep-results sweep)) (config (sweep-config sweep))
         (parameters (sweep-parameters sweep))
         (numbers (filter (lambda (column)
                            (and (not (memq column (cons 'point parameters)))
                                 (numeric? results column)))
                          (table-columns results)))
         (metrics (point-metrics sweep parameters)))
    (list (section "Results"
                   (and (pair? numbers) (pair? parameters)
                        (append
                         (block "sweep"
                                `("parameters" . ,(list->vector (names->strings parameters)))
                                `("results" . ,(list->vector (names->strings numbers))))
                         (remove (lambda (field) (equal? (car field) "type"))
                                 (table-block "" results))))
                   (table-block "A row for each point" results))
          (and (pair? metrics) (section "Metrics" (metric-charts metrics)))
          (section "Configuration"
                   (facts `(("experiment" ,(assq-ref config 'experiment))
                            ("defined in" ,(or (assq-ref config 'script) (assq-ref config 'module)))
                            ("points" ,(length (sweep-points sweep)))
                            ("halving" ,(assq-ref config 'halving))
                            ("version" ,(assq-ref config 'version))
                            ,@(pair-rows (or (assq-ref config 'settings) '())))))
          (section "How to go on with it"
                   (command-block "tempera" "sweep"
                                  (string-append "--continue=" (sweep-directory sweep))))
          (section "Script" (script-block (sweep-directory sweep))))))

(define (sweep-summary sweep)
  (let* ((states (map job-outcome (sweep-jobs sweep)))
         (some (lambda (state name)
                 (let ((n (count (lambda (s) (eq? s state)) states)))
                   (and (> n 0) (format #f "~a ~a" n name))))))
    (format #f "~a points over ~a; runs: ~a" (length (sweep-points sweep))
            (string-join (names->strings (sweep-parameters sweep)) ", ")
            (string-join (filter-map some '(finished failed running waiting)
                                     '("finished" "failed" "running" "left"))
                         ", "))))

;;; --- The report -----------------------------------------------------------------

(define (report-path path)
  ;; PATH itself if it names a page, else report.html in that folder.
  (if (string-suffix? ".html" path) path (string-append path "/report.html")))

(define* (write-report object path #:key (title #f) (truth #f) (command #f))
  "Write a report of OBJECT, a chain, a run or a sweep, to the HTML file PATH, or to report.html in
the folder PATH when that does not end in .html; returns the file's name.  The one file needs
no network and no other: of a chain, pictures with sliders through samples and temperatures,
mean and standard deviation with the histogram of the pixel under the pointer, traces,
schedules, the diagnosis, the settings; of a run, what it came to, its pictures, metrics, log,
script; of a sweep, its table, with charts over its parameters.  TITLE stands over it.  Of a
chain, TRUTH, an image, adds error and PSNR, and COMMAND is what is run to make it again.
Example: (write-report chain \"chain.html\" #:truth scan)"
  (check-that (or (chain? object) (run? object) (sweep? object)) 'write-report
              "object: expected a chain, a run or a sweep, got ~s" object)
  (check-that (and (string? path) (not (string-null? path))) 'write-report
              "path: expected a string, got ~s" path)
  (for-each (lambda (name text)
              (check-that (or (not text) (string? text)) 'write-report
                          "~a: expected a string or #f, got ~s" name text))
            '("title" "command") (list title command))
  (check-that (or (chain? object) (not (or truth command))) 'write-report
              "~a: expected with a chain only" (if truth "truth" "command"))
  (check-output 'write-report (dirname (report-path path)) (list (basename (report-path path))))
  (call-with-values
      (lambda ()
        (cond ((chain? object)
               (values (format #f "~a" (target-name (chain-target object))) (chain-summary object)
                       (lambda () (chain-sections object truth command))))
              ((run? object)
               (values (format #f "~a" (assq-ref (run-config object) 'experiment))
                       (run-summary object) (lambda () (run-sections object))))
              (else
               (values (format #f "~a, a sweep" (assq-ref (sweep-config object) 'experiment))
                       (sweep-summary object) (lambda () (sweep-sections object))))))
    (lambda (name summary sections)
      (let ((text (report-text (or title name) summary sections)) (file (report-path path)))
        (save-text file text)
        file))))
