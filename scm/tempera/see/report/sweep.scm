;;; sweep.scm -- the report of a sweep: results over its parameters, metrics, settings and script.

(define-module (tempera see report sweep)
  #:use-module (srfi srfi-1)
  #:use-module (tempera file programs)
  #:use-module (tempera file tables)
  #:use-module (tempera run sweeps)
  #:use-module (tempera see report metrics)
  #:use-module (tempera see report page)
  #:use-module (tempera see report registry)
  #:use-module (tempera see report run)
  #:export (sweep-report))

(define most-lines 24)                  ; of metrics in a chart

(define (different values) (length (delete-duplicates values)))

(define (sweep-parameters sweep)
  ;; Those that differ between points.
  (let ((points (sweep-points sweep)))
    (filter (lambda (name) (> (different (map (lambda (p) (assq-ref p name)) points)) 1))
            (delete-duplicates (append-map (lambda (p) (map car p)) points)))))

(define (point-name point parameters)
  (string-join (map (lambda (name) (format #f "~a ~a" name (value-text (assq-ref point name))))
                    parameters)
               ", "))

(define (point-metrics sweep parameters)
  ;; (name . metrics) of each point of SWEEP; none if there are too many lines to tell apart.
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

(define (sweep-summary sweep)
  (let* ((states (map job-outcome (sweep-jobs sweep)))
         (some (lambda (state name)
                 (let ((n (count (lambda (s) (eq? s state)) states)))
                   (and (> n 0) (format #f "~a ~a" n name))))))
    (format #f "~a points over ~a; runs: ~a" (length (sweep-points sweep))
            (string-join (map symbol->string (sweep-parameters sweep)) ", ")
            (string-join (filter-map some '(finished failed running waiting)
                                     '("finished" "failed" "running" "left"))
                         ", "))))

(define (sweep-report sweep)
  "The report of SWEEP: its results as a table and over its parameters, the metrics of its points,
its settings and script.
Example: (report-text (sweep-report (open-sweep \"runs/norms\")))"
  (let* ((results (sweep-results sweep)) (config (sweep-config sweep))
         (parameters (sweep-parameters sweep))
         (numbers (filter (lambda (column)
                            (and (not (memq column (cons 'point parameters)))
                                 (numeric? results column)))
                          (table-columns results)))
         (metrics (point-metrics sweep parameters)))
    (report (format #f "~a, a sweep" (assq-ref config 'experiment))
            (sweep-summary sweep)
            (section "Results"
                     (and (pair? numbers) (pair? parameters)
                          (append
                           (block "sweep"
                                  `("parameters" . ,(list->vector (map symbol->string parameters)))
                                  `("results" . ,(list->vector (map symbol->string numbers))))
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
                     (command-block
                      (shell-text (list "tempera" "sweep"
                                        (string-append "--continue=" (sweep-directory sweep))))))
            (section "Script" (script-block (sweep-directory sweep))))))

(add-report! sweep? sweep-report)
