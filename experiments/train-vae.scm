;;; train-vae.scm -- the variational auto-encoder of section 2, priors/vae.safetensors.
;;;
;;;   tempera run experiments/train-vae.scm
;;;
;;; Learns whole heads at 64 x 64 pixels: it has one size, and its latent numbers have to say all of
;;; an image, which for larger ones are too few, or too many to be sampled.  Interrupted, it goes on
;;; from its checkpoint: tempera run --continue=DIRECTORY.

(use-modules (tempera))

(define-experiment train-vae
    ((steps 2500 positive? "optimiser steps")
     (size 64 (lambda (n) (zero? (modulo n 16))) "rows and columns of the images")
     (latent 256 positive? "numbers for an image")
     (batch 32 positive? "images a step")
     (rate 2e-3 positive? "Adam's rate while it is steady")
     (decay 0.4 positive? "share of the run over which the rate falls")
     (seed 1)
     (every 100 positive? "steps between checkpoints"))
  "Train a variational auto-encoder of heads."
  (let* ((dataset (load-dataset))
         (trainer (make-trainer (vae #:size size #:latent latent)
                                (lambda (count step)
                                  (random-slices dataset count size #:seed seed #:stream step #:fit 1))
                                #:batch batch #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:averaging 0.998 #:clip 1.0
                                #:loss vae-loss)))
    (format #t "data: ~a~%" dataset)
    (let ((network (train-run! trainer "vae" #:every every
                               #:metadata `(("data" . ,(object->string dataset))
                                            ("experiment" . "experiments/train-vae.scm")
                                            ("seed" . ,(number->string seed))))))
      (format #t "s = ~a~%" (vae-noise network))
      (run-path "vae.safetensors"))))
