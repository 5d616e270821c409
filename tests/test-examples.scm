;;; test-examples.scm -- what (tempera) exports is documented, and every example runs.
;;;
;;; Examples are run in the order of their names, in an empty folder, each in a module where
;;; the names that docstrings take for granted are defined.  What an example says that it
;;; gives is compared as printed, numbers within the digits printed.

(use-modules (harness) (examples)
             (srfi srfi-1) (srfi srfi-11)
             (tempera) (tempera base documentation) ((tempera run run-files) #:select (fail-run!)))

(start-tests "examples")

;; Names without an example, and why.
(define without-example
  '((data-fetch! . "it downloads")
    (terminal-measure . "there need not be a terminal")
    (terminal-ask . "there need not be a terminal")
    (terminal-text . "`show' is what to call") (write-animation . "`save-animation' is what to call")
    (charts-drawing . "`plot' is what to call")
    (<network> . "a class, for methods") (<layer> . "a class, for methods") (<score-network> . "a class, for methods")
    (<tape> . "a class, for methods") (<tensor> . "a class, for methods")))

;;; --- The folder ----------------------------------------------------------------

(define folder (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tempera-test-XXXXXX")))
(define (source name) (canonicalize-path (test-file (string-append "../" name))))
(define brain (source "experiments/pd-head/brain_013.png"))
(define prior-file (source "priors/brain.safetensors"))
(setenv "XDG_CACHE_HOME" (string-append folder "/cache"))
(chdir folder)
(make-example-files brain prior-file)

;; A finished run of the script, twice another, and two small sweeps.
(let ((two-moons (load-script "experiments/two-moons.scm"))
      (quiet (lambda (thunk)
               (with-output-to-port (%make-void-port "w")
                 (lambda () (with-error-to-port (%make-void-port "w") thunk))))))
  (quiet
   (lambda ()
     (for-each (lambda (directory) (run-experiment two-moons '() #:directory directory))
               '("runs/two-moons" "runs/a" "runs/b"))
     (sweep two-moons (grid #:norm '(1 5)) #:directory "runs/norms" #:workers 2)
     (sweep two-moons (grid #:step-size '(0.3 0.5) #:exponent '(1 1.5)) #:directory "runs/steps"
            #:workers 2))))
(fail-run! "runs/b" "its process died 3 times")
(save-table "results.csv" (sweep-results "runs/norms"))

(define world (examples-world))

(define (run-example text)
  ;; What it gives, as printed, in a module of its own.
  (let ((module (fresh-module)) (given '()))
    (module-use! module world)
    ;; A tensor that the example before may have written into.
    (module-define! module 't (tensor-copy (module-ref world 't)))
    (with-output-to-string
      (lambda ()
        (call-with-values (lambda () (eval (call-with-input-string text read) module))
          (lambda values (set! given values)))))
    (string-join (map object->string given) " ")))

(test-assert "numbers within the digits printed" (same-text? "(1.25 3)" "(1.2501 3)"))
(test-assert "other numbers" (not (same-text? "(1.25 3)" "(1.27 3)")))
(test-assert "other words" (not (same-text? "(a 3)" "(b 3)")))

;;; --- Every name --------------------------------------------------------------------

(for-each
 (lambda (name)
   (let*-values (((text) (name-documentation name))
                 ((says example result) (documentation-parts text)))
     (test-assert (format #f "~a is documented" name) says)
     (cond ((assq-ref without-example name)
            (test-assert (format #f "~a has no example" name) (not example)))
           ((not example)
            (test-assert (format #f "~a has an example" name) #f))
           (else
            (test-assert (format #f "~a is in its example" name)
              (string-contains example (symbol->string name)))
            (let* ((got #f)
                   (error (error-message-of (lambda () (set! got (run-example example))))))
              (test-equal (format #f "~a: its example runs" name) #f error)
              (when (and got result)
                (test-equal (format #f "~a: its example gives" name) result
                            (if (same-text? result got) result got))))))))
 (documented-names))

(chdir "/")
(system* "rm" "-rf" folder)
(finish-tests)
