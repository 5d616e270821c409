;;; tensors.scm -- the Scheme side of tensors: how they print, scopes, tapes.
;;;
;;; Glossary.  A tensor has a shape (a list of lengths, the last varying
;;; fastest) and a type, f32 or c64.  Images are (batch, rows, columns,
;;; channels); complex images are c64 (batch, rows, columns), and their
;;; real-view is what a network sees.  `name' makes a result, `name!' writes
;;; into one.

(define-module (tempera tensor tensors)
  #:use-module (oop goops)
  #:use-module (ice-9 receive)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:export (tensor-ref tensor-set! tensor-size tensor-count number->tensor per-item batch-of-one
            linspace tensor-tabulate
            with-scope with-tape gradients no-tape))

(define (tensor-ref tensor . indices)
  "The element of TENSOR at INDICES.
Example: (tensor-ref (list->tensor '(1 2 3 4) '(2 2)) 1 0) => 3.0"
  (tensor-element tensor indices))

(define (tensor-set! tensor value . indices)
  "Put VALUE at INDICES of TENSOR.
Example: (tensor-set! t 2.5 0 1)"
  (tensor-set-element! tensor indices value))

(define (tensor-size tensor axis)
  "The length of AXIS of TENSOR.
Example: (tensor-size (tensor-zeros '(2 3)) 1) => 3"
  (let ((shape (tensor-shape tensor)))
    (check-that (and (exact-integer? axis) (< -1 axis (length shape))) 'tensor-size
                "axis: expected an integer from 0 to ~a, got ~s" (1- (length shape)) axis)
    (list-ref shape axis)))

(define (tensor-count tensor)
  "How many elements TENSOR has.
Example: (tensor-count (tensor-zeros '(2 3))) => 6"
  (apply * (tensor-shape tensor)))

(define (number->tensor number)
  "NUMBER as a tensor of no axes.
Example: (tensor->number (number->tensor 2)) => 2.0"
  (list->tensor (list number) '()))

(define (per-item values batch)
  "VALUES, (N), in the shape (N 1 1 ...), so that each is used with one item of BATCH, (N ...).
Example: (tensor-shape (per-item (list->tensor '(1 2)) (tensor-zeros '(2 4 4)))) => (2 1 1)"
  (tensor-reshape values (cons -1 (make-list (1- (length (tensor-shape batch))) 1))))

(define (batch-of-one tensor)
  "TENSOR, (...), as a batch that has it alone, (1 ...).
Example: (tensor-shape (batch-of-one (tensor-zeros '(4 4)))) => (1 4 4)"
  (tensor-reshape tensor (cons 1 (tensor-shape tensor))))

(define (linspace from to count)
  "COUNT numbers, 2 or more, at equal distances from FROM to TO: f32 (COUNT).
Example: (tensor->list (linspace 0 1 5)) => (0.0 0.25 0.5 0.75 1.0)"
  (check-that (and (exact-integer? count) (> count 1)) 'linspace
              "count: expected an integer of 2 or more, got ~s" count)
  (for-each (lambda (name end)
              (check-that (and (real? end) (finite? end)) 'linspace
                          "~a: expected a number, got ~s" name end))
            '("from" "to") (list from to))
  (tensor-tabulate (list count)
                   (lambda (k)          ; both ends to the bit
                     (let ((share (/ k (1- count))))
                       (+ (* (- 1 share) from) (* share to))))))

(define (tensor-tabulate shape procedure)
  "The tensor of SHAPE from PROCEDURE, a function of indices: its element at i, j, ... is
(PROCEDURE i j ...); f32, or c64 when one of them is complex.  PROCEDURE is called once for each element, the last index varying fastest.
Example: (tensor->list (tensor-tabulate '(2 3) (lambda (i j) (+ (* 10 i) j)))) => (0.0 1.0 2.0 10.0 11.0 12.0)"
  (check-that (and (list? shape) (and-map (lambda (n) (and (exact-integer? n) (>= n 0))) shape))
              'tensor-tabulate "shape: expected a list of lengths, got ~s" shape)
  (check-that (procedure? procedure) 'tensor-tabulate
              "procedure: expected one of ~a indices, got ~s" (length shape) procedure)
  (release! (tensor-zeros shape))       ; says now if there is no memory for so many
  (let ((values '()))
    (let loop ((rest (if (memv 0 shape) '(0) shape)) (indices '()))
      (if (null? rest)
          (let ((value (apply procedure (reverse indices))))
            (check-that (number? value) 'tensor-tabulate
                        "procedure: expected a number at ~a, got ~s" (reverse indices) value)
            (set! values (cons value values)))
          (do ((i 0 (1+ i))) ((= i (car rest)))
            (loop (cdr rest) (cons i indices)))))
    (list->tensor (reverse values) shape)))

(define (print-tensor tensor port)
  (no-tape (lambda () (print-off-tape tensor port))))

(define (print-off-tape tensor port)
  (format port "#<tensor ~a ~a" (tensor-dtype tensor) (tensor-shape tensor))
  (cond ((not (tensor-alive? tensor)) (display " released" port))
        ((<= (tensor-count tensor) 8)
         (format port " ~a" (tensor->list tensor)))
        ((eq? (tensor-dtype tensor) 'f32)
         (format port ", ~a to ~a"
                 (tensor->number (tensor-min tensor)) (tensor->number (tensor-max tensor)))))
  (display ">" port))

;; Each by itself: one method that calls the other finds the object on its way already, and
;; prints a reference to it.
(define-method (write (tensor <tensor>) port)
  (print-tensor tensor port))

(define-method (display (tensor <tensor>) port)
  (print-tensor tensor port))

(define-method (write (tape <tape>) port)
  (format port "#<tape of ~a operations>" (tape-length tape)))

(define (keep-all object)
  (cond ((tensor? object) (when (tensor-alive? object) (keep! object)))
        ((pair? object) (keep-all (car object)) (keep-all (cdr object)))
        ((vector? object) (vector-for-each keep-all object))))

(define (vector-for-each procedure vector)
  (let loop ((i 0))
    (when (< i (vector-length vector))
      (procedure (vector-ref vector i))
      (loop (1+ i)))))

(define (with-scope thunk)
  "Call THUNK and return its values.  The memory of every tensor made meanwhile is
released at once, but for those among the values (also in lists and vectors) and
those given to keep!.  When THUNK is left in another way, by an error or an escape, nothing is
released: what was made is left to the collector, for whoever looks into the error or is
given it.
Example: (with-scope (lambda () (tensor-sum (tensor* x x))))"
  (let ((depth #f) (values '()) (release? #f))
    (dynamic-wind
      (lambda ()
        (set! depth (scope-open!))
        (set! release? #f))
      (lambda ()
        (receive results (thunk)
          (keep-all results)
          (set! values results)
          (set! release? #t)))
      (lambda () (scope-close! depth release?)))
    (apply (@ (guile) values) values)))

(define (with-tape tape thunk)
  "Call THUNK with its operations recorded on TAPE (#f: on none).
Example: (with-tape (make-tape) (lambda () (tensor-sum t)))"
  (let ((before #f))
    (dynamic-wind
      (lambda () (set! before (tape-enter! tape)))
      thunk
      (lambda () (tape-leave! before)))))

(define (no-tape thunk)
  "Call THUNK with nothing recorded: what it makes is constant to every tape.  So a gradient
is stopped at x by (no-tape (lambda () (tensor-copy x))).
Example: (no-tape (lambda () (net (tensor-zeros '(1 16 16 2)) 1.0)))"
  (with-tape #f thunk))

(define (gradients thunk parameters)
  "Call THUNK, which returns a real tensor of one element made from PARAMETERS (a list of
tensors); return that element and the list of its gradients: of a complex parameter
dL/da + i dL/db.  A parameter that it does not depend on gets #f.  Inside the THUNK of
another `gradients' these gradients have gradients in turn, where every operation on the
way is known to; elsewhere `tensor-gradient' gives them too.  An operation that cannot pass
a gradient on is an error, and so is to change in place what is needed: see `no-tape'.
Example: (gradients (lambda () (tensor-sum (tensor* t t))) (list t))"
  (for-each require-gradient! parameters)
  (let* ((tape (make-tape))
         (loss (with-tape tape thunk)))
    (if (tape-open?)
        (values (tensor->number loss) (tape-gradients tape loss parameters))
        (begin
          ;; Cleared only now, since THUNK may have taken gradients of its own.
          (for-each clear-gradient! parameters)
          (tape-backward! tape loss)
          (values (tensor->number loss) (map tensor-gradient parameters))))))
