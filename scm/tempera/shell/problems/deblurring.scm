;;; deblurring.scm -- the problem deblurring: an image behind a blur, of which the kernel is known.

(define-module (tempera shell problems deblurring)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera problem blurs)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera shell problems)
  #:use-module (tempera shell reconstruction-runs)
  #:use-module (tempera tensor primitives)
  #:export (deblurring))

(define (kernel-of-file file)
  ;; Such that it sums to 1, as pictures of a kernel do not.
  (let* ((image (load-image file)) (image (tensor-reshape image (plain-shape image))))
    (check-that (and (eq? 'f32 (tensor-dtype image)) (= 2 (length (tensor-shape image))) (tensor-finite? image)) 'deblurring
                "file: ~a: expected a kernel of real numbers (rows columns), got ~s" file image)
    (let ((sum (tensor->number (tensor-sum image))))
      (check-that (> sum 0) 'deblurring "file: ~a: expected a kernel with a positive sum, got ~a" file sum)
      (tensor/ image sum))))

(define-problem deblurring
  ((kernel 'gaussian (lambda (k) (memq k '(gaussian motion file))) "of the blur: gaussian, motion, or that of a file")
   (deviation 2. positive? "of the Gaussian kernel, in pixels")
   (length 9. positive? "of the motion, in pixels")
   (angle 30. "of the motion, in degrees from the rows, anticlockwise")
   (file (optional file) (const #t) "the kernel, (rows columns), with its middle in the middle")
   (border 'circular (lambda (b) (memq b '(circular valid)))
           "circular: the image goes on periodically; valid: data are only where all of the kernel is inside of the image, \
which is larger by that"))
  "An image behind a blur whose kernel is known: out of focus, moved, or seen through an instrument."
  (check-that (eq? (eq? kernel 'file) (and file #t)) 'deblurring "expected kernel=file and file=FILE, both or neither")
  (let ((k (case kernel
             ((gaussian) (gaussian-kernel deviation))
             ((motion) (motion-kernel length angle))
             ((file) (kernel-of-file file)))))
    (make-problem #:operator (lambda (shape seed) (blur-operator k shape #:border border))
                  #:image-shape (lambda (shape)
                                  (if (eq? border 'valid) (map (lambda (n k) (+ n k -1)) shape (tensor-shape k)) shape))
                  #:likelihoods '(gaussian student-t poisson))))
