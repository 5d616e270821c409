;;; compare-acceptance.scm -- the ratio of densities along the trajectory, or along the line?
;;;
;;; Equation 7 integrates the score along a path from the old state to the new one.  Any path does
;;; for a gradient; a learned score is none.  What posteriors come out of which, with short steps
;;; and with steps that tune themselves.  (How far both are apart, learned-score.scm tells.)
;;;
;;;   tempera run experiments/compare-acceptance.scm

(use-modules (tempera) (tempera sample schedules)
             (ice-9 format)
             (ice-9 match)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/compare-acceptance.scm")))

(define ways
  ;; Acceptance, step size, ratio of temperatures.
  `(("line, steps tuned to 0.8" path-integral ,(dual-averaging #:target 0.8) 0.9)
    ("line, steps 0.35" path-integral 0.35 0.9)
    ("trajectory, steps 0.35" trajectory 0.35 0.9)
    ("trajectory, steps 0.35" trajectory 0.35 0.95)
    ("trajectory, steps 0.45" trajectory 0.45 0.93)
    ("trajectory, steps tuned to 0.8" trajectory ,(dual-averaging #:target 0.8) 0.9)))

(define-experiment compare-acceptance
  ((prior (string-append here "/../priors/brain.safetensors") string? "the score network")
   (image (string-append here "/pd-head/brain_013.png") string? "is scanned, at half its size")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (chains 4 (lambda (n) (> n 1)) "samples")
   (until 0.046 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of phase, mask, noise and chains"))
  "Compare two ways to the ratio of densities of a learned prior."
  (let* ((network (load-network prior))
         (scan (simulated-scan (half-size (load-image image)) #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
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
    (format #t "zero-filled ~,2f dB~%~a~%" (psnr (apply-adjoint op y) scan) (table-text posteriors))
    (save-table (run-path "posteriors.csv") posteriors)
    posteriors))
