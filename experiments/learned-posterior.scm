;;; learned-posterior.scm -- does annealing with a learned prior reach one posterior?
;;;
;;; Nobody knows that posterior, but it may not depend on where chains begin, nor on how
;;; slowly they are cooled, and truth must be one more draw from it.  On slices of a person
;;; whom the prior has not seen:
;;;
;;; - two groups of annealings from different starts, and R-hat between them, beside what
;;;   it is by chance; one of them cooled half as fast, and the change of mean and standard
;;;   deviation in units of their Monte Carlo errors;
;;; - what a last denoising (EDS) changes;
;;; - chains held at a temperature, R-hat and effective sample size: where mixing within a
;;;   chain stops, only fresh annealings help;
;;; - the share of pixels inside of credible intervals, over slices, where these are not empty.

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1)
             (srfi srfi-11))

(define (median t)
  (let ((sorted (sort (filter finite? (tensor->list t)) <)))
    (list-ref sorted (quotient (length sorted) 2))))

(define (seen scan)
  "Where SCAN is not empty: 1 where its magnitude is above 0.5 of some 150."
  (tensor< 0.5 (tensor-abs scan)))

(define (share-above limit values)
  (tensor->number (tensor-mean (tensor< limit values))))

(define (chance-above limit groups members)
  "The share of R-hats between GROUPS of MEMBERS independent draws of one distribution that
are above LIMIT by chance; ranks make it the same for every distribution."
  (share-above limit (r-hat-between
                      (map (lambda (k) (random-normal (list members 20000) 1 k)) (iota groups)))))

(define (z-scores a b)
  "How the means and the standard deviations of the draws A and B, (n ...), differ, in their
Monte Carlo errors: the root mean square over pixels of either (1 when they agree)."
  (let* ((n (car (tensor-shape a))) (m (car (tensor-shape b)))
         (moments (lambda (x)
                    (let* ((mean (tensor-mean x 0 #t))
                           (squares (tensor-sum-squares (tensor- x mean) 0)))
                      (values (tensor-mean x 0)
                              (tensor/ squares (1- (car (tensor-shape x)))))))))
    (let-values (((mean-a variance-a) (moments a)) ((mean-b variance-b) (moments b)))
      (let* ((error (tensor+ (tensor/ variance-a n) (tensor/ variance-b m)))
             (z (tensor/ (tensor-square (tensor- mean-a mean-b)) error))
             (logs (tensor-log (tensor/ variance-a variance-b)))
             (log-error (+ (/ 2. (1- n)) (/ 2. (1- m)))))
        `(("mean_z_rms" . ,(sqrt (tensor->number (tensor-mean z))))
          ("sd_z_rms" . ,(sqrt (/ (tensor->number (tensor-mean (tensor-square logs)))
                                  log-error)))
          ("sd_ratio" . ,(exp (/ (tensor->number (tensor-mean logs)) 2))))))))

(define-experiment learned-posterior
  ((prior "brain" string? "the score network")
   (images "experiments/pd-head" string? "a folder of slices of somebody it was not trained on")
   (names "brain_009,brain_011,brain_013,brain_014,brain_016,brain_018" string?
          "the PNG files in it, without .png")
   (acceleration 4 (lambda (r) (>= r 1)) "of the undersampling")
   (noise 0.1 positive? "standard deviation of the measurement's noise")
   (half #t boolean? "of half the rows and columns: four times as fast")
   (chains 48 (lambda (n) (> n 3)) "of each group on the first slice")
   (draws 16 (lambda (n) (> n 3)) "on each slice, for coverage")
   (slices 6 positive? "how many of them")
   (held 8 (lambda (n) (> n 1)) "chains that are held at a temperature")
   (ratio 0.9 (lambda (r) (< 0 r 1)) "of one temperature to the one before, its square below 4")
   (holds '(30 10 3 1 0.3 0.1 0.046) pair? "temperatures at which they are held")
   (count 60 (lambda (n) (> n 3)) "draws at each")
   (seed 1 (lambda (s) (>= s 0)) "of masks, noise and chains"))
  "Test the posterior of a learned prior where it can be tested."
  (let* ((network (load-network prior))
         (files (let ((all (string-split names #\,)))
                  (check-that (>= (length all) slices) 'learned-posterior
                              "names: expected ~a or more, got ~s" slices names)
                  (map (lambda (name) (string-append name ".png")) (list-head all slices))))
         (cooled (lambda (ratio until) (default-temperatures network #:ratio ratio #:until until)))
         (case-of
          (lambda (file seed)
            (let* ((image (load-image (string-append images "/" file)))
                   (scan (simulated-scan (if half (half-size image) image) #:seed seed))
                   (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                                         #:acceleration acceleration
                                                         #:seed seed)))
                   (y (measure op scan #:noise noise #:seed seed)))
              (values scan op (posterior network op y #:noise noise)))))
         (summary '())
         (note! (lambda (key value)
                  (set! summary (append summary (list (cons key value))))
                  (save-json (run-path "summary.json") summary)
                  (format #t "~a ~a~%" key value)
                  (force-output))))
    (let*-values (((scan op target) (case-of (first files) seed))
                  ((empty) (tensor-zeros (target-shape target) 'c64)))
      (define* (group k #:rest settings)
        (let ((chain (apply anneal target #:chains chains #:seed (+ seed k)
                            #:temperatures (cooled ratio 0.046) settings)))
          (save-chain (run-path (format #f "group-~a.safetensors" k)) chain)
          (format #t "~a~%" (diagnose chain))
          chain))
      (let* ((magnitudes (lambda (chain) (tensor-abs (chain-samples chain))))
             (one (group 1))
             (other (group 2 #:start empty))
             (slow (group 3 #:temperatures (cooled (sqrt ratio) 0.046)))
             (r-hats (r-hat-between (list (magnitudes one) (magnitudes other))))
             (average (lambda (x) (tensor-mean (tensor-abs x) 0)))
             (eds (denoise one)))
        (note! "score_evaluations" (chain-evaluations one))
        (note! "acceptance" (chain-acceptance one))
        (note! "psnr_zero_filled" (psnr (target-start target) scan))
        (note! "psnr_mean" (psnr (average (chain-samples one)) scan))
        (note! "psnr_samples" (mean (psnr (chain-samples one) scan)))
        (note! "eds_changes_mean" (- (psnr (average eds) scan)
                                     (psnr (average (chain-samples one)) scan)))
        (note! "eds_changes_samples" (apply max (map (lambda (a b) (abs (- a b)))
                                                     (psnr eds scan)
                                                     (psnr (chain-samples one) scan))))
        (note! "r_hat_above_1.05" (share-above 1.05 r-hats))
        (note! "r_hat_above_1.05_by_chance" (chance-above 1.05 2 chains))
        (note! "starts" (z-scores (magnitudes one) (magnitudes other)))
        (note! "cooling" (z-scores (magnitudes one) (magnitudes slow)))
        (note! "psnr_mean_slow" (psnr (average (chain-samples slow)) scan))
        (save-figure (run-path "groups.png")
                     (list (panel "truth" scan)
                           (panel "mean, one start" (average (chain-samples one)))
                           (panel "mean, another" (average (chain-samples other)))
                           (panel "mean, cooled half as fast" (average (chain-samples slow)))
                           (panel "R-hat between starts" r-hats #:low 1 #:high 1.2
                                  #:colours 'heat #:bar? #t)
                           (panel "standard deviation" (chain-std one) #:colours 'heat #:bar? #t)
                           (panel "another" (chain-std other) #:colours 'heat #:bar? #t)
                           (panel "half as fast" (chain-std slow) #:colours 'heat #:bar? #t))))
      ;; Held at one temperature after another on the way down.
      (let* ((rows
              (let loop ((sigmas holds) (chain #f) (rows '()))
                (if (null? sigmas)
                    (reverse rows)
                    (let* ((until (first sigmas))
                           (ladder (filter (lambda (sigma) (<= sigma (if chain (chain-sigma chain) 100)))
                                           (schedule->list (cooled ratio until))))
                           (chain (if chain
                                      (resume! (fork chain #:temperatures ladder))
                                      (anneal target #:chains held #:seed (+ seed 4)
                                              #:temperatures ladder))))
                      (let-values (((draws evaluations) (hold chain count)))
                        (let* ((x (tensor-abs draws))
                               (row (list until (median (r-hat x)) (median (ess-bulk x))
                                          evaluations)))
                          (format #t "held at sigma ~a: median R-hat ~,3f, effective size ~,1f of ~
~a draws~%" (first row) (second row) (third row) (* held count))
                          (force-output)
                          (loop (cdr sigmas) chain (cons row rows)))))))))
        (note! "held" (list->vector
                       (map (lambda (row)
                              (map cons '("sigma" "r_hat" "effective_size" "evaluations") row))
                            rows)))
        (save-charts (run-path "held.png")
                    (let ((curve (lambda (of)
                                   (series 'line (map (lambda (r) (list (first r) (of r))) rows)))))
                      (list (chart (format #f "R-hat of ~a draws of ~a chains, held at sigma" count held)
                                  (list (series 'reference `((,(last holds) 1) (,(first holds) 1)))
                                        (curve second))
                                  #:x-label "sigma" #:logarithmic '(x) #:y-label "median R-hat")
                            (chart (format #f "effective of these ~a" (* count held))
                                  (list (curve third))
                                  #:x-label "sigma" #:logarithmic '(x)
                                  #:y-label "median effective sample size"))))))
    ;; Over slices, each with its own mask and noise.
    (let ((levels '(0.5 0.8 0.9 0.95)))
      (define rows
        (map (lambda (file k)
               (let*-values (((scan op target) (case-of file (+ seed k))))
                 (let* ((chain (anneal target #:chains draws #:seed (+ seed 10 k)
                                       #:temperatures (cooled ratio 0.046)))
                        (row (map (lambda (level)
                                     (cons (number->string level)
                                           (covered-share (chain-samples chain) scan
                                                          #:level level #:where (seen scan))))
                                   levels)))
                   (format #t "~a: zero-filled ~,2f dB, mean ~,2f dB, 90 % intervals cover ~,1f %~%"
                           file (psnr (target-start target) scan)
                           (psnr (tensor-mean (tensor-abs (chain-samples chain)) 0) scan)
                           (* 100 (assoc-ref row "0.9")))
                   (force-output)
                   row)))
             files (iota slices)))
      (note! "coverage" (map (lambda (level)
                               (let ((level (number->string level)))
                                 (cons level (mean (map (lambda (row) (assoc-ref row level)) rows)))))
                             levels)))
    summary))
