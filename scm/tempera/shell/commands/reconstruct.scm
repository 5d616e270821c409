;;; reconstruct.scm -- `tempera reconstruct': the posterior of one image, or of the slices of a scan one by one.
;;;
;;; Of a scan each slice has a folder, whose summary.json is written last: a run that goes on leaves alone the slices that have
;;; one, and samples the one where it was stopped from its checkpoint on.

(define-module (tempera shell commands reconstruct)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module ((tempera base progress) #:select (duration-text))
  #:use-module (tempera base program)
  #:use-module (tempera data images)
  #:use-module (tempera data sampling)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera data scans)
  #:use-module (tempera file formats)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file values)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem kspace)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem scan-measurements)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
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
   (simulate #f "the input is a whole image: undersample its k-space and add noise")
   (acceleration 4 (lambda (r) (>= r 1)) "of the simulated mask")
   (volume (optional integer) (lambda (n) (>= n 0)) "which of several volumes in a file, from 0")
   (pattern 'random (lambda (name) (memq name '(random equispaced gaussian poisson caipirinha)))
            "of the simulated mask: random, equispaced or gaussian, of columns; poisson or caipirinha, of points")
   (partial-fourier 1. (lambda (f) (and (< 1/2 f) (<= f 1))) "the part of the columns that is acquired at most")
   (slice (optional integer) (lambda (n) (>= n 0)) "which slice of a volume, from 0")
   (slices (optional string) "of measured k-space, one after the other: FIRST-LAST, such as 10-20, or all")
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
   (seed 1 (lambda (n) (>= n 0)) "of mask, noise and chains"))
  "INPUT is measured k-space (c64, centred, 0 where not measured:
fftshift(fft2(ifftshift(x), norm=\"ortho\")) in NumPy; what is wrong with it is said), of one coil with mask=FILE,
or of several, (coils rows columns), or a whole image with simulate=yes.  Writes mean.npy, std.npy, quantiles.npy,
samples.npy, figure.png, report.html, summary.json."
  #:check (begin
            (check-that prior 'reconstruct
                        "prior: expected one of ~a, or a .safetensors file, got none"
                        (string-join (shipped-priors) ", "))
            (check-that (if simulate (not mask) (or mask (says-where? input))) 'reconstruct
                        "expected either mask=FILE or simulate=yes")
            (check-that (not (and simulate (or sensitivities calibration coils))) 'reconstruct
                        "sensitivities, calibration, coils: they are of measured k-space, expected none with simulate=yes")
            (check-that (not (and slices (or simulate slice))) 'reconstruct
                        "slices: they are of measured k-space, expected neither simulate nor slice beside them")
            (check-that (not (and simulate (eq? noise 'auto))) 'reconstruct
                        "noise: expected a number, of simulated noise, got auto"))
  #:trials (trials-of (load-score-network prior) ratio until chains input slices)
  (let ((network (load-score-network prior #:precision precision)))
    (define (sampled out measurement truth scale doubts hook)
      (reconstruct-to out network measurement
                      #:chains chains #:seed seed #:truth truth
                      #:region (and region (region-of region (take-right (tensor-shape (measurement-data measurement)) 2))) #:level exceeds
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
                #:mask (and mask (load-image mask)) #:scale scale #:coils coils #:calibration calibration
                #:sensitivities (and sensitivities (load-kspace sensitivities))))
    (define (one-image!)
      (let*-values (((doubt! doubts) (collector))
                    ((measurement truth scale)
                     (if simulate
                         (simulated input (one-image input (load-image input #:volume volume #:nan-is-zero? nan-is-zero) slice)
                                    (lambda (shape) (simulated-mask pattern shape acceleration partial-fourier seed))
                                    (or noise usual-noise) seed doubt!)
                         (let-values (((measurement scale)
                                       (of-slice (scan-of input first-axis slice doubt!) slice scale doubt!)))
                           (values measurement #f scale))))
                    ((results) (sampled (run-path) measurement truth scale (doubts) record-temperature!)))
        (print-results results)
        (outcome results)))
    (define (whole-scan!)
      (let*-values (((doubt! doubts) (collector))
                    ((scan) (scan-of input first-axis #f doubt!))
                    ((numbers) (slice-numbers slices (first (raw-scan-shape scan))))
                    ;; One scale for all, or neighbours could not be compared.
                    ((_ scale) (if scale
                                   (values #f scale)
                                   (of-slice scan (list-ref numbers (quotient (length numbers) 2)) #f (const #f)))))
        (slice-by-slice numbers
                        (lambda (slice out)
                          (let*-values (((doubt! of-this) (collector))
                                        ((measurement scale) (of-slice scan slice scale doubt!)))
                            (sampled out measurement #f scale (append (doubts) (of-this)) (const #f)))))
        (format #t "~a: ~a~%" (run-path) (string-join (save-volume input numbers)))
        (slices-outcome numbers)))
    (if slices (whole-scan!) (one-image!))))

(define (main words)
  (let ((experiment (experiment-for words)))
    (run-command experiment words #:called (if (eq? experiment reconstruct)
                                               "reconstruct"
                                               (format #f "reconstruct problem=~a" (named-in words "problem"))))))

(define (trials-of network ratio until chains input slices)
  ;; Up to 16 chains on some temperatures, from the first to the last; of a scan one slice.  The memory of fewer chains, or of fewer
  ;; temperatures, has not grown to what it comes to.
  (define (temperatures ratio)
    (schedule-length (default-temperatures network #:ratio ratio #:until until)))
  (let* ((few (min chains 8)) (more (min chains 16)) (steep 0.3) (less-steep 0.5)
         (numbers (if slices
                      (slice-numbers slices (first (raw-scan-shape
                                                    (parameterize ((current-output-port (%make-void-port "w")))
                                                      (load-scan input #:first-axis 'slices)))))
                      '(0)))
         (one (if slices `((slices . ,(number->string (list-ref numbers (quotient (length numbers) 2))))) '())))
    `((small (chains . ,few) (ratio . ,steep) ,@one)
      (large (chains . ,more) (ratio . ,less-steep) ,@one)
      (seconds ,(* few (temperatures steep)) ,(* more (temperatures less-steep)) ,(* chains (temperatures ratio)))
      (memory ,few ,more ,chains)
      (disk ,few ,more ,chains)
      (times . ,(length numbers)))))

;;; --- What is read -----------------------------------------------------------------

(define usual-noise 0.1)

(define (says-where? input)
  ;; Whether the file INPUT says itself where k-space was measured: several coils, which no image has, are 0
  ;; elsewhere.
  (or (memq (file-format input) '(hdf5 matlab bart))
      (let ((given (load-image input)))
        (and (eq? 'c64 (tensor-dtype given)) (= 3 (length (plain-shape given)))))))

(define (scan-of input first-axis slice doubt!)
  ;; What INPUT holds, after doubt whether the first of three axes is what it is taken for.
  (let* ((scan (load-scan input #:first-axis (or first-axis 'coils)))
         (shape (raw-scan-shape scan)) (slices (first shape)) (coils (second shape))
         (alike (lambda (y) (coil-coherence y (raw-scan-mask scan)))))
    (when (eq? 'array (raw-scan-source scan))
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
  ;; Measurement, truth and no scale; MASK-OF is a procedure from the image's shape to a mask.
  (when (and (eq? (tensor-dtype image) 'c64) (kspace-like? image))
    (doubt! (format #f "~a looks like k-space, and simulate takes an image; for measured k-space \
give its mask instead" input)))
  (let* ((scan (simulated-scan image #:seed seed))
         (op (mri-operator #:mask (mask-of (tensor-shape scan)))))
    (values (as-measurement 'reconstruct op (measure op scan #:noise noise #:seed seed) noise)
            scan 'null)))

(define (measured scan slice noise doubt! . settings)
  ;; Measurement on the intensity scale, and the scale.
  (apply scan-measurement scan #:slice slice #:warn doubt!
         #:noise (or noise (if (> (second (raw-scan-shape scan)) 1) 'auto usual-noise))
         #:say (lambda (text) (format #t "~a~%" text))
         settings))

(define (undersampling measurement)
  ;; How many points k-space has for each that the mask measured.
  (let ((mask (tensor-broadcast (operator-mask (measurement-operator measurement))
                                (take-right (tensor-shape (measurement-data measurement)) 2))))
    (significant (/ 1. (tensor->number (tensor-mean mask))) 4)))

;;; --- Slice by slice ---------------------------------------------------------------

(define (slice-numbers text count)
  ;; Those that TEXT names of COUNT slices.
  (let* ((numbers (map string->number (string-split text #\-)))
         (from (if (string=? text "all") 0 (first numbers)))
         (to (if (string=? text "all") (1- count) (last numbers))))
    (check-that (and (<= (length numbers) 2) (exact-integer? from) (exact-integer? to) (<= 0 from to) (< to count)) 'reconstruct
                "slices: expected all, or FIRST-LAST from 0 to ~a, got ~a" (1- count) text)
    (iota (1+ (- to from)) from)))

(define (slice-folder slice)
  (let ((name (number->string slice)))
    (run-path (string-append "slice-" (make-string (max 0 (- 4 (string-length name))) #\0) name))))

(define (slice-summary slice)
  (load-json (string-append (slice-folder slice) "/summary.json")))

(define (slice-by-slice numbers reconstruct-slice)
  ;; Call (RECONSTRUCT-SLICE slice folder) for those of NUMBERS that are not done, and record a row of each.
  (define (done? slice) (file-exists? (string-append (slice-folder slice) "/summary.json")))
  (let ((start (seconds-now)) (undone (count (negate done?) numbers)))
    (fold (lambda (slice made)
            (let ((new? (not (done? slice))))
              (when new?
                (make-directories (slice-folder slice))
                (print-diagnosis (reconstruct-slice slice (slice-folder slice))))
              (let ((summary (slice-summary slice)) (made (if new? (1+ made) made)))
                (record-metrics! `((slice . ,slice)
                                   (acceptance . ,(assoc-ref summary "acceptance"))
                                   (score-evaluations . ,(assoc-ref summary "score_evaluations"))))
                (when new?
                  (format #t "slice ~a: ~a of ~a done, ~a left~%" slice (- (length numbers) (- undone made)) (length numbers)
                          (duration-text (* (- undone made) (/ (- (seconds-now) start) made))))
                  (force-output))
                made)))
          0 numbers)))

(define (save-volume input numbers)
  ;; Mean and standard deviation of the slices NUMBERS in the units of the file INPUT, f32 (slices rows columns); the
  ;; names of the files.  In HDF5 the mean is called as fastMRI's evaluation reads it.
  (define (volume name)
    (tensor-concatenate
     (map (lambda (slice)
            (let ((image (load-npy (string-append (slice-folder slice) "/" name))))
              (tensor-reshape (tensor/ image (assoc-ref (slice-summary slice) "scale")) (cons 1 (tensor-shape image)))))
          numbers)
     0))
  (cond ((eq? 'hdf5 (file-format input))
         (save-hdf5 (run-path "reconstruction.h5") `(("reconstruction" . ,(volume "mean.npy")) ("std" . ,(volume "std.npy"))))
         '("reconstruction.h5"))
        (else
         (for-each (lambda (name) (save-npy (run-path name) (volume name))) '("mean.npy" "std.npy"))
         '("mean.npy" "std.npy"))))

(define (slices-outcome numbers)
  (let ((of-all (lambda (key) (map (lambda (slice) (assoc-ref (slice-summary slice) key)) numbers))))
    `((acceptance . ,(mean (of-all "acceptance")))
      (score-evaluations . ,(apply + (of-all "score_evaluations"))))))
