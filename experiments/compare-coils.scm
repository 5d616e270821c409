;;; compare-coils.scm -- posterior means of scans with several coils beside what BART makes of the same k-space.
;;;
;;;   tempera run experiments/compare-coils.scm slices=4
;;;   tempera run experiments/compare-coils.scm sampling=poisson2x2,radial slices=10
;;;
;;; Heads of the data set in XDG_CACHE_HOME, which should be of persons that the prior was not trained on, are seen by coils of
;;; known sensitivities.  BART's `pics' gets k-space, sensitivities and trajectory; of its total variation, its wavelets and
;;; its least squares (SENSE) the best of five weights counts, by the truth, which no one has of a scan.  The table has PSNRs
;;; over slices, and how much of the truth the 90 % intervals of samples hold where there is a head.

(use-modules (tempera)
             (ice-9 format)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-11))

;;; --- How k-space is sampled -----------------------------------------------------------

(define (columns acceleration)
  (lambda (size seed)
    (mri-operator #:mask (random-mask size #:acceleration acceleration #:seed seed) #:shape (list size size))))

(define spokes-per-column 1/6)

(define (spokes size)
  (radial-trajectory (inexact->exact (round (* size spokes-per-column))) (* 2 size) size #:angles 'golden))

(define samplings
  `((columns4 . ,(columns 4))
    (columns8 . ,(columns 8))
    (poisson2x2 . ,(lambda (size seed)
                     (mri-operator #:mask (poisson-mask (list size size) #:acceleration 4 #:seed seed))))
    (radial . ,(lambda (size seed)
                 (nufft-operator #:trajectory (spokes size) #:shape (list size size))))))

;;; --- BART ----------------------------------------------------------------------------------

(define (coils-last y)
  ;; (coils rows columns) as BART has it, (rows columns 1 coils).
  (match (tensor-shape y)
    ((coils rows columns)
     (tensor-reshape (tensor-copy (tensor-transpose y '(1 2 0))) (list rows columns 1 coils)))))

(define (along-spokes y)
  ;; (coils spokes samples) as BART has it, (1 samples spokes coils).
  (match (tensor-shape y)
    ((coils spokes samples)
     (tensor-reshape (tensor-copy (tensor-transpose y '(2 1 0))) (list 1 samples spokes coils)))))

(define (bart-trajectory trajectory)
  ;; (spokes samples 2) as BART has it, c64 (3 samples spokes).
  (match (tensor-shape trajectory)
    ((spokes samples _)
     (let ((three (tensor-concatenate (list trajectory (tensor-zeros (list spokes samples 1))) 2)))
       (tensor+ (tensor-copy (tensor-transpose three '(2 1 0))) (tensor-zeros (list 3 samples spokes) 'c64))))))

(define (pics y maps trajectory . options)
  "The image, c64 (rows columns), that BART makes of the k-space Y of coils with the sensitivities MAPS by OPTIONS."
  (call-with-temporary-folder
   (lambda (folder)
     (define (file name) (string-append folder "/" name))
     (save-cfl (file "kspace.cfl") (if trajectory (along-spokes y) (coils-last y)))
     (save-cfl (file "maps.cfl") (coils-last maps))
     (when trajectory (save-cfl (file "trajectory.cfl") (bart-trajectory trajectory)))
     (apply run-program 'pics "bart" "pics" "-S" "-i" "100"
            ;; Along a trajectory steps want the greatest eigenvalue (-e), or wavelets diverge.
            (append options (if trajectory (list "-e" "-t" (file "trajectory")) '())
                    (list (file "kspace") (file "maps") (file "image"))))
     (tensor-reshape (load-cfl (file "image.cfl")) (cdr (tensor-shape maps))))))

(define weights '(3e-4 1e-3 3e-3 1e-2 3e-2))

(define methods
  `((sense . ,(lambda (weight) (list "-l2" "-r" (number->string weight))))
    (wavelets . ,(lambda (weight) (list "-R" (format #f "W:3:0:~a" weight))))
    (total-variation . ,(lambda (weight) (list "-R" (format #f "T:3:0:~a" weight))))))

(define (fitted image truth)
  ;; IMAGE times the number that brings its magnitudes nearest to those of TRUTH: BART's scale along a trajectory is its own.
  (let ((a (tensor-abs image)) (b (tensor-abs truth)))
    (tensor* (/ (tensor->number (tensor-sum (tensor* a b))) (tensor->number (tensor-sum-squares a))) image)))

(define (best-of-bart options y maps trajectory truth)
  (apply max (map (lambda (weight) (psnr (fitted (apply pics y maps trajectory (options weight)) truth) truth))
                  weights)))

;;; --- One slice -------------------------------------------------------------------------------

(define (row network truth maps sampling noise chains temperatures seed)
  "Of one slice, PSNRs and the coverage."
  (let*-values (((size) (first (tensor-shape truth)))
                ((op) (sense-operator maps ((assq-ref samplings sampling) size seed)))
                ((y) (measure op truth #:noise noise #:seed seed))
                ((measured) (measurement op y #:noise noise))
                ((trajectory) (and (eq? sampling 'radial) (spokes size)))
                ((chain seconds)
                 (timed (lambda ()
                          (anneal (posterior network measured) #:chains chains #:seed seed #:sampler (split-gibbs)
                                  #:temperatures (log-linear 100 #:until 0.046 #:count temperatures)))))
                ((head) (tensor< 8 (tensor-abs truth))))
    `(,sampling ,(psnr (fitted (zero-filled measured) truth) truth)
      ,@(map (match-lambda ((_ . options) (best-of-bart options y maps trajectory truth))) methods)
      ,(psnr (chain-mean chain) truth)
      ,(psnr (tensor-reshape (tensor-slice (chain-samples chain) 0 0 1) (tensor-shape truth)) truth)
      ,(covered-share (chain-samples chain) truth #:where head)
      ,seconds)))

(define names '(sampling zero-filled sense wavelets total-variation mean sample coverage seconds))

(define-experiment compare-coils
  ((sampling "columns4,columns8,poisson2x2,radial" string? "of columns4, columns8, poisson2x2 and radial")
   (slices 4 positive? "how many heads")
   (size 128 positive? "pixels a side")
   (coils 8 (lambda (n) (> n 1)) "around the head")
   (noise 2 positive? "standard deviation, where white is 150")
   (prior "brain-paper" string? "a shipped prior or a file")
   (chains 10 (lambda (n) (> n 8)) "samples")
   (temperatures 80 (lambda (n) (> n 1)) "of split Gibbs")
   (seed 1 (lambda (n) (>= n 0)) "of heads, masks, noise and chains"))
  "Posterior means beside BART's reconstructions, with several coils."
  (check-that (program-exists? "bart") 'compare-coils "bart: no such program; apt-get install bart")
  (let* ((network (load-network prior))
         (maps (simulated-sensitivities coils (list size size)))
         (heads (random-slices (load-dataset) slices size #:seed seed #:fit 1))
         (chosen (map string->symbol (string-split sampling #\,)))
         (rows (append-map
                (lambda (sampling)
                  (check-that (assq sampling samplings) 'compare-coils "sampling: expected some of ~a, got ~a"
                              (map car samplings) sampling)
                  (map (lambda (k)
                         (let ((row (row network (tensor-reshape (tensor-copy (tensor-slice heads 0 k (1+ k))) (list size size))
                                         maps sampling noise chains temperatures (+ seed k))))
                           (format #t "~a~%" row)
                           row))
                       (iota slices)))
                chosen))
         (all (table names rows))
         (means (table names
                       (map (lambda (sampling)
                              (let ((those (filter (lambda (row) (eq? sampling (car row))) rows)))
                                (cons sampling (map mean (apply map list (map cdr those))))))
                            chosen))))
    (save-table (run-path "slices.csv") all)
    (save-table (run-path "means.csv") means)
    (format #t "~a~%" (table-text means))
    means))
