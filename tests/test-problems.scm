;;; test-problems.scm -- inverse problems by name: what `tempera reconstruct problem=NAME' makes of an image, or of data.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 textual-ports)
             (tempera)
             ((tempera shell problems) #:select (named-problem problem-parameters)))

(start-tests "problems")

(define truth
  ;; Blobs on a background, from 0 to about 150.
  (tensor-tabulate '(32 24)
                   (lambda (i j)
                     (+ 10 (* 60 (exp (/ (+ (expt (- i 10) 2) (expt (- j 9) 2)) -20.)))
                        (* 130 (exp (/ (+ (expt (- i 20) 2) (expt (- j 14) 2)) -12.)))))))
(define (ref t . at) (apply tensor-ref t at))
(define (far a b) (sqrt (/ (tensor->number (tensor-sum-squares (tensor- a b))) (tensor->number (tensor-sum-squares b)))))
(define (identity-problem . settings)
  (apply make-problem #:operator (lambda (shape seed) (denoising-operator shape)) settings))

;;; --- From an image, or from data ------------------------------------------------------

(test-equal "what there is" '()
  (lset-difference string=? '("mri" "deblurring" "denoising" "inpainting" "mass-mapping" "super-resolution" "tomography") (problem-names)))
(let-values (((m scan) (problem-simulation (problem 'denoising) truth #:dtype 'f32 #:white 3 #:seed 2)))
  (test-approximate "the truth's white" 3 (tensor->number (tensor-quantile (tensor-reshape scan '(-1)) 0.999 0)) 1e-5)
  (test-approximate "noise, a tenth of white" 0.3 (measurement-noise m) 1e-5)
  (test-approximate "is what was added" 0.3
    (sqrt (/ (tensor->number (tensor-sum-squares (tensor- (measurement-data m) scan))) (* 32 24))) 0.03)
  (test-equal "real as asked" 'f32 (tensor-dtype (measurement-data m))))
(let-values (((m scan) (problem-simulation (problem 'denoising) truth #:noise 2)))
  (test-equal "complex for priors of such" '(c64 c64) (map tensor-dtype (list scan (measurement-data m))))
  (test-equal "the noise given" 2 (measurement-noise m)))
(let-values (((m scale) (problem-measurement (problem 'denoising) (tensor* 1e-3 truth) #:dtype 'f32)))
  (test-approximate "data are scaled" 150 (tensor->number (tensor-quantile (tensor-reshape (measurement-data m) '(-1)) 0.999 0)) 1e-2)
  (test-assert "by the scale" (< (far (measurement-data m) (tensor* (* 1e-3 scale) truth)) 1e-6)))
(let-values (((m scale) (problem-measurement (problem 'denoising) truth #:dtype 'f32 #:scale 2 #:noise 5)))
  (test-equal "or by that given" '(2 5) (list scale (measurement-noise m))))
(let-values (((m scale) (problem-measurement (identity-problem #:scale 1) truth #:dtype 'f32)))
  (test-assert "or not, where data have units" (tensor-identical? truth (measurement-data m))))

;; Counts: their rate is on the scale of images.
(let-values (((l scan) (problem-simulation (problem 'denoising) truth #:dtype 'f32 #:likelihood 'poisson #:counts 1000 #:seed 3)))
  (test-assert "counts of the brightest datum"
    (< 900 (tensor->number (tensor-quantile (tensor-reshape (likelihood-data l) '(-1)) 0.999 0)) 1130))
  (test-assert "as many as of the scan" (< (far (likelihood-start l) scan) 0.1))
  (let-values (((again scale) (problem-measurement (problem 'denoising) (likelihood-data l) #:dtype 'f32 #:likelihood 'poisson)))
    (test-assert "from a file: the same image, nearly" (< (far (likelihood-start again) scan) 0.2))
    (test-assert "of the same counts" (tensor-identical? (likelihood-data l) (likelihood-data again)))
    (test-assert "with their scale" (< (far (likelihood-start again) (tensor* scale (likelihood-data l))) 1e-5))))
(for-each
 (lambda (name)
   (let-values (((l scan) (problem-simulation (problem 'denoising) truth #:likelihood name #:noise 1 #:seed 3)))
     (test-assert (format #f "~a: data like the scan" name) (< (far (tensor-abs (likelihood-start l)) (tensor-abs scan)) 0.1))))
 '(student-t magnitude))

;; NaN: what is left alone says nothing.
(let* ((holes (tensor-copy truth)))
  (tensor-set! holes +nan.0 3 4)
  (tensor-set! holes -inf.0 5 6)
  (test-error-matching "NaN" "data: 2 of their 768 numbers are NaN or infinite; with nan-is-unmeasured"
    (problem-measurement (problem 'denoising) holes #:dtype 'f32))
  (for-each
   (lambda (dtype)
     (let*-values (((m scale) (problem-measurement (problem 'denoising) holes #:dtype dtype #:nan-is-unmeasured? #t #:scale 1))
                   ((score) (lambda (x) (target-likelihood-score (posterior (lambda (x sigma) (tensor* 0 x)) m) x 1)))
                   ((s) (tensor-abs (score (tensor-zeros '(1 32 24) dtype)))))
       (test-equal (format #f "not measured: ~a" dtype) '(0. 0.) (list (ref s 0 3 4) (ref s 0 5 6)))
       (test-assert "but the others" (> (ref s 0 3 5) 1e-3))))
   '(f32 c64))
  (let-values (((l scale) (problem-measurement (problem 'denoising) (tensor-round holes) #:dtype 'f32 #:likelihood 'poisson
                                               #:nan-is-unmeasured? #t)))
    (test-equal "counts" 0. (ref (likelihood-score l (tensor+ 20 (tensor-zeros '(1 32 24)))) 0 3 4))))

;; What each makes of an image: an operator that is right, and an image of the truth's shape from data alone.
(for-each
 (lambda (name start shape . settings)
   (define (named what) (format #f "~a: ~a" name what))
   (let*-values (((p) (apply problem name settings))
                 ((m scan) (problem-simulation p truth #:dtype 'f32 #:noise 0.01))
                 ((op) (measurement-operator m)))
     (test-equal (named "its operator") '() (operator-check-faults (check-operator op)))
     (test-equal (named "its data") shape (tensor-shape (measurement-data m)))
     (test-equal (named "the image they make") start (operator-inverse-name op))
     (test-equal (named "of the truth's shape") '(32 24) (tensor-shape (zero-filled m)))
     ;; Not of a field's, but nearly: what was measured, as the operator has it.
     (test-approximate (named "as bright as it") 1
       (/ (tensor->number (tensor-sum (zero-filled m)))
          (tensor->number (tensor-sum (apply-forward (if (eq? name 'inpainting) op (denoising-operator '(32 24))) scan))))
       (cond ((memq #:border settings) 0.35) ((eq? name 'tomography) 0.03) (else 0.02)))
     (let-values (((again scale) (problem-measurement p (measurement-data m) #:dtype 'f32)))
       (test-equal (named "of data") (if (eq? name 'tomography) '(29 29) '(32 24)) (tensor-shape (zero-filled again))))))
 '(denoising deblurring deblurring deblurring inpainting super-resolution super-resolution super-resolution tomography)
 '("noisy" "blurred" "blurred" "blurred" "masked" "enlarged" "enlarged" "enlarged" "filtered back projection")
 '((32 24) (32 24) (32 24) (20 12) (32 24) (16 12) (8 6) (8 6) (50 43))
 '() '(#:deviation 1) '(#:kernel motion #:length 5) '(#:deviation 1.5 #:border valid) '(#:share 0.25)
 '(#:factor 2) '() '(#:kind bicubic) '(#:angles 50))

(test-error-matching "no such setting" "unknown setting deviaton; did you mean deviation?" (problem 'deblurring #:deviaton 1))
(test-error-matching "a setting that does not fit" "deviation: expected a number, deviation > 0, got -1" (problem 'deblurring #:deviation -1))
(test-error-matching "no such problem" "unknown problem debluring; did you mean deblurring? known: mri" (problem 'debluring))
(test-error-matching "a kernel larger than the image" "kernel: expected one of at most (32 24)"
  (problem-simulation (problem 'deblurring #:deviation 6) truth))
(test-error-matching "a factor that does not divide" "factor: expected a positive integer that divides (32 24)"
  (problem-simulation (problem 'super-resolution #:factor 5) truth))
(test-error-matching "negative counts" "y: expected counts of 0 or more, got -1"
  (problem-measurement (problem 'denoising) (tensor- (tensor-round truth) 11) #:dtype 'f32 #:likelihood 'poisson))
(test-error-matching "no counts" "counts, whole numbers"
  (problem-measurement (problem 'denoising) truth #:dtype 'f32 #:likelihood 'poisson))
(test-error-matching "counts of complex images" "counts are of real images" (problem-simulation (problem 'denoising) truth #:likelihood 'poisson))
(test-error-matching "noise of counts" "noise: counts have none" 
  (problem-simulation (problem 'denoising) truth #:dtype 'f32 #:likelihood 'poisson #:noise 1))
(test-error-matching "a likelihood that does not fit" "likelihood: expected one of (gaussian student-t) for this problem, got poisson"
  (problem-simulation (problem 'inpainting) truth #:likelihood 'poisson))
(test-error-matching "complex data, real images" "data: expected real numbers, as this problem makes of real images"
  (problem-measurement (problem 'denoising) (tensor-zeros '(8 8) 'c64) #:dtype 'f32))
(test-error-matching "data of one axis" "data: expected a tensor (rows columns)" (problem-measurement (problem 'denoising) (tensor-zeros '(8))))
(test-error-matching "dark data" "not 0, got a 99.9th percentile of 0.0" (problem-measurement (problem 'denoising) (tensor-zeros '(8 8))))
(test-error-matching "no type" "dtype: expected f32, c64 or #f, got f64" (identity-problem #:dtype 'f64))
(test-error-matching "no white" "white: expected a positive number, got -1" (identity-problem #:white -1))
(test-error-matching "a map of no noise" "noise: expected a positive number, or a map of them" (identity-problem #:noise (tensor-zeros '(4 4))))
(test-error-matching "no settings" "settings: expected a list" (identity-problem #:settings 3))
(test-error-matching "no operator" "operator: expected a procedure, got #f" (make-problem))
(test-error-matching "no such likelihood" "likelihoods: expected some of" (identity-problem #:likelihoods '(cauchy)))
(test-error-matching "no problem" "problem: expected one, as `make-problem' makes it, got 3" (problem-simulation 3 truth))

;;; --- The command ------------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (save-npy "scan.npy" truth)
   (save-npy "mask.npy" (random-pixels '(32 24) 0.7 #:seed 1))
   (save-npy "small-mask.npy" (random-pixels '(32 20) 0.7 #:seed 1))
   (save-npy "kernel.npy" (tensor* 3 (gaussian-kernel 1)))
   (let ((blurred (apply-forward (blur-operator (gaussian-kernel 1) '(32 24)) truth)))
     (save-npy "blurred.npy" blurred)
     (tensor-set! blurred +nan.0 3 4)
     (save-npy "holes.npy" blurred))
   (save-text "half.scm" "(define-problem half ((parity 0 (lambda (p) (<= 0 p 1)) \"which half\"))
  \"An image of which every second column is lost.\"
  (make-problem #:operator (lambda (shape seed)
                             (inpainting-operator (tensor-tabulate shape (lambda (i j) (if (= parity (modulo j 2)) 1 0)))))
                #:noise 0.02))\n")
   (save-text "none.scm" "(define-experiment none ((n 1)) n)\n")
   (define quickly "prior=gaussian chains=3 ratio=0.7 until=1")
   (define (reconstruct . words) (string-join (cons* "tempera reconstruct" words)))
   (define (summary folder . keys) (fold (lambda (key found) (assoc-ref found key)) (load-json (string-append folder "/summary.json")) keys))

   (check-shell "simulated" 0 "PSNR, dB           blurred" (reconstruct "problem=deblurring scan.npy simulate=yes deviation=1" quickly "--out=d"))
   (test-equal "its facts" '("deblurring" "blurred" #t)
     (list (summary "d" "problem") (summary "d" "start") (> (summary "d" "psnr" "sample_mean") 20)))
   (test-equal "its outcome" '(psnr blurred-psnr ssim blurred-ssim acceptance score-evaluations)
     (map car (run-outcome (open-run "d"))))
   (test-equal "real samples" '(f32 (3 32 24)) (let ((x (load-npy "d/samples.npy"))) (list (tensor-dtype x) (tensor-shape x))))
   (check-shell "again: the same bits" 0 "the same bits in result, metrics and" "tempera rerun d --out=d2")
   (check-shell "with dashes, of data, by a kernel of a file" 0 "k: mean.npy"
                (reconstruct "--problem deblurring --kernel=file --file=kernel.npy blurred.npy" quickly "--out=k"))
   (test-assert "near to what was blurred"
     (let ((mean (load-npy "k/mean.npy")))
       (< (far (tensor* (/ (summary "k" "scale")) mean) truth) 0.4)))
   (check-shell "NaN" 1 "data: 1 of their 768 numbers are NaN" (reconstruct "problem=deblurring holes.npy" quickly "--out=h"))
   (check-shell "NaN, not measured" 0 "h2: mean.npy" (reconstruct "problem=deblurring holes.npy nan-is-unmeasured=yes" quickly "--out=h2"))
   (check-shell "a script" 0 "s: mean.npy" (reconstruct "problem=half.scm parity=1 scan.npy simulate=yes" quickly "--out=s"))
   (test-equal "named as it is" "half" (summary "s" "problem"))
   (check-shell "is run again from its copy" 0 "the same bits" "mv half.scm other.scm; tempera rerun s --out=s2; s=$?; mv other.scm half.scm; (exit $s)")
   (check-shell "a sweep" 0 "noisy-psnr" "tempera sweep reconstruct problem=denoising scan.npy simulate=yes likelihood=poisson \
counts=20,500" quickly "--workers=1 --out=w")
   (test-assert "more counts, less noise" (apply < (table-column (csv->table (call-with-input-file "w/results.csv" get-string-all)) 'psnr)))
   (for-each (lambda (name status text . words) (check-shell name status text (apply reconstruct words)))
             '("its help" "a script's help" "help of all" "an option of another" "no such problem" "a script without" "no prior" "mask of another shape"
               "likelihood" "kernel without file" "no scale of simulations")
             '(0 0 0 1 1 1 1 1 1 1 1)
             '("share=0.5 " "parity=0  " "problem=mri  "
               "unknown parameter share; did you mean scale? known: problem input prior simulate kernel deviation" "unknown problem blur"
               "none.scm defines no problem" "prior: expected one of brain" "mask: small-mask.npy: expected (32 24), as the image has it, got (32 20)"
               "likelihood: expected gaussian or student-t for this problem, got poisson" "expected kernel=file and file=FILE"
               "scale: it is of data")
             '("problem=inpainting --help" "problem=half.scm --help" "--help" "problem=deblurring share=0.5 scan.npy" "problem=blur scan.npy"
               "problem=none.scm scan.npy" "problem=denoising scan.npy"
               "problem=inpainting mask=small-mask.npy prior=gaussian simulate=yes scan.npy"
               "problem=inpainting likelihood=poisson prior=gaussian simulate=yes scan.npy"
               "problem=deblurring kernel=file prior=gaussian simulate=yes scan.npy"
               "problem=denoising scale=2 prior=gaussian simulate=yes scan.npy"))))

;;; --- Stopped, and gone on with ------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (save-npy "scan.npy" truth)
   (define slowly "tempera reconstruct problem=deblurring scan.npy simulate=yes deviation=1 prior=gaussian chains=2 ratio=0.98 until=1")
   (define (stopped-by signal name out)
     (shell (format #f "~a --out=~a >said 2>&1 & p=$!; until test -s ~a/metrics.csv || ! kill -0 $p; do sleep 0.02; done; \
kill -~a $p; wait $p; s=$?; cat said; (exit $s)" slowly out out signal)))
   (define (check-same name out)
     (test-equal name '() (comparison-differences (compare-runs (open-run "whole") (open-run out)))))
   (define (rows out) (table-size (run-metrics (open-run out))))
   (check-shell "unbroken" 0 "whole: mean.npy" slowly "--out=whole")
   ;; The shell has its jobs in the background ignore SIGINT: that of Ctrl-C is tried at prompts (test-shell.scm).
   (let ((said (stopped-by "TERM" "stopped" "cut")))
     (test-equal "stopped" 143 (car said))
     (test-assert "says how to go on" (string-contains (cdr said) "cut: interrupted; go on with: tempera run --continue=cut")))
   (test-assert "with its chain" (file-exists? "cut/chain.safetensors"))
   (test-assert "on its way" (< 0 (rows "cut") (rows "whole")))
   (check-shell "goes on" 0 "cut: finished in" "tempera run --continue=cut")
   (check-same "stopped: the same bits" "cut")
   (test-equal "killed" 137 (car (stopped-by "KILL" "killed" "dead")))
   (check-shell "the same command goes on" 0 "dead: mean.npy" slowly "--out=dead")
   (check-same "killed: the same bits" "dead")

   ;; Pictures in colour: a channel at a time.
   (save-npy "colour.npy" (tensor-tabulate '(32 24 3) (lambda (i j k) (* (+ 1 k) (ref truth i j)))))
   (define quickly "prior=gaussian chains=2 ratio=0.5 until=1")
   (check-shell "in colour" 1 "colour.npy is in colour, (32 24 3), and priors are of one number a pixel: expected channel=0, 1 or 2"
                "tempera reconstruct problem=denoising colour.npy noise=1 --out=n" quickly)
   (check-shell "not in colour" 1 "channel: scan.npy is not in colour, but (32 24)"
                "tempera reconstruct problem=denoising scan.npy channel=1 noise=1 --out=m" quickly)
   (check-shell "each channel" 0 "finished" "tempera sweep reconstruct problem=denoising colour.npy channel=0,2 noise=1 scale=1"
                quickly "--workers=1 --out=w")
   (test-assert "blue is three times red"
     (apply (lambda (red blue) (< (far blue (tensor* 3 red)) 0.2))
            (map (lambda (k) (load-npy (format #f "w/points/000~a/mean.npy" k))) '(1 2))))))

;;; --- Mass mapping, and FITS -----------------------------------------------------------------

(define (constant value shape) (tensor+ value (tensor-zeros shape)))

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (define shape '(24 32))
   (define sky '("CTYPE1  = 'RA---TAN'" "CTYPE2  = 'DEC--TAN'" "CRVAL1  =             150.1163" "CRVAL2  =               2.2058"
                 "CRPIX1  =                 16.5" "CRPIX2  =                 12.5"
                 "CDELT1  =            -0.004833" "CDELT2  =             0.004833"))
   (define power (angular-power-spectrum convergence-theory shape 0.29))
   (define kappa (tensor-reshape (log-normal-fields power 1 #:seed 1) shape))
   (define mask (tensor-tabulate shape (lambda (i j) (if (and (< 3 i) (< j 28)) 1 0))))
   (define deviation (tensor-tabulate shape (lambda (i j) (cond ((= i 5) 0) ((< j 16) 0.01) (else 0.03)))))
   (define seen (tensor* mask (tensor< 0 deviation)))
   (define gamma (tensor+ (apply-forward (shear-operator shape #:dtype 'f32) kappa)
                          (tensor* deviation (random-normal shape 2 0 'c64))))
   (define (centred x) (tensor- x (tensor->number (tensor-mean x))))
   (save-fits "g1.fits" (tensor-real gamma) #:cards sky)
   (save-fits "g2.fits" (tensor-imag gamma) #:cards sky)
   (save-fits "both.fits" (real-view gamma) #:cards sky)
   (save-npy "gamma.npy" gamma)
   (save-fits "mask.fits" mask)
   (save-fits "dev.fits" deviation)
   (save-fits "small.fits" (tensor-zeros '(24 30)))
   (save-fits "kappa.fits" (centred kappa) #:cards sky)
   (define (map-of . words) (string-join (cons* "tempera reconstruct problem=mass-mapping" words)))
   (define exactly "prior=gaussian chains=60 sampler=hmc ratio=0.6 until=2")
   (define all "gamma2=g2.fits mask=mask.fits deviation=dev.fits")

   ;; The mean of samples is Wiener's map, within the errors of as many as there are, and each pixel's deviation that of its draws.
   (check-shell "of FITS" 0 "a: mean.fits std.fits, with the header of the input" (map-of "g1.fits" all exactly "--out=a"))
   (let* ((exact (wiener-draws power (measurement (composed-operator (inpainting-operator seen) (shear-operator shape #:dtype 'f32))
                                                  (tensor* seen gamma)
                                                  #:noise (tensor+ deviation (tensor* (tensor- 1 (tensor< 0 deviation)) 0.03)))
                               400 #:seed 3))
          ;; Without the mean of each map, in which all pixels go together, so that many pixels make up for few maps.
          (without-mean (lambda (x) (tensor- x (tensor-mean x '(1 2) #t))))
          (facts (lambda (x)
                   (let* ((x (without-mean x)) (centre (tensor-mean x 0)))
                     (list centre (sqrt (/ (tensor->number (tensor-sum-squares (tensor- x centre)))
                                           (1- (tensor-size x 0)) 768))))))
          (wanted (facts exact)) (got (facts (load-npy "a/samples.npy"))))
     (test-assert "the mean is Wiener's map"
       (< (sqrt (/ (tensor->number (tensor-sum-squares (tensor- (first got) (first wanted)))) 768))
          (* 1.4 (second wanted) (sqrt (+ 1/60 1/400)))))
     (test-approximate "and so is the deviation" 1 (/ (second got) (second wanted)) 0.1))
   (let-values (((image cards) (load-fits "a/mean.fits")))
     (test-assert "the same in FITS" (tensor-identical? image (load-npy "a/mean.npy")))
     (test-equal "world coordinates are kept" '(150.1163 2.2058 16.5 "DEC--TAN")
       (map (lambda (key) (fits-value cards key)) '("CRVAL1" "CRVAL2" "CRPIX1" "CTYPE2"))))
   (test-equal "convergence has its unit, and real numbers" '(1 f32)
     (list (fold (lambda (key found) (assoc-ref found key)) (load-json "a/summary.json") '("scale"))
           (tensor-dtype (load-npy "a/samples.npy"))))
   ;; The shear in other files is the same shear.
   (define quickly "prior=gaussian chains=2 ratio=0.5 until=20")
   (check-shell "both components in one" 0 "mean.fits" (map-of "both.fits mask=mask.fits deviation=dev.fits" quickly "--out=b"))
   (check-shell "two files" 0 "mean.fits" (map-of "g1.fits" all quickly "--out=c"))
   (check-shell "complex numbers" 0 "d: mean.npy" (map-of "gamma.npy mask=mask.fits deviation=dev.fits" quickly "--out=d"))
   (test-assert "the same" (tensor-identical? (load-npy "b/samples.npy") (load-npy "c/samples.npy")))
   (test-assert "all of them" (tensor-identical? (load-npy "d/samples.npy") (load-npy "c/samples.npy")))
   (test-assert "of both components the header goes too" (fits-value (call-with-values (lambda () (load-fits "b/mean.fits")) (lambda (x cards) cards))
                                                                     "CRVAL1"))
   ;; A convergence in, measured with the noise of the map; a network for the residual.
   (check-shell "simulated, with a network" 0 "PSNR, dB"
                (map-of "kappa.fits simulate=yes mask=mask.fits deviation=dev.fits prior=mass-mapping chains=2 ratio=0.7 --out=e"))
   (test-approximate "down to the least sigma of the network" 0.004
     (assoc-ref (load-json "e/summary.json") "sigma_final") 1e-6)
   (check-shell "noise, one number" 0 "mean.fits" (map-of "g1.fits gamma2=g2.fits noise=0.02" quickly "--out=f"))
   (let ((holes (tensor-real gamma)))
     (tensor-set! holes +nan.0 4 4)
     (save-fits "holes.fits" holes))
   (for-each (lambda (name text . words) (check-shell name 1 text (apply map-of quickly words)))
             '("one component" "a second component of a shape of its own" "two second components" "a mask of another shape"
               "a table without the row" "pixels of another size" "NaN" "outliers by a sampler of Gaussian noise")
             '("expected shear, complex (rows columns), or real with two components, or with the second in gamma2=FILE"
               "gamma2: small.fits: expected (24 32), as the shear has it, got (24 30)"
               "gamma2: expected a file with the first component" "mask: small.fits: expected (24 32), as the shear has it, got (24 30)"
               "row: expected one of 1 to 23, as g1.fits has, got 50"
               "pixel: the header of g1.fits has 0.28997999999999996 arcminutes, got 0.5" "data: 1 of their 768 numbers are NaN"
               "expected data that are linear in x with Gaussian noise")
             '("g1.fits noise=0.1" "g1.fits gamma2=small.fits" "both.fits gamma2=g2.fits" "g1.fits gamma2=g2.fits mask=small.fits"
               "g1.fits gamma2=g2.fits spectrum=g1.fits row=50" "g1.fits gamma2=g2.fits pixel=0.5" "holes.fits gamma2=g2.fits noise=0.1"
               "g1.fits gamma2=g2.fits likelihood=student-t noise=0.1"))
   (check-shell "NaN, not measured" 0 "mean.fits" (map-of "holes.fits gamma2=g2.fits noise=0.1 nan-is-unmeasured=yes" quickly "--out=g"))
   ;; FITS of other problems: in the units of the file.
   (save-fits "sky.fits" (tensor* 1e-3 truth) #:cards sky)
   (check-shell "FITS, denoised" 0 "h: mean.fits std.fits, with the header of the input"
                "tempera reconstruct problem=denoising sky.fits prior=gaussian chains=2 ratio=0.5 until=1 noise=1 --out=h")
   (test-assert "in its units" (< (far (load-fits "h/mean.fits") (tensor* 1e-3 truth)) 0.1))
   (save-text "no.fits" "SIMPLE  =                    T")
   (check-shell "FITS without an image" 1 "no.fits" (map-of "no.fits noise=0.1" quickly))))

(finish-tests)
