;;; values.scm -- plain values in text files: JSON, and Scheme data.
;;;
;;; What is read is never evaluated, and how deep it nests is looked at before it is parsed: both
;;; parsers recurse, and a hostile file would overflow the stack.

(define-module (tempera file values)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 pretty-print)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:autoload (json parser) (json-string->scm)
  #:autoload (json builder) (scm->json-string)
  #:export (json-text parse-json load-json save-json datum? load-datum save-datum))

(define (nesting text)
  ;; How deep the brackets of TEXT nest, or the quotes of Scheme, without the recursion that
  ;; reading a hostile one would cost.
  (let loop ((i 0) (depth 0) (deepest 0) (quotes 0) (in-string? #f))
    (if (= i (string-length text))
        deepest
        (let ((c (string-ref text i)))
          (cond ((and in-string? (char=? c #\\))
                 (loop (min (+ i 2) (string-length text)) depth deepest 0 #t))
                ((char=? c #\") (loop (1+ i) depth deepest 0 (not in-string?)))
                (in-string? (loop (1+ i) depth deepest 0 #t))
                ((memv c '(#\[ #\{ #\())
                 (loop (1+ i) (1+ depth) (max deepest (1+ depth)) 0 #f))
                ((memv c '(#\] #\} #\))) (loop (1+ i) (1- depth) deepest 0 #f))
                ((memv c '(#\' #\` #\, #\@ #\;))
                 (loop (1+ i) depth (max deepest (1+ quotes)) (1+ quotes) #f))
                ((or (char-whitespace? c) (char=? c #\#)) (loop (1+ i) depth deepest quotes #f))
                (else (loop (1+ i) depth deepest 0 #f)))))))

;;; --- JSON -----------------------------------------------------------------------

(define* (json-text value #:key (pretty #f))
  "VALUE as JSON: alists with string keys are objects, vectors are lists; numbers may be exact,
and infinite ones become null.
Example: (json-text '((\"a\" . 1/2))) => \"{\\\"a\\\":0.5}\""
  (call-with-output-string
    (lambda (port)
      (string-for-each
       (lambda (c)
         ;; guile-json leaves these as they are, and what reads JSON does not take them.
         (if (and (char<? c #\space) (not (char=? c #\newline)))
             (format port "\\u00~a" (string-pad (number->string (char->integer c) 16) 2 #\0))
             (display c port)))
       (scm->json-string (plain value) #:pretty pretty)))))

(define (save-json path value)
  "Write VALUE to the file PATH as `json-text' has it, in lines.
Example: (save-json \"summary.json\" '((\"gamma\" . 0.9) (\"sizes\" . #(64 64))))"
  (save-text path (string-append (json-text value #:pretty #t) "\n")))

(define (plain value)
  ;; VALUE as guile-json writes it: no fractions, no infinities.
  (cond ((and (real? value) (not (and (rational? value) (finite? value)))) 'null)
        ((exact-integer? value) value)
        ((real? value) (exact->inexact value))
        ((vector? value) (vector-map-in-order plain value))
        ((pair? value) (map (lambda (entry) (cons (car entry) (plain (cdr entry)))) value))
        (else value)))

(define (vector-map-in-order procedure vector)
  (list->vector (map-in-order procedure (vector->list vector))))

(define (parse-json who path text)
  "The value of TEXT, JSON from the file PATH, as `load-json' gives it; errors are of WHO.
Example: (parse-json 'f \"a.json\" \"[1, 2]\") => #(1 2)"
  (check-that (<= (nesting text) 32) who "~a: JSON nested deeper than 32" path)
  (catch-errors
   (lambda () (json-string->scm text))
   (lambda _ (complain who "~a: its JSON is not understood" path))))

(define (load-json path)
  "What the JSON file PATH holds: alists with string keys, vectors, numbers.
Example: (begin (save-json \"a.json\" '((\"gamma\" . 0.9))) (load-json \"a.json\")) => ((\"gamma\" . 0.9))"
  (check-path 'load-json path)
  (check-that (file-exists? path) 'load-json "~a: no such file" path)
  (parse-json 'load-json path (call-with-input-file path get-string-all #:encoding "UTF-8")))

;;; --- Scheme data --------------------------------------------------------------

(define (datum? value)
  "Whether VALUE is data that `save-datum' writes and `load-datum' reads as it was: numbers,
text, symbols, booleans, and lists, pairs and vectors of such.
Example: (datum? '((psnr . 28.1))) => #t"
  (cond ((pair? value) (and (datum? (car value)) (datum? (cdr value))))
        ((vector? value) (every datum? (vector->list value)))
        (else (or (number? value) (string? value) (symbol? value) (boolean? value)
                  (null? value)))))

(define (save-datum path value)
  "Write VALUE, data as `datum?' says, to the file PATH for `load-datum', whole or not at all.
Example: (save-datum \"config.scm\" '((steps . 500) (rate . 1e-3)))"
  (check-that (datum? value) 'save-datum
              "value: expected numbers, text, symbols, booleans and lists of them, got ~s" value)
  (save-text path (call-with-output-string (lambda (port) (pretty-print value port)))))

(define largest-datum (* 16 1024 1024)) ; in bytes; more is no config

(define (load-datum path)
  "The one datum in the file PATH.  It is read and never evaluated.
Example: (load-datum \"runs/two-moons/config.scm\")"
  (define (refuse . text) (apply complain 'load-datum "~a: ~a" path text))
  (check-path 'load-datum path)
  (check-that (and (file-exists? path) (not (file-is-directory? path))) 'load-datum
              "~a: no such file" path)
  (let ((size (stat:size (stat path))))
    (check-that (<= size largest-datum) 'load-datum "~a: ~a bytes are more than the ~a of a datum"
                path size largest-datum))
  (let ((text (catch-errors
               (lambda () (call-with-input-file path get-string-all #:encoding "UTF-8"))
               (lambda _ (refuse "cannot be read as text")))))
    (check-that (<= (nesting text) 64) 'load-datum "~a: nested deeper than 64" path)
    (let ((value+rest
           (catch-errors
            (lambda ()
              (with-fluids ((read-eval? #f))
                (call-with-input-string text
                  (lambda (port) (let ((value (read port))) (cons value (read port)))))))
            (lambda _ (refuse "its text is not understood as Scheme data")))))
      (check-that (and (datum? (car value+rest)) (eof-object? (cdr value+rest))) 'load-datum
                  "~a: expected one datum of numbers, text, symbols, booleans and lists" path)
      (car value+rest))))
