;;; plug-and-play.scm -- point estimates with a learned denoiser: PnP-ADMM and RED.
;;;
;;; Both take the denoiser D(x, sigma) = x + sigma^2 r(x, sigma) of a score network for the prior,
;;; and end in one image, where a sampler ends in many.

(define-module (tempera plug-and-play)
  #:use-module (srfi srfi-1)
  #:use-module (tempera errors)
  #:use-module (tempera operators)
  #:use-module (tempera primitives)
  #:use-module (tempera progress)
  #:use-module (tempera sampling)
  #:use-module (tempera schedules)
  #:use-module (tempera tensors)
  #:export (pnp-admm red))

(define (check-problem procedure op y noise)
  (check-that (operator? op) procedure "operator: expected one, got ~s" op)
  (check-that (and (tensor? y) (tensor-finite? y)) procedure
              "y: expected finite measurements, got ~s" y)
  (check-that (positive-number? noise) procedure "noise: expected a positive number, got ~s" noise))

(define (denoised prior x sigma)
  ;; Of one image.
  (tensor-reshape (denoise prior (tensor-reshape x (cons 1 (tensor-shape x))) sigma)
                  (tensor-shape x)))

(define (over-sigmas title sigmas state step)
  ;; STEP of sigma and STATE, a list of tensors, for each of SIGMAS, a vector, in turn.
  (let ((progress (make-progress title (vector-length sigmas))))
    (let loop ((k 0) (state state))
      (if (= k (vector-length sigmas))
          (begin (progress-finish! progress) state)
          (let ((next (with-scope (lambda () (step (vector-ref sigmas k) state)))))
            (check-that (every tensor-finite? next) title
                        "sigma ~a: the image is not finite any more" (vector-ref sigmas k))
            (progress-update! progress (1+ k))
            (loop (1+ k) next))))))

(define* (pnp-admm prior op y #:key (noise 0.1) (sigmas (log-linear 50 #:until 0.5 #:count 40))
                   (weight 0.25))
  "The image (H W) of plug-and-play ADMM: in turn x = argmin |A x - Y|^2 / (2 NOISE^2) + |x - (z -
u)|^2 / (2 rho^2) with rho^2 = SIGMA^2 / WEIGHT, z = D(x + u, SIGMA) by the denoiser of PRIOR, and
u + x - z for u, for each of SIGMAS; as these fall the penalty 1 / (2 rho^2) rises, and u, which
is scaled by it, falls (Boyd et al. 2011, section 3.4.1).
Source: Venkatakrishnan, Bouman, Wohlberg 2013; falling SIGMAS as Zhang et al. 2021.
Example: (pnp-admm prior op y #:noise 0.1)"
  (check-problem 'pnp-admm op y noise)
  (check-that (positive-number? weight) 'pnp-admm "weight: expected a positive number, got ~s" weight)
  (let* ((sigmas (sequence->vector 'pnp-admm "sigmas" sigmas))
         (b (apply-adjoint op y))
         (likelihood (/ (* noise noise))))
    (first
     (over-sigmas "PnP-ADMM" sigmas (list b (tensor* 0 b) (number->tensor (vector-ref sigmas 0)))
                  (lambda (sigma state)
                    (let* ((z (first state))
                           (u (tensor* (expt (/ sigma (tensor->number (third state))) 2)
                                       (second state)))
                           (prior-precision (/ weight (* sigma sigma)))
                           (x ((normal-inverse op (/ prior-precision likelihood))
                               (tensor+ b (tensor* (/ prior-precision likelihood)
                                                   (tensor- z u)))))
                           (z (denoised prior (tensor+ x u) sigma)))
                      (list z (tensor+ u (tensor- x z)) (number->tensor sigma))))))))

(define* (red prior op y #:key (noise 0.1) (sigmas (log-linear 10 #:until 0.5 #:count 60))
              (weight 0.25))
  "The image (H W) of regularisation by denoising, its fixed points: x = argmin |A x - Y|^2 / (2
NOISE^2) + |x - D(x0, SIGMA)|^2 / (2 rho^2) with rho^2 = SIGMA^2 / WEIGHT, from the x0 before, for
each of SIGMAS, by the denoiser D of PRIOR.  What it denoises has less noise than SIGMA, and for a
large SIGMA that is what no network has seen: so SIGMAS begin low.
Source: Romano, Elad, Milanfar 2017, section 5.
Example: (red prior op y #:noise 0.1)"
  (check-problem 'red op y noise)
  (check-that (positive-number? weight) 'red "weight: expected a positive number, got ~s" weight)
  (let* ((sigmas (sequence->vector 'red "sigmas" sigmas))
         (b (apply-adjoint op y)))
    (first
     (over-sigmas "RED" sigmas (list b)
                  (lambda (sigma state)
                    (let ((ratio (* weight (/ (* noise noise) (* sigma sigma)))))
                      (list ((normal-inverse op ratio)
                             (tensor+ b (tensor* ratio (denoised prior (first state) sigma)))))))))))
