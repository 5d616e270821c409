;;; data.scm -- `tempera data': fetch and prepare real volumes to train on.

(define-module (tempera commands data)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 format)
  #:use-module (tempera cli)
  #:use-module (tempera data)
  #:use-module (tempera errors)
  #:export (main summary))

(define summary "fetch and prepare real MR volumes for training")

(define options
  '((add string "prepare this volume of yours: NIfTI, npy or a folder of DICOM slices")
    (person string "whose head it is; data are split by person")
    (contrast string "its contrast, such as T1" "unknown")
    (licence string "its licence" "unknown")
    (orientation string "where the file does not say: directions of its axes, slowest first, \
such as SAR for superior, anterior, right")
    (nan number "what becomes of voxels that are NaN; else they are an error")
    (list flag "only list what is prepared")))

(define (main arguments)
  (let-values (((options _)
                (parse-options "data" options arguments #:count 0
                               #:summary "Fetch what package managers carry (Debian's mricron-data, npm's brainbrowser)
and prepare it in the user's cache, or add a volume of your own.")))
    (let ((ref (lambda (name) (assq-ref options name))))
      (cond ((ref 'list))
            ((ref 'add)
             (check-that (ref 'person) 'data "--add: expected --person=NAME with it")
             (data-add! (ref 'add) #:person (ref 'person) #:contrast (ref 'contrast)
                        #:licence (ref 'licence) #:orientation (ref 'orientation)
                        #:nan (ref 'nan)))
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
