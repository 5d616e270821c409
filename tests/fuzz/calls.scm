;;; calls.scm -- random calls of every primitive and of everything that a user calls: an error or a value, and no
;;; crash.  See driver.scm.
;;;
;;; Half of them are calls with arguments of every kind; few of these get far.  The other half are the examples
;;; of docstrings, with one or two of their expressions replaced by such an argument.

(use-modules (driver) (examples)
             (srfi srfi-1)
             (ice-9 session)
             (tempera) (tempera base documentation) (tempera tensor primitives))

;; What acts on other processes and the network, waits for keys, or is to take long.
(define excluded
  '(end-with-parent! run-program data-fetch! terminal-ask watch sweep continue-sweep help help-search
    set-threads! save-charts))

(define source (dirname (dirname (dirname (car (command-line)))))) ; of all

(define procedures
  (filter-map
   (lambda (entry)
     (let ((value (cdr entry)))
       ;; With its arguments, which take long to find out.
       (and (procedure? value) (not (memq (car entry) excluded))
            (list (car entry) value (or (procedure-arguments value) '())))))
   (delete-duplicates
    (append-map (lambda (module)
                  (sort (module-map (lambda (name variable) (cons name (variable-ref variable)))
                                    (resolve-interface module))
                        (lambda (a b) (string<? (symbol->string (car a)) (symbol->string (car b))))))
                '((tempera tensor primitives) (tempera)))
    (lambda (a b) (eq? (car a) (car b))))))

(define (pick state items) (list-ref items (random (length items) state)))

(define shapes
  '(() (0) (1) (3) (2 3) (4 4) (0 4) (2 0) (2 8 8) (1 4 4 2) (2 8 8 4) (3 3 4 4) (1 1 1 1 1 1 1 1)
    (8 8) (3 3 2 4) (4) (2) (1099511627776 0) (-1) (2 -1) (1.5) (4611686018427387904 4)))

(define (make-tensor state)
  (define (some shape) (random-normal shape (random 9 state) 0 (pick state '(f32 c64))))
  (let ((t (some (pick state (filter (lambda (s) (every (lambda (n) (and (exact-integer? n) (<= 0 n 8))) s))
                                     shapes)))))
    (case (if (memv (length (tensor-shape t)) '(0 8)) 11 (random 12 state))
      ((0) (release! t) t)
      ((1) (require-gradient! t))
      ((2) (tensor* +nan.0 t))
      ((3) (tensor* 1e38 t))
      ((4) (tensor-transpose t (reverse (iota (length (tensor-shape t))))))
      ((5) (tensor-broadcast t (cons 3 (tensor-shape t))))
      ((6) (tensor-abs t))
      ((7) (tensor-zeros (tensor-shape t)))
      (else t))))

(define objects                         ; made once: what methods want
  (let* ((prior (gaussian-prior (tensor+ 1 (tensor-zeros '(8 8)))))
         (op (mri-operator #:mask (random-mask 8 #:acceleration 2 #:seed 1)))
         (target (make-target "normal" #:shape '(2)
                              #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
         (chain (anneal target #:chains 2 #:seed 1 #:mass 'identity #:step-size 0.1
                        #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5)))
         (net (score-network '(moons-mlp #:width 4))))
    (list prior op target chain net (make-tape) (table '(a b) '((1 2) (3 4))) (constant-rate 1e-3))))

(define (make-argument state depth)
  (case (random 12 state)
    ((0 1 2) (make-tensor state))
    ((3 4) (pick state '(0 1 -1 2 3 7 0.5 -0.5 1e30 1e-30 -1e30 +inf.0 -inf.0 +nan.0 1/3 1+2i 1099511627776
                         4611686018427387904 123456789012345678901234567890)))
    ((5) (pick state shapes))
    ((6) (pick state '("" "a.npy" "a.png" "no/such.npy" "." "a\nb" "/dev/null" "é" "a.safetensors" "a.csv"
                       sum f32 c64 leapfrog identity magnitude #:seed #t #f () #\a)))
    ((7) (pick state (list identity (lambda (x) x) (lambda arguments 1) (lambda () (tensor-zeros '(2)))
                           (lambda (x) (error "no")) (lambda (x) (when (tensor? x) (release! x)) x)
                           (lambda (x sigma) (tensor* -1 x)) tensor-sum relu)))
    ((8) (pick state objects))
    ((9) (vector 1 2 (make-tensor state)))
    ((10) (cons 1 2))
    (else (if (> depth 1) '() (map (lambda (k) (make-argument state (1+ depth))) (iota (random 4 state)))))))

(define (arguments-for arguments state)
  (let* ((required (length (or (assq-ref arguments 'required) '())))
         (optional (length (or (assq-ref arguments 'optional) '())))
         (keywords (or (assq-ref arguments 'keyword) '()))
         (count (+ required (if (zero? optional) 0 (random (1+ optional) state))
                   (if (zero? (random 40 state)) 1 0))))
    (append (map (lambda (k) (make-argument state 0)) (iota count))
            (if (null? keywords)
                '()
                (append-map (lambda (k)
                              (let ((keyword (pick state keywords)))
                                (list (if (pair? keyword) (car keyword) keyword) (make-argument state 0))))
                            (iota (random 3 state)))))))

(define (text-of object longest)
  ;; On one line.
  (let ((text (or (false-if-exception (object->string object)) "?")))
    (string-map (lambda (c) (if (char=? c #\newline) #\space c))
                (if (> (string-length text) longest) (substring text 0 longest) text))))

;;; --- Calls with arguments of every kind ---------------------------------------------

(define (random-call state)
  (let* ((entry (pick state procedures)) (arguments (arguments-for (third entry) state)))
    (values (format #f "(~a~{ ~a~})" (first entry) (map (lambda (x) (text-of x 60)) arguments))
            (lambda () (apply (second entry) arguments)))))

;;; --- Examples with something else in them ---------------------------------------------

(define (tree-any proc tree)
  (if (pair? tree) (or (tree-any proc (car tree)) (tree-any proc (cdr tree))) (proc tree)))

(define examples
  (filter (lambda (form) (and (pair? form) (not (tree-any (lambda (x) (memq x excluded)) form))))
          (filter-map example-of (documented-names))))

(define world #f)                       ; made in the folder of the first try

(define (make-world)
  (unless (file-exists? "brain.png")
    (make-example-files (string-append source "/experiments/pd-head/brain_013.png")
                        (string-append source "/priors/brain-small.safetensors")))
  (set! world (examples-world)))

(define (tree-size form)
  ;; How many places there are in FORM but for the heads of lists, which say what is done.
  (if (pair? form) (fold + 1 (map tree-size (filter-list (cdr form)))) 1))
(define (filter-list x) (if (list? x) x '()))

(define (replaced form at object)
  ;; FORM with OBJECT, quoted, at the place of number AT, not 0, which is all of it.
  (define left at)
  (define (walk form)
    (if (zero? left)
        (begin (set! left -1) `(quote ,object))
        (begin
          (set! left (1- left))
          (if (and (pair? form) (list? form)) (cons (car form) (map-in-order walk (cdr form))) form))))
  (walk form))

(define (random-example state)
  (unless world (make-world))
  (let loop ((form (pick state examples)) (changes (1+ (random 2 state))))
    (if (zero? changes)
        (values (text-of form 2000)
                (lambda ()
                  (let ((module (fresh-module)))
                    (module-use! module world)
                    (module-define! module 't (tensor-copy (module-ref world 't)))
                    (eval form module))))
        (let ((object (make-argument state 0)) (size (tree-size form)))
          (loop (if (= size 1) form (replaced form (1+ (random (1- size) state)) object))
                (1- changes))))))

(call-with-tries (command-line) "random calls" 2000
  (lambda (state)
    (call-with-values (lambda () ((pick state (list random-call random-example)) state))
      (lambda (text thunk)
        (values text (lambda () (with-scope (lambda () (thunk) #t))))))))
