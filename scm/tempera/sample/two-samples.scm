;;; two-samples.scm -- do two batches of images look as if they were drawn alike?
;;;
;;; By the energy distance between them, with a permutation test, and by the histogram of their magnitudes.  (Their power
;;; by |k| is learned-scores.scm's.)

(define-module (tempera sample two-samples)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera data images)
  #:export (energy-test energy-test? energy-test-distance energy-test-p magnitude-shares))

(define-record-type <energy-test>
  (make-energy-test distance p)
  energy-test?
  (distance energy-test-distance)
  (p energy-test-p))

(set-record-type-printer! <energy-test>
  (lambda (t port)
    (format port "#<energy distance ~a, p ~a>" (significant (energy-test-distance t) 3)
            (significant (energy-test-p t) 2))))

(define (distances vectors)
  ;; Between all of VECTORS, (N P), the root mean square of what differs: a vector of N vectors.
  (let* ((squares (tensor-sum-squares vectors 1 #t))
         (products (matrix-product vectors (tensor-copy (tensor-transpose vectors '(1 0)))))
         (sums (tensor+ squares (tensor-transpose squares '(1 0))))
         (n (tensor-size vectors 0))
         (table (list->vector
                 (tensor->list
                  (tensor-sqrt (tensor-maximum 0 (tensor/ (tensor- sums (tensor* 2 products))
                                                          (tensor-size vectors 1))))))))
    (lambda (i j) (if (= i j) 0 (vector-ref table (+ (* i n) j))))))

(define (energy-distance distance these those)
  ;; 2 E |X - Y| - E |X - X'| - E |Y - Y'| of THESE and THOSE, numbers of items.
  (let ((mean-distance (lambda (a b)
                         (/ (fold (lambda (i sum) (fold (lambda (j sum) (+ sum (distance i j))) sum b)) 0 a)
                            (* (length a) (length b))))))
    (- (* 2 (mean-distance these those)) (mean-distance these these) (mean-distance those those))))

(define* (energy-test images others #:key (size 16) (permutations 199) (seed 0))
  "Whether IMAGES and OTHERS, c64 or f32 (N H W), are drawn from one distribution, by magnitudes averaged to SIZE x
SIZE: the energy distance 2 E |X - Y| - E |X - X'| - E |Y - Y'| (Székely and Rizzo 2013), with |.| the root mean
square over pixels, in units of intensity, and p, the share of it and PERMUTATIONS random partings of all
images that are as far apart or farther.  It is 0 at least, above 0 for few images even of one distribution,
and comparable for equal numbers of images.  For p each image counts as independent of the others: slices of one
person are not.  See `energy-test-distance' and `energy-test-p'.
Example: (energy-test (random-normal '(8 16 16) 1) (random-normal '(8 16 16) 2))"
  (check-that (positive-integer? size) 'energy-test "size: expected a positive integer, got ~s" size)
  (check-that (positive-integer? permutations) 'energy-test
              "permutations: expected a positive integer, got ~s" permutations)
  (check-seed 'energy-test seed)
  (with-scope
   (lambda ()
     (let* ((these (small-magnitudes 'energy-test "images" images size))
            (those (small-magnitudes 'energy-test "others" others size))
            (m (tensor-size these 0)) (all (+ m (tensor-size those 0)))
            (distance (distances (tensor-concatenate (list these those) 0)))
            (apart (lambda (order) (energy-distance distance (take order m) (drop order m))))
            (found (apart (iota all)))
            (parting (lambda (k)
                       (let ((keys (list->vector
                                    (tensor->list (random-uniform (list all) seed
                                                                  (random-stream 'check k))))))
                         (sort (iota all) (lambda (i j) (< (vector-ref keys i) (vector-ref keys j))))))))
       (make-energy-test found
                         (/ (1+ (count (lambda (k) (>= (apart (parting k)) (* found (- 1 1e-9))))
                                       (iota permutations)))
                            (+ 1. permutations)))))))

(define (magnitude-shares images edges)
  "The histogram of the magnitudes of IMAGES: the share of pixels from each of EDGES, rising numbers, to the next.
Example: (magnitude-shares (list->tensor '(1 2 -5 7) '(1 2 2)) '(0 2 6)) => (0.25 0.5)"
  (check-that (and (tensor? images) (positive? (tensor-count images))) 'magnitude-shares
              "images: expected a tensor with pixels, got ~s" images)
  (check-that (and (list? edges) (> (length edges) 1) (every finite-number? edges) (apply < edges))
              'magnitude-shares "edges: expected two rising numbers or more, got ~s" edges)
  (let* ((magnitudes (tensor-abs images))
         (below (map (lambda (edge) (tensor->number (tensor-mean (tensor< magnitudes edge)))) edges)))
    (map - (cdr below) (drop-right below 1))))

(document
 (energy-test?
  "True when OBJECT is what `energy-test' gives.
Example: (energy-test? 3) => #f")
 (energy-test-distance
  "The energy distance of TEST, of `energy-test', in units of intensity.
Example: (let ((images (random-normal '(4 16 16) 1))) (energy-test-distance (energy-test images images))) => 0.0")
 (energy-test-p
  "The p of TEST, of `energy-test': how probable as large a distance is for images of one distribution.
Example: (let ((images (random-normal '(4 16 16) 1))) (energy-test-p (energy-test images images))) => 1.0"))
