;;; tempera.scm -- everything that a user calls, in one module.

(define-module (tempera))

(let ((face (module-public-interface (current-module))))
  (for-each
   (lambda (name)
     ;; Into the interface itself, so that (use-modules ((tempera) #:select ...))
     ;; finds it too.
     (module-for-each (lambda (name variable) (module-add! face name variable))
                      (resolve-interface `(tempera ,name))))
   '(animations
     calibration
     calibration-report
     charts
     colours
     comparison
     compressed-sensing
     conditional
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
     measurements
     networks
     numbers
     operators
     pairs
     plots
     plug-and-play
     points
     preview
     primitives
     priors
     profile
     progress
     reconstruction
     report
     reruns
     runs
     samplers
     sampling
     schedules
     show
     sweeps
     table-charts
     tables
     targets
     tensors
     training
     training-runs
     updnet
     vae
     watch
     workers)))
