;;; colours.scm -- colour maps: from a level between 0 and 1 to a colour.

(define-module (tempera see colours)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:export (colour-map-names colour-words colour-hex check-colours))

(define colour-maps
  ;; Colours at equal steps from low to high, joined linearly.
  '((grey (0 0 0) (1 1 1))
    ;; Dark blue by red to pale yellow, ever lighter: readable in print.
    (heat (0.02 0.02 0.10) (0.28 0.06 0.38) (0.62 0.14 0.36) (0.90 0.36 0.20)
          (0.98 0.68 0.22) (1 0.98 0.80))
    ;; Around a circle of hues, for phases.
    (wheel (0.80 0.25 0.25) (0.62 0.55 0.15) (0.18 0.62 0.30) (0.15 0.58 0.70)
           (0.40 0.40 0.85) (0.70 0.28 0.65) (0.80 0.25 0.25))))

(define (colour-map-names)
  "The names of the colour maps.
Example: (colour-map-names) => (grey heat wheel)"
  (map car colour-maps))

(define (check-colours procedure name)
  "Complain from PROCEDURE unless NAME is that of a colour map.
Example: (check-colours 'panel 'heat)"
  (check-that (assq name colour-maps) procedure
              "colours: expected one of ~a, got ~s" (colour-map-names) name))

(define (colour-words name)
  "The 256 colours of the map NAME from low to high, a vector of integers #xFFrrggbb.
Example: (vector-ref (colour-words 'grey) 255) => 4294967295"
  (check-colours 'colour-words name)
  (let* ((points (list->vector (assq-ref colour-maps name)))
         (last-point (1- (vector-length points))))
    (list->vector
     (map-in-order
      (lambda (i)
        (let* ((place (* last-point (/ i 255)))
               (k (min (1- last-point) (floor place)))
               (f (- place k)))
          (fold (lambda (a b word)
                  (+ (* 256 word)
                     (inexact->exact (round (* 255 (+ (* (- 1 f) a) (* f b)))))))
                #xff (vector-ref points k) (vector-ref points (1+ k)))))
      (iota 256)))))

(define (colour-hex word)
  "The digits of the colour WORD, #xFFrrggbb, as HTML and gnuplot write it.
Example: (colour-hex #xff1f5fa8) => 1f5fa8"
  (string-pad (number->string (logand word #xffffff) 16) 6 #\0))
