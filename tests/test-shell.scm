;;; test-shell.scm -- what a shell and a terminal get: completion of the command line, the man page.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera cli))

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
(test-assert "an option" (string-contains man ".B \\-\\-simulate"))
(when (found? "groff")
  (test-equal "groff has nothing to say" ""
              (output-of "sh" "-c" (format #f "groff -man -Tutf8 -wall ~a 2>&1 >/dev/null"
                                           (built "doc/tempera.1")))))

(finish-tests)
