;;; spelling.scm -- of names that are known, the one that a wrong name was most likely meant to be.

(define-module (tempera base spelling)
  #:use-module (srfi srfi-1)
  #:export (nearest-name unknown-name-text))

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
