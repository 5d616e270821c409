;;; anneal.scm -- annealing: a batch of chains from a high temperature to a low one.
;;;
;;; At each temperature sigma the chains make transitions (kernel.scm) on a target (targets.scm).
;;; Temperatures and step sizes are given, or adapted (adaptation.scm).  What `anneal' returns is a
;;; chain (chain.scm): a value that can be looked at, gone on with and forked.

(define-module (tempera sample anneal)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base keywords)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor ranks)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample adaptation)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample chain-warnings)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample samplers)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:export (anneal start-chain resume! chain-ahead))

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
          (else (adaptation-index (chain-adaptation chain))))))

(define most-transitions 10000)         ; a temperature, before it is taken to have no end

(define* (chain-ahead chain #:optional (acceptance (const 1)))
  "What CHAIN has ahead of it by its settings, if of the proposals at a sigma the part
ACCEPTANCE, a procedure of sigma, is accepted: a list of (sigma steps ...) with the
integrator steps of each trajectory at each temperature.
Example: (length (chain-ahead (start-chain target))) => 151"
  (check-that (chain? chain) 'chain-ahead "chain: expected one, got ~s" chain)
  (let* ((rules (chain-rules chain))
         (size (step-size-rule rules (chain-adaptation chain)))
         (transitions (lambda (sigma)
                        (let loop ((n 1))
                          (if (or (= n most-transitions)
                                  ((rules-temperature-over? rules) n (* n (acceptance sigma))))
                              n
                              (loop (1+ n)))))))
    (let loop ((sigmas (temperatures-ahead rules (chain-adaptation chain)))
               (number (chain-transitions chain)) (ahead '()))
      (if (null? sigmas)
          (reverse ahead)
          (let* ((sigma (first sigmas)) (n (transitions sigma)))
            (loop (cdr sigmas) (+ number n)
                  (cons (cons sigma
                              (map (lambda (k)
                                     ((rules-trajectory-length rules) sigma (+ number k)
                                      (size sigma)))
                                   (iota n)))
                        ahead)))))))

(define (advance! chain committed)
  ;; One transition; the chain changes at the end, all at once, with what COMMITTED, a thunk, notes.
  (let* ((rules (chain-rules chain)) (sigma (chain-sigma chain)))
    (let*-values (((state adaptation) (adapt-to-state rules (chain-adaptation chain)
                                                      (chain-present chain)))
                  ((state made) (transition (adapted-kernel rules adaptation state) state))
                  ((next) (adapt rules adaptation made)))
      (call-with-blocked-asyncs
       (lambda ()
         (chain-commit! chain state next
                        (set-field made (transition-ratio) (adaptation-ratio adaptation)))
         (unless (= (adaptation-index next) (adaptation-index adaptation))
           (keep-by-rule! chain sigma))
         (committed))))))

(define (keep-by-rule! chain sigma)
  ;; After the last transition at SIGMA.
  (let ((kept (chain-kept chain)))
    (when (and (pair? kept)
               ((rules-keep? (chain-rules chain)) (snapshot-sigma (first kept)) sigma))
      (chain-keep! chain))))

(define* (resume! chain #:key (hook (const #f)))
  "Go on with CHAIN from where it stands to its last temperature, and return it.  HOOK is
called with CHAIN at the end of each temperature, to look, to measure, to keep, also of one that ended
as Ctrl-C was typed.
Ctrl-C pauses it after the last whole transition: the call returns it where it was typed at the
prompt itself; in a program nothing goes on with it, and `last-paused' has it.
Example: (resume! (fork chain #:temperatures '(0.04 0.03))
                  #:hook (lambda (chain) (display (chain-sigma chain))))"
  (check-that (chain? chain) 'resume! "chain: expected one, got ~s" chain)
  (check-that (procedure? hook) 'resume! "hook: expected a procedure of a chain, got ~s" hook)
  (let* ((begun (annealed chain))       ; the time left is that of what is left
         (progress (make-progress "annealing" (- (annealed-in-all chain) begun)))
         (due? #f))                     ; has a temperature ended that HOOK was not called of?
    (define (call-hook)
      (set! due? #f)
      (hook chain))
    (call-with-pause chain "chain"
     (lambda ()
       (call-together
        (lambda ()
          (let loop ()
            (unless (chain-finished? chain)
              (let ((index (adaptation-index (chain-adaptation chain))))
                (with-scope
                 (lambda ()
                   (advance! chain
                             (lambda ()
                               (set! due? (not (= index (adaptation-index (chain-adaptation chain)))))))))
                (progress-update! progress (- (annealed chain) begun)
                                  #:text (lambda ()
                                           (format #f "sigma ~a  accepted ~a"
                                                   (significant (chain-sigma chain) 3)
                                                   (significant (chain-acceptance chain) 3))))
                (when due? (call-hook)))
              (loop))))))
     (lambda (name)
       (progress-finish! progress)
       (when due? (call-apart call-hook))
       (when name
         (format (current-error-port) "paused at sigma ~a; (resume! ~a) goes on~%"
                 (significant (chain-sigma chain) 3) name))))
    (progress-finish! progress)
    (when (chain-finished? chain) (print-warnings chain))
    chain))

(define (starting-x rules chains start)
  ;; Zero-filled + sigma_0 z, a z for every chain; or START as it is.  With a mass of the target's,
  ;; which has its curvature, the noise is that of covariance M^-1: what was measured, and is not
  ;; blurred, begins where it belongs.  For trajectories it is a tenth hotter, as chains are that
  ;; come from a temperature before; too cold ones gain energy by the steps' size, and are rejected.
  ;; Where that mass is no table, zero-filled images do not fit the data, and with M^-1 times the
  ;; likelihood's score they do.
  (let* ((target (rules-target rules))
         (shape (cons chains (target-shape target)))
         (sigma (first-sigma (rules-temperatures rules)))
         (seed (rules-seed rules))
         (stream (random-stream 'start))
         (mass (and ((rules-mass rules) sigma)
                    (pair? (target-masses target))
                    ((cdr (first (target-masses target))) sigma)))
         (centre (or start (target-start target)))
         (pull (and mass (not start) centre (not (tensor? mass)) (has-likelihood-score? target)
                    (lambda (m) (tensor+ m (target-likelihood-score target (batch-of-one centre) sigma))))))
    (if (and start (equal? (tensor-shape start) shape))
        (tensor-copy start)
        (let ((noise (if mass
                         (let* ((like (tensor-zeros shape (target-dtype target)))
                                (heat (if (sampler-integrator (rules-sampler rules)) 1.1 1))
                                (m (mass-draw mass like seed stream)))
                           (if pull
                               (mass-velocity mass (pull (tensor* heat m)))
                               (tensor* heat (mass-velocity mass m))))
                         (tensor* sigma (random-normal shape seed stream (target-dtype target))))))
          (if centre (tensor+ noise centre) noise)))))

(define* (anneal target #:key (hook (const #f)) #:allow-other-keys #:rest settings)
  "Anneal a batch of chains on TARGET from the first temperature to the last; returns
a chain.  Settings, all optional:
  #:temperatures  a sequence of sigma, or (adaptive ...), which places them;
                  `default-temperatures' of the target's prior
  #:step-size     alpha, a number, a rule over sigma, or (dual-averaging ...); 0.45, with
                  the identity mass (power-law 10)
  #:trajectory-length  integrator steps a trajectory: a number, a rule, a list to cycle through, or
                  (trajectory-time ...); (4 6), or where steps tune themselves
                  (trajectory-time 2.25)
  #:jitter        of each trajectory's step size, up and down; 0.2
  #:transitions-per-temperature  a number, or a procedure of how many were made and, on
                  average, accepted; (accepted-transitions 1), so that sigma does not fall while
                  most are rejected
  #:mass          'best of the target's, one of them by name ('fourier, 'normal, 'white),
                  'identity, a table M(k), what `make-mass' makes, or a procedure of sigma
  #:sampler       (hmc), (langevin), (mala), (split-gibbs), (reverse-diffusion), (probability-flow),
                  (predictor-corrector), with their own settings, or your own: see `make-kernel';
                  (hmc), of a network's `prior-target' (reverse-diffusion)
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
  (resume! (apply start-chain target (without-keywords 'anneal settings #:hook)) #:hook hook))

(pauses! resume! anneal)

(define* (start-chain target #:key (chains 8) start #:allow-other-keys #:rest settings)
  "The chain that `anneal' begins with, at its first temperature, no transition made; by the
settings of `anneal'.  To be looked at with `preview', and gone on with by `resume!'.
Example: (preview (start-chain target #:step-size 1))"
  (let* ((settings (without-keywords 'anneal settings #:chains #:start))
         (rules (settings->rules 'anneal target settings)))
    (check-that (positive-integer? chains) 'anneal
                "chains: expected a positive integer, got ~s" chains)
    (check-that (or (not start)
                    (and (tensor? start) (eq? (tensor-dtype start) (target-dtype target))
                         (member (tensor-shape start)
                                 (list (target-shape target) (cons chains (target-shape target))))))
                'anneal "start: expected a ~a tensor of shape ~a, with or without ~a chains, got ~s"
                (target-dtype target) (target-shape target) chains start)
    (check-that (or (not start) (tensor-finite? start)) 'anneal
                "start: it has NaN or infinite values")
    (let ((chain (make-chain settings rules (make-state (starting-x rules chains start))
                             (initial-adaptation rules))))
      (when ((rules-keep? rules) +inf.0 (chain-sigma chain)) (chain-keep! chain))
      chain)))
