;;; learned-weights.scm -- a weight of losses that is learned with the network (Karras et al. 2024, "EDM2").
;;;
;;; The loss at one sigma can be a hundred times that at another, and then the other hardly moves the
;;; network.  Divided by what it is expected to be, every sigma counts alike.  That expectation changes
;;; while the network learns, so it is learned too: L / exp (u) + u is least where exp (u) is L's mean.

(define-module (tempera net learned-weights)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera net layers)
  #:export (learned-weight learned-weight? log-loss-layer))

(define-record-type <learned-weight>
  (make-learned-weight features)
  learned-weight?
  (features learned-weight-features))

(set-record-type-printer! <learned-weight>
  (lambda (weight port)
    (format port "#<learned weight of ~a features>" (learned-weight-features weight))))

(define* (learned-weight #:key (features 128))
  "For #:weight of `make-trainer': the loss L at sigma counts as L / exp (u) + u, where u(sigma), a weighted sum
of FEATURES random waves of log |sigma|, is learned with the network, so that every sigma moves the
network alike, whatever its loss.  Which noise levels matter is then said by #:sigma alone.  u belongs
to the trainer's state, not to the network's file.  Source: Karras et al. 2024, equations 14 and 15.
Example: (learned-weight) => #<learned weight of 128 features>"
  (check-that (positive-integer? features) 'learned-weight
              "features: expected a positive integer, got ~s" features)
  (make-learned-weight features))

(define (log-loss-layer weight seed)
  "The layer of WEIGHT, a `learned-weight', that maps |sigma|, (N), to u, (N); 0 at first.  Its waves are
drawn from SEED.
Example: (tensor-shape ((log-loss-layer (learned-weight) 1) (list->tensor '(0.5 3)))) => (2)"
  (let* ((n (learned-weight-features weight))
         (turn (* 8 (atan 1)))
         (frequencies (tensor* turn (random-normal (list n) seed (random-stream 'loss-weight 0))))
         (phases (tensor* turn (random-uniform (list n) seed (random-stream 'loss-weight 1))))
         (weights (require-gradient! (tensor-zeros (list n)))))
    (make-layer (format #f "u of ~a features" n)
                (lambda (sigma)
                  (let* ((noise (tensor* 1/4 (tensor-log (tensor-maximum sigma 1e-6))))
                         (waves (tensor-cos (tensor+ phases (tensor* frequencies
                                                                     (tensor-reshape noise '(-1 1)))))))
                    (tensor-sum (tensor* (tensor* (sqrt 2) waves) weights) '(1))))
                #:parameters `(("weights" . ,weights))
                #:buffers `(("frequencies" . ,frequencies) ("phases" . ,phases)))))

(document
 (learned-weight?
  "Whether OBJECT is a weight that `learned-weight' made.
Example: (learned-weight? (learned-weight)) => #t"))
