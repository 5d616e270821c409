;;; sweep-prior.scm -- which parametrisation, which sigmas, which weights a prior learns best with.
;;;
;;; Small networks, trained for a short time on all persons but one and judged on slices of
;;; that one: by the PSNR of the expected denoised sample at each sigma.
;;;
;;; sweep-prior.csv is its table as of the weights that are shipped (steps=600).
;;;
;;;   tempera run experiments/sweep-prior.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define sigmas '(1 3 10 30 100))

(define ways
  ;; Name, parametrisation, sigma-data, distribution of sigma, weight of the loss.
  `(("paper's" paper 30 ,(sigma-normal 50) ,(const 1))
    ("paper's form, log-uniform" paper 30 ,(sigma-log-uniform 0.04 150) ,(const 1))
    ("preconditioned, N(0, 50^2)" preconditioned 30 ,(sigma-normal 50) ,(const 1))
    ("preconditioned, log-uniform" preconditioned 30 ,(sigma-log-uniform 0.04 150) ,(const 1))
    ("log-uniform, weight 1 + (sigma/30)^2" preconditioned 30 ,(sigma-log-uniform 0.04 150)
     ,(lambda (sigma) (+ 1 (expt (/ sigma 30) 2))))
    ("log-uniform, balanced from 4" preconditioned 30 ,(sigma-log-uniform 0.04 150)
     ,(balanced-weight 4))
    ("more from 1 to 100" preconditioned 30
     ,(sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100)) ,(const 1))
    ("more from 1 to 100, weight 1 + (sigma/30)^2" preconditioned 30
     ,(sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100))
     ,(lambda (sigma) (+ 1 (expt (/ sigma 30) 2))))
    ("more from 1 to 100, balanced from 30" preconditioned 30
     ,(sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100))
     ,(balanced-weight 30))
    ("the same, sigma-data 15" preconditioned 15
     ,(sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100))
     ,(balanced-weight 30))))

(define (image k batch)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (denoised network x sigma)
  (tensor+ x (tensor* (* sigma sigma) (score network x sigma))))

(define-experiment prior-way
  ((way 0 (lambda (n) (< -1 n (length ways))) "which one of the list")
   (steps 1500 positive? "of training")
   (batch 8 positive? "images of 96 x 96 a step")
   (rate 1e-3 positive? "Adam's rate while it is steady")
   (person "pddl" string? "who is held out")
   (images 12 positive? "of that person, to judge by")
   (seed 1 (lambda (s) (>= s 0)) "of training"))
  "Train a small prior in one way and measure it as a denoiser."
  (let*-values (((name parametrisation sigma-data distribution weight)
                 (apply values (list-ref ways way)))
                ((training held-out) (dataset-split (load-dataset) person))
                ((trainer)
                 (make-trainer (score-network '(paper-unet #:channels (16 32 64 64) #:blocks 1
                                                           #:convolutions 2 #:normalisation #f)
                                              #:parametrisation parametrisation
                                              #:sigma-data sigma-data)
                               (lambda (count step)
                                 (random-slices training count 96 #:seed seed #:stream step))
                               #:batch batch #:steps steps #:seed seed #:sigma distribution
                               #:weight weight #:averaging 0.998
                               #:rate (warmup-stable-decay rate #:decay 0.4)))
                ((truth) (random-slices held-out images 160 #:seed 1234)))
    (train! trainer)
    (let ((network (trainer-averaged trainer)))
      (cons `(name . ,name)
            (map (lambda (sigma)
                   (let ((noisy (tensor+ truth (tensor* sigma (random-normal (tensor-shape truth)
                                                                             5 0 'c64)))))
                     (cons (string->symbol (format #f "sigma-~a" sigma))
                           (mean (map (lambda (k)
                                        (psnr (image k (denoised network noisy sigma)) (image k truth)))
                                      (iota images))))))
                 sigmas)))))

(define-experiment sweep-prior
  ((steps 1500 positive? "of each training")
   (seeds '(1) pair? "trainings of each way")
   (person "pddl" string? "who is held out")
   (workers 1 positive? "points at a time"))
  "Denoising by parametrisation, distribution of sigma and weight."
  (let* ((results (sweep-results
                   (sweep prior-way (grid #:way (iota (length ways)) #:seed seeds)
                          #:settings `((steps . ,steps) (person . ,person))
                          #:directory (run-path "sweep") #:workers workers)))
         (columns (map (lambda (sigma) (string->symbol (format #f "sigma-~a" sigma))) sigmas))
         (table (apply table-group results '(name) (map (lambda (c) (list c 'mean)) columns))))
    (save-table (run-path "by-way.csv") table)
    (format #t "~a~%" (table-text table))
    (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
