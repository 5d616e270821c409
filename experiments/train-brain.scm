;;; train-brain.scm -- the priors for heads: priors/brain.safetensors, a small one, the paper's.
;;;
;;;   tempera run experiments/train-brain.scm
;;;   tempera run experiments/train-brain.scm network=brain-small 'sizes=(64 96 64 128)' fit=1 batch=4 \
;;;     steps=6000 rate=1e-3
;;;   tempera run experiments/train-brain.scm network=brain-paper 'sizes=(128 96 128 192)' batch=8 \
;;;     steps=3000 rate=1e-3 decay=0.4
;;;
;;; Trains on the volumes that `tempera data' prepares (T1-weighted heads of three
;;; persons), on slices in all three orientations, moved, scaled, and given other
;;; contrasts and phases at random.  Which sigmas, and how their losses are weighed, is what
;;; sweep-prior.scm found best.  Interrupted, it goes on from its checkpoint: tempera run
;;; --continue=DIRECTORY.

(use-modules (tempera))

(define (slices dataset sizes fit seed)
  ;; Batches of about the same number of pixels, of several sizes in turn.
  (lambda (count step)
    (let* ((size (list-ref sizes (modulo step (length sizes))))
           (images (max 1 (round (/ (* count 128 128) (* size size))))))
      (random-slices dataset images size #:fit fit #:seed seed #:stream step))))

(define bodies
  '((brain paper-unet #:channels (32 64 128 128) #:blocks 1 #:convolutions 2 #:normalisation #f)
    (brain-small paper-unet #:channels (16 32 64 64) #:blocks 1 #:convolutions 2 #:normalisation #f)
    (brain-paper paper-unet)))          ; appendix A.1

(define heads '(300 2.5 0.6))           ; an upper bound of their power, by `power-spectrum-by-size'

(define (new-network network from sigma-data)
  "A score network with the weights of the file FROM, however that made a score of them, if not \"\"."
  (let ((net (score-network (assq-ref bodies network) #:parametrisation 'wiener #:spectrum heads
                            #:sigma-data sigma-data)))
    (unless (string-null? from)
      (for-each (lambda (to from) (tensor-assign! (cdr to) (cdr from)))
                (layer-parameters net) (layer-parameters (load-network from))))
    net))

(define-experiment train-brain
    ((network 'brain (lambda (n) (assq n bodies)) "brain, brain-small or brain-paper")
     (steps 10000 positive? "optimiser steps")
     (from "" string? "a score network whose weights to begin with, in place of new ones")
     (sizes '(128 192 96 256) (lambda (sizes) (and (pair? sizes) (and-map positive? sizes)))
            "of the images, in turn")
     (fit 0.3 (lambda (share) (<= 0 share 1)) "share of images that hold the whole slice")
     (batch 16 positive? "images of 128 x 128 a step; fewer when larger")
     (rate 5e-4 positive? "Adam's rate while it is steady")
     (decay 0.25 positive? "share of the run over which the rate falls")
     (sigma-data 30.0 positive? "standard deviation of the data, each of two parts")
     (seed 1)
     (every 100 positive? "steps between checkpoints"))
  "Train a score network for heads by denoising score matching."
  (let* ((dataset (load-dataset))
         (net (new-network network from sigma-data))
         (trainer (make-trainer net (slices dataset sizes fit seed) #:batch batch
                                #:sigma (sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100))
                                #:weight (balanced-weight 30)
                                #:frequencies (balanced-frequencies heads)
                                #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:averaging 0.999 #:clip 1.0)))
    (format #t "data: ~a~%" dataset)
    (train-run! trainer (symbol->string network) #:every every
                #:metadata `(("data" . ,(object->string dataset))
                             ("experiment" . "experiments/train-brain.scm")
                             ("seed" . ,(number->string seed))))
    (run-path (format #f "~a.safetensors" network))))
