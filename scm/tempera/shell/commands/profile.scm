;;; profile.scm -- `tempera profile': where a network's time goes, by operation and layer.

(define-module (tempera shell commands profile)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base parameters)
  #:use-module (tempera shell options)
  #:use-module (tempera base errors)
  #:use-module (tempera file files)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera net profile)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera net training)
  #:export (main summary))

(define summary "show where a network's time goes, by operation and by layer")

(define options
  (parameter-specs
   (body "(paper-unet)" "without a file: the network's description")
   (images 1 positive? "in a batch")
   (size 320 positive? "rows and columns of an image")
   (train #f "a whole training step instead of the score: forward, backward, Adam")
   (repeat 5 positive? "runs, the mean of which is shown")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16))) "of the products of convolutions")
   (out (optional string) "also write the rows to this file: .csv or .json")))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "profile" options arguments #:operands "[NETWORK]"
                               #:text "Times every operation of a network's score, as a sampler asks for it.  The manual
says how to read the table.")))
    (define (ref name) (assq-ref options name))
    (check-that (<= (length operands) 1) 'profile "expected at most one network, got ~a"
                (string-join operands " "))
    (when (ref 'out) (check-output-file 'profile (ref 'out)))
    (let* ((network (if (pair? operands)
                        (network-in (first operands) (ref 'precision))
                        (score-network (read-description (ref 'body))
                                      #:precision (ref 'precision))))
           (run (if (ref 'train)
                    (training-run network (ref 'images) (ref 'size))
                    (score-run network (ref 'images) (ref 'size)))))
      (memory-trim!)
      (run)
      (let ((profile (profile run #:repeat (ref 'repeat) #:network network)))
        (format #t "~a~%~a of ~a image~:p of ~a x ~a, ~a; ~a thread~:p, instruction set ~a~%~%"
                (layer-kind network) (if (ref 'train) "a training step" "the score") (ref 'images)
                (ref 'size) (ref 'size) (ref 'precision) (threads) (instruction-set))
        (format #t "~a~%~a~%" (profile-text profile) (profile-text profile #:by '(layer)))
        (show-machine profile)
        (when (ref 'out)
          (save-profile (ref 'out) profile)
          (format #t "wrote ~a~%" (ref 'out)))))))

(define (network-in file precision)
  (load-network file #:precision precision))

(define (read-description text)
  ;; One datum, which is not evaluated.
  (catch 'read-error
    (lambda ()
      (call-with-input-string text
        (lambda (port)
          (let ((datum (read port)))
            (check-that (and (not (eof-object? datum)) (eof-object? (read port))) 'profile
                        "--body: expected one description such as (paper-unet), got ~s" text)
            datum))))
    (lambda _
      (complain 'profile "--body: expected a description such as (paper-unet), got ~s" text))))

(define (inputs network images size)
  (random-normal (if (eq? 'moons-mlp (car (network-description network)))
                     (list images 2)
                     (list images size size 2))
                 1))

(define (score-run network images size)
  (let ((x (inputs network images size)))
    (lambda () (with-scope (lambda () (network x 1.0) #t)))))

(define (training-run network images size)
  (let* ((x (inputs network images size))
         (trainer (make-trainer network (lambda (count step) x) #:batch images
                                #:steps 1000000000)))
    (lambda () (train! trainer #:steps 1 #:every 1000000000))))

(define (show-machine profile)
  (define (megabytes bytes) (format #f "~,1f MB" (/ bytes 1e6)))
  (format #t "peak of this machine: ~a~%"
          (string-join (filter-map (lambda (precision)
                                     (let ((peak (profile-peak profile precision)))
                                       (and peak (format #f "~,1f GFLOP/s in ~a" peak precision))))
                                   '(float32 bf16))
                       ", "))
  (format #t "memory at most: ~a in tensors~a~%" (megabytes (assq-ref (memory-usage) 'peak))
          (let ((peak (assq-ref (process-memory) 'peak)))
            (if peak (format #f ", ~a in the whole process" (megabytes peak)) ""))))
