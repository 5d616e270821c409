;;; dicom.scm -- DICOM files and series, by way of Debian's dcm2niix.
;;;
;;; What that program says and goes on after is an error here: slices missing from a series, files
;;; cut before their image.

(define-module (tempera file dicom)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file volumes)
  #:export (load-dicom dicom?))

(define (dicom? path)
  "Whether PATH is a folder, of DICOM slices then, or a file that begins as DICOM does, whatever its
name.
Example: (dicom? \"volume.npy\") => #f"
  (or (file-is-directory? path)
      (let ((start (call-with-input-file path (lambda (port) (get-bytevector-n port 132))
                                         #:binary #t)))
        (and (bytevector? start) (= 132 (bytevector-length start))
             (equal? (map char->integer (string->list "DICM"))
                     (list-tail (bytevector->u8-list start) 128))))))

(define (check-dicom path lines)
  ;; Complain of what dcm2niix says in LINES and goes on after: slices that are missing
  ;; from a series, files that are cut before their image.
  (define (numbers-in line)
    (filter-map string->number (string-tokenize line (char-set-complement (string->char-set " =[]\t")))))
  (define (after prefix)
    (find (lambda (line) (string-prefix? prefix line)) lines))
  (fold (lambda (line file)
          (check-that (not (string-contains line " valid 0 ")) 'load-dicom
                      "~a: truncated or damaged before its image" file)
          (if (string-prefix? "DICOM file: " line) (substring line 12) file))
        path lines)
  (let* ((places (let ((line (after "dx=["))) (if line (numbers-in (substring line 4)) '())))
         (steps (if (pair? places) (map - (cdr places) places) '()))
         (apart (sort (filter positive? steps) <))
         (usual (if (pair? apart) (list-ref apart (quotient (length apart) 2)) 0)))
    (for-each (lambda (step place number)
                (check-that (<= step (* 1.5 usual)) 'load-dicom
                            "~a: slices are missing from the series: ~a mm after its slice ~a, at ~a mm \
from the first, where they are ~a mm apart" path step number place usual)
                (check-that (> step (* 0.5 usual)) 'load-dicom
                            "~a: slices ~a and ~a are ~a mm apart, where others are ~a: is one there twice?"
                            path number (1+ number) step usual))
              steps (if (pair? places) (drop-right places 1) '()) (iota (length steps) 1))))

(define* (load-dicom path #:key (volume #f) (nan-is-zero? #f))
  "The DICOM file PATH, or the series in the folder PATH, by the program dcm2niix,
with the values and options of `load-nifti'.  A single slice has one voxel on its first axis.  Files need
no ending; a series with slices missing between others, or with a file that is cut, is an error.
Example: (catch 'tempera-error (lambda () (load-dicom \"missing.dcm\")) (const 'missing)) => missing"
  (check-path 'load-dicom path)
  (unless (and (file-exists? path) (file-is-directory? path)) (check-file 'load-dicom path))
  (check-that (program-exists? "dcm2niix") 'load-dicom
              "the program dcm2niix is needed and is not installed")
  (call-with-temporary-folder
   (lambda (folder)
     (let ((lines (program-lines "dcm2niix" "-b" "n" "-z" "n" "-f" "volume" "-v" "1"
                                 "-s" (if (file-is-directory? path) "n" "y") "-o" (file-argument folder) (file-argument path))))
       (check-dicom path lines)
       (match (scandir folder (lambda (name) (string-suffix? ".nii" name)))
         ((file) (load-nifti (string-append folder "/" file) #:volume volume #:nan-is-zero? nan-is-zero?))
         (() (complain 'load-dicom "~a: no DICOM images~a" path
                       (let ((why (find (lambda (line) (string-prefix? "Warning: File " line)) lines)))
                         (if why (format #f "; dcm2niix says: ~a" why) ""))))
         (files (complain 'load-dicom "~a: expected one series, got ~a" path (length files))))))))
