;;; test-real-images.scm -- real and colour images, and intensity scales other than MRI's, from prior to picture.

(use-modules (harness) (tempera)
             (tempera problem priors)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "real images")

(define spectrum (power-spectrum '(8 10) #:amplitude 30 #:exponent 3))
(define field (gaussian-prior spectrum #:dtype 'f32))
(define (as-complex x) (tensor+ x (tensor-zeros (tensor-shape x) 'c64)))

;;; --- Gaussian fields ------------------------------------------------------------------

;; Of N draws the mean power of a coefficient has an error of sqrt (2 / N) of itself at most, of 80 of them together
;; sqrt (2 / 80 N); four of them.
(let ((draws (prior-draw field 400 #:seed 3)))
  (test-equal "real draws" 'f32 (tensor-dtype draws))
  (test-approximate "their power" 1 (tensor->number (tensor-mean (tensor/ (power-spectrum-of draws) spectrum)))
                    (* 4 (sqrt (/ 2 80 400)))))
;; Along a random direction; rounding of log densities, 1e-7 of 200, over 2 h.
(let* ((x (random-normal '(1 8 10) 4)) (d (random-normal '(1 8 10) 5)) (h 1/16)
       (log-density (lambda (step) (vector-ref (log-density field (tensor+ x (tensor* step d)) 0.5) 0))))
  (test-approximate "the score is the log density's gradient"
    (/ (- (log-density h) (log-density (- h))) (* 2 h))
    (tensor->number (tensor-sum (tensor* d (score field x 0.5)))) 1e-2))
;; One pixel is a normal number.
(let ((x (list->tensor '(1.5) '(1 1 1))))
  (test-approximate "the log density itself" (- (/ (* 1.5 1.5) -8) (* 1/2 (log (* 8 3.14159265 4/4))))
    (vector-ref (log-density (gaussian-prior (list->tensor '(3) '(1 1)) #:dtype 'f32) x 1) 0) 1e-5))
(test-error-matching "a spectrum of no real image" "spectrum: expected that of real images"
                     (gaussian-prior (list->tensor '(1 2 3) '(1 3)) #:dtype 'f32))
(test-error-matching "dtype" "dtype: expected c64 or f32" (gaussian-prior spectrum #:dtype 'f64))

;;; --- Posteriors -----------------------------------------------------------------------

;; Against the exact posterior, as in test-targets.scm: of 80 coefficients over 32 chains the variance has an error of sqrt (2 / 31 / 40),
;; the mean's square over its variance sqrt (2 / 40); four of them, and 4 % of variance, which 1,500 evaluations may leave.
(let* ((blur (blur-operator (gaussian-kernel 0.8 #:size 5) '(8 10)))
       (truth (tensor-reshape (prior-draw field 1 #:seed 1) '(8 10)))
       (y (measure blur truth #:noise 0.3 #:seed 2)))
  (test-equal "real data" 'f32 (tensor-dtype y))
  (test-equal "the mass is known by frequency" '(fourier normal) (map car (target-masses (posterior field blur y #:noise 0.3))))
  (let-values (((mean variance) (gaussian-posterior spectrum blur y #:noise 0.3 #:sigma 0.05)))
    (test-equal "the exact mean is real" 'f32 (tensor-dtype mean))
    (for-each
     (lambda (name . settings)
       (let* ((chain (apply anneal (posterior field blur y #:noise 0.3) #:chains 32 #:seed 5
                            #:temperatures (geometric 20 #:ratio 0.9 #:until 0.05) settings))
              (x (chain-samples chain))
              (power (lambda (t) (tensor-square (tensor-abs (fft2 (as-complex t))))))
              (spread (tensor/ (tensor-sum (power (tensor- x (tensor-mean x 0 #t))) 0) (tensor* 31 variance)))
              (off (tensor/ (power (tensor- (chain-mean chain) mean)) (tensor/ variance 32))))
         (test-equal (string-append name ": real samples") 'f32 (tensor-dtype x))
         (test-approximate (string-append name ": variance") 1 (tensor->number (tensor-mean spread)) (+ 0.04 (* 4 (sqrt (/ 2 31 40)))))
         (test-approximate (string-append name ": mean") 1 (tensor->number (tensor-mean off)) (* 4 (sqrt (/ 2. 40))))
         (test-assert (string-append name ": evaluations") (<= (chain-evaluations chain) 1500))))
     '("HMC" "HMC, without a matrix" "split Gibbs" "reverse diffusion")
     '(#:sampler #:mass #:sampler #:sampler)
     (list (hmc) 'normal (split-gibbs) (reverse-diffusion)))))
(test-error-matching "a complex prior of real data" "prior: expected one over f32 images"
  (posterior (gaussian-prior spectrum) (denoising-operator '(8 10)) (tensor-zeros '(8 10))))

;;; --- Networks -------------------------------------------------------------------------

(define (small channels)
  (score-network `(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 1 #:image-channels ,channels)))
(define grey (small 1))
(define colour (small 3))
(for-each
 (lambda (network shape)
   (let* ((x (random-normal (cons 2 shape) 1))
          (r (score network x 0.7)))
     (test-equal (format #f "scores of ~a" shape) (cons 2 shape) (tensor-shape r))
     (test-equal "are real" 'f32 (tensor-dtype r))
     (test-assert "a slope by the tape is that by differences"
       (let-values (((score slopes) (score-and-slope network x 0.7 x)))
         (let* ((h 1/32)
                (difference (tensor/ (tensor- (network (tensor* (+ 1 h) x) 0.7) (network (tensor* (- 1 h) x) 0.7)) (* 2 h)))
                (slope (tensor->number (tensor-sum (tensor* (tensor-slice x 0 0 1) (tensor-slice difference 0 0 1))))))
           (< (abs (- slope (vector-ref slopes 0))) (* 0.02 (abs slope))))))
     (let* ((trainer (make-trainer network (lambda (count step) (random-normal (cons count shape) step)) #:batch 4
                                   #:sigma (sigma-log-uniform 0.1 10)))
            (loss (denoising-losses (lambda (x sigma) (scaled-score network x sigma)) x (sigma-log-uniform 0.1 10))))
       (test-equal "a loss for each" '(2) (tensor-shape loss))
       (train! trainer #:steps 3)
       (test-equal "trains" 3 (trainer-step trainer)))
     (let ((chain (anneal (prior-target network #:shape shape) #:chains 2 #:temperatures '(3 2 1))))
       (test-equal "sampled" (cons 2 shape) (tensor-shape (chain-samples chain)))
       (test-equal "as real images" 'f32 (tensor-dtype (chain-samples chain)))
       (test-assert "and seen" (pair? (filter panel? (view chain)))))))
 (list grey colour) '((8 12) (8 12 3)))
(test-equal "whose images" '(f32 f32 c64 #f)
            (map image-dtype (list grey colour (score-network '(drunet #:channels (2 4) #:blocks 1)) (score-network '(moons-mlp)))))
(test-error-matching "a grey prior of complex data" "prior: expected one over c64 images, as y by the operator has them"
  (posterior grey (denoising-operator '(8 8)) (tensor-zeros '(8 8) 'c64)))
(test-error-matching "no channels" "image-channels" (small 0))
(for-each (lambda (body)
            (test-equal (format #f "~a in colour" (car body)) '(1 8 8 3)
                        (tensor-shape (score (score-network body) (random-normal '(1 8 8 3) 1) 1))))
          '((edm-unet #:width 8 #:multipliers (1 2) #:blocks 1 #:attention () #:image-channels 3)
            (edm-unet #:width 8 #:multipliers (1 2) #:blocks 1 #:attention () #:unshuffle 2 #:image-channels 3)
            (drunet #:channels (4 8) #:blocks 1 #:image-channels 3)))

;;; --- Intensity scales -----------------------------------------------------------------

(test-equal "what does not say" '(#f 150) (list (prior-scale grey) (white-level grey)))
(set-prior-scale! grey 1 "flux")
(test-equal "what says" '((1 "flux") 1) (list (prior-scale grey) (white-level grey)))
(call-with-temporary-directory
 (lambda (directory)
   (let ((path (string-append directory "/grey.safetensors")))
     (save-network path grey)
     (test-equal "the file keeps it" '(1 "flux") (prior-scale (load-network path))))
   (let ((path (string-append directory "/colour.safetensors")))
     (save-network path colour)
     (test-equal "or has none" #f (prior-scale (load-network path)))
     (test-equal "and its images" 'f32 (image-dtype (load-network path))))))
(let ((levels (lambda (prior) (schedule->list (default-temperatures prior)))))
  (test-assert "temperatures go with white"
    (every (lambda (a b) (< (abs (- 1 (/ (* 150 a) b))) 1e-9)) (levels grey) (levels colour))))
(test-equal "what it was trained at goes first" 10 (greatest-sigma grey))
(let ((fresh (small 1)))
  (set-prior-scale! fresh 1)
  (test-equal "else chains without data begin at white" 1 (greatest-sigma fresh)))
(test-equal "an exact prior with a scale" '(255 "grey levels")
  (prior-scale (make-prior "flat" #:shape '(2) #:score tensor-negate #:scale '(255 "grey levels"))))
(test-error-matching "no white" "white: expected a positive number, got 0" (set-prior-scale! grey 0))
(test-error-matching "no unit" "unit: expected a string, got 3" (set-prior-scale! grey 1 3))
(test-error-matching "no network" "network: expected one" (set-prior-scale! car 1))
(test-error-matching "no scale" "scale: expected a positive number and a string" (make-prior "flat" #:score car #:scale 3))
(let ((image (tensor-abs (random-normal '(16 16) 1))))
  (test-equal "a simulated scan that is real" 'f32 (tensor-dtype (simulated-scan image #:dtype 'f32)))
  (test-approximate "on a scale of its own" 1/150
    (/ (tensor->number (tensor-max (simulated-scan image #:dtype 'f32 #:white 1)))
       (tensor->number (tensor-max (simulated-scan image #:dtype 'f32)))) 1e-6)
  (test-error-matching "not real" "image: expected real numbers" (simulated-scan (as-complex image) #:dtype 'f32))
  (test-error-matching "another type" "dtype: expected c64 or f32" (simulated-scan image #:dtype 'u8)))

(finish-tests)
