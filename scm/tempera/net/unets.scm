;;; unets.scm -- bodies of score networks: the paper's appendix A.1, its authors' code, and a toy.
;;;
;;; A body maps images (N H W C) and a noise value for each, (N), to images.

(define-module (tempera net unets)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera net bodies)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:export (paper-unet code-unet moons-mlp))

;;; --- Residual blocks ------------------------------------------------------------

(define (add-shortcut unit h x shortcut)
  "UNIT applied to H, with X added as it is or, where channels differ, through SHORTCUT."
  (if shortcut
      (consume (lambda (s) (unit h s)) (shortcut x))
      (unit h x)))

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
         (project (and (not (= in out)) (convolution-layer in out #:size 1))))
    (make-layer (format #f "residual block ~a -> ~a" in out)
                (lambda (x)
                  (let loop ((h x) (units units))
                    (let* ((last? (null? (cdr units)))
                           (unit (if last?
                                     (lambda (h) (add-shortcut (car units) h x project))
                                     (car units)))
                           (y (if (eq? h x) (unit h) (consume unit h))))
                      (if last? y (loop y (cdr units))))))
                #:parts `(,@(map (lambda (i unit) (cons (number->string i) unit))
                                 (iota convolutions) units)
                          ("projection" . ,project)))))

(define (blocks-of count in out block)
  "COUNT residual blocks in a row, the first from IN to OUT channels."
  (consuming-sequence "blocks"
                      (map (lambda (i) (block (if (zero? i) in out) out)) (iota count))))

;;; --- U-nets --------------------------------------------------------------------

(define* (paper-unet #:key (channels '(32 64 128)) (blocks 2) (convolutions 3)
                     (normalisation 'batch) (image-channels 2) (inputs 1) (seed 0))
  "The body of appendix A.1: a U-net of residual blocks of CONVOLUTIONS convolutions
with batch norm (NORMALISATION; #f: none), BLOCKS a scale down and up, CHANNELS by
scale, average pooling down, up-convolution up, the noise map at the input and at
the lowest scale.  Images (N H W IMAGE-CHANNELS), 2 of complex images, 1 of grey and 3 of colour ones; noise (N).
1,502,114 parameters as it stands.  INPUTS: of how many images side by side, (N H W IMAGE-CHANNELS INPUTS), it makes one.
Example: (paper-unet #:channels '(16 32) #:blocks 1)"
  (check-that (and (exact-integer? inputs) (> inputs 0)) 'paper-unet
              "inputs: expected a positive integer, got ~s" inputs)
  (check-that (and (exact-integer? image-channels) (> image-channels 0)) 'paper-unet
              "image-channels: expected a positive integer, got ~s" image-channels)
  (check-that (and (pair? channels) (list? channels)
                   (every (lambda (n) (and (exact-integer? n) (> n 0)))
                          (cons* blocks convolutions channels)))
              'paper-unet "channels, blocks, convolutions: expected a list of positive integers and \
two of them, got ~s, ~s and ~s" channels blocks convolutions)
  (with-initial-seed seed
    (lambda ()
      (define lowest (1- (length channels)))
      (define (block in out)
        (residual-block in out #:convolutions convolutions #:normalisation normalisation))
      (define down                      ; from the input and its noise map
        (map (lambda (s in)
               (blocks-of blocks (if (= s lowest) (1+ in) in) (list-ref channels s) block))
             (iota (1+ lowest)) (cons (1+ (* image-channels inputs)) (list-head channels lowest))))
      (define climb
        (map up-convolution-layer (cdr channels) (list-head channels lowest)))
      (define merge
        (map (lambda (c) (blocks-of blocks (* 2 c) c block)) (list-head channels lowest)))
      ;; The first outputs are small, whatever the depth.
      (define head (convolution-layer (car channels) image-channels #:gain 0.05))
      (make-body
       'paper-unet (format #f "paper-unet, channels ~a" channels)
       (expt 2 lowest)
       (lambda (images noise)
         (consume
          head
          (let descend ((x (with-noise-map images noise 1)) (s 0))
            (if (= s lowest)
                (consume (list-ref down s) (consume with-noise-map x noise 1))
                (let* ((here (consume (list-ref down s) x))
                       (below (descend (average-pool here) (1+ s)))
                       (risen (consume (list-ref climb s) below)))
                  (consume (list-ref merge s) (list here risen)))))))
       #:parts `(,@(numbered "down" down) ,@(numbered "climb" climb)
                 ,@(numbered "merge" merge) ("head" . ,head))))))

(define* (code-unet #:key (seed 0))
  "The body as the authors' code has it, where it is not appendix A.1: a 7x7 stem; groups
of two blocks of two convolutions, ReLU after the sum, of 32, 64, 128, 128 channels
at scales 1, 1/2, 1/4, 1/8; 128 noise maps at the lowest; groups of 128, 128, 64, 32
back up, each followed by what entered the group at its side on the way down.
Scales are halved by average pooling and doubled by repetition.  Images (N H W 2),
noise (N).  3,144,290 parameters, as the authors' has.
Example: (code-unet)"
  (define (block in out project?)
    (let ((first (convolution-unit in out))
          (second (convolution-unit out out))
          (shortcut (and project? (convolution-unit in out #:size 1 #:activation #f))))
      (make-layer (format #f "block ~a -> ~a" in out)
                  (lambda (x)
                    (consume (lambda (h) (add-shortcut second h x shortcut)) (first x)))
                  #:parts `(("first" . ,first) ("second" . ,second) ("shortcut" . ,shortcut)))))
  (define (group in out)
    (consuming-sequence "group" (list (block in out #t) (block out out #f))))
  (with-initial-seed seed
    (lambda ()
      (define stem (convolution-layer 3 32 #:size 7 #:bias? #f))
      (define down (map group '(32 32 64 128) '(32 64 128 128)))
      (define up (map group '(256 256 192 96) '(128 128 64 32)))
      (define head (convolution-layer 64 2 #:gain 0.05))
      (make-body
       'code-unet "code-unet" 8
       (lambda (images noise)
         ;; Entered: what went into each group, the last first.
         (let descend ((x (stem (with-noise-map images noise 1))) (groups down) (entered '()))
           (if (pair? groups)
               (let ((in (if (null? entered) x (average-pool x))))
                 (descend ((car groups) in) (cdr groups) (cons x entered)))
               (let ascend ((x (consume with-noise-map x noise 128)) (groups up) (entered entered))
                 (if (null? groups)
                     (consume head x)
                     (let* ((out (consume (car groups) x))
                            (risen (if (null? (cdr groups)) out (upsampled out))))
                       (ascend (list risen (car entered)) (cdr groups) (cdr entered))))))))
       #:parts `(("stem" . ,stem) ,@(numbered "down" down) ,@(numbered "up" up)
                 ("head" . ,head))))))

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
