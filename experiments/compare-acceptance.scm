;;; compare-acceptance.scm -- the ratio of densities along the trajectory, or along the line?
;;;
;;; Equation 7 integrates the score along a path from the old state to the new one.  Any path does
;;; for a gradient; a learned score is none.  How far two paths are apart for a learned prior,
;;; and what posteriors come out of which, with short steps and with steps that tune themselves.
;;;
;;;   tempera run experiments/compare-acceptance.scm

(use-modules (tempera)
             (ice-9 format)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/compare-acceptance.scm")))

(define ways
  ;; Acceptance, step size, ratio of temperatures.
  `(("line, steps tuned to 0.8" path-integral ,(dual-averaging #:target 0.8) 0.9)
    ("line, steps 0.35" path-integral 0.35 0.9)
    ("trajectory, steps 0.35" trajectory 0.35 0.9)
    ("trajectory, steps 0.35" trajectory 0.35 0.95)
    ("trajectory, steps 0.45" trajectory 0.45 0.93)
    ("trajectory, steps tuned to 0.8" trajectory ,(dual-averaging #:target 0.8) 0.9)))

(define (root-mean-square numbers)
  (sqrt (mean (map (lambda (x) (* x x)) numbers))))

(define (apart target x sigma step-size intervals)
  "How far the log ratios of densities over a trajectory of TARGET from X, (C ...), of length 2.7 in
steps of STEP-SIZE, are apart by its own path and by the line with INTERVALS: root mean square."
  (let* ((score (lambda (x) (target-score target x sigma)))
         (g (score x))
         (mass ((assq-ref (target-masses target) 'white) sigma))
         (m (mass-draw mass x 1 0)))
    (let-values (((x1 m1 g1 along) (trajectory 'leapfrog score x m g step-size
                                               (* 2 (inexact->exact (round (/ 1.35 step-size)))) (mass-operand mass))))
      (root-mean-square (map - (vector->list along)
                             (vector->list (path-integral score x g x1 g1 intervals)))))))

(define-experiment compare-acceptance
  ((prior (string-append here "/../priors/brain.safetensors") string? "the score network")
   (image (string-append here "/pd-head/brain_013.png") string? "is scanned, at half its size")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (chains 4 (lambda (n) (> n 1)) "samples, and trajectories")
   (sigmas '(20 5 1 0.3 0.1) pair? "where the two paths are compared")
   (until 0.046 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of phase, mask, noise and chains"))
  "Compare two ways to the ratio of densities of a learned prior."
  (let* ((network (load-network prior))
         (scan (simulated-scan (half-size (load-image image)) #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (alone (prior-target network #:shape (tensor-shape scan) #:dtype 'c64))
         (paths
          (table '(sigma apart finer-line finer-steps)
                 (map (lambda (sigma)
                        (let ((x (tensor+ scan (tensor* sigma (random-normal
                                                               (cons chains (tensor-shape scan))
                                                               seed 0 'c64)))))
                          (list sigma (apart alone x sigma 0.45 4) (apart alone x sigma 0.45 16)
                                (apart alone x sigma 0.15 4))))
                      sigmas)))
         (posteriors
          (table '(way ratio evaluations acceptance psnr)
                 (map (match-lambda
                        ((name acceptance step-size ratio)
                         (let ((chain (anneal (posterior network op y #:noise noise)
                                              #:chains chains #:seed seed
                                              #:sampler (hmc #:acceptance acceptance)
                                              #:temperatures (geometric 100 #:ratio ratio #:until until)
                                              #:step-size step-size
                                              #:trajectory-length 6)))
                           (list name ratio (chain-evaluations chain) (chain-acceptance chain)
                                 (psnr (tensor-mean (tensor-abs (chain-samples chain)) 0) scan)))))
                      ways))))
    (format #t "zero-filled ~,2f dB~%~a~%~a~%" (psnr (apply-adjoint op y) scan)
            (table-text paths) (table-text posteriors))
    (save-table (run-path "paths.csv") paths)
    (save-table (run-path "posteriors.csv") posteriors)
    posteriors))
