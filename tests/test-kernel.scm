;;; test-kernel.scm -- transitions as functions: chains driven by a program's own loop have the bits
;;; that `anneal' gives.

(use-modules (harness) (small-problem)
             (tempera) (tempera tensor primitives)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "kernel")

;;; --- A loop of one's own --------------------------------------------------------------

;; As in doc/sampling.texi: a transition a temperature, all else fixed.
(define mass (assq-ref (target-masses target) 'fourier))
(define (kernel-at sigma)
  (make-kernel target (hmc) #:sigma sigma #:step-size 0.45 #:steps 5 #:mass (mass sigma) #:seed 7))
(define beginning (start-chain target #:chains 3 #:seed 7 #:temperatures temperatures))

(let loop ((state (chain-state beginning)) (sigmas (schedule->list temperatures)) (seen '()))
  (if (pair? sigmas)
      (let-values (((state made) (transition (kernel-at (car sigmas)) state)))
        (loop state (cdr sigmas) (cons made seen)))
      (let ((chain (anneal target #:chains 3 #:seed 7 #:temperatures temperatures #:step-size 0.45
                           #:trajectory-length 5 #:jitter 0 #:transitions-per-temperature 1)))
        (test-assert "the bits of anneal" (tensor-identical? (state-x state) (chain-samples chain)))
        (test-equal "its evaluations" (chain-evaluations chain) (state-evaluations state))
        (test-equal "its energy errors" (map transition-energy-error (chain-trace chain))
          (map transition-energy-error (reverse seen))))))

(test-equal "rules print in a line" "#<rules for two moons, 3 temperatures from 4.0 to 1.0, seed 42>"
  (object->string (chain-rules (start-chain (prior-target (two-moons-prior)) #:temperatures '(4 2 1)))
                  display))

;; What `anneal' does, with all that it adapts: the loop at the head of adaptation.scm.
(define (driven chain)
  ;; Where CHAIN's rules lead, and the transitions on the way; CHAIN stays.
  (let ((rules (chain-rules chain)))
    (let loop ((state (chain-state chain)) (adaptation (chain-adaptation chain)) (trace '()))
      (if (adaptation-finished? adaptation)
          (values state (reverse trace))
          (let*-values (((state adaptation) (adapt-to-state rules adaptation state))
                        ((state made) (transition (adapted-kernel rules adaptation state) state)))
            (loop state (adapt rules adaptation made) (cons made trace)))))))

(define (decided t)
  (list (transition-step-size t) (transition-evaluations t) (transition-accepted t)))
(for-each
 (lambda (name settings)
   (let ((chain (apply start-chain target #:chains 3 #:seed 7 settings)))
     (let-values (((state trace) (driven chain)))
       (test-equal (string-append name ": the chain stays") 0 (chain-transitions chain))
       (resume! chain)
       (test-assert (string-append name ": the bits of anneal")
         (tensor-identical? (state-x state) (chain-samples chain)))
       (test-equal (string-append name ": its step sizes, evaluations and decisions")
         (map decided (chain-trace chain)) (map decided trace)))))
 '("defaults" "by the line" "Langevin" "dual averaging" "adaptive temperatures" "both" "several a temperature")
 `(() (#:sampler ,(hmc #:acceptance 'path-integral) #:temperatures ,temperatures)
   (#:sampler ,(langevin) #:temperatures ,temperatures)
   (#:step-size ,(dual-averaging) #:temperatures ,temperatures)
   (#:temperatures ,(adaptive 10 #:until 0.5))
   (#:temperatures ,(adaptive 10 #:until 0.5) #:step-size ,(dual-averaging))
   (#:transitions-per-temperature ,(accepted-transitions 3) #:step-size 1.2 #:temperatures ,temperatures)))

;;; --- A transition is a function ---------------------------------------------------------

(let* ((state (chain-state beginning)) (x (tensor-copy (state-x state))) (kernel (kernel-at 10)))
  (let-values (((one made) (transition kernel state))
               ((other record) (transition kernel state)))
    (test-assert "the same state, the same bits" (tensor-identical? (state-x one) (state-x other)))
    (test-assert "the state stays" (tensor-identical? x (state-x state)))
    (test-equal "it has no number but its own" '(0 1) (map state-number (list state one)))
    (test-equal "five steps and the score to begin with" 6 (state-evaluations one))
    (test-equal "and the record" 6 (transition-evaluations record))
    (test-eqv "the score is at the kernel's temperature" 10 (state-sigma one))
    (let-values (((next made) (transition kernel one)))
      (test-assert "another number, other random numbers" (not (tensor-identical? (state-x one) (state-x next))))
      (test-equal "the score is known" 11 (transition-evaluations made))))
  ;; The bits of a state that is known by x and number alone.
  (let*-values (((one made) (transition kernel state))
                ((next made) (transition kernel one))
                ((again made) (transition kernel (make-state (state-x one) #:number 1))))
    (test-assert "a state is x and its number" (tensor-identical? (state-x next) (state-x again))))
  (let-values (((x1 g1 log-ratio evaluations)
                (propose kernel (make-state x #:score (target-score target x 10) #:sigma 10))))
    (test-equal "a proposal's evaluations" 5 evaluations)
    (test-equal "its log ratios, a chain each" 3 (vector-length log-ratio)))
  (let-values (((x1 g1 log-ratio evaluations) (propose kernel state)))
    (test-equal "and that of a score that is not known" 6 evaluations)))

;; A score that is x itself is not written into.
(let* ((target (make-target "itself" #:shape '(2) #:score (lambda (x sigma) x)))
       (settings (list #:chains 2 #:temperatures '(4 2 1) #:step-size 0.1 #:seed 3))
       (chain (apply anneal target settings)))
  (test-assert "the score is x, the bits those of a copy"
    (tensor-identical? (chain-samples chain)
                       (chain-samples
                        (apply anneal (make-target "a copy" #:shape '(2) #:score (lambda (x sigma) (tensor-copy x)))
                               settings)))))

;;; --- Held at a temperature ----------------------------------------------------------------

;; `hold' is `anneal' at one temperature that is over after so many transitions.
(for-each
 (lambda (name settings)
   (let* ((chain (apply short target settings)) (before (chain-samples chain))
          (held (fork chain #:temperatures '(0.5) #:transitions-per-temperature 4)))
     (let-values (((draws evaluations) (hold chain 4)))
       (for-each (lambda (k)
                   (let ((held (fork chain #:temperatures '(0.5) #:transitions-per-temperature (1+ k))))
                     (test-assert (format #f "~a: draw ~a" name k)
                       (tensor-identical? (chain-samples (resume! held))
                                          (tensor-reshape (tensor-slice draws 0 k (1+ k)) '(3 16 12))))))
                 '(0 1 2 3))
       (test-assert (string-append name ": the chain stays")
         (tensor-identical? before (chain-samples chain)))
       (test-equal (string-append name ": evaluations")
         (- (chain-evaluations (resume! held)) (chain-evaluations chain)) evaluations))))
 '("held" "held while the step size adapts" "held with jitter")
 `(() (#:step-size ,(dual-averaging #:initial 1.2)) (#:jitter 0.2)))

;;; --- How they print ---------------------------------------------------------------------

(test-equal "a state" "#<state of 3 chains over (16 12) after 0 transitions>"
  (format #f "~a" (chain-state beginning)))
(test-equal "a kernel" "#<kernel at sigma 10.0, 5 steps of 0.45>" (format #f "~a" (kernel-at 10)))
(test-equal "an adaptation" "#<adaptation at sigma 10.0, 0 transitions there>"
  (format #f "~a" (chain-adaptation beginning)))

;;; --- Bad input ------------------------------------------------------------------------------

(define x (chain-samples beginning))
(define-syntax-rule (test-bad text argument ...)
  (test-error-matching text (string-append "make-kernel: " text)
    (make-kernel target (hmc) #:sigma 1 #:step-size 0.4 argument ...)))
(test-bad "sigma: expected a positive number, got 0" #:sigma 0)
(test-bad "next-sigma: expected a positive number or #f, got -1" #:next-sigma -1)
(test-bad "step-size: expected a positive number, got a" #:step-size 'a)
(test-bad "steps: expected a positive integer, got 0" #:steps 0)
(test-bad "mass: expected #f, a table M(k), or what make-mass makes, got fourier" #:mass 'fourier)
(test-bad "seed: expected" #:seed -1)
(test-error-matching "target" "make-kernel: target: expected one, got 3"
  (make-kernel 3 (hmc) #:sigma 1 #:step-size 1))
(test-error-matching "sampler" "make-kernel: sampler: expected a procedure"
  (make-kernel target 'hmc #:sigma 1 #:step-size 1))
(test-error-matching "a state's x" "make-state: x: expected a batch" (make-state 3))
(test-error-matching "a state's score" "make-state: score: expected a c64 tensor of shape (3 16 12)"
  (make-state x #:score (tensor-zeros '(3))))
(test-error-matching "a sigma without a score" "make-state: sigma: expected that of a score"
  (make-state x #:sigma 1))
(test-error-matching "a number" "make-state: number, evaluations: expected" (make-state x #:number -1))
;; A score counts for the target that it is of: at the same sigma another target takes its own.
(let* ((state (transition (kernel-at 1) (chain-state beginning)))
       (other (make-kernel (posterior field op (tensor* 3 y) #:noise 0.1) (hmc #:acceptance 'path-integral)
                           #:sigma 1 #:step-size 0.45 #:steps 5 #:mass (mass 1) #:seed 7)))
  (define (after state) (state-x (transition other state)))
  (test-assert "another target's score"
    (tensor-identical? (after (make-state (state-x state) #:number (state-number state))) (after state))))
(test-error-matching "chains over something else"
  "transition: state: expected chains (C 16 12) of c64, as posterior of MRI, 7 of 12 columns measured has them, got f32 (3 2)"
  (transition (kernel-at 1) (make-state (tensor-zeros '(3 2)))))
(test-error-matching "a sampler's log r" "sampler: expected it to give log r of 3 chains"
  (transition (make-kernel target (lambda (kernel state) (values (state-x state) #f (vector 0.0)))
                           #:sigma 1 #:step-size 1)
              (chain-state beginning)))
(test-error-matching "what proposes" "propose: kernel: expected" (propose 3 (chain-state beginning)))
(test-error-matching "no kernel" "transition: kernel: expected what make-kernel makes, got 3"
  (transition 3 (chain-state beginning)))
(test-error-matching "no state" "transition: state: expected what make-state makes, got 3"
  (transition (kernel-at 1) 3))

(finish-tests)
