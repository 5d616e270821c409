;;; diagnostics.scm -- is a chain to be believed, and what would make it better?
;;;
;;; Draws, a tensor (S C ...) of S draws of each of C chains, are judged by R-hat and by
;;; effective sample sizes, which are C (src/mcmc/diagnostics.c).  A chain's trace, its
;;; acceptance and energy errors by temperature, is judged by `diagnose', in words.

(define-module (tempera sample diagnostics)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base progress)
  #:use-module (tempera sample adaptation)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample chain-warnings)
  #:use-module (tempera sample kernel)
  #:use-module (tempera tensor tensors)
  #:export (hold ess-per-evaluation
            diagnose diagnosis? diagnosis-bands diagnosis-warnings diagnosis-summary
            band? band-from band-to band-proposals band-acceptance
            band-energy-error-mean band-energy-error-sd band-diverged)
  #:re-export (r-hat r-hat-between ess-bulk ess-tail autocorrelation-time))

;;; --- Draws --------------------------------------------------------------------

(define (hold chain count)
  "COUNT draws of each of CHAIN's C chains, one a transition, at the temperature at which
CHAIN stands and with its settings.  Two values: the draws, (COUNT C ...), and how many
evaluations of the score they took; CHAIN stays as it is.  R-hat of these says whether
chains still mix at a temperature; where they do not, only fresh annealings help.
Example: (r-hat (hold chain 200))"
  (check-that (chain? chain) 'hold "chain: expected one, got ~s" chain)
  (check-that (and (exact-integer? count) (> count 0)) 'hold
              "count: expected a positive integer, got ~s" count)
  (let* ((held (fork chain #:temperatures (list (chain-sigma chain))))
         (rules (chain-rules held))
         (own (chain-state held)) (x (state-x own))
         (draws (tensor-zeros (cons count (tensor-shape x)) (tensor-dtype x)))
         (progress (make-progress "holding" count)))
    (define (draw! k state adaptation)
      ;; Number K, of one more transition: the state and the adaptation after it.
      (let-values (((state made) (transition (adapted-kernel rules adaptation state) state)))
        (tensor-assign! (tensor-slice draws 0 k (1+ k)) (state-x state))
        (values (state-assign! own state) (adapt-step-size rules adaptation made))))
    (with-throw-handler #t
      (lambda ()
        (let loop ((k 0) (state own) (adaptation (chain-adaptation held)))
          (progress-update! progress k)
          (if (< k count)
              (let-values (((state adaptation)
                            (with-scope (lambda () (draw! k state adaptation)))))
                (loop (1+ k) state adaptation))
              (begin
                (progress-finish! progress)
                (values draws (- (state-evaluations state) (chain-evaluations chain)))))))
      (lambda _ (progress-finish! progress)))))

(define (ess-per-evaluation draws evaluations)
  "The figure of merit of a sampler: the bulk effective sample size of DRAWS, (S C ...),
for each evaluation of the score of one state, f32 (...).  EVALUATIONS is how many each
chain took, as `chain-evaluations' and the second value of `hold' count.
Example: (call-with-values (lambda () (hold chain 200)) ess-per-evaluation)"
  (check-that (and (real? evaluations) (finite? evaluations) (> evaluations 0))
              'ess-per-evaluation "evaluations: expected a positive number, got ~s" evaluations)
  (let ((size (ess-bulk draws)))
    (tensor/ size (* evaluations (second (tensor-shape draws))))))

;;; --- A chain's trace ----------------------------------------------------------

(define-record-type <diagnosis>
  (make-diagnosis chain bands warnings)
  diagnosis?
  (chain diagnosis-chain)
  (bands diagnosis-bands)               ; a list, from hot to cold
  (warnings diagnosis-warnings))        ; strings, what to change

(define-record-type <band>
  (make-band from to proposals acceptance energy-error-mean energy-error-sd diverged)
  band?
  (from band-from)                      ; sigma of its first transition
  (to band-to)                          ; and of its last
  (proposals band-proposals)
  (acceptance band-acceptance)
  (energy-error-mean band-energy-error-mean) ; of those that are finite, or #f
  (energy-error-sd band-energy-error-sd)
  (diverged band-diverged))             ; proposals whose energy error is not finite

(set-record-type-printer! <diagnosis>
  (lambda (d port)
    (display (string-join (cons (format #f "#<diagnosis of ~a:" (diagnosis-chain d))
                                (append (map indented (table d))
                                        (map indented (diagnosis-warnings d))))
                          "\n")
             port)
    (display ">" port)))

(set-record-type-printer! <band>
  (lambda (b port) (format port "#<band ~a, accepted ~,2f>" (band-text b) (band-acceptance b))))

(define (indented line)
  (string-append "  " line))

;; Of eight proposals a few rejected mean nothing: temperatures that follow one another are
;; judged together until there are so many that 0.5 is known to 0.09.
(define proposals-a-band 32)

(define (transition-proposals transitions)
  (fold (lambda (t sum) (+ sum (vector-length (transition-accepted t)))) 0 transitions))

(define (trace-bands trace)
  ;; Lists of transitions, each of whole temperatures and of enough proposals; if what is
  ;; left at the end has not, it joins the last.
  (let loop ((rest trace) (band '()) (bands '()))
    (cond ((null? rest)
           (reverse (cond ((null? band) bands)
                          ((or (null? bands) (>= (transition-proposals band) proposals-a-band))
                           (cons (reverse band) bands))
                          (else (cons (append (car bands) (reverse band)) (cdr bands))))))
          ((and (pair? band)
                (not (eqv? (transition-sigma (car band)) (transition-sigma (car rest))))
                (>= (transition-proposals band) proposals-a-band))
           (loop rest '() (cons (reverse band) bands)))
          (else (loop (cdr rest) (cons (car rest) band) bands)))))

(define (standard-deviation numbers)
  (let ((m (mean numbers)))
    (sqrt (/ (apply + (map (lambda (x) (expt (- x m) 2)) numbers))
             (max 1 (1- (length numbers)))))))

(define (transitions->band transitions)
  ;; Without proposals of chains that had no score, whose energy errors are NaN: they say nothing
  ;; of steps.
  (let* ((of-scores (lambda (t values)
                      (let ((e (transition-energy-error t)))
                        (if e
                            (filter-map (lambda (value error) (and (not (nan? error)) (list value)))
                                        (vector->list values) (vector->list e))
                            (map list (vector->list values))))))
         (accepted (map first (append-map (lambda (t) (of-scores t (transition-accepted t)))
                                          transitions)))
         (errors (append-map (lambda (t)
                               (let ((e (transition-energy-error t)))
                                 (if e (map first (of-scores t e)) '())))
                             transitions))
         (finite (filter finite? errors)))
    (make-band (transition-sigma (first transitions)) (transition-sigma (last transitions))
               (length accepted)
               (/ (count identity accepted) (exact->inexact (length accepted)))
               (and (pair? finite) (mean finite))
               (and (pair? finite) (standard-deviation finite))
               (if (null? errors)
                   (count not accepted)  ; uncorrected: what is rejected is not finite
                   (- (length errors) (length finite))))))

(define (band-text b)
  (if (eqv? (band-from b) (band-to b))
      (format #f "sigma ~a" (significant (band-from b) 3))
      (format #f "sigma ~a to ~a" (significant (band-from b) 3) (significant (band-to b) 3))))

;;; --- Warnings -----------------------------------------------------------------

(define (extreme better? measure bands)
  ;; The band whose MEASURE is the most so.
  (reduce (lambda (b best) (if (better? (measure b) (measure best)) b best)) #f bands))

(define (corrected? band)
  (and (band-energy-error-mean band) #t))

(define (remedy chain band)
  ;; What would make CHAIN accept more in BAND.
  (let ((ends (list (band-from band) (band-to band))))
    (rejection-remedy chain (filter (lambda (t)
                                      (<= (apply min ends) (transition-sigma t) (apply max ends)))
                                    (chain-trace chain)))))

(define (divergence-warning chain bands)
  (let ((bad (filter (lambda (b) (> (band-diverged b) 0)) bands)))
    (and (pair? bad)
         ;; What uncorrected samplers reject has no energy error: it may be for want of a score.
         (or (any transition-energy-error (chain-trace chain)) (null? (chains-without-score chain)))
         (format #f "~a trajectories are not finite, first at ~a: ~a"
                 (apply + (map band-diverged bad)) (band-text (first bad))
                 (remedy chain (first bad))))))

(define (low-acceptance-warning chain bands)
  (let ((worst (extreme < band-acceptance bands)))
    (and (< (band-acceptance worst) 0.5)
         (format #f "acceptance below 0.5 at ~a (~,2f): ~a"
                 (band-text worst) (band-acceptance worst) (remedy chain worst)))))

(define (high-acceptance-warning bands)
  (and (every corrected? bands)
       (every (lambda (b) (> (band-acceptance b) 0.97)) bands)
       "acceptance above 0.97 throughout: larger steps cost nothing where the score is exact (a learned \
one bears about 0.5, doc/sampling.texi)"))

(define (no-correction-warning bands)
  (and (not (any corrected? bands))
       "nothing was corrected (acceptance none): acceptance says nothing of the step size"))

;; In equilibrium E exp (-d) = 1 for energy errors d, hence E d >= 0, and sd^2 / 2 where they
;; are about normal.  Annealed chains are never quite there: a leapfrog trajectory of steps h
;; loses h^2 / 8 of the excess of |M^-1/2 score|^2 over its DIMENSIONS, which one ratio r of
;; temperatures makes 1 / r^2 - 1 of them.  For h = 0.45 that is 0.004 a dimension at r = 0.93,
;; 0.014 at 0.8, 0.026 at 0.7, where calibration fails.  By chance, however few the proposals, their
;; mean is below -x with a probability of exp (-x) at most: exp (-mean d) <= mean exp (-d), which
;; Markov's inequality bounds.  Their scatter alone will not do, since in a band of few temperatures
;; it is mostly how differently those lag.
(define lag-a-dimension 0.015)
(define never-by-chance -10)

(define (lag-warning bands dimensions)
  (let* ((worst (extreme < band-energy-error-mean (filter corrected? bands)))
         (mean (and worst (band-energy-error-mean worst))))
    (and worst
         (< mean (* -1 lag-a-dimension dimensions))
         (< mean (max never-by-chance (* -5 (standard-error worst))))
         (format #f "energy errors drift down, most at ~a (mean ~a, in equilibrium 0 or more): the ~
chains lag behind the temperature; cool more slowly, or take more #:transitions-per-temperature or ~
another #:trajectory-length" (band-text worst) (significant mean 3)))))

;; So energy errors below 0 are no fault of the score: an exact one and a learned one have them
;; alike, and held at their temperature both lose them in two or three transitions.
(define (cooling-note bands dimensions)
  (let* ((corrected (filter corrected? bands))
         (worst (and (pair? corrected) (extreme < band-energy-error-mean corrected))))
    (and worst
         (< (band-energy-error-mean worst) (* -3 (standard-error worst)))
         (not (lag-warning bands dimensions))
         (format #f "energy errors below 0 come of cooling, which leaves chains energy to lose: down to \
~a is usual for ~a numbers"
                 (significant (* -1 lag-a-dimension dimensions) 3) dimensions))))

(define (standard-error b)
  (/ (band-energy-error-sd b) (sqrt (- (band-proposals b) (band-diverged b)))))

(define longest-rest 20)

(define (longest-run chain-number trace)
  ;; How many proposals in a row chain CHAIN-NUMBER rejected, at most.
  (let loop ((rest trace) (run 0) (longest 0))
    (if (null? rest)
        longest
        (let ((run (if (vector-ref (transition-accepted (car rest)) chain-number) 0 (1+ run))))
          (loop (cdr rest) run (max run longest))))))

(define (stuck-warning chain)
  ;; Where 0.3 are accepted, so many rejections in a row have a probability of 1e-3.
  (let* ((trace (chain-trace chain))
         (stuck (if (or (< (chain-acceptance chain) 0.3) (pair? (chain-warnings chain)))
                    '()
                    (filter (lambda (c) (>= (longest-run c trace) longest-rest))
                            (iota (vector-length (transition-accepted (first trace))))))))
    (and (pair? stuck)
         (format #f "~a of the chains stood still for ~a proposals or more (~a~a): leave them out, or ~
take smaller steps"
                 (length stuck) longest-rest
                 (string-join (map number->string (take stuck (min 5 (length stuck)))) ", ")
                 (if (> (length stuck) 5) ", ..." "")))))

;;; --- Together -----------------------------------------------------------------

(define (chain-dimensions chain)
  (let ((state (chain-samples chain)))
    (* (apply * (cdr (tensor-shape state))) (if (eq? (tensor-dtype state) 'c64) 2 1))))

(define (table diagnosis)
  ;; The bands with least, median and greatest acceptance, a line each.
  (let* ((bands (diagnosis-bands diagnosis))
         (by-acceptance (sort bands (lambda (a b) (< (band-acceptance a) (band-acceptance b)))))
         (chosen (delete-duplicates
                  (list (cons (first by-acceptance) "least")
                        (cons (list-ref by-acceptance (quotient (length bands) 2)) "median")
                        (cons (last by-acceptance) "greatest"))
                  (lambda (a b) (eq? (car a) (car b))))))
    (append
     (map (lambda (entry)
            (let ((b (car entry)))
              (format #f "~8a acceptance ~,2f at ~a~a" (cdr entry) (band-acceptance b) (band-text b)
                      (if (corrected? b)
                          (format #f ", energy error ~a +- ~a"
                                  (significant (band-energy-error-mean b) 3)
                                  (significant (band-energy-error-sd b) 3))
                          ""))))
          chosen)
     (let ((note (cooling-note bands (chain-dimensions (diagnosis-chain diagnosis)))))
       (if note (list note) '())))))

(define (diagnosis-summary diagnosis)
  "DIAGNOSIS in a line: the acceptance in all, and where it was least.
Example: (diagnosis-summary (diagnose chain))"
  (let ((worst (extreme < band-acceptance (diagnosis-bands diagnosis))))
    (format #f "accepted ~,2f, least ~,2f at ~a" (chain-acceptance (diagnosis-chain diagnosis))
            (band-acceptance worst) (band-text worst))))

(define (diagnose chain)
  "What the trace of CHAIN says: a diagnosis, which prints as the least, median and greatest
acceptance by temperature, mean and standard deviation of the energy errors H(end) - H(start)
there, and warnings that say what to change, first those of `chain-warnings'.  Temperatures are judged in bands of 32
proposals or more: see `diagnosis-bands' (a list from hot to cold), `band-from', `-to',
`-proposals', `-acceptance', `-energy-error-mean', `-energy-error-sd', `-diverged', and
`diagnosis-warnings' (a list of strings).
Example: (diagnose (anneal target #:step-size 1))"
  (check-that (chain? chain) 'diagnose "chain: expected one, got ~s" chain)
  (let ((trace (chain-trace chain)))
    (check-that (pair? trace) 'diagnose "chain: it has made no transition yet; `resume!' it")
    (let ((bands (map transitions->band (trace-bands trace))))
      (make-diagnosis chain bands
                      (append
                       (chain-warnings chain)
                       (filter identity
                              (list (divergence-warning chain bands)
                                    (low-acceptance-warning chain bands)
                                    (high-acceptance-warning bands)
                                    (no-correction-warning bands)
                                    (lag-warning bands (chain-dimensions chain))
                                    (stuck-warning chain))))))))

(document
 (diagnosis?
  "True when OBJECT is what `diagnose' returns.
Example: (diagnosis? (diagnose chain)) => #t")
 (diagnosis-bands
  "The bands of temperatures of DIAGNOSIS, a list from hot to cold.
Example: (length (diagnosis-bands (diagnose chain)))")
 (diagnosis-warnings
  "What is wrong by DIAGNOSIS and what to change, a list of strings.
Example: (diagnosis-warnings (diagnose chain))")
 (band?
  "True when OBJECT is a band of a diagnosis.
Example: (band? 3) => #f")
 (band-from
  "The sigma of the first transition of BAND.
Example: (map band-from (diagnosis-bands (diagnose chain)))")
 (band-to
  "The sigma of the last transition of BAND.
Example: (map band-to (diagnosis-bands (diagnose chain)))")
 (band-proposals
  "How many proposals BAND has, of all chains.
Example: (map band-proposals (diagnosis-bands (diagnose chain)))")
 (band-acceptance
  "The part of the proposals of BAND that was accepted.
Example: (map band-acceptance (diagnosis-bands (diagnose chain)))")
 (band-energy-error-mean
  "The mean energy error of BAND, of those that are finite; #f where there are none.
Example: (map band-energy-error-mean (diagnosis-bands (diagnose chain)))")
 (band-energy-error-sd
  "The standard deviation of the energy errors of BAND, or #f.
Example: (map band-energy-error-sd (diagnosis-bands (diagnose chain)))")
 (band-diverged
  "How many proposals of BAND have an energy error that is not finite.
Example: (map band-diverged (diagnosis-bands (diagnose chain)))"))
