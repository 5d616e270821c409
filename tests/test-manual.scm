;;; test-manual.scm -- the sessions in the manual's chapters work as printed.
;;;
;;; A block of @lisp is a session (sessions.scm): its forms are evaluated in order, one session
;;; a chapter, in a folder with experiments/ and priors/, and what they print is compared.
;;; Where a chapter is quick, as the tutorial is from its first chain on, numbers are compared by
;;; `./bootstrap check-manual' alone, which takes minutes.  A block of @example that defines an
;;; experiment is in a script by its name, for sessions, and is run; commands are looked up
;;; with their options.

(use-modules (harness) (sessions)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 ftw) (ice-9 match) (ice-9 textual-ports)
             (tempera) (tempera shell help) (tempera shell problems) (tempera shell cli) (tempera base parameters) (tempera base suggestions))

(start-tests "manual")

(define documents (canonicalize-path (test-file "../doc")))
(define source (dirname documents))

(define chapters
  (scandir documents (lambda (name)
                       (and (string-suffix? ".texi" name) (not (string=? name "tempera.texi"))))))

;;; --- Sessions -------------------------------------------------------------------

(define (transcript form module count)
  ;; What the prompt prints for FORM, and how many values are numbered then.
  (let ((text (open-output-string)))
    (parameterize ((current-output-port text))
      (let ((message
             (error-message-of
              (lambda ()
                (call-with-values (lambda () (eval form module))
                  (lambda values
                    (for-each (lambda (value)
                                (unless (unspecified? value)
                                  (set! count (1+ count))
                                  (format #t "$~a = ~s~%" count value)))
                              values)))))))
        (when message (format #t "@error{} ~a~%" message))))
    (values (string-trim-both (get-output-string text)) count)))

(define (same? wanted got . options)
  (not (apply output-differences wanted got options)))

(test-assert "lines between" (same? "a\n...\nd" "a\nb\nc\nd"))
(test-assert "another line" (not (same? "a\n...\nd" "a\nb\nc")))
(test-assert "within the digits" (same? "$1 = (1.5 2)" "$1 = (1.51 2)"))
(test-assert "other digits" (not (same? "$1 = 1.5" "$1 = 1.8")))
(test-assert "another whole number" (not (same? "151 steps" "152 steps")))
(test-assert "within a part" (same? "151 steps" "152 steps" #:within '((part 0.05))))
(test-assert "but no more" (not (same? "151 steps" "166 steps" #:within '((part 0.05)))))
(test-assert "within an amount" (same? "29.9 dB" "30.1 dB" #:within '((amount 0.3))))
(test-assert "a named number" (same? "3 of 151" "3 of 152" #:within '((part 0.05 "151"))))
(test-assert "and no other" (not (same? "300 of 151" "301 of 151" #:within '((part 0.05 "151")))))
(test-assert "any time" (same? "about 1:06, 3 times" "about 8.1 s, 3 times"))
(test-assert "any digits" (same? "$1 = 1.5" "$1 = -1.8e-3" #:numbers? #f))
(test-equal "lines that differ" '("b 2" "b 3") (output-differences "a 1\nb 2" "a 1\nb 3"))

(define evaluated 0)

(define (check-step name step module count numbers?)
  ;; How many values are numbered afterwards.
  (let-values (((got count) (transcript (step-form step) module count)))
    (test-output name step got numbers?)
    (set! evaluated (1+ evaluated))
    count))

(define (check-chapter name text)
  (let ((module (make-fresh-user-module)))
    (module-use! module (resolve-interface '(tempera)))
    (save-module-excursion
     (lambda ()
       (set-current-module module)
       (let loop ((steps (append-map session-steps (texinfo-blocks text "lisp")))
                  (count 0) (numbers? #t))
         (match steps
           (() #t)
           ((step . more)
            (let ((numbers? (and numbers? (not (step-quick? step)))))
              (loop more (check-step name step module count numbers?) numbers?)))))))))

;;; --- Commands -------------------------------------------------------------------

(define (check-command line)
  (match (string-tokenize line)
    (("tempera" (? (lambda (word) (not (string-prefix? "-" word))) command) . words)
     (test-assert (format #f "~a: a command" line) (member command (command-names)))
     (let*-values (((operands text parameters options) (command-usage command))
                   ((named) (find (lambda (word) (string-prefix? "problem=" word)) words))
                   ;; A problem has parameters of its own.
                   ((parameters) (append parameters
                                         (if (and named (member (substring named 8) (cdr (problem-names))))
                                             (problem-parameters (substring named 8))
                                             '()))))
       (define (check-word word start kind specs)
         (let ((name (substring word start (or (string-index word #\=) (string-length word)))))
           (test-assert (format #f "~a: ~a is ~a" line word kind)
             (memq (string->symbol name) (map parameter-name specs)))))
       ;; One form: a run's parameters without dashes.
       (for-each (lambda (word)
                   (cond ((string-prefix? "--" word) (check-word word 2 "an option" options))
                         ((and (pair? parameters) (string-index word #\=))
                          (check-word word 0 "a parameter" parameters))))
                 words)))
    (_ #t)))

;;; --- Scripts ----------------------------------------------------------------------

(define (experiment-scripts text)
  ;; (FILE . TEXT) of each experiment that TEXT defines.
  (filter-map (lambda (block)
                (and (string-prefix? "(define-experiment " block)
                     (cons (format #f "~a.scm" (second (call-with-input-string block read))) block)))
              (texinfo-blocks text "example")))

(define (save-script script)
  (call-with-output-file (car script) (lambda (port) (display (cdr script) port))))

(define (check-script script)
  (test-equal (format #f "~a runs" (car script)) 0
    (status:exit-val (system (format #f "tempera run ~a >run.txt 2>&1" (car script))))))

;;; --- All chapters -----------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (for-each (lambda (name) (symlink (string-append source "/" name) name)) '("experiments" "priors"))
   (for-each
    (lambda (name)
      (let ((text (call-with-input-file (string-append documents "/" name) get-string-all
                                        #:encoding "UTF-8")))
        (for-each save-script (experiment-scripts text))
        (check-chapter name text)
        (for-each check-script (experiment-scripts text))
        (for-each (lambda (block) (for-each check-command (string-split block #\newline)))
                  (texinfo-blocks text "example"))))
    chapters)
   (chdir "/")))

(test-assert "there are sessions" (> evaluated 50))
(test-assert "a section is found by its title" (manual-section "Tutorial"))

(finish-tests)
