;;; progress.scm -- one line that shows how far a long computation has got.
;;;
;;;   annealing  27 %  412/1520  96/s  0:11 left  sigma 3.21  accepted 0.91
;;;
;;; It is drawn at most five times a second, and only on a terminal, never in a log file or
;;; a pipe.

(define-module (tempera base progress)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:export (terminal-port? progress-shown? make-progress progress-update! progress-finish! progress-port
            duration-text))

(define-record-type <progress>
  (%make-progress title total port started drawn width)
  progress?
  (title progress-title)
  (total progress-total)
  (port port-of)                        ; #f: say nothing
  (started progress-started)
  (drawn progress-drawn set-progress-drawn!)   ; when last, or #f
  (width progress-width set-progress-width!))  ; of what stands there now

(set-record-type-printer! <progress>
  (lambda (progress port)
    (format port "#<progress ~a of ~a>" (progress-title progress) (progress-total progress))))

(define redraw-seconds 0.2)

(define progress-port
  ;; Where progress is shown, when it is not the error port: that may go to a log.
  (make-parameter #f))

(define (terminal-port? port)
  "Whether PORT is a terminal.
Example: (terminal-port? (open-output-string)) => #f"
  (and (file-port? port) (isatty? port)))

(define (default-port)
  (or (progress-port) (current-error-port)))

(define (progress-shown?)
  "Whether progress is shown, since it goes to a terminal.
Example: (parameterize ((progress-port (open-output-string))) (progress-shown?)) => #f"
  (terminal-port? (default-port)))

(define* (make-progress title total #:key (port (default-port)))
  "The progress of TOTAL steps of what TITLE names, shown on PORT if that is a
terminal.
Example: (let ((p (make-progress \"training\" 10)))
           (do ((i 1 (1+ i))) ((> i 10) (progress-finish! p))
             (progress-update! p i #:text \"loss 0.12\")))"
  (check-that (and (exact-integer? total) (>= total 0)) 'make-progress
              "total: expected an integer, 0 or more, got ~s" total)
  (%make-progress title total
                  (and (terminal-port? port) port)
                  (seconds-now) #f 0))

(define (duration-text seconds)
  "SECONDS as \"0:41\", \"1:02:03\".
Example: (duration-text 3723) => \"1:02:03\""
  (let* ((s (inexact->exact (round seconds)))
         (pad (lambda (n) (string-pad (number->string n) 2 #\0))))
    (if (< s 3600)
        (format #f "~a:~a" (quotient s 60) (pad (remainder s 60)))
        (format #f "~a:~a:~a" (quotient s 3600) (pad (quotient (remainder s 3600) 60))
                (pad (remainder s 60))))))

(define (rate-text rate)
  (define (tenths x) (/ (round (* 10 x)) 10))
  (cond ((>= rate 10) (format #f "~a/s" (inexact->exact (round rate))))
        ((>= rate 1) (format #f "~a/s" (tenths rate)))
        (else (format #f "~a s each" (tenths (/ rate))))))

(define (progress-line progress done elapsed text)
  (let* ((total (progress-total progress))
         (rate (and (> done 0) (> elapsed 0) (/ done elapsed))))
    (string-append
     (progress-title progress)
     (if (> total 0)
         (format #f "  ~a %  ~a/~a"
                 (string-pad (number->string (floor (/ (* 100 done) total))) 3)
                 done total)
         (format #f "  ~a" done))
     (if rate (string-append "  " (rate-text rate)) "")
     (if (and rate (< done total))
         (format #f "  ~a left" (duration-text (/ (- total done) rate)))
         "")
     (if (and text (not (string-null? text))) (string-append "  " text) ""))))

(define (terminal-columns)
  (or (let ((columns (getenv "COLUMNS"))) (and columns (string->number columns))) 80))

(define (draw! progress line)
  ;; Over what stands there, cut to the terminal so that \r finds its beginning.
  (let* ((port (port-of progress))
         (line (if (< (string-length line) (terminal-columns))
                   line
                   (string-take line (1- (terminal-columns))))))
    (display "\r" port)
    (display (string-pad-right line (max (string-length line) (progress-width progress))) port)
    (force-output port)
    (set-progress-width! progress (string-length line))))

(define* (progress-update! progress done #:key (text ""))
  "Say that DONE steps of PROGRESS are done, and after it TEXT, or what TEXT, a procedure, gives;
redrawn when the last time is a fifth of a second ago.
Example: (progress-update! (make-progress \"training\" 10) 1 #:text \"loss 0.12\")"
  (when (port-of progress)
    (let ((time (seconds-now)) (drawn (progress-drawn progress)))
      (when (or (not drawn) (>= (- time drawn) redraw-seconds))
        (set-progress-drawn! progress time)
        (draw! progress (progress-line progress done (- time (progress-started progress))
                                       (if (procedure? text) (text) text)))))))

(define (progress-finish! progress)
  "Take the line of PROGRESS away: what comes next begins on a clear line.
Example: (progress-finish! (make-progress \"training\" 10))"
  (when (and (port-of progress) (progress-drawn progress))
    (draw! progress "")
    (display "\r" (port-of progress))
    (force-output (port-of progress))
    (set-progress-drawn! progress #f)))

(document
 (progress-port
  "Where lines of progress go; #f: to the standard error port.  A parameter object.
Example: (progress-port) => #f"))
