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
after that work.  What dead processes left there half-written is removed.
Example: (check-output 'f \"out/scan\" '(\"mean.npy\"))"
  (make-directories folder)
  (check-that (file-is-directory? folder) who "~a: is a file, where a folder is expected" folder)
  (for-each (lambda (name)
              (let ((path (string-append folder "/" name)))
                (check-that (not (and (file-exists? path) (file-is-directory? path))) who
                            "~a: is a folder, where a file is expected" path)))
            names)
  (check-that (access? folder W_OK) who "~a: cannot be written into" folder)
  (temporaries-sweep! folder))

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

;; Beside what is removed at the end: whoever uses a folder has it locked, and the system takes the
;; lock of one that is killed.
(define temporary-name "tempera-tmp-")

(define (lock-folder path)
  ;; The descriptor that holds the lock on the folder PATH, or #f where somebody else does.
  (let ((descriptor (false-if-error (open-fdes path (logior O_RDONLY O_CLOEXEC)))))
    (and descriptor
         (if (and (false-if-error (begin (flock descriptor (logior LOCK_EX LOCK_NB)) #t))
                  (file-exists? path))
             descriptor
             (begin (close-fdes descriptor) #f)))))

(define (sweep-folders folder)
  ;; Remove from FOLDER the temporary folders of this user's processes that died.
  (for-each
   (lambda (name)
     (let* ((path (string-append folder "/" name)) (status (false-if-error (lstat path))))
       (when (and status (eq? 'directory (stat:type status)) (= (getuid) (stat:uid status)))
         (let ((lock (lock-folder path)))
           (when lock
             (false-if-error (remove-tree path))
             (close-fdes lock))))))
   (or (scandir folder (lambda (name)
                         (and (string-prefix? temporary-name name)
                              (= (string-length name) (+ 6 (string-length temporary-name))))))
       '())))

(define (locked-temporary-folder folder)
  ;; Values: the name of a new folder in FOLDER, and its lock.
  (let* ((path (mkdtemp (string-append folder "/" temporary-name "XXXXXX")))
         (lock (lock-folder path)))
    (if lock
        (values path lock)
        (locked-temporary-folder folder)))) ; swept before it was locked

(define (call-with-temporary-folder procedure)
  "Call PROCEDURE with the name of a fresh folder, which is removed with all it
holds when PROCEDURE returns or raises.
Example: (call-with-temporary-folder file-is-directory?) => #t"
  (define above (or (getenv "TMPDIR") "/tmp"))
  (sweep-folders above)
  (call-with-values (lambda () (locked-temporary-folder above))
    (lambda (folder lock)
      (dynamic-wind
        (const #t)
        (lambda () (procedure folder))
        (lambda ()
          (when (file-exists? folder) (remove-tree folder))
          (close-fdes lock))))))

(define (call-with-new-file who path write)
  "Call WRITE with a name beside PATH; the file that it writes there takes PATH's place, whole or
not at all.  An error of WHO if PATH is a folder or a device, or its folder is not to be
written into.  For what libraries write; the writers of this module need it not.
Example: (call-with-new-file 'copy \"copy.png\" (lambda (name) (copy-file \"brain.png\" name)))"
  (check-path who path)
  (check-that (or (not (file-exists? path)) (eq? 'regular (stat:type (stat path)))) who
              "~a: is there, and no file that could be replaced" path)
  (check-that (access? (dirname path) W_OK) who "~a: cannot be written" path)
  (let* ((opened (temporary-open path)) (temporary (car opened)))
    (dynamic-wind
      (const #t)
      (lambda ()
        (write temporary)
        (fsync (cdr opened))
        (rename-file temporary path))
      (lambda ()
        (when (file-exists? temporary) (delete-file temporary))
        (close-fdes (cdr opened))))))
