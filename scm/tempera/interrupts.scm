;;; interrupts.scm -- what Ctrl-C means to long work.
;;;
;;; Long work stops at a whole step.  Somebody at a prompt gets it back as a value
;;; and can go on with it; a script that is interrupted ends.

(define-module (tempera interrupts)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 exceptions)
  #:use-module (system repl common)
  #:export (interrupt? call-with-pause call-without-pauses))

(define (interrupt? exception)
  "Whether EXCEPTION is what Ctrl-C raises."
  (let ((arguments (exception-args exception)))
    (case (exception-kind exception)
      ((user-interrupt) #t)
      ((signal) (equal? (last arguments) (list SIGINT)))
      (else #f))))

(define (at-prompt?)
  (pair? (fluid-ref *repl-stack*)))

(define (call-with-pause thunk stop)
  "Call THUNK.  When an exception ends it, call STOP with whether this is a pause:
Ctrl-C at a prompt.  After a pause return; after anything else the exception goes
on."
  (with-exception-handler
      (lambda (exception)
        (let ((pause? (and (interrupt? exception) (at-prompt?))))
          (stop pause?)
          (unless pause? (raise-exception exception))))
    thunk
    #:unwind? #t))

(define (call-without-pauses thunk paused)
  "What THUNK returns, inside of which nothing pauses: as in a script, Ctrl-C ends it whole.
Then, at a prompt, return PAUSED; elsewhere the exception goes on."
  (if (at-prompt?)
      (let ((value paused))
        (call-with-pause (lambda ()
                           (set! value (with-fluids ((*repl-stack* '())) (thunk))))
                         (const #t))
        value)
      (thunk)))
