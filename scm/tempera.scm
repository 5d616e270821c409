;;; tempera.scm -- everything that a user calls, in one module.

(define-module (tempera))

(let ((face (module-public-interface (current-module))))
  (for-each
   (lambda (name)
     ;; Into the interface itself, so that (use-modules ((tempera) #:select ...))
     ;; finds it too.
     (module-for-each (lambda (name variable) (module-add! face name variable))
                      (resolve-interface `(tempera ,name))))
   '(calibration
     calibration-report
     charts
     colours
     compressed-sensing
     data
     diagnostics
     documentation
     errors
     experiments
     figures
     files
     help
     images
     layers
     masses
     networks
     numbers
     operators
     plug-and-play
     preview
     primitives
     priors
     profile
     progress
     reconstruction
     samplers
     sampling
     schedules
     targets
     tensors
     training)))
