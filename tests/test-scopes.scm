;;; test-scopes.scm -- what scopes release and what they leave, and what C holds while it calls.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 control)
             (tempera) (tempera tensor primitives))

(start-tests "scopes")

(define (depth)
  (let ((depth (scope-open!)))
    (scope-close! depth #t)
    (1- depth)))

(define (live)
  (gc)
  (usleep 50000)                        ; finalizers have a thread of their own
  (gc)
  (usleep 50000)
  (assq-ref (memory-usage) 'live))

;;; --- Ways out of a scope ------------------------------------------------------

(define (escaping make)
  ;; What MAKE, called with a way out, hands to it.
  (let/ec out (make out)))

(define two (list->tensor '(1 2) '(1 2)))
(define minus (lambda (x) (tensor* -1 x)))

(define ways-out
  `(("with-scope" . ,(lambda (out) (with-scope (lambda () (out (tensor* two 2))))))
    ("scopes in scopes" . ,(lambda (out)
                             (with-scope (lambda () (with-scope (lambda () (out (tensor* two 2))))))))
    ("trajectory" . ,(lambda (out)
                       (trajectory 'leapfrog (lambda (x) (out (tensor* two 2))) two two (minus two) 0.1 3 #f)))
    ("a mass" . ,(lambda (out)
                   (trajectory 'leapfrog minus two two (minus two) 0.1 3 (lambda (m) (out (tensor* two 2))))))
    ("conjugate-gradient" . ,(lambda (out)
                               (conjugate-gradient (lambda (x) (out (tensor* two 2))) two 3 1e-6)))
    ("path-integral" . ,(lambda (out)
                          (path-integral (lambda (x) (out (tensor* two 2))) two (minus two)
                                         (tensor* 2 two) (tensor* -2 two) 4)))))

(for-each
 (lambda (way)
   (let ((value (escaping (cdr way))))
     (test-equal (string-append (car way) ": an escape closes it") 0 (depth))
     (test-assert (string-append (car way) ": what is carried out is alive") (tensor-alive? value))
     (when (tensor-alive? value)
       (test-equal (string-append (car way) ": and whole") '(2. 4.) (tensor->list value)))))
 ways-out)

(test-error-matching "an error closes it" "tensor: expected"
  (with-scope (lambda () (with-scope (lambda () (tensor-sum 'x))))))
(test-equal "an error closes it" 0 (depth))

;; Left and entered again: each time the scope is a new one.
(let ((resume #f) (tag (make-prompt-tag)))
  (define (yield) (abort-to-prompt tag))
  (define (start thunk)
    (call-with-prompt tag thunk (lambda (continue) (set! resume continue) 'yielded)))
  (test-eq "left" 'yielded
    (start (lambda () (with-scope (lambda () (let ((x (tensor* two 3))) (yield) (tensor+ x two)))))))
  (test-equal "closed meanwhile" 0 (depth))
  (test-equal "entered again" '(4. 8.)
    (tensor->list (call-with-prompt tag (lambda () (resume)) (lambda (continue) #f))))
  (test-equal "closed at the end" 0 (depth)))

;; The collector is told of what an escape leaves to it: 400 times 4 MB are not all there at once.
(let ((before (live)) (x (tensor-zeros '(1024 1024))))
  (do ((i 0 (1+ i))) ((= i 400))
    (escaping (lambda (out) (with-scope (lambda () (out (tensor+ x 1))))))
    (escaping (lambda (out)
                (trajectory 'leapfrog (lambda (x) (out (tensor+ x 1))) x x x 0.1 3 #f))))
  (let ((most (assq-ref (memory-usage) 'live)))
    (test-assert (format #f "escapes in a loop: ~a MB" (quotient most 1000000))
      (< most (+ before (* 1000 1024 1024))))))
(test-assert "and in the end nothing is left" (< (live) (* 64 1024 1024)))

;;; --- What C reads while it calls ------------------------------------------------

(define (releasing procedure)
  ;; PROCEDURE, which also releases all that it gets, and what it returned before.
  (let ((last #f))
    (lambda (x)
      (let ((value (procedure x)))
        (release! x)
        (when last (release! last))
        (set! last value)
        value))))

(define (numbers . values)
  (map (lambda (value) (if (tensor? value) (tensor->list value) value)) values))

(define-syntax-rule (test-same name expected expression)
  (test-equal name (call-with-values (lambda () expected) numbers)
    (call-with-values (lambda () expression) numbers)))

(test-same "conjugate-gradient"
  (conjugate-gradient (lambda (x) (tensor* x 2)) two 3 1e-6)
  (conjugate-gradient (releasing (lambda (x) (tensor* x 2))) two 3 1e-6))
(let ((b (tensor-copy two)))
  (test-same "conjugate-gradient, b released"
    (conjugate-gradient (lambda (x) (tensor* x 2)) two 3 1e-6)
    (conjugate-gradient (lambda (x) (when (tensor-alive? b) (release! b)) (tensor* x 2)) b 3 1e-6)))
(for-each
 (lambda (mass)
   (test-same "trajectory"
     (trajectory 'leapfrog minus two two (minus two) 0.1 5 mass)
     (trajectory 'leapfrog (releasing minus) two two (minus two) 0.1 5
                 (if (procedure? mass) (releasing mass) mass)))
   (let ((all (map tensor-copy (list two two (minus two)))))
     (test-same "trajectory, its arguments released"
       (trajectory 'leapfrog minus two two (minus two) 0.1 5 mass)
       (apply trajectory 'leapfrog
              (lambda (x)
                (for-each (lambda (t) (when (tensor-alive? t) (release! t))) all)
                (minus x))
              (append all (list 0.1 5 mass))))))
 (list #f (lambda (m) (tensor* m 0.5))))
(let ((table (list->tensor '(2 3 4 5) '(2 2))) (copy (list->tensor '(2 3 4 5) '(2 2)))
      (two (list->tensor '(1 2 3+i 4) '(1 2 2))))
  (test-same "trajectory, its mass released"
    (trajectory 'leapfrog minus two two (minus two) 0.1 5 table)
    (trajectory 'leapfrog (lambda (x) (when (tensor-alive? copy) (release! copy)) (minus x))
                two two (minus two) 0.1 5 copy)))
(let ((all (map tensor-copy (list two (minus two) (tensor* 2 two) (tensor* -2 two)))))
  (test-same "path-integral"
    (path-integral minus two (minus two) (tensor* 2 two) (tensor* -2 two) 4)
    (apply path-integral
           (lambda (x)
             (for-each (lambda (t) (when (tensor-alive? t) (release! t))) all)
             ((releasing minus) x))
           (append all '(4)))))

;; A score of a target gets the state of a chain.
(define (target-of score)
  (make-target "normal" #:shape '(2) #:dtype 'f32 #:score score))
(define (normal-score x sigma)
  (tensor* (/ -1 (+ 1 (* sigma sigma))) x))
(define (samples score)
  (tensor->list
   (chain-samples (anneal (target-of score) #:chains 3 #:seed 1 #:mass 'identity #:step-size 0.1
                          #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5)))))
(test-equal "a score that releases x takes it from no chain" (samples normal-score)
  (samples (lambda (x sigma)
             (let ((g (normal-score x sigma))) (release! x) g))))

;;; --- Backward ---------------------------------------------------------------------

;; The results of large norms are computed anew for the gradient, from what may be gone too.
(define (norm-parameters c)
  (list (tensor+ 1 (tensor-zeros (list c))) (tensor-zeros (list c)) (tensor-zeros (list c))
        (tensor+ 1 (tensor-zeros (list c)))))
(for-each
 (lambda (name norm)
   (test-error-matching name "this tensor was released"
     (let ((x (random-normal '(4 128 128 32) 1)))
       (gradients (lambda ()
                    (with-scope
                     (lambda ()
                       (let* ((y (norm (tensor* 2 x))) (loss (tensor-sum-squares y)))
                         (release! y)
                         loss))))
                  (list x)))))
 '("batch norm" "group norm")
 (list (lambda (x) (batch-normalisation x (norm-parameters 32) #t 0.9 1e-5 1))
       (lambda (x) (group-normalisation x (tensor+ 1 (tensor-zeros '(32))) (tensor-zeros '(32)) #f 4 1e-5 #t))))

(finish-tests)
