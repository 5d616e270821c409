;;; noise.scm -- how large the noise of a scan is, and how its coils share it.
;;;
;;; Noise is complex and normal, with the covariance Sigma = E n n^H / 2 over coils: on its diagonal
;;; the variance of real and imaginary part each, whose root is called the standard deviation.  It is
;;; known by a noise scan, or by the edges of k-space, where heads have next to nothing else.

(define-module (tempera data noise)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera data trajectories)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (noise-covariance noise-deviation whitening-matrix mix-coils check-covariance from-eigen))

;;; --- Matrices over coils -------------------------------------------------------

(define (mix-coils matrix y)
  "MATRIX times Y along its axis of coils: c64 (M K) and (... K rows columns), or (K samples), give
(... M rows columns), or (M samples).
Example: (tensor-shape (mix-coils (random-normal '(2 3) 1 0 'c64) (random-normal '(3 8 8) 2 0 'c64))) => (2 8 8)"
  (check-that (and (tensor? matrix) (eq? 'c64 (tensor-dtype matrix)) (= 2 (length (tensor-shape matrix))))
              'mix-coils "matrix: expected c64 (M K), got ~s" matrix)
  (check-that (and (tensor? y) (eq? 'c64 (tensor-dtype y)) (>= (length (tensor-shape y)) 2)) 'mix-coils
              "y: expected c64 (... coils rows columns) or (coils samples), got ~s" y)
  (let* ((shape (tensor-shape y)) (rest (take-right shape (if (= 2 (length shape)) 1 2)))
         (leading (drop-right shape (1+ (length rest)))) (coils (list-ref shape (length leading))))
    (check-that (= coils (tensor-size matrix 1)) 'mix-coils "y: expected ~a coils as ~s has columns, got shape ~a"
                (tensor-size matrix 1) matrix shape)
    (let* ((batch (apply * leading)) (points (apply * rest))
           (flat (tensor-reshape y (list batch coils points)))
           (product (lambda (k)
                      (matrix-product matrix
                                      (tensor-reshape (tensor-copy (tensor-slice flat 0 k (1+ k)))
                                                      (list coils points)))))
           (mixed (if (= batch 1) (product 0) (tensor-concatenate (map product (iota batch)) 0))))
      (tensor-reshape mixed (append leading (list (tensor-size matrix 0)) rest)))))

(define (check-covariance who covariance)
  "Complain from WHO unless COVARIANCE is one: c64 (K K), Hermitian, with eigenvalues above 0."
  (check-that (and (tensor? covariance) (eq? 'c64 (tensor-dtype covariance))
                   (= 2 (length (tensor-shape covariance))) (apply = (tensor-shape covariance))
                   (tensor-finite? covariance))
              who "noise: expected a covariance of coils, c64 (K K) of finite numbers, got ~s" covariance)
  (let ((largest (tensor->number (tensor-max (tensor-abs covariance))))
        (defect (tensor->number (tensor-max (tensor-abs (tensor- covariance
                                                                 (adjoint-matrix covariance)))))))
    (check-that (<= defect (* 1e-4 largest)) who
                "noise: expected a covariance of coils, which is Hermitian, got one that differs by ~a from its \
adjoint" defect)
    (let ((least (let-values (((values vectors) (hermitian-eigen covariance)))
                   (tensor->number (tensor-min values)))))
      (check-that (> least (* 1e-6 largest)) who
                  "noise: expected a covariance of coils, with eigenvalues above 0, got ~a as the least; a coil \
that is empty or another's copy?" least))))

(define (adjoint-matrix a)
  (tensor-copy (tensor-transpose (tensor-conjugate a) '(1 0))))

(define (from-eigen covariance function)
  "U diag (FUNCTION (values)) U^H of COVARIANCE = U diag (values) U^H, c64 (K K)."
  (let-values (((values rows) (hermitian-eigen covariance))) ; the rows are eigenvectors: U^T
    (matrix-product (tensor-copy (tensor-transpose (tensor* rows (tensor-reshape (function values) '(-1 1))) '(1 0)))
                    (tensor-conjugate rows))))

(define (whitening-matrix covariance)
  "W, c64 (K K), that makes noise of COVARIANCE, c64 (K K) over coils, independent and equal in all of
them: W COVARIANCE W^H = v I, with v the mean variance, so that units stay.  Of all such it is the
Hermitian one, v^1/2 COVARIANCE^-1/2, which leaves coils as near as can be to what they were.
Example: (tensor-shape (whitening-matrix (noise-covariance (random-normal '(3 500) 1 0 'c64)))) => (3 3)"
  (check-covariance 'whitening-matrix covariance)
  (from-eigen covariance
              (lambda (values) (tensor* (noise-deviation covariance) (tensor/ 1 (tensor-sqrt values))))))

(define (noise-deviation covariance)
  "The standard deviation of noise of COVARIANCE, c64 (K K), in real and imaginary part each, on average
over coils (of variances).
Example: (noise-deviation (complex-view (list->tensor '(4 0 0 0 0 0 4 0) '(2 2 2)))) => 2.0"
  (let* ((k (tensor-size covariance 0)) (entries (tensor->list covariance)))
    (sqrt (/ (fold (lambda (i sum) (+ sum (real-part (list-ref entries (* i (1+ k)))))) 0 (iota k)) k))))

;;; --- From samples ------------------------------------------------------------------

(define (products samples)
  ;; sum n n^H
  (matrix-product samples samples #f #t))

(define (covariance-of samples)
  ;; Of noise alone, c64 (K samples).
  (tensor* (/ 1. (* 2 (tensor-size samples 1))) (products samples)))

(define most-samples 4096)              ; of the edges: a standard deviation to 1 %

(define (median tensor)
  (tensor->number (tensor-quantile (tensor-reshape tensor '(-1)) 0.5 0)))

(define (robust-covariance samples)
  ;; Of noise and what is left of an image, which at few points is much larger.  The shape of the covariance is
  ;; Tyler's: sum n n^H / (n^H Sigma^-1 n), in which a point's size does not count.  Its scale is by the
  ;; median of n^H Sigma^-1 n / 2, which for normal noise has Gamma's distribution, of shape K.
  (let* ((coils (tensor-size samples 0)) (count (tensor-size samples 1))
         (energies (lambda (shape)
                     (tensor-sum-squares (matrix-product (from-eigen shape (lambda (values) (tensor/ 1 (tensor-sqrt values))))
                                                         samples)
                                         0)))
         (trace-1 (lambda (shape) (tensor* (/ 1. (expt (noise-deviation shape) 2)) shape))))
    (check-covariance 'noise-covariance (products samples))
    (let loop ((shape (trace-1 (products samples))) (steps 12))
      (let ((found (energies shape)))
        (if (zero? steps)
            (tensor* (/ (median found) (* 2 (gamma-median coils))) shape)
            (loop (trace-1 (products (tensor/ samples (tensor-reshape (tensor-sqrt (tensor-maximum 1e-30 found))
                                                                      (list 1 count)))))
                  (1- steps)))))))

(define (gamma-median k)
  ;; Of Gamma's distribution of the shape K, a whole number: to 1e-9 by bisection of its sum,
  ;; 1 - exp (-x) sum_(i < K) x^i / i!
  (let loop ((low 0.) (high (+ k 1.)) (steps 60))
    (let* ((x (/ (+ low high) 2))
           (rest (let sum ((i 0) (term (exp (- x))) (total 0))
                   (if (= i k) total (sum (1+ i) (/ (* term x) (1+ i)) (+ total term))))))
      (cond ((zero? steps) x)
            ((> rest 1/2) (loop x high (1- steps)))
            (else (loop low x (1- steps)))))))

;;; --- From k-space ------------------------------------------------------------------

(define (edge-samples y distances)
  ;; The measured points of Y, c64 (K rows columns), farthest from the middle, a twentieth of them but at least 16 for
  ;; each coil and 64: c64 (K samples).  DISTANCES is a list of pairs of a point's distance, in any measure, and its place,
  ;; counted row by row.
  (let ((coils (tensor-size y 0)) (count (length distances)))
    (let ((wanted (max 64 (* 16 coils) (min most-samples (quotient count 20)))))
      (check-that (<= wanted count) 'noise-covariance
                  "k-space: expected ~a measured points or more, to tell the noise of ~a coils by its edges, got ~a"
                  wanted coils count)
      (points-at y (map cdr (take (sort distances (lambda (a b) (> (car a) (car b)))) wanted))))))

(define (distances-on-grid mask rows columns)
  ;; Of the points where MASK is 1.
  (let ((square (lambda (k n) (expt (/ (- k (quotient n 2)) (/ n 2.)) 2))))
    (filter-map (lambda (m at)
                  (and (= m 1)
                       (cons (+ (square (quotient at columns) rows) (square (modulo at columns) columns)) at)))
                (tensor->list (tensor-broadcast mask (list rows columns))) (iota (* rows columns)))))

(define (distances-along trajectory)
  ;; Of the points of TRAJECTORY, f32 (readouts samples 2).
  (let ((squares (tensor->list (tensor-reshape (tensor-sum (tensor-square trajectory) 2) '(-1)))))
    (map cons squares (iota (length squares)))))

(define (points-at y places)
  ;; The points of Y, c64 (K rows columns), at PLACES, counted row by row: c64 (K points).
  (let* ((coils (tensor-size y 0)) (columns (tensor-size y 2))
         (parts (append-map (lambda (k)
                              (append-map (lambda (at)
                                            (let ((z (tensor-ref y k (quotient at columns) (modulo at columns))))
                                              (list (real-part z) (imag-part z))))
                                          places))
                            (iota coils))))
    (complex-view (list->tensor parts (list coils (length places) 2)))))

(define* (noise-covariance what #:key mask (slice #f) (trajectory #f))
  "The covariance of noise over coils, c64 (K K): E n n^H / 2, so that its diagonal has the variance of
real and imaginary part each.  WHAT is samples of noise alone, c64 (K samples); or k-space, c64 (K rows
columns), measured where MASK, f32 (columns) or (rows columns), is 1, or where it is not 0, or along TRAJECTORY,
f32 (rows columns 2): its points
farthest from the middle, a twentieth of them, count, by a robust estimate, since images have little there (what
they have makes it too large: by 2 % in a head of 1 mm, by 18 % in one of 2 mm); or a raw scan of `load-scan': its
noise scan, or if it has none the edges of SLICE, the middle one unless given.
Example: (tensor-shape (noise-covariance (random-normal '(3 500) 1 0 'c64))) => (3 3)"
  (cond
   ((raw-scan? what)
    (if (raw-scan-noise what)
        (noise-covariance (raw-scan-noise what))
        (let ((slice (or slice (quotient (first (raw-scan-shape what)) 2))))
          (noise-covariance (raw-scan-kspace what slice) #:mask (or mask (raw-scan-mask what))
                            #:trajectory (and=> (raw-scan-trajectory what slice)
                                                (lambda (given) (plain-trajectory 'noise-covariance given)))))))
   (else
    (check-that (and (tensor? what) (eq? 'c64 (tensor-dtype what)) (memv (length (tensor-shape what)) '(2 3)))
                'noise-covariance "expected a raw scan, noise, c64 (coils samples), or k-space, c64 (coils rows \
columns), got ~s" what)
    (check-that (tensor-finite? what) 'noise-covariance "it has NaN or infinite values: ~s" what)
    (with-scope
     (lambda ()
       (let* ((samples? (= 2 (length (tensor-shape what))))
              (peak (tensor->number (tensor-max (tensor-abs (real-view (tensor-copy what)))))))
         (check-that (> peak 0) 'noise-covariance "it is 0 everywhere: ~s" what)
         (when samples?
           (check-that (>= (tensor-size what 1) (* 4 (tensor-size what 0))) 'noise-covariance
                       "noise: expected 4 samples for each of ~a coils or more, got ~a" (tensor-size what 0)
                       (tensor-size what 1)))
         (let ((y (tensor/ what peak))  ; its square may be 0 in float32
               (there (or mask (tensor-max (tensor< 0 (tensor-abs what)) 0))))
           (tensor* (* peak peak)
                    (if samples? (covariance-of y) (robust-covariance
                        (edge-samples y (if trajectory
                                            (distances-along trajectory)
                                            (distances-on-grid there (tensor-size y 1) (tensor-size y 2))))))))))))))
