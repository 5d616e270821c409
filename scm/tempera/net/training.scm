;;; training.scm -- steps of a trainer: losses, gradients, Adam, the running averages; and `train!'.
;;;
;;; A step is whole or not made at all, so that training can be stopped anywhere and goes on to the
;;; same bits.
;;;
;;; Ranks (ranks.scm) divide the batch of a step, and have the same weights after it.  The random numbers of
;;; a step are those of one process; sums over the batch are those over the ranks' parts, in the order of ranks.

(define-module (tempera net training)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera file paths)
  #:use-module (tempera problem priors)
  #:use-module (tempera net averages)
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

(define* (step-losses trainer step data #:optional (part #f))
  "The losses of DATA, the images of STEP, or of PART of them (see `denoising-losses'), (N), and their
sigmas, or #f."
  (let ((loss (trainer-setting trainer 'loss)))
    (if loss
        (call-with-values (lambda () (loss (trainer-network trainer) data step))
          (lambda* (losses #:optional sigmas) (values losses sigmas)))
        (denoising-losses (lambda (noisy sigma)
                            (let ((learned (scaled-score (trainer-network trainer) noisy sigma))
                                  (known (no-tape (lambda () (known-score trainer noisy sigma)))))
                              (if known (tensor+ learned known) learned)))
                          data (trainer-setting trainer 'sigma)
                          #:frequencies (trainer-setting trainer 'frequencies)
                          #:seed (trainer-setting trainer 'seed) #:step step #:part part))))

(define (step-data trainer step)
  (no-tape (lambda ()
             ((trainer-setting trainer 'data)
              (* (trainer-setting trainer 'accumulate) (trainer-setting trainer 'batch)) step))))

(define (divided? trainer)
  "Whether ranks divide TRAINER's batches: a loss of the user's takes them whole."
  (and (together?) (not (trainer-setting trainer 'loss))))

(define (step-parts trainer data)
  "What of DATA goes through the network at a time: a list of parts as of `denoising-losses', or of #f for all."
  (let ((parts (trainer-setting trainer 'accumulate)))
    (if (and (= parts 1) (not (divided? trainer)))
        '(#f)
        (let* ((count (tensor-size data 0)) (parts (min parts count)))
          (map (lambda (k)
                 (let ((from (quotient (* k count) parts)) (to (quotient (* (1+ k) count) parts)))
                   (if (divided? trainer) (part-of-rank from to) (list from to))))
               (iota parts))))))

(define (part-of-rank from to)
  ;; This rank's of the images FROM to TO.
  (let ((count (- to from)))
    (check-that (>= count (mpi-size)) 'train! "batch: expected ~a images or more at a time for ~a ranks, got ~a"
                (mpi-size) (mpi-size) count)
    (map (lambda (k) (+ from k)) (own-part count))))

(define (weighted trainer losses sigmas)
  "LOSSES, (N), by how much the trainer's weight lets them count at SIGMAS, (N), or #f."
  (let ((log-loss (trainer-log-loss trainer)))
    (cond (log-loss
           (check-that sigmas 'train! "weight: expected of #:loss a second value, the sigmas that a learned \
weight goes by, got none")
           (let ((u (log-loss (no-tape (lambda () (tensor-abs sigmas))))))
             (tensor+ (tensor* losses (tensor-exp (tensor-negate u))) u)))
          (sigmas (tensor* losses (list->tensor (map (lambda (sigma) (trainer-weight trainer sigma))
                                                     (tensor->list sigmas)))))
          (else losses))))

(define (known-score trainer noisy sigma)
  ;; |sigma| times the Gaussian's score at images as bodies take them, or #f.
  (let ((gaussian (trainer-setting trainer 'gaussian)))
    (when gaussian
      (check-that (member (cdr (tensor-shape noisy))
                          (list (append (prior-shape gaussian) '(2)) (append (prior-shape gaussian) '(1))))
                  'train! "data: expected c64 images of shape ~a, or f32, as the spectrum of #:gaussian has"
                  (prior-shape gaussian)))
    (and gaussian
         (tensor* (per-item (tensor-abs sigma) noisy)
                  (if (= 2 (last (tensor-shape noisy)))
                      (real-view (score gaussian (complex-view noisy) sigma))
                      ;; A real field's score is that of a complex one whose imaginary part is 0.
                      (let ((images (tensor-reshape noisy (drop-right (tensor-shape noisy) 1))))
                        (tensor-reshape (tensor-real (score gaussian (tensor+ images (tensor-zeros (tensor-shape images) 'c64))
                                                            sigma))
                                        (tensor-shape noisy))))))))

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

(define (part-losses trainer step data part)
  ;; The numbers of `step-losses', off the tape.
  (no-tape
   (lambda ()
     (parameterize ((training? #t))
       (call-with-values (lambda () (step-losses trainer step data part))
         (lambda (losses . _) (tensor->list losses)))))))

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
                        (let ((data (step-data trainer step)))
                          (mean (append-map (lambda (part)
                                              (with-scope
                                               (lambda () (part-losses trainer step data part))))
                                            (step-parts trainer data)))))))
                   (const #f))))
        (unless (sound-loss? loss first-loss)
          (complain-diverged trainer step "the loss" loss first-loss))))))

;;; --- A step ---------------------------------------------------------------------------

(define (gradient-norm tensors)
  (sqrt (apply + (map (lambda (g) (tensor->number (tensor-sum-squares g))) tensors))))

(define (add-gradients! trainer data part)
  "Add to the gradients of what TRAINER learns those of PART's share of the loss, the mean over all DATA;
return the part's sigmas, numbers or #f, and losses, before they are weighted, as pairs."
  (let ((pairs #f) (tape (make-tape)))
    (call-sharing-batch (divided? trainer)
     (lambda ()
       (tape-backward!
        tape
        (with-tape tape
          (lambda ()
            (parameterize ((training? #t))
              (call-with-values (lambda () (step-losses trainer (trainer-step trainer) data part))
                (lambda (losses sigmas)
                  (let ((numbers (tensor->list losses)))
                    (set! pairs (map cons (if sigmas (tensor->list sigmas) (map (const #f) numbers)) numbers)))
                  (let ((loss (tensor-mean (weighted trainer losses sigmas))))
                    (if part
                        (tensor* (/ (- (second part) (first part)) (tensor-size data 0)) loss)
                        loss))))))))))
    pairs))

(define (train-step! trainer first-loss)
  "One step; its pairs of sigma and loss, none of a step that was skipped.  Gradients first, which may be interrupted and leave no trace but in batch
norm's running statistics; then the update, which is not."
  (define parameters (map cdr (trainer-parameters trainer)))
  (define learned (append parameters (log-loss-parameters trainer)))
  (define pairs #f)
  (define loss #f)
  (define skip? #f)
  (define done? #f)
  (call-with-buffers-kept
   trainer
   (lambda ()
      (with-scope
       (lambda ()
         (let ((data (step-data trainer (trainer-step trainer))))
           (for-each require-gradient! learned)
           (for-each clear-gradient! learned)
           (set! pairs
                 (concatenate
                  (summed-over-ranks trainer learned
                   (map-in-order (lambda (part)
                                   (with-scope
                                    (lambda ()
                                      (let ((pairs (add-gradients! trainer data part)))
                                        (for-each (lambda (p) (and=> (tensor-gradient p) keep!)) learned)
                                        pairs))))
                                 (step-parts trainer data)))))
           (set! loss (mean (map cdr pairs)))
           (set! skip? (and (finite? loss) (spike? trainer loss)))
           (unless (or skip? (sound-loss? loss first-loss))
             (complain-diverged trainer (trainer-step trainer) "the loss" loss first-loss)))
         (call-with-blocked-asyncs
          (lambda ()
            (unless skip? (update! trainer parameters first-loss))
            (note-loss! trainer loss skip?)
            (set-trainer-step! trainer (1+ (trainer-step trainer)))
            (set-trainer-images! trainer (+ (trainer-images trainer) (length pairs)))
            (set! done? #t)))
         #t)))
   ;; What a step that is skipped saw goes into no running statistics.
   (lambda () (and done? (not skip?))))
  (if skip? '() pairs))

(define (summed-over-ranks trainer learned pairs)
  "The PAIRS of sigma and loss, lists of this rank's parts of a batch, of the parts of all ranks.  The gradients of
LEARNED are summed with those of the other ranks."
  (if (divided? trainer)
      (begin
        (sum-over-ranks! (filter-map tensor-gradient learned))
        (apply map append (gather-data pairs)))
      pairs))

(define (log-loss-parameters trainer)
  (if (trainer-log-loss trainer) (map cdr (layer-parameters (trainer-log-loss trainer))) '()))

(define (update! trainer parameters first-loss)
  (penalise! (trainer-setting trainer 'spectral) (trainer-parameters trainer) (trainer-vectors trainer))
  (let* ((step (1+ (trainer-step trainer)))
         (gradients (map tensor-gradient parameters))
         (norm (gradient-norm (filter identity gradients)))
         (clip (trainer-setting trainer 'clip))
         (scale (if (and clip (> norm clip)) (/ clip norm) 1))
         (rate ((trainer-setting trainer 'rate) (trainer-step trainer) (trainer-setting trainer 'steps)))
         (options (cons rate (map (lambda (s) (trainer-setting trainer s))
                                  '(beta1 beta2 epsilon rectified?)))))
    (unless (finite? norm)
      (complain-diverged trainer (trainer-step trainer) "the gradient's norm" norm first-loss))
    (for-each (lambda (w g moments)
                (when g
                  (adam-step! w (if (= scale 1) g (tensor* scale g)) (car moments) (cdr moments)
                              step options)))
              parameters gradients (trainer-moments trainer))
    (for-each (lambda (w moments)
                (adam-step! w (tensor-gradient w) (car moments) (cdr moments) step options))
              (log-loss-parameters trainer) (log-loss-moments trainer))
    (restrain! (trainer-setting trainer 'spectral) (trainer-parameters trainer)
               (trainer-vectors trainer))
    (for-each (lambda (average)
                (let ((decay (averaging-decay (car average) step)))
                  (for-each (lambda (a w) (tensor-axpby! (- 1 decay) w decay a))
                            (cdr average) parameters)))
              (trainer-averages trainer))))

;;; --- Many steps -----------------------------------------------------------------------

(define* (train! trainer #:key (steps #f) (checkpoint #f) (every 200) (minutes #f) (hook (const #t))
                 (keep #f))
  "Train until the run's length, or STEPS more.  Every EVERY steps the mean losses join
(trainer-losses trainer), HOOK is called with the trainer, and CHECKPOINT, the name
of a file or #f, is written; MINUTES, unless #f, is the longest that training goes without writing it.  A
terminal shows images a second and the time left.  Every KEEP steps, unless #f, the state is kept in memory, for
`trainer-rewind!'.  Ctrl-C, like any error, writes the checkpoint too, at a whole step.
Typed at the prompt itself, train! then returns, and goes on when called again; in a program
nothing goes on, and `last-paused' has the trainer.  When the loss is not finite, or 10^8 times
what it was at first (or 1), training ends in an error that says since which step and why; a
checkpoint then stays as it was at the last step whose weights were sound.  Returns the trainer.
Example: (train! trainer #:checkpoint \"run.safetensors\")"
  (check-that (or (not keep) (and (exact-integer? keep) (> keep 0))) 'train!
              "keep: expected #f or a positive number of steps, got ~s" keep)
  (check-that (or (not minutes) (and (finite-number? minutes) (>= minutes 0))) 'train!
              "minutes: expected #f or a number, 0 or more, got ~s" minutes)
  (when checkpoint (check-output-file 'train! checkpoint))
  (let* ((end (if steps (+ (trainer-step trainer) steps) (trainer-setting trainer 'steps)))
         (progress (make-progress "training" end))
         (started (seconds-now))
         (images-before (trainer-images trainer))
         (first-loss (and (pair? (trainer-losses trainer)) (second (last (trainer-losses trainer)))))
         (saved #f)                     ; the step that CHECKPOINT has by now,
         (saved-at started))            ; and when it was written
    (define (save!)
      (when (first-rank?)
        (call-apart (lambda () (prove! trainer first-loss)))
        (trainer-save trainer checkpoint))
      (set! saved (trainer-step trainer))
      (set! saved-at (seconds-now)))
    (define (note! save!)
      (let ((pending (trainer-pending trainer)))
        (when (pair? pending)
          (set-trainer-losses! trainer
                               (cons (cons* (trainer-step trainer) (mean (map cdr pending))
                                            (losses-by-band pending))
                                     (trainer-losses trainer)))
          (set-trainer-pending! trainer '())))
      (when checkpoint (save!))
      (hook trainer))
    (record-settings! trainer)
    (when (and (together?) (not (divided? trainer)))
      (format (current-error-port) "a loss of #:loss takes whole batches: all ~a ranks train alike~%" (mpi-size)))
    (call-with-pause trainer "trainer"
     (lambda ()
       (call-together
        (lambda ()
          (let loop ()
            (when (< (trainer-step trainer) end)
              (when (and keep (zero? (modulo (trainer-step trainer) keep)))
                (trainer-keep! trainer))
              (let ((losses (train-step! trainer first-loss)))
                (set! first-loss (or first-loss (and (pair? losses) (mean (map cdr losses)))))
                (set-trainer-pending! trainer (append losses (trainer-pending trainer))))
              (progress-update! progress (trainer-step trainer)
                                #:text (lambda ()
                                         (format #f "~a images/s  loss ~,4f"
                                                 (number-text (/ (- (trainer-images trainer) images-before)
                                                                 (max 1e-3 (- (seconds-now) started))))
                                                 (let ((pending (map cdr (trainer-pending trainer))))
                                                   (if (null? pending) +nan.0 (mean pending))))))
              (cond ((or (zero? (modulo (trainer-step trainer) every))
                         (= (trainer-step trainer) end))
                     (note! save!))
                    ((and checkpoint minutes (>= (- (seconds-now) saved-at) (* 60 minutes)))
                     (save!)))
              (loop))))))
     (lambda (name)
       (progress-finish! progress)
       (call-apart (lambda () (note! (lambda () (false-if-error (save!))))))
       (format (current-error-port) "stopped at step ~a~a~a~%" (trainer-step trainer)
               (cond ((not checkpoint) "")
                     ((eqv? saved (trainer-step trainer)) (format #f ", saved in ~a" checkpoint))
                     ((file-exists? checkpoint)
                      (format #f "; ~a stays as it was~a" checkpoint
                              (if saved (format #f " at step ~a" saved) "")))
                     (else ""))
               (if name (format #f "; (train! ~a) goes on" name) ""))))
    (progress-finish! progress)
    (when (> (trainer-skipped trainer) 0)
      (format (current-error-port) "~a of ~a steps were skipped, their losses being spikes~%"
              (trainer-skipped trainer) (trainer-step trainer)))
    (let ((loss (and (pair? (trainer-losses trainer)) (second (first (trainer-losses trainer))))))
      (when (and loss (> loss (* 2 (max 1 (abs first-loss)))))
        (format (current-error-port)
                "warning: the loss, ~a, is above that of the first steps, ~a: a lower rate may help~%"
                (significant loss 3) (significant first-loss 3))))
    trainer))

(pauses! train!)
