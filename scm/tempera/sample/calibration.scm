;;; calibration.scm -- are the draws of a sampler draws of the posterior?
;;;
;;; A model is a prior, an operator, noise, and the sampler to be judged.  `simulate' draws
;;; truths from the prior, or takes images, measures each, and samples its posterior: if
;;; the sampler is right, truth and draws are exchangeable given the measurement.  From that
;;; follow simulation-based calibration (ranks of test quantities), coverage of credible
;;; intervals, expected coverage around random points (TARP), and reliability of the
;;; standard deviation.  All are statements about the same simulations.

(define-module (tempera sample calibration)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:use-module (tempera file files)
  #:use-module (tempera problem operators)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem priors)
  #:use-module (tempera base progress)
  #:use-module (tempera sample sampling)
  #:use-module (tempera problem targets)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor tensors)
  #:export (make-model model? model-prior model-operator model-noise annealed-sampler
            simulate simulations? simulations-truths simulations-measurements simulations-draws
            simulations-model
            projection-quantity squared-norm-quantity log-likelihood-quantity usual-quantities
            sbc rank-test? rank-test-name rank-test-ranks rank-test-greatest rank-test-bins
            rank-test-chi-square rank-test-p least-p
            coverage covered-share
            tarp tarp? tarp-curve tarp-area tarp-test
            reliability reliability? reliability-bins reliability-ratio reliability-slope
            reliability-intercept reliability-correlation)
  #:re-export (chi-square-tail binomial-cdf))

;;; --- Models and simulations ---------------------------------------------------

(define-record-type <model>
  (%make-model prior operator noise sample)
  model?
  (prior model-prior)
  (operator model-operator)
  (noise model-noise)                   ; of the measurements
  (sample model-sample))                ; y count seed -> batch (count ...)

(set-record-type-printer! <model>
  (lambda (m port)
    (format port "#<model ~a, ~a, noise ~a>" (model-prior m) (model-operator m) (model-noise m))))

(define* (annealed-sampler prior op #:key (noise 0.1) (settings '()))
  "The sampler that anneals: a procedure (sample y count seed) that returns COUNT draws of the
posterior of PRIOR and Y by OP with NOISE, each the end of a chain of its own.  SETTINGS are
keywords of `anneal'; without #:temperatures it cools from 100 to NOISE / 20, where what is
left of the temperature makes the likelihood's variance wrong by 0.25 %.
Example: ((annealed-sampler prior op #:noise 0.1) y 31 42)"
  (check-that (and (real? noise) (finite? noise) (> noise 0)) 'annealed-sampler
              "noise: expected a positive number, got ~s" noise)
  (lambda (y count seed)
    (let ((chain (apply anneal (posterior prior op y #:noise noise) #:chains count #:seed seed
                        (if (memq #:temperatures settings)
                            settings
                            (cons* #:temperatures
                                   (default-temperatures prior #:until (/ noise 20))
                                   settings)))))
      (check-that (chain-finished? chain) 'annealed-sampler "paused before the end")
      (chain-samples chain))))

(define* (make-model prior op #:key (noise 0.1) (sample (annealed-sampler prior op #:noise noise)))
  "A model to be calibrated: PRIOR, measured by OP with NOISE, and the sampler of the posterior
that is to be judged, SAMPLE, a procedure (sample y count seed) that returns a batch
(COUNT ...) of draws.  Any will do that gives the same for the same SEED.
Example: (make-model prior op #:noise 0.1
                     #:sample (annealed-sampler prior op #:noise 0.1 #:settings '(#:step-size 1)))"
  (check-that (operator? op) 'make-model "operator: expected one, got ~s" op)
  (check-that (and (real? noise) (finite? noise) (> noise 0)) 'make-model
              "noise: expected a positive number, got ~s" noise)
  (check-that (procedure? sample) 'make-model "sample: expected a procedure, got ~s" sample)
  (%make-model prior op noise sample))

(define-record-type <simulations>
  (make-simulations model truths measurements draws)
  simulations?
  (model simulations-model)
  (truths simulations-truths)           ; (N ...)
  (measurements simulations-measurements) ; a list of N
  (draws simulations-draws))            ; (N L ...)

(set-record-type-printer! <simulations>
  (lambda (s port)
    (let ((shape (tensor-shape (simulations-draws s))))
      (format port "#<~a simulations of ~a draws over ~a>" (first shape) (second shape)
              (cddr shape)))))

(define (member-of batch index)
  ;; Number INDEX of BATCH (N ...), without its first axis.
  (tensor-reshape (tensor-slice batch 0 index (1+ index)) (cdr (tensor-shape batch))))

(define (quietly thunk)
  ;; What THUNK samples has a progress of its own, inside that of all simulations.  All else that it
  ;; says is said: how to go on after Ctrl-C.
  (parameterize ((progress-port (%make-void-port "w"))) (thunk)))

(define checkpoint-seconds 30)          ; between two writings of it

(define* (simulate model count #:key (draws 31) (seed 0) (truths #f) (checkpoint #f))
  "COUNT simulations of MODEL: a truth from its prior, a measurement of it, and DRAWS draws of
that one's posterior.  TRUTHS, a batch (COUNT ...), takes the place of draws from the prior:
held-out images for a learned one, which is then judged with them.  CHECKPOINT, the name of a file
or #f, gets the draws now and then and when a signal stops it; where it is there, it is gone on
from, to the same bits: give it the same model and settings.
Example: (simulate (make-model prior op) 2 #:draws 3 #:seed 1)"
  (check-that (model? model) 'simulate "model: expected one, got ~s" model)
  (for-each (lambda (name n)
              (check-that (and (exact-integer? n) (> n 0)) 'simulate
                          "~a: expected a positive integer, got ~s" name n))
            '("count" "draws") (list count draws))
  (check-seed 'simulate seed)
  (check-that (or (not truths) (and (tensor? truths) (pair? (tensor-shape truths))
                                    (= count (first (tensor-shape truths)))
                                    (tensor-finite? truths)))
              'simulate "truths: expected a batch of ~a, of finite numbers, got ~s" count truths)
  (let* ((truths (or truths (prior-draw (model-prior model) count #:seed seed)))
         (shape (cdr (tensor-shape truths)))
         (all (tensor-zeros (cons* count draws shape) (tensor-dtype truths)))
         (done (if (and checkpoint (file-exists? checkpoint)) (load-draws! checkpoint all) 0))
         (progress (make-progress "simulating" (- count done)))
         (begun done) (saved (seconds-now))
         (warnings '())                 ; of simulations that had any, newest first
         (sample!
          (lambda (i y own-seed)
            (let* ((said (open-output-string))
                   (batch (parameterize ((current-warning-port said))
                            (quietly (lambda () ((model-sample model) y draws own-seed))))))
              (unless (string-null? (get-output-string said))
                (set! warnings (cons (get-output-string said) warnings)))
              (check-that (and (tensor? batch) (eq? (tensor-dtype batch) (tensor-dtype truths))
                               (equal? (tensor-shape batch) (cons draws shape)))
                          'simulate "sample: expected a ~a tensor of shape ~a, got ~s"
                          (tensor-dtype truths) (cons draws shape) batch)
              (check-that (tensor-finite? batch) 'simulate
                          "sample: its draws of simulation ~a have NaN or infinite values" i)
              (tensor-assign! (tensor-slice all 0 i (1+ i)) batch)
              #t)))
         (simulation
          (lambda (i)
            ;; Other simulations, and those of other seeds, have other random numbers.
            (let* ((own-seed (modulo (+ (* 1000003 seed) i) (expt 2 62)))
                   (y (measure (model-operator model) (member-of truths i)
                               #:noise (model-noise model) #:seed own-seed)))
              (when (>= i done)
                (with-scope (lambda () (sample! i y own-seed)))
                (set! done (1+ i))
                (when (and checkpoint (> (- (seconds-now) saved) checkpoint-seconds))
                  (save-draws checkpoint all done)
                  (set! saved (seconds-now)))
                (progress-update! progress (- done begun)))
              y))))
    (call-with-stop
      (lambda ()
        (let ((measurements (map-in-order simulation (iota count))))
          (progress-finish! progress)
          (when (pair? warnings)
            (format (current-warning-port) "~a of ~a simulations had warnings; the first:~%~a"
                    (length warnings) count (last warnings)))
          (make-simulations model truths measurements all)))
      (lambda (exception)
        (progress-finish! progress)
        (when (and checkpoint (interrupt-signal exception))
          (save-draws checkpoint all done))))))

(define (real-draws all)
  (if (eq? (tensor-dtype all) 'c64) (real-view all) all))

(define (save-draws path all done)
  ;; The draws ALL of the first DONE simulations.
  (save-safetensors path `(("draws" . ,(real-draws all)))
                    #:metadata `(("done" . ,(number->string done)))))

(define (load-draws! path all)
  ;; Let ALL be the draws in PATH; of how many simulations.
  (let-values (((tensors metadata) (load-safetensors path)))
    (let ((draws (assoc-ref tensors "draws"))
          (done (string->number (or (assoc-ref metadata "done") ""))))
      (check-that (and draws (equal? (tensor-shape draws) (tensor-shape (real-draws all)))
                       (exact-integer? done) (<= 0 done (first (tensor-shape all))))
                  'simulate "~a: is no checkpoint of these simulations" path)
      (tensor-assign! (real-draws all) draws)
      done)))

(define (check-simulations procedure simulations)
  (check-that (simulations? simulations) procedure
              "simulations: expected what `simulate' returns, got ~s" simulations))

(define (simulations-count simulations)
  (tensor-size (simulations-draws simulations) 0))

(define (draws-count simulations)
  (tensor-size (simulations-draws simulations) 1))

(define (truth-and-draws simulations index)
  ;; One batch (1 + L ...), the truth first.
  (tensor-concatenate
   (list (tensor-slice (simulations-truths simulations) 0 index (1+ index))
         (member-of (simulations-draws simulations) index))
   0))

;;; --- Ranks --------------------------------------------------------------------

(define-record-type <rank-test>
  (make-rank-test name ranks greatest bins chi-square p)
  rank-test?
  (name rank-test-name)
  (ranks rank-test-ranks)               ; one for each simulation, 0 ... greatest
  (greatest rank-test-greatest)         ; L
  (bins rank-test-bins)                 ; ((first last count expected) ...)
  (chi-square rank-test-chi-square)
  (p rank-test-p))

(set-record-type-printer! <rank-test>
  (lambda (t port)
    (format port "#<rank test of ~a: p ~a>" (rank-test-name t)
            (/ (round (* 1000 (rank-test-p t))) 1000))))

(define (bin-count simulations greatest)
  ;; Eight simulations or more in each bin, for chi-square's distribution; 20 bins at most,
  ;; since what miscalibration does to a histogram is smooth; equal ones, if with half as
  ;; many or more that goes.
  (let ((most (max 2 (min 20 (1+ greatest) (quotient simulations 8)))))
    (or (find (lambda (size) (zero? (modulo (1+ greatest) size)))
              (filter (lambda (size) (and (> size 1) (>= (* 2 size) most)))
                      (iota most most -1)))
        most)))

(define (test-ranks name ranks greatest)
  ;; Are RANKS uniform on 0 ... GREATEST?  Pearson's chi-square over bins as even as may be.
  (let* ((n (length ranks))
         (size (bin-count n greatest))
         (edges (map (lambda (b) (quotient (* b (1+ greatest)) size)) (iota (1+ size))))
         (bins (map (lambda (first next)
                      (list first (1- next)
                            (count (lambda (r) (<= first r (1- next))) ranks)
                            (/ (* n (- next first)) (exact->inexact (1+ greatest)))))
                    edges (cdr edges)))
         (chi-square (apply + (map (lambda (bin)
                                     (/ (expt (- (third bin) (fourth bin)) 2) (fourth bin)))
                                   bins))))
    (make-rank-test name ranks greatest bins chi-square (chi-square-tail chi-square (1- size)))))

(define (rank-among value others u)
  ;; How many of OTHERS are below VALUE; the uniform U decides where it is among equals.
  (+ (count (lambda (o) (< o value)) others)
     (inexact->exact (floor (* u (1+ (count (lambda (o) (= o value)) others)))))))

(define (least-p tests)
  "The probability that the least p of TESTS, a list of rank tests, is as small as it is:
Bonferroni's bound, that p times their number, at most 1.
Example: (least-p (sbc simulations))"
  (check-that (and (pair? tests) (every rank-test? tests)) 'least-p
              "tests: expected a list of rank tests, got ~s" tests)
  (min 1 (* (length tests) (apply min (map rank-test-p tests)))))

;;; --- Simulation-based calibration ---------------------------------------------

(define (projection-quantity shape dtype number)
  "A test quantity: the projection Re <w, x> on a random direction w, NUMBER names which.
Example: (projection-quantity '(16 16) 'c64 1)"
  (let ((w (random-normal (cons 1 shape) number (random-stream 'calibration) dtype)))
    (lambda (batch y)
      (vector->list (chains-dot batch (tensor-copy (tensor-broadcast w (tensor-shape batch))))))))

(define (squared-norm-quantity batch y)
  "A test quantity: |x|^2 of each x of BATCH, a list.
Example: (squared-norm-quantity (random-normal '(3 16 16) 1) #f)"
  (vector->list (chains-dot batch batch)))

(define (log-likelihood-quantity op noise)
  "A test quantity: log p(y | x) up to a constant, -|A x - y|^2 / (2 NOISE^2).  It depends on the
data too, and so sees what quantities of x alone cannot: Modrak et al., Simulation-based
calibration checking for Bayesian computation: the choice of test quantities (2023).
Example: (log-likelihood-quantity op 0.1)"
  (lambda (batch y)
    (let ((residual (tensor- (apply-forward op batch)
                             (tensor-reshape y (cons 1 (tensor-shape y))))))
      (map (lambda (squares) (/ squares (* -2 noise noise)))
           (vector->list (chains-dot residual residual))))))

(define* (usual-quantities simulations #:key (projections 3))
  "The test quantities of `sbc' unless others are given: PROJECTIONS random projections, |x|^2
and the log likelihood; a list of (name . procedure).
Example: (sbc simulations #:quantities (usual-quantities simulations #:projections 8))"
  (check-simulations 'usual-quantities simulations)
  (let* ((truths (simulations-truths simulations)) (model (simulations-model simulations)))
    (append (map (lambda (k)
                   (cons (format #f "projection ~a" (1+ k))
                         (projection-quantity (cdr (tensor-shape truths)) (tensor-dtype truths) k)))
                 (iota projections))
            (list (cons "squared norm" squared-norm-quantity)
                  (cons "log likelihood"
                        (log-likelihood-quantity (model-operator model) (model-noise model)))))))

(define* (sbc simulations #:key (quantities (usual-quantities simulations)) (seed 0))
  "Simulation-based calibration: for each of QUANTITIES, a list of (name . procedure) with
(procedure batch y) a list of reals, one for each x of BATCH, the rank of the truth among the
L draws, which is uniform on 0 ... L if they are of the posterior.  Returns a list of rank
tests: `rank-test-name', `-ranks', `-bins' (first rank, last rank, count, expected count),
`-chi-square', `-p'.  SEED decides among equal values.  The draws of one simulation have to
be independent: thin those of a chain, or anneal each.

How many simulations?  A sampler gives the ranks a density f (u) on (0, 1); chi-square then
has non-centrality N int (f - 1)^2 du, and p < 0.01 has probability 0.99 from 40 on for 10 bins
(48 for 20).  With sigma_n taken 20 % too large and the data alone deciding d numbers, draws have
1.44 times the squared residual of the truth, and the log likelihood's integral is 1.103^(d/2) - 1:
0.10 for d = 2, N = 390; 1.2 for d = 16, N = 34.  A standard deviation 20 % too large gives a
projection 1.2 / sqrt (2 - 1 / 1.44) - 1 = 0.050, N = 800.
Source: Talts, Betancourt, Simpson, Vehtari, Gelman, arXiv:1804.06788 (2018), algorithm 1.
Example: (map rank-test-p (sbc simulations))"
  (check-simulations 'sbc simulations)
  (check-that (and (pair? quantities)
                   (every (lambda (q) (and (pair? q) (string? (car q)) (procedure? (cdr q))))
                          quantities))
              'sbc "quantities: expected a list of (name . procedure), got ~s" quantities)
  (check-seed 'sbc seed)
  (let* ((n (simulations-count simulations))
         (greatest (draws-count simulations))
         (values-of
          (lambda (index quantity)
            (let ((values ((cdr quantity) (truth-and-draws simulations index)
                           (list-ref (simulations-measurements simulations) index))))
              (check-that (and (list? values) (= (length values) (1+ greatest))
                               (every real? values) (every finite? values))
                          'sbc "~a: expected ~a finite numbers for simulation ~a, got ~s"
                          (car quantity) (1+ greatest) index values)
              values))))
    (map (lambda (quantity k)
           (let ((uniforms (tensor->list (random-uniform (list n) seed
                                                         (random-stream 'calibration (1+ k))))))
             (test-ranks (car quantity)
                         (map-in-order (lambda (index u)
                                         (with-scope
                                          (lambda ()
                                            (let ((values (values-of index quantity)))
                                              (rank-among (car values) (cdr values) u)))))
                                       (iota n) uniforms)
                         greatest)))
         quantities (iota (length quantities)))))

;;; --- Coverage -----------------------------------------------------------------

(define (real-numbers tensor part)
  ;; What is covered: f32 as it is, c64 by magnitude or by its parts.
  (cond ((eq? (tensor-dtype tensor) 'f32) tensor)
        ((eq? part 'magnitude) (tensor-abs tensor))
        (else (real-view tensor))))

(define (pixel-ranks truths draws part)
  ;; Of TRUTHS (N ...) among DRAWS (N L ...), f32 (N P): how many draws are below the truth; of
  ;; those equal, half.
  (let* ((n (tensor-size draws 0)) (l (tensor-size draws 1))
         (truths (tensor-reshape (real-numbers truths part) (list n 1 -1)))
         (draws (tensor-reshape (real-numbers draws part) (list n l -1))))
    (tensor* 1/2 (tensor+ (tensor-sum (tensor< draws truths) 1)
                          (tensor- l (tensor-sum (tensor< truths draws) 1))))))

(define (fraction-between ranks low high)
  ;; For each simulation, a list: the fraction of its RANKS from LOW to HIGH.
  (tensor->list
   (tensor-mean (tensor* (tensor< (- low 1/4) ranks) (tensor< ranks (+ high 1/4))) 1)))

(define (fraction-covered ranks l level)
  ;; For each simulation, a list: the fraction of its RANKS among L draws inside LEVEL.
  (let* ((i (* (- 1 level) 1/2 (1+ l)))
         (below (inexact->exact (floor i)))
         (weight (- i below)))
    (map (lambda (wide narrow) (+ (* (- 1 weight) wide) (* weight narrow)))
         (fraction-between ranks below (- l below))
         (fraction-between ranks (1+ below) (- l below 1)))))

(define (warn-of-few procedure draws levels)
  ;; An interval of LEVEL of few DRAWS is mostly, all but (1 - LEVEL) (DRAWS + 1) / 2 of it, one
  ;; without ends: see `coverage'.  Most here is three quarters.
  (let* ((ends (lambda (level) (* (- 1 level) (/ (1+ draws) 2))))
         (few (filter (lambda (level) (< (ends level) 1/4)) levels)))
    (when (pair? few)
      (let ((level (apply max few)))
        (format (current-warning-port)
                "warning: ~a: of ~a samples intervals of ~a % are for ~a % without ends, which have \
the truth in them whatever it is; take ~a samples or more~%"
                procedure draws (significant (* 100. level) 3)
                (significant (* 100. (- 1 (ends level))) 2)
                (inexact->exact (ceiling (- (/ 1 (- 1 level)) 1 1e-9))))))))

(define* (covered-share samples truth #:key (level 0.9) (part 'magnitude) (where #f))
  "How many pixels of TRUTH, (...), are inside the central credible interval of LEVEL of SAMPLES,
(L ...): `coverage' of one simulation.  WHERE, f32 of 0 and 1 and TRUTH's shape, says which
pixels count: a magnitude of exactly 0, as in the margin of many images, is below that of any
draw.
Example: (covered-share (chain-samples chain) scan #:where (tensor< 0.5 (tensor-abs scan)))"
  (check-that (and (tensor? samples) (tensor? truth)
                   (equal? (cdr (tensor-shape samples)) (tensor-shape truth)))
              'covered-share "samples, truth: expected (L ...) and (...), got ~s and ~s"
              samples truth)
  (check-that (or (not where) (and (tensor? where) (equal? (tensor-shape where) (tensor-shape truth))
                                   (eq? part 'magnitude)))
              'covered-share "where: expected f32 of truth's shape, for magnitudes, got ~s" where)
  (let* ((ranks (pixel-ranks (tensor-reshape truth (cons 1 (tensor-shape truth)))
                             (tensor-reshape samples (cons 1 (tensor-shape samples)))
                             part))
         (counted (if where
                      (filter-map (lambda (rank in) (and (> in 0) rank))
                                  (tensor->list ranks) (tensor->list where))
                      (tensor->list ranks))))
    (warn-of-few 'covered-share (tensor-size samples 0) (list level))
    (check-that (pair? counted) 'covered-share "where: no pixel counts")
    (first (fraction-covered (list->tensor counted (list 1 (length counted)))
                             (tensor-size samples 0) level))))

(define* (coverage simulations #:key (levels '(0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 0.95))
                   (part 'magnitude))
  "How many pixels have their truth inside the central credible interval of each of LEVELS: a
list of (level coverage standard-error), where coverage is level for a calibrated sampler.
PART says what of a complex image is covered: magnitude, or parts (real and imaginary each).
The standard error is that over simulations, since the pixels of one are not independent.

An interval from the i-th of L sorted draws to the (L + 1 - i)-th has the truth in it with
probability 1 - 2 i / (L + 1); at a level between two such, both are counted, weighted so that
they have that level on average.  So the statement is unbiased for any L, for 8 as for 1000:
few draws make the intervals longer, not their coverage wrong.
Example: (assv-ref (coverage simulations #:levels '(0.9)) 0.9)"
  (check-simulations 'coverage simulations)
  (check-that (and (pair? levels) (every (lambda (p) (and (real? p) (< 0 p 1))) levels)) 'coverage
              "levels: expected a list of numbers between 0 and 1, got ~s" levels)
  (check-that (memq part '(magnitude parts)) 'coverage
              "part: expected magnitude or parts, got ~s" part)
  (let* ((l (draws-count simulations))
         (ranks (pixel-ranks (simulations-truths simulations) (simulations-draws simulations)
                             part)))
    (warn-of-few 'coverage l levels)
    (map (lambda (level)
           (let ((each (fraction-covered ranks l level)))
             (list level (mean each) (standard-error each))))
         levels)))

(define (standard-error numbers)
  ;; Of their mean; of one number, not known: infinite.
  (let ((n (length numbers)) (m (mean numbers)))
    (if (= n 1)
        +inf.0
        (sqrt (/ (apply + (map (lambda (x) (expt (- x m) 2)) numbers)) (* n (1- n)))))))

;;; --- Expected coverage --------------------------------------------------------

(define-record-type <tarp>
  (make-tarp curve area test)
  tarp?
  (curve tarp-curve)                    ; ((level expected-coverage) ...)
  (area tarp-area)
  (test tarp-test))                     ; a rank test

(set-record-type-printer! <tarp>
  (lambda (t port)
    (format port "#<tarp: area ~a, p ~a>" (/ (round (* 1000 (tarp-area t))) 1000)
            (/ (round (* 1000 (rank-test-p (tarp-test t)))) 1000))))

(define* (tarp simulations #:key (seed 0))
  "Tests of accuracy with random points: for each simulation the rank of the truth among the L
draws by distance from a reference point, here the truth of the next simulation, which is
random, independent of the measurement, and about as far as draws are.  Three values in one:
`tarp-curve', a list of (level expected-coverage), the part of simulations with fewer draws
nearer than the truth than level says, which is level if calibrated; `tarp-area', the area
between that curve and the diagonal; and `tarp-test', a rank test of the ranks.  With
few directions that are wrong among many it sees less than `sbc' with the log likelihood does.
Source: Lemos, Coogan, Hezaveh, Perreault-Levasseur, arXiv:2302.03026 (2023), algorithm 2.
Example: (rank-test-p (tarp-test (tarp simulations)))"
  (check-simulations 'tarp simulations)
  (check-seed 'tarp seed)
  (let* ((n (simulations-count simulations)) (l (draws-count simulations)))
    (check-that (> n 1) 'tarp "simulations: expected two or more, got ~a" n)
    (let* ((uniforms (tensor->list (random-uniform (list n) seed (random-stream 'calibration))))
           (ranks (map-in-order
                   (lambda (i u)
                     (with-scope
                      (lambda ()
                        (let* ((next (modulo (1+ i) n))
                               (d (tensor- (truth-and-draws simulations i)
                                           (tensor-slice (simulations-truths simulations) 0 next
                                                         (1+ next))))
                               (distances (vector->list (chains-dot d d))))
                          (rank-among (car distances) (cdr distances) u)))))
                   (iota n) uniforms))
           (curve (map (lambda (k)
                         (list (/ k (exact->inexact (1+ l)))
                               (/ (count (lambda (r) (< r k)) ranks) (exact->inexact n))))
                       (iota (+ l 2)))))
      (make-tarp curve
                 (/ (apply + (map (lambda (point) (abs (- (second point) (first point)))) curve))
                    (1+ l))
                 (test-ranks "distance from a random point" ranks l)))))

;;; --- Reliability --------------------------------------------------------------

(define-record-type <reliability>
  (make-reliability bins ratio slope intercept correlation)
  reliability?
  (bins reliability-bins)               ; ((predicted error) ...)
  (ratio reliability-ratio)
  (slope reliability-slope)
  (intercept reliability-intercept)
  (correlation reliability-correlation))

(set-record-type-printer! <reliability>
  (lambda (r port)
    (let ((three (lambda (x) (and x (/ (round (* 1000 x)) 1000)))))
      (format port "#<reliability: ratio ~a, slope ~a, intercept ~a, correlation ~a>"
              (three (reliability-ratio r)) (three (reliability-slope r))
              (three (reliability-intercept r)) (three (reliability-correlation r))))))

(define (pixel-variances simulations begin end)
  ;; f32 (N P): the variance over draws BEGIN to END; both parts of complex pixels count.
  (let* ((draws (tensor-reshape (tensor-slice (simulations-draws simulations) 1 begin end)
                                (list (simulations-count simulations) (- end begin) -1)))
         (d (tensor- draws (tensor-mean draws 1 #t))))
    (tensor/ (tensor-sum-squares d 1) (- end begin 1))))

(define (sum-of t)
  (tensor->number (tensor-sum t)))

(define (correlation-of a b)
  (let* ((da (tensor- a (tensor-mean a))) (db (tensor- b (tensor-mean b)))
         (scale (sqrt (* (sum-of (tensor* da da)) (sum-of (tensor* db db))))))
    (if (> scale 0) (/ (sum-of (tensor* da db)) scale) 0.)))

(define (bins-by sorting bins . tensors)
  ;; The means of TENSORS over BINS of equal count by SORTING, all f32 (n); a list for each
  ;; bin that has anything in it.
  (let* ((edges (map (lambda (b) (tensor->number (tensor-quantile sorting (/ b bins) 0)))
                     (iota bins)))
         (below (lambda (edge) (tensor< sorting edge))))
    (filter-map (lambda (low high)
                  (let* ((inside (tensor- (below high) (below low))) (count (sum-of inside)))
                    (and (> count 0)
                         (map (lambda (t) (/ (sum-of (tensor* inside t)) count)) tensors))))
                edges (append (cdr edges) (list +inf.0)))))

(define (line-through points)
  ;; Slope and intercept by least squares, #f twice if the points are one above the other.
  (let* ((x (map first points)) (y (map second points))
         (mx (mean x)) (my (mean y)))
    (if (> (apply max x) (* 1.1 (apply min x)))
        (let ((slope (/ (apply + (map (lambda (a b) (* (- a mx) (- b my))) x y))
                        (apply + (map (lambda (a) (expt (- a mx) 2)) x)))))
          (values slope (- my (* slope mx))))
        (values #f #f))))

(define* (reliability simulations #:key (bins 10))
  "Is the error as large as the posterior's standard deviation says?  Pixels are sorted by that
into BINS of equal count; `reliability-bins' has for each the root mean squares of predicted
standard deviation and of error |truth - mean of draws|, equal if calibrated (the error of the
mean of L draws is part of the prediction).  `reliability-ratio' is error over prediction for
all pixels; `reliability-slope' and `-intercept' are those of the line through the bins, #f where
these differ by less than a tenth, as of a stationary field: through such points goes any line.
`reliability-correlation' is that of standard deviation and error pixel by pixel, which is below
1 even for a perfect sampler.  A complex pixel's two parts count together.

Half of the draws sort the pixels and the other half predict: by the same draws, chance alone
would put the underestimated into the low bins, the overestimated into the high ones, and
flatten the line.
Example: (reliability-ratio (reliability simulations))"
  (check-simulations 'reliability simulations)
  (check-that (and (exact-integer? bins) (> bins 1)) 'reliability
              "bins: expected an integer of 2 or more, got ~s" bins)
  (let* ((n (simulations-count simulations)) (l (draws-count simulations))
         (half (quotient l 2)))
    (check-that (>= l 4) 'reliability "simulations: expected 4 draws or more in each, got ~a" l)
    (let* ((flat (lambda (t) (tensor-reshape t '(-1))))
           (draws (tensor-reshape (simulations-draws simulations) (list n l -1)))
           (truths (tensor-reshape (simulations-truths simulations) (list n -1)))
           (errors (flat (tensor-square (tensor-abs (tensor- truths (tensor-mean draws 1))))))
           (sorting (flat (pixel-variances simulations 0 half)))
           (predicted (tensor* (+ 1 (/ 1. l)) (flat (pixel-variances simulations half l))))
           (count (tensor-count errors))
           (total (sum-of predicted)))
      (check-that (>= count bins) 'reliability "bins: expected at most ~a, as many as pixels, got ~a"
                  count bins)
      (check-that (> total 0) 'reliability
                  "simulations: all draws of a truth are equal, they predict no error")
      (let ((points (map (lambda (squares) (map sqrt squares))
                         (bins-by sorting bins predicted errors))))
        (call-with-values (lambda () (line-through points))
          (lambda (slope intercept)
            (make-reliability points (sqrt (/ (sum-of errors) total)) slope intercept
                              (correlation-of
                               (tensor-sqrt (flat (pixel-variances simulations 0 l)))
                               (tensor-sqrt errors)))))))))

(document
 (model?
  "True when OBJECT is a model, as `make-model' makes.
Example: (model? 3) => #f")
 (model-prior
  "The prior that truths of MODEL are drawn from.
Example: (model-prior (simulations-model simulations))")
 (model-operator
  "The operator that measures the truths of MODEL.
Example: (model-operator (simulations-model simulations))")
 (model-noise
  "The standard deviation of the noise of MODEL's measurements.
Example: (model-noise (simulations-model simulations)) => 0.1")
 (simulations?
  "True when OBJECT is what `simulate' returns.
Example: (simulations? simulations) => #t")
 (simulations-model
  "The model that SIMULATIONS are of.
Example: (simulations-model simulations)")
 (simulations-truths
  "The N truths of SIMULATIONS, (N ...).
Example: (tensor-shape (simulations-truths simulations)) => (20 16 16)")
 (simulations-measurements
  "The measurements of SIMULATIONS, a list of N.
Example: (length (simulations-measurements simulations)) => 20")
 (simulations-draws
  "The L draws of the posterior of each of SIMULATIONS, (N L ...).
Example: (tensor-shape (simulations-draws simulations)) => (20 7 16 16)")
 (rank-test?
  "True when OBJECT is a test of ranks, as `sbc' returns.
Example: (map rank-test? (sbc simulations))")
 (rank-test-name
  "What the ranks of RANK-TEST are of, a string.
Example: (map rank-test-name (sbc simulations))")
 (rank-test-ranks
  "The ranks of RANK-TEST, one for each simulation, from 0 to `rank-test-greatest'.
Example: (map rank-test-ranks (sbc simulations))")
 (rank-test-greatest
  "The greatest rank of RANK-TEST: the number of draws.
Example: (rank-test-greatest (car (sbc simulations))) => 7")
 (rank-test-bins
  "The histogram of RANK-TEST, a list of (first last count expected).
Example: (rank-test-bins (car (sbc simulations)))")
 (rank-test-chi-square
  "The chi-square of the histogram of RANK-TEST against even ranks.
Example: (map rank-test-chi-square (sbc simulations))")
 (rank-test-p
  "The probability of a chi-square as large as that of RANK-TEST where ranks are even.
Example: (map rank-test-p (sbc simulations))")
 (tarp?
  "True when OBJECT is what `tarp' returns.
Example: (tarp? 3) => #f")
 (tarp-curve
  "The expected coverage of TARP by level, a list of (level coverage).
Example: (tarp-curve (tarp simulations))")
 (tarp-area
  "The area between the curve of TARP and the diagonal, above 0 where regions are too wide.
Example: (tarp-area (tarp simulations))")
 (tarp-test
  "The test of ranks of TARP.
Example: (rank-test-p (tarp-test (tarp simulations)))")
 (reliability?
  "True when OBJECT is what `reliability' returns.
Example: (reliability? 3) => #f")
 (reliability-bins
  "What RELIABILITY compares, a list of (predicted error), root mean squares.
Example: (reliability-bins (reliability simulations))")
 (reliability-ratio
  "Error over predicted standard deviation of RELIABILITY, in all; 1 when right.
Example: (reliability-ratio (reliability simulations))")
 (reliability-slope
  "The slope of error on predicted standard deviation over the bins of RELIABILITY.
Example: (reliability-slope (reliability simulations))")
 (reliability-intercept
  "The intercept of error on predicted standard deviation over the bins of RELIABILITY.
Example: (reliability-intercept (reliability simulations))")
 (reliability-correlation
  "The correlation of error and predicted standard deviation over the bins of RELIABILITY.
Example: (reliability-correlation (reliability simulations))"))
