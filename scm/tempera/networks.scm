;;; networks.scm -- score networks: the paper's appendix A.1, its authors' code, and a toy.
;;;
;;; A body maps images (N H W C) and a number of noise for each (N) to images.
;;; A score network wraps a body in a parametrisation: what the body's input
;;; and output have to do with x, sigma and the score r(x, sigma).

(define-module (tempera networks)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera errors)
  #:use-module (tempera files)
  #:use-module (tempera layers)
  #:use-module (tempera primitives)
  #:use-module (tempera tensors)
  #:export (<score-network> score-network? score-network scaled-score
            network-body network-parametrisation network-sigma-data network-description
            paper-unet code-unet moons-mlp
            save-network load-network network-metadata))

;;; --- Noise as channels ----------------------------------------------------------

(define (with-noise-map images noise copies)
  "IMAGES (N H W C) with COPIES more channels that hold each image's NOISE (N)."
  (let* ((shape (tensor-shape images))
         (map-shape (append (list-head shape 3) (list copies)))
         (column (tensor-reshape noise '(-1 1 1 1))))
    (tensor-concatenate (list images (tensor-broadcast column map-shape)) -1)))

;;; --- Residual blocks ------------------------------------------------------------

(define* (residual-block in out #:key convolutions normalisation)
  "CONVOLUTIONS units, ReLU after each but the last, plus the input, projected where
its channels differ (appendix A.1)."
  (let* ((units (map (lambda (i)
                       (let ((last? (= i (1- convolutions))))
                         (convolution-unit (if (zero? i) in out) out
                                           #:normalisation normalisation
                                           #:activation (if last? #f 'relu)
                                           ;; Without a norm to hold it, a block begins
                                           ;; close to the identity.
                                           #:gain (if (and last? (not normalisation)) 0.2 1))))
                     (iota convolutions)))
         (project (if (= in out) identity (convolution-layer in out #:size 1))))
    (make-layer (format #f "residual block ~a -> ~a" in out)
                (lambda (x)
                  (let loop ((h x) (units units))
                    (if (null? (cdr units))
                        ((car units) h (project x))
                        (loop ((car units) h) (cdr units)))))
                #:parts `(,@(map (lambda (i unit) (cons (number->string i) unit))
                                 (iota convolutions) units)
                          ("projection" . ,project)))))

(define (blocks-of count in out block)
  "COUNT residual blocks in a row, the first from IN to OUT channels."
  (apply layer-sequence
         (map (lambda (i) (block (if (zero? i) in out) out)) (iota count))))

;;; --- The U-net ------------------------------------------------------------------

(define* (unet in out #:key channels top bottom-noise block blocks-down blocks-up up)
  "A U-net from IN + 1 channels (one of noise) to OUT.  CHANNELS by scale, the largest
first; TOP: (top in channels) makes the layer that enters the first scale, or
#f; BOTTOM-NOISE maps of noise join at the lowest scale; BLOCK: (block in out);
UP: (up in out) makes what climbs a scale."
  (let* ((scales (length channels))
         (stem (and top (top (1+ in) (car channels))))
         (entry (if stem (car channels) (1+ in)))
         (down (let loop ((s 0) (from entry))
                 (if (= s scales) '()
                     (let ((to (list-ref channels s))
                           (lowest? (= s (1- scales))))
                       (cons (blocks-of blocks-down (+ from (if lowest? bottom-noise 0)) to block)
                             (loop (1+ s) to))))))
         (climb (map (lambda (s) (up (list-ref channels (1+ s)) (list-ref channels s)))
                     (iota (1- scales))))
         (merge (map (lambda (s)
                       (let ((c (list-ref channels s))) (blocks-of blocks-up (* 2 c) c block)))
                     (iota (1- scales))))
         ;; The first outputs are small, whatever the depth.
         (head (convolution-layer (car channels) out #:gain 0.05)))
    (define (named prefix layers)
      (map (lambda (i layer) (cons (format #f "~a~a" prefix i) layer))
           (iota (length layers)) layers))
    (make-layer
     (format #f "U-net ~a -> ~a, channels ~a" in out channels)
     (lambda (images noise)
       (check-that (every (lambda (n) (zero? (modulo n (expt 2 (1- scales)))))
                          (list-head (cdr (tensor-shape images)) 2))
                   'unet "images: expected rows and columns divisible by ~a, got shape ~a"
                   (expt 2 (1- scales)) (tensor-shape images))
       (let* ((input (with-noise-map images noise 1))
              (first-scale (if stem (stem input) input)))
         (head
          (let descend ((x first-scale) (s 0))
            (if (= s (1- scales))
                ((list-ref down s) (if (zero? bottom-noise) x
                                       (with-noise-map x noise bottom-noise)))
                (let* ((here ((list-ref down s) x))
                       (below (descend (average-pool here) (1+ s))))
                  ((list-ref merge s)
                   (tensor-concatenate (list here ((list-ref climb s) below)) -1))))))))
     #:parts `(("stem" . ,stem) ,@(named "down" down) ,@(named "climb" climb)
               ,@(named "merge" merge) ("head" . ,head)))))

(define* (paper-unet #:key (channels '(32 64 128)) (blocks 2) (convolutions 3)
                     (normalisation 'batch) (seed 0))
  "The body of appendix A.1: a U-net of residual blocks of CONVOLUTIONS convolutions
with batch norm (NORMALISATION; #f: none), BLOCKS a scale down and up, average
pooling down, up-convolution up, the noise map at the input and at the lowest
scale.  Images (N H W 2), noise (N).  About 1.5 M parameters as it stands.
Example: (paper-unet #:channels '(16 32) #:blocks 1)"
  (with-initial-seed seed
    (lambda ()
      (unet 2 2 #:channels channels #:top #f #:bottom-noise 1
            #:block (lambda (in out)
                      (residual-block in out #:convolutions convolutions
                                      #:normalisation normalisation))
            #:blocks-down blocks #:blocks-up blocks
            #:up up-convolution-layer))))

(define* (code-unet #:key (seed 0))
  "The body as the authors' code has it (not as appendix A.1 says): four scales of 32,
64, 128, 128 channels, two blocks of two convolutions each way, ReLU after the
sum, a 7x7 stem, 128 noise maps at the lowest scale.  Images (N H W 2), noise
(N).
Example: (code-unet)"
  (define (block in out)
    (let ((first (convolution-unit in out))
          (second (convolution-unit out out))
          (shortcut (if (= in out) identity
                        (convolution-unit in out #:size 1 #:activation #f))))
      (make-layer (format #f "block ~a -> ~a" in out)
                  (lambda (x) (second (first x) (shortcut x)))
                  #:parts `(("first" . ,first) ("second" . ,second)
                            ("shortcut" . ,shortcut)))))
  (with-initial-seed seed
    (lambda ()
      (unet 2 2 #:channels '(32 64 128 128)
            #:top (lambda (in out) (convolution-layer in out #:size 7 #:bias? #f))
            #:bottom-noise 128 #:block block #:blocks-down 2 #:blocks-up 2
            #:up up-convolution-layer))))

(define* (moons-mlp #:key (seed 0) (width 128))
  "The body for two moons: (x, noise) to WIDTH, WIDTH, 2 and again, the noise fed once
more in between.  Points (N 2), noise (N).
Example: (moons-mlp #:seed 1)"
  (with-initial-seed seed
    (lambda ()
      (define (half)
        (layer-sequence (dense-layer 3 width #:activation 'relu)
                        (dense-layer width width #:activation 'relu)
                        (dense-layer width 2)))
      (let ((first (half)) (second (half)))
        (make-layer "two-moons MLP"
                    (lambda (points noise)
                      (let ((with-noise
                             (lambda (x)
                               (tensor-concatenate (list x (tensor-reshape noise '(-1 1))) -1))))
                        (second (with-noise (first (with-noise points))))))
                    #:parts `(("first" . ,first) ("second" . ,second)))))))

;;; --- Parametrisations -----------------------------------------------------------

(define-class <score-network> (<layer>)
  (parametrisation #:init-keyword #:parametrisation #:getter network-parametrisation)
  (sigma-data #:init-keyword #:sigma-data #:getter network-sigma-data)
  (description #:init-keyword #:description #:getter network-description)
  (body #:init-keyword #:body #:getter network-body)
  (scaled #:init-keyword #:scaled #:getter scaled-procedure)
  #:metaclass <applicable-struct-class>)

(define (score-network? object)
  "Whether OBJECT is a score network.
Example: (score-network? car) => #f"
  (is-a? object <score-network>))

(define (per-image values x)
  "VALUES (N) shaped to multiply X (N ...)."
  (tensor-reshape values (cons -1 (make-list (1- (length (tensor-shape x))) 1))))

(define (paper-scaled-score body)
  ;; r = h (x, sigma) / |sigma|, so that |sigma| r is what the body gives.
  (lambda (x sigma)
    (body x sigma)))

(define (preconditioned-scaled-score body s)
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
           (h (body (tensor* x (per-image c-in x)) log-sigma)))
      (tensor- (tensor* h (per-image (tensor* s c-in) x))
               (tensor* x (per-image (tensor/ magnitude total) x))))))

(define* (score-network description #:key (parametrisation 'preconditioned) (sigma-data 30))
  "A score network: applied to x and sigma it gives the score r(x, sigma) of x's
distribution under noise sigma.  x: c64 (N H W), or f32 (N ...) as the body
takes; sigma: a number, or (N).  DESCRIPTION says which body, as data: (paper-unet
#:channels (32 64 128)), (code-unet) or (moons-mlp).  PARAMETRISATION: paper (the body
sees x and the signed sigma, its output is divided by |sigma|: appendix A.1), or
preconditioned (input scaled to unit variance, a skip and an output scale that
depend on sigma, noise fed as log sigma), for which SIGMA-DATA is the standard
deviation of the data.
Example: (score-network '(paper-unet #:channels (16 32) #:blocks 1))"
  (let* ((body (build description))
         (scaled (case parametrisation
                   ((paper) (paper-scaled-score body))
                   ((preconditioned) (preconditioned-scaled-score body sigma-data))
                   (else (complain 'score-network "parametrisation: expected paper or ~
preconditioned, got ~s" parametrisation)))))
    (make <score-network> #:kind (format #f "score network, ~a, ~a" parametrisation
                                         (layer-kind body))
          #:procedure (lambda (x sigma) (score-of scaled x sigma))
          #:parametrisation parametrisation #:sigma-data sigma-data
          #:description description #:body body #:scaled scaled
          #:parts `(("body" . ,body)))))

(define (scaled-score network x sigma)
  "|sigma| r(x, sigma), which is finite at any sigma: what DSM trains.  x f32 (N ...),
sigma f32 (N).
Example: (scaled-score net (tensor-zeros '(1 32 32 2)) (list->tensor '(0.5)))"
  ((scaled-procedure network) x sigma))

(define (score-of scaled x sigma)
  (let* ((complex? (eq? (tensor-dtype x) 'c64))
         (count (car (tensor-shape x)))
         (sigmas (if (number? sigma)
                     (tensor-assign! (tensor-zeros (list count)) sigma)
                     sigma)))
    (with-scope
     (lambda ()
       (let* ((input (if complex? (real-view x) x))
              (q (scaled input sigmas))
              (r (tensor/ q (per-image (tensor-abs sigmas) input))))
         (if complex? (complex-view r) r))))))

;;; --- Descriptions and files -----------------------------------------------------

(define bodies
  `((paper-unet . ,paper-unet) (code-unet . ,code-unet) (moons-mlp . ,moons-mlp)))

(define (build description)
  "The body that DESCRIPTION, (name #:key value ...), names.  It is data: values are
taken as they are and nothing is evaluated."
  (let ((maker (and (pair? description) (list? description)
                    (assq-ref bodies (car description)))))
    (check-that maker 'score-network "description: expected (NAME #:key value ...) with a name ~
among ~a, got ~s" (map car bodies) description)
    (catch #t
      (lambda () (apply maker (cdr description)))
      (lambda (key . arguments)
        (complain 'score-network "description: ~s: ~a" description
                  (string-trim-right (error-text key arguments)))))))

(define (network-metadata network)
  "What a file needs besides weights to make NETWORK again, from string to string."
  `(("format" . "tempera-score-network-1")
    ("body" . ,(object->string (network-description network)))
    ("parametrisation" . ,(symbol->string (network-parametrisation network)))
    ("sigma-data" . ,(number->string (network-sigma-data network)))))

(define* (save-network path network #:key (metadata '()))
  "Write NETWORK to the safetensors file PATH: its parameters, buffers, and how it is
built.  METADATA, from string to string, goes with them: how it was trained.
Example: (save-network \"brain.safetensors\" net #:metadata '((\"data\" . \"T1 heads\")))"
  (save-safetensors path (append (layer-parameters network) (layer-buffers network))
                    #:metadata (append (network-metadata network) metadata)))

(define (load-network path)
  "The score network in the safetensors file PATH.
Example: (load-network \"priors/brain.safetensors\")"
  (define (bad text . arguments)
    (complain 'load-network "~a: ~a" path (apply format #f text arguments)))
  (define-values (tensors metadata) (load-safetensors path))
  (define (field name)
    (or (assoc-ref metadata name)
        (bad "not a score network of Tempera: its metadata has no ~s" name)))
  (unless (equal? (field "format") "tempera-score-network-1")
    (bad "expected format tempera-score-network-1, got ~s" (field "format")))
  (let* ((description (catch #t
                        (lambda () (with-input-from-string (field "body") read))
                        (lambda _ (bad "body: unreadable"))))
         (sigma-data (string->number (field "sigma-data")))
         (network (score-network description
                                 #:parametrisation (string->symbol (field "parametrisation"))
                                 #:sigma-data (or (and (real? sigma-data) sigma-data)
                                                  (bad "sigma-data: expected a number")))))
    (for-each
     (lambda (entry)
       (let ((loaded (assoc-ref tensors (car entry))))
         (unless loaded (bad "no tensor ~s" (car entry)))
         (unless (equal? (tensor-shape loaded) (tensor-shape (cdr entry)))
           (bad "tensor ~s: expected shape ~a, got ~a" (car entry)
                (tensor-shape (cdr entry)) (tensor-shape loaded)))
         (unless (tensor-finite? loaded) (bad "tensor ~s: it has NaN or infinite values" (car entry)))
         (tensor-assign! (cdr entry) loaded)))
     (append (layer-parameters network) (layer-buffers network)))
    network))
