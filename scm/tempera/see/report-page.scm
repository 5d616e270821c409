;;; report-page.scm -- the HTML file of a report, from its sections.
;;;
;;; A section is a title and blocks (pictures, charts, tables, words), as data; the page's own
;;; script, in the folder report/ beside this file, builds them in the browser.  Numbers of
;;; images go into the page as whole numbers of 8 or 16 bit between two limits, in base64, so that
;;; they can be windowed there.

(define-module (tempera see report-page)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 format)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base program)
  #:use-module (tempera see colours)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera file values)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:export (section block facts words data-table axis data-series data-chart charts image-data
            picture-data report-text))

;;; --- What is embedded -------------------------------------------------------

(define embedded
  ;; Base64 texts of the report being made, newest first: beside its JSON, whose writer is
  ;; slow on millions of characters.
  (make-parameter #f))

(define (array-name number)
  (format #f "array-~a" number))

(define (embed! bytes)
  ;; The name under which the page finds BYTES.
  (embedded (cons (base64 bytes) (embedded)))
  (array-name (length (embedded))))

(define (finite-range numbers)
  ;; The least and the greatest of those that are finite; apart even if they are alike.
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
  ;; The list NUMBERS as bytes of whole numbers of BITS, little-endian: LOW is 0, HIGH the last
  ;; but one, and the last stands for what is not finite.
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
        `(("data" . ,(embed! (quantised numbers bits low high)))
          ("bits" . ,bits) ("low" . ,low) ("high" . ,high) ("count" . ,count))))))

(define (picture-data path name)
  "The picture in the file PATH, called NAME, for a block of images.
Example: (picture-data \"mean.png\" \"mean\")"
  `(("name" . ,name) ("type" . ,(media-type path))
    ("data" . ,(embed! (let ((bytes (call-with-input-file path get-bytevector-all #:binary #t)))
                         (if (eof-object? bytes) (make-bytevector 0) bytes))))))

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

(define (words value)
  "VALUE as a person reads it.
Example: (words 3.14159) => 3.142"
  (cond ((string? value) value)
        ((and (real? value) (inexact? value)) (number->string (significant value 4)))
        ((list? value) (string-append "(" (string-join (map words value)) ")"))
        (else (object->string value display))))

(define (facts rows)
  "A block of ROWS, lists of a name and a value; without those whose value is #f, and #f when none
is left.
Example: (facts `((\"Accepted\" ,(chain-acceptance chain))))"
  (let ((rows (filter second rows)))
    (and (pair? rows)
         (block "facts" `("rows" . ,(rows->json
                                     (map (lambda (row) (list (first row) (words (second row))))
                                          rows)))))))

(define (cell value)
  ;; VALUE as JSON that the page shows and sorts.
  (cond ((not value) 'null)
        ((real? value) value)
        (else (words value))))

(define (data-table caption columns rows)
  "A table of ROWS, lists as long as COLUMNS, strings, which the page sorts.
Example: (data-table \"Results\" '(\"step size\" \"PSNR\") '((0.3 24.1) (0.5 25.2)))"
  (block "table" `("caption" . ,caption) `("columns" . ,(list->vector columns))
         `("rows" . ,(rows->json (map (lambda (row) (map cell row)) rows)))))

(define* (axis #:optional (label #f) #:key (log? #f) (low #f) (high #f))
  "An axis of a chart under LABEL, logarithmic with LOG?, from LOW to HIGH unless they are #f.
Example: (axis \"sigma\" #:log? #t)"
  `(,@(if label `(("label" . ,label)) '())
    ,@(if low `(("low" . ,low)) '())
    ,@(if high `(("high" . ,high)) '())
    ("log" . ,log?)))

(define* (data-series style points #:optional (name ""))
  "POINTS in the STYLE line or points, (x y), or band, (x low high), as a series of a chart; #f for
a number leaves a point out.
Example: (data-series \"line\" '((1 24.1) (2 25.2)))"
  `(("name" . ,name) ("style" . ,style)
    ("points" . ,(rows->json (map (lambda (point) (map cell point)) points)))))

(define (data-chart title x y . data)
  "A chart called TITLE with axes X and Y.
Example: (data-chart \"PSNR\" (axis \"step\") (axis) (data-series \"line\" '((1 24.1))))"
  `(("title" . ,title) ("x" . ,x) ("y" . ,y) ("series" . ,(list->vector data))))

(define (charts . charts)
  "The block of CHARTS; #f when there is none.
Example: (charts (data-chart \"PSNR\" (axis \"step\") (axis) (data-series \"line\" '((1 24.1)))))"
  (and (pair? charts)
       (block "charts" `("charts" . ,(list->vector charts)))))

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
  ;; TEXT between tags.
  (string-concatenate
   (map (lambda (c)
          (case c ((#\<) "&lt;") ((#\>) "&gt;") ((#\&) "&amp;") ((#\") "&quot;") (else (string c))))
        (string->list text))))

(define (inert json)
  ;; JSON that ends no script: a < stands in strings only.
  (string-join (string-split json #\<) "\\u003c"))

(define (colour-hex name)
  (string-concatenate
   (map (lambda (word) (string-pad (number->string (logand word #xffffff) 16) 6 #\0))
        (vector->list (colour-words name)))))

(define (report-text title summary make-sections)
  "The text of the HTML file with the sections that MAKE-SECTIONS, a procedure, makes, under TITLE
and SUMMARY.
Example: (report-text \"Two moons\" \"500 samples\" (lambda () (list (section \"Log\" log))))"
  (parameterize ((embedded '()))
    (page title summary (make-sections))))

(define (page title summary sections)
  ;; With what was embedded.
  (let* ((json (json-text `(("colours" . ,(map (lambda (name)
                                                 (cons (symbol->string name) (colour-hex name)))
                                               (colour-map-names)))
                            ("sections" . ,(list->vector (filter identity sections))))))
         (parts `(("title" . ,(escaped title))
                  ("summary" . ,(escaped summary))
                  ("style" . ,(page-file "page.css"))
                  ("script" . ,(string-join (map page-file scripts) "\n"))
                  ("made" . ,(escaped
                              (format #f "Made by Tempera ~a with Guile ~a, ~a instructions."
                                      tempera-version (version) (instruction-set))))
                  ("report" . ,(inert json))
                  ("arrays" . ,(string-concatenate
                                (map (lambda (text number)
                                       (string-append "<script type=\"text/plain\" id=\""
                                                      (array-name number) "\">" text
                                                      "</script>\n"))
                                     (reverse (embedded)) (iota (length (embedded)) 1)))))))
    (regexp-substitute/global #f "@([a-z]+)@" (page-file "page.html")
                              'pre (lambda (m) (assoc-ref parts (match:substring m 1))) 'post)))
