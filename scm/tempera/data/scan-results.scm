;;; scan-results.scm -- volumes made of a scan's slices, in the format and the geometry of the scan's file.
;;;
;;;   fastMRI's HDF5        reconstruction.h5, as fastMRI's own results are: the middle that the header asks for,
;;;                         with that header
;;;   ISMRMRD               NIfTI, at the place that the acquisitions' headers say
;;;   NIfTI, MGH            the same, at the same place, turned upright as slices are when they are read
;;;   DICOM                 NIfTI, at the same place
;;;   any other             the same where it holds f32, else npy
;;;
;;; DICOM is read and not written: a derived series has to repeat of each source image what identifies patient and
;;; study, and what Debian has for that, dcmtk's img2dcm, makes pictures of 8 bits.

(define-module (tempera data scan-results)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera file bart)
  #:use-module (tempera file formats)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file members)
  #:use-module (tempera file volumes)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (save-scan-results))

;;; --- Where they lie ----------------------------------------------------------------

(define (shifted affine steps)
  ;; AFFINE of a volume that begins STEPS, three numbers, the slowest axis first, into the one that AFFINE is of.
  (map (match-lambda
         ((i j k at) (list i j k (+ at (apply + (map * (list k j i) steps))))))
       affine))

(define (image-place input volume)
  ;; The affine of the images that `load-image' gives of INPUT, or #f.
  (let-values (((image spacing orientation affine) (load-unturned input #:volume volume)))
    (and affine orientation (= 3 (length (tensor-shape image)))
         (if (string=? orientation "???")
             affine
             (upright-affine 'save-scan-results affine (tensor-shape image) orientation)))))

(define (header-crop scan)
  ;; Rows and columns of the image that the header of SCAN asks for: of fastMRI's the middle as large as its matrix,
  ;; which is what its reference images are; of others its field of view, where that is smaller than what was encoded.
  ;; (Of the readout only so much is there.)
  (match (raw-scan-shape scan)
    ((_ _ rows columns)
     (let* ((facts (raw-scan-facts scan))
            (fact (lambda (key) (or (assq-ref facts key) '(0 0 0))))
            (slab? (equal? (list rows columns) (cdr (fact 'encoded))))
            (viewed (lambda (n axis)
                      (let ((encoded (list-ref (fact 'encoded-view) axis)) (recon (list-ref (fact 'recon-view) axis)))
                        (if (< 0 recon encoded) (max 1 (inexact->exact (round (* n (/ recon encoded))))) n)))))
       (cond ((eq? 'fastmri (raw-scan-source scan))
              (map (lambda (n wanted) (if (< 0 wanted n) wanted n)) (list rows columns) (take (fact 'recon) 2)))
             (slab? (list (viewed rows 1) (viewed columns 2)))
             (else (list rows (viewed columns 1))))))))

(define (cropped image lengths)
  ;; The middle of IMAGE (rows columns), LENGTHS of it.
  (fold (lambda (axis length image)
          (let ((begin (middle-begin (tensor-size image axis) length)))
            (tensor-slice image axis begin (+ begin length))))
        image '(0 1) lengths))

(define (middle-begin n length) (- (quotient n 2) (quotient length 2)))

;;; --- Files ---------------------------------------------------------------------------

(define (stacked images)
  (tensor-concatenate (map (lambda (image) (tensor-reshape (tensor-copy image) (cons 1 (tensor-shape image)))) images) 0))

(define (ending-for input)
  ;; Of a file that is like INPUT and holds f32.
  (let* ((file (raw-file input)) (format (file-format file)))
    (cond ((memq format '(npz matlab bart tiff)) (string-drop file (string-length (without-ending file))))
          ((eq? format 'mgh) ".mgz")
          ((eq? format 'header) (if (bart-header? file) ".cfl" ".nii.gz"))
          ((memq format '(nifti nifti-pair dicom #f)) ".nii.gz") ; DICOM has no ending, or is a folder
          (else ".npy"))))

(define* (save-scan-results input scan numbers volumes #:key path-of (volume #f) (note ""))
  "Write VOLUMES, made of the slices NUMBERS of the file INPUT, which follow each other; return the names of the files.
SCAN is INPUT's raw scan, or #f where it holds images, of which VOLUME is one of several.  VOLUMES is a list of pairs of
a name and a procedure from a slice's number to its f32 (rows columns); (PATH-OF name) is where the file NAME
goes; NOTE says what made them.
Example: (save-scan-results \"y.npy\" #f '(0) `((\"mean\" . ,(const (tensor-abs scan)))) #:path-of identity) => (\"mean.npy\")"
  (let ((source (and scan (raw-scan-source scan))))
    (define (volume-of slice lengths)
      (stacked (map (lambda (number) (if lengths (cropped (slice number) lengths) (slice number))) numbers)))
    (define (save-each ending lengths affine)
      (map (match-lambda
             ((name . slice)
              (let ((file (string-append name ending)))
                (save-image (path-of file) (volume-of slice lengths) #:affine affine #:note note)
                file)))
           volumes))
    (cond
     ((and scan (eq? 'hdf5 (file-format input)) (memq source '(fastmri array)))
      (let ((lengths (header-crop scan)) (header (assoc-ref (hdf5-facts (raw-file input)) "ismrmrd_header")))
        (save-hdf5 (path-of "reconstruction.h5")
                   `(,@(map (match-lambda
                              ;; As fastMRI's evaluation reads it.
                              ((name . slice) (cons (if (string=? name "mean") "reconstruction" name)
                                                    (volume-of slice lengths))))
                            volumes)
                     ,@(if (and header (eq? source 'fastmri)) `(("ismrmrd_header" . ,header)) '())
                     ("provenance" . ,note)))
        '("reconstruction.h5")))
     ((eq? source 'ismrmrd)
      (let* ((lengths (header-crop scan)) (affine (assq-ref (raw-scan-facts scan) 'affine)))
        (save-each ".nii.gz" lengths
                   (and affine (shifted affine (cons (first numbers)
                                                     (map middle-begin (drop (raw-scan-shape scan) 2) lengths)))))))
     (else
      (let ((affine (and (not scan) (image-place input volume))))
        (save-each (ending-for input) #f (and affine (shifted affine (list (first numbers) 0 0)))))))))

(define (raw-file input)
  (let-values (((file _) (file-and-member input))) file))
