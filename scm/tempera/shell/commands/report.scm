;;; report.scm -- `tempera report WHAT...': HTML of runs, sweeps and chains in files.

(define-module (tempera shell commands report)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base parameters)
  #:use-module (tempera shell options)
  #:use-module (tempera base errors)
  #:use-module (tempera file safetensors)
  #:use-module (tempera file formats)
  #:use-module (tempera file values)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera see report chain)
  #:use-module (tempera see report registry)
  #:use-module (tempera see report run)
  #:use-module (tempera see report sweep)
  #:use-module (tempera run runs)
  #:use-module (tempera sample chain-files)
  #:use-module (tempera run sweeps)
  #:use-module (tempera problem targets)
  #:export (main summary))

(define summary "write an HTML report of a run, a sweep or a chain")

(define options
  (parameter-specs
   (out (optional string)
        "the HTML file; run.html in a run's directory, report.html in a sweep's, beside a chain's \
file under its name")
   (title (optional string) "what stands over it")
   (truth (optional file) "of a chain: the image that it should come to")))

(define (main arguments)
  (let-values (((options operands)
                (parse-options "report" options arguments #:operands "DIR|CHAIN.safetensors..."
                               #:text "Writes one HTML file for each: of the directory of a run (a script's or a command's) or a sweep
(tempera sweep), or of a chain that save-chain wrote.  It needs no network and no
other file.")))
    (let ((out (assq-ref options 'out)) (truth (assq-ref options 'truth)))
      (check-that (pair? operands) 'report "expected a directory or a chain's file, got none")
      (check-that (or (not out) (null? (cdr operands))) 'report
                  "--out: expected one directory or file with it, got ~a" (length operands))
      (for-each (lambda (path)
                  (let ((object (object-in path)))
                    (format #t "~a~%"
                            (apply write-report object (or out (page-of object path))
                                   #:title (assq-ref options 'title)
                                   (if truth (list #:truth (load-image truth)) '())))))
                operands))))

(define (page-of object path)
  ;; The page of OBJECT, which is in PATH.  A run may have left a report.html: that of its chain.
  (cond ((run? object) (string-append path "/run.html"))
        ((file-is-directory? path) path)
        (else (string-append (string-drop-right path (string-length ".safetensors")) ".html"))))

(define (object-in path)
  (check-that (file-exists? path) 'report "~a: no such file or directory" path)
  (cond ((string-suffix? ".safetensors" path) (look-at-chain path))
        ((not (file-is-directory? path))
         (complain 'report "~a: expected a directory or a name that ends in .safetensors" path))
        ((file-exists? (string-append path "/sweep.scm")) (open-sweep path))
        (else (open-run path))))

(define (look-at-chain path)
  ;; The chain in PATH, on a target that has its states' shape and no score: to be looked at.
  (let*-values (((tensors metadata) (load-safetensors path))
                ((datum) (lambda (name)
                           (read-datum (assoc-ref metadata name)))))
    (let ((x (assoc-ref tensors "x")) (temperatures (datum "temperatures")))
      (check-that (and x (pair? (tensor-shape x))) 'report
                  "~a: holds no chain, as save-chain writes one" path)
      (check-that (vector? temperatures) 'report
                  "~a: its temperatures were adaptive; use write-report in its script" path)
      (let*-values (((shape) (cdr (tensor-shape x)))
                    ;; Pairs of pixels are complex ones.
                    ((shape dtype) (match shape
                                     ((rows columns 2) (values (list rows columns) 'c64))
                                     (_ (values shape 'f32)))))
        (load-chain path
                    (make-target (basename path ".safetensors") #:shape shape #:dtype dtype
                                 #:score (lambda _ (complain 'report "~a: has no score" path)))
                    #:seed (datum "seed") #:temperatures temperatures)))))
