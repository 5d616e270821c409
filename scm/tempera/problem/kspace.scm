;;; kspace.scm -- checks of k-space that comes from elsewhere.
;;;
;;; A posterior is just as confident when k-space is not centred, or has another scan's mask.
;;; Some of this can be noticed: by exact zeros, which noise never gives; by where the energy is,
;;; which in an image is the middle of k-space; by the air around an object.  Beside each limit
;;; stands how far correct data are from it.  What k-space cannot show is not checked: a conjugate
;;; (the image turned by 180 degrees), an origin that is off by one point.  Conjugate sensitivities are noticed in coils.scm.

(define-module (tempera problem kspace)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 format)
  #:use-module (tempera base errors)
  #:use-module ((tempera base numbers) #:select (significant))
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (with-scope))
  #:export (kspace-doubts check-kspace check-sampling warn-of-doubt coil-coherence middle whole-middle))

(define numpy-line "fftshift(fft2(ifftshift(x), norm=\"ortho\")) in NumPy")

;;; --- Tensors of two axes --------------------------------------------------------

(define (total tensor) (tensor->number (tensor-sum tensor)))

(define (line-sums tensor axis)
  ;; A list: the sum of each line of TENSOR, f32 (rows columns), along AXIS; 0 is of rows.
  (tensor->list (tensor-sum tensor (- 1 axis))))

(define (turn tensor axis count)
  ;; TENSOR moved on by COUNT along AXIS, and from its end to its beginning.
  (let* ((n (list-ref (tensor-shape tensor) axis)) (cut (modulo (- count) n)))
    (tensor-concatenate (list (tensor-copy (tensor-slice tensor axis cut n))
                              (tensor-copy (tensor-slice tensor axis 0 cut)))
                        axis)))

(define (middle tensor lengths)
  "The LENGTHS of TENSOR, (rows columns), around its origin."
  (fold (lambda (axis length part)
          (let ((start (- (quotient (list-ref (tensor-shape part) axis) 2) (quotient length 2))))
            (tensor-copy (tensor-slice part axis start (+ start length)))))
        tensor '(0 1) lengths))

(define (mean-where keep? sums counts)
  ;; The mean over the points of lines K with (KEEP? K), of SUMS and COUNTS, paired with their
  ;; number; #f if there are fewer than 64, too few for a mean.
  (let loop ((k 0) (sums sums) (counts counts) (sum 0) (count 0))
    (cond ((null? sums) (and (>= count 64) (cons (/ sum count) count)))
          ((keep? k) (loop (1+ k) (cdr sums) (cdr counts) (+ sum (car sums)) (+ count (car counts))))
          (else (loop (1+ k) (cdr sums) (cdr counts) sum count)))))

(define axis-names '("rows" "columns"))

(define (lines-text places)
  (string-append (string-join (map number->string (take places (min 6 (length places)))) " ")
                 (if (> (length places) 6) " ..." "")))

;;; --- Doubts -----------------------------------------------------------------------
;;; Each is called with the mask over (rows columns) and k-space (coils rows columns), and gives a list of
;;; (wrong . text) or (doubtful . text).  Coils are measured at the same points, and have their energy in the
;;; same places.

(define (mask-doubts mask y there)
  ;; THERE, (rows columns), is 1 where k-space is not as good as 0: above rounding, a millionth of its peak.
  (define outside (total (tensor* there (tensor- 1 mask))))
  (define (fits? other)
    (and (equal? (tensor-shape other) (tensor-shape mask))
         (= 0 (total (tensor* there (tensor- 1 other))))))
  (define (shifted axes)
    (fold (lambda (axis m) (turn m axis (quotient (list-ref (tensor-shape m) axis) 2))) mask axes))
  (define points (total mask))
  (define kept (total (tensor* there mask)))
  (cond ((= points 0)
         '((wrong . "mask: it is 0 everywhere, nothing was measured")))
        ((= kept 0)
         (if (> outside 0)
             '((wrong . "mask: k-space is 0 wherever it is 1; is it 1 where nothing was measured?"))
             '((wrong . "k-space: it is 0 everywhere"))))
        ((= outside 0) (zero-doubts mask y points))
        ((fits? (tensor-copy (tensor-transpose mask '(1 0))))
         '((wrong . "mask: k-space has data where it is 0, but not where its transpose is: transpose it")))
        ((find (lambda (axes) (fits? (shifted axes))) '((0) (1) (0 1)))
         '((wrong . "mask: k-space has data where it is 0, but not once it is moved by half its size: \
apply fftshift to it")))
        ;; The points a full scan has at a millionth of its peak or less are few.
        ((>= kept (* 0.98 points))
         `((doubtful . ,(format #f "mask: it leaves out ~a points of k-space that were measured"
                                (inexact->exact outside)))))
        (else
         `((wrong . ,(format #f "mask: it is of another scan: k-space has data at ~a points where it \
is 0, and none at ~a where it is 1"
                             (inexact->exact outside) (inexact->exact (- points kept))))))))

(define (zero-doubts mask y points)
  ;; Noise is never exactly 0: no line of four points, and few points of data that once were
  ;; integers (of noise with a deviation of two of their steps, 1 / (8 pi) = 4 %).
  (define found (tensor-max (tensor< 0 (tensor-abs (tensor-real y))) 0))
  (define also (tensor-max (tensor< 0 (tensor-abs (tensor-imag y))) 0))
  (define not-zero (tensor* mask (tensor-maximum found also)))
  (define share (- 1 (/ (total not-zero) points)))
  (define (empty-lines axis)
    (filter-map (lambda (k points there) (and (>= points 4) (= there 0) k))
                (iota (list-ref (tensor-shape mask) axis))
                (line-sums mask axis) (line-sums not-zero axis)))
  (define lines
    (any (lambda (axis)
           (let ((empty (empty-lines axis)))
             (and (pair? empty)
                  (format #f ", all of ~a ~a" (list-ref axis-names axis) (lines-text empty)))))
         '(1 0)))
  (if (or lines (> share 1/20))
      `((,(if (or lines (> share 1/8)) 'wrong 'doubtful)
         . ,(format #f "mask: k-space is exactly 0 at ~a of the ~a points where it is 1~a; a 0 is taken \
for a measurement, so set the mask to 0 where nothing was measured"
                    (inexact->exact (round (* share points))) (inexact->exact points) (or lines ""))))
      '()))

(define (coil-doubts coils)
  (let* ((peaks (tensor->list (tensor-max (tensor-abs coils) '(1 2))))
         (empty (filter-map (lambda (k peak) (and (= peak 0) k)) (iota (length peaks)) peaks)))
    (if (and (pair? empty) (< (length empty) (length peaks)))
        `((wrong . ,(format #f "k-space: coil~a ~a of ~a ~a 0 everywhere, counted from 0; leave out what is not connected"
                            (if (null? (cdr empty)) "" "s") (lines-text empty) (length peaks)
                            (if (null? (cdr empty)) "is" "are"))))
        '())))

(define (centre-doubts mask energy)
  ;; A point of the half of the lines around the middle has on average more energy than one
  ;; of the others: 9 to 3000 times in heads, as much in white noise.  Of N points, the mean of
  ;; white noise's energy varies by 1 / sqrt (N); six standard deviations are allowed for.
  (define (off-centre? axis)
    (let* ((n (list-ref (tensor-shape mask) axis))
           (inner? (lambda (k) (<= (* 4 (abs (- k (quotient n 2)))) n)))
           (sums (line-sums energy axis)) (counts (line-sums mask axis))
           (inner (mean-where inner? sums counts))
           (outer (mean-where (negate inner?) sums counts)))
      (and inner outer
           (< (car inner)
              (* (car outer)
                 (max 1/2 (- 0.9 (* 6 (sqrt (+ (/ (cdr inner)) (/ (cdr outer))))))))))))
  (define off (filter off-centre? '(0 1)))
  (define (near-middle? tensor)
    (> (total (middle tensor (map (lambda (n) (min n 3)) (tensor-shape tensor)))) 0))
  (cond ((pair? off)
         `((wrong . ,(format #f "k-space: it is not centred: more of its energy is at the edges of its \
~a than in their middle; make it by ~a"
                             (string-join (map (lambda (axis) (list-ref axis-names axis)) off) " and ")
                             numpy-line))))
        ((not (near-middle? mask))
         '((doubtful . "mask: it leaves out the middle of k-space, where images have most of their \
energy")))
        (else '())))

(define (place-doubts op y)
  ;; The image's outer lines against those through its middle, along both axes.  Heads have
  ;; at least 15 times more inside, and moved by half their size 20 times more outside; random
  ;; fields, which have no inside, up to 7 times either way.
  (define energy (tensor-square (tensor-abs (apply-adjoint op y))))
  (define (outside axis)
    (let* ((sums (line-sums energy axis)) (n (length sums)) (width (max 1 (quotient n 16)))
           (mean (lambda (keep?)
                   (let ((kept (filter-map (lambda (k s) (and (keep? k) s)) (iota n) sums)))
                     (/ (apply + kept) (length kept))))))
      (/ (mean (lambda (k) (or (< k width) (>= k (- n width)))))
         (max 1e-30 (mean (lambda (k) (< (- -1 width) (- k (quotient n 2)) width)))))))
  (define ratios (map outside '(0 1)))
  (if (or (any (lambda (r) (> r 10)) ratios) ; along one axis alone
          (and (every (lambda (r) (> r 1)) ratios) (> (apply * ratios) 10)))
      `((doubtful . ,(format #f "k-space: its image is dark in the middle and bright at the edges, as \
when it is moved by half its size; if it is, make k-space by ~a, with the ifftshift" numpy-line)))
      '()))

(define (noise-doubts mask energy scale noise)
  ;; The outer eighths of the rows have the noise and what there is of the image.  That their
  ;; energy, over 64 points or more, is a quarter of the noise's is 6 standard deviations away.
  ;; Numbers of float32 as large as SCALE, the peak of k-space, are rounded to 2^-24 of it.
  (let* ((n (first (tensor-shape mask)))
         (mean (mean-where (lambda (k) (or (< k (quotient n 8)) (>= k (- n (quotient n 8)))))
                           (line-sums energy 0) (line-sums mask 0)))
         (deviation (and mean (* scale (sqrt (/ (car mean) 2))))))
    (if (and deviation (< deviation (* 1/2 noise)))
        `((doubtful . ,(format #f "noise: ~a is more than the ~a that k-space has at its edges, with \
all there is of the image; are its units those of k-space?" noise (significant deviation 2))))
        (let ((rounding (* scale (expt 2. -24))))
          (if (< noise rounding)
              `((doubtful . ,(format #f "noise: ~a is less than the ~a to which k-space, of up to ~a, is rounded; \
are its units those of k-space?" noise (significant rounding 2) (significant scale 3))))
              '())))))

(define (check-arguments who op y noise)
  (check-that (and (operator? op) (operator-mask op)) who
              "operator: expected one that `mri-operator' made, got ~s" op)
  (check-that (tensor? y) who "k-space: expected a tensor, got ~s" y)
  (check-that (eq? (tensor-dtype y) 'c64) who "k-space: expected complex numbers, got ~a ~a~a"
              (tensor-dtype y) (tensor-shape y)
              (if (and (pair? (tensor-shape y)) (= 2 (last (tensor-shape y))))
                  "; `complex-view' makes one of real and imaginary parts" ""))
  (check-that (= (length (operator-range op)) (length (tensor-shape y))) who
              (if (= 2 (length (operator-range op)))
                  "k-space: expected (rows columns) of one image, got shape ~a; several coils want their \
sensitivities, (sense-operator (sensitivities y) op), and slices come one by one"
                  "k-space: expected (coils rows columns) of one image, got shape ~a")
              (tensor-shape y))
  (check-that (every (lambda (m n) (or (not m) (= m n))) (operator-range op) (tensor-shape y)) who
              "k-space: expected the shape of ~a, got ~a" op (tensor-shape y))
  (check-that (tensor-finite? y) who "k-space: it has NaN or infinite values")
  (check-that (or (not noise) (and (real? noise) (> noise 0))) who
              "noise: expected a positive number, got ~s" noise))

(define* (kspace-doubts op y #:key noise)
  "What is amiss with Y, k-space (rows columns), or (coils rows columns) of a `sense-operator', c64, as measured by the MRI operator OP: a list of
(wrong . text), of what cannot be so, and (doubtful . text), of what may.  Noticed are data where
the mask is 0 (a transposed or shifted mask, another scan's), zeros where it is 1, k-space
that is not centred, an image moved by half its size, coils that are empty, and a standard deviation NOISE, when it is given,
greater than what k-space has at its edges.  The list is empty where nothing is amiss.
Example: (kspace-doubts op y) => ()"
  (check-arguments 'kspace-doubts op y noise)
  (doubts-of op y noise))

(define (sampling-doubts mask coils)
  ;; Of COILS, (coils rows columns) with a peak of 1, and MASK (rows columns): what they show without an image.
  (let* ((there (tensor-max (tensor< 1e-6 (tensor-abs coils)) 0))
         (doubts (append (mask-doubts mask coils there) (coil-doubts coils))))
    (if (assq 'wrong doubts)
        doubts
        (append doubts (centre-doubts mask (coils-energy mask coils))))))

(define (coils-energy mask coils)
  (tensor* mask (tensor-mean (tensor-square (tensor-abs coils)) 0)))

(define (peak-of y)
  ;; Of the parts, not of their squares: these would be 0 for k-space in small units.
  (tensor->number (tensor-max (tensor-abs (real-view y)))))

(define (over-peak y)
  (let ((peak (peak-of y))) (if (> peak 0) (tensor/ y peak) y)))

(define (doubts-of op y noise)
  (with-scope
   (lambda ()
     (let* ((shape (take-right (tensor-shape y) 2))
            (mask (tensor-copy (tensor-broadcast (operator-mask op) shape)))
            (scaled (over-peak y))
            (coils (tensor-reshape scaled (cons -1 shape)))
            (doubts (sampling-doubts mask coils)))
       (if (assq 'wrong doubts)
           doubts
           (append doubts
                   (place-doubts op scaled)
                   (if noise (noise-doubts mask (coils-energy mask coils) (peak-of y) noise) '())))))))

(define (check-sampling who mask y)
  "Complain from WHO of what `kspace-doubts' finds wrong with Y, k-space c64 (coils rows columns), measured where
MASK, f32 (columns) or (rows columns), is 1, before noise and sensitivities are known: what is found of wrong k-space
is wrong too.
Example: (check-sampling 'me (operator-mask op) (tensor-reshape y '(1 16 16)))"
  (let ((wrong (with-scope
                (lambda ()
                  (assq 'wrong (sampling-doubts (tensor-copy (tensor-broadcast mask (cdr (tensor-shape y))))
                                                (over-peak y)))))))
    (when wrong (complain who "~a" (cdr wrong)))))

(define (warn-of-doubt text)
  "Print TEXT, of what is doubtful."
  (format (current-error-port) "warning: ~a~%" text))

(define (check-kspace who op y noise warn)
  "Complain from WHO of what `kspace-doubts' finds wrong, and call WARN with each text of what is
doubtful."
  (check-arguments who op y noise)
  (for-each (lambda (doubt)
              (if (eq? (car doubt) 'wrong)
                  (complain who "~a" (cdr doubt))
                  (warn (cdr doubt))))
            (doubts-of op y noise)))

;;; --- Coils or slices --------------------------------------------------------------

(define (whole-middle mask)
  "Rows and columns of the largest part around the origin of MASK, f32 (rows columns), in which all is
measured: of all rows, all columns, or a square.  #f if it is smaller than 4 x 8."
  (define (all? lengths) (= (apply * lengths) (total (middle mask lengths))))
  (define (largest n lengths) (let ((k (find (lambda (k) (all? (lengths k))) (reverse (iota (1+ n))))))
                                (and k (lengths k))))
  (let* ((shape (tensor-shape mask))
         (parts (list (largest (second shape) (lambda (k) (list (first shape) k)))
                      (largest (first shape) (lambda (k) (list k (second shape))))
                      (largest (apply min shape) (lambda (k) (list k k)))))
         (area (lambda (part) (apply * part)))
         (best (reduce (lambda (a b) (if (> (area a) (area b)) a b)) #f parts)))
    (and (>= (apply min best) 4) (>= (apply max best) 8) best)))

(define (patch-sums tensor rows columns)
  ;; Sums over the patches of ROWS x COLUMNS of TENSOR, f32; what is left over is left out.
  (let* ((counts (map quotient (tensor-shape tensor) (list rows columns)))
         (part (tensor-slice (tensor-slice tensor 0 0 (* rows (first counts)))
                             1 0 (* columns (second counts)))))
    (tensor-sum (tensor-reshape (tensor-copy part)
                                (list (first counts) rows (second counts) columns))
                '(1 3))))

(define (coherence a b)
  ;; Of the images A and B, in patches, weighted by their energy: 1 where each patch of B is a
  ;; multiple of that of A.
  (let* ((product (tensor* a (tensor-conjugate b)))
         (sums (lambda (t) (patch-sums t 8 2)))
         (norms (tensor* (sums (tensor-square (tensor-abs a))) (sums (tensor-square (tensor-abs b))))))
    (/ (total (tensor+ (tensor-square (sums (tensor-real product)))
                       (tensor-square (sums (tensor-imag product)))))
       (max 1e-30 (total norms)))))

(define (edges image)
  ;; Differences along rows: what two smooth images do not share by being smooth.
  (let ((n (first (tensor-shape image))))
    (tensor- (tensor-slice image 0 1 n) (tensor-slice image 0 0 (1- n)))))

(define (coil-coherence y mask)
  "How alike the edges in the images of Y are, k-space c64 (n rows columns) of which MASK, f32 over
(columns) or (rows columns), was measured: the median over pairs of the first and another
one of their coherence in small patches.  Coils see one image, each times a smooth sensitivity, and
give 0.5 and more (eight coils of a head 0.7); slices give less (0.1 to 0.4 from 4 mm on), but
neighbours of 1 mm up to 0.9.  #f where too little of the middle was measured to tell.
Example: (coil-coherence (tensor-concatenate (list (tensor-reshape y '(1 16 16))
                                                   (tensor-reshape (tensor* 2 y) '(1 16 16))) 0)
                         (tensor+ 1 (tensor-zeros '(16)))) => 1.0"
  (check-that (and (tensor? y) (eq? (tensor-dtype y) 'c64) (= 3 (length (tensor-shape y)))
                   (> (first (tensor-shape y)) 1)) 'coil-coherence
              "y: expected c64 (n rows columns) with n of 2 or more, got ~s" y)
  (check-that (and (tensor? mask) (memv (length (tensor-shape mask)) '(1 2))) 'coil-coherence
              "mask: expected f32 (columns) or (rows columns), got ~s" mask)
  (with-scope
   (lambda ()
     (let* ((shape (cdr (tensor-shape y)))
            (part (whole-middle (tensor-copy (tensor-broadcast mask shape))))
            (peak (tensor->number (tensor-max (tensor-abs (real-view y)))))
            (image (lambda (k)
                     (let ((one (tensor-reshape (tensor-copy (tensor-slice y 0 k (1+ k))) shape)))
                       (edges (ifft2 (middle (tensor/ one peak) part)))))))
       (and part (> peak 0)
            (let* ((reference (image 0))
                   (found (sort (map (lambda (k) (coherence reference (image k)))
                                     (iota (1- (first (tensor-shape y))) 1))
                                <)))
              (list-ref found (quotient (length found) 2))))))))
