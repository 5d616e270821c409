;;; trainer.scm -- a trainer: a network, the state of its training, and the settings.
;;;
;;; The state is the weights and buffers, the optimiser's moments, the running averages of the weights,
;;; a learned weight of losses, the vectors of power iterations, and the number of steps done.
;;; Everything random in a step is a function of the seed and the step's number, so that a state
;;; determines all that follows.

(define-module (tempera net trainer)
  #:use-module (tempera problem gaussian)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module ((tempera data scans) #:select (top-intensity))
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera net averages)
  #:use-module (tempera net layers)
  #:use-module (tempera net learned-weights)
  #:use-module (tempera net networks)
  #:use-module (tempera net noise-levels)
  #:use-module (tempera net rates)
  #:use-module (tempera net score-networks)
  #:use-module (tempera net spectral-norms)
  #:export (make-trainer trainer? trainer-network trainer-step trainer-losses trainer-history
            trainer-averaged trainer-losses-by-sigma trainer-weight trainer-kept-steps trainer-rewind!
            trainer-fork
            ;; For those who train it, save it and record it:
            trainer-parameters trainer-averages trainer-moments trainer-vectors trainer-setting
            trainer-log-loss log-loss-moments trainer-pending set-trainer-pending!
            trainer-images set-trainer-images! trainer-skipped trainer-spikes set-trainer-spikes! spike? note-loss!
            trainer-about set-trainer-about! check-about trainer-diverged set-trainer-diverged!
            set-trainer-step! set-trainer-losses! set-trainer-history!
            trainer-state first-average-name state-for optional-state? restore-state! trainer-keep! call-with-buffers-kept))

(define-record-type <trainer>
  (%make-trainer network parameters buffers buffers-before moments averages log-loss log-loss-moments
                 vectors data arguments settings about step images losses pending spikes kept history diverged)
  trainer?
  (network trainer-network)
  (parameters trainer-parameters)      ; (name . tensor) ...
  (buffers trainer-buffers)
  (buffers-before trainer-buffers-before) ; what they were when the step began
  (moments trainer-moments)            ; (m . v) ...
  (averages trainer-averages)          ; (averaging tensor ...) ...
  (log-loss trainer-log-loss)          ; of a learned weight, the layer of u (sigma), or #f
  (log-loss-moments log-loss-moments)  ; and its moments
  (vectors trainer-vectors)            ; of the power iterations, by name
  (data trainer-data)                  ; as `make-trainer' got it,
  (arguments trainer-arguments)        ; and keywords and values
  (settings trainer-settings)          ; an association list
  (about trainer-about set-trainer-about!) ; of texts: what else is to be recorded
  (step trainer-step set-trainer-step!)
  (images trainer-images set-trainer-images!) ; seen in all steps
  (losses trainer-losses set-trainer-losses!) ; (step mean-loss (sigma . loss) ...), newest first
  (pending trainer-pending set-trainer-pending!) ; (sigma . loss) of the steps since, newest first
  (spikes trainer-spikes set-trainer-spikes!) ; how many steps were skipped, and losses before, newest first
  (kept trainer-kept set-trainer-kept!) ; (step images losses pending spikes tensor ...), newest first
  (history trainer-history set-trainer-history!) ; (step (name . text) ...), oldest first
  (diverged trainer-diverged set-trainer-diverged!)) ; the step whose weights are known for bad, or #f

(set-record-type-printer! <trainer>
  (lambda (t port)
    (format port "#<trainer at step ~a: ~a>" (trainer-step t)
            (layer-kind (trainer-network t)))))

(define (trainer-setting trainer name)
  "What TRAINER was told of NAME, a keyword of `make-trainer' as a symbol."
  (assq-ref (trainer-settings trainer) name))

(define (check-about who about)
  "Complain from WHO unless ABOUT is an association list from strings to strings."
  (check-that (and (list? about)
                   (every (lambda (e) (and (pair? e) (string? (car e)) (string? (cdr e)))) about))
              who "about: expected an association list from strings to strings, got ~s" about))

(define* (make-trainer network data #:key (batch 16) (sigma (sigma-log-uniform 0.05 top-intensity))
                       (rate (warmup-stable-decay 5e-4)) (steps 1000) (seed 0)
                       (averaging 0.999) (clip 1.0) (spectral #f) (gaussian #f)
                       (weight (const 1)) (frequencies #f) (loss #f) (rectified? #f)
                       (accumulate 1) (skip-spikes #f) (beta1 0.9) (beta2 0.999) (epsilon 1e-8)
                       (about '())
                       #:rest arguments)
  "A trainer of NETWORK, a score network, by equation 3 with Adam, or of any `network?' by LOSS.
DATA: a procedure of BATCH and a step's number that gives x: c64 (BATCH H W) or
f32 (BATCH ...), the same for the same step.  SIGMA: a distribution.  RATE: a
procedure of the step and of STEPS, the length of the run.  AVERAGING: the decay
a step of the running average of the weights, or a `power-average', or a list of these for several
averages, or #f; each takes as much memory as the weights do.  CLIP: the largest norm of
the gradient, or #f.  SPECTRAL: #f, or a bound on spectral norms of weights: (penalty WEIGHT
[TARGET]), the paper's; (projection VALUE), its authors'; (cap VALUE), which only scales
down.  GAUSSIAN: #f, or a spectrum, f32 (H W): the network learns what has to be
added to the score of `gaussian-prior', for `hybrid-prior'; the parametrisation `residual' is
made for that.  WEIGHT: a procedure of |sigma|, by whose value a loss at sigma counts, such as
`balanced-weight' gives, or `learned-weight'.  FREQUENCIES: #f, or what `balanced-frequencies' gives: by how much errors
at a frequency of images count.  LOSS: #f, or a procedure of NETWORK, what DATA gave and the step that
gives the losses, f32 (N), on the tape; then SIGMA, GAUSSIAN and FREQUENCIES are not used,
nor WEIGHT unless a second value has their sigmas, (N).  ACCUMULATE: of how many batches the gradients are
summed before a step; it is that of one batch ACCUMULATE times as large (DATA is asked for that many), but
for rounding and batch norm, which sees a part at a time, in the memory of one; not with LOSS.
SKIP-SPIKES: #f, or a number above 1: a step whose loss is more than that many times the median of the
50 losses before makes no update, and is counted by `trainer-skipped'; from the tenth step on.
RECTIFIED?: by rectified Adam (Liu et al. 2020).
ABOUT: an association list from strings to strings, what else is to be recorded, of the data say.
Example: (make-trainer net (lambda (n step) (random-slices dataset n 128 #:stream step)))"
  (check-that (if loss (network? network) (score-network? network)) 'make-trainer
              "network: expected a ~anetwork, got ~s" (if loss "" "score ") network)
  (check-that (or (procedure? weight) (learned-weight? weight)) 'make-trainer
              "weight: expected a procedure of sigma such as (balanced-weight), or (learned-weight), got ~s"
              weight)
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
  (check-that (or (not averaging) (averaging? averaging)
                  (and (pair? averaging) (list? averaging) (every averaging? averaging)
                       (= (length averaging) (length (delete-duplicates averaging)))))
              'make-trainer "averaging: expected #f, a decay from 0 to 1, a power-average, or a list of \
different ones, got ~s" averaging)
  (check-that (positive-integer? accumulate) 'make-trainer
              "accumulate: expected a positive integer, got ~s" accumulate)
  (check-that (or (= accumulate 1) (not loss)) 'make-trainer
              "accumulate: expected 1 with #:loss, which draws its own random numbers, got ~s" accumulate)
  (check-that (or (not clip) (and (real? clip) (positive? clip))) 'make-trainer
              "clip: expected #f or a positive number, got ~s" clip)
  (check-that (or (not skip-spikes) (and (finite-number? skip-spikes) (> skip-spikes 1))) 'make-trainer
              "skip-spikes: expected #f or a number above 1, got ~s" skip-spikes)
  (check-that (or (not spectral) (spectral-bound? spectral)) 'make-trainer
              "spectral: expected #f, (cap value), (projection value) or (penalty weight [target]), \
calls without a quote, got ~s" spectral)
  (check-about 'make-trainer about)
  (check-seed 'make-trainer seed)
  (let* ((parameters (layer-parameters network))
         (tensors (map cdr parameters))
         (buffers (layer-buffers network))
         (moments (lambda (t) (cons (tensor-zeros (tensor-shape t)) (tensor-zeros (tensor-shape t)))))
         (log-loss (and (learned-weight? weight) (log-loss-layer weight seed))))
    (unless loss (set-sigma-range! network (distribution-range sigma)))
    (%make-trainer network parameters buffers
                   (map (lambda (b) (cons (car b) (tensor-copy (cdr b)))) buffers)
                   (map moments tensors)
                   (map (lambda (averaging) (cons averaging (map tensor-copy tensors)))
                        (cond ((not averaging) '())
                              ((pair? averaging) averaging)
                              (else (list averaging))))
                   log-loss
                   (if log-loss (map (lambda (p) (moments (cdr p))) (layer-parameters log-loss)) '())
                   (norm-vectors parameters seed)
                   data arguments
                   `((data . ,data) (batch . ,batch) (sigma . ,sigma) (rate . ,rate)
                     (steps . ,steps) (seed . ,seed) (averaging . ,averaging) (clip . ,clip)
                     (spectral . ,spectral)
                     (spectrum . ,gaussian) (gaussian . ,(and gaussian (gaussian-prior gaussian)))
                     (weight . ,weight) (frequencies . ,frequencies) (loss . ,loss)
                     (accumulate . ,accumulate) (skip-spikes . ,skip-spikes) (rectified? . ,rectified?)
                     (beta1 . ,beta1) (beta2 . ,beta2) (epsilon . ,epsilon))
                   about 0 0 '() '() '(0) '() '() #f)))

(define (trainer-state trainer)
  "All tensors of TRAINER that a step changes, an association list from name to tensor."
  (let ((names (map car (trainer-parameters trainer))))
    (define (prefixed prefix names tensors)
      (map (lambda (name t) (cons (string-append prefix name) t)) names tensors))
    (define (with-moments prefix names moments)
      (append (prefixed (string-append prefix "first-moment.") names (map car moments))
              (prefixed (string-append prefix "second-moment.") names (map cdr moments))))
    (append (trainer-parameters trainer)
            (trainer-buffers trainer)
            (with-moments "" names (trainer-moments trainer))
            ;; The first has no name, since another decay may take it over.
            (append-map (lambda (prefix average) (prefixed prefix names (cdr average)))
                        (if (null? (trainer-averages trainer)) '()
                            (cons "average."
                                  (map (lambda (average)
                                         (string-append "average-" (averaging-name (car average)) "."))
                                       (cdr (trainer-averages trainer)))))
                        (trainer-averages trainer))
            (let ((log-loss (trainer-log-loss trainer)))
              (if log-loss
                  (let* ((own (append (layer-parameters log-loss) (layer-buffers log-loss))))
                    (append (prefixed "loss-weight." (map car own) (map cdr own))
                            (with-moments "loss-weight." (map car (layer-parameters log-loss))
                                          (log-loss-moments trainer))))
                  '()))
            (map (lambda (v) (cons (string-append "spectral." (car v)) (cdr v)))
                 (trainer-vectors trainer)))))

(define (optional-state? name)
  "Whether what NAME names in the state of a trainer may be new where training goes on: averages, which
then begin with the weights, and a learned weight."
  (or (string-prefix? "average" name) (string-prefix? "loss-weight." name)))

(define (first-average-name trainer)
  "The `averaging-name' of TRAINER's first average, or #f: in its state that has no name."
  (and (pair? (trainer-averages trainer)) (averaging-name (car (first (trainer-averages trainer))))))

(define (state-for trainer saved first-name)
  "SAVED, a state as `trainer-state' gives it, with averages named as in TRAINER, which may have others, or
these in another order.  FIRST-NAME is the `first-average-name' of what was saved; TRAINER's first average
takes that one over if no average of TRAINER has this name."
  (let ((own-name (first-average-name trainer))
        (names (map (compose averaging-name car) (trainer-averages trainer))))
    (define (renamed from to)
      ;; What begins with FROM in SAVED, beginning with TO.
      (filter-map (lambda (entry)
                    (and (string-prefix? from (car entry))
                         (cons (string-append to (substring (car entry) (string-length from)))
                               (cdr entry))))
                  saved))
    (if (or (not first-name) (not own-name) (equal? first-name own-name))
        saved
        (let ((own (renamed (string-append "average-" own-name ".") "average.")))
          (append own
                  (renamed "average." (string-append "average-" first-name "."))
                  (if (or (pair? own) (member first-name names))
                      (remove (lambda (entry) (string-prefix? "average." (car entry))) saved)
                      saved))))))

(define (restore-state! trainer saved)
  "Set TRAINER's tensors to those of SAVED, an association list as `trainer-state' is (see `state-for').
Averages that SAVED lacks begin with the weights."
  (for-each (lambda (entry)
              (let ((old (assoc-ref saved (car entry))))
                (when old (tensor-assign! (cdr entry) old))))
            (trainer-state trainer))
  (let ((count (length (trainer-parameters trainer))))
    (let loop ((rest (filter (lambda (entry) (string-prefix? "average" (car entry)))
                             (trainer-state trainer))))
      (when (pair? rest)
        (unless (assoc (car (first rest)) saved)
          (for-each (lambda (entry weights) (tensor-assign! (cdr entry) (cdr weights)))
                    (take rest count) (trainer-parameters trainer)))
        (loop (drop rest count))))))

(define (call-with-buffers-kept trainer thunk done?)
  "Call THUNK.  Afterwards, unless DONE? gives true, put batch norm's running statistics of TRAINER back to
what they were."
  (define (copy! to from)
    (for-each (lambda (to from) (tensor-assign! (cdr to) (cdr from))) to from))
  (copy! (trainer-buffers-before trainer) (trainer-buffers trainer))
  (dynamic-wind
    (const #t)
    thunk
    (lambda ()
      (unless (done?)
        (copy! (trainer-buffers trainer) (trainer-buffers-before trainer))))))

(define (trainer-losses-by-sigma trainer)
  "The latest mean losses by band of |sigma|: an association list from a band's upper
end to its loss.
Example: (trainer-losses-by-sigma trainer)"
  (if (null? (trainer-losses trainer)) '() (cddar (trainer-losses trainer))))

(define* (trainer-averaged trainer #:optional averaging)
  "A network like the trainer's with a running average of its weights: what to sample
with.  AVERAGING: which, if there are several, as it was given to #:averaging of `make-trainer'; by
default the first.
Example: (save-network \"prior.safetensors\" (trainer-averaged trainer))"
  (let* ((averages (trainer-averages trainer))
         (average (if averaging
                      (assoc averaging averages)
                      (and (pair? averages) (first averages)))))
    (check-that (or average (not averaging)) 'trainer-averaged
                "averaging: expected one of ~a, got ~s" (map car averages) averaging)
    (network-like (trainer-network trainer)
                  (append (if average (cdr average) (map cdr (trainer-parameters trainer)))
                          (map cdr (trainer-buffers trainer))))))

(define (trainer-weight trainer sigma)
  "By how much a loss at SIGMA, a number, counts in TRAINER's training now: what #:weight of `make-trainer'
gives, or 1 / exp (u) of a `learned-weight'.
Example: (trainer-weight trainer 0.5) => 1"
  (check-that (trainer? trainer) 'trainer-weight "trainer: expected one, got ~s" trainer)
  (check-that (finite-number? sigma) 'trainer-weight "sigma: expected a number, got ~s" sigma)
  (if (trainer-log-loss trainer)
      (exp (- (tensor->number (no-tape (lambda ()
                                         ((trainer-log-loss trainer) (list->tensor (list (abs sigma)))))))))
      (let ((w ((trainer-setting trainer 'weight) (abs sigma))))
        (check-that (and (finite-number? w) (>= w 0)) 'train! "weight: expected a number, at sigma ~a got ~s"
                    sigma w)
        w)))

;;; --- Spikes ---------------------------------------------------------------------------

(define (trainer-skipped trainer)
  "How many steps of TRAINER made no update, their losses being spikes (see #:skip-spikes of `make-trainer').
Example: (trainer-skipped trainer) => 0"
  (check-that (trainer? trainer) 'trainer-skipped "trainer: expected one, got ~s" trainer)
  (first (trainer-spikes trainer)))

(define (spike? trainer loss)
  "Whether LOSS, of TRAINER's next step, is one that it is to skip."
  (let ((factor (trainer-setting trainer 'skip-spikes)) (before (cdr (trainer-spikes trainer))))
    (and factor (>= (length before) 9)
         (> loss (* factor (list-ref (sort before <) (quotient (length before) 2)))))))

(define (note-loss! trainer loss skipped?)
  "Remember LOSS for later ones to be compared with, unless it was a spike, SKIPPED?."
  (when (trainer-setting trainer 'skip-spikes)
    (let ((spikes (trainer-spikes trainer)))
      (set-trainer-spikes! trainer
                           (if skipped?
                               (cons (1+ (car spikes)) (cdr spikes))
                               (let ((losses (cons loss (cdr spikes))))
                                 (cons (car spikes) (take losses (min 50 (length losses))))))))))

;;; --- States kept in memory ------------------------------------------------------------

(define (trainer-keep! trainer)
  "Keep the state of TRAINER in memory, for `trainer-rewind!'."
  (unless (memv (trainer-step trainer) (trainer-kept-steps trainer))
    (set-trainer-kept! trainer
                       ;; Of one that was rewound, the way ahead is kept already.
                       (sort (cons (cons* (trainer-step trainer) (trainer-images trainer)
                                          (trainer-losses trainer) (trainer-pending trainer)
                                          (trainer-spikes trainer)
                                          (map (lambda (entry) (tensor-copy (cdr entry)))
                                               (trainer-state trainer)))
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
  (when (pair? (trainer-kept trainer)) (trainer-keep! trainer))
  (let ((kept (drop-while (lambda (k) (> (first k) step)) (trainer-kept trainer))))
    (check-that (pair? kept) 'trainer-rewind!
                "step: no state was kept at ~a or before; kept are those of ~a" step
                (if (null? (trainer-kept trainer)) "none: see #:keep of train!"
                    (reverse (trainer-kept-steps trainer))))
    (match (first kept)
      ((step images losses pending spikes . tensors)
       (call-with-blocked-asyncs
        (lambda ()
          (for-each (lambda (entry t) (tensor-assign! (cdr entry) t)) (trainer-state trainer) tensors)
          (set-trainer-step! trainer step)
          (set-trainer-images! trainer images)
          (set-trainer-losses! trainer losses)
          (set-trainer-pending! trainer pending)
          (set-trainer-spikes! trainer spikes)))))
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
        (state (trainer-state trainer)))
    (restore-state! new (state-for new state (first-average-name trainer)))
    (set-trainer-step! new (trainer-step trainer))
    (set-trainer-images! new (trainer-images trainer))
    (set-trainer-pending! new (trainer-pending trainer))
    (set-trainer-spikes! new (trainer-spikes trainer))
    (set-trainer-history! new (trainer-history trainer))
    (set-trainer-losses! new (trainer-losses trainer))
    (set-trainer-kept! new (if (equal? (map car state) (map car (trainer-state new)))
                               (filter (lambda (k) (<= (first k) (trainer-step trainer)))
                                       (trainer-kept trainer))
                               '()))
    new))

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
 (trainer-images
  "How many images TRAINER's steps have seen.
Example: (trainer-images trainer)")
 (trainer-losses
  "The losses of TRAINER's steps, newest first.
Example: (trainer-losses trainer)"))
