;;; gnuplot.scm -- charts drawn by gnuplot: PNG, SVG, PDF or characters.
;;;
;;; `save-charts' lays several charts out in one picture.  gnuplot is another program: it is
;;; given a script with the data in blocks.  A script can run commands, so all text that is not
;;; ours goes through `quoted', and names of files through `file-argument' too: gnuplot takes
;;; |NAME and <NAME for commands.

(define-module (tempera see gnuplot)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (tempera see charts)
  #:use-module (tempera see colours)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera base numbers)
  #:export (save-charts usual-columns))

;;; --- Colours and styles -------------------------------------------------------

;; The colours of lines, in turn; the colour-blind can tell them apart (Okabe, Ito 2008).
(define colours '("#1f5fa8" "#d55e00" "#009e73" "#cc79a7" "#e69f00" "#56b4e9"))

(define (rgb word) (string-append "#" (colour-hex word)))

(define (line-colours count map-name)
  ;; Where lines outnumber colours, or MAP-NAME is given, they run through a colour map, without
  ;; its pale end.
  (if (or map-name (> count (length colours)))
      (let ((words (colour-words (or map-name 'heat))))
        (map (lambda (k)
               (rgb (vector-ref words (+ 40 (quotient (* 170 k) (max 1 (1- count)))))))
             (iota count)))
      colours))

;; From style to how gnuplot draws it; ~a is a colour.
(define styles
  '((line . "with linespoints pointtype 7 pointsize 0.5 linewidth 2 linecolor rgb '~a'")
    (curve . "with lines linewidth 2 linecolor rgb '~a'")
    (points . "with points pointtype 7 pointsize 0.7 linecolor rgb '~a'")
    (errors . "with yerrorbars pointtype 7 pointsize 0.7 linewidth 1.5 linecolor rgb '~a'")
    (bars . "with boxes fill solid 0.85 border rgb '#ffffff' linecolor rgb '#6f9fd0'")
    (reference . "with lines linewidth 1.5 dashtype 2 linecolor rgb '#555555'")
    (band . "with filledcurves linecolor rgb '#dddddd'")
    (heat . "with image pixels")))

;;; --- What gnuplot reads -------------------------------------------------------

(define (quoted text)
  ;; In gnuplot's single quotes nothing is special but the quote itself, which it does not read
  ;; right where the text begins with one, and the end of a line; both are joined on in double
  ;; quotes.  Of other control characters, NUL would end what gnuplot reads of a line, and so the
  ;; quotes; all are shown as spaces.
  (string-concatenate
   `("'"
     ,@(map (lambda (c)
              (cond ((char=? c #\newline) "'.\"\\n\".'")
                    ((char=? c #\') "'.\"'\".'")
                    ((char-set-contains? char-set:iso-control c) " ")
                    (else (string c))))
            (string->list text))
     "'")))

(define (range-text range)
  (if range (format #f "[~,6f:~,6f]" (first range) (second range)) "[*:*]"))

(define (write-data port block points)
  ;; POINTS, lists of numbers and of the texts of numbers, as the data block called BLOCK.
  (format port "~a << end~%" block)
  (for-each (lambda (point)
              (format port "~a~%"
                      (string-join (map (lambda (x)
                                          (cond ((string? x) x)
                                                ((nan? x) "NaN")
                                                (else (number->string (exact->inexact x)))))
                                        point)
                                   " ")))
            points)
  (format port "end~%"))

(define (terminal-of path width height scale colours)
  ;; gnuplot's terminal for PATH, of WIDTH x HEIGHT pixels or characters; in PDF 100 pixels are an
  ;; inch.
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

(define (coloured-series all)
  (filter (lambda (s) (memq (series-style s) '(line curve points errors))) all))

(define (drawn-as series index chart)
  ;; How gnuplot draws SERIES, number INDEX of CHART's.
  (let ((text (assq-ref styles (series-style series))) (all (chart-series chart)))
    (if (string-contains text "~a")
        (let ((colours (line-colours (length (coloured-series all)) (chart-colours chart)))
              (before (length (coloured-series (list-head all index)))))
          (format #f text (list-ref colours (modulo before (length colours)))))
        text)))

(define (write-names port axis names)
  (if names
      (format port "set ~atics (~a)~%" axis
              (string-join (map (lambda (name k) (format #f "~a ~a" (quoted name) k))
                                names (iota (length names)))
                           ", "))
      (format port "set ~atics auto~%" axis)))

(define (write-room-for-names port names)
  ;; gnuplot leaves room below the axis for one line of NAMES, not for several.
  (let ((lines (apply max 1 (map (lambda (name) (1+ (string-count name #\newline))) (or names '())))))
    (format port "set bmargin ~a~%" (if (> lines 1) (1+ lines) ""))))

(define most-written 100)               ; in a heat map with more squares numbers are left out

(define (numbers-in-squares port chart block text?)
  ;; Write the numbers of a heat map of few squares as data blocks named after BLOCK; the plot commands
  ;; that draw them: white on dark squares, black on light ones, in text the terminal's own colour.
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
           (let ((block (string-append block name)))
             (and (pair? points)
                  (begin
                    (write-data port block
                                (map (lambda (p) (list (first p) (second p) (number-text (third p))))
                                     points))
                    (format #f "~a using 1:2:3 with labels ~a notitle" block
                            (if text? "" (format #f "textcolor rgb '~a'" colour)))))))
         '("_light" "_dark") '("#ffffff" "#000000")
         (call-with-values (lambda () (partition dark? points)) list)))))

(define (write-palette port name)
  (format port "set palette defined (~a)~%"
          (string-join (map (lambda (k)
                              (format #f "~a '~a'" k (rgb (vector-ref (colour-words name) (* 15 k)))))
                            (iota 18))
                       ", ")))

(define (write-chart port chart number text?)
  (format port "set title ~a~%set xlabel ~a~%set ylabel ~a~%set cblabel ~a~%"
          (quoted (chart-title chart)) (quoted (chart-x-label chart)) (quoted (chart-y-label chart))
          (quoted (chart-value-label chart)))
  (format port "unset logscale~%")       ; of the chart before: it would refuse a range from 0
  (format port "set xrange ~a~%set yrange ~a~%"
          (range-text (chart-x-range chart)) (range-text (chart-y-range chart)))
  (for-each (lambda (axis) (format port "set logscale ~a~%" axis)) (chart-logarithmic chart))
  (write-names port "x" (chart-x-names chart))
  (write-room-for-names port (chart-x-names chart))
  (write-names port "y" (chart-y-names chart))
  (write-palette port (or (chart-colours chart) 'heat))
  (format port "set key ~a reverse Left samplen 2~%"
          (if (eq? (chart-key chart) 'below)
              (if text? "bmargin center horizontal" "bmargin center horizontal height 1")
              (string-append "inside vertical "
                             (string-join (string-split (symbol->string (chart-key chart)) #\-) " "))))
  (let ((commands
         (append-map
          (lambda (series k)
            (let ((block (format #f "$data_~a_~a" number k)))
              (write-data port block (series-points series))
              (cons (format #f "~a ~a ~a" block
                            (drawn-as series k chart)
                            (if (string-null? (series-title series))
                                "notitle"
                                (string-append "title " (quoted (series-title series)))))
                    (if (eq? (series-style series) 'heat)
                        (numbers-in-squares port chart block text?)
                        '()))))
          (chart-series chart) (iota (length (chart-series chart))))))
    (format port "plot ~a~%" (string-join commands ", "))))

(define (usual-columns charts)
  "How many of CHARTS, a list, go into a row unless told: three, and two of four.
Example: (usual-columns (charts (geometric 9 #:ratio 1/2 #:until 1))) => 1"
  (case (length charts)
    ((4) 2)
    (else (min 3 (length charts)))))

(define (text-path? path) (string-suffix-ci? ".txt" path))

(define* (save-charts path charts #:key (columns #f)
                      (width (if (text-path? path) 80 400)) (height (if (text-path? path) 24 340))
                      (scale 1) (colours 2))
  "Draw CHARTS, a list of `chart', in rows of COLUMNS, each WIDTH x HEIGHT pixels, and write the
picture to the file PATH, PNG, SVG or PDF by its ending, whole or not at all; .txt is drawn in
WIDTH x HEIGHT characters, with the escapes of a terminal that has COLOURS, 2, 256 or 2^24.  In
PNG text is SCALE times as large.  gnuplot is needed.
Example: (save-charts \"coverage.png\" (list (chart \"coverage\" (list (series 'line '((0 0) (1 1)))))))"
  (check-path 'save-charts path)
  (check-that (and (list? charts) (pair? charts) (every chart? charts)) 'save-charts
              "charts: expected a list of charts, got ~s" charts)
  (for-each (lambda (name n)
              (check-that (and (exact-integer? n) (< 0 n 10000)) 'save-charts
                          "~a: expected a positive integer, got ~s" name n))
            '("columns" "width" "height") (list (or columns 1) width height))
  (check-that (and (real? scale) (< 0 scale 100)) 'save-charts
              "scale: expected a number above 0 and below 100, got ~s" scale)
  (check-that (and (exact-integer? colours) (> colours 1)) 'save-charts
              "colours: expected an integer of 2 or more, got ~s" colours)
  (let* ((columns (or columns (usual-columns charts)))
         (rows (quotient (+ (length charts) columns -1) columns))
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
                        (quoted (file-argument temporary)))
                (format port "set border 3~a~%set tics nomirror~%set format xy '%g'~%~aset multiplot layout ~a,~a~%"
                        (if (text-path? path) "" " linecolor rgb '#444444'") ; else the terminal's own
                        (if (text-path? path) "set tmargin 1\n" "") ; lines are scarce
                        rows columns)
                (for-each (lambda (chart number)
                            (write-chart port chart number (text-path? path)))
                          charts (iota (length charts)))
                (format port "unset multiplot~%"))
              #:encoding "UTF-8")
            (run-program 'save-charts "gnuplot" (file-argument script)))))))))
