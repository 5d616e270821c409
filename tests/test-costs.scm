;;; test-costs.scm -- estimates: trials in small, straight lines through them, and that they are kept.
;;;
;;; The toy writes into a journal when it runs, and what it takes of disk and memory is known.  How long things take is
;;; not tested.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 textual-ports)
             (tempera) (tempera run costs) (tempera shell launch) (tempera shell point-costs))

(start-tests "costs")

(define (write-file name text)
  (call-with-output-file name (lambda (port) (display text port))))

(define toy "
(define-experiment toy ((steps 1000 positive?) (megabytes 10 positive?) (seed 1) (kind 'good))
  \"A toy.\"
  #:trials `((small (steps . 10) (megabytes . 20)) (large (steps . 30) (megabytes . 60))
             (seconds 10 30 ,steps) (memory 20 60 ,megabytes) (disk 10 30 ,steps) (times . 2))
  (let ((port (open (getenv \"JOURNAL\") (logior O_WRONLY O_APPEND O_CREAT))))
    (display (format #f \"~a\\n\" steps) port)
    (close-port port))
  (when (eq? kind 'broken) (car '()))
  (save-npy (run-path \"x.npy\") (tensor+ 1 (tensor-zeros (list (* 1000 steps)))))
  (tensor-sum (tensor+ 1 (tensor-zeros (list (* 250000 megabytes)))))
  `((steps . ,steps)))
")

(define (journal)
  (if (file-exists? "journal")
      (remove string-null? (string-split (call-with-input-file "journal" get-string-all) #\newline))
      '()))

(define (near? wanted part got) (< (abs (- got wanted)) (* part wanted)))

(test-equal "bytes" '("4.2 kB" "3.5 MB" "12 GB" "1 TB") (map bytes-text '(4200 3.5e6 1.2e10 1e12)))

(call-with-temporary-directory
 (lambda (folder)
   (chdir folder)
   (setenv "XDG_CACHE_HOME" folder)
   (setenv "JOURNAL" (string-append folder "/journal"))
   (write-file "toy.scm" toy)
   (let* ((experiment (load-script "toy.scm"))
          (cost (estimate experiment `((steps . 2000) (megabytes . 400)) #:threads 1)))
     (test-assert "a cost" (cost? cost))
     (test-equal "two trials" '("10" "30") (journal))
     ;; Four bytes a number, twice; what a run keeps for itself is small beside it.
     (test-assert "disk" (near? (* 2 4e3 2000) 0.02 (cost-disk cost)))
     (let ((run (begin
                  (shell "TEMPERA_THREADS=1 tempera run toy.scm steps=2000 megabytes=400 --out=whole")
                  (open-run "whole"))))
       (test-assert "memory, as the run had it" (near? (run-memory run) 0.1 (cost-memory cost))))
     (let* ((again (lambda (threads . more)
                     (estimate experiment `((steps . 4000) (megabytes . 400) ,@more)
                               #:threads threads)))
            (ran (length (journal))) (twice (again 1)))
       (test-equal "kept" ran (length (journal)))
       (test-assert "in proportion" (near? (* 2 (cost-disk cost)) 0.02 (cost-disk twice)))
       (again 1 '(seed . 5))
       (test-equal "a seed changes nothing" ran (length (journal)))
       (write-file "toy.scm" (string-append toy "\n"))
       (estimate (load-script "toy.scm") '() #:threads 1)
       (test-equal "another script is tried anew" (+ 2 ran) (length (journal)))
       (test-assert "several ranks share the work above a small trial's"
         (< (cost-memory (estimate experiment `((megabytes . 400)) #:threads 1 #:ranks 4))
            (/ (cost-memory twice) 2)))
       (test-error-matching "a trial that fails" "a trial of toy failed: "
         (estimate experiment `((kind . broken)) #:threads 1))
       (test-error-matching "more threads than there are" "threads: there are" (again 5000))
       (test-error-matching "no trials" "toy does not say how it is tried in small"
         (estimate (make-experiment 'toy "" '() (const 3))))))
   (let ((told (shell "tempera estimate toy.scm steps=2000,4000 --cores=1 --nodes=2 --times=50")))
     (test-assert "a table for people"
       (and (string-contains (cdr told) "a point: ") (string-contains (cdr told) "100 points, 2 at a time: ")
            (string-contains (cdr told) "2.4 GB of disk"))))
   (check-shell "limits of a submission" 0 "#SBATCH --time=" "tempera submit toy.scm steps=2000 --dry-run --cores=1")
   (check-shell "and memory" 0 "#SBATCH --mem=" "tempera submit toy.scm steps=2000 --dry-run --cores=1")
   (check-shell "given trials" 0 "a point: " "tempera estimate toy.scm --trial=steps=5,6 --cores=1")
   (for-each (lambda (text) (check-shell text 1 "--trial: expected" "tempera estimate toy.scm" (string-append "--trial=" text)))
             '("steps=6,5" "steps" "kind=1,2" "steps=1,x"))
   (check-shell "a made input" 1 "--made: toy has no input" "tempera estimate toy.scm --made=1x8x8")
   (check-shell "its shape" 1 "--made: expected COILSxROWSxCOLUMNS" "tempera estimate reconstruct prior=brain --made=8x8")
   (chdir "/")))

;; What the commands say of themselves.
(let ((trials (lambda (name settings)
                (let ((experiment (named-experiment name)))
                  (experiment-trials experiment (experiment-settings experiment settings))))))
  (call-with-temporary-directory
   (lambda (folder)
     (let ((path (string-append folder "/y.npy")))
       (save-npy path (random-normal '(2 3 16 16) 1 0 'c64))
       (let ((one (trials "reconstruct" `((input . ,path) (prior . "brain-small") (mask . ,path) (chains . 100))))
             (all (trials "reconstruct" `((input . ,path) (prior . "brain-small") (mask . ,path) (slices . "0-1") (chains . 4)))))
         (test-equal "memory by chains" '(8 16 100) (assq-ref one 'memory))
         (test-assert "time by chains and temperatures" (apply < (assq-ref one 'seconds)))
         (test-equal "no more chains than there are" '(4 4 4) (assq-ref all 'memory))
         (test-equal "every slice" '(1 2) (list (assq-ref one 'times) (assq-ref all 'times)))
         (test-equal "one of which is tried" "1" (assq-ref (assq-ref all 'small) 'slices)))))))

(finish-tests)
