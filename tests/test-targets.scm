;;; test-targets.scm -- posteriors: their score, and that chains reach what is known exactly.

(use-modules (harness) (small-problem)
             (tempera) (tempera problem targets)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "targets")

;;; --- A posterior ------------------------------------------------------------------


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

(finish-tests)
