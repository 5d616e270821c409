;;; mpirun.scm -- several ranks on this machine, for tests.
;;;
;;; Nothing leaves the machine.  The variables allow Open MPI to run for root, and to start more processes than there
;;; are cores; others do not know them.

(define-module (mpirun)
  #:use-module (srfi srfi-1)
  #:use-module (tempera)
  #:export (no-ranks on-ranks))

(define built?
  (any (lambda (folder) (file-exists? (string-append folder "/libtempera-mpi.so")))
       (string-split (or (getenv "GUILE_EXTENSIONS_PATH") "") #\:)))

(define no-ranks
  ;; Why there are none here, or #f.
  (cond ((not (program-exists? "mpirun")) "there is no mpirun")
        ((not built?) "built without MPI")
        (else #f)))

(define settings
  '("OMPI_ALLOW_RUN_AS_ROOT=1" "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1" "OMPI_MCA_rmaps_base_oversubscribe=1"
    "OMPI_MCA_hwloc_base_binding_policy=none" "OMPI_MCA_btl=self,vader,tcp" "OMPI_MCA_btl_tcp_if_include=lo"
    "OMPI_MCA_oob_tcp_if_include=lo" "HYDRA_IFACE=lo" "TEMPERA_THREADS=1"))

(define (on-ranks count . words)
  "The words of a shell's command that runs WORDS on COUNT ranks; with 0 without mpirun."
  `("env" ,@settings "timeout 120" ,@(if (zero? count) '() (list "mpirun -n" (number->string count))) ,@words))
