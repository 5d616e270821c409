;;; calibration-report.scm -- the results of a calibration: charts, and a folder with them.

(define-module (tempera see calibration-report)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (tempera sample calibration)
  #:use-module (tempera sample simulations)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera see charts)
  #:use-module (tempera see gnuplot)
  #:use-module (tempera tensor primitives)
  #:export (rank-chart coverage-chart tarp-chart reliability-chart calibrate-to))

;;; --- Pictures -----------------------------------------------------------------

(define (binomial-quantile q p trials)
  ;; The least count k for which the probability of k successes or fewer is at least Q.
  (let loop ((low 0) (high trials))
    (if (= low high)
        low
        (let ((middle (quotient (+ low high) 2)))
          (if (>= (binomial-cdf middle p trials) q)
              (loop low middle)
              (loop (1+ middle) high))))))

(define (rank-chart test)
  "The histogram of a rank test of `sbc', with the band in which a bar is with probability 0.99
if the sampler is calibrated: a chart for `save-charts'.
Example: (save-charts \"ranks.png\" (map rank-chart (sbc simulations)))"
  (check-that (rank-test? test) 'rank-chart "test: expected a rank test, got ~s" test)
  (let* ((n (length (rank-test-ranks test)))
         (bins (rank-test-bins test))
         (edges (lambda (bin) (list (- (first bin) 0.5) (+ (second bin) 0.5))))
         (outline (lambda (heights)
                    ;; At both edges of every bin.
                    (append-map (lambda (bin)
                                  (map (lambda (x) (cons x (heights bin))) (edges bin)))
                                bins)))
         (limit (lambda (q) (lambda (bin) (binomial-quantile q (/ (fourth bin) n) n))))
         (tallest (apply max (append (map third bins) (map (limit 0.995) bins)))))
    (chart (format #f "~a, p ~a" (rank-test-name test) (p-text (rank-test-p test)))
          (list (series 'band (outline (lambda (bin)
                                         (list ((limit 0.005) bin) ((limit 0.995) bin))))
                        #:title "99 %")
                (series 'bars (map (lambda (bin)
                                     (let ((width (- (second bin) (first bin) -1)))
                                       (list (/ (+ (first bin) (second bin)) 2) (third bin)
                                             (* 0.8 width))))
                                   bins))
                (series 'reference (outline (lambda (bin) (list (fourth bin))))))
          #:x-label (format #f "rank of the truth among ~a draws" (rank-test-greatest test))
          #:y-label "simulations"
          #:x-range (list -0.5 (+ 0.5 (rank-test-greatest test)))
          #:y-range (list 0 (* 1.3 tallest)))))

(define (p-text p)
  (if (< p 0.001)
      "< 0.001"
      (format #f "= ~,3f" p)))

(define diagonal
  (series 'reference '((0 0) (1 1)) #:title "calibrated"))

(define (coverage-chart table)
  "What `coverage' returned, against the level, as a chart for `save-charts'.
Example: (save-charts \"coverage.png\" (list (coverage-chart (coverage simulations))))"
  (check-that (and (pair? table) (every (lambda (row) (and (list? row) (= 3 (length row)))) table))
              'coverage-chart "table: expected what `coverage' returns, got ~s" table)
  (chart "coverage of pixels"
        (list diagonal
              (series 'errors (map (lambda (row)
                                     (if (finite? (third row)) row (append (take row 2) '(0))))
                                   table)
                      #:title "measured"))
        #:x-label "level of the credible interval" #:y-label "fraction with the truth inside"
        #:x-range '(0 1) #:y-range '(0 1)))

(define (tarp-chart t)
  "The curve of a `tarp' against the level, with the band in which each of its points is with
probability 0.99 if calibrated, as a chart for `save-charts'.
Example: (save-charts \"tarp.pdf\" (list (tarp-chart (tarp simulations))))"
  (check-that (tarp? t) 'tarp-chart "t: expected what `tarp' returns, got ~s" t)
  (let ((n (length (rank-test-ranks (tarp-test t)))))
    (chart (format #f "random points, p ~a" (p-text (rank-test-p (tarp-test t))))
          (list (series 'band (map (lambda (point)
                                     (cons (first point)
                                           (map (lambda (q)
                                                  (/ (binomial-quantile q (first point) n) n))
                                                '(0.005 0.995))))
                                   (tarp-curve t))
                        #:title "99 %")
                diagonal
                (series 'line (tarp-curve t) #:title "measured"))
          #:x-label "level" #:y-label "expected coverage"
          #:x-range '(0 1) #:y-range '(0 1))))

(define (reliability-chart r)
  "The reliability diagram, error against predicted standard deviation, of what `reliability'
returned, as a chart for `save-charts'.
Example: (save-charts \"reliability.svg\" (list (reliability-chart (reliability simulations))))"
  (check-that (reliability? r) 'reliability-chart "r: expected what `reliability' returns, got ~s" r)
  (let ((most (* 1.1 (apply max (concatenate (reliability-bins r))))))
    (chart (format #f "reliability, error / predicted = ~,2f" (reliability-ratio r))
          (list (series 'reference (list '(0 0) (list most most)) #:title "calibrated")
                (series 'points (reliability-bins r) #:title "bins of pixels"))
          #:x-label "predicted standard deviation" #:y-label "root mean square error"
          #:x-range (list 0 most) #:y-range (list 0 most))))

;;; --- The folder ---------------------------------------------------------------

(define (save-ranks path tests)
  ;; A row for each simulation, a column for each quantity.
  (save-text path
             (string-join
              (cons (string-join (cons "simulation" (map rank-test-name tests)) ",")
                    (apply map (lambda (i . ranks)
                                 (string-join (map number->string (cons i ranks)) ","))
                           (iota (length (rank-test-ranks (first tests))))
                           (map rank-test-ranks tests)))
              "\n" 'suffix)))

(define (test-summary test)
  `(("quantity" . ,(rank-test-name test))
    ("chi_square" . ,(rank-test-chi-square test))
    ("bins" . ,(length (rank-test-bins test)))
    ("p" . ,(rank-test-p test))))

(define* (calibrate-to out simulations #:key (about '()) (sbc? #t) (part 'magnitude) (seed 0))
  "Judge SIMULATIONS, what `simulate' returned, and write into the folder OUT:
  summary.json     p of the rank tests, coverage by level, TARP, reliability
  ranks.csv        the rank of the truth, by simulation and test quantity
  ranks.png        their histograms (these two only with SBC?, for truths from the prior)
  coverage.png     coverage of pixels' credible intervals, and around random points
  reliability.png  error against predicted standard deviation
Returns the summary, an alist; ABOUT is an alist that goes first into it; PART as for
`coverage'.  TARP takes two simulations, reliability four draws.
Example: (calibrate-to \"out/calibration\" simulations)"
  (check-that (simulations? simulations) 'calibrate-to
              "simulations: expected what `simulate' returns, got ~s" simulations)
  (check-output 'calibrate-to out)
  (let* ((shape (tensor-shape (simulations-draws simulations)))
         (in-out (lambda (name) (string-append out "/" name)))
         (tests (if sbc? (sbc simulations #:seed seed) '()))
         (table (coverage simulations #:part part))
         (t (and (> (first shape) 1) (tarp simulations #:seed seed)))
         (pixels (apply * (first shape) (cddr shape)))
         (r (and (>= (second shape) 4) (reliability simulations #:bins (min 10 pixels))))
         (summary
          (append
           about
           `(("simulations" . ,(first shape)) ("draws" . ,(second shape)))
           (if sbc?
               `(("sbc" . ,(list->vector (map test-summary tests)))
                 ("sbc_p" . ,(least-p tests)))
               '())
           `(("coverage" . ,(list->vector
                             (map (lambda (row)
                                    `(("level" . ,(first row)) ("coverage" . ,(second row))
                                      ("standard_error" . ,(third row))))
                                  table))))
           (if t
               `(("tarp" . (("area" . ,(tarp-area t)) ("p" . ,(rank-test-p (tarp-test t))))))
               '())
           (if r
               `(("reliability" . (("ratio" . ,(reliability-ratio r))
                                   ("slope" . ,(or (reliability-slope r) 'null))
                                   ("intercept" . ,(or (reliability-intercept r) 'null))
                                   ("correlation" . ,(reliability-correlation r))
                                   ("bins" . ,(list->vector (map list->vector
                                                                 (reliability-bins r)))))))
               '()))))
    (when sbc?
      (save-ranks (in-out "ranks.csv") tests)
      (save-charts (in-out "ranks.png") (map rank-chart tests)))
    (save-charts (in-out "coverage.png")
                (cons (coverage-chart table) (if t (list (tarp-chart t)) '())))
    (when r (save-charts (in-out "reliability.png") (list (reliability-chart r))))
    (save-json (in-out "summary.json") summary)
    summary))
