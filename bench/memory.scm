;;; memory.scm -- what a process that trains holds at most.
;;;
;;; Three training steps of paper-unet on one image of 320 x 320; prints the bytes that
;;; the process held at most, and those before the first step.

(use-modules (tempera))

(define (peak-bytes)
  (assq-ref (process-memory) 'peak))

(let* ((before (peak-bytes))
       (net (score-network '(paper-unet) #:parametrisation 'paper))
       (x (random-normal '(1 320 320 2) 1))
       (trainer (make-trainer net (lambda (count step) x)
                              #:averaging #f #:clip #f #:steps 1000000)))
  (train! trainer #:steps 3 #:every 1000000000)
  (format #t "~a ~a~%" (peak-bytes) before))
