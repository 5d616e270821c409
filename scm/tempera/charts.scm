;;; charts.scm -- curves, points, bars and bands, drawn by gnuplot.
;;;
;;; A chart is data and words; `save-charts' lays several out in one picture, PNG, SVG or
;;; PDF by the file's name.  Axes and text are gnuplot's work, which is another program:
;;; it is given a script and data in a folder of their own.

(define-module (tempera charts)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera documentation)
  #:use-module (tempera errors)
  #:use-module (tempera files)
  #:export (series series? chart chart? save-charts))

(define-record-type <series>
  (make-series style points title)
  series?
  (style series-style)
  (points series-points)
  (title series-title))

(define-record-type <chart>
  (make-chart title series x-label y-label x-range y-range logarithmic key)
  chart?
  (title chart-title)
  (series chart-series)
  (x-label chart-x-label)
  (y-label chart-y-label)
  (x-range chart-x-range)
  (y-range chart-y-range)
  (logarithmic chart-logarithmic)
  (key chart-key))

(set-record-type-printer! <series>
  (lambda (s port)
    (format port "#<series of ~a ~s>" (length (series-points s)) (series-style s))))

(set-record-type-printer! <chart>
  (lambda (p port)
    (format port "#<chart ~s of ~a>" (chart-title p) (chart-series p))))

;; One after the other for what has no colour of its own; told apart by the colour-blind too
;; (Okabe, Ito 2008).
(define colours '("#1f5fa8" "#d55e00" "#009e73" "#cc79a7" "#e69f00" "#56b4e9"))

;; From style to the numbers of a point and how gnuplot draws them; ~a is a colour.
(define styles
  '((line 2 "with linespoints pointtype 7 pointsize 0.5 linewidth 2 linecolor rgb '~a'")
    (points 2 "with points pointtype 7 pointsize 0.7 linecolor rgb '~a'")
    (errors 3 "with yerrorbars pointtype 7 pointsize 0.7 linewidth 1.5 linecolor rgb '~a'")
    (bars 3 "with boxes fill solid 0.85 border rgb '#ffffff' linecolor rgb '#6f9fd0'")
    (reference 2 "with lines linewidth 1.5 dashtype 2 linecolor rgb '#555555'")
    (band 3 "with filledcurves linecolor rgb '#dddddd'")))

(define* (series style points #:key (title ""))
  "Data of a chart.  STYLE and the numbers of each of POINTS, a list of lists:
  line, points, reference (a dashed line)  (x y)
  errors     (x y standard-error)
  bars       (x height width)
  band       (x low high), the area between, to be given before what is drawn on it
TITLE names them in the chart's key; those without are not in it.
Example: (series 'line '((0 0) (1 1)) #:title \"exact\")"
  (let ((entry (assq style styles)))
    (check-that entry 'series "style: expected one of ~a, got ~s" (map car styles) style)
    (check-that (and (list? points) (pair? points)
                     (every (lambda (p)
                              (and (list? p) (= (length p) (second entry)) (every real? p)
                                   (every finite? p)))
                            points))
                'series "points: expected a list of lists of ~a finite numbers, got ~s"
                (second entry) points)
    (check-that (string? title) 'series "title: expected a string, got ~s" title)
    (make-series style points title)))

(define (range? range)
  (or (not range)
      (and (list? range) (= 2 (length range)) (every real? range) (< (first range) (second range)))))

(define* (chart title data #:key (x-label "") (y-label "") (x-range #f) (y-range #f)
               (logarithmic '()) (key 'top-left))
  "A chart called TITLE of DATA, a list of `series', drawn in that order.  X-RANGE and Y-RANGE
are lists of two limits, or #f: gnuplot's choice.  LOGARITHMIC lists the axes that are, x or
y, whose numbers must be above 0.  KEY is the corner for what is named:
top-left, top-right, bottom-left or bottom-right.
Example: (chart \"coverage\" (list (series 'line '((0 0) (1 1)))) #:x-label \"level\")"
  (check-that (and (pair? data) (every series? data)) 'chart
              "data: expected a list of series, got ~s" data)
  (for-each (lambda (name text)
              (check-that (string? text) 'chart "~a: expected a string, got ~s" name text))
            '("title" "x-label" "y-label") (list title x-label y-label))
  (for-each (lambda (name range)
              (check-that (range? range) 'chart "~a: expected (low high) or #f, got ~s" name range))
            '("x-range" "y-range") (list x-range y-range))
  (check-that (memq key '(top-left top-right bottom-left bottom-right)) 'chart
              "key: expected a corner such as top-left, got ~s" key)
  (check-that (and (list? logarithmic) (every (lambda (axis) (memq axis '(x y))) logarithmic))
              'chart "logarithmic: expected a list of x and y, got ~s" logarithmic)
  (for-each (lambda (series)
              (for-each (lambda (axis of)
                          (check-that (or (not (memq axis logarithmic))
                                          (every (lambda (p) (> (of p) 0)) (series-points series)))
                                      'chart "data: a logarithmic ~a needs numbers above 0" axis))
                        '(x y) (list first second)))
            data)
  (make-chart title data x-label y-label x-range y-range logarithmic key))

;;; --- What gnuplot reads -------------------------------------------------------

(define (quoted text)
  ;; In gnuplot's single quotes nothing is special but the quote, doubled.
  (string-append "'" (string-join (string-split text #\') "''") "'"))

(define (range-text range)
  (if range (format #f "[~,6f:~,6f]" (first range) (second range)) "[*:*]"))

(define (write-data file points)
  (call-with-output-file file
    (lambda (port)
      (for-each (lambda (point)
                  (format port "~a~%" (string-join (map (lambda (x)
                                                          (number->string (exact->inexact x)))
                                                        point)
                                                   " ")))
                points))))

(define (terminal-of path width height)
  ;; Of the size of WIDTH x HEIGHT pixels; PDF in inches of 100.
  (let ((ending (string-downcase (or (and=> (string-rindex path #\.)
                                            (lambda (dot) (substring path (1+ dot))))
                                     ""))))
    (cond ((string=? ending "png")
           (format #f "pngcairo noenhanced font 'sans,10' size ~a,~a" width height))
          ((string=? ending "svg")
           (format #f "svg noenhanced font 'sans,12' size ~a,~a background rgb 'white'" width height))
          ((string=? ending "pdf")
           (format #f "pdfcairo noenhanced font 'sans,10' size ~ain,~ain"
                   (/ width 100.) (/ height 100.)))
          (else (complain 'save-charts "path: expected a name that ends in .png, .svg or .pdf, got ~a"
                          path)))))

(define (drawn-as style index all)
  ;; How gnuplot draws number INDEX of the series ALL.
  (let ((text (third (assq style styles))))
    (if (string-contains text "~a")
        (let ((before (count (lambda (s) (memq (series-style s) '(line points errors)))
                             (list-head all index))))
          (format #f text (list-ref colours (modulo before (length colours)))))
        text)))

(define (write-chart port chart folder number)
  (format port "set title ~a~%set xlabel ~a~%set ylabel ~a~%"
          (quoted (chart-title chart)) (quoted (chart-x-label chart)) (quoted (chart-y-label chart)))
  (format port "set xrange ~a~%set yrange ~a~%"
          (range-text (chart-x-range chart)) (range-text (chart-y-range chart)))
  (format port "unset logscale~%")
  (for-each (lambda (axis) (format port "set logscale ~a~%" axis)) (chart-logarithmic chart))
  (format port "set key ~a reverse Left samplen 2~%"
          (string-join (string-split (symbol->string (chart-key chart)) #\-) " "))
  (format port "plot ~a~%"
          (string-join
           (map (lambda (series k)
                  (let ((file (format #f "~a/~a-~a" folder number k)))
                    (write-data file (series-points series))
                    (format #f "~a ~a ~a" (quoted file)
                            (drawn-as (series-style series) k (chart-series chart))
                            (if (string-null? (series-title series))
                                "notitle"
                                (string-append "title " (quoted (series-title series)))))))
                (chart-series chart) (iota (length (chart-series chart))))
           ", ")))

(define* (save-charts path charts #:key (columns (min 3 (length charts))) (width 400) (height 340))
  "Draw CHARTS, a list of `chart', in rows of COLUMNS, each WIDTH x HEIGHT pixels, and write the
picture to the file PATH, PNG, SVG or PDF by its ending, whole or not at all.  gnuplot is
needed.
Example: (save-charts \"coverage.png\" (list (chart \"coverage\" (list (series 'line '((0 0) (1 1)))))))"
  (check-that (and (pair? charts) (every chart? charts)) 'save-charts
              "charts: expected a list of charts, got ~s" charts)
  (for-each (lambda (name n)
              (check-that (and (exact-integer? n) (< 0 n 10000)) 'save-charts
                          "~a: expected a positive integer, got ~s" name n))
            '("columns" "width" "height") (list columns width height))
  (let* ((rows (quotient (+ (length charts) columns -1) columns))
         (terminal (terminal-of path (* columns width) (* rows height)))
         (temporary (format #f "~a.~a.tmp" path (getpid))))
    (check-that (program-exists? "gnuplot") 'save-charts
                "the program gnuplot is needed: install gnuplot-nox")
    (check-that (access? (dirname path) W_OK) 'save-charts "~a: cannot be written" path)
    (call-with-temporary-folder
     (lambda (folder)
       (let ((script (string-append folder "/script")))
         (call-with-output-file script
           (lambda (port)
             (format port "set encoding utf8~%set terminal ~a~%set output ~a~%" terminal
                     (quoted temporary))
             (format port "set border 3 linecolor rgb '#444444'~%set tics nomirror~%~
set multiplot layout ~a,~a~%" rows columns)
             (for-each (lambda (chart number) (write-chart port chart folder number))
                       charts (iota (length charts)))
             (format port "unset multiplot~%")))
         (dynamic-wind
           (const #t)
           (lambda ()
             (run-program 'save-charts "gnuplot" script)
             (call-with-input-file temporary fsync)
             (rename-file temporary path))
           (lambda () (when (file-exists? temporary) (delete-file temporary)))))))))

(document
 (chart?
  "True when OBJECT is a chart.
Example: (chart? 3) => #f")
 (series?
  "True when OBJECT is a series of a chart.
Example: (series? (series 'line '((0 0) (1 1)))) => #t"))
