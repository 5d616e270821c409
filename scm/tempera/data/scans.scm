;;; scans.scm -- an image as a scan has it: on the intensity scale, with a smooth phase.
;;;
;;; Priors are trained, and noise is given, on the paper's scale: the 99.9th percentile of an
;;; image's magnitude is at 150.

(define-module (tempera data scans)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:export (top-intensity peak-magnitude intensity-scale smooth-phase simulated-scan
            draws-per-image uniform-source log-uniform phase-coefficients))

(define top-intensity
  ;; Where the paper's scale has the 99.9th percentile of an image's magnitude.
  150)

(define (peak-magnitude image)
  "The 99.9th percentile of the magnitude of IMAGE, f32 or c64 of any shape.
Example: (peak-magnitude (list->tensor '(3 -4 0) '(3))) => 3.997999906539917"
  (tensor->number (tensor-quantile (tensor-reshape (tensor-abs image) '(-1)) 0.999 0)))

(define* (intensity-scale image #:optional (white top-intensity))
  "IMAGE, f32 or c64 of any shape, multiplied so that the 99.9th percentile of its
magnitude is WHITE, 150 unless given: the scale on which priors are trained and noise is given (see
`prior-scale').
Example: (intensity-scale (load-image \"brain.png\"))"
  (let ((top (peak-magnitude image)))
    (check-that (and (finite? top) (> top 0)) 'intensity-scale
                "image: expected finite values with a positive 99.9th percentile, got ~a" top)
    (tensor* image (/ white top))))

;;; --- Phase ------------------------------------------------------------------

(define draws-per-image 64)

(define (uniform-source numbers)
  "A procedure of LOW and HIGH that gives the next of NUMBERS, uniform on (0, 1), as a number
between them.
Example: ((uniform-source '(0.5)) 0 3) => 1.5"
  (lambda (low high)
    (let ((u (car numbers)))
      (set! numbers (cdr numbers))
      (+ low (* u (- high low))))))

(define (log-uniform u low high)
  "A number whose logarithm is uniform between those of LOW and HIGH, drawn by U, a `uniform-source'.
Example: (log-uniform (uniform-source '(0.5)) 1 4) => 2.0"
  (exp (u (log low) (log high))))

(define (phase-coefficients u)
  "For `image-modulate', a list of 3 x 3 pairs of log gain and phase, of low order, drawn by U, a
`uniform-source'."
  (concatenate
   (map-in-order (match-lambda
                   (0 (let ((pi (acos -1))) (list 0 (u (- pi) pi))))
                   (1 (let ((gain (u -0.2 0.2))) (list gain (u -1.5 1.5))))
                   (2 (let ((gain (u -0.1 0.1))) (list gain (u -0.7 0.7))))
                   (_ (list 0 0)))
                 '(0 1 2 1 2 3 2 3 4))))    ; p + q

(define* (smooth-phase image #:key (seed 0))
  "The magnitude image IMAGE, f32 (H W), as c64 with a smooth random phase, as coils and
field inhomogeneity give it.  The same SEED gives the same phase.
Example: (smooth-phase (intensity-scale (load-image \"brain.png\")) #:seed 1)"
  (check-seed 'smooth-phase seed)
  (match (tensor-shape image)
    ((rows columns)
     (let* ((u (uniform-source (tensor->list (random-uniform (list draws-per-image) seed
                                                             (random-stream 'phase)))))
            (phase-only (let loop ((pairs (phase-coefficients u)))
                          (match pairs
                            (() '())
                            ((_ phase . rest) (cons* 0 phase (loop rest)))))))
       (tensor-reshape (image-modulate (tensor-reshape image (list 1 rows columns))
                                       (complex-view (list->tensor phase-only '(1 3 3 2))))
                       (list rows columns))))
    (shape (complain 'smooth-phase "image: expected (rows columns), got shape ~a" shape))))

;;; --- Images in place of scans -----------------------------------------------

(define* (simulated-scan image #:key (seed 0) (dtype 'c64) (white top-intensity))
  "IMAGE, (rows columns), as the scan of a simulated experiment: on the intensity scale, the 99.9th percentile of
magnitude at WHITE, 150 unless given, and of DTYPE c64, with a smooth random phase by SEED when IMAGE is f32; or f32, real, which
IMAGE has to be.
Example: (simulated-scan (load-image \"brain.png\") #:seed 1)"
  (check-that (and (tensor? image) (= 2 (length (tensor-shape image)))) 'simulated-scan
              "image: expected a tensor (rows columns), got ~s" image)
  (check-that (every (lambda (n) (>= n 16)) (tensor-shape image)) 'simulated-scan
              "image: expected at least 16 x 16 pixels, got shape ~a" (tensor-shape image))
  (check-that (tensor-finite? image) 'simulated-scan
              "image: it has NaN or infinite values; where NaN is background, #:nan-is-zero? #t \
of load-image (--nan-is-zero) makes it 0")
  (check-that (memq dtype '(c64 f32)) 'simulated-scan "dtype: expected c64 or f32, got ~s" dtype)
  (check-that (or (eq? dtype 'c64) (eq? (tensor-dtype image) 'f32)) 'simulated-scan
              "image: expected real numbers for #:dtype f32, got ~a" (tensor-dtype image))
  (let ((image (intensity-scale image white)))
    (if (eq? (tensor-dtype image) dtype) image (smooth-phase image #:seed seed))))

(document
 (top-intensity
  "The intensity that `intensity-scale' gives to the 99.9th percentile.
Example: top-intensity => 150"))
