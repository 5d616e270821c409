;;; two-moons.scm -- a learned score in the plane, beside the exact one.
;;;
;;; Trains the paper's small network on draws of two interleaved half circles by
;;; denoising score matching, without and with bounds on the spectral norm of its weights,
;;; anneals chains with each and with the exact score, and tells how far apart the scores
;;; are, how the samples compare, and whether integrals of the score decide about
;;; acceptance as the true density does.
;;;
;;;   tempera run experiments/two-moons.scm steps=500 norms=1

(use-modules (tempera)
             (srfi srfi-1))

(define (score-error network prior sigma seed)
  "RMS over noisy draws of sigma |learned - exact score|: the error of the noise that
the network sees."
  (let* ((n 2000)
         (x (tensor+ (prior-draw prior n #:seed seed)
                     (tensor* sigma (random-normal (list n 2) seed))))
         (d (tensor- (score network x sigma) (score prior x sigma))))
    (* sigma (sqrt (/ (tensor->number (tensor-sum-squares d)) (* 2 n))))))

(define (judge by count!)
  "HMC that accepts by the true density, and calls COUNT! with whether each of BY, other ways to
accept, would have decided the same, on the same proposal and random number."
  (let ((ways (map (lambda (acceptance) (hmc #:acceptance acceptance)) by))
        (by-density (hmc #:acceptance 'log-density)))
    (lambda (kernel state)
      (define (decisions sampler)
        (call-with-values (lambda () (sampler kernel state))
          (lambda (x g log-ratio)
            (vector->list (metropolis log-ratio (kernel-seed kernel) (state-number state))))))
      (let ((truth (decisions by-density)))
        (for-each (lambda (acceptance way) (count! acceptance (map eq? truth (decisions way))))
                  by ways))
      (by-density kernel state))))

(define (density-picture points size)
  "How many of POINTS, (N 2), fall into each of SIZE by SIZE/2 squares of the plane
around the moons: an image."
  (let* ((height (quotient size 2))
         (image (tensor-zeros (list height size)))
         (scale (/ size 4.)))
    (let loop ((rest (tensor->list points)))
      (unless (null? rest)
        (let ((column (inexact->exact (floor (* scale (+ 1.5 (first rest))))))
              (row (inexact->exact (floor (* scale (- 1.25 (second rest)))))))
          (when (and (< -1 column size) (< -1 row height))
            (tensor-set! image (1+ (tensor-ref image row column)) row column))
          (loop (cddr rest)))))
    image))

(define (learned prior steps batch sigma seed norm)
  "A network trained on PRIOR; NORM, unless 0, is the most that its weights' spectral norms are."
  (let ((trainer (make-trainer (score-network '(moons-mlp) #:sigma-data 0.7)
                               (lambda (n step) (prior-draw prior n #:seed (+ seed step)))
                               #:batch batch #:steps steps #:seed seed
                               #:sigma (sigma-log-uniform (/ sigma 2) 5)
                               #:spectral (and (> norm 0) (cap norm))
                               #:rate (warmup-cosine 1e-3))))
    (train! trainer)
    (trainer-averaged trainer)))

(define-experiment two-moons
  ((steps 2000 (lambda (n) (>= n 0)) "of training")
   (batch 512 positive? "draws a step of training")
   (norms '(0 0.01 0.1 1 10) pair? "bounds on spectral norms, 0: none; a network for each")
   (chains 2000 (lambda (n) (> n 1)) "how many")
   (sigma 0.02 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of everything"))
  "Learn the score of two moons and sample with it, beside the exact score."
  (let* ((prior (two-moons-prior))
         (chain-of (lambda (prior sampler)
                     (anneal (prior-target prior #:shape '(2))
                             #:chains chains #:seed seed #:sampler sampler #:mass 'identity
                             #:temperatures (geometric 3 #:ratio 0.8 #:until sigma)
                             #:trajectory-length '(4 6) #:transitions-per-temperature 2
                             #:step-size (lambda (sigma)
                                           (* 0.3 (sqrt (+ 0.0025 (* sigma sigma))))))))
         (counts '())
         (count! (lambda (acceptance same)
                   (set! counts (cons (cons acceptance (/ (count identity same) (length same) 1.))
                                      counts))))
         (exact (chain-of prior (judge '(path-integral trajectory) count!)))
         (in-common (lambda (acceptance)
                      (mean (filter-map (lambda (c) (and (eq? (car c) acceptance) (cdr c)))
                                        counts))))
         (height (lambda (chain)
                   (mean (vector->list (log-density prior (chain-samples chain) sigma)))))
         (picture-of (lambda (title chain)
                       (panel title (density-picture (chain-samples chain) 256) #:high 4)))
         (panels (list (picture-of "exact score" exact))))
    (format #t "exact score: mean log density ~,2f, accepted ~,2f; decisions by the line ~,2f % and ~
along the trajectory ~,2f % as by the density~%" (height exact) (chain-acceptance exact)
            (* 100 (in-common 'path-integral)) (* 100 (in-common 'trajectory)))
    (let* ((rows
            (map (lambda (norm)
                   (let* ((network (learned prior steps batch sigma seed norm))
                          (chain (chain-of network (hmc)))
                          (errors (map (lambda (s) (score-error network prior s seed))
                                       '(0.02 0.1 0.5 2)))
                          (title (if (zero? norm)
                                     "learned"
                                     (format #f "spectral norm ~a" norm))))
                     (set! panels (append panels (list (picture-of title chain))))
                     (save-figure (run-path "two-moons.png") panels #:columns 3)
                     (when (zero? norm)
                       (save-npy (run-path "samples.npy") (chain-samples chain)))
                     (format #t "spectral norm ~6a  mean log density ~8,2f  accepted ~,2f  score error at ~
sigma 0.02, 0.1, 0.5, 2: ~{~,3f ~}~%" (if (zero? norm) "free" norm) (height chain)
                             (chain-acceptance chain) errors)
                     (force-output)
                     `(("spectral_norm" . ,norm)
                       ("mean_log_density" . ,(height chain))
                       ("acceptance" . ,(chain-acceptance chain))
                       ("score_error" . ,(list->vector errors))
                       ("score_evaluations" . ,(chain-evaluations chain)))))
                 norms))
           (summary `(("mean_log_density_exact" . ,(height exact))
                      ("acceptance_exact" . ,(chain-acceptance exact))
                      ("decisions_in_common" . ,(in-common 'path-integral))
                      ("decisions_in_common_trajectory" . ,(in-common 'trajectory))
                      ("learned" . ,(list->vector rows))
                      ("seed" . ,seed))))
      (save-json (run-path "summary.json") summary)
      summary)))
