;;; noise-levels.scm -- the noise levels sigma that a network is trained at.
;;;
;;; A distribution says how often each level is drawn; bands of levels say where losses lie.

(define-module (tempera net noise-levels)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (sigma-normal sigma-log-uniform sigma-mixture sigma-draw largest-distance
            sigma-distribution? distribution-text distribution-range losses-by-band))

;;; --- Distributions ----------------------------------------------------------------

;; A distribution draws from uniforms and normals, so that a draw is a function
;; of the seed: draw is called with a uniform in (0, 1) and a standard normal.
(define-record-type <sigma-distribution>
  (make-sigma-distribution text range draw)
  sigma-distribution?
  (text distribution-text)
  (range distribution-range)            ; of |sigma|
  (draw distribution-draw))

(set-record-type-printer! <sigma-distribution>
  (lambda (d port) (format port "#<sigma ~a>" (distribution-text d))))

(define* (sigma-normal #:optional (s 50))
  "sigma ~ N(0, S^2), signed, as the paper trains (its \"variance s = 50\" is the
standard deviation).
Example: (sigma-normal 50)"
  (check-that (and (real? s) (positive? s)) 'sigma-normal "s: expected a positive number, got ~s" s)
  (make-sigma-distribution (format #f "N(0, ~a^2)" s)
                           (list (* s 0.0063) (* s 2.8)) ; |z| is below and above once in 200
                           (lambda (u z) (* s z))))

(define (sigma-log-uniform low high)
  "log sigma uniform from log LOW to log HIGH.
Example: (sigma-log-uniform 0.05 150)"
  (check-that (and (real? low) (real? high) (< 0 low high)) 'sigma-log-uniform
              "low, high: expected 0 < low < high, got ~s and ~s" low high)
  (make-sigma-distribution (format #f "log-uniform on [~a, ~a]" low high) (list low high)
                           (lambda (u z) (* low (expt (/ high low) u)))))

(define (sigma-mixture . weights-and-distributions)
  "A mixture: WEIGHT DISTRIBUTION WEIGHT DISTRIBUTION ...
Example: (sigma-mixture 1 (sigma-normal 50) 3 (sigma-log-uniform 0.05 150))"
  (let* ((parts (let loop ((rest weights-and-distributions))
                  (match rest
                    (() '())
                    (((? real? weight) (? sigma-distribution? d) . rest)
                     (cons (cons weight d) (loop rest)))
                    (_ (complain 'sigma-mixture "expected weights and distributions in turn, ~
got ~s" weights-and-distributions)))))
         (total (apply + (map car parts))))
    (check-that (and (pair? parts) (every (lambda (p) (>= (car p) 0)) parts) (positive? total))
                'sigma-mixture "weights: expected positive numbers, got ~s" (map car parts))
    (make-sigma-distribution
     (string-join (map (lambda (p) (format #f "~a ~a" (car p) (distribution-text (cdr p)))) parts)
                  " + ")
     (let ((ranges (filter-map (lambda (p) (and (positive? (car p)) (distribution-range (cdr p)))) parts)))
       (list (apply min (map first ranges)) (apply max (map second ranges))))
     (lambda (u z)
       (let loop ((parts parts) (u u))
         (let ((share (/ (caar parts) total)))
           (if (or (null? (cdr parts)) (< u share))
               ;; What is left of u, stretched, is uniform again.
               ((distribution-draw (cdar parts)) (min (/ u share) 1) z)
               (loop (cdr parts) (- u share)))))))))

(define* (sigma-draw distribution count #:key (seed 0) (step 0))
  "COUNT values of sigma, f32 (COUNT), a function of SEED and STEP.
Example: (sigma-draw (sigma-log-uniform 0.05 150) 16 #:seed 1)"
  (let ((u (tensor->list (random-uniform (list count) seed (random-stream 'sigma step))))
        (z (tensor->list (random-normal (list count) seed (random-stream 'sigma-normal step)))))
    (list->tensor (map (distribution-draw distribution) u z))))

;;; --- How far a range goes ---------------------------------------------------------

(define (largest-distance images)
  "The largest distance between two of IMAGES (N ...), the root of the sum of squares of their difference: the largest
sigma to train at, under which any image may become any other.  Source: Song and Ermon 2020, technique 1.
Example: (largest-distance (list->tensor '(0 0 3 4 1 1) '(3 2))) => 5.0"
  (check-that (and (tensor? images) (pair? (tensor-shape images)) (> (tensor-size images 0) 1)
                   (tensor-finite? images))
              'largest-distance "images: expected two or more, (N ...), all finite, got ~s" images)
  (let ((axes (iota (1- (length (tensor-shape images))) 1)))
    (with-scope
     (lambda ()
       (sqrt (fold (lambda (k most)
                     (let ((squares (tensor-square (tensor-abs (tensor- images (tensor-slice images 0 k (1+ k)))))))
                       (max most (tensor->number (tensor-max (tensor-sum squares axes))))))
                   0. (iota (tensor-size images 0))))))))

;;; --- Bands --------------------------------------------------------------------------

(define sigma-bands '(0.1 0.3 1 3 10 30 100 300 1000))

(define (band sigma)
  (or (find (lambda (b) (<= (abs sigma) b)) sigma-bands) +inf.0))

(define (losses-by-band pairs)
  "The mean losses by band of |sigma|, an association list from a band's upper end, of PAIRS of a sigma, or #f,
and a loss.
Example: (losses-by-band '((0.05 . 1) (-2 . 3) (2.5 . 5))) => ((0.1 . 1) (3 . 4))"
  (filter-map (lambda (b)
                (let ((here (filter (lambda (p) (and (car p) (= (band (car p)) b))) pairs)))
                  (and (pair? here) (cons b (mean (map cdr here))))))
              (append sigma-bands '(+inf.0))))

(document
 (sigma-distribution?
  "Whether OBJECT is a distribution of sigma.
Example: (sigma-distribution? (sigma-normal 50)) => #t")
 (distribution-range
  "The least and the greatest |sigma| that DISTRIBUTION gives, a list; of a normal one 1 % lies outside.
Example: (distribution-range (sigma-log-uniform 0.05 150)) => (0.05 150)")
 (distribution-text
  "What DISTRIBUTION is, in words.
Example: (distribution-text (sigma-normal 50)) => \"N(0, 50^2)\""))
