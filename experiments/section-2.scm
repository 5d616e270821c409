;;; section-2.scm -- section 2 of the paper, measured: who needs the likelihood when the noise changes.
;;;
;;; One prior and the known likelihood (Tempera's posterior); a conditional sampler, which was trained
;;; for noise 0.1 and has no likelihood; inference in the latent space of a variational
;;; auto-encoder, with the likelihood.  On slices of a person nobody was trained on, at the auto-encoder's
;;; size.  Leaves
;;;
;;;   section-2.png         a slice under three noises: truth, zero-filled, and each method's mean
;;;   section-2-noise.png   PSNR and SSIM against the noise
;;;   section-2.csv         mean and standard deviation over slices, by noise and method
;;;   section-2-slices.csv  each slice
;;;
;;;   tempera run --run=out/section-2 experiments/section-2.scm

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

(define (mean-magnitude samples)
  (let-values (((mean std) (magnitude-statistics samples))) mean))

(define methods
  '("zero-filled" "posterior mean" "conditional mean" "VAE mean" "VAE mean, with its residual"))

(define-experiment section-2
  ((slices '(4 7 10 13 16) pair? "of pd-head; the last but one is shown")
   (noises '(0.1 2 5 10 20) pair? "standard deviations of the measurements")
   (shown '(0.1 5 20) pair? "of these, in the picture")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random masks")
   (chains 8 (lambda (n) (> n 1)) "samples by each method")
   (ratio 0.85 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (priors (string-append here "/../priors") string? "the folder of the weights")
   (seed 42 (lambda (n) (>= n 0)) "of phases, masks, noise and chains"))
  "A posterior, a conditional sampler and a VAE when the noise changes."
  (let* ((weights (lambda (name) (load-network (string-append priors "/" name ".safetensors"))))
         (prior (weights "brain"))
         (conditional (weights "conditional"))
         (vae (weights "vae"))
         (temperatures (lambda (from until) (geometric from #:ratio ratio #:until until)))
         (images
          ;; A mean for each method, in their order.
          (lambda (op y noise seed)
            (let* ((zero-filled (apply-adjoint op y))
                   (known (anneal (posterior prior op y #:noise noise) #:chains chains #:seed seed
                                  #:temperatures (temperatures 100 (max 0.046 (* 0.46 noise)))))
                   (learned (anneal (conditional-target conditional zero-filled)
                                    #:chains chains #:seed seed
                                    #:temperatures (temperatures 100 0.046)))
                   (latent (anneal (vae-target vae op y #:noise noise) #:chains chains #:seed seed
                                   #:start (random-normal (list chains (vae-latent vae)) seed)
                                   #:temperatures (temperatures 100 (max 0.046 (* 0.46 noise)))))
                   (z (chain-samples latent)))
              (map (lambda (chain) (format #t "~a~%" chain)) (list known learned latent))
              (list (tensor-abs zero-filled)
                    (mean-magnitude (chain-samples known))
                    (mean-magnitude (chain-samples learned))
                    (mean-magnitude (no-tape (lambda () (complex-view (vae-decode vae z)))))
                    (mean-magnitude (vae-images vae op y z #:noise noise))))))
         (one (lambda (slice noise)
                (let* ((seed (+ seed slice))
                       (scan (simulated-scan (slice-image slice (vae-size vae)) #:seed seed))
                       (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                                             #:acceleration acceleration
                                                             #:seed seed)))
                       (y (measure op scan #:noise noise #:seed seed)))
                  (format #t "slice ~a, noise ~a~%" slice noise)
                  (cons scan (images op y noise seed)))))
         (all (map-in-order (lambda (slice)
                              (map-in-order (lambda (noise) (cons* slice noise (one slice noise)))
                                            noises))
                            slices))
         (each (table '(noise method slice psnr ssim)
                      (append-map
                       (lambda (entry)
                         (let-values (((slice noise scan . images) (apply values entry)))
                           (map (lambda (method image)
                                  (list noise method slice (psnr image scan) (ssim image scan)))
                                methods images)))
                       (concatenate all))))
         (summary (table-group each '(noise method) '(psnr mean std) '(ssim mean std))))
    (save-table (run-path "section-2-slices.csv") each)
    (save-table (run-path "section-2.csv") summary)
    (save-figure (run-path "section-2.png")
                 (append-map picture-row
                             (filter (lambda (entry) (member (second entry) shown))
                                     (list-ref all (max 0 (- (length slices) 2)))))
                 #:columns 5)
    (save-charts (run-path "section-2-noise.png")
                 (map (lambda (column title y-label)
                        (noise-chart summary column title y-label))
                      '(psnr-mean ssim-mean) '("PSNR by the measurement's noise" "SSIM") '("dB" ""))
                 #:columns 2 #:width 520 #:height 420)
    (format #t "~a~%" (table-text summary #:most 100))
    summary))

(define (picture-row entry)
  "The panels of ENTRY, (slice noise scan image ...): all but the last image."
  (let-values (((slice noise scan . images) (apply values entry)))
    (let-values (((low high) (apply values (image-window (tensor-abs scan)))))
      (cons (panel (format #f "truth; noise ~a" noise) scan #:low low #:high high)
            (map (lambda (method image)
                   (panel (format #f "~a  ~,1f dB" method (psnr image scan)) image
                          #:low low #:high high))
                 (list-head methods 4) images)))))

(define (noise-chart summary column title y-label)
  (chart title
         (map (lambda (method)
                (let ((mine (table-filter summary (lambda (m) (equal? m method)) 'method)))
                  (series 'line (map list (table-column mine 'noise) (table-column mine column))
                          #:title method)))
              methods)
         #:x-label "standard deviation of the noise" #:y-label y-label
         #:logarithmic '(x) #:key 'bottom-left))
