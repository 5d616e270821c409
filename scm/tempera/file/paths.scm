;;; paths.scm -- folders, and files that appear whole or not at all.
;;;
;;; What is to be written is checked before the work that makes it; what is written takes its
;;; file's place at the end.

(define-module (tempera file paths)
  #:use-module (ice-9 ftw)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:re-export (save-text)
  #:export (make-directories check-output check-output-file call-with-temporary-folder
            call-with-new-file))

(define (make-directories path)
  "Make the folder PATH and those that hold it, where they are missing.
Example: (make-directories \"out/demo/slice-1\")"
  (check-path 'make-directories path)
  (unless (or (string-null? path) (file-exists? path))
    (make-directories (dirname path))
    (catch 'system-error
      (lambda () (mkdir path))
      (lambda (key . arguments)
        (unless (file-exists? path)
          (complain 'make-directories "~a: ~a" path
                    (strerror (system-error-errno (cons key arguments)))))))))

(define* (check-output who folder #:optional (names '()))
  "Make FOLDER where it is missing, and try to write into it, for WHO (a symbol), before the long
work whose results are to be the files NAMES in it: what cannot be written is an error now and not
after that work.
Example: (check-output 'f \"out/scan\" '(\"mean.npy\"))"
  (make-directories folder)
  (check-that (file-is-directory? folder) who "~a: is a file, where a folder is expected" folder)
  (for-each (lambda (name)
              (let ((path (string-append folder "/" name)))
                (check-that (not (and (file-exists? path) (file-is-directory? path))) who
                            "~a: is a folder, where a file is expected" path)))
            names)
  (catch 'system-error
    (lambda ()
      (let ((port (mkstemp! (string-append folder "/.tempera-XXXXXX"))))
        (delete-file (port-filename port)) ; a closed port has no name
        (close-port port)))
    (lambda arguments
      (complain who "~a: cannot be written into: ~a" folder
                (strerror (system-error-errno arguments))))))

(define (check-output-file who path)
  "The same for one file PATH, whose folder has to be there.
Example: (check-output-file 'f \"heads.gif\")"
  (check-that (file-exists? (dirname path)) who "~a: no such folder: ~a" path (dirname path))
  (check-output who (dirname path) (list (basename path))))

(define (remove-tree path)
  (file-system-fold (const #t)
                    (lambda (file stat result) (delete-file file))
                    (const #t)
                    (lambda (folder stat result) (rmdir folder))
                    (const #t)
                    (const #t)
                    #t path))

(define (call-with-temporary-folder procedure)
  "Call PROCEDURE with the name of a fresh folder, which is removed with all it
holds when PROCEDURE returns or raises.
Example: (call-with-temporary-folder file-is-directory?) => #t"
  (let ((folder (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tempera-XXXXXX"))))
    (dynamic-wind
      (const #t)
      (lambda () (procedure folder))
      (lambda () (when (file-exists? folder) (remove-tree folder))))))

(define (call-with-new-file who path write)
  "Call WRITE with a name beside PATH; the file that it writes there takes PATH's place, whole or
not at all.  An error of WHO if PATH is a folder or a device, or its folder is not to be
written into.  For what libraries write; the writers of this module need it not.
Example: (call-with-new-file 'copy \"copy.png\" (lambda (name) (copy-file \"brain.png\" name)))"
  (check-path who path)
  (check-that (or (not (file-exists? path)) (eq? 'regular (stat:type (stat path)))) who
              "~a: is there, and no file that could be replaced" path)
  (check-that (access? (dirname path) W_OK) who "~a: cannot be written" path)
  (let ((temporary (format #f "~a.~a.tmp" path (getpid))))
    (dynamic-wind
      (const #t)
      (lambda ()
        (write temporary)
        (call-with-input-file temporary fsync)
        (rename-file temporary path))
      (lambda () (when (file-exists? temporary) (delete-file temporary))))))
