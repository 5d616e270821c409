;;; x
(define-module (tempera sweeps))
