;;; pictures.scm -- images as PNG files, between black and white, and as TIFF files of their own numbers.

(define-module (tempera file pictures)
  #:use-module ((srfi srfi-1) #:select (drop-right))
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:re-export (load-png load-tiff)
  #:export (save-png save-tiff load-picture load-pages))

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

(define* (save-tiff path tensor #:key (note ""))
  "Write TENSOR, f32 (rows columns), or (pages rows columns) for a page each, to the TIFF file PATH: its numbers
as they are, in 32-bit floats.  NOTE is the file's description.
Example: (save-tiff \"mean.tif\" (tensor-abs scan))"
  (write-tiff path tensor note))

(define (grey picture)
  ;; PICTURE, or with one channel in place of three that are equal.
  (match (reverse (tensor-shape picture))
    ((3 _ _ . pages)
     (let* ((axis (+ 2 (length pages)))
            (channel (lambda (k) (tensor-copy (tensor-slice picture axis k (1+ k))))))
       (if (and (tensor-identical? (channel 0) (channel 1))
                (tensor-identical? (channel 0) (channel 2)))
           (tensor-reshape (channel 0) (drop-right (tensor-shape picture) 1))
           picture)))
    (_ picture)))

(define (load-picture path)
  "The PNG file PATH as `load-png' has it, but (rows columns) when it is grey, saved as one channel
or as three that are equal.
Example: (tensor-shape (load-picture \"brain.png\")) => (256 256)"
  (grey (load-png path)))

(define (load-pages path)
  "The TIFF file PATH as `load-tiff' has it, but without an axis of colours when it is grey.
Example: (begin (save-tiff \"a.tif\" (tensor-abs scan)) (tensor-shape (load-pages \"a.tif\"))) => (16 16)"
  (grey (load-tiff path)))
