;;; parameters.scm -- named, typed values that come as text.
;;;
;;; A script's parameters, a command's, and the options of the command line are the same thing: a
;;; name, a type, a default, a range, and a line that explains it, declared by one form.  The text is
;;; read according to the type.  If it does not fit, the error says the parameter's name, what was
;;; expected and what came.

(define-module (tempera base parameters)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:export (make-parameter-spec parameter-spec? parameter-specs
            parameter-name parameter-type parameter-default parameter-required?
            parameter-predicate parameter-range parameter-documentation
            parameter-parse parameter-check parameter-text value-type))

(define-record-type <parameter-spec>
  (%make-parameter-spec name type default required? predicate range documentation)
  parameter-spec?
  (name parameter-name)
  (type parameter-type)
  (default parameter-default)           ; #f of any type: not given
  (required? parameter-required?)
  (predicate parameter-predicate)
  (range parameter-range)               ; the predicate as text, "0 < ratio < 1", or #f
  (documentation parameter-documentation))

(set-record-type-printer! <parameter-spec>
  (lambda (spec port)
    (format port "#<parameter ~a ~a, default ~s>"
            (parameter-name spec) (parameter-type spec) (parameter-default spec))))

(define (text->number text)
  ;; The number that TEXT spells, or #f; of 1e400 `string->number' makes an error.
  (false-if-error (string->number text)))

(define types
  ;; A type: its name, what its text should look like, how help writes it, who it recognises among
  ;; values, and the reader of its text (#f when the text does not fit).
  `((flag    "yes or no" "yes" ,boolean?
             ,(lambda (text)
                (cond ((member text '("yes" "true" "on" "#t" "1")) 'yes)
                      ((member text '("no" "false" "off" "#f" "0")) 'no)
                      (else #f))))
    (integer "an integer" "N" ,exact-integer?
             ,(lambda (text)
                (let ((n (text->number text)))
                  (and n (real? n) (integer? n) (finite? n) (inexact->exact n)))))
    (number  "a number" "N" ,(lambda (value) (and (real? value) (finite? value)))
             ,(lambda (text)
                (let ((n (text->number text)))
                  (and n (real? n) (finite? n) n))))
    (estimate "a positive number or auto" "N|auto"
             ,(lambda (value) (or (eq? value 'auto) (and (real? value) (finite? value) (> value 0))))
             ,(lambda (text)
                (if (string=? text "auto")
                    'auto
                    (let ((n (text->number text)))
                      (and n (real? n) (finite? n) (> n 0) n)))))
    (string  "text" "TEXT" ,string? ,identity)
    (file    "the name of a file or folder" "FILE" ,string? ,identity)
    (symbol  "a name" "NAME" ,symbol?
             ,(lambda (text) (and (not (string-null? text)) (string->symbol text))))
    (numbers "numbers separated by commas" "N,N,..."
             ,(lambda (value) (and (list? value) (every real? value)))
             ,(lambda (text)
                (let ((numbers (map text->number
                                    (string-tokenize
                                     text (char-set-complement (string->char-set " ,()"))))))
                  (and (every (lambda (n) (and n (real? n) (finite? n))) numbers)
                       numbers))))))

(define (type-ref type)
  (or (assq-ref types type)
      (complain 'make-parameter-spec "type: expected one of ~a, got ~a"
                (map car types) type)))

(define (value-type value)
  "The type (flag, integer, number, string, symbol, numbers) that VALUE has, or
#f when it has none of them."
  (any (lambda (entry) (and ((cadddr entry) value) (car entry))) types))

(define* (make-parameter-spec name #:key default (type (value-type default)) (required? #f)
                              (predicate (const #t)) (source #f) (documentation ""))
  "A parameter NAME (a symbol) of TYPE: flag, integer, number, string, file (which must be there),
symbol, numbers (a list) or estimate (a positive number or auto); when not given, the type of DEFAULT.  A parameter that is REQUIRED? has
no default; another one may have #f, which stands for none.  PREDICATE is true of the values that
it takes; SOURCE, what it was written as, is what errors and help say of them (\"chains > 0\");
DOCUMENTATION is one line.  See `parameter-specs', the usual way to one.
Example: (make-parameter-spec 'chains #:default 8 #:predicate positive?)"
  (check-that (symbol? name) 'make-parameter-spec "name: expected a symbol, got ~s" name)
  (check-that type 'make-parameter-spec
              "~a: expected a number, text, symbol, boolean or list of numbers as default, got ~s"
              name default)
  (type-ref type)
  (%make-parameter-spec name type default required? predicate (range-text name source)
                        documentation))

;;; --- The form that declares them ------------------------------------------------

(define-syntax parameter-specs
  (lambda (form)
    "(parameter-specs (NAME DEFAULT PREDICATE DOCUMENTATION) ...)
A list of parameters.  PREDICATE and DOCUMENTATION may be left out.  Text takes the type of DEFAULT:
an integer, number, string, symbol, boolean or list of numbers.  (optional TYPE) stands for a default
of #f, (required TYPE) for none at all, where TYPE is integer, number, string, file, symbol, numbers or
estimate, a positive number or the symbol auto.
A PREDICATE such as (lambda (r) (< 0 r 1)) is what errors and help say of the range: 0 < NAME < 1.
Example: (parameter-specs (chains 8 positive? \"samples to draw\") (mask (optional file)))"
    (syntax-case form ()
      ((_ spec ...) #'(list (parameter-of spec) ...)))))

(define-syntax parameter-of
  (lambda (form)
    (syntax-case form (optional required)
      ((_ (name default))
       #'(parameter-of (name default (const #t) "")))
      ((_ (name default documentation))
       (string? (syntax->datum #'documentation))
       #'(parameter-of (name default (const #t) documentation)))
      ((_ (name default predicate))
       #'(parameter-of (name default predicate "")))
      ((_ (name (optional type) predicate documentation))
       #'(make-parameter-spec 'name #:type 'type #:predicate predicate
                              #:source 'predicate #:documentation documentation))
      ((_ (name (required type) predicate documentation))
       #'(make-parameter-spec 'name #:type 'type #:required? #t #:predicate predicate
                              #:source 'predicate #:documentation documentation))
      ((_ (name default predicate documentation))
       #'(make-parameter-spec 'name #:default default #:predicate predicate
                              #:source 'predicate #:documentation documentation)))))

(define (range-text name predicate)
  ;; What the source of PREDICATE says of the parameter NAME, as text; #f when it says little.
  (define (named variable expression)
    (cond ((eq? expression variable) name)
          ((pair? expression) (cons (named variable (car expression))
                                    (named variable (cdr expression))))
          (else expression)))
  (define (choices all)
    (match (map object->string (filter identity all))
      ((one) one)
      ((one ... last) (string-append (string-join one ", ") " or " last))))
  (define (text expression)
    (match expression
      (((and comparison (or '< '<= '> '>=)) terms ..1)
       (string-join (map object->string terms) (format #f " ~a " comparison)))
      (((or 'memq 'memv 'member) _ ('quote (all ..1))) (choices all))
      (('and parts ..1) (string-join (map text parts) " and "))
      (_ (object->string expression))))
  (match predicate
    ('positive? (format #f "~a > 0" name))
    (('lambda (variable) expression) (text (named variable expression)))
    (_ #f)))

;;; --- Values and text --------------------------------------------------------------

(define (expected-text spec)
  (let ((name (and (procedure? (parameter-predicate spec))
                   (procedure-name (parameter-predicate spec)))))
    (string-append (car (type-ref (parameter-type spec)))
                   (cond ((parameter-range spec) => (lambda (range) (string-append ", " range)))
                         (name (format #f " for which `~a' holds" name))
                         (else "")))))

(define (parameter-check who spec value)
  "VALUE, if SPEC's type and predicate take it; else an error from WHO.  #f is none given."
  (define none? (and (not value) (not (eq? 'flag (parameter-type spec)))))
  (unless (and none? (not (parameter-required? spec)) (not (parameter-default spec)))
    (check-that (and ((caddr (type-ref (parameter-type spec))) value)
                     ((parameter-predicate spec) value))
                who "~a: expected ~a, got ~a" (parameter-name spec) (expected-text spec)
                (if none? "none" (object->string value)))
    (when (eq? 'file (parameter-type spec))
      (check-that (file-exists? value) who "~a: no such file" value)))
  value)

(define (parameter-parse who spec text)
  "The value of the parameter SPEC that TEXT spells; else an error from WHO."
  (let ((value ((cadddr (type-ref (parameter-type spec))) text)))
    (check-that value who "~a: expected ~a, got ~s" (parameter-name spec) (expected-text spec) text)
    (parameter-check who spec
                     (if (eq? (parameter-type spec) 'flag) (eq? value 'yes) value))))

(define (parameter-text spec)
  "The parameter SPEC at its default, as one would write it: \"chains=8\"; one that has none as
\"mask=FILE\"."
  (format #f "~a=~a" (parameter-name spec)
          (let ((value (parameter-default spec)))
            (cond ((eq? value #t) "yes")
                  (value (if (list? value) (string-join (map number->string value) ",") value))
                  ((eq? 'flag (parameter-type spec)) "no")
                  (else (cadr (type-ref (parameter-type spec))))))))
