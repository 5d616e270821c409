;;; streams.scm -- which random numbers are for which purpose.
;;;
;;; A random number is a function of (seed, stream, index).  Purposes that may share
;;; a seed draw from different streams, so that the noise of a measurement is
;;; never the start of the chain that explains it.

(define-module (tempera base streams)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:export (random-stream check-seed))

(define purposes
  '(mask measurement start momentum acceptance prior check slices phase
    sigma sigma-normal noise spectral calibration jitter sampler points denoiser
    rough-phase noise-floor loss-weight))

(define* (random-stream purpose #:optional (counter 0))
  "The stream for PURPOSE, a symbol, number COUNTER (a step's or a draw's).
Example: (random-stream 'momentum 12)"
  (let ((index (list-index (lambda (p) (eq? p purpose)) purposes)))
    (check-that index 'random-stream "purpose: expected one of ~a, got ~s" purposes purpose)
    (check-that (and (exact-integer? counter) (< -1 counter (expt 2 40))) 'random-stream
                "counter: expected an integer from 0 to 2^40 - 1, got ~s" counter)
    (+ (ash (1+ index) 40) counter)))

(define (check-seed procedure seed)
  "Complain from PROCEDURE unless SEED can be one."
  (check-that (and (exact-integer? seed) (<= 0 seed) (< seed (expt 2 63))) procedure
              "seed: expected an integer from 0 to 2^63 - 1, got ~s" seed))
