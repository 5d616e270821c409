;;; reconstruct.scm -- `tempera reconstruct': the posterior of one image, or of the slices of a scan one by one.
;;;
;;; Slices are runs of this same experiment, inside the run of the whole (run/slice-runs.scm); what they come to becomes
;;; volumes in the file's own format (data/scan-results.scm).

(define-module (tempera shell commands reconstruct)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base program)
  #:use-module (tempera data images)
  #:use-module (tempera data sampling)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera data scan-results)
  #:use-module (tempera data scans)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file values)
  #:use-module (tempera method network-files)
  #:use-module (tempera net tiles)
  #:use-module (tempera problem kspace)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem scan-measurements)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera run runs)
  #:use-module (tempera run slice-runs)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:use-module (tempera see reconstruction)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:use-module (tempera shell problems)
  #:use-module (tempera shell reconstruction-runs)
  #:use-module (tempera tensor primitives)
  #:export (main summary reconstruct experiment-for))

(define summary "sample the posterior of an image from undersampled k-space, or blurred, masked, projected")

(define (experiment-for words)
  "The experiment of the problem that WORDS name by problem=NAME or --problem=NAME, `reconstruct' where they do not."
  (let ((name (named-in words "problem")))
    (if (member name '(#f "mri")) reconstruct (named-problem name))))

(define-experiment reconstruct
  ((problem 'mri (lambda (name) (memq name '(mri)))
            (format #f "what is measured: mri, or ~a: problem=NAME --help says more; or a script that defines one"
                    (string-join (cdr (problem-names)) ", ")))
   (input (required file) (const #t)
          (format #f "measured k-space (~a; raw data of ISMRMRD and fastMRI too), or with simulate a whole image (~a, \
or a folder of DICOM slices)" (endings-text 'kspace) (endings-text 'image)))
   (prior (optional string) "the score network: the name of a shipped one, such as brain, or a .safetensors file")
   (mask (optional file) "the mask of measured k-space, (columns) or (rows columns) of 0 and 1; else what is not 0")
   (trajectory (optional file) (const #t) "where k-space off a grid was measured, (readouts samples 2), or BART's (.cfl)")
   (size (optional numbers) (lambda (size) (and (= 2 (length size)) (every (lambda (n) (and (integer? n) (> n 0))) size)))
         "ROWS,COLUMNS of the image along a trajectory; else as the header says, or as wide as the trajectory goes")
   (simulate #f "the input is a whole image: undersample its k-space and add noise")
   (acceleration 4 (lambda (r) (>= r 1)) "of the simulated mask")
   (volume (optional integer) (lambda (n) (>= n 0)) "which of several volumes in a file, from 0")
   (pattern 'random (lambda (name) (memq name '(random equispaced gaussian poisson caipirinha)))
            "of the simulated mask: random, equispaced or gaussian, of columns; poisson or caipirinha, of points")
   (partial-fourier 1. (lambda (f) (and (< 1/2 f) (<= f 1))) "the part of the columns that is acquired at most")
   (slice (optional integer) (lambda (n) (>= n 0)) "which slice of a volume, from 0")
   (slices (optional string) "several slices, FIRST-LAST, such as 10-20, or all, and volumes of what they come to")
   (workers 1 positive? "slices at a time, each in a process of its own")
   (first-axis (optional symbol) (lambda (what) (memq what '(slices coils)))
               "what the first of three axes of k-space is; coils unless given")
   (sensitivities (optional file) "of the coils, (coils rows columns); else ESPIRiT finds them in the middle of k-space")
   (calibration (optional integer) positive? "rows and columns of that middle; else all that is whole, up to 24")
   (coils (optional integer) positive? "compress to so many virtual coils first")
   (nan-is-zero #f "take NaN in an image as background, 0; else it is refused")
   (scale (optional number) "multiply k-space by this; else its zero-filled image is scaled")
   (noise (optional estimate) (const #t) "its standard deviation, on the intensity scale, or auto: by a noise scan or the \
edges of k-space; unless given 0.1, of several coils auto")
   (chains 8 positive? "samples to draw")
   (region (optional file) "0 and 1 over (rows columns): the mean over it, with its interval, goes into the summary")
   (exceeds (optional number) "write exceeds.npy, the probability that the magnitude exceeds this, on the intensity scale")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before; its square below 4")
   (until 0.046 positive? "the last temperature is the first below this")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16)))
              "of the score's products; bf16 is faster where the processor has it")
   (tile (optional integer) positive? "rows and columns that go through the network at once, to the same bits; else all")
   (seed 1 (lambda (n) (>= n 0)) "of mask, noise and chains"))
  "INPUT is measured k-space (c64, centred, 0 where not measured:
fftshift(fft2(ifftshift(x), norm=\"ortho\")) in NumPy; what is wrong with it is said), of one coil with mask=FILE,
of several, (coils rows columns), or with trajectory=FILE along any trajectory, or a whole image with simulate=yes.  Writes mean.npy, std.npy, quantiles.npy,
samples.npy, figure.png, report.html, summary.json."
  #:check (begin
            (check-that prior 'reconstruct
                        "prior: expected one of ~a, or a .safetensors file, got none"
                        (string-join (shipped-priors) ", "))
            (check-that (if simulate (not mask) (or mask trajectory (says-where? input))) 'reconstruct
                        "expected one of mask=FILE, trajectory=FILE and simulate=yes")
            (check-that (not (and trajectory (or mask simulate))) 'reconstruct
                        "trajectory: expected neither mask nor simulate beside it")
            (check-that (not (and simulate (or sensitivities calibration coils))) 'reconstruct
                        "sensitivities, calibration, coils: they are of measured k-space, expected none with simulate=yes")
            (check-that (not (and slices slice)) 'reconstruct "slices: expected none beside slice, got both")
            (check-that (not (and simulate (eq? noise 'auto))) 'reconstruct
                        "noise: expected a number, of simulated noise, got auto"))
  #:trials (trials-of (load-score-network prior) ratio until chains
                      (and slices
                           (slice-numbers 'reconstruct slices
                                          (slice-count input volume
                                                       (and (not simulate)
                                                            (parameterize ((current-output-port (%make-void-port "w")))
                                                              (scan-of input first-axis trajectory #f (const #f)))))))
                      workers)
  (let ((network (load-score-network prior #:precision precision)))
    (define (sampled out measurement truth scale doubts hook)
      (reconstruct-to out network measurement
                      #:chains chains #:seed seed #:truth truth
                      #:region (and region (region-of region (tensor-shape (zero-filled measurement)))) #:level exceeds
                      #:command (shell-text (list "tempera" "rerun" (run-path)))
                      #:settings (list #:temperatures (default-temperatures network #:ratio ratio #:until until))
                      #:checkpoint (string-append out "/chain.safetensors")
                      #:hook hook
                      #:about `(("name" . ,(basename input))
                                ("input" . ,input)
                                ("prior" . ,prior)
                                ("precision" . ,(symbol->string precision))
                                ("version" . ,tempera-version)
                                ("acceleration" . ,(if simulate acceleration (undersampling measurement)))
                                ("scale" . ,scale)
                                ("doubts" . ,(list->vector doubts)))))
    (define (of-slice scan slice scale doubt!)
      (measured scan slice noise doubt!
                #:mask (and mask (load-image mask)) #:shape (and size (map inexact->exact size)) #:scale scale #:coils coils #:calibration calibration
                #:sensitivities (and sensitivities (load-kspace sensitivities))))
    (define (one-image!)
      (let*-values (((doubt! doubts) (collector))
                    ((measurement truth scale)
                     (if simulate
                         (simulated input (one-image input (load-image input #:volume volume #:nan-is-zero? nan-is-zero) slice)
                                    (lambda (shape) (simulated-mask pattern shape acceleration partial-fourier seed))
                                    (or noise usual-noise) seed doubt!)
                         (let-values (((measurement scale)
                                       (of-slice (scan-of input first-axis trajectory slice doubt!) slice scale doubt!)))
                           (values measurement #f scale))))
                    ((results) (sampled (run-path) measurement truth scale (doubts) record-temperature!)))
        (print-results results)
        (outcome results)))
    (define (slice-by-slice!)
      (let* ((scan (and (not simulate) (scan-of input first-axis trajectory #f warn-of-doubt)))
             (numbers (slice-numbers 'reconstruct slices (slice-count input volume scan)))
             (settings (lambda ()
                         (if (or simulate scale)
                             (settings-but '(slices workers slice))
                             ;; One scale for all, or neighbours could not be compared.
                             (let-values (((_ scale) (of-slice scan (list-ref numbers (quotient (length numbers) 2)) #f
                                                               (const #f))))
                               (cons `(scale . ,scale) (settings-but '(slices workers slice scale)))))))
             (folders (slice-runs reconstruct numbers settings workers)))
        (say-warnings numbers folders)
        (for-each (lambda (number folder)
                    (record-metrics! `((slice . ,number) ,@(run-outcome (open-run folder)))))
                  numbers folders)
        (format #t "~a: ~a~%" (run-path) (string-join (save-volumes input scan volume numbers folders)))
        (slices-outcome folders)))
    (parameterize ((tile-side tile))
      (if slices (slice-by-slice!) (one-image!)))))

(define (main words)
  (let ((experiment (experiment-for words)))
    (run-command experiment words #:called (if (eq? experiment reconstruct)
                                               "reconstruct"
                                               (format #f "reconstruct problem=~a" (named-in words "problem"))))))

(define (trials-of network ratio until chains numbers workers)
  ;; Up to 16 chains on some temperatures, from the first to the last; of the slices NUMBERS, or #f, one.  The memory of fewer
  ;; chains, or of fewer temperatures, has not grown to what it comes to; that of WORKERS is each one's.
  (define (temperatures ratio)
    (schedule-length (default-temperatures network #:ratio ratio #:until until)))
  (let* ((few (min chains 8)) (more (min chains 16)) (steep 0.3) (less-steep 0.5)
         (one (if numbers
                  `((slices . ,(number->string (list-ref numbers (quotient (length numbers) 2)))) (workers . 1))
                  '())))
    `((small (chains . ,few) (ratio . ,steep) ,@one)
      (large (chains . ,more) (ratio . ,less-steep) ,@one)
      (seconds ,(* few (temperatures steep)) ,(* more (temperatures less-steep)) ,(* chains (temperatures ratio)))
      (memory ,few ,more ,chains)
      (disk ,few ,more ,chains)
      (times . ,(if numbers (ceiling-quotient (length numbers) workers) 1)))))

;;; --- What is read -----------------------------------------------------------------

(define (slice-count input volume scan)
  ;; Of the file INPUT, which holds SCAN, or with #f a volume of images.
  (if scan
      (first (raw-scan-shape scan))
      (let ((shape (plain-shape (load-image input #:volume volume))))
        (check-that (= 3 (length shape)) 'reconstruct "slices: ~a is a single image" input)
        (first shape))))

(define usual-noise 0.1)

(define (says-where? input)
  ;; Whether the file INPUT says itself where k-space was measured: several coils, which no image has, are 0
  ;; elsewhere.
  (or (memq (file-format input) '(hdf5 matlab bart))
      (let ((given (load-image input)))
        (and (eq? 'c64 (tensor-dtype given)) (= 3 (length (plain-shape given)))))))

(define (scan-of input first-axis trajectory slice doubt!)
  ;; What INPUT holds, after doubt whether the first of three axes is what it is taken for.
  (let* ((scan (load-scan input #:first-axis (or first-axis 'coils) #:trajectory trajectory))
         (shape (raw-scan-shape scan)) (slices (first shape)) (coils (second shape))
         (alike (lambda (y) (coil-coherence y (raw-scan-mask scan)))))
    (when (and (eq? 'array (raw-scan-source scan)) (raw-scan-mask scan))
      (cond ((and (> slices 1) (= coils 1))
             (let ((alike (alike (tensor-reshape (raw-scan-kspace scan) (list slices (third shape) (fourth shape))))))
               (when (and alike (> alike 0.5))
                 (doubt! (format #f "~a: its ~a slices look like coils: their edges are alike to ~,2f, where \
slices from 4 mm apart have up to 0.45" input slices alike)))))
            ((and (> coils 1) (= slices 1))
             (check-that (not slice) 'reconstruct "slice: ~a is a single image of ~a coils; if its first axis is of \
slices, say first-axis=slices" input coils)
             (let ((alike (alike (raw-scan-kspace scan 0))))
               (when (and alike (< alike 0.45))
                 (doubt! (format #f "~a: its ~a coils look like slices: their edges are alike to ~,2f, where coils \
have 0.5 or more; if they are, say first-axis=slices slice=N" input coils alike)))))))
    (check-that (or (not slice) (> slices 1)) 'reconstruct "slice: ~a is a single image" input)
    scan))

(define (simulated-mask pattern shape acceleration part seed)
  ;; For images of SHAPE, with the PART of the columns that is acquired at most.
  (define (of-size make size)
    (make size #:acceleration acceleration #:seed seed))
  (partial-fourier
   (case pattern
     ((random) (of-size random-mask (second shape)))
     ((equispaced) (of-size equispaced-mask (second shape)))
     ((gaussian) (of-size gaussian-mask (second shape)))
     ((poisson) (of-size poisson-mask shape))
     ((caipirinha)
      (check-that (integer? acceleration) 'reconstruct
                  "acceleration: expected an integer with pattern=caipirinha, got ~a" acceleration)
      ;; Steps along rows and columns, as alike as may be.
      (let ((rows (find (lambda (n) (integer? (/ acceleration n)))
                        (reverse (iota (inexact->exact (floor (sqrt acceleration))) 1)))))
        (caipirinha-mask shape #:by (list rows (inexact->exact (/ acceleration rows)))))))
   part))

(define (simulated input image mask-of noise seed doubt!)
  ;; Measurement, truth and scale; MASK-OF is a procedure from the image's shape to a mask.
  (when (and (eq? (tensor-dtype image) 'c64) (kspace-like? image))
    (doubt! (format #f "~a looks like k-space, and simulate takes an image; for measured k-space \
give its mask instead" input)))
  (let* ((scan (simulated-scan image #:seed seed))
         (greatest (lambda (image) (tensor->number (tensor-max (tensor-abs image)))))
         (op (mri-operator #:mask (mask-of (tensor-shape scan)))))
    (values (as-measurement 'reconstruct op (measure op scan #:noise noise #:seed seed) noise)
            scan (/ (greatest scan) (greatest image)))))

(define (measured scan slice noise doubt! . settings)
  ;; Measurement on the intensity scale, and the scale.
  (apply scan-measurement scan #:slice slice #:warn doubt!
         #:noise (or noise (if (> (second (raw-scan-shape scan)) 1) 'auto usual-noise))
         #:say (lambda (text) (format #t "~a~%" text))
         settings))

(define (undersampling measurement)
  ;; How many points k-space has for each that the mask measured; along a trajectory null.
  (let ((mask (operator-mask (measurement-operator measurement))))
    (if mask
        (let ((whole (tensor-broadcast mask (take-right (tensor-shape (measurement-data measurement)) 2))))
          (significant (/ 1. (tensor->number (tensor-mean whole))) 4))
        'null)))

;;; --- Slice by slice ---------------------------------------------------------------

(define (settings-but names)
  ;; Those of the run that is active, without those of NAMES.
  (remove (lambda (setting) (memq (car setting) names))
          (assq-ref (run-config (open-run (run-path))) 'settings)))

(define (summary-of folder)
  (load-json (string-append folder "/summary.json")))

(define (save-volumes input scan volume numbers folders)
  ;; Mean and standard deviation of the slices NUMBERS, of which FOLDERS are the runs, in the units of the file INPUT;
  ;; the names of the files.
  (define (in-units name)
    (lambda (number)
      (let ((folder (list-ref folders (- number (first numbers)))))
        (tensor/ (load-npy (string-append folder "/" name)) (assoc-ref (summary-of folder) "scale")))))
  (save-scan-results input scan numbers `(("mean" . ,(in-units "mean.npy")) ("std" . ,(in-units "std.npy")))
                     #:path-of run-path #:volume volume
                     #:note (format #f "tempera ~a: reconstruct ~a, slices ~a-~a" tempera-version (basename input)
                                    (first numbers) (last numbers))))

(define (slices-outcome folders)
  (let* ((outcomes (map (lambda (folder) (run-outcome (open-run folder))) folders))
         (of-all (lambda (key) (map (lambda (outcome) (assq-ref outcome key)) outcomes))))
    (filter-map (lambda (key)
                  (let ((values (of-all key)))
                    (and (every real? values)
                         (cons key (if (eq? key 'score-evaluations) (apply + values) (mean values))))))
                '(psnr ssim acceptance score-evaluations))))

(define (say-warnings numbers folders)
  ;; Each warning once, with the slices that have it.
  (let ((found '()))                    ; texts, each with its numbers
    (for-each (lambda (number folder)
                (let ((summary (summary-of folder)))
                  (for-each (lambda (text)
                              (set! found (assoc-set! found text (cons number (or (assoc-ref found text) '())))))
                            (append (vector->list (assoc-ref summary "doubts"))
                                    (vector->list (assoc-ref summary "warnings"))))))
              numbers folders)
    (for-each (lambda (entry)
                (format #t "slices ~a: ~a~%" (string-join (map number->string (reverse (cdr entry)))) (car entry)))
              (reverse found))))
