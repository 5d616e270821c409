;;; members.scm -- files that hold several arrays, such as npz and HDF5: which of them is meant.
;;;
;;; FILE:/NAME is the array NAME in FILE; FILE alone is enough where it holds one.

(define-module (tempera file members)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:re-export (save-npz save-mat)
  #:export (file-and-member chosen-member load-npz load-mat))

(define (file-and-member path)
  "Two values: the file in PATH, and the member of it that is named after :/, or #f.
Example: (call-with-values (lambda () (file-and-member \"knee.h5:/kspace\")) list) => (\"knee.h5\" \"kspace\")"
  (let ((place (and (not (file-exists? path)) (string-contains path ":/"))))
    (if place
        (values (substring path 0 place) (substring path (+ place 2)))
        (values path #f))))

(define (chosen-member who path names wanted)
  "WANTED, which has to be among NAMES, what the file PATH holds; when it is #f, the only one.  Errors
are of WHO.
Example: (chosen-member 'load-npz \"a.npz\" '(\"y\") #f) => \"y\""
  (check-that (pair? names) who "~a: it holds no arrays" path)
  (let ((all (lambda () (string-join names ", "))))
    (cond (wanted
           (check-that (member wanted names) who "~a: it holds no array ~a, but ~a" path wanted (all))
           wanted)
          (else
           (check-that (null? (cdr names)) who "~a: it holds several arrays: ~a; say which, such as ~a:/~a"
                       path (all) path (car names))
           (car names)))))

(define (load-npz path)
  "The array in NumPy's archive PATH, or the one called NAME in it when PATH is FILE:/NAME; as
`load-npy' has it.
Example: (begin (save-npz \"a.npz\" `((\"x\" . ,t) (\"y\" . ,y))) (tensor-shape (load-npz \"a.npz:/y\"))) => (16 16)"
  (check-path 'load-npz path)
  (let-values (((file member) (file-and-member path)))
    (npz-read file (chosen-member 'load-npz file (map car (file-items 'npz file)) member))))

(define (load-mat path)
  "The array in MATLAB's file PATH, of any version up to 7.3, or the one called NAME in it when PATH is
FILE:/NAME: f32, or c64 when it is complex, with MATLAB's shape.
Example: (begin (save-mat \"a.mat\" `((\"y\" . ,y))) (tensor-shape (load-mat \"a.mat\"))) => (16 16)"
  (check-path 'load-mat path)
  (let-values (((file member) (file-and-member path)))
    (mat-read file (chosen-member 'load-mat file (map car (file-items 'matlab file)) member))))
