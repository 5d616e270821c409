;;; sweep-widening.scm -- how much the likelihood should be blurred while the prior is.
;;;
;;; Equation 4 widens the variance of the likelihood from sigma_n^2 to sigma_n^2 + sigma^2.  At
;;; sigma = 0 nothing of that is left, so that less, sigma_n^2 + c sigma^2, has the same end; but
;;; what large structures are is decided on the way, where c says how much the data count.
;;;
;;;   tempera run experiments/sweep-widening.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/sweep-widening.scm")))

(define-experiment widening
  ((widening 0.0 (lambda (c) (>= c 0)) "c in sigma_n^2 + c sigma^2")
   (slice 13 (lambda (n) (<= 1 n 20)) "of pd-head, at half its size")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (chains 8 (lambda (n) (> n 3)) "samples")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (prior (string-append here "/../priors/brain.safetensors") string? "the score network")
   (seed 42 (lambda (s) (>= s 0)) "of phase, mask, noise and chains"))
  "The posterior of one slice by one widening."
  (let* ((scan (simulated-scan (half-size (load-image (format #f "~a/pd-head/brain_~3,'0d.png"
                                                              here slice)))
                               #:seed (+ seed slice)))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed (+ seed slice))))
         (y (measure op scan #:noise noise #:seed (+ seed slice)))
         (samples (chain-samples
                   (anneal (posterior (load-network prior) op y #:noise noise #:widening widening)
                           #:chains chains #:seed (+ seed slice)
                           #:temperatures (geometric 30 #:ratio ratio #:until 0.046))))
         (above-zero-filled (lambda (p) (- p (psnr (apply-adjoint op y) scan)))))
    `((sample . ,(above-zero-filled (mean (psnr samples scan))))
      (mean . ,(above-zero-filled (psnr (tensor-mean (tensor-abs samples) 0) scan)))
      (coverage . ,(covered-share samples scan #:where (tensor< 0.5 (tensor-abs scan)))))))

(define-experiment sweep-widening
  ((widenings '(0.0 0.01 0.1 0.3 1.0) pair? "c in sigma_n^2 + c sigma^2; equation 4 has 1")
   (slices '(3 8 13 18) pair? "of pd-head, at half their size")
   (chains 8 (lambda (n) (> n 3)) "samples")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (prior (string-append here "/../priors/brain.safetensors") string? "the score network")
   (workers 1 positive? "points at a time"))
  "PSNR above zero-filled, and coverage of 90 % intervals, by widening."
  (let* ((results (sweep-results
                   (sweep widening (grid #:widening widenings #:slice slices)
                          #:settings `((chains . ,chains) (ratio . ,ratio) (prior . ,prior))
                          #:directory (run-path "sweep") #:workers workers)))
         (summary (table-group results '(widening) '(sample mean) '(mean mean) '(coverage mean))))
    (save-table (run-path "by-widening.csv") summary)
    (format #t "~a~%" (table-text summary))
    summary))
