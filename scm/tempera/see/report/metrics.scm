;;; metrics.scm -- tables of runs in a report: as they stand, and as charts.

(define-module (tempera see report metrics)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base numbers)
  #:use-module (tempera file tables)
  #:use-module (tempera see charts)
  #:use-module (tempera see report page)
  #:export (table-block metric-charts numeric?))

(define (table-block caption table)
  "TABLE under CAPTION, which the page sorts.
Example: (table-block \"A row for each point\" (sweep-results \"runs/norms\"))"
  (data-table caption (map symbol->string (table-columns table)) (table-rows table)))

(define (numeric? table column)
  "Whether COLUMN of TABLE has numbers alone, and at least one.
Example: (numeric? (table '(step loss) '((1 0.5) (2 #f))) 'loss) => #t"
  (let ((values (filter identity (table-column table column))))
    (and (pair? values) (every real? values))))

(define (metric-charts metrics)
  "The block of METRICS, a list of pairs of a name and a table: over the first column that has
numbers, a chart of each other one that has, with a line for each table; #f when there is none.
Example: (metric-charts `((\"\" . ,(run-metrics run))))"
  (define (numbers-of named x y)
    (filter (lambda (point) (every finite-number? point))
            (zip (table-column (cdr named) x) (table-column (cdr named) y))))
  (define (has? column)
    (lambda (named)
      (and (memq column (table-columns (cdr named))) (numeric? (cdr named) column))))
  (match (filter (lambda (column) (any (has? column) metrics))
                 (delete-duplicates (append-map (lambda (m) (table-columns (cdr m))) metrics)))
    ((x y ...)
     (let* ((metrics (filter (has? x) metrics))
            (xs (filter finite-number? (append-map (lambda (m) (table-column (cdr m) x)) metrics)))
            (logarithmic (if (geometric-steps? xs) '(x) '())))
       (chart-block
        (filter-map
         (lambda (y)
           (let ((lines (filter-map (lambda (named)
                                      (let ((points (numbers-of named x y)))
                                        (and (pair? points)
                                             (series (line-style points) points
                                                     #:title (car named)))))
                                    (filter (has? y) metrics))))
             (and (pair? lines)
                  (chart (symbol->string y) lines #:x-label (symbol->string x)
                         #:logarithmic logarithmic))))
         y))))
    (_ #f)))
