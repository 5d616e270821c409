;;; compositions.scm -- operators made of operators: product, sum, stack, multiple, adjoint.
;;;
;;; Each knows its adjoint and its normal operator, and the Fourier diagonal of the latter
;;; where the diagonals of its parts determine it.

(define-module (tempera problem compositions)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:export (composed-operator sum-operator stacked-operator scaled-operator adjoint-operator))

(define (check-operators procedure operators)
  (check-that (pair? operators) procedure "operators: expected one or more, got none")
  (for-each (lambda (op) (check-that (operator? op) procedure "operators: expected them, got ~s" op))
            operators))

(define (compatible? shape other)
  (or (not shape) (not other)
      (and (= (length shape) (length other))
           (every (lambda (n m) (or (not n) (not m) (= n m))) shape other))))

(define (common procedure what op shape-of operators)
  ;; The shape in which OPERATORS agree, the most definite there is.
  (fold (lambda (other shape)
          (let ((theirs (shape-of other)))
            (check-that (compatible? shape theirs) procedure
                        "operators: ~a and ~a differ in ~a" op other what)
            (if (and shape theirs) (map (lambda (n m) (or n m)) shape theirs) (or shape theirs))))
        (shape-of op) operators))

(define (part-name op)
  ;; The name of OP in that of another operator.
  (let ((name (operator-name op)))
    (if (string-index name #\space) (string-append "(" name ")") name)))

(define (names operators separator)
  (string-join (map part-name operators) separator))

(define (composed-operator . operators)
  "The product of OPERATORS, A B ...: the last acts first on an image.
Example: (composed-operator op (scaled-operator 2 (adjoint-operator op)))"
  (check-operators 'composed-operator operators)
  (reduce-right compose-two #f operators))

(define (compose-two a b)
  (check-that (compatible? (operator-domain a) (operator-range b)) 'composed-operator
              "operators: ~a measures no ~a" a b)
  (make-operator (names (list a b) " of ")
                 #:forward (lambda (x) (apply-forward a (apply-forward b x)))
                 #:adjoint (lambda (y) (apply-adjoint b (apply-adjoint a y)))
                 #:normal (lambda (x) (apply-adjoint b (apply-normal a (apply-forward b x))))
                 #:approximate-inverse
                 (lambda (y) (apply-approximate-inverse b (apply-approximate-inverse a y)))
                 #:inverse-name (operator-inverse-name b)
                 #:domain (operator-domain b) #:range (operator-range a)
                 #:restrict (operator-restrict a)
                 ;; Where A^H A is a number c, c B^H B.
                 #:normal-diagonal (let ((c (isometry (operator-normal-diagonal a)))
                                         (diagonal (operator-normal-diagonal b)))
                                     (and c diagonal (tensor* c diagonal)))))

(define (isometry diagonal)
  ;; c where DIAGONAL is that of c times the identity, or #f.
  (and diagonal
       (let ((least (tensor->number (tensor-min diagonal)))
             (most (tensor->number (tensor-max diagonal))))
         (and (= least most) least))))

(define (sum-operator . operators)
  "A + B + ... of OPERATORS, which take the same images to measurements of the same shape.
Example: (sum-operator op op)"
  (check-operators 'sum-operator operators)
  (let ((apply-each (lambda (apply-one x)
                      (reduce tensor+ #f (map (lambda (op) (apply-one op x)) operators)))))
    (make-operator (names operators " + ")
                   #:forward (lambda (x) (apply-each apply-forward x))
                   #:adjoint (lambda (y) (apply-each apply-adjoint y))
                   #:domain (common 'sum-operator "domain" (car operators) operator-domain (cdr operators))
                   #:range (common 'sum-operator "range" (car operators) operator-range (cdr operators)))))

(define (stacked-operator . operators)
  "All measurements by OPERATORS of the same images, which follow one another along a new first
axis: (K ...) of K operators whose measurements have the same shape.
Example: (stacked-operator op op)"
  (check-operators 'stacked-operator operators)
  (let* ((domain (common 'stacked-operator "domain" (car operators) operator-domain (cdr operators)))
         (range (common 'stacked-operator "range" (car operators) operator-range (cdr operators)))
         (diagonals (map operator-normal-diagonal operators)))
    (check-that range 'stacked-operator "operators: expected ones that know their range")
    (letrec ((axis (lambda (y) (- (length (tensor-shape y)) (length range))))
             (with-axis (lambda (y)     ; (... 1 . range)
                          (let ((shape (tensor-shape y)) (at (axis y)))
                            (tensor-reshape y (append (list-head shape at) '(1)
                                                      (list-tail shape at))))))
             (part (lambda (y k)        ; number K of a stack Y
                     (let* ((at (1- (axis y))) (shape (tensor-shape y)))
                       (tensor-reshape (tensor-copy (tensor-slice y at k (1+ k)))
                                       (append (list-head shape at) (list-tail shape (1+ at)))))))
             (by-parts (lambda (procedure y)
                         (map (lambda (op k) (procedure op (part y k)))
                              operators (iota (length operators)))))
             (joined (lambda (parts)
                       (tensor-concatenate (map with-axis parts) (axis (car parts))))))
      (make-operator (names operators " and ")
                     #:forward (lambda (x) (joined (map (lambda (op) (apply-forward op x)) operators)))
                     #:adjoint (lambda (y) (reduce tensor+ #f (by-parts apply-adjoint y)))
                     #:normal (lambda (x)
                                (reduce tensor+ #f (map (lambda (op) (apply-normal op x)) operators)))
                     #:domain domain
                     #:range (cons (length operators) range)
                     #:restrict (lambda (n)
                                  (joined (by-parts (lambda (op n) ((operator-restrict op) n)) n)))
                     #:normal-diagonal (and (every identity diagonals)
                                            (reduce tensor+ #f diagonals))))))

(define (scaled-operator c op)
  "C times OP, C real or complex.
Example: (apply-forward (scaled-operator 2 op) scan)"
  (check-that (and (number? c) (finite? (magnitude c))) 'scaled-operator
              "c: expected a finite number, got ~s" c)
  (check-operators 'scaled-operator (list op))
  (let ((square (expt (magnitude c) 2))
        (conjugate (if (real? c) c (make-rectangular (real-part c) (- (imag-part c)))))
        (diagonal (operator-normal-diagonal op)))
    (make-operator (format #f "~a ~a" c (part-name op))
                   #:forward (lambda (x) (tensor* c (apply-forward op x)))
                   #:adjoint (lambda (y) (tensor* conjugate (apply-adjoint op y)))
                   #:normal (lambda (x) (tensor* square (apply-normal op x)))
                   #:domain (operator-domain op) #:range (operator-range op)
                   #:restrict (operator-restrict op)
                   #:normal-diagonal (and diagonal (tensor* square diagonal)))))

(define (adjoint-operator op)
  "A^H for A = OP: it takes measurements to images.
Example: (tensor-shape (apply-forward (adjoint-operator op) y)) => (16 16)"
  (check-operators 'adjoint-operator (list op))
  (make-operator (format #f "adjoint of ~a" (part-name op))
                 #:forward (lambda (y) (apply-adjoint op y))
                 #:adjoint (lambda (x) (apply-forward op x))
                 #:domain (operator-range op) #:range (operator-domain op)))
