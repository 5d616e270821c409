;;; masks.scm -- which columns of k-space a scan acquires.
;;;
;;; A mask is f32 (W) of 0 and 1 over centred columns.  The columns around the middle are always
;;; acquired, and about W / acceleration in all.

(define-module (tempera problem masks)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:export (random-mask equispaced-mask))

(define (usual-center-fraction acceleration)
  ;; The fastMRI benchmark's: 0.08 at acceleration 4, 0.04 at 8.
  (/ 0.32 acceleration))

;; Of COLUMNS the ACCELERATION leaves those of the middle, from FIRST up to END, and WANTED more, a
;; real number, outside of it.
(define-record-type <plan>
  (%make-plan columns acceleration first end wanted)
  plan?
  (columns plan-columns)
  (acceleration plan-acceleration)
  (first plan-first)
  (end plan-end)
  (wanted plan-wanted))

(define (make-plan procedure columns acceleration center-fraction seed)
  (check-that (and (exact-integer? columns) (> columns 0)) procedure
              "columns: expected a positive integer, got ~s" columns)
  (check-that (and (real? acceleration) (finite? acceleration) (>= acceleration 1)) procedure
              "acceleration: expected a number of 1 or more, got ~s" acceleration)
  (check-that (or (not center-fraction) (and (real? center-fraction) (<= 0 center-fraction 1)))
              procedure "center-fraction: expected a number from 0 to 1, got ~s" center-fraction)
  (check-seed procedure seed)
  (let* ((fraction (or center-fraction (usual-center-fraction acceleration)))
         (middle (inexact->exact (floor (+ 1/2 (* columns fraction)))))
         (first (quotient (- (1+ columns) middle) 2))
         (wanted (- (exact->inexact (/ columns acceleration)) middle)))
    (check-that (>= wanted 0) procedure
                "center-fraction: the centre alone, ~a of ~a columns, exceeds acceleration ~a"
                middle columns acceleration)
    (%make-plan columns acceleration first (+ first middle) wanted)))

(define (outside plan)
  ;; How many columns are not of the middle.
  (- (plan-columns plan) (- (plan-end plan) (plan-first plan))))

(define (mask procedure plan acquired?)
  ;; 1 in the middle and where ACQUIRED? is true of a column.
  (let ((entries (map (lambda (c)
                        (if (or (< (1- (plan-first plan)) c (plan-end plan)) (acquired? c)) 1 0))
                      (iota (plan-columns plan)))))
    (check-that (memv 1 entries) procedure "acceleration: no column of ~a is left at ~a"
                (plan-columns plan) (plan-acceleration plan))
    (list->tensor entries)))

(define (uniforms count seed)
  (list->vector (tensor->list (random-uniform (list count) seed (random-stream 'mask)))))

(define* (random-mask columns #:key (acceleration 4) center-fraction (seed 0))
  "A mask over COLUMNS centred k-space columns, f32 (COLUMNS) of 0 and 1: the
CENTER-FRACTION around the middle (0.32 / ACCELERATION unless given), and each
other column with the probability that makes COLUMNS / ACCELERATION in all on
average.  Source: Zbontar et al. 2018, knees.
Example: (random-mask 256 #:acceleration 4 #:seed 1)"
  (let* ((plan (make-plan 'random-mask columns acceleration center-fraction seed))
         (probability (/ (plan-wanted plan) (max 1 (outside plan))))
         (u (uniforms columns seed)))
    (mask 'random-mask plan (lambda (c) (< (vector-ref u c) probability)))))

(define* (equispaced-mask columns #:key (acceleration 4) center-fraction (seed 0))
  "The same with the columns outside the middle at equal spacing, from a random
first one.  Source: Zbontar et al. 2018, brains.
Example: (equispaced-mask 256 #:acceleration 8)"
  (let* ((plan (make-plan 'equispaced-mask columns acceleration center-fraction seed))
         (chosen (make-vector columns #f)))
    (when (>= (plan-wanted plan) 1)
      ;; At equal spacing where columns are counted without the middle.
      (let ((spacing (/ (outside plan) (plan-wanted plan))))
        (let loop ((at (* spacing (vector-ref (uniforms 1 seed) 0))))
          (when (< at (outside plan))
            (let ((k (inexact->exact (truncate at))))
              (vector-set! chosen
                           (if (< k (plan-first plan)) k (+ k (- columns (outside plan))))
                           #t))
            (loop (+ at spacing))))))
    (mask 'equispaced-mask plan (lambda (c) (vector-ref chosen c)))))
