;;; animations.scm -- frames in a file: animated WebP and GIF.
;;;
;;; A frame is a figure (figures.scm).  Each is drawn when the file is ready for it, so that the
;;; frames of a long chain are never in memory all at once.

(define-module (tempera see animations)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera file paths)
  #:use-module (tempera data images)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera base keywords)
  #:use-module (tempera sample chain)
  #:use-module (tempera see show)
  #:export (save-animation))

(define (format-of path)
  (cond ((string-suffix-ci? ".webp" path) 'webp)
        ((string-suffix-ci? ".gif" path) 'gif)
        (else (complain 'save-animation "path: expected a name that ends in .webp or .gif, got ~a"
                        path))))

;;; --- Frames -----------------------------------------------------------------------

;; A frame is a list of panels.  Limits that are not given are the same in all frames, so that
;; the brightness does not jump.

(define (batch-frames batch titles options)
  (let* ((n (first (tensor-shape batch)))
         (titles (or titles (make-list n ""))))
    (check-that (and (list? titles) (= (length titles) n) (every string? titles)) 'save-animation
                "titles: expected a list of ~a strings, got ~s" n titles)
    (map list (filter panel? (apply view batch #:shown n #:titles titles options)))))

(define (temperature-frames chain options)
  ;; CHAIN at the temperatures it kept: the mean, the standard deviation and one sample.
  (let* ((states (chain-states chain))
         (shape (cdr (tensor-shape (cdr (first states)))))
         (end (image-window (image-magnitude (chain-mean chain)))))
    (check-that (= 2 (length shape)) 'save-animation
                "chain: its samples are not images (rows columns), but of shape ~a" shape)
    (map (lambda (state)
           (let* ((x (cdr state)) (mean (tensor-mean x 0)) (sigma (significant (car state) 3))
                  (window (lambda (title image)
                            (apply panel title image
                                   (append options (list #:low (first end) #:high (second end)))))))
             (append (list (window (format #f "mean at sigma ~a" sigma) mean))
                     (if (> (first (tensor-shape x)) 1)
                         (list (panel "standard deviation" (deviation x mean) #:colours 'heat #:bar? #t))
                         '())
                     (list (window "sample 1" (tensor-reshape (tensor-slice x 0 0 1) shape))))))
         states)))

(define (deviation x mean)
  (tensor-sqrt (tensor/ (tensor-sum-squares (tensor- x mean) 0) (1- (first (tensor-shape x))))))

(define (frames-of object over titles options)
  (match object
    ((? chain? chain)
     (match over
       ('samples (let ((x (chain-samples chain)))
                   (check-that (= 3 (length (tensor-shape x))) 'save-animation
                               "chain: its samples are not images (rows columns), but of shape ~a"
                               (cdr (tensor-shape x)))
                   (batch-frames x (or titles
                                       (map (lambda (k) (format #f "sample ~a" k))
                                            (iota (first (tensor-shape x)) 1)))
                                 options)))
       ('temperatures (temperature-frames chain options))
       (_ (complain 'save-animation "over: expected samples or temperatures, got ~s" over))))
    ((? tensor? batch)
     (check-that (= 3 (length (tensor-shape batch))) 'save-animation
                 "frames: expected a batch (n rows columns), got shape ~a" (tensor-shape batch))
     (batch-frames batch titles options))
    (((or (? panel?) ((? panel?) ..1)) ..1)
     (map (lambda (frame) (if (panel? frame) (list frame) frame)) object))
    (_ (complain 'save-animation "frames: expected a batch of images (n rows columns), a list of \
panels, a list of lists of panels, or a chain, got ~s" object))))

;;; --- Files ------------------------------------------------------------------------

(define* (save-animation path frames #:key (fps 4) (loop 0) (titles #f) (over 'samples)
                         (columns 4) (quality #f) #:allow-other-keys #:rest options)
  "Write FRAMES to the file PATH, an animated WebP or GIF by its ending, whole or not at all:
  a batch of images (n rows columns), f32 or c64, a frame each, under TITLES, a list of strings;
      #:part, #:low, #:high, #:colours, #:bar? as for `show'
  a list of panels, a frame each, or of lists of panels, each a figure in rows of COLUMNS
  a chain: its samples, or with #:over 'temperatures its mean, standard deviation and first
      sample at each temperature that it kept (see #:keep of `anneal')
FPS frames a second, played LOOP times, 0 for ever.  WebP loses nothing unless QUALITY, 0 to
100, is given; a GIF is exact where a frame has at most 256 colours, as images in one colour
map have.
Example: (save-animation \"cooling.webp\" chain #:over 'temperatures #:fps 8)"
  (check-that (string? path) 'save-animation "path: expected a string, got ~s" path)
  (check-that (and (real? fps) (<= 1/100 fps 100)) 'save-animation
              "fps: expected a number from 0.01 to 100, got ~s" fps)
  (check-that (and (exact-integer? loop) (<= 0 loop 65535)) 'save-animation
              "loop: expected a number of times, 0 for ever, got ~s" loop)
  (check-that (or (not quality) (and (real? quality) (<= 0 quality 100))) 'save-animation
              "quality: expected a number from 0 to 100, or #f for lossless, got ~s" quality)
  (check-output-file 'save-animation path)
  (let* ((format (format-of path))
         (frames (frames-of frames over titles
                            (without-keywords 'save-animation options #:fps #:loop #:titles
                                              #:over #:columns #:quality)))
         (total (length frames))
         (first-picture (draw-figure (first frames) #:columns columns))
         (progress (make-progress "animation" total))
         (height (picture-height first-picture)) (width (picture-width first-picture)))
    (define (next)
      ;; The pixels of the next frame, or #f.
      (and (pair? frames)
           (let* ((done (- total (length frames)))
                  (picture (if (zero? done) first-picture
                               (draw-figure (first frames) #:columns columns))))
             (check-that (and (= height (picture-height picture)) (= width (picture-width picture)))
                         'save-animation "frames: the first is ~a x ~a pixels, number ~a ~a x ~a"
                         height width (1+ done) (picture-height picture) (picture-width picture))
             (set! frames (cdr frames))
             (progress-update! progress done)
             (picture-pixels picture))))
    (dynamic-wind
      (const #t)
      (lambda ()
        (write-animation path format next height width
                         (inexact->exact (round (/ 1000 fps))) loop quality))
      (lambda () (progress-finish! progress)))))
