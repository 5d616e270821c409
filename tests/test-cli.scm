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
       (scandir (string-append (or (getenv "srcdir") ".") "/scm/tempera/shell/commands")
                (lambda (file) (string-suffix? ".scm" file)))))

(call-with-temporary-directory
 (lambda (directory)
   (define (file name) (string-append directory "/" name))
   (setenv "XDG_STATE_HOME" (file "state"))
   (chdir directory)                    ; where runs/ goes

   ;; Help and version.
   (apply check-run "help" "tempera --help" 0 "Usage: tempera" commands)
   (check-run "version" "tempera --version" 0 "tempera 0.2.0")
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
   (write-file (file "result.scm")
               "(define-experiment result ((n 1) (plain? #f))"
               "  (if plain? (* n 1/4) `((psnr . 28.123456) (name . \"brain\") (sizes . (1 2.5)))))")
   (check-run "run prints the result" (string-append "tempera run " (file "result.scm") " --out=runs/result")
              0 "runs/result: finished in 0:00\n  psnr   28.1235\n  name   brain\n  sizes  (1 2.5)\n")
   (check-run "that is one value" (string-append "tempera run " (file "result.scm") " plain?=yes n=6")
              0 "\n  result  3/2\n")
     (check-run "run with settings" (string-append run " chains=3 message='a b'") 0 "a b 3")
     (check-run "help of a script" (string-append run " --help") 0
                "toy.scm [NAME=VALUE...]\nA toy." "chains=8         chains (chains > 0)" "message=hello")
     (check-run "with dashes, the same" (string-append run " --chains=3 --message 'a b'") 0 "a b 3")
     (check-run "an option that is none" (string-append run " --chians=3") 1
                "toy: unknown option --chians; did you mean --chains?")
     (check-run "unknown key" (string-append run " chians=3") 1
                "toy: unknown parameter chians; did you mean chains?")
     (check-run "bad value" (string-append run " chains=many") 1
                "toy: chains: expected an integer, chains > 0, got \"many\"")
     (check-run "a number beyond all" (string-append run " chains=1e400") 1
                "toy: chains: expected an integer, chains > 0, got \"1e400\"")
     (check-run "refused value" (string-append run " chains=0") 1 "expected an integer, chains > 0, got 0")
     (check-run "no value" (string-append run " chains") 1 "toy: expected key=value, got chains"))
   (check-run "no script" "tempera run" 1 "run: expected a script")
   (check-run "missing script" "tempera run no-such.scm" 1 "load-script: no such file: no-such.scm")
   (check-run "a folder for a script" (string-append "tempera run " directory) 1 "tempera: ")
   (write-file (file "empty.scm"))
   (check-run "empty script" (string-append "tempera run " (file "empty.scm")) 0)
   (check-run "its run kept" (string-append "tempera run --out=r " (file "empty.scm")) 1
              "run: --out: " "empty.scm defines no experiment")

   ;; Scripts that are run as they are.
   (write-file (file "plain.scm")
               "#!/usr/bin/env tempera"
               "(format #t \"~a: ~a ~a~%\" (map basename (command-line))"
               "        (last '(1 2 3)) (append-map list '(4 5)))"
               "(unless (null? (cdr (command-line))) (car 'fails) (display \"after\"))")
   (chmod (file "plain.scm") #o755)
   (check-run "a script by its name" (string-append "tempera " (file "plain.scm")) 0
              "(plain.scm): 3 (4 5)")
   (check-run "by run" (string-append "tempera run " (file "plain.scm")) 0 "(plain.scm): 3 (4 5)")
   (check-run "as a program" (file "plain.scm") 0 "(plain.scm): 3 (4 5)")
   (check-run "as standard input" (string-append "tempera - < " (file "plain.scm")) 0 "(-): 3 (4 5)")
   (for-each
    (lambda (name command)
      (let-values (((output status) (shell command)))
        (test-equal (string-append name ": stops at its first error") 1 status)
        (test-assert (string-append name ": that is said, and no more is done")
          (and (string-contains output "a --b=c n=1): 3 (4 5)\n") (string-contains output "tempera: ")
               (not (string-contains output "after"))))))
    '("a script" "standard input")
    (list (string-append "tempera " (file "plain.scm") " a --b=c n=1")
          (string-append "tempera - a --b=c n=1 < " (file "plain.scm"))))
   (check-run "an experiment by its script's name" (string-append "tempera " (file "toy.scm") " chains=3")
              0 "hello 3" "runs/toy-")
   (check-run "no such script" "tempera no-such.scm" 1 "load-script: no such file: no-such.scm")
   ;; Closed as Guile's own scripts are.
   (write-file (file "guile.scm") "#!/usr/bin/env tempera" "!#" "(display (+ 1 1))")
   (check-run "#! and !#" (string-append "tempera " (file "guile.scm")) 0 "2")
   ;; A sweep refuses what defines no experiment before it runs.
   (let-values (((output status) (shell (string-append "tempera sweep " (file "plain.scm") " n=1,2"))))
     (test-equal "a sweep of a plain script" '(1 #t #f)
       (list status (and (string-contains output "defines no experiment") #t)
             (string-contains output "(4 5)"))))

   ;; Names of files that are no ASCII, in any locale.
   (mkdir (file "größe"))
   (write-file (file "größe/q.scm") "(define-experiment q ((n 1)) (display \"größe\\n\") n)")
   (for-each
    (lambda (locale)
      (check-run (string-append locale ": a file that is there")
                 (format #f "~a tempera run --out=~a ~a" locale (file "größe/run") (file "größe/q.scm"))
                 0 "größe/run: finished")
      (check-run (string-append locale ": its log") (string-append "cat " (file "größe/run/log.txt"))
                 0 "größe\n")
      (check-run (string-append locale ": points in processes of their own")
                 (format #f "~a tempera sweep --out=~a ~a n=1,2" locale (file "größe/sweep")
                         (file "größe/q.scm"))
                 0 "größe/sweep: results.csv")
      (check-run (string-append locale ": one that is not there")
                 (string-append locale " tempera reconstruct größe/k.npy")
                 1 "größe/k.npy: no such file")
      (system* "rm" "-r" (file "größe/run") (file "größe/sweep")))
    '("LC_ALL=C" "LC_ALL=de_XX.UTF-8"))
   (check-run "bytes that are no text" "LC_ALL=C tempera reconstruct \"$(printf 'gr\\377.npy')\"" 1
              "gr?.npy: the ? stands for bytes that are no text")
   (check-run "a question mark is one" "tempera reconstruct 'a?.npy'" 1 "a?.npy: no such file")

   ;; What cannot be written is said before the work.
   (write-file (file "taken") "")
   (let ((image (string-append (getenv "TEMPERA_DATA") "/experiments/pd-head/brain_013.png")))
     (check-run "no score network" (format #f "tempera reconstruct ~a --prior=vae --simulate" image) 1
                "tempera: load-network: vae: expected a score network, got #<vae of 64 x 64")
     (for-each
      (lambda (name command)
        (check-run (string-append name ": --out is a file")
                   ;; Hours, if it began.
                   (string-append "timeout 60 tempera " command "/x") 1 "taken"))
      '("reconstruct" "calibrate" "profile")
      (list (string-append "reconstruct --simulate --chains=1000 --prior=brain " image " --out=" (file "taken"))
            (string-append "calibrate --simulations=1000000 --out=" (file "taken"))
            (string-append "profile --repeat=1000000 --out=" (file "taken"))))
     (mkdir (file "folder")) (write-file (file "folder/mine.txt") "")
     (check-run "a folder of other files"
                (string-append "timeout 60 tempera reconstruct --simulate --chains=1000 --prior=brain " image
                               " --out=" (file "folder"))
                1 "folder: is no run's directory and not empty (mine.txt is in it); choose another"))
   (write-file (file "open.scm") "(define (f x)")
   (check-run "unfinished script" (string-append "tempera run " (file "open.scm")) 1
              "open.scm:2:1: unexpected end of input")
   (write-file (file "broken.scm") "(define-experiment broken ((n 1)) (vector-ref (vector n) 5))")
   (check-run "an error inside" (string-append "tempera run " (file "broken.scm")) 1
              "vector-ref")
   (let-values (((output status) (shell (string-append "tempera --debug run "
                                                       (file "broken.scm")))))
     (test-equal "--debug: status" 1 status)
     (test-assert "--debug: a backtrace" (string-contains output "broken.scm:\n")))

   ;; An error names its file, line, column and form first: of the innermost call that is in the
   ;; user's file, whatever raised the error.
   (write-file "places.scm"
               ";; A comment (with a parenthesis"
               "(define (helper v)"
               "  (let ((r (vector-ref v 5)))"
               "    (list r)))"
               "(define calls 0)"
               "(define (score x sigma)"
               "  (set! calls (1+ calls))"
               "  (if (= calls 5) (list (car calls)) (tensor* -1 x)))"
               "(define-experiment places ((in 'helper))"
               "  (case in"
               "    ((helper) (list (helper (vector 1))))"
               "    ((unbound) (list (no-such-name 3)))"
               "    ((tempera) (list (geometric 100 #:ratio 2 #:until 1)))"
               "    ((score) (list (anneal (prior-target score #:shape '(4 4)) #:chains 2)))"
               "    ((raised) (list (raise-exception 'odd)))))")
   (for-each
    (lambda (in place message)
      (check-run (string-append "a place, " in)
                 (format #f "tempera run places.scm in=~a --out=runs/~a 2>&1 | grep -v warning: >lines; cat lines; false" in in)
                 1 (string-append "tempera: places.scm:" place ": " message)
                 (format #f "; runs/~a/log.txt has its backtrace; once it is mended, go on with: \
tempera run --continue=runs/~a --mended" in in))
      (let ((log (call-with-input-file (string-append "runs/" in "/log.txt") get-string-all)))
        (test-equal (string-append "the log has it, " in) (string-append "places.scm:" place)
          (string-take log (min (string-length log) (string-length (string-append "places.scm:" place)))))
        (test-assert (string-append "and a backtrace, " in)
          (string-contains log "In places.scm:"))))
    '("helper" "unbound" "tempera" "score" "raised")
    '("3:12" "12:23" "13:22" "8:25" "15:21")
    '("(vector-ref v 5): vector-ref: Argument 2 out of range: 5"
      "no-such-name: unbound variable no-such-name"
      "(geometric 100 #:ratio 2 #:until 1): geometric: ratio: expected"
      "(car calls): car: Wrong type argument" "(raise-exception 'odd)"))
   (write-file "open-inside.scm" "(define x 3)" "" "(define (f)" "  (list x)" "(define (g) 4)")
   (check-run "the form that has no end" "tempera run open-inside.scm" 1
              "tempera: open-inside.scm:3:1: (define (f): open-inside.scm:6:1: unexpected end of input")
   (write-file "top.scm" "(define x 3)" "(car x)")
   (check-run "at the top of a script" "tempera run top.scm" 1
              "tempera: top.scm:2:1: (car x): car: Wrong type argument")
   (write-file (file "exit.scm") "(define-experiment quitter ((n 3)) (exit n))")
   (check-run "exit inside" (string-append "tempera run " (file "exit.scm")) 3)

   ;; Ctrl-C and SIGTERM: status 130 and 143, and how to go on, which works.
   (write-file (file "long.scm")
               "(define-experiment long ((n 1))"
               "  (display \"begun\\n\") (force-output)"
               "  (kill (getpid) SIGINT) (do () (#f) (sleep 60)))")
   (check-run "interrupt" (string-append "tempera run --out='runs/long 1' " (file "long.scm")) 130
              "begun\nruns/long 1: interrupted; go on with: tempera run '--continue=runs/long 1'\n")
   (check-run "goes on" "tempera run '--continue=runs/long 1'" 130 "begun\nruns/long 1: interrupted")
   (write-file "ended.scm"
               "(define-experiment ended ((signal SIGTERM))"
               "  (unless (file-exists? \"again\")"
               "    (call-with-output-file \"again\" (const #t))"
               "    (kill (getpid) signal) (do () (#f) (sleep 60))))")
   (check-run "SIGTERM" "tempera run --out=runs/ended ended.scm" 143
              "runs/ended: interrupted; go on with: tempera run --continue=runs/ended\n")
   (check-run "goes on after SIGTERM" "tempera run --continue=runs/ended" 0 "finished")
   (delete-file "again")
   (sigaction SIGHUP SIG_DFL)           ; under nohup it is ignored, here and in what is started
   (check-run "SIGHUP" (format #f "tempera run --out=runs/hung ended.scm signal=~a" SIGHUP) 129
              "runs/hung: interrupted")
   (delete-file "again")
   (check-run "what nohup has SIGHUP ignored for goes on"
              (format #f "trap '' HUP; sed -i 's/(do () (#f) (sleep 60))/3/' ended.scm; tempera run ended.scm signal=~a" SIGHUP)
              0 "finished")
   (write-file "many.scm"
               "(define-experiment many ((n 1))"
               "  (when (and (= n 3) (not (file-exists? \"go\"))) (kill (getppid) SIGTERM) (do () (#f) (sleep 60)))"
               "  n)")
   (check-run "a sweep says how far it is" "tempera sweep many.scm n=1,2,3,4 --workers=1 --out=many" 143
              "stopped: 2 of 4 points done; go on with: tempera sweep --continue=many\n")
   (check-run "and goes on so" "touch go; tempera sweep --continue=many" 0 "0004 finished" "many: results.csv")
   ;; This reconstruction would take minutes.
   (for-each
    (lambda (signal status)
      (check-run (format #f "SIG~a in a reconstruction" signal)
                 (format #f "tempera reconstruct --simulate --chains=4 --ratio=0.99 --prior=brain '~a' --out=cut-~a >log 2>&1 & \
p=$!; until test -s cut-~a/metrics.csv || ! kill -0 $p; do sleep 0.05; done; kill -s ~a $p; wait $p; s=$?; cat log; (exit $s)"
                         (string-append (getenv "TEMPERA_DATA") "/experiments/pd-head/brain_013.png")
                         signal signal signal)
                 status (format #f "cut-~a: interrupted; go on with: tempera run --continue=cut-~a\n" signal signal)))
    '("INT" "TERM") '(130 143))
   ;; A training: SIGTERM writes a checkpoint, and without a terminal each one says the loss.
   (setenv "XDG_CACHE_HOME" (file "cache"))
   (check-run "a volume to train on"
              (string-append "tempera < " (begin (write-file "volume" "(save-npy \"volume.npy\" (tensor-abs (random-normal '(24 32 32) 1)))")
                                                 "volume")
                             "; tempera data --add=volume.npy --person=p --orientation=SAR")
              0 "person p")
   (check-run "train: --out is a file" (string-append "timeout 60 tempera train --size=32 --steps=100000 --out=" (file "taken") "/x")
              1 "taken")
   (let ((train "tempera train --size=32 --channels=2,4 --blocks=1 --convolutions=1 --batch=1 --steps=300 --every=5 --out=trained"))
     (check-run "SIGTERM in a training"
                (string-append train " >log 2>&1 & p=$!; until grep -q '^step 10 ' log || ! kill -0 $p; do sleep 0.05; done; kill $p; wait $p; s=$?; cat log; (exit $s)")
                143 "step 5  loss " "step 10  loss " "stopped at step " ", saved in trained/checkpoint.safetensors\n"
                "trained: interrupted; go on with: tempera run --continue=trained\n")
     (let-values (((output status) (shell train)))
       (test-equal "the same command goes on" 0 status)
       (for-each (lambda (text) (test-assert text (string-contains output text)))
                 '("step 300  loss " "wrote trained/prior.safetensors"))
       (test-assert "from where it was" (not (string-contains output "step 5 "))))
     (check-run "a finished one is kept" train 1 "trained: has a finished run"))
   (check-run "a reader that goes away"
              (string-append "tempera run " (file "toy.scm") " | true") 0)

   ;; The prompt, without a terminal and with one.
   (define (prompt-lines . lines)
     (apply write-file (file "input") lines)
     (file "input"))
   (let-values (((output status)
                 (shell (string-append "tempera < "
                                       (prompt-lines "(define x 3)" "(car x)" "(* x x)"
                                                     ",quit" "(+ x 1)")))))
     ;; It goes on after an error, and says by its status that there was one.
     (test-equal "the prompt: status" 1 status)
     (for-each (lambda (text) (test-assert text (string-contains output text)))
               '("car: Wrong type (expecting pair): 3\n" "= 9")))
   (for-each (lambda (text status)
               (let-values (((output code) (shell (format #f "echo ~s | tempera" text))))
                 (test-equal text status code)))
             '("(+ 1 2)" "(car 1)" "(car 1) 3" "(+ 1" "(catch #t (lambda () (car 1)) (const 3))")
             '(0 1 1 1 0))
   ;; One level, however many errors; `,bt' shows the last one's, also after other lines.
   (write-file "err.scm" "(define (first-of x)" "  (let ((y (* 2 x)))" "    (list (car y))))" "" "(first-of 4)")
   (let-values (((output status)
                 (shell (string-append
                         "tempera < "
                         (prompt-lines "(car 1)" "(vector-ref (vector) 2)" "(load \"err.scm\")" "(* 6 7)" ",bt"
                                       "(define (list x)" "" ")" ",load err.scm" "(* 7 7)")))))
     (define (said? text) (string-contains output text))
     (test-equal "the end of input ends the prompt" 1 status)
     (test-assert "its place" (said? "err.scm:3:11: (car y)\ncar: Wrong type"))
     (test-assert "the backtrace"
       (string-contains output "first-of" (or (said? " = 42") (string-length output))))
     (test-equal "once, after the error" 1
       (let count ((from 0) (n 0))
         (let ((at (string-contains output "In err.scm:" from)))
           (if at (count (1+ at) (1+ n)) n))))
     (test-assert "the session goes on" (said? " = 49")))
   (check-run "exit at the prompt" (string-append "tempera < " (prompt-lines "(car 1)" "(exit 5)")) 5)

   ;; Ctrl-C while an error is shown, which no longer goes to what was typed: STOP is what writes it.
   (let-values (((output status)
                 (shell (string-append
                         "tempera < "
                         (prompt-lines
                          "(define out (current-output-port))"
                          "(define (stop x) (set-current-output-port out) (kill (getpid) SIGINT) (usleep 100000))"
                          "(begin (set-current-output-port (make-soft-port (vector stop stop (const #f) #f #f) \"w\"))"
                          "       (setvbuf (current-output-port) 'none) (car 1))"
                          "(* 5 5)")))))
     (test-equal "Ctrl-C in an error: the status of one" 1 status)
     (test-assert "Ctrl-C in an error: the session goes on" (string-contains output " = 25")))

   ;; Ctrl-C in what was typed.  SCORE sends it once, in its call number AT.
   (write-file "interrupts.scm"
               "(define calls 0)"
               "(define at 5)"
               "(define (score x sigma)"
               "  (set! calls (1+ calls))"
               "  (when (= calls at) (kill (getpid) SIGINT) (usleep 1000000))"
               "  (tensor* (/ -1 (+ 1 (* sigma sigma))) x))"
               "(define (again n) (set! calls 0) (set! at n))"
               "(define target (prior-target score #:shape '(4 4)))"
               "(define short (list #:chains 2 #:seed 1 #:temperatures (geometric 10 #:ratio 0.5 #:until 1)))"
               "(define whole (begin (again 0) (apply anneal target short)))"
               "(define (same? a b) (tensor-identical? (chain-samples a) (chain-samples b)))"
               "(define (unfinished what) (format #t \"~a: ~a~%\" what (not (chain-finished? (last-paused)))))"
               "(again 5)")
   (define (session . lines)
     (let-values (((output status) (shell (string-append
                                           "tempera < "
                                           (apply prompt-lines "(load \"interrupts.scm\")" lines)))))
       output))
   (define (typed-pauses name text)
     ;; TEXT, which defines c, is what was typed.
     (let ((output (session text "(list 'unfinished (not (chain-finished? c)))"
                            "(list 'same-bits (same? whole (resume! c)))")))
       (test-assert (string-append name ": says so") (string-contains output "(resume! chain) goes on"))
       (test-assert (string-append name ": is a value") (string-contains output "(unfinished #t)"))
       (test-assert (string-append name ": goes on") (string-contains output "(same-bits #t)"))))
   (typed-pauses "define" "(define c (apply anneal target short))")
   (typed-pauses "a call" "(anneal target #:chains 2 #:seed 1 #:temperatures (geometric 10 #:ratio 0.5 #:until 1))\n(define c $1)")
   (typed-pauses "set!, with a procedure in it"
                 "(define c #f)\n(set! c (apply anneal target #:hook (lambda (chain) #f) short))")
   (typed-pauses "resume!" "(define c (apply start-chain target short))\n(resume! c)")
   (define (program-stops name text)
     (let ((output (session text "(unfinished 'paused)"
                            "(list 'same-bits (same? whole (resume! (last-paused))))")))
       (test-assert (string-append name ": says what stopped")
         (and (string-contains output "(resume! (last-paused)) goes on\n")
              (string-contains output "interrupted\n")))
       (test-assert (string-append name ": all of it") (not (string-contains output "after")))
       (test-assert (string-append name ": is at hand") (string-contains output "paused: #t"))
       (test-assert (string-append name ": goes on") (string-contains output "(same-bits #t)"))))
   (write-file "inner.scm" "(define inner (apply anneal target short))" "(display \"after\")")
   (for-each program-stops
             '("begin" "for-each" "an argument" "a script" "a let" "a define in a begin" "a hook" "a simulation")
             '("(begin (apply anneal target short) (display \"after\"))"
               "(for-each (lambda (k) (apply anneal target short) (display \"after\")) '(1 2 3 4))"
               "(define x (list (apply anneal target short) (display \"after\")))"
               "(load \"inner.scm\")"
               "(let ((c (apply anneal target short))) (display \"after\"))"
               "(begin (define x (apply anneal target short)) (display \"after\"))"
               "(resume! (apply anneal target short) #:hook (lambda (c) (display \"after\")))"
               "(simulate (make-model (gaussian-prior (power-spectrum '(4 4))) (mri-operator #:mask (random-mask 4 #:acceleration 1)) #:sample (lambda (y count seed) (let ((c (apply anneal target short))) (display \"after\") (chain-samples c)))) 3)"))
   (let ((output (session
                  "(define trainer (make-trainer (score-network '(moons-mlp)) (lambda (count step) (when (= step 3) (kill (getpid) SIGINT) (usleep 1000000)) (random-normal (list count 2) step)) #:batch 2 #:steps 6))"
                  "(begin (train! trainer) (display \"after\"))"
                  "(list 'stopped-at (trainer-step trainer) (eq? trainer (last-paused)))")))
     (test-assert "train! in a program: stops" (string-contains output "stopped at step 3; (train! (last-paused)) goes on\n"))
     (test-assert "train! in a program: all of it" (not (string-contains output "after")))
     (test-assert "train! in a program: is at hand" (string-contains output "(stopped-at 3 #t)")))
   (test-assert "nothing has stopped yet"
     (string-contains (session "(last-paused)") "last-paused: Ctrl-C has stopped nothing"))
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
