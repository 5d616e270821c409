;;; soak.scm -- hours of work that is killed, starved, interrupted and damaged: nothing is lost, nothing crashes.
;;;
;;; guile soak.scm SECONDS [SEED], from the build tree.  What is killed or had no room goes on to the same
;;; files; what is refused is an error and no signal.  Figures are printed at the end, and the status is 1 if
;;; there was a finding.

(use-modules (ice-9 binary-ports) (ice-9 format) (ice-9 ftw) (ice-9 popen) (ice-9 rdelim) (ice-9 textual-ports)
             (srfi srfi-1)
             (tempera) (tempera base numbers) (tempera tensor primitives))

(define seconds (string->number (list-ref (command-line) 1)))
(define random-bits
  (seed->random-state (if (> (length (command-line)) 2) (string->number (list-ref (command-line) 2))
                          (current-time))))
(define here (canonicalize-path (dirname (car (command-line)))))
(define end (+ (seconds-now) seconds))
(define (uniform-below x) (* x (random:uniform random-bits)))

;;; --- Figures --------------------------------------------------------------------

(define counts '())                     ; (name . number), in the order of their first use
(define findings 0)

(define* (count! name #:optional (n 1))
  (set! counts
        (if (assoc name counts)
            (map (lambda (entry) (if (equal? name (car entry)) (cons name (+ n (cdr entry))) entry)) counts)
            (append counts (list (cons name n))))))

(define (finding! format-string . arguments)
  (set! findings (1+ findings))
  (format #t "FINDING: ~a~%" (apply format #f format-string arguments))
  (force-output))

;;; --- Processes --------------------------------------------------------------------

(define (shell text)
  ;; The exit status of TEXT; what it prints is in the file said.
  (let ((status (system* "sh" "-c" (string-append "{ " text "\n} >said 2>&1 </dev/null"))))
    (or (status:exit-val status) (+ 128 (status:term-sig status)))))

(define (said) (call-with-input-file "said" get-string-all #:encoding "ISO-8859-1"))

(define (killed-after delay text)
  ;; Whether TEXT was still running when DELAY seconds were over, and so was killed with all its children.
  (call-with-values
      (lambda () (pipeline (list (list "setsid" "sh" "-c" (string-append "exec " text " >said 2>&1 </dev/null")))))
    (lambda (from to processes)
      (let ((process (car processes)))
        (close-port from)
        (close-port to)
        (usleep (inexact->exact (round (* 1e6 delay))))
        (let ((running? (zero? (car (waitpid process WNOHANG)))))
          (when running?
            (false-if-exception (kill (- process) SIGKILL))
            (waitpid process))
          running?)))))

;;; --- Work, and whether it came to the same ---------------------------------------------

;; Name, the words that begin it in the folder `out', those that go on, what it leaves that must be the same.
(define works
  (let ((training (string-append here "/training.scm")) (writing (string-append here "/writing.scm")))
    `(("training" ,(format #f "tempera run --out=out ~a" training) "tempera run --continue=out"
       ("prior.safetensors" "checkpoint.safetensors"))
      ("run" ,(format #f "tempera run --out=out ~a" writing) "tempera run --continue=out"
       ("samples.npy" "mean.npy" "figure.png" "chart.png" "table.csv" "a.npz" "metrics.csv"))
      ("sweep" ,(format #f "tempera sweep --out=out --workers=2 ~a n=1,2,3" writing)
       "tempera sweep --continue=out --workers=2"
       ("points/0001/samples.npy" "points/0002/metrics.csv" "points/0003/a.npz")))))

(define (begun? work) (or (file-exists? "out/config.scm") (file-exists? "out/sweep.scm")))
(define (words work) (if (begun? work) (third work) (second work)))

(define (hashes work)
  (map (lambda (name)
         (let ((path (string-append "out/" name)))
           (and (file-exists? path)
                (sha256 (call-with-input-file path get-bytevector-all #:binary #t)))))
       (fourth work)))

(define references '())                 ; of each work's name: seconds, hashes

(define (reference work)
  (or (assoc-ref references (first work))
      (let ((started (seconds-now)))
        (system* "rm" "-rf" "out")
        (unless (zero? (shell (second work))) (finding! "~a does not run: ~a" (first work) (said)))
        (set! references
              (acons (first work) (list (- (seconds-now) started) (hashes work)) references))
        (assoc-ref references (first work)))))

(define (leavings)
  (if (not (file-exists? "out"))
          '()
          (let ((pipe (open-pipe* OPEN_READ "find" "out" "-name" "*tempera-tmp*")))
            (let loop ((line (read-line pipe)) (all '()))
              (if (eof-object? line) (begin (close-pipe pipe) all) (loop (read-line pipe) (cons line all)))))))

(define (check-end work what)
  ;; WORK goes on to its end, and to the same files.
  (let ((status (if (equal? (hashes work) (second (reference-of work))) 0 (shell (words work)))))
    ;; What was finished as it was killed says so, and is no finding.
    (unless (or (zero? status) (string-contains (said) "finished"))
      (finding! "~a, ~a: does not go on: ~a" (first work) what (said)))
    (unless (equal? (hashes work) (second (reference-of work)))
      (finding! "~a, ~a: other files than without" (first work) what))
    (when (and (zero? status) (pair? (leavings)))
      (finding! "~a, ~a: left are ~a" (first work) what (leavings)))))

(define (reference-of work) (assoc-ref references (first work)))

;;; --- What happens to it -----------------------------------------------------------------

(define (kill-it work)
  (let ((time (first (reference work))))
    (system* "rm" "-rf" "out")
    (let again ((kills (1+ (random 3 random-bits))))
      (when (and (> kills 0) (killed-after (uniform-below (* 1.1 time)) (words work)))
        (count! (format #f "kills of a ~a" (first work)))
        (again (1- kills))))
    (usleep 300000)                     ; points end with their driver
    (check-end work "killed")))

(define (starve work)
  (reference work)
  (system* "rm" "-rf" "out")
  (let* ((limit (case (random 2 random-bits)
                  ((0) (format #f "ulimit -v ~a" (+ 200000 (random 2000000 random-bits))))
                  (else (format #f "ulimit -f ~a" (1+ (random 200 random-bits))))))
         (status (shell (format #f "ulimit -c 0; ~a; ~a" limit (second work)))))
    (count! "limits of memory and of files' sizes")
    ;; A Guile that has no memory to start with ends as it likes.
    (unless (or (memv status '(0 1)) (string-prefix? "ulimit -v" limit))
      (finding! "~a under ~a: status ~a: ~a" (first work) limit status (said)))
    (when (and (eqv? status 1) (string-null? (said))) (finding! "~a under ~a: no word" (first work) limit))
    (when (eq? 'failed (and (file-exists? "out/state.scm") (run-state (open-run "out"))))
      (system* "rm" "-rf" "out"))       ; for want of memory; it says so, and begins anew
    (when (and (file-exists? "out/sweep.scm") (not (zero? (shell "tempera sweep --continue=out --mended"))))
      (finding! "sweep under ~a: ~a" limit (said)))
    (check-end work limit)))

(define can-mount?
  (and (zero? (getuid))
       (zero? (system "mkdir -p /tmp/tempera-soak-try && mount -t tmpfs -o size=64k none /tmp/tempera-soak-try 2>/dev/null \
&& umount /tmp/tempera-soak-try; s=$?; rmdir /tmp/tempera-soak-try; exit $s"))))

(define (fill-disk work)
  (when can-mount?
    (reference work)
    (system* "rm" "-rf" "out")
    (mkdir "out")
    (let ((size (+ 20 (random 600 random-bits))))
      (system (format #f "mount -t tmpfs -o size=~ak none out" size))
      (let ((status (shell (second work))))
        (count! "full disks")
        (unless (memv status '(0 1)) (finding! "~a on a disk of ~a k: status ~a: ~a" (first work) size status (said))))
      (system "mount -o remount,size=50m out")
      (check-end work (format #f "a disk of ~a k" size))
      (system "umount out"))))

(define (kill-reports)
  (let ((work (second works)))
    (system* "rm" "-rf" "out")
    (shell (second work))
    (do ((k 0 (1+ k))) ((= k 4))
      (when (killed-after (uniform-below 2.) "tempera report out") (count! "kills of a report"))
      (when (and (file-exists? "out/report.html")
                 (not (string-contains (call-with-input-file "out/report.html" get-string-all #:encoding "UTF-8")
                                       "</html>")))
        (finding! "half a report")))))

(define (kill-data)
  (setenv "XDG_CACHE_HOME" (getcwd))
  (setenv "XDG_DATA_HOME" (getcwd))
  (save-npy "volume.npy" (tensor-abs (random-normal '(24 32 32) 1)))
  (do ((k 0 (1+ k))) ((= k 4))
    (when (killed-after (uniform-below 2.) "tempera data --add=volume.npy --person=p --orientation=SAR")
      (count! "kills of data"))
    (unless (zero? (shell "tempera data --add=volume.npy --person=p --orientation=SAR"))
      (unless (string-contains (said) "already") (finding! "data: ~a" (said))))))

(define (flip-bits)
  (setenv "SEED" (number->string (random 1000000 random-bits)))
  (let ((status (shell (format #f "guile -L ~a/.. ~a/../test-damage.scm" here here))))
    (count! "bits flipped" (* 300 7))
    (unless (zero? status) (finding! "flipped bits: ~a" (said)))))

(define (stay-flat)
  (let* ((time (max 20 (min 600 (inexact->exact (round (/ seconds 10))))))
         (status (shell (format #f "guile ~a/mixed.scm ~a" here time)))
         (line (last (string-split (string-trim-right (said)) #\newline))))
    (format #t "mixed work, ~a s (MB, file handles, threads): ~a~%" time line)
    (if (not (zero? status))
     (finding! "mixed work: ~a" (said))
     (let* ((numbers (filter-map string->number
                                (string-tokenize line char-set:digit)))
           (before (list-head (cdr numbers) 3)) (after (list-tail numbers 4)))
      (when (or (> (first after) (+ 64 (* 1.2 (first before)))) (> (second after) (second before))
                (> (third after) (third before)))
        (finding! "mixed work grows: ~a" line))))))

;;; --- Ctrl-C at a prompt -------------------------------------------------------------------

(define socket (format #f "tempera-soak-~a" (getpid)))
(define slowest 0)

(define (tmux . arguments)
  (let* ((pipe (apply open-pipe* OPEN_READ "tmux" "-L" socket "-f" "/dev/null" arguments))
         (text (get-string-all pipe)))
    (close-pipe pipe)
    text))

(define (type text)
  (tmux "send-keys" "-t" "soak" "-l" text)
  (tmux "send-keys" "-t" "soak" "Enter"))

(define (screen-has? text limit)
  (let ((until (+ (seconds-now) limit)))
    (let loop ()
      (cond ((string-contains (tmux "capture-pane" "-p" "-J" "-t" "soak") text) #t)
            ((> (seconds-now) until) #f)
            (else (usleep 10000) (loop))))))

(define lines
  '("(begin (define t (make-trainer (score-network '(paper-unet #:channels (2 4) #:blocks 1)) (lambda (n step) (random-normal (list n 16 16) 7 step 'c64)) #:steps 100000)) (train! t))"
    "(anneal (make-target \"n\" #:shape '(2) #:score (lambda (x s) (tensor* (/ -1 (+ 1 (* s s))) x))) #:temperatures (geometric 1000 #:ratio 0.9999 #:until 0.01))"
    "(tensor-exp (tensor-broadcast (tensor-zeros '(1)) '(1000000000)))"
    "(let loop ((k 0)) (save-npy \"a.npy\" (random-normal '(100 100) k)) (loop (1+ k)))"
    "(let loop () (load-npy \"b.npy\") (loop))"
    "(let loop () (catch 'tempera-error (lambda () (load-npy \"missing.npy\")) (const #f)) (loop))"
    "(let loop ((k 0)) (display k) (newline) (loop (1+ k)))"
    "(sobol-points 100000 #:a (uniform 0 1))"
    "(gradients (lambda () (tensor-sum (convolution (random-normal '(8 256 256 32) 1) (random-normal '(3 3 32 32) 2) #f #f 1 1 1))) '())"))

(define (interrupt count)
  (dynamic-wind
    (const #t)
    (lambda () (interrupt-at-prompt count))
    (lambda () (tmux "kill-server"))))

(define (interrupt-at-prompt count)
  (save-npy "b.npy" (random-normal '(1000 1000) 1))
  (tmux "new-session" "-d" "-s" "soak" "-x" "150" "-y" "50" "tempera")
  (unless (screen-has? "tempera>" 60) (finding! "no prompt"))
  (do ((k 0 (1+ k))) ((= k count))
    (tmux "clear-history" "-t" "soak")
    (let ((line (list-ref lines (random (length lines) random-bits)))
          (answer (number->string (* (+ 1000 k) 100003))))
      (type line)
      (usleep (inexact->exact (round (uniform-below 5e5))))
      (let ((started (seconds-now)))
        (tmux "send-keys" "-t" "soak" "C-c")
        (usleep 20000)
        (type (format #f "(* ~a 100003)" (+ 1000 k)))
        (count! "interrupts of a prompt")
        (if (screen-has? (string-append "= " answer) 20)
            (set! slowest (max slowest (- (seconds-now) started)))
            (begin
              (finding! "the prompt is not back after Ctrl-C in ~a: ~a" line
                        (tmux "capture-pane" "-p" "-t" "soak"))
              (tmux "kill-server")
              (usleep 200000)
              (tmux "new-session" "-d" "-s" "soak" "-x" "150" "-y" "50" "tempera")
              (screen-has? "tempera>" 60)))))))

;;; --- The hours -----------------------------------------------------------------------------

(define (any-work) (list-ref works (random (length works) random-bits)))

(call-with-temporary-folder
 (lambda (folder)
   (chdir folder)
   (let loop ((k 0))
     (when (< (seconds-now) end)
       (case (modulo k 8)
         ((0 4) (kill-it (list-ref works (modulo (quotient k 4) 3))))
         ((1) (starve (any-work)))
         ((2) (interrupt 20))
         ((3) (fill-disk (any-work)))
         ((5) (flip-bits))
         ((6) (kill-reports))
         ((7) (if (odd? (quotient k 8)) (kill-data) (stay-flat))))
       (loop (1+ k))))
   (chdir "/")))

(for-each (lambda (entry) (format #t "~a: ~a~%" (car entry) (cdr entry))) counts)
(format #t "the slowest answer after Ctrl-C: ~,2f s~%soak: ~a findings~%" slowest findings)
(exit (if (zero? findings) 0 1))
