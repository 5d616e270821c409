;;; driver.scm -- random tries in child processes: what ends one by a signal, or keeps it, is a finding.
;;;
;;; A script of tries is called in two ways: SECONDS [SEED], to start children until the time is over,
;;; and --child SEED COUNT JOURNAL, as a child.  A child writes each try to its journal before it makes
;;; it, so the last one there is the one that it died of.  A try may be long work: after some seconds it
;;; gets Ctrl-C.  One that does not answer is a hang, in C or in Scheme, and is ended by a signal that no
;;; handler delays.

(define-module (driver)
  #:use-module (ice-9 format)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base interrupts)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:export (call-with-tries end-different))

(define longest-work 3)                 ; seconds of the processors until Ctrl-C
(define longest-try 10)                 ; and in all; six times as many by the clock
(define memory 6000000)                 ; kB of addresses that a child may have

(define (last-line path)
  (let* ((text (call-with-input-file path get-string-all #:encoding "ISO-8859-1"))
         (lines (string-split (string-trim-right text #\newline) #\newline)))
    (car (last-pair lines))))

(define (child-ended script seed count folder journal)
  ;; The exit status of a child, or what ended it, a string.
  (let* ((guile (or (getenv "GUILE") "guile"))
         (here (dirname script))
         (command (string-append
                   (format #f "cd ~a; ulimit -v ~a; ulimit -c 0; exec "
                           (shell-text (list folder)) memory)
                   (shell-text (list guile "-L" here "-L" (dirname here) script "--child" (number->string seed)
                                     (number->string count) journal))
                   " >/dev/null 2>>" (shell-text (list (string-append journal ".errors")))))
         (result (system* "sh" "-c" command))
         (status (or (status:exit-val result) (+ 128 (status:term-sig result)))))
    (cond ((memv status '(0 1)) status)
          ((memv status (list (+ 128 SIGPROF) (+ 128 SIGALRM))) "a hang")
          ((eqv? status different) "a difference")
          (else (format #f "exit ~a" status)))))

(define different 3)

(define (end-different)
  "Ends the child, whose last try gave something else than it had to."
  (primitive-_exit different))

(define (limit-time work try)
  ;; Ctrl-C after WORK seconds, and again in case the first was caught; after TRY seconds what signals do unless
  ;; told otherwise, which is to end the process.  0: not any more.
  (setitimer ITIMER_VIRTUAL (quotient work 2) 0 work 0)
  (setitimer ITIMER_PROF 0 0 try 0)
  (alarm (* 6 try)))

(define (call-with-tries words what count make-try)
  "Do as WORDS, those of the command line, say with tries of WHAT, a string, COUNT to a child: MAKE-TRY of a
random state gives two values, a text and a thunk.  Print figures, and leave with status 1 if there were
findings."
  (if (and (pair? (cdr words)) (string=? "--child" (cadr words)))
      (apply (lambda (script flag seed count journal)
               (let ((port (open journal (logior O_WRONLY O_CREAT O_TRUNC)))
                     (state (seed->random-state (string->number seed))))
                 (set-port-encoding! port "UTF-8")
                 (sigaction SIGVTALRM (lambda (signal) (raise-interrupt SIGINT)))
                 (do ((k 0 (1+ k))) ((= k (string->number count)))
                   (call-with-values (lambda () (make-try state))
                     (lambda (text thunk)
                       (format port "~a~%" text)
                       (force-output port)
                       (catch #t
                         (lambda () (limit-time longest-work longest-try) (thunk) (limit-time 0 0))
                         (lambda (key . arguments) (limit-time 0 0))))))
                 (primitive-_exit 0)))  ; nothing at the end is part of a try
             words)
      (let* ((seconds (string->number (list-ref words 1)))
             (seed (if (> (length words) 2) (string->number (list-ref words 2)) 1))
             (end (+ (current-time) seconds)))
        (call-with-temporary-folder
         (lambda (folder)
           (let loop ((seed seed) (tries 0) (findings 0))
             (if (< (current-time) end)
                 (let* ((journal (string-append folder "/journal"))
                        (script (car words))
                        (script (if (absolute-file-name? script) script (string-append (getcwd) "/" script)))
                        (ended (begin (when (file-exists? journal) (delete-file journal))
                                      (child-ended script seed count folder journal))))
                   (unless (eqv? ended 0)
                     (format #t "~a, seed ~a: ~a, by:~%  ~a~%~a~%" what seed ended
                             (if (file-exists? journal) (last-line journal) "nothing yet")
                             (last-line (string-append journal ".errors")))
                     (force-output))
                   (loop (1+ seed) (+ tries count) (+ findings (if (eqv? ended 0) 0 1))))
                 (begin
                   (format #t "~a: ~a tries, ~a findings~%" what tries findings)
                   (exit (if (zero? findings) 0 1))))))))))
