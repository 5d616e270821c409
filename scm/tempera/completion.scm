;;; completion.scm -- what Tab offers at the prompt.
;;;
;;; Names everywhere; after #: the keywords of the procedure that is being called; inside of a
;;; string the names of files; after a comma the prompt's commands.

(define-module (tempera completion)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 ftw)
  #:use-module (system foreign)
  #:use-module (tempera suggestions)
  #:export (completions complete-line-editing readline-variable))

(define (inside-string? line)
  ;; Where LINE ends.
  (let loop ((characters (string->list line)) (inside? #f))
    (cond ((null? characters) inside?)
          ((and inside? (char=? (car characters) #\\) (pair? (cdr characters)))
           (loop (cddr characters) inside?))
          ((char=? (car characters) #\") (loop (cdr characters) (not inside?)))
          (else (loop (cdr characters) inside?)))))

(define (called line)
  ;; The name after the last parenthesis that LINE opens and does not close, or #f.
  (let loop ((at (1- (string-length line))) (depth 0))
    (and (>= at 0)
         (case (string-ref line at)
           ((#\)) (loop (1- at) (1+ depth)))
           ((#\() (if (zero? depth)
                      (let ((words (string-tokenize (substring line (1+ at))
                                                    (char-set-complement (string->char-set " ()")))))
                        (and (pair? words) (string->symbol (first words))))
                      (loop (1- at) (1- depth))))
           (else (loop (1- at) depth))))))

(define (keywords-at line module)
  (let* ((name (called line))
         (variable (and name (module-variable module name)))
         (value (and variable (variable-bound? variable) (variable-ref variable)))
         (own (if (procedure? value) (procedure-keywords value) '())))
    ;; `anneal' and the like pass on what others take.
    (if (or (null? own) (and (procedure? value) (passes-on? value)))
        (visible-keywords module)
        own)))

(define (passes-on? procedure)
  (let ((arguments ((@ (ice-9 session) procedure-arguments) procedure)))
    (or (assq-ref arguments 'allow-other-keys?) (assq-ref arguments 'rest))))

(define (files text)
  (let* ((slash (string-rindex text #\/))
         (folder (if slash (substring text 0 (1+ slash)) ""))
         (names (or (scandir (if (string-null? folder) "." folder)
                             (lambda (name)
                               (and (not (member name '("." "..")))
                                    (string-prefix? (substring text (string-length folder)) name))))
                    '())))
    (map (lambda (name)
           (let ((path (string-append folder name)))
             (if (false-if-exception (file-is-directory? path)) (string-append path "/") path)))
         names)))

(define (completions text line module commands)
  "What TEXT, the last word of LINE, may become in MODULE: a list of strings in alphabetical
order.  COMMANDS are the names of the prompt's commands."
  (sort (if (inside-string? line)
            (files text)
            (filter (lambda (candidate) (string-prefix? text candidate))
                    (cond ((string-prefix? "#:" text)
                           (map object->string (keywords-at line module)))
                          ((string-prefix? "," line)
                           (append (map (lambda (name) (string-append "," name)) commands)
                                   (visible-names module)))
                          (else (delete-duplicates (visible-names module))))))
        string<?))

;;; --- Readline -----------------------------------------------------------------

(define (readline-variable name)
  "The pointer to readline's C variable NAME, which Guile has no name for; or #f.  (That library
depends on readline's, whose names are found through it.)"
  (false-if-exception (dynamic-pointer name (dynamic-link "guile-readline"))))

(define (line-so-far text)
  (let ((buffer (readline-variable "rl_line_buffer")) (point (readline-variable "rl_point")))
    (or (and buffer point
             (false-if-exception
              (let ((line (pointer->string (dereference-pointer buffer)))
                    (end (first (parse-c-struct point (list int)))))
                (substring line 0 (min end (string-length line))))))
        text)))

(define (complete-line-editing commands)
  "Let Tab complete as `completions' says; COMMANDS are the prompt's."
  (let ((left '()))
    (module-set! (resolve-module '(ice-9 readline)) '*readline-completion-function*
                 (lambda (text again?)
                   (unless again?
                     (set! left (completions text (line-so-far text) (current-module) commands)))
                   (and (pair? left)
                        (let ((next (car left)))
                          (set! left (cdr left))
                          next))))))
