;;; updnet-failure.scm -- UPDNet where it was not trained, beside the posterior.
;;;
;;; A network that was trained to reconstruct answers every measurement with one sharp image, also
;;; where the data say nothing, and under masks and noise that it has not seen.  The sampler
;;; is told both, and its standard deviation says where not to look.
;;;
;;; updnet-failure.png   a row each for what UPDNet was trained for (R = 4, noise 0.1), more noise,
;;;                      every fourth column, and R = 8: truth, zero-filled, UPDNet, sample mean,
;;;                      standard deviation
;;; updnet-failure.csv   the PSNRs
;;;
;;;   tempera run --out=out/updnet-failure experiments/updnet-failure.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/updnet-failure.scm")))

(define conditions
  ;; What it is called, acceleration, noise, mask.
  `(("as trained" 4 0.1 ,random-mask)
    ("noise 10" 4 10 ,random-mask)
    ("equispaced" 4 0.1 ,equispaced-mask)
    ("R = 8" 8 0.1 ,random-mask)))

(define-experiment updnet-failure
  ((slice 8 (lambda (n) (<= 1 n 20)) "of pd-head")
   (half #t boolean? "of half the rows and columns: four times as fast")
   (chains 8 (lambda (n) (> n 1)) "samples")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (seed 42 (lambda (n) (>= n 0)) "of phase, masks, noise and chains"))
  "UPDNet under conditions that it was not trained for, beside the posterior."
  (let*-values
      (((image) (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here slice)))
       ((scan) (simulated-scan (if half (half-size image) image) #:seed seed))
       ((weights) (lambda (name) (load-network (string-append priors "/" name ".safetensors"))))
       ((network) (weights "updnet"))
       ((prior) (weights "brain"))
       ((low high) (apply values (image-window (tensor-abs scan))))
       ((rated) (lambda (title image)
                  (panel (format #f "~a  ~,2f dB" title (psnr image scan)) image
                         #:low low #:high high)))
       ((row)
        (lambda (condition)
          (let*-values
              (((name acceleration noise mask) (apply values condition))
               ((op) (mri-operator #:mask (mask (second (tensor-shape scan))
                                                #:acceleration acceleration #:seed seed)))
               ((y) (measure op scan #:noise noise #:seed seed))
               ((zero-filled) (apply-adjoint op y))
               ((by-updnet) (updnet-reconstruction network op y))
               ((chain) (anneal (posterior prior op y #:noise noise) #:chains chains #:seed seed
                                #:temperatures (geometric 30 #:ratio ratio
                                                          #:until (max 0.046 (* 0.1 noise)))))
               ((mean std) (magnitude-statistics (chain-samples chain))))
            (list (list (panel (format #f "truth; ~a" name) scan #:low low #:high high)
                        (rated "zero-filled" zero-filled)
                        (rated "UPDNet" by-updnet)
                        (rated "sample mean" mean)
                        (panel "standard deviation" std #:colours 'heat #:bar? #t))
                  (cons name (map (lambda (image) (psnr image scan))
                                  (list zero-filled by-updnet mean)))))))
       ((rows) (map-in-order row conditions))
       ((result) (table '(condition zero-filled updnet sample-mean) (map second rows))))
    (save-figure (run-path "updnet-failure.png") (append-map first rows) #:columns 5)
    (save-table (run-path "updnet-failure.csv") result)
    (format #t "~a~%" (table-text result))
    result))
