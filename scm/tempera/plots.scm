(define-module (tempera plots))
