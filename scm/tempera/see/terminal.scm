;;; terminal.scm -- pictures in a terminal: what it can show, at what size, and sending it.
;;;
;;; Pixels, by the protocol of kitty, iTerm2 or sixel, if environment variables say that the
;;; terminal has them or if it answers so when asked; else characters.  A port that is no terminal
;;; gets no pictures unless they are asked for.

(define-module (tempera see terminal)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base progress)
  #:use-module (tempera base errors)
  #:use-module (tempera see figures)
  #:use-module (tempera tensor primitives)
  #:export (text-columns terminal-for terminal-port terminal-kind terminal-columns terminal-rows
            terminal-cell-width terminal-colours terminal-scale
            has-pixels? picture-for drawing-rows drawing-text display-text display-drawing
            not-shown))

(define-record-type <terminal>
  (make-terminal port kind colours rows columns cell-height cell-width)
  terminal?
  (port terminal-port)
  (kind terminal-kind)                  ; kitty, iterm, sixel, symbols or ascii
  (colours terminal-colours)            ; of characters
  (rows terminal-rows)
  (columns terminal-columns)
  (cell-height terminal-cell-height)    ; in pixels
  (cell-width terminal-cell-width))

(define kinds '(kitty iterm sixel symbols ascii))
(define pixel-kinds '(kitty iterm sixel))
(define variable "TEMPERA_PICTURES")

;;; --- What it can do ---------------------------------------------------------------

(define (variable-set? name)
  (let ((value (getenv name)))
    (and value (not (string-null? value)) value)))

(define (inside-another?)
  ;; tmux and screen: the variables describe the terminal they were started in, and they pass on
  ;; only the escapes they know.
  (or (variable-set? "TMUX") (variable-set? "STY")))

(define answer #f)                      ; of the terminal, once it was asked

(define (ask!)
  ;; Asks for the size of a cell, which few systems know otherwise, then for the attributes (DA1),
  ;; which every terminal answers.  Half a second is enough for a remote terminal.
  (unless answer
    (set! answer
          (if (member (getenv "TERM") '(#f "" "dumb"))
              ""
              (catch 'tempera-error
                (lambda () (terminal-ask "\x1b[16t\x1b[c" #\c 500))
                (const "")))))
  answer)

(define (answers-sixel?)
  (let ((found (string-match "\x1b\\[\\?([0-9;]*)c" (ask!))))
    (and found (member "4" (string-split (match:substring found 1) #\;)) #t)))

(define (asked-cell)
  ;; (height width), or #f.
  (let ((found (string-match "\x1b\\[6;([0-9]{1,3});([0-9]{1,3})t" (ask!))))
    (and found (map (lambda (k) (string->number (match:substring found k))) '(1 2)))))

(define (asked-for who as)
  ;; The kind that the caller or the user wants, or #f.
  (check-that (or (not as) (memq as kinds)) who "as: expected one of ~a, got ~s" kinds as)
  (or as
      (let ((value (variable-set? variable)))
        (and value
             (or (find (lambda (kind) (string=? value (symbol->string kind))) kinds)
                 (complain who "the variable ~a: expected one of ~a, got ~s" variable kinds value))))))

(define (kind-for port promised)
  (cond ((equal? (getenv "TERM") "dumb") 'ascii)
        ((and (memq promised pixel-kinds) (not (inside-another?))) promised)
        ;; Ghostty has kitty's protocol; libchafa 1.12 does not know it yet.
        ((equal? (getenv "TERM") "xterm-ghostty") 'kitty)
        ((answers-sixel?) 'sixel)
        ((string-ci=? (or (port-encoding port) "") "UTF-8") 'symbols)
        (else 'ascii)))

(define (colours-for promised)
  (cond ((or (variable-set? "NO_COLOR") (equal? (getenv "TERM") "dumb")) 2)
        ((member (getenv "COLORTERM") '("truecolor" "24bit")) (expt 2 24))
        (else promised)))

;;; --- How large --------------------------------------------------------------------

(define (reasonable n default)
  (if (and (exact-integer? n) (< 0 n 1000)) n default))

(define (measured port)
  ;; (rows columns height width), 0 for what is not known.
  (let ((size (catch 'tempera-error
                (lambda () (if (file-port? port) (terminal-measure (fileno port)) '(0 0 0 0)))
                (const '(0 0 0 0))))
        (variable (lambda (name) (string->number (or (getenv name) "")))))
    (list (reasonable (first size) (reasonable (variable "LINES") 24))
          (reasonable (second size) (reasonable (variable "COLUMNS") 80))
          (third size)
          (fourth size))))

(define (text-columns port)
  "How many characters fit into a line of PORT: a terminal's width, else $COLUMNS or 80."
  (second (measured port)))

(define (cell-of size)
  ;; (height width) in pixels.
  (let ((cell (if (every positive? size)
                  (list (quotient (third size) (first size)) (quotient (fourth size) (second size)))
                  (or (asked-cell) '(16 8)))))
    (if (every (lambda (n) (< 3 n 200)) cell) cell '(16 8))))

(define* (terminal-for who port #:optional (as #f))
  "What PORT can show, or #f when it is no terminal and nobody asks for pictures: AS, or else
the variable TEMPERA_PICTURES, says which kind.  Errors name WHO."
  (let ((wanted (asked-for who as)) (there? (terminal-port? port)))
    (and (or wanted there?)
         (let* ((found (terminal-detect (environ)))
                (kind (or wanted (kind-for port (car found))))
                (size (measured port))
                (cell (cond ((not (memq kind pixel-kinds)) '(16 8))
                            (there? (cell-of size))
                            (else '(16 8)))))
           (make-terminal port kind (if there? (colours-for (cdr found)) 2)
                          (first size) (second size) (first cell) (second cell))))))

(define (has-pixels? terminal)
  "True when TERMINAL shows pixels."
  (and (memq (terminal-kind terminal) pixel-kinds) #t))

;;; --- Pictures ---------------------------------------------------------------------

(define (terminal-scale terminal)
  "How much larger than on a usual screen, whose cells have 16 pixels, things are to be drawn to
look the same on TERMINAL."
  (if (has-pixels? terminal) (max 1 (/ (quotient (terminal-cell-height terminal) 8) 2)) 1))

(define* (picture-for terminal panels #:key (columns #f) (width #f) (above 0))
  "The picture of PANELS, in rows of COLUMNS, that fits TERMINAL with ABOVE lines more, or that
is WIDTH characters wide however high that is."
  (let* ((pixels? (has-pixels? terminal))
         (cell (list (terminal-cell-height terminal) (terminal-cell-width terminal)))
         (rows (terminal-rows terminal))
         ;; Characters need all the room there is, pixels less.
         (rows (max 1 (- (if pixels? (quotient (* 3 rows) 4) (- rows 2)) above))))
    (draw-figure panels #:columns columns
                 #:room (list (and (not width) (* rows (first cell)))
                              (* (or width (terminal-columns terminal)) (second cell)))
                 #:cell cell #:labels? (not pixels?)
                 #:scale (terminal-scale terminal))))

(define (drawing-rows terminal drawing)
  "The lines of TERMINAL that DRAWING takes: a picture made by `picture-for', or text."
  (if (picture? drawing)
      (quotient (picture-height drawing) (terminal-cell-height terminal))
      (string-count drawing #\newline)))

(define (drawing-text terminal drawing)
  "DRAWING, a picture made by `picture-for' or text, as what TERMINAL is to be sent."
  (if (picture? drawing)
      (let ((cell-height (terminal-cell-height terminal)) (cell-width (terminal-cell-width terminal)))
        (terminal-text (picture-pixels drawing) (picture-height drawing) (picture-width drawing)
                       (terminal-kind terminal) (terminal-colours terminal)
                       (quotient (picture-height drawing) cell-height)
                       (quotient (picture-width drawing) cell-width)
                       cell-height cell-width (picture-labels drawing)))
      (string-trim-right drawing #\newline)))

(define (display-text terminal text)
  "Write TEXT, with its escapes, to TERMINAL, all of it: half a picture would leave the terminal
waiting for the rest."
  (let ((port (terminal-port terminal)))
    (call-with-blocked-asyncs
     (lambda ()
       (display text port)
       (force-output port)))))

(define (display-drawing terminal drawing)
  "Show DRAWING, a picture made by `picture-for' or text, on TERMINAL, and begin a new line."
  (display-text terminal (string-append (drawing-text terminal drawing) "\n")))

(define (not-shown what port)
  "Say on PORT that WHAT is not shown because it is no terminal, and what helps."
  (format port "~a: not shown, this is no terminal; #:as 'symbols or ~a=symbols draws it here~%"
          what variable))
