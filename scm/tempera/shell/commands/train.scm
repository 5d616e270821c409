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
  #:use-module (tempera net learned-weights)
  #:use-module (tempera net losses)
  #:use-module (tempera net noise-levels)
  #:use-module (tempera net rates)
  #:use-module (tempera net score-networks)
  #:use-module (tempera net spectral-norms)
  #:use-module (tempera net trainer)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera run training-runs)
  #:use-module (tempera sample learned-scores)
  #:use-module (tempera shell launch)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (main summary train))

(define summary "train a score network on the prepared data")

(define (multiple-of-8 n)
  (and (>= n 16) (zero? (modulo n 8))))

(define (checkpoint-in path)
  ;; The checkpoint PATH, or that in the folder PATH.
  (let ((file (if (file-is-directory? path) (string-append path "/checkpoint.safetensors") path)))
    (check-that (file-exists? file) 'train "from: no such file: ~a" file)
    file))

(define (split-data hold-out)
  ;; Two values: the volumes of `tempera data' without those of HOLD-OUT, names with commas or #f, and these, or #f.
  (let ((dataset (load-dataset)))
    (if hold-out
        (let-values (((training held-out)
                      (apply dataset-split dataset (string-split hold-out #\,))))
          (check-that (pair? (dataset-scans training)) 'train
                      "hold-out: nobody is left to train on: ~a is all there are"
                      (string-join (dataset-persons dataset) ", "))
          (values training held-out))
        (values dataset #f))))

;;; --- Networks -------------------------------------------------------------------------

(define options-of
  ;; What each network takes of the options below.
  '((paper-unet channels blocks convolutions normalisation)
    (code-unet)
    (edm-unet width multipliers blocks attention unshuffle)
    (drunet channels blocks)))

(define-syntax-rule (given name ...)
  ;; The parameters NAME ... that have a value, an alist.
  (filter cdr (list (cons 'name name) ...)))

(define (description network options no-norm seed)
  "NETWORK with OPTIONS, an alist of what was given, as `score-network' takes it."
  (let ((takes (assq-ref options-of network))
        (options (if no-norm (append options '((normalisation . #f))) options)))
    (append (list network)
            (append-map (lambda (option)
                          (check-that (memq (car option) takes) 'train "~a: ~a has none; its options are ~a"
                                      (car option) network
                                      (if (null? takes) "none" (string-join (map symbol->string takes) ", ")))
                          (list (symbol->keyword (car option)) (cdr option)))
                        options)
            (list #:seed seed))))

(define (weight-of-sigma name sigma-data)
  (case name
    ((equal) (const 1))
    ((balanced) (balanced-weight sigma-data))
    ((learned) (learned-weight))))

(define (greatest-distance dataset size seed)
  ;; Between slices of DATASET, to two digits.
  (significant (largest-distance (random-slices dataset 64 size #:fit 1 #:seed seed)) 2))

(define-experiment train
  ((network 'paper-unet (lambda (name) (memq name '(paper-unet code-unet edm-unet drunet))) "which one")
   (channels (optional numbers) pair? "of paper-unet or drunet by scale, 32,64,128 say")
   (width (optional integer) positive? "of edm-unet: channels are multiples of it")
   (multipliers (optional numbers) pair? "of edm-unet by scale, 1,2,3,4 say")
   (attention (optional numbers) list? "of edm-unet: at these reductions of rows and columns, 16 say")
   (unshuffle (optional integer) positive? "of edm-unet: all arithmetic at this fraction of the resolution")
   (blocks (optional integer) positive? "of paper-unet, edm-unet or drunet a scale")
   (convolutions (optional integer) positive? "of paper-unet in a block")
   (no-norm #f "paper-unet without batch norm")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16))) "of the products of convolutions")
   (parametrisation 'preconditioned (lambda (name) (memq name '(paper preconditioned wiener)))
                    "what the network's output stands for")
   (sigma-data 30 positive? "standard deviation of the data, for preconditioned and wiener")
   (spectrum '(300 2.5 0.6) (lambda (s) (= 3 (length s))) "of wiener's Gaussian field: A, p and c of a power law")
   (normal (optional number) positive? "train with sigma ~ N(0, S^2), the paper's S being 50")
   (low 0.05 positive? "else with log sigma uniform from here")
   (high (optional number) positive? "to here; by default the largest distance between slices of the data")
   (weight 'equal (lambda (name) (memq name '(equal balanced learned)))
           "how much losses count by sigma: alike, balanced (large sigma more), or as training learns")
   (balance #f "errors at large structures count more, as the spectrum says")
   (spectral (optional symbol) (lambda (way) (memq way '(penalty projection cap)))
             "what bounds the weights' spectral norms")
   (spectral-value 2 positive? "the norm for projection and cap, the weight for penalty")
   (steps 1000 positive? "of the optimiser")
   (batch 16 positive? "images a step")
   (accumulate 1 positive? "batches whose gradients make a step, in the memory of one")
   (size 128 multiple-of-8 "rows and columns of an image")
   (rate 5e-4 positive? "Adam's, while steady")
   (averaging 0.999 (lambda (decay) (<= 0 decay 1)) "decay a step of the weights' average")
   (hold-out (optional string) "persons to validate on and not to train on, separated by commas")
   (validation-images 12 positive? "slices of theirs")
   (seed 0 (lambda (n) (>= n 0)) "of weights, images and noise")
   (every 200 positive? "steps between checkpoints")
   (from (optional file) "another training's folder or checkpoint, to go on from: with more steps, at another rate"))
  "Trains on the volumes of `tempera data', and leaves prior.safetensors.  Writes checkpoint.safetensors
now and then and at Ctrl-C or SIGTERM, from which the run goes on, to the bit.  With `hold-out' validation.csv has
the losses of persons that are not trained on, by sigma.  With `from' a new run goes on
from another's checkpoint; what settings are other is said.  The network and the seed must be the same."
  #:check (begin
            (with-scope (lambda () (split-data hold-out) #t)) ; the volumes are free again
            (build-body (description network (given channels width multipliers attention unshuffle blocks convolutions)
                                     no-norm 0))
            (when from (checkpoint-in from)))
  #:trials `((small (steps . 4)) (large (steps . 20)) (seconds 4 20 ,steps))
  (let*-values (((dataset held-out) (split-data hold-out))
                ((about) `(("data" . ,(dataset-text dataset))
                           ("version" . ,tempera-version)))
                ((body) (description network (given channels width multipliers attention unshuffle blocks
                                                    convolutions)
                                     no-norm seed))
                ((sigma) (if normal
                             (sigma-normal normal)
                             (sigma-log-uniform low (or high (greatest-distance dataset size seed)))))
                ((trainer)
                 (make-trainer (score-network body #:parametrisation parametrisation #:precision precision
                                              #:sigma-data sigma-data #:spectrum spectrum)
                               (lambda (count step)
                                 (random-slices dataset count size #:seed seed #:stream step))
                               #:batch batch #:accumulate accumulate #:steps steps #:seed seed
                               #:rate (warmup-stable-decay rate)
                               #:sigma sigma
                               #:weight (weight-of-sigma weight sigma-data)
                               #:frequencies (and balance (balanced-frequencies spectrum))
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
    (train-run! trainer "prior" #:every every #:metadata about
                #:validation (and held-out
                                  (validation (random-slices held-out validation-images size
                                                             #:fit 1 #:seed (1+ seed)))))
    `((steps . ,(trainer-step trainer))
      (loss . ,(second (first (trainer-losses trainer)))))))

(define (main words) (run-command train words))
