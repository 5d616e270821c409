;;; preview.scm -- what settings would do, before they do it.
;;;
;;; At a few temperatures: the largest step that is stable, from the target's sharpest
;;; curvature, and a trial trajectory's acceptance.  And in all: evaluations of the score, and
;;; the time they take on this machine.

(define-module (tempera sample preview)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera problem masses)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor power-iteration)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera sample adaptation)
  #:use-module (tempera sample anneal)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample samplers)
  #:use-module (tempera sample schedules)
  #:use-module (tempera base streams)
  #:use-module (tempera problem targets)
  #:use-module (tempera tensor tensors)
  #:export (preview preview? preview-rows preview-temperatures preview-evaluations
            preview-seconds stability-limit))

(define-record-type <preview>
  (make-preview chain rows temperatures evaluations seconds)
  preview?
  (chain preview-chain)
  (rows preview-rows)                   ; association lists, from hot to cold
  (temperatures preview-temperatures)   ; how many are ahead
  (evaluations preview-evaluations)     ; of the score of the batch,
  (seconds preview-seconds))            ; and their time

(set-record-type-printer! <preview>
  (lambda (p port)
    (format port "#<preview of ~a:~%" (preview-chain p))
    (format port "  ~8@a~8@a~7@a~9@a~12@a~%" "sigma" "step" "steps" "limit" "acceptance")
    (for-each (lambda (row)
                ;; What is as good as nothing is 0.
                (let ((text (lambda (key digits)
                              (let ((value (assq-ref row key)))
                                (if value (significant (if (< value 1e-12) 0 value) digits) "-")))))
                  (format port "  ~8@a~8@a~7@a~9@a~12@a~a~%" (text 'sigma 3) (text 'step-size 3)
                          (assq-ref row 'steps) (text 'limit 3) (text 'acceptance 2)
                          (if (unstable? row) "  unstable" ""))))
              (preview-rows p))
    (format port "  ~a temperatures, ~a score evaluations, about ~a>" (preview-temperatures p)
            (preview-evaluations p)
            (if (< (preview-seconds p) 10)
                (format #f "~a s" (significant (preview-seconds p) 2))
                (duration-text (preview-seconds p))))))

(define (unstable? row)
  (let ((limit (assq-ref row 'limit)))
    (and limit (> (assq-ref row 'step-size) limit))))

;;; --- Curvature ----------------------------------------------------------------

(define (unit x)
  ;; Each chain of X at length 1.
  (tensor/ x (per-item (list->tensor (map sqrt (vector->list (chains-dot x x)))) x)))

(define* (stability-limit target x sigma #:key (mass #f) (integrator 'leapfrog) (iterations 12) (seed 0))
  "The largest step size at which trajectories of INTEGRATOR with MASS stay stable near X, (C
...), and SIGMA: `integrator-limit' over the square root of the greatest eigenvalue of
-M^-1 J, J the derivative of TARGET's score, by ITERATIONS of the power method with
differences of 0.05 SIGMA, an evaluation each.  The chain with the least counts.
Example: (stability-limit (make-target \"normal\" #:shape '(2)
           #:score (lambda (x sigma) (tensor* -1/4 x))) (tensor-zeros '(1 2)) 1) => 4.0"
  (check-that (target? target) 'stability-limit "target: expected one, got ~s" target)
  (check-that (and (tensor? x) (pair? (tensor-shape x))) 'stability-limit
              "x: expected a batch (C ...), got ~s" x)
  (check-that (and (real? sigma) (finite? sigma) (> sigma 0)) 'stability-limit
              "sigma: expected a positive number, got ~s" sigma)
  (check-that (and (exact-integer? iterations) (> iterations 0)) 'stability-limit
              "iterations: expected a positive integer, got ~s" iterations)
  (let* ((dimensions (* (apply * (cdr (tensor-shape x))) (if (eq? (tensor-dtype x) 'c64) 2 1)))
         (h (* 0.05 sigma (sqrt dimensions))) ; the length of a difference
         (g (target-score target x sigma))
         (curvature                     ; times a direction of length 1, by differences
          (lambda (v)
            (let ((change (tensor- g (target-score target (tensor+ x (tensor* h v)) sigma))))
              (mass-velocity mass (tensor/ change h)))))
         (eigenvalue
          (apply max (power-iteration
                      curvature
                      (unit (random-normal (tensor-shape x) seed (random-stream 'check) (tensor-dtype x)))
                      iterations))))
    (if (> eigenvalue 0)
        (/ (integrator-limit integrator) (sqrt eigenvalue))
        +inf.0)))

;;; --- Previews -----------------------------------------------------------------

(define (spread list count)
  ;; COUNT of LIST, the first and the last among them.
  (if (or (<= (length list) count) (= count 1))
      (take list (min count (length list)))
      (map (lambda (i) (list-ref list (quotient (* i (1- (length list))) (1- count))))
           (iota count))))

(define most-chains 4)                  ; of a trial: more would tell little more

(define (pilot chain last)
  ;; One chain, cooled in haste and uncorrected from where CHAIN stands to the sigma LAST: near
  ;; enough to what is ahead to try steps on.
  (let ((pilot (resume! (start-chain (chain-target chain) #:chains 1 #:keep #t
                                     #:start (tensor-copy (tensor-slice (chain-samples chain) 0 0 1))
                                     #:sampler (hmc #:acceptance 'none)
                                     #:temperatures (geometric (chain-sigma chain) #:ratio 0.7
                                                               #:until last)))))
    (check-that (chain-finished? pilot) 'preview "interrupted")
    pilot))

(define (x-at states sigma)
  ;; Chains as they are after transitions at SIGMA: the hottest of STATES, as `chain-states' has
  ;; them, that are not hotter, and the noise that is missing.
  (let* ((colder (filter (lambda (state) (<= (car state) (* sigma (+ 1 1e-9)))) states))
         (state (if (null? colder)
                    (last states)
                    (reduce (lambda (a b) (if (> (car a) (car b)) a b)) #f (reverse colder))))
         (x (cdr state))
         (x (tensor-slice x 0 0 (min most-chains (tensor-size x 0))))
         (missing (sqrt (max 0 (- (* sigma sigma) (* (car state) (car state)))))))
    (tensor+ x (tensor* missing (random-normal (tensor-shape x) 0 (random-stream 'start)
                                               (tensor-dtype x))))))

(define (acceptance-of x1 log-ratio)
  (mean (map (lambda (log-ratio square)
               (cond ((not (finite? square)) 0)
                     ((not log-ratio) 1)
                     ((finite? log-ratio) (min 1 (exp log-ratio)))
                     (else 0)))
             (if log-ratio (vector->list log-ratio) (map (const #f) (iota (tensor-size x1 0))))
             (vector->list (chains-dot x1 x1)))))

(define (trial planned states before sigma next)
  ;; What the first transition at SIGMA would be with the settings of PLANNED, after those at the
  ;; sigma BEFORE, which STATES tell.
  (let* ((target (chain-target planned))
         (state (state-at (make-state (x-at states before) #:number (chain-transitions planned))
                          target sigma))
         (kernel (adapted-kernel (chain-rules planned) (chain-adaptation planned) state
                                 #:sigma sigma #:next-sigma next))
         (integrator (sampler-integrator (chain-sampler planned))))
    (let-values (((x1 g1 log-ratio evaluations) (propose kernel state)))
      `((sigma . ,sigma)
        (step-size . ,(kernel-step-size kernel))
        (steps . ,(kernel-steps kernel))
        (limit . ,(and integrator
                       (stability-limit target (tensor-slice (state-x state) 0 0 1) sigma
                                        #:mass (kernel-mass kernel) #:integrator integrator)))
        (acceptance . ,(exact->inexact (acceptance-of x1 log-ratio)))
        (evaluations . ,evaluations)))))

(define (evaluation-seconds chain)
  ;; Of the whole batch, the faster of two, as the first may have to find its memory.
  (let* ((x (chain-samples chain))
         (once (lambda ()
                 (let ((begun (seconds-now)))
                   (with-scope
                    (lambda () (target-score (chain-target chain) x (chain-sigma chain))))
                   (- (seconds-now) begun))))
         (first (once)))
    (min first (once))))

(define rows-shown 6)

(define (preview chain . settings)
  "What CHAIN has ahead of it, with SETTINGS (those of `fork') as if it went on with them; of a
finished one, what annealing it again would be.  Prints as a table of six temperatures: the
step size, the steps of the next trajectory, the step size where stability ends, the
acceptance of a trial with at most 4 chains; then how many evaluations of the score, and the
time that they take on this machine.  Trials begin where CHAIN was at such a sigma; where it
was not yet, where a single chain gets that is cooled in haste, which is some hundred
evaluations.  CHAIN stays as it is.
See `preview-rows' (association lists of sigma, step-size, steps, limit, acceptance,
evaluations), `preview-temperatures', `preview-evaluations', `preview-seconds'.
Example: (preview (start-chain target #:chains 8) #:step-size 1)"
  (check-that (chain? chain) 'preview "chain: expected one, such as `start-chain' makes, got ~s" chain)
  (let* ((planned (if (chain-finished? chain)
                      (apply start-chain (chain-target chain)
                             #:chains (tensor-size (chain-samples chain) 0)
                             (append settings (chain-settings chain)))
                      (apply fork chain settings)))
         (all (map first (chain-ahead planned)))
         (places (spread (iota (length all)) rows-shown))
         (sigmas (map (lambda (k) (list-ref all k)) places))
         (states (append (if (pair? (chain-trace chain)) (chain-states chain) '())
                         (if (or (chain-finished? chain) (null? sigmas))
                             '()
                             (chain-states (pilot chain (last sigmas))))))
         (progress (make-progress "preview" (length sigmas)))
         (rows (map-in-order
                (lambda (k done)
                  (let ((row (with-scope
                              (lambda ()
                                (trial planned states (list-ref all (max 0 (1- k)))
                                       (list-ref all k)
                                       (and (< (1+ k) (length all)) (list-ref all (1+ k))))))))
                    (progress-update! progress done)
                    row))
                places (iota (length places) 1)))
         (nearest (lambda (sigma)
                    (define (distance row) (abs (log (/ (assq-ref row 'sigma) sigma))))
                    (reduce (lambda (a b) (if (< (distance a) (distance b)) a b)) #f rows)))
         ;; Again, now that acceptance is known: what is rejected is tried again.
         (ahead (chain-ahead planned (lambda (sigma) (assq-ref (nearest sigma) 'acceptance))))
         (evaluations
          (apply + (map (lambda (entry)
                          ;; One for the score at the new temperature, and the transitions'.
                          (let ((row (nearest (first entry))))
                            (fold (lambda (steps sum)
                                    (+ sum (assq-ref row 'evaluations)
                                       (* (sampler-stages (chain-sampler planned))
                                          (- steps (assq-ref row 'steps)))))
                                  1 (cdr entry))))
                        ahead))))
    (progress-finish! progress)
    (make-preview planned rows (length ahead) evaluations
                  (* evaluations (evaluation-seconds chain)))))

(document
 (preview?
  "True when OBJECT is a preview.
Example: (preview? 3) => #f")
 (preview-rows
  "The rows of PREVIEW from hot to cold: association lists of sigma, step-size, steps, limit,
acceptance, evaluations.
Example: (length (preview-rows (preview chain))) => 6")
 (preview-temperatures
  "How many temperatures are ahead by PREVIEW.
Example: (preview-temperatures (preview chain)) => 151")
 (preview-evaluations
  "How many evaluations of the batch's score are ahead by PREVIEW.
Example: (preview-evaluations (preview chain))")
 (preview-seconds
  "How many seconds these take by PREVIEW, on this machine.
Example: (preview-seconds (preview chain))"))
