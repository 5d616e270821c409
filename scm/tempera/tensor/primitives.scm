;;; primitives.scm -- what is written in C, under its Scheme names.
;;;
;;; The extension registers every primitive with its argument names and its
;;; documentation, and exports it from here.

(define-module (tempera tensor primitives)
  #:use-module (tempera base documentation))

(eval-when (expand load eval)
  (load-extension "libtempera" "tempera_init"))

(document
 (<tensor>
  "The class of tensors, for methods of your own.")
 (<tape>
  "The class of tapes, for methods of your own."))
