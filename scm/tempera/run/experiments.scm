;;; experiments.scm -- a script with parameters.
;;;
;;; An experiment is a procedure with named parameters that have a default, a
;;; predicate and a line of explanation; `tempera run SCRIPT key=value ...'
;;; overrides them.  The last experiment that a script defines is the one that runs.  What a run
;;; leaves behind is in runs.scm.

(define-module (tempera run experiments)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 regex)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base evaluation)
  #:use-module (tempera base parameters)
  #:use-module (tempera base user-module)
  #:export (define-experiment make-experiment experiment?
            experiment-name experiment-parameters experiment-documentation
            experiment-procedure experiment-script experiment-text
            experiment-settings experiment-usage last-experiment
            load-script plain-script? settings-from-arguments))

(define-record-type <experiment>
  (%make-experiment name documentation parameters procedure script text)
  experiment?
  (name experiment-name)
  (documentation experiment-documentation)
  (parameters experiment-parameters)
  (procedure experiment-procedure)
  (script experiment-script)            ; the file that defines it, or #f,
  (text experiment-text))               ; and what that had in it then

(set-record-type-printer! <experiment>
  (lambda (experiment port)
    (format port "#<experiment ~a>"
            (string-join (cons (symbol->string (experiment-name experiment))
                               (map setting-text (experiment-parameters experiment)))))))

(define last-experiment
  ;; The experiment defined last, which is the one that a script offers.
  (make-parameter #f))

(define defined
  ;; All experiments of the script that is loaded, the last first.
  (make-parameter '()))

(define loading
  ;; The name and the text of the script that `load-script' reads.
  (make-parameter '(#f . #f)))

(define* (make-experiment name documentation parameters procedure #:key (script #f))
  "An experiment called NAME (a symbol) that runs PROCEDURE on the values of
PARAMETERS, a list of `make-parameter-spec'.  SCRIPT is the file that defines it, or
#f.  `define-experiment' is the usual way to one.
Example: (make-experiment 'toy \"A toy.\" '() (lambda () 3))"
  (for-each (lambda (p) (parameter-check name p (parameter-default p))) parameters)
  (let* ((text (cond ((not script) #f)
                     ((equal? script (car (loading))) (cdr (loading)))
                     (else (false-if-exception (file-text script)))))
         (experiment (%make-experiment name documentation parameters procedure
                                       (and text (absolute script)) text)))
    (last-experiment experiment)
    (defined (cons experiment (defined)))
    experiment))

(define (absolute file)
  (or (false-if-exception (canonicalize-path file)) file))

(define-syntax define-experiment
  (lambda (form)
    "(define-experiment NAME ((PARAMETER DEFAULT PREDICATE DOCUMENTATION) ...)
   [DOCUMENTATION] BODY ...)
Define NAME as an experiment: BODY, with each PARAMETER bound to its value.
PREDICATE and DOCUMENTATION may be left out.  Of a default that is an integer,
number, string, symbol, boolean or list of numbers, text on the command line
takes the type.
Example:
  (define-experiment two-moons ((samples 1000 positive? \"points to draw\"))
    \"Sample the two moons.\"
    (save-npy (run-path \"samples.npy\") (prior-draw (two-moons-prior) samples)))"
    (syntax-case form ()
      ((_ name (parameter ...) documentation body body* ...)
       (string? (syntax->datum #'documentation))
       (with-syntax (((variable ...)
                      (map (lambda (p) (syntax-case p () ((v . _) #'v)))
                           #'(parameter ...)))
                     (file (assq-ref (or (syntax-source form) '()) 'filename)))
         #'(define name
             (make-experiment 'name documentation
                              (list (parameter-of parameter) ...)
                              (lambda (variable ...) body body* ...)
                              #:script file))))
      ((_ name (parameter ...) body body* ...)
       #'(define-experiment name (parameter ...) "" body body* ...)))))

(define-syntax parameter-of
  (syntax-rules ()
    ((_ (name default))
     (parameter-of (name default (const #t) "")))
    ((_ (name default predicate))
     (parameter-of (name default predicate "")))
    ((_ (name default predicate documentation))
     (make-parameter-spec 'name #:default default #:predicate predicate
                          #:documentation documentation))))

(define* (experiment-settings experiment #:optional (settings '()))
  "The value of every parameter of EXPERIMENT, an association list in their order.  SETTINGS is a
list of pairs of a parameter's name and its value, which may be text to be read by the type of the
parameter's default; the others have their defaults.  An unknown name, or a value that
does not fit, is an error.
Example: (assq-ref (experiment-settings two-moons '((samples . \"500\"))) 'samples) => 500"
  (check-that (experiment? experiment) 'experiment-settings
              "experiment: expected one, such as `define-experiment' makes, got ~s" experiment)
  (let* ((who (experiment-name experiment))
         (parameters (experiment-parameters experiment))
         (names (map parameter-name parameters)))
    (check-that (and (list? settings)
                     (every (lambda (s) (and (pair? s) (symbol? (car s)))) settings))
                who "settings: expected a list of pairs (name . value), got ~s" settings)
    (for-each (lambda (setting)
                (check-that (memq (car setting) names) who "~a"
                            (unknown-name-text "parameter" (symbol->string (car setting))
                                               (map symbol->string names))))
              settings)
    (map (lambda (parameter)
           (let ((setting (find (lambda (s) (eq? (car s) (parameter-name parameter)))
                                (reverse settings))))
             (cons (parameter-name parameter)
                   (cond ((not setting) (parameter-default parameter))
                         ((string? (cdr setting))
                          (parameter-parse who parameter (cdr setting)))
                         (else (parameter-check who parameter (cdr setting)))))))
         parameters)))

;;; --- Scripts ------------------------------------------------------------------

(define (plain-script? text)
  "Whether a script whose text is TEXT certainly defines no experiment: it names none of what
could.
Example: (plain-script? \"(display 3)\") => #t"
  (not (string-match "define-experiment|make-experiment|\\((primitive-)?load[ \n]|\\(include" text)))

(define* (load-script file #:key (text #f) (name #f) (needed? #t))
  "The experiment that the script FILE defines last, or the one called NAME.  TEXT, if given, is
read in place of what the file holds now.  A script that defines none is an error, before anything
of it runs if that can be seen; without NEEDED? it is run, and the value is #f.
Example: (load-script \"experiments/two-moons.scm\")"
  (check-path 'load-script file)
  (check-that (or text (file-exists? file)) 'load-script "no such file: ~a" file)
  (check-that (or text (not (file-is-directory? file))) 'load-script
              "expected a script, got the folder ~a" file)
  (let ((text (or text (file-text file))))
    (define (refuse)
      (complain 'load-script "~a defines no experiment~a; see define-experiment" file
                (if name (format #f " ~a" name) "")))
    (when (and needed? (plain-script? text)) (refuse))
    (parameterize ((last-experiment #f)
                   (defined '())
                   (loading (cons file text)))
      (save-module-excursion
       (lambda ()
         (set-current-module (user-module))
         ;; Compiled, for fast loops.
         (evaluate-text file text (current-module) #:compile? (const #t))))
      (or (if name
              (find (lambda (e) (eq? (experiment-name e) name)) (defined))
              (last-experiment))
          (and needed? (refuse))))))

;;; --- Settings as text -----------------------------------------------------------

(define (settings-from-arguments who arguments)
  "The settings that ARGUMENTS, strings \"key=value\", spell, for
`run-experiment'; an error from WHO for one that is not of that form.
Example: (settings-from-arguments 'run '(\"chains=8\" \"out=here\")) => ((chains . \"8\") (out . \"here\"))"
  (map (lambda (argument)
         (let ((at (string-index argument #\=)))
           (check-that (and at (> at 0)) who "expected key=value, got ~s" argument)
           (cons (string->symbol (substring argument 0 at))
                 (substring argument (1+ at)))))
       arguments))

(define (setting-text parameter)
  ;; PARAMETER at its default, as one would write it on the command line.
  (format #f "~a=~a" (parameter-name parameter)
          (let ((value (parameter-default parameter)))
            (cond ((eq? value #t) "yes")
                  ((not value) "no")
                  ((list? value) (string-join (map number->string value) ","))
                  (else value)))))

(define (experiment-usage experiment)
  "What EXPERIMENT does and its parameters, as text.
Example: (let () (define-experiment toy ((n 3)) n) (display (experiment-usage toy)))"
  (call-with-output-string
    (lambda (port)
      (format port "~a~a~%" (experiment-name experiment)
              (if (string-null? (experiment-documentation experiment)) ""
                  (string-append ": " (experiment-documentation experiment))))
      (let* ((settings (map setting-text (experiment-parameters experiment)))
             (width (fold max 0 (map string-length settings))))
        (for-each (lambda (parameter setting)
                    (format port "  ~a  ~a~%" (string-pad-right setting width)
                            (parameter-documentation parameter)))
                  (experiment-parameters experiment) settings)))))

(document
 (experiment?
  "True when OBJECT is an experiment.
Example: (experiment? 3) => #f")
 (experiment-name
  "The name of EXPERIMENT, a symbol.
Example: (experiment-name (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => toy")
 (experiment-documentation
  "What EXPERIMENT says of itself, a string.
Example: (experiment-documentation (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => \"A toy.\"")
 (experiment-parameters
  "The parameters of EXPERIMENT, a list.
Example: (experiment-parameters (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => ()")
 (last-experiment
  "The experiment defined last, which is the one that a script offers; a parameter object.
Example: (last-experiment)")
 (experiment-procedure
  "The body of EXPERIMENT, a procedure of its parameters' values.
Example: ((experiment-procedure (make-experiment 'toy \"A toy.\" '() (lambda () 3)))) => 3")
 (experiment-script
  "The path of the script that EXPERIMENT was loaded from, or #f.
Example: (experiment-script (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => #f")
 (experiment-text
  "The text of that script, or #f.
Example: (experiment-text (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => #f"))
