;;; data.scm -- real heads to train on, and endless variations of their slices.
;;;
;;; Some package managers carry real MR volumes.  `data-fetch!' gathers them;
;;; `data-add!' takes a volume of your own, `data-add-tree!' a folder of them whose names say whose
;;; they are, as BIDS has them.  Each becomes, in the user's cache, an
;;; upright f32 volume on the paper's intensity scale (the 99.9th percentile of
;;; magnitude at 150) and a small JSON file about it.  Volumes are split by person,
;;; never by slice: neighbouring slices are nearly equal.
;;;
;;; `random-slices' makes a batch from them: any slice in any of the three
;;; orientations whose voxels are near to square, moved, turned, scaled, in another contrast, with a smooth gain
;;; and phase.  Item i of stream s is a function of the seed, s and i alone.

(define-module (tempera data data)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (ice-9 popen)
  #:use-module ((ice-9 textual-ports) #:select (get-string-all))
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file paths)
  #:use-module (tempera file programs)
  #:use-module (tempera file values)
  #:use-module (tempera file formats)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base streams)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (data-folder data-fetch! data-add! data-add-tree! data-remove! volume-tree?
            load-dataset dataset? dataset-text dataset-scans dataset-persons dataset-split
            scan? scan-name scan-person scan-contrast scan-licence scan-source scan-spacing
            scan-shape scan-volume scan-session
            random-slices intensity-scale smooth-phase top-intensity))

(define top-intensity
  ;; Where the paper's scale has the 99.9th percentile of an image's magnitude.
  150)

;;; --- The cache --------------------------------------------------------------

(define (data-folder)
  "Where prepared volumes are: $XDG_CACHE_HOME/tempera/data, or the same in ~/.cache.
Example: (string-suffix? \"tempera/data\" (data-folder)) => #t"
  (let ((cache (getenv "XDG_CACHE_HOME")))
    (string-append (if (and cache (absolute-file-name? cache))
                       cache
                       (string-append (or (getenv "HOME") "/tmp") "/.cache"))
                   "/tempera/data")))

(define (peak image)
  ;; The 99.9th percentile of the magnitude of IMAGE.
  (tensor->number (tensor-quantile (tensor-reshape (tensor-abs image) '(-1)) 0.999 0)))

(define (intensity-scale image)
  "IMAGE, f32 or c64 of any shape, multiplied so that the 99.9th percentile of its
magnitude is 150: the scale on which priors are trained and noise is given.
Example: (intensity-scale (load-image \"brain.png\"))"
  (let ((top (peak image)))
    (check-that (and (finite? top) (> top 0)) 'intensity-scale
                "image: expected finite values with a positive 99.9th percentile, got ~a" top)
    (tensor* image (/ top-intensity top))))

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

;; Interpolated from thick slices a plane would be blurred in one direction, and a prior would learn
;; that: planes whose voxels are longer than this times their width are not taken.
(define most-aspect 1.5)

(define (square-axes spacing)
  ;; The axes across which planes of voxels of SPACING are near to square.
  (filter (lambda (axis)
            (match (map (lambda (k) (list-ref spacing k)) (delete axis '(0 1 2)))
              ((a b) (<= (/ (max a b) (min a b)) most-aspect))))
          '(0 1 2)))

(define (check-spacing who spacing text)
  (check-that (and (list? spacing) (= 3 (length spacing))
                   (every (lambda (s) (and (real? s) (finite? s) (> s 0))) spacing))
              who "~aexpected three positive numbers, the millimetres between voxels, got ~s"
              text spacing)
  (check-that (pair? (square-axes spacing)) who
              "~avoxels of ~a mm have no plane in which they are near to square, within ~a"
              text spacing most-aspect))

;; A voxel that is not finite makes the loss of every step that sees it NaN, where the rate is blamed.
(define (check-finite who volume nan-is-zero?)
  (unless (tensor-finite? volume)
    (let ((bad (tensor-sum (tensor- 1 (tensor< (tensor-abs volume) +inf.0))))) ; < is 0 at NaN
      (complain who "volume: ~a of ~a voxels are NaN or infinite~a" (inexact->exact (tensor->number bad))
                (apply * (tensor-shape volume))
                (if nan-is-zero? ": infinite ones are no background"
                    "; where NaN is background, #:nan-is-zero? #t or --nan-is-zero makes it 0")))))

(define* (prepare! who names volume spacing #:key person contrast licence source (session #f)
                   (nan-is-zero? #f) (log (const #t)))
  ;; Put VOLUME, upright, into the cache as the first of NAMES that no other volume has; the name.
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

;;; --- What names say -------------------------------------------------------------

(define nifti-endings '(".nii.gz" ".nii"))

(define (without-ending name)
  (let ((ending (find (lambda (e) (string-suffix? e name))
                      (append nifti-endings '(".hdr" ".img" ".npy" ".dcm")))))
    (if ending (string-drop-right name (string-length ending)) name)))

(define (path-parts path)
  ;; The names in the absolute PATH, its last first.
  (reverse (remove string-null? (string-split (if (absolute-file-name? path) path
                                                  (string-append (getcwd) "/" path))
                                              #\/))))

(define (entity path prefix)
  ;; What follows PREFIX, "sub-" or "ses-", in a part of PATH as BIDS has it, or #f.
  (any (lambda (word)
         (and (string-prefix? prefix word) (not (string=? prefix word))
              (string-drop word (string-length prefix))))
       (append (string-split (without-ending (first (path-parts path))) #\_) (cdr (path-parts path)))))

(define (contrast-in path)
  ;; By the suffix that BIDS gives the names of images, such as T1w, or #f.
  (let ((suffix (last (string-split (without-ending (basename path)) #\_))))
    (cond ((member suffix '("FLAIR" "PD" "PDT2" "T2star" "inplaneT1" "inplaneT2" "UNIT1" "FLASH")) suffix)
          ((member suffix '("T1w" "T2w" "PDw" "T2starw" "MTw")) (string-drop-right suffix 1))
          (else #f))))

(define (names-for path prefix)
  ;; What the volume in PATH could be called, the best first.  Where its person is known it is
  ;; told apart by that; else by the folders that it is in.
  (match (path-parts path)
    ((file . folders)
     (let ((person (entity path "sub-")) (session (entity path "ses-")) (stem (without-ending file)))
       (if person
           (list (string-append
                  prefix
                  (if (string-prefix? "sub-" stem) stem
                      (string-join `(,(string-append "sub-" person)
                                     ,@(if session (list (string-append "ses-" session)) '())
                                     ,stem)
                                   "_"))))
           (map (lambda (k)
                  (string-append prefix (string-join (reverse (cons file (take folders k))) "/")))
                (iota (1+ (min 3 (length folders))))))))))

(define* (data-add! path #:key (person #f) (name #f) (contrast #f) (licence "unknown")
                    (source "a user's own") (orientation #f) (spacing #f) (session #f) (prefix "")
                    (nan-is-zero? #f) (log (const #t)))
  "Prepare the volume in PATH (NIfTI, a folder of DICOM slices, npy) for training, as
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
                    (let ((found (entity path "sub-"))) (and found (string-append prefix found))))))
    (check-that (and (string? person) (not (string-null? person))) 'data-add!
                "person: expected a name, got ~s; data are split by person" person)
    (check-that (or (not name) (and (string? name) (not (string-null? name)))) 'data-add!
                "name: expected a name, got ~s" name)
    (let-values (((volume from-file) (load-volume path #:orientation orientation
                                                         #:nan-is-zero? nan-is-zero?)))
      (prepare! 'data-add! (if name (list name) (names-for path prefix)) volume (or spacing from-file)
                #:person person #:contrast (or contrast (contrast-in path) "unknown")
                #:session (or session (entity path "ses-")) #:licence licence #:source source
                #:nan-is-zero? nan-is-zero? #:log log))))

;; Folders of BIDS that have other things than images of a head, and suffixes of what is derived.
(define other-folders '("func" "dwi" "fmap" "perf" "pet" "meg" "eeg" "ieeg" "nirs" "micr" "mrs" "beh"
                        "derivatives" "sourcedata"))
(define other-suffixes '("mask" "dseg" "probseg" "defacemask" "label"))

(define (nifti-files folder)
  (sort (file-system-fold (const #t)
                          (lambda (path stat result)
                            (if (any (lambda (e) (string-suffix? e path)) nifti-endings)
                                (cons path result) result))
                          (lambda (path stat result) result)
                          (lambda (path stat result) result)
                          (lambda (path stat result) result)
                          (lambda (path stat errno result) result)
                          '() folder)
        string<?))

(define (volume-tree? path)
  "Whether PATH is a folder with NIfTI volumes in it, at any depth, for `data-add-tree!'.
Example: (volume-tree? \"volume.npy\") => #f"
  (and (file-exists? path) (file-is-directory? path) (pair? (nifti-files path))))

(define (beside path root name)
  ;; The file NAME in the folder of PATH or the nearest around it, up to ROOT; or #f.
  (let loop ((folder (dirname path)))
    (let ((file (string-append folder "/" name)))
      (cond ((file-exists? file) file)
            ((or (string=? folder root) (string=? folder (dirname folder))) #f)
            (else (loop (dirname folder)))))))

(define (of-participant file person)
  ;; The row for PERSON in the participants.tsv FILE: from column to text.
  (let* ((lines (remove string-null?
                        (map (lambda (line) (string-trim-right line #\return))
                             (string-split (call-with-input-file file get-string-all #:encoding "UTF-8")
                                           #\newline))))
         (cells (lambda (line) (string-split line #\tab)))
         (columns (if (pair? lines) (cells (first lines)) '())))
    (or (any (lambda (line)
               (let ((row (map cons columns (cells line))))
                 (and (equal? (assoc-ref row "participant_id") (string-append "sub-" person)) row)))
             (filter (lambda (line) (= (length (cells line)) (length columns))) lines))
        '())))

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
         (inside (lambda (path) (string-split (string-drop path (string-length root)) #\/)))
         (other? (lambda (path)
                   (or (any (lambda (part) (member part other-folders)) (inside path))
                       (member (last (string-split (without-ending (basename path)) #\_))
                               other-suffixes))))
         (options (let loop ((rest options))
                    (cond ((or (null? rest) (null? (cdr rest))) '())
                          ((memq (car rest) '(#:licence #:source)) (loop (cddr rest)))
                          (else (cons* (car rest) (cadr rest) (loop (cddr rest)))))))
         (names
          (filter-map
           (lambda (path)
             (catch 'tempera-error
               (lambda ()
                 (let* ((table (beside path root "participants.tsv"))
                        (about (beside path root "dataset_description.json"))
                        (row (if (and table (entity path "sub-"))
                                 (of-participant table (entity path "sub-")) '()))
                        (whole (if about (load-json about) '()))
                        (text (lambda (value) (and (string? value) (not (string-null? value)) value))))
                   (apply data-add! path
                          #:licence (or licence (text (assoc-ref row "licence"))
                                        (text (assoc-ref row "license"))
                                        (text (assoc-ref whole "License")) "unknown")
                          #:source (or source (text (assoc-ref row "source"))
                                       (text (assoc-ref whole "Name")) "a user's own")
                          options)))
               (lambda (key . arguments)
                 (log (format #f "~a: skipped, ~a" path (string-trim-right (error-text key arguments))))
                 #f)))
           (remove other? files)))
         (left (count other? files)))
    (when (> left 0)
      (log (format #f "~a files that are no images of a head by their names: left out" left)))
    (check-that (pair? names) 'data-add-tree! "~a: none of its ~a NIfTI files could be prepared~a" folder
                (length files) (if (null? files) "" ", for the reasons above"))
    (delete-duplicates names)))

;;; --- What package managers carry --------------------------------------------

(define colin-file "/usr/share/mricron/templates/ch2.nii.gz")

(define (fetch-colin!)
  ;; Debian's mricron-data: Colin27, an average of 27 scans of one person.
  (define (prepare file)
    (let-values (((volume spacing) (load-volume file)))
      (prepare! 'data-fetch! '("colin27") volume spacing #:person "colin27" #:contrast "T1"
                #:licence "BSD-3-Clause"
                #:source "Debian package mricron-data, templates/ch2.nii.gz")))
  (if (file-exists? colin-file)
      (prepare colin-file)
      (call-with-temporary-folder
       (lambda (folder)
         (in-folder folder
           (lambda () (run-program 'data-fetch! "apt-get" "download" "mricron-data")))
         (run-program 'data-fetch! "dpkg" "-x" (only-file folder ".deb") folder)
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
     (in-folder folder (lambda () (run-program 'data-fetch! "npm" "pack" package)))
     (run-program 'data-fetch! "tar" "-xzf" (only-file folder ".tgz") "-C" folder)
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
          (prepare! 'data-fetch! (list (format #f "brainbrowser-~a" number)) volume '(1.0 1.0 1.0)
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
       (run-program 'data-fetch! "gzip" "-d" header-copy raw-copy)
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

;;; --- Datasets ---------------------------------------------------------------

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

;;; --- Variations -------------------------------------------------------------

(define draws-per-image 64)

(define (uniform-source numbers)
  ;; A procedure of LOW and HIGH that gives the next of NUMBERS, uniform on (0, 1),
  ;; as a number between them.
  (lambda (low high)
    (let ((u (car numbers)))
      (set! numbers (cdr numbers))
      (+ low (* u (- high low))))))

(define (choose u items)
  (list-ref items (min (1- (length items)) (inexact->exact (floor (u 0 (length items)))))))

(define (log-uniform u low high)
  (exp (u (log low) (log high))))

(define (voxels-per-pixel spacing axis)
  ;; Rows and columns of a plane across AXIS to a square pixel, as wide as its voxels are long: one
  ;; as long as they are wide would be interpolated, and blurred, in one direction.
  (let* ((plane (map (lambda (k) (list-ref spacing k)) (delete axis '(0 1 2))))
         (pixel (apply max plane)))
    (map (lambda (s) (let ((ratio (/ pixel s))) (if (< ratio 1.01) 1 ratio))) plane)))

(define (random-map u voxel-rows voxel-columns per-row per-column size fit)
  ;; An affine map from SIZE x SIZE pixels to a slice of VOXEL-ROWS x VOXEL-COLUMNS, of which there are
  ;; PER-ROW and PER-COLUMN to a square pixel, and how many
  ;; samples a pixel it needs.  With probability FIT the field of view holds the
  ;; whole slice; else pixels are about the slice's own and the view is cropped or
  ;; padded.  A third of the latter keep the slice's pixels, and so its noise.
  (let* ((rows (/ voxel-rows per-row))
         (columns (/ voxel-columns per-column))
         (whole? (< (u 0 1) fit))
         (native? (and (< (u 0 1) 1/3) (not whole?)))
         (zoom (log-uniform u 0.7 1.3))
         (step (cond (whole? (* (/ (max rows columns) size) (log-uniform u 0.85 1.25)))
                     (native? 1.0)
                     (else zoom)))
         (turn (* (/ (acos -1) 180) (u -30 30)))
         (angle (if native? 0.0 turn))
         (mirror-rows (if (< (u 0 1) 1/4) -1 1))
         (mirror-columns (if (< (u 0 1) 1/2) -1 1))
         (center (/ (1- size) 2))
         (free (lambda (extent) (/ (abs (- extent (* step size))) 2)))
         (a (* step mirror-rows (cos angle)))
         (b (* step mirror-columns (- (sin angle))))
         (c (* step mirror-rows (sin angle)))
         (d (* step mirror-columns (cos angle)))
         (place (lambda (extent along across)
                  ;; The first pixel's place when the view's centre is at random.
                  (let ((at (- (+ (/ (1- extent) 2) (* (u -1 1) (free extent)))
                               (* center (+ along across)))))
                    (if native? (round at) at))))
         ;; The middle of the first pixel is not that of the first voxel.
         (voxels (lambda (per along across at)
                   (if (eqv? per 1) (list along across at)
                       (list (* per along) (* per across) (- (* per (+ at 1/2)) 1/2)))))
         (row (place rows a b))
         (column (place columns c d)))
    (values (append (voxels per-row a b row) (voxels per-column c d column))
            (max 1 (min 4 (inexact->exact (ceiling (- (* step (max per-row per-column)) 0.35))))))))

(define thickest-slab 4.2)              ; in mm, unless a slice alone is thicker

(define (random-slice u scan size fit)
  ;; (1 SIZE SIZE) of SCAN, on the volume's own intensities.
  (let* ((square (square-axes (scan-spacing scan)))
         (axis (choose u (filter (lambda (axis) (memv axis square)) '(0 0 0 1 2))))
         (range (list-ref (scan-ranges scan) axis))
         (thickness (max 1 (min (choose u '(1 1 1 2 3))
                                (inexact->exact
                                 (floor (/ thickest-slab (list-ref (scan-spacing scan) axis)))))))
         (slices (list-ref (tensor-shape (scan-volume scan)) axis))
         (first-slice (min (- slices thickness)
                           (inexact->exact (floor (u (first range) (second range))))))
         (slab (tensor-transpose
                (tensor-slice (scan-volume scan) axis first-slice (+ first-slice thickness))
                (cons axis (delete axis '(0 1 2))))))
    (match (tensor-shape slab)
      ((_ rows columns)
       (let-values (((map samples)
                     (match (voxels-per-pixel (scan-spacing scan) axis)
                       ((per-row per-column)
                        (random-map u rows columns per-row per-column size fit)))))
         (tensor-reshape (image-resample slab map size size samples) (list 1 size size)))))))

(define tone-top 180)                   ; the intensity of the last knot
(define tone-steps 12)

(define (random-tone u)
  ;; The knots of a curve that makes another contrast of a T1 head: as it is, with a
  ;; gamma, bent by a few low cosines (grey and white matter may change places, as
  ;; in proton density), or falling (as in T2).  Air stays dark, and where it is the
  ;; curve is not steep: its noise must stay what it was.
  (let* ((kind (u 0 1))
         (gamma (log-uniform u 0.7 2))
         (bend (u 0.05 0.3))
         (waves (map-in-order (lambda (j) (/ (u -1 1) (sqrt j))) '(1 2 3 4 5)))
         (wave (lambda (t)
                 (* bend (fold (lambda (j amplitude sum)
                                 (+ sum (* amplitude (cos (* (acos -1) j t)))))
                               0 '(1 2 3 4 5) waves))))
         (tissue (lambda (t) (min 1 (* 4 t)))))
    (map (lambda (k)
           (let ((t (/ k tone-steps)))
             (* tone-top
                (max 0
                     (cond ((< kind 0.2) t)
                           ((< kind 0.45) (expt t gamma))
                           ((< kind 0.85) (+ t (* (tissue t) (wave t))))
                           (else (* (tissue t) (+ 1 (* -0.8 t) (wave t)))))))))
         (iota (1+ tone-steps)))))

(define (phase-coefficients u)
  ;; For `image-modulate': 3 x 3 pairs of log gain and phase, of low order.
  (concatenate
   (map-in-order (match-lambda
                   (0 (let ((pi (acos -1))) (list 0 (u (- pi) pi))))
                   (1 (let ((gain (u -0.2 0.2))) (list gain (u -1.5 1.5))))
                   (2 (let ((gain (u -0.1 0.1))) (list gain (u -0.7 0.7))))
                   (_ (list 0 0)))
                 '(0 1 2 1 2 3 2 3 4))))    ; p + q

(define (coefficients->tensor lists)
  (complex-view (list->tensor (concatenate lists) (list (length lists) 3 3 2))))

(define* (random-slices dataset count size #:key (seed 0) (stream 0) (fit 0.3))
  "A batch of COUNT complex images, c64 (COUNT SIZE SIZE), made from slices of DATASET
chosen, moved, turned, scaled, and given another contrast, gain and phase at random;
the 99.9th percentile of magnitude is at 150 times a factor from 0.7 to 1.3 (lower
where there is hardly any tissue).  FIT is the share of images whose field of view
holds the whole slice; in the others a pixel is 0.7 to 1.3 of the slice's.  Pixels are square, by the
scans' spacing, and planes in which voxels are 1.5 times as long as wide are not taken.  Persons
are drawn evenly.  The same SEED and STREAM (a training step's number, say) give the
same bits.
Example: (random-slices (load-dataset) 4 16 #:seed 1 #:stream 0)"
  (check-that (and (dataset? dataset) (pair? (dataset-scans dataset))) 'random-slices
              "dataset: expected a dataset with scans in it, got ~s" dataset)
  (check-that (and (exact-integer? count) (> count 0)) 'random-slices
              "count: expected a positive integer, got ~s" count)
  (check-that (and (exact-integer? size) (<= 8 size 4096)) 'random-slices
              "size: expected an integer from 8 to 4096, got ~s" size)
  (check-that (and (real? fit) (<= 0 fit 1)) 'random-slices
              "fit: expected a number from 0 to 1, got ~s" fit)
  (check-seed 'random-slices seed)
  (with-scope (lambda () (make-slices dataset count size seed stream fit))))

(define (make-slices dataset count size seed stream fit)
  (let* ((draws (tensor->list (random-uniform (list count draws-per-image) seed
                                              (random-stream 'slices stream))))
         (sources (let loop ((k 0) (draws draws))
                    (if (= k count)
                        '()
                        (cons (uniform-source (take draws draws-per-image))
                              (loop (1+ k) (drop draws draws-per-image))))))
         (persons (dataset-persons dataset))
         (pick (lambda (u)
                 (let ((person (choose u persons)))
                   (choose u (filter (lambda (scan) (equal? person (scan-person scan)))
                                     (dataset-scans dataset))))))
         (slices (tensor-concatenate
                  (map-in-order (lambda (u) (random-slice u (pick u) size fit)) sources)
                  0))
         (knots (list->tensor (append-map random-tone sources) (list count (1+ tone-steps))))
         (toned (image-tone slices knots tone-top))
         (images (image-modulate toned (coefficients->tensor
                                        (map phase-coefficients sources))))
         (peaks (tensor-quantile (tensor-reshape (tensor-abs images) (list count -1)) 0.999 1))
         (factors (map-in-order
                   (lambda (u peak)
                     (/ (* top-intensity (u 0.7 1.3)) (max peak (/ top-intensity 2))))
                   sources (tensor->list peaks))))
    (tensor* images (list->tensor factors (list count 1 1)))))

(define* (smooth-phase image #:key (seed 0))
  "The magnitude image IMAGE, f32 (H W), as c64 with a smooth random phase, as coils and
field inhomogeneity give it.  The same SEED gives the same phase.
Example: (smooth-phase (intensity-scale (load-image \"brain.png\")) #:seed 1)"
  (check-seed 'smooth-phase seed)
  (match (tensor-shape image)
    ((rows columns)
     (let* ((u (uniform-source (tensor->list (random-uniform (list draws-per-image) seed
                                                             (random-stream 'phase)))))
            (phase-only (let loop ((pairs (phase-coefficients u)))
                          (match pairs
                            (() '())
                            ((_ phase . rest) (cons* 0 phase (loop rest)))))))
       (tensor-reshape (image-modulate (tensor-reshape image (list 1 rows columns))
                                       (coefficients->tensor (list phase-only)))
                       (list rows columns))))
    (shape (complain 'smooth-phase "image: expected (rows columns), got shape ~a" shape))))

(document
 (top-intensity
  "The intensity that `intensity-scale' gives to the 99.9th percentile.
Example: top-intensity => 150")
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
