;;; test-data.scm -- preparing volumes, splitting by person, random slices, the scale.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (harness)
             (tempera data)
             (tempera files)
             (tempera images)
             (tempera primitives)
             (tempera reconstruction))

(start-tests "data")

(define (peak image)
  (tensor->number (tensor-quantile (tensor-reshape (tensor-abs image) '(-1)) 0.999 0)))

(define (make-head slices rows columns)
  ;; A ball brighter towards the front, left and feet; 0 outside.
  (define (place i n) (- (/ (* 2. i) (1- n)) 1))
  (list->tensor
   (append-map
    (lambda (i)
      (append-map
       (lambda (j)
         (map (lambda (k)
                (let ((z (place i slices)) (y (place j rows)) (x (place k columns)))
                  (if (< (+ (* x x) (* y y) (* z z)) 0.8)
                      (+ 400 (* 100 z) (* -100 y) (* 50 x))
                      0)))
              (iota columns)))
       (iota rows)))
    (iota slices))
   (list slices rows columns)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (setenv "XDG_CACHE_HOME" folder)
   (test-equal "the cache" (in "tempera/data") (data-folder))
   (test-error-matching "nothing prepared" "no prepared volumes" (load-dataset))

   (save-npy (in "head.npy") (make-head 24 30 20))
   (test-error-matching "person" "split by person" (data-add! (in "head.npy")))
   (test-error-matching "missing" "No such file" (data-add! (in "none.nii") #:person "ann"))
   (save-npy (in "flat.npy") (tensor-zeros '(9 9 9)))
   (test-error-matching "nothing in it" "positive 99.9th percentile"
     (data-add! (in "flat.npy") #:person "ann"))
   (save-npy (in "thin.npy") (make-head 4 30 20))
   (test-error-matching "too thin" "at least 8 voxels" (data-add! (in "thin.npy") #:person "ann"))
   (data-add! (in "head.npy") #:person "ann" #:name "Ann's head" #:contrast "T1")
   (data-add! (in "head.npy") #:person "bob" #:name "bob 1" #:orientation "SAR")
   (data-add! (in "head.npy") #:person "bob" #:name "bob 2")
   (test-assert "no temporary is left"
     (every (lambda (name) (or (string-prefix? "." name) (string-suffix? ".npy" name)
                               (string-suffix? ".json" name)))
            ((@ (ice-9 ftw) scandir) (data-folder))))

   (let* ((data (load-dataset))
          (scan (lambda (name)
                  (find (lambda (s) (string=? (scan-name s) name)) (dataset-scans data)))))
     (test-equal "persons" '("ann" "bob") (sort (dataset-persons data) string<?))
     (test-equal "scans" 3 (length (dataset-scans data)))
     (test-approximate "on the intensity scale" 150 (peak (scan-volume (scan "Ann's head"))) 1e-3)
     (test-assert "turned upright"
       (tensor-identical? (scan-volume (scan "bob 1"))
                          (image-reorient (scan-volume (scan "bob 2")) '(0 1 2) '(#t #t #t))))
     (let-values (((train held-out) (dataset-split data "bob")))
       (test-equal "trained on" '("ann") (dataset-persons train))
       (test-equal "held out" '("bob") (dataset-persons held-out)))
     (test-error-matching "unknown person" "got \"eve\"" (dataset-split data "eve"))

     (let* ((a (random-slices data 5 32 #:seed 3 #:stream 7))
            (b (random-slices data 5 32 #:seed 3 #:stream 7))
            (first-two (random-slices data 2 32 #:seed 3 #:stream 7))
            (threads-before (threads)))
       (test-equal "shape" '(5 32 32) (tensor-shape a))
       (test-equal "complex" 'c64 (tensor-dtype a))
       (test-assert "same seed and stream, same bits" (tensor-identical? a b))
       (test-assert "an image does not depend on those after it"
         (tensor-identical? first-two (tensor-copy (tensor-slice a 0 0 2))))
       (set-threads! 1)
       (test-assert "one thread, same bits"
         (tensor-identical? a (random-slices data 5 32 #:seed 3 #:stream 7)))
       (set-threads! threads-before)
       (test-assert "another stream"
         (not (tensor-identical? a (random-slices data 5 32 #:seed 3 #:stream 8))))
       (test-assert "another seed"
         (not (tensor-identical? a (random-slices data 5 32 #:seed 4 #:stream 7)))))
     (let* ((batch (random-slices data 40 24 #:seed 1 #:fit 1))
            (peaks (tensor->list (tensor-quantile (tensor-reshape (tensor-abs batch) '(40 -1))
                                                  0.999 1))))
       (test-assert "finite" (tensor-finite? (tensor-abs batch)))
       ;; 150 times 0.7 to 1.3, or less where there is hardly any tissue.
       (test-assert "scale at most" (every (lambda (p) (<= p (* 150 1.3001))) peaks))
       (test-assert "scale at least, for most"
         (> (count (lambda (p) (>= p (* 150 0.6999))) peaks) 30))
       (test-assert "phases vary"
         (> (tensor->number (tensor-max (tensor-abs (tensor-imag batch)))) 10)))
     (test-error-matching "count" "count: expected" (random-slices data 0 32))
     (test-error-matching "size" "size: expected" (random-slices data 1 4))
     (test-error-matching "fit" "fit: expected" (random-slices data 1 32 #:fit 2))
     (test-error-matching "seed" "seed: expected" (random-slices data 1 32 #:seed -1))
     (test-error-matching "not a dataset" "dataset: expected" (random-slices '() 1 32)))

   (save-text (in "tempera/data/bob-2.json") "{\"name\": \"bob 2\"}")
   (test-error-matching "a damaged description" "is missing" (load-dataset))
   (save-text (in "tempera/data/bob-2.json") "{")
   (test-error-matching "not JSON" "not understood" (load-dataset))))

;;; --- The scale and the simulated scan -----------------------------------------

(define head
  (let ((volume (make-head 8 60 50)))
    (tensor-reshape (tensor-copy (tensor-slice volume 0 4 5)) '(60 50))))

(test-approximate "scale" 150 (peak (intensity-scale head)) 1e-3)
(test-approximate "scale of complex" 150
  (peak (intensity-scale (smooth-phase head))) 1e-3)
(test-error-matching "nothing to scale" "99.9th percentile" (intensity-scale (tensor-zeros '(4 4))))
(test-approximate "a phase keeps magnitudes" 0
  (tensor->number (tensor-max (tensor-abs (tensor- (tensor-abs (smooth-phase head #:seed 2)) head))))
  1e-3)
(test-assert "phases by seed"
  (not (tensor-identical? (smooth-phase head #:seed 1) (smooth-phase head #:seed 2))))
(test-error-matching "a batch" "expected (rows columns)" (smooth-phase (tensor-zeros '(2 8 8))))

(let ((scan (simulated-scan head #:seed 1)))
  (test-equal "padded to what 8 divides" '(64 56) (tensor-shape scan))
  (test-approximate "in the middle"
    (tensor->number (tensor-sum-squares (intensity-scale head)))
    (tensor->number (tensor-sum-squares scan)) 10)
  (test-approximate "not moved"
    (tensor-element (intensity-scale head) '(30 25))
    (tensor-element (tensor-abs scan) '(32 28)) 1e-3))
(test-error-matching "not finite" "NaN"
  (simulated-scan (tensor+ head (list->tensor (list +nan.0) '(1 1)))))
(test-error-matching "too small" "at least 16" (simulated-scan (tensor-zeros '(8 20))))

;;; --- The demo's slices --------------------------------------------------------

(for-each
 (lambda (name)
   (let ((slice (load-image (string-append (or (getenv "srcdir") ".")
                                           "/experiments/pd-head/brain_" name ".png"))))
     (test-equal name '(256 256) (tensor-shape slice))
     ;; 64 times the scanner's whole numbers
     (test-approximate name 0
       (tensor->number (tensor-max (tensor-abs (tensor- (tensor/ slice 64)
                                                        (tensor-round (tensor/ slice 64))))))
       0)))
 '("009" "011" "013" "014" "016" "018"))

(finish-tests)
