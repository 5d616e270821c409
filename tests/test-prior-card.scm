;;; test-prior-card.scm -- what a prior is worth: two samples compared, samples of a prior, its card, and the
;;; command.

(use-modules (harness)
             (tempera) (tempera base streams)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 textual-ports))

(start-tests "prior card")

;;; --- Two batches of images --------------------------------------------------------------

(define (normal count seed) (random-normal (list count 16 16) seed 0 'c64))

;; Of one distribution p is even on its 20 values: below 0.1 once in ten times.
(define ps
  (map (lambda (k) (energy-test-p (energy-test (normal 8 k) (normal 8 (+ 100 k)) #:size 4 #:permutations 19)))
       (iota 40 1)))
(test-assert "p of one distribution" (<= (count (lambda (p) (< p 0.1)) ps) 7)) ; a binomial's 0.999 bound, twice
(test-assert "p is even" (< 0.35 (mean ps) 0.7)) ; 0.525 and four times 0.29 / sqrt 40
(define far (energy-test (normal 8 1) (tensor* 2 (normal 8 2)) #:size 4))
(test-equal "of two, the least p" 1/200 (rationalize (inexact->exact (energy-test-p far)) 1/100000))

;; Single pixels 1 and 3, and 7 twice: 2 * 5 - (0 + 2 + 2 + 0) / 4 - 0.
(test-approximate "the distance by hand" 9
  (energy-test-distance (energy-test (list->tensor '(1 3) '(2 1 1)) (list->tensor '(7 7) '(2 1 1)) #:size 1)) 1e-5)
(test-approximate "its unit is intensity" 2
  (let ((at (lambda (scale) (energy-test-distance (energy-test (tensor* scale (normal 4 1)) (tensor* scale (normal 4 2)))))))
    (/ (at 20) (at 10)))
  1e-3)
(test-equal "prints" "#<energy distance 9.0, p " 
  (string-take (format #f "~a" (energy-test (list->tensor '(1 3) '(2 1 1)) (list->tensor '(7 7) '(2 1 1)) #:size 1)) 25))
(test-error-matching "sizes" "energy-test: others: expected images (N H W), rows and columns multiples of 5"
  (energy-test (tensor-zeros '(2 5 5)) (tensor-zeros '(2 8 8)) #:size 5))
(test-error-matching "size" "size: expected a positive integer" (energy-test (normal 2 1) (normal 2 1) #:size 0))
(test-error-matching "permutations" "permutations: expected" (energy-test (normal 2 1) (normal 2 1) #:permutations 0))
(test-error-matching "its seed" "seed: expected" (energy-test (normal 2 1) (normal 2 1) #:seed 'x))

(test-equal "shares" '(0.25 0.25) (magnitude-shares (list->tensor '(1 2 -5 7) '(1 2 2)) '(0 2 5)))
(test-error-matching "edges" "edges: expected two rising numbers" (magnitude-shares (normal 1 1) '(2 1)))
(test-error-matching "no images" "images: expected a tensor" (magnitude-shares 1 '(1 2)))

;;; --- Samples of a prior -----------------------------------------------------------------

(define spectrum (power-spectrum '(32 32) #:amplitude 300))
(define field (gaussian-prior spectrum))
(define (learned x sigma) (score field x sigma)) ; all that is known of a network

(define drawn (prior-samples learned 60 #:shape '(32 32) #:dtype 'c64 #:from 30 #:base field #:ratio 0.9 #:seed 3))
;; A mean of 1024 chi-squares of 120 degrees; reverse steps of a Gaussian are exact but for the share left open, which
;; is estimated.
(test-approximate "samples have the spectrum" 1
  (tensor->number (tensor-mean (tensor/ (tensor-sum-squares (fft2 drawn) 0) (tensor* 120 spectrum))))
  (+ 0.01 (* 4 (sqrt (/ 2. (* 120 1024))))))
(test-assert "the same seed"
  (tensor-identical? drawn (prior-samples learned 60 #:shape '(32 32) #:dtype 'c64 #:from 30 #:base field #:ratio 0.9 #:seed 3)))
(test-error-matching "no shape" "shape: this prior has none" (prior-samples learned 2))
(test-error-matching "none" "prior-samples: count: expected" (prior-samples field 0))
(test-error-matching "no base" "base: expected an exact prior" (prior-samples field 2 #:base learned))
(test-error-matching "another base" "base: expected one over (16 16)"
  (prior-samples learned 2 #:shape '(16 16) #:dtype 'c64 #:base field))
(test-error-matching "from" "from: expected a positive number" (prior-samples field 2 #:from 0))
(test-error-matching "no seed" "seed: expected" (prior-samples field 2 #:seed -1))

;; As truths: a sampler of the posterior that is right is calibrated, one that takes the noise for twice what it is is not.
(let* ((small (power-spectrum '(8 8) #:amplitude 10))
       (prior (gaussian-prior small))
       (op (mri-operator #:mask (random-mask 8 #:acceleration 2 #:seed 1)))
       (truths (prior-samples (lambda (x sigma) (score prior x sigma)) 200 #:shape '(8 8) #:dtype 'c64 #:from 30 #:seed 1))
       (p (lambda (noise)
            (least-p (sbc (simulate
                           (make-model prior op #:noise 0.5
                                       #:sample (lambda (y count seed)
                                                  (let-values (((mean variance)
                                                                (gaussian-posterior small op y #:noise noise)))
                                                    (tensor+ mean (mass-draw variance (tensor-zeros (list count 8 8) 'c64) seed 1)))))
                           200 #:draws 15 #:truths truths #:seed 1))))))
  (test-assert "truths of its own: calibrated" (> (p 0.5) 0.01))
  (test-assert "and the wrong noise is found" (< (p 1) 0.01)))

;;; --- The card ---------------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (setenv "XDG_CACHE_HOME" (string-append directory "/cache"))
   (let* ((held-out (prior-draw field 12 #:seed 1))
          (summary (prior-card-to "card" learned (prior-draw field 100 #:seed 2) held-out
                                  #:greatest 30 #:about '(("prior" . "a field"))))
          (of (lambda (key) (assoc-ref summary key)))
          ;; Half of log2 (2 pi e (P + 1)), by the field itself.
          (entropy (mean (map (lambda (p) (/ (+ 1 (log (* 2 (acos -1) (+ p 1)))) (* 2 (log 2))))
                              (tensor->list spectrum)))))
     ;; The field of the training images' spectrum is the base: at 100 of them wrong by 1/200 of sqrt 2 nats a number.
     (test-approximate "bits" entropy (of "bits") (+ 0.01 (* 4 (of "bits_standard_error"))))
     (test-approximate "by the flow" entropy (of "flow_bits") (+ 0.01 (* 4 (of "bits_standard_error"))))
     (test-equal "none is lost" 0 (of "flow_lost"))
     (test-assert "what can be known is known" (< (of "bits") (+ 0.01 (of "gaussian_bits"))))
     (test-assert "samples are images" (< 0.01 (of "energy_samples_p")))
     (test-assert "none a copy" (< 0.01 (of "nearest_p")))
     (for-each (lambda (name) (test-assert name (file-exists? (string-append "card/" name))))
               '("card.md" "summary.json" "samples.png" "charts.png" "samples.npy" "power.csv" "bits.csv"
                 "magnitudes.csv" "denoising.csv"))
     (test-assert "to read" (string-prefix? "# a field\n"
                                            (call-with-input-file "card/card.md" get-string-all)))
     (test-assert "bits of each" (= 12 (table-size (load-table "card/bits.csv"))))
     (test-assert "the power is the images'"
       (let ((power (load-table "card/power.csv")))
         (< (abs (- 1 (/ (apply + (table-column power 'held-out))
                         (/ (tensor->number (tensor-sum-squares held-out)) 12))))
            1e-4)))
     ;; A prior that knows nothing is worth less than the field.
     (let ((worse (prior-card-to "worse" (lambda (x sigma) (score field (tensor* 0.5 x) sigma))
                                 (prior-draw field 100 #:seed 2) held-out #:greatest 30)))
       (test-assert "a wrong score has more bits" (> (assoc-ref worse "bits") (+ 0.1 (of "bits"))))))

   (define images (prior-draw field 4))
   (test-error-matching "no images" "held-out: expected finite c64" (prior-card-to "x" field images 3))
   (test-error-matching "odd sizes" "multiples of 32" (prior-card-to "x" field (normal 4 1) images))
   (test-error-matching "too few" "training: expected 4 images or more"
     (prior-card-to "x" field (tensor-slice images 0 0 3) images))
   (test-error-matching "one alone" "two images or more" (prior-card-to "x" field images (tensor-slice images 0 0 1)))
   (test-error-matching "count" "count: expected an integer from 2 to 4" (prior-card-to "x" field images images #:count 9))

   ;; --- The command ------------------------------------------------------------------------

   (save-network "net.safetensors" (score-network '(paper-unet #:channels (2 4) #:blocks 1)))
   (for-each (lambda (person seed)
               (save-npy (string-append person ".npy") (tensor-abs (random-normal '(24 40 40) seed)))
               (check-shell "a volume" 0 person (format #f "tempera data --add=~a.npy --person=~a --orientation=SAR"
                                                  person person)))
             '("ann" "bob") '(1 2))
   (check-shell "the command" 0 "c: card.md summary.json samples.png charts.png\n"
          "tempera prior net.safetensors bob size=32 samples=2 training=2 --out=c")
   (let ((run (open-run "c")))
     (test-equal "a run" 'finished (run-state run))
     (test-equal "its result" '(bits flow-lost gaussian-bits energy-samples energy-held-out energy-samples-p nearest-p)
       (map car (run-outcome run))))
   (check-shell "nobody" 1 "persons: expected some of" "tempera prior net.safetensors hold-out=eve")
   (check-shell "all" 1 "hold-out: nobody is left to compare with: ann, bob" "tempera prior net.safetensors ann,bob")
   (check-shell "no prior" 1 "no-such: no such file" "tempera prior no-such bob")
   (check-shell "sizes" 1 "prior: size: expected an integer for which `multiple-of-32' holds, got 40"
          "tempera prior net.safetensors bob size=40")
   (check-shell "sigmas" 1 "expected least below greatest, got 3 and 2"
          "tempera prior net.safetensors bob least=3 greatest=2")))

(finish-tests)
