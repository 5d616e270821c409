;;; settings.scm -- how chains are annealed: the settings of `anneal', checked, as rules.
;;;
;;; Settings are keywords and values as a user writes them: temperatures, step sizes and lengths
;;; come as numbers, schedules or procedures.  Rules are what they amount to for a target: all are
;;; procedures, and what is not given has its default.

(define-module (tempera sample settings)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera sample samplers)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample transport)
  #:use-module (tempera base streams)
  #:use-module (tempera base suggestions)
  #:use-module (tempera problem targets)
  #:export (default-temperatures accepted-transitions trajectory-time paper-schedule langevin-schedule
            settings->rules rules-target rules-temperatures rules-step-size rules-trajectory-length
            rules-jitter rules-temperature-over? rules-mass rules-sampler rules-seed rules-keep?
            first-sigma last-sigma initial-ratio not-above?))

(define-record-type <rules>
  (make-rules target temperatures step-size trajectory-length jitter temperature-over? mass sampler
              seed keep?)
  rules?
  (target rules-target)
  (temperatures rules-temperatures)            ; vector of sigma, or adaptive
  (step-size rules-step-size)                  ; sigma -> alpha, or dual-averaging
  (trajectory-length rules-trajectory-length)  ; sigma number size -> steps
  (jitter rules-jitter)                        ; of step sizes, relative
  (temperature-over? rules-temperature-over?)  ; transitions made, and accepted -> boolean
  (mass rules-mass)                            ; sigma -> mass
  (sampler rules-sampler)
  (seed rules-seed)
  (keep? rules-keep?))                         ; sigmas last kept and now -> boolean

(set-record-type-printer! <rules>
  (lambda (rules port)
    (let ((temperatures (rules-temperatures rules)))
      (format port "#<rules for ~a, ~a, seed ~a>" (target-name (rules-target rules))
              (if (adaptive? temperatures)
                  temperatures
                  (format #f "~a temperatures from ~a to ~a" (vector-length temperatures)
                          (significant (first-sigma temperatures) 3)
                          (significant (last-sigma temperatures) 3)))
              (rules-seed rules)))))

(define* (accepted-transitions count #:key (at-most (* 10 count)))
  "For #:transitions-per-temperature: a temperature is over after COUNT accepted transitions, on
average over chains and rounded, or AT-MOST in all.  The paper's rule has COUNT = 4.
Example: (anneal target #:transitions-per-temperature (accepted-transitions 4))"
  (check-that (and (positive-integer? count) (positive-integer? at-most)) 'accepted-transitions
              "count, at-most: expected positive integers, got ~s and ~s" count at-most)
  ;; A few chains that are behind need not hold up all the others.
  (lambda (made accepted) (or (>= accepted (- count 1/2)) (>= made at-most))))

(define structures-found 4)             ; on the scale of images whose white is `top-intensity'

(define (hot prior)
  (* 100 (relative-white prior)))

(define* (default-temperatures prior #:key (from (hot prior)) (ratio #f)
                               (until (* 0.046 (relative-white prior))))
  "The temperatures that chains with PRIOR have if they are not told others: (geometric FROM #:ratio RATIO
#:until UNTIL), RATIO 0.95 if #f.  Where PRIOR is a network RATIO is 0.9, and from 4 on sigma falls twice as fast,
by RATIO^2.  An exact score wants time, the more the better.  The errors of a learned one add up with
it: above 4 large structures find their places and need some, below they hardly move any more
(doc/sampling.texi).  FROM is 100, UNTIL 0.046 unless given; they and the 4 are for images whose `white-level' is 150, and
as much more or less for others.  Chains without data begin at the `greatest-sigma' of PRIOR instead of FROM.
Example: (anneal target #:temperatures (default-temperatures prior #:ratio 0.93))"
  (check-that (or (not ratio) (and (positive-number? ratio) (< ratio 1))) 'default-temperatures
              "ratio: expected a number between 0 and 1, got ~s" ratio)
  (check-that (positive-number? from) 'default-temperatures
              "from: expected a positive number, got ~s" from)
  (check-that (and (positive-number? until) (<= until from)) 'default-temperatures
              "until: expected a positive number, ~a at most, got ~s" from until)
  (let ((ratio (or ratio (if (learned? prior) 0.9 0.95)))
        (cooled (lambda (from ratio until) (geometric from #:ratio ratio #:until until)))
        (structures-found (* structures-found (relative-white prior))))
    (if (and (learned? prior) (< until structures-found from))
        (schedule-append (cooled from ratio structures-found)
                         (cooled structures-found (* ratio ratio) until))
        (cooled from ratio until))))

(define paper-schedule
  ;; Settings as the paper has them, for (apply anneal target paper-schedule).
  (list #:temperatures (geometric 100 #:ratio 0.995 #:until 0.05)
        #:step-size (power-law 10 #:exponent 1.5)
        #:trajectory-length 3
        #:jitter 0
        #:transitions-per-temperature (accepted-transitions 4)
        #:mass 'identity))

(define langevin-schedule
  ;; Annealed Langevin dynamics with the step of Song and Ermon (2019), alpha = 2e-5 sigma^2 /
  ;; 0.01^2, and 5 transitions a temperature.
  (list #:sampler (langevin)
        #:temperatures (geometric 100 #:ratio 0.97 #:until 0.046)
        #:step-size (lambda (sigma) (* (sqrt 0.2) sigma))
        #:jitter 0
        #:transitions-per-temperature 5
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
  ;; OBJECT, as #:trajectory-length has it, as a procedure of sigma, the transition's number
  ;; and the step size.  A list of lengths is cycled through: a single length T is of no use
  ;; to a frequency w with cos (w T) = 1 or -1, two seldom share one.
  (define (length-rule object)
    (rule->procedure 'anneal "trajectory-length" object positive-integer?
                     "a positive number of steps"))
  (cond
   ((pair? object)
    (let ((rules (list->vector (map length-rule object))))
      (lambda (sigma number size)
        ((vector-ref rules (modulo number (vector-length rules))) sigma))))
   ((trajectory-time? object)
    (lambda (sigma number size)
      (max 1 (inexact->exact (round (min 1e4 (/ (trajectory-time-time object) size)))))))
   (else
    (let ((rule (length-rule object)))
      (lambda (sigma number size) (rule sigma))))))

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

(define (not-above? a b)
  "Whether A is at most B, but for one part in a billion, which is multiplication's rounding."
  (<= a (* b (+ 1 1e-9))))

(define (keep-rule object)
  ;; OBJECT, as #:keep has it, as a procedure of the sigmas of the state kept last and of now.
  (cond ((boolean? object) (const object))
        ((and (positive-number? object) (> object 1))
         (lambda (last now) (not-above? now (/ last object))))
        ((number? object)
         (complain 'anneal "keep: expected a number above 1, a list of sigmas, #t or #f, got ~s"
                   object))
        (else
         (let ((sigmas (vector->list (sequence->vector 'anneal "keep" object))))
           (lambda (last now)
             (any (lambda (sigma) (and (not-above? now sigma) (not (not-above? last sigma))))
                  sigmas))))))

(define* (rules-for target #:key
                       (temperatures
                        ;; Without data chains begin with all the noise that the prior knows.
                        (default-temperatures (target-prior target)
                                              #:from (if (target-prior-alone? target)
                                                         (greatest-sigma (target-prior target) (hot (target-prior target)))
                                                         (hot (target-prior target)))))
                       (mass 'best)
                       (step-size (if (or (eq? mass 'identity) (null? (target-masses target)))
                                      (power-law 10)
                                      ;; With the target's mass no frequency w is above 1:
                                      ;; what is far from equilibrium is nearest to it after
                                      ;; times w T of pi / 2 to pi.  A learned score bears no
                                      ;; much larger step (doc/sampling.texi).
                                      0.45))
                       (trajectory-length (if (dual-averaging? step-size)
                                              (trajectory-time 2.25)
                                              '(4 6)))
                       (jitter 0.2)
                       (transitions-per-temperature (accepted-transitions 1))
                       ;; Without data nothing holds chains where a learned score is right but
                       ;; the noise that it was trained with (doc/sampling.texi).
                       (sampler (if (and (target-prior-alone? target)
                                         (learned? (target-prior target)))
                                    (reverse-diffusion)
                                    (hmc)))
                       (seed 42)
                       (keep 2))
  (check-that (procedure? sampler) 'anneal
              "sampler: expected a procedure, such as (hmc) makes, got ~s" sampler)
  (check-that (and (real? jitter) (<= 0 jitter) (< jitter 1)) 'anneal
              "jitter: expected a number from 0 up to 1, got ~s" jitter)
  (check-that (or (positive-integer? transitions-per-temperature)
                  (procedure? transitions-per-temperature))
              'anneal "transitions-per-temperature: expected a positive integer or a procedure, got ~s"
              transitions-per-temperature)
  (check-seed 'anneal seed)
  (make-rules
   target
   (if (adaptive? temperatures)
       temperatures
       (sequence->vector 'anneal "temperatures" temperatures))
   (if (dual-averaging? step-size)
       step-size
       (rule->procedure 'anneal "step-size" step-size positive-number? "a positive number"))
   (trajectory-lengths trajectory-length)
   jitter
   (if (procedure? transitions-per-temperature)
       transitions-per-temperature
       (lambda (made accepted) (>= made transitions-per-temperature)))
   (mass-rule target mass)
   sampler
   seed
   (keep-rule keep)))

(define (first-sigma temperatures)
  "Where TEMPERATURES, as `rules-temperatures' has them, begin."
  (if (adaptive? temperatures) (adaptive-from temperatures) (vector-ref temperatures 0)))

(define (last-sigma temperatures)
  "Where they end."
  (if (adaptive? temperatures)
      (adaptive-until temperatures)
      (vector-ref temperatures (1- (vector-length temperatures)))))

(define (initial-ratio rules)
  "The first ratio of the temperatures of RULES if they are adaptive, else #f."
  (let ((temperatures (rules-temperatures rules)))
    (and (adaptive? temperatures) (adaptive-ratio temperatures))))

(define (check-target procedure object)
  ;; A prior is what one has at hand, and what is sampled is a target.
  (check-that (not (or (prior? object) (learned? object))) procedure
              "target: ~s is a prior; (posterior prior op y #:noise 0.1) is its target with a \
measurement y, (prior-target prior~a) without one"
              object (if (learned? object) " #:shape '(64 64)" ""))
  (check-that (target? object) procedure
              "target: expected one, as `posterior' and `prior-target' make, got ~s" object))

(define (settings->rules procedure target settings)
  "The rules that SETTINGS, keywords and values as `anneal' has them, make for TARGET; errors
are of PROCEDURE or `anneal'."
  (check-target procedure target)
  (catch 'keyword-argument-error
    (lambda () (apply rules-for target settings))
    (lambda (key where message irritants culprit)
      (complain procedure "~a"
                (unknown-keyword-text (car culprit)
                                      (cons* #:chains #:start #:hook
                                             (procedure-keywords rules-for)))))))

(document
 (paper-schedule
  "The settings of the paper, for (apply anneal target paper-schedule).
Example: (apply start-chain target paper-schedule)")
 (langevin-schedule
  "The settings of annealed Langevin dynamics (Song, Ermon 2019), for (apply anneal target
langevin-schedule).
Example: (apply start-chain target langevin-schedule)"))
