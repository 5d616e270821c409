;;; test-memory.scm -- memory stays what it is: at a prompt, and while chains are annealed.
;;;
;;; The resident set, from /proc/self/statm, after a first part of the work (pools and the
;;; collector's heap find their size) and after the rest of it.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 rdelim)
             (tempera))

(start-tests "memory")

;; Expressions for either process.  The collector takes its heap into use bit by bit until it
;; first collects, which is not growth.
(define fill-heap
  '(do ((i 0 (1+ i))) ((= i 400) (gc)) (make-vector 100000 i)))
(define resident-pages
  ;; (Tensors go back to the pool by finalizers, which have a thread of their own.)
  '(begin
     (gc)
     (usleep 100000)
     (gc)
     (usleep 100000)
     (memory-trim!)
     (let ((text (call-with-input-file "/proc/self/statm" (@ (ice-9 rdelim) read-line))))
       (string->number (cadr (string-tokenize text))))))

(define (check-growth name before after)
  (let ((growth (/ (round (* 1e4 (- (/ after before) 1))) 100)))
    (test-assert (format #f "~a: from ~a to ~a pages, ~a %" name before after growth)
      (< growth 2))))

(define (here expression)
  (eval expression (current-module)))

(define (check-annealing)
  ;; 2,000 steps, after 500.
  (let* ((prior (gaussian-prior (power-spectrum '(16 16) #:amplitude 100)))
         (op (mri-operator #:mask (random-mask 16 #:acceleration 4 #:seed 1)))
         (scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(16 16)))
         (target (posterior prior op (measure op scan #:noise 0.1 #:seed 2) #:noise 0.1))
         (go (lambda (count)
               (resume! (start-chain target #:chains 4 #:transitions-per-temperature 1
                                     #:trajectory-length 2
                                     #:temperatures (linear 100 #:until 0.05 #:count count)))
               #t)))
    (here fill-heap)
    (go 500)
    (let ((before (here resident-pages)))
      (go 2000)
      (check-growth "annealing" before (here resident-pages)))))

(define (check-prompt directory)
  ;; 10,000 evaluations that make tensors, after as many; and 3,000 that make a procedure, of
  ;; which Guile would keep each one's code.
  (let ((input (string-append directory "/input")))
    (setenv "XDG_STATE_HOME" directory)
    (call-with-output-file input
      (lambda (port)
        (define (evaluate count expression)
          (do ((i 0 (1+ i))) ((= i count)) (format port "~s~%" expression)))
        (define (tell)
          (format port "(format #t \"~~%pages ~~a~~%\" ~s)~%" resident-pages))
        (evaluate 1 fill-heap)
        (evaluate 10000 '(define x (tensor* 2 (tensor-zeros '(64 64)))))
        (tell)
        (evaluate 10000 '(define x (tensor* 2 (tensor-zeros '(64 64)))))
        (tell)
        (evaluate 3000 '(define f (lambda (x) (* 2 x))))
        (evaluate 1 '(begin (newline) (display (f 21)) (newline)))))
    (let* ((pipe (open-input-pipe (string-append "tempera <" input " 2>&1")))
           (lines (let loop ((lines '()))
                    (let ((line (read-line pipe)))
                      (if (eof-object? line) (reverse lines) (loop (cons line lines))))))
           (pages (filter-map (lambda (line)
                                (and (string-prefix? "pages " line)
                                     (string->number (substring line 6))))
                              lines)))
      (test-equal "the prompt ends well" 0 (status:exit-val (close-pipe pipe)))
      (test-assert "and was there to the end" (member "42" lines))
      (test-equal "it tells twice" 2 (length pages))
      (when (= 2 (length pages))
        (check-growth "the prompt" (first pages) (second pages))))))

(if (file-exists? "/proc/self/statm")
    (begin
      (check-annealing)
      (call-with-temporary-directory check-prompt))
    (test-assert "no /proc: nothing to see" #t))

(finish-tests)
