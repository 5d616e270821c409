;;; show.scm -- pictures in the terminal: (show OBJECT).
;;;
;;; A view of an object is a list of panels (figures.scm) and lines of text.  Other modules add
;;; views of their own kinds of objects with `add-view!'.

(define-module (tempera see show)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera file formats)
  #:use-module (tempera data images)
  #:use-module (tempera data quality)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem likelihoods)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base keywords)
  #:use-module (tempera base registries)
  #:use-module (tempera sample chain)
  #:use-module (tempera see terminal)
  #:export (show add-view! view))

;;; --- Views ------------------------------------------------------------------------

(define views
  (make-registry 'show "an image (rows columns), a batch of them, a chain, a measurement, panels or \
the name of a file; `plot' draws numbers and schedules"))

(define (add-view! predicate procedure)
  "Let `show' show what PREDICATE is true of: PROCEDURE of the object and of the keywords that
`show' does not know itself gives a list of panels and of strings, lines of text above.
Example: (add-view! (lambda (object) (and (pair? object) (tensor? (car object))))
                    (lambda (p) (list \"both\" (panel \"\" (car p)) (panel \"\" (cdr p)))))"
  (registry-add! views 'add-view! predicate procedure))

(define (view object . options)
  "What OBJECT looks like with OPTIONS, those of `show': a list of panels and of strings.
Example: (save-figure \"chain.png\" (filter panel? (view chain)))"
  (registry-apply views object options))

(define (show object . options)
  "Show OBJECT in the terminal, in pixels or characters by what it can do:
  an image (rows columns) or a batch of them (n rows columns), f32 or c64, or in colour, f32 (... 3)
      #:part (magnitude, phase, real or imaginary), #:low, #:high (all but the brightest
      thousandth), #:colours (grey, heat, wheel), #:logarithmic?
      (of k-space, say), #:bar?, #:title or #:titles, #:shown (16)
  a chain: mean, standard deviation and #:samples (3); #:truth adds PSNRs
  a measurement: its image without a prior, `zero-filled', with the options of an image; a likelihood: the image that chains start at
  a panel or a list of them, and strings
  the name of a file: PNG and what `load-image' reads
and what other modules add.  For all of them #:as, kitty, iterm, sixel, symbols or ascii,
overrides what was found out, as the variable TEMPERA_PICTURES does; #:width is in characters
(as large as fits), #:columns the panels in a row, #:port where to (the current output).
What is no terminal gets one line that says so, unless #:as or the variable ask for pictures.
Example: (show (chain-mean chain) #:part 'phase)"
  (define* (display-view view #:key (as #f) (width #f) (columns #f) (port (current-output-port)))
    (check-that (or (not width) (and (exact-integer? width) (< 0 width 1000))) 'show
                "width: expected a number of characters below 1000, got ~s" width)
    (check-that (and (port? port) (output-port? port)) 'show "port: expected an output port, got ~s"
                port)
    (let ((terminal (terminal-for 'show port as)) (lines (filter string? view)))
      (for-each (lambda (line) (display line port) (newline port)) lines)
      (if terminal
          (display-drawing terminal
                           (picture-for terminal (filter panel? view) #:columns columns
                                        #:width width #:above (length lines)))
          (not-shown (if (list? object)
                         (format #f "~a panels" (count panel? view))
                         (format #f "~a" object))
                     port))))
  (call-with-values (lambda () (split-options 'show '(#:as #:width #:columns #:port) options))
    (lambda (own others)
      (let ((view (apply view object others)))
        (check-that (and (list? view) (every (lambda (v) (or (panel? v) (string? v))) view)
                         (any panel? view))
                    'show "expected a list of panels and strings, one panel at least, got ~s" view)
        (apply display-view view own)))))

;;; --- Images -----------------------------------------------------------------------

(define* (image-panels images titles #:key (part 'magnitude) (low #f) (high #f)
                       (colours (if (eq? part 'phase) 'wheel 'grey)) (bar? #f)
                       (logarithmic? #f))
  ;; A panel for each of IMAGES, all with the same limits.
  (let* ((magnitude? (eq? part 'magnitude))
         (window (and magnitude?
                      (let ((windows (map (lambda (image) (image-window (image-part image part)))
                                          images)))
                        (list (apply min (map first windows)) (apply max (map second windows))))))
         (greatest (and (not magnitude?) (not (eq? part 'phase))
                        (apply max (map (lambda (image)
                                          (second (image-window (tensor-abs (image-part image part)))))
                                        images))))
         (low (or low (if window (and (not logarithmic?) (first window)) (and greatest (- greatest)))))
         (high (or high (if window (second window) greatest))))
    (map (lambda (image title)
           (panel title image #:part part #:low low #:high high #:colours colours #:bar? bar?
                  #:logarithmic? logarithmic?))
         images titles)))

(define (image? object)
  (and (tensor? object) (= 2 (length (tensor-shape object)))))

(define (coloured? object)
  (and (tensor? object) (eq? (tensor-dtype object) 'f32)
       (match (tensor-shape object) ((_ _ 3) #t) (_ #f))))

(define (batch? object)
  (and (tensor? object)
       (match (tensor-shape object)
         (((? positive?) _ _) (not (coloured? object)))
         (((? positive?) _ _ 3) (eq? (tensor-dtype object) 'f32)) ; in colour
         (_ #f))))

(define (slice batch k)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(add-view! image?
           (lambda* (image #:key (title "") #:allow-other-keys #:rest options)
             (apply image-panels (list image) (list title) (without-keywords 'show options #:title))))

(add-view! coloured?
           (lambda* (image #:key (title "") (low 0) (high #f))
             (list (panel title image #:low low
                          #:high (or high (second (image-window image)))))))

(add-view! batch?
           (lambda* (batch #:key (titles #f) (shown 16) #:allow-other-keys #:rest options)
             (check-that (and (exact-integer? shown) (> shown 0)) 'show
                         "shown: expected a positive integer, got ~s" shown)
             (let* ((n (first (tensor-shape batch))) (shown (min n shown))
                    (titles (or titles (map number->string (iota n 1)))))
               (check-that (and (list? titles) (>= (length titles) shown) (every string? titles))
                           'show "titles: expected a list of ~a strings, got ~s" shown titles)
               (append (if (< shown n) (list (format #f "~a of ~a" shown n)) '())
                       (apply image-panels (map (lambda (k) (slice batch k)) (iota shown))
                              (take titles shown)
                              (without-keywords 'show options #:titles #:shown))))))

;;; --- Measurements -----------------------------------------------------------------

(add-view! measurement?
           (lambda (measurement . options)
             (cons (format #f "~a; ~a; noise ~a" (operator-inverse-name (measurement-operator measurement))
                           (operator-name (measurement-operator measurement))
                           (measurement-noise measurement))
                   (apply view (zero-filled measurement) options))))

(add-view! likelihood?
           (lambda (likelihood . options)
             (cons (format #f "where chains start; ~a; ~a noise" (operator-name (likelihood-operator likelihood))
                           (likelihood-name likelihood))
                   (apply view (likelihood-start likelihood) options))))

;;; --- Files ------------------------------------------------------------------------

(add-view! string?
           (lambda (path . options)
             (let ((image (load-image path)))
               (if (and (file-holds? path 'picture) (null? options))
                   ;; A drawn picture keeps its brightness.
                   (list (panel "" image #:low 0
                                #:high (if (> (tensor->number (tensor-max image)) 255) 65535 255)))
                   (apply view image options)))))

;;; --- Panels -----------------------------------------------------------------------

(add-view! panel? list)
(add-view! (lambda (object)
             (and (pair? object) (list? object)
                  (every (lambda (o) (or (panel? o) (string? o))) object)))
           identity)

;;; --- Chains -----------------------------------------------------------------------

(add-view! chain?
           (lambda* (chain #:key (truth #f) (samples 3))
             (let* ((x (chain-samples chain)) (mean (chain-mean chain)))
               (check-that (batch? x) 'show "chain: its samples are not images (rows columns), but ~
of shape ~a; `plot' draws its trace" (cdr (tensor-shape x)))
               (check-that (and (exact-integer? samples) (>= samples 0)) 'show
                           "samples: expected an integer, 0 or more, got ~s" samples)
               (check-that (or (not truth)
                               (and (tensor? truth) (equal? (tensor-shape truth) (tensor-shape mean))))
                           'show "truth: expected an image ~a, got ~s" (tensor-shape mean) truth)
               (cons (format #f "sigma ~a  accepted ~a~a" (significant (chain-sigma chain) 3)
                             (significant (chain-acceptance chain) 3)
                             (if truth
                                 (format #f "  mean ~a dB" (significant (psnr mean truth) 3))
                                 ""))
                     (posterior-panels #:truth truth #:mean mean
                                       #:std (and (> (first (tensor-shape x)) 1) (chain-std chain))
                                       #:samples x #:shown samples)))))
