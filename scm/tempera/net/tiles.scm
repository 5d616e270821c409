;;; tiles.scm -- a network's body applied to images that do not fit into memory, a tile at a time, to the same bits.
;;;
;;; A body of convolutions makes each pixel of those around it.  A tile is computed with a margin as wide as that reaches,
;;; which is then cut off.  How far it reaches is measured: not-a-numbers on one side of a line show up in all that is computed
;;; of them, the rounding of Winograd's transforms included.  Tiles begin where those begin in the whole image.  Attention and
;;; group norm make each pixel of all others: they are refused.

(define-module (tempera net tiles)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (tile-side in-tiles))

(define tile-side
  (make-parameter #f
                  (lambda (side)
                    (check-that (or (not side) (and (exact-integer? side) (> side 0))) 'tile-side
                                "expected #f or a positive integer, got ~s" side)
                    side)))

(define winograd-side 4)                ; of what a convolution computes together: winograd_kernel.h

(define (round-up n unit) (* unit (ceiling-quotient n unit)))

;;; --- How far a body reaches --------------------------------------------------------------

(define widest-margin 1024)

(define (margin-of name body unit channels)
  ;; How many rows or columns away, in whole UNITs, is what BODY makes a pixel of.
  (let probe ((half (* 8 unit)))
    (let ((reach (apply max (append-map (lambda (axis)
                                          (map (lambda (before?) (reach body unit half channels axis before?)) '(#t #f)))
                                        '(1 2)))))
      (cond ((< reach half) (round-up reach unit))
            ((< half widest-margin) (probe (* 2 half)))
            (else (complain name "tile-side: its pixels depend on those of the whole image, as by attention or group \
norm; expected #f"))))))

(define (reach body unit half channels axis before?)
  ;; How many lines beyond the middle of 2 HALF lines along AXIS depend on those BEFORE? it, or else after it.
  (let* ((bad (lambda (k) (if (eq? before? (< k half)) +nan.0 0)))
         (shape (if (= axis 1) (list 1 (* 2 half) unit channels) (list 1 unit (* 2 half) channels)))
         (line (tensor-tabulate (if (= axis 1) (list (* 2 half) 1 1) (list 1 (* 2 half) 1))
                                (lambda (i j c) (bad (max i j)))))
         (sums (with-scope
                (lambda ()
                  (let ((made (body (tensor-copy (tensor-broadcast line shape)) (list->tensor '(1)))))
                    (tensor->list (tensor-sum (tensor-sum made -1) (if (= axis 1) -1 1)))))))
         (beyond (if before? (drop sums half) (reverse (take sums half)))))
    (or (find (lambda (k) (not (any nan? (list-tail beyond k)))) (iota half)) half)))

;;; --- Tiles ----------------------------------------------------------------------------------

(define (tiles n side margin unit)
  ;; Of N lines, lists: the first line of a tile and the one past the last; the same with margins.
  (if (<= n side)
      `((0 ,n 0 ,n))
      (let ((step (* unit (quotient (- side (* 2 margin)) unit))))
        (map (lambda (k)
               (let ((from (* k step)) (to (min n (* (1+ k) step))))
                 (list from to (max 0 (- from margin)) (min n (+ to margin)))))
             (iota (ceiling-quotient n step))))))

(define (in-tiles name body divisor)
  "BODY, a procedure of images (N H W C), whose rows and columns DIVISOR divides, and noise (N), that keeps to
`tile-side'.  Errors are of NAME.
Example: (tensor-shape ((in-tiles 'same (lambda (images noise) images) 1) (tensor-zeros '(1 4 4 2)) (tensor-zeros '(1))))
         => (1 4 4 2)"
  (define unit (* winograd-side divisor))
  (define margins '())                  ; by precision and channels
  (define (margin channels)
    (let ((key (list (convolution-precision) channels)))
      (or (assoc-ref margins key)
          (let ((margin (parameterize ((tile-side #f)) (margin-of name body unit channels))))
            (set! margins (acons key margin margins))
            margin))))
  (lambda (images noise)
    (let ((side (tile-side)) (rows (tensor-size images 1)) (columns (tensor-size images 2)))
      (if (or (not side) (<= (max rows columns) side) (tape-open?) (training?))
          (body images noise)
          (let* ((margin (margin (tensor-size images 3))) (least (+ unit (* 2 margin))))
            (check-that (>= side least) name "tile-side: expected ~a or more, since ~a pixels around one count, got ~a"
                        least margin side)
            (tensor-concatenate
             (map-in-order
              (lambda (row)
                (tensor-concatenate
                 (map-in-order (lambda (column) (tile body images noise row column))
                               (tiles columns side margin unit))
                 2))
              (tiles rows side margin unit))
             1))))))

(define (tile body images noise rows columns)
  ;; What BODY makes of IMAGES in ROWS and COLUMNS, as `tiles' has them.
  (define (cut t begin-row end-row begin-column end-column)
    (tensor-copy (tensor-slice (tensor-slice t 1 begin-row end-row) 2 begin-column end-column)))
  (apply (lambda (top bottom upper lower)
           (apply (lambda (left right leftmost rightmost)
                    (with-scope
                     (lambda ()
                       (cut (body (cut images upper lower leftmost rightmost) noise)
                            (- top upper) (- bottom upper) (- left leftmost) (- right leftmost)))))
                  columns))
         rows))

(document
 (tile-side
  "How many rows and columns of an image go through a network's body at once, margins included, or #f, all; a parameter
object.  Scores are the same to the bit, and take the memory of images of that size.  An error where it is less than
the network needs for margins, or where its pixels depend on the whole image.
Example: (parameterize ((tile-side 1024)) (tile-side)) => 1024"))
