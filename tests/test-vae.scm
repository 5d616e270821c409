;;; test-vae.scm -- the variational auto-encoder: its bound, its posterior, its files.
;;;
;;; Without channels it is linear and Gaussian, and all that is asked of it is known exactly.

(use-modules (harness) (tempera) (tempera problem masses) (srfi srfi-1) (srfi srfi-11))

(start-tests "vae")

(define net (vae #:size 16 #:latent 3 #:channels '(4 8) #:noise 2 #:seed 3))
(define images (random-normal '(4 16 16 2) 5))

(test-assert "print" (string-prefix? "#<vae of 16 x 16, latent 3, channels (4 8), " (format #f "~a" net)))
(test-assert "a network" (and (vae? net) (network? net) (not (score-network? net))))
(test-equal "reconstructions" '(4 16 16 2) (tensor-shape (net images)))
(let-values (((mean log-sd) (vae-encode net images)))
  (test-equal "q" '((4 3) (4 3)) (map tensor-shape (list mean log-sd)))
  (test-assert "its mean, decoded" (tensor-identical? (net images) (vae-decode net mean))))
(test-approximate "its noise" 2 (vae-noise net) 1e-5)
(test-assert "samples of the prior"
  (let ((a (vae-sample net 3 #:seed 1)))
    (and (equal? '(3 16 16) (tensor-shape a))
         (tensor-identical? a (vae-sample net 3 #:seed 1))
         (not (tensor-identical? a (vae-sample net 3 #:seed 2))))))

;;; --- A linear one, known exactly -----------------------------------------------------

;; G(z) = W^T z with rows of W apart from each other, of squares 5 and 3 (times S^2), so that the
;; exact p(z | x) is diagonal, and the encoder can have it.
(define s 2.)
(define linear (vae #:size 4 #:latent 2 #:channels '() #:noise s))
(define (parameter name) (assoc-ref (layer-parameters linear) name))
(define intensity 30.)
(define rows
  ;; Orthogonal: each number of an image belongs to one.
  (let ((numbers (iota 32)))
    (list (map (lambda (k) (if (even? k) (* s (sqrt (/ 5 16))) 0)) numbers)
          (map (lambda (k) (if (odd? k) (* s (sqrt (/ 3 16)) (if (< k 12) -1 1)) 0)) numbers))))
(define w (list->tensor (concatenate rows) '(2 32)))
(define squares '(5 3))                 ; of the rows, in units of s^2
(tensor-assign! (parameter "enter.weights") (tensor* (/ intensity) w))
;; q: variance 1 / (1 + square), mean variance W x / s^2; what enters is x / intensity.
(tensor-assign! (parameter "mean.weights")
                (tensor-transpose
                 (tensor* (list->tensor (map (lambda (square) (/ intensity (* s s (+ 1 square)))) squares)
                                        '(2 1))
                          w)
                 '(1 0)))
(tensor-assign! (parameter "log-sd.weights") 0)
(tensor-assign! (parameter "log-sd.bias")
                (list->tensor (map (lambda (square) (/ (log (+ 1 square)) -2)) squares)))

(define (dot a b) (apply + (map * (tensor->list a) (tensor->list b))))
(define x (tensor+ (matrix-product (list->tensor '(0.7 -1.2) '(1 2)) w)
                   (tensor* s (random-normal '(1 32) 4))))
(define (row k) (tensor-slice w 0 k (1+ k)))

;; log N(x; 0, W^T W + s^2) by the determinant lemma and Woodbury's identity, for orthogonal rows.
(define log-p
  (* -1/2 (+ (* 32 (log (* 8 (atan 1) s s)))
             (apply + (map (lambda (square) (log (+ 1 square))) squares))
             (/ (- (dot x x)
                   (apply + (map (lambda (k square)
                                   (/ (expt (dot x (row k)) 2) (* s s (+ 1 square))))
                                 '(0 1) squares)))
                (* s s)))))
(define (bounds count seed)
  (tensor->list (vae-bound linear (tensor-reshape (tensor-copy (tensor-broadcast x (list count 32)))
                                                  (list count 4 4 2))
                           #:seed seed)))
(define (mean-and-error values)
  (let* ((n (length values)) (mean (/ (apply + values) n)))
    (values* mean (sqrt (/ (apply + (map (lambda (v) (expt (- v mean) 2)) values)) (* n (1- n)))))))
(define (values* . them) (apply values them))

;; With the exact posterior for q the bound is log p(x), on average over z.
(let-values (((mean error) (mean-and-error (bounds 20000 1))))
  (test-approximate "the bound of the exact posterior" log-p mean (* 4 error))
  (test-assert "a sharp test" (< error 0.02)))
;; With another q it is less by the divergence: here of a mean that is off by D standard deviations.
(let ((bias (parameter "mean.bias")) (d 1.5))
  (tensor-assign! bias (list->tensor (list (* d (sqrt 1/6)) 0)))
  (let-values (((mean error) (mean-and-error (bounds 20000 2))))
    (test-approximate "the bound of another" (- log-p (/ (* d d) 2)) mean (* 4 error)))
  (tensor-assign! bias 0))
(test-assert "the loss is the bound for each number"
  (let ((image (tensor-reshape x '(1 4 4 2))))
    (< (abs (+ (/ (tensor-ref (vae-bound linear image #:stream 7) 0) 32)
               (tensor-ref (vae-loss linear image 7) 0)))
       1e-5)))

;;; --- Inference -----------------------------------------------------------------------

;; The score of p(z | y) is the gradient of its log density, whatever G is.
(define (log-density network op y noise sigma)
  ;; Of one z; for a mask s^2 A A^H is s^2 where something is measured.
  (lambda (z)
    (let* ((k-space (apply-forward op (tensor-reshape (complex-view (vae-decode network z))
                                                      (tensor-shape y))))
           (residual (tensor->number (tensor-sum-squares (tensor- y k-space)))))
      (* -1/2 (+ (tensor->number (tensor-sum-squares z))
                 (/ residual (+ (expt (vae-noise network) 2) (* noise noise) (* sigma sigma))))))))
(let* ((op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
       (truth (tensor-reshape (vae-sample net 1 #:seed 8) '(16 16)))
       (y (measure op truth #:noise 20 #:seed 2))
       (target (vae-target net op y #:noise 20))
       (z (list->tensor '(0.3 -0.8 0.5  1 0.8 -0.6) '(2 3)))
       (sigma 15) (h 2e-3)           ; so much noise that the prior counts too
       (density (log-density net op y 20 sigma))
       (score (target-score target z sigma))
       (moved (lambda (k by)
                (let ((moved (tensor-copy (tensor-slice z 0 1 2))))
                  (tensor-set! moved (+ by (tensor-ref moved 0 k)) 0 k)
                  (density moved)))))
  (test-equal "of both chains" '(2 3) (tensor-shape score))
  (for-each (lambda (k)
              ;; Densities near 500 are rounded to 3e-5: 0.015 in a difference by 2 h.
              (let ((difference (/ (- (moved k h) (moved k (- h))) (* 2 h))))
                (test-approximate (format #f "the score's number ~a" k) difference
                                  (tensor-ref score 1 k) 0.1)))
            '(0 1 2))
  (let ((known (vector->list (target-log-density target z sigma)))
        (by-hand (map (lambda (k) (density (tensor-copy (tensor-slice z 0 k (1+ k))))) '(0 1))))
    ;; Up to what is the same for all z.
    (test-approximate "the log density" (apply - by-hand) (apply - known)
                      (* 1e-5 (abs (first by-hand)))))
  (test-assert "weights are left alone"
    (every (lambda (p) (not (tensor-gradient (cdr p)))) (layer-parameters net))))

;; p(z | y) of the linear one: y = M F (W^T z + s n) + noise n' is normal given z, and so is z.
(define mask (list->tensor '(1 0 1 1)))
(define op (mri-operator #:mask mask))
(define noise 1.5)
(define y (measure op (complex-view (tensor-reshape x '(4 4 2))) #:noise noise #:seed 3))
(define variance (+ (* s s) (* noise noise)))
(define responses                       ; A of each row
  (map (lambda (k) (apply-forward op (complex-view (tensor-reshape (tensor-copy (row k)) '(4 4 2)))))
       '(0 1)))
(define (inner a b) (dot (real-view a) (real-view b)))
(define-values (a b c)                  ; the precision (a b; b c)
  (values (+ 1 (/ (inner (first responses) (first responses)) variance))
          (/ (inner (first responses) (second responses)) variance)
          (+ 1 (/ (inner (second responses) (second responses)) variance))))
(define determinant (- (* a c) (* b b)))
(define covariance (list (/ c determinant) (/ (- b) determinant) (/ a determinant)))
(define exact-mean
  (let ((u (/ (inner (first responses) y) variance)) (v (/ (inner (second responses) y) variance)))
    (list (/ (- (* c u) (* b v)) determinant) (/ (- (* a v) (* b u)) determinant))))
(define target (vae-target linear op y #:noise noise))

;; Where something was measured s outweighs noise of 1e-2 and less, and elsewhere there is nothing for
;; 1 / noise^2 to blow up.
(let* ((z (random-normal (list 3 (vae-latent linear)) 8))
       (score (lambda (noise) (target-score (vae-target linear op y #:noise noise) z 1e-6)))
       (images (lambda (noise) (vae-images linear (measurement op y #:noise noise) z)))
       (near? (lambda (a b) (< (tensor->number (tensor-max (tensor-abs (tensor- a b))))
                               (* 1e-3 (tensor->number (tensor-max (tensor-abs a))))))))
  (test-assert "a score at small noise" (near? (score 1e-2) (score 1e-6)))
  (test-assert "images at small noise" (near? (images 1e-2) (images 1e-6))))
(test-assert "its mass: 1 + square s^2 / (s^2 + noise^2 + sigma^2)"
  (let ((share (/ (* s s) (+ variance 9))))
    (every (lambda (square velocity) (< (abs (- velocity (/ (+ 1 (* share square))))) 1e-5))
           squares
           (tensor->list (mass-velocity ((assq-ref (target-masses target) 'encoder) 3)
                                        (list->tensor '(1 1) '(1 2)))))))
(define (draw chains seed)
  (chain-samples (anneal target #:chains chains #:seed seed #:start (random-normal (list chains 2) seed)
                         #:temperatures (geometric 30 #:ratio 0.6 #:until 0.05)
                         #:transitions-per-temperature 3)))
(let* ((n 4000) (z (draw n 11))
       (numbers (lambda (k) (tensor->list (tensor-slice z 1 k (1+ k)))))
       (mean (lambda (l) (/ (apply + l) (length l))))
       (means (map (lambda (k) (mean (numbers k))) '(0 1)))
       (moment (lambda (i j)
                 (mean (map (lambda (u v) (* (- u (list-ref exact-mean i)) (- v (list-ref exact-mean j))))
                            (numbers i) (numbers j))))))
  ;; Chains are independent: standard errors of n draws of a normal law, four of them.
  (for-each (lambda (k exact variance got)
              (test-approximate (format #f "the posterior mean of number ~a" k) exact got
                                (* 4 (sqrt (/ variance n)))))
            '(0 1) exact-mean (list (first covariance) (third covariance)) means)
  (for-each (lambda (i j exact vi vj)
              (test-approximate (format #f "the posterior covariance of ~a and ~a" i j) exact
                                (moment i j) (* 4 (sqrt (/ (+ (* vi vj) (* exact exact)) n)))))
            '(0 0 1) '(0 1 1) covariance
            (list (first covariance) (first covariance) (third covariance))
            (list (first covariance) (third covariance) (third covariance)))
  (test-assert "a schedule for decoders with bends finds it too"
    (let ((z (chain-samples (apply anneal target #:chains 200 #:start (random-normal '(200 2) 5)
                                   #:temperatures (geometric 30 #:ratio 0.6 #:until 0.05)
                                   latent-schedule))))
      (every (lambda (k exact variance)
               (< (abs (- exact (tensor->number (tensor-mean (tensor-slice z 1 k (1+ k))))))
                  (* 4 (sqrt (/ variance 200)))))
             '(0 1) exact-mean (list (first covariance) (third covariance)))))
  (test-assert "the posterior is not the prior"
    (< (+ (first covariance) (third covariance)) 1.2)))

;; The mean of x given z and y, by hand where something is measured: s^2 / (s^2 + noise^2) of the
;; way from G to y.
(let* ((z (list->tensor '(0.3 -0.4) '(1 2)))
       (g (complex-view (vae-decode linear z)))
       (kept (/ (* s s) (+ (* s s) (* noise noise))))
       (k-space (fft2 g))
       (expected (ifft2 (tensor+ k-space (tensor* kept (tensor* mask (tensor- y k-space)))))))
  (test-assert "images given z and y"
    (> 1e-4 (tensor->number (tensor-max (tensor-abs (tensor- expected
                                                             (vae-images linear (measurement op y #:noise noise) z))))))))

;;; --- Learning --------------------------------------------------------------------------

;; Blobs that move along a line: one number each.
(define (batch count step)
  (let ((place (random-uniform (list count 1 1) 6 step))
        (ramp (tensor/ (list->tensor (iota 16) '(1 1 16)) 16)))
    (real-view-of (tensor* 60 (tensor-exp (tensor* -30 (tensor-square (tensor- ramp place))))))))
(define (real-view-of line)
  (let ((shape (tensor-shape line)))
    (tensor-concatenate
     (list (tensor-reshape (tensor-copy (tensor-broadcast line (list (first shape) 16 16)))
                           (list (first shape) 16 16 1))
           (tensor-zeros (list (first shape) 16 16 1)))
     -1)))
(define* (trainer #:key (steps 150))
  (make-trainer (vae #:size 16 #:latent 3 #:channels '(4 8) #:noise 10 #:seed 3) batch
                #:batch 8 #:steps steps #:rate (constant-rate 1e-2) #:averaging #f #:loss vae-loss))
(define trained (train! (trainer) #:every 50))
(test-assert "it learns"
  (let ((losses (map second (trainer-losses trained))))
    (< (first losses) (- (last losses) 0.5))))
(test-assert "it tells images apart"
  (let* ((x (batch 8 999)) (y ((trainer-network trained) x))
         (error (tensor->number (tensor-sum-squares (tensor- x y))))
         (spread (tensor->number (tensor-sum-squares (tensor- x (tensor-mean x 0 #t))))))
    (< error (* 0.5 spread))))
;; Chains of a decoder with bends, as it is before it learned, come to where the density is: of
;; three numbers log p falls short of its greatest by half a chi-squared with three degrees of
;; freedom, by more than 5.67 with a probability of 1/100.  Of twenty independent chains four and
;; more do with one of 4e-5 (binomial); after fixed steps of 1, sixteen and more.
(let* ((network (vae #:size 16 #:latent 3 #:channels '(4 8) #:noise 10 #:seed 3))
       (op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 4)))
       (x (complex-view (vae-decode network (random-normal '(1 3) 9))))
       (y (measure op (tensor-reshape x '(16 16)) #:noise 1 #:seed 5))
       (target (vae-target network op y #:noise 1))
       (reached (vector->list
                 (target-log-density
                  target
                  (chain-samples (apply anneal target #:chains 20 #:start (random-normal '(20 3) 5)
                                        #:temperatures (geometric 100 #:ratio 0.8 #:until 0.1)
                                        latent-schedule))
                  0)))
       (greatest (apply max reached)))
  (test-assert "chains of a bent decoder are where the density is"
    (<= (count (lambda (l) (< l (- greatest 5.67))) reached) 3)))
;; The loss is log s + r^2 / (2 s^2) of each number, r what is left: its gradient for log s is
;; 1 - r^2 / s^2, and 150 steps that are no longer than 0.01 take s from 10 towards r.
(let* ((network (trainer-network trained))
       (gradient (call-with-values
                     (lambda ()
                       (gradients (lambda () (tensor-mean (vae-loss network (batch 64 998) 7)))
                                  (list (assoc-ref (layer-parameters network) "log-noise"))))
                   (lambda (loss gradients) (tensor->number (first gradients)))))
       (s (vae-noise network))
       (r (* s (sqrt (- 1 gradient)))))
  (test-assert "its noise comes to what is left"
    (and (< s 10) (< (abs (log (/ s r))) (log (/ 10 r))))))

(call-with-temporary-directory
 (lambda (folder)
   (let ((path (string-append folder "/net.safetensors")))
     (save-network path net #:metadata '(("data" . "noise")))
     (let ((loaded (load-network path)))
       (test-assert "through a file, the same bits" (tensor-identical? (net images) (loaded images)))
       (test-approximate "and the noise" 2 (vae-noise loaded) 1e-5))
     (save-safetensors path (layer-parameters net)
                       #:metadata '(("format" . "tempera-vae-1") ("body" . "(1 2")))
     (test-error-matching "a torn body" "body: expected size" (load-network path))
     (let ((half (train! (trainer) #:steps 60 #:checkpoint path)))
       (test-assert "resumed, the same bits"
         (every (lambda (a b) (tensor-identical? (cdr a) (cdr b)))
                (layer-parameters (trainer-network trained))
                (layer-parameters (trainer-network (train! (trainer-resume! (trainer) path))))))))))

(test-error-matching "size" "size: expected a positive integer divisible by 4" (vae #:size 18 #:channels '(2 2)))
(test-error-matching "latent" "latent: expected" (vae #:latent 0))
(test-error-matching "channels" "channels: expected" (vae #:channels '(4 x)))
(test-error-matching "noise" "noise: expected" (vae #:noise 0))
(test-error-matching "other images" "images: expected f32 (N 16 16 2)" (net (tensor-zeros '(1 8 8 2))))
(test-error-matching "other numbers" "z: expected f32 (N 3)" (vae-decode net (tensor-zeros '(1 4))))
(test-error-matching "count" "count: expected" (vae-sample net 0))
(test-error-matching "no vae" "network: expected what" (vae-target car op y))
(test-error-matching "no diagonal" "operator: expected one with a diagonal"
  (vae-target linear (make-operator "a" #:forward identity #:adjoint identity) y))
(test-error-matching "the measurement's noise" "noise: expected" (vae-target linear op y #:noise 0))
(test-error-matching "another size" "y: expected a measurement of 16 x 16" (vae-target net op y))

(finish-tests)
