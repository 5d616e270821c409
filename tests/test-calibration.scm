;;; test-calibration.scm -- exact samplers pass, wrong ones are caught, with numbers known
;;; beforehand; pictures and the command.  Long, since all of it is about the same few models.

(use-modules (harness)
             (tempera) (tempera sample calibration) (tempera base streams)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 popen) (ice-9 textual-ports))

(start-tests "calibration")

(define (p-values simulations) (map rank-test-p (sbc simulations)))
(define (passes? simulations) (every (lambda (p) (> p 0.01)) (p-values simulations)))
(define (named name tests)
  (find (lambda (t) (string=? name (rank-test-name t))) tests))

;;; --- Distributions --------------------------------------------------------------------

(test-approximate "chi-square of two degrees is exponential" (exp -3.5) (chi-square-tail 7 2) 1e-12)
(test-approximate "chi-square of nine" 0.05 (chi-square-tail 16.918978 9) 1e-8)
(test-equal "far out" 0. (chi-square-tail 1e7 9))
(test-approximate "binomial" 0.75 (binomial-cdf 1 1/2 2) 1e-12)
(test-equal "all of them" 1. (binomial-cdf 5 0.3 5))
(test-equal "fewer than none" 0. (binomial-cdf -1 0.3 5))
(test-error-matching "negative" "expected a number of 0 or more" (chi-square-tail -1 2))
(test-error-matching "no freedom" "and a positive one" (chi-square-tail 1 0))
(test-error-matching "no probability" "p: expected 0 to 1" (binomial-cdf 1 2 3))
(test-error-matching "too many" "count: expected an integer from -1 to 3" (binomial-cdf 4 1/2 3))

;;; --- Two models whose posterior is known ----------------------------------------------

;; A Gaussian field: 8 x 8 complex pixels, half of k-space.
(define spectrum (power-spectrum '(8 8) #:amplitude 10 #:exponent 3))
(define field (gaussian-prior spectrum))
(define op (mri-operator #:mask (random-mask 8 #:acceleration 2 #:seed 1)))

(define* (exact-field-sampler #:key (noise 0.5) (spread 1))
  ;; Draws of the posterior that NOISE gives, SPREAD times as far from its mean.
  (lambda (y count seed)
    (let-values (((mean variance) (gaussian-posterior spectrum op y #:noise noise)))
      (tensor+ mean (tensor* spread
                             (momentum-draw (tensor-zeros (list count 8 8) 'c64) variance seed
                                            (random-stream 'check)))))))

;; Two Gaussians in the plane, seen through noise.
(define centres (list->tensor '(-1 0 2 1) '(2 2)))
(define two (gaussian-mixture-prior centres #:weights '(1 2) #:sd 0.5))
(define looking (make-operator "denoising" #:forward identity #:adjoint identity))

(define (exact-two-sampler noise)
  ;; Component k with probability w_k N (y; mu_k, s^2 + n^2), then
  ;; N ((n^2 mu_k + s^2 y) / (s^2 + n^2), s^2 n^2 / (s^2 + n^2)).
  (lambda (y count seed)
    (let* ((s2 0.25) (n2 (* noise noise)) (total (+ s2 n2))
           (component (lambda (k) (tensor-slice centres 0 k (1+ k))))
           (weight (lambda (k w)
                     (* w (exp (/ (tensor->number (tensor-sum-squares (tensor- (component k) y)))
                                  (* -2 total))))))
           (left (weight 0 1)) (right (weight 1 2))
           (u (tensor->list (random-uniform (list count) seed (random-stream 'check 1)))))
      (tensor+
       (tensor-concatenate
        (map (lambda (u)
               (tensor+ (tensor* (/ n2 total)
                                 (component (if (< u (/ left (+ left right))) 0 1)))
                        (tensor* (/ s2 total) y)))
             u)
        0)
       (tensor* (sqrt (/ (* s2 n2) total))
                (random-normal (list count 2) seed (random-stream 'check 2)))))))

(define good (simulate (make-model field op #:noise 0.5 #:sample (exact-field-sampler))
                       400 #:draws 15 #:seed 1))
(define good-two (simulate (make-model two looking #:noise 0.7 #:sample (exact-two-sampler 0.7))
                           400 #:draws 15 #:seed 2))

(test-assert "an exact field is calibrated" (passes? good))
(test-assert "an exact mixture is calibrated" (passes? good-two))
(test-equal "quantities" '("projection 1" "projection 2" "projection 3" "squared norm" "log likelihood")
  (map rank-test-name (sbc good)))
(test-equal "prints" "#<400 simulations of 15 draws over (8 8)>" (format #f "~a" good))
(let* ((test (first (sbc good))) (bins (rank-test-bins test)))
  (test-equal "a rank for each simulation" 400 (length (rank-test-ranks test)))
  (test-equal "16 bins" (iota 16) (map first bins))
  (test-equal "all are counted" 400 (apply + (map third bins)))
  (test-equal "25 expected in each" (make-list 16 25.) (map fourth bins))
  (test-approximate "Pearson's chi-square"
    (apply + (map (lambda (bin) (/ (expt (- (third bin) 25) 2) 25)) bins))
    (rank-test-chi-square test) 1e-9)
  (test-approximate "its p" (chi-square-tail (rank-test-chi-square test) 15) (rank-test-p test) 1e-12)
  (test-approximate "Bonferroni's bound" (min 1 (* 5 (apply min (p-values good))))
    (least-p (sbc good)) 1e-12))
(test-equal "unequal bins where there is no divisor" '((0 5) (6 12))
  (map (lambda (bin) (take bin 2))
       (rank-test-bins (first (sbc (simulate (make-model two looking #:sample (exact-two-sampler 0.1))
                                             20 #:draws 12))))))

(test-equal "the same seed, the same ranks" (map rank-test-ranks (sbc good-two))
  (map rank-test-ranks
       (sbc (simulate (make-model two looking #:noise 0.7 #:sample (exact-two-sampler 0.7))
                      400 #:draws 15 #:seed 2))))
(test-assert "another seed, others"
  (not (equal? (map rank-test-ranks (sbc good-two))
               (map rank-test-ranks
                    (sbc (simulate (make-model two looking #:noise 0.7 #:sample (exact-two-sampler 0.7))
                                   400 #:draws 15 #:seed 3))))))

;;; --- Planted errors ---------------------------------------------------------------------

;; sigma_n 20 % off, where the data decide two numbers: 390 simulations, as `sbc' derives.
(let* ((wide (gaussian-mixture-prior (tensor-zeros '(1 2)) #:sd 1000))
       (data-only (lambda (noise)
                    (lambda (y count seed)
                      (tensor+ y (tensor* noise (random-normal (list count 2) seed
                                                               (random-stream 'check)))))))
       (p (lambda (assumed)
            (rank-test-p
             (named "log likelihood"
                    (sbc (simulate (make-model wide looking #:noise 1 #:sample (data-only assumed))
                                   390 #:draws 39 #:seed 4)))))))
  (test-assert "sigma_n as it is" (> (p 1) 0.01))
  (test-assert "sigma_n 20 % too large, d = 2" (< (p 1.2) 0.01)))

;; The field's 4 measured columns of 8 complex numbers are more than d = 16: 34 would do.
(let* ((run (lambda (assumed)
              (sbc (simulate (make-model field op #:noise 0.5
                                         #:sample (exact-field-sampler #:noise assumed))
                             100 #:draws 15 #:seed 5))))
       (large (run 0.6)) (small (run 0.4)))
  (test-assert "sigma_n 20 % too large" (< (rank-test-p (named "log likelihood" large)) 0.01))
  (test-assert "sigma_n 20 % too small" (< (rank-test-p (named "log likelihood" small)) 0.01))
  ;; The truth's residual is the smaller, its likelihood the larger.
  (test-assert "in the right direction"
    (let ((mean (lambda (tests) (/ (apply + (rank-test-ranks (named "log likelihood" tests))) 100.))))
      (> (mean large) 10 5 (mean small)))))

;; A standard deviation 20 % too large: 800 simulations by one projection.
(let* ((one (gaussian-mixture-prior (tensor-zeros '(1 2)) #:sd 1))
       (sampler (lambda (spread)
                  ;; Prior and noise of 1: the posterior is N (y / 2, 1 / 2).
                  (lambda (y count seed)
                    (tensor+ (tensor* 1/2 y)
                             (tensor* (* spread (sqrt 1/2))
                                      (random-normal (list count 2) seed (random-stream 'check)))))))
       (p (lambda (spread)
            (rank-test-p (named "projection 1"
                                (sbc (simulate (make-model one looking #:noise 1
                                                           #:sample (sampler spread))
                                               800 #:draws 39 #:seed 6)))))))
  (test-assert "a variance as it is" (> (p 1) 0.01))
  (test-assert "a variance 1.44 times too large" (< (p 1.2) 0.01)))

;; What only a quantity of the data sees: draws of the prior.
(let ((tests (sbc (simulate (make-model field op #:noise 0.5
                                        #:sample (lambda (y count seed)
                                                   (prior-draw field count #:seed (1+ seed))))
                            200 #:draws 15 #:seed 7))))
  (test-assert "the prior passes where data are not looked at"
    (every (lambda (t) (> (rank-test-p t) 0.01)) (drop-right tests 1)))
  (test-assert "and is caught by the log likelihood" (< (rank-test-p (last tests)) 1e-6)))

;; Ties: a quantity of two values.
(let ((sign (list (cons "sign" (lambda (batch y)
                                 (map (lambda (x) (if (positive? x) 1 0))
                                      (tensor->list (tensor-slice batch 1 0 1))))))))
  (test-assert "equal values have random ranks"
    (> (rank-test-p (first (sbc good-two #:quantities sign))) 0.01)))

;;; --- Coverage ---------------------------------------------------------------------------

;; 400 independent pixels, truths and draws of one distribution.
(define (pixels-model spread sds)
  (let ((n (tensor-count sds)))
    (make-model (make-prior "independent pixels" #:shape (list n) #:score (lambda (x s) x)
                            #:draw (lambda (count seed)
                                     (tensor* sds (random-normal (list count n) seed
                                                                 (random-stream 'prior)))))
                looking
                #:sample (lambda (y count seed)
                           (tensor* (tensor* spread sds)
                                    (random-normal (list count n) seed (random-stream 'check)))))))
(define ones (list->tensor (make-list 400 1)))

(for-each
 (lambda (draws)
   (let ((table (coverage (simulate (pixels-model 1 ones) 25 #:draws draws #:seed 8))))
     (for-each (lambda (row)
                 (test-approximate (format #f "coverage by ~a draws at ~a" draws (first row))
                   (first row) (second row)
                   ;; 10,000 pixels.
                   (* 4 (sqrt (/ (* (first row) (- 1 (first row))) 10000)))))
               table)))
 '(1 8 31))
;; Draws 1.2 times too wide: 2 Phi (1.2 z) - 1, for many draws.
(let ((table (coverage (simulate (pixels-model 1.2 ones) 25 #:draws 199 #:seed 8)
                       #:levels '(0.5 0.9))))
  (for-each (lambda (row expected)
              (test-approximate "coverage of draws too wide" expected (second row)
                (+ 0.003 (* 4 (sqrt (/ (* expected (- 1 expected)) 10000))))))
            table '(0.5817 0.9516)))
(for-each
 (lambda (part)
   (for-each (lambda (row)
               (test-approximate (format #f "coverage of the field's ~a" part)
                 (first row) (second row) (* 4 (third row))))
             (coverage good #:part part)))
 '(magnitude parts))
(test-assert "magnitude and parts are not the same"
  (not (equal? (coverage good) (coverage good #:part 'parts))))
(test-equal "what is constant is covered" '((0.5 1. +inf.0))
  (coverage (simulate (pixels-model 1 (tensor-zeros '(4))) 1 #:draws 9) #:levels '(0.5)))

;;; --- Random points ------------------------------------------------------------------------

(let ((t (tarp good)))
  (test-assert "random points" (> (rank-test-p (tarp-test t)) 0.01))
  (test-equal "the curve's ends" '((0. 0.) (1. 1.)) (list (first (tarp-curve t)) (last (tarp-curve t))))
  ;; A Brownian bridge's mean absolute value is sqrt (pi / 32) on average.
  (test-assert "its area" (< (tarp-area t) (* 3 (sqrt (/ (/ (acos -1) 32) 400))))))
(test-assert "random points around a mixture" (> (rank-test-p (tarp-test (tarp good-two))) 0.01))
(let ((t (tarp (simulate (make-model two looking #:noise 0.7
                                     #:sample (let ((exact (exact-two-sampler 0.7)))
                                                (lambda (y count seed)
                                                  (tensor+ 1 (exact y count seed)))))
                         400 #:draws 15 #:seed 2))))
  (test-assert "draws that are shifted" (< (rank-test-p (tarp-test t)) 0.01))
  (test-assert "by an area" (> (tarp-area t) 0.1)))

;;; --- Reliability ---------------------------------------------------------------------------

(define graded (list->tensor (map (lambda (i) (+ 0.5 (/ i 200.))) (iota 400))))
(let ((r (reliability (simulate (pixels-model 1 graded) 25 #:draws 16 #:seed 9))))
  ;; 10,000 errors: their mean square is right within sqrt (2 / 10000), a bin's within 0.045.
  (test-approximate "error over prediction" 1 (reliability-ratio r) (* 4 1/2 0.02))
  (test-approximate "slope" 1 (reliability-slope r) (* 4 0.045))
  (test-approximate "intercept" 0 (reliability-intercept r) (* 4 0.045 1.5))
  (test-assert "correlation" (< 0.3 (reliability-correlation r) 1))
  (test-equal "ten bins" 10 (length (reliability-bins r))))
(let ((r (reliability (simulate (pixels-model 1/2 graded) 25 #:draws 16 #:seed 9))))
  ;; Error (1 + 1/64) s^2, prediction (1 + 1/16) s^2 / 4.
  (test-approximate "half the standard deviation" (* 2 (sqrt (/ (+ 1 1/64) (+ 1 1/16))))
    (reliability-ratio r) (* 2 4 1/2 0.02)))
(let ((r (reliability (simulate (pixels-model 1 ones) 25 #:draws 8 #:seed 9))))
  (test-approximate "pixels alike, eight draws: chance is not sorted in" 1
    (apply max (map (lambda (point) (/ (second point) (first point))) (reliability-bins r)))
    ;; 1000 pixels a bin: error within 0.022, prediction of 4 draws within 0.013.
    (* 4 0.026))
  (test-equal "and have no line" #f (reliability-slope r)))
(let ((r (reliability (simulate (pixels-model 1 ones) 25 #:draws 4 #:seed 9))))
  ;; The mean of four draws has an error of its own: without it, 1.118.
  (test-approximate "four draws" 1 (reliability-ratio r) (* 4 1/2 (sqrt (+ (/ 2 10000.) (/ 2 10000.))))))
(let ((r (reliability good)))
  ;; 400 fields of 128 numbers, of which few decide.
  (test-approximate "complex pixels" 1 (reliability-ratio r) (* 4 (sqrt (/ (* 400 8))))))

;;; --- Annealing -------------------------------------------------------------------------------

(let ((simulations (simulate (make-model field op #:noise 0.5
                                         #:sample (annealed-sampler
                                                   field op #:noise 0.5
                                                   #:settings (list #:temperatures
                                                                    ;; As anneal cools by default.
                                                                    (geometric 10 #:ratio 0.95 #:until 0.025)
                                                                    #:step-size 0.5
                                                                    #:trajectory-length '(4 8))))
                             100 #:draws 15 #:seed 12)))
  (test-assert "annealing of a field is calibrated" (passes? simulations)))
;; Steps of SIZE standard deviations of a component.  Uncorrected, leapfrog samples a Gaussian
;; of 1 / (1 - SIZE^2 / 4) times the variance: for 1.7, 3.6 times, whose ranks pile up at an end.
(define* (annealed-two size #:key (acceptance 'path-integral))
  (p-values
   (simulate (make-model
              two looking #:noise 0.7
              #:sample (annealed-sampler
                        two looking #:noise 0.7
                        #:settings (list #:temperatures (geometric 8 #:ratio 0.85 #:until 0.035)
                                         #:mass 'identity #:trajectory-length '(3 5)
                                         #:sampler (hmc #:acceptance acceptance)
                                         #:step-size (lambda (s)
                                                       ;; The likelihood, 0.7^2, is not blurred.
                                                       (* size (sqrt (/ (+ (/ (+ 0.25 (* s s)))
                                                                           (/ 0.49)))))))))
             100 #:draws 15 #:seed 11)))
(test-assert "annealing of a mixture is calibrated" (every (lambda (p) (> p 0.01)) (annealed-two 0.5)))
(test-assert "with steps too large and no correction it is not"
  (every (lambda (p) (< p 1e-3)) (take-right (annealed-two 1.7 #:acceptance 'none) 2)))
(test-assert "the default sampler"
  (tensor-finite? (simulations-draws (simulate (make-model field op) 2 #:draws 3))))

;; Truths from elsewhere, and the prior a procedure, as a network is.
(let* ((truths (prior-draw field 3 #:seed 12))
       (simulations (simulate (make-model (lambda (x sigma) (score field x sigma)) op #:noise 0.5)
                              3 #:draws 4 #:truths truths)))
  (test-assert "truths that are given" (tensor-identical? truths (simulations-truths simulations)))
  (test-equal "a measurement for each" '((8 8) (8 8) (8 8))
    (map tensor-shape (simulations-measurements simulations))))

;;; --- Bad input -----------------------------------------------------------------------------

(define model (make-model field op #:sample (exact-field-sampler)))
(test-error-matching "operator" "operator: expected one" (make-model field 3))
(test-error-matching "noise" "noise: expected a positive number" (make-model field op #:noise 0))
(test-error-matching "sampler" "sample: expected a procedure" (make-model field op #:sample 3))
(test-error-matching "sampler's noise" "noise: expected" (annealed-sampler field op #:noise -1))
(test-error-matching "model" "model: expected one" (simulate field 3))
(test-error-matching "count" "count: expected a positive integer, got 0" (simulate model 0))
(test-error-matching "draws" "draws: expected a positive integer" (simulate model 3 #:draws 1.5))
(test-error-matching "truths" "truths: expected a batch of 3"
  (simulate model 3 #:truths (tensor-zeros '(2 8 8) 'c64)))
(test-error-matching "a prior that cannot be drawn from" "can be drawn from"
  (simulate (make-model (lambda (x s) x) op) 3))
(test-error-matching "draws of another shape" "sample: expected a c64 tensor of shape (4 8 8), got"
  (simulate (make-model field op #:sample (lambda (y n s) (tensor-zeros '(3 8 8) 'c64))) 3 #:draws 4))
(test-error-matching "draws that are no numbers" "draws of simulation 0 have NaN"
  (simulate (make-model field op
                        #:sample (lambda (y n s) (tensor/ (tensor-zeros (list n 8 8) 'c64) 0)))
            3))
(for-each (lambda (name judge)
            (test-error-matching name "simulations: expected what `simulate' returns" (judge 3)))
          '("sbc" "coverage" "tarp" "reliability" "report")
          (list (lambda (x) (sbc x #:quantities '())) coverage tarp reliability
                (lambda (x) (calibrate-to "/nowhere" x))))
(test-error-matching "quantities" "quantities: expected" (sbc good #:quantities '(1)))
(test-error-matching "a quantity of the wrong length" "few: expected 16 finite numbers for simulation 0"
  (sbc good #:quantities (list (cons "few" (lambda (batch y) '(1 2))))))
(test-error-matching "levels" "levels: expected" (coverage good #:levels '(1)))
(test-error-matching "part" "part: expected" (coverage good #:part 'phase))
(test-error-matching "one simulation" "expected two or more, got 1" (tarp (simulate model 1)))
(test-error-matching "few draws" "expected 4 draws or more in each, got 3"
  (reliability (simulate model 2 #:draws 3)))
(test-error-matching "bins" "bins: expected" (reliability good #:bins 1))
(test-error-matching "more bins than pixels" "expected at most 8, as many as pixels"
  (reliability (simulate (make-model two looking #:sample (exact-two-sampler 0.1)) 4)))
(test-error-matching "draws that do not differ" "all draws of a truth are equal"
  (reliability (simulate (pixels-model 0 ones) 2)))
(test-error-matching "tests" "tests: expected" (least-p '()))

;;; --- Pictures ------------------------------------------------------------------------------

(define diagonal (chart "it's" (list (series 'line '((0 0) (1 1)) #:title "a 'title'"))))

(call-with-temporary-directory
 (lambda (directory)
   (define (file name) (string-append directory "/" name))
   (define (begins? path text)
     (string-prefix? text (call-with-input-file path get-string-all #:encoding "ISO-8859-1")))
   (for-each (lambda (name beginning)
               (save-charts (file name) (list diagonal diagonal))
               (test-assert name (begins? (file name) beginning)))
             '("a.png" "a.svg" "a.PDF") (list "\x89PNG" "<?xml" "%PDF"))
   (save-charts (file "size.png") (make-list 4 diagonal) #:columns 3 #:width 200 #:height 100)
   (test-equal "rows of columns" '(200 600) (take (tensor-shape (load-png (file "size.png"))) 2))
   (test-error-matching "another ending" "expected a name that ends in .png, .svg, .pdf or .txt"
     (save-charts (file "a.jpeg") (list diagonal)))
   (test-error-matching "no folder" "cannot be written"
     (save-charts (file "none/a.png") (list diagonal)))
   (test-error-matching "gnuplot missing" "the program gnuplot is needed: install gnuplot-nox"
     (let ((path (getenv "PATH")))
       (dynamic-wind (lambda () (setenv "PATH" "/nowhere"))
                     (lambda () (save-charts (file "b.png") (list diagonal)))
                     (lambda () (setenv "PATH" path)))))
   (mknod (file "pipe.png") 'fifo #o600 0)
   (for-each (lambda (name save)
               (test-error-matching (string-append name ", of a pipe") "no file that could be replaced"
                 (save (file "pipe.png")))
               (test-equal "which stays" 'fifo (stat:type (stat (file "pipe.png")))))
             '("charts" "a figure")
             (list (lambda (path) (save-charts path (list diagonal)))
                   (lambda (path) (save-figure path (list (panel "x" (tensor-zeros '(4 4))))))))
   (delete-file (file "pipe.png"))
   (test-error-matching "no charts" "charts: expected" (save-charts (file "b.png") '()))
   (test-error-matching "columns" "columns: expected" (save-charts (file "b.png") (list diagonal) #:columns 0))
   (test-assert "nothing is left behind"
     (not (file-exists? (file "b.png"))))
   (test-error-matching "style" "style: expected one of" (series 'pie '((1 2))))
   (test-error-matching "points" "points: expected a list of lists of 2 finite numbers"
     (series 'line '((1 +nan.0))))
   (test-error-matching "no series" "data: expected a list of series" (chart "x" '(1)))
   (test-error-matching "range" "x-range: expected (low high)"
     (chart "x" (list (series 'line '((0 0)))) #:x-range '(1 0)))
   (test-error-matching "logarithmic" "logarithmic: expected a list of x and y"
     (chart "x" (list (series 'line '((0 0)))) #:logarithmic 'x))
   (test-error-matching "logarithm of 0" "a logarithmic y needs numbers above 0"
     (chart "x" (list (series 'line '((1 0)))) #:logarithmic '(x y)))
   (test-error-matching "key" "key: expected below or a corner" (chart "x" (list (series 'line '((0 0)))) #:key 'middle))
   (test-error-matching "rank chart" "test: expected a rank test" (rank-chart 3))
   (test-error-matching "coverage chart" "table: expected" (coverage-chart '(1)))
   (test-error-matching "tarp chart" "t: expected" (tarp-chart 1))
   (test-error-matching "reliability chart" "r: expected" (reliability-chart 1))

   ;;; --- One simulation's coverage is that of a set of one ---
   (let* ((s (simulate (make-model field op) 1 #:draws 7 #:seed 2))
          (one (lambda (t) (tensor-reshape t (cdr (tensor-shape t))))))
     (for-each (lambda (level)
                 (test-equal (format #f "one simulation, level ~a" level)
                   (second (assv level (coverage s #:levels (list level))))
                   (covered-share (one (simulations-draws s)) (one (simulations-truths s))
                                  #:level level)))
               '(0.5 0.9))
     ;; Half of the pixels, and all.
     (let* ((truth (one (simulations-truths s))) (draws (one (simulations-draws s)))
            (left (tensor< (random-uniform (tensor-shape truth) 1) 0.5))
            (share (lambda (where) (covered-share draws truth #:where where)))
            (in (tensor->number (tensor-mean left))))
       (test-approximate "where" (covered-share draws truth)
         (+ (* in (share left)) (* (- 1 in) (share (tensor- 1 left)))) 1e-5)
       (test-error-matching "nowhere" "where: no pixel counts" (share (tensor* 0 left)))
       (test-error-matching "where's shape" "where: expected f32 of truth's shape" (share (tensor-zeros '(3)))))
     (test-error-matching "samples" "samples, truth: expected (L ...) and (...)"
       (covered-share (simulations-draws s) (simulations-truths s))))

   ;;; --- The command -----------------------------------------------------------------------

   (define (command . arguments)
     (let* ((port (open-input-pipe (string-join `("{ tempera calibrate" ,@arguments "; } 2>&1"))))
            (text (get-string-all port)))
       (close-pipe port)
       text))
   (define (check-command name results text . arguments)
     (let ((output (apply command (string-append "--out=" (file name)) arguments)))
       (test-equal (string-append name " says") text
         (if (string-contains output text) text output))
       (test-equal (string-append name " writes") results
         (filter (lambda (result) (file-exists? (file (string-append name "/" result))))
                 '("summary.json" "ranks.csv" "ranks.png" "coverage.png" "reliability.png")))
       (load-json (file (string-append name "/summary.json")))))
   (define all '("summary.json" "ranks.csv" "ranks.png" "coverage.png" "reliability.png"))

   (let ((summary (check-command "gaussian" all "no sign of an error"
                                 "--size=8" "--simulations=24" "--draws=7" "--ratio=0.9" "--seed=3")))
     (test-equal "its simulations" 24 (assoc-ref summary "simulations"))
     (test-equal "five quantities" 5 (vector-length (assoc-ref summary "sbc")))
     (test-equal "ten levels" 10 (vector-length (assoc-ref summary "coverage")))
     (test-assert "p" (< 0 (assoc-ref (assoc-ref summary "tarp") "p") 1)))
   (test-equal "a row for each simulation" 25
     (string-count (call-with-input-file (file "gaussian/ranks.csv") get-string-all) #\newline))
   (check-command "planted" all "not calibrated" "--size=8" "--simulations=24" "--draws=7"
                  "--ratio=0.7" "--assumed-noise=0.15")
   (check-command "mixture" all "no sign of an error" "--model=mixture" "--noise=0.5"
                  "--simulations=24" "--draws=7" "--ratio=0.8")

   ;; A network, and images that it was not trained on.
   (save-network (file "net.safetensors") (score-network '(paper-unet #:channels (4 8) #:blocks 1)))
   (mkdir (file "images"))
   (for-each (lambda (k)
               (save-npy (file (format #f "images/~a.npy" k))
                         (tensor-abs (tensor-reshape (prior-draw (gaussian-prior (power-spectrum '(16 16)))
                                                                 1 #:seed k)
                                                     '(16 16)))))
             '(1 2))
   (let ((summary (check-command "network" '("summary.json" "coverage.png" "reliability.png")
                                 "% of pixels in them" (string-append "--prior=" (file "net.safetensors"))
                                 (string-append "--images=" (file "images")) "--draws=4" "--ratio=0.5")))
     (test-equal "all images" 2 (assoc-ref summary "simulations"))
     (test-equal "no ranks" #f (assoc-ref summary "sbc")))
   (for-each (lambda (name text . arguments)
               (let ((output (apply command arguments)))
                 (test-equal name text (if (string-contains output text) text output))))
             '("images without a prior" "no such images" "another model" "an operand" "too warm")
             '("expected a prior beside them" "images: no such file or folder: /nowhere"
               "model: expected a name, gaussian or mixture, got cubist" "expected key=value, got x"
               "until: expected a number, 0 < until < 100, got 200")
             (list "--images=x" (string-append "--images=/nowhere --prior=" (file "net.safetensors"))
                   "--model=cubist" "x" "--until=200"))))

;;; --- Stopped on the way ------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (let* ((file (string-append directory "/draws.safetensors"))
          (calls 0)
          (draw (lambda (stop-at)
                  (set! calls 0)
                  (simulate (make-model field op #:noise 0.5
                                        #:sample (lambda (y count seed)
                                                   (set! calls (1+ calls))
                                                   (when (eqv? calls stop-at)
                                                     (scm-error 'signal #f "User interrupt" '() (list SIGINT)))
                                                   ((exact-field-sampler) y count seed)))
                            6 #:draws 3 #:seed 5 #:checkpoint file)))
          (whole (begin (draw #f))))
     (test-assert "nothing is kept of what ends" (not (file-exists? file)))
     (test-equal "a signal goes on" 'signal (catch #t (lambda () (draw 5)) (lambda (key . _) key)))
     (test-assert "what was drawn is kept" (file-exists? file))
     (let ((rest (draw #f)))
       (test-equal "two are left" 2 calls)
       (test-assert "the same bits" (tensor-identical? (simulations-draws whole) (simulations-draws rest)))
       (test-assert "and measurements" (every tensor-identical? (simulations-measurements whole)
                                              (simulations-measurements rest))))
     (test-error-matching "of other simulations" "is no checkpoint of these simulations"
       (simulate (make-model field op #:noise 0.5 #:sample (exact-field-sampler)) 6 #:draws 4 #:checkpoint file)))))

;;; --- Few samples ---------------------------------------------------------------------

(let ((said (lambda (count level)
              (let ((port (open-output-string)))
                (parameterize ((current-warning-port port))
                  (covered-share (random-normal (list count 8 8) 1) (random-normal '(8 8) 2)
                                 #:level level))
                (get-output-string port)))))
  (test-assert "90 % intervals of 2 samples"
    (string-contains (said 2 0.9) "of 2 samples intervals of 90.0 % are for 85.0 % without ends"))
  (test-assert "how many would do" (string-contains (said 2 0.9) "take 9 samples or more"))
  (test-equal "8 are enough, and 2 for a third" '("" "") (list (said 8 0.9) (said 2 1/3))))

;; A simulation's warnings are told once, with how many had any.
(let* ((port (open-output-string))
       (prior (gaussian-prior (power-spectrum '(8 8) #:amplitude 100)))
       (op (mri-operator #:mask (random-mask 8 #:acceleration 2 #:seed 1))))
  (parameterize ((current-warning-port port))
    (simulate (make-model prior op
                          #:sample (annealed-sampler prior op
                                                     #:settings '(#:temperatures (2 1) #:step-size 5)))
              3 #:draws 2))
  (let ((said (get-output-string port)))
    (test-assert "simulations that had warnings"
      (string-prefix? "3 of 3 simulations had warnings; the first:\nwarning: no proposal of 40" said))
    (test-equal "once" 2 (string-count said #\newline))))

(finish-tests)
