;;; comparison.scm -- do chains agree, and what did each cost?
;;;
;;; Chains on one target, with different settings or seeds, should have the same mean and standard
;;; deviation up to Monte Carlo error.  For independent samples that error is known, and
;;; differences are given in units of it.

(define-module (tempera see comparison)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera base numbers)
  #:use-module (tempera see plots)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera sample chain)
  #:use-module (tempera see show)
  #:use-module (tempera file tables)
  #:use-module (tempera tensor tensors)
  #:export (compare chain-comparison? chain-comparison-chains chain-comparison-table
            chain-comparison-differences chain-comparison-r-hat chain-comparison-notes))

(define-record-type <chain-comparison>
  (make-chain-comparison chains titles table differences r-hat notes)
  chain-comparison?
  (chains chain-comparison-chains)
  (titles comparison-titles)
  (table chain-comparison-table)
  (differences chain-comparison-differences) ; a table
  (r-hat chain-comparison-r-hat)         ; a tensor, or #f if the samples do not allow it
  (notes chain-comparison-notes))        ; strings

(set-record-type-printer! <chain-comparison>
  (lambda (c port)
    (display (string-join
              (cons (format #f "#<comparison of ~a chains:" (length (chain-comparison-chains c)))
                    (map (lambda (line) (string-append "  " line))
                         (append-map lines
                                     (append (map table-text (list (chain-comparison-table c)
                                                                   (chain-comparison-differences c)))
                                             (chain-comparison-notes c)))))
              "\n")
             port)
    (display ">" port)))

(define (lines text)
  (string-split (string-trim-right text #\newline) #\newline))

;;; --- Numbers ------------------------------------------------------------------

(define (root-mean-square tensor)
  (sqrt (/ (tensor->number (tensor-sum-squares tensor)) (tensor-count tensor))))

(define (number-of-samples chain) (first (tensor-shape (chain-samples chain))))

(define (samples-of chain count)
  (tensor-slice (chain-samples chain) 0 0 count))

(define (chain-row chain title)
  (list title (number-of-samples chain) (significant (chain-sigma chain) 3)
        (significant (chain-acceptance chain) 3) (length (chain-trace chain))
        (chain-evaluations chain) (significant (root-mean-square (chain-mean chain)) 3)
        (significant (root-mean-square (chain-std chain)) 3)))

(define (between chains)
  ;; R-hat of each pixel; #f if the samples of a group are all equal or not finite.
  (let ((count (apply min (map number-of-samples chains))))
    (catch 'tempera-error
      (lambda () (r-hat-between (map (lambda (chain) (samples-of chain count)) chains)))
      (const #f))))

(define (difference-row first other title)
  (let* ((variance (lambda (chain)
                     (/ (expt (root-mean-square (chain-std chain)) 2) (number-of-samples chain))))
         (apart (root-mean-square (tensor- (chain-mean other) (chain-mean first))))
         (chance (sqrt (+ (variance first) (variance other))))
         (r-hats (and=> (between (list first other)) (lambda (r) (sort (tensor->list r) <))))
         (rounded (lambda (x) (and x (finite? x) (significant x 3)))))
    (list title (rounded apart) (and (> chance 0) (rounded (/ apart chance)))
          (rounded (/ (root-mean-square (chain-std other))
                      (max 1e-300 (root-mean-square (chain-std first)))))
          (and r-hats (rounded (list-ref r-hats (quotient (length r-hats) 2))))
          (and r-hats (rounded (last r-hats))))))

;;; --- What makes them no fair pair -----------------------------------------------

(define (seed-of chain)
  (let ((seed (memq #:seed (chain-settings chain))))
    (if seed (cadr seed) 42)))

(define (notes chains titles)
  (define (those who) (string-join who ", "))
  (define (unlike of same?)
    ;; The titles of the chains that differ from the first.
    (filter-map (lambda (chain title) (and (not (same? (of chain) (of (first chains)))) title))
                chains titles))
  (define (note titles text)
    (if (null? titles) '() (list (format #f text (those titles)))))
  (append
   (note (filter-map (lambda (chain title) (and (not (chain-finished? chain)) title)) chains titles)
         "not finished: ~a; (resume! chain) goes on")
   (note (unlike chain-sigma (lambda (a b) (< (abs (- a b)) (* 1e-6 b))))
         "at another temperature than the first, whose distribution is another: ~a")
   (note (unlike chain-target eq?)
         "with another target than the first, whose posterior may be another: ~a")
   (note (filter-map (lambda (chain title)
                       (and (not (eq? chain (first chains)))
                            (equal? (seed-of chain) (seed-of (first chains)))
                            title))
                     chains titles)
         "with the #:seed of the first, hence its random numbers: ~a; samples are not independent, \
and their means may differ by less than by chance")))

;;; --- Together -------------------------------------------------------------------

(define (compare chain . others)
  "Do CHAIN and other chains agree, and what did each cost?  A comparison, which prints as two
tables.  The first has a row for each chain: its samples, sigma, acceptance, transitions, evaluations
of the score, and the root mean square over pixels of mean and standard deviation.  The second
compares each with the first: the root mean square difference of the means; the same over what
chance makes of independent samples, sqrt (s1^2 / C1 + s2^2 / C2), 1 where they agree; the ratio
of standard deviations; median and greatest R-hat between the two (see `r-hat-between': of few
samples it is above 1 by chance).  Notes say what keeps them from being comparable.  #:titles
names them.  `plot' draws traces of all in one picture, `show' means, deviations, differences
and R-hat.  See `chain-comparison-table', `-differences', `-r-hat', `-notes'.
Example: (compare chain (anneal target #:seed 43) #:titles '(\"one\" \"other\"))"
  (call-with-values (lambda () (break keyword? (cons chain others)))
    (lambda (chains options)
      (apply compare-chains chains options))))

(define* (compare-chains chains #:key (titles (map number->string (iota (length chains) 1))))
  (check-that (and (pair? chains) (pair? (cdr chains)) (every chain? chains)) 'compare
              "expected two chains or more, as `anneal' returns, got ~a; `compare-runs' is for runs"
              (if (every chain? chains)
                  "one"
                  (object->string (find (lambda (object) (not (chain? object))) chains))))
  (check-that (and (list? titles) (= (length titles) (length chains)) (every string? titles)) 'compare
              "titles: expected a list of ~a strings, got ~s" (length chains) titles)
  (for-each (lambda (chain)
              (check-that (equal? (target-of chain) (target-of (first chains))) 'compare
                          "chains: expected samples of one shape, got ~a and ~a"
                          (target-of (first chains)) (target-of chain))
              (check-that (> (number-of-samples chain) 1) 'compare
                          "chains: one sample has no deviation; more #:chains"))
            chains)
  (make-chain-comparison
   chains titles
   (table '(chain samples sigma accepted transitions evaluations mean deviation)
          (map chain-row chains titles))
   (table '(chain means-differ times-chance deviations-ratio r-hat-median r-hat-greatest)
          (map (lambda (other title) (difference-row (first chains) other title))
               (cdr chains) (cdr titles)))
   (between chains)
   (notes chains titles)))

(define (target-of chain)
  ;; The type and shape of the samples.
  (let ((x (chain-samples chain)))
    (cons (tensor-dtype x) (cdr (tensor-shape x)))))

(add-plot! chain-comparison?
           (lambda (c)
             (charts-together (chain-comparison-chains c) #:titles (comparison-titles c))))

(add-view! chain-comparison?
           (lambda (c)
             (let* ((chains (chain-comparison-chains c)) (titles (comparison-titles c))
                    (means (map chain-mean chains)) (deviations (map chain-std chains))
                    (greatest (lambda (tensors)
                                (apply max (map (lambda (t) (tensor->number (tensor-max t))) tensors))))
                    (white (greatest (map tensor-abs means)))
                    (most (greatest deviations))
                    (heat (lambda (title image low high)
                            (panel title image #:colours 'heat #:bar? #t #:low low #:high high))))
               (check-that (= 2 (length (tensor-shape (first means)))) 'show
                           "comparison: its samples are no images (rows columns), but of shape ~a; `plot' \
draws traces" (tensor-shape (first means)))
               (append
                (map (lambda (m title) (panel (string-append "mean " title) m #:high (and (> white 0) white)))
                     means titles)
                (map (lambda (s title) (heat (string-append "deviation " title) s 0 (and (> most 0) most)))
                     deviations titles)
                (map (lambda (m title)
                       (heat (format #f "|mean ~a - mean ~a|" title (first titles))
                             (tensor-abs (tensor- m (first means)))
                             0 (and (> most 0) most)))
                     (cdr means) (cdr titles))
                (if (chain-comparison-r-hat c)
                    (list (heat "R-hat" (chain-comparison-r-hat c) 1 #f))
                    '())))))

(document
 (chain-comparison?
  "True when OBJECT is what `compare' gives.
Example: (chain-comparison? (compare chain (anneal target #:seed 43))) => #t")
 (chain-comparison-chains
  "The chains that COMPARISON is of.
Example: (length (chain-comparison-chains (compare chain (anneal target #:seed 43)))) => 2")
 (chain-comparison-table
  "What each chain of COMPARISON is and cost, a table.
Example: (table-column (chain-comparison-table (compare chain (anneal target #:seed 43))) 'samples) => (8 8)")
 (chain-comparison-differences
  "What differs between the first chain of COMPARISON and each other one, a table.
Example: (table-column (chain-comparison-differences (compare chain (anneal target #:seed 43))) 'times-chance)")
 (chain-comparison-r-hat
  "R-hat between the chains of COMPARISON, a number a pixel; #f where samples are all equal or not finite.
Example: (tensor-shape (chain-comparison-r-hat (compare chain (anneal target #:seed 43)))) => (16 16)")
 (chain-comparison-notes
  "What keeps the chains of COMPARISON from being comparable, a list of strings.
Example: (chain-comparison-notes (compare chain (anneal target #:seed 43))) => ()"))
