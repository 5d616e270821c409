;;; test-summaries.scm -- what samples say of pixels, regions, hypotheses and measured frequencies; by hand, and
;;; against posteriors that are known.

(use-modules (harness) (small-problem)
             (srfi srfi-1) (srfi srfi-11)
             (tempera) ((tempera sample summaries) #:select (spread-warning)))

(start-tests "summaries")

(define (number t) (tensor->number t))

;;; --- Pixels and regions, by hand ------------------------------------------------------------

;; Five samples of 2 x 2: the pixel (i j) of sample k is k + 10 (2 i + j), with a sign that magnitudes drop.
(define five
  (complex-view
   (list->tensor (append-map (lambda (k) (append-map (lambda (pixel) (list 0 (- (+ k (* 10 pixel))))) (iota 4))) (iota 5))
                 '(5 2 2 2))))

(test-equal "quantiles" '(2. 12. 22. 32.) (tensor->list (sample-quantile five 0.5)))
(test-equal "between samples" '(0.5 10.5 20.5 30.5) (tensor->list (sample-quantile five 0.125)))
(test-approximate "exceedance" 0.4 (first (tensor->list (exceedance five 2.5))) 1e-6)
(test-equal "of a map" '(0. 1. 0. 1.) (tensor->list (exceedance five (list->tensor '(9 9 99 9) '(2 2)))))

(define left (list->tensor '(1 0 1 0) '(2 2)))
(define right (list->tensor '(0 1 0 1) '(2 2)))
(define (of-region . arguments) (call-with-values (lambda () (apply region-mean arguments)) list))
(test-equal "a region: its mean and its interval" '(12. 11. 13.) (of-region five left #:level 0.5))
(test-equal "weights" '(7. 6. 8.) (of-region five (list->tensor '(3 0 1 0) '(2 2)) #:level 0.5))
;; All pixels of a sample go together, so that the difference is certain where the means are not.
(test-equal "against another" '(-10. -10. -10.) (of-region five left #:against right))
(test-error-matching "no region" "region: expected f32 (2 2)" (region-mean five (tensor-zeros '(2 2))))
(test-error-matching "of another shape" "region: expected f32 (2 2)" (region-mean five (tensor-zeros '(4))))
(test-error-matching "nor against none" "against: expected f32 (2 2)" (region-mean five left #:against (tensor-zeros '(2 2))))
(test-error-matching "level" "level: expected a number between 0 and 1, got 90" (region-mean five left #:level 90))
(test-error-matching "q" "q: expected a number between 0 and 1, got 1" (sample-quantile five 1))
(test-error-matching "what exceeds" "level: expected a number or a map" (exceedance five 'high))
(test-error-matching "samples" "samples: expected a chain or samples" (sample-quantile 3 0.5))

;;; --- Hypotheses --------------------------------------------------------------------------------

;; Against the log density; the Gaussian's score is linear, so that one point is enough.
(let* ((spot (tensor* 3 (list->tensor (map (lambda (k) (if (= k 100) 1 0)) (iota 192)) '(16 12))))
       (with (tensor+ scan (complex-view (tensor-concatenate (list (tensor-reshape spot '(16 12 1)) (tensor-zeros '(16 12 1))) 2))))
       (density (lambda (x) (vector-ref (target-log-density target (tensor-reshape x '(1 16 12)) 0.5) 0)))
       (expected (- (density with) (density scan))))
  (test-assert "a spot that is not there" (< expected -100))
  (for-each (lambda (points)
              (test-approximate "log odds" expected (log-odds target with scan 0.5 #:points points) (* 1e-3 (abs expected))))
            '(1 16))
  (test-approximate "the other way" (- expected) (log-odds target scan with 0.5) (* 1e-3 (abs expected)))
  (test-error-matching "another shape" "a: expected c64 (16 12)" (log-odds target (tensor-zeros '(4 4)) scan 0.5))
  (test-error-matching "another type" "b: expected c64" (log-odds target scan (tensor-abs scan) 0.5))
  (test-error-matching "sigma" "sigma: expected" (log-odds target scan scan 0))
  (test-error-matching "no target" "target: expected" (log-odds 3 scan scan 1))
  (test-error-matching "points" "points: expected" (log-odds target scan scan 1 #:points 0)))
;; Of two moons the score is not, and the midpoint rule's error falls by four with twice the points.
(let* ((target (prior-target moons)) (a (list->tensor '(0.5 0.4) '(2))) (b (list->tensor '(-0.9 1) '(2)))
       (density (lambda (x) (vector-ref (target-log-density target (tensor-reshape x '(1 2)) 0.5) 0))))
  (test-approximate "a score that is not linear" (- (density a) (density b)) (log-odds target a b 0.5 #:points 400) 1e-3))

;;; --- Measured and unmeasured --------------------------------------------------------------------

;; Draws of the known posterior: of the variances p = 1 / (m / noise^2 + 1 / spectrum) at each frequency.
(let* ((m (measurement op y #:noise 0.1 #:warn (const #t)))
       (mask (tensor-copy (tensor-broadcast (operator-mask op) '(16 12)))))
  (define (draws excess)
    ;; 200 of them, whose deviation where it was measured is EXCESS times what it is.
    (let ((variance (tensor/ 1 (tensor+ (tensor* 100 mask) (tensor/ 1 spectrum)))))
      (ifft2 (tensor* (tensor* (tensor-sqrt variance) (tensor+ 1 (tensor* (- excess 1) mask)))
                      (random-normal '(200 16 12) 3 0 'c64)))))
  (define (root-mean weights of) (sqrt (/ (number (tensor-sum (tensor* weights of))) (number (tensor-sum weights)))))
  (define variance (tensor/ 1 (tensor+ (tensor* 100 mask) (tensor/ 1 spectrum))))
  (let-values (((measured unmeasured) (spread-by-frequency (draws 1) m)))
    ;; 200 draws of 96 frequencies and more, two numbers each: within 4 / sqrt (2 * 2 * 199 * 96) = 1.4 %, of the
    ;; unmeasured, whose variances differ, some times that.
    (test-approximate "measured" 1 (/ measured (root-mean mask variance)) 0.02)
    (test-approximate "unmeasured" 1 (/ unmeasured (root-mean (tensor- 1 mask) variance)) 0.1)
    (test-equal "within the noise" #f (spread-warning measured 0.1 200 192)))
  (let-values (((measured unmeasured) (spread-by-frequency (draws 1.5) m)))
    (test-assert "beyond the noise: said"
      (string-contains (spread-warning measured 0.1 200 192) "where noise of 0.1 leaves no more than that")))
  ;; Two samples of few numbers say little.
  (test-equal "few numbers" #f (spread-warning 0.13 0.1 2 40))
  (test-assert "many" (spread-warning 0.13 0.1 2 4000))
  (test-error-matching "one sample" "one has no spread" (spread-by-frequency (tensor-reshape scan '(1 16 12)) m))
  (test-error-matching "no measurement" "measurement: expected one by an MRI operator" (spread-by-frequency (draws 1) op)))

;; All measured: no other.  Several coils measure more numbers than an image has.
(let* ((shape '(16 12)) (all (tensor+ 1 (tensor-zeros '(12))))
       (sense (sense-operator (simulated-sensitivities 4 shape) (mri-operator #:mask all #:shape shape)))
       (of (lambda (op) (measurement op (measure op scan #:noise 0.1 #:seed 1) #:noise 0.1 #:warn (const #t))))
       (samples (tensor* 0.1 (random-normal '(100 16 12) 5 0 'c64))))
  (for-each
   (lambda (op)
     (let-values (((measured unmeasured) (spread-by-frequency samples (of op))))
       ;; Maps have sum |s|^2 = 1, so that A^H A = 1.  99 * 384 squares: within 4 / sqrt (2 * 99 * 384) = 1.5 %.
       (test-approximate (operator-name op) 0.1 measured 0.0015)
       (test-equal "none unmeasured" #f unmeasured)))
   (list (mri-operator #:mask all #:shape shape) sense)))

(finish-tests)
