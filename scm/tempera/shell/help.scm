;;; help.scm -- ask in your own words: (help), (help NAME), (help "compare two chains").
;;;
;;; What is searched (search.scm): the names that (tempera) exports with their docstrings, the
;;; prompt's commands, the commands of the command line, the sections of the manual, and answers
;;; to what is often asked (answers.scm).

(define-module (tempera shell help)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 documentation)
  #:use-module (ice-9 format)
  #:use-module (ice-9 rdelim)
  #:use-module (tempera shell answers)
  #:use-module (tempera shell cli)
  #:use-module (tempera shell search)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base spelling)
  #:use-module (tempera see terminal)
  #:export (help help-about help-search add-help-topic! manual-section))

;;; --- Topics ---------------------------------------------------------------------

(define (text-topic title text asked)
  (topic title text (lambda () (format #t "~a~%~%" title) (display-filled text)) asked))

(define more-topics '())                ; of the prompt

(define* (add-help-topic! title text #:optional (asked ""))
  "Let `help' find TEXT, of which the first sentence is a summary, under TITLE, a string; by the
words of ASKED too.
Example: (add-help-topic! \",runs\" \"List the runs there are.\")"
  (set! more-topics
        (cons (text-topic title text asked)
              (remove (lambda (t) (string=? title (topic-title t))) more-topics)))
  (set! all-topics #f))

(define (name-topics)
  (map (lambda (name)
         (topic (symbol->string name) (name-documentation name) (lambda () (show-name name))))
       (documented-names)))

(define (command-topics)
  (map (lambda (name)
         (topic (string-append "tempera " name) (command-summary name)
                (lambda () (format #t "tempera ~a: ~a.~%`tempera ~a --help' lists its options.~%"
                                   name (command-summary name) name))
                ;; The summary is its only text, so its words count as those of a title.
                (command-summary name)))
       (command-names)))

(define all-topics #f)

(define (topics)
  (unless all-topics
    (set! all-topics (append (name-topics) more-topics (command-topics) (manual-topics)
                             (map (lambda (answer) (apply text-topic answer)) answers))))
  all-topics)

;;; --- The manual -----------------------------------------------------------------

(define (manual-file)
  (let ((file (or (getenv "TEMPERA_MANUAL") "")))
    (and (file-exists? file) file)))

(define (manual-sections)
  ;; (title . text) of each section, as the manual's Info file has them.
  (let ((file (manual-file)))
    (if (not file)
        '()
        (filter-map
         (lambda (part)
           (let* ((part (string-trim part))
                  (line (substring part 0 (or (string-index part #\newline) 0)))
                  (at (string-contains line "Node: ")))
             (and at (string-prefix? "File:" line)
                  (let ((end (string-index line #\, at)))
                    (cons (substring line (+ at 6) (or end (string-length line)))
                          (string-trim (substring part (string-length line))))))))
         (string-split (call-with-input-file file read-string #:encoding "UTF-8") #\x1f)))))

(define (manual-topics)
  (map (lambda (section)
         (topic (string-append "manual: " (car section))
                ;; Below the heading and its underline.
                (let ((lines (string-split (cdr section) #\newline)))
                  (string-join (if (> (length lines) 2) (cddr lines) lines) "\n"))
                (lambda () (format #t "~a~%" (cdr section)))))
       ;; The reference is found by the docstrings it is made from.
       (remove (lambda (section)
                 (or (member (car section) '("Top" "Index"))
                     (string-prefix? "Module " (car section))
                     (string-prefix? "tempera " (car section))))
               (manual-sections))))

(define (manual-section title)
  "The text of the section TITLE of the manual, a string; #f where there is none.
Example: (manual-section \"No such section\") => #f"
  (assoc-ref (manual-sections) title))

;;; --- Searching ------------------------------------------------------------------

(define (help-search question)
  "The titles, strings, of what there is about QUESTION, in words, best first.
Example: (list-head (help-search \"random-mask\") 1) => (\"random-mask\")"
  (check-that (string? question) 'help-search "question: expected a string, got ~s" question)
  (map topic-title (topics-about question (topics))))

;;; --- Showing --------------------------------------------------------------------

(define (padded text width)
  (if (< (string-length text) width) (string-pad-right text width) text))

(define (show-topics found)
  ;; The best matches, those among the manual's sections last.
  (let*-values (((sections others)
                 (partition (lambda (t) (string-prefix? "manual: " (topic-title t))) found))
                ((found) (append (take others (min 10 (length others)))
                                 (take sections (min 3 (length sections)))))
                ;; One long title must not push all summaries off the screen.
                ((width) (min 28 (apply max (map (lambda (t) (string-length (topic-title t))) found)))))
    (for-each (lambda (topic)
                (let ((line (format #f "  ~a  ~a" (padded (topic-title topic) width)
                                    (topic-summary topic)))
                      (room (help-port-columns)))
                  (format #t "~a~%" (if (> (string-length line) room)
                                        (string-append (substring line 0 (- room 3)) "...")
                                        line))))
              found)))

(define (show-call name)
  ;; NAME with its arguments, in lines that fit.
  (let loop ((words (argument-texts name)) (line (format #f "(~a" name)))
    (cond ((null? words)
           (format #t "~a)~%" (if (name-signature name) line (substring line 1))))
          ((> (+ (string-length line) (string-length (car words)) 2) (min 99 (help-port-columns)))
           (format #t "~a~%" line)
           (loop words "   "))
          (else (loop (cdr words) (string-append line " " (car words)))))))

(define (show-name name)
  (let-values (((text example result) (documentation-parts (name-documentation name))))
    (show-call name)
    (format #t "    ~a of ~s~%~%" (name-kind name) (name-module name))
    (display-filled (or text "It has no documentation."))
    (when example
      (format #t "~%Example: ~a~a~%" example (if result (string-append " => " result) "")))))

;;; --- How to begin ---------------------------------------------------------------

(define begin-lines
  ;; A first session; it needs no file.
  '("(define prior (gaussian-prior (power-spectrum '(64 64) #:amplitude 1e4)))"
    "(define scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(64 64)))"
    "(define op (mri-operator #:mask (random-mask 64 #:acceleration 4 #:seed 1)))"
    "(define y (measure op scan #:noise 0.1 #:seed 2))"
    "(define chain (anneal (posterior prior op y #:noise 0.1)))"
    "(show chain #:truth scan)"
    "(diagnose chain)"))

(define subjects
  '(("images" load-image load-npy simulated-scan psnr save-png)
    ("measuring" mri-operator random-mask measure measurement zero-filled)
    ("priors" load-network gaussian-prior make-trainer train! save-network)
    ("posteriors" posterior prior-target anneal start-chain preview)
    ("chains" chain-mean chain-std chain-samples resume! fork rewind!)
    ("settings" geometric adaptive power-law hmc langevin)
    ("own loops" make-kernel make-state transition chain-state)
    ("looking" show plot watch save-figure write-report)
    ("judging" diagnose compare hold r-hat calibrate-to)
    ("experiments" define-experiment run-experiment sweep load-script)))

(define (show-overview)
  (format #t "Tempera draws images that fit a measurement from what a prior holds likely: a network that was
trained, or a distribution known exactly.  To begin, type these lines:

~{  ~a~%~}
With a head and a learned prior the same takes ten minutes: (help \"Tutorial\").

What there is to ask about, as in (help anneal):

" begin-lines)
  (for-each (lambda (subject)
              (format #t "  ~a ~a~%" (string-pad-right (first subject) 12)
                      (string-join (map symbol->string (cdr subject)) "  ")))
            subjects)
  (display "
How to ask:

  (help \"in your own words\")  search everything, such as (help \"compare two chains\")
  (help NAME)                 what NAME is, its arguments, an example
  (help \"How to\")             a section of the manual, by its title
  (apropos \"part\")            names that have this part

Tab completes names, keywords, and files inside of quotes.  ,help lists the prompt's commands;
Ctrl-C pauses what runs; Ctrl-D leaves.
"))

(define (help-port-columns)
  (max 20 (text-columns (current-output-port))))

(define (display-filled text)
  ;; TEXT, a docstring, with paragraphs filled to the terminal's width, up to 99 columns.  An indented
  ;; line, of a list or a formula, and those below it that are indented further, stay as they are
  ;; where all of them fit.
  (let ((width (min 99 (help-port-columns))))
    (define (put words indent)
      (let loop ((words words) (line "") (first? #t))
        (cond ((null? words) (format #t "~a~%" line))
              ((string-null? line)
               (loop (cdr words) (string-append (if first? (car indent) (cdr indent)) (car words)) #f))
              (else
               ;; Two blanks after a sentence, as in the docstrings.
               (let ((longer (string-append line (if (string-suffix? "." line) "  " " ") (car words))))
                 (cond ((> (string-length longer) width)
                        (format #t "~a~%" line)
                        (loop words "" #f))
                       (else (loop (cdr words) longer #f))))))))
    (define (indentation line) (or (string-skip line #\space) 0))
    (define (put-item line more)
      ;; LINE and those of MORE: filled as one where MORE are indented alike.  Words of LINE that stand
      ;; at that column, or behind two blanks where there is no more, stay there.
      (let* ((indent (string-take line (indentation line)))
             (gap (string-contains line "  " (indentation line)))
             (column (cond ((pair? more) (indentation (car more)))
                           (gap (or (string-skip line #\space gap) 0))
                           (else (+ 4 (indentation line)))))
             (below? (and (< 0 column (string-length line))
                          (char=? #\space (string-ref line (1- column))))))
        (cond ((every (lambda (line) (<= (string-length line) width)) (cons line more))
               (for-each (lambda (line) (format #t "~a~%" line)) (cons line more)))
              ((every (lambda (line) (= column (indentation line))) more)
               (put (append-map string-tokenize
                                (cons (if below? (string-drop line column) line) more))
                    (cons (if below? (string-take line column) indent)
                          (make-string column #\space))))
              (else
               (put-item line '())
               (put-item (car more) (cdr more))))))
    (let loop ((lines (string-split text #\newline)) (paragraph '()))
      (define (flush)
        (unless (null? paragraph)
          (put (append-map string-tokenize (reverse paragraph)) (cons "" ""))))
      (cond ((null? lines) (flush))
            ((string-null? (string-trim-both (car lines)))
             (flush) (newline) (loop (cdr lines) '()))
            ((positive? (indentation (car lines)))
             (flush)
             (let-values (((more others)
                           (span (lambda (line) (> (indentation line) (indentation (car lines))))
                                 (cdr lines))))
               (put-item (car lines) more)
               (loop others '())))
            (else (loop (cdr lines) (cons (car lines) paragraph)))))))

(define* (help-about #:optional (what #f))
  "Show what there is on WHAT: a name (symbol), the title of something, or a question in
words; of another thing its documentation; without it how to begin.  `(help anneal)' is
`(help-about 'anneal)'.
Example: (help-about \"undersampling\")"
  (cond ((or (not what) (and (string? what) (string-ci=? what "help"))) (show-overview))
        ((symbol? what) (show-symbol what))
        ((not (string? what)) (show-value what))
        ((find (lambda (topic)
                 (let ((title (string-downcase (topic-title topic))) (asked (string-downcase what)))
                   (or (string=? title asked)
                       (string=? title (string-append "manual: " asked)))))
               (topics))
         => (lambda (topic) ((topic-show topic))))
        (else
         (let ((found (topics-about what (topics))))
           (if (null? found)
               (format #t "Nothing is about ~s.  (help) says where to begin.~%" what)
               (show-topics found)))))
  *unspecified*)                        ; nothing for the prompt to print

(define (show-value value)
  (let ((name (find (lambda (name) (eq? value (module-ref (resolve-interface '(tempera)) name)))
                    (documented-names))))
    (if name
        (show-name name)
        (format #t "~a~%" (or (and (procedure? value) (object-documentation value))
                              (format #f "~s has no documentation." value))))))

(define (show-symbol name)
  (let ((variable (module-variable (current-module) name)))
    (cond ((memq name (documented-names)) (show-name name))
          ((and variable (variable-bound? variable)) (show-value (variable-ref variable)))
          (else
           (let ((nearest (nearest-name (symbol->string name)
                                        (map symbol->string (documented-names)))))
             (format #t "There is no ~a~a~%" name
                     (if nearest (format #f "; did you mean ~a?" nearest) ".")))))))

(define-syntax help
  (lambda (form)
    "(help), (help NAME), (help \"in your own words\")
Say what NAME is, its arguments, an example; or search all names, the prompt's commands and
the manual for words; or alone, say how to begin.
Example: (help \"undersampling\")"
    (syntax-case form (quote)
      ((_) #'(help-about))
      ((_ (quote name)) #'(help-about 'name))
      ((_ name) (identifier? #'name) #'(help-about 'name))
      ((_ what) #'(help-about what)))))
