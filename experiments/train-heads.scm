;;; train-heads.scm -- a prior for heads, from pure noise to a scan's own: priors/heads.safetensors.
;;;
;;;   tempera run experiments/train-heads.scm
;;;   tempera run experiments/train-heads.scm network=heads-paper steps=4000 rate=1e-3 decay=0.4
;;;   tempera run experiments/train-heads.scm from=priors/heads.safetensors seed=2
;;;
;;; Trains on the volumes that `tempera data --add' prepared (priors/README.md says which), in which whole heads and
;;; extracted brains count alike, however many there are of each.  Sigma goes from below the noise of
;;; scans to the largest distance between images (Song and Ermon 2020, technique 1), so that chains
;;; without data can start in pure noise.  Interrupted, it goes on from its checkpoint: tempera run
;;; --continue=DIRECTORY.  A longer training, or one that ends sooner, goes on from another's checkpoint:
;;;
;;;   tempera run experiments/train-heads.scm resume=runs/BEFORE/checkpoint.safetensors steps=30000

(use-modules (tempera) (srfi srfi-1) (srfi srfi-11))

(define bodies
  '((heads edm-unet #:width 48 #:multipliers (1 2 3 3) #:blocks 1 #:attention (16) #:unshuffle 2)
    (heads-paper paper-unet)))          ; appendix A.1

(define heads '(300 2.5 0.6))           ; an upper bound of their power, by `power-spectrum-by-size'

(define (extracted? scan)
  ;; Brains without skulls have nothing at all around them.
  (let ((volume (scan-volume scan)))
    (< (tensor->number (tensor-mean (tensor< 0 volume))) 1/2)))

(define (scan-weights dataset)
  ;; A procedure of a scan, by which extracted brains and whole heads are drawn as often as each other.
  (let* ((persons (map (lambda (scan) (cons (scan-person scan) (extracted? scan)))
                       (dataset-scans dataset)))
         (among (lambda (kind)
                  (let loop ((persons persons) (seen '()))
                    (cond ((null? persons) (max 1 (length seen)))
                          ((and (eq? kind (cdar persons)) (not (member (caar persons) seen)))
                           (loop (cdr persons) (cons (caar persons) seen)))
                          (else (loop (cdr persons) seen))))))
         (counts (list (cons #t (among #t)) (cons #f (among #f)))))
    (lambda (scan)
      (/ 1. (assq-ref counts (assoc-ref persons (scan-person scan)))))))

(define (slices dataset sizes fit seed)
  ;; Batches of about the same number of pixels, of several sizes in turn.
  (let ((weight (scan-weights dataset)))
    (lambda (count step)
      (let* ((size (list-ref sizes (modulo step (length sizes))))
             (images (max 1 (round (/ (* count 128 128) (* size size))))))
        (random-slices dataset images size #:fit fit #:seed seed #:stream step #:weight weight)))))

(define (split dataset persons)
  ;; DATASET without PERSONS, names separated by commas, and only them.
  (apply dataset-split dataset (remove string-null? (string-split persons #\,))))

(define (validation-of held-out)
  ;; On 12 slices of theirs; #f when there is nobody.
  (and (pair? (dataset-scans held-out))
       (validation (random-slices held-out 12 128 #:fit 0.5 #:seed 1000))))

(define (new-network network from sigma-data)
  "A score network with the weights of the file FROM, if not \"\"."
  (let ((net (score-network (assq-ref bodies network) #:parametrisation 'wiener #:spectrum heads
                            #:sigma-data sigma-data)))
    (unless (string-null? from)
      (for-each (lambda (to from) (tensor-assign! (cdr to) (cdr from)))
                (layer-parameters net) (layer-parameters (load-network from))))
    net))

(define-experiment train-heads
    ((network 'heads (lambda (n) (assq n bodies)) "heads or heads-paper")
     (steps 20000 positive? "optimiser steps")
     (from "" string? "a score network whose weights to begin with, in place of new ones")
     (resume "" string? "another training's checkpoint to go on from, with these settings")
     (sizes '(128 96 192 128 64 256) (lambda (sizes) (and (pair? sizes) (and-map positive? sizes)))
            "of the images, in turn")
     (fit 0.5 (lambda (share) (<= 0 share 1)) "share of images that hold the whole slice")
     (batch 8 positive? "images of 128 x 128 a step; fewer when larger")
     (rate 6e-4 positive? "Adam's rate while it is steady")
     (decay 0.25 positive? "share of the run over which the rate falls")
     (averaging 0.999 (lambda (a) (< 0 a 1)) "a step of an average of the weights; two longer ones are kept too")
     (learned-weight? #f boolean? "learn how much losses count at each sigma, in place of a formula")
     (validate-on "" string? "persons to validate on and not to train on, separated by commas")
     (sigma-data 30.0 positive? "standard deviation of the data, each of two parts")
     (sigma-most 20000.0 positive? "about the largest distance between two images, and more than any image is from black")
     (seed 1)
     (every 100 positive? "steps between checkpoints"))
  "Train a score network for heads by denoising score matching, at every sigma there is."
  (let*-values
      (((dataset held-out) (split (load-dataset) validate-on))
       ((trainer) (make-trainer (new-network network from sigma-data) (slices dataset sizes fit seed) #:batch batch
                                #:sigma (sigma-mixture 1 (sigma-log-uniform 0.04 sigma-most)
                                                       1 (sigma-log-uniform 0.5 300))
                                #:weight (if learned-weight? (learned-weight) (balanced-weight sigma-data))
                                #:frequencies (balanced-frequencies heads)
                                #:rate (warmup-stable-decay rate #:decay decay)
                                #:steps steps #:seed seed #:clip 1.0
                                #:averaging (list averaging (power-average 0.05) (power-average 0.1)))))
    (format #t "data: ~a~%" dataset)
    (unless (or (string-null? resume) (file-exists? (run-path "checkpoint.safetensors")))
      (trainer-resume! trainer resume))
    (train-run! trainer (symbol->string network) #:every every #:validation (validation-of held-out)
                #:metadata `(("data" . ,(object->string dataset))
                             ("experiment" . "experiments/train-heads.scm")
                             ("seed" . ,(number->string seed))))
    (run-path (format #f "~a.safetensors" network))))
