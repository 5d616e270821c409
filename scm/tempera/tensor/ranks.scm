;;; ranks.scm -- processes that compute together, started by mpirun or srun.
;;;
;;; Every process, a rank, runs the same script.  Work that can be divided is divided among them: each
;;; does its part and gets the others' results, so that all have the same values and go the same way.
;;; Rank 0 speaks for all: it alone prints and writes files.
;;;
;;; A rank that an error or a signal takes out of such work says so at the others' next exchange, and
;;; they leave it too.

(define-module (tempera tensor ranks)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (system foreign)
  #:use-module (system foreign-library)
  #:use-module (tempera base errors)
  #:use-module (tempera base exceptions)
  #:use-module (tempera base interrupts)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (start-ranks! together? first-rank? call-together call-apart own-part gather-rows gather-data
            sum-over-ranks! report-failure?))

;;; --- Starting -------------------------------------------------------------------

;; What Open MPI's mpirun, that of MPICH, and srun set for the processes that they start.
(define marks '("OMPI_COMM_WORLD_SIZE" "PMI_SIZE" "PMI_RANK" "PMIX_RANK"))

(define own-errors #f)                  ; the error port as it was

(define (start-ranks!)
  "Join the other ranks, where mpirun or srun has started this process as one of several."
  (when (and (not own-errors) (any getenv marks))
    (set! own-errors (current-error-port))
    (ranks-join! (foreign-library-pointer (mpi-library) "tempera_transport"))
    ;; Programs that this one starts are no ranks.
    (for-each unsetenv marks)
    (unless (zero? (mpi-rank))
      (let ((nowhere (%make-void-port "w")))
        (current-output-port nowhere)
        (current-error-port nowhere)
        (current-warning-port nowhere)))
    (check-alike)))

(define (mpi-library)
  (catch-errors
   (lambda () (load-foreign-library "libtempera-mpi" #:extensions '(".so")))
   (lambda _
     (complain 'mpi "this is one of several processes that mpirun or srun has started, but Tempera was \
built without MPI; install libopenmpi-dev or libmpich-dev and build it again, or start one process"))))

(define (check-alike)
  ;; What is computed on every rank has to come out the same on each.
  (let ((sets (gather-data (instruction-set))))
    (check-that (every (lambda (set) (eq? set (first sets))) sets) 'mpi
                "the processors of the ranks have different instruction sets, ~a; set TEMPERA_ISA to one that \
all have" sets)))

;;; --- Together and apart -----------------------------------------------------------

(define apart?
  ;; Whether what runs now is this rank's own, with which the others have nothing to do.
  (make-fluid #f))

(define (together?)
  "Whether work is divided among ranks here.
Example: (together?) => #f"
  (and (> (mpi-size) 1) (not (fluid-ref apart?))))

(define (first-rank?)
  "Whether this process is the one that prints and writes files.
Example: (first-rank?) => #t"
  (zero? (mpi-rank)))

(define (call-apart thunk)
  "What THUNK returns, which this rank does by itself.
Example: (call-apart together?) => #f"
  (with-fluids ((apart? #t)) (thunk)))

(define (call-together thunk)
  "What THUNK returns, which exchanges values with the other ranks.  When an exception ends it here, the others
leave it with that signal, or with an error that says which rank it was and why."
  (if (together?)
      (call-keeping-stack
       thunk
       (lambda (exception)
         (let ((failure (ranks-failure!)))
           (cond ((and failure (not (= (first failure) (mpi-rank))))
                  (if (zero? (second failure))
                      (complain 'mpi "rank ~a: ~a" (first failure) (third failure))
                      (raise-interrupt (second failure))))
                 (else (tell! exception) (raise-exception exception))))))
      (thunk)))

(define (tell! exception)
  ;; Say at the others' next meeting what has happened; whether rank 0 knows of it then.
  (let* ((signal (or (interrupt-signal exception) 0))
         (heard? (ranks-fail! signal (if (zero? signal) (exception-words exception) "stopped"))))
    (ranks-failure!)
    heard?))

(define (report-failure? exception)
  "Whether this rank is the one to print EXCEPTION, which ends it: rank 0, or one that rank 0 has not heard.
The error port is one that shows it then."
  (or (first-rank?)
      (and (not (tell! exception))
           (begin (current-error-port own-errors) #t))))

;;; --- Exchanges --------------------------------------------------------------------

(define (own-part count)
  "The part of COUNT things that is this rank's, a list of the first and the one past the last, or #f where it
has none.
Example: (own-part 8) => (0 8)"
  (let ((begin (quotient (* count (mpi-rank)) (mpi-size)))
        (end (quotient (* count (1+ (mpi-rank))) (mpi-size))))
    (and (< begin end) (list begin end))))

(define (gather-rows shape dtype mine)
  "The tensor of SHAPE, (N ...), and DTYPE of which MINE has the rows that `own-part' of N says, or is #f.
Example: (tensor->list (gather-rows '(2) 'f32 (list->tensor '(1 2)))) => (1.0 2.0)"
  (let ((all (tensor-zeros shape dtype)))
    (ranks-gather-rows! all (and mine (tensor-copy mine)))
    all))

(define (gather-data object)
  "A list of the OBJECTs, numbers, texts, symbols, lists and vectors of them, of all ranks, in their order.
Example: (gather-data '(1 . 2.5)) => ((1 . 2.5))"
  (map (lambda (text) (call-with-input-string text read))
       (ranks-gather-texts (format #f "~s" object))))

(define (sum-over-ranks! tensors)
  "Add up each of TENSORS, f32, over all ranks, in their order, in place.
Example: (let ((t (list->tensor '(1 2)))) (sum-over-ranks! (list t)) (tensor->list t)) => (1.0 2.0)"
  (unless (null? tensors)
    (let* ((flat (tensor-concatenate (map (lambda (t) (tensor-reshape t '(-1))) tensors) 0)))
      (ranks-sum! flat)
      (fold (lambda (t from)
              (let ((to (+ from (tensor-count t))))
                (tensor-assign! t (tensor-reshape (tensor-slice flat 0 from to) (tensor-shape t)))
                to))
            0 tensors))))

(start-ranks!)
