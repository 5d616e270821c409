;;; test-diagnostics.scm -- R-hat and effective sizes against what is known; a chain's diagnosis.
;;; Long, since each warning of a diagnosis has a chain that earns it.

(use-modules (harness)
             (tempera) (tempera see charts)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "diagnostics")

(define (numbers tensor) (tensor->list tensor))
(define (largest tensor) (tensor->number (tensor-max tensor)))
(define (smallest tensor) (tensor->number (tensor-min tensor)))
(define (normal shape seed) (random-normal shape seed 0))

;; Draws (S C Q) of autoregressive chains x' = phi x + sqrt (1 - phi^2) e, begun in their
;; distribution N(0, 1): the autocorrelation time is (1 + phi) / (1 - phi).
(define (autoregressive draws chains quantities phi seed)
  (let* ((noise (normal (list draws chains quantities) seed))
         (row (lambda (t s) (tensor-slice t 0 s (1+ s))))
         (scale (sqrt (- 1 (* phi phi)))))
    (do ((s 1 (1+ s))) ((= s draws) noise)
      (tensor-assign! (row noise s)
                      (tensor+ (tensor* phi (row noise (1- s))) (tensor* scale (row noise s)))))))

;;; --- The same formulas, as written ------------------------------------------------

(define pi (acos -1))

(define (phi-of z)
  ;; The normal distribution function by its series.
  (let loop ((k 1) (term z) (sum 0))
    (if (< (abs term) 1e-17)
        (+ 0.5 (* sum (/ (exp (/ (* z z) -2)) (sqrt (* 2 pi)))))
        (loop (+ k 2) (/ (* term z z) (+ k 2)) (+ sum term)))))

(define (quantile-of p)
  (let loop ((low -8.) (high 8.) (steps 80))
    (let ((middle (/ (+ low high) 2)))
      (cond ((zero? steps) middle)
            ((< (phi-of middle) p) (loop middle high (1- steps)))
            (else (loop low middle (1- steps)))))))

(define (rank-scores sequences)
  (let* ((all (concatenate sequences)) (n (length all)))
    (map (lambda (sequence)
           (map (lambda (x)
                  (let ((rank (+ (count (lambda (y) (< y x)) all)
                                 (/ (1+ (count (lambda (y) (= y x)) all)) 2.))))
                    (quantile-of (/ (- rank 3/8) (+ n 1/4)))))
                sequence))
         sequences)))

(define (variance l)
  (/ (apply + (map (lambda (x) (expt (- x (mean l)) 2)) l)) (1- (length l))))

(define (plain-r-hat sequences)
  (let* ((n (length (first sequences)))
         (w (mean (map variance sequences))))
    (sqrt (/ (+ (* (/ (1- n) n) w) (variance (map mean sequences))) w))))

(define (median l)
  (let ((sorted (sort l <)) (n (length l)))
    (/ (+ (list-ref sorted (quotient (1- n) 2)) (list-ref sorted (quotient n 2))) 2)))

(define (plain-diagnostics sequences)
  ;; R-hat, bulk and tail effective sizes, autocorrelation time.
  (let* ((m (median (concatenate sequences)))
         (folded (map (lambda (s) (map (lambda (x) (abs (- x m))) s)) sequences))
         (count (length (concatenate sequences))))
    (list (max (plain-r-hat (rank-scores sequences)) (plain-r-hat (rank-scores folded)))
          (/ count (plain-time (rank-scores sequences)))
          (apply min (map (lambda (q)
                            (let ((limit (plain-quantile q (concatenate sequences))))
                              (/ count (plain-time (map (lambda (s)
                                                          (map (lambda (x) (if (<= x limit) 1 0)) s))
                                                        sequences)))))
                          '(0.05 0.95)))
          (plain-time sequences))))

(define (plain-quantile q l)
  (let* ((sorted (sort l <)) (at (* q (1- (length l)))) (k (inexact->exact (floor at))))
    (+ (list-ref sorted k) (* (- at k) (- (list-ref sorted (1+ k)) (list-ref sorted k))))))

(define (plain-time sequences)
  (let* ((n (length (first sequences)))
         (w (mean (map variance sequences)))
         (total (+ (* (/ (1- n) n) w) (variance (map mean sequences))))
         (covariance (lambda (s lag)
                       (/ (apply + (map (lambda (a b) (* (- a (mean s)) (- b (mean s))))
                                        (drop-right s lag) (drop s lag)))
                          (1- n))))
         (rho (lambda (lag)
                (- 1 (/ (- w (mean (map (lambda (s) (covariance s lag)) sequences))) total))))
         (pairs (take-while positive?
                            (map (lambda (k) (+ (rho (* 2 k)) (rho (1+ (* 2 k)))))
                                 (iota (quotient n 2)))))
         (falling (reverse (fold (lambda (p l) (cons (if (null? l) p (min p (car l))) l))
                                 '() pairs))))
    (max (1- (* 2 (apply + falling))) (/ (log10 (* n (length sequences)))))))

(define (halves draws chain quantity)
  ;; Of DRAWS (S C Q): two lists, without the middle draw of an odd number.
  (let* ((s (tensor-size draws 0))
         (l (map (lambda (i) (tensor-ref draws i chain quantity)) (iota s))))
    (list (take l (quotient s 2)) (take-right l (quotient s 2)))))

(for-each
 (lambda (name draws)
   (let ((shape (tensor-shape draws)))
     (for-each
      (lambda (q)
        (let ((expected (plain-diagnostics
                         (append-map (lambda (c) (halves draws c q)) (iota (second shape))))))
          (for-each (lambda (what value measure)
                      (test-approximate (format #f "~a, ~a" name what)
                        value (tensor-ref (measure draws) q) (* 1e-5 value)))
                    '("R-hat" "bulk size" "tail size" "time") expected
                    (list r-hat ess-bulk ess-tail autocorrelation-time))))
      (iota (third shape)))))
 '("20 draws of 3 chains" "an odd number, correlated" "ties" "one chain" "four draws")
 (list (normal '(20 3 2) 1)
       (autoregressive 31 2 2 0.8 2)
       (tensor-round (tensor* 2 (normal '(20 2 2) 3)))
       (autoregressive 40 1 2 0.5 4)
       (normal '(4 2 2) 5)))

;;; --- Independent draws --------------------------------------------------------------

(define independent (normal '(200 4 64) 11))

;; For M = 8 halves of n = 100, n (R^2 - 1) + 1 has Fisher's distribution of (7, 792)
;; degrees of freedom, which is above 5 with probability 1.4e-5; there are 128 of them.
(define agreeing (sqrt (+ 1 (/ 4 100.))))
(test-assert "R-hat of independent draws"
  (< 0.99 (smallest (r-hat independent)) (largest (r-hat independent)) agreeing))

;; A time's standard error is sqrt (2 (2 m + 1) / N) with a window of m lags (Madras and
;; Sokal 1988): for m = 2 and N = 800, 0.11, and 0.014 for the mean of 64.  What noise
;; lets pass as a positive pair adds about 2 sqrt (2 / (pi N)) / 2, 0.03.
(test-approximate "time of independent draws" 1
  (tensor->number (tensor-mean (autocorrelation-time independent))) (+ (* 4 0.014) 0.03))
(test-approximate "bulk size of independent draws" 1
  (/ (tensor->number (tensor-mean (ess-bulk independent))) 800) (+ (* 4 0.014) 0.03))
(test-approximate "tail size of independent draws" 1
  ;; The smaller of two: less by 0.56 standard deviations of their difference on average.
  (/ (tensor->number (tensor-mean (ess-tail independent))) 800) 
  (+ (* 4 0.014) 0.03 (* 0.56 1.4 0.11)))

;;; --- A known autocorrelation --------------------------------------------------------

(for-each
 (lambda (phi)
   (let* ((tau (/ (+ 1 phi) (- 1 phi)))
          (draws (autoregressive 1000 4 64 phi 21))
          ;; A window of about 3 tau; 64 quantities.
          (error (* tau (sqrt (/ (* 2 (+ 1 (* 6 tau))) 4000 64)))))
     (test-approximate (format #f "time of an autoregression, ~a" phi) tau
       (tensor->number (tensor-mean (autocorrelation-time draws)))
       ;; The initial sequence's bias is a few hundredths.
       (+ (* 4 error) (* 0.04 tau)))
     ;; The ranks of a Gaussian autoregression are correlated as it is.  (1 / tau, averaged,
     ;; is high by the time's relative variance.)
     (test-approximate (format #f "bulk size of an autoregression, ~a" phi) 1
       (/ (* tau (tensor->number (tensor-mean (ess-bulk draws)))) 4000)
       (+ (* 4 (/ error tau)) 0.04 (* 64 (expt (/ error tau) 2))))
     (test-assert "tails are less correlated"
       (> (tensor->number (tensor-mean (ess-tail draws)))
          (tensor->number (tensor-mean (ess-bulk draws)))))))
 '(0.6 0.9))

(let ((draws (autoregressive 1000 4 16 -0.6 22)))
  (test-approximate "antithetic draws tell more" 1/4
    (tensor->number (tensor-mean (autocorrelation-time draws)))
    ;; Pairs below the noise, sqrt (1 / N), are not seen.
    (* 4 (sqrt (/ 4000)))))
(test-approximate "but not more than N log10 N" (/ (log10 4000))
  (largest (autocorrelation-time (autoregressive 1000 4 4 -0.999 23))) 1e-4)

;;; --- Chains that do not agree -------------------------------------------------------

(define (with-chain-of draws procedure)
  ;; DRAWS with the first chain changed, in the first quantity.
  (let* ((result (tensor-copy draws))
         (part (tensor-slice (tensor-slice result 1 0 1) 2 0 1)))
    (tensor-assign! part (procedure (tensor-copy part)))
    result))

(define (check-caught name draws least)
  (let ((r (numbers (r-hat draws))))
    (test-assert name (> (first r) least))
    (test-assert (string-append name ", and only that") (< (apply max (cdr r)) agreeing))))

;; Two of eight means off by 2: R^2 = 1 + 4 (2 * 6 / 8) / 7 = 1.86, a little less by ranks.
(check-caught "a shifted chain"
              (with-chain-of independent (lambda (x) (tensor+ x 2))) 1.25)
(check-caught "a chain of another variance"
              (with-chain-of independent (lambda (x) (tensor* x 4))) 1.05)
(check-caught "a chain that drifts"
              (with-chain-of independent
                             (lambda (x) (tensor+ x (tensor-reshape
                                                     (list->tensor (map (lambda (i) (/ i 40.))
                                                                        (iota 200)))
                                                     '(200 1 1))))) 1.25)
(check-caught "a chain that stands still"
              (with-chain-of independent (lambda (x) (tensor* x 0))) 1.05)

;; Heavy tails: a ratio of normals has no variance, its ranks are as good as any.
(let ((cauchy (tensor/ independent (normal '(200 4 64) 12))))
  (test-assert "R-hat of heavy tails" (< (largest (r-hat cauchy)) agreeing))
  (check-caught "a chain with heavier tails"
                (with-chain-of cauchy (lambda (x) (tensor* x 5))) 1.05))
(let ((skewed (tensor-exp (tensor* 3 independent))))
  (test-assert "bulk and tail do not see a change of scale"
    (and (tensor-identical? (ess-bulk independent) (ess-bulk skewed))
         (tensor-identical? (ess-tail independent) (ess-tail skewed)))))

;;; --- Constant, infinite, complex ------------------------------------------------------

(let* ((one-constant (tensor-copy independent)))
  (tensor-assign! (tensor-slice one-constant 2 3 4) 7)
  (for-each (lambda (name measure)
              (let ((values (numbers (measure one-constant))))
                (test-assert (string-append name " of a constant is no number") (nan? (fourth values)))
                (test-equal (string-append name ": of the others it is") 1
                  (count nan? values))))
            '("R-hat" "bulk" "tail" "time") (list r-hat ess-bulk ess-tail autocorrelation-time)))
(test-equal "chains that stand still, each elsewhere" '(+inf.0)
  (numbers (r-hat (tensor+ (tensor-zeros '(10 2 1)) (list->tensor '(1 2) '(2 1))))))
(test-approximate "of which all lags are correlated" (/ 20 7.)
  ;; rho is 1 at the lags 0 to 3 of 5 draws in a half: tau = -1 + 2 * 4 of 20 draws.
  (largest (ess-bulk (tensor+ (tensor-zeros '(10 2 1)) (list->tensor '(1 2) '(2 1))))) 1e-5)

(let* ((parts (autoregressive 100 4 64 0.5 31))
       (complex (complex-view (tensor-reshape parts '(100 4 32 2))))
       (paired (lambda (choose measure)
                 (let loop ((l (numbers (measure parts))))
                   (if (null? l) '() (cons (choose (first l) (second l)) (loop (cddr l))))))))
  (for-each (lambda (name choose measure)
              (test-equal (string-append name " of complex draws is the worse part's")
                (paired choose measure) (numbers (measure complex))))
            '("R-hat" "bulk" "tail" "time") (list max min min max)
            (list r-hat ess-bulk ess-tail autocorrelation-time)))

(test-equal "any shape" '(2 3) (tensor-shape (r-hat (normal '(8 2 2 3) 1))))
(test-equal "a single quantity" '() (tensor-shape (r-hat (normal '(8 2) 1))))

(let ((before (threads)) (draws (autoregressive 60 3 4000 0.5 32)))
  (define (all) (map (lambda (measure) (measure draws))
                     (list r-hat ess-bulk ess-tail autocorrelation-time)))
  (set-threads! 1)
  (let ((one (all)))
    (set-threads! 2)
    (test-assert "1 and 2 threads, the same bits" (every tensor-identical? one (all))))
  (set-threads! before))

;;; --- Between groups -------------------------------------------------------------------

(define (plain-r-hat-between one other)
  (let* ((l (lambda (t) (map (lambda (i) (tensor-ref t i 0)) (iota (tensor-size t 0)))))
         (m (median (append (l one) (l other)))))
    (apply max (map (lambda (f) (plain-r-hat (rank-scores (map (lambda (t) (map f (l t)))
                                                               (list one other)))))
                    (list identity (lambda (x) (abs (- x m))))))))

(let* ((one (normal '(48 500) 41)) (other (normal '(48 500) 42))
       (r (numbers (r-hat-between (list one other))))
       (above (lambda (limit) (/ (count (lambda (x) (> x limit)) r) 500.))))
  (test-approximate "as the formula" (plain-r-hat-between one other) (first r) 1e-5)
  ;; The bulk is above 1.05 with probability 0.017 (see `r-hat-between'), bulk or folded
  ;; with twice that at most.
  (test-assert "groups that agree"
    (< 0.017 (above 1.05) (+ 0.034 (* 4 (sqrt (/ 0.034 500))))))
  (test-assert "groups that do not"
    ;; Means 1 apart: R^2 - 1 is about 1/2.
    (> (/ (count (lambda (x) (> x 1.05)) (numbers (r-hat-between (list one (tensor+ other 1))))) 500)
       0.97))
  (test-equal "three complex groups" '(4)
    (tensor-shape (r-hat-between (map (lambda (s) (random-normal '(5 4) s 0 'c64)) '(1 2 3))))))

;;; --- Bad input ------------------------------------------------------------------------

(for-each
 (lambda (name measure)
   (test-error-matching (string-append name ": one draw")
       "draws: expected 4 or more of each chain, got 1; `hold' a chain"
     (measure (normal '(1 8 3) 1)))
   (test-error-matching (string-append name ": no chains")
       "draws: expected (draws chains ...), got shape (8)"
     (measure (normal '(8) 1)))
   (test-error-matching (string-append name ": NaN") "expected finite draws"
     (measure (tensor* (/ 0. 0.) (normal '(8 2 3) 1))))
   (test-error-matching (string-append name ": nothing differs") "every draw is equal"
     (measure (tensor-zeros '(8 2 3))))
   (test-error-matching (string-append name ": no tensor") "draws: expected a tensor" (measure '(1 2))))
 '("R-hat" "bulk" "tail" "time") (list r-hat ess-bulk ess-tail autocorrelation-time))
(test-error-matching "one group" "groups: expected two or more, got 1"
  (r-hat-between (list (normal '(4 2) 1))))
(test-error-matching "no list" "groups: expected a list" (r-hat-between (normal '(4 2) 1)))
(test-error-matching "groups of two sizes" "group: expected"
  (r-hat-between (list (normal '(4 2) 1) (normal '(5 2) 1))))
(test-error-matching "groups of one" "two members or more in each, got 1"
  (r-hat-between (list (normal '(1 2) 1) (normal '(1 2) 2))))
(test-error-matching "no number in a group" "expected finite draws"
  (r-hat-between (list (normal '(4 2) 1) (tensor/ (normal '(4 2) 1) 0))))

;;; --- A chain's diagnosis ----------------------------------------------------------------

(define spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
(define field (gaussian-prior spectrum))
(define op (mri-operator #:mask (random-mask 12 #:acceleration 2 #:seed 1)))
(define y (measure op (tensor-reshape (prior-draw field 1 #:seed 1) '(16 12)) #:noise 0.1 #:seed 2))
(define target (posterior field op y #:noise 0.1))

(define (run . settings)
  (apply anneal target #:seed 5 #:chains 8 #:trajectory-length '(3 5) #:sampler (hmc)
         #:step-size 0.35 #:jitter 0
         #:temperatures (geometric 10 #:ratio 0.8 #:until 0.5)
         settings))

(define (warns? text chain)
  (find (lambda (w) (string-contains w text)) (diagnosis-warnings (diagnose chain))))

;; With the posterior's own precision for mass every frequency is 1.
(define good
  (run #:step-size 0.5 #:transitions-per-temperature 8 #:trajectory-length '(3 4)
       #:mass (lambda (sigma)
                (tensor+ (tensor/ (operator-normal-diagonal op) 0.01)
                         (tensor/ 1 (tensor+ spectrum (* sigma sigma)))))))

(let ((d (diagnose good)) (trace (chain-trace good)))
  (test-equal "no warnings" '() (diagnosis-warnings d))
  (test-equal "every proposal is in a band" (* 8 (length trace))
    (apply + (map band-proposals (diagnosis-bands d))))
  (test-equal "bands of whole temperatures" 
    (schedule->list (geometric 10 #:ratio 0.8 #:until 0.5))
    (map band-from (diagnosis-bands d)))
  (test-approximate "their acceptance is the chain's" (chain-acceptance good)
    (mean (map band-acceptance (diagnosis-bands d))) 1e-9)
  (let ((errors (append-map (lambda (t) (vector->list (transition-energy-error t))) (take trace 8))))
    (test-approximate "a band's mean" (mean errors)
      (band-energy-error-mean (first (diagnosis-bands d))) 1e-9)
    (test-approximate "and standard deviation" (sqrt (variance errors))
      (band-energy-error-sd (first (diagnosis-bands d))) 1e-9))
  (for-each (lambda (text)
              (test-assert (string-append "prints " text)
                (string-contains (format #f "~a" d) text)))
            '("#<diagnosis of #<chain 8 x" "least" "median" "greatest" "energy error")))

(test-equal "one temperature at a time is too few" '(32 32 48)
  (map band-proposals
       (diagnosis-bands (diagnose (anneal target #:chains 8
                                          #:temperatures (map (lambda (i) (/ 10. (1+ i))) (iota 14)))))))
(test-assert "small steps" (warns? "above 0.97 throughout: larger steps" (run #:step-size 0.05)))
(test-assert "large steps" (warns? "acceptance below 0.5 at sigma" (run #:step-size 1.9)))
(test-assert "large steps at one temperature"
  (warns? "acceptance below 0.5 at sigma 1.34 (0"
          (run #:transitions-per-temperature 8
               #:step-size (lambda (s) (if (< 1.3 s 1.4) 1.9 1)))))
;; Beyond 50 too steep for the step: nothing goes on from there.
(define (beyond-50 score)
  (anneal (make-target "normal up to 50" #:shape '(1) #:score score)
          #:chains 3 #:temperatures '(1) #:transitions-per-temperature 25 #:step-size 0.5
          #:start (list->tensor '(0 90 0) '(3 1))))
(test-equal "a chain that stands still, once" 1
  (count (lambda (w) (string-contains w "chain 1 of 3 accepted nothing at the end"))
         (diagnosis-warnings
          (diagnose (beyond-50 (lambda (x s)
                                 (tensor* (tensor- -1 (tensor* 1e4 (tensor< 50 x))) x)))))))
;; Where it begins, the score is no number: no advice about steps, and no part of what the others do.
(let ((d (diagnose (beyond-50 (lambda (x s)
                                (tensor- (tensor* 0 (tensor-log (tensor- 50 x))) x))))))
  (test-assert "a chain without a score"
    (string-prefix? "the score of chain 1 was NaN or infinite, first at sigma 1.0, after 0 transitions"
                    (first (diagnosis-warnings d))))
  (test-assert "is no trajectory that diverged"
    (not (any (lambda (w) (string-contains w "smaller")) (diagnosis-warnings d))))
  (test-equal "nor a proposal of the others'" '(50 0)
    (list (apply + (map band-proposals (diagnosis-bands d)))
          (apply + (map band-diverged (diagnosis-bands d))))))
;; Half-way a chain comes to rest by chance of its own.
(test-assert "a chain that stood still for a while"
  (warns? "1 of the chains stood still for 20 proposals or more (1)"
          (anneal (make-target "normal" #:shape '(1) #:score (lambda (x s) (tensor-negate x)))
                  #:chains 3 #:temperatures '(1) #:transitions-per-temperature 50 #:step-size 0.5
                  #:sampler (lambda (kernel state)
                              (values (state-x state) (state-score state)
                                      (vector 0. (if (< 9 (state-number state) 31) -inf.0 0.) 0.))))))
(test-assert "divergence" (warns? "trajectories are not finite, first at sigma 10.0"
                                  (run #:step-size 1e20 #:trajectory-length 20)))
(test-assert "no correction" (warns? "nothing was corrected" (run #:sampler (hmc #:acceptance 'none))))
(test-equal "no correction, no other warning" 1
  (length (diagnosis-warnings (diagnose (run #:sampler (hmc #:acceptance 'none))))))
(test-assert "divergence without correction"
  (warns? "trajectories are not finite" (run #:step-size 1e20 #:trajectory-length 20 #:sampler (hmc #:acceptance 'none))))
;; Begun far from where it belongs, at its last temperature at once.
(test-assert "not in equilibrium"
  (warns? "energy errors drift down"
          (anneal target #:chains 32 #:temperatures '(0.5) #:step-size 1.2 #:trajectory-length 3
                  #:start (tensor* 30 (random-normal '(32 16 12) 3 0 'c64)))))
;; The defaults lag a little, as the errors show, and the threshold lets them; cooling much
;; faster is told.
(let* ((cooled (lambda (ratio)
                 (anneal target #:chains 32 #:seed 5 #:temperatures (geometric 100 #:ratio ratio #:until 0.1))))
       (gentle (cooled 0.95)) (hasty (cooled 0.6))
       (drifts? (lambda (b)
                  (< (band-energy-error-mean b)
                     (* -5 (/ (band-energy-error-sd b) (sqrt (band-proposals b))))))))
  (test-assert "a drift that can be measured" (any drifts? (diagnosis-bands (diagnose gentle))))
  (test-assert "and is let pass" (not (warns? "drift down" gentle)))
  (test-assert "with its reason"
    (string-contains (format #f "~a" (diagnose gentle))
                     "energy errors below 0 come of cooling, which leaves chains energy to lose: down to -5.76 "))
  ;; Held at its temperature, an exact score's energy errors are not below 0 (but by four errors).
  (let* ((held (resume! (fork gentle #:temperatures '(0.1) #:transitions-per-temperature 20)))
         (errors (append-map (compose vector->list transition-energy-error)
                             (take-right (chain-trace held) 15))))
    (test-assert "which a held temperature has not"
      (> (mean errors) (* -4 (sqrt (/ (variance errors) (length errors)))))))
  (test-assert "cooled in haste" (warns? "drift down" hasty))
  ;; Two chains at four temperatures: few proposals, which scatter as those differ.
  (let ((jumped (anneal target #:chains 2 #:seed 5 #:temperatures '(100 10 1 0.1))))
    (test-assert "errors that scatter, too" (not (any drifts? (diagnosis-bands (diagnose jumped)))))
    (test-assert "cooled in a few jumps" (warns? "drift down" jumped))))
(test-error-matching "no chain" "chain: expected one" (diagnose 3))

;; The command says what the prompt says.
(call-with-temporary-directory
 (lambda (directory)
   (define (file name) (string-append directory "/" name))
   (save-network (file "net.safetensors")
                 (score-network '(paper-unet #:channels (2 2) #:blocks 1 #:normalisation #f)))
   (save-npy (file "image.npy") (tensor-reshape (tensor-abs (prior-draw (gaussian-prior (power-spectrum '(16 16))) 1))
                                                '(16 16)))
   (let* ((text (with-output-to-string
                  (lambda ()
                    ((@ (tempera shell commands reconstruct) main)
                     (list (file "image.npy") "--simulate" (string-append "--prior=" (file "net.safetensors"))
                           "--chains=2" "--until=50" (string-append "--out=" (file "out")))))))
          (summary (load-json (file "out/summary.json"))))
     (test-assert "reconstruct says how much was accepted, and where least"
       (and (string-prefix? "accepted " (assoc-ref summary "diagnosis"))
            (string-contains text (string-append "\n" (assoc-ref summary "diagnosis") "\n"))))
     (test-assert "and its warnings"
       (every (lambda (warning) (string-contains text (string-append "\n  " warning "\n")))
              (vector->list (assoc-ref summary "warnings")))))))

;;; --- Holding a chain ----------------------------------------------------------------------

(let-values (((before) (chain-samples good))
             ((draws evaluations) (hold good 60)))
  (test-equal "draws" '(60 8 16 12) (tensor-shape draws))
  (test-equal "evaluations: the trajectories' steps" (+ (* 30 3) (* 30 4)) evaluations)
  (test-assert "the chain stays" (tensor-identical? before (chain-samples good)))
  (test-assert "the last draw is where the held chain ends"
    (tensor-identical? (tensor-reshape (tensor-slice draws 0 59 60) '(8 16 12))
                       (chain-samples (resume! (fork good #:temperatures (list (chain-sigma good))
                                                     #:transitions-per-temperature 60)))))
  ;; 192 complex pixels, 16 halves of 30 draws, tau 4 at most: Fisher's F of (15, 464)
  ;; degrees of freedom is above 4 with probability 1e-6.
  (test-assert "it mixes" (< (largest (r-hat draws)) (sqrt (+ 1 (* 4 (/ (- 4 1) 30.))))))
  (test-approximate "size for each evaluation"
    (/ (tensor-ref (ess-bulk draws) 3 4) (* 8 evaluations))
    (tensor-ref (ess-per-evaluation draws evaluations) 3 4) 1e-6)
  (test-error-matching "evaluations" "evaluations: expected a positive number" (ess-per-evaluation draws 0))
  (test-error-matching "count" "count: expected a positive integer" (hold good 0))
  (test-error-matching "chain" "chain: expected one" (hold 1 3)))

;;; --- Learned scores -------------------------------------------------------------------

;; s = -0.2 x + a R x, R antisymmetric, and sigma = 1: J' = a R + b with b = 0.8.  For random u, v the difference is 2 a <v, R u>, and both sides' squares a^2 + b^2 each
;; (pairs of 32 x 32 numbers, 400 of them: a few per cent).
(let* ((turn (lambda (x) (tensor-concatenate (list (tensor-negate (tensor-slice x 1 16 32))
                                                   (tensor-slice x 1 0 16))
                                             1)))
       (score (lambda (a)
                (lambda (x sigma) (tensor- (tensor* a (turn x)) (tensor* 0.2 x)))))
       (x (random-normal '(100 32) 2))
       (asymmetry (lambda (a) (score-asymmetry (score a) x 1 #:probes 4))))
  (test-approximate "a gradient" 0 (asymmetry 0) 1e-3)
  (test-approximate "half and half" (sqrt (/ (* 4 0.25) (* 2 (+ 0.25 0.64)))) (asymmetry 0.5) 0.1)
  (test-approximate "mostly turning" (sqrt (/ (* 4 9) (* 2 (+ 9 0.64)))) (asymmetry 3) 0.1))
(test-error-matching "sigma" "sigma: expected a positive number"
  (score-asymmetry (two-moons-prior) (tensor-zeros '(4 2)) 0))
(test-error-matching "probes" "probes: expected" (score-asymmetry (two-moons-prior) (tensor-zeros '(4 2)) 1 #:probes 0))
(test-error-matching "x" "x: expected a batch" (score-asymmetry (two-moons-prior) 3 1))

;;; A Gaussian field's score leaves P / (P + sigma^2) of the noise, frequency by frequency; none leaves all.

(let* ((spectrum (power-spectrum '(16 12) #:amplitude 50 #:exponent 3 #:corner 1))
       (field (gaussian-prior spectrum))
       (images (prior-draw field 40 #:seed 1))
       (sigma 1.5)
       (losses (score-loss-by-frequency field images sigma #:draws 4))
       (wiener (tensor->list (tensor/ spectrum (tensor+ spectrum (* sigma sigma)))))
       (radii (append-map (lambda (i) (map (lambda (j) (sqrt (+ (* i i) (* j j)))) (iota 12 -6)))
                          (iota 16 -8))))
  (test-equal "bands" '(1 2 4 8 16) (map car losses))
  (for-each (lambda (from band)
              (let ((known (filter-map (lambda (w r) (and (<= from r) (< r (car band)) w)) wiener radii)))
                (test-approximate (format #f "below ~a" (car band)) (mean known) (cdr band)
                  ;; Four standard errors of a mean of 40 images, 4 draws, 2 parts for each frequency,
                  ;; above and below.
                  (* 4 (mean known) 2 (sqrt (/ 2. (* 40 4 2 (length known))))))))
            '(0 1 2 4 8) losses)
  (test-assert "no score"
    (every (lambda (band) (= 1 (cdr band)))
           (score-loss-by-frequency (lambda (x sigma) (tensor* 0 x)) images sigma #:draws 1))))
;; All power is somewhere, and that of a wave of 3 cycles between 2 and 4.
(let ((images (random-normal '(2 16 12) 1 0 'c64))
      (wave (tensor+ (tensor-zeros '(1 16 12) 'c64)
                     (tensor-reshape (list->tensor (map (lambda (i) (cos (* 2 3.14159265 3 i 1/16))) (iota 16))
                                                   '(16 1))
                                     '(1 16 1)))))
  (test-approximate "Parseval" (tensor->number (tensor-sum-squares images))
    (apply + (map cdr ((power-by-frequency '(16 12)) images))) 0.01)
  (for-each (lambda (band)
              (test-approximate (format #f "a wave, below ~a" (car band)) (if (= (car band) 4) 96 0) (cdr band)
                0.01))
            ((power-by-frequency '(16 12)) wave)))
(test-error-matching "size" "size: expected" (power-by-frequency 16))
(test-error-matching "images" "images: expected c64" (score-loss-by-frequency car (tensor-zeros '(2 2)) 1))
(test-error-matching "draws" "draws: expected" (score-loss-by-frequency car (tensor-zeros '(1 2 2) 'c64) 1 #:draws 0))

;;; Validation: the same numbers at several sigma, always with the same noise.

(let* ((field (gaussian-prior (power-spectrum '(16 16) #:amplitude 50 #:exponent 3 #:corner 1)))
       (images (prior-draw field 6 #:seed 1))
       (judge (validation images #:sigmas '(0.5 5) #:draws 2 #:seed 4))
       (found (judge field)))
  (test-equal "columns" '(sigma loss to-1 to-2 to-4 to-8 to-16) (table-columns found))
  (for-each (lambda (row)
              (test-equal "by frequency" (cddr row)
                (map cdr (score-loss-by-frequency field images (first row) #:draws 2 #:seed 4)))
              (let ((loss (second row)))
                (test-assert "the loss is between those of its frequencies"
                  (< (apply min (cddr row)) loss (apply max (cddr row))))))
            (table-rows found))
  (test-equal "again" (table-rows found) (table-rows (judge field)))
  (test-assert "another score does worse at every sigma"
    (every < (table-column found 'loss)
           (table-column (judge (lambda (x sigma) (tensor* 0.3 (score field x sigma)))) 'loss)))
  (test-equal "none leaves all" '(1.0 1.0)
    (table-column (judge (lambda (x sigma) (tensor* 0 x))) 'loss)))
(test-error-matching "images" "validation: images: expected c64" (validation 3))
(test-error-matching "sigmas" "sigmas: expected positive numbers" (validation (tensor-zeros '(1 4 4) 'c64) #:sigmas '(0)))
(test-error-matching "draws" "draws: expected" (validation (tensor-zeros '(1 4 4) 'c64) #:draws 0))

;;; Samples like other persons' images, and copies of training images, blurred and dimmed.

(let* ((field (gaussian-prior (power-spectrum '(32 32) #:amplitude 50 #:exponent 2 #:corner 1)))
       (draw (lambda (count seed) (prior-draw field count #:seed seed)))
       (training (draw 60 1)) (held-out (draw 30 2))
       (near (lambda (samples) (nearest-distances samples training held-out #:size 16)))
       (copies (near (tensor+ (tensor* 0.5 (tensor-slice training 0 20 36)) (tensor* 0.01 (draw 16 5)))))
       ;; Twenty honest tests: their p are uniform.
       (honest (map (lambda (seed) (nearest-distances-p (near (draw 16 seed)))) (iota 20 10))))
  (test-equal "copies are found" (iota 16 20) (nearest-distances-indices copies))
  (test-assert "and said" (< (nearest-distances-p copies) 1e-6))
  (test-assert "in words" (string-contains (object->string copies) "memorised"))
  (test-assert "nearest of all" (every (lambda (d) (< d 0.05)) (nearest-distances-samples copies)))
  (test-equal "one for each" '(16 30) (list (length (nearest-distances-samples copies))
                                            (length (nearest-distances-held-out copies))))
  ;; All use the same held-out images, whose own luck p shares: within wide bounds.
  (test-assert (format #f "honest samples are not: ~a" honest)
    (and (> (apply min honest) 1e-3) (< 0.1 (mean honest) 0.9)))
  (test-approximate "the same images on both sides" 0.5
    (nearest-distances-p (nearest-distances held-out training held-out #:size 16)) 0.02)
  (let ((of (lambda (values) (list->tensor values '(1 2 2)))))
    ;; Directions (1 0 0 0) and (1 1 0 0) / sqrt 2.
    (test-approximate "a distance" (sqrt (- 2 (sqrt 2)))
      (first (nearest-distances-samples (nearest-distances (of '(3 0 0 0)) (of '(-2 2 0 0)) (of '(1 1 1 1)) #:size 2)))
      1e-6)
    (test-approximate "of averages of blocks" (sqrt (- 2 (* 2 (/ 3 (sqrt 10)))))
      (first (nearest-distances-samples
              (nearest-distances (list->tensor '(3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0) '(1 4 4))
                                 (list->tensor '(1 1 0 1 1 0 0 0 0 0 0 0 0 0 0 0) '(1 4 4))
                                 (of '(1 1 1 1)) #:size 2)))
      1e-6)))
(test-error-matching "sizes" "training: expected images (N H W), rows and columns multiples of 5"
  (nearest-distances (tensor-zeros '(1 5 5)) (tensor-zeros '(1 8 8)) (tensor-zeros '(1 5 5)) #:size 5))
(test-error-matching "size" "size: expected" (nearest-distances 1 2 3 #:size 0))
(test-error-matching "a verdict of what" "nearest: expected" (nearest-distances-verdict 3))

;;; --- Comparing chains -----------------------------------------------------------

(let* ((field (gaussian-prior (power-spectrum '(8 8) #:amplitude 100)))
       (target (prior-target field))
       (short (lambda (seed . settings)
                (apply anneal target #:seed seed #:temperatures (geometric 30 #:ratio 0.5 #:until 0.2) settings)))
       (one (short 1)) (other (short 2 #:chains 5)) (bold (short 1 #:step-size 0.6))
       (both (compare one other #:titles '("one" "other")))
       (of (lambda (table name) (table-column table name)))
       (differences (chain-comparison-differences both)))
  (test-equal "samples" '(8 5) (of (chain-comparison-table both) 'samples))
  (test-equal "evaluations" (map chain-evaluations (list one other))
    (of (chain-comparison-table both) 'evaluations))
  (test-equal "transitions" (map (lambda (c) (length (chain-trace c))) (list one other))
    (of (chain-comparison-table both) 'transitions))
  ;; By the formulas, from the samples, to three digits.
  (let* ((columns (lambda (chain)       ; (pixels samples) of real numbers, both parts
                    (let ((x (real-view (chain-samples chain))))
                      (apply map list (map (lambda (k) (tensor->list (tensor-slice x 0 k (1+ k))))
                                           (iota (first (tensor-shape x))))))))
         (means (lambda (chain) (map mean (columns chain))))
         (rms (lambda (l) (sqrt (/ (apply + (map (lambda (x) (* x x)) l)) 64)))) ; of pixels
         (deviation (lambda (chain) (sqrt (/ (apply + (map variance (columns chain))) 64))))
         (apart (rms (map - (means one) (means other))))
         (chance (sqrt (+ (/ (expt (deviation one) 2) 8) (/ (expt (deviation other) 2) 5))))
         (close (lambda (name expected got) (test-approximate name expected got (* 0.006 expected)))))
    (close "means differ" apart (first (of differences 'means-differ)))
    (close "by how much more than by chance" (/ apart chance) (first (of differences 'times-chance)))
    (close "deviations" (/ (deviation other) (deviation one)) (first (of differences 'deviations-ratio)))
    (let ((r (r-hat-between (list (tensor-slice (chain-samples one) 0 0 5) (chain-samples other)))))
      (close "R-hat" (largest r) (first (of differences 'r-hat-greatest)))
      (test-assert "of each pixel" (tensor-identical? r (chain-comparison-r-hat both)))))
  (let ((text (format #f "~a" both)))
    (test-assert "it prints" (every (lambda (word) (string-contains text word))
                                    '("comparison of 2 chains" "one" "other" "times-chance")))
    (test-assert "in lines that fit" (every (lambda (line) (< (string-length line) 100))
                                            (string-split text #\newline))))
  (test-equal "nothing to say of a fair pair" '() (chain-comparison-notes both))
  (test-assert "the same seed is noted"
    (string-contains (first (chain-comparison-notes (compare one bold))) "#:seed of the first"))
  (test-equal "what is not comparable" 3
    (length (chain-comparison-notes (compare one (start-chain (prior-target field) #:seed 3)))))
  (test-equal "the charts of both" (map chart-title (charts one)) (map chart-title (charts both)))
  (test-equal "and pictures" 6 (length (view both)))
  (test-error-matching "one chain" "expected two chains or more, as `anneal' returns, got one" (compare one))
  (test-error-matching "no chain" "got 3; `compare-runs' is for runs" (compare one 3))
  (test-error-matching "other shapes" "expected samples of one shape"
    (compare one (start-chain (prior-target (two-moons-prior)))))
  (test-error-matching "one sample" "one sample has no deviation" (compare one (short 3 #:chains 1)))
  (test-error-matching "titles" "titles: expected a list of 2 strings" (compare one other #:titles '("x"))))

(finish-tests)
