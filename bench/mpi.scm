;;; mpi.scm -- how much faster ranks are than one process, and how long they wait for each other.
;;;
;;;   TEMPERA_THREADS=1 build/pre-inst-env tempera bench/mpi.scm
;;;   TEMPERA_THREADS=1 mpirun -n 2 build/pre-inst-env tempera bench/mpi.scm
;;;
;;; The seconds of the first by those of the second are the speed-up; each rank wants a core to itself.

(use-modules (tempera))

(define (show name thunk)
  (let* ((before (mpi-exchanged)) (start (get-internal-real-time)))
    (thunk)
    (let ((after (mpi-exchanged)))
      (format #t "~a on ~a ranks: ~,2f s, of which ~,2f s in exchanges, ~,1f MB received~%" name (mpi-size)
              (/ (- (get-internal-real-time) start) 1. internal-time-units-per-second)
              (- (car after) (car before)) (/ (- (cdr after) (cdr before)) 1e6)))))

(define (network)
  (score-network '(paper-unet #:channels (16 32 64) #:blocks 1 #:convolutions 2 #:normalisation batch)))

(define (images count step)
  (tensor* 30 (random-normal (list count 64 64) 5 step 'c64)))

(define target
  (let ((op (mri-operator #:mask (random-mask 64 #:acceleration 4 #:seed 1)))
        (x (tensor-reshape (images 1 0) '(64 64))))
    (posterior (network) op (measure op x #:noise 1 #:seed 2) #:noise 1)))

(show "chains" (lambda () (anneal target #:chains 8 #:temperatures (geometric 10 #:ratio 0.8 #:until 3)
                                  #:transitions-per-temperature 1)))
(show "training" (lambda () (train! (make-trainer (network) images #:batch 8 #:steps 10))))
