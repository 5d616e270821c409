;;; edm-unet.scm -- the U-net of today's diffusion models: the blocks of ADM (Dhariwal, Nichol 2021) as
;;; Karras et al. 2022 have them ("EDM", the authors' DhariwalUNet).
;;;
;;; A residual block at every step, told the noise by scales and shifts after its second norm;
;;; attention where images are small; every block's output goes over to the other side.

(define-module (tempera net edm-unet)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera net bodies)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:export (edm-unet))

(define* (residual-block in out #:key embedding (resample #f) (attention? #f))
  "x -> shortcut (x) + W2 silu (norm (W1 silu (norm x)) (1 + s) + t), then attention, with s and t
dense in EMBEDDING numbers; RESAMPLE (down, up or #f) halves or doubles the image before W1 and in
the shortcut.  W2 is zero at first, so that a block begins as its shortcut."
  (let ((norm0 (group-norm-layer in #:activation 'silu))
        (convolution0 (convolution-layer in out))
        (modulation (dense-layer embedding (* 2 out) #:gain 0.1))
        (norm1 (group-norm-layer out #:activation 'silu))
        (convolution1 (convolution-layer out out #:gain 0))
        (shortcut (and (not (= in out)) (convolution-layer in out #:size 1 #:gain (sqrt 1/2))))
        (attention (and attention? (attention-layer out)))
        (resampled (case resample
                     ((down) average-pool)
                     ((up) upsample)
                     (else (lambda (x) x)))))
    (make-layer (format #f "residual block ~a -> ~a~a~a" in out
                        (if resample (format #f ", ~a" resample) "")
                        (if attention? ", attention" ""))
                (lambda (x noise)
                  (let* ((beside (if shortcut (shortcut (resampled x)) (resampled x)))
                         (h (norm0 x))
                         (h (consume convolution0
                                     (if (eq? resample 'up) (upsampled h) (consume resampled h))))
                         (h (consume norm1 h (modulation noise)))
                         (y (consume convolution1 h beside)))
                    (if attention (consume attention y) y)))
                #:parts `(("norm0" . ,norm0) ("convolution0" . ,convolution0)
                          ("modulation" . ,modulation)
                          ("norm1" . ,norm1) ("convolution1" . ,convolution1)
                          ("shortcut" . ,shortcut) ("attention" . ,attention)))))

(define* (edm-unet #:key (width 64) (multipliers '(1 2 2 4)) (blocks 2) (attention '(8))
                   (unshuffle 1) (image-channels 2) (inputs 1) (seed 0))
  "The body of Karras et al. 2022 with ADM's blocks: BLOCKS residual blocks at each scale down, one
more up, WIDTH times each of MULTIPLIERS channels at the scales 1, 1/2, 1/4, ...; the noise's
embedding of 4 WIDTH numbers scales and shifts in every block; self-attention in the middle, and in
the blocks at the reductions in ATTENTION that there are, 8 being an eighth of the rows and columns.
With UNSHUFFLE
2 squares of four pixels enter and leave as channels, so that all arithmetic is at half of the
resolution and below.  Images (N H W IMAGE-CHANNELS), 2 of complex images, 1 of grey and 3 of colour ones; noise (N); rows
and columns divisible by UNSHUFFLE times 2^(scales - 1).  INPUTS: of how many images side by side,
(N H W IMAGE-CHANNELS INPUTS), it makes one.
Example: (edm-unet #:width 16 #:multipliers '(1 2) #:blocks 1 #:attention '(2))"
  (define (count? n) (and (exact-integer? n) (> n 0)))
  (check-that (and (pair? multipliers) (list? multipliers) (list? attention)
                   (every count? (cons* width blocks unshuffle image-channels inputs (append multipliers attention))))
              'edm-unet "width, multipliers, blocks, attention, unshuffle, image-channels, inputs: expected positive \
integers, and of multipliers and attention lists, got ~s, ~s, ~s, ~s, ~s, ~s and ~s"
              width multipliers blocks attention unshuffle image-channels inputs)
  (define scales (length multipliers))
  (define channels (map (lambda (m) (* width m)) multipliers))
  (define lowest (last channels))
  (define embedding (* 4 width))
  (define pixel (* unshuffle unshuffle)) ; of the image in one of the network's
  (define (block scale in out . options)
    (apply residual-block in out #:embedding embedding
           #:attention? (and (memv (* unshuffle (expt 2 scale)) attention) #t) options))
  (define (row scale ins out)
    (map (lambda (in) (block scale in out)) ins))
  (with-initial-seed seed
    (lambda ()
      (define embed (noise-embedding width embedding))
      (define entry (convolution-layer (* image-channels inputs pixel) width))
      (define above (cons width channels)) ; channels that come to a scale from the one above
      ;; What each scale sends across: its first map, then the output of each block.
      (define across
        (map (lambda (scale in out)
               (cons (if (zero? scale) width in) (make-list blocks out)))
             (iota scales) above channels))
      (define down
        (append-map (lambda (scale in out)
                      (append (if (zero? scale) '() (list (block scale in in #:resample 'down)))
                              (row scale (cons in (make-list (1- blocks) out)) out)))
                    (iota scales) above channels))
      (define middle
        (list (residual-block lowest lowest #:embedding embedding #:attention? #t)
              (residual-block lowest lowest #:embedding embedding)))
      ;; Of each scale, the lowest first: a block that doubles, or #f, and those that join.
      (define up
        (map (lambda (scale in out sent)
               (cons (and (< scale (1- scales)) (block scale in in #:resample 'up))
                     (row scale
                          (map + (cons in (make-list blocks out)) (reverse sent))
                          out)))
             (reverse (iota scales)) (cons lowest (reverse channels)) (reverse channels)
             (reverse across)))
      (define norm (group-norm-layer (car channels) #:activation 'silu))
      (define head (convolution-layer (car channels) (* image-channels pixel) #:gain 0.05))
      (define (join x sent blocks noise)
        ;; BLOCKS in turn, each of what is there and the last map of SENT; and what is left of SENT.
        (if (null? blocks)
            (values x sent)
            (let ((both (tensor-concatenate (list x (car sent)) -1)))
              (release! x)
              (release! (car sent))
              (join (consume (car blocks) both noise) (cdr sent) (cdr blocks) noise))))
      (make-body
       'edm-unet (format #f "edm-unet, channels ~a~a" channels
               (if (= unshuffle 1) "" (format #f ", unshuffled by ~a" unshuffle)))
       (* unshuffle (expt 2 (1- scales)))
       (lambda (images noise)
         (let* ((noise (embed noise))
                (sent (fold (lambda (block sent) (cons (block (car sent) noise) sent))
                            (list (entry (if (= unshuffle 1) images (pixel-unshuffle images unshuffle))))
                            down))
                (lowest (consume (cadr middle) ((car middle) (car sent) noise) noise)))
           (let ascend ((x lowest) (sent sent) (up up))
             (if (pair? up)
                 (call-with-values
                     (lambda ()
                       (join (if (caar up) (consume (caar up) x noise) x) sent (cdar up) noise))
                   (lambda (x sent) (ascend x sent (cdr up))))
                 (let ((y (consume head (consume norm x))))
                   (if (= unshuffle 1) y (consume (lambda (y) (pixel-shuffle y unshuffle)) y)))))))
       #:parts `(("embedding" . ,embed) ("entry" . ,entry) ,@(numbered "down" down)
                 ,@(numbered "middle" middle)
                 ,@(numbered "up" (filter identity (concatenate up)))
                 ("norm" . ,norm) ("head" . ,head))))))
