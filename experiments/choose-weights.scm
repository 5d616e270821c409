;;; choose-weights.scm -- the weights of total variation and of wavelets, chosen on training data.
;;;
;;; For each acceleration and noise the weight whose images of training slices are nearest to the
;;; truth on average, among those on a fine scale.  compare-methods.scm takes the weights from
;;; weights.csv beside this file, which this script made:
;;;
;;;   tempera run --out=out/weights experiments/choose-weights.scm
;;;   cp out/weights/weights.csv experiments/

(use-modules (tempera)
             (ice-9 format)
             (srfi srfi-1))

(define methods
  `(("total variation" ,total-variation) ("wavelets" ,wavelet-reconstruction)))

(define (image batch k)
  (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))

(define (best-weight weights score)
  "The weight of WEIGHTS, falling, with the largest SCORE, and that: from the largest on, until
it has fallen twice."
  (let loop ((weights weights) (best #f) (best-score -inf.0) (worse 0))
    (if (or (null? weights) (= worse 2))
        (values best best-score)
        (let ((s (score (car weights))))
          (if (> s best-score)
              (loop (cdr weights) (car weights) s 0)
              (loop (cdr weights) best best-score (1+ worse)))))))

(define-experiment choose-weights
  ((size 256 (lambda (n) (<= 16 n 512)) "pixels a side")
   (slices 6 positive? "of the training data")
   (accelerations '(4 8) pair? "of the random masks")
   (noises '(0.1 5 20) pair? "standard deviations")
   (seed 7 (lambda (n) (>= n 0)) "of slices, masks and noise"))
  "The best weights of total variation and wavelets on training slices."
  (let* ((truths (random-slices (load-dataset) slices size #:seed seed #:fit 1))
         (weights-from (lambda (highest)
                         (map (lambda (k) (* highest (expt 10 (* k -1/4)))) (iota 20))))
         (rows
          (append-map
           (lambda (noise)
             (append-map
              (lambda (acceleration)
                (let* ((cases (map (lambda (k)
                                     (let ((op (mri-operator
                                                #:mask (random-mask size #:acceleration acceleration
                                                                    #:seed (+ seed k)))))
                                       (list (image truths k) op
                                             (measure op (image truths k) #:noise noise
                                                      #:seed (+ seed k)))))
                                   (iota slices)))
                       (quality (lambda (reconstruct)
                                  (mean (map (lambda (c)
                                               (psnr (reconstruct (second c) (third c)) (first c)))
                                             cases)))))
                  (map (lambda (method)
                         (call-with-values
                             (lambda ()
                               (best-weight (weights-from (max 10 (* 2 noise)))
                                            (lambda (weight)
                                              (quality (lambda (op y)
                                                         ((second method) op y #:weight weight))))))
                           (lambda (weight score)
                             (format #t "~a, R = ~a, noise ~a: weight ~,3g, ~,2f dB (zero-filled ~,2f)~%"
                                     (first method) acceleration noise weight score
                                     (quality apply-adjoint))
                             (force-output)
                             (list (first method) acceleration noise weight score))))
                       methods)))
              accelerations))
           noises))
         (result (table '(method acceleration noise weight psnr) rows)))
    (save-table (run-path "weights.csv") result)
    result))
