;;; suggestions.scm -- Guile's own errors, with a suggestion of what was meant.
;;;
;;; Guile looks up the text of an exception by its key, at the prompt and in scripts alike.
;;; These are the texts for a variable that does not exist, for a keyword that a procedure does not
;;; know (the exception does not say which procedure), and for values of the wrong
;;; kind: tensors where numbers are expected, one record for another, a list without its quote.

(define-module (tempera base suggestions)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 format)
  #:use-module (ice-9 regex)
  #:use-module ((ice-9 session) #:select (procedure-arguments))
  #:use-module ((oop goops) #:select (class-of class-name))
  #:use-module (tempera base errors)
  #:use-module (tempera base spelling)
  #:export (visible-names procedure-keywords call-keywords visible-keywords unknown-keyword-text))

(define (visible-interfaces module)
  (cons module (module-uses module)))

(define (visible-names module)
  "The names, strings, that an expression in MODULE may use, its own first."
  (append-map (lambda (m) (map symbol->string (module-map (lambda (name variable) name) m)))
              (visible-interfaces module)))

(define (procedure-keywords procedure)
  "The keywords that PROCEDURE takes; none where that is not known."
  (map car (or (assq-ref (or (false-if-error (procedure-arguments procedure)) '())
                         'keyword)
               '())))

(define (mentioned-keywords text)
  ;; Those that a docstring has: of what a procedure passes on, nothing else tells.
  (map (lambda (m) (symbol->keyword (string->symbol (substring (match:substring m) 2))))
       (list-matches "#:[a-z-]*[a-z]" text)))

(define (without-others text)
  ;; The docstring TEXT less its example, which calls other procedures too, and keywords that are
  ;; said to be another's: "#:widening 1 of `posterior'".
  (regexp-substitute/global #f "#:[a-z-]+([ \n]+[0-9.]+)?[ \n]+of[ \n]+`[^ ']+'|Example: .*" text 'pre 'post))

(define (passes-on? procedure)
  (let ((arguments (or (false-if-error (procedure-arguments procedure)) '())))
    (or (assq-ref arguments 'allow-other-keys?) (assq-ref arguments 'rest))))

(define (call-keywords procedure module)
  "The keywords that a call of PROCEDURE may have.  Of what it passes on its docstring tells: those
that it mentions, and where it says that it takes those of another, as `fork' does, that one's."
  (let of ((procedure procedure) (seen '()))
    (let* ((text (without-others (or (procedure-documentation procedure) "")))
           (named (list-matches "of[ \n]+`([^ ']+)'([ \n]+but[^)]*\\))?" text))
           (but (append-map (lambda (m) (mentioned-keywords (or (match:substring m 2) ""))) named)))
      (delete-duplicates
       (append (procedure-keywords procedure)
               (if (and (passes-on? procedure) (not (memq procedure seen)))
                   (lset-difference eq?
                                    (append (mentioned-keywords text)
                                            (append-map
                                             (lambda (m)
                                               (let ((other (value-of (match:substring m 1) module)))
                                                 (if (procedure? other)
                                                     (of other (cons procedure seen))
                                                     '())))
                                             named))
                                    but)
                   '()))))))

(define (value-of name module)
  (let ((variable (module-variable module (string->symbol name))))
    (and variable (variable-bound? variable) (variable-ref variable))))

(define (visible-keywords module)
  "The keywords that procedures take which an expression in MODULE may use; not those of
Guile's core."
  (delete-duplicates
   (append-map
    (lambda (m)
      (concatenate
       (module-map (lambda (name variable)
                     (let ((value (and (variable-bound? variable) (variable-ref variable))))
                       (if (procedure? value)
                           (append (procedure-keywords value)
                                   (mentioned-keywords (or (procedure-documentation value) "")))
                           '())))
                   m)))
    (filter (lambda (m) (or (eq? m module) (eq? 'tempera (car (module-name m)))))
            (visible-interfaces module)))))

(define (suggestion name names)
  ;; "; did you mean ...?", or nothing.
  ;; (A name that the current module sees may be missing where the expression is.)
  (let ((nearest (and (>= (string-length name) 3)
                      (nearest-name name (delete name names) #:beginnings? #f))))
    (if nearest (format #f "; did you mean ~a?" nearest) "")))

(define (unknown-keyword-text keyword keywords)
  "What to say of KEYWORD where only KEYWORDS are known."
  (let ((name (object->string keyword)))
    (format #f "unrecognized keyword ~a~a" name (suggestion name (map object->string keywords)))))

(define-syntax-rule (explain key (procedure message culprit) text)
  ;; Print an exception of KEY as TEXT, of its PROCEDURE, MESSAGE and CULPRIT; where TEXT is #f, as
  ;; ever.
  (set-exception-printer! key
    (lambda (port name arguments default)
      (apply (lambda* (#:optional (procedure #f) (message "") (irritants '()) (data '()))
               (let* ((culprits (if (pair? irritants) irritants data))
                      (culprit (and (pair? culprits) (last culprits)))
                      (said text))
                 (cond (said (display said port))
                       ((and (string? message) (list? irritants)) ; as Guile has it
                        (when procedure (format port "In procedure ~a: " procedure))
                        (apply format port message irritants))
                       (else (default)))))
             arguments))))

(explain 'unbound-variable (procedure message culprit)
  (and (symbol? culprit)
       (let ((name (symbol->string culprit)))
         (format #f "unbound variable ~a~a" name
                 (suggestion name (visible-names (current-module)))))))

(explain 'keyword-argument-error (procedure message culprit)
  (if (equal? message "Unrecognized keyword")
      (unknown-keyword-text culprit (visible-keywords (current-module)))
      (format #f "~a: ~s" (string-downcase message) culprit)))

;;; --- Values of the wrong kind -------------------------------------------------

(define irregular
  ;; What does for tensors what the first does for numbers, lists or vectors, by another name.
  '(("max" . "tensor-maximum") ("min" . "tensor-minimum") ("expt" . "tensor-power")
    ("length" . "tensor-size or tensor-count") ("vector-ref" . "tensor-ref")
    ("list-ref" . "tensor-ref") ("vector-set!" . "tensor-set!") ("magnitude" . "tensor-abs")
    ("car" . "tensor-ref or tensor->list")))

(define (for-tensors name)
  ;; The name of what takes tensors where the procedure NAME takes numbers, or #f.
  (or (assoc-ref irregular name)
      (find (lambda (candidate) (member candidate (visible-names (current-module))))
            (list (string-append "tensor" name) (string-append "tensor-" name)))))

(define (record-noun name)
  ;; "chain" of chain-mean: the longest beginning of NAME that has a predicate, or #f.
  (let ((names (visible-names (current-module))))
    (let loop ((end (string-rindex name #\-)))
      (and end (> end 0)
           (if (member (string-append (substring name 0 end) "?") names)
               (substring name 0 end)
               (loop (string-rindex name #\- 0 end)))))))

(define (tensor? object)
  ;; By the name of its class: tensors themselves belong to a later room.
  (eq? '<tensor> (class-name (class-of object))))

(define (not-applicable-text object)
  (format #f "~s is not a procedure~a" object
          (cond ((or (number? object) (string? object))
                 (format #f "; a list that begins with it needs a quote: '(~s ...)" object))
                ((tensor? object) "; an element of it is (tensor-ref TENSOR INDEX ...)")
                (else ""))))

(explain 'wrong-type-arg (procedure message culprit)
  (let ((name (and procedure (format #f "~a" procedure))))
    (cond ((string-prefix? "Wrong type to apply" message) (not-applicable-text culprit))
          ((not name) #f)
          ((string=? name "struct-vtable") ; what asks for a field; the exception does not say which
           (format #f "expected a value that has fields, such as a chain, a target or a run, got ~s"
                   culprit))
          ((and (tensor? culprit) (for-tensors name))
           => (lambda (other) (format #f "~a: does not take a tensor, got ~s; use ~a" name culprit other)))
          ((and (string-prefix? "Wrong type argument: " message) (record-noun name))
           => (lambda (noun) (format #f "~a: expected a ~a, got ~s" name noun culprit)))
          (else #f))))

(explain 'goops-error (procedure message call)
  (and (string? message) (string-prefix? "No applicable method" message)
       (pair? call) (symbol? (car call))
       (let ((noun (record-noun (symbol->string (car call)))))
         (format #f "~a: ~a~{~s~^ ~}" (car call)
                 (if noun (format #f "expected a ~a, got " noun) "does not take ") (cdr call)))))
