;;; sampling.scm -- annealing: a batch of chains from a high temperature to a low one.
;;;
;;; At each temperature sigma a sampler (samplers.scm) moves the chains of a target
;;; (targets.scm), and what it proposes is accepted or not.  Temperatures and steps are
;;; given, or tune themselves.  What `anneal' returns is a chain: a value that can be looked
;;; at, gone on with and forked.
;;;
;;; Every random number is a function of the seed and of the number of the move, and the
;;; state changes by whole moves only.  So a chain that was interrupted and resumed has
;;; the bits of one that was not.

(define-module (tempera sampling)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera errors)
  #:use-module (tempera interrupts)
  #:use-module (tempera files)
  #:use-module (tempera masses)
  #:use-module (tempera numbers)
  #:use-module (tempera primitives)
  #:use-module (tempera priors)
  #:use-module (tempera progress)
  #:use-module (tempera samplers)
  #:use-module (tempera schedules)
  #:use-module (tempera streams)
  #:use-module (tempera targets)
  #:use-module (tempera tensors)
  #:export (anneal resume! fork save-chain load-chain accepted-steps trajectory-time
            paper-schedule langevin-schedule
            chain? chain-target chain-samples chain-mean chain-std chain-sigma
            chain-trace chain-acceptance chain-evaluations chain-finished? chain-settings
            transition-sigma transition-step-size transition-steps transition-accepted
            transition-energy-error transition-evaluations transition-ratio
            denoise))

;;; --- Settings -----------------------------------------------------------------

(define-record-type <settings>
  (%make-settings temperatures step-size trajectory-length jitter steps-per-temperature
                  mass sampler seed)
  settings?
  (temperatures settings-temperatures)            ; vector of sigma, or adaptive
  (step-size settings-step-size)                  ; sigma -> alpha, or dual-averaging
  (trajectory-length settings-trajectory-length)  ; sigma counter size -> steps
  (jitter settings-jitter)                        ; of step sizes, relative
  (steps-per-temperature settings-temperature-over?) ; moves accepted -> bool
  (mass settings-mass)                            ; sigma -> mass
  (sampler settings-sampler)
  (seed settings-seed))

(define (positive-integer? n)
  (and (exact-integer? n) (> n 0)))

(define* (accepted-steps count #:key (at-most (* 10 count)))
  "For #:steps-per-temperature: a temperature is over after COUNT accepted steps, on
average over chains and rounded, or AT-MOST steps in all.  The paper's rule has COUNT = 4.
Example: (anneal target #:steps-per-temperature (accepted-steps 4))"
  (check-that (and (positive-integer? count) (positive-integer? at-most)) 'accepted-steps
              "count, at-most: expected positive integers, got ~s and ~s" count at-most)
  ;; A few chains that are behind need not hold up all the others.
  (lambda (steps accepted) (or (>= accepted (- count 1/2)) (>= steps at-most))))

(define paper-schedule
  ;; Settings as the paper has them, for (apply anneal target paper-schedule).
  (list #:temperatures (geometric 100 #:ratio 0.995 #:until 0.05)
        #:step-size (power-law 10 #:exponent 1.5)
        #:trajectory-length 3
        #:jitter 0
        #:steps-per-temperature (accepted-steps 4)
        #:mass 'identity))

(define langevin-schedule
  ;; Annealed Langevin dynamics with the step of Song and Ermon (2019), alpha = 2e-5 sigma^2 /
  ;; 0.01^2, and 5 steps a temperature.
  (list #:sampler (langevin)
        #:temperatures (geometric 100 #:ratio 0.97 #:until 0.046)
        #:step-size (lambda (sigma) (* (sqrt 0.2) sigma))
        #:jitter 0
        #:steps-per-temperature 5
        #:mass 'identity))

(define-record-type <trajectory-time>
  (make-trajectory-time time)
  trajectory-time?
  (time trajectory-time-time))

(set-record-type-printer! <trajectory-time>
  (lambda (t port)
    (format port "#<trajectories of time ~a>" (trajectory-time-time t))))

(define (trajectory-time time)
  "For #:trajectory-length: as many steps as come nearest to TIME, whatever their size, which
steps that tune themselves need: with the target's mass a trajectory's time, not its number
of steps, says how far it gets.
Example: (anneal target #:step-size (dual-averaging) #:trajectory-length (trajectory-time 2))"
  (check-that (positive-number? time) 'trajectory-time
              "time: expected a positive number, got ~s" time)
  (make-trajectory-time time))

(define (trajectory-lengths object)
  ;; OBJECT, as #:trajectory-length has it, as a procedure of sigma, the move's number and
  ;; the step's size.  A list of lengths is cycled through: a single length T is of no use
  ;; to a frequency w with cos (w T) = 1 or -1, two seldom share one.
  (define (length-rule object)
    (rule->procedure 'anneal "trajectory-length" object positive-integer?
                     "a positive number of steps"))
  (cond
   ((pair? object)
    (let ((rules (list->vector (map length-rule object))))
      (lambda (sigma counter size)
        ((vector-ref rules (modulo counter (vector-length rules))) sigma))))
   ((trajectory-time? object)
    (lambda (sigma counter size)
      (max 1 (inexact->exact (round (min 1e4 (/ (trajectory-time-time object) size)))))))
   (else
    (let ((rule (length-rule object)))
      (lambda (sigma counter size) (rule sigma))))))

(define (mass-rule target object)
  ;; OBJECT, as #:mass has it, as a procedure sigma -> mass.
  (let ((named (assq-ref (target-masses target) object)))
    (check-that (or named (procedure? object) (tensor? object) (mass? object)
                    (memq object '(best identity)))
                'anneal "mass: expected ~a, identity, a table M(k), what make-mass makes, or a ~
procedure of sigma, got ~s" (if (null? (target-masses target)) "best"
                                (string-join (map (lambda (m) (symbol->string (car m)))
                                                  (target-masses target)) ", "))
                object)
    (cond (named named)
          ((procedure? object) object)
          ((eq? object 'best) (if (pair? (target-masses target))
                                  (cdr (first (target-masses target)))
                                  (const #f)))
          ((eq? object 'identity) (const #f))
          (else (const object)))))

(define* (settings-for target #:key
                       (temperatures (geometric 100 #:ratio 0.93 #:until 0.046))
                       (mass 'best)
                       (step-size (if (or (eq? mass 'identity) (null? (target-masses target)))
                                      (power-law 10)
                                      ;; With the target's mass no frequency w is above 1:
                                      ;; what is far from equilibrium is nearest to it after
                                      ;; times w T of pi / 2 to pi.  A learned score bears no
                                      ;; much larger step (doc/sampling.md).
                                      0.45))
                       (trajectory-length (if (dual-averaging? step-size)
                                              (trajectory-time 2.25)
                                              '(4 6)))
                       (jitter 0.2)
                       (steps-per-temperature (accepted-steps 1))
                       (sampler (hmc))
                       (seed 42))
  (check-that (procedure? sampler) 'anneal
              "sampler: expected a procedure, such as (hmc) makes, got ~s" sampler)
  (check-that (and (real? jitter) (<= 0 jitter) (< jitter 1)) 'anneal
              "jitter: expected a number from 0 up to 1, got ~s" jitter)
  (check-that (or (positive-integer? steps-per-temperature) (procedure? steps-per-temperature))
              'anneal "steps-per-temperature: expected a positive integer or a procedure, got ~s"
              steps-per-temperature)
  (check-seed 'anneal seed)
  (%make-settings
   (if (adaptive? temperatures)
       temperatures
       (sequence->vector 'anneal "temperatures" temperatures))
   (if (dual-averaging? step-size)
       step-size
       (rule->procedure 'anneal "step-size" step-size positive-number? "a positive number"))
   (trajectory-lengths trajectory-length)
   jitter
   (if (procedure? steps-per-temperature)
       steps-per-temperature
       (lambda (steps accepted) (>= steps steps-per-temperature)))
   (mass-rule target mass)
   sampler
   seed))

(define (first-sigma temperatures)
  (if (adaptive? temperatures) (adaptive-from temperatures) (vector-ref temperatures 0)))

(define (last-sigma temperatures)
  (if (adaptive? temperatures)
      (adaptive-until temperatures)
      (vector-ref temperatures (1- (vector-length temperatures)))))

;;; --- Chains -------------------------------------------------------------------

(define-record-type <chain>
  (make-chain target arguments settings x score sigma-scored sigma ratio index steps accepted
              counter evaluations tuning trace)
  chain?
  (target chain-target)
  (arguments chain-settings)            ; as `anneal' got them, keywords and values
  (settings chain-rules)
  (x chain-x)                           ; (C ...), changes in place by whole moves
  (score chain-score)                   ; at x and sigma-scored
  (sigma-scored chain-sigma-scored set-chain-sigma-scored!) ; #f: score not known yet
  (sigma %chain-sigma set-chain-sigma!) ; of the temperature, #f when there is no more
  (ratio chain-ratio set-chain-ratio!)  ; to the next one, of adaptive temperatures
  (index chain-index set-chain-index!)  ; of the temperature
  (steps chain-steps set-chain-steps!)  ; moves at it,
  (accepted chain-accepted set-chain-accepted!) ; of which accepted, mean over chains
  (counter chain-counter set-chain-counter!)    ; moves in all
  (evaluations chain-evaluations set-chain-evaluations!)
  (tuning chain-tuning set-chain-tuning!)       ; of the step size
  (trace chain-reversed-trace set-chain-trace!))

(set-record-type-printer! <chain>
  (lambda (c port)
    (let ((shape (tensor-shape (chain-x c))) (temperatures (chain-temperatures c)))
      (format port "#<chain ~a x ~a, ~a sigma ~a~a, ~a steps~a>"
              (first shape) (cdr shape)
              (if (chain-finished? c) "finished at" "at")
              (significant (chain-sigma c) 3)
              (if (adaptive? temperatures)
                  ""
                  (let ((n (vector-length temperatures)))
                    (format #f " (~a of ~a)" (min n (1+ (chain-index c))) n)))
              (chain-counter c)
              (if (zero? (chain-counter c))
                  ""
                  (format #f ", accepted ~a" (significant (chain-acceptance c) 3)))))))

(define-record-type <transition>
  (make-transition sigma step-size steps accepted energy-error evaluations ratio)
  transition?
  (sigma transition-sigma)
  (step-size transition-step-size)
  (steps transition-steps)              ; of the trajectory
  (accepted transition-accepted)        ; vector of booleans, a chain each
  (energy-error transition-energy-error) ; vector of H(end) - H(start), or #f
  (evaluations transition-evaluations)  ; of the score, so far
  (ratio transition-ratio))             ; to the next temperature, of adaptive ones, or #f

(set-record-type-printer! <transition>
  (lambda (t port)
    (format port "#<transition sigma ~a, ~a steps of ~a, accepted ~a>"
            (significant (transition-sigma t) 3) (transition-steps t)
            (significant (transition-step-size t) 3)
            (significant (mean-true (transition-accepted t)) 3))))

(define (mean-true booleans)
  (exact->inexact (/ (count identity (vector->list booleans)) (vector-length booleans))))

(define (chain-temperatures chain)
  (settings-temperatures (chain-rules chain)))

(define (chain-finished? chain)
  "True when CHAIN has been at its last temperature."
  (not (%chain-sigma chain)))

(define (chain-sigma chain)
  "The temperature that CHAIN is at; of a finished one, its last."
  (or (%chain-sigma chain) (last-sigma (chain-temperatures chain))))

(define (next-sigma chain)
  ;; After the one that CHAIN is at, or #f.
  (let ((temperatures (chain-temperatures chain)) (next (1+ (chain-index chain))))
    (if (adaptive? temperatures)
        (let ((until (adaptive-until temperatures)))
          (and (> (chain-sigma chain) until)
               (max until (* (chain-ratio chain) (chain-sigma chain)))))
        (and (< next (vector-length temperatures)) (vector-ref temperatures next)))))

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
`transition-sigma', `-step-size', `-steps', `-accepted', `-energy-error', `-evaluations',
`-ratio'."
  (reverse (chain-reversed-trace chain)))

(define (chain-acceptance chain)
  "The part of CHAIN's proposals that was accepted."
  (let ((trace (chain-reversed-trace chain)))
    (if (null? trace)
        0.
        (/ (apply + (map (lambda (t) (mean-true (transition-accepted t))) trace))
           (length trace)))))

;;; --- One move -------------------------------------------------------------------

(define (checked-score chain x sigma)
  (let ((g (target-score (chain-target chain) x sigma)))
    (check-that (and (tensor? g) (eq? (tensor-dtype g) (tensor-dtype x))
                     (equal? (tensor-shape g) (tensor-shape x)))
                'anneal "score: expected a tensor ~a ~a, like x, got ~s"
                (tensor-dtype x) (tensor-shape x) g)
    g))

(define (movement mass g1 g)
  ;; |M^-1/2 (g1 - g)|, root mean square over dimensions and chains.
  (let* ((d (tensor- g1 g))
         (dimensions (* (tensor-count d) (if (eq? (tensor-dtype d) 'c64) 2 1))))
    (sqrt (max 0 (/ (apply + (vector->list (chains-dot d (mass-velocity mass d))))
                    dimensions)))))

(define (refresh-score! chain sigma mass)
  ;; The score at x belongs to one temperature.  At a new one it is taken anew, and its
  ;; change tells how far the target moved.
  (unless (eqv? sigma (chain-sigma-scored chain))
    (let* ((g (checked-score chain (chain-x chain) sigma))
           (temperatures (chain-temperatures chain))
           (moved (and (adaptive? temperatures) (chain-sigma-scored chain)
                       (movement mass g (chain-score chain)))))
      (call-with-blocked-asyncs
       (lambda ()
         (tensor-assign! (chain-score chain) g)
         (set-chain-sigma-scored! chain sigma)
         (when moved
           (set-chain-ratio! chain (next-ratio temperatures (chain-ratio chain) moved)))
         (set-chain-evaluations! chain (1+ (chain-evaluations chain))))))))

(define (next-step-size chain sigma)
  ;; Of the next move, jitter included.
  (let* ((rules (chain-rules chain)) (rule (settings-step-size rules))
         (jitter (settings-jitter rules))
         (size (if (dual-averaging? rule)
                   (tuned-step-size rule (chain-tuning chain))
                   (rule sigma))))
    (if (zero? jitter)
        size
        (let ((u (tensor->number (random-uniform '(1) (settings-seed rules)
                                                 (random-stream 'jitter (chain-counter chain))))))
          (* size (+ 1 (* jitter (- (* 2 u) 1))))))))

(define (acceptance-probability log-ratios)
  (mean (map (lambda (r) (if (finite? r) (min 1 (exp r)) 0)) (vector->list log-ratios))))

(define (advance! chain)
  ;; One move; the state changes at the end, all at once.
  (let* ((rules (chain-rules chain))
         (target (chain-target chain))
         (sigma (chain-sigma chain))
         (mass ((settings-mass rules) sigma))
         (seed (settings-seed rules))
         (counter (chain-counter chain))
         (evaluations 0)
         (x (chain-x chain)) (g (chain-score chain)))
    (refresh-score! chain sigma mass)
    (let* ((score (lambda (x sigma)
                    (set! evaluations (1+ evaluations))
                    (checked-score chain x sigma)))
           (step-size (next-step-size chain sigma))
           (steps ((settings-trajectory-length rules) sigma counter step-size))
           (move (make-move target x g score sigma (next-sigma chain) step-size steps mass
                            seed counter)))
      (call-with-values (lambda () ((settings-sampler rules) move))
        (lambda (x1 g1 log-ratio)
          (check-that (and (tensor? x1) (eq? (tensor-dtype x1) (tensor-dtype x))
                           (equal? (tensor-shape x1) (tensor-shape x)))
                      'anneal "sampler: expected it to give a ~a tensor of shape ~a first, got ~s"
                      (tensor-dtype x) (tensor-shape x) x1)
          (let ((accepted (if log-ratio
                              (metropolis log-ratio seed (random-stream 'acceptance counter))
                              (vector-map finite? (chains-dot x1 x1)))))
            (call-with-blocked-asyncs
             (lambda ()
               (chains-select! accepted x x1 g (or g1 g))
               (unless g1
                 (set-chain-sigma-scored! chain #f))
               (commit! chain sigma step-size steps accepted log-ratio evaluations)))))))))

(define (commit! chain sigma step-size steps accepted log-ratio evaluations)
  (let* ((rules (chain-rules chain)) (rule (settings-step-size rules))
         (next (next-sigma chain)))
    (set-chain-counter! chain (1+ (chain-counter chain)))
    (set-chain-evaluations! chain (+ (chain-evaluations chain) evaluations))
    (set-chain-trace! chain (cons (make-transition sigma step-size steps accepted
                                                   (and log-ratio (vector-map - log-ratio))
                                                   (chain-evaluations chain)
                                                   (chain-ratio chain))
                                  (chain-reversed-trace chain)))
    (when (and log-ratio (dual-averaging? rule))
      (set-chain-tuning! chain (tune rule (chain-tuning chain)
                                     (acceptance-probability log-ratio))))
    (set-chain-steps! chain (1+ (chain-steps chain)))
    (set-chain-accepted! chain (+ (chain-accepted chain) (mean-true accepted)))
    (when ((settings-temperature-over? rules) (chain-steps chain) (chain-accepted chain))
      (set-chain-sigma! chain next)
      (set-chain-index! chain (1+ (chain-index chain)))
      (set-chain-steps! chain 0)
      (set-chain-accepted! chain 0))))

;;; --- Annealing ----------------------------------------------------------------

(define (annealed-in-all chain)
  ;; Temperatures, or where nobody knows how many there will be, hundredths of log sigma.
  (let ((temperatures (chain-temperatures chain)))
    (if (adaptive? temperatures)
        (log-hundredths (adaptive-from temperatures) (adaptive-until temperatures))
        (vector-length temperatures))))

(define (log-hundredths from to)
  (inexact->exact (ceiling (* 100 (log (/ from to))))))

(define (annealed chain)
  (let ((temperatures (chain-temperatures chain)))
    (cond ((chain-finished? chain) (annealed-in-all chain))
          ((adaptive? temperatures)
           (min (annealed-in-all chain)
                (log-hundredths (max (chain-sigma chain) (adaptive-from temperatures))
                                (chain-sigma chain))))
          (else (chain-index chain)))))

(define (resume! chain)
  "Go on with CHAIN from where it stands to its last temperature, and return it.
Ctrl-C at the prompt pauses it after the last whole step."
  (check-that (chain? chain) 'resume! "chain: expected one, got ~s" chain)
  (let* ((begun (annealed chain))       ; the time left is that of what is left
         (progress (make-progress "annealing" (- (annealed-in-all chain) begun))))
    (call-with-pause
     (lambda ()
       (let loop ()
         (unless (chain-finished? chain)
           (with-scope (lambda () (advance! chain)))
           (progress-update! progress (- (annealed chain) begun)
                             #:text (format #f "sigma ~a  accepted ~a"
                                            (significant (chain-sigma chain) 3)
                                            (significant (chain-acceptance chain) 3)))
           (loop))))
     (lambda (pause?)
       (progress-finish! progress)
       (when pause?
         (format (current-error-port) "paused at sigma ~a; (resume! chain) goes on~%"
                 (significant (chain-sigma chain) 3)))))
    (progress-finish! progress)
    chain))

(define (starting-state target settings chains start)
  ;; Zero-filled + sigma_0 z, a z for every chain; or START as it is.
  (let ((shape (cons chains (target-shape target))))
    (cond ((and start (equal? (tensor-shape start) shape)) (tensor-copy start))
          (else
           (let ((noise (tensor* (first-sigma (settings-temperatures settings))
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
  #:temperatures  a sequence of sigma, or (adaptive ...), which places them;
                  (geometric 100 #:ratio 0.93 #:until 0.046)
  #:step-size     alpha, a number, a rule over sigma, or (dual-averaging ...); 0.45, with
                  the identity mass (power-law 10)
  #:trajectory-length  steps a trajectory: a number, a rule, a list to cycle through, or
                  (trajectory-time ...); (4 6), or where steps tune themselves
                  (trajectory-time 2.25)
  #:jitter        of each trajectory's step size, up and down; 0.2
  #:steps-per-temperature  moves a temperature, or a procedure of the moves made and, on
                  average, accepted; (accepted-steps 1), so that sigma does not fall while
                  most are rejected
  #:mass          'best of the target's, one of them by name ('fourier, 'normal),
                  'identity, a table M(k), what `make-mass' makes, or a procedure of sigma
  #:sampler       (hmc), (langevin), (mala), (probability-flow), (predictor-corrector), with
                  their own settings, or your own: see `make-move'
  #:chains        how many; 8
  #:seed          42
  #:start         a tensor of the target's shape, to which noise of the first sigma is
                  added, or one (C ...) that is taken as it is
Ctrl-C at the prompt pauses; `resume!' goes on.  `paper-schedule' and `langevin-schedule' are
settings of others, for (apply anneal target paper-schedule).
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
    (resume! (make-chain target arguments settings x
                         (tensor-zeros (tensor-shape x) (tensor-dtype x)) #f
                         (first-sigma (settings-temperatures settings)) (initial-ratio settings)
                         0 0 0 0 0 initial-tuning '()))))

(define (initial-ratio settings)
  (let ((temperatures (settings-temperatures settings)))
    (and (adaptive? temperatures) (adaptive-ratio temperatures))))

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
         (begun (if moved? (begin-below rules (chain-sigma chain)) #f)))
    (make-chain (chain-target chain) arguments rules
                (tensor-copy (chain-x chain)) (tensor-copy (chain-score chain))
                (chain-sigma-scored chain)
                (if moved? (car begun) (%chain-sigma chain))
                (if moved? (initial-ratio rules) (chain-ratio chain))
                (if moved? (cdr begun) (chain-index chain))
                (if moved? 0 (chain-steps chain)) (if moved? 0 (chain-accepted chain))
                (chain-counter chain) (chain-evaluations chain)
                (if (memq #:step-size settings) initial-tuning (chain-tuning chain))
                (chain-reversed-trace chain))))

(define (begin-below rules sigma)
  ;; The first temperature of RULES that is not above SIGMA, or #f, and its index.
  (let ((temperatures (settings-temperatures rules)))
    (if (adaptive? temperatures)
        (cons (and (<= (adaptive-until temperatures) sigma)
                   (min sigma (adaptive-from temperatures)))
              0)
        (let ((index (list-index (lambda (s) (<= s sigma)) (vector->list temperatures))))
          (cons (and index (vector-ref temperatures index))
                (or index (vector-length temperatures)))))))

;;; --- Keeping ------------------------------------------------------------------

(define chain-format "tempera-chain-2")

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
                      (temperatures . ,(temperatures-datum rules))
                      (sigma . ,(%chain-sigma chain))
                      (ratio . ,(chain-ratio chain))
                      (tuning . ,(chain-tuning chain))
                      (sigma-scored . ,(chain-sigma-scored chain))
                      (index . ,(chain-index chain))
                      (steps . ,(chain-steps chain))
                      (accepted . ,(chain-accepted chain))
                      (counter . ,(chain-counter chain))
                      (evaluations . ,(chain-evaluations chain))
                      (trace . ,(map transition->list (chain-reversed-trace chain))))))))))

(define (temperatures-datum rules)
  (let ((temperatures (settings-temperatures rules)))
    (if (adaptive? temperatures) (format #f "~a" temperatures) temperatures)))

(define (transition->list t)
  (list (transition-sigma t) (transition-step-size t) (transition-steps t)
        (transition-accepted t) (transition-energy-error t) (transition-evaluations t)
        (transition-ratio t)))

(define (valid-state? state)
  ;; STATE is what `save-chain' writes, as far as going on depends on it.
  (define (natural? n) (and (exact-integer? n) (>= n 0)))
  (define (valid-transition? t)
    (and (list? t) (= (length t) 7) (positive-number? (first t)) (positive-number? (second t))
         (natural? (third t)) (vector? (fourth t)) (natural? (sixth t))))
  (and (list? state) (every pair? state)
       (every natural? (map (lambda (key) (assq-ref state key))
                            '(seed index steps counter evaluations)))
       (real? (assq-ref state 'accepted))
       (every (lambda (key)
                (let ((value (assq-ref state key))) (or (not value) (positive-number? value))))
              '(sigma-scored sigma ratio))
       (let ((tuning (assq-ref state 'tuning)))
         (and (pair? tuning) (real? (car tuning)) (natural? (cdr tuning))))
       (let ((temperatures (assq-ref state 'temperatures)))
         (or (vector? temperatures) (string? temperatures)))
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
              (list (settings-seed rules) (temperatures-datum rules)))
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
      (make-chain target settings rules x score (value 'sigma-scored) (value 'sigma)
                  (value 'ratio) (value 'index) (value 'steps) (value 'accepted)
                  (value 'counter) (value 'evaluations) (value 'tuning)
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
    (tensor+ x (tensor* (* sigma sigma) (score prior x sigma)))))
