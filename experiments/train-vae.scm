;;; train-vae.scm -- the variational auto-encoder of section 2, priors/vae.safetensors.
;;;
;;;   tempera run experiments/train-vae.scm
;;;
;;; Learns whole heads at 64 x 64 pixels: it has one size, and its latent numbers have to say all of
;;; an image, which for larger ones are too few, or too many to be sampled.  Interrupted, it goes on
;;; from its checkpoint: tempera run --run=DIRECTORY.

(use-modules (srfi srfi-1) (tempera))

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
         (checkpoint (run-path "checkpoint.safetensors"))
         (trainer (make-trainer (vae #:size size #:latent latent)
                                (lambda (count step)
                                  (random-slices dataset count size #:seed seed #:stream step #:fit 1))
                                #:batch batch #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:averaging 0.998 #:clip 1.0
                                #:loss vae-loss)))
    (when (file-exists? checkpoint) (trainer-resume! trainer checkpoint))
    (format #t "~a~%data: ~a~%" trainer dataset)
    (train! trainer #:checkpoint checkpoint #:every every
            #:hook (lambda (trainer)
                     (save-text (run-path "losses.csv")
                                (string-append
                                 "step,loss\n"
                                 (string-concatenate
                                  (map (lambda (row) (format #f "~a,~a\n" (first row) (second row)))
                                       (reverse (trainer-losses trainer))))))))
    (let ((path (run-path "vae.safetensors"))
          (network (trainer-averaged trainer)))
      (save-network path network
                    #:metadata `(("data" . ,(object->string dataset))
                                 ("experiment" . "experiments/train-vae.scm")
                                 ("steps" . ,(number->string (trainer-step trainer)))
                                 ("seed" . ,(number->string seed))))
      (format #t "wrote ~a; s = ~a~%" path (vae-noise network)))))
