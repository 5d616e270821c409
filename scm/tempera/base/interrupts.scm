;;; interrupts.scm -- what Ctrl-C, SIGTERM and SIGHUP do to long work.
;;;
;;; Long work stops between whole steps.  If its call was itself typed at the prompt, Ctrl-C pauses
;;; it: the call returns the unfinished work, which can be resumed.  Anywhere else the caller relies
;;; on a finished result, so Ctrl-C ends the whole input, or the script, and `last-paused' gives what
;;; was stopped.  SIGTERM and SIGHUP stop work in the same way and then end the process.

(define-module (tempera base interrupts)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base exceptions)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:export (raise-interrupt interrupt-signal interrupt-status handle-signals call-at-prompt call-typed pauses!
            pauses? call-with-pause call-with-stop call-with-checkpoints call-saying-stop end-interrupted-line
            last-paused))

;;; --- Signals ------------------------------------------------------------------

(define stopping (list SIGINT SIGTERM SIGHUP))

(define (raise-interrupt signal)
  "Raise what SIGNAL does, the number of a signal."
  (scm-error 'signal #f "User interrupt" '() (list signal)))

(define (handle-signals)
  "Let SIGINT, SIGTERM and SIGHUP be exceptions with the key that Guile's own prompt gives to
Ctrl-C; a reader that goes away (`tempera ... | head'), or a limit that a file has grown to, is an
error like another.  Under nohup, which has SIGHUP ignored, it stays so."
  (for-each (lambda (signal)
              (unless (and (= signal SIGHUP) (eqv? SIG_IGN (car (sigaction signal))))
                (sigaction signal raise-interrupt)))
            stopping)
  (sigaction SIGPIPE SIG_IGN)
  (sigaction SIGXFSZ SIG_IGN))

(define (interrupt-signal exception)
  "The signal that EXCEPTION came of and that asks work to stop, or #f."
  (let ((arguments (exception-args exception)))
    (case (exception-kind exception)
      ((user-interrupt) SIGINT)
      ((signal) (let ((signals (last arguments)))
                  (and (pair? signals) (memv (car signals) stopping) (car signals))))
      (else #f))))

(define (interrupt-status exception)
  "The exit status of what the signal in EXCEPTION ended, as a shell gives it, or #f."
  (let ((signal (interrupt-signal exception)))
    (and signal (+ 128 signal))))

;;; --- What was typed -------------------------------------------------------------

(define caller
  ;; Of work that begins now: `typed', its call is what was typed at the prompt; `program', it is
  ;; called by what was typed; #f, by a script or by other work.
  (make-fluid #f))

(define (call-at-prompt thunk)
  "Call THUNK, which does what was typed at the prompt."
  (with-fluids ((caller 'program)) (thunk)))

(define (call-typed procedure . arguments)
  "Apply PROCEDURE: this call is what was typed."
  (with-fluids ((caller 'typed)) (apply procedure arguments)))

(define (pauses! . procedures)
  "PROCEDURES do long work by `call-with-pause', and return it when it pauses."
  (for-each (lambda (procedure) (set-procedure-property! procedure 'pauses? #t)) procedures))

(define (pauses? object)
  "Whether OBJECT is a procedure that `pauses!' was told of."
  (and (procedure? object) (procedure-property object 'pauses?)))

;;; --- Long work ------------------------------------------------------------------

(define paused #f)                      ; what stopped last

(define (last-paused)
  "What Ctrl-C at the prompt has stopped last: a chain for `resume!', a trainer for `train!', a run
for `resume-run', a sweep for `continue-sweep'.
Example: (resume! (last-paused))"
  (check-that paused 'last-paused "Ctrl-C has stopped nothing in this session")
  paused)

(define (call-with-stop thunk stop)
  "What THUNK returns.  When a signal or an error ends it, call STOP with the exception, the
stack being unwound; then that goes on."
  (call-keeping-stack
   thunk
   (lambda (exception)
     (stop exception)
     (raise-exception exception))))

(define checkpoint-seconds 30)          ; between two writings of a checkpoint

(define (call-with-checkpoints save body)
  "What BODY returns, called with a thunk that it calls wherever its state is whole: when half a minute
has passed since the last time, that calls SAVE, a thunk, or #f for nothing to be saved.  When a signal
ends BODY, SAVE is called too.
Example: (call-with-checkpoints #f (lambda (whole!) (whole!) 3)) => 3"
  (let ((saved (seconds-now)))
    (call-with-stop
     (lambda ()
       (body (lambda ()
               (when (and save (> (- (seconds-now) saved) checkpoint-seconds))
                 (save)
                 (set! saved (seconds-now))))))
     (lambda (exception)
       (when (and save (interrupt-signal exception)) (save))))))

(define said? #f)                       ; what a signal has stopped

(define (call-saying-stop thunk text)
  "What THUNK returns.  When a signal ends it, say what TEXT gives: what is done, and how to go
on."
  (call-with-stop thunk
    (lambda (exception)
      (when (interrupt-signal exception)
        (set! said? #t)
        (let ((port (current-error-port)))
          ;; Over the ^C that the terminal shows.
          (format port "~a~a~%" (if (terminal-port? port) "\r" "") (text)))))))

(define (end-interrupted-line)
  "After the ^C that the terminal shows, unless something was said."
  (let ((port (current-error-port)))
    (when (and (terminal-port? port) (not said?)) (newline port))))

(define (call-with-pause work name thunk stop)
  "What THUNK returns, which makes steps of WORK.  When an exception ends it, call STOP with
how WORK is called from now on, if Ctrl-C was typed at a prompt: NAME, or \"(last-paused)\";
with #f otherwise.  In the first case return what STOP returns; else the exception goes on."
  (let ((caller-here (fluid-ref caller)))
    (call-keeping-stack
     (lambda () (with-fluids ((caller #f)) (thunk)))
     (lambda (exception)
       (let* ((kept? (and caller-here (eqv? (interrupt-signal exception) SIGINT)))
              (pause? (and kept? (eq? caller-here 'typed))))
         (when kept? (set! paused work))
         (let ((value (stop (cond (pause? name) (kept? "(last-paused)") (else #f)))))
           (if pause? value (raise-exception exception))))))))
