;;; kernel.scm -- one transition of a batch of chains, as a function of the state they are in.
;;;
;;; A state is where the chains are, and the score there.  A kernel is what a transition is made
;;; with: the target at one temperature, the sampler that proposes (samplers.scm), step size,
;;; number of steps, mass and seed.  `transition' takes both and returns the next state and a
;;; record of what happened.  It changes nothing in place, and its random numbers depend on the
;;; seed and the state's number alone: the same kernel and state give the same bits.
;;;
;;; Ranks (ranks.scm) divide the chains of a transition, and have the state of all after it.
;;;
;;; What is adapted from one transition to the next is beside it, in adaptation.scm.

(define-module (tempera sample kernel)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem priors)
  #:use-module (tempera problem targets)
  #:export (make-state state? state-x state-score state-sigma state-number state-evaluations
            state-copy state-assign! state-at finite-chains
            make-kernel kernel? kernel-target kernel-sampler kernel-sigma kernel-next-sigma
            kernel-step-size kernel-steps kernel-mass kernel-seed kernel-score kernel-prior-score
            kernel-normal draw-for by-chain
            propose transition
            make-transition transition? transition-sigma transition-step-size transition-steps
            transition-accepted transition-energy-error transition-evaluations transition-ratio
            transition-acceptance mean-true))

;;; --- States -------------------------------------------------------------------

(define-immutable-record-type <state>
  (%make-state x score sigma target number evaluations whole)
  state?
  (x state-x)                           ; (C ...); not to be written into
  (score state-score)                   ; at x, of the same shape
  (sigma state-sigma)                   ; that of the score; #f: not known yet
  (target state-target)                 ; whose score it is; #f: not said
  (number state-number)                 ; transitions so far
  (evaluations state-evaluations)       ; of the score, so far
  (whole state-whole))                  ; of some chains among others: the x of all, and which is the first

(set-record-type-printer! <state>
  (lambda (state port)
    (let ((shape (tensor-shape (state-x state))))
      (format port "#<state of ~a chains over ~a after ~a transitions>" (car shape) (cdr shape)
              (state-number state)))))

(define* (make-state x #:key (score #f) (sigma #f) (number 0) (evaluations 0))
  "The state of chains that are at X, (C ...), after NUMBER transitions and EVALUATIONS of the
score.  SCORE is that at X and SIGMA, where it is known.  Random numbers of the next transition
depend on NUMBER.
Example: (state-number (make-state (chain-samples chain))) => 0"
  (check-that (and (tensor? x) (pair? (tensor-shape x))) 'make-state
              "x: expected a batch of chains (C ...), got ~s" x)
  (check-that (or (not score) (and (tensor? score) (equal? (tensor-shape score) (tensor-shape x))
                                   (eq? (tensor-dtype score) (tensor-dtype x))))
              'make-state "score: expected a ~a tensor of shape ~a, like x, got ~s"
              (tensor-dtype x) (tensor-shape x) score)
  (check-that (or (not sigma) (and score (positive-number? sigma))) 'make-state
              "sigma: expected that of a score, a positive number, or #f, got ~s" sigma)
  (check-that (and (natural? number) (natural? evaluations)) 'make-state
              "number, evaluations: expected integers of 0 or more, got ~s and ~s"
              number evaluations)
  (%make-state x (or score (tensor-zeros (tensor-shape x) (tensor-dtype x))) sigma #f number
               evaluations #f))

(define (state-copy state)
  "STATE in tensors of its own.
Example: (state-copy (chain-state chain))"
  (set-fields state
    ((state-x) (tensor-copy (state-x state)))
    ((state-score) (tensor-copy (state-score state)))))

(define (state-assign! own state)
  "STATE in the tensors of the state OWN, which are written into, so that a chain's memory is
always the same.
Example: (let ((own (chain-state chain))) (state-assign! own (chain-state chain)))"
  (tensor-assign! (state-x own) (state-x state))
  (tensor-assign! (state-score own) (state-score state))
  (set-fields state
    ((state-x) (state-x own))
    ((state-score) (state-score own))))

;;; --- Kernels ------------------------------------------------------------------

(define-immutable-record-type <kernel>
  (%make-kernel target sampler sigma next-sigma step-size steps mass seed evaluate)
  kernel?
  (target kernel-target)
  (sampler kernel-sampler)
  (sigma kernel-sigma)
  (next-sigma kernel-next-sigma)        ; or #f at the last
  (step-size kernel-step-size)
  (steps kernel-steps)                  ; of a trajectory
  (mass kernel-mass)                    ; #f: the identity
  (seed kernel-seed)
  (evaluate kernel-evaluate))           ; which x sigma -> score, of the target or its prior

(set-record-type-printer! <kernel>
  (lambda (k port)
    (format port "#<kernel at sigma ~a, ~a steps of ~a>" (significant (kernel-sigma k) 3)
            (kernel-steps k) (significant (kernel-step-size k) 3))))

(define* (make-kernel target sampler #:key sigma (next-sigma #f) step-size (steps 1) (mass #f)
                      (seed 42))
  "The kernel of transitions on TARGET at the temperature SIGMA.  SAMPLER proposes, with STEPS
integrator steps of STEP-SIZE and the mass MASS (#f, a table M(k), or what `make-mass' makes);
random numbers are SEED's.  NEXT-SIGMA is the temperature that follows, for samplers that go from
one to the next; #f at the last.
Example: (make-kernel target (hmc) #:sigma 0.1 #:step-size 0.45 #:steps 4
                      #:mass ((assq-ref (target-masses target) 'fourier) 0.1))"
  (check-that (target? target) 'make-kernel "target: expected one, got ~s" target)
  (check-that (procedure? sampler) 'make-kernel
              "sampler: expected a procedure, such as (hmc) makes, got ~s" sampler)
  (check-that (positive-number? sigma) 'make-kernel
              "sigma: expected a positive number, got ~s" sigma)
  (check-that (or (not next-sigma) (positive-number? next-sigma)) 'make-kernel
              "next-sigma: expected a positive number or #f, got ~s" next-sigma)
  (check-that (positive-number? step-size) 'make-kernel
              "step-size: expected a positive number, got ~s" step-size)
  (check-that (positive-integer? steps) 'make-kernel
              "steps: expected a positive integer, got ~s" steps)
  (check-that (mass? mass) 'make-kernel
              "mass: expected #f, a table M(k), or what make-mass makes, got ~s" mass)
  (check-seed 'make-kernel seed)
  (%make-kernel target sampler sigma next-sigma step-size steps mass seed
                checked-score))

;; What the score gets is a view, so that a score that releases it takes the state from no chain.
(define (checked-score which x sigma)
  ;; WHICH is a target or a prior.
  (if (together?)
      (call-together
       (lambda ()
         (let* ((rows (own-part (tensor-size x 0)))
                (mine (and rows (call-apart (lambda () (score-here which (chains-of x rows) sigma))))))
           (gather-rows (tensor-shape x) (tensor-dtype x) mine))))
      (score-here which x sigma)))

(define (chains-of x rows)
  ;; Those from the first of ROWS, a list, to before the second.
  (tensor-copy (tensor-slice x 0 (first rows) (second rows))))

(define (score-here which x sigma)
  (let* ((view (tensor-reshape x (tensor-shape x)))
         (g (if (target? which) (target-score which view sigma) (score which view sigma))))
    (check-that (and (tensor? g) (eq? (tensor-dtype g) (tensor-dtype x))
                     (equal? (tensor-shape g) (tensor-shape x)))
                'transition "score: expected a tensor ~a ~a, like x, got ~s"
                (tensor-dtype x) (tensor-shape x) g)
    g))

(define* (kernel-score kernel x #:optional (sigma (kernel-sigma kernel)))
  "The score of KERNEL's target at X and SIGMA; in a sampler it counts as an evaluation.
Example: (anneal target #:mass 'identity #:step-size 0.1
                 #:sampler (lambda (kernel state)
                             (let ((x (state-x state)))
                               (values (tensor+ x (tensor* 1e-4 (kernel-score kernel x))) #f #f))))"
  ((kernel-evaluate kernel) (kernel-target kernel) x sigma))

(define (kernel-prior-score kernel x sigma)
  "The score of the prior of KERNEL's target at X and SIGMA; in a sampler it counts as an evaluation.
Example: (kernel-prior-score kernel (state-x state) 0.1)"
  ((kernel-evaluate kernel) (target-prior (kernel-target kernel)) x sigma))

(define* (kernel-normal kernel state #:optional (index 0))
  "Standard normal numbers of the shape of STATE's x for a transition of KERNEL from there: the
same for the same seed, number of STATE and INDEX, from 0 to 63.
Example: (anneal target #:mass 'identity #:step-size 0.1
                 #:sampler (lambda (kernel state)
                             (values (tensor+ (state-x state) (tensor* (kernel-step-size kernel)
                                                                       (kernel-normal kernel state)))
                                     #f #f)))"
  (draw-for state
            (lambda (x)
              (random-normal (tensor-shape x) (kernel-seed kernel)
                             (random-stream 'sampler (+ index (* 64 (state-number state))))
                             (tensor-dtype x)))))

(define (draw-for state draw)
  "What DRAW, a procedure of x that draws random numbers of its shape, gives for the chains of STATE.  Where they
are some of many, on one of several ranks, it draws for all, so that a chain has the same numbers wherever it is.
Example: (draw-for state (lambda (x) (momentum-draw x #f 1 0)))"
  (let ((whole (state-whole state)))
    (if whole
        (chains-of (draw (car whole))
                   (list (cdr whole) (+ (cdr whole) (tensor-size (state-x state) 0))))
        (draw (state-x state)))))

(define (by-chain sampler)
  "SAMPLER, which treats each chain by itself and draws by `kernel-normal' or `draw-for' alone: so ranks may
divide the chains.  Of other samplers they divide the evaluations of the score.
Example: (by-chain (lambda (kernel state) (values (state-x state) (state-score state) #f)))"
  (set-procedure-property! sampler 'by-chain? #t)
  sampler)

(define (state-at state target sigma)
  "STATE with the score of TARGET at SIGMA, one evaluation more unless it has that already; a score that
`make-state' was given is taken for TARGET's.
Example: (state-sigma (state-at (make-state (chain-samples chain)) target 0.1)) => 0.1"
  (if (and (eqv? sigma (state-sigma state))
           (memq (state-target state) (list target #f)))
      state
      (set-fields state
        ((state-score) (with-scope (lambda () (checked-score target (state-x state) sigma))))
        ((state-sigma) sigma)
        ((state-target) target)
        ((state-evaluations) (1+ (state-evaluations state))))))

(define (check-fits who kernel state)
  ;; That the chains of STATE are over the images, or whatever, of KERNEL's target.
  (let ((target (kernel-target kernel)) (x (state-x state)))
    (check-that (and (eq? (tensor-dtype x) (target-dtype target))
                     (equal? (cdr (tensor-shape x)) (target-shape target)))
                who "state: expected chains (C ~a) of ~a, as ~a has them, got ~a ~a"
                (string-join (map number->string (target-shape target))) (target-dtype target)
                (target-name target) (tensor-dtype x) (tensor-shape x))))

;;; --- Transitions --------------------------------------------------------------

;; What happened in one, for a chain's trace.
(define-immutable-record-type <transition>
  (make-transition sigma step-size steps accepted energy-error evaluations ratio scored)
  transition?
  (sigma transition-sigma)
  (step-size transition-step-size)
  (steps transition-steps)              ; of the trajectory
  (accepted transition-accepted)        ; vector of booleans, a chain each
  (energy-error transition-energy-error) ; vector of H(end) - H(start), or #f
  (evaluations transition-evaluations)  ; of the score, so far
  (ratio transition-ratio)              ; to the next temperature, of adaptive ones, or #f
  (scored transition-scored))           ; how many chains had a finite score; not in files: #f

(set-record-type-printer! <transition>
  (lambda (t port)
    (format port "#<transition sigma ~a, ~a steps of ~a, accepted ~a>"
            (significant (transition-sigma t) 3) (transition-steps t)
            (significant (transition-step-size t) 3)
            (significant (mean-true (transition-accepted t)) 3))))

(define (mean-true booleans)
  "The part of the vector BOOLEANS that is true.
Example: (mean-true #(#t #f)) => 0.5"
  (exact->inexact (/ (count identity (vector->list booleans)) (vector-length booleans))))

(define (transition-acceptance t)
  "The part of the chains with a finite score that accepted in T, the transition made last.
Example: (transition-acceptance (car (chain-trace chain)))"
  (/ (count identity (vector->list (transition-accepted t)))
     (exact->inexact (transition-scored t))))

(define (finite-chains state)
  "Which chains of STATE have a finite x and a finite score, a vector of booleans.
Example: (finite-chains (chain-state chain))"
  (both-finite (state-x state) (state-score state)))

(define (both-finite x g)
  ;; A number that is not finite makes the inner product such a one.
  (vector-map finite? (chains-dot x g)))

(define (both a b)
  (vector-map (lambda (a b) (and a b)) a b))

(define (propose kernel state)
  "What the sampler of KERNEL proposes from STATE; nothing is accepted yet.  Four values: the
sampler's three, x (C ...), the score there or #f, and for each chain log r, a vector, or #f; and
how many evaluations of the score it took, with that at STATE if its temperature is another.
Example: (propose kernel state)"
  (check-that (kernel? kernel) 'propose "kernel: expected what make-kernel makes, got ~s" kernel)
  (check-that (state? state) 'propose "state: expected what make-state makes, got ~s" state)
  (check-fits 'propose kernel state)
  (let* ((known (state-evaluations state))
         (state (state-at state (kernel-target kernel) (kernel-sigma kernel)))
         (evaluations (- (state-evaluations state) known))
         (counting (set-field kernel (kernel-evaluate)
                              (lambda (which x sigma)
                                (set! evaluations (1+ evaluations))
                                ((kernel-evaluate kernel) which x sigma)))))
    (if (and (together?) (procedure-property (kernel-sampler kernel) 'by-chain?))
        (let-values (((x1 g1 log-ratio all)
                      (proposal-by-ranks (lambda (some) (proposal-here counting some)) state
                                         (lambda () evaluations))))
          (values x1 g1 log-ratio all))
        (let-values (((x1 g1 log-ratio) (proposal-here counting state)))
          (values x1 g1 log-ratio evaluations)))))

(define (proposal-here kernel state)
  ;; The sampler's three values, checked.
  (let ((x (state-x state)))
    (let-values (((x1 g1 log-ratio) ((kernel-sampler kernel) kernel state)))
      (check-that (and (tensor? x1) (eq? (tensor-dtype x1) (tensor-dtype x))
                       (equal? (tensor-shape x1) (tensor-shape x)))
                  'transition "sampler: expected it to give a ~a tensor of shape ~a first, got ~s"
                  (tensor-dtype x) (tensor-shape x) x1)
      (check-that (or (not log-ratio) (and (vector? log-ratio)
                                           (= (vector-length log-ratio) (first (tensor-shape x)))))
                  'transition "sampler: expected it to give log r of ~a chains, a vector, or #f third, got ~s"
                  (first (tensor-shape x)) log-ratio)
      (values x1 g1 log-ratio))))

(define (proposal-by-ranks proposal state evaluations)
  ;; The values of PROPOSAL for STATE, of which each rank has it for its part of the chains, and what EVALUATIONS,
  ;; a thunk, says then where there were chains.
  (call-together
   (lambda ()
     (let* ((x (state-x state)) (shape (tensor-shape x)) (dtype (tensor-dtype x))
            (rows (own-part (first shape))))
       (let*-values (((x1 g1 log-ratio)
                      (if rows
                          (call-apart (lambda () (proposal (state-part state rows))))
                          (values #f #f #f)))
                     ((said) (filter identity
                                     (gather-data (and rows (list (and g1 #t) log-ratio (evaluations))))))
                     ((scored? ratios) (values (first (first said)) (map second said))))
         (values (gather-rows shape dtype x1)
                 (and scored? (gather-rows shape dtype g1))
                 (and (first ratios) (list->vector (append-map vector->list ratios)))
                 (apply max (map third said))))))))

(define (state-part state rows)
  ;; The chains of STATE from the first of ROWS to before the second.
  (set-fields state
    ((state-x) (chains-of (state-x state) rows))
    ((state-score) (chains-of (state-score state) rows))
    ((state-whole) (cons (state-x state) (first rows)))))

(define (transition kernel state)
  "One transition of the chains of STATE by KERNEL: each goes where the sampler proposes with
probability min(1, r), or stays.  Two values: the next state, and a record of the transition
(`transition-accepted', `transition-energy-error' and the like).  STATE stays as it is.  A chain
whose score is not finite stays while the others go on, and nothing that is not finite is
accepted.
Example: (transition kernel state)"
  (check-that (kernel? kernel) 'transition "kernel: expected what make-kernel makes, got ~s" kernel)
  (check-that (state? state) 'transition "state: expected what make-state makes, got ~s" state)
  (check-fits 'transition kernel state)
  (let* ((sigma (kernel-sigma kernel)) (state (state-at state (kernel-target kernel) sigma))
         (next (state-copy state)))     ; outside of the scope, which all else is released with
    (with-scope
     (lambda ()
       (let ((sound (finite-chains state)))
         (unless (memq #t (vector->list sound)) (complain-of-score kernel state))
         (let*-values (((x1 g1 log-ratio evaluations) (propose kernel state))
                       ((landed) (both-finite x1 (or g1 x1)))
                       ((accepted) (both (both sound landed)
                                         (if log-ratio
                                             (metropolis log-ratio (kernel-seed kernel)
                                                         (random-stream 'acceptance
                                                                        (state-number state)))
                                             landed)))
                       ((all) (+ (state-evaluations state) evaluations)))
           (chains-select! accepted (state-x next) x1 (state-score next) (or g1 (state-score next)))
           (values (set-fields next
                     ((state-sigma) (and g1 sigma))
                     ((state-target) (and g1 (kernel-target kernel)))
                     ((state-number) (1+ (state-number state)))
                     ((state-evaluations) all))
                   (make-transition sigma (kernel-step-size kernel) (kernel-steps kernel) accepted
                                    (and log-ratio (energy-errors log-ratio sound landed))
                                    all #f (count identity (vector->list sound))))))))))

(define (energy-errors log-ratio sound landed)
  ;; H(end) - H(start) of each chain: NaN where there was no score to begin with, infinite where
  ;; the way led to what is not finite.
  (vector-map (lambda (r sound landed)
                (cond ((not sound) +nan.0)
                      ((and landed (finite? r)) (- r))
                      (else +inf.0)))
              log-ratio sound landed))

(define (complain-of-score kernel state)
  (let* ((target (kernel-target kernel)) (sigma (kernel-sigma kernel)) (x (state-x state))
         (prior (catch 'tempera-error
                  (lambda () (score (target-prior target) x sigma))
                  (const #f))))
    (complain 'transition
              "score: it is NaN or infinite at sigma ~a, after ~a transitions, in ~a; ~a"
              (significant sigma 3) (state-number state)
              (let ((n (first (tensor-shape x)))) (if (= n 1) "the chain" (format #f "all ~a chains" n)))
              (cond ((> (tensor->number (tensor-max (tensor-abs x))) 1e15)
                     (format #f "x has grown to ~a there: the steps before were too long, and nothing \
rejected them; take a smaller #:step-size, or a sampler that corrects, such as (hmc)"
                             (significant (tensor->number (tensor-max (tensor-abs x))) 2)))
                    ((not (tensor? prior)) "x is finite: look into the target's score")
                    ((tensor-finite? prior) "the prior's part is finite, that of the data is not: \
look at #:noise of the posterior, and at the operator")
                    (else "it is the prior's score there, though x is finite: look into the prior, \
or leave out the temperatures that it was not made for")))))

(document
 (state?
  "True when OBJECT is a state, as `make-state' makes.
Example: (state? 3) => #f")
 (state-x
  "Where the chains of STATE are, (C ...); not to be written into.
Example: (tensor-shape (state-x state)) => (8 16 16)")
 (state-score
  "The score at `state-x' of STATE, at `state-sigma'.
Example: (tensor-shape (state-score state)) => (8 16 16)")
 (state-sigma
  "The temperature of the score of STATE; #f where it is not known yet.
Example: (state-sigma state) => 0.1")
 (state-number
  "How many transitions led to STATE; the random numbers of the next depend on it.
Example: (state-number state) => 0")
 (state-evaluations
  "How many evaluations of the score led to STATE.
Example: (state-evaluations state) => 1")
 (kernel?
  "True when OBJECT is a kernel, as `make-kernel' makes.
Example: (kernel? 3) => #f")
 (kernel-target
  "The target of KERNEL.
Example: (kernel-target kernel)")
 (kernel-sampler
  "The sampler that proposes for KERNEL.
Example: (sampler-integrator (kernel-sampler kernel)) => leapfrog")
 (kernel-sigma
  "The temperature of KERNEL.
Example: (kernel-sigma kernel) => 0.1")
 (kernel-next-sigma
  "The temperature after that of KERNEL; #f at the last.
Example: (kernel-next-sigma kernel) => #f")
 (kernel-step-size
  "The step size of KERNEL.
Example: (kernel-step-size kernel) => 0.5")
 (kernel-steps
  "The integrator steps of a trajectory of KERNEL.
Example: (kernel-steps kernel) => 4")
 (kernel-mass
  "The mass of KERNEL; #f is the identity.
Example: (kernel-mass kernel) => #f")
 (kernel-seed
  "The seed of KERNEL.
Example: (kernel-seed kernel) => 42")
 (transition?
  "True when OBJECT is the record of a transition.
Example: (transition? (car (chain-trace chain))) => #t")
 (transition-sigma
  "The temperature of TRANSITION.
Example: (map transition-sigma (chain-trace chain))")
 (transition-step-size
  "The step size of TRANSITION, jitter included.
Example: (map transition-step-size (chain-trace chain))")
 (transition-steps
  "The integrator steps of the trajectory of TRANSITION.
Example: (map transition-steps (chain-trace chain))")
 (transition-accepted
  "Which chains accepted in TRANSITION, a vector of booleans.
Example: (map transition-accepted (chain-trace chain))")
 (transition-energy-error
  "The energy error of each chain in TRANSITION, a vector; #f where nothing was to be accepted.
Example: (map transition-energy-error (chain-trace chain))")
 (transition-evaluations
  "The evaluations of the score up to TRANSITION.
Example: (map transition-evaluations (chain-trace chain))")
 (transition-ratio
  "The ratio to the temperature after TRANSITION where temperatures are adaptive; else #f.
Example: (map transition-ratio (chain-trace chain))"))
