;;; sweep-samplers.scm -- samplers at equal evaluations of the score: calibration first, PSNR second.
;;;
;;; A sampler is tried twice.  On a Gaussian field, whose score is exact, truths are drawn from the prior,
;;; so that simulation-based calibration tells what the sampler alone does.  On slices of somebody whom a
;;; learned prior was not trained on, sampler and prior are judged together: by how many pixels the
;;; 90 % intervals hold, and by PSNR.  "spread" is the standard deviation of samples over that of their mean's
;;; error, both of all pixels, with what a mean of few samples is off by chance: 1 where the posterior is right.
;;;
;;;   tempera run experiments/sweep-samplers.scm prior=priors/brain.safetensors

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/sweep-samplers.scm")))

(define samplers
  ;; By name: evaluations a temperature, and settings of `anneal'.
  `((hmc 6)
    (split-gibbs 1 #:sampler ,(split-gibbs))
    (reverse-diffusion 1 #:sampler ,(reverse-diffusion))
    (corrected 2 #:sampler ,(reverse-diffusion #:corrections 1))))

(define (default-cooling prior count)
  "`default-temperatures' of PRIOR, the fastest that are COUNT or more."
  (find (lambda (temperatures) (>= (schedule-length temperatures) count))
        (map (lambda (ratio) (default-temperatures prior #:ratio ratio)) (iota 999 0.001 0.001))))

(define (settings-of name prior evaluations)
  "Keywords of `anneal' for the sampler NAME to take about EVALUATIONS: HMC cools as by default with
PRIOR, the others evenly."
  (let* ((sampler (assq-ref samplers name)) (count (round (/ evaluations (first sampler)))))
    (cons* #:temperatures
           (if (eq? name 'hmc) (default-cooling prior count) (log-linear 60 #:until 0.046 #:count count))
           (cdr sampler))))

(define (root-mean-square images)
  (sqrt (/ (tensor->number (tensor-sum-squares images)) (apply * (tensor-shape images)))))

(define (on-slice network name evaluations slice acceleration noise chains seed)
  (let* ((seed (+ seed slice))
         (scan (simulated-scan (half-size (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here slice)))
                               #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan)) #:acceleration acceleration
                                               #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (chain (apply anneal (posterior network op y #:noise noise) #:chains chains #:seed seed
                       (settings-of name network evaluations)))
         (x (chain-samples chain))
         (mean-image (tensor-mean x 0))
         (zero-filled (psnr (apply-adjoint op y) scan)))
    `((took . ,(chain-evaluations chain))
      (coverage . ,(covered-share x scan #:where (tensor< 0.5 (tensor-abs scan))))
      (spread . ,(/ (* (sqrt (/ (1+ chains) (1- chains))) (root-mean-square (tensor- x mean-image)))
                    (root-mean-square (tensor- mean-image scan))))
      (sample . ,(- (mean (psnr x scan)) zero-filled))
      (mean . ,(- (psnr (tensor-mean (tensor-abs x) 0) scan) zero-filled)))))

(define (on-field name evaluations acceleration noise simulations seed)
  (let* ((prior (gaussian-prior (power-spectrum '(32 32) #:amplitude 1e4)))
         (op (mri-operator #:mask (random-mask 32 #:acceleration acceleration #:seed seed)))
         (results (simulate (make-model prior op #:noise noise
                                        #:sample (annealed-sampler
                                                  prior op #:noise noise
                                                  #:settings (settings-of name prior evaluations)))
                            simulations #:draws 15 #:seed seed)))
    `((least-p . ,(least-p (sbc results)))
      (coverage . ,(second (first (coverage results #:levels '(0.9) #:part 'parts)))))))

(define-experiment sampler-point
  ((sampler 'reverse-diffusion (lambda (s) (assq s samplers)) "its name")
   (evaluations 150 positive? "of the score, a chain")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (slice 13 (lambda (n) (<= 0 n 20)) "of pd-head, at half its size; 0: simulations of the Gaussian field")
   (prior "" string? "the score network's file")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of its products")
   (noise 0.1 positive? "standard deviation of the measurement")
   (chains 8 (lambda (n) (> n 3)) "samples")
   (simulations 40 positive? "truths drawn from the field")
   (seed 42 (lambda (s) (>= s 0)) "of phase, mask, noise and chains"))
  "One sampler at one cost."
  (if (zero? slice)
      (on-field sampler evaluations acceleration noise simulations seed)
      (on-slice (load-network prior #:precision precision) sampler evaluations slice acceleration noise
                chains seed)))

(define-experiment sweep-samplers
  ((prior (string-append here "/../priors/brain.safetensors") string? "the score network's file")
   (evaluations '(150 300 600) pair? "of the score, a chain")
   (accelerations '(4 8) pair? "of the random mask")
   (slices '(3 13) list? "of pd-head, at half their size")
   (chains 8 (lambda (n) (> n 3)) "samples of each slice")
   (simulations 40 (lambda (n) (>= n 0)) "of the Gaussian field; 0: none")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of the network's products")
   (workers 1 positive? "points at a time"))
  "Calibration and PSNR of samplers, by evaluations."
  (define (points part slices accelerations)
    (sweep-results
     (sweep sampler-point (grid #:evaluations evaluations #:slice slices #:acceleration accelerations
                                #:sampler (map car samplers))
            #:settings `((prior . ,prior) (chains . ,chains) (precision . ,precision)
                         (simulations . ,(max 1 simulations)))
            #:directory (run-path part) #:workers workers)))
  (define (summary part table)
    (save-table (run-path (string-append part ".csv")) table)
    (format #t "~a~%~a~%" part (table-text table))
    table)
  (append
   (if (> simulations 0)
       (list (summary "field" (table-select (points "field" '(0) '(4))
                                            'sampler 'evaluations 'least-p 'coverage)))
       '())
   (if (pair? slices)
       (list (summary "slices" (table-group (points "slices" slices accelerations)
                                            '(acceleration evaluations sampler)
                                            '(took mean) '(coverage mean) '(spread mean) '(sample mean)
                                            '(mean mean))))
       '())))
