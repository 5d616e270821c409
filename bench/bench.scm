;;; bench.scm -- Tempera and PyTorch on the same work, in turn, in one run.
;;;
;;;   ./bootstrap bench [key=value ...]
;;;
;;; Each row alternates between the two; medians, and their ratio (above 1:
;;; Tempera is faster).  Without PyTorch our side runs alone.  The peer of the transform along a
;;; trajectory is BART.

(use-modules (srfi srfi-1) (ice-9 popen) (ice-9 rdelim) (ice-9 format) (ice-9 match) (tempera)
             (tempera net score-networks))

(define (median numbers)
  (list-ref (sort numbers <) (quotient (length numbers) 2)))

(define (seconds thunk)
  (call-with-values (lambda () (timed thunk)) (lambda (result seconds) seconds)))

;;; --- Our side of the work -------------------------------------------------------

;; What a row works on, by the name that the peer knows it by too: networks, and layers with the
;; shape of what they take and their parameters'.
(define descriptions
  '((paper-unet . (paper-unet))
    (edm-unet . (edm-unet))
    (edm-unet-half . (edm-unet #:multipliers (1 2 2) #:unshuffle 2 #:attention (8)))
    (drunet . (drunet))))

(define (layer-work name n size channels)
  (let ((one (random-normal (list channels) 2)) (modulation (random-normal (list n (* 2 channels)) 3))
        (wide (case name ((attention) (* 3 channels)) (else channels))))
    (values (list n size size wide)
            (case name
              ((silu) '())
              ((group-norm) (list one (tensor-copy one) modulation))
              ((attention) '())
              ((unshuffle) '()))
            (case name
              ((silu) silu)
              ((group-norm) (lambda (x gamma beta modulation)
                              (group-normalisation x gamma beta modulation (quotient channels 4) 1e-5 #t)))
              ((attention) (lambda (qkv) (self-attention qkv (quotient channels 64))))
              ((unshuffle) pixel-unshuffle)))))

(define (layer-run name n size channels)
  ;; Forward, and backward from a gradient that is there.
  (call-with-values (lambda () (layer-work name n size channels))
    (lambda (shape parameters procedure)
      (let* ((inputs (map require-gradient! (cons (random-normal shape 1) parameters)))
             (g (no-tape (lambda () (tensor-copy (apply procedure inputs))))))
        (lambda ()
          (with-scope
           (lambda ()
             (let ((tape (make-tape)))
               (tape-backward! tape (with-tape tape (lambda () (apply procedure inputs))) g)
               (for-each clear-gradient! inputs)
               #t))))))))

(define* (forward-run net n size #:optional (precision 'float32))
  (let ((x (random-normal (list n size size 2) 1))
        (noise (tensor-assign! (tensor-zeros (list n)) 1)))
    (lambda ()
      (parameterize ((convolution-precision precision))
        (with-scope (lambda () ((network-body net) x noise) #t))))))

(define (train-run net n size)
  ;; A whole step: forward, backward, Adam.
  (let ((trainer (make-trainer net (let ((x (random-normal (list n size size 2) 1)))
                                     (lambda (count step) x))
                               #:averaging #f #:clip #f #:steps 1000000)))
    (lambda () (train! trainer #:steps 1 #:every 1000000000))))

(define (run-of kind name n size . more)
  (if (eq? kind 'layer)
      (apply layer-run name n size more)
      (apply (if (eq? kind 'forward) forward-run train-run)
             (score-network (assq-ref descriptions name) #:parametrisation 'paper)
             n size more)))

(define (nominal-flops run)
  "The arithmetic of RUN by the shapes of its operations, however they are computed."
  (profile-flops (profile run)))

(define rows
  '(("forward-fp32-1x320" forward paper-unet 1 320 float32)
    ("forward-fp32-8x128" forward paper-unet 8 128 float32)
    ("forward-fp32-4x64" forward paper-unet 4 64 float32)
    ("forward-bf16-1x320" forward paper-unet 1 320 bf16)
    ("train-1x320" train paper-unet 1 320)
    ("train-8x128" train paper-unet 8 128)
    ("train-8x64" train paper-unet 8 64)
    ("edm-forward-1x320" forward edm-unet 1 320 float32)
    ("edm-train-8x64" train edm-unet 8 64)
    ("edm-half-train-8x64" train edm-unet-half 8 64)
    ("edm-half-train-8x96" train edm-unet-half 8 96)
    ("edm-half-train-8x128" train edm-unet-half 8 128)
    ("drunet-train-8x64" train drunet 8 64)
    ("silu-8x64x64x64" layer silu 8 64 64)
    ("group-norm-8x64x64x64" layer group-norm 8 64 64)
    ("group-norm-8x16x16x256" layer group-norm 8 16 256)
    ("attention-8x16x16x256" layer attention 8 16 256)
    ("attention-8x32x32x128" layer attention 8 32 128)
    ("unshuffle-8x64x64x64" layer unshuffle 8 64 64)))

;; Images of 256 x 256 and 96 spokes of 512 samples: the transform, and its adjoint, of as many coils.
(define nufft-rows
  '(("nufft-1x256" forward 1) ("nufft-8x256" forward 8)
    ("nufft-adjoint-1x256" adjoint 1) ("nufft-adjoint-8x256" adjoint 8)
    ("nufft-normal-1x256" normal 1) ("nufft-normal-8x256" normal 8)))

(define row-names
  (append (map first rows) (map first nufft-rows)
          '("sense-normal-8x8x256" "memory-train-1x320" "start" "training")))

;;; --- Reporting ------------------------------------------------------------------

(define (line . cells)
  (apply format #t "~22a ~14@a ~12@a ~8@a ~10@a ~8@a~%" cells)
  (force-output))

(define (in-unit number unit)
  (if number
      (format #f "~,1f ~a" (* number (if (string=? unit "ms") 1e3 1e-6)) unit)
      "-"))

(define* (report name ours theirs unit settings #:key (flops #f) (peak #f))
  "Print a row; return its entry for the file."
  (line name (in-unit ours unit) (in-unit theirs unit)
        (if theirs (format #f "~,2f" (/ theirs ours)) "-")
        (if flops (format #f "~,0f" (/ flops ours 1e9)) "")
        (if flops (format #f "~,0f %" (/ flops ours peak 1e7)) ""))
  `(,name . (("tempera" . ,ours)
             ,@(if theirs `(("peer" . ,theirs) ("ratio" . ,(/ theirs ours))) '())
             ("settings" . (,@settings
                            ("threads" . ,(threads))
                            ("instruction-set" . ,(symbol->string (instruction-set))))))))

(define (spread numbers)
  ;; Least, quartiles and most, so that a reader sees the noise.
  (let* ((sorted (sort numbers <)) (n (1- (length sorted))))
    (list->vector (map (lambda (q) (list-ref sorted (inexact->exact (round (* q n)))))
                       '(0 1/4 1/2 3/4 1)))))

;;; --- The peer, a process that answers a line with a line ---------------------------

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

(define (memory-of command . arguments)
  "The numbers that COMMAND prints, a fresh process."
  (let* ((port (apply open-pipe* OPEN_READ command arguments))
         (numbers (list (read port) (read port))))
    (unless (and (zero? (status:exit-val (close-pipe port))) (every number? numbers))
      (error "a process did not print its memory:" command arguments))
    numbers))

(define (size t)
  (sqrt (tensor->number (tensor-sum-squares t))))

(define (compare-outputs net peer folder)
  "Print how far outputs are from ours in float32, root mean square over root mean
square: the peer's, and both in bf16."
  (let* ((x (random-normal '(1 64 64 2) 3))
         (noise (list->tensor '(0.7)))
         (file (lambda (name) (string-append folder "/" name)))
         (output (lambda (precision)
                   (parameterize ((convolution-precision precision))
                     ((network-body net) x noise))))
         (ours (output 'float32)))
    (define (print what other)
      (format #t "~a differs by ~,1e~%" what (/ (size (tensor- other ours)) (size ours))))
    (print "Tempera in bf16" (output 'bf16))
    (when peer
      (save-npy (file "x.npy") x)
      (save-npy (file "noise.npy") noise)
      (for-each (lambda (precision what)
                  (ask peer "output" (file "x.npy") (file "noise.npy") (file "y.npy") precision)
                  (print what (load-npy (file "y.npy"))))
                '("float32" "bf16") '("PyTorch" "PyTorch in bf16")))))

;;; --- The rows ---------------------------------------------------------------------

(define (timed-row peer runs name kind work n size . more)
  (let* ((run (apply run-of kind work n size more))
         (words (append (list kind work n size) more))
         (form (and peer (apply ask peer "form" words)))
         (bf16? (equal? more '(bf16))))
    (run)
    (let loop ((i 0) (ours '()) (theirs '()))
      (if (< i runs)
          (let* ((a (seconds run))      ; one of ours, one of theirs
                 (b (and peer (string->number (apply ask peer words)))))
            (loop (1+ i) (cons a ours) (cons b theirs)))
          (report name (median ours) (and peer (median theirs)) "ms"
                  `(("work" . ,(symbol->string work)) ("images" . ,n) ("size" . ,size)
                    ("runs" . ,runs)
                    ("tempera-spread" . ,(spread ours))
                    ,@(if peer `(("peer-form" . ,form) ("peer-spread" . ,(spread theirs))) '()))
                  #:flops (nominal-flops run)
                  #:peak (peak-flops (if bf16? 'bf16 'float32)))))))

(define (memory-row peer weights)
  ;; A fresh process of each makes three training steps; of PyTorch's layouts the one that
  ;; needs less counts.
  (let* ((ours (memory-of "guile" (peer-file "bench/memory.scm")))
         (theirs (lambda (layout)
                   (append (memory-of "env" "-u" "GOMP_SPINCOUNT" python
                                      (peer-file "bench/peer.py") weights
                                      (number->string (threads)) (peer-file "tests")
                                      "memory" "1" "320" layout)
                           (list (string-append "channels " layout)))))
         (least (and peer (first (sort (map theirs '("last" "first"))
                                       (lambda (a b) (< (first a) (first b))))))))
    (report "memory-train-1x320" (first ours) (and least (first least)) "MB"
            `(("network" . "paper-unet") ("steps" . 3) ("tempera-loaded" . ,(second ours))
              ,@(if least
                    `(("peer-loaded" . ,(second least)) ("peer-form" . ,(third least)))
                    '())))))

(define (sense-row runs)
  ;; Ours alone: the normal operator of 8 coils on 8 chains, and what part it is of their score.
  (let* ((op (sense-operator (simulated-sensitivities 8 '(256 256))
                             (mri-operator #:mask (random-mask 256 #:acceleration 4 #:seed 1))))
         (x (random-normal '(8 256 256) 1 0 'c64))
         (normal (lambda () (with-scope (lambda () (apply-normal op x) #t))))
         (evaluation (forward-run (score-network (assq-ref descriptions 'paper-unet) #:parametrisation 'paper) 8 256))
         (times (lambda (run) (run) (map (lambda (i) (seconds run)) (iota runs))))
         (ours (times normal))
         (share (/ (median ours) (median (times evaluation)))))
    (let ((entry (report "sense-normal-8x8x256" (median ours) #f "ms"
                         `(("runs" . ,runs) ("share-of-score" . ,share) ("tempera-spread" . ,(spread ours))))))
      (format #t "~22a ~,2f of an evaluation of paper-unet at 8 x 256~%" "" share)
      entry)))

(define (start-row peer runs)
  ;; From nothing to the prompt, everything loaded, against `import torch'.
  (let loop ((i 0) (ours '()) (theirs '()))
    (if (= i runs)
        (report "start" (median ours) (and peer (median theirs)) "ms" `(("runs" . ,runs)))
        (loop (1+ i)
              (cons (seconds (lambda () (system "tempera </dev/null >/dev/null"))) ours)
              (if peer
                  (cons (seconds (lambda () (system* python "-c" "import torch"))) theirs)
                  '())))))

;;; --- Along a trajectory ---------------------------------------------------------------

(define (nufft-row folder runs name what coils)
  ;; Ours with what it keeps of the trajectory, as a chain has it; beside it the time with that made anew.
  ;; BART's is a process, which makes it each time, less the time of one that does nothing; its normal
  ;; operator has no command.
  (let* ((file (lambda (name) (string-append folder "/" name)))
         (trajectory (radial-trajectory 96 512 256))
         (x (random-normal (list coils 256 256) 1 0 'c64))
         (y (nufft-forward x trajectory))
         (table (toeplitz-table trajectory #f 256 256))
         (apply-to (lambda (t)
                     (with-scope
                      (lambda ()
                        (case what
                          ((forward) (nufft-forward x t))
                          ((adjoint) (nufft-adjoint y t 256 256))
                          ((normal) (toeplitz-multiply x table)))
                        #t))))
         (bart? (and (program-exists? "bart") (not (eq? what 'normal))))
         (bart (lambda words
                 (seconds (lambda () (apply run-program 'bench "env" (format #f "OMP_NUM_THREADS=~a" (threads))
                                            "bart" words)))))
         (theirs (lambda ()
                   (- (if (eq? what 'forward)
                          (bart "nufft" (file "t") (file "x") (file "k"))
                          (bart "nufft" "-a" "-d256:256:1" (file "t") (file "y") (file "z")))
                      (bart "version")))))
    (when bart?                         ; its axes: 3 samples spokes, x y z coils, 1 samples spokes coils
      (save-cfl (file "t.cfl") (tensor-transpose (tensor-concatenate (list trajectory (tensor-zeros '(96 512 1))) 2)
                                                 '(2 1 0)))
      (save-cfl (file "x.cfl") (tensor-transpose (tensor-reshape x (list coils 1 256 256)) '(2 3 1 0)))
      (save-cfl (file "y.cfl") (tensor-transpose (tensor-reshape y (list coils 96 512 1)) '(3 2 1 0))))
    (apply-to trajectory)
    (let loop ((i 0) (ours '()) (first '()) (others '()))
      (if (< i runs)
          (let ((a (seconds (lambda () (apply-to trajectory))))
                (b (seconds (lambda () (apply-to (tensor-copy trajectory)))))
                (c (and bart? (theirs))))
            (loop (1+ i) (cons a ours) (cons b first) (cons c others)))
          (report name (median ours) (and bart? (median others)) "ms"
                  `(("coils" . ,coils) ("runs" . ,runs) ("peer" . "bart nufft")
                    ("tempera-first" . ,(median first)) ("tempera-spread" . ,(spread ours))
                    ,@(if bart? `(("peer-spread" . ,(spread others))) '())))))))

;;; --- Growth -----------------------------------------------------------------------

(define (cost run)
  "The seconds of a RUN, a median, the most bytes in use meanwhile, and those in use before."
  (run)                                 ; the weights as the kernels want them are kept
  (gc)                                  ; the networks before this one go,
  (usleep 100000)                       ; by finalizers, on a thread of their own
  (memory-trim!)                        ; from here on the peak counts anew
  (let* ((live (assq-ref (memory-usage) 'live))
         (peak (begin (run) (assq-ref (memory-usage) 'peak))))
    (values (median (map (lambda (i) (seconds run)) (iota 5))) peak live)))

(define (growth-point what channels n size)
  (let* ((net (score-network `(paper-unet #:channels ,channels) #:parametrisation 'paper))
         (pixels (* n size size)))
    (call-with-values (lambda () (cost (forward-run net n size)))
      (lambda (time peak live)
        (format #t "~10a ~12a ~3@a x ~3a ~10@a ~10@a ~12@a~%" what channels n size
                (in-unit time "ms") (in-unit (- peak live) "MB")
                (format #f "~,2f us/pixel" (/ (* 1e6 time) pixels)))
        `(("by" . ,what) ("channels" . ,(list->vector channels)) ("images" . ,n) ("size" . ,size)
          ("seconds" . ,time) ("bytes" . ,(- peak live)))))))

(define (training-point name size)
  (let ((net (score-network (assq-ref descriptions name) #:parametrisation 'paper)) (n 8))
    (call-with-values (lambda () (cost (train-run net n size)))
      (lambda (time peak live)
        (format #t "~14a ~10@a ~3@a x ~3a ~10@a ~10@a ~8@a~%" name (parameter-count net) n size
                (in-unit time "ms") (in-unit peak "MB") (format #f "~,1f/s" (/ n time)))
        (force-output)
        `(("network" . ,(symbol->string name)) ("parameters" . ,(parameter-count net)) ("images" . ,n)
          ("size" . ,size) ("seconds" . ,time) ("bytes" . ,peak))))))

(define (training-table)
  (format #t "~%What a training step costs (ours alone): parameters, images, time, memory, images a second~%")
  (list->vector
   (append-map (lambda (entry)
                 (map (lambda (size) (training-point (car entry) size)) '(64 96 128)))
               descriptions)))

(define (growth-table)
  (format #t "~%How the forward grows (ours alone)~%")
  (list->vector
   (append (map (lambda (size) (growth-point "pixels" '(32 64 128) 1 size)) '(64 128 192 256 320))
           (map (lambda (n) (growth-point "chains" '(32 64 128) n 128)) '(1 2 4 8))
           (map (lambda (channels) (growth-point "channels" channels 1 128))
                '((16 32 64) (32 64 128) (64 128 256))))))

(define-experiment bench
    ((runs 9 positive? "timed runs of each row, the median of which counts")
     (only "" string? "the rows to run, separated by commas (all)")
     (growth #t boolean? "whether to show growth with pixels, chains and channels, and what training costs, too"))
  "Time networks and layers and print the ratios to PyTorch."
  (define asked (and (not (string-null? only)) (string-split only #\,)))
  (for-each (lambda (name)
              (check-that (member name row-names) 'bench "only: expected rows among ~a, got ~a"
                          (string-join row-names " ") name))
            (or asked '()))
  (call-with-temporary-folder
   (lambda (folder)
     (let* ((weights (string-append folder "/net.safetensors"))
            (net (score-network '(paper-unet) #:parametrisation 'paper))
            (peer (begin (save-network weights net) (start-peer weights))))
       (unless peer
         (format #t "PyTorch is missing (apt-get install python3-torch): our side alone~%"))
       (compare-outputs net peer folder)
       (format #t "~a threads, instruction set ~a; peak ~,0f GFLOP/s in float32, ~,0f in bf16~%"
               (threads) (instruction-set) (peak-flops 'float32) (peak-flops 'bf16))
       (line "" "Tempera" "PyTorch" "ratio" "GFLOP/s" "of peak")
       (let* ((asked? (lambda (name) (or (not asked) (member name asked))))
              (timed (map (lambda (row) (apply timed-row peer runs row))
                          (filter (lambda (row) (asked? (first row))) rows)))
              (sense (if (asked? "sense-normal-8x8x256") (list (sense-row runs)) '()))
              (nuffts (let ((chosen (filter (lambda (row) (asked? (first row))) nufft-rows)))
                        (when (pair? chosen) (line "" "Tempera" "BART" "ratio" "" ""))
                        (map (lambda (row) (apply nufft-row folder runs row)) chosen)))
              (memory (if (asked? "memory-train-1x320") (list (memory-row peer weights)) '()))
              (start (if (asked? "start") (list (start-row peer runs)) '()))
              (results (append timed nuffts sense memory start
                               (if (and growth (asked? "training"))
                                   `(("training" . ,(training-table))) '())
                               (if (and growth (not asked))
                                   `(("growth" . ,(growth-table))) '()))))
         (save-json (run-path "bench.json") results)
         (when peer (close-pipe peer))
         results)))))
