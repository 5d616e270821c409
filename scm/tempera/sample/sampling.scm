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

(define-module (tempera sample sampling)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera file safetensors)
  #:use-module (tempera problem masses)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem priors)
  #:use-module (tempera base progress)
  #:use-module (tempera sample samplers)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:use-module (tempera base streams)
  #:use-module (tempera problem targets)
  #:use-module (tempera tensor tensors)
  #:re-export (default-temperatures accepted-steps trajectory-time paper-schedule langevin-schedule
               last-paused)
  #:export (anneal start-chain propose resume! fork rewind! save-chain load-chain
            chain? chain-target chain-samples chain-mean chain-std chain-sigma chain-states
            chain-trace chain-acceptance chain-evaluations chain-finished? chain-ahead
            chain-settings chain-sampler chain-warnings chains-without-score rejection-remedy
            transition-sigma transition-step-size transition-steps transition-accepted
            transition-energy-error transition-evaluations transition-ratio
            denoise))

;;; --- Chains -------------------------------------------------------------------

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

;; What changes from move to move, but for the two tensors, which change in place.
(define-immutable-record-type <state>
  (make-state sigma-scored sigma ratio index steps accepted counter evaluations tuning trace)
  state?
  (sigma-scored state-sigma-scored)     ; that of the score; #f: not known yet
  (sigma state-sigma)                   ; of the temperature, #f when there is no more
  (ratio state-ratio)                   ; to the next one, of adaptive temperatures
  (index state-index)                   ; of the temperature
  (steps state-steps)                   ; moves at it,
  (accepted state-accepted)             ; of which accepted, mean over chains
  (counter state-counter)               ; moves in all
  (evaluations state-evaluations)
  (tuning state-tuning)                 ; of the step size
  (trace state-trace))                  ; transitions, newest first

(define-record-type <chain>
  (%make-chain target arguments settings x score state kept later)
  chain?
  (target chain-target)
  (arguments chain-settings)            ; as `anneal' got them, keywords and values
  (settings chain-rules)
  (x chain-x)                           ; (C ...)
  (score chain-score)
  (state chain-state set-chain-state!)
  (kept chain-kept set-chain-kept!)     ; snapshots, newest first
  (later chain-later set-chain-later!)) ; those ahead of a chain that was rewound, oldest first

(define (make-chain target arguments settings x score state kept)
  (%make-chain target arguments settings x score state kept '()))

;; A state that can be gone back to.
(define-record-type <snapshot>
  (make-snapshot sigma x score state)
  snapshot?
  (sigma snapshot-sigma)                ; that the chains were at last
  (x snapshot-x)                        ; not to be written into: chains share them
  (score snapshot-score)
  (state snapshot-state))

(define (chain-counter chain) (state-counter (chain-state chain)))
(define (snapshot-counter snapshot) (state-counter (snapshot-state snapshot)))
(define (chain-reversed-trace chain) (state-trace (chain-state chain)))

(define (chain-evaluations chain)
  "How often the score of CHAIN's batch was taken so far.
Example: (chain-evaluations chain)"
  (state-evaluations (chain-state chain)))

(define (sigma-reached chain)
  ;; At which its moves were last, or would be first.
  (let ((trace (chain-reversed-trace chain)))
    (if (pair? trace) (transition-sigma (first trace)) (chain-sigma chain))))

(define (keep-state! chain)
  (set-chain-kept! chain (cons (present-snapshot chain) (chain-kept chain))))

(define (present-snapshot chain)
  (make-snapshot (sigma-reached chain) (kept-copy (chain-x chain)) (kept-copy (chain-score chain))
                 (chain-state chain)))

(define (kept-copy tensor)
  ;; Past the scope of a move.
  (let ((copy (tensor-copy tensor)))
    (keep! copy)
    copy))

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
                    (format #f " (~a of ~a)" (min n (1+ (state-index (chain-state c)))) n)))
              (chain-counter c)
              (if (zero? (chain-counter c))
                  ""
                  (format #f ", accepted ~a" (significant (chain-acceptance c) 3)))))))

(define (chain-temperatures chain)
  (settings-temperatures (chain-rules chain)))

(define (chain-finished? chain)
  "True when CHAIN has been at its last temperature.
Example: (chain-finished? (start-chain target)) => #f"
  (not (state-sigma (chain-state chain))))

(define (chain-sigma chain)
  "The temperature that CHAIN is at; of a finished one, its last.
Example: (chain-sigma chain) => 0.046"
  (or (state-sigma (chain-state chain))
      ;; Not the last of its temperatures: those of a fork may all be above what was reached.
      (let ((trace (chain-reversed-trace chain)))
        (if (pair? trace)
            (transition-sigma (first trace))
            (last-sigma (chain-temperatures chain))))))

(define (next-sigma chain)
  ;; After the one that CHAIN is at, or #f.
  (let* ((temperatures (chain-temperatures chain)) (state (chain-state chain))
         (next (1+ (state-index state))))
    (if (adaptive? temperatures)
        (let ((until (adaptive-until temperatures)))
          (and (> (chain-sigma chain) until)
               (max until (* (state-ratio state) (chain-sigma chain)))))
        (and (< next (vector-length temperatures)) (vector-ref temperatures next)))))

(define (chain-sampler chain)
  "The sampler that moves CHAIN.
Example: (sampler-integrator (chain-sampler chain)) => leapfrog"
  (settings-sampler (chain-rules chain)))

(define (chain-samples chain)
  "The states of CHAIN, one for each of its C chains: a new tensor (C ...).
Example: (tensor-shape (chain-samples chain)) => (8 16 16)"
  (tensor-copy (chain-x chain)))

(define (chain-states chain)
  "What CHAIN went through, a list of (sigma . samples) from its first state to the present:
the states kept by #:keep of `anneal', each with the sigma of the moves before it; samples
are (C ...), shared and not to be written into.
Example: (map car (chain-states chain))"
  (check-that (chain? chain) 'chain-states "chain: expected one, got ~s" chain)
  (let ((kept (map (lambda (s) (cons (snapshot-sigma s) (snapshot-x s))) (chain-kept chain)))
        (newest? (and (pair? (chain-kept chain))
                      (eq? (chain-state chain) (snapshot-state (first (chain-kept chain)))))))
    (reverse (if newest?
                 kept
                 (cons (cons (sigma-reached chain) (chain-samples chain)) kept)))))

(define (chain-mean chain)
  "The mean over CHAIN's samples, of the samples' shape; complex for complex images.
Example: (tensor-shape (chain-mean chain)) => (16 16)"
  (tensor-mean (chain-x chain) 0))

(define (chain-std chain)
  "The standard deviation over CHAIN's C samples, f32: the root of
sum_c |x_c - mean|^2 / (C - 1), which for complex images counts both parts.
Example: (tensor-dtype (chain-std chain)) => f32"
  (let* ((x (chain-x chain)) (count (first (tensor-shape x))))
    (check-that (> count 1) 'chain-std "chain: one sample has no standard deviation")
    (let ((d (tensor- x (tensor-mean x 0 #t))))
      (tensor-sqrt (tensor/ (tensor-sum-squares d 0) (1- count))))))

(define (chain-trace chain)
  "What CHAIN went through, a list of transitions from first to last; see
`transition-sigma', `-step-size', `-steps', `-accepted', `-energy-error', `-evaluations',
`-ratio'.
Example: (transition-sigma (car (chain-trace chain))) => 100.0"
  (reverse (chain-reversed-trace chain)))

(define (chain-acceptance chain)
  "The part of CHAIN's proposals that was accepted.
Example: (> (chain-acceptance chain) 0.5) => #t"
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
  ;; |M^-1/2 (g1 - g)|, root mean square over dimensions and over chains whose scores are finite.
  (let* ((d (tensor- g1 g))
         (dimensions (* (apply * (cdr (tensor-shape d))) (if (eq? (tensor-dtype d) 'c64) 2 1)))
         (squares (filter finite? (vector->list (chains-dot d (mass-velocity mass d))))))
    (sqrt (max 0 (/ (apply + squares) (* dimensions (max 1 (length squares))))))))

(define (refresh-score! chain sigma)
  ;; The score at x belongs to one temperature.  At a new one it is taken anew, and its
  ;; change tells how far the target moved.
  (let* ((state (chain-state chain)) (scored (state-sigma-scored state)))
    (unless (eqv? sigma scored)
      (let* ((g (checked-score chain (chain-x chain) sigma))
             (temperatures (chain-temperatures chain))
             (ratio (if (and (adaptive? temperatures) scored)
                        (next-ratio temperatures (state-ratio state)
                                    (movement ((settings-mass (chain-rules chain)) sigma)
                                              g (chain-score chain)))
                        (state-ratio state))))
        (call-with-blocked-asyncs
         (lambda ()
           (tensor-assign! (chain-score chain) g)
           (set-chain-state! chain (set-fields state
                                     ((state-sigma-scored) sigma)
                                     ((state-ratio) ratio)
                                     ((state-evaluations) (1+ (state-evaluations state)))))))))))

(define (next-step-size chain sigma)
  ;; Of the next move, jitter included.
  (let* ((rules (chain-rules chain)) (rule (settings-step-size rules))
         (jitter (settings-jitter rules))
         (size (if (dual-averaging? rule)
                   (tuned-step-size rule (state-tuning (chain-state chain)))
                   (rule sigma))))
    (if (zero? jitter)
        size
        (let ((u (tensor->number (random-uniform '(1) (settings-seed rules)
                                                 (random-stream 'jitter (chain-counter chain))))))
          (* size (+ 1 (* jitter (- (* 2 u) 1))))))))

(define (propose chain x g sigma next)
  "The next move of CHAIN's settings from X, (C ...), with the score G there at SIGMA, where NEXT
is the sigma after it or #f: the move, how many evaluations of the score it took, and the
sampler's three values.  CHAIN stays as it is.
Example: (let ((x (chain-samples chain)))
           (propose chain x (target-score target x 0.05) 0.05 #f))"
  (let* ((rules (chain-rules chain)) (counter (chain-counter chain))
         (evaluations 0)
         (score (lambda (x sigma)
                  (set! evaluations (1+ evaluations))
                  (checked-score chain x sigma)))
         (step-size (next-step-size chain sigma))
         (steps ((settings-trajectory-length rules) sigma counter step-size))
         (move (make-move (chain-target chain) x g score sigma next step-size steps
                          ((settings-mass rules) sigma) (settings-seed rules) counter)))
    (call-with-values (lambda () ((settings-sampler rules) move))
      (lambda (x1 g1 log-ratio)
        (check-that (and (tensor? x1) (eq? (tensor-dtype x1) (tensor-dtype x))
                         (equal? (tensor-shape x1) (tensor-shape x)))
                    'anneal "sampler: expected it to give a ~a tensor of shape ~a first, got ~s"
                    (tensor-dtype x) (tensor-shape x) x1)
        (values move evaluations x1 g1 log-ratio)))))

(define (acceptance-probability energy-errors)
  ;; Of the chains that have a score.
  (mean (map (lambda (e) (if (finite? e) (min 1 (exp (- e))) 0))
             (remove nan? (vector->list energy-errors)))))

(define (finite-chains x g)
  ;; Which chains have a finite state and a finite score, a vector: a number that is not makes the
  ;; inner product such a one.
  (vector-map finite? (chains-dot x g)))

(define (both a b)
  (vector-map (lambda (a b) (and a b)) a b))

(define (advance! chain)
  ;; One move; the state changes at the end, all at once.  A chain whose score is not finite stands
  ;; still while the others go on, and nothing that is not finite is accepted.
  (let ((sigma (chain-sigma chain)) (x (chain-x chain)) (g (chain-score chain)))
    (refresh-score! chain sigma)
    (let ((sound (finite-chains x g)))
      (unless (memq #t (vector->list sound)) (complain-of-score chain sigma))
      (call-with-values (lambda () (propose chain x g sigma (next-sigma chain)))
        (lambda (move evaluations x1 g1 log-ratio)
          (let* ((landed (finite-chains x1 (or g1 x1)))
                 (accepted (both (both sound landed)
                                 (if log-ratio
                                     (metropolis log-ratio (move-seed move)
                                                 (random-stream 'acceptance (move-number move)))
                                     landed))))
            (call-with-blocked-asyncs
             (lambda ()
               (chains-select! accepted x x1 g (or g1 g))
               (commit! chain sigma (and g1 sigma) (move-step-size move) (move-steps move) accepted
                        (and log-ratio (energy-errors log-ratio sound landed))
                        (/ (count identity (vector->list accepted))
                           (exact->inexact (count identity (vector->list sound))))
                        evaluations)))))))))

(define (energy-errors log-ratio sound landed)
  ;; H(end) - H(start) of each chain: NaN where there was no score to begin with, infinite where
  ;; the way led to what is not finite.
  (vector-map (lambda (r sound landed)
                (cond ((not sound) +nan.0)
                      ((and landed (finite? r)) (- r))
                      (else +inf.0)))
              log-ratio sound landed))

(define (complain-of-score chain sigma)
  (let* ((target (chain-target chain)) (x (chain-x chain))
         (prior (catch 'tempera-error
                  (lambda () (score (target-prior target) x sigma))
                  (const #f))))
    (complain 'anneal "score: it is NaN or infinite at sigma ~a, after ~a moves, in ~a; ~a"
              (significant sigma 3) (chain-counter chain)
              (let ((n (first (tensor-shape x)))) (if (= n 1) "the chain" (format #f "all ~a chains" n)))
              (cond ((> (tensor->number (tensor-max (tensor-abs x))) 1e15)
                     (format #f "x has grown to ~a there: the steps before were too long, and nothing \
refused them; take a smaller #:step-size, or a sampler that corrects, such as (hmc)"
                             (significant (tensor->number (tensor-max (tensor-abs x))) 2)))
                    ((not (tensor? prior)) "x is finite: look into the target's score")
                    ((tensor-finite? prior) "the prior's part is finite, that of the data is not: \
look at #:noise of the posterior, and at the operator")
                    (else "it is the prior's score there, though x is finite: look into the prior, \
or leave out the temperatures that it was not made for")))))

(define (commit! chain sigma scored step-size steps accepted energy-errors moved evaluations)
  ;; MOVED is the part of the chains with a score that accepted.
  (let* ((rules (chain-rules chain)) (rule (settings-step-size rules))
         (state (chain-state chain))
         (evaluations (+ (state-evaluations state) evaluations))
         (moves (1+ (state-steps state)))
         (moved (+ (state-accepted state) moved))
         (over? ((settings-temperature-over? rules) moves moved)))
    (set-chain-state!
     chain
     (make-state scored
                 (if over? (next-sigma chain) sigma)
                 (state-ratio state)
                 (if over? (1+ (state-index state)) (state-index state))
                 (if over? 0 moves)
                 (if over? 0 moved)
                 (1+ (state-counter state))
                 evaluations
                 (if (and energy-errors (dual-averaging? rule))
                     (tune rule (state-tuning state) (acceptance-probability energy-errors))
                     (state-tuning state))
                 (cons (make-transition sigma step-size steps accepted energy-errors
                                        evaluations (state-ratio state))
                       (state-trace state))))
    ;; Where a rewound chain comes by again, it goes the same way.
    (set-chain-later! chain (drop-while (lambda (s) (<= (snapshot-counter s) (chain-counter chain)))
                                        (chain-later chain)))
    (when (and over? (pair? (chain-kept chain))
               ((settings-keep? rules) (snapshot-sigma (first (chain-kept chain))) sigma))
      (keep-state! chain))))

;;; --- What went wrong ------------------------------------------------------------

(define (chain-warnings chain)
  "What is wrong with the samples of CHAIN, a list of strings, each with its cause and what to do:
a target that is doubtful, scores that were not finite, proposals none of which was accepted,
temperatures that rise.
`anneal' and `resume!' print them at the end, and `diagnose' has them first.
Example: (chain-warnings chain) => ()"
  (check-that (chain? chain) 'chain-warnings "chain: expected one, got ~s" chain)
  (filter identity (list (target-caution (chain-target chain)) (score-warning chain) (refusal-warning chain)
                         (standing-warning chain) (rising-warning chain))))

(define (print-warnings chain)
  (for-each (lambda (text) (format (current-warning-port) "warning: ~a~%" text))
            (chain-warnings chain)))

(define (several numbers)
  ;; NUMBERS of chains, in words.
  (format #f "chain~a ~a~a" (if (null? (cdr numbers)) "" "s")
          (string-join (map number->string (take numbers (min 5 (length numbers)))) ", ")
          (if (> (length numbers) 5) (format #f " and ~a more" (- (length numbers) 5)) "")))

(define (chain-numbers chain)
  (iota (first (tensor-shape (chain-x chain)))))

(define (without-score chain number)
  ;; The transitions in which chain NUMBER had no finite score, oldest first.
  (let ((trace (chain-reversed-trace chain)))
    (define (scoreless? t)
      (let ((errors (transition-energy-error t))) (and errors (nan? (vector-ref errors number)))))
    (define (refused? t)
      (not (vector-ref (transition-accepted t) number)))
    (reverse (if (vector-ref (finite-chains (chain-x chain) (chain-score chain)) number)
                 (filter scoreless? trace)
                 ;; Uncorrected samplers have no energy errors to tell by.
                 (append (take-while (lambda (t) (or (scoreless? t)
                                                     (and (not (transition-energy-error t))
                                                          (refused? t))))
                                     trace)
                         (filter scoreless? (drop-while refused? trace)))))))

(define (chains-without-score chain)
  "The chains of CHAIN, by number, whose score was NaN or infinite at some time, so that they stood
still: a list of (number transition ...), with the transitions in which they did.
Example: (chains-without-score chain) => ()"
  (filter (lambda (entry) (pair? (cdr entry)))
          (map (lambda (c) (cons c (without-score chain c))) (chain-numbers chain))))

(define (score-warning chain)
  (let ((trace (chain-trace chain)) (bad (chains-without-score chain)))
    (and (pair? bad)
         (let ((begun (cadr (reduce (lambda (a b) (if (>= (transition-sigma (cadr a))
                                                          (transition-sigma (cadr b))) a b))
                                    #f bad))))
           (format #f "the score of ~a was NaN or infinite, first at sigma ~a, after ~a moves: there \
x stands still, and ends as no sample; leave it out, or look into the prior at that sigma"
                   (several (map car bad)) (significant (transition-sigma begun) 3)
                   (list-index (lambda (t) (eq? t begun)) trace))))))

(define (none-accepted? t)
  (not (memq #t (vector->list (transition-accepted t)))))

(define (longest-refusal trace)
  ;; The longest run of TRACE's transitions in which no chain accepted.
  (let loop ((rest trace) (longest '()))
    (if (null? rest)
        longest
        (call-with-values (lambda () (span none-accepted? rest))
          (lambda (run after)
            (loop (if (pair? after) (cdr after) '())
                  (if (> (length run) (length longest)) run longest)))))))

;; Where a tenth is accepted so many proposals are refused with a probability of 1e-3.
(define improbable-refusals 64)

(define (refusal-warning chain)
  (let* ((trace (chain-trace chain)) (run (longest-refusal trace))
         (proposals (* (length run) (length (chain-numbers chain)))))
    (and (pair? run)
         (or (>= proposals improbable-refusals) (= (length run) (length trace)))
         (format #f "no proposal of ~a was accepted ~a: the chains ~a; ~a"
                 proposals
                 (let ((from (transition-sigma (first run))) (to (transition-sigma (last run))))
                   (if (= from to)
                       (format #f "at sigma ~a" (significant from 3))
                       (format #f "from sigma ~a to ~a" (significant from 3) (significant to 3))))
                 (if (= (length run) (length trace)) "are where they began" "stood still there")
                 (rejection-remedy chain run)))))

(define (rejection-remedy chain transitions)
  "What would make CHAIN accept more of what it rejected in TRANSITIONS, some of its trace: a string.
Example: (rejection-remedy chain (chain-trace chain)) => \"a smaller #:step-size there\""
  (let* ((masses (target-masses (chain-target chain)))
         (sigma (transition-sigma (first transitions))))
    (cond
     ((target-caution (chain-target chain)) "see the warning about the target")
     ((and (pair? masses) (not ((settings-mass (chain-rules chain)) sigma)))
      (format #f "with the mass identity a step must suit the sharpest direction of the data: take \
the target's mass, #:mass '~a~a" (car (first masses))
              (if (assq 'normal masses)
                  ", or as the paper has it the likelihood with #:widening 1 of `posterior'"
                  "")))
     (else "a smaller #:step-size there"))))

(define (standing-warning chain)
  ;; Chains that refused all at the end while others, which met the same, did not.
  (let* ((trace (chain-reversed-trace chain))
         (sound (finite-chains (chain-x chain) (chain-score chain)))
         (numbers (filter (lambda (c) (vector-ref sound c)) (chain-numbers chain)))
         (standing
          (filter (lambda (c)
                    (let* ((run (take-while (lambda (t) (not (vector-ref (transition-accepted t) c)))
                                            trace))
                           (moves (length run)))
                      (and (>= moves 8)
                           ;; Of N chains by chance one in a thousand runs, at most.
                           (< (* (expt (- 1 (min 0.95 (mean (map (compose mean-true transition-accepted)
                                                                 run))))
                                       moves)
                                 (length numbers))
                              1e-3))))
                  numbers)))
    (and (pair? standing)
         (format #f "~a of ~a accepted nothing at the end (from sigma ~a on at least): leave ~a out, or \
take a smaller #:step-size there"
                 (several standing) (length (chain-numbers chain))
                 (significant (transition-sigma (list-ref trace 7)) 3)
                 (if (null? (cdr standing)) "it" "them")))))

(define (rising-warning chain)
  (let ((temperatures (chain-temperatures chain)))
    (and (not (adaptive? temperatures))
         (let loop ((rest (vector->list temperatures)))
           (cond ((null? (cdr rest)) #f)
                 ((not-above? (second rest) (first rest)) (loop (cdr rest)))
                 (else
                  (format #f "temperatures rise, from sigma ~a to ~a: what was found below is lost again; \
give #:temperatures that fall, such as (geometric 100 #:ratio 0.9 #:until 0.05)"
                          (significant (first rest) 3) (significant (second rest) 3))))))))

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
          (else (state-index (chain-state chain))))))

(define (temperatures-ahead chain)
  ;; Adaptive ones as if they kept the ratio that they have now.
  (let ((temperatures (chain-temperatures chain)) (state (chain-state chain)))
    (cond ((chain-finished? chain) '())
          ((adaptive? temperatures)
           (schedule->list (geometric (state-sigma state) #:ratio (state-ratio state)
                                      #:until (adaptive-until temperatures))))
          (else (list-tail (vector->list temperatures) (state-index state))))))

(define most-moves 10000)               ; a temperature, before it is taken to have no end

(define* (chain-ahead chain #:optional (acceptance (const 1)))
  "What CHAIN has ahead of it by its settings, if of the proposals at a sigma the part
ACCEPTANCE, a procedure of sigma, is accepted: a list of (sigma steps ...) with the
trajectories at each temperature.
Example: (length (chain-ahead (start-chain target))) => 151"
  (check-that (chain? chain) 'chain-ahead "chain: expected one, got ~s" chain)
  (let* ((rules (chain-rules chain)) (rule (settings-step-size rules))
         (size (if (dual-averaging? rule)
                   (const (tuned-step-size rule (state-tuning (chain-state chain))))
                   rule))
         (moves (lambda (sigma)
                  (let loop ((n 1))
                    (if (or (= n most-moves)
                            ((settings-temperature-over? rules) n (* n (acceptance sigma))))
                        n
                        (loop (1+ n)))))))
    (let loop ((sigmas (temperatures-ahead chain)) (counter (chain-counter chain)) (ahead '()))
      (if (null? sigmas)
          (reverse ahead)
          (let ((sigma (first sigmas)) (n (moves (first sigmas))))
            (loop (cdr sigmas) (+ counter n)
                  (cons (cons sigma
                              (map (lambda (k)
                                     ((settings-trajectory-length rules) sigma (+ counter k)
                                      (size sigma)))
                                   (iota n)))
                        ahead)))))))

(define* (resume! chain #:key (hook (const #f)))
  "Go on with CHAIN from where it stands to its last temperature, and return it.  HOOK is
called with CHAIN at the end of each temperature, to look, to measure, to keep.
Ctrl-C pauses it after the last whole step: the call returns it where it was typed at the prompt
itself; in a program nothing goes on with it, and `last-paused' has it.
Example: (resume! (fork chain #:temperatures '(0.04 0.03))
                  #:hook (lambda (chain) (display (chain-sigma chain))))"
  (check-that (chain? chain) 'resume! "chain: expected one, got ~s" chain)
  (check-that (procedure? hook) 'resume! "hook: expected a procedure of a chain, got ~s" hook)
  (let* ((begun (annealed chain))       ; the time left is that of what is left
         (progress (make-progress "annealing" (- (annealed-in-all chain) begun))))
    (call-with-pause chain "chain"
     (lambda ()
       (let loop ()
         (unless (chain-finished? chain)
           (let ((index (state-index (chain-state chain))))
             (with-scope (lambda () (advance! chain)))
             (progress-update! progress (- (annealed chain) begun)
                               #:text (lambda ()
                                        (format #f "sigma ~a  accepted ~a"
                                                (significant (chain-sigma chain) 3)
                                                (significant (chain-acceptance chain) 3))))
             (unless (= index (state-index (chain-state chain)))
               (hook chain)))
           (loop))))
     (lambda (name)
       (progress-finish! progress)
       (when name
         (format (current-error-port) "paused at sigma ~a; (resume! ~a) goes on~%"
                 (significant (chain-sigma chain) 3) name))))
    (progress-finish! progress)
    (when (chain-finished? chain) (print-warnings chain))
    chain))

(define (starting-state target settings chains start)
  ;; Zero-filled + sigma_0 z, a z for every chain; or START as it is.  With a mass of the target's,
  ;; which has its curvature, the noise is that of covariance M^-1: what was measured, and is not
  ;; blurred, begins where it belongs.  For trajectories it is a tenth hotter, as chains are that
  ;; come from a temperature before; too cold ones gain energy by the steps' size, and are refused.
  (let* ((shape (cons chains (target-shape target)))
         (sigma (first-sigma (settings-temperatures settings)))
         (seed (settings-seed settings))
         (stream (random-stream 'start))
         (mass (and ((settings-mass settings) sigma)
                    (pair? (target-masses target))
                    ((cdr (first (target-masses target))) sigma))))
    (if (and start (equal? (tensor-shape start) shape))
        (tensor-copy start)
        (let ((noise (if mass
                         (let ((like (tensor-zeros shape (target-dtype target))))
                           (tensor* (if (sampler-integrator (settings-sampler settings)) 1.1 1)
                                    (mass-velocity mass (mass-draw mass like seed stream))))
                         (tensor* sigma (random-normal shape seed stream (target-dtype target)))))
              (centre (or start (target-start target))))
          (if centre (tensor+ noise centre) noise)))))

(define (without-keywords arguments . keywords)
  ;; ARGUMENTS, keywords and values in turn, less KEYWORDS.
  (let loop ((rest arguments))
    (cond ((or (null? rest) (null? (cdr rest))) rest)
          ((memq (car rest) keywords) (loop (cddr rest)))
          (else (cons* (car rest) (cadr rest) (loop (cddr rest)))))))

(define* (anneal target #:key (hook (const #f)) #:allow-other-keys #:rest settings)
  "Anneal a batch of chains on TARGET from the first temperature to the last; returns
a chain.  Settings, all optional:
  #:temperatures  a sequence of sigma, or (adaptive ...), which places them;
                  `default-temperatures' of the target's prior
  #:step-size     alpha, a number, a rule over sigma, or (dual-averaging ...); 0.45, with
                  the identity mass (power-law 10)
  #:trajectory-length  steps a trajectory: a number, a rule, a list to cycle through, or
                  (trajectory-time ...); (4 6), or where steps tune themselves
                  (trajectory-time 2.25)
  #:jitter        of each trajectory's step size, up and down; 0.2
  #:steps-per-temperature  moves a temperature, or a procedure of the moves made and, on
                  average, accepted; (accepted-steps 1), so that sigma does not fall while
                  most are rejected
  #:mass          'best of the target's, one of them by name ('fourier, 'normal, 'white),
                  'identity, a table M(k), what `make-mass' makes, or a procedure of sigma
  #:sampler       (hmc), (langevin), (mala), (probability-flow), (predictor-corrector), with
                  their own settings, or your own: see `make-move'
  #:chains        how many; 8
  #:seed          42
  #:keep          which states `rewind!' and `chain-states' find: 2, whenever sigma has fallen
                  to half; another factor; a list of sigmas; #t, all; #f, none
  #:hook          a procedure of the chain, called at the end of each temperature
  #:start         a tensor of the target's shape, to which noise of the first sigma is
                  added (where the data allow it, unless the mass is the identity), or one
                  (C ...) that is taken as it is
Ctrl-C pauses, as of `resume!', which goes on.  `paper-schedule' and `langevin-schedule' are
settings of others, for (apply anneal target paper-schedule); with their identity mass they want the
paper's likelihood, #:widening 1 of `posterior'.
Example: (anneal (posterior prior op y #:noise 0.1) #:chains 8 #:seed 42)"
  (resume! (apply start-chain target (without-keywords settings #:hook)) #:hook hook))

(pauses! resume! anneal)

(define (check-target who object)
  ;; A prior is what one has at hand, and what is sampled is a target.
  (check-that (not (or (prior? object) (learned? object))) who
              "target: ~s is a prior; (posterior prior op y #:noise 0.1) is its target with a \
measurement y, (prior-target prior~a) without one"
              object (if (learned? object) " #:shape '(64 64)" ""))
  (check-that (target? object) who
              "target: expected one, as `posterior' and `prior-target' make, got ~s" object))

(define* (start-chain target #:key (chains 8) start #:allow-other-keys #:rest arguments)
  "The chain that `anneal' begins with, at its first temperature, no move made, by the settings of
`anneal': to be looked at with `preview', and gone on with by `resume!'.
Example: (preview (start-chain target #:step-size 1))"
  (check-target 'anneal target)
  (check-that (positive-integer? chains) 'anneal "chains: expected a positive integer, got ~s" chains)
  (check-that (or (not start)
                  (and (tensor? start) (eq? (tensor-dtype start) (target-dtype target))
                       (member (tensor-shape start)
                               (list (target-shape target) (cons chains (target-shape target))))))
              'anneal "start: expected a ~a tensor of shape ~a, with or without ~a chains, got ~s"
              (target-dtype target) (target-shape target) chains start)
  (check-that (or (not start) (tensor-finite? start)) 'anneal
              "start: it has NaN or infinite values")
  (let* ((arguments (without-keywords arguments #:chains #:start))
         (settings (checked-settings 'anneal target arguments))
         (x (starting-state target settings chains start))
         (first (first-sigma (settings-temperatures settings)))
         (chain (make-chain target arguments settings x
                            (tensor-zeros (tensor-shape x) (tensor-dtype x))
                            (make-state #f first (initial-ratio settings) 0 0 0 0 0
                                        initial-tuning '())
                            '())))
    (when ((settings-keep? settings) +inf.0 first) (keep-state! chain))
    chain))

(define (fork chain . settings)
  "A new chain that stands where CHAIN does, with other SETTINGS (those of `anneal' but
#:chains, #:start and #:hook); `resume!' goes on with it.  New #:temperatures begin at the
first that is not above CHAIN's sigma.  With the same settings it goes the same way.
Example: (define bold (fork chain #:step-size (power-law 12 #:exponent 1.3)))"
  (check-that (chain? chain) 'fork "chain: expected one, got ~s" chain)
  (let* ((kept (apply without-keywords (chain-settings chain) (filter keyword? settings)))
         (arguments (append settings kept))
         (rules (checked-settings 'fork (chain-target chain) arguments))
         (placed (lambda (state)
                   ;; As it is to be gone on with under the new settings.
                   (let ((state (if (memq #:temperatures settings) (state-under rules state) state)))
                     (if (memq #:step-size settings)
                         (set-field state (state-tuning) initial-tuning)
                         state)))))
    (make-chain (chain-target chain) arguments rules
                (tensor-copy (chain-x chain)) (tensor-copy (chain-score chain))
                (placed (chain-state chain))
                (map (lambda (s)
                       (make-snapshot (snapshot-sigma s) (snapshot-x s) (snapshot-score s)
                                      (placed (snapshot-state s))))
                     (chain-kept chain)))))

(define (state-under rules state)
  ;; STATE at the first temperature of RULES that is not above its own.
  (let* ((temperatures (settings-temperatures rules))
         (sigma (or (state-sigma state) (transition-sigma (first (state-trace state)))))
         (begun (begin-below temperatures sigma)))
    (set-fields state
      ((state-sigma) (car begun))
      ((state-index) (cdr begun))
      ((state-ratio) (initial-ratio rules))
      ((state-steps) 0)
      ((state-accepted) 0))))

(define (begin-below temperatures sigma)
  ;; The first of TEMPERATURES that is not above SIGMA, or #f, and its index.
  (if (adaptive? temperatures)
      (cons (and (<= (adaptive-until temperatures) sigma)
                 (min sigma (adaptive-from temperatures)))
            0)
      (let ((index (list-index (lambda (s) (<= s sigma)) (vector->list temperatures))))
        (cons (and index (vector-ref temperatures index))
              (or index (vector-length temperatures))))))

(define (rewind! chain sigma)
  "Put CHAIN back into the last state it kept (see #:keep of `anneal') with moves at SIGMA or
above, and return it; `resume!' goes the same way again, and after `fork' another.  Nothing is
lost: where CHAIN stood is kept too, and a lower SIGMA brings it there again.
Example: (rewind! (rewind! chain 3) (chain-sigma chain))"
  (check-that (chain? chain) 'rewind! "chain: expected one, got ~s" chain)
  (check-that (positive-number? sigma) 'rewind! "sigma: expected a positive number, got ~s" sigma)
  (let*-values (((present?) (and (pair? (chain-kept chain))
                                 (eq? (chain-state chain) (snapshot-state (first (chain-kept chain))))))
                ((later kept) (break (lambda (s) (not-above? sigma (snapshot-sigma s)))
                                     (append (reverse (chain-later chain))
                                             (if (or present? (null? (chain-kept chain)))
                                                 '()
                                                 (list (present-snapshot chain)))
                                             (chain-kept chain)))))
    (check-that (pair? kept) 'rewind!
                "sigma: no state was kept at ~a or above; kept are those at ~a" sigma
                (if (null? (chain-kept chain)) "none: see #:keep of anneal"
                    (map (lambda (s) (significant (snapshot-sigma s) 3))
                         (reverse (chain-kept chain)))))
    (let ((found (first kept)))
      (call-with-blocked-asyncs
       (lambda ()
         (tensor-assign! (chain-x chain) (snapshot-x found))
         (tensor-assign! (chain-score chain) (snapshot-score found))
         (set-chain-state! chain (snapshot-state found))
         (set-chain-kept! chain kept)
         (set-chain-later! chain (reverse later)))))
    chain))

;;; --- Keeping ------------------------------------------------------------------

(define chain-format "tempera-chain-3")

(define* (save-chain path chain #:key (states? #t))
  "Write CHAIN to the safetensors file PATH: its state, its trace, and with STATES? the states
that it kept.  Target and settings are procedures, which are the script's: give them again
to `load-chain'.
Example: (save-chain \"chain.safetensors\" chain)"
  (check-that (chain? chain) 'save-chain "chain: expected one, got ~s" chain)
  (let ((rules (chain-rules chain))
        (kept (if states? (chain-kept chain) '())))
    (save-safetensors
     path
     (append (named-tensors "" (chain-x chain) (chain-score chain))
             (append-map (lambda (s k)
                           (named-tensors (kept-prefix k) (snapshot-x s) (snapshot-score s)))
                         kept (iota (length kept))))
     #:metadata
     `(("format" . ,chain-format)
       ("seed" . ,(number->string (settings-seed rules)))
       ("temperatures" . ,(object->string (temperatures-datum rules)))
       ("trace" . ,(object->string (map transition->list (chain-reversed-trace chain))))
       ("state" . ,(object->string (state->list (chain-state chain))))
       ("kept" . ,(object->string (map (lambda (s)
                                         (cons (snapshot-sigma s)
                                               (state->list (snapshot-state s))))
                                       kept)))))))

(define (named-tensors prefix x score)
  (map (lambda (name t)
         (cons (string-append prefix name) (if (eq? (tensor-dtype t) 'c64) (real-view t) t)))
       '("x" "score") (list x score)))

(define (kept-prefix k)
  (format #f "kept-~a." k))

(define (temperatures-datum rules)
  (let ((temperatures (settings-temperatures rules)))
    (if (adaptive? temperatures) (format #f "~a" temperatures) temperatures)))

(define (datum-text datum)
  ;; Of many temperatures their ends.
  (if (and (vector? datum) (> (vector-length datum) 3))
      (let ((n (vector-length datum)))
        (format #f "~a ... ~a (~a)" (vector-ref datum 0) (vector-ref datum (1- n)) n))
      datum))

(define (state->list state)
  ;; Its trace is the end of the chain's: how long it is, is enough.
  (list (state-sigma-scored state) (state-sigma state) (state-ratio state) (state-index state)
        (state-steps state) (state-accepted state) (state-counter state)
        (state-evaluations state) (state-tuning state) (length (state-trace state))))

(define (list->state data trace)
  ;; What `state->list' made, with TRACE for the chain's, newest first; or #f.
  (define (sigma? s) (or (not s) (positive-number? s)))
  (match data
    (((? sigma? scored) (? sigma? sigma) (? sigma? ratio) (? natural? index) (? natural? steps)
      (? real? accepted) (? natural? counter) (? natural? evaluations)
      ((? real? h) . (? natural? m)) (? natural? moves))
     (and (<= moves (length trace))
          (make-state scored sigma ratio index steps accepted counter evaluations (cons h m)
                      (list-tail trace (- (length trace) moves)))))
    (_ #f)))

(define (transition->list t)
  (list (transition-sigma t) (transition-step-size t) (transition-steps t)
        (transition-accepted t) (transition-energy-error t) (transition-evaluations t)
        (transition-ratio t)))

(define (valid-transition? t)
  (and (list? t) (= (length t) 7) (positive-number? (first t)) (positive-number? (second t))
       (natural? (third t)) (vector? (fourth t)) (natural? (sixth t))))

(define (load-chain path target . settings)
  "The chain that `save-chain' wrote to PATH, on TARGET and with SETTINGS as `anneal' had
them; `resume!' goes on to the bits of a chain that never was in a file.  For other
settings, `fork' it.
Example: (let ((file \"loaded.safetensors\"))
           (save-chain file chain)
           (load-chain file target #:seed 42))"
  (check-target 'load-chain target)
  (let*-values (((tensors metadata) (load-safetensors path))
                ((rules) (checked-settings 'load-chain target settings)))
    (define (datum name)
      (false-if-exception (call-with-input-string (assoc-ref metadata name) read)))
    (define complex? (eq? (target-dtype target) 'c64))
    (define shape (append (target-shape target) (if complex? '(2) '())))
    (define (part name)
      (let ((t (assoc-ref tensors name)))
        (check-that (and t (equal? (cdr (tensor-shape t)) shape)) 'load-chain
                    "~a: ~a: expected chains of shape ~a, got ~a" path name shape
                    (and t (tensor-shape t)))
        (if complex? (complex-view t) t)))
    (define (parts prefix)
      (let ((x (part (string-append prefix "x"))) (score (part (string-append prefix "score"))))
        (check-that (equal? (tensor-shape x) (tensor-shape score)) 'load-chain
                    "~a: x and score differ in shape" path)
        (check-that (tensor-finite? x) 'load-chain "~a: ~ax has NaN or infinite values" path prefix)
        (list x score)))
    (let* ((rows (datum "trace"))
           (trace (and (list? rows) (every valid-transition? rows)
                       (map (lambda (t) (apply make-transition t)) rows)))
           (state (and trace (list->state (datum "state") trace)))
           (kept (datum "kept"))
           (kept (and trace (list? kept) (every pair? kept) (every positive-number? (map car kept))
                      (map (lambda (k) (cons (car k) (list->state (cdr k) trace))) kept))))
      (check-that (and (equal? (assoc-ref metadata "format") chain-format)
                       state kept (every cdr kept))
                  'load-chain "~a: expected a chain of format ~a" path chain-format)
      (check-no-others 'load-chain path tensors
                       (append-map (lambda (prefix)
                                     (list (string-append prefix "x") (string-append prefix "score")))
                                   (cons "" (map kept-prefix (iota (length kept))))))
      (for-each (lambda (name wanted)
                  (check-that (equal? wanted (datum name)) 'load-chain
                              "~a: it was annealed with ~a ~a, got ~a" path name
                              (datum-text (datum name)) (datum-text wanted)))
                '("seed" "temperatures")
                (list (settings-seed rules) (temperatures-datum rules)))
      (match (parts "")
        ((x score)
         (make-chain target settings rules x score state
                     (map (lambda (k number)
                            (match (parts (kept-prefix number))
                              ((x score) (make-snapshot (car k) x score (cdr k)))))
                          kept (iota (length kept)))))))))

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

(document
 (chain?
  "True when OBJECT is a chain.
Example: (chain? chain) => #t")
 (chain-target
  "The target of CHAIN.
Example: (chain-target chain)")
 (chain-settings
  "The settings of CHAIN as `anneal' got them, keywords and values.
Example: (chain-settings chain) => (#:seed 42)")
 (transition-sigma
  "The temperature of TRANSITION.
Example: (map transition-sigma (chain-trace chain))")
 (transition-step-size
  "The step size of TRANSITION, jitter included.
Example: (map transition-step-size (chain-trace chain))")
 (transition-steps
  "The steps of the trajectory of TRANSITION.
Example: (map transition-steps (chain-trace chain))")
 (transition-accepted
  "Which chains accepted TRANSITION, a vector of booleans.
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
