;;; programs.scm -- running other programs.
;;;
;;; No shell sees the arguments.  The name of a file that a user gave goes through `file-argument',
;;; so that no program takes it for an option.

(define-module (tempera file programs)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera base interrupts)
  #:export (program-exists? run-program program-lines file-argument shell-text))

(define (program-exists? name)
  "True if a program NAME can be run.
Example: (program-exists? \"no-such-program\") => #f"
  (and (search-path (parse-path (or (getenv "PATH") "")) name) #t))

(define (output-of program arguments)
  ;; A port from which the standard output of PROGRAM can be read, called with ARGUMENTS.
  (let ((port (with-error-to-port (%make-void-port "w")
                (lambda () (apply open-pipe* OPEN_READ program arguments)))))
    (set-port-conversion-strategy! port 'substitute)
    port))

(define (run-program who program . arguments)
  "Run PROGRAM with ARGUMENTS, its output to nowhere.  It is an error of WHO (a
symbol) that names the program if that is missing or fails.  Ctrl-C stops it and what called it.
Example: (run-program 'f \"true\")"
  (check-that (program-exists? program) who
              "the program ~a is needed and is not installed" program)
  ;; Not by `system*', which has Ctrl-C ignored meanwhile, by the program too.
  (let ((port (output-of program arguments)))
    (get-string-all port)
    (let ((status (close-pipe port)))
      (when (eqv? SIGINT (status:term-sig status)) (raise-interrupt SIGINT))
      (check-that (zero? status) who "~a failed on ~a" program (last arguments)))))

(define (program-lines program . arguments)
  "What PROGRAM, called with ARGUMENTS, says on its standard output: a list of lines.
Example: (program-lines \"echo\" \"a\") => (\"a\" \"\")"
  (let* ((port (output-of program arguments))
         (text (get-string-all port)))
    (close-pipe port)
    (string-split text #\newline)))

(define (file-argument path)
  "The file name PATH as a program gets it: one that is not absolute begins with ./ then, so that
`-o' is no option and `|rm' no pipe.
Example: (file-argument \"-o\") => ./-o"
  (if (absolute-file-name? path) path (string-append "./" path)))

(define plain-characters
  (char-set-union (char-set-intersection char-set:ascii char-set:letter+digit)
                  (string->char-set "-_./=,:+@%")))

(define (shell-text words)
  "WORDS, a program and its arguments, as one types them at a shell.
Example: (shell-text '(\"tempera\" \"run\" \"two moons.scm\")) => tempera run 'two moons.scm'"
  (string-join (map (lambda (word)
                      (if (and (not (string-null? word)) (string-every plain-characters word))
                          word
                          (string-append "'" (string-join (string-split word #\') "'\\''") "'")))
                    words)))
