;;; section-2.scm -- section 2 of the paper, measured: who needs the likelihood when the noise changes.
;;;
;;; One prior and the known likelihood (Tempera's posterior); a conditional sampler, which was trained
;;; for noise 0.1 and has no likelihood; inference in the latent space of a variational
;;; auto-encoder, with the likelihood.  On slices of a person nobody was trained on, at the auto-encoder's
;;; size.  Leaves
;;;
;;;   section-2.png         a slice under three noises: truth, zero-filled, and each method's mean
;;;   section-2-noise.png   by noise, PSNR and the error where there are measurements
;;;   section-2.csv         means over slices by noise and method; measured-error is how far the
;;;                         mean is off on the measured frequencies, which is the noise if it is
;;;                         left as it is, and error-to-spread the mean's error beside what the
;;;                         samples' spread says it is
;;;   section-2-slices.csv  each slice
;;;
;;;   tempera run --out=out/section-2 experiments/section-2.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define here (dirname (or (current-filename) "experiments/section-2.scm")))

(define (slice-image number size)
  "The slice NUMBER of pd-head, halved until it has SIZE rows."
  (let halve ((image (load-image (format #f "~a/pd-head/brain_~3,'0d.png" here number))))
    (let ((rows (first (tensor-shape image))))
      (check-that (and (>= rows size) (or (= rows size) (even? rows))) 'section-2
                  "size: the auto-encoder's, ~a, is no half of a slice's" size)
      (if (= rows size) image (halve (half-size image))))))

;;; --- What there is to say of samples ------------------------------------------------

(define (root-mean-square t)
  ;; Of real numbers, of which a complex one has two.
  (sqrt (/ (tensor->number (tensor-sum-squares t))
           (* (if (eq? (tensor-dtype t) 'c64) 2 1) (tensor-count t)))))

(define (measures samples scan op)
  "Of SAMPLES, c64 (n H W), when SCAN is the truth and OP measured it: the mean of magnitudes, then
its PSNR and SSIM, how far the mean is off where there are measurements, and how large its error
is beside what the samples' spread says, 1 if they know it (#f of one sample)."
  (let-values (((mean std) (magnitude-statistics samples)))
    (let* ((n (first (tensor-shape samples)))
           (off (apply-forward op (tensor- (tensor-mean samples 0) scan)))
           (measured (tensor->number (tensor-mean (operator-normal-diagonal op))))
           (error (root-mean-square (tensor- mean (tensor-abs scan)))))
      (list mean (psnr mean scan) (ssim mean scan)
            (/ (root-mean-square off) (sqrt measured))
            (and (> n 1) (/ error (* (sqrt (+ 1 (/ 1. n))) (root-mean-square std))))))))

;;; --- Pictures ---------------------------------------------------------------------------

(define methods
  '("zero-filled" "posterior" "conditional" "VAE" "VAE and residual"))

(define (picture-row entry)
  "The panels of ENTRY, (slice noise scan result ...): all but the last result."
  (let-values (((slice noise scan . results) (apply values entry)))
    (let-values (((low high) (apply values (image-window (tensor-abs scan)))))
      (cons (panel (format #f "truth; noise ~a" noise) scan #:low low #:high high)
            (map (lambda (method result)
                   (panel (format #f "~a  ~,1f dB" method (second result)) (first result)
                          #:low low #:high high))
                 (list-head methods 4) results)))))

(define (noise-chart summary column title y-label logarithmic key)
  (chart title
         (map (lambda (method)
                (let ((mine (table-filter summary (lambda (m) (equal? m method)) 'method)))
                  (series 'line (map list (table-column mine 'noise) (table-column mine column))
                          #:title method)))
              methods)
         #:x-label "standard deviation of the noise" #:y-label y-label
         #:logarithmic logarithmic #:key key))

;;; --- All of them ------------------------------------------------------------------------

(define-experiment section-2
  ((slices '(4 7 10 13) pair? "of pd-head; the last is shown")
   (noises '(0.1 2 5 10 20) pair? "standard deviations of the measurements")
   (shown '(0.1 5 20) pair? "of these, in the picture")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random masks")
   (chains 8 (lambda (n) (> n 1)) "samples by each method")
   (ratio 0.85 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (seed 42 (lambda (n) (>= n 0)) "of phases, masks, noise and chains"))
  "A posterior, a conditional sampler and a VAE when the noise changes."
  (let* ((weights (lambda (name) (load-network (string-append priors "/" name ".safetensors"))))
         (prior (weights "brain-small"))        ; the one for images of 64 pixels
         (conditional (weights "conditional"))
         (vae (weights "vae"))
         ;; Down to where the temperature is little beside the noise.
         (temperatures (lambda (noise) (geometric 100 #:ratio ratio #:until (max 0.046 (* 0.1 noise)))))
         (sampled
          ;; Samples by each of the methods, in their order.
          (lambda (op y noise seed)
            (let* ((zero-filled (apply-adjoint op y))
                   (chain (lambda (target noise . more)
                            (let ((chain (apply anneal target #:chains chains #:seed seed
                                                #:temperatures (temperatures noise) more)))
                              (format #t "  ~a~%" chain)
                              (chain-samples chain))))
                   (z (apply chain (vae-target vae op y #:noise noise) noise
                             #:start (random-normal (list chains (vae-latent vae)) seed)
                             latent-schedule)))
              (list (tensor-reshape zero-filled (cons 1 (tensor-shape zero-filled)))
                    (chain (posterior prior op y #:noise noise) noise)
                    ;; It does not know the noise: always as far down as it was trained for.
                    (chain (conditional-target conditional zero-filled) 0.1)
                    (no-tape (lambda () (complex-view (vae-decode vae z))))
                    (vae-images vae (measurement op y #:noise noise) z)))))
         (one
          (lambda (slice noise)
            (format #t "slice ~a, noise ~a~%" slice noise)
            (let* ((seed (+ seed slice))
                   (scan (simulated-scan (slice-image slice (vae-size vae)) #:seed seed))
                   (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                                         #:acceleration acceleration #:seed seed)))
                   (y (measure op scan #:noise noise #:seed seed)))
              (cons* slice noise scan
                     (map (lambda (samples) (measures samples scan op)) (sampled op y noise seed))))))
         (all (append-map (lambda (slice)
                            (map-in-order (lambda (noise) (one slice noise)) noises))
                          slices))
         (each (table '(noise method slice psnr ssim measured-error error-to-spread)
                      (append-map
                       (lambda (entry)
                         (let-values (((slice noise scan . results) (apply values entry)))
                           (map (lambda (method result) (cons* noise method slice (cdr result)))
                                methods results)))
                       all)))
         (summary (table-group each '(noise method) '(psnr mean std) '(ssim mean)
                               '(measured-error mean) '(error-to-spread mean))))
    (save-table (run-path "section-2-slices.csv") each)
    (save-table (run-path "section-2.csv") summary)
    (save-figure (run-path "section-2.png")
                 (append-map picture-row
                             (filter (lambda (entry)
                                       (and (= (first entry) (last slices)) (member (second entry) shown)))
                                     all))
                 #:columns 5)
    (save-charts (run-path "section-2-noise.png")
                 (list (noise-chart summary 'psnr-mean "PSNR of the mean" "dB" '(x) 'top-right)
                       (noise-chart summary 'measured-error-mean "error on the measured frequencies"
                                    "root mean square" '(x y) 'bottom-right))
                 #:columns 2 #:width 520 #:height 420)
    (format #t "~a~%" (table-text summary #:most 100))
    summary))
