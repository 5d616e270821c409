;;; slices.scm -- slices of real heads: one as it is, and endless variations to train on.
;;;
;;; `scan-slice' is a plane of a volume in square pixels.  `random-slices' makes a batch of them: any slice in any of the three orientations whose voxels are
;;; near to square, moved, turned, scaled, in another contrast, as some scanner has it (acquisition.scm).
;;; Item i of stream s is a function of the seed, s and i alone.

(define-module (tempera data slices)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera data acquisition)
  #:use-module (tempera data dataset)
  #:use-module (tempera data scans)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (scan-slice random-slices))

(define (choose u items)
  (list-ref items (min (1- (length items)) (inexact->exact (floor (u 0 (length items)))))))

(define (voxels-per-pixel spacing axis)
  ;; Rows and columns of a plane across AXIS to a square pixel, as wide as its voxels are long: one
  ;; as long as they are wide would be interpolated, and blurred, in one direction.
  (let* ((plane (map (lambda (k) (list-ref spacing k)) (delete axis '(0 1 2))))
         (pixel (apply max plane)))
    (map (lambda (s) (let ((ratio (/ pixel s))) (if (< ratio 1.01) 1 ratio))) plane)))

(define (plane scan axis first end)
  ;; Slices FIRST to END across AXIS of SCAN, f32 (slices rows columns).
  (tensor-transpose (tensor-slice (scan-volume scan) axis first end) (cons axis (delete axis '(0 1 2)))))

(define* (scan-slice scan index #:key (axis 0) (size #f))
  "Slice INDEX of SCAN across AXIS, 0 (axial), 1 (coronal) or 2 (sagittal), f32 (SIZE SIZE): in square
pixels, as wide as its voxels are long, in the middle of zeros.  SIZE is by default the least multiple
of 16 that holds the slice; where it is less, the margins are cut off.  The voxels' values are kept
where voxels are square.
Example: (tensor-shape (scan-slice (car (dataset-scans (load-dataset))) 6)) => (32 32)"
  (check-that (scan? scan) 'scan-slice "scan: expected one, as in (dataset-scans (load-dataset)), got ~s" scan)
  (check-that (memv axis (square-axes (scan-spacing scan))) 'scan-slice
              "axis: expected one across which the voxels of ~a are near to square, of ~a, got ~s"
              (scan-name scan) (square-axes (scan-spacing scan)) axis)
  (let ((slices (list-ref (scan-shape scan) axis)))
    (check-that (and (exact-integer? index) (< -1 index slices)) 'scan-slice
                "index: expected an integer from 0 to ~a, got ~s" (1- slices) index))
  (match (cons* (voxels-per-pixel (scan-spacing scan) axis) (delete-at axis (scan-shape scan)))
    (((per-row per-column) rows columns)
     (let* ((pixels (lambda (voxels per) (inexact->exact (ceiling (/ voxels per)))))
            (most (max (pixels rows per-row) (pixels columns per-column)))
            (size (or size (* 16 (quotient (+ most 15) 16))))
            (first-voxel (lambda (voxels per)
                           (let ((at (- (/ (1- voxels) 2) (* per (/ (1- size) 2)))))
                             (if (eqv? per 1) (floor at) at)))))
       (check-that (and (exact-integer? size) (<= 8 size 4096)) 'scan-slice
                   "size: expected an integer from 8 to 4096, got ~s" size)
       (tensor-reshape
        (image-resample (plane scan axis index (1+ index))
                        (list per-row 0 (first-voxel rows per-row)
                              0 per-column (first-voxel columns per-column))
                        size size 1)
        (list size size))))))

(define (delete-at k items)
  (append (list-head items k) (list-tail items (1+ k))))

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
         (slab (plane scan axis first-slice (+ first-slice thickness))))
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

(define* (random-slices dataset count size #:key (seed 0) (stream 0) (fit 0.3) (weight (const 1)))
  "A batch of COUNT complex images, c64 (COUNT SIZE SIZE), made from slices of DATASET
chosen, moved, turned, scaled, and given another contrast, gain, phase and noise floor at random
(data/acquisition.scm states the mixture);
the 99.9th percentile of magnitude is at 150 times a factor from 0.7 to 1.3 (lower
where there is hardly any tissue).  FIT is the share of images whose field of view
holds the whole slice; in the others a pixel is 0.7 to 1.3 of the slice's.  Pixels are square, by the
scans' spacing, and planes in which voxels are 1.5 times as long as wide are not taken.  Persons
are drawn evenly, or by the WEIGHT of a scan: a procedure of it, of which a person has the mean over
theirs.  The same SEED and STREAM (a training step's number, say) give the
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
  (with-scope (lambda () (make-slices dataset count size seed stream fit weight))))

;; A procedure of a `uniform-source' that gives one of SCANS.  A scan's chance is its WEIGHT over the
;; number of scans of its person.
(define (scan-chooser scans weight)
  (let* ((chances (map (lambda (scan)
                         (let ((w (weight scan)))
                           (check-that (and (real? w) (finite? w) (>= w 0)) 'random-slices
                                       "weight: expected numbers of 0 or more, got ~s for ~a" w
                                       (scan-name scan))
                           (/ w (count (lambda (other) (equal? (scan-person scan) (scan-person other)))
                                       scans))))
                       scans))
         (total (apply + chances)))
    (check-that (> total 0) 'random-slices "weight: expected a scan of more than 0, got none")
    (lambda (u)
      (let loop ((left (u 0 total)) (scans scans) (chances chances))
        (if (or (null? (cdr scans)) (< left (car chances)))
            (car scans)
            (loop (- left (car chances)) (cdr scans) (cdr chances)))))))

(define (make-slices dataset count size seed stream fit weight)
  (let* ((draws (tensor->list (random-uniform (list count draws-per-image) seed
                                              (random-stream 'slices stream))))
         (sources (let loop ((k 0) (draws draws))
                    (if (= k count)
                        '()
                        (cons (uniform-source (take draws draws-per-image))
                              (loop (1+ k) (drop draws draws-per-image))))))
         (pick (scan-chooser (dataset-scans dataset) weight))
         (slices (tensor-concatenate
                  (map-in-order (lambda (u) (random-slice u (pick u) size fit)) sources)
                  0))
         (knots (list->tensor (append-map random-tone sources) (list count (1+ tone-steps)))))
    (random-acquisition (image-tone slices knots tone-top) sources seed stream)))
