;;; train.scm -- `tempera train': a prior by denoising score matching.

(define-module (tempera shell commands train)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base program)
  #:use-module (tempera data dataset)
  #:use-module (tempera data slices)
  #:use-module (tempera net checkpoints)
  #:use-module (tempera net noise-levels)
  #:use-module (tempera net rates)
  #:use-module (tempera net score-networks)
  #:use-module (tempera net spectral-norms)
  #:use-module (tempera net trainer)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera run training-runs)
  #:use-module (tempera shell launch)
  #:export (main summary train))

(define summary "train a score network on the prepared data")

(define (multiple-of-8 n)
  (and (>= n 16) (zero? (modulo n 8))))

(define (checkpoint-in path)
  ;; The checkpoint PATH, or that in the folder PATH.
  (let ((file (if (file-is-directory? path) (string-append path "/checkpoint.safetensors") path)))
    (check-that (file-exists? file) 'train "from: no such file: ~a" file)
    file))

(define (training-set hold-out)
  (let ((dataset (load-dataset)))
    (if hold-out
        (let-values (((training held-out)
                      (apply dataset-split dataset (string-split hold-out #\,))))
          (check-that (pair? (dataset-scans training)) 'train
                      "hold-out: nobody is left to train on: ~a is all there are"
                      (string-join (dataset-persons dataset) ", "))
          training)
        dataset)))

(define (description network channels blocks convolutions no-norm seed)
  (case network
    ((code-unet) `(code-unet #:seed ,seed))
    (else `(paper-unet #:channels ,channels #:blocks ,blocks #:convolutions ,convolutions
                       #:normalisation ,(if no-norm #f 'batch)
                       #:seed ,seed))))

(define-experiment train
  ((network 'paper-unet (lambda (name) (memq name '(paper-unet code-unet))) "which one")
   (channels '(32 64 128) "of paper-unet by scale")
   (blocks 2 positive? "of paper-unet a scale, down and up")
   (convolutions 3 positive? "of paper-unet in a block")
   (no-norm #f "paper-unet without batch norm")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16))) "of the products of convolutions")
   (parametrisation 'preconditioned (lambda (name) (memq name '(paper preconditioned)))
                    "what the network's output stands for")
   (sigma-data 30 positive? "standard deviation of the data, for preconditioned")
   (normal (optional number) positive? "train with sigma ~ N(0, S^2), the paper's S being 50")
   (low 0.05 positive? "else with log sigma uniform from here")
   (high 150 positive? "to here")
   (spectral (optional symbol) (lambda (way) (memq way '(penalty projection cap)))
             "what bounds the weights' spectral norms")
   (spectral-value 2 positive? "the norm for projection and cap, the weight for penalty")
   (steps 1000 positive? "of the optimiser")
   (batch 16 positive? "images a step")
   (size 128 multiple-of-8 "rows and columns of an image")
   (rate 5e-4 positive? "Adam's, while steady")
   (averaging 0.999 (lambda (decay) (<= 0 decay 1)) "decay a step of the weights' average")
   (hold-out (optional string) "persons to leave out, separated by commas")
   (seed 0 (lambda (n) (>= n 0)) "of weights, images and noise")
   (every 200 positive? "steps between checkpoints")
   (from (optional file) "another training's folder or checkpoint, to go on from: with more steps, at another rate"))
  "Trains on the volumes of `tempera data', and leaves prior.safetensors.  Writes checkpoint.safetensors
now and then and at Ctrl-C or SIGTERM, from which the run goes on, to the bit.  With `from' a new run goes on
from another's checkpoint; what settings are other is said.  The network and the seed must be the same."
  #:check (begin
            (training-set hold-out)
            (when from (checkpoint-in from)))
  (let* ((dataset (training-set hold-out))
         (about `(("data" . ,(dataset-text dataset))
                  ("version" . ,tempera-version)))
         (trainer (make-trainer (score-network (description network channels blocks convolutions
                                                            no-norm seed)
                                               #:parametrisation parametrisation
                                               #:precision precision #:sigma-data sigma-data)
                                (lambda (count step)
                                  (random-slices dataset count size #:seed seed #:stream step))
                                #:batch batch #:steps steps #:seed seed
                                #:rate (warmup-stable-decay rate)
                                #:sigma (if normal
                                            (sigma-normal normal)
                                            (sigma-log-uniform low high))
                                #:averaging averaging
                                #:about `(,@about ("size" . ,(number->string size)))
                                #:spectral (and spectral
                                                ((assq-ref `((cap . ,cap) (projection . ,projection)
                                                             (penalty . ,penalty))
                                                           spectral)
                                                 spectral-value)))))
    (format #t "on ~a~%" (dataset-text dataset))
    (when (and from (not (file-exists? (run-path "checkpoint.safetensors"))))
      (trainer-resume! trainer (checkpoint-in from)))
    (train-run! trainer "prior" #:every every #:metadata about)
    `((steps . ,(trainer-step trainer))
      (loss . ,(second (first (trainer-losses trainer)))))))

(define (main words) (run-command train words))
