;;; test-settings.scm -- what `anneal' and what it calls refuse, and how they say it.

(use-modules (harness) (small-problem)
             (tempera) (tempera tensor primitives) (tempera problem targets))

(start-tests "settings")

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
(test-bad "transitions-per-temperature: expected" #:transitions-per-temperature 0)
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
(test-error-matching "accepted" "count, at-most: expected" (accepted-transitions 0))
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

(finish-tests)
