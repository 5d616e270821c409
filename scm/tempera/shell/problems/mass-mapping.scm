;;; mass-mapping.scm -- the problem mass-mapping: the convergence, all mass along the line of sight, of which galaxies' shear is known.

(define-module (tempera shell problems mass-mapping)
  #:use-module (tempera base errors)
  #:use-module (tempera file fits)
  #:use-module (tempera file formats)
  #:use-module (tempera net score-networks)
  #:use-module (tempera problem compositions)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera problem pixels)
  #:use-module (tempera problem shear)
  #:use-module (tempera problem sky)
  #:use-module (tempera sample transport)
  #:use-module (tempera shell problems)
  #:use-module (tempera shell reconstruction-runs)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (mass-mapping))

;;; --- Files ------------------------------------------------------------------------------

(define (plane-of argument file)
  "The image of real numbers in FILE, which ARGUMENT names, (rows columns)."
  (let* ((image (load-image file)) (shape (plain-shape image)))
    (check-that (and (eq? 'f32 (tensor-dtype image)) (= 2 (length shape))) 'mass-mapping
                "~a: ~a: expected real numbers (rows columns), got ~s" argument file image)
    (tensor-reshape image shape)))

(define (check-same argument file plane shape)
  (check-that (equal? shape (tensor-shape plane)) 'mass-mapping "~a: ~a: expected ~a, as the shear has it, got ~a"
              argument file shape (tensor-shape plane)))

(define (complex-of real imaginary)
  (tensor+ real (tensor* +i imaginary)))

(define (shear-of file gamma2)
  "gamma_1 + i gamma_2, c64 (rows columns): complex numbers in FILE, or the first there and the second in the file
GAMMA2, or both, (rows columns 2) or (2 rows columns)."
  (let* ((image (load-image file)) (shape (plain-shape image)) (image (tensor-reshape image shape)))
    (define (plane k) (tensor-reshape (tensor-copy (tensor-slice image 0 k (1+ k))) (cdr shape)))
    (cond ((and gamma2 (eq? 'f32 (tensor-dtype image)) (= 2 (length shape)))
           (let ((second (plane-of "gamma2" gamma2)))
             (check-same "gamma2" gamma2 second shape)
             (complex-of image second)))
          (gamma2 (complain 'mass-mapping "gamma2: expected a file with the first component, (rows columns), beside it, got ~s" image))
          ((and (eq? 'c64 (tensor-dtype image)) (= 2 (length shape))) image)
          ((and (eq? 'f32 (tensor-dtype image)) (= 3 (length shape)) (= 2 (list-ref shape 2))) (complex-view image))
          ((and (eq? 'f32 (tensor-dtype image)) (= 3 (length shape)) (= 2 (car shape))) (complex-of (plane 0) (plane 1)))
          (else (complain 'mass-mapping "~a: expected shear, complex (rows columns), or real with two components, or with the \
second in gamma2=FILE, got ~s" file image)))))

(define (check-pixel file pixel)
  "That the header of FILE, if it is FITS and says how large pixels are, does not contradict PIXEL, in arcminutes."
  (when (eq? 'fits (file-format file))
    (call-with-values (lambda () (load-fits file))
      (lambda (image cards)
        (let ((degrees (or (fits-value cards "CDELT2") (fits-value cards "CD2_2"))))
          (check-that (or (not (real? degrees)) (zero? degrees) (< 0.98 (/ (abs (* 60 degrees)) pixel) 1.02)) 'mass-mapping
                      "pixel: the header of ~a has ~a arcminutes, got ~a" file (and (real? degrees) (abs (* 60 degrees))) pixel))))))

;;; --- The problem ------------------------------------------------------------------------

(define (row-of file k)
  "Multipoles and row K of the table in FILE, (2 n)."
  (let ((table (plane-of "spectrum" file)))
    (check-that (< k (tensor-size table 0)) 'mass-mapping "row: expected one of 1 to ~a, as ~a has, got ~a"
                (1- (tensor-size table 0)) file k)
    (tensor-concatenate (list (tensor-slice table 0 0 1) (tensor-slice table 0 k (1+ k))) 0)))

(define (positive-map deviation mask)
  ;; DEVIATION, and where nothing was measured any positive number.
  (let ((seen (tensor* mask deviation)))
    (tensor+ seen (tensor* (tensor- 1 mask) (tensor->number (tensor-max seen))))))

(define-problem mass-mapping
  ((gamma2 (optional file) (const #t) "the shear's second component, where the input has the first alone")
   (mask (optional file) (const #t) "0 where no galaxies were measured; unless given nowhere")
   (deviation (optional file) (const #t) "the standard deviation of the noise in each component, a map; where it is 0 nothing \
was measured; in its place noise=NUMBER")
   (pixel 0.29 positive? "the side of a pixel in arcminutes")
   (spectrum (optional file) (const #t) "the power of the convergence: a table of multipoles and, in another row, C_l in steradians; \
unless given that of sources at redshift 1")
   (row 1 (lambda (k) (and (integer? k) (> k 0))) "which row of it is C_l, from 1")
   (sampler 'reverse-diffusion (lambda (s) (memq s '(reverse-diffusion hmc))) "reverse-diffusion or hmc"))
  "Mass mapping: the convergence of a field on the sky, whose galaxies it shears; prior=mass-mapping, or gaussian."
  (let* ((deviation-map (and deviation (plane-of "deviation" deviation)))
         (mask-map (and mask (tensor< 0 (plane-of "mask" mask))))
         (measured (and deviation (tensor< 0 deviation-map)))
         (seen (cond ((and measured mask-map)
                      (check-same "mask" mask mask-map (tensor-shape measured))
                      (tensor* measured mask-map))
                     (else (or mask-map measured))))
         (table (if spectrum (row-of spectrum row) convergence-theory)))
    (make-problem
     #:operator (lambda (shape seed)
                  (let ((shear (shear-operator shape #:dtype 'f32)))
                    (when seen (check-same (if mask "mask" "deviation") (or mask deviation) seen shape))
                    (if seen (composed-operator (inpainting-operator seen) shear) shear)))
     #:load (lambda (file)
              (check-pixel file pixel)
              (let ((shear (shear-of file gamma2)))
                (when seen (check-same (if mask "mask" "deviation") (or mask deviation) seen (tensor-shape shear)))
                (values (if seen (tensor* seen shear) shear) #f)))
     ;; Shear is nearly all noise, of whose magnitude 3.7 deviations are the 99.9th percentile.
     #:noise (if deviation (positive-map deviation-map (or seen measured)) 0.27)
     #:truth (lambda (image white dtype seed)
               (check-that (and (eq? 'f32 (tensor-dtype image)) (tensor-finite? image)) 'mass-mapping
                           "with simulate=yes: expected a convergence, finite real numbers, got ~s" image)
               image)
     ;; The mean of a field, which shear does not measure, has the power of the largest scales.
     #:scale 1 #:dtype 'f32 #:white 0.3 #:hottest 1
     #:prior (lambda (network shape dtype)
               (let ((power (angular-power-spectrum table shape pixel)))
                 (cond ((not network) (gaussian-prior power #:dtype dtype))
                       ((eq? 'residual (network-parametrisation network)) (hybrid-prior power network #:dtype dtype))
                       (else network))))
     #:settings (if (eq? sampler 'hmc)
                    '()
                    (list #:sampler (reverse-diffusion) #:transitions-per-temperature 1)))))
