;;; inpainting.scm -- the problem inpainting: an image of which some pixels are not seen.

(define-module (tempera shell problems inpainting)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera problem pixels)
  #:use-module (tempera shell problems)
  #:use-module (tempera shell reconstruction-runs)
  #:use-module (tempera tensor primitives)
  #:export (inpainting))

(define-problem inpainting
  ((mask (optional file) (const #t) "0 where pixels are not seen, over (rows columns); else they are drawn at random")
   (share 0.5 (lambda (s) (< 0 s 1)) "of pixels that are seen, without a mask"))
  "An image of which some pixels are not seen: scratched, covered, or dead."
  (let ((given (and mask (let* ((image (load-image mask)) (shape (plain-shape image)))
                           (check-that (and (eq? 'f32 (tensor-dtype image)) (= 2 (length shape))) 'inpainting
                                       "mask: ~a: expected real numbers (rows columns), got ~s" mask image)
                           (tensor< 0 (tensor-abs (tensor-reshape image shape)))))))
    (make-problem #:operator (lambda (shape seed)
                               (check-that (or (not given) (equal? shape (tensor-shape given))) 'inpainting
                                           "mask: ~a: expected ~a, as the image has it, got ~a" mask shape
                                           (and given (tensor-shape given)))
                               (inpainting-operator (or given (random-pixels shape share #:seed seed)))))))
