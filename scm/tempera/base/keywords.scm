;;; keywords.scm -- lists of keywords and values, as #:rest has them: some of them, and the others.

(define-module (tempera base keywords)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:export (split-options without-keywords))

(define (split-options who own options)
  "Two values: those of OPTIONS, keywords and values, whose keywords are among OWN, and the rest;
errors are of WHO."
  (let loop ((rest options) (mine '()) (others '()))
    (match rest
      (() (values (reverse mine) (reverse others)))
      (((? keyword? key) value . rest)
       (if (memq key own)
           (loop rest (cons* value key mine) others)
           (loop rest mine (cons* value key others))))
      (_ (complain who "expected keywords and values, got ~s" rest)))))

(define (without-keywords who options . keywords)
  "OPTIONS, keywords and values, but for those whose keywords are among KEYWORDS; errors are of
WHO.
Example: (without-keywords 'show '(#:low 0 #:title \"scan\") #:title) => (#:low 0)"
  (call-with-values (lambda () (split-options who keywords options))
    (lambda (theirs others) others)))
