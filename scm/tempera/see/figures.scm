;;; figures.scm -- pictures with labels: panels in rows, colour maps, colour bars.
;;;
;;; A panel is an image with a title, limits and colours.  `draw-figure' lays panels out and draws
;;; them with cairo (guile-cairo), for a file, a frame of an animation or the terminal;
;;; `posterior-panels' is the figure of a reconstruction.

(define-module (tempera see figures)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-4)
  #:use-module (tempera see colours)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera data images)
  #:use-module (tempera data quality)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:autoload (cairo) (cairo-image-surface-create-for-data
                      cairo-create cairo-set-source-rgb cairo-paint cairo-rectangle cairo-fill
                      cairo-set-source-surface cairo-pattern-set-filter cairo-pattern-set-extend
                      cairo-get-source
                      cairo-select-font-face cairo-set-font-size cairo-move-to cairo-show-text
                      cairo-text-extents
                      cairo-translate cairo-scale cairo-save cairo-restore
                      cairo-surface-flush cairo-surface-write-to-png)
  #:export (panel panel? save-figure posterior-panels
            draw-figure picture? picture-height picture-width picture-pixels picture-labels))

;;; --- Panels -----------------------------------------------------------------

(define-record-type <panel>
  (make-panel title image low high colours bar? box value-at)
  panel?
  (title panel-title)
  (image panel-image)                   ; (rows columns), or with 3 colours
  (low panel-low)
  (high panel-high)
  (colours panel-colours)
  (bar? panel-bar?)
  (box panel-box)                       ; (row column rows columns), or #f
  (value-at panel-value-at))            ; what LOW and HIGH stand for beside the bar

(set-record-type-printer! <panel>
  (lambda (panel port)
    (format port "#<panel ~s ~a>" (panel-title panel) (tensor-shape (panel-image panel)))))

(define (panel-rows panel) (first (tensor-shape (panel-image panel))))
(define (panel-columns panel) (second (tensor-shape (panel-image panel))))

(define pi 3.141592653589793)

(define* (panel title image #:key (part 'magnitude) (low #f) (high #f)
                (colours (if (eq? part 'phase) 'wheel 'grey)) (bar? #f) (box #f)
                (logarithmic? #f))
  "A picture for `save-figure' and `show': IMAGE, (rows columns), under the text TITLE; of c64
the PART magnitude, phase, real or imaginary.  Or f32 (rows columns 3), red, green and blue.
LOW gets the first of COLOURS (grey, heat or wheel), HIGH the last.  Unless given they are 0
and the greatest value; of a real or imaginary part the greatest magnitude, negative and
positive; of a phase -pi and pi.  With BAR?, a colour bar with the limits.  BOX, (row column rows
columns), is a part of the image with a red line around it.  LOGARITHMIC? gives colours by the
logarithm of values, of k-space, say: LOW is then above 0, a thousandth of HIGH unless given.
Example: (panel \"standard deviation\" (chain-std chain) #:colours 'heat #:bar? #t)"
  (check-that (string? title) 'panel "title: expected a string, got ~s" title)
  (check-that (and (tensor? image)
                   (let ((shape (tensor-shape image)))
                     (and (every positive? shape)
                          (or (= 2 (length shape))
                              (and (= 3 (length shape)) (= 3 (third shape))
                                   (eq? (tensor-dtype image) 'f32))))))
              'panel "image: expected a tensor (rows columns) or f32 (rows columns 3), got ~s" image)
  (check-colours 'panel colours)
  (check-that (or (not box)
                  (and (list? box) (= 4 (length box)) (every exact-integer? box)
                       (every (lambda (start length whole)
                                (and (<= 0 start) (< 0 length) (<= (+ start length) whole)))
                              (list-head box 2) (list-tail box 2)
                              (list-head (tensor-shape image) 2))))
              'panel "box: expected (row column rows columns) inside of ~a, got ~s"
              (tensor-shape image) box)
  (for-each (lambda (name limit)
              (check-that (or (not limit) (and (real? limit) (finite? limit))) 'panel
                          "~a: expected a finite number, got ~s" name limit))
            '("low" "high") (list low high))
  (let* ((signed? (and (eq? (tensor-dtype image) 'c64) (memq part '(real imaginary))))
         (image (image-part image part))
         (greatest (tensor->number (tensor-max (if signed? (tensor-abs image) image))))
         (greatest (if (finite? greatest) greatest 0)) ; chains that diverged are shown too
         (low (cond (low low)
                    ((eq? part 'phase) (- pi))
                    (signed? (- (abs (or high greatest))))
                    (logarithmic? (/ (if (> (or high greatest) 0) (or high greatest) 1) 1000))
                    (else 0)))
         (high (cond (high high)
                     ((eq? part 'phase) pi)
                     ((> greatest low) greatest)
                     (else (1+ low)))))
    (check-that (< low high) 'panel "high: expected more than low, ~s, got ~s" low high)
    (check-that (or (not logarithmic?) (and (> low 0) (not signed?) (not (eq? part 'phase)))) 'panel
                "logarithmic?: needs magnitudes and a low above 0, got ~a from ~a" part low)
    (if logarithmic?
        (make-panel title (tensor-log (tensor-maximum image low)) (log low) (log high) colours bar? box
                    exp)
        (make-panel title image low high colours bar? box identity))))

;;; --- Pictures -----------------------------------------------------------------

(define-record-type <picture>
  (make-picture height width pixels labels)
  picture?
  (height picture-height)
  (width picture-width)
  (pixels picture-pixels)               ; bytevector of words #xAArrggbb, by alpha
  (labels picture-labels set-picture-labels!)) ; (row column text) in cells of a terminal

(set-record-type-printer! <picture>
  (lambda (picture port)
    (format port "#<picture ~a x ~a>" (picture-height picture) (picture-width picture))))

(define (picture-surface picture)
  (cairo-image-surface-create-for-data (picture-pixels picture) 'argb32 (picture-width picture)
                                       (picture-height picture) (* 4 (picture-width picture))))

;;; --- Layout -----------------------------------------------------------------

;; The space around the images, in pixels; text is drawn at FONT-SIZE.  Where the terminal itself
;; writes the titles, all lengths are whole cells.
(define-record-type <measures>
  (make-measures margin gap title-height bar-width bar-room unit-height unit-width)
  measures?
  (margin measures-margin)              ; between columns, and at the edges
  (gap measures-gap)                    ; between rows, and above them
  (title-height measures-title-height)
  (bar-width measures-bar-width)
  (bar-room measures-bar-room)          ; for the bar and its numbers
  (unit-height measures-unit-height)
  (unit-width measures-unit-width))

(define drawn (make-measures 8 8 20 12 58 1 1))
(define font-size 13)

(define label-cell '(16 8))             ; height and width of a cell, near any font's shape
(define labelled (make-measures 8 0 16 16 64 16 8))

(define (bare? panels)
  ;; A single image without a title or colour bar needs no margin.
  (and (null? (cdr panels)) (not (panel-bar? (car panels)))
       (string-null? (panel-title (car panels)))))

(define bare-drawn (make-measures 0 0 0 0 0 1 1))
(define bare-labelled (make-measures 0 0 0 0 0 16 8))

(define (up length unit) (* unit (inexact->exact (ceiling (/ length unit)))))
(define (down length unit) (* unit (inexact->exact (floor (/ length unit)))))

(define (tallest panels) (apply max (map panel-rows panels)))
(define (widest panels) (apply max (map panel-columns panels)))

(define (natural-zoom panels)
  ;; Small images are enlarged by a whole number, to about 256 pixels.
  (max 1 (quotient 256 (max (tallest panels) (widest panels)))))

(define (rows-of panels columns)
  (quotient (+ (length panels) columns -1) columns))

(define (bar-in-column? panels columns k)
  (any (lambda (p i) (and (panel-bar? p) (= k (modulo i columns))))
       panels (iota (length panels))))

(define (fitting-zoom panels columns room m)
  ;; The zoom with which PANELS in COLUMNS fill ROOM, (height width), each #f if unlimited.
  (define (share room around count unit)
    (max 1 (down (/ (- room around) count) unit)))
  (let* ((rows (rows-of panels columns))
         (across (and (second room)
                      (/ (share (second room)
                                (+ (* (1+ columns) (measures-margin m))
                                   (* (count (lambda (k) (bar-in-column? panels columns k))
                                             (iota columns))
                                      (measures-bar-room m)))
                                columns (measures-unit-width m))
                         (widest panels))))
         (along (and (first room)
                     (/ (share (first room)
                               (+ (measures-gap m)
                                  (* rows (+ (measures-title-height m) (measures-gap m))))
                               rows (measures-unit-height m))
                        (tallest panels)))))
    (cond ((and across along) (min across along))
          (else (or across along (natural-zoom panels))))))

(define (best-columns panels room m)
  ;; The number of columns for which panels are largest.
  (reduce (lambda (a b)
            (if (>= (fitting-zoom panels b room m) (fitting-zoom panels a room m)) b a))
          1 (reverse (iota (length panels) 1))))

(define (column-lefts panels columns width m)
  ;; Where each of COLUMNS begins, and where the last ends; a column with a colour bar is wider.
  (let loop ((k 0) (left (measures-margin m)) (lefts '()))
    (if (= k columns)
        (reverse (cons left lefts))
        (loop (1+ k)
              (+ left width (measures-margin m)
                 (if (bar-in-column? panels columns k) (measures-bar-room m) 0))
              (cons left lefts)))))

;;; --- Drawing ------------------------------------------------------------------

(define (fit-text context text width)
  ;; TEXT, cut if it is longer than WIDTH.
  (if (or (string-null? text)
          (<= (f64vector-ref (cairo-text-extents context text) 4) width))
      text
      (fit-text context (string-drop-right text 1) width)))

(define (text-drawer context)
  ;; A procedure that draws a text, cut to WIDTH pixels, with its top left corner at X, Y.
  (lambda (x y width text)
    (cairo-set-source-rgb context 0 0 0)
    (cairo-move-to context x (+ y font-size))
    (cairo-show-text context (fit-text context text width))))

(define (text-labeller picture)
  ;; The same, for text that the terminal writes in its cells.
  (lambda (x y width text)
    (let ((cells (quotient width (second label-cell))))
      (set-picture-labels! picture
                           (cons (list (quotient y (first label-cell)) (quotient x (second label-cell))
                                       (string-take text (min cells (string-length text))))
                                 (picture-labels picture))))))

(define (draw-pixels context words rows columns x y x-zoom y-zoom)
  (cairo-save context)
  (cairo-translate context x y)
  (cairo-scale context x-zoom y-zoom)
  (cairo-set-source-surface
   context (cairo-image-surface-create-for-data words 'argb32 columns rows (* 4 columns)) 0 0)
  ;; Enlarged pixels stay squares.
  (cairo-pattern-set-filter (cairo-get-source context) (if (>= (min x-zoom y-zoom) 1) 'nearest 'good))
  (cairo-pattern-set-extend (cairo-get-source context) 'pad) ; no fading at the edges
  (cairo-rectangle context 0 0 columns rows)
  (cairo-fill context)
  (cairo-restore context))

(define (draw-bar context write panel x y height m)
  (let ((ramp (make-bytevector (* 4 256)))
        (table (colour-words (panel-colours panel))))
    (do ((i 0 (1+ i))) ((= i 256))
      (bytevector-u32-native-set! ramp (* 4 i) (vector-ref table (- 255 i))))
    (draw-pixels context ramp 256 1 x y (measures-bar-width m) (/ height 256.))
    (let* ((gap (if (= (measures-unit-width m) 1) 4 0))
           (left (+ x (measures-bar-width m) gap))
           (room (- (measures-bar-room m) (measures-bar-width m) gap))
           (line (max (measures-unit-height m) (1+ font-size))))
      (write left y room (number-text ((panel-value-at panel) (panel-high panel))))
      (when (>= height (* 2 line))
        (write left (+ y (- (down height (measures-unit-height m)) line)) room
               (number-text ((panel-value-at panel) (panel-low panel))))))))

(define (draw-box context box x y zoom)
  ;; A red frame around BOX, outside it, about two pixels wide.
  (let* ((line (max 2 (round zoom)))
         (place (lambda (k) (* zoom (list-ref box k))))
         (top (- (+ y (place 0)) line)) (left (- (+ x (place 1)) line))
         (height (+ (place 2) (* 2 line))) (width (+ (place 3) (* 2 line))))
    (cairo-set-source-rgb context 0.85 0 0)
    (for-each (lambda (x y width height)
                (cairo-rectangle context x y width height)
                (cairo-fill context))
              (list left left left (- (+ left width) line))
              (list top (- (+ top height) line) top top)
              (list width width line line)
              (list line line height height))))

(define (draw-panel context write panel x y zoom m)
  (let* ((rows (panel-rows panel)) (columns (panel-columns panel))
         (top (+ y (measures-title-height m)))
         (width (up (* zoom columns) (measures-unit-width m))))
    (unless (string-null? (panel-title panel))
      (write x y width (panel-title panel)))
    (draw-pixels context
                 (image-pixels (panel-image panel) (panel-low panel) (panel-high panel)
                               (colour-words (panel-colours panel)))
                 rows columns x top zoom zoom)
    (when (panel-box panel)
      (draw-box context (panel-box panel) x top zoom))
    (when (panel-bar? panel)
      (draw-bar context write panel (+ x width (if (= (measures-unit-width m) 1) 6 0)) top
                (* zoom rows) m))))

(define most-pixels (* 16384 16384))

(define* (draw-figure panels #:key (columns #f) (room #f) (cell '(1 1)) (labels? #f) (scale 1))
  "The picture of PANELS, a list of `panel', in rows of COLUMNS.  ROOM, (height width) in pixels,
is what it fits into as large as it can, either of them #f where there is no end; without both
an image is about 256 pixels.  COLUMNS unless given are those that make images largest, or 4
where height has no end.  Height and width are multiples of
those of CELL; text and margins are SCALE times as large.  With LABELS? no text is drawn, and
`picture-labels' has it, a list of (row column text) in cells of 16 x 8 pixels.  See
`picture-pixels', `picture-height', `picture-width'.
Example: (picture-width (draw-figure (list (panel \"truth\" scan)) #:room '(400 600)))"
  (check-that (and (list? panels) (pair? panels) (every panel? panels)) 'draw-figure
              "panels: expected a list of panels, got ~s" panels)
  (check-that (or (not columns) (and (exact-integer? columns) (> columns 0))) 'draw-figure
              "columns: expected a positive integer, got ~s" columns)
  (check-that (resolve-module '(cairo) #:ensure #f) 'draw-figure
              "the Guile module (cairo) is needed: install guile-cairo")
  (let* ((m (if (bare? panels)
                (if labels? bare-labelled bare-drawn)
                (if labels? labelled drawn)))
         (room (map (lambda (length) (and length (/ length scale))) (or room '(#f #f))))
         (columns (min (length panels)
                       (cond (columns columns)
                             ((first room) (best-columns panels room m))
                             (else 4))))
         (zoom (fitting-zoom panels columns room m))
         (zoom (if (>= zoom 3) (floor zoom) zoom)) ; squares of one size
         (lefts (column-lefts panels columns (up (* zoom (widest panels)) (measures-unit-width m)) m))
         (row-height (+ (up (* zoom (tallest panels)) (measures-unit-height m))
                        (measures-title-height m) (measures-gap m)))
         (height (up (* scale (+ (measures-gap m) (* (rows-of panels columns) row-height)))
                     (first cell)))
         (width (up (* scale (last lefts)) (second cell))))
    (check-that (<= (* width height) most-pixels) 'draw-figure
                "panels: they would be a picture of ~a x ~a pixels" height width)
    (let* ((picture (make-picture height width (make-bytevector (* 4 height width) 0) '()))
           (surface (picture-surface picture))
           (context (cairo-create surface))
           (write (if labels? (text-labeller picture) (text-drawer context))))
      (unless labels?                   ; the terminal has its own background
        (cairo-set-source-rgb context 1 1 1)
        (cairo-paint context))
      (cairo-scale context scale scale)
      (cairo-select-font-face context "sans-serif" 'normal 'normal)
      (cairo-set-font-size context font-size)
      (for-each (lambda (panel k)
                  (draw-panel context write panel
                              (list-ref lefts (modulo k columns))
                              (+ (measures-gap m) (* row-height (quotient k columns)))
                              zoom m))
                panels (iota (length panels)))
      (cairo-surface-flush surface)
      picture)))

(define* (save-figure path panels #:key (columns 4))
  "Draw PANELS, a list of `panel', in rows of COLUMNS, and write the picture to the PNG
file PATH, whole or not at all.
Example: (save-figure \"figure.png\" (list (panel \"truth\" scan) (panel \"mean\" (chain-mean chain))))"
  (check-that (and (list? panels) (pair? panels) (every panel? panels)) 'save-figure
              "panels: expected a list of panels, got ~s" panels)
  (write-surface (picture-surface (draw-figure panels #:columns columns)) path))

(define (write-surface surface path)
  (call-with-new-file
   'save-figure path
   (lambda (temporary)
     (catch 'cairo-error
       (lambda () (cairo-surface-write-to-png surface temporary))
       (lambda _ (complain 'save-figure "~a: cannot be written" path))))))

;;; --- The figure of a reconstruction -----------------------------------------

(define* (posterior-panels #:key (truth #f) (start #f) (start-name "zero-filled") mean (std #f) samples (shown 4))
  "The panels of a reconstruction: TRUTH and START, the image without a prior, under START-NAME, where they are known, the
posterior MEAN and standard deviation STD, and the first SHOWN of SAMPLES (n rows
columns); with PSNRs where TRUTH is known.
Example: (posterior-panels #:start (tensor-abs image) #:mean (tensor-abs image)
                           #:std (tensor-abs image) #:samples (tensor-abs (random-normal '(4 8 8) 1)))"
  (let* ((window (image-window (image-magnitude (or truth start mean))))
         (with-quality (lambda (title image)
                         (if truth
                             (format #f "~a  ~a dB" title
                                     (number-text (psnr image truth)))
                             title)))
         (grey (lambda (title image)
                 (panel title image #:low (first window) #:high (second window))))
         (rated (lambda (title image) (grey (with-quality title image) image)))
         (shape (tensor-shape mean)))
    (append (if truth (list (grey "truth" truth)) '())
            (if start (list (rated start-name start)) '())
            (list (rated "mean" mean))
            (if std (list (panel "standard deviation" (if (= 3 (length shape)) (tensor-mean std 2) std) ; over colours
                                #:colours 'heat #:bar? #t))
                '())
            (map (lambda (k)
                   (rated (format #f "sample ~a" (1+ k))
                          (tensor-reshape (tensor-slice samples 0 k (1+ k)) shape)))
                 (iota (min shown (first (tensor-shape samples))))))))

(document
 (panel?
  "True when OBJECT is a panel of a figure.
Example: (panel? (panel \"scan\" (tensor-abs scan))) => #t")
 (picture?
  "True when OBJECT is a picture: a figure as `draw-figure' drew it.
Example: (picture? 3) => #f")
 (picture-height
  "The rows of PICTURE.
Example: (picture-height (draw-figure (list (panel \"scan\" scan))))")
 (picture-width
  "The columns of PICTURE.
Example: (picture-width (draw-figure (list (panel \"scan\" scan))))")
 (picture-pixels
  "The pixels of PICTURE, a bytevector of words #xAArrggbb, row by row.
Example: (picture-pixels (draw-figure (list (panel \"scan\" scan))))")
 (picture-labels
  "What PICTURE leaves to the terminal to write: lists of a row, a column and a text.
Example: (picture-labels (draw-figure (list (panel \"scan\" scan))))"))
