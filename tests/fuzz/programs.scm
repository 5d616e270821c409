;;; programs.scm -- random programs on the tape and in scopes: with scopes, releases and escapes they
;;; give the gradients that they give without, or an error, and no crash.  See driver.scm.

(use-modules (driver)
             (srfi srfi-1)
             (ice-9 control)
             (tempera) (tempera tensor primitives))

(define (pick state items) (list-ref items (random (length items) state)))

;; All values are f32 (1 4 4 2), but for what an operation makes of them in passing.
(define shape '(1 4 4 2))
(define weights (random-normal '(3 3 2 2) 11))
(define (ones) (tensor+ 1 (tensor-zeros '(2))))
(define (zeros) (tensor-zeros '(2)))

(define operations
  `((relu ,relu 1) (leaky-relu ,(lambda (x) (leaky-relu x 0.1)) 1) (silu ,silu 1)
    (exp ,(lambda (x) (tensor-exp (tensor* 0.1 x))) 1) (square ,tensor-square 1) (tanh ,tensor-tanh 1)
    (add ,tensor+ 2) (sub ,tensor- 2) (mul ,tensor* 2) (max ,tensor-maximum 2)
    (convolve ,(lambda (x) (convolution x weights #f #f 1 1 1)) 1)
    (convolve-on ,(lambda (x y) (convolution x weights #f y 1 1 0.2)) 2)
    (pool ,(lambda (x) (upsample (max-pool x))) 1)
    (average ,(lambda (x) (upsample (average-pool x))) 1)
    (norm ,(lambda (x) (batch-normalisation x (list (ones) (zeros) (zeros) (ones)) #t 0.9 1e-5 0.1)) 1)
    (group ,(lambda (x) (group-normalisation x (ones) (zeros) #f 1 1e-5 #t)) 1)
    (shuffle ,(lambda (x) (pixel-shuffle (pixel-unshuffle x 2) 2)) 1)
    (sum ,(lambda (x) (tensor* x (tensor-sum x))) 1)
    (mean ,(lambda (x) (tensor- x (tensor-mean x))) 1)
    (slice ,(lambda (x) (tensor-concatenate (list (tensor-slice x 1 0 1) (tensor-slice x 1 1 4)) 1)) 1)
    (view ,(lambda (x) (tensor-reshape (tensor-reshape x '(32)) shape)) 1)
    (abs ,(lambda (x) (real-view (tensor* 0+i (complex-view x)))) 1)
    (fixed ,(lambda (x) (no-tape (lambda () (tensor* 2 x)))) 1)))

(define (make-program state size)
  ;; Statements: (OPERATION . WHICH), places of earlier values; (scope STATEMENTS), (escape STATEMENTS),
  ;; (release WHICH), (assign WHICH).
  (map (lambda (k)
         (define (which) (random 100 state))
         (case (if (> size 2) (random 14 state) 13)
           ((0 1 2) (list 'scope (make-program state (quotient size 2))))
           ((3) (list 'escape (make-program state (quotient size 2))))
           ((4) (list 'release (which)))
           ((5) (list 'assign (which)))
           (else (cons (pick state operations) (list (which) (which))))))
       (iota size)))

(define (run program values plain?)
  ;; The values after PROGRAM, the newest first; PLAIN?: no scopes, releases, escapes.
  (fold
   (lambda (statement values)
     (define (value k) (list-ref values (modulo k (length values))))
     (cond ((pair? (car statement))
            (cons (apply (second (car statement))
                         (map value (take (cdr statement) (third (car statement)))))
                  values))
           (else
            (case (car statement)
              ((scope) (cons (if plain?
                                 (first (run (second statement) values plain?))
                                 (with-scope (lambda () (first (run (second statement) values plain?)))))
                             values))
              ((escape) (cons (if plain?
                                  (first (run (second statement) values plain?))
                                  (let/ec out
                                    (with-scope (lambda () (out (first (run (second statement) values plain?)))))))
                              values))
              ((release) (unless plain? (release! (value (cadr statement)))) values)
              ((assign) (unless plain? (tensor-assign! (value (cadr statement)) (tensor-copy (value (cadr statement)))))
               values)))))
   values program))

(define (gradients-of program plain?)
  ;; Lists of numbers, or #f where an error of ours says why there are none.
  (let ((inputs (list (random-normal shape 1) (random-normal shape 2))))
    (catch 'tempera-error
      (lambda ()
        (call-with-values
            (lambda () (gradients (lambda () (tensor-mean (first (run program inputs plain?)))) inputs))
          (lambda (loss all) (map (lambda (g) (and g (tensor->list g))) all))))
      (const #f))))

(define (same? a b)
  (cond ((and (number? a) (number? b)) (or (= a b) (and (nan? a) (nan? b))))
        ((and (pair? a) (pair? b)) (and (same? (car a) (car b)) (same? (cdr a) (cdr b))))
        (else (equal? a b))))

(call-with-tries (command-line) "random programs" 400
  (lambda (state)
    (let ((program (make-program state (1+ (random 12 state)))))
      (values (format #f "~s" (let plain ((x program))
                                (cond ((procedure? x) '*) ((pair? x) (cons (plain (car x)) (plain (cdr x)))) (else x))))
              (lambda ()
                (let ((found (gradients-of program #f)) (expected (gradients-of program #t)))
                  (unless (or (not found) (same? found expected))
                    (end-different))))))))
