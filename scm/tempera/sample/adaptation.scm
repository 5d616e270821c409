;;; adaptation.scm -- what is adapted from one transition to the next: temperature and step size.
;;;
;;; The kernel of a transition follows from the rules of an annealing (settings.scm) and from an
;;; adaptation: the temperature, how many transitions were made and accepted there, the ratio to the
;;; next one, and the state of dual averaging.  All is a function of these and of what the
;;; transitions were, so that annealing is a loop:
;;;
;;;   (let loop ((state state) (adaptation adaptation))
;;;     (if (adaptation-finished? adaptation)
;;;         state
;;;         (let*-values (((state adaptation) (adapt-to-state rules adaptation state))
;;;                       ((kernel) (adapted-kernel rules adaptation state))
;;;                       ((state transition) (transition kernel state)))
;;;           (loop state (adapt rules adaptation transition)))))

(define-module (tempera sample adaptation)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem masses)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:export (make-adaptation initial-adaptation adaptation? adaptation-sigma adaptation-ratio
            adaptation-index adaptation-transitions adaptation-accepted adaptation-tuning
            adaptation-finished? next-sigma temperatures-ahead step-size-rule
            adapt-to-state adapted-kernel adapt adapt-step-size adaptation-under))

(define-immutable-record-type <adaptation>
  (make-adaptation sigma ratio index transitions accepted tuning)
  adaptation?
  (sigma adaptation-sigma)              ; of the next transition, #f when there is none
  (ratio adaptation-ratio)              ; to the next one, of adaptive temperatures; else #f
  (index adaptation-index)              ; of the temperature
  (transitions adaptation-transitions)  ; made at it,
  (accepted adaptation-accepted)        ; of which accepted, mean over chains
  (tuning adaptation-tuning))           ; of the step size

(set-record-type-printer! <adaptation>
  (lambda (a port)
    (if (adaptation-finished? a)
        (display "#<adaptation, finished>" port)
        (format port "#<adaptation at sigma ~a, ~a transitions there>"
                (significant (adaptation-sigma a) 3) (adaptation-transitions a)))))

(define (initial-adaptation rules)
  "The adaptation before any transition by RULES.
Example: (adaptation-sigma (initial-adaptation (chain-rules chain))) => 100.0"
  (make-adaptation (first-sigma (rules-temperatures rules)) (initial-ratio rules) 0 0 0
                   initial-tuning))

(define (adaptation-finished? adaptation)
  "True when ADAPTATION is past the last temperature.
Example: (adaptation-finished? (chain-adaptation chain)) => #t"
  (not (adaptation-sigma adaptation)))

;;; --- Temperatures -------------------------------------------------------------

(define (next-sigma rules adaptation)
  "The temperature after that of ADAPTATION, which is not finished, by RULES; #f at the last.
Example: (next-sigma (chain-rules chain) (initial-adaptation (chain-rules chain))) => 95.0"
  (let ((temperatures (rules-temperatures rules)) (sigma (adaptation-sigma adaptation))
        (next (1+ (adaptation-index adaptation))))
    (if (adaptive? temperatures)
        (let ((until (adaptive-until temperatures)))
          (and (> sigma until) (max until (* (adaptation-ratio adaptation) sigma))))
        (and (< next (vector-length temperatures)) (vector-ref temperatures next)))))

(define (temperatures-ahead rules adaptation)
  "The temperatures from that of ADAPTATION to the last, a list; adaptive ones as if they kept the
ratio that they have now.
Example: (let ((rules (chain-rules chain)))
           (length (temperatures-ahead rules (initial-adaptation rules)))) => 151"
  (let ((temperatures (rules-temperatures rules)))
    (cond ((adaptation-finished? adaptation) '())
          ((adaptive? temperatures)
           (schedule->list (geometric (adaptation-sigma adaptation)
                                      #:ratio (adaptation-ratio adaptation)
                                      #:until (adaptive-until temperatures))))
          (else (list-tail (vector->list temperatures) (adaptation-index adaptation))))))

(define (score-change mass g1 g)
  ;; |M^-1/2 (g1 - g)|, root mean square over dimensions and over chains whose scores are finite.
  (let* ((d (tensor- g1 g))
         (dimensions (* (apply * (cdr (tensor-shape d))) (if (eq? (tensor-dtype d) 'c64) 2 1)))
         (squares (filter finite? (vector->list (chains-dot d (mass-velocity mass d))))))
    (sqrt (max 0 (/ (apply + squares) (* dimensions (max 1 (length squares))))))))

(define (adapt-to-state rules adaptation state)
  "STATE with its score at the temperature of ADAPTATION, and ADAPTATION with the ratio to the next
one, which where RULES have adaptive temperatures follows from how far the score changed.  Two
values; only the first transition at a temperature makes a difference, and costs an evaluation.
Example: (adapt-to-state (chain-rules chain) (initial-adaptation (chain-rules chain)) state)"
  (let* ((temperatures (rules-temperatures rules)) (sigma (adaptation-sigma adaptation))
         (scored (state-sigma state))
         (now (state-at state (rules-target rules) sigma)))
    (values now
            (if (and (adaptive? temperatures) scored (not (eqv? scored sigma)))
                (set-field adaptation (adaptation-ratio)
                           (next-ratio temperatures (adaptation-ratio adaptation)
                                       (score-change ((rules-mass rules) sigma) (state-score now)
                                                     (state-score state))))
                adaptation))))

(define (adaptation-under rules adaptation reached)
  "ADAPTATION of chains that have REACHED a sigma as it is under new RULES: at the first of their
temperatures that is not above its own.
Example: (let ((rules (chain-rules chain)))
           (adaptation-sigma (adaptation-under rules (chain-adaptation chain) 0.046))) => 0.046"
  (let* ((temperatures (rules-temperatures rules))
         (sigma (or (adaptation-sigma adaptation) reached))
         (index (if (adaptive? temperatures)
                    0
                    (or (list-index (lambda (s) (<= s sigma)) (vector->list temperatures))
                        (vector-length temperatures)))))
    (make-adaptation
     (cond ((adaptive? temperatures)
            (and (<= (adaptive-until temperatures) sigma) (min sigma (adaptive-from temperatures))))
           ((< index (vector-length temperatures)) (vector-ref temperatures index))
           (else #f))
     (initial-ratio rules) index 0 0 (adaptation-tuning adaptation))))

;;; --- Kernels --------------------------------------------------------------------

(define (step-size-rule rules adaptation)
  "The procedure of sigma that gives the step size by RULES and ADAPTATION, before jitter.
Example: ((step-size-rule (chain-rules chain) (chain-adaptation chain)) 1) => 0.45"
  (let ((rule (rules-step-size rules)))
    (if (dual-averaging? rule)
        (const (tuned-step-size rule (adaptation-tuning adaptation)))
        rule)))

(define (jittered rules size number)
  (let ((jitter (rules-jitter rules)))
    (if (zero? jitter)
        size
        (let ((u (tensor->number (random-uniform '(1) (rules-seed rules)
                                                 (random-stream 'jitter number)))))
          (* size (+ 1 (* jitter (- (* 2 u) 1))))))))

(define* (adapted-kernel rules adaptation state #:key (sigma (adaptation-sigma adaptation))
                         (next-sigma (next-sigma rules adaptation)))
  "The kernel by RULES of the next transition from STATE, at the temperature of ADAPTATION; or at
SIGMA, with NEXT-SIGMA after it.
Example: (let ((rules (chain-rules chain)))
           (kernel-sigma (adapted-kernel rules (initial-adaptation rules) state))) => 100.0"
  (let* ((number (state-number state))
         (size (jittered rules ((step-size-rule rules adaptation) sigma) number)))
    (make-kernel (rules-target rules) (rules-sampler rules)
                 #:sigma sigma #:next-sigma next-sigma #:step-size size
                 #:steps ((rules-trajectory-length rules) sigma number size)
                 #:mass ((rules-mass rules) sigma) #:seed (rules-seed rules))))

;;; --- After a transition -----------------------------------------------------------

(define (acceptance-probability energy-errors)
  ;; Of the chains that have a score.
  (mean (map (lambda (e) (if (finite? e) (min 1 (exp (- e))) 0))
             (remove nan? (vector->list energy-errors)))))

(define (adapt-step-size rules adaptation transition)
  "ADAPTATION with the step size that RULES have after TRANSITION, at the same temperature.
Example: (adapt-step-size (chain-rules chain) (chain-adaptation chain) (car (chain-trace chain)))"
  (let ((rule (rules-step-size rules)) (errors (transition-energy-error transition)))
    (if (and errors (dual-averaging? rule))
        (set-field adaptation (adaptation-tuning)
                   (tune rule (adaptation-tuning adaptation) (acceptance-probability errors)))
        adaptation)))

(define (adapt rules adaptation transition)
  "The adaptation by RULES after TRANSITION: the step size, and the next temperature where this
one is over.
Example: (let ((rules (chain-rules chain)))
           (adapt rules (initial-adaptation rules) (car (chain-trace chain))))"
  (let* ((adapted (adapt-step-size rules adaptation transition))
         (made (1+ (adaptation-transitions adaptation)))
         (accepted (+ (adaptation-accepted adaptation) (transition-acceptance transition))))
    (if ((rules-temperature-over? rules) made accepted)
        (set-fields adapted
          ((adaptation-sigma) (next-sigma rules adaptation))
          ((adaptation-index) (1+ (adaptation-index adaptation)))
          ((adaptation-transitions) 0)
          ((adaptation-accepted) 0))
        (set-fields adapted
          ((adaptation-transitions) made)
          ((adaptation-accepted) accepted)))))

(document
 (make-adaptation
  "The adaptation at SIGMA, number INDEX of the temperatures, with RATIO to the next one where they
are adaptive, else #f, after TRANSITIONS there, of which ACCEPTED, with TUNING of the step size.
Example: (make-adaptation 1.0 #f 3 0 0 '(0. . 0))")
 (adaptation?
  "True when OBJECT is an adaptation.
Example: (adaptation? (chain-adaptation chain)) => #t")
 (adaptation-sigma
  "The temperature of the transition that is next by ADAPTATION; #f when there is none.
Example: (adaptation-sigma (chain-adaptation (start-chain target))) => 100.0")
 (adaptation-ratio
  "The ratio to the next temperature of ADAPTATION where they are adaptive; else #f.
Example: (adaptation-ratio (chain-adaptation chain)) => #f")
 (adaptation-index
  "The number of the temperature of ADAPTATION, from 0.
Example: (adaptation-index (chain-adaptation chain)) => 151")
 (adaptation-transitions
  "How many transitions were made at the temperature of ADAPTATION.
Example: (adaptation-transitions (chain-adaptation chain)) => 0")
 (adaptation-accepted
  "How many of these were accepted, mean over chains.
Example: (adaptation-accepted (chain-adaptation chain)) => 0")
 (adaptation-tuning
  "The state of dual averaging of ADAPTATION, as `tune' has it.
Example: (adaptation-tuning (chain-adaptation chain)) => (0.0 . 0)"))
