;;; images.scm -- magnitudes and parts of images, limits to show them with, many images as one.

(define-module (tempera data images)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:export (image-magnitude magnitude-statistics image-part image-window half-size
            small-magnitudes montage))

(define (image-magnitude image)
  "The magnitude of IMAGE: |IMAGE| when it is c64, IMAGE itself when it is f32.
Example: (tensor-dtype (image-magnitude image)) => f32"
  (if (eq? (tensor-dtype image) 'c64) (tensor-abs image) image))

(define (magnitude-statistics samples)
  "The mean and the standard deviation over SAMPLES, (C ...), of their magnitudes (of f32 ones as
they are): two values, f32 (...).
Example: (call-with-values (lambda () (magnitude-statistics (chain-samples chain))) list)"
  (let* ((magnitudes (image-magnitude samples))
         (count (first (tensor-shape samples)))
         (mean (tensor-mean magnitudes 0))
         (squares (tensor-sum-squares (tensor- magnitudes mean) 0)))
    (values mean (tensor-sqrt (tensor/ squares (max 1 (1- count)))))))

;; From name to what makes f32 of c64; reals have no other part than themselves.
(define parts
  `((magnitude . ,tensor-abs) (phase . ,tensor-angle) (real . ,tensor-real)
    (imaginary . ,tensor-imag)))

(define (image-part image part)
  "The PART of IMAGE, c64, as f32: magnitude, phase (radians, from -pi to pi), real or
imaginary.  An f32 image is its own magnitude and real part.
Example: (image-part image 'phase)"
  (check-that (tensor? image) 'image-part "image: expected a tensor, got ~s" image)
  (check-that (assq part parts) 'image-part "part: expected one of ~a, got ~s" (map car parts) part)
  (cond ((eq? (tensor-dtype image) 'c64) ((assq-ref parts part) image))
        ((memq part '(magnitude real)) image)
        (else (complain 'image-part "part: an f32 image has no ~a; it is real" part))))

(define (image-window image)
  "Limits to show IMAGE, f32, with, (low high): all but the thousandth that is brightest, from 0,
or, when there is less than 0, from the thousandth that is darkest.
Example: (image-window (tensor-abs (chain-mean chain)))"
  (check-that (and (tensor? image) (eq? (tensor-dtype image) 'f32)) 'image-window
              "image: expected an f32 tensor, got ~s" image)
  (check-that (every positive? (tensor-shape image)) 'image-window
              "image: expected one with pixels, got ~s" image)
  (let* ((flat (tensor-reshape image '(-1)))
         (quantile (lambda (q)
                     (let ((x (tensor->number (tensor-quantile flat q 0))))
                       (if (finite? x) x 0))))
         (low (if (< (tensor->number (tensor-min flat)) 0) (quantile 0.001) 0))
         (high (quantile 0.999)))
    (list low (if (> high low) high (1+ low)))))

(define (half-size image)
  "IMAGE, f32 (rows columns), both even, with half as many of each: squares of four pixels by
their mean.
Example: (tensor-shape (half-size (load-image \"brain.png\"))) => (128 128)"
  (check-that (and (tensor? image) (eq? (tensor-dtype image) 'f32)
                   (= 2 (length (tensor-shape image))) (every even? (tensor-shape image)))
              'half-size "image: expected f32 (rows columns), both even, got ~s" image)
  (let ((shape (tensor-shape image)))
    (tensor-reshape (average-pool (tensor-reshape image `(1 ,@shape 1)) 2)
                    (map (lambda (n) (quotient n 2)) shape))))

(define (small-magnitudes who name images size)
  "The magnitudes of IMAGES, (N H W) or (N H W 2), averaged to SIZE x SIZE: f32 (N SIZE^2).  What is not such images,
with rows and columns that are multiples of SIZE, is complained of from WHO as NAME.
Example: (tensor-shape (small-magnitudes 'me \"images\" (random-normal '(3 8 8) 1) 4)) => (3 16)"
  (check-that (and (tensor? images)
                   (match (tensor-shape images)
                     (((? positive?) rows columns . (or () (2)))
                      (and (>= rows size) (>= columns size)
                           (zero? (modulo rows size)) (zero? (modulo columns size))))
                     (_ #f)))
              who "~a: expected images (N H W), rows and columns multiples of ~a, got ~s"
              name size images)
  (let* ((images (if (= 4 (length (tensor-shape images))) (complex-view images) images))
         (shape (tensor-shape images)) (n (first shape))
         (blocks (tensor-reshape (tensor-abs images)
                                 (list n size (quotient (second shape) size)
                                       size (quotient (third shape) size)))))
    (tensor-reshape (tensor-mean blocks '(2 4)) (list n (* size size)))))

(define* (montage images #:key (columns (inexact->exact
                                         (ceiling (sqrt (first (tensor-shape images)))))))
  "The batch IMAGES, (n rows columns), side by side as one image of COLUMNS across, row
by row; places left over are 0.
Example: (save-png \"samples.png\" (montage (tensor-abs (chain-samples chain))))"
  (let ((shape (tensor-shape images)))
    (check-that (= 3 (length shape)) 'montage
                "images: expected a batch (n rows columns), got shape ~a" shape)
    (check-that (and (exact-integer? columns) (> columns 0)) 'montage
                "columns: expected a positive integer, got ~s" columns)
    (let* ((n (first shape)) (height (second shape)) (width (third shape))
           (rows (quotient (+ n columns -1) columns))
           (sheet (tensor-zeros (list (* rows columns) height width) (tensor-dtype images))))
      (tensor-assign! (tensor-slice sheet 0 0 n) images)
      (tensor-reshape (tensor-copy
                       (tensor-transpose (tensor-reshape sheet (list rows columns height width))
                                         '(0 2 1 3)))
                      (list (* rows height) (* columns width))))))
