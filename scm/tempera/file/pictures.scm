;;; pictures.scm -- images as PNG files, between black and white.

(define-module (tempera file pictures)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:re-export (load-png)
  #:export (save-png load-picture))

(define* (save-png path tensor #:key (low 0) (high #f) (bits 8))
  "Write TENSOR, f32 (rows columns) or (rows columns 3), to the PNG file PATH with
LOW black and HIGH white, clipped outside; HIGH is the greatest value unless given.
BITS a channel: 8 or 16.
Example: (save-png \"scan.png\" (tensor-abs scan) #:high 150)"
  (check-that (tensor? tensor) 'save-png "tensor: expected a tensor, got ~s" tensor)
  (check-that (eq? (tensor-dtype tensor) 'f32) 'save-png
              "tensor: expected f32, got complex numbers; (tensor-abs TENSOR) has their magnitudes")
  (write-png path tensor low
             (or high
                 (let ((greatest (tensor->number (tensor-max tensor))))
                   (if (and (finite? greatest) (> greatest low)) greatest (+ low 1))))
             bits))

(define (load-picture path)
  "The PNG file PATH as `load-png' has it, but (rows columns) when it is grey, saved as one channel
or as three that are equal.
Example: (tensor-shape (load-picture \"brain.png\")) => (256 256)"
  (let ((picture (load-png path)))
    (match (tensor-shape picture)
      ((rows columns 3)
       (let ((channel (lambda (k) (tensor-copy (tensor-slice picture 2 k (1+ k))))))
         (if (and (tensor-identical? (channel 0) (channel 1))
                  (tensor-identical? (channel 0) (channel 2)))
             (tensor-reshape (channel 0) (list rows columns))
             picture)))
      (_ picture))))
