;;; test-score-density.scm -- log densities by a score against exact ones.

(use-modules (harness) (tempera) (tempera problem priors) (srfi srfi-1) (srfi srfi-11))

(start-tests "score density")

;;; --- A Gaussian field ---------------------------------------------------------------

(define spectrum (power-spectrum '(8 8) #:amplitude 100))
(define field (gaussian-prior spectrum))
(define from 0.5)
(define until 50)
(define x (tensor+ (prior-draw field 3 #:seed 1)
                   (tensor* from (random-normal '(3 8 8) 5 0 'c64))))
(define exact (vector->list (log-density field x from)))

(define (by-flow ratio probes)
  (vector->list (flow-log-density field x #:from from #:until until #:base field #:ratio ratio
                                  #:probes probes #:seed 2)))

;; Heun's error is of second order: from two numbers of steps it is known but for the third order, a part of the width
;; of a step, 0.1.
(define (steps ratio) (ceiling (/ (log (/ until from)) (- (log ratio)))))
(define fine (by-flow 0.9 'all))
(define coarse (by-flow 0.8 'all))
(for-each
 (lambda (fine coarse exact)
   (let ((expected (/ (- coarse fine) (- (expt (/ (steps 0.9) (steps 0.8)) 2) 1))))
     (test-approximate "a field, by every axis" expected (- fine exact) (* 0.1 (abs expected)))))
 fine coarse exact)

;; v J v has the variance 2 sum of J_ij^2 over i != j, here 4 n times the variance over k of 1 / (P + sigma^2).
(define probes-variance
  (let* ((count (inexact->exact (steps 0.9)))
         (width (/ (log (/ until from)) count)))
    (fold (lambda (k sum)
            (let* ((sigma (* from (exp (* k width))))
                   (l (tensor->list (tensor/ 1 (tensor+ spectrum (* sigma sigma)))))
                   (m (mean l)))
              (+ sum (* (expt (* (if (< 0 k count) 1 1/2) width sigma sigma) 2) 4
                        (apply + (map (lambda (l) (expt (- l m) 2)) l))))))
          0 (iota (1+ count)))))
(define (probe-errors probes)
  ;; A chi-square of three.
  (apply + (map (lambda (a b) (/ (expt (- a b) 2) (/ probes-variance probes))) (by-flow 0.9 probes) fine)))
(test-assert "one probe a step" (< 0.03 (probe-errors 1) 16.3))    ; 0.001 on either side
(test-assert "sixteen" (< 0.03 (probe-errors 16) 16.3))
(test-equal "the same seed" (by-flow 0.9 2) (by-flow 0.9 2))

;; White noise has the same divergence along any signs, and noise alone is its end.
(let* ((white (gaussian-prior (power-spectrum '(4 4) #:exponent 1e-9)))
       (x (prior-draw white 2 #:seed 3)))
  (let ((flow (lambda (ratio) (vector->list (flow-log-density white x #:from 0.1 #:until 300 #:ratio ratio)))))
    (for-each (lambda (exact fine coarse)
                ;; A third of the difference, as above, and 32 numbers' P / (2 until^2) at the end.
                (test-approximate "white" exact fine (+ 2e-4 (* 0.4 (abs (- fine coarse))))))
              (vector->list (log-density white x 0.1)) (flow 0.97) (flow (* 0.97 0.97)))))

;;; --- By denoising ---------------------------------------------------------------------

;; Exact but for chance and the trapezoid rule, whose ends know the derivative: w^2 / 12 times the difference of
;; (P / (P + sigma^2))' is 128 w^2 / 24 at most.
(let* ((x (prior-draw field 400 #:seed 7))
       (noisy (tensor+ x (tensor* from (random-normal '(400 8 8) 8 0 'c64))))
       (bound (vector->list (denoising-log-density field x #:from from #:until until #:base field)))
       (differences (map - bound (vector->list (log-density field noisy from))))
       (error (sqrt (/ (mean (map (lambda (d) (expt (- d (mean differences)) 2)) differences)) 400))))
  (test-approximate "a field, by denoising" 0 (mean differences) (+ (* 4 error) (* 128 1/24 0.011)))
  ;; A score that is wrong by a tenth loses a hundredth of |sigma r|^2, whose integral is that of sigma^2 / (P + sigma^2).
  (let* ((wrong (lambda (x sigma) (tensor* 1.1 (score field x sigma))))
         (lost (map - bound (vector->list (denoising-log-density wrong x #:from from #:until until
                                                                 #:base field))))
         (error (sqrt (/ (mean (map (lambda (d) (expt (- d (mean lost)) 2)) lost)) 400)))
         (expected (* 0.01 (apply + (map (lambda (p) (log (/ (+ p (* until until)) (+ p (* from from)))))
                                         (tensor->list spectrum))))))
    (test-approximate "a wrong score" expected (mean lost) (* 4 error))))
(test-error-matching "draws" "denoising-log-density: draws: expected a positive" (denoising-log-density field x #:draws 0))
(test-error-matching "denoised sigmas" "denoising-log-density: until:" (denoising-log-density field x #:until 0))

;;; --- A mixture ------------------------------------------------------------------------

(let* ((mixture (gaussian-mixture-prior (list->tensor '(-2 -1 2 -1 -1 2 1 2) '(4 2)) #:sd 0.5
                                        #:weights '(1 2 3 4)))
       (x (prior-draw mixture 6 #:seed 1))
       (flow (lambda (ratio)
               (vector->list (flow-log-density mixture x #:from 0.2 #:until 30 #:base mixture
                                               #:ratio ratio #:probes 'all)))))
  (for-each (lambda (exact fine coarse)
              ;; A fourth of the steps' error is left, and 1e-3 of central differences.
              (test-approximate "a mixture" exact fine (+ 1e-3 (abs (- fine coarse)))))
            (vector->list (log-density mixture x 0.2)) (flow 0.95) (flow 0.9)))

;;; --- A network ------------------------------------------------------------------------

(let* ((net (score-network '(paper-unet #:channels (4 8) #:blocks 1)))
       (x (random-normal '(3 16 16) 3 0 'c64)) (v (random-normal '(3 16 16) 4 0 'c64))
       (sigma 0.7)
       (difference (lambda (h)
                     (let ((at (lambda (h) (net (tensor+ x (tensor* h v)) sigma))))
                       (vector->list (chains-dot v (tensor/ (tensor- (at h) (at (- h))) (* 2 h))))))))
  (let-values (((r slopes) (score-and-slope net x sigma v)))
    (test-assert "a network's score" (> 1e-5 (tensor->number (tensor-max (tensor-abs (tensor- r (net x sigma)))))))
    (for-each (lambda (exact difference)
                (test-approximate "by the tape" difference exact (* 0.01 (+ 1 (abs exact)))))
              (vector->list slopes) (difference 0.005)))
  (test-assert "a network has a density"
    (every finite? (vector->list (flow-log-density net x #:until 3 #:ratio 0.7)))))

;;; --- Bits -----------------------------------------------------------------------------

(test-approximate "a bit a number" 1 (first (bits-per-dimension (vector (* -32 (log 2))) (tensor-zeros '(1 4 4) 'c64)))
                  1e-12)
(test-equal "real numbers are half as many" '(2.0)
  (map (lambda (b) (significant b 6))
       (bits-per-dimension (vector (* -32 (log 2))) (tensor-zeros '(1 4 4)))))

;;; --- Bad input ------------------------------------------------------------------------

(test-error-matching "no prior" "prior: expected a prior, a network" (flow-log-density 3 x))
(test-error-matching "no batch" "x: expected a batch" (flow-log-density field 3))
(test-error-matching "sigma" "from: expected a positive number, got 0" (flow-log-density field x #:from 0))
(test-error-matching "sigmas" "until: expected a number above 2" (flow-log-density field x #:from 2 #:until 1))
(test-error-matching "ratio" "ratio: expected a number between 0 and 1" (flow-log-density field x #:ratio 1))
(test-error-matching "probes" "probes: expected a positive integer or all" (flow-log-density field x #:probes 0))
(test-error-matching "base" "base: expected a prior with a log density"
                     (flow-log-density field x #:base (make-prior "flat" #:score (lambda (x sigma) x))))
(test-error-matching "seed" "seed: expected an integer" (flow-log-density field x #:seed -1))
(test-error-matching "bits" "expected a vector of 3 numbers" (bits-per-dimension #(1) x))
(test-error-matching "bits of what" "x: expected a batch" (bits-per-dimension #(1) 'x))

(finish-tests)
