;;; test-seeing.scm -- show, plot, animations and watch: what they draw, and where not.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 ftw)
             (ice-9 popen)
             (ice-9 textual-ports)
             (rnrs bytevectors)
             (tempera) (tempera see figures) (tempera tensor primitives)
             (tempera see terminal))

(start-tests "seeing")

;; What the terminal of whoever runs the tests says is not to matter.
(for-each unsetenv '("TEMPERA_PICTURES" "COLORTERM" "NO_COLOR" "TMUX" "STY" "KITTY_WINDOW_ID"
                     "LC_TERMINAL" "TERM_PROGRAM"))
(setenv "TERM" "xterm-256color")
(setenv "COLUMNS" "80")
(setenv "LINES" "24")
(set-port-encoding! (current-output-port) "UTF-8")

(define (output-of procedure)
  (let ((port (open-output-string)))
    (set-port-encoding! port "UTF-8")
    (procedure port)
    (get-output-string port)))

(define (shown object . options)
  (output-of (lambda (port) (apply show object #:port port options))))

(define (plotted object . options)
  (output-of (lambda (port) (apply plot object #:port port options))))

(define (files-in folder)
  (scandir folder (lambda (name) (not (string-prefix? "." name)))))

(define (lines-of text) (string-split (string-trim-right text #\newline) #\newline))

;; The left half is bright.
(define halves
  (list->tensor (append-map (lambda (row) (append (make-list 8 1.) (make-list 8 0.))) (iota 16))
                '(16 16)))

(define phases
  ;; exp (i k / 10)
  (complex-view (list->tensor (append-map (lambda (k) (list (cos (* k 0.1)) (sin (* k 0.1))))
                                          (iota 16))
                              '(4 4 2))))

;;; --- Parts and windows ------------------------------------------------------------

(for-each (lambda (k)
            (test-approximate "phase" (* k 0.1)
              (tensor-ref (image-part phases 'phase) (quotient k 4) (modulo k 4)) 1e-6))
          '(0 5 10))
(test-eq "the magnitude of reals is theirs" halves (image-part halves 'magnitude))
(test-error-matching "no phase" "an f32 image has no phase" (image-part halves 'phase))
(test-error-matching "no part" "part: expected one of" (image-part phases 'argument))
(test-equal "a window from 0" '(0 1.) (image-window halves))
(test-equal "a window below 0" '(-1. 0.) (image-window (tensor-negate halves)))
(test-equal "of a constant" '(0 1) (image-window (tensor-zeros '(3 3))))
(test-equal "of what is not finite" '(0 1) (image-window (list->tensor (list +nan.0 +nan.0) '(1 2))))
(test-error-matching "window of complex" "expected an f32" (image-window phases))

;;; --- Figures ----------------------------------------------------------------------

(define one (panel "" halves))
(define named (panel "halves" halves #:bar? #t))

(define (pixel picture row column)
  (bytevector-u32-native-ref (picture-pixels picture)
                             (* 4 (+ column (* row (picture-width picture))))))

(let ((picture (draw-figure (list one))))
  (test-equal "an image alone has no margin" '(256 256)
    (list (picture-height picture) (picture-width picture)))
  (test-equal "bright" #xffffffff (pixel picture 100 127))
  (test-equal "dark" #xff000000 (pixel picture 100 128)))
(let ((picture (draw-figure (list named named) #:room '(100 300) #:cell '(20 9))))
  (test-assert "inside its room" (and (<= (picture-height picture) 100) (<= (picture-width picture) 300)))
  (test-equal "whole cells" '(0 0) (list (modulo (picture-height picture) 20)
                                         (modulo (picture-width picture) 9))))
(let ((picture (draw-figure (list named) #:room '(160 400) #:cell '(16 8) #:labels? #t)))
  (test-equal "labels in cells" '((0 1 "halves") (1 21 "1") (9 21 "0"))
    (sort (map (lambda (label) label) (picture-labels picture))
          (lambda (a b) (< (car a) (car b))))))
(test-equal "panels are as large as they can be" '(2 1)
  (map (lambda (room)
         (let ((picture (draw-figure (make-list 2 one) #:room room)))
           (if (> (picture-width picture) (* 1.5 (picture-height picture))) 2 1)))
       '((100 400) (400 100))))
(test-assert "a room too small is no error"
  (picture? (draw-figure (list named) #:room '(1 1) #:cell '(16 8) #:labels? #t)))
(test-equal "a logarithmic scale: the middle of 1 and 100 is 10" '(0 128 255)
  (let ((picture (draw-figure (list (panel "" (list->tensor '(1 10 100) '(1 3)) #:low 1
                                           #:logarithmic? #t)))))
    (map (lambda (k) (logand 255 (pixel picture 0 (* k (quotient (picture-width picture) 3))))) '(0 1 2))))
(test-equal "its bar has the values" '("10" "1000")
  (sort (filter-map (lambda (label) (and (not (string-null? (third label))) (third label)))
                    (picture-labels
                     (draw-figure (list (panel "" (list->tensor '(0 10 1000 5) '(2 2)) #:low 10 #:bar? #t
                                               #:logarithmic? #t))
                                  #:room '(160 400) #:cell '(16 8) #:labels? #t)))
        string<?))
(test-error-matching "no logarithm of a phase" "logarithmic?: needs magnitudes"
  (panel "" phases #:part 'phase #:logarithmic? #t))
(test-error-matching "no panels" "expected a list of panels" (draw-figure '()))
(test-error-matching "colours of an image" "expected a tensor (rows columns)"
                     (panel "" (tensor-zeros '(2 2 4))))
(test-assert "what has diverged can be looked at"
  (every (lambda (x) (picture? (draw-figure (list (panel "" (list->tensor (list x 1) '(1 2)) #:bar? #t)))))
         (list +inf.0 +nan.0 -inf.0)))
(test-error-matching "an infinite window" "high: expected a finite number"
                     (panel "" halves #:high +inf.0))
(let ((p (panel "" (list->tensor '(1 0 0  0 1 0) '(1 2 3)))))
  (test-equal "red and green" '(#xffff0000 #xff00ff00)
    (let ((picture (draw-figure (list p) #:columns 1)))
      (list (pixel picture 0 0) (pixel picture 0 (1- (picture-width picture)))))))

;;; --- show -------------------------------------------------------------------------

(test-equal "in characters" '("████    " "████    " "████    " "████    ")
  (lines-of (shown halves #:as 'symbols #:width 8)))
(test-equal "fitted to 80 x 24" '(22 44)
  (let ((lines (lines-of (shown halves #:as 'symbols))))
    (list (length lines) (string-length (first lines)))))
(test-assert "ascii" (string-every char-set:ascii (shown halves #:as 'ascii)))
(test-assert "a title and a bar"
  (let ((text (shown halves #:as 'ascii #:title "halves" #:bar? #t)))
    (and (string-contains text "halves") (string-contains text "@1"))))
(test-assert "sixel" (string-prefix? "\x1bP" (shown halves #:as 'sixel)))
(test-assert "kitty" (string-prefix? "\x1b_G" (shown halves #:as 'kitty)))
(test-assert "iterm" (string-prefix? "\x1b]1337" (shown halves #:as 'iterm)))
(test-equal "no terminal: one line"
  "#<tensor f32 (16 16), 0.0 to 1.0>: not shown, this is no terminal; #:as 'symbols or \
TEMPERA_PICTURES=symbols draws it here\n"
  (shown halves))
(setenv "TEMPERA_PICTURES" "sixel")
(test-assert "the variable asks" (string-prefix? "\x1bP" (shown halves)))
(test-assert "the argument is before it" (string-prefix? "\x1b_G" (shown halves #:as 'kitty)))
(setenv "TEMPERA_PICTURES" "paper")
(test-error-matching "a bad variable" "TEMPERA_PICTURES: expected one of" (shown halves))
(unsetenv "TEMPERA_PICTURES")

(test-assert "a phase" (string? (shown phases #:part 'phase #:as 'ascii)))
(test-assert "an imaginary part" (string? (shown phases #:part 'imaginary #:as 'symbols)))
(define batch (tensor-reshape (tensor-concatenate (make-list 20 halves) 0) '(20 16 16)))
(test-equal "of a batch, the first" "16 of 20" (first (lines-of (shown batch #:as 'ascii))))
(test-equal "a batch whole" 20 (count panel? (view batch #:shown 20)))
(test-assert "titles" (string-contains (shown batch #:as 'ascii #:shown 2 #:titles '("first" "second"))
                                       "second"))
(test-equal "one window for a batch" '(0.5 0.5)
  (map (lambda (p) (let ((bright (draw-figure (list p))))
                     (/ (round (* 2 (/ (logand 255 (pixel bright 100 100)) 255.))) 2)))
       (list (first (filter panel? (view (tensor-reshape
                                          (tensor-concatenate (list (tensor* 0.5 halves) halves) 0)
                                          '(2 16 16)))))
             (panel "" (tensor* 0.5 halves) #:high 1))))
(test-assert "lines and panels" (string-prefix? "a line\n" (shown (list "a line" named) #:as 'ascii)))

(call-with-temporary-directory
 (lambda (folder)
   (let ((path (string-append folder "/halves.png")))
     (save-png path halves)
     (test-equal "a file" (lines-of (shown halves #:as 'symbols #:width 8))
       (lines-of (shown path #:as 'symbols #:width 8)))
     (call-with-output-file path (lambda (port) (display "no picture" port)))
     (test-assert "a bad file" (error-message-of (lambda () (shown path #:as 'symbols))))
     (test-error-matching "no file" "no such file" (shown (string-append folder "/none.png"))))))

(test-error-matching "what it cannot show" "expected an image" (shown 'symbol))
(test-error-matching "a kind it does not know" "as: expected one of" (shown halves #:as 'oil))
(test-error-matching "a width" "width: expected" (shown halves #:as 'symbols #:width 0))
(test-error-matching "a huge width" "width: expected" (shown halves #:as 'symbols #:width 100000))
(test-error-matching "a keyword" "unrecognized keyword: #:colour" (shown halves #:colour 'heat))
(test-error-matching "half a keyword" "expected keywords and values" (show halves #:as))
(test-error-matching "a port" "port: expected" (show halves #:port 3))
(test-error-matching "a window upside down" "high: expected" (shown halves #:low 3 #:high 2))
(test-error-matching "titles missing" "titles: expected" (shown batch #:titles '("one")))

;; Sizes as a hostile terminal has them.
(for-each (lambda (columns lines)
            (setenv "COLUMNS" columns)
            (setenv "LINES" lines)
            (for-each (lambda (kind)
                        (test-assert (format #f "~a x ~a as ~a" columns lines kind)
                          (string? (shown (list named named) #:as kind))))
                      '(symbols sixel)))
          '("1" "0" "-7" "99999999999" "many") '("1" "0" "-7" "99999999999" "many"))
(setenv "COLUMNS" "80")
(setenv "LINES" "24")

;; Other modules' objects.
(add-view! (lambda (object) (eq? object 'halves)) (lambda* (object #:key (title "")) (list (panel title halves))))
(test-equal "a view of another module" (shown halves #:as 'ascii) (shown 'halves #:as 'ascii))
(test-error-matching "its keywords" "unrecognized keyword" (shown 'halves #:low 1))

;;; --- Which kind, on a terminal ------------------------------------------------------

;; A program that runs in a terminal of its own, made by script (1), says what it found.
(define (in-terminal . variables)
  (let* ((command (format #f "env ~a guile -c '(use-modules (tempera see terminal)) \
(display (list (quote found) (terminal-kind (terminal-for (quote show) (current-output-port)))))'"
                          (string-join variables " ")))
         (pipe (open-pipe* OPEN_READ "script" "-qec" command "/dev/null"))
         (text (get-string-all pipe)))
    (close-pipe pipe)
    (let ((at (string-contains text "(found ")))
      (and at (substring text (+ at 7) (string-index text #\) at))))))

(when (program-exists? "script")
  (setenv "LC_ALL" "C.UTF-8")
  (test-equal "kitty" "kitty" (in-terminal "TERM=xterm-kitty"))
  (test-equal "not through tmux" "symbols" (in-terminal "TERM=xterm-kitty" "TMUX=x"))
  (test-equal "dumb" "ascii" (in-terminal "TERM=dumb"))
  (test-equal "the variable" "sixel" (in-terminal "TERM=dumb" "TEMPERA_PICTURES=sixel"))
  (test-equal "without UTF-8" "ascii" (in-terminal "TERM=xterm" "LC_ALL=C"))
  (unsetenv "LC_ALL"))

;;; --- plot -------------------------------------------------------------------------

(define (file-text path) (call-with-input-file path get-string-all))

(test-assert "a sequence in characters"
  (let ((text (plotted (geometric 100 #:ratio 0.5 #:until 0.1) #:as 'ascii)))
    (and (string-contains text "geometric 0.5") (string-contains text "index")
         (string-every char-set:ascii text))))
(test-equal "its lines" #t (<= (length (lines-of (plotted '(1 2 3) #:as 'ascii #:height 15))) 16))
(test-assert "in colours" (string-contains (plotted '(1 2 3) #:as 'symbols) "+"))
(test-assert "in pixels" (string-prefix? "\x1bP" (plotted '((1 2) (3 4)) #:as 'sixel)))
(test-assert "a rule" (string-contains (plotted (power-law 10) #:as 'ascii) "sigma"))
(test-assert "a vector" (string? (plotted (list->tensor '(1 2 4)) #:as 'ascii)))
(test-equal "no terminal: one line"
  "1 chart: not shown, this is no terminal; #:as 'symbols or TEMPERA_PICTURES=symbols draws it here\n"
  (plotted '(1 2 3)))
(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define map-of-three
     (heat-chart "PSNR" '((20 22) (21 #f)) #:x-label "step" #:x-names '(0.1 0.2)
                 #:y-names '("low" "high") #:value-label "dB"))
   (plot map-of-three #:to (in "heat.svg"))
   (let ((text (file-text (in "heat.svg"))))
     (test-assert "a heat map: its numbers, names and bar"
       (every (lambda (word) (string-contains text (string-append word "<")))
              '("20" "22" "21" "0.1" "0.2" "low" "high" "dB"))))
   (plot map-of-three #:to (in "heat.txt"))
   (test-assert "in characters, its numbers" (string-contains (file-text (in "heat.txt")) "22"))
   (plot (list map-of-three (first (charts '(1 2)))) #:to (in "two.pdf"))
   (test-assert "PDF" (string-prefix? "%PDF" (call-with-input-file (in "two.pdf") get-string-all
                                               #:encoding "ISO-8859-1")))
   (plot (chart "many" (map (lambda (k) (series 'curve `((0 0) (1 ,k)) #:title (number->string k)))
                            (iota 9)))
         #:to (in "many.svg"))
   (test-assert "a colour for each of nine lines"
     (let ((text (file-text (in "many.svg"))))
       (not (string-contains text "stroke:#1f5fa8"))))
   (plot (list (chart "small" (list (series 'curve '((0 1e-7) (1 1e-3)))) #:logarithmic '(y))
               (chart "share" (list (series 'curve '((0 1) (1 0.5)))) #:y-range '(0 1.05)))
         #:to (in "axes.txt") #:columns 1)
   (let ((lines (map string-trim (lines-of (file-text (in "axes.txt"))))))
     (test-assert "small numbers are short" (any (lambda (line) (string-prefix? "1e-05 " line)) lines))
     (test-assert "an axis from 0 below a logarithmic one"
       (any (lambda (line) (string-prefix? "0 +" line)) lines)))
   ;; The key is below the axis, where no line is.
   (plot (chart "key" (list (series 'curve '((0 0) (1 1)) #:title "rises")
                            (series 'curve '((0 1) (1 0)) #:title "falls")))
         #:to (in "key.txt"))
   (let* ((lines (lines-of (file-text (in "key.txt"))))
          (where (lambda (text) (list-index (lambda (line) (string-contains line text)) lines)))
          (axis (- (length lines) 1 (list-index (lambda (line) (string-contains line "----")) (reverse lines)))))
     (test-assert "what is named is below" (and (> (where "rises") axis) (> (where "falls") axis))))
   ;; A heat map's colours: the middle of 1, 10, 100 is 10 by logarithm.
   (let ((middle (lambda (values . options)
                   ;; The colour of the second square; gnuplot's SVG has the map as an image, so
                   ;; that a PNG is read: where the squares are, the palette's red part rises.
                   (plot (apply heat-chart "" (list values) options) #:to (in "middle.svg"))
                   (file-text (in "middle.svg")))))
     (test-assert "geometric steps are told"
       (equal? (middle '(1 10 100)) (middle '(1 10 100) #:logarithmic? #t)))
     (test-assert "even ones too"
       (equal? (middle '(1 50 100)) (middle '(1 50 100) #:logarithmic? #f)))
     (test-assert "they differ"
       (not (equal? (middle '(1 10 100)) (middle '(1 10 100) #:logarithmic? #f))))
     (test-assert "of what is not above 0, none"
       (equal? (middle '(0 10 100)) (middle '(0 10 100) #:logarithmic? #f)))
     (test-error-matching "a logarithm of 0" "logarithmic?: needs values above 0, got 0"
       (heat-chart "" '((0 1)) #:logarithmic? #t)))
   ;; Several objects together.
   (let ((both (charts-together (list (geometric 100 #:ratio 0.5 #:until 1)
                                      (geometric 100 #:ratio 0.7 #:until 1)))))
     (test-equal "schedules in one chart" 1 (length both))
     (plot (geometric 100 #:ratio 0.5 #:until 1) (geometric 100 #:ratio 0.7 #:until 1) #:to (in "both.svg"))
     (test-assert "each with its name"
       (every (lambda (text) (string-contains (file-text (in "both.svg")) text))
              '("geometric 0.5" "geometric 0.7"))))
   (plot '(1 2 3) '(3 2 1) #:titles '("up" "down") #:to (in "numbers.svg"))
   (test-assert "named" (string-contains (file-text (in "numbers.svg")) "down"))
   (test-error-matching "too few names" "titles: expected a list of 2 strings"
     (plot '(1 2) '(2 1) #:titles '("one") #:to (in "a.svg")))
   (test-error-matching "no line" "has no line" (overlay-charts (list map-of-three) '("x")))
   (test-error-matching "an ending" "path: expected a name that ends" (plot '(1 2) #:to (in "a.doc")))
   (test-error-matching "no folder" "cannot be written" (plot '(1 2) #:to "/nowhere/a.png"))
   (test-equal "nothing half-done" '() (filter (lambda (name) (string-contains name ".tmp"))
                                               (files-in folder)))))
(test-error-matching "what it cannot draw" "expected a chart" (plotted 'symbol #:as 'ascii))
(test-error-matching "nothing finite" "nothing finite" (plotted (list +nan.0 +inf.0) #:as 'ascii))
(test-error-matching "ragged" "values: expected a list of rows" (heat-chart "" '((1 2) (3))))
(test-error-matching "nothing there" "a finite number at least" (heat-chart "" '((#f #f))))
(test-error-matching "names" "x-names: expected 2" (heat-chart "" '((1 2)) #:x-names '(1)))
(test-error-matching "a keyword" "unrecognized keyword" (plotted '(1 2) #:colour 3))
(test-error-matching "a keyword where there is none" "plot: unrecognized keyword: #:colour; of #<schedule"
  (plotted (geometric 9 #:ratio 1/2 #:until 1) #:colour 3))
(test-error-matching "a width" "width: expected" (plotted '(1 2) #:as 'ascii #:width -1))

;;; --- Chains -----------------------------------------------------------------------

(define target
  (make-target "Gaussian" #:shape '(8 8)
               #:score (lambda (x sigma) (tensor* (/ -1 (+ 4 (* sigma sigma))) x))))
(define (start . options)
  (apply start-chain target #:chains 3 #:step-size 0.3
         #:temperatures (geometric 10 #:ratio 0.7 #:until 0.5) options))
(define chain (resume! (start)))

(test-assert "a chain's title" (string-prefix? "sigma 0.5  accepted" (shown chain #:as 'ascii)))
(test-equal "its panels" 5 (count panel? (view chain #:samples 3)))
(test-assert "against the truth"
  (string-contains (shown chain #:truth (tensor-reshape (random-normal '(64) 3) '(8 8)) #:as 'ascii)
                   " dB"))
(test-assert "against itself" (string-contains (shown chain #:truth (chain-mean chain) #:as 'ascii)
                                               "+inf.0 dB"))
(test-equal "of one chain, no deviation" 2
  (count panel? (view (start-chain target #:chains 1) #:samples 1)))
(test-error-matching "a truth of another shape" "truth: expected" (shown chain #:truth halves))
(let* ((op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
       (m (measurement op (measure op (random-normal '(16 16) 2 0 'c64) #:seed 3) #:warn (const #t)))
       (seen (view m #:part 'phase #:title "y"))
       (image (lambda (panel) ((@@ (tempera see figures) panel-image) panel))))
  (test-equal "a measurement" (format #f "zero-filled; ~a; noise 0.1" (operator-name op)) (first seen))
  (test-equal "as an image, with its options" '("y" #t)
    (list ((@@ (tempera see figures) panel-title) (second seen))
          (tensor-identical? (image (first (view (zero-filled m) #:part 'phase))) (image (second seen))))))
(test-equal "its trace" 4 (length (charts chain)))
(test-assert "its trace, drawn" (string-contains (plotted chain #:as 'ascii #:width 120) "energy error"))
(test-error-matching "no trace yet" "it has made no transition yet" (plotted (start) #:as 'ascii))
(define flat (start-chain (make-target "normal" #:shape '(2) #:score (lambda (x sigma) (tensor* -1 x)))))
(test-error-matching "no image" "samples are not images" (shown flat #:as 'ascii))

;;; --- watch ------------------------------------------------------------------------

(define watched (start))
(define seen '())
(define text
  (output-of (lambda (port)
               (watch watched #:port port #:as 'ascii
                      #:hook (lambda (c) (set! seen (cons (chain-sigma c) seen)))))))
(test-assert "to its end" (chain-finished? watched))
(test-assert "the same bits as unwatched"
  (tensor-identical? (chain-samples watched) (chain-samples chain)))
(test-equal "the hook at every temperature" (schedule-length (geometric 10 #:ratio 0.7 #:until 0.5))
  (length seen))
(test-assert "the last picture is the last state"
  (string-contains (last (string-split text #\return)) "sigma 0.5"))
(test-assert "drawn in place" (string-contains text "\x1b7\x1b["))
(test-assert "of what is no image, the trace"
  (string-contains (output-of (lambda (port)
                                (watch flat #:port port #:as 'ascii #:width 120)))
                   "step size"))
(define quiet (start))
(test-assert "no terminal: it says so, and goes on"
  (string-contains (call-with-output-string
                     (lambda (errors)
                       (parameterize ((current-error-port errors))
                         (watch quiet #:port (open-output-string)))))
                   "no terminal"))
(test-assert "and is done" (chain-finished? quiet))
(test-error-matching "what it cannot watch" "expected a chain" (watch 3))
(test-error-matching "a keyword" "unrecognized keyword: #:steps" (watch (start) #:steps 3))

(define trainer
  (make-trainer (score-network '(moons-mlp #:width 8) #:parametrisation 'paper)
                (lambda (count step) (random-normal (list count 2) 8 step))
                #:batch 4 #:steps 30))
(test-error-matching "no losses yet" "no losses yet" (plotted trainer #:as 'ascii))
(test-assert "a trainer"
  (string-contains (output-of (lambda (port)
                                (watch trainer #:port port #:as 'ascii #:every 10)))
                   "loss"))
(test-equal "all its steps" 30 (trainer-step trainer))
(test-equal "losses, and by band" 2 (length (charts trainer #:bands? #t)))

;;; --- Animations -------------------------------------------------------------------

(define (file-bytes path)
  (call-with-input-file path (@ (ice-9 binary-ports) get-bytevector-all) #:binary #t))

(define (begins? path text)
  (let ((bytes (file-bytes path)))
    (equal? text (list->string (map (lambda (k) (integer->char (bytevector-u8-ref bytes k)))
                                    (iota (string-length text)))))))

(define (count-of path bytes)
  ;; How often the list BYTES is in the file.
  (let ((all (bytevector->u8-list (file-bytes path))))
    (let loop ((rest all) (n 0))
      (cond ((null? rest) n)
            ((and (>= (length+ rest) 0) (prefix? bytes rest)) (loop (cdr rest) (1+ n)))
            (else (loop (cdr rest) n))))))

(define (prefix? a b)
  (cond ((null? a) #t) ((null? b) #f) ((= (car a) (car b)) (prefix? (cdr a) (cdr b))) (else #f)))

(define (ascii text) (map char->integer (string->list text)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define three (random-normal '(3 8 8) 5))
   (save-animation (in "a.webp") three #:fps 10)
   (test-assert "WebP" (begins? (in "a.webp") "RIFF"))
   (test-equal "its frames" 3 (count-of (in "a.webp") (ascii "ANMF")))
   (save-animation (in "a.gif") three #:titles '("a" "b" "c") #:loop 2)
   (test-assert "GIF" (begins? (in "a.gif") "GIF89a"))
   (test-equal "its frames" 3 (count-of (in "a.gif") '(#x21 #xf9 4)))
   (save-animation (in "chain.gif") chain)
   (test-equal "a chain's samples" 3 (count-of (in "chain.gif") '(#x21 #xf9 4)))
   (save-animation (in "chain.webp") chain #:over 'temperatures)
   (test-equal "its temperatures" (length (chain-states chain))
     (count-of (in "chain.webp") (ascii "ANMF")))
   (save-animation (in "figures.gif") (list (list named one) (list one named)))
   (test-equal "figures" 2 (count-of (in "figures.gif") '(#x21 #xf9 4)))
   (save-animation (in "phase.gif") (tensor-reshape phases '(1 4 4)) #:part 'phase)
   (save-animation (in "lossy.webp") three #:quality 50)
   (test-error-matching "an ending" "ends in .webp or .gif" (save-animation (in "a.mp4") three))
   (test-error-matching "no frames" "frames: expected a batch" (save-animation (in "b.gif") '()))
   (test-error-matching "an image" "frames: expected a batch" (save-animation (in "b.gif") halves))
   (test-error-matching "frames of two sizes" "frames: the first is"
                        (save-animation (in "b.gif") (list one (panel "" (tensor-zeros '(8 16))))))
   (test-error-matching "fps" "fps: expected" (save-animation (in "b.gif") three #:fps 0))
   (test-error-matching "loop" "loop: expected" (save-animation (in "b.gif") three #:loop -1))
   (test-error-matching "quality" "quality: expected" (save-animation (in "b.webp") three #:quality 101))
   (test-error-matching "titles" "titles: expected" (save-animation (in "b.gif") three #:titles '("a")))
   (test-error-matching "over" "over: expected" (save-animation (in "b.gif") chain #:over 'time))
   (test-error-matching "a keyword" "unrecognized keyword" (save-animation (in "b.gif") three #:hue 3))
   (test-error-matching "no folder" "no such folder: /nowhere" (save-animation "/nowhere/b.gif" three))
   (test-equal "nothing half-done"
     '("a.gif" "a.webp" "chain.gif" "chain.webp" "figures.gif" "lossy.webp" "phase.gif")
     (files-in folder))))
(for-each (lambda (format)
            (test-error-matching "a full disk" "No space left"
                                 (write-animation "/dev/full" format
                                                  (let ((left 2))
                                                    (lambda ()
                                                      (set! left (1- left))
                                                      (and (> left 0) (make-bytevector 4096 255))))
                                                  32 32 100 0 #f)))
          '(webp gif))

(finish-tests)
