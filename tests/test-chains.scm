;;; test-chains.scm -- chains: what they are, that they stop and go on, fork, rewind, and go through files.

(use-modules (harness) (small-problem)
             (tempera) (tempera tensor primitives) (tempera problem masses) (tempera sample schedules)
             (ice-9 control)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "chains")

;;; --- Chains -----------------------------------------------------------------------

(define unbroken (short target))

(test-assert "finished" (chain-finished? unbroken))
(test-equal "its last temperature" 0.5 (chain-sigma unbroken))
(test-equal "a transition for each trajectory" (schedule-length temperatures)
  (length (chain-trace unbroken)))
(test-equal "print"
  "#<chain 3 x (16 12), finished at sigma 0.5 (7 of 7), 7 transitions, accepted 1.0>"
  (format #f "~a" unbroken))
(test-equal "print a transition" "#<transition sigma 10.0, 6 steps of 0.35, accepted 1.0>"
  (format #f "~a" (first (chain-trace unbroken))))
(test-equal "a mean's shape" '(16 12) (tensor-shape (chain-mean unbroken)))
(test-assert "the same seed, the same bits" (same? unbroken (short target)))
(test-assert "another seed" (not (same? unbroken (anneal target #:temperatures temperatures
                                                         #:chains 3 #:seed 8))))

(let ((x (chain-samples unbroken)))
  (tensor-assign! (chain-samples unbroken) 0)
  (test-assert "samples are a copy" (tensor-identical? x (chain-samples unbroken))))

(let* ((values (map (lambda (c) (tensor-ref (chain-samples unbroken) c 3 4)) '(0 1 2)))
       (mean (/ (apply + values) 3))
       (sd (sqrt (/ (apply + (map (lambda (v) (expt (magnitude (- v mean)) 2)) values)) 2))))
  (test-approximate "the mean over chains" 0
    (magnitude (- mean (tensor-ref (chain-mean unbroken) 3 4))) 1e-5)
  (test-approximate "the standard deviation over chains" sd
    (tensor-ref (chain-std unbroken) 3 4) 1e-5))

(let ((threads-before (threads)))
  (set-threads! 1)
  (let ((one (short target)))
    (set-threads! 2)
    (test-assert "1 and 2 threads, the same bits" (same? one (short target))))
  (set-threads! threads-before))

;; Langevin's step is x + h^2/2 s + h z, one evaluation a transition.
(let* ((nothing (make-target "flat" #:shape '(4) #:score (lambda (x sigma) (tensor+ 1 (tensor* 0 x)))))
       (chain (anneal nothing #:chains 500 #:temperatures '(1) #:step-size 0.5 #:jitter 0
                      #:transitions-per-temperature 3 #:sampler (langevin) #:start (tensor-zeros '(500 4)))))
  (test-equal "Langevin: an evaluation a transition" 4 (chain-evaluations chain))
  ;; 3 h^2 / 2 and 3 h^2, over 2000 numbers.
  (test-approximate "drifts" 0.375 (tensor->number (tensor-mean (chain-samples chain)))
    (* 4 (sqrt (/ 0.75 2000))))
  (test-approximate "diffuses" 0.75
    (tensor->number (tensor-mean (tensor-square (tensor- (chain-samples chain) 0.375))))
    (* 4 0.75 (sqrt (/ 2. 2000)))))

(let ((steps-of (lambda (size time)
                  (transition-steps
                   (first
                       (chain-trace (anneal target #:temperatures '(1) #:chains 1 #:jitter 0
                                            #:step-size size
                                            #:trajectory-length (trajectory-time time))))))))
  (test-equal "the steps nearest to a time" '(5 5 4 1)
    (map steps-of '(0.45 0.5 0.5 1.5) '(2.25 2.4 2.1 1))))

;; Over after 2 accepted steps on average, rounded: 1.5 are enough, 1.4 are not; or 5 in all.
(let ((over? (accepted-transitions 2 #:at-most 5)))
  (test-equal "accepted on average" '(#f #t #f #t)
    (map over? '(2 2 4 5) '(1.4 1.5 0. 0.))))

;; Evaluations: 6 + 3 a trajectory and 1 a temperature; less without correction.
(let* ((calls 0)
       (counting (posterior (lambda (x sigma) (set! calls (1+ calls)) (score field x sigma))
                            op y #:noise 0.1)))
  (let ((chain (short counting)))
    (test-equal "evaluations" calls (chain-evaluations chain))
    (test-equal "with correction" (* 7 (+ 6 3 1)) calls)
    (test-assert "a prior that is a procedure" (same? chain unbroken)))
  (set! calls 0)
  (let ((chain (short counting #:sampler (hmc #:acceptance 'none))))
    (test-equal "evaluations without correction" calls (chain-evaluations chain))
    (test-equal "without correction" (* 7 (+ 6 1)) calls)
    (test-assert "everything is accepted" (= 1 (chain-acceptance chain)))))

;; By the path integral and by the density: the same decisions, energy errors alike.
(let* ((settings (list #:transitions-per-temperature 6 #:step-size 1))
       (path (apply short target settings))
       (density (apply short target #:sampler (hmc #:acceptance 'log-density) settings))
       (errors (lambda (chain)
                 (append-map (lambda (t) (vector->list (transition-energy-error t)))
                             (chain-trace chain)))))
  (test-assert "some are rejected" (< 0.2 (chain-acceptance path) 0.999))
  (test-assert "path integral as density"
    (every (lambda (a b) (close? 0.02 a b)) (errors path) (errors density)))
  (test-assert "the same decisions" (same? path density))
  (test-assert "no correction is another chain"
    (not (same? path (apply short target #:sampler (hmc #:acceptance 'none) settings)))))

;; Divergence is rejected, not accepted.
(for-each (lambda (acceptance)
            (let ((chain (anneal target #:temperatures '(1) #:chains 2 #:step-size 1e20
                                 #:trajectory-length 20
                                 #:sampler (hmc #:acceptance acceptance))))
              (test-equal (format #f "a diverged trajectory, ~a" acceptance) 0.
                          (chain-acceptance chain))
              (test-assert "what is left is finite" (tensor-finite? (chain-samples chain)))))
          '(path-integral none))

;; Two moons from the prior alone: both arcs, and as far from them as draws are.
(let* ((target (prior-target moons))
       (chain (anneal target #:chains 400 #:seed 3 #:mass 'identity
                      #:temperatures (geometric 3 #:ratio 0.8 #:until 0.02)
                      #:trajectory-length '(3 5) #:transitions-per-temperature 2
                      #:step-size (lambda (sigma) (* 0.4 (sqrt (+ 0.0025 (* sigma sigma)))))))
       (density (lambda (x) (vector->list (log-density moons x 0.02))))
       (mean (lambda (l) (/ (apply + l) (length l))))
       (drawn (tensor+ (prior-draw moons 4000 #:seed 4)
                       (tensor* 0.02 (random-normal '(4000 2) 1))))
       (d (density drawn))
       (sd (sqrt (mean (map (lambda (v) (expt (- v (mean d)) 2)) d)))))
  (test-approximate "mean log density" (mean d) (mean (density (chain-samples chain)))
    (* 4 sd (sqrt (+ 1/400 1/4000))))
  ;; Either arc has half of the mass; the second lies lower.  The mean height is 1/4.
  (let* ((height (tensor-mean (tensor-slice (chain-samples chain) 1 1 2))))
    (test-approximate "both moons" 0.25 (tensor->number height)
      ;; The height's standard deviation is 0.5 at most.
      (* 4 0.5 (sqrt 1/400)))))

;;; --- Pausing, resuming, forking ---------------------------------------------------

(sigaction SIGINT (lambda (signal) (scm-error 'signal #f "User interrupt" '() (list signal))))

(for-each
 (lambda (call)
   (let* ((depth (scope-open!))
          (paused (begin (scope-close! depth #t)
                         (at-a-prompt (short (interrupted-target call)))))
          (again (scope-open!)))
     (scope-close! again #t)
     (test-equal (format #f "scopes are closed, ~a" call) depth again)
     (test-assert (format #f "paused in evaluation ~a" call) (not (chain-finished? paused)))
     (test-equal "at a whole transition" (length (chain-trace paused))
       (length (filter (lambda (t) (vector? (transition-accepted t))) (chain-trace paused))))
     (resume! paused)
     (test-assert "resumed, the same bits" (and (chain-finished? paused) (same? paused unbroken)))
     (test-equal "and the same evaluations" (chain-evaluations unbroken)
       (chain-evaluations paused))))
 '(1 2 5 6 8 9 20 40))

(test-equal "a script that is interrupted ends" 'signal
  (catch #t (lambda () (short (interrupted-target 5)) 'went-on) (lambda (key . _) key)))

(let* ((error (lambda (x sigma) (throw 'mishap 1 2)))
       (condition (lambda (x sigma) (raise-exception 'odd))))
  (test-equal "an error in a score goes on its way" '(mishap 1 2)
    (catch #t (lambda () (short (posterior error op y))) list))
  (test-equal "and so does an exception that is no throw" 'odd
    (with-exception-handler identity
      (lambda () (short (posterior condition op y)))
      #:unwind? #t))
  (test-equal "out of the leapfrog" '(mishap 1 2)
    (catch #t
      (lambda ()
        (let ((x (random-normal '(2 3) 1)))
          (trajectory 'leapfrog (lambda (x) (throw 'mishap 1 2)) x x x 0.1 1 #f)))
      list))
  (test-equal "an escape from a score" 'escaped
    (let ((x (random-normal '(2 3) 1)) (depth (scope-open!)))
      (scope-close! depth #t)
      (let ((result (let/ec escape (path-integral (lambda (x) (escape 'escaped)) x x x x 4))))
        (and (= depth (let ((d (scope-open!))) (scope-close! d #t) d)) result))))
  (test-equal "and one in a mass" '(mishap 3)
    (catch 'mishap
      (lambda ()
        (short target #:mass (make-mass "odd" (lambda (x seed stream) (momentum-draw x #f seed stream))
                                        (lambda (m) (throw 'mishap 3)))))
      list))
  (test-error-matching "a score of the wrong shape" "score: expected"
    (short (prior-target (lambda (x sigma) (tensor-zeros '(2))) #:shape '(5))))
  (test-error-matching "a score that is no tensor" "tensor"
    (short (prior-target (lambda (x sigma) 7) #:shape '(2)))))

(let* ((paused (at-a-prompt (short (interrupted-target 30))))
       (before (chain-samples paused))
       (twin (resume! (fork paused)))
       (bold (resume! (fork paused #:step-size 0.3 #:transitions-per-temperature 2)))
       (colder (resume! (fork paused #:temperatures (geometric 10 #:ratio 0.5 #:until 0.2)))))
  (test-assert "a fork goes the same way" (same? twin unbroken))
  (test-assert "with other settings it does not" (not (same? bold unbroken)))
  (test-equal "two steps a temperature" 0.3 (transition-step-size (last (chain-trace bold))))
  (test-assert "the original stays" (tensor-identical? before (chain-samples paused)))
  (test-equal "new temperatures" 0.2 (chain-sigma colder))
  (test-assert "begin at or below the old"
    (let ((new (drop (chain-trace colder) (length (chain-trace paused)))))
      (every (lambda (t) (<= (transition-sigma t) (chain-sigma paused))) new)))
  (test-assert "and the original still goes on" (same? (resume! paused) unbroken))
  (test-assert "what is finished stays" (same? (resume! paused) unbroken))
  (test-equal "temperatures all above where the chain is leave it there" (chain-sigma unbroken)
    (chain-sigma (resume! (fork unbroken #:temperatures (list (* 3 (chain-sigma unbroken)) (* 2 (chain-sigma unbroken)))))))
  (test-error-matching "a fork's settings" "chains" (fork paused #:chains 4))
  (test-error-matching "a fork's step" "step-size: expected" (fork paused #:step-size -1))
  (test-error-matching "a fork of" "chain: expected" (fork 3))
  (test-error-matching "resume" "chain: expected" (resume! 'it)))

;; A step that tunes itself is kept by a fork, and begins anew with a new one.
(let* ((rule (dual-averaging #:initial 0.5))
       (paused (at-a-prompt (short (interrupted-target 30) #:step-size rule #:seed 4)))
       (next-size (lambda (chain)
                    (transition-step-size (list-ref (chain-trace (resume! chain))
                                                    (length (chain-trace paused))))))
       (kept (fork paused)) (anew (fork paused #:step-size (dual-averaging #:initial 0.3))))
  (test-equal "begins anew" 0.3 (next-size anew))
  (test-assert "or is kept" (not (= 0.5 (next-size kept))))
  (test-assert "and goes the same way" (same? kept (short target #:step-size rule #:seed 4))))

;;; --- States kept, hooks --------------------------------------------------------------

(define (kept-at chain)
  (map car (chain-states chain)))
(define close-sigmas?
  (lambda (expected got)
    (and (= (length expected) (length got)) (every (lambda (a b) (close? 1e-6 a b)) expected got))))

(test-assert "kept at every half" (close-sigmas? '(10 3.6 1.296 0.5) (kept-at unbroken)))
(test-assert "the last state is the present one"
  (tensor-identical? (chain-samples unbroken) (cdr (last (chain-states unbroken)))))
(for-each
 (lambda (keep expected)
   (let ((chain (short target #:keep keep)))
     (test-assert (format #f "keep ~a" keep) (close-sigmas? expected (kept-at chain)))
     (test-assert "keeping changes nothing" (same? chain unbroken))))
 '(#f #t 5 (10 4 3.6 0.6))
 '((0.5) (10 10 6 3.6 2.16 1.296 0.7776 0.5) (10 1.296 0.5) (10 3.6 0.5)))

(let* ((whole (short target #:keep #t))
       (chain (short target #:keep #t))
       (at-2 (cdr (assv 2.16 (map (lambda (s) (cons (/ (round (* 100 (car s))) 100) (cdr s)))
                                  (chain-states whole))))))
  (test-eq "rewound in place" chain (rewind! chain 2.16))
  (test-assert "to the state of then" (tensor-identical? at-2 (chain-samples chain)))
  (test-equal "before the next temperature" 4 (length (chain-trace chain)))
  (test-assert "at it" (close? 1e-6 1.296 (chain-sigma chain)))
  (test-equal "states up to there" 5 (length (chain-states chain)))
  (let ((bold (resume! (fork chain #:step-size 0.3))))
    (test-assert "another way from there" (not (same? bold whole)))
    (test-assert "with the states before it"
      (tensor-identical? at-2 (cdr (list-ref (chain-states bold) 4)))))
  (let ((colder (rewind! (fork whole #:temperatures (geometric 10 #:ratio 0.5 #:until 0.1)) 3)))
    (test-equal "a fork's states go on with its temperatures" 1.25 (chain-sigma colder))
    (resume! colder)
    (test-equal "to its end" 0.1 (chain-sigma colder)))
  (test-assert "its end is still there" (same? (rewind! chain 0.5) whole))
  (test-equal "with what came before" (length (chain-states whole)) (length (chain-states chain)))
  (resume! (rewind! chain 2.16))
  (test-equal "each once" (map car (chain-states whole)) (map car (chain-states chain)))
  (test-assert "the same way to the same bits" (same? chain whole))
  (test-equal "and evaluations" (chain-evaluations whole) (chain-evaluations chain))
  ;; The end is no state that #:keep asks for.
  (let ((chain (rewind! (short target #:keep 5) 10)))
    (test-assert "an end that was not kept" (same? whole (rewind! chain 0.5)))
    (resume! (rewind! chain 10))
    (test-assert "what is kept stays" (close-sigmas? (kept-at (short target #:keep 5)) (kept-at chain))))
  (test-equal "to the start" 0 (length (chain-trace (rewind! (short target) 10))))
  (call-with-temporary-directory
   (lambda (directory)
     (let* ((file (string-append directory "/chain"))
            (load (lambda ()
                    (load-chain file target #:temperatures temperatures #:seed 7 #:step-size 0.35
                                #:jitter 0 #:trajectory-length 6 #:sampler paper-hmc #:keep #t))))
       (save-chain file whole)
       (let ((loaded (rewind! (load) 2.16)))
         (test-assert "states go through a file" (tensor-identical? at-2 (chain-samples loaded)))
         (test-assert "and go on to the same bits" (same? (resume! loaded) whole)))
       (save-chain file whole #:states? #f)
       (test-equal "or stay out of it" 1 (length (chain-states (load)))))))
  (test-error-matching "kept nothing so high" "kept are those at (10.0 3.6 1.3 0.5)"
    (rewind! (short target) 11))
  (test-error-matching "kept nothing" "kept are those at none" (rewind! (short target #:keep #f) 1))
  (test-error-matching "rewind what" "chain: expected" (rewind! 3 1))
  (test-error-matching "rewind where" "sigma: expected" (rewind! whole 'start))
  (test-error-matching "states of" "chain: expected" (chain-states 3)))
(test-error-matching "keep 1" "keep: expected" (short target #:keep 1))
(test-error-matching "keep 'all" "keep: expected" (short target #:keep 'all))

;; Tuned rules and their states rewind too.
(let* ((settings (list #:seed 4 #:step-size (dual-averaging)
                       #:temperatures (adaptive 10 #:until 0.5)))
       (whole (apply short target settings))
       (again (resume! (rewind! (apply short target settings) 3))))
  (test-assert "what tunes itself, rewound" (same? whole again))
  (test-equal "with its ratios" (map transition-ratio (chain-trace whole))
    (map transition-ratio (chain-trace again))))

(let* ((seen '())
       (note! (lambda (chain) (set! seen (cons (chain-sigma chain) seen))))
       (chain (short target #:transitions-per-temperature 2 #:hook note!)))
  (test-assert "a hook at the end of each temperature"
    (close-sigmas? (append (cdr (schedule->list temperatures)) '(0.5)) (reverse seen)))
  (set! seen '())
  (resume! (rewind! chain 1.2) #:hook note!)
  (test-equal "of what is left" 2 (length seen))
  (test-equal "an error in a hook goes on its way" '(mishap)
    (catch 'mishap (lambda () (short target #:hook (lambda (chain) (throw 'mishap)))) list))
  (test-error-matching "a hook that is none" "hook: expected" (short target #:hook 3)))

;; Through a file.
(call-with-temporary-directory
 (lambda (directory)
   (let ((file (string-append directory "/chain.safetensors"))
         (settings (list #:temperatures temperatures #:seed 7 #:step-size 0.35 #:jitter 0
                         #:trajectory-length 6 #:sampler paper-hmc))
         (paused (at-a-prompt (short (interrupted-target 30)))))
     (save-chain file paused)
     (let ((loaded (apply load-chain file target settings)))
       (test-equal "a chain as it was" (format #f "~a" paused) (format #f "~a" loaded))
       (test-equal "its trace" (map transition-energy-error (chain-trace paused))
         (map transition-energy-error (chain-trace loaded)))
       (resume! loaded)
       (test-assert "resumed from a file, the same bits" (same? loaded unbroken))
       (test-equal "and the same evaluations" (chain-evaluations unbroken)
         (chain-evaluations loaded)))
     (test-error-matching "another seed" "it was annealed with seed 7, got 8"
       (load-chain file target #:temperatures temperatures #:seed 8))
     (test-error-matching "other temperatures" "it was annealed with temperatures"
       (load-chain file target #:seed 7))
     (test-error-matching "another target" "x: expected chains of shape (2)"
       (apply load-chain file (prior-target moons) settings))
     (let-values (((tensors about) (load-safetensors file)))
       (save-safetensors file (acons "y" (tensor-zeros '(2)) tensors) #:metadata about)
       (test-error-matching "a tensor too many" "it has tensors that are not of it: \"y\""
         (apply load-chain file target settings)))
     (test-error-matching "no target" "target: expected" (load-chain file 3))
     (test-error-matching "no file" "nowhere" (load-chain "/nowhere" target))
     (save-safetensors file `(("x" . ,(tensor-zeros '(3 16 12 2)))))
     (test-error-matching "no chain" "expected a chain of format tempera-chain-3"
       (apply load-chain file target settings))
     (save-safetensors file `(("x" . ,(tensor-zeros '(3 16 12 2))))
                       #:metadata '(("format" . "tempera-chain-3") ("state" . "((seed . 7")))
     (test-error-matching "a torn state" "expected a chain of format tempera-chain-3"
       (apply load-chain file target settings))
     (test-error-matching "nothing to save" "chain: expected" (save-chain file 3)))))

;; Starts.
(let ((start (random-normal '(3 16 12) 3 0 'c64))
      (nowhere (list #:temperatures '(1e-3) #:step-size 1e-6 #:trajectory-length 1)))
  (test-assert "a batch is taken as it is"
    (> 1e-2 (tensor->number
             (tensor-max (tensor-abs (tensor- start (chain-samples
                                                     (apply anneal target #:chains 3 #:start start
                                                            nowhere))))))))
  (let* ((chain (anneal target #:chains 200 #:temperatures '(100) #:mass 'identity #:step-size 1e-6
                        #:trajectory-length 1))
         (d (tensor- (chain-samples chain) (apply-adjoint op y)))
         (n (* 200 16 12)))
    ;; Zero-filled + 100 z, z of unit variance in both parts and these uncorrelated.
    (test-approximate "the start's variance" 1e4
      (/ (tensor->number (tensor-sum-squares (tensor-real d))) n) (* 4 1e4 (sqrt (/ 2. n))))
    (test-approximate "real and imaginary part apart" 0
      (/ (tensor->number (tensor-sum (tensor* (tensor-real d) (tensor-imag d)))) n)
      (* 4 1e4 (sqrt (/ 1. n))))))

;; With the target's mass the noise is M^-1's, a tenth hotter: where there are measurements, theirs.
(let* ((chain (start-chain target #:chains 200 #:temperatures '(100)))
       (k (fft2 (tensor- (chain-samples chain) (apply-adjoint op y))))
       (measured (tensor-broadcast (operator-normal-diagonal op) '(16 12)))
       (n (* 200 (tensor->number (tensor-sum measured))))
       (variance (lambda (where count)
                   (/ (tensor->number (tensor-sum-squares (tensor* where k))) (* 2 count)))))
  (test-approximate "the start's noise where it was measured" (* 1.21 0.01) (variance measured n)
    (* 4 1.21 0.01 (sqrt (/ n))))
  (let ((rest (- (* 200 16 12) n)))
    (test-approximate "and where not" 1.21e4 (variance (tensor- 1 measured) rest)
      (* 4 1.21e4 (sqrt (/ rest))))))

;; The paper's settings, on a shorter way.
(let* ((paper (append (list #:temperatures '(100 99.5 99)) (cddr paper-schedule)))
       (chain (apply anneal (posterior field op y #:noise 0.1 #:widening 1) #:chains 3 paper)))
  (test-equal "four accepted steps a temperature" 12 (length (chain-trace chain)))
  (test-equal "three leapfrog steps" 3 (transition-steps (first (chain-trace chain))))
  (test-approximate "of 10 (sigma/100)^1.5" (* 10 (expt 0.99 1.5))
    (transition-step-size (last (chain-trace chain))) 1e-9))
(test-equal "at most so many" 5
  (length (chain-trace (anneal target #:temperatures '(1) #:step-size 1e20 #:chains 2
                               #:transitions-per-temperature (accepted-transitions 2 #:at-most 5)))))

;; A file's temperatures by their ends.
(call-with-temporary-directory
 (lambda (directory)
   (let ((file (string-append directory "/c.safetensors")))
     (save-chain file unbroken)
     (test-error-matching "other temperatures"
         "it was annealed with temperatures 10.0 ... 0.5 (7), got 100.0 ... 0.5 (25)"
       (load-chain file target #:seed 7 #:temperatures (geometric 100 #:ratio 0.8 #:until 0.5))))))

(finish-tests)
