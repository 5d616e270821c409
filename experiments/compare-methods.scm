;;; compare-methods.scm -- every method on slices of a person nobody was trained on: the table.
;;;
;;; Each point is one slice under one condition (acceleration, noise, kind of mask) by one method;
;;; the sweep can be stopped and goes on where it was.  Leaves
;;;
;;;   table.csv     a row for each: method, acceleration, noise, mask, slice, psnr, ssim, seconds
;;;   spread.csv    of each posterior: does its standard deviation know where the mean errs, and
;;;                 how much of the head lies inside its 90 % intervals
;;;   summary.csv   mean and standard deviation over slices, of the gain over zero-filled too
;;;   methods.png   the gains
;;;
;;; All slices at noise 0.1 with random masks; every fourth under other noise and with an
;;; equispaced mask, which UPDNet was not trained for, as it was not for R = 8.  Weights of total
;;; variation and wavelets are those of weights.csv (choose-weights.scm).
;;;
;;;   tempera run --run=out/paper experiments/compare-methods.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/compare-methods.scm")))

(define (slice-image number)
  (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here number)))

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

(define (seconds thunk)
  (let* ((start (get-internal-real-time))
         (result (thunk)))
    (values result (/ (- (get-internal-real-time) start) 1. internal-time-units-per-second))))

(define (one-image reconstruct scan)
  "What there is to say of the image that RECONSTRUCT makes, when SCAN is the truth."
  (let-values (((image seconds) (seconds reconstruct)))
    `((psnr . ,(psnr image scan)) (ssim . ,(ssim image scan)) (time . ,seconds))))

(define (head scan)
  "1 where SCAN is inside the head, or near: where a square of 8 x 8 pixels is 10 bright on average."
  (let* ((squares (half-size (half-size (half-size (tensor-abs scan)))))
         (shape (tensor-shape squares))
         (bright (tensor< 10 squares)))
    (tensor-reshape
     (tensor-copy
      (tensor-broadcast (tensor-reshape bright (list (first shape) 1 (second shape) 1))
                        (list (first shape) 8 (second shape) 8)))
     (tensor-shape scan))))

(define (correlation a b weight)
  "Of A and B where WEIGHT is 1."
  (let* ((n (tensor->number (tensor-sum weight)))
         (average (lambda (t) (/ (tensor->number (tensor-sum (tensor* weight t))) n)))
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

;; What the slices look like is decided above sigma = 1; below, only noise is taken away.
(define (cooling ratio until)
  (if (< until 0.8)
      (schedule-append (geometric 30 #:ratio ratio #:until 1)
                       (geometric 0.8 #:ratio 0.75 #:until until))
      (geometric 30 #:ratio ratio #:until until)))

(define (posterior-measures prior op y noise scan chains seed ratio)
  "What there is to say of CHAINS samples: of their mean, of single ones, of their spread.  The
90 % interval is the one for one more draw beside them, if pixels were normal."
  (let*-values (((chain seconds)
                 (seconds (lambda ()
                            (anneal (posterior prior op y #:noise noise) #:chains chains #:seed seed
                                    #:temperatures (cooling ratio (max 0.046 (* 0.1 noise)))))))
                ((samples) (chain-samples chain))
                ((mean-image std) (magnitude-statistics samples))
                ((error) (tensor-abs (tensor- (tensor-abs scan) mean-image)))
                ((inside) (head scan))
                ((width) (tensor* (* (t-quantile chains) (sqrt (+ 1 (/ 1. chains)))) std))
                ((within) (tensor- 1 (tensor< width error))))
    `((psnr . ,(psnr mean-image scan)) (ssim . ,(ssim mean-image scan)) (time . ,seconds)
      (sample-psnr . ,(mean (psnr samples scan))) (sample-ssim . ,(mean (ssim samples scan)))
      (correlation . ,(correlation error std inside))
      (coverage . ,(/ (tensor->number (tensor-sum (tensor* inside within)))
                      (tensor->number (tensor-sum inside))))
      (evaluations . ,(chain-evaluations chain)))))

(define-experiment reconstruct-slice
  ((method 'zero-filled symbol? "which")
   (slice 13 (lambda (n) (<= 1 n 20)) "of pd-head")
   (acceleration 4 (lambda (r) (>= r 1)) "of the mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (half #f boolean? "of half the rows and columns: four times as fast")
   (mask 'random (lambda (m) (memq m '(random equispaced))) "its kind")
   (chains 8 (lambda (n) (> n 1)) "samples of a posterior")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before, above 1")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of the prior's products")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask, noise and chains"))
  "One slice under one condition by one method."
  (let* ((scan (simulated-scan ((if half half-size identity) (slice-image slice))
                               #:seed (+ seed slice)))
         (op (mri-operator #:mask ((if (eq? mask 'random) random-mask equispaced-mask)
                                   (second (tensor-shape scan)) #:acceleration acceleration
                                   #:seed (+ seed slice))))
         (y (measure op scan #:noise noise #:seed (+ seed slice)))
         (file (lambda (name) (string-append priors "/" name ".safetensors")))
         (brain (lambda () (load-network (file "brain") #:precision precision)))
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
       (let ((network (brain)))
         (image (lambda () (pnp-admm network op y #:noise noise)))))
      ((red)
       (let ((network (brain)))
         (image (lambda () (red network op y #:noise noise)))))
      ((posterior)
       (posterior-measures (brain) op y noise scan chains (+ seed slice) ratio))
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

;; Name in the table, and colour-blind readers' order in the chart.
(define method-names
  '((zero-filled . "zero-filled") (total-variation . "total variation") (wavelets . "wavelets")
    (pnp-admm . "PnP-ADMM") (red . "RED") (updnet . "UPDNet") (posterior . "sample mean")))

(define (table-of results)
  "A row for each image of RESULTS, the sweep's; single samples have one beside their mean's."
  (let ((row-of (lambda (row name psnr ssim . more)
                  (let ((field (lambda (key) (assq-ref row key))))
                    `((method . ,name) (acceleration . ,(field 'acceleration))
                      (noise . ,(field 'noise)) (mask . ,(field 'mask)) (slice . ,(field 'slice))
                      (psnr . ,(field psnr)) (ssim . ,(field ssim)) (seconds . ,(field 'time))
                      (correlation . ,(and (pair? more) (field 'correlation)))
                      (coverage . ,(and (pair? more) (field 'coverage))))))))
    (rows->table
     (append-map
      (lambda (values)
        (let ((row (map cons (table-columns results) values)))
          (cond ((not (assq-ref row 'psnr)) '()) ; not done
                ((eq? (assq-ref row 'method) 'posterior)
                 (list (row-of row "single sample" 'sample-psnr 'sample-ssim)
                       (row-of row "sample mean" 'psnr 'ssim 'spread)))
                (else (list (row-of row (assq-ref method-names (assq-ref row 'method))
                                    'psnr 'ssim))))))
      (table-rows results)))))

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
                                (iota (table-size here) 1)
                                (table-column here 'gain-mean) (table-column here 'gain-std))))
             #:y-label "dB above zero-filled" #:x-range (list 0.5 (+ 0.5 (table-size here)))
             #:x-label (string-join (map (lambda (k name) (format #f "~a ~a" k name))
                                         (iota (table-size here) 1) (table-column here 'method))
                                    ", ")))))

(define-experiment compare-methods
  ((slices '(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20) pair? "of pd-head")
   (conditions 5 (lambda (n) (<= 1 n 5)) "how many: R = 4 with noise 0.1, 5, 20, equispaced; R = 8")
   (half #f boolean? "of half the rows and columns: four times as fast")
   (chains 8 (lambda (n) (> n 1)) "samples of each posterior")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before, above 1")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of the prior's products")
   (seed 42 (lambda (n) (>= n 0)) "of phases, masks, noise and chains")
   (workers 1 positive? "points at a time"))
  "All methods on slices of a person nobody was trained on."
  (let* ((conditions (list-head all-conditions conditions))
         (results (sweep-results
                   (sweep reconstruct-slice (points slices conditions)
                          #:settings `((half . ,half) (chains . ,chains) (ratio . ,ratio) (priors . ,priors)
                                       (precision . ,precision) (seed . ,seed))
                          #:directory (run-path "sweep") #:workers workers)))
         (all (with-gains (table-of results)))
         (summary (table-group all '(acceleration noise mask method)
                               '(gain mean std) '(psnr mean std) '(ssim mean std) '(seconds mean)
                               '(correlation mean std) '(coverage mean std))))
    (save-table (run-path "table.csv") (table-select all 'method 'acceleration 'noise 'mask 'slice
                                                     'psnr 'ssim 'seconds))
    (save-table (run-path "spread.csv")
                (table-select (table-filter all (lambda (m) (equal? m "sample mean")) 'method)
                              'acceleration 'noise 'mask 'slice 'correlation 'coverage))
    (save-table (run-path "summary.csv") summary)
    (save-charts (run-path "methods.png")
                 (map (lambda (condition) (condition-chart summary condition)) conditions)
                 #:columns 2 #:width 560)
    (format #t "~a~%" (table-text (table-select summary 'acceleration 'noise 'mask 'method
                                                'gain-mean 'gain-std 'ssim-mean)
                                  #:most 100))
    summary))
