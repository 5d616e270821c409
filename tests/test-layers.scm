;;; test-layers.scm -- every layer against PyTorch's stored values
;;; (torch_reference.py), its bad shapes, and how it prints.

(use-modules (harness) (srfi srfi-1) (srfi srfi-11) (oop goops)
             (tempera tensor primitives) (tempera tensor tensors) (tempera net layers) (tempera net networks) (tempera net score-networks) (tempera method network-files) (tempera net unets)
             (tempera net drunet) (tempera net edm-unet) (tempera net noise-levels) (tempera net trainer)
             (tempera file safetensors) (tempera problem priors) (tempera problem gaussian))

(start-tests "layers")

(define stored
  (call-with-values (lambda () (load-safetensors (test-file "reference/layers.safetensors")))
    (lambda (tensors metadata) tensors)))

(define (reference case name)
  (or (assoc-ref stored (string-append case "/" name))
      (error "no reference" case name)))

(define (relative-error a b)
  ;; Largest difference over the largest reference value.
  (let ((scale (tensor->number (tensor-max (tensor-abs b)))))
    (/ (tensor->number (tensor-max (tensor-abs (tensor- a b)))) (max scale 1e-30))))

(define (test-close name a b)
  ;; float32 sums of up to a few hundred products in another order: n * 2^-24
  ;; bounds the relative error at about 2e-5.
  (test-assert (format #f "~a: ~a" name (relative-error a b))
    (and (equal? (tensor-shape a) (tensor-shape b)) (< (relative-error a b) 2e-5))))

(define (check-layer case inputs procedure)
  "The output of PROCEDURE on the stored INPUTS, and the gradient of each."
  (let* ((tensors (map (lambda (n) (require-gradient! (tensor-copy (reference case n)))) inputs))
         (tape (make-tape))
         (y (with-tape tape (lambda () (apply procedure tensors)))))
    (test-close (string-append case ", output") y (reference case "y"))
    (tape-backward! tape y (reference case "g"))
    (for-each (lambda (name tensor)
                (test-close (string-append case ", gradient of " name)
                            (tensor-gradient tensor)
                            (reference case (string-append "grad-" name))))
              inputs tensors)))

(define* (conv stride padding #:optional (slope 1))
  (lambda* (x w b #:optional r) (convolution x w b r stride padding slope)))

(check-layer "conv-3x3" '("x" "w" "b") (conv 1 1))
(check-layer "conv-3x3-residual-relu" '("x" "w" "b" "r") (conv 1 1 0))
(check-layer "conv-5x5-stride" '("x" "w" "b") (conv 2 2))
(check-layer "conv-3x3-stride-even" '("x" "w" "b") (conv 2 1))
(check-layer "conv-1x1-leaky" '("x" "w" "b") (conv 1 0 0.1))
(check-layer "conv-7x7-valid" '("x" "w" "b") (conv 1 0))
(check-layer "conv-3x5" '("x" "w" "b") (conv 1 1))
(check-layer "relu" '("x") relu)
(check-layer "leaky-relu" '("x") (lambda (x) (leaky-relu x 0.2)))
(check-layer "average-pool" '("x") average-pool)
(check-layer "max-pool" '("x") max-pool)
(check-layer "upsample" '("x") upsample)
(check-layer "up-convolution" '("x" "w" "b")
             (lambda (x w b) (convolution (upsample x) w b #f 1 1)))
(check-layer "concatenate" '("a" "b") (lambda (a b) (tensor-concatenate (list a b) -1)))
(check-layer "add" '("a" "b") tensor+)
(check-layer "dense" '("x" "w" "b") dense)
(check-layer "silu" '("x") silu)
(check-layer "group-norm" '("x" "gamma" "beta")
             (lambda (x gamma beta) (group-normalisation x gamma beta #f 3 1e-5 #f)))
(check-layer "group-norm-modulated" '("x" "gamma" "beta" "modulation")
             (lambda (x gamma beta modulation)
               (group-normalisation x gamma beta modulation 5 1e-5 #t)))
(check-layer "attention" '("qkv") (lambda (qkv) (self-attention qkv 2)))
(check-layer "pixel-unshuffle" '("x") pixel-unshuffle)
(check-layer "pixel-shuffle" '("x") (lambda (x) (pixel-shuffle x 3)))

(define (check-batch-norm case training?)
  (let ((mean (tensor-copy (reference case "mean-before")))
        (variance (tensor-copy (reference case "variance-before"))))
    (check-layer case '("x" "gamma" "beta")
                 (lambda (x gamma beta)
                   (batch-normalisation x (list gamma beta mean variance) training? 0.9 1e-5 1)))
    (test-close (string-append case ", running mean") mean (reference case "mean-after"))
    (test-close (string-append case ", running variance") variance
                (reference case "variance-after"))))
(check-batch-norm "batch-norm-training" #t)
(check-batch-norm "batch-norm-running" #f)

(check-layer "dsm-loss" '("q")
             (lambda (q) (dsm-loss q (reference "dsm-loss" "u") (reference "dsm-loss" "sigma"))))

(let ((w (tensor-copy (reference "adam" "w")))
      (m (tensor-zeros '(6))) (v (tensor-zeros '(6))))
  (for-each (lambda (step)
              (adam-step! w (reference "adam" (format #f "g~a" step)) m v (1+ step)
                          '(0.01 0.8 0.95 1e-6)))
            '(0 1 2))
  (test-close "adam, three steps" w (reference "adam" "w-after")))

;;; Gradients accumulate: two backward passes add.

(let* ((w (require-gradient! (random-normal '(3 3 2 4) 1)))
       (x (random-normal '(1 6 6 2) 2))
       (pass (lambda ()
               (let ((tape (make-tape)))
                 (tape-backward! tape (with-tape tape (lambda ()
                                                        (tensor-sum (convolution x w #f #f 1 1))))))
               (tensor-copy (tensor-gradient w))))
       (once (pass))
       (twice (pass)))
  (test-close "gradients accumulate" twice (tensor* 2 once)))

;;; The whole of a small paper-unet, with batch norm from its batch and folded.

(let ((body (paper-unet #:channels '(4 6 8) #:blocks 1 #:convolutions 2)))
  (define (named tensors)
    (map (lambda (p) (cons (string-append "body." (car p)) (cdr p))) tensors))
  (define parameters (named (layer-parameters body)))
  (for-each (lambda (p) (tensor-assign! (cdr p) (reference "unet" (car p))))
            (append parameters (named (layer-buffers body))))
  (let ((x (reference "unet" "x")) (noise (reference "unet" "noise")) (tape (make-tape)))
    (test-close "unet, running statistics" (body x noise) (reference "unet" "y-running"))
    (let ((y (with-tape tape (lambda () (parameterize ((training? #t)) (body x noise))))))
      (test-close "unet, training" y (reference "unet" "y-training"))
      (tape-backward! tape y (reference "unet" "g"))
      (for-each (lambda (p)
                  (test-close (string-append "unet, gradient of " (car p))
                              (tensor-gradient (cdr p))
                              (reference "unet" (string-append "grad-" (car p)))))
                parameters))))

;;; Today's networks, whole.

(define (check-network case body)
  (define parameters
    (map (lambda (p) (cons (string-append "body." (car p)) (cdr p))) (layer-parameters body)))
  (for-each (lambda (p) (tensor-assign! (cdr p) (reference case (car p)))) parameters)
  (let ((x (reference case "x")) (noise (reference case "noise")) (tape (make-tape)))
    (test-close (string-append case ", off the tape") (body x noise) (reference case "y"))
    (let ((y (with-tape tape (lambda () (body x noise)))))
      (test-close case y (reference case "y"))
      (tape-backward! tape y (reference case "g"))
      (for-each (lambda (p)
                  (test-close (format #f "~a, gradient of ~a" case (car p))
                              (tensor-gradient (cdr p))
                              (reference case (string-append "grad-" (car p)))))
                parameters))))
(check-network "edm-unet" (edm-unet #:width 8 #:multipliers '(1 1) #:blocks 1 #:attention '(4)
                                    #:unshuffle 2))
(check-network "edm-unet-plain" (edm-unet #:width 4 #:multipliers '(1 2) #:blocks 1 #:attention '(2)))
(check-network "drunet" (drunet #:channels '(3 4 5) #:blocks 2))

;;; What networks let go of and compute anew changes no gradient: a block in which
;;; everything is let go, against the same layers with everything kept.

(let* ((first (convolution-unit 3 18)) (second (convolution-unit 18 18 #:activation #f))
       (shortcut (convolution-unit 3 18 #:size 1 #:activation #f))
       (parameters (map cdr (append-map layer-parameters (list first second shortcut))))
       (x (random-normal '(1 280 280 3) 1)) ; outputs are large enough to let go
       (pass (lambda (let-go)
               (call-with-values
                   (lambda ()
                     (gradients (lambda ()
                                  (parameterize ((training? #t))
                                    (let* ((h (first x)) (s (shortcut x)) (y (second h s)))
                                      (let-go h)
                                      (let-go s)
                                      (tensor-sum (tensor-square y)))))
                                parameters))
                 (lambda (loss gradients) (map tensor-copy gradients))))))
  (test-assert "let go or kept, the same gradients"
    (every tensor-identical? (pass release!) (pass identity))))

;; A block of attention is its input at first; heads divide channels, whatever their number.
(let ((x (random-normal '(1 3 4 200) 1)))
  (test-assert "attention begins as nothing" (tensor-identical? x ((attention-layer 200) x))))

;; What group norms let go of changes no gradient either, also where a norm's input is a norm's output that was let go.

(let* ((gamma (require-gradient! (random-normal '(8) 1))) (beta (require-gradient! (random-normal '(8) 2)))
       (w (require-gradient! (random-normal '(3 3 8 2) 3)))
       (x (require-gradient! (random-normal '(2 150 150 8) 4)))
       (norm (lambda (x) (group-normalisation x gamma beta #f 2 1e-5 #t)))
       (pass (lambda (let-go)
               (call-with-values
                   (lambda ()
                     (gradients (lambda ()
                                  (let* ((h (norm x)) (k (norm h)) (y (convolution k w #f #f 1 1)))
                                    (let-go h)
                                    (let-go k)
                                    (tensor-sum (tensor-square y))))
                                (list x gamma beta w)))
                 (lambda (loss gradients) (map tensor-copy gradients))))))
  (test-assert "group norms let go or kept, the same gradients"
    (every tensor-identical? (pass release!) (pass identity))))

;;; Printing.

(define (printed object) (object->string object))

(test-equal "#<convolution 3 -> 8, 3x3, relu, 224 parameters>"
  (printed (convolution-layer 3 8 #:activation 'relu)))
(test-equal "#<batch norm of 8, 16 parameters>" (printed (batch-norm-layer 8)))
(test-equal "#<dense 2 -> 3, 9 parameters>" (printed (dense-layer 2 3)))
(test-equal "#<up-convolution 4 -> 2, 74 parameters>" (printed (up-convolution-layer 4 2)))
(test-equal "#<sequence, 15 parameters>"
  (printed (layer-sequence (dense-layer 2 3) relu (dense-layer 3 1) relu (lambda (x) x)
                           (dense-layer 1 1))))
(test-equal "#<convolution 2 -> 3, 3x3, batch norm, relu, 60 parameters>"
  (printed (convolution-unit 2 3)))
(test-equal "#<tensor f32 (2) (1.0 2.0)>" (printed (list->tensor '(1 2))))
(test-equal "#<tensor c64 (3 4)>" (printed (tensor-zeros '(3 4) 'c64)))
(test-equal "#<tape of 0 operations>" (printed (make-tape)))

;;; Bad shapes and values.

(define x (tensor-zeros '(1 8 8 3)))
(test-error-matching "conv channels" "convolution: images: expected 2 channels, as the weights have, got 3"
  (convolution x (tensor-zeros '(3 3 2 4)) #f #f 1 1))
(test-error-matching "conv even window" "weights: expected an odd window"
  (convolution x (tensor-zeros '(2 2 3 4)) #f #f 1 0))
(test-error-matching "conv stride" "stride: expected an integer from 1 to 2, got 3"
  (convolution x (tensor-zeros '(3 3 3 4)) #f #f 3 1))
(test-error-matching "conv too small" "images: expected at least 7 x 7"
  (convolution (tensor-zeros '(1 4 4 3)) (tensor-zeros '(7 7 3 1)) #f #f 1 0))
(test-error-matching "conv bias" "bias: expected f32 (4)"
  (convolution x (tensor-zeros '(3 3 3 4)) (tensor-zeros '(3)) #f 1 1))
(test-error-matching "conv residual" "residual: expected f32 (1 8 8 4)"
  (convolution x (tensor-zeros '(3 3 3 4)) #f x 1 1))
(test-error-matching "conv complex" "images: expected f32 (* * * *), got c64"
  (convolution (tensor-zeros '(1 8 8 3) 'c64) (tensor-zeros '(3 3 3 4)) #f #f 1 1))
(test-error-matching "conv parts" "images: expected parts of (1 8 8 ...), got (1 8 8 3), to be enlarged"
  (convolution (list x (upsampled x)) (tensor-zeros '(3 3 6 4)) #f #f 1 1))
(test-error-matching "conv precision" "convolution: precision: expected float32 or bf16"
  (convolution x (tensor-zeros '(3 3 3 4)) #f #f 1 1 1 'half))
(test-error-matching "network precision" "score-network: precision: expected float32 or bf16, got half"
  (score-network '(moons-mlp) #:precision 'half))
(test-error-matching "released" "this tensor was released"
  (let ((t (tensor-zeros '(3)))) (release! t) (tensor-sum t)))
(test-error-matching "conv no tensor" "convolution: weights: expected a tensor, got 7"
  (convolution x 7 #f #f 1 1))
(test-error-matching "pool" "average-pool: images: expected rows and columns divisible by 3"
  (average-pool x 3))
(test-error-matching "max pool" "max-pool: images: expected rows" (max-pool x 5))
(test-error-matching "upsample" "upsample: images: expected f32 (* * * *)"
  (upsample (tensor-zeros '(8 8))))
(test-error-matching "relu" "relu: x: expected f32" (relu (tensor-zeros '(3) 'c64)))
(test-error-matching "leaky relu" "slope: expected 0 or more" (leaky-relu x -1))
(test-error-matching "silu" "silu: x: expected f32" (silu (tensor-zeros '(3) 'c64)))
(define three (tensor-zeros '(3)))
(test-error-matching "group norm" "group-normalisation: images: expected f32 (* * * *)"
  (group-normalisation (tensor-zeros '(8 3)) three three #f 1 1e-5 #f))
(test-error-matching "groups" "groups: expected a divisor of the 3 channels, got 2"
  (group-normalisation x three three #f 2 1e-5 #f))
(test-error-matching "groups of a layer" "group-norm-layer: groups: expected a divisor of the 8 channels, got 3"
  (group-norm-layer 8 #:groups 3))
(test-error-matching "no channels" "group-norm-layer: channels: expected a positive integer, got 0"
  (group-norm-layer 0))
(test-error-matching "heads of a layer" "attention-layer: heads: expected a divisor of the 8 channels, got 0"
  (attention-layer 8 #:heads 0))
(test-error-matching "attention of nothing" "attention-layer: channels: expected a positive integer, got 0"
  (attention-layer 0))
(test-error-matching "group norm of nothing" "images: expected some pixels to normalise by"
  (group-normalisation (tensor-zeros '(1 0 8 3)) three three #f 3 1e-5 #f))
(test-error-matching "group norm, gamma" "gamma: expected f32 (3), got f32 (1 8 8 3)"
  (group-normalisation x x three #f 3 1e-5 #f))
(test-error-matching "group norm, epsilon" "epsilon: expected a positive number, got 0"
  (group-normalisation x three three #f 3 0 #f))
(test-error-matching "modulation" "group-normalisation: modulation: expected f32 (1 6), got f32 (1 3)"
  (group-normalisation x three three (tensor-zeros '(1 3)) 3 1e-5 #f))
(test-error-matching "heads" "self-attention: qkv: expected channels divisible by 3 x 2 heads, got 3"
  (self-attention x 2))
(test-error-matching "positions" "qkv: expected at most 65536 positions, got 66049"
  (self-attention (tensor-zeros '(1 257 257 3)) 1))
(test-error-matching "unshuffle" "pixel-unshuffle: images: expected rows and columns divisible by 3, got 8 x 8"
  (pixel-unshuffle x 3))
(test-error-matching "shuffle" "pixel-shuffle: images: expected channels divisible by 4, got 3"
  (pixel-shuffle x))
(test-error-matching "shuffle factor" "pixel-shuffle: factor: expected 1 to 16, got 17"
  (pixel-shuffle x 17))
(test-error-matching "dense" "dense: x: expected f32 (* 4)"
  (dense (tensor-zeros '(2 3)) (tensor-zeros '(4 2)) #f))
(test-error-matching "batch norm" "gamma: expected f32 (3), got f32 (2)"
  (batch-normalisation x (make-list 4 (tensor-zeros '(2))) #t 0.9 1e-5 1))
(test-error-matching "concatenate" "part 1: expected f32 (1 8 8 3) but for axis 3"
  (tensor-concatenate (list x (tensor-zeros '(1 8 7 3))) -1))
(test-error-matching "dsm" "dsm-loss: noise: expected f32 (1 8 8 3)"
  (dsm-loss x (tensor-zeros '(1 8 8 2)) (tensor-zeros '(1))))
(test-error-matching "unet size" "paper-unet: images: expected rows and columns divisible by 4, got shape (1 6 6 2)"
  ((paper-unet #:channels '(2 2 2)) (tensor-zeros '(1 6 6 2)) (tensor-zeros '(1))))
(test-error-matching "edm-unet size" "edm-unet: images: expected rows and columns divisible by 4, got shape (1 6 6 2)"
  ((edm-unet #:width 4 #:multipliers '(1 1) #:unshuffle 2) (tensor-zeros '(1 6 6 2)) (tensor-zeros '(1))))
(test-error-matching "edm-unet width" "expected positive integers, and of multipliers and attention lists, got 0, (1 2 2 4)"
  (edm-unet #:width 0))
(test-error-matching "drunet size" "drunet: images: expected rows and columns divisible by 2"
  ((drunet #:channels '(2 2) #:blocks 1) (tensor-zeros '(1 3 4 2)) (tensor-zeros '(1))))
(test-error-matching "drunet channels" "drunet: channels, blocks, image-channels, inputs: expected" (drunet #:channels 8))
(test-error-matching "features" "noise-embedding: features: expected a positive even integer, got 3"
  (noise-embedding 3 4))
(test-error-matching "group norm, activation" "group-norm-layer: activation: expected #f or silu, got relu"
  (group-norm-layer 8 #:activation 'relu))
(test-error-matching "description" "expected (NAME #:key value ...)"
  (score-network '(resnet)))
(test-error-matching "description is not evaluated" "description: (paper-unet #:channels (system \"true\")): "
  (score-network '(paper-unet #:channels (system "true"))))
(test-error-matching "parametrisation" "expected paper, preconditioned, residual or wiener"
  (score-network '(moons-mlp) #:parametrisation 'other))
(test-error-matching "activation" "activation: expected" (dense-layer 2 2 #:activation 'tanh))

;;; A score is finite and of the right size; all parametrisations.

(for-each
 (lambda (parametrisation)
   (let* ((net (score-network '(paper-unet #:channels (4 4) #:blocks 1 #:convolutions 1)
                              #:parametrisation parametrisation))
          (x (random-normal '(2 8 8) 3 0 'c64))
          (r (net x 0.5)))
     (test-equal '(2 8 8) (tensor-shape r))
     (test-assert (tensor-finite? r))
     ;; |sigma| r, which training sees, is finite at sigma = 0 too.
     (test-assert (tensor-finite? (scaled-score net (real-view x) (list->tensor '(0 -3)))))
     (test-close "scaled score" (scaled-score net (real-view x) (list->tensor '(0.5 0.5)))
                 (tensor* 0.5 (real-view r)))))
 '(paper preconditioned residual wiener))

;;; With a body that gives nothing, wiener is the Gaussian field of its spectrum, at every size.

(let ((net (score-network '(paper-unet #:channels (4 4) #:blocks 1) #:parametrisation 'wiener
                          #:spectrum '(200 5/2 0.6)))
      (sigma (list->tensor '(0.5 20))))
  (for-each (lambda (p) (tensor-assign! (cdr p) 0)) (layer-parameters net))
  (for-each (lambda (size)
              (let ((x (random-normal (cons 2 size) 3 0 'c64))
                    (field (gaussian-prior (power-spectrum size #:amplitude (* 200 (apply * size))
                                                           #:exponent 2.5 #:corner 0.6))))
                (test-close "the Gaussian's score" (real-view (net x sigma))
                            (real-view (score field x sigma)))))
            '((8 8) (16 8) (8 8))))
(test-error-matching "spectrum" "spectrum: expected three positive numbers, got (1 2)"
  (score-network '(paper-unet) #:parametrisation 'wiener #:spectrum '(1 2)))

(test-equal "paper-unet has the appendix's size" 1502114 (parameter-count (paper-unet)))
(test-equal "drunet has the size of its authors', with one channel more in and out" (+ 32638656 1152)
  (parameter-count (drunet)))
(test-equal "code-unet has the size of the authors'" 3144290 (parameter-count (code-unet)))
(let ((x (random-normal '(1 16 24) 3 0 'c64)))
  (test-equal "code-unet keeps the image's size" '(1 16 24)
    (tensor-shape ((score-network '(code-unet)) x 2.0))))

;;; In bf16 a network gives the same within 2e-2; a released tensor lives on for its tape.

(let* ((description '(paper-unet #:channels (16 32) #:blocks 1))
       (exact (score-network description))
       (rough (score-network description #:precision 'bf16))
       (x (random-normal '(1 32 32) 3 0 'c64))
       (size (lambda (t) (sqrt (tensor->number (tensor-sum-squares (real-view t))))))
       (difference (/ (size (tensor- (rough x 1) (exact x 1))) (size (exact x 1)))))
  (test-assert "bf16 is near" (< difference 2e-2))
  (test-assert "bf16 is another precision" (> difference 1e-5)))

(let ((w (require-gradient! (list->tensor '(1 2 3)))) (tape (make-tape)))
  (tape-backward! tape (with-tape tape
                         (lambda ()
                           (let* ((square (tensor* w w)) (sum (tensor-sum square)))
                             (release! square)
                             sum))))
  (test-close "released, but on the tape" (tensor-gradient w) (list->tensor '(2 4 6))))

;;; Files: a network read back gives the same bits.

(for-each (lambda (object text)
            (test-equal (string-append "write " text) text (format #f "~s" object))
            (test-equal (string-append "display " text) text (format #f "~a" object))
            (test-equal (string-append "in a list " text) (format #f "(~a)" text)
              (format #f "~a" (list object))))
          (list (list->tensor '(1 2)) (dense-layer 2 3))
          '("#<tensor f32 (2) (1.0 2.0)>" "#<dense 2 -> 3, 9 parameters>"))

(call-with-temporary-directory
 (lambda (folder)
   (let* ((path (string-append folder "/net.safetensors"))
          (net (score-network '(paper-unet #:channels (4 4) #:blocks 1) #:sigma-data 7))
          (x (random-normal '(1 8 8) 3 0 'c64)))
     (save-network path net)
     (test-assert "network read back" (tensor-identical? (net x 2) ((load-network path) x 2)))
     (let ((wiener (score-network '(paper-unet #:channels (4 4) #:blocks 1) #:parametrisation 'wiener
                                  #:spectrum '(200 2 1/2)))
           (settings (lambda (spectrum)
                       `(("format" . "tempera-score-network-1") ("body" . "(moons-mlp)")
                         ("parametrisation" . "wiener") ("sigma-data" . "1") ,@spectrum))))
       (save-network path wiener)
       (test-assert "and its spectrum" (tensor-identical? (wiener x 2) ((load-network path) x 2)))
       (for-each (lambda (spectrum)
                   (save-safetensors path '() #:metadata (settings spectrum))
                   (test-error-matching "no spectrum" "spectrum: expected three positive numbers"
                     (load-network path)))
                 '((("spectrum" . "(1 2")) (("spectrum" . "(1 2 -3)")) (("spectrum" . "(1 2)"))))
       (save-safetensors path '() #:metadata (settings '()))
       (test-error-matching "nothing about a spectrum" "its metadata has no \"spectrum\"" (load-network path))
       (save-network path net))
     (test-equal "nothing is known of its noise" '(#f 150) (list (sigma-range (load-network path))
                                                                 (greatest-sigma (load-network path) 150)))
     ;; A trainer knows, and so do averages and files.
     (let ((trainer (make-trainer net (lambda (count step) (tensor-slice x 0 0 1)) #:batch 1 #:steps 0
                                  #:sigma (sigma-mixture 1 (sigma-log-uniform 0.5 300)
                                                         2 (sigma-log-uniform 0.04 20)
                                                         0 (sigma-normal 1000)))))
       (save-network path (trainer-averaged trainer))
       (test-equal "the noise that it was trained at" '(0.04 300) (sigma-range (load-network path))))
     (for-each (lambda (range)
                 (save-network path (score-network '(moons-mlp)) #:metadata `(("sigma-range" . ,range)))
                 (test-error-matching "a wrong range" "sigma-range: expected two positive numbers"
                   (load-network path)))
               '("(4 2)" "(0 2)" "(1 2 3)" "(1" "4"))
     (save-network path net)
     (test-equal 'bf16 (network-precision (load-network path #:precision 'bf16)))
     ;; A weight that is misspelt, one too many, one that is missing.
     (let-values (((tensors about) (load-safetensors path)))
       (save-safetensors path (append tensors `(("stem.wieghts" . ,(tensor-zeros '(2)))))
                         #:metadata about)
       (test-error-matching "a tensor too many" "it has tensors that are not of it: \"stem.wieghts\""
         (load-network path))
       (save-safetensors path (cdr tensors) #:metadata about)
       (test-error-matching "one missing" (format #f "no tensor ~s" (car (first tensors)))
         (load-network path)))
     (save-safetensors path '() #:metadata '(("a" . "b")))
     (test-error-matching "no network" "not a network of Tempera" (load-network path))
     (save-network path net #:metadata '())
     (truncate-file path (quotient (stat:size (stat path)) 2))
     (test-error-matching "truncated" "load-safetensors: " (load-network path))
     (test-error-matching "missing" "none: no such file; the networks that come with Tempera are brain-paper" (load-network (string-append folder "/none"))))))

(finish-tests)
