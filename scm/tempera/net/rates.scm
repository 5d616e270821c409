;;; rates.scm -- learning rates over the course of a training.
;;;
;;; A rate is a procedure of the step, from 0, and the number of steps of the whole training.

(define-module (tempera net rates)
  #:use-module (tempera base documentation)
  #:export (constant-rate warmup-cosine warmup-stable-decay))

(define (constant-rate rate)
  "RATE at every step: the paper's 1e-4.
Example: ((constant-rate 1e-4) 10 100) => 1e-4"
  (described (lambda (step steps) rate) (format #f "~a" rate)))

(define* (warmup-cosine rate #:key (warmup 200) (floor 0.01))
  "Up linearly over WARMUP steps to RATE, then down a cosine to FLOOR times it.
Example: ((warmup-cosine 1e-3) 0 1000)"
  (described
   (lambda (step steps)
     (if (< step warmup)
         (* rate (/ (+ step 1.0) warmup))
         (let ((t (/ (- step warmup) (max 1.0 (- steps warmup)))))
           (* rate (+ floor (* (- 1 floor) 0.5 (+ 1 (cos (* 3.141592653589793 t)))))))))
   (format #f "~a (warm-up ~a, cosine to ~a of it)" rate warmup floor)))

(define* (warmup-stable-decay rate #:key (warmup 200) (decay 0.25) (floor 0.01))
  "Up over WARMUP steps to RATE, which holds; over the last DECAY of the run it falls
linearly to FLOOR times it.  A run made longer goes on from the steady part.
Example: ((warmup-stable-decay 5e-4) 500 1000) => 5e-4"
  (described
   (lambda (step steps)
     (let ((fall (* steps (- 1 decay))))
       (cond ((< step warmup) (* rate (/ (+ step 1.0) warmup)))
             ((< step fall) rate)
             (else (* rate (max floor (/ (- steps step) (max 1.0 (* decay steps)))))))))
   (format #f "~a (warm-up ~a, decay ~a to ~a of it)" rate warmup decay floor)))
