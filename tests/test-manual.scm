;;; test-manual.scm -- the sessions in the manual's chapters work as printed.
;;;
;;; A block of @lisp is a session: lines after the prompt are evaluated in order, one session a
;;; chapter, in a folder with experiments/ and priors/, and what they print is compared, numbers
;;; within the digits printed.  `@c quick FORM' before a prompt has FORM evaluated instead of
;;; what takes minutes (or that itself, where there is no FORM); numbers from there on are not
;;; compared.  A line `...' stands for any lines.  Commands in blocks of @example are looked
;;; up with their options.

(use-modules (harness)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 ftw) (ice-9 match) (ice-9 regex) (ice-9 textual-ports)
             (tempera) (tempera cli) (tempera parameters) (tempera suggestions))

(start-tests "manual")

(define documents (canonicalize-path (test-file "../doc")))
(define source (dirname documents))

(define chapters
  (scandir documents (lambda (name)
                       (and (string-suffix? ".texi" name) (not (string=? name "tempera.texi"))))))

(define (blocks text environment)
  ;; The contents of each ENVIRONMENT of TEXT, without Texinfo's escapes.
  (map (lambda (m)
         (regexp-substitute/global #f "@([@{}])" (match:substring m 1) 'pre 1 'post))
       (list-matches (format #f "@~a\n(([^@]|@[^e]|@e[^n])*)@end ~a" environment environment) text)))

;;; --- Sessions -------------------------------------------------------------------

(define prompt "tempera> ")

(define (steps block)
  ;; A list of (quick form output) of the session BLOCK: QUICK is #f, #t or a form.
  (let loop ((lines (string-split block #\newline)) (quick #f) (steps '()))
    (cond ((null? lines) (reverse steps))
          ((string-prefix? "@c quick" (car lines))
           (let ((form (call-with-input-string (substring (car lines) 8) read)))
             (loop (cdr lines) (if (eof-object? form) #t form) steps)))
          ((string-prefix? prompt (car lines))
           (let*-values (((next) (or (list-index (lambda (line)
                                                   (or (string-prefix? prompt line)
                                                       (string-prefix? "@c " line)))
                                                 (cdr lines))
                                     (length (cdr lines))))
                         ((mine rest) (split-at (cdr lines) next))
                         ((form output)
                          (call-with-input-string
                              (string-join (cons (substring (car lines) (string-length prompt)) mine)
                                           "\n")
                            (lambda (port)
                              (let* ((form (read port)) (output (get-string-all port)))
                                (values form (string-trim-both output)))))))
             (loop rest #f (cons (list quick form output) steps))))
          (else (loop (cdr lines) quick steps)))))

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

(define (without-numbers text)
  (regexp-substitute/global #f "-?[0-9][0-9:.e+-]*( s)?" text 'pre "N" 'post))

(define (same-output? wanted got quick?)
  (let loop ((wanted (string-split wanted #\newline)) (got (string-split got #\newline)))
    (match (list wanted got)
      ((() ()) #t)
      ((("...") _) #t)
      ((("..." line . more) (first . rest))
       (or (and (same-line? line first quick?) (loop more rest)) (loop wanted rest)))
      (((line . more) (first . rest)) (and (same-line? line first quick?) (loop more rest)))
      (_ #f))))

(define (same-line? wanted got quick?)
  (if quick?
      (string=? (without-numbers wanted) (without-numbers got))
      (same-text? wanted got)))

(test-assert "lines between" (same-output? "a\n...\nd" "a\nb\nc\nd" #f))
(test-assert "another line" (not (same-output? "a\n...\nd" "a\nb\nc" #f)))
(test-assert "other digits" (not (same-output? "$1 = 1.5" "$1 = 1.8" #f)))
(test-assert "any digits" (same-output? "about 1:06" "about 8.1 s" #t))

(define evaluated 0)

(define (check-chapter name text)
  (let ((module (let ((m (make-fresh-user-module)))
                  (module-use! m (resolve-interface '(tempera)))
                  m)))
    (save-module-excursion
     (lambda ()
       (set-current-module module)
       (fold (lambda (step state)
               (match (list step state)
                 (((quick form wanted) (count quick?))
                  (let-values (((got count) (transcript (if (pair? quick) quick form) module count))
                               ((quick?) (or quick? (and quick #t))))
                    (test-equal (format #f "~a: ~s" name form) wanted
                                (if (same-output? wanted got quick?) wanted got))
                    (set! evaluated (1+ evaluated))
                    (list count quick?)))))
             '(0 #f)
             (append-map steps (blocks text "lisp")))))))

;;; --- Commands -------------------------------------------------------------------

(define (check-command line)
  (match (string-tokenize line)
    (("tempera" (? (lambda (word) (not (string-prefix? "-" word))) command) . words)
     (test-assert (format #f "~a: a command" line) (member command (command-names)))
     (let-values (((operands text options) (command-usage command)))
       (for-each (lambda (word)
                   (when (string-prefix? "--" word)
                     (let ((name (substring word 2 (or (string-index word #\=)
                                                       (string-length word)))))
                       (test-assert (format #f "~a: ~a is an option" line word)
                         (memq (string->symbol name) (map parameter-name options))))))
                 words)))
    (_ #t)))

;;; --- All chapters -----------------------------------------------------------------

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (for-each (lambda (name) (symlink (string-append source "/" name) name)) '("experiments" "priors"))
   (for-each
    (lambda (name)
      (let ((text (call-with-input-file (string-append documents "/" name) get-string-all
                                        #:encoding "UTF-8")))
        (check-chapter name text)
        (for-each (lambda (block) (for-each check-command (string-split block #\newline)))
                  (blocks text "example"))))
    chapters)
   (chdir "/")))

(test-assert "there are sessions" (> evaluated 50))
(test-assert "a section is found by its title" (manual-section "Tutorial"))

(finish-tests)
