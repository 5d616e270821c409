;;; volumes.scm -- volumes of patients: NIfTI and MGH files, which way is up, voxels that are NaN.
;;;
;;; Where a file says where its voxels lie, that is an affine: three rows of four numbers, for millimetres
;;; towards right, anterior and superior from the indices of a voxel, the tensor's last axis first,
;;; and 1, as NIfTI has it.

(define-module (tempera file volumes)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:export (load-nifti load-mgh save-nifti save-mgh volume-affine upright-affine zero-for-nan turn-upright
            three-axes))

(define (zero-for-nan path volume nan-is-zero?)
  "VOLUME with 0 where it is NaN if NAN-IS-ZERO?; how often that was in the file PATH is said."
  (cond ((or (not nan-is-zero?) (tensor-finite? volume)) volume)
        ((eq? 'c64 (tensor-dtype volume)) (complex-view (zero-for-nan path (real-view volume) #t)))
        (else
         ;; NaN is neither below infinity nor above 0; and to the power of 0 it is 1, as all is.
         (let* ((good (tensor-minimum 1 (tensor+ (tensor< volume +inf.0) (tensor< 0 volume))))
                (bad (tensor- 1 good))
                (count (inexact->exact (round (tensor->number (tensor-sum bad))))))
           (when (> count 0)            ; else some are infinite
             (format (current-error-port) "~a: ~a voxels that are NaN become 0~%" path count))
           (tensor- (tensor-power volume good) bad)))))

(define (volume-values read path volume nan-is-zero?)
  (match (read path volume)
    ((tensor spacing orientation affine)
     (values (zero-for-nan path tensor nan-is-zero?) spacing orientation affine))))

(define* (load-nifti path #:key (volume #f) (nan-is-zero? #f))
  "The volume in the NIfTI file PATH (.nii, .nii.gz, or a pair of .hdr and .img; NIfTI-1 or -2) as f32, or c64
when it is complex, its slowest axis first, with the file's slope and intercept applied.  Of a file
with several, VOLUME, counted from 0, is the one that is read; without it all are, on axes before the
last three.  Three values follow: the millimetres between voxels along each axis; three letters for
the directions in which the last three axes rise, such as \"SAR\" (superior, anterior, right), or \"???\"
where the file does not say; and its affine, three rows of four numbers, or #f.  Voxels that are NaN, as
some programs leave where there is no head, become 0 if NAN-IS-ZERO?, and how many is said.
Example: (begin (save-nifti \"a.nii\" (tensor-abs scan)) (tensor-shape (load-nifti \"a.nii\"))) => (16 16)"
  (volume-values read-nifti path volume nan-is-zero?))

(define* (load-mgh path #:key (volume #f) (nan-is-zero? #f))
  "The volume in FreeSurfer's file PATH, .mgh or .mgz, with the values and options of `load-nifti'.
Example: (begin (save-mgh \"a.mgz\" (tensor-abs scan)) (tensor-shape (load-mgh \"a.mgz\"))) => (1 16 16)"
  (volume-values read-mgh path volume nan-is-zero?))

(define (spacing-of who tensor spacing affine)
  ;; A number for each axis of TENSOR: the lengths of AFFINE's columns, of the last three axes; else SPACING.
  (check-that (tensor? tensor) who "tensor: expected a tensor, got ~s" tensor)
  (check-that (or (not affine) (and (list? affine) (= 3 (length affine))
                                    (every (lambda (row) (and (list? row) (= 4 (length row)) (every real? row)))
                                           affine)))
              who "affine: expected three rows of four numbers, got ~s" affine)
  (let ((rank (length (tensor-shape tensor))))
    (check-that (or (not spacing) (and (list? spacing) (= rank (length spacing)) (every real? spacing)
                                       (every positive? spacing)))
                who "spacing: expected a positive number for each of ~a axes, got ~s" rank spacing)
    (let ((given (or spacing (make-list rank 1))))
      (if affine
          (let ((columns (map (lambda (column)
                                (sqrt (apply + (map (lambda (row) (expt (list-ref row column) 2)) affine))))
                              '(2 1 0)))
                (placed (min 3 rank)))
            (append (drop-right given placed) (take-right columns placed)))
          given))))

(define* (save-nifti path tensor #:key (spacing #f) (affine #f) (note ""))
  "Write TENSOR, f32 or c64 with its slowest axis first, to the NIfTI file PATH, .nii or .nii.gz:
NIfTI-1, or -2 when an axis has more than 32767 points.  AFFINE, as `load-nifti' and `volume-affine'
give it, says where the voxels lie; SPACING, 1 by default, is the millimetres between them along each
axis, where AFFINE does not say it.  NOTE, of which 79 bytes are kept, is the file's description.
Example: (save-nifti \"mean.nii.gz\" (chain-mean chain) #:spacing '(1 1))"
  (write-nifti path tensor (spacing-of 'save-nifti tensor spacing affine) affine note))

(define* (save-mgh path tensor #:key (spacing #f) (affine #f))
  "Write TENSOR, f32 of two to four axes, to FreeSurfer's file PATH, .mgh or, compressed, .mgz, with SPACING
and AFFINE as `save-nifti' has them.
Example: (save-mgh \"mean.mgz\" (tensor-abs scan) #:spacing '(1 1))"
  (write-mgh path tensor (spacing-of 'save-mgh tensor spacing affine) affine))

(define (volume-affine shape spacing orientation)
  "The affine of a volume of SHAPE whose axes rise in the directions ORIENTATION, three letters, with SPACING
millimetres between its voxels: three numbers each, the slowest axis first.  Its middle is at 0.
Example: (volume-affine '(3 5 5) '(2 1 1) \"IPL\") => ((-1 0 0 2) (0 -1 0 2) (0 0 -2 2))"
  (check-that (every (lambda (three) (and (list? three) (= 3 (length three)) (every real? three)))
                     (list shape spacing))
              'volume-affine "shape, spacing: expected three numbers each, got ~s and ~s" shape spacing)
  (let ((axes (axes-of 'volume-affine orientation "RAS")))
    (map (lambda (axis letter)
           (let ((step (* (if (eqv? letter (string-ref orientation axis)) 1 -1) (list-ref spacing axis))))
             (append (map (lambda (k) (if (= k axis) step 0)) '(2 1 0))
                     (list (* -1/2 step (1- (list-ref shape axis)))))))
         axes (string->list "RAS"))))

(define upright
  ;; Slowest axis down to the feet, rows down to the back, columns to the
  ;; patient's left: slices along any axis look as radiologists show them.
  "IPL")

(define (opposite letter)
  (cdr (assv letter '((#\L . #\R) (#\R . #\L) (#\A . #\P) (#\P . #\A) (#\I . #\S) (#\S . #\I)))))

(define (axes-of who orientation wanted)
  ;; The axis of ORIENTATION, three letters, that rises or falls along each direction of WANTED.
  (check-that (and (string? orientation) (= 3 (string-length orientation))) who
              "orientation: expected three letters, got ~s" orientation)
  (map (lambda (letter)
         (or (list-index (lambda (l) (memv l (list letter (opposite letter)))) (string->list orientation))
             (complain who "orientation: expected three letters, one of each \
of LR, AP and IS, got ~a" orientation)))
       (string->list wanted)))

(define (turn-upright who volume spacing orientation)
  "VOLUME, of three axes that rise in the directions ORIENTATION, three letters, with SPACING along
them, turned to IPL: slices down to the feet, rows down to the back, columns to the patient's left.
Two values, the volume and its spacing.  Errors are of WHO."
  (let* ((axes (axes-of who orientation upright))
         (backward (map (lambda (axis letter) (not (eqv? (string-ref orientation axis) letter)))
                        axes (string->list upright))))
    (values (if (eq? 'c64 (tensor-dtype volume))
                (complex-view (image-reorient (real-view volume) (append axes '(3)) (append backward '(#f))))
                (image-reorient volume axes backward))
            (map (lambda (axis) (list-ref spacing axis)) axes))))

(define (upright-affine who affine shape orientation)
  "AFFINE, of a volume of SHAPE whose axes rise in the directions ORIENTATION, as it is when `turn-upright' has
turned it.  Errors are of WHO."
  (let* ((axes (axes-of who orientation upright))
         (moved (filter-map (lambda (axis letter) (and (not (eqv? (string-ref orientation axis) letter)) axis))
                            axes (string->list upright))))
    (map (lambda (row)
           (let ((steps (reverse (take row 3)))) ; the slowest axis first
             (append (reverse (map (lambda (axis) (* (if (memv axis moved) -1 1) (list-ref steps axis))) axes))
                     (list (fold (lambda (axis at) (+ at (* (list-ref steps axis) (1- (list-ref shape axis)))))
                                 (fourth row) moved)))))
         affine)))

(define (three-axes volume spacing)
  "VOLUME without axes of one point before its last three, such as time's, or with one slice, and
SPACING as it is then."
  (let* ((shape (tensor-shape volume)) (extra (- (length shape) 3)))
    (cond ((and (> extra 0) (every (lambda (n) (= n 1)) (take shape extra)))
           (values (tensor-reshape volume (drop shape extra)) (drop spacing extra)))
          ((= extra -1)
           (values (tensor-reshape volume (cons 1 shape)) (cons 1.0 spacing)))
          (else (values volume spacing)))))
