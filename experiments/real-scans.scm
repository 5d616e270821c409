;;; real-scans.scm -- posteriors of real scans: what was measured, the map of what is not known, and pictures of both.
;;;
;;;   tempera run experiments/real-scans.scm scans=FOLDER
;;;   tempera run experiments/real-scans.scm scans=FOLDER only=t1-head-8coil-poisson sampler=hmc
;;;
;;; FOLDER has public files, all under licences that let them be used:
;;;
;;;   t1-head-8coil-poisson.npy    k-space of 8 coils, one eighth measured  (sigpy-mri-tutorial, cartesian_ksp.npy)
;;;   t2-head-1coil-512.mat        k-space of one coil, all measured        (SWastling/mri_ft_recon)
;;;   complex-brain-256-v73.mat    an image with its phase                  (yangyan92/ADMM-CSNet)
;;;   simulated-brain-ismrmrd.h5   k-space of one coil, all measured        (MRIReco.jl)
;;;
;;; The first is sampled as it is.  The others were measured whole: a fourth of their columns is kept, and what was
;;; measured is the truth to compare with.  For each, NAME.png has the sampling pattern, the zero-filled image, mean and
;;; standard deviation, and where it is known the truth and the error; scans.csv has the numbers.

(use-modules (tempera)
             (ice-9 format)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-11))

;;; --- What there is to sample -----------------------------------------------------------

(define (as-measured path)
  "Measurement of the k-space in PATH as it is, and no truth."
  (let*-values (((scan) (load-scan path))
                ((measurement scale) (scan-measurement scan)))
    (values measurement #f (scan-pattern scan))))

(define* (undersampled-scan path mask #:key (noise 'auto))
  "The k-space in PATH, measured whole, where MASK, of the number of its columns, is 1; the truth is the image of all of it."
  (let*-values (((scan) (load-scan path))
                ((all) (raw-scan-kspace scan 0))
                ((columns) (last (tensor-shape all)))
                ((y) (tensor* all (mask columns)))
                ((measurement scale) (scan-measurement y #:mask (mask columns) #:noise noise)))
    (values measurement
            (tensor-reshape (tensor* scale (ifft2 all)) (take-right (tensor-shape all) 2))
            (tensor-copy (tensor-broadcast (mask columns) (take-right (tensor-shape all) 2))))))

(define (measured-image path mask noise)
  "The image in PATH, with its phase, measured where MASK is 1 with the NOISE."
  (let* ((image (load-image path))
         (peak (tensor->number (tensor-quantile (tensor-reshape (tensor-abs image) '(-1)) 0.999 0)))
         (truth (tensor* (/ top-intensity peak) image))
         (columns (last (tensor-shape image)))
         (op (mri-operator #:mask (mask columns) #:shape (tensor-shape image))))
    (values (measurement op (measure op truth #:noise noise #:seed 2) #:noise noise)
            truth
            (tensor-copy (tensor-broadcast (mask columns) (tensor-shape image))))))

(define (fourth columns)
  (random-mask columns #:acceleration 4 #:seed 1))

(define cases
  `(("t1-head-8coil-poisson.npy" . ,as-measured)
    ("t2-head-1coil-512.mat" . ,(lambda (path) (undersampled-scan path fourth)))
    ("complex-brain-256-v73.mat" . ,(lambda (path) (measured-image path fourth 1)))
    ("simulated-brain-ismrmrd.h5" . ,(lambda (path) (undersampled-scan path fourth)))))

;;; --- One of them --------------------------------------------------------------------------

(define (residual-ratio measurement x)
  "The root mean square of what was measured less what the images X, c64 (C H W), say, over the noise."
  (let* ((op (measurement-operator measurement))
         (y (measurement-data measurement))
         (difference ((operator-restrict op) (tensor- (apply-forward op (tensor-mean x 0)) y)))
         (measured ((operator-restrict op) (tensor+ 1 (tensor-zeros (tensor-shape y) 'c64)))))
    (/ (sqrt (/ (tensor->number (tensor-sum-squares difference))
                (* 2 (tensor->number (tensor-sum-squares measured)))))
       (measurement-noise measurement))))

(define (base name) (string-take name (string-rindex name #\.)))

(define (one network name sampler chains seed measurement truth pattern)
  (let*-values (((target) (posterior network measurement))
                ((chain seconds)
                 (timed (lambda ()
                          (if (eq? sampler 'split-gibbs)
                              (anneal target #:chains chains #:seed seed #:sampler (split-gibbs)
                                      #:temperatures (log-linear 100 #:until 0.046 #:count 80))
                              (anneal target #:chains chains #:seed seed)))))
                ((samples) (chain-samples chain))
                ((mean std) (values (tensor-mean (tensor-abs samples) 0) (chain-std chain)))
                ((start) (zero-filled measurement))
                ((measured unmeasured) (spread-by-frequency samples measurement))
                ((decibels) (lambda (x) (and truth (psnr x truth)))))
    (save-npy (run-path (string-append name "-samples.npy")) samples)
    (save-figure
     (run-path (string-append name ".png"))
     `(,(panel "sampling" pattern #:high 1)
       ,@(posterior-panels #:truth truth #:start start #:start-name "zero-filled" #:mean mean #:std std
                           #:samples samples #:shown 1))
     #:columns 3)
    (list name (decibels start) (decibels mean) (residual-ratio measurement samples)
          measured unmeasured (measurement-noise measurement) seconds)))

(define-experiment real-scans
  ((scans (required file) "the folder with the files")
   (only "" string? "the name of one of them, without its ending; else all")
   (prior "brain-paper" string? "a shipped prior or a file")
   (sampler 'split-gibbs (lambda (name) (memq name '(split-gibbs hmc))) "of 80 steps, or by the defaults")
   (chains 4 positive? "samples")
   (seed 1 (lambda (n) (>= n 0)) "of chains"))
  "Posteriors of real scans."
  (let* ((network (load-network prior))
         (chosen (filter (match-lambda ((file . _) (or (string=? only "") (string=? only (base file))))) cases)))
    (check-that (pair? chosen) 'real-scans "only: expected one of ~a, got ~s" (map (compose base car) cases) only)
    (let ((rows (map (match-lambda
                       ((file . make)
                        (format #t "~a~%" file)
                        (apply one network (base file) sampler chains seed
                               (call-with-values (lambda () (make (string-append scans "/" file))) list))))
                     chosen)))
      (let ((result (table '(scan zero-filled mean residual measured-spread unmeasured-spread noise seconds) rows)))
        (save-table (run-path "scans.csv") result)
        (format #t "~a~%" (table-text result))
        result))))
