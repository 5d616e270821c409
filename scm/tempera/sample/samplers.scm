;;; samplers.scm -- what a transition proposes at one temperature: HMC and Langevin dynamics.
;;;
;;; A sampler is a procedure of a kernel and a state (kernel.scm) that returns three values: the
;;; proposed x, (C ...); the score there at the kernel's sigma, or #f; and for each chain log r,
;;; a vector: it is accepted with probability min(1, r); or #f where all are that are finite.
;;; One of your own:
;;;
;;;   (define (climb kernel state)
;;;     (values (tensor+ (state-x state) (tensor* (kernel-step-size kernel) (state-score state)))
;;;             #f #f))
;;;   (anneal target #:sampler climb)
;;;
;;; Samplers that go from one temperature to the next are transport.scm's.

(define-module (tempera sample samplers)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem masses)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera sample kernel)
  #:use-module (tempera base streams)
  #:use-module (tempera problem targets)
  #:export (hmc langevin mala
            sampler-integrator sampler-stages integrator-limit)
  #:re-export (trajectory path-integral momentum-draw kinetic-energy metropolis))

;;; --- Hamiltonian Monte Carlo ----------------------------------------------------

(define acceptances '(trajectory path-integral log-density none))

(define (check-acceptance procedure acceptance intervals)
  (check-that (memq acceptance acceptances) procedure
              "acceptance: expected ~a, got ~s"
              (string-join (map symbol->string acceptances) ", ") acceptance)
  (check-that (and (exact-integer? intervals) (> intervals 0) (even? intervals)) procedure
              "intervals: expected a positive even integer, got ~s" intervals))

(define (density-ratio kernel state acceptance intervals work x1 g1)
  ;; log p(x1) - log p(x) for each chain, a vector.
  (let ((x (state-x state))
        (density (lambda (x) (target-log-density (kernel-target kernel) x (kernel-sigma kernel)))))
    (case acceptance
      ((trajectory) work)
      ((path-integral)
       (path-integral (lambda (x) (kernel-score kernel x)) x (state-score state) x1 g1 intervals))
      ((log-density) (vector-map - (density x1) (density x))))))

(define (hamiltonian-proposal kernel state steps integrator acceptance intervals)
  (let* ((mass (kernel-mass kernel))
         (m (draw-for state
                      (lambda (x)
                        (mass-draw mass x (kernel-seed kernel)
                                   (random-stream 'momentum (state-number state)))))))
    (check-that (tensor-finite? m) 'transition
                "mass: its momenta at sigma ~a are NaN or infinite" (kernel-sigma kernel))
    (call-with-values
        (lambda ()
          (trajectory integrator (lambda (x) (kernel-score kernel x)) (state-x state) m
                      (state-score state) (kernel-step-size kernel) steps (mass-operand mass)))
      (lambda (x1 m1 g1 work)
        (values x1 g1
                (and (not (eq? acceptance 'none))
                     ;; Of p(x1) exp(-K(m1)) and p(x) exp(-K(m)), equation 7.
                     (vector-map (lambda (potential k k1) (+ potential (- k k1)))
                                 (density-ratio kernel state acceptance intervals work x1 g1)
                                 (mass-energy mass m) (mass-energy mass m1))))))))

(define (integrating integrator stages sampler)
  ;; SAMPLER, which its integrator can be asked of, and how many evaluations it takes for each
  ;; step of #:trajectory-length.
  (set-procedure-property! sampler 'integrator integrator)
  (set-procedure-property! sampler 'stages stages)
  (by-chain sampler))

(define (sampler-integrator sampler)
  "The integrator that SAMPLER, made by `hmc', `langevin' or `mala', works with; #f of others.
Example: (sampler-integrator (hmc)) => leapfrog"
  (procedure-property sampler 'integrator))

(define (sampler-stages sampler)
  "How many evaluations of the score SAMPLER takes for each step of #:trajectory-length: 0 for
samplers that have no trajectories.
Example: (sampler-stages (hmc #:integrator 'two-stage)) => 2"
  (or (procedure-property sampler 'stages) 0))

(define (integrator-limit integrator)
  "The step size up to which INTEGRATOR is stable on a normal target of width 1, to a
hundredth: where the trace of its matrix over a step passes 2.  On a width w it is w times
that.
Example: (integrator-limit 'leapfrog) => 2.0"
  (define (stable? step)
    ;; Row 0 begins at x = 1, m = 0 and row 1 at x = 0, m = 1.
    (let ((x (list->tensor '(1 0) '(2 1))) (m (list->tensor '(0 1) '(2 1))))
      (call-with-values
          (lambda () (trajectory integrator tensor-negate x m (tensor-negate x) step 1 #f))
        (lambda (x1 m1 . _)
          (<= (abs (+ (tensor-element x1 '(0 0)) (tensor-element m1 '(1 0)))) (+ 2 1e-5))))))
  (let loop ((hundredths 100))
    (if (stable? (/ (1+ hundredths) 100.))
        (loop (1+ hundredths))
        (/ hundredths 100.))))

(define* (hmc #:key (integrator 'leapfrog) (acceptance 'trajectory) (intervals 4))
  "Hamiltonian Monte Carlo: trajectories (equation 6) of the INTEGRATOR leapfrog, two-stage or
three-stage, with as many steps as #:trajectory-length says (an even number is best).
ACCEPTANCE says where the ratio of densities (equation 7) comes from:
  trajectory     the score's integral along the trajectory, at no cost
  path-integral  along the straight line between its ends, as the paper has it, by Simpson's
                 rule with INTERVALS, that is INTERVALS - 1 evaluations more
  log-density    the target, if it knows it
  none           nothing is rejected
For a score that is a gradient these agree.  A learned one is true where it was trained, on
images with sigma's noise, where trajectories stay; half way on the line the noise is less.
Example: (anneal target #:sampler (hmc #:integrator 'two-stage) #:step-size 1)"
  (check-that (memq integrator '(leapfrog two-stage three-stage)) 'hmc
              "integrator: expected leapfrog, two-stage or three-stage, got ~s" integrator)
  (check-acceptance 'hmc acceptance intervals)
  (integrating integrator (assq-ref '((leapfrog . 1) (two-stage . 2) (three-stage . 3)) integrator)
               (lambda (kernel state)
                 (hamiltonian-proposal kernel state (kernel-steps kernel) integrator acceptance
                                       intervals))))

(define* (langevin #:key (acceptance 'none) (intervals 4))
  "Langevin dynamics, x + h^2/2 M^-1 score + h M^-1/2 z with h the step size: HMC whose
trajectories have one step.  As it stands the annealed Langevin dynamics of Song and Ermon
(2019), whose step alpha is h^2; see `langevin-schedule'.  ACCEPTANCE as in `hmc'.
Example: (anneal target #:sampler (langevin) #:transitions-per-temperature 5)"
  (check-acceptance 'langevin acceptance intervals)
  (integrating 'leapfrog 0
               (lambda (kernel state)
                 (hamiltonian-proposal kernel state 1 'leapfrog acceptance intervals))))

(define* (mala #:key (acceptance 'path-integral) (intervals 4))
  "The Metropolis-adjusted Langevin algorithm (Roberts, Tweedie 1996): `langevin' with a
correction.
Example: (anneal target #:sampler (mala) #:step-size (dual-averaging #:target 0.57))"
  (langevin #:acceptance acceptance #:intervals intervals))
