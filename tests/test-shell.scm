;;; test-shell.scm -- what a shell and a terminal get: completion of the command line, the man page.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera shell cli))

(start-tests "shell")

(define build (dirname (dirname (getenv "TEMPERA_MANUAL"))))
(define (built name) (string-append build "/" name))

(define (output-of program . arguments)
  (let* ((port (apply open-pipe* OPEN_READ program arguments))
         (text (get-string-all port)))
    (close-pipe port)
    text))

(define (found? program)
  (zero? (system (string-append "command -v " program " >/dev/null 2>&1"))))

;;; --- Bash -----------------------------------------------------------------------

(define (completed . words)
  ;; What Tab offers after WORDS, of which the last is not complete, as bash would ask.
  (string-tokenize
   (output-of "bash" "-c"
              (format #f "source ~a; COMP_WORDS=(tempera ~a); COMP_CWORD=~a; _tempera tempera ~s 2>/dev/null; echo \"${COMPREPLY[@]}\""
                      (built "completion/tempera")
                      (string-join (map (lambda (word) (format #f "'~a'" word)) words) " ")
                      (length words) (last words)))))

(when (found? "bash")
  (test-equal "commands" '("train") (completed "tra"))
  (test-equal "all commands" (command-names)
              (filter (lambda (word) (member word (command-names))) (completed "")))
  (test-equal "options of tempera" '("--debug") (completed "--d"))
  (test-equal "options with a value" '("--steps=") (completed "train" "--ste"))
  (test-equal "a command's parameters" '("steps=") (completed "train" "ste"))
  (test-equal "flags" '("--simulate") (completed "reconstruct" "--sim"))
  (test-equal "no options of others" '() (completed "data" "--simu"))
  (call-with-temporary-directory
   (lambda (directory)
     (let ((script (string-append directory "/toy.scm")))
       (call-with-output-file script
         (lambda (port)
           (display "(define-experiment toy ((chains 8 positive? \"how many\") (charm 1)) chains)" port)))
       (test-equal "files" (list script) (completed "run" (string-append directory "/to")))
       (test-equal "a script's parameters" '("chains=" "charm=")
                   (sort (completed "run" script "cha") string<?))
       (test-equal "the value of an option" (list script)
                   (completed "profile" "--out" "=" (string-append directory "/to")))))))

(when (found? "zsh")
  (test-equal "zsh reads its file" "" (output-of "zsh" "-n" (built "completion/_tempera"))))
(when (found? "fish")
  (test-equal "fish reads its file" "" (output-of "fish" "-n" (built "completion/tempera.fish"))))

;;; --- The man page ---------------------------------------------------------------

(define man (call-with-input-file (built "doc/tempera.1") get-string-all #:encoding "UTF-8"))

(for-each (lambda (command)
            (test-assert (string-append "man has " command)
              (string-contains man (string-append ".SS \"tempera " command))))
          (command-names))
(test-assert "an option" (string-contains man ".B \\-\\-workers"))
(test-assert "a parameter" (string-contains man ".B simulate=no"))
(when (found? "groff")
  (test-equal "groff has nothing to say" ""
              (output-of "sh" "-c" (format #f "groff -man -Tutf8 -wall ~a 2>&1 >/dev/null"
                                           (built "doc/tempera.1")))))

;;; --- What is installed ------------------------------------------------------------

;; Into a folder as packagers do, with another prefix than was configured for, and moved from there.
(call-with-temporary-directory
 (lambda (directory)
   (define (in name) (string-append directory "/" name))
   (define (said command)
     ;; As whoever knows nothing of the build tree sees it, and its status.
     (let* ((pipe (open-input-pipe
                   (string-append "cd " directory " && env -i HOME=" directory " PATH=/usr/local/bin:/usr/bin:/bin "
                                  command " 2>&1")))
            (text (get-string-all pipe)))
       (cons (status:exit-val (close-pipe pipe)) text)))
   (define (says? text said)
     (if (and (zero? (car said)) (string-contains (cdr said) text)) #t said))
   (let ((status (system (format #f "MAKEFLAGS= make -s -C ~a install DESTDIR=~a >~a 2>&1" build (in "stage")
                                 (in "log")))))
     (test-equal "make install" "" (if (zero? status) "" (call-with-input-file (in "log") get-string-all))))
   (system (format #f "mv \"$(dirname \"$(dirname \"$(find ~a -path '*/bin/tempera')\")\")\" '~a'"
                   (in "stage") (in "a tree")))
   (let ((tempera (string-append "'" (in "a tree/bin/tempera") "'")))
     (test-equal "a tree that was moved" #t (says? "tempera 0.2.0" (said (string-append tempera " --version"))))
     (system (format #f "ln -s ~a '~a'" tempera (in "link")))
     (test-equal "through a link" #t (says? "tempera 0.2.0" (said "./link --version")))
     (test-equal "its priors" #t
       (says? "#<score network" (said (format #f "echo '(load-network \"brain-small\")' | ~a" tempera))))
     (test-equal "its manual" #t
       (says? "uncertainty map" (said (format #f "echo '(help \"Tutorial\")' | ~a | tr A-Z a-z" tempera))))
     (test-equal "a reconstruction by a prior's name" #t
       (says? "x/out: mean.npy"
              (said (format #f "~a reconstruct '~a/share/tempera/experiments/pd-head/brain_013.png' --simulate \
--prior=brain-small --chains=1 --ratio=0.5 --until=50 --out=x/out" tempera (in "a tree")))))
     ;; A sweep starts the program again.
     (call-with-output-file (in "toy.scm")
       (lambda (port) (display "(define-experiment toy ((n 1)) (* 2 n))" port)))
     (test-equal "and its processes" #t
       (says? "finished" (said (string-append tempera " sweep --out=s toy.scm n=1,2"))))
     (system (format #f "cp ~a ~a" tempera (in "copy")))
     (let ((alone (said "./copy --version")))
       ;; Where Tempera is installed too, that is what it finds.
       (test-assert "a copy of the launcher alone works or says what to do"
         (or (zero? (car alone)) (string-contains (cdr alone) "move bin/, lib/ and share/ together")))))))

(finish-tests)
