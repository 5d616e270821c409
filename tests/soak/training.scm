;;; training.scm -- what soak.scm stops, starves and kills: the training of a small network.

(use-modules (tempera))

(define-experiment training ((steps 40 positive?)) "Trains a small network."
  (train-run! (make-trainer (score-network '(paper-unet #:channels (2 4) #:blocks 1 #:seed 3)
                                           #:parametrisation 'preconditioned)
                            (lambda (count step) (random-normal (list count 16 16) 7 step 'c64))
                            #:batch 4 #:steps steps #:seed 1)
              "prior" #:every 4)
  steps)
