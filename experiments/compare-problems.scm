;;; compare-problems.scm -- every inverse problem by every method that fits it: the table, and a picture of each.
;;;
;;; The problems are those of `tempera reconstruct problem=NAME', simulated from images whose truth is known.  Every method
;;; takes a problem's measurement as it is, whatever its operator.  Each point of the sweep is one image of one
;;; problem by all methods; stopped, it goes on where it was.  Leaves
;;;
;;;   table.csv       a row for each problem, method and image: psnr, ssim, coverage of 90 % intervals, evaluations, seconds
;;;   summary.csv     means over images
;;;   weights.csv     of total variation and wavelets, chosen for each problem on two images that are not in the table
;;;   problems.png    a row for each problem: the first image by each method
;;;
;;;   tempera run --out=out/problems experiments/compare-problems.scm
;;;   tempera run --out=out/problems experiments/compare-problems.scm heads=FOLDER
;;;
;;; The first takes the middle of slices of pd-head, the second random parts of slices of volumes that `tempera data' prepared in FOLDER, of persons
;;; that the prior was not trained on.

(use-modules (tempera)
             (ice-9 format)
             ((tempera data scans) #:select (peak-magnitude))
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/compare-problems.scm")))

(define problems
  ;; By name: what is measured, with the noise that the problem has unless told.
  `((denoising ,(problem 'denoising))
    (deblurring ,(problem 'deblurring #:deviation 1.5))
    (motion ,(problem 'deblurring #:kernel 'motion #:length 9))
    (inpainting ,(problem 'inpainting #:share 0.3))
    (super-resolution ,(problem 'super-resolution #:factor 2))
    (tomography ,(problem 'tomography #:angles 20))
    (mri ,(make-problem #:noise 0.002
                        #:operator (lambda (shape seed)
                                     (mri-operator #:mask (random-mask (second shape) #:acceleration 4 #:seed seed)))))))

;;; --- Images ---------------------------------------------------------------------------

(define (image-of batch k)
  (tensor-reshape (tensor-copy (tensor-slice batch 0 k (1+ k))) (cdr (tensor-shape batch))))

(define (stack images)
  (tensor-concatenate (map (lambda (x) (tensor-reshape x (cons 1 (tensor-shape x)))) images) 0))

(define (middle image size)
  "SIZE x SIZE pixels from the middle of IMAGE."
  (fold (lambda (axis image)
          (let ((from (quotient (- (tensor-size image axis) size) 2)))
            (tensor-copy (tensor-slice image axis from (+ from size)))))
        image '(0 1)))

(define (test-image heads number size seed)
  "Image NUMBER, from 1, of SIZE pixels a side: of pd-head if HEADS is \"\", else of the volumes in that folder.  Those up to 0
choose weights.  They are parts of slices at their own resolution, since smaller pixels are what the prior was not trained on."
  (if (string-null? heads)
      (middle (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here (1+ (modulo (- (* 2 number) 1) 20)))) size)
      (image-of (random-slices (load-dataset #:folder heads) 1 size #:seed seed #:stream (+ 100 number) #:fit 0) 0)))

(define (simulation kind heads number size seed)
  "Two values: the measurement of the problem KIND of image NUMBER, and its truth."
  (problem-simulation (first (or (assq-ref problems kind)
                                 (complain 'compare-problems "problem: expected one of ~a, got ~a" (map car problems) kind)))
                      (test-image heads number size seed) #:seed (+ seed number)))

;;; --- Weights of sparsity --------------------------------------------------------------

(define (best-weight highest quality)
  "From HIGHEST on, by half an order of magnitude each, the weight with the largest QUALITY, in dB, until it has risen by less
than 0.02 twice."
  (let loop ((weight highest) (best #f) (best-quality -inf.0) (worse 0))
    (if (= worse 2)
        best
        (let ((q (quality weight)))
          (if (> q (+ 0.02 best-quality))
              (loop (/ weight (sqrt 10.)) weight q 0)
              (loop (/ weight (sqrt 10.)) best best-quality (1+ worse)))))))

(define-experiment choose-problem-weights
  ((problem 'denoising symbol? "which")
   (heads "" string? "a folder of prepared volumes, in place of pd-head")
   (size 64 positive? "pixels a side")
   (seed 42 (lambda (n) (>= n 0)) "of images, operators and noise"))
  "The weights of total variation and wavelets for one problem."
  (let* ((cases (map (lambda (number) (call-with-values (lambda () (simulation problem heads number size seed)) cons)) '(0 -1)))
         ;; With weights above the greatest of |A^H y| nothing is left of an image.
         (highest (mean (map (lambda (c)
                               (/ (peak-magnitude (apply-adjoint (measurement-operator (car c)) (measurement-data (car c)))) 5))
                             cases)))
         (best (lambda (reconstruct)
                 (best-weight highest (lambda (weight)
                                        (mean (map (lambda (c) (psnr (reconstruct (car c) #:weight weight) (cdr c))) cases)))))))
    `((total-variation . ,(best total-variation)) (wavelets . ,(best wavelet-reconstruction)))))

;;; --- One point ------------------------------------------------------------------------

(define (tikhonov measurement)
  "(A^H A + (noise / 40)^2)^-1 A^H y, 40 being about the root mean square of heads."
  (let ((op (measurement-operator measurement)))
    ((normal-inverse op (expt (/ (measurement-noise measurement) 40) 2))
     (apply-adjoint op (measurement-data measurement)))))

(define sigmas 40)                      ; of plug-and-play methods, an evaluation each

(define-experiment solve-problem
  ((problem 'denoising symbol? "which")
   (image 1 positive? "which")
   (total-variation-weight 1. positive? "of total variation")
   (wavelet-weight 1. positive? "of wavelets")
   (heads "" string? "a folder of prepared volumes, in place of pd-head")
   (size 64 positive? "pixels a side")
   (chains 8 (lambda (n) (> n 1)) "samples of the posterior")
   (ratio 0.8 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (sampler 'reverse-diffusion (lambda (s) (memq s '(reverse-diffusion hmc))) "reverse-diffusion or hmc")
   (prior (string-append here "/../priors/brain-paper.safetensors") string? "the score network")
   (seed 42 (lambda (n) (>= n 0)) "of images, operators, noise and chains"))
  "One problem, simulated from one image, by all methods."
  (let*-values (((measurement truth) (simulation problem heads image size seed))
                ((network) (load-network prior))
                ((rated) (lambda (name evaluations coverage seconds x)
                           (list name (psnr x truth) (ssim x truth) coverage evaluations seconds)))
                ((by) (lambda (name evaluations reconstruct)
                        ;; Two values in a list: the row of the table and the image.
                        (let-values (((x seconds) (timed (lambda () (reconstruct measurement)))))
                          (list (rated name evaluations 'none seconds x) x))))
                ((others)
                 (list (by (operator-inverse-name (measurement-operator measurement)) 0 zero-filled)
                       (by "Tikhonov" 0 tikhonov)
                       (by "total variation" 0 (lambda (m) (total-variation m #:weight total-variation-weight)))
                       (by "wavelets" 0 (lambda (m) (wavelet-reconstruction m #:weight wavelet-weight)))
                       (by "PnP-ADMM" sigmas (lambda (m) (pnp-admm network m #:sigmas (log-linear 50 #:until 0.5 #:count sigmas))))
                       (by "RED" sigmas (lambda (m) (red network m #:sigmas (log-linear 50 #:until 0.5 #:count sigmas))))))
                ((chain seconds)
                 (timed (lambda ()
                          (apply anneal (posterior network measurement) #:chains chains #:seed (+ seed image) #:keep #f
                                 #:temperatures (geometric 100 #:ratio ratio #:until 0.3)
                                 (if (eq? sampler 'hmc)
                                     '()
                                     (list #:sampler (reverse-diffusion) #:transitions-per-temperature 1))))))
                ((samples) (chain-samples chain))
                ((mean-image std) (magnitude-statistics samples))
                ((evaluations) (chain-evaluations chain))
                ((coverage) (covered-share samples truth #:where (tensor< 0.5 (tensor-abs truth))))
                ((one) (image-of samples 0)))
    (save-npy (run-path "images.npy")
              (stack (append (list (tensor-abs truth))
                             (map (lambda (entry) (tensor-abs (second entry))) others)
                             (list mean-image (tensor-abs one) std))))
    `((rows . ,(append (map first others)
                       (list (rated "sample mean" evaluations coverage seconds mean-image)
                             (rated "single sample" evaluations 'none seconds one)))))))

;;; --- The table ------------------------------------------------------------------------

(define (rows-of results)
  "A row for each problem, image and method of RESULTS, the sweep's."
  (append-map (lambda (kind image rows) (map (lambda (row) (cons* kind image row)) (if (list? rows) rows '())))
              (table-column results 'problem) (table-column results 'image) (table-column results 'rows)))

(define (summary-of rows kinds)
  "Means over the images of ROWS, by problem and method."
  (table '(problem method images psnr ssim coverage evaluations seconds)
         (append-map
          (lambda (kind)
            (let ((here (filter (lambda (row) (eq? kind (first row))) rows)))
              (map (lambda (method)
                     (let* ((all (filter (lambda (row) (equal? method (third row))) here))
                            (average (lambda (k)
                                       (let ((numbers (filter real? (map (lambda (row) (list-ref row k)) all))))
                                         (if (null? numbers) 'none (mean numbers))))))
                       (list kind method (length all) (average 3) (average 4) (average 5) (average 6) (average 7))))
                   (delete-duplicates (map third here)))))
          kinds)))

(define (pictures-of kind file rows)
  "The panels of problem KIND from FILE, the images of its first point, whose rows of the table are ROWS."
  (let* ((images (load-npy file))
         (white (peak-magnitude (image-of images 0)))
         (methods (map third rows))
         (titles (cons (symbol->string kind)
                       (map (lambda (row) (format #f "~a ~,1f" (third row) (fourth row))) rows))))
    (append (map (lambda (title k) (panel title (image-of images k) #:low 0 #:high white)) titles (iota (length titles)))
            (list (panel "standard deviation" (image-of images (length titles)) #:colours 'heat #:low 0 #:high (/ white 5))))))

(define-experiment compare-problems
  ((only '() list? "which of the problems, by number from 1; () is all")
   (images 10 positive? "of each")
   (heads "" string? "a folder of prepared volumes, in place of pd-head")
   (size 64 (lambda (n) (<= 32 n 256)) "pixels a side")
   (chains 8 (lambda (n) (> n 1)) "samples of each posterior")
   (ratio 0.8 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (sampler 'reverse-diffusion (lambda (s) (memq s '(reverse-diffusion hmc))) "reverse-diffusion or hmc")
   (prior (string-append here "/../priors/brain-paper.safetensors") string? "the score network")
   (seed 42 (lambda (n) (>= n 0)) "of images, operators, noise and chains")
   (workers 1 positive? "points at a time"))
  "All problems by all methods, on images that the prior was not trained on."
  (let* ((kinds (map car (if (null? only) problems (map (lambda (k) (list-ref problems (1- k))) only))))
         (shared `((heads . ,heads) (size . ,size) (seed . ,seed)))
         (name (lambda (kind image) (format #f "~a-~a" kind image)))
         (weights (sweep-results (sweep choose-problem-weights (map (lambda (kind) `((problem . ,kind))) kinds)
                                        #:settings shared #:directory (run-path "weights") #:workers workers)))
         (points (append-map (lambda (image)
                               (map (lambda (kind tv wavelets)
                                      `((problem . ,kind) (image . ,image)
                                        (total-variation-weight . ,tv) (wavelet-weight . ,wavelets)))
                                    kinds (table-column weights 'total-variation) (table-column weights 'wavelets)))
                             (iota images 1)))
         (results (sweep-results
                   (sweep solve-problem points
                          #:settings `((chains . ,chains) (ratio . ,ratio) (sampler . ,sampler) (prior . ,prior) ,@shared)
                          #:directory (run-path "sweep") #:workers workers
                          #:names (map (lambda (point) (name (assq-ref point 'problem) (assq-ref point 'image))) points))))
         (rows (rows-of results))
         (summary (summary-of rows kinds)))
    (save-table (run-path "weights.csv") (table-select weights 'problem 'total-variation 'wavelets))
    (save-table (run-path "table.csv") (table '(problem image method psnr ssim coverage evaluations seconds) rows))
    (save-table (run-path "summary.csv") summary)
    (save-figure (run-path "problems.png")
                 (append-map (lambda (kind)
                               (pictures-of kind (run-path (format #f "sweep/points/~a/images.npy" (name kind 1)))
                                            (filter (lambda (row) (and (eq? kind (first row)) (= 1 (second row)))) rows)))
                             kinds)
                 #:columns 10)
    (format #t "~a~%" (table-text summary #:most 100))
    summary))
