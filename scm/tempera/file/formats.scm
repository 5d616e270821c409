;;; formats.scm -- which formats there are, and reading images, volumes and k-space in any of them.
;;;
;;; The table below is the one place where file endings stand: what reads or writes a file by its
;;; name, lists the endings that it takes, or completes a name looks here.  To add a format, add a
;;; line.

(define-module (tempera file formats)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 binary-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module (tempera file bart)
  #:use-module (tempera file dicom)
  #:use-module (tempera file fits)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file members)
  #:use-module (tempera file pictures)
  #:use-module (tempera file volumes)
  #:use-module (tempera tensor primitives)
  #:re-export (load-npy save-npy)
  #:export (file-format file-holds? media-type without-ending endings-text
            twix? twix-advice format-to-read format-name
            load-image load-volume load-kspace load-unturned save-image))

(define-record-type <file-format>
  (make-format name endings holds reader writer media known?)
  file-format?
  (name format-name)
  (endings format-endings)              ; lower-case; longer ones before those they end in
  (holds format-holds)                  ; some of image, volume, kspace, picture
  ;; Path and volume, a number or #f for all -> tensor, or tensor, spacing, orientation, affine; or #f.
  (reader format-reader)
  (writer format-writer)                ; path tensor spacing affine note -> unspecified, or #f
  (media format-media)                  ; the media type by which browsers know it, or #f
  (known? format-known?))               ; path -> whether the file is one, whatever its name; or #f

(define (plain load)
  ;; A reader: what LOAD gives, or of its first axis, when it has more than three, one index.
  (lambda (path volume)
    (let* ((tensor (load path)) (shape (tensor-shape tensor))
           (volumes (if (> (length shape) 3) (first shape) 1)))
      (check-that (or (not volume) (< -1 volume volumes)) 'load-image "~a: volume: expected 0 to ~a, got ~a" path
                  (1- volumes) volume)
      (if (and volume (> (length shape) 3))
          (tensor-reshape (tensor-copy (tensor-slice tensor 0 volume (1+ volume))) (cdr shape))
          tensor))))

(define (volumes load)
  (lambda (path volume) (load path #:volume volume)))

(define (load-hdr path volume)
  ;; NIfTI and BART both have headers of this ending.
  (if (bart-header? path) ((plain load-bart) path volume) (load-nifti path #:volume volume)))

(define (tensor-writer save)
  ;; A writer of formats that have no place for anything but numbers.
  (lambda (path tensor spacing affine note) (save path tensor)))

(define (save-one-npz path tensor)
  ;; Called as numpy.savez calls an array without a name.
  (save-npz path `(("arr_0" . ,tensor))))

(define (save-one-mat path tensor)
  (save-mat path `(("data" . ,tensor))))

(define (save-one-hdf5 path tensor spacing affine note)
  (save-hdf5 path `(("data" . ,tensor) ,@(if (string-null? note) '() `(("provenance" . ,note))))))

(define (save-one-nifti path tensor spacing affine note)
  (save-nifti path tensor #:spacing spacing #:affine affine #:note note))

(define (save-one-mgh path tensor spacing affine note)
  (save-mgh path tensor #:spacing spacing #:affine affine))

(define formats
  (map
   (lambda (row) (apply make-format row))
   ;; name endings holds reader writer media known?
   `((npy (".npy") (image volume kspace) ,(plain load-npy) ,(tensor-writer save-npy) #f #f)
     (png (".png") (image picture) ,(plain load-picture) ,(tensor-writer save-png) "image/png" #f)
     (nifti (".nii.gz" ".nii") (image volume) ,(volumes load-nifti) ,save-one-nifti #f #f)
     (nifti-pair (".img") (image volume) ,(volumes load-nifti) #f #f #f)
     (mgh (".mgh.gz" ".mgz" ".mgh") (image volume) ,(volumes load-mgh) ,save-one-mgh #f #f)
     (dicom (".dcm" ".ima") (image volume) ,(volumes load-dicom) #f #f ,dicom?)
     (tiff (".tif" ".tiff") (image volume) ,(plain load-pages)
           ,(lambda (path tensor spacing affine note) (save-tiff path tensor #:note note)) #f #f)
     (fits (".fits" ".fit" ".fts" ".fits.gz") (image volume) ,(plain load-sky-image)
           ,(lambda (path tensor spacing affine note) (save-fits path tensor #:note note)) #f #f)
     (npz (".npz") (image volume kspace) ,(plain load-npz) ,(tensor-writer save-one-npz) #f #f)
     (hdf5 (".h5" ".hdf5") (image volume kspace) ,(plain load-hdf5) ,save-one-hdf5 #f #f)
     (matlab (".mat") (image volume kspace) ,(plain load-mat) ,(tensor-writer save-one-mat) #f #f)
     (bart (".cfl") (image kspace) ,(plain load-bart)
           ,(lambda (path tensor spacing affine note) (save-bart path tensor note)) #f #f)
     (header (".hdr") (image volume kspace) ,load-hdr #f #f #f)
     (svg (".svg") (picture) #f #f "image/svg+xml" #f)
     (webp (".webp") (picture) #f #f "image/webp" #f)
     (gif (".gif") (picture) #f #f "image/gif" #f))))

;;; --- By a file's name -------------------------------------------------------------

(define (ending-of format path)
  (find (lambda (ending) (string-suffix-ci? ending path)) (format-endings format)))

(define (format-of path)
  (let-values (((file _) (file-and-member path)))
    (find (lambda (format) (ending-of format file)) formats)))

(define (file-format path)
  "The name of the format of the file PATH by its ending, such as npy, or #f.
Example: (file-format \"sub-01_T1w.nii.gz\") => nifti"
  (and=> (format-of path) format-name))

(define (file-holds? path kind)
  "Whether the file PATH is, by its ending, of a format for a KIND: image, volume, kspace or picture
(what a browser shows).
Example: (file-holds? \"scan.npy\" 'kspace) => #t"
  (let ((format (format-of path)))
    (and format (memq kind (format-holds format)) #t)))

(define (media-type path)
  "The media type of the picture in the file PATH, by its ending, or #f.
Example: (media-type \"mean.png\") => \"image/png\""
  (and=> (format-of path) format-media))

(define (without-ending path)
  "PATH without the ending of its format.
Example: (without-ending \"sub-01_T1w.nii.gz\") => \"sub-01_T1w\""
  (let ((format (format-of path)))
    (if format
        (string-drop-right path (string-length (ending-of format path)))
        path)))

(define (endings-text kind)
  "The endings of the formats that hold KIND, or anything when it is #f, and are read, as text.
Example: (endings-text 'picture) => \".png\""
  (string-join (append-map format-endings
                           (filter (lambda (format)
                                     (and (format-reader format)
                                          (or (not kind) (memq kind (format-holds format)))))
                                   formats))
               ", "))

;;; --- Reading and writing ----------------------------------------------------------

(define (twix? path)
  "Whether the file PATH is raw data of a Siemens scanner.
Example: (twix? \"volume.npy\") => #f"
  ;; .dat, and its first words are 0 and the count of its measurements, or from before the year 2010 the
  ;; length of its header.
  (and (string-suffix-ci? ".dat" path)
       (not (file-is-directory? path))
       (let ((start (call-with-input-file path (lambda (port) (get-bytevector-n port 8)) #:binary #t)))
         (and (bytevector? start) (= 8 (bytevector-length start))
              (let ((one (bytevector-u32-ref start 0 (endianness little)))
                    (two (bytevector-u32-ref start 4 (endianness little))))
                (if (zero? one) (<= 1 two 64) (<= 32 one 1000000)))))))

(define (twix-advice path)
  "What to do with PATH, for which `twix?' is true, in words.
Example: (twix-advice \"scan.dat\")"
  (format #f "a Siemens raw file (twix): siemens_to_ismrmrd -f ~a -o scan.h5 makes ISMRMRD of it, which \
is read" path))

(define* (format-to-read who path #:optional (kind #f))
  "The format of the file PATH, which is to be read, and in which there has to be a KIND unless that
is #f; `format-name' is what the table calls it.  Errors are of WHO.
Example: (begin (save-npy \"y.npy\" y) (format-name (format-to-read 'f \"y.npy\"))) => npy"
  (check-path who path)
  (let-values (((file _) (file-and-member path)))
    (unless (and (file-exists? file) (file-is-directory? file)) (check-file who file))
    (check-that (not (twix? file)) who "~a is ~a" path (twix-advice path))
    (let ((format (or (and (not (file-is-directory? file)) (format-of path))
                      (find (lambda (format) (and=> (format-known? format) (lambda (known?) (known? file))))
                            formats))))
      (check-that (and format (format-reader format) (or (not kind) (memq kind (format-holds format)))) who
                  "~a: expected ~a~a" path (endings-text kind)
                  (if (eq? kind 'kspace) "" ", or a folder of DICOM slices"))
      format)))

(define (reader-of who path kind)
  ;; What reads the file PATH, in which there has to be a KIND; errors are of WHO.
  (format-reader (format-to-read who path kind)))

(define* (load-unturned path #:key (volume #f))
  "Four values: the array in the file PATH, or one VOLUME of it, as the file has it; the millimetres
between its points; the three letters that say how its axes lie; and its affine.  These three are
#f where the format has no such.
Example: (begin (save-npy \"y.npy\" y) (load-unturned \"y.npy\"))"
  (call-with-values (lambda () ((reader-of 'load-image path 'image) path volume))
    (lambda* (image #:optional spacing orientation affine)
      (values image spacing orientation affine))))

(define (upright-volume who path volume spacing orientation)
  ;; Two values, of three axes: VOLUME and its SPACING as `load-volume' says.
  (let-values (((volume spacing) (three-axes volume spacing)))
    (check-that (= 3 (length (tensor-shape volume))) who
                "~a: expected a volume of three axes, got shape ~a~a" path (tensor-shape volume)
                (if (> (length (tensor-shape volume)) 3)
                    (format #f ": several volumes; say which, from 0 to ~a, by volume"
                            (1- (apply * (drop-right (tensor-shape volume) 3))))
                    ""))
    (if (string=? orientation "???")
        (values volume spacing)
        (turn-upright who volume spacing orientation))))

(define* (load-volume path #:key (orientation #f) (volume #f) (nan-is-zero? #f))
  "The volume in PATH (NIfTI, MGH, DICOM or a folder of DICOM slices, TIFF, npy) as f32 (slices rows
columns), turned so that slices go from head to feet, rows from front to back,
columns from the patient's right to left.  The second value is the millimetres
between voxels.  ORIENTATION, three letters, overrides what the file says of the
directions in which its axes rise, slowest first; npy files say nothing and are
taken as they are without it.  VOLUME, from 0, is which one of several in the file.  Voxels that are
NaN become 0 if NAN-IS-ZERO?.
An axis of one point, such as one time, is left out; a picture is one slice.
Example: (load-volume \"volume.npy\")"
  (call-with-values (lambda () ((reader-of 'load-volume path 'volume) path volume))
    (lambda* (given #:optional (spacing (map (const 1.0) (tensor-shape given))) (from-file "???") affine)
      (check-that (eq? 'f32 (tensor-dtype given)) 'load-volume
                  "~a: expected real numbers, got complex ones" path)
      (upright-volume 'load-volume path (zero-for-nan path given nan-is-zero?) spacing
                      (or orientation from-file)))))

(define* (load-image path #:key (volume #f) (nan-is-zero? #f))
  "The image or images in PATH, by its extension: .npy (f32 or c64), .png, .tif, .fits, .nii,
.nii.gz, .mgz, .dcm (DICOM also without), or a folder of DICOM slices.  A single slice of a volume
comes as (rows columns), and so does a picture with colours that are all grey; of several volumes
VOLUME, from 0, is the one that is read.  The numbers are the file's own, but that NaN becomes 0 if NAN-IS-ZERO?.
Example: (tensor-shape (load-image \"brain.png\")) => (256 256)"
  (call-with-values (lambda () ((reader-of 'load-image path 'image) path volume))
    (lambda* (image #:optional spacing orientation affine)
      (let ((image (zero-for-nan path image nan-is-zero?)))
        (if orientation
            (let* ((upright (upright-volume 'load-image path image spacing orientation))
                   (lengths (delete 1 (tensor-shape upright))))
              ;; Turned upright, a single slice may lie along any axis.
              (if (= 2 (length lengths)) (tensor-reshape upright lengths) upright))
            image)))))

(define (load-kspace path)
  "The k-space in the file PATH, .npy, .npz or BART's .cfl: c64 (rows columns) or with coils or slices
before them, centred, as it was saved.  FILE:/NAME is the array NAME in a file of several.
Example: (begin (save-npy \"kspace.npy\" y) (tensor-shape (load-kspace \"kspace.npy\"))) => (16 16)"
  (let ((kspace ((reader-of 'load-kspace path 'kspace) path #f)))
    (check-that (eq? 'c64 (tensor-dtype kspace)) 'load-kspace
                "~a: expected complex numbers, got ~a; `load-image' reads images" path (tensor-dtype kspace))
    kspace))

(define* (save-image path image #:key (spacing #f) (affine #f) (note ""))
  "Write IMAGE to the file PATH, in the format of its ending: its numbers as they are (.npy, .nii, .mgz, .tif and
others), or f32 (rows columns) from 0, black, to its greatest value, white (.png).  SPACING and AFFINE, as
`save-nifti' has them, and NOTE, a text about it, go with it where the format has a place for them.
Example: (save-image \"mean.npy\" (chain-mean chain))"
  (check-path 'save-image path)
  (let ((format (format-of path)))
    (check-that (and format (format-writer format)) 'save-image "~a: expected ~a" path
                (string-join (append-map format-endings (filter format-writer formats)) ", "))
    ((format-writer format) path image spacing affine note)))
