;;; coils.scm -- imaging with several receive coils: y_c = F (s_c x) + n_c, SENSE.
;;;
;;; Sensitivities s_c are c64 (K H W), of K coils; F is any operator on images.  ESPIRiT (Uecker et al.
;;; 2014) finds them in the fully measured middle of k-space.  Many coils see little more than a few
;;; combinations of them do, to which they are compressed.

(define-module (tempera problem coils)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module ((tempera base numbers) #:select (positive-number?))
  #:use-module (tempera data raw-scans)
  #:use-module ((tempera problem kspace) #:select (middle whole-middle))
  #:use-module (tempera data noise)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (sense-operator espirit usual-calibration sensitivities simulated-sensitivities sensitivity-doubts compress-coils))

;;; --- The operator ----------------------------------------------------------------

(define (by-coil procedure y axes)
  ;; PROCEDURE, of batches, on Y (... K . rest) with as many AXES in rest: (... K . result).
  (let* ((shape (tensor-shape y)) (leading (drop-right shape axes))
         (result (procedure (tensor-reshape y (cons (apply * leading) (take-right shape axes))))))
    (tensor-reshape result (append leading (cdr (tensor-shape result))))))

;; Eigenvectors of larger images would take more than half a gigabyte.
(define most-eigenvectors (ash 1 26))

(define (by-rows? diagonal shape)
  (and (= 1 (length (tensor-shape diagonal))) (<= (* (first shape) (second shape) (second shape)) most-eigenvectors)))

;; The diagonal in k-space of A^H A, Hutchinson's estimate with numbers of modulus 1: probes z give the mean of
;; conj (z) A^H A z.  Along spokes, whose density varies a hundredfold, it saves conjugate gradients a half to two thirds of their
;; steps; with a mask and coils a tenth to a quarter, and those of masks are left as they are.
(define probes 16)

(define (probed-diagonal normal shape)
  ;; f32 SHAPE, of the procedure NORMAL on batches of images.
  (let* ((n (random-normal (cons probes shape) 1 0 'c64))
         (z (tensor/ n (tensor-abs n))))
    (tensor-maximum 0 (tensor-mean (tensor-real (tensor* (tensor-conjugate z) (fft2 (normal (ifft2 z))))) 0))))

(define (row-eigenvectors maps diagonal)
  ;; (values . vectors) as `row-multiply' takes them.
  (let-values (((values vectors) (row-eigen maps diagonal)))
    (cons (keep-always! values) (keep-always! vectors))))

(define (sense-operator sensitivities op)
  "Imaging with the SENSITIVITIES of K coils, c64 (K H W), each measured by the operator OP over images
(H W): x -> (OP (s_c x))_c, from (H W) to (K ...).  With an `mri-operator' its normal is computed without
the images of coils in memory; with one that measures whole columns, it is inverted by its eigenvectors, which
are found when they are first needed.
Example: (tensor-shape (apply-forward (sense-operator (tensor-zeros '(2 16 16) 'c64) op) scan)) => (2 16 16)"
  (check-that (operator? op) 'sense-operator "operator: expected one, got ~s" op)
  (check-that (and (tensor? sensitivities) (eq? 'c64 (tensor-dtype sensitivities))
                   (= 3 (length (tensor-shape sensitivities))) (< 0 (tensor-size sensitivities 0)))
              'sense-operator "sensitivities: expected c64 (coils rows columns), got ~s" sensitivities)
  (check-that (tensor-finite? sensitivities) 'sense-operator
              "sensitivities: they have NaN or infinite values")
  (let* ((maps (tensor-copy sensitivities)) (coils (tensor-size maps 0)) (shape (cdr (tensor-shape maps)))
         (matched (lambda (lengths)     ; those of images for those that OP takes as they come
                    (if (and lengths (= 2 (length lengths))) (map (lambda (n m) (or n m)) lengths shape) lengths)))
         (domain (or (operator-domain op) shape))
         (range (matched (or (operator-range op) shape)))
         (diagonal (operator-normal-diagonal op))
         (eigen (delay (row-eigenvectors maps diagonal)))
         (normal (if diagonal
                     (lambda (x) (sense-normal x maps diagonal))
                     (lambda (x)
                       (coil-combine (by-coil (lambda (x) (apply-normal op x)) (coil-images x maps) 2) maps)))))
    (check-that (and (= 2 (length domain)) (equal? shape (matched domain))) 'sense-operator
                "operator: expected one over images ~a as the sensitivities have, got ~a" shape op)
    (make-operator
     (format #f "~a, ~a coils" (operator-name op) coils)
     #:forward (lambda (x) (by-coil (lambda (x) (apply-forward op x)) (coil-images x maps) 2))
     #:adjoint (lambda (y)
                 (coil-combine (by-coil (lambda (y) (apply-adjoint op y)) y (length range)) maps))
     #:approximate-inverse (lambda (y)
                             (coil-combine (by-coil (lambda (y) (apply-approximate-inverse op y)) y (length range))
                                           maps))
     #:normal normal
     #:normal-estimate (and (not diagonal)
                            (delay (keep-always! (with-scope (lambda () (probed-diagonal normal shape))))))
     #:normal-function (and diagonal (by-rows? diagonal shape)
                            (lambda (f x)
                              (let ((eigen (force eigen)))
                                (row-multiply x (cdr eigen) (f (car eigen))))))
     #:domain shape #:range (cons coils range)
     #:mask (operator-mask op)
     #:restrict (lambda (n) (by-coil (operator-restrict op) n (length range))))))

;;; --- Sensitivities ------------------------------------------------------------------

(define usual-calibration 24)           ; points each way at most: maps are smooth

(define (check-coils who y)
  (check-that (and (tensor? y) (eq? 'c64 (tensor-dtype y)) (= 3 (length (tensor-shape y)))) who
              "k-space: expected c64 (coils rows columns), got ~s" y)
  (check-that (> (tensor-size y 0) 1) who "k-space: expected two coils or more, got ~a; one coil has no \
sensitivity to find: `mri-operator' measures its image" (tensor-size y 0))
  (check-that (tensor-finite? y) who "k-space: it has NaN or infinite values")
  (check-that (> (tensor->number (tensor-max (tensor-abs (real-view (tensor-copy y))))) 0) who
              "k-space: it is 0 everywhere"))

(define (calibration-lengths who y mask calibration kernel)
  ;; Rows and columns of the middle of Y that is taken.
  (let* ((shape (cdr (tensor-shape y)))
         (measured (if mask
                       (tensor-copy (tensor-broadcast mask shape))
                       (tensor-max (tensor< 0 (tensor-abs y)) 0)))
         (given (cond ((not calibration) #f)
                      ((and (exact-integer? calibration) (> calibration 0)) (map (lambda (n) (min n calibration)) shape))
                      ((and (list? calibration) (= 2 (length calibration))
                            (every (lambda (n m) (and (exact-integer? n) (<= 1 n m))) calibration shape))
                       calibration)
                      (else (complain who "calibration: expected a number of rows and columns, or (rows columns) of \
at most ~a, got ~s" shape calibration))))
         (found (or given (let ((whole (whole-middle measured)))
                            (and whole (map (lambda (n) (min n usual-calibration)) whole))))))
    (check-that (and found (every (lambda (n) (>= n (+ kernel 2))) found)) who
                "calibration: expected a middle of ~a x ~a points or more, all of them measured, for kernels of ~a, \
got ~a; take sensitivities of a calibration scan, or a smaller #:kernel"
                (+ kernel 2) (+ kernel 2) kernel
                (if found (format #f "~a x ~a" (first found) (second found)) "none"))
    (let ((missing (- (apply * found)
                      (inexact->exact (tensor->number (tensor-sum (middle measured found)))))))
      (check-that (= missing 0) who "calibration: ~a of the ~a x ~a points in the middle were not measured"
                  missing (first found) (second found)))
    found))

(define* (espirit y #:key mask calibration (kernel 6) (threshold 0.03) (crop 0))
  "The sensitivities of the coils of k-space Y, c64 (K H W), centred, by ESPIRiT (Uecker et al. 2014): two
values, maps, c64 (K H W), with sum_c |s_c|^2 = 1 at each pixel, and eigenvalues, f32 (H W), near 1 where coils
see an object.
  MASK         f32 (columns) or (rows columns), where Y was measured; where it is not 0, unless given
  CALIBRATION  how much of the middle is taken, a number of rows and columns or a list of both; what of
               it is whole, up to 24 each way, unless given
  KERNEL       the size of kernels in k-space: sensitivities are as smooth as so few frequencies are; 8 or 10 where samples
               do not fit what was measured in the middle
  THRESHOLD    of singular values to keep, in parts of the largest
  CROP         maps are 0 where the eigenvalue is below this; 0.8 leaves the object, 0 all.  A posterior wants
               all of them: where maps are 0 nothing counts as measured, air neither.
Phases are those of maps of which the coils' first principal component is real and positive.
Example: (call-with-values (lambda () (espirit (random-normal '(4 32 32) 1 0 'c64) #:calibration 16))
           (lambda (maps values) (tensor-shape maps))) => (4 32 32)"
  (check-coils 'espirit y)
  (check-that (and (exact-integer? kernel) (<= 2 kernel 32)) 'espirit
              "kernel: expected an integer from 2 to 32, got ~s" kernel)
  (check-that (and (real? threshold) (< 0 threshold 1)) 'espirit
              "threshold: expected a number between 0 and 1, got ~s" threshold)
  (check-that (and (real? crop) (<= 0 crop 1)) 'espirit "crop: expected a number from 0 to 1, got ~s" crop)
  (let* ((lengths (calibration-lengths 'espirit y mask calibration kernel))
         (peak (tensor->number (tensor-max (tensor-abs (real-view (tensor-copy y))))))
         (shape (tensor-shape y)))
    (let-values (((maps eigenvalues)
                  (espirit-maps (tensor/ (middle-of-coils y lengths) peak) (cdr shape) kernel threshold)))
      (values (if (> crop 0) (tensor* maps (tensor< crop eigenvalues)) maps) eigenvalues))))

(define (middle-of-coils y lengths)
  (tensor-concatenate
   (map (lambda (k)
          (tensor-reshape (middle (tensor-reshape (tensor-copy (tensor-slice y 0 k (1+ k))) (cdr (tensor-shape y)))
                                  lengths)
                          (cons 1 lengths)))
        (iota (tensor-size y 0)))
   0))

(define* (sensitivities what #:key (slice #f) #:allow-other-keys #:rest settings)
  "The sensitivities of the coils of WHAT, c64 (K H W): a raw scan of `load-scan', of which SLICE counts, the
middle one unless given, or k-space, c64 (K H W).  SETTINGS are those of `espirit', which finds them.
Example: (tensor-shape (sensitivities (random-normal '(4 32 32) 1 0 'c64) #:calibration 16)) => (4 32 32)"
  (let* ((settings (let loop ((rest settings))
                     (cond ((null? rest) '())
                           ((eq? #:slice (car rest)) (loop (cddr rest)))
                           (else (cons* (car rest) (cadr rest) (loop (cddr rest)))))))
         (scan? (raw-scan? what))
         (y (if scan?
                (raw-scan-kspace what (or slice (quotient (first (raw-scan-shape what)) 2)))
                what)))
    (let-values (((maps eigenvalues)
                  (apply espirit y (if (and scan? (not (memq #:mask settings)) (raw-scan-mask what))
                                       (cons* #:mask (raw-scan-mask what) settings)
                                       settings))))
      maps)))

(define* (simulated-sensitivities coils shape #:key (distance 1.4))
  "Sensitivities of COILS small coils around a field of view SHAPE, (H W), c64 (COILS H W), with
sum_c |s_c|^2 = 1 at each pixel: coil c sits at an angle of 2 pi (c + 1/4) / COILS, at DISTANCE halves of the view from its
middle; its sensitivity falls with the distance from it, and its phase turns around it.
Example: (tensor-shape (simulated-sensitivities 8 '(64 64))) => (8 64 64)"
  (check-that (and (exact-integer? coils) (> coils 0)) 'simulated-sensitivities
              "coils: expected a positive integer, got ~s" coils)
  (check-that (and (list? shape) (= 2 (length shape)) (every (lambda (n) (and (exact-integer? n) (> n 0))) shape))
              'simulated-sensitivities "shape: expected (rows columns), got ~s" shape)
  (check-that (positive-number? distance) 'simulated-sensitivities
              "distance: expected a positive number, got ~s" distance)
  (let* ((h (first shape)) (w (second shape))
         (down (tensor-reshape (linspace -1 1 h) (list 1 h 1)))
         (across (tensor-reshape (linspace -1 1 w) (list 1 1 w)))
         (angles (map (lambda (c) (* 2 (acos -1) (/ (+ c 1/4) coils))) (iota coils)))
         (over-coils (lambda (f) (list->tensor (map f angles) (list coils 1 1))))
         (y (tensor- down (over-coils (lambda (a) (* distance (sin a))))))
         (x (tensor- across (over-coils (lambda (a) (* distance (cos a))))))
         (size (tensor-power (tensor+ 0.1 (tensor+ (tensor-square x) (tensor-square y))) -0.75))
         ;; Along the coil's axis and across it: the direction in which it lies.
         (along (tensor+ (tensor* x (over-coils cos)) (tensor* y (over-coils sin))))
         (beside (tensor- (tensor* y (over-coils cos)) (tensor* x (over-coils sin))))
         (phase (tensor+ (over-coils identity) (tensor-atan2 beside (tensor-negate along))))
         (part (lambda (f) (tensor-reshape (tensor* size (f phase)) (list coils h w 1))))
         (s (complex-view (tensor-concatenate (list (part tensor-cos) (part tensor-sin)) 3))))
    (tensor/ s (tensor-sqrt (tensor-sum-squares s 0)))))

;;; --- Doubts ------------------------------------------------------------------------------

(define (half-way maps axes)
  ;; MAPS, (coils rows columns), moved by half their size along AXES.
  (fold (lambda (axis s)
          (let* ((n (tensor-size s axis)) (cut (quotient n 2)))
            (tensor-concatenate (list (tensor-copy (tensor-slice s axis cut n)) (tensor-copy (tensor-slice s axis 0 cut)))
                                axis)))
        maps axes))

(define (explained maps images)
  ;; The share of the energy of IMAGES, (coils rows columns), that one image times MAPS has.
  (let* ((fit (tensor-abs (tensor-sum (tensor* (tensor-conjugate maps) images) 0)))
         (norm (tensor-sum-squares maps 0)))
    (/ (tensor->number (tensor-sum (tensor* (tensor/ fit (tensor-maximum 1e-12 norm)) fit)))
       (tensor->number (tensor-sum-squares images)))))

;; True maps explain 0.86 with a noise of 20 where white is 150, and 0.97 or more with one of 5 or less; conjugates of
;; those of two coils 0.74, of eight half.
(define least-explained 0.85)

(define (sensitivity-doubts maps y mask)
  "What is amiss with MAPS, sensitivities c64 (coils rows columns), for k-space Y of their shape, measured where MASK
is 1: a list of texts.  One image times true maps explains almost all that coils see by the whole middle of k-space;
times conjugates, maps moved by half their size or maps of other coils it does not.  Empty where too little of the middle was
measured to tell.
Example: (sensitivity-doubts (simulated-sensitivities 4 '(8 8)) (random-normal '(4 8 8) 1 0 'c64)
                             (tensor-zeros '(8))) => ()"
  (with-scope
   (lambda ()
     (let* ((shape (cdr (tensor-shape y)))
            (part (whole-middle (tensor-copy (tensor-broadcast mask shape))))
            (peak (tensor->number (tensor-max (tensor-abs (real-view (tensor-copy y)))))))
       (if (and part (> peak 0))
           (let* ((images (ifft2 (tensor* (middle-window shape part) (tensor/ y peak))))
                  (moves '((" moved by half their size" 1 2) (" moved by half their rows" 1) (" moved by half their columns" 2)))
                  (others (cons (cons "their conjugates" (tensor-conjugate maps))
                                (append-map (lambda (maps what)
                                              (map (lambda (move) (cons (string-append what (car move))
                                                                        (half-way maps (cdr move))))
                                                   moves))
                                            (list maps (tensor-conjugate maps)) '("the same" "their conjugates"))))
                  (found (explained maps images))
                  (shares (map (lambda (other) (cons (explained (cdr other) images) (car other))) others))
                  (best (reduce (lambda (a b) (if (> (car a) (car b)) a b)) #f shares)))
             (if (< found least-explained)
                 (list (format #f "sensitivities: one image times them explains ~,2f of what the coils see; ~a"
                               found
                               (if (> (car best) (/ (1+ found) 2))
                                   (format #f "give ~a, which explain ~,2f" (cdr best) (car best))
                                   "are they of this scan, and its coils in this order?")))
                 '()))
           '())))))

(define (middle-window shape lengths)
  ;; 1 in the LENGTHS around the origin of SHAPE, 0 elsewhere.
  (apply tensor* (map (lambda (n length form)
                        (let ((start (- (quotient n 2) (quotient length 2))))
                          (tensor-tabulate form (lambda (i j) (if (<= start (max i j) (+ start length -1)) 1 0)))))
                      shape lengths (list (list (first shape) 1) (list 1 (second shape))))))

;;; --- Compression -----------------------------------------------------------------------

(define (principal y count)
  ;; The COUNT combinations of coils in which Y, c64 (K points), has most energy: (COUNT K), orthonormal.
  (let-values (((values vectors) (hermitian-eigen (matrix-product y y #f #t))))
    (tensor-conjugate (tensor-slice vectors 0 0 count))))

(define (nearest-unitary a)
  ;; A (A^H A)^-1/2.
  (matrix-product a (from-eigen (matrix-product a a #t #f)
                                (lambda (values) (tensor/ 1 (tensor-sqrt (tensor-maximum 1e-12 values)))))))

(define* (compress-coils y count #:key (method 'svd))
  "K-space Y, c64 (K rows columns), of COUNT virtual coils, c64 (COUNT rows columns): those combinations of
coils that have most of its energy.  METHOD is svd, one for all of k-space, or geometric: one for each position along
the readout, the rows, aligned from one to the next (Zhang et al. 2013), which keeps more with as few, of
Cartesian data with whole readouts.  Noise that is white over coils stays so: whiten first (`whitening-matrix').
Example: (tensor-shape (compress-coils (random-normal '(6 16 16) 1 0 'c64) 3)) => (3 16 16)"
  (check-coils 'compress-coils y)
  (check-that (and (exact-integer? count) (<= 1 count (tensor-size y 0))) 'compress-coils
              "count: expected an integer from 1 to ~a, the number of coils, got ~s" (tensor-size y 0) count)
  (check-that (memq method '(svd geometric)) 'compress-coils "method: expected svd or geometric, got ~s" method)
  (let* ((shape (tensor-shape y)) (coils (first shape)) (rows (second shape)) (columns (third shape)))
    (if (eq? method 'svd)
        (mix-coils (principal (tensor-reshape y (list coils (* rows columns))) count) y)
        (with-scope
         (lambda ()
           (let* ((hybrid (along-rows ifft2 y))
                  (line (lambda (r)
                          (tensor-reshape (tensor-copy (tensor-slice hybrid 1 r (1+ r))) (list coils columns))))
                  (middle-row (quotient rows 2))
                  (aligned (lambda (r before)
                             (let ((own (principal (line r) count)))
                               ;; The rotation of its own combinations that is nearest to the one before.
                               (matrix-product (nearest-unitary (matrix-product before own #f #t)) own))))
                  (combinations (make-vector rows #f)))
             ;; From the middle outwards, where most is seen.
             (vector-set! combinations middle-row (principal (line middle-row) count))
             (for-each (lambda (r) (vector-set! combinations r (aligned r (vector-ref combinations (1- r)))))
                       (iota (- rows middle-row 1) (1+ middle-row)))
             (for-each (lambda (r) (vector-set! combinations r (aligned r (vector-ref combinations (1+ r)))))
                       (reverse (iota middle-row)))
             (tensor-copy
              (along-rows fft2
                          (tensor-concatenate
                           (map (lambda (r)
                                  (tensor-reshape (matrix-product (vector-ref combinations r) (line r))
                                                  (list count 1 columns)))
                                (iota rows))
                           1)))))))))
