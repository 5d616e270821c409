;;; hdf5.scm -- HDF5 files: their arrays by name and by slices, and what else is in them.
;;;
;;; FILE:/NAME is the array NAME.  Numbers may be integers, booleans, and real or complex floats;
;;; complex ones are compounds of r and i, as h5py writes them.

(define-module (tempera file hdf5)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera file members)
  #:use-module (tempera tensor primitives)
  #:export (hdf5-arrays hdf5-shape hdf5-facts load-hdf5 save-hdf5))

(define (numeric? item)
  (memq (second item) '(real integer complex)))

(define (hdf5-arrays path)
  "The arrays of numbers in the HDF5 file PATH: lists of name, kind (real, integer or complex), bytes a
number and shape.
Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y))) (hdf5-arrays \"a.h5\")) => ((\"y\" complex 8 (16 16)))"
  (filter (lambda (item) (and (numeric? item) (not (string-prefix? "@" (car item))))) (file-items 'hdf5 path)))

(define (hdf5-shape path name)
  "The shape of the array NAME in the HDF5 file PATH, or #f when there is none.
Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y))) (hdf5-shape \"a.h5\" \"y\")) => (16 16)"
  (and=> (assoc name (hdf5-arrays path)) fourth))

(define (hdf5-facts path)
  "The texts in the HDF5 file PATH, arrays of one string and attributes of the file, and its attributes
that are one number: pairs of a name and a string or number.
Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y) (\"note\" . \"a phantom\"))) (hdf5-facts \"a.h5\")) => ((\"note\" . \"a phantom\"))"
  (filter-map
   (match-lambda
     ((name 'text _ (or () (1))) (cons (string-trim name #\@) (hdf5-text path name)))
     ((name (or 'real 'integer) _ (or () (1)))
      (and (string-prefix? "@" name) (cons (string-trim name #\@) (hdf5-number path name))))
     (_ #f))
   (file-items 'hdf5 path)))

(define* (load-hdf5 path #:key (first #f) (count 1))
  "The array in the HDF5 file PATH, or the one called NAME in it when PATH is FILE:/NAME: f32, or c64 when
it is complex.  With FIRST, only COUNT indices of its first axis from FIRST on, and no more of the file
is read; a number beyond float32 is an error.
Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y))) (tensor-shape (load-hdf5 \"a.h5:/y\" #:first 3 #:count 2))) => (2 16)"
  (check-path 'load-hdf5 path)
  (let-values (((file member) (file-and-member path)))
    (hdf5-read file (chosen-member 'load-hdf5 file (map car (hdf5-arrays file)) member)
               (or first 0) (if first count -1))))

(define (save-hdf5 path contents)
  "Write CONTENTS, a list of pairs of a name and a tensor or a string, to the HDF5 file PATH, whole or not
at all.  A name may be of several parts, GROUP/NAME.
Example: (save-hdf5 \"scan.h5\" `((\"kspace\" . ,y) (\"note\" . \"simulated\")))"
  (check-that (and (list? contents) (pair? contents) (every pair? contents)) 'save-hdf5
              "contents: expected a list of pairs of a name and a tensor or string, got ~s" contents)
  (let-values (((texts arrays) (partition (lambda (entry) (string? (cdr entry))) contents)))
    (hdf5-write path arrays texts)))
