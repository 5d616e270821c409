;;; test-examples.scm -- what (tempera) (tempera see plots) (tempera tensor primitives) exports is documented, and every example runs.
;;;
;;; Examples are run in the order of their names, in an empty folder, each in a module where
;;; the names that docstrings take for granted are defined.  What an example says that it
;;; gives is compared as printed, numbers within the digits printed.

(use-modules (harness)
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
(mkdir "priors")
(symlink prior-file "priors/brain.safetensors")
(symlink brain "brain.png")

;; A script, a finished run of it, twice another, and two small sweeps.
(mkdir "experiments")
(call-with-output-file "experiments/two-moons.scm"
  (lambda (port)
    (write '(use-modules (tempera)) port)
    (write '(define-experiment two-moons ((samples 10) (norms '(1 2)) (step-size 0.5) (exponent 1.5)
                                          (norm 1) (seed 0))
              (display "sampling")
              (record-metrics! '((sigma . 1) (psnr . 24)))
              (record-metrics! '((sigma . 0.5) (psnr . 25)))
              `((psnr . 24.5) (z . ,(* step-size exponent))))
           port)))
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

;;; --- What docstrings take for granted ------------------------------------------

(define standing
  '((define prior (gaussian-prior (power-spectrum '(16 16) #:amplitude 100)))
    (define scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(16 16)))
    (define op (mri-operator #:mask (random-mask 16 #:acceleration 4 #:seed 1)))
    (define y (measure op scan #:noise 0.1 #:seed 2))
    (define target (posterior prior op y #:noise 0.1))
    (define chain (anneal target #:chains 8 #:seed 42))
    ((@ (tempera base interrupts) call-typed) ; and Ctrl-C, for `last-paused'
     (@ (tempera base interrupts) call-with-pause) chain "chain" (lambda () (throw 'user-interrupt))
     (const #f))
    (define net (score-network '(paper-unet #:channels (4 8) #:blocks 1)))
    (define trainer
      (make-trainer net (lambda (count step) (random-normal (list count 16 16) step 0 'c64))
                    #:batch 2 #:steps 2))
    (define simulations
      (simulate (make-model prior op #:sample (annealed-sampler prior op #:settings
                                                `(#:temperatures ,(geometric 100 #:ratio 0.7 #:until 0.1))))
                20 #:draws 7))
    (define draws (random-normal '(40 4 3) 1))
    (define t (list->tensor '(1 2 3 4) '(2 2)))
    (define kernel (make-kernel target (hmc) #:sigma 0.1 #:step-size 0.5 #:steps 4))
    (define state
      (let ((x (chain-samples chain)))
        (make-state x #:score (target-score target x 0.1) #:sigma 0.1 #:evaluations 1)))
    (define two-moons (load-script "experiments/two-moons.scm"))
    (define results
      (table '(sigma psnr zero-filled spectral-norm step-size exponent)
             '((1 24.5 20 0 0.3 1) (0.5 26 20 1 0.45 1.5))))
    (define x (random-normal '(8 2) 1))
    (define image (random-normal '(8 8) 3 0 'c64))
    (define p (profile (lambda () (tensor* t t))))))

(save-npy "volume.npy" (tensor-abs (random-normal '(12 32 32) 1)))
(save-npy "mean.npy" (random-normal '(8 8) 1))

(define (fresh-module)
  (let ((module (make-fresh-user-module)))
    (module-use! module (resolve-interface '(tempera)))
    module))

(define world (fresh-module))
(for-each (lambda (form) (eval form world)) standing)

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
