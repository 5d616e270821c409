;;; test-mpi.scm -- processes that mpirun starts: the same bits on any number of them, and what goes
;;; wrong on one is known to all.

(use-modules (harness) (mpirun) (srfi srfi-1) (ice-9 match) (tempera))

(start-tests "mpi")

;;; --- Without other ranks ----------------------------------------------------------

(test-equal "one process is rank 0 of 1" '(0 1) (list (mpi-rank) (mpi-size)))
(test-equal "and exchanges nothing" '(0.0 . 0) (mpi-exchanged))

;;; --- With them --------------------------------------------------------------------

(define tests (dirname (test-file "ranks.scm")))

(define* (run ranks task #:optional (argument ""))
  ;; The status of TASK of ranks.scm on RANKS processes, and what was said; on 0 it runs without mpirun.
  (apply shell (string-append "TASK=" task) (string-append "ARGUMENT=" argument)
         (string-append "GUILE_LOAD_PATH=" tests ":$GUILE_LOAD_PATH")
         (on-ranks ranks "tempera" (string-append tests "/ranks.scm"))))

(define (close? a b)
  (< (abs (- a b)) (* 1e-5 (abs b))))

(define (last-datum text)
  ;; What the last line of TEXT that begins with a parenthesis says.
  (call-with-input-string (last (filter (lambda (line) (string-prefix? "(" line)) (string-split text #\newline)))
    read))

(define (chain-lines text)
  (filter (lambda (line) (string-match? line)) (string-split text #\newline)))

(define (string-match? line)
  (any (lambda (name) (string-prefix? name line))
       '("hmc" "tuned" "mala" "reverse" "split" "together" "three" "network")))

(define (test-ranks)
  (let* ((alone (run 0 "both")) (two (run 2 "both")) (four (run 4 "both")))
    (test-equal "chains alone" 8 (length (chain-lines (cdr alone))))
    (test-equal "chains on 2 ranks have the same bits" (chain-lines (cdr alone)) (chain-lines (cdr two)))
    (test-equal "chains on 4 ranks have the same bits" (chain-lines (cdr alone)) (chain-lines (cdr four)))
    (match (map (lambda (said) (last-datum (cdr said))) (list alone two four))
      (((losses _) (losses-2 bits-2) (losses-4 _))
       (test-assert "training on 2 ranks has the same losses to rounding" (every close? losses-2 losses))
       (test-assert "training on 4 ranks has the same losses to rounding" (every close? losses-4 losses))
       (call-with-temporary-directory
        (lambda (folder)
          (let* ((path (string-append folder "/run.safetensors"))
                 (killed (run 2 "killed" path)))
            (test-assert "a rank that is killed ends the others" (not (eqv? 0 (car killed))))
            ;; MPICH's mpirun ends them before they can.
            (test-assert "which say so, or mpirun" (or (string-contains (cdr killed) "another rank has died")
                                                       (string-contains (cdr killed) "BAD TERMINATION")))
            (let ((rest (run 2 "checkpointed" path)))
              (test-equal "its last checkpoint goes on to the same bits on as many ranks" bits-2
                          (second (last-datum (cdr rest)))))))))))
  (define (test-failure name task text)
    (let ((said (run 2 task)))
      (test-assert (string-append name " ends all") (not (memv (car said) '(0 124))))
      (test-equal (string-append name " is told once") (list text)
                  (filter (lambda (line) (string-contains line text)) 
                          (map (lambda (line) (if (string-contains line text) text line))
                               (string-split (cdr said) #\newline))))))
  (test-failure "an error" "error" "rank 1: no such thing: 3")
  (test-failure "an error in the hook" "hook" "rank 1: in the hook")
  (test-failure "an end" "exit" "rank 1: has ended")
  (test-failure "too small a batch" "batch" "batch: expected 2 images or more at a time for 2 ranks, got 1")
  ;; mpirun gives the status of one that did not end well.
  (test-equal "a signal to one stops all" 130 (car (run 2 "signal"))))

(if no-ranks
    (format #t "skipped: what needs several ranks: ~a~%" no-ranks)
    (test-ranks))

(finish-tests)
