;;; likelihoods.scm -- noise that is not Gaussian: counts, outliers, magnitudes.
;;;
;;; A likelihood is p(y | z) of data y, given what an operator measures of the image without noise, z = A x, one
;;; datum at a time.  `posterior' takes one in place of a measurement.  Its annealed form is p_sigma (x) p(y | A x):
;;; the prior alone is blurred, the likelihood is exact at every temperature.  For Gaussian noise equation 4
;;; blurs both, since there the blurred likelihood is again Gaussian, with sigma^2 added to its variance (exact if
;;; A A^H = 1 and the prior is flat); for the noise here there is no such form.  Either way the last sigma is
;;; what is left of the approximation: the posterior of the prior under so much noise.
;;;
;;; Derivatives are by real and imaginary part, as those of -|z - y|^2 / (2 noise^2), which is -(z - y) / noise^2.

(define-module (tempera problem likelihoods)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (make-likelihood likelihood? likelihood-name likelihood-operator likelihood-data likelihood-score
            likelihood-log-density has-likelihood-density? likelihood-curvature likelihood-start likelihood-draw
            poisson-likelihood student-t-likelihood magnitude-likelihood))

(define-record-type <likelihood>
  (%make-likelihood name operator data score log-density curvature start draw)
  likelihood?
  (name likelihood-name)
  (operator likelihood-operator)
  (data likelihood-data)
  (score datum-score)                   ; z -> d log p(y | z) / dz
  (log-density datum-log-density)       ; z -> log p(y | z), f32, or #f
  (curvature likelihood-curvature)      ; of -log p in z: a number, or f32 of the data's shape
  (start likelihood-start)              ; an image
  (draw datum-draw))                    ; z seed -> y, or #f

(set-record-type-printer! <likelihood>
  (lambda (l port)
    (format port "#<~a likelihood ~a by ~a>" (likelihood-name l) (tensor-shape (likelihood-data l))
            (operator-name (likelihood-operator l)))))

(define* (make-likelihood name op y #:key score curvature (log-density #f) (start y) (draw #f))
  "The likelihood called NAME of the data Y by the operator OP.
  SCORE        the procedure z -> d log p(y | z) / dz, of batches z = A x, (C ...), by datum
  CURVATURE    as large as -d^2 log p(y | z) / dz^2 becomes where the posterior is: a positive number, or f32 of Y's shape,
               0 or more; the target's mass is A^H CURVATURE A + 1 / sigma^2.  Too small, and proposals are rejected
  LOG-DENSITY  z -> log p(y | z) by datum, f32, up to what does not depend on z; #f where it is not known
  START        data from which `apply-approximate-inverse' makes the image that chains begin at; Y unless given
  DRAW         z seed -> data like Y, for `likelihood-draw'
Example: (make-likelihood \"Laplace\" op y #:curvature 100
           #:score (lambda (z) (let ((r (tensor- y z))) (tensor/ r (tensor+ 0.01 (tensor-abs r))))))"
  (check-data 'make-likelihood op y)
  (check-that (procedure? score) 'make-likelihood "score: expected a procedure of z, got ~s" score)
  (check-that (or (not log-density) (procedure? log-density)) 'make-likelihood
              "log-density: expected a procedure of z, got ~s" log-density)
  (check-that (or (not draw) (procedure? draw)) 'make-likelihood
              "draw: expected a procedure of z and a seed, got ~s" draw)
  (check-that (or (positive-number? curvature)
                  (and (tensor? curvature) (equal? (tensor-shape curvature) (tensor-shape y)) (tensor-finite? curvature)
                       (eq? 'f32 (tensor-dtype curvature)) (>= (tensor->number (tensor-min curvature)) 0)))
              'make-likelihood "curvature: expected a positive number, or f32 ~a of numbers of 0 or more, got ~s"
              (tensor-shape y) curvature)
  (let* ((image (apply-approximate-inverse op start))
         (z (apply-forward op (batch-of-one image)))
         (s (score z)))
    (check-that (and (tensor? s) (equal? (tensor-shape s) (tensor-shape z)) (eq? (tensor-dtype s) (tensor-dtype z))
                     (tensor-finite? s))
                'make-likelihood "score: expected finite numbers, ~a ~a as z is, got ~s" (tensor-dtype z) (tensor-shape z) s)
    (%make-likelihood name op y score log-density curvature image draw)))

(define (check-likelihood who likelihood)
  (check-that (likelihood? likelihood) who "likelihood: expected one, got ~s" likelihood))

(define (likelihood-score likelihood x)
  "The score A^H s(A X) of LIKELIHOOD at the batch of images X, (C ...).
Example: (tensor-shape (likelihood-score (student-t-likelihood op y) (chain-samples chain))) => (8 16 16)"
  (check-likelihood 'likelihood-score likelihood)
  (let ((op (likelihood-operator likelihood)))
    (apply-adjoint op ((datum-score likelihood) (apply-forward op x)))))

(define (has-likelihood-density? likelihood)
  "Whether `likelihood-log-density' knows LIKELIHOOD.
Example: (has-likelihood-density? (student-t-likelihood op y)) => #t"
  (and (datum-log-density likelihood) #t))

(define (likelihood-log-density likelihood x)
  "log p(y | A x) for each x of the batch X, (C ...), a vector, up to what does not depend on x.
Example: (vector-length (likelihood-log-density (student-t-likelihood op y) (chain-samples chain))) => 8"
  (check-likelihood 'likelihood-log-density likelihood)
  (check-that (has-likelihood-density? likelihood) 'likelihood-log-density "likelihood: ~a has no log density" likelihood)
  (let ((logs ((datum-log-density likelihood) (apply-forward (likelihood-operator likelihood) x))))
    (chains-dot logs (tensor+ 1 (tensor* 0 logs)))))

(define* (likelihood-draw likelihood x #:key (seed 0))
  "Data of the image or batch X, drawn from LIKELIHOOD with whatever operator, scale and so on it has; its own
data do not matter.  Of posterior samples, the posterior predictive.
Example: (tensor-shape (likelihood-draw (student-t-likelihood op y) scan #:seed 1)) => (16 16)"
  (check-likelihood 'likelihood-draw likelihood)
  (check-that (datum-draw likelihood) 'likelihood-draw "likelihood: ~a cannot be drawn from" likelihood)
  (check-seed 'likelihood-draw seed)
  (let ((op (likelihood-operator likelihood)))
    ((operator-restrict op) ((datum-draw likelihood) (apply-forward op x) seed))))

(define (check-real-data who argument y kind)
  (check-that (and (tensor? y) (eq? 'f32 (tensor-dtype y))) who "~a: expected ~a, real numbers, got ~s" argument kind y))

(define (check-none who argument bad y expected)
  ;; Complain unless BAD, f32 of 0 and 1, is 0 for each of Y.
  (let ((index (list-index positive? (tensor->list bad))))
    (check-that (not index) who "~a: expected ~a, got ~a" argument expected
                (and index (list-ref (tensor->list y) index)))))

;;; --- Counts ---------------------------------------------------------------------------

(define (check-map who argument value y zero?)
  ;; VALUE: a positive number, or a map of them of Y's shape; or of 0 where ZERO?.
  (let ((good? (if zero? >= >)))
    (check-that (if (tensor? value)
                    (and (eq? 'f32 (tensor-dtype value)) (equal? (tensor-shape value) (tensor-shape y))
                         (tensor-finite? value) (good? (tensor->number (tensor-min value)) 0))
                    (and (finite-number? value) (good? value 0)))
                who "~a: expected a ~a, or a map of them of shape ~a, got ~s" argument
                (if zero? "number of 0 or more" "positive number") (tensor-shape y) value)))

(define* (poisson-likelihood op y #:key (gain 1) (background 0) (floor 0.1))
  "Counts: Y, f32 of whole numbers, is Poisson with the rate GAIN A x + BACKGROUND, for real images x; GAIN and
BACKGROUND are numbers or f32 of Y's shape.  log p(y | z) = y log rate - rate.
No rate is negative, but a prior may propose some.  Where the rate is below FLOOR the log density goes on as
the parabola that has its value, slope and curvature there, with a wall, -(rate / FLOOR - 1)^2 / 2, added, that holds off
negative rates where nothing was counted; so the score is finite everywhere, and exact for rates of FLOOR or more.
The mass has the curvature at the lowest rate that a count leaves plausible, by two standard deviations.
Sources: Bertero et al., Image deblurring with Poisson data: from cells to galaxies, Inverse Problems 25 (2009),
for the model; Wilson and Hilferty (1931) for the lowest rate.  Annealed: the prior alone, see `make-likelihood'.
Example: (poisson-likelihood (denoising-operator '(2 2)) (list->tensor '(3 0 7 1) '(2 2)) #:background 0.5)
         => #<Poisson likelihood (2 2) by denoising>"
  (define who 'poisson-likelihood)
  (check-real-data who "y" y "counts")
  (check-data who op y)
  (check-none who "y" (tensor< y 0) y "counts of 0 or more")
  (check-none who "y" (tensor< 0 (tensor-abs (tensor- y (tensor-round y)))) y "counts, whole numbers")
  (check-map who "gain" gain y #f)
  (check-map who "background" background y #t)
  (check-that (positive-number? floor) who "floor: expected a positive number, got ~s" floor)
  (let* ((rate (lambda (z)
                 (check-that (eq? 'f32 (tensor-dtype z)) who
                             "x: expected real images, of which the operator makes real rates, got ~a" (tensor-dtype z))
                 (tensor+ background (tensor* gain z))))
         (below (lambda (rate) (tensor-minimum 0 (tensor- (tensor/ rate floor) 1)))) ; d, 0 from FLOOR on
         (counts (batch-of-one y))
         (lowest (let ((n (tensor+ y 1)))        ; of a gamma distribution of shape n, -2 standard deviations
                   (tensor-maximum
                    floor (tensor* n (tensor-power
                                      (tensor-maximum
                                       0 (tensor- 1 (tensor+ (tensor/ 1 (tensor* 9 n))
                                                             (tensor/ 2/3 (tensor-sqrt n)))))
                                      3))))))
    (make-likelihood
     "Poisson" op y
     #:score (lambda (z)
               (let* ((rate (rate z)) (d (below rate)))
                 (tensor* gain (tensor- (tensor* (tensor/ counts (tensor-maximum floor rate)) (tensor- 1 d))
                                        (tensor+ 1 (tensor/ d floor))))))
     #:log-density (lambda (z)
                     (let* ((rate (rate z)) (d (below rate)) (square (tensor* 1/2 (tensor* d d))))
                       (tensor- (tensor* counts (tensor+ (tensor-log (tensor-maximum floor rate)) (tensor- d square)))
                                (tensor+ rate square))))
     #:curvature (tensor* (tensor* gain gain) (tensor/ (tensor+ y 1) (tensor* lowest lowest)))
     #:start (tensor/ (tensor-maximum 0 (tensor- y background)) gain)
     #:draw (lambda (z seed)
              (let ((rate (rate z)))
                (check-none who "A x" (tensor< rate 0) rate "rates of 0 or more")
                (poisson-counts rate seed))))))

(define (log-factorial n)
  ;; Of a whole number N; from 16 on by Stirling's series, whose next term is below 1e-9.
  (if (< n 16)
      (log (apply * (iota (inexact->exact n) 1)))
      (+ (* (+ n 0.5) (log n)) (- n) (* 0.5 (log (* 8 (atan 1)))) (/ (* 12 n)) (/ -1 (* 360 n n n)))))

(define (poisson-count rate u)
  ;; What the uniform number U draws with RATE: counts are tried from the most probable one outwards.
  (if (zero? rate)
      0
      (let* ((mode (floor rate))
             (p (exp (- (* mode (log rate)) rate (log-factorial mode)))))
        (let loop ((u u) (low mode) (p-low p) (high (+ mode 1)) (p-high (/ (* p rate) (+ mode 1))))
          (cond ((< u p-low) low)
                ((< (- u p-low) p-high) high)
                ((< (+ p-low p-high) 1e-18) mode) ; rounding
                (else (loop (- u p-low p-high) (- low 1) (* p-low (/ low rate))
                            (+ high 1) (* p-high (/ rate (+ high 1))))))))))

(define (poisson-counts rate seed)
  ;; Two uniform numbers of 24 bits a count make one of 48.
  (let ((uniform (lambda (part)
                   (tensor->list (random-uniform (list (tensor-count rate)) seed (random-stream 'measurement part))))))
    (list->tensor (map (lambda (rate u fine) (poisson-count rate (+ u (* fine (expt 2. -24)))))
                       (tensor->list rate) (uniform 0) (uniform 1))
                  (tensor-shape rate))))

;;; --- Outliers -------------------------------------------------------------------------

(define* (student-t-likelihood op y #:key (scale 0.1) (freedom 4))
  "Noise with outliers: Y - A x is Student's t of FREEDOM degrees and SCALE, which is the standard deviation of
nearly all of it; a complex datum's is the t in two dimensions, so that its parts are outliers together.  With r = y - z and d = 1, or 2 of complex data,
log p(y | z) = -(FREEDOM + d) / 2 log(1 + |r|^2 / (FREEDOM SCALE^2)), and the score is r (FREEDOM + d) / (FREEDOM SCALE^2 + |r|^2):
what is far off hardly counts.  Its curvature is (FREEDOM + d) / (FREEDOM SCALE^2) at most, and the posterior
may have several modes.
Source: Lange, Little and Taylor, Robust statistical modeling using the t distribution, JASA 84 (1989).
Annealed: the prior alone, see `make-likelihood'.
Example: (student-t-likelihood op y #:scale 0.1 #:freedom 3)"
  (define who 'student-t-likelihood)
  (check-data who op y)
  (check-that (positive-number? scale) who "scale: expected a positive number, got ~s" scale)
  (check-that (positive-number? freedom) who "freedom: expected a positive number of degrees, got ~s" freedom)
  (let* ((sum (+ freedom (if (eq? 'c64 (tensor-dtype y)) 2 1)))
         (spread (* freedom scale scale))
         (data (batch-of-one y))
         (squares (lambda (r) (tensor-square (tensor-abs r)))))
    (make-likelihood
     "Student t" op y
     #:score (lambda (z)
               (let ((r (tensor- data z)))
                 (tensor* r (tensor/ sum (tensor+ spread (squares r))))))
     #:log-density (lambda (z)
                     (tensor* (/ sum -2) (tensor-log (tensor+ 1 (tensor/ (squares (tensor- data z)) spread)))))
     #:curvature (/ sum spread)
     #:draw (lambda (z seed) (tensor+ z (tensor* scale (t-draws z freedom seed)))))))

(define (t-draws like freedom seed)
  ;; Of t with FREEDOM degrees, of LIKE's shape and type.  With uniform u and v, sqrt (FREEDOM (u^(-2 / FREEDOM) - 1)) is
  ;; the length, and 2 pi v the angle, of t in two dimensions, of which either part is t in one.
  ;; Source: Bailey, Polar generation of random variates with the t-distribution, Math. Comp. 62 (1994).
  (let* ((uniform (lambda (part) (random-uniform (tensor-shape like) seed (random-stream 'measurement part))))
         (log-u (tensor-log (tensor-maximum 1e-30 (uniform 0))))
         (radius (tensor-sqrt (tensor* freedom (tensor- (tensor-exp (tensor* (/ -2 freedom) log-u)) 1))))
         (angle (tensor* (* 8 (atan 1)) (uniform 1)))
         (real (tensor* radius (tensor-cos angle))))
    (if (eq? 'c64 (tensor-dtype like))
        (tensor+ real (tensor* 0+1i (tensor* radius (tensor-sin angle))))
        real)))

;;; --- Magnitudes -----------------------------------------------------------------------

;; Bessel functions by polynomials, each to 6e-7 of itself.  Source: Abramowitz and Stegun, 9.8.1 to 9.8.4.

(define (polynomial coefficients t)
  ;; COEFFICIENTS from that of the highest power.
  (fold (lambda (c sum) (tensor+ c (tensor* t sum))) (tensor* 0 t) coefficients))

(define border 3.75)

(define (by-size u small large)
  ;; SMALL of (u / 3.75)^2 where U, 0 or more, is below 3.75, else LARGE of 3.75 / u.
  (let ((small? (tensor< u border)))
    (tensor+ (tensor* small? (small (tensor-square (tensor/ (tensor-minimum u border) border))))
             (tensor* (tensor- 1 small?) (large (tensor/ border (tensor-maximum u border)))))))

(define (i0-near t) (polynomial '(0.0045813 0.0360768 0.2659732 1.2067492 3.0899424 3.5156229 1) t))
(define (i0-far t)                      ; sqrt (u) e^-u I0 (u)
  (polynomial '(0.00392377 -0.01647633 0.02635537 -0.02057706 0.00916281 -0.00157565 0.00225319 0.01328592 0.39894228) t))
(define (i1-near t)                     ; I1 (u) / u
  (polynomial '(0.00032411 0.00301532 0.02658733 0.15084934 0.51498869 0.87890594 0.5) t))
(define (i1-far t)
  (polynomial '(-0.00420059 0.01787654 -0.02895312 0.02282967 -0.01031555 0.00163801 -0.00362018 -0.03988024 0.39894228) t))

(define (log-bessel u)
  ;; log I0 (u) of U, f32 of 0 or more.
  (tensor+ (tensor* (tensor< border u) (tensor- u (tensor* 1/2 (tensor-log (tensor-maximum u border)))))
           (by-size u (lambda (t) (tensor-log (i0-near t))) (lambda (t) (tensor-log (i0-far t))))))

(define (bessel-ratio u)
  ;; I1 (u) / (u I0 (u)), which is 1/2 at 0 and near to 1 / u far off.
  (by-size u (lambda (t) (tensor/ (i1-near t) (i0-near t)))
           (lambda (t) (tensor* (tensor/ (i1-far t) (i0-far t)) (tensor/ t border)))))

(define* (magnitude-likelihood op y #:key (noise 0.1) (dtype 'c64))
  "Magnitudes, the phase unknown: Y, f32 of 0 or more, is |A x + n| with n complex, of standard deviation NOISE in real
and imaginary part each, which makes it Rician:
log p(y | z) = -|z|^2 / (2 NOISE^2) + log I0(u), u = y |z| / NOISE^2, with the score
z (y^2 / NOISE^2 I1(u) / (u I0(u)) - 1) / NOISE^2; the ratio of Bessel functions to 1e-6.  Images have DTYPE, c64 or, where A x
is real and its sign is what is unknown, f32.  The curvature is 1 / NOISE^2 at most.  At z = 0 the log density has a minimum, all phases are
alike, and a posterior has as many modes as the prior and A leave phases open.
Source: Gudbjartsson and Patz, The Rician distribution of noisy MRI data, Magn. Reson. Med. 34 (1995);
Abramowitz and Stegun, 9.8.1 to 9.8.4.  Annealed: the prior alone, see `make-likelihood'.
Example: (magnitude-likelihood op (tensor-abs y) #:noise 0.1)"
  (define who 'magnitude-likelihood)
  (check-real-data who "y" y "magnitudes")
  (check-data who op y)
  (check-none who "y" (tensor< y 0) y "magnitudes of 0 or more")
  (check-that (positive-number? noise) who "noise: expected a positive number, got ~s" noise)
  (check-that (memq dtype '(f32 c64)) who "dtype: expected f32 or c64, got ~s" dtype)
  (let* ((precision (/ (* noise noise)))
         (data (tensor* precision (batch-of-one y)))
         (u (lambda (z) (tensor* data (tensor-abs z)))))
    (make-likelihood
     "magnitude" op y
     #:score (lambda (z)
               (tensor* z (tensor- (tensor* (tensor* data data) (bessel-ratio (u z))) precision)))
     #:log-density (lambda (z)
                     (tensor- (log-bessel (u z)) (tensor* (/ precision 2) (tensor-square (tensor-abs z)))))
     #:curvature precision
     #:start (if (eq? dtype 'c64) (tensor+ y (tensor-zeros (tensor-shape y) 'c64)) y)
     #:draw (lambda (z seed)
              (tensor-abs (tensor+ z (tensor* noise (random-normal (tensor-shape z) seed
                                                                   (random-stream 'measurement) 'c64))))))))

(document
 (likelihood?
  "True when OBJECT is a likelihood.
Example: (likelihood? (student-t-likelihood op y)) => #t")
 (likelihood-name
  "The name of LIKELIHOOD, a string.
Example: (likelihood-name (student-t-likelihood op y)) => \"Student t\"")
 (likelihood-operator
  "The operator of LIKELIHOOD.
Example: (likelihood-operator (student-t-likelihood op y))")
 (likelihood-data
  "The data of LIKELIHOOD.
Example: (tensor-shape (likelihood-data (student-t-likelihood op y))) => (16 16)")
 (likelihood-curvature
  "How large -d^2 log p(y | z) / dz^2 of LIKELIHOOD becomes, of which the mass is made: a number, or f32 of the data's shape.
Example: (likelihood-curvature (student-t-likelihood op y #:scale 1 #:freedom 4)) => 3/2")
 (likelihood-start
  "The image that chains on LIKELIHOOD start from.
Example: (tensor-shape (likelihood-start (student-t-likelihood op y))) => (16 16)"))
