(define-module (tempera terminal))
