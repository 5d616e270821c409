;;; program.scm -- which program this is: its version, and how it was started.

(define-module (tempera base program)
  #:use-module (srfi srfi-1)
  #:export (tempera-version started-as rank-marks rank?))

(define tempera-version "0.2.0")

(define started-as
  ;; The command line of this process, as typed: a script sees another in `(command-line)'.
  (make-parameter (command-line)))

(define rank-marks
  ;; What Open MPI's mpirun, that of MPICH, and srun set for the processes that they start.
  '("OMPI_COMM_WORLD_SIZE" "PMI_SIZE" "PMI_RANK" "PMIX_RANK"))

(define (rank?)
  "Whether mpirun or srun has started this process, as one of several that compute together.
Example: (rank?) => #f"
  (and (any getenv rank-marks) #t))
