;;; options.scm -- the words after a command: parameters, options and operands; and help with them.
;;;
;;; A parameter, a script's or a command's, is written NAME=VALUE, --NAME=VALUE or --NAME VALUE; one that
;;; is yes or no, as --NAME alone too.  What belongs to the command line and not to what is run, such as
;;; the folder of the run, is an option, and has its dashes.  All other words are operands, and so is
;;; whatever follows --.

(define-module (tempera shell options)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera base spelling)
  #:export (parse-words named-in parse-options option-values option-text explanation show-usage usage-wanted help-option))

;;; --- Words --------------------------------------------------------------------

(define (named name specs)
  (find (lambda (spec) (string=? name (symbol->string (parameter-name spec)))) specs))

(define (names specs prefix)
  (map (lambda (spec) (string-append prefix (symbol->string (parameter-name spec)))) specs))

(define (split-at-equals word start)
  ;; What WORD has between START and its first =, and what follows that, or #f.
  (let ((at (string-index word #\= start)))
    (values (substring word start (or at (string-length word)))
            (and at (substring word (1+ at))))))

(define (add who spec text given)
  ;; To the association list GIVEN, the value TEXT of SPEC, which has none yet.
  (let ((before (assq (parameter-name spec) given)))
    (check-that (not before) who "~a: expected one value, got ~a and ~a" (parameter-name spec)
                (cdr before) text)
    (acons (parameter-name spec) text given)))

(define* (parse-words who words options #:key (parameters '()) (leading? #f))
  "Three values of WORDS, a list of strings: the OPTIONS given and the PARAMETERS given, association
lists of name and text, and the other words.  OPTIONS and PARAMETERS are lists of
`make-parameter-spec'; a name that both have is the option's behind dashes.  LEADING?: stop at the
first of the other words; the third value is all that is left.  An unknown name is an error of WHO."
  (let loop ((words words) (given '()) (settings '()) (others '()))
    (define (done rest)
      (values (reverse given) (reverse settings) (append (reverse others) rest)))
    (define (other)
      (if leading? (done words) (loop (cdr words) given settings (cons (car words) others))))
    (define (dashed word)
      (let*-values (((name text) (split-at-equals word 2))
                    ((option) (named name options))
                    ((spec) (or option (named name parameters))))
        (check-that spec who "~a"
                    (unknown-name-text "option" (string-append "--" name)
                                       (names (append parameters options) "--")))
        (let* ((follows? (not (or text (eq? 'flag (parameter-type spec)))))
               (rest (if (and follows? (pair? (cdr words))) (cddr words) (cdr words)))
               (text (or text
                         (if follows?
                             (and (pair? (cdr words)) (cadr words))
                             "yes"))))
          (check-that text who "--~a: expected a value, got none" name)
          (if option
              (loop rest (add who spec text given) settings others)
              (loop rest given (add who spec text settings) others)))))
    (define (maybe-setting word)
      (let*-values (((name text) (split-at-equals word 0))
                    ((spec) (named name parameters)))
        (cond ((and spec text)
               (loop (cdr words) given (add who spec text settings) others))
              ((or (not text) leading? (string-index name #\/) (file-exists? word)) (other))
              ((named name options)
               (complain who "~a is no parameter but an option: expected --~a" name word))
              (else
               (complain who "~a" (unknown-name-text "parameter" name (names parameters "")))))))
    (cond ((null? words) (done '()))
          ((string=? (car words) "--") (done (cdr words)))
          ((string-prefix? "--" (car words)) (dashed (car words)))
          ((and (string-prefix? "-" (car words)) (not (string=? (car words) "-")))
           (complain who "~a" (unknown-name-text "option" (car words)
                                                 (names (append parameters options) "--"))))
          (else (maybe-setting (car words))))))

(define (option-values who specs given)
  "The value of each of SPECS, an association list; GIVEN has the text of those that are not at their
default.  What does not fit is an error of WHO."
  (map (lambda (spec)
         (let ((entry (assq (parameter-name spec) (reverse given))))
           (cons (parameter-name spec)
                 (if entry (parameter-parse who spec (cdr entry)) (parameter-default spec)))))
       specs))

(define help-option
  (car (parameter-specs (help #f "say this and end"))))

(define (named-in words name)
  "The text that WORDS, a list of strings, give the parameter NAME, or #f: before it is known what else may be among them.
Example: (named-in '(\"scan.npy\" \"--problem\" \"mri\") \"problem\") => \"mri\""
  (let loop ((words words))
    (cond ((or (null? words) (string=? (car words) "--")) #f)
          ((string-prefix? (string-append name "=") (car words)) (substring (car words) (1+ (string-length name))))
          ((string-prefix? (string-append "--" name "=") (car words)) (substring (car words) (+ 3 (string-length name))))
          ((and (string=? (string-append "--" name) (car words)) (pair? (cdr words))) (cadr words))
          (else (loop (cdr words))))))

;;; --- Help -----------------------------------------------------------------------

(define usage-wanted
  ;; Called with what a command says of itself, instead of doing anything: operands, text,
  ;; parameters, options.
  (make-parameter #f))

(define (option-text option)
  "OPTION as help writes it: --out=TEXT, --workers=N."
  (if (eq? 'flag (parameter-type option))
      (format #f "--~a" (parameter-name option))
      (string-append "--" (parameter-text option))))

(define (explanation spec)
  "What SPEC is for, with its range, as help writes it."
  (format #f "~a~a" (parameter-documentation spec)
          (if (and (parameter-range spec) (not (eq? 'flag (parameter-type spec))))
              (format #f " (~a)" (parameter-range spec))
              "")))

(define (show-usage command operands text parameters options)
  "Print the help of COMMAND: \"run toy.scm\", \"reconstruct\"."
  (format #t "Usage: tempera ~a~a~a~a~%" command
          (if (null? options) "" " [--OPTION...]")
          (if (string-null? operands) "" (string-append " " operands))
          (if (pair? parameters) " [NAME=VALUE...]" ""))
  (unless (string-null? text) (format #t "~a~%" text))
  (let* ((lines (append (map (lambda (p) (cons (parameter-text p) (explanation p))) parameters)
                        '(#f)
                        (map (lambda (o) (cons (option-text o) (explanation o)))
                             (append options (list help-option)))))
         (lines (if (pair? parameters) lines (cdr lines)))
         (long? (lambda (text) (> (string-length text) 30)))
         (width (fold (lambda (line most)
                        (if (and line (not (long? (car line)))) (max most (string-length (car line))) most))
                      0 lines)))
    (newline)
    (for-each (lambda (line)
                (if line
                    (format #t "~a~%" (string-trim-right
                                       (format #f "  ~a  ~a"
                                               (if (long? (car line))
                                                   (car line)
                                                   (string-pad-right (car line) width))
                                               (cdr line))))
                    (newline)))
              lines)))

;;; --- Commands that are no experiments ---------------------------------------------

(define* (parse-options command parameters words #:key (operands "") (text "") (count #f))
  "Two values: an association list of the name (a symbol) and value of each of PARAMETERS (see
`parameter-specs'), and the list of the other WORDS.  COMMAND is the command's name; OPERANDS
(\"INPUT\") and TEXT are for `--help', which is always there and ends the program.  COUNT, if
given, is how many operands there must be.  A bad name, value or count is an error that names it.
Example:
  (parse-options \"profile\" (parameter-specs (images 1 positive? \"in a batch\")) words
                 #:operands \"[NETWORK]\")"
  (when (usage-wanted) ((usage-wanted) operands text '() parameters))
  (let-values (((given settings rest)
                (parse-words command words (list help-option) #:parameters parameters)))
    (when (assq 'help given)
      (show-usage command operands text '() parameters)
      (exit 0))
    (check-that (or (not count) (= count (length rest))) command
                "expected ~a, got ~a" (if (= count 0) "no other word" operands)
                (if (null? rest) "none" (string-join rest " ")))
    (values (option-values command parameters settings) rest)))
