;;; test-conditional.scm -- the conditional sampler: what its score is of, its loss, its files.

(use-modules (harness) (tempera) (tempera net layers) (tempera problem masses) (srfi srfi-1))

(start-tests "conditional")

(define body '(paper-unet #:inputs 2 #:channels (4 8) #:blocks 1 #:convolutions 2 #:normalisation #f))
(define net (conditional-network body #:sigma-data 3))

(test-assert "print" (string-prefix? "#<conditional network, paper-unet, channels (4 8), "
                                     (format #f "~a" net)))
(test-assert "a network" (and (conditional-network? net) (network? net) (not (score-network? net))))

(define (images count stream) (random-normal (list count 16 16) 7 stream 'c64))
(define x (images 3 0))
(define zero-filled (images 3 1))
(define (one batch k) (tensor-reshape (tensor-slice batch 0 k (1+ k)) (cdr (tensor-shape batch))))
(define (far? a b) (> (tensor->number (tensor-max (tensor-abs (tensor- a b)))) 1e-4))

;;; The parametrisation, by hand: |sigma| r = -sigma x / (sigma^2 + s^2) + s h / sqrt (sigma^2 + s^2).

(let* ((sigma 0.7) (s 3) (total (+ (* sigma sigma) (* s s)))
       (h ((cdr (first (layer-parts net)))
           (tensor-concatenate (list (tensor* (/ (sqrt total)) (real-view x))
                                     (tensor* (/ 1. s) (real-view zero-filled)))
                               -1)
           (tensor+ (log sigma) (tensor-zeros '(3)))))
       (expected (tensor/ (tensor- (tensor* (/ s (sqrt total)) h)
                                   (tensor* (/ sigma total) (real-view x)))
                          sigma)))
  (test-assert "its score by hand" (not (far? expected (real-view (net x zero-filled sigma))))))
(test-assert "real images too"
  (tensor-identical? (real-view (net x zero-filled 0.7))
                     (net (real-view x) (real-view zero-filled) 0.7)))
(test-assert "the condition counts" (far? (net x zero-filled 0.7) (net x (images 3 2) 0.7)))
(test-assert "each its own condition"
  (not (far? (one (net x zero-filled 0.7) 1)
             (one (net x (one zero-filled 1) 0.7) 1))))
(test-assert "each its own sigma"
  (not (far? (one (net x zero-filled (list->tensor '(0.2 0.7 5))) 1)
             (one (net x zero-filled 0.7) 1))))
;; More images than go through the network at once.
(let* ((many (random-normal '(70 32 32) 1 0 'c64)) (condition (random-normal '(32 32) 1 1 'c64))
       (last-one (tensor-slice many 0 69)))
  (test-assert "many at once, the same"
    (not (far? (tensor-slice (net many condition 2) 0 69) (net last-one condition 2)))))

(let ((target (conditional-target net (one zero-filled 0))))
  (test-assert "the target's score is the network's at its condition"
    (tensor-identical? (target-score target x 0.7) (net x (one zero-filled 0) 0.7)))
  (test-assert "and at no other"
    (far? (target-score target x 0.7)
          (target-score (conditional-target net (one zero-filled 1)) x 0.7)))
  (test-assert "chains start from it" (tensor-identical? (one zero-filled 0) (target-start target)))
  (test-assert "its mass is 1 / sigma^2"
    (tensor-identical? (tensor* 1/4 x)
                       (mass-velocity ((assq-ref (target-masses target) 'white) 0.5) x)))
  (test-assert "it is sampled"
    (tensor-finite? (chain-samples (anneal target #:chains 2 #:temperatures
                                           (geometric 100 #:ratio 0.5 #:until 1))))))

;;; Learning: x and its condition are one up to noise, so that the condition is worth something.

(define (blobs count step)
  (tensor* 3 (fourier-multiply (random-normal (list count 16 16) 9 step 'c64)
                               (power-spectrum '(16 16) #:amplitude 2 #:exponent 3))))
(define (batch count step)
  (let ((truth (real-view (blobs count step))))
    (list truth truth)))
(define* (trainer #:key (sigma (sigma-log-uniform 3 30)) (steps 80) (seed 1) (weight (const 1)))
  (make-trainer (conditional-network body #:sigma-data 3) batch
                #:batch 8 #:steps steps #:seed 1 #:rate (constant-rate 1e-2) #:averaging #f
                #:weight weight #:loss (conditional-loss #:sigma sigma #:seed seed)))

(define trained (train! (trainer) #:every 20))
(let ((losses (map second (trainer-losses trained))))
  (test-assert "it learns" (< (first losses) (* 0.7 (last losses)))))
(test-assert "losses by sigma"
  (lset= eqv? '(3 10 30) (map car (append (trainer-losses-by-sigma trained) '((3 . 0))))))
;; Equation 3 for a network whose score is known: r = 0 gives the mean of u^2, whatever sigma.
(let ((still (conditional-network body #:sigma-data 1e-4)))
  (for-each (lambda (p) (tensor-assign! (cdr p) 0)) (layer-parameters still))
  (call-with-values
      (lambda () ((conditional-loss #:sigma (sigma-log-uniform 5 50) #:seed 3) still (batch 200 0) 0))
    (lambda (losses sigma)
      ;; |sigma| r = -(x + sigma u) / sigma then, to s^2 / sigma^2: the loss is |x|^2 / sigma^2.
      (let* ((power (tensor-mean (tensor-square (second (batch 200 0))) '(1 2 3)))
             (expected (tensor/ power (tensor-square sigma))))
        (test-assert "its loss by hand"
          (every (lambda (a b) (< (abs (- a b)) (* 1e-3 b)))
                 (tensor->list losses) (tensor->list expected)))))))
(test-assert "the condition is the first of the two, what is learned the second"
  (let ((losses (lambda (pair) (tensor->list ((conditional-loss) net pair 0))))
        (a (real-view (images 2 3))) (b (real-view (images 2 4))))
    (and (not (equal? (losses (list a b)) (losses (list b b))))
         (not (equal? (losses (list a b)) (losses (list a a)))))))
(test-assert "a weight that depends on sigma is asked"
  (let ((asked '()))
    (train! (trainer #:weight (described (lambda (sigma) (set! asked (cons sigma asked)) 1) "noted"))
            #:steps 1)
    (and (= 8 (length asked)) (every (lambda (s) (<= 3 s 30)) asked))))
(test-assert "other seeds, other noise"
  (let ((losses (lambda (seed)
                  (tensor->list ((conditional-loss #:seed seed) net (batch 2 0) 0)))))
    (and (equal? (losses 1) (losses 1)) (not (equal? (losses 1) (losses 2))))))

(call-with-temporary-directory
 (lambda (folder)
   (let ((path (string-append folder "/net.safetensors")))
     (save-network path net #:metadata '(("data" . "noise")))
     (test-assert "through a file, the same bits"
       (tensor-identical? (net x zero-filled 0.7) ((load-network path) x zero-filled 0.7)))
     (save-safetensors path (layer-parameters net)
                       #:metadata '(("format" . "tempera-conditional-1") ("body" . "(paper")
                                    ("sigma-data" . "3")))
     (test-error-matching "a torn body" "body: unreadable" (load-network path))
     (save-safetensors path (layer-parameters net)
                       #:metadata `(("format" . "tempera-conditional-1")
                                    ("body" . ,(object->string body)) ("sigma-data" . "x")))
     (test-error-matching "no sigma-data" "sigma-data: expected a positive number" (load-network path))
     (let ((half (train! (trainer) #:steps 40 #:checkpoint path)))
       (test-assert "resumed, the same bits"
         (every (lambda (a b) (tensor-identical? (cdr a) (cdr b)))
                (layer-parameters (trainer-network trained))
                (layer-parameters (trainer-network (train! (trainer-resume! (trainer) path))))))))))

;;; Pairs.

(call-with-temporary-directory
 (lambda (folder)
   (setenv "XDG_CACHE_HOME" folder)
   (save-npy (string-append folder "/volume.npy") (tensor-abs (random-normal '(12 32 32) 1)))
   (data-add! (string-append folder "/volume.npy") #:person "ann" #:orientation "SAR")
   (let* ((draw (measured-slices (load-dataset) #:sizes '(16 32) #:acceleration 2 #:noise 0 #:seed 2))
          (first-batch (draw 1 0)) (second-batch (draw 1 1)))
     (test-equal "sizes in turn, pixels alike" '((64 16 16 2) (16 32 32 2))
       (map (lambda (b) (tensor-shape (second b))) (list first-batch second-batch)))
     (test-assert "zero-filled by the masks, without noise"
       (not (far? (first first-batch)
                  (real-view (fourier-multiply (complex-view (second first-batch)) (third first-batch))))))
     (test-assert "masks differ"
       (not (tensor-identical? (tensor-slice (third first-batch) 0 0 1)
                               (tensor-slice (third first-batch) 0 1 2))))
     (let* ((noisy ((measured-slices (load-dataset) #:sizes '(16) #:noise 5 #:seed 2) 1 0))
            (clean ((measured-slices (load-dataset) #:sizes '(16) #:noise 0 #:seed 2) 1 0))
            (variance (tensor->number (tensor-mean (tensor-square (tensor- (first noisy) (first clean))))))
            (share (tensor->number (tensor-mean (third noisy)))))
       ;; 64 x 16 x 16 x share x 2 numbers, about 8000: a standard error of 1.6 %.
       (test-approximate "noise where there are measurements" (* 25 share) variance (* 25 share 0.08))))))

(test-error-matching "no data" "sizes: expected" (measured-slices 3 #:sizes '(4)))
(test-error-matching "noise" "noise: expected" (measured-slices 3 #:noise -1))
(test-error-matching "a body of one image" "channels"
  ((conditional-network '(paper-unet #:channels (4 8) #:blocks 1)) x zero-filled 1))
(test-error-matching "no distribution" "distribution: expected"
  ((conditional-loss #:sigma 3) net (batch 1 0) 0))
(test-error-matching "no images" "x: expected a tensor" (denoising-losses car 3 (sigma-normal)))
(test-error-matching "inputs" "inputs: expected" (paper-unet #:inputs 0))
(test-error-matching "sigma-data" "sigma-data: expected" (conditional-network body #:sigma-data 0))
(test-error-matching "another shape" "zero-filled: expected" (net x (images 2 0) 1))
(test-error-matching "no tensor" "expected tensors" (net x 3 1))
(test-error-matching "no network" "network: expected" (conditional-target car (one x 0)))
(test-error-matching "a batch" "zero-filled: expected" (conditional-target net x))
(test-error-matching "another's loss" "network: expected a conditional"
  ((conditional-loss) (updnet #:iterations 1 #:channels '(4)) (batch 1 0) 0))

(finish-tests)
