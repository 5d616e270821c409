;;; report.scm -- a chain, a run or a sweep as one HTML file that needs nothing else.
;;;
;;; Here is what a report says: titled sections of blocks (pictures, charts, tables, words),
;;; as data.  How it looks and moves is the page's, in the folder report/ beside this file,
;;; which builds the sections in the browser.  Images go into the page as whole numbers of 8
;;; or 16 bits between two limits, in base64, so that they can be windowed there.

(define-module (tempera report)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module ((tempera cli) #:select (tempera-version))
  #:use-module (tempera colours)
  #:use-module (tempera diagnostics)
  #:use-module (tempera errors)
  #:use-module (tempera files)
  #:use-module (tempera images)
  #:use-module (tempera numbers)
  #:use-module (tempera primitives)
  #:use-module (tempera sampling)
  #:use-module (tempera targets)
  #:use-module (tempera tensors)
  #:export (write-report))

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

(define digits
  (string->utf8 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))

(define (base64 bytes)
  ;; Text of four digits for every three of BYTES; a last group that lacks bytes has = signs.
  (let* ((n (bytevector-length bytes))
         (text (make-bytevector (* 4 (quotient (+ n 2) 3)) (char->integer #\=))))
    (let loop ((from 0) (to 0))
      (when (< from n)
        (let* ((byte (lambda (k) (if (< (+ from k) n) (bytevector-u8-ref bytes (+ from k)) 0)))
               (word (logior (ash (byte 0) 16) (ash (byte 1) 8) (byte 2)))
               (put! (lambda (k)
                       (bytevector-u8-set! text (+ to k)
                                           (bytevector-u8-ref
                                            digits (logand 63 (ash word (* -6 (- 3 k)))))))))
          (put! 0)
          (put! 1)
          (when (< (+ from 1) n) (put! 2))
          (when (< (+ from 2) n) (put! 3))
          (loop (+ from 3) (+ to 4)))))
    (utf8->string text)))

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

(define* (image tensor #:key (bits 16) (count 1))
  ;; TENSOR, or a batch of COUNT, for the page.
  (let ((numbers (tensor->list (if (eq? (tensor-dtype tensor) 'c64) (real-view tensor) tensor))))
    (call-with-values (lambda () (finite-range numbers))
      (lambda (low high)
        `(("data" . ,(embed! (quantised numbers bits low high)))
          ("bits" . ,bits) ("low" . ,low) ("high" . ,high) ("count" . ,count))))))

;;; --- Blocks -----------------------------------------------------------------

(define (section title . blocks)
  ;; Or #f when there is no block that is not #f.
  (let ((blocks (filter identity blocks)))
    (and (pair? blocks)
         `(("title" . ,title) ("blocks" . ,(list->vector blocks))))))

(define (block type . fields)
  `(("type" . ,type) ,@fields))

(define (rows->json rows)
  (list->vector (map list->vector rows)))

(define (facts rows)
  ;; ROWS, lists of a name and a value, which is #f where there is nothing to say.
  (let ((rows (filter second rows)))
    (and (pair? rows)
         (block "facts" `("rows" . ,(rows->json
                                     (map (lambda (row) (list (first row) (words (second row))))
                                          rows)))))))

(define (words value)
  (cond ((string? value) value)
        ((and (real? value) (inexact? value)) (number->string (significant value 4)))
        (else (format #f "~a" value))))

(define (data-table caption columns rows)
  (block "table" `("caption" . ,caption) `("columns" . ,(list->vector columns))
         `("rows" . ,(rows->json rows))))

(define* (axis #:optional (label #f) #:key (log? #f))
  `(,@(if label `(("label" . ,label)) '()) ("log" . ,log?)))

(define* (series style points #:optional (name ""))
  `(("name" . ,name) ("style" . ,style) ("points" . ,(rows->json points))))

(define (chart title x y . data)
  `(("title" . ,title) ("x" . ,x) ("y" . ,y) ("series" . ,(list->vector data))))

(define (charts . charts)
  (block "charts" `("charts" . ,(list->vector charts))))

;;; --- Pictures of a chain ----------------------------------------------------

;; Bytes of the samples, and of the states on their way, before base64 makes them a third more:
;; 8 complex samples of 320 x 320 with 12 states of one of them make a page of 8 MB.
(define most-sample-bytes 4000000)
(define most-state-bytes 1300000)
(define most-states 24)

(define (evenly count items)
  ;; COUNT of ITEMS, the first and the last among them, or all.
  (let ((n (length items)))
    (if (<= n count)
        items
        (map (lambda (k) (list-ref items (round (/ (* k (1- n)) (max 1 (1- count))))))
             (iota count)))))

(define (first-samples batch count)
  (tensor-slice batch 0 0 count))

(define (like samples image)
  ;; IMAGE, complex or not as SAMPLES are.
  (cond ((eq? (tensor-dtype samples) (tensor-dtype image)) image)
        ((eq? (tensor-dtype samples) 'f32) (image-magnitude image))
        (else (tensor+ image (tensor-zeros (tensor-shape image) 'c64)))))

(define (pictures samples states truth zero-filled)
  ;; Of SAMPLES, (C rows columns), and STATES, (sigma . samples), from first to last.
  (let* ((shape (tensor-shape samples)) (total (first shape))
         (complex? (eq? (tensor-dtype samples) 'c64))
         (pixels (apply * (cdr shape)))
         (shown (max 1 (min total (quotient most-sample-bytes (* pixels (if complex? 4 2))))))
         (states (evenly (max 2 (min most-states (quotient most-state-bytes pixels))) states))
         (traced (max 1 (min shown (quotient most-state-bytes (* pixels (length states)))))))
    (block "pictures"
           `("rows" . ,(second shape)) `("columns" . ,(third shape)) `("complex" . ,complex?)
           `("total" . ,total) `("traced" . ,traced)
           `("samples" . ,(image (first-samples samples shown) #:count shown))
           `("mean" . ,(image (tensor-mean samples 0)))
           `("sd" . ,(and (> total 1)
                          (call-with-values (lambda () (magnitude-statistics samples))
                            (lambda (mean sd) (image sd)))))
           `("truth" . ,(and truth (image (like samples truth))))
           `("zeroFilled" . ,(and zero-filled (image zero-filled)))
           `("states" . ,(list->vector
                          (map (match-lambda
                                 ((sigma . batch)
                                  `(("sigma" . ,sigma)
                                    ("image" . ,(image (image-magnitude (first-samples batch traced))
                                                       #:bits 8)))))
                               states))))))

(define most-points 4000)

(define (plane states)
  ;; Of states whose samples are vectors: the first two numbers of each.
  (block "plane"
         `("states" .
           ,(list->vector
             (map (match-lambda
                    ((sigma . batch)
                     (let* ((shape (tensor-shape batch))
                            (points (first-samples batch (min most-points (first shape))))
                            (part (lambda (k) (image (image-magnitude
                                                      (tensor-slice points 1 k (1+ k)))))))
                       `(("sigma" . ,sigma)
                         ("parts" . ,(list->vector (map part (iota (min 2 (second shape))))))))))
                  (evenly most-states states))))))

(define (chain-pictures chain truth)
  (let* ((samples (chain-samples chain)) (shape (tensor-shape samples)))
    (match (length (cdr shape))
      (1 (plane (chain-states chain)))
      (2 (let ((measured (target-start (chain-target chain))))
           (pictures samples (chain-states chain) truth measured)))
      (_ (block "text" `("text" . ,(format #f "The samples have the shape ~a, which is neither a ~
picture's nor a point's." (cdr shape))))))))

;;; --- What a chain went through ----------------------------------------------

(define (accepted-part transition)
  (let ((accepted (transition-accepted transition)))
    (/ (count identity (vector->list accepted)) (exact->inexact (vector-length accepted)))))

(define (finite-energy-errors transition)
  (let ((errors (transition-energy-error transition)))
    (if errors (filter finite? (vector->list errors)) '())))

(define (trace-charts trace)
  (let* ((numbered (lambda (value) (map (lambda (t k) (list k (value t))) trace
                                        (iota (length trace) 1))))
         (errors (filter-map (lambda (t k) (let ((e (finite-energy-errors t)))
                                             (and (pair? e) (cons k e))))
                             trace (iota (length trace) 1)))
         (move (axis "move")))
    (apply charts
           (chart "Sigma" move (axis #:log? #t) (series "line" (numbered transition-sigma)))
           (chart "Step size" move (axis #:log? #t) (series "line" (numbered transition-step-size)))
           (chart "Accepted" move '(("low" . 0) ("high" . 1)) (series "line" (numbered accepted-part)))
           (if (null? errors)
               '()
               (list (chart "Energy error" move (axis)
                            (series "band" (map (match-lambda
                                                  ((k . e) (list k (apply min e) (apply max e))))
                                                errors))
                            (series "line" (map (match-lambda ((k . e) (list k (mean e))))
                                                errors))))))))

(define (schedule-charts chain trace)
  (let* ((past (map transition-sigma (delete-duplicates trace same-temperature?)))
         (ahead (map first (chain-ahead chain)))
         (numbered (lambda (sigmas from) (map list (iota (length sigmas) from) sigmas)))
         (sigma (axis "sigma" #:log? #t)))
    (charts
     (apply chart "Temperatures" (axis "number") (axis #:log? #t)
            (append (if (pair? past) (list (series "line" (numbered past 1) "reached")) '())
                    (if (pair? ahead)
                        (list (series "points" (numbered ahead (1+ (length past))) "ahead"))
                        '())))
     (chart "Step size at sigma" sigma (axis #:log? #t)
            (series "points" (map (lambda (t) (list (transition-sigma t) (transition-step-size t)))
                                  trace))))))

(define (same-temperature? a b)
  (eqv? (transition-sigma a) (transition-sigma b)))

(define (diagnosis-blocks chain)
  (let* ((diagnosis (diagnose chain)) (warnings (diagnosis-warnings diagnosis)))
    (list (block "notes" `("good" . ,(null? warnings))
                 `("items" . ,(list->vector
                               (if (null? warnings)
                                   '("The trace gives no reason to doubt this chain.")
                                   warnings))))
          (data-table "Proposals by temperature, from hot to cold"
                      '("sigma from" "to" "proposals" "accepted" "energy error" "its sd" "not finite")
                      (map (lambda (band)
                             (map (lambda (value) (or (value band) 'null))
                                  (list band-from band-to band-proposals band-acceptance
                                        band-energy-error-mean band-energy-error-sd
                                        band-diverged)))
                           (diagnosis-bands diagnosis))))))

(define (setting-text value)
  ;; VALUE as a setting prints, without what is another in every process.
  (cond ((procedure? value)
         (if (procedure-name value) (symbol->string (procedure-name value)) "a procedure"))
        ((pair? value) (string-append "(" (string-join (map setting-text value)) ")"))
        (else (object->string value))))

(define (chain-setting-rows chain)
  (let loop ((settings (chain-settings chain)) (rows '()))
    (match settings
      (((? keyword? key) value . rest)
       (loop rest
             (if (assoc (symbol->string (keyword->symbol key)) rows)
                 rows                   ; what `fork' was given comes before what it changes
                 (cons (list (symbol->string (keyword->symbol key)) (setting-text value)) rows))))
      (_ (reverse rows)))))

(define (quality-rows chain truth)
  (define (row name measure unit)
    (list name
          (let ((samples (measure (chain-samples chain) truth)))
            (format #f "~a~a for the mean; ~a to ~a for samples" (digits-of (measure (chain-mean chain) truth))
                    unit (digits-of (apply min samples)) (digits-of (apply max samples))))))
  (define (varied? image)
    (let ((magnitude (image-magnitude image)))
      (< (tensor->number (tensor-min magnitude)) (tensor->number (tensor-max magnitude)))))
  (if (and truth (tensor-finite? truth) (varied? truth) (tensor-finite? (chain-samples chain)))
      (list (row "PSNR" psnr " dB") (row "SSIM" ssim ""))
      '()))

(define (digits-of x)
  (if (finite? x) (number->string (significant x 4)) "infinite"))

(define (chain-summary chain)
  (let ((shape (tensor-shape (chain-samples chain))))
    (format #f "~a sample~a of ~a~a, ~a sigma ~a after ~a moves and ~a evaluations of the score"
            (first shape) (if (= 1 (first shape)) "" "s")
            (string-join (map number->string (cdr shape)) " x ")
            (if (eq? (tensor-dtype (chain-samples chain)) 'c64) ", complex" "")
            (if (chain-finished? chain) "finished at" "at")
            (significant (chain-sigma chain) 3)
            (length (chain-trace chain)) (chain-evaluations chain))))

(define (chain-sections chain truth command)
  (let ((trace (chain-trace chain)))
    (list (section "Pictures" (chain-pictures chain truth))
          (apply section "Numbers"
                 (list (facts `(("Target" ,(target-name (chain-target chain)))
                                ("Accepted" ,(and (pair? trace) (chain-acceptance chain)))
                                ,@(quality-rows chain truth)))))
          (and (pair? trace) (section "Trace" (trace-charts trace)))
          (section "Schedules" (schedule-charts chain trace))
          (and (pair? trace) (apply section "Diagnosis" (diagnosis-blocks chain)))
          (section "Configuration"
                   (let ((rows (chain-setting-rows chain)))
                     (if (pair? rows)
                         (facts rows)
                         (block "text" '("text" . "Every setting is the default of anneal.")))))
          (section "How to run it again"
                   (if command
                       (block "command" `("text" . ,command))
                       (block "text" '("text" . "The target is the script's; anneal it with the \
settings above. The same seed gives the same bits.")))))))

;;; --- The page ---------------------------------------------------------------

(define scripts
  ;; In their order.
  '("elements.js" "images.js" "chart.js" "table.js" "pictures.js" "page.js"))

(define (page-file name)
  (let ((path (search-path %load-path (string-append "tempera/report/" name))))
    (check-that path 'write-report "the file tempera/report/~a of Tempera itself is missing: \
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

(define (page title summary sections)
  ;; The text of the report, with what was embedded.
  (let* ((json (json-text `(("colours" . ,(map (lambda (name)
                                                 (cons (symbol->string name) (colour-hex name)))
                                               (colour-map-names)))
                            ("sections" . ,(list->vector (filter identity sections))))))
         (parts `(("title" . ,(escaped title))
                  ("summary" . ,(escaped summary))
                  ("style" . ,(page-file "page.css"))
                  ("script" . ,(string-join (map page-file scripts) "\n"))
                  ("made" . ,(escaped (format #f "Made by Tempera ~a with Guile ~a, ~a instructions."
                                              tempera-version (version) (instruction-set))))
                  ("report" . ,(inert json))
                  ("arrays" . ,(string-concatenate
                                (map (lambda (text number)
                                       (format #f "<script type=\"text/plain\" id=\"~a\">~a</script>~%"
                                               (array-name number) text))
                                     (reverse (embedded)) (iota (length (embedded)) 1)))))))
    (regexp-substitute/global #f "@([a-z]+)@" (page-file "page.html")
                              'pre (lambda (m) (assoc-ref parts (match:substring m 1))) 'post)))

(define (report-path path)
  ;; PATH itself if it names a page, else report.html in that folder.
  (if (string-suffix? ".html" path)
      path
      (begin (make-directories path)
             (string-append path "/report.html"))))

(define (check-truth truth samples)
  (check-that (or (not truth)
                  (and (tensor? truth) (equal? (tensor-shape truth) (cdr (tensor-shape samples)))
                       (= 2 (length (tensor-shape truth)))))
              'write-report "truth: expected an image of shape ~a, got ~s"
              (cdr (tensor-shape samples)) truth))

(define* (write-report object path #:key (title #f) (truth #f) (command #f))
  "Write a report of OBJECT, a chain, to the HTML file PATH, or to report.html in the folder PATH
when that does not end in .html; returns the file's name.  The one file needs no network and no
other: pictures with sliders through samples and temperatures, the mean and the standard
deviation with the histogram of the pixel under the pointer, traces, schedules, the diagnosis,
the settings.  TITLE stands over it; TRUTH, an image, adds error and PSNR; COMMAND is the shell
command that makes OBJECT again.
Example: (write-report chain \"chain.html\" #:truth scan)"
  (check-that (chain? object) 'write-report "object: expected a chain, a run or a sweep, got ~s"
              object)
  (check-that (and (string? path) (not (string-null? path))) 'write-report
              "path: expected a string, got ~s" path)
  (for-each (lambda (name text)
              (check-that (or (not text) (string? text)) 'write-report
                          "~a: expected a string or #f, got ~s" name text))
            '("title" "command") (list title command))
  (check-truth truth (chain-samples object))
  (let ((file (report-path path)))
    (parameterize ((embedded '()))
      (save-text file (page (or title (format #f "~a" (target-name (chain-target object))))
                            (chain-summary object)
                            (chain-sections object truth command))))
    file))
