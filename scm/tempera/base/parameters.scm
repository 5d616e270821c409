;;; parameters.scm -- named, typed values that come as text.
;;;
;;; An experiment's key=value and a command's --option are the same thing: a
;;; name, a type, a default, a predicate, and a line that explains it.  The text
;;; is read according to the type.  If it does not fit, the error says the parameter's
;;; name, what came and what was expected.

(define-module (tempera base parameters)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base errors)
  #:export (make-parameter-spec parameter-spec?
            parameter-name parameter-type parameter-default
            parameter-predicate parameter-documentation
            parameter-parse parameter-check value-type
            nearest-name unknown-name-text))

(define-record-type <parameter-spec>
  (%make-parameter-spec name type default predicate documentation)
  parameter-spec?
  (name parameter-name)
  (type parameter-type)
  (default parameter-default)
  (predicate parameter-predicate)
  (documentation parameter-documentation))

(set-record-type-printer! <parameter-spec>
  (lambda (spec port)
    (format port "#<parameter ~a ~a, default ~s>"
            (parameter-name spec) (parameter-type spec) (parameter-default spec))))

(define types
  ;; A type: its name, what its text should look like, who it recognises among
  ;; values, and the reader of its text (#f when the text does not fit).
  `((flag    "yes or no" ,boolean?
             ,(lambda (text)
                (cond ((member text '("yes" "true" "on" "#t" "1")) 'yes)
                      ((member text '("no" "false" "off" "#f" "0")) 'no)
                      (else #f))))
    (integer "an integer" ,exact-integer?
             ,(lambda (text)
                (let ((n (string->number text)))
                  (and n (real? n) (integer? n) (finite? n) (inexact->exact n)))))
    (number  "a number" ,(lambda (value) (and (real? value) (finite? value)))
             ,(lambda (text)
                (let ((n (string->number text)))
                  (and n (real? n) (finite? n) n))))
    (string  "text" ,string? ,identity)
    (symbol  "a name" ,symbol?
             ,(lambda (text) (and (not (string-null? text)) (string->symbol text))))
    (numbers "numbers separated by commas"
             ,(lambda (value) (and (list? value) (every real? value)))
             ,(lambda (text)
                (let ((numbers (map string->number
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
  (any (lambda (entry) (and ((caddr entry) value) (car entry))) types))

(define* (make-parameter-spec name #:key default (type (value-type default))
                              (predicate (const #t)) (documentation ""))
  "A parameter NAME (a symbol) of TYPE: flag, integer, number, string, symbol or
numbers (a list); when not given, the type of DEFAULT.  PREDICATE is true of the
values that it takes; DOCUMENTATION is one line.
Example: (make-parameter-spec 'chains #:default 8 #:predicate positive?)"
  (check-that (symbol? name) 'make-parameter-spec "name: expected a symbol, got ~s" name)
  (check-that type 'make-parameter-spec
              "~a: expected a number, text, symbol, boolean or list of numbers as default, got ~s"
              name default)
  (type-ref type)
  (%make-parameter-spec name type default predicate documentation))

(define (predicate-text spec)
  (let ((name (and (procedure? (parameter-predicate spec))
                   (procedure-name (parameter-predicate spec)))))
    (if name (format #f " for which `~a' holds" name) "")))

(define (parameter-check who spec value)
  "VALUE, if SPEC's type and predicate take it; else an error from WHO."
  (let ((type (type-ref (parameter-type spec))))
    (check-that ((cadr type) value) who "~a: expected ~a, got ~s"
                (parameter-name spec) (car type) value)
    (check-that ((parameter-predicate spec) value) who "~a: expected ~a~a, got ~s"
                (parameter-name spec) (car type) (predicate-text spec) value)
    value))

(define (parameter-parse who spec text)
  "The value of the parameter SPEC that TEXT spells; else an error from WHO."
  (let* ((type (type-ref (parameter-type spec)))
         (value ((caddr type) text)))
    (check-that value who "~a: expected ~a, got ~s" (parameter-name spec) (car type) text)
    (parameter-check who spec
                     (if (eq? (parameter-type spec) 'flag) (eq? value 'yes) value))))

(define (edit-distance a b)
  ;; Levenshtein's: insertions, deletions, substitutions.
  (let loop ((i 1) (row (iota (1+ (string-length b)))))
    (if (> i (string-length a))
        (last row)
        (loop (1+ i)
              (reverse
               (fold (lambda (j above-left above new)
                       (cons (min (1+ above) (1+ (car new))
                                  (+ above-left
                                     (if (char=? (string-ref a (1- i)) (string-ref b (1- j)))
                                         0 1)))
                             new))
                     (list i)
                     (iota (string-length b) 1)
                     row
                     (cdr row)))))))

(define* (nearest-name name names #:key (beginnings? #t))
  "The string of NAMES that NAME was most likely meant to be, or #f if none is
near: at most two letters or a third of them changed, or with BEGINNINGS? one
begins with the other."
  (let ((near (filter-map
               (lambda (candidate)
                 (let ((distance (edit-distance name candidate)))
                   (cond ((and beginnings? (>= (string-length name) 2)
                               (or (string-prefix? name candidate)
                                   (string-prefix? candidate name)))
                          (cons 1 candidate))
                         ((and (<= distance (max 2 (quotient (string-length candidate) 3)))
                               (< distance (min (string-length name)
                                                (string-length candidate))))
                          (cons distance candidate))
                         (else #f))))
               names)))
    (and (pair? near)
         (cdr (reduce (lambda (a b) (if (< (car a) (car b)) a b)) #f near)))))

(define (unknown-name-text kind name names)
  "What to say of the unknown NAME of a KIND of thing when NAMES are known:
\"unknown option --chanis; did you mean --chains? known: --chains --out\"."
  (let ((nearest (nearest-name name names)))
    (format #f "unknown ~a ~a~a~a" kind name
            (if nearest (format #f "; did you mean ~a?" nearest) "")
            (if (null? names) "; there are none"
                (format #f "~a known: ~a" (if nearest "" ";") (string-join names " "))))))
