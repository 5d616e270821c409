;;; score-networks.scm -- score networks: a body in a parametrisation.
;;;
;;; A body (unets.scm, edm-unet.scm, drunet.scm) maps images (N H W C) and a noise value for each, (N), to images.  The
;;; parametrisation says what the body's input and output have to do with x, sigma and the score r(x, sigma).

(define-module (tempera net score-networks)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base numbers)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem priors)
  #:use-module (tempera net bodies)
  #:use-module (tempera net drunet)
  #:use-module (tempera net edm-unet)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera net unets)
  #:export (<score-network> score-network? score-network score-network-from-metadata scaled-score
            network-body network-parametrisation network-sigma-data network-precision
            network-description
            add-body! build-body
            preconditioned-scaled-score score-in-parts))

;;; --- Parametrisations -----------------------------------------------------------

(define-class <score-network> (<network>)
  (parametrisation #:init-keyword #:parametrisation #:getter network-parametrisation)
  (sigma-data #:init-keyword #:sigma-data #:getter network-sigma-data)
  (precision #:init-keyword #:precision #:getter network-precision)
  (description #:init-keyword #:description #:getter network-description)
  (body #:init-keyword #:body #:getter network-body)
  (scaled #:init-keyword #:scaled #:getter scaled-procedure)
  #:metaclass <applicable-struct-class>)

(define (score-network? object)
  "Whether OBJECT is a score network.
Example: (score-network? car) => #f"
  (is-a? object <score-network>))

;; Bodies of one's own do not say.
(define-method (image-dtype (network <score-network>))
  (let ((description (network-description network)))
    (and (memq (car description) '(paper-unet code-unet edm-unet drunet))
         (let ((given (memq #:image-channels description)))
           (if (or (not given) (equal? 2 (cadr given))) 'c64 'f32)))))

(define (paper-scaled-score body)
  ;; r = h (x, sigma) / |sigma|, so that |sigma| r is what the body gives.
  (lambda (x sigma)
    (body x sigma)))

(define (preconditioned-scaled-score body s)
  "The procedure of x, f32 (N ...), and sigma, f32 (N), that gives |sigma| r(x, sigma), on the tape,
when BODY is a procedure of scaled images and log |sigma| and S is the standard deviation of the
data.  Source: Karras et al. 2022, table 1.
Example: ((preconditioned-scaled-score (lambda (images noise) (tensor* 0 images)) 3)
          (list->tensor '(5) '(1 1)) (list->tensor '(4)))"
  ;; The denoiser is c_skip x + c_out h (c_in x, log sigma) with
  ;;   c_skip = s^2 / (sigma^2 + s^2),  c_out = sigma s / sqrt (sigma^2 + s^2),
  ;;   c_in = 1 / sqrt (sigma^2 + s^2)            (Karras et al. 2022, table 1)
  ;; and r = (denoiser - x) / sigma^2, hence
  ;;   |sigma| r = -|sigma| x / (sigma^2 + s^2) + s h / sqrt (sigma^2 + s^2).
  (lambda (x sigma)
    (let* ((magnitude (tensor-abs sigma))
           (total (tensor+ (tensor-square sigma) (* s s)))
           (c-in (tensor/ 1 (tensor-sqrt total)))
           (log-sigma (tensor-log (tensor-maximum magnitude 1e-6)))
           (h (body (tensor* x (per-item c-in x)) log-sigma)))
      (tensor- (tensor* h (per-item (tensor* s c-in) x))
               (tensor* x (per-item (tensor/ magnitude total) x))))))

(define (residual-scaled-score body s)
  ;; The same without the skip, which is the score of white noise of variance s^2: something
  ;; else gives what is known, and this adds |sigma| r = s h / sqrt (sigma^2 + s^2).
  (lambda (x sigma)
    (let ((c-in (tensor/ 1 (tensor-sqrt (tensor+ (tensor-square sigma) (* s s)))))
          (log-sigma (tensor-log (tensor-maximum (tensor-abs sigma) 1e-6))))
      (tensor* (body (tensor* x (per-item c-in x)) log-sigma)
               (per-item (tensor* s c-in) x)))))

(define (wiener-scaled-score body s spectrum)
  ;; The same beside the score of a Gaussian field whose power is P at each size of images: the
  ;; skip is Wiener's filter, P / (P + sigma^2), in place of a number.  Large structures have
  ;; thousands of times the power of noise; what a number took of them the body would have to give
  ;; back to a per mille.
  (let ((residual (residual-scaled-score body s))
        (power (power-spectrum-by-size spectrum)))
    (lambda (x sigma)
      (let ((magnitude (tensor-reshape (tensor-abs sigma) '(-1 1 1)))
            (p (power (take (cdr (tensor-shape x)) 2))))
        (tensor- (residual x sigma)
                 (fourier-multiply x (tensor/ magnitude (tensor+ p (tensor-square magnitude)))))))))

(define* (score-network description #:key (parametrisation 'preconditioned) (sigma-data 30)
                        (spectrum '(300 2.5 0.6)) (precision 'float32))
  "A score network: applied to x and sigma it gives the score r(x, sigma) of x's
distribution under noise sigma.  x: c64 (N H W), of any size (see `any-size'), f32 (N H W) if the body has
#:image-channels 1, f32 (N H W 3) if 3, or f32 (N ...) as the body takes; sigma: a number, or (N).  DESCRIPTION says which body, as data: (paper-unet
#:channels (32 64 128)), (code-unet), (edm-unet #:width 64), (drunet) or (moons-mlp).  PARAMETRISATION: paper (the body
sees x and the signed sigma, its output is divided by |sigma|: appendix A.1), or
preconditioned (input scaled to unit variance, a skip and an output scale that
depend on sigma, noise fed as log sigma), for which SIGMA-DATA is the standard
deviation of the data, or residual (the same without the skip, to be added to a score that
is known: see `hybrid-prior'), or wiener, for c64 images: residual, and the score of a Gaussian
field is added, whose power SPECTRUM says, (A p c) as for `power-spectrum-by-size'; by default
that of heads on the paper's scale of intensity.  PRECISION: float32, or bf16 for convolutions whose products
have 8 bits (their sums, the weights and all images stay float32), in training too but
for the weights' gradients.
Example: (score-network '(paper-unet #:channels (16 32) #:blocks 1))"
  (check-that (positive-number? sigma-data) 'score-network
              "sigma-data: expected a positive number, got ~s" sigma-data)
  (check-that (memq precision '(float32 bf16)) 'score-network
              "precision: expected float32 or bf16, got ~s" precision)
  (check-that (or (not (eq? parametrisation 'wiener)) (power-law? spectrum)) 'score-network
              "spectrum: expected three positive numbers, got ~s" spectrum)
  (let* ((body (build-body description))
         (score-of-body
          (case parametrisation
            ((paper) (paper-scaled-score body))
            ((preconditioned) (preconditioned-scaled-score body sigma-data))
            ((residual) (residual-scaled-score body sigma-data))
            ((wiener) (wiener-scaled-score body sigma-data spectrum))
            (else (complain 'score-network "parametrisation: expected paper, preconditioned, ~
residual or wiener, got ~s" parametrisation))))
         (scaled (lambda (x sigma)
                   (parameterize ((convolution-precision precision))
                     ;; The skip too: Wiener's takes an image for periodic, and sees less of its
                     ;; other side from mirrored edges.
                     ((any-size body score-of-body) x sigma)))))
    (make <score-network> #:format score-format
          #:settings `(("body" . ,(object->string description))
                       ("parametrisation" . ,(symbol->string parametrisation))
                       ,@(if (eq? parametrisation 'wiener)
                             `(("spectrum" . ,(object->string spectrum)))
                             '())
                       ("precision" . ,(symbol->string precision))
                       ("sigma-data" . ,(number->string sigma-data)))
          #:another (lambda ()
                      (score-network description #:parametrisation parametrisation
                                     #:sigma-data sigma-data #:spectrum spectrum
                                     #:precision precision))
          #:kind (format #f "score network, ~a, ~a" parametrisation
                                         (layer-kind body))
          #:procedure (lambda (x sigma) (score-in-parts scaled x sigma))
          #:parametrisation parametrisation #:sigma-data sigma-data #:precision precision
          #:description description #:body body #:scaled scaled
          #:parts `(("body" . ,body)))))

(define (scaled-score network x sigma)
  "|sigma| r(x, sigma), which is finite at any sigma: what DSM trains.  x f32 (N ...),
sigma f32 (N).
Example: (scaled-score net (tensor-zeros '(1 32 32 2)) (list->tensor '(0.5)))"
  ((scaled-procedure network) x sigma))

;; Images go through the network a few at a time: then a layer's output is still in
;; cache when the next reads it, and memory does not grow with the batch.
(define pixels-at-once 65536)

(define (score-in-parts scaled x sigma . beside)
  "The score r, of the type and shape of X, from SCALED, a procedure of x, sigma and BESIDE that
gives |sigma| r, a few images at a time and on no tape.  X: c64 or f32 (N H W), or f32 (N ...); SIGMA: a
number, or (N); BESIDE: tensors (N ...), which are cut as X is.
Example: (tensor->list (score-in-parts (lambda (x sigma) (tensor* -1 x)) (list->tensor '(3 5) '(2 1)) 0.5))
         => (-6.0 -10.0)"
  (let* ((shape (tensor-shape x))
         (count (car shape))
         (result (tensor-zeros shape (tensor-dtype x)))
         (together (max 1 (quotient (* pixels-at-once count) (max 1 (tensor-count x))))))
    (do ((n 0 (+ n together)))
        ((>= n count) result)
      (with-scope
       (lambda ()
         (let* ((end (min count (+ n together)))
                (part (lambda (t) (tensor-slice t 0 n end)))
                (images (part (with-channels x)))
                (sigmas (if (number? sigma)
                            (tensor-assign! (tensor-zeros (list (- end n))) sigma)
                            (tensor-copy (part sigma)))))
           (tensor-assign! (part (with-channels result))
                           (tensor/ (apply scaled images sigmas (map part beside))
                                    (per-item (tensor-abs sigmas) images)))
           #t))))))

;; J^T v is the gradient of <v, r>.  What batches are cut for is here the memory of the tape too.
(define-method (score-and-slope (network <score-network>) x sigma v)
  (let* ((count (car (tensor-shape x)))
         (r (tensor-zeros (tensor-shape x) (tensor-dtype x)))
         (together (max 1 (quotient (* pixels-at-once count) (max 1 (tensor-count x))))))
    (let loop ((n 0) (slopes '()))
      (if (>= n count)
          (values r (list->vector (concatenate (reverse slopes))))
          (let* ((end (min count (+ n together)))
                 (part (lambda (t) (tensor-copy (tensor-slice (with-channels t) 0 n end)))))
            (loop end
                  (cons (with-scope
                         (lambda ()
                           (let* ((images (part x)) (direction (part v))
                                  (sigmas (tensor-assign! (tensor-zeros (list (- end n))) sigma))
                                  (of-part #f)
                                  (gradient
                                   (call-with-values
                                       (lambda ()
                                         (gradients
                                          (lambda ()
                                            (set! of-part (tensor/ (scaled-score network images sigmas) sigma))
                                            (tensor-sum (tensor* direction of-part)))
                                          (list images)))
                                     (lambda (value gradients) (first gradients)))))
                             (tensor-assign! (tensor-slice (with-channels r) 0 n end) of-part)
                             (vector->list (chains-dot direction gradient)))))
                        slopes)))))))

;;; --- Bodies ---------------------------------------------------------------------------

(define bodies
  `((paper-unet . ,paper-unet) (code-unet . ,code-unet) (edm-unet . ,edm-unet) (drunet . ,drunet)
    (moons-mlp . ,moons-mlp)))

(define (add-body! name procedure)
  "Let a description (NAME #:key value ...) mean the body that PROCEDURE makes of the keywords
and values, in `score-network' and `load-network': a layer of images (N H W C) and a number
of noise for each, (N), that gives images.
Example: (begin
           (add-body! 'plain (lambda* (#:key (channels 8))
                               (let ((in (convolution-layer 2 channels #:activation 'relu))
                                     (out (convolution-layer channels 2)))
                                 (make-layer \"plain\" (lambda (images noise) (out (in images)))
                                             #:parts `((\"in\" . ,in) (\"out\" . ,out))))))
           (parameter-count (score-network '(plain #:channels 4)))) => 150"
  (check-that (symbol? name) 'add-body! "name: expected a symbol, got ~s" name)
  (check-that (procedure? procedure) 'add-body! "procedure: expected one, got ~s" procedure)
  (set! bodies (acons name procedure (alist-delete name bodies eq?))))

(define (build-body description)
  "The body that DESCRIPTION, (name #:key value ...), names: a layer, see `add-body!'.  It is
data: values are taken as they are and nothing is evaluated.
Example: (layer-kind (build-body '(paper-unet #:channels (4 8)))) => \"paper-unet, channels (4 8)\""
  (let ((maker (and (pair? description) (list? description)
                    (assq-ref bodies (car description)))))
    (check-that maker 'score-network "description: expected (NAME #:key value ...) with a name ~
among ~a, got ~s" (map car bodies) description)
    (catch-errors
     (lambda () (apply maker (cdr description)))
     (lambda (key . arguments)
       (complain 'score-network "description: ~s: ~a" description
                 (string-trim-right (error-text key arguments)))))))

(define score-format "tempera-score-network-1")

(define (score-network-from-metadata field bad)
  "The score network that the settings in a file describe: see `load-network'."
  (let ((parametrisation (string->symbol (field "parametrisation")))
        (sigma-data (metadata-datum field "sigma-data")))
    (score-network (or (metadata-datum field "body") (bad "body: unreadable"))
                   #:parametrisation parametrisation
                   #:spectrum (and (eq? parametrisation 'wiener)
                                   (let ((spectrum (metadata-datum field "spectrum")))
                                     (if (power-law? spectrum)
                                         spectrum
                                         (bad "spectrum: expected three positive numbers"))))
                   #:precision (string->symbol (field "precision"))
                   #:sigma-data (if (positive-number? sigma-data)
                                    sigma-data
                                    (bad "sigma-data: expected a positive number, got ~s" sigma-data)))))

(define-method (network-inputs (network <score-network>) count size)
  (let* ((description (network-description network))
         (side (or size example-size))
         (channels (memq #:image-channels description)))
    (list (random-normal (cond ((eq? 'moons-mlp (car description)) (list count 2))
                               ((not channels) (list count side side 2))
                               ((= 1 (cadr channels)) (list count side side))
                               (else (list count side side (cadr channels))))
                         1)
          1.0)))

(document
 (network-body
  "The layer inside of NETWORK, which its parametrisation makes a score of.
Example: (layer-kind (network-body net))")
 (network-description
  "The datum that describes the body of NETWORK, as `score-network' took it.
Example: (network-description net) => (paper-unet #:channels (4 8) #:blocks 1)")
 (network-parametrisation
  "How NETWORK makes a score of its body: paper, preconditioned, residual or wiener.
Example: (network-parametrisation net) => preconditioned")
 (network-precision
  "The precision of NETWORK's convolutions: float32 or bf16.
Example: (network-precision net) => float32")
 (network-sigma-data
  "The standard deviation of the data that NETWORK is scaled for.
Example: (network-sigma-data net)")
 (<score-network>
  "The class of score networks, for methods of your own."))
