;;; bodies.scm -- what the bodies of networks are put together with.
;;;
;;; A body maps images (N H W C) and a number of noise for each (N) to images; it says what their rows
;;; and columns have to be divisible by.  Large images it takes in tiles, where `tile-side' says so (tiles.scm).

(define-module (tempera net bodies)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera net layers)
  #:use-module (tempera net tiles)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (with-channels with-noise-map consume consuming-sequence numbered make-body any-size))

;;; --- Channels -------------------------------------------------------------------

(define (with-channels x)
  "A view of X as bodies take it: of c64 (N H W) real and imaginary part, (N H W 2), of f32 (N H W) one channel,
(N H W 1); other f32 as it is.
Example: (tensor-shape (with-channels (tensor-zeros '(3 4 4) 'c64))) => (3 4 4 2)"
  (cond ((eq? (tensor-dtype x) 'c64) (real-view x))
        ((= 3 (length (tensor-shape x))) (tensor-reshape x (append (tensor-shape x) '(1))))
        (else x)))

;;; --- Noise as channels ----------------------------------------------------------

(define (with-noise-map images noise copies)
  "IMAGES (N H W C) with COPIES more channels that hold each image's NOISE (N).
Example: (tensor-shape (with-noise-map (tensor-zeros '(3 4 4 2)) (tensor-zeros '(3)) 1)) => (3 4 4 3)"
  (let* ((shape (tensor-shape images))
         (map-shape (append (list-head shape 3) (list copies))))
    (tensor-concatenate (list images (tensor-broadcast (per-item noise images) map-shape)) -1)))

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

(define-class <body> (<layer>)
  (divisor #:init-keyword #:divisor #:getter own-divisor)
  #:metaclass <applicable-struct-class>)

(define* (make-body name kind divisor procedure #:key (parts '()))
  "A layer for `score-network' that applies PROCEDURE to images (N H W C), whose rows and columns DIVISOR
has to divide, and noise (N): other images are an error of the body NAME, and `any-size' has them made to fit.
KIND and PARTS as of `make-layer'.
Example: (make-body 'same \"same\" 2 (lambda (images noise) images))"
  (let ((procedure (in-tiles name procedure divisor)))
    (make <body> #:kind kind #:parts parts #:divisor divisor
          #:procedure (lambda (images noise)
                        (check-that (every (lambda (n) (zero? (modulo n divisor)))
                                           (list-head (cdr (tensor-shape images)) 2))
                                    name "images: expected rows and columns divisible by ~a, got shape ~a"
                                    divisor (tensor-shape images))
                        (procedure images noise)))))

(define (any-size body procedure)
  "PROCEDURE of images (N H W C), and of more, which applies BODY to them and gives images: for images of any
size.  Those whose rows and columns do not suit BODY are mirrored at their edges as far as it takes, and
what PROCEDURE makes of them is cropped.
Example: (tensor-shape ((any-size (paper-unet #:channels '(2 4) #:blocks 1) (lambda (images) images))
                        (tensor-zeros '(1 9 5 2)))) => (1 9 5 2)"
  ;; With zeros beyond its edges a head that they cut was denoised with up to a quarter more error.
  (let ((divisor (if (is-a? body <body>) (own-divisor body) 1)))
    (if (= divisor 1)
        procedure
        (lambda (images . others)
          (let* ((lengths (list-head (cdr (tensor-shape images)) 2))
                 (more (map (lambda (n) (modulo (- n) divisor)) lengths))
                 (before (map (lambda (m) (quotient m 2)) more))
                 (crop (lambda (axis first n t) (tensor-slice t axis first (+ first n)))))
            (if (equal? more '(0 0))
                (apply procedure images others)
                (tensor-copy
                 (fold crop
                       (apply consume procedure (fold mirrored images '(1 2) before more) others)
                       '(1 2) before lengths))))))))

(define (mirrored axis before more images)
  ;; IMAGES with MORE lines along AXIS, BEFORE of them before the first: those inside the edge, in reverse,
  ;; and again if they are too few.
  (let* ((n (list-ref (tensor-shape images) axis))
         (period (max 1 (* 2 (1- n))))
         (line (lambda (i)
                 (let* ((k (modulo i period)) (k (if (< k n) k (- period k))))
                   (tensor-slice images axis k (1+ k))))))
    (if (zero? more)
        images
        (tensor-concatenate (append (map line (iota before (- before))) (list images)
                                    (map line (iota (- more before) n)))
                            axis))))
