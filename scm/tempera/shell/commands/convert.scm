;;; convert.scm -- `tempera convert': a file in another format.

(define-module (tempera shell commands convert)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base parameters)
  #:use-module (tempera data conversion)
  #:use-module (tempera data file-info)
  #:use-module (tempera shell options)
  #:export (main summary))

(define summary "write what a file holds in another format")

(define options
  (parameter-specs
   (volume (optional integer) (lambda (n) (>= n 0)) "which one of several volumes, from 0; by default all")))

(define (main arguments)
  (let-values (((options files)
                (parse-options "convert" options arguments #:operands "FROM TO" #:count 2
                               #:text "Write what the file FROM holds to the file TO, in the format of its ending.
Volumes keep their place in NIfTI and MGH files and are turned upright for others; raw data become k-space on
its grid.")))
    (match files
      ((from to)
       (convert-file from to #:volume (assq-ref options 'volume))
       (for-each (lambda (line) (format #t "~a~%" line)) (file-info-lines (file-info to)))))))
