;;; compare-samplers.scm -- quality against score evaluations, for several samplers.
;;;
;;; The same posterior of a learned prior, the same number of chains, and schedules stretched
;;; to the same number of evaluations, `hmc' in the way it cools by default, the others evenly:
;;; PSNR of the mean, and the share of pixels inside of the 90 % intervals, where the image is not
;;; empty.  Langevin dynamics, which has no mass, has the paper's likelihood: the data's own is
;;; too stiff for its steps.

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define (temperatures count until)
  "COUNT temperatures from 100 to UNTIL."
  (map (lambda (i) (* 100 (expt (/ until 100) (/ i (1- count) 1.)))) (iota count)))

(define (default-cooling prior count until)
  "`default-temperatures' of PRIOR, the fastest that are COUNT or more."
  (find (lambda (temperatures) (>= (schedule-length temperatures) count))
        (map (lambda (ratio) (default-temperatures prior #:ratio ratio #:until until))
             (iota 999 0.001 0.001))))

(define (settings-of name prior evaluations until)
  "Keywords of `anneal' for the sampler NAME with PRIOR to take about EVALUATIONS."
  (define (cooled each)                 ; EACH evaluations a temperature
    (list #:temperatures (temperatures (max 3 (round (/ evaluations each))) until)))
  (case name
    ((hmc) (list #:temperatures (default-cooling prior (round (/ evaluations 6)) until)))
    ((hmc-by-the-line) (append (cooled 9) (list #:sampler (hmc #:acceptance 'path-integral))))
    ((langevin) (append langevin-schedule (cooled 6)))
    ((predictor-corrector) (append (cooled 2) (list #:sampler (predictor-corrector))))
    ((probability-flow) (append (cooled 2) (list #:sampler (probability-flow))))))

(define samplers '(hmc hmc-by-the-line langevin predictor-corrector probability-flow))

(define-experiment compare-samplers
  ((prior "brain" string? "the score network")
   (image "experiments/pd-head/brain_013.png" string? "a slice of somebody it was not trained on")
   (acceleration 4 (lambda (r) (>= r 1)) "of the undersampling")
   (noise 0.1 positive? "standard deviation of the measurement's noise")
   (evaluations '(160 320 640) pair? "of the score, a chain")
   (chains 8 (lambda (n) (> n 3)) "how many")
   (until 0.046 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of mask, noise and chains"))
  "Compare samplers at equal numbers of score evaluations."
  (let* ((scan (simulated-scan (half-size (load-image image)) #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (network (load-network prior))
         (target (lambda (name)
                   ;; Steps without the target's mass are not fitted to the data's precision.
                   (posterior network op y #:noise noise
                              #:widening (if (memq name '(hmc hmc-by-the-line)) 0 1))))
         (zero-filled (psnr (apply-adjoint op y) scan)))
    (define (row name evaluations)
      (let* ((chain (apply anneal (target name) #:chains chains #:seed seed
                           (settings-of name network evaluations until)))
             (x (chain-samples chain))
             (row `(("sampler" . ,(symbol->string name))
                    ("evaluations" . ,(chain-evaluations chain))
                    ("psnr_mean" . ,(psnr (tensor-mean (tensor-abs x) 0) scan))
                    ("psnr_samples" . ,(/ (apply + (psnr x scan)) chains))
                    ("coverage_90" . ,(covered-share x scan #:where (tensor< 0.5 (tensor-abs scan)))))))
        (format #t "~20a ~5d evaluations: mean ~,2f dB, samples ~,2f dB, 90 % intervals cover ~,1f %~%"
                name (chain-evaluations chain) (assoc-ref row "psnr_mean")
                (assoc-ref row "psnr_samples") (* 100 (assoc-ref row "coverage_90")))
        (force-output)
        row))
    (format #t "zero-filled ~,2f dB~%" zero-filled)
    (let* ((rows (append-map (lambda (n) (map (lambda (name) (row name n)) samplers)) evaluations))
           (curves (lambda (key)
                     (map (lambda (name)
                            (series 'line
                                    (filter-map (lambda (row)
                                                  (and (string=? (symbol->string name)
                                                                 (assoc-ref row "sampler"))
                                                       (list (assoc-ref row "evaluations")
                                                             (assoc-ref row key))))
                                                rows)
                                    #:title (symbol->string name)))
                          samplers))))
      (save-json (run-path "summary.json")
                 `(("zero_filled" . ,zero-filled) ("rows" . ,(list->vector rows))))
      (save-charts (run-path "samplers.png")
                  (list (chart "PSNR of the mean" (curves "psnr_mean")
                              #:x-label "score evaluations" #:y-label "dB")
                        (chart "pixels in 90 % intervals"
                              (cons (series 'reference `((,(first evaluations) 0.9)
                                                         (,(last evaluations) 0.9)))
                                    (curves "coverage_90"))
                              #:x-label "score evaluations" #:y-label "share"
                              #:y-range '(0.6 1)))
                  #:columns 2 #:width 480)
      rows)))
