;;; page.scm -- the HTML file of a report.
;;;
;;; A report is a title, a summary and sections; a section is a title and blocks (pictures,
;;; charts, tables, words), as data.  The page's own script, in this folder, builds them in the
;;; browser.  Pixels go into the page as whole numbers of 8 or 16 bits between two limits, in
;;; base64, so that the browser can window them.

(define-module (tempera see report page)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 format)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base program)
  #:use-module (tempera see charts)
  #:use-module (tempera see colours)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera file values)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:export (report report? report-title report-text
            section block facts text-block log-block command-block data-table chart-block
            value-text image-data picture-data))

(define-record-type <report>
  (make-report title summary sections)
  report?
  (title report-title)
  (summary report-summary)
  (sections report-sections))

(define (report title summary . sections)
  "A report called TITLE with SUMMARY, a line, and SECTIONS, each made by `section' or #f.
Example: (report \"Two moons\" \"500 samples\" (section \"Log\" (log-block \"done\")))"
  (make-report title summary (filter identity sections)))

;;; --- Pictures ---------------------------------------------------------------

(define (finite-range numbers)
  ;; The least and the greatest finite number; never equal.
  (let loop ((numbers numbers) (low +inf.0) (high -inf.0))
    (cond ((pair? numbers)
           (let ((x (car numbers)))
             (if (finite? x)
                 (loop (cdr numbers) (min x low) (max x high))
                 (loop (cdr numbers) low high))))
          ((< low high) (values low high))
          ((= low high) (values low (+ low 1)))
          (else (values 0. 1.)))))

(define (quantised numbers bits low high)
  ;; The list NUMBERS as little-endian integers of BITS: LOW becomes 0, HIGH the greatest but one;
  ;; the greatest stands for numbers that are not finite.
  (let* ((none (1- (ash 1 bits)))
         (top (exact->inexact (1- none)))
         (scale (/ top (- high low)))
         (bytes (make-bytevector (* (quotient bits 8) (length numbers)))))
    (define (whole x)
      (if (finite? x)
          (inexact->exact (round (max 0. (min top (* scale (- x low))))))
          none))
    (let loop ((numbers numbers) (at 0))
      (cond ((null? numbers) bytes)
            ((= bits 8)
             (bytevector-u8-set! bytes at (whole (car numbers)))
             (loop (cdr numbers) (+ at 1)))
            (else
             (bytevector-u16-set! bytes at (whole (car numbers)) (endianness little))
             (loop (cdr numbers) (+ at 2)))))))

(define* (image-data tensor #:key (bits 16) (count 1))
  "TENSOR, or a batch of COUNT, for a block of pictures, with BITS a number.
Example: (image-data (chain-mean chain))"
  (let ((numbers (tensor->list (if (eq? (tensor-dtype tensor) 'c64) (real-view tensor) tensor))))
    (call-with-values (lambda () (finite-range numbers))
      (lambda (low high)
        `(("data" . ,(quantised numbers bits low high))
          ("bits" . ,bits) ("low" . ,low) ("high" . ,high) ("count" . ,count))))))

(define (picture-data path name)
  "The picture in the file PATH, called NAME, for a block of images.
Example: (picture-data \"mean.png\" \"mean\")"
  `(("name" . ,name) ("type" . ,(media-type path))
    ("data" . ,(let ((bytes (call-with-input-file path get-bytevector-all #:binary #t)))
                 (if (eof-object? bytes) (make-bytevector 0) bytes)))))

;;; --- Blocks -----------------------------------------------------------------

(define (section title . blocks)
  "The section called TITLE of BLOCKS, those that are #f left out; #f when none is left.
Example: (section \"Log\" (block \"log\" `(\"text\" . ,text)))"
  (let ((blocks (filter identity blocks)))
    (and (pair? blocks)
         `(("title" . ,title) ("blocks" . ,(list->vector blocks))))))

(define (block type . fields)
  "A block of TYPE, one that the page's script builds, with FIELDS, pairs of a name and a value.
Example: (block \"text\" '(\"text\" . \"Nothing moved.\"))"
  `(("type" . ,type) ,@fields))

(define (rows->json rows)
  (list->vector (map list->vector rows)))

(define (value-text value)
  "VALUE as a person reads it.
Example: (value-text 3.14159) => 3.142"
  (cond ((string? value) value)
        ((and (real? value) (inexact? value)) (number->string (significant value 4)))
        ((list? value) (string-append "(" (string-join (map value-text value)) ")"))
        (else (object->string value display))))

(define (facts rows)
  "A block of ROWS, lists of a name and a value; without those whose value is #f, and #f when none
is left.
Example: (facts `((\"Accepted\" ,(chain-acceptance chain))))"
  (let ((rows (filter second rows)))
    (and (pair? rows)
         (block "facts" `("rows" . ,(rows->json
                                     (map (lambda (row) (list (first row) (value-text (second row))))
                                          rows)))))))

(define (cell value)
  ;; VALUE as JSON, for a table's cell.
  (cond ((not value) 'null)
        ((real? value) value)
        (else (value-text value))))

(define (data-table caption columns rows)
  "A table of ROWS, lists as long as COLUMNS, strings, which the page sorts.
Example: (data-table \"Results\" '(\"step size\" \"PSNR\") '((0.3 24.1) (0.5 25.2)))"
  (block "table" `("caption" . ,caption) `("columns" . ,(list->vector columns))
         `("rows" . ,(rows->json (map (lambda (row) (map cell row)) rows)))))

(define (text-block text)
  "A paragraph of TEXT.
Example: (text-block \"Nothing moved.\")"
  (block "text" `("text" . ,text)))

(define most-log-characters 100000)

(define (log-block text)
  "TEXT as it stands, of a long one the end; #f when it is empty.
Example: (log-block \"step 1\\nstep 2\\n\")"
  (and (not (string-null? text))
       (block "log" `("text" .
                      ,(if (> (string-length text) most-log-characters)
                           (string-append "...\n" (string-take-right text most-log-characters))
                           text)))))

(define (command-block text)
  "The command TEXT, with a button that copies it.
Example: (command-block \"tempera rerun runs/norms\")"
  (block "command" `("text" . ,text)))

;;; --- Charts -----------------------------------------------------------------

;; Of a series, in a chart; more would only make the page large.
(define most-points 2000)

(define (chart->json chart)
  (let* ((all (chart-series chart))
         (stride (ceiling (/ (apply max (map (lambda (s) (length (series-points s))) all))
                             most-points)))
         (whole? (lambda (of)
                   (every (lambda (s) (every (lambda (p) (exact-integer? (of p))) (series-points s)))
                          all)))
         (axis (lambda (name of label range)
                 `(("label" . ,label)
                   ,@(if range `(("low" . ,(first range)) ("high" . ,(second range))) '())
                   ("whole" . ,(whole? of))
                   ("log" . ,(and (memq name (chart-logarithmic chart)) #t))))))
    (check-that (not (any (lambda (s) (eq? 'heat (series-style s))) all)) 'chart-block
                "charts: expected lines, points, bars or bands, got ~s" chart)
    `(("title" . ,(chart-title chart))
      ("x" . ,(axis 'x first (if (= 1 stride)
                                 (chart-x-label chart)
                                 (format #f "~a, one in ~a" (chart-x-label chart) stride))
                    (chart-x-range chart)))
      ("y" . ,(axis 'y second (chart-y-label chart) (chart-y-range chart)))
      ("series" . ,(list->vector
                    (map (lambda (s)
                           `(("name" . ,(series-title s))
                             ("style" . ,(symbol->string (series-style s)))
                             ("points" . ,(rows->json (every-so-many stride (series-points s))))))
                         all))))))

(define (every-so-many stride items)
  (if (= 1 stride)
      items
      (filter-map (lambda (item k) (and (zero? (modulo k stride)) item))
                  items (iota (length items)))))

(define (chart-block charts)
  "The block of CHARTS, a list of `chart', not of heat maps; #f when there is none.
Example: (chart-block (list (chart \"PSNR\" (list (series 'line '((1 24.1) (2 25.2)))))))"
  (and (pair? charts)
       (block "charts" `("charts" . ,(list->vector (map chart->json charts))))))

;;; --- The page ---------------------------------------------------------------

(define scripts
  ;; In their order.
  '("elements.js" "images.js" "chart.js" "table.js" "pictures.js" "page.js"))

(define (page-file name)
  (let ((path (search-path %load-path (string-append "tempera/see/report/" name))))
    (check-that path 'report-text "the file tempera/see/report/~a of Tempera itself is missing: \
install it again" name)
    (call-with-input-file path get-string-all #:encoding "UTF-8")))

(define (escaped text)
  ;; TEXT for HTML.
  (string-concatenate
   (map (lambda (c)
          (case c ((#\<) "&lt;") ((#\>) "&gt;") ((#\&) "&amp;") ((#\") "&quot;") (else (string c))))
        (string->list text))))

(define (inert json)
  ;; JSON without <, which could end the script around it; it occurs in strings only.
  (string-join (string-split json #\<) "\\u003c"))

;; Bytes stand beside the page's JSON, not in it: its writer is slow on millions of characters.
(define (array-name number)
  (format #f "array-~a" number))

(define (named-arrays json)
  ;; Two values: JSON (lists of pairs, and vectors) with a name in place of each bytevector; and
  ;; the list of bytevectors.
  (let ((arrays '()))
    (define (named value)
      (cond ((bytevector? value)
             (set! arrays (cons value arrays))
             (array-name (length arrays)))
            ((vector? value) (list->vector (map-in-order named (vector->list value))))
            ((pair? value)
             (map-in-order (lambda (field) (cons (car field) (named (cdr field)))) value))
            (else value)))
    (let ((json (named json)))
      (values json (reverse arrays)))))

(define* (report-text report #:key (title (report-title report)))
  "The text of the HTML file of REPORT, under TITLE.
Example: (report-text (report \"Two moons\" \"500 samples\" (section \"Log\" (log-block \"done\"))))"
  (call-with-values (lambda () (named-arrays (list->vector (report-sections report))))
    (lambda (sections arrays)
      (let* ((colours (map (lambda (name)
                             (cons (symbol->string name)
                                   (string-concatenate
                                    (map colour-hex (vector->list (colour-words name))))))
                           (colour-map-names)))
             (json (json-text `(("colours" . ,colours) ("sections" . ,sections))))
             (parts `(("title" . ,(escaped title))
                      ("summary" . ,(escaped (report-summary report)))
                      ("style" . ,(page-file "page.css"))
                      ("script" . ,(string-join (map page-file scripts) "\n"))
                      ("made" . ,(escaped
                                  (format #f "Made by Tempera ~a with Guile ~a, ~a instructions."
                                          tempera-version (version) (instruction-set))))
                      ("report" . ,(inert json))
                      ("arrays" . ,(string-concatenate
                                    (map (lambda (bytes number)
                                           (string-append "<script type=\"text/plain\" id=\""
                                                          (array-name number) "\">" (base64 bytes)
                                                          "</script>\n"))
                                         arrays (iota (length arrays) 1)))))))
        (regexp-substitute/global #f "@([a-z]+)@" (page-file "page.html")
                                  'pre (lambda (m) (assoc-ref parts (match:substring m 1)))
                                  'post)))))
