;;; sweep-spectral-norm.scm -- what a bound on spectral norms costs, and what it gives.
;;;
;;; The paper bounds the spectral norm of the network's weights, which bounds the Lipschitz
;;; constant of the score, and with that the curvature that limits the step size.  On two moons,
;;; where the true density is known: how good samples are, and how large steps may be, by
;;; the bound.  Quick training, no data.
;;;
;;;   tempera run experiments/sweep-spectral-norm.scm workers=2

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define (rms-error network prior sigma seed)
  "Of sigma times the score, over noisy draws: of the noise that the network sees."
  (let* ((n 2000)
         (x (tensor+ (prior-draw prior n #:seed seed)
                     (tensor* sigma (random-normal (list n 2) seed))))
         (d (tensor- (score network x sigma) (score prior x sigma))))
    (* sigma (sqrt (/ (tensor->number (tensor-sum-squares d)) (* 2 n))))))

;; One point.  A norm of 0 is no bound.
(define-experiment spectral-norm
  ((norm 0.0 (lambda (n) (>= n 0)) "the most that spectral norms of weights may be, 0: no bound")
   (steps 1000 positive? "of training")
   (chains 1000 (lambda (n) (> n 1)) "how many")
   (sigma 0.02 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of training and chains"))
  "Train a score of two moons with bounded spectral norms and sample with it."
  (let* ((prior (two-moons-prior))
         (trainer (make-trainer (score-network '(moons-mlp) #:sigma-data 0.7)
                                (lambda (n step) (prior-draw prior n #:seed (+ seed step)))
                                #:batch 512 #:steps steps #:seed seed
                                #:sigma (sigma-log-uniform (/ sigma 2) 5)
                                #:spectral (and (> norm 0) (cap norm))
                                #:rate (warmup-cosine 1e-3))))
    (train! trainer)
    (let* ((network (trainer-averaged trainer))
           (target (prior-target network #:shape '(2)))
           (chain (anneal target #:chains chains #:seed seed #:mass 'identity
                          #:temperatures (geometric 3 #:ratio 0.8 #:until sigma)
                          #:trajectory-length '(4 6) #:transitions-per-temperature 2
                          #:step-size (lambda (sigma)
                                        (* 0.3 (sqrt (+ 0.0025 (* sigma sigma)))))))
           (x (chain-samples chain)))
      `((log-density . ,(mean (vector->list (log-density prior x sigma))))
        (acceptance . ,(chain-acceptance chain))
        (error-cold . ,(rms-error network prior 0.05 seed))
        (error-warm . ,(rms-error network prior 0.5 seed))
        ;; In units of sigma, where the score of a point seen in noise allows 2.
        (largest-step . ,(/ (stability-limit target x sigma) sigma))))))

(define-experiment sweep-spectral-norm
  ((norms '(0 0.01 0.5 1 2 5 10) pair? "the bounds, 0: none")
   (seeds '(1 2) pair? "trainings for each")
   (steps 1000 positive? "of each training")
   (chains 1000 (lambda (n) (> n 1)) "how many")
   (workers 1 positive? "points at a time"))
  "Quality and stability of learned scores by the bound on spectral norms."
  (let* ((results (sweep-results
                   (sweep spectral-norm (grid #:norm norms #:seed seeds)
                          #:settings `((steps . ,steps) (chains . ,chains))
                          #:directory (run-path "sweep") #:workers workers)))
         (table (table-group results '(norm)
                             '(log-density mean std) '(acceptance mean) '(error-cold mean)
                             '(error-warm mean) '(largest-step mean)))
         (bounded (table-filter table positive? 'norm))
         (free (table-filter table zero? 'norm))
         (curve (lambda (columns titles)
                  ;; The bounded ones as lines, the free network as a dashed one.
                  (append
                   (map (lambda (column title)
                          (series 'line (map list (table-column bounded 'norm)
                                             (table-column bounded column))
                                  #:title title))
                        columns titles)
                   (append-map (lambda (column)
                                 (map (lambda (y)
                                        (series 'reference
                                                (map (lambda (x) (list x y))
                                                     (list (apply min (table-column bounded 'norm))
                                                           (apply max (table-column bounded 'norm))))))
                                      (table-column free column)))
                               columns))))
         (draw (lambda (title columns titles . options)
                 (apply chart title (curve columns titles) #:x-label "bound on spectral norms"
                        options))))
    (save-table (run-path "by-norm.csv") table)
    (format #t "~a~%" (table-text table))
    (when (> (table-size bounded) 1)
      (save-charts (run-path "spectral-norm.png")
                   (list (draw "mean log density of samples" '(log-density-mean) '("bounded")
                               #:logarithmic '(x))
                         (draw "error of the score" '(error-cold-mean error-warm-mean)
                               '("sigma 0.05" "sigma 0.5") #:logarithmic '(x))
                         (draw "largest stable step / sigma" '(largest-step-mean) '("bounded")
                               #:logarithmic '(x y)))
                   #:columns 3 #:width 400))
    (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
