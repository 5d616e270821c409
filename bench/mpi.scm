;;; mpi.scm -- how much faster ranks are than one process, and how long they wait for each other.
;;;
;;;   TEMPERA_THREADS=1 build/pre-inst-env tempera bench/mpi.scm
;;;   TEMPERA_THREADS=1 mpirun -n 2 build/pre-inst-env tempera bench/mpi.scm
;;;
;;; The seconds of the first by those of the second are the speed-up; each rank wants a core to itself.
;;;
;;; From two ranks on it says what more of them would do, by a model.  Work is divided by the ranks R.  What a rank receives
;;; grows as (R - 1) / R and comes at the bandwidth that is measured here; the rest of what exchanges took here, latency and
;;; waiting for each other, grows as log2 R.

(use-modules (tempera) ((tempera tensor ranks) #:select (sum-over-ranks!)))

(define (log2 x) (/ (log x) (log 2)))

(define bandwidth
  ;; Bytes a second that a rank receives.
  (and (> (mpi-size) 1)
       (let ((large (tensor-zeros '(4000000))))
         (sum-over-ranks! (list large)) ; memory is at hand
         (let ((before (mpi-exchanged)))
           (do ((k 0 (1+ k))) ((= k 10)) (sum-over-ranks! (list large)))
           (let ((after (mpi-exchanged)))
             (/ (- (cdr after) (cdr before)) (- (car after) (car before))))))))

(define (show-model seconds exchange bytes)
  ;; Of work that took SECONDS here, of them EXCHANGE for exchanges in which BYTES were received.
  (let* ((here (mpi-size)) (work (* here (- seconds exchange)))
         (transfer (/ bytes bandwidth)) (waiting (max 0 (- exchange transfer)))
         (share (lambda (ranks) (/ (1- ranks) ranks))))
    (for-each (lambda (ranks)
                (let ((time (+ (/ work ranks)
                               (* waiting (/ (log2 ranks) (log2 here)))
                               (* transfer (/ (share ranks) (share here))))))
                  (format #t "  ~a ranks: ~,2f s, ~,1f times as fast as one~%" ranks time (/ work time))))
              '(2 4 8 16 32 64))))

(define (show name thunk)
  (let* ((before (mpi-exchanged)) (start (get-internal-real-time)))
    (thunk)
    (let* ((after (mpi-exchanged))
           (seconds (/ (- (get-internal-real-time) start) 1. internal-time-units-per-second))
           (exchange (- (car after) (car before))) (bytes (- (cdr after) (cdr before))))
      (format #t "~a on ~a ranks: ~,2f s, of which ~,2f s in exchanges, ~,1f MB received~%" name (mpi-size)
              seconds exchange (/ bytes 1e6))
      (when bandwidth (show-model seconds exchange bytes)))))

(when bandwidth (format #t "bandwidth ~,1f MB/s~%" (/ bandwidth 1e6)))

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
