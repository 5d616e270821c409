;;; simulations.scm -- truths, their measurements, and draws of their posteriors.
;;;
;;; A model is a prior, an operator, noise, and the sampler to be judged.  `simulate' draws truths
;;; from the prior, or takes images, measures each, and samples its posterior.  A learned prior's own
;;; samples may be the truths: then the sampler is judged, and not the prior.  What follows from
;;; simulations is calibration.scm's.
;;;
;;; Ranks (ranks.scm) take a simulation each at a time, and have the draws of all after it.

(define-module (tempera sample simulations)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera base streams)
  #:use-module (tempera file safetensors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample anneal)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample settings)
  #:use-module (tempera sample transport)
  #:export (make-model model? model-prior model-operator model-noise annealed-sampler
            prior-samples simulate simulations? simulations-truths simulations-measurements simulations-draws
            simulations-model simulations-count draws-count truth-and-draws check-simulations))

(define-record-type <model>
  (%make-model prior operator noise measure sample)
  model?
  (prior model-prior)
  (operator model-operator)
  (noise model-noise)                   ; of the measurements
  (measure model-measure)               ; x seed -> y
  (sample model-sample))                ; y count seed -> batch (count ...)

(set-record-type-printer! <model>
  (lambda (m port)
    (format port "#<model ~a, ~a, noise ~a>" (model-prior m) (model-operator m) (model-noise m))))

(define* (annealed-sampler prior op #:key (noise 0.1) (settings '()))
  "The sampler that anneals: a procedure (sample y count seed) that returns COUNT draws of the
posterior of PRIOR and Y by OP with NOISE, each the end of a chain of its own.  SETTINGS are
keywords of `anneal'; without #:temperatures it cools from 100 to NOISE / 20, where what is
left of the temperature makes the likelihood's variance wrong by 0.25 %.
Example: ((annealed-sampler prior op #:noise 0.1) y 31 42)"
  (check-that (and (real? noise) (finite? noise) (> noise 0)) 'annealed-sampler
              "noise: expected a positive number, got ~s" noise)
  (lambda (y count seed)
    (let ((chain (apply anneal (posterior prior op y #:noise noise) #:chains count #:seed seed
                        (if (memq #:temperatures settings)
                            settings
                            (cons* #:temperatures
                                   (default-temperatures prior #:until (/ noise 20))
                                   settings)))))
      (check-that (chain-finished? chain) 'annealed-sampler "paused before the end")
      (chain-samples chain))))

(define (gaussian-data op noise)
  (lambda (x seed) (measure op x #:noise noise #:seed seed)))

(define* (make-model prior op #:key (noise 0.1) (measure (gaussian-data op noise))
                     (sample (annealed-sampler prior op #:noise noise)))
  "A model to be calibrated: PRIOR, measured by OP with NOISE, and the sampler of the posterior
that is to be judged, SAMPLE, a procedure (sample y count seed) that returns a batch
(COUNT ...) of draws.  Any will do that gives the same for the same SEED.  MEASURE, a procedure (measure x seed) that
returns data, takes the place of Gaussian noise: see `likelihood-draw'.
Example: (make-model prior op #:noise 0.1
                     #:sample (annealed-sampler prior op #:noise 0.1 #:settings '(#:step-size 1)))"
  (check-that (operator? op) 'make-model "operator: expected one, got ~s" op)
  (check-that (and (real? noise) (finite? noise) (> noise 0)) 'make-model
              "noise: expected a positive number, got ~s" noise)
  (check-that (procedure? sample) 'make-model "sample: expected a procedure, got ~s" sample)
  (check-that (procedure? measure) 'make-model "measure: expected a procedure, got ~s" measure)
  (%make-model prior op noise measure sample))

(define-record-type <simulations>
  (make-simulations model truths measurements draws)
  simulations?
  (model simulations-model)
  (truths simulations-truths)           ; (N ...)
  (measurements simulations-measurements) ; a list of N
  (draws simulations-draws))            ; (N L ...)

(set-record-type-printer! <simulations>
  (lambda (s port)
    (let ((shape (tensor-shape (simulations-draws s))))
      (format port "#<~a simulations of ~a draws over ~a>" (first shape) (second shape)
              (cddr shape)))))

(define (member-of batch index)
  ;; Number INDEX of BATCH (N ...), without its first axis.
  (tensor-reshape (tensor-slice batch 0 index (1+ index)) (cdr (tensor-shape batch))))

(define (quietly thunk)
  ;; What THUNK samples has a progress of its own, inside that of all simulations.  All else that it
  ;; says is said: how to go on after Ctrl-C.
  (parameterize ((progress-port (%make-void-port "w"))) (thunk)))

(define* (prior-samples prior count #:key shape dtype (from (greatest-sigma prior)) (ratio #f)
                        (until (* 0.046 (relative-white prior))) (base #f) (seed 0))
  "COUNT samples of PRIOR, which may be learned, without any data: a batch (COUNT ...) of SHAPE and DTYPE, where PRIOR
has none of its own (see `prior-target').  Chains by `reverse-diffusion' from noise of FROM, the largest sigma that PRIOR knows (see `greatest-sigma'), to UNTIL, at the temperatures that `default-temperatures' gives for RATIO.  They begin with noise alone, or with
draws of BASE, an exact prior, under it: images that are larger than FROM want a Gaussian field of their spectrum.
As the truths of `simulate' they tell sampler and prior apart.
Example: (let ((truths (prior-samples prior 4 #:ratio 0.7)))
           (simulate (make-model prior op) 4 #:draws 3 #:truths truths))"
  (check-that (and (exact-integer? count) (> count 0)) 'prior-samples
              "count: expected a positive integer, got ~s" count)
  (check-that (or (not base) (prior? base)) 'prior-samples "base: expected an exact prior, got ~s" base)
  (check-that (positive-number? from) 'prior-samples "from: expected a positive number, got ~s" from)
  (check-seed 'prior-samples seed)
  (let* ((target (prior-target prior #:shape shape #:dtype dtype))
         ;; Above the seeds of simulations, so that a truth has other random numbers than draws.
         (own-seed (logior (expt 2 62) (modulo seed (expt 2 62))))
         (start (and base
                     (let ((x (prior-draw base count #:seed seed)))
                       (check-that (equal? (cdr (tensor-shape x)) (target-shape target)) 'prior-samples
                                   "base: expected one over ~a, got ~a" (target-shape target) base)
                       (tensor+ x (tensor* from (random-normal (tensor-shape x) own-seed
                                                               (random-stream 'prior) (tensor-dtype x)))))))
         (chain (anneal target #:chains count #:seed own-seed #:sampler (reverse-diffusion) #:start start
                        #:temperatures (default-temperatures prior #:from from #:ratio ratio #:until until))))
    (check-that (chain-finished? chain) 'prior-samples "paused before the end")
    (chain-samples chain)))

(define* (simulate model count #:key (draws 31) (seed 0) (truths #f) (checkpoint #f))
  "COUNT simulations of MODEL: a truth from its prior, a measurement of it, and DRAWS draws of
that one's posterior.  TRUTHS, a batch (COUNT ...), takes the place of draws from the prior: for a learned one
held-out images, with which it is judged too, or `prior-samples' of it, with which the sampler alone is.  CHECKPOINT, the name of a file
or #f, gets the draws now and then and when a signal stops it.  If the file is there, the simulations
go on from it to the same bits: give the same model and settings.
Example: (simulate (make-model prior op) 2 #:draws 3 #:seed 1)"
  (check-that (model? model) 'simulate "model: expected one, got ~s" model)
  (for-each (lambda (name n)
              (check-that (and (exact-integer? n) (> n 0)) 'simulate
                          "~a: expected a positive integer, got ~s" name n))
            '("count" "draws") (list count draws))
  (check-seed 'simulate seed)
  (check-that (or (not truths) (and (tensor? truths) (pair? (tensor-shape truths))
                                    (= count (first (tensor-shape truths)))
                                    (tensor-finite? truths)))
              'simulate "truths: expected a batch of ~a, of finite numbers, got ~s" count truths)
  (let* ((truths (or truths (prior-draw (model-prior model) count #:seed seed)))
         (shape (cdr (tensor-shape truths)))
         (all (tensor-zeros (cons* count draws shape) (tensor-dtype truths)))
         (done (if (and checkpoint (file-exists? checkpoint)) (load-draws! checkpoint all) 0))
         (progress (make-progress "simulating" (- count done)))
         (begun done)
         (warnings '())                 ; of simulations that had any, newest first
         ;; Other simulations, and those of other seeds, have other random numbers.
         (own-seed (lambda (i) (modulo (+ (* 1000003 seed) i) (expt 2 62))))
         (measured (lambda (i) ((model-measure model) (member-of truths i) (own-seed i))))
         (draws-of
          (lambda (i)
            (let* ((said (open-output-string))
                   (batch (parameterize ((current-warning-port said))
                            (quietly (lambda () ((model-sample model) (measured i) draws (own-seed i)))))))
              (unless (string-null? (get-output-string said))
                (set! warnings (cons (get-output-string said) warnings)))
              (check-that (and (tensor? batch) (eq? (tensor-dtype batch) (tensor-dtype truths))
                               (equal? (tensor-shape batch) (cons draws shape)))
                          'simulate "sample: expected a ~a tensor of shape ~a, got ~s"
                          (tensor-dtype truths) (cons draws shape) batch)
              (check-that (tensor-finite? batch) 'simulate
                          "sample: its draws of simulation ~a have NaN or infinite values" i)
              batch)))
         (draws-of-ranks
          (lambda (begin end)
            ;; Of the simulations BEGIN to END, of which each rank has one at most.
            (let ((own (own-part (- end begin))))
              (gather-rows (cons* (- end begin) draws shape) (tensor-dtype truths)
                           (and own (call-apart (lambda () (draws-of (+ begin (first own))))))))))
         (sample-next!
          (lambda ()
            (let ((end (min count (+ done (if (together?) (mpi-size) 1)))))
              (with-scope
               (lambda ()
                 (tensor-assign! (tensor-slice all 0 done end)
                                 (if (together?) (draws-of-ranks done end) (draws-of done)))
                 #t))
              (set! done end)))))
    (call-with-stop
      (lambda ()
        (call-together
         (lambda ()
           (call-with-checkpoints
            (and checkpoint (lambda () (save-draws checkpoint all done)))
            (lambda (whole!)
              (let loop ()
                (when (< done count)
                  (sample-next!)
                  (whole!)
                  (progress-update! progress (- done begun))
                  (loop)))))
           (progress-finish! progress)
           (let ((warnings (if (together?) (concatenate (reverse (gather-data warnings))) warnings)))
             (when (pair? warnings)
               (format (current-warning-port) "~a of ~a simulations had warnings; the first:~%~a"
                       (length warnings) count (last warnings))))))
        (make-simulations model truths (map-in-order measured (iota count)) all))
      (lambda (exception) (progress-finish! progress)))))

(define (real-draws all)
  (if (eq? (tensor-dtype all) 'c64) (real-view all) all))

(define (save-draws path all done)
  ;; The draws ALL of the first DONE simulations.
  (save-safetensors path `(("draws" . ,(real-draws all)))
                    #:metadata `(("done" . ,(number->string done)))))

(define (load-draws! path all)
  ;; Let ALL be the draws in PATH; of how many simulations.
  (let-values (((tensors metadata) (load-safetensors path)))
    (let ((draws (assoc-ref tensors "draws"))
          (done (string->number (or (assoc-ref metadata "done") ""))))
      (check-that (and draws (equal? (tensor-shape draws) (tensor-shape (real-draws all)))
                       (exact-integer? done) (<= 0 done (first (tensor-shape all))))
                  'simulate "~a: is no checkpoint of these simulations" path)
      (tensor-assign! (real-draws all) draws)
      done)))

(define (check-simulations procedure simulations)
  "Complain from PROCEDURE unless SIMULATIONS are what `simulate' returns.
Example: (check-simulations 'sbc simulations)"
  (check-that (simulations? simulations) procedure
              "simulations: expected what `simulate' returns, got ~s" simulations))

(define (simulations-count simulations)
  "How many truths SIMULATIONS have.
Example: (simulations-count simulations) => 20"
  (tensor-size (simulations-draws simulations) 0))

(define (draws-count simulations)
  "How many draws of each posterior SIMULATIONS have.
Example: (draws-count simulations) => 7"
  (tensor-size (simulations-draws simulations) 1))

(define (truth-and-draws simulations index)
  "Number INDEX of SIMULATIONS as one batch (1 + L ...), the truth first.
Example: (tensor-shape (truth-and-draws simulations 0)) => (8 16 16)"
  (tensor-concatenate
   (list (tensor-slice (simulations-truths simulations) 0 index (1+ index))
         (member-of (simulations-draws simulations) index))
   0))

(document
 (model?
  "True when OBJECT is a model, as `make-model' makes.
Example: (model? 3) => #f")
 (model-prior
  "The prior that truths of MODEL are drawn from.
Example: (model-prior (simulations-model simulations))")
 (model-operator
  "The operator that measures the truths of MODEL.
Example: (model-operator (simulations-model simulations))")
 (model-noise
  "The standard deviation of the noise of MODEL's measurements.
Example: (model-noise (simulations-model simulations)) => 0.1")
 (simulations?
  "True when OBJECT is what `simulate' returns.
Example: (simulations? simulations) => #t")
 (simulations-model
  "The model that SIMULATIONS are of.
Example: (simulations-model simulations)")
 (simulations-truths
  "The N truths of SIMULATIONS, (N ...).
Example: (tensor-shape (simulations-truths simulations)) => (20 16 16)")
 (simulations-measurements
  "The measurements of SIMULATIONS, a list of N.
Example: (length (simulations-measurements simulations)) => 20")
 (simulations-draws
  "The L draws of the posterior of each of SIMULATIONS, (N L ...).
Example: (tensor-shape (simulations-draws simulations)) => (20 7 16 16)"))
