;;; self-consistency.scm -- does a learned prior agree with itself?
;;;
;;; When everything is measured, with noise of sigma, the mean of the posterior is what equation 2
;;; has at that sigma, x + sigma^2 r (x, sigma): one evaluation of the network.  Chains go there through
;;; its scores at all smaller sigmas.  If the network is the score of one distribution, the mean
;;; of C samples is off from the denoiser's by chance only, V / C with V the variance of the samples, and
;;; V is the denoiser's mean squared error.  Where it is not, errors of the score at small sigmas have
;;; moved the samples: along a direction that is left open the more, the more it is open.  How much
;;; of what they are apart is of fine structures says which directions these are.
;;;
;;;   tempera run experiments/self-consistency.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/self-consistency.scm")))

(define (mean-square t)
  (/ (tensor->number (tensor-sum-squares t)) (apply * (tensor-shape t))))

(define (fine-share images)
  "How much of the power of IMAGES (N H W) is of structures of less than 4 pixels."
  (let* ((size (cdr (tensor-shape images)))
         (bands ((power-by-frequency size) images))
         (fine (filter (lambda (band) (> (car band) (/ (apply min size) 4))) bands)))
    (/ (apply + (map cdr fine)) (apply + (map cdr bands)))))

(define (agreement network scan noise chains ratio step-size seed)
  "Of one SCAN, measured in full: a row of mean squares."
  (let* ((shape (tensor-shape scan))
         (op (mri-operator #:mask (random-mask (second shape) #:acceleration 1)))
         (y (measure op scan #:noise noise #:seed seed))
         (alone (cons 1 shape))
         (noisy (tensor-reshape (apply-adjoint op y) alone))
         (denoised (denoise network noisy noise))
         (x (chain-samples (anneal (posterior network op y #:noise noise) #:chains chains #:seed seed
                                   #:step-size step-size
                                   #:temperatures (geometric (* 3 noise) #:ratio ratio
                                                             #:until (/ noise 10)))))
         (mean (tensor-mean x 0 #t))
         (scan (tensor-reshape scan alone)))
    `((noise . ,noise)
      (denoiser-error . ,(mean-square (tensor- denoised scan)))
      (mean-error . ,(mean-square (tensor- mean scan)))
      (variance . ,(* (/ chains (1- chains)) (mean-square (tensor- x mean))))
      (apart . ,(mean-square (tensor- mean denoised)))
      (fine . ,(fine-share (tensor- mean denoised))))))

(define-experiment self-consistency
  ((prior (string-append here "/../priors/brain.safetensors") string? "a score network's file")
   (slices '(3 8 13 18) pair? "of pd-head, at half their size")
   (noises '(1 5 20) pair? "standard deviations of the measurement")
   (chains 8 (lambda (n) (> n 1)) "samples")
   (ratio 0.93 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (step-size 0.45 positive? "of the trajectories, without unit")
   (seed 42 (lambda (s) (>= s 0)) "of phase, noise and chains"))
  "The mean of samples beside the denoiser, where both are the posterior's mean."
  (let* ((network (load-network prior))
         (scans (map (lambda (slice)
                       (simulated-scan (half-size (load-image (format #f "~a/pd-head/brain_~3,'0d.png"
                                                                      here slice)))
                                       #:seed (+ seed slice)))
                     slices))
         (rows (append-map (lambda (noise)
                             (map (lambda (scan slice)
                                    (agreement network scan noise chains ratio step-size (+ seed slice)))
                                  scans slices))
                           noises))
         (by-noise (table-group (rows->table rows) '(noise) '(denoiser-error mean) '(mean-error mean)
                                '(variance mean) '(apart mean) '(fine mean)))
         (result (table-with by-noise 'by-chance (lambda (v) (/ v chains)) 'variance-mean)))
    (save-table (run-path "self-consistency.csv") result)
    (format #t "~a~%" (table-text result))
    result))
