;;; user-module.scm -- where a script or the prompt defines its names.

(define-module (tempera base user-module)
  #:use-module (tempera base evaluation)
  #:export (user-module))

(define (user-module)
  "The module in which a script or the prompt defines its names: Guile's core
and everything of (tempera), and lists' `fold', `append-map', `last' and so on (SRFI 1).
Example: (module-ref (user-module) 'anneal)"
  (let ((module (resolve-module '(tempera-user))))
    (beautify-user-module! module)
    (module-use! module (resolve-interface '(tempera)))
    (module-use! module (resolve-interface '(srfi srfi-1)))
    ;; In place of Guile's, which is found first.
    (module-add! module 'load (module-variable (resolve-module '(tempera base evaluation)) 'load))
    module))
