;;; sky.scm -- fields on a flat patch of the sky: angular power spectra, and log-normal fields.
;;;
;;; A theory gives the power C_l of a field on the sky, in steradians, at multipoles l.  In an image whose pixels are
;;; of a side p, in radians, the coefficient at k cycles per image of n pixels belongs to l = 2 pi k / (n p), and its
;;; variance is C_l / p^2, with the unitary transform of `fft2'.

(define-module (tempera problem sky)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (angular-power-spectrum angular-power-of convergence-theory log-normal-fields))

(define pi (* 4 (atan 1)))

(define (radians arcminutes)
  (* arcminutes (/ pi 180 60)))

(define (check-pixel who pixel)
  (check-that (positive-number? pixel) who "pixel: expected a positive number of arcminutes, got ~s" pixel))

(define (multipole shape pixel)
  ;; The procedure of a row and a column of centred k-space, of images of SHAPE, that gives l.
  (let ((frequency (lambda (i n) (/ (- i (quotient n 2)) (exact->inexact n)))))
    (lambda (i j)
      (let ((k1 (frequency i (first shape))) (k2 (frequency j (second shape))))
        (/ (* 2 pi (sqrt (+ (* k1 k1) (* k2 k2)))) (radians pixel))))))

;;; --- Spectra --------------------------------------------------------------------

(define (check-table who table)
  (check-that (and (tensor? table) (eq? 'f32 (tensor-dtype table)) (= 2 (length (tensor-shape table)))
                   (= 2 (tensor-size table 0)) (>= (tensor-size table 1) 2)
                   (tensor-finite? table) (> (tensor->number (tensor-min table)) 0))
              who "table: expected f32 (2 n), multipoles and the power at each, all positive, got ~s" table)
  (let ((multipoles (map (lambda (k) (tensor-ref table 0 k)) (iota (tensor-size table 1)))))
    (check-that (apply < multipoles) who "table: expected multipoles that rise, got ~s" multipoles)))

(define (interpolated table)
  ;; The procedure of l that gives C_l, its logarithm linear in that of l; before the first multipole as there, after the
  ;; last as between the last two.
  (let* ((count (tensor-size table 1))
         (logs (lambda (row) (list->vector (map (lambda (k) (log (tensor-ref table row k))) (iota count)))))
         (x (logs 0)) (y (logs 1)))
    (lambda (l)
      (if (<= l (tensor-ref table 0 0))
          (tensor-ref table 1 0)
          (let* ((at (log l))
                 (k (let search ((low 0) (high (- count 1))) ; x[low] <= at, and below x[high] if that is there
                      (if (= (1+ low) high)
                          low
                          (let ((middle (quotient (+ low high) 2)))
                            (if (<= (vector-ref x middle) at) (search middle high) (search low middle))))))
                 (x0 (vector-ref x k)) (y0 (vector-ref y k)))
            (exp (+ y0 (* (/ (- at x0) (- (vector-ref x (1+ k)) x0)) (- (vector-ref y (1+ k)) y0)))))))))

(define (angular-power-spectrum table shape pixel)
  "The power over centred k-space, f32 of SHAPE, (H W), of a field whose C_l, in steradians, TABLE says, f32 (2 n):
multipoles l that rise, and the power at each.  PIXEL is the side of a pixel in arcminutes.  Between multipoles log C_l
is linear in log l; below the first it is as there, beyond the last it goes on as between the last two.
Example: (gaussian-prior (angular-power-spectrum (list->tensor '(100 1000 1e-8 1e-9) '(2 2)) '(16 16) 0.3) #:dtype 'f32)"
  (check-table 'angular-power-spectrum table)
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) 'angular-power-spectrum
              "shape: expected (rows columns), got ~s" shape)
  (check-pixel 'angular-power-spectrum pixel)
  (let ((power (interpolated table)) (l (multipole shape pixel)) (area (expt (radians pixel) 2)))
    (tensor-tabulate shape (lambda (i j) (/ (power (l i j)) area)))))

(define* (angular-power-of image pixel #:key (bins 16))
  "The power C_l of IMAGE, f32 (H W), with pixels of PIXEL arcminutes, as it is measured in BINS rings of k-space, equally
wide in log l from the lowest multipole of its shorter side to the highest: f32 (2 n), as `angular-power-spectrum' takes
it, of the rings in which there is anything; l is the mean in each.
Example: (angular-power-of (tensor-abs scan) 0.3 #:bins 3)"
  (check-that (and (tensor? image) (eq? 'f32 (tensor-dtype image)) (= 2 (length (tensor-shape image)))
                   (tensor-finite? image))
              'angular-power-of "image: expected finite f32 (rows columns), got ~s" image)
  (check-pixel 'angular-power-of pixel)
  (check-that (positive-integer? bins) 'angular-power-of "bins: expected a positive integer, got ~s" bins)
  (let* ((shape (tensor-shape image))
         (l (multipole shape pixel))
         (power (tensor-square (tensor-abs (fft2 (tensor+ image (tensor-zeros shape 'c64))))))
         (lowest (/ (* 2 pi) (* (apply min shape) (radians pixel))))
         (highest (/ pi (radians pixel)))
         (width (/ (log (/ highest lowest)) bins))
         (counts (make-vector bins 0)) (ls (make-vector bins 0)) (powers (make-vector bins 0))
         (add! (lambda (v k x) (vector-set! v k (+ x (vector-ref v k))))))
    (for-each
     (lambda (i)
       (for-each
        (lambda (j)
          (let ((here (l i j)))
            (when (and (>= here (* 0.999 lowest)) (< here highest))
              (let ((k (min (1- bins) (max 0 (inexact->exact (floor (/ (log (/ here lowest)) width)))))))
                (add! counts k 1) (add! ls k here) (add! powers k (tensor-ref power i j))))))
        (iota (second shape))))
     (iota (first shape)))
    (let* ((full (filter (lambda (k) (> (vector-ref counts k) 0)) (iota bins)))
           (means (lambda (v) (map (lambda (k) (/ (vector-ref v k) (vector-ref counts k))) full))))
      (list->tensor (append (means ls) (map (lambda (p) (* p (expt (radians pixel) 2))) (means powers)))
                    (list 2 (length full))))))

(define convergence-theory
  (keep-always!
   (list->tensor '(100   300     1000    3000    10000   30000   100000
                   8e-9  2.45e-9 5.2e-10 1.06e-10 1.12e-11 8.2e-13 3.4e-14)
                 '(2 7))))

(document
 (convergence-theory
  "A broken power law near to the power of the convergence of galaxies at redshift 1 in the standard model of cosmology: f32 (2 7),
l and C_l, in steradians, as `angular-power-spectrum' takes them.
Example: (angular-power-spectrum convergence-theory '(64 64) 0.3)"))

;;; --- Log-normal fields ------------------------------------------------------------

(define* (log-normal-fields spectrum count #:key (shift 0.03) (seed 0))
  "COUNT fields x = SHIFT (exp (g - v/2) - 1), f32 (COUNT H W), with g a Gaussian field of variance v such that the power
of x over centred k-space is SPECTRUM, f32 (H W): its correlation function is log (1 + xi / SHIFT^2), with xi that of x.
Their mean is 0, none is below -SHIFT, and the smaller that is the more they are skewed.  For the convergence of sources
at the redshift z, SHIFT is about 0.008 z + 0.029 z^2 - 0.0079 z^3 + 0.00065 z^4.  Where no Gaussian field has such a
correlation, the power that would be negative is 0.
Source: Coles, Jones 1991; Hilbert, Hartlap, Schneider 2011.
Example: (tensor-shape (log-normal-fields (power-spectrum '(16 16) #:amplitude 1e-3) 3)) => (3 16 16)"
  (check-that (positive-number? shift) 'log-normal-fields "shift: expected a positive number, got ~s" shift)
  (check-that (positive-integer? count) 'log-normal-fields "count: expected a positive integer, got ~s" count)
  (gaussian-prior spectrum #:dtype 'f32) ; which checks it
  (let* ((shape (tensor-shape spectrum))
         (root (sqrt (apply * shape)))
         (complex (lambda (t) (tensor+ t (tensor-zeros shape 'c64))))
         (correlation (tensor/ (tensor-real (ifft2 (complex spectrum))) root))
         (least (tensor->number (tensor-min correlation))))
    (check-that (> (+ 1 (/ least (* shift shift))) 0) 'log-normal-fields
                "shift: expected one whose square is above ~a, as far as the field's correlation falls below 0; got ~s"
                (- least) shift)
    (let* ((gaussian (tensor-log (tensor+ 1 (tensor/ correlation (* shift shift)))))
           (power (tensor* root (tensor-real (fft2 (complex gaussian)))))
           (greatest (tensor->number (tensor-max power)))
           ;; `gaussian-prior' wants a positive power everywhere.
           (g (prior-draw (gaussian-prior (tensor-maximum power (* 1e-9 greatest)) #:dtype 'f32) count #:seed seed))
           (v (tensor-ref gaussian (quotient (first shape) 2) (quotient (second shape) 2))))
      (tensor* shift (tensor- (tensor-exp (tensor- g (/ v 2))) 1)))))
