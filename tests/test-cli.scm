;;; test-cli.scm -- the command line: help, bad input, exit status, the prompt.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 ftw) (ice-9 popen) (ice-9 textual-ports))

(start-tests "cli")

(define (shell command)
  ;; What COMMAND wrote, both streams, and its exit status.
  (let* ((port (open-input-pipe (string-append "{ " command "; } 2>&1")))
         (text (get-string-all port))
         (status (close-pipe port)))
    (values text (or (status:exit-val status) (+ 128 (status:term-sig status))))))

(define (check-run name command status . texts)
  ;; COMMAND ends with STATUS and says each of TEXTS; no backtrace with an error.
  (let-values (((output code) (shell command)))
    (test-equal (string-append name ": status") status code)
    (for-each (lambda (text)
                (test-equal (string-append name ": says") text
                            (if (string-contains output text) text output)))
              texts)
    (when (= status 1)
      (test-equal (string-append name ": one line") 1
                  (string-count output #\newline))
      (test-assert (string-append name ": of tempera") (string-prefix? "tempera: " output)))))

(define (write-file name . lines)
  (call-with-output-file name
    (lambda (port) (for-each (lambda (line) (format port "~a~%" line)) lines))))

(define commands
  (map (lambda (file) (string-drop-right file 4))
       (scandir (string-append (or (getenv "srcdir") ".") "/scm/tempera/commands")
                (lambda (file) (string-suffix? ".scm" file)))))

(call-with-temporary-directory
 (lambda (directory)
   (define (file name) (string-append directory "/" name))
   (setenv "XDG_STATE_HOME" (file "state"))
   (chdir directory)                    ; where runs/ goes

   ;; Help and version.
   (apply check-run "help" "tempera --help" 0 "Usage: tempera" commands)
   (check-run "version" "tempera --version" 0 "tempera 0.1.0")
   (for-each (lambda (command)
               (check-run (string-append command " --help")
                          (string-append "tempera " command " --help") 0
                          (string-append "Usage: tempera " command))
               (check-run (string-append command " with an unknown option")
                          (string-append "tempera " command " --bad-option") 1
                          "unknown option --bad-option"))
             commands)
   (check-run "unknown command" "tempera rnu" 1 "unknown command rnu; did you mean run?")
   (check-run "unknown option" "tempera --hepl" 1 "unknown option --hepl; did you mean --help?")

   ;; Scripts.
   (write-file (file "toy.scm")
               "(define-experiment toy ((chains 8 positive? \"chains\") (message \"hello\"))"
               "  \"A toy.\""
               "  (format #t \"~a ~a~%\" message chains))")
   (let ((run (string-append "tempera run " (file "toy.scm"))))
     (check-run "run" run 0 "hello 8")
     (check-run "run with settings" (string-append run " chains=3 message='a b'") 0 "a b 3")
     (check-run "help of a script" (string-append run " --help") 0
                "toy: A toy." "chains=8" "message=hello")
     (check-run "unknown key" (string-append run " chians=3") 1
                "toy: unknown parameter chians; did you mean chains?")
     (check-run "bad value" (string-append run " chains=many") 1
                "toy: chains: expected an integer, got \"many\"")
     (check-run "refused value" (string-append run " chains=0") 1 "positive?")
     (check-run "no value" (string-append run " chains") 1 "run: expected key=value"))
   (check-run "no script" "tempera run" 1 "run: expected a script")
   (check-run "missing script" "tempera run no-such.scm" 1 "load-script: no such file: no-such.scm")
   (check-run "a folder for a script" (string-append "tempera run " directory) 1 "tempera: ")
   (write-file (file "empty.scm"))
   (check-run "empty script" (string-append "tempera run " (file "empty.scm")) 1
              "defines no experiment")
   (write-file (file "open.scm") "(define (f x)")
   (check-run "unfinished script" (string-append "tempera run " (file "open.scm")) 1
              "open.scm:2:1: unexpected end of input")
   (write-file (file "broken.scm") "(define-experiment broken ((n 1)) (vector-ref (vector n) 5))")
   (check-run "an error inside" (string-append "tempera run " (file "broken.scm")) 1
              "vector-ref")
   (let-values (((output status) (shell (string-append "tempera --debug run "
                                                       (file "broken.scm")))))
     (test-equal "--debug: status" 1 status)
     (test-assert "--debug: a backtrace" (string-contains output "broken.scm")))
   (write-file (file "exit.scm") "(define-experiment quitter ((n 3)) (exit n))")
   (check-run "exit inside" (string-append "tempera run " (file "exit.scm")) 3)

   ;; Ctrl-C: status 130 and no word of how it came.
   (write-file (file "long.scm")
               "(define-experiment long ((n 1))"
               "  (display \"begun\\n\") (force-output)"
               "  (kill (getpid) SIGINT) (sleep 60))")
   (let-values (((output status) (shell (string-append "tempera run " (file "long.scm")))))
     (test-equal "interrupt: status" 130 status)
     (test-equal "interrupt: says nothing" "begun" (string-trim-both output)))
   (check-run "a reader that goes away"
              (string-append "tempera run " (file "toy.scm") " | true") 0)

   ;; The prompt, without a terminal and with one.
   (define (prompt-lines . lines)
     (apply write-file (file "input") lines)
     (file "input"))
   (check-run "the prompt" (string-append "tempera < "
                                          (prompt-lines "(define x 3)" "(car x)" "(* x x)"
                                                        ",quit" "(+ x 1)"))
              0 "Wrong type" "Entering a new prompt" "= 9" "= 4")
   (check-run "everything is loaded"
              (string-append "tempera < "
                             (prompt-lines "(define-experiment e ((n 7)) n)" "(run-result (run-experiment e))"))
              0 "= 7")
   ;; (A chroot may have no pseudo-terminals.)
   (when (zero? (system "script -qec true /dev/null >/dev/null 2>&1"))
     (let ((terminal (lambda (command)
                       (string-append "TERM=dumb script -qec \"" command "\" /dev/null"))))
       (check-run "the prompt on a terminal"
                  (string-append "(sleep 1; printf '(+ 40 2)\\n,quit\\n'; sleep 1) | "
                                 (terminal "tempera"))
                  0 "tempera> " "= 42")
       (check-run "a history" (string-append "cat " (file "state/tempera/history")) 0 "(+ 40 2)")
       (write-file (file "slow.scm")
                   "(define-experiment slow ((n 4))"
                   "  (let ((p (make-progress \"working\" n)))"
                   "    (do ((i 1 (1+ i))) ((> i n) (progress-finish! p))"
                   "      (usleep 250000)"
                   "      (progress-update! p i #:text (if (odd? i) (lambda () \"loss 0.5\") \"so far\")))"
                   "    (display \"done\\n\")))")
       (check-run "progress on a terminal"
                  (terminal (string-append "tempera run " (file "slow.scm")))
                  0 "working" "50 %  2/4" "loss 0.5" "so far" " left" "done")))
   (chdir "/")))

(finish-tests)
