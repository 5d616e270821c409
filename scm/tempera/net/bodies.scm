;;; bodies.scm -- what the bodies of networks are put together with.
;;;
;;; A body maps images (N H W C) and a number of noise for each (N) to images.

(define-module (tempera net bodies)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:export (with-noise-map consume consuming-sequence numbered check-divisible))

;;; --- Noise as channels ----------------------------------------------------------

(define (with-noise-map images noise copies)
  "IMAGES (N H W C) with COPIES more channels that hold each image's NOISE (N).
Example: (tensor-shape (with-noise-map (tensor-zeros '(3 4 4 2)) (tensor-zeros '(3)) 1)) => (3 4 4 3)"
  (let* ((shape (tensor-shape images))
         (map-shape (append (list-head shape 3) (list copies)))
         (column (tensor-reshape noise '(-1 1 1 1))))
    (tensor-concatenate (list images (tensor-broadcast column map-shape)) -1)))

;;; --- Memory -------------------------------------------------------------------

(define (consume layer images . more)
  "LAYER applied to IMAGES (a tensor, or parts as convolutions take them) and MORE, where
IMAGES were made here and are not used again: off the tape their memory serves the
next layer, which then finds it in cache.
Example: (tensor-shape (consume average-pool (tensor-zeros '(1 4 4 2)))) => (1 2 2 2)"
  (let ((result (apply layer images more)))
    (let release ((images images))
      (cond ((tensor? images) (unless (eq? images result) (release! images)))
            ((pair? images) (release (car images)) (release (cdr images)))))
    result))

(define (consuming-sequence kind layers)
  "LAYERS one after the other, as a layer that prints as KIND; what passes between them is
consumed.
Example: (consuming-sequence \"two\" (list (convolution-layer 2 4) (convolution-layer 4 2)))"
  (make-layer kind
              (lambda (x) (fold consume ((car layers) x) (cdr layers)))
              #:parts (map (lambda (i layer) (cons (number->string i) layer))
                           (iota (length layers)) layers)))

;;; --- Parts and sizes -----------------------------------------------------------

(define (numbered prefix layers)
  "LAYERS under the names PREFIX0, PREFIX1 and so on: parts of a layer.
Example: (map car (numbered \"down\" (list relu silu))) => (\"down0\" \"down1\")"
  (map (lambda (i layer) (cons (format #f "~a~a" prefix i) layer))
       (iota (length layers)) layers))

(define (check-divisible procedure images factor)
  "Complain, as PROCEDURE, unless FACTOR divides the rows and the columns of IMAGES.
Example: (check-divisible 'network (tensor-zeros '(1 8 8 2)) 4)"
  (check-that (every (lambda (n) (zero? (modulo n factor)))
                     (list-head (cdr (tensor-shape images)) 2))
              procedure "images: expected rows and columns divisible by ~a, got shape ~a"
              factor (tensor-shape images)))
