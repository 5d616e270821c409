;;; training.scm -- steps of a trainer: losses, gradients, Adam, the running average; and `train!'.
;;;
;;; A step is whole or not made at all, so that training can be stopped anywhere and goes on to the
;;; same bits.

(define-module (tempera net training)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera file paths)
  #:use-module (tempera problem priors)
  #:use-module (tempera net checkpoints)
  #:use-module (tempera net layers)
  #:use-module (tempera net losses)
  #:use-module (tempera net noise-levels)
  #:use-module (tempera net score-networks)
  #:use-module (tempera net spectral-norms)
  #:use-module (tempera net trainer)
  #:use-module (tempera net trainer-history)
  #:export (train!))

;;; --- The loss of a step -------------------------------------------------------------

(define (step-losses trainer step)
  "The losses of the images of STEP, (N), and their sigmas, or #f."
  (let ((loss (trainer-setting trainer 'loss)))
    (if loss
        (call-with-values (lambda () (loss (trainer-network trainer) (step-data trainer step) step))
          (lambda* (losses #:optional sigmas) (values losses sigmas)))
        (denoising-losses (lambda (noisy sigma)
                            (let ((learned (scaled-score (trainer-network trainer) noisy sigma))
                                  (known (no-tape (lambda () (known-score trainer noisy sigma)))))
                              (if known (tensor+ learned known) learned)))
                          (step-data trainer step) (trainer-setting trainer 'sigma)
                          #:frequencies (trainer-setting trainer 'frequencies)
                          #:seed (trainer-setting trainer 'seed) #:step step))))

(define (step-data trainer step)
  (no-tape (lambda () ((trainer-setting trainer 'data) (trainer-setting trainer 'batch) step))))

(define (weighted trainer losses sigmas)
  "LOSSES, (N), times what the trainer's weight is at SIGMAS, a list of numbers or of #f."
  (if (every identity sigmas)
      (tensor* losses (list->tensor (map (lambda (sigma)
                                           (let ((w ((trainer-setting trainer 'weight) (abs sigma))))
                                             (check-that (and (real? w) (finite? w) (>= w 0)) 'train!
                                                         "weight: expected a number, at sigma ~a got ~s"
                                                         sigma w)
                                             w))
                                         sigmas)))
      losses))

(define (known-score trainer noisy sigma)
  ;; |sigma| times the Gaussian's score at images as their real view, or #f.
  (let ((gaussian (trainer-setting trainer 'gaussian)))
    (when gaussian
      (check-that (equal? (cdr (tensor-shape noisy)) (append (prior-shape gaussian) '(2))) 'train!
                  "data: expected c64 images of shape ~a, as the spectrum of #:gaussian has"
                  (prior-shape gaussian)))
    (and gaussian
         (tensor* (per-item (tensor-abs sigma) noisy)
                  (real-view (score gaussian (complex-view noisy) sigma))))))

;;; --- Divergence ---------------------------------------------------------------------

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
                 (significant ((trainer-setting trainer 'rate) (1- at) (trainer-setting trainer 'steps)) 3))))))

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

;;; --- A step ---------------------------------------------------------------------------

(define (gradient-norm tensors)
  (sqrt (apply + (map (lambda (g) (tensor->number (tensor-sum-squares g))) tensors))))

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
  (penalise! (trainer-setting trainer 'spectral) (trainer-parameters trainer) (trainer-vectors trainer))
  (let* ((step (1+ (trainer-step trainer)))
         (gradients (map tensor-gradient parameters))
         (norm (gradient-norm (filter identity gradients)))
         (clip (trainer-setting trainer 'clip))
         (scale (if (and clip (> norm clip)) (/ clip norm) 1))
         (rate ((trainer-setting trainer 'rate) (trainer-step trainer) (trainer-setting trainer 'steps)))
         (options (cons rate (map (lambda (s) (trainer-setting trainer s))
                                  '(beta1 beta2 epsilon rectified?))))
         (averaging (trainer-setting trainer 'averaging)))
    (unless (finite? norm)
      (complain-diverged trainer (trainer-step trainer) "the gradient's norm" norm first-loss))
    (for-each (lambda (w g moments)
                (when g
                  (adam-step! w (if (= scale 1) g (tensor* scale g)) (car moments) (cdr moments)
                              step options)))
              parameters gradients (trainer-moments trainer))
    (restrain! (trainer-setting trainer 'spectral) (trainer-parameters trainer)
               (trainer-vectors trainer))
    (when averaging
      ;; Early on the average forgets faster, or the start would stay in it.
      (let ((decay (min averaging (/ (+ 1.0 step) (+ 10 step)))))
        (for-each (lambda (a w) (tensor-axpby! (- 1 decay) w decay a))
                  (trainer-average trainer) parameters)))))

;;; --- Many steps -----------------------------------------------------------------------

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
  (let* ((end (if steps (+ (trainer-step trainer) steps) (trainer-setting trainer 'steps)))
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
             (trainer-keep! trainer))
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
       (note! (lambda () (false-if-error (save!))))
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
