;;; radon.scm -- tomography: parallel-beam projections of an image, by the projection-slice theorem.
;;;
;;; The Fourier transform of a projection is the image's along a line through the middle of k-space (Bracewell
;;; 1956).  So a projection is a non-uniform transform to that line and a transform back along it: exact for
;;; images that are band-limited, as samples of such images are, and with an exact adjoint.

(define-module (tempera problem radon)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (radon-operator projection-angles enough-detectors))

(define pi (acos -1))

(define* (projection-angles count #:optional (arc 180))
  "COUNT angles evenly over ARC degrees, from 0 on, a list.
Example: (projection-angles 4) => (0.0 45.0 90.0 135.0)"
  (check-that (positive-integer? count) 'projection-angles "count: expected a positive integer, got ~s" count)
  (check-that (positive-number? arc) 'projection-angles "arc: expected a positive number of degrees, got ~s" arc)
  (map (lambda (k) (/ (* k arc) (exact->inexact count))) (iota count)))

(define (enough-detectors shape)
  "How many detectors, a pixel apart, see all of images of SHAPE, (H W), from every side: an odd number.
Example: (enough-detectors '(64 64)) => 93"
  (let ((diagonal (inexact->exact (ceiling (+ 1 (sqrt (apply + (map * shape shape))))))))
    (if (odd? diagonal) diagonal (1+ diagonal))))

(define (spacing angles)
  ;; Of neighbouring ANGLES, radians, the median, the last having the first for neighbour, half a turn on.
  (let* ((sorted (sort (map (lambda (a) (- a (* pi (floor (/ a pi))))) angles) <))
         (gaps (sort (map - (append (cdr sorted) (list (+ pi (car sorted)))) sorted) <)))
    (list-ref gaps (quotient (length gaps) 2))))

(define* (radon-operator shape #:key (angles (projection-angles 180)) (detectors #f))
  "Parallel-beam projections of images of SHAPE, (H W): y, (angles detectors), has the line integrals of x over
DETECTORS lines a pixel apart, `enough-detectors' unless given, for each of ANGLES, a list of degrees.  The lines at angle t are those where
(column - W/2) cos t + (row - H/2) sin t is detector - DETECTORS/2, halves rounded down, so that projection 0 has the
sums of columns.  In Fourier space, with F_1 the unitary transform along detectors,
  F_1 y (t, nu) = (H W / DETECTORS)^(1/2) F x (nu sin t, nu cos t),  nu = j / DETECTORS cycles a pixel, |j| < DETECTORS / 2.
The approximate inverse is filtered back projection: y filtered by |nu|, as Kak and Slaney have it, then A^H, times
the distance of angles, which are taken to be evenly apart.
Sources: Bracewell, Strip integration in radio astronomy, Aust. J. Phys. 9 (1956); Kak and Slaney, Principles of
computerized tomographic imaging (1988), section 3.3.
Example: (radon-operator '(64 64) #:angles (projection-angles 30)) => #<operator tomography, 30 angles: (64 64) -> (30 93)>"
  (define who 'radon-operator)
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) who
              "shape: expected that of images, (rows columns), got ~s" shape)
  (check-that (and (pair? angles) (list? angles) (every finite-number? angles)) who
              "angles: expected a list of degrees, got ~s" angles)
  (check-that (or (not detectors) (and (positive-integer? detectors) (> detectors 2))) who
              "detectors: expected an integer of 3 or more, got ~s" detectors)
  (let* ((rows (first shape)) (columns (second shape))
         (detectors (or detectors (enough-detectors shape)))
         (radians (map (lambda (a) (* a (/ pi 180))) angles))
         (directions (list->vector radians))
         (frequency (lambda (i) (/ (- i (quotient detectors 2)) (exact->inexact detectors))))
         (count (length angles))
         (scale (sqrt (/ (* rows columns 1.) detectors)))
         (trajectory (keep-always!
                      (tensor-tabulate (list count detectors 2)
                                       (lambda (a i axis)
                                         (* (frequency i) (if (zero? axis)
                                                              (* rows (sin (vector-ref directions a)))
                                                              (* columns (cos (vector-ref directions a)))))))))
         ;; Of an even number the lowest frequency has no other of its size, and of real images y would not be real.
         (paired (lambda (i) (if (and (zero? i) (even? detectors)) 0 1)))
         (weights (keep-always! (tensor-tabulate (list detectors) (lambda (i) (* (paired i) scale)))))
         (ramp (keep-always! (tensor* (spacing radians) (ramp-filter detectors))))
         (squares (keep-always! (tensor-copy (tensor-broadcast (tensor-square weights) (list count detectors)))))
         (table (keep-always! (toeplitz-table trajectory squares rows columns)))
         (along-detectors (lambda (transform)
                            ;; TRANSFORM, of images, of each projection as an image one pixel wide.
                            (lambda (y)
                              (let ((shape (tensor-shape y)))
                                (tensor-reshape (transform (tensor-reshape y (append shape '(1)))) shape)))))
         (to-frequencies (along-detectors fft2))
         (from-frequencies (along-detectors ifft2))
         (projected (lambda (x) (from-frequencies (tensor* weights (nufft-forward x trajectory)))))
         (back (lambda (y) (nufft-adjoint (tensor* weights (to-frequencies y)) trajectory rows columns)))
         (filtered (lambda (y)
                     (let ((shape (tensor-shape y)))
                       (tensor-reshape (matrix-product (tensor-reshape y (list -1 detectors)) ramp) shape)))))
    (make-operator (format #f "tomography, ~a angles" count)
                   #:forward (of-either projected)
                   #:adjoint (of-either back)
                   #:normal (of-either (lambda (x) (toeplitz-multiply x table)))
                   #:approximate-inverse (of-either (lambda (y) (back (filtered y)))) #:inverse-name "filtered back projection"
                   #:domain shape #:range (list count detectors))))

(define (ramp-filter n)
  ;; Convolution with the samples of the ramp |nu| that ends at nu = 1/2, of N numbers with zeros around: c64 (N N).
  (tensor-tabulate (list n n) (lambda (i j)
                                (let ((d (- i j)))
                                  (make-rectangular (cond ((zero? d) 0.25)
                                                          ((even? d) 0)
                                                          (else (/ -1 (expt (* pi d) 2))))
                                                    0.)))))

(define (of-either transform)
  ;; TRANSFORM, which takes c64, of real images too: what it gives of them is real.
  (lambda (x)
    (if (eq? 'c64 (tensor-dtype x))
        (transform x)
        (tensor-real (transform (tensor+ x (tensor-zeros (tensor-shape x) 'c64)))))))
