;;; completion.scm -- what Tab offers at the prompt.
;;;
;;; Names; after #: the keywords of the procedure that is being called; inside a string folders,
;;; and the files that the procedure reads; after a comma the prompt's commands.

(define-module (tempera shell completion)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 ftw)
  #:use-module (rnrs bytevectors)
  #:use-module (system foreign)
  #:use-module (tempera base errors)
  #:use-module (tempera base suggestions)
  #:use-module (tempera file formats)
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
         (own (if (procedure? value) (call-keywords value module) '())))
    (if (null? own) (visible-keywords module) own)))

(define kinds-read
  ;; What the file has to hold, as `file-holds?' knows it, that a procedure reads.
  '((load-image . image) (load-volume . volume) (data-add! . volume) (load-kspace . kspace)))

(define (files text kind)
  ;; The folders and files that TEXT may become: files for a KIND, where it is not #f and there are
  ;; any; else all, since not every format is known by its ending.
  (let* ((slash (string-rindex text #\/))
         (folder (if slash (substring text 0 (1+ slash)) ""))
         (names (or (scandir (if (string-null? folder) "." folder)
                             (lambda (name)
                               (and (not (member name '("." "..")))
                                    (string-prefix? (substring text (string-length folder)) name))))
                    '())))
    (let-values (((folders files)
                  (partition (lambda (path) (string-suffix? "/" path))
                             (map (lambda (name)
                                    (let ((path (string-append folder name)))
                                      (if (false-if-error (file-is-directory? path))
                                          (string-append path "/")
                                          path)))
                                  names))))
      (append folders
              (let ((fit (filter (lambda (path) (and kind (file-holds? path kind))) files)))
                (if (null? fit) files fit))))))

(define (completions text line module commands)
  "What TEXT, the last word of LINE, may become in MODULE: a list of strings in alphabetical
order.  COMMANDS are the names of the prompt's commands."
  (sort (if (inside-string? line)
            (files text (assq-ref kinds-read (called line)))
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
  (false-if-error (dynamic-pointer name (dynamic-link "guile-readline"))))

(define (set-readline-variable! name type n)
  (let ((pointer (readline-variable name)))
    (when pointer
      (bytevector-uint-set! (pointer->bytevector pointer (sizeof type)) 0 n (native-endianness)
                            (sizeof type)))))

(define quote-mark (string->pointer "\""))
(define no-mark (string->pointer ""))

(define (quotes-are-ours!)
  ;; By default readline takes a quote for a break between words, and closes it after any
  ;; completion.  As a character around file names it is closed only where we say so.
  (set-readline-variable! "rl_basic_quote_characters" '* (pointer-address no-mark))
  (set-readline-variable! "rl_completer_quote_characters" '* (pointer-address quote-mark)))

(define (end-name! candidates line)
  ;; No quote after a folder, whose contents follow; a quote and no blank after a file.  (Readline
  ;; resets both before the next completion.)
  (when (inside-string? line)
    (set-readline-variable! "rl_completion_suppress_append" int 1)
    (when (and (pair? candidates) (null? (cdr candidates)) (string-suffix? "/" (car candidates)))
      (set-readline-variable! "rl_completion_suppress_quote" int 1))))

(define (line-so-far text)
  (let ((buffer (readline-variable "rl_line_buffer")) (point (readline-variable "rl_point")))
    (or (and buffer point
             (false-if-error
              (let ((line (pointer->string (dereference-pointer buffer)))
                    (end (first (parse-c-struct point (list int)))))
                (substring line 0 (min end (string-length line))))))
        text)))

(define (complete-line-editing commands)
  "Let Tab complete as `completions' says; COMMANDS are the prompt's."
  (quotes-are-ours!)
  (let ((left '()))
    (module-set! (resolve-module '(ice-9 readline)) '*readline-completion-function*
                 (lambda (text again?)
                   (unless again?
                     (let ((line (line-so-far text)))
                       (set! left (completions text line (current-module) commands))
                       (end-name! left line)))
                   (and (pair? left)
                        (let ((next (car left)))
                          (set! left (cdr left))
                          next))))))
