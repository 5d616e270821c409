;;; validation-charts.scm -- what validation found in the course of a training, as charts.

(define-module (tempera see validation-charts)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera file tables)
  #:use-module (tempera see charts)
  #:export (validation-charts))

(define (validation-charts table)
  "Charts of TABLE, validation.csv of `train-run!' (see `run-validation'), for `plot' and reports: the loss
by step, a line for each sigma and average; and for each average the loss by sigma, at its last step, of
each band of |k|.
Example: (map chart? (validation-charts (table '(step average sigma loss to-1 to-2)
                                               '((10 \"0.999\" 1 0.9 0.8 0.7) (20 \"0.999\" 1 0.8 0.7 0.6)))))
         => (#t #t)"
  (check-that (and (table? table) (lset<= eq? '(step average sigma loss) (table-columns table)))
              'validation-charts "table: expected one with the columns step, average, sigma and loss, got ~s"
              table)
  (define (distinct column) (delete-duplicates (table-column table column)))
  (define several? (> (length (distinct 'average)) 1))
  (define (of average)
    (table-filter table (lambda (a) (equal? a average)) 'average))
  (define (line rows x y title)
    (let ((points (filter (lambda (point) (every finite-number? point))
                          (zip (table-column rows x) (table-column rows y)))))
      (and (pair? points) (series 'line points #:title title))))
  (cons
   (chart "loss on held-out images"
          (append-map
           (lambda (average)
             (filter-map (lambda (sigma)
                           (line (table-filter (of average) (lambda (s) (equal? s sigma)) 'sigma)
                                 'step 'loss
                                 (format #f "sigma ~a~a" (number-text sigma)
                                         (if several? (format #f ", ~a" average) ""))))
                         (distinct 'sigma)))
           (distinct 'average))
          #:x-label "step" #:y-label "loss" #:logarithmic '(y))
   (map (lambda (average)
          (let* ((rows (of average))
                 (end (apply max (table-column rows 'step)))
                 (last-rows (table-filter rows (lambda (step) (= step end)) 'step)))
            (chart (format #f "loss by sigma and |k|~a, step ~a"
                           (if several? (format #f ", average ~a" average) "") end)
                   (filter-map (lambda (column)
                                 (and (string-prefix? "to-" (symbol->string column))
                                      (line last-rows 'sigma column
                                            (format #f "|k| below ~a"
                                                    (substring (symbol->string column) 3)))))
                               (table-columns table))
                   #:x-label "sigma" #:y-label "loss" #:logarithmic '(x))))
        (distinct 'average))))
