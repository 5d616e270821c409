;;; examples.scm -- the examples of docstrings, and the names and files that they take for granted.

(define-module (examples)
  #:use-module (srfi srfi-11)
  #:use-module (tempera) #:use-module (tempera base documentation)
  #:export (example-of examples-world fresh-module make-example-files))

(define (example-of name)
  "The form that is the example of NAME; #f where there is none."
  (let-values (((says example result) (documentation-parts (name-documentation name))))
    (and example (call-with-input-string example read))))

(define (make-example-files brain prior)
  "In the folder that is current, which is empty: BRAIN, a picture, PRIOR, a network, and a script."
  (mkdir "priors")
  (symlink prior "priors/brain.safetensors")
  (symlink brain "brain.png")
  (mkdir "experiments")
  (call-with-output-file "experiments/two-moons.scm"
    (lambda (port)
      (write '(use-modules (tempera)) port)
      (write '(define-experiment two-moons ((samples 10) (norms '(1 2)) (step-size 0.5) (exponent 1.5)
                                            (norm 1) (seed 0))
                "Two moons, in name only."
                #:trials `((small (samples . 5)) (large (samples . 10)) (seconds 5 10 ,samples))
                (display "sampling")
                (record-metrics! '((sigma . 1) (psnr . 24)))
                (record-metrics! '((sigma . 0.5) (psnr . 25)))
                `((psnr . 24.5) (z . ,(* step-size exponent))))
             port)))
  (save-npy "volume.npy" (tensor-abs (random-normal '(12 32 32) 1)))
  (save-npy "mean.npy" (random-normal '(8 8) 1)))

(define standing
  '((define prior (gaussian-prior (power-spectrum '(16 16) #:amplitude 100)))
    (define scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(16 16)))
    (define op (mri-operator #:mask (random-mask 16 #:acceleration 4 #:seed 1)))
    (define y (measure op scan #:noise 0.1 #:seed 2))
    (define target (posterior prior op y #:noise 0.1))
    (define chain (anneal target #:chains 8 #:seed 42))
    ((@ (tempera base interrupts) call-typed) ; and Ctrl-C, for `last-paused'
     (@ (tempera base interrupts) call-with-pause) chain "chain" (lambda () (throw 'user-interrupt))
     (const #f))
    (define net (score-network '(paper-unet #:channels (4 8) #:blocks 1)))
    (define trainer
      (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                    #:batch 2 #:steps 2))
    (define simulations
      (simulate (make-model prior op #:sample (annealed-sampler prior op #:settings
                                                `(#:temperatures ,(geometric 100 #:ratio 0.7 #:until 0.1))))
                20 #:draws 7))
    (define draws (random-normal '(40 4 3) 1))
    (define t (list->tensor '(1 2 3 4) '(2 2)))
    (define kernel (make-kernel target (hmc) #:sigma 0.1 #:step-size 0.5 #:steps 4))
    (define state
      (let ((x (chain-samples chain)))
        (make-state x #:score (target-score target x 0.1) #:sigma 0.1 #:evaluations 1)))
    (define two-moons (load-script "experiments/two-moons.scm"))
    (define results
      (table '(sigma psnr zero-filled spectral-norm step-size exponent)
             '((1 24.5 20 0 0.3 1) (0.5 26 20 1 0.45 1.5))))
    (define x (random-normal '(8 2) 1))
    (define image (random-normal '(8 8) 3 0 'c64))
    (define p (profile (lambda () (tensor* t t))))))

(define (fresh-module)
  "An empty module that has Guile's names and (tempera)'s."
  (let ((module (make-fresh-user-module)))
    (module-use! module (resolve-interface '(tempera)))
    module))

(define (examples-world)
  "A module of what examples take for granted, in a folder with the files above."
  (let ((world (fresh-module)))
    (for-each (lambda (form) (eval form world)) standing)
    world))
