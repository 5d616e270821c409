;;; test-tiles.scm -- images in tiles: the bits of the whole, in the memory of a tile.

(use-modules (harness) (srfi srfi-1) (tempera))

(start-tests "tiles")

(define (images . shape) (random-normal shape 1))

(define* (check name description side shape #:key (less? #t))
  ;; Also where the image's edges are mirrored for the body, and a tile is cut by the image's end.
  (let* ((net (score-network description #:precision 'float32)) (x (tensor* 30 (random-normal shape 1 0 'c64)))
         (whole (net x 2.)))
    (memory-trim!)
    (net x 2.)
    (let ((memory (assq-ref (memory-usage) 'peak)))
      (parameterize ((tile-side side))
        (net x 2.)                      ; what it takes to know its margin is not of each score
        (memory-trim!)
        (test-assert name (tensor-identical? whole (net x 2.))))
      (when less?
        (test-assert (string-append name ": less memory") (< (assq-ref (memory-usage) 'peak) (* 0.8 memory)))))))

(define small '(paper-unet #:channels (16 16) #:blocks 1 #:convolutions 2 #:normalisation batch))
(check "the paper's network" small 72 '(1 151 102))
(check "in columns alone" small 72 '(2 60 153))
(check "DRUNet" '(drunet #:channels (16 32) #:blocks 1) 80 '(1 130 110))
(check "few channels" '(paper-unet #:channels (4 8 8) #:blocks 1 #:convolutions 1) 96 '(1 150 170) #:less? #f)

;; A network of one's own, of which every pixel is made of the 7 x 7 around it.
(add-body! 'seven (lambda* (#:key (seed 0))
                    (let ((layer (convolution-layer 2 2 #:size 7)))
                      (make-body 'seven "seven" 1 (lambda (images noise) (layer images)) #:parts `(("layer" . ,layer))))))
;; Its memory is that of images, as it is of networks of few channels.
(check "a body of one's own" '(seven) 20 '(1 90 50) #:less? #f)

(let ((net (score-network small)))
  (test-error-matching "a side that margins do not fit in" "paper-unet: tile-side: expected 56 or more, since 24 pixels"
    (parameterize ((tile-side 48)) (net (random-normal '(1 200 200) 1 0 'c64) 1.)))
  (test-assert "an image that fits has no margins"
    (tensor-identical? (net (images 1 48 40 2) 1.) (parameterize ((tile-side 48)) (net (images 1 48 40 2) 1.)))))
(test-error-matching "group norm" "edm-unet: tile-side: its pixels depend on those of the whole image"
  (parameterize ((tile-side 64))
    ((score-network '(edm-unet #:width 16 #:multipliers (1 2) #:blocks 1)) (random-normal '(1 72 72) 1 0 'c64) 1.)))
(test-error-matching "no side" "tile-side: expected #f or a positive integer, got 0" (parameterize ((tile-side 0)) 1))
(test-error-matching "no number" "tile-side: expected #f or a positive integer, got all" (parameterize ((tile-side 'all)) 1))

(finish-tests)
