;;; pixels.scm -- operators on the pixels of images: all of them, some of them, every so many.

(define-module (tempera problem pixels)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera problem compositions)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (denoising-operator inpainting-operator random-pixels crop-operator pad-operator decimation-operator))

(define (check-shape who argument shape)
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) who
              "~a: expected (rows columns), two positive integers, got ~s" argument shape))

(define (denoising-operator shape)
  "A = 1 on images of SHAPE, (H W): what is measured is the image under noise.
Example: (denoising-operator '(64 64))"
  (check-shape 'denoising-operator "shape" shape)
  (make-operator "denoising" #:forward identity #:adjoint identity #:normal identity #:domain shape
                 #:inverse-name "noisy" #:normal-diagonal (tensor+ 1 (tensor-zeros shape))))

(define (inpainting-operator mask)
  "A x = MASK x, of which MASK, f32 (H W) of 0 and 1, says which pixels are seen.
Example: (inpainting-operator (random-pixels '(64 64) 1/2))"
  (check-that (and (tensor? mask) (eq? (tensor-dtype mask) 'f32) (= 2 (length (tensor-shape mask)))
                   (every (lambda (m) (or (= m 0) (= m 1))) (tensor->list mask)))
              'inpainting-operator "mask: expected f32 (rows columns) of 0 and 1, got ~s" mask)
  (let ((seen (lambda (x) (tensor* x mask)))
        (count (inexact->exact (round (tensor->number (tensor-sum mask))))))
    (check-that (> count 0) 'inpainting-operator "mask: expected a 1 somewhere: nothing is seen")
    (make-operator (format #f "inpainting, ~a of ~a pixels seen" count (tensor-count mask))
                   #:forward seen #:adjoint seen #:normal seen #:restrict seen
                   #:inverse-name "masked" #:domain (tensor-shape mask))))

(define* (random-pixels shape share #:key (seed 0))
  "A mask for `inpainting-operator', f32 of SHAPE: 1 at SHARE of its pixels, rounded, at random.
Example: (tensor->number (tensor-sum (random-pixels '(8 8) 1/4))) => 16.0"
  (check-shape 'random-pixels "shape" shape)
  (check-that (and (real? share) (<= 0 share 1)) 'random-pixels "share: expected a number from 0 to 1, got ~s" share)
  (check-seed 'random-pixels seed)
  (let* ((draws (tensor->list (random-uniform (list (apply * shape)) seed (random-stream 'mask))))
         (seen (inexact->exact (round (* share (length draws)))))
         (mask (make-vector (length draws) 0)))
    (for-each (lambda (draw) (vector-set! mask (cdr draw) 1))
              (take (sort (map cons draws (iota (length draws))) (lambda (a b) (< (car a) (car b)))) seen))
    (list->tensor (vector->list mask) shape)))

;;; --- Parts ------------------------------------------------------------------------

(define (part x from size)
  ;; Of the last two axes of X, SIZE pixels from FROM on.
  (let ((rank (length (tensor-shape x))))
    (fold (lambda (axis from size x) (tensor-slice x (+ rank -2 axis) from (+ from size)))
          x '(0 1) from size)))

(define (zeros-around y shape)
  ;; Zeros of Y's batch and type with SHAPE for the last two axes.
  (tensor-zeros (append (drop-right (tensor-shape y) 2) shape) (tensor-dtype y)))

(define (middle shape size)
  (map (lambda (n m) (quotient (- n m) 2)) shape size))

(define* (crop-operator shape size #:key (from (middle shape size)))
  "Of images of SHAPE, (H W), the SIZE, (h w), that begins at pixel FROM, in the middle unless told.
Example: (tensor-shape (apply-forward (crop-operator '(16 16) '(8 4)) scan)) => (8 4)"
  (check-shape 'crop-operator "shape" shape)
  (check-shape 'crop-operator "size" size)
  (check-that (every <= size shape) 'crop-operator "size: expected ~a at most, got ~a" shape size)
  (check-that (and (list? from) (= 2 (length from)) (every exact-integer? from) (every >= from '(0 0))
                   (every <= (map + from size) shape))
              'crop-operator "from: expected a pixel from which ~a fits in ~a, got ~s" size shape from)
  (make-operator (format #f "crop to ~a x ~a" (first size) (second size))
                 #:forward (lambda (x) (tensor-copy (part x from size)))
                 #:adjoint (lambda (y)
                             (let ((x (zeros-around y shape)))
                               (tensor-assign! (part x from size) y)
                               x))
                 #:domain shape #:range size))

(define* (pad-operator shape size #:key (from (middle size shape)))
  "Images of SHAPE, (H W), amid zeros: SIZE, (h w), pixels, of which theirs begin at FROM, in the middle unless told.
Example: (tensor-shape (apply-forward (pad-operator '(16 16) '(32 20)) scan)) => (32 20)"
  (check-shape 'pad-operator "shape" shape)
  (check-shape 'pad-operator "size" size)
  (check-that (every <= shape size) 'pad-operator "size: expected ~a at least, got ~a" shape size)
  (let ((crop (crop-operator size shape #:from from)))
    (make-operator (format #f "pad to ~a x ~a" (first size) (second size))
                   #:forward (lambda (x) (apply-adjoint crop x))
                   #:adjoint (lambda (y) (apply-forward crop y))
                   #:normal identity #:domain shape #:range size
                   #:restrict (lambda (n) (apply-adjoint crop (apply-forward crop n))))))

(define* (decimation-operator factor shape #:key (from '(0 0)))
  "One pixel of each FACTOR x FACTOR of images of SHAPE, (H W), that beginning at FROM, (row column) below FACTOR.
Example: (tensor-shape (apply-forward (decimation-operator 2 '(16 16)) scan)) => (8 8)"
  (check-shape 'decimation-operator "shape" shape)
  (check-that (and (positive-integer? factor) (every (lambda (n) (zero? (modulo n factor))) shape))
              'decimation-operator "factor: expected a positive integer that divides ~a, got ~s" shape factor)
  (check-that (and (list? from) (= 2 (length from)) (every (lambda (n) (and (exact-integer? n) (< -1 n factor))) from))
              'decimation-operator "from: expected a row and a column from 0 to ~a, got ~s" (1- factor) from)
  (let* ((size (map (lambda (n) (quotient n factor)) shape))
         (split (lambda (x)             ; (... h factor w factor)
                  (tensor-reshape x (append (drop-right (tensor-shape x) 2)
                                            (list (first size) factor (second size) factor)))))
         (kept (lambda (x)
                 (let* ((x (split x)) (rank (length (tensor-shape x))) (slice
                         (lambda (x axis at) (tensor-slice x (+ rank axis) at (1+ at)))))
                   (slice (slice x -1 (second from)) -3 (first from)))))
         (batch (lambda (x) (drop-right (tensor-shape x) 2))))
    (make-operator (format #f "every ~ath pixel" factor)
                   #:forward (lambda (x)
                               (tensor-reshape (tensor-copy (kept x)) (append (batch x) size)))
                   #:adjoint (lambda (y)
                               (let ((x (zeros-around y shape)))
                                 (tensor-assign! (kept x)
                                                 (tensor-reshape y (append (batch y)
                                                                           (list (first size) 1 (second size) 1))))
                                 x))
                   #:domain shape #:range size)))
