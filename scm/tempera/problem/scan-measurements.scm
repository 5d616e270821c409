;;; scan-measurements.scm -- from raw data to a measurement: noise, coils, sensitivities and scale.
;;;
;;; Priors know images on one scale, 99.9th percentile of magnitude at white, so k-space is multiplied
;;; until its zero-filled image, combined over coils, is on it.  What was found is said, in the scan's
;;; units and on that scale, before anything is sampled.  K-space lies on a grid with a mask, or along a
;;; trajectory; sensitivities of the latter are found in the k-space of the gridded images of its coils.

(define-module (tempera problem scan-measurements)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera data images)
  #:use-module (tempera data noise)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera data sampling)
  #:use-module (tempera data scans)
  #:use-module (tempera data trajectories)
  #:use-module (tempera problem coils)
  #:use-module (tempera problem kspace)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem nufft)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (scan-measurement))

(define (say-line text)
  (format (current-error-port) "~a~%" text))

(define (kspace-of who what slice)
  ;; Of WHAT, a raw scan or a tensor: c64 (coils rows columns).
  (cond
   ((raw-scan? what)
    (let ((slices (first (raw-scan-shape what))))
      (check-that (or slice (= slices 1)) who "~a has ~a slices: expected slice=N" (raw-scan-path what) slices)
      (check-that (or (not slice) (< -1 slice slices)) who "slice: expected 0 to ~a, got ~a" (1- slices) slice)
      (raw-scan-kspace what (or slice 0))))
   (else
    (check-that (and (tensor? what) (memv (length (tensor-shape what)) '(2 3))) who
                "scan: expected a raw scan, or k-space (rows columns) or (coils rows columns), got ~s" what)
    (check-that (eq? 'c64 (tensor-dtype what)) who "k-space: expected complex numbers, got ~a" (tensor-dtype what))
    (tensor-reshape what (append (if (= 2 (length (tensor-shape what))) '(1) '()) (tensor-shape what))))))

(define (trajectory-of who what slice given)
  ;; GIVEN or that of the raw scan WHAT, f32 (readouts samples 2), or #f.
  (and=> (or given (and (raw-scan? what) (raw-scan-trajectory what (or slice 0))))
         (lambda (trajectory) (plain-trajectory who trajectory))))

(define (image-shape who what trajectory given)
  ;; Rows and columns of the image along TRAJECTORY: GIVEN, or those of the header of WHAT, but at least as many as
  ;; make the trajectory go from one end of k-space to the other.
  (let* ((farthest (tensor->number (tensor-max (tensor-abs trajectory))))
         (least (inexact->exact (* 2 (ceiling (- farthest 1e-3)))))
         (recon (or (and (raw-scan? what) (assq-ref (raw-scan-facts what) 'recon)) '(0 0)))
         (shape (or given (map (lambda (n) (max n least)) (list-head recon 2)))))
    (check-that (and (list? shape) (= 2 (length shape)) (every (lambda (n) (and (exact-integer? n) (> n 0))) shape)) who
                "shape: expected (rows columns), got ~s" shape)
    (check-that (> farthest 2) who "trajectory: its coordinates are ~a at most; expected units of 1 / field of view, in which \
an image of n pixels has them up to n / 2" (significant farthest 3))
    shape))

(define (found-noise what y mask trajectory noise)
  ;; Covariance over coils, c64 (K K), and by what; or #f.
  (cond ((and (tensor? noise) (eq? 'c64 (tensor-dtype noise))) (values noise "as given"))
        ((not (eq? noise 'auto)) (values #f "as given"))
        ((and (raw-scan? what) (raw-scan-noise what)) (values (noise-covariance what) "by the noise scan"))
        (else (values (noise-covariance y #:mask mask #:trajectory trajectory) "by the edges of what was measured"))))

(define (edges-text y mask trajectory scale)
  ;; What the edges have, for a comparison; "" where there are too few.
  (let ((covariance (false-if-error (noise-covariance y #:mask mask #:trajectory trajectory))))
    (if covariance
        (format #f "; the edges have ~a" (significant (* scale (noise-deviation covariance)) 3))
        "")))

(define (coils-operator y op mask maps calibration)
  ;; OP for Y, c64 (K rows columns): with sensitivities where there are several coils.
  (cond ((= 1 (tensor-size y 0)) op)
        (maps (sense-operator maps op))
        (mask (sense-operator (sensitivities y #:mask mask #:calibration calibration) op))
        (else (sense-operator (sensitivities (fft2 (apply-approximate-inverse op y))
                                             #:calibration (or calibration usual-calibration))
                              op))))

(define* (scan-measurement what #:key (slice #f) (mask #f) (trajectory #f) (shape #f) (noise 'auto) (sensitivities #f)
                           (calibration #f) (coils #f) (white top-intensity) (scale #f) (warn warn-of-doubt) (say say-line))
  "The measurement that posteriors take, of one slice of WHAT, a raw scan of `load-scan' or k-space, c64 (rows
columns) or (coils rows columns), and the factor that brings it to the intensity scale: two values.
  SLICE          which of a raw scan, from 0
  MASK           f32 (columns) or (rows columns), where it was measured; unless given, as the scan says, or where
                 k-space is not 0
  TRAJECTORY     f32 (rows columns 2), along which it was measured, if that was no grid and the scan does not say
                 (`load-trajectory'); WHAT is then (readouts samples) or (coils readouts samples)
  SHAPE          of the image along a trajectory, (rows columns); unless given, as the scan's header says, and at least
                 as many pixels as the trajectory goes wide
  NOISE          auto: by the scan's noise scan, else by the edges of k-space (`noise-covariance'), and coils are
                 whitened; or a number, the standard deviation on the intensity scale; or a covariance of
                 coils, c64 (K K), or a map, f32, in the units of k-space
  SENSITIVITIES  of the coils, c64 (K rows columns), as they are in the file; unless given, by `espirit', of the middle
                 that CALIBRATION says
  COILS          compress to so many virtual ones first (`compress-coils')
  WHITE          of the intensity scale, 150 unless given: see `white-level'
  SCALE          the factor itself
SAY is called with a line that has noise and scale, WARN with what is doubtful (`kspace-doubts'); both print to
the error port unless given.
Example: (scan-measurement (measure (mri-operator #:mask (tensor+ 1 (tensor-zeros '(16)))) scan #:noise 1))"
  (define who 'scan-measurement)
  (let* ((y (kspace-of who what slice))
         (trajectory (trajectory-of who what slice trajectory))
         (image (if trajectory (image-shape who what trajectory shape) (cdr (tensor-shape y))))
         (several? (> (first (tensor-shape y)) 1)))
    (check-that (tensor-finite? y) who "k-space: it has NaN or infinite values")
    (check-that (or (eq? noise 'auto) (tensor? noise) (positive-number? noise)) who
                "noise: expected auto, a positive number, a map or a covariance of coils, got ~s" noise)
    (check-that (or (not coils) (and (exact-integer? coils) (<= 1 coils (first (tensor-shape y))))) who
                "coils: expected an integer from 1 to ~a, as many as there are, got ~s" (first (tensor-shape y)) coils)
    (check-that (not (and coils sensitivities)) who "coils: sensitivities are those of all coils, so none are compressed")
    (check-that (not (and trajectory mask)) who "mask: expected none of what was measured along a trajectory, got ~s" mask)
    (check-that (or trajectory (not shape)) who "shape: that of images on a grid is k-space's, expected none, got ~s" shape)
    (check-that (or (not trajectory) (equal? (cdr (tensor-shape y)) (drop-right (tensor-shape trajectory) 1))) who
                "trajectory: expected the points of k-space, ~a, got ~a" (cdr (tensor-shape y)) trajectory)
    (check-that (or (not sensitivities)
                    (and (tensor? sensitivities) (equal? (cons (first (tensor-shape y)) image) (tensor-shape sensitivities))))
                who "sensitivities: expected c64 ~a, as ~a, got ~s" (cons (first (tensor-shape y)) image)
                (if trajectory "coils of the image" "k-space has it") sensitivities)
    (let* ((op (if trajectory
                   (nufft-operator #:trajectory trajectory #:shape image)
                   (mri-operator #:mask (or mask (if (raw-scan? what) (raw-scan-mask what) (measured-mask y)))
                                 #:shape image)))
           (mask (operator-mask op)))
      ;; Before noise and sensitivities are looked for, whose errors would be of what follows from it.
      (when mask (check-sampling who mask y))
      (when (and several? sensitivities mask)
        (for-each warn (sensitivity-doubts sensitivities y mask)))
      (let*-values
          (((covariance source) (found-noise what y mask trajectory noise))
           ((whitening) (and several? covariance (whitening-matrix covariance)))
           ((mix) (lambda (t) (if whitening (mix-coils whitening t) t)))
           ((whitened) (mix y))
           ((y) (if coils (compress-coils whitened coils) whitened))
           ((op) (coils-operator y op mask (and sensitivities (mix sensitivities)) calibration))
           ((y) (if (= 1 (tensor-size y 0)) (tensor-reshape y (cdr (tensor-shape y))) y))
           ((peak) (tensor->number (tensor-quantile (tensor-reshape (image-magnitude (apply-approximate-inverse op y)) '(-1))
                                                    0.999 0))))
        (check-that (> peak 0) who "k-space: it is 0 wherever it was measured")
        (let* ((scale (or scale (/ white peak)))
               (deviation (cond (covariance (* scale (noise-deviation covariance)))
                                ((tensor? noise) (tensor* scale noise))
                                (else noise)))
               (measurement (measurement op (tensor* y scale) #:noise deviation #:warn warn))
               (deviation (measurement-noise measurement)))
          (say (format #f "noise ~a where white is ~a, ~a in the units of the data; scale ~a; ~a~a"
                       (significant deviation 3) white (significant (/ deviation scale) 3)
                       (significant scale 4) source
                       (if (equal? source "as given")
                           (edges-text (if (= 2 (length (tensor-shape y))) (tensor-reshape y (cons 1 (tensor-shape y))) y)
                                       mask trajectory scale)
                           "")))
          (values measurement scale))))))
