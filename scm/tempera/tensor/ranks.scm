;;; ranks.scm -- processes that compute together, started by mpirun or srun.
;;;
;;; Every process, a rank, runs the same script.  Work that can be divided is divided among them: each
;;; does its part and gets the others' results, so that all have the same values and go the same way.
;;; Rank 0 speaks for all: it alone prints and writes files.
;;;
;;; A rank that an error or a signal takes out of such work says so at the others' next exchange, and
;;; they leave it too.  What one rank alone may do, such as making a folder, is done on rank 0, and the others get
;;; what it came to.

(define-module (tempera tensor ranks)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (system foreign)
  #:use-module (system foreign-library)
  #:use-module (tempera base errors)
  #:use-module (tempera base exceptions)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base program)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (together? first-rank? call-together call-failing-together call-apart call-on-first-rank all-meet own-part
            gather-rows gather-data call-sharing-batch sum-over-ranks! report-failure))

;;; --- Starting -------------------------------------------------------------------

(define own-errors #f)                  ; the error port as it was

(define (start-ranks!)
  ;; Join the others, where there are any.
  (when (rank?)
    (set! own-errors (current-error-port))
    (ranks-join! (foreign-library-pointer (mpi-library) "tempera_transport"))
    ;; Programs that this one starts are no ranks.
    (for-each unsetenv rank-marks)
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

(define inside?
  ;; Whether a `call-together' is under way, which tells the others what ends it.
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

(define told #f)                        ; the last exception that all ranks know of

(define (call-together thunk)
  "What THUNK returns, which exchanges values with the other ranks.  When an exception ends it here, the others
leave it with that signal, or with an error that says which rank it was and why."
  (if (fluid-ref inside?)
      (thunk)
      (call-failing-together (lambda () (with-fluids ((inside? #t)) (thunk))))))

(define (call-failing-together thunk)
  "What THUNK returns, in which ranks go on by themselves between calls of `call-together'.  When an exception ends it
on one, the others leave it at their next exchange, as `call-together' has it.
Example: (call-failing-together (const 3)) => 3"
  (if (together?)
      (call-keeping-stack thunk
       (lambda (exception)
         (raise-exception (if (eq? exception told) exception (known-to-all exception)))))
      (thunk)))

(define (known-to-all exception)
  ;; What ends the work of all ranks, EXCEPTION having ended it on this one.
  (let ((failure (ranks-failure!)))
    (set! told
      (cond ((ranks-lost?)
             (format own-errors "tempera: rank ~a: another rank has died, or does not answer~%" (mpi-rank))
             exception)
            ((or (not failure) (= (first failure) (mpi-rank)))
             (tell! exception)
             exception)
            (else (raised (lambda ()
                            (if (zero? (second failure))
                                (complain 'mpi "rank ~a: ~a" (first failure) (third failure))
                                (raise-interrupt (second failure))))))))
    told))

(define (raised thunk)
  ;; The exception that ends THUNK.
  (with-exception-handler identity thunk #:unwind? #t))

(define (tell! exception)
  ;; Say at the others' next meeting what has happened; whether rank 0 knows of it then.
  (let* ((signal (or (interrupt-signal exception) 0))
         (heard? (ranks-fail! signal (if (zero? signal) (exception-words exception) "stopped"))))
    (ranks-failure!)
    heard?))

(define (report-failure exception print)
  "Call PRINT, a thunk that prints EXCEPTION, which ends this process, on one rank: rank 0, or one that rank 0 does not
hear."
  (cond ((first-rank?)
         (print)
         (unless (eq? exception told) (tell! exception)))
        ((not (or (eq? exception told) (tell! exception)))
         (current-error-port own-errors)
         (print))))

(define (call-on-first-rank thunk)
  "What THUNK, called on rank 0 when all have come here, returns there: a number, text, symbol or list of them.
Example: (call-on-first-rank (lambda () (+ 1 2))) => 3"
  (if (together?)
      (call-together
       (lambda ()
         (all-meet)
         (first (gather-data (and (first-rank?) (thunk))))))
      (thunk)))

(define (all-meet)
  "Return when all ranks have come here.
Example: (all-meet)"
  (when (together?) (call-together (lambda () (gather-data #t)))))

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

(define (call-sharing-batch share? thunk)
  "What THUNK returns, for which, with SHARE?, all ranks have parts of one batch: batch norm's statistics are those
of all of it.
Example: (call-sharing-batch #f (const 3)) => 3"
  (let ((before #f))
    (dynamic-wind
      (lambda () (set! before (ranks-share-batch! share?)))
      thunk
      (lambda () (ranks-share-batch! before)))))

(start-ranks!)
