;;; transport.scm -- samplers that take chains from one temperature to the next.
;;;
;;; HMC and Langevin dynamics (samplers.scm) hold a temperature; these move on.  A transition takes x from
;;; the kernel's sigma to its next sigma, one transition a temperature.
;;;
;;; Chains at sigma are to have the density p_sigma (z) L (z) of `posterior', with the prior p_sigma under
;;; noise sigma and the Gaussian likelihood L.  For any t below sigma it is the marginal in z of
;;;
;;;   p_t (x) N (z; x, sigma^2 - t^2) L (z).
;;;
;;; Split Gibbs sampling draws x given z by reverse diffusion, which knows the prior alone, and then z
;;; given x, which is Gaussian, exactly.  With the z of the next sigma that is a step to it.

(define-module (tempera sample transport)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample kernel)
  #:export (probability-flow predictor-corrector reverse-diffusion split-gibbs))

;; Steps are noise taken away: up there is none.
(define (check-falls who kernel)
  (let ((sigma (kernel-sigma kernel)) (next (kernel-next-sigma kernel)))
    (check-that (or (not next) (<= next sigma)) who
                "temperatures: expected ones that do not rise, got ~a after ~a" next sigma)))

;; Draws given the data are of a Gaussian.
(define (check-gaussian who kernel)
  (check-that (target-gaussian-likelihood? (kernel-target kernel)) who
              "target: expected data that are linear in x with Gaussian noise, which this sampler draws by exactly, \
got ~a; take one that asks its score alone, such as (hmc) or (mala)" (kernel-target kernel)))

;;; --- Samplers of Song et al. (2021) -----------------------------------------------

(define* (probability-flow #:key (order 2))
  "The ordinary differential equation dx/dsigma = -sigma score(x, sigma) (Song et al. 2021,
equation 13), from each sigma to the next by Heun's rule, or Euler's if ORDER is 1; the
posterior's score makes it a sampler of the posterior, as far as p_sigma (x | y) is the
posterior under noise, which it is not quite.  Nothing is drawn but the start; one transition a
temperature.  Steps are not fitted to the data's precision: a posterior wants #:widening 1, or x
grows without bounds.
Example: (anneal (posterior prior op y #:widening 1) #:sampler (probability-flow))"
  (check-that (memv order '(1 2)) 'probability-flow "order: expected 1 or 2, got ~s" order)
  (by-chain
   (lambda (kernel state)
     (let* ((sigma (kernel-sigma kernel)) (next (kernel-next-sigma kernel))
            (x (state-x state)) (g (state-score state)))
       (if (not next)
           (values x g #f)
           (let* ((x1 (tensor+ x (tensor* (* sigma (- sigma next)) g))))
             (if (= order 1)
                 (values x1 #f #f)
                 (let ((slope (tensor+ (tensor* sigma g)
                                       (tensor* next (kernel-score kernel x1 next)))))
                   (values (tensor+ x (tensor* (/ (- sigma next) 2) slope)) #f #f)))))))))

(define* (predictor-corrector #:key (snr 0.16) (corrections 1))
  "The predictor-corrector sampler (Song et al. 2021, algorithm 2, variance exploding):
CORRECTIONS Langevin steps at each sigma, of the size 2 (SNR |z| / |score|)^2, then a
reverse diffusion step to the next.  One transition a temperature; at most 62 corrections.  As for
`probability-flow', a posterior wants #:widening 1.
Example: (anneal (posterior prior op y #:widening 1) #:sampler (predictor-corrector))"
  (check-that (positive-number? snr) 'predictor-corrector
              "snr: expected a positive number, got ~s" snr)
  (check-that (and (exact-integer? corrections) (<= 0 corrections 62)) 'predictor-corrector
              "corrections: expected an integer from 0 to 62, got ~s" corrections)
  (define (norms x)
    (let ((squares (vector->list (chains-dot x x))))
      (check-that (every (lambda (square) (not (> square 1e38))) squares) 'predictor-corrector
                  "score: its square is ~a: x has grown without bounds; a posterior wants #:widening 1"
                  (significant (apply max squares) 2))
      (tensor-sqrt (list->tensor squares))))
  (by-chain
   (lambda (kernel state)
     (check-falls 'predictor-corrector kernel)
     (let ((sigma (kernel-sigma kernel)) (next (kernel-next-sigma kernel)) (x (state-x state)))
       (let loop ((x x) (g (state-score state)) (index 0))
         (cond
          ((< index corrections)
           (let* ((z (kernel-normal kernel state index))
                  (root (tensor* snr (tensor/ (norms z) (norms g)))) ; sqrt (step / 2)
                  (shaped (lambda (t) (per-item t x)))
                  (x1 (tensor+ x (tensor+ (tensor* (shaped (tensor* 2 (tensor-square root))) g)
                                          (tensor* (shaped (tensor* 2 root)) z)))))
             (loop x1 (kernel-score kernel x1) (1+ index))))
          ((not next) (values x g #f))
          (else
           (let ((drop (- (* sigma sigma) (* next next))))
             (values (tensor+ x (tensor+ (tensor* drop g)
                                         (tensor* (sqrt drop) (kernel-normal kernel state corrections))))
                     #f #f)))))))))

;;; --- How far the prior leaves x open --------------------------------------------

;; Reverse steps need the variance of x_0 given x.  By Tweedie's formula of second order it is
;; sigma^2 (1 - sigma^2 E r^2) along a direction, with r the score, at no cost (Bao et al. 2022,
;; theorem 1, who take one number for all directions).  Large structures are open where
;; textures are not, so images have a number for each half octave of |k|.

(define bands
  ;; Of centred k-space (H W): tables that are 1 in a half octave of 1 + |k|, else 0, and add up to 1.
  (let ((made (make-hash-table)))
    (lambda (size)
      (or (hash-ref made size)
          (let* ((square (lambda (i n) (expt (- i (quotient n 2)) 2)))
                 (numbers (append-map
                           (lambda (i)
                             (map (lambda (j)
                                    (let ((k (sqrt (+ (square i (first size)) (square j (second size))))))
                                      (max 2 (inexact->exact (round (* 2 (/ (log (+ 1. k)) (log 2))))))))
                                  (iota (second size))))
                           (iota (first size))))
                 (tables (map (lambda (number)
                                (keep-always!
                                 (list->tensor (map (lambda (n) (if (= n number) 1 0)) numbers) size)))
                              (delete-duplicates numbers))))
            (hash-set! made size tables)
            tables)))))

(define (image? x)
  (= 3 (length (tensor-shape x))))

(define (complex? x)
  (eq? (tensor-dtype x) 'c64))

(define (frequencies x)
  (fft2 (if (complex? x) x (tensor+ x (tensor-zeros (tensor-shape x) 'c64)))))

(define (by-band a b combine)
  ;; COMBINE of the sums of A and of B over each band of |k|, for each chain: a table over k.
  (fold (lambda (table sum)
          (let* ((in-band (lambda (product) (tensor-sum (tensor* product table) '(1 2) #t)))
                 (part (tensor* table (combine (in-band a) (in-band b)))))
            (if sum (tensor+ sum part) part)))
        #f (bands (cdr (tensor-shape a)))))

(define (open-share sigma r mass probe)
  "Var (x_0 | x) / SIGMA^2 = 1 - SIGMA^2 E R^2 for the prior's score R at x and SIGMA, from 0 to 1,
for each chain, and of images by frequency.  A direction counts as far as MASS, at SIGMA, leaves
it open, since what was measured has less noise than SIGMA; PROBE, normal numbers of R's shape,
finds out how far that is."
  (let ((share (lambda (power weight)
                 (tensor-minimum 1 (tensor-maximum 0 (tensor- 1 (tensor* (* sigma sigma)
                                                                         (tensor/ power weight))))))))
    (if (image? r)
        (let* ((product (lambda (k v)
                          (tensor-real (tensor* (tensor-conjugate k) (frequencies (mass-velocity mass v))))))
               (n (frequencies probe))
               (phases (tensor/ n (tensor-abs n)))
               ;; Of unit power in each part.
               (white (ifft2 phases)))
          (by-band (product (frequencies r) r)
                   (if (complex? r) (tensor* 2 (product phases white)) (product phases (tensor-real white)))
                   share))
        (let ((dots (lambda (v)
                      (per-item (list->tensor (vector->list (chains-dot v (mass-velocity mass v))))
                                v))))
          (share (dots r) (dots probe))))))

;;; --- Reverse diffusion and exact likelihoods --------------------------------------

(define (coloured share n)
  ;; Noise N of the variance SHARE, as `open-share' has it.
  (let ((root (tensor-sqrt share)))
    (if (image? n) (fourier-filter n root) (tensor* root n))))

(define (no-longer-than-noise r s)
  ;; Score R at noise s, cut to the length of noise where it is longer than chance allows: -s r is the
  ;; noise that is expected in x, and s^2 |r|^2 at most a chi-square of as many degrees as x has numbers, so by four
  ;; standard deviations.  An exact score is hardly ever; a learned one, far from what it was trained on, can
  ;; drive x away, and here nothing is refused.
  (let* ((numbers (* (apply * (cdr (tensor-shape r))) (if (eq? (tensor-dtype r) 'c64) 2 1)))
         (most (/ (+ numbers (* 4 (sqrt (* 2 numbers)))) (* s s)))
         (squares (list->tensor (vector->list (chains-dot r r)))))
    (tensor* (per-item (tensor-sqrt (tensor-minimum 1 (tensor/ most (tensor-maximum 1e-30 squares)))) r)
             r)))

(define (reverse-step x r s t share n)
  ;; x_t given X = x_s, s > t: the mean x + (s^2 - t^2) r is exact, and so is the variance where x_0
  ;; given x is Gaussian, (s^2 - t^2) (t^2 / s^2 + (1 - t^2 / s^2) SHARE).  A share of 0 is
  ;; ancestral sampling (Ho et al. 2020), one of 1 the reverse diffusion of Song et al. (2021).
  (let* ((drop (- (* s s) (* t t))) (kept (/ (* t t) (* s s))))
    (tensor+ (tensor+ x (tensor* drop r))
             (coloured (tensor* drop (tensor+ kept (tensor* (- 1 kept) share))) n))))

(define* (own-mass target sigma #:optional (width sigma))
  ;; The likelihood's precision at sigma, and 1 / width^2.
  (if (target-prior-alone? target)
      (diagonal-mass (/ (* width width)))
      ((cdr (first (target-masses target))) sigma width)))

(define (stream state index)
  ;; That of `kernel-normal', for momenta: numbers that no normal ones of the transition have.
  (random-stream 'sampler (+ index (* 64 (state-number state)))))

(define (likelihood-draw kernel state x sigma width)
  ;; z ~ N (z; X, width^2) L (z), with L at sigma, exactly: x + M^-1 (g + m), m ~ N (0, M), with M the precision
  ;; of this Gaussian and g the likelihood's score at x: perturb and optimise (Papandreou, Yuille 2010).
  (let* ((target (kernel-target kernel))
         (mass (own-mass target sigma width))
         (m (draw-for state (lambda (x) (mass-draw mass x (kernel-seed kernel) (stream state 63))))))
    (tensor+ x (mass-velocity mass (tensor+ (target-likelihood-score target x sigma) m)))))

(define (reversed kernel state x g levels)
  ;; x at the last of LEVELS, which fall from the kernel's sigma, given X at this, where the
  ;; target's score is G.
  (let* ((target (kernel-target kernel)) (sigma (kernel-sigma kernel)))
    (let loop ((x x) (r (tensor- g (target-likelihood-score target x sigma))) (s sigma)
               (levels levels) (index 0))
      (let* ((r (no-longer-than-noise r s))
             (n (kernel-normal kernel state index))
             (share (open-share s r (own-mass target sigma)
                                (kernel-normal kernel state (1+ index))))
             (x (reverse-step x r s (first levels) share n)))
        (if (null? (cdr levels))
            x
            (loop x (kernel-prior-score kernel x (first levels)) (first levels) (cdr levels)
                  (+ index 2)))))))

(define (moved kernel state x g levels)
  ;; From X, where the score is G, to the next sigma, or at the last to the same one.
  (let* ((next (or (kernel-next-sigma kernel) (kernel-sigma kernel)))
         (x (reversed kernel state x g levels))
         (width (sqrt (- (* next next) (* (last levels) (last levels))))))
    (if (zero? width) x (likelihood-draw kernel state x next width))))

(define (corrected kernel state corrections)
  ;; x and its score after CORRECTIONS steps of Langevin dynamics from STATE.
  (let ((h (kernel-step-size kernel)) (mass (kernel-mass kernel)))
    (let loop ((x (state-x state)) (g (state-score state)) (k 0))
      (if (= k corrections)
          (values x g)
          (let* ((m (draw-for state (lambda (x) (mass-draw mass x (kernel-seed kernel) (stream state (+ 2 k))))))
                 (x (tensor+ x (mass-velocity mass (tensor+ (tensor* (/ (* h h) 2) g) (tensor* h m))))))
            (loop x (kernel-score kernel x) (1+ k)))))))

(define* (split-gibbs #:key (steps 1) (ratio 0.6))
  "The split Gibbs sampler (Vono et al. 2019; with diffusion priors Coeurdoux et al. 2024, Wu et al.
2024): at each sigma a draw of x from the prior given z = x + sigma n, by STEPS steps of the reverse
diffusion, from sigma by RATIO each and the last to 0, one evaluation a step; then a draw of z at the
next sigma given x and the data, exactly.  One transition a temperature.
Example: (anneal (posterior prior op y) #:sampler (split-gibbs))"
  (check-that (and (exact-integer? steps) (<= 1 steps 31)) 'split-gibbs
              "steps: expected an integer from 1 to 31, got ~s" steps)
  (check-that (and (positive-number? ratio) (< ratio 1)) 'split-gibbs
              "ratio: expected a number between 0 and 1, got ~s" ratio)
  (by-chain
   (lambda (kernel state)
     (check-falls 'split-gibbs kernel)
     (check-gaussian 'split-gibbs kernel)
     (let ((levels (map (lambda (i) (if (= i steps) 0 (* (kernel-sigma kernel) (expt ratio i))))
                        (iota steps 1))))
       (values (moved kernel state (state-x state) (state-score state) levels) #f #f)))))

(define* (reverse-diffusion #:key (corrections 0) (depth 0.7))
  "Reverse diffusion with the exact likelihood: at each sigma CORRECTIONS steps of Langevin dynamics
with the target's mass and #:step-size, one evaluation each, then a reverse step to DEPTH times
the next sigma, and from there to the next a draw given the data, exactly; with a DEPTH of 0
`split-gibbs' with one step.  A prior alone has no data: its steps end at the next sigma.  One transition a
temperature.
Example: (anneal (prior-target prior) #:sampler (reverse-diffusion))"
  (check-that (and (exact-integer? corrections) (<= 0 corrections 30)) 'reverse-diffusion
              "corrections: expected an integer from 0 to 30, got ~s" corrections)
  (check-that (and (real? depth) (<= 0 depth) (< depth 1)) 'reverse-diffusion
              "depth: expected a number from 0 up to 1, got ~s" depth)
  (by-chain
   (lambda (kernel state)
     (let* ((sigma (kernel-sigma kernel)) (next (kernel-next-sigma kernel))
            (data? (not (target-prior-alone? (kernel-target kernel)))))
       (check-falls 'reverse-diffusion kernel)
       (check-gaussian 'reverse-diffusion kernel)
       (let-values (((x g) (corrected kernel state corrections)))
         (if (or data? next)
             (values (moved kernel state x g (list (* (if data? depth 1) (or next sigma)))) #f #f)
             (values x g #f)))))))
