;;; ranks.scm -- what test-mpi.scm runs on several ranks: `guile ranks.scm TASK ARGUMENT'.
;;;
;;; A task prints what rank 0 has at its end.

(use-modules (srfi srfi-1) (rnrs bytevectors) (tempera) (small-problem)
             ((tempera tensor primitives) #:select (sha256)))

(define (hash tensors)
  ;; Of what they hold, to the bit.
  (sha256 (string->utf8 (object->string (map tensor->list tensors)))))

(define (small-network)
  (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:convolutions 2 #:normalisation batch)))

(define (images count step)
  (tensor* 10 (random-normal (list count 16 16) 5 step 'c64)))

;;; --- Chains ---------------------------------------------------------------------

(define (together kernel state)
  ;; A sampler whose chains are not each by itself: they are drawn to their mean.
  (let* ((x (state-x state)) (h (kernel-step-size kernel)))
    (values (tensor+ (tensor+ (tensor* 0.9 x) (tensor* 0.1 (tensor-mean x 0 #t)))
                     (tensor+ (tensor* (* 0.5 h h) (kernel-score kernel x))
                              (tensor* h (kernel-normal kernel state))))
            #f #f)))

(define (chains)
  (define (show name . settings)
    (let ((chain (apply anneal target #:chains 6 #:temperatures temperatures settings)))
      (format #t "~a ~a ~a~%" name (hash (list (chain-samples chain)))
              (map transition-step-size (chain-trace chain)))))
  (show "hmc")
  (show "tuned" #:step-size (dual-averaging) #:temperatures (adaptive 10 #:until 0.5))
  (show "mala" #:sampler (mala))
  (show "reverse diffusion" #:sampler (reverse-diffusion #:corrections 1))
  (show "split Gibbs" #:sampler (split-gibbs #:steps 2))
  (show "together" #:sampler together #:mass 'identity #:step-size 0.01)
  (show "three" #:chains 3)
  (let ((chain (anneal (prior-target (small-network) #:shape '(16 16)) #:chains 5 #:temperatures temperatures)))
    (format #t "network ~a~%" (hash (list (chain-samples chain))))))

;;; --- Training -------------------------------------------------------------------

(define* (training #:key (checkpoint #f) (hook (const #t)) (steps 6))
  (let ((trainer (make-trainer (small-network) images #:batch 5 #:steps steps #:seed 3 #:accumulate 2
                               #:weight (learned-weight))))
    (when (and checkpoint (file-exists? checkpoint)) (trainer-resume! trainer checkpoint))
    (train! trainer #:checkpoint checkpoint #:every 2 #:hook hook)
    (format #t "~s~%" (list (map second (trainer-losses trainer))
                            (hash (map cdr (layer-parameters (trainer-network trainer))))))))

;;; --- What goes wrong --------------------------------------------------------------

(define (failing do-it)
  ;; On rank 1, at the 20th evaluation of a score.
  (let ((calls 0))
    (anneal (posterior (lambda (x sigma)
                         (set! calls (1+ calls))
                         (when (and (= calls 20) (= (mpi-rank) 1)) (do-it))
                         (score field x sigma))
                       op y #:noise 0.1)
            #:chains 4)))

(define (task name argument)
  (case name
    ((chains) (chains))
    ((training) (training))
    ((both) (chains) (training))
    ((checkpointed) (training #:checkpoint argument))
    ((killed) (training #:checkpoint argument
                        #:hook (lambda (trainer)
                                 (when (and (= 4 (trainer-step trainer)) (= (mpi-rank) 1))
                                   (kill (getpid) SIGKILL)))))
    ((error) (failing (lambda () (error "no such thing:" 3))))
    ((signal) (failing (lambda () (kill (getpid) SIGINT))))
    ((exit) (failing (lambda () (primitive-exit 3))))
    ((hook) (anneal target #:chains 4 #:hook (lambda (chain)
                                               (when (and (= 3 (chain-transitions chain)) (= (mpi-rank) 1))
                                                 (error "in the hook")))))
    ((batch) (train! (make-trainer (small-network) images #:batch 1 #:steps 1)))))

(task (string->symbol (getenv "TASK")) (getenv "ARGUMENT"))
