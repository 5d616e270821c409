;;; exact-posterior.scm -- does a sampler reach a posterior that is known exactly?
;;;
;;; The prior is a Gaussian random field, so the posterior of undersampled k-space is
;;; Gaussian too, and diagonal in k-space: its mean and variance are formulas.  The
;;; chains' variance is compared with them where k-space was measured and where it was not,
;;; and their mean in units of its Monte Carlo error: for the sampler as it comes, for the
;;; same without the Metropolis correction, and for the paper's schedule.

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define (log-bias n)
  "The mean of log(chi^2 / n) where chi^2 has N degrees of freedom: digamma(n/2) - log(n/2),
about -1/N.  The logarithm of a variance that is estimated from few draws is too low by it."
  (let ((x (/ n 2.)))
    (- (+ (/ (* 2 x)) (/ (* 12 x x)) (/ -1 (* 120 x x x x))))))

(define (agreement chain spectrum op y noise)
  "How CHAIN compares with the exact posterior: the ratio of pixel variances, the geometric
means of the ratios of variance (sample over exact, free of the logarithm's bias) over
measured and over unmeasured frequencies, the root mean square of the mean's error in its
Monte Carlo errors (all 1 when right), and the cost."
  (let*-values (((exact-mean variance) (gaussian-posterior spectrum op y #:noise noise))
                ((k) (fft2 (chain-samples chain)))
                ((chains) (car (tensor-shape k)))
                ((k-mean) (tensor-mean k 0)))
    (let* ((freedom (* 2 (1- chains)))  ; real and imaginary part have this variance each
           (sample (tensor/ (tensor-sum-squares (tensor- k k-mean) 0) freedom))
           (logs (tensor->list (tensor-log (tensor/ sample variance))))
           (measured? (map positive?
                           (tensor->list (tensor-broadcast (operator-normal-diagonal op)
                                                           (tensor-shape variance)))))
           (ratio (lambda (wanted)
                    (exp (- (mean (filter-map (lambda (l m) (and (eq? m wanted) l))
                                              logs measured?))
                            (log-bias freedom)))))
           (error (tensor->list (tensor-abs (tensor- k-mean (fft2 exact-mean))))))
      `(("variance_ratio_pixels" . ,(/ (tensor->number (tensor-sum sample))
                                       (tensor->number (tensor-sum variance))))
        ("variance_ratio_measured" . ,(ratio #t))
        ("variance_ratio_unmeasured" . ,(ratio #f))
        ("mean_z_rms" . ,(sqrt (mean (map (lambda (e v) (/ (* e e) (/ (* 2 v) chains)))
                                          error (tensor->list variance)))))
        ("score_evaluations" . ,(chain-evaluations chain))
        ("acceptance" . ,(chain-acceptance chain))
        ("sigma_final" . ,(chain-sigma chain))))))

(define (settings-of method until)
  "Keywords of `anneal' for METHOD, the temperature falling to UNTIL."
  (case method
    ((fourier) (list #:temperatures (geometric 100 #:ratio 0.95 #:until until)))
    ((fourier-uncorrected)
     ;; For a Gaussian the two-stage integrator's error at twice the step is a hundredth of the
     ;; leapfrog's, and nothing has to make up for it.
     (list #:temperatures (geometric 100 #:ratio 0.86 #:until until)
           #:sampler (hmc #:integrator 'two-stage #:acceptance 'none)
           #:step-size 1 #:trajectory-length '(3 4)))
    ((paper) paper-schedule)))

(define-experiment exact-posterior
  ((size 64 (lambda (n) (<= 8 n 1024)) "pixels a side")
   (acceleration 4 (lambda (r) (>= r 1)) "of the undersampling")
   (noise 0.1 positive? "standard deviation of the measurement's noise")
   (chains 32 (lambda (n) (> n 1)) "how many")
   (until 0 (lambda (s) (>= s 0)) "the last temperature (the paper's: 0.05); 0: a tenth of the least
standard deviation of noise and prior, so that it adds 1 % of variance")
   (paper #t boolean? "the paper's schedule too: it takes some 25 times as long")
   (seed 42 (lambda (s) (>= s 0)) "of scan, mask, noise and chains"))
  "Compare annealed HMC with an exact Gaussian posterior."
  (let* ((shape (list size size))
         (spectrum (power-spectrum shape #:amplitude 100 #:exponent 3 #:corner 3))
         (prior (gaussian-prior spectrum))
         (scan (tensor-reshape (prior-draw prior 1 #:seed seed) shape))
         (op (mri-operator #:mask (random-mask size #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (target (lambda (widening) (posterior prior op y #:noise noise #:widening widening)))
         (least (sqrt (tensor->number (tensor-min spectrum))))
         (until (if (zero? until) (* 0.1 (min noise least)) until))
         (results
          (map (lambda (method)
                 (let* ((chain (apply anneal (target (if (eq? method 'paper) 1 0))
                                      #:chains chains #:seed seed (settings-of method until)))
                        (result (agreement chain spectrum op y noise))
                        (number (lambda (key) (assoc-ref result key))))
                   (format #t "~20a variance, measured ~,3f, unmeasured ~,3f; mean ~,3f; ~
~a evaluations, accepted ~,2f~%" method
                           (number "variance_ratio_measured")
                           (number "variance_ratio_unmeasured") (number "mean_z_rms")
                           (number "score_evaluations") (number "acceptance"))
                   (force-output)
                   (cons (symbol->string method) result)))
               (if paper '(fourier fourier-uncorrected paper) '(fourier fourier-uncorrected))))
         (summary `(,@results
                    ("size" . ,size) ("acceleration" . ,acceleration) ("noise" . ,noise)
                    ("chains" . ,chains) ("seed" . ,seed))))
    (save-json (run-path "summary.json") summary)
    summary))
