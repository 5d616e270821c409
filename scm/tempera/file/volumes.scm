;;; volumes.scm -- volumes of patients: NIfTI files, which way is up, voxels that are NaN.

(define-module (tempera file volumes)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:export (load-nifti zero-for-nan turn-upright three-axes))

(define (zero-for-nan path volume nan-is-zero?)
  "VOLUME, f32, with 0 where it is NaN if NAN-IS-ZERO?; how often that was in the file PATH is said."
  (if (or (not nan-is-zero?) (tensor-finite? volume))
      volume
      ;; NaN is neither below infinity nor above 0; and to the power of 0 it is 1, as all is.
      (let* ((good (tensor-minimum 1 (tensor+ (tensor< volume +inf.0) (tensor< 0 volume))))
             (bad (tensor- 1 good))
             (count (inexact->exact (round (tensor->number (tensor-sum bad))))))
        (when (> count 0)               ; else some are infinite
          (format (current-error-port) "~a: ~a voxels that are NaN become 0~%" path count))
        (tensor- (tensor-power volume good) bad))))

(define* (load-nifti path #:key (nan-is-zero? #f))
  "The volume in the NIfTI-1 file PATH (.nii, .nii.gz) as f32, its slowest axis
first, with the file's slope and intercept applied.  Two values follow it: the
millimetres between voxels along each axis, and three letters for the directions
in which the last three axes rise, such as \"SAR\" (superior, anterior, right),
or \"???\" where the file does not say.  Voxels that are NaN, as some programs leave
where there is no head, become 0 if NAN-IS-ZERO?, and how many is said.
Example: (catch 'tempera-error (lambda () (load-nifti \"missing.nii\")) (const 'missing)) => missing"
  (match (read-nifti path)
    ((volume spacing orientation)
     (values (zero-for-nan path volume nan-is-zero?) spacing orientation))))

(define upright
  ;; Slowest axis down to the feet, rows down to the back, columns to the
  ;; patient's left: slices along any axis look as radiologists show them.
  "IPL")

(define (opposite letter)
  (cdr (assv letter '((#\L . #\R) (#\R . #\L) (#\A . #\P) (#\P . #\A) (#\I . #\S) (#\S . #\I)))))

(define (turn-upright who volume spacing orientation)
  "VOLUME, of three axes that rise in the directions ORIENTATION, three letters, with SPACING along
them, turned to IPL: slices down to the feet, rows down to the back, columns to the patient's left.
Two values, the volume and its spacing.  Errors are of WHO."
  (check-that (= 3 (string-length orientation)) who "orientation: expected three letters, got ~s"
              orientation)
  (let* ((letters (string->list orientation))
         (axis-of (lambda (letter)
                    (or (list-index (lambda (l) (memv l (list letter (opposite letter)))) letters)
                        (complain who "orientation: expected three letters, one of each \
of LR, AP and IS, got ~a" orientation))))
         (axes (map axis-of (string->list upright))))
    (values (image-reorient volume axes
                            (map (lambda (axis letter) (not (eqv? (list-ref letters axis) letter)))
                                 axes (string->list upright)))
            (map (lambda (axis) (list-ref spacing axis)) axes))))

(define (three-axes volume spacing)
  "VOLUME without axes of one point before its last three, such as time's, or with one slice, and
SPACING as it is then."
  (let* ((shape (tensor-shape volume)) (extra (- (length shape) 3)))
    (cond ((and (> extra 0) (every (lambda (n) (= n 1)) (take shape extra)))
           (values (tensor-reshape volume (drop shape extra)) (drop spacing extra)))
          ((= extra -1)
           (values (tensor-reshape volume (cons 1 shape)) (cons 1.0 spacing)))
          (else (values volume spacing)))))
