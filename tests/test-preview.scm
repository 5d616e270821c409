;;; test-preview.scm -- what is foretold of settings comes true.

(use-modules (harness) (tempera) (srfi srfi-1) (ice-9 control))

(start-tests "preview")

(define spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
(define prior (gaussian-prior spectrum))
(define op (mri-operator #:mask (random-mask 12 #:acceleration 2 #:seed 1)))
(define y (measure op (tensor-reshape (prior-draw prior 1 #:seed 1) '(16 12)) #:noise 0.1 #:seed 2))
(define target (posterior prior op y #:noise 0.1))

;;; --- Stability ----------------------------------------------------------------------

;; The trace of a leapfrog step is 2 - h^2.
(test-equal "leapfrog's limit" 2. (integrator-limit 'leapfrog))
(test-assert "three stages bear more than two, and two more than one"
  (< 2.4 (integrator-limit 'two-stage) 2.9 4.4 (integrator-limit 'three-stage) 4.8))
(test-equal "a sampler's integrator" '(three-stage leapfrog #f)
  (map sampler-integrator (list (hmc #:integrator 'three-stage) (langevin) (probability-flow))))

;; The curvature of this posterior is known at every frequency.
(for-each
 (lambda (sigma)
   (let* ((curvature (tensor+ (tensor/ (operator-normal-diagonal op) 0.01)
                              (tensor/ 1 (tensor+ spectrum (* sigma sigma)))))
          (sharpest (lambda (mass) (tensor->number (tensor-max (tensor/ curvature mass)))))
          (x (random-normal '(2 16 12) 1 0 'c64))
          (limit (lambda (mass . rest)
                   (apply stability-limit target x sigma #:mass mass #:iterations 40 rest))))
     (test-approximate (format #f "identity, sigma ~a" sigma) 1
       (/ (limit #f) (/ 2 (sqrt (sharpest 1)))) 0.02)
     (let ((mass (tensor+ (tensor* 3 spectrum) 1)))
       (test-approximate (format #f "another mass, sigma ~a" sigma) 1
         (/ (limit mass) (/ 2 (sqrt (sharpest mass)))) 0.05))
     (test-approximate (format #f "three stages, sigma ~a" sigma) 1
       (/ (limit #f #:integrator 'three-stage)
          (/ (integrator-limit 'three-stage) (sqrt (sharpest 1)))) 0.02)))
 '(0.1 1 10))
(test-equal "no curvature, no limit" +inf.0
  (stability-limit (make-target "flat" #:shape '(3) #:score (lambda (x sigma) (tensor* 0 x)))
                   (tensor-zeros '(1 3)) 1))

;; On either side of the limit trajectories stay or leave.
(let* ((normal (make-target "normal" #:shape '(4) #:score (lambda (x sigma) (tensor* -4 x))))
       (limit (stability-limit normal (random-normal '(1 4) 1) 1))
       (reach (lambda (step)
                (call-with-values
                    (lambda ()
                      (let ((x (random-normal '(3 4) 1)))
                        (trajectory 'leapfrog (lambda (x) (target-score normal x 1)) x
                                    (random-normal '(3 4) 2) (target-score normal x 1) step 300 #f)))
                  (lambda (x . _) (tensor->number (tensor-max (tensor-abs x))))))))
  (test-assert "below, trajectories stay" (< (reach (* 0.99 limit)) 100))
  (test-assert "above, they leave" (not (< (reach (* 1.01 limit)) 100))))

;;; --- Previews -----------------------------------------------------------------------

(define (settings . more)
  (append more (list #:chains 3 #:seed 4 #:temperatures (geometric 10 #:ratio 0.8 #:until 0.2))))

(for-each
 (lambda (name more)
   (let* ((chain (apply start-chain target (apply settings more)))
          (before (chain-samples chain))
          (foretold (preview chain)))
     (test-assert (string-append name ": the chain stays")
       (and (tensor-identical? before (chain-samples chain)) (zero? (chain-evaluations chain))))
     (resume! chain)
     (test-equal (string-append name ": evaluations") (chain-evaluations chain)
       (preview-evaluations foretold))
     (test-equal (string-append name ": temperatures")
       (length (delete-duplicates (map transition-sigma (chain-trace chain))))
       (preview-temperatures foretold))
     (test-equal (string-append name ": as if again") (preview-evaluations foretold)
       (preview-evaluations (preview chain)))))
 ;; Steps that are nearly always accepted, or how many transitions a temperature takes is chance.
 '("hmc" "two stages" "by the line" "Langevin" "three transitions")
 (list (list #:step-size 0.3)
       (list #:sampler (hmc #:integrator 'two-stage))
       (list #:sampler (hmc #:acceptance 'path-integral) #:trajectory-length 4 #:step-size 0.3)
       (list #:sampler (langevin))
       (list #:transitions-per-temperature 3)))

(define chain (apply anneal target (settings)))
(let* ((p (preview chain)) (rows (preview-rows p)))
  (test-equal "six rows" 6 (length rows))
  (test-equal "from the first temperature to the last" '(10. 0.2)
    (list (assq-ref (first rows) 'sigma) (assq-ref (last rows) 'sigma)))
  (test-assert "with the target's mass no limit is below 2"
    (every (lambda (row) (> (assq-ref row 'limit) 1.95)) rows))
  (test-assert "positive seconds" (> (preview-seconds p) 0))
  (for-each (lambda (text)
              (test-assert (string-append "prints " text) (string-contains (format #f "~a" p) text)))
            '("#<preview of #<chain 3 x" "sigma" "limit" "acceptance" "19 temperatures"
              "score evaluations, about")))

;; What a preview calls unstable is rejected, and is tried again more often.
(let* ((p (preview chain #:step-size 2.5)) (unstable (first (preview-rows p))))
  (test-assert "unstable" (string-contains (format #f "~a" p) "unstable"))
  (test-assert "is not accepted" (< (assq-ref unstable 'acceptance) 0.5))
  (test-assert "and costs more" (> (preview-evaluations p) (* 2 (preview-evaluations (preview chain))))))

;; Only where it is unstable.
(let ((stable (preview-evaluations (preview chain))))
  (for-each (lambda (name unstable?)
              (test-assert (string-append "unstable when " name)
                (< (* 1.5 stable)
                   (preview-evaluations
                    (preview chain #:step-size (lambda (sigma) (if (unstable? sigma) 6 0.45))))
                   (* 9 stable))))
            '("hot" "cold") (list (lambda (sigma) (> sigma 2)) (lambda (sigma) (< sigma 2)))))

(let* ((half (rewind! (apply start-chain target (settings #:keep #t)) 10))
       (steps 0)
       (paused (let/ec stop
                 (resume! half #:hook (lambda (c)
                                        (set! steps (1+ steps))
                                        (when (= steps 8) (stop half)))))))
  (test-equal "what is left" 11 (preview-temperatures (preview paused)))
  (test-equal "with other temperatures" 2
    (preview-temperatures (preview paused #:temperatures '(10 5 1 0.5)))))
(test-assert "adaptive temperatures"
  (< 5 (preview-temperatures (preview (start-chain target #:temperatures (adaptive 10 #:until 0.2)))) 100))
(test-assert "a sampler of one's own has no limit"
  (not (assq-ref (first (preview-rows
                         (preview chain #:sampler (lambda (kernel state)
                                                    (values (state-x state) (state-score state) #f)))))
                 'limit)))

(test-error-matching "no chain" "chain: expected one, such as `start-chain' makes" (preview target))
(test-error-matching "a setting" "unrecognized keyword #:stepsize; did you mean #:step-size?" (preview chain #:stepsize 1))
(test-error-matching "limit of" "target: expected" (stability-limit prior (tensor-zeros '(2 16 12)) 1))
(test-error-matching "x" "x: expected a batch" (stability-limit target 3 1))
(test-error-matching "sigma" "sigma: expected" (stability-limit target (tensor-zeros '(2 16 12) 'c64) 0))
(test-error-matching "iterations" "iterations: expected"
  (stability-limit target (tensor-zeros '(2 16 12) 'c64) 1 #:iterations 0))
(test-error-matching "no target to start" "target: expected one" (start-chain 3))

(finish-tests)
