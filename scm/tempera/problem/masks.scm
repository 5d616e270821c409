;;; masks.scm -- which points of k-space a scan acquires.
;;;
;;; A mask is f32 of 0 and 1 over centred k-space, (columns) or (rows columns): of columns where rows are
;;; read out whole, of points where both directions are phase-encoded.  What is around the middle is
;;; always acquired, and about one in ACCELERATION in all.

(define-module (tempera problem masks)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera base streams)
  #:use-module (tempera file formats)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (random-mask equispaced-mask gaussian-mask poisson-mask caipirinha-mask partial-fourier
            load-mask plain-mask))

;;; --- Columns ----------------------------------------------------------------------

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

(define* (equispaced-mask columns #:key (acceleration 4) center-fraction (seed 0) offset)
  "The same with the columns outside the middle at equal spacing, from a random
first one.  Source: Zbontar et al. 2018, brains.  With OFFSET every column is ACCELERATION, an integer, from
the next, through the middle too, so that somewhat more of them are acquired: a number, that of the
first, as scanners and the benchmark's test data have it; or conjugate, where columns left of the middle lie
between the mirrored ones at its right, since an image of slow phase has k-space nearly conjugate
symmetric (Defazio 2019, knees).
Example: (equispaced-mask 256 #:acceleration 8)"
  (if offset
      (equispaced-through columns acceleration center-fraction seed offset)
      (equispaced-beside columns acceleration center-fraction seed)))

(define (equispaced-through columns acceleration center-fraction seed offset)
  (let ((plan (make-plan 'equispaced-mask columns acceleration center-fraction seed))
        (middle (quotient columns 2)))
    (check-that (exact-integer? acceleration) 'equispaced-mask
                "acceleration: expected an integer with #:offset, got ~s" acceleration)
    (check-that (or (eq? offset 'conjugate)
                    (and (exact-integer? offset) (< -1 offset acceleration)))
                'equispaced-mask "offset: expected an integer from 0 to ~a, or conjugate, got ~s"
                (1- acceleration) offset)
    (mask 'equispaced-mask plan
          (if (eq? offset 'conjugate)
              ;; At frequencies a, a + R, ... and -(b, b + R, ...) with b half of R from a.
              (let* ((at (inexact->exact (floor (* acceleration (vector-ref (uniforms 1 seed) 0)))))
                     (mirrored (+ at (max 1 (quotient acceleration 2)))))
                (lambda (c)
                  (let ((k (- c middle)))
                    (zero? (modulo (if (>= k 0) (- k at) (- (- k) mirrored)) acceleration)))))
              (lambda (c) (= offset (modulo c acceleration)))))))

(define (equispaced-beside columns acceleration center-fraction seed)
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

;;; --- Points -----------------------------------------------------------------------

(define (check-size procedure size)
  (check-that (and (list? size) (= 2 (length size)) (every (lambda (n) (and (exact-integer? n) (> n 0))) size))
              procedure "size: expected (rows columns), got ~s" size))

(define (check-acceleration procedure acceleration)
  (check-that (and (real? acceleration) (finite? acceleration) (>= acceleration 1)) procedure
              "acceleration: expected a number of 1 or more, got ~s" acceleration))

(define (check-calibration procedure calibration size)
  (check-that (and (list? calibration) (= (length calibration) (length size))
                   (every (lambda (n most) (and (exact-integer? n) (<= 0 n most))) calibration size))
              procedure "calibration: expected ~a lengths of the middle, up to ~a, got ~s" (length size) size
              calibration))

(define (in-calibration? calibration size)
  ;; Of the indices of a point: whether it is in the middle CALIBRATION lengths of SIZE.
  (let ((begins (map (lambda (n m) (- (quotient n 2) (quotient m 2))) size calibration)))
    (lambda indices
      (every (lambda (i begin m) (< -1 (- i begin) m)) indices begins calibration))))

(define (usual-calibration size)
  ;; 24 lines, or a quarter of those that there are.
  (map (lambda (n) (min 24 (quotient n 4))) size))

(define* (gaussian-mask size #:key (acceleration 4) calibration (width 1/4) (seed 0))
  "A mask over SIZE, columns or (rows columns): about one in ACCELERATION of all in all, the middle
CALIBRATION, a list of lengths, and others drawn without replacement with a density that falls off from the
middle as a Gaussian of standard deviation WIDTH times the length of each axis.  CALIBRATION: 0.32 /
ACCELERATION of columns, as of `random-mask', or of points 24 along each axis, and at most a quarter of it,
unless given.
Example: (tensor-shape (gaussian-mask '(230 180) #:acceleration 8)) => (230 180)"
  (let ((size (if (list? size) size (list size))))
    (check-that (and (memv (length size) '(1 2)) (every (lambda (n) (and (exact-integer? n) (> n 0))) size))
                'gaussian-mask "size: expected columns or (rows columns), got ~s" size)
    (check-acceleration 'gaussian-mask acceleration)
    (check-that (and (real? width) (finite? width) (> width 0)) 'gaussian-mask
                "width: expected a positive number, got ~s" width)
    (check-seed 'gaussian-mask seed)
    (let* ((calibration
            (or calibration
                (if (= 1 (length size))
                    (list (inexact->exact (round (* (car size) (usual-center-fraction acceleration)))))
                    (usual-calibration size))))
           (middle? (begin (check-calibration 'gaussian-mask calibration size)
                           (in-calibration? calibration size)))
           (count (apply * size))
           (wanted (- (inexact->exact (round (/ count acceleration))) (apply * calibration)))
           (u (uniforms count seed))
           (indices (indices-of size)))
      (check-that (>= wanted 0) 'gaussian-mask
                  "calibration: the middle alone, ~a of ~a, exceeds acceleration ~a" calibration size
                  acceleration)
      ;; The greatest of u^(1/w), w the weights (Efraimidis, Spirakis 2006): the least of -log(u) / w.
      (let* ((key (lambda (number)
                    (let ((point (indices number)))
                      (and (not (apply middle? point))
                           (* (- (log (vector-ref u number)))
                              (exp (/ (apply + (map (lambda (i n) (expt (/ (- i (quotient n 2)) (* width n)) 2))
                                                    point size))
                                      2)))))))
             (keys (filter cdr (map (lambda (number) (cons number (key number))) (iota count))))
             (chosen (take (sort keys (lambda (a b) (< (cdr a) (cdr b)))) (min wanted (length keys))))
             (entries (make-vector count 0)))
        (for-each (lambda (number) (when (apply middle? (indices number)) (vector-set! entries number 1)))
                  (iota count))
        (for-each (lambda (entry) (vector-set! entries (car entry) 1)) chosen)
        (list->tensor (vector->list entries) size)))))

(define (indices-of size)
  ;; The procedure from an element's number to its indices.
  (match size
    ((_) list)
    ((_ columns) (lambda (number) (list (quotient number columns) (modulo number columns))))))

(define* (poisson-mask size #:key (acceleration 8) calibration (slope 1) (corners? #t) (seed 0))
  "A mask over SIZE, (rows columns), of one point in ACCELERATION: the middle CALIBRATION, (rows columns),
as of `gaussian-mask' unless given, and points in random places but no nearer to each other than a
distance that grows away from the middle, by SLOPE times itself up to the edge: a variable-density Poisson disc.  Without CORNERS? nothing is acquired
outside of the ellipse that touches the edges.  Source: Bridson 2007; Lustig et al. 2007.
Example: (tensor-shape (poisson-mask '(64 48) #:acceleration 6)) => (64 48)"
  (check-size 'poisson-mask size)
  (check-acceleration 'poisson-mask acceleration)
  (check-that (and (real? slope) (finite? slope) (>= slope 0)) 'poisson-mask
              "slope: expected a number of 0 or more, got ~s" slope)
  (check-seed 'poisson-mask seed)
  (match size
    ((rows columns)
     (let* ((count (* rows columns))
            (wanted (/ count acceleration))
            (calibration (or calibration (usual-calibration size)))
            (middle? (begin (check-calibration 'poisson-mask calibration size)
                            (in-calibration? calibration size)))
            (order (random-order count seed))
            (off (lambda (i n) (/ (- i (quotient n 2)) (/ n 2.))))
            (radius (lambda (i j) (sqrt (+ (expt (off i rows) 2) (expt (off j columns) 2))))))
       (define (dart distance)
         ;; The points in random order, each but where one before is nearer than its own distance.
         (let ((entries (make-vector count 0)) (free (make-vector count #t)) (total 0))
           (define (acquire! number)
             (vector-set! entries number 1)
             (set! total (1+ total)))
           (for-each (lambda (number)
                       (let ((i (quotient number columns)) (j (modulo number columns)))
                         (cond ((middle? i j) (acquire! number))
                               ((and (vector-ref free number) (or corners? (<= (radius i j) 1)))
                                (acquire! number)
                                (let* ((least (* distance (+ 1 (* slope (radius i j)))))
                                       (reach (inexact->exact (ceiling least))))
                                  (do ((a (max 0 (- i reach)) (1+ a))) ((> a (min (1- rows) (+ i reach))))
                                    (do ((b (max 0 (- j reach)) (1+ b)))
                                        ((> b (min (1- columns) (+ j reach))))
                                      (when (< (+ (expt (- a i) 2) (expt (- b j) 2)) (* least least))
                                        (vector-set! free (+ (* a columns) b) #f)))))))))
                     order)
           (cons total entries)))
       (check-that (<= (apply * calibration) wanted) 'poisson-mask
                   "calibration: the middle alone, ~a of ~a, exceeds acceleration ~a" calibration size
                   acceleration)
       ;; The distance by bisection: the farther apart, the fewer.
       (let loop ((low 0.5) (high (* 2. (sqrt acceleration) (+ 1 slope))) (steps 14) (best #f))
         (let* ((distance (/ (+ low high) 2))
                (found (dart distance))
                (miss (lambda (found) (abs (- (car found) wanted))))
                (best (if (and best (<= (miss best) (miss found))) best found)))
           (cond ((= steps 0) (list->tensor (vector->list (cdr best)) size))
                 ((> (car found) wanted) (loop distance high (1- steps) best))
                 (else (loop low distance (1- steps) best)))))))))

(define (random-order count seed)
  ;; The numbers up to COUNT in a random order.
  (let ((u (uniforms count seed)))
    (sort (iota count) (lambda (a b) (< (vector-ref u a) (vector-ref u b))))))

(define* (caipirinha-mask size #:key (by '(2 2)) (shift 1) calibration)
  "A mask over SIZE, (rows columns), of every (first BY)-th row and in it every (second BY)-th column, which
moves on by SHIFT from one such row to the next, so that copies of the image overlap less; and
of the middle CALIBRATION, (rows columns), as of `gaussian-mask' unless given.  Source: Breuer et al. 2006.
Example: (tensor->list (caipirinha-mask '(4 4) #:calibration '(0 0)))
         => (0.0 1.0 0.0 1.0 0.0 0.0 0.0 0.0 1.0 0.0 1.0 0.0 0.0 0.0 0.0 0.0)"
  (check-size 'caipirinha-mask size)
  (check-that (and (list? by) (= 2 (length by)) (every (lambda (n) (and (exact-integer? n) (> n 0))) by))
              'caipirinha-mask "by: expected two positive integers, got ~s" by)
  (check-that (and (exact-integer? shift) (<= 0 shift)) 'caipirinha-mask
              "shift: expected an integer of 0 or more, got ~s" shift)
  (let* ((calibration (or calibration (usual-calibration size)))
         (middle? (begin (check-calibration 'caipirinha-mask calibration size)
                         (in-calibration? calibration size))))
    (match by
      ((row-step column-step)
       ;; The centre is acquired.
       (let ((row0 (quotient (first size) 2)) (column0 (quotient (second size) 2)))
         (tensor-tabulate
          size
          (lambda (i j)
            (let ((row (/ (- i row0) row-step)))
              (if (or (middle? i j)
                      (and (integer? row)
                           (zero? (modulo (- j column0 (* shift row)) column-step))))
                  1 0)))))))))

;;; --- Of other masks -----------------------------------------------------------------

(define* (partial-fourier mask fraction #:key (axis 'columns))
  "MASK, f32 (columns) or (rows columns), without the first 1 - FRACTION of its columns, or of its rows if
AXIS says so: FRACTION, above 1/2 and up to 1, is acquired at most.  What is left out is nearly the
conjugate of what is at the other side, as far as the image's phase is slow.
Example: (tensor->list (partial-fourier (random-mask 8 #:acceleration 1) 3/4)) => (0.0 0.0 1.0 1.0 1.0 1.0 1.0 1.0)"
  (check-that (and (tensor? mask) (memv (length (tensor-shape mask)) '(1 2))) 'partial-fourier
              "mask: expected one, (columns) or (rows columns), got ~s" mask)
  (check-that (and (real? fraction) (< 1/2 fraction) (<= fraction 1)) 'partial-fourier
              "fraction: expected a number above 1/2, up to 1, got ~s" fraction)
  (check-that (or (eq? axis 'columns) (and (eq? axis 'rows) (= 2 (length (tensor-shape mask)))))
              'partial-fourier "axis: expected columns, or of a mask (rows columns) rows, got ~s" axis)
  (let* ((length (if (eq? axis 'columns) (last (tensor-shape mask)) (first (tensor-shape mask))))
         (first (- length (inexact->exact (round (* fraction length)))))
         (there (tensor-tabulate (list length) (lambda (i) (if (< i first) 0 1)))))
    (tensor* mask (if (eq? axis 'columns) there (tensor-reshape there '(-1 1))))))

(define (plain-mask procedure mask shape)
  "MASK, as files have them, as f32 over (columns) or (rows columns): without axes of length 1, as (1 W), or
(1 1 W 1) over real and imaginary parts; complex; black and white, 0 and 255; (H 1), over rows of images of
SHAPE, (rows columns) or #f.  Errors are of PROCEDURE.
Example: (tensor->list (plain-mask 'mri-operator (list->tensor '(0 255) '(1 2)) #f)) => (0.0 1.0)"
  (define (without-units lengths)
    (let ((lengths (if (and (> (length lengths) 2) (= 1 (last lengths)))
                       (drop-right lengths 1)
                       lengths)))
      (let loop ((lengths lengths))
        (if (and (> (length lengths) 1) (= 1 (car lengths))) (loop (cdr lengths)) lengths))))
  (check-that (and (tensor? mask) (pair? (tensor-shape mask))) procedure
              "mask: expected a tensor (columns) or (rows columns), got ~s" mask)
  (check-that (or (eq? 'f32 (tensor-dtype mask))
                  (zero? (tensor->number (tensor-max (tensor-abs (tensor-imag mask))))))
              procedure "mask: expected 0 and 1, got complex numbers, ~s" mask)
  (let* ((mask (if (eq? 'c64 (tensor-dtype mask)) (tensor-real mask) mask))
         (lengths (without-units (tensor-shape mask)))
         (mask (if (equal? lengths (tensor-shape mask)) mask (tensor-reshape mask lengths)))
         (rows? (and (= 2 (length lengths)) (= 1 (second lengths)))))
    (check-that (memv (length lengths) '(1 2)) procedure
                "mask: expected a tensor (columns) or (rows columns), got ~s" mask)
    (check-that (or (not rows?) (and (list? shape) (= 2 (length shape)) (eqv? (car shape) (car lengths))))
                procedure "mask: one over rows, ~a, needs #:shape with as many" lengths)
    (let* ((mask (if rows? (tensor-copy (tensor-broadcast mask shape)) mask))
           (entries (tensor->list mask))
           (white (if (null? entries) 0 (apply max entries))))
      (if (and (memv white '(255.0 65535.0)) (every (lambda (m) (or (= m 0) (= m white))) entries))
          (tensor/ mask white)
          mask))))

(define* (load-mask path #:key shape)
  "The mask in the file PATH, of any format that `load-image' reads, as f32 of 0 and 1 over (columns) or
(rows columns).  It may be boolean, complex, black and white, and have axes of length 1, such as (1 W) and
(1 1 W 1); one over rows, (H 1), needs the SHAPE of images, (rows columns).
Example: (begin (save-npy \"mask.npy\" (list->tensor '(1 0 1 1) '(1 1 4 1)))
           (tensor->list (load-mask \"mask.npy\"))) => (1.0 0.0 1.0 1.0)"
  (let* ((mask (plain-mask 'load-mask (load-image path) shape))
         (other (find (lambda (m) (not (or (= m 0) (= m 1)))) (tensor->list mask))))
    (check-that (not other) 'load-mask "~a: expected 0 and 1 only, got ~s" path other)
    mask))
