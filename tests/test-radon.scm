;;; test-radon.scm -- projections: line integrals known in closed form, the adjoint, filtered back projection.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (tempera))

(start-tests "radon")

(define pi (acos -1))
(define (relative a b) (sqrt (/ (tensor->number (tensor-sum-squares (tensor- a b))) (tensor->number (tensor-sum-squares b)))))

;;; --- The operator ---------------------------------------------------------------------

(for-each
 (lambda (shape angles detectors)
   (let ((op (radon-operator shape #:angles angles #:detectors detectors)))
     (for-each (lambda (dtype)
                 (test-equal (format #f "~a by ~a, ~a" shape detectors dtype) '()
                   (operator-check-faults (check-operator op #:dtype dtype))))
               '(c64 f32))))
 '((16 16) (12 20) (15 16)) (list (projection-angles 12) '(0 10.5 -20 100 200) (projection-angles 7 120)) '(25 26 13))

;; Projection 0 sums columns, one at 90 degrees rows, whatever the image is.
(let* ((image (random-normal '(16 20) 1))
       (y (apply-forward (radon-operator '(16 20) #:angles '(0 90 180) #:detectors 41) image))
       (row (lambda (k from n) (tensor-reshape (tensor-copy (tensor-slice (tensor-slice y 0 k (1+ k)) 1 from (+ from n))) (list n)))))
  (test-approximate "sums of columns" 0 (relative (row 0 10 20) (tensor-sum image 0)) 1e-4)
  (test-approximate "sums of rows" 0 (relative (row 1 12 16) (tensor-sum image 1)) 1e-4)
  (test-approximate "half a turn on, from the other side" 0
    (relative (tensor-tabulate '(41) (lambda (i) (tensor-ref y 2 (- 40 i)))) (row 0 0 41)) 1e-4))

;; A Gaussian, which is as good as band-limited: its projection is a Gaussian, wherever it is.
(let* ((width 2.5) (row 5) (column -7) (angles '(0 17 45 90 133.3))
       (image (tensor-tabulate '(64 48) (lambda (i j)
                                          (exp (/ (+ (expt (- i 32 row) 2) (expt (- j 24 column) 2)) (* -2 width width))))))
       (op (radon-operator '(64 48) #:angles angles))
       (n (second (operator-range op)))
       (expected (tensor-tabulate (list (length angles) n)
                                  (lambda (a d)
                                    (let* ((t (* (list-ref angles a) (/ pi 180)))
                                           (s (- d (quotient n 2) (* column (cos t)) (* row (sin t)))))
                                      (* width (sqrt (* 2 pi)) (exp (/ (* s s) (* -2 width width)))))))))
  (test-approximate "a Gaussian's line integrals" 0 (relative (apply-forward op image) expected) 1e-5))

;; An ellipse, turned and off the middle, with pixels by the part of each that is inside: 2 v a b sqrt (r^2 - s^2) / r^2 with
;; r^2 = a^2 cos^2 + b^2 sin^2 of the angle between.  Its edge is not band-limited, so it is near and not equal.
(define (ellipse size a b turn row column value)
  (let ((fine 8))
    (tensor-tabulate (list size size)
                     (lambda (i j)
                       (let ((count 0))
                         (do ((p 0 (1+ p))) ((= p fine))
                           (do ((q 0 (1+ q))) ((= q fine))
                             (let* ((y (- (+ i -0.5 (/ (+ p 0.5) fine)) (quotient size 2) row))
                                    (x (- (+ j -0.5 (/ (+ q 0.5) fine)) (quotient size 2) column))
                                    (u (+ (* x (cos turn)) (* y (sin turn)))) (v (- (* y (cos turn)) (* x (sin turn)))))
                               (when (<= (+ (expt (/ u a) 2) (expt (/ v b) 2)) 1) (set! count (1+ count))))))
                         (* value (/ count fine fine)))))))
(let* ((size 96) (a 30.) (b 17.) (turn 0.6) (row 6) (column -9) (value 3.)
       (angles (projection-angles 40))
       (image (ellipse size a b turn row column value))
       (op (radon-operator (list size size) #:angles angles))
       (n (second (operator-range op)))
       (y (apply-forward op image))
       (expected (tensor-tabulate (list 40 n)
                                  (lambda (k d)
                                    (let* ((t (* (list-ref angles k) (/ pi 180)))
                                           (s (- d (quotient n 2) (* column (cos t)) (* row (sin t))))
                                           (r2 (+ (expt (* a (cos (- t turn))) 2) (expt (* b (sin (- t turn))) 2))))
                                      (if (< (* s s) r2) (/ (* 2 value a b (sqrt (- r2 (* s s)))) r2) 0))))))
  (test-approximate "an ellipse's line integrals" 0 (relative y expected) 0.015)
  ;; Of enough angles filtered back projection is the image; far from its edges, to a hundredth.
  (let* ((op (radon-operator (list size size) #:angles (projection-angles 150)))
         (image (tensor-reshape image (list size size)))
         (back (zero-filled (measurement op (apply-forward op image) #:noise 1))))
    (test-approximate "filtered back projection" 0 (relative back image) 0.06)
    (for-each (lambda (i j expected)
                (test-approximate (format #f "at ~a ~a" i j) expected
                  (tensor->number (tensor-mean (tensor-slice (tensor-slice back 0 i (+ i 4)) 1 j (+ j 4)))) 0.03))
              '(52 60 6 88) '(36 42 6 48) '(3 3 0 0)))
  ;; Half of them at half the weight each would be half as bright.
  (for-each
   (lambda (angles)
     (let ((op (radon-operator (list size size) #:angles angles)))
       (test-approximate (format #f "of ~a angles as bright" (length angles)) 1
         (/ (tensor->number (tensor-sum (apply-approximate-inverse op (apply-forward op image)))) (tensor->number (tensor-sum image)))
         0.02)))
   (list (projection-angles 20) (map (lambda (a) (+ a 77)) (projection-angles 31)))))

(test-error-matching "no shape" "shape: expected that of images" (radon-operator 16))
(test-error-matching "no angles" "angles: expected a list of degrees, got ()" (radon-operator '(16 16) #:angles '()))
(test-error-matching "angles that are none" "angles: expected a list of degrees" (radon-operator '(16 16) #:angles '(0 x)))
(test-error-matching "two detectors" "detectors: expected an integer of 3 or more" (radon-operator '(16 16) #:detectors 2))
(test-error-matching "no count" "count: expected a positive integer" (projection-angles 0))
(test-error-matching "no arc" "arc: expected a positive number" (projection-angles 4 0))

(finish-tests)
