(define-module (tempera commands sweep) #:export (main summary))
(define summary "")(define (main a) #f)