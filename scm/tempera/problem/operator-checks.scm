;;; operator-checks.scm -- is an operator what it says that it is?

(define-module (tempera problem operator-checks)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (check-operator operator-check? operator-check-faults))

(define-record-type <operator-check>
  (make-operator-check operator shape dtype outcomes)
  operator-check?
  (operator operator-check-operator)
  (shape operator-check-shape)
  (dtype operator-check-dtype)
  (outcomes operator-check-outcomes))   ; (name . a number that should be rounding, or a string) ...

(define most-rounding 1e-4)

(define (fault outcome)
  ;; In words, or #f where OUTCOME is as it should be.
  (match outcome
    ((name . (? string? what)) (format #f "~a: ~a" name what))
    ((name . (? number? defect))
     (and (not (< defect most-rounding))
          (format #f "~a: off by ~a of its size, expected rounding, ~a at most" name (significant defect 2)
                  most-rounding)))))

(define (operator-check-faults check)
  "What is wrong with the operator of CHECK, of `check-operator': strings, none if nothing is.
Example: (operator-check-faults (check-operator op '(16 16))) => ()"
  (check-that (operator-check? check) 'operator-check-faults "check: expected what check-operator gives, got ~s" check)
  (filter-map fault (operator-check-outcomes check)))

(set-record-type-printer! <operator-check>
  (lambda (check port)
    (let ((faults (operator-check-faults check)))
      (format port "#<~a on ~a ~a: ~a>" (operator-name (operator-check-operator check))
              (operator-check-dtype check) (operator-check-shape check)
              (if (null? faults)
                  (format #f "~a hold" (string-join (map car (operator-check-outcomes check)) ", "))
                  (string-join faults "; "))))))

(define least 1e-30)

(define (size t)
  (sqrt (tensor->number (tensor-sum-squares t))))

(define (unit t)
  (tensor/ t (max least (size t))))

(define (difference a b)
  ;; |A - B| over what they are large, or what tells their shapes apart.
  (cond ((not (and (tensor? a) (tensor? b))) (format #f "expected tensors, got ~a and ~a" a b))
        ((not (and (equal? (tensor-shape a) (tensor-shape b)) (eq? (tensor-dtype a) (tensor-dtype b))))
         (format #f "expected ~s, got ~s" b a))
        (else (/ (size (tensor- a b)) (max (size a) (size b) least)))))

(define (inner a b)
  (vector-ref (chains-dot (batch-of-one a) (batch-of-one b)) 0))

(define* (check-operator op #:optional (shape (operator-domain op)) #:key (dtype 'c64) (seed 0))
  "Whether OP is a linear operator as its parts say, on random images of SHAPE, its domain unless given, and DTYPE: that it
is linear; that a batch is its images, one by one; that `apply-adjoint' is the adjoint, by inner products; that
`apply-normal' is A^H A; that its Fourier diagonal, if it has one, is the normal's, and on f32 images too where
it takes them; that #:restrict leaves what is measured as it is, and what A^H takes.  It prints what holds, or
what is wrong; `operator-check-faults' is a list.
Example: (check-operator (inpainting-operator (random-pixels '(16 16) 1/2)))
         => #<inpainting, 128 of 256 pixels seen on c64 (16 16): shapes, linearity, batches, adjoint, normal, restriction hold>"
  (check-that (operator? op) 'check-operator "operator: expected one, got ~s" op)
  (check-that (and (list? shape) (pair? shape) (every positive-integer? shape)) 'check-operator
              "shape: expected the lengths of an image, since ~a does not say all of them, got ~s" op shape)
  (check-that (memq dtype '(f32 c64)) 'check-operator "dtype: expected f32 or c64, got ~s" dtype)
  (check-seed 'check-operator seed)
  (let* ((draw (lambda (shape k) (random-normal shape seed (random-stream 'check k) dtype)))
         (x (draw shape 0)) (z (draw shape 1))
         (batch (tensor-concatenate (list (batch-of-one x) (batch-of-one z)) 0))
         (outcomes '()))
    ;; What fails ends the checks, since the others build upon it.
    (define (say name thunk)
      (and (every (lambda (o) (number? (cdr o))) outcomes)
           (set! outcomes
                 (append outcomes
                         (list (cons name (catch-errors thunk
                                                        (lambda (key . arguments)
                                                          (string-trim-right (error-text key arguments))))))))))
    (let* ((ax #f) (y #f))
      (say "shapes" (lambda ()
                      (set! ax (apply-forward op x))
                      (if (tensor? ax)
                          (begin
                            ;; Half along A x, of which the adjoint has much to give back, half anywhere.
                            (set! y ((operator-restrict op)
                                     (tensor+ (unit ax)
                                              (unit (random-normal (tensor-shape ax) seed (random-stream 'check 2)
                                                                   (tensor-dtype ax))))))
                            (let ((back (apply-adjoint op ax)) (range (operator-range op)))
                              (cond ((and range (not (= (length range) (length (tensor-shape ax)))))
                                     (format #f "expected A x of ~a axes, as its range has, got ~s" (length range) ax))
                                    ((not (tensor-finite? ax)) "A x is not finite")
                                    (else (difference (tensor* 0 back) (tensor* 0 x))))))
                          (format #f "expected a tensor for A x, got ~s" ax))))
      (say "linearity" (lambda ()
                         (difference (apply-forward op (tensor+ x (tensor* -2.5 z)))
                                     (tensor+ ax (tensor* -2.5 (apply-forward op z))))))
      (say "batches" (lambda ()
                       (difference (apply-forward op batch)
                                   (tensor-concatenate (list (batch-of-one ax) (batch-of-one (apply-forward op z))) 0))))
      (say "adjoint" (lambda ()
                       (let ((back (apply-adjoint op y)))
                         (/ (abs (- (inner ax y) (inner x back)))
                            (max least (* (size ax) (size y)) (* (size x) (size back)))))))
      (say "normal" (lambda () (difference (apply-normal op batch)
                                           (apply-adjoint op (apply-forward op batch)))))
      (say "restriction" (lambda ()
                           (max (difference ((operator-restrict op) ax) ax)
                                (difference ((operator-restrict op) y) y)
                                (let ((any (random-normal (tensor-shape ax) seed (random-stream 'check 3)
                                                          (tensor-dtype ax))))
                                  (difference (apply-adjoint op ((operator-restrict op) any))
                                              (apply-adjoint op any))))))
      (when (and (operator-normal-diagonal op) (eq? dtype 'c64))
        (say "Fourier diagonal" (lambda ()
                                  (difference (fourier-multiply x (operator-normal-diagonal op))
                                              (apply-normal op x))))))
    (make-operator-check op shape dtype outcomes)))

(document
 (operator-check?
  "Whether OBJECT is what `check-operator' gives.
Example: (operator-check? 3) => #f"))
