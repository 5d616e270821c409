;;; test-priors.scm -- the funnel against its integral, taken otherwise.

(use-modules (harness)
             (tempera)
             (srfi srfi-1))

(start-tests "priors")

(define pi (acos -1))
(define funnel (funnel-prior #:dimension 4))

;;; --- The funnel -------------------------------------------------------------------------

(define (normal-log x variance)
  (* -1/2 (+ (log (* 2 pi variance)) (/ (* x x) variance))))

(define (refined-log-density state sd sigma)
  ;; log of the integral over v of N(v; 0, sd^2) N(v'; v, sigma^2) prod N(x'; 0, e^v + sigma^2),
  ;; by the trapezium rule with the step halved until nothing changes.
  (let* ((v1 (car state)) (n2 (* sigma sigma))
         (value (lambda (v)
                  (+ (normal-log v (* sd sd)) (normal-log (- v1 v) n2)
                     (apply + (map (lambda (x) (normal-log x (+ (exp v) n2))) (cdr state))))))
         (low -60.) (high 60.)
         (by-step (lambda (count)
                    (let* ((h (/ (- high low) count))
                           (values (map (lambda (i) (value (+ low (* h i)))) (iota (1+ count))))
                           (most (apply max values)))
                      (+ most (log (* h (apply + (map (lambda (l) (exp (- l most))) values)))))))))
    (let loop ((count 500) (before +inf.0))
      (let ((now (by-step count)))
        (if (< (abs (- now before)) 1e-11)
            now
            (loop (* 2 count) now))))))

(define states
  '((0 0 0 0) (0 1 -1 0.5) (-4 0.1 0.2 -0.1) (5 10 -12 3) (3 0.01 0 0) (-9 0.01 -0.02 0.01)
    (-3 4 4 -4) (8 100 -50 20)))

(for-each
 (lambda (sigma)
   (for-each
    (lambda (state)
      (let ((expected (refined-log-density state 3 sigma)))
        (test-approximate (format #f "density at ~a, sigma ~a" state sigma) expected
          (vector-ref (log-density funnel (list->tensor state '(1 4)) sigma) 0)
          ;; States are in float32, which is where they are.
          (* 1e-6 (max 1 (abs expected))))))
    states))
 '(0.1 1 10 100))

(test-approximate "without noise, the funnel's own density"
  (+ (normal-log 1 9) (apply + (map (lambda (x) (normal-log x (exp 1))) '(0.5 -2 3))))
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 0) 0) 1e-9)
(test-approximate "with hardly any noise, too"
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 0) 0)
  (vector-ref (log-density funnel (list->tensor '(1 0.5 -2 3) '(1 4)) 1e-5) 0) 1e-6)
;; In 2 dimensions with sd 1, by another formula: at v' = x' = 0 and sigma = 0, 1 / (2 pi).
(test-approximate "another width" (- (log (* 2 pi)))
  (vector-ref (log-density (funnel-prior #:dimension 2 #:sd 1) (tensor-zeros '(1 2)) 0) 0) 1e-9)

;; The score along each axis: central differences, whose error is h^2 / 6 of the third
;; derivative, with a step that float32 holds exactly.
(define (slope state axis sigma)
  (let* ((h (expt 2. -8))
         (moved (lambda (d)
                  (list->tensor (map (lambda (x i) (if (= i axis) (+ x d) x)) state (iota 4)) '(1 4))))
         (at (lambda (d) (vector-ref (log-density funnel (moved d) sigma) 0))))
    (/ (- (at h) (at (- h))) (* 2 h))))

(for-each
 (lambda (sigma)
   (for-each
    (lambda (state)
      (let ((score (tensor->list (score funnel (list->tensor state '(1 4)) sigma))))
        (for-each (lambda (axis)
                    (test-approximate (format #f "score at ~a along ~a, sigma ~a" state axis sigma)
                      (slope state axis sigma) (list-ref score axis)
                      (* 2e-4 (max 1 (abs (list-ref score axis))))))
                  '(0 1 2 3))))
    '((0 1 -1 0.5) (-1 0.5 0.25 -0.5) (5 10 -12 3) (3 0 0.5 0))))
 '(0 0.5 3 30))

(let* ((x (list->tensor (concatenate states) '(8 4)))
       (sigmas '(0.1 0.2 0.5 1 2 5 10 100))
       (together (log-density funnel x (list->tensor sigmas)))
       (scores (score funnel x (list->tensor sigmas))))
  (for-each (lambda (c sigma)
              (let ((one (tensor-copy (tensor-slice x 0 c (1+ c)))))
                (test-approximate "a sigma for each chain" (vector-ref (log-density funnel one sigma) 0)
                  (vector-ref together c) (* 1e-6 (abs (vector-ref together c))))
                (test-assert "and its score"
                  (< (tensor->number
                      (tensor-max (tensor-abs (tensor- (score funnel one sigma)
                                                       (tensor-slice scores 0 c (1+ c))))))
                     1e-4))))
            (iota 8) sigmas)
  (let ((before (threads)))
    (set-threads! 1)
    (let ((one (score funnel x 0.3)))
      (set-threads! 2)
      (test-assert "1 and 2 threads, the same bits" (tensor-identical? one (score funnel x 0.3))))
    (set-threads! before)))

;; Draws: v has standard deviation 3, x exp (-v / 2) is normal.
(let* ((draws (prior-draw funnel 4000 #:seed 1))
       (v (tensor-slice draws 1 0 1))
       (z (tensor* (tensor-slice draws 1 1 4) (tensor-exp (tensor* -1/2 v))))
       (square (lambda (t) (tensor->number (tensor-mean (tensor-square t))))))
  (test-approximate "v of draws" 9 (square v) (* 4 9 (sqrt (/ 2 4000.))))
  (test-approximate "x of draws" 1 (square z) (* 4 (sqrt (/ 2 12000.)))))

;; Annealed to where the noise is small: v, the hard one, is N(0, 9).
(let* ((chain (anneal (prior-target (funnel-prior #:dimension 2)) #:chains 400 #:seed 4
                      #:temperatures (geometric 30 #:ratio 0.85 #:until 0.3)
                      #:trajectory-length '(4 7) #:steps-per-temperature 2
                      #:step-size (lambda (sigma) (* 0.4 sigma))))
       (v (tensor-slice (chain-samples chain) 1 0 1)))
  (test-approximate "the mean of v" 0 (tensor->number (tensor-mean v)) (* 4 3 (sqrt (/ 400.))))
  (test-approximate "its variance" 9 (tensor->number (tensor-mean (tensor-square v)))
    (* 4 9 (sqrt (/ 2 400.)))))

(test-error-matching "dimension" "dimension: expected an integer of 2 or more" (funnel-prior #:dimension 1))
(test-error-matching "sd" "sd: expected a positive number, 4 at most" (funnel-prior #:sd 5))
(test-error-matching "state" "x: expected states of 4 numbers" (score funnel (tensor-zeros '(1 3)) 1))
(test-error-matching "no batch" "x: expected a batch of chains" (score funnel (tensor-zeros '(4)) 1))
(test-error-matching "complex" "x: " (score funnel (tensor-zeros '(1 4) 'c64) 1))
(test-error-matching "sigma" "sigma" (score funnel (tensor-zeros '(1 4)) 'hot))
(test-error-matching "sigmas" "sigma" (score funnel (tensor-zeros '(1 4)) (list->tensor '(1 2))))
(test-assert "what is no number has no density"
  (nan? (vector-ref (log-density funnel (tensor* (/ 0. 0.) (random-normal '(1 4) 1)) 1) 0)))

(finish-tests)
