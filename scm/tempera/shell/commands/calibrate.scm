;;; calibrate.scm -- `tempera calibrate': are the sampler's draws those of the posterior?

(define-module (tempera shell commands calibrate)
  #:use-module (ice-9 format)
  #:use-module (ice-9 ftw)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base program)
  #:use-module (tempera sample calibration)
  #:use-module (tempera see calibration-report)
  #:use-module (tempera shell cli)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem priors)
  #:use-module (tempera data scans)
  #:use-module (tempera sample settings)
  #:export (main summary))

(define summary "test whether a sampler's draws are those of the posterior")

(define options
  `((model symbol "known exactly: gaussian, a field seen by MRI; mixture, points seen in noise" gaussian
           ,(lambda (name) (memq name '(gaussian mixture))))
    (prior string "instead, a score network, shipped or a .safetensors file; --images are the truths")
    (images string "files or folders of images that the network was not trained on, with commas")
    (size integer "pixels a side of the random field" 16 ,(lambda (n) (<= 4 n 1024)))
    (acceleration number "of the undersampling" 4 ,(lambda (r) (>= r 1)))
    (noise number "standard deviation of the measurements' noise" 0.1 ,positive?)
    (assumed-noise number "what the sampler takes it for; another than --noise plants an error"
                   #f ,positive?)
    (simulations integer "how many truths; with --images, all of them" 200 ,positive?)
    (draws integer "of the posterior of each" 31 ,positive?)
    (ratio number "of one temperature to the one before; else 0.95, for a network 0.9"
           #f ,(lambda (r) (< 0 r 1)))
    (until number "the last temperature; else noise / 20, for a network 0.046" #f ,positive?)
    (seed integer "of truths, masks, noise and draws" 1 ,(lambda (n) (>= n 0)))
    (out string "the folder for the results" "out/calibration")))

;;; --- Models -------------------------------------------------------------------

(define (gaussian-model ref make)
  (let ((size (ref 'size)))
    (make (gaussian-prior (power-spectrum (list size size) #:amplitude 100 #:exponent 3 #:corner 3))
          (mri-operator #:mask (random-mask size #:acceleration (ref 'acceleration)
                                            #:seed (ref 'seed)))
          '())))

(define (mixture-model ref make)
  ;; Four Gaussians in the plane; steps go by the width of the posterior's components at
  ;; each temperature.
  (let* ((sd 0.5) (noise (or (ref 'assumed-noise) (ref 'noise)))
         (width (lambda (sigma)
                  (let ((square (lambda (a) (+ (* a a) (* sigma sigma)))))
                    (sqrt (/ (+ (/ (square sd)) (/ (square noise)))))))))
    (make (gaussian-mixture-prior (list->tensor '(-2 -1 2 -1 -1 2 1 2) '(4 2)) #:sd sd
                                  #:weights '(1 2 3 4))
          (make-operator "denoising" #:forward identity #:adjoint identity)
          `(#:step-size ,(lambda (sigma) (* 0.5 (width sigma))) #:trajectory-length (3 5)
            #:mass identity))))

(define (images-in path)
  ;; The file PATH, or the images in the folder PATH.
  (check-that (file-exists? path) 'calibrate "--images: no such file or folder: ~a" path)
  (if (file-is-directory? path)
      (map (lambda (name) (string-append path "/" name))
           (scandir path (lambda (name)
                           (file-holds? name 'image))))
      (list path)))

(define (load-truths paths seed)
  ;; A batch (N rows columns), each with a phase of its own.
  (let* ((scans (map (lambda (path k) (simulated-scan (load-image path) #:seed (+ seed k)))
                     paths (iota (length paths))))
         (shapes (map tensor-shape scans)))
    (for-each (lambda (path shape)
                (check-that (equal? shape (first shapes)) 'calibrate
                            "--images: expected images of one shape, got ~a and, of ~a, ~a"
                            (first shapes) path shape))
              paths shapes)
    (tensor-concatenate (map (lambda (scan) (tensor-reshape scan (cons 1 (tensor-shape scan))))
                             scans)
                        0)))

(define (network-model ref make columns)
  (make (load-score-network (ref 'prior))
        (mri-operator #:mask (random-mask columns #:acceleration (ref 'acceleration)
                                          #:seed (ref 'seed)))
        '()))

;;; --- The command --------------------------------------------------------------

(define (show results)
  (let ((field (lambda (alist key) (assoc-ref alist key))))
    (for-each (lambda (test)
                (format #t "ranks of ~24a p ~,4f~%" (field test "quantity") (field test "p")))
              (vector->list (or (field results "sbc") #())))
    (let ((p (field results "sbc_p")))
      (when p
        (format #t "ranks of all, for their number     p ~,4f: ~a~%" p
                (if (> p 0.01) "no sign of an error" "not calibrated"))))
    (for-each (lambda (row)
                (when (memv (field row "level") '(0.5 0.9))
                  (format #t "~d % intervals have             ~,1f % of pixels in them~%"
                          (inexact->exact (round (* 100 (field row "level"))))
                          (* 100 (field row "coverage")))))
              (vector->list (field results "coverage")))
    (let ((tarp (field results "tarp")) (reliability (field results "reliability")))
      (when tarp
        (format #t "random points                      p ~,4f, area ~,3f~%"
                (field tarp "p") (field tarp "area")))
      (when reliability
        (format #t "error / standard deviation         ~,3f~%" (field reliability "ratio"))))))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "calibrate" options arguments #:count 0
                               #:summary "Draws truths, measures them, samples the posterior of each, and asks whether the truth is one
more draw.  Writes summary.json, ranks.csv, ranks.png, coverage.png, reliability.png.")))
    (let* ((ref (lambda (name) (assq-ref options name)))
           (network? (ref 'prior))
           (noise (ref 'noise))
           (assumed (or (ref 'assumed-noise) noise))
           (until (or (ref 'until) (if network? 0.046 (/ assumed 20)))))
      (check-that (eq? (and network? #t) (and (ref 'images) #t)) 'calibrate
                  "expected both --prior and --images, or neither")
      (check-output 'calibrate (ref 'out) '("summary.json" "ranks.csv" "ranks.png" "coverage.png"
                                            "reliability.png"))
      (check-that (program-exists? "gnuplot") 'calibrate
                  "the program gnuplot is needed: install gnuplot-nox")
      (check-that (< until 100) 'calibrate "--until: expected a temperature below 100, got ~a" until)
      (let* ((make (lambda (prior op settings)
                     (make-model prior op #:noise noise
                                 #:sample (annealed-sampler
                                           prior op #:noise assumed
                                           #:settings
                                           (cons* #:temperatures
                                                  (default-temperatures prior #:ratio (ref 'ratio)
                                                                        #:until until)
                                                  settings)))))
             (paths (if network?
                        (append-map images-in (string-split (ref 'images) #\,))
                        '()))
             (truths (and network?
                          (begin
                            (check-that (pair? paths) 'calibrate "--images: ~a has no images"
                                        (ref 'images))
                            (load-truths paths (ref 'seed)))))
             (model (cond (network? (network-model ref make (third (tensor-shape truths))))
                          ((eq? (ref 'model) 'gaussian) (gaussian-model ref make))
                          (else (mixture-model ref make))))
             (simulations (call-saying-results
                           (ref 'out) '()
                           (lambda ()
                             (simulate model (if truths (length paths) (ref 'simulations))
                                       #:draws (ref 'draws) #:seed (ref 'seed)
                                       #:truths truths))))
             (results (calibrate-to
                       (ref 'out) simulations #:sbc? (not network?) #:seed (ref 'seed)
                       #:about `(("model" . ,(or network? (symbol->string (ref 'model))))
                                 ("version" . ,tempera-version)
                                 ("size" . ,(list->vector
                                             (cdr (tensor-shape (simulations-truths simulations)))))
                                 ("acceleration" . ,(ref 'acceleration))
                                 ("noise" . ,noise)
                                 ("assumed_noise" . ,assumed)
                                 ("sigma_final" . ,until)
                                 ("seed" . ,(ref 'seed))))))
        (show results)
        (format #t "~a: summary.json ~acoverage.png~a~%" (ref 'out)
                (if network? "" "ranks.csv ranks.png ")
                (if (assoc-ref results "reliability") " reliability.png" ""))))))
