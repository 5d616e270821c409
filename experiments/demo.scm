;;; demo.scm -- posteriors of real slices from a quarter of their k-space.
;;;
;;;   tempera run experiments/demo.scm slices=4
;;;
;;; The head and the contrast (proton density) are not among those the prior was
;;; trained on; see pd-head/README.md.  Truth, mask and noise are those of seed.

(use-modules (tempera) ((tempera base program) #:select (tempera-version))
             (srfi srfi-1)
             (ice-9 format))

(define here (dirname (or (current-filename) "experiments/demo.scm")))

(define names
  ;; From the ventricles outwards.
  '("brain_013" "brain_016" "brain_011" "brain_009" "brain_014" "brain_018"))

(define-experiment demo
  ((slices 1 (lambda (n) (<= 1 n 6)) "how many slices, 1 to 6")
   (chains 8 positive? "samples of each")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation, where the 99.9th percentile is 150")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask, noise and chains")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (until 0.046 positive? "the last temperature is the first below this")
   (prior (string-append here "/../priors/brain.safetensors") string? "the score network"))
  "Sample the posterior of head slices from undersampled k-space."
  (let* ((network (load-network prior))
         (summaries
          (map-in-order
           (lambda (name)
             (let* ((scan (simulated-scan
                           (load-image (string-append here "/pd-head/" name ".png"))
                           #:seed seed))
                    (op (mri-operator
                         #:mask (random-mask (second (tensor-shape scan))
                                             #:acceleration acceleration #:seed seed))))
               (reconstruct-to (run-path name) network op
                               (measure op scan #:noise noise #:seed seed)
                               #:noise noise #:chains chains #:seed seed #:truth scan
                               #:settings (list #:temperatures
                                                (geometric 30 #:ratio ratio #:until until))
                               #:about `(("name" . ,name)
                                         ("acceleration" . ,acceleration)
                                         ("prior" . ,(basename prior))
                                         ("version" . ,tempera-version)))))
           (take names slices))))
    (save-json (run-path "summary.json") `(("slices" . ,(list->vector summaries))))
    (for-each (lambda (line) (format #t "~a~%" line)) (summary-table summaries))
    (format #t "figure.png and the numbers of each slice in a folder of its own; summary.json~%")
    summaries))
