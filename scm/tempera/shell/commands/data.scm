;;; data.scm -- `tempera data': fetch and prepare real volumes to train on.

(define-module (tempera shell commands data)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera base parameters)
  #:use-module (tempera shell options)
  #:use-module (tempera data data)
  #:use-module (tempera data dataset)
  #:use-module (tempera data fetch)
  #:use-module (tempera base errors)
  #:export (main summary))

(define summary "fetch and prepare real MR volumes for training")

(define options
  (parameter-specs
   (add (optional string) "prepare this volume of yours: NIfTI, MGH, npy or a folder of DICOM slices; or a folder of \
NIfTI volumes named as in BIDS")
   (volume (optional integer) "which of several volumes in the file, from 0")
   (person (optional string) "whose head it is; data are split by person; by default from the name, sub-PERSON")
   (contrast (optional string) "its contrast, such as T1; by default from the name")
   (name (optional string) "what it is called here; by default from the file's name")
   (prefix "" "put before persons and names that come from files' names, where two data sets have the same")
   (licence (optional string) "its licence; by default from participants.tsv or dataset_description.json")
   (source (optional string) "where it is from; by default likewise")
   (spacing (optional numbers)
            "millimetres between slices, rows and columns, when upright, in place of the file's")
   (nan-is-zero #f "take NaN in a volume as background, 0; else it is refused")
   (remove (optional string) "remove the prepared volume of this name")
   (orientation (optional string) "where the file does not say: directions of its axes, slowest first, \
such as SAR for superior, anterior, right")
   (list #f "only list what is prepared")))

(define (main arguments)
  (let-values (((options _)
                (parse-options "data" options arguments #:count 0
                               #:text "Fetch what package managers carry (Debian's mricron-data, npm's brainbrowser)
and prepare it in the user's cache, or add a volume of your own.")))
    (let ((ref (lambda (name) (assq-ref options name))))
      (cond ((ref 'list))
            ((ref 'remove) (data-remove! (ref 'remove)))
            ((ref 'add)
             (apply (if (volume-tree? (ref 'add)) data-add-tree! data-add!) (ref 'add)
                    #:log (lambda (line) (format #t "~a~%" line))
                    #:prefix (ref 'prefix) #:nan-is-zero? (ref 'nan-is-zero)
                    (append-map (lambda (name)
                                  (if (ref name) (list (symbol->keyword name) (ref name)) '()))
                                '(volume person contrast name licence source orientation spacing))))
            (else
             (check-that (not (ref 'person)) 'data "--person: expected --add=FILE with it")
             (data-fetch! #:log (lambda (line) (format #t "~a~%" line)))))
      (show-dataset))))

(define (show-dataset)
  (format #t "~a~%" (data-folder))
  (for-each (lambda (scan)
              (format #t "  ~20a person ~14a ~8a ~16a ~a~%" (scan-name scan) (scan-person scan)
                      (scan-contrast scan) (scan-shape scan) (scan-licence scan)))
            (dataset-scans (load-dataset))))
