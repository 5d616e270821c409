;;; x
(define-module (tempera points))
