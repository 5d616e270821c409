;;; conversion.scm -- a file in another format: any that is read into any that is written.
;;;
;;; What `load-image' gives of the new file is what it gives of the old one, where the new format has numbers
;;; of that kind.  Raw data become k-space on its grid, as `load-scan' has it.

(define-module (tempera data conversion)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base program)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera file fits)
  #:use-module (tempera file formats)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file members)
  #:use-module (tempera file pictures)
  #:use-module (tempera tensor primitives)
  #:export (convert-file))

(define* (convert-file from to #:key (volume #f))
  "Write what the file FROM holds to the file TO, in the format of its ending; returns TO.
A volume keeps its axes and its place where TO can say that (NIfTI, MGH), and is turned upright, as
`load-image' turns it, where it cannot.  VOLUME, from 0, is one of several.  All arrays of an npz,
HDF5 or MATLAB file go into another such file; of raw data (ISMRMRD, fastMRI) k-space goes, c64
(slices coils rows columns), with its mask, noise scan and trajectory where TO holds several arrays.
Where TO has a place for it, it says what it was made from.
Example: (begin (save-npy \"y.npy\" y) (convert-file \"y.npy\" \"y.cfl\")) => \"y.cfl\""
  (check-path 'convert-file from)
  (check-path 'convert-file to)
  (let* ((kind (raw-file-kind from))
         (note (format #f "tempera ~a: convert ~a ~a" tempera-version from to)))
    (cond (kind
           (check-that (not volume) 'convert-file "~a: it is raw data, in which there is no volume ~a" from volume)
           (convert-raw from to note))
          ((and (not volume) (container? to) (several-names from))
           => (lambda (names)
                (save-arrays to (map (lambda (name) (cons name (load-unturned (string-append from ":/" name)))) names)
                             note)))
          (else (convert-image from to volume note)))
    to))

(define (container? path)
  ;; Whether files of PATH's format hold several arrays.
  (memq (file-format path) '(npz hdf5 matlab)))

(define (save-arrays to arrays note)
  ;; ARRAYS, pairs of name and tensor, to TO, an npz, HDF5 or MATLAB file.
  (case (file-format to)
    ((npz) (save-npz to arrays))
    ((matlab) (save-mat to arrays))
    ((hdf5) (save-hdf5 to (append arrays `(("provenance" . ,note)))))))

(define (several-names path)
  ;; The names of the arrays of numbers in PATH, or #f where there are not several.
  (let-values (((_ member) (file-and-member path)))
    (let ((names (if (and (not member) (container? path))
                     (filter-map (lambda (item)
                                   (and (memq (second item) '(integer real complex))
                                        (not (string-prefix? "@" (first item)))
                                        (first item)))
                                 (file-items (file-format path) path))
                     '())))
      (and (> (length names) 1) names))))

;;; --- Images and volumes -----------------------------------------------------------------

(define (convert-image from to volume note)
  (let-values (((image spacing orientation affine) (load-unturned from #:volume volume)))
    (check-that (or (eq? 'f32 (tensor-dtype image)) (not (memq (file-format to) '(png tiff mgh fits)))) 'convert-file
                "~a: its numbers are complex, which ~a cannot hold; .npy, .npz, .nii, .h5, .mat and .cfl can"
                from to)
    (cond ((and (eq? 'fits (file-format to)) (eq? 'fits (file-format from)))
           (let-values (((image cards) (load-fits from)))
             (save-fits to image #:cards cards #:note note)))
          ((memq (file-format to) '(nifti mgh))
           (save-image to image #:spacing spacing #:affine affine #:note note))
          (else
           (let ((image (if orientation (load-image from #:volume volume) image)))
             (if (eq? 'png (file-format to))
                 (save-picture from to image)
                 (save-image to image #:note note)))))))

(define (save-picture from to image)
  ;; Whole numbers that a PNG can have stay what they are; others lie between 0 and the greatest.
  (check-that (or (= 2 (length (tensor-shape image)))
                  (and (= 3 (length (tensor-shape image))) (= 3 (last (tensor-shape image)))))
              'convert-file "~a: expected a single image for ~a, got shape ~a" from to (tensor-shape image))
  (let* ((most (tensor->number (tensor-max image)))
         (whole? (and (tensor-identical? (tensor-copy image) (tensor-round image))
                      (>= (tensor->number (tensor-min image)) 0))))
    (cond ((and whole? (<= most 255)) (save-png to image #:high 255))
          ((and whole? (<= most 65535)) (save-png to image #:high 65535 #:bits 16))
          (else (save-png to image #:bits 16)))))

;;; --- Raw data ---------------------------------------------------------------------------

(define (convert-raw from to note)
  (let* ((scan (load-scan from))
         (trajectory (raw-scan-trajectory scan))
         (mask (and (container? to) (not trajectory) (raw-scan-mask scan))))
    (check-that (file-holds? to 'kspace) 'convert-file "~a: it holds k-space, which ~a cannot: expected ~a~a"
                from to (endings-text 'kspace)
                (let ((image (find (lambda (entry) (string-contains (car entry) "reconstruction"))
                                   (hdf5-arrays from))))
                  (if image (format #f "; ~a:/~a is an image in it" from (car image)) "")))
    (check-that (or (container? to) (not trajectory)) 'convert-file
                "~a: its trajectory has no place in ~a; .h5, .npz and .mat hold both" from to)
    (if (container? to)
        (save-arrays to
                     (filter cdr
                             `(("kspace" . ,(raw-scan-kspace scan))
                               ;; As fastMRI has it; one over rows and columns is where k-space is not 0.
                               ("mask" . ,(and mask (= 1 (length (tensor-shape mask))) mask))
                               ("noise" . ,(raw-scan-noise scan))
                               ("trajectory" . ,(and trajectory (whole-trajectory scan)))))
                     note)
        (save-image to (raw-scan-kspace scan) #:note note))))

(define (whole-trajectory scan)
  ;; f32 (slices readouts samples dimensions).
  (tensor-concatenate
   (map (lambda (slice)
          (let ((one (raw-scan-trajectory scan slice)))
            (tensor-reshape one (cons 1 (tensor-shape one)))))
        (iota (first (raw-scan-shape scan))))
   0))
