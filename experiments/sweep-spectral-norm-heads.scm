;;; sweep-spectral-norm-heads.scm -- a bound on spectral norms, where it was proposed: on images.
;;;
;;; Appendix A.1 bounds the spectral norms of the network's weights and finds 2 best.  Small
;;; priors of heads, trained for a short time with each bound on all persons but one, sample the
;;; posterior of undersampled k-space of that one: how good samples are, how large steps may be.
;;; sweep-spectral-norm.scm asks the same of two moons, where the score is known.
;;;
;;;   tempera run experiments/sweep-spectral-norm-heads.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define (trained norm dataset size steps seed)
  "A small score network with spectral norms of at most NORM, or of any size when that is 0."
  (let ((trainer (make-trainer
                  (score-network '(paper-unet #:channels (16 32 64 64) #:blocks 1 #:convolutions 2
                                              #:normalisation #f)
                                 #:sigma-data 30)
                  (lambda (count step)
                    (random-slices dataset count size #:fit 1 #:seed seed #:stream step))
                  #:batch 16 #:steps steps #:seed seed
                  #:sigma (sigma-mixture 1 (sigma-log-uniform 0.04 150) 2 (sigma-log-uniform 1 100))
                  #:weight (balanced-weight 30) #:averaging 0.998
                  #:spectral (and (> norm 0) (list 'cap norm))
                  #:rate (warmup-stable-decay 1e-3 #:decay 0.4))))
    (train! trainer)
    (trainer-averaged trainer)))

(define (image k batch)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

;; One point.
(define-experiment head-norm
  ((norm 0.0 (lambda (n) (>= n 0)) "the most that spectral norms of weights may be, 0: no bound")
   (steps 1000 positive? "of training")
   (person "pddl" string? "who is held out, and scanned")
   (images 4 positive? "of that person")
   (size 64 (lambda (n) (and (<= 16 n 512) (zero? (modulo n 8)))) "pixels a side")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random masks")
   (noise 0.1 positive? "standard deviation of the measurements")
   (chains 8 (lambda (n) (> n 1)) "samples of each")
   (sigma 10.0 positive? "where steps are tried for stability")
   (seed 1 (lambda (s) (>= s 0)) "of training, masks, noise and chains"))
  "Train a small prior with bounded spectral norms and sample posteriors with it."
  (let*-values (((training held-out) (dataset-split (load-dataset) person))
                ((network) (trained norm training size steps seed))
                ((truth) (random-slices held-out images size #:fit 1 #:seed 1234)))
    (define (measures k)
      (let* ((scan (image k truth))
             (op (mri-operator #:mask (random-mask size #:acceleration acceleration #:seed (+ seed k))))
             (y (measure op scan #:noise noise #:seed (+ seed k)))
             (zero-filled (psnr (apply-adjoint op y) scan))
             (target (posterior network op y #:noise noise))
             (chain (anneal target #:chains chains #:seed (+ seed k)
                            #:temperatures (geometric 30 #:ratio 0.9 #:until 0.046)))
             (x (chain-samples chain))
             (noisy (tensor+ scan (tensor* sigma (random-normal (cons chains (tensor-shape scan))
                                                                (+ seed k) 0 'c64)))))
        (list (- (mean (psnr x scan)) zero-filled)
              (- (psnr (tensor-mean (tensor-abs x) 0) scan) zero-filled)
              (chain-acceptance chain)
              ;; In units of sigma, where the score of noise alone allows 2.
              (/ (stability-limit (prior-target network #:shape (list size size) #:dtype 'c64) noisy sigma)
                 sigma))))
    (let ((columns (apply map list (map measures (iota images)))))
      (map cons '(sample mean acceptance largest-step)
           (append (map mean (take columns 3)) (list (apply min (last columns))))))))

(define-experiment sweep-spectral-norm-heads
  ((norms '(0 0.01 0.5 1 2 5 10) pair? "the bounds, 0: none")
   (steps 1000 positive? "of each training")
   (person "pddl" string? "who is held out, and scanned")
   (images 4 positive? "of that person")
   (size 64 (lambda (n) (and (<= 16 n 512) (zero? (modulo n 8)))) "pixels a side")
   (chains 8 (lambda (n) (> n 1)) "samples of each")
   (seeds '(1) pair? "trainings for each")
   (workers 1 positive? "points at a time"))
  "Quality and stability of learned priors of heads by the bound on spectral norms."
  (let* ((results (sweep-results
                   (sweep head-norm (grid #:norm norms #:seed seeds)
                          #:settings `((steps . ,steps) (person . ,person) (images . ,images)
                                       (size . ,size) (chains . ,chains))
                          #:directory (run-path "sweep") #:workers workers)))
         (table (table-group results '(norm) '(sample mean) '(mean mean) '(acceptance mean)
                             '(largest-step mean))))
    (save-table (run-path "by-norm-heads.csv") table)
    (format #t "~a~%" (table-text table))
    (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
