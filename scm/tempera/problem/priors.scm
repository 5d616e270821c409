;;; priors.scm -- what is known before measuring.
;;;
;;; A prior is anything that has a score grad log p_sigma (x), where p_sigma is the
;;; prior convolved with noise of standard deviation sigma: a network, any
;;; procedure of x and sigma, or an exact prior (gaussian.scm, mixtures.scm), which also knows
;;; its log density and how to draw from itself.  x is a batch, (C ...);
;;; sigma a number or f32 (C), one for every chain.

(define-module (tempera problem priors)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module ((oop goops) #:select (define-method <top>))
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera data scans)
  #:export (make-prior prior? prior-name prior-shape prior-dtype
            check-prior score score-and-slope log-density has-log-density? prior-draw learned? sigma-range greatest-sigma
            image-dtype prior-scale scale? white-level relative-white))

(define-record-type <prior>
  (%make-prior name shape dtype score log-density draw scale)
  prior?
  (name prior-name)
  (shape prior-shape)                   ; of one x
  (dtype prior-dtype)
  (score prior-score)
  (log-density prior-log-density)       ; or #f
  (draw prior-drawer)                   ; count seed -> batch, or #f
  (scale own-scale))                    ; (white unit), or #f

(set-record-type-printer! <prior>
  (lambda (p port)
    (format port "#<prior ~a over ~a>" (prior-name p) (prior-shape p))))

(define* (make-prior name #:key shape (dtype 'f32) score log-density draw (scale #f))
  "A prior called NAME over x of SHAPE and DTYPE, f32 or c64: SCORE is the procedure x sigma -> score,
LOG-DENSITY x sigma -> a vector with a number for each chain (or #f), DRAW count
seed -> a batch of draws (or #f), SCALE as `prior-scale' has it, or #f.
Example: (make-prior \"flat\" #:shape '(2) #:score (lambda (x sigma) (tensor* 0 x)))"
  (check-that (procedure? score) 'make-prior "score: expected a procedure, got ~s" score)
  (check-that (or (not scale) (scale? scale)) 'make-prior
              "scale: expected a positive number and a string, (white unit), got ~s" scale)
  (%make-prior name shape dtype score log-density draw scale))

(define (check-prior who prior)
  "Complain from WHO unless PRIOR is a prior, a network or a procedure."
  (check-that (or (prior? prior) (procedure? prior)) who
              "prior: expected a prior, a network or a procedure of x and sigma, got ~s" prior))

;; Of networks, which come later, it is true.
(define-method (learned? (prior <top>)) #f)
(define-method (sigma-range (prior <top>)) #f)

(define* (greatest-sigma prior #:optional (otherwise (white-level prior)))
  "The largest sigma that PRIOR was trained at (see `sigma-range'), where chains without data begin; OTHERWISE, the
white of its images unless given, where that is not known.
Example: (greatest-sigma (two-moons-prior) 4) => 4"
  (let ((range (sigma-range prior)))
    (if range (second range) otherwise)))

;;; --- The images that it is of ----------------------------------------------------

(define-method (image-dtype (prior <top>)) (and (prior? prior) (prior-dtype prior)))
(define-method (prior-scale (prior <top>)) (and (prior? prior) (own-scale prior)))

(define (scale? object)
  "Whether OBJECT is a list of a positive number and a string, as `prior-scale' gives it.
Example: (scale? '(255 \"grey levels\")) => #t"
  (and (list? object) (= 2 (length object)) (positive-number? (first object)) (string? (second object))))

(define (relative-white prior)
  "The `white-level' of PRIOR over `top-intensity', on which numbers that go with intensities were chosen.
Example: (relative-white (two-moons-prior)) => 1"
  (/ (white-level prior) top-intensity))

(define (white-level prior)
  "The intensity of white, the 99.9th percentile of magnitude, in the images that PRIOR is of, as its
`prior-scale' says, or `top-intensity'.
Example: (white-level (make-prior \"flat\" #:shape '(2) #:score tensor-negate #:scale '(1 \"flux\"))) => 1"
  (let ((scale (prior-scale prior)))
    (if scale (first scale) top-intensity)))

;;; --- Scores -----------------------------------------------------------------------

(define (score prior x sigma)
  "The score grad log p_sigma at X, (C ...), of PRIOR: a prior, a network or any
procedure of x and sigma.  SIGMA is a number or f32 (C).
Example: (score (two-moons-prior) x 0.5)"
  (cond ((prior? prior) ((prior-score prior) x sigma))
        ((procedure? prior) (prior x sigma))
        (else (complain 'score "prior: expected a prior, a network or a procedure, got ~s" prior))))

;; By central differences, which every score has; of networks, which come later, by the tape.
(define-method (score-and-slope (prior <top>) x sigma v)
  (let ((h (* 0.05 sigma)))
    (values (score prior x sigma)
            (chains-dot v (tensor/ (tensor- (score prior (tensor+ x (tensor* h v)) sigma)
                                            (score prior (tensor- x (tensor* h v)) sigma))
                                   (* 2 h))))))

(define (has-log-density? prior)
  "True when `log-density' knows PRIOR.
Example: (has-log-density? (two-moons-prior)) => #t"
  (and (prior? prior) (prior-log-density prior) #t))

(define (log-density prior x sigma)
  "log p_sigma of each chain of X, (C ...), as a vector; for priors that have one.
Example: (log-density (two-moons-prior) x 0.1)"
  (check-that (has-log-density? prior) 'log-density
              "prior: expected one with a log density, got ~s" prior)
  ((prior-log-density prior) x sigma))

(define* (prior-draw prior count #:key (seed 0))
  "COUNT independent draws from an exact PRIOR: a batch (COUNT ...).
Example: (tensor-shape (prior-draw prior 3 #:seed 1)) => (3 16 16)"
  (check-that (and (prior? prior) (prior-drawer prior)) 'prior-draw
              "prior: expected one that can be drawn from, got ~s" prior)
  (check-that (and (exact-integer? count) (> count 0)) 'prior-draw
              "count: expected a positive integer, got ~s" count)
  (check-seed 'prior-draw seed)
  ((prior-drawer prior) count seed))

(document
 (score-and-slope
  "The score r of PRIOR at X, (C ...), and SIGMA, a number, and how steep it is along V, of X's shape: two
values, r and a vector of <v, J v> for each chain, with J the Jacobian of r.  Of a network J is
exact, by the tape; else by central differences of 0.05 SIGMA V.
Example: (call-with-values (lambda () (score-and-slope prior x 0.5 x)) (lambda (r slopes) slopes))")
 (learned?
  "Whether PRIOR was learned from examples, so that its score has errors: a network's is.  A method
for a class of your own says so of your priors.
Example: (learned? prior) => #f")
 (sigma-range
  "The least and the greatest sigma that PRIOR was trained at, a list, or #f: exact priors know every sigma, and of a
network from a file that does not say it is not known.
Example: (sigma-range (two-moons-prior)) => #f")
 (image-dtype
  "The type of the images that PRIOR is of, c64 or f32, or #f where it does not say: of a network by its body's
#:image-channels.
Example: (image-dtype (two-moons-prior)) => f32")
 (prior-scale
  "The intensity scale of the images that PRIOR is of, (white unit): the 99.9th percentile of magnitude, and what
it is measured in, a string; or #f where it does not say, of networks from files without one: then `top-intensity'.
See `set-prior-scale!'.
Example: (prior-scale (two-moons-prior)) => #f")
 (prior?
  "True when OBJECT is an exact prior.
Example: (prior? prior) => #t")
 (prior-dtype
  "The type of one x of PRIOR, f32 or c64.
Example: (prior-dtype prior) => c64")
 (prior-name
  "The name of PRIOR, a string.
Example: (prior-name (two-moons-prior))")
 (prior-shape
  "The shape of one x of PRIOR.
Example: (prior-shape prior) => (16 16)"))
