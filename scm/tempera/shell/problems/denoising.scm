;;; denoising.scm -- the problem denoising: an image as it is, under noise.

(define-module (tempera shell problems denoising)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera problem pixels)
  #:use-module (tempera shell problems)
  #:export (denoising))

(define-problem denoising ()
  "An image under noise: Gaussian, with outliers, of counts, or of complex images whose magnitude alone is known."
  (make-problem #:operator (lambda (shape seed) (denoising-operator shape))
                #:noise 0.1
                #:likelihoods '(gaussian student-t poisson magnitude)))
