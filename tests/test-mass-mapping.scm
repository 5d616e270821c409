;;; test-mass-mapping.scm -- shear under a mask and with noise that varies: Wiener's filter against a dense solution, its
;;; draws and annealed chains against the exact posterior; Kaiser and Squires's map; spectra and log-normal fields.

(use-modules (srfi srfi-1)
             (srfi srfi-4)
             (harness)
             (tempera base numbers)
             (tempera problem compositions) (tempera problem gaussian) (tempera problem measurements)
             (tempera problem operators) (tempera problem pixels) (tempera problem shear) (tempera problem sky)
             (tempera problem masses) (tempera problem targets) (tempera problem wiener)
             (tempera problem priors) (tempera sample anneal) (tempera sample chain) (tempera sample schedules)
             (tempera tensor primitives) (tempera tensor tensors))

(start-tests "mass mapping")

(define (norm x) (sqrt (tensor->number (tensor-sum-squares x))))
(define (apart a b) (/ (norm (tensor- a b)) (norm b)))
(define (as-complex x) (tensor+ x (tensor-zeros (tensor-shape x) 'c64)))

;;; --- A field that is seen through a mask ---------------------------------------------

(define (field-of n)
  "A spectrum, a measurement of a field of it by N x N pixels of shear, and the field."
  (let* ((shape (list n n))
         (spectrum (power-spectrum shape #:amplitude 30 #:exponent 3))
         (mask (tensor-tabulate shape (lambda (i j) (if (and (< 2 (modulo (+ i (* 2 j)) 9)) (> i 3)) 1 0))))
         (noise (tensor-tabulate shape (lambda (i j) (+ 0.5 (/ j n)))))
         (truth (tensor-reshape (prior-draw (gaussian-prior spectrum #:dtype 'f32) 1 #:seed 5) shape))
         (op (composed-operator (inpainting-operator mask) (shear-operator shape #:dtype 'f32)))
         (y (tensor+ (apply-forward op truth)
                     (tensor* (tensor* mask noise) (random-normal shape 6 0 'c64)))))
    (list spectrum (measurement op y #:noise noise) truth)))

(define (identity-of n)
  ;; The N^2 images (N^2 N N) with a single 1.
  (let ((images (tensor-zeros (list (* n n) n n))))
    (for-each (lambda (k) (tensor-set! images 1 k (quotient k n) (modulo k n))) (iota (* n n)))
    images))

(define (precision-of n spectrum measurement)
  "The matrix A^H N^-1 A + S^-1 over pixels, (N^2 N^2)."
  (let ((one (identity-of n)))
    (tensor-reshape
     (tensor+ (tensor* (/ (expt (measurement-noise measurement) 2)) (apply-normal (measurement-operator measurement) one))
              (fourier-filter one (tensor/ 1 spectrum)))
     (list (* n n) (* n n)))))

(define (right-side measurement)
  (tensor* (/ (expt (measurement-noise measurement) 2))
           (apply-adjoint (measurement-operator measurement) (measurement-data measurement))))

(define (cholesky! a n)
  ;; Of the N x N matrix A, a vector of f64vectors of which the part up to the diagonal is read: L in its place.
  (do ((j 0 (1+ j))) ((= j n) a)
    (let ((row (vector-ref a j)))
      (do ((k 0 (1+ k))) ((> k j))
        (let ((other (vector-ref a k)))
          (let loop ((i 0) (sum (f64vector-ref row k)))
            (if (< i k)
                (loop (1+ i) (- sum (* (f64vector-ref row i) (f64vector-ref other i))))
                (f64vector-set! row k (if (= k j) (sqrt sum) (/ sum (f64vector-ref other k)))))))))))

(define (solve-dense matrix right)
  "The solution of MATRIX x = RIGHT, tensors (n n) and (n), symmetric, and L of MATRIX = L L^T."
  (let* ((n (tensor-size matrix 0))
         (rows (list->vector (map (lambda (i) (list->f64vector (tensor->list (tensor-copy (tensor-slice matrix 0 i (1+ i))))))
                                  (iota n))))
         (l (cholesky! rows n))
         (x (list->f64vector (tensor->list right))))
    (do ((i 0 (1+ i))) ((= i n))
      (let loop ((k 0) (sum (f64vector-ref x i)))
        (if (< k i)
            (loop (1+ k) (- sum (* (f64vector-ref (vector-ref l i) k) (f64vector-ref x k))))
            (f64vector-set! x i (/ sum (f64vector-ref (vector-ref l i) i))))))
    (do ((i (1- n) (1- i))) ((< i 0))
      (let loop ((k (1+ i)) (sum (f64vector-ref x i)))
        (if (< k n)
            (loop (1+ k) (- sum (* (f64vector-ref (vector-ref l k) i) (f64vector-ref x k))))
            (f64vector-set! x i (/ sum (f64vector-ref (vector-ref l i) i))))))
    (values (list->tensor (f64vector->list x)) l)))

(define (variances l n)
  "The diagonal of (L L^T)^-1, a list: the squares of the columns of L^-1."
  (map (lambda (j)
         (let ((x (make-f64vector n 0.)))
           (f64vector-set! x j (/ (f64vector-ref (vector-ref l j) j)))
           (let column ((i (1+ j)) (sum (expt (f64vector-ref x j) 2)))
             (if (= i n)
                 sum
                 (let loop ((k j) (s 0.))
                   (if (< k i)
                       (loop (1+ k) (- s (* (f64vector-ref (vector-ref l i) k) (f64vector-ref x k))))
                       (let ((value (/ s (f64vector-ref (vector-ref l i) i))))
                         (f64vector-set! x i value)
                         (column (1+ i) (+ sum (* value value))))))))))
       (iota n)))

(test-group "Wiener's filter"
  (apply
   (lambda (spectrum measurement truth)
     (call-with-values (lambda () (solve-dense (precision-of 32 spectrum measurement)
                                               (tensor-reshape (right-side measurement) '(1024))))
       (lambda (exact l)
         (let ((wiener (wiener-filter spectrum measurement)))
           (test-assert "as a dense solution of 32 x 32 pixels"
             (< (apart (tensor-reshape wiener '(1024)) exact) 1e-4))
           (test-assert "nearer to the truth than nothing" (< (apart wiener truth) 0.8))))))
   (field-of 32))
  (let* ((spectrum (power-spectrum '(16 12) #:amplitude 30 #:exponent 3))
         (op (mri-operator #:mask (tensor-tabulate '(12) (lambda (j) (if (odd? j) 1 0)))))
         (y (measure op (tensor-reshape (prior-draw (gaussian-prior spectrum) 1 #:seed 1) '(16 12)) #:seed 2)))
    (test-assert "where the posterior has a formula, as that"
      (call-with-values (lambda () (gaussian-posterior spectrum op y))
        (lambda (mean-image variance) (< (apart (wiener-filter spectrum op y) mean-image) 1e-4))))))

;;; --- Against the exact posterior --------------------------------------------------------

(define (within-exact name n evaluations-at-most draw)
  ;; DRAW gives samples of the posterior of a spectrum and a measurement, and how many evaluations they took.
  (apply
   (lambda (spectrum measurement truth)
     (call-with-values (lambda () (solve-dense (precision-of n spectrum measurement)
                                               (tensor-reshape (right-side measurement) (list (* n n)))))
       (lambda (exact l)
         (call-with-values (lambda () (draw spectrum measurement))
           (lambda (samples evaluations)
             (let* ((count (tensor-size samples 0))
                    (samples (tensor-reshape samples (list count (* n n))))
                    (centre (tensor-mean samples 0))
                    (variance (list->tensor (variances l (* n n))))
                    (sample (tensor/ (tensor-sum-squares (tensor- samples centre) 0) (1- count)))
                    (ratio (/ (tensor->number (tensor-sum sample)) (tensor->number (tensor-sum variance))))
                    ;; In the L of precision = L L^T the error of the mean is white: |L^T e|^2 count / n^2 is 1.
                    (e (list->f64vector (tensor->list (tensor- centre exact))))
                    (z (sqrt (* count
                                (mean (map (lambda (j)
                                             (expt (fold (lambda (i sum) (+ sum (* (f64vector-ref (vector-ref l i) j)
                                                                                   (f64vector-ref e i))))
                                                         0. (iota (- (* n n) j) j))
                                                   2))
                                           (iota (* n n))))))))
               (test-approximate (string-append name ": variance") 1 ratio 0.04)
               (test-approximate (string-append name ": mean, in Monte Carlo errors") 1 z 0.15)
               (test-assert (string-append name ": evaluations") (<= evaluations evaluations-at-most))))))))
   (field-of n)))

(within-exact "draws" 12 0 (lambda (spectrum measurement) (values (wiener-draws spectrum measurement 200 #:seed 3) 0)))
(within-exact "annealed chains" 12 1500
              (lambda (spectrum measurement)
                (let ((chain (anneal (posterior (gaussian-prior spectrum #:dtype 'f32) measurement)
                                     #:chains 160 #:seed 4 #:temperatures (geometric 30 #:ratio 0.85 #:until 0.03))))
                  (values (chain-samples chain) (chain-evaluations chain)))))

;;; --- Kaiser and Squires -------------------------------------------------------------------

(let* ((kappa (tensor-reshape (prior-draw (gaussian-prior (power-spectrum '(16 24)) #:dtype 'f32) 1 #:seed 1) '(16 24)))
       (kappa (tensor- kappa (tensor->number (tensor-mean kappa))))
       (op (shear-operator '(16 24) #:dtype 'f32))
       (gamma (apply-forward op kappa)))
  (test-assert "of E modes alone, as of both" (< (apart gamma (apply-forward (shear-operator '(16 24)) (as-complex kappa))) 1e-6))
  ;; Of the highest frequency of an even number shear cannot be told from that of its negative.
  (test-assert "the inverse" (< (apart (tensor-real (kaiser-squires gamma)) kappa) 0.05))
  (test-assert "no B modes" (< (norm (tensor-imag (kaiser-squires gamma))) (* 0.05 (norm kappa))))
  (test-assert "turned by 45 degrees, no E modes"
    (< (norm (tensor-real (kaiser-squires (tensor* +i gamma)))) (* 0.05 (norm kappa))))
  (test-assert "its adjoint" (< (adjoint-defect op '(16 24) #:dtype 'f32) 1e-5))
  (test-assert "its normal"
    (< (apart (apply-normal op kappa) (apply-adjoint op gamma)) 1e-5))
  (let ((wave (tensor-tabulate '(16 24) (lambda (i j) (cos (* 2 3.141592653589793 2 (/ j 24)))))))
    (test-approximate "smoothing by a Gaussian of 3 pixels" (exp (* -1/2 (expt (* 2 3.141592653589793 3 2/24) 2)))
      (/ (norm (kaiser-squires (apply-forward op wave) #:smoothing 3)) (norm wave)) 1e-4)))

;;; --- Spectra and log-normal fields --------------------------------------------------------

(define table (list->tensor '(100 1000 10000 1e-8 1e-9 1e-11) '(2 3)))
(define arcminute (/ 3.141592653589793 180 60))

(let* ((power (angular-power-spectrum table '(30 40) 2))
       (at (lambda (i j) (* (expt (* 2 arcminute) 2) (tensor-ref power (+ 15 i) (+ 20 j)))))
       (l (lambda (i j) (* (/ (* 2 3.141592653589793) (* 2 arcminute)) (sqrt (+ (expt (/ i 30) 2) (expt (/ j 40) 2)))))))
  (test-approximate "below the first multipole" 1e-8 (at 0 0) 1e-12)
  (test-approximate "a power law between two" (* 1e-8 (/ 100 (l 1 2))) (at 1 2) 1e-12)
  (test-approximate "and the next" (* 1e-9 (expt (/ 1000 (l 9 5)) 2)) (at 9 5) 1e-13)
  (test-assert "beyond the last" (> 1e-11 (let ((small (angular-power-spectrum table '(8 8) 0.2)))
                                            (* (expt (* 0.2 arcminute) 2) (tensor-ref small 0 4))) 1e-13)))

(let* ((power (angular-power-spectrum table '(64 64) 2))
       (fields (log-normal-fields power 60 #:shift 0.03 #:seed 1))
       (measured (tensor/ (tensor-sum-squares (fft2 (as-complex fields)) 0) 60))
       (ring (lambda (from to)
               (let ((inside (tensor-tabulate '(64 64) (lambda (i j) (if (<= from (sqrt (+ (expt (- i 32) 2) (expt (- j 32) 2))) to) 1 0)))))
                 (/ (tensor->number (tensor-sum (tensor* inside measured))) (tensor->number (tensor-sum (tensor* inside power)))))))
       (deviation (sqrt (/ (tensor->number (tensor-sum power)) 4096)))
       (skewness (/ (tensor->number (tensor-mean (tensor-power fields 3)))
                    (expt (tensor->number (tensor-mean (tensor-square fields))) 3/2))))
  (test-approximate "log-normal fields have the power, on large scales" 1 (ring 1 4) 0.12)
  (test-approximate "on small ones" 1 (ring 10 24) 0.05)
  (test-assert "no value is below the shift" (> (tensor->number (tensor-min fields)) -0.03))
  (test-approximate "and the skewness, 3 r + r^3 with r = deviation / shift"
    (+ (* 3 (/ deviation 0.03)) (expt (/ deviation 0.03) 3)) skewness 0.35)
  (test-assert "the same by the same seed" (tensor-identical? fields (log-normal-fields power 60 #:shift 0.03 #:seed 1)))
  (let ((found (angular-power-of (tensor-reshape (tensor-copy (tensor-slice fields 0 0 1)) '(64 64)) 2 #:bins 6)))
    (test-assert "measured in rings, as the table has it"
      (every (lambda (k) (< 0.3 (/ (tensor-ref found 1 k)
                                   (let ((l (tensor-ref found 0 k)))
                                     (if (< l 1000) (* 1e-8 (/ 100 l)) (* 1e-9 (expt (/ 1000 l) 2)))))
                            3))
             (iota (tensor-size found 1))))))

;;; --- Bad input ------------------------------------------------------------------------------

(let ((flat (list->tensor '(1 2 3) '(3))) (m (second (field-of 8))))
  (test-error-matching "a spectrum of another shape" "spectrum: expected positive numbers, f32 (8 8)"
    (wiener-filter (power-spectrum '(4 4)) m))
  (test-error-matching "no measurement" "measurement: expected one" (wiener-draws (power-spectrum '(8 8)) 1 3))
  (test-error-matching "no count" "count: expected a positive integer, got 0" (wiener-draws (power-spectrum '(8 8)) m 0))
  (test-error-matching "real shear" "shear: expected finite c64" (kaiser-squires (tensor-zeros '(4 4))))
  (test-error-matching "no smoothing" "smoothing: expected a number of pixels" (kaiser-squires (tensor-zeros '(4 4) 'c64) #:smoothing -1))
  (test-error-matching "no type" "dtype: expected c64 or f32" (shear-operator '(4 4) #:dtype 'u8))
  (test-error-matching "no table" "table: expected f32 (2 n)" (angular-power-spectrum flat '(4 4) 1))
  (test-error-matching "multipoles that fall" "multipoles that rise"
    (angular-power-spectrum (list->tensor '(3 2 1 1) '(2 2)) '(4 4) 1))
  (test-error-matching "no pixel" "pixel: expected a positive number of arcminutes" (angular-power-spectrum table '(4 4) 0))
  (test-error-matching "a complex image" "image: expected finite f32" (angular-power-of (tensor-zeros '(4 4) 'c64) 1))
  (test-error-matching "no shift" "shift: expected a positive number" (log-normal-fields (power-spectrum '(4 4)) 1 #:shift 0))
  (test-error-matching "a shift that no field has" "shift: expected one whose square is above"
    (log-normal-fields (tensor* 100 (power-spectrum '(8 8) #:exponent 0.1)) 1 #:shift 0.001)))

(finish-tests)
