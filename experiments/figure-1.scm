;;; figure-1.scm -- figure 1 of the paper: a slice, what each method makes of it, and samples.
;;;
;;; figure-1.png         truth, zero-filled, UPDNet and seven samples with their PSNRs; a red box
;;;                      where the samples differ most, which figure-2.scm enlarges
;;; what-is-known.png    beyond the paper: the mean of all samples, their standard deviation and
;;;                      the error of the mean
;;; strip.png            one chain on its way down the temperatures
;;; samples.webp         the samples, one after the other
;;; figure-1.csv         the caption's numbers
;;;
;;;   tempera run --out=out/figure-1 experiments/figure-1.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/figure-1.scm")))

(define (image-of batch k)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (busiest std size)
  "Where, as (row column SIZE SIZE), the sum of STD over a square is largest, on a grid of 8 pixels."
  (let* ((squares (half-size (half-size (half-size std))))
         (shape (tensor-shape squares))
         (n (quotient size 8))
         (sum (lambda (place)
                (tensor->number
                 (tensor-sum (tensor-slice (tensor-slice squares 0 (first place) (+ n (first place)))
                                           1 (second place) (+ n (second place)))))))
         (places (append-map (lambda (r) (map (lambda (c) (list r c))
                                              (iota (- (second shape) n -1))))
                             (iota (- (first shape) n -1))))
         (best (fold (lambda (place best) (if (> (sum place) (sum best)) place best))
                     (first places) (cdr places))))
    (list (* 8 (first best)) (* 8 (second best)) size size)))

(define-experiment figure-1
  ((slice 13 (lambda (n) (<= 1 n 20)) "of pd-head")
   (half #f boolean? "of half the rows and columns: four times as fast")
   (chains 8 (lambda (n) (>= n 7)) "samples")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation of the measurement")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (box '() list? "row, column, rows and columns of the red box; none: where samples differ most")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask, noise and chains"))
  "Figure 1: truth, zero-filled, UPDNet and samples of the posterior."
  (let*-values
      (((image) (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here slice)))
       ((scan) (simulated-scan (if half (half-size image) image) #:seed seed))
       ((op) (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
       ((y) (measure op scan #:noise noise #:seed seed))
       ((zero-filled) (apply-adjoint op y))
       ((weights) (lambda (name) (load-network (string-append priors "/" name ".safetensors"))))
       ((updnet-image) (updnet-reconstruction (weights "updnet") op y))
       ((chain) (anneal (posterior (weights "brain") op y #:noise noise)
                        #:chains chains #:seed seed
                        #:temperatures (geometric 30 #:ratio ratio #:until 0.046)))
       ((samples) (chain-samples chain))
       ((mean-image std) (magnitude-statistics samples))
       ((error) (tensor-abs (tensor- (tensor-abs scan) mean-image)))
       ((box) (if (null? box) (busiest std (if half 32 64)) box))
       ((low high) (apply values (image-window (tensor-abs scan))))
       ((grey) (lambda (title image) (panel title image #:low low #:high high #:box box)))
       ((rated) (lambda (title image)
                  (grey (format #f "~a  ~,2f dB" title (psnr image scan)) image)))
       ((sample) (lambda (k) (image-of samples k)))
       ((captions) (append `(("zero-filled" ,(psnr zero-filled scan) ,(ssim zero-filled scan))
                             ("UPDNet" ,(psnr updnet-image scan) ,(ssim updnet-image scan))
                             ("sample mean" ,(psnr mean-image scan) ,(ssim mean-image scan)))
                           (map (lambda (k) (list (format #f "sample ~a" (1+ k))
                                                  (psnr (sample k) scan) (ssim (sample k) scan)))
                                (iota chains))))
       ((caption-table) (table '(image psnr ssim) captions)))
    (save-table (run-path "figure-1.csv") caption-table)
    (save-npy (run-path "samples.npy") samples)
    (save-npy (run-path "truth.npy") scan)
    (save-npy (run-path "updnet.npy") updnet-image)
    (save-datum (run-path "box.scm") box)
    (save-figure (run-path "figure-1.png")
                 (append (list (grey "truth" scan) (rated "zero-filled" zero-filled)
                               (rated "UPDNet" updnet-image))
                         (map (lambda (k) (rated (format #f "sample ~a" (1+ k)) (sample k))) (iota 7)))
                 #:columns 5)
    (let ((most (second (image-window error))))
      (save-figure (run-path "what-is-known.png")
                   (list (rated "sample mean" mean-image)
                         (panel "standard deviation" std #:colours 'heat #:bar? #t #:high most #:box box)
                         (panel "error of the mean" error #:colours 'heat #:bar? #t #:high most
                                #:box box))
                   #:columns 3))
    (save-figure (run-path "strip.png")
                 (let ((states (filter (lambda (state) (tensor-finite? (cdr state)))
                                       (chain-states chain))))
                   (map (lambda (state)
                          (panel (if (finite? (car state)) (format #f "sigma ~,2f" (car state)) "start")
                                 (image-of (cdr state) 0) #:low low #:high high))
                        states))
                 #:columns 6)
    (save-animation (run-path "samples.webp") samples #:fps 3 #:low low #:high high
                    #:titles (map (lambda (k) (format #f "sample ~a" (1+ k))) (iota chains)))
    (format #t "~a~%" (table-text caption-table))
    caption-table))
