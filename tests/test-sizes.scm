;;; test-sizes.scm -- images of any number of rows and columns, wherever a prior is used.

(use-modules (harness) (tempera)
             (tempera net bodies) (tempera net score-networks) (tempera problem priors)
             (tempera shell commands reconstruct)
             (srfi srfi-1) (srfi srfi-11))

(start-tests "sizes")

(define (largest t) (tensor->number (tensor-max (tensor-abs t))))

;;; --- What is made to fit, and how ---------------------------------------------------

;; What a body that needs sixes would see of 4 x 9 pixels: 6 x 12, mirrored.
(let* ((seen #f) (given #f)
       (six (make-body 'six "six" 6 (lambda (images noise)
                                         (set! given images)
                                         (set! seen (tensor-copy images))
                                         (tensor* 2 images))))
       (images (tensor-tabulate '(1 4 9 1) (lambda (n i j c) (+ (* 10 i) j))))
       (out ((any-size six six) images #f))
       (index (lambda (k n) (let ((k (modulo k (* 2 (1- n))))) (min k (- (* 2 (1- n)) k))))))
  (test-equal "made to fit" '(1 6 12 1) (tensor-shape seen))
  (test-assert "mirrored at the edges"
    (every (lambda (i)
             (every (lambda (j)
                      (= (tensor-element seen (list 0 i j 0)) (+ (* 10 (index (- i 1) 4)) (index (- j 1) 9))))
                    (iota 12)))
           (iota 6)))
  (test-assert "and cropped" (tensor-identical? out (tensor* 2 images)))
  (test-error-matching "the body alone" "six: images: expected rows and columns divisible by 6, got shape (1 4 9 1)"
    (six images #f))
  (test-assert "what fits is taken as it is"
    (let ((images (tensor-zeros '(1 6 12 1)))) ((any-size six six) images #f) (eq? given images)))
  (test-equal "a body of any size" car (any-size (dense-layer 2 2) car)))

;; A score over images of another size is that of the mirrored image, cropped: a network's is the same
;; procedure of both.
(for-each
 (lambda (description parametrisation divisor)
   (let* ((net (score-network description #:parametrisation parametrisation))
          (x (random-normal '(2 61 9) 1 0 'c64))
          (r (score net x 0.7))
          (rows (* divisor (quotient (+ 61 divisor -1) divisor))) (columns (* divisor (quotient (+ 9 divisor -1) divisor)))
          (top (quotient (- rows 61) 2)) (left (quotient (- columns 9) 2))
          (index (lambda (k n) (let ((k (modulo k (* 2 (1- n))))) (min k (- (* 2 (1- n)) k)))))
          (whole (tensor-tabulate (list 2 rows columns)
                                  (lambda (n i j)
                                    (tensor-element x (list n (index (- i top) 61) (index (- j left) 9))))))
          (expected (tensor-copy (tensor-slice (tensor-slice (score net whole 0.7) 1 top (+ top 61))
                                               2 left (+ left 9)))))
     (test-assert (format #f "~a" net) (tensor-identical? r expected))
     ;; Along a direction, by the tape, as by differences.
     (let-values (((own slopes) (score-and-slope net x 0.7 x)))
       (test-assert (format #f "slope of ~a" net)
         (let ((h 1e-2))
           (every (lambda (a b) (< (abs (- a b)) (* 2e-2 (+ 1 (abs b)))))
                  (vector->list slopes)
                  (vector->list (chains-dot x (tensor/ (tensor- (score net (tensor* (+ 1 h) x) 0.7)
                                                                (score net (tensor* (- 1 h) x) 0.7))
                                                       (* 2 h))))))))))
 '((paper-unet #:channels (2 4 4) #:blocks 1) (paper-unet #:channels (2 4) #:blocks 1)
   (edm-unet #:width 4 #:multipliers (1 2) #:blocks 1 #:attention (4) #:unshuffle 2)
   (drunet #:channels (2 4) #:blocks 1))
 '(preconditioned wiener preconditioned residual)
 '(4 2 4 2))
(let ((net (conditional-network '(paper-unet #:inputs 2 #:channels (2 4) #:blocks 1)))
      (x (random-normal '(2 13 7) 1 0 'c64)))
  (test-equal "a conditional network" '(2 13 7) (tensor-shape (net x (tensor* 0.5 x) 1))))

;;; --- Wherever a prior is used ---------------------------------------------------------

(define net (score-network '(paper-unet #:channels (2 4 4) #:blocks 1) #:parametrisation 'wiener))
(define (head rows columns)
  (simulated-scan (tensor-tabulate (list rows columns)
                                   (lambda (i j)
                                     (let ((a (/ (- i (/ rows 2)) rows)) (b (/ (- j (/ columns 2)) columns)))
                                       (cond ((< (+ (* a a) (* b b)) 0.05) 60)
                                             ((< (+ (* a a) (* b b)) 0.15) 100)
                                             (else 0)))))))
(for-each
 (lambda (shape)
   (let* ((scan (apply head shape))
          (op (mri-operator #:mask (random-mask (second shape) #:seed 1)))
          (y (measure op scan #:seed 2))
          (target (posterior net op y)))
     (for-each
      (lambda (name sampler)
        (let ((chain (anneal target #:chains 2 #:seed 1 #:sampler sampler
                             #:temperatures (geometric 20 #:ratio 0.3 #:until 2))))
          (test-equal (format #f "~a on ~a" name shape) (cons 2 shape) (tensor-shape (chain-samples chain)))
          (test-assert (format #f "~a on ~a: finite" name shape) (tensor-finite? (chain-samples chain)))
          (test-equal (format #f "denoised after ~a on ~a" name shape) (cons 2 shape)
                      (tensor-shape (denoise chain)))))
      '("HMC" "split Gibbs" "reverse diffusion") (list (hmc) (split-gibbs) (reverse-diffusion)))))
 '((64 61) (23 18) (30 45)))

;; From the command line, to files of the image's own size.
(call-with-temporary-directory
 (lambda (folder)
   (let ((in (lambda (name) (string-append folder "/" name))))
     (save-npy (in "head.npy") (tensor-abs (head 64 61)))
     (save-network (in "net.safetensors") net)
     (with-output-to-port (%make-void-port "w")
       (lambda ()
         (run-experiment reconstruct `((input . ,(in "head.npy")) (prior . ,(in "net.safetensors"))
                                       (simulate . #t) (chains . 2) (ratio . 0.5) (until . 1.))
                         #:directory (in "run"))))
     (test-equal "reconstructed" '((64 61) (2 64 61))
       (map (lambda (name) (tensor-shape (load-npy (in name)))) '("run/mean.npy" "run/samples.npy"))))))

(finish-tests)
