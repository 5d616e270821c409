;;; dataset.scm -- the volumes that are prepared for training, and whose they are.
;;;
;;; Each is two files in the user's cache: an upright f32 volume on the intensity scale, and a small
;;; JSON file about it (see data.scm, which makes them).  Data are split by person, never by slice:
;;; neighbouring slices are nearly equal.

(define-module (tempera data dataset)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera file values)
  #:use-module (tempera tensor primitives)
  #:export (data-folder square-axes check-spacing
            load-dataset dataset? dataset-text dataset-scans dataset-persons dataset-split
            scan? scan-name scan-person scan-contrast scan-licence scan-source scan-spacing
            scan-ranges scan-shape scan-volume scan-session))

(define (data-folder)
  "Where prepared volumes are: $XDG_CACHE_HOME/tempera/data, or the same in ~/.cache.
Example: (string-suffix? \"tempera/data\" (data-folder)) => #t"
  (let ((cache (getenv "XDG_CACHE_HOME")))
    (string-append (if (and cache (absolute-file-name? cache))
                       cache
                       (string-append (or (getenv "HOME") "/tmp") "/.cache"))
                   "/tempera/data")))

;; Interpolated from thick slices a plane would be blurred in one direction, and a prior would learn
;; that: planes whose voxels are longer than this times their width are not taken.
(define most-aspect 1.5)

(define (square-axes spacing)
  "The axes across which planes of voxels of SPACING are near to square.
Example: (square-axes '(4 1 1)) => (0)"
  (filter (lambda (axis)
            (match (map (lambda (k) (list-ref spacing k)) (delete axis '(0 1 2)))
              ((a b) (<= (/ (max a b) (min a b)) most-aspect))))
          '(0 1 2)))

(define (check-spacing who spacing text)
  "Complain from WHO, with TEXT before, unless SPACING is that of voxels with a plane near to square."
  (check-that (and (list? spacing) (= 3 (length spacing))
                   (every (lambda (s) (and (real? s) (finite? s) (> s 0))) spacing))
              who "~aexpected three positive numbers, the millimetres between voxels, got ~s"
              text spacing)
  (check-that (pair? (square-axes spacing)) who
              "~avoxels of ~a mm have no plane in which they are near to square, within ~a"
              text spacing most-aspect))

;; A voxel that is not finite makes the loss of every step that sees it NaN, where the rate is blamed.

(define-record-type <scan>
  (make-scan name person session contrast licence source spacing ranges volume)
  scan?
  (name scan-name)
  (person scan-person)
  (session scan-session)                ; or #f
  (contrast scan-contrast)
  (licence scan-licence)
  (source scan-source)
  (spacing scan-spacing)
  (ranges scan-ranges)                  ; per axis, first useful slice and one past the last
  (volume scan-volume))

(define (scan-shape scan)
  "The lengths of SCAN's volume: slices, rows, columns.
Example: (map scan-shape (dataset-scans (load-dataset))) => ((12 32 32))"
  (tensor-shape (scan-volume scan)))

(set-record-type-printer! <scan>
  (lambda (scan port)
    (format port "#<scan ~a of ~a, ~a, ~a>" (scan-name scan) (scan-person scan)
            (scan-contrast scan) (scan-shape scan))))

(define-record-type <dataset>
  (make-dataset scans)
  dataset?
  (scans dataset-scans))

(set-record-type-printer! <dataset>
  (lambda (dataset port)
    (format port "#<dataset ~a scans of ~a persons>" (length (dataset-scans dataset))
            (length (dataset-persons dataset)))))

(define (dataset-persons dataset)
  "The names of the persons in DATASET.
Example: (dataset-persons (load-dataset)) => (\"ann\")"
  (delete-duplicates (map scan-person (dataset-scans dataset))))

(define (dataset-text dataset)
  "What DATASET is, in a line: how many scans of whom, and a number that others do not have.
Example: (string-prefix? \"1 scans of ann\" (dataset-text (load-dataset))) => #t"
  (let ((persons (sort (dataset-persons dataset) string<?)))
    (format #f "~a scans of ~a (~a)" (length (dataset-scans dataset))
            (if (<= (length persons) 4) (string-join persons ", ")
                (format #f "~a persons" (length persons)))
            (number->string
             (string-hash (object->string
                           (sort (map (lambda (s) (object->string (list (scan-name s) (scan-person s)
                                                                        (scan-shape s))))
                                      (dataset-scans dataset))
                                 string<?))
                          (ash 1 32))
             16))))

(define (load-scan base)
  (let* ((about (load-json (string-append base ".json")))
         (volume (load-npy (string-append base ".npy")))
         (field (lambda (key)
                  (or (assoc-ref about key)
                      (complain 'load-dataset "~a.json: ~a is missing" base key)))))
    (check-that (= 3 (length (tensor-shape volume))) 'load-dataset
                "~a.npy: expected a volume of three axes, got shape ~a" base
                (tensor-shape volume))
    (let ((spacing (vector->list (field "spacing"))))
      (check-spacing 'load-dataset spacing (string-append base ".json: spacing: "))
      (make-scan (field "name") (field "person") (assoc-ref about "session") (field "contrast")
                 (field "licence") (field "source") spacing
                 (map vector->list (vector->list (field "slices"))) volume))))

(define* (load-dataset #:key (folder (data-folder)))
  "All prepared volumes in FOLDER, in memory; see `data-fetch!' and `data-add!'.
Example: (load-dataset)"
  (let ((names (or (scandir folder (lambda (name) (string-suffix? ".json" name))) '())))
    (check-that (pair? names) 'load-dataset
                "~a: no prepared volumes; `tempera data' fetches some" folder)
    (make-dataset (map (lambda (name)
                         (load-scan (string-append folder "/" (string-drop-right name 5))))
                       names))))

(define (dataset-split dataset . persons)
  "Two values: DATASET without PERSONS, and only them.
Example: (dataset-split (load-dataset) \"ann\")"
  (for-each (lambda (person)
              (check-that (member person (dataset-persons dataset)) 'dataset-split
                          "persons: expected some of ~a, got ~s" (dataset-persons dataset) person))
            persons)
  (let-values (((held-out others) (partition (lambda (scan) (member (scan-person scan) persons))
                                             (dataset-scans dataset))))
    (values (make-dataset others) (make-dataset held-out))))

(document
 (scan?
  "True when OBJECT is a prepared volume.
Example: (scan? 3) => #f")
 (scan-name
  "The name of SCAN, a string.
Example: (map scan-name (dataset-scans (load-dataset))) => (\"volume.npy\")")
 (scan-person
  "Whose scan SCAN is, a string.
Example: (map scan-person (dataset-scans (load-dataset))) => (\"ann\")")
 (scan-session
  "The session of its person in which SCAN was made, a string, or #f where that is not known.
Example: (map scan-session (dataset-scans (load-dataset))) => (#f)")
 (scan-contrast
  "The contrast of SCAN, such as \"T1\".
Example: (map scan-contrast (dataset-scans (load-dataset))) => (\"T1\")")
 (scan-licence
  "The licence of SCAN, a string.
Example: (map scan-licence (dataset-scans (load-dataset)))")
 (scan-source
  "Where SCAN came from, a string.
Example: (map scan-source (dataset-scans (load-dataset)))")
 (scan-spacing
  "The millimetres between SCAN's voxels along slices, rows and columns.
Example: (map scan-spacing (dataset-scans (load-dataset)))")
 (scan-volume
  "The voxels of SCAN, f32 (slices rows columns).
Example: (map scan-volume (dataset-scans (load-dataset)))")
 (dataset?
  "True when OBJECT is a dataset, as `load-dataset' makes.
Example: (dataset? (load-dataset)) => #t")
 (dataset-scans
  "The scans of DATASET, a list.
Example: (length (dataset-scans (load-dataset))) => 1"))
