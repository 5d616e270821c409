(define-module (tempera watch))
