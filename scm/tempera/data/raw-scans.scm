;;; raw-scans.scm -- what a raw file holds: k-space by slice, its sampling, noise and the header's facts.
;;;
;;; k-space is c64 (slices coils rows columns), centred.  Rows are the readout and columns the phase
;;; encoding; where the readout is oversampled, that is removed.  A scan encoded in three dimensions is
;;; transformed along its readout, which is always sampled whole: its slices are positions there, its
;;; rows and columns the two phase encodings.  Away from a Cartesian grid, rows are readouts, columns
;;; their samples, and the trajectory says where these lie.

(define-module (tempera data raw-scans)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera data headers)
  #:use-module (tempera data sampling)
  #:use-module (tempera data trajectories)
  #:use-module (tempera file bart)
  #:use-module (tempera file formats)
  #:use-module (tempera file hdf5)
  #:use-module (tempera file members)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (raw-file-kind load-scan raw-scan? raw-scan-path raw-scan-source raw-scan-shape raw-scan-mask
            raw-scan-noise raw-scan-facts raw-scan-kspace raw-scan-trajectory scan-pattern along-rows))

(define-record-type <raw-scan>
  (make-raw-scan path source shape facts noise reader trajectory-reader mask)
  raw-scan?
  (path raw-scan-path)
  (source raw-scan-source)
  (shape raw-scan-shape)
  (facts raw-scan-facts)
  (noise raw-scan-noise)
  (reader raw-scan-reader)                       ; slice -> c64 (coils rows columns)
  (trajectory-reader raw-scan-trajectory-reader) ; slice -> f32 (rows columns dimensions), or #f
  (mask raw-scan-promised-mask))                 ; promise of what `raw-scan-mask' gives

(document
 (raw-scan? "Whether OBJECT is a scan as `load-scan' gives it.
Example: (begin (save-npy \"y.npy\" y) (raw-scan? (load-scan \"y.npy\"))) => #t")
 (raw-scan-path "The file of SCAN.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-path (load-scan \"y.npy\"))) => \"y.npy\"")
 (raw-scan-source "What the file of SCAN is: fastmri, ismrmrd or array.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-source (load-scan \"y.npy\"))) => array")
 (raw-scan-shape "The shape of the k-space of SCAN: slices, coils, rows, columns.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-shape (load-scan \"y.npy\"))) => (1 1 16 16)")
 (raw-scan-facts "What the file of SCAN says besides, an alist: of `header-facts', what it has as attributes,
and as affine where its voxels lie, as NIfTI has it, if ISMRMRD's acquisitions say that.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-facts (load-scan \"y.npy\"))) => ()")
 (raw-scan-noise "The samples of the noise scan of SCAN, c64 (coils samples), or #f.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-noise (load-scan \"y.npy\"))) => #f"))

(define (raw-scan-mask scan)
  "Where SCAN was measured, f32: (columns), or (rows columns) when rows differ; #f away from a Cartesian
grid.
Example: (begin (save-npy \"y.npy\" y) (tensor-size (raw-scan-mask (load-scan \"y.npy\")) 0)) => 16"
  (and=> (force (raw-scan-promised-mask scan)) keep-always!))

(define* (raw-scan-kspace scan #:optional (slice #f))
  "The k-space of SCAN, c64 (slices coils rows columns), or (coils rows columns) of one SLICE, counted
from 0, which is read from the file now.
Example: (begin (save-npy \"y.npy\" y) (tensor-shape (raw-scan-kspace (load-scan \"y.npy\") 0))) => (1 16 16)"
  (check-that (raw-scan? scan) 'raw-scan-kspace "scan: expected a raw scan, got ~s" scan)
  (match (raw-scan-shape scan)
    ((slices . rest)
     (if slice
         (begin
           (check-that (and (exact-integer? slice) (< -1 slice slices)) 'raw-scan-kspace
                       "slice: expected 0 to ~a, got ~s" (1- slices) slice)
           ((raw-scan-reader scan) slice))
         (let ((whole (tensor-zeros (cons slices rest) 'c64)))
           (for-each (lambda (k)
                       (with-scope
                        (lambda ()
                          (tensor-assign! (tensor-slice whole 0 k (1+ k)) ((raw-scan-reader scan) k))
                          #t)))
                     (iota slices))
           whole)))))

(define* (raw-scan-trajectory scan #:optional (slice 0))
  "Where the samples of SLICE of SCAN lie in k-space, f32 (rows columns dimensions), as the file has it;
#f where it has no trajectory, or a Cartesian one.
Example: (begin (save-npy \"y.npy\" y) (raw-scan-trajectory (load-scan \"y.npy\"))) => #f"
  (check-that (raw-scan? scan) 'raw-scan-trajectory "scan: expected a raw scan, got ~s" scan)
  (and=> (raw-scan-trajectory-reader scan) (lambda (read) (read slice))))

(define* (scan-pattern scan #:optional (slice 0))
  "How k-space of SLICE of SCAN was sampled, a picture for `show', f32 (rows columns): 1 where it was measured and 0
elsewhere; along a trajectory the number of samples in each cell of a grid with the spacing 1 / field of view, as wide
as the trajectory goes.
Example: (begin (save-npy \"y.npy\" y) (tensor-shape (scan-pattern (load-scan \"y.npy\")))) => (16 16)"
  (check-that (raw-scan? scan) 'scan-pattern "scan: expected a raw scan, got ~s" scan)
  (match (raw-scan-shape scan)
    ((slices _ rows columns)
     (check-that (and (exact-integer? slice) (< -1 slice slices)) 'scan-pattern
                 "slice: expected 0 to ~a, got ~s" (1- slices) slice)
     (let ((trajectory (raw-scan-trajectory scan slice)))
       (if trajectory
           (trajectory-pattern (plain-trajectory 'scan-pattern trajectory))
           (tensor-copy (tensor-broadcast (raw-scan-mask scan) (list rows columns))))))))

(define (print-raw-scan scan port)
  (match (raw-scan-shape scan)
    ((slices coils rows columns)
     (let ((recon (assq-ref (raw-scan-facts scan) 'recon)))
       (format port "#<raw scan ~a, ~a slice~a, ~a coil~a, ~a x ~a~a~a~a>" (basename (raw-scan-path scan))
               slices (if (= slices 1) "" "s") coils (if (= coils 1) "" "s") rows columns
               (if (raw-scan-trajectory-reader scan) " samples along a trajectory" "")
               (if recon (format #f ", image ~a x ~a" (first recon) (second recon)) "")
               (if (raw-scan-noise scan) ", noise scan" ""))))))

(set-record-type-printer! <raw-scan> print-raw-scan)

;;; --- Oversampling -----------------------------------------------

(define (central tensor axis length)
  ;; The LENGTH points of AXIS of TENSOR around its origin.
  (let ((begin (- (quotient (tensor-size tensor axis) 2) (quotient length 2))))
    (tensor-slice tensor axis begin (+ begin length))))

(define (along-rows transform kspace)
  "TRANSFORM, fft2 or ifft2, along the rows of KSPACE (coils rows columns) alone."
  (match (tensor-shape kspace)
    ((coils rows columns)
     (tensor-transpose
      (tensor-reshape (transform (tensor-reshape (tensor-copy (tensor-transpose kspace '(0 2 1)))
                                                 (list coils columns rows 1)))
                      (list coils columns rows))
      '(0 2 1)))))

(define (cropped-readout kspace length)
  ;; KSPACE (coils rows columns) with the field of view along its rows cut to LENGTH of them.
  (if (= length (tensor-size kspace 1))
      kspace
      (with-scope
       (lambda ()
         (tensor-copy (along-rows fft2 (central (along-rows ifft2 kspace) 1 length)))))))

(define (true-readout facts rows)
  ;; How many of ROWS are left when oversampling is removed, as the header says.
  (let ((encoded (car (or (assq-ref facts 'encoded-view) '(0))))
        (recon (car (or (assq-ref facts 'recon-view) '(0)))))
    (if (< 0 recon encoded)
        (max 1 (inexact->exact (round (* rows (/ recon encoded)))))
        rows)))

;;; --- fastMRI -------------------------------------------------------------------

(define (load-fastmri path oversampled?)
  (let* ((texts (hdf5-facts path))
         (facts (append (let ((header (assoc-ref texts "ismrmrd_header")))
                          (if header (header-facts 'load-scan path header) '()))
                        (map (lambda (entry) (cons (string->symbol (car entry)) (cdr entry)))
                             (remove (lambda (entry) (string=? "ismrmrd_header" (car entry))) texts))))
         (name (string-append path ":/kspace"))
         (mask (and (hdf5-shape path "mask") (tensor-reshape (load-hdf5 (string-append path ":/mask")) '(-1)))))
    (let*-values (((slices coils rows columns)
                   (match (hdf5-shape path "kspace")
                     ((slices rows columns) (values slices 1 rows columns))
                     ((slices coils rows columns) (values slices coils rows columns))
                     (shape (complain 'load-scan "~a: kspace: expected (slices rows columns) or (slices \
coils rows columns), got shape ~a" path shape))))
                  ((kept) (if oversampled? rows (true-readout facts rows)))
                  ((read) (lambda (k)
                            (let ((slice (load-hdf5 name #:first k)))
                              (check-that (eq? 'c64 (tensor-dtype slice)) 'load-scan
                                          "~a: kspace: expected complex numbers" path)
                              (cropped-readout (tensor-reshape slice (list coils rows columns)) kept)))))
      (check-that (and (positive? slices) (positive? coils)) 'load-scan "~a: kspace is empty" path)
      (check-that (or (not mask) (= columns (tensor-size mask 0))) 'load-scan
                  "~a: mask: expected ~a columns as kspace has, got ~a" path columns
                  (and mask (tensor-size mask 0)))
      (make-raw-scan path 'fastmri (list slices coils kept columns) facts #f read #f
                     (delay (or mask (measured-mask (read 0))))))))

;;; --- ISMRMRD -------------------------------------------------------------------

(define-record-type <line>
  (make-line index flags coils samples center pre post dimensions encoding step-1 step-2 average slice
             contrast phase repetition set position read-direction phase-direction slice-direction)
  line?
  (index line-index) (flags line-flags) (coils line-coils) (samples line-samples) (center line-center)
  (pre line-pre) (post line-post) (dimensions line-dimensions) (encoding line-encoding)
  (step-1 line-step-1) (step-2 line-step-2) (average line-average) (slice line-slice)
  (contrast line-contrast) (phase line-phase) (repetition line-repetition) (set line-set)
  (position line-position) (read-direction line-read-direction) (phase-direction line-phase-direction)
  (slice-direction line-slice-direction))

(define (flag? line . flags)
  ;; Whether LINE has one of FLAGS, as the standard counts them.
  (any (lambda (flag) (logbit? (1- flag) (line-flags line))) flags))

(define (noise? line) (flag? line 19))
(define (reversed? line) (flag? line 22))
(define (image? line)
  ;; Not noise, calibration alone, navigators, phase correction, feedback, dummies or surface coils.
  (not (flag? line 19 20 23 24 26 27 28 29 30 31)))

(define (same-of who path lines field name)
  ;; What FIELD gives for all LINES.
  (let ((values (delete-duplicates (map field lines))))
    (check-that (null? (cdr values)) who "~a: expected acquisitions with one number of ~a, got ~a" path name values)
    (car values)))

(define (line-samples-in-order line data)
  ;; The samples of LINE, DATA (coils samples), that are not discarded, in the order of k-space, and at
  ;; which sample of them the middle is.
  (let* ((from (line-pre line)) (to (- (line-samples line) (line-post line)))
         (kept (tensor-slice data 1 from to)))
    (if (reversed? line)
        (values (reversed-samples kept) (- (line-center line) (line-post line)))
        (values kept (- (line-center line) from)))))

(define (reversed-samples data)
  (tensor-concatenate (map (lambda (k) (tensor-slice data 1 k (1+ k))) (reverse (iota (tensor-size data 1))))
                      1))

(define (put-lines! target path lines place)
  ;; Add to TARGET (coils rows columns) the samples of LINES; (PLACE line) is the column of one, or #f;
  ;; columns with several, as of averages, become their means.
  (let* ((coils (tensor-size target 0)) (rows (tensor-size target 1)) (counts (make-hash-table)))
    (for-each
     (lambda (line found)
       (let-values (((samples middle) (line-samples-in-order line (car found))))
         (let* ((column (place line)) (begin (- (quotient rows 2) middle))
                (length (tensor-size samples 1)))
           (check-that (and (<= 0 begin) (<= (+ begin length) rows)) 'load-scan
                       "~a: acquisition ~a: its ~a samples around ~a do not fit the ~a of the encoded matrix"
                       path (line-index line) length middle rows)
           (check-that (< -1 column (tensor-size target 2)) 'load-scan
                       "~a: acquisition ~a: its encoding step lies outside the encoded matrix" path
                       (line-index line))
           (let ((place (tensor-slice (tensor-slice target 2 column (1+ column)) 1 begin (+ begin length))))
             (hashv-set! counts column (1+ (hashv-ref counts column 0)))
             (tensor-assign! place (tensor+ place (tensor-reshape (tensor-copy samples) (list coils length 1))))))))
     lines (ismrmrd-read path (map line-index lines)))
    (hash-for-each
     (lambda (column count)
       (when (> count 1)
         (let ((place (tensor-slice target 2 column (1+ column))))
           (tensor-assign! place (tensor* place (/ 1 count))))))
     counts)))

(define (sorted-lines path acquisitions chosen)
  ;; The lines of the image that CHOSEN, an alist of counters, picks.
  (let ((lines (filter image? acquisitions)))
    (check-that (pair? lines) 'load-scan "~a: it holds no acquisitions of an image" path)
    (fold (match-lambda*
            (((name field value) lines)
             (let ((those (filter (lambda (line) (= value (field line))) lines)))
               (check-that (pair? those) 'load-scan "#:~a: ~a has ~a, got ~a" name path
                           (sort (delete-duplicates (map field lines)) <) value)
               those)))
          lines
          (list (list 'encoding line-encoding (assq-ref chosen 'encoding))
                (list 'contrast line-contrast (assq-ref chosen 'contrast))
                (list 'phase line-phase (assq-ref chosen 'phase))
                (list 'repetition line-repetition (assq-ref chosen 'repetition))
                (list 'set line-set (assq-ref chosen 'set))))))

(define (noise-of path acquisitions coils)
  (let ((lines (filter (lambda (line) (and (noise? line) (= coils (line-coils line)))) acquisitions)))
    (and (pair? lines)
         (tensor-concatenate (map car (ismrmrd-read path (map line-index lines))) 1))))

(define (several-of lines)
  ;; What there is more than one of among LINES, for the facts.
  (filter-map (lambda (name field)
                (let ((values (delete-duplicates (map field lines))))
                  (and (pair? (cdr values)) (cons name (length values)))))
              '(averages contrasts phases repetitions sets)
              (list line-average line-contrast line-phase line-repetition line-set)))

(define (load-ismrmrd path oversampled? chosen)
  (let*-values (((found) (ismrmrd-header path))
                ((acquisitions) (map (lambda (numbers index) (apply make-line index numbers))
                                     (cdr found) (iota (length (cdr found)))))
                ((header) (header-facts 'load-scan path (car found)))
                ((lines) (sorted-lines path acquisitions chosen))
                ((facts) (append header (several-of (filter image? acquisitions))))
                ((coils) (same-of 'load-scan path lines line-coils "coils"))
                ((noise) (noise-of path acquisitions coils))
                ((slices) (sort (delete-duplicates (map line-slice lines)) <))
                ((of-slice) (lambda (k) (let ((slice (list-ref slices k)))
                                          (filter (lambda (line) (= slice (line-slice line))) lines)))))
    (for-each (lambda (line)
                (check-that (< (+ (line-pre line) (line-post line)) (line-samples line)) 'load-scan
                            "~a: acquisition ~a discards all its samples" path (line-index line)))
              lines)
    (if (and (assq-ref facts 'trajectory)
             (not (string-prefix-ci? "cartesian" (assq-ref facts 'trajectory))))
        (away-from-a-grid path facts noise coils slices of-slice)
        (on-a-grid path facts noise coils slices of-slice lines oversampled?))))

(define (away-from-a-grid path facts noise coils slices of-slice)
  (let* ((lines (append-map of-slice (iota (length slices))))
         (samples (same-of 'load-scan path lines line-samples "samples"))
         (readouts (same-of 'load-scan path (iota (length slices)) (lambda (k) (length (of-slice k))) "readouts a slice"))
         (read (lambda (k) (ismrmrd-read path (map line-index (of-slice k))))))
    (check-that (every (lambda (line) (positive? (line-dimensions line))) lines) 'load-scan
                "~a: its trajectory is ~a, and not in the file" path (assq-ref facts 'trajectory))
    (make-raw-scan
     path 'ismrmrd (list (length slices) coils readouts samples) facts noise
     (lambda (k)
       (tensor-concatenate (map (lambda (found) (tensor-reshape (car found) (list coils 1 samples))) (read k)) 1))
     (lambda (k)
       (tensor-concatenate (map (lambda (found) (tensor-reshape (cdr found) (cons 1 (tensor-shape (cdr found)))))
                                (read k))
                           0))
     (delay #f))))

(define (on-a-grid path facts noise coils slices of-slice lines oversampled?)
  (let*-values (((x y z) (apply values (or (assq-ref facts 'encoded)
                                           (list (apply max (map line-samples lines))
                                                 (1+ (apply max (map line-step-1 lines)))
                                                 (1+ (apply max (map line-step-2 lines)))))))
                ((rows) (max x (apply max (map line-samples lines))))
                ((kept) (if oversampled? rows (true-readout facts rows)))
                ((start) (lambda (n center) (if center (- (quotient n 2) center) 0)))
                ((column) (let ((offset (start y (assq-ref facts 'center-1))))
                            (lambda (line) (+ offset (line-step-1 line)))))
                ((partition) (let ((offset (start z (assq-ref facts 'center-2))))
                               (lambda (line) (+ offset (line-step-2 line)))))
                ((three?) (and (> z 1) (any (lambda (line) (> (line-step-2 line) 0)) lines)))
                ((columns) (if three? (* y z) y)))
    (check-that (<= (* rows columns coils) (* 64 (stat:size (stat path)))) 'load-scan
                "~a: its encoded matrix, ~a x ~a x ~a, is far beyond what the file holds" path x y z)
    (let* ((grid (lambda (lines place)
                   (let ((target (tensor-zeros (list coils rows columns) 'c64)))
                     (put-lines! target path lines place)
                     (cropped-readout target kept))))
           (volume (delay (keep-always! ; whoever reads the first slice may be in a scope
                              (along-rows ifft2 (grid lines (lambda (line)
                                                              (+ (* z (column line)) (partition line))))))))
           (read (if three?
                     (lambda (k) (tensor-reshape (tensor-copy (tensor-slice (force volume) 1 k (1+ k)))
                                                 (list coils y z)))
                     (lambda (k) (grid (of-slice k) column)))))
      (check-that (not (and three? (> (length slices) 1))) 'load-scan
                  "~a: expected one slab of a scan encoded in three dimensions, got ~a" path (length slices))
      (make-raw-scan path 'ismrmrd
                     (if three? (list kept coils y z) (list (length slices) coils kept y))
                     (append facts (header-place facts (list kept y z) three?
                                                 (map (lambda (k) (car (of-slice k))) (iota (length slices)))))
                     noise read #f
                     (delay (if three? (measured-mask (read (quotient kept 2))) (line-mask y column (of-slice 0))))))))

(define (header-place facts lengths three? lines)
  ;; Where the voxels lie, ((affine . THREE-ROWS)), by the headers of LINES, one of each slice; () where they do not say.
  ;; LENGTHS are those of the image along readout, phase encoding and slab.
  (let* ((scale (lambda (v s) (map (lambda (x) (* s x)) v)))
         (minus (lambda (a b) (map - a b)))
         (size (lambda (v) (sqrt (apply + (map * v v)))))
         (first-line (car lines)) (last-line (last lines))
         (steps (and (assq-ref facts 'encoded) (assq-ref facts 'encoded-view)
                     (map (lambda (view n) (/ view (max n 1))) (assq-ref facts 'encoded-view) (assq-ref facts 'encoded))))
         (directions (list (line-read-direction first-line) (line-phase-direction first-line)
                           (line-slice-direction first-line)))
         (vectors (and steps (map scale directions steps)))
         (between (minus (line-position last-line) (line-position first-line))))
    (if (and vectors
             (every (lambda (direction) (< 0.99 (size direction) 1.01)) directions)
             (every positive? steps)
             (or three? (null? (cdr lines)) (> (size between) 0)))
        ;; From the slowest of the image's axes to the fastest.
        (let* ((axes (if three?
                         vectors
                         (list (if (null? (cdr lines)) (third vectors) (scale between (/ (1- (length lines)))))
                               (first vectors) (second vectors))))
               (halves (map (lambda (n) (quotient n 2)) (if three? lengths (cons 0 (take lengths 2)))))
               (origin (fold (lambda (axis half at) (minus at (scale axis half))) (line-position first-line) axes halves))
               ;; Towards right and anterior, as NIfTI has it.
               (row (lambda (sign k) (map (lambda (v) (* sign (list-ref v k)))
                                          (append (reverse axes) (list origin))))))
          `((affine ,(row -1 0) ,(row -1 1) ,(row 1 2))))
        '())))

(define (line-mask columns column lines)
  ;; The columns that LINES measure.
  (let ((there (map column lines)))
    (tensor-tabulate (list columns) (lambda (k) (if (memv k there) 1 0)))))

;;; --- Any other file ---------------------------------------------------------------

(define (load-array path first-axis)
  (let* ((kspace (load-kspace path))
         (shape (match (tensor-shape kspace)
                  ((rows columns) (list 1 1 rows columns))
                  ((n rows columns) (if (eq? first-axis 'slices) (list n 1 rows columns) (list 1 n rows columns)))
                  ((slices coils rows columns) (list slices coils rows columns))
                  (shape (complain 'load-scan "~a: expected k-space (rows columns), (coils rows columns) or \
(slices coils rows columns), got shape ~a" path shape)))))
    (check-that (every positive? shape) 'load-scan "~a: it holds no numbers, its shape is ~a" path shape)
    (whole-scan path (tensor-reshape kspace shape))))

(define* (whole-scan path kspace #:optional (trajectory #f))
  ;; Of KSPACE (slices coils rows columns), which is in memory; TRAJECTORY is #f or a procedure of a slice.
  (let* ((shape (tensor-shape kspace))
         (read (lambda (k) (tensor-reshape (tensor-copy (tensor-slice kspace 0 k (1+ k))) (cdr shape)))))
    (make-raw-scan path 'array shape '() #f read trajectory (delay (and (not trajectory) (measured-mask (read 0)))))))

;;; --- BART -----------------------------------------------------------------------

(define (load-bart-scan path)
  ;; BART's axes 0 to 2 are those of k-space, 3 is of coils, 13 of slices.
  (match (bart-lengths path)
    ((x y z coils . others)
     (let ((slices (list-ref others 9)) (kspace (load-kspace path)))
       (check-that (= slices (apply * others)) 'load-scan
                   "~a: expected k-space, coils and slices (axes 0 to 3 and 13), got lengths ~a" path
                   (cons* x y z coils others))
       (check-that (or (= z 1) (= slices 1)) 'load-scan
                   "~a: expected one slab of a scan encoded in three dimensions, got ~a" path slices)
       (if (= z 1)
           (whole-scan path (tensor-reshape kspace (list slices coils x y)))
           (let ((along-x (tensor-reshape (tensor-copy (tensor-transpose (tensor-reshape kspace (list coils z x y))
                                                                         '(0 2 3 1)))
                                          (list coils x (* y z)))))
             (whole-scan path (tensor-reshape (tensor-copy (tensor-transpose (along-rows ifft2 along-x) '(1 0 2)))
                                              (list x coils y z)))))))))

(define (bart? path)
  (or (eq? 'bart (file-format path)) (and (eq? 'header (file-format path)) (bart-header? path))))

(define (raw-file-kind path)
  "What raw data PATH holds, by the names of its arrays: ismrmrd, fastmri, or #f when it is neither or FILE:/NAME.
Example: (begin (save-npy \"y.npy\" y) (raw-file-kind \"y.npy\")) => #f"
  (let*-values (((file member) (file-and-member path))
                ((names) (if (and (not member) (eq? 'hdf5 (file-format path)))
                             (map car (file-items 'hdf5 path))
                             '())))
    (cond ((every (lambda (name) (member? name names)) '("dataset/xml" "dataset/data")) 'ismrmrd)
          ((member? "kspace" names) 'fastmri)
          (else #f))))

(define (member? name names) (and (member name names) #t))

(define (load-along-trajectory path trajectory first-axis)
  ;; K-space of an array, measured along TRAJECTORY, f32 (readouts samples 2): with any axes of length 1, as BART has
  ;; (1 samples readouts coils).
  (match (tensor-shape trajectory)
    ((readouts samples _)
     (let* ((kspace (load-kspace path))
            (shape (delete 1 (tensor-shape kspace)))
            (points (delete 1 (list readouts samples)))
            (leading (- (length shape) (length points))))
       (check-that (and (<= 0 leading 2) (equal? points (drop shape leading))) 'load-scan
                   "~a: expected k-space of ~a readouts of ~a samples, as the trajectory has, or with axes of coils, and slices, \
before them; got shape ~a" path readouts samples (tensor-shape kspace))
       (let ((slices-and-coils (match (take shape leading)
                                 (() '(1 1))
                                 ((n) (if (eq? first-axis 'slices) (list n 1) (list 1 n)))
                                 (both both))))
         (whole-scan path (tensor-reshape kspace (append slices-and-coils (list readouts samples)))
                     (const trajectory)))))
    (shape (complain 'load-scan "trajectory: expected one (readouts samples 2), got shape ~a" shape))))

(define* (load-scan path #:key (oversampled? #f) (first-axis 'coils) (trajectory #f) (encoding 0) (contrast 0) (phase 0)
                    (repetition 0) (set 0))
  "What the raw file PATH holds: ISMRMRD, fastMRI's HDF5, or k-space that `load-kspace' reads.
It prints what there is, and k-space is read by slice (`raw-scan-kspace').  Readout oversampling is
removed as the header says, but with OVERSAMPLED?.  FIRST-AXIS says what the first of three axes of plain
k-space is, coils or slices.  TRAJECTORY, f32 (readouts samples 2), or the file of one (`load-trajectory'), says along what
an array was measured that is no grid: (readouts samples), (coils readouts samples) or (slices coils readouts samples), or
BART's.  Of an ISMRMRD file with several, ENCODING, CONTRAST, PHASE, REPETITION and
SET choose one; averages become their mean, noise scans are kept apart, and other lines that are not of
the image left out.
Example: (begin (save-npy \"y.npy\" y) (load-scan \"y.npy\")) => #<raw scan y.npy, 1 slice, 1 coil, 16 x 16>"
  (check-path 'load-scan path)
  (check-that (memq first-axis '(coils slices)) 'load-scan "#:first-axis: expected coils or slices, got ~s"
              first-axis)
  (check-that (or (file-exists? path) (string-contains path ":/")) 'load-scan "~a: no such file" path)
  (check-that (or (not trajectory) (not (raw-file-kind path))) 'load-scan
              "#:trajectory: expected none of ~a, which says itself where it was measured" path)
  (case (raw-file-kind path)
    ((ismrmrd) (load-ismrmrd path oversampled?
                             `((encoding . ,encoding) (contrast . ,contrast) (phase . ,phase)
                               (repetition . ,repetition) (set . ,set))))
    ((fastmri) (load-fastmri path oversampled?))
    (else
     (cond (trajectory
            (load-along-trajectory path (if (string? trajectory) (load-trajectory trajectory)
                                            (plain-trajectory 'load-scan trajectory))
                                   first-axis))
           ((bart? path) (load-bart-scan path))
           (else (load-array path first-axis))))))
