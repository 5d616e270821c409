;;; table-charts.scm -- charts of tables: lines, heat maps, parallel coordinates.

(define-module (tempera see table-charts)
  #:use-module (srfi srfi-1)
  #:use-module (tempera see charts)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera see plots)
  #:use-module (tempera file tables)
  #:export (table-chart table-heat table-parallel))

(define* (text value #:optional (digits 3))
  (cond ((and (real? value) (not (exact-integer? value)))
         (number-text value digits))
        ((list? value) (string-join (map text value) " "))
        (else (object->string value display))))

(define (check-columns who names columns)
  (for-each (lambda (name column)
              (check-that (symbol? column) who "~a: expected the name of a column, got ~s" name column))
            names columns))

(define (distinct values)
  ;; VALUES without repeats, sorted as `table-sort' does.
  (table-column (table-sort (table '(v) (map list (delete-duplicates values))) 'v) 'v))

(define (means pairs)
  ;; The mean of the numbers for each key in PAIRS (key . number): lists (key mean).
  (map (lambda (key)
         (list key (mean (filter-map (lambda (p) (and (equal? (car p) key) (cdr p))) pairs))))
       (distinct (map car pairs))))

(define (numeric-rows who table x y)
  ;; Pairs of the values in the columns X and Y of TABLE, where both are finite numbers.
  (let ((pairs (filter (lambda (p) (and (finite-number? (car p)) (finite-number? (cdr p))))
                       (map cons (table-column table x) (table-column table y)))))
    (check-that (pair? pairs) who "no row has finite numbers in both ~a and ~a" x y)
    pairs))

(define* (table-chart table #:key x y (by #f) (style 'line) (title (object->string y display))
                      (logarithmic '()) (key 'below))
  "The column Y of TABLE against its column X, a chart: a line for each value in the column BY, or
one.  Where several rows have the same x, their mean is drawn, unless STYLE is points.
LOGARITHMIC and KEY are as of `chart'.
Example: (table-chart (sweep-results \"runs/norms\") #:x 'norm #:y 'psnr)"
  (check-columns 'table-chart '("x" "y") (list x y))
  (let* ((line (lambda (table title)
                 (let ((pairs (numeric-rows 'table-chart table x y)))
                   (series style
                           (if (eq? style 'points)
                               (map (lambda (p) (list (car p) (cdr p))) pairs)
                               (means pairs))
                           #:title title)))))
    (chart title
           (if by
               (map (lambda (value)
                      (line (table-filter table (lambda (v) (equal? v value)) by)
                            (format #f "~a ~a" by (text value))))
                    (distinct (table-column table by)))
               (list (line table "")))
           #:x-label (symbol->string x) #:y-label (symbol->string y) #:logarithmic logarithmic
           #:key key)))

(define* (table-heat table #:key x y value (title (object->string value display)) (colours 'heat)
                     (logarithmic? 'by-steps))
  "The column VALUE of TABLE in colour over its columns X and Y, a chart; the mean where several
rows have the same x and y.  LOGARITHMIC? is as of `heat-chart', which decides unless told.
Example: (table-heat (sweep-results \"runs/steps\") #:x 'step-size #:y 'exponent #:value 'z)"
  (check-columns 'table-heat '("x" "y" "value") (list x y value))
  (let* ((rows (filter (lambda (row) (finite-number? (third row)))
                       (table-rows (table-select table x y value))))
         (xs (distinct (map first rows))) (ys (distinct (map second rows)))
         (cells (means (map (lambda (row) (cons (list (first row) (second row)) (third row)))
                            rows))))
    (check-that (pair? rows) 'table-heat "no row has a finite number in ~a" value)
    (apply heat-chart title
                (map (lambda (y)
                       (map (lambda (x) (and=> (assoc-ref cells (list x y)) first)) xs))
                     ys)
                #:x-label (symbol->string x) #:x-names (map text xs)
                #:y-label (symbol->string y) #:y-names (map text ys)
                #:value-label (symbol->string value) #:colours colours
                (if (eq? logarithmic? 'by-steps) '() (list #:logarithmic? logarithmic?)))))

(define (places values)
  ;; The places of VALUES on an axis from 0 to 1, linear, or logarithmic if they span more than a
  ;; decade, or names in their order; paired with the text of the axis's ends.
  (if (every finite-number? values)
      (let* ((low (apply min values)) (high (apply max values))
             (scale (if (decades? values) log identity))
             (span (- (scale high) (scale low))))
        (cons (map (lambda (v) (if (zero? span) 1/2 (/ (- (scale v) (scale low)) span))) values)
              (format #f "~a to ~a" (text low 2) (text high 2))))
      (let* ((names (distinct values)) (last (max 1 (1- (length names)))))
        (cons (map (lambda (v) (/ (list-index (lambda (n) (equal? n v)) names) last)) values)
              (string-join (map text names) ", ")))))

(define (staggered names)
  ;; Of more than three NAMES every second one two lines lower, so that neighbours do not touch.
  (map (lambda (name k) (if (and (odd? k) (> (length names) 3)) (string-append "\n\n" name) name))
       names (iota (length names))))

(define* (table-parallel table #:key across value (title (format #f "coloured by ~a" value)))
  "Every row of TABLE as a line across the columns ACROSS, each scaled from its least to its greatest, a chart.
Lines have their colour by the column VALUE, from dark (least) to bright, the greatest on top.
Example: (table-parallel results #:across '(step-size exponent psnr) #:value 'psnr)"
  (check-columns 'table-parallel '("value") (list value))
  (check-that (and (list? across) (> (length across) 1)) 'table-parallel
              "across: expected a list of two columns or more, got ~s" across)
  (let* ((sorted (table-sort (table-filter table (lambda (v) (finite-number? v)) value) value))
         (placed (map (lambda (column) (places (table-column sorted column))) across)))
    (check-that (pair? (table-rows sorted)) 'table-parallel "no row has a finite number in ~a" value)
    (chart title
           (apply map (lambda ys (series 'line (map list (iota (length ys)) ys)))
                  (map car placed))
           #:x-names (staggered (map (lambda (column place) (format #f "~a~%~a" column (cdr place)))
                                     across placed))
           #:y-names '("least" "greatest")
           #:y-range '(-0.05 1.05) #:colours 'heat)))

(add-plot! table?
           (lambda* (table #:key (across #f) (value #f) #:allow-other-keys #:rest options)
             (list (apply (cond (across table-parallel) (value table-heat) (else table-chart))
                          table options))))
