;;; power-iteration.scm -- the greatest eigenvalue of a linear map, by the power method.

(define-module (tempera tensor power-iteration)
  #:use-module (srfi srfi-1)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (power-iteration))

(define (squared-lengths batch)
  (tensor->list (tensor-sum-squares batch (iota (1- (length (tensor-shape batch))) 1))))

(define (power-iteration map-batch start iterations)
  "The greatest eigenvalue, by magnitude, of the linear MAP-BATCH from batches to batches, (N ...), whose
items do not mix: a list with one estimate for each item, after ITERATIONS from START.  It comes from
below, and is 0 where START is mapped to 0.  Lengths stay those of START.
Example: (power-iteration (lambda (x) (tensor* -3 x)) (list->tensor '(1 2) '(1 2)) 5) => (3.0)"
  (let loop ((k 0) (x start) (sizes '()))
    (if (= k iterations)
        sizes
        (let* ((y (map-batch x))
               (sizes (map (lambda (after before) (if (> before 0) (sqrt (/ after before)) 0))
                           (squared-lengths y) (squared-lengths x)))
               (factors (map (lambda (size) (if (> size 0) (/ size) 0)) sizes)))
          (loop (1+ k) (tensor* y (per-item (list->tensor factors) y)) sizes)))))
