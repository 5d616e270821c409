;;; learned-scores.scm -- is a learned score right, and where not?
;;;
;;; By equation 3's loss on images that it has not seen, at each sigma and by |k|; and by how far it is
;;; from the gradient of any log density.

(define-module (tempera sample learned-scores)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera file tables)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:export (score-asymmetry power-by-frequency score-loss-by-frequency validation))

(define* (score-asymmetry prior x sigma #:key (probes 4) (seed 0))
  "How far the score of PRIOR at X, (C ...), and SIGMA is from a gradient, whose Jacobian J is
symmetric: the root mean square of <v, J u> - <u, J v> over that of what they would be if
they had nothing to do with each other, sqrt(2) <v, J' u>, for random directions u and v;
0 for a gradient, 1 for no symmetry.  J' is J + 1/sigma^2, since the part of J that only says
that there is noise is symmetric whatever the network.  J is taken by central differences of
0.05 SIGMA; PROBES pairs, four evaluations each.
Example: (score-asymmetry (two-moons-prior) (tensor-zeros '(4 2)) 0.5)"
  (check-that (and (tensor? x) (pair? (tensor-shape x))) 'score-asymmetry
              "x: expected a batch (C ...), got ~s" x)
  (check-that (positive-number? sigma) 'score-asymmetry
              "sigma: expected a positive number, got ~s" sigma)
  (check-that (and (exact-integer? probes) (> probes 0)) 'score-asymmetry
              "probes: expected a positive integer, got ~s" probes)
  (let* ((h (* 0.05 sigma))
         (direction (lambda (k)
                      (random-normal (tensor-shape x) seed (random-stream 'check k)
                                     (tensor-dtype x))))
         (jacobian (lambda (u)
                     (tensor+ (tensor/ (tensor- (score prior (tensor+ x (tensor* h u)) sigma)
                                                (score prior (tensor- x (tensor* h u)) sigma))
                                       (* 2 h))
                              (tensor/ u (* sigma sigma)))))
         (dots (lambda (a b) (vector->list (chains-dot a b))))
         (pairs (append-map (lambda (k)
                              (let ((u (direction (* 2 k))) (v (direction (1+ (* 2 k)))))
                                (map cons (dots v (jacobian u)) (dots u (jacobian v)))))
                            (iota probes)))
         (squares (lambda (f) (apply + (map (lambda (p) (expt (f p) 2)) pairs)))))
    (let ((all (+ (squares car) (squares cdr))))
      (if (zero? all)
          0.
          (sqrt (/ (squares (lambda (p) (- (car p) (cdr p)))) all))))))

(define (frequency-bands size)
  ;; Of centred k-space (H W): a list of upper bounds 1, 2, 4 ... and tables that are 1 between a
  ;; bound and the one before, in cycles per image.
  (let* ((from-middle (lambda (n) (map (lambda (i) (- i (quotient n 2))) (iota n))))
         (radii (append-map (lambda (i) (map (lambda (j) (sqrt (+ (* i i) (* j j))))
                                             (from-middle (second size))))
                            (from-middle (first size))))
         (greatest (apply max radii)))
    (let loop ((from 0) (to 1) (bands '()))
      (if (> from greatest)
          (reverse bands)
          (loop to (* 2 to)
                (cons (list to (list->tensor (map (lambda (r) (if (and (<= from r) (< r to)) 1 0)) radii)
                                             size))
                      bands))))))

(define (power-by-frequency size)
  "The procedure of images, c64 (N H W) of SIZE (H W), that gives their power by |k|: an association
list from 1, 2, 4 ..., the upper bounds of bands of |k| in cycles per image, to the sum of squares
there, of all images together, which over all bands is that of their pixels.
Example: ((power-by-frequency '(8 8)) (random-normal '(2 8 8) 1 0 'c64))"
  (check-that (and (list? size) (= (length size) 2) (every positive-integer? size))
              'power-by-frequency "size: expected (rows columns), got ~s" size)
  (let ((bands (frequency-bands size)))
    (lambda (images)
      (let ((spectrum (tensor-sum-squares (fft2 images) 0)))
        (map (lambda (band)
               (cons (first band) (tensor->number (tensor-sum (tensor* spectrum (second band))))))
             bands)))))

(define (score-errors prior images sigma draws seed)
  "The squares that equation 3's loss is made of, for the score of PRIOR at SIGMA with DRAWS of noise for each
of IMAGES: a list of (upper bound of |k|, error, error of a score of 0), summed over the band."
  (let* ((power (power-by-frequency (cdr (tensor-shape images))))
         (of-draw (lambda (draw)
                    (let* ((u (random-normal (tensor-shape images) seed (random-stream 'check draw) 'c64))
                           (noisy (tensor+ images (tensor* sigma u))))
                      (list (power (tensor+ u (tensor* sigma (score prior noisy sigma)))) (power u)))))
         (all (map of-draw (iota draws)))
         (total (lambda (which) (apply map + (map (lambda (draw) (map cdr (which draw))) all)))))
    (map (lambda (band lost noise) (list (car band) lost noise))
         (first (first all)) (total first) (total second))))

(define* (score-loss-by-frequency prior images sigma #:key (draws 16) (seed 0))
  "Where in k-space the score of PRIOR is learned: equation 3's loss at SIGMA of IMAGES, c64
(N H W), by |k|, over that of a score of 0.  An association list from 1, 2, 4 ..., the upper bounds of
bands of |k| in cycles per image, to the loss there; DRAWS of noise for each image.  What can be known
of the noise is less the larger structures are, and they are few, so that a loss over all
frequencies does not tell: above 1 a score is worse than none.
Example: (score-loss-by-frequency net (prior-draw prior 2) 10)"
  (check-images 'score-loss-by-frequency images)
  (check-that (positive-number? sigma) 'score-loss-by-frequency
              "sigma: expected a positive number, got ~s" sigma)
  (check-that (positive-integer? draws) 'score-loss-by-frequency
              "draws: expected a positive integer, got ~s" draws)
  (map (match-lambda ((band lost noise) (cons band (/ lost noise))))
       (score-errors prior images sigma draws seed)))

(define* (validation images #:key (sigmas '(0.1 0.3 1 3 10 30 100 300 1000)) (draws 1) (seed 0))
  "The procedure of a prior that gives its losses on IMAGES, c64 (N H W) and of persons it has not seen (see
`dataset-split'), for #:validation of `train-run!': a table with a row for each of SIGMAS, with equation
3's loss over that of a score of 0 in the column loss, and by upper bounds of |k| in the columns to-1,
to-2 and so on (see `score-loss-by-frequency').  DRAWS of noise for each image, from SEED, are always the same, so
that tables differ by the prior alone.
Example: (table-column ((validation (prior-draw prior 2) #:sigmas '(1 10)) net) 'sigma) => (1 10)"
  (check-images 'validation images)
  (check-that (and (pair? sigmas) (list? sigmas) (every positive-number? sigmas)) 'validation
              "sigmas: expected positive numbers, got ~s" sigmas)
  (check-that (positive-integer? draws) 'validation "draws: expected a positive integer, got ~s" draws)
  (check-seed 'validation seed)
  (let ((images (keep-always! (tensor-copy images))))
    (lambda (prior)
      (rows->table
       (map (lambda (sigma)
              (let ((errors (with-scope (lambda () (score-errors prior images sigma draws seed)))))
                `((sigma . ,sigma)
                  (loss . ,(/ (apply + (map second errors)) (apply + (map third errors))))
                  ,@(map (match-lambda
                           ((band lost noise)
                            (cons (string->symbol (format #f "to-~a" band)) (/ lost noise))))
                         errors))))
            sigmas)))))

(define (check-images who images)
  (check-that (and (tensor? images) (eq? (tensor-dtype images) 'c64)
                   (= (length (tensor-shape images)) 3))
              who "images: expected c64 (images rows columns), got ~s" images))
