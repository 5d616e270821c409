;;; updnet.scm -- the primal-dual network with U-nets that the paper compares with.
;;;
;;; Unrolled: at each of its iterations the residual of the measurements, as an image, and what
;;; the iteration before left go through a U-net of their own, and what that says is added.
;;; Trained with the truth known; it gives one image and no uncertainty.
;;; Source: Ramzi, Ciuciu, Starck 2020 (XPDNet's predecessor); the paper, section 3.

(define-module (tempera method updnet)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera data quality)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (updnet updnet? updnet-from-metadata updnet-loss updnet-reconstruction magnitudes))

(define-class <updnet> (<network>)
  #:metaclass <applicable-struct-class>)

(define (updnet? object)
  "Whether OBJECT is a network that `updnet' makes.
Example: (updnet? car) => #f"
  (is-a? object <updnet>))

;;; --- One iteration's U-net ----------------------------------------------------------

(define (double-convolution in out)
  (layer-sequence (convolution-layer in out #:activation 'relu)
                  (convolution-layer out out #:activation 'relu)))

(define (u-net in channels)
  ;; Two convolutions a scale, maxima down, up-convolution up; no norm.  Of as many channels as
  ;; the first scale has.
  (let* ((lowest (1- (length channels)))
         (uppers (list-head channels lowest))
         (down (map double-convolution (cons in uppers) channels))
         (climb (map (lambda (from to) (up-convolution-layer from to #:activation 'relu))
                     (cdr channels) uppers))
         (merge (map (lambda (c) (double-convolution-of-two c)) uppers))
         (numbered (lambda (prefix layers)
                     (map (lambda (i layer) (cons (format #f "~a~a" prefix i) layer))
                          (iota (length layers)) layers))))
    (make-layer (format #f "U-net of ~a, channels ~a" in channels)
                (lambda (images)
                  (let descend ((x images) (s 0))
                    (let ((here ((list-ref down s) x)))
                      (if (= s lowest)
                          here
                          (let ((below (descend (max-pool here) (1+ s))))
                            ((list-ref merge s) (list here ((list-ref climb s) below))))))))
                #:parts `(,@(numbered "down" down) ,@(numbered "climb" climb)
                          ,@(numbered "merge" merge)))))

(define (double-convolution-of-two channels)
  ;; Of two parts of CHANNELS each.
  (layer-sequence (convolution-layer (* 2 channels) channels #:activation 'relu)
                  (convolution-layer channels channels #:activation 'relu)))

;;; --- The network ----------------------------------------------------------------------

(define intensity 30)                   ; images are divided by it inside

(define* (updnet #:key (iterations 10) (buffers 5) (channels '(16 32 64)) (seed 0))
  "The network: ITERATIONS U-nets of CHANNELS by scale, on BUFFERS complex images, of which the
first is the result.  Applied to zero-filled images, f32 (N H W 2), and the diagonal of A^H A
over centred k-space, f32 (W), (H W) or (N H W), it gives images, f32 (N H W 2); H and W have to
be divisible by 2 at each scale but one.  All begin with the zero-filled image, and the
residual is A^H (A x - y) of the first.
Example: (updnet #:iterations 2 #:channels '(4 8))"
  (check-that (and (exact-integer? iterations) (> iterations 0)) 'updnet
              "iterations: expected a positive integer, got ~s" iterations)
  (check-that (and (exact-integer? buffers) (> buffers 1)) 'updnet
              "buffers: expected an integer of 2 or more, got ~s" buffers)
  (check-that (and (list? channels) (pair? channels)
                   (every (lambda (c) (and (exact-integer? c) (> c 0))) channels))
              'updnet "channels: expected a list of positive integers, got ~s" channels)
  (let* ((others (* 2 (1- buffers)))
         (nets (with-initial-seed
                seed
                (lambda ()
                  (map-in-order (lambda (i)
                                  (list (u-net (+ 4 others) channels)
                                        ;; Heads: what is added to the image and to the rest.
                                        (convolution-layer (first channels) 2 #:size 1 #:gain 0.1)
                                        (convolution-layer (first channels) others #:size 1
                                                           #:gain 0.1)))
                                (iota iterations)))))
         (factor (expt 2 (1- (length channels)))))
    (make <updnet>
      #:kind (format #f "updnet, ~a iterations, ~a buffers, channels ~a" iterations buffers channels)
      #:format updnet-format
      #:settings `(("body" . ,(object->string (list iterations buffers channels))))
      #:another (lambda () (updnet #:iterations iterations #:buffers buffers #:channels channels))
      #:parts (append-map (lambda (i net)
                            (map (lambda (name part) (cons (format #f "~a~a" name i) part))
                                 '("net" "image" "buffers") net))
                          (iota iterations) nets)
      #:procedure
      (lambda (zero-filled diagonal)
        (let ((shape (tensor-shape zero-filled)))
          (check-that (and (= 4 (length shape)) (= 2 (fourth shape))
                           (zero? (modulo (second shape) factor)) (zero? (modulo (third shape) factor)))
                      'updnet "zero-filled: expected (N H W 2), H and W divisible by ~a, got shape ~a"
                      factor shape)
          (let* ((start (tensor* (/ 1. intensity) zero-filled))
                 (rest (tensor-concatenate (make-list (1- buffers) start) -1)))
            (let loop ((nets nets) (x start) (rest rest))
              (if (null? nets)
                  (tensor* intensity x)
                  (let* ((residual (tensor- (fourier-multiply x diagonal) start))
                         (h ((first (car nets)) (list x rest residual))))
                    (loop (cdr nets)
                          (tensor+ x ((second (car nets)) h))
                          (if (null? (cdr nets)) ; not looked at any more
                              rest
                              (tensor+ rest ((third (car nets)) h)))))))))))))

(define updnet-format "tempera-updnet-1")

(define (updnet-from-metadata field bad)
  "The network that the settings in a file describe: see `load-network'."
  (let ((body (metadata-datum field "body")))
    (if (and (list? body) (= 3 (length body)))
        (updnet #:iterations (first body) #:buffers (second body) #:channels (third body))
        (bad "body: expected iterations, buffers and channels"))))

(define-method (network-inputs (network <updnet>) count size)
  (let ((size (or size example-size)))
    (list (random-normal (list count size size 2) 1)
          (tensor-assign! (tensor-zeros (list size)) 1))))

;;; --- Learning and using it --------------------------------------------------------------

(define (magnitudes images)
  "The magnitudes, f32 (N H W), of IMAGES, f32 (N H W 2), on the tape: sqrt (re^2 + im^2 + 1e-6).
Example: (tensor-shape (magnitudes (tensor-zeros '(1 4 4 2)))) => (1 4 4)"
  (tensor-sqrt (tensor+ 1e-6 (tensor-sum (tensor-square images) 3))))

(define (updnet-loss network batch step)
  "The loss by which UPDNet learns, for #:loss of `make-trainer': 0.98 (1 - MS-SSIM) + 0.02 L1 of
magnitudes, (N).  BATCH is a list of the zero-filled images and the truths, f32 (N H W 2), and
the diagonal.
Example: (make-trainer (updnet #:iterations 1) (lambda (count step) #f) #:loss updnet-loss #:rectified? #t)"
  (let* ((truth (no-tape (lambda () (magnitudes (second batch)))))
         (image (magnitudes (network (first batch) (third batch))))
         (range (no-tape (lambda () (tensor-max truth '(1 2)))))
         (distance (tensor-mean (tensor-abs (tensor- image truth)) '(1 2))))
    (tensor+ (tensor* 0.02 distance)
             (tensor* 0.98 (tensor- 1 (ms-ssim image truth range))))))

(define (updnet-reconstruction network op y)
  "The image, c64 (H W), that the UPDNet NETWORK makes of the measurement Y, (H W), by the operator
OP, whose normal operator has to be diagonal in k-space.
Example: (updnet-reconstruction (updnet #:iterations 2) op y)"
  (check-that (updnet? network) 'updnet-reconstruction "network: expected a UPDNet, got ~s" network)
  (check-that (and (operator? op) (operator-normal-diagonal op)) 'updnet-reconstruction
              "operator: expected one with a diagonal in k-space, got ~s" op)
  (check-measurement 'updnet-reconstruction op y)
  (let ((zero-filled (apply-adjoint op y)))
    (with-scope
     (lambda ()
       (tensor-copy
        (tensor-reshape (complex-view (network (real-view (tensor-reshape zero-filled
                                                                          (cons 1 (tensor-shape zero-filled))))
                                               (operator-normal-diagonal op)))
                        (tensor-shape zero-filled)))))))
