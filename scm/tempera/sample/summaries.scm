;;; summaries.scm -- what samples say: of pixels, of regions, of two hypotheses, and of what was measured.
;;;
;;; Samples are of complex or real images; pixels and regions are summed up by magnitudes, as radiologists see them.
;;; An interval is between two quantiles of the samples, so its error falls with their number.

(define-module (tempera sample summaries)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera data images)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample chain)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (exceedance log-odds region-mean sample-quantile spread-by-frequency spread-warning))

(define (samples-of who what)
  ;; (C ...), of a chain or as given.
  (let ((samples (if (chain? what) (chain-samples what) what)))
    (check-that (and (tensor? samples) (> (length (tensor-shape samples)) 1)) who
                "samples: expected a chain or samples (C rows columns), got ~s" what)
    samples))

(define (check-share who name share)
  (check-that (and (real? share) (< 0 share 1)) who "~a: expected a number between 0 and 1, got ~s" name share))

;;; --- Pixels ------------------------------------------------------------------------

(define (sample-quantile what q)
  "The quantile Q, between 0 and 1, of the magnitudes of samples, WHAT, a chain or (C ...): f32 (...), linear between
neighbours.
Example: (tensor-shape (sample-quantile chain 0.95)) => (16 16)"
  (check-share 'sample-quantile "q" q)
  (tensor-quantile (image-magnitude (samples-of 'sample-quantile what)) q 0))

(define (exceedance what level)
  "The probability that the magnitude exceeds LEVEL, a number or a map f32 (...): the share of the samples WHAT, a chain or
(C ...), in which it does, f32 (...).
Example: (tensor-max (exceedance chain 1e6)) => #<tensor f32 () 0.0>"
  (check-that (or (tensor? level) (and (real? level) (finite? level))) 'exceedance
              "level: expected a number or a map, got ~s" level)
  (tensor-mean (tensor< level (image-magnitude (samples-of 'exceedance what))) 0))

;;; --- Regions ------------------------------------------------------------------------

(define (check-region who name region shape)
  (check-that (and (tensor? region) (eq? 'f32 (tensor-dtype region)) (equal? shape (tensor-shape region))
                   (tensor-finite? region) (>= (tensor->number (tensor-min region)) 0)
                   (> (tensor->number (tensor-max region)) 0))
              who "~a: expected f32 ~a of 0 and 1, or of weights of 0 or more, not all 0, got ~s" name shape region))

(define (means-over region magnitudes)
  ;; (C), of MAGNITUDES (C ...) weighted by REGION.
  (tensor/ (tensor-sum (tensor* region magnitudes) (iota (length (tensor-shape region)) 1))
           (tensor-sum region)))

(define* (region-mean what region #:key (level 0.9) (against #f))
  "The mean magnitude over REGION, f32 of an image's shape, 0 and 1 or weights: its mean over the samples WHAT, a chain
or (C rows columns), and the ends of the interval that has the share LEVEL of them in its middle, three values.
With AGAINST, another region, all are of the first mean less the second.
Example: (region-mean chain (tensor+ 1 (tensor-zeros '(16 16))) #:against (tensor< 1 (tensor-abs scan)))"
  (check-share 'region-mean "level" level)
  (let* ((magnitudes (image-magnitude (samples-of 'region-mean what)))
         (shape (cdr (tensor-shape magnitudes))))
    (check-region 'region-mean "region" region shape)
    (when against (check-region 'region-mean "against" against shape))
    (let* ((means (means-over region magnitudes))
           (means (if against (tensor- means (means-over against magnitudes)) means))
           (quantile (lambda (q) (tensor->number (tensor-quantile means q 0)))))
      (values (tensor->number (tensor-mean means))
              (quantile (/ (- 1 level) 2)) (quantile (/ (+ 1 level) 2))))))

;;; --- Two hypotheses ------------------------------------------------------------------

(define* (log-odds target a b sigma #:key (points 16))
  "log p_SIGMA (A | y) - log p_SIGMA (B | y) of two images, of TARGET's shape: by how much A, say with a lesion, is more
probable than B, without.  It is the score's integral along the line from B to A, by the midpoint rule with POINTS, all in one batch,
so that no density need be known; exact where the score is linear between them.
Example: (log-odds target scan scan 0.1) => 0.0"
  (check-that (target? target) 'log-odds "target: expected one, got ~s" target)
  (check-that (positive-number? sigma) 'log-odds "sigma: expected a positive number, got ~s" sigma)
  (check-that (and (exact-integer? points) (> points 0)) 'log-odds "points: expected a positive integer, got ~s" points)
  (for-each (lambda (name image)
              (check-that (and (tensor? image) (equal? (tensor-shape image) (target-shape target))
                               (eq? (tensor-dtype image) (target-dtype target)))
                          'log-odds "~a: expected ~a ~a as ~a has, got ~s" name (target-dtype target)
                          (target-shape target) target image))
            '("a" "b") (list a b))
  (with-scope
   (lambda ()
     (let* ((shape (target-shape target))
            (step (tensor- a b))
            (along (list->tensor (map (lambda (k) (/ (+ k 1/2) points)) (iota points))
                                 (cons points (map (const 1) shape))))
            (x (tensor+ b (tensor* along step)))
            (whole (tensor-copy (tensor-broadcast step (cons points shape)))))
       (mean (vector->list (chains-dot (target-score target x sigma) whole)))))))

;;; --- What was measured ------------------------------------------------------------------

(define (spread-by-frequency what measurement)
  "How far the samples WHAT, a chain or (C rows columns), spread in k-space where MEASUREMENT, by an MRI operator,
measured and where it did not: two values, standard deviations of real and imaginary part each, the second #f if
all was measured.  The first is of A x, for each number that the data can determine; of right samples it is at most the noise,
which the data leave.
Example: (call-with-values (lambda () (spread-by-frequency chain (measurement op y #:noise 0.1)))
           (lambda (measured unmeasured) (< measured 0.11 unmeasured))) => #t"
  (define who 'spread-by-frequency)
  (check-that (and (measurement? measurement) (operator-mask (measurement-operator measurement))) who
              "measurement: expected one by an MRI operator, got ~s" measurement)
  (let* ((samples (samples-of who what)) (op (measurement-operator measurement))
         (shape (tensor-shape samples)) (count (first shape)))
    (check-that (> count 1) who "samples: one has no spread")
    (check-that (= 3 (length shape)) who "samples: expected (C rows columns), got shape ~a" shape)
    (with-scope
     (lambda ()
       (let* ((mask (tensor-copy (tensor-broadcast (operator-mask op) (cdr shape))))
              (parts (if (eq? 'c64 (tensor-dtype samples)) 2 1))
              (deviations (tensor- samples (tensor-mean samples 0 #t)))
              (data (apply-forward op deviations))
              (sum (lambda (t) (tensor->number (tensor-sum-squares t))))
              (total (lambda (t) (tensor->number (tensor-sum t))))
              (coils (/ (tensor-count data) (tensor-count samples)))
              ;; What the data can determine: numbers of the image, or if they are fewer those measured.
              (determined (min (* 2 coils (total mask)) (* parts (apply * (cdr shape)))))
              (others (total (tensor- 1 mask))))
         (values (sqrt (/ (sum data) (1- count) determined))
                 (and (> others 0)
                      (sqrt (/ (sum (tensor* (tensor- 1 mask) (fft2 deviations))) (1- count) (* 2 others))))))))))

(define (spread-warning measured noise count numbers)
  "What to say if samples, COUNT of them, spread by MEASURED where they were measured with the standard deviation NOISE, in so many
NUMBERS (see `spread-by-frequency'): a string, or #f if it is within the noise.
Example: (spread-warning 0.1 0.1 8 1000) => #f"
  ;; A tenth is allowed for, and six standard errors of a variance by COUNT - 1 times NUMBERS squares.
  (and (> measured (* noise 1.1 (sqrt (+ 1 (* 6 (sqrt (/ 2. (max 1 (* (1- count) numbers)))))))))
       (format #f "samples spread by ~a at measured frequencies, where noise of ~a leaves no more than that: they are \
not of this posterior; let the temperatures go lower, take a sampler that accepts and rejects, or look into the noise"
               (significant measured 3) (significant noise 3))))
