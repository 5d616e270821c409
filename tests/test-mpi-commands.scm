;;; test-mpi-commands.scm -- commands on several ranks: one directory, the bits of one process, and each point once.

(use-modules (harness) (mpirun) (srfi srfi-1) (tempera))

(start-tests "mpi-commands")

(define (write-file name text)
  (call-with-output-file name (lambda (port) (display text port))))

(define (read-text name)
  (if (file-exists? name) (call-with-input-file name (@ (ice-9 textual-ports) get-string-all)) ""))

(define toy "
(define-experiment toy ((n 1) (kind 'good) (rank 1) (journal \"\"))
  (define before (file-exists? (run-path \"x.npy\")))
  (format #t \"rank ~a of ~a~%\" (mpi-rank) (mpi-size))
  (record-metrics! `((step . 1) (n . ,n)))
  (save-npy (run-path \"x.npy\") (random-normal '(4) n))
  (when (= rank (mpi-rank))
    (case kind
      ((broken) (error \"no such thing:\" n))
      ((stopped) (unless before (kill (getpid) SIGTERM)))))
  (unless (string-null? journal)
    (let ((port (open journal (logior O_WRONLY O_APPEND O_CREAT))))
      (display (format #f \"~a~%\" n) port)
      (close-port port)))
  `((before . ,before) (ranks . ,(mpi-size)) (n . ,(tensor-size (load-npy (run-path \"x.npy\")) 0))))
")

(define (check name status text ranks . words)
  ;; That the command WORDS on RANKS ends so and says so.
  (apply check-shell name status text (apply on-ranks ranks words)))

(define (check-same name before after)
  (test-equal name '() (comparison-differences (compare-runs (open-run before) (open-run after)))))

(define (test-runs)
  (write-file "toy.scm" toy)
  (check "a run" 0 "r: finished" 3 "tempera run toy.scm n=5 --out=r")
  (test-equal "rank 0 alone logs" "rank 0 of 3\n" (read-text "r/log.txt"))
  (test-equal "and records" '(5) (table-column (run-metrics (open-run "r")) 'n))
  (test-equal "all read what they wrote" '((before . #f) (ranks . 3) (n . 4)) (run-outcome (open-run "r")))
  (let ((said (apply shell (on-ranks 2 "tempera run toy.scm kind=broken --out=broken"))))
    (test-equal "an error on rank 1 is told once" 1
      (count (lambda (line) (string-contains line "rank 1: no such thing: 1")) (string-split (cdr said) #\newline))))
  (test-equal "the run has failed" 'failed (run-state (open-run "broken")))
  (test-equal "a signal to one" 143 (car (apply shell (on-ranks 2 "tempera run toy.scm kind=stopped rank=0 --out=s"))))
  (test-equal "leaves the run interrupted" 'interrupted (run-state (open-run "s")))
  (check "from which all go on" 0 "s: finished" 2 "tempera run --continue=s")
  (test-equal "with what there was" #t (assq-ref (run-outcome (open-run "s")) 'before))
  (let ((said (apply shell (on-ranks 2 "tempera run nowhere.scm"))))
    (test-equal "an error of all is told once" 1
      (count (lambda (line) (string-contains line "no such file: nowhere.scm")) (string-split (cdr said) #\newline)))))

(define (test-sweeps)
  (check "a sweep" 0 "(6 of 6, 0:00 left)" 3 "tempera sweep toy.scm n=1,2,3,4,5,6" (string-append "journal=" (getcwd) "/journal")
         "--workers=1 --out=sweep")
  (test-equal "each point once" '("1" "2" "3" "4" "5" "6")
    (sort (remove string-null? (string-split (read-text "journal") #\newline)) string<?))
  (let ((results (load-table "sweep/results.csv")))
    (test-equal "all are there" '(1 2 3 4 5 6) (table-column results 'n))
    (test-equal "points have no ranks" '(1 1 1 1 1 1) (table-column results 'ranks)))
  (check "a point that failed" 1 "a point failed: 0002" 2 "tempera sweep toy.scm kind=good,broken rank=0 --workers=1 --out=failed"))

(define (test-slices)
  (let* ((size 16) (mask (random-mask size #:acceleration 2 #:seed 1))
         (x (tensor-reshape (prior-draw (gaussian-prior (power-spectrum (list size size))) 1 #:seed 3) (list size size)))
         (y (measure (mri-operator #:mask mask) x #:noise 1 #:seed 1)))
    (save-npy "image.npy" (tensor-abs x))
    (save-hdf5 "scan.h5" `(("kspace" . ,(tensor-concatenate
                                         (map (lambda (k) (tensor-reshape (tensor* (* 1e-6 (+ 2 k)) y) (list 1 size size)))
                                              (iota 3))
                                         0))
                           ("mask" . ,mask))))
  (save-network "net.safetensors" (score-network '(paper-unet #:channels (2 4) #:blocks 1)))
  (for-each
   (lambda (name words)
     (let ((one (string-append name "-1")) (two (string-append name "-2")))
       (check name 0 one 0 words (string-append "--out=" one))
       (check (string-append name " on ranks") 0 two 2 words (string-append "--out=" two))
       (check-same (string-append name ": the same bits") one two)))
   '("slices" "image" "calibrate")
   '("tempera reconstruct scan.h5 noise=1 prior=net.safetensors chains=2 ratio=0.7 slices=0-2"
     "tempera reconstruct image.npy simulate=yes prior=net.safetensors chains=3 ratio=0.7"
     "tempera calibrate size=8 simulations=5 draws=7 ratio=0.7")))

(define (test-training)
  (save-npy "volume.npy" (tensor-abs (random-normal '(24 32 32) 1)))
  (check-shell "a volume" 0 "person p" "tempera data --add=volume.npy --person=p --orientation=SAR")
  ;; A row for each step: one that is stopped between two rows has one more.
  (let ((train "tempera train size=32 channels=2,4 blocks=1 convolutions=1 batch=2 every=1 steps=300"))
    (check "a training" 0 "wrote whole/prior.safetensors" 2 train "--out=whole")
    (shell (string-join (on-ranks 2 train "--out=cut")) "& p=$!; until test -s cut/metrics.csv || ! kill -0 $p; do sleep 0.02; done; \
kill $p; wait $p")
    ;; mpirun may be gone before its ranks are.
    (let wait ((left 600))
      (when (and (> left 0) (eq? 'running (run-state (open-run "cut"))))
        (usleep 100000)
        (wait (1- left))))
    ;; Of a signal to all, rank 0 may first hear that another has ended by it.
    (test-assert "stopped" (memq (run-state (open-run "cut")) '(interrupted failed)))
    (check "goes on" 0 "cut: finished" 2 "tempera run --continue=cut")
    (check-same "to the same bits" "whole" "cut")))

(cond (no-ranks (format #t "skipped: commands on several ranks: ~a~%" no-ranks))
      (else
       (call-with-temporary-directory
        (lambda (folder)
          (setenv "XDG_CACHE_HOME" (string-append folder "/cache"))
          (setenv "TMPDIR" folder)
          (chdir folder)
          (test-runs)
          (test-sweeps)
          (test-slices)
          (test-training)
          (test-equal "no rank leaves its folder" '()
            (filter (lambda (name) (string-prefix? "tempera-tmp-" name)) ((@ (ice-9 ftw) scandir) folder)))
          (chdir "/")))))

(finish-tests)
