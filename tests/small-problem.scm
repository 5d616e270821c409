;;; small-problem.scm -- what tests of sampling share: a Gaussian field, seen by undersampled MRI.
;;;
;;; Its posterior is known (`gaussian-posterior'), and a chain on it takes a moment.

(define-module (small-problem)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-64)
  #:use-module (tempera)
  #:use-module ((tempera base interrupts) #:select (call-typed))
  #:use-module ((tempera tensor primitives) #:select (chains-dot))
  #:export (close? spectrum field moons sigmas op scan y target test-gradient
            temperatures paper-hmc short same? interrupted-target at-a-prompt warnings-of))

(define (close? tolerance a b)
  (<= (abs (- a b)) tolerance))

(define spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
(define field (gaussian-prior spectrum))
(define moons (two-moons-prior))
(define sigmas (list->tensor '(0.5 1 2)))
(define op (mri-operator #:mask (random-mask 12 #:acceleration 2 #:seed 1)))
(define scan (tensor-reshape (prior-draw field 1 #:seed 1) '(16 12)))
(define y (measure op scan #:noise 0.1 #:seed 2))
(define target (posterior field op y #:noise 0.1))

(define (test-gradient name tolerance prior x sigma)
  ;; The score is the gradient of the log density: along a random direction d,
  ;; log p (x + h d) - log p (x - h d) = 2 h <score, d> + O (h^3).
  (let* ((d (random-normal (tensor-shape x) 77 0 (tensor-dtype x)))
         (h 1/64)
         (up (log-density prior (tensor+ x (tensor* h d)) sigma))
         (down (log-density prior (tensor- x (tensor* h d)) sigma))
         (slope (chains-dot (score prior x sigma) d)))
    (test-assert name
      (every (lambda (u d s) (close? tolerance (/ (- u d) (* 2 h)) s))
             (vector->list up) (vector->list down) (vector->list slope)))))

;;; --- Chains on it ---------------------------------------------------------------------

(define temperatures (geometric 10 #:ratio 0.6 #:until 0.5))
(define paper-hmc (hmc #:acceptance 'path-integral))
(define* (short target . settings)
  ;; Steps that neither tune themselves nor jitter are easy to foretell.
  (apply anneal target #:temperatures temperatures #:chains 3 #:seed 7 #:step-size 0.35
         #:jitter 0 #:trajectory-length 6 #:sampler paper-hmc settings))
(define (same? a b)
  (tensor-identical? (chain-samples a) (chain-samples b)))

(define (interrupted-target call)
  ;; Sends this process SIGINT during evaluation number CALL of the score.
  (let ((calls 0))
    (posterior (lambda (x sigma)
                 (set! calls (1+ calls))
                 (when (= calls call)
                   (kill (getpid) SIGINT)
                   ;; Another thread takes the signal, when it comes to it.
                   (let wait ((tries 5000))
                     (usleep 1000)
                     (when (> tries 0) (wait (1- tries)))))
                 (score field x sigma))
               op y #:noise 0.1)))

(define-syntax-rule (at-a-prompt expression)
  (call-typed with-error-to-port (%make-void-port "w") (lambda () expression)))

(define (warnings-of thunk)
  ;; What THUNK, which gives a chain, writes to the warning port, and the chain.
  (let* ((port (open-output-string))
         (chain (parameterize ((current-warning-port port)) (thunk))))
    (values (get-output-string port) chain)))
