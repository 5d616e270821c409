;;; training.scm -- denoising score matching (equation 3): distributions of sigma,
;;; rates, and a trainer that can be stopped, looked at and resumed to the bit.
;;;
;;; A trainer is a value: a network, its optimiser's moments, the running average
;;; of its weights, and the number of steps done.  Everything random in a step is
;;; a function of the seed and the step's number.

(define-module (tempera net training)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file safetensors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem priors)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera base progress)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor tensors)
  #:export (sigma-normal sigma-log-uniform sigma-mixture sigma-draw
            balanced-weight balanced-frequencies
            constant-rate warmup-cosine warmup-stable-decay
            denoising-losses make-trainer trainer? trainer-network trainer-step trainer-losses
            trainer-averaged train! trainer-fork trainer-rewind! trainer-kept-steps
            trainer-save trainer-resume! trainer-losses-by-sigma trainer-history
            trainer-note!
            spectral-norms cap projection penalty))

;;; --- Distributions of sigma -----------------------------------------------------

;; A distribution draws from uniforms and normals, so that a draw is a function
;; of the seed: draw is called with a uniform in (0, 1) and a standard normal.
(define-record-type <sigma-distribution>
  (make-sigma-distribution text draw)
  sigma-distribution?
  (text distribution-text)
  (draw distribution-draw))

(set-record-type-printer! <sigma-distribution>
  (lambda (d port) (format port "#<sigma ~a>" (distribution-text d))))

(define* (sigma-normal #:optional (s 50))
  "sigma ~ N(0, S^2), signed, as the paper trains (its \"variance s = 50\" is the
standard deviation).
Example: (sigma-normal 50)"
  (check-that (and (real? s) (positive? s)) 'sigma-normal "s: expected a positive number, got ~s" s)
  (make-sigma-distribution (format #f "N(0, ~a^2)" s) (lambda (u z) (* s z))))

(define (sigma-log-uniform low high)
  "log sigma uniform from log LOW to log HIGH.
Example: (sigma-log-uniform 0.05 150)"
  (check-that (and (real? low) (real? high) (< 0 low high)) 'sigma-log-uniform
              "low, high: expected 0 < low < high, got ~s and ~s" low high)
  (make-sigma-distribution (format #f "log-uniform on [~a, ~a]" low high)
                           (lambda (u z) (* low (expt (/ high low) u)))))

(define (sigma-mixture . weights-and-distributions)
  "A mixture: WEIGHT DISTRIBUTION WEIGHT DISTRIBUTION ...
Example: (sigma-mixture 1 (sigma-normal 50) 3 (sigma-log-uniform 0.05 150))"
  (let* ((parts (let loop ((rest weights-and-distributions))
                  (match rest
                    (() '())
                    (((? real? weight) (? sigma-distribution? d) . rest)
                     (cons (cons weight d) (loop rest)))
                    (_ (complain 'sigma-mixture "expected weights and distributions in turn, ~
got ~s" weights-and-distributions)))))
         (total (apply + (map car parts))))
    (check-that (and (pair? parts) (every (lambda (p) (>= (car p) 0)) parts) (positive? total))
                'sigma-mixture "weights: expected positive numbers, got ~s" (map car parts))
    (make-sigma-distribution
     (string-join (map (lambda (p) (format #f "~a ~a" (car p) (distribution-text (cdr p)))) parts)
                  " + ")
     (lambda (u z)
       (let loop ((parts parts) (u u))
         (let ((share (/ (caar parts) total)))
           (if (or (null? (cdr parts)) (< u share))
               ;; What is left of u, stretched, is uniform again.
               ((distribution-draw (cdar parts)) (min (/ u share) 1) z)
               (loop (cdr parts) (- u share)))))))))

(define* (sigma-draw distribution count #:key (seed 0) (step 0))
  "COUNT values of sigma, f32 (COUNT), a function of SEED and STEP.
Example: (sigma-draw (sigma-log-uniform 0.05 150) 16 #:seed 1)"
  (let ((u (tensor->list (random-uniform (list count) seed (random-stream 'sigma step))))
        (z (tensor->list (random-normal (list count) seed (random-stream 'sigma-normal step)))))
    (list->tensor (map (distribution-draw distribution) u z))))

;;; --- Weights of the losses ----------------------------------------------------------

(define* (balanced-weight #:optional (s 30))
  "The weight sqrt (1 + (sigma / S)^2) of losses at sigma, for #:weight of `make-trainer'.
Images are smooth: under much noise equation 3's loss is small, and what is still to be learned
there hardly counts.  A weight leaves the score that is learned best where it is, and only
says where a network that cannot learn it everywhere should be nearest.
Example: ((balanced-weight 3) 4) => 5/3"
  (check-that (and (real? s) (positive? s)) 'balanced-weight "s: expected a positive number, got ~s" s)
  (described (lambda (sigma) (sqrt (+ 1 (expt (/ sigma s) 2))))
             (format #f "balanced at ~a" s)))

(define* (balanced-frequencies spectrum #:optional (exponent 1/4))
  "The procedure of a size (H W) and |sigma|, f32 (N), that gives the weights w^2, f32 (N H W), by
which errors of the score at a frequency count, for #:frequencies of `make-trainer': in proportion to
(1 + P / sigma^2)^EXPONENT, 1 on average, with the power P of SPECTRUM, (A p c) as for
`power-spectrum-by-size'.  How far an error of the score moves a sample along a direction goes with
the variance that is left there, and large structures have the most; but they are a few coefficients
of many, and equation 3's loss alone does not see them.  As a weight of sigma, this leaves the
score that is learned best where it is.
Example: ((balanced-frequencies '(300 2.5 0.6)) '(64 64) (list->tensor '(10)))"
  (check-that (and (real? exponent) (<= 0 exponent 1)) 'balanced-frequencies
              "exponent: expected a number from 0 to 1, got ~s" exponent)
  (let ((power (power-spectrum-by-size spectrum)))
    (described
     (lambda (size sigma)
       (let* ((ratio (tensor/ (power size) (tensor-square (tensor-reshape sigma '(-1 1 1)))))
              (weights (tensor-exp (tensor* exponent (tensor-log (tensor+ 1 ratio))))))
         (tensor/ weights (tensor-mean weights '(1 2) #t))))
     (format #f "balanced over the spectrum ~a with the exponent ~a" spectrum exponent))))

;;; --- Rates ----------------------------------------------------------------------

;; A rate is a procedure of the step (from 0) and the number of steps of the run.

(define (constant-rate rate)
  "RATE at every step: the paper's 1e-4.
Example: ((constant-rate 1e-4) 10 100) => 1e-4"
  (described (lambda (step steps) rate) (format #f "~a" rate)))

(define* (warmup-cosine rate #:key (warmup 200) (floor 0.01))
  "Up linearly over WARMUP steps to RATE, then down a cosine to FLOOR times it.
Example: ((warmup-cosine 1e-3) 0 1000)"
  (described
   (lambda (step steps)
     (if (< step warmup)
         (* rate (/ (+ step 1.0) warmup))
         (let ((t (/ (- step warmup) (max 1.0 (- steps warmup)))))
           (* rate (+ floor (* (- 1 floor) 0.5 (+ 1 (cos (* 3.141592653589793 t)))))))))
   (format #f "~a (warm-up ~a, cosine to ~a of it)" rate warmup floor)))

(define* (warmup-stable-decay rate #:key (warmup 200) (decay 0.25) (floor 0.01))
  "Up over WARMUP steps to RATE, which holds; over the last DECAY of the run it falls
linearly to FLOOR times it.  A run made longer goes on from the steady part.
Example: ((warmup-stable-decay 5e-4) 500 1000) => 5e-4"
  (described
   (lambda (step steps)
     (let ((fall (* steps (- 1 decay))))
       (cond ((< step warmup) (* rate (/ (+ step 1.0) warmup)))
             ((< step fall) rate)
             (else (* rate (max floor (/ (- steps step) (max 1.0 (* decay steps)))))))))
   (format #f "~a (warm-up ~a, decay ~a to ~a of it)" rate warmup decay floor)))

;;; --- Spectral norms -------------------------------------------------------------

(define (norm-vectors parameters seed)
  "A start for the power iteration of each parameter that is a matrix or a window."
  (filter-map (lambda (p i)
                (let ((shape (tensor-shape (cdr p))))
                  (and (>= (length shape) 2)
                       (cons (car p)
                             (random-normal (list (last shape)) seed
                                            (random-stream 'spectral i))))))
              parameters (iota (length parameters))))

(define* (spectral-norms layer #:key (iterations 30))
  "The spectral norm of each weight matrix of LAYER, windows as (kh kw in) x out, from
name to number.
Example: (spectral-norms (dense-layer 2 3))"
  (let* ((parameters (layer-parameters layer))
         (vectors (norm-vectors parameters 0)))
    (map (lambda (v)
           (cons (car v)
                 (spectral-norm! (assoc-ref parameters (car v)) (cdr v) iterations)))
         vectors)))

;; What #:spectral asks for.
(define-record-type <spectral-bound>
  (make-spectral-bound kind value weight)
  spectral-bound?
  (kind bound-kind)                     ; cap, projection or penalty
  (value bound-value)                   ; of the norm
  (weight bound-weight))                ; of a penalty, else 0

(set-record-type-printer! <spectral-bound>
  (lambda (b port)
    (format port "#<~a ~a>" (bound-kind b)
            (if (eq? 'penalty (bound-kind b))
                (format #f "~a of norms from ~a" (bound-weight b) (bound-value b))
                (format #f "of norms at ~a" (bound-value b))))))

(define (spectral-bound kind value weight)
  (for-each (lambda (name n least)
              (check-that (and (real? n) (finite? n) (least n)) kind
                          "~a: expected a ~a number, got ~s" name
                          (if (eq? least positive?) "positive" "non-negative") n))
            '("value" "weight") (list value weight)
            (if (eq? kind 'penalty)
                (list (lambda (n) (>= n 0)) positive?)
                (list positive? (const #t))))
  (make-spectral-bound kind value weight))

(define (cap value)
  "For #:spectral of `make-trainer': after each step a weight matrix whose spectral norm is above
VALUE is scaled down to it.
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (cap 2))"
  (spectral-bound 'cap value 0))

(define (projection value)
  "For #:spectral of `make-trainer': after each step every weight matrix is scaled to the spectral
norm VALUE, up or down, as the paper's authors' code does.
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (projection 2))"
  (spectral-bound 'projection value 0))

(define* (penalty weight #:optional (target 0))
  "For #:spectral of `make-trainer': the loss has WEIGHT / 2 times the sum of (s - TARGET)^2 over
the spectral norms s of weight matrices, the paper's penalty (Yoshida, Miyato 2017).
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (penalty 1e-3))"
  (spectral-bound 'penalty target weight))

(define (spectral-rule spectral)
  "SPECTRAL as (kind value weight), or #f."
  (check-that (or (not spectral) (spectral-bound? spectral)) 'make-trainer
              "spectral: expected #f, (cap value), (projection value) or (penalty weight [target]), \
calls without a quote, got ~s" spectral)
  (and spectral (list (bound-kind spectral) (bound-value spectral) (bound-weight spectral))))

;;; --- The trainer ----------------------------------------------------------------

(define-record-type <trainer>
  (%make-trainer network parameters buffers buffers-before moments average vectors data arguments
                 settings about step losses kept history diverged)
  trainer?
  (network trainer-network)
  (parameters trainer-parameters)      ; (name . tensor) ...
  (buffers trainer-buffers)
  (buffers-before trainer-buffers-before) ; what they were when the step began
  (moments trainer-moments)            ; (m . v) ...
  (average trainer-average)            ; tensors, or #f
  (vectors trainer-vectors)            ; of the power iterations, by name
  (data trainer-data)                  ; as `make-trainer' got it,
  (arguments trainer-arguments)        ; and keywords and values
  (settings trainer-settings)          ; an association list
  (about trainer-about set-trainer-about!) ; of texts: what else is to be recorded
  (step trainer-step set-trainer-step!)
  (losses trainer-losses set-trainer-losses!) ; (step mean-loss (sigma . loss) ...), newest first
  (kept trainer-kept set-trainer-kept!) ; (step losses tensor ...), newest first
  (history trainer-history set-trainer-history!) ; (step (name . text) ...), oldest first
  (diverged trainer-diverged set-trainer-diverged!)) ; the step whose weights are known for bad, or #f

(set-record-type-printer! <trainer>
  (lambda (t port)
    (format port "#<trainer at step ~a: ~a>" (trainer-step t)
            (layer-kind (trainer-network t)))))

(define (setting trainer name)
  (assq-ref (trainer-settings trainer) name))

(define (check-about who about)
  (check-that (and (list? about)
                   (every (lambda (e) (and (pair? e) (string? (car e)) (string? (cdr e)))) about))
              who "about: expected an association list from strings to strings, got ~s" about))

(define* (make-trainer network data #:key (batch 16) (sigma (sigma-log-uniform 0.05 150))
                       (rate (warmup-stable-decay 5e-4)) (steps 1000) (seed 0)
                       (averaging 0.999) (clip 1.0) (spectral #f) (gaussian #f)
                       (weight (const 1)) (frequencies #f) (loss #f) (rectified? #f)
                       (beta1 0.9) (beta2 0.999) (epsilon 1e-8) (about '())
                       #:rest arguments)
  "A trainer of NETWORK, a score network, by equation 3 with Adam, or of any `network?' by LOSS.
DATA: a procedure of BATCH and a step's number that gives x: c64 (BATCH H W) or
f32 (BATCH ...), the same for the same step.  SIGMA: a distribution.  RATE: a
procedure of the step and of STEPS, the length of the run.  AVERAGING: the decay
a step of the running average of the weights, or #f.  CLIP: the largest norm of
the gradient, or #f.  SPECTRAL: #f, or a bound on spectral norms of weights: (penalty WEIGHT
[TARGET]), the paper's; (projection VALUE), its authors'; (cap VALUE), which only scales
down.  GAUSSIAN: #f, or a spectrum, f32 (H W): the network learns what has to be
added to the score of `gaussian-prior', for `hybrid-prior'; the parametrisation `residual' is
made for that.  WEIGHT: a procedure of |sigma|, by whose value a loss at sigma counts, such as
`balanced-weight' gives.  FREQUENCIES: #f, or what `balanced-frequencies' gives: by how much errors
at a frequency of images count.  LOSS: #f, or a procedure of NETWORK, what DATA gave and the step that
gives the losses, f32 (N), on the tape; then SIGMA, GAUSSIAN and FREQUENCIES are not used,
nor WEIGHT unless a second value has their sigmas, (N).  RECTIFIED?: by rectified Adam (Liu et al. 2020).
ABOUT: an association list from strings to strings, what else is to be recorded, of the data say.
Example: (make-trainer net (lambda (n step) (random-slices dataset n 128 #:stream step)))"
  (check-that (if loss (network? network) (score-network? network)) 'make-trainer
              "network: expected a ~anetwork, got ~s" (if loss "" "score ") network)
  (check-that (procedure? weight) 'make-trainer
              "weight: expected a procedure of sigma such as (balanced-weight), got ~s" weight)
  (check-that (or (not frequencies) (procedure? frequencies)) 'make-trainer
              "frequencies: expected #f or a procedure such as balanced-frequencies makes, got ~s"
              frequencies)
  (check-that (or (not loss) (procedure? loss)) 'make-trainer
              "loss: expected #f or a procedure, got ~s" loss)
  (check-that (procedure? data) 'make-trainer "data: expected a procedure, got ~s" data)
  (check-that (and (exact-integer? batch) (> batch 0)) 'make-trainer
              "batch: expected a positive integer, got ~s" batch)
  (check-that (sigma-distribution? sigma) 'make-trainer
              "sigma: expected a distribution such as (sigma-log-uniform 0.05 150), got ~s" sigma)
  (check-that (procedure? rate) 'make-trainer "rate: expected a procedure such as ~
(constant-rate 1e-4), got ~s" rate)
  (check-that (and (exact-integer? steps) (>= steps 0)) 'make-trainer
              "steps: expected a number of steps, got ~s" steps)
  (check-that (or (not averaging) (and (real? averaging) (<= 0 averaging 1))) 'make-trainer
              "averaging: expected #f or a decay from 0 to 1, got ~s" averaging)
  (check-that (or (not clip) (and (real? clip) (positive? clip))) 'make-trainer
              "clip: expected #f or a positive number, got ~s" clip)
  (check-about 'make-trainer about)
  (check-seed 'make-trainer seed)
  (let* ((parameters (layer-parameters network))
         (tensors (map cdr parameters))
         (buffers (layer-buffers network))
         (zeros (lambda (t) (tensor-zeros (tensor-shape t)))))
    (%make-trainer network parameters buffers
                   (map (lambda (b) (cons (car b) (tensor-copy (cdr b)))) buffers)
                   (map (lambda (t) (cons (zeros t) (zeros t))) tensors)
                   (and averaging (map tensor-copy tensors))
                   (norm-vectors parameters seed)
                   data arguments
                   `((data . ,data) (batch . ,batch) (sigma . ,sigma) (rate . ,rate)
                     (steps . ,steps) (seed . ,seed) (averaging . ,averaging) (clip . ,clip)
                     (spectral . ,(spectral-rule spectral))
                     (spectrum . ,gaussian) (gaussian . ,(and gaussian (gaussian-prior gaussian)))
                     (weight . ,weight) (frequencies . ,frequencies) (loss . ,loss)
                     (rectified? . ,rectified?)
                     (beta1 . ,beta1) (beta2 . ,beta2) (epsilon . ,epsilon))
                   about 0 '() '() '() #f)))

(define (step-losses trainer step)
  "The losses of the images of STEP, (N), and their sigmas, or #f."
  (let ((loss (setting trainer 'loss)))
    (if loss
        (call-with-values (lambda () (loss (trainer-network trainer) (step-data trainer step) step))
          (lambda* (losses #:optional sigmas) (values losses sigmas)))
        (denoising-losses (lambda (noisy sigma)
                            (let ((learned (scaled-score (trainer-network trainer) noisy sigma))
                                  (known (no-tape (lambda () (known-score trainer noisy sigma)))))
                              (if known (tensor+ learned known) learned)))
                          (step-data trainer step) (setting trainer 'sigma)
                          #:frequencies (setting trainer 'frequencies)
                          #:seed (setting trainer 'seed) #:step step))))

(define (step-data trainer step)
  (no-tape (lambda () ((setting trainer 'data) (setting trainer 'batch) step))))

(define* (denoising-losses scaled x distribution #:key (frequencies #f) (seed 0) (step 0))
  "The losses of equation 3 of X, c64 (N H W) or f32 (N ...), when SCALED is the procedure of noisy
x, f32, and sigma, (N), that gives |sigma| r: two values, the losses, f32 (N), on the tape, and
sigma, drawn from DISTRIBUTION; by frequency errors count as FREQUENCIES says, if not #f (see
`balanced-frequencies').  All that is random is a function of SEED and STEP.
Example: (denoising-losses (lambda (x sigma) (scaled-score net x sigma))
                           (random-normal '(2 16 16) 1 0 'c64) (sigma-log-uniform 0.05 150))"
  (check-that (procedure? scaled) 'denoising-losses "scaled: expected a procedure, got ~s" scaled)
  (check-that (tensor? x) 'denoising-losses "x: expected a tensor, got ~s" x)
  (check-that (sigma-distribution? distribution) 'denoising-losses
              "distribution: expected one such as (sigma-log-uniform 0.05 150), got ~s" distribution)
  (check-seed 'denoising-losses seed)
  (let* ((x (if (eq? (tensor-dtype x) 'c64) (real-view x) x))
         (sigma (sigma-draw distribution (tensor-size x 0) #:seed seed #:step step))
         (u (random-normal (tensor-shape x) seed (random-stream 'noise step)))
         (column (tensor-reshape sigma (cons -1 (make-list (1- (length (tensor-shape x))) 1))))
         (noisy (tensor+ x (tensor* column u)))
         ;; |w (u + sigma r)|^2 in k-space.
         (w (and frequencies
                 (tensor-sqrt (frequencies (take (cdr (tensor-shape x)) 2) (tensor-abs sigma)))))
         (seen (lambda (t) (if w (fourier-multiply t w) t))))
    (values (dsm-loss (seen (scaled noisy sigma)) (seen u) sigma) sigma)))

(define (weighted trainer losses sigmas)
  "LOSSES, (N), times what the trainer's weight is at SIGMAS, a list of numbers or of #f."
  (if (every identity sigmas)
      (tensor* losses (list->tensor (map (lambda (sigma)
                                           (let ((w ((setting trainer 'weight) (abs sigma))))
                                             (check-that (and (real? w) (finite? w) (>= w 0)) 'train!
                                                         "weight: expected a number, at sigma ~a got ~s"
                                                         sigma w)
                                             w))
                                         sigmas)))
      losses))

(define (known-score trainer noisy sigma)
  ;; |sigma| times the Gaussian's score at images as their real view, or #f.
  (let ((gaussian (setting trainer 'gaussian)))
    (when gaussian
      (check-that (equal? (cdr (tensor-shape noisy)) (append (prior-shape gaussian) '(2))) 'train!
                  "data: expected c64 images of shape ~a, as the spectrum of #:gaussian has"
                  (prior-shape gaussian)))
    (and gaussian
         (tensor* (tensor-reshape (tensor-abs sigma) '(-1 1 1 1))
                  (real-view (score gaussian (complex-view noisy) sigma))))))

(define (gradient-norm tensors)
  (sqrt (apply + (map (lambda (g) (tensor->number (tensor-sum-squares g))) tensors))))

(define (project! trainer)
  "After an update: each weight matrix scaled to the norm asked for (projection), or
down to it (cap)."
  (match (setting trainer 'spectral)
    (((and kind (or 'projection 'cap)) value _)
     (for-each (lambda (v)
                 (let* ((w (assoc-ref (trainer-parameters trainer) (car v)))
                        (norm (spectral-norm! w (cdr v))))
                   (when (and (> norm 0) (or (eq? kind 'projection) (> norm value)))
                     (tensor-axpby! (- (/ value norm) 1) (tensor-copy w) 1 w))))
               (trainer-vectors trainer)))
    (_ #f)))

;; How far above 1, or above where it began, the loss of a step may be.  Without a score equation 3's
;; is 1; an untrained network in the paper's parametrisation can have a million.
(define most-growth 1e8)

(define (sound-loss? loss first-loss)
  (and (real? loss) (< (abs loss) 1e30)
       (or (not first-loss) (< loss (* most-growth (max 1 (abs first-loss)))))))

(define (finite-data? data)
  ;; DATA: as the loss takes it, tensors and lists of them.
  (cond ((tensor? data) (tensor-finite? data))
        ((pair? data) (and (finite-data? (car data)) (finite-data? (cdr data))))
        (else #t)))

(define (complain-diverged trainer step what value first-loss)
  ;; Of the weights before the update of TRAINER's step, seen with the data of STEP.
  (let ((at (trainer-step trainer)))
    (define (fail cause . arguments)
      (complain 'train! "step ~a: ~a is ~a~a~a" at what value
                (if first-loss (format #f ", the loss was ~a at first; " (significant first-loss 3)) "; ")
                (apply format #f cause arguments)))
    (cond ((not (finite-data? (step-data trainer step)))
           (fail "the data of step ~a have NaN or infinite values" step))
          ((zero? at)
           (fail "no update was made yet: look at the loss and at the network's scales, not at the rate"))
          (else
           (set-trainer-diverged! trainer at)
           (fail "the data are finite and the rate was ~a: a lower one, or a smaller clip, may help"
                 (significant ((setting trainer 'rate) (1- at) (setting trainer 'steps)) 3))))))

(define (prove! trainer first-loss)
  ;; An update may ruin weights, and nobody knows before they are used: complain unless they give
  ;; a sound loss for the data that the last step had.
  (let ((step (1- (trainer-step trainer))))
    (unless (< step 0)
      (let ((loss (call-with-buffers-kept
                   trainer
                   (lambda ()
                     (with-scope
                      (lambda ()
                        (no-tape
                         (lambda ()
                           (parameterize ((training? #t))
                             (call-with-values (lambda () (step-losses trainer step))
                               (lambda (losses . _) (tensor->number (tensor-mean losses))))))))))
                   (const #f))))
        (unless (sound-loss? loss first-loss)
          (complain-diverged trainer step "the loss" loss first-loss))))))

(define (call-with-buffers-kept trainer thunk done?)
  "Call THUNK; unless DONE? says so, batch norm's running statistics are then again what they were."
  (define (copy! to from)
    (for-each (lambda (to from) (tensor-assign! (cdr to) (cdr from))) to from))
  (copy! (trainer-buffers-before trainer) (trainer-buffers trainer))
  (dynamic-wind
    (const #t)
    thunk
    (lambda ()
      (unless (done?)
        (copy! (trainer-buffers trainer) (trainer-buffers-before trainer))))))

(define (train-step! trainer first-loss)
  "One step.  Gradients first, which may be interrupted and leave no trace but in batch
norm's running statistics; then the update, which is not."
  (define parameters (map cdr (trainer-parameters trainer)))
  (define sigmas #f)
  (define losses #f)
  (define done? #f)
  (call-with-buffers-kept
   trainer
   (lambda ()
      (with-scope
       (lambda ()
         (call-with-values
             (lambda ()
               (gradients (lambda ()
                            (parameterize ((training? #t))
                              (call-with-values (lambda () (step-losses trainer (trainer-step trainer)))
                                (lambda (loss sigma)
                                  (set! losses (tensor->list loss))
                                  (set! sigmas (if sigma (tensor->list sigma) (map (const #f) losses)))
                                  (tensor-mean (weighted trainer loss sigmas))))))
                          parameters))
           (lambda (loss gradients)
             (let ((plain (mean losses)))
               (unless (and (sound-loss? loss #f) (sound-loss? plain first-loss))
                 (complain-diverged trainer (trainer-step trainer) "the loss" plain first-loss)))
             (call-with-blocked-asyncs
              (lambda ()
                (update! trainer parameters first-loss)
                (set-trainer-step! trainer (1+ (trainer-step trainer)))
                (set! done? #t)))
             #t)))))
   (lambda () done?))
  (map cons sigmas losses))

(define (update! trainer parameters first-loss)
  (match (setting trainer 'spectral)
    (('penalty target weight)
     (for-each (lambda (v)
                 (spectral-penalty! (assoc-ref (trainer-parameters trainer) (car v)) (cdr v)
                                    weight target))
               (trainer-vectors trainer)))
    (_ #f))
  (let* ((step (1+ (trainer-step trainer)))
         (gradients (map tensor-gradient parameters))
         (norm (gradient-norm (filter identity gradients)))
         (clip (setting trainer 'clip))
         (scale (if (and clip (> norm clip)) (/ clip norm) 1))
         (rate ((setting trainer 'rate) (trainer-step trainer) (setting trainer 'steps)))
         (options (cons rate (map (lambda (s) (setting trainer s))
                                  '(beta1 beta2 epsilon rectified?))))
         (averaging (setting trainer 'averaging)))
    (unless (finite? norm)
      (complain-diverged trainer (trainer-step trainer) "the gradient's norm" norm first-loss))
    (for-each (lambda (w g moments)
                (when g
                  (adam-step! w (if (= scale 1) g (tensor* scale g)) (car moments) (cdr moments)
                              step options)))
              parameters gradients (trainer-moments trainer))
    (project! trainer)
    (when averaging
      ;; Early on the average forgets faster, or the start would stay in it.
      (let ((decay (min averaging (/ (+ 1.0 step) (+ 10 step)))))
        (for-each (lambda (a w) (tensor-axpby! (- 1 decay) w decay a))
                  (trainer-average trainer) parameters)))))

(define sigma-bands '(0.1 0.3 1 3 10 30 100))

(define (band sigma)
  (or (find (lambda (b) (<= (abs sigma) b)) sigma-bands) +inf.0))

(define (losses-by-band pairs)
  (filter-map (lambda (b)
                (let ((here (filter (lambda (p) (and (car p) (= (band (car p)) b))) pairs)))
                  (and (pair? here) (cons b (mean (map cdr here))))))
              (append sigma-bands '(+inf.0))))

(define (trainer-losses-by-sigma trainer)
  "The latest mean losses by band of |sigma|: an association list from a band's upper
end to its loss.
Example: (trainer-losses-by-sigma trainer)"
  (if (null? (trainer-losses trainer)) '() (cddar (trainer-losses trainer))))

(define* (train! trainer #:key (steps #f) (checkpoint #f) (every 200) (hook (const #t)) (keep #f))
  "Train until the run's length, or STEPS more.  Every EVERY steps the mean losses join
(trainer-losses trainer), HOOK is called with the trainer, and CHECKPOINT, the name
of a file or #f, is written.  Every KEEP steps, unless #f, the state is kept in memory, for
`trainer-rewind!'.  Ctrl-C, like any error, writes the checkpoint too, at a whole step.
Typed at the prompt itself, train! then returns, and goes on when called again; in a program
nothing goes on, and `last-paused' has the trainer.  When the loss is not finite, or 10^8 times
what it was at first (or 1), training ends in an error that says since which step and why; a
checkpoint then stays as it was at the last step whose weights were sound.  Returns the trainer.
Example: (train! trainer #:checkpoint \"run.safetensors\")"
  (check-that (or (not keep) (and (exact-integer? keep) (> keep 0))) 'train!
              "keep: expected #f or a positive number of steps, got ~s" keep)
  (when checkpoint (check-output-file 'train! checkpoint))
  (let* ((end (if steps (+ (trainer-step trainer) steps) (setting trainer 'steps)))
         (progress (make-progress "training" end))
         (pending '())
         (first-loss (and (pair? (trainer-losses trainer)) (second (last (trainer-losses trainer)))))
         (saved #f))                    ; the step that CHECKPOINT has by now
    (define (save!)
      (prove! trainer first-loss)
      (trainer-save trainer checkpoint)
      (set! saved (trainer-step trainer)))
    (define (note! save!)
      (when (pair? pending)
        (set-trainer-losses! trainer
                             (cons (cons* (trainer-step trainer) (mean (map cdr pending))
                                          (losses-by-band pending))
                                   (trainer-losses trainer)))
        (set! pending '()))
      (when checkpoint (save!))
      (hook trainer))
    (record-settings! trainer)
    (call-with-pause trainer "trainer"
     (lambda ()
       (let loop ()
         (when (< (trainer-step trainer) end)
           (when (and keep (zero? (modulo (trainer-step trainer) keep)))
             (keep-state! trainer))
           (let ((losses (train-step! trainer first-loss)))
             (set! first-loss (or first-loss (mean (map cdr losses))))
             (set! pending (append losses pending)))
           (progress-update! progress (trainer-step trainer)
                             #:text (format #f "loss ~,4f" (mean (map cdr pending))))
           (when (or (zero? (modulo (trainer-step trainer) every))
                     (= (trainer-step trainer) end))
             (note! save!))
           (loop))))
     (lambda (name)
       (progress-finish! progress)
       (note! (lambda () (false-if-exception (save!))))
       (format (current-error-port) "stopped at step ~a~a~a~%" (trainer-step trainer)
               (cond ((not checkpoint) "")
                     ((eqv? saved (trainer-step trainer)) (format #f ", saved in ~a" checkpoint))
                     ((file-exists? checkpoint)
                      (format #f "; ~a stays as it was~a" checkpoint
                              (if saved (format #f " at step ~a" saved) "")))
                     (else ""))
               (if name (format #f "; (train! ~a) goes on" name) ""))))
    (progress-finish! progress)
    (let ((loss (and (pair? (trainer-losses trainer)) (second (first (trainer-losses trainer))))))
      (when (and loss (> loss (* 2 (max 1 (abs first-loss)))))
        (format (current-error-port)
                "warning: the loss, ~a, is above that of the first steps, ~a: a lower rate may help~%"
                (significant loss 3) (significant first-loss 3))))
    trainer))

(pauses! train!)

(define (trainer-averaged trainer)
  "A network like the trainer's with the running average of its weights: what to sample
with.
Example: (save-network \"prior.safetensors\" (trainer-averaged trainer))"
  (network-like (trainer-network trainer)
                (append (or (trainer-average trainer) (map cdr (trainer-parameters trainer)))
                        (map cdr (trainer-buffers trainer)))))

;;; --- Other ways -----------------------------------------------------------------

(define (keep-state! trainer)
  (unless (memv (trainer-step trainer) (trainer-kept-steps trainer))
    (set-trainer-kept! trainer
                       ;; Of one that was rewound, the way ahead is kept already.
                       (sort (cons (cons* (trainer-step trainer) (trainer-losses trainer)
                                          (map (lambda (entry) (tensor-copy (cdr entry)))
                                               (state-tensors trainer)))
                                   (trainer-kept trainer))
                             (lambda (a b) (> (first a) (first b)))))))

(define (trainer-kept-steps trainer)
  "The steps whose states TRAINER has kept (see #:keep of `train!'), newest first.
Example: (trainer-kept-steps trainer)"
  (map first (trainer-kept trainer)))

(define (trainer-rewind! trainer step)
  "Put TRAINER back into the last state it kept at STEP or before, and return it; `train!'
goes the same way again, and after `trainer-fork' another.  Nothing is lost: where TRAINER
stood is kept too, and a later STEP brings it there again.
Example: (let ((trainer (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                              #:batch 2 #:steps 2)))
           (trainer-rewind! (train! trainer #:keep 1) 1))"
  (check-that (trainer? trainer) 'trainer-rewind! "trainer: expected one, got ~s" trainer)
  (check-that (real? step) 'trainer-rewind! "step: expected a number, got ~s" step)
  (when (pair? (trainer-kept trainer)) (keep-state! trainer))
  (let ((kept (drop-while (lambda (k) (> (first k) step)) (trainer-kept trainer))))
    (check-that (pair? kept) 'trainer-rewind!
                "step: no state was kept at ~a or before; kept are those of ~a" step
                (if (null? (trainer-kept trainer)) "none: see #:keep of train!"
                    (reverse (trainer-kept-steps trainer))))
    (match (first kept)
      ((step losses . tensors)
       (call-with-blocked-asyncs
        (lambda ()
          (for-each (lambda (entry t) (tensor-assign! (cdr entry) t)) (state-tensors trainer) tensors)
          (set-trainer-step! trainer step)
          (set-trainer-losses! trainer losses)))))
    trainer))

(define (trainer-fork trainer . settings)
  "A new trainer that stands where TRAINER does, its network a copy, with other SETTINGS (those
of `make-trainer'); with the same ones it goes the same way.
Example: (train! (trainer-fork trainer #:rate (constant-rate 1e-4)) #:steps 500)"
  (check-that (trainer? trainer) 'trainer-fork "trainer: expected one, got ~s" trainer)
  (let ((new (apply make-trainer
                    (network-like (trainer-network trainer)
                                  (map cdr (append (trainer-parameters trainer)
                                                   (trainer-buffers trainer))))
                    (trainer-data trainer)
                    ;; The last of a keyword's values counts.
                    (append (trainer-arguments trainer) settings)))
        (state (state-tensors trainer)))
    (for-each (lambda (entry)
                ;; An average that only the fork has begins with the weights.
                (let ((old (assoc-ref state (car entry))))
                  (when old (tensor-assign! (cdr entry) old))))
              (state-tensors new))
    (set-trainer-step! new (trainer-step trainer))
    (set-trainer-history! new (trainer-history trainer))
    (set-trainer-losses! new (trainer-losses trainer))
    (set-trainer-kept! new (if (equal? (map car state) (map car (state-tensors new)))
                               (filter (lambda (k) (<= (first k) (trainer-step trainer)))
                                       (trainer-kept trainer))
                               '()))
    new))

;;; --- What ran with which settings ------------------------------------------------

(define (procedure-text procedure . calls)
  ;; What PROCEDURE is called, else what it gives for CALLS, lists of arguments.
  (or (procedure-description procedure)
      (and (pair? calls)
           (false-if-exception
            (string-join (map (lambda (arguments)
                                (number->string (significant (apply procedure arguments) 3)))
                              calls)
                         ", ")))
      "a procedure"))

(define (settings-text trainer)
  "All that TRAINER was told, an association list from symbol to text, but for what network files have."
  (define (plain name) (cons name (object->string (setting trainer name) display)))
  (define (procedure name . calls)
    (and (setting trainer name) (cons name (apply procedure-text (setting trainer name) calls))))
  (let ((steps (setting trainer 'steps)) (spectrum (setting trainer 'spectrum))
        (about (map (lambda (entry) (cons (string->symbol (car entry)) (cdr entry)))
                    (trainer-about trainer))))
    ;; What is said of the data, say, is better than what their procedure is called.
    (filter (lambda (s) (and s (or (memq s about) (not (assq (car s) about)))))
            `(,(plain 'batch) ,(plain 'steps) ,(plain 'seed)
              ,(procedure 'rate (list 0 steps) `(,(quotient steps 2) ,steps) `(,steps ,steps))
              ,@(if (setting trainer 'loss)
                    (list (procedure 'loss))
                    `((sigma . ,(distribution-text (setting trainer 'sigma)))
                      ,(procedure 'frequencies)
                      ,(and spectrum
                            (cons 'gaussian
                                  (format #f "a spectrum of ~a, mean ~a" (tensor-shape spectrum)
                                          (significant (tensor->number (tensor-mean spectrum)) 4))))))
              ,(procedure 'weight '(0.1) '(1) '(10) '(100))
              ,(procedure 'data)
              ,@(map plain '(averaging clip spectral rectified? beta1 beta2 epsilon))
              ,@about))))

(define (ran trainer)
  ;; TRAINER's history up to where it stands: what was set later never ran.
  (take-while (lambda (entry) (< (car entry) (trainer-step trainer))) (trainer-history trainer)))

(define (in-force history)
  ;; The settings at the end of HISTORY.
  (fold (lambda (entry now)
          (fold (lambda (s now) (acons (car s) (cdr s) (alist-delete (car s) now eq?))) now (cdr entry)))
        '() history))

(define (changed trainer)
  ;; The settings that TRAINER has otherwise than the steps before; #f for what there is no more.
  (let ((before (in-force (ran trainer))) (now (settings-text trainer)))
    (append (remove (lambda (s) (equal? (cdr s) (assq-ref before (car s)))) now)
            (filter-map (lambda (s) (and (cdr s) (not (assq (car s) now)) (cons (car s) #f))) before))))

(define (settings-changes trainer)
  "A line for each setting of TRAINER that the steps before did not have."
  (let ((before (in-force (ran trainer))))
    (if (null? before)
        '()
        (map (lambda (s)
               (format #f "~a: ~a until step ~a, now ~a" (car s)
                       (or (assq-ref before (car s)) "not set") (trainer-step trainer)
                       (or (cdr s) "not set")))
             (changed trainer)))))

(define (trainer-note! trainer about)
  "Add ABOUT, an association list from strings to strings as #:about of `make-trainer' is, to what is
recorded of TRAINER.
Example: (trainer-note! trainer '((\"size\" . \"128\")))"
  (check-that (trainer? trainer) 'trainer-note! "trainer: expected one, got ~s" trainer)
  (check-about 'trainer-note! about)
  (set-trainer-about! trainer (append about (remove (lambda (e) (assoc (car e) about))
                                                    (trainer-about trainer)))))

(define (record-settings! trainer)
  (let ((new (changed trainer)))
    (set-trainer-history! trainer
                          (append (ran trainer)
                                  (if (null? new) '() (list (cons (trainer-step trainer) new)))))))

;;; --- Checkpoints ----------------------------------------------------------------

(define (state-tensors trainer)
  "All that a step changes, from name to tensor."
  (let ((names (map car (trainer-parameters trainer))))
    (define (prefixed prefix tensors)
      (map (lambda (name t) (cons (string-append prefix name) t)) names tensors))
    (append (trainer-parameters trainer)
            (trainer-buffers trainer)
            (prefixed "first-moment." (map car (trainer-moments trainer)))
            (prefixed "second-moment." (map cdr (trainer-moments trainer)))
            (if (trainer-average trainer) (prefixed "average." (trainer-average trainer)) '())
            (map (lambda (v) (cons (string-append "spectral." (car v)) (cdr v)))
                 (trainer-vectors trainer)))))

(define (trainer-save trainer path)
  "Write all of TRAINER's state to the safetensors file PATH, whole or not at all.  It is an error, and
PATH stays as it is, when TRAINER has diverged.
Example: (trainer-save trainer \"run.safetensors\")"
  (check-that (not (eqv? (trainer-diverged trainer) (trainer-step trainer))) 'trainer-save
              "~a: not written: training diverged by step ~a; trainer-rewind!, or trainer-resume! from \
an earlier checkpoint, goes back" path (trainer-step trainer))
  (for-each (lambda (entry)
              (check-that (tensor-finite? (cdr entry)) 'trainer-save
                          "~a: not written: tensor ~s has NaN or infinite values" path (car entry)))
            (state-tensors trainer))
  (save-safetensors path (state-tensors trainer)
                    #:metadata `(("format" . "tempera-trainer-1")
                                 ,@(alist-delete "format" (network-metadata
                                                           (trainer-network trainer)))
                                 ("step" . ,(number->string (trainer-step trainer)))
                                 ("seed" . ,(number->string (setting trainer 'seed)))
                                 ("losses" . ,(object->string (trainer-losses trainer)))
                                 ("history" . ,(object->string (trainer-history trainer))))))

(define (trainer-resume! trainer path)
  "Put TRAINER, made with the settings of the run that wrote PATH, into the state saved
there; the steps that follow have the bits of a run that never stopped.  The network and the seed must
be those of that run; where other settings differ it goes on with TRAINER's, and a line for each says
so, as does `trainer-history' from then on.  Returns TRAINER.
Example: (train! (trainer-resume! trainer \"run.safetensors\"))"
  (define (bad text . arguments)
    (complain 'trainer-resume! "~a: ~a" path (apply format #f text arguments)))
  (define-values (tensors metadata) (load-safetensors path))
  (define (field name)
    (or (assoc-ref metadata name) (bad "not a trainer's checkpoint: no ~s" name)))
  (define (number name)
    (let ((n (string->number (field name))))
      (if (and (exact-integer? n) (>= n 0)) n (bad "~a: expected a number" name))))
  (unless (equal? (field "format") "tempera-trainer-1")
    (bad "expected format tempera-trainer-1, got ~s" (field "format")))
  (for-each (lambda (entry)
              (unless (equal? (field (car entry)) (cdr entry))
                (bad "~a: this trainer has ~s, the checkpoint ~s" (car entry) (cdr entry)
                     (field (car entry)))))
            (alist-delete "format" (network-metadata (trainer-network trainer))))
  (unless (= (number "seed") (setting trainer 'seed))
    (bad "seed: this trainer has ~a, the checkpoint ~a" (setting trainer 'seed) (number "seed")))
  (let ((state (state-tensors trainer)))
    (check-no-others 'trainer-resume! path tensors (map car state))
    (for-each (lambda (entry)
                (let ((saved (assoc-ref tensors (car entry))))
                  (unless (and saved (equal? (tensor-shape saved) (tensor-shape (cdr entry))))
                    (bad "tensor ~s: ~a" (car entry)
                         (if saved (format #f "expected shape ~a, got ~a"
                                           (tensor-shape (cdr entry)) (tensor-shape saved))
                             "missing")))
                  (unless (tensor-finite? saved)
                    (bad "tensor ~s has NaN or infinite values: training had diverged when it was written; \
remove it to begin anew" (car entry)))))
              state)
    (for-each (lambda (entry) (tensor-assign! (cdr entry) (assoc-ref tensors (car entry)))) state)
    (set-trainer-step! trainer (number "step"))
    (set-trainer-losses! trainer
                         (catch #t
                           (lambda () (with-input-from-string (field "losses") read))
                           (lambda _ (bad "losses: unreadable"))))
    (set-trainer-history! trainer
                          (match (false-if-exception
                                  (with-input-from-string (or (assoc-ref metadata "history") "()") read))
                            ((and history
                                  (((? exact-integer?) ((? symbol?) . (or #f (? string?))) ...) ...))
                             history)
                            (_ (bad "history: unreadable"))))
    (if (and (null? (trainer-history trainer)) (> (trainer-step trainer) 0))
        (format (current-error-port) "~a: does not say what settings its ~a steps had~%"
                path (trainer-step trainer))
        (for-each (lambda (line) (format (current-error-port) "~a~%" line))
                  (settings-changes trainer)))
    (record-settings! trainer)
    trainer))

(document
 (trainer-history
  "What TRAINER's steps ran with: a list of (step (name . text) ...), what was set from each step on,
#f what was no longer set; it goes with checkpoints and, of `train-run!' and tempera train, with weights.
Example: (map car (trainer-history (train! (make-trainer net (lambda (n step) (random-normal (list n 16 16) step 0 'c64))
                                                         #:batch 2 #:steps 2)))) => (0)")
 (trainer?
  "True when OBJECT is a trainer.
Example: (trainer? trainer) => #t")
 (trainer-network
  "The network that TRAINER trains.
Example: (trainer-network trainer)")
 (trainer-step
  "How many steps TRAINER has made.
Example: (trainer-step trainer)")
 (trainer-losses
  "The losses of TRAINER's steps, newest first.
Example: (trainer-losses trainer)"))
