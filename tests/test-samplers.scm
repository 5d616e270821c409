;;; test-samplers.scm -- each sampler and mass against what is known exactly, and what is adapted.

(use-modules (harness) (small-problem)
             (tempera) (tempera problem masses) (tempera tensor primitives) (tempera problem targets) (tempera base interrupts)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "samplers")

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
            (run-with #:sampler (mala) #:step-size 0.8 #:transitions-per-temperature 12))
(test-exact "langevin" 0.1
            (run-with #:sampler (langevin) #:step-size 0.5 #:transitions-per-temperature 24))
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
     (test-equal (string-append name ": a transition a temperature")
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

;; Reverse diffusion and exact likelihoods, with scores that are exact: at 75 evaluations a chain, or as many
;; again by each step more, and at measured and unmeasured frequencies.  SLACK is what the recursion of
;; variances leaves of the cooling at this rate, 3 to 6 % at measured ones, and 3 % for the variance
;; of a reverse step, which is estimated from some 16 numbers a band and cannot be below 0.
(define* (test-exact-by-part name chain #:optional (widening 0))
  (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1 #:sigma (chain-sigma chain)
                                                    #:widening widening)))
    (let* ((k (fft2 (chain-samples chain))) (n (first (tensor-shape k))) (k-mean (tensor-mean k 0))
           (sample (tensor/ (tensor/ (tensor-sum-squares (tensor- k k-mean) 0) (* 2 (1- n))) variance))
           (error (tensor/ (tensor-square (tensor-abs (tensor- k-mean (fft2 mean)))) (tensor* (/ 2. n) variance)))
           (measured (tensor-broadcast (operator-mask op) '(16 12))))
      (for-each
       (lambda (part where)
         (let* ((count (tensor->number (tensor-sum where)))
                (average (lambda (t) (/ (tensor->number (tensor-sum (tensor* t where))) count))))
           (test-approximate (string-append name ": variance, " part) 1 (average sample)
             (+ 0.06 (* 4 (sqrt (/ 2 (* 2 (1- n) count))))))
           (test-approximate (string-append name ": mean, " part) 1 (average error)
             (+ 0.06 (* 4 (sqrt (/ 2 (* 2 count))))))))
       '("measured" "unmeasured") (list measured (tensor- 1 measured))))))
(define transports
  (list (cons "split Gibbs" (split-gibbs)) (cons "split Gibbs, three steps" (split-gibbs #:steps 3))
        (cons "reverse diffusion" (reverse-diffusion))
        (cons "reverse diffusion, corrected" (reverse-diffusion #:corrections 1))))
(for-each (lambda (entry)
            (test-exact-by-part (car entry)
                                (run-with #:sampler (cdr entry)
                                          #:temperatures (geometric 30 #:ratio 0.935 #:until 0.2))))
          transports)
(test-equal "evaluations: one a temperature, one each step and correction more" '(3 9 3 6)
  (map (lambda (entry)
         (chain-evaluations (anneal target #:chains 2 #:temperatures '(4 2 1) #:sampler (cdr entry))))
       transports))

;; Held at one temperature they leave the target as it is, p_sigma (x | y) with the prior under noise
;; sigma, and with #:widening 1 the data too: 40 transitions from exact draws.
(for-each
 (lambda (name sampler widening)
   (let ((sigma 0.5))
     (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1 #:sigma sigma
                                                       #:widening widening)))
       (test-exact-by-part name
         (anneal (posterior field op y #:noise 0.1 #:widening widening)
                 #:chains 64 #:seed 8 #:sampler sampler #:temperatures (make-list 40 sigma)
                 #:start (tensor+ mean (momentum-draw (tensor-zeros '(64 16 12) 'c64) variance 3 0)))
         widening))))
 '("held" "held, the data widened" "held by reverse diffusion, the data widened")
 (list (split-gibbs) (split-gibbs) (reverse-diffusion)) '(0 1 1))

;; From the prior alone, 22 evaluations.
(let* ((sigmas (geometric 60 #:ratio 0.77 #:until 0.2))
       (chain (anneal (prior-target field #:dtype 'c64) #:chains 64 #:seed 5 #:sampler (reverse-diffusion)
                      #:temperatures sigmas))
       (power (tensor+ spectrum (expt (chain-sigma chain) 2))))
  (test-approximate "reverse diffusion of a prior" 1
    (tensor->number (tensor-mean (tensor/ (tensor-sum-squares (fft2 (chain-samples chain)) 0)
                                          (tensor* 128 power))))
    (+ 0.036 0.03)))

;; One's own: a step of gradient ascent; all is accepted that is finite.
(let* ((climb (lambda (kernel state)
                (values (tensor+ (state-x state) (tensor* (kernel-step-size kernel) (state-score state)))
                        #f #f)))
       (chain (anneal (posterior field op y #:noise 0.1 #:widening 1) #:chains 2 #:sampler climb
                      #:temperatures '(1) #:step-size 0.4
                      #:jitter 0 #:transitions-per-temperature 900)))
  (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise 0.1 #:sigma 1
                                                    #:widening 1)))
    (test-assert "one's own sampler climbs to the mean"
      (> 0.02 (tensor->number (tensor-max (tensor-abs (tensor- (chain-mean chain) mean)))))))
  (test-equal "and knows no energy" #f (transition-energy-error (last (chain-trace chain)))))
(test-equal "what is not finite is not taken" 0.
  (chain-acceptance (anneal target #:chains 2 #:temperatures '(1)
                            #:sampler (lambda (kernel state) (values (tensor* +inf.0 (state-x state)) #f #f)))))
(test-error-matching "a sampler's x" "sampler: expected it to give a c64 tensor of shape (2 16 12)"
  (anneal target #:chains 2 #:temperatures '(1)
          #:sampler (lambda (kernel state) (values (tensor-zeros '(3)) #f #f))))
(let ((known '()))
  (anneal target #:chains 2 #:temperatures '(2 1)
          #:sampler (lambda (kernel state)
                      (set! known
                            (cons (list (kernel-sigma kernel) (kernel-next-sigma kernel)
                                        (tensor-ref (kernel-normal kernel state) 0 0 0)
                                        (tensor-ref (kernel-normal kernel state 1) 0 0 0))
                                  known))
                      (values (state-x state) (state-score state) #f)))
  (test-equal "what a kernel knows" '((2. 1.) (1. #f)) (map (lambda (m) (list-head m 2)) (reverse known)))
  (test-equal "each its own numbers" 4 (length (delete-duplicates (append-map cddr known)))))

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
  (test-error-matching "no table" "mass: expected normal, identity" (anneal target #:mass 'fourier))
  ;; Split Gibbs draws given the data by conjugate gradients here.
  (let* ((x (chain-samples (anneal target #:chains 64 #:seed 3 #:sampler (split-gibbs)
                                   #:temperatures (geometric 30 #:ratio 0.9 #:until 0.02))))
         (sample (tensor/ (tensor-sum-squares (tensor- x (tensor-mean x 0)) 0) 126)))
    (for-each
     (lambda (part where)
       (let* ((count (tensor->number (tensor-sum where)))
              (average (lambda (t) (/ (tensor->number (tensor-sum (tensor* t where))) count))))
         (test-approximate (string-append "inpainting, split Gibbs: variance, " part) 1
           (average (tensor/ sample variance)) (+ 0.06 (* 4 (sqrt (/ 2 (* 126 count))))))
         (test-approximate (string-append "inpainting, split Gibbs: mean, " part) 1
           (average (tensor/ (tensor-square (tensor-abs (tensor- (tensor-mean x 0) mean)))
                             (tensor* 2/64 variance)))
           (+ 0.06 (* 4 (sqrt (/ 1 count)))))))
     '("seen" "unseen") (list seen (tensor- 1 seen)))))

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
    (* 4 (sqrt (/ (* 0.75 0.25) 400))))
  ;; Measured at half of the columns under noise s of 40, which leaves both modes: the evidence for each, normal
  ;; with the variance 0.25 + s^2 where it is measured, gives the posterior's weights.  A chain keeps its mode from
  ;; about sigma = 16 on, where the evidence's logarithm is s^2 / (s^2 + sigma^2) of that: 0.03 of the weight.
  (let* ((op (mri-operator #:mask (list->tensor '(0 1 0 0 1 0 1 1))))
         (y (measure op (tensor* 0.2 image) #:noise 40 #:seed 5))
         (evidence (lambda (k)
                     (exp (/ (tensor->number
                              (tensor-sum-squares (tensor- y (apply-forward op (tensor* k image)))))
                             -2 (+ 0.25 (* 40 40))))))
         (weight (/ (* 3 (evidence 1)) (+ (* 3 (evidence 1)) (evidence -1)))))
    (test-assert "the data say something" (< weight 0.62))
    (for-each
     (lambda (entry)
       (let ((sums (tensor->list
                    (tensor-mean (tensor-real (chain-samples
                                               (anneal (posterior mixture op y #:noise 40)
                                                       #:chains 400 #:seed 9 #:sampler (cdr entry)
                                                       #:temperatures (geometric 60 #:ratio 0.93 #:until 0.1))))
                                 '(1 2)))))
         (test-assert (string-append (car entry) ": every chain is in a mode")
           (every (lambda (m) (< 2.5 (abs m) 3.5)) sums))
         (test-approximate (string-append (car entry) ": the modes' weights given data") weight
           (/ (count positive? sums) 400.) (+ 0.03 (* 4 (sqrt (/ (* weight (- 1 weight)) 400)))))))
     transports)))

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
(test-error-matching "split Gibbs: steps" "split-gibbs: steps: expected an integer from 1 to 31, got 0"
  (split-gibbs #:steps 0))
(test-error-matching "split Gibbs: ratio" "split-gibbs: ratio: expected a number between 0 and 1, got 1"
  (split-gibbs #:ratio 1))
(test-error-matching "reverse diffusion: depth" "reverse-diffusion: depth: expected a number from 0 up to 1, got 1"
  (reverse-diffusion #:depth 1))
(test-error-matching "reverse diffusion: corrections" "corrections: expected an integer from 0 to 30, got 1/2"
  (reverse-diffusion #:corrections 1/2))
(for-each
 (lambda (sampler)
   (test-error-matching "a temperature that rises" "temperatures: expected ones that do not rise, got 2 after 1"
     (transition (make-kernel target sampler #:sigma 1 #:next-sigma 2 #:step-size 1)
                 (make-state (tensor-zeros '(2 16 12) 'c64)))))
 (list (split-gibbs) (reverse-diffusion) (predictor-corrector)))
(test-error-matching "a likelihood that is not known" "does not say which part of its score is the likelihood's"
  (anneal (make-target "unsaid" #:shape '(16 12) #:dtype 'c64 #:prior field
                       #:score (lambda (x sigma) (target-score target x sigma)))
          #:mass 'identity #:step-size 0.1 #:sampler (split-gibbs)))
(test-error-matching "a likelihood alone" "likelihood: expected a procedure, with #:prior and #:masses"
  (make-target "alone" #:shape '(2) #:score tensor-negate #:likelihood tensor-negate))
;; A score that drives x away, each step to twice of it, takes it no further than noise reaches: at each sigma
;; by (1 - 0.64) sigma times sqrt (1 + 4 sqrt (2 / 50)), which adds up to 24 in root mean square, beside the 10 of the start.
(let ((chain (anneal (prior-target (lambda (x sigma) (tensor* (/ 3 (* sigma sigma)) x)) #:shape '(50))
                     #:chains 4 #:sampler (reverse-diffusion)
                     #:temperatures (geometric 10 #:ratio 0.8 #:until 0.1))))
  (test-assert "no step is longer than noise"
    (< (sqrt (/ (tensor->number (tensor-sum-squares (chain-samples chain))) 200)) 50)))
;; The parts of a score, and which sampler is the default.
(let ((x (prior-draw field 2 #:seed 3)))
  (test-assert "prior and likelihood make the score"
    (tensor-identical? (target-score target x 0.3)
                       (tensor+ (score field x 0.3) (target-likelihood-score target x 0.3))))
  (test-equal "a prior alone has no likelihood" 0.
    (tensor->number (tensor-max (tensor-abs (target-likelihood-score (prior-target field) x 0.3))))))
(test-equal "what is a prior alone" '(#f #t #t)
  (map target-prior-alone? (list target (prior-target field)
                                 (make-target "itself" #:shape '(2) #:score (lambda (x sigma) x)))))
(let* ((net (score-network '(paper-unet #:channels (4 4) #:blocks 1 #:normalisation #f)))
       (integrator (lambda (target) (sampler-integrator (chain-sampler (start-chain target #:chains 2))))))
  (test-equal "of a network's prior alone by reverse diffusion, all else by hmc" '(#f leapfrog leapfrog)
    (map integrator (list (prior-target net #:shape '(16 12)) (prior-target field)
                          (posterior net op y #:noise 0.1)))))
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
                                         #:transitions-per-temperature 1 #:trajectory-length 6
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
       (chain (anneal normal #:chains 16 #:temperatures '(1) #:transitions-per-temperature 200
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

(finish-tests)
