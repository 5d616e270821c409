;;; test-data.scm -- preparing volumes, splitting by person, random slices, the scale.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (harness)
             (rnrs bytevectors) (ice-9 binary-ports)
             ((tempera shell commands train) #:select ((main . train-command)))
             (tempera data acquisition) (tempera data data) (tempera data dataset) (tempera data scans) (tempera data slices)
             (tempera file paths) (tempera file values) (tempera file formats)
             (tempera base numbers) (tempera tensor primitives))

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
   (test-error-matching "missing" "no such file" (data-add! (in "none.nii") #:person "ann"))
   (save-npy (in "flat.npy") (tensor-zeros '(9 9 9)))
   (test-error-matching "nothing in it" "positive 99.9th percentile"
     (data-add! (in "flat.npy") #:person "ann"))
   (save-npy (in "thin.npy") (make-head 4 30 20))
   (test-error-matching "too thin" "at least 8 voxels" (data-add! (in "thin.npy") #:person "ann"))
   (data-add! (in "head.npy") #:person "ann" #:name "Ann's head" #:contrast "T1")
   (save-npy (in "bob.npy") (make-head 24 30 22))
   (data-add! (in "bob.npy") #:person "bob" #:name "bob 1" #:orientation "SAR")
   (data-add! (in "bob.npy") #:person "bob" #:name "bob 2")
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
     (let* ((bob (scan "bob 2"))
            (lengths (scan-shape bob))
            (slice (scan-slice bob 6))
            (size (first (tensor-shape slice)))
            (margins (map (lambda (n) (quotient (- size n -1) 2)) (cdr lengths))))
       (test-equal "a square of a multiple of 16" (list size size 0)
         (append (tensor-shape slice) (list (modulo size 16))))
       (test-assert "in the middle, voxels as they are"
         (tensor-identical?
          (tensor-copy (tensor-slice (tensor-slice slice 0 (first margins) (+ (first margins) (second lengths)))
                                     1 (second margins) (+ (second margins) (third lengths))))
          (tensor-reshape (tensor-copy (tensor-slice (scan-volume bob) 0 6 7)) (cdr lengths))))
       (test-approximate "nothing else" (tensor->number (tensor-sum slice))
                         (tensor->number (tensor-sum (tensor-slice (scan-volume bob) 0 6 7))) 1e-2)
       (test-equal "a size" '(24 24) (tensor-shape (scan-slice bob 6 #:axis 2 #:size 24)))
       (test-error-matching "no such slice" "index: expected an integer from 0 to" (scan-slice bob 400))
       (test-error-matching "no such axis" "axis: expected one across which" (scan-slice bob 1 #:axis 3))
       (test-error-matching "no scan" "scan: expected one" (scan-slice data 1)))
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
       ;; 150 times 0.7 to 1.3, or less where there is hardly any tissue; and noise of up to 4, whose
       ;; magnitude is above 6 times that once in 10^8.
       (test-assert "scale at most" (every (lambda (p) (<= p (+ (* 150 1.3001) 24))) peaks))
       (test-assert "scale at least, for most"
         (> (count (lambda (p) (>= p (* 150 0.6999))) peaks) 30))
       (test-assert "phases vary"
         (> (tensor->number (tensor-max (tensor-abs (tensor-imag batch)))) 10)))
     (let ((of-bob (lambda (scan) (if (equal? "bob" (scan-person scan)) 2 0))))
       (let-values (((ann bob) (dataset-split data "bob")))
         (test-assert "by weight"
           (tensor-identical? (random-slices data 5 32 #:seed 3 #:weight of-bob)
                              (random-slices bob 5 32 #:seed 3)))))
     (test-error-matching "no weight" "weight: expected a scan of more than 0, got none"
       (random-slices data 1 32 #:weight (const 0)))
     (test-error-matching "bad weight" "weight: expected numbers of 0 or more, got -1"
       (random-slices data 1 32 #:weight (const -1)))
     (test-error-matching "count" "count: expected" (random-slices data 0 32))
     (test-error-matching "size" "size: expected" (random-slices data 1 4))
     (test-error-matching "fit" "fit: expected" (random-slices data 1 32 #:fit 2))
     (test-error-matching "seed" "seed: expected" (random-slices data 1 32 #:seed -1))
     (test-error-matching "not a dataset" "dataset: expected" (random-slices '() 1 32)))

   (let-values (((nobody all) (dataset-split (load-dataset) "ann" "bob")))
     (test-equal "nobody is left" '() (dataset-scans nobody))
     (test-error-matching "nobody to draw from" "expected a dataset with scans in it"
       (random-slices nobody 1 32))
     (test-error-matching "nor to train on" "hold-out: nobody is left to train on"
       (train-command '("--hold-out=ann,bob"))))
   ;; In Guile 3.0.8 the text of such an error, unless it is kept from it, is a segmentation fault.
   (for-each (lambda (name thunk)
               (test-equal name "Value out of range: -1" (error-message-of thunk)))
             '("list-ref" "list-tail" "list-head" "make-string")
             (list (lambda () (list-ref '() (1- (length '())))) (lambda () (list-tail '(1) -1))
                   (lambda () (list-head '(1) -1)) (lambda () (make-string -1))))
   (test-equal "sound bounds are printed" "Value out of range 0 to< 3: -1"
     (error-message-of (lambda () (substring "abc" -1))))
   (test-equal "and procedures" "In procedure list-ref: Argument 2 out of range: 5"
     (error-message-of (lambda () (list-ref '(1) 5))))

   (save-text (in "tempera/data/bob%20;2.json") "{\"name\": \"bob 2\"}")
   (test-error-matching "a damaged description" "is missing" (load-dataset))
   (save-text (in "tempera/data/bob%20;2.json") "{")
   (test-error-matching "not JSON" "not understood" (load-dataset))))

;;; --- Names, and who is who ---------------------------------------------------------

(define (write-nifti path volume spacing)
  ;; VOLUME as float32 NIfTI-1 whose axes rise to the left, front and head; SPACING in mm, slowest first.
  (define bytes (make-bytevector (+ 352 (* 4 (apply * (tensor-shape volume)))) 0))
  (define (i16! at n) (bytevector-s16-set! bytes at n (endianness little)))
  (define (f32! at x) (bytevector-ieee-single-set! bytes at x (endianness little)))
  (bytevector-s32-set! bytes 0 348 (endianness little))
  (i16! 40 3)
  (for-each (lambda (k n) (i16! (+ 42 (* 2 k)) n)) '(0 1 2) (reverse (tensor-shape volume)))
  (for-each i16! '(48 50 52 54 70 72 254) '(1 1 1 1 16 32 1)) ; float32, an affine map
  (for-each (lambda (k s)
              (f32! (+ 80 (* 4 k)) s)
              (f32! (+ 280 (* 20 k)) s)) ; srow_x, _y, _z
            '(0 1 2) (reverse spacing))
  (f32! 108 352.)
  (f32! 112 1.)
  (bytevector-copy! (string->utf8 "n+1") 0 bytes 344 3)
  (for-each (lambda (i x) (f32! (+ 352 (* 4 i)) x)) (iota (apply * (tensor-shape volume)))
            (tensor->list volume))
  (make-directories (dirname path))
  (call-with-output-file path (lambda (port) (put-bytevector port bytes)) #:binary #t))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define (head n) (make-head 12 14 n))
   (define (names) (sort (map scan-name (dataset-scans (load-dataset))) string<?))
   (define (scan name)
     (find (lambda (s) (string=? (scan-name s) name)) (dataset-scans (load-dataset))))
   (define said '())
   (define (log line) (set! said (cons line said)))
   (setenv "XDG_CACHE_HOME" (in "cache"))

   ;; What the issue of names is about: one file name in the folders of two persons, and two names
   ;; that differ by what a file's name may not have.
   (for-each (lambda (path n) (make-directories (dirname (in path))) (save-npy (in path) (head n)))
             '("sub-01/T1w.npy" "sub-02/T1w.npy" "a b.npy" "A-B.npy" "x/h.npy" "y/h.npy")
             '(10 11 12 13 14 15))
   (test-equal "a person from the folder" "sub-01_T1w" (data-add! (in "sub-01/T1w.npy")))
   (test-equal "another person" "sub-02_T1w" (data-add! (in "sub-02/T1w.npy")))
   (for-each (lambda (path) (data-add! (in path) #:person "ann"))
             '("a b.npy" "A-B.npy" "x/h.npy" "y/h.npy"))
   (test-equal "each has a name of its own"
     '("A-B.npy" "a b.npy" "h.npy" "sub-01_T1w" "sub-02_T1w" "y/h.npy") (names))
   (test-equal "and its own voxels" '(10 11 12 13 14 15)
     (map (lambda (name) (third (scan-shape (scan name))))
          '("sub-01_T1w" "sub-02_T1w" "a b.npy" "A-B.npy" "h.npy" "y/h.npy")))
   (test-equal "person and contrast" '("02" "T1")
     (list (scan-person (scan "sub-02_T1w")) (scan-contrast (scan "sub-02_T1w"))))
   (data-add! (in "y/h.npy") #:person "ann" #:log log)
   (test-equal "the same again" '("y/h.npy: there already") said)
   (test-equal "is no other" 6 (length (names)))
   (test-error-matching "one head of two persons" "there already as the person ann's"
     (data-add! (in "y/h.npy") #:person "eve"))
   (test-error-matching "a name that is another's" "name: h.npy is there already with other voxels"
     (begin (save-npy (in "z.npy") (head 16))
            (data-add! (in "z.npy") #:person "ann" #:name "h.npy")))
   (data-remove! "a b.npy")
   (test-equal "removed" 5 (length (names)))
   (test-error-matching "remove what" "name: expected that of a prepared" (data-remove! "a b.npy"))))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define said "")
   (define (log line) (set! said (string-append said line "\n")))
   (define (says? text) (string-contains said text))
   (setenv "XDG_CACHE_HOME" (in "cache"))
   (for-each (lambda (path shape spacing)
               (write-nifti (in (string-append "tree/" path)) (apply make-head shape) spacing))
             '("sub-01/anat/sub-01_T1w.nii" "sub-01/anat/sub-01_T2w.nii"
               "sub-02/ses-1/anat/sub-02_ses-1_FLAIR.nii" "sub-02/ses-2/anat/sub-02_ses-2_FLAIR.nii"
               "sub-01/anat/sub-01_space-T1w_mask.nii" "sub-01/func/sub-01_task-rest_bold.nii"
               "sub-03/anat/sub-03_T1w.nii")
             '((16 18 14) (10 18 14) (16 18 15) (16 18 13) (16 18 14) (16 18 14) (4 18 14))
             '((1. 1. 1.) (5. 1. 1.) (1. 1.3 1.) (1. 1. 1.) (1. 1. 1.) (1. 1. 1.) (1. 1. 1.)))
   (save-text (in "tree/participants.tsv")
              "participant_id\tlicence\tage\nsub-01\tCC0\t30\nsub-02\t\t31\n")
   (save-json (in "tree/dataset_description.json") '(("Name" . "Two heads") ("License" . "PDDL")))
   (test-equal "a tree" '("sub-01_T1w" "sub-01_T2w" "sub-02_ses-1_FLAIR" "sub-02_ses-2_FLAIR")
     (data-add-tree! (in "tree") #:log log))
   (for-each (lambda (text) (test-assert text (says? text)))
             '("2 files that are no images of a head by their names: left out"
               "sub-03_T1w.nii: skipped, data-add!: volume: expected at least 8 voxels"
               "sub-01_T2w: prepared, of 01; of voxels of 5.0 x 1.0 x 1.0 mm only the planes across axis 0"))
   (let* ((data (load-dataset))
          (scans (sort (dataset-scans data) (lambda (a b) (string<? (scan-name a) (scan-name b))))))
     (test-equal "persons" '("01" "01" "02" "02") (map scan-person scans))
     (test-equal "sessions" '(#f #f "1" "2") (map scan-session scans))
     (test-equal "contrasts" '("T1" "T2" "FLAIR" "FLAIR") (map scan-contrast scans))
     (test-equal "licences" '("CC0" "CC0" "PDDL" "PDDL") (map scan-licence scans))
     (test-equal "source" "Two heads" (scan-source (first scans)))
     (set! said "")
     (test-equal "again" 4 (length (data-add-tree! (in "tree") #:log log)))
     (test-assert "nothing new" (and (says? "sub-01_T1w: there already") (not (says? "prepared"))))
     (write-nifti (in "other/sub-01_T1w.nii") (make-head 16 18 19) '(1. 1. 1.))
     (test-error-matching "another data set's person of that name" "none of its 1 NIfTI files"
       (data-add-tree! (in "other") #:log log))
     (test-assert "says what to do" (says? "its person and name a prefix"))
     (test-equal "with a prefix" '("b-sub-01_T1w") (data-add-tree! (in "other") #:prefix "b-"))
     (test-assert "another person" (member "b-01" (dataset-persons (load-dataset))))
     ;; git-annex leaves links, some of which lead nowhere.
     (make-directories (in "linked/sub-01/anat"))
     (symlink (in "tree/sub-02") (in "linked/sub-02"))
     (symlink "not-fetched" (in "linked/sub-01/anat/sub-01_T1w.nii"))
     (set! said "")
     (test-equal "links" '("c-sub-02_ses-1_FLAIR" "c-sub-02_ses-2_FLAIR")
       (begin (data-remove! "sub-02_ses-1_FLAIR") (data-remove! "sub-02_ses-2_FLAIR")
              (data-add-tree! (in "linked") #:prefix "c-" #:log log)))
     (test-assert "a link to nothing" (says? "sub-01_T1w.nii: skipped, load-volume: ")))))

;;; --- Noise floors ---------------------------------------------------------------------

;; A bright square in nothing at all: what its corner has is the noise floor.
(let* ((count 400) (seed 1) (stream 2)
       (square (tensor-zeros (list count 32 32)))
       (sources (map (lambda (n) (uniform-source (tensor->list (random-uniform '(64) 5 n)))) (iota count))))
  (tensor-assign! (tensor-slice (tensor-slice square 1 12 20) 2 12 20) 100)
  (let* ((images (random-acquisition square sources seed stream))
         (corners (map (lambda (n)
                         (tensor-copy (tensor-slice (tensor-slice (tensor-slice images 0 n (1+ n)) 1 0 10) 2 0 10)))
                       (iota count)))
         (power (lambda (t) (/ (tensor->number (tensor-sum-squares t)) 100)))
         (noisy (filter (lambda (c) (> (power c) 0)) corners))
         ;; |sum| / sum of |.|: near 1 where the phase is smooth, near 0.1 where it is noise.
         (coherence (lambda (c) (/ (tensor->number (tensor-abs (tensor-sum c)))
                                   (tensor->number (tensor-sum (tensor-abs c))))))
         (complex (filter (lambda (c) (< (coherence c) 0.35)) noisy))
         (five (lambda (share) (* 5 (sqrt (* count share (- 1 share)))))) ; standard deviations
         ;; The mean square over the square of the mean: 4 / pi of Rayleigh's distribution, its
         ;; standard deviation over 100 pixels 0.06.
         (shapes (map (lambda (c) (/ (power c) (expt (tensor->number (tensor-mean (tensor-abs c))) 2))) noisy)))
    (test-approximate "no noise in 2/5" (* 0.4 count) (- count (length noisy)) (five 0.4))
    (test-approximate "complex noise in 3/10" (* 0.3 count) (length complex) (five 0.3))
    (test-approximate "its magnitude is Rayleigh's" (/ 4 (acos -1)) (mean shapes)
                      (* 5 (/ 0.06 (sqrt (length noisy)))))
    (test-assert "from 0.3 to 4"        ; the mean square over 100 pixels within half of itself
      (every (lambda (c) (< (* 0.5 2 0.3 0.3) (power c) (* 1.5 2 4 4))) noisy))))

;;; --- Voxels that are not cubes --------------------------------------------------------

;; A block of 40 x 40 x 40 mm in voxels of 1 x 1 x 5: any square view of it shows a square, or it is
;; squashed.  Native views keep pixels, so that sides can be counted: where the field of view
;; holds all of it, a side is at least what it is in another direction, but for an edge's width.
(define (block slices rows columns margins)
  (define (inside n margin k) (and (>= k margin) (< k (- n margin))))
  (list->tensor
   (append-map (lambda (i)
                 (append-map (lambda (j)
                               (map (lambda (k)
                                      (if (and (inside slices (first margins) i)
                                               (inside rows (second margins) j)
                                               (inside columns (third margins) k))
                                          100 0))
                                    (iota columns)))
                             (iota rows)))
               (iota slices))
   (list slices rows columns)))

(define (aspects dataset count size)
  ;; Of each of COUNT images, sqrt (second moment along its longer axis / that along its shorter).
  (let ((batch (tensor-abs (random-slices dataset count size #:seed 5 #:fit 1))))
    (map (lambda (n)
           (let* ((image (tensor-reshape (tensor-copy (tensor-slice batch 0 n (1+ n))) (list size size)))
                  (weights (tensor< 20 image))
                  (total (tensor->number (tensor-sum weights)))
                  (places (list->tensor (iota size) (list size 1)))
                  (moment (lambda (a b)
                            (let ((product (tensor* a b)))
                              (/ (tensor->number (tensor-sum (tensor* weights product))) total))))
                  (ones (tensor+ 1 (tensor-zeros (list size size))))
                  (y (tensor* ones places))
                  (x (tensor* ones (tensor-reshape places (list 1 size))))
                  (cy (moment y ones)) (cx (moment x ones))
                  (yy (- (moment y y) (* cy cy))) (xx (- (moment x x) (* cx cx)))
                  (xy (- (moment x y) (* cx cy)))
                  (middle (/ (+ yy xx) 2))
                  (radius (sqrt (+ (expt (/ (- yy xx) 2) 2) (* xy xy)))))
             (sqrt (/ (+ middle radius) (- middle radius)))))
         (iota count))))

(for-each
 (lambda (name shape margins spacing)
   (call-with-temporary-directory
    (lambda (folder)
      (setenv "XDG_CACHE_HOME" folder)
      (let ((file (string-append folder "/block.nii")))
        (write-nifti file (apply block (append shape (list margins))) spacing)
        (data-add! file #:person "ann")
        ;; A square's second moments are alike in all directions, whatever its turn; pixels at its
        ;; edges, 1 of 16 or so, move the ratio by less than a tenth.  Squashed by 1.3 it is 1.3.
        (test-assert name (every (lambda (a) (< a 1.1)) (aspects (load-dataset) 12 48)))))))
 '("cubes" "slices of 5 mm" "pixels of 1 x 1.3 mm, in all planes")
 '((60 60 60) (12 60 60) (60 46 60))
 '((10 10 10) (2 10 10) (10 8 10))
 '((1. 1. 1.) (5. 1. 1.) (1. 1.3333 1.)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (setenv "XDG_CACHE_HOME" folder)
   (write-nifti (in "bars.nii") (make-head 9 10 11) '(1. 2. 4.))
   (test-error-matching "no plane is near to square" "voxels of (1.0 2.0 4.0) mm have no plane"
     (data-add! (in "bars.nii") #:person "ann"))
   (test-error-matching "spacing" "spacing: expected three positive numbers"
     (data-add! (in "bars.nii") #:person "ann" #:spacing '(1 0 1)))
   (data-add! (in "bars.nii") #:person "ann" #:spacing '(1 1 1))
   (test-equal "spacing given" '((1.0 1.0 1.0))
     (map (lambda (s) (map exact->inexact (scan-spacing s))) (dataset-scans (load-dataset))))
   ;; One voxel that is not finite is enough to spoil a training.
   (let ((spoilt (lambda (value)
                   (let ((head (make-head 9 10 12)))
                     (tensor-set-element! head '(0 1 2) value)
                     (save-npy (in "spoilt.npy") head)
                     (in "spoilt.npy")))))
     (test-error-matching "an infinite voxel" "1 of 1080 voxels are NaN or infinite"
       (data-add! (spoilt +inf.0) #:person "bob"))
     (test-error-matching "is no background" "infinite ones are no background"
       (data-add! (spoilt +inf.0) #:person "bob" #:nan-is-zero? #t))
     (test-error-matching "NaN" "--nan-is-zero makes it 0" (data-add! (spoilt +nan.0) #:person "bob"))
     (data-add! (spoilt +nan.0) #:person "bob" #:nan-is-zero? #t)
     (test-equal "NaN as background" 0.0
       (tensor-element (scan-volume (find (lambda (s) (string=? "bob" (scan-person s)))
                                          (dataset-scans (load-dataset))))
                       '(0 1 2))))))

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
  (test-equal "of its own size" (tensor-shape head) (tensor-shape scan))
  (test-approximate "its magnitude that of the image"
    0 (tensor->number (tensor-max (tensor-abs (tensor- (intensity-scale head) (tensor-abs scan))))) 1e-3))
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
