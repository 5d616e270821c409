;;; acquisition.scm -- what a scanner makes of a magnitude image: bias, phase and a noise floor.
;;;
;;; A volume in a file is one head seen by one scanner.  A prior for images that other scanners
;;; measure has to have seen what these add: the gain of their coils, a phase, smooth or rough, and
;;; noise, either in the complex image or, where somebody took its magnitude, as Rice's distribution
;;; (Gudbjartsson, Patz 1995), which leaves no pixel of the background at 0.
;;;
;;; The mixture, in shares of the images:
;;;   gain    3/4 within a factor of about 1.7 across the field of view, 1/4 within about 5
;;;   phase   smooth, of second order; 2/5 with rough cosines of up to seventh order besides
;;;   noise   2/5 none but the volume's own, 3/10 of a magnitude image, 3/10 complex, its standard
;;;           deviation log-uniform from 0.3 to 4 where the 99.9th percentile of magnitude is 150

(define-module (tempera data acquisition)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base streams)
  #:use-module (tempera data scans)
  #:use-module (tempera tensor primitives)
  #:export (random-acquisition))

(define cosines 8)                      ; a side, of the gain and phase

(define (per-image numbers)
  (list->tensor numbers (list (length numbers) 1 1)))

(define (modulation gains phases)
  ;; GAINS and PHASES, f32 (N 8 8) or #f for none, as `image-modulate' takes them.
  (let* ((shape (tensor-shape (or gains phases)))
         (column (append shape '(1)))
         (part (lambda (t) (if t (tensor-reshape t column) (tensor-zeros column)))))
    (complex-view (tensor-concatenate (list (part gains) (part phases)) -1))))

(define (low-orders pairs part)
  ;; PART, `car' or `cadr', of each image's 3 x 3 PAIRS of log gain and phase, as f32 (N 8 8).
  (let* ((count (length pairs))
         (result (tensor-zeros (list count cosines cosines))))
    (tensor-assign! (tensor-slice (tensor-slice result 1 0 3) 2 0 3)
                    (list->tensor (append-map (lambda (flat)
                                                (let loop ((flat flat))
                                                  (if (null? flat) '()
                                                      (cons (part flat) (loop (cddr flat))))))
                                              pairs)
                                  (list count 3 3)))
    result))

(define (rough-decay)
  ;; By how much a cosine of order p + q counts; the lowest are the smooth phase's.
  (list->tensor (append-map (lambda (p)
                              (map (lambda (q)
                                     (if (< (+ p q) 3) 0 (expt (+ p q) -1.5)))
                                   (iota cosines)))
                            (iota cosines))
                (list 1 cosines cosines)))

(define (random-acquisition magnitudes sources seed stream)
  "MAGNITUDES, f32 (N H W), as N scanners have them, c64 (N H W): the 99.9th percentile of
magnitude at 150 times a factor from 0.7 to 1.3, lower where there is hardly anything.  SOURCES: a
`uniform-source' for each; noise and rough phases are functions of SEED and STREAM."
  (let* ((shape (tensor-shape magnitudes))
         (count (first shape))
         (each (lambda (draw) (per-image (map-in-order draw sources))))
         (low (map-in-order phase-coefficients sources))
         (bias (each (lambda (u) (if (< (u 0 1) 1/4) 3 1))))
         (rough (each (lambda (u)
                        (let ((rough? (< (u 0 1) 2/5)) (width (log-uniform u 1 6)))
                          (if rough? width 0)))))
         (noise (map-in-order (lambda (u) (cons (u 0 1) (log-uniform u 0.3 4))) sources))
         (noise-of (lambda (share)      ; the standard deviation for images whose kind is in SHARE
                     (per-image (map (lambda (n) (if (share (car n)) (cdr n) 0)) noise))))
         (gains (tensor* bias (low-orders low car)))
         (phases (tensor+ (low-orders low cadr)
                          (tensor* (tensor* rough (rough-decay))
                                   (random-normal (list count cosines cosines) seed
                                                  (random-stream 'rough-phase stream)))))
         (gained (tensor-abs (image-modulate magnitudes (modulation gains #f))))
         (peaks (tensor-quantile (tensor-reshape gained (list count -1)) 0.999 1))
         (factors (per-image (map-in-order
                              (lambda (u peak)
                                (/ (* top-intensity (u 0.7 1.3)) (max peak (/ top-intensity 2))))
                              sources (tensor->list peaks))))
         (normal (random-normal shape seed (random-stream 'noise-floor stream) 'c64))
         (floored (tensor-abs (tensor+ (tensor* factors gained)
                                       (tensor* (noise-of (lambda (k) (< 0.4 k 0.7))) normal)))))
    (tensor+ (image-modulate floored (modulation #f phases))
             (tensor* (noise-of (lambda (k) (>= k 0.7))) normal))))
