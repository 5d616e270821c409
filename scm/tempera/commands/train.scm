;;; train.scm -- `tempera train': a prior by denoising score matching.

(define-module (tempera commands train)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera cli)
  #:use-module (tempera data)
  #:use-module (tempera errors)
  #:use-module (tempera files)
  #:use-module (tempera networks)
  #:use-module (tempera training)
  #:export (main summary))

(define summary "train a score network on the prepared data")

(define (word-in . words)
  (lambda (word) (memq word words)))

(define (multiple-of-8 n)
  (and (>= n 16) (zero? (modulo n 8))))

(define options
  `((network symbol "paper-unet or code-unet" paper-unet ,(word-in 'paper-unet 'code-unet))
    (channels numbers "of paper-unet by scale" (32 64 128))
    (blocks integer "of paper-unet a scale, down and up" 2 ,positive?)
    (convolutions integer "of paper-unet in a block" 3 ,positive?)
    (no-norm flag "paper-unet without batch norm")
    (precision symbol "of the products of convolutions: float32 or bf16" float32
               ,(lambda (name) (memq name '(float32 bf16))))
    (parametrisation symbol "paper or preconditioned" preconditioned
                     ,(word-in 'paper 'preconditioned))
    (sigma-data number "standard deviation of the data, for preconditioned" 30 ,positive?)
    (normal number "train with sigma ~ N(0, S^2), the paper's S being 50" #f
            ,(lambda (s) (or (not s) (positive? s))))
    (low number "else with log sigma uniform from here" 0.05 ,positive?)
    (high number "to here" 150 ,positive?)
    (spectral symbol "penalty, projection or cap" #f
              ,(lambda (s) (memq s '(#f penalty projection cap))))
    (spectral-value number "the norm for projection and cap, the weight for penalty" 2 ,positive?)
    (steps integer "of the optimiser" 1000 ,positive?)
    (batch integer "images a step" 16 ,positive?)
    (size integer "rows and columns of an image, a multiple of 8" 128 ,multiple-of-8)
    (rate number "Adam's, while steady" 5e-4 ,positive?)
    (averaging number "decay a step of the weights' average" 0.999 ,(lambda (d) (<= 0 d 1)))
    (hold-out string "persons to leave out, separated by commas")
    (seed integer "of weights, images and noise" 0 ,(lambda (n) (>= n 0)))
    (every integer "steps between checkpoints" 200 ,positive?)
    (out string "the folder for checkpoint.safetensors and prior.safetensors" "out/train")))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "train" options arguments #:count 0
                               #:summary "Trains on the volumes of `tempera data'.  Writes a checkpoint now and then and at
Ctrl-C; the same command goes on from it, to the bit.  With other settings it goes on too, and says what is
other; not with another network, seed, or after training diverged.")))
    (define (ref name) (assq-ref options name))
    (let* ((dataset (training-set (ref 'hold-out)))
           (network (score-network (description ref) #:parametrisation (ref 'parametrisation)
                                   #:precision (ref 'precision)
                                   #:sigma-data (ref 'sigma-data)))
           (checkpoint (string-append (ref 'out) "/checkpoint.safetensors"))
           (size (ref 'size))
           (trainer (make-trainer network
                                  (lambda (count step)
                                    (random-slices dataset count size #:seed (ref 'seed)
                                                   #:stream step))
                                  #:batch (ref 'batch) #:steps (ref 'steps) #:seed (ref 'seed)
                                  #:rate (warmup-stable-decay (ref 'rate))
                                  #:sigma (if (ref 'normal)
                                              (sigma-normal (ref 'normal))
                                              (sigma-log-uniform (ref 'low) (ref 'high)))
                                  #:averaging (ref 'averaging)
                                  #:about `(("data" . ,(dataset-text dataset))
                                            ("size" . ,(number->string size)))
                                  #:spectral (and (ref 'spectral)
                                                  (list (ref 'spectral) (ref 'spectral-value))))))
      (make-directories (ref 'out))
      (when (file-exists? checkpoint)
        (trainer-resume! trainer checkpoint))
      (format #t "~a~%on ~a~%" trainer dataset)
      (train! trainer #:checkpoint checkpoint #:every (ref 'every))
      (let ((path (string-append (ref 'out) "/prior.safetensors")))
        (save-network path (trainer-averaged trainer)
                      #:metadata `(("data" . ,(object->string dataset))
                                   ("command" . ,(string-join (cons "tempera train" arguments)))
                                   ("steps" . ,(number->string (trainer-step trainer)))
                                   ("training" . ,(object->string (trainer-history trainer)))
                                   ("version" . ,tempera-version)))
        (format #t "wrote ~a~%" path)))))

(define (training-set hold-out)
  (let ((dataset (load-dataset)))
    (if hold-out
        (let-values (((training held-out)
                      (apply dataset-split dataset (string-split hold-out #\,))))
          (check-that (pair? (dataset-scans training)) 'train
                      "--hold-out: nobody is left to train on: ~a is all there are"
                      (string-join (dataset-persons dataset) ", "))
          training)
        dataset)))

(define (description ref)
  (case (ref 'network)
    ((code-unet) `(code-unet #:seed ,(ref 'seed)))
    (else `(paper-unet #:channels ,(ref 'channels) #:blocks ,(ref 'blocks)
                       #:convolutions ,(ref 'convolutions)
                       #:normalisation ,(if (ref 'no-norm) #f 'batch)
                       #:seed ,(ref 'seed)))))
