;;; mass-mapping.scm -- a map of dark matter and what is not known of it, from the shear of galaxies in the COSMOS field.
;;;
;;;   tempera run experiments/mass-mapping.scm data=FOLDER
;;;   tempera run experiments/mass-mapping.scm data=FOLDER field=cosmos
;;;
;;; The field `twin' is a simulation (kappaTNG) with COSMOS's mask and noise, of which the truth is known: the maps of
;;; Kaiser and Squires, of Wiener's filter, of sparsity in wavelets and the mean of the posterior are compared with it.
;;; The field `cosmos' is what the Hubble Space Telescope measured.  The prior is the Gaussian field of the theoretical
;;; power spectrum and the residual that experiments/train-mass-mapping.scm has learned.  It leaves
;;;
;;;   mean.fits, std.fits   mean and standard deviation of the posterior, in the convergence kappa
;;;   samples.fits          its samples
;;;   peaks.fits            for three planes the probability that kappa, smoothed, is above 3, 4, 5 times the noise that a
;;;                         smoothed map of Kaiser and Squires has
;;;   peaks.csv             the ten highest peaks of the mean, and these probabilities there
;;;   wiener.fits, kaiser-squires.fits
;;;   summary.json          with, of the twin, errors and correlations of all methods, and the coverage
;;;   figure.png

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define pixel 0.29)                     ; arcminutes

;;; --- Data ----------------------------------------------------------------------------

(define files
  '((shear-1 . "cosmos_full_e1_0.29arcmin360.fits") (shear-2 . "cosmos_full_e2_0.29arcmin360.fits")
    (mask . "cosmos_full_mask_0.29arcmin360.fits") (noise-1 . "std1.fits") (noise-2 . "std2.fits")
    (twin . "ktng_cosmos_e360.fits") (truth . "ktng_cosmos_kappa360.fits")
    (theory . "mnu0.0_Maps10_PS_theory.npy")))

(define (data-file folder name)
  (let ((path (string-append folder "/" (assq-ref files name))))
    (check-that (file-exists? path) 'mass-mapping "data: expected a folder with ~a, got ~s; it is in data/COSMOS, data/ktng \
and data/massivenu of https://github.com/CosmoStat/jax-lensing (commit 81da742, MIT licence)" (assq-ref files name) folder)
    path))

(define (complex-of real imaginary)
  (tensor+ real (tensor* +i imaginary)))

(define (shear-of folder field)
  "gamma_1 + i gamma_2 as measured, c64 (H W)."
  (if (eq? field 'twin)
      (complex-view (load-fits (data-file folder 'twin))) ; (H W 2)
      (complex-of (load-fits (data-file folder 'shear-1)) (load-fits (data-file folder 'shear-2)))))

(define (theory-of folder row)
  (let ((table (load-npy (data-file folder 'theory))))
    (tensor-concatenate (list (tensor-slice table 0 0 1) (tensor-slice table 0 row (1+ row))) 0)))

(define (mean-where mask x)
  (/ (tensor->number (tensor-sum (tensor* mask x))) (tensor->number (tensor-sum mask))))

(define (noise-of folder mask shear)
  "The standard deviation of noise in each part of SHEAR: the mean of the two maps that come with it, any number where
nothing was measured, times the number that makes the mean square of SHEAR what it is.  (The noise of the twin is 1.2 times what the
maps say, that of COSMOS 1.03; the shear that mass makes is a fiftieth of the mean square.)"
  (let* ((square (lambda (name) (tensor-square (load-fits (data-file folder name)))))
         (inside (tensor* mask (tensor-sqrt (tensor/ (tensor+ (square 'noise-1) (square 'noise-2)) 2))))
         (given (tensor+ inside (tensor* (mean-where mask inside) (tensor- 1 mask))))
         (factor (sqrt (/ (mean-where mask (tensor-square (tensor-abs (tensor/ shear given)))) 2))))
    (format #t "noise is ~,2f times what its maps say~%" factor)
    (tensor* factor given)))

;;; --- What is said of maps ---------------------------------------------------------------

(define (against truth mask map)
  "Root mean square of the error of MAP inside MASK, and Pearson's correlation; both without the means, which shear does
not measure."
  (let* ((centred (lambda (x) (tensor- x (mean-where mask x))))
         (a (centred map)) (b (centred truth))
         (dot (lambda (a b) (mean-where mask (tensor* a b))))
         (difference (tensor- a b)))
    (list (sqrt (dot difference difference)) (/ (dot a b) (sqrt (* (dot a a) (dot b b)))))))

(define (best-by-error maps truth mask)
  "Of MAPS, pairs of a setting and a map, that with the least error."
  (let ((error (lambda (entry) (first (against truth mask (cdr entry))))))
    (fold (lambda (entry best) (if (< (error entry) (error best)) entry best)) (first maps) (cdr maps))))

(define (t-quantile n)
  "The 95 % point of Student's t with N - 1 degrees of freedom, by Cornish and Fisher's series."
  (let ((nu (max 2 (1- n))) (z 1.6449))
    (+ z (/ (+ (expt z 3) z) (* 4 nu))
       (/ (+ (* 5 (expt z 5)) (* 16 (expt z 3)) (* 3 z)) (* 96 nu nu)))))

(define (covered truth mask mean-map std samples)
  "The share of MASK in which TRUTH lies in the 90 % interval for one more of SAMPLES."
  (let* ((n (tensor-size samples 0))
         (half-width (tensor* (* (t-quantile n) (sqrt (+ 1 (/ 1. n)))) std)))
    (mean-where mask (tensor< (tensor-abs (tensor- truth mean-map)) half-width))))

(define (smoothed x smoothing)
  (tensor-real (kaiser-squires (apply-forward (shear-operator (tensor-shape x)) (complex-of x (tensor* 0 x)))
                               #:smoothing smoothing)))

(define (planes samples)
  (map (lambda (k) (tensor-reshape (tensor-copy (tensor-slice samples 0 k (1+ k))) (cdr (tensor-shape samples))))
       (iota (tensor-size samples 0))))

(define (stack images)
  (tensor-concatenate (map (lambda (x) (tensor-reshape x (cons 1 (tensor-shape x)))) images) 0))

(define (noise-maps noise mask count)
  "Shear that is noise alone, COUNT of them."
  (map (lambda (k) (tensor* (tensor* mask noise) (random-normal (tensor-shape mask) (+ 1000 k) 0 'c64))) (iota count)))

(define (highest map mask count apart)
  "Rows and columns of the COUNT highest places of MAP inside MASK, none within APART pixels of a higher one."
  (let* ((columns (tensor-size map 1))
         (values (list->vector (tensor->list (tensor- (tensor* mask (tensor+ map 1)) 1))))
         (places (sort (iota (vector-length values)) (lambda (a b) (> (vector-ref values a) (vector-ref values b))))))
    (let next ((places places) (found '()))
      (if (or (null? places) (= (length found) count))
          (reverse found)
          (let ((row (quotient (car places) columns)) (column (modulo (car places) columns)))
            (next (cdr places)
                  (if (every (lambda (place) (> (+ (expt (- row (first place)) 2) (expt (- column (second place)) 2))
                                                (* apart apart)))
                             found)
                      (cons (list row column) found)
                      found)))))))

;;; --- Sampling ---------------------------------------------------------------------------

(define (mass-of noise mask)
  "1 / sigma^2 and the greatest precision of the data, everywhere: no curvature of the posterior is above it."
  (let ((precision (tensor->number (tensor-max (tensor/ mask (tensor-square noise))))))
    (lambda (sigma) (diagonal-mass (+ precision (/ (* sigma sigma)))))))

(define (sample prior power measurement noise mask sampler chains from until ratio seed)
  "A chain from draws of the Gaussian field's posterior: at FROM the network knows next to nothing that it does not."
  (let ((start (tensor+ (wiener-draws power measurement chains #:seed seed)
                        (tensor* from (random-normal (cons chains (tensor-shape mask)) (+ seed 1) 0)))))
    (apply anneal (posterior prior measurement) #:start start #:chains chains #:seed seed
            #:temperatures (geometric from #:ratio ratio #:until until)
            #:keep #f
            (case sampler
              ((hmc) (list #:mass (mass-of noise mask)))
              (else (list #:sampler (reverse-diffusion) #:transitions-per-temperature 1))))))

;;; --- The experiment -----------------------------------------------------------------------

(define-experiment mass-mapping
    ((data "" string? "folder of the FITS files")
     (field 'twin (lambda (f) (memq f '(twin cosmos))) "twin, a simulation, or cosmos")
     (prior "mass-mapping" string? "the residual: a name or a file; none: the Gaussian field alone")
     (row 5 positive? "which row of the theory is C_l")
     (sampler 'reverse-diffusion (lambda (s) (memq s '(reverse-diffusion hmc))) "reverse-diffusion or hmc")
     (wavelets #t boolean? "of the twin, compare with sparsity, which takes some minutes")
     (chains 8 (lambda (n) (> n 1)) "how many")
     (from 0.2 positive? "the first temperature")
     (until 0.004 positive? "the last")
     (ratio 0.9 (lambda (r) (< 0 r 1)) "between temperatures")
     (smoothing 4 positive? "pixels, of what is called a peak")
     (seed 42 (lambda (s) (>= s 0)) "of the chains"))
  "Sample the convergence of a field from its shear."
  (let* ((mask (load-fits (data-file data 'mask)))
         (shape (tensor-shape mask))
         (shear (tensor* mask (shear-of data field)))
         (truth (and (eq? field 'twin) (load-fits (data-file data 'truth))))
         (noise (noise-of data mask shear))
         (power (angular-power-spectrum (theory-of data row) shape pixel))
         (op (composed-operator (inpainting-operator mask) (shear-operator shape #:dtype 'f32)))
         (measured (measurement op shear #:noise noise))
         ;; Turned by 45 degrees shear of B modes is one of E modes.
         (turned (measurement op (tensor* -i shear) #:noise noise))
         (wiener (wiener-filter power measured))
         (rms (lambda (x) (sqrt (mean-where mask (tensor-square x)))))
         (b-mode (rms (wiener-filter power turned)))
         ;; What B modes are found where there are none: noise, and E modes that the mask cuts.
         (null (map (lambda (kappa n)
                      (let ((mock (tensor* mask (tensor+ (apply-forward op kappa) n))))
                        (rms (wiener-filter power (measurement op (tensor* -i mock) #:noise noise)))))
                    (planes (prior-draw (gaussian-prior power #:dtype 'f32) 16 #:seed seed))
                    (noise-maps noise mask 16)))
         (chain (sample (if (string=? prior "none")
                            (gaussian-prior power #:dtype 'f32)
                            (hybrid-prior power (load-network prior) #:dtype 'f32))
                        power measured noise mask sampler chains from until ratio seed))
         (samples (denoise chain))
         (mean-map (tensor-mean samples 0))
         (std (tensor-sqrt (tensor/ (tensor-sum-squares (tensor- samples mean-map) 0) (1- chains))))
         (peak-noise (let ((maps (map (lambda (n) (tensor-real (kaiser-squires n #:smoothing smoothing)))
                                      (noise-maps noise mask 16))))
                       (tensor-sqrt (tensor/ (tensor-sum-squares (stack maps) 0) 16))))
         (smooth-samples (stack (map (lambda (x) (smoothed x smoothing)) (planes samples))))
         (above (map (lambda (k) (tensor* mask (tensor-mean (tensor< (tensor* k peak-noise) smooth-samples) 0))) '(3 4 5)))
         (peaks (highest (smoothed mean-map smoothing) mask 10 (* 3 smoothing)))
         (ks (map (lambda (s) (cons s (tensor-real (kaiser-squires shear #:smoothing s)))) (if truth '(2 3 4 5 6 8) (list smoothing))))
         (ks (if truth (best-by-error ks truth mask) (first ks)))
         (sparse (and truth wavelets
                      (best-by-error (map (lambda (w) (cons w (wavelet-reconstruction measured #:weight w #:iterations 60)))
                                          '(0.2 0.35 0.6 1))
                                     truth mask)))
         (methods (and truth
                       (filter-map (lambda (name map) (and map (cons name (against truth mask map))))
                                   '("kaiser-squires" "wiener" "wavelets" "posterior mean")
                                   (list (cdr ks) wiener (and=> sparse cdr) mean-map))))
         (summary `(("field" . ,(symbol->string field))
                    ("wiener_rms" . ,(rms wiener)) ("wiener_rms_of_b_mode" . ,b-mode)
                    ("wiener_rms_of_b_mode_null" . ,(list->vector null))
                    ("evaluations" . ,(chain-evaluations chain)) ("acceptance" . ,(chain-acceptance chain))
                    ("smoothing_kaiser_squires" . ,(car ks))
                    ,@(if truth
                          `(,@(append-map (lambda (method)
                                          (list (cons (string-append "error " (first method)) (second method))
                                                (cons (string-append "correlation " (first method)) (third method))))
                                        methods)
                            ("weight_wavelets" . ,(if sparse (car sparse) 'null))
                            ("coverage_90" . ,(covered truth mask mean-map std samples)))
                          '()))))
    (format #t "rms of Wiener's map ~,4f, of B modes ~,4f, of B modes where there are none ~,4f to ~,4f~%"
            (rms wiener) b-mode (apply min null) (apply max null))
    (for-each (lambda (method) (format #t "~16a error ~,5f  correlation ~,3f~%" (first method) (second method) (third method)))
              (or methods '()))
    (when truth (format #t "90 % intervals hold ~,1f % of the truth~%" (* 100 (assoc-ref summary "coverage_90"))))
    (for-each (lambda (name map) (save-fits (run-path (string-append name ".fits")) map #:note "tempera, experiments/mass-mapping.scm"))
              '("mean" "std" "samples" "wiener" "kaiser-squires" "peaks")
              (list mean-map std samples wiener (cdr ks) (stack above)))
    (save-table (run-path "peaks.csv")
                (table '(row column kappa deviation above-3 above-4 above-5)
                       (map (lambda (place)
                              (let ((at (lambda (t) (apply tensor-ref t place))))
                                (append place (list (at (smoothed mean-map smoothing)) (at std)) (map at above))))
                            peaks)))
    (save-json (run-path "summary.json") summary)
    (save-figure (run-path "figure.png")
                 (map (lambda (title image low high colours)
                        (panel title image #:part 'real #:low low #:high high #:colours colours #:bar? #t))
                      (list (if truth "truth" "mask") (format #f "Kaiser-Squires, ~a pixels" (car ks)) "Wiener"
                            "posterior mean" "a sample" "standard deviation" "P(3 sigma)" "P(5 sigma)")
                      (list (or truth mask) (cdr ks) wiener mean-map (first (planes samples)) std (first above) (third above))
                      (list (if truth -0.02 0) -0.02 -0.02 -0.02 -0.02 0 0 0)
                      (list (if truth 0.1 1) 0.1 0.1 0.1 0.1 0.04 1 1)
                      '(heat heat heat heat heat heat grey grey)))
    summary))
