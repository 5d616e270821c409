;;; reconstruct.scm -- `tempera reconstruct': the posterior of one image.

(define-module (tempera commands reconstruct)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera cli)
  #:use-module (tempera data)
  #:use-module (tempera errors)
  #:use-module (tempera files)
  #:use-module (tempera images)
  #:use-module (tempera networks)
  #:use-module (tempera operators)
  #:use-module (tempera primitives)
  #:use-module (tempera reconstruction)
  #:use-module (tempera settings)
  #:export (main summary))

(define summary "sample the posterior of an image from undersampled k-space")

(define options
  `((prior string "the score network: the name of a shipped one, such as brain, or a .safetensors file")
    (mask string "the mask of measured k-space, (columns) or (rows columns) of 0 and 1")
    (simulate flag "INPUT is a whole image: undersample its k-space and add noise")
    (acceleration number "of the simulated mask" 4 ,(lambda (r) (>= r 1)))
    (slice integer "which slice of a volume, from 0")
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

(define (main arguments)
  (let-values (((options operands)
                (parse-options "reconstruct" options arguments #:operands "INPUT" #:count 1
                               #:summary "INPUT is measured k-space with --mask (c64 .npy, centred, 0 where not measured)
or a whole image with --simulate (.npy, .png, .nii, .nii.gz, .dcm or a folder of
DICOM slices).  Writes mean.npy, std.npy, samples.npy, figure.png, report.html,
summary.json.")))
    (let* ((ref (lambda (name) (assq-ref options name)))
           (input (first operands))
           (given (load-image input)))
      (check-that (ref 'prior) 'reconstruct "--prior: expected one of ~a, or a .safetensors file, got none"
                  (string-join (shipped-priors) ", "))
      (check-that (if (ref 'simulate) (not (ref 'mask)) (ref 'mask)) 'reconstruct
                  "expected either --mask=FILE or --simulate")
      (let*-values (((image) (one-image input given (ref 'slice)))
                    ((prior) (load-network (ref 'prior) #:precision (ref 'precision)))
                    ((op y truth scale) (if (ref 'simulate)
                                            (simulate image (ref 'acceleration) (ref 'noise)
                                                      (ref 'seed))
                                            (measured image (load-image (ref 'mask))
                                                      (ref 'scale)))))
        (let ((results
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
                                         ("scale" . ,scale)))))
          (when truth
            (for-each (lambda (line) (format #t "~a~%" line)) (summary-table (list results))))
          (format #t "~a: mean.npy std.npy samples.npy figure.png report.html summary.json~%"
                  (ref 'out)))))))

(define (one-image input given slice)
  ;; GIVEN (rows columns), or the SLICE of a volume.
  (let ((shape (tensor-shape given)))
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

(define (measured y mask scale)
  ;; Operator, measurement on the intensity scale, no truth, and the scale.
  (check-that (eq? (tensor-dtype y) 'c64) 'reconstruct
              "k-space: expected complex numbers, got ~a; --simulate takes images" (tensor-dtype y))
  (check-that (tensor-finite? y) 'reconstruct "k-space: it has NaN or infinite values")
  (let* ((op (mri-operator #:mask mask #:shape (tensor-shape y)))
         (zero-filled (apply-adjoint op y))
         (scale (or scale
                    (/ top-intensity
                       (let ((peak (tensor->number
                                    (tensor-quantile (tensor-reshape (image-magnitude zero-filled)
                                                                     '(-1))
                                                     0.999 0))))
                         (check-that (> peak 0) 'reconstruct
                                     "k-space: it is 0 wherever the mask is 1")
                         peak)))))
    (values op (tensor* y scale) #f scale)))
