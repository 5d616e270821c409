;;; values.scm -- plain values in text files: JSON, and Scheme data.
;;;
;;; What is read is never evaluated, and is looked over before it is parsed: both parsers recurse
;;; and believe in numbers of any length, and a hostile file would overflow the stack or take
;;; hours.  All Scheme data that come from files are read here, in files of their own or not.

(define-module (tempera file values)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (ice-9 pretty-print)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:autoload (json parser) (json-string->scm)
  #:autoload (json builder) (scm->json-string)
  #:export (no-sum sum-text with-sum json-text parse-json load-json save-json datum? read-datum load-datum save-datum))

(define longest-word 1000)              ; in characters: a symbol or number of data

(define* (looked-over text #:key (deepest 64) (scheme? #f))
  ;; What is wrong with TEXT, a string, or #f: brackets, or the quotes of Scheme, that nest deeper
  ;; than DEEPEST, and longer words.  Found without the recursion that reading it would cost.  Of
  ;; Scheme's notations with # only those of data are known here, lest brackets hide in others.
  (define end (string-length text))
  (define (after i prefix)              ; the place behind PREFIX from I on
    (let ((place (string-contains text prefix i)))
      (if place (+ place (string-length prefix)) end)))
  (let loop ((i 0) (depth 0) (quotes 0) (word 0))
    (cond
     ((> depth deepest) (format #f "nested deeper than ~a" deepest))
     ((> quotes deepest) (format #f "nested deeper than ~a" deepest))
     ((> word longest-word) (format #f "a word of it is longer than ~a characters" longest-word))
     ((>= i end) #f)
     (else
      (let ((c (string-ref text i)))
        (case c
          ((#\") (let in-string ((i (1+ i)))
                   (cond ((>= i end) #f)
                         ((char=? #\\ (string-ref text i)) (in-string (+ i 2)))
                         ((char=? #\" (string-ref text i)) (loop (1+ i) depth 0 0))
                         (else (in-string (1+ i))))))
          ((#\[ #\{ #\() (loop (1+ i) (1+ depth) 0 0))
          ((#\] #\} #\)) (loop (1+ i) (1- depth) 0 0))
          ((#\' #\` #\, #\@) (loop (1+ i) depth (1+ quotes) 0))
          ((#\;) (loop (after i "\n") depth quotes 0))
          ((#\#)
           (cond ((not scheme?) (loop (1+ i) depth quotes (1+ word)))
                 ((>= (1+ i) end) "it ends in #")
                 ((> word 0) (loop (1+ i) depth 0 (1+ word))) ; inside of a symbol
                 (else
                  (case (string-ref text (1+ i))
                    ((#\() (loop (1+ i) depth quotes 0))
                    ((#\{) (let ((behind (after i "}#")))
                             (loop behind depth 0 (- behind i))))
                    ((#\t #\f #\: #\e #\i #\b #\o #\d #\x) (loop (+ i 2) depth 0 2))
                    (else (format #f "its text is not understood as Scheme data: #~a"
                                  (string-ref text (1+ i))))))))
          (else (if (char-whitespace? c)
                    (loop (1+ i) depth quotes 0)
                    (loop (1+ i) depth 0 (1+ word))))))))))

;;; --- Checksums ------------------------------------------------------------------

;; A file of ours says at a place of its own what zlib's crc32 of it is, with 8 zeros in that
;; place; so a bit that has flipped is an error and not another number.

(define no-sum "00000000")

(define (sum-text crc)
  "The checksum CRC in the 8 digits of files.
Example: (sum-text 255) => \"000000ff\""
  (string-pad (number->string crc 16) 8 #\0))

(define (with-sum text label crc)
  "TEXT, in which LABEL comes before 8 zeros, with the digits of CRC in their place.
Example: (with-sum \"crc32 00000000\" \"crc32 \" 255) => \"crc32 000000ff\""
  (let ((at (+ (string-contains text label) (string-length label))))
    (string-append (substring text 0 at) (sum-text crc) (substring text (+ at 8)))))

(define datum-label "; crc32 ")

(define (with-last-line text)
  (let ((text (string-append text datum-label no-sum "\n")))
    (with-sum text datum-label (crc32 text))))

(define (last-line-wrong text)
  ;; What is wrong with TEXT by the checksum in its last line, or #f.  A line that differs by
  ;; little from one with a checksum was one.
  (let* ((size (+ (string-length datum-label) 9))
         (start (- (string-length text) size))
         (model (string-append datum-label no-sum "\n"))
         (line (if (< start 0) "" (substring text start)))
         (likeness (count (lambda (c m) (or (char=? c m) (and (char=? m #\0) (char-set-contains? char-set:hex-digit c))))
                          (string->list line) (string->list model))))
    (cond ((< likeness (1- size)) #f)
          ((string=? text (with-last-line (substring text 0 (max 0 start)))) #f)
          (else "it is not as it was written: its checksum, in its last line, is another; where it was \
changed on purpose, remove that line"))))

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
  (let ((wrong (looked-over text #:deepest 32)))
    (check-that (not wrong) who "~a: JSON: ~a" path wrong))
  (catch-errors
    (lambda () (json-string->scm text))
    (lambda _ (complain who "~a: its JSON is not understood" path))))

(define (load-json path)
  "What the JSON file PATH holds: alists with string keys, vectors, numbers.
Example: (begin (save-json \"a.json\" '((\"gamma\" . 0.9))) (load-json \"a.json\")) => ((\"gamma\" . 0.9))"
  (check-file 'load-json path)
  (parse-json 'load-json path (call-with-input-file path get-string-all #:encoding "UTF-8")))

;;; --- Scheme data --------------------------------------------------------------

(define (datum? value)
  "Whether VALUE is data that `save-datum' writes and `load-datum' reads as it was: numbers,
text, symbols, keywords, booleans, and lists, pairs and vectors of such.
Example: (datum? '((psnr . 28.1))) => #t"
  (cond ((pair? value) (and (datum? (car value)) (datum? (cdr value))))
        ((vector? value) (every datum? (vector->list value)))
        (else (or (number? value) (string? value) (symbol? value) (keyword? value)
                  (boolean? value) (null? value)))))

(define (save-datum path value)
  "Write VALUE, data as `datum?' says, to the file PATH for `load-datum', whole or not at all.
Example: (save-datum \"config.scm\" '((steps . 500) (rate . 1e-3)))"
  (check-that (datum? value) 'save-datum
              "value: expected numbers, text, symbols, booleans and lists of them, got ~s" value)
  (save-text path (with-last-line
                    (call-with-output-string (lambda (port) (pretty-print value port))))))

(define largest-datum (* 16 1024 1024)) ; in bytes; more is no config

(define* (read-datum text #:optional (otherwise (const #f)))
  "The one datum that TEXT, a string from a file, is written as.  It is read and never evaluated.  Where
TEXT is none, or nested or long beyond measure, what OTHERWISE gives, called with what is wrong, a
string.
Example: (read-datum \"(paper-unet #:channels (4 8))\") => (paper-unet #:channels (4 8))"
  (let ((wrong (if (string? text) (looked-over text #:scheme? #t) "expected text")))
    (if wrong
        (otherwise wrong)
        (match (catch-errors
                 (lambda ()
                   (with-fluids ((read-eval? #f))
                     (call-with-input-string text
                       (lambda (port) (let ((value (read port))) (list value (read port)))))))
                 (const #f))
          (#f (otherwise "its text is not understood as Scheme data"))
          (((? datum? value) (? eof-object?)) value)
          (_ (otherwise "expected one datum of numbers, text, symbols, booleans and lists"))))))

(define (load-datum path)
  "The one datum in the file PATH, see `read-datum'.  Where its last line is a checksum, as `save-datum'
writes one, that has to be right.
Example: (load-datum \"runs/two-moons/config.scm\")"
  (define (refuse text) (complain 'load-datum "~a: ~a" path text))
  (check-file 'load-datum path)
  (let ((size (stat:size (stat path))))
    (check-that (<= size largest-datum) 'load-datum "~a: ~a bytes are more than the ~a of a datum"
                path size largest-datum))
  (let* ((text (catch-errors
                 (lambda () (call-with-input-file path get-string-all #:encoding "UTF-8"))
                 (lambda _ (refuse "cannot be read as text"))))
         (wrong (last-line-wrong text)))
    (when wrong (refuse wrong))
    (read-datum text refuse)))
