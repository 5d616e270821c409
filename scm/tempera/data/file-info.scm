;;; file-info.scm -- what a file holds, of any format that is read: for a look before anything is done with it.

(define-module (tempera data file-info)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera data noise)
  #:use-module (tempera data raw-scans)
  #:use-module (tempera data sampling)
  #:use-module (tempera file bart)
  #:use-module (tempera file formats)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file members)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (file-info file-info-lines))

(define most-numbers (expt 2 27))       ; that are read of an array to say what is in it

(define (file-info path)
  "What the file PATH holds, an alist: file and format; of one array its shape and type, of several
arrays, a list of name, type and shape each; of a volume spacing (mm), orientation, how many volumes
there are, and the range of its numbers; of raw data, and complex arrays that look like k-space,
their sampling, the peak (the row and column of most energy, which should be the middle) and noise,
the standard deviation of a part of a point, by the noise scan or by the edges of k-space
(`noise-covariance'); and what the file says besides.  Of FILE:/NAME, the array NAME.  What there is
nothing to say of is left out.
Example: (begin (save-npy \"y.npy\" y) (assq-ref (file-info \"y.npy\") 'shape)) => (16 16)"
  (check-path 'file-info path)
  (let-values (((file member) (file-and-member path)))
    (unless (and (file-exists? file) (file-is-directory? file)) (check-file 'file-info file))
    (if (twix? file)
        `((file . ,path) (format . twix) (note . ,(twix-advice path)))
        (let* ((name (format-name (format-to-read 'file-info path)))
               (name (cond ((not (eq? name 'header)) (if (eq? name 'nifti-pair) 'nifti name))
                           ((bart-header? file) 'bart)
                           (else 'nifti)))
               (kind (raw-file-kind path)))
          (filter (match-lambda ((_ . value) (and value (not (null? value)))))
                  `((file . ,path)
                    (format . ,(or kind name))
                    ,@(if kind (raw-info path) (arrays-info path file member name))))))))

;;; --- Raw data ---------------------------------------------------------------------------

(define (raw-info path)
  (let* ((scan (load-scan path))
         (facts (raw-scan-facts scan))
         (shape (raw-scan-shape scan))
         (trajectory? (raw-scan-trajectory scan))
         (y (raw-scan-kspace scan (quotient (first shape) 2)))
         (samples (raw-scan-noise scan)))
    `((shape . ,shape) (slices . ,(first shape)) (coils . ,(second shape))
      ,@(if trajectory?
            `((sampling . ,(format #f "along a trajectory, ~a" (or (assq-ref facts 'trajectory) "of no name"))))
            (kspace-info y (raw-scan-mask scan)))
      ,@(if samples
            `((noise . ,(sqrt (/ (tensor->number (tensor-mean (tensor-square (tensor-abs samples)))) 2)))
              (noise-samples . ,(tensor-size samples 1)))
            '())
      ,@(remove (lambda (fact) (or (eq? 'coils (car fact)) (unsaid? (cdr fact)))) facts)
      (arrays . ,(array-list (file-items 'hdf5 path))))))

(define (unsaid? value)
  ;; A field of view that the header leaves at 0.
  (and (list? value) (every number? value) (every zero? value)))

(define (kspace-info y mask)
  ;; Of Y (coils rows columns), of which MASK was measured.
  `((sampling . ,(sampling-text mask))
    (peak . ,(kspace-peak y))
    (middle . ,(map (lambda (n) (quotient n 2)) (cdr (tensor-shape y))))
    (centred . ,(and (any (lambda (place n) (> (abs (- place (quotient n 2))) (max 2 (quotient n 8))))
                          (kspace-peak y) (cdr (tensor-shape y)))
                     "no: its peak is far from the middle"))
    (noise . ,(false-if-error (noise-deviation (noise-covariance y))))))

;;; --- Arrays -----------------------------------------------------------------------------

(define (type-text kind bytes)
  (match kind
    ('integer (format #f "~a-bit integers" (* 8 bytes)))
    ('real (format #f "~a-bit floats" (* 8 bytes)))
    ('complex (format #f "complex, ~a bits" (* 8 bytes)))
    (_ (symbol->string kind))))

(define (array-list items)
  ;; Name, type and shape of each of ITEMS that is no attribute and no text, which are facts.
  (filter-map (match-lambda
                ((name kind bytes shape)
                 (and (not (string-prefix? "@" name)) (not (eq? kind 'text))
                      (list name (type-text kind bytes) shape))))
              items))

(define (arrays-info path file member name)
  (let* ((items (if (eq? name 'dicom) '() (file-items name file)))
         (arrays (filter (lambda (item) (and (not (string-prefix? "@" (car item)))
                                             (memq (second item) '(integer real complex))))
                         items))
         (facts (if (eq? name 'hdf5)
                    (map (lambda (fact) (cons (string->symbol (car fact)) (cdr fact))) (hdf5-facts file))
                    '())))
    (append
     (cond ((or member (eq? name 'dicom) (and (pair? arrays) (null? (cdr arrays))))
            (array-info path (if member (assoc member arrays) (and (pair? arrays) (car arrays)))
                        (memq name '(nifti mgh))))
           (else `((arrays . ,(array-list items)))))
     (if member '() facts))))

(define (array-info path item volumes?)
  ;; Of one array, which ITEM describes; a DICOM series has none.  Of axes before the last three only
  ;; the first index is read if these count volumes.
  (match item
    ((_ kind bytes shape)
     `((shape . ,shape) (type . ,(type-text kind bytes))
       ,@(content-info path shape (if (and volumes? (> (length shape) 3)) (apply * (drop-right shape 3)) 1))))
    (#f (content-info path #f 1))))

(define (content-info path shape volumes)
  (if (and shape (> (/ (apply * shape) volumes) most-numbers))
      '()
      (let-values (((tensor spacing orientation affine) (load-unturned path #:volume (and (> volumes 1) 0))))
        `(,@(if shape '() `((shape . ,(tensor-shape tensor))))
          (volumes . ,(and (> volumes 1) volumes))
          (spacing . ,(and spacing (take-right spacing (min 3 (length spacing)))))
          (orientation . ,(and orientation (not (string=? orientation "???")) orientation))
          ,@(if (eq? 'c64 (tensor-dtype tensor)) (complex-info tensor) (real-info tensor))))))

(define (real-info tensor)
  (if (zero? (tensor-count tensor))
      '()
      (let* ((low (tensor->number (tensor-min tensor))) (high (tensor->number (tensor-max tensor))))
        `((range . ,(list low high))
          (finite . ,(if (tensor-finite? tensor) #f "no: NaN or infinite numbers are among them"))))))

(define (complex-info tensor)
  (let* ((shape (tensor-shape tensor)) (rank (length shape)))
    (if (or (< rank 2) (zero? (tensor-count tensor)) (not (tensor-finite? tensor)))
        `((finite . ,(and (not (tensor-finite? tensor)) "no: NaN or infinite numbers are among them")))
        (let* ((planes (tensor-reshape tensor (cons -1 (take-right shape 2))))
               (energies (tensor->list (tensor-sum (tensor-square (tensor-abs planes)) '(1 2))))
               (most (list-index (lambda (e) (= e (apply max energies))) energies))
               (one (tensor-reshape (tensor-copy (tensor-slice planes 0 most (1+ most))) (take-right shape 2))))
          (if (kspace-like? one)
              (cons '(looks-like . "k-space") (kspace-info planes (measured-mask planes)))
              `((looks-like . "an image")
                (range . ,(list 0 (tensor->number (tensor-max (tensor-abs tensor)))))))))))

;;; --- In words ---------------------------------------------------------------------------

(define (joined numbers between)
  (string-join (map (lambda (n) (number-text n 4)) numbers) between))

(define format-texts
  '((fastmri . "fastMRI's HDF5") (ismrmrd . "ISMRMRD") (twix . "Siemens raw data (twix)") (hdf5 . "HDF5")
    (matlab . "MATLAB") (nifti . "NIfTI") (mgh . "MGH, FreeSurfer's") (bart . "BART's cfl") (dicom . "DICOM")
    (tiff . "TIFF") (png . "PNG") (fits . "FITS")))

(define (value-text name value)
  (case name
    ((format) (or (assq-ref format-texts value) (symbol->string value)))
    ((spacing encoded-view recon-view) (string-append (joined value " x ") " mm"))
    ((range) (joined value " to "))
    ((peak middle) (joined value " "))
    ((orientation) (string-append value ", the directions in which its axes rise"))
    (else
     (cond ((number? value) (number-text value 4))
           ((string? value) (one-line value))
           ((and (list? value) (every number? value)) (joined value " x "))
           (else (format #f "~a" value))))))

(define (one-line text)
  (let ((line (string-map (lambda (c) (if (char-whitespace? c) #\space c)) text)))
    (if (> (string-length line) 200) (string-append (substring line 0 197) "...") line)))

(define (file-info-lines info)
  "INFO, as `file-info' gives it, as lines of text.
Example: (begin (save-npy \"y.npy\" y) (car (file-info-lines (file-info \"y.npy\")))) => \"file         y.npy\""
  (append-map
   (match-lambda
     (('arrays . arrays)
      (map (match-lambda
             ((name type shape) (format #f "array        ~a: ~a~a" name type
                                        (if (null? shape) "" (string-append ", " (joined shape " x "))))))
           arrays))
     ((name . value)
      (let ((word (symbol->string name)))
        (list (format #f "~a ~a" (string-pad-right word (max 12 (string-length word)))
                      (value-text name value))))))
   info))
