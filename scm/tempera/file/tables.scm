;;; tables.scm -- rows of named columns: to filter, sort, group and join; as CSV.
;;;
;;; A table never changes; each procedure makes a new one.  Values are numbers, strings,
;;; symbols, booleans and lists of numbers; a missing one is #f.

(define-module (tempera file tables)
  #:use-module (ice-9 match)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera base numbers)
  #:use-module (tempera base spelling)
  #:export (table table? table-columns table-rows table-size table-column table-text
            rows->table table-filter table-sort table-select table-with table-group table-join
            table->csv csv->table save-table load-table))

(define-record-type <table>
  (make-table columns rows)
  table?
  (columns table-columns)               ; symbols
  (rows table-rows))                    ; lists as long as `columns'

(define (table columns rows)
  "A table of COLUMNS, a list of symbols, and ROWS, a list of lists of as many values.  It prints
with its columns aligned, the first and last rows of a long one.
Example: (table '(sigma psnr) '((1 24.5) (0.5 26.0)))"
  (check-that (and (list? columns) (every symbol? columns)) 'table
              "columns: expected a list of symbols, got ~s" columns)
  (let ((twice (find (lambda (c) (> (count (lambda (d) (eq? c d)) columns) 1)) columns)))
    (check-that (not twice) 'table "columns: ~a comes twice" twice))
  (let ((width (length columns)))
    (check-that (and (list? rows)
                     (every (lambda (row) (and (list? row) (= (length row) width))) rows))
                'table "rows: expected a list of lists of ~a values, got ~a" width
                (shortened rows)))
  (make-table columns rows))

(define (shortened value)
  (let ((text (object->string value)))
    (if (> (string-length text) 80) (string-append (string-take text 77) "...") text)))

(define (rows->table rows)
  "The table of ROWS, a list of association lists from symbols; its columns are their keys in
the order in which they first come, and what a row lacks is #f.
Example: (rows->table '(((sigma . 1) (psnr . 24.5)) ((sigma . 0.5))))"
  (check-that (and (list? rows)
                   (every (lambda (row) (and (list? row)
                                             (every (lambda (e) (and (pair? e) (symbol? (car e))))
                                                    row)))
                          rows))
              'rows->table "rows: expected a list of association lists from symbols, got ~a"
              (shortened rows))
  (let ((columns (fold (lambda (row columns)
                         (fold (lambda (entry columns)
                                 (if (memq (car entry) columns)
                                     columns
                                     (append columns (list (car entry)))))
                               columns row))
                       '() rows)))
    (table columns
           (map (lambda (row) (map (lambda (column) (assq-ref row column)) columns)) rows))))

(define (table-size table)
  "How many rows TABLE has.
Example: (table-size (table '(a) '((1) (2)))) => 2"
  (check-table 'table-size table)
  (length (table-rows table)))

(define (check-table who table)
  (check-that (table? table) who "table: expected a table, got ~s" table))

(define (column-index who table name)
  (or (list-index (lambda (c) (eq? c name)) (table-columns table))
      (complain who "~a" (unknown-name-text "column" (object->string name display)
                                            (map symbol->string (table-columns table))))))

(define (getters who table names)
  ;; For each of NAMES, what finds its value in a row.
  (check-table who table)
  (map (lambda (name)
         (let ((k (column-index who table name)))
           (lambda (row) (list-ref row k))))
       names))

(define (table-column table name)
  "The values in the column NAME of TABLE, a list.
Example: (table-column (table '(a b) '((1 2) (3 4))) 'b) => (2 4)"
  (map (first (getters 'table-column table (list name))) (table-rows table)))

;;; --- Other tables -------------------------------------------------------------

(define (table-filter table keep? . columns)
  "The rows of TABLE for which KEEP?, called with their values in COLUMNS, is true.
Example: (table-filter results (lambda (psnr) (> psnr 25)) 'psnr)"
  (check-that (procedure? keep?) 'table-filter "keep?: expected a procedure, got ~s" keep?)
  (let ((of (getters 'table-filter table columns)))
    (make-table (table-columns table)
                (filter (lambda (row) (apply keep? (map (lambda (get) (get row)) of)))
                        (table-rows table)))))

(define (rank value)
  ;; Missing values last, whatever the direction.
  (cond ((or (not value) (and (real? value) (nan? value))) 2) ((real? value) 0) (else 1)))

(define (value<? a b)
  (cond ((and (real? a) (real? b)) (< a b))
        (else (string<? (cell-text a) (cell-text b)))))

(define* (table-sort table column #:key (descending #f))
  "TABLE by the values in COLUMN: numbers by size, then text by the alphabet, last what is
missing.  Rows with equal values keep their order.
Example: (table-sort results 'psnr #:descending #t)"
  (let ((get (first (getters 'table-sort table (list column)))))
    (make-table (table-columns table)
                (stable-sort (table-rows table)
                             (lambda (a b)
                               (let* ((a (get a)) (b (get b)) (ra (rank a)) (rb (rank b)))
                                 (cond ((not (= ra rb)) (< ra rb))
                                       ((= ra 2) #f)
                                       (descending (value<? b a))
                                       (else (value<? a b)))))))))

(define (table-select source . columns)
  "SOURCE, a table, with COLUMNS alone, in that order.
Example: (table-select results 'sigma 'psnr)"
  (let ((of (getters 'table-select source columns)))
    (table columns
           (map (lambda (row) (map (lambda (get) (get row)) of)) (table-rows source)))))

(define (table-with table column procedure . columns)
  "TABLE with COLUMN, new or in place of the one of that name: PROCEDURE of the values in
COLUMNS.
Example: (table-with results 'gain - 'psnr 'zero-filled)"
  (check-that (symbol? column) 'table-with "column: expected a symbol, got ~s" column)
  (check-that (procedure? procedure) 'table-with "procedure: expected one, got ~s" procedure)
  (let* ((of (getters 'table-with table columns))
         (values (map (lambda (row) (apply procedure (map (lambda (get) (get row)) of)))
                      (table-rows table)))
         (at (list-index (lambda (c) (eq? c column)) (table-columns table))))
    (if at
        (make-table (table-columns table)
                    (map (lambda (row value)
                           (append (list-head row at) (list value) (list-tail row (1+ at))))
                         (table-rows table) values))
        (make-table (append (table-columns table) (list column))
                    (map (lambda (row value) (append row (list value)))
                         (table-rows table) values)))))

(define (standard-deviation numbers)
  (let ((m (mean numbers)) (n (length numbers)))
    (and (> n 1)
         (sqrt (/ (fold (lambda (x sum) (+ sum (* (- x m) (- x m)))) 0 numbers) (1- n))))))

(define aggregates
  `((mean . ,mean) (sum . ,(lambda (l) (apply + l))) (std . ,standard-deviation) (min . ,(lambda (l) (apply min l)))
    (max . ,(lambda (l) (apply max l))) (count . ,length)))

(define (table-group source columns . wanted)
  "A row for each different combination of values in COLUMNS, a list, of the table SOURCE, in the
order in which they come.  Each of WANTED is (COLUMN AGGREGATE ...), AGGREGATE mean, sum, std (of n - 1), min,
max or count; its column is COLUMN-AGGREGATE.  They see numbers alone; of none, count is 0 and the others
are missing.
Example: (table-group results '(spectral-norm) '(psnr mean std count))"
  (check-that (list? columns) 'table-group "columns: expected a list of symbols, got ~s" columns)
  (let* ((keys (getters 'table-group source columns))
         (parts (append-map
                 (lambda (entry)
                   (check-that (and (list? entry) (> (length entry) 1)) 'table-group
                               "expected (column aggregate ...), got ~s" entry)
                   (let ((get (first (getters 'table-group source (list (first entry))))))
                     (map (lambda (name)
                            (list (symbol-append (first entry) '- name)
                                  get
                                  (or (assq-ref aggregates name)
                                      (complain 'table-group "~a"
                                                (unknown-name-text
                                                 "aggregate" (object->string name display)
                                                 (map (compose symbol->string car) aggregates))))))
                          (cdr entry))))
                 wanted))
         (key-of (lambda (row) (map (lambda (get) (get row)) keys)))
         (groups (make-hash-table)))
    (for-each (lambda (row)
                (let ((key (key-of row)))
                  (hash-set! groups key (cons row (hash-ref groups key '())))))
              (table-rows source))
    (table
     (append columns (map first parts))
     (map (lambda (key)
            (let ((rows (reverse (hash-ref groups key))))
              (append key
                      (map (match-lambda
                             ((_ get aggregate)
                              (let ((numbers (filter real? (map get rows))))
                                (if (or (pair? numbers) (eq? aggregate length))
                                    (aggregate numbers)
                                    #f))))
                           parts))))
          (delete-duplicates (map key-of (table-rows source)))))))

(define (table-join left right . columns)
  "The rows of LEFT, each followed by the other columns of every row of RIGHT with the same values
in COLUMNS; those without such a row are left out.
Example: (table-join (table '(point psnr) '((1 24) (2 26))) (table '(point norm) '((1 0) (2 5))) 'point)"
  (let* ((left-keys (getters 'table-join left columns))
         (right-keys (getters 'table-join right columns))
         (key (lambda (gets row) (map (lambda (get) (get row)) gets)))
         (others (remove (lambda (c) (memq c columns)) (table-columns right)))
         (other (getters 'table-join right others))
         (groups (make-hash-table)))
    (for-each (lambda (row)
                (let ((k (key right-keys row)))
                  (hash-set! groups k (cons (key other row) (hash-ref groups k '())))))
              (table-rows right))
    (table (append (table-columns left) others)
           (append-map (lambda (row)
                         (map (lambda (more) (append row more))
                              (reverse (hash-ref groups (key left-keys row) '()))))
                       (table-rows left)))))

;;; --- Printed ------------------------------------------------------------------

(define (exact-text x)
  ;; What reads back as the same number.
  (cond ((exact-integer? x) (number->string x))
        ((nan? x) "nan")
        ((inf? x) (if (> x 0) "inf" "-inf"))
        (else (number->string (exact->inexact x)))))

(define (cell-text value)
  ;; VALUE as CSV has it, before it is quoted.
  (cond ((not value) "")
        ((eq? value #t) "yes")
        ((real? value) (exact-text value))
        ((string? value) value)
        ((symbol? value) (symbol->string value))
        ((and (list? value) (every real? value)) (string-join (map exact-text value) " "))
        (else (object->string value))))

(define (shown value)
  ;; VALUE as a person reads it.
  (if (and (real? value) (not (exact-integer? value)) (rational? value))
      (number->string (significant value 4))
      (cell-text value)))

(define most-shown 24)                  ; rows of a table that is printed

(define* (table-text table #:key (most most-shown))
  "TABLE as aligned lines of text, with its first and last rows when it has more than MOST.
Example: (display (table-text results))"
  (check-table 'table-text table)
  (let* ((rows (table-rows table))
         (hidden (max 0 (- (length rows) most)))
         (before (if (> hidden 0) (quotient (1+ most) 2) (length rows)))
         (kept (if (> hidden 0)
                   (append (list-head rows before)
                           (list-tail rows (- (length rows) (- most before))))
                   rows))
         (texts (map (lambda (row) (map shown row)) kept))
         (heads (map symbol->string (table-columns table)))
         (widths (map (lambda (k) (fold (lambda (row width)
                                          (max width (string-length (list-ref row k))))
                                        0 (cons heads texts)))
                      (iota (length heads))))
         (numeric? (map (lambda (k) (every (lambda (row) (let ((v (list-ref row k)))
                                                            (or (not v) (real? v))))
                                           kept))
                        (iota (length heads))))
         (line (lambda (cells)
                 (string-trim-right
                  (string-join (map (lambda (cell width number?)
                                      ((if number? string-pad string-pad-right) cell width))
                                    cells widths numeric?)
                               "  ")
                  #\space)))
         (lines (map line texts)))
    (string-join (append (list (line heads))
                         (list-head lines before)
                         (if (> hidden 0) (list (format #f "... ~a rows ..." hidden)) '())
                         (list-tail lines before))
                 "\n")))

(set-record-type-printer! <table>
  (lambda (table port)
    (format port "#<table of ~a rows:~%~a>" (length (table-rows table)) (table-text table))))

;;; --- CSV ----------------------------------------------------------------------

(define (quoted text)
  ;; As RFC 4180 has it; also what a reader might take for something else.
  (if (string-any (lambda (c) (memv c '(#\, #\" #\newline #\return))) text)
      (string-append "\"" (string-join (string-split text #\") "\"\"") "\"")
      text))

(define (csv-line cells)
  ;; An empty line would be no row: one empty cell is quoted.
  (if (equal? cells '("")) "\"\"\n" (string-append (string-join (map quoted cells) ",") "\n")))

(define (table->csv table)
  "TABLE as CSV text: a line of names, a line a row, quoted as RFC 4180 has it.  Numbers read back
as the same numbers; a missing value is empty.
Example: (table->csv (table '(a b) '((1 2.5)))) => \"a,b\\n1,2.5\\n\""
  (check-table 'table->csv table)
  (string-concatenate
   (cons (csv-line (map symbol->string (table-columns table)))
         (map (lambda (row) (csv-line (map cell-text row))) (table-rows table)))))

(define number-characters (string->char-set "0123456789+-.eE"))

(define (cell-value text)
  (cond ((string-null? text) #f)
        ((assoc-ref '(("nan" . +nan.0) ("inf" . +inf.0) ("-inf" . -inf.0)) text))
        ((and (string-every number-characters text)
              (string-any char-set:digit text)
              (false-if-error (string->number text))))
        (else text)))

(define (csv-records text)
  ;; The records of TEXT, lists of strings; the second value is whether the last one is whole,
  ;; that is ends with a line's end.
  (let ((end (string-length text)))
    (let loop ((i 0) (state 'start) (cell '()) (cells '()) (records '()))
      (define (close-cell) (cons (list->string (reverse cell)) cells))
      (define (close-record) (cons (reverse (close-cell)) records))
      (if (= i end)
          (if (and (eq? state 'start) (null? cells))
              (values (reverse records) #t)
              (values (reverse (close-record)) #f))
          (let ((c (string-ref text i)))
            (cond ((eq? state 'quoted)
                   (cond ((not (char=? c #\"))
                          (loop (1+ i) 'quoted (cons c cell) cells records))
                         ((and (< (1+ i) end) (char=? (string-ref text (1+ i)) #\"))
                          (loop (+ i 2) 'quoted (cons #\" cell) cells records))
                         (else (loop (1+ i) 'plain cell cells records))))
                  ((and (char=? c #\") (memq state '(start begin)))
                   (loop (1+ i) 'quoted cell cells records))
                  ((char=? c #\,) (loop (1+ i) 'begin '() (close-cell) records))
                  ((char=? c #\newline)
                   (if (and (eq? state 'start) (null? cells))
                       (loop (1+ i) 'start '() '() records) ; an empty line
                       (loop (1+ i) 'start '() '() (close-record))))
                  ((and (char=? c #\return) (< (1+ i) end)
                        (char=? (string-ref text (1+ i)) #\newline))
                   (loop (1+ i) state cell cells records))
                  (else (loop (1+ i) 'plain (cons c cell) cells records))))))))

(define* (csv->table text #:key (torn #f))
  "The table in the CSV TEXT, whose first line has the names of the columns.  What looks like a
number becomes one, what is empty #f.  With TORN, a last line that has no end, as a writer that
was killed leaves it, is dropped.
Example: (csv->table \"a,b\\n1,x\\n\")"
  (check-that (string? text) 'csv->table "text: expected a string, got ~s" text)
  (call-with-values (lambda () (csv-records text))
    (lambda (records whole?)
      (let* ((records (if (and torn (not whole?)) (drop-right records 1) records))
             (heads (if (pair? records) (map string->symbol (first records)) '()))
             (width (length heads)))
        (table heads
               (map (lambda (record line)
                      (check-that (= (length record) width) 'csv->table
                                  "record ~a: expected ~a values, got ~a" line width
                                  (length record))
                      (map cell-value record))
                    (if (pair? records) (cdr records) '())
                    (iota (max 0 (1- (length records))) 2)))))))

(define (save-table path table)
  "Write TABLE to the file PATH as CSV, whole or not at all.
Example: (save-table \"results.csv\" (sweep-results \"runs/norms\"))"
  (save-text path (table->csv table)))

(define* (load-table path #:key (torn #f))
  "The table in the CSV file PATH; TORN as of `csv->table'.
Example: (load-table \"results.csv\")"
  (check-file 'load-table path)
  (catch 'tempera-error
    (lambda ()
      (csv->table (call-with-input-file path get-string-all #:encoding "UTF-8") #:torn torn))
    (lambda (key who message arguments . rest)
      (complain 'load-table "~a: ~a" path (first arguments)))))

(document
 (table?
  "True when OBJECT is a table.
Example: (table? (table '(a) '((1)))) => #t")
 (table-columns
  "The names of the columns of TABLE, symbols.
Example: (table-columns (table '(a b) '((1 2)))) => (a b)")
 (table-rows
  "The rows of TABLE, lists.
Example: (table-rows (table '(a b) '((1 2)))) => ((1 2))"))
