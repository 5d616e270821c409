;;; pairs.scm -- images beside what was measured of them, for networks that learn from both.

(define-module (tempera method pairs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera data dataset)
  #:use-module (tempera data slices)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:export (measured-slices))

(define* (measured-slices dataset #:key (sizes '(128)) (acceleration 4) (noise 0.1) (fit 0.3)
                          (seed 0))
  "The procedure of a count and a step, for `make-trainer', that gives a list of zero-filled images,
true ones, both f32 (N size size 2), and masks, f32 (N size size): slices of DATASET as
`random-slices' makes them (FIT is its), through a random mask of ACCELERATION for each image, with
noise of standard deviation NOISE.  SIZES are taken in turn, and N is such that pixels are about as
many as in the count of 128 x 128.
Example: (measured-slices (load-dataset) #:sizes '(64 96))"
  (check-that (and (list? sizes) (pair? sizes)
                   (every (lambda (n) (and (exact-integer? n) (>= n 8))) sizes))
              'measured-slices "sizes: expected a list of integers of 8 or more, got ~s" sizes)
  (check-that (and (real? noise) (finite? noise) (>= noise 0)) 'measured-slices
              "noise: expected a number of 0 or more, got ~s" noise)
  (described (measured-source dataset sizes acceleration noise fit seed)
             (format #f "slices of ~a, sizes ~a, acceleration ~a, noise ~a, fit ~a, seed ~a"
                     (dataset-text dataset) sizes acceleration noise fit seed)))

(define (measured-source dataset sizes acceleration noise fit seed)
  (lambda (count step)
    (let* ((size (list-ref sizes (modulo step (length sizes))))
           (images (max 1 (round (/ (* count 128 128) (* size size)))))
           (truth (random-slices dataset images size #:seed seed #:stream step #:fit fit))
           (mask (lambda (k)
                   (tensor-broadcast (random-mask size #:acceleration acceleration
                                                  #:seed (+ k (* 1000 step) (* 1000000000 seed)))
                                     (list 1 size size))))
           (masks (tensor-concatenate (map mask (iota images)) 0))
           (k-space (tensor* masks
                             (tensor+ (fft2 truth)
                                      (tensor* noise (random-normal (tensor-shape truth) seed step
                                                                    'c64))))))
      (list (real-view (ifft2 k-space)) (real-view truth) masks))))
