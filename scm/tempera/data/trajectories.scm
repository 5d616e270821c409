;;; trajectories.scm -- where in k-space a scan measures, when that is no grid.
;;;
;;; A trajectory is f32 (readouts samples 2), or (points 2): coordinates along the rows and the columns
;;; of centred k-space, in units of 1 / field of view.  An image of N pixels determines k-space from
;;; -N/2 to N/2.

(define-module (tempera data trajectories)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera file bart)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (radial-trajectory spiral-trajectory load-trajectory plain-trajectory trajectory-pattern
            density-compensation))

(define pi (acos -1))

(define (check-count procedure name count)
  (check-that (and (exact-integer? count) (> count 0)) procedure
              "~a: expected a positive integer, got ~s" name count))

(define (check-extent procedure extent)
  (check-that (and (real? extent) (finite? extent) (> extent 0)) procedure
              "extent: expected a positive number, got ~s" extent))

(define (along readouts samples radius angle)
  ;; The trajectory whose point I of readout R is at RADIUS (i) and ANGLE (r, i).
  (tensor-tabulate (list readouts samples 2)
                   (lambda (r i axis)
                     (* (radius i) ((if (zero? axis) cos sin) (angle r i))))))

(define* (radial-trajectory spokes samples #:optional (extent samples) #:key (angles 'uniform))
  "SPOKES diameters of k-space of SAMPLES points each, f32 (SPOKES SAMPLES 2), from -EXTENT / 2 on in
steps of EXTENT / SAMPLES: EXTENT is the width of the image in pixels, and the readout is oversampled
where there are more SAMPLES.  ANGLES: uniform, pi / SPOKES apart; or golden, pi (sqrt 5 - 1) / 2 =
111.25 degrees, which covers k-space evenly after any number of spokes (Winkelmann et al. 2007).
Example: (tensor-shape (radial-trajectory 96 512 256)) => (96 512 2)"
  (check-count 'radial-trajectory "spokes" spokes)
  (check-count 'radial-trajectory "samples" samples)
  (check-extent 'radial-trajectory extent)
  (check-that (memq angles '(uniform golden)) 'radial-trajectory
              "angles: expected uniform or golden, got ~s" angles)
  (let ((step (* pi (if (eq? angles 'golden) (/ (1- (sqrt 5)) 2) (/ spokes))))
        (first (/ extent -2)))
    (along spokes samples
           (lambda (i) (+ first (* i (/ extent samples))))
           (lambda (spoke i) (* spoke step)))))

(define* (spiral-trajectory arms samples extent #:key (turns (/ extent 2 arms)))
  "ARMS spirals from the middle of k-space out to EXTENT / 2, of SAMPLES points each, f32 (ARMS SAMPLES
2), for images EXTENT pixels wide: the radius grows with the angle (Archimedes), and points follow each
other at equal distances.  TURNS of each arm: by default those with which neighbouring windings
are 1 / field of view apart, as a full sampling has them; with half of them half as many points do.
Example: (tensor-shape (spiral-trajectory 16 1024 256)) => (16 1024 2)"
  (check-count 'spiral-trajectory "arms" arms)
  (check-that (and (exact-integer? samples) (> samples 1)) 'spiral-trajectory
              "samples: expected an integer of 2 or more, got ~s" samples)
  (check-extent 'spiral-trajectory extent)
  (check-that (and (real? turns) (finite? turns) (> turns 0)) 'spiral-trajectory
              "turns: expected a positive number, got ~s" turns)
  (let* ((last (* 2 pi turns))
         (length-to (lambda (angle)     ; of an arm, over its radius at angle 1
                      (/ (+ (* angle (sqrt (1+ (* angle angle)))) (asinh angle)) 2)))
         (whole (length-to last))
         (angles (list->vector
                  (map (lambda (i)
                         ;; Newton's steps; lengths are convex in the angle.
                         (let ((length (* whole (/ i (1- samples)))))
                           (let loop ((angle last) (steps 0))
                             (let ((next (- angle (/ (- (length-to angle) length)
                                                     (sqrt (1+ (* angle angle)))))))
                               (if (or (= steps 50) (< (abs (- next angle)) 1e-9))
                                   next
                                   (loop next (1+ steps)))))))
                       (iota samples)))))
    (along arms samples
           (lambda (i) (* extent 1/2 (/ (vector-ref angles i) last)))
           (lambda (arm i) (+ (* 2 pi (/ arm arms)) (vector-ref angles i))))))

(define (asinh x)
  (log (+ x (sqrt (1+ (* x x))))))

;;; --- Given ones -----------------------------------------------------------------

(define (plain-trajectory procedure given)
  "GIVEN, a trajectory as files have them, as f32 (... 2); errors are of PROCEDURE.  It may be complex,
have a third coordinate that is 0, and BART's layout, (3 samples readouts).
Example: (tensor-shape (plain-trajectory 'nufft-operator (tensor-zeros '(3 8 5)))) => (5 8 2)"
  (check-that (tensor? given) procedure "trajectory: expected a tensor, got ~s" given)
  (let* ((real (if (eq? (tensor-dtype given) 'c64) (tensor-real given) given))
         (shape (tensor-shape real))
         (coordinates? (lambda (n) (memv n '(2 3)))))
    (check-that (and (>= (length shape) 2) (or (coordinates? (last shape)) (coordinates? (first shape))))
                procedure "trajectory: expected coordinates of points, (points 2) or (readouts samples 2), \
got shape ~a" shape)
    (check-that (> (tensor-count real) 0) procedure "trajectory: it has no points, shape ~a" shape)
    (when (eq? (tensor-dtype given) 'c64)
      (check-that (zero? (tensor->number (tensor-max (tensor-abs (tensor-imag given))))) procedure
                  "trajectory: expected real coordinates, got imaginary parts that are not 0"))
    (let* ((turned (if (coordinates? (last shape))
                       real
                       (tensor-transpose real (reverse (iota (length shape))))))
           (axis (1- (length shape))))
      (check-that (tensor-finite? turned) procedure "trajectory: it has coordinates that are NaN or infinite")
      (when (= 3 (tensor-size turned axis))
        (check-that (zero? (tensor->number (tensor-max (tensor-abs (tensor-slice turned axis 2 3))))) procedure
                    "trajectory: its third coordinate is not 0; only images of two dimensions are made"))
      (tensor-copy (tensor-slice turned axis 0 2)))))

(define (load-trajectory path)
  "The trajectory in the file PATH, f32 (readouts samples 2): an array (readouts samples 2), in .npy or
another format that `load-image' reads, or BART's (.cfl).  Along rows first, in units of 1 / field of
view, as BART, ISMRMRD and SigPy have them.
Example: (begin (save-npy \"k.npy\" (radial-trajectory 5 8)) (tensor-shape (load-trajectory \"k.npy\")))
         => (5 8 2)"
  (plain-trajectory 'load-trajectory
                    ;; `load-image' would take BART's axes for rows and columns.
                    ((if (eq? 'bart (file-format path)) load-cfl load-image) path)))

(define (trajectory-pattern trajectory)
  "How many samples of TRAJECTORY, f32 (... 2), lie in each cell of a grid with the spacing 1 / field of view, as wide as it
goes: f32 (size size).
Example: (tensor-shape (trajectory-pattern (radial-trajectory 5 8))) => (9 9)"
  (let* ((points (tensor-reshape trajectory '(-1 2)))
         (half (max 1 (inexact->exact (ceiling (tensor->number (tensor-max (tensor-abs points)))))))
         (size (1+ (* 2 half)))
         (cell (lambda (coordinate) (+ half (inexact->exact (round coordinate)))))
         (counts (make-vector (* size size) 0)))
    (let loop ((rest (tensor->list points)))
      (match rest
        (() (list->tensor (vector->list counts) (list size size)))
        ((row column . rest)
         (let ((index (+ (* size (cell row)) (cell column))))
           (vector-set! counts index (1+ (vector-ref counts index)))
           (loop rest)))))))

;;; --- Density ----------------------------------------------------------------------

(define* (density-compensation trajectory shape #:key (steps 30))
  "The weights of TRAJECTORY's points, f32, with which the adjoint makes an image of SHAPE, (rows
columns), of them: the area of k-space that each stands for, where 1 is that of a point of the image's
grid.  By STEPS of Pipe and Menon's iteration.  Source: Pipe, Menon 1999.
Example: (tensor-shape (density-compensation (radial-trajectory 5 8) '(8 8))) => (5 8)"
  (check-that (and (list? shape) (= 2 (length shape))) 'density-compensation
              "shape: expected that of an image, (rows columns), got ~s" shape)
  (check-count 'density-compensation "steps" steps)
  (nufft-density (plain-trajectory 'density-compensation trajectory) (first shape) (second shape) steps))
