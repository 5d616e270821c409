;;; reconstruction.scm -- from a measurement to a folder of results.
;;;
;;; `reconstruct' samples the posterior of raw data at the prompt.  `reconstruct-to' also writes what comes of
;;; it; `tempera reconstruct' and the demo share it.  An image is scaled as in the paper; its posterior
;;; is sampled; samples, mean, standard deviation, a figure, a report and a summary are
;;; written.

(define-module (tempera see reconstruction)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base keywords)
  #:use-module (tempera base numbers)
  #:use-module (tempera sample diagnostics)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera data images)
  #:use-module (tempera data quality)
  #:use-module (tempera problem likelihoods)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera problem scan-measurements)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (tensor-count tensor-size))
  #:use-module (tempera see report chain)
  #:use-module (tempera see report registry)
  #:use-module (tempera sample anneal)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample chain-files)
  #:use-module (tempera sample summaries)
  #:use-module (tempera problem targets)
  #:export (reconstruct reconstruct-to summary-table))

(define (reconstruct scan prior . settings)
  "The chain that samples the posterior, under PRIOR, of one slice of SCAN, a raw scan of `load-scan' or k-space, c64
(rows columns) or (coils rows columns).  SETTINGS are keywords of `scan-measurement', as #:slice, #:mask,
#:noise, #:coils and #:calibration, and of `anneal', as #:chains and #:seed.  Images are on the intensity
scale.
Example: (reconstruct (measure (mri-operator #:mask (tensor+ 1 (tensor-zeros '(16)))) scan #:noise 1) prior #:chains 2)"
  (let*-values (((about-scan others) (split-options 'reconstruct
                                                    '(#:slice #:mask #:noise #:sensitivities #:calibration #:coils
                                                      #:scale #:warn #:say)
                                                    settings))
                ((measurement scale) (apply scan-measurement scan #:white (white-level prior) about-scan)))
    (apply anneal (posterior prior measurement) others)))

(pauses! resume! reconstruct)

(define (key name)
  ;; NAME, as of an operator's approximate inverse, as summary.json has names: zero-filled is zero_filled.
  (string-map (lambda (c) (if (memv c '(#\space #\-)) #\_ c)) name))

(define (quality measure truth start-name start mean complex-mean denoised samples)
  `((,(key start-name) . ,(measure start truth))
    ("sample_mean" . ,(measure mean truth))
    ("sample_mean_denoised" . ,(measure denoised truth))
    ("complex_mean" . ,(measure complex-mean truth))
    ("samples" . ,(list->vector (measure samples truth)))))

(define (field-quality measure truth start-name start mean complex-mean)
  ;; By fastMRI's definitions, of which a batch is one volume.
  `((,(key start-name) . ,(measure start truth))
    ("sample_mean" . ,(measure mean truth))
    ("complex_mean" . ,(measure complex-mean truth))))

(define (spread-facts samples measurement)
  ;; For the summary, and warnings of it.
  (if (and (measurement? measurement) (operator-mask (measurement-operator measurement)) (> (tensor-size samples 0) 1))
      (let-values (((measured unmeasured) (spread-by-frequency samples measurement))
                   ((noise) (measurement-noise measurement)))
        (values `(("measured" . ,measured) ("unmeasured" . ,(or unmeasured 'null)) ("noise" . ,noise))
                (cond ((spread-warning measured noise (tensor-size samples 0) (tensor-count (measurement-data measurement)))
                       => list)
                      (else '()))))
      (values 'null '())))

(define (region-facts samples region)
  (let-values (((mean low high) (region-mean samples region)))
    `(("mean" . ,mean) ("low" . ,low) ("high" . ,high) ("level" . 0.9))))

(define (anneal-over-stops target checkpoint chains hook settings)
  ;; The chain that `anneal' gives of TARGET.  It is written to the file CHECKPOINT, unless #f, now and
  ;; then and when a signal stops it; if the file is there already, it goes on from there.
  (let ((chain (if (and checkpoint (file-exists? checkpoint))
                   (apply load-chain checkpoint target settings)
                   (apply start-chain target #:chains chains settings))))
    (call-with-checkpoints
     (and checkpoint (lambda () (save-chain checkpoint chain)))
     (lambda (whole!)
       (resume! chain #:hook (lambda (chain) (hook chain) (whole!)))))))

(define* (reconstruct-to out prior measurement #:optional data
                         #:key (noise #f) (chains 8) (seed 42) (truth #f)
                         (region #f) (level #f) (about '()) (settings '()) (command #f) (hook (const #f)) (checkpoint #f))
  "Sample the posterior of PRIOR (a score network or other prior) and MEASUREMENT, or a likelihood, or an operator,
DATA and NOISE, as `posterior' takes them, and write into the folder OUT:
  samples.npy   the CHAINS samples, c64 (C H W)
  mean.npy      the mean of their magnitudes, f32 (H W)
  std.npy       the standard deviation of their magnitudes, f32 (H W)
  quantiles.npy the quantiles 0.05, 0.5 and 0.95 of their magnitudes, f32 (3 H W)
  exceeds.npy   with LEVEL, a number: the probability that the magnitude exceeds it, f32 (H W)
  figure.png    TRUTH if known, the image without a prior (zero-filled, say), mean, standard deviation, samples
  report.html   all that `write-report' has of the chain
  summary.json  PSNR, SSIM, NMSE and fastMRI's PSNR and SSIM if TRUTH is known; the mean over REGION, f32 (H W), with
                its interval of 90 %, if there is one; the spread of samples at measured and unmeasured frequencies,
                with a warning if the first is beyond the noise; cost, acceptance, settings, and the diagnosis
Returns the summary, an alist.  SETTINGS are further keywords for `anneal'; ABOUT is an
alist that goes first into the summary; COMMAND is what the report says is run to make it again.
HOOK is called with the chain at the end of each temperature.  CHECKPOINT, the name of a file or #f,
gets the chain now and then while it samples, and after Ctrl-C or SIGTERM.  If the file is there, the
chain goes on from it to the same bits: give the same arguments.  It is removed at the end.
Example: (reconstruct-to \"out/scan\" prior (measurement op y #:noise 0.1) #:truth scan)"
  (check-output 'reconstruct-to out '("samples.npy" "mean.npy" "std.npy" "quantiles.npy" "exceeds.npy"
                                      "figure.png" "report.html" "summary.json"))
  (let* ((began (seconds-now))
         (measurement (if (likelihood? measurement) measurement (as-measurement 'reconstruct-to measurement data noise)))
         (target (posterior prior measurement))
         (chain (anneal-over-stops target checkpoint chains hook (cons* #:seed seed settings)))
         (seconds (- (seconds-now) began))
         (diagnosis (diagnose chain))
         (samples (chain-samples chain))
         (start (target-start target))
         (start-name (target-start-name target))
         (complex-mean (chain-mean chain))
         (in-out (lambda (name) (string-append out "/" name))))
    (check-that (tensor-finite? samples) 'reconstruct-to
                "the samples have NaN or infinite values: the step size is too large, or the \
prior was not trained for this")
    (let*-values (((mean std) (magnitude-statistics samples))
                  ((spread spread-warnings) (spread-facts samples measurement)))
        (let* ((denoised (tensor-mean (tensor-abs (denoise chain)) 0))
               (rate (lambda (measure)
                       (quality measure truth start-name start mean complex-mean denoised samples)))
               (summary
                (append
                 about
                 (if truth
                     `(("psnr" . ,(rate psnr)) ("ssim" . ,(rate ssim))
                       ,@(map (lambda (name measure)
                                (cons name (field-quality measure truth start-name start mean complex-mean)))
                              '("nmse" "fastmri_psnr" "fastmri_ssim") (list nmse fastmri-psnr fastmri-ssim))
                       ("start" . ,start-name))
                     '())
                 (if region `(("region" . ,(region-facts samples region))) '())
                 `(("score_evaluations" . ,(chain-evaluations chain))
                   ("sigma_final" . ,(chain-sigma chain))
                   ("acceptance" . ,(chain-acceptance chain))
                   ("diagnosis" . ,(diagnosis-summary diagnosis))
                   ("warnings" . ,(list->vector (append (diagnosis-warnings diagnosis) spread-warnings)))
                   ("spread" . ,spread)
                   ("seconds" . ,seconds)
                   ("shape" . ,(list->vector (tensor-shape mean)))
                   ("noise" . ,(if (measurement? measurement) (measurement-noise measurement) 'null))
                   ("chains" . ,chains)
                   ("seed" . ,seed)))))
          (save-npy (in-out "samples.npy") samples)
          (save-npy (in-out "mean.npy") mean)
          (save-npy (in-out "std.npy") std)
          (save-npy (in-out "quantiles.npy")
                    (tensor-concatenate (map (lambda (q) (tensor-reshape (sample-quantile samples q)
                                                                         (cons 1 (tensor-shape mean))))
                                             '(0.05 0.5 0.95))
                                        0))
          (when level (save-npy (in-out "exceeds.npy") (exceedance samples level)))
          (save-figure (in-out "figure.png")
                       (posterior-panels #:truth truth #:start start #:start-name start-name #:mean mean
                                         #:std std #:samples samples))
          (write-report chain (in-out "report.html") #:truth truth #:command command
                        #:title (assoc-ref about "name"))
          (save-json (in-out "summary.json") summary) ; last: where it is all is
          (when (and checkpoint (file-exists? checkpoint)) (delete-file checkpoint))
          summary))))

(define (decibels x)
  (if (finite? x) (format #f "~,2f" x) "inf"))

(define (summary-table summaries)
  "The PSNRs of SUMMARIES, a list of what `reconstruct-to' returned with the truth known,
as the lines of a table: of the image without a prior, which all have by the same name, and of what was sampled.
Example: (display (summary-table (list (reconstruct-to \"out/one\" prior op y #:truth scan #:chains 2))))"
  (define start-name (or (and (pair? summaries) (assoc-ref (first summaries) "start")) "zero-filled"))
  (define (row name start mean samples denoised)
    (string-append (string-pad-right name 14) (string-pad start (max 12 (+ 2 (string-length start-name))))
                   (string-pad mean 12) (string-pad samples 20) (string-pad denoised 12)))
  (cons (row "PSNR, dB" start-name "mean" "samples" "mean, EDS")
        (map (lambda (summary)
               (let* ((psnrs (assoc-ref summary "psnr"))
                      (field (lambda (key) (decibels (assoc-ref psnrs key))))
                      (samples (vector->list (assoc-ref psnrs "samples"))))
                 (row (or (assoc-ref summary "name") "")
                      (field (key start-name)) (field "sample_mean")
                      (format #f "~a to ~a" (decibels (apply min samples))
                              (decibels (apply max samples)))
                      (field "sample_mean_denoised"))))
             summaries)))
