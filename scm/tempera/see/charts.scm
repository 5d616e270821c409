;;; charts.scm -- charts as values: curves, points, bars, bands and heat maps.
;;;
;;; A chart is data and words.  (tempera see gnuplot) draws it into a file or a terminal, the
;;; page of a report draws it in the browser.

(define-module (tempera see charts)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera see colours)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:export (series series? series-style series-points series-title
            chart chart? chart-title chart-series chart-x-label chart-y-label chart-x-range
            chart-y-range chart-logarithmic chart-key chart-x-names chart-y-names
            chart-value-label chart-colours
            line-chart line-style heat-chart overlay-charts decades? geometric-steps?))

(define-record-type <series>
  (make-series style points title)
  series?
  (style series-style)
  (points series-points)
  (title series-title))

(define-record-type <chart>
  (make-chart title series x-label y-label x-range y-range logarithmic key x-names y-names
              value-label colours)
  chart?
  (title chart-title)
  (series chart-series)
  (x-label chart-x-label)
  (y-label chart-y-label)
  (x-range chart-x-range)
  (y-range chart-y-range)
  (logarithmic chart-logarithmic)
  (key chart-key)
  (x-names chart-x-names)               ; written at 0, 1, ... of an axis in place of numbers, or #f
  (y-names chart-y-names)
  (value-label chart-value-label)       ; beside the colour bar of a heat map
  (colours chart-colours))              ; a colour map, or #f

(set-record-type-printer! <series>
  (lambda (s port)
    (format port "#<series of ~a ~s>" (length (series-points s)) (series-style s))))

(set-record-type-printer! <chart>
  (lambda (p port)
    (format port "#<chart ~s of ~a>" (chart-title p) (chart-series p))))

;; How many numbers a point has, by the style of its series.
(define styles
  '((line . 2) (curve . 2) (points . 2) (reference . 2) (errors . 3) (bars . 3) (band . 3)
    (heat . 3)))

(define* (series style points #:key (title ""))
  "Data of a chart.  STYLE and the numbers of each of POINTS, a list of lists:
  line (its points marked), curve, points, reference (a dashed line)  (x y)
  errors     (x y standard-error)
  bars       (x height width)
  band       (x low high), the area between, to be given before what is drawn on it
  heat       (x y value), what `heat-chart' makes
TITLE names them in the chart's key; those without are not in it.
Example: (series 'line '((0 0) (1 1)) #:title \"exact\")"
  (let ((entry (assq style styles)))
    (check-that entry 'series "style: expected one of ~a, got ~s" (map car styles) style)
    (check-that (and (list? points) (pair? points)
                     (every (lambda (p)
                              (and (list? p) (= (length p) (cdr entry)) (every real? p)
                                   (or (eq? style 'heat) (every finite? p))))
                            points))
                'series "points: expected a list of lists of ~a finite numbers, got ~s"
                (cdr entry) points)
    (check-that (string? title) 'series "title: expected a string, got ~s" title)
    (make-series style points title)))

(define (range? range)
  (or (not range)
      (and (list? range) (= 2 (length range)) (every real? range) (< (first range) (second range)))))

(define* (chart title data #:key (x-label "") (y-label "") (x-range #f) (y-range #f)
               (logarithmic '()) (key 'below) (x-names #f) (y-names #f)
               (colours #f))
  "A chart called TITLE of DATA, a list of `series', drawn in that order.  X-RANGE and Y-RANGE
are lists of two limits, or #f: gnuplot's choice.  LOGARITHMIC lists the axes that are, x or
y, whose numbers must be above 0.  What is named is listed below, or in the corner KEY, where data
may lie: top-left, top-right, bottom-left or bottom-right.  X-NAMES and Y-NAMES, lists of strings,
are written at 0, 1, ... of the axes in place of numbers.  Lines have colours that are easy to tell apart, many
lines those of a colour map from its dark end to its bright one; COLOURS, one of
`colour-map-names', asks for that.
Example: (chart \"coverage\" (list (series 'line '((0 0) (1 1)))) #:x-label \"level\")"
  (check-that (and (pair? data) (every series? data)) 'chart
              "data: expected a list of series, got ~s" data)
  (for-each (lambda (name text)
              (check-that (string? text) 'chart "~a: expected a string, got ~s" name text))
            '("title" "x-label" "y-label") (list title x-label y-label))
  (for-each (lambda (name range)
              (check-that (range? range) 'chart "~a: expected (low high) or #f, got ~s" name range))
            '("x-range" "y-range") (list x-range y-range))
  (for-each (lambda (name names)
              (check-that (or (not names) (and (list? names) (every string? names))) 'chart
                          "~a: expected a list of strings, got ~s" name names))
            '("x-names" "y-names") (list x-names y-names))
  (when colours (check-colours 'chart colours))
  (check-that (memq key '(below top-left top-right bottom-left bottom-right)) 'chart
              "key: expected below or a corner such as top-left, got ~s" key)
  (check-that (and (list? logarithmic) (every (lambda (axis) (memq axis '(x y))) logarithmic))
              'chart "logarithmic: expected a list of x and y, got ~s" logarithmic)
  (for-each (lambda (series)
              (for-each (lambda (axis of)
                          (check-that (or (not (memq axis logarithmic))
                                          (every (lambda (p) (> (of p) 0)) (series-points series)))
                                      'chart "data: a logarithmic ~a needs numbers above 0" axis))
                        '(x y) (list first second)))
            data)
  (make-chart title data x-label y-label x-range y-range logarithmic key x-names y-names ""
              colours))

(define (decades? numbers)
  "Whether NUMBERS, a list, are above 0 and span more than one decade.
Example: (decades? '(0.1 2)) => #t"
  (and (every positive? numbers) (> (apply max numbers) (* 10 (apply min numbers)))))

(define (geometric-steps? numbers)
  "Whether NUMBERS, a list, span more than a decade and their median lies nearer to the middle
of a logarithmic scale than to that of a linear one.
Example: (geometric-steps? '(1 10 100)) => #t"
  (and (pair? numbers)
       (decades? numbers)
       (let* ((sorted (sort numbers <))
              (middle (list-ref sorted (quotient (length sorted) 2)))
              (off (lambda (scale)
                     (let ((low (scale (first sorted))))
                       (abs (- (/ (- (scale middle) low) (- (scale (last sorted)) low)) 1/2))))))
         (< (off log) (off identity)))))

(define (line-style points)
  "The style of a line through POINTS: few points are marked.
Example: (line-style '((0 1) (1 2))) => line"
  (if (> (length points) 40) 'curve 'line))

(define* (line-chart title points #:key (x-label "") (y-label ""))
  "The chart of one line through those of POINTS that are finite; y is logarithmic where it spans
more than a decade.
Example: (line-chart \"loss\" '((1 100) (2 10) (3 1)) #:x-label \"step\")"
  (let ((points (filter (lambda (p) (every finite? p)) points)))
    (check-that (pair? points) 'plot "~a: nothing finite to draw" title)
    (chart title (list (series (line-style points) points)) #:x-label x-label #:y-label y-label
           #:logarithmic (if (decades? (map second points)) '(y) '()))))

(define (heat-numbers values)
  (if (list? values)
      (filter finite-number? (concatenate (filter list? values)))
      '()))

(define* (heat-chart title values #:key (x-label "") (y-label "") (x-names #f) (y-names #f)
                     (value-label "") (colours 'heat) (logarithmic? (geometric-steps? (heat-numbers values))))
  "A chart of VALUES, a list of rows, the first the lowest, each a list of as many numbers, #f
where there is none: a square each in COLOURS (see `colour-map-names') with a colour bar.
X-NAMES and Y-NAMES, lists of numbers or strings, are written along the axes: the values of two
parameters, say.  Colours go by the logarithm of the values where LOGARITHMIC?, which is so
unless told where they are above 0 and their steps are geometric: they span more than a decade,
and their median lies nearer to the middle of that scale.
Example: (heat-chart \"PSNR\" '((20 22) (21 #f)) #:x-label \"step\" #:x-names '(0.1 0.2)
                     #:y-label \"norm\" #:y-names '(1 2))"
  (check-that (and (list? values) (pair? values) (every list? values) (pair? (first values))
                   (apply = (map length values))
                   (every (lambda (row) (every (lambda (v) (or (not v) (real? v))) row)) values))
              'heat-chart "values: expected a list of rows of as many numbers or #f, got ~s" values)
  (check-that (any (lambda (row) (any (lambda (v) (and v (finite? v))) row)) values) 'heat-chart
              "values: expected a finite number at least")
  (for-each (lambda (name names count)
              (check-that (or (not names)
                              (and (list? names) (= (length names) count)
                                   (every (lambda (n) (or (real? n) (string? n))) names)))
                          'heat-chart "~a: expected ~a numbers or strings, got ~s" name count names))
            '("x-names" "y-names") (list x-names y-names)
            (list (length (first values)) (length values)))
  (check-that (string? value-label) 'heat-chart "value-label: expected a string, got ~s" value-label)
  (check-colours 'heat-chart colours)
  (check-that (or (not logarithmic?) (every positive? (heat-numbers values))) 'heat-chart
              "logarithmic?: needs values above 0, got ~s" (apply min (heat-numbers values)))
  (let ((texts (lambda (names count)
                 (map (lambda (n) (if (string? n) n (number-text n))) (or names (iota count)))))
        (plain (chart title
                      (list (series 'heat
                                    (append-map
                                     (lambda (row y)
                                       (map (lambda (v x) (list x y (if (and v (finite? v)) v +nan.0)))
                                            row (iota (length row))))
                                     values (iota (length values)))))
                      #:x-label x-label #:y-label y-label
                      #:x-range (list -1/2 (- (length (first values)) 1/2))
                      #:y-range (list -1/2 (- (length values) 1/2)))))
    (make-chart title (chart-series plain) x-label y-label (chart-x-range plain)
                (chart-y-range plain) (if logarithmic? '(cb) '()) 'below
                (texts x-names (length (first values))) (texts y-names (length values))
                value-label colours)))

(define* (overlay-charts charts titles #:key (title (and (pair? charts) (chart? (car charts))
                                                         (chart-title (car charts)))))
  "One chart of the lines of CHARTS, which show the same of several objects, named by TITLES, a
list of as many strings: of each the last series that is a line.  TITLE is the first's unless given.
An axis is logarithmic where
one of them has it so and all can.
Example: (overlay-charts (append (charts (geometric 9 #:ratio 1/2 #:until 1))
                                 (charts (geometric 9 #:ratio 2/3 #:until 1)))
                         '(\"fast\" \"slow\") #:title \"cooling\")"
  (check-that (and (list? charts) (pair? charts) (every chart? charts)) 'overlay-charts
              "charts: expected a list of charts, got ~s" charts)
  (check-that (and (list? titles) (= (length titles) (length charts)) (every string? titles))
              'overlay-charts "titles: expected ~a strings, got ~s" (length charts) titles)
  (let* ((lines (map (lambda (c title)
                       (let ((line (find (lambda (s) (memq (series-style s) '(line curve points)))
                                         (reverse (chart-series c)))))
                         (check-that line 'overlay-charts "charts: ~s has no line" c)
                         (series (series-style line) (series-points line) #:title title)))
                     charts titles))
         (positive? (lambda (of) (every (lambda (s) (every (lambda (p) (> (of p) 0)) (series-points s)))
                                        lines)))
         (logarithmic (filter (lambda (axis) (any (lambda (c) (memq axis (chart-logarithmic c))) charts))
                              (append (if (positive? first) '(x) '()) (if (positive? second) '(y) '())))))
    (chart title lines
           #:x-label (chart-x-label (first charts)) #:y-label (chart-y-label (first charts))
           #:x-range (chart-x-range (first charts)) #:y-range (chart-y-range (first charts))
           #:logarithmic logarithmic)))

(document
 (chart-title
  "The title of CHART.
Example: (chart-title (chart \"coverage\" (list (series 'line '((0 0) (1 1)))))) => coverage")
 (chart?
  "True when OBJECT is a chart.
Example: (chart? 3) => #f")
 (series?
  "True when OBJECT is a series of a chart.
Example: (series? (series 'line '((0 0) (1 1)))) => #t"))
