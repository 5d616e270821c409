;;; train-updnet.scm -- UPDNet for heads, priors/updnet.safetensors.
;;;
;;;   tempera run experiments/train-updnet.scm
;;;
;;; Learns from the data that train-brain.scm has, and the same changes of them, for random masks
;;; of one acceleration, drawn anew for every image, and noise of one size: what it was not
;;; trained for, it cannot know.  Interrupted, it goes on from its
;;; checkpoint: tempera run --continue=DIRECTORY.

(use-modules (tempera))

(define sizes '(128 160 192 128))

(define-experiment train-updnet
    ((steps 4000 positive? "optimiser steps")
     (batch 8 positive? "images of 128 x 128 a step; fewer when larger")
     (rate 1e-3 positive? "rectified Adam's rate while it is steady")
     (decay 0.3 positive? "share of the run over which the rate falls")
     (acceleration 4 (lambda (r) (>= r 1)) "of the masks")
     (noise 0.1 positive? "standard deviation of the measurements'")
     (seed 1)
     (every 100 positive? "steps between checkpoints"))
  "Train UPDNet for heads, with the truth known."
  (let* ((dataset (load-dataset))
         (trainer (make-trainer (updnet) (measured-slices dataset #:sizes sizes #:acceleration acceleration
                                                         #:noise noise #:seed seed)
                                #:batch batch #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:averaging 0.998 #:clip 1.0
                                #:loss updnet-loss #:rectified? #t)))
    (format #t "data: ~a~%" dataset)
    (train-run! trainer "updnet" #:every every
                #:metadata `(("data" . ,(object->string dataset))
                             ("experiment" . "experiments/train-updnet.scm")
                             ("acceleration" . ,(number->string acceleration))
                             ("noise" . ,(number->string noise))
                             ("seed" . ,(number->string seed))))
    (run-path "updnet.safetensors")))
