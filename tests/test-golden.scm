;;; test-golden.scm -- the same bits over threads, stops, processes and where Tempera is; nearly the same
;;; numbers over instruction sets; and the files of earlier versions.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera))

(start-tests "golden")

(define program (test-file "golden/program.scm"))

(define* (output #:key (way "whole") (variables '()) (guile '("guile")))
  ;; The lines that the program prints, each a list: its name, its hash, numbers.
  (call-with-temporary-directory
   (lambda (folder)
     (let* ((pipe (apply open-pipe* OPEN_READ "sh" "-c" "exec \"$@\" 2>/dev/null" "sh" "env"
                         (append variables guile (list program way folder))))
            (text (get-string-all pipe)))
       (close-pipe pipe)
       (filter-map (lambda (line)
                     (let ((words (string-tokenize line)))
                       (and (pair? words) (member (car words) '("weights" "samples" "points"))
                            (cons (car words) (map string->number (cdr words))))))
                   (string-split text #\newline))))))

(define whole (output #:variables '("TEMPERA_THREADS=1")))
(test-equal "training, annealing, sweep" '("weights" "samples" "points") (map first whole))
(test-equal "two threads" whole (output #:variables '("TEMPERA_THREADS=2")))
(test-equal "stopped and gone on with" whole (output #:way "stopped" #:variables '("TEMPERA_THREADS=2")))

;; Installed, and moved: the tree as `make install' lays it out.
(call-with-temporary-directory
 (lambda (root)
   (let ((status (system* "sh" "-c"
                          (format #f "unset MAKEFLAGS MFLAGS MAKELEVEL MAKE_TERMOUT TESTS; make -s install DESTDIR=~a >~a/log 2>&1"
                                  root root))))
     (test-equal "make install" 0 (status:exit-val status)))
   (let ((folder-of (lambda (end)
                      (let* ((pipe (open-pipe* OPEN_READ "find" root "-path" (string-append "*/" end)))
                             (line (get-line pipe)))
                        (close-pipe pipe)
                        (dirname line)))))
     (test-equal "installed" whole
       (output #:variables
               (list "-u" "TEMPERA_UNINSTALLED" "TEMPERA_THREADS=2"
                     (string-append "GUILE_LOAD_PATH=" (folder-of "tempera.scm"))
                     (string-append "GUILE_LOAD_COMPILED_PATH=" (folder-of "tempera.go"))
                     (string-append "GUILE_EXTENSIONS_PATH=" (folder-of "libtempera.so"))
                     (format #f "PATH=~a:~a" (folder-of "bin/tempera") (getenv "PATH"))))))))

;; Instruction sets round differently: by 3e-7 a product, which 20 steps of training make more of, since
;; Adam scales each gradient to the same step; annealing does not depend on them.
(define (near? a b tolerance)
  (every (lambda (a b) (<= (abs (- a b)) (* tolerance (max 1 (abs a))))) a b))
(for-each
 (lambda (isa)
   (let ((other (output #:variables (list (string-append "TEMPERA_ISA=" isa)))))
     (test-equal (string-append isa ": samples and points have the same bits") (cdr whole) (cdr other))
     (test-assert (format #f "~a: weights within 1e-3" isa)
       (near? (cddr (first whole)) (cddr (first other)) 1e-3))))
 '("v3" "generic"))

;;; --- Files of version 0.1: they load for ever -------------------------------------

(define (file name) (test-file (string-append "golden/version-0.1/" name)))
(define (network) '(paper-unet #:channels (2 4) #:blocks 1 #:convolutions 1 #:seed 3))
(define (sum tensors) (apply + (map (lambda (t) (tensor->number (tensor-sum (tensor-abs t)))) tensors)))

(let ((prior (load-network (file "prior.safetensors"))))
  (test-assert "a prior: its weights are those of its seed"
    (every tensor-identical? (map cdr (layer-parameters prior))
           (map cdr (layer-parameters (score-network (network) #:parametrisation 'preconditioned)))))
  (test-assert "it gives a score" (tensor-finite? (score prior (random-normal '(1 8 8) 1 0 'c64) 3))))
(let ((trainer (make-trainer (score-network (network) #:parametrisation 'preconditioned)
                             (lambda (count step) (random-normal (list count 8 8) 1 step 'c64))
                             #:batch 2 #:steps 8 #:seed 1)))
  (trainer-resume! trainer (file "checkpoint.safetensors"))
  (test-equal "a checkpoint" 4 (trainer-step trainer))
  (test-equal "goes on" 8 (trainer-step (train! trainer))))
(let* ((target (make-target "normal" #:shape '(2)
                            #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
       (settings (list #:seed 1 #:mass 'identity #:step-size 0.1
                       #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5)))
       (chain (apply load-chain (file "chain.safetensors") target settings)))
  (test-equal "a chain" 3 (chain-transitions chain))
  (test-equal "goes on to the samples that it would have had"
    (tensor->list (chain-samples (apply anneal target #:chains 2 settings)))
    (tensor->list (chain-samples (resume! chain)))))
(let ((run (open-run (file "run"))))
  (test-equal "a run" '(finished 4 ((loss . 0.25) (n . 4)) 4)
    (list (run-state run) (run-setting run 'n) (run-result run) (table-size (run-metrics run)))))

(finish-tests)
