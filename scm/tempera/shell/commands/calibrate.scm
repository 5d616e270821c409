;;; calibrate.scm -- `tempera calibrate': are the sampler's draws those of the posterior?

(define-module (tempera shell commands calibrate)
  #:use-module (ice-9 format)
  #:use-module (ice-9 ftw)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base program)
  #:use-module (tempera data scans)
  #:use-module (tempera file formats)
  #:use-module (tempera file programs)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem mixtures)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera sample calibration)
  #:use-module (tempera sample settings)
  #:use-module (tempera sample simulations)
  #:use-module (tempera see calibration-report)
  #:use-module (tempera shell launch)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (main summary calibrate))

(define summary "test whether a sampler's draws are those of the posterior")

(define-experiment calibrate
  ((model 'gaussian (lambda (name) (memq name '(gaussian mixture)))
          "known exactly: gaussian, a field seen by MRI; mixture, points seen in noise")
   (prior (optional string)
          "instead, a score network, shipped or a .safetensors file; its own samples are the truths")
   (images (optional string)
           "or else files or folders of images that the network was not trained on, with commas")
   (size 16 (lambda (n) (<= 4 n 1024)) "pixels a side of the random field, or of samples of the prior")
   (greatest (optional number) positive? "where the prior's samples begin: the largest sigma it was trained with, if its file does not say")
   (acceleration 4 (lambda (r) (>= r 1)) "of the undersampling")
   (noise 0.1 positive? "standard deviation of the measurements' noise")
   (assumed-noise (optional number) positive?
                  "what the sampler takes it for; another than noise plants an error")
   (simulations 200 positive? "how many truths; with images, all of them")
   (draws 31 positive? "of the posterior of each")
   (ratio (optional number) (lambda (r) (< 0 r 1))
          "of one temperature to the one before; else 0.95, for a network 0.9")
   (until (optional number) (lambda (sigma) (< 0 sigma 100))
          "the last temperature; else noise / 20, for a network 0.046")
   (seed 1 (lambda (n) (>= n 0)) "of truths, masks, noise and draws"))
  "Draws truths, measures them, samples the posterior of each, and asks whether the truth is one
more draw.  Truths that are samples of a learned prior judge the sampler alone, images the prior too.
Writes summary.json, ranks.csv, ranks.png, coverage.png, reliability.png."
  #:check (begin
            (check-that (or prior (not images)) 'calibrate
                        "images: expected a prior beside them, prior=FILE")
            (when prior (load-score-network prior))
            (when images (images-in images))
            (check-that (program-exists? "gnuplot") 'calibrate
                        "the program gnuplot is needed: install gnuplot-nox"))
  (let* ((assumed (or assumed-noise noise))
         (until (or until (if prior 0.046 (/ assumed 20))))
         (paths (if images (images-in images) '()))
         (network (and prior (load-score-network prior)))
         (truths (cond (images (load-truths paths seed))
                       (network (prior-samples network simulations #:shape (list size size) #:from (or greatest (greatest-sigma network))
                                               #:until until #:seed seed))
                       (else #f)))
         (make (lambda (prior op settings)
                 (make-model prior op #:noise noise
                             #:sample (annealed-sampler
                                       prior op #:noise assumed
                                       #:settings
                                       (cons* #:temperatures
                                              (default-temperatures prior #:ratio ratio
                                                                    #:until until)
                                              settings)))))
         (mask (lambda (columns) (random-mask columns #:acceleration acceleration #:seed seed)))
         (chosen (cond (network (make network
                                      (mri-operator #:mask (mask (third (tensor-shape truths))))
                                      '()))
                       ((eq? model 'gaussian)
                        (make (gaussian-field size) (mri-operator #:mask (mask size)) '()))
                       (else (mixture-model make assumed))))
         (checkpoint (run-path "draws.safetensors"))
         (all (simulate chosen (if images (length paths) simulations)
                        #:draws draws #:seed seed #:truths truths #:checkpoint checkpoint))
         (results (calibrate-to
                   (run-path) all #:sbc? (not images) #:seed seed
                   #:about `(("model" . ,(or prior (symbol->string model)))
                             ("version" . ,tempera-version)
                             ("size" . ,(list->vector
                                         (cdr (tensor-shape (simulations-truths all)))))
                             ("acceleration" . ,acceleration)
                             ("noise" . ,noise)
                             ("assumed_noise" . ,assumed)
                             ("sigma_final" . ,until)
                             ("seed" . ,seed)))))
    (when (file-exists? checkpoint) (delete-file checkpoint))
    (record-coverage! results)
    (show results)
    (format #t "~a: summary.json ~acoverage.png~a~%" (run-path)
            (if images "" "ranks.csv ranks.png ")
            (if (assoc-ref results "reliability") " reliability.png" ""))
    (outcome results)))

(define (main words) (run-command calibrate words))

;;; --- Models -------------------------------------------------------------------

(define (gaussian-field size)
  (gaussian-prior (power-spectrum (list size size) #:amplitude 100 #:exponent 3 #:corner 3)))

(define (mixture-model make noise)
  ;; Four Gaussians in the plane; steps go by the width of the posterior's components at
  ;; each temperature.
  (let* ((sd 0.5)
         (width (lambda (sigma)
                  (let ((square (lambda (a) (+ (* a a) (* sigma sigma)))))
                    (sqrt (/ (+ (/ (square sd)) (/ (square noise)))))))))
    (make (gaussian-mixture-prior (list->tensor '(-2 -1 2 -1 -1 2 1 2) '(4 2)) #:sd sd
                                  #:weights '(1 2 3 4))
          (make-operator "denoising" #:forward identity #:adjoint identity)
          `(#:step-size ,(lambda (sigma) (* 0.5 (width sigma))) #:trajectory-length (3 5)
            #:mass identity))))

(define (images-in text)
  ;; The files that TEXT names, and the images in its folders.
  (append-map
   (lambda (path)
     (check-that (file-exists? path) 'calibrate "images: no such file or folder: ~a" path)
     (let ((paths (if (file-is-directory? path)
                      (map (lambda (name) (string-append path "/" name))
                           (scandir path (lambda (name) (file-holds? name 'image))))
                      (list path))))
       (check-that (pair? paths) 'calibrate "images: ~a has no images" path)
       paths))
   (string-split text #\,)))

(define (load-truths paths seed)
  ;; A batch (N rows columns), each with a phase of its own.
  (let* ((scans (map (lambda (path k) (simulated-scan (load-image path) #:seed (+ seed k)))
                     paths (iota (length paths))))
         (shapes (map tensor-shape scans)))
    (for-each (lambda (path shape)
                (check-that (equal? shape (first shapes)) 'calibrate
                            "images: expected images of one shape, got ~a and, of ~a, ~a"
                            (first shapes) path shape))
              paths shapes)
    (tensor-concatenate (map batch-of-one scans) 0)))

;;; --- What is said --------------------------------------------------------------

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

(define (record-coverage! results)
  (for-each (lambda (row)
              (record-metrics! `((level . ,(assoc-ref row "level"))
                                 (coverage . ,(assoc-ref row "coverage")))))
            (vector->list (assoc-ref results "coverage"))))

(define (outcome results)
  ;; The numbers of a sweep's table.
  (define (part name key)
    (let ((found (assoc-ref results name)))
      (if found `((,key . ,found)) '())))
  (define (field name key)
    (let ((found (assoc-ref results name)))
      (if found (list (cons (string->symbol (format #f "~a-~a" name key)) (assoc-ref found key)))
          '())))
  (append (part "sbc_p" 'sbc-p) (field "tarp" "p") (field "reliability" "ratio")
          (append-map (lambda (row)
                        (if (memv (assoc-ref row "level") '(0.5 0.9))
                            `((,(string->symbol (format #f "coverage-~a" (assoc-ref row "level")))
                               . ,(assoc-ref row "coverage")))
                            '()))
                      (vector->list (assoc-ref results "coverage")))))
