;;; test-plug-and-play.scm -- with a denoiser that is known, fixed points that are known.

(use-modules (harness) (tempera))

(start-tests "plug and play")

;; Where the fixed point is asked for there is no noise to move it.
(define (admm . arguments) (apply pnp-admm (append arguments '(#:fresh-noise 0))))
(define (red-alone . arguments) (apply red (append arguments '(#:fresh-noise 0))))

(define spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
(define prior (gaussian-prior spectrum))
(define op (mri-operator #:mask (random-mask 12 #:acceleration 2 #:seed 1)))
(define y (measure op (tensor-reshape (prior-draw prior 1 #:seed 1) '(16 12)) #:noise 0.5 #:seed 2))
(define plain
  (make-operator "MRI" #:forward (lambda (x) (apply-forward op x))
                 #:adjoint (lambda (y) (apply-adjoint op y))))

(define (far? a b tolerance)
  (> (tensor->number (tensor-max (tensor-abs (tensor- a b)))) tolerance))

;; Wiener's filter is the proximal map of |x|^2 / (2 P): ADMM with weight 1 ends in the mean of
;; the posterior, whatever sigma.
(let ((mean (gaussian-posterior spectrum op y #:noise 0.5)))
  (for-each (lambda (sigma)
              (test-assert (format #f "PnP-ADMM, sigma ~a" sigma)
                (not (far? mean (admm prior op y #:noise 0.5 #:weight 1
                                      #:sigmas (make-list 400 sigma)) 0.02))))
            '(0.5 1 2))
  (test-assert "no diagonal"
    (not (far? mean (admm prior plain y #:noise 0.5 #:weight 1 #:sigmas (make-list 400 1)) 0.02)))
  (test-assert "another weight, another image"
    (far? mean (admm prior op y #:noise 0.5 #:weight 0.1 #:sigmas (make-list 400 1)) 0.1)))

;; RED's: (A^H A / noise^2 + weight / (P + sigma^2)) x = A^H y / noise^2.
(for-each
 (lambda (sigma weight)
   (let* ((precision (tensor/ weight (tensor+ spectrum (* sigma sigma))))
          (exact ((normal-inverse op (tensor* 0.25 precision)) (apply-adjoint op y))))
     (test-assert (format #f "RED, sigma ~a, weight ~a" sigma weight)
       (not (far? exact (red-alone prior op y #:noise 0.5 #:weight weight #:sigmas (make-list 2000 sigma))
                  0.02)))))
 '(1 2) '(1 0.5))

;; The same of real images, whatever was measured of them: the mean is Wiener's filter's.
(let* ((shape '(16 16))
       (spectrum (power-spectrum shape #:amplitude 30 #:exponent 3))
       (prior (gaussian-prior spectrum #:dtype 'f32))
       (truth (tensor-reshape (prior-draw prior 1 #:seed 1) shape)))
  (for-each
   (lambda (name op noise)
     (let* ((m (measurement op (measure op truth #:noise noise #:seed 2) #:noise noise))
            (mean (wiener-filter spectrum m)))
       (test-assert (string-append "PnP-ADMM, " name)
         (not (far? mean (admm prior m #:weight 1 #:sigmas (make-list 300 1)) 0.03)))
       ;; With weight 1 and so small a sigma RED's image is the same.
       (test-assert (string-append "RED, " name)
         (not (far? mean (red-alone prior m #:weight 1 #:sigmas (make-list 4000 0.3)) 0.15)))
       (test-equal (string-append "real images, " name) 'f32
         (tensor-dtype (red prior m #:sigmas '(2 1))))))
   '("denoising" "blur" "inpainting" "super-resolution" "tomography")
   (list (denoising-operator shape) (blur-operator (gaussian-kernel 0.7) shape) (inpainting-operator (random-pixels shape 0.6 #:seed 3))
         (strided-blur-operator 2 shape) (radon-operator shape #:angles (projection-angles 8)))
   '(0.5 0.5 0.5 0.3 2)))

;; Noise so small that the prior's precision is lost beside the data's in float32: what was measured
;; is as measured (by RED, ADMM ends with the denoiser), and the rest what the denoiser makes of it, 0
;; for a field.
(for-each
 (lambda (name reconstruct)
   (for-each
    (lambda (kind own)
      (let* ((x (reconstruct prior own y #:noise 1e-5 #:weight 1 #:sigmas (log-linear 50 #:until 1 #:count 30)))
             (k (fft2 x)) (mask (operator-normal-diagonal op)))
        (test-assert (format #f "~a, ~a, small noise, where measured" name kind)
          (or (eq? reconstruct admm)
              (not (far? (tensor* mask k) (tensor* mask y) 1e-3))))
        (test-assert (format #f "~a, ~a, small noise, elsewhere" name kind)
          (not (far? (tensor* (tensor- 1 mask) k) (tensor* 0 k) 1e-3)))))
    '("diagonal" "not") (list op plain)))
 '("PnP-ADMM" "RED") (list admm red-alone))

;; Wiener's filter is linear: the mean over the noise is the image without any.
(for-each
 (lambda (name reconstruct)
   (let* ((image (lambda (noise seed)
                   (reconstruct prior op y #:noise 0.5 #:weight 1 #:fresh-noise noise #:seed seed
                                #:sigmas (log-linear 5 #:until 1 #:count 10))))
          (count 100)
          (images (tensor-concatenate (map (lambda (seed) (tensor-reshape (image 0.7 seed) '(1 16 12)))
                                           (iota count))
                                      0))
          (mean (tensor-mean images 0))
          (variance (tensor-mean (tensor-square (tensor-abs (tensor- images mean))) 0))
          (off (tensor-abs (tensor- mean (image 0 0))))
          ;; exp(-25) a pixel, complex and 5 standard errors off, and 192 pixels.
          (error (tensor* (/ 5 (sqrt (1- count))) (tensor-sqrt variance))))
     (test-equal (string-append name ", on average") 0.
       (tensor->number (tensor-sum (tensor< error off))))
     (test-assert (string-append name ", noise moves it") (far? (image 0.7 1) (image 0.7 2) 0.05))
     (test-assert (string-append name ", same seed")
       (equal? (tensor->list (image 0.7 1)) (tensor->list (image 0.7 1))))))
 '("PnP-ADMM" "RED") (list pnp-admm red))

;; The inverse is one, of either kind.
(let ((v (random-normal '(16 12) 3 0 'c64)) (table (tensor+ 0.3 (random-uniform '(16 12) 1))))
  (for-each
   (lambda (name op)
     (let ((x ((normal-inverse op table) v)) (x1 ((normal-inverse op 0.4) v)))
       (test-assert (string-append name ", a table")
         (not (far? v (tensor+ (apply-normal op x) (fourier-multiply x table)) 1e-3)))
       (test-assert (string-append name ", a number")
         (not (far? v (tensor+ (apply-normal op x1) (tensor* 0.4 x1)) 1e-3)))))
   '("diagonal" "not") (list op plain)))
(test-error-matching "inverse of" "operator: expected" (normal-inverse 3 1))
(test-error-matching "no table" "table: expected a positive number" (normal-inverse op 0))

(for-each
 (lambda (reconstruct)
   (test-error-matching "operator" "operator: expected one" (reconstruct prior 3 y))
   (test-error-matching "NaN" "numbers are NaN or infinite, the first at (0 0)" (reconstruct prior op (tensor/ y 0)))
   (test-error-matching "noise" "noise: expected" (reconstruct prior op y #:noise 0))
   (test-error-matching "weight" "weight: expected" (reconstruct prior op y #:weight -1))
   (test-error-matching "fresh noise" "fresh-noise: expected" (reconstruct prior op y #:fresh-noise 2))
   (test-error-matching "sigmas" "sigmas: expected" (reconstruct prior op y #:sigmas (constant 1)))
   (test-error-matching "a denoiser that fails" "not finite any more"
     (reconstruct (lambda (x sigma) (tensor/ x 0)) op y)))
 (list pnp-admm red))

(finish-tests)
