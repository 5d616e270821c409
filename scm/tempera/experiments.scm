;;; experiments.scm -- a script with parameters.
;;;
;;; An experiment is a procedure with named parameters that have a default, a
;;; predicate and a line of explanation; `tempera run SCRIPT key=value ...'
;;; overrides them.  The last experiment that a script defines is the one run.

(define-module (tempera experiments)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera documentation)
  #:use-module (tempera errors)
  #:use-module (tempera parameters)
  #:export (define-experiment make-experiment experiment?
            experiment-name experiment-parameters experiment-documentation
            run-experiment experiment-usage last-experiment settings-from-arguments))

(define-record-type <experiment>
  (%make-experiment name documentation parameters procedure)
  experiment?
  (name experiment-name)
  (documentation experiment-documentation)
  (parameters experiment-parameters)
  (procedure experiment-procedure))

(set-record-type-printer! <experiment>
  (lambda (experiment port)
    (format port "#<experiment ~a>"
            (string-join (cons (symbol->string (experiment-name experiment))
                               (map setting-text (experiment-parameters experiment)))))))

(define last-experiment
  ;; The experiment defined last, which is the one that a script offers.
  (make-parameter #f))

(define (make-experiment name documentation parameters procedure)
  "An experiment called NAME (a symbol) that runs PROCEDURE on the values of
PARAMETERS, a list of `make-parameter-spec'.  `define-experiment' is the usual
way to one.
Example: (make-experiment 'toy \"A toy.\" '() (lambda () 3))"
  (for-each (lambda (p) (parameter-check name p (parameter-default p))) parameters)
  (let ((experiment (%make-experiment name documentation parameters procedure)))
    (last-experiment experiment)
    experiment))

(define-syntax define-experiment
  (lambda (form)
    "(define-experiment NAME ((PARAMETER DEFAULT PREDICATE DOCUMENTATION) ...)
   [DOCUMENTATION] BODY ...)
Define NAME as an experiment: BODY, with each PARAMETER bound to its value.
PREDICATE and DOCUMENTATION may be left out.  Of a default that is an integer,
number, string, symbol, boolean or list of numbers, text on the command line
takes the type.
Example:
  (define-experiment two-moons ((samples 1000 positive? \"points to draw\")
                                (out \"out/two-moons\"))
    \"Sample the two moons.\"
    (save-npy out (moons samples)))"
    (syntax-case form ()
      ((_ name (parameter ...) documentation body body* ...)
       (string? (syntax->datum #'documentation))
       (with-syntax (((variable ...)
                      (map (lambda (p) (syntax-case p () ((v . _) #'v)))
                           #'(parameter ...))))
         #'(define name
             (make-experiment 'name documentation
                              (list (parameter-of parameter) ...)
                              (lambda (variable ...) body body* ...)))))
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

(define* (run-experiment experiment #:optional (settings '()))
  "Run EXPERIMENT and return what it returns.  SETTINGS is a list of pairs of a
parameter's name and its value, which may be text to be read by the type of the
parameter's default; the others keep their defaults.  An unknown name, or a
value that does not fit, is an error before anything runs.
Example: (let ()
           (define-experiment toy ((n 3 positive? \"points\")) (* 2 n))
           (run-experiment toy '((n . 5)))) => 10"
  (check-that (experiment? experiment) 'run-experiment
              "expected an experiment, got ~s" experiment)
  (let* ((who (experiment-name experiment))
         (parameters (experiment-parameters experiment))
         (names (map parameter-name parameters)))
    (for-each (lambda (setting)
                (check-that (memq (car setting) names) who "~a"
                            (unknown-name-text "parameter" (symbol->string (car setting))
                                               (map symbol->string names))))
              settings)
    (apply (experiment-procedure experiment)
           (map (lambda (parameter)
                  (let ((setting (find (lambda (s) (eq? (car s) (parameter-name parameter)))
                                       (reverse settings))))
                    (cond ((not setting) (parameter-default parameter))
                          ((string? (cdr setting))
                           (parameter-parse who parameter (cdr setting)))
                          (else (parameter-check who parameter (cdr setting))))))
                parameters))))

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
Example: (last-experiment)"))
