;;; losses.scm -- the loss of denoising score matching (equation 3), and how much each of its parts counts.
;;;
;;; Weights of sigma and of frequency leave the best score where it is.  They say where a network that
;;; cannot learn the score everywhere should be nearest to it.

(define-module (tempera net losses)
  #:use-module (tempera problem gaussian)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera net bodies)
  #:use-module (tempera net noise-levels)
  #:export (denoising-losses balanced-weight balanced-frequencies))

(define* (denoising-losses scaled x distribution #:key (frequencies #f) (seed 0) (step 0)
                           (part #f))
  "The losses of equation 3 of X, c64 or f32 (N H W), or f32 (N ...), when SCALED is the procedure of noisy
x, f32, and sigma, (N), that gives |sigma| r: two values, the losses, f32 (N), on the tape, and
sigma, drawn from DISTRIBUTION; by frequency errors count as FREQUENCIES says, if not #f (see
`balanced-frequencies').  All that is random is a function of SEED and STEP.  PART: #f, or the first item
and the one past the last, of which alone losses are wanted: they are what they are among all.
Example: (denoising-losses (lambda (x sigma) (scaled-score net x sigma))
                           (random-normal '(2 16 16) 1 0 'c64) (sigma-log-uniform 0.05 150))"
  (check-that (procedure? scaled) 'denoising-losses "scaled: expected a procedure, got ~s" scaled)
  (check-that (tensor? x) 'denoising-losses "x: expected a tensor, got ~s" x)
  (check-that (sigma-distribution? distribution) 'denoising-losses
              "distribution: expected one such as (sigma-log-uniform 0.05 150), got ~s" distribution)
  (check-seed 'denoising-losses seed)
  (let* ((here (lambda (t) (if part (tensor-copy (tensor-slice t 0 (first part) (second part))) t)))
         (all (with-channels x))
         (x (here all))
         (sigma (here (sigma-draw distribution (tensor-size all 0) #:seed seed #:step step)))
         (u (here (random-normal (tensor-shape all) seed (random-stream 'noise step))))
         (noisy (tensor+ x (tensor* (per-item sigma u) u)))
         ;; |w (u + sigma r)|^2 in k-space.
         (w (and frequencies
                 (tensor-sqrt (frequencies (take (cdr (tensor-shape x)) 2) (tensor-abs sigma)))))
         (seen (lambda (t) (if w (fourier-multiply t w) t))))
    (values (dsm-loss (seen (scaled noisy sigma)) (seen u) sigma) sigma)))

;;; --- Weights ----------------------------------------------------------------------------

(define* (balanced-weight #:optional (s 30))
  "The weight sqrt (1 + (sigma / S)^2) of losses at sigma, for #:weight of `make-trainer'.
Images are smooth: under much noise equation 3's loss is small, and what is still to be learned
there hardly counts.  A weight leaves the score that is learned best where it is, and only
says where a network that cannot learn it everywhere should be nearest.
Example: ((balanced-weight 3) 4) => 5/3"
  (check-that (and (real? s) (positive? s)) 'balanced-weight "s: expected a positive number, got ~s" s)
  (described (lambda (sigma) (sqrt (+ 1 (expt (/ sigma s) 2))))
             (format #f "balanced at ~a" s)))

(define* (balanced-frequencies spectrum #:optional (exponent 1/4))
  "The procedure of a size (H W) and |sigma|, f32 (N), that gives the weights w^2, f32 (N H W), by
which errors of the score at a frequency count, for #:frequencies of `make-trainer': in proportion to
(1 + P / sigma^2)^EXPONENT, 1 on average, with the power P of SPECTRUM, (A p c) as for
`power-spectrum-by-size'.  How far an error of the score moves a sample along a direction goes with
the variance that is left there, and large structures have the most; but they are a few coefficients
of many, and equation 3's loss alone does not see them.  As a weight of sigma, this leaves the
score that is learned best where it is.
Example: ((balanced-frequencies '(300 2.5 0.6)) '(64 64) (list->tensor '(10)))"
  (check-that (and (real? exponent) (<= 0 exponent 1)) 'balanced-frequencies
              "exponent: expected a number from 0 to 1, got ~s" exponent)
  (let ((power (power-spectrum-by-size spectrum)))
    (described
     (lambda (size sigma)
       (let* ((ratio (tensor/ (power size) (tensor-square (tensor-reshape sigma '(-1 1 1)))))
              (weights (tensor-exp (tensor* exponent (tensor-log (tensor+ 1 ratio))))))
         (tensor/ weights (tensor-mean weights '(1 2) #t))))
     (format #f "balanced over the spectrum ~a with the exponent ~a" spectrum exponent))))
