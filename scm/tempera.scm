;;; tempera.scm -- everything that a user calls, in one module.

(define-module (tempera))

(for-each
 (lambda (name)
   (module-use! (module-public-interface (current-module))
                (resolve-interface `(tempera ,name))))
 '(errors experiments progress))
