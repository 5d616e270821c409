(define-module (tempera show))
