;;; plug-and-play.scm -- point estimates with a learned denoiser: PnP-ADMM and RED.
;;;
;;; Both take the denoiser D(x, sigma) = x + sigma^2 r(x, sigma) of a score network for the prior,
;;; and end in one image, where a sampler ends in many.  What they denoise has errors, but little
;;; noise, and of an image with less noise than sigma no network has seen any: there its errors
;;; grow from step to step.  So each step adds fresh noise, as the denoiser expects it.

(define-module (tempera method plug-and-play)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample schedules)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor tensors)
  #:export (pnp-admm red))

(define (check-problem procedure op y noise weight fresh-noise seed)
  (check-measurement procedure op y)
  (check-that (positive-number? noise) procedure "noise: expected a positive number, got ~s" noise)
  (check-that (positive-number? weight) procedure "weight: expected a positive number, got ~s" weight)
  (check-that (and (real? fresh-noise) (<= 0 fresh-noise 1)) procedure
              "fresh-noise: expected a number from 0 to 1, got ~s" fresh-noise)
  (check-seed procedure seed))

(define (denoised prior x sigma fresh-noise seed step)
  ;; D(x + FRESH-NOISE sigma n, sigma) of one image X, n the normal numbers of STEP.
  (let* ((x (tensor-reshape x (cons 1 (tensor-shape x))))
         (n (random-normal (tensor-shape x) seed (random-stream 'denoiser step) (tensor-dtype x))))
    (tensor-reshape (denoise prior (tensor+ x (tensor* (* fresh-noise sigma) n)) sigma)
                    (cdr (tensor-shape x)))))

(define (proximal op y ratio v)
  ;; argmin |A x - Y|^2 + RATIO |x - V|^2, as V and what Y says of it: where nothing was measured
  ;; it is V, however small RATIO.
  (tensor+ v ((normal-inverse op ratio #:measured? #t)
              (apply-adjoint op (tensor- y (apply-forward op v))))))

(define (over-sigmas title sigmas state step)
  ;; STEP of sigma, its number and STATE, a list of tensors, for each of SIGMAS, a vector, in turn.
  (let ((progress (make-progress title (vector-length sigmas))))
    (let loop ((k 0) (state state))
      (if (= k (vector-length sigmas))
          (begin (progress-finish! progress) state)
          (let ((next (with-scope (lambda () (step (vector-ref sigmas k) k state)))))
            (check-that (every tensor-finite? next) title
                        "sigma ~a: the image is not finite any more" (vector-ref sigmas k))
            (progress-update! progress (1+ k))
            (loop (1+ k) next))))))

(define* (pnp-admm prior op y #:key (noise 0.1) (sigmas (log-linear 50 #:until 0.5 #:count 40))
                   (weight 0.25) (fresh-noise 0.7) (seed 42))
  "The image (H W) of plug-and-play ADMM: in turn x = argmin |A x - Y|^2 / (2 NOISE^2) + |x - (z -
u)|^2 / (2 rho^2) with rho^2 = SIGMA^2 / WEIGHT, z = D(x + u + FRESH-NOISE SIGMA n, SIGMA) by the
denoiser of PRIOR, n standard normal, and u + x - z for u, for each of SIGMAS; as these fall the
penalty 1 / (2 rho^2) rises, and u, which is scaled by it, falls (Boyd et al. 2011, section 3.4.1).
With FRESH-NOISE 0 this is ADMM as it was first made; 0.7 is half of the variance the denoiser
expects, and leaves the other half to what is in error.
Source: Venkatakrishnan, Bouman, Wohlberg 2013; falling SIGMAS as Zhang et al. 2021; the noise as
in stochastic denoising regularisation, Renaud et al. 2024.
Example: (pnp-admm prior op y #:noise 0.1)"
  (check-problem 'pnp-admm op y noise weight fresh-noise seed)
  (let* ((sigmas (sequence->vector 'pnp-admm "sigmas" sigmas))
         (b (apply-adjoint op y))
         (likelihood (/ (* noise noise))))
    (first
     (over-sigmas "PnP-ADMM" sigmas (list b (tensor* 0 b) (number->tensor (vector-ref sigmas 0)))
                  (lambda (sigma k state)
                    (let* ((z (first state))
                           (u (tensor* (expt (/ sigma (tensor->number (third state))) 2)
                                       (second state)))
                           (prior-precision (/ weight (* sigma sigma)))
                           (x (proximal op y (/ prior-precision likelihood) (tensor- z u)))
                           (z (denoised prior (tensor+ x u) sigma fresh-noise seed k)))
                      (list z (tensor+ u (tensor- x z)) (number->tensor sigma))))))))

(define* (red prior op y #:key (noise 0.1) (sigmas (log-linear 50 #:until 0.5 #:count 40))
              (weight 0.25) (fresh-noise 0.7) (seed 42))
  "The image (H W) of regularisation by denoising, its fixed points: x = argmin |A x - Y|^2 / (2
NOISE^2) + |x - D(x0 + FRESH-NOISE SIGMA n, SIGMA)|^2 / (2 rho^2) with rho^2 = SIGMA^2 / WEIGHT, from
the x0 before and standard normal n, for each of SIGMAS, by the denoiser D of PRIOR.
Source: Romano, Elad, Milanfar 2017, section 5; the noise as in stochastic denoising
regularisation, Renaud et al. 2024.
Example: (red prior op y #:noise 0.1)"
  (check-problem 'red op y noise weight fresh-noise seed)
  (let* ((sigmas (sequence->vector 'red "sigmas" sigmas))
         (b (apply-adjoint op y)))
    (first
     (over-sigmas "RED" sigmas (list b)
                  (lambda (sigma k state)
                    (let ((ratio (* weight (/ (* noise noise) (* sigma sigma)))))
                      (list (proximal op y ratio (denoised prior (first state) sigma
                                                           fresh-noise seed k)))))))))
