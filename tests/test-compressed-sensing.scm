;;; test-compressed-sensing.scm -- total variation and wavelets reach the minima that are known.

(use-modules (harness) (tempera) (srfi srfi-1))

(start-tests "compressed sensing")

(define identity-operator (make-operator "denoising" #:forward identity #:adjoint identity))

;;; --- Total variation ------------------------------------------------------------------

(test-approximate "of one pixel" (+ 2 (sqrt 2))
  (total-variation-of (list->tensor '(0 0 0 0 1 0 0 0 0) '(3 3))) 1e-5)
(test-approximate "of both parts" (* 5 (+ 2 (sqrt 2)))
  (total-variation-of (complex-view (list->tensor (append (make-list 8 0) '(3 4) (make-list 8 0))
                                                  '(3 3 2)))) 1e-4)

;; Two halves of N columns, 0 and h: the minimiser moves each by weight (2 edges) / (N / 2).
(let* ((n 16) (h 10) (weight 2)
       (columns (list->tensor (append (make-list 8 0) (make-list 8 h))))
       (y (complex-view (tensor-concatenate
                         (list (tensor-reshape (tensor-broadcast columns '(12 16)) '(12 16 1))
                               (tensor-zeros '(12 16 1)))
                         2)))
       (x (total-variation identity-operator y #:weight weight #:iterations 600))
       (move (/ (* 2 weight) (/ n 2.))))
  (test-assert "a step's exact minimiser"
    (> 0.01 (tensor->number (tensor-max (tensor-abs (tensor- (tensor-real x)
                                                             (list->tensor (append (make-list 8 move)
                                                                                   (make-list 8 (- h move)))))))))))

(define scan
  ;; A bright disk with a dark one in it, and a phase.
  (let ((disk (lambda (row column radius level)
                (map (lambda (i)
                       (if (< (+ (expt (- (quotient i 32) row) 2) (expt (- (remainder i 32) column) 2))
                              (* radius radius))
                           level 0))
                     (iota 1024)))))
    (simulated-scan (list->tensor (map + (disk 16 15 12 100) (disk 14 18 4 -60)) '(32 32)) #:seed 1)))
(define op (mri-operator #:mask (random-mask 32 #:acceleration 2 #:seed 3)))
(define y (measure op scan #:noise 0.1 #:seed 2))
(define zero-filled (apply-adjoint op y))

(define (objective x weight)
  (+ (* 1/2 (tensor->number (tensor-sum-squares (tensor- (apply-forward op x) y))))
     (* weight (total-variation-of x))))

(let* ((x (total-variation op y #:weight 0.5 #:iterations 400))
       (least (objective x 0.5)))
  (for-each (lambda (seed)
              (test-assert "no image near has a lower objective"
                (> (objective (tensor+ x (tensor* 0.1 (random-normal '(32 32) seed 0 'c64))) 0.5) least)))
            '(1 2 3))
  (test-assert "nor the truth" (> (objective scan 0.5) least))
  (test-assert "a piecewise constant image is nearly there" (> (psnr x scan) (+ 6 (psnr zero-filled scan))))
  (test-assert "another penalty, the same minimum"
    (< (abs (- least (objective (total-variation op y #:weight 0.5 #:iterations 400 #:penalty 0.5) 0.5)))
       (* 1e-3 least)))
  (let ((plain (make-operator "MRI" #:forward (lambda (x) (apply-forward op x))
                              #:adjoint (lambda (y) (apply-adjoint op y)))))
    (test-assert "an operator with no diagonal"
      (> 0.5 (tensor->number
              (tensor-max (tensor-abs (tensor- x (total-variation plain y #:weight 0.5
                                                                  #:iterations 400)))))))))

;;; --- Of any operator -------------------------------------------------------------------

(define real-scan (tensor-abs scan))

(define (objective-of op y weight size)
  (lambda (x)
    (+ (* 1/2 (tensor->number (tensor-sum-squares (tensor- (apply-forward op x) y)))) (* weight (size x)))))

(define (gradient-of op y x)
  (apply-adjoint op (tensor- (apply-forward op x) y)))

(for-each
 (lambda (name op noise weight)
   (define (named text) (string-append name ": " text))
   (let* ((y (measure op real-scan #:noise noise #:seed 2))
          (objective (objective-of op y weight total-variation-of))
          (x (total-variation op y #:weight weight #:iterations 300))
          (least (objective x)))
     (test-equal (named "real") '(f32 f32) (list (tensor-dtype x) (tensor-dtype (wavelet-reconstruction op y #:iterations 2))))
     (for-each (lambda (other text)
                 (test-assert (named text) (> (objective other) (* 0.999 least))))
               (cons* real-scan (apply-approximate-inverse op y) (tensor* 1.01 x) (tensor* 0.99 x)
                      (map (lambda (seed) (tensor+ x (random-normal '(32 32) seed))) '(1 2)))
               '("the truth has more" "data alone" "brighter" "darker" "rougher" "again"))
     (test-assert (named "better than data alone")
       (> (psnr x real-scan) (+ 1 (psnr (apply-approximate-inverse op y) real-scan))))
     ;; Where the weight counts for nothing, the normal equations hold.
     (test-assert (named "wavelets, hardly any weight")
       (let ((light (wavelet-reconstruction op y #:weight 1e-4 #:iterations 400))
             (right (apply-adjoint op y)))
         (< (tensor->number (tensor-sum-squares (gradient-of op y light)))
            (* 1e-4 (tensor->number (tensor-sum-squares right))))))))
 '("denoising" "blur" "valid blur" "inpainting" "super-resolution" "tomography")
 (list (denoising-operator '(32 32)) (blur-operator (gaussian-kernel 1) '(32 32))
       (blur-operator (gaussian-kernel 1 #:size 5) '(32 32) #:border 'valid)
       (inpainting-operator (random-pixels '(32 32) 0.6 #:seed 3)) (strided-blur-operator 2 '(32 32))
       (radon-operator '(32 32) #:angles (projection-angles 12)))
 '(10 2 2 2 2 20) '(10 0.3 0.3 1 0.5 30))

;;; --- Wavelets -------------------------------------------------------------------------

(let ((x (random-normal '(32 32) 5 0 'c64)))
  (test-assert "there and back"
    (> 1e-4 (tensor->number
             (tensor-max (tensor-abs (tensor- x (wavelet-transform (wavelet-transform x 8) 8 #t))))))))
(test-error-matching "no power of two" "a power of two, got 24 x 24" (wavelet-transform (tensor-zeros '(24 24)) 4))
(test-error-matching "taps" "taps: expected 4, 6, ..., 20, got 5" (wavelet-transform (tensor-zeros '(16 16)) 5))

(let ((x (wavelet-reconstruction op y #:weight 0.5)))
  (test-assert "better than zero-filled" (> (psnr x scan) (+ 3 (psnr zero-filled scan))))
  (test-assert "the same seed, the same bits"
    (tensor-identical? x (wavelet-reconstruction op y #:weight 0.5)))
  (test-assert "a heavier weight, smaller coefficients"
    (let ((size (lambda (x) (tensor->number (tensor-sum (tensor-abs (wavelet-transform x 4)))))))
      (< (size (wavelet-reconstruction op y #:weight 20)) (size x)))))
;; Data alone, where nothing weighs: the measurements are kept.
(test-assert "a light weight keeps the data"
  (> 0.5 (tensor->number
          (tensor-max (tensor-abs (tensor- (apply-forward op (wavelet-reconstruction op y #:weight 1e-3)) y))))))
(test-equal "sizes that are no power of two" '(24 20)
  (tensor-shape (wavelet-reconstruction identity-operator (random-normal '(24 20) 1 0 'c64)
                                        #:iterations 3)))
(test-assert "an operator of any norm"
  (tensor-finite? (wavelet-reconstruction
                   (make-operator "loud" #:forward (lambda (x) (tensor* 10 x))
                                  #:adjoint (lambda (y) (tensor* 10 y)))
                   (random-normal '(16 16) 1 0 'c64))))

(for-each
 (lambda (reconstruct)
   (test-error-matching "operator" "operator: expected one" (reconstruct 3 y))
   (test-error-matching "NaN" "numbers are NaN or infinite, the first at (0 0)" (reconstruct op (tensor/ y 0)))
   (test-error-matching "weight" "weight: expected" (reconstruct op y #:weight 0))
   (test-error-matching "iterations" "iterations: expected" (reconstruct op y #:iterations 0)))
 (list total-variation wavelet-reconstruction))
(test-error-matching "penalty" "penalty: expected" (total-variation op y #:penalty -1))
(test-error-matching "image" "image: expected" (total-variation-of 3))

(finish-tests)
