;;; suggestions.scm -- errors about names say which name may have been meant.
;;;
;;; Guile asks for the text of an exception by its key, at the prompt and in scripts alike.
;;; Here are the texts for a variable that is not there, and for a keyword that a procedure
;;; does not know.  (Which procedure that was, the exception does not say.)

(define-module (tempera suggestions)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 regex)
  #:use-module ((ice-9 session) #:select (procedure-arguments))
  #:use-module (tempera parameters)
  #:export (visible-names procedure-keywords call-keywords visible-keywords unknown-keyword-text))

(define (visible-interfaces module)
  (cons module (module-uses module)))

(define (visible-names module)
  "The names, strings, that an expression in MODULE may use, its own first."
  (append-map (lambda (m) (map symbol->string (module-map (lambda (name variable) name) m)))
              (visible-interfaces module)))

(define (procedure-keywords procedure)
  "The keywords that PROCEDURE takes; none where that is not known."
  (map car (or (assq-ref (or (false-if-exception (procedure-arguments procedure)) '())
                         'keyword)
               '())))

(define (mentioned-keywords text)
  ;; Those that a docstring has: of what a procedure passes on, nothing else tells.
  (map (lambda (m) (symbol->keyword (string->symbol (substring (match:substring m) 2))))
       (list-matches "#:[a-z-]*[a-z]" text)))

(define (passes-on? procedure)
  (let ((arguments (or (false-if-exception (procedure-arguments procedure)) '())))
    (or (assq-ref arguments 'allow-other-keys?) (assq-ref arguments 'rest))))

(define (call-keywords procedure module)
  "The keywords that a call of PROCEDURE may have.  Of what it passes on its docstring tells: those
that it mentions, and where it says that it takes those of another, as `fork' does, that one's."
  (let of ((procedure procedure) (seen '()))
    (let* ((text (or (procedure-documentation procedure) ""))
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

(define-syntax-rule (explain key (message culprit) text)
  ;; Print an exception of KEY as TEXT, of its MESSAGE and CULPRIT; where TEXT is #f, as ever.
  (set-exception-printer! key
    (lambda (port name arguments default)
      (apply (lambda* (#:optional procedure (message "") (irritants '()) (data '()))
               (let* ((culprits (if (pair? irritants) irritants data))
                      (culprit (and (pair? culprits) (car culprits)))
                      (said text))
                 (if said (display said port) (default))))
             arguments))))

(explain 'unbound-variable (message culprit)
  (and (symbol? culprit)
       (let ((name (symbol->string culprit)))
         (format #f "unbound variable ~a~a" name
                 (suggestion name (visible-names (current-module)))))))

(explain 'keyword-argument-error (message culprit)
  (if (equal? message "Unrecognized keyword")
      (unknown-keyword-text culprit (visible-keywords (current-module)))
      (format #f "~a: ~s" (string-downcase message) culprit)))
