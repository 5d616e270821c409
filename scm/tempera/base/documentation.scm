;;; documentation.scm -- what an exported name means: its text, its arguments, its example.
;;;
;;; A procedure has a docstring.  What cannot have one, such as a record's field or a value, is
;;; documented by `document'.  Arguments and their defaults are read from the source, which is
;;; installed with the rest.

(define-module (tempera base documentation)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 documentation)
  #:use-module (ice-9 match)
  #:use-module ((ice-9 session) #:select (procedure-arguments))
  #:export (document documented-names name-module name-documentation name-kind name-signature
            argument-texts
            documentation-parts described procedure-description))

;;; --- Procedures made by procedures ------------------------------------------------

(define (described procedure text)
  "PROCEDURE, which is from now on called TEXT where settings are compared or recorded.
Example: (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                       #:rate (described (lambda (step steps) (/ 1e-2 (+ step 10))) \"1e-2 / (step + 10)\"))"
  (set-procedure-property! procedure 'description text)
  procedure)

(define (procedure-description procedure)
  "The text that `described' gave PROCEDURE, else its name, or #f.
Example: (procedure-description (constant-rate 1e-4)) => \"1.0e-4\""
  (or (procedure-property procedure 'description)
      (and=> (procedure-name procedure) symbol->string)))

;;; --- Texts --------------------------------------------------------------------

(define-syntax-rule (document (name text) ...)
  ;; Of the names, which this module defines.
  (begin (set-documentation! (module-variable (current-module) 'name) text) ...))

(define (set-documentation! variable text)
  (set-object-property! variable 'documentation text)
  ;; Where Guile's own tools look for the text of a record's field.
  (let ((value (variable-ref variable)))
    (when (macro? value)
      (set-procedure-property! (macro-transformer value) 'documentation text))))

(define (face)
  (resolve-interface '(tempera)))

(define (documented-names)
  "All that (tempera) exports, symbols in alphabetical order.
Example: (pair? (memq 'anneal (documented-names))) => #t"
  (sort (module-map (lambda (name variable) name) (face))
        (lambda (a b) (string<? (symbol->string a) (symbol->string b)))))

(define (name-documentation name)
  "The text that documents NAME, a symbol that (tempera) exports; #f where there is none.
Example: (string? (name-documentation 'anneal)) => #t"
  (let ((variable (module-variable (face) name)))
    (and variable
         (or (object-property variable 'documentation)
             (let ((value (variable-ref variable)))
               (and (or (procedure? value) (macro? value)) (object-documentation value)))))))

(define (documentation-parts text)
  "Three values of a docstring TEXT: what it says, the source of its example, and what that
gives as printed; each of the last two #f where there is none.  An example is the end of a
docstring: the word Example and a colon, an expression, and where what it gives is worth
saying, => and that.
Example: (documentation-parts \"The sum.\") => \"The sum.\" #f #f"
  (let ((at (and text (string-contains text "\nExample:"))))
    (if (not at)
        (values (and text (string-trim-right text)) #f #f)
        (let* ((rest (substring text (+ at (string-length "\nExample:"))))
               (end (call-with-input-string rest
                      (lambda (port) (read port) (ftell port))))
               (tail (string-trim-both (substring rest end))))
          (values (string-trim-right (substring text 0 at))
                  (string-trim-both (substring rest 0 end))
                  (and (string-prefix? "=>" tail) (string-trim-both (substring tail 2))))))))

;;; --- Sources ------------------------------------------------------------------

(define (name-module name)
  "The module, such as (tempera sample anneal), from which (tempera) has NAME; #f for a name that
it has not.
Example: (name-module 'anneal) => (tempera sample anneal)"
  (any (lambda (entry) (and (memq name (cdr entry)) `(tempera ,@(car entry))))
       (module-ref (resolve-module '(tempera)) 'face)))

(define sources (make-hash-table))      ; module -> forms

(define (source-forms module)
  (or (hash-ref sources module)
      (let ((forms (read-forms module)))
        (hash-set! sources module forms)
        forms)))

(define (read-forms module)
  ;; All forms of the file of MODULE; none where that is not installed.
  (let ((path (%search-load-path (string-append (string-join (map symbol->string module) "/") ".scm"))))
    (if path
        (call-with-input-file path
          (lambda (port)
            (let loop ((forms '()))
              (let ((form (read port)))
                (if (eof-object? form) (reverse forms) (loop (cons form forms))))))
          #:encoding "UTF-8")
        '())))

(define (type-symbol type)
  (string->symbol (string-trim-both (symbol->string type) (string->char-set "<>"))))

(define (record-signature name form)
  ;; Where NAME is of the record type or class that FORM defines.
  (match form
    (('define-class type _ . slots)
     (and (any (lambda (slot) (and (pair? slot) (memq name (cdr slot)))) slots)
          `(,name ,(type-symbol type))))
    ((or ('define-record-type type constructor predicate fields ...)
         ('define-immutable-record-type type constructor predicate fields ...))
     (let ((record (type-symbol type)))
       (cond ((eq? name predicate) `(,name object))
             ((and (pair? constructor) (eq? name (car constructor))) constructor)
             ((find (lambda (field) (and (pair? (cdr field)) (eq? name (cadr field)))) fields)
              `(,name ,record))
             (else #f))))
    (_ #f)))

(define (form-signature name form)
  (if (and (pair? form) (memq (car form) '(define define*)) (pair? (cdr form)) (pair? (cadr form)))
      (and (eq? name (caadr form)) (cadr form))
      (record-signature name form)))

(define (primitive-signature name value)
  (let ((arguments (procedure-arguments value)))
    (define (part key) (or (assq-ref arguments key) '()))
    `(,name ,@(part 'required)
            ,@(if (null? (part 'optional)) '() (cons #:optional (part 'optional)))
            ,@(match (part 'keyword)
                (() '())
                (keywords (cons #:key (map (lambda (k) (keyword->symbol (car k))) keywords))))
            ,@(match (assq-ref arguments 'rest)
                ((? symbol? rest) (list #:rest rest))
                (_ '())))))

(define (name-signature name)
  "How NAME, which (tempera) exports, is called: a list of it and its arguments, defaults
included; #f for what is not called.
Example: (name-signature 'power-law) => (power-law size #:key (exponent 1.5) (reference 100))"
  (let* ((module (name-module name))
         (value (and module (module-ref (resolve-interface module) name))))
    (and module
         (or (any (lambda (form) (form-signature name form))
                  (if (equal? module '(tempera tensor primitives)) '() (source-forms module)))
             (and (procedure? value) (primitive-signature name value))))))

(define (datum-text datum)
  ;; As one writes it: 'x for (quote x).
  (cond ((and (pair? datum) (eq? 'quote (car datum)) (pair? (cdr datum)) (null? (cddr datum)))
         (string-append "'" (datum-text (cadr datum))))
        ((list? datum) (format #f "(~a)" (string-join (map datum-text datum) " ")))
        ((pair? datum) (format #f "(~a . ~a)" (datum-text (car datum)) (datum-text (cdr datum))))
        (else (object->string datum))))

(define (argument-texts name)
  "The arguments of NAME, which (tempera) exports, as a list of strings; a rest argument is the
last after \".\".
Example: (argument-texts 'power-law) => (\"size\" \"#:key\" \"(exponent 1.5)\" \"(reference 100)\")"
  (let loop ((rest (cdr (or (name-signature name) (list name)))))
    (cond ((null? rest) '())
          ((pair? rest) (cons (datum-text (car rest)) (loop (cdr rest))))
          (else (list "." (datum-text rest))))))

(define (name-kind name)
  "What NAME, which (tempera) exports, is: procedure, syntax or value.
Example: (name-kind 'anneal) => procedure"
  (let ((value (module-ref (face) name)))
    (cond ((procedure? value) 'procedure)
          ((not (macro? value)) 'value)
          ;; Fields of records are macros for speed, and may be used as procedures.
          ((name-signature name) 'procedure)
          (else 'syntax))))

(document
 (document
  "(document (NAME TEXT) ...)
Document each NAME, which this module defines and which has no docstring of its own: a
value, a record's field, a macro.
Example: (begin (define answer 42) (document (answer \"Of everything.\")))"))
