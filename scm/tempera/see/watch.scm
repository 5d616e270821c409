;;; watch.scm -- live pictures of a chain or a training: (watch OBJECT).
;;;
;;; Each picture is drawn over the last one, above the progress line.  Drawing takes at most a
;;; fifth of the time.

(define-module (tempera see watch)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera see figures)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base keywords)
  #:use-module (tempera see plots)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera sample anneal)
  #:use-module (tempera sample chain)
  #:use-module (tempera see show)
  #:use-module (tempera see terminal)
  #:use-module (tempera net trainer)
  #:use-module (tempera net training)
  #:export (watch))

;;; --- A place on the terminal --------------------------------------------------------

(define-record-type <stage>
  (make-stage terminal rows next)
  stage?
  (terminal stage-terminal)
  (rows stage-rows set-stage-rows!)     ; lines above the cursor's that are ours
  (next stage-next set-stage-next!))    ; when it may be drawn again, in seconds

(define least-seconds 0.3)              ; from one picture to the next

(define (csi text) (string-append "\x1b[" text))
(define clear-line (csi "K"))
(define save-place "\x1b7")
(define restore-place "\x1b8")

(define (forget-picture terminal)
  ;; kitty keeps pictures that are drawn over; this frees the one at the cursor.
  (if (eq? (terminal-kind terminal) 'kitty) "\x1b_Ga=d,d=C\x1b\\" ""))

(define (draw! stage lines drawing)
  ;; The text LINES and DRAWING; the cursor stays in the line below.
  (let* ((terminal (stage-terminal stage))
         (rows (+ (length lines) (drawing-rows terminal drawing)))
         (missing (max 0 (- rows (stage-rows stage)))))
    (display-text
     terminal
     (string-append "\r" (if (> missing 0) clear-line "") (make-string missing #\newline)
                    save-place (csi (format #f "~aA" rows))
                    (string-concatenate
                     (map (lambda (line) (string-append line clear-line "\n")) lines))
                    (forget-picture terminal)
                    (drawing-text terminal drawing)
                    restore-place))
    (set-stage-rows! stage rows)))

(define (draw-in-time! stage force? view)
  ;; Draw the two values of the thunk VIEW, lines and a drawing, unless the last were drawn just now.
  (let ((begun (seconds-now)))
    (when (or force? (>= begun (stage-next stage)))
      (call-with-values view (lambda (lines drawing) (draw! stage lines drawing)))
      (let ((end (seconds-now)))
        (set-stage-next! stage (+ end (max least-seconds (* 4 (- end begun)))))))))

;;; --- What is drawn --------------------------------------------------------------------

(define (chain-view stage chain width truth)
  ;; Mean, standard deviation and a sample; the trace if the samples are no images.
  (let ((terminal (stage-terminal stage)))
    (lambda ()
      (if (= 3 (length (tensor-shape (chain-samples chain))))
          (let* ((view (view chain #:samples 1 #:truth truth)) (lines (filter string? view)))
            (values lines
                    (picture-for terminal (filter panel? view) #:width width
                                 #:columns (count panel? view) #:above (1+ (length lines)))))
          (values '() (charts-drawing terminal (charts chain) #:width width))))))

(define (trainer-view stage trainer width)
  (lambda ()
    (values '() (charts-drawing (stage-terminal stage) (charts trainer) #:width width #:columns 1))))

;;; --- Watching -------------------------------------------------------------------------

(define (watch-chain chain stage width truth hook)
  (if stage
      (let ((view (chain-view stage chain width truth)))
        (define (look chain force?)
          (unless (null? (chain-trace chain))
            (draw-in-time! stage force? view)))
        (look chain #t)
        (resume! chain #:hook (lambda (chain)
                                (hook chain)
                                (look chain (chain-finished? chain)))))
      (resume! chain #:hook hook)))

(define (watch-trainer trainer stage width hook options)
  (let ((view (and stage (trainer-view stage trainer width))))
    (apply train! trainer
           #:hook (lambda (trainer)
                    (hook trainer)
                    (when (and stage (pair? (trainer-losses trainer)))
                      (draw-in-time! stage #t view)))
           options)))

(define* (watch object #:key (as #f) (width #f) (port (current-output-port)) (truth #f)
                (hook (const #t)) #:allow-other-keys #:rest options)
  "Go on with OBJECT as `resume!' does with a chain and `train!' with a trainer, and draw in the
terminal how it goes: of a chain of images the mean, the standard deviation and a sample, with
PSNRs against TRUTH; of another chain its trace; of a trainer its losses, every #:every steps.
OPTIONS are otherwise those of `train!'; HOOK is called as it is there.  #:as, #:width and #:port are
those of `show'.  Ctrl-C pauses as it does there; where there is no terminal, it only goes on.
Example: (watch (start-chain target #:chains 8) #:truth scan)"
  (check-that (or (chain? object) (trainer? object)) 'watch
              "expected a chain, as `start-chain' makes, or a trainer, got ~s" object)
  (check-that (or (not width) (and (exact-integer? width) (< 0 width 1000))) 'watch
              "width: expected a number of characters below 1000, got ~s" width)
  (check-that (procedure? hook) 'watch "hook: expected a procedure, got ~s" hook)
  (let* ((terminal (terminal-for 'watch port as))
         (stage (and terminal (make-stage terminal 0 0)))
         (options (without-keywords 'watch options #:as #:width #:port #:truth #:hook)))
    (unless stage
      (format (current-error-port) "watch: this is no terminal; going on without pictures~%"))
    (cond ((trainer? object) (watch-trainer object stage width hook options))
          (else
           (check-that (null? options) 'watch "unrecognized keyword: ~s" (car options))
           (watch-chain object stage width truth hook)))))

(pauses! watch)
