;;; test-commands.scm -- every command is a run: what train, reconstruct and calibrate leave, and again.
;;;
;;; Each is run, stopped and gone on with, run again, reported and swept, as from a shell.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 textual-ports)
             (tempera))

(start-tests "commands")

(define (check-stopped name directory file . words)
  ;; Begin WORDS, whose run leaves DIRECTORY, and end it by SIGTERM some time after FILE in there has something.
  (check-shell (string-append name ": stopped") 143
         (format #f "~a: interrupted; go on with: tempera run --continue=~a\n" directory directory)
         (format #f "~a >said 2>&1 & p=$!; until test -s ~a/~a || ! kill -0 $p; do sleep 0.02; done; \
sleep 0.3; kill $p; wait $p; s=$?; cat said; (exit $s)" (string-join words) directory file)))

(define (check-same name before after)
  (test-equal name '() (comparison-differences (compare-runs (open-run before) (open-run after)))))

(define (bytes path) (call-with-input-file path (@ (ice-9 binary-ports) get-bytevector-all) #:binary #t))

(call-with-temporary-directory
 (lambda (directory)
   (setenv "XDG_CACHE_HOME" (string-append directory "/cache"))
   (chdir directory)

   ;; Things to work on: an image, its k-space, a volume, a network.
   (let* ((scan (simulated-scan (tensor-abs (tensor-reshape
                                             (prior-draw (gaussian-prior (power-spectrum '(32 32))) 1 #:seed 3)
                                             '(32 32)))))
          (mask (random-mask 32 #:acceleration 2 #:seed 1)))
     (save-npy "scan.npy" (tensor-abs scan))
     (save-npy "mask.npy" mask)
     (save-npy "kspace.npy" (measure (mri-operator #:mask mask) scan #:noise 1 #:seed 1)))
   (save-npy "volume.npy" (tensor-abs (random-normal '(24 32 32) 1)))
   (save-network "net.safetensors" (score-network '(paper-unet #:channels (2 4) #:blocks 1)))
   (check-shell "a volume" 0 "person p" "tempera data --add=volume.npy --person=p --orientation=SAR")

   ;; What each leaves: with dashes or without, it is the same run.
   (define reconstruct "tempera reconstruct scan.npy prior=net.safetensors simulate=yes chains=2")
   (define quickly "ratio=0.7")
   (define train "tempera train size=32 channels=2,4 blocks=1 convolutions=1 batch=1 every=2")
   (define calibrate "tempera calibrate size=8 simulations=6 draws=7 ratio=0.8")
   (check-shell "reconstruct" 0 "r: mean.npy std.npy quantiles.npy samples.npy figure.png report.html summary.json\n"
          reconstruct quickly "--out=r")
   (check-shell "with dashes" 0 "r2: mean.npy" "tempera reconstruct --chains 2 --ratio=0.7 --simulate --prior=net.safetensors \
--out r2 --input=scan.npy")
   (check-same "the same, with dashes" "r" "r2")
   ;; What it says besides of a region, a level and the frequencies.
   (save-npy "region.npy" (tensor< 0.5 (random-uniform '(32 32) 1)))
   (check-shell "with a region" 0 "q: mean.npy" reconstruct quickly "region=region.npy exceeds=1 --out=q")
   (let* ((summary (load-json "q/summary.json"))
          (field (lambda keys (fold (lambda (key found) (assoc-ref found key)) summary keys)))
          (samples (load-npy "q/samples.npy")))
     (call-with-values (lambda () (region-mean samples (tensor< 0 (load-npy "region.npy"))))
       (lambda expected
         (test-assert "its mean and its interval"
           (every (lambda (x key) (< (abs (- x (field "region" key))) 1e-3)) expected '("mean" "low" "high")))))
     (test-assert "the probability to exceed a level" (tensor-identical? (exceedance samples 1) (load-npy "q/exceeds.npy")))
     (test-equal "quantiles" '(3 32 32) (tensor-shape (load-npy "q/quantiles.npy")))
     (test-assert "the spread of samples" (every (lambda (key) (> (field "spread" key) 0)) '("measured" "unmeasured" "noise")))
     (test-assert "fastMRI's measures"
       (every (lambda (key) (real? (field key "sample_mean"))) '("nmse" "fastmri_psnr" "fastmri_ssim"))))
   (check-shell "a region of another shape" 1 "region: mask.npy: expected a mask of 0 and 1 over (32 32)" reconstruct quickly
          "region=mask.npy --out=misshapen")
   ;; Other patterns, and only a part of k-space's columns.
   (for-each (lambda (pattern)
               (check-shell pattern 0 "mean.npy" reconstruct "ratio=0.3 acceleration=4 partial-fourier=0.75"
                      (string-append "pattern=" pattern) (string-append "--out=of-" pattern)))
             '("equispaced" "gaussian" "poisson" "caipirinha"))
   (check-shell "no such pattern" 1 "pattern: expected" reconstruct "pattern=star --out=none")
   (check-shell "half of k-space" 1 "partial-fourier: expected" reconstruct "partial-fourier=0.5 --out=none")
   ;; What a run that goes on knows its rows by.
   (test-assert "a sigma for each temperature, the first too"
     (let ((sigmas (table-column (run-metrics (open-run "r")) 'sigma)))
       (and (apply > sigmas) (= 100 (first sigmas)))))
   (check-shell "train" 0 "wrote t/prior.safetensors\n" train "steps=6 --out=t")
   (check-shell "calibrate" 0 "c: summary.json ranks.csv ranks.png coverage.png reliability.png\n" calibrate "--out=c")
   (check-shell "truths from the prior" 0 "own: summary.json ranks.csv ranks.png coverage.png reliability.png\n"
          (string-append calibrate " prior=net.safetensors --out=own"))
   (check-shell "in runs/ where nothing is said" 0 "runs/calibrate-" calibrate)
   (for-each
    (lambda (name folder metric results files)
      (let ((run (open-run folder)))
        (define (of what) (string-append folder what))
        (test-equal (of ": its experiment") name (assq-ref (run-config run) 'experiment))
        (test-equal (of ": its state") 'finished (run-state run))
        (test-assert (of ": its log") (not (string-null? (run-log run))))
        (test-assert (of ": its metrics") (every real? (table-column (run-metrics run) metric)))
        (test-equal (of ": its result") results (map car (run-outcome run)))
        (for-each (lambda (file) (test-assert (of (string-append ": " file))
                                   (file-exists? (string-append folder "/" file))))
                  files)))
    '(reconstruct train calibrate) '("r" "t" "c") '(acceptance loss coverage)
    '((psnr zero-filled-psnr ssim zero-filled-ssim acceptance score-evaluations)
      (steps loss)
      (sbc-p tarp-p reliability-ratio coverage-0.5 coverage-0.9))
    '(("summary.json" "samples.npy") ("prior.safetensors") ("summary.json" "ranks.csv")))
   (test-equal "no checkpoint is left" '(#f #f)
     (map file-exists? '("r/chain.safetensors" "c/draws.safetensors")))
   (check-shell "a finished run is kept" 1 "r: has a finished run" reconstruct quickly "--out=r")

   ;; Again: the same bits, and a report beside the chain's own.
   (for-each
    (lambda (folder)
      (check-shell (string-append "rerun " folder) 0 "the same bits in result, metrics and"
             "tempera rerun" folder (format #f "--out=again-~a" folder))
      (check-shell (string-append "report " folder) 0 (string-append folder "/run.html\n")
             "tempera report" folder))
    '("r" "t" "c"))
   (test-assert "the chain's page is what it was"
     (let ((page (call-with-input-file "r/report.html" get-string-all)))
       (and (string-contains page "tempera rerun r") (not (string-contains page "Made with")))))
   (test-assert "the run's has its settings"
     (string-contains (call-with-input-file "r/run.html" get-string-all) "net.safetensors"))

   ;; Stopped and gone on with.
   (define slowly " noise=0.5 --ratio=0.98")
   (check-stopped "reconstruct" "cut" "metrics.csv" reconstruct slowly "--out=cut")
   (test-equal "interrupted" 'interrupted (run-state (open-run "cut")))
   (test-assert "with its chain" (file-exists? "cut/chain.safetensors"))
   (check-shell "from where it was: a torn chain is noticed" 1 "torn/chain.safetensors"
          "cp -r cut torn; head -c 100 cut/chain.safetensors >torn/chain.safetensors; tempera run --continue=torn")
   (let ((done (table-size (run-metrics (open-run "cut")))))
     (check-shell "goes on" 0 "cut: finished in" "tempera run --continue=cut")
     (check-shell "unbroken" 0 "whole: mean.npy" reconstruct slowly "--out=whole")
     (test-assert "it was stopped on its way" (< 0 done (table-size (run-metrics (open-run "whole"))))))
   (check-same "reconstruct: the same bits" "whole" "cut")
   ;; Of a kill that nothing answers, the run begins anew.
   (check-shell "killed" 137 "" reconstruct slowly "--out=dead >/dev/null 2>&1 & p=$!; until test -s dead/metrics.csv; do sleep 0.02; done; \
kill -9 $p; wait $p")
   (test-equal "is interrupted" 'interrupted (run-state (open-run "dead")))
   (check-shell "the same command goes on" 0 "dead: mean.npy" reconstruct slowly "--out=dead")
   (check-same "killed: the same bits" "whole" "dead")

   (check-stopped "train" "cut-t" "metrics.csv" train "steps=600 --out=cut-t")
   (check-shell "train goes on" 0 "cut-t: finished in" "tempera run --continue=cut-t")
   (check-shell "train unbroken" 0 "wrote" train "steps=600 --out=whole-t")
   (test-assert "train: the same weights"
     (equal? (bytes "whole-t/prior.safetensors") (bytes "cut-t/prior.safetensors")))
   ;; From another's checkpoint.
   (check-shell "train from" 0 "on-t/prior.safetensors" train "steps=8 from=t --out=on-t 2>said")
   (test-equal "what is other is said" '("steps: 6 until step 6, now 8")
     (filter (lambda (line) (string-contains line "until step"))
             (string-split (call-with-input-file "said" get-string-all) #\newline)))
   (test-equal "it has the other's losses" '(2 4 6 8) (table-column (run-metrics (open-run "on-t")) 'step))
   (check-shell "another network" 1 "body: this trainer has" "tempera train size=32 channels=4,4 blocks=1 convolutions=1 batch=1 from=t")
   (check-shell "no checkpoint" 1 "train: from: no such file: c/checkpoint.safetensors" train "from=c --out=none")
   ;; Another network, other losses, validated on a person that is not trained on.
   (save-npy "volume-q.npy" (tensor-abs (random-normal '(24 32 32) 8)))
   (check-shell "a second volume" 0 "person q" "tempera data --add=volume-q.npy --person=q --orientation=SAR")
   (check-shell "train another network" 0 "wrote other/prior.safetensors"
          "tempera train network=edm-unet width=8 multipliers=1,2 blocks=1 attention=2 parametrisation=wiener weight=learned \
balance=yes size=16 steps=2 every=1 batch=2 accumulate=2 hold-out=q validation-images=2 --out=other")
   (test-equal "its losses on q" '(2) (delete-duplicates (table-column (run-validation (open-run "other")) 'step)))
   (test-assert "its sigmas reach as far as the data"
     (let ((range (sigma-range (load-network "other/prior.safetensors"))))
       (and (= 0.05 (first range)) (< 300 (second range) 10000))))

   (define many "tempera calibrate size=16 simulations=100 draws=4 --out=")
   (check-stopped "calibrate" "cut-c" "state.scm" (string-append many "cut-c"))
   (test-assert "calibrate: with its draws" (file-exists? "cut-c/draws.safetensors"))

   ;; Sweeps.
   (check-shell "sweep reconstruct" 0 "s: results.csv" "tempera sweep reconstruct noise=0.5,1 scan.npy --prior=net.safetensors \
--simulate chains=2 --ratio=0.7 --workers=2 --out=s")
   (let ((results (sweep-results "s")))
     (test-equal "a row for each" '(0.5 1) (table-column results 'noise))
     (test-equal "finished" '(finished finished) (table-column results 'state))
     (test-assert "their results" (every real? (table-column results 'psnr))))
   (check-shell "point 1 alone" 0 "p1: mean.npy" reconstruct quickly "noise=0.5 --out=p1")
   (check-same "a point is a run" "s/points/0001" "p1")
   (check-shell "its rerun" 0 "the same bits" "tempera rerun s/points/0002 --out=p2")
   (check-shell "its report" 0 "s/report.html" "tempera report s")
   (check-shell "sweep train" 0 "st: results.csv" "tempera sweep train steps=2 'channels=2,4;4,4' blocks=1 convolutions=1 size=32 batch=1 \
--out=st --workers=1")
   (test-equal "trained" '(finished finished) (table-column (sweep-results "st") 'state))
   (check-shell "over files" 0 "sf: results.csv" "tempera sweep reconstruct input=scan.npy,r/mean.npy prior=net.safetensors simulate=yes \
chains=2 ratio=0.5 --out=sf")
   (check-shell "a point that fails" 1 "a point failed: 0002" "tempera sweep reconstruct scan.npy prior=net.safetensors simulate=yes \
chains=2 ratio=0.5 acceleration=2,1000 --out=sx")
   (check-shell "again, as it is" 1 "a point failed: 0002" "tempera sweep --continue=sx --mended")
   (check-shell "no script to mend" 1 "mend-sweep!: sx: its experiment has no script, got x.scm" "tempera sweep --continue=sx --mended x.scm")
   (check-shell "no point runs if one is wrong" 1 "sweep: ratio: expected a number, 0 < ratio < 1, got 2"
          "tempera sweep reconstruct scan.npy prior=net.safetensors simulate=yes ratio=0.5,2 --out=sy")
   (test-assert "nor is there a folder" (not (file-exists? "sy")))
   (check-shell "neither command nor script" 1 "load-script: no such file: recnstruct" "tempera sweep recnstruct noise=1,2")

   ;; What does not fit is said before anything is made.
   (for-each
    (lambda (text . words)
      (check-shell text 1 text "tempera" (string-join words) "--out=none")
      (test-assert (string-append text ": no folder") (not (file-exists? "none"))))
    '("reconstruct: ratio: expected a number, 0 < ratio < 1, got 1.2"
      "reconstruct: chains: expected an integer, chains > 0, got \"2.5\""
      "reconstruct: unknown parameter nosie; did you mean noise?"
      "reconstruct: unknown option --nosie; did you mean --noise?"
      "reconstruct: input: expected the name of a file or folder, got none"
      "reconstruct: no-such.npy: no such file"
      "reconstruct: no-mask.npy: no such file"
      "reconstruct: expected one of mask=FILE, trajectory=FILE and simulate=yes"
      "reconstruct: prior: expected one of brain"
      "reconstruct: expected key=value, got more.npy"
      "train: size: expected an integer for which `multiple-of-8' holds, got 20"
      "train: spectral: expected a name, penalty, projection or cap, got clip"
      "train: width: drunet has none; its options are channels, blocks"
      "train: network: expected a name, paper-unet, code-unet, edm-unet or drunet, got unet"
      "calibrate: until: expected a number, 0 < until < 100, got 100"
      "calibrate: images: expected a prior beside them, prior=FILE"
      "calibrate: images: no such file or folder: none-such")
    '("reconstruct scan.npy ratio=1.2 simulate=yes" "reconstruct scan.npy chains=2.5"
      "reconstruct scan.npy nosie=2" "reconstruct scan.npy --nosie=2" "reconstruct prior=net.safetensors"
      "reconstruct no-such.npy" "reconstruct scan.npy mask=no-mask.npy"
      "reconstruct scan.npy prior=net.safetensors" "reconstruct scan.npy simulate=yes"
      "reconstruct scan.npy more.npy prior=net.safetensors" "train size=20" "train spectral=clip" "train network=drunet width=8" "train network=unet"
      "calibrate until=100" "calibrate images=none-such"
      "calibrate prior=net.safetensors images=none-such"))

   ;; A run that failed before it had anything to show gives way to the right settings.
   (save-npy "slices.npy" (tensor-abs (random-normal '(3 32 32) 5)))
   (define volume "tempera reconstruct slices.npy prior=net.safetensors simulate=yes chains=1 ratio=0.5 --out=v")
   (check-shell "a slice is missing" 1 "slices.npy has 3 slices: expected slice=N; v/log.txt has its backtrace" volume)
   (test-equal "that run failed" 'failed (run-state (open-run "v")))
   (check-shell "the slice that is meant" 0 "v: mean.npy" volume "slice=1")
   (test-assert "its log is its own" (not (string-contains (run-log (open-run "v")) "expected slice=N")))
   (check-shell "measured k-space" 0 "k: mean.npy" "tempera reconstruct kspace.npy mask=mask.npy noise=1 prior=net.safetensors \
chains=1 ratio=0.5 --out=k")

   ;; At the prompt they are runs like others.
   (let ((run (with-output-to-port (%make-void-port "w") (lambda () (resume-run "cut-c")))))
     (test-equal "gone on with from Scheme" 'finished (run-state run)))
   (check-shell "calibrate unbroken" 0 "whole-c: summary.json" (string-append many "whole-c"))
   (check-same "calibrate: the same bits" "whole-c" "cut-c")
   (test-error-matching "a module that is gone" "module-experiment: the module (no such module) that defines"
     (begin
       (system* "cp" "-r" "t" "gone")
       (save-datum "gone/config.scm"
                   (map (lambda (entry) (if (eq? 'module (car entry)) '(module no such module) entry))
                        (load-datum "gone/config.scm")))
       (rerun "gone" #:directory "gone-again")))
   (test-error-matching "a module that is none" "module: expected the name of a module, got 3"
     (begin
       (save-datum "gone/config.scm"
                   (map (lambda (entry) (if (eq? 'module (car entry)) '(module . 3) entry))
                        (load-datum "gone/config.scm")))
       (open-run "gone")))
   (chdir "/")))

(finish-tests)
