;;; evaluation.scm -- how the user's own code is evaluated.
;;;
;;; Scripts and what is typed at the prompt are evaluated form by form, in memory.  Nothing is cached:
;;; a cache could outlive the version of Tempera whose macros it was expanded with.  Where in the code
;;; an error is, exceptions.scm finds out.

(define-module (tempera base evaluation)
  #:use-module (ice-9 textual-ports)
  #:autoload (system base compile) (compile default-warning-level)
  #:use-module (tempera base errors)
  #:use-module (tempera base exceptions)
  #:export (evaluate evaluate-text load-file file-text)
  #:replace (load))

;;; --- One form -------------------------------------------------------------------

;; Guile keeps the code of every expression that it compiled, and ends at some two thousand
;; (its collector's "Too many root sets").  So what has no loop, which a prompt sees most, is
;; interpreted, and after a while everything.
(define most-compiled 1000)
(define compiled 0)

(define (loops? datum)
  (and (pair? datum)
       (or (memq (car datum) '(lambda lambda* case-lambda case-lambda* define* do while))
           (and (memq (car datum) '(define let)) (pair? (cdr datum))
                (eq? (eq? 'define (car datum)) (pair? (cadr datum)))
                (not (null? (cadr datum))))
           (let any-loops? ((rest datum))
             (and (pair? rest) (or (loops? (car rest)) (any-loops? (cdr rest))))))))

(define* (evaluate form module #:key (compile? (loops? (syntax->datum form))))
  "The value of FORM in MODULE: compiled if COMPILE?, which is faster where it has loops."
  (if (and compile? (< compiled most-compiled))
      (begin
        (set! compiled (1+ compiled))
        (compile form #:env module #:from 'scheme))
      (primitive-eval form)))

;;; --- A file ---------------------------------------------------------------------

(define (without-interpreter text)
  ;; TEXT less its first line `#!/usr/bin/env tempera', which a script need not close by !#.
  (if (and (string-prefix? "#!" text) (not (string-contains text "\n!#")))
      (substring text (or (string-index text #\newline) (string-length text)))
      text))

(define (file-text file)
  "The text of FILE.
Example: (file-text \"experiments/two-moons.scm\")"
  (call-with-input-file file get-string-all #:encoding "UTF-8"))

(define (skip-blank port)
  ;; To the next form of PORT: past white space and comments that go to the line's end.
  (let ((next (peek-char port)))
    (cond ((eof-object? next))
          ((char-whitespace? next) (read-char port) (skip-blank port))
          ((char=? next #\;) (get-line port) (skip-blank port)))))

(define (evaluate-forms port module compile?)
  (let loop ((value *unspecified*))
    (skip-blank port)
    (if (eof-object? (peek-char port))
        value
        (let ((line (port-line port)))
          (loop (with-fluids ((current-place (list (port-filename port) line (port-column port))))
                  (let ((form (read-syntax port)))
                    (if (eof-object? form) ; a comment stood there
                        value
                        (evaluate form module
                                  #:compile? (compile? form (> (port-line port) line)))))))))))

(define* (evaluate-text file text module
                        #:key (compile? (lambda (form long?)
                                          (or long? (loops? (syntax->datum form))))))
  "Evaluate in MODULE the forms of TEXT, which FILE has, and return the last one's value.
COMPILE? tells of a form, and whether it takes more than a line, whether to compile it:
interpreted code does not know its lines."
  (hash-set! evaluated-texts file text)
  (call-with-input-string (without-interpreter text)
    (lambda (port)
      (set-port-filename! port file)
      (evaluate-forms port module compile?))))

(define (load-file directory file)
  "Evaluate FILE, a name in DIRECTORY unless it is absolute, in the current module."
  (check-that (string? file) 'load "file: expected a string, got ~s" file)
  (let ((path (if (or (absolute-file-name? file) (member directory '(#f ".")))
                  file
                  (string-append directory "/" file))))
    (check-that (file-exists? path) 'load "no such file: ~a" path)
    (check-that (not (file-is-directory? path)) 'load "expected a file, got the folder ~a" path)
    (save-module-excursion
     (lambda ()
       ;; Names that are defined further down are no mistake.
       (parameterize ((default-warning-level 0))
         (evaluate-text path (file-text path) (current-module)))))))

(define-syntax load
  ;; As Guile's, whose files do not know where their errors are: a name is meant beside the file
  ;; that has the call.
  (lambda (form)
    (let* ((file (assq-ref (or (syntax-source form) '()) 'filename))
           (directory (and (string? file) (dirname file))))
      (syntax-case form ()
        ((_ file) #`(load-file #,directory file))
        (name (identifier? #'name) #`(lambda (file) (load-file #,directory file)))))))
