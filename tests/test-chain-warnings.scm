;;; test-chain-warnings.scm -- what is wrong with a chain or with what it is given is said.

(use-modules (harness) (small-problem)
             (tempera) ((tempera net networks) #:select (set-sigma-range!)) (tempera problem masses) (tempera problem targets) (tempera tensor primitives)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "chain-warnings")

;;; --- What is wrong is said ------------------------------------------------------------

(define (spoilt c below)
  ;; The field's score, NaN for chain C below a sigma.
  (lambda (x sigma)
    (let ((g (tensor-copy (score field x sigma))))
      (when (< sigma below) (tensor-assign! (tensor-slice g 0 c (1+ c)) +nan.0))
      g)))

(define (others x c)
  ;; The chains of X but chain C.
  (tensor-concatenate (list (tensor-slice x 0 0 c) (tensor-slice x 0 (1+ c) (tensor-size x 0))) 0))

;; One chain's score ends; the others go the way that they go without.
(for-each
 (lambda (name settings)
   (let ((anneal (lambda (prior)
                   (apply anneal (posterior prior op y) #:temperatures temperatures #:chains 4
                          #:seed 7 #:transitions-per-temperature 2 settings))))
     (let-values (((said chain) (warnings-of (lambda () (anneal (spoilt 2 3)))))
                  ((silence whole) (warnings-of (lambda () (anneal field)))))
       (test-assert (string-append name ": the others' bits")
         (tensor-identical? (others (chain-samples chain) 2) (others (chain-samples whole) 2)))
       (test-assert (string-append name ": its last state") (tensor-finite? (chain-samples chain)))
       (test-assert (string-append name ": named, and where")
         (string-prefix? "warning: the score of chain 2 was NaN or infinite, first at sigma 2.16, \
after 6 transitions" said))
       (test-equal (string-append name ": else nothing is said") "" silence)
       (test-assert (string-append name ": no advice of smaller steps")
         (not (any (lambda (w) (string-contains w "#:step-size")) (chain-warnings chain)))))))
 '("trajectories" "conjugate gradients" "Langevin" "Fourier mass and adaptive steps")
 `(() (#:mass normal) (#:sampler ,(langevin)) (#:sampler ,(hmc #:acceptance 'path-integral))))
(let-values (((said chain)
              (warnings-of (lambda ()
                             (anneal (posterior (spoilt 2 3) op y) #:chains 4 #:seed 7
                                     #:temperatures (adaptive 10 #:until 0.5)
                                     #:step-size (dual-averaging))))))
  (test-assert "temperatures and steps that tune themselves go by the others"
    (and (chain-finished? chain) (> (chain-acceptance chain) 0.4)
         (> (transition-step-size (last (chain-trace chain))) 0.1))))
(test-error-matching "no chain has a score"
    "transition: score: it is NaN or infinite at sigma 2.16, after 3 transitions, in all 3 chains; it is the prior's"
  (anneal (posterior (lambda (x s) (if (< s 3) (tensor/ x 0) (score field x s))) op y)
          #:chains 3 #:temperatures temperatures))
(test-error-matching "nor that of the data"
    "the prior's part is finite, that of the data is not"
  (anneal (make-target "bad" #:shape '(16 12) #:dtype 'c64 #:prior field
                       #:score (lambda (x s) (tensor/ x 0)))
          #:chains 3 #:temperatures temperatures))
(test-error-matching "a state that nothing rejected, until no score knows it"
    "; x has grown to 1.0e20 there: the steps before were too long"
  (anneal (make-target "far" #:shape '(2) #:score (lambda (x s) (if (< s 2) (tensor/ x 0) (tensor-negate x))))
          #:chains 2 #:temperatures '(2 1) #:start (tensor-zeros '(2 2))
          #:sampler (lambda (kernel state) (values (tensor+ 1e20 (state-x state)) #f #f))))
(test-error-matching "a mass of NaN" "transition: mass: its momenta at sigma 10.0 are NaN or infinite"
  (anneal target #:chains 3 #:temperatures temperatures #:start (tensor-zeros '(3 16 12) 'c64)
          #:mass (make-mass "bad" (lambda (x seed stream) (tensor/ x 0)) identity)))

;; Input: named, with its place, also where the mask is 0.
(let ((bad (tensor-copy y)) (blank (list-index zero? (tensor->list (operator-normal-diagonal op)))))
  (tensor-assign! (tensor-slice (tensor-slice bad 0 3 4) 1 blank (1+ blank)) +inf.0)
  (test-error-matching "infinity where nothing was measured"
      (format #f "posterior: y: 1 of its 192 numbers are NaN or infinite, the first at (3 ~a)" blank)
    (posterior field op bad))
  (for-each (lambda (name thunk)
              (test-equal name #t
                (and (string-contains (or (error-message-of thunk) "") "NaN or infinite") #t)))
            '("the exact posterior" "a measurement of NaN" "a start")
            (list (lambda () (gaussian-posterior spectrum op bad))
                  (lambda () (measure op (tensor/ scan 0)))
                  (lambda () (anneal target #:start (tensor/ scan 0))))))
(test-error-matching "means of NaN" "means: expected" (gaussian-mixture-prior (tensor/ (tensor-zeros '(2 2)) 0)))
(test-error-matching "a spectrum of infinity" "spectrum: expected"
  (gaussian-prior (tensor/ spectrum 0)))
(test-error-matching "a precision of infinity" "precision: expected" (diagonal-mass (tensor/ spectrum 0)))
(test-error-matching "a diagonal of NaN" "normal-diagonal: expected"
  (make-operator "bad" #:forward identity #:adjoint identity
                 #:normal-diagonal (tensor/ (tensor-zeros '(4)) 0)))

;; Data where nothing is measured are not silently left out: they may be an image.
(define (warning-of thunk)
  (call-with-output-string
    (lambda (port) (parameterize ((current-warning-port port)) (thunk)))))
(test-equal "a measurement: no warning" "" (warning-of (lambda () (posterior field op y))))
(test-assert "an image for a measurement"
  (string-contains (warning-of (lambda () (posterior field op (apply-adjoint op y))))
                   "posterior: y has data where MRI"))

;; Prior and operator of different sizes.
(test-error-matching "another size"
    "posterior: prior: expected one over images of shape (16 12), as y by the operator has them, got #<prior"
  (posterior (gaussian-prior (power-spectrum '(8 6))) op y))
(test-error-matching "no prior" "posterior: prior: expected a prior, a network" (posterior 3 op y))
(test-error-matching "a prior's own shape" "prior-target: shape: expected (2), that of" 
  (prior-target moons #:shape '(3)))

(define (says? text thunk)
  (let-values (((said chain) (warnings-of thunk)))
    (and (string-contains said text) #t)))

(test-assert "temperatures that rise"
  (says? "warning: temperatures rise, from sigma 1.0 to 2.0"
         (lambda () (anneal target #:chains 2 #:temperatures '(1 2)))))
(let ((paper (lambda (widening)
               (lambda ()
                 (apply anneal (posterior field op y #:widening widening) #:chains 2
                        #:temperatures (geometric 100 #:ratio 0.8 #:until 0.1)
                        (list-tail paper-schedule 2))))))
  (test-assert "the paper's schedule without its likelihood: the cause"
    (says? "the chains stood still there; with the mass identity a step must"
           (paper 0)))
  (test-assert "with it" (not (says? "warning" (paper 1)))))
(let ((stiff (lambda () (anneal target #:chains 3 #:temperatures '(2 1) #:step-size 5))))
  (test-assert "nothing accepted"
    (says? "no proposal of 60 was accepted from sigma 2.0 to 1.0: the chains are where they began; a \
smaller #:step-size" stiff))
  (test-assert "said by resume! as well"
    (says? "no proposal of 60" (lambda () (resume! (start-chain target #:chains 3 #:temperatures '(2 1)
                                                                #:step-size 5)))))
  (let-values (((said chain) (warnings-of stiff)))
    (test-equal "and first by diagnose" (first (chain-warnings chain))
      (first (diagnosis-warnings (diagnose chain))))))
;; Beyond 50 too steep for the step: a chain there cannot move, others do not care.
(test-assert "a chain that stands still"
  (says? "chain 1 of 3 accepted nothing at the end"
         (lambda ()
           (anneal (make-target "steep beyond 50" #:shape '(1)
                                #:score (lambda (x s) (tensor* (tensor- -1 (tensor* 1e4 (tensor< 50 x))) x)))
                   #:chains 3 #:temperatures '(1) #:transitions-per-temperature 25 #:step-size 0.5
                   #:start (list->tensor '(0 90 0) '(3 1))))))

;; Without a mass that knows the data, probability flow's steps are far too long for them.
(test-assert "samples that have grown"
  (says? "x has grown in chains 0, 1: its score at sigma"
         (lambda () (anneal target #:chains 2 #:temperatures temperatures #:sampler (probability-flow)))))
(test-equal "widened data suit it" '()
  (chain-warnings (anneal (posterior field op y #:noise 0.1 #:widening 1) #:chains 2
                          #:temperatures temperatures #:sampler (probability-flow))))

;;; A network says at which sigmas it was trained.
(let* ((network (score-network '(paper-unet #:channels (2 2) #:blocks 1 #:normalisation #f)))
       (warnings (lambda (from until)
                   (chain-warnings (anneal (prior-target network #:shape '(8 8) #:dtype 'c64) #:chains 1
                                           #:temperatures (geometric from #:ratio 1/2 #:until until))))))
  (test-equal "nothing is known of its sigmas" '() (warnings 400 0.01))
  (set-sigma-range! network '(0.05 100))
  (test-equal "as it was trained, and barely beyond" '() (warnings 149 0.034))
  (test-equal "beyond what it was trained at"
    '("the prior was trained at sigma from 0.05 to 100.0, and asked at 151.0, where it cannot know the score: let the \
temperatures begin below that")
    (warnings 151 0.05))
  (test-equal "below it"
    '("the prior was trained at sigma from 0.05 to 100.0, and asked at 0.033, where it cannot know the score: let the \
temperatures end above that")
    (warnings 100 0.033)))

(finish-tests)
