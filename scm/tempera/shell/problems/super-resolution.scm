;;; super-resolution.scm -- the problem super-resolution: an image of which larger pixels are known.

(define-module (tempera shell problems super-resolution)
  #:use-module (tempera base errors)
  #:use-module (tempera problem blurs)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera shell problems)
  #:export (super-resolution))

(define-problem super-resolution
  ((factor 4 (lambda (f) (>= f 2)) "by which the image has more rows and columns than the data")
   (kind 'mean (lambda (k) (memq k '(mean bicubic gaussian)))
         "data are the means of squares of pixels, or shrunk by bicubic interpolation, or one of each square after a Gaussian blur")
   (deviation (optional number) positive? "of that blur, in pixels of the image; half the factor unless given"))
  "An image of which only a smaller one is known, each pixel a mean over several."
  (check-that (or (not deviation) (eq? kind 'gaussian)) 'super-resolution "deviation: expected kind=gaussian beside it")
  (let ((kernel (case kind
                  ((mean) (box-kernel factor))
                  ((bicubic) (bicubic-kernel factor))
                  ((gaussian) (gaussian-kernel (or deviation (/ factor 2)))))))
    (make-problem #:operator (lambda (shape seed) (strided-blur-operator factor shape #:kernel kernel))
                  #:image-shape (lambda (shape) (map (lambda (n) (* factor n)) shape)))))
