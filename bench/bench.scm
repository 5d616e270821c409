;;; bench.scm -- Tempera and PyTorch on the same work, in turn, in one run.
;;;
;;;   ./bootstrap bench [key=value ...]
;;;
;;; Each row alternates between the two; medians, and their ratio (above 1:
;;; Tempera is faster).  Without PyTorch our side runs alone.

(use-modules (srfi srfi-1) (ice-9 popen) (ice-9 rdelim) (ice-9 format) (ice-9 match) (tempera))

(define (median numbers)
  (list-ref (sort numbers <) (quotient (length numbers) 2)))

(define (seconds thunk)
  (let ((start (get-internal-real-time)))
    (thunk)
    (exact->inexact (/ (- (get-internal-real-time) start) internal-time-units-per-second))))

(define (forward-run net n size)
  (let ((x (random-normal (list n size size 2) 1))
        (noise (tensor-assign! (tensor-zeros (list n)) 1)))
    (lambda ()
      (with-scope (lambda () ((network-body net) x noise) #t)))))

(define (train-run net n size)
  ;; A whole step: forward, backward, Adam.
  (let ((trainer (make-trainer net (let ((x (random-normal (list n size size 2) 1)))
                                     (lambda (count step) x))
                               #:averaging #f #:clip #f #:steps 1000000)))
    (lambda () (train! trainer #:steps 1 #:every 1000000000))))

(define rows
  `(("forward-fp32-1x320" forward 1 320)
    ("forward-fp32-8x128" forward 8 128)
    ("forward-fp32-4x64" forward 4 64)
    ("train-1x320" train 1 320)
    ("train-8x128" train 8 128)
    ("train-8x64" train 8 64)))

(define (report name ours theirs settings)
  "Print a row; return its entry for the file."
  (format #t "~22a ~8,1f ms ~10@a ~8@a~%" name (* 1000 ours)
          (if theirs (format #f "~,1f ms" (* 1000 theirs)) "-")
          (if theirs (format #f "~,2f" (/ theirs ours)) "-"))
  `(,name . (("tempera" . ,ours)
             ,@(if theirs `(("peer" . ,theirs) ("ratio" . ,(/ theirs ours))) '())
             ("settings" . (,@settings
                            ("threads" . ,(threads))
                            ("instruction-set" . ,(symbol->string (instruction-set))))))))

;;; The peer, a process that answers a line with a line.

(define (peer-file name)
  (string-append (or (getenv "TEMPERA_DATA") ".") "/" name))

(define python "/usr/bin/python3") ; Debian's, which has Debian's torch

(define (start-peer weights)
  (and (file-exists? python)
       (zero? (status:exit-val (system (string-append python " -c 'import torch' 2>/dev/null"))))
       ;; At its best: without the launcher's setting for our own threads.
       (open-pipe* OPEN_BOTH "env" "-u" "GOMP_SPINCOUNT" python (peer-file "bench/peer.py")
                   weights (number->string (threads)) (peer-file "tests"))))

(define (ask peer . words)
  (format peer "~a~%" (string-join (map (lambda (w) (format #f "~a" w)) words)))
  (force-output peer)
  (let ((answer (read-line peer)))
    (if (eof-object? answer) (error "the peer died") answer)))

(define (compare-outputs net peer folder)
  "The largest difference between the two networks' outputs, relative to the largest
output."
  (let ((x (random-normal '(1 64 64 2) 3))
        (noise (list->tensor '(0.7)))
        (file (lambda (name) (string-append folder "/" name))))
    (save-npy (file "x.npy") x)
    (save-npy (file "noise.npy") noise)
    (ask peer "output" (file "x.npy") (file "noise.npy") (file "y.npy"))
    (let ((y (load-npy (file "y.npy"))))
      (/ (tensor->number (tensor-max (tensor-abs (tensor- y ((network-body net) x noise)))))
         (tensor->number (tensor-max (tensor-abs y)))))))

(define (start-row peer runs)
  ;; From nothing to everything loaded, against `import torch'.
  (let loop ((i 0) (ours '()) (theirs '()))
    (if (= i runs)
        (report "start" (median ours) (and peer (median theirs)) '())
        (loop (1+ i)
              (cons (seconds (lambda () (system* "guile" "-c" "(use-modules (tempera))"))) ours)
              (if peer
                  (cons (seconds (lambda () (system* python "-c" "import torch"))) theirs)
                  '())))))

(define-experiment bench
    ((runs 9 positive? "timed runs of each row, the median of which counts")
     (out "out/bench.json"))
  "Time paper-unet and print the ratios to PyTorch."
  (call-with-temporary-folder
   (lambda (folder)
     (let* ((weights (string-append folder "/net.safetensors"))
            (net (score-network '(paper-unet) #:parametrisation 'paper))
            (peer (begin (save-network weights net) (start-peer weights))))
       (format #t "~a threads, instruction set ~a~%" (threads) (instruction-set))
       (if peer
           (format #t "outputs differ by ~,1e of the largest~%" (compare-outputs net peer folder))
           (format #t "PyTorch is missing (apt-get install python3-torch): our side alone~%"))
       (format #t "~22a ~10@a ~10@a ~8@a~%" "" "Tempera" "PyTorch" "ratio")
       (let ((results
              (map
               (match-lambda
                 ((name kind n size)
                  (let* ((run ((if (eq? kind 'forward) forward-run train-run) net n size))
                         (ours '()) (theirs '()))
                    (run)
                    (when peer (ask peer kind n size))
                    (do ((i 0 (1+ i))) ((= i runs))
                      (set! ours (cons (seconds run) ours))
                      (when peer
                        (set! theirs (cons (string->number (ask peer kind n size)) theirs))))
                    (report name (median ours) (and peer (median theirs))
                            `(("network" . "paper-unet") ("images" . ,n)
                              ("size" . ,size))))))
               rows)))
         (make-directories (dirname out))
         (save-json out (append results (list (start-row peer runs))))
         (when peer (close-pipe peer))
         (format #t "wrote ~a~%" out))))))
