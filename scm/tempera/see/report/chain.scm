;;; chain.scm -- the report of a chain: its samples, what it went through, its settings.

(define-module (tempera see report chain)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera sample diagnostics)
  #:use-module (tempera base errors)
  #:use-module (tempera data images)
  #:use-module (tempera data quality)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera see chain-charts)
  #:use-module (tempera see report page)
  #:use-module (tempera see report registry)
  #:use-module (tempera sample chain)
  #:use-module (tempera problem targets)
  #:export (chain-report))

;;; --- Pictures ---------------------------------------------------------------

;; In bytes, before base64 adds a third: 8 complex samples of 320 x 320 and 12 states of one of them
;; make a page of 8 MB.
(define most-sample-bytes 4000000)
(define most-state-bytes 1300000)
(define most-states 24)

(define (evenly count items)
  ;; At most COUNT of ITEMS, evenly spaced, the first and the last among them.
  (let ((n (length items)))
    (if (<= n count)
        items
        (map (lambda (k) (list-ref items (round (/ (* k (1- n)) (max 1 (1- count))))))
             (iota count)))))

(define (first-samples batch count)
  (tensor-slice batch 0 0 count))

(define (like samples image)
  ;; IMAGE as complex or real numbers, like SAMPLES.
  (cond ((eq? (tensor-dtype samples) (tensor-dtype image)) image)
        ((eq? (tensor-dtype samples) 'f32) (image-magnitude image))
        (else (tensor+ image (tensor-zeros (tensor-shape image) 'c64)))))

(define (pictures samples states truth start start-name)
  ;; Of SAMPLES, (C rows columns), and STATES, (sigma . samples), from first to last, and of the image START.
  (let* ((shape (tensor-shape samples)) (total (first shape))
         (complex? (eq? (tensor-dtype samples) 'c64))
         (pixels (apply * (cdr shape)))
         (shown (max 1 (min total (quotient most-sample-bytes (* pixels (if complex? 4 2))))))
         (states (evenly (max 2 (min most-states (quotient most-state-bytes pixels))) states))
         (traced (max 1 (min shown (quotient most-state-bytes (* pixels (length states)))))))
    (define progress (make-progress "report" (+ 5 (length states))))
    (define done 0)
    (define (image . arguments)
      (let ((data (apply image-data arguments)))
        (set! done (1+ done))
        (progress-update! progress done)
        data))
    (let ((data
           (block "pictures"
                  `("rows" . ,(second shape)) `("columns" . ,(third shape)) `("complex" . ,complex?)
                  `("total" . ,total) `("traced" . ,traced)
                  `("samples" . ,(image (first-samples samples shown) #:count shown))
                  `("mean" . ,(image (tensor-mean samples 0)))
                  `("sd" . ,(and (> total 1)
                                 (call-with-values (lambda () (magnitude-statistics samples))
                                   (lambda (mean sd) (image sd)))))
                  `("truth" . ,(and truth (image (like samples truth))))
                  `("start" . ,(and start (image start)))
                  `("startName" . ,(string-titlecase start-name 0 1))
                  `("states" . ,(list->vector
                                 (map (match-lambda
                                        ((sigma . batch)
                                         `(("sigma" . ,sigma)
                                           ("image" . ,(image (image-magnitude
                                                               (first-samples batch traced))
                                                              #:bits 8)))))
                                      states))))))
      (progress-finish! progress)
      data)))

(define most-points 4000)

(define (plane states)
  ;; For samples that are vectors: the first two components of each.
  (block "plane"
         `("states" .
           ,(list->vector
             (map (match-lambda
                    ((sigma . batch)
                     (let* ((shape (tensor-shape batch))
                            (points (first-samples batch (min most-points (first shape))))
                            (part (lambda (k) (image-data (image-magnitude
                                                      (tensor-slice points 1 k (1+ k)))))))
                       `(("sigma" . ,sigma)
                         ("parts" . ,(list->vector (map part (iota (min 2 (second shape))))))))))
                  (evenly most-states states))))))

(define (chain-pictures chain truth)
  (let* ((samples (chain-samples chain)) (shape (tensor-shape samples)))
    (match (length (cdr shape))
      (1 (plane (chain-states chain)))
      (2 (let ((target (chain-target chain)))
           (pictures samples (chain-states chain) truth (target-start target) (target-start-name target))))
      (_ (text-block (format #f "The samples have the shape ~a, which is neither a picture's nor a ~
point's." (cdr shape)))))))

;;; --- Words and numbers ------------------------------------------------------

(define (diagnosis-blocks chain)
  (let* ((diagnosis (diagnose chain)) (warnings (diagnosis-warnings diagnosis)))
    (list (block "notes" `("good" . ,(null? warnings))
                 `("items" . ,(list->vector
                               (if (null? warnings)
                                   '("The trace gives no reason to doubt this chain.")
                                   warnings))))
          (data-table "Proposals by temperature, from hot to cold"
                      '("sigma from" "to" "proposals" "accepted" "energy error" "its sd"
                        "not finite")
                      (map (lambda (band)
                             (map (lambda (value) (value band))
                                  (list band-from band-to band-proposals band-acceptance
                                        band-energy-error-mean band-energy-error-sd
                                        band-diverged)))
                           (diagnosis-bands diagnosis))))))

(define (setting-text value)
  ;; VALUE as a setting prints, without addresses, which differ between processes.
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
                 rows                   ; `fork' puts new settings before those they replace
                 (cons (list (symbol->string (keyword->symbol key)) (setting-text value)) rows))))
      (_ (reverse rows)))))

(define (quality-rows chain truth)
  (define (text x) (if (finite? x) (value-text x) "infinite"))
  (define (row name measure unit)
    (list name
          (let ((samples (measure (chain-samples chain) truth)))
            (format #f "~a~a for the mean; ~a to ~a for samples"
                    (text (measure (chain-mean chain) truth)) unit
                    (text (apply min samples)) (text (apply max samples))))))
  (define (varied? image)
    (let ((magnitude (image-magnitude image)))
      (< (tensor->number (tensor-min magnitude)) (tensor->number (tensor-max magnitude)))))
  (if (and truth (tensor-finite? truth) (varied? truth) (tensor-finite? (chain-samples chain)))
      (list (row "PSNR" psnr " dB") (row "SSIM" ssim ""))
      '()))

(define (chain-summary chain)
  (let ((shape (tensor-shape (chain-samples chain))))
    (format #f "~a sample~a of ~a~a, ~a sigma ~a after ~a transitions and ~a evaluations of the score"
            (first shape) (if (= 1 (first shape)) "" "s")
            (string-join (map number->string (cdr shape)) " x ")
            (if (eq? (tensor-dtype (chain-samples chain)) 'c64) ", complex" "")
            (if (chain-finished? chain) "finished at" "at")
            (significant (chain-sigma chain) 3)
            (length (chain-trace chain)) (chain-evaluations chain))))

(define (check-truth truth samples)
  (check-that (or (not truth)
                  (and (tensor? truth) (equal? (tensor-shape truth) (cdr (tensor-shape samples)))
                       (= 2 (length (tensor-shape truth)))))
              'write-report "truth: expected an image of shape ~a, got ~s"
              (cdr (tensor-shape samples)) truth))

(define* (chain-report chain #:key (truth #f) (command #f))
  "The report of CHAIN; TRUTH is an image or #f, COMMAND what is run to make the chain again, or
#f.
Example: (report-text (chain-report chain #:truth scan))"
  (check-truth truth (chain-samples chain))
  (check-that (or (not command) (string? command)) 'write-report
              "command: expected a string or #f, got ~s" command)
  (let ((begun? (pair? (chain-trace chain))))
    (report (format #f "~a" (target-name (chain-target chain)))
            (chain-summary chain)
            (section "Pictures" (chain-pictures chain truth))
            (section "Numbers"
                     (facts `(("Target" ,(target-name (chain-target chain)))
                              ("Accepted" ,(and begun? (chain-acceptance chain)))
                              ,@(quality-rows chain truth))))
            (and begun? (section "Trace" (chart-block (trace-charts chain))))
            (section "Schedules" (chart-block (schedule-charts chain)))
            (and begun? (apply section "Diagnosis" (diagnosis-blocks chain)))
            (section "Configuration"
                     (let ((rows (chain-setting-rows chain)))
                       (if (pair? rows)
                           (facts rows)
                           (text-block "Every setting is the default of anneal."))))
            (section "How to run it again"
                     (if command
                         (command-block command)
                         (text-block "The target is the script's; anneal it with the settings above.  \
The same seed gives the same bits."))))))

(add-report! chain? chain-report)
