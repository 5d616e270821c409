;;; test-long-training.scm -- training that lasts: a learned weight of losses, averages of several lengths,
;;; accumulated gradients, checkpoints by the clock, validation in the course of a run.

(use-modules (harness) (srfi srfi-1) (srfi srfi-11) (tempera base numbers) (tempera file paths)
             (tempera file safetensors) (tempera file tables) (tempera tensor primitives)
             (tempera problem gaussian) (tempera problem priors)
             (tempera net averages) (tempera net checkpoints) (tempera net layers)
             (tempera net learned-weights) (tempera net losses) (tempera net rates)
             (tempera net score-networks) (tempera net trainer) (tempera net trainer-history)
             (tempera net training) (tempera method network-files) (tempera run recorders)
             (tempera run run-files) (tempera run training-runs))

(start-tests "long training")

(define (images count step)
  (tensor* 10 (random-normal (list count 16 16) 5 step 'c64)))

(define net (score-network '(moons-mlp)))

(define* (small-trainer #:key (steps 20) (averaging 0.9) (data images))
  (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2))
                data #:batch 3 #:steps steps #:seed 3 #:averaging averaging
                #:rate (constant-rate 1e-3)))

(define (state trainer)
  (append (map cdr (trainer-state trainer)) (map cdr (layer-parameters (trainer-averaged trainer)))))

(define (same-bits? a b)
  (every tensor-identical? (state a) (state b)))

(define (error-output thunk)
  ;; What THUNK, whose own errors end it, says on standard error.
  (call-with-output-string
    (lambda (port) (with-error-to-port port (lambda () (false-if-exception (thunk)))))))

(define (saved-step path)
  (let-values (((tensors metadata) (load-safetensors path)))
    (string->number (assoc-ref metadata "step"))))

;;; --- Spikes ------------------------------------------------------------------------------

;; Batches 12 and 15 are a thousand times too bright.
(let ()
  (define (spoilt count step)
    (tensor* (if (memv step '(12 15)) 1e4 1) (images count step)))
  (define (skipping)
    (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2))
                  spoilt #:batch 3 #:steps 20 #:seed 3 #:rate (constant-rate 1e-3) #:skip-spikes 100))
  (define whole (skipping))
  (test-assert "it says how many"
    (string-contains (error-output (lambda () (train! whole))) "2 of 20 steps were skipped"))
  (test-equal "two are skipped" 2 (trainer-skipped whole))
  (test-assert "the loss stays" (< (second (first (trainer-losses whole))) 10))
  (call-with-temporary-directory
   (lambda (folder)
     (define path (string-append folder "/checkpoint.safetensors"))
     (train! (skipping) #:steps 14 #:checkpoint path)
     (let ((resumed (trainer-resume! (skipping) path)))
       (test-equal "the checkpoint has them" 1 (trainer-skipped resumed))
       (test-assert "the same bits when resumed" (same-bits? (train! resumed) whole))
       (test-equal "and the same count" 2 (trainer-skipped resumed)))))
  (let ((trainer (skipping)))
    (train! trainer #:keep 13)
    (test-assert "and when rewound" (same-bits? (train! (trainer-rewind! trainer 13)) whole))
    (test-equal "with the count of then" 2 (trainer-skipped trainer)))
  (test-assert "without, they are steps like others" (not (same-bits? whole (train! (small-trainer #:data spoilt #:averaging 0.999)))))
  (test-error-matching "a factor" "skip-spikes: expected #f or a number above 1"
    (make-trainer net (const #f) #:skip-spikes 0.5)))

;;; --- A learned weight of losses -----------------------------------------------------

;; Losses that nothing can lower: u has to find their logarithms.
(let* ((levels (lambda (net x step)
                 (values (list->tensor '(0.01 1 4)) (list->tensor '(0.1 -2 100)))))
       (trainer (make-trainer (score-network '(moons-mlp)) (const #f) #:loss levels
                              #:weight (learned-weight) #:steps 600 #:rate (warmup-cosine 0.02))))
  (test-equal "every sigma counts alike at first" 1.0 (trainer-weight trainer 3))
  (train! trainer)
  (for-each (lambda (sigma loss)
              (test-approximate (format #f "then by what its loss is, at ~a" sigma)
                                (/ loss) (trainer-weight trainer sigma) (/ 0.05 loss)))
            '(0.1 2 -100) '(0.01 1 4))
  (test-approximate "losses are told as they are" (/ 5.01 3) (second (first (trainer-losses trainer))) 1e-6))

(let ((weighing (lambda* (#:key (weight (learned-weight)) (seed 3))
                  (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2))
                                images #:batch 3 #:steps 10 #:seed seed #:weight weight
                                #:rate (constant-rate 1e-2))))
      (all (lambda (trainer) (map cdr (trainer-state trainer)))))
  (define straight (train! (weighing)))
  (test-assert "a learned weight is another training"
    (not (same-bits? straight (train! (weighing #:weight (const 1))))))
  (test-assert "a fork takes the weight along"
    (every tensor-identical? (all straight)
           (all (train! (trainer-fork (train! (weighing) #:steps 4))))))
  (test-equal "recorded" "#<learned weight of 128 features>"
    (assq-ref (cdr (first (trainer-history straight))) 'weight))
  (test-assert "and no part of the network's file"
    (not (any (lambda (p) (string-prefix? "loss-weight" (car p)))
              (layer-parameters (trainer-averaged straight)))))
  (call-with-temporary-folder
   (lambda (folder)
     (define path (string-append folder "/run.safetensors"))
     (train! (weighing) #:steps 4 #:checkpoint path)
     (test-assert "resumed, the same bits"
       (every tensor-identical? (all straight) (all (train! (trainer-resume! (weighing) path)))))
     (test-assert "without it, said"
       (string-contains (error-output (lambda () (trainer-resume! (weighing #:weight (const 1)) path)))
                        "weight: #<learned weight of 128 features> until step 4"))
     (train! (weighing #:weight (const 1)) #:steps 4 #:checkpoint path)
     (let ((late (weighing)))
       (error-output (lambda () (trainer-resume! late path)))
       (test-equal "a weight may begin late" 1.0 (trainer-weight late 3))
       (test-equal "and training goes on" 10 (trainer-step (train! late)))))))
(test-error-matching "features" "features: expected a positive integer, got 0" (learned-weight #:features 0))
(test-error-matching "no sigmas" "a second value, the sigmas"
  (train! (make-trainer (score-network '(moons-mlp)) (const #f) #:weight (learned-weight) #:steps 1
                        #:loss (lambda (net x step) (list->tensor '(1 2))))))
(test-error-matching "a weight of what" "trainer: expected" (trainer-weight 3 1))

;;; --- Averages -----------------------------------------------------------------------

;; The weights of steps in an average: their standard deviation over the last step is its length.
(for-each
 (lambda (length)
   (let* ((n 4000) (average (power-average length))
          (decays (map (lambda (t) (averaging-decay average t)) (iota n 1)))
          (shares (fold (lambda (decay shares) (cons (- 1 decay) (map (lambda (s) (* decay s)) shares)))
                        '() (take decays 400)))
          (ts (map (lambda (t) (/ t 400.)) (iota 400 400 -1)))
          (moment (lambda (k) (apply + (map (lambda (s t) (* s (expt t k))) shares ts)))))
     (test-approximate "shares sum to one" 1 (moment 0) 1e-9)
     ;; Steps are counted, 400 of them: off by a four-hundredth.
     (test-approximate (format #f "as wide as ~a of the run" length) length
       (sqrt (- (moment 2) (expt (moment 1) 2))) 0.003)))
 '(0.05 0.1 0.25))
(let ((several (lambda* (#:optional (averaging (list 0.9 0.99 (power-average 0.1))))
                 (small-trainer #:averaging averaging)))
      (weights (lambda (network) (map cdr (layer-parameters network))))
      (alike? (lambda (a b) (every tensor-identical? a b))))
  (define unbroken (train! (small-trainer)))
  (define trainer (train! (several)))
  (test-assert "the first of several is as alone" (every tensor-identical? (weights (trainer-averaged unbroken)) (weights (trainer-averaged trainer))))
  (test-assert "the second too"
    (alike? (weights (trainer-averaged trainer 0.99))
            (weights (trainer-averaged (train! (small-trainer #:averaging 0.99))))))
  (test-assert "each is another"
    (not (alike? (weights (trainer-averaged trainer 0.99))
                 (weights (trainer-averaged trainer (power-average 0.1))))))
  (test-error-matching "one that there is not" "averaging: expected one of (0.9 0.99 #<power average of 0.1>), got 0.5"
    (trainer-averaged trainer 0.5))
  (call-with-temporary-folder
   (lambda (folder)
     (define path (string-append folder "/run.safetensors"))
     (train! (several) #:steps 10 #:checkpoint path)
     (let ((resumed (train! (trainer-resume! (several) path))))
       (for-each (lambda (averaging)
                   (test-assert (format #f "resumed, the same bits: ~a" averaging)
                     (alike? (weights (trainer-averaged trainer averaging))
                             (weights (trainer-averaged resumed averaging)))))
                 (list 0.9 0.99 (power-average 0.1))))
     ;; In another order, with another first: each is found by its name.
     (for-each (lambda (name reordered)
                 (for-each (lambda (averaging)
                             (test-assert (format #f "~a, the average ~a" name averaging)
                               (alike? (weights (trainer-averaged trainer averaging))
                                       (weights (trainer-averaged reordered averaging)))))
                           (list 0.99 0.9)))
               '("resumed in another order" "forked in another order" "forked back"
                 "resumed beside a new one")
               (list (let ((resumed (several '(0.99 0.9))))
                       (error-output (lambda () (trainer-resume! resumed path)))
                       (train! resumed))
                     (trainer-fork trainer #:averaging '(0.99 0.9))
                     (trainer-fork (trainer-fork trainer #:averaging '(0.99 0.9)) #:averaging '(0.9 0.99))
                     (let ((resumed (several '(0.5 0.99 0.9))))
                       (error-output (lambda () (trainer-resume! resumed path)))
                       (train! resumed))))
     (let ((fewer (small-trainer)) (other (several '(0.9 0.5))))
       (error-output (lambda () (trainer-resume! fewer path) (trainer-resume! other path)))
       (test-assert "an average may be left out" (same-bits? unbroken (train! fewer)))
       (test-assert "a new one begins with the weights"
         (alike? (weights (trainer-averaged other 0.5)) (weights (trainer-network other))))))))
(test-error-matching "an average's length" "length: expected a number from 0.001 to 0.28, got 2" (power-average 2))
(test-error-matching "averaging" "averaging: expected #f, a decay" (small-trainer #:averaging '(0.9 0.9)))

;;; --- Accumulation -------------------------------------------------------------------

(let* ((asked '())
       (steps (lambda (batch accumulate)
                (train! (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1
                                                                  #:normalisation #f))
                                      (lambda (count step)
                                        (set! asked (cons count asked))
                                        (images count step))
                                      #:batch batch #:accumulate accumulate #:steps 2 #:seed 3 #:clip #f
                                      #:weight (balanced-weight 3)
                                      #:frequencies (balanced-frequencies '(5 2 1)))
                        #:every 1)))
       (moments (lambda (trainer)
                  (filter (lambda (entry) (string-prefix? "first-moment." (car entry)))
                          (trainer-state trainer))))
       (size (lambda (t) (sqrt (tensor->number (tensor-sum-squares t)))))
       (whole (steps 7 1)) (parts (steps 1 7)) (unequal (begin (set! asked '()) (steps 7 3))))
  (test-equal "data are asked for all at once" 21 (first asked))
  (test-equal "and counted" 42 (trainer-images unequal))
  ;; Two steps' gradients, summed in another order: rounding, amplified by one update.
  (for-each (lambda (a b)
              (test-assert (string-append "seven batches of one are one of seven: " (car a))
                (< (size (tensor- (cdr a) (cdr b))) (* 1e-4 (size (cdr a))))))
            (moments whole) (moments parts))
  (test-approximate "losses too" (second (first (trainer-losses whole)))
                    (second (first (trainer-losses parts))) 1e-5)
  (test-assert "parts of unequal size"
    (every (lambda (a b) (< (size (tensor- (cdr a) (cdr b))) (* 1e-4 (size (cdr a)))))
           (moments (steps 21 1)) (moments unequal))))
(test-error-matching "accumulate" "accumulate: expected a positive integer, got 0"
  (make-trainer net images #:accumulate 0))
(test-error-matching "a loss of one's own" "accumulate: expected 1 with #:loss"
  (make-trainer net images #:accumulate 2 #:loss (const #f)))

;;; --- Checkpoints by the clock ---------------------------------------------------------

;;; --- Validation ---------------------------------------------------------------------

(call-with-temporary-folder
 (lambda (folder)
   (define seen '())                    ; by the validation
   (define (check prior)
     ;; Of the third average validated at a step it says that it is best.
     (set! seen (cons (map cdr (layer-parameters prior)) seen))
     (table '(sigma loss) `((1 ,(if (= 0 (modulo (length seen) 3)) 0.5 0.8)) (10 0.9))))
   (define averages (list 0.9 0.5 (power-average 0.2)))
   (define (run steps)
     (let* ((recorder (start-recorder folder))
            (network (parameterize ((current-recorder recorder)
                                    (current-output-port (%make-void-port "w")))
                       (train-run! (small-trainer #:averaging averages #:steps steps) "small"
                                   #:every 5 #:validation check #:validate-every 10))))
       (close-metrics! recorder)
       network))
   (define (columns . names)
     (let ((table (load-table (string-append folder "/validation.csv"))))
       (map (lambda (name) (table-column table name)) names)))
   (define network (error-output (lambda () (run 15))))
   (test-equal "each average, when due and at the end"
     '((10 10 10 10 10 10 15 15 15 15 15 15)
       (0.9 0.9 0.5 0.5 power-0.2 power-0.2 0.9 0.9 0.5 0.5 power-0.2 power-0.2)
       (1 10 1 10 1 10 1 10 1 10 1 10))
     (map (lambda (column) (map (lambda (v) (if (string? v) (string->symbol v) v)) column))
          (columns 'step 'average 'sigma)))
   ;; A run that was killed after step 20 was validated, and before its checkpoint was written.
   (let* ((path (string-append folder "/validation.csv")) (found (load-table path)))
     (save-table path (table (table-columns found) (append (table-rows found) '((20 0.9 1 7.7))))))
   (let ((longer (run 20)))
     (test-equal "what is validated again replaces what was" 18 (length (first (columns 'step))))
     (test-equal "gone on with" '(10 15 20) (delete-duplicates (first (columns 'step))))
     (test-assert "the weights are those of the average that did best"
       (every tensor-identical? (map cdr (layer-parameters longer)) (first seen)))
     (test-assert "and so is the file"
       (every tensor-identical? (first seen)
              (map cdr (layer-parameters (load-network (string-append folder "/small.safetensors")))))))
   (let ((metrics (load-metrics folder)))
     (test-equal "images seen" '(15 30 45 60) (table-column metrics 'images))
     (test-assert "how many a second" (every positive? (table-column metrics 'images-per-second))))))
;; A network that is trained beside a Gaussian's score is validated with it.
(call-with-temporary-folder
 (lambda (folder)
   (let* ((recorder (start-recorder folder))
          (spectrum (power-spectrum '(16 16) #:amplitude 100))
          (x (images 2 0))
          (seen #f)
          (network (parameterize ((current-recorder recorder)
                                  (current-output-port (%make-void-port "w")))
                     (train-run! (trainer-fork (small-trainer #:steps 1) #:gaussian spectrum) "small" #:every 1
                                 #:validation (lambda (prior)
                                                (set! seen (score prior x 2))
                                                (table '(sigma loss) '((2 1))))))))
     (close-metrics! recorder)
     (test-assert "with the score that is known"
       (tensor-identical? seen (tensor+ (score (gaussian-prior spectrum) x 2) (network x 2)))))))

(test-error-matching "validation" "validation: expected #f or a procedure"
  (train-run! (small-trainer) "small" #:validation 3))
(test-error-matching "how often" "the second a multiple of the first, got 10 and 15"
  (train-run! (small-trainer) "small" #:every 10 #:validate-every 15))

(call-with-temporary-folder
 (lambda (folder)
   (define path (string-append folder "/run.safetensors"))
   (define copy (string-append folder "/copy.safetensors"))
   (define straight (train! (small-trainer #:steps 10) #:every 6))
   (train! (small-trainer #:steps 10
                          #:data (lambda (count step)
                                   (when (and (= step 4) (file-exists? path)) (copy-file path copy))
                                   (images count step)))
           #:checkpoint path #:every 6 #:minutes 0)
   (test-equal "between those that are due" 4 (saved-step copy))
   (let ((resumed (train! (trainer-resume! (small-trainer #:steps 10) copy) #:every 6)))
     (test-assert "from there, the same bits" (same-bits? straight resumed))
     (test-equal "and the same losses" (trainer-losses straight) (trainer-losses resumed))
     (test-equal "and images" 30 (trainer-images resumed)))
   (test-error-matching "minutes" "minutes: expected #f or a number, 0 or more, got -1"
     (train! (small-trainer) #:minutes -1))))

(finish-tests)
