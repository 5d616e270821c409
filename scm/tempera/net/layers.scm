;;; layers.scm -- layers: procedures that own parameters.
;;;
;;; A layer is applied to tensors like any procedure, and knows its parameters
;;; (which training changes), its buffers (running statistics) and the layers
;;; it is made of.  A new layer draws its parameters from the initial seed in
;;; force, in the order in which layers are made.

(define-module (tempera net layers)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (<layer> make-layer layer? layer-kind layer-parts
            layer-parameters layer-buffers parameter-count
            training? convolution-precision upsampled with-initial-seed with-parameter-limit
            convolution-layer convolution-unit batch-norm-layer dense-layer
            up-convolution-layer group-norm-layer attention-layer noise-embedding layer-sequence))

(define-class <layer> (<applicable-struct>)
  (kind #:init-keyword #:kind #:getter layer-kind)
  (own-parameters #:init-keyword #:parameters #:init-value '() #:getter own-parameters)
  (own-buffers #:init-keyword #:buffers #:init-value '() #:getter own-buffers)
  (parts #:init-keyword #:parts #:init-value '() #:getter layer-parts)
  #:metaclass <applicable-struct-class>)

(define (layer? object)
  "Whether OBJECT is a layer.
Example: (layer? (dense-layer 2 2)) => #t"
  (is-a? object <layer>))

(define* (make-layer kind procedure #:key (parameters '()) (buffers '()) (parts '()))
  "A layer that applies PROCEDURE.  KIND, a string, says what it prints as; PARAMETERS
and BUFFERS are its own, as an association list from name (a string) to tensor;
PARTS those it calls, from name to layer.
Example: (make-layer \"double\" (lambda (x) (tensor* 2 x)))"
  (make <layer> #:procedure procedure #:kind kind #:parameters parameters
        #:buffers buffers #:parts (filter (lambda (part) (layer? (cdr part))) parts)))

(define (collect who layer own)
  (check-that (layer? layer) who "layer: expected a layer, got ~s" layer)
  (let walk ((layer layer) (prefix ""))
    (append (map (lambda (entry) (cons (string-append prefix (car entry)) (cdr entry)))
                 (own layer))
            (append-map (lambda (part)
                          (walk (cdr part) (string-append prefix (car part) ".")))
                        (layer-parts layer)))))

(define (layer-parameters layer)
  "All parameters of LAYER and its parts, an association list from dotted name to
tensor.
Example: (map car (layer-parameters (dense-layer 2 3))) => (\"weights\" \"bias\")"
  (collect 'layer-parameters layer own-parameters))

(define (layer-buffers layer)
  "All buffers of LAYER and its parts (running statistics), as layer-parameters.
Example: (layer-buffers (batch-norm-layer 8))"
  (collect 'layer-buffers layer own-buffers))

(define (parameter-count layer)
  "How many numbers LAYER learns.
Example: (parameter-count (dense-layer 2 3)) => 9"
  (apply + (map (lambda (p) (tensor-count (cdr p))) (layer-parameters layer))))

(define (print-layer layer port)
  (format port "#<~a, ~a parameters>" (layer-kind layer) (parameter-count layer)))

(define-method (write (layer <layer>) port)
  (print-layer layer port))

(define-method (display (layer <layer>) port)
  (print-layer layer port))

(define training?
  ;; Batch norm uses and updates the statistics of the batch where this is true.
  (make-parameter #f))

(define convolution-precision
  ;; Of the products of convolutions: float32, or bf16.
  (make-parameter 'float32))

(define (upsampled images)
  "IMAGES as a convolution reads them enlarged by two, each pixel a square of four, without
the enlarged images ever being made: what to give a convolution layer, alone or in a
list of parts whose channels follow one another.
Example: ((convolution-layer 8 4) (upsampled (tensor-zeros '(1 4 4 8))))"
  (cons 'upsampled images))

;;; --- Initial values -------------------------------------------------------------

(define initial-state (make-parameter (list 0 0))) ; seed, and the next stream

(define (with-initial-seed seed thunk)
  "Call THUNK with the parameters of layers made by it drawn from SEED.
Example: (with-initial-seed 1 (lambda () (dense-layer 2 3)))"
  (parameterize ((initial-state (list seed 0)))
    (thunk)))

(define numbers-left
  ;; How many numbers the layers made now may still have, in a list; #f: as many as they like.
  (make-parameter #f))

(define (with-parameter-limit count thunk)
  "Call THUNK; it is an error if the layers made by it draw more than COUNT numbers.  So a file that
describes a network larger than itself is refused before there is memory for that.
Example: (with-parameter-limit 6 (lambda () (parameter-count (dense-layer 2 3)))) => 9"
  (parameterize ((numbers-left (list count)))
    (thunk)))

(define (count-numbers! shape)
  (let ((left (numbers-left)))
    (when left
      (set-car! left (- (car left) (apply * shape)))
      (check-that (>= (car left) 0) 'layer "it would have more parameters than there are in its file"))))

(define (initial-normal shape sd)
  (count-numbers! shape)
  (let* ((state (initial-state))
         (stream (cadr state)))
    (set-car! (cdr state) (1+ stream))
    (tensor* sd (random-normal shape (car state) stream))))

(define (he-sd fan-in gain)
  ;; He et al. 2015: keeps the variance of activations through a ReLU.
  (* gain (sqrt (/ 2.0 fan-in))))

(define (parameter tensor)
  (require-gradient! tensor))

;;; --- Convolution ----------------------------------------------------------------

(define (activation-slope activation)
  (cond ((not activation) 1)
        ((eq? activation 'relu) 0)
        ((and (real? activation) (<= 0 activation 1)) activation)
        (else (complain 'layer "activation: expected #f, relu or a slope from 0 to 1, got ~s"
                        activation))))

(define* (convolution-layer in out #:key (size 3) (stride 1) (bias? #t) (activation #f) (gain 1))
  "A layer of convolution from IN to OUT channels with an odd window of SIZE, zeros
around so that stride 1 keeps rows and columns, then a bias and ACTIVATION (#f,
relu, or the slope of a leaky ReLU).  Applied to images (N H W IN), or a list of
parts whose channels make IN together, some of them upsampled, and optionally a
residual of the result's shape that is added before the activation.  Initial weights
are He's, times GAIN.
Example: ((convolution-layer 3 8 #:activation 'relu) (tensor-zeros '(1 16 16 3)))"
  (let ((weights (parameter (initial-normal (list size size in out)
                                            (he-sd (* size size in) gain))))
        (bias (and bias? (parameter (tensor-zeros (list out)))))
        (padding (quotient (1- size) 2))
        (slope (activation-slope activation)))
    (make-layer (format #f "convolution ~a -> ~a, ~ax~a~a" in out size size
                        (if activation (format #f ", ~a" activation) ""))
                (lambda* (images #:optional residual)
                  (convolution images weights bias residual stride padding slope
                               (convolution-precision)))
                #:parameters `(("weights" . ,weights)
                               ,@(if bias `(("bias" . ,bias)) '())))))

(define batch-norm-epsilon 1e-5)
(define batch-norm-decay 0.9)

(define* (batch-norm-layer channels #:key (decay batch-norm-decay) (activation #f))
  "Batch normalisation of CHANNELS channels, the last axis, then ACTIVATION.  Running
statistics, which forget by DECAY a batch, serve outside training.
Example: ((batch-norm-layer 8) (tensor-zeros '(2 4 4 8)))"
  (let ((gamma (parameter (tensor-assign! (tensor-zeros (list channels)) 1)))
        (beta (parameter (tensor-zeros (list channels))))
        (mean (tensor-zeros (list channels)))
        (variance (tensor-assign! (tensor-zeros (list channels)) 1))
        (slope (activation-slope activation)))
    (make-layer (format #f "batch norm of ~a" channels)
                (lambda (images)
                  (batch-normalisation images (list gamma beta mean variance)
                                       (training?) decay batch-norm-epsilon slope))
                #:parameters `(("gamma" . ,gamma) ("beta" . ,beta))
                #:buffers `(("mean" . ,mean) ("variance" . ,variance)))))

(define* (convolution-unit in out #:key (size 3) (normalisation 'batch) (activation 'relu)
                           (gain 1))
  "Convolution, NORMALISATION (batch or #f) and ACTIVATION as one layer: what U-nets
are made of.  Applied as a convolution-layer.  Outside training batch norm is folded
into the convolution, so that one pass does all.
Example: (convolution-unit 32 64)"
  (case normalisation
    ((#f) (convolution-layer in out #:size size #:activation activation #:gain gain))
    ((batch)
     (let* ((convolve (convolution-layer in out #:size size #:bias? #f))
            (slope (activation-slope activation))
            (normalise (batch-norm-layer out))
            (padding (quotient (1- size) 2))
            (weights (assoc-ref (layer-parameters convolve) "weights"))
            (norm (map cdr (append (layer-parameters normalise) (layer-buffers normalise)))))
       (make-layer (format #f "convolution ~a -> ~a, ~ax~a, batch norm~a" in out size size
                           (if activation (format #f ", ~a" activation) ""))
                   (lambda* (images #:optional residual)
                     (normalised-convolution images weights norm residual padding (training?)
                                             batch-norm-decay batch-norm-epsilon slope
                                             (convolution-precision)))
                   #:parts `(("convolution" . ,convolve) ("norm" . ,normalise)))))
    (else (complain 'convolution-unit "normalisation: expected batch or #f, got ~s"
                    normalisation))))

(define* (up-convolution-layer in out #:key (size 3) (activation #f))
  "Nearest-neighbour enlargement by two, then a convolution: the up-convolution that
leaves no checkerboard (appendix A.1).
Example: ((up-convolution-layer 8 4) (tensor-zeros '(1 4 4 8)))"
  (let ((convolve (convolution-layer in out #:size size #:activation activation)))
    (make-layer (format #f "up-convolution ~a -> ~a" in out)
                (lambda (images) (convolve (upsampled images)))
                #:parts `(("convolution" . ,convolve)))))

;;; --- Of today's score networks ----------------------------------------------------

(define* (group-norm-layer channels #:key (groups (default-groups channels)) (activation #f))
  "Normalisation of each image by GROUPS groups of its CHANNELS channels (Wu, He 2018), which they divide, by
default of four each or more, at most 32; then ACTIVATION, #f or silu.  Applied to images (N H W
CHANNELS) and optionally to scales and shifts of each image and channel (N 2 CHANNELS), see
`group-normalisation'.
Example: ((group-norm-layer 8 #:activation 'silu) (tensor-zeros '(2 4 4 8)))"
  (check-that (memq activation '(#f silu)) 'group-norm-layer
              "activation: expected #f or silu, got ~s" activation)
  (check-divides 'group-norm-layer "groups" groups channels)
  (let ((gamma (parameter (tensor-assign! (tensor-zeros (list channels)) 1)))
        (beta (parameter (tensor-zeros (list channels)))))
    (make-layer (format #f "group norm of ~a in ~a~a" channels groups
                        (if activation ", silu" ""))
                (lambda* (images #:optional modulation)
                  (group-normalisation images gamma beta modulation groups 1e-5
                                       (eq? activation 'silu)))
                #:parameters `(("gamma" . ,gamma) ("beta" . ,beta)))))

(define (largest-divisor n most)
  ;; The largest divisor of N of at most MOST, at least 1.
  (let loop ((d (max most 1)))
    (if (zero? (modulo n d)) d (loop (1- d)))))

(define (check-channels procedure channels)
  (check-that (and (exact-integer? channels) (> channels 0)) procedure
              "channels: expected a positive integer, got ~s" channels))

(define (check-divides procedure name parts channels)
  (check-channels procedure channels)
  (check-that (and (exact-integer? parts) (> parts 0) (zero? (modulo channels parts))) procedure
              "~a: expected a divisor of the ~a channels, got ~s" name channels parts))

(define (default-groups channels)
  (check-channels 'group-norm-layer channels)
  (largest-divisor channels (min 32 (quotient channels 4))))

(define (default-heads channels)
  (check-channels 'attention-layer channels)
  (largest-divisor channels (quotient channels 64)))

(define* (attention-layer channels #:key (heads (default-heads channels)))
  "A residual block of self-attention among all positions (Ho et al. 2020): group norm, queries,
keys and values by a 1 x 1 convolution, `self-attention' of HEADS heads (by default of 64
channels each or more), and a projection, at first zero, added to the images (N H W CHANNELS).
Example: ((attention-layer 8) (tensor-zeros '(1 4 4 8)))"
  (check-divides 'attention-layer "heads" heads channels)
  (let ((normalise (group-norm-layer channels))
        (qkv (convolution-layer channels (* 3 channels) #:size 1 #:gain (sqrt 1/2)))
        (project (convolution-layer channels channels #:size 1 #:gain 0)))
    (make-layer (format #f "attention of ~a, ~a heads" channels heads)
                (lambda (images)
                  (project (self-attention (qkv (normalise images)) heads) images))
                #:parts `(("norm" . ,normalise) ("qkv" . ,qkv) ("projection" . ,project)))))

(define* (noise-embedding features out)
  "A layer of noises (N), as a network is given them, that makes OUT numbers of each: FEATURES
cosines and sines of it, with frequencies from 1 down to 1e-4 (Vaswani et al. 2017), then two
dense layers, SiLU after either.
Example: (tensor-shape ((noise-embedding 16 64) (list->tensor '(0.5 2)))) => (2 64)"
  (check-that (and (exact-integer? features) (even? features) (> features 0)) 'noise-embedding
              "features: expected a positive even integer, got ~s" features)
  (let* ((half (quotient features 2))
         (frequencies (tensor-tabulate (list 1 half) (lambda (i j) (expt 1e-4 (/ j half)))))
         (first (dense-layer features out #:gain (sqrt 1/2)))
         (second (dense-layer out out)))
    (make-layer (format #f "noise embedding -> ~a" out)
                (lambda (noise)
                  (let ((phases (tensor* (tensor-reshape noise '(-1 1)) frequencies)))
                    (silu (second (silu (first (tensor-concatenate
                                                (list (tensor-cos phases) (tensor-sin phases))
                                                -1)))))))
                #:parts `(("first" . ,first) ("second" . ,second)))))

;;; --- Others ---------------------------------------------------------------------

(define* (dense-layer in out #:key (activation #f) (gain 1))
  "A fully connected layer from IN to OUT numbers, then ACTIVATION.  Applied to (N IN).
Example: ((dense-layer 2 128 #:activation 'relu) (tensor-zeros '(5 2)))"
  (let ((weights (parameter (initial-normal (list in out) (he-sd in gain))))
        (bias (parameter (tensor-zeros (list out))))
        (slope (activation-slope activation)))
    (make-layer (format #f "dense ~a -> ~a" in out)
                (lambda (x) (dense x weights bias slope))
                #:parameters `(("weights" . ,weights) ("bias" . ,bias)))))

(define (layer-sequence . layers)
  "LAYERS (or plain procedures of one tensor) applied one after the other.
Example: (layer-sequence (dense-layer 2 8) relu (dense-layer 8 2))"
  (make-layer "sequence"
              (lambda (x) (fold (lambda (layer x) (layer x)) x layers))
              #:parts (map (lambda (i layer) (cons (number->string i) layer))
                           (iota (length layers)) layers)))

(document
 (layer-kind
  "What LAYER is, a string such as \"convolution\".
Example: (layer-kind (dense-layer 2 3))")
 (layer-parts
  "The layers that LAYER is made of, a list of (name . layer).
Example: (map car (layer-parts (layer-sequence (dense-layer 2 8) (dense-layer 8 2))))")
 (training?
  "Whether layers behave as in training; a parameter object.
Example: (training?) => #f")
 (convolution-precision
  "The precision of convolutions' products, float32 or bf16; a parameter object.
Example: (convolution-precision) => float32")
 (<layer>
  "The class of layers, for methods of your own."))
