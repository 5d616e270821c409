;;; calls.scm -- random calls of every primitive and of everything that a user calls, with arguments of
;;; every kind: an error or a value, and no crash.  See driver.scm.

(use-modules (driver)
             (srfi srfi-1)
             (ice-9 session)
             (tempera) (tempera tensor primitives))

;; What acts on other processes and the network, waits for keys, or is to take long.
(define excluded
  '(end-with-parent! run-program data-fetch! terminal-ask watch sweep continue-sweep help help-search
    set-threads! save-charts))

(define procedures
  (filter-map
   (lambda (entry)
     (let ((value (cdr entry)))
       (and (procedure? value) (not (memq (car entry) excluded)) entry)))
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

(define (arguments-for procedure state)
  (let* ((arguments (or (procedure-arguments procedure) '()))
         (required (length (or (assq-ref arguments 'required) '())))
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

(call-with-tries (command-line) "random calls" 2000
  (lambda (state)
    (let* ((entry (pick state procedures)) (arguments (arguments-for (cdr entry) state)))
      (values (false-if-exception (format #f "(~a~{ ~a~})" (car entry)
                                          (map (lambda (a)
                                                 (let ((text (object->string a)))
                                                   (if (> (string-length text) 60) (substring text 0 60) text)))
                                               arguments)))
              (lambda () (with-scope (lambda () (apply (cdr entry) arguments) #t)))))))
