;;; test-training.scm -- training: the same bits on any number of threads and
;;; resumed; what sigma is drawn from; spectral norms; that it learns a score known
;;; exactly.

(use-modules (harness) (srfi srfi-1) (tempera base errors) (tempera file paths) (tempera file safetensors) (tempera net layers)
             (tempera net networks) (tempera net score-networks) (tempera method network-files) (tempera net unets) (tempera tensor primitives) (tempera run recorders) (tempera run run-files)
             (tempera base numbers) (tempera problem gaussian) (tempera file tables) (tempera tensor tensors) (tempera net checkpoints) (tempera net losses)
             (tempera net noise-levels) (tempera net rates) (tempera net spectral-norms) (tempera net trainer)
             (tempera net trainer-history) (tempera net training)
             (tempera run training-runs) (srfi srfi-11))

(start-tests "training")

(define (images count step)
  (tensor* 10 (random-normal (list count 16 16) 5 step 'c64)))

(define* (small-trainer #:key (normalisation 'batch) (steps 20) (spectral #f) (averaging 0.9)
                        (seed 3) (rate (constant-rate 1e-3)) (data images))
  (make-trainer (score-network `(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2
                                            #:normalisation ,normalisation))
                data #:batch 3 #:steps steps #:seed seed #:spectral spectral
                #:averaging averaging #:rate rate))

(define (saved-step path)
  (let-values (((tensors metadata) (load-safetensors path)))
    (string->number (assoc-ref metadata "step"))))

(define (state trainer)
  (append (map cdr (layer-parameters (trainer-network trainer)))
          (map cdr (layer-buffers (trainer-network trainer)))
          (map cdr (layer-parameters (trainer-averaged trainer)))))

(define (same-bits? a b)
  (every tensor-identical? (state a) (state b)))

(define (on-threads count thunk)
  (let ((before (threads)))
    (dynamic-wind (lambda () (set-threads! count)) thunk (lambda () (set-threads! before)))))

;;; A step's memory is that of the step before: nothing is fetched from the system.

(on-threads 1
 (lambda ()
   (let ((trainer (small-trainer))
         (fetched (lambda () (assq-ref (memory-usage) 'fetched))))
     (train! trainer #:steps 3)
     (let ((before (fetched)))
       (train! trainer #:steps 10)
       (test-equal "a steady step fetches no memory" before (fetched)))
     (let* ((net (trainer-network trainer)) (x (images 3 0)))
       (define (score-once i) (with-scope (lambda () (net x 1.) #t)))
       (for-each score-once (iota 2)) ; folded weights are kept with the first
       (let ((before (fetched)))
         (for-each score-once (iota 10))
         (test-equal "nor does a score" before (fetched)))))))

;;; Products in bfloat16, weights in float32: the loss is held.  Both runs draw the same
;;; numbers, so that their losses differ by rounding alone; it is 0.4 % of a factor.

(let* ((loss (lambda (precision)
               (let ((trainer (make-trainer
                               (score-network '(paper-unet #:channels (16 32) #:blocks 1
                                                           #:convolutions 2)
                                              #:precision precision)
                               images #:batch 8 #:steps 60 #:seed 3)))
                 (train! trainer)
                 (test-equal "the average has the network's precision" precision
                   (network-precision (trainer-averaged trainer)))
                 (second (first (trainer-losses trainer))))))
       (whole (loss 'float32)) (short (loss 'bf16)))
  (test-assert "it learned something" (< whole 0.9))
  (test-assert "bf16 is another computation" (not (= whole short)))
  (test-approximate "the loss in bf16" whole short (* 0.004 whole)))

;;; Same bits: threads, stopping, files.

(define unbroken (on-threads 2 (lambda () (train! (small-trainer)))))
(test-equal "20 steps" 20 (trainer-step unbroken))
(test-assert "20 steps on 1 and on 2 threads have the same bits"
  (same-bits? unbroken (on-threads 1 (lambda () (train! (small-trainer))))))
(test-assert "another seed has other bits"
  (not (same-bits? unbroken (train! (small-trainer #:seed 4)))))

(call-with-temporary-folder
 (lambda (folder)
   (let ((path (string-append folder "/run.safetensors"))
         (first-half (small-trainer)))
     (train! first-half #:steps 10 #:checkpoint path)
     (test-equal 10 (trainer-step first-half))
     (let ((second-half (trainer-resume! (small-trainer) path)))
       (test-equal "losses are kept" (trainer-losses first-half) (trainer-losses second-half))
       (test-assert "10 steps, resumed for 10 more, are 20 to the bit"
         (same-bits? unbroken (train! second-half))))
     (test-error-matching "another seed" "seed: this trainer has 9, the checkpoint 3"
       (trainer-resume! (small-trainer #:seed 9) path))
     (test-error-matching "another network" "body: this trainer has"
       (trainer-resume! (small-trainer #:normalisation #f) path))
     (let-values (((tensors about) (load-safetensors path)))
       (save-safetensors path (acons "stem.wieghts" (tensor-zeros '(2)) tensors) #:metadata about)
       (test-error-matching "a tensor too many" "it has tensors that are not of it: \"stem.wieghts\""
         (trainer-resume! (small-trainer) path)))
     (truncate-file path 5000)
     (test-error-matching "truncated" "run.safetensors: truncated" (trainer-resume! (small-trainer) path))
     (save-safetensors path '() #:metadata '(("format" . "other")))
     (test-error-matching "no checkpoint" "expected format tempera-trainer-1, got \"other\""
       (trainer-resume! (small-trainer) path))
     (test-error-matching "missing" "No such file"
       (trainer-resume! (small-trainer) (string-append folder "/none"))))))

;;; A run that was killed when it had written its checkpoint, and recorded none of its losses.
(call-with-temporary-folder
 (lambda (folder)
   (train! (small-trainer) #:steps 10 #:every 5
           #:checkpoint (string-append folder "/checkpoint.safetensors"))
   (let* ((recorder (start-recorder folder))
          (network (parameterize ((current-recorder recorder)
                                  (current-output-port (%make-void-port "w")))
                     (train-run! (small-trainer) "small" #:every 5 #:metadata '(("seed" . "3"))))))
     (close-metrics! recorder)
     (test-equal "all losses are in the run's metrics, each once" '(5 10 15 20)
       (table-column (load-metrics folder) 'step))
     (test-assert "a run that goes on comes to the bits of one that was never stopped"
       (every tensor-identical?
              (map cdr (layer-parameters (trainer-averaged unbroken)))
              (map cdr (layer-parameters network))))
     (test-equal "with what its steps ran with" '((0 "3" "3"))
       (let-values (((tensors metadata) (load-safetensors (string-append folder "/small.safetensors"))))
         (map (lambda (entry) (list (car entry) (assq-ref (cdr entry) 'seed) (assq-ref (cdr entry) 'batch)))
              (with-input-from-string (assoc-ref metadata "training") read))))
     (test-assert "its network is what the file has"
       (every tensor-identical?
              (map cdr (layer-parameters network))
              (map cdr (layer-parameters
                        (load-network (string-append folder "/small.safetensors")))))))))

;;; --- A good checkpoint stays ------------------------------------------------------

(define (error-output thunk)
  ;; What THUNK, whose own errors end it, says on standard error.
  (call-with-output-string
    (lambda (port) (with-error-to-port port (lambda () (false-if-exception (thunk)))))))

(call-with-temporary-folder
 (lambda (folder)
   (define path (string-append folder "/run.safetensors"))
   (train! (small-trainer) #:steps 5 #:checkpoint path)
   ;; The update of step 5 ruins all weights; at the end of the step the checkpoint is due.
   (let ((wild (lambda () (trainer-resume! (small-trainer #:rate (constant-rate 1e6)) path))))
     (test-error-matching "what diverges ends, and says since when and why"
                          "train!: step 6: the loss is"
       (train! (wild) #:checkpoint path #:every 1))
     (test-error-matching "by the rate" "the data are finite and the rate was 1000000.0"
       (train! (wild) #:checkpoint path #:every 3))
     (test-assert "and what stays"
       (string-contains (error-output (lambda () (train! (wild) #:checkpoint path #:every 1)))
                        "run.safetensors stays as it was"))
     (let ((ruined (wild)))
       (error-output (lambda () (train! ruined)))
       (test-error-matching "nobody writes it" "training diverged by step 6"
         (trainer-save ruined path))))
   (test-equal "the checkpoint is that of the last sound step" 5 (saved-step path))
   (test-assert "from which training goes on to the bits of one that never diverged"
     (same-bits? unbroken (train! (trainer-resume! (small-trainer) path))))

   ;; With a norm in each layer nothing overflows: the loss only grows, to 1e12 and more.
   (test-error-matching "finite, and diverged" "a lower one, or a smaller clip, may help"
     (train! (small-trainer #:rate (constant-rate 10.) #:steps 60)))

   ;; One bad batch: not the rate's fault, and the weights before it are as good as ever.
   (let* ((bad? #t)
          (data (lambda (count step)
                  (if (and bad? (= step 7))
                      (tensor* +nan.0 (images count step))
                      (images count step))))
          (trainer (small-trainer #:data data)))
     (test-error-matching "the data's fault" "the data of step 7 have NaN or infinite values"
       (train! trainer #:checkpoint path))
     (test-equal "is no reason not to save" 7 (saved-step path))
     (set! bad? #f)
     (test-assert "and to go on" (same-bits? unbroken (train! (trainer-resume! (small-trainer) path)))))

   ;; Files of whoever did not look.
   (let-values (((tensors metadata) (load-safetensors path)))
     (save-safetensors path (cons (cons (car (first tensors)) (tensor* +nan.0 (cdr (first tensors))))
                                  (cdr tensors))
                       #:metadata metadata))
   (test-error-matching "a checkpoint that is not finite" "has NaN or infinite values: training had diverged"
     (trainer-resume! (small-trainer) path))))

(test-assert "a loss that rose is said"
  (string-contains (error-output (lambda () (train! (small-trainer #:rate (constant-rate 0.1)) #:every 10)))
                   "is above that of the first steps"))

;;; --- What ran with which settings ---------------------------------------------------

(call-with-temporary-folder
 (lambda (folder)
   (define path (string-append folder "/run.safetensors"))
   (define* (other #:key (rate (constant-rate 1e-4)) (batch 3) (sigma (sigma-log-uniform 0.05 150))
                   (about '(("size" . "16") ("data" . "noise"))))
     (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2))
                   images #:batch batch #:steps 20 #:seed 3 #:averaging 0.9 #:rate rate #:sigma sigma
                   #:about about))
   (define (resumed-saying . options)
     (let* ((trainer (apply other options))
            (text (error-output (lambda () (trainer-resume! trainer path)))))
       (cons trainer (remove string-null? (string-split text #\newline)))))
   (train! (other) #:steps 4 #:checkpoint path)
   (test-equal "the same settings: not a word" '() (cdr (resumed-saying)))
   (test-equal "a line for each that differs"
     '("batch: 3 until step 4, now 2"
       "rate: 1.0e-4 until step 4, now 0.002 (warm-up 200, decay 0.25 to 0.01 of it)"
       "sigma: log-uniform on [0.05, 150] until step 4, now N(0, 50^2)"
       "size: 16 until step 4, now 32")
     (cdr (resumed-saying #:batch 2 #:rate (warmup-stable-decay 2e-3) #:sigma (sigma-normal)
                          #:about '(("size" . "32") ("data" . "noise")))))
   (test-equal "a rate of one's own, by what it gives"
     '("rate: 1.0e-4 until step 4, now 0.01, 0.02, 0.03")
     (cdr (resumed-saying #:rate (lambda (step steps) (* 0.01 (1+ (/ (* 2 step) steps)))))))
   (let ((trainer (car (resumed-saying #:rate (constant-rate 1e-5)))))
     (train! trainer #:steps 3 #:checkpoint path)
     (let ((back (resumed-saying)))
       (test-equal "and back" '("rate: 1.0e-5 until step 7, now 1.0e-4") (cdr back))
       (train! (car back) #:steps 1)
       (test-equal "all of it is kept" '((0 . "1.0e-4") (4 . "1.0e-5") (7 . "1.0e-4"))
         (map (lambda (entry) (cons (car entry) (assq-ref (cdr entry) 'rate)))
              (trainer-history (car back))))
       (test-equal "only what changed is written twice" '(rate)
         (map car (cdr (second (trainer-history (car back))))))))
   (test-equal "what never ran is not kept" '(0 4)
     (map car (trainer-history (car (resumed-saying #:rate (constant-rate 1e-5))))))
   (let-values (((tensors metadata) (load-safetensors path)))
     (save-safetensors path tensors #:metadata (alist-delete "history" metadata)))
   (test-assert "a checkpoint that does not say"
     (string-contains (second (resumed-saying)) "does not say what settings its 7 steps had"))))

(test-equal "a fork's history" '(0 2)
  (let* ((trainer (train! (small-trainer) #:steps 2))
         (fork (trainer-fork trainer #:rate (constant-rate 1e-5))))
    (map car (trainer-history (train! fork #:steps 1)))))
(test-error-matching "note" "about: expected an association list" (trainer-note! (small-trainer) "size"))
(test-error-matching "about" "about: expected an association list"
  (make-trainer (score-network '(moons-mlp)) images #:about '((size . 3))))

;;; An interrupted step leaves no trace: batch norm's statistics go back too.

(let* ((broken? #f)
       (data (lambda (count step)
               (if (and broken? (= step 12)) (throw 'user-interrupt) (images count step))))
       (net (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2)))
       (trainer (make-trainer net data #:batch 3 #:steps 20 #:seed 3 #:averaging 0.9
                              #:rate (constant-rate 1e-3))))
  (set! broken? #t)
  (test-equal "in a script an interrupt ends training" 'interrupted
    (catch 'user-interrupt (lambda () (train! trainer)) (const 'interrupted)))
  (test-equal "at a whole step" 12 (trainer-step trainer))
  (set! broken? #f)
  (test-assert "and it goes on to the same bits" (same-bits? unbroken (train! trainer))))

;;; Distributions of sigma.

(define n 4000)
(define (moments distribution)
  (let* ((values (tensor->list (sigma-draw distribution n #:seed 1)))
         (mean (/ (apply + values) n)))
    (list mean (sqrt (/ (apply + (map (lambda (v) (expt (- v mean) 2)) values)) n))
          (apply min values) (apply max values))))

(let ((m (moments (sigma-normal 50))))
  ;; Standard errors: 50 / sqrt (n) = 0.8 and 50 / sqrt (2 n) = 0.56; five of each.
  (test-approximate "the mean of N(0, 50^2)" 0 (first m) 4.0)
  (test-approximate "its standard deviation, not variance, is 50" 50 (second m) 2.8)
  (test-assert "it is signed" (< (third m) 0)))
(let* ((draws (tensor->list (sigma-draw (sigma-log-uniform 0.05 150) n #:seed 1)))
       (below-1 (/ (count (lambda (s) (< s 1)) draws) n))
       (expected (/ (log 20) (log 3000))))
  (test-assert "log-uniform stays inside" (every (lambda (s) (<= 0.0499 s 150.01)) draws))
  ;; Binomial: sd below 0.008; five of them.
  (test-approximate "and has its share below 1" expected below-1 0.04))
(let* ((mixture (sigma-mixture 1 (sigma-log-uniform 1 2) 3 (sigma-log-uniform 10 20)))
       (draws (tensor->list (sigma-draw mixture n #:seed 1)))
       (low (filter (lambda (s) (< s 5)) draws)))
  (test-approximate "a mixture has its weights" 0.25 (/ (length low) n) 0.035)
  (test-approximate "and its parts their distributions" 1.414
    (list-ref (sort low <) (quotient (length low) 2)) 0.06))
(test-equal "how far a mixture goes" '(1 20)
  (distribution-range (sigma-mixture 1 (sigma-log-uniform 1 2) 3 (sigma-log-uniform 10 20))))
(let* ((range (distribution-range (sigma-normal 50)))
       (outside (count (lambda (s) (not (<= (first range) (abs s) (second range))))
                       (tensor->list (sigma-draw (sigma-normal 50) 10000 #:seed 2)))))
  ;; 1 % of 10,000, and three standard deviations of a binomial's.
  (test-assert "all but one in a hundred of a normal one" (<= 70 outside 130)))
(test-equal "the largest distance" 5. (largest-distance (list->tensor '(0 0 3 4 1 1) '(3 2))))
(test-error-matching "of one image" "largest-distance: images: expected two or more"
  (largest-distance (tensor-zeros '(1 2))))
(test-equal "#<sigma log-uniform on [1, 2]>" (object->string (sigma-log-uniform 1 2)))
(test-error-matching "s" "s: expected a positive number, got -1" (sigma-normal -1))
(test-error-matching "low, high" "expected 0 < low < high" (sigma-log-uniform 2 1))
(test-error-matching "mixture" "sigma-mixture: " (sigma-mixture 1 2))
(test-error-matching "mixture weights" "weights: " (sigma-mixture -1 (sigma-normal)))

;;; Rates.

(test-approximate "warm-up" 0.5 ((warmup-stable-decay 1 #:warmup 10) 4 100) 1e-9)
(test-approximate "steady" 1 ((warmup-stable-decay 1 #:warmup 10) 50 100) 1e-9)
(test-approximate "falling" 0.5 ((warmup-stable-decay 1 #:warmup 10 #:decay 0.4) 80 100) 1e-9)
(test-approximate "cosine's middle" 0.505 ((warmup-cosine 1 #:warmup 0) 50 100) 1e-9)
(test-approximate "cosine's end" 0.01 ((warmup-cosine 1 #:warmup 0) 100 100) 1e-9)

;;; Spectral norms.  Projection puts each at its value, cap only lowers it; one power
;;; iteration a step lags a little behind a matrix that moves.

(define (norms spectral)
  (map cdr (spectral-norms (trainer-network
                            (train! (small-trainer #:normalisation #f #:spectral spectral))))))
(let ((free (norms #f)) (projected (norms (projection 2))) (capped (norms (cap 1.5)))
      (penalised (norms (penalty 10.0))))
  (test-assert (format #f "projection sets the norm: ~a" projected)
    (every (lambda (s) (< 1.9 s 2.1)) projected))
  (test-assert (format #f "cap bounds it: ~a" capped) (every (lambda (s) (< s 1.6)) capped))
  (test-assert "and leaves smaller ones" (< (apply min capped) 1.0))
  (test-assert "the penalty lowers it" (< (apply + penalised) (apply + free))))
(test-equal "a bound is recorded as the call that makes it" "(penalty 0.01 2)"
  (assq-ref (cdr (first (trainer-history (train! (small-trainer #:spectral (penalty 0.01 2)) #:steps 1))))
            'spectral))
(test-error-matching "spectral" "spectral: expected #f, (cap value)"
  (small-trainer #:spectral 'strong))
(test-error-matching "a bound in quotes" "calls without a quote, got (cap 2)"
  (small-trainer #:spectral '(cap 2)))
(test-error-matching "no norm" "cap: value: expected a positive number, got 0" (cap 0))
(test-equal "a bound prints" "#<cap of norms at 2>" (format #f "~a" (cap 2)))

;;; Bad settings.

(define net (score-network '(moons-mlp)))
;;; --- Forks and states kept ---------------------------------------------------------

(let* ((trainer (train! (small-trainer) #:steps 8 #:keep 3))
       (twin (trainer-fork trainer))
       (slow (trainer-fork trainer #:rate (constant-rate 1e-6)))
       (plain (trainer-fork trainer #:averaging #f))
       (before (map tensor-copy (state trainer))))
  (test-equal "kept" '(6 3 0) (trainer-kept-steps trainer))
  (test-assert "a fork goes the same way" (same-bits? unbroken (train! twin)))
  (test-assert "another rate, another way" (not (same-bits? unbroken (train! slow))))
  (test-equal "to the same length" 20 (trainer-step slow))
  (test-equal "without an average" 20 (trainer-step (train! plain)))
  (test-assert "the original stays"
    (and (= 8 (trainer-step trainer)) (every tensor-identical? before (state trainer))))
  (test-assert "and goes on" (same-bits? unbroken (train! trainer)))
  (let ((losses (trainer-losses trainer)))
    (test-eq "rewound in place" trainer (trainer-rewind! trainer 5))
    (test-equal "to the last state before" 3 (trainer-step trainer))
    (test-equal "the end is kept with what was" '(20 6 3 0) (trainer-kept-steps trainer))
    (test-equal "a fork has what is behind it" '(3 0) (trainer-kept-steps (trainer-fork trainer)))
    (test-assert "and is come back to" (same-bits? unbroken (trainer-rewind! trainer 20)))
    (test-equal "losses too" losses (trainer-losses trainer))
    (trainer-rewind! trainer 5)
    (test-assert "the same way again" (same-bits? unbroken (train! trainer))))
  (test-equal "a fork has its states too" 6 (trainer-step (trainer-rewind! twin 7)))
  (test-assert "from which it goes on" (same-bits? unbroken (train! twin)))
  (test-error-matching "nothing so early" "kept are those of none: see #:keep"
    (trainer-rewind! (small-trainer) 3))
  (test-error-matching "rewind what" "trainer: expected" (trainer-rewind! 3 1))
  (test-error-matching "rewind where" "step: expected" (trainer-rewind! trainer 'start))
  (test-error-matching "fork what" "trainer: expected" (trainer-fork 3))
  (test-error-matching "a fork's setting" "batch: expected" (trainer-fork trainer #:batch 0))
  (test-error-matching "keep" "keep: expected" (train! trainer #:keep 0)))

(test-error-matching "network" "network: expected a score network" (make-trainer car images))
(test-error-matching "data" "data: expected a procedure" (make-trainer net 3))
(test-error-matching "batch" "batch: expected a positive integer" (make-trainer net images #:batch 0))
(test-error-matching "sigma" "sigma: expected a distribution" (make-trainer net images #:sigma 3))
(test-error-matching "rate" "rate: expected a procedure" (make-trainer net images #:rate 1e-4))
(test-error-matching "clip" "clip: expected" (make-trainer net images #:clip -1))
(test-error-matching "a loss that is not finite" "train!: step 0: the loss is"
  (train! (make-trainer net (lambda (n step) (list->tensor (make-list (* 2 n) +nan.0) (list n 2)))
                        #:batch 2 #:steps 2)))

;;; DSM finds the score: for x ~ N(0, s^2) it is -x / (s^2 + sigma^2).

(define s 2.0)
(define learned
  (trainer-averaged
   (train! (make-trainer (score-network '(moons-mlp #:width 32) #:parametrisation 'paper)
                         (lambda (count step) (tensor* s (random-normal (list count 2) 8 step)))
                         #:batch 256 #:steps 1500 #:seed 1 #:averaging 0.99
                         #:rate (warmup-cosine 3e-3 #:warmup 50)
                         #:sigma (sigma-log-uniform 0.5 4)))))
(for-each
 (lambda (sigma)
   (let* ((x (tensor* (sqrt (+ (* s s) (* sigma sigma))) (random-normal '(400 2) 9)))
          (exact (tensor* (/ -1 (+ (* s s) (* sigma sigma))) x))
          (size (lambda (t) (sqrt (tensor->number (tensor-sum-squares t)))))
          (r (/ (size (tensor- (learned x sigma) exact)) (size exact))))
     ;; Training leaves what its noise leaves: with 1500 batches of 256 the score of a
     ;; Gaussian is found to about a tenth; a wrong sign or scale is off by 1 or more.
     (test-assert (format #f "the score at sigma ~a, relative error ~a" sigma r) (< r 0.2))))
 '(0.7 1.5 3.0))

;;; --- Frequencies --------------------------------------------------------------------

(let* ((law '(5 2 1))
       (size '(8 8))
       (sigma (list->tensor '(0.5 4)))
       (w2 ((balanced-frequencies law) size sigma))
       (power (tensor->list (power-spectrum size #:amplitude 320 #:exponent 2 #:corner 1)))
       (by-hand (append-map (lambda (sigma)
                              (let ((w (map (lambda (p) (expt (+ 1 (/ p sigma sigma)) 1/4)) power)))
                                (map (lambda (x) (/ x (mean w))) w)))
                            '(0.5 4))))
  (test-assert "weights of frequencies"
    (every (lambda (a b) (< (abs (- a b)) (* 1e-5 b))) (tensor->list w2) by-hand))
  (test-assert "exponent 0: all alike"
    (every (lambda (w) (= w 1)) (tensor->list ((balanced-frequencies law 0) size sigma))))
  ;; What is wrong at one frequency counts by its weight: a denoiser that knows all noise but that at k.
  (let* ((k 11)
         (only (list->tensor (map (lambda (i) (if (= i k) 1 0)) (iota 64)) size))
         (seen #f)
         (scaled (lambda (noisy sigma)  ; - u, but at k
                   (set! seen sigma)
                   (let ((u (tensor/ noisy (tensor-reshape sigma '(-1 1 1 1)))))
                     (tensor- (fourier-multiply u only) u))))
         (zeros (lambda _ (tensor-zeros (cons 2 size) 'c64)))
         (losses (lambda (frequencies)
                   (let-values (((losses sigma)
                                 (denoising-losses scaled (zeros) (sigma-log-uniform 1 2) #:seed 3
                                                   #:frequencies frequencies)))
                     (tensor->list losses))))
         (plain (losses #f)) (weighted (losses (balanced-frequencies law))))
    (test-assert "an error at one frequency"
      (every (lambda (p w weight) (< (abs (- w (* p weight))) (* 1e-4 w)))
             plain weighted
             (let ((w2 (tensor->list ((balanced-frequencies law) size seen))))
               (list (list-ref w2 k) (list-ref w2 (+ 64 k))))))))
(test-error-matching "exponent" "exponent: expected a number from 0 to 1" (balanced-frequencies '(1 2 3) 2))
(test-error-matching "law" "law: expected three positive numbers" (balanced-frequencies 3))
(test-error-matching "frequencies" "frequencies: expected #f or a procedure"
  (make-trainer (score-network '(moons-mlp)) (const #f) #:frequencies 3))
(let ((trainer (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:normalisation #f)
                                            #:parametrisation 'wiener #:spectrum '(5 2 1) #:sigma-data 2)
                             (lambda (n step) (random-normal (list n 8 8) 1 step 'c64))
                             #:batch 4 #:steps 2 #:frequencies (balanced-frequencies '(5 2 1)))))
  (test-assert "trains" (every (lambda (l) (finite? (second l))) (trainer-losses (train! trainer)))))

(finish-tests)
