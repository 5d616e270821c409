;;; primitives.scm -- what is written in C, under its Scheme names.
;;;
;;; The extension registers every primitive with its argument names and its
;;; documentation, and exports it from here.

(define-module (tempera tensor primitives)
  #:use-module ((ice-9 threads) #:select (current-processor-count))
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors))

(eval-when (expand load eval)
  ;; OpenBLAS takes 128 MB of addresses for each of its threads as it is loaded; where a limit leaves no
  ;; room for them it would wait for ever.  The collector's heap begins with 256 MB (guile/module.c); where it has less
  ;; Guile aborts now and then.
  (call-with-values (lambda () (getrlimit 'as))
    (lambda (limit most)
      (when limit
        (let* ((threads (or (string->number (or (getenv "OPENBLAS_NUM_THREADS") "")) (current-processor-count)))
               (pages (call-with-input-file "/proc/self/statm" read))
               (left (- limit (* pages 4096)))
               (needed (* (+ 256 (* (1+ threads) 130)) (expt 2 20))))
          (check-that (>= left needed) "tempera"
                      "the limit of memory (ulimit -v) leaves ~a MB, and ~a are needed to begin with; raise it, or set \
OPENBLAS_NUM_THREADS=1"
                      (quotient left (expt 2 20)) (quotient needed (expt 2 20)))))))
  (load-extension "libtempera" "tempera_init"))

(document
 (<tensor>
  "The class of tensors, for methods of your own.")
 (<tape>
  "The class of tapes, for methods of your own."))
