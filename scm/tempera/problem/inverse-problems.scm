;;; inverse-problems.scm -- an inverse problem of any kind: from an image, or from data, to what `posterior' takes.
;;;
;;; A problem knows its operator for images of every shape.  So the same one is simulated from an image whose truth
;;; is known and set for data of a file; either way a measurement comes of it, or a likelihood where noise
;;; is not Gaussian.  Problems by name are in shell/problems.scm.

(define-module (tempera problem inverse-problems)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera data scans)
  #:use-module (tempera problem likelihoods)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem operators)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:export (make-problem problem? problem-likelihoods problem-load problem-dtype problem-white problem-hottest problem-prior problem-settings
            problem-simulation problem-measurement))

(define-record-type <problem>
  (%make-problem operator image-shape noise likelihoods load truth scale dtype white hottest prior settings)
  problem?
  (operator problem-operator)           ; shape seed -> A for images of that shape
  (image-shape problem-image-shape)     ; of data's shape
  (noise problem-noise)                 ; what it is unless given, over the brightest datum; or a map
  (likelihoods problem-likelihoods)     ; names, the first unless told
  (load problem-load)                   ; path -> data and their noise, or #f: an image file
  (truth problem-truth)                 ; image white dtype seed -> what is measured
  (scale problem-scale)                 ; of data, or #f: such that their image's white is the prior's
  (dtype problem-dtype)                 ; of images, or #f: as the prior has them
  (white problem-white)                 ; of images, or #f: as the prior has it
  (hottest problem-hottest)             ; the first temperature, or #f: by white
  (prior problem-prior)                 ; network or #f, shape, dtype -> a prior of its own; or #f
  (settings problem-settings))          ; keywords of `anneal'

(set-record-type-printer! <problem>
  (lambda (problem port)
    (format port "#<problem, ~a noise>" (string-join (map symbol->string (problem-likelihoods problem)) " or "))))

(define likelihood-names '(gaussian student-t poisson magnitude))

(define* (make-problem #:key operator (image-shape identity) (noise 0.01) (likelihoods '(gaussian student-t)) (load #f)
                       (truth (lambda (image white dtype seed)
                                (simulated-scan image #:white white #:dtype dtype #:seed seed)))
                       (scale #f) (dtype #f) (white #f) (hottest #f) (prior #f) (settings '()))
  "An inverse problem, of data y = A x and noise.
  OPERATOR     the procedure shape seed -> A for images of SHAPE, (rows columns); what it draws at random is by SEED
  IMAGE-SHAPE  the procedure from the shape of data to that of images, `identity' unless given; or to two values, that and
               the OPERATOR of data of that shape, where the shape of images does not determine it
  NOISE        its standard deviation unless told, over the 99.9th percentile of the magnitude of y; or as it is, a map, f32
               of the shape of data
  LIKELIHOODS  which of gaussian, student-t, poisson and magnitude fit, the usual one first
  LOAD         the procedure path -> data, (rows columns), and their noise, a number, a map or #f, two values; #f: images
  TRUTH        the procedure image white dtype seed -> the image that is measured in a simulation; `simulated-scan'
               unless given, with its 99.9th percentile at white, and a phase where the dtype is c64
  SCALE        what data are multiplied by, 1 where they have units; #f: what brings their image to white
  DTYPE        of images, f32 or c64, whatever data are; #f: as the prior has them
  WHITE        the 99.9th percentile of magnitude that images have, of which temperatures are made; #f: as the prior has it
  HOTTEST      the temperature at which chains begin, as wide as all that data leave open; #f: 2/3 of white
  PRIOR        the procedure network shape dtype -> a prior over images of SHAPE that is made of the network that the user names,
               or of none, #f, with prior=gaussian; #f: the network, or a field of roughly the power of images
  SETTINGS     keywords of `anneal' that chains want
Example: (make-problem #:operator (lambda (shape seed) (inpainting-operator (random-pixels shape 1/2 #:seed seed))))"
  (for-each (lambda (argument procedure needed?)
              (check-that (or (procedure? procedure) (and (not needed?) (not procedure))) 'make-problem
                          "~a: expected a procedure, got ~s" argument procedure))
            '("operator" "image-shape" "load" "truth" "prior") (list operator image-shape load truth prior) '(#t #t #f #t #f))
  (check-that (if (tensor? noise)
                  (and (eq? 'f32 (tensor-dtype noise)) (tensor-finite? noise) (> (tensor->number (tensor-min noise)) 0))
                  (positive-number? noise))
              'make-problem "noise: expected a positive number, or a map of them, got ~s" noise)
  (for-each (lambda (argument value)
              (check-that (or (not value) (positive-number? value)) 'make-problem
                          "~a: expected a positive number, got ~s" argument value))
            '("scale" "white" "hottest") (list scale white hottest))
  (check-that (memq dtype '(#f f32 c64)) 'make-problem "dtype: expected f32, c64 or #f, got ~s" dtype)
  (check-that (and (pair? likelihoods) (every (lambda (name) (memq name likelihood-names)) likelihoods)) 'make-problem
              "likelihoods: expected some of ~a, got ~s" likelihood-names likelihoods)
  (check-that (list? settings) 'make-problem "settings: expected a list of keywords and values, got ~s" settings)
  (%make-problem operator image-shape noise likelihoods load truth scale dtype white hottest prior settings))

(define (likelihood-of who problem likelihood dtype noise counts)
  ;; LIKELIHOOD, or the usual one of PROBLEM, which has to go with the rest.
  (check-that (problem? problem) who "problem: expected one, as `make-problem' makes it, got ~s" problem)
  (let ((likelihood (or likelihood (first (problem-likelihoods problem)))))
    (check-that (memq likelihood (problem-likelihoods problem)) who "likelihood: expected one of ~a for this problem, got ~s"
                (problem-likelihoods problem) likelihood)
    (check-that (or (not (eq? likelihood 'poisson)) (eq? dtype 'f32)) who
                "likelihood: counts are of real images, and the prior is of complex ones")
    (check-that (or (not noise) (not (eq? likelihood 'poisson))) who "noise: counts have none of their own, got ~a" noise)
    (check-that (or (not counts) (eq? likelihood 'poisson)) who "counts: expected likelihood=poisson beside it")
    likelihood))

(define (positive-peak who tensor)
  ;; The 99.9th percentile of its magnitude, by which scales and noise are set.
  (let ((peak (peak-magnitude tensor)))
    (check-that (and (finite? peak) (> peak 0)) who "data: expected finite numbers, of which more than a thousandth are \
not 0, got a 99.9th percentile of ~a" peak)
    peak))

(define (usual-noise who problem y)
  ;; Unless it is given, of data Y or of what they would be without noise.
  (if (tensor? (problem-noise problem)) (problem-noise problem) (* (problem-noise problem) (positive-peak who y))))

(define (as-of-images who data op shape dtype)
  ;; DATA in the type that OP gives of images of SHAPE and DTYPE: of real ones some operators make complex data.
  (let ((wanted (tensor-dtype (apply-forward op (tensor-zeros shape dtype)))))
    (cond ((eq? wanted (tensor-dtype data)) data)
          ((eq? wanted 'c64) (tensor+ data (tensor-zeros (tensor-shape data) 'c64)))
          (else (complain who "data: expected real numbers, as this problem makes of real images, which the prior's are, \
got complex ones")))))

(define (with-noise who op y likelihood noise gain background freedom dtype)
  ;; What `posterior' takes, of the data Y of OP.
  (case likelihood
    ((gaussian) (measurement op y #:noise noise))
    ((student-t) (student-t-likelihood op y #:scale noise #:freedom freedom))
    ((magnitude) (magnitude-likelihood op y #:noise noise #:dtype dtype))
    ((poisson) (poisson-likelihood op y #:gain gain #:background background))))

(define* (problem-simulation problem image
                             #:key (white top-intensity) (dtype 'c64) (likelihood #f)
                             (noise #f) (counts #f) (background 0) (freedom 4) (seed 0))
  "PROBLEM as it would be measured of IMAGE, (rows columns): two values, the measurement, or the likelihood, and the truth, of
DTYPE and with its white at WHITE.  LIKELIHOOD is one that the problem takes.  NOISE is the standard deviation, and of student-t the
scale, with FREEDOM degrees; the problem says it unless given.  COUNTS, 100 unless given, is what Poisson data
have where A x is brightest, above BACKGROUND.
Example: (problem-simulation (make-problem #:operator (lambda (shape seed) (denoising-operator shape))) scan #:noise 10)"
  (define who 'problem-simulation)
  (check-seed who seed)
  (let* ((likelihood (likelihood-of who problem likelihood dtype noise counts))
         (truth ((problem-truth problem) image white dtype seed))
         (op ((problem-operator problem) (tensor-shape truth) seed))
         (z (apply-forward op truth))
         (noise (or noise (usual-noise who problem z)))
         (gain (/ (or counts 100) (positive-peak who z)))
         (with-noise (lambda (y) (with-noise who op y likelihood noise gain background freedom dtype))))
    (values (with-noise (if (eq? likelihood 'gaussian)
                            (measure op truth #:noise noise #:seed seed)
                            (likelihood-draw (with-noise (tensor-zeros (tensor-shape z)
                                                                       (if (eq? likelihood 'magnitude) 'f32 dtype)))
                                             truth #:seed seed)))
            truth)))

;;; --- Data of a file -------------------------------------------------------------------

(define (is-number? y)
  ;; 1 where Y is finite, else 0: of NaN no comparison is true.
  (tensor< (tensor-abs y) +inf.0))

(define (zero-elsewhere y seen)
  ;; Y, and 0 where SEEN is 0, whatever Y has there: it to the power of 0 is 1.
  (if (eq? 'c64 (tensor-dtype y))
      (complex-view (zero-elsewhere (real-view y) (tensor-reshape seen (append (tensor-shape seen) '(1)))))
      (let ((seen (tensor-copy (tensor-broadcast seen (tensor-shape y)))))
        (tensor- (tensor-power y seen) (tensor- 1 seen)))))

(define* (problem-measurement problem data
                              #:key (white top-intensity) (dtype 'c64) (likelihood #f)
                              (noise #f) (counts #f) (background 0) (freedom 4) (scale #f) (nan-is-unmeasured? #f) (seed 0))
  "DATA, (rows columns), as the data of PROBLEM: two values, the measurement, or the likelihood, and the scale, which is what brings
their image to WHITE unless SCALE is given.  Counts are not multiplied, but their rate is divided by it.
NOISE is on the scale of images, a number or a map; LIKELIHOOD, BACKGROUND and FREEDOM are as in `problem-simulation'.
With NAN-IS-UNMEASURED? data that are NaN or infinite were not measured; else they are an error.
Example: (problem-measurement (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))
                              (tensor-abs scan) #:noise 10)"
  (define who 'problem-measurement)
  (check-that (not counts) who "counts: they are those of the data; expected none")
  (check-that (and (tensor? data) (= 2 (length (tensor-shape data)))) who
              "data: expected a tensor (rows columns), got ~s" data)
  (let* ((likelihood (likelihood-of who problem likelihood dtype noise counts))
         (of-data (call-with-values (lambda () ((problem-image-shape problem) (tensor-shape data))) list))
         (shape (first of-data))
         (op ((if (pair? (cdr of-data)) (second of-data) (problem-operator problem)) shape seed))
         (seen (is-number? data))
         (unseen (- (tensor-count data) (inexact->exact (round (tensor->number (tensor-sum seen)))))))
    (check-that (or nan-is-unmeasured? (zero? unseen)) who
                "data: ~a of their ~a numbers are NaN or infinite; with nan-is-unmeasured they are taken as not measured"
                unseen (tensor-count data))
    (let* ((op (if (zero? unseen) op (weighted-operator op seen)))
           (data (if (zero? unseen) data (zero-elsewhere data seen)))
           (data (if (memq likelihood '(gaussian student-t)) (as-of-images who data op shape dtype) data))
           (scale (or scale (problem-scale problem)
                      (/ white (positive-peak who (apply-approximate-inverse
                                                   op (if (eq? likelihood 'poisson)
                                                          (tensor-maximum 0 (tensor- data background))
                                                          data))))))
           (y (if (eq? likelihood 'poisson) data (tensor* scale data)))
           (noise (or noise (usual-noise who problem y))))
      (values (with-noise who op y likelihood noise (/ scale) background freedom dtype) scale))))

(document
 (problem?
  "True when OBJECT is an inverse problem.
Example: (problem? 3) => #f")
 (problem-likelihoods
  "The names of the likelihoods that fit PROBLEM, the usual one first.
Example: (problem-likelihoods (make-problem #:operator (lambda (shape seed) (denoising-operator shape))))
         => (gaussian student-t)")
 (problem-dtype
  "The type of PROBLEM's images, or #f: as the prior has them.
Example: (problem-dtype (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => #f")
 (problem-white
  "The 99.9th percentile of the magnitude of PROBLEM's images, or #f: as the prior has it.
Example: (problem-white (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => #f")
 (problem-hottest
  "The temperature at which chains of PROBLEM begin, or #f: two thirds of white.
Example: (problem-hottest (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => #f")
 (problem-prior
  "The procedure network shape dtype by which PROBLEM makes a prior of its own, or #f.
Example: (problem-prior (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => #f")
 (problem-settings
  "Keywords of `anneal' that chains of PROBLEM want.
Example: (problem-settings (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => ()")
 (problem-load
  "The procedure of a path by which PROBLEM reads data and their noise, or #f: data are image files.
Example: (problem-load (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))) => #f"))
