;;; spectral-norms.scm -- spectral norms of weights, and bounds that training keeps them to.
;;;
;;; A spectral norm is found by power iteration.  In training one iteration a step is enough, since it
;;; goes on from the vector of the step before.

(define-module (tempera net spectral-norms)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera net layers)
  #:export (spectral-norms cap projection penalty
            spectral-bound? spectral-bound-text norm-vectors penalise! restrain!))

(define (norm-vectors parameters seed)
  "For each of PARAMETERS that is a matrix or a window, the vector from which power iteration begins, drawn
by SEED: an association list from name to tensor."
  (filter-map (lambda (p i)
                (let ((shape (tensor-shape (cdr p))))
                  (and (>= (length shape) 2)
                       (cons (car p)
                             (random-normal (list (last shape)) seed
                                            (random-stream 'spectral i))))))
              parameters (iota (length parameters))))

(define* (spectral-norms layer #:key (iterations 30))
  "The spectral norm of each weight matrix of LAYER, windows as (kh kw in) x out, from
name to number.
Example: (spectral-norms (dense-layer 2 3))"
  (let* ((parameters (layer-parameters layer))
         (vectors (norm-vectors parameters 0)))
    (map (lambda (v)
           (cons (car v)
                 (spectral-norm! (assoc-ref parameters (car v)) (cdr v) iterations)))
         vectors)))

;;; --- Bounds ---------------------------------------------------------------------------

(define-record-type <spectral-bound>
  (make-spectral-bound kind value weight)
  spectral-bound?
  (kind bound-kind)                     ; cap, projection or penalty
  (value bound-value)                   ; of the norm
  (weight bound-weight))                ; of a penalty, else 0

(set-record-type-printer! <spectral-bound>
  (lambda (b port)
    (format port "#<~a ~a>" (bound-kind b)
            (if (eq? 'penalty (bound-kind b))
                (format #f "~a of norms from ~a" (bound-weight b) (bound-value b))
                (format #f "of norms at ~a" (bound-value b))))))

(define (spectral-bound-text bound)
  "The call that makes BOUND, as a text to be recorded; of #f, \"#f\".
Example: (spectral-bound-text (cap 2)) => \"(cap 2)\""
  (cond ((not bound) "#f")
        ((eq? 'penalty (bound-kind bound))
         (format #f "(penalty ~a ~a)" (bound-weight bound) (bound-value bound)))
        (else (format #f "(~a ~a)" (bound-kind bound) (bound-value bound)))))

(define (spectral-bound kind value weight)
  (for-each (lambda (name n least)
              (check-that (and (real? n) (finite? n) (least n)) kind
                          "~a: expected a ~a number, got ~s" name
                          (if (eq? least positive?) "positive" "non-negative") n))
            '("value" "weight") (list value weight)
            (if (eq? kind 'penalty)
                (list (lambda (n) (>= n 0)) positive?)
                (list positive? (const #t))))
  (make-spectral-bound kind value weight))

(define (cap value)
  "For #:spectral of `make-trainer': after each step a weight matrix whose spectral norm is above
VALUE is scaled down to it.
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (cap 2))"
  (spectral-bound 'cap value 0))

(define (projection value)
  "For #:spectral of `make-trainer': after each step every weight matrix is scaled to the spectral
norm VALUE, up or down, as the paper's authors' code does.
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (projection 2))"
  (spectral-bound 'projection value 0))

(define* (penalty weight #:optional (target 0))
  "For #:spectral of `make-trainer': the loss has WEIGHT / 2 times the sum of (s - TARGET)^2 over
the spectral norms s of weight matrices, the paper's penalty (Yoshida, Miyato 2017).
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:spectral (penalty 1e-3))"
  (spectral-bound 'penalty target weight))

(define (penalise! bound parameters vectors)
  "Before an update: add to the gradients of PARAMETERS, an association list, what BOUND, a penalty, adds
to the loss; VECTORS are those of `norm-vectors', from which power iterations go on.  Any other bound,
or #f, adds nothing."
  (when (and bound (eq? 'penalty (bound-kind bound)))
    (for-each (match-lambda
                ((name . vector)
                 (spectral-penalty! (assoc-ref parameters name) vector
                                    (bound-weight bound) (bound-value bound))))
              vectors)))

(define (restrain! bound parameters vectors)
  "After an update: scale each weight matrix among PARAMETERS to the norm that BOUND asks for, a projection, or
down to it, a cap.  Any other bound, or #f, changes nothing."
  (when (and bound (memq (bound-kind bound) '(projection cap)))
    (for-each (match-lambda
                ((name . vector)
                 (let* ((w (assoc-ref parameters name))
                        (norm (spectral-norm! w vector))
                        (value (bound-value bound)))
                   (when (and (> norm 0) (or (eq? 'projection (bound-kind bound)) (> norm value)))
                     (tensor-axpby! (- (/ value norm) 1) (tensor-copy w) 1 w)))))
              vectors)))

(document
 (spectral-bound?
  "Whether OBJECT is a bound on spectral norms.
Example: (spectral-bound? (cap 2)) => #t"))
