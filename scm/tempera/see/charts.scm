;;; charts.scm -- curves, points, bars, bands and heat maps, drawn by gnuplot.
;;;
;;; A chart is data and words; `save-charts' lays several out in one picture, PNG, SVG or
;;; PDF by the file's name, or in characters.  Axes and text are gnuplot's work, which is another program:
;;; it is given a script and data in a folder of their own.

(define-module (tempera see charts)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera see colours)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera base numbers)
  #:export (series series? chart heat-chart overlay-charts chart? chart-title save-charts))

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
  ;; Of heat maps: what is written at 0, 1, ... of an axis, or #f; beside the colour bar.
  (x-names chart-x-names)
  (y-names chart-y-names)
  (value-label chart-value-label)
  (colours chart-colours))

(set-record-type-printer! <series>
  (lambda (s port)
    (format port "#<series of ~a ~s>" (length (series-points s)) (series-style s))))

(set-record-type-printer! <chart>
  (lambda (p port)
    (format port "#<chart ~s of ~a>" (chart-title p) (chart-series p))))

;; One after the other for what has no colour of its own; told apart by the colour-blind too
;; (Okabe, Ito 2008).
(define colours '("#1f5fa8" "#d55e00" "#009e73" "#cc79a7" "#e69f00" "#56b4e9"))

(define (line-colours count)
  ;; More lines than there are colours for have those of a map, from first to last; not its
  ;; pale end.
  (if (<= count (length colours))
      colours
      (map (lambda (k) (hex-colour (vector-ref (colour-words 'heat)
                                               (+ 40 (quotient (* 170 k) (1- count))))))
           (iota count))))

(define (hex-colour word)
  (string-append "#" (string-pad (number->string (logand word #xffffff) 16) 6 #\0)))

;; From style to the numbers of a point and how gnuplot draws them; ~a is a colour.
(define styles
  '((line 2 "with linespoints pointtype 7 pointsize 0.5 linewidth 2 linecolor rgb '~a'")
    (curve 2 "with lines linewidth 2 linecolor rgb '~a'")
    (points 2 "with points pointtype 7 pointsize 0.7 linecolor rgb '~a'")
    (errors 3 "with yerrorbars pointtype 7 pointsize 0.7 linewidth 1.5 linecolor rgb '~a'")
    (bars 3 "with boxes fill solid 0.85 border rgb '#ffffff' linecolor rgb '#6f9fd0'")
    (reference 2 "with lines linewidth 1.5 dashtype 2 linecolor rgb '#555555'")
    (band 3 "with filledcurves linecolor rgb '#dddddd'")
    (heat 3 "with image pixels")))

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
                              (and (list? p) (= (length p) (second entry)) (every real? p)
                                   (or (eq? style 'heat) (every finite? p))))
                            points))
                'series "points: expected a list of lists of ~a finite numbers, got ~s"
                (second entry) points)
    (check-that (string? title) 'series "title: expected a string, got ~s" title)
    (make-series style points title)))

(define (range? range)
  (or (not range)
      (and (list? range) (= 2 (length range)) (every real? range) (< (first range) (second range)))))

(define* (chart title data #:key (x-label "") (y-label "") (x-range #f) (y-range #f)
               (logarithmic '()) (key 'below) (x-names #f))
  "A chart called TITLE of DATA, a list of `series', drawn in that order.  X-RANGE and Y-RANGE
are lists of two limits, or #f: gnuplot's choice.  LOGARITHMIC lists the axes that are, x or
y, whose numbers must be above 0.  What is named is listed below, or in the corner KEY, where data
may lie: top-left, top-right, bottom-left or bottom-right.  X-NAMES, a list of strings, are written at
0, 1, ... of the x axis in place of numbers.
Example: (chart \"coverage\" (list (series 'line '((0 0) (1 1)))) #:x-label \"level\")"
  (check-that (and (pair? data) (every series? data)) 'chart
              "data: expected a list of series, got ~s" data)
  (for-each (lambda (name text)
              (check-that (string? text) 'chart "~a: expected a string, got ~s" name text))
            '("title" "x-label" "y-label") (list title x-label y-label))
  (for-each (lambda (name range)
              (check-that (range? range) 'chart "~a: expected (low high) or #f, got ~s" name range))
            '("x-range" "y-range") (list x-range y-range))
  (check-that (or (not x-names) (and (list? x-names) (every string? x-names))) 'chart
              "x-names: expected a list of strings, got ~s" x-names)
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
  (make-chart title data x-label y-label x-range y-range logarithmic key x-names #f "" 'heat))

(define (heat-numbers values)
  (filter (lambda (v) (and (real? v) (finite? v))) (concatenate (filter list? values))))

(define (geometric-steps? values)
  (let* ((numbers (sort (heat-numbers (if (list? values) values '())) <)))
    (and (pair? numbers)
         (> (first numbers) 0)
         (> (last numbers) (* 10 (first numbers)))
         (let* ((middle (list-ref numbers (quotient (length numbers) 2)))
                (off (lambda (scale)
                       (let ((low (scale (first numbers))))
                         (abs (- (/ (- (scale middle) low) (- (scale (last numbers)) low)) 1/2))))))
           (< (off log) (off identity))))))

(define* (heat-chart title values #:key (x-label "") (y-label "") (x-names #f) (y-names #f)
                     (value-label "") (colours 'heat) (logarithmic? (geometric-steps? values)))
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

;;; --- What gnuplot reads -------------------------------------------------------

(define (quoted text)
  ;; In gnuplot's single quotes nothing is special but the quote, doubled.
  (string-append "'" (string-join (string-split text #\') "''") "'"))

(define (range-text range)
  (if range (format #f "[~,6f:~,6f]" (first range) (second range)) "[*:*]"))

(define (write-data file points)
  ;; POINTS, lists of numbers and strings.
  (call-with-output-file file
    (lambda (port)
      (for-each (lambda (point)
                  (format port "~a~%"
                          (string-join (map (lambda (x)
                                              (cond ((string? x) x)
                                                    ((nan? x) "NaN")
                                                    (else (number->string (exact->inexact x)))))
                                            point)
                                       " ")))
                points))
    #:encoding "UTF-8"))

(define (terminal-of path width height scale colours)
  ;; gnuplot's, of WIDTH x HEIGHT pixels, or characters; PDF in inches of 100.
  (let ((ending (string-downcase (or (and=> (string-rindex path #\.)
                                            (lambda (dot) (substring path (1+ dot))))
                                     ""))))
    (cond ((string=? ending "png")
           (format #f "pngcairo noenhanced font 'sans,10' fontscale ~,2f size ~a,~a" scale width
                   height))
          ((string=? ending "svg")
           (format #f "svg noenhanced font 'sans,12' size ~a,~a background rgb 'white'" width height))
          ((string=? ending "pdf")
           (format #f "pdfcairo noenhanced font 'sans,10' size ~ain,~ain"
                   (/ width 100.) (/ height 100.)))
          ((string=? ending "txt")
           (format #f "dumb noenhanced ~a size ~a,~a"
                   (cond ((> colours 256) "ansirgb") ((= colours 256) "ansi256") (else "mono"))
                   width height))
          (else (complain 'save-charts "path: expected a name that ends in .png, .svg, .pdf or .txt, \
got ~a" path)))))

(define coloured '(line curve points errors))

(define (drawn-as style index all)
  ;; How gnuplot draws number INDEX of the series ALL.
  (let ((text (third (assq style styles)))
        (number (lambda (list) (count (lambda (s) (memq (series-style s) coloured)) list))))
    (if (string-contains text "~a")
        (let ((colours (line-colours (number all))))
          (format #f text (list-ref colours (modulo (number (list-head all index))
                                                    (length colours)))))
        text)))

(define (write-names port axis names)
  (if names
      (format port "set ~atics (~a)~%" axis
              (string-join (map (lambda (name k) (format #f "~a ~a" (quoted name) k))
                                names (iota (length names)))
                           ", "))
      (format port "set ~atics auto~%" axis)))

(define most-written 100)               ; squares of a heat map with their numbers in them

(define (numbers-in-squares chart file text?)
  ;; What gnuplot adds to a heat map of few squares: its numbers, light on dark and dark on
  ;; light; in characters they stand for themselves.
  (let* ((points (filter (lambda (p) (finite? (third p)))
                         (series-points (first (chart-series chart)))))
         (values (map third points))
         (words (colour-words (chart-colours chart)))
         (scale (if (memq 'cb (chart-logarithmic chart)) log identity))
         (low (scale (apply min values)))
         (dark? (lambda (p)
                  (let* ((span (- (scale (apply max values)) low))
                         (place (if (zero? span) 1/2 (/ (- (scale (third p)) low) span)))
                         (word (vector-ref words (inexact->exact (round (* 255 place))))))
                    (< (+ (* 0.3 (logand (ash word -16) 255)) (* 0.6 (logand (ash word -8) 255))
                          (* 0.1 (logand word 255)))
                       130)))))
    (if (> (length points) most-written)
        '()
        (filter-map
         (lambda (name colour points)
           (let ((file (string-append file name)))
             (write-data file (map (lambda (p) (list (first p) (second p) (number-text (third p))))
                                   points))
             (and (pair? points)
                  (format #f "~a using 1:2:3 with labels ~a notitle" (quoted file)
                          (if text? "" (format #f "textcolor rgb '~a'" colour))))))
         '("-light" "-dark") '("#ffffff" "#000000")
         (call-with-values (lambda () (partition dark? points)) list)))))

(define (write-palette port name)
  (format port "set palette defined (~a)~%"
          (string-join (map (lambda (k)
                              (format #f "~a '~a'" k (hex-colour (vector-ref (colour-words name)
                                                                             (* 15 k)))))
                            (iota 18))
                       ", ")))

(define (write-chart port chart folder number text?)
  (format port "set title ~a~%set xlabel ~a~%set ylabel ~a~%set cblabel ~a~%"
          (quoted (chart-title chart)) (quoted (chart-x-label chart)) (quoted (chart-y-label chart))
          (quoted (chart-value-label chart)))
  (format port "set xrange ~a~%set yrange ~a~%"
          (range-text (chart-x-range chart)) (range-text (chart-y-range chart)))
  (format port "unset logscale~%")
  (for-each (lambda (axis) (format port "set logscale ~a~%" axis)) (chart-logarithmic chart))
  (write-names port "x" (chart-x-names chart))
  (write-names port "y" (chart-y-names chart))
  (write-palette port (chart-colours chart))
  (format port "set key ~a reverse Left samplen 2~%"
          (if (eq? (chart-key chart) 'below)
              (if text? "bmargin center horizontal" "bmargin center horizontal height 1")
              (string-append "inside vertical "
                             (string-join (string-split (symbol->string (chart-key chart)) #\-) " "))))
  (format port "plot ~a~%"
          (string-join
           (append-map
            (lambda (series k)
              (let ((file (format #f "~a/~a-~a" folder number k)))
                (write-data file (series-points series))
                (cons (format #f "~a ~a ~a" (quoted file)
                              (drawn-as (series-style series) k (chart-series chart))
                              (if (string-null? (series-title series))
                                  "notitle"
                                  (string-append "title " (quoted (series-title series)))))
                      (if (eq? (series-style series) 'heat)
                          (numbers-in-squares chart file text?)
                          '()))))
            (chart-series chart) (iota (length (chart-series chart))))
           ", ")))

(define (text-path? path) (string-suffix-ci? ".txt" path))

(define* (save-charts path charts #:key (columns (min 3 (length charts)))
                      (width (if (text-path? path) 80 400)) (height (if (text-path? path) 24 340))
                      (scale 1) (colours 2))
  "Draw CHARTS, a list of `chart', in rows of COLUMNS, each WIDTH x HEIGHT pixels, and write the
picture to the file PATH, PNG, SVG or PDF by its ending, whole or not at all; .txt is drawn in
WIDTH x HEIGHT characters, with the escapes of a terminal that has COLOURS, 2, 256 or 2^24.  In
PNG text is SCALE times as large.  gnuplot is needed.
Example: (save-charts \"coverage.png\" (list (chart \"coverage\" (list (series 'line '((0 0) (1 1)))))))"
  (check-that (string? path) 'save-charts "path: expected a string, got ~s" path)
  (check-that (and (list? charts) (pair? charts) (every chart? charts)) 'save-charts
              "charts: expected a list of charts, got ~s" charts)
  (for-each (lambda (name n)
              (check-that (and (exact-integer? n) (< 0 n 10000)) 'save-charts
                          "~a: expected a positive integer, got ~s" name n))
            '("columns" "width" "height") (list columns width height))
  (let* ((rows (quotient (+ (length charts) columns -1) columns))
         (terminal (terminal-of path (* columns width) (* rows height) scale colours)))
    (check-that (program-exists? "gnuplot") 'save-charts
                "the program gnuplot is needed: install gnuplot-nox")
    (call-with-new-file
     'save-charts path
     (lambda (temporary)
       (call-with-temporary-folder
        (lambda (folder)
          (let ((script (string-append folder "/script")))
            (call-with-output-file script
              (lambda (port)
                (format port "set encoding utf8~%set terminal ~a~%set output ~a~%" terminal
                        (quoted temporary))
                (format port "set border 3~a~%set tics nomirror~%~aset multiplot layout ~a,~a~%"
                        (if (text-path? path) "" " linecolor rgb '#444444'") ; else the terminal's own
                        (if (text-path? path) "set tmargin 1\n" "") ; lines are dear
                        rows columns)
                (for-each (lambda (chart number)
                            (write-chart port chart folder number (text-path? path)))
                          charts (iota (length charts)))
                (format port "unset multiplot~%"))
              #:encoding "UTF-8")
            (run-program 'save-charts "gnuplot" script))))))))

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
