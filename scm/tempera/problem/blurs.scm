;;; blurs.scm -- convolution of images with a kernel, and the kernels of optics and of sampling.

(define-module (tempera problem blurs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem compositions)
  #:use-module (tempera problem pixels)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (blur-operator strided-blur-operator fourier-operator
            gaussian-kernel box-kernel motion-kernel bicubic-kernel))

;;; --- Filters --------------------------------------------------------------------

(define* (fourier-operator name transfer #:key (inverse-name "adjoint"))
  "The operator x -> F^H TRANSFER F x called NAME, whose adjoint reports call INVERSE-NAME, with F the unitary transform of `fft2' and TRANSFER, c64 or f32
(H W), over centred k-space.  Real images stay real: of their result the imaginary part is dropped, which TRANSFER
of a real filter does not have.
Example: (apply-forward (fourier-operator \"smooth\" (power-spectrum '(16 16))) scan)"
  (check-that (and (tensor? transfer) (= 2 (length (tensor-shape transfer))) (tensor-finite? transfer))
              'fourier-operator "transfer: expected a finite table (rows columns), got ~s" transfer)
  (let* ((shape (tensor-shape transfer))
         (conjugate (if (eq? (tensor-dtype transfer) 'c64) (tensor-conjugate transfer) transfer))
         (power (tensor-square (tensor-abs transfer)))
         (filtered (lambda (table)
                     (lambda (x)
                       (if (eq? (tensor-dtype x) 'c64)
                           (ifft2 (tensor* table (fft2 x)))
                           (tensor-real (ifft2 (tensor* table (fft2 (as-complex x))))))))))
    (make-operator name #:forward (filtered transfer) #:adjoint (filtered conjugate)
                   #:normal (lambda (x)
                              (if (eq? (tensor-dtype x) 'c64) (fourier-multiply x power) ((filtered power) x)))
                   #:domain shape #:normal-diagonal power #:inverse-name inverse-name)))

(define (as-complex x)
  (tensor+ x (tensor-zeros (tensor-shape x) 'c64)))

;;; --- Blur -----------------------------------------------------------------------

(define (check-kernel who kernel shape)
  (check-that (and (tensor? kernel) (eq? (tensor-dtype kernel) 'f32) (= 2 (length (tensor-shape kernel)))
                   (tensor-finite? kernel) (> (tensor-count kernel) 0))
              who "kernel: expected finite f32 (rows columns), got ~s" kernel)
  (check-that (and (list? shape) (= 2 (length shape)) (every positive-integer? shape)) who
              "shape: expected (rows columns) of images, got ~s" shape)
  (check-that (every <= (tensor-shape kernel) shape) who
              "kernel: expected one of at most ~a, the size of images, got ~a" shape (tensor-shape kernel)))

(define (transfer-of kernel shape)
  ;; F (k * x) = H F x for the periodic convolution: H from an impulse and what becomes of it, so
  ;; that nothing here depends on where F has its origins.
  (let* ((sizes (tensor-shape kernel))
         (centre (map (lambda (n) (quotient n 2)) sizes))
         (impulse (tensor-zeros shape 'c64))
         (response (tensor-zeros shape 'c64)))
    (tensor-set! impulse 1 (first centre) (second centre))
    (tensor-assign! (tensor-slice (tensor-slice response 0 0 (first sizes)) 1 0 (second sizes)) (as-complex kernel))
    (tensor/ (fft2 response) (fft2 impulse))))

(define* (blur-operator kernel shape #:key (border 'circular))
  "Convolution with KERNEL, f32 (h w), of images of SHAPE, (H W): (A x)(i) = sum_j KERNEL(j) x(i - j), with the
middle of KERNEL, pixel h / 2, w / 2 rounded down, at j = 0.  BORDER circular: images go on periodically, y
has their shape, and A^H A is diagonal in Fourier space; valid: y, (H - h + 1, W - w + 1), is only
where all of KERNEL lies inside of the image.
Example: (blur-operator (gaussian-kernel 1.5) '(64 64) #:border 'valid)"
  (check-kernel 'blur-operator kernel shape)
  (let ((circular (fourier-operator (format #f "blur by ~a x ~a" (first (tensor-shape kernel))
                                            (second (tensor-shape kernel)))
                                    (transfer-of kernel shape) #:inverse-name "blurred")))
    (case border
      ((circular) circular)
      ((valid)
       (composed-operator
        (crop-operator shape (map (lambda (n k) (1+ (- n k))) shape (tensor-shape kernel))
                       #:from (map (lambda (k) (- k 1 (quotient k 2))) (tensor-shape kernel)))
        circular))
      (else (complain 'blur-operator "border: expected circular or valid, got ~s" border)))))

(define* (strided-blur-operator factor shape #:key (kernel (box-kernel factor)))
  "Super-resolution: images of SHAPE, (H W), are blurred by KERNEL, periodically, and of each square of FACTOR x FACTOR
pixels one is kept, y (H / FACTOR, W / FACTOR).  With the kernel that it has unless told, `box-kernel', y are the
means of the squares; `bicubic-kernel' is what many tools shrink images by.  FACTOR^2 A^H y is the image enlarged.
Example: (strided-blur-operator 2 '(64 64) #:kernel (bicubic-kernel 2))"
  (check-that (and (positive-integer? factor) (list? shape) (every positive-integer? shape)
                   (every (lambda (n) (zero? (modulo n factor))) shape))
              'strided-blur-operator "factor: expected a positive integer that divides ~a, got ~s" shape factor)
  (check-kernel 'strided-blur-operator kernel shape)
  (let ((op (composed-operator (decimation-operator factor shape
                                                    #:from (map (lambda (n) (kept factor n)) (tensor-shape kernel)))
                               (blur-operator kernel shape))))
    (make-operator (operator-name op)
                   #:forward (lambda (x) (apply-forward op x)) #:adjoint (lambda (y) (apply-adjoint op y))
                   #:normal (lambda (x) (apply-normal op x))
                   ;; As bright as what was measured; of means of squares the pseudo-inverse.
                   #:approximate-inverse (lambda (y) (tensor* (* factor factor) (apply-adjoint op y)))
                   #:inverse-name "enlarged" #:domain (operator-domain op) #:range (operator-range op))))

(define (kept factor n)
  ;; The first row that is kept: about it a kernel of N rows has its middle in the middle of a square, or half
  ;; a pixel before if N and FACTOR are not both odd or both even.
  (floor-quotient (+ factor n -2 (* -2 (quotient n 2))) 2))

;;; --- Kernels ----------------------------------------------------------------------

(define (normalised kernel)
  (tensor/ kernel (tensor-sum kernel)))

(define* (gaussian-kernel deviation #:key (size (1+ (* 2 (inexact->exact (ceiling (* 4 deviation)))))))
  "A Gaussian of standard DEVIATION pixels, f32 (SIZE SIZE), which sums to 1; SIZE reaches to 4 deviations unless given.
Example: (tensor-shape (gaussian-kernel 1.5)) => (13 13)"
  (check-that (positive-number? deviation) 'gaussian-kernel "deviation: expected a positive number, got ~s" deviation)
  (check-that (positive-integer? size) 'gaussian-kernel "size: expected a positive integer, got ~s" size)
  (let* ((middle (quotient size 2))
         (profile (tensor-tabulate (list size)
                                   (lambda (i) (exp (/ (expt (- i middle) 2) (* -2. deviation deviation)))))))
    (normalised (tensor* (tensor-reshape profile (list size 1)) (tensor-reshape profile (list 1 size))))))

(define (box-kernel size)
  "The mean over SIZE x SIZE pixels, f32 (SIZE SIZE).
Example: (tensor-ref (box-kernel 2) 0 0) => 0.25"
  (check-that (positive-integer? size) 'box-kernel "size: expected a positive integer, got ~s" size)
  (normalised (tensor+ 1 (tensor-zeros (list size size)))))

(define* (motion-kernel length angle)
  "A camera that moves by LENGTH pixels along a line at ANGLE degrees from the rows, anticlockwise: f32 of odd size,
which sums to 1.
Example: (tensor-shape (motion-kernel 9 30)) => (11 11)"
  (check-that (positive-number? length) 'motion-kernel "length: expected a positive number, got ~s" length)
  (check-that (finite-number? angle) 'motion-kernel "angle: expected a number, got ~s" angle)
  (let* ((radius (inexact->exact (ceiling (/ length 2.)))) (size (1+ (* 2 radius)))
         (radians (* angle (/ (acos -1) 180)))
         (steps (inexact->exact (ceiling (* 16 length))))
         (kernel (tensor-zeros (list size size))))
    ;; Points along the line, each shared by the four pixels around it.
    (for-each
     (lambda (k)
       (let* ((t (* length (- (/ (+ k 0.5) steps) 0.5)))
              (row (- radius (* t (sin radians)))) (column (+ radius (* t (cos radians))))
              (i (inexact->exact (floor row))) (j (inexact->exact (floor column)))
              (v (- row i)) (u (- column j)))
         (for-each (lambda (di dj weight)
                     (let ((i (+ i di)) (j (+ j dj)))
                       (when (and (< -1 i size) (< -1 j size) (> weight 0))
                         (tensor-set! kernel (+ weight (tensor-ref kernel i j)) i j))))
                   '(0 0 1 1) '(0 1 0 1)
                   (list (* (- 1 v) (- 1 u)) (* (- 1 v) u) (* v (- 1 u)) (* v u)))))
     (iota steps))
    (normalised kernel)))

(define (bicubic-kernel factor)
  "The kernel by which images are shrunk by FACTOR with bicubic interpolation and no aliasing, f32 of 4 FACTOR pixels
a side, one less of an odd FACTOR: Keys's cubic (1981) with a = -1/2, FACTOR times as wide.
Example: (tensor-shape (bicubic-kernel 2)) => (8 8)"
  (check-that (positive-integer? factor) 'bicubic-kernel "factor: expected a positive integer, got ~s" factor)
  (let* ((size (- (* 4 factor) (modulo factor 2))) ; of an odd one the last would be 0
         (cubic (lambda (x)
                  (let ((x (abs x)))
                    (cond ((<= x 1) (+ 1 (* x x (- (* 3/2 x) 5/2))))
                          ((< x 2) (+ 2 (* x (- (* x (- 5/2 (/ x 2))) 4))))
                          (else 0)))))
         (profile (tensor-tabulate (list size)
                                   (lambda (i) (cubic (/ (- i (/ (1- size) 2.)) factor))))))
    (normalised (tensor* (tensor-reshape profile (list size 1)) (tensor-reshape profile (list 1 size))))))
