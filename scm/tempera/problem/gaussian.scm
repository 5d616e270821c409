;;; gaussian.scm -- Gaussian random fields, whose posteriors are known exactly.
;;;
;;; A field is known by its power over centred k-space, in which its coefficients are independent.

(define-module (tempera problem gaussian)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (tensor-ref tensor-tabulate))
  #:export (power-spectrum power-spectrum-by-size power-law? power-spectrum-of
            gaussian-prior gaussian-posterior hybrid-prior))

;;; --- Power --------------------------------------------------------------------

(define* (power-spectrum shape #:key (amplitude 1) (exponent 3) (corner 2))
  "A power law over centred k-space, f32 (H W) for SHAPE (H W):
P(k) = AMPLITUDE (1 + |k|^2 / CORNER^2)^(-EXPONENT/2), k in cycles per image.
Example: (power-spectrum '(64 64) #:amplitude 100 #:exponent 3)"
  (check-that (and (list? shape) (= (length shape) 2)
                   (every (lambda (n) (and (exact-integer? n) (> n 0))) shape))
              'power-spectrum "shape: expected (rows columns), got ~s" shape)
  (for-each (lambda (name value)
              (check-that (and (real? value) (finite? value) (> value 0)) 'power-spectrum
                          "~a: expected a positive number, got ~s" name value))
            '("amplitude" "exponent" "corner") (list amplitude exponent corner))
  (let* ((h (first shape)) (w (second shape))
         (square (lambda (i n) (expt (- i (quotient n 2)) 2))))
    (tensor-tabulate shape
                     (lambda (r c)
                       (* amplitude
                          (expt (+ 1. (/ (+ (square r h) (square c w)) (* 1. corner corner)))
                                (/ exponent -2.)))))))

(define (power-law? object)
  "Whether OBJECT is a list of three positive numbers (A p c), as `power-spectrum-by-size' takes it.
Example: (power-law? '(300 5/2 0.6)) => #t"
  (and (list? object) (= (length object) 3)
       (every (lambda (n) (and (real? n) (finite? n) (> n 0))) object)))

(define (power-spectrum-by-size law)
  "The procedure of a size (H W) that gives the spectrum of images of one kind, whatever their size:
`power-spectrum' of exponent p, corner c and amplitude A H W, when LAW is (A p c), made once for
each size.  (Of the same head in twice as many pixels each coefficient of F x is twice as large.)
Example: ((power-spectrum-by-size '(300 2.5 0.6)) '(64 64))"
  (check-that (power-law? law) 'power-spectrum-by-size
              "law: expected three positive numbers, got ~s" law)
  (let ((made (make-hash-table)))
    (lambda (size)
      (or (hash-ref made size)
          (let ((p (keep-always! (power-spectrum size #:amplitude (* (first law) (apply * size))
                                                 #:exponent (second law) #:corner (third law)))))
            (hash-set! made size p)
            p)))))

(define* (power-spectrum-of images #:key (floor 1e-6))
  "The power over centred k-space of a batch of IMAGES, (N H W): P(k) is the mean of |F x|^2 of f32, and of c64 the mean of
|F x|^2 / 2, the variance of the real and of the imaginary part if these are alike and have no
mean.  No P(k) is below FLOOR times the greatest.  f32 (H W), as `gaussian-prior' takes it; of
few images, a rough estimate.
Example: (gaussian-prior (power-spectrum-of (random-slices (load-dataset) 8 16)))"
  (check-that (and (tensor? images) (= 3 (length (tensor-shape images))) (tensor-finite? images))
              'power-spectrum-of "images: expected finite (images rows columns), got ~s" images)
  (check-that (and (real? floor) (< 0 floor 1)) 'power-spectrum-of
              "floor: expected a number between 0 and 1, got ~s" floor)
  (let* ((parts (if (eq? (tensor-dtype images) 'c64) 2 1))
         (complex (if (= parts 2) images (tensor+ images (tensor-zeros (tensor-shape images) 'c64))))
         (power (tensor/ (tensor-sum-squares (fft2 complex) 0) (* parts (first (tensor-shape images)))))
         (greatest (tensor->number (tensor-max power))))
    (check-that (> greatest 0) 'power-spectrum-of "images: they are 0 everywhere")
    (tensor-maximum power (* floor greatest))))

;;; --- The field ----------------------------------------------------------------

(define pi (* 4 (atan 1)))

(define (noise-variance sigma)
  ;; sigma^2, in a shape that broadcasts over (C H W) when there is one for
  ;; every chain.
  (if (tensor? sigma)
      (tensor-reshape (tensor* sigma sigma) '(-1 1 1))
      (* sigma sigma)))

(define (mirrored table)
  ;; TABLE (H W) over centred k-space, at -k.
  (let ((shape (tensor-shape table)))
    (tensor-tabulate shape
                     (lambda indices
                       (apply tensor-ref table
                              (map (lambda (i n) (modulo (- (* 2 (quotient n 2)) i) n)) indices shape))))))

(define* (gaussian-prior spectrum #:key (dtype 'c64))
  "Gaussian images whose k-space coefficients are independent: of DTYPE c64 with the
variance SPECTRUM, f32 (H W), in real and imaginary part each; of f32 real images, the real parts of such,
for which SPECTRUM has to be the same at k and -k.
Convolved with noise the variance is P(k) + sigma^2.
Example: (gaussian-prior (power-spectrum '(64 64) #:amplitude 100))"
  (check-that (and (tensor? spectrum) (eq? (tensor-dtype spectrum) 'f32)
                   (= (length (tensor-shape spectrum)) 2)
                   (tensor-finite? spectrum) (every positive? (tensor->list spectrum)))
              'gaussian-prior "spectrum: expected positive numbers, f32 (rows columns), got ~s"
              spectrum)
  (check-that (memq dtype '(c64 f32)) 'gaussian-prior "dtype: expected c64 or f32, got ~s" dtype)
  (check-that (or (eq? dtype 'c64)
                  (< (tensor->number (tensor-max (tensor-abs (tensor- (tensor/ (mirrored spectrum) spectrum) 1)))) 1e-3))
              'gaussian-prior "spectrum: expected that of real images, the same at k and -k, got ~s" spectrum)
  (let* ((shape (tensor-shape spectrum))
         (parts (if (eq? dtype 'c64) 2 1))
         (variance (lambda (sigma) (tensor+ spectrum (noise-variance sigma))))
         (score (lambda (x sigma)
                  ;; -F^H 1/(P + sigma^2) F x
                  (fourier-filter x (tensor/ -1 (variance sigma))))))
    (make-prior "Gaussian field" #:shape shape #:dtype dtype #:score score
                #:log-density
                (lambda (x sigma)
                  ;; x^H grad log p / 2 - sum_k log (2 pi (P + sigma^2)), of real images half of that sum
                  (let* ((logs (tensor-log (tensor* (* 2 pi) (variance sigma))))
                         (normalisers (if (tensor? sigma)
                                          (tensor->list (tensor-sum logs '(1 2)))
                                          (make-list (first (tensor-shape x))
                                                     (tensor->number (tensor-sum logs))))))
                    (list->vector
                     (map (lambda (inner normaliser) (- (/ inner 2) (/ (* parts normaliser) 2)))
                          (vector->list (chains-dot x (score x sigma)))
                          normalisers))))
                #:draw
                (lambda (count seed)
                  ;; A momentum of mass P is a draw from N (0, F^H P F).
                  (let ((draw (momentum-draw (tensor-zeros (cons count shape) 'c64) spectrum
                                             seed (random-stream 'prior))))
                    (if (eq? dtype 'c64) draw (tensor-real draw)))))))

(define* (gaussian-posterior spectrum measurement #:optional data
                             #:key (noise #f) (sigma 0) (widening 0))
  "The posterior that `gaussian-prior' of SPECTRUM and MEASUREMENT, of DATA (H W), have exactly, at
the temperature SIGMA: two values, the mean, c64 or f32 (H W), and the variance of real and imaginary part
(of real images, of the coefficient, |F x|^2) in k-space, f32 (H W): 1 / (D / (NOISE^2 + WIDENING SIGMA^2) + 1 / (P + SIGMA^2)) with D the
diagonal of A^H A, and WIDENING as in `posterior'.  An operator, DATA and NOISE, 0.1 unless given, may
take the place of MEASUREMENT.
Example: (gaussian-posterior (power-spectrum '(16 16) #:amplitude 100) (measurement op y))"
  (let* ((measurement (as-measurement 'gaussian-posterior measurement data noise))
         (op (measurement-operator measurement))
         (noise (measurement-noise measurement))
         (diagonal (operator-normal-diagonal op)))
    (check-that diagonal 'gaussian-posterior
                "operator: expected one whose normal is diagonal in Fourier space, got ~s" op)
    (for-each (lambda (name value)
                (check-that (and (real? value) (finite? value) (>= value 0)) 'gaussian-posterior
                            "~a: expected a finite number, 0 or more, got ~s" name value))
              '("sigma" "widening") (list sigma widening))
    (let* ((precision (/ (+ (* noise noise) (* widening sigma sigma))))
           (variance (tensor/
                      1 (tensor+ (tensor* precision diagonal)
                                 (tensor/ 1 (tensor+ spectrum (* sigma sigma)))))))
      ;; Where nothing was measured, A^H y is rounding.
      (values (fourier-filter (zero-filled measurement)
                                (tensor* (tensor< 0 diagonal) (tensor* precision variance)))
              variance))))

;;; --- A Gaussian field and what a network knows better -----------------------

(define* (hybrid-prior spectrum residual #:key (dtype 'c64))
  "The prior whose score is that of the Gaussian field of SPECTRUM, f32 (H W), and DTYPE, plus RESIDUAL, a
network or procedure of x and sigma: the Gaussian knows the power on all scales, however large,
and the network learns only what is not Gaussian, as `make-trainer' with #:gaussian trains it.
The network sees x and sigma alone; papers that give it the Gaussian score as a further input
spare it a linear filter of x, at the price of a body of its own.
Source: Remy et al., arXiv:2011.08271, section 3.
Example: (hybrid-prior (power-spectrum '(16 16) #:amplitude 100) net)"
  (check-that (procedure? residual) 'hybrid-prior
              "residual: expected a network or a procedure, got ~s" residual)
  (let ((gaussian (gaussian-prior spectrum #:dtype dtype)))
    (make-prior "Gaussian field and residual" #:shape (prior-shape gaussian) #:dtype dtype
                #:score (lambda (x sigma)
                          (tensor+ (score gaussian x sigma) (residual x sigma))))))
