;;; test-sampling.scm -- schedules, exact priors, and chains that reach them, stop and go on.

(use-modules (harness)
             (tempera) (tempera problem masses) (tempera tensor primitives) (tempera sample schedules) (tempera problem targets) (tempera base interrupts) (tempera base streams)
             (ice-9 control)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "sampling")

(define (close? tolerance a b)
  (<= (abs (- a b)) tolerance))

;;; --- Schedules ------------------------------------------------------------------

(let ((s (geometric 100 #:ratio 0.5 #:until 1)))
  (test-equal "its values" '(100. 50. 25. 12.5 6.25 3.125 1.5625 1.) (schedule->list s))
  (test-equal "print" "#<schedule geometric 0.5: 100.0 ... 1.0, 8 values>" (format #f "~a" s)))
(test-equal "a last step that falls on until" '(8. 4. 2. 1.)
  (schedule->list (geometric 8 #:ratio 0.5 #:until 1)))
(test-equal "one temperature" 1 (schedule-length (geometric 5 #:ratio 0.9 #:until 5)))
(test-equal "the paper's" 1518 (schedule-length (geometric 100 #:ratio 0.995 #:until 0.05)))
(test-equal "the paper's step" 1.25 (schedule-at (power-law 10 #:exponent 1.5) 25))
(let ((network (score-network '(paper-unet #:channels (2 2) #:blocks 1 #:normalisation #f))))
  (test-equal "an exact prior's temperatures" (schedule->list (geometric 100 #:ratio 0.95 #:until 0.046))
    (schedule->list (default-temperatures (two-moons-prior))))
  (test-equal "a network's" '(100. 50. 25. 12.5 6.25 4. 1. 0.25 0.1)
    (schedule->list (default-temperatures network #:ratio 0.5 #:until 0.1)))
  (test-equal "a network's that end hot" '(100. 50. 25. 12.5 8.)
    (schedule->list (default-temperatures network #:ratio 0.5 #:until 8)))
  (test-equal "without a ratio" '(54 108)
    (map (lambda (ratio) (schedule-length (default-temperatures network #:ratio ratio))) '(#f 0.95)))
  (test-equal "which a chain has" 54
    (length (chain-ahead (start-chain (prior-target network #:shape '(8 8) #:dtype 'c64) #:chains 1))))
  (test-error-matching "a ratio" "default-temperatures: ratio: expected a number between 0 and 1, got 1"
    (default-temperatures network #:ratio 1))
  (test-error-matching "an end" "default-temperatures: until: expected a positive number, 100 at most, got 200"
    (default-temperatures network #:until 200)))
(test-equal "constant" 0.5 (schedule-at (constant 0.5) 3))
(test-equal "print a rule" "#<schedule 10 (sigma/100)^1.5>" (format #f "~a" (power-law 10)))
(test-error-matching "ratio" "ratio: expected a number between 0 and 1, got 2"
  (geometric 100 #:ratio 2 #:until 1))
(test-error-matching "no until" "until: expected a positive number, got #f"
  (geometric 100 #:ratio 0.9))
(test-error-matching "until above" "until: expected at most" (geometric 1 #:ratio 0.9 #:until 2))
(test-error-matching "NaN" "from: expected" (geometric +nan.0 #:ratio 0.9 #:until 2))
(test-error-matching "exponent" "exponent: expected" (power-law 1 #:exponent 'a))
(test-error-matching "constant 0" "value: expected" (constant 0))
(test-error-matching "ref" "index: expected an integer from 0 to 0, got 1"
  (schedule-ref (geometric 5 #:ratio 0.9 #:until 5) 1))
(test-error-matching "ref of a rule" "it is a rule" (schedule-ref (constant 1) 0))
(test-error-matching "at of a sequence" "expected a rule"
  (schedule-at (geometric 5 #:ratio 0.9 #:until 5) 1))
(test-error-matching "sigma" "sigma: expected" (schedule-at (constant 1) -1))
(test-error-matching "length" "expected a schedule" (schedule-length 3))

(test-equal "linear" '(10. 7. 4. 1.) (schedule->list (linear 10 #:until 1 #:count 4)))
(test-equal "upwards too" '(1. 2. 3.) (schedule->list (linear 1 #:until 3 #:count 3)))
(let ((s (schedule->list (log-linear 100 #:until 0.05 #:count 40))))
  (test-equal "log-linear, its ends" '(100. 0.05) (list (first s) (last s)))
  (test-assert "its ratios"
    (every (lambda (a b) (close? 1e-9 (/ b a) (expt 0.0005 1/39))) (drop-right s 1) (cdr s))))
(test-equal "tabulated" '(6. 3. 2.)
  (schedule->list (schedule-tabulate 3 (lambda (i) (/ 6 (1+ i))))))
(let ((s (geometric 8 #:ratio 0.5 #:until 1)) (list-of schedule->list))
  (test-equal "appended, a common end once" '(8. 4. 2. 1. 0.5)
    (list-of (schedule-append s '(1 0.5))))
  (test-equal "three" '(8. 4. 2. 1. 3. 2. 1.) (list-of (schedule-append s '(3 2) '#(1))))
  (test-equal "a slice" '(4. 2.) (list-of (schedule-slice s 1 3)))
  (test-equal "to the end" '(2. 1.) (list-of (schedule-slice s 2)))
  (test-equal "between" '(4. 2.) (list-of (schedule-between s 5 2)))
  (test-equal "mapped" '(4. 2. 1. 0.5) (list-of (schedule-map (lambda (x) (/ x 2)) s)))
  (test-equal "two mapped" '(16. 8. 4. 2.) (list-of (schedule-map + s s)))
  (test-equal "print a slice" "#<schedule slice: 4.0 ... 2.0, 2 values>"
    (format #f "~a" (schedule-slice s 1 3)))
  (test-error-matching "slice" "expected 0 <= start < end <= 4, got 2 and 9" (schedule-slice s 2 9))
  (test-error-matching "between nothing" "no value is from 0.5 down to 0.1; they are from 8.0 to 1.0"
    (schedule-between s 0.5 0.1))
  (test-error-matching "lengths" "one length, got (4 2)" (schedule-map + s '(1 2)))
  (test-error-matching "a value that is none" "expected positive numbers, got 0"
    (schedule-map (lambda (x) 0) s))
  (test-error-matching "a rule and a sequence" "schedule: expected" (schedule-map + s (constant 1))))
(let ((s (piecewise '(10 0.45) `(1 ,(power-law 1 #:exponent 1 #:reference 10)) '(0.1 0.2))))
  (test-equal "piecewise" '(0.45 0.45 0.5 0.2 0.2) (map (lambda (x) (schedule-at s x)) '(50 10 5 0.5 0.01)))
  (test-equal "print it" "#<schedule piecewise from 10, 1, 0.1>" (format #f "~a" s))
  (test-equal "rules mapped" 0.25 (schedule-at (schedule-map * s 0.5) 5))
  (test-equal "with a procedure" 5. (schedule-at (schedule-map max (lambda (sigma) sigma) s) 5.)))
(test-error-matching "pieces" "sigma falling" (piecewise '(1 0.3) '(10 0.2)))
(test-error-matching "no pieces" "pieces: expected" (piecewise))
(test-error-matching "a piece's rule" "rule: expected" (piecewise '(1 a)))
(test-error-matching "count" "count: expected an integer, 2 or more, got 1" (linear 2 #:until 1 #:count 1))
(test-error-matching "no end" "until: expected a positive number, got #f" (log-linear 2 #:count 3))
(test-error-matching "append" "sequence: expected" (schedule-append (constant 1)))
(test-error-matching "append nothing" "expected a sequence" (schedule-append))
(test-error-matching "tabulate" "expected positive numbers, got -1" (schedule-tabulate 2 (const -1)))
(test-error-matching "tabulate none" "count: expected" (schedule-tabulate 0 identity))
(test-error-matching "stream" "purpose: expected one of" (random-stream 'lottery))
(test-error-matching "counter" "counter: expected" (random-stream 'start -1))

;;; --- Exact priors -----------------------------------------------------------------

(define (test-gradient name tolerance prior x sigma)
  ;; The score is the gradient of the log density: along a random direction d,
  ;; log p (x + h d) - log p (x - h d) = 2 h <score, d> + O (h^3).
  (let* ((d (random-normal (tensor-shape x) 77 0 (tensor-dtype x)))
         (h 1/64)
         (up (log-density prior (tensor+ x (tensor* h d)) sigma))
         (down (log-density prior (tensor- x (tensor* h d)) sigma))
         (slope (chains-dot (score prior x sigma) d)))
    (test-assert name
      (every (lambda (u d s) (close? tolerance (/ (- u d) (* 2 h)) s))
             (vector->list up) (vector->list down) (vector->list slope)))))

(define spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
(define field (gaussian-prior spectrum))
(define moons (two-moons-prior))
(define sigmas (list->tensor '(0.5 1 2)))

(test-gradient "Gaussian" 0.05 field (random-normal '(3 16 12) 1 0 'c64) 0.7)
(test-gradient "Gaussian, a sigma a chain" 0.05 field (random-normal '(3 16 12) 1 0 'c64) sigmas)
(test-gradient "two moons" 0.01 moons (random-normal '(3 2) 2) 0.4)
(test-gradient "two moons, a sigma a chain" 0.01 moons (random-normal '(3 2) 2) sigmas)

(let* ((x (random-normal '(3 16 12) 4 0 'c64))
       (together (log-density field x sigmas)))
  (test-assert "sigma for each chain is sigma for that chain"
    (every (lambda (c sigma)
             (close? 1e-3 (vector-ref together c)
                     (vector-ref (log-density field (tensor-slice x 0 c (1+ c)) sigma) 0)))
           '(0 1 2) '(0.5 1 2))))

(let* ((draws (prior-draw field 200 #:seed 3))
       (ratio (tensor->number
               (tensor-mean (tensor/ (tensor-sum-squares (fft2 draws) 0)
                                     (tensor* 400 spectrum))))))
  ;; A mean of 16 * 12 chi-squares of 400 degrees of freedom.
  (test-approximate "draws have the spectrum" 1 ratio (* 4 (sqrt (/ 2. (* 400 16 12))))))

(let* ((prior (gaussian-mixture-prior (list->tensor '(-10 0 10 0) '(2 2)) #:weights '(3 1)))
       (draws (prior-draw prior 4000 #:seed 5))
       (left (tensor->number (tensor-mean (tensor< (tensor-slice draws 1 0 1) 0)))))
  (test-approximate "weights of a mixture" 0.75 left (* 4 (sqrt (/ (* 0.75 0.25) 4000)))))

;; EDS on a Gaussian prior is Wiener's filter P / (P + sigma^2).
(let ((x (random-normal '(2 16 12) 6 0 'c64)))
  (test-assert "denoising"
    (> 1e-4 (tensor->number
             (tensor-max (tensor-abs (tensor- (denoise field x 2)
                                              (fourier-multiply
                                               x (tensor/ spectrum (tensor+ spectrum 4))))))))))

(test-error-matching "spectrum" "spectrum: expected positive numbers"
  (gaussian-prior (tensor-zeros '(4 4))))
(test-error-matching "spectrum's shape" "shape: expected (rows columns)" (power-spectrum '(4)))
(test-error-matching "amplitude" "amplitude: expected" (power-spectrum '(4 4) #:amplitude 0))
(test-error-matching "weights" "weights: expected a list of 2"
  (gaussian-mixture-prior (tensor-zeros '(2 2)) #:weights '(1 2 3)))
(test-error-matching "means" "means: expected" (gaussian-mixture-prior '(1 2)))
(test-error-matching "mixture's sd" "sd: expected" (two-moons-prior #:sd 0))
(test-error-matching "points" "points: expected" (two-moons-prior #:points 1))
(test-error-matching "no prior" "prior: expected" (score 3 (tensor-zeros '(1 2)) 1))
(test-error-matching "no density" "one with a log density" (log-density (lambda (x s) x) 1 1))
(test-error-matching "state" "x: expected states like the means (200 2), got shape (1 3)"
  (score moons (tensor-zeros '(1 3)) 1))
(test-error-matching "sigma" "sigma" (score moons (tensor-zeros '(1 2)) 'hot))
(test-error-matching "sigmas" "sigma" (score moons (tensor-zeros '(1 2)) sigmas))
(test-error-matching "draws of a network" "can be drawn from" (prior-draw (lambda (x s) x) 1))
(test-error-matching "count" "count: expected" (prior-draw moons 0))
(test-error-matching "prior" "score: expected a procedure" (make-prior "none"))
(test-error-matching "noise level" "sigma: expected" (denoise field (tensor-zeros '(1 16 12) 'c64) 0))
(test-error-matching "what" "x: expected a batch" (denoise field))

;;; --- A posterior ------------------------------------------------------------------

(define op (mri-operator #:mask (random-mask 12 #:acceleration 2 #:seed 1)))
(define scan (tensor-reshape (prior-draw field 1 #:seed 1) '(16 12)))
(define y (measure op scan #:noise 0.1 #:seed 2))
(define target (posterior field op y #:noise 0.1))

;; Equation 4, as written, and with the likelihood less blurred than the prior.
(for-each
 (lambda (name widening sigma variance)
   (let* ((x (random-normal '(3 16 12) 8 0 'c64))
          (likelihood (tensor/ (apply-adjoint op (tensor- (apply-forward op x) y)) variance))
          (expected (tensor- (score field x sigma) likelihood))
          (target (posterior field op y #:noise 0.1 #:widening widening)))
     (test-assert name
       (> 1e-3 (tensor->number
                (tensor-max (tensor-abs (tensor- (target-score target x sigma) expected))))))))
 '("equation 4" "with a sigma for each chain" "less blurred" "and a sigma for each chain" "not at all")
 '(1 1 0.2 0.2 0)
 (list 0.3 sigmas 0.3 sigmas 0.3)
 (list 0.1 (tensor-reshape (tensor+ 0.01 (tensor-square sigmas)) '(3 1 1))
       0.028 (tensor-reshape (tensor+ 0.01 (tensor* 0.2 (tensor-square sigmas))) '(3 1 1))
       0.01))
(test-assert "by default not at all"
  (let ((x (random-normal '(3 16 12) 8 0 'c64)))
    (tensor-identical? (target-score target x 0.3)
                       (target-score (posterior field op y #:noise 0.1 #:widening 0) x 0.3))))

(test-gradient "the posterior's density" 0.2
               (make-prior "target" #:shape '(16 12)
                           #:score (lambda (x s) (target-score target x s))
                           #:log-density (lambda (x s) (target-log-density target x s)))
               (random-normal '(3 16 12) 9 0 'c64) 1)

;; Its mean, where the score is 0.
(let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1 #:sigma 0.5)))
  (test-assert "the exact mean is the density's top"
    (> 1e-3 (tensor->number (tensor-max (tensor-abs (target-score target
                                                                  (tensor-reshape mean '(1 16 12))
                                                                  0.5)))))))

;; Noise far below and above what the temperatures have: the exact posterior, measured and
;; unmeasured frequencies apart.  Each mean over n frequencies of a variance over 32 chains (62 degrees
;; of freedom) has the error sqrt (2 / 62 n), that of a mean's square, over its own variance, sqrt (1 / n);
;; two per cent are left of the last temperature and of cooling (see below).
(let* ((spectrum (power-spectrum '(16 16) #:amplitude 10000 #:exponent 3))
       (prior (gaussian-prior spectrum))
       (mask (random-mask 16 #:acceleration 3 #:seed 1))
       (op (mri-operator #:mask mask))
       ;; Nothing is known of this one but forward and adjoint.
       (plain (make-operator "MRI" #:domain '(16 16)
                             #:forward (lambda (x) (apply-forward op x))
                             #:adjoint (lambda (y) (apply-adjoint op y))
                             #:restrict (operator-restrict op)))
       (scan (tensor-reshape (prior-draw prior 1 #:seed 3) '(16 16)))
       (measured (tensor-copy (tensor-broadcast mask '(16 16)))))
  (for-each
   (lambda (name own noise)
     (let* ((y (measure op scan #:noise noise #:seed 2))
            (chain (anneal (posterior prior own y #:noise noise) #:chains 32 #:seed 5
                           #:temperatures (geometric 100 #:ratio 0.93 #:until 0.05))))
       (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise noise #:sigma 0.05)))
         (let* ((x (chain-samples chain))
                (spread (tensor/ (tensor-sum-squares (fft2 (tensor- x (tensor-mean x 0 #t))) 0)
                                 (tensor* 62 variance)))
                (off (tensor/ (tensor-square (tensor-abs (fft2 (tensor- (chain-mean chain) mean))))
                              (tensor* (/ 2. 32) variance))))
           (for-each
            (lambda (where share)
              (let ((n (tensor->number (tensor-sum share)))
                    (over (lambda (t) (/ (tensor->number (tensor-sum (tensor* share t)))
                                         (tensor->number (tensor-sum share))))))
                (test-approximate (format #f "noise ~a, ~a: spread where ~a" noise name where) 1
                  (over spread) (+ 0.02 (* 4 (sqrt (/ 2 62 n)))))
                (test-approximate (format #f "noise ~a, ~a: mean where ~a" noise name where) 1
                  (over off) (* 4 (sqrt (/ n))))))
            '("measured" "not measured") (list measured (tensor- 1 measured)))))
       (test-assert (format #f "noise ~a, ~a: accepted" noise name) (> (chain-acceptance chain) 0.7))
       (test-equal (format #f "noise ~a, ~a: no warning" noise name) '() (chain-warnings chain))))
   '("a table" "a table" "a table" "a table" "a table" "a table" "a table" "no table")
   (list op op op op op op op plain)
   '(1e-3 1e-2 0.1 1 10 100 1e4 1e-3))
  (let ((y (measure op scan #:noise 1e-6 #:seed 2)))
    (test-assert "noise below float32's rounding"
      (string-contains (target-caution (posterior prior op y #:noise 1e-6))
                       "noise 1.0e-6 is less than what float32 keeps of images of size"))
    ;; The point estimates and the exact mean have V where nothing was measured, whatever the noise.
    (let ((mean (gaussian-posterior spectrum op y #:noise 1e-6)))
      (test-approximate "the exact mean is 0 where nothing was measured" 0
        (tensor->number (tensor-max (tensor* (tensor- 1 measured) (tensor-abs (fft2 mean)))))
        ;; FFT's rounding of a frequency of 1600.
        1e-2))))

(primitive-load (test-file "../experiments/exact-posterior.scm"))
(call-with-temporary-directory
 (lambda (directory)
   (let ((summary (run-result
                   (with-output-to-port (%make-void-port "w")
                     (lambda ()
                       (run-experiment exact-posterior '((paper . #f))
                                       #:directory (string-append directory "/run")))))))
     (test-assert "the same in a file"
       (equal? (assoc-ref (load-json (string-append directory "/run/summary.json")) "size") 64))
     (for-each
      (lambda (method evaluations)
        (let ((value (lambda (key) (assoc-ref (assoc-ref summary method) key))))
          ;; Two per cent of the standard deviation are four of the variance; by chance the
          ;; mean of 1024 measured frequencies' logarithms, sqrt (2/62) each, is 0.006 off.
          (for-each (lambda (key) (test-approximate (string-append method ": " key) 1 (value key) 0.04))
                    '("variance_ratio_measured" "variance_ratio_unmeasured"))
          ;; 8192 errors of unit variance: the mean square is 1 within 4 * 0.016.
          (test-approximate (string-append method ": the mean, in its Monte Carlo errors") 1
            (value "mean_z_rms") 0.035)
          (test-assert (string-append method ": cost")
            (<= (value "score_evaluations") evaluations))))
      '("fourier" "fourier-uncorrected") '(1500 600))
     (test-assert "accepted" (< 0.9 (assoc-ref (assoc-ref summary "fourier") "acceptance"))))))

;;; --- Chains -----------------------------------------------------------------------

(define temperatures (geometric 10 #:ratio 0.6 #:until 0.5))
(define paper-hmc (hmc #:acceptance 'path-integral))
(define* (short target . settings)
  ;; Steps that neither tune themselves nor jitter are easy to foretell.
  (apply anneal target #:temperatures temperatures #:chains 3 #:seed 7 #:step-size 0.35
         #:jitter 0 #:trajectory-length 6 #:sampler paper-hmc settings))
(define (same? a b)
  (tensor-identical? (chain-samples a) (chain-samples b)))

(define unbroken (short target))

(test-assert "finished" (chain-finished? unbroken))
(test-equal "its last temperature" 0.5 (chain-sigma unbroken))
(test-equal "a transition for each trajectory" (schedule-length temperatures)
  (length (chain-trace unbroken)))
(test-equal "print"
  "#<chain 3 x (16 12), finished at sigma 0.5 (7 of 7), 7 steps, accepted 1.0>"
  (format #f "~a" unbroken))
(test-equal "print a transition" "#<transition sigma 10.0, 6 steps of 0.35, accepted 1.0>"
  (format #f "~a" (first (chain-trace unbroken))))
(test-equal "a mean's shape" '(16 12) (tensor-shape (chain-mean unbroken)))
(test-assert "the same seed, the same bits" (same? unbroken (short target)))
(test-assert "another seed" (not (same? unbroken (anneal target #:temperatures temperatures
                                                         #:chains 3 #:seed 8))))

(let ((x (chain-samples unbroken)))
  (tensor-assign! (chain-samples unbroken) 0)
  (test-assert "samples are a copy" (tensor-identical? x (chain-samples unbroken))))

(let* ((values (map (lambda (c) (tensor-ref (chain-samples unbroken) c 3 4)) '(0 1 2)))
       (mean (/ (apply + values) 3))
       (sd (sqrt (/ (apply + (map (lambda (v) (expt (magnitude (- v mean)) 2)) values)) 2))))
  (test-approximate "the mean over chains" 0
    (magnitude (- mean (tensor-ref (chain-mean unbroken) 3 4))) 1e-5)
  (test-approximate "the standard deviation over chains" sd
    (tensor-ref (chain-std unbroken) 3 4) 1e-5))

(let ((threads-before (threads)))
  (set-threads! 1)
  (let ((one (short target)))
    (set-threads! 2)
    (test-assert "1 and 2 threads, the same bits" (same? one (short target))))
  (set-threads! threads-before))

;; Langevin's step is x + h^2/2 s + h z, one evaluation a move.
(let* ((nothing (make-target "flat" #:shape '(4) #:score (lambda (x sigma) (tensor+ 1 (tensor* 0 x)))))
       (chain (anneal nothing #:chains 500 #:temperatures '(1) #:step-size 0.5 #:jitter 0
                      #:steps-per-temperature 3 #:sampler (langevin) #:start (tensor-zeros '(500 4)))))
  (test-equal "Langevin: an evaluation a move" 4 (chain-evaluations chain))
  ;; 3 h^2 / 2 and 3 h^2, over 2000 numbers.
  (test-approximate "drifts" 0.375 (tensor->number (tensor-mean (chain-samples chain)))
    (* 4 (sqrt (/ 0.75 2000))))
  (test-approximate "diffuses" 0.75
    (tensor->number (tensor-mean (tensor-square (tensor- (chain-samples chain) 0.375))))
    (* 4 0.75 (sqrt (/ 2. 2000)))))

(let ((steps-of (lambda (size time)
                  (transition-steps
                   (first
                       (chain-trace (anneal target #:temperatures '(1) #:chains 1 #:jitter 0
                                            #:step-size size
                                            #:trajectory-length (trajectory-time time))))))))
  (test-equal "the steps nearest to a time" '(5 5 4 1)
    (map steps-of '(0.45 0.5 0.5 1.5) '(2.25 2.4 2.1 1))))

;; Over after 2 accepted steps on average, rounded: 1.5 are enough, 1.4 are not; or 5 in all.
(let ((over? (accepted-steps 2 #:at-most 5)))
  (test-equal "accepted on average" '(#f #t #f #t)
    (map over? '(2 2 4 5) '(1.4 1.5 0. 0.))))

;; Evaluations: 6 + 3 a trajectory and 1 a temperature; less without correction.
(let* ((calls 0)
       (counting (posterior (lambda (x sigma) (set! calls (1+ calls)) (score field x sigma))
                            op y #:noise 0.1)))
  (let ((chain (short counting)))
    (test-equal "evaluations" calls (chain-evaluations chain))
    (test-equal "with correction" (* 7 (+ 6 3 1)) calls)
    (test-assert "a prior that is a procedure" (same? chain unbroken)))
  (set! calls 0)
  (let ((chain (short counting #:sampler (hmc #:acceptance 'none))))
    (test-equal "evaluations without correction" calls (chain-evaluations chain))
    (test-equal "without correction" (* 7 (+ 6 1)) calls)
    (test-assert "everything is accepted" (= 1 (chain-acceptance chain)))))

;; By the path integral and by the density: the same decisions, energy errors alike.
(let* ((settings (list #:steps-per-temperature 6 #:step-size 1))
       (path (apply short target settings))
       (density (apply short target #:sampler (hmc #:acceptance 'log-density) settings))
       (errors (lambda (chain)
                 (append-map (lambda (t) (vector->list (transition-energy-error t)))
                             (chain-trace chain)))))
  (test-assert "some are rejected" (< 0.2 (chain-acceptance path) 0.999))
  (test-assert "path integral as density"
    (every (lambda (a b) (close? 0.02 a b)) (errors path) (errors density)))
  (test-assert "the same decisions" (same? path density))
  (test-assert "no correction is another chain"
    (not (same? path (apply short target #:sampler (hmc #:acceptance 'none) settings)))))

;; Divergence is refused, not accepted.
(for-each (lambda (acceptance)
            (let ((chain (anneal target #:temperatures '(1) #:chains 2 #:step-size 1e20
                                 #:trajectory-length 20
                                 #:sampler (hmc #:acceptance acceptance))))
              (test-equal (format #f "a diverged trajectory, ~a" acceptance) 0.
                          (chain-acceptance chain))
              (test-assert "what is left is finite" (tensor-finite? (chain-samples chain)))))
          '(path-integral none))

;; Two moons from the prior alone: both arcs, and as far from them as draws are.
(let* ((target (prior-target moons))
       (chain (anneal target #:chains 400 #:seed 3 #:mass 'identity
                      #:temperatures (geometric 3 #:ratio 0.8 #:until 0.02)
                      #:trajectory-length '(3 5) #:steps-per-temperature 2
                      #:step-size (lambda (sigma) (* 0.4 (sqrt (+ 0.0025 (* sigma sigma)))))))
       (density (lambda (x) (vector->list (log-density moons x 0.02))))
       (mean (lambda (l) (/ (apply + l) (length l))))
       (drawn (tensor+ (prior-draw moons 4000 #:seed 4)
                       (tensor* 0.02 (random-normal '(4000 2) 1))))
       (d (density drawn))
       (sd (sqrt (mean (map (lambda (v) (expt (- v (mean d)) 2)) d)))))
  (test-approximate "mean log density" (mean d) (mean (density (chain-samples chain)))
    (* 4 sd (sqrt (+ 1/400 1/4000))))
  ;; Either arc has half of the mass; the second lies lower.  The mean height is 1/4.
  (let* ((height (tensor-mean (tensor-slice (chain-samples chain) 1 1 2))))
    (test-approximate "both moons" 0.25 (tensor->number height)
      ;; The height's standard deviation is 0.5 at most.
      (* 4 0.5 (sqrt 1/400)))))

;;; --- Samplers, masses, and what tunes itself ---------------------------------------------

;; The variance over chains in units of the exact one, over frequencies, and the mean's error in
;; its Monte Carlo errors; for 64 chains and 192 frequencies by chance within 4 sqrt (2 / 126 /
;; 192) = 0.036 of 1, and the mean square of 384 errors within 4 sqrt (2 / 384) = 0.29.
(define (against-exact chain)
  (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1
                                                    #:sigma (chain-sigma chain))))
    (let* ((k (fft2 (chain-samples chain))) (n (first (tensor-shape k)))
           (k-mean (tensor-mean k 0))
           (sample (tensor/ (tensor-sum-squares (tensor- k k-mean) 0) (* 2 (1- n))))
           (average (lambda (t) (tensor->number (tensor-mean t)))))
      (list (average (tensor/ sample variance))
            (average (tensor/ (tensor-square (tensor-abs (tensor- k-mean (fft2 mean))))
                              (tensor* (/ 2. n) variance)))))))

(define (test-exact name slack chain)
  (let ((result (against-exact chain)))
    (test-approximate (string-append name ": variance") 1 (first result) (+ 0.036 slack))
    (test-approximate (string-append name ": mean") 1 (second result) (+ 0.29 slack))))

(define cooled (geometric 30 #:ratio 0.9 #:until 0.2))
(define (run-with . settings)
  (apply anneal target #:chains 64 #:seed 11 #:temperatures cooled settings))

(define (interrupted-target call)
  ;; Sends this process SIGINT during evaluation number CALL of the score.
  (let ((calls 0))
    (posterior (lambda (x sigma)
                 (set! calls (1+ calls))
                 (when (= calls call)
                   (kill (getpid) SIGINT)
                   ;; Another thread takes the signal, when it comes to it.
                   (let wait ((tries 5000))
                     (usleep 1000)
                     (when (> tries 0) (wait (1- tries)))))
                 (score field x sigma))
               op y #:noise 0.1)))

;; SLACK: what stays of each temperature's change at this rate of cooling, and the bias of
;; what is not corrected.
(test-exact "hmc" 0.03 (run-with))
(test-exact "hmc, two stages" 0.03
            (run-with #:sampler (hmc #:integrator 'two-stage) #:step-size 0.9 #:trajectory-length '(2 3)))
(test-exact "hmc, three stages" 0.03
            (run-with #:sampler (hmc #:integrator 'three-stage) #:step-size 1.3 #:trajectory-length '(1 2)))
(test-exact "hmc by the line" 0.03 (run-with #:sampler (hmc #:acceptance 'path-integral)))
(test-exact "hmc with the mass that needs no table" 0.03 (run-with #:mass 'normal))
(test-exact "mala" 0.06
            (run-with #:sampler (mala) #:step-size 0.8 #:steps-per-temperature 12))
(test-exact "langevin" 0.1
            (run-with #:sampler (langevin) #:step-size 0.5 #:steps-per-temperature 24))
(test-exact "steps tuned" 0.06
            (run-with #:step-size (dual-averaging #:target 0.9)))
(test-exact "temperatures placed" 0.06
            (run-with #:temperatures (adaptive 30 #:until 0.2 #:move 0.15)))

;; Those that go from sigma to sigma are exact only as far as p_sigma (x | y) is the posterior
;; under noise.  From the prior alone they are, but for the steps' size.
(for-each
 (lambda (name sampler slack)
   (let* ((chain (anneal (prior-target field #:dtype 'c64) #:chains 64 #:seed 5 #:sampler sampler
                         #:temperatures (geometric 60 #:ratio 0.96 #:until 0.2)))
          (sample (tensor-sum-squares (fft2 (chain-samples chain)) 0)))
     (test-approximate name 1
       (tensor->number (tensor-mean (tensor/ sample (tensor* 128 (tensor+ spectrum 0.04)))))
       (+ 0.036 slack))
     (test-equal (string-append name ": a move a temperature")
       (schedule-length (geometric 60 #:ratio 0.96 #:until 0.2)) (length (chain-trace chain)))))
 '("probability flow" "predictor-corrector")
 (list (probability-flow) (predictor-corrector))
 '(0.03 0.08))
(let* ((evaluations (lambda (sampler)
                      (chain-evaluations (anneal target #:chains 2 #:temperatures '(4 2 1)
                                                 #:sampler sampler)))))
  (test-equal "Heun: two a step, and the last score" (+ 2 2 1) (evaluations (probability-flow)))
  (test-equal "Euler: one" 3 (evaluations (probability-flow #:order 1)))
  (test-equal "a corrector at each, a predictor between" (* 3 2) (evaluations (predictor-corrector)))
  (test-equal "predictors alone" 3 (evaluations (predictor-corrector #:corrections 0))))

;; One's own: a step of gradient ascent; all is accepted that is finite.
(let* ((climb (lambda (move)
                (values (tensor+ (move-x move) (tensor* (move-step-size move) (move-gradient move)))
                        #f #f)))
       (chain (anneal (posterior field op y #:noise 0.1 #:widening 1) #:chains 2 #:sampler climb
                      #:temperatures '(1) #:step-size 0.4
                      #:jitter 0 #:steps-per-temperature 900)))
  (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1 #:sigma 1
                                                    #:widening 1)))
    (test-assert "one's own sampler climbs to the mean"
      (> 0.02 (tensor->number (tensor-max (tensor-abs (tensor- (chain-mean chain) mean)))))))
  (test-equal "and knows no energy" #f (transition-energy-error (last (chain-trace chain)))))
(test-equal "what is not finite is not taken" 0.
  (chain-acceptance (anneal target #:chains 2 #:temperatures '(1)
                            #:sampler (lambda (move) (values (tensor* +inf.0 (move-x move)) #f #f)))))
(test-error-matching "a sampler's x" "sampler: expected it to give a c64 tensor of shape (2 16 12)"
  (anneal target #:chains 2 #:temperatures '(1)
          #:sampler (lambda (move) (values (tensor-zeros '(3)) #f #f))))
(let ((move-numbers '()))
  (anneal target #:chains 2 #:temperatures '(2 1)
          #:sampler (lambda (move)
                      (set! move-numbers
                            (cons (list (move-sigma move) (move-next-sigma move)
                                        (tensor-ref (move-normal move) 0 0 0)
                                        (tensor-ref (move-normal move 1) 0 0 0))
                                  move-numbers))
                      (values (move-x move) (move-gradient move) #f)))
  (test-equal "what a move knows" '((2. 1.) (1. #f)) (map (lambda (m) (list-head m 2)) (reverse move-numbers)))
  (test-equal "each its own numbers" 4 (length (delete-duplicates (append-map cddr move-numbers)))))

;; The masses of one target are the same, with and without a table.
(let* ((mass (lambda (name) ((assq-ref (target-masses target) name) 0.3)))
       (m (random-normal '(3 16 12) 5 0 'c64))
       (far (lambda (a b) (tensor->number (tensor-max (tensor-abs (tensor- a b)))))))
  (test-equal "its masses" '(fourier normal) (map car (target-masses target)))
  (test-assert "velocities" (> 1e-4 (far (mass-velocity (mass 'fourier) m) (mass-velocity (mass 'normal) m))))
  (test-assert "energies"
    (every (lambda (a b) (close? 1e-3 a b)) (vector->list (mass-energy (mass 'fourier) m))
           (vector->list (mass-energy (mass 'normal) m))))
  ;; m^H M^-1 m is a chi-square of 384 degrees of freedom for each of 200 chains.
  (let ((energies (vector->list (mass-energy (mass 'fourier)
                                             (mass-draw (mass 'normal) (tensor-zeros '(200 16 12) 'c64) 3 7)))))
    (test-approximate "draws have the mass" 1 (/ (apply + energies) (* 200 192))
      (* 4 (sqrt (/ 2. (* 384 200))))))
  (test-assert "another stream, another draw"
    (< 0.1 (far (mass-draw (mass 'normal) m 3 7) (mass-draw (mass 'normal) m 3 8)))))

;; Inpainting: measured are some pixels, and nothing is diagonal in k-space.  With a white prior
;; the posterior is known pixel by pixel.
(let* ((white (gaussian-prior (tensor-assign! (tensor-zeros '(16 12)) 4)))
       (seen (tensor< (random-uniform '(16 12) 3) 0.4))
       (cover (lambda (x) (tensor* x seen)))
       (op (make-operator "inpainting" #:forward cover #:adjoint cover #:restrict cover))
       (scan (tensor-reshape (prior-draw white 1 #:seed 1) '(16 12)))
       (y (measure op scan #:noise 0.3 #:seed 2))
       (target (posterior white op y #:noise 0.3))
       (chain (anneal target #:chains 64 #:seed 3 #:temperatures (geometric 30 #:ratio 0.9 #:until 0.02)))
       (variance (tensor/ 1 (tensor+ (tensor* seen (/ 0.0904)) (/ 4.0004))))
       (mean (tensor* (tensor* variance (/ 0.0904)) y))
       (sample (tensor/ (tensor-sum-squares (tensor- (chain-samples chain) (tensor-mean (chain-samples chain) 0)) 0)
                        126)))
  (test-equal "its mass" '(normal) (map car (target-masses target)))
  (test-approximate "inpainting: variance" 1
    (tensor->number (tensor-mean (tensor/ sample variance))) 0.066)
  (test-approximate "inpainting: mean" 1
    (tensor->number (tensor-mean (tensor/ (tensor-square (tensor-abs (tensor- (chain-mean chain) mean)))
                                          (tensor* 2/64 variance)))) 0.32)
  (test-error-matching "no table" "mass: expected normal, identity" (anneal target #:mass 'fourier)))

;; Modes of an image-space mixture: two far apart, of weights 3 and 1.  400 chains: the share of
;; one is binomial.
(let* ((image (tensor-assign! (tensor-zeros '(8 8) 'c64) 3))
       (means (tensor-concatenate (map (lambda (s) (tensor-reshape (tensor* s image) '(1 8 8))) '(1 -1)) 0))
       (mixture (gaussian-mixture-prior means #:weights '(3 1) #:sd 0.5))
       (chain (anneal (prior-target mixture #:dtype 'c64) #:chains 400 #:seed 9
                      #:mass 'identity #:step-size
                      (lambda (sigma) (* 0.4 (sqrt (+ 0.25 (* sigma sigma)))))
                      #:temperatures (geometric 60 #:ratio 0.93 #:until 0.1)))
       (sums (tensor->list (tensor-mean (tensor-real (chain-samples chain)) '(1 2)))))
  (test-assert "every chain is in a mode" (every (lambda (m) (< 2.5 (abs m) 3.5)) sums))
  (test-approximate "the modes' weights" 0.75 (/ (count positive? sums) 400.)
    (* 4 (sqrt (/ (* 0.75 0.25) 400)))))

;; The defaults do it too: chains of a prior alone have the mass 1 / sigma^2, by scale alone.
(let* ((chain (anneal (prior-target moons) #:chains 400 #:seed 3
                      #:temperatures (geometric 3 #:ratio 0.8 #:until 0.02)))
       (density (lambda (x) (vector->list (log-density moons x 0.02))))
       (drawn (density (tensor+ (prior-draw moons 4000 #:seed 4)
                                (tensor* 0.02 (random-normal '(4000 2) 1)))))
       (average (lambda (l) (/ (apply + l) (length l))))
       (sd (sqrt (average (map (lambda (v) (expt (- v (average drawn)) 2)) drawn)))))
  (test-approximate "two moons by default: mean log density" (average drawn)
    (average (density (chain-samples chain))) (* 4 sd (sqrt (+ 1/400 1/4000))))
  (test-approximate "two moons by default: both" 0.25
    (tensor->number (tensor-mean (tensor-slice (chain-samples chain) 1 1 2)))
    (* 4 (/ 0.5 (sqrt 400)))))
(test-error-matching "no precision" "diagonal-mass: precision: expected a positive number"
  (diagonal-mass 0))
(test-error-matching "a precision of 0" "diagonal-mass: precision: expected a positive number"
  (diagonal-mass (list->tensor '(1 0))))

;; Along the trajectory, along the line, and by the density: the same decisions on two moons.
(let* ((start (tensor+ (prior-draw moons 2000 #:seed 3)
                       (tensor* 0.5 (random-normal '(2000 2) 77))))
       (decisions (lambda (acceptance)
                    (let ((chain (anneal (prior-target moons) #:chains 2000 #:seed 2 #:mass 'identity
                                         #:jitter 0 #:temperatures '(0.5) #:start start
                                         #:steps-per-temperature 1 #:trajectory-length 6
                                         #:step-size 0.3 #:sampler (hmc #:acceptance acceptance))))
                      (vector->list (transition-accepted (first (chain-trace chain)))))))
       (truth (decisions 'log-density)))
  (test-assert "some are rejected" (< 10 (count not truth) 1990))
  (for-each (lambda (acceptance)
              (test-assert (format #f "~a decides as the density does, in 99 %" acceptance)
                (<= (count (lambda (a b) (not (eq? a b))) truth (decisions acceptance)) 20)))
            '(trajectory path-integral)))

;; Dual averaging comes to its target; on a Gaussian of one width acceptance falls with the step.
(let* ((normal (make-target "normal" #:shape '(400)
                            #:score (lambda (x sigma) (tensor-negate x))))
       (chain (anneal normal #:chains 16 #:temperatures '(1) #:steps-per-temperature 200
                      #:trajectory-length 3 #:step-size (dual-averaging #:target 0.7 #:initial 0.1)))
       (late (drop (chain-trace chain) 100))
       (rate (lambda (t) (/ (count identity (vector->list (transition-accepted t))) 16.))))
  ;; 1600 decisions, 4 standard errors, and a lack of acceptance that holds the step where it is.
  (test-approximate "dual averaging" 0.7 (/ (apply + (map rate late)) 100) (+ 0.05 0.046))
  (test-assert "from far" (> (transition-step-size (last late)) 0.3)))
(test-error-matching "target" "target: expected a number between" (dual-averaging #:target 1))
(test-error-matching "initial" "initial: expected" (dual-averaging #:initial 0))

;; Placed temperatures: on a prior that is all noise the move is 2 |log ratio|.
(let* ((nothing (make-target "noise" #:shape '(50)
                             #:score (lambda (x sigma) (tensor* (/ -1 (* sigma sigma)) x))
                             #:masses `((best . ,(lambda (sigma)
                                                   (make-mass "1/sigma^2"
                                                              (lambda (x seed stream)
                                                                (tensor* (/ sigma) (momentum-draw x #f seed stream)))
                                                              (lambda (m) (tensor* (* sigma sigma) m))))))))
       (chain (anneal nothing #:chains 64 #:trajectory-length 3 #:step-size 0.6
                      #:temperatures (adaptive 100 #:until 1 #:move 0.3 #:ratio 0.95 #:fastest 0.6)))
       (ratios (map transition-ratio (chain-trace chain))))
  (test-equal "to the end" 1. (chain-sigma chain))
  (test-approximate "the ratio that moves so much" (exp -0.15)
    (list-ref ratios (quotient (length ratios) 2)) 0.02)
  (test-assert "slow at first, as told" (= 0.95 (first ratios))))
(test-error-matching "move" "move: expected" (adaptive 100 #:until 1 #:move 0))
(test-error-matching "until" "until: expected at most" (adaptive 1 #:until 2))
(test-error-matching "order" "in order" (adaptive 100 #:until 1 #:ratio 0.5))

;; What tunes itself stops, goes on and goes through a file to the same bits.
(let* ((settings (list #:chains 3 #:seed 4 #:step-size (dual-averaging)
                       #:temperatures (adaptive 10 #:until 0.5)))
       (whole (apply anneal target settings)))
  (call-with-temporary-directory
   (lambda (directory)
     (let ((file (string-append directory "/chain"))
           (paused (call-typed with-error-to-port (%make-void-port "w")
                       (lambda ()
                         (sigaction SIGINT
                           (lambda (signal)
                             (scm-error 'signal #f "User interrupt" '() (list signal))))
                         (apply anneal (interrupted-target 40) settings)))))
       (test-assert "paused" (not (chain-finished? paused)))
       (save-chain file paused)
       (test-assert "through a file, the same bits"
         (same? whole (resume! (apply load-chain file target (cddr settings)))))
       (test-assert "resumed, the same bits" (same? whole (resume! paused)))))))

;;; --- Pausing, resuming, forking ---------------------------------------------------

(sigaction SIGINT (lambda (signal) (scm-error 'signal #f "User interrupt" '() (list signal))))

(define-syntax-rule (at-a-prompt expression)
  (call-typed with-error-to-port (%make-void-port "w") (lambda () expression)))

(for-each
 (lambda (call)
   (let* ((depth (scope-open!))
          (paused (begin (scope-close! depth #t)
                         (at-a-prompt (short (interrupted-target call)))))
          (again (scope-open!)))
     (scope-close! again #t)
     (test-equal (format #f "scopes are closed, ~a" call) depth again)
     (test-assert (format #f "paused in evaluation ~a" call) (not (chain-finished? paused)))
     (test-equal "at a whole step" (length (chain-trace paused))
       (length (filter (lambda (t) (vector? (transition-accepted t))) (chain-trace paused))))
     (resume! paused)
     (test-assert "resumed, the same bits" (and (chain-finished? paused) (same? paused unbroken)))
     (test-equal "and the same evaluations" (chain-evaluations unbroken)
       (chain-evaluations paused))))
 '(1 2 5 6 8 9 20 40))

(test-equal "a script that is interrupted ends" 'signal
  (catch #t (lambda () (short (interrupted-target 5)) 'went-on) (lambda (key . _) key)))

(let* ((error (lambda (x sigma) (throw 'mishap 1 2)))
       (condition (lambda (x sigma) (raise-exception 'odd))))
  (test-equal "an error in a score goes on its way" '(mishap 1 2)
    (catch #t (lambda () (short (posterior error op y))) list))
  (test-equal "and so does an exception that is no throw" 'odd
    (with-exception-handler identity
      (lambda () (short (posterior condition op y)))
      #:unwind? #t))
  (test-equal "out of the leapfrog" '(mishap 1 2)
    (catch #t
      (lambda ()
        (let ((x (random-normal '(2 3) 1)))
          (trajectory 'leapfrog (lambda (x) (throw 'mishap 1 2)) x x x 0.1 1 #f)))
      list))
  (test-equal "an escape from a score" 'escaped
    (let ((x (random-normal '(2 3) 1)) (depth (scope-open!)))
      (scope-close! depth #t)
      (let ((result (let/ec escape (path-integral (lambda (x) (escape 'escaped)) x x x x 4))))
        (and (= depth (let ((d (scope-open!))) (scope-close! d #t) d)) result))))
  (test-equal "and one in a mass" '(mishap 3)
    (catch 'mishap
      (lambda ()
        (short target #:mass (make-mass "odd" (lambda (x seed stream) (momentum-draw x #f seed stream))
                                        (lambda (m) (throw 'mishap 3)))))
      list))
  (test-error-matching "a score of the wrong shape" "score: expected"
    (short (prior-target (lambda (x sigma) (tensor-zeros '(2))) #:shape '(5))))
  (test-error-matching "a score that is no tensor" "tensor"
    (short (prior-target (lambda (x sigma) 7) #:shape '(2)))))

(let* ((paused (at-a-prompt (short (interrupted-target 30))))
       (before (chain-samples paused))
       (twin (resume! (fork paused)))
       (bold (resume! (fork paused #:step-size 0.3 #:steps-per-temperature 2)))
       (colder (resume! (fork paused #:temperatures (geometric 10 #:ratio 0.5 #:until 0.2)))))
  (test-assert "a fork goes the same way" (same? twin unbroken))
  (test-assert "with other settings it does not" (not (same? bold unbroken)))
  (test-equal "two steps a temperature" 0.3 (transition-step-size (last (chain-trace bold))))
  (test-assert "the original stays" (tensor-identical? before (chain-samples paused)))
  (test-equal "new temperatures" 0.2 (chain-sigma colder))
  (test-assert "begin at or below the old"
    (let ((new (drop (chain-trace colder) (length (chain-trace paused)))))
      (every (lambda (t) (<= (transition-sigma t) (chain-sigma paused))) new)))
  (test-assert "and the original still goes on" (same? (resume! paused) unbroken))
  (test-assert "what is finished stays" (same? (resume! paused) unbroken))
  (test-equal "temperatures all above where the chain is leave it there" (chain-sigma unbroken)
    (chain-sigma (resume! (fork unbroken #:temperatures (list (* 3 (chain-sigma unbroken)) (* 2 (chain-sigma unbroken)))))))
  (test-error-matching "a fork's settings" "chains" (fork paused #:chains 4))
  (test-error-matching "a fork's step" "step-size: expected" (fork paused #:step-size -1))
  (test-error-matching "a fork of" "chain: expected" (fork 3))
  (test-error-matching "resume" "chain: expected" (resume! 'it)))

;; A step that tunes itself is kept by a fork, and begins anew with a new one.
(let* ((rule (dual-averaging #:initial 0.5))
       (paused (at-a-prompt (short (interrupted-target 30) #:step-size rule #:seed 4)))
       (next-size (lambda (chain)
                    (transition-step-size (list-ref (chain-trace (resume! chain))
                                                    (length (chain-trace paused))))))
       (kept (fork paused)) (anew (fork paused #:step-size (dual-averaging #:initial 0.3))))
  (test-equal "begins anew" 0.3 (next-size anew))
  (test-assert "or is kept" (not (= 0.5 (next-size kept))))
  (test-assert "and goes the same way" (same? kept (short target #:step-size rule #:seed 4))))

;;; --- States kept, hooks --------------------------------------------------------------

(define (kept-at chain)
  (map car (chain-states chain)))
(define close-sigmas?
  (lambda (expected got)
    (and (= (length expected) (length got)) (every (lambda (a b) (close? 1e-6 a b)) expected got))))

(test-assert "kept at every half" (close-sigmas? '(10 3.6 1.296 0.5) (kept-at unbroken)))
(test-assert "the last state is the present one"
  (tensor-identical? (chain-samples unbroken) (cdr (last (chain-states unbroken)))))
(for-each
 (lambda (keep expected)
   (let ((chain (short target #:keep keep)))
     (test-assert (format #f "keep ~a" keep) (close-sigmas? expected (kept-at chain)))
     (test-assert "keeping changes nothing" (same? chain unbroken))))
 '(#f #t 5 (10 4 3.6 0.6))
 '((0.5) (10 10 6 3.6 2.16 1.296 0.7776 0.5) (10 1.296 0.5) (10 3.6 0.5)))

(let* ((whole (short target #:keep #t))
       (chain (short target #:keep #t))
       (at-2 (cdr (assv 2.16 (map (lambda (s) (cons (/ (round (* 100 (car s))) 100) (cdr s)))
                                  (chain-states whole))))))
  (test-eq "rewound in place" chain (rewind! chain 2.16))
  (test-assert "to the state of then" (tensor-identical? at-2 (chain-samples chain)))
  (test-equal "before the next temperature" 4 (length (chain-trace chain)))
  (test-assert "at it" (close? 1e-6 1.296 (chain-sigma chain)))
  (test-equal "states up to there" 5 (length (chain-states chain)))
  (let ((bold (resume! (fork chain #:step-size 0.3))))
    (test-assert "another way from there" (not (same? bold whole)))
    (test-assert "with the states before it"
      (tensor-identical? at-2 (cdr (list-ref (chain-states bold) 4)))))
  (let ((colder (rewind! (fork whole #:temperatures (geometric 10 #:ratio 0.5 #:until 0.1)) 3)))
    (test-equal "a fork's states go on with its temperatures" 1.25 (chain-sigma colder))
    (resume! colder)
    (test-equal "to its end" 0.1 (chain-sigma colder)))
  (test-assert "its end is still there" (same? (rewind! chain 0.5) whole))
  (test-equal "with what came before" (length (chain-states whole)) (length (chain-states chain)))
  (resume! (rewind! chain 2.16))
  (test-equal "each once" (map car (chain-states whole)) (map car (chain-states chain)))
  (test-assert "the same way to the same bits" (same? chain whole))
  (test-equal "and evaluations" (chain-evaluations whole) (chain-evaluations chain))
  ;; The end is no state that #:keep asks for.
  (let ((chain (rewind! (short target #:keep 5) 10)))
    (test-assert "an end that was not kept" (same? whole (rewind! chain 0.5)))
    (resume! (rewind! chain 10))
    (test-assert "what is kept stays" (close-sigmas? (kept-at (short target #:keep 5)) (kept-at chain))))
  (test-equal "to the start" 0 (length (chain-trace (rewind! (short target) 10))))
  (call-with-temporary-directory
   (lambda (directory)
     (let* ((file (string-append directory "/chain"))
            (load (lambda ()
                    (load-chain file target #:temperatures temperatures #:seed 7 #:step-size 0.35
                                #:jitter 0 #:trajectory-length 6 #:sampler paper-hmc #:keep #t))))
       (save-chain file whole)
       (let ((loaded (rewind! (load) 2.16)))
         (test-assert "states go through a file" (tensor-identical? at-2 (chain-samples loaded)))
         (test-assert "and go on to the same bits" (same? (resume! loaded) whole)))
       (save-chain file whole #:states? #f)
       (test-equal "or stay out of it" 1 (length (chain-states (load)))))))
  (test-error-matching "kept nothing so high" "kept are those at (10.0 3.6 1.3 0.5)"
    (rewind! (short target) 11))
  (test-error-matching "kept nothing" "kept are those at none" (rewind! (short target #:keep #f) 1))
  (test-error-matching "rewind what" "chain: expected" (rewind! 3 1))
  (test-error-matching "rewind where" "sigma: expected" (rewind! whole 'start))
  (test-error-matching "states of" "chain: expected" (chain-states 3)))
(test-error-matching "keep 1" "keep: expected" (short target #:keep 1))
(test-error-matching "keep 'all" "keep: expected" (short target #:keep 'all))

;; Tuned rules and their states rewind too.
(let* ((settings (list #:seed 4 #:step-size (dual-averaging)
                       #:temperatures (adaptive 10 #:until 0.5)))
       (whole (apply short target settings))
       (again (resume! (rewind! (apply short target settings) 3))))
  (test-assert "what tunes itself, rewound" (same? whole again))
  (test-equal "with its ratios" (map transition-ratio (chain-trace whole))
    (map transition-ratio (chain-trace again))))

(let* ((seen '())
       (note! (lambda (chain) (set! seen (cons (chain-sigma chain) seen))))
       (chain (short target #:steps-per-temperature 2 #:hook note!)))
  (test-assert "a hook at the end of each temperature"
    (close-sigmas? (append (cdr (schedule->list temperatures)) '(0.5)) (reverse seen)))
  (set! seen '())
  (resume! (rewind! chain 1.2) #:hook note!)
  (test-equal "of what is left" 2 (length seen))
  (test-equal "an error in a hook goes on its way" '(mishap)
    (catch 'mishap (lambda () (short target #:hook (lambda (chain) (throw 'mishap)))) list))
  (test-error-matching "a hook that is none" "hook: expected" (short target #:hook 3)))

;; Through a file.
(call-with-temporary-directory
 (lambda (directory)
   (let ((file (string-append directory "/chain.safetensors"))
         (settings (list #:temperatures temperatures #:seed 7 #:step-size 0.35 #:jitter 0
                         #:trajectory-length 6 #:sampler paper-hmc))
         (paused (at-a-prompt (short (interrupted-target 30)))))
     (save-chain file paused)
     (let ((loaded (apply load-chain file target settings)))
       (test-equal "a chain as it was" (format #f "~a" paused) (format #f "~a" loaded))
       (test-equal "its trace" (map transition-energy-error (chain-trace paused))
         (map transition-energy-error (chain-trace loaded)))
       (resume! loaded)
       (test-assert "resumed from a file, the same bits" (same? loaded unbroken))
       (test-equal "and the same evaluations" (chain-evaluations unbroken)
         (chain-evaluations loaded)))
     (test-error-matching "another seed" "it was annealed with seed 7, got 8"
       (load-chain file target #:temperatures temperatures #:seed 8))
     (test-error-matching "other temperatures" "it was annealed with temperatures"
       (load-chain file target #:seed 7))
     (test-error-matching "another target" "x: expected chains of shape (2)"
       (apply load-chain file (prior-target moons) settings))
     (let-values (((tensors about) (load-safetensors file)))
       (save-safetensors file (acons "y" (tensor-zeros '(2)) tensors) #:metadata about)
       (test-error-matching "a tensor too many" "it has tensors that are not of it: \"y\""
         (apply load-chain file target settings)))
     (test-error-matching "no target" "target: expected" (load-chain file 3))
     (test-error-matching "no file" "nowhere" (load-chain "/nowhere" target))
     (save-safetensors file `(("x" . ,(tensor-zeros '(3 16 12 2)))))
     (test-error-matching "no chain" "expected a chain of format tempera-chain-3"
       (apply load-chain file target settings))
     (save-safetensors file `(("x" . ,(tensor-zeros '(3 16 12 2))))
                       #:metadata '(("format" . "tempera-chain-3") ("state" . "((seed . 7")))
     (test-error-matching "a torn state" "expected a chain of format tempera-chain-3"
       (apply load-chain file target settings))
     (test-error-matching "nothing to save" "chain: expected" (save-chain file 3)))))

;; Starts.
(let ((start (random-normal '(3 16 12) 3 0 'c64))
      (nowhere (list #:temperatures '(1e-3) #:step-size 1e-6 #:trajectory-length 1)))
  (test-assert "a batch is taken as it is"
    (> 1e-2 (tensor->number
             (tensor-max (tensor-abs (tensor- start (chain-samples
                                                     (apply anneal target #:chains 3 #:start start
                                                            nowhere))))))))
  (let* ((chain (anneal target #:chains 200 #:temperatures '(100) #:mass 'identity #:step-size 1e-6
                        #:trajectory-length 1))
         (d (tensor- (chain-samples chain) (apply-adjoint op y)))
         (n (* 200 16 12)))
    ;; Zero-filled + 100 z, z of unit variance in both parts and these uncorrelated.
    (test-approximate "the start's variance" 1e4
      (/ (tensor->number (tensor-sum-squares (tensor-real d))) n) (* 4 1e4 (sqrt (/ 2. n))))
    (test-approximate "real and imaginary part apart" 0
      (/ (tensor->number (tensor-sum (tensor* (tensor-real d) (tensor-imag d)))) n)
      (* 4 1e4 (sqrt (/ 1. n))))))

;; With the target's mass the noise is M^-1's, a tenth hotter: where there are measurements, theirs.
(let* ((chain (start-chain target #:chains 200 #:temperatures '(100)))
       (k (fft2 (tensor- (chain-samples chain) (apply-adjoint op y))))
       (measured (tensor-broadcast (operator-normal-diagonal op) '(16 12)))
       (n (* 200 (tensor->number (tensor-sum measured))))
       (variance (lambda (where count)
                   (/ (tensor->number (tensor-sum-squares (tensor* where k))) (* 2 count)))))
  (test-approximate "the start's noise where it was measured" (* 1.21 0.01) (variance measured n)
    (* 4 1.21 0.01 (sqrt (/ n))))
  (let ((rest (- (* 200 16 12) n)))
    (test-approximate "and where not" 1.21e4 (variance (tensor- 1 measured) rest)
      (* 4 1.21e4 (sqrt (/ rest))))))

;; The paper's settings, on a shorter way.
(let* ((paper (append (list #:temperatures '(100 99.5 99)) (cddr paper-schedule)))
       (chain (apply anneal (posterior field op y #:noise 0.1 #:widening 1) #:chains 3 paper)))
  (test-equal "four accepted steps a temperature" 12 (length (chain-trace chain)))
  (test-equal "three leapfrog steps" 3 (transition-steps (first (chain-trace chain))))
  (test-approximate "of 10 (sigma/100)^1.5" (* 10 (expt 0.99 1.5))
    (transition-step-size (last (chain-trace chain))) 1e-9))
(test-equal "at most so many" 5
  (length (chain-trace (anneal target #:temperatures '(1) #:step-size 1e20 #:chains 2
                               #:steps-per-temperature (accepted-steps 2 #:at-most 5)))))

;;; --- Bad input --------------------------------------------------------------------

(define-syntax-rule (test-bad text argument ...)
  (test-error-matching text text (short target argument ...)))

(test-error-matching "no target" "target: expected one" (anneal 3))
(test-bad "chains: expected a positive integer, got 0" #:chains 0)
(test-bad "step-size: expected a positive number" #:step-size 0)
(test-bad "step-size: expected a positive number" #:step-size +nan.0)
(test-bad "step-size: expected a positive number, got -1 at sigma 10.0" #:step-size (const -1))
(test-bad "trajectory-length: expected a positive number of steps" #:trajectory-length 1.5)
(test-bad "trajectory-length: expected a positive number of steps" #:trajectory-length '(4 0))
(test-bad "steps-per-temperature: expected" #:steps-per-temperature 0)
(test-bad "acceptance: expected trajectory, path-integral, log-density, none"
  #:sampler (hmc #:acceptance 'always))
(test-bad "intervals: expected a positive even integer" #:sampler (hmc #:intervals 3))
(test-bad "mass: expected fourier, normal, identity" #:mass 'heavy)
(test-bad "mass: " #:mass (tensor-zeros '(3 3)))
(test-bad "mass: expected positive numbers, got 0" #:mass (tensor-zeros '(16 12)))
(test-bad "seed: expected" #:seed -3)
(test-bad "unrecognized keyword #:temperture; did you mean #:temperatures?" #:temperture 3)
(test-bad "start: expected a c64 tensor" #:start (tensor-zeros '(16 12)))
(test-bad "start: expected a c64 tensor" #:start (tensor-zeros '(4 16 12) 'c64))
(test-error-matching "temperatures" "temperatures: expected a schedule with a length"
  (anneal target #:temperatures (constant 3)))
(test-error-matching "no temperature" "temperatures: expected" (anneal target #:temperatures '()))
(test-error-matching "cold" "temperatures: expected" (anneal target #:temperatures '(1 0)))
(test-error-matching "no density" "has no log density"
  (short (posterior (lambda (x s) x) op y) #:sampler (hmc #:acceptance 'log-density)))
(test-error-matching "no mass" "mass: expected white, identity"
  (short (prior-target moons) #:mass 'fourier))
(test-error-matching "an exact prior" "is a prior; (posterior prior op y #:noise 0.1) is its target"
  (anneal field))
(test-error-matching "a network" "(prior-target prior #:shape '(64 64)) without one"
  (anneal (score-network '(moons-mlp))))
(test-error-matching "neither" "target: expected one, as `posterior' and `prior-target' make, got 3" (anneal 3))
(test-error-matching "of a file" "is a prior" (load-chain "none" field))
(test-eq "complex images by themselves" 'c64 (target-dtype (prior-target field)))
(test-eq "of a network too" 'c64
  (target-dtype (prior-target (score-network '(paper-unet #:channels (4 8) #:blocks 1)) #:shape '(16 16))))
(test-eq "but not points" 'f32
  (target-dtype (prior-target (score-network '(moons-mlp)) #:shape '(2))))
(test-assert "the prior alone is sampled" (chain-finished? (short (prior-target field))))
(test-error-matching "another dtype" "dtype: expected c64" (prior-target field #:dtype 'f32))
(test-error-matching "no prior" "prior: expected a prior" (prior-target 3))
(test-error-matching "operator" "operator: expected one" (posterior field 3 y))
(test-error-matching "noise" "noise: expected a positive number" (posterior field op y #:noise 0))
(test-error-matching "widening" "widening: expected a number of 0 or more"
  (posterior field op y #:widening -1))
(test-error-matching "data" "y: expected" (posterior field op (tensor-zeros '(16 13) 'c64)))
(test-error-matching "a batch of data" "y: expected one measurement"
  (posterior field op (tensor-zeros '(2 16 12) 'c64)))
(test-error-matching "shape" "shape: this prior has none of its own" (prior-target (lambda (x s) x)))
(test-error-matching "dtype" "dtype: expected" (make-target "t" #:shape '(2) #:dtype 'f64 #:score +))
(test-error-matching "score" "score: expected" (make-target "t" #:shape '(2)))
(test-error-matching "accepted" "count, at-most: expected" (accepted-steps 0))
(test-error-matching "one sample" "one sample has no standard deviation"
  (chain-std (anneal target #:temperatures '(1) #:chains 1)))
(let ((x (random-normal '(2 3) 1)))
  (test-error-matching "step" "step: expected" (trajectory 'leapfrog - x x x -1 1 #f))
  (test-error-matching "steps" "steps: expected" (trajectory 'leapfrog - x x x 1 0 #f))
  (test-error-matching "momentum" "m: " (trajectory 'leapfrog - x (tensor-zeros '(2 4)) x 1 1 #f))
  (test-error-matching "score" "score: expected a procedure" (trajectory 'leapfrog 3 x x x 1 1 #f))
  (test-error-matching "rank" "x: expected a batch of chains"
    (momentum-draw (tensor-zeros '(3)) #f 0 0))
  (test-error-matching "intervals" "intervals: expected an even number"
    (path-integral tensor-negate x x x x 5))
  (test-error-matching "ratios" "log-ratio: expected a vector" (metropolis '(1) 0 0))
  (test-error-matching "ratio" "log-ratio: expected a vector of real" (metropolis #(a) 0 0))
  (test-error-matching "accepted" "accepted: expected a vector of 2" (chains-select! #(#t) x x x x))
  (test-error-matching "dot" "b: " (chains-dot x (tensor-zeros '(2 4)))))

;;; --- What is wrong is said ------------------------------------------------------------

(define (warnings-of thunk)
  ;; What THUNK, which gives a chain, writes to the warning port, and the chain.
  (let* ((port (open-output-string))
         (chain (parameterize ((current-warning-port port)) (thunk))))
    (values (get-output-string port) chain)))

(define (spoilt c below)
  ;; The field's score, NaN for chain C below a sigma.
  (lambda (x sigma)
    (let ((g (tensor-copy (score field x sigma))))
      (when (< sigma below) (tensor-assign! (tensor-slice g 0 c (1+ c)) +nan.0))
      g)))

(define (others x c)
  ;; The chains of X but chain C.
  (tensor-concatenate (list (tensor-slice x 0 0 c) (tensor-slice x 0 (1+ c) (tensor-size x 0))) 0))

;; One chain's score ends; the others go the way that they go without.
(for-each
 (lambda (name settings)
   (let ((anneal (lambda (prior)
                   (apply anneal (posterior prior op y) #:temperatures temperatures #:chains 4
                          #:seed 7 #:steps-per-temperature 2 settings))))
     (let-values (((said chain) (warnings-of (lambda () (anneal (spoilt 2 3)))))
                  ((silence whole) (warnings-of (lambda () (anneal field)))))
       (test-assert (string-append name ": the others' bits")
         (tensor-identical? (others (chain-samples chain) 2) (others (chain-samples whole) 2)))
       (test-assert (string-append name ": its last state") (tensor-finite? (chain-samples chain)))
       (test-assert (string-append name ": named, and where")
         (string-prefix? "warning: the score of chain 2 was NaN or infinite, first at sigma 2.16, \
after 6 moves" said))
       (test-equal (string-append name ": else nothing is said") "" silence)
       (test-assert (string-append name ": no advice of smaller steps")
         (not (any (lambda (w) (string-contains w "#:step-size")) (chain-warnings chain)))))))
 '("trajectories" "conjugate gradients" "Langevin" "Fourier mass and adaptive steps")
 `(() (#:mass normal) (#:sampler ,(langevin)) (#:sampler ,(hmc #:acceptance 'path-integral))))
(let-values (((said chain)
              (warnings-of (lambda ()
                             (anneal (posterior (spoilt 2 3) op y) #:chains 4 #:seed 7
                                     #:temperatures (adaptive 10 #:until 0.5)
                                     #:step-size (dual-averaging))))))
  (test-assert "temperatures and steps that tune themselves go by the others"
    (and (chain-finished? chain) (> (chain-acceptance chain) 0.4)
         (> (transition-step-size (last (chain-trace chain))) 0.1))))
(test-error-matching "no chain has a score"
    "anneal: score: it is NaN or infinite at sigma 2.16, after 3 moves, in all 3 chains; it is the prior's"
  (anneal (posterior (lambda (x s) (if (< s 3) (tensor/ x 0) (score field x s))) op y)
          #:chains 3 #:temperatures temperatures))
(test-error-matching "nor that of the data"
    "the prior's part is finite, that of the data is not"
  (anneal (make-target "bad" #:shape '(16 12) #:dtype 'c64 #:prior field
                       #:score (lambda (x s) (tensor/ x 0)))
          #:chains 3 #:temperatures temperatures))
(test-error-matching "a state that nothing refused, until no score knows it"
    "; x has grown to 1.0e20 there: the steps before were too long"
  (anneal (make-target "far" #:shape '(2) #:score (lambda (x s) (if (< s 2) (tensor/ x 0) (tensor-negate x))))
          #:chains 2 #:temperatures '(2 1) #:start (tensor-zeros '(2 2))
          #:sampler (lambda (move) (values (tensor+ 1e20 (move-x move)) #f #f))))
(test-error-matching "a mass of NaN" "anneal: mass: its momenta at sigma 10.0 are NaN or infinite"
  (anneal target #:chains 3 #:temperatures temperatures #:start (tensor-zeros '(3 16 12) 'c64)
          #:mass (make-mass "bad" (lambda (x seed stream) (tensor/ x 0)) identity)))

;; Input: named, with its place, also where the mask is 0.
(let ((bad (tensor-copy y)) (blank (list-index zero? (tensor->list (operator-normal-diagonal op)))))
  (tensor-assign! (tensor-slice (tensor-slice bad 0 3 4) 1 blank (1+ blank)) +inf.0)
  (test-error-matching "infinity where nothing was measured"
      (format #f "posterior: y: 1 of its 192 numbers are NaN or infinite, the first at (3 ~a)" blank)
    (posterior field op bad))
  (for-each (lambda (name thunk)
              (test-equal name #t
                (and (string-contains (or (error-message-of thunk) "") "NaN or infinite") #t)))
            '("the exact posterior" "a measurement of NaN" "a start")
            (list (lambda () (gaussian-posterior spectrum op bad))
                  (lambda () (measure op (tensor/ scan 0)))
                  (lambda () (anneal target #:start (tensor/ scan 0))))))
(test-error-matching "means of NaN" "means: expected" (gaussian-mixture-prior (tensor/ (tensor-zeros '(2 2)) 0)))
(test-error-matching "a spectrum of infinity" "spectrum: expected"
  (gaussian-prior (tensor/ spectrum 0)))
(test-error-matching "a precision of infinity" "precision: expected" (diagonal-mass (tensor/ spectrum 0)))
(test-error-matching "a diagonal of NaN" "normal-diagonal: expected"
  (make-operator "bad" #:forward identity #:adjoint identity
                 #:normal-diagonal (tensor/ (tensor-zeros '(4)) 0)))

;; Data where nothing is measured are not silently left out: they may be an image.
(define (warning-of thunk)
  (call-with-output-string
    (lambda (port) (parameterize ((current-warning-port port)) (thunk)))))
(test-equal "a measurement: no warning" "" (warning-of (lambda () (posterior field op y))))
(test-assert "an image for a measurement"
  (string-contains (warning-of (lambda () (posterior field op (apply-adjoint op y))))
                   "posterior: y has data where MRI"))

;; Prior and operator of different sizes.
(test-error-matching "another size"
    "posterior: prior: expected one over images of shape (16 12), as y by the operator has them, got #<prior"
  (posterior (gaussian-prior (power-spectrum '(8 6))) op y))
(test-error-matching "no prior" "posterior: prior: expected a prior, a network" (posterior 3 op y))
(test-error-matching "a prior's own shape" "prior-target: shape: expected (2), that of" 
  (prior-target moons #:shape '(3)))

(define (says? text thunk)
  (let-values (((said chain) (warnings-of thunk)))
    (and (string-contains said text) #t)))

(test-assert "temperatures that rise"
  (says? "warning: temperatures rise, from sigma 1.0 to 2.0"
         (lambda () (anneal target #:chains 2 #:temperatures '(1 2)))))
(let ((paper (lambda (widening)
               (lambda ()
                 (apply anneal (posterior field op y #:widening widening) #:chains 2
                        #:temperatures (geometric 100 #:ratio 0.8 #:until 0.1)
                        (list-tail paper-schedule 2))))))
  (test-assert "the paper's schedule without its likelihood: the cause"
    (says? "the chains stood still there; with the mass identity a step must"
           (paper 0)))
  (test-assert "with it" (not (says? "warning" (paper 1)))))
(let ((stiff (lambda () (anneal target #:chains 3 #:temperatures '(2 1) #:step-size 5))))
  (test-assert "nothing accepted"
    (says? "no proposal of 60 was accepted from sigma 2.0 to 1.0: the chains are where they began; a \
smaller #:step-size" stiff))
  (test-assert "said by resume! as well"
    (says? "no proposal of 60" (lambda () (resume! (start-chain target #:chains 3 #:temperatures '(2 1)
                                                                #:step-size 5)))))
  (let-values (((said chain) (warnings-of stiff)))
    (test-equal "and first by diagnose" (first (chain-warnings chain))
      (first (diagnosis-warnings (diagnose chain))))))
;; Beyond 50 too steep for the step: a chain there cannot move, others do not care.
(test-assert "a chain that stands still"
  (says? "chain 1 of 3 accepted nothing at the end"
         (lambda ()
           (anneal (make-target "steep beyond 50" #:shape '(1)
                                #:score (lambda (x s) (tensor* (tensor- -1 (tensor* 1e4 (tensor< 50 x))) x)))
                   #:chains 3 #:temperatures '(1) #:steps-per-temperature 25 #:step-size 0.5
                   #:start (list->tensor '(0 90 0) '(3 1))))))

;; A file's temperatures by their ends.
(call-with-temporary-directory
 (lambda (directory)
   (let ((file (string-append directory "/c.safetensors")))
     (save-chain file unbroken)
     (test-error-matching "other temperatures"
         "it was annealed with temperatures 10.0 ... 0.5 (7), got 100.0 ... 0.5 (25)"
       (load-chain file target #:seed 7 #:temperatures (geometric 100 #:ratio 0.8 #:until 0.5))))))

(finish-tests)
