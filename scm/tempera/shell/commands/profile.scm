;;; profile.scm -- `tempera profile': where a network's time goes, by operation and layer.

(define-module (tempera shell commands profile)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base parameters)
  #:use-module (tempera base process)
  #:use-module (tempera shell options)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera net score-networks)
  #:use-module (tempera method network-files)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera net profile)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera net trainer)
  #:use-module (tempera net training)
  #:export (main summary))

(define summary "show where a network's time goes, by operation and by layer")

(define options
  (parameter-specs
   (body "(paper-unet)" "without a file: the network's description")
   (images 1 positive? "in a batch")
   (size (optional integer) positive?
         "rows and columns of an image; else 320, or those that the network is made for")
   (train #f "a whole training step of a score network: forward, backward, Adam")
   (repeat 5 positive? "runs, the mean of which is shown")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16))) "of the products of convolutions")
   (out (optional string) "also write the rows to this file: .csv or .json")))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "profile" options arguments #:operands "[NETWORK]"
                               #:text "Times every operation of one evaluation of a network of any kind, or of a training step.
The manual says how to read the table.")))
    (define (ref name) (assq-ref options name))
    (check-that (<= (length operands) 1) 'profile "expected at most one network, got ~a"
                (string-join operands " "))
    (when (ref 'out) (check-output-file 'profile (ref 'out)))
    (let* ((network (if (pair? operands)
                        (load-network (first operands) #:precision (ref 'precision))
                        (score-network (read-description (ref 'body))
                                      #:precision (ref 'precision))))
           (inputs (network-inputs network (ref 'images) (ref 'size)))
           (run (if (ref 'train)
                    (training-run network (first inputs))
                    (lambda () (with-scope (lambda () (apply network inputs) #t))))))
      (memory-trim!)
      (run)
      (let ((profile (profile run #:repeat (ref 'repeat) #:network network)))
        (format #t "~a~%~a of ~a image~:p of ~a, ~a; ~a thread~:p, instruction set ~a~%~%"
                (layer-kind network) (if (ref 'train) "a training step" "one evaluation")
                (ref 'images) (size-text (first inputs)) (ref 'precision) (threads) (instruction-set))
        (format #t "~a~%~a~%" (profile-text profile) (profile-text profile #:by '(layer)))
        (show-machine profile)
        (when (ref 'out)
          (save-profile (ref 'out) profile)
          (format #t "wrote ~a~%" (ref 'out)))))))

(define (read-description text)
  (read-datum text
    (lambda (wrong)
      (complain 'profile "--body: expected one description such as (paper-unet), got ~s" text))))

(define (size-text images)
  ;; 64 x 64, without the channels; of points, how many numbers they have.
  (let ((lengths (cdr (tensor-shape images))))
    (string-join (map number->string (list-head lengths (max 1 (1- (length lengths))))) " x ")))

(define (training-run network x)
  (let ((trainer (make-trainer network (lambda (count step) x) #:batch (tensor-size x 0)
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
