;;; two-moons.scm -- a learned score in the plane, beside the exact one.
;;;
;;; Trains the paper's small network on draws of two interleaved half circles by
;;; denoising score matching, anneals chains with it and with the exact score, and
;;; tells how far apart the scores are at each temperature, whether the path
;;; integral decides as the true density does, and how the samples compare.
;;;
;;;   tempera run experiments/two-moons.scm steps=500

(use-modules (tempera)
             (srfi srfi-1))

(define (mean numbers)
  (/ (apply + numbers) (length numbers)))

(define (score-error network prior sigma seed)
  "RMS over noisy draws of sigma |learned - exact score|: the error of the noise that
the network sees."
  (let* ((n 2000)
         (x (tensor+ (prior-draw prior n #:seed seed)
                     (tensor* sigma (random-normal (list n 2) seed))))
         (d (tensor- (score network x sigma) (score prior x sigma))))
    (* sigma (sqrt (/ (tensor->number (tensor-sum-squares d)) (* 2 n))))))

(define (agreement one other)
  "The part of decisions that two chains with the same random numbers have in common."
  (let* ((pairs (map (lambda (a b) (map eq? (vector->list (transition-accepted a))
                                        (vector->list (transition-accepted b))))
                     (chain-trace one) (chain-trace other)))
         (all (concatenate pairs)))
    (exact->inexact (/ (count identity all) (length all)))))

(define (density-picture points size)
  "How many of POINTS, (N 2), fall into each of SIZE by SIZE/2 squares of the plane
around the moons: an image."
  (let* ((height (quotient size 2))
         (image (tensor-zeros (list height size)))
         (scale (/ size 4.)))
    (let loop ((rest (tensor->list points)))
      (unless (null? rest)
        (let ((column (inexact->exact (floor (* scale (+ 1.5 (first rest))))))
              (row (inexact->exact (floor (* scale (- 1.25 (second rest)))))))
          (when (and (< -1 column size) (< -1 row height))
            (tensor-set! image (1+ (tensor-ref image row column)) row column))
          (loop (cddr rest)))))
    image))

(define-experiment two-moons
  ((steps 2000 (lambda (n) (>= n 0)) "of training")
   (batch 512 positive? "draws a step of training")
   (chains 2000 (lambda (n) (> n 1)) "how many")
   (sigma 0.02 positive? "the last temperature")
   (seed 1 (lambda (s) (>= s 0)) "of everything")
   (out "out/two-moons" string? "the folder to write to"))
  "Learn the score of two moons and sample with it, beside the exact score."
  (let* ((prior (two-moons-prior))
         (trainer (make-trainer (score-network '(moons-mlp) #:sigma-data 0.7)
                                (lambda (n step) (prior-draw prior n #:seed (+ seed step)))
                                #:batch batch #:steps steps #:seed seed
                                #:sigma (sigma-log-uniform (/ sigma 2) 5)
                                #:rate (warmup-cosine 1e-3)))
         (network (begin (train! trainer) (trainer-averaged trainer)))
         (chain-of (lambda (prior acceptance)
                     (anneal (prior-target prior #:shape '(2))
                             #:chains chains #:seed seed #:sampler (hmc #:acceptance acceptance)
                             #:temperatures (geometric 3 #:ratio 0.8 #:until sigma)
                             #:trajectory-length '(3 5) #:steps-per-temperature 2
                             #:step-size (lambda (sigma)
                                           (* 0.3 (sqrt (+ 0.0025 (* sigma sigma))))))))
         (learned (chain-of network 'path-integral))
         (exact (chain-of prior 'path-integral))
         (density (chain-of prior 'log-density))
         (height (lambda (chain)
                   (mean (vector->list (log-density prior (chain-samples chain) sigma)))))
         (errors (map (lambda (s) (cons s (score-error network prior s seed)))
                      '(0.02 0.05 0.1 0.2 0.5 1 2))))
    (make-directories out)
    (save-npy (string-append out "/samples.npy") (chain-samples learned))
    (save-png (string-append out "/learned.png") (density-picture (chain-samples learned) 256)
              #:high 4)
    (save-png (string-append out "/exact.png") (density-picture (chain-samples exact) 256)
              #:high 4)
    (let ((summary `(("score_error" . ,(list->vector
                                        (map (lambda (e) `(("sigma" . ,(car e)) ("rms" . ,(cdr e))))
                                             errors)))
                     ("decisions_in_common" . ,(agreement exact density))
                     ("mean_log_density_exact" . ,(height exact))
                     ("mean_log_density_learned" . ,(height learned))
                     ("acceptance_exact" . ,(chain-acceptance exact))
                     ("acceptance_learned" . ,(chain-acceptance learned))
                     ("score_evaluations" . ,(chain-evaluations learned))
                     ("seed" . ,seed))))
      (save-json (string-append out "/summary.json") summary)
      (for-each (lambda (e) (format #t "sigma ~5a  sigma * RMS score error ~,3f~%" (car e) (cdr e)))
                errors)
      (for-each (lambda (entry) (format #t "~a  ~a~%" (car entry) (cdr entry))) (cdr summary))
      summary)))
