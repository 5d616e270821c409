;;; conditional.scm -- the conditional sampler of section 2, which has no likelihood.
;;;
;;; Its score r(x, A^H y, sigma) is that of p_sigma (x | A^H y), learned by equation 3 from pairs of an
;;; image and the zero-filled image of its own measurement.  Whoever samples it does not say how y
;;; was measured: acceleration and noise are those of the training, whatever they are now.
;;; Source: the paper, section 2; Adler and Oktem 2018, with a score in place of their generator.

(define-module (tempera method conditional)
  #:use-module (oop goops)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera net layers)
  #:use-module (tempera problem masses)
  #:use-module (tempera net networks)
  #:use-module (tempera net bodies)
  #:use-module (tempera net score-networks)
  #:use-module ((tempera data scans) #:select (top-intensity))
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem targets)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera net losses)
  #:use-module (tempera net noise-levels)
  #:export (conditional-network conditional-network? conditional-network-from-metadata conditional-loss conditional-target))

(define-class <conditional-network> (<network>)
  (scaled #:init-keyword #:scaled #:getter scaled-procedure)
  #:metaclass <applicable-struct-class>)

(define (conditional-network? object)
  "Whether OBJECT is a network that `conditional-network' makes.
Example: (conditional-network? car) => #f"
  (is-a? object <conditional-network>))

(define* (conditional-network description #:key (sigma-data 30))
  "A conditional score network: applied to x, zero-filled images and sigma it gives the score of
p_sigma (x | zero-filled).  x: c64 (N H W) or f32 (N H W 2); zero-filled: as x, or one, (H W), for
all; sigma: a number, or (N).  DESCRIPTION is that of a body of two images, such as (paper-unet
#:inputs 2), in the parametrisation `preconditioned' of `score-network', where SIGMA-DATA is the
standard deviation of the data, by which zero-filled images are divided too.
Example: (conditional-network '(paper-unet #:inputs 2 #:channels (4 8) #:blocks 1))"
  (check-that (and (real? sigma-data) (finite? sigma-data) (> sigma-data 0)) 'conditional-network
              "sigma-data: expected a positive number, got ~s" sigma-data)
  (let* ((body (build-body description))
         (scaled
          (lambda (x sigma zero-filled)
            (let ((beside (no-tape (lambda () (tensor* (/ 1. sigma-data) zero-filled)))))
              ((preconditioned-scaled-score
                (lambda (images noise)
                  ((any-size body body) (tensor-concatenate (list images beside) -1) noise))
                sigma-data)
               x sigma)))))
    (make <conditional-network> #:format conditional-format
          #:settings `(("body" . ,(object->string description))
                       ("sigma-data" . ,(number->string sigma-data)))
          #:another (lambda () (conditional-network description #:sigma-data sigma-data))
          #:kind (format #f "conditional network, ~a" (layer-kind body))
          #:procedure (lambda (x zero-filled sigma)
                        (score-in-parts scaled x sigma (for-each-image zero-filled x)))
          #:scaled scaled
          #:parts `(("body" . ,body)))))

(define (for-each-image zero-filled x)
  ;; As f32 (N H W 2), N as X has it.
  (define (view t) (if (eq? (tensor-dtype t) 'c64) (real-view t) t))
  (check-that (and (tensor? zero-filled) (tensor? x)) 'conditional-network
              "x, zero-filled: expected tensors, got ~s and ~s" x zero-filled)
  (let* ((shape (tensor-shape (view x))) (images (view zero-filled)) (got (tensor-shape images)))
    (cond ((equal? got shape) images)
          ((equal? got (cdr shape)) (tensor-broadcast images shape))
          (else (complain 'conditional-network "zero-filled: expected images as x has, of shape ~a ~
without what is complex, or one of them; got shape ~a" (list-head shape 3) (tensor-shape zero-filled))))))

(define conditional-format "tempera-conditional-1")

(define (conditional-network-from-metadata field bad)
  "The network that the settings in a file describe: see `load-network'."
  (let ((sigma-data (metadata-datum field "sigma-data")))
    (conditional-network (or (metadata-datum field "body") (bad "body: unreadable"))
                         #:sigma-data (if (positive-number? sigma-data)
                                          sigma-data
                                          (bad "sigma-data: expected a positive number, got ~s" sigma-data)))))

(define-method (network-inputs (network <conditional-network>) count size)
  (let ((shape (list count (or size example-size) (or size example-size) 2)))
    (list (random-normal shape 1) (random-normal shape 2) 1.0)))

(define* (conditional-loss #:key (sigma (sigma-log-uniform 0.05 top-intensity)) (seed 0))
  "Equation 3 for conditional networks, for #:loss of `make-trainer', whose data are lists of
zero-filled and true images, f32 (N H W 2), as `measured-slices' gives them: a procedure that gives
the losses, (N), and sigma, drawn from the distribution SIGMA, as the noise is by SEED.
Example: (make-trainer (conditional-network '(paper-unet #:inputs 2 #:channels (4 8) #:blocks 1))
                       (lambda (count step) (list (tensor-zeros '(2 16 16 2)) (tensor-zeros '(2 16 16 2))))
                       #:loss (conditional-loss))"
  (described
   (lambda (network batch step)
     (check-that (conditional-network? network) 'conditional-loss
                 "network: expected a conditional network, got ~s" network)
     (denoising-losses (lambda (noisy sigma) ((scaled-procedure network) noisy sigma (car batch)))
                       (cadr batch) sigma #:seed seed #:step step))
   (format #f "conditional-loss of ~a, seed ~a" sigma seed)))

(define (conditional-target network zero-filled)
  "The target p_sigma (x | ZERO-FILLED) of the conditional NETWORK, over c64 (H W) as ZERO-FILLED is:
for `anneal', without a likelihood.  Its mass, white, is 1 / sigma^2, above which no curvature of
a density under noise sigma is.
Example: (conditional-target (conditional-network '(paper-unet #:inputs 2 #:channels (4 8) #:blocks 1))
                             (apply-adjoint op y))"
  (check-that (conditional-network? network) 'conditional-target
              "network: expected a conditional network, got ~s" network)
  (check-that (and (tensor? zero-filled) (eq? (tensor-dtype zero-filled) 'c64)
                   (= 2 (length (tensor-shape zero-filled))) (tensor-finite? zero-filled))
              'conditional-target "zero-filled: expected finite c64 (rows columns), got ~s" zero-filled)
  (make-target "conditional posterior"
               #:shape (tensor-shape zero-filled) #:dtype 'c64
               #:score (lambda (x sigma) (network x zero-filled sigma))
               #:start zero-filled #:start-name "zero-filled"
               #:masses `((white . ,(lambda (sigma) (diagonal-mass (/ (* sigma sigma))))))))
