;;; masses.scm -- mass matrices M of equation 6: which space a chain moves in.
;;;
;;; The best mass is the target's precision: then all directions move at the same rate,
;;; measured or not.  A mass is #f (the identity), a table M(k) over centred k-space
;;; (Fourier-diagonal), or made by `make-mass' of two procedures, so that no matrix need
;;; be known.

(define-module (tempera problem masses)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module ((rnrs base) #:select (vector-map))
  #:use-module (tempera base errors)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:export (make-mass mass? mass-draw mass-velocity mass-energy mass-operand diagonal-mass
            real-fourier-mass normal-mass))

(define-record-type <mass>
  (%make-mass name draw velocity)
  matrix-free?
  (name mass-name)
  (draw mass-drawer)                    ; x seed stream -> m
  (velocity mass-inverse))              ; m -> M^-1 m

(set-record-type-printer! <mass>
  (lambda (mass port)
    (format port "#<mass ~a>" (mass-name mass))))

(define (make-mass name draw velocity)
  "A mass called NAME: DRAW is the procedure x seed stream -> m ~ N(0, M), of x's shape (C
...), VELOCITY m -> M^-1 m.
Example: (make-mass \"twice\" (lambda (x seed stream)
                            (tensor* (sqrt 2) (momentum-draw x #f seed stream)))
                    (lambda (m) (tensor* 1/2 m)))"
  (check-that (procedure? draw) 'make-mass "draw: expected a procedure, got ~s" draw)
  (check-that (procedure? velocity) 'make-mass "velocity: expected a procedure, got ~s" velocity)
  (%make-mass name draw velocity))

(define (mass? object)
  "Whether OBJECT can be a mass: #f, a table, or what `make-mass' makes.
Example: (mass? #f) => #t"
  (or (not object) (tensor? object) (matrix-free? object)))

(define (mass-draw mass x seed stream)
  "Momenta m ~ N(0, MASS) of X's shape, (C ...), from the random numbers (SEED, STREAM).
Example: (mass-draw #f (tensor-zeros '(4 2)) 1 0)"
  (if (matrix-free? mass)
      ((mass-drawer mass) x seed stream)
      (momentum-draw x mass seed stream)))

(define (mass-velocity mass m)
  "M^-1 M for the momenta M, (C ...).
Example: (tensor-identical? (mass-velocity #f t) t) => #t"
  (cond ((not mass) m)
        ((matrix-free? mass) ((mass-inverse mass) m))
        (else (fourier-multiply m (tensor/ 1 mass)))))

(define (mass-energy mass m)
  "m^H M^-1 m / 2 for each chain of the momenta M, a vector.
Example: (mass-energy #f (tensor-zeros '(4 2))) => #(0.0 0.0 0.0 0.0)"
  (if (matrix-free? mass)
      (vector-map (lambda (square) (/ square 2)) (chains-dot m (mass-velocity mass m)))
      (kinetic-energy m mass)))

(define (mass-operand mass)
  "MASS as the primitive `trajectory' takes it.
Example: (mass-operand #f) => #f"
  (if (matrix-free? mass) (mass-inverse mass) mass))

(define (diagonal-mass precision)
  "The mass that has PRECISION on its diagonal: a positive number, or a tensor of them that
broadcasts over states.
Example: (diagonal-mass 100)"
  (check-that (if (tensor? precision)
                  (and (tensor-finite? precision) (> (tensor->number (tensor-min precision)) 0))
                  (and (real? precision) (finite? precision) (> precision 0)))
              'diagonal-mass "precision: expected a positive number, or a tensor of them, got ~s"
              precision)
  (make-mass (if (tensor? precision) "diagonal" (format #f "~a I" precision))
             (let ((root ((if (tensor? precision) tensor-sqrt sqrt) precision)))
               (lambda (x seed stream) (tensor* root (momentum-draw x #f seed stream))))
             (if (tensor? precision)
                 (lambda (m) (tensor/ m precision))
                 (lambda (m) (tensor* (/ precision) m)))))

(define (real-fourier-mass table)
  "The mass that is TABLE, f32 (H W) or (W), over centred k-space for real images, the same at k and -k; complex ones take TABLE itself.
Example: (real-fourier-mass (power-spectrum '(16 16)))"
  (let ((root (tensor-sqrt table)) (inverse (tensor/ 1 table)))
    (make-mass "Fourier-diagonal"
               (lambda (x seed stream) (fourier-filter (momentum-draw x #f seed stream) root))
               (lambda (m) (fourier-filter m inverse)))))

;; Velocities are as exact as float32 lets them be, since the energies that decide about
;; acceptance come from them; the spectrum has few distinct values for most operators.
(define solver-steps 200)
(define solver-tolerance 1e-6)

(define (normal-mass op likelihood prior)
  "The mass M = LIKELIHOOD A^H A + PRIOR for an operator OP, A, of which nothing need be
diagonal: two positive numbers, the precision of the data and the largest curvature of
the prior.  It is drawn from exactly, m = sqrt(LIKELIHOOD) A^H z + sqrt(PRIOR) z', and
inverted by conjugate gradients, or both by the eigenvectors of A^H A where OP knows them; neither takes
a score.
Example: (normal-mass op 100 1)"
  (check-that (operator? op) 'normal-mass "operator: expected one, got ~s" op)
  (for-each (lambda (name value)
              (check-that (and (real? value) (finite? value) (> value 0)) 'normal-mass
                          "~a: expected a positive number, got ~s" name value))
            '("likelihood" "prior") (list likelihood prior))
  (make-mass
   (format #f "~a A^H A + ~a, A ~a" likelihood prior (operator-name op))
   (if (operator-normal-function op)
       (lambda (x seed stream)
         ((operator-normal-function op) (lambda (values) (tensor-sqrt (tensor+ (tensor* likelihood values) prior)))
                                        (momentum-draw x #f seed stream)))
       (lambda (x seed stream)
         ;; Stream numbers count trajectories from 0: the upper half is for A's side.
         (let* ((y (apply-forward op x))
                (z (random-normal (tensor-shape y) seed (+ stream (ash 1 39)) (tensor-dtype y))))
           (tensor+ (tensor* (sqrt likelihood) (apply-adjoint op ((operator-restrict op) z)))
                    (tensor* (sqrt prior) (momentum-draw x #f seed stream))))))
   (if (operator-normal-function op)
       (lambda (m)
         ((operator-normal-function op) (lambda (values) (tensor/ 1 (tensor+ (tensor* likelihood values) prior))) m))
       (lambda (m) (solve-normal op likelihood prior m solver-steps solver-tolerance)))))
