;;; figures.scm -- pictures with labels: panels in rows, colour maps, colour bars.
;;;
;;; Drawn with cairo through guile-cairo, since good text is a library's work.  A
;;; panel is an image with a title, limits and colours; `save-figure' lays panels
;;; out, and `posterior-panels' is the figure of a reconstruction.

(define-module (tempera figures)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-4)
  #:use-module (tempera colours)
  #:use-module (tempera documentation)
  #:use-module (tempera errors)
  #:use-module (tempera images)
  #:use-module (tempera primitives)
  #:autoload (cairo) (cairo-image-surface-create cairo-image-surface-create-for-data
                      cairo-create cairo-set-source-rgb cairo-paint cairo-rectangle cairo-fill
                      cairo-set-source-surface cairo-pattern-set-filter cairo-get-source
                      cairo-select-font-face cairo-set-font-size cairo-move-to cairo-show-text
                      cairo-text-extents
                      cairo-translate cairo-scale cairo-save cairo-restore
                      cairo-surface-flush cairo-surface-write-to-png)
  #:export (panel panel? save-figure posterior-panels))

;;; --- Panels -----------------------------------------------------------------

(define-record-type <panel>
  (make-panel title image low high colours bar?)
  panel?
  (title panel-title)
  (image panel-image)
  (low panel-low)
  (high panel-high)
  (colours panel-colours)
  (bar? panel-bar?))

(set-record-type-printer! <panel>
  (lambda (panel port)
    (format port "#<panel ~s ~a>" (panel-title panel) (tensor-shape (panel-image panel)))))

(define* (panel title image #:key (low 0) (high #f) (colours 'grey) (bar? #f))
  "A picture for `save-figure': IMAGE, (rows columns), c64 by its magnitude, under the
text TITLE.  LOW gets the first of COLOURS (grey, heat or wheel), HIGH the last; HIGH is
IMAGE's greatest value unless given.  With BAR?, a colour bar with the limits.
Example: (panel \"standard deviation\" (chain-std chain) #:colours 'heat #:bar? #t)"
  (check-that (string? title) 'panel "title: expected a string, got ~s" title)
  (check-that (and (tensor? image) (= 2 (length (tensor-shape image)))
                   (every positive? (tensor-shape image)))
              'panel "image: expected a tensor (rows columns), got ~s" image)
  (check-colours 'panel colours)
  (let* ((image (image-magnitude image))
         (greatest (tensor->number (tensor-max image)))
         (high (or high (if (> greatest low) greatest (1+ low)))))
    (check-that (and (real? low) (real? high) (finite? high) (< low high)) 'panel
                "high: expected a finite number above low, ~s, got ~s" low high)
    (make-panel title image low high colours bar?)))

(define (pixels panel)
  ;; The panel's image as cairo's 32-bit pixels.
  (let* ((table (colour-words (panel-colours panel)))
         (low (panel-low panel))
         (scale (/ 255. (- (panel-high panel) low)))
         (numbers (tensor->list (panel-image panel)))
         (words (make-bytevector (* 4 (length numbers)))))
    (let loop ((numbers numbers) (at 0))
      (unless (null? numbers)
        (let ((level (* scale (- (car numbers) low))))
          (bytevector-u32-native-set!
           words at
           (vector-ref table (cond ((not (> level 0)) 0) ; NaN too
                                   ((>= level 255) 255)
                                   (else (inexact->exact (round level))))))
          (loop (cdr numbers) (+ at 4)))))
    words))

;;; --- Layout -----------------------------------------------------------------

(define margin 8)
(define title-height 20)
(define bar-width 12)
(define bar-room 58)                    ; for the bar and its numbers
(define font-size 13)

(define (zoom-for panels)
  ;; Small images are drawn with whole-number zoom, so that a panel is about 200
  ;; pixels across.
  (let ((widest (fold max 1 (append-map (lambda (p) (tensor-shape (panel-image p))) panels))))
    (max 1 (quotient 256 widest))))

(define (number-text x)
  ;; Three digits or so.
  (cond ((zero? x) "0")
        ((>= (abs x) 100) (number->string (inexact->exact (round x))))
        (else (let ((scale (expt 10 (- 2 (inexact->exact (floor (log10 (abs x))))))))
                (number->string (exact->inexact (/ (round (* x scale)) scale)))))))

(define (draw-text context x y text)
  (cairo-set-source-rgb context 0 0 0)
  (cairo-move-to context x y)
  (cairo-show-text context text))

(define (fit-text context text width)
  ;; TEXT, cut if it is longer than WIDTH.
  (if (or (string-null? text)
          (<= (f64vector-ref (cairo-text-extents context text) 4) width))
      text
      (fit-text context (string-drop-right text 1) width)))

(define (draw-pixels context words rows columns x y x-zoom y-zoom)
  (cairo-save context)
  (cairo-translate context x y)
  (cairo-scale context x-zoom y-zoom)
  (cairo-set-source-surface
   context (cairo-image-surface-create-for-data words 'argb32 columns rows (* 4 columns)) 0 0)
  (cairo-pattern-set-filter (cairo-get-source context) 'nearest)
  (cairo-rectangle context 0 0 columns rows)
  (cairo-fill context)
  (cairo-restore context))

(define (draw-bar context panel x y height)
  (let ((ramp (make-bytevector (* 4 256)))
        (table (colour-words (panel-colours panel))))
    (do ((i 0 (1+ i))) ((= i 256))
      (bytevector-u32-native-set! ramp (* 4 i) (vector-ref table (- 255 i))))
    (draw-pixels context ramp 256 1 x y bar-width (/ height 256.))
    (let ((left (+ x bar-width 4)))
      (draw-text context left (+ y font-size) (number-text (panel-high panel)))
      (draw-text context left (+ y height) (number-text (panel-low panel))))))

(define (draw-panel context panel x y zoom)
  (let* ((shape (tensor-shape (panel-image panel)))
         (rows (first shape)) (columns (second shape))
         (top (+ y title-height)))
    (draw-text context x (+ y font-size)
               (fit-text context (panel-title panel) (* zoom columns)))
    (draw-pixels context (pixels panel) rows columns x top zoom zoom)
    (when (panel-bar? panel)
      (draw-bar context panel (+ x (* zoom columns) 6) top (* zoom rows)))))

(define (column-lefts panels columns width)
  ;; Where each of COLUMNS begins, and where the last ends; one in which a panel has a
  ;; colour bar is wider.
  (let loop ((k 0) (left margin) (lefts '()))
    (if (= k columns)
        (reverse (cons left lefts))
        (loop (1+ k)
              (+ left width
                 (if (any (lambda (p i) (and (panel-bar? p) (= k (modulo i columns))))
                          panels (iota (length panels)))
                     bar-room
                     0))
              (cons left lefts)))))

(define* (save-figure path panels #:key (columns (min 4 (length panels))))
  "Draw PANELS, a list of `panel', in rows of COLUMNS, and write the picture to the PNG
file PATH, whole or not at all.
Example: (save-figure \"figure.png\" (list (panel \"truth\" scan) (panel \"mean\" (chain-mean chain))))"
  (check-that (and (pair? panels) (every panel? panels)) 'save-figure
              "panels: expected a list of panels, got ~s" panels)
  (check-that (and (exact-integer? columns) (> columns 0)) 'save-figure
              "columns: expected a positive integer, got ~s" columns)
  (check-that (resolve-module '(cairo) #:ensure #f) 'save-figure
              "the Guile module (cairo) is needed: install guile-cairo")
  (let* ((zoom (zoom-for panels))
         (extent (lambda (axis)
                   (* zoom (fold max 1 (map (lambda (p) (axis (tensor-shape (panel-image p))))
                                            panels)))))
         (columns (min columns (length panels)))
         (lefts (column-lefts panels columns (+ (extent second) margin)))
         (cell-height (+ (extent first) title-height margin))
         (rows (quotient (+ (length panels) columns -1) columns))
         (surface (cairo-image-surface-create 'argb32 (last lefts)
                                              (+ margin (* rows cell-height))))
         (context (cairo-create surface)))
    (cairo-set-source-rgb context 1 1 1)
    (cairo-paint context)
    (cairo-select-font-face context "sans-serif" 'normal 'normal)
    (cairo-set-font-size context font-size)
    (for-each (lambda (panel k)
                (draw-panel context panel
                            (list-ref lefts (modulo k columns))
                            (+ margin (* cell-height (quotient k columns)))
                            zoom))
              panels (iota (length panels)))
    (cairo-surface-flush surface)
    (write-surface surface path)))

(define (write-surface surface path)
  (let ((temporary (format #f "~a.~a.tmp" path (getpid))))
    (catch #t
      (lambda ()
        (cairo-surface-write-to-png surface temporary)
        (call-with-input-file temporary fsync)
        (rename-file temporary path))
      (lambda (key . arguments)
        (when (file-exists? temporary) (delete-file temporary))
        (complain 'save-figure "~a: cannot be written" path)))))

;;; --- The figure of a reconstruction -----------------------------------------

(define* (posterior-panels #:key (truth #f) zero-filled mean std samples (shown 4))
  "The panels of a reconstruction: TRUTH where it is known, the ZERO-FILLED image, the
posterior MEAN and standard deviation STD, and the first SHOWN of SAMPLES (n rows
columns); with PSNRs where TRUTH is known.
Example: (posterior-panels #:zero-filled (tensor-abs image) #:mean (tensor-abs image)
                           #:std (tensor-abs image) #:samples (tensor-abs (random-normal '(4 8 8) 1)))"
  (let* ((reference (image-magnitude (or truth zero-filled)))
         (white (tensor->number (tensor-quantile (tensor-reshape reference '(-1)) 0.999 0)))
         (with-quality (lambda (title image)
                         (if truth
                             (format #f "~a  ~a dB" title
                                     (number-text (/ (round (* 10 (psnr image truth))) 10)))
                             title)))
         (grey (lambda (title image) (panel title image #:high white)))
         (rated (lambda (title image) (grey (with-quality title image) image)))
         (shape (tensor-shape mean)))
    (append (if truth (list (grey "truth" truth)) '())
            (list (rated "zero-filled" zero-filled)
                  (rated "mean" mean)
                  (panel "standard deviation" std #:colours 'heat #:bar? #t))
            (map (lambda (k)
                   (rated (format #f "sample ~a" (1+ k))
                          (tensor-reshape (tensor-slice samples 0 k (1+ k)) shape)))
                 (iota (min shown (first (tensor-shape samples))))))))

(document
 (panel?
  "True when OBJECT is a panel of a figure.
Example: (panel? (panel \"scan\" (tensor-abs scan))) => #t"))
