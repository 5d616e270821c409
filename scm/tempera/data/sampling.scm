;;; sampling.scm -- what k-space says of itself: whether it is one, what was measured, and where its
;;; middle is.

(define-module (tempera data sampling)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (kspace-like? measured-mask sampling-text kspace-peak))

;;; --- K-space or an image ------------------------------------------------------------

(define (peakedness tensor)
  ;; The mean fourth power of its magnitudes over the square of the mean second one.
  (let ((power (tensor-square (tensor-abs tensor))))
    (/ (tensor->number (tensor-mean (tensor-square power)))
       (expt (tensor->number (tensor-mean power)) 2))))

(define (kspace-like? image)
  "Whether IMAGE (rows columns), c64, is rather k-space: more peaked than its Fourier transform is.
An object covers much of its image, where this is from 1 to 20, and has most of its energy in the
middle of k-space, where it is in the hundreds and more.  An image of a few bright points is taken
for k-space too.
Example: (kspace-like? scan) => #f"
  (check-that (and (tensor? image) (eq? (tensor-dtype image) 'c64)
                   (= 2 (length (tensor-shape image))))
              'kspace-like? "image: expected c64 (rows columns), got ~s" image)
  (with-scope
   (lambda ()
     (let* ((peak (tensor->number (tensor-max (tensor-abs image))))
            (image (if (> peak 0) (tensor/ image peak) image)))
       (and (> peak 0)
            (> (peakedness image) (peakedness (fft2 image))))))))

;;; --- What was measured ----------------------------------------------------------------

(define (measured-mask kspace)
  "Where KSPACE, c64 (coils rows columns), is not 0: f32 (columns) when all rows agree, else (rows
columns).
Example: (tensor-shape (measured-mask (tensor-reshape y '(1 16 16)))) => (16)"
  (with-scope
   (lambda ()
     (let* ((there (tensor< 0 (tensor-sum (tensor-abs kspace) '(0))))
            (columns (tensor-max there '(0))))
       (if (tensor-identical? there (tensor-copy (tensor-broadcast columns (tensor-shape there))))
           columns
           there)))))

(define (lines-text name flags)
  ;; How the lines called NAME were sampled, of which FLAGS, a list, says whether each was.
  (let* ((n (length flags))
         (there (filter-map (lambda (k flag) (and (> flag 0) k)) (iota n) flags))
         (count (length there))
         (middle (quotient n 2))
         (run (lambda (from step) (let loop ((k from)) (if (memv (+ k step) there) (loop (+ k step)) k))))
         (low (and (memv middle there) (run middle -1)))
         (high (and low (run middle 1)))
         (steps (if (null? there) '()
                    (filter-map (lambda (a b) (and (or (not low) (<= b low) (>= a high)) (- b a)))
                                there (cdr there))))
         (step (and (> (length steps) 2) (null? (cdr (delete-duplicates steps))) (car steps))))
    (if (= count n)
        "all was measured"
        (format #f "~a of ~a ~a, R = ~a~a~a" count n name (if (> count 0) (number-text (/ n count)) "?")
                (if (and low (> high low)) (format #f "; the middle ~a all" (1+ (- high low))) "")
                (if (and step (> step 1)) (format #f ", every ~a outside" (ordinal step)) "")))))

(define (ordinal n)
  (format #f "~a~a" n (if (memv (modulo n 100) '(11 12 13)) "th"
                          (case (modulo n 10) ((1) "st") ((2) "nd") ((3) "rd") (else "th")))))

(define (whole-square mask)
  ;; The side of the largest square of 1 around the middle of MASK, (rows columns).
  (match (tensor-shape mask)
    ((rows columns)
     (let ((whole? (lambda (k)
                     (let* ((row (- (quotient rows 2) (quotient k 2))) (column (- (quotient columns 2) (quotient k 2)))
                            (part (tensor-slice (tensor-slice mask 0 row (+ row k)) 1 column (+ column k))))
                       (= (* k k) (tensor->number (tensor-sum part)))))))
       (let loop ((k 0))
         (if (and (< k (min rows columns)) (whole? (1+ k))) (loop (1+ k)) k))))))

(define (sampling-text mask)
  "How k-space was sampled that has MASK, f32 (columns) or (rows columns) of 0 and 1, in words.
Example: (sampling-text (list->tensor '(1 0 0 0 1 1 0 0 0 1))) => \"4 of 10 columns, R = 2.5; the middle 2 all\""
  (check-that (and (tensor? mask) (memv (length (tensor-shape mask)) '(1 2))) 'sampling-text
              "mask: expected f32 (columns) or (rows columns), got ~s" mask)
  (match (tensor-shape mask)
    ((_) (lines-text "columns" (tensor->list mask)))
    (shape
     (let* ((rows (tensor-max mask '(1)))
            (by-rows? (tensor-identical? (tensor-copy mask)
                                         (tensor-copy (tensor-broadcast (tensor-reshape rows (list (first shape) 1))
                                                                        shape))))
            (total (apply * shape))
            (count (inexact->exact (tensor->number (tensor-sum mask)))))
       (cond (by-rows? (lines-text "rows" (tensor->list rows)))
             ((= count total) "all was measured")
             (else
              (let ((side (whole-square mask)))
                (format #f "~a % of the points, R = ~a~a" (number-text (* 100 (/ count total)))
                        (if (> count 0) (number-text (/ total count)) "?")
                        (if (> side 1) (format #f "; the middle ~a x ~a all" side side) "")))))))))

;;; --- Its middle -------------------------------------------------------------------------

(define (kspace-peak kspace)
  "The row and column, a list, at which KSPACE, c64 (coils rows columns), has most energy: where its middle is,
which should be half of each length.
Example: (kspace-peak (tensor-reshape y '(1 16 16))) => (8 8)"
  (with-scope
   (lambda ()
     (let* ((energy (tensor-sum (tensor-square (tensor-abs kspace)) '(0)))
            (place (lambda (axis)
                     (let ((most (tensor->list (tensor-max energy (list (- 1 axis))))))
                       (list-index (lambda (e) (= e (apply max most))) most)))))
       (list (place 0) (place 1))))))
