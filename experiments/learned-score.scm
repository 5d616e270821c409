;;; learned-score.scm -- is a learned score a gradient, and what do its errors do?
;;;
;;; A score is learned on Gaussian random fields, where the true one is known, and looked at
;;; against sigma: how far it is from the truth; how far its Jacobian is from symmetric; how
;;; far the work along a trajectory and along the straight line between its ends are from
;;; the true ratio of densities, and from each other.  Then the posterior that it gives, beside
;;; the exact one.  With prior=FILE the same, as far as it can be told, of any score network.

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define (root-mean-square numbers)
  (sqrt (mean (map (lambda (x) (* x x)) numbers))))

(define (deviation numbers)
  (root-mean-square (map (let ((m (mean numbers))) (lambda (x) (- x m))) numbers)))

(define (ratios-of target prior sigma x)
  "Of one trajectory of TARGET from X at SIGMA: the ratio of log densities along it, along
the line, and by PRIOR, an exact prior, or #f; lists with a number for each chain."
  (let* ((score (lambda (x) (target-score target x sigma)))
         (g (score x))
         (mass (diagonal-mass (/ (* sigma sigma))))
         (m (mass-draw mass x 1 0)))
    (let-values (((x1 m1 g1 work) (trajectory 'leapfrog score x m g 0.45 6 (mass-operand mass))))
      (values (vector->list work)
              (vector->list (path-integral score x g x1 g1 4))
              (and prior (map - (vector->list (log-density prior x1 sigma))
                              (vector->list (log-density prior x sigma))))))))

(define (row-of network exact images sigma)
  "What can be told of NETWORK at SIGMA on IMAGES, with an EXACT prior or #f."
  (let*-values (((x) (tensor+ images (tensor* sigma (random-normal (tensor-shape images) 3 0 'c64))))
                ((target) (prior-target network #:shape (cdr (tensor-shape images)) #:dtype 'c64))
                ((along line true) (ratios-of target exact sigma x))
                ((size) (lambda (t) (sqrt (tensor->number (tensor-sum-squares t))))))
    `(("sigma" . ,sigma)
      ("asymmetry" . ,(score-asymmetry network x sigma))
      ("circulation" . ,(root-mean-square (map - line along)))
      ,@(if exact
            (let ((truth (score exact x sigma)))
              `(("score_error" . ,(/ (size (tensor- (score network x sigma) truth)) (size truth)))
                ("trajectory_error" . ,(root-mean-square (map - along true)))
                ("line_error" . ,(root-mean-square (map - line true)))
                ("density_ratio" . ,(deviation true))))
            '()))))

(define (curve rows key title)
  (series 'line
          (filter-map (lambda (row)
                        (let ((value (assoc-ref row key)))
                          (and value (> value 0)
                               (list (assoc-ref row "sigma") value))))
                      rows)
          #:title title))

(define-experiment learned-score
  ((prior "" string? "a score network's file to look at; without, one is trained on Gaussian fields")
   (images "" string? "of the network: an image file that it fits")
   (size 32 (lambda (n) (<= 8 n 512)) "pixels a side of the Gaussian fields")
   (steps 1500 (lambda (n) (>= n 0)) "of training")
   (count 16 (lambda (n) (> n 1)) "images looked at")
   (sigmas '(0.05 0.1 0.2 0.5 1 2 5 10 20 50) pair? "temperatures")
   (seed 1 (lambda (s) (>= s 0)) "of everything"))
  "Look at a learned score where it can be told whether it is right."
  (let* ((shape (list size size))
         (spectrum (power-spectrum shape #:amplitude 2000 #:exponent 3 #:corner 2))
         (field (gaussian-prior spectrum))
         (exact (and (string-null? prior) field))
         (network
          (if exact
              (let ((trainer (make-trainer
                              (score-network '(paper-unet #:channels (32 64) #:blocks 1
                                                          #:convolutions 2 #:normalisation #f)
                                             #:sigma-data 15)
                              (lambda (n step) (prior-draw field n #:seed (+ 1000 seed step)))
                              #:batch 16 #:steps steps #:seed seed
                              #:sigma (sigma-log-uniform 0.04 60) #:rate (warmup-cosine 1e-3))))
                (train! trainer)
                (trainer-averaged trainer))
              (load-network prior)))
         (draws (if exact
                    (prior-draw field count #:seed seed)
                    (let ((image (simulated-scan (load-image images) #:seed seed)))
                      (tensor-concatenate
                       (make-list count (tensor-reshape image (cons 1 (tensor-shape image)))) 0))))
         (rows (map (lambda (sigma)
                      (let ((row (row-of network exact draws sigma)))
                        (format #t "~{~a  ~}~%"
                                (map (lambda (entry) (format #f "~a ~,3g" (car entry) (cdr entry))) row))
                        (force-output)
                        row))
                    sigmas))
         (posterior-row
          (and exact
               (let* ((op (mri-operator #:mask (random-mask size #:acceleration 4 #:seed seed)))
                      (scan (tensor-reshape (prior-draw field 1 #:seed (+ 77 seed)) shape))
                      (y (measure op scan #:noise 0.1 #:seed seed))
                      (compare
                       (lambda (prior)
                         (let*-values (((chain) (anneal (posterior prior op y #:noise 0.1)
                                                        #:chains 32 #:seed seed))
                                       ((exact-mean variance)
                                        (gaussian-posterior spectrum op y #:noise 0.1
                                                            #:sigma (chain-sigma chain)))
                                       ((x) (chain-samples chain))
                                       ((d) (tensor- x (tensor-mean x 0)))
                                       ((error) (tensor- (tensor-mean x 0) exact-mean)))
                           (list (/ (tensor->number (tensor-sum-squares d))
                                    (* 62 (tensor->number (tensor-sum variance))))
                                 (sqrt (/ (tensor->number (tensor-sum-squares error))
                                          (* 2 (tensor->number (tensor-sum variance))))))))))
                 (map cons '("exact" "learned") (map compare (list field network)))))))
    (save-json (run-path "summary.json")
               `(("by_sigma" . ,(list->vector rows))
                 ,@(if posterior-row
                       (map (lambda (entry)
                              `(,(string-append "posterior_" (car entry))
                                . (("variance_ratio" . ,(second entry))
                                   ("mean_error" . ,(third entry)))))
                            posterior-row)
                       '())))
    (when posterior-row
      (for-each (lambda (entry)
                  (format #t "posterior by the ~a score: variance ~,3f of the exact one, mean off by ~
~,2f standard deviations~%" (first entry) (second entry) (third entry)))
                posterior-row))
    (save-charts (run-path "learned-score.png")
                (list (chart "the score" (filter-map (lambda (key title)
                                                      (and (assoc-ref (first rows) key)
                                                           (curve rows key title)))
                                                    '("score_error" "asymmetry")
                                                    '("relative error" "asymmetry of the Jacobian"))
                            #:x-label "sigma" #:logarithmic '(x y))
                      (chart "log ratio of densities over a trajectory"
                            (filter-map (lambda (key title)
                                          (and (assoc-ref (first rows) key) (curve rows key title)))
                                        '("density_ratio" "line_error" "trajectory_error" "circulation")
                                        '("its spread" "error along the line"
                                          "error along the trajectory" "line less trajectory"))
                            #:x-label "sigma" #:logarithmic '(x y)))
                #:columns 2 #:width 480)
    rows))
