;;; prior-samples.scm -- what a prior believes without any data: samples of it alone.
;;;
;;; The same annealing as for a posterior, from pure noise, with no likelihood.
;;;
;;;   tempera run experiments/prior-samples.scm

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/prior-samples.scm")))

(define-experiment prior-samples
  ((prior (string-append here "/../priors/brain.safetensors") string? "a score network's file")
   (size 128 (lambda (n) (and (<= 16 n 512) (zero? (modulo n 8)))) "pixels a side")
   (chains 8 positive? "samples")
   (from 150 positive? "the first temperature")
   (ratio 0.95 (lambda (r) (< 0 r 1)) "of one temperature to the one before")
   (until 0.046 positive? "the last is the first below this")
   (seed 1 (lambda (n) (>= n 0)) "of the chains"))
  "Samples of a prior without data."
  (let* ((chain (anneal (prior-target (load-network prior) #:shape (list size size) #:dtype 'c64)
                        #:chains chains #:seed seed
                        #:temperatures (geometric from #:ratio ratio #:until until)))
         (samples (chain-samples chain))
         ;; One scale for all: by its own, an empty image would be a picture of noise.
         (high (tensor->number (tensor-quantile (tensor-reshape (tensor-abs samples) '(-1)) 0.999 0))))
    (save-npy (run-path "samples.npy") samples)
    (save-figure (run-path "prior-samples.png")
                 (map (lambda (k)
                        (panel "" (tensor-reshape (tensor-slice samples 0 k (1+ k)) (list size size))
                               #:high high))
                      (iota chains))
                 #:columns 4)
    (format #t "~a~%" (diagnose chain))))
