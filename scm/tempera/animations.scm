(define-module (tempera animations))
