;;; plots.scm -- charts of what one works with: (plot OBJECT).
;;;
;;; An object is drawn as a list of charts (charts.scm); other modules add kinds of objects with
;;; `add-plot!'.  gnuplot draws them, as a picture for a terminal that shows pixels, else in
;;; characters.

(define-module (tempera see plots)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera see chain-charts)
  #:use-module (tempera see charts)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera file paths)
  #:use-module (tempera see gnuplot)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base keywords)
  #:use-module (tempera base registries)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample schedules)
  #:use-module (tempera see terminal)
  #:use-module (tempera net trainer)
  #:export (plot add-plot! charts charts-together charts-drawing))

;;; --- The verb ---------------------------------------------------------------------

(define plots
  (make-registry 'plot "a chart or a list of them, a schedule, a chain, a trainer, numbers or points \
(x y), or several objects; `show' draws images"))

(define (add-plot! predicate procedure)
  "Let `plot' draw what PREDICATE is true of: PROCEDURE of the object and of the keywords that
`plot' does not know itself gives a list of charts.
Example: (add-plot! pair? (lambda (p) (list (chart \"\" (list (series 'points (list p)))))))"
  (registry-add! plots 'add-plot! predicate procedure))

(define (charts object . options)
  "The charts of OBJECT with OPTIONS, as `plot' draws them.
Example: (save-charts \"trace.svg\" (charts chain))"
  (registry-apply plots object options))

(define (plot object . options)
  "Draw OBJECT, or several of one kind together, in the terminal or into a file:
  a chart or a list of them
  a schedule: a sequence by its index; a rule over sigma from #:from (100) to #:until (0.05)
  a chain: sigma, step size, acceptance and energy error by transition
  a trainer: the loss by step, #:bands? #t also that of each band of sigma
  a list of numbers, or of points (x y), #:title, #:x-label, #:y-label
and what other modules add.  Of several, (plot chain other ...), each is a line in one chart,
named by #:titles, a list of strings.  #:to is the name of a file, PNG, SVG, PDF or text (.txt); else it
is the terminal, in pixels or characters by what it can do, which #:as and the variable
TEMPERA_PICTURES override as for `show'; #:width of all, in characters or the file's pixels,
#:height of a chart, #:columns the charts in a row, #:port.
Example: (plot (geometric 100 #:ratio 0.9 #:until 0.05) #:to \"temperatures.svg\")"
  (let*-values (((more options) (break keyword? options))
                ((own others) (split-options 'plot '(#:to #:as #:width #:height #:columns #:port)
                                             options)))
      (let ((charts (cond ((null? more) (apply charts object others))
                          ((every chart? (cons object more)) (cons object more)) ; side by side
                          (else (apply charts-together (cons object more) others)))))
        (check-that (and (list? charts) (pair? charts) (every chart? charts)) 'plot
                    "expected a list of charts, got ~s" charts)
        (apply draw charts own))))

(define* (charts-together objects #:key (titles #f) #:allow-other-keys #:rest options)
  "The charts of OBJECTS, a list of two or more, each a line in them, as `plot' draws several.
Example: (save-charts \"cooling.svg\"
           (charts-together (list (geometric 100 #:ratio 0.9 #:until 1) (geometric 100 #:ratio 0.8 #:until 1))))"
  (check-that (or (not titles)
                  (and (list? titles) (= (length titles) (length objects)) (every string? titles)))
              'plot "titles: expected a list of ~a strings, got ~s" (length objects) titles)
  (let*-values (((ours options) (split-options 'plot '(#:titles) options))
                ((all) (map (lambda (object) (apply charts object options)) objects))
                ((named) (map chart-title (map first all)))
                ;; Schedules have titles of their own, and share one chart.
                ((own-titles?) (and (every (lambda (charts) (null? (cdr charts))) all)
                                    (not (every (lambda (title) (equal? title (first named))) named))))
                ((titles) (or titles (if own-titles? named (map number->string (iota (length all) 1))))))
    (if own-titles?
        (list (overlay-charts (map first all) titles #:title ""))
        (map (lambda (title)
               (let ((found (filter-map (lambda (charts name)
                                          (and=> (find (lambda (c) (equal? title (chart-title c))) charts)
                                                 (lambda (c) (cons c name))))
                                        all titles)))
                 (overlay-charts (map car found) (map cdr found))))
             (delete-duplicates (map chart-title (concatenate all)))))))

(define* (draw charts #:key (to #f) (as #f) (width #f) (height #f) (columns #f)
               (port (current-output-port)))
  (define (positive? n) (or (not n) (and (exact-integer? n) (< 0 n 10000))))
  (for-each (lambda (name n)
              (check-that (positive? n) 'plot "~a: expected a positive integer, got ~s" name n))
            '("width" "height" "columns") (list width height columns))
  (check-that (or (not to) (string? to)) 'plot "to: expected the name of a file, got ~s" to)
  (check-that (and (port? port) (output-port? port)) 'plot "port: expected an output port, got ~s" port)
  (if to
      (let ((columns (or columns (usual-columns charts))))
        (apply save-charts to charts #:columns columns
               (append (if width (list #:width (max 1 (quotient width columns))) '())
                       (if height (list #:height height) '()))))
      (let ((terminal (terminal-for 'plot port as)))
        (if terminal
            (display-drawing terminal (charts-drawing terminal charts #:width width #:height height
                                                      #:columns columns))
            (not-shown (if (= 1 (length charts)) "1 chart" (format #f "~a charts" (length charts)))
                       port)))))

;;; --- In the terminal --------------------------------------------------------------

(define* (charts-drawing terminal charts #:key (width #f) (height #f) (columns #f))
  "CHARTS as TERMINAL shows them, a picture or text, as wide as it is, or WIDTH of its
characters; each HEIGHT pixels or characters high, in rows of COLUMNS."
  (let ((width (min (terminal-columns terminal) (or width (terminal-columns terminal)))))
    (call-with-temporary-folder
     (lambda (folder)
       (if (has-pixels? terminal)
           (let ((file (string-append folder "/charts.png")))
             (draw-pixels terminal charts file width height columns)
             (picture-for terminal (list (panel "" (load-png file) #:high 255)) #:width width))
           (let ((file (string-append folder "/charts.txt")))
             (draw-characters terminal charts file width height columns)
             (call-with-input-file file get-string-all #:encoding "UTF-8")))))))

(define (draw-pixels terminal charts file width height columns)
  (let* ((scale (terminal-scale terminal))
         (all (* width (terminal-cell-width terminal)))
         (columns (or columns (max 1 (min (length charts) (quotient all (* 320 scale))))))
         ;; One chart need not be as wide as a screen.
         (each (max 1 (min (* 560 scale) (quotient all columns)))))
    (save-charts file charts #:columns columns #:width (inexact->exact (floor each))
                 #:height (or height (inexact->exact (floor (* 0.7 each)))) #:scale scale)))

(define (draw-characters terminal charts file width height columns)
  (let* ((columns (or columns (max 1 (min (length charts) (quotient width 50)))))
         (rows (quotient (+ (length charts) columns -1) columns)))
    (save-charts file charts #:columns columns #:width (max 1 (quotient width columns))
                 #:height (or height (max 12 (min 24 (quotient (- (terminal-rows terminal) 2) rows))))
                 #:colours (if (eq? (terminal-kind terminal) 'ascii) 2 (terminal-colours terminal)))))

;;; --- Numbers and charts -----------------------------------------------------------

(add-plot! chart? list)
(add-plot! (lambda (object) (and (pair? object) (list? object) (every chart? object))) identity)

(define (numbers? object)
  (and (pair? object) (list? object) (every real? object)))

(define (points? object)
  (and (pair? object) (list? object)
       (every (lambda (p) (and (list? p) (= (length p) 2) (every real? p))) object)))

(add-plot! points?
           (lambda* (points #:key (title "") (x-label "") (y-label ""))
             (list (line-chart title points #:x-label x-label #:y-label y-label))))

(add-plot! numbers?
           (lambda (numbers . options)
             (apply charts (map list (iota (length numbers)) numbers) options)))

(add-plot! (lambda (object) (and (tensor? object) (= 1 (length (tensor-shape object)))
                                 (eq? (tensor-dtype object) 'f32)))
           (lambda (tensor . options) (apply charts (tensor->list tensor) options)))

;;; --- Schedules --------------------------------------------------------------------

(define (schedule-title schedule)
  ;; Its printed form without "#<schedule " and ">".
  (let ((text (format #f "~a" schedule)) (before "#<schedule "))
    (string-drop-right (string-drop text (string-length before)) 1)))

(add-plot! (lambda (object) (and (schedule? object) (schedule-length object)))
           (lambda (schedule)
             (let ((values (schedule->list schedule)))
               (list (line-chart (schedule-title schedule) (map list (iota (length values)) values)
                                 #:x-label "index" #:y-label "sigma")))))

(define rule-points 100)

(add-plot! (lambda (object) (and (schedule? object) (not (schedule-length object))))
           (lambda* (rule #:key (from 100) (until 0.05))
             (let ((points (map (lambda (sigma) (list sigma (schedule-at rule sigma)))
                                (schedule->list (log-linear from #:until until
                                                            #:count rule-points)))))
               (list (chart (schedule-title rule) (list (series 'curve points)) #:x-label "sigma"
                            #:y-label "value"
                            #:logarithmic (if (decades? (map second points)) '(x y) '(x)))))))

;;; --- Chains -----------------------------------------------------------------------

(add-plot! chain? trace-charts)

;;; --- Trainers ---------------------------------------------------------------------

(define (band-name end)
  (if (finite? end) (format #f "sigma to ~a" end) "above"))

(add-plot! trainer?
           (lambda* (trainer #:key (bands? #f))
             (let* ((losses (reverse (trainer-losses trainer)))
                    (points (map (lambda (entry) (list (first entry) (second entry))) losses)))
               (check-that (pair? losses) 'plot "the trainer has no losses yet; (train! trainer) goes \
on, and notes them every 200 steps")
               (cons (line-chart "loss" points #:x-label "step")
                     (if bands? (list (band-chart losses)) '())))))

(define (band-chart losses)
  (let* ((bands (delete-duplicates (append-map (lambda (entry) (map car (cddr entry))) losses)))
         (all (map (lambda (band)
                     (cons band
                           (filter-map (lambda (entry)
                                         (let ((loss (assv-ref (cddr entry) band)))
                                           (and loss (finite? loss) (list (first entry) loss))))
                                       losses)))
                   (sort bands <))))
    (chart "loss by sigma"
           (filter-map (lambda (b) (and (pair? (cdr b))
                                        (series (line-style (cdr b)) (cdr b) #:title (band-name (car b)))))
                       all)
           #:x-label "step"
           #:logarithmic (if (decades? (map second (append-map cdr all))) '(y) '()))))
