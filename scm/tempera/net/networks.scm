;;; networks.scm -- what every network has: a kind and settings, from which another like it is made.
;;;
;;; Score networks are one kind; the rooms that follow have others.  How each is read from a file is in
;;; method/network-files.scm.

(define-module (tempera net networks)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera file values)
  #:use-module (tempera problem priors)
  #:use-module (tempera net layers)
  #:export (<network> network? network-metadata metadata-datum network-like
            network-inputs example-size set-sigma-range! set-prior-scale! training-metadata read-training!))

(define-class <network> (<layer>)
  ;; A layer that can be written to a file.  FORMAT names its kind in files; SETTINGS, from string
  ;; to string, are what that kind needs besides weights; ANOTHER is a thunk that makes another
  ;; with the same settings, whose weights are not trained.  SIGMA-RANGE: the least and the greatest
  ;; sigma that it was trained at, or #f.  SCALE: the white and the unit of the images that it was trained with, or #f.
  (format #:init-keyword #:format #:getter network-format)
  (settings #:init-keyword #:settings #:getter network-settings)
  (another #:init-keyword #:another #:getter another)
  (sigma-range #:init-value #f #:getter network-sigma-range #:setter set-network-sigma-range!)
  (scale #:init-value #f #:getter network-scale #:setter set-network-scale!)
  #:metaclass <applicable-struct-class>)

(define (network? object)
  "Whether OBJECT is a network that `save-network' can write.
Example: (network? (dense-layer 2 2)) => #f"
  (is-a? object <network>))

;; Its score has errors, which chains add up.
(define-method (learned? (network <network>)) #t)

(define-method (sigma-range (network <network>)) (network-sigma-range network))
(define-method (prior-scale (network <network>)) (network-scale network))

(define (sigma-range? object)
  (and (list? object) (= 2 (length object)) (and-map positive-number? object) (apply <= object)))

(define (set-sigma-range! network range)
  "NETWORK was trained at sigma from the first to the second of RANGE, a list: see `sigma-range'.
Example: (set-sigma-range! net '(0.04 4000))"
  (check-that (network? network) 'set-sigma-range! "network: expected one, got ~s" network)
  (check-that (sigma-range? range) 'set-sigma-range!
              "range: expected two positive numbers, the least first, got ~s" range)
  (set-network-sigma-range! network range))

(define* (set-prior-scale! network white #:optional (unit ""))
  "NETWORK is of images whose 99.9th percentile of magnitude is at WHITE, in UNIT: see `prior-scale'.
Example: (set-prior-scale! net 255 \"grey levels\")"
  (check-that (network? network) 'set-prior-scale! "network: expected one, got ~s" network)
  (check-that (positive-number? white) 'set-prior-scale! "white: expected a positive number, got ~s" white)
  (check-that (string? unit) 'set-prior-scale! "unit: expected a string, got ~s" unit)
  (set-network-scale! network (list white unit)))

;; What a file has of how a network was trained: the name, what is in the network, whether that is right, what to expect.
(define trained
  (list (list "sigma-range" network-sigma-range set-network-sigma-range! sigma-range?
              "two positive numbers, the least first")
        (list "scale" network-scale set-network-scale! scale? "a positive number and a string")))

(define (training-metadata network)
  "What a file has of the `sigma-range' and `prior-scale' of NETWORK, from string to string."
  (filter-map (lambda (entry)
                (let ((value ((second entry) network)))
                  (and value (cons (first entry) (object->string value)))))
              trained))

(define (read-training! network metadata bad)
  "Set the `sigma-range' and `prior-scale' of NETWORK to those in METADATA, of files that have them; BAD complains, with
a format string and arguments."
  (for-each (lambda (entry)
              (let ((text (assoc-ref metadata (first entry))))
                (when text
                  (let ((value (read-datum text)))
                    (unless ((fourth entry) value)
                      (bad "~a: expected ~a, got ~s" (first entry) (fifth entry) text))
                    ((third entry) network value)))))
            trained))

(define (network-metadata network)
  "What a file needs besides weights to make NETWORK again, from string to string.
Example: (network-metadata net)"
  (check-that (network? network) 'network-metadata "network: expected one, got ~s" network)
  (acons "format" (network-format network) (network-settings network)))

(define largest-size (expt 10 6))       ; of what a network's settings count: no layer has more

(define (sizes? datum)
  ;; Whether no integer in DATUM is beyond that: a list of as many would have no room.
  (cond ((pair? datum) (and (sizes? (car datum)) (sizes? (cdr datum))))
        ((vector? datum) (sizes? (vector->list datum)))
        (else (not (and (exact-integer? datum) (> (abs datum) largest-size))))))

(define (metadata-datum field name)
  "The datum that the setting NAME is the text of, or #f where it is unreadable or has an integer above
10^6.  FIELD: a procedure from a
setting's name to its text.
Example: (metadata-datum (lambda (name) \"(4 8)\") \"channels\") => (4 8)"
  (let ((datum (read-datum (field name))))
    (and (sizes? datum) datum)))

(define (network-like network tensors)
  "A new network of NETWORK's kind and settings with copies of TENSORS, a list, for its parameters and
buffers, in their order.
Example: (network-like net (map cdr (append (layer-parameters net) (layer-buffers net))))"
  (let ((new ((another network))))
    (for-each (lambda (to from) (tensor-assign! (cdr to) from))
              (append (layer-parameters new) (layer-buffers new)) tensors)
    (set-network-sigma-range! new (network-sigma-range network))
    (set-network-scale! new (network-scale network))
    new))

(define example-size 320)               ; rows and columns, of a network that takes any

(define-generic network-inputs)         ; of a network, a count and a size or #f

(document
 (<network>
  "The class of networks that `save-network' can write: score networks, UPDNets and others.")
 (network-inputs
  "(network-inputs NETWORK COUNT SIZE)
What to apply NETWORK to so as to try it, a list: COUNT images of noise of SIZE x SIZE pixels, and what it
takes beside them.  SIZE #f: the size that NETWORK is made for, or `example-size'.
Example: (map tensor? (network-inputs net 1 32)) => (#t #f)")
 (example-size
  "The rows, and the columns, of images on which a network is tried that takes any."))
