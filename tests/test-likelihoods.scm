;;; test-likelihoods.scm -- counts, outliers and magnitudes: posteriors by quadrature, gradients, calibration.

(use-modules (harness) (tempera)
             (tempera problem likelihoods) (tempera base streams)
             (srfi srfi-1))

(start-tests "likelihoods")

(define (values-of t) (tensor->list t))
(define seeing (denoising-operator '(2 2)))
(define (grid . numbers) (list->tensor numbers '(2 2)))
(define counts (grid 3 0 7 1))

;;; --- Scores are gradients -------------------------------------------------------------

(define (worst-gradient likelihood x)
  ;; Along real and imaginary part of each pixel of X, (C ...), by central differences of log densities, which are
  ;; sums in double precision of float32 of size 10: 1e-6 / h.
  (let* ((h 1/64)
         (score (likelihood-score likelihood x))
         (directions (append '(1) (if (eq? 'c64 (tensor-dtype x)) '(0+1i) '()))))
    (apply max
           (append-map
            (lambda (k)
              (map (lambda (part)
                     (let* ((one (tensor+ (tensor* 0 x) (list->tensor (map (lambda (j) (if (= j k) part 0)) (iota 4)) '(1 2 2))))
                            (log-density (lambda (step)
                                           (vector-ref (likelihood-log-density likelihood (tensor+ x (tensor* step one))) 0)))
                            (slope (/ (- (log-density h) (log-density (- h))) (* 2 h)))
                            (s (list-ref (values-of score) k)))
                       (abs (- slope (if (= part 1) (real-part s) (imag-part s))))))
                   directions))
            (iota 4)))))

(define real-images (list->tensor '(2.5 0.7 6.1 1.3) '(1 2 2)))
(define complex-images (list->tensor '(2.5+1i 0.7 -6.1+2i 1.3-0.4i) '(1 2 2)))
(define complex-data (list->tensor '(2+1i 0.5 3-2i 1+4i) '(2 2)))

(for-each
 (lambda (name likelihood x)
   (test-approximate (string-append name ": the score is the log density's gradient") 0 (worst-gradient likelihood x) 5e-3))
 '("Poisson" "Poisson with gain and background" "Poisson, negative rates" "Student t" "Student t, complex"
   "magnitude" "magnitude of real images" "magnitude, u from 0 to 40")
 (list (poisson-likelihood seeing counts)
       (poisson-likelihood seeing counts #:gain (grid 1 2 1 0.5) #:background 0.3)
       (poisson-likelihood seeing counts #:floor 1)
       (student-t-likelihood seeing counts #:scale 1 #:freedom 3)
       (student-t-likelihood seeing complex-data #:scale 1 #:freedom 3)
       (magnitude-likelihood seeing counts #:noise 1)
       (magnitude-likelihood seeing counts #:noise 1 #:dtype 'f32)
       (magnitude-likelihood seeing (grid 3 0.5 7 1) #:noise 1))
 (list real-images real-images (tensor- real-images 2) real-images complex-images complex-images real-images
       (list->tensor '(1.2 1e-4 6 -0.1i) '(1 2 2))))

;;; --- What is known of them ------------------------------------------------------------

;; The mass suffices where rates are plausible, n + 1 and a few sqrt (n + 1): no curvature by differences is above it.
(define (curvatures likelihood z)
  ;; -d score / dz of real z, by central differences.
  (let ((h 1e-2))
    (values-of (tensor/ (tensor- (likelihood-score likelihood (tensor- z h)) (likelihood-score likelihood (tensor+ z h)))
                        (* 2 h)))))
(let* ((n (grid 0 2 20 400))
       (deviation (tensor-sqrt (tensor+ n 1)))
       (likelihood (poisson-likelihood seeing n #:gain 2)))
  (for-each
   (lambda (deviations)
     (test-assert (format #f "Poisson's curvature, ~a deviations off" deviations)
       (every (lambda (curvature most) (<= curvature (* 1.02 most)))
              (curvatures likelihood (tensor-reshape
                                      (tensor* 1/2 (tensor-maximum 0.2 (tensor+ (tensor+ n 1) (tensor* deviations deviation))))
                                      '(1 2 2)))
              (values-of (likelihood-curvature likelihood)))))
   '(-1 0 1)))
(test-assert "Student t's and magnitudes' curvature"
  (every (lambda (likelihood)
           (every (lambda (curvature) (<= curvature (+ 1e-3 (likelihood-curvature likelihood))))
                  (append-map (lambda (z) (curvatures likelihood (tensor* z (tensor+ 1 (tensor-zeros '(1 2 2))))))
                              '(0 0.3 1 2.9 3 6 20))))
         (list (student-t-likelihood seeing counts #:scale 1 #:freedom 3)
               (magnitude-likelihood seeing counts #:noise 1 #:dtype 'f32))))

(define (bessel order u)
  ;; I_order (u), order 0 or 1, by its power series in double precision.
  (let loop ((k 0) (term (if (= order 0) 1. (/ u 2.))) (sum 0))
    (if (> k 200)
        sum
        (loop (1+ k) (/ (* term u u 0.25) (* (+ k 1.) (+ k 1. order))) (+ sum term)))))
(let* ((u '(0 1e-3 0.5 2 3.74 3.76 5 20 80))
       (t (list->tensor u)))
  (test-assert "log I0 to float precision"
    (every (lambda (u got) (< (abs (- got (log (bessel 0 u)))) (* 3e-7 (max 1 (log (bessel 0 u))))))
           u (values-of ((@@ (tempera problem likelihoods) log-bessel) t))))
  (test-approximate "I1 / (u I0) to float precision" 0
    (apply max (map (lambda (u got) (abs (- 1 (/ got (/ (bessel 1 u) u (bessel 0 u))))))
                    (cdr u) (cdr (values-of ((@@ (tempera problem likelihoods) bessel-ratio) t)))))
    1.2e-6))

(test-assert "scores are finite, however negative the rate"
  (every (lambda (s) (and (finite? s) (> s 0)))
         (values-of (likelihood-score (poisson-likelihood seeing counts)
                                      (list->tensor '(-1 -0.5 -1e4 -1e-3) '(1 2 2))))))
(test-assert "a negative rate is held off where nothing was counted: 5 walls off, below e^-12"
  (let ((logs (vector->list (likelihood-log-density (poisson-likelihood (denoising-operator '(1 1)) (list->tensor '(0) '(1 1)))
                                                    (list->tensor '(0 -0.5) '(2 1 1))))))
    (< (- (second logs) (first logs)) -12)))

;;; --- Draws ----------------------------------------------------------------------------

;; A mean of N draws has the error sqrt (variance / N), a variance sqrt ((kurtosis - 1) / N) of itself; four of them.
(define many '(100 100))
(define N 10000)
(define (draws likelihood z) (values-of (likelihood-draw likelihood (tensor+ z (tensor-zeros many (if (real? z) 'f32 'c64)))
                                                         #:seed 3)))
(define everything (denoising-operator many))
(for-each
 (lambda (rate)
   (let* ((counts (draws (poisson-likelihood everything (tensor-zeros many)) rate)) (average (mean counts)))
     (test-approximate (format #f "mean of counts, rate ~a" rate) rate average (* 4 (sqrt (/ rate N))))
     (test-approximate (format #f "variance of counts, rate ~a" rate) 1
       (/ (mean (map (lambda (n) (expt (- n average) 2)) counts)) rate)
       (* 4 (sqrt (/ (+ 2 (/ rate)) N))))))
 '(0.3 4 60 3000))
;; Of Student t the shares beyond a radius: 1.5332 is the 90 % quantile of 4 degrees; in two dimensions
;; P (|t| > r) = (1 + r^2 / freedom)^(-freedom / 2).
(let ((share (lambda (z radius)
               (/ (count (lambda (y) (> (magnitude y) radius))
                         (draws (student-t-likelihood everything (tensor-zeros many (if (real? z) 'f32 'c64))
                                                      #:scale 1 #:freedom 4) z))
                  N 1.))))
  (test-approximate "Student t" 0.2 (share 0 1.5332) (* 4 (sqrt (/ (* 0.2 0.8) N))))
  (test-approximate "Student t, complex" 0.25 (share 0+0.i 2) (* 4 (sqrt (/ (* 0.25 0.75) N)))))
;; E y^2 = z^2 + 2 noise^2, of variance 4 noise^2 (z^2 + noise^2).
(test-approximate "magnitudes" 6 (mean (map (lambda (y) (* y y)) (draws (magnitude-likelihood everything (tensor-zeros many)
                                                                                              #:noise 1) 2+0.i)))
  (* 4 (sqrt (/ 20. N))))

;;; --- Against quadrature ---------------------------------------------------------------

;; One pixel z ~ N (m, s^2), one datum: mean and variance of chains against integrals over a fine grid.
;; Chains are independent: C of them have errors of the mean sqrt (variance / C) and of the variance at most
;; sqrt ((kurtosis - 1) / C) of itself, with the kurtosis by the integral; four of them, and what the last sigma,
;; 0.05, adds, which the integral has too: the prior is blurred by it.
(define pixel (denoising-operator '(1 1)))
(define C 400)
(define last-sigma 0.05)

(define (moments log-density from to)
  ;; Mean, variance and kurtosis of exp LOG-DENSITY, of a real number.
  (let* ((xs (map (lambda (i) (+ from (* (- to from) (/ i 4000.)))) (iota 4001)))
         (logs (map log-density xs)) (top (apply max logs))
         (weights (map (lambda (l) (exp (- l top))) logs)) (total (apply + weights))
         (expected (lambda (f) (/ (apply + (map (lambda (x w) (* w (f x))) xs weights)) total)))
         (center (expected identity))
         (moment (lambda (k) (expected (lambda (x) (expt (- x center) k))))))
    (list center (moment 2) (/ (moment 4) (expt (moment 2) 2)))))

(define* (agrees? name likelihood m s log-likelihood from to #:key (ratio 0.8))
  (let* ((prior (gaussian-mixture-prior (list->tensor (list m) '(1 1 1)) #:sd s))
         (chain (anneal (posterior prior likelihood) #:chains C #:seed 5
                        #:temperatures (geometric 5 #:ratio ratio #:until last-sigma)))
         (xs (values-of (chain-samples chain)))
         (exact (moments (lambda (x) (+ (log-likelihood x) (/ (expt (- x m) 2) -2 (+ (* s s) (* last-sigma last-sigma)))))
                         from to))
         (average (mean xs)))
    (test-approximate (string-append name ": mean by quadrature") (first exact) average
      (* 4 (sqrt (/ (second exact) C))))
    (test-approximate (string-append name ": variance by quadrature") 1
      (/ (mean (map (lambda (x) (expt (- x average) 2)) xs)) (second exact))
      (* 4 (sqrt (/ (- (third exact) 1) C))))))

(define (one y) (list->tensor (list y) '(1 1)))
;; Rates below the floor, 0.1, have a share under 1 % here, but for the one where nothing is counted: that one is exact
;; with the wall as it is documented.
(agrees? "Poisson, 9 counted" (poisson-likelihood pixel (one 9) #:gain 2 #:background 1) 3 2
         (lambda (z) (let ((rate (+ 1 (* 2 z)))) (if (> rate 0) (- (* 9 (log rate)) rate) -1e3))) -1 15)
(agrees? "Poisson, nothing counted" (poisson-likelihood pixel (one 0) #:floor 0.5) 1 2
         (lambda (z) (- (+ z (if (< z 0.5) (* 1/2 (expt (- (/ z 0.5) 1) 2)) 0)))) -4 12)
;; Chains begin at the outlier, and time is what takes them from there.
(agrees? "Student t, an outlier" (student-t-likelihood pixel (one 4) #:scale 0.7 #:freedom 2) 0 1
         (lambda (z) (* -3/2 (log (+ 1 (/ (expt (- 4 z) 2) 2 0.49))))) -8 10 #:ratio 0.96)
(agrees? "magnitude" (magnitude-likelihood pixel (one 2) #:noise 0.8 #:dtype 'f32) 0.5 2
         (lambda (z) (let ((u (/ (* 2 (abs z)) 0.64))) (+ (/ (* z z) -1.28) (log (bessel 0 u))))) -9 9)

;;; --- Against a long chain -----------------------------------------------------------------

;; Four pixels that a blur couples, z ~ N (3, 2^2) each.  Their moments by the true density, with the prior blurred by the last sigma, are of 2e7 steps
;; of Metropolis's algorithm in double precision, whose own errors are below a hundredth of those that C chains have.
(define four (blur-operator (list->tensor '(0.1 0.2 0.3 0.4) '(2 2)) '(2 2)))

(define* (agrees-with-chain? name likelihood means variances kurtosis ratio)
  (let* ((prior (gaussian-mixture-prior (tensor+ 3 (tensor-zeros '(1 2 2))) #:sd 2))
         (x (chain-samples (anneal (posterior prior likelihood) #:chains C #:seed 8
                                   #:temperatures (geometric 5 #:ratio ratio #:until last-sigma))))
         (average (tensor-mean x 0))
         (variance (tensor/ (tensor-sum-squares (tensor- x average) 0) (1- C))))
    (for-each (lambda (k mean-of-chain variance-of-chain average variance)
                (test-approximate (format #f "~a: mean of pixel ~a by a long chain" name k) mean-of-chain average
                  (* 4 (sqrt (/ variance-of-chain C))))
                (test-approximate (format #f "~a: variance of pixel ~a by a long chain" name k) 1 (/ variance variance-of-chain)
                  (* 4 (sqrt (/ (- kurtosis 1) C)))))
              '(1 2 3 4) means variances (values-of average) (values-of variance))))

(agrees-with-chain? "Poisson" (poisson-likelihood four (grid 9 2 4 12) #:gain 2 #:background 1)
                    '(2.5593 2.5746 3.4015 3.4232) '(2.8323 3.1317 3.0445 2.7819) 3.01 0.8)
(agrees-with-chain? "Student t" (student-t-likelihood four (grid 9 2 1 4) #:scale 0.7 #:freedom 2)
                    '(2.3131 2.7340 2.5433 2.9611) '(3.5239 2.9354 3.7117 3.3864) 3.11 0.9)

;;; --- Calibration ----------------------------------------------------------------------

(define spectrum (power-spectrum '(8 8) #:amplitude 30 #:exponent 3))
(define field (gaussian-prior spectrum #:dtype 'f32))
(define blur (blur-operator (gaussian-kernel 0.6 #:size 3) '(8 8)))

(define (calibrated name likelihood-of zero)
  ;; The ranks of the truth among draws of posteriors, by simulation.
  (let* ((template (likelihood-of zero))
         (model (make-model field blur
                            #:measure (lambda (x seed) (likelihood-draw template x #:seed seed))
                            #:sample (lambda (y count seed)
                                       (chain-samples (anneal (posterior field (likelihood-of y)) #:chains count #:seed seed
                                                              #:temperatures (geometric 20 #:ratio 0.8 #:until 0.08))))))
         (tests (sbc (simulate model 48 #:draws 15 #:seed 2)
                     #:quantities
                     (append
                      (map (lambda (k) (cons (format #f "projection ~a" k) (projection-quantity '(8 8) 'f32 k))) '(0 1))
                      (list (cons "squared norm" squared-norm-quantity)
                            (cons "log likelihood"
                                  (lambda (batch y) (vector->list (likelihood-log-density (likelihood-of y) batch)))))))))
    (for-each (lambda (test)
                (test-assert (format #f "~a: ~a is calibrated, p ~a" name (rank-test-name test)
                                     (significant (rank-test-p test) 2))
                  (> (rank-test-p test) 0.01)))
              tests)))
(calibrated "Poisson" (lambda (y) (poisson-likelihood blur y #:background 40)) (tensor-zeros '(8 8)))
(calibrated "Student t" (lambda (y) (student-t-likelihood blur y #:scale 1 #:freedom 3)) (tensor-zeros '(8 8)))

;;; --- Complex images -------------------------------------------------------------------

;; Outliers in k-space where the field has little power: a posterior that expects them is nearer to the truth than one that
;; does not.  Chains begin at them, and cool slowly.
(let* ((field (gaussian-prior (power-spectrum '(16 12) #:amplitude 30 #:exponent 3)))
       (mask (random-mask 12 #:acceleration 2 #:seed 1))
       (op (mri-operator #:mask mask))
       (scan (tensor-reshape (prior-draw field 1 #:seed 1) '(16 12)))
       (outliers (tensor* mask (tensor-tabulate '(16 12) (lambda (i j) (if (and (< i 3) (zero? (modulo (+ i j) 3))) 30 0)))))
       (clean (likelihood-draw (student-t-likelihood op (measure op scan) #:scale 0.3 #:freedom 3) scan #:seed 4))
       (y (tensor+ clean outliers))
       (error-of (lambda (target)
                   (tensor->number
                    (tensor-sum-squares
                     (apply-forward op (tensor- scan (chain-mean (anneal target #:chains 8 #:seed 1
                                                       #:temperatures (geometric 20 #:ratio 0.9 #:until 0.2))))))))))
  (test-assert "the mask of k-space holds for draws"
    (zero? (tensor->number (tensor-sum-squares (tensor* (tensor- 1 mask) y)))))
  (let ((expected (error-of (posterior field (student-t-likelihood op y #:scale 0.3 #:freedom 3))))
        (not-expected (error-of (posterior field op y #:noise 0.3))))
    (test-assert (format #f "outliers: ~a against ~a" expected not-expected) (< (* 4 expected) not-expected))))

;;; --- Bad input ------------------------------------------------------------------------

(test-error-matching "negative counts" "poisson-likelihood: y: expected counts of 0 or more, got -2"
                     (poisson-likelihood seeing (grid 1 -2 0 0)))
(test-error-matching "half counts" "y: expected counts, whole numbers, got 0.5" (poisson-likelihood seeing (grid 1 0.5 0 0)))
(test-error-matching "NaN" "poisson-likelihood: y: 1 of its 4 numbers are NaN or infinite" (poisson-likelihood seeing (grid 1 +nan.0 0 0)))
(test-error-matching "complex counts" "y: expected counts, real numbers" (poisson-likelihood seeing complex-data))
(test-error-matching "a list" "y: expected counts, real numbers" (poisson-likelihood seeing '(1 2 3 4)))
(test-error-matching "another shape" "y: expected (2 2)" (poisson-likelihood seeing (tensor-zeros '(2 3))))
(test-error-matching "no gain" "gain: expected a positive number, or a map of them of shape (2 2), got 0"
                     (poisson-likelihood seeing counts #:gain 0))
(test-error-matching "a gain of another shape" "gain: expected a positive number, or a map of them of shape (2 2)"
                     (poisson-likelihood seeing counts #:gain (tensor+ 1 (tensor-zeros '(3)))))
(test-error-matching "negative background" "background: expected a number of 0 or more" (poisson-likelihood seeing counts #:background -1))
(test-error-matching "no floor" "floor: expected a positive number" (poisson-likelihood seeing counts #:floor 0))
(test-error-matching "complex images" "x: expected real images" (likelihood-score (poisson-likelihood seeing counts) complex-images))
(test-error-matching "counts of negative rates" "A x: expected rates of 0 or more, got -1"
                     (likelihood-draw (poisson-likelihood seeing counts) (grid 1 -1 0 0)))
(test-error-matching "no scale" "scale: expected a positive number" (student-t-likelihood seeing counts #:scale 0))
(test-error-matching "no freedom" "freedom: expected a positive number of degrees" (student-t-likelihood seeing counts #:freedom -1))
(test-error-matching "infinite data" "student-t-likelihood: y: 1 of its 4" (student-t-likelihood seeing (grid 1 +inf.0 0 0)))
(test-error-matching "negative magnitudes" "y: expected magnitudes of 0 or more, got -2" (magnitude-likelihood seeing (grid 1 -2 0 0)))
(test-error-matching "complex magnitudes" "y: expected magnitudes, real numbers" (magnitude-likelihood seeing complex-data))
(test-error-matching "no noise" "noise: expected a positive number" (magnitude-likelihood seeing counts #:noise 0))
(test-error-matching "another dtype" "dtype: expected f32 or c64" (magnitude-likelihood seeing counts #:dtype 'f64))
(test-error-matching "no score" "score: expected a procedure of z" (make-likelihood "own" seeing counts #:score 1 #:curvature 1))
(test-error-matching "a score that is not finite" "score: expected finite numbers, f32 (1 2 2) as z is"
                     (make-likelihood "own" seeing counts #:curvature 1 #:score (lambda (z) (tensor/ 1 (tensor* 0 z)))))
(test-error-matching "negative curvature" "curvature: expected a positive number"
                     (make-likelihood "own" seeing counts #:curvature -1 #:score tensor-negate))
(let* ((real (gaussian-prior (power-spectrum '(2 2)) #:dtype 'f32))
       (likelihood (poisson-likelihood seeing counts))
       (own (make-likelihood "own" seeing counts #:curvature 1 #:score tensor-negate)))
  (test-error-matching "one's own cannot be drawn from" "cannot be drawn from" (likelihood-draw own counts))
  (test-error-matching "nor has it a density" "has no log density" (likelihood-log-density own real-images))
  (test-equal "so its posterior has none" #f ((@@ (tempera problem targets) %target-log-density) (posterior real own)))
  (test-error-matching "widening" "widening: expected 0 beside #<Poisson likelihood" (posterior real likelihood #:widening 1))
  (test-error-matching "noise beside it" "noise: expected none beside #<Poisson likelihood" (posterior real likelihood #:noise 1))
  (test-error-matching "data beside it" "y: expected none beside #<Poisson likelihood" (posterior real likelihood counts))
  (test-error-matching "a complex prior" "prior: expected one over f32 images"
                       (posterior (gaussian-prior (power-spectrum '(2 2))) likelihood))
  (for-each (lambda (sampler)
              (test-error-matching "samplers that need linear data" "target: expected data that are linear in x with Gaussian noise"
                                   (anneal (posterior real likelihood) #:sampler sampler #:temperatures '(3 2 1))))
            (list (split-gibbs) (reverse-diffusion)))
  (test-error-matching "what takes a measurement" "expected one and its data, or a measurement, got #<Poisson likelihood"
                       (total-variation likelihood)))

(finish-tests)
