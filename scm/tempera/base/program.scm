;;; program.scm -- which program this is: its version, and how it was started.

(define-module (tempera base program)
  #:export (tempera-version started-as))

(define tempera-version "0.2.0")

(define started-as
  ;; The command line of this process, as typed: a script sees another in `(command-line)'.
  (make-parameter (command-line)))
