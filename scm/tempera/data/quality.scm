;;; quality.scm -- how near an image is to the truth: PSNR, SSIM, those of fastMRI, and multi-scale SSIM to learn by.
;;;
;;; PSNR and SSIM are of magnitudes and computed in C.  fastMRI's are of volumes: what they compare with is the
;;; greatest value of the whole volume, so that numbers of papers on its data can be compared.  The last is made of
;;; operations that the tape knows: blurs are convolutions, scales are halved by average pooling.

(define-module (tempera data quality)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera data images)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (psnr ssim nmse fastmri-psnr fastmri-ssim ms-ssim))

(define (compare who measure image truth)
  ;; MEASURE of the magnitudes of IMAGE and TRUTH; a list of it for a batch of images.
  (check-that (tensor? truth) who "truth: expected a tensor, got ~s" truth)
  (check-that (tensor? image) who "image: expected a tensor, got ~s" image)
  (let ((shape (tensor-shape image)) (truth-shape (tensor-shape truth)))
    (check-that (= 2 (length truth-shape)) who
                "truth: expected an image (rows columns), got shape ~a" truth-shape)
    (cond ((equal? shape truth-shape)
           (measure (image-magnitude image) (image-magnitude truth)))
          ((and (pair? shape) (equal? (cdr shape) truth-shape))
           (map-in-order (lambda (k)
                           (measure (image-magnitude
                                     (tensor-reshape (tensor-slice image 0 k (1+ k)) truth-shape))
                                    (image-magnitude truth)))
                         (iota (car shape))))
          (else
           (complain who "image: expected shape ~a or a batch of it, got ~a" truth-shape shape)))))

(define (psnr image truth)
  "The peak signal-to-noise ratio of IMAGE in dB, 10 log10 (L^2 / mean square error),
on magnitudes; L is the greatest less the least value of TRUTH.  For a batch of
images, a list of theirs.  Infinite when they are equal.
Example: (psnr (chain-mean chain) scan)"
  (compare 'psnr image-psnr image truth))

(define (ssim image truth)
  "The structural similarity of IMAGE and TRUTH on magnitudes: Gaussian window of
11 x 11 pixels with standard deviation 1.5, K1 = 0.01, K2 = 0.03, data range as for
`psnr'.  For a batch of images, a list of theirs.
Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13 (2004).
Example: (ssim (chain-mean chain) scan)"
  (compare 'ssim image-ssim image truth))

;;; --- fastMRI's ------------------------------------------------------------------------

(define (call-with-volumes who image truth receive)
  ;; RECEIVE gets magnitudes, f32 (slices rows columns).
  (for-each (lambda (name t)
              (check-that (and (tensor? t) (memv (length (tensor-shape t)) '(2 3))) who
                          "~a: expected an image (rows columns) or a volume (slices rows columns), got ~s" name t)
              (check-that (tensor-finite? t) who "~a: expected finite numbers, got NaN or infinite ones" name))
            '("image" "truth") (list image truth))
  (check-that (equal? (tensor-shape image) (tensor-shape truth)) who
              "image: expected the shape ~a of the truth, got ~a" (tensor-shape truth) (tensor-shape image))
  (let ((volume (lambda (t) (tensor-reshape (image-magnitude t) (cons -1 (take-right (tensor-shape t) 2))))))
    (check-that (> (tensor->number (tensor-max (image-magnitude truth))) 0) who
                "truth: expected one that has values above 0")
    (with-scope (lambda () (receive (volume image) (volume truth))))))

(define (nmse image truth)
  "The normalised mean square error of IMAGE, |IMAGE - TRUTH|^2 / |TRUTH|^2, of magnitudes; of volumes (slices rows
columns) by the sums over all.
Example: (nmse (tensor* 0.9 scan) scan) => 0.01"
  (call-with-volumes 'nmse image truth
    (lambda (image truth)
      (/ (tensor->number (tensor-sum-squares (tensor- image truth)))
         (tensor->number (tensor-sum-squares truth))))))

(define (fastmri-psnr image truth)
  "fastMRI's peak signal-to-noise ratio of IMAGE in dB, of magnitudes: as `psnr', of an image or a whole volume (slices rows
columns), but with the greatest value of TRUTH for L.  Source: Zbontar et al., arXiv:1811.08839.
Example: (fastmri-psnr (tensor* 0.9 scan) scan)"
  (call-with-volumes 'fastmri-psnr image truth
    (lambda (image truth)
      (let ((error (tensor->number (tensor-mean (tensor-square (tensor- image truth)))))
            (greatest (tensor->number (tensor-max truth))))
        (if (> error 0) (* 10 (log10 (/ (* greatest greatest) error))) +inf.0)))))

(define fastmri-window 7)

(define (fastmri-ssim image truth)
  "fastMRI's structural similarity of IMAGE, of magnitudes: the mean over places and slices, of an image or a volume (slices rows
columns); uniform window of 7 x 7, variances over 48, K1 = 0.01, K2 = 0.03, and the greatest value of the whole TRUTH as
data range.  Source: Zbontar et al., arXiv:1811.08839.
Example: (fastmri-ssim scan scan) => 1.0"
  (call-with-volumes 'fastmri-ssim image truth
    (lambda (image truth)
      (let* ((shape (tensor-shape truth)) (greatest (tensor->number (tensor-max truth)))
             (window (* fastmri-window fastmri-window))
             (ones (tensor+ 1 (tensor-zeros (list fastmri-window fastmri-window 1 1))))
             (means (lambda (t) (tensor/ (convolution t ones #f #f 1 0) window))))
        (check-that (>= (min (second shape) (third shape)) fastmri-window) 'fastmri-ssim
                    "image: expected 7 x 7 pixels or more, got ~a x ~a" (second shape) (third shape))
        ;; Over the range, so that squares stay small.
        (let* ((x (tensor-reshape (tensor/ image greatest) (append shape '(1))))
               (y (tensor-reshape (tensor/ truth greatest) (append shape '(1))))
               (mx (means x)) (my (means y))
               (covariance (lambda (a b ma mb)
                             (tensor* (/ window (1- window)) (tensor- (means (tensor* a b)) (tensor* ma mb)))))
               (c1 1e-4) (c2 9e-4))
          (tensor->number
           (tensor-mean
            (tensor/ (tensor* (tensor+ c1 (tensor* 2 (tensor* mx my)))
                              (tensor+ c2 (tensor* 2 (covariance x y mx my))))
                     (tensor* (tensor+ c1 (tensor+ (tensor-square mx) (tensor-square my)))
                              (tensor+ c2 (tensor+ (covariance x x mx mx) (covariance y y my my))))))))))))

;;; --- Multi-scale SSIM -------------------------------------------------------------

(define window-size 11)

(define exponents
  ;; Of the scales, from fine to coarse: table 1.
  '(0.0448 0.2856 0.3001 0.2363 0.1333))

(define window
  ;; Gaussian weights of standard deviation 1.5, sum 1.
  (let* ((weights (map (lambda (i)
                         (let ((d (- i (quotient window-size 2))))
                           (exp (/ (* d d) (* -2 1.5 1.5)))))
                       (iota window-size)))
         (sum (apply + weights)))
    (map (lambda (w) (/ w sum)) weights)))

(define (blur images)
  (fold (lambda (shape images) (convolution images (list->tensor window shape) #f #f 1 0))
        images
        `((,window-size 1 1 1) (1 ,window-size 1 1))))

(define (image-means x)
  ;; Positive, since a root of it is taken: what is below is as good as nothing.
  (tensor+ 1e-6 (relu (tensor-mean x '(1 2 3)))))

(define (similarity x y c1 c2)
  ;; Two values by image: the mean of contrast times structure, and of that times luminance.
  (let* ((mx (blur x)) (my (blur y))
         (mxx (tensor* mx mx)) (myy (tensor* my my)) (mxy (tensor* mx my))
         (vx (tensor- (blur (tensor* x x)) mxx))
         (vy (tensor- (blur (tensor* y y)) myy))
         (vxy (tensor- (blur (tensor* x y)) mxy))
         (structure (tensor/ (tensor+ (tensor* 2 vxy) c2) (tensor+ (tensor+ vx vy) c2)))
         (luminance (tensor/ (tensor+ (tensor* 2 mxy) c1) (tensor+ (tensor+ mxx myy) c1))))
    (values (image-means structure) (image-means (tensor* luminance structure)))))

(define (scales-that-fit height width)
  (let loop ((scales 0) (height height) (width width))
    (cond ((or (= scales (length exponents)) (< (min height width) window-size)) scales)
          ((or (odd? height) (odd? width)) (1+ scales))
          (else (loop (1+ scales) (/ height 2) (/ width 2))))))

(define (ms-ssim images truths range)
  "The multi-scale structural similarity of IMAGES and TRUTHS, f32 (N H W) of 11 x 11 pixels or
more, a number an image: 1 where they are alike.  RANGE, (N), is that of their values.  As many
of the five scales are taken as fit.  On the tape.  Source: Wang, Simoncelli and Bovik 2003.
Example: (ms-ssim (random-normal '(2 32 32) 1) (random-normal '(2 32 32) 2) (list->tensor '(4 4)))"
  (define (check-shape name object shape)
    (check-that (and (tensor? object) (eq? (tensor-dtype object) 'f32)
                     (if shape
                         (equal? shape (tensor-shape object))
                         (= 3 (length (tensor-shape object)))))
                'ms-ssim "~a: expected f32 ~a, got ~s" name (or shape "(N H W)") object))
  (check-shape "images" images #f)
  (check-shape "truths" truths (tensor-shape images))
  (check-shape "range" range (list (first (tensor-shape images))))
  (let* ((shape (tensor-shape images))
         (scales (apply scales-that-fit (cdr shape)))
         (nhwc (append shape '(1)))
         (total (apply + (list-head exponents scales)))
         (constant (lambda (factor)     ; (N 1 1 1)
                     (tensor-square (tensor* factor (tensor-reshape range (list (first shape) 1 1 1)))))))
    (check-that (> scales 0) 'ms-ssim "images: expected ~a x ~a pixels or more, got ~a x ~a"
                window-size window-size (second shape) (third shape))
    (check-that (every (lambda (r) (and (finite? r) (> r 0))) (tensor->list range)) 'ms-ssim
                "range: expected positive numbers, got ~s" (tensor->list range))
    ;; The product of powers, by its logarithm; luminance counts at the coarsest scale alone.
    (let loop ((x (tensor-reshape images nhwc)) (y (tensor-reshape truths nhwc))
               (exponents (list-head exponents scales)) (sum 0))
      (let ((last? (null? (cdr exponents))))
        (call-with-values (lambda () (similarity x y (constant 0.01) (constant 0.03)))
          (lambda (structure full)
            (let ((sum (tensor+ sum (tensor* (/ (first exponents) total)
                                             (tensor-log (if last? full structure))))))
              (if last?
                  (tensor-exp sum)
                  (loop (average-pool x 2) (average-pool y 2) (cdr exponents) sum)))))))))
