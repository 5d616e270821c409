;;; sampling.scm -- annealed Hamiltonian Monte Carlo on the posterior.
;;;
;;; A target is a density p_sigma (x | y) at every temperature sigma, known by its
;;; score (equation 4).  `anneal' takes a batch of chains from a high temperature
;;; to a low one by leapfrog trajectories (equation 6), each accepted or not by
;;; the path integral of the score (equation 7).  What it returns is a chain: a
;;; value that can be looked at, gone on with and forked.
;;;
;;; Every random number is a function of the seed and of the number of the
;;; trajectory, and the state changes by whole trajectories only.  So a chain that
;;; was interrupted and resumed has the bits of one that was not.

(define-module (tempera sampling)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (system repl common)
  #:use-module (tempera errors)
  #:use-module (tempera interrupts)
  #:use-module (tempera files)
  #:use-module (tempera operators)
  #:use-module (tempera primitives)
  #:use-module (tempera priors)
  #:use-module (tempera progress)
  #:use-module (tempera schedules)
  #:use-module (tempera streams)
  #:use-module (tempera tensors)
  #:export (make-target target? target-name target-score target-log-density
            posterior prior-target
            anneal resume! fork save-chain load-chain accepted-steps paper-schedule
            chain? chain-target chain-samples chain-mean chain-std chain-sigma
            chain-trace chain-acceptance chain-evaluations chain-finished? chain-settings
            transition-sigma transition-step-size transition-steps transition-accepted
            transition-energy-error transition-evaluations
            denoise)
  #:re-export (leapfrog path-integral momentum-draw kinetic-energy metropolis))

;;; --- Targets ------------------------------------------------------------------

(define-record-type <target>
  (%make-target name shape dtype score log-density mass start prior)
  target?
  (name target-name)
  (shape target-shape)                  ; of one chain's state
  (dtype target-dtype)
  (score %target-score)                 ; x sigma -> score
  (log-density %target-log-density)     ; x sigma -> vector, or #f
  (mass target-mass)                    ; sigma -> Fourier-diagonal mass, or #f
  (start target-start)                  ; of SHAPE: where chains begin, or #f: 0
  (prior target-prior))                 ; what `denoise' uses

(set-record-type-printer! <target>
  (lambda (t port)
    (format port "#<target ~a over ~a~a>" (target-name t) (target-shape t)
            (if (%target-log-density t) ", with log density" ""))))

(define (target-score target x sigma)
  "The score of TARGET at the batch X, (C ...), and temperature SIGMA."
  ((%target-score target) x sigma))

(define (target-log-density target x sigma)
  "log p_sigma of each chain of X up to a constant, a vector; for targets that know it."
  (check-that (%target-log-density target) 'target-log-density
              "target: ~a has no log density" target)
  ((%target-log-density target) x sigma))

(define* (make-target name #:key shape (dtype 'f32) score log-density mass start prior)
  "A target called NAME over states of SHAPE and DTYPE.  SCORE is the procedure
x sigma -> score on batches (C ...); LOG-DENSITY, x sigma -> a vector, and MASS,
sigma -> a table M(k), f32 (H W), where there are such; START, a tensor of SHAPE, where chains
begin; PRIOR what `denoise' is to use (SCORE unless given).
Example: (make-target \"normal\" #:shape '(2)
           #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x)))"
  (check-that (and (list? shape) (every (lambda (n) (and (exact-integer? n) (> n 0))) shape)
                   (pair? shape))
              'make-target "shape: expected a list of lengths, got ~s" shape)
  (check-that (memq dtype '(f32 c64)) 'make-target "dtype: expected f32 or c64, got ~s" dtype)
  (check-that (procedure? score) 'make-target "score: expected a procedure, got ~s" score)
  (check-that (or (not start) (and (tensor? start) (equal? (tensor-shape start) shape)))
              'make-target "start: expected a tensor of shape ~a, got ~s" shape start)
  (%make-target name shape dtype score log-density mass start (or prior score)))

(define (square s)
  (if (tensor? s) (tensor* s s) (* s s)))

(define* (posterior prior op y #:key (noise 0.1))
  "The target p_sigma (x | Y) of PRIOR (see `score') and a measurement Y, c64 (H W), by OP
with noise of standard deviation NOISE.  Its score is, by equation 4,
r(x, sigma) - A^H (A x - Y) / (NOISE^2 + sigma^2).
Example: (posterior (load-network \"priors/brain.safetensors\") op y #:noise 0.1)"
  (check-that (operator? op) 'posterior "operator: expected one, got ~s" op)
  (check-that (positive-number? noise) 'posterior "noise: expected a positive number, got ~s" noise)
  (check-that (and (tensor? y) (or (not (operator-range op))
                                   (= (length (tensor-shape y)) (length (operator-range op)))))
              'posterior "y: expected one measurement, got ~s" y)
  (let* ((start (apply-adjoint op y))
         (shape (tensor-shape start))
         (zero-filled (tensor-reshape start (cons 1 shape)))
         (data (tensor-reshape y (cons 1 (tensor-shape y))))
         (diagonal (operator-normal-diagonal op))
         (per-chain (cons -1 (map (const 1) shape)))
         (precision (lambda (sigma)
                      ;; 1 / (noise^2 + sigma^2), broadcastable over the batch
                      (if (tensor? sigma)
                          (tensor-reshape (tensor/ 1 (tensor+ (square noise) (square sigma)))
                                          per-chain)
                          (/ (+ (square noise) (square sigma)))))))
    (make-target
     (format #f "posterior of ~a" (operator-name op))
     #:shape shape #:dtype (tensor-dtype start) #:start start #:prior prior
     #:score
     (lambda (x sigma)
       (let ((residual (tensor- zero-filled (apply-normal op x))))
         (tensor+ (score prior x sigma) (tensor* residual (precision sigma)))))
     #:log-density
     (and (has-log-density? prior)
          (lambda (x sigma)
            (let* ((residual (tensor- (apply-forward op x) data))
                   (scaled (tensor* residual (precision sigma))))
              (vector-map (lambda (log-prior squares) (- log-prior (/ squares 2)))
                          (log-density prior x sigma) (chains-dot residual scaled)))))
     #:mass
     (and diagonal
          (lambda (sigma)
            ;; M(k) = D(k) / (noise^2 + sigma^2) + 1 / sigma^2
            (tensor+ (tensor/ diagonal (+ (square noise) (square sigma))) (/ (square sigma))))))))

(define* (prior-target prior #:key shape (dtype 'f32))
  "The target that is PRIOR alone, over states of SHAPE (an exact prior knows its own) and
DTYPE.
Example: (anneal (prior-target (two-moons-prior)) #:mass 'identity
                 #:step-size (lambda (sigma) (* 0.3 (sqrt (+ 0.0025 (* sigma sigma)))))
                 #:temperatures (geometric 3 #:ratio 0.8 #:until 0.02))"
  (make-target (if (prior? prior) (prior-name prior) "prior")
               #:shape (or shape (and (prior? prior) (prior-shape prior)))
               #:dtype dtype #:prior prior
               #:score (lambda (x sigma) (score prior x sigma))
               #:log-density (and (has-log-density? prior)
                                  (lambda (x sigma) (log-density prior x sigma)))))

;;; --- Settings -----------------------------------------------------------------

(define-record-type <settings>
  (%make-settings temperatures step-size trajectory-length steps-per-temperature
                  mass difference intervals seed)
  settings?
  (temperatures settings-temperatures)            ; vector of sigma
  (step-size settings-step-size)                  ; sigma -> alpha
  (trajectory-length settings-trajectory-length)  ; sigma counter -> leapfrog steps
  (steps-per-temperature settings-temperature-over?) ; trajectories accepted -> bool
  (mass settings-mass)                            ; sigma -> M(k) or #f
  (difference settings-acceptance)                ; path-integral, log-density, none
  (intervals settings-intervals)
  (seed settings-seed))

(define (positive-integer? n)
  (and (exact-integer? n) (> n 0)))

(define* (accepted-steps count #:key (at-most (* 10 count)))
  "For #:steps-per-temperature: a temperature is over after COUNT accepted steps, on
average over chains, or AT-MOST steps in all.  The paper's rule has COUNT = 4."
  (check-that (and (positive-integer? count) (positive-integer? at-most)) 'accepted-steps
              "count, at-most: expected positive integers, got ~s and ~s" count at-most)
  (lambda (steps accepted) (or (>= accepted count) (>= steps at-most))))

(define paper-schedule
  ;; Settings as the paper has them, for (apply anneal target paper-schedule).
  (list #:temperatures (geometric 100 #:ratio 0.995 #:until 0.05)
        #:step-size (power-law 10 #:exponent 1.5)
        #:trajectory-length 3
        #:steps-per-temperature (accepted-steps 4)
        #:mass 'identity))

(define (trajectory-lengths object)
  ;; A list of lengths is cycled through: a single length T is of no use to a
  ;; frequency w with cos (w T) = 1 or -1, two seldom share one.
  (define (length-rule object)
    (rule->procedure 'anneal "trajectory-length" object positive-integer?
                     "a positive number of leapfrog steps"))
  (if (pair? object)
      (let ((rules (list->vector (map length-rule object))))
        (lambda (sigma counter)
          ((vector-ref rules (modulo counter (vector-length rules))) sigma)))
      (let ((rule (length-rule object)))
        (lambda (sigma counter) (rule sigma)))))

(define* (settings-for target #:key
                       (temperatures (geometric 100 #:ratio 0.9 #:until 0.046))
                       (mass (if (target-mass target) 'fourier 'identity))
                       ;; With this mass no frequency w is above 1, so that trajectories
                       ;; of 6 times 0.35, less than pi, leave none with cos (w T) = -1;
                       ;; a learned score bears no much larger step.
                       (step-size (if (eq? mass 'identity) (power-law 10) 0.35))
                       (trajectory-length 6)
                       (steps-per-temperature 1)
                       (acceptance 'path-integral)
                       (intervals 4)
                       (seed 42))
  (check-that (memq acceptance '(path-integral log-density none)) 'anneal
              "acceptance: expected path-integral, log-density or none, got ~s" acceptance)
  (check-that (or (not (eq? acceptance 'log-density)) (%target-log-density target)) 'anneal
              "acceptance: ~a has no log density" target)
  (check-that (or (not intervals) (and (positive-integer? intervals) (even? intervals))) 'anneal
              "intervals: expected a positive even integer, or #f for no correction, got ~s"
              intervals)
  (check-that (or (not (eq? mass 'fourier)) (target-mass target)) 'anneal
              "mass: ~a has no Fourier-diagonal mass" target)
  (check-that (or (memq mass '(fourier identity)) (procedure? mass) (tensor? mass)) 'anneal
              "mass: expected fourier, identity, a table M(k) or a procedure of sigma, got ~s" mass)
  (check-that (or (positive-integer? steps-per-temperature) (procedure? steps-per-temperature))
              'anneal "steps-per-temperature: expected a positive integer or a procedure, got ~s"
              steps-per-temperature)
  (check-seed 'anneal seed)
  (%make-settings
   (sequence->vector 'anneal "temperatures" temperatures)
   (rule->procedure 'anneal "step-size" step-size positive-number? "a positive number")
   (trajectory-lengths trajectory-length)
   (if (procedure? steps-per-temperature)
       steps-per-temperature
       (lambda (steps accepted) (>= steps steps-per-temperature)))
   (cond ((eq? mass 'fourier) (target-mass target))
         ((procedure? mass) mass)
         (else (const (and (tensor? mass) mass))))
   (if intervals acceptance 'none)
   intervals
   seed))

;;; --- Chains -------------------------------------------------------------------

(define-record-type <chain>
  (make-chain target arguments settings x score sigma-scored index steps accepted counter
              evaluations trace)
  chain?
  (target chain-target)
  (arguments chain-settings)            ; as `anneal' got them, keywords and values
  (settings chain-rules)
  (x chain-x)                           ; (C ...), changes in place by whole steps
  (score chain-score)                   ; at x and sigma-scored
  (sigma-scored chain-sigma-scored set-chain-sigma-scored!) ; #f: score not known yet
  (index chain-index set-chain-index!)  ; of the temperature
  (steps chain-steps set-chain-steps!)  ; trajectories at it,
  (accepted chain-accepted set-chain-accepted!) ; of which accepted, mean over chains
  (counter chain-counter set-chain-counter!)    ; trajectories in all
  (evaluations chain-evaluations set-chain-evaluations!)
  (trace chain-reversed-trace set-chain-trace!))

(set-record-type-printer! <chain>
  (lambda (c port)
    (let ((shape (tensor-shape (chain-x c))) (n (vector-length (chain-temperatures c))))
      (format port "#<chain ~a x ~a, ~a sigma ~a (~a of ~a), ~a steps~a>"
              (first shape) (cdr shape)
              (if (chain-finished? c) "finished at" "at")
              (three-digits (chain-sigma c)) (min n (1+ (chain-index c))) n (chain-counter c)
              (if (zero? (chain-counter c))
                  ""
                  (format #f ", accepted ~a" (three-digits (chain-acceptance c))))))))

(define (three-digits x)
  (let ((scale (if (zero? x) 1 (expt 10. (- 2 (floor (log10 (abs x))))))))
    (/ (round (* x scale)) scale)))

(define-record-type <transition>
  (make-transition sigma step-size steps accepted energy-error evaluations)
  transition?
  (sigma transition-sigma)
  (step-size transition-step-size)
  (steps transition-steps)              ; of the integrator
  (accepted transition-accepted)        ; vector of booleans, a chain each
  (energy-error transition-energy-error) ; vector of H(end) - H(start), or #f
  (evaluations transition-evaluations)) ; of the score, so far

(set-record-type-printer! <transition>
  (lambda (t port)
    (format port "#<transition sigma ~a, ~a steps of ~a, accepted ~a>"
            (three-digits (transition-sigma t)) (transition-steps t)
            (three-digits (transition-step-size t))
            (three-digits (mean-true (transition-accepted t))))))

(define (mean-true booleans)
  (exact->inexact (/ (count identity (vector->list booleans)) (vector-length booleans))))

(define (chain-temperatures chain)
  (settings-temperatures (chain-rules chain)))

(define (chain-finished? chain)
  "True when CHAIN has been at its last temperature."
  (>= (chain-index chain) (vector-length (chain-temperatures chain))))

(define (chain-sigma chain)
  "The temperature that CHAIN is at; of a finished one, its last."
  (let ((temperatures (chain-temperatures chain)))
    (vector-ref temperatures (min (chain-index chain) (1- (vector-length temperatures))))))

(define (chain-samples chain)
  "The states of CHAIN, one for each of its C chains: a new tensor (C ...)."
  (tensor-copy (chain-x chain)))

(define (chain-mean chain)
  "The mean over CHAIN's samples, of the samples' shape; complex for complex images."
  (tensor-mean (chain-x chain) 0))

(define (chain-std chain)
  "The standard deviation over CHAIN's C samples, f32: the root of
sum_c |x_c - mean|^2 / (C - 1), which for complex images counts both parts."
  (let* ((x (chain-x chain)) (count (first (tensor-shape x))))
    (check-that (> count 1) 'chain-std "chain: one sample has no standard deviation")
    (let ((d (tensor- x (tensor-mean x 0 #t))))
      (tensor-sqrt (tensor/ (tensor-sum-squares d 0) (1- count))))))

(define (chain-trace chain)
  "What CHAIN went through, a list of transitions from first to last; see
`transition-sigma', `-step-size', `-steps', `-accepted', `-energy-error', `-evaluations'."
  (reverse (chain-reversed-trace chain)))

(define (chain-acceptance chain)
  "The part of CHAIN's proposals that was accepted."
  (let ((trace (chain-reversed-trace chain)))
    (if (null? trace)
        0.
        (/ (apply + (map (lambda (t) (mean-true (transition-accepted t))) trace))
           (length trace)))))

;;; --- One trajectory -----------------------------------------------------------

(define (log-ratio rules target score x g x1 g1 k0 k1 sigma)
  ;; log of p(x1) exp(-k1) / (p(x) exp(-k0)), a vector; 0 where nothing is to be
  ;; corrected and the trajectory is finite.
  (define (minus a b) (vector-map - a b))
  (case (settings-acceptance rules)
    ((path-integral)
     (vector-map + (path-integral score x g x1 g1 (settings-intervals rules)) (minus k0 k1)))
    ((log-density)
     (vector-map + (minus (target-log-density target x1 sigma)
                          (target-log-density target x sigma))
                 (minus k0 k1)))
    ((none) (minus (minus k1 k1) (minus k0 k0)))))

(define (score-evaluations rules steps)
  ;; The ends of the path are the trajectory's own.
  (+ steps (if (eq? (settings-acceptance rules) 'path-integral)
               (1- (settings-intervals rules))
               0)))

(define (refresh-score! chain sigma)
  ;; The score at x belongs to one temperature.
  (unless (eqv? sigma (chain-sigma-scored chain))
    (let* ((x (chain-x chain))
           (g (target-score (chain-target chain) x sigma)))
      (check-that (and (tensor? g) (eq? (tensor-dtype g) (tensor-dtype x))
                       (equal? (tensor-shape g) (tensor-shape x)))
                  'anneal "score: expected a tensor ~a ~a, like x, got ~s"
                  (tensor-dtype x) (tensor-shape x) g)
      (call-with-blocked-asyncs
       (lambda ()
         (tensor-assign! (chain-score chain) g)
         (set-chain-sigma-scored! chain sigma)
         (set-chain-evaluations! chain (1+ (chain-evaluations chain))))))))

(define (advance! chain)
  ;; One trajectory; the state changes at the end, all at once.
  (let* ((rules (chain-rules chain))
         (target (chain-target chain))
         (sigma (chain-sigma chain))
         (seed (settings-seed rules))
         (counter (chain-counter chain))
         (score (lambda (x) (target-score target x sigma)))
         (step-size ((settings-step-size rules) sigma))
         (steps ((settings-trajectory-length rules) sigma counter))
         (mass ((settings-mass rules) sigma))
         (x (chain-x chain)) (g (chain-score chain)))
    (refresh-score! chain sigma)
    (let ((m (momentum-draw x mass seed (random-stream 'momentum counter))))
      (call-with-values
          (lambda () (leapfrog score x m g step-size steps mass))
        (lambda (x1 m1 g1)
          (let* ((ratio (log-ratio rules target score x g x1 g1
                                   (kinetic-energy m mass) (kinetic-energy m1 mass) sigma))
                 (accepted (metropolis ratio seed (random-stream 'acceptance counter))))
            (call-with-blocked-asyncs
             (lambda ()
               (chains-select! accepted x x1 g g1)
               (commit! chain sigma step-size steps accepted
                        (and (not (eq? (settings-acceptance rules) 'none))
                             (vector-map - ratio)))))))))))

(define (commit! chain sigma step-size steps accepted energy-error)
  (let ((rules (chain-rules chain)))
    (set-chain-counter! chain (1+ (chain-counter chain)))
    (set-chain-evaluations! chain (+ (chain-evaluations chain) (score-evaluations rules steps)))
    (set-chain-trace! chain (cons (make-transition sigma step-size steps accepted energy-error
                                                   (chain-evaluations chain))
                                  (chain-reversed-trace chain)))
    (set-chain-steps! chain (1+ (chain-steps chain)))
    (set-chain-accepted! chain (+ (chain-accepted chain) (mean-true accepted)))
    (when ((settings-temperature-over? rules) (chain-steps chain) (chain-accepted chain))
      (set-chain-index! chain (1+ (chain-index chain)))
      (set-chain-steps! chain 0)
      (set-chain-accepted! chain 0))))

;;; --- Annealing ----------------------------------------------------------------

(define (resume! chain)
  "Go on with CHAIN from where it stands to its last temperature, and return it.
Ctrl-C at the prompt pauses it after the last whole step."
  (check-that (chain? chain) 'resume! "chain: expected one, got ~s" chain)
  (let* ((begun (chain-index chain))     ; the time left is that of what is left
         (progress (make-progress "annealing"
                                  (- (vector-length (chain-temperatures chain)) begun))))
    (call-with-pause
     (lambda ()
       (let loop ()
         (unless (chain-finished? chain)
           (with-scope (lambda () (advance! chain)))
           (progress-update! progress (- (chain-index chain) begun)
                             #:text (format #f "sigma ~a  accepted ~a"
                                            (three-digits (chain-sigma chain))
                                            (three-digits (chain-acceptance chain))))
           (loop))))
     (lambda (pause?)
       (progress-finish! progress)
       (when pause?
         (format (current-error-port) "paused at sigma ~a; (resume! chain) goes on~%"
                 (three-digits (chain-sigma chain))))))
    (progress-finish! progress)
    chain))

(define (starting-state target settings chains start)
  ;; Zero-filled + sigma_0 z, a z for every chain; or START as it is.
  (let ((shape (cons chains (target-shape target))))
    (cond ((and start (equal? (tensor-shape start) shape)) (tensor-copy start))
          (else
           (let ((noise (tensor* (vector-ref (settings-temperatures settings) 0)
                                 (random-normal shape (settings-seed settings)
                                                (random-stream 'start) (target-dtype target))))
                 (centre (or start (target-start target))))
             (if centre (tensor+ noise centre) noise))))))

(define (without-keywords arguments . keywords)
  ;; ARGUMENTS, keywords and values in turn, less KEYWORDS.
  (let loop ((rest arguments))
    (cond ((or (null? rest) (null? (cdr rest))) rest)
          ((memq (car rest) keywords) (loop (cddr rest)))
          (else (cons* (car rest) (cadr rest) (loop (cddr rest)))))))

(define* (anneal target #:key (chains 8) start #:allow-other-keys #:rest arguments)
  "Anneal a batch of chains on TARGET from the first temperature to the last; returns
a chain.  Settings, all optional:
  #:temperatures  a sequence of sigma; (geometric 100 #:ratio 0.9 #:until 0.046)
  #:step-size     alpha, a number or a rule over sigma; 0.35 with the Fourier mass
  #:trajectory-length  leapfrog steps a trajectory: a number, a rule, or a list to
                  cycle through; 6
  #:steps-per-temperature  trajectories a temperature; 1.  Or a procedure of the
                  trajectories made and, on average, accepted: see `accepted-steps'
  #:mass          'fourier (where the target has it), 'identity, a table M(k) or a
                  procedure of sigma that makes one
  #:acceptance    'path-integral, 'log-density or 'none
  #:intervals     of the path integral; 4.  #f: no correction
  #:chains        how many; 8
  #:seed          42
  #:start         a tensor of the target's shape, to which noise of the first sigma is
                  added, or one (C ...) that is taken as it is
Ctrl-C at the prompt pauses; `resume!' goes on.  `paper-schedule' has the paper's settings.
Example: (anneal (posterior prior op y #:noise 0.1) #:chains 8 #:seed 42)"
  (check-that (target? target) 'anneal "target: expected one, as `posterior' makes, got ~s" target)
  (check-that (positive-integer? chains) 'anneal "chains: expected a positive integer, got ~s" chains)
  (check-that (or (not start)
                  (and (tensor? start) (eq? (tensor-dtype start) (target-dtype target))
                       (member (tensor-shape start)
                               (list (target-shape target) (cons chains (target-shape target))))))
              'anneal "start: expected a ~a tensor of shape ~a, with or without ~a chains, got ~s"
              (target-dtype target) (target-shape target) chains start)
  (let* ((arguments (without-keywords arguments #:chains #:start))
         (settings (checked-settings 'anneal target arguments))
         (x (starting-state target settings chains start)))
    (resume! (make-chain target arguments settings x (tensor-zeros (tensor-shape x) (tensor-dtype x)) #f 0 0 0 0 0 '()))))

(define (checked-settings procedure target arguments)
  (catch 'keyword-argument-error
    (lambda () (apply settings-for target arguments))
    (lambda (key where message irritants culprit)
      (complain procedure "~a: ~a" (string-downcase message)
                (string-join (map (lambda (k) (format #f "~s" k)) (if (list? culprit) culprit '())))))))

(define (fork chain . settings)
  "A new chain that stands where CHAIN does, with other SETTINGS (those of `anneal' but
#:chains and #:start); `resume!' goes on with it.  New #:temperatures begin at the
first that is not above CHAIN's sigma.  With the same settings it goes the same way.
Example: (define bold (fork chain #:step-size (power-law 12 #:exponent 1.3)))"
  (check-that (chain? chain) 'fork "chain: expected one, got ~s" chain)
  (let* ((kept (apply without-keywords (chain-settings chain) (filter keyword? settings)))
         (arguments (append settings kept))
         (rules (checked-settings 'fork (chain-target chain) arguments))
         (moved? (memq #:temperatures settings))
         (sigmas (settings-temperatures rules))
         (index (if moved?
                    (or (list-index (lambda (s) (<= s (chain-sigma chain))) (vector->list sigmas))
                        (vector-length sigmas))
                    (chain-index chain))))
    (make-chain (chain-target chain) arguments rules
                (tensor-copy (chain-x chain)) (tensor-copy (chain-score chain))
                (chain-sigma-scored chain) index
                (if moved? 0 (chain-steps chain)) (if moved? 0 (chain-accepted chain))
                (chain-counter chain) (chain-evaluations chain) (chain-reversed-trace chain))))

;;; --- Keeping ------------------------------------------------------------------

(define chain-format "tempera-chain-1")

(define (save-chain path chain)
  "Write CHAIN to the safetensors file PATH: its state and its trace.  Target and settings
are procedures, which are the script's: give them again to `load-chain'.
Example: (save-chain \"chain.safetensors\" chain)"
  (check-that (chain? chain) 'save-chain "chain: expected one, got ~s" chain)
  (let ((real (lambda (t) (if (eq? (tensor-dtype t) 'c64) (real-view t) t)))
        (rules (chain-rules chain)))
    (save-safetensors
     path
     `(("x" . ,(real (chain-x chain))) ("score" . ,(real (chain-score chain))))
     #:metadata
     `(("format" . ,chain-format)
       ("state" . ,(object->string
                    `((seed . ,(settings-seed rules))
                      (temperatures . ,(settings-temperatures rules))
                      (sigma-scored . ,(chain-sigma-scored chain))
                      (index . ,(chain-index chain))
                      (steps . ,(chain-steps chain))
                      (accepted . ,(chain-accepted chain))
                      (counter . ,(chain-counter chain))
                      (evaluations . ,(chain-evaluations chain))
                      (trace . ,(map transition->list (chain-reversed-trace chain))))))))))

(define (transition->list t)
  (list (transition-sigma t) (transition-step-size t) (transition-steps t)
        (transition-accepted t) (transition-energy-error t) (transition-evaluations t)))

(define (valid-state? state)
  ;; STATE is what `save-chain' writes, as far as going on depends on it.
  (define (natural? n) (and (exact-integer? n) (>= n 0)))
  (define (valid-transition? t)
    (and (list? t) (= (length t) 6) (positive-number? (first t)) (positive-number? (second t))
         (natural? (third t)) (vector? (fourth t)) (natural? (sixth t))))
  (and (list? state) (every pair? state)
       (every natural? (map (lambda (key) (assq-ref state key))
                            '(seed index steps counter evaluations)))
       (real? (assq-ref state 'accepted))
       (let ((scored (assq-ref state 'sigma-scored)))
         (or (not scored) (positive-number? scored)))
       (vector? (assq-ref state 'temperatures))
       (let ((trace (assq-ref state 'trace)))
         (and (list? trace) (every valid-transition? trace)))))

(define (load-chain path target . settings)
  "The chain that `save-chain' wrote to PATH, on TARGET and with SETTINGS as `anneal' had
them; `resume!' goes on to the bits of a chain that never was in a file.  For other
settings, `fork' it.
Example: (resume! (load-chain \"chain.safetensors\" target #:seed 42))"
  (check-that (target? target) 'load-chain "target: expected one, got ~s" target)
  (let*-values (((tensors metadata) (load-safetensors path))
                ((rules) (checked-settings 'load-chain target settings))
                ((state) (false-if-exception
                          (call-with-input-string (assoc-ref metadata "state") read))))
    (check-that (and (equal? (assoc-ref metadata "format") chain-format) (valid-state? state))
                'load-chain "~a: expected a chain of format ~a" path chain-format)
    (for-each (lambda (name wanted)
                (check-that (equal? wanted (assq-ref state name)) 'load-chain
                            "~a: it was annealed with ~a ~a, got ~a" path name
                            (assq-ref state name) wanted))
              '(seed temperatures)
              (list (settings-seed rules) (settings-temperatures rules)))
    (let* ((complex? (eq? (target-dtype target) 'c64))
           (shape (append (target-shape target) (if complex? '(2) '())))
           (part (lambda (name)
                   (let ((t (assoc-ref tensors name)))
                     (check-that (and t (equal? (cdr (tensor-shape t)) shape)) 'load-chain
                                 "~a: ~a: expected chains of shape ~a, got ~a" path name shape
                                 (and t (tensor-shape t)))
                     (if complex? (complex-view t) t))))
           (x (part "x")) (score (part "score"))
           (value (lambda (key) (assq-ref state key))))
      (check-that (equal? (tensor-shape x) (tensor-shape score)) 'load-chain
                  "~a: x and score differ in shape" path)
      (make-chain target settings rules x score (value 'sigma-scored) (value 'index)
                  (value 'steps) (value 'accepted) (value 'counter) (value 'evaluations)
                  (map (lambda (t) (apply make-transition t)) (value 'trace))))))

;;; --- Denoising ----------------------------------------------------------------

(define* (denoise what #:optional x sigma)
  "The expected denoised sample, EDS: X + SIGMA^2 r(X, SIGMA) with r the prior's score.
WHAT is a prior, a target, or a chain, which has its own X and SIGMA.
Example: (denoise chain)"
  (let* ((x (or x (and (chain? what) (chain-x what))))
         (sigma (or sigma (and (chain? what) (chain-sigma what))))
         (prior (cond ((chain? what) (target-prior (chain-target what)))
                      ((target? what) (target-prior what))
                      (else what))))
    (check-that (tensor? x) 'denoise "x: expected a batch of images, got ~s" x)
    (check-that (positive-number? sigma) 'denoise "sigma: expected a positive number, got ~s" sigma)
    (tensor+ x (tensor* (square sigma) (score prior x sigma)))))
