;;; denoise.scm -- a prior as a denoiser, by sigma, beside total variation: for the prior's card.
;;;
;;; On slices of a person it has not seen: the PSNR of x + sigma^2 r(x, sigma), of the best of
;;; several weights of total variation for each image, which a denoiser does not know, the loss of
;;; equation 3, and that loss over large structures, |k| from 2 to 4, where 1 is what knowing nothing has.
;;;
;;;   tempera run experiments/denoise.scm prior=priors/brain.safetensors

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/denoise.scm")))

(define-experiment denoise-by-sigma
  ((prior (string-append here "/../priors/brain.safetensors") string? "a score network's file")
   (slices '(2 5 8 11 14 17 20) pair? "of pd-head")
   (half #f boolean? "of half the rows and columns")
   (sigmas '(0.1 0.3 1 3 10 30 100) pair? "standard deviations of real and imaginary part")
   (weights '(0.3 0.5 0.8 1.2 1.6) pair? "of total variation, times sigma")
   (tv #t boolean? "whether total variation is run")
   (seed 42 (lambda (n) (>= n 0)) "of phases and noise"))
  "A prior as a denoiser, by sigma."
  (let* ((network (load-network prior))
         (scans (map (lambda (slice)
                       (let ((image (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here slice))))
                         (simulated-scan (if half (half-size image) image) #:seed (+ seed slice))))
                     slices))
         (all (tensor-concatenate (map (lambda (scan) (tensor-reshape scan (cons 1 (tensor-shape scan))))
                                       scans)
                                  0))
         (whole (lambda (scan)
                  (mri-operator #:mask (tensor+ 1 (tensor-zeros (list (second (tensor-shape scan))))))))
         (row (lambda (sigma)
                (let* ((each
                        (map (lambda (scan k)
                               (let* ((u (random-normal (tensor-shape scan) seed k 'c64))
                                      (noisy (tensor+ scan (tensor* sigma u)))
                                      (score (tensor-reshape
                                              (score network
                                                     (tensor-reshape noisy (cons 1 (tensor-shape scan)))
                                                     sigma)
                                              (tensor-shape scan)))
                                      (op (whole scan)) (y (fft2 noisy)))
                                 (list (psnr noisy scan)
                                       (psnr (tensor+ noisy (tensor* (* sigma sigma) score)) scan)
                                       (and tv
                                            (apply max
                                                   (map (lambda (w)
                                                          (psnr (total-variation op y #:weight (* w sigma)
                                                                                 #:iterations 60)
                                                                scan))
                                                        weights)))
                                       (/ (tensor->number
                                           (tensor-sum-squares (tensor+ u (tensor* sigma score))))
                                          (* 2 (tensor-count scan))))))
                             scans (iota (length scans))))
                       (average (lambda (k) (and (list-ref (first each) k)
                                                 (mean (map (lambda (e) (list-ref e k)) each))))))
                  (append (list sigma) (map average '(0 1 2 3))
                          (list (assv-ref (score-loss-by-frequency network all sigma #:draws 4) 4))))))
         (result (table '(sigma noisy prior total-variation loss loss-large) (map row sigmas))))
    (save-table (run-path "denoise.csv") result)
    (format #t "~a~%" (table-text result))
    result))
