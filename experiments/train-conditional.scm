;;; train-conditional.scm -- the conditional sampler of section 2, priors/conditional.safetensors.
;;;
;;;   tempera run experiments/train-conditional.scm
;;;   tempera run experiments/train-conditional.scm from=FILE steps=1800 decay=0.5 seed=2
;;;
;;; Learns by equation 3 from whole heads beside their zero-filled images, for random masks of one
;;; acceleration, drawn anew for every image, and noise of one size: other noise it takes for this.
;;; Interrupted, it goes on from its checkpoint: tempera run --continue=DIRECTORY.

(use-modules (tempera))

(define body
  '(paper-unet #:inputs 2 #:channels (16 32 64 64) #:blocks 1 #:convolutions 2 #:normalisation #f))

(define-experiment train-conditional
    ((steps 4800 positive? "optimiser steps")
     (from "" string? "a conditional network to go on with, in place of a new one")
     (size 64 (lambda (n) (zero? (modulo n 8))) "rows and columns of the images")
     (batch 4 positive? "images of 128 x 128 a step; as many pixels of other sizes")
     (rate 1e-3 positive? "Adam's rate while it is steady")
     (decay 0.4 positive? "share of the run over which the rate falls")
     (acceleration 4 (lambda (r) (>= r 1)) "of the masks")
     (noise 0.1 positive? "standard deviation of the measurements'")
     (sigma-data 30.0 positive? "standard deviation of the data, each of two parts")
     (seed 1)
     (every 100 positive? "steps between checkpoints"))
  "Train a conditional score network for heads of one size."
  (let* ((dataset (load-dataset))
         (trainer (make-trainer (if (string-null? from)
                                    (conditional-network body #:sigma-data sigma-data)
                                    (load-network from))
                                (measured-slices dataset #:sizes (list size) #:fit 1
                                                 #:acceleration acceleration #:noise noise
                                                 #:seed seed)
                                #:batch batch #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:averaging 0.998 #:clip 1.0
                                #:weight (balanced-weight 30)
                                #:loss (conditional-loss #:sigma (sigma-log-uniform 0.04 150)
                                                         #:seed seed))))
    (format #t "data: ~a~%" dataset)
    (train-run! trainer "conditional" #:every every
                #:metadata `(("data" . ,(object->string dataset))
                             ("experiment" . "experiments/train-conditional.scm")
                             ("size" . ,(number->string size))
                             ("acceleration" . ,(number->string acceleration))
                             ("noise" . ,(number->string noise))
                             ("seed" . ,(number->string seed))))
    (run-path "conditional.safetensors")))
