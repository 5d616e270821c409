;;; program.scm -- 20 training steps, an annealing and a sweep, and what came out: once whole, or with a stop
;;; in the middle.
;;;
;;; guile program.scm whole|stopped FOLDER prints a line for each, hashes of all numbers and a few numbers.

(use-modules (srfi srfi-1)
             (tempera) (tempera tensor primitives))

(define stopped? (string=? "stopped" (list-ref (command-line) 1)))
(define folder (list-ref (command-line) 2))
(define (in-folder name) (string-append folder "/" name))

(define (print name tensors)
  ;; The tensors' crc32, and their first numbers.
  (format #t "~a ~a~{ ~a~}~%" name (fold (lambda (t sum) (crc32 t sum)) 0 tensors)
          (append-map (lambda (t)
                        (let ((all (tensor->list (tensor-abs t)))) (take all (min 3 (length all)))))
                      tensors)))

;;; Training: convolutions, batch norm, Adam, averages, noise.

(define (trainer)
  (make-trainer (score-network '(paper-unet #:channels (4 8) #:blocks 1 #:seed 3) #:parametrisation 'preconditioned)
                (lambda (count step) (random-normal (list count 16 16) 7 step 'c64))
                #:batch 4 #:steps 20 #:seed 1))
(define trained
  (if stopped?
      (let ((file (in-folder "checkpoint.safetensors")))
        (train! (trainer) #:steps 7 #:checkpoint file)
        (train! (trainer-resume! (trainer) file)))
      (train! (trainer))))
(print "weights" (map cdr (layer-parameters (trainer-network trained))))

;;; Annealing: FFT, mass, acceptance.

(define prior (gaussian-prior (power-spectrum '(16 16))))
(define operator (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
(define scan (tensor-reshape (prior-draw prior 1 #:seed 3) '(16 16)))
(define target (posterior prior operator (measure operator scan #:noise 1 #:seed 1) #:noise 1))
(define settings (list #:seed 5 #:temperatures (geometric 20 #:ratio 0.8 #:until 1)))
(define chain
  (if stopped?
      (let ((file (in-folder "chain.safetensors"))
            (chain (apply start-chain target #:chains 3 settings)))
        (catch 'stop
          (lambda ()
            (resume! chain #:hook (lambda (chain) (when (> (chain-transitions chain) 4) (throw 'stop)))))
          (const #f))
        (save-chain file chain)
        (resume! (apply load-chain file target settings)))
      (apply anneal target #:chains 3 settings)))
(print "samples" (list (chain-samples chain)))

;;; A sweep: each point in a process of its own.

(call-with-output-file (in-folder "points.scm")
  (lambda (port)
    (write '(define-experiment points ((n 1 positive?)) (tensor->number (tensor-sum (random-normal '(5000) n)))) port)))
(define experiment (load-script (in-folder "points.scm")))
(define points (grid #:n '(1 2 3)))
(print "points"
       (list (list->tensor
              (if stopped?
                  ;; In this process instead.
                  (map (lambda (point)
                         (run-result (run-experiment experiment point
                                                     #:directory (in-folder (format #f "point-~a" (assq-ref point 'n))))))
                       points)
                  (table-column (sweep-results (sweep experiment points #:directory (in-folder "swept") #:workers 2))
                                'result)))))
