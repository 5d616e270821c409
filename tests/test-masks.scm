;;; test-masks.scm -- which points a mask acquires, and that a seed goes on meaning the same mask.

(use-modules (harness)
             (tempera file bart) (tempera file formats) (tempera file pictures)
             (tempera problem masks) (tempera problem operators)
             (tempera tensor primitives) (tempera tensor tensors)
             (srfi srfi-1))

(start-tests "masks")

(define (columns mask)
  (inexact->exact (tensor->number (tensor-sum mask))))

(test-equal "columns" '(256) (tensor-shape (random-mask 256)))
(test-assert "the same seed, the same mask"
  (tensor-identical? (random-mask 256 #:seed 9) (random-mask 256 #:seed 9)))
(test-assert "another seed, another mask"
  (not (tensor-identical? (random-mask 256 #:seed 9) (random-mask 256 #:seed 10))))
(test-equal "the centre at acceleration 8 is 4 %" 10.0
  ;; Outside the centre nothing is left when the centre is all that is wanted.
  (tensor->number (tensor-sum (tensor-slice (random-mask 256 #:acceleration 8 #:seed 2) 0 123 133))))
(test-equal "a full mask" 64.0
  (tensor->number (tensor-sum (random-mask 64 #:acceleration 1 #:center-fraction 0))))

;; 320 * 0.08 = 25.6: 26 columns of the middle, from (320 - 26 + 1) / 2 = 147 on.  Each of the
;; 294 others is there with probability p = 54 / 294, so that masks have 80 columns on average
;; with a standard deviation of sqrt (294 p (1 - p)).
(let* ((masks (map (lambda (seed) (random-mask 320 #:center-fraction 0.08 #:seed seed)) (iota 400)))
       (p (/ 54. 294))
       (count (length masks))
       (share (lambda (column)
                (/ (apply + (map (lambda (mask) (tensor-element mask (list column))) masks)) count))))
  (test-assert "the middle is always there"
    (every (lambda (mask) (= 26 (columns (tensor-slice mask 0 147 173)))) masks))
  (test-approximate "columns on average" 80. (/ (apply + (map columns masks)) count)
    (* 4 (sqrt (/ (* 294 p (- 1 p)) count))))
  (for-each (lambda (column)
              (test-approximate "a column's share" p (share column)
                (* 4 (sqrt (/ (* p (- 1 p)) count)))))
            '(0 319)))

(let* ((mask (equispaced-mask 320 #:center-fraction 0.08 #:seed 3))
       (outside (filter (lambda (c) (= 1 (tensor-element mask (list c)))) (iota 147))))
  (test-approximate "equispaced columns" 80 (columns mask) 1)
  ;; 294 / 54 = 5.4
  (test-equal "their spacings" '(5 6)
    (sort (delete-duplicates (map - (cdr outside) (drop-right outside 1))) <)))

(let ((mask (equispaced-mask 32 #:offset 1 #:center-fraction 4/32)))
  (test-equal "every fourth from the second, and the middle" '(1 5 9 13 14 15 16 17 21 25 29)
    (filter (lambda (c) (= 1 (tensor-element mask (list c)))) (iota 32))))
;; Of the frequencies k at its right a conjugate mask has those at a distance of 4, and at its left those that,
;; mirrored, lie between.
(let* ((mask (equispaced-mask 64 #:offset 'conjugate #:center-fraction 0 #:seed 1))
       (chosen (map (lambda (c) (- c 32)) (filter (lambda (c) (= 1 (tensor-element mask (list c)))) (iota 64))))
       (right (filter (lambda (k) (>= k 0)) chosen))
       (left (map - (reverse (remove (lambda (k) (>= k 0)) chosen))))
       (both (sort (append right left) <)))
  (test-equal "conjugate: every second frequency from both sides" '(2)
    (delete-duplicates (map - (cdr both) (drop-right both 1))))
  (test-equal "every fourth from each" '((4) (4))
    (map (lambda (side) (delete-duplicates (map - (cdr side) (drop-right side 1)))) (list right left))))

;;; --- Points --------------------------------------------------------------------------

(define (total mask) (tensor->number (tensor-sum mask)))
(define (part mask r0 r1 c0 c1)
  (tensor-copy (tensor-slice (tensor-slice mask 0 r0 r1) 1 c0 c1)))

(let ((mask (gaussian-mask '(60 48) #:acceleration 6 #:calibration '(8 10) #:seed 2)))
  (test-equal "as many as asked for" 480. (total mask))
  (test-equal "the middle of a Gaussian mask" 80. (total (part mask 26 34 19 29)))
  (test-assert "fewer at the edge" (< (* 2 (total (part mask 0 10 0 48))) (total (part mask 15 25 0 48))))
  (test-assert "by the seed" (tensor-identical? mask (gaussian-mask '(60 48) #:acceleration 6
                                                                    #:calibration '(8 10) #:seed 2))))
(let ((mask (gaussian-mask 64 #:acceleration 4)))
  (test-equal "of columns" '((64) 16.) (list (tensor-shape mask) (total mask)))
  (test-equal "the usual middle" 5. (total (tensor-slice mask 0 30 35))))

(define (nearest mask i j most)
  ;; From a point to the next one that is acquired, up to MOST.
  (apply min most
         (filter-map (lambda (n)
                       (let ((a (quotient n 41)) (b (modulo n 41)))
                         (let ((y (+ i a -20)) (x (+ j b -20)))
                           (and (not (and (= y i) (= x j)))
                                (< -1 y (tensor-size mask 0)) (< -1 x (tensor-size mask 1))
                                (= 1 (tensor-element mask (list y x)))
                                (sqrt (+ (expt (- y i) 2) (expt (- x j) 2)))))))
                     (iota (* 41 41)))))
(let* ((mask (poisson-mask '(80 64) #:acceleration 8 #:calibration '(10 10) #:seed 4))
       (acquired (lambda (i j) (= 1 (tensor-element mask (list i j)))))
       (at-edge (filter-map (lambda (j) (and (acquired 2 j) (nearest mask 2 j 20.))) (iota 64)))
       (inside (filter-map (lambda (j) (and (acquired 32 j) (nearest mask 32 j 20.))) (iota 64))))
  (test-approximate "one point in 8" 640 (total mask) 20)
  (test-equal "the middle of a Poisson disc" 100. (total (part mask 35 45 27 37)))
  (test-assert "no two are neighbours at the edge" (> (apply min at-edge) 2.5))
  (test-assert "nearer to each other inside" (< (apply min inside) (apply min at-edge)))
  (test-assert "of all distances, not a grid's" (> (length (delete-duplicates at-edge)) 1)))
(test-equal "no corners" 0.
  (total (part (poisson-mask '(40 40) #:acceleration 4 #:corners? #f) 0 5 0 5)))

(let ((mask (caipirinha-mask '(9 12) #:by '(2 3) #:shift 1 #:calibration '(0 0))))
  (test-equal "rows and columns, and a shift of one from row to row" '((0 1) (0 4) (0 7) (0 10) (2 2) (2 5) (2 8) (2 11))
    (filter (lambda (p) (and (< (first p) 4) (= 1 (tensor-element mask p))))
            (append-map (lambda (i) (map (lambda (j) (list i j)) (iota 12))) (iota 9))))
  (test-equal "the centre is there" 1. (tensor-element mask '(4 6))))

(test-equal "partial Fourier" '(0. 0. 0. 1. 1. 1. 1. 1.)
  (tensor->list (partial-fourier (random-mask 8 #:acceleration 1) 5/8)))
(let ((mask (partial-fourier (caipirinha-mask '(8 6) #:by '(1 1)) 3/4 #:axis 'rows)))
  (test-equal "of rows" '(0. 36.) (list (total (part mask 0 2 0 6)) (total (part mask 2 8 0 6)))))

;;; --- From files ------------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (folder)
   (let* ((in (lambda (name) (string-append folder "/" name)))
          (columns '(1 0 1 1)) (plain (list->tensor columns))
          (points (list->tensor '(1 0 0 1 1 1 0 1) '(2 4)))
          (saved (lambda (mask name) (save-npy (in name) mask) (load-mask (in name) #:shape '(4 4)))))
     (for-each (lambda (shape)
                 (test-assert (format #f "columns as ~a" shape)
                   (tensor-identical? plain (saved (tensor-reshape plain shape) "mask.npy"))))
               '((4) (1 4) (1 1 4 1) (1 1 1 4)))
     (test-assert "complex" (tensor-identical? plain (saved (tensor+ (tensor-zeros '(4) 'c64) plain) "c.npy")))
     (test-assert "0 and 255" (tensor-identical? points (saved (tensor* 255 points) "white.npy")))
     (test-assert "points" (tensor-identical? points (saved points "points.npy")))
     (test-assert "over rows" (tensor-identical? (tensor-copy (tensor-broadcast (tensor-reshape plain '(4 1)) '(4 4)))
                                                 (saved (tensor-reshape plain '(4 1)) "rows.npy")))
     (save-png (in "mask.png") points)
     (test-assert "a picture" (tensor-identical? points (load-mask (in "mask.png"))))
     ;; One byte an entry, as NumPy saves booleans.
     (call-with-output-file (in "bool.npy")
       (lambda (port)
         (let ((header "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }"))
           (format port "\x93NUMPY\x01\x00~a\x00~a~a\n" (integer->char 118) header
                   (make-string (- 117 (string-length header)) #\space))
           (for-each (lambda (c) (write-char (integer->char c) port)) columns)))
       #:encoding "ISO-8859-1")
     (test-assert "booleans" (tensor-identical? plain (load-mask (in "bool.npy"))))
     (save-bart (in "mask.cfl") (tensor+ (tensor-zeros '(2 4) 'c64) points))
     (test-assert "BART's" (tensor-identical? points (load-mask (in "mask.cfl"))))
     (test-error-matching "weights" "mask.npy: expected 0 and 1 only, got 0.5"
       (saved (list->tensor '(1 0.5)) "mask.npy"))
     (test-error-matching "a phase" "mask: expected 0 and 1, got complex numbers"
       (saved (tensor* +i (tensor+ (tensor-zeros '(4) 'c64) plain)) "c.npy"))
     (test-error-matching "three axes" "mask: expected a tensor (columns) or (rows columns)"
       (saved (tensor-zeros '(3 4 5)) "three.npy"))
     (save-npy (in "rows.npy") (tensor-reshape plain '(4 1)))
     (test-error-matching "rows of unknown images" "needs #:shape" (load-mask (in "rows.npy"))))))

;; A seed goes on meaning the same mask.
(define (text mask)
  (list->string (map (lambda (v) (if (= v 1) #\1 #\0)) (tensor->list mask))))
(for-each
 (lambda (expected mask) (test-equal "the mask of version 0.1" expected (text mask)))
 '("0000001000000000000000101001111111100000110000011100001000100010"
   "1010010000000010100000000100000111000001001001000100010000000000"
   "0100010001010101001010101010111111100000011110010011111011000001"
   "0001000010000100000100001000001111110000100001000001000010000100"
   "1000000000001000000000001000000111000001000000000001000000000000"
   "0010010010010010010010010100111111100100100100100100100100100100")
 (list (random-mask 64) (random-mask 64 #:seed 3 #:acceleration 8)
       (random-mask 64 #:acceleration 2.5 #:center-fraction 0.1 #:seed 11)
       (equispaced-mask 64) (equispaced-mask 64 #:seed 3 #:acceleration 8)
       (equispaced-mask 64 #:acceleration 2.5 #:center-fraction 0.1 #:seed 11)))

;; Bad input.
(test-error-matching "columns" "columns: expected" (random-mask 0))
(test-error-matching "columns of another kind" "columns: expected" (random-mask 6.5))
(test-error-matching "acceleration" "acceleration: expected" (random-mask 64 #:acceleration 0.5))
(test-error-matching "centre" "center-fraction: expected" (equispaced-mask 64 #:center-fraction 2))
(test-error-matching "too much centre" "the centre alone" (random-mask 64 #:center-fraction 0.5))
(test-error-matching "offset" "offset: expected an integer from 0 to 3, or conjugate, got 4"
  (equispaced-mask 64 #:offset 4))
(test-error-matching "offset without a step" "acceleration: expected an integer with #:offset"
  (equispaced-mask 64 #:acceleration 2.5 #:offset 1))
(test-error-matching "a size" "size: expected (rows columns), got 64" (poisson-mask 64))
(test-error-matching "a Gaussian's size" "size: expected columns or (rows columns)" (gaussian-mask '(4 5 6)))
(test-error-matching "its width" "width: expected a positive number" (gaussian-mask 64 #:width 0))
(test-error-matching "calibration" "calibration: expected 2 lengths of the middle, up to (8 8), got (9 1)"
  (gaussian-mask '(8 8) #:calibration '(9 1)))
(test-error-matching "all of it middle" "the middle alone" (poisson-mask '(24 24) #:acceleration 8 #:calibration '(12 12)))
(test-error-matching "slope" "slope: expected" (poisson-mask '(64 64) #:slope -1))
(test-error-matching "steps" "by: expected two positive integers" (caipirinha-mask '(8 8) #:by '(2 0)))
(test-error-matching "shift" "shift: expected" (caipirinha-mask '(8 8) #:shift 1/2))
(test-error-matching "half" "fraction: expected a number above 1/2" (partial-fourier (random-mask 8 #:acceleration 1) 1/2))
(test-error-matching "axis" "axis: expected columns" (partial-fourier (random-mask 8 #:acceleration 1) 3/4 #:axis 'rows))
(test-error-matching "no mask" "mask: expected one" (partial-fourier 7 3/4))
(test-error-matching "mask seed" "seed: expected" (random-mask 64 #:seed -1))

(finish-tests)
