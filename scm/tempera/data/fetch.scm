;;; fetch.scm -- volumes that this machine's package managers carry.

(define-module (tempera data fetch)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module (tempera data data)
  #:use-module (tempera data dataset)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file values)
  #:export (data-fetch!))

(define colin-file "/usr/share/mricron/templates/ch2.nii.gz")

(define (fetch-colin!)
  ;; Debian's mricron-data: Colin27, an average of 27 scans of one person.
  (define (prepare file)
    (let-values (((volume spacing) (load-volume file)))
      (prepare-volume! 'data-fetch! '("colin27") volume spacing #:person "colin27" #:contrast "T1"
                       #:licence "BSD-3-Clause"
                       #:source "Debian package mricron-data, templates/ch2.nii.gz")))
  (if (file-exists? colin-file)
      (prepare colin-file)
      (call-with-temporary-folder
       (lambda (folder)
         (in-folder folder
           (lambda () (run-program 'data-fetch! "apt-get" "download" "mricron-data")))
         (run-program 'data-fetch! "dpkg" "-x" (file-argument (only-file folder ".deb")) (file-argument folder))
         (prepare (string-append folder colin-file))))))

(define (in-folder folder thunk)
  (let ((before (getcwd)))
    (dynamic-wind (lambda () (chdir folder)) thunk (lambda () (chdir before)))))

(define (only-file folder suffix)
  (match (scandir folder (lambda (name) (string-suffix? suffix name)))
    ((name) (string-append folder "/" name))
    (names (complain 'data-fetch! "expected one file *~a, got ~a" suffix (length names)))))

(define (call-with-npm-package package procedure)
  ;; Call PROCEDURE with the folder of the unpacked npm PACKAGE, "name@version".
  (call-with-temporary-folder
   (lambda (folder)
     (in-folder folder (lambda () (run-program 'data-fetch! "npm" "pack" "--ignore-scripts" "--" package)))
     (run-program 'data-fetch! "tar" "-xzf" (file-argument (only-file folder ".tgz"))
                  "-C" (file-argument folder))
     (procedure (string-append folder "/package")))))

(define (fetch-brainbrowser!)
  ;; npm's brainbrowser: two T1 scans of one person, as raw bytes and a JSON header.
  (call-with-npm-package
   "brainbrowser@2.3.0"
   (lambda (package)
     (for-each
      (lambda (number)
        (let* ((base (format #f "~a/examples/models/structural~a.mnc" package number))
               (volume (load-minc (string-append base ".header.gz")
                                  (string-append base ".raw.gz"))))
          (prepare-volume! 'data-fetch! (list (format #f "brainbrowser-~a" number)) volume '(1.0 1.0 1.0)
                         #:person "brainbrowser" #:contrast "T1" #:licence "AGPL-3.0"
                    #:source (format #f "npm package brainbrowser 2.3.0, structural~a.mnc"
                                     number))))
      '(1 2)))))

(define (load-minc header-file raw-file)
  ;; BrainBrowser's form of MINC: bytes, and a JSON header with the axes' names in
  ;; order, lengths and steps.  An npy header makes the bytes a file we can read.
  (call-with-temporary-folder
   (lambda (folder)
     (let ((header-copy (string-append folder "/header.json.gz"))
           (raw-copy (string-append folder "/raw.gz"))
           (bytes (string-append folder "/raw"))
           (array (string-append folder "/raw.npy")))
       (copy-file header-file header-copy)
       (copy-file raw-file raw-copy)
       (run-program 'data-fetch! "gzip" "-d" "--" header-copy raw-copy)
       (let* ((header (load-json (string-append folder "/header.json")))
              (axes (vector->list (assoc-ref header "order")))
              (field (lambda (axis key) (assoc-ref (assoc-ref header axis) key))))
         (call-with-output-file array
           (lambda (port)
             (put-bytevector port (npy-header "|u1" (map (lambda (axis)
                                                           (field axis "space_length"))
                                                         axes)))
             (put-bytevector port (call-with-input-file bytes get-bytevector-all #:binary #t)))
           #:binary #t)
         (load-volume array #:orientation
                      (list->string
                       (map (lambda (axis)
                              (match (list axis (positive? (field axis "step")))
                                (("xspace" #t) #\R) (("xspace" #f) #\L)
                                (("yspace" #t) #\A) (("yspace" #f) #\P)
                                (("zspace" #t) #\S) (("zspace" #f) #\I)))
                            axes))))))))

(define (npy-header descr shape)
  ;; The head of an npy file, version 1.
  (let* ((text (format #f "{'descr': '~a', 'fortran_order': False, 'shape': (~a), }\n"
                       descr (string-join (map number->string shape) ", ")))
         (length (string-length text)))
    (string->bytevector*
     (string-append "\x93NUMPY\x01\x00" (string (integer->char (modulo length 256))
                                                (integer->char (quotient length 256)))
                    text))))

(define (string->bytevector* text)
  ;; Characters below 256 as bytes.
  (u8-list->bytevector (map char->integer (string->list text))))

(define* (data-fetch! #:key (log (const #t)))
  "Fetch and prepare what this machine's package managers carry: Colin27 from Debian's
mricron-data, and two scans of another person from npm's brainbrowser where npm is
present.  LOG is called with a line of text about each.  Returns the names of the
scans prepared; one that cannot be had is logged and skipped."
  (check-output 'data-fetch! (data-folder)) ; an error, not one more scan to be skipped
  (define (try name ready? fetch!)
    (cond ((not ready?) (log (format #f "~a: skipped, npm is not installed" name)) '())
          (else
           (catch 'tempera-error
             (lambda () (fetch!) (log (format #f "~a: prepared" name)) (list name))
             (lambda (key . arguments)
               (log (format #f "~a: skipped, ~a" name
                            (string-trim-right (error-text key arguments))))
               '())))))
  (append (try "colin27" #t fetch-colin!)
          (try "brainbrowser" (program-exists? "npm") fetch-brainbrowser!)))
