;;; test-masks.scm -- which columns a mask acquires, and that a seed goes on meaning the same mask.

(use-modules (harness)
             (tempera problem masks) (tempera tensor primitives)
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
(test-error-matching "mask seed" "seed: expected" (random-mask 64 #:seed -1))

(finish-tests)
