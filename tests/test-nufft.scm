;;; test-nufft.scm -- measurements at any points of k-space: trajectories, the operator, and posteriors
;;; against what a dense matrix gives.

(use-modules (harness) (tempera)
             (tempera problem nufft) (tempera problem operators) (tempera data trajectories)
             (srfi srfi-1) ((rnrs base) #:select (vector-map)))

(start-tests "nufft")

(define pi (acos -1))

(define (relative a b)
  (sqrt (/ (tensor->number (tensor-sum-squares (tensor- a b)))
           (tensor->number (tensor-sum-squares b)))))

;;; --- Trajectories -------------------------------------------------------------------

(define (point trajectory . place)
  (map (lambda (axis) (tensor-element trajectory (append place (list axis)))) '(0 1)))

(define (test-points name expected got)
  (test-assert (format #f "~a: ~a" name got)
    (every (lambda (a b) (< (abs (- a b)) 1e-4)) expected got)))

(let ((radial (radial-trajectory 4 16 8)) (golden (radial-trajectory 3 8 #:angles 'golden)))
  (test-equal "radial" '(4 16 2) (tensor-shape radial))
  (test-points "the first spoke is along rows" '(-4 0) (point radial 0 0))
  (test-points "in half steps, as oversampled" '(-3.5 0) (point radial 0 1))
  (test-points "through the middle" '(0 0) (point radial 2 8))
  (test-points "the third spoke is along columns" '(0 -4) (point radial 2 0))
  (test-points "golden angle" (list (* 3 (cos (* 111.246117975 pi 1/180))) (* 3 (sin (* 111.246117975 pi 1/180))))
    (point golden 1 7)))
(let* ((spiral (spiral-trajectory 3 200 32))
       (points (map (lambda (i) (point spiral 1 i)) (iota 200)))
       (norm (lambda (p) (sqrt (+ (expt (first p) 2) (expt (second p) 2)))))
       (steps (map (lambda (a b) (norm (map - a b))) points (cdr points))))
  (test-equal "spiral" '(3 200 2) (tensor-shape spiral))
  (test-approximate "from the middle" 0 (norm (first points)) 1e-5)
  (test-approximate "to the edge" 16 (norm (last points)) 1e-3)
  (test-approximate "in equal steps, but for the first turns" 1
    (/ (apply max steps) (apply min (drop steps 10))) 0.05)
  ;; Arms are a third of a turn apart, and windings of one arm three times 1 / field of view.
  (test-points "turned" (let ((r (norm (last points))) (angle (* 2 pi (+ 1/3 16/3))))
                          (list (* r (cos angle)) (* r (sin angle))))
    (last points)))

(call-with-temporary-directory
 (lambda (folder)
   (let ((in (lambda (name) (string-append folder "/" name)))
         (t (radial-trajectory 5 8)))
     (save-npy (in "k.npy") t)
     (test-assert "from npy" (tensor-identical? t (load-trajectory (in "k.npy"))))
     ;; BART's: (3 samples spokes), complex.
     (save-cfl (in "k.cfl") (tensor-transpose
                             (tensor-concatenate (list t (tensor-zeros '(5 8 1))) 2) '(2 1 0)))
     (test-assert "from cfl" (tensor-identical? t (load-trajectory (in "k.cfl"))))
     (save-npy (in "bad.npy") (tensor-zeros '(5 8)))
     (test-error-matching "a file without coordinates" "trajectory: expected coordinates of points"
       (load-trajectory (in "bad.npy")))
     (when (program-exists? "bart")
       (run-program 'test "bart" "traj" "-r" "-x" "16" "-y" "6" (in "radial"))
       (let ((theirs (load-trajectory (in "radial.cfl"))))
         (test-equal "of BART itself" '(6 16 2) (tensor-shape theirs))
         ;; The phantom's k-space at these points, by its formula, makes BART's image of it.
         (run-program 'test "bart" "traj" "-r" "-x" "64" "-y" "120" (in "t"))
         (run-program 'test "bart" "phantom" "-x" "64" (in "phantom"))
         (run-program 'test "bart" "nufft" (in "t") (in "phantom") (in "k"))
         (let* ((t (load-trajectory (in "t.cfl")))
                (image (load-image (in "phantom.cfl")))
                (theirs (tensor-reshape (load-kspace (in "k.cfl")) '(120 64))))
           ;; BART's kernel is narrower: 1e-3 or so is its own error.
           (test-approximate "the same sum as BART's" 0 (relative (nufft-forward image t) theirs) 3e-3)))))))

;;; --- The operator --------------------------------------------------------------------

(for-each
 (lambda (shape trajectory)
   (let* ((op (nufft-operator #:trajectory trajectory #:shape shape))
          (x (random-normal (cons 3 shape) 1 0 'c64)))
     (test-assert (format #f "adjoint of ~a" op)
       (every (lambda (seed) (< (adjoint-defect op shape #:seed seed) 1e-6)) '(0 1 2)))
     (test-assert (format #f "normal of ~a" op)
       (< (relative (apply-normal op x) (apply-adjoint op (apply-forward op x))) 1e-5))
     (test-equal (format #f "a batch by ~a" op) (cons 3 (operator-range op))
       (tensor-shape (apply-forward op x)))
     ;; Any axes before, as coils have them.
     (let ((stack (tensor-reshape x `(3 1 ,@shape))))
       (test-assert "and coils of chains"
         (tensor-identical? (tensor-reshape (nufft-forward stack trajectory) (cons 3 (operator-range op)))
                            (apply-forward op x))))))
 '((16 16) (9 14) (7 5))
 (list (radial-trajectory 10 32 14) (spiral-trajectory 4 60 9)
       (list->tensor '(0 0 1.3 0.4 -1.9 1.5 0.25 -0.8 2 -1) '(5 2))))

(test-equal "print" "#<operator NUFFT, 12 x 32 points: (16 16) -> (12 32)>"
  (format #f "~a" (nufft-operator #:trajectory (radial-trajectory 12 32 16) #:shape '(16 16))))

;; Fully sampled, the weighted adjoint is nearly the image: k-space ends at a disc, and the image has
;; little outside of it.
(let* ((shape '(48 48))
       (image (tensor+ (tensor-zeros shape 'c64)
                       (tensor-tabulate shape (lambda (i j)
                                                (exp (- (/ (+ (expt (- i 20) 2) (expt (- j 27) 2)) 32)))))))
       (op (nufft-operator #:trajectory (radial-trajectory 80 96 48) #:shape shape))
       (y (apply-forward op image)))
  (test-approximate "gridding" 0 (relative (zero-filled (measurement op y)) image) 0.02)
  (test-equal "coils side by side" '(2 48 48)
    (tensor-shape (apply-approximate-inverse
                   (composed-operator op (make-operator "half" #:domain shape
                                                        #:forward (lambda (x) (tensor* 0.5 x))
                                                        #:adjoint (lambda (x) (tensor* 0.5 x))))
                   (tensor-concatenate (list (tensor-reshape y '(1 80 96)) (tensor-reshape y '(1 80 96))) 0)))))

;;; --- A posterior ---------------------------------------------------------------------

(define (dense-inverse a n)
  ;; Of the positive definite A, a procedure of i and j, by Gauss and Jordan: a vector of rows.
  (let ((rows (list->vector
               (map (lambda (i) (list->vector (append (map (lambda (j) (a i j)) (iota n))
                                                      (map (lambda (j) (if (= i j) 1. 0.)) (iota n)))))
                    (iota n)))))
    (for-each
     (lambda (k)
       (let ((pivot (vector-ref (vector-ref rows k) k)))
         (vector-set! rows k (vector-map (lambda (v) (/ v pivot)) (vector-ref rows k)))
         (for-each (lambda (i)
                     (let ((factor (vector-ref (vector-ref rows i) k)))
                       (unless (= i k)
                         (vector-set! rows i (vector-map (lambda (v w) (- v (* factor w)))
                                                         (vector-ref rows i) (vector-ref rows k))))))
                   (iota n))))
     (iota n))
    (vector-map (lambda (row) (list->vector (drop (vector->list row) n))) rows)))

;; Everything about the exact posterior is made of the definition, by sums over points of k-space and pairs
;; of pixels; nothing is a transform of ours.
(let* ((shape '(8 7)) (n 56) (noise 1.) (chains 128) (sigma 0.05)
       (spectrum (power-spectrum shape #:amplitude 1000 #:exponent 3))
       (prior (gaussian-prior spectrum))
       (trajectory (radial-trajectory 4 14 7))
       (op (nufft-operator #:trajectory trajectory #:shape shape))
       (y (measure op (tensor-reshape (prior-draw prior 1 #:seed 3) shape) #:noise noise #:seed 2))
       (pixel (lambda (i) (list (- (quotient i 7) 4) (- (modulo i 7) 3))))
       (turns (lambda (k pixel) (apply + (map (lambda (k n length) (/ (* k n) length)) k pixel shape))))
       (wave (lambda (k i) (/ (exp (* -2i pi (turns k (pixel i)))) (sqrt n))))
       (waves (lambda (points) (map (lambda (k) (list->vector (map (lambda (i) (wave k i)) (iota n)))) points)))
       (conjugate (lambda (z) (make-rectangular (real-part z) (- (imag-part z)))))
       (measured (waves (map (lambda (p) (point trajectory (quotient p 14) (modulo p 14))) (iota 56))))
       (own (waves (map (lambda (m) (pixel m)) (iota n))))
       (prior-precision (map (lambda (p) (/ (+ p (* sigma sigma)))) (tensor->list spectrum)))
       (sum (lambda (waves weights)     ; of weight wave^H wave
              (lambda (i j)
                (apply + (map (lambda (w weight) (* weight (conjugate (vector-ref w i)) (vector-ref w j)))
                              waves weights)))))
       (likelihood (sum measured (map (const (/ (* noise noise))) measured)))
       (prior-part (sum own prior-precision))
       (precision (list->vector
                   (map (lambda (i) (list->vector (map (lambda (j) (+ (likelihood i j) (prior-part i j))) (iota n))))
                        (iota n))))
       (covariance (dense-inverse (lambda (i j) (vector-ref (vector-ref precision i) j)) n))
       (times (lambda (matrix v)
                (vector-map (lambda (row) (apply + (map * (vector->list row) (vector->list v)))) matrix)))
       (form (lambda (v) (real-part (apply + (map (lambda (a b) (* (conjugate a) b)) (vector->list v)
                                                  (vector->list (times precision v)))))))
       (mean (times covariance
                    (list->vector
                     (map (lambda (i)
                            (apply + (map (lambda (w y) (/ (* (conjugate (vector-ref w i)) y) noise noise))
                                          measured (tensor->list y))))
                          (iota n)))))
       (chain (anneal (posterior prior op y #:noise noise) #:chains chains #:seed 5
                      #:temperatures (geometric 50 #:ratio 0.9 #:until sigma)))
       (off (tensor->list (tensor- (chain-samples chain) (chain-mean chain))))
       (deviations (map (lambda (c) (list->vector (take (drop off (* c n)) n))) (iota chains)))
       (degrees (* 2. (1- chains))))
  (test-equal "the mass that needs no table" '(normal) (map car (target-masses (chain-target chain))))
  ;; Over all directions alike, then in total, where the widest count most.  254 degrees of freedom in each
  ;; of 56 complex directions: an error of sqrt (2 / (254 56)) = 0.012, of which 0.04 is three and more; the
  ;; total, which is of fewer directions, has twice that.
  (test-approximate "variance, whitened" 1 (/ (apply + (map form deviations)) (* degrees n)) 0.04)
  (test-approximate "variance, in total" 1
    (/ (apply + (map (lambda (v) (apply + (map (lambda (z) (expt (magnitude z) 2)) (vector->list v)))) deviations))
       degrees
       (apply + (map (lambda (i) (real-part (vector-ref (vector-ref covariance i) i))) (iota n))))
    0.08)
  ;; The mean of 56 squares of complex normal numbers, 1 +- 1 / sqrt (56) each.
  (test-approximate "mean, in its Monte Carlo errors" 1
    (/ (* chains (form (list->vector (map - (tensor->list (chain-mean chain)) (vector->list mean))))) (* 2 n))
    (* 4 (/ (sqrt n))))
  (test-assert "accepted" (> (chain-acceptance chain) 0.8)))

;;; --- Raw scans along a trajectory ---------------------------------------------------

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define shape '(48 48))
   (define head
     (let ((down (tensor-reshape (linspace -1 1 48) '(48 1))) (across (linspace -1 1 48)))
       ;; Smooth, so that the edges of k-space have noise alone.
       (smooth-phase (tensor* 100 (tensor-exp (tensor* -6 (tensor+ (tensor-square down) (tensor-square across)))))
                     #:seed 1)))
   (define maps (simulated-sensitivities 4 shape))
   (define t (radial-trajectory 40 96 48 #:angles 'golden))
   (define y (measure (sense-operator maps (nufft-operator #:trajectory t #:shape shape)) head #:noise 1 #:seed 2))
   (save-npy (in "k.npy") t)
   (save-npy (in "y.npy") y)
   (let ((scan (load-scan (in "y.npy") #:trajectory (in "k.npy"))))
     (test-equal "as it prints" "#<raw scan y.npy, 1 slice, 4 coils, 40 x 96 samples along a trajectory>" (object->string scan))
     (test-equal "it has no mask" #f (raw-scan-mask scan))
     ;; 4 coils of 192 points: 4 / sqrt (2 4 192) = 0.10 for the noise, and what the head has there.
     (test-approximate "noise by the edges" 1 (noise-deviation (noise-covariance scan)) 0.12)
     (call-with-values (lambda () (scan-measurement scan #:say (const #f)))
       (lambda (found scale)
         (test-equal "as wide as the trajectory" shape (operator-domain (measurement-operator found)))
         ;; The head, by sensitivities found in the gridded images of coils.
         (test-approximate "its gridded image" 0
           (relative (tensor-abs (zero-filled found)) (tensor* scale (tensor-abs head))) 0.1)))
     (test-equal "a larger view" '(64 60)
       (call-with-values (lambda () (scan-measurement scan #:shape '(64 60) #:say (const #f)))
         (lambda (found scale) (operator-domain (measurement-operator found)))))
     (test-assert "given at the prompt"
       (tensor-identical? (measurement-data (scan-measurement scan #:say (const #f)))
                          (measurement-data (scan-measurement y #:trajectory t #:say (const #f)))))
     (test-error-matching "in other units" "trajectory: its coordinates are 0.5 at most"
       (scan-measurement y #:trajectory (tensor/ t 48)))
     (test-error-matching "of other data" "trajectory: expected the points of k-space, (40 96)"
       (scan-measurement y #:trajectory (radial-trajectory 8 96 48)))
     (test-error-matching "with a mask" "mask: expected none" (scan-measurement scan #:mask (tensor-zeros '(96))))
     (test-error-matching "with maps of another shape" "sensitivities: expected c64 (4 48 48), as coils of the image"
       (scan-measurement scan #:sensitivities (simulated-sensitivities 4 '(8 8)))))
   (test-error-matching "shape on a grid" "shape: that of images on a grid" (scan-measurement head #:shape '(8 8)))
   (test-error-matching "k-space of another shape" "expected k-space of 8 readouts of 96 samples"
     (load-scan (in "y.npy") #:trajectory (radial-trajectory 8 96 48)))
   ;; BART has readouts on axis 2 and coils on axis 3.
   (save-cfl (in "y.cfl") (tensor-transpose (tensor-reshape y '(4 40 96 1)) '(3 2 1 0)))
   (save-cfl (in "t.cfl") (tensor-transpose (tensor-concatenate (list t (tensor-zeros '(40 96 1))) 2) '(2 1 0)))
   (let ((scan (load-scan (in "y.cfl") #:trajectory (in "t.cfl"))))
     (test-assert "BART's" (tensor-identical? y (raw-scan-kspace scan 0)))
     (test-assert "and where" (tensor-identical? t (raw-scan-trajectory scan))))))

;;; --- Bad input -----------------------------------------------------------------------

(define t (radial-trajectory 4 8))
(define op (nufft-operator #:trajectory t #:shape '(8 8)))
(define (with-point value) ; T with one coordinate changed
  (let ((t (tensor-copy t)))
    (tensor-set-element! t '(1 2 1) value)
    t))
(for-each
 (lambda (name text thunk) (test-error-matching name text (thunk)))
 '("no trajectory" "no tensor" "no coordinates" "no points" "NaN" "infinite" "outside" "three dimensions" "complex"
   "no shape" "a shape of three" "images" "data" "data of more" "spokes" "samples" "extent" "angles" "turns" "steps"
   "adjoint's data" "a row of nothing" "densities' points" "Toeplitz' table" "its weights")
 '("trajectory: expected one" "trajectory: expected a tensor" "trajectory: expected coordinates of points"
   "trajectory: it has no points" "NaN or infinite" "NaN or infinite"
   "point 10 is (-1.41421 4.5), expected coordinates within 4 and 4" "third coordinate is not 0"
   "imaginary parts that are not 0" "shape: expected that of images" "shape: expected that of images"
   "x: expected (8 8), or a batch" "y: expected (4 8), or a batch" "y: expected (4 8), or a batch"
   "spokes: expected a positive integer" "samples: expected an integer of 2 or more"
   "extent: expected a positive number" "angles: expected uniform or golden" "turns: expected a positive number"
   "steps: expected a positive integer" "y: expected a number for each point of the trajectory, (... 4 8)"
   "rows: " "expected one point or more" "table: expected f32 (16 16)" "weights: expected f32 (4 8)")
 (list (lambda () (nufft-operator #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory 7 #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (tensor-zeros '(4 8)) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (tensor-zeros '(0 2)) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (with-point +nan.0) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (with-point +inf.0) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (with-point 4.5) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (tensor+ 1 (tensor-zeros '(4 8 3))) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory (tensor* +i t) #:shape '(8 8)))
       (lambda () (nufft-operator #:trajectory t))
       (lambda () (nufft-operator #:trajectory t #:shape '(8 8 8)))
       (lambda () (apply-forward op (tensor-zeros '(8 9) 'c64)))
       (lambda () (apply-adjoint op (tensor-zeros '(4 9) 'c64)))
       (lambda () (measure op (tensor-zeros '(8 8) 'c64))
               (measurement op (tensor-zeros '(4 7) 'c64)))
       (lambda () (radial-trajectory 0 8))
       (lambda () (spiral-trajectory 4 1 8))
       (lambda () (radial-trajectory 4 8 -1))
       (lambda () (radial-trajectory 4 8 #:angles 'silver))
       (lambda () (spiral-trajectory 4 8 8 #:turns 0))
       (lambda () (density-compensation t '(8 8) #:steps 0))
       (lambda () (nufft-adjoint (tensor-zeros '(8 4) 'c64) t 8 8))
       (lambda () (nufft-adjoint (tensor-zeros '(4 8) 'c64) t 0 8))
       (lambda () (nufft-density (tensor-zeros '(5 3)) 8 8 1))
       (lambda () (toeplitz-multiply (tensor-zeros '(8 8) 'c64) (tensor-zeros '(8 8))))
       (lambda () (toeplitz-table t (tensor-zeros '(3)) 8 8))))

(finish-tests)
