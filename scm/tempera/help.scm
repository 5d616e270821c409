(define-module (tempera help))
