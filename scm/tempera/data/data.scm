;;; data.scm -- volumes of real heads, prepared for training.
;;;
;;; `data-add!' takes a volume of your own, `data-add-tree!' a folder of them whose names say whose
;;; they are.  Each becomes, in the user's cache, an upright f32 volume on the intensity scale and
;;; a small JSON file about it, of which dataset.scm makes a dataset.

(define-module (tempera data data)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 ftw)
  #:use-module (tempera base errors)
  #:use-module (tempera data bids)
  #:use-module (tempera data dataset)
  #:use-module (tempera data scans)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera file values)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (data-add! data-add-tree! data-remove! prepare-volume! volume-tree?))

;;; --- The cache --------------------------------------------------------------

(define (useful-slices volume axis)
  ;; First and one past the last slice of VOLUME along AXIS whose tissue covers at
  ;; least 0.4 of what it covers in the fullest slice: no air, and little neck.
  (let* ((tissue (tensor< (* 0.1 top-intensity) volume))
         (areas (tensor->list (tensor-mean tissue (delete axis '(0 1 2)))))
         (enough (* 0.4 (apply max areas)))
         (useful? (lambda (area) (>= area enough))))
    (list (list-index useful? areas)
          (- (length areas) (list-index useful? (reverse areas))))))

(define (file-name-of text)
  ;; TEXT as a plain file name, another one for every other text.
  (string-concatenate
   (map (lambda (c)
          (if (and (char<? c #\x7f) (or (char-alphabetic? c) (char-numeric? c) (memv c '(#\- #\_ #\.))))
              (string c)
              (format #f "%~a;" (number->string (char->integer c) 16))))
        (string->list (if (string-prefix? "." text) (string-append "%2e;" (substring text 1)) text)))))

(define (prepared)
  ;; What is in the cache: a list of (base . description).
  (map (lambda (file)
         (let ((base (string-append (data-folder) "/" (string-drop-right file 5))))
           (cons base (load-json (string-append base ".json")))))
       (or (scandir (data-folder) (lambda (file) (string-suffix? ".json" file))) '())))

(define (prepared-named name)
  (find (lambda (entry) (equal? name (assoc-ref (cdr entry) "name"))) (prepared)))

(define (volume-mean volume)
  (tensor->number (tensor-mean volume)))

(define (same-voxels? volume entry)
  ;; Whether VOLUME, on the intensity scale, is that of ENTRY up to rounding.
  (let ((mean (assoc-ref (cdr entry) "mean")))
    (and (or (not mean)                 ; of earlier versions
             (< (abs (- mean (volume-mean volume))) (* 1e-5 top-intensity)))
         (let ((other (load-npy (string-append (car entry) ".npy"))))
           (and (equal? (tensor-shape other) (tensor-shape volume))
                (< (tensor->number (tensor-max (tensor-abs (tensor- other volume))))
                   (* 1e-5 top-intensity)))))))

;; A voxel that is not finite makes the loss of every step that sees it NaN, where the rate is blamed.
(define (check-finite who volume nan-is-zero?)
  (unless (tensor-finite? volume)
    (let ((bad (tensor-sum (tensor- 1 (tensor< (tensor-abs volume) +inf.0))))) ; < is 0 at NaN
      (complain who "volume: ~a of ~a voxels are NaN or infinite~a" (inexact->exact (tensor->number bad))
                (apply * (tensor-shape volume))
                (if nan-is-zero? ": infinite ones are no background"
                    "; where NaN is background, #:nan-is-zero? #t or --nan-is-zero makes it 0")))))

(define* (prepare-volume! who names volume spacing #:key person contrast licence source (session #f)
                   (nan-is-zero? #f) (log (const #t)))
  "Put VOLUME, f32 (slices rows columns), upright, with SPACING in millimetres, into the cache as the
first of NAMES that no other volume has, for WHO (a symbol), and return its name; that which it
has already if the same voxels are there."
  (check-that (every (lambda (n) (>= n 8)) (tensor-shape volume)) who
              "volume: expected at least 8 voxels along each axis, got shape ~a"
              (tensor-shape volume))
  (check-spacing who spacing "spacing: ")
  (make-directories (data-folder))
  ;; Volumes are large: copies go at once, not when the collector comes by.
  (with-scope
   (lambda ()
     (check-finite who volume nan-is-zero?)
     (let* ((volume (intensity-scale volume))
            (entries (prepared))
            (of (lambda (entry key) (assoc-ref (cdr entry) key)))
            (taken (map (lambda (entry) (of entry "name")) entries))
            (twin (find (lambda (entry) (same-voxels? volume entry)) entries)))
       (cond ((not twin)
              (let ((name (find (lambda (name) (not (member name taken))) names)))
                (check-that name who "name: ~a is there already with other voxels, of the person ~a; \
give this one another name, or its person and name a prefix (#:name, #:prefix; --name, --prefix), or remove that \
one (data-remove!, --remove)"
                            (first names) (of (prepared-named (first names)) "person"))
                (let ((base (string-append (data-folder) "/" (file-name-of name))))
                  (save-npy (string-append base ".npy") volume)
                  (save-json (string-append base ".json")
                             `(("name" . ,name) ("person" . ,person)
                               ,@(if session `(("session" . ,session)) '())
                               ("contrast" . ,contrast) ("licence" . ,licence) ("source" . ,source)
                               ("spacing" . ,(list->vector spacing))
                               ("mean" . ,(volume-mean volume))
                               ("slices" . ,(list->vector
                                             (map (lambda (axis)
                                                    (list->vector (useful-slices volume axis)))
                                                  '(0 1 2))))))
                  (log (format #f "~a: prepared, of ~a~a" name person (planes-text spacing)))
                  name)))
             ((not (equal? person (of twin "person")))
              (complain who "person: these are the voxels of ~a, there already as the person ~a's; data \
are split by person, and nobody may be two (data-remove! or --remove takes one away), got ~s"
                        (of twin "name") (of twin "person") person))
             (else
              (log (if (member (of twin "name") names)
                       (format #f "~a: there already" (of twin "name"))
                       (format #f "~a: there already, as ~a" (first names) (of twin "name"))))
              (of twin "name")))))))

(define (planes-text spacing)
  (let ((axes (square-axes spacing)))
    (if (= 3 (length axes)) ""
        (format #f "; of voxels of ~a mm only the planes across axis ~a are near to square, and used"
                (string-join (map (lambda (s) (number->string (/ (round (* 100 s)) 100))) spacing) " x ")
                (string-join (map number->string axes) " and ")))))

(define (data-remove! name)
  "Remove the prepared volume NAME from the cache.
Example: (begin (data-add! \"volume.npy\" #:person \"ann\" #:contrast \"T1\") (data-remove! \"volume.npy\")
           (data-add! \"volume.npy\" #:person \"ann\" #:contrast \"T1\")) => \"volume.npy\""
  (let ((entry (prepared-named name)))
    (check-that entry 'data-remove! "name: expected that of a prepared volume, got ~s" name)
    (for-each (lambda (ending) (delete-file (string-append (car entry) ending))) '(".json" ".npy"))))

;;; --- Volumes of your own ----------------------------------------------------

(define* (data-add! path #:key (person #f) (name #f) (contrast #f) (licence "unknown")
                    (source "a user's own") (orientation #f) (spacing #f) (session #f) (prefix "") (volume #f)
                    (nan-is-zero? #f) (log (const #t)))
  "Prepare the volume in PATH (NIfTI, MGH, a folder of DICOM slices, npy; VOLUME, from 0, of several) for training, as
the PERSON whose head it is.  PERSON, SESSION, CONTRAST and the NAME under which it is kept come, where
not given, from a PATH as BIDS has them, such as sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz, and the person
and name then begin with PREFIX; without those the name is the file's, with its folders' where another
volume has it.  ORIENTATION, three letters, says in which directions
the file's axes rise, slowest first, when the file itself does not; see
`load-volume'.  SPACING: millimetres between slices, rows and columns, when upright, in place of the
file's.  NaN and infinite voxels are an error; NAN-IS-ZERO? makes the former 0.  LOG is called with a line
of text.  Returns the name; that of a volume which is there already is not taken by another.
Example: (data-add! \"volume.npy\" #:person \"ann\" #:contrast \"T1\") => \"volume.npy\""
  (let ((person (or person
                    (let ((found (bids-entity path "sub-"))) (and found (string-append prefix found))))))
    (check-that (and (string? person) (not (string-null? person))) 'data-add!
                "person: expected a name, got ~s; data are split by person" person)
    (check-that (or (not name) (and (string? name) (not (string-null? name)))) 'data-add!
                "name: expected a name, got ~s" name)
    (let-values (((voxels from-file) (load-volume path #:orientation orientation #:volume volume
                                                         #:nan-is-zero? nan-is-zero?)))
      (prepare-volume! 'data-add! (if name (list name) (bids-names path prefix)) voxels (or spacing from-file)
                #:person person #:contrast (or contrast (bids-contrast path) "unknown")
                #:session (or session (bids-entity path "ses-")) #:licence licence #:source source
                #:nan-is-zero? nan-is-zero? #:log log))))

(define (volume-tree? path)
  "Whether PATH is a folder with NIfTI volumes in it, at any depth, for `data-add-tree!'.
Example: (volume-tree? \"volume.npy\") => #f"
  (and (file-exists? path) (file-is-directory? path) (pair? (nifti-files path))))

(define* (data-add-tree! folder #:key (log (const #t)) (licence #f) (source #f) (person #f)
                         #:allow-other-keys #:rest options)
  "Prepare all volumes of heads in FOLDER, NIfTI files at any depth, as `data-add!' does with OPTIONS,
by whose names their persons, sessions and contrasts are known, as in BIDS.  What is in func, dwi, derivatives and the like is
left out, and so are masks.  LICENCE and SOURCE are, where not given, those of the person in
participants.tsv (columns licence or license, and source), else License and Name of dataset_description.json.
LOG is called with a line about each; one that cannot be prepared is said and skipped.  Returns the names.
Example: (begin (mkdir \"empty\") (catch 'tempera-error (lambda () (data-add-tree! \"empty\")) (const 'none))) => none"
  (check-that (and (file-exists? folder) (file-is-directory? folder)) 'data-add-tree!
              "folder: expected one, got ~s" folder)
  (let* ((root (string-trim-right folder #\/))
         (files (nifti-files root))
         (heads (filter (lambda (path) (image-of-head? path root)) files))
         (options (let loop ((rest options))
                    (cond ((or (null? rest) (null? (cdr rest))) '())
                          ((memq (car rest) '(#:licence #:source)) (loop (cddr rest)))
                          (else (cons* (car rest) (cadr rest) (loop (cddr rest)))))))
         (names
          (filter-map
           (lambda (path)
             (catch 'tempera-error
               (lambda ()
                 (let-values (((own-licence own-source) (bids-about path root)))
                   (apply data-add! path
                          #:licence (or licence own-licence "unknown")
                          #:source (or source own-source "a user's own")
                          options)))
               (lambda (key . arguments)
                 (log (format #f "~a: skipped, ~a" path (string-trim-right (error-text key arguments))))
                 #f)))
           heads))
         (left (- (length files) (length heads))))
    (when (> left 0)
      (log (format #f "~a files that are no images of a head by their names: left out" left)))
    (check-that (pair? names) 'data-add-tree! "~a: none of its ~a NIfTI files could be prepared~a" folder
                (length files) (if (null? files) "" ", for the reasons above"))
    (delete-duplicates names)))
