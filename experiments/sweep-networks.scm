;;; sweep-networks.scm -- which network a prior for heads learns best with, at equal training time.
;;;
;;; Each network first makes a few steps, which tell how much of a processor one takes, and is then trained anew
;;; for as many as there is time for, in the way of train-heads.scm.  It is judged on persons held out: by
;;; equation 3's loss at each sigma, over that of a score of 0; and by posteriors of undersampled k-space,
;;; how far a sample and the mean are above zero-filled, and how many pixels the 90 % intervals hold.
;;;
;;; sweep-networks.csv is its table.
;;;
;;;   tempera run experiments/sweep-networks.scm validate-on=ds00274848,ds00001110,openms20

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define heads '(300 2.5 0.6))           ; an upper bound of their power, as in train-heads.scm

(define networks
  ;; A name, and a description.
  '(("paper's, appendix A.1" paper-unet)
    ("paper's, four scales, no norm"
     paper-unet #:channels (32 64 128 128) #:blocks 1 #:convolutions 2 #:normalisation #f)
    ("edm, full resolution, 32" edm-unet #:width 32 #:multipliers (1 2 4 4) #:blocks 1 #:attention (8))
    ("edm, full resolution, 16" edm-unet #:width 16 #:multipliers (1 2 4 8) #:blocks 1 #:attention (8))
    ("edm, half resolution, 48"
     edm-unet #:width 48 #:multipliers (1 2 3 3) #:blocks 1 #:attention (16) #:unshuffle 2)
    ("edm, half resolution, 64"
     edm-unet #:width 64 #:multipliers (1 2 3) #:blocks 2 #:attention () #:unshuffle 2)
    ("DRUNet" drunet #:channels (32 64 128 256) #:blocks 2)))

(define sigmas '(0.1 0.3 1 3 10 30 100 300 1000))

(define (trainer-of description training steps batch rate seed)
  "A trainer of the network that DESCRIPTION says, as train-heads.scm has it, on images of 128 x 128 and 96 x 96."
  (make-trainer (score-network description #:parametrisation 'wiener #:spectrum heads #:sigma-data 30)
                (lambda (count step)
                  (if (even? step)
                      (random-slices training count 128 #:fit 0.5 #:seed seed #:stream step)
                      (random-slices training (* 2 count) 96 #:fit 0.5 #:seed seed #:stream step)))
                #:batch batch #:steps steps #:seed seed #:clip 1.0 #:averaging 0.998
                #:sigma (sigma-mixture 1 (sigma-log-uniform 0.04 4000) 1 (sigma-log-uniform 0.5 300))
                #:weight (balanced-weight 30) #:frequencies (balanced-frequencies heads)
                #:rate (warmup-stable-decay rate #:decay 0.4)))

(define (seconds-a-step make-trainer)
  "Of processors, in one of the trainers that MAKE-TRAINER makes of a number of steps."
  (define (run-seconds trainer)
    (let ((start (get-internal-run-time)))
      (train! trainer)
      (/ (- (get-internal-run-time) start) 1. internal-time-units-per-second)))
  (run-seconds (make-trainer 2))        ; what only the first steps need
  (/ (run-seconds (make-trainer 8)) 8))

(define (image k batch)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (posterior-measures network scan acceleration seed)
  "Of eight samples of the posterior of SCAN, sigma_n = 0.1, by `split-gibbs': the gain of a sample and of the mean over
the zero-filled image in dB, and the share of pixels inside of the 90 % intervals."
  (let* ((mask (random-mask (second (tensor-shape scan)) #:acceleration acceleration #:seed seed))
         (op (mri-operator #:mask mask))
         (m (measurement op (measure op scan #:noise 0.1 #:seed seed) #:noise 0.1))
         (zero-filled (psnr (apply-adjoint op (measurement-data m)) scan))
         (x (chain-samples (anneal (posterior network m) #:seed seed #:sampler (split-gibbs)
                                   #:temperatures (log-linear 60 #:until 0.046 #:count 100)))))
    (list (- (mean (psnr x scan)) zero-filled)
          (- (psnr (tensor-mean (tensor-abs x) 0) scan) zero-filled)
          (covered-share x scan #:where (tensor< 0.5 (tensor-abs scan))))))

(define-experiment network-point
  ((network 0 (lambda (n) (< -1 n (length networks))) "which one of the list")
   (minutes 15.0 positive? "of one processor, to train for")
   (batch 8 positive? "images of 128 x 128 a step")
   (rate 8e-4 positive? "Adam's rate while it is steady")
   (validate-on "" string? "persons to judge on and not to train on, separated by commas")
   (images 16 positive? "of these persons, to judge by")
   (scans 2 positive? "of these, to take posteriors of")
   (acceleration 4 (lambda (r) (>= r 1)) "of their undersampling")
   (seed 1 (lambda (s) (>= s 0)) "of training, masks, noise and chains"))
  "Train one network for some minutes and measure it as a denoiser and as a prior."
  (let*-values (((name description) (car+cdr (list-ref networks network)))
                ((training held-out)
                 (apply dataset-split (load-dataset) (string-split validate-on #\,)))
                ((make) (lambda (steps) (trainer-of description training steps batch rate seed)))
                ((step) (seconds-a-step make))
                ((trainer) (make (max 10 (inexact->exact (floor (/ (* 60 minutes) step))))))
                ((truth) (random-slices held-out images 128 #:fit 0.5 #:seed 1000)))
    (train! trainer)
    (let* ((network (trainer-averaged trainer))
           (losses (table-column ((validation truth #:sigmas sigmas) network) 'loss))
           (gains (map (lambda (k) (posterior-measures network (image k truth) acceleration (+ seed k)))
                       (iota (min scans images))))
           (column (lambda (k) (mean (map (lambda (row) (list-ref row k)) gains)))))
      `((name . ,name)
        (parameters . ,(parameter-count network))
        (step . ,step)
        (steps . ,(trainer-step trainer))
        ,@(map (lambda (sigma loss) (cons (string->symbol (format #f "loss-~a" sigma)) loss)) sigmas losses)
        (sample . ,(column 0)) (mean . ,(column 1)) (coverage . ,(column 2))))))

(define-experiment sweep-networks
  ((networks (iota (length networks)) pair? "by number, as listed above")
   (minutes 15.0 positive? "of one processor, to train each for")
   (validate-on "" string? "persons to judge on and not to train on, separated by commas")
   (seed 1 (lambda (s) (>= s 0)) "of training, masks, noise and chains")
   (workers 1 positive? "points at a time"))
  "Losses and posteriors by network, at equal training time."
  (let ((table (sweep-results
                (sweep network-point (grid #:network networks)
                       #:settings `((minutes . ,minutes) (validate-on . ,validate-on) (seed . ,seed))
                       #:directory (run-path "sweep") #:workers workers))))
    (save-table (run-path "by-network.csv") table)
    (format #t "~a~%" (table-text table))
    (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
