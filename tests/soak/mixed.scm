;;; mixed.scm -- mixed work in one process for some seconds: memory, file handles and threads stay flat.
;;;
;;; guile mixed.scm SECONDS prints what there was after a quarter of the time, and at the end.

(use-modules (ice-9 format) (ice-9 ftw) (ice-9 textual-ports)
             (srfi srfi-1)
             (tempera))

(define seconds (string->number (cadr (command-line))))
(define started (current-time))

(define (status name)
  (let* ((text (call-with-input-file "/proc/self/status" get-string-all))
         (at (string-contains text name)))
    (string->number (car (string-tokenize (substring text (+ at (string-length name) 1)))))))

(define (measures)
  (gc)
  (list (quotient (status "VmRSS") 1024)
        (- (length (scandir "/proc/self/fd")) 2)
        (status "Threads")))

(define net (score-network '(paper-unet #:channels (2 4) #:blocks 1)))
(define prior (gaussian-prior (power-spectrum '(16 16))))
(define op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))

(define (work folder)
  (define (in-folder name) (string-append folder "/" name))
  (train! (make-trainer net (lambda (n step) (random-normal (list n 16 16) 7 step 'c64)) #:batch 4 #:steps 5)
          #:checkpoint (in-folder "checkpoint.safetensors"))
  (let* ((scan (tensor-reshape (prior-draw prior 1 #:seed 3) '(16 16)))
         (chain (anneal (posterior prior op (measure op scan #:noise 1 #:seed 1) #:noise 1) #:chains 2
                        #:temperatures (geometric 20 #:ratio 0.7 #:until 1))))
    (save-chain (in-folder "chain.safetensors") chain)
    (write-report chain (in-folder "report.html"))
    (save-npy (in-folder "a.npy") scan)
    (load-npy (in-folder "a.npy"))
    (save-figure (in-folder "a.png") (list (panel "a" scan)))
    (load-png (in-folder "a.png")))
  (catch #t (lambda () (load-npy (in-folder "missing.npy"))) (const #f))
  (catch #t (lambda () (with-scope (lambda () (relu (random-normal '(1000 1000) 1)) (error "on purpose")))) (const #f))
  (let ((w (random-normal '(3 3 2 2) 1)))
    (gradients (lambda () (tensor-sum-squares (convolution (random-normal '(2 16 16 2) 1) w #f #f 1 1 1))) (list w))))

(call-with-temporary-folder
 (lambda (folder)
   (let loop ((first #f) (rounds 0))
     (work folder)
     (let ((gone (- (current-time) started)))
       (cond ((< gone seconds)
              (loop (or first (and (> gone (/ seconds 4)) (measures))) (1+ rounds)))
             (else
              (format #t "rounds ~a, at first ~a, at last ~a~%" rounds (or first (measures)) (measures))))))))
