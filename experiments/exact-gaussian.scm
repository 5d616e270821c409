;;; exact-gaussian.scm -- does the sampler reach a posterior that is known exactly?
;;;
;;; The prior is a Gaussian random field, so the posterior of undersampled k-space
;;; is Gaussian too, and diagonal in k-space: its mean and variance are formulas.
;;; The chains' variance is compared with them where k-space was measured and
;;; where it was not, and their mean in units of its Monte Carlo error.

(use-modules (tempera)
             (srfi srfi-1)
             (srfi srfi-11))

(define (mean numbers)
  (/ (apply + numbers) (length numbers)))

(define (agreement chain spectrum op y noise)
  "How CHAIN compares with the exact posterior: an association list of the ratios of
variance (sample over exact, 1 when right) of pixels and of measured and unmeasured
frequencies, and the root mean square of the mean's error in its Monte Carlo errors."
  (let*-values (((exact-mean variance) (gaussian-posterior spectrum op y #:noise noise))
                ((k) (fft2 (chain-samples chain)))
                ((chains) (car (tensor-shape k)))
                ((k-mean) (tensor-mean k 0)))
    (let* ((exact (tensor->list variance))
           ;; Real and imaginary part have this variance each.
           (sample (tensor->list (tensor/ (tensor-sum-squares (tensor- k k-mean) 0)
                                          (* 2 (1- chains)))))
           (measured? (map positive?
                           (tensor->list (tensor-broadcast (operator-normal-diagonal op)
                                                           (tensor-shape variance)))))
           (ratio (lambda (wanted)
                    (mean (filter-map (lambda (s e m) (and (eq? m wanted) (/ s e)))
                                      sample exact measured?))))
           (error (tensor->list (tensor-abs (tensor- k-mean (fft2 exact-mean))))))
      `((variance-ratio-pixels . ,(/ (mean sample) (mean exact)))
        (variance-ratio-measured . ,(ratio #t))
        (variance-ratio-unmeasured . ,(ratio #f))
        (mean-z-rms . ,(sqrt (mean (map (lambda (e v) (/ (* e e) (/ (* 2 v) chains)))
                                        error exact))))
        (score-evaluations . ,(chain-evaluations chain))
        (acceptance . ,(chain-acceptance chain))))))

(define-experiment exact-gaussian
  ((size 64 (lambda (n) (<= 8 n 1024)) "pixels a side")
   (acceleration 4 (lambda (r) (>= r 1)) "of the undersampling")
   (noise 0.1 positive? "standard deviation of the measurement's noise")
   (chains 32 (lambda (n) (> n 1)) "how many")
   (sigma 0.005 positive? "the last temperature, well below the noise")
   (ratio 0.93 (lambda (r) (< 0 r 1)) "of one temperature to the next")
   (step-size 0.5 positive? "of the leapfrog; an exact score bears more than a learned one")
   (lengths '(4 8) pair? "leapfrog steps of the trajectories, in turn")
   (acceptance 'path-integral symbol? "path-integral, log-density or none")
   (seed 42 (lambda (s) (>= s 0)) "of scan, mask, noise and chains"))
  "Compare annealed HMC with an exact Gaussian posterior."
  (let* ((shape (list size size))
         (spectrum (power-spectrum shape #:amplitude 100 #:exponent 3 #:corner 3))
         (prior (gaussian-prior spectrum))
         (scan (tensor-reshape (prior-draw prior 1 #:seed seed) shape))
         (op (mri-operator #:mask (random-mask size #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (chain (anneal (posterior prior op y #:noise noise)
                        #:temperatures (geometric 100 #:ratio ratio #:until sigma)
                        #:step-size step-size #:trajectory-length lengths
                        #:sampler (hmc #:acceptance acceptance) #:chains chains #:seed seed))
         (result (agreement chain spectrum op y noise)))
    (format #t "~a~%" chain)
    (for-each (lambda (entry) (format #t "  ~a  ~a~%" (car entry) (cdr entry))) result)
    result))
