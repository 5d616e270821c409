;;; network-files.scm -- networks of every kind in safetensors files, and those that come with Tempera.
;;;
;;; A file has the weights and, as metadata, the network's format and settings.  Each format is here with
;;; the procedure that makes a network of its settings; a module is loaded when a file asks for it.

(define-module (tempera method network-files)
  #:use-module (ice-9 ftw)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera file safetensors)
  #:use-module (tempera net layers)
  #:use-module (tempera net networks)
  #:use-module (tempera net score-networks)
  #:autoload (tempera method conditional) (conditional-network-from-metadata)
  #:autoload (tempera method updnet) (updnet-from-metadata)
  #:autoload (tempera method vae) (vae-from-metadata)
  #:export (save-network load-network load-score-network shipped-priors))

(define formats
  ;; Each procedure is called with two: one from a setting's name to its text, and one of a format
  ;; string and arguments that complains.
  `(("tempera-score-network-1" . ,score-network-from-metadata)
    ("tempera-conditional-1" . ,(lambda (field bad) (conditional-network-from-metadata field bad)))
    ("tempera-updnet-1" . ,(lambda (field bad) (updnet-from-metadata field bad)))
    ("tempera-vae-1" . ,(lambda (field bad) (vae-from-metadata field bad)))))

(define* (save-network path network #:key (metadata '()) (half? #f))
  "Write NETWORK to the safetensors file PATH: its parameters, buffers, how it is
built, and the sigmas that it was trained at.  METADATA, from string to string, goes with them: how it was trained.  HALF?: in half
precision, as `save-safetensors' has it.
Example: (save-network \"brain.safetensors\" net #:metadata '((\"data\" . \"T1 heads\")))"
  (check-that (network? network) 'save-network "network: expected one, got ~s" network)
  (save-safetensors path (append (layer-parameters network) (layer-buffers network))
                    #:metadata (append (network-metadata network) (training-metadata network) metadata)
                    #:half? half?))

(define ending ".safetensors")

(define (priors-folder)
  ;; Where the networks are that come with Tempera: the launcher knows; of another Guile, where
  ;; this module's tree has them, in the source or installed.  #f where there is none.
  (find (lambda (folder) (and folder (file-exists? folder)))
        (let ((data (getenv "TEMPERA_DATA"))
              (module (%search-load-path "tempera.scm")))
          (cons (and data (string-append data "/priors"))
                (if module
                    (map (lambda (place) (string-append (dirname module) place))
                         '("/../priors" "/../../../tempera/priors"))
                    '())))))

(define (shipped-priors)
  "The names of the networks that come with Tempera, as `load-network' takes them.
Example: (and (member \"brain\" (shipped-priors)) #t) => #t"
  (let ((folder (priors-folder)))
    (map (lambda (file) (string-drop-right file (string-length ending)))
         (or (and folder (scandir folder (lambda (file) (string-suffix? ending file)))) '()))))

(define (network-file name)
  ;; The path of the network NAME: a file, or the name of a shipped one.
  (cond ((file-exists? name) name)
        ((member name (shipped-priors))
         (string-append (priors-folder) "/" name ending))
        (else
         (complain 'load-network "~a: no such file~a; the networks that come with Tempera are ~a"
                   name
                   (let ((shipped (basename name ending)))
                     (if (member shipped (shipped-priors))
                         (format #f ", though ~s alone names one that is shipped" shipped)
                         ""))
                   (string-join (shipped-priors) ", ")))))

(define* (load-network path #:key precision)
  "The network in the safetensors file PATH, or the shipped one of that name, see `shipped-priors'; a
score network in PRECISION (float32 or bf16), or by default in that in which it was saved.
Example: (load-network \"brain\")"
  (define (bad text . arguments)
    (complain 'load-network "~a: ~a" path (apply format #f text arguments)))
  (check-that (string? path) 'load-network "path: expected a string, got ~s" path)
  (define-values (tensors metadata) (load-safetensors (network-file path)))
  (define settings
    (append (if precision `(("precision" . ,(symbol->string precision))) '())
            metadata
            '(("precision" . "float32")))) ; of files before there was a choice
  (define (field name)
    (or (assoc-ref settings name)
        (bad "not a network of Tempera: its metadata has no ~s" name)))
  (define make
    (or (assoc-ref formats (field "format"))
        (bad "expected a format among ~a, got ~s" (map car formats) (field "format"))))
  (let ((network (with-parameter-limit (apply + (map (lambda (entry) (tensor-count (cdr entry))) tensors))
                   (lambda () (make field bad)))))
    (check-no-others 'load-network path tensors
                     (map car (append (layer-parameters network) (layer-buffers network))))
    (for-each
     (lambda (entry)
       (let ((loaded (assoc-ref tensors (car entry))))
         (unless loaded (bad "no tensor ~s" (car entry)))
         (unless (equal? (tensor-shape loaded) (tensor-shape (cdr entry)))
           (bad "tensor ~s: expected shape ~a, got ~a" (car entry)
                (tensor-shape (cdr entry)) (tensor-shape loaded)))
         (unless (tensor-finite? loaded) (bad "tensor ~s: it has NaN or infinite values" (car entry)))
         (tensor-assign! (cdr entry) loaded)))
     (append (layer-parameters network) (layer-buffers network)))
    (read-training! network metadata bad)
    network))

(define* (load-score-network path #:key precision)
  "The network in PATH as `load-network' gives it, which has to be a score network.
Example: (load-score-network \"brain\")"
  (let ((network (load-network path #:precision precision)))
    (check-that (score-network? network) 'load-network "~a: expected a score network, got ~s" path network)
    network))
