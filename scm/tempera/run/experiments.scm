;;; experiments.scm -- a procedure with named parameters, which can be found again.
;;;
;;; Each parameter has a default, a range and a line of explanation; `tempera run SCRIPT key=value ...'
;;; overrides the defaults.  An experiment is found again in its script, of which the last one defined
;;; is the one that runs, or in its module, as a command's is.  What a run leaves behind is in runs.scm.

(define-module (tempera run experiments)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 regex)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base evaluation)
  #:use-module (tempera base parameters)
  #:use-module (tempera base spelling)
  #:use-module (tempera base user-module)
  #:export (define-experiment make-experiment experiment?
            experiment-name experiment-parameters experiment-documentation
            experiment-procedure experiment-script experiment-text experiment-module
            experiment-trials experiment-settings last-experiment load-script plain-script? module-experiment))

(define-record-type <experiment>
  (%make-experiment name documentation parameters procedure check trials script text module)
  experiment?
  (name experiment-name)
  (documentation experiment-documentation)
  (parameters experiment-parameters)
  (procedure experiment-procedure)
  (check experiment-check)              ; a procedure of the same values, called before it runs
  (trials experiment-trials-procedure)  ; a procedure of them too, see `experiment-trials'
  (script experiment-script)            ; the file that defines it, or #f,
  (text experiment-text)                ; and what that had in it then
  (module experiment-module))           ; the name of the module that defines it, if no script does

(set-record-type-printer! <experiment>
  (lambda (experiment port)
    (format port "#<experiment ~a>"
            (string-join (cons (symbol->string (experiment-name experiment))
                               (map parameter-text (experiment-parameters experiment)))))))

(define last-experiment
  ;; The experiment defined last, which is the one that a script offers.
  (make-parameter #f))

(define defined
  ;; All experiments of the script that is loaded, the last first.
  (make-parameter '()))

(define loading
  ;; The name and the text of the script that `load-script' reads.
  (make-parameter '(#f . #f)))

(define* (make-experiment name documentation parameters procedure
                          #:key (check (const #t)) (trials (const #f)) (script #f) (module #f))
  "An experiment called NAME (a symbol) that runs PROCEDURE on the values of PARAMETERS, a list of
`make-parameter-spec'.  CHECK is called with the same values before anything runs or is written, and
raises an error if they do not go together; TRIALS gives of them what `experiment-trials' does.  SCRIPT is the file that defines it, or #f; MODULE the
module that does, or #f: if that is from the load path, the experiment is found there again, and not in
a script.  `define-experiment' is the usual way to one.
Example: (make-experiment 'toy \"A toy.\" '() (lambda () 3))"
  (for-each (lambda (p)
              (unless (parameter-required? p) (parameter-check name p (parameter-default p))))
            parameters)
  (let* ((loaded? (and script (equal? script (car (loading)))))
         (module (and module (not loaded?) (module-filename module) (module-name module)))
         (text (cond (loaded? (cdr (loading)))
                     ((or module (not script)) #f)
                     (else (false-if-error (file-text script)))))
         (experiment (%make-experiment name documentation parameters procedure check trials
                                       (and text (absolute script)) text module)))
    (last-experiment experiment)
    (defined (cons experiment (defined)))
    experiment))

(define (absolute file)
  (or (false-if-error (canonicalize-path file)) file))

(define-syntax define-experiment
  (lambda (form)
    "(define-experiment NAME ((PARAMETER DEFAULT PREDICATE DOCUMENTATION) ...)
   [DOCUMENTATION [#:check CHECK] [#:trials TRIALS]] BODY ...)
Define NAME as an experiment: BODY, with each PARAMETER bound to its value.  Parameters are as of
`parameter-specs': PREDICATE and DOCUMENTATION may be left out, text on the command line takes the
type of the default, and (optional TYPE) or (required TYPE) may stand in its place.  CHECK, an
expression, sees the same values before anything runs or is written, and raises an error if they
do not go together.  TRIALS, an expression that sees them too, says how `estimate' tries the
experiment in small, see `experiment-trials'.
Example:
  (define-experiment two-moons ((samples 1000 positive? \"points to draw\"))
    \"Sample the two moons.\"
    (save-npy (run-path \"samples.npy\") (prior-draw (two-moons-prior) samples)))"
    (syntax-case form ()
      ((_ name (parameter ...) documentation #:check check #:trials trials body body* ...)
       (string? (syntax->datum #'documentation))
       (with-syntax (((variable ...)
                      (map (lambda (p) (syntax-case p () ((v . _) #'v)))
                           #'(parameter ...)))
                     (file (assq-ref (or (syntax-source form) '()) 'filename)))
         #'(define name
             (make-experiment 'name documentation (parameter-specs parameter ...)
                              (lambda (variable ...) body body* ...)
                              #:check (lambda (variable ...) check)
                              #:trials (lambda (variable ...) trials)
                              #:script file #:module (current-module)))))
      ((_ name (parameter ...) documentation #:check check body body* ...)
       #'(define-experiment name (parameter ...) documentation #:check check #:trials #f body body* ...))
      ((_ name (parameter ...) documentation #:trials trials body body* ...)
       #'(define-experiment name (parameter ...) documentation #:check #t #:trials trials body body* ...))
      ((_ name (parameter ...) documentation body body* ...)
       (string? (syntax->datum #'documentation))
       #'(define-experiment name (parameter ...) documentation #:check #t body body* ...))
      ((_ name (parameter ...) body body* ...)
       #'(define-experiment name (parameter ...) "" body body* ...)))))

(define* (experiment-settings experiment #:optional (settings '()))
  "The value of every parameter of EXPERIMENT, an association list in their order.  SETTINGS is a
list of pairs of a parameter's name and its value, which may be text to be read by the type of the
parameter; the others have their defaults.  An unknown name, a value that does not fit, a
required one that is missing, or values that do not go together, are an error.
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
    (let ((all (map-in-order
                (lambda (parameter)
                  (let ((setting (find (lambda (s) (eq? (car s) (parameter-name parameter)))
                                       (reverse settings))))
                    (cons (parameter-name parameter)
                          (cond ((not setting)
                                 (parameter-check who parameter (parameter-default parameter)))
                                ((string? (cdr setting))
                                 (parameter-parse who parameter (cdr setting)))
                                (else (parameter-check who parameter (cdr setting)))))))
                parameters)))
      (apply (experiment-check experiment) (map cdr all))
      all)))

(define (experiment-trials experiment settings)
  "How EXPERIMENT with SETTINGS, of all its parameters, is tried in small, or #f if it does not say.  An
association list:
  small, large     settings of two trials, an association list of what is other than in SETTINGS
  seconds, memory, disk   lists of three numbers, the work of the small trial, of the large one and of SETTINGS:
                   what it takes is a straight line in that work.  Without one it is what the larger trial takes
  times            how often all of that is done one after the other, 1 unless given
Example: (experiment-trials (make-experiment 'toy \"A toy.\" '() (lambda () 3)) '()) => #f"
  (apply (experiment-trials-procedure experiment) (map cdr settings)))

;;; --- Scripts ------------------------------------------------------------------

(define (plain-script? text)
  "Whether a script whose text is TEXT certainly defines no experiment: it names none of what
could.
Example: (plain-script? \"(display 3)\") => #t"
  (not (string-match "define-experiment|define-problem|make-experiment|\\((primitive-)?load[ \n]|\\(include" text)))

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

;;; --- Modules --------------------------------------------------------------------

(define (module-experiment module name)
  "The experiment NAME that MODULE, the name of a module, defines; else an error.
Example: (module-experiment '(tempera shell commands train) 'train)"
  (let* ((found (resolve-module module #t #:ensure #f))
         (variable (and found (module-variable found name)))
         (experiment (and variable (variable-bound? variable) (variable-ref variable))))
    (check-that (experiment? experiment) 'module-experiment
                "the module ~a that defines the experiment ~a is not at hand" module name)
    experiment))

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
Example: (experiment-text (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => #f")
 (experiment-module
  "The name of the module that defines EXPERIMENT, if no script does, or #f.
Example: (experiment-module (make-experiment 'toy \"A toy.\" '() (lambda () 3))) => #f"))
