;;; prior-samples.scm -- what a prior believes without any data: samples of it alone.
;;;
;;; By rows: chains from noise alone, annealed as for a posterior, with no likelihood; from the same noise
;;; samples by reverse diffusion, the default without data; slices of somebody the prior was not trained on; what it
;;; expects when they are under noise of sigma (equation 2); and, from that noise down, samples by the
;;; probability flow and by chains.
;;;
;;;   tempera run experiments/prior-samples.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/prior-samples.scm")))

(define white 150)                      ; the 99.9th percentile of a scan's magnitude

(define-experiment prior-samples
  ((prior (string-append here "/../priors/brain.safetensors") string? "a score network's file")
   (slices '(2 5 9 13 17 20) pair? "of pd-head, at half their size; as many chains begin with noise")
   (from 150 positive? "the first temperature of noise alone")
   (sigma 100 positive? "standard deviation of the noise that slices are under")
   (ratio 0.95 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (until 0.046 positive? "the last temperature")
   (seed 1 (lambda (n) (>= n 0)) "of phases, noise and chains"))
  "Samples of a prior without data, from noise alone and from slices under much noise."
  (let* ((network (load-network prior))
         (scans (tensor-concatenate
                 (map (lambda (slice)
                        (let ((image (half-size (load-image (format #f "~a/pd-head/brain_~3,'0d.png"
                                                                    here slice)))))
                          (tensor-reshape (simulated-scan image #:seed (+ seed slice))
                                          (cons 1 (tensor-shape image)))))
                      slices)
                 0))
         (noisy (tensor+ scans (tensor* sigma (random-normal (tensor-shape scans) seed 0 'c64))))
         (samples (lambda (start from . settings)
                    (let ((chain (apply anneal (prior-target network #:shape (cdr (tensor-shape scans))
                                                             #:dtype 'c64)
                                        #:chains (length slices) #:start start #:seed seed
                                        #:temperatures (geometric from #:ratio ratio #:until until)
                                        settings)))
                      (format #t "~a~%" (diagnose chain))
                      (chain-samples chain))))
         (noise (tensor* from (random-normal (tensor-shape scans) seed 1 'c64)))
         (rows `(("from noise alone" . ,(samples noise from #:sampler (hmc)))
                 ("by default" . ,(samples noise from))
                 ("slice" . ,scans)
                 ("expected" . ,(denoise network noisy sigma))
                 ("by the flow" . ,(samples noisy sigma #:sampler (probability-flow)))
                 ("by chains" . ,(samples noisy sigma #:sampler (hmc)))))
         (size (lambda (image)          ; root mean square of the magnitude
                 (sqrt (/ (tensor->number (tensor-sum-squares image)) (apply * (tensor-shape image))))))
         (slice (lambda (batch k)
                  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch)))))
         (each (lambda (f) (append-map (lambda (row)
                                         (map (lambda (k) (f (car row) k (slice (cdr row) k)))
                                              (iota (length slices))))
                                       rows)))
         (sizes (table '(row column rms) (each (lambda (name k image) (list name k (size image)))))))
    (save-table (run-path "prior-samples.csv") sizes)
    (save-figure (run-path "prior-samples.png")
                 (each (lambda (name k image) (panel (if (zero? k) name "") image #:high white)))
                 #:columns (length slices))
    (format #t "root mean square of each row: ~a~%"
            (table-text (table-group sizes '(row) '(rms mean))))))
