;;; test-leavings.scm -- what work leaves that is killed or has no room, and how the next goes on.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 ftw) (ice-9 popen)
             (tempera) (tempera base interrupts) (tempera file paths) (tempera tensor primitives))

(start-tests "leavings")

(define (start . words)
  ;; The number of a process of WORDS, a program and its arguments.
  (call-with-values (lambda () (pipeline (list words)))
    (lambda (from to processes) (close-port from) (close-port to) (car processes))))

(define (start-guile program)
  (start "guile" "-c" (format #f "~s" `(begin (use-modules (tempera file paths)) ,program))))

(define (wait-until true?)
  (let wait ((tries 3000))
    (cond ((true?) #t) ((zero? tries) #f) (else (usleep 10000) (wait (1- tries))))))

(define (end-of process)
  (status:term-sig (cdr (waitpid process))))

(define (names folder)
  (scandir folder (lambda (name) (not (member name '("." ".."))))))

(define script "
(define-experiment toy ((n 1 positive?) (wait 0) (size 8))
  (usleep (* 1000 wait))
  (save-npy (run-path \"x.npy\") (random-normal (list size) n))
  n)
")

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (setenv "TMPDIR" directory)
   (call-with-output-file "toy.scm" (lambda (port) (display script port)))

   ;;; --- Half-written files ----------------------------------------------------

   (define (writing name)
     ;; A process that has begun to write the file NAME.
     (let ((process (start-guile `(call-with-new-file 'f ,name (lambda (name) (sleep 600))))))
       (test-assert "it has begun"
         (wait-until (lambda () (any (lambda (n) (string-prefix? (string-append (basename name) ".tempera-tmp-") n))
                                     (names "out")))))
       process))
   (mkdir "out")
   (let ((dead (writing "out/dead.png")) (living (writing "out/living.png"))
         (others '("a.tempera-tmp-backup2" "b.tempera-tmp-abc" "results.backup" "c.tempera-tmp-ab-def")))
     (kill dead SIGKILL)
     (test-equal "killed" SIGKILL (end-of dead))
     (for-each (lambda (name) (save-text (string-append "out/" name) "mine")) others)
     (save-text "elsewhere" "mine")
     (symlink "../elsewhere" "out/d.tempera-tmp-abcdef")
     (mkdir "out/e.tempera-tmp-abcdef")
     (test-equal "both are there" 2 (count (lambda (n) (string-contains n ".png.tempera-tmp-")) (names "out")))
     (check-output 'f "out")
     (test-equal "what the dead one wrote is gone, and nothing else"
       (sort (append others '("d.tempera-tmp-abcdef" "e.tempera-tmp-abcdef" "living.png.tempera-tmp-")) string<?)
       (map (lambda (n) (if (string-prefix? "living" n) (substring n 0 23) n)) (names "out")))
     (kill living SIGKILL)
     (waitpid living)
     (check-shell "the start of a run sweeps its folder" 0 "" "cp -r out/living* out/x.png.tempera-tmp-AAAAAA; mkdir run;"
            "mv out/x.png.tempera-tmp-AAAAAA run; tempera run --out=run toy.scm")
     (test-equal "gone" '("config.scm" "lock" "log.txt" "script.scm" "state.scm" "x.npy") (names "run")))

   (let* ((folder-of (lambda () (filter (lambda (n) (string-prefix? "tempera-tmp-" n)) (names "."))))
          (process (start-guile '(call-with-temporary-folder (lambda (folder) (sleep 600))))))
     (test-assert "a temporary folder" (wait-until (lambda () (pair? (folder-of)))))
     (let ((left (folder-of)))
       (test-equal "it stays while it is used" left
         (call-with-temporary-folder (lambda (own) (delete (basename own) (folder-of)))))
       (kill process SIGKILL)
       (waitpid process)
       (test-equal "and goes with the next" '()
         (call-with-temporary-folder (lambda (own) (delete (basename own) (folder-of)))))))

   ;;; --- No room -----------------------------------------------------------------

   ;; 20 blocks of 512 or 1024 bytes, for 40000 bytes.
   (check-shell "a file without room is an error that names it" 1 "x.npy: File too large"
          "ulimit -f 20; tempera run --out=full toy.scm size=10000")
   (test-equal "the run can be gone on with" 'interrupted (run-state (open-run "full")))
   (test-assert "it says why" (string-contains (run-error (open-run "full")) "File too large"))
   (test-equal "nothing is left half-written" '() (filter (lambda (n) (string-contains n "tempera-tmp")) (names "full")))
   (check-shell "it is gone on with" 0 "" "tempera run --continue=full")
   (test-equal "to its end" 'finished (run-state (open-run "full")))
   (check-shell "a sweep says which points had no room" 1 "a point had no room: 0002: "
          "ulimit -f 20; tempera sweep --out=swept --workers=1 toy.scm size=8,10000")
   (check-shell "--continue runs them again" 0 "finished" "tempera sweep --continue=swept")
   (test-equal "all" '(finished finished) (table-column (sweep-results "swept") 'state))
   (check-shell "printing without room" 1 "tempera: standard output: No space left" "tempera --help >/dev/full")
   (check-shell "a reader that has enough" 0 "status 141\n"
          "{ { tempera --help; echo status $? >&3; } | true; } 3>&1")

   ;;; --- Points whose driver is killed ---------------------------------------------

   (let ((driver (start "sh" "-c" "exec tempera sweep --out=orphans --workers=2 toy.scm wait=60000,60001 >/dev/null 2>&1"))
         (running (lambda () (filter (lambda (job) (eq? 'running (job-outcome job)))
                                     (if (file-exists? "orphans/sweep.scm") (sweep-jobs (open-sweep "orphans")) '())))))
     (test-assert "two points run" (wait-until (lambda () (= 2 (length (running))))))
     (kill driver SIGKILL)
     (waitpid driver)
     (test-assert "they end with their driver" (wait-until (lambda () (null? (running)))))
     (test-equal "and can be gone on with" '(waiting waiting) (map job-outcome (sweep-jobs (open-sweep "orphans")))))
   (chdir "/")))

;;; --- A temperature that ends as Ctrl-C is typed ------------------------------------

(let* ((target (make-target "normal" #:shape '(2)
                            #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
       (chain (start-chain target #:chains 2 #:seed 1 #:mass 'identity #:step-size 0.1
                           #:transitions-per-temperature 1 #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5)))
       (module (resolve-module '(tempera base progress)))
       (update! (module-ref module 'progress-update!))
       (seen '()))
  (define (go-on) (resume! chain #:hook (lambda (chain) (set! seen (cons (chain-transitions chain) seen)))))
  ;; In place of progress, which comes before the hook.
  (module-set! module 'progress-update!
               (lambda _ (module-set! module 'progress-update! update!) (raise-interrupt SIGINT)))
  (test-equal "stopped" 'signal (catch 'signal go-on (lambda (key . arguments) key)))
  (go-on)
  (test-equal "the hook was called for each" (iota (chain-transitions chain) 1) (reverse seen)))

(finish-tests)
