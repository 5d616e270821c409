;;; train-mass-mapping.scm -- what a network knows of dark matter that its power spectrum does not.
;;;
;;;   tempera run experiments/train-mass-mapping.scm spectrum=theory.npy row=5
;;;
;;; Trains a network on log-normal maps of the convergence of galaxies' light, which are made as they are needed.  It
;;; learns the residual of `hybrid-prior': what has to be added to the score of the Gaussian field of the same power.
;;; SPECTRUM is a table (n m) whose first row is multipoles and of which one other ROW is C_l, in steradians; without one
;;; `convergence-theory' is taken.  It leaves mass-mapping.safetensors, of which experiments/mass-mapping.scm
;;; makes the prior.

(use-modules (tempera)
             (ice-9 format))

(define (row-of table k)
  "The first row of TABLE and row K, (2 m)."
  (tensor-concatenate (list (tensor-slice table 0 0 1) (tensor-slice table 0 k (1+ k))) 0))

(define-experiment train-mass-mapping
    ((spectrum "" string? "a table of C_l, .npy; \"\": convergence-theory")
     (row 5 positive? "which row of it is C_l")
     (pixel 0.29 positive? "arcminutes")
     (size 128 positive? "pixels a side")
     (shift 0.03 positive? "of the log-normal maps: sources at redshift 1")
     (channels '(16 32 64 64) pair? "of the network, by scale")
     (steps 2600 positive? "optimiser steps")
     (batch 2 positive? "maps a step")
     (rate 1e-3 positive? "Adam's rate while it is steady")
     (seed 1)
     (every 200 positive? "steps between checkpoints"))
  "Train the residual of a hybrid prior for mass maps by denoising score matching."
  (let* ((table (if (string-null? spectrum) convergence-theory (row-of (load-npy spectrum) row)))
         (power (angular-power-spectrum table (list size size) pixel))
         (deviation (/ (sqrt (tensor->number (tensor-sum power))) size))
         (net (score-network `(paper-unet #:channels ,channels #:blocks 1 #:convolutions 2 #:normalisation #f
                                          #:image-channels 1)
                             #:parametrisation 'residual #:sigma-data deviation))
         (maps (lambda (count step) (log-normal-fields power count #:shift shift #:seed (+ step (* seed 1000000)))))
         (trainer (make-trainer net maps #:batch batch #:gaussian power
                                #:sigma (sigma-log-uniform 0.004 1)
                                #:rate (warmup-stable-decay rate #:decay 0.4)
                                #:steps steps #:seed seed #:averaging 0.998 #:clip 1.0)))
    (format #t "maps of ~a pixels, standard deviation ~,4f; ~a parameters~%" size deviation (parameter-count net))
    (train-run! trainer "mass-mapping" #:every every
                #:metadata `(("experiment" . "experiments/train-mass-mapping.scm")
                             ("seed" . ,(number->string seed))))
    (run-path "mass-mapping.safetensors")))
