;;; targets.scm -- what is sampled: a density at every temperature, known by its score.
;;;
;;; A target is p_sigma (x | y) with its score (equation 4) and, where they are known, its
;;; log density, a mass that suits it, and where chains begin.

(define-module (tempera problem targets)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module ((oop goops) #:select (define-method))
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera problem likelihoods)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem measurements)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor tensors)
  #:export (make-target target? target-name target-shape target-dtype target-score
            target-log-density target-masses target-start target-start-name target-prior target-likelihood-score has-likelihood-score?
            target-prior-alone? target-gaussian-likelihood? target-caution
            posterior prior-target denoise))

(define-record-type <target>
  (%make-target name shape dtype score log-density masses start start-name prior likelihood gaussian-likelihood? caution)
  target?
  (name target-name)
  (shape target-shape)                  ; of one chain's state
  (dtype target-dtype)
  (score %target-score)                 ; x sigma -> score
  (log-density %target-log-density)     ; x sigma -> vector, or #f
  (masses target-masses)                ; by name, the first the best: sigma -> mass
  (start target-start)                  ; of SHAPE: where chains begin, or #f: 0
  (start-name target-start-name)        ; what that is
  (prior target-prior)                  ; what `denoise' uses
  (likelihood target-likelihood)        ; x sigma -> the part of SCORE that is not PRIOR's, or #f
  (gaussian-likelihood? target-gaussian-likelihood?) ; so that the first mass is its precision
  (caution target-caution))             ; why its samples may be wrong, a string, or #f

(set-record-type-printer! <target>
  (lambda (t port)
    (format port "#<target ~a over ~a~a>" (target-name t) (target-shape t)
            (if (%target-log-density t) ", with log density" ""))))

(define (target-score target x sigma)
  "The score of TARGET at the batch X, (C ...), and temperature SIGMA.
Example: (tensor-shape (target-score target (chain-samples chain) 0.1)) => (8 16 16)"
  ((%target-score target) x sigma))

(define (target-log-density target x sigma)
  "log p_sigma of each chain of X up to a constant, a vector; for targets that know it.
Example: (target-log-density (prior-target (two-moons-prior)) x 0.5)"
  (check-that (%target-log-density target) 'target-log-density
              "target: ~a has no log density" target)
  ((%target-log-density target) x sigma))

(define (no-likelihood x sigma)
  (tensor-zeros (tensor-shape x) (tensor-dtype x)))

(define (target-prior-alone? target)
  "Whether TARGET is a prior without data, so that its score is the prior's.
Example: (target-prior-alone? target) => #f"
  (eq? (target-likelihood target) no-likelihood))

(define (has-likelihood-score? target)
  "Whether `target-likelihood-score' knows TARGET's.
Example: (has-likelihood-score? target) => #t"
  (and (target-likelihood target) #t))

(define (target-likelihood-score target x sigma)
  "The score of TARGET's likelihood at the batch X, (C ...), and temperature SIGMA: what its score
has beside the prior's, 0 where there are no data.  A target made of a score alone is a prior; one
with a prior and no #:likelihood does not say.
Example: (tensor-shape (target-likelihood-score target (chain-samples chain) 0.1)) => (8 16 16)"
  (check-that (target-likelihood target) 'target-likelihood-score
              "target: ~a does not say which part of its score is the likelihood's, #:likelihood of \
make-target; take a sampler that need not know, such as (hmc)" target)
  ((target-likelihood target) x sigma))

(define* (make-target name #:key shape (dtype 'f32) score log-density (masses '()) start (start-name "start") prior
                      likelihood (gaussian-likelihood? #t) caution)
  "A target called NAME over states of SHAPE and DTYPE.  SCORE is the procedure
x sigma -> score on batches (C ...); LOG-DENSITY, x sigma -> a vector, where it is
known; MASSES an association list from a name to a procedure sigma -> mass, the best
first; START, a tensor of SHAPE, where chains begin, and START-NAME, what reports call it; PRIOR what `denoise' is to use (SCORE
unless given); LIKELIHOOD, x sigma -> the likelihood's part of SCORE, if PRIOR is the other part and the first
of MASSES, a procedure sigma [width] -> mass, is the likelihood's precision at sigma and 1 / width^2, width being
sigma unless given (see `split-gibbs'); GAUSSIAN-LIKELIHOOD?, #f where that is not its precision everywhere, since data are
not linear in x or their noise is not Gaussian; CAUTION, a string, what is doubtful about the target, of which
`chain-warnings' warns.
Example: (make-target \"normal\" #:shape '(2)
           #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x)))"
  (check-that (and (list? shape) (every (lambda (n) (and (exact-integer? n) (> n 0))) shape)
                   (pair? shape))
              'make-target "shape: expected a list of lengths, got ~s" shape)
  (check-that (memq dtype '(f32 c64)) 'make-target "dtype: expected f32 or c64, got ~s" dtype)
  (check-that (procedure? score) 'make-target "score: expected a procedure, got ~s" score)
  (check-that (or (not likelihood) (and (procedure? likelihood) prior (pair? masses))) 'make-target
              "likelihood: expected a procedure, with #:prior and #:masses beside it, got ~s" likelihood)
  (check-that (or (not start) (and (tensor? start) (equal? (tensor-shape start) shape)
                                   (tensor-finite? start)))
              'make-target "start: expected a tensor of shape ~a, of finite numbers, got ~s" shape start)
  (check-that (string? start-name) 'make-target "start-name: expected a string, got ~s" start-name)
  (check-that (or (not caution) (string? caution)) 'make-target
              "caution: expected a string, got ~s" caution)
  (%make-target name shape dtype score log-density masses start start-name (or prior score)
                (or likelihood (and (or (not prior) (eq? prior score)) no-likelihood)) gaussian-likelihood? caution))

;;; --- Denoising ----------------------------------------------------------------

;; Of a chain, which comes later and has its own x and sigma, there is a method of one argument.
(define-method (denoise what x sigma)
  (check-that (tensor? x) 'denoise "x: expected a batch of images, got ~s" x)
  (check-that (positive-number? sigma) 'denoise "sigma: expected a positive number, got ~s" sigma)
  (tensor+ x (tensor* (* sigma sigma) (score (if (target? what) (target-prior what) what) x sigma))))

(define-method (denoise what . others)
  (complain 'denoise "x: expected a batch of images and then sigma, which only chains have of their \
own; got ~s after ~s" others what))

;;; --- Posteriors ---------------------------------------------------------------

(define (square s)
  (if (tensor? s) (tensor* s s) (* s s)))

;; Images are float32, and so is A x: each has an error of a few 2^-24 of their size, which should
;; be little beside the noise.  With less than this of it, exact posteriors came out wrong.
(define least-noise (expt 2. -18))

(define (noise-caution noise image)
  ;; Of a posterior of IMAGEs.
  (let ((size (sqrt (/ (tensor->number (tensor-sum-squares image)) (tensor-count image)))))
    (and (< noise (* least-noise size))
         (format #f "noise ~a is less than what float32 keeps of images of size ~a: samples do not \
fit the data so closely, and proposals are rejected for it; give #:noise ~a or more"
                 noise (significant size 3) (significant (* least-noise size) 2)))))

(define (prior-precision sigma)
  ;; No curvature of p_sigma is above this.
  (/ (square sigma)))

(define (likelihood-masses op precision dtype)
  ;; Of images of DTYPE, A^H A times PRECISION, a procedure of sigma, and 1 / width^2.
  (let ((diagonal (operator-normal-diagonal op))
        (fourier-mass (if (eq? dtype 'c64) identity real-fourier-mass)))
    `(,@(if diagonal
            `((fourier . ,(lambda* (sigma #:optional (width sigma))
                            ;; M(k) = D(k) precision + 1 / width^2
                            (fourier-mass (tensor+ (tensor* diagonal (precision sigma)) (prior-precision width))))))
            '())
      (normal . ,(lambda* (sigma #:optional (width sigma))
                   (normal-mass op (precision sigma) (prior-precision width)))))))

(define (check-start prior start)
  ;; That chains on PRIOR can begin at START, an image.
  (check-that (or (not (prior? prior)) (not (prior-shape prior)) (equal? (prior-shape prior) (tensor-shape start)))
              'posterior "prior: expected one over images of shape ~a, as y by the operator has \
them, got ~a" (tensor-shape start) prior)
  (check-that (memq (image-dtype prior) (list #f (tensor-dtype start)))
              'posterior "prior: expected one over ~a images, as y by the operator has them, got ~a over ~a"
              (tensor-dtype start) prior (image-dtype prior)))

(define (fitting-widening op)
  ;; Of k-space whose A^H A has neither known eigenvectors nor few distinct values, as of several coils measured at
  ;; points or along a trajectory, conjugate gradients take some 7 steps times the root of the mass's condition, 1 / WIDENING at most; with 0.02
  ;; means were as near to the truth as with 0 (doc/data.texi, "Several coils").
  (if (and (or (operator-mask op) (operator-normal-estimate op))
           (not (operator-normal-diagonal op)) (not (operator-normal-function op)))
      0.02
      0))

(define* (posterior prior measurement #:optional data #:key (noise #f) (widening #f))
  "The target p_sigma (x | y) of PRIOR (see `score') and MEASUREMENT, with data y by an operator A
and noise of a standard deviation NOISE; A, DATA and #:noise, 0.1 unless given, may take its place.
Its score is r(x, sigma) - A^H (A x - y) / (NOISE^2 + WIDENING sigma^2): equation 4 where WIDENING is
1, which blurs prior and likelihood alike.  By default only the prior is blurred, so that the data
count in full while the large structures are decided, and chains end nearer to the truth
(doc/sampling.texi); at sigma = 0 all are the same.  An operator whose normal is neither diagonal
nor near to a projection may want more, or the mass is hard to invert at large sigma: WIDENING is 0 unless given,
but 0.02 of several coils that are not measured by whole columns, or along a trajectory.
Its mass is A^H A / (NOISE^2 + WIDENING sigma^2) + 1 / sigma^2, called fourier, a table, where A's
normal is diagonal in Fourier space, and normal, without any matrix, for every A.
In the measurement's place a likelihood, as `poisson-likelihood' makes, makes the score
r(x, sigma) + A^H s(A x), with s its own, which is not blurred, and the mass A^H C A + 1 / sigma^2, with C its curvature.
Example: (posterior (load-network \"brain\") (measurement op y #:noise 0.1))"
  (check-that (or (not widening) (and (real? widening) (finite? widening) (>= widening 0))) 'posterior
              "widening: expected a number of 0 or more, got ~s" widening)
  (check-prior 'posterior prior)
  (cond
   ((likelihood? measurement)
    (for-each (lambda (name value)
                (check-that (not value) 'posterior "~a: expected none beside ~a, got ~s" name measurement value))
              '("y" "noise") (list data noise))
    (check-that (memv widening '(#f 0)) 'posterior
                "widening: expected 0 beside ~a, since only Gaussian likelihoods are blurred, got ~s" measurement widening)
    (likelihood-posterior prior measurement))
   (else
    (gaussian-posterior-target prior (as-measurement 'posterior measurement data noise) widening))))

(define (likelihood-posterior prior likelihood)
  (let* ((op (likelihood-operator likelihood))
         (start (likelihood-start likelihood))
         (curvature (likelihood-curvature likelihood))
         (likelihood-score (lambda (x sigma) (likelihood-score likelihood x))))
    (check-start prior start)
    (make-target
     (format #f "posterior of ~a, ~a" (operator-name op) (likelihood-name likelihood))
     #:shape (tensor-shape start) #:dtype (tensor-dtype start) #:start start
     #:start-name (operator-inverse-name op) #:prior prior
     #:score (lambda (x sigma) (tensor+ (score prior x sigma) (likelihood-score x sigma)))
     #:likelihood likelihood-score #:gaussian-likelihood? #f
     #:log-density (and (has-log-density? prior) (has-likelihood-density? likelihood)
                        (lambda (x sigma)
                          (vector-map + (log-density prior x sigma) (likelihood-log-density likelihood x))))
     #:masses (if (tensor? curvature)
                  (let ((weighted (weighted-operator op (tensor-sqrt curvature))))
                    `((normal . ,(lambda* (sigma #:optional (width sigma))
                                   (normal-mass weighted 1 (prior-precision width))))))
                  (likelihood-masses op (const curvature) (tensor-dtype start))))))

(define (gaussian-posterior-target prior measurement widening)
  (let* ((op (measurement-operator measurement))
         (widening (or widening (fitting-widening op)))
         (noise (measurement-noise measurement))
         (start (zero-filled measurement))
         (data (batch-of-one (measurement-data measurement)))
         (data-precision (lambda (sigma)
                           (/ (+ (square noise) (* widening (square sigma))))))
         (precision (lambda (sigma)
                      ;; The same, for a tensor broadcastable over the batch.
                      (if (tensor? sigma)
                          (per-item (tensor/ 1 (tensor+ (square noise)
                                                        (tensor* widening (square sigma))))
                                    (batch-of-one start))
                          (data-precision sigma))))
         (likelihood
          (lambda (x sigma)
            ;; The difference is taken where it was measured: that of the images A^H y and A^H A x
            ;; is rounding where nothing was, which 1 / noise^2 blows up.
            (tensor* (apply-adjoint op (tensor- data (apply-forward op x))) (precision sigma)))))
    (check-start prior start)
    (make-target
     (format #f "posterior of ~a" (operator-name op))
     #:shape (tensor-shape start) #:dtype (tensor-dtype start) #:start start
     #:start-name (operator-inverse-name op) #:prior prior
     #:caution (noise-caution noise start)
     #:score (lambda (x sigma) (tensor+ (score prior x sigma) (likelihood x sigma)))
     #:likelihood likelihood
     #:log-density
     (and (has-log-density? prior)
          (lambda (x sigma)
            (let* ((residual (tensor- (apply-forward op x) data))
                   (scaled (tensor* residual (precision sigma))))
              (vector-map (lambda (log-prior squares) (- log-prior (/ squares 2)))
                          (log-density prior x sigma) (chains-dot residual scaled)))))
     #:masses (likelihood-masses op data-precision (tensor-dtype start)))))

;;; --- The prior alone ------------------------------------------------------------

(define* (prior-target prior #:key shape dtype)
  "The target that is PRIOR alone, over states of SHAPE and DTYPE: an exact prior knows its own, a
network takes images of many shapes, of its `image-dtype'.  Its mass, white, is 1 / sigma^2, above
which no curvature of p_sigma is.
Example: (anneal (prior-target (two-moons-prior)) #:temperatures (geometric 3 #:ratio 0.8 #:until 0.02))"
  (check-prior 'prior-target prior)
  (check-that (or (not shape) (not (prior? prior)) (not (prior-shape prior))
                  (equal? shape (prior-shape prior)))
              'prior-target "shape: expected ~a, that of ~a, got ~s"
              (and (prior? prior) (prior-shape prior)) prior shape)
  (let ((shape (or shape (and (prior? prior) (prior-shape prior)))))
    (check-that shape 'prior-target "shape: this prior has none of its own; give that of one sample, \
(prior-target prior #:shape '(64 64)) of images")
    (check-that (or (not (prior? prior)) (not dtype) (eq? dtype (prior-dtype prior))) 'prior-target
                "dtype: expected ~a as ~a has, got ~s" (and (prior? prior) (prior-dtype prior)) prior
                dtype)
    (make-target (if (prior? prior) (prior-name prior) "prior")
                 #:shape shape #:prior prior #:likelihood no-likelihood
                 #:dtype (cond (dtype dtype)
                               ((prior? prior) (prior-dtype prior))
                               ((and (learned? prior) (list? shape) (= 2 (length shape)))
                                (or (image-dtype prior) 'c64))
                               (else 'f32))
                 #:score (lambda (x sigma) (score prior x sigma))
                 #:log-density (and (has-log-density? prior)
                                    (lambda (x sigma) (log-density prior x sigma)))
                 #:masses `((white . ,(lambda (sigma) (diagonal-mass (/ (square sigma)))))))))

(document
 (denoise
  "The expected denoised sample, EDS: X + SIGMA^2 r(X, SIGMA) with r the prior's score, for a batch X.
WHAT is a prior or a target, or, alone, a chain, which has its own X and SIGMA.
Example: (denoise chain)")
 (target?
  "True when OBJECT is a target.
Example: (target? target) => #t")
 (target-name
  "The name of TARGET, a string.
Example: (target-name target)")
 (target-shape
  "The shape of one x of TARGET.
Example: (target-shape target) => (16 16)")
 (target-dtype
  "The type of TARGET's x, f32 or c64.
Example: (target-dtype target) => c64")
 (target-masses
  "The masses that TARGET knows, a list of (name . procedure of sigma), the best first.
Example: (map car (target-masses target)) => (fourier normal)")
 (target-prior
  "The prior of TARGET, or #f.
Example: (target-prior target)")
 (target-gaussian-likelihood?
  "Whether data of TARGET, if any, are linear in x and their noise is Gaussian, so that x given them can be drawn exactly.
Example: (target-gaussian-likelihood? target) => #t")
 (target-caution
  "Why samples of TARGET may be wrong, a string, or #f: such as noise below float32's rounding.
Example: (target-caution target) => #f")
 (target-start
  "The image that chains on TARGET start from but for noise, or #f.
Example: (target-start target)")
 (target-start-name
  "What that image is called, a string.
Example: (target-start-name target) => \"zero-filled\""))
