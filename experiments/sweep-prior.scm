;;; sweep-prior.scm -- which parametrisation, sigmas, weights and spectral norms a prior learns
;;; best with.
;;;
;;; Small networks of whole heads, trained for a short time on all persons but one and judged on
;;; slices of that one: by the PSNR of the expected denoised sample at each sigma; by equation 3's
;;; loss over large structures, |k| from 2 to 4, where 1 is what knowing nothing has; by posteriors
;;; of undersampled k-space, their means and how often their intervals hold the truth; and by the
;;; largest step of the leapfrog that the score bears.  The last ways bound spectral norms, which
;;; appendix A.1 does and finds 2 best; sweep-spectral-norm.scm asks that of two moons too.
;;;
;;; sweep-prior.csv is its table.
;;;
;;;   tempera run experiments/sweep-prior.scm workers=2

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define sigmas '(1 3 10 30 100))

(define heads '(300 2.5 0.6))           ; an upper bound of their power, as in train-brain.scm

(define ways
  ;; Name, parametrisation, distribution of sigma, weight of the loss, exponent of the weights of
  ;; frequencies, bound on spectral norms.
  (let ((everywhere (sigma-log-uniform 0.04 150))
        (more (sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100)))
        (alike (const 1))
        (square (lambda (sigma) (+ 1 (expt (/ sigma 30) 2)))))
    `(("paper's" paper ,(sigma-normal 50) ,alike #f #f)
      ("paper's form, log-uniform" paper ,everywhere ,alike #f #f)
      ("preconditioned, N(0, 50^2)" preconditioned ,(sigma-normal 50) ,alike #f #f)
      ("preconditioned, log-uniform" preconditioned ,everywhere ,alike #f #f)
      ("more from 1 to 100" preconditioned ,more ,alike #f #f)
      ("more from 1 to 100, weight 1 + (sigma/30)^2" preconditioned ,more ,square #f #f)
      ("more from 1 to 100, balanced" preconditioned ,more ,(balanced-weight 30) #f #f)
      ("the same, frequencies balanced by 1/4" preconditioned ,more ,(balanced-weight 30) 1/4 #f)
      ("Wiener's skip" wiener ,more ,(balanced-weight 30) #f #f)
      ("Wiener's skip, frequencies balanced by 1/8" wiener ,more ,(balanced-weight 30) 1/8 #f)
      ("Wiener's skip, frequencies balanced by 1/4" wiener ,more ,(balanced-weight 30) 1/4 #f)
      ("Wiener's skip, frequencies balanced by 1/2" wiener ,more ,(balanced-weight 30) 1/2 #f)
      ,@(map (lambda (norm)
               (list (format #f "as by 1/4, spectral norms of at most ~a" norm)
                     'wiener more (balanced-weight 30) 1/4 norm))
             '(0.01 0.5 1 2 5 10)))))

(define (image k batch)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (posterior-measures network scan seed)
  "Of eight samples of the posterior of SCAN at R = 4, sigma_n = 0.1: the gain of a sample and of the
mean over the zero-filled image in dB, and the share of pixels inside of the 90 % intervals."
  (let* ((op (mri-operator #:mask (random-mask (second (tensor-shape scan)) #:acceleration 4 #:seed seed)))
         (y (measure op scan #:noise 0.1 #:seed seed))
         (zero-filled (psnr (apply-adjoint op y) scan))
         (x (chain-samples (anneal (posterior network op y #:noise 0.1) #:seed seed
                                   #:temperatures (geometric 30 #:ratio 0.9 #:until 0.046)))))
    (list (- (mean (psnr x scan)) zero-filled)
          (- (psnr (tensor-mean (tensor-abs x) 0) scan) zero-filled)
          (covered-share x scan #:where (tensor< 0.5 (tensor-abs scan))))))

(define (largest-step network truth sigma)
  "The largest stable step of the leapfrog among TRUTH under noise of SIGMA, in units of SIGMA: 2 where
there is nothing but the noise's score."
  (let ((noisy (tensor+ truth (tensor* sigma (random-normal (tensor-shape truth) 6 0 'c64)))))
    (/ (stability-limit (prior-target network #:shape (cdr (tensor-shape truth)) #:dtype 'c64)
                        noisy sigma)
       sigma)))

(define-experiment prior-way
  ((way 0 (lambda (n) (< -1 n (length ways))) "which one of the list")
   (steps 1000 positive? "of training")
   (batch 16 positive? "images a step")
   (size 64 (lambda (n) (and (<= 16 n 512) (zero? (modulo n 8)))) "pixels a side")
   (rate 1e-3 positive? "Adam's rate while it is steady")
   (person "pddl" string? "who is held out")
   (images 12 positive? "of that person, to judge by")
   (scans 4 positive? "of these, to take posteriors of")
   (seed 1 (lambda (s) (>= s 0)) "of training, masks, noise and chains"))
  "Train a small prior in one way and measure it as a denoiser and as a prior."
  (let*-values (((name parametrisation distribution weight exponent norm)
                 (apply values (list-ref ways way)))
                ((training held-out) (dataset-split (load-dataset) person))
                ((trainer)
                 (make-trainer (score-network '(paper-unet #:channels (16 32 64 64) #:blocks 1
                                                           #:convolutions 2 #:normalisation #f)
                                              #:parametrisation parametrisation #:sigma-data 30
                                              #:spectrum heads)
                               (lambda (count step)
                                 (random-slices training count size #:fit 1 #:seed seed #:stream step))
                               #:batch batch #:steps steps #:seed seed #:sigma distribution
                               #:weight weight #:averaging 0.998
                               #:frequencies (and exponent (balanced-frequencies heads exponent))
                               #:spectral (and norm (cap norm))
                               #:rate (warmup-stable-decay rate #:decay 0.4)))
                ((truth) (random-slices held-out images size #:fit 1 #:seed 1234)))
    (train! trainer)
    (let* ((network (trainer-averaged trainer))
           (posteriors (map (lambda (k) (posterior-measures network (image k truth) (+ seed k)))
                            (iota (min scans images)))))
      `((name . ,name)
        ,@(map (lambda (sigma)
                 (let ((noisy (tensor+ truth (tensor* sigma (random-normal (tensor-shape truth)
                                                                           5 0 'c64)))))
                   (cons (string->symbol (format #f "sigma-~a" sigma))
                         (mean (map (lambda (k)
                                      (psnr (image k (denoise network noisy sigma)) (image k truth)))
                                    (iota images))))))
               sigmas)
        ,@(map (lambda (sigma)
                 (cons (string->symbol (format #f "large-~a" sigma))
                       (assv-ref (score-loss-by-frequency network truth sigma) 4)))
               '(1 10))
        ,@(map (lambda (name k) (cons name (mean (map (lambda (row) (list-ref row k)) posteriors))))
               '(sample mean coverage) (iota 3))
        (largest-step . ,(largest-step network truth 10.0))))))

(define-experiment sweep-prior
  ((ways (iota (length ways)) pair? "by number, as listed above")
   (steps 1000 positive? "of each training")
   (seeds '(1) pair? "trainings of each way")
   (person "pddl" string? "who is held out")
   (size 64 (lambda (n) (and (<= 16 n 512) (zero? (modulo n 8)))) "pixels a side")
   (images 12 positive? "to judge by")
   (scans 4 positive? "of these, to take posteriors of")
   (workers 1 positive? "points at a time"))
  "Denoising, large structures, posteriors and steps by parametrisation, sigmas, weights and norms."
  (let* ((results (sweep-results
                   (sweep prior-way (grid #:way ways #:seed seeds)
                          #:settings `((steps . ,steps) (person . ,person) (size . ,size)
                                       (images . ,images) (scans . ,scans))
                          #:directory (run-path "sweep") #:workers workers)))
         (columns (append (map (lambda (sigma) (string->symbol (format #f "sigma-~a" sigma))) sigmas)
                          '(large-1 large-10 sample mean coverage largest-step)))
         (table (apply table-group results '(way name) (map (lambda (c) (list c 'mean)) columns))))
    (save-table (run-path "by-way.csv") table)
    (format #t "~a~%" (table-text table))
    (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
