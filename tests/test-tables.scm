;;; test-tables.scm -- tables: other tables from them, CSV, charts, and what is wrong.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 regex) (ice-9 textual-ports)
             (tempera))

(start-tests "tables")

(define t (table '(norm seed psnr note)
                 '((1 1 24.5 "a") (0.5 1 26.0 "b,\"c\"") (1 2 25.5 #f) (0.5 2 #f "two
lines"))))

(test-equal "columns" '(norm seed psnr note) (table-columns t))
(test-equal "size" 4 (table-size t))
(test-equal "a column" '(24.5 26.0 25.5 #f) (table-column t 'psnr))
(test-equal "filter by two" '((1 2 25.5 #f))
  (table-rows (table-filter t (lambda (norm seed) (and (= norm 1) (= seed 2))) 'norm 'seed)))
(test-equal "sort, missing last" '(24.5 25.5 26.0 #f) (table-column (table-sort t 'psnr) 'psnr))
(test-equal "down, missing last" '(26.0 25.5 24.5 #f)
  (table-column (table-sort t 'psnr #:descending #t) 'psnr))
(test-equal "stable" '(1 2 1 2) (table-column (table-sort t 'norm) 'seed))
(test-equal "select" '((1 1) (1 0.5) (2 1) (2 0.5)) (table-rows (table-select t 'seed 'norm)))
(test-equal "a new column" '(2 1.5 3 2.5) (table-column (table-with t 'sum + 'norm 'seed) 'sum))
(test-equal "in place" '(norm seed psnr note)
  (table-columns (table-with t 'seed - 'seed)))
(let ((g (table-group t '(norm) '(psnr mean sum std min max count))))
  (test-equal "group: columns" '(norm psnr-mean psnr-sum psnr-std psnr-min psnr-max psnr-count)
    (table-columns g))
  (test-equal "group: keys" '(1 0.5) (table-column g 'norm))
  (test-equal "mean of what is there" '(25.0 26.0) (table-column g 'psnr-mean))
  (test-equal "sums" '(50.0 26.0) (table-column g 'psnr-sum))
  (test-approximate "standard deviation" (sqrt 0.5) (first (table-column g 'psnr-std)) 1e-12)
  (test-equal "of one number: none" #f (second (table-column g 'psnr-std)))
  (test-equal "counts" '(2 1) (table-column g 'psnr-count)))
(test-equal "join" '((1 a 10) (1 b 10) (3 c 30))
  (table-rows (table-join (table '(k x) '((1 a) (1 b) (2 z) (3 c))) (table '(y k) '((10 1) (30 3)))
                          'k)))
(test-equal "rows as association lists" '((1 #f) (2 x))
  (table-rows (rows->table '(((a . 1)) ((a . 2) (b . x))))))

(test-equal "printed"
  "norm  seed  psnr  note\n   1     1  24.5  a\n 0.5     1  26.0  b\n... 1 rows ...\n   1     2        z"
  (table-text (table '(norm seed psnr note)
                     '((1 1 24.5 "a") (0.5 1 26. "b") (3 3 3 "gone") (1 2 #f "z")))
              #:most 3))

;;; --- CSV ----------------------------------------------------------------------

(test-equal "CSV" "norm,seed,psnr,note\n1,1,24.5,a\n0.5,1,26.0,\"b,\"\"c\"\"\"\n1,2,25.5,\n0.5,2,,\"two\nlines\"\n"
  (table->csv t))
(test-equal "and back" (table-rows t) (table-rows (csv->table (table->csv t))))
(let ((numbers (table '(x) (map list (list 0.1 -1e-300 1/3 12345678901234567890 +inf.0 -inf.0 1e22)))))
  (test-equal "numbers come back as they are" (map exact->inexact (table-column numbers 'x))
    (map exact->inexact (table-column (csv->table (table->csv numbers)) 'x))))
(test-assert "NaN" (nan? (first (table-column (csv->table "x\nnan\n") 'x))))
(test-equal "what only looks like a number" '("1/2" "#xff" "-" "e" "1e")
  (table-column (csv->table "x\n1/2\n#xff\n-\ne\n1e\n") 'x))
(test-equal "one empty cell is a row" '((#f)) (table-rows (csv->table (table->csv (table '(a) '((#f)))))))
(test-equal "lines end as they may" '((1 2) (3 4)) (table-rows (csv->table "a,b\r\n1,2\r\n\r\n3,4")))
(test-equal "a torn line is dropped" '((1 2)) (table-rows (csv->table "a,b\n1,2\n3,4" #:torn #t)))
(test-equal "nothing" '() (table-columns (csv->table "")))
(test-error-matching "too few values" "record 3: expected 2 values, got 1" (csv->table "a,b\n1,2\n3\n"))
(test-error-matching "a name twice" "columns: a comes twice" (csv->table "a,a\n1,2\n"))
(call-with-temporary-directory
 (lambda (directory)
   (let ((path (string-append directory "/t.csv")))
     (save-table path t)
     (test-equal "a file" (table-rows t) (table-rows (load-table path)))
     (save-text path "a,b\n1\n")
     (test-error-matching "which file" "t.csv: record 2: expected 2 values" (load-table path))
     (test-error-matching "no file" "no such file" (load-table (string-append directory "/none")))
     (test-error-matching "no folder" "No such file" (save-table (string-append directory "/no/t.csv") t)))))

;;; --- Charts -------------------------------------------------------------------

(let ((results (table '(step norm psnr kind) '((1 1 20 a) (1 1 24 a) (2 1 31 b) (1 3 45.678 b) (2 3 +nan.0 a)
                                               (2 3 #f a)))))
  (define (drawn chart)
    ;; As characters.
    (call-with-temporary-directory
     (lambda (directory)
       (let ((path (string-append directory "/chart.txt")))
         (save-charts path (list chart))
         (call-with-input-file path get-string-all #:encoding "UTF-8")))))
  (define (has? text . parts) (every (lambda (part) (string-contains text part)) parts))
  (test-assert "a heat map: means of equal places, names along its axes"
    (has? (drawn (table-heat results #:x 'step #:y 'norm #:value 'psnr)) "22" "31" "45.7" "step" "norm"))
  (test-assert "lines by a column"
    (has? (drawn (table-chart results #:x 'step #:y 'psnr #:by 'norm)) "norm 1" "norm 3" "step"))
  (test-assert "parallel lines: each axis with its ends, names in their order"
    (has? (drawn (table-parallel results #:across '(step kind psnr) #:value 'psnr))
          "kind" "1 to 2" "a, b" "20 to 46" "least" "greatest"))
  (test-equal "names of many axes do not touch" '(1 1)
    (let ((lines (string-split (drawn (table-parallel results #:across '(step kind psnr step kind)
                                                      #:value 'psnr))
                               #\newline)))
      (map (lambda (pattern) (count (lambda (line) (string-match pattern line)) lines))
           '("^ *step +psnr +kind *$" "^ *kind +step *$"))))
  (test-equal "plot takes what fits" '(1 1 1)
    (map (lambda (options) (length (apply charts results options)))
         '((#:x step #:y psnr) (#:x step #:y norm #:value psnr) (#:across (step norm) #:value psnr))))
  (test-error-matching "no y" "y: expected the name of a column, got #f" (table-chart results #:x 'step))
  (test-error-matching "an unknown y" "unknown column pnsr" (table-chart results #:x 'step #:y 'pnsr))
  (test-error-matching "no numbers" "no row has finite numbers in both step and kind"
    (table-chart results #:x 'step #:y 'kind))
  (test-error-matching "one axis" "across: expected a list of two columns or more"
    (table-parallel results #:across '(step) #:value 'psnr)))

;;; --- What is wrong --------------------------------------------------------------

(test-error-matching "a row too short" "rows: expected a list of lists of 2 values" (table '(a b) '((1))))
(test-error-matching "no table" "table: expected a table, got 3" (table-column 3 'a))
(test-error-matching "an unknown column, and the nearest" "unknown column pnsr; did you mean psnr?"
                     (table-column t 'pnsr))
(test-error-matching "an unknown aggregate" "unknown aggregate maen; did you mean mean?"
                     (table-group t '(norm) '(psnr maen)))
(test-error-matching "no symbols" "columns: expected a list of symbols" (table '("a") '()))

(finish-tests)
