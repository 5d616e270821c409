;;; test-gradients.scm -- every primitive's gradient against finite differences, or its refusal;
;;; tapes inside tapes; tensors changed in place.  Long, since every primitive has a line here.

(use-modules (harness) (srfi srfi-1) (ice-9 match)
             (tempera base errors)
             (tempera tensor primitives) (tempera tensor tensors) (tempera data images))

(start-tests "gradients")

(define (gradients-of procedure . parameters)
  "The gradients of the PROCEDURE of the PARAMETERS."
  (call-with-values (lambda () (gradients (lambda () (apply procedure parameters)) parameters))
    (lambda (loss gradients) gradients)))

(define (numbers procedure . parameters)
  "The first of those gradients, as a list."
  (tensor->list (car (apply gradients-of procedure parameters))))

(define (close? a b)
  ;; A few roundings of numbers near 10.
  (every (lambda (a b) (< (magnitude (- a b)) 1e-5)) a b))

(define-syntax-rule (test-close name expected expression)
  (let ((value expression))
    (test-assert (format #f "~a: ~a" name value) (close? expected value))))

;;; --- Finite differences ----------------------------------------------------

(define (as-real t)
  (if (eq? (tensor-dtype t) 'c64) (real-view (tensor-reshape t (tensor-shape t))) t))

;; Real, and of which the gradient is no constant even where the operation is linear.
(define (loss-of y)
  (let ((y (as-real y)))
    (tensor-sum (tensor* (random-uniform (tensor-shape y) 5) (tensor-square (tensor+ y 0.3))))))

(define (inner-product a b)
  (tensor->number (tensor-sum (tensor* (as-real a) (as-real b)))))

(define (input kind shape dtype stream)
  (match kind
    ('normal (random-normal shape 7 stream dtype))
    ('positive (tensor+ 0.5 (random-uniform shape 7 stream)))
    ;; No two of them near each other, nor near 0.
    ('apart (let ((n (apply * shape)))
              (list->tensor (map (lambda (i) (- (* 0.5 (modulo (* i 37) n)) (* 0.25 (- n 0.5)))) (iota n))
                            shape)))))

(define (direction x stream)
  ;; Of length 1.
  (let ((d (random-normal (tensor-shape x) 8 stream (tensor-dtype x))))
    (tensor* (/ 1 (sqrt (tensor->number (tensor-sum-squares d)))) d)))

(define (slope function inputs i d)
  ;; Along D of input I by central differences.
  (define h 1e-2)
  (define (at step)
    (tensor->number (apply function (append (take inputs i)
                                            (list (tensor+ (list-ref inputs i) (tensor* step d)))
                                            (drop inputs (1+ i))))))
  (/ (- (at h) (at (- h))) (* 2 h)))

(define (check-slopes name function inputs)
  ;; A loss is below 100 and rounded to 2^-24 of that, which is 3e-4 over the two steps; what is
  ;; of third order in the steps of length 0.01 is 1e-4 of a slope of ordinary size.
  (for-each
   (lambda (i gradient)
     (let* ((d (direction (list-ref inputs i) i))
            (expected (slope function inputs i d))
            (got (if gradient (inner-product gradient d) 0)))
       (test-assert (format #f "~a, input ~a: ~a and ~a by differences" name i got expected)
         (< (abs (- got expected))
            (+ 2e-3 (* 5e-3 (if gradient (sqrt (tensor->number (tensor-sum-squares gradient))) 1)))))))
   (iota (length inputs))
   (apply gradients-of function inputs)))

(define (check name twice? inputs procedure)
  (let ((inputs (map (match-lambda* (((kind shape dtype) i) (input kind shape dtype i))
                                    (((kind shape) i) (input kind shape 'f32 i)))
                     inputs (iota (length inputs))))
        (function (lambda inputs (loss-of (apply procedure inputs)))))
    (check-slopes name function inputs)
    ;; The gradient's own gradient.
    (define (inner . inputs)
      (let ((gradients (apply gradients-of function inputs)))
        (reduce tensor+ #f
                (map (lambda (g i)
                       (tensor-sum (tensor* (random-normal (tensor-shape (as-real g)) 9 i) (as-real g))))
                     gradients (iota (length gradients))))))
    (if twice?
        (check-slopes (format #f "~a, twice" name) inner inputs)
        (test-error-matching (format #f "~a, twice" name) "the gradient of its gradient is not known"
          (apply gradients-of inner inputs)))))

(define one '((normal (3 4))))
(define positive '((positive (3 4))))
(define apart '((apart (3 4))))
(define complex '((normal (3 4) c64)))
(define two '((normal (3 4)) (normal (4))))
(define (norm-of t)
  (list t (tensor* 0.5 (tensor+ t 1)) (tensor-zeros '(3)) (tensor+ (tensor-zeros '(3)) 1)))

;; Five points of the k-space of 4 x 3 pixels.
(define curve (list->tensor '(0 0 1.3 0.4 -1.9 1.5 0.25 -0.8 2 -1) '(5 2)))

(define sensitivities (random-normal '(2 4 3) 11 0 'c64))

;; Name, whether twice, inputs, procedure.
(define table
  `((tensor-copy #t ,one ,tensor-copy)
    (tensor-copy #t ,complex ,tensor-copy)
    (tensor-reshape #t ,one ,(lambda (x) (tensor-reshape x '(2 6))))
    (tensor-reshape #t ,one ,(lambda (x) (tensor-reshape (tensor-transpose x '(1 0)) '(6 2))))
    (tensor-slice #t ,one ,(lambda (x) (tensor-slice x 1 1 4 2)))
    (tensor-slice #t ,complex ,(lambda (x) (tensor-slice x 0 1)))
    (tensor-transpose #t ((normal (2 3 4))) ,(lambda (x) (tensor-transpose x '(2 0 1))))
    (tensor-broadcast #t ((normal (3 1))) ,(lambda (x) (tensor-broadcast x '(2 3 4))))
    (tensor-broadcast #t ((normal (3 1) c64)) ,(lambda (x) (tensor-broadcast x '(3 4))))
    (real-view #t ,complex ,real-view)
    (complex-view #t ((normal (3 2))) ,complex-view)
    (tensor-concatenate #t ,(make-list 9 '(normal (2 1))) ,(lambda parts (tensor-concatenate parts 1)))
    (tensor-concatenate #t ,(make-list 2 '(normal (2 1) c64)) ,(lambda parts (tensor-concatenate parts 0)))
    (tensor-concatenate #t ,one ,(lambda (x) (tensor-concatenate (make-list 70 x) 0)))
    (tensor+ #t ,two ,tensor+)
    (tensor+ #t ((normal (3 4)) (normal (4) c64)) ,tensor+)
    (tensor- #t ,two ,tensor-)
    (tensor- #t ((normal (4) c64) (normal (3 4))) ,tensor-)
    (tensor* #t ,two ,tensor*)
    (tensor* #t ((normal (3 4) c64) (normal (4))) ,tensor*)
    (tensor* #t ((normal (3 4) c64) (normal (4) c64)) ,tensor*)
    (tensor* #t ,one ,(lambda (x) (tensor* 1+2i x)))
    (tensor/ #t ((normal (3 4)) (positive (4))) ,tensor/)
    (tensor/ #t ((normal (3 4) c64) (positive (4))) ,tensor/)
    (tensor/ #t ((positive (4)) (normal (3 4) c64))
             ,(lambda (a b) (tensor/ a (tensor+ b 4))))
    (tensor-maximum #t ((apart (3 4)) (normal (4))) ,(lambda (a b) (tensor-maximum a (tensor* 0.01 b))))
    (tensor-minimum #t ((apart (3 4)) (normal (4))) ,(lambda (a b) (tensor-minimum a (tensor* 0.01 b))))
    (tensor-power #t ((positive (3 4)) (normal (4))) ,tensor-power)
    (tensor-atan2 #t ((positive (3 4)) (normal (4))) ,tensor-atan2)
    (tensor-negate #t ,one ,tensor-negate)
    (tensor-abs #t ,apart ,tensor-abs)
    (tensor-abs #t ,complex ,(lambda (z) (tensor-abs (tensor+ z 4))))
    (tensor-square #t ,one ,tensor-square)
    (tensor-square #t ,complex ,tensor-square)
    (tensor-sqrt #t ,positive ,tensor-sqrt)
    (tensor-sqrt #t ,complex ,(lambda (z) (tensor-sqrt (tensor+ z 4))))
    (tensor-exp #t ,one ,(lambda (x) (tensor-exp (tensor* 0.5 x))))
    (tensor-exp #t ,complex ,(lambda (x) (tensor-exp (tensor* 0.5 x))))
    (tensor-log #t ,positive ,tensor-log)
    (tensor-log #t ,complex ,(lambda (z) (tensor-log (tensor+ z 4))))
    (tensor-sin #t ,one ,tensor-sin)
    (tensor-sin #t ,complex ,(lambda (z) (tensor-sin (tensor* 0.5 z))))
    (tensor-cos #t ,one ,tensor-cos)
    (tensor-cos #t ,complex ,(lambda (z) (tensor-cos (tensor* 0.5 z))))
    (tensor-tanh #t ,one ,tensor-tanh)
    (tensor-tanh #t ,complex ,(lambda (z) (tensor-tanh (tensor* 0.2 z))))
    (tensor-real #t ,complex ,tensor-real)
    (tensor-real #t ,one ,tensor-real)
    (tensor-imag #t ,complex ,tensor-imag)
    (tensor-imag #t ,one ,tensor-imag)
    (tensor-angle #t ,complex ,(lambda (z) (tensor-angle (tensor+ z 4))))
    (tensor-angle #t ,positive ,tensor-angle)
    (tensor-conjugate #t ,complex ,tensor-conjugate)
    (tensor-conjugate #t ,one ,tensor-conjugate)
    (tensor-sum #t ((normal (2 3 4))) ,(lambda (x) (tensor-sum x '(0 2))))
    (tensor-sum #t ,complex ,(lambda (x) (tensor-sum x 1 #t)))
    (tensor-mean #t ,one ,(lambda (x) (tensor-mean x 0)))
    (tensor-mean #t ,complex ,tensor-mean)
    (tensor-max #t ,apart ,(lambda (x) (tensor-max x 1)))
    (tensor-min #t ,apart ,(lambda (x) (tensor-min x '(0 1) #t)))
    (tensor-sum-squares #t ,one ,(lambda (x) (tensor-sum-squares (tensor* 0.5 x) 1)))
    (tensor-sum-squares #t ,complex ,(lambda (x) (tensor-sum-squares (tensor* 0.5 x) 0)))
    (tensor-quantile #t ,apart ,(lambda (x) (tensor-quantile x 0.3 1)))
    (tensor-quantile #t ,apart ,(lambda (x) (tensor-quantile x 1 0)))
    (matrix-product #t ((normal (3 4)) (normal (4 2))) ,matrix-product)
    (matrix-product #t ((normal (4 3)) (normal (2 4))) ,(lambda (a b) (matrix-product a b #t #t)))
    (matrix-product #t ((normal (3 4)) (normal (2 4))) ,(lambda (a b) (matrix-product a b #f #t)))
    (matrix-product #t ((normal (3 4) c64) (normal (4 2) c64)) ,matrix-product)
    (matrix-product #t ((normal (4 3) c64) (normal (2 4) c64)) ,(lambda (a b) (matrix-product a b #t #t)))
    (coil-images #t ((normal (2 4 3) c64)) ,(lambda (x) (coil-images x sensitivities)))
    (coil-combine #t ((normal (3 2 4 3) c64)) ,(lambda (y) (coil-combine y sensitivities)))
    (sense-normal #t ((normal (2 4 3) c64)) ,(lambda (x) (sense-normal x sensitivities (list->tensor '(1 0.5 0)))))
    (fft2 #t ((normal (2 4 3) c64)) ,fft2)
    (ifft2 #t ((normal (4 3) c64)) ,ifft2)
    (nufft-forward #t ((normal (2 4 3) c64)) ,(lambda (x) (nufft-forward x curve)))
    (nufft-adjoint #t ((normal (2 5) c64)) ,(lambda (y) (nufft-adjoint y curve 4 3)))
    (toeplitz-multiply #t ((normal (2 4 3) c64))
                       ,(lambda (x) (toeplitz-multiply x (toeplitz-table curve #f 4 3))))
    (fourier-multiply #t ((normal (2 4 3) c64) (normal (4 3))) ,fourier-multiply)
    (fourier-multiply #t ((normal (2 4 3) c64) (normal (3))) ,fourier-multiply)
    (fourier-multiply #t ((normal (2 4 3 2)) (normal (2 4 3))) ,fourier-multiply)
    (mri-forward #t ((normal (2 4 3) c64) (normal (3))) ,mri-forward)
    (mri-adjoint #t ((normal (4 3) c64) (normal (4 3))) ,mri-adjoint)
    (wavelet-transform #t ((normal (4 4))) ,(lambda (x) (wavelet-transform x 4)))
    (wavelet-transform #t ((normal (4 4) c64)) ,(lambda (x) (wavelet-transform x 4 #t)))
    (image-reorient #t ((normal (2 3 4))) ,(lambda (x) (image-reorient x '(2 0 1) '(#t #f #t))))
    (image-resample #f ((normal (2 5 6)))
                    ,(lambda (x) (image-resample x '(0.7 0.2 0.1 -0.3 1.4 0.5) 4 3 2)))
    (image-tone #f ((positive (2 3 4)) (positive (2 4))) ,(lambda (x k) (image-tone x k 1.2)))
    (image-modulate #f ((positive (2 3 4)) (normal (2 2 3) c64))
                    ,(lambda (x c) (image-modulate x (tensor* 0.3 c))))
    (mixture-score #f ((normal (2 3)))
                   ,(lambda (x) (mixture-score x (random-normal '(4 3) 1) (random-normal '(4) 2) 0.5 0.6)))
    (mixture-score #f ((normal (2 3) c64))
                   ,(lambda (x) (mixture-score x (random-normal '(2 3) 1 0 'c64) (random-normal '(2) 2)
                                               0.3 (list->tensor '(0.9 1.1)))))
    (convolution #f ((normal (1 4 5 2)) (normal (3 3 2 3)) (normal (3)) (normal (1 4 5 3)))
                 ,(lambda (x w b r) (tensor* 0.2 (convolution x w b r 1 1))))
    (convolution-adjoint #f ((normal (1 2 3 3)) (normal (3 3 2 3)))
                         ,(lambda (y w) (tensor* 0.2 (convolution-adjoint y w '(1 4 5 2) 2 1))))
    (normalised-convolution #f ((normal (1 4 5 2)) (normal (3 3 2 3)) (positive (3)))
                            ,(lambda (x w t) (normalised-convolution x w (norm-of t) #f 1 #t 0.9 1e-1 1)))
    (batch-normalisation #f ((normal (1 4 5 3)) (positive (3)))
                         ,(lambda (x t) (batch-normalisation x (norm-of t) #f 0.9 1e-5 1)))
    (leaky-relu #t ,apart ,(lambda (x) (leaky-relu x 0.1)))
    (relu #t ,apart ,relu)
    (silu #f ,one ,silu)
    (group-normalisation #f ((normal (2 4 5 4)) (normal (4)) (normal (4)) (normal (2 8)))
                         ,(lambda (x gamma beta modulation)
                            (tensor* 0.5 (group-normalisation x gamma beta modulation 2 1e-2 #t))))
    (self-attention #f ((normal (2 3 3 12))) ,(lambda (qkv) (self-attention qkv 2)))
    (pixel-unshuffle #f ((normal (1 4 4 2))) ,pixel-unshuffle)
    (pixel-shuffle #f ((normal (1 2 2 8))) ,pixel-shuffle)
    (average-pool #f ((normal (1 4 4 2))) ,average-pool)
    (max-pool #f ((apart (1 4 4 2))) ,max-pool)
    (upsample #f ((normal (1 2 2 2))) ,upsample)
    (dense #t ((normal (2 3)) (normal (3 4)) (normal (4))) ,dense)
    (dsm-loss #f ((normal (2 3)) (normal (2 3)))
              ,(lambda (q u) (dsm-loss q u (list->tensor '(2 -3)))))))

(for-each (lambda (row) (apply check row)) table)

;;; --- What the tape needs, released ----------------------------------------------

;; Whatever is released before the gradient, by a scope or one by one, that comes out as it would,
;; or an error says what was needed.
(define (check-released name inputs procedure)
  (let* ((make-inputs
          (lambda ()
            (map (match-lambda* (((kind shape dtype) i) (tensor-copy (input kind shape dtype i)))
                                (((kind shape) i) (tensor-copy (input kind shape 'f32 i))))
                 inputs (iota (length inputs)))))
         (loss-of tensor-sum-squares)   ; whose gradient needs the result itself
         (function (lambda inputs (loss-of (apply procedure inputs))))
         (expected (apply gradients-of function (make-inputs)))
         (same? (lambda (thunk)
                  (catch 'tempera-error
                    (lambda ()
                      (every (lambda (a b) (if (and a b) (tensor-identical? a b) (eq? a b)))
                             expected (thunk)))
                    (lambda (key . arguments)
                      (and (or-map (lambda (part) (string-contains (error-text key arguments) part))
                                   '("whose scope has closed" "this tensor was released"))
                           'told))))))
    (test-assert (format #f "~a, recorded in a scope" name)
      (same? (lambda ()
               (apply gradients-of (lambda inputs (with-scope (lambda () (apply function inputs))))
                      (make-inputs)))))
    ;; What a layer computes anew of what was released may be gone too.
    (test-assert (format #f "~a, its result released in a scope" name)
      (same? (lambda ()
               (apply gradients-of
                      (lambda inputs
                        (with-scope
                         (lambda ()
                           (let* ((y (apply procedure (map tensor-copy inputs))) (loss (loss-of y)))
                             (release! y)
                             loss))))
                      (make-inputs)))))
    (test-assert (format #f "~a, its inputs released" name)
      (same? (lambda ()
               (let ((inputs (make-inputs)))
                 (apply gradients-of
                        (lambda inputs
                          (let* ((copies (map tensor-copy inputs)) (y (apply procedure copies))
                                 (loss (loss-of y)))
                            (for-each (lambda (copy) (when (tensor-alive? copy) (release! copy))) copies)
                            (release! y)
                            loss))
                        inputs)))))))

(for-each (match-lambda ((name twice? inputs procedure) (check-released name inputs procedure))) table)

;;; --- What is not recorded ----------------------------------------------------

(define* (want shape #:optional (dtype 'f32))
  (require-gradient! (random-normal shape 3 0 dtype)))

(define (zeros . shape) (tensor-zeros shape))

(define-syntax-rule (thunks (name expression) ...)
  (list (cons 'name (lambda () expression)) ...))

(define half (lambda (x) (tensor* 0.5 x)))
(define folder (or (getenv "TMPDIR") "/tmp"))
(define (file name) (format #f "~a/tempera-gradients-~a-~a" folder (getpid) name))

;; They do as they do without a tape.
(define readings
  (thunks
   (tensor? (tensor? (want '(2)))) (tensor-alive? (tensor-alive? (want '(2))))
   (tensor-shape (tensor-shape (want '(2)))) (tensor-dtype (tensor-dtype (want '(2))))
   (tensor-element (tensor-element (want '(2)) '(0))) (tensor->list (tensor->list (want '(2))))
   (tensor->number (tensor->number (want '()))) (tensor-finite? (tensor-finite? (want '(2))))
   (tensor-identical? (tensor-identical? (want '(2)) (want '(2))))
   (tensor< (tensor< (want '(2)) 1)) (tensor-sign (tensor-sign (want '(2))))
   (tensor-round (tensor-round (want '(2))))
   (release! (release! (want '(2)))) (keep! (keep! (want '(2)))) (keep-always! (keep-always! (want '(2))))
   (require-gradient! (require-gradient! (want '(2)))) (tensor-gradient (tensor-gradient (want '(2))))
   (clear-gradient! (clear-gradient! (want '(2))))
   (tape-backward! (no-tape (lambda ()
                              (let ((tape (make-tape)) (w (want '(2))))
                                (tape-backward! tape (with-tape tape (lambda () (tensor-sum w))))))))
   (tape-gradients (let ((tape (make-tape)) (w (want '(2))))
                     (tape-gradients tape (with-tape tape (lambda () (tensor-sum w))) (list w))))
   (image-pixels (image-pixels (want '(2 2)) 0 1 (make-vector 256 0)))
   (crc32 (crc32 (want '(2))))
   (save-npy (save-npy (file "a.npy") (want '(2))))
   (save-cfl (save-cfl (file "a.cfl") (want '(2))))
   (save-npz (save-npz (file "a.npz") `(("a" . ,(want '(2))))))
   (save-mat (save-mat (file "a.mat") `(("a" . ,(want '(2))))))
   (hdf5-write (hdf5-write (file "a.h5") `(("a" . ,(want '(2)))) '()))
   (write-png (write-png (file "a.png") (want '(2 2)) 0 1 8))
   (write-nifti (write-nifti (file "a.nii") (want '(2 2)) '(1 1) #f ""))
   (write-mgh (write-mgh (file "a.mgz") (want '(2 2)) '(1 1) #f))
   (write-fits (write-fits (file "a.fits") (want '(2 2)) "" ""))
   (write-tiff (write-tiff (file "a.tif") (want '(2 2)) ""))
   (safetensors-write (safetensors-write (file "a.safetensors") "{}" (list (want '(2)))))))

(define refusals
  (thunks
   (tensor-set-element! (tensor-set-element! (want '(2)) '(0) 1))
   (tensor-assign! (tensor-assign! (zeros 2) (want '(2))))
   (tensor-assign! (tensor-assign! (want '(2)) 1))
   (tensor-axpby! (tensor-axpby! 1 (want '(2)) 1 (zeros 2)))
   (ranks-gather-rows! (ranks-gather-rows! (zeros 2) (want '(2)))) (ranks-sum! (ranks-sum! (want '(2))))
   (image-psnr (image-psnr (want '(12 12)) (random-normal '(12 12) 4)))
   (image-ssim (image-ssim (want '(12 12)) (random-normal '(12 12) 4)))
   (trajectory (trajectory 'leapfrog half (want '(2 2)) (zeros 2 2) (zeros 2 2) 0.1 2 #f))
   (trajectory (let ((w (want '(2 2))))   ; by way of the score
                 (trajectory 'leapfrog (lambda (x) (tensor* w x)) (zeros 2 2) (zeros 2 2) (zeros 2 2) 0.1 2 #f)))
   (conjugate-gradient (conjugate-gradient half (want '(2 2)) 2 1e-3))
   (path-integral (path-integral half (want '(2 2)) (zeros 2 2) (zeros 2 2) (zeros 2 2) 2))
   (hermitian-eigen (hermitian-eigen (complex-view (want '(2 2 2)))))
   (espirit-maps (espirit-maps (complex-view (want '(2 4 4 2))) '(4 4) 2 0.1))
   (round-to-half (round-to-half (want '(2 2))))
   (row-eigen (row-eigen (complex-view (want '(2 4 4 2))) (zeros 4)))
   (row-multiply (row-multiply (complex-view (want '(1 4 4 2))) (complex-view (zeros 4 4 4 2)) (zeros 4 4)))
   (momentum-draw (momentum-draw (want '(2 2)) #f 1 0))
   (nufft-density (nufft-density (want '(4 2)) 9 9 2))
   (toeplitz-table (toeplitz-table (zeros 4 2) (want '(4)) 4 4))
   (kinetic-energy (kinetic-energy (want '(2 2)) #f))
   (chains-select! (chains-select! #(#t #t) (zeros 2 2) (want '(2 2)) (zeros 2 2) (zeros 2 2)))
   (chains-dot (chains-dot (want '(2 2)) (zeros 2 2)))
   (mixture-log-density (mixture-log-density (want '(2 2)) (zeros 1 2) (zeros 1) 1 1))
   (funnel-score (funnel-score (want '(2 2)) 1 1))
   (funnel-log-density (funnel-log-density (want '(2 2)) 1 1))
   (r-hat (r-hat (want '(8 2)))) (ess-bulk (ess-bulk (want '(8 2)))) (ess-tail (ess-tail (want '(8 2))))
   (autocorrelation-time (autocorrelation-time (want '(8 2))))
   (r-hat-between (r-hat-between (list (want '(8 2)) (zeros 8 2))))
   (adam-step! (adam-step! (want '(2)) (zeros 2) (zeros 2) (zeros 2) 1 '(1e-4 0.9 0.999 1e-8)))
   (spectral-norm! (spectral-norm! (want '(3 2)) (random-normal '(2) 1)))
   (spectral-penalty! (spectral-penalty! (want '(3 2)) (random-normal '(2) 1) 1))))

(define without-tensors
  '(end-with-parent! temporary-open temporaries-sweep! make-tape tape-enter! tape-leave! tape-open? tape-length library-versions profile-start!
    profile-stop! profile-table profile-layer! peak-flops load-npy save-text load-png
    load-cfl npz-read mat-read ismrmrd-header ismrmrd-read file-items load-tiff read-mgh hdf5-read hdf5-text hdf5-number read-fits read-nifti safetensors-header safetensors-read terminal-detect terminal-measure terminal-ask
    terminal-text base64 sha256 sha256-of-file word-stem write-animation metropolis sobol-sequence chi-square-tail binomial-cdf tensor-zeros
    list->tensor random-normal random-uniform scope-open! scope-close! memory-usage memory-trim!
    threads set-threads! instruction-set mpi-rank mpi-size mpi-exchanged ranks-join! ranks-fail! ranks-failure!
    ranks-lost? ranks-gather-texts ranks-share-batch!))

(define primitives
  (filter identity
          (module-map (lambda (name variable) (and (procedure? (variable-ref variable)) name))
                      (resolve-interface '(tempera tensor primitives)))))

(define (use-of name)
  (procedure-property (module-ref (resolve-interface '(tempera tensor primitives)) name) 'gradient))

(define (by-name names) (sort (delete-duplicates names) (lambda (a b) (string<? (symbol->string a) (symbol->string b)))))

(test-equal "each primitive that records itself has its finite differences"
  (by-name (filter (lambda (name) (eq? (use-of name) 'recorded)) primitives))
  (by-name (map car table)))
(test-equal "each that only reads is tried" (by-name (filter (lambda (name) (eq? (use-of name) 'reading)) primitives))
  (by-name (map car readings)))
(test-equal "each other one refuses, or takes no tensor"
  (by-name (filter (lambda (name) (not (use-of name))) primitives))
  (by-name (append (map car refusals) without-tensors)))

(for-each (match-lambda
            ((name . thunk)
             (test-equal (format #f "~a reads" name) #f
               (error-message-of (lambda () (with-tape (make-tape) thunk))))))
          readings)
(for-each (lambda (name) (delete-file (file name))) '("a.npy" "a.cfl" "a.hdr" "a.npz" "a.mat" "a.h5" "a.png" "a.safetensors"))
(for-each (match-lambda
            ((name . thunk)
             (test-error-matching (format #f "~a refuses" name) "this tensor wants a gradient"
               (with-tape (make-tape) thunk))
             (test-equal (format #f "~a off the tape" name) #f (error-message-of thunk))))
          (remove (lambda (entry) (eq? (car entry) 'r-hat-between)) refusals))

;; Arguments that a recorded primitive is not differentiated by.
(for-each
 (match-lambda
   ((name . procedure)
    (test-error-matching name "it wants a gradient, which this operation does not give it"
      (gradients-of procedure (random-uniform '(1) 1)))))
 `(("running mean" . ,(lambda (w) (let ((one (list->tensor '(1))))
                                    (tensor-sum (batch-normalisation (tensor+ (zeros 2 2 1) w)
                                                                     (list one one w (tensor-copy one))
                                                                     #t 0.9 1e-5 1)))))
   ("running variance, folded" . ,(lambda (w) (let ((one (list->tensor '(1))))
                                                (tensor-sum (normalised-convolution (zeros 1 2 2 1) (zeros 1 1 1 1)
                                                                        (list one one (tensor-copy one) w)
                                                                        #f 0 #f 0.9 1e-5 1)))))
   ("sigma of the loss" . ,(lambda (w) (tensor-sum (dsm-loss (tensor-reshape w '(1 1)) (zeros 1 1) w))))
   ("means of a mixture" . ,(lambda (w) (tensor-sum (mixture-score (zeros 1 1) (tensor-reshape w '(1 1)) (zeros 1) 1 1))))
   ("sigma of a mixture" . ,(lambda (w) (tensor-sum (mixture-score (tensor-reshape w '(1 1)) (zeros 1 1) (zeros 1) 1 w))))))

(test-error-matching "pictures" "tensor-assign!: source: this tensor wants a gradient"
  (gradients-of (lambda (x) (tensor-sum (montage x))) (random-normal '(3 2 2) 1)))

;;; --- Values ----------------------------------------------------------------

(define w (list->tensor '(1 2)))
(define (sum-of procedure) (lambda (w) (tensor-sum (tensor+ (tensor* 0.1 w) (procedure w)))))

(test-close "a copy" '(1.1 1.1) (numbers (sum-of tensor-copy) w))
(test-close "equal operands share" '(0.6 1.1) (numbers (sum-of (lambda (w) (tensor-maximum w 1))) w))
(test-close "equal maxima share" '(1/2 1/2 0)
            (numbers tensor-max (list->tensor '(3 3 1))))
(test-close "a quantile between two" '(0.75 0.25 0)
            (numbers (lambda (x) (tensor-sum (tensor-quantile x 0.125 0))) (list->tensor '(1 2 3))))
(test-close "the magnitude at 0" '(0 0.6+0.8i)
            (numbers (lambda (z) (tensor-sum (tensor-abs z))) (list->tensor '(0 3+4i))))
(test-close "the square of a complex number" '(2+4i)
            (numbers tensor-sum-squares (list->tensor '(1+2i))))
(test-close "a power at 0" '(0 2) (numbers (lambda (x) (tensor-sum (tensor-power x 2))) (list->tensor '(0 1))))
(test-close "comparison is constant" '(0.1 0.1) (numbers (sum-of (lambda (w) (tensor< w 1.5))) w))
(test-close "a stopped gradient" '(1.1 2.1)
            (numbers (sum-of (lambda (w) (tensor* w (no-tape (lambda () (tensor-copy w)))))) w))
(test-close "logging within a loss" '(1.1 1.1)
            (numbers (sum-of (lambda (w) (object->string (list w (tensor->number (tensor-sum w))))
                                     (tensor-copy w)))
                     w))
(test-error-matching "a complex loss" "loss: expected f32, got c64"
  (gradients-of tensor-sum (list->tensor '(1+i))))

;;; --- Tapes inside tapes -------------------------------------------------------

(define (cube w) (tensor-sum (tensor* w (tensor* w w))))
(define (derivative procedure) (lambda (w) (tensor-sum (car (gradients-of procedure w)))))

(test-close "the inner gradient's gradient" '(6.1 12.1)
            (numbers (lambda (w) (tensor+ (tensor-sum (tensor* 0.1 w)) ((derivative cube) w))) w))
(test-close "three deep" '(24. 48.)
            (numbers (derivative (derivative (lambda (w) (tensor-sum (tensor-power w 4))))) w))
(test-close "an inner one that is a constant" '(3.1 12.1)
            (numbers (sum-of (lambda (w) (tensor* w (no-tape (lambda () (tensor-copy (car (gradients-of cube w)))))))) w))
(test-close "through something made outside of it" '(8. 16.)
            (numbers (lambda (w)
                       (let ((u (tensor* 2 w)))
                         (tensor-sum (car (gradients-of (lambda (u) (tensor-sum (tensor* u u))) u)))
                         (tensor-sum (tensor* u u))))
                     w))
(test-close "nothing is left at what is between" '(2.1 4.1)
            (numbers (sum-of (lambda (w)
                               (let ((u (tensor* w w)))
                                 (no-tape (lambda ()
                                            (let ((tape (make-tape)))
                                              (tape-backward! tape (with-tape tape (lambda () (tensor-sum (tensor* 3 (require-gradient! u)))))))))
                                 u)))
                     w))
(let ((v (require-gradient! (list->tensor '(5)))))
  (clear-gradient! v)
  (numbers (lambda (w) ((derivative (lambda (w) (tensor-sum (tensor* v (tensor* w w))))) w)) w)
  (test-close "another's inner gradient is not left with it" '(6.) ; d/dv of the sum of 2 v w
              (tensor->list (tensor-gradient v))))

(define (play-twice) ; the same loss
  (let* ((tape (make-tape)) (w (require-gradient! (tensor-copy w)))
         (loss (with-tape tape (lambda () (tensor-sum (tensor* w w))))))
    (tape-backward! tape loss)
    (tape-backward! tape loss)))
(test-error-matching "played before" "loss: this tape is empty: it was played before" (play-twice))

(let* ((one (make-tape)) (other (make-tape)) (w (require-gradient! (tensor-copy w)))
       (square (with-tape one (lambda () (tensor* w w))))
       (loss (with-tape one (lambda () (tensor-sum square)))))
  (with-tape other (lambda () (tensor-sum w)))
  (test-error-matching "another tape's loss" "loss: it was made on another tape"
    (tape-backward! other loss))
  (test-error-matching "another tape's tensor" "tensor-sum: an input was made on another tape"
    (with-tape other (lambda () (tensor-sum square))))
  (test-error-matching "a tensor that the outer tape has not seen" "an input was made on another tape"
    (with-tape other (lambda () (with-tape one (lambda () (tensor-sum square))))))
  (test-error-matching "open around itself" "tape: it is open already"
    (with-tape one (lambda () (with-tape other (lambda () (with-tape one (lambda () #t)))))))
  (test-error-matching "accumulating inside another" "another one is open around it"
    (with-tape other (lambda () (tape-backward! one loss))))
  (tape-backward! one loss)
  (test-close "none of which did harm" '(2. 4.) (tensor->list (tensor-gradient w)))
  (test-error-matching "a tensor of a tape that was played" "an input was made on another tape"
    (with-tape other (lambda () (tensor-sum square)))))
(test-equal "all tapes are closed" #f (tape-open?))

;;; --- Changed in place -----------------------------------------------------------

(define (change! t) (no-tape (lambda () (tensor-assign! t 7))))
(define-syntax-rule (test-changed name (w x) body ...)
  (test-error-matching name "was changed in place after its use on the tape"
    (let ((x (list->tensor '(3 4))))
      (gradients-of (lambda (w) body ...) (list->tensor '(1 2))))))

(test-changed "a factor" (w x)
  (let ((y (tensor* w x))) (tensor-assign! x 7) (tensor-sum y)))
(test-changed "by a view" (w x)
  (let ((y (tensor* w x))) (tensor-assign! (tensor-slice x 0 0 1) 7) (tensor-sum y)))
(test-changed "by axpby" (w x)
  (let ((y (tensor* w x))) (tensor-axpby! 1 x 1 x) (tensor-sum y)))
(test-changed "one element" (w x)
  (let ((y (tensor* w x))) (tensor-set! x 7 0) (tensor-sum y)))
(test-changed "by Adam" (w x)
  (let ((y (tensor* w x)))
    (adam-step! x (tensor-copy x) (zeros 2) (zeros 2) 1 '(1e-4 0.9 0.999 1e-8))
    (tensor-sum y)))
(test-changed "a parameter" (w x)
  (let ((y (tensor-square w))) (change! w) (tensor-sum y)))
(test-changed "a result" (w x)
  (let* ((y (tensor-exp w)) (loss (tensor-sum y))) (change! y) loss))
(test-changed "a table" (w x)
  (let* ((z (tensor-reshape w '(1 1 2))) (y (fourier-multiply (real-view (complex-view z)) (zeros 1)))
         (table (list->tensor '(3))) (y (fourier-multiply (real-view (complex-view (tensor-reshape w '(1 1 2)))) table)))
    (tensor-assign! table 7)
    (tensor-sum y)))
(test-changed "the loss's sigma" (w x)
  (let ((y (dsm-loss (tensor-reshape w '(2 1)) (zeros 2 1) x))) (tensor-assign! x -7) (tensor-sum y)))

(test-error-matching "a result, used again" "was changed in place after it was made on the tape"
  (gradients-of (lambda (w) (let ((y (tensor* 2 w))) (change! y) (tensor-sum (tensor* 3 y)))) (list->tensor '(1 2))))
(test-error-matching "a result by its view" "was changed in place after it was made on the tape"
  (gradients-of (lambda (w) (let ((y (tensor* 2 w))) (change! (tensor-slice y 0 0 1)) (tensor-sum (tensor* 3 y))))
                (list->tensor '(1 2))))
(test-error-matching "a result, then a parameter of an inner gradient" "was changed in place after it was made on the tape"
  (gradients-of (lambda (w) (let ((y (tensor* 2 w))) (change! y) ((derivative cube) y))) (list->tensor '(1 2))))
(test-close "a result of one tape is a parameter of the next" '(14. 14.)
            (let ((u #f))
              (gradients-of (lambda (w) (set! u (tensor* 2 w)) (tensor-sum u)) (list->tensor '(1 2)))
              (change! (require-gradient! u))
              (numbers (lambda (u) (tensor-sum (tensor* u u))) u)))
(test-error-matching "a loss" "was changed in place after it was made on the tape"
  (gradients-of (lambda (w) (let ((y (tensor-sum w))) (change! y) y)) (list->tensor '(1 2))))
(test-close "values that are not needed may change" '(1. 1.)
            (numbers (lambda (w)
                       (let* ((x (list->tensor '(3 4))) (y (tensor+ w x)))
                         (change! w)
                         (tensor-assign! x 7)
                         (tensor-sum y)))
                     (list->tensor '(1 2))))
(test-close "what is released is kept for its gradient" '(12. -16.) ; 2 sign (sigma)^2 q / 1
            (numbers (lambda (w)
                       (let* ((sigma (list->tensor '(3 4)))
                              (y (dsm-loss (tensor-reshape w '(2 1)) (zeros 2 1) sigma)))
                         (release! sigma)
                         (tensor-sum y)))
                     (list->tensor '(6 -8))))
(test-error-matching "a scope that has closed" "whose scope has closed"
  (gradients-of (lambda (w)
                  (with-scope (lambda () (tensor-sum (tensor-square (tensor-exp w))))))
                (list->tensor '(1 2))))

;;; --- What is written has memory of its own ------------------------------------------

(let ((t (list->tensor '(1 2 3 4))))
  (tensor-assign! (tensor-slice t 0 1 4) (tensor-slice t 0 0 3))
  (test-equal "assigned from itself, shifted" '(1. 1. 2. 3.) (tensor->list t)))
(let ((a (random-normal '(4 2) 1)) (before (random-normal '(4 2) 1)) (g (zeros 3 2)))
  (chains-select! #(#t #t #t) (tensor-slice a 0 1 4) (tensor-slice a 0 0 3) g (tensor-copy g))
  (test-equal "chains from themselves, shifted" (tensor->list (tensor-slice before 0 0 3))
    (tensor->list (tensor-slice a 0 1 4))))
(let ((a (random-normal '(4) 1)) (one (list->tensor '(1 1))))
  (define (part n) (tensor-slice a 0 n (+ n 2)))
  (test-error-matching "chains and their scores" "x, gradient: expected memory of their own"
    (let ((x (tensor-reshape a '(2 2)))) (chains-select! #(#t #t) x (zeros 2 2) x (zeros 2 2))))
  (test-error-matching "Adam" "moments: expected memory of their own"
    (adam-step! (part 0) (zeros 2) (part 1) (zeros 2) 1 '(1e-4 0.9 0.999 1e-8)))
  (test-error-matching "a spectral vector" "vector: expected memory of its own"
    (spectral-norm! (tensor-reshape a '(2 2)) (part 1)))
  (test-error-matching "running statistics" "running-mean, running-variance: expected memory of their own"
    (batch-normalisation (zeros 2 2 2) (list one one one (tensor-copy one)) #t 0.9 1e-5 1))
  (test-error-matching "an element of a stretched view" "got a stretched view"
    (tensor-set! (tensor-broadcast one '(3 2)) 5 0 0)))

(finish-tests)
