;;; nufft.scm -- measurements at any points of k-space as an operator.

(define-module (tempera problem nufft)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem trajectories)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (nufft-operator))

(define* (nufft-operator #:key trajectory shape)
  "Imaging along TRAJECTORY, f32 (readouts samples 2) in units of 1 / field of view (see
`radial-trajectory', `load-trajectory'), of images of SHAPE, (rows columns): (A x)(k) is the Fourier
transform of x at the point k, see `nufft-forward'.  Measurements are c64 (readouts samples).  The
normal operator is the exact one of A, by `toeplitz-multiply'; density compensation is for the
`zero-filled' image alone, for measurements are equally sure however many are side by side.
Example: (nufft-operator #:trajectory (radial-trajectory 12 32 16) #:shape '(16 16))
         => #<operator NUFFT, 12 x 32 points: (16 16) -> (12 32)>"
  (check-that trajectory 'nufft-operator "trajectory: expected one, f32 (readouts samples 2), got none")
  (check-that (and (list? shape) (= 2 (length shape))
                   (every (lambda (n) (and (exact-integer? n) (> n 0))) shape))
              'nufft-operator "shape: expected that of images, (rows columns), got ~s" shape)
  (let* ((trajectory (keep-always! (plain-trajectory 'nufft-operator trajectory)))
         (rows (first shape)) (columns (second shape))
         (points (drop-right (tensor-shape trajectory) 1))
         (density (keep-always! (density-compensation trajectory shape)))
         (table (keep-always! (toeplitz-table trajectory #f rows columns)))
         (adjoint (lambda (y) (nufft-adjoint y trajectory rows columns))))
    (make-operator (format #f "NUFFT, ~a points" (string-join (map number->string points) " x "))
                   #:forward (lambda (x) (nufft-forward x trajectory))
                   #:adjoint adjoint
                   #:normal (lambda (x) (toeplitz-multiply x table))
                   #:approximate-inverse (lambda (y) (adjoint (tensor* y density))) #:inverse-name "gridding"
                   #:domain shape #:range points)))
