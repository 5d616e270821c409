;;; drunet.scm -- DRUNet, the denoiser of plug-and-play methods (Zhang et al. 2021).

(define-module (tempera net drunet)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera net bodies)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:export (drunet))

(define (residual-block channels)
  "x -> x + W2 relu (W1 x)."
  (let ((first (convolution-layer channels channels #:bias? #f #:activation 'relu))
        (second (convolution-layer channels channels #:bias? #f #:gain 0.2)))
    (make-layer (format #f "residual block ~a" channels)
                (lambda (x) (consume second (first x) x))
                #:parts `(("first" . ,first) ("second" . ,second)))))

(define (halve in out)
  "A convolution by windows of 2 x 2 at stride 2: each square of four pixels becomes one."
  (let ((convolve (convolution-layer (* 4 in) out #:size 1 #:bias? #f #:gain (sqrt 1/2))))
    (make-layer (format #f "halving ~a -> ~a" in out)
                (lambda (x) (consume convolve (pixel-unshuffle x)))
                #:parts `(("convolution" . ,convolve)))))

(define (double in out)
  "Its transpose: each pixel becomes a square of four."
  (let ((convolve (convolution-layer in (* 4 out) #:size 1 #:bias? #f #:gain (sqrt 1/2))))
    (make-layer (format #f "doubling ~a -> ~a" in out)
                (lambda (x) (consume pixel-shuffle (convolve x)))
                #:parts `(("convolution" . ,convolve)))))

(define* (drunet #:key (channels '(64 128 256 512)) (blocks 4) (image-channels 2) (inputs 1) (seed 0))
  "The body of Zhang et al. 2021: a U-net of BLOCKS residual blocks (two convolutions, a ReLU between
them) a scale down and up, CHANNELS by scale, strided convolutions between scales, what went into a
scale added to what comes out of it; no norm and no bias, so that it scales as its input does; the
noise as a map beside the images.  Images (N H W IMAGE-CHANNELS), 2 of complex images, 1 of grey and 3 of colour ones; noise
(N); rows and columns divisible by 2^(scales - 1).  INPUTS: of how many images side by side,
(N H W IMAGE-CHANNELS INPUTS), it makes one.
Example: (drunet #:channels '(16 32) #:blocks 1)"
  (check-that (and (pair? channels) (list? channels)
                   (every (lambda (n) (and (exact-integer? n) (> n 0)))
                          (cons* blocks image-channels inputs channels)))
              'drunet "channels, blocks, image-channels, inputs: expected a list of positive integers and three of them, \
got ~s, ~s, ~s and ~s" channels blocks image-channels inputs)
  (define scales (length channels))
  (define wider (cdr channels))
  (define narrower (list-head channels (1- scales)))
  (define (row count)
    (lambda (channels)
      (consuming-sequence "blocks" (map (lambda (i) (residual-block channels)) (iota count)))))
  (with-initial-seed seed
    (lambda ()
      (define entry (convolution-layer (1+ (* image-channels inputs)) (car channels) #:bias? #f))
      (define down (map (row blocks) channels)) ; the last is the body between down and up
      (define halves (map halve narrower wider))
      (define doubles (map double wider narrower))
      (define up (map (row blocks) narrower))
      (define head (convolution-layer (car channels) image-channels #:bias? #f #:gain 0.05))
      (make-body
       'drunet (format #f "drunet, channels ~a" channels)
       (expt 2 (1- scales))
       (lambda (images noise)
         (consume
          head
          (let descend ((x (consume entry (with-noise-map images noise 1))) (scale 0))
            (let* ((y (if (= scale (1- scales))
                          ((list-ref down scale) x)
                          (let* ((h ((list-ref down scale) x))
                                 (below (descend (consume (list-ref halves scale) h) (1+ scale)))
                                 (risen (consume (list-ref doubles scale) below)))
                            (consume (list-ref up scale) risen))))
                   (sum (tensor+ x y)))
              (release! x)
              (release! y)
              sum))))
       #:parts `(("entry" . ,entry) ,@(numbered "down" down) ,@(numbered "halving" halves)
                 ,@(numbered "doubling" doubles) ,@(numbered "up" up) ("head" . ,head))))))
