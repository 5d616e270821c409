;;; test-updnet.scm -- UPDNet: shapes, files, its loss, and that it learns.

(use-modules (harness) (tempera) (tempera net layers) (srfi srfi-1))

(start-tests "updnet")

(define net (updnet #:iterations 2 #:buffers 3 #:channels '(4 8) #:seed 3))

(test-assert "print" (string-prefix? "#<updnet, 2 iterations, 3 buffers, channels (4 8), "
                                     (format #f "~a" net)))
(test-assert "a network" (and (updnet? net) (network? net) (not (score-network? net))))
;; The authors' has 1.19 million, with windows of 2 x 2 on the way up.
(test-assert "its parameters" (< 1.1e6 (parameter-count (updnet)) 1.35e6))

;; Images: blobs at random, with a phase; a mask for each.
(define (blobs count step)
  (let* ((noise (random-normal (list count 32 32) 9 step 'c64))
         (smooth (fourier-multiply noise (power-spectrum '(32 32) #:amplitude 40 #:exponent 4))))
    ;; Light and dark, so that there is something to be learned.
    (complex-view (tensor* (tensor-reshape (tensor+ 1 (tensor-sign (tensor-real smooth)))
                                           (list count 32 32 1))
                           (list->tensor '(40 30))))))
(define (batch count step)
  (let* ((truth (blobs count step))
         (masks (tensor-concatenate
                 (map (lambda (k)
                        (tensor-copy
                         (tensor-broadcast (random-mask 32 #:acceleration 3 #:seed (+ k (* 8 step)))
                                           '(1 32 32))))
                      (iota count))
                 0)))
    (list (real-view (fourier-multiply truth masks)) (real-view truth) masks)))

(let* ((b (batch 2 1)) (y (net (first b) (third b))))
  (test-equal "shapes" '(2 32 32 2) (tensor-shape y))
  (test-assert "finite" (tensor-finite? y)))
;; One iteration by hand, from its parts: A^H A x - A^H y is what the U-net sees beside x.
(let* ((one (updnet #:iterations 1 #:buffers 2 #:channels '(4 8) #:seed 5))
       (part (lambda (name) (assoc-ref (layer-parts one) name)))
       (table (random-uniform '(16 16) 1))
       (zero-filled (random-normal '(1 16 16 2) 2))
       (x (tensor/ zero-filled 30))
       (residual (tensor- (fourier-multiply x table) x)))
  (test-assert "one iteration"
    (> 1e-4 (tensor->number
             (tensor-max (tensor-abs (tensor- (one zero-filled table)
                                              (tensor* 30 (tensor+ x ((part "image0")
                                                                      ((part "net0")
                                                                       (list x x residual))))))))))))

(test-equal "a mask of columns" '(1 16 12 2)
  (tensor-shape (net (tensor-zeros '(1 16 12 2)) (random-mask 12))))

(test-approximate "magnitudes" 5 (tensor-ref (magnitudes (list->tensor '(3 -4) '(1 1 1 2))) 0 0 0) 1e-5)

;; 0 where image and truth are one, whatever the network; the two parts by hand.
(let* ((b (batch 2 1)) (truth (second b))
       (exactly (lambda (x) (lambda (zero-filled diagonal) x)))
       (loss (lambda (x) (tensor->list (updnet-loss (exactly x) b 0)))))
  (test-assert "no loss at the truth" (every (lambda (l) (< (abs l) 1e-4)) (loss truth)))
  (let* ((x (tensor* 1.1 truth))
         (m (magnitudes truth)) (m1 (magnitudes x))
         (expected (tensor+ (tensor* 0.02 (tensor-mean (tensor-abs (tensor- m1 m)) '(1 2)))
                            (tensor* 0.98 (tensor- 1 (ms-ssim m1 m (tensor-max m '(1 2))))))))
    (test-assert "both parts" (every (lambda (a b) (< (abs (- a b)) 1e-5))
                                     (tensor->list expected) (loss x)))))

(define* (trainer #:key (steps 120) (seed 0))
  (make-trainer (updnet #:iterations 2 #:buffers 3 #:channels '(4 8) #:seed 3) batch
                #:batch 4 #:steps steps #:seed seed #:rate (constant-rate 1e-2) #:averaging #f
                #:loss updnet-loss #:rectified? #t))

(define trained (train! (trainer) #:every 40))
(test-assert "it learns"
  (let ((losses (map second (trainer-losses trained))))
    (< (first losses) (* 0.95 (last losses)))))
(let* ((truth (tensor-reshape (blobs 1 777) '(32 32)))
       (op (mri-operator #:mask (random-mask 32 #:acceleration 3 #:seed 99)))
       (y (apply-forward op truth))
       (image (updnet-reconstruction (trainer-network trained) op y)))
  (test-assert "an unseen image, better than zero-filled"
    (> (psnr image truth) (+ 0.5 (psnr (apply-adjoint op y) truth))))
  (call-with-temporary-directory
   (lambda (folder)
     (let ((path (string-append folder "/net.safetensors")))
       (save-network path (trainer-network trained) #:metadata '(("data" . "blobs")))
       (let ((loaded (load-network path)))
         (test-assert "through a file, the same bits"
           (tensor-identical? image (updnet-reconstruction loaded op y))))
       (save-safetensors path (layer-parameters net)
                         #:metadata '(("format" . "tempera-updnet-1") ("body" . "(1 2")))
       (test-error-matching "a torn body" "body: expected iterations" (load-network path))
       (let ((half (train! (trainer) #:steps 60 #:checkpoint path)))
         (test-assert "resumed, the same bits"
           (every (lambda (a b) (tensor-identical? (cdr a) (cdr b)))
                  (layer-parameters (trainer-network trained))
                  (layer-parameters (trainer-network
                                     (train! (trainer-resume! (trainer) path)))))))))))

(test-error-matching "iterations" "iterations: expected" (updnet #:iterations 0))
(test-error-matching "buffers" "buffers: expected" (updnet #:buffers 1))
(test-error-matching "channels" "channels: expected" (updnet #:channels '(4 0)))
(test-error-matching "odd sizes" "H and W divisible by 2" (net (tensor-zeros '(1 15 16 2)) (random-mask 16)))
(test-error-matching "no network" "network: expected a UPDNet" (updnet-reconstruction car 1 2))
(test-error-matching "no diagonal" "expected one with a diagonal"
  (updnet-reconstruction net (make-operator "a" #:forward identity #:adjoint identity) (tensor-zeros '(4 4) 'c64)))
(test-error-matching "loss" "loss: expected" (make-trainer net batch #:loss 3))
(test-error-matching "no score network" "network: expected a score network" (make-trainer net batch))
(test-error-matching "save what" "network: expected one" (save-network "x" (dense-layer 2 2)))

(finish-tests)
