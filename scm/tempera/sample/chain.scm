;;; chain.scm -- a chain: a batch of C Markov chains with what they went through.
;;;
;;; It is what `anneal' returns: its rules, the state its chains are in, what was adapted, and the
;;; trace of its transitions; with the states that were kept on the way, to which it can be rewound.
;;; A fork goes on from the same state by other settings.
;;;
;;; A chain changes by whole transitions, all at once, so that one that was interrupted and resumed
;;; has the bits of one that was not.

(define-module (tempera sample chain)
  #:use-module ((oop goops) #:select (define-method))
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base keywords)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample adaptation)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:export (make-chain chain? chain-target chain-settings chain-rules chain-sampler
            chain-state chain-adaptation chain-x chain-present chain-reversed-trace chain-count
            chain-samples chain-mean chain-std chain-sigma chain-states chain-trace
            chain-acceptance chain-evaluations chain-transitions chain-finished?
            chain-temperatures
            make-snapshot snapshot-sigma snapshot-state snapshot-adaptation snapshot-trace
            chain-kept chain-commit! chain-keep!
            fork rewind!))

(define-record-type <chain>
  (%make-chain settings rules state adaptation trace kept later)
  chain?
  (settings chain-settings)             ; of `anneal', keywords and values
  (rules chain-rules)                   ; that they make
  (state chain-present set-chain-state!) ; in tensors of its own, written into
  (adaptation chain-adaptation set-chain-adaptation!)
  (trace chain-reversed-trace set-chain-trace!) ; transitions, newest first
  (kept chain-kept set-chain-kept!)     ; snapshots, newest first
  (later chain-later set-chain-later!)) ; those ahead of a chain that was rewound, oldest first

;; A state that can be gone back to, with the sigma that the chains were at last.
(define-record-type <snapshot>
  (make-snapshot sigma state adaptation trace)
  snapshot?
  (sigma snapshot-sigma)
  (state snapshot-state)                ; its tensors are not to be written into: chains share them
  (adaptation snapshot-adaptation)
  (trace snapshot-trace))

(define* (make-chain settings rules state adaptation #:key (trace '()) (kept '()))
  "The chain with SETTINGS, which make RULES, in STATE, whose tensors become its own, with
ADAPTATION, TRACE, newest first, and the snapshots KEPT, newest first.
Example: (make-chain '() (chain-rules chain) (chain-state chain) (chain-adaptation chain))"
  (%make-chain settings rules state adaptation trace kept '()))

(set-record-type-printer! <chain>
  (lambda (c port)
    (let ((temperatures (chain-temperatures c)))
      (format port "#<chain ~a x ~a, ~a sigma ~a~a, ~a transitions~a>"
              (chain-count c) (cdr (tensor-shape (chain-x c)))
              (if (chain-finished? c) "finished at" "at")
              (significant (chain-sigma c) 3)
              (if (adaptive? temperatures)
                  ""
                  (let ((n (vector-length temperatures)))
                    (format #f " (~a of ~a)"
                            (min n (1+ (adaptation-index (chain-adaptation c)))) n)))
              (chain-transitions c)
              (if (zero? (chain-transitions c))
                  ""
                  (format #f ", accepted ~a" (significant (chain-acceptance c) 3)))))))

;;; --- What it is -----------------------------------------------------------------

(define (chain-target chain)
  "The target of CHAIN.
Example: (chain-target chain)"
  (rules-target (chain-rules chain)))

(define (chain-sampler chain)
  "The sampler that proposes for CHAIN.
Example: (sampler-integrator (chain-sampler chain)) => leapfrog"
  (rules-sampler (chain-rules chain)))

(define (chain-temperatures chain)
  "The temperatures of CHAIN, a vector, or what `adaptive' makes.
Example: (vector-length (chain-temperatures chain)) => 151"
  (rules-temperatures (chain-rules chain)))

(define (chain-x chain)
  "Where the chains of CHAIN are, its own tensor (C ...), which is written into as it goes on.
Example: (tensor-shape (chain-x chain)) => (8 16 16)"
  (state-x (chain-present chain)))

(define (chain-count chain)
  "How many chains CHAIN has.
Example: (chain-count chain) => 8"
  (car (tensor-shape (chain-x chain))))

(define (chain-state chain)
  "The state of CHAIN, in tensors of its own: `transition' goes on from it, CHAIN stays.
Example: (transition kernel (chain-state chain))"
  (state-copy (chain-present chain)))

(define (chain-transitions chain)
  "How many transitions CHAIN made.
Example: (chain-transitions (start-chain target)) => 0"
  (state-number (chain-present chain)))

(define (chain-evaluations chain)
  "How often the score of CHAIN's batch was taken so far.
Example: (chain-evaluations chain)"
  (state-evaluations (chain-present chain)))

(define (chain-finished? chain)
  "True when CHAIN has been at its last temperature.
Example: (chain-finished? (start-chain target)) => #f"
  (adaptation-finished? (chain-adaptation chain)))

(define (chain-sigma chain)
  "The temperature that CHAIN is at; of a finished one, its last.
Example: (chain-sigma chain) => 0.046"
  (or (adaptation-sigma (chain-adaptation chain))
      ;; Not the last of its temperatures: those of a fork may all be above what was reached.
      (let ((trace (chain-reversed-trace chain)))
        (if (pair? trace)
            (transition-sigma (first trace))
            (last-sigma (chain-temperatures chain))))))

(define (chain-samples chain)
  "The samples of CHAIN, one for each of its C chains: a new tensor (C ...).
Example: (tensor-shape (chain-samples chain)) => (8 16 16)"
  (tensor-copy (chain-x chain)))

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

(define (sigma-reached chain)
  ;; At which its transitions were last, or would be first.
  (let ((trace (chain-reversed-trace chain)))
    (if (pair? trace) (transition-sigma (first trace)) (chain-sigma chain))))

(define (snapshot-of-present? chain snapshot)
  (eq? (chain-adaptation chain) (snapshot-adaptation snapshot)))

(define (chain-states chain)
  "What CHAIN went through, a list of (sigma . samples) from its first state to the present:
the states kept by #:keep of `anneal', each with the sigma of the transitions before it; samples
are (C ...), shared and not to be written into.
Example: (map car (chain-states chain))"
  (check-that (chain? chain) 'chain-states "chain: expected one, got ~s" chain)
  (let ((kept (map (lambda (s) (cons (snapshot-sigma s) (state-x (snapshot-state s))))
                   (chain-kept chain))))
    (reverse (if (and (pair? kept) (snapshot-of-present? chain (first (chain-kept chain))))
                 kept
                 (cons (cons (sigma-reached chain) (chain-samples chain)) kept)))))

;;; --- Going on -------------------------------------------------------------------

(define (present-snapshot chain)
  (let ((state (chain-state chain)))
    ;; Past the scope of a transition.
    (keep! (state-x state))
    (keep! (state-score state))
    (make-snapshot (sigma-reached chain) state (chain-adaptation chain)
                   (chain-reversed-trace chain))))

(define (chain-keep! chain)
  "Keep the present state of CHAIN, for `rewind!' and `chain-states'.
Example: (chain-keep! chain)"
  (set-chain-kept! chain (cons (present-snapshot chain) (chain-kept chain))))

(define (chain-commit! chain state adaptation transition)
  "Put CHAIN into STATE, which a TRANSITION led to, with ADAPTATION: all at once.
Example: (let-values (((state t) (transition kernel (chain-state chain))))
           (chain-commit! chain state (chain-adaptation chain) t))"
  (call-with-blocked-asyncs
   (lambda ()
     (put! chain state adaptation (cons transition (chain-reversed-trace chain)))
     ;; Where a rewound chain comes by again, it goes the same way.
     (set-chain-later! chain (drop-while (lambda (s)
                                           (<= (state-number (snapshot-state s))
                                               (chain-transitions chain)))
                                         (chain-later chain))))))

(define (put! chain state adaptation trace)
  (set-chain-state! chain (state-assign! (chain-present chain) state))
  (set-chain-adaptation! chain adaptation)
  (set-chain-trace! chain trace))

(define (fork chain . settings)
  "A new chain that stands where CHAIN does, with other SETTINGS (those of `anneal' but
#:chains, #:start and #:hook); `resume!' goes on with it.  New #:temperatures begin at the
first that is not above CHAIN's sigma.  With the same settings it goes the same way.
Example: (define bold (fork chain #:step-size (power-law 12 #:exponent 1.3)))"
  (check-that (chain? chain) 'fork "chain: expected one, got ~s" chain)
  (let* ((all (append settings (apply without-keywords 'fork (chain-settings chain)
                                      (filter keyword? settings))))
         (rules (settings->rules 'fork (chain-target chain) all))
         (placed (lambda (adaptation reached)
                   ;; As it is to be gone on with under the new settings.
                   (let ((adaptation (if (memq #:temperatures settings)
                                         (adaptation-under rules adaptation reached)
                                         adaptation)))
                     (if (memq #:step-size settings)
                         (set-field adaptation (adaptation-tuning) initial-tuning)
                         adaptation)))))
    (make-chain all rules (chain-state chain)
                (placed (chain-adaptation chain) (sigma-reached chain))
                #:trace (chain-reversed-trace chain)
                #:kept (map (lambda (s)
                              (make-snapshot (snapshot-sigma s) (snapshot-state s)
                                             (placed (snapshot-adaptation s) (snapshot-sigma s))
                                             (snapshot-trace s)))
                            (chain-kept chain)))))

(define (rewind! chain sigma)
  "Put CHAIN back into the last state it kept (see #:keep of `anneal') with transitions at SIGMA or
above, and return it; `resume!' goes the same way again, and after `fork' another.  Nothing is
lost: where CHAIN stood is kept too, and a lower SIGMA brings it there again.
Example: (rewind! (rewind! chain 3) (chain-sigma chain))"
  (check-that (chain? chain) 'rewind! "chain: expected one, got ~s" chain)
  (check-that (positive-number? sigma) 'rewind! "sigma: expected a positive number, got ~s" sigma)
  (let*-values (((present?) (and (pair? (chain-kept chain))
                                 (snapshot-of-present? chain (first (chain-kept chain)))))
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
         (put! chain (snapshot-state found) (snapshot-adaptation found) (snapshot-trace found))
         (set-chain-kept! chain kept)
         (set-chain-later! chain (reverse later)))))
    chain))

;;; --- Denoising ----------------------------------------------------------------

(define-method (denoise what)
  (if (chain? what)
      (denoise (chain-target what) (chain-x what) (chain-sigma what))
      (next-method)))

(document
 (chain?
  "True when OBJECT is a chain.
Example: (chain? chain) => #t")
 (chain-settings
  "The settings of CHAIN as `anneal' got them, keywords and values.
Example: (chain-settings chain) => (#:seed 42)")
 (chain-rules
  "The rules of CHAIN that its settings make, for `adapted-kernel' and `adapt'.
Example: (chain-rules chain)")
 (chain-adaptation
  "What CHAIN has adapted: its temperature, ratio and step size.
Example: (adaptation-finished? (chain-adaptation chain)) => #t"))
