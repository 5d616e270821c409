;;; torch-weights.scm -- weights that were trained in PyTorch, for a network of the same architecture here.
;;;
;;; PyTorch has other names, and its axes in another order.  Names are mapped by the caller; what is to
;;; be done with the axes follows from the shapes.

(define-module (tempera method torch-weights)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera file safetensors)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:export (load-torch-weights! torch-name))

(define (torch-name name)
  "What a PyTorch module whose parts are called as in Tempera, rows of blocks (down, middle, up, halving, doubling)
being lists, calls the tensor NAME of `layer-parameters'.
Example: (torch-name \"body.down0.norm1.gamma\") => \"down.0.norm1.weight\""
  (check-that (string? name) 'torch-name "name: expected a string, got ~s" name)
  (let* ((parts (map (lambda (part)
                       (regexp-substitute/global #f "^(down|middle|up|halving|doubling)([0-9]+)$" part
                                                 1 "." 2))
                     (string-split name #\.)))
         (parts (if (equal? (first parts) "body") (cdr parts) parts))
         (last-names '(("weights" . "weight") ("gamma" . "weight") ("beta" . "bias")
                       ("mean" . "running_mean") ("variance" . "running_var"))))
    (string-join (append (drop-right parts 1)
                         (list (or (assoc-ref last-names (last parts)) (last parts))))
                 ".")))

(define* (load-torch-weights! network path #:key (names torch-name))
  "Put the weights in the safetensors file PATH, saved from PyTorch, into NETWORK, which they replace, and return it.
NAMES: a procedure, or an association list, from Tempera's name of each parameter and buffer (see
`layer-parameters') to PyTorch's; by default `torch-name'.  Axes are put in order: Linear (out in), Conv2d (out in
rows columns), and of windows of 2 x 2 at stride 2, Conv2d and ConvTranspose2d, beside pixel unshuffle and
shuffle here.  All tensors must be F32 and be of NETWORK, so num_batches_tracked is to be left out.
Example: (define (sample-from path)
           (load-torch-weights! (score-network '(edm-unet #:width 64)) path))"
  (check-that (network? network) 'load-torch-weights! "network: expected one, got ~s" network)
  (check-that (or (procedure? names) (and (list? names) (every pair? names))) 'load-torch-weights!
              "names: expected a procedure or an association list from Tempera's names to PyTorch's, got ~s"
              names)
  (define tensors (load-safetensors path))
  (define (theirs-of name)
    (let ((theirs (if (procedure? names) (names name) (assoc-ref names name))))
      (check-that (string? theirs) 'load-torch-weights! "names: expected PyTorch's name of ~s, got ~s"
                  name theirs)
      theirs))
  (let* ((ours (append (layer-parameters network) (layer-buffers network)))
         (theirs (map theirs-of (map car ours)))
         ;; All are looked at before one is changed.
         (found (map (lambda (entry theirs)
                       (let ((tensor (assoc-ref tensors theirs)))
                         (check-that tensor 'load-torch-weights! "~a: no tensor ~s, for ~s" path theirs (car entry))
                         (check-that (tensor-finite? tensor) 'load-torch-weights!
                                     "~a: tensor ~s: it has NaN or infinite values" path theirs)
                         (or (from-torch tensor (tensor-shape (cdr entry)))
                             (complain 'load-torch-weights! "~a: tensor ~s has shape ~a, which ~s, of shape ~a, \
cannot take" path theirs (tensor-shape tensor) (car entry) (tensor-shape (cdr entry))))))
                     ours theirs)))
    (check-no-others 'load-torch-weights! path tensors theirs)
    (for-each (lambda (entry tensor) (tensor-assign! (cdr entry) tensor)) ours found)
    network))

(define (from-torch tensor shape)
  "TENSOR, laid out as PyTorch does, as one of SHAPE here; #f where that cannot be, or in more than one way."
  (match (list (tensor-shape tensor) shape)
    (((n) (m)) (and (= n m) tensor))
    (((out in) (i o)) (and (= out o) (= in i) (tensor-transpose tensor '(1 0))))
    (((out in rows columns) (h w i o))
     (let ((strided? (and (= 1 h w) (= 2 rows columns) (= out o) (= (* 4 in) i)))
           ;; Of a transposed convolution the first axis is the input's.
           (transposed? (and (= 1 h w) (= 2 rows columns) (= out i) (= (* 4 in) o))))
       (cond ((and (= out o) (= in i) (= rows h) (= columns w)) (tensor-transpose tensor '(2 3 1 0)))
             ((and strided? transposed?) #f)
             (strided? (tensor-reshape
                        (tensor-copy (tensor-transpose (tensor-reshape tensor (list o i)) '(1 0))) shape))
             (transposed? (tensor-reshape tensor shape))
             (else #f))))
    (_ #f)))
