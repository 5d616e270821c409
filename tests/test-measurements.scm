;;; test-measurements.scm -- measurements as values; k-space that is not what it is taken for is
;;; noticed, and right one is not.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera file values) (tempera file pictures) (tempera problem masks) (tempera problem kspace) (tempera problem measurements)
             (tempera problem operators) (tempera problem targets) (tempera method compressed-sensing) (tempera method plug-and-play)
             (tempera method updnet) (tempera method vae) (tempera tensor primitives)
             (tempera problem priors) (tempera problem gaussian) (tempera data sampling) (tempera data scans) (tempera tensor tensors))

(start-tests "measurements")

(define (plane rows columns value)
  (list->tensor (append-map (lambda (i) (map (lambda (j) (value i j)) (iota columns))) (iota rows))
                (list rows columns)))

(define (head rows columns)
  ;; An ellipse with a rim, two darker ones in it and fine stripes; air around.
  (define (inside? y x cy cx ry rx) (< (+ (expt (/ (- y cy) ry) 2) (expt (/ (- x cx) rx) 2)) 1))
  (plane rows columns
         (lambda (i j)
           (let ((y (- (* 2. (/ i rows)) 1)) (x (- (* 2. (/ j columns)) 1)))
             (cond ((not (inside? y x 0 0 0.85 0.7)) 0)
                   ((not (inside? y x 0 0 0.78 0.63)) 150)
                   ((or (inside? y x -0.1 -0.2 0.3 0.12) (inside? y x -0.1 0.2 0.3 0.12)) 30)
                   (else (+ 90 (* 15 (sin (* 23 (+ x (* y y))))))))))))

(define* (turned tensor fraction #:optional (axes '(0 1)))
  ;; As NumPy's fftshift (FRACTION 1) and ifftshift (-1).
  (fold (lambda (axis t)
          (let* ((n (list-ref (tensor-shape t) axis))
                 (cut (modulo (- (* fraction (quotient n 2))) n)))
            (tensor-concatenate (list (tensor-copy (tensor-slice t axis cut n))
                                      (tensor-copy (tensor-slice t axis 0 cut))) axis)))
        tensor axes))

(define (whole mask shape) (tensor-copy (tensor-broadcast mask shape)))
(define (transposed t) (tensor-copy (tensor-transpose t '(1 0))))
(define (points rows columns seed)
  ;; A third of all points and the middle.
  (tensor-maximum (tensor< (random-uniform (list rows columns) seed) 0.33)
                  (plane rows columns
                         (lambda (i j) (if (and (< (abs (- i (quotient rows 2))) 5)
                                                (< (abs (- j (quotient columns 2))) 5)) 1 0)))))

(define (doubts mask y . rest)
  (apply kspace-doubts (mri-operator #:mask mask #:shape (tensor-shape y)) y rest))

(define (test-doubt name kind text found)
  (test-equal name (list kind text)
              (if (and (pair? found) (eq? kind (caar found)) (string-contains (cdar found) text))
                  (list kind text)
                  found)))

;;; --- What is right passes in silence ------------------------------------------------

(for-each
 (lambda (shape noise mask)
   (let* ((x (simulated-scan (head (first shape) (second shape)) #:seed 3))
          (x (tensor-copy (tensor-slice (tensor-slice x 0 0 (first shape)) 1 0 (second shape))))
          (op (mri-operator #:mask mask #:shape shape))
          (y (measure op x #:noise noise #:seed 5)))
     (test-equal (format #f "~a, noise ~a: silence" shape noise) '()
       (kspace-doubts op y #:noise (max noise 1e-3)))
     (test-equal "in small units too" '() (kspace-doubts op (tensor* 1e-12 y)))
     ;; Nothing tells these from what is right: the image is turned, no more.
     (test-equal "a conjugate" '() (kspace-doubts op (tensor-conjugate y)))))
 '((64 64) (96 80) (63 81) (128 128) (64 96))
 '(0 1 5 20 0.1)
 (list (random-mask 64 #:acceleration 1) (random-mask 80 #:acceleration 2 #:seed 1)
       (equispaced-mask 81 #:acceleration 4 #:seed 2) (random-mask 128 #:acceleration 8 #:seed 3)
       (points 64 96 4)))

;; Fields that fill their view: no middle to be seen, and no alarm.
(for-each
 (lambda (exponent)
   (let ((x (prior-draw (gaussian-prior (power-spectrum '(64 48) #:amplitude 1000
                                                        #:exponent exponent)) 6 #:seed exponent))
         (op (mri-operator #:mask (random-mask 48 #:acceleration 4 #:seed exponent))))
     (for-each (lambda (k)
                 (let ((one (tensor-reshape (tensor-copy (tensor-slice x 0 k (1+ k))) '(64 48))))
                   (test-equal (format #f "a field of exponent ~a" exponent) '()
                     (kspace-doubts op (measure op one #:noise 0.1 #:seed k) #:noise 0.1))))
               (iota 6))))
 '(1 2 3))
(test-equal "white noise" '()
  (let ((mask (random-mask 64 #:acceleration 4 #:seed 1)))
    (doubts mask (tensor* mask (random-normal '(64 64) 1 0 'c64)) #:noise 1)))

;;; --- What is wrong is said ------------------------------------------------------------

(let* ((x (simulated-scan (head 64 64) #:seed 1))
       (k (tensor+ (fft2 x) (random-normal '(64 64) 2 0 'c64)))
       (columns (random-mask 64 #:acceleration 4 #:seed 1))
       (square (points 64 64 6))
       (op (mri-operator #:mask columns))
       (measured (lambda (mask) (tensor* k (whole mask '(64 64)))))
       (zeros (tensor-zeros '(64))))
  (define (wrong name text mask y . rest)
    (test-doubt name 'wrong text (apply doubts mask y rest)))
  (define (doubtful name text mask y . rest)
    (test-doubt name 'doubtful text (apply doubts mask y rest)))

  (for-each
   (lambda (mask)
     (let ((m (whole mask '(64 64))))
       ;; numpy.fft.fft2 (x), and fftshift forgotten at the end.
       (wrong "not centred at all" "not centred: more of its energy is at the edges of its rows and columns"
              mask (tensor* m (turned (fft2 (turned x 1)) -1)))
       (wrong "shifted in image space only" "fftshift(fft2(ifftshift(x), norm=\"ortho\"))"
              mask (tensor* m (turned k -1)))
       (doubtful "shifted in k-space only" "dark in the middle and bright at the edges"
                 mask (tensor* m (fft2 (turned x 1))))
       (for-each (lambda (axis)
                   (doubtful "shifted in k-space only, along one axis"
                             "dark in the middle and bright at the edges"
                             mask (tensor* m (fft2 (turned x 1 (list axis))))))
                 '(0 1))))
   (list columns square (random-mask 64 #:acceleration 1)))

  (wrong "a transposed mask" "transpose it" (transposed square) (measured square))
  (wrong "of columns" "transpose it" columns (transposed (measured columns)))
  (wrong "a mask that is not centred" "apply fftshift" (turned square 1) (measured square))
  (wrong "its complement" "is it 1 where nothing was measured?" (tensor- 1 columns) (measured columns))
  (wrong "another scan's" "of another scan" (random-mask 64 #:acceleration 4 #:seed 9)
         (measured columns))
  (doubtful "data that it leaves out" "leaves out" columns k)
  (wrong "measured columns of zeros" "all of columns 0 1 2 3" (random-mask 64 #:acceleration 1)
         (tensor* k (plane 64 64 (lambda (i j) (if (< 3 j 60) 1 0)))))
  (wrong "rows of zeros" "all of rows 0 1 63" (random-mask 64 #:acceleration 1)
         (tensor* k (plane 64 64 (lambda (i j) (if (< 1 i 63) 1 0)))))
  (wrong "corners" "is exactly 0 at" (random-mask 64 #:acceleration 1)
         (tensor* k (plane 64 64 (lambda (i j) (if (< (+ (expt (- i 32) 2) (expt (- j 32) 2)) 1024) 1 0)))))
  (wrong "no column at all" "nothing was measured" zeros (measured columns))
  (wrong "k-space of zeros" "0 everywhere" columns (tensor-zeros '(64 64) 'c64))
  (doubtful "a mask without the middle" "leaves out the middle"
            (tensor* square (plane 64 64 (lambda (i j) (if (and (< 28 i 36) (< 28 j 36)) 0 1))))
            (tensor* (measured square) (plane 64 64 (lambda (i j) (if (and (< 28 i 36) (< 28 j 36)) 0 1)))))
  (doubtful "noise in other units" "noise: 100 is more than the 9.1 that" columns (measured columns) #:noise 100)

  ;; What is a value has been checked.
  (let* ((said '())
         (m (measurement op k #:noise 0.2 #:warn (lambda (text) (set! said (cons text said))))))
    (test-equal "a measurement has what it was made of" (list op k 0.2)
      (list (measurement-operator m) (measurement-data m) (measurement-noise m)))
    (test-equal "and warns when it is made" 1 (length said)))
  (test-error-matching "and complains" "measurement: k-space: it is not centred"
    (measurement op (tensor* (whole columns '(64 64)) (turned k -1))))
  (test-error-matching "several coils" "several coils want their sensitivities"
    (measurement op (tensor-zeros '(4 64 64) 'c64)))
  (test-error-matching "real numbers" "complex-view" (measurement op (tensor-zeros '(64 64 2))))
  (test-error-matching "NaN" "NaN or infinite" (measurement op (tensor/ k 0)))
  (test-error-matching "another shape" "expected the shape" (measurement op (tensor-zeros '(64 32) 'c64)))
  (test-error-matching "no operator" "operator: expected" (measurement 3 k))
  (test-error-matching "no noise" "noise: expected" (measurement op k #:noise 0))
  (test-error-matching "no noise at all" "noise: expected" (measurement op k #:noise #f)))

;;; --- In place of an operator, data and noise ----------------------------------------------

(let* ((prior (gaussian-prior (power-spectrum '(16 16) #:amplitude 100)))
       (x (tensor-reshape (prior-draw prior 1 #:seed 7) '(16 16)))
       (op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
       (y (measure op x #:noise 0.2 #:seed 2))
       (m (measurement op y #:noise 0.2))
       (batch (prior-draw prior 2 #:seed 3))
       (spectrum (power-spectrum '(16 16) #:amplitude 100)))
  (define-syntax-rule (test-same name old new)
    (test-assert name (tensor-identical? old new)))
  (test-equal "it prints" (format #f "#<measurement (16 16) by ~a, noise 0.2>" (operator-name op))
    (object->string m))
  (test-same "zero-filled" (apply-adjoint op y) (zero-filled m))
  (test-same "posterior" (target-score (posterior prior op y #:noise 0.2 #:widening 1) batch 0.5)
             (target-score (posterior prior m #:widening 1) batch 0.5))
  (test-assert "whose noise counts"
    (not (tensor-identical? (target-score (posterior prior op y) batch 0.5)
                            (target-score (posterior prior m) batch 0.5))))
  (test-same "gaussian-posterior" (gaussian-posterior spectrum op y #:noise 0.2 #:sigma 1)
             (gaussian-posterior spectrum m #:sigma 1))
  (test-same "pnp-admm" (pnp-admm prior op y #:noise 0.2 #:sigmas '(2 1)) (pnp-admm prior m #:sigmas '(2 1)))
  (test-same "red" (red prior op y #:noise 0.2 #:sigmas '(2 1)) (red prior m #:sigmas '(2 1)))
  (test-same "total-variation" (total-variation op y #:iterations 2) (total-variation m #:iterations 2))
  (test-same "wavelets" (wavelet-reconstruction op y #:iterations 2)
             (wavelet-reconstruction m #:iterations 2))
  (let ((net (updnet #:iterations 1)))
    (test-same "updnet" (updnet-reconstruction net op y) (updnet-reconstruction net m)))
  (let ((net (vae #:size 16 #:latent 3 #:channels '(4))) (z (random-normal '(2 3) 1)))
    (test-same "vae" (target-score (vae-target net op y #:noise 0.2) z 1)
               (target-score (vae-target net m) z 1)))
  (test-error-matching "noise beside it" "noise: expected none beside #<measurement"
    (posterior prior m #:noise 0.2))
  (test-error-matching "data beside it" "y: expected none beside #<measurement" (posterior prior m y))
  (test-error-matching "no measurement" "operator: expected one and its data, or a measurement, got 3"
    (posterior prior 3))
  (test-error-matching "no data" "y: expected the data of the operator #<" (posterior prior op))
  (test-error-matching "zero-filled of none" "measurement: expected one" (zero-filled y))
  ;; Of what is no k-space there is nothing to doubt but NaN and what is not measured.
  (let ((denoising (make-operator "denoising" #:forward identity #:adjoint identity #:domain '(16 16))))
    (test-assert "any data" (measurement? (measurement denoising (turned x 1) #:noise 20)))
    (test-error-matching "NaN in it" "NaN or infinite, the first at (0 0)"
      (measurement denoising (tensor/ x 0))))
  (test-error-matching "a mask of other numbers" "mask: expected a tensor of 0 and 1"
    (make-operator "a" #:forward identity #:adjoint identity #:mask (list->tensor '(1 2)))))

;;; --- Coils and slices ---------------------------------------------------------------------

(let* ((x (simulated-scan (head 96 96) #:seed 1))
       (stack (lambda (images) (tensor-concatenate
                                (map (lambda (x) (tensor-reshape (fft2 x) '(1 96 96))) images) 0)))
       (coil (lambda (seed)
               ;; A smooth gain and phase by a few cosines.
               (tensor-reshape
                (image-modulate (tensor-abs (tensor-reshape x '(1 96 96)))
                                (complex-view (tensor* 0.8 (random-normal '(1 3 3 2) seed))))
                '(96 96))))
       (slice (lambda (k)
                ;; Other stripes within another outline.
                (simulated-scan
                 (plane 96 96 (lambda (i j)
                                (let ((y (- (/ i 48.) 1)) (x (- (/ j 48.) 1)))
                                  (if (< (+ (* y y) (* 1.4 x x)) (- 0.7 (* 0.06 k)))
                                      (+ 80 (* 30 (sin (+ (* (+ 5 k) 3 x) (* (- 9 k) 2 y k))))
                                         (* 20 (cos (* 11 (+ k 1) y))))
                                      0))))
                 #:seed k)))
       (mask (random-mask 96 #:acceleration 4 #:seed 1)))
  (for-each
   (lambda (mask)
     (test-assert "coils are alike" (> (coil-coherence (stack (map coil '(1 2 3 4))) mask) 0.5))
     (test-assert "slices are not" (< (coil-coherence (stack (map slice '(0 1 2 3))) mask) 0.5)))
   (list mask (random-mask 96 #:acceleration 1)))
  (test-equal "too little to tell" #f
    (coil-coherence (stack (map coil '(1 2)))
                    (plane 96 96 (lambda (i j) (if (= 0 (modulo (+ i j) 2)) 1 0)))))
  (test-error-matching "one image" "y: expected c64" (coil-coherence (fft2 x) mask)))

;;; --- Masks as files have them ----------------------------------------------------------------

(let* ((mask (random-mask 32 #:acceleration 4 #:seed 2))
       (diagonal (lambda (m . rest) (operator-normal-diagonal (apply mri-operator #:mask m rest))))
       (same (lambda (name m) (test-assert name (tensor-identical? mask (diagonal m))))))
  (same "(W)" mask)
  (same "(1 W)" (tensor-reshape mask '(1 32)))
  (same "(1 1 W 1)" (tensor-reshape mask '(1 1 32 1)))
  (same "(1 W 1)" (tensor-reshape mask '(1 32 1)))
  (same "0 and 255" (tensor* 255 mask))
  (same "0 and 65535" (tensor* 65535 mask))
  (test-assert "(H 1), over rows"
    (tensor-identical? (whole (tensor-reshape mask '(32 1)) '(32 20))
                       (diagonal (tensor-reshape mask '(32 1)) #:shape '(32 20))))
  (test-error-matching "over rows of unknown number" "needs #:shape"
    (mri-operator #:mask (tensor-reshape mask '(32 1))))
  (test-error-matching "other numbers" "0 and 1 only" (mri-operator #:mask (tensor* 3 mask)))
  (test-error-matching "transposed" "transposed it would fit"
    (mri-operator #:mask (points 32 20 1) #:shape '(20 32)))
  (test-error-matching "three axes" "expected a tensor (columns)" (mri-operator #:mask (tensor-zeros '(2 3 4)))))
(test-error-matching "no column left" "acceleration: no column of 128 is left at 1000"
  (random-mask 128 #:acceleration 1000))
(test-error-matching "nor at equal spacing" "no column of 128 is left"
  (equispaced-mask 128 #:acceleration 1000))

;;; --- The command -----------------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define (reconstruct . arguments)
     ;; What it says on both streams, and the exit status.
     (let* ((port (open-input-pipe
                   (string-append "rm -rf " (in "out") "; tempera reconstruct --chains=1 --ratio=0.5 --out=" (in "out")
                                  " --prior=" (or (getenv "srcdir") ".")
                                  "/priors/brain-small.safetensors "
                                  (string-join arguments) " 2>&1")))
            (text (get-string-all port)))
       (cons (status:exit-val (close-pipe port)) text)))
   (define (test-said name status text said)
     (test-equal name (list status text)
                 (if (and (eqv? status (car said)) (string-contains (cdr said) text))
                     (list status text)
                     said)))
   (let* ((x (simulated-scan (head 32 32) #:seed 1))
          (mask (random-mask 32 #:acceleration 2 #:seed 1))
          (op (mri-operator #:mask mask))
          (y (measure op x #:noise 1 #:seed 1))
          (stack (lambda (parts)
                   (tensor-concatenate (map (lambda (t) (tensor-reshape t '(1 32 32))) parts) 0)))
          (given (string-append "--mask=" (in "mask.npy") " --noise=1 ")))
     (save-npy (in "k.npy") y)
     (save-npy (in "one.npy") (tensor-reshape y '(1 32 32)))
     (save-npy (in "coils.npy") (stack (list y (tensor* 0.5 y) (tensor* 2 y))))
     (save-npy (in "moved.npy") (measure op (turned x 1) #:noise 1))
     (save-npy (in "raw.npy") (tensor* (whole mask '(32 32)) (turned (fft2 x) -1)))
     (save-npy (in "mask.npy") (tensor-reshape mask '(1 1 32 1)))
     (save-png (in "mask.png") (tensor-reshape mask '(1 32)))
     (let ((said (reconstruct given (in "one.npy"))))
       (test-equal "what is right: status" 0 (car said))
       (test-assert "and no warning" (not (string-contains (cdr said) "k-space")))
       (test-equal "nor in the summary" #() (assoc-ref (load-json (in "out/summary.json")) "doubts"))
       ;; Of the points that were measured, not of those asked for: the middle is measured always.
       (test-approximate "the acceleration of the mask" (/ 1 (tensor->number (tensor-mean mask)))
         (assoc-ref (load-json (in "out/summary.json")) "acceleration") 1e-3))
     (test-said "k-space for an image: a warning" 0 "k.npy looks like k-space, and simulate takes an image"
                (reconstruct "--simulate" (in "k.npy")))
     (save-npy (in "scan.npy") x)
     (test-assert "none for a complex image"
       (not (string-contains (cdr (reconstruct "--simulate" (in "scan.npy"))) "k-space")))
     (let ((said (reconstruct "--noise=1" (string-append "--mask=" (in "mask.png")) (in "moved.npy"))))
       (test-said "an image moved by half: a warning" 0 "warning: k-space: its image is dark" said)
       (test-equal "that stays with the results" 1
         (vector-length (assoc-ref (load-json (in "out/summary.json")) "doubts"))))
     (for-each
      (lambda (name text . arguments) (test-said name 1 text (apply reconstruct given arguments)))
      '("not centred" "too small a middle" "a coil chosen as a slice" "another axis")
      '("measurement: k-space: it is not centred" "calibration: expected a middle of 8 x 8 points or more"
        "is a single image of 3 coils; if its first axis is of slices, say first-axis=slices"
        "first-axis: expected a name, slices or coils, got rows")
      (map in '("raw.npy" "coils.npy --calibration=4" "coils.npy --slice=1" "coils.npy --first-axis=rows")))
     (test-said "coils" 0 "where white is 150" (reconstruct given (in "coils.npy")))
     (test-said "noise by edges that coils share wholly" 1 "another's copy?"
                (reconstruct (string-append "--mask=" (in "mask.npy")) (in "coils.npy")))
     (test-said "coils called slices: a warning" 0 "look like coils"
                (reconstruct given "--first-axis=slices --slice=1" (in "coils.npy")))
     (save-npy (in "image.npy") (tensor-abs x))
     (test-said "no column left" 1 "no column of 32 is left at 1000"
                (reconstruct "--simulate --acceleration=1000" (in "image.npy")))
     (save-npy (in "nan.npy") (tensor/ (tensor-abs x) (tensor< 0 (tensor-abs x))))
     (test-equal "an image and its k-space" '(#f #t) (map kspace-like? (list x (fft2 x))))
     (test-equal "an empty one" #f (kspace-like? (tensor-zeros '(8 8) 'c64)))
     (test-error-matching "not of real images" "kspace-like?: image: expected c64" (kspace-like? (tensor-abs x)))
     (test-said "NaN around the head" 1 "(--nan-is-zero) makes it 0" (reconstruct "--simulate" (in "nan.npy"))))))

(finish-tests)
