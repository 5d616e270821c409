;;; tomography.scm -- the problem tomography: an image of which projections are known, its line integrals by angle.

(define-module (tempera shell problems tomography)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera problem radon)
  #:use-module (tempera shell problems)
  #:export (tomography))

(define-problem tomography
  ((angles 60 positive? "how many there are; of data, as many as they have rows")
   (arc 180. (lambda (a) (< 0 a 360)) "over which they are spread evenly, in degrees")
   (size (optional integer) positive? "rows and columns of the image that data are of; unless given the largest of which detectors see all"))
  "An image of which parallel projections are known, its line integrals at several angles: (angles detectors), a pixel apart."
  (make-problem
   #:operator (lambda (shape seed) (radon-operator shape #:angles (projection-angles angles arc)))
   #:image-shape (match-lambda
                   ((angles detectors)
                    (let ((n (or size (inexact->exact (floor (/ (1- detectors) (sqrt 2)))))))
                      (values (list n n)
                              (lambda (shape seed)
                                (radon-operator shape #:angles (projection-angles angles arc) #:detectors detectors))))))
   #:likelihoods '(gaussian student-t poisson)))
