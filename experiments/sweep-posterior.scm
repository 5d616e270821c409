;;; sweep-posterior.scm -- posteriors of a learned prior, by what the likelihood is widened with and by
;;; how fast chains are cooled.
;;;
;;; Equation 4 widens the variance of the likelihood from sigma_n^2 to sigma_n^2 + sigma^2.  At
;;; sigma = 0 nothing of that is left, so that less, sigma_n^2 + c sigma^2, has the same end; but
;;; what large structures are is decided on the way, where c says how much the data count.  And they want
;;; time on the way, which below sigma = 4 is none well spent: there the errors of a score add up.
;;;
;;;   tempera run experiments/sweep-posterior.scm 'widenings=(0.0 0.1 1.0)'
;;;   tempera run experiments/sweep-posterior.scm from=100 'ratios=(0.95)' 'belows=(0 0.9 0.8)'

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/sweep-posterior.scm")))

(define shipped (string-append here "/../priors/brain.safetensors"))

(define (cooled from ratio below)
  (if (zero? below)
      (geometric from #:ratio ratio #:until 0.046)
      (schedule-append (geometric from #:ratio ratio #:until 4)
                       (geometric 4 #:ratio below #:until 0.046))))

(define-experiment slice-posterior
  ((widening 0.0 (lambda (c) (>= c 0)) "c in sigma_n^2 + c sigma^2")
   (slice 13 (lambda (n) (<= 1 n 20)) "of pd-head, at half its size")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (chains 8 (lambda (n) (> n 3)) "samples")
   (from 30 (lambda (sigma) (> sigma 4)) "the first temperature")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (below 0.0 (lambda (r) (and (<= 0 r) (< r 1))) "the same below sigma = 4; 0: no other")
   (prior shipped string? "the score network")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of its products")
   (seed 42 (lambda (s) (>= s 0)) "of phase, mask, noise and chains"))
  "The posterior of one slice in one way."
  (let* ((scan (simulated-scan (half-size (load-image (format #f "~a/pd-head/brain_~3,'0d.png"
                                                              here slice)))
                               #:seed (+ seed slice)))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed (+ seed slice))))
         (y (measure op scan #:noise noise #:seed (+ seed slice)))
         (chain (anneal (posterior (load-network prior #:precision precision) op y
                                   #:noise noise #:widening widening)
                        #:chains chains #:seed (+ seed slice)
                        #:temperatures (cooled from ratio below)))
         (samples (chain-samples chain))
         (above-zero-filled (lambda (p) (- p (psnr (apply-adjoint op y) scan)))))
    `((evaluations . ,(chain-evaluations chain))
      (sample . ,(above-zero-filled (mean (psnr samples scan))))
      (mean . ,(above-zero-filled (psnr (tensor-mean (tensor-abs samples) 0) scan)))
      (coverage . ,(covered-share samples scan #:where (tensor< 0.5 (tensor-abs scan)))))))

(define-experiment sweep-posterior
  ((widenings '(0.0) pair? "c in sigma_n^2 + c sigma^2; equation 4 has 1")
   (ratios '(0.9) pair? "of one temperature to the one before")
   (belows '(0) pair? "the same below sigma = 4; 0: no other")
   (from 30 (lambda (sigma) (> sigma 4)) "the first temperature")
   (slices '(3 8 13 18) pair? "of pd-head, at half their size")
   (chains 8 (lambda (n) (> n 3)) "samples")
   (prior shipped string? "the score network")
   (precision 'float32 (lambda (p) (memq p '(float32 bf16))) "of its products")
   (workers 1 positive? "points at a time"))
  "PSNR above zero-filled, and coverage of 90 % intervals, by widening and cooling."
  (let* ((results (sweep-results
                   (sweep slice-posterior (grid #:widening widenings #:ratio ratios #:below belows
                                                #:slice slices)
                          #:settings `((chains . ,chains) (from . ,from) (prior . ,prior)
                                       (precision . ,precision))
                          #:directory (run-path "sweep") #:workers workers)))
         (summary (table-group results '(widening ratio below)
                               '(evaluations mean) '(sample mean) '(mean mean) '(coverage mean))))
    (save-table (run-path (if (> (length widenings) 1) "by-widening.csv" "by-cooling.csv")) summary)
    (format #t "~a~%" (table-text summary))
    summary))
