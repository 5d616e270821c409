;;; compare-methods.scm -- every method on slices of a person nobody was trained on: the table.
;;;
;;; Each point is one slice under one condition (acceleration, noise, kind of mask) by one method;
;;; the sweep can be stopped and goes on where it was.  Leaves
;;;
;;;   table.csv     a row for each: method, acceleration, noise, mask, slice, psnr, ssim, seconds
;;;   spread.csv    of each posterior: does its standard deviation know where the mean errs, and
;;;                 how much of the head lies inside its 90 % intervals; the same at best, when
;;;                 one of the samples is the truth; and with intervals made as much wider as the
;;;                 other slices need
;;;   spread-summary.csv  its means over slices
;;;   summary.csv   mean and standard deviation over slices, of the gain over zero-filled too
;;;   methods.png   the gains
;;;
;;; All slices at noise 0.1 with random masks; every fourth under other noise and with an
;;; equispaced mask, which UPDNet was not trained for, as it was not for R = 8.  Weights of total
;;; variation and wavelets are those of weights.csv (choose-weights.scm).
;;;
;;;   tempera run --out=out/paper experiments/compare-methods.scm
;;;   tempera run experiments/compare-methods.scm heads=FOLDER prior=heads conditions=1
;;;
;;; The second takes two axial slices of each volume that `tempera data' prepared in FOLDER, of persons
;;; that the prior was not trained on, in place of pd-head's twenty.

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/compare-methods.scm")))

(define (axial-scans heads)
  "The scans in the folder HEADS, by name."
  (sort (dataset-scans (load-dataset #:folder heads))
        (lambda (a b) (string<? (scan-name a) (scan-name b)))))

(define (slice-image heads number)
  "Slice NUMBER, from 1: of pd-head if HEADS is \"\", else of the volumes in that folder, two of each."
  (if (string-null? heads)
      (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here number))
      (let* ((scans (axial-scans heads))
             (scan (list-ref scans (quotient (1- number) 2)))
             (place (list-ref '(0.4 0.55) (modulo (1- number) 2)))) ; the ventricles, and below
        (scan-slice scan (inexact->exact (round (* place (first (scan-shape scan)))))))))

(define (argument-of-least key items)
  (fold (lambda (item best) (if (< (key item) (key best)) item best)) (first items) (cdr items)))

(define (chosen-weight method acceleration noise)
  "The weight that weights.csv has for METHOD at what is nearest to ACCELERATION and NOISE."
  (let ((distance (lambda (a n)
                    (+ (abs (log (/ a acceleration))) (abs (log (/ n noise)))))))
    (second
     (argument-of-least
      first
      (map (lambda (row) (list (distance (second row) (third row)) (fourth row)))
           (table-rows (table-filter (load-table (string-append here "/weights.csv"))
                                     (lambda (m) (equal? m method)) 'method)))))))

;;; --- One point ------------------------------------------------------------------------

(define (one-image reconstruct scan)
  "What there is to say of the image that RECONSTRUCT makes, when SCAN is the truth."
  (let-values (((image seconds) (timed reconstruct)))
    `((psnr . ,(psnr image scan)) (ssim . ,(ssim image scan)) (time . ,seconds))))

;; Squares of 8 x 8 pixels.
(define (square-means t) (half-size (half-size (half-size t))))

(define (bright-squares scan)
  "1 for each square of SCAN that is inside the head, or near: 10 bright on average."
  (tensor< 10 (square-means (tensor-abs scan))))

(define (pixels-of squares)
  "The image in which each pixel has the value of its square of SQUARES."
  (let ((shape (tensor-shape squares)))
    (tensor-reshape
     (tensor-copy
      (tensor-broadcast (tensor-reshape squares (list (first shape) 1 (second shape) 1))
                        (list (first shape) 8 (second shape) 8)))
     (map (lambda (n) (* 8 n)) shape))))

(define (mean-where inside t)
  "The mean of T where INSIDE is 1."
  (/ (tensor->number (tensor-sum (tensor* inside t))) (tensor->number (tensor-sum inside))))

(define (correlation a b inside)
  "Of A and B where INSIDE is 1."
  (let* ((average (lambda (t) (mean-where inside t)))
         (centred (lambda (t) (tensor- t (average t))))
         (a (centred a)) (b (centred b)))
    (/ (average (tensor* a b))
       (sqrt (* (average (tensor-square a)) (average (tensor-square b)))))))

(define (t-quantile n)
  "The 95 % point of Student's t with N - 1 degrees of freedom (tables; Cornish and Fisher's series
beyond)."
  (let* ((nu (1- n)) (z 1.6449))
    (case nu
      ((1) 6.3138) ((2) 2.9200) ((3) 2.3534) ((4) 2.1318)
      (else (+ z (/ (+ (expt z 3) z) (* 4 nu))
               (/ (+ (* 5 (expt z 5)) (* 16 (expt z 3)) (* 3 z)) (* 96 nu nu))
               (/ (+ (* 3 (expt z 7)) (* 19 (expt z 5)) (* 17 (expt z 3)) (* -15 z))
                  (* 384 nu nu nu)))))))

;; Of intervals, over the width they should have.
(define widths (map (lambda (k) (+ 1 (* 0.05 k))) (iota 41)))

(define (what-spread-knows truth samples)
  "How the standard deviation of SAMPLES goes with the error of their mean against TRUTH, inside the
head: their correlation by pixels and by squares, and the share of pixels inside 90 % intervals made
wider by each of WIDTHS.  The interval is the one for one more draw, if pixels were normal."
  (let*-values (((n) (tensor-size samples 0))
                ((mean-image std) (magnitude-statistics samples))
                ((error) (tensor-abs (tensor- (tensor-abs truth) mean-image)))
                ((squares) (bright-squares truth))
                ((inside) (pixels-of squares))
                ((rms) (lambda (t) (tensor-sqrt (square-means (tensor-square t)))))
                ((half-width) (tensor* (* (t-quantile n) (sqrt (+ 1 (/ 1. n)))) std)))
    `((correlation . ,(correlation error std inside))
      (squares-correlation . ,(correlation (rms error) (rms std) squares))
      (coverages . ,(map (lambda (width)
                           (mean-where inside
                                       (tensor- 1 (tensor< (tensor* width half-width) error))))
                         widths)))))

(define (what-spread-could-know samples)
  "`what-spread-knows' at best: of each of SAMPLES as the truth, with the others."
  (let* ((n (tensor-size samples 0))
         (sample (lambda (k) (tensor-slice samples 0 k (1+ k))))
         (each (map (lambda (k)
                      (what-spread-knows (tensor-reshape (sample k) (cdr (tensor-shape samples)))
                                         (tensor-concatenate (map sample (delete k (iota n))) 0)))
                    (iota n)))
         (average (lambda (key) (mean (map (lambda (found) (assq-ref found key)) each)))))
    `((correlation-at-best . ,(average 'correlation))
      (squares-correlation-at-best . ,(average 'squares-correlation))
      (coverage-at-best . ,(mean (map (lambda (found) (first (assq-ref found 'coverages)))
                                      each))))))

;; What the slices look like is decided above sigma = 1; below, only noise is taken away.
(define (cooling ratio until)
  (if (< until 0.8)
      (schedule-append (geometric 30 #:ratio ratio #:until 1)
                       (geometric 0.8 #:ratio 0.75 #:until until))
      (geometric 30 #:ratio ratio #:until until)))

(define (posterior-measures prior op y noise scan chains seed ratio)
  "What there is to say of CHAINS samples: of their mean, of single ones, of their spread."
  (let*-values (((chain seconds)
                 (timed (lambda ()
                          (anneal (posterior prior op y #:noise noise) #:chains chains #:seed seed
                                  #:temperatures (cooling ratio (max 0.046 (* 0.1 noise)))))))
                ((samples) (chain-samples chain))
                ((mean-image std) (magnitude-statistics samples)))
    `((psnr . ,(psnr mean-image scan)) (ssim . ,(ssim mean-image scan)) (time . ,seconds)
      (sample-psnr . ,(mean (psnr samples scan))) (sample-ssim . ,(mean (ssim samples scan)))
      ,@(what-spread-knows scan samples)
      ,@(if (> chains 2) (what-spread-could-know samples) '())
      (evaluations . ,(chain-evaluations chain)))))

(define-experiment reconstruct-slice
  ((method 'zero-filled symbol? "which")
   (heads "" string? "a folder of prepared volumes, in place of pd-head")
   (slice 13 positive? "of pd-head, 1 to 20, or of heads")
   (acceleration 4 (lambda (r) (>= r 1)) "of the mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (half #f boolean? "of half the rows and columns: four times as fast")
   (mask 'random (lambda (m) (memq m '(random equispaced))) "its kind")
   (chains 8 (lambda (n) (> n 1)) "samples of a posterior")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before, above 1")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (prior "brain" string? "the score network in it")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of the prior's products")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask, noise and chains"))
  "One slice under one condition by one method."
  (let* ((scan (simulated-scan ((if half half-size identity) (slice-image heads slice))
                               #:seed (+ seed slice)))
         (op (mri-operator #:mask ((if (eq? mask 'random) random-mask equispaced-mask)
                                   (second (tensor-shape scan)) #:acceleration acceleration
                                   #:seed (+ seed slice))))
         (y (measure op scan #:noise noise #:seed (+ seed slice)))
         (file (lambda (name) (string-append priors "/" name ".safetensors")))
         (network (lambda () (load-network (file prior) #:precision precision)))
         (image (lambda (thunk) (one-image thunk scan))))
    (case method
      ((zero-filled) (image (lambda () (apply-adjoint op y))))
      ((total-variation)
       (let ((weight (chosen-weight "total variation" acceleration noise)))
         (image (lambda () (total-variation op y #:weight weight)))))
      ((wavelets)
       (let ((weight (chosen-weight "wavelets" acceleration noise)))
         (image (lambda () (wavelet-reconstruction op y #:weight weight)))))
      ((updnet)
       (let ((network (load-network (file "updnet"))))
         (image (lambda () (updnet-reconstruction network op y)))))
      ((pnp-admm)
       (let ((network (network)))
         (image (lambda () (pnp-admm network op y #:noise noise)))))
      ((red)
       (let ((network (network)))
         (image (lambda () (red network op y #:noise noise)))))
      ((posterior)
       (posterior-measures (network) op y noise scan chains (+ seed slice) ratio))
      (else (complain 'reconstruct-slice "method: no such one: ~a" method)))))

;;; --- The table ------------------------------------------------------------------------

(define methods
  '(zero-filled total-variation wavelets pnp-admm red updnet posterior))

(define all-conditions
  ;; Acceleration, noise, mask, and of every how many slices.
  '((4 0.1 random 1) (4 5 random 4) (4 20 random 4) (4 0.1 equispaced 4) (8 0.1 random 1)))

(define (points slices conditions)
  (append-map
   (lambda (condition)
     (let-values (((acceleration noise mask every) (apply values condition)))
       (append-map
        (lambda (slice k)
          (if (zero? (modulo k every))
              (map (lambda (method)
                     `((method . ,method) (slice . ,slice) (acceleration . ,acceleration)
                       (noise . ,noise) (mask . ,mask)))
                   methods)
              '()))
        slices (iota (length slices)))))
   conditions))

;; In the table.
(define method-names
  '((zero-filled . "zero-filled") (total-variation . "total variation") (wavelets . "wavelets")
    (pnp-admm . "PnP-ADMM") (red . "RED") (updnet . "UPDNet") (posterior . "sample mean")))

;; In the chart.
(define short-names
  '(("zero-filled" . "zero") ("total variation" . "TV") ("PnP-ADMM" . "PnP")
    ("single sample" . "sample") ("sample mean" . "mean")))

(define (table-of results)
  "A row for each image of RESULTS, the sweep's; single samples have one beside their mean's."
  (let ((row-of (lambda (row name psnr ssim)
                  (let ((field (lambda (key) (assq-ref row key))))
                    `((method . ,name) (acceleration . ,(field 'acceleration))
                      (noise . ,(field 'noise)) (mask . ,(field 'mask)) (slice . ,(field 'slice))
                      (psnr . ,(field psnr)) (ssim . ,(field ssim))
                      (seconds . ,(field 'time)))))))
    (rows->table
     (append-map
      (lambda (values)
        (let ((row (map cons (table-columns results) values)))
          (cond ((not (assq-ref row 'psnr)) '()) ; not done
                ((eq? (assq-ref row 'method) 'posterior)
                 (list (row-of row "single sample" 'sample-psnr 'sample-ssim)
                       (row-of row "sample mean" 'psnr 'ssim)))
                (else (list (row-of row (assq-ref method-names (assq-ref row 'method))
                                    'psnr 'ssim))))))
      (table-rows results)))))

(define (widening-for rows)
  "The least of WIDTHS with which 90 % intervals hold 90 % of the truth on average over ROWS."
  (let ((coverages (apply map (lambda shares (mean shares))
                          (map (lambda (row) (assq-ref row 'coverages)) rows))))
    (or (any (lambda (width share) (and (>= share 0.9) width)) widths coverages)
        (last widths))))

(define (spread-of results)
  "A row for each posterior of RESULTS, the sweep's: what its standard deviation knows of the error."
  (let* ((rows (filter (lambda (row) (list? (assq-ref row 'coverages)))
                       (map (lambda (values) (map cons (table-columns results) values))
                            (table-rows results))))
         (condition '(acceleration noise mask))
         (fields (lambda (row names) (map (lambda (name) (assq name row)) names))))
    (rows->table
     (map (lambda (row)
            (let* ((others (filter (lambda (other)
                                     (and (not (eq? other row))
                                          (equal? (fields other condition) (fields row condition))))
                                   rows))
                   (width (and (pair? others) (widening-for others)))
                   (coverages (assq-ref row 'coverages)))
              `(,@(fields row '(acceleration noise mask slice correlation squares-correlation))
                (coverage . ,(first coverages))
                ,@(filter pair? (fields row '(correlation-at-best squares-correlation-at-best
                                                                  coverage-at-best)))
                (widening . ,width)
                (widened-coverage . ,(and width (assv-ref (map cons widths coverages) width))))))
          rows))))

(define (spread-summary spread)
  (apply table-group spread '(acceleration noise mask)
         (map (lambda (column) (list column 'mean 'std))
              (lset-difference eq? (table-columns spread) '(acceleration noise mask slice)))))

(define (with-gains all)
  "ALL with a column for PSNR above the zero-filled image of the same slice and condition."
  (let* ((key (lambda (acceleration noise mask slice) (list acceleration noise mask slice)))
         (zero (map (lambda (row) (cons (apply key (list-head (cdr row) 4)) (list-ref row 5)))
                    (table-rows (table-filter all (lambda (m) (equal? m "zero-filled")) 'method)))))
    (table-with all 'gain
                (lambda (psnr acceleration noise mask slice)
                  (- psnr (assoc-ref zero (key acceleration noise mask slice))))
                'psnr 'acceleration 'noise 'mask 'slice)))

(define (condition-chart summary condition)
  "The gains in SUMMARY under CONDITION, a point with its spread for each method."
  (let-values (((acceleration noise mask every) (apply values condition)))
    (let ((here (table-filter summary (lambda (a n m) (and (= a acceleration) (= n noise)
                                                           (equal? m mask)))
                              'acceleration 'noise 'mask)))
      (chart (format #f "R = ~a, noise ~a, ~a mask" acceleration noise mask)
             (list (series 'errors
                           (map (lambda (k mean deviation) (list k mean (or deviation 0)))
                                (iota (table-size here))
                                (table-column here 'gain-mean) (table-column here 'gain-std))))
             #:y-label "dB above zero-filled" #:x-range (list -0.5 (- (table-size here) 0.5))
             #:x-names (map (lambda (name) (or (assoc-ref short-names name) name))
                            (table-column here 'method))))))

(define-experiment compare-methods
  ((heads "" string? "a folder of prepared volumes, in place of pd-head")
   (slices '() list? "which of pd-head, 1 to 20, or of heads; () is all")
   (conditions 5 (lambda (n) (<= 1 n 5)) "how many: R = 4 with noise 0.1, 5, 20, equispaced; R = 8")
   (half #f boolean? "of half the rows and columns: four times as fast")
   (chains 8 (lambda (n) (> n 1)) "samples of each posterior")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before, above 1")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (prior "brain" string? "the score network in it")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of the prior's products")
   (seed 42 (lambda (n) (>= n 0)) "of phases, masks, noise and chains")
   (workers 1 positive? "points at a time"))
  "All methods on slices of a person nobody was trained on."
  (let* ((conditions (list-head all-conditions conditions))
         (results (sweep-results
                   (sweep reconstruct-slice
                          (points (cond ((pair? slices) slices)
                                        ((string-null? heads) (iota 20 1))
                                        (else (iota (* 2 (length (axial-scans heads))) 1)))
                                  conditions)
                          #:settings `((heads . ,heads) (prior . ,prior) (half . ,half) (chains . ,chains) (ratio . ,ratio) (priors . ,priors)
                                       (precision . ,precision) (seed . ,seed))
                          #:directory (run-path "sweep") #:workers workers)))
         (all (with-gains (table-of results)))
         (summary (table-group all '(acceleration noise mask method)
                               '(gain mean std) '(psnr mean std) '(ssim mean std) '(seconds mean)))
         (spread (spread-of results)))
    (save-table (run-path "table.csv") (table-select all 'method 'acceleration 'noise 'mask 'slice
                                                     'psnr 'ssim 'seconds))
    (save-table (run-path "spread.csv") spread)
    (save-table (run-path "spread-summary.csv") (spread-summary spread))
    (save-table (run-path "summary.csv") summary)
    (save-charts (run-path "methods.png")
                 (map (lambda (condition) (condition-chart summary condition)) conditions)
                 #:columns 2 #:width 560)
    (format #t "~a~%~a~%" (table-text (table-select summary 'acceleration 'noise 'mask 'method
                                                'gain-mean 'gain-std 'ssim-mean)
                                  #:most 100)
            (table-text (spread-summary spread) #:most 100))
    summary))
