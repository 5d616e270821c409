;;; bart.scm -- BART's arrays as images and k-space.
;;;
;;; BART names its axes by number: 0 readout, 1 and 2 phase encodings, 3 coils, 13 slices.  Here rows
;;; and columns are last, and rows are the readout: an array (x y z coils ...) becomes (... coils z x y),
;;; without the axes of length 1.

(define-module (tempera file bart)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 match)
  #:use-module ((ice-9 textual-ports) #:select (get-string-all))
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:re-export (load-cfl save-cfl)
  #:export (bart-header? bart-lengths load-bart save-bart))

(define (bart-header? path)
  "Whether the file PATH, .hdr, is of a BART array, and not of a NIfTI pair.
Example: (begin (save-cfl \"y.cfl\" y) (bart-header? \"y.hdr\")) => #t"
  (let ((start (call-with-input-file path (lambda (port) (get-bytevector-n port 1)) #:binary #t)))
    (and (bytevector? start) (= (char->integer #\#) (bytevector-u8-ref start 0)))))

(define (bart-lengths path)
  "The lengths of the 16 axes of the array of BART's files PATH, .cfl or .hdr.
Example: (begin (save-bart \"y.cfl\" y) (take (bart-lengths \"y.cfl\") 3)) => (16 16 1)"
  (file-items 'bart path)               ; an error, where the header is none
  (let* ((header (string-append (string-drop-right path 4) ".hdr"))
         (text (call-with-input-file header get-string-all #:encoding "ISO-8859-1"))
         (line (second (find-tail (lambda (line) (string-prefix? "# Dimensions" line))
                                  (string-split text #\newline))))
         (lengths (map string->number (string-tokenize line))))
    (append lengths (make-list (- 16 (length lengths)) 1))))

(define (load-bart path)
  "The array of BART's files PATH, .cfl or .hdr, as c64 (... coils slices rows columns) without axes of
length 1 before the last two: rows are BART's axis 0, columns its axis 1.
Example: (begin (save-bart \"y.cfl\" y) (tensor-shape (load-bart \"y.cfl\"))) => (16 16)"
  (let* ((array (load-cfl path))
         (shape (tensor-shape array))
         (rank (length shape)))
    (if (< rank 2)
        (tensor-reshape array (append shape (make-list (- 2 rank) 1)))
        (let ((turned (tensor-transpose array (append (reverse (iota (- rank 2) 2)) '(0 1)))))
          (tensor-reshape (tensor-copy turned)
                          (append (delete 1 (reverse (drop shape 2))) (take shape 2)))))))

(define* (save-bart path tensor #:optional (note ""))
  "Write TENSOR to BART's files PATH, .cfl or .hdr, with its rows as BART's axis 0 and columns 1: of
(n rows columns) n, slices, is axis 2; of (slices coils rows columns), as a raw scan has them, coils are axis 3
and slices 13.  NOTE stands in the header as the command that made them.
Example: (save-bart \"y.cfl\" y)"
  (check-that (tensor? tensor) 'save-bart "tensor: expected a tensor, got ~s" tensor)
  (match (tensor-shape tensor)
    ((_ _) (save-cfl path tensor '(0 1) note))
    ((_ _ _) (save-cfl path (tensor-transpose tensor '(1 2 0)) '(0 1 2) note))
    ((_ _ _ _) (save-cfl path (tensor-transpose tensor '(2 3 1 0)) '(0 1 3 13) note))
    (shape (complain 'save-bart "tensor: expected (rows columns), (n rows columns) or (slices coils \
rows columns), got shape ~a" shape))))
