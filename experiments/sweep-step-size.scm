;;; sweep-step-size.scm -- the step size alpha = step (sigma / 100)^exponent: which step, which
;;; exponent?
;;;
;;; The paper takes 10 (sigma / 100)^1.5 with the identity as mass.  On a Gaussian random field
;;; seen by undersampled MRI the posterior is known, so that for each step and exponent one
;;; can tell how far the samples' variance is from the right one, where k-space was measured and
;;; where it was not.  With a prior (a network's file) and an image, the same for a learned
;;; one, and PSNR tells.
;;;
;;;   tempera run experiments/sweep-step-size.scm workers=2
;;;   tempera run experiments/sweep-step-size.scm mass=fourier 'exponents=0,0.5,1' 'at-100=0.25,0.5,1,2'

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/sweep-step-size.scm")))

(define (log-ratios chain spectrum op y noise)
  "Two values: log10 of the variance of CHAIN's samples over the exact one, its mean over
measured and over unmeasured frequencies."
  (let*-values (((exact-mean variance) (gaussian-posterior spectrum op y #:noise noise #:widening 1
                                                           #:sigma (chain-sigma chain)))
                ((k) (fft2 (chain-samples chain))))
    (let* ((n (car (tensor-shape k)))
           (sample (tensor/ (tensor-sum-squares (tensor- k (tensor-mean k 0)) 0) (* 2 (1- n))))
           (logs (tensor->list (tensor-log (tensor/ sample variance))))
           (measured (tensor->list (tensor-broadcast (operator-normal-diagonal op)
                                                     (tensor-shape variance))))
           (over (lambda (wanted?)
                   (/ (mean (filter-map (lambda (l m) (and (wanted? m) l)) logs measured))
                      (log 10)))))
      (values (over positive?) (over zero?)))))

;; One point.
(define-experiment step-size
  ((step 10.0 positive? "the step size at sigma = 100")
   (exponent 1.5 (lambda (e) (<= -2 e 4)) "of sigma in the step size")
   (mass 'identity (lambda (m) (memq m '(identity fourier))) "identity or fourier")
   (ratio 0.95 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (until 0.05 positive? "the last temperature")
   (size 64 (lambda (n) (<= 8 n 1024)) "pixels a side of the random field")
   (chains 8 (lambda (n) (> n 1)) "how many")
   (noise 0.1 positive? "standard deviation of the measurement's noise")
   (prior "" string? "a score network's file in place of the random field")
   (image (string-append here "/pd-head/brain_013.png") string? "what is scanned then, at half its size")
   (seed 42 (lambda (s) (>= s 0)) "of scan, mask, noise and chains"))
  "Anneal with one step size and exponent."
  (let* ((known? (string-null? prior))
         (shape (list size size))
         (spectrum (power-spectrum shape #:amplitude 100 #:exponent 3 #:corner 3))
         (model (if known? (gaussian-prior spectrum) (load-network prior)))
         (scan (if known?
                   (tensor-reshape (prior-draw model 1 #:seed seed) shape)
                   (simulated-scan (half-size (load-image image)) #:seed seed)))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan)) #:acceleration 4
                                               #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (chain (anneal (posterior model op y #:noise noise #:widening 1) #:chains chains #:seed seed
                        #:mass mass #:temperatures (geometric 100 #:ratio ratio #:until until)
                        #:step-size (power-law step #:exponent exponent)
                        #:trajectory-length 4 #:transitions-per-temperature 2)))
    `((acceptance . ,(chain-acceptance chain))
      ,@(if known?
            (let-values (((measured unmeasured) (log-ratios chain spectrum op y noise)))
              `((measured . ,measured) (unmeasured . ,unmeasured)
                (off . ,(max (abs measured) (abs unmeasured)))))
            `((psnr . ,(psnr (tensor-mean (tensor-abs (chain-samples chain)) 0) scan)))))))

(define-experiment sweep-step-size
  ((at-100 '(1 3 10 20 50 100 150) pair? "steps at sigma = 100")
   (exponents '(0.5 0.75 1 1.25 1.5 1.75 2) pair? "of sigma in the step size")
   (mass 'identity (lambda (m) (memq m '(identity fourier))) "identity or fourier")
   (ratio 0.95 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (chains 8 (lambda (n) (> n 1)) "how many")
   (size 64 (lambda (n) (<= 8 n 1024)) "pixels a side of the random field")
   (prior "" string? "a score network's file in place of the random field")
   (workers 1 positive? "points at a time"))
  "Which step size and which exponent, by the exact posterior."
  (let* ((results (sweep-results
                   (sweep step-size (grid #:exponent exponents #:step at-100)
                          #:settings `((mass . ,mass) (ratio . ,ratio) (chains . ,chains)
                                       (size . ,size) (prior . ,prior))
                          #:directory (run-path "sweep") #:workers workers)))
         (short (lambda (x) (and x (/ (round (* 100 x)) 100)))) ; to fit into a square
         (heat (lambda (value title)
                 (table-heat (table-with results value short value)
                             #:x 'step #:y 'exponent #:value value #:title title)))
         (known? (string-null? prior)))
    (save-table (run-path "results.csv") results)
    (save-charts (run-path "step-size.png")
                 (cons (heat 'acceptance "acceptance")
                       (if known?
                           (list (heat 'measured "log10 of variance / exact, measured")
                                 (heat 'unmeasured "log10 of variance / exact, unmeasured"))
                           (list (heat 'psnr "PSNR of the mean, dB"))))
                 #:width 460 #:height 360)
    (save-charts (run-path "step-size-lines.png")
                 (list (table-chart results #:x 'step #:y (if known? 'off 'psnr) #:by 'exponent
                                    #:logarithmic (if known? '(x y) '(x))
                                    #:title (if known? "log10 of variance / exact: how far from 0"
                                                "PSNR of the mean, dB")))
                 #:width 700 #:height 400)
    (let ((best (table-sort results (if known? 'off 'psnr) #:descending (not known?))))
      (format #t "~a~%" (table-text best #:most 10)))
    (map (lambda (row) (map cons (table-columns results) row)) (table-rows results))))
