;;; figure-2.scm -- figure 2 of the paper: the box of figure 1, enlarged.
;;;
;;; Structures that all samples share are what the data say; those that come and go are what
;;; they leave open, and where UPDNet's one image is as sharp as anywhere.
;;;
;;;   tempera run --out=out/figure-2 experiments/figure-2.scm from=out/figure-1

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define (image-of batch k)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (inside image box)
  "The part of IMAGE in BOX, (row column rows columns)."
  (let-values (((row column rows columns) (apply values box)))
    (tensor-copy (tensor-slice (tensor-slice image 0 row (+ row rows)) 1 column (+ column columns)))))

(define-experiment figure-2
  ((from "out/figure-1" string? "what figure-1.scm left"))
  "Figure 2: the box of figure 1, enlarged."
  (check-that (file-exists? (string-append from "/samples.npy")) 'figure-2
              "from: ~a has no samples.npy; run experiments/figure-1.scm first" from)
  (let*-values (((load) (lambda (name) (load-npy (string-append from "/" name))))
                ((samples) (load "samples.npy"))
                ((scan) (load "truth.npy"))
                ((box) (load-datum (string-append from "/box.scm")))
                ((mean-image std) (magnitude-statistics samples))
                ((low high) (apply values (image-window (tensor-abs (inside scan box)))))
                ((part) (lambda (title image) (panel title (inside image box) #:low low #:high high))))
    (save-figure (run-path "figure-2.png")
                 `(,(part "truth" scan)
                   ,(part "UPDNet" (load "updnet.npy"))
                   ,(part "sample mean" mean-image)
                   ,(panel "standard deviation" (inside std box) #:colours 'heat #:bar? #t)
                   ,@(map (lambda (k) (part (format #f "sample ~a" (1+ k)) (image-of samples k)))
                          (iota 4)))
                 #:columns 4)))
