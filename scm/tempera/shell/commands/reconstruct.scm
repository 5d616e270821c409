;;; reconstruct.scm -- `tempera reconstruct': the posterior of one image.

(define-module (tempera shell commands reconstruct)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base program)
  #:use-module (tempera shell cli)
  #:use-module (tempera data scans)
  #:use-module (tempera base errors)
  #:use-module (tempera file programs)
  #:use-module (tempera file formats)
  #:use-module (tempera data images)
  #:use-module (tempera problem measurements)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera see reconstruction)
  #:use-module (tempera sample settings)
  #:export (main summary))

(define summary "sample the posterior of an image from undersampled k-space")

(define options
  `((prior string "the score network: the name of a shipped one, such as brain, or a .safetensors file")
    (mask string "the mask of measured k-space, (columns) or (rows columns) of 0 and 1")
    (simulate flag "INPUT is a whole image: undersample its k-space and add noise")
    (acceleration number "of the simulated mask" 4 ,(lambda (r) (>= r 1)))
    (slice integer "which slice of a volume, from 0")
    (first-axis symbol "what the first of three axes of k-space is: slices; coils are not \
reconstructed together yet")
    (nan-is-zero flag "take NaN in an image as background, 0; else it is refused")
    (scale number "multiply k-space by this; else its zero-filled image is scaled")
    (noise number "its standard deviation, on the intensity scale" 0.1 ,positive?)
    (chains integer "samples to draw" 8 ,positive?)
    (ratio number "of one temperature to the one before; its square below 4" 0.9
           ,(lambda (r) (< 0 r 1)))
    (until number "the last temperature is the first below this" 0.046 ,positive?)
    (precision symbol "of the score's products: float32, or bf16, faster where the processor has it"
               float32 ,(lambda (name) (memq name '(float32 bf16))))
    (seed integer "of mask, noise and chains" 1 ,(lambda (n) (>= n 0)))
    (out string "the folder for the results" "out")))

(define files                           ; that it writes
  '("mean.npy" "std.npy" "samples.npy" "figure.png" "report.html" "summary.json"))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "reconstruct" options arguments #:operands "INPUT" #:count 1
                               #:summary "INPUT is measured k-space with --mask (c64 .npy, centred, 0 where not measured:
fftshift(fft2(ifftshift(x), norm=\"ortho\")) in NumPy; what is wrong with it is said)
or a whole image with --simulate (.npy, .png, .nii, .nii.gz, .dcm or a folder of
DICOM slices).  Writes mean.npy, std.npy, samples.npy, figure.png, report.html,
summary.json.")))
    (let* ((ref (lambda (name) (assq-ref options name)))
           (input (first operands))
           (given (load-image input #:nan-is-zero? (ref 'nan-is-zero)))
           (doubts '()))
      (define (doubt! text)
        (format (current-error-port) "warning: ~a~%" text)
        (set! doubts (append doubts (list text))))
      (check-that (ref 'prior) 'reconstruct "--prior: expected one of ~a, or a .safetensors file, got none"
                  (string-join (shipped-priors) ", "))
      (check-that (if (ref 'simulate) (not (ref 'mask)) (ref 'mask)) 'reconstruct
                  "expected either --mask=FILE or --simulate")
      (check-that (memq (ref 'first-axis) '(#f slices coils)) 'reconstruct
                  "--first-axis: expected slices or coils, got ~a" (ref 'first-axis))
      (unless (ref 'simulate)
        (check-first-axis input given (ref 'first-axis) (load-image (ref 'mask)) doubt!))
      (let*-values (((image) (one-image input given (ref 'slice)))
                    ((prior) (load-score-network (ref 'prior) #:precision (ref 'precision)))
                    ((op y truth scale) (if (ref 'simulate)
                                            (simulate image (ref 'acceleration) (ref 'noise)
                                                      (ref 'seed))
                                            (measured image (load-image (ref 'mask))
                                                      (ref 'scale) (ref 'noise) doubt!))))
        (let ((results
                (call-saying-results (ref 'out) files
                 (lambda ()
                  (reconstruct-to (ref 'out) prior op y #:noise (ref 'noise)
                                  #:chains (ref 'chains) #:seed (ref 'seed) #:truth truth
                                  #:command (shell-text (cons* "tempera" "reconstruct" arguments))
                                  #:settings (list #:temperatures
                                                   (default-temperatures prior #:ratio (ref 'ratio)
                                                                         #:until (ref 'until)))
                                  #:about `(("name" . ,(basename input))
                                            ("input" . ,input)
                                            ("prior" . ,(ref 'prior))
                                            ("precision" . ,(symbol->string (ref 'precision)))
                                            ("version" . ,tempera-version)
                                            ("acceleration" . ,(if truth (ref 'acceleration) 'null))
                                            ("scale" . ,scale)
                                            ("doubts" . ,(list->vector doubts))))))))
          (when truth
            (for-each (lambda (line) (format #t "~a~%" line)) (summary-table (list results))))
          (print-diagnosis results)
          (format #t "~a: ~a~%" (ref 'out) (string-join files)))))))

(define (plain-shape tensor)
  ;; The lengths of TENSOR without those of 1 before its last two.
  (let loop ((shape (tensor-shape tensor)))
    (if (and (> (length shape) 2) (= 1 (car shape))) (loop (cdr shape)) shape)))

(define (check-first-axis input given first-axis mask doubt!)
  ;; Refuse k-space of several coils; its first axis is that of slices only if that is said.
  (let ((shape (plain-shape given)))
    (when (and (= 3 (length shape)) (eq? (tensor-dtype given) 'c64))
      (check-that (eq? first-axis 'slices) 'reconstruct
                  "~a has the shape ~a: several coils are not reconstructed together yet; if its first \
axis is of slices, say --first-axis=slices --slice=N, and for one coil choose it before" input shape)
      (let* ((mask (operator-normal-diagonal (mri-operator #:mask mask #:shape (cdr shape))))
             (alike (coil-coherence (tensor-reshape given shape) mask)))
        (when (and alike (> alike 0.5))
          (doubt! (format #f "~a: its ~a slices look like coils: their edges are alike to ~,2f, where \
slices from 4 mm apart have up to 0.45" input (first shape) alike)))))))

(define (print-diagnosis results)
  (format #t "~a~%" (assoc-ref results "diagnosis"))
  (for-each (lambda (text) (format #t "  ~a~%" text))
            (vector->list (assoc-ref results "warnings"))))

(define (one-image input given slice)
  ;; GIVEN (rows columns), or the SLICE of a volume.
  (let* ((shape (plain-shape given)) (given (tensor-reshape given shape)))
    (cond ((= 2 (length shape))
           (check-that (not slice) 'reconstruct "--slice: ~a is a single image" input)
           given)
          ((and (= 3 (length shape)) (not (and (= 3 (third shape)) (not slice))))
           (check-that slice 'reconstruct "~a has ~a slices: expected --slice=N" input (first shape))
           (check-that (< -1 slice (first shape)) 'reconstruct
                       "--slice: expected 0 to ~a, got ~a" (1- (first shape)) slice)
           (tensor-reshape (tensor-copy (tensor-slice given 0 slice (1+ slice))) (cdr shape)))
          (else
           (complain 'reconstruct "~a: expected an image (rows columns), got shape ~a"
                     input shape)))))

(define (simulate image acceleration noise seed)
  ;; Operator, measurement, truth and no scale.
  (let* ((scan (simulated-scan image #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed))))
    (values op (measure op scan #:noise noise #:seed seed) scan 'null)))

(define (measured y mask scale noise doubt!)
  ;; Operator, measurement on the intensity scale, no truth, and the scale.
  (check-that (eq? (tensor-dtype y) 'c64) 'reconstruct
              "k-space: expected complex numbers, got ~a; --simulate takes images" (tensor-dtype y))
  (check-that (tensor-finite? y) 'reconstruct "k-space: it has NaN or infinite values")
  (let* ((op (mri-operator #:mask mask #:shape (tensor-shape y)))
         (peak (tensor->number (tensor-quantile (tensor-reshape (image-magnitude (apply-adjoint op y))
                                                                '(-1))
                                                0.999 0)))
         (scale (or scale (if (> peak 0) (/ top-intensity peak) 1)))
         (y (check-kspace op (tensor* y scale) #:noise noise #:warn doubt!)))
    (check-that (> peak 0) 'reconstruct "k-space: it is 0 wherever the mask is 1")
    (values op y #f scale)))
