;;; test-image-operators.scm -- blur, inpainting, super-resolution, cropping, shear: what they do, that each is
;;; a linear operator with its adjoint, and that posteriors sampled through them are the exact ones.

(use-modules (harness)
             (tempera) (tempera tensor primitives) (tempera tensor tensors) (tempera problem operator-checks)
             (srfi srfi-1))

(start-tests "image operators")

(define (close? tolerance a b)
  (<= (abs (- a b)) tolerance))

(define (numbers t) (map (lambda (x) (/ (round (* x 1e4)) 1e4)) (tensor->list t)))

;;; --- What they do ---------------------------------------------------------------------

(define (convolved kernel x border)
  "The sum itself: pixel i of the periodic convolution, or of its valid part."
  (let* ((sizes (tensor-shape kernel)) (shape (tensor-shape x))
         (valid? (eq? border 'valid))
         (middle (lambda (n) (quotient n 2)))
         (first-row (if valid? (map (lambda (n) (- n 1 (middle n))) sizes) '(0 0))))
    (tensor-tabulate (if valid? (map (lambda (h n) (1+ (- h n))) shape sizes) shape)
                     (lambda (i j)
                       (apply + (append-map
                                 (lambda (a)
                                   (map (lambda (b)
                                          (* (tensor-ref kernel a b)
                                             (apply tensor-ref x
                                                    (map (lambda (at from n k size)
                                                           (modulo (- (+ at from) (- k (middle n))) size))
                                                         (list i j) first-row sizes (list a b) shape))))
                                        (iota (second sizes))))
                                 (iota (first sizes))))))))

(define (apart a b)
  (tensor->number (tensor-max (tensor-abs (tensor- a b)))))

(for-each
 (lambda (kernel)
   (for-each
    (lambda (border dtype)
      (let ((x (random-normal '(9 12) 4 0 dtype)))
        (test-assert (format #f "convolution ~a ~a ~a" (tensor-shape kernel) border dtype)
          (< (apart (apply-forward (blur-operator kernel '(9 12) #:border border) x) (convolved kernel x border))
             1e-5))))
    '(circular valid circular valid) '(c64 c64 f32 f32)))
 (list (random-normal '(3 5) 1) (random-normal '(4 2) 2) (random-normal '(1 1) 3) (random-normal '(9 12) 5)))

(test-equal "a Gaussian" '(0.0545 0.2442 0.4026 0.2442 0.0545)
  (numbers (tensor-sum (gaussian-kernel 1 #:size 5) 0)))
(test-equal "a box" '(0.25 0.25 0.25 0.25) (tensor->list (box-kernel 2)))
;; The weights by which images are commonly halved.
(test-equal "bicubic by 2" (map (lambda (n) (/ (round (* 1e4 (/ n 256))) 1e4)) '(-3 -9 29 111 111 29 -9 -3))
  (numbers (tensor-sum (bicubic-kernel 2) 0)))
(test-equal "bicubic by 1 is nothing" '(0. 1. 0.) (numbers (tensor-sum (bicubic-kernel 1) 0)))
(let ((motion (motion-kernel 8 0)))
  (test-equal "motion along the row" '(0. 0. 0. 0. 1. 0. 0. 0. 0.) (numbers (tensor-sum motion 1)))
  (test-equal "as long as it says" '(0.0625 0.125 0.125 0.125 0.125 0.125 0.125 0.125 0.0625)
    (numbers (tensor-sum motion 0))))
(let ((up (motion-kernel 6 90)) (slanted (motion-kernel 6 45)))
  (test-equal "motion across rows" '(0. 0. 0. 1. 0. 0. 0.) (numbers (tensor-sum up 0)))
  (test-assert "to the right is up" (> (tensor-ref slanted 2 4) (tensor-ref slanted 4 4))))

(define ramp (tensor-tabulate '(6 6) (lambda (i j) (+ (* 10 i) j))))
(test-equal "means of squares" '(5.5 7.5 9.5 25.5 27.5 29.5 45.5 47.5 49.5)
  (numbers (apply-forward (strided-blur-operator 2 '(6 6)) ramp)))
(test-equal "of nine" '(11. 14. 41. 44.) (numbers (apply-forward (strided-blur-operator 3 '(6 6)) ramp)))
(for-each (lambda (factor)
            (let* ((size (* 8 factor))
                   (x (tensor-tabulate (list size size) (lambda (i j) (if (< i (* 4 factor)) 1 0))))
                   (y (apply-forward (strided-blur-operator factor (list size size)
                                                            #:kernel (bicubic-kernel factor))
                                     x)))
              ;; An edge between squares is mirrored by its kernel: what overshoots, undershoots.
              (test-assert (format #f "bicubic by ~a has its middle in the middle of squares" factor)
                (close? 1e-5 1 (+ (tensor-ref y 3 3) (tensor-ref y 4 3))))))
          '(2 3 4))
(test-equal "every second pixel" '(11. 13. 15. 31. 33. 35. 51. 53. 55.)
  (tensor->list (apply-forward (decimation-operator 2 '(6 6) #:from '(1 1)) ramp)))
(test-equal "the middle" '(12. 13. 22. 23.) (numbers (apply-forward (crop-operator '(6 6) '(2 2) #:from '(1 2)) ramp)))
(test-equal "and back" '(0. 0. 0. 0. 0. 1. 0. 0. 0.)
  (tensor->list (apply-forward (pad-operator '(1 1) '(3 3) #:from '(1 2)) (tensor+ 1 (tensor-zeros '(1 1))))))
(test-equal "pixels seen" '(128. (0. 1.))
  (let ((mask (random-pixels '(16 16) 1/2 #:seed 3)))
    (list (tensor->number (tensor-sum mask)) (sort (delete-duplicates (tensor->list mask)) <))))

;; Waves: gamma is kappa along columns, -kappa along rows, i kappa where both are alike.
(let* ((wave (lambda (a b) (tensor-tabulate '(8 8) (lambda (i j) (cos (* 1/4 (acos -1) (+ (* a i) (* b j))))))))
       (complex (lambda (t) (tensor+ t (tensor-zeros '(8 8) 'c64))))
       (shear (lambda (t) (apply-forward (shear-operator '(8 8)) (complex t)))))
  (test-assert "a wave along columns" (< (apart (shear (wave 0 1)) (complex (wave 0 1))) 1e-5))
  (test-assert "along rows" (< (apart (shear (wave 2 0)) (tensor* -1 (complex (wave 2 0)))) 1e-5))
  (test-assert "aslant" (< (apart (shear (wave 1 1)) (tensor* +i (complex (wave 1 1)))) 1e-5))
  (test-assert "of the mean it says nothing" (< (apart (shear (wave 0 0)) (complex (tensor-zeros '(8 8)))) 1e-5)))

;;; --- They are operators -----------------------------------------------------------------

(define shape '(12 8))
(define operators
  `(("denoising" f32 ,(denoising-operator shape))
    ("Gaussian blur" f32 ,(blur-operator (gaussian-kernel 0.8 #:size 5) shape))
    ("valid blur" f32 ,(blur-operator (gaussian-kernel 0.8 #:size 5) shape #:border 'valid))
    ("motion blur" f32 ,(blur-operator (motion-kernel 4 30) shape))
    ("inpainting" f32 ,(inpainting-operator (random-pixels shape 1/2)))
    ("means of squares" f32 ,(strided-blur-operator 2 shape))
    ("bicubic" f32 ,(strided-blur-operator 2 shape #:kernel (bicubic-kernel 2)))
    ("crop" f32 ,(crop-operator shape '(7 5)))
    ("pad" f32 ,(pad-operator shape '(15 9)))
    ("decimation" f32 ,(decimation-operator 4 shape #:from '(2 1)))
    ("shear" #f ,(shear-operator shape))))

(for-each
 (lambda (entry)
   (let ((name (first entry)) (op (third entry)))
     (test-equal name '() (operator-check-faults (check-operator op)))
     (when (second entry)
       (test-equal (string-append name " of real images") '() (operator-check-faults (check-operator op #:dtype 'f32))))))
 operators)

;; What is wrong is found, and named.
(define (found expected op . arguments)
  (let ((faults (operator-check-faults (apply check-operator op arguments))))
    (test-assert (format #f "found: ~a" expected)
      (and (pair? faults) (string-prefix? expected (first faults))))))
(define (plain . settings)
  (apply make-operator "planted" #:domain '(8 8) settings))
(define mask (random-pixels '(8 8) 1/2))
(found "linearity: off by" (plain #:forward (lambda (x) (tensor+ 1 x)) #:adjoint identity))
(found "adjoint: off by" (plain #:forward (lambda (x) (tensor* +i x)) #:adjoint (lambda (y) (tensor* +i y))))
(found "normal: off by" (plain #:forward identity #:adjoint identity #:normal (lambda (x) (tensor* 2 x))))
(found "shapes: expected" (plain #:forward identity #:adjoint (lambda (y) (tensor-slice y 0 0 4))))
(found "shapes: expected a tensor for A x, got 3" (plain #:forward (const 3) #:adjoint identity))
(found "batches: expected" (plain #:forward (lambda (x) (if (= 3 (length (tensor-shape x))) (tensor-slice x 0 0 1) x))
                                  #:adjoint identity))
(found "restriction: off by" (plain #:forward identity #:adjoint identity #:restrict (lambda (n) (tensor* n mask))))
(found "Fourier diagonal: off by" (plain #:forward (lambda (x) (tensor* mask x)) #:adjoint (lambda (x) (tensor* mask x))
                                         #:normal-diagonal mask))
(found "adjoint: vector" (plain #:forward identity #:adjoint (let ((calls 0))
                                                               (lambda (y)
                                                                 (set! calls (1+ calls))
                                                                 (if (= calls 1) y (error "vector is empty"))))))
(test-assert "it prints what holds"
  (string-contains (object->string (check-operator (inpainting-operator mask)))
                   "on c64 (8 8): shapes, linearity, batches, adjoint, normal, restriction hold>"))
(test-error-matching "of any shape" "check-operator: shape: expected the lengths of an image"
  (check-operator (make-operator "any" #:forward identity #:adjoint identity)))

;;; --- Posteriors through them --------------------------------------------------------------

(define power (power-spectrum shape #:amplitude 30 #:exponent 3))
(define field (gaussian-prior power))
(define truth (tensor-reshape (prior-draw field 1 #:seed 1) shape))
(define noise 0.5)
(define last-sigma 0.1)
(define chains 256)

(define (exact-posterior op y)
  "Mean and covariance, one row a pixel, of each part of x given Y: of the field under noise of LAST-SIGMA, by
conjugate gradients in batches; and the precision as a procedure."
  (let* ((inverse (tensor/ 1 (tensor+ power (* last-sigma last-sigma))))
         (precision (lambda (x) (tensor+ (fourier-multiply x inverse)
                                         (tensor* (/ (* noise noise)) (apply-normal op x)))))
         (solve (lambda (b) (conjugate-gradient precision b 400 1e-6)))
         (n (apply * shape))
         (unit (tensor-tabulate (cons n shape)
                                (lambda (k i j) (if (= k (+ (* i (second shape)) j)) 1+0.i 0.)))))
    (values (solve (tensor* (/ (* noise noise)) (apply-adjoint op (batch-of-one y))))
            (solve unit)
            precision)))

(for-each
 (lambda (entry)
   (let* ((name (first entry)) (op (third entry))
          (y (measure op truth #:noise noise #:seed 2))
          (chain (anneal (posterior field op y #:noise noise) #:chains chains #:seed 3
                         #:temperatures (geometric 30 #:ratio 0.95 #:until last-sigma)))
          (x (chain-samples chain)))
     (call-with-values (lambda () (exact-posterior op y))
       (lambda (mean covariance precision)
         (let* ((n (apply * shape))
                (trace (apply + (map (lambda (k) (real-part (tensor-ref covariance k (quotient k (second shape))
                                                                        (modulo k (second shape)))))
                                     (iota n))))
                (squares (tensor->number (tensor-sum-squares covariance)))
                (spread (/ (tensor->number (tensor-sum-squares (tensor- x mean))) (* 2 chains trace)))
                ;; Of |x - m|^2 summed over chains, with eigenvalues l: variance 4 chains sum l^2.
                (error (/ (sqrt (/ squares chains)) trace))
                (deviations (tensor- x mean))
                (whitened (/ (apply + (vector->list (chains-dot deviations (precision deviations)))) (* 2 n chains)))
                (off (tensor- (batch-of-one (tensor-mean x 0)) mean))
                (distance (* chains (vector-ref (chains-dot off (precision off)) 0))))
           (test-assert (format #f "~a: evaluations" name) (<= (chain-evaluations chain) 1500))
           ;; 4 % of the sampler's, and three standard errors of Monte Carlo; then the same where each direction
           ;; counts alike, which Monte Carlo knows to 1 / sqrt (n chains), half a per cent.
           (test-assert (format #f "~a: variance ~a of the exact" name spread) (close? (+ 0.04 (* 3 error)) 1 spread))
           (test-assert (format #f "~a: variance by directions ~a" name whitened) (close? 0.04 1 whitened))
           ;; Chi-square of 2 n: mean 2 n, variance 4 n.
           (test-assert (format #f "~a: mean, ~a of ~a" name distance (* 2 n))
             (close? (* 3 (sqrt (* 4 n))) (* 2 n) distance)))))))
 operators)

;;; --- What is refused ----------------------------------------------------------------------

(for-each
 (lambda (expected thunk) (test-error-matching expected expected (thunk)))
 '("blur-operator: kernel: expected one of at most (4 4), the size of images, got (5 5)"
   "blur-operator: kernel: expected finite f32 (rows columns)"
   "blur-operator: kernel: expected finite f32 (rows columns)"
   "blur-operator: border: expected circular or valid, got mirrored"
   "strided-blur-operator: factor: expected a positive integer that divides (4 6), got 4"
   "inpainting-operator: mask: expected f32 (rows columns) of 0 and 1"
   "inpainting-operator: mask: expected a 1 somewhere"
   "crop-operator: size: expected (4 4) at most, got (5 1)"
   "crop-operator: from: expected a pixel from which (2 2) fits in (4 4), got (3 0)"
   "pad-operator: size: expected (4 4) at least, got (5 1)"
   "decimation-operator: from: expected a row and a column from 0 to 1, got (0 2)"
   "random-pixels: share: expected a number from 0 to 1, got 2"
   "denoising-operator: shape: expected (rows columns), two positive integers, got (4)"
   "gaussian-kernel: deviation: expected a positive number, got 0"
   "motion-kernel: angle: expected a number, got +nan.0"
   "shear-operator: shape: expected (rows columns), got 4"
   "fourier-operator: transfer: expected a finite table")
 (list (lambda () (blur-operator (box-kernel 5) '(4 4)))
       (lambda () (blur-operator (tensor/ (box-kernel 3) 0) '(4 4)))
       (lambda () (blur-operator (random-normal '(3) 1) '(4 4)))
       (lambda () (blur-operator (box-kernel 3) '(4 4) #:border 'mirrored))
       (lambda () (strided-blur-operator 4 '(4 6)))
       (lambda () (inpainting-operator (tensor* 0.5 (box-kernel 2))))
       (lambda () (inpainting-operator (tensor-zeros '(2 2))))
       (lambda () (crop-operator '(4 4) '(5 1)))
       (lambda () (crop-operator '(4 4) '(2 2) #:from '(3 0)))
       (lambda () (pad-operator '(4 4) '(5 1)))
       (lambda () (decimation-operator 2 '(4 4) #:from '(0 2)))
       (lambda () (random-pixels '(4 4) 2))
       (lambda () (denoising-operator '(4)))
       (lambda () (gaussian-kernel 0))
       (lambda () (motion-kernel 3 +nan.0))
       (lambda () (shear-operator 4))
       (lambda () (fourier-operator "none" (tensor/ (tensor-zeros '(2 2)) 0)))))

(finish-tests)
