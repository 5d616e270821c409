;;; test-priors.scm -- scores against densities, exact priors and the funnel; the hybrid prior, and
;;; what a residual learns.

(use-modules (harness) (small-problem)
             (tempera) (tempera tensor primitives)
             (srfi srfi-1))

(start-tests "priors")

;;; --- Exact priors -----------------------------------------------------------------

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

(define pi (acos -1))
(define funnel (funnel-prior #:dimension 4))

;;; --- The funnel -------------------------------------------------------------------------

(define (normal-log x variance)
  (* -1/2 (+ (log (* 2 pi variance)) (/ (* x x) variance))))

(define (refined-log-density state sd sigma)
  ;; log of the integral over v of N(v; 0, sd^2) N(v'; v, sigma^2) prod N(x'; 0, e^v + sigma^2),
  ;; by the trapezium rule with the step halved until nothing changes.
  (let* ((v1 (car state)) (n2 (* sigma sigma))
         (value (lambda (v)
                  (+ (normal-log v (* sd sd)) (normal-log (- v1 v) n2)
                     (apply + (map (lambda (x) (normal-log x (+ (exp v) n2))) (cdr state))))))
         (low -60.) (high 60.)
         (by-step (lambda (count)
                    (let* ((h (/ (- high low) count))
                           (values (map (lambda (i) (value (+ low (* h i)))) (iota (1+ count))))
                           (most (apply max values)))
                      (+ most (log (* h (apply + (map (lambda (l) (exp (- l most))) values)))))))))
    (let loop ((count 500) (before +inf.0))
      (let ((now (by-step count)))
        (if (< (abs (- now before)) 1e-11)
            now
            (loop (* 2 count) now))))))

(define states
  '((0 0 0 0) (0 1 -1 0.5) (-4 0.1 0.2 -0.1) (5 10 -12 3) (3 0.01 0 0) (-9 0.01 -0.02 0.01)
    (-3 4 4 -4) (8 100 -50 20)))

(for-each
 (lambda (sigma)
   (for-each
    (lambda (state)
      (let ((expected (refined-log-density state 3 sigma)))
        (test-approximate (format #f "density at ~a, sigma ~a" state sigma) expected
          (vector-ref (log-density funnel (list->tensor state '(1 4)) sigma) 0)
          ;; States are in float32, which is where they are.
          (* 1e-6 (max 1 (abs expected))))))
    states))
 '(0.1 1 10 100))

(test-approximate "without noise, the funnel's own density"
  (+ (normal-log 1 9) (apply + (map (lambda (x) (normal-log x (exp 1))) '(0.5 -2 3))))
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 0) 0) 1e-9)
(test-approximate "with hardly any noise, too"
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 0) 0)
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 1e-5) 0) 1e-6)
;; In 2 dimensions with sd 1, by another formula: at v' = x' = 0 and sigma = 0, 1 / (2 pi).
(test-approximate "another width" (- (log (* 2 pi)))
  (vector-ref (log-density (funnel-prior #:dimension 2 #:sd 1) (tensor-zeros '(1 2)) 0) 0) 1e-9)

;; The score along each axis: central differences, whose error is h^2 / 6 of the third
;; derivative, with a step that float32 holds exactly.
(define (slope state axis sigma)
  (let* ((h (expt 2. -8))
         (moved (lambda (d)
                  (list->tensor (map (lambda (x i) (if (= i axis) (+ x d) x)) state (iota 4)) '(1 4))))
         (at (lambda (d) (vector-ref (log-density funnel (moved d) sigma) 0))))
    (/ (- (at h) (at (- h))) (* 2 h))))

(for-each
 (lambda (sigma)
   (for-each
    (lambda (state)
      (let ((score (tensor->list (score funnel (list->tensor state '(1 4)) sigma))))
        (for-each (lambda (axis)
                    (test-approximate (format #f "score at ~a along ~a, sigma ~a" state axis sigma)
                      (slope state axis sigma) (list-ref score axis)
                      (* 2e-4 (max 1 (abs (list-ref score axis))))))
                  '(0 1 2 3))))
    '((0 1 -1 0.5) (-1 0.5 0.25 -0.5) (5 10 -12 3) (3 0 0.5 0))))
 '(0 0.5 3 30))

(let* ((x (list->tensor (concatenate states) '(8 4)))
       (sigmas '(0.1 0.2 0.5 1 2 5 10 100))
       (together (log-density funnel x (list->tensor sigmas)))
       (scores (score funnel x (list->tensor sigmas))))
  (for-each (lambda (c sigma)
              (let ((one (tensor-copy (tensor-slice x 0 c (1+ c)))))
                (test-approximate "a sigma for each chain" (vector-ref (log-density funnel one sigma) 0)
                  (vector-ref together c) (* 1e-6 (abs (vector-ref together c))))
                (test-assert "and its score"
                  (< (tensor->number
                      (tensor-max (tensor-abs (tensor- (score funnel one sigma)
                                                       (tensor-slice scores 0 c (1+ c))))))
                     1e-4))))
            (iota 8) sigmas)
  (let ((before (threads)))
    (set-threads! 1)
    (let ((one (score funnel x 0.3)))
      (set-threads! 2)
      (test-assert "1 and 2 threads, the same bits" (tensor-identical? one (score funnel x 0.3))))
    (set-threads! before)))

;; Draws: v has standard deviation 3, x exp (-v / 2) is normal.
(let* ((draws (prior-draw funnel 4000 #:seed 1))
       (v (tensor-slice draws 1 0 1))
       (z (tensor* (tensor-slice draws 1 1 4) (tensor-exp (tensor* -1/2 v))))
       (square (lambda (t) (tensor->number (tensor-mean (tensor-square t))))))
  (test-approximate "v of draws" 9 (square v) (* 4 9 (sqrt (/ 2 4000.))))
  (test-approximate "x of draws" 1 (square z) (* 4 (sqrt (/ 2 12000.)))))

;; Annealed to where the noise is small: v, the hard one, is N(0, 9).
(let* ((chain (anneal (prior-target (funnel-prior #:dimension 2)) #:chains 400 #:seed 4
                      #:mass 'identity #:temperatures (geometric 30 #:ratio 0.85 #:until 0.3)
                      #:trajectory-length '(4 7) #:transitions-per-temperature 2
                      #:step-size (lambda (sigma) (* 0.4 sigma))))
       (v (tensor-slice (chain-samples chain) 1 0 1)))
  (test-approximate "the mean of v" 0 (tensor->number (tensor-mean v)) (* 4 3 (sqrt (/ 400.))))
  (test-approximate "its variance" 9 (tensor->number (tensor-mean (tensor-square v)))
    (* 4 9 (sqrt (/ 2 400.)))))

(test-error-matching "dimension" "dimension: expected an integer of 2 or more" (funnel-prior #:dimension 1))
(test-error-matching "sd" "sd: expected a positive number, 4 at most" (funnel-prior #:sd 5))
(test-error-matching "state" "x: expected states of 4 numbers" (score funnel (tensor-zeros '(1 3)) 1))
(test-error-matching "no batch" "x: expected a batch of chains" (score funnel (tensor-zeros '(4)) 1))
(test-error-matching "complex" "x: " (score funnel (tensor-zeros '(1 4) 'c64) 1))
(test-error-matching "sigma" "sigma" (score funnel (tensor-zeros '(1 4)) 'hot))
(test-error-matching "sigmas" "sigma" (score funnel (tensor-zeros '(1 4)) (list->tensor '(1 2))))
(test-assert "what is no number has no density"
  (nan? (vector-ref (log-density funnel (tensor* (/ 0. 0.) (random-normal '(1 4) 1)) 1) 0)))

;;; --- A Gaussian field and a residual ------------------------------------------------------

(define spectrum (power-spectrum '(16 16) #:amplitude 8 #:exponent 2))
(define field (gaussian-prior spectrum))
(define (largest t) (tensor->number (tensor-max (tensor-abs t))))

(let* ((draws (prior-draw field 200 #:seed 5))
       (ratio (tensor/ (power-spectrum-of draws) spectrum)))
  ;; 256 chi-squares of 400 degrees of freedom, each over 400.
  (test-approximate "the power of draws" 1 (tensor->number (tensor-mean ratio))
    (* 4 (sqrt (/ 2. (* 400 256)))))
  (test-assert "at each frequency" (< (largest (tensor- ratio 1)) (* 5 (sqrt (/ 2. 400)))))
  (let* ((filtered (fourier-multiply draws (tensor< 0 (tensor- spectrum 4))))
         (power (power-spectrum-of filtered #:floor 0.01)))
    (test-approximate "the floor" (* 0.01 (tensor->number (tensor-max power)))
      (tensor->number (tensor-min power)) 1e-6)))
(test-equal "of real images it is |F x|^2" (list 4. 4.)
  (map (lambda (part) (/ (round (* 1e4 (tensor->number (tensor-mean part)))) 1e4))
       (list (power-spectrum-of (tensor* 2 (tensor-sign (random-normal (list 2 4 4) 1)))) (tensor+ 4 (tensor-zeros (list 4 4))))))
(test-error-matching "one image" "images: expected finite (images rows columns)" (power-spectrum-of (tensor-zeros '(4 4) 'c64)))
(test-error-matching "nothing" "they are 0 everywhere" (power-spectrum-of (tensor-zeros '(2 4 4) 'c64)))
(test-error-matching "floor" "floor: expected" (power-spectrum-of (random-normal '(2 4 4) 1 0 'c64) #:floor 0))

(let ((by-size (power-spectrum-by-size '(3 2 1/2))))
  (test-assert "a spectrum by size"
    (tensor-identical? (by-size '(4 6)) (power-spectrum '(4 6) #:amplitude 72 #:exponent 2 #:corner 1/2)))
  (test-assert "outlives the scopes where it was made"
    (begin
      (with-scope (lambda () (with-scope (lambda () (by-size '(6 6)) 0)) 0))
      (tensor-alive? (by-size '(6 6))))))
(test-error-matching "law" "law: expected three positive numbers, got (1 0 2)"
  (power-spectrum-by-size '(1 0 2)))

(define (nothing x sigma) (tensor* 0 x))

(let ((x (random-normal '(3 16 16) 6 0 'c64)) (hybrid (hybrid-prior spectrum nothing)))
  (for-each (lambda (sigma)
              (test-assert "without a residual, the Gaussian"
                (tensor-identical? (score field x sigma) (score hybrid x sigma)))
              (test-assert "with one, their sum"
                (> 1e-5 (largest (tensor- (score (hybrid-prior spectrum (lambda (x s) (tensor* 2 x))) x sigma)
                                          (tensor+ (score field x sigma) (tensor* 2 x)))))))
            (list 0.5 (list->tensor '(0.5 1 2))))
  (let* ((op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
         (y (measure op (tensor-reshape (prior-draw field 1 #:seed 1) '(16 16)) #:noise 0.5))
         (samples (lambda (prior)
                    (chain-samples (anneal (posterior prior op y #:noise 0.5) #:chains 2
                                           #:temperatures (geometric 10 #:ratio 0.5 #:until 0.5))))))
    (test-assert "in a posterior" (tensor-identical? (samples field) (samples hybrid)))))
(test-error-matching "no residual" "residual: expected a network or a procedure" (hybrid-prior spectrum 3))
(test-error-matching "spectrum" "spectrum: expected positive numbers" (hybrid-prior (tensor-zeros '(4 4)) nothing))

;; Fields of two amplitudes, 0.2 and 1.4, of the field's power on average.  Equation 3 with
;; the Gaussian's score is the mean of P / (P + sigma^2), whatever the distribution; who knows
;; the amplitude a gets the mean of a^2 P / (a^2 P + sigma^2).
(define (two-amplitudes count step)
  (tensor* (prior-draw field count #:seed (+ 100 step))
           (list->tensor (map (lambda (i) (if (even? i) 0.2 1.4)) (iota count)) (list count 1 1))))

(define (wiener-loss amplitude)
  (let ((power (tensor* (* amplitude amplitude) spectrum)))
    (tensor->number (tensor-mean (tensor/ power (tensor+ power 1))))))

(define* (residual-trainer #:key (data two-amplitudes) (steps 1) (rate (constant-rate 2e-3)))
  (make-trainer (score-network '(paper-unet #:channels (8 16) #:blocks 1 #:convolutions 2
                                            #:normalisation #f)
                               #:parametrisation 'residual #:sigma-data 2)
                data #:batch 32 #:steps steps #:gaussian spectrum #:averaging #f #:rate rate
                #:sigma (sigma-log-uniform 1 1.000001)))

(let ((trainer (residual-trainer)))
  (for-each (lambda (p) (tensor-assign! (cdr p) 0)) (layer-parameters (trainer-network trainer)))
  (train! trainer)
  (test-approximate "a network of zeros has the Gaussian's loss" (wiener-loss 1)
    (second (first (trainer-losses trainer)))
    ;; 32 * 512 squares; of images of 1.4 more, of 0.2 less.
    (* 4 2 (sqrt (/ 2. (* 32 512))))))
(let* ((trainer (train! (residual-trainer #:steps 200 #:rate (warmup-cosine 3e-3 #:warmup 20)) #:every 50))
       (loss (second (first (trainer-losses trainer))))
       (known (/ (+ (wiener-loss 0.2) (wiener-loss 1.4)) 2)))
  (test-assert (format #f "the residual learns half of what there is: ~a, Gaussian ~a, known amplitude ~a"
                       loss (wiener-loss 1) known)
    (< loss (/ (+ (wiener-loss 1) known) 2)))
  (test-assert "the score of the sum"
    (tensor-finite? (score (hybrid-prior spectrum (trainer-network trainer)) (two-amplitudes 2 0) 1))))
(test-error-matching "images of another shape" "data: expected c64 images of shape (16 16)"
  (train! (residual-trainer #:data (lambda (n step) (random-normal (list n 8 8) 1 step 'c64)))))
(test-error-matching "a spectrum that is none" "spectrum: expected positive numbers"
  (make-trainer (trainer-network (residual-trainer)) two-amplitudes #:gaussian (tensor-zeros '(4 4))))

(finish-tests)
