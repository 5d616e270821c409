;;; vae.scm -- a variational auto-encoder of images, and inference in its latent space (section 2).
;;;
;;; z ~ N(0, I), x = G(z) + s n: a decoder G and a standard deviation s are learned beside an encoder
;;; q(z | x) that is normal, so that the bound on log p(x) is greatest.  Images of one size alone.  With
;;; a measurement the likelihood is known, p(y | z) = N(y; A G(z), s^2 A A^H + noise^2), and z is
;;; sampled like any x.
;;; Source: Kingma, Welling 2014; Bohm et al. 2019; Edupuganti et al. 2019.

(define-module (tempera method vae)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera net layers)
  #:use-module (tempera problem masses)
  #:use-module (tempera net networks)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera sample samplers)
  #:use-module (tempera sample schedules)
  #:use-module (tempera base streams)
  #:use-module (tempera problem targets)
  #:use-module (tempera tensor tensors)
  #:export (vae vae? vae-from-metadata vae-size vae-latent vae-noise vae-encode vae-decode vae-bound vae-loss
            vae-sample vae-target vae-images latent-schedule))

(define-class <vae> (<network>)
  (size #:init-keyword #:size #:getter vae-size)
  (latent #:init-keyword #:latent #:getter vae-latent)
  (log-noise #:init-keyword #:log-noise #:getter log-noise)
  (encode #:init-keyword #:encode #:getter encoder) ; images -> mean, log standard deviation
  (decode #:init-keyword #:decode #:getter decoder) ; z -> images
  #:metaclass <applicable-struct-class>)

(define (vae? object)
  "Whether OBJECT is a network that `vae' makes.
Example: (vae? car) => #f"
  (is-a? object <vae>))

(define intensity 30)                   ; images are divided by it inside
(define slope 0.1)                      ; of the leaky ReLUs

(define* (vae #:key (size 64) (latent 256) (channels '(16 32 48 32)) (noise 10) (seed 0))
  "The auto-encoder of complex images of SIZE x SIZE pixels, with LATENT numbers for each.  CHANNELS
are those of convolutions that halve the image, each a scale further down, before what is left
goes through a dense layer; the decoder goes the same way back, by up-convolutions.  Without
CHANNELS both are linear: probabilistic principal components.  NOISE is what s, which is learned,
begins with.  Applied to images, f32 (N SIZE SIZE 2), it gives G at the mean of q(z | x).
Example: (vae #:size 16 #:latent 4 #:channels '(4 8))"
  (check-that (and (list? channels) (every positive-integer? channels)) 'vae
              "channels: expected a list of positive integers, got ~s" channels)
  (check-that (and (positive-integer? size) (zero? (modulo size (expt 2 (length channels))))) 'vae
              "size: expected a positive integer divisible by ~a, got ~s"
              (expt 2 (length channels)) size)
  (check-that (positive-integer? latent) 'vae "latent: expected a positive integer, got ~s" latent)
  (check-that (and (real? noise) (finite? noise) (> noise 0)) 'vae
              "noise: expected a positive number, got ~s" noise)
  (let* ((side (quotient size (expt 2 (length channels))))
         (deepest (if (null? channels) 2 (last channels)))
         (features (* side side deepest))
         (outer (if (null? channels) '() (cons 2 (drop-right channels 1))))
         (log-noise (require-gradient! (list->tensor (list (log noise))))))
    (with-initial-seed seed
      (lambda ()
        (let* ((down (apply layer-sequence
                            (map-in-order (lambda (in out)
                                            (convolution-layer in out #:stride 2 #:activation slope))
                                          outer channels)))
               (mean (dense-layer features latent #:gain 0.7))
               (log-sd (dense-layer features latent #:gain 0.1))
               (enter (dense-layer latent features #:gain 0.7
                                   #:activation (and (pair? channels) slope)))
               (up (apply layer-sequence
                          (map-in-order (lambda (in out)
                                          (up-convolution-layer in out #:activation slope))
                                        (reverse channels)
                                        (if (null? channels)
                                            '()
                                            (reverse (cons (first channels) (cdr outer)))))))
               (head (and (pair? channels) (convolution-layer (first channels) 2 #:gain 0.7)))
               (encode (lambda (images)
                         (let ((h (tensor-reshape (down (tensor* (/ 1. intensity) images))
                                                  (list -1 features))))
                           (values (mean h) (log-sd h)))))
               (decode (lambda (z)
                         (let ((h (tensor-reshape (enter z) (list -1 side side deepest))))
                           (tensor* intensity (if head (head (up h)) h))))))
          (make <vae>
            #:kind (format #f "vae of ~a x ~a, latent ~a, channels ~a" size size latent channels)
            #:format vae-format
            #:settings `(("body" . ,(object->string (list size latent channels))))
            #:another (lambda () (vae #:size size #:latent latent #:channels channels))
            #:parameters `(("log-noise" . ,log-noise))
            #:parts `(("down" . ,down) ("mean" . ,mean) ("log-sd" . ,log-sd)
                      ("enter" . ,enter) ("up" . ,up) ,@(if head `(("head" . ,head)) '()))
            #:size size #:latent latent #:log-noise log-noise #:encode encode #:decode decode
            #:procedure (lambda (images)
                          (check-images 'vae size images)
                          (call-with-values (lambda () (encode images))
                            (lambda (mean log-sd) (decode mean))))))))))

(define vae-format "tempera-vae-1")

(define (vae-from-metadata field bad)
  "The network that the settings in a file describe: see `load-network'."
  (let ((body (metadata-datum field "body")))
    (if (and (list? body) (= 3 (length body)))
        (vae #:size (first body) #:latent (second body) #:channels (third body))
        (bad "body: expected size, latent and channels"))))

(define-method (network-inputs (network <vae>) count size)
  (let ((own (vae-size network)))
    (check-that (memv size (list #f own)) 'network-inputs
                "size: expected ~a, of which all images of this network are, got ~s" own size)
    (list (random-normal (list count own own 2) 1))))

(define (vae-noise network)
  "The standard deviation s of what the decoder of the auto-encoder NETWORK leaves, of each of the
two parts of a pixel.
Example: (vae-noise (vae #:size 8 #:latent 2 #:channels '() #:noise 2)) => 2.0"
  (check-vae 'vae-noise network)
  (exp (tensor->number (log-noise network))))

(define (check-vae procedure network)
  (check-that (vae? network) procedure "network: expected what `vae' makes, got ~s" network))

(define (check-images procedure size images)
  (check-that (and (tensor? images) (= 4 (length (tensor-shape images)))
                   (equal? (list size size 2) (cdr (tensor-shape images))))
              procedure "images: expected f32 (N ~a ~a 2), got ~s" size size images))

(define (check-latent procedure network z)
  (check-that (and (tensor? z) (= 2 (length (tensor-shape z)))
                   (= (vae-latent network) (second (tensor-shape z))))
              procedure "z: expected f32 (N ~a), got ~s" (vae-latent network) z))

(define (vae-encode network images)
  "The mean and the logarithm of the standard deviation of q(z | x), two values f32 (N latent), on the
tape, for IMAGES, f32 (N size size 2).
Example: (vae-encode (vae #:size 8 #:latent 2 #:channels '(4)) (tensor-zeros '(1 8 8 2)))"
  (check-vae 'vae-encode network)
  (check-images 'vae-encode (vae-size network) images)
  ((encoder network) images))

(define (vae-decode network z)
  "G(Z), f32 (N size size 2), on the tape, for Z, f32 (N latent).
Example: (tensor-shape (vae-decode (vae #:size 8 #:latent 2 #:channels '(4)) (tensor-zeros '(1 2))))
         => (1 8 8 2)"
  (check-vae 'vae-decode network)
  (check-latent 'vae-decode network z)
  ((decoder network) z))

;;; --- Learning -------------------------------------------------------------------------

(define log-2-pi (log (* 8 (atan 1))))

(define* (vae-bound network images #:key (seed 0) (stream 0))
  "The bound on log p(x) (Kingma, Welling 2014, equation 10), (N), on the tape, of IMAGES, f32 (N
size size 2): log p(x | z) at one z for each image, drawn from q(z | x) by SEED and STREAM, less
the divergence of q from N(0, I), in nats.
Example: (vae-bound (vae #:size 8 #:latent 2 #:channels '(4)) (tensor-zeros '(1 8 8 2)))"
  (call-with-values (lambda () (vae-encode network images))
    (lambda (mean log-sd)
      (let* ((n (random-normal (tensor-shape mean) seed (random-stream 'noise stream)))
             (z (tensor+ mean (tensor* (tensor-exp log-sd) n)))
             (log-s (log-noise network))
             (squares (tensor-sum (tensor-square (tensor- images ((decoder network) z))) '(1 2 3)))
             (numbers (* 2 (vae-size network) (vae-size network)))
             (divergence
              (tensor* 1/2 (tensor-sum (tensor- (tensor+ (tensor-square mean)
                                                         (tensor-exp (tensor* 2 log-sd)))
                                                (tensor+ 1 (tensor* 2 log-sd)))
                                       1))))
        (tensor- (tensor- (tensor* (tensor* -1/2 squares) (tensor-exp (tensor* -2 log-s)))
                          (tensor* numbers (tensor+ log-s (/ log-2-pi 2))))
                 divergence)))))

(define (vae-loss network images step)
  "What the auto-encoder NETWORK is to make small, for #:loss of `make-trainer': the negative
`vae-bound' by the number of numbers in an image, (N).  IMAGES: c64 (N size size), or f32.
Example: (make-trainer (vae #:size 16 #:latent 4 #:channels '(4 8))
                       (lambda (count step) (random-slices (load-dataset) count 16 #:stream step))
                       #:loss vae-loss)"
  (check-vae 'vae-loss network)
  (tensor* (/ -1. (* 2 (vae-size network) (vae-size network)))
           (vae-bound network (if (eq? (tensor-dtype images) 'c64) (real-view images) images)
                      #:stream step)))

(define* (vae-sample network count #:key (seed 0))
  "COUNT images of the prior, c64 (COUNT size size): G(z), z ~ N(0, I) by SEED, without the noise s.
Example: (tensor-shape (vae-sample (vae #:size 8 #:latent 2 #:channels '(4)) 3)) => (3 8 8)"
  (check-vae 'vae-sample network)
  (check-that (positive-integer? count) 'vae-sample "count: expected a positive integer, got ~s" count)
  (check-seed 'vae-sample seed)
  (no-tape
   (lambda ()
     (complex-view
      (vae-decode network (random-normal (list count (vae-latent network)) seed
                                         (random-stream 'prior)))))))

;;; --- Inference --------------------------------------------------------------------------

(define (residual-precision network op noise)
  ;; The procedure sigma -> 1 / (s^2 D + noise^2 + sigma^2) over centred k-space, D the diagonal of
  ;; A^H A: by it A^H (s^2 A A^H + ...)^-1 r = F^H table F A^H r.  Where D is 0, so is A^H r but for
  ;; rounding, and so is the table: there it would be greatest.
  (let* ((s2 (expt (vae-noise network) 2))
         (diagonal (operator-normal-diagonal op))
         (measured (tensor< 0 diagonal)))
    (lambda (sigma)
      (tensor/ measured (tensor+ (tensor* s2 diagonal) (+ (* noise noise) (* sigma sigma)))))))

(define (image-residuals op y images)
  ;; A^H (Y - A x) of IMAGES, (N H W).
  (apply-adjoint op (tensor- (tensor-reshape y (cons 1 (tensor-shape y)))
                             (apply-forward op images))))

(define (check-inference procedure network op y noise)
  (check-vae procedure network)
  (check-that (and (operator? op) (operator-normal-diagonal op)) procedure
              "operator: expected one with a diagonal in k-space, got ~s" op)
  (check-measurement procedure op y)
  (check-that (and (real? noise) (finite? noise) (> noise 0)) procedure
              "noise: expected a positive number, got ~s" noise)
  (let ((n (vae-size network)) (zero-filled (apply-adjoint op y)))
    (check-that (equal? (list n n) (tensor-shape zero-filled)) procedure
                "y: expected a measurement of ~a x ~a pixels, got ~s" n n y)
    zero-filled))

(define* (vae-target network op y #:key (noise 0.1))
  "The target p(z | Y), f32 (latent), of the auto-encoder NETWORK and a measurement Y, c64, by the
operator OP, whose normal operator is diagonal in k-space, with noise of standard deviation NOISE:
N(z; 0, I) N(y; A G(z), s^2 A A^H + NOISE^2 + sigma^2).  As in equation 4 the temperature sigma is
added to the likelihood's noise; the prior is the same at all, so that chains begin with draws
from it (#:start of `anneal').  The score goes through the decoder by the tape; the log density is
known.  Its mass, encoder, is diagonal: the precision that the encoder gives each number when the
image is known up to s, less by how much more noise there is.  For a decoder with bends the usual
step is too long: `latent-schedule'.
Example: (let ((network (vae #:size 16 #:latent 4 #:channels '(4 8))))
           (apply anneal (vae-target network op y) #:start (random-normal '(8 4) 1) latent-schedule))"
  (let* ((zero-filled (check-inference 'vae-target network op y noise))
         (latent (vae-latent network))
         (s2 (expt (vae-noise network) 2))
         (precision (residual-precision network op noise))
         (residual (lambda (image) (image-residuals op y (complex-view image))))
         (diagonal (operator-normal-diagonal op))
         (inverse-diagonal (tensor/ (tensor< 0 diagonal) (tensor-maximum 1e-9 diagonal)))
         (sharpness                     ; of the data alone, for each number
          (no-tape
           (lambda ()
             (call-with-values
                 (lambda () (vae-encode network (real-view (tensor-reshape zero-filled
                                                                           (cons 1 (tensor-shape zero-filled))))))
               (lambda (mean log-sd)
                 (tensor-reshape (tensor-maximum 0 (tensor- (tensor-exp (tensor* -2 log-sd)) 1))
                                 (list latent))))))))
    (make-target
     "latent posterior" #:shape (list latent)
     #:score
     (lambda (z sigma)
       (with-scope
        (lambda ()
          (let* ((z (require-gradient! (tensor-copy z)))
                 (tape (make-tape))
                 (image (with-tape tape (lambda () (vae-decode network z)))))
            (tape-backward! tape image
                            (real-view (fourier-multiply (residual image) (precision sigma))))
            (tensor- (tensor-gradient z) z)))))
     #:log-density
     (lambda (z sigma)
       (with-scope
        (lambda ()
          (let ((r (residual (no-tape (lambda () (vae-decode network z))))))
            (vector-map (lambda (prior data) (/ (+ prior data) -2))
                        (chains-dot z z)
                        (chains-dot r (fourier-multiply r (tensor* inverse-diagonal
                                                                   (precision sigma)))))))))
     #:masses
     `((encoder . ,(lambda (sigma)
                     (diagonal-mass
                      (tensor+ 1 (tensor* (/ s2 (+ s2 (* noise noise) (* sigma sigma)))
                                          sharpness)))))))))

(define latent-schedule
  ;; Fixed steps, unless much shorter than the best, throw chains far out where the decoder bends,
  ;; and the score's integral on the way there is no measure of what is to be accepted.
  (list #:step-size (dual-averaging)
        #:steps-per-temperature 2
        #:sampler (hmc #:acceptance 'log-density)))

(define* (vae-images network op y z #:key (noise 0.1))
  "The mean of x given each z of Z, (N latent), and the measurement Y, (as `vae-target' has them),
c64 (N size size): G(z) + s^2 A^H (s^2 A A^H + NOISE^2)^-1 (Y - A G(z)), what the decoder leaves
being Gaussian.
Example: (let ((network (vae #:size 16 #:latent 4 #:channels '(4 8))))
           (tensor-shape (vae-images network op y (random-normal '(3 4) 1)))) => (3 16 16)"
  (check-inference 'vae-images network op y noise)
  (let ((images (no-tape (lambda () (complex-view (vae-decode network z))))))
    (tensor+ images
             (tensor* (expt (vae-noise network) 2)
                      (fourier-multiply (image-residuals op y images)
                                        ((residual-precision network op noise) 0))))))

(document
 (latent-schedule
  "Settings that suit `vae-target': steps that tune themselves, two a temperature, accepted by the
log density; for (apply anneal target #:start z latent-schedule).
Example: (let ((network (vae #:size 16 #:latent 4 #:channels '())))
           (apply start-chain (vae-target network op y) #:start (random-normal '(8 4) 1) latent-schedule))")
 (vae-size
  "The rows, and the columns, of the images of the auto-encoder NETWORK.
Example: (vae-size (vae #:size 8 #:latent 2 #:channels '())) => 8")
 (vae-latent
  "How many numbers the auto-encoder NETWORK has for an image.
Example: (vae-latent (vae #:size 8 #:latent 2 #:channels '())) => 2"))
