;;; nearest-distances.scm -- has a prior learned its training images by heart?
;;;
;;; Then its samples are nearer to them than images of other persons are.  Both are compared by their
;;; distance to the nearest training image, as by Meehan et al. 2020 ("A non-parametric test to detect
;;; data-copying in generative models").

(define-module (tempera sample nearest-distances)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera data images)
  #:export (nearest-distances nearest-distances? nearest-distances-samples nearest-distances-held-out
            nearest-distances-indices nearest-distances-p nearest-distances-verdict))

(define-record-type <nearest-distances>
  (make-nearest-distances samples indices held-out p)
  nearest-distances?
  (samples nearest-distances-samples)
  (indices nearest-distances-indices)
  (held-out nearest-distances-held-out)
  (p nearest-distances-p))

(set-record-type-printer! <nearest-distances>
  (lambda (n port)
    (format port "#<nearest training image: samples at ~,3f, held-out images at ~,3f, p ~,2g: ~a>"
            (median (nearest-distances-samples n)) (median (nearest-distances-held-out n))
            (nearest-distances-p n) (nearest-distances-verdict n))))

(define (median numbers)
  (list-ref (sort numbers <) (quotient (length numbers) 2)))

(define suspicious 0.01)                ; a p below this

(define (nearest-distances-verdict nearest)
  "What NEAREST, of `nearest-distances', says, a line.
Example: (nearest-distances-verdict (nearest-distances (random-normal '(9 8 8) 1) (random-normal '(9 8 8) 2)
                                                       (random-normal '(9 8 8) 3) #:size 8))
         => \"no sign of memorising\""
  (check-that (nearest-distances? nearest) 'nearest-distances-verdict
              "nearest: expected what nearest-distances gives, got ~s" nearest)
  (if (< (nearest-distances-p nearest) suspicious)
      "samples are nearer to training images than other persons' images are: memorised"
      "no sign of memorising"))

(define* (nearest-distances samples training held-out #:key (size 32))
  "How far each of SAMPLES, drawn from a prior without data, is from the nearest of its TRAINING images, beside how
far HELD-OUT images, of other persons, are.  All are c64 or f32 (N H W), or (N H W 2), with rows and columns
that are multiples of SIZE; distances are root sums of squares between magnitudes averaged to SIZE x SIZE and
scaled to a sum of squares of 1, from 0 to sqrt (2).  It prints with a verdict: p is the probability that
samples are as near as they are or nearer if they were like held-out images, by a rank test (Mann and
Whitney 1947) for which each is taken as independent of the others: take few slices a
person.  TRAINING should be as the network saw it, turned and mirrored alike.
Example: (nearest-distances (random-normal '(9 8 8) 1) (random-normal '(9 8 8) 2) (random-normal '(9 8 8) 3)
                            #:size 8)"
  (check-that (positive-integer? size) 'nearest-distances "size: expected a positive integer, got ~s" size)
  (with-scope
   (lambda ()
     (let* ((training (thumbnails "training" training size))
            (of-samples (nearest (thumbnails "samples" samples size) training))
            (of-held-out (nearest (thumbnails "held-out" held-out size) training)))
       (make-nearest-distances (map car of-samples) (map cdr of-samples) (map car of-held-out)
                               (probability-nearer (map car of-samples) (map car of-held-out)))))))

(define (thumbnails name images size)
  ;; (N size^2), each of norm 1.
  (let ((small (small-magnitudes 'nearest-distances name images size)))
    ;; An empty image has no direction, and is at a distance of sqrt (2) from all.
    (tensor/ small (tensor-maximum (tensor-sqrt (tensor-sum-squares small 1 #t)) 1e-30))))

(define (nearest images others)
  ;; For each of IMAGES, (N P), the distance of the nearest of OTHERS and its number.
  (let ((likeness (matrix-product images (tensor-copy (tensor-transpose others '(1 0))))))
    (map (lambda (i)
           (let* ((row (tensor->list (tensor-copy (tensor-slice likeness 0 i (1+ i)))))
                  (most (apply max row)))
             (cons (sqrt (max 0 (- 2 (* 2 most))))
                   (list-index (lambda (v) (= v most)) row))))
         (iota (tensor-size images 0)))))

(define (probability-nearer these those)
  ;; Of THESE being as small as they are or smaller were they drawn as THOSE: Mann and Whitney's rank
  ;; sum, which is near to normal from eight of each on; equal distances count half.
  (let* ((m (length these)) (n (length those)) (all (append these those))
         (u (apply + (append-map (lambda (a)
                                   (map (lambda (b) (cond ((< a b) 1) ((= a b) 1/2) (else 0))) those))
                                 these)))
         (ties (apply + (map (lambda (v) (let ((t (count (lambda (w) (= v w)) all))) (- (* t t) 1)))
                             all)))     ; each of t equal ones adds its part of t^3 - t
         (total (+ m n))
         (variance (* m n 1/12 (- (+ total 1) (/ ties (* total (max 1 (- total 1)))))))
         (z (if (zero? variance) 0 (/ (- u (* m n 1/2) 1/2) (sqrt variance))))
         (half (/ (chi-square-tail (* z z) 1) 2)))
    (if (> z 0) half (- 1 half))))

(document
 (nearest-distances?
  "Whether OBJECT is what `nearest-distances' gives.
Example: (nearest-distances? 3) => #f")
 (nearest-distances-samples
  "Of what `nearest-distances' gives, the distances of samples from their nearest training images, a list.
Example: (map (lambda (d) (< d 1)) (nearest-distances-samples
           (nearest-distances (random-normal '(2 8 8) 1) (random-normal '(9 8 8) 2)
                              (random-normal '(9 8 8) 3) #:size 8)))
         => (#t #t)")
 (nearest-distances-indices
  "Of what `nearest-distances' gives, the numbers of the training images that are nearest to each sample, from 0.
Example: (nearest-distances-indices
           (nearest-distances (random-normal '(2 8 8) 1) (random-normal '(2 8 8) 1)
                              (random-normal '(9 8 8) 3) #:size 8))
         => (0 1)")
 (nearest-distances-held-out
  "Of what `nearest-distances' gives, the distances of held-out images from their nearest training images, a
list.
Example: (length (nearest-distances-held-out
           (nearest-distances (random-normal '(2 8 8) 1) (random-normal '(2 8 8) 1)
                              (random-normal '(9 8 8) 3) #:size 8)))
         => 9")
 (nearest-distances-p
  "Of what `nearest-distances' gives, the probability that samples like held-out images would be as near to training
images as they are, or nearer.
Example: (< 0.01 (nearest-distances-p
           (nearest-distances (random-normal '(9 8 8) 1) (random-normal '(9 8 8) 2)
                              (random-normal '(9 8 8) 3) #:size 8)))
         => #t"))
