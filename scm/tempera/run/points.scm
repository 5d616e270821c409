;;; points.scm -- settings to try: grids, random and Sobol points.
;;;
;;; A point is an association list of an experiment's parameters.  Several points are a list, so that
;;; `append', `filter' and the like work on them.  A range is a list to choose from, or a procedure
;;; that turns a number in [0, 1) into a value; random and Sobol points differ only in those
;;; numbers.

(define-module (tempera run points)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor tensors)
  #:export (grid random-points sobol-points uniform log-uniform integers check-points))

(define (ranges who arguments)
  ;; ARGUMENTS, keywords and what follows each, as pairs.
  (let loop ((rest arguments) (pairs '()))
    (cond ((null? rest)
           (check-that (pair? pairs) who "expected a parameter such as #:step-size and its values")
           (reverse pairs))
          ((and (keyword? (car rest)) (pair? (cdr rest)))
           (let ((name (keyword->symbol (car rest))))
             (check-that (not (assq name pairs)) who "#:~a comes twice" name)
             (loop (cddr rest) (cons (cons name (cadr rest)) pairs))))
          (else (complain who "expected a parameter such as #:step-size and its values, got ~s"
                          rest)))))

(define (grid . parameters)
  "Every combination of PARAMETERS, keywords each with a list of values; the last one changes
fastest.
Example: (grid #:norm '(0 1) #:seed '(1 2)) => (((norm . 0) (seed . 1)) ((norm . 0) (seed . 2)) ((norm . 1) (seed . 1)) ((norm . 1) (seed . 2)))"
  (let loop ((pairs (ranges 'grid parameters)))
    (if (null? pairs)
        '(())
        (let ((name (caar pairs)) (values (cdar pairs)) (others (loop (cdr pairs))))
          (check-that (and (list? values) (pair? values)) 'grid
                      "~a: expected a list of values, got ~s" name values)
          (append-map (lambda (value)
                        (map (lambda (point) (cons (cons name value) point)) others))
                      values)))))

(define (check-count who count)
  (check-that (and (exact-integer? count) (< 0 count 1000000)) who
              "count: expected an integer from 1 to 999999, got ~s" count))

(define (points-of who numbers count pairs)
  ;; COUNT points of the ranges PAIRS at NUMBERS, a tensor (COUNT ranges).
  (let ((from-number
         (map (lambda (pair)
                (let ((range (cdr pair)))
                  (cond ((procedure? range) range)
                        ((and (list? range) (pair? range))
                         (lambda (u) (list-ref range (floor-index u (length range)))))
                        (else (complain who "~a: expected a range such as (uniform 0 1) or a list \
of values, got ~s" (car pair) range)))))
              pairs)))
    (map (lambda (i)
           (map (lambda (pair of k) (cons (car pair) (of (tensor-ref numbers i k))))
                pairs from-number (iota (length pairs))))
         (iota count))))

(define (floor-index u n)
  (min (1- n) (inexact->exact (floor (* u n)))))

(define* (random-points count #:key (seed 0) #:allow-other-keys #:rest arguments)
  "COUNT points at random, the same for the same SEED: every other keyword is a parameter with its
range, `uniform', `log-uniform', `integers' or a list of values.  (SEED is that of the points; for
one of the experiment, use `grid' or a point of your own.)
Example: (random-points 24 #:seed 1 #:exponent (uniform 0.5 2) #:size (log-uniform 0.1 10))"
  (check-count 'random-points count)
  (check-seed 'random-points seed)
  (let ((pairs (alist-delete 'seed (ranges 'random-points arguments))))
    (check-that (pair? pairs) 'random-points "expected a parameter and its range, got none")
    (points-of 'random-points
               (random-uniform (list count (length pairs)) seed (random-stream 'points))
               count pairs)))

(define (sobol-points count . parameters)
  "COUNT points of the Sobol sequence, which fill the ranges of PARAMETERS evenly, whatever COUNT;
at most 40 parameters.  Ranges are as of `random-points'.
Example: (sobol-points 2 #:exponent (uniform 0 1)) => (((exponent . 0.5)) ((exponent . 0.75)))"
  (check-count 'sobol-points count)
  (let ((pairs (ranges 'sobol-points parameters)))
    (check-that (<= (length pairs) 40) 'sobol-points "expected at most 40 parameters, got ~a"
                (length pairs))
    (points-of 'sobol-points (sobol-sequence count (length pairs)) count pairs)))

(define (check-bounds who low high least)
  (check-that (and (real? low) (real? high) (rational? low) (rational? high) (< low high)
                   (or (not least) (> low least)))
              who "expected two numbers ~alow < high, got ~s and ~s" (if least "0 < " "") low high))

(define digits 6)                       ; of a point's numbers: to be read, and typed again

(define (uniform low high)
  "The range of numbers from LOW to HIGH, each as likely; rounded to six digits.
Example: ((uniform 1 3) 0.5) => 2.0"
  (check-bounds 'uniform low high #f)
  (lambda (u) (significant (+ low (* u (- high low))) digits)))

(define (log-uniform low high)
  "The range of positive numbers from LOW to HIGH whose logarithm is uniform; rounded to six digits.
Example: ((log-uniform 0.1 10) 0.5) => 1.0"
  (check-bounds 'log-uniform low high 0)
  (lambda (u) (significant (* low (expt (/ high low 1.) u)) digits)))

(define (integers low high)
  "The range of the integers from LOW to HIGH, both among them.
Example: ((integers 1 4) 0.5) => 3"
  (check-that (and (exact-integer? low) (exact-integer? high) (<= low high)) 'integers
              "expected two integers low <= high, got ~s and ~s" low high)
  (lambda (u) (+ low (floor-index u (1+ (- high low))))))

(define (check-points who points)
  "Complain from WHO unless POINTS is a list of points.
Example: (check-points 'sweep (grid #:seed '(1 2)))"
  (check-that (and (list? points) (pair? points)
                   (every (lambda (point)
                            (and (list? point)
                                 (every (lambda (e) (and (pair? e) (symbol? (car e)))) point)))
                          points))
              who "points: expected a list of points such as `grid' makes, got ~s" points))
