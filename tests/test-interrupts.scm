;;; test-interrupts.scm -- Ctrl-C in the middle of one primitive: it stops, and nothing is half done.
;;;
;;; Signals come a moment after a primitive begins, which takes much longer.

(use-modules (harness) (srfi srfi-1)
             (ice-9 binary-ports) (rnrs bytevectors)
             (tempera) (tempera base interrupts) (tempera tensor primitives))

(start-tests "interrupts")

(define (again count thunk) (do ((i 0 (1+ i))) ((= i count)) (thunk)))

(define (interrupted thunk)
  ;; `stopped', or what THUNK returns.
  (sigaction SIGALRM (lambda (signal) (raise-interrupt SIGINT)))
  (setitimer ITIMER_REAL 0 0 0 5000)
  (let ((value (catch 'signal thunk (const 'stopped))))
    (setitimer ITIMER_REAL 0 0 0 0)
    value))

(define (looks thunk)
  ;; How often a handler, which returns, is called while THUNK calls one primitive: without a look
  ;; inside of it once, at its end, since a signal that waits is not counted again.
  (define calls 0)
  (sigaction SIGALRM (lambda (signal) (set! calls (1+ calls))))
  (setitimer ITIMER_REAL 0 1000 0 1000)
  (with-scope (lambda () (thunk) #t))
  (setitimer ITIMER_REAL 0 0 0 0)
  calls)

(define-syntax-rule (test-looks name expression)
  (begin
    ;; Of several times, since a thread that is not let run does not look.
    (test-assert (string-append name ": looks") (any (lambda (k) (>= (looks (lambda () expression)) 2)) (iota 10)))
    (test-eq (string-append name ": stops") 'stopped
             (interrupted (lambda () (with-scope (lambda () expression)))))
    (test-equal (string-append name ": the next line works") '(3.0 4.0)
                (tensor->list (tensor+ (list->tensor '(1 2)) 2)))))

(define big (tensor-broadcast (tensor-zeros '(1)) '(200000000))) ; which takes no memory
(define x (random-normal '(32 256 256 32) 1))
(define (weights side) (random-normal (list side side 32 32) 2))
(define (convolve images weights)
  (convolution images weights #f #f 1 (quotient (tensor-size weights 0) 2) 1))

(test-looks "elementwise" (tensor-exp big))
(test-looks "quantile" (tensor-quantile (tensor-reshape x '(4194304 16)) 0.3 1))
(test-looks "random" (random-normal '(50000000) 1))
(test-looks "Sobol" (sobol-sequence 8000000 20))
(let ((m (tensor-zeros '(4000 4000))))
  (test-looks "matrix product" (matrix-product m m)))
(test-looks "FFT" (mri-forward (tensor-zeros '(64 512 512) 'c64) (tensor-zeros '(512 512))))
(test-looks "convolution 3" (convolve x (weights 3)))
(test-looks "convolution 5" (convolve x (weights 5)))
(test-looks "attention" (self-attention (random-normal '(2 96 96 192) 1) 4))

;; What is kept with weights is not of a call that was stopped.
(let ((w (weights 3)) (small (random-normal '(1 8 8 32) 3)))
  (define (result) (tensor->list (convolve small w)))
  (test-eq "stopped while weights are new" 'stopped
    (interrupted (lambda () (again 20 (lambda () (with-scope (lambda () (convolve x w))))))))
  (test-equal "the same weights" (tensor->list (convolve small (tensor-copy w))) (result)))

;; Running statistics stay as they were, gradients too.
(let* ((parameters (list (tensor+ 1 (tensor-zeros '(32))) (tensor-zeros '(32)) (tensor-zeros '(32))
                         (tensor+ 1 (tensor-zeros '(32)))))
       (before (map tensor->list parameters)))
  (interrupted (lambda () (again 20 (lambda () (batch-normalisation x parameters #t 1.0 1e-5 1)))))
  (test-equal "batch norm" before (map tensor->list parameters)))
(let ((w (require-gradient! (weights 3))))
  (test-eq "backward" 'stopped
    (interrupted
     (lambda ()
       (again 20 (lambda ()
                   (with-scope
                    (lambda ()
                      (let ((tape (make-tape)))
                        (tape-backward! tape (with-tape tape (lambda () (tensor-sum-squares (convolve x w)))))
                        (clear-gradient! w)))))))))
  (test-assert "no part of a gradient" (not (tensor-gradient w))))

;; In place, all or nothing; and what holds signals off is not stopped.
(let ((y (tensor-zeros '(100000000))) (one (tensor+ 1 (tensor-zeros '(100000000)))))
  (define (ends) (list (tensor-element y '(0)) (tensor-element y '(50000000)) (tensor-element y '(99999999))))
  (interrupted (lambda () (tensor-axpby! 1 one 1 y)))
  (test-assert "axpby" (member (ends) '((0.0 0.0 0.0) (1.0 1.0 1.0))))
  (interrupted (lambda () (tensor-assign! y 7)))
  (test-assert "assign" (apply = (ends)))
  (let ((done? #f))
    (interrupted (lambda ()
                   (call-with-blocked-asyncs
                    (lambda () (with-scope (lambda () (tensor-exp big))) (set! done? #t)))))
    (test-assert "held off" done?)))

;; Files.
(call-with-temporary-directory
 (lambda (folder)
   (define path (string-append folder "/a.npy"))
   (save-npy path (list->tensor '(1 2)))
   (interrupted (lambda () (save-npy path (tensor-zeros '(100000000)))))
   (test-assert "whole, or as it was" (member (tensor-shape (load-npy path)) '((2) (100000000))))
   (test-equal "nothing is left" '("a.npy")
     ((@ (ice-9 ftw) scandir) folder (lambda (name) (not (string-prefix? "." name)))))))

(finish-tests)
