;;; training-runs.scm -- a training as a run: its checkpoint, its losses, its weights.

(define-module (tempera run training-runs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera method network-files)
  #:use-module (tempera run recorders)
  #:use-module (tempera net checkpoints)
  #:use-module (tempera net trainer)
  #:use-module (tempera net trainer-history)
  #:use-module (tempera net training)
  #:export (train-run!))

(define (losses->metrics row)
  ;; Of (step mean-loss (sigma . loss) ...), where a band is named by its upper end.
  `((step . ,(first row)) (loss . ,(second row))
    ,@(map (lambda (band)
             (cons (string->symbol (format #f "loss-to-~a" (car band))) (cdr band)))
           (cddr row))))

(define* (train-run! trainer name #:key (every 100) (metadata '()) (hook (const #t)))
  "Train TRAINER to its end in the run that is active, which goes on from its checkpoint after an
interruption.  Every EVERY steps checkpoint.safetensors is written, the mean losses of those steps
join the run's metrics, and HOOK is called with the trainer.  At the end NAME.safetensors has the
averaged weights, with METADATA, an association list from strings to strings, the number of steps,
and what they ran with (`trainer-history').  Returns `trainer-averaged'.
Example: (define (train-prior trainer) (train-run! trainer \"prior\" #:metadata '((\"seed\" . \"1\"))))"
  (check-that (trainer? trainer) 'train-run! "trainer: expected one, got ~s" trainer)
  (let ((checkpoint (run-path "checkpoint.safetensors"))
        (weights (run-path (string-append name ".safetensors")))
        (recorded 0))
    (define (record-losses! trainer)
      (for-each (lambda (row)
                  (when (> (first row) recorded)
                    (record-metrics! (losses->metrics row))
                    (set! recorded (first row))))
                (reverse (trainer-losses trainer))))
    (trainer-note! trainer metadata)
    (when (file-exists? checkpoint)
      (trainer-resume! trainer checkpoint)
      ;; A run that was killed after it wrote its checkpoint has not recorded the last of them.
      (record-losses! trainer))
    (format #t "~a~%" trainer)
    (train! trainer #:checkpoint checkpoint #:every every
            #:hook (lambda (trainer)
                     (record-losses! trainer)
                     (hook trainer)))
    (let ((network (trainer-averaged trainer)))
      (save-network weights network
                    #:metadata `(,@metadata
                                 ("steps" . ,(number->string (trainer-step trainer)))
                                 ("training" . ,(object->string (trainer-history trainer)))))
      (format #t "wrote ~a~%" weights)
      network)))
