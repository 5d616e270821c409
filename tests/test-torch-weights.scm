;;; test-torch-weights.scm -- networks trained in PyTorch give the same score here.

(use-modules (harness) (srfi srfi-1) (srfi srfi-11) (tempera file paths) (tempera file safetensors)
             (tempera tensor primitives) (tempera net layers) (tempera net score-networks)
             (tempera net unets) (tempera method torch-weights))

(start-tests "torch weights")

(define reference (load-safetensors (test-file "reference/torch.safetensors")))

(define (weights-of case)
  ;; The tensors of CASE under the names that PyTorch has.
  (let ((prefix (string-append case "/")))
    (filter-map (lambda (entry)
                  (and (string-prefix? prefix (car entry))
                       (cons (substring (car entry) (string-length prefix)) (cdr entry))))
                reference)))

(define (value case name) (assoc-ref reference (string-append case ":" name)))

(define (largest tensor) (tensor->number (tensor-max (tensor-abs tensor))))

(call-with-temporary-folder
 (lambda (folder)
   (define path (string-append folder "/torch.safetensors"))
   (define (loaded description tensors . options)
     (save-safetensors path tensors)
     (apply load-torch-weights! (score-network description #:sigma-data 30) path options))
   (define (test-score case description)
     (let* ((network (loaded description (weights-of case)))
            (score (network (value case "x") (value case "sigma")))
            (theirs (value case "score")))
       ;; Each image by itself: at sigma 0.5 scores are larger.
       (for-each (lambda (k)
                   (let ((of (lambda (t) (tensor-slice t 0 k (1+ k)))))
                     (test-assert (format #f "~a, the score of image ~a" case k)
                       (< (largest (tensor- (of score) (of theirs))) (* 1e-4 (largest (of theirs)))))))
                 '(0 1))))
   (define small '(edm-unet #:width 4 #:multipliers (1 2) #:blocks 1 #:attention (2)))
   (define tensors (weights-of "edm-unet"))

   (test-score "edm-unet" small)
   (test-score "edm-unet-unshuffled"
               '(edm-unet #:width 8 #:multipliers (1 1) #:blocks 1 #:attention (4) #:unshuffle 2))
   (test-score "drunet" '(drunet #:channels (3 4 5) #:blocks 1))

   ;; Names of one's own, by a procedure and by a list.
   (let* ((names (map car (layer-parameters (score-network small))))
          (other (lambda (name) (string-append "module." (torch-name name))))
          (renamed (map (lambda (entry) (cons (string-append "module." (car entry)) (cdr entry))) tensors))
          (numbers (lambda (network) (map (lambda (p) (tensor->list (cdr p))) (layer-parameters network))))
          (plain (numbers (loaded small tensors))))
     (test-equal "by a procedure" plain (numbers (loaded small renamed #:names other)))
     (test-equal "by a list" plain
       (numbers (loaded small renamed #:names (map (lambda (name) (cons name (other name))) names))))
     (test-error-matching "a name that is in no list" "names: expected PyTorch's name of \"body.embedding.first.weights\", got #f"
       (loaded small renamed #:names '())))

   ;; Batch norm's buffers too.
   (test-equal "names" '("down.0.1.first.weight" "head.bias" "norm.running_mean" "norm.running_var")
     (map torch-name '("body.down0.1.first.weights" "body.head.bias" "norm.mean" "norm.variance")))

   (test-error-matching "too many" "it has tensors that are not of it: \"extra\""
     (loaded small (acons "extra" (tensor-zeros '(2)) tensors)))
   (test-error-matching "too few" "no tensor \"head.bias\", for \"body.head.bias\""
     (loaded small (alist-delete "head.bias" tensors)))
   (test-error-matching "another shape" "tensor \"head.bias\" has shape (3), which \"body.head.bias\", of shape (2), cannot take"
     (loaded small (acons "head.bias" (tensor-zeros '(3)) (alist-delete "head.bias" tensors))))
   (test-error-matching "not finite" "tensor \"head.bias\": it has NaN"
     (loaded small (acons "head.bias" (tensor* +nan.0 (tensor-zeros '(2))) (alist-delete "head.bias" tensors))))
   (let* ((network (score-network small)) (before (tensor-copy (cdr (first (layer-parameters network))))))
     (save-safetensors path (alist-delete "head.bias" tensors))
     (false-if-exception (load-torch-weights! network path))
     (test-assert "what fails changes nothing"
       (tensor-identical? before (cdr (first (layer-parameters network))))))
   (test-error-matching "two ways" "has shape (8 2 2 2), which \"body.halving0.convolution.weights\", of shape (1 1 8 8), cannot take"
     (let ((drunet '(drunet #:channels (2 8) #:blocks 1)))
       (loaded drunet
               (map (lambda (p) (cons (torch-name (car p))
                                      (let ((shape (tensor-shape (cdr p))))
                                        (tensor-zeros
                                         (cond ((equal? shape '(1 1 8 8)) '(8 2 2 2))
                                               (else (map (lambda (k) (list-ref shape k)) '(3 2 0 1))))))))
                    (layer-parameters (score-network drunet))))))
   (test-error-matching "network" "network: expected one" (load-torch-weights! 3 path))
   (test-error-matching "names" "names: expected a procedure" (load-torch-weights! (score-network small) path #:names 3))))

(finish-tests)
