;;; test-quality.scm -- multi-scale structural similarity: by hand, at every size, its gradient; fastMRI's measures.

(use-modules (harness)
             (tempera data quality) (tempera tensor primitives) (tempera tensor tensors)
             (srfi srfi-1))

(start-tests "quality")

(define range (list->tensor '(4 2)))

(define (like images amount)
  ;; So that no mean is cut off at 0.
  (tensor+ images (tensor* amount (random-normal (tensor-shape images) 11))))

;; One scale, of one place: the formula by hand.
(let* ((x (random-normal '(2 11 11) 1)) (y (like x 0.3))
       (weights (map (lambda (i) (exp (/ (* (- i 5) (- i 5)) -4.5))) (iota 11)))
       (sum (apply + weights))
       (window (append-map (lambda (a) (map (lambda (b) (/ (* a b) sum sum)) weights)) weights))
       (pixels (lambda (images n) (list-head (list-tail (tensor->list images) (* n 121)) 121))))
  (for-each
   (lambda (n l s)
     (let* ((a (pixels x n)) (b (pixels y n))
            (mean (lambda (p q) (apply + (map * window p q))))
            (one (make-list 121 1))
            (ma (mean a one)) (mb (mean b one))
            (c1 (expt (* 0.01 l) 2)) (c2 (expt (* 0.03 l) 2)))
       (test-approximate "by hand"
         (* (/ (+ (* 2 ma mb) c1) (+ (* ma ma) (* mb mb) c1))
            (/ (+ (* 2 (- (mean a b) (* ma mb))) c2)
               (+ (- (mean a a) (* ma ma)) (- (mean b b) (* mb mb)) c2)))
         s 1e-4)))
   '(0 1) '(4 2) (tensor->list (ms-ssim x y range))))

;; An image is like itself at every number of scales; less like another.
(for-each
 (lambda (size)
   (let* ((a (random-normal (list 2 size size) 2)) (b (like a 0.5)))
     (test-approximate "like itself" 1 (second (tensor->list (ms-ssim a a range))) 1e-4)
     (test-assert "less like another" (< 0.5 (second (tensor->list (ms-ssim a b range))) 0.98))))
 (iota 6 16 32))

;; The value that the same formula had in another program, to six digits.
(let* ((a (random-normal '(2 48 44) 1)) (b (tensor+ a (tensor* 0.3 (random-normal '(2 48 44) 2)))))
  (test-assert "as before" (every (lambda (x y) (< (abs (- x y)) 2e-6))
                                  '(0.9494644 0.9585638) (tensor->list (ms-ssim a b range)))))

;; The gradient in each image against central differences of fourth order along one direction:
;; their error is of order h^4 = 1e-8 of the fifth derivative, and float32's rounding 1e-7 / h.
(let* ((a (random-normal '(2 24 28) 3)) (b (like a 0.4)) (h 1e-2)
       (direction (random-normal '(2 24 28) 5))
       (total (lambda (x y) (tensor->number (tensor-sum (ms-ssim x y range)))))
       (along (lambda (g) (tensor->number (tensor-sum (tensor* g direction)))))
       (gradient (lambda (loss x)
                   (let ((x (require-gradient! (tensor-copy x))))
                     (call-with-values (lambda () (gradients (lambda () (loss x)) (list x)))
                       (lambda (loss gradients) (first gradients))))))
       (difference (lambda (f) (/ (- (* 8 (- (f h) (f (- h)))) (- (f (* 2 h)) (f (* -2 h))))
                                  (* 12 h))))
       (moved (lambda (x h) (tensor+ x (tensor* h direction)))))
  (for-each
   (lambda (expected got)
     (test-approximate "gradient" expected got (* 1e-3 (+ (abs expected) 1e-1))))
   (list (difference (lambda (h) (total (moved a h) b)))
         (difference (lambda (h) (total a (moved b h)))))
   (map along (list (gradient (lambda (x) (tensor-sum (ms-ssim x b range))) a)
                    (gradient (lambda (y) (tensor-sum (ms-ssim a y range))) b)))))

(test-error-matching "small" "images: expected 11 x 11 pixels or more, got 10 x 12"
  (ms-ssim (tensor-zeros '(1 10 12)) (tensor-zeros '(1 10 12)) (list->tensor '(1))))
(test-error-matching "rank" "images: expected f32 (N H W)"
  (ms-ssim (tensor-zeros '(16 16)) (tensor-zeros '(16 16)) (list->tensor '(1))))
(test-error-matching "shapes" "truths: expected f32 (1 16 16)"
  (ms-ssim (tensor-zeros '(1 16 16)) (tensor-zeros '(1 16 12)) (list->tensor '(1))))
(test-error-matching "ranges" "range: expected f32 (2)"
  (ms-ssim (random-normal '(2 16 16) 1) (random-normal '(2 16 16) 1) (list->tensor '(1))))
(test-error-matching "range" "range: expected positive numbers, got"
  (ms-ssim (random-normal '(1 16 16) 1) (random-normal '(1 16 16) 1) (list->tensor '(0))))

;;; --- fastMRI's -------------------------------------------------------------------------

;; One window of 7 x 7, of two slices, by the definition: the range is that of both.
(let* ((truth (tensor-abs (random-normal '(2 7 7) 1))) (image (tensor-abs (like truth 0.3)))
       (pixels (lambda (t) (tensor->list t)))
       (slice (lambda (t k) (list-head (list-tail (pixels t) (* k 49)) 49)))
       (mean (lambda (l) (/ (apply + l) (length l))))
       (covariance (lambda (a b) (/ (apply + (map (lambda (x y) (* (- x (mean a)) (- y (mean b)))) a b)) 48)))
       (greatest (apply max (pixels truth)))
       (squares (apply + (map (lambda (a b) (expt (- a b) 2)) (pixels image) (pixels truth))))
       (similarity (lambda (k)
                     (let ((a (slice image k)) (b (slice truth k)) (c1 (expt (* 0.01 greatest) 2)) (c2 (expt (* 0.03 greatest) 2)))
                       (/ (* (+ (* 2 (mean a) (mean b)) c1) (+ (* 2 (covariance a b)) c2))
                          (* (+ (expt (mean a) 2) (expt (mean b) 2) c1) (+ (covariance a a) (covariance b b) c2)))))))
  (test-approximate "fastMRI's SSIM" (/ (+ (similarity 0) (similarity 1)) 2) (fastmri-ssim image truth) 1e-5)
  (test-approximate "PSNR" (* 10 (log10 (/ (* greatest greatest 98) squares))) (fastmri-psnr image truth) 1e-4)
  (test-approximate "NMSE" (/ squares (apply + (map (lambda (x) (* x x)) (pixels truth)))) (nmse image truth) 1e-6)
  (test-equal "of equals" '(1. +inf.0 0.)
    (let ((image (tensor-reshape (random-normal '(20 24) 1) '(20 24))))
      (list (/ (round (* 1e6 (fastmri-ssim image image))) 1e6) (fastmri-psnr image image) (nmse image image))))
  (for-each
   (lambda (measure)
     (test-error-matching "shapes" "expected the shape" (measure (tensor-zeros '(8 8)) truth))
     (test-error-matching "a truth of zeros" "values above 0" (measure truth (tensor-zeros '(2 7 7))))
     (test-error-matching "no tensor" "image: expected an image" (measure 3 truth))
     (test-error-matching "not finite" "image: expected finite" (measure (tensor/ truth 0) truth)))
   (list nmse fastmri-psnr fastmri-ssim))
  (test-error-matching "too small" "7 x 7 pixels or more" (fastmri-ssim (tensor-abs (random-normal '(5 9) 1)) (tensor-abs (random-normal '(5 9) 1)))))

(finish-tests)
