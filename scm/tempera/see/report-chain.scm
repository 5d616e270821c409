;;; report-chain.scm -- what a report says of a chain.

(define-module (tempera see report-chain)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera sample diagnostics)
  #:use-module (tempera base errors)
  #:use-module (tempera data images)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera see report-page)
  #:use-module (tempera sample anneal)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera problem targets)
  #:export (chain-summary chain-sections))

;;; --- Pictures ---------------------------------------------------------------

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
                  `("zeroFilled" . ,(and zero-filled (image zero-filled)))
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
  ;; Of states whose samples are vectors: the first two numbers of each.
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

;; Charts need no more points; every move of a long chain would make a large page.
(define most-moves 2000)

(define (stride trace)
  (max 1 (ceiling (/ (length trace) most-moves))))

(define (numbered-moves trace)
  ;; (number . transition) of every move, or every second, third ... of a long TRACE.
  (let ((every-so-many (stride trace)))
    (filter (lambda (move) (zero? (modulo (1- (car move)) every-so-many)))
            (map cons (iota (length trace) 1) trace))))

(define (trace-charts trace)
  (let* ((moves (numbered-moves trace))
         (points (lambda (value)
                   (map (match-lambda ((k . t) (list k (value t)))) moves)))
         (errors (filter-map (match-lambda
                               ((k . t) (let ((e (finite-energy-errors t)))
                                          (and (pair? e) (cons k e)))))
                             moves))
         (move (axis (if (= 1 (stride trace))
                         "move"
                         (format #f "move, one in ~a" (stride trace)))))
         (line (lambda (title value y)
                 (data-chart title move y (data-series "line" (points value))))))
    (apply charts
           (line "Sigma" transition-sigma (axis #:log? #t))
           (line "Step size" transition-step-size (axis #:log? #t))
           (line "Accepted" accepted-part (axis #:low 0 #:high 1))
           (if (null? errors)
               '()
               (list (data-chart
                      "Energy error" move (axis)
                      (data-series "band" (map (match-lambda
                                                 ((k . e) (list k (apply min e) (apply max e))))
                                               errors))
                      (data-series "line" (map (match-lambda ((k . e) (list k (mean e))))
                                               errors))))))))

(define (schedule-charts chain trace)
  (let* ((past (map transition-sigma (one-a-temperature trace)))
         (ahead (map first (chain-ahead chain)))
         (numbered (lambda (sigmas from) (map list (iota (length sigmas) from) sigmas))))
    (charts
     (apply data-chart "Temperatures" (axis "number") (axis #:log? #t)
            (append (if (pair? past)
                        (list (data-series "line" (numbered past 1) "reached"))
                        '())
                    (if (pair? ahead)
                        (list (data-series "points" (numbered ahead (1+ (length past))) "ahead"))
                        '())))
     (data-chart "Step size at sigma" (axis "sigma" #:log? #t) (axis #:log? #t)
                 (data-series "points"
                              (map (match-lambda
                                     ((_ . t) (list (transition-sigma t) (transition-step-size t))))
                                   (numbered-moves trace)))))))

(define (one-a-temperature trace)
  ;; The first of the transitions at each temperature.
  (reverse (fold (lambda (t kept)
                   (if (and (pair? kept) (eqv? (transition-sigma t) (transition-sigma (car kept))))
                       kept
                       (cons t kept)))
                 '() trace)))

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
            (format #f "~a~a for the mean; ~a to ~a for samples"
                    (digits-of (measure (chain-mean chain) truth)) unit
                    (digits-of (apply min samples)) (digits-of (apply max samples))))))
  (define (varied? image)
    (let ((magnitude (image-magnitude image)))
      (< (tensor->number (tensor-min magnitude)) (tensor->number (tensor-max magnitude)))))
  (if (and truth (tensor-finite? truth) (varied? truth) (tensor-finite? (chain-samples chain)))
      (list (row "PSNR" psnr " dB") (row "SSIM" ssim ""))
      '()))

(define (digits-of x)
  (if (finite? x) (number->string (significant x 4)) "infinite"))

(define (chain-summary chain)
  "What CHAIN is, in a line.
Example: (chain-summary chain)"
  (let ((shape (tensor-shape (chain-samples chain))))
    (format #f "~a sample~a of ~a~a, ~a sigma ~a after ~a moves and ~a evaluations of the score"
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

(define (chain-sections chain truth command)
  "The sections of a report of CHAIN; TRUTH is an image or #f, COMMAND what is run to make the chain
again, or #f.
Example: (report-text \"A chain\" (chain-summary chain) (lambda () (chain-sections chain #f #f)))"
  (check-truth truth (chain-samples chain))
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
