;;; wiener.scm -- the posterior of a Gaussian field, whatever was measured of it and with whatever noise.
;;;
;;; Where the normal operator is diagonal in Fourier space, `gaussian-posterior' has mean and variance at once.  Under a
;;; mask, or noise that is not the same everywhere, it is not; then the mean, Wiener's filter, is the solution of a linear
;;; system, and so is each draw: one from the prior, and its own measurement with its own noise, corrected by what Wiener's
;;; filter makes of the difference from the data (Hoffman, Ribak 1991).  With x = S^1/2 u, S the prior's covariance,
;;; the system is (1 + S^1/2 A^H N^-1 A S^1/2) u = S^1/2 A^H N^-1 y, which conjugate gradients solve in few steps.

(define-module (tempera problem wiener)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (wiener-filter wiener-draws))

(define most-steps 1000)
(define tolerance 1e-6)

(define (check-spectrum who spectrum measurement)
  (check-that (and (tensor? spectrum) (eq? 'f32 (tensor-dtype spectrum)) (tensor-finite? spectrum)
                   (> (tensor->number (tensor-min spectrum)) 0)
                   (equal? (tensor-shape spectrum) (tensor-shape (zero-filled measurement))))
              who "spectrum: expected positive numbers, f32 ~a as the images of ~a, got ~s"
              (tensor-shape (zero-filled measurement)) measurement spectrum))

(define (filter-of spectrum measurement)
  ;; The procedure that makes of a batch of data Wiener's filtered images.
  (let* ((op (measurement-operator measurement))
         (precision (/ (square (measurement-noise measurement))))
         (root (tensor-sqrt spectrum))
         (rooted (lambda (x) (fourier-filter x root))))
    (lambda (y)
      (rooted (conjugate-gradient
               (lambda (u) (tensor+ u (tensor* precision (rooted (apply-normal op (rooted u))))))
               (tensor* precision (rooted (apply-adjoint op y))) most-steps tolerance)))))

(define (square x) (* x x))

(define* (wiener-filter spectrum measurement #:optional data #:key (noise #f))
  "The mean of the posterior that `gaussian-prior' of SPECTRUM, f32 (H W), and MEASUREMENT have, c64 or f32 (H W), by
conjugate gradients: (A^H N^-1 A + S^-1)^-1 A^H N^-1 y.  An operator, DATA and NOISE, 0.1 unless given, may take the place
of MEASUREMENT.
Source: Wiener 1949; with masks and any noise, Zaroubi et al. 1995.
Example: (wiener-filter (power-spectrum '(16 16) #:amplitude 100) (measurement op y))"
  (let ((measurement (as-measurement 'wiener-filter measurement data noise)))
    (check-spectrum 'wiener-filter spectrum measurement)
    (tensor-reshape ((filter-of spectrum measurement) (batch-of-one (measurement-data measurement)))
                    (tensor-shape spectrum))))

(define* (wiener-draws spectrum measurement count #:key (seed 0))
  "COUNT independent draws, (COUNT H W), from the posterior that `gaussian-prior' of SPECTRUM and MEASUREMENT have: exact,
but for the tolerance of conjugate gradients.
Source: Hoffman, Ribak 1991.
Example: (tensor-shape (wiener-draws (power-spectrum '(16 16) #:amplitude 100) (measurement op y) 3)) => (3 16 16)"
  (check-that (measurement? measurement) 'wiener-draws "measurement: expected one, got ~s" measurement)
  (check-spectrum 'wiener-draws spectrum measurement)
  (check-that (positive-integer? count) 'wiener-draws "count: expected a positive integer, got ~s" count)
  (check-seed 'wiener-draws seed)
  (let* ((op (measurement-operator measurement))
         (prior (gaussian-prior spectrum #:dtype (tensor-dtype (zero-filled measurement))))
         (x (prior-draw prior count #:seed seed))
         (y (measure op x #:noise (measurement-noise measurement) #:seed seed)))
    (tensor+ x ((filter-of spectrum measurement) (tensor- (measurement-data measurement) y)))))
