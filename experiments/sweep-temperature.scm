;;; sweep-temperature.scm -- quality of samples against the temperature at which a chain ends.
;;;
;;; The paper stops near sigma = 30 and denoises once (EDS), which is to the mean of what is left
;;; open there.  Of one annealing, at every temperature on the way: the PSNR of samples as they
;;; are, of their expected denoised samples, and of the means of both, and how much the samples
;;; still differ.
;;;
;;;   tempera run experiments/sweep-temperature.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/sweep-temperature.scm")))

(define-experiment sweep-temperature
  ((slice 13 (lambda (n) (<= 1 n 20)) "of pd-head")
   (half #t boolean? "of half the rows and columns: four times as fast")
   (chains 8 (lambda (n) (> n 1)) "samples")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (ratio 0.93 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (prior (string-append here "/../priors/brain.safetensors") string? "the score network")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask, noise and chains"))
  "Quality of samples by the temperature at which annealing ends."
  (let* ((image (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here slice)))
         (scan (simulated-scan (if half (half-size image) image) #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (network (load-network prior))
         (chain (anneal (posterior network op y #:noise noise) #:chains chains #:seed seed
                        #:temperatures (geometric 100 #:ratio ratio #:until 0.046) #:keep 1.2))
         (average (lambda (x) (tensor-mean (tensor-abs x) 0)))
         (spread (lambda (x)
                   (call-with-values (lambda () (magnitude-statistics x))
                     (lambda (mean std) (tensor->number (tensor-mean std))))))
         (rows (filter-map
                (lambda (state)
                  (let ((sigma (car state)) (x (cdr state)))
                    (and (finite? sigma)
                         (let ((denoised (denoise network x sigma)))
                           (list sigma (mean (psnr x scan)) (mean (psnr denoised scan))
                                 (psnr (average x) scan) (psnr (average denoised) scan)
                                 (spread x) (spread denoised))))))
                (chain-states chain)))
         (result (table '(sigma sample sample-denoised mean mean-denoised spread spread-denoised)
                        rows))
         (curve (lambda (column title)
                  (series 'line (map list (table-column result 'sigma) (table-column result column))
                          #:title title))))
    (save-table (run-path "by-temperature.csv") result)
    (save-charts (run-path "temperature.png")
                 (list (chart "PSNR, dB"
                              (list (curve 'sample "sample") (curve 'sample-denoised "after EDS")
                                    (curve 'mean "mean of samples")
                                    (curve 'mean-denoised "mean after EDS"))
                              #:x-label "sigma at the end" #:logarithmic '(x))
                       (chart "standard deviation over samples"
                              (list (curve 'spread "samples") (curve 'spread-denoised "after EDS"))
                              #:x-label "sigma at the end" #:logarithmic '(x y)))
                 #:columns 2 #:width 480)
    (format #t "~a~%" (table-text result #:most 100))
    result))
