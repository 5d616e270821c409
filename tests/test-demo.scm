;;; test-demo.scm -- the main job, end to end, with the prior that is shipped.
;;;
;;; One slice and two chains of the eight.

(use-modules (harness) (srfi srfi-1) (ice-9 popen) (ice-9 textual-ports)
             (tempera file paths) (tempera file values) (tempera method network-files) (tempera tensor primitives))

(start-tests "demo")

(define source (or (getenv "TEMPERA_DATA") "."))
(define (in-source name) (string-append source "/" name))

(define (tempera . arguments)
  "Run tempera; its exit status and what it said."
  (let* ((pipe (open-input-pipe
                (string-append "tempera " (string-join (map (lambda (a) (format #f "'~a'" a))
                                                            arguments))
                               " 2>&1")))
         (said (get-string-all pipe)))
    (values (status:exit-val (close-pipe pipe)) said)))

(define (number-in object . keys)
  (fold (lambda (key object) (assoc-ref object key)) object keys))

(call-with-temporary-folder
 (lambda (folder)
   (call-with-values
       (lambda () (tempera "run" (in-source "experiments/demo.scm") "chains=2"
                           (string-append "--out=" folder)))
     (lambda (status said)
       (test-equal said 0 status)))
   (let* ((summary (vector-ref (assoc-ref (load-json (string-append folder "/summary.json"))
                                          "slices")
                               0))
          (slice (string-append folder "/" (number-in summary "name")))
          (zero-filled (number-in summary "psnr" "zero_filled")))
     (for-each (lambda (key) (test-assert key (assoc key summary)))
               '("psnr" "ssim" "score_evaluations" "sigma_final" "acceptance" "seconds" "seed"
                 "version" "prior" "noise" "chains"))
     ;; The goal of the demo proper, with 8 chains, is 3 dB for the mean.
     (test-assert "the mean of two samples is 2 dB above zero-filled"
       (> (number-in summary "psnr" "sample_mean") (+ 2 zero-filled)))
     (test-assert "and each sample above it"
       (every (lambda (p) (> p zero-filled)) (vector->list (number-in summary "psnr" "samples"))))
     (test-assert "denoising at the last sigma changes the mean by less than 0.1 dB"
       (< (abs (- (number-in summary "psnr" "sample_mean_denoised")
                  (number-in summary "psnr" "sample_mean")))
          0.1))
     (test-assert "cold at the end" (< (number-in summary "sigma_final") 0.06))
     (test-equal '(2 256 256) (tensor-shape (load-npy (string-append slice "/samples.npy"))))
     (test-equal '(256 256) (tensor-shape (load-npy (string-append slice "/mean.npy"))))
     (test-equal '(256 256) (tensor-shape (load-npy (string-append slice "/std.npy"))))
     (test-assert "a figure" (> (stat:size (stat (string-append slice "/figure.png"))) 10000))
     (test-assert "a report" (> (stat:size (stat (string-append slice "/report.html"))) 1000000)))))

;;; The prior takes images of 64 to 320 pixels, at every temperature.

(let ((prior (load-network (in-source "priors/brain.safetensors"))))
  (for-each
   (lambda (size)
     (for-each
      (lambda (sigma)
        (let* ((x (tensor* sigma (random-normal (list 1 size size) 1 0 'c64)))
               (r (prior x sigma))
               ;; The score of pure noise is -x / sigma^2 up to what the prior adds.
               (along (/ (tensor->number (tensor-sum (tensor-real (tensor* (tensor-conjugate x) r))))
                         (/ (tensor->number (tensor-sum-squares x)) (* sigma sigma)))))
          (test-assert (format #f "noise of ~a at ~a pixels is seen as noise: ~a" sigma size along)
            (< -1.1 along -0.8))))
      '(1 10 100)))
   '(64 320)))

(finish-tests)
