;;; test-experiments.scm -- experiments, parameters from text, and progress.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (tempera) (tempera run experiments) (tempera shell options) (tempera base parameters)
             (tempera base progress) (tempera base spelling))

(start-tests "experiments")

;;; --- Experiments -----------------------------------------------------------

(define-experiment toy ((chains 8 positive? "chains in the batch")
                        (noise 0.1 (lambda (x) (>= x 0)))
                        (name "toy")
                        (fast #f)
                        (mass 'fourier)
                        (sizes '(64 128)))
  "Give the parameters back."
  (list chains noise name fast mass sizes))

(define (settings-of settings)
  (map cdr (experiment-settings toy settings)))

(define defaults '(8 0.1 "toy" #f fourier (64 128)))

(test-assert "an experiment" (experiment? toy))
(test-eq "the last one" toy (last-experiment))
(test-equal "its name" 'toy (experiment-name toy))
(test-equal "its documentation" "Give the parameters back." (experiment-documentation toy))
(test-equal "defaults" defaults (settings-of '()))
(test-equal "text is read by the type of the default"
  '(3 2 "a=b" #t identity (1 2.5 1e-3))
  (settings-of '((chains . "3") (noise . "2") (name . "a=b") (fast . "yes")
                        (mass . "identity") (sizes . "1,2.5,1e-3"))))
(test-equal "values as they are"
  '(2 0 "x" #t identity ())
  (settings-of '((chains . 2) (noise . 0) (name . "x") (fast . #t)
                        (mass . identity) (sizes . ()))))
(test-equal "the last setting of a name counts"
  5 (first (settings-of '((chains . "3") (chains . "5")))))
(test-equal "booleans" '(#t #t #t #f #f #f)
  (map (lambda (text) (fourth (settings-of `((fast . ,text)))))
       '("yes" "true" "1" "no" "false" "0")))
(test-equal "a whole number for an integer" 8
  (first (settings-of '((chains . "8.0")))))

(test-error-matching "an unknown name, and the nearest"
  "toy: unknown parameter chians; did you mean chains?"
  (settings-of '((chians . "3"))))
(test-error-matching "an unknown name, and all there are"
  "known: chains noise name fast mass sizes"
  (settings-of '((temperature . "3"))))
(for-each
 (lambda (setting text)
   (test-error-matching (format #f "~s" setting) text
                        (settings-of (list setting))))
 '((chains . "x") (chains . "2.5") (chains . "-1") (chains . 2.5) (noise . "nan")
   (noise . "+inf.0") (noise . "-0.1") (noise . "") (fast . "maybe") (fast . 1)
   (sizes . "1,x") (mass . "") (name . 3))
 '("toy: chains: expected an integer, chains > 0, got \"x\"" "chains > 0, got \"2.5\""
   "chains > 0, got -1" "chains > 0, got 2.5" "noise: expected a number, noise >= 0, got \"nan\""
   "noise >= 0, got \"+inf.0\"" "noise >= 0, got -0.1" "noise >= 0, got \"\""
   "fast: expected yes or no, got \"maybe\"" "fast: expected yes or no, got 1"
   "sizes: expected numbers separated by commas" "mass: expected a name" "name: expected text, got 3"))
(test-error-matching "not an experiment" "experiment: expected one"
                     (run-experiment 3))
(test-error-matching "settings that are none" "settings: expected a list of pairs"
                     (settings-of '(chains)))
(test-error-matching "a default that its predicate refuses" "bad: n: expected an integer, n > 0, got -1"
  (let () (define-experiment bad ((n -1 positive?)) n) bad))
(test-error-matching "a default of no type" "n: expected a number, text"
  (let () (define-experiment bad ((n (make-vector 2))) n) bad))

;; Ranges as they were written.
(test-equal "ranges" '("a > 0" "0 < b < 1" "c or d" "4 <= e <= 9 and (even? e)" #f #f "one, two or three")
  (map parameter-range
       (parameter-specs (a 1 positive?) (b 0.5 (lambda (x) (< 0 x 1)))
                        (which 'c (lambda (name) (memq name '(c d))) "a name")
                        (e 4 (lambda (n) (and (<= 4 n 9) (even? n)))) (f 3 even? "nothing told")
                        (g "x" "no predicate")
                        (h 'one (lambda (x) (memq x '(one two three)))))))
(test-error-matching "a predicate by its name" "toy: n: expected an integer for which `odd?' holds, got 2"
  (parameter-check 'toy (car (parameter-specs (n 1 odd?))) 2))

;; Parameters without a default.
(define-experiment open ((input (required file) "what to read") (mask (optional file)) (scale (optional number) positive?))
  "Parameters that have no default."
  #:check (when (and mask scale) (error "expected mask or scale, got both"))
  (list input mask scale))
(define (open-settings . settings) (map cdr (experiment-settings open settings)))
(define here (test-file "test-experiments.scm"))
(test-equal "none given" (list here #f #f) (open-settings `(input . ,here)))
(test-equal "given" (list here here #f) (open-settings `(mask . ,here) `(input . ,here)))
(test-equal "a number" (list here #f 2) (open-settings '(scale . "2") `(input . ,here)))
(test-equal "none, said so" (list here #f #f) (open-settings '(scale . #f) `(input . ,here)))
(test-error-matching "required" "open: input: expected the name of a file or folder, got none" (open-settings))
(test-error-matching "a range without a default" "scale: expected a number, scale > 0, got -1"
  (open-settings `(input . ,here) '(scale . "-1")))
(test-error-matching "a file that is not there" "open: no-such.npy: no such file"
  (open-settings '(input . "no-such.npy")))
(test-error-matching "values that do not go together" "expected mask or scale, got both"
  (open-settings `(input . ,here) `(mask . ,here) '(scale . 1)))

;; The words of a command line.
(define (words . words)
  (let-values (((options settings others)
                (parse-words 'toy words (parameter-specs (out (optional string)) (quick #f))
                             #:parameters (experiment-parameters toy))))
    (list options settings others)))
(for-each
 (lambda (given expected)
   (test-equal (format #f "a parameter as ~a" given) (list '() (list expected) '()) (apply words given)))
 '(("chains=3") ("--chains=4") ("--chains" "5") ("--fast") ("--fast=no") ("name=x=y") ("name="))
 '((chains . "3") (chains . "4") (chains . "5") (fast . "yes") (fast . "no") (name . "x=y") (name . "")))
(test-error-matching "a parameter twice" "toy: chains: expected one value, got 3 and 4" (words "chains=3" "--chains=4"))
(test-equal "options are behind dashes, others are none of these"
  '(((out . "here") (quick . "yes")) ((noise . "1")) ("-" "a.scm" "/tmp/out=3" "--x"))
  (words "--out=here" "-" "a.scm" "noise=1" "--quick" "/tmp/out=3" "--" "--x"))
(test-error-matching "an option without dashes" "toy: out is no parameter but an option: expected --out=3" (words "out=3"))
(test-error-matching "an unknown option" "toy: unknown option --chians; did you mean --chains? known: --chains"
  (words "--chians=3"))
(test-error-matching "an unknown parameter" "toy: unknown parameter chians; did you mean chains? known: chains"
  (words "chians=3"))
(test-error-matching "no value" "toy: --chains: expected a value, got none" (words "--chains"))
(test-equal "up to the first other word" '(((out . "x")) ("a.scm" "--chains=3"))
  (let-values (((options settings others)
                (parse-words 'toy '("--out=x" "a.scm" "--chains=3") (parameter-specs (out (optional string)))
                             #:leading? #t)))
    (list options others)))
(let ((text (with-output-to-string
              (lambda () (show-usage "run toy.scm" "" "Give." (experiment-parameters toy) '())))))
  (for-each (lambda (part)
              (test-assert (string-append "help has " part) (string-contains text part)))
            '("Usage: tempera run toy.scm [NAME=VALUE...]\nGive.\n" "  chains=8      " "chains in the batch (chains > 0)"
              "fast=no" "sizes=64,128")))
(test-equal "an experiment prints"
  "#<experiment toy chains=8 noise=0.1 name=toy fast=no mass=fourier sizes=64,128>"
  (format #f "~a" toy))

;;; --- The nearest name ------------------------------------------------------

(define names '("run" "train" "reconstruct" "data"))
(test-equal "nearest" '("run" "train" "reconstruct" "reconstruct" #f #f #f)
  (map (lambda (name) (nearest-name name names))
       '("rnu" "trian" "reconstrct" "rec" "zzzzz" "" "x")))

;;; --- Progress --------------------------------------------------------------

(test-equal "durations" '("0:00" "0:41" "1:05" "1:01:01")
  (map duration-text '(0.2 41 65 3661)))
(test-equal "nothing where there is no terminal" ""
  (call-with-output-string
    (lambda (port)
      (let ((progress (make-progress "working" 3 #:port port)))
        (progress-update! progress 1 #:text "loss 1")
        (progress-finish! progress)))))
(test-error-matching "a bad total" "make-progress: total: expected an integer, 0 or more, got -1"
                     (make-progress "working" -1))

;;; --- The experiments that come with Tempera, small ---------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (define (file name) (string-append directory "/" name))
   (define (check name settings results)
     ;; Run the experiment NAME; it gives RESULTS, files in its folder, and a summary to read.
     (primitive-load (test-file (format #f "../experiments/~a.scm" name)))
     (let ((out (file name)))
       (with-output-to-port (%make-void-port "w")
         (lambda () (run-experiment (last-experiment) settings #:directory out)))
       (for-each (lambda (result)
                   (test-assert (string-append name " writes " result)
                     (file-exists? (string-append out "/" result))))
                 results)
       (load-json (string-append out "/summary.json"))))
   (save-network (file "net.safetensors")
                 (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:normalisation #f)))
   (mkdir (file "images"))
   (for-each (lambda (k)
               (save-png (file (format #f "images/~a.png" k))
                         (tensor-abs (tensor-reshape (prior-draw (gaussian-prior (power-spectrum '(32 32)))
                                                                 1 #:seed k)
                                                     '(32 32)))))
             '(1 2))
   (let ((summary (check "two-moons" '((steps . 3) (norms . (0 1)) (chains . 50))
                         '("two-moons.png" "samples.npy"))))
     (test-assert "in two dimensions the integral decides as the density does"
       (> (assoc-ref summary "decisions_in_common") 0.99))
     (test-equal "a network for each norm" 2 (vector-length (assoc-ref summary "learned"))))
   (let* ((summary (check "learned-score" '((steps . 2) (size . 16) (count . 2) (sigmas . (0.5 2)))
                          '("learned-score.png")))
          (exact (assoc-ref summary "posterior_exact")))
     (test-equal "a row for each sigma" 2 (vector-length (assoc-ref summary "by_sigma")))
     ;; 512 numbers of 32 chains, and what is left of cooling.
     (test-approximate "the exact score's posterior" 1 (assoc-ref exact "variance_ratio") 0.12))
   (let ((summary (check "learned-posterior"
                         `((prior . ,(file "net.safetensors")) (images . ,(file "images")) (names . "1,2") (half . #f)
                           (chains . 4) (draws . 4) (slices . 2) (held . 2) (holds . (1 0.5))
                           (count . 4))
                         '("groups.png" "held.png" "group-3.safetensors"))))
     (test-equal "two temperatures" 2 (vector-length (assoc-ref summary "held")))
     (test-assert "a share" (<= 0 (assoc-ref (assoc-ref summary "coverage") "0.9") 1)))
   (let ((summary (check "compare-samplers"
                         `((prior . ,(file "net.safetensors")) (image . ,(file "images/1.png"))
                           (evaluations . (40 60)) (chains . 4))
                         '("samplers.png"))))
     (test-equal "five samplers, twice" 10 (vector-length (assoc-ref summary "rows"))))
   (primitive-load (test-file "../experiments/sweep-samplers.scm"))
   (with-output-to-port (%make-void-port "w")
     (lambda () (run-experiment (last-experiment)
                                `((prior . ,(file "net.safetensors")) (evaluations . (12)) (slices . (13))
                                  (accelerations . (4)) (chains . 4) (simulations . 2) (workers . 2))
                                #:directory (file "sweep-samplers"))))
   (for-each (lambda (part)
               (test-equal (string-append part ": four samplers") 4
                 (table-size (load-table (file (string-append "sweep-samplers/" part ".csv"))))))
             '("field" "slices"))
   (define (sweep-check name settings table rows picture)
     (primitive-load (test-file (format #f "../experiments/~a.scm" name)))
     (with-output-to-port (%make-void-port "w")
       (lambda () (run-experiment (last-experiment) settings #:directory (file name))))
     (test-equal (string-append name ": rows") rows
       (table-size (load-table (string-append (file name) "/" table))))
     (test-assert (string-append name " draws") (file-exists? (string-append (file name) "/" picture))))
   (sweep-check "sweep-spectral-norm" '((norms . (0 1 2)) (seeds . (1)) (steps . 2) (chains . 20)
                                        (workers . 2))
                "by-norm.csv" 3 "spectral-norm.png")
   (sweep-check "sweep-step-size" '((at-100 . (3 10)) (exponents . (1 1.5)) (size . 8) (ratio . 0.5)
                                    (chains . 2) (workers . 2))
                "results.csv" 4 "step-size.png")
   ;; The paper's figures, with weights that know nothing.
   (mkdir (file "priors"))
   (for-each (lambda (name)
               (save-network (file name)
                             (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:normalisation #f))))
             '("priors/brain.safetensors" "priors/brain-small.safetensors"))
   (save-network (file "priors/updnet.safetensors") (updnet #:iterations 1 #:channels '(4 8)))
   (save-network (file "priors/conditional.safetensors")
                 (conditional-network '(paper-unet #:inputs 2 #:channels (4 8) #:blocks 1
                                                   #:normalisation #f)))
   (save-network (file "priors/vae.safetensors") (vae #:size 32 #:latent 4 #:channels '(4 8)))
   (let ((run (lambda (name settings)
                (primitive-load (test-file (format #f "../experiments/~a.scm" name)))
                (with-output-to-port (%make-void-port "w")
                  (lambda () (run-experiment (last-experiment) settings #:directory (file name))))))
         (rows (lambda (name) (table-size (load-table (file name)))))
         (written? (lambda (name) (test-assert name (file-exists? (file name)))))
         (small `((half . #t) (ratio . 0.3) (priors . ,(file "priors")))))
     (run "compare-methods" `((slices . (13 14)) (conditions . 1) (chains . 3) ,@small))
     (let ((table (load-table (file "compare-methods/table.csv"))))
       (test-equal "a row for each method, and single samples" 16 (table-size table))
       (test-equal "its columns" '(method acceleration noise mask slice psnr ssim seconds)
         (table-columns table))
       (test-assert "all have a PSNR" (every real? (table-column table 'psnr)))
       (test-assert "total variation is better than nothing"
         (let ((psnr (lambda (method)
                       (first (table-column (table-filter table (lambda (m) (equal? m method)) 'method)
                                            'psnr)))))
           (> (psnr "total variation") (+ 1 (psnr "zero-filled"))))))
     (written? "compare-methods/methods.png")
     (let ((spread (load-table (file "compare-methods/spread.csv"))))
       ;; A third of the schedule of real use, chains far from the posterior: they differ from each
       ;; other as they should, and so the intervals hold one of them.
       (test-assert "intervals hold a draw like the others"
         (every (lambda (share) (< 0.87 share 0.93)) (table-column spread 'coverage-at-best)))
       (test-assert "wider ones hold no less"
         (every <= (table-column spread 'coverage) (table-column spread 'widened-coverage))))
     (run "compare-problems" `((only . (4 6)) (images . 1) (size . 32) (chains . 2) (ratio . 0.3) (prior . ,(file "priors/brain.safetensors"))))
     (let ((table (load-table (file "compare-problems/table.csv"))))
       (test-equal "two problems by eight methods" 16 (table-size table))
       (test-equal "its columns" '(problem image method psnr ssim coverage evaluations seconds) (table-columns table))
       (test-equal "each has an image without a prior" '("masked" "filtered back projection")
         (map third (filter (lambda (row) (member (third row) '("masked" "filtered back projection"))) (table-rows table)))))
     (test-equal "means over images" 16 (rows "compare-problems/summary.csv"))
     (written? "compare-problems/problems.png")
     (run "figure-1" small)
     (for-each written? '("figure-1/figure-1.png" "figure-1/what-is-known.png" "figure-1/strip.png"
                          "figure-1/samples.webp"))
     (test-equal "captions" 11 (rows "figure-1/figure-1.csv"))
     (run "figure-2" `((from . ,(file "figure-1"))))
     (written? "figure-2/figure-2.png")
     (test-error-matching "figure 2 before figure 1" "figure-2: from: nowhere has no samples.npy"
       (with-output-to-port (%make-void-port "w")
         (lambda () (run-experiment (last-experiment) '((from . "nowhere"))
                                    #:directory (file "nothing")))))
     (run "updnet-failure" `((chains . 2) ,@small))
     (written? "updnet-failure/updnet-failure.png")
     (test-equal "four conditions" 4 (rows "updnet-failure/updnet-failure.csv"))
     (run "sweep-posterior" `((widenings . (0.0 1.0)) (belows . (0 0.5)) (slices . (13)) (chains . 4)
                              (ratios . (0.3)) (prior . ,(file "priors/brain.safetensors"))))
     (let ((by-widening (load-table (file "sweep-posterior/by-widening.csv"))))
       (test-equal "a row for each widening and cooling" '((0 0) (0 1/2) (1 0) (1 1/2))
         (map (lambda (row) (list (inexact->exact (first row)) (inexact->exact (third row))))
              (table-rows by-widening)))
       ;; 30 9 ... 0.046: 7 temperatures; with 4 and by halves from there: 30 9 4 2 ... 0.046, 10.
       (test-assert "cooled more slowly it takes more"
         (apply < (list-head (table-column by-widening 'evaluations-mean) 2)))
       (test-assert "gains" (every real? (table-column by-widening 'mean-mean))))
     (let ((settings `((slices . (13)) (noises . (0.1 20)) (shown . (20)) (chains . 2) (ratio . 0.3)
                       (priors . ,(file "priors")))))
       (run "section-2" settings)
       (for-each written? '("section-2/section-2.png" "section-2/section-2-noise.png"))
       (test-equal "each method under each noise" 10 (rows "section-2/section-2.csv"))
       (let ((of (lambda (column method)
                   (table-column (table-filter (load-table (file "section-2/section-2-slices.csv"))
                                               (lambda (m) (equal? m method)) 'method)
                                 column))))
         ;; 8 columns of 32 complex numbers: a standard error of 3 %.
         (test-assert "zero-filled, the measurements are off by the noise"
           (every (lambda (noise error) (< (abs (- error noise)) (* 0.13 noise)))
                  '(0.1 20) (of 'measured-error "zero-filled")))
         ;; A decoder that knows nothing is off by all there is, and its residual keeps what is measured.
         (test-assert "the residual keeps what was measured"
           (> (first (of 'measured-error "VAE")) (* 10 (first (of 'measured-error "VAE and residual")))))
         (test-assert "one image has no spread" (not (any identity (of 'error-to-spread "zero-filled")))))
       (save-network (file "priors/vae.safetensors") (vae #:size 48 #:latent 4 #:channels '(4 8)))
       (test-error-matching "a size that is none of the slices'" "section-2: size: the auto-encoder's, 48"
         (with-output-to-port (%make-void-port "w")
           (lambda () (run-experiment (last-experiment) settings #:directory (file "no-section"))))))
     ;; The trainings of section 2, on a volume of noise.
     (let ((cache (getenv "XDG_CACHE_HOME")))
       (setenv "XDG_CACHE_HOME" (file "cache"))
       (save-npy (file "volume.npy") (tensor-abs (random-normal '(12 32 32) 1)))
       (data-add! (file "volume.npy") #:person "ann" #:orientation "SAR")
       (run "train-conditional" '((steps . 2) (size . 16) (batch . 1) (every . 1)))
       (run "train-vae" '((steps . 2) (size . 16) (latent . 3) (batch . 2) (every . 1)))
       (save-npy (file "bob.npy") (tensor-abs (random-normal '(12 32 32) 2)))
       (data-add! (file "bob.npy") #:person "bob" #:orientation "SAR")
       (run "sweep-prior" '((ways . (0 10 12)) (steps . 1) (person . "bob") (images . 2) (scans . 1)
                            (size . 16)))
       (let* ((by-way (load-table (file "sweep-prior/by-way.csv")))
              (least-power (tensor->number (tensor-min ((power-spectrum-by-size '(300 2.5 0.6)) '(16 16)))))
              (flat (* 2 (sqrt (+ 1 (/ least-power 100))))))
         (test-equal "a row for each way" '(0 10 12) (table-column by-way 'way))
         ;; A network held down to nothing: the score is that of noise and a Gaussian field; 12
         ;; iterations of the power method come near to its largest eigenvalue.
         (test-approximate "the largest step beside a field's score" flat
           (third (table-column by-way 'largest-step-mean)) (* 0.05 flat)))
       (setenv "XDG_CACHE_HOME" cache)
       (for-each (lambda (name network?)
                   (test-assert (string-append name " leaves its network")
                     (network? (load-network (file (format #f "train-~a/~a.safetensors" name name)))))
                   (test-equal (string-append name ": its losses") 2
                     (rows (format #f "train-~a/metrics.csv" name))))
                 '("conditional" "vae") (list conditional-network? vae?)))
     (run "prior-samples" `((prior . ,(file "net.safetensors")) (slices . (4 13)) (ratio . 0.2)))
     (written? "prior-samples/prior-samples.png")
     (test-equal "a row for each kind of sample" '(2 2 2 2 2 2)
       (map last (table-rows (table-group (load-table (file "prior-samples/prior-samples.csv"))
                                          '(row) '(rms count)))))
     (run "sweep-temperature" `((prior . ,(file "net.safetensors")) (chains . 2) (ratio . 0.3)))
     (written? "sweep-temperature/temperature.png")
     (run "denoise" `((prior . ,(file "net.safetensors")) (slices . (13)) (sigmas . (3)) (weights . (1))))
     (test-assert "total variation takes noise away"
       (let ((table (load-table (file "denoise/denoise.csv"))))
         (> (first (table-column table 'total-variation)) (+ 1 (first (table-column table 'noisy)))))))
   ;; A network that gives nothing, beside Wiener's skip, is the exact prior of a Gaussian field: the mean
   ;; of samples is off from the denoiser's by chance only.  32,768 numbers, each sample's share of the
   ;; variance known to 1 %; what is left of cooling is 2 to 4 % (doc/sampling.texi).
   (let ((net (score-network '(paper-unet #:channels (4 4) #:blocks 1 #:normalisation #f)
                             #:parametrisation 'wiener)))
     (for-each (lambda (p) (tensor-assign! (cdr p) 0)) (layer-parameters net))
     (save-network (file "gaussian.safetensors") net)
     (primitive-load (test-file "../experiments/self-consistency.scm"))
     (with-output-to-port (%make-void-port "w")
       (lambda () (run-experiment (last-experiment)
                                  `((prior . ,(file "gaussian.safetensors")) (slices . (13)) (noises . (2))
                                    (chains . 4))
                                  #:directory (file "self-consistency"))))
     (let* ((table (load-table (file "self-consistency/self-consistency.csv")))
            (of (lambda (column) (first (table-column table column)))))
       (test-approximate "an exact prior agrees with itself" 1 (/ (of 'apart-mean) (of 'by-chance)) 0.08)
       ;; Chance is V / C, V = P sigma^2 / (P + sigma^2) by frequency: three quarters of it is above |k| = 32.  About
       ;; 26,000 numbers on that side, so 0.005 by chance, six times.
       (test-approximate "and is apart as finely as V is" 0.794 (of 'fine-mean) 0.03)))
   (primitive-load (test-file "../experiments/compare-acceptance.scm"))
   (with-output-to-port (%make-void-port "w")
     (lambda () (run-experiment (last-experiment)
                                `((prior . ,(file "net.safetensors")) (image . ,(file "images/1.png"))
                                  (chains . 2) (until . 30))
                                #:directory (file "compare-acceptance"))))
   (test-equal "six ways" 6 (table-size (load-table (file "compare-acceptance/posteriors.csv"))))
   (test-error-matching "too few images" "names: expected 3 or more"
     (with-output-to-port (%make-void-port "w")
       (lambda ()
         (run-experiment learned-posterior `((prior . ,(file "net.safetensors")) (slices . 3)
                                             (images . ,(file "images")) (names . "1,2"))
                         #:directory (file "none")))))))

(finish-tests)
