;;; test-runs.scm -- run directories, going on after interruptions and deaths, reruns, bad input.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 regex) (ice-9 textual-ports)
             (tempera) (tempera run runs) (tempera run claims) (tempera run run-files))

(start-tests "runs")

(define (write-file name text)
  (call-with-output-file name (lambda (port) (display text port))))
(define (read-text name) (call-with-input-file name get-string-all))
(define (quietly thunk)
  ;; What THUNK returns, printing to nowhere.
  (let ((nowhere (%make-void-port "w")))
    (parameterize ((current-output-port nowhere) (current-error-port nowhere)) (thunk))))
(define (tempera . arguments)
  ;; The exit status and what it says, both streams.
  (let* ((pipe (open-input-pipe (string-append "tempera " (string-join arguments) " 2>&1")))
         (text (get-string-all pipe)))
    (cons (status:exit-val (close-pipe pipe)) text)))
(define (contains? text part) (and (string-contains text part) #t))

(define script "
(define-experiment toy ((n 3 positive?) (seed 1) (at 'end) (word \"plain\") (sizes '(1 2)))
  (define checkpoint (run-path \"checkpoints/step\"))
  (define first-step (if (file-exists? checkpoint) (call-with-input-file checkpoint read) 1))
  (format #t \"from ~a~%\" first-step)
  (format (current-error-port) \"a warning~%\")
  (do ((i first-step (1+ i))) ((> i n))
    (record-metrics! `((step . ,i) (loss . ,(/ 1. i)) ,@(if (> i 2) '((late . yes)) '())))
    (save-text checkpoint (number->string i))
    (when (= i 2)
      (case at
        ((error) (unless (file-exists? \"fixed\") (car i)))
        ((kill) (unless (file-exists? \"fixed\") (kill (getpid) SIGKILL)))
        ((signal) (unless (file-exists? \"fixed\") (kill (getpid) SIGINT) (sleep 10)))
        ((exit) (exit 7)))))
  (save-npy (run-path \"x.npy\") (random-normal '(4) seed))
  (save-json (run-path \"summary.json\") `((\"n\" . ,n) (\"seconds\" . ,(current-time))))
  `((score . ,(* 1.5 n)) (seconds . 3) (word . ,word)))
")

(define metrics-text "step,loss,late\n1,1.0,\n2,0.5,\n3,0.3333333333333333,yes\n")

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (write-file "toy.scm" script)
   (define toy (load-script "toy.scm"))

   ;; --- Files that it reads -------------------------------------------------------
   (write-file "reader.scm" "
(define-experiment reader ((input (required file)))
  (unless (file-exists? \"go\") (error \"not yet\"))
  (call-with-input-file input read))")
   (define reader (load-script "reader.scm"))
   (define (read-again) (quietly (lambda () (run-experiment reader '((input . "in.txt")) #:directory "reads/in"))))
   (write-file "in.txt" "1")
   (test-error-matching "it stops" "not yet" (read-again))
   (write-file "in.txt" "2")
   (test-error-matching "other input is not gone on with" "reads/in: input: in.txt has changed since it ran" (read-again))
   (write-file "in.txt" "1")
   (write-file "go" "")
   (let ((run (read-again)))
     (test-equal "the same is" 1 (run-result run))
     (test-equal "nothing differs" '() (run-differences run))
     (write-file "in.txt" "2")
     (test-equal "changed since" (list (string-append (getcwd) "/in.txt: has changed since")) (run-differences run))
     (delete-file "in.txt")
     (test-equal "gone" (list (string-append (getcwd) "/in.txt: is gone")) (run-differences run)))
   (mkdir "mine")
   (write-file "mine/notes.txt" "")
   (test-error-matching "somebody's folder" "mine: is no run's directory and not empty"
     (run-experiment toy '() #:directory "mine"))
   (test-assert "stays as it is" (not (file-exists? "mine/lock")))
   (test-error-matching "no name" "run-experiment: directory: expected a name, got \"\""
     (run-experiment toy '() #:directory ""))

   ;; --- What a run leaves ---------------------------------------------------------
   (define run (quietly (lambda () (run-experiment toy '((word . "a \"b\"")) #:directory "runs/a"))))
   (test-eq "finished" 'finished (run-state run))
   (test-equal "a run prints" "#<run toy, finished in 0:00, seed 1, score 4.5, seconds 3>"
     (format #f "~a" run))
   (define again (open-run "runs/a"))
   (test-equal "opened" (list (run-config run) (run-result run)) (list (run-config again) (run-result again)))
   (test-equal "settings" '((n . 3) (seed . 1) (at . end) (word . "a \"b\"") (sizes 1 2))
     (assq-ref (run-config again) 'settings))
   (test-equal "a setting" 1 (run-setting again 'seed))
   (for-each (lambda (key) (test-assert (format #f "config has ~a" key) (assq-ref (run-config again) key)))
             '(format experiment script script-hash folder command started version libraries host
               processor instruction-set threads))
   (test-equal "the script's copy" script (read-text "runs/a/script.scm"))
   (test-equal "the log has both streams" "from 1\na warning\n" (run-log again))
   (test-equal "metrics, columns grown" metrics-text (read-text "runs/a/metrics.csv"))
   (test-equal "as a table" '(#f #f "yes") (table-column (run-metrics again) 'late))
   (test-equal "no error" #f (run-error again))
   (test-equal "what it wrote" '("checkpoints/step" "summary.json" "x.npy") (run-own-files again))
   ;; The hashes of an earlier version.
   (let ((config (run-config again)))
     (save-datum "runs/a/config.scm"
                 (append (alist-delete 'script-hash config)
                         '((script-hash . "fnv1a-cbf29ce484222325")
                           (scripts ((file . "script.scm") (hash . "fnv1a-cbf29ce484222325"))))))
     (let ((old (open-run "runs/a")))
       (test-equal "another hash is no other script" '() (run-differences old))
       (test-equal "it is taken anew of each copy"
         (list (assq-ref config 'script-hash)
               `(((file . "script.scm") (hash . ,(assq-ref config 'script-hash)))))
         (list (assq-ref (run-config old) 'script-hash) (assq-ref (run-config old) 'scripts))))
     (save-datum "runs/a/config.scm" config))
   (write-file "runs/a/picture.png" "")
   (test-equal "pictures" '("runs/a/picture.png") (run-pictures again))
   (delete-file "runs/a/picture.png")
   (test-equal "the outcome" 4.5 (assq-ref (run-outcome again) 'score))
   (let ((fresh (quietly (lambda () (list (run-experiment toy) (run-experiment toy))))))
     (test-assert "directories of their own: name, date, time"
       (every (lambda (r) (string-match "^runs/toy-[0-9]{8}-[0-9]{6}(-2)?$" (run-directory r))) fresh))
     (test-assert "not the same" (not (apply string=? (map run-directory fresh)))))
   (mkdir "runs/no-run")
   (test-equal "list-runs" 3 (length (list-runs)))
   (test-equal "of no folder" '() (list-runs "nowhere"))
   (define-experiment chained ((n 1)) (tensor-zeros '(2)))
   (let ((r (run-experiment chained '() #:directory "runs/chained")))
     (test-assert "what is no data is there at the prompt" (tensor? (run-result r)))
     (test-equal "and not in the directory" #f (run-result (open-run "runs/chained"))))

   ;; --- Ended early, and gone on with -------------------------------------------------
   (for-each
    (lambda (at status state)
      (let ((path (string-append "runs/" at)))
        (test-equal (string-append at ": status") status
          (car (tempera "run" "toy.scm" (string-append "at=" at) (string-append "--out=" path))))
        (test-equal (string-append at ": state") state (run-state (open-run path)))
        (test-equal (string-append at ": nothing lost") '("from 1\na warning\n" "step,loss\n1,1.0\n2,0.5\n")
          (list (string-append (string-join (list-head (string-split (run-log (open-run path)) #\newline) 2)
                                            "\n")
                               "\n")
                (read-text (string-append path "/metrics.csv"))))))
    '("error" "kill" "signal" "exit") '(1 137 130 7) '(failed interrupted interrupted failed))
   (test-assert "the error's text" (contains? (run-error (open-run "runs/error")) "car"))
   (test-assert "in the log too" (contains? (run-log (open-run "runs/error")) "car"))
   (test-equal "of an exit" "exit 7" (run-error (open-run "runs/exit")))
   ;; At a prompt Ctrl-C leaves the run as a value.
   (write-file "input" "(define r (run-experiment (load-script \"toy.scm\") '((at . signal)) #:directory \"runs/paused\"))
r
,quit
")
   (test-assert "Ctrl-C at a prompt"
     (contains? (cdr (tempera "<" "input")) "= #<run toy, interrupted, seed 1, step 2, loss 0.5>"))
   (write-file "fixed" "")
   ;; A last line that was torn, as by a full disk.
   (let ((port (open-file "runs/kill/metrics.csv" "a"))) (display "3,0.3" port) (close-port port))
   (test-equal "a torn line is not read" 2 (table-size (run-metrics (open-run "runs/kill"))))
   (for-each
    (lambda (path)
      (test-equal (string-append path " goes on") 0 (car (tempera "run" (string-append "--continue=" path))))
      (test-assert "from its checkpoint" (contains? (run-log (open-run path)) "from 2"))
      (test-equal "steps from before stay, what is computed again is there once" metrics-text
        (read-text (string-append path "/metrics.csv"))))
    '("runs/error" "runs/kill"))
   (test-eq "resume-run" 'finished (run-state (quietly (lambda () (resume-run "runs/signal")))))
   (define (ended-with path setting)
     (cdr (tempera "run" "toy.scm" setting (string-append "--out=" path))))
   (test-assert "a finished run is kept" (contains? (ended-with "runs/a" "n=3") "has a finished run"))
   (test-assert "other settings" (contains? (ended-with "runs/exit" "at=exit n=4") "ran with n 3, not 4"))
   (let ((lock (open "runs/exit/lock" O_RDWR)))
     (flock lock LOCK_EX)
     (test-assert "somebody runs it" (contains? (ended-with "runs/exit" "at=exit") "another process runs it"))
     (test-assert "and one can tell" (run-claimed? "runs/exit"))
     (close-port lock))
   (test-assert "and no more" (not (run-claimed? "runs/exit")))
   (write-file "toy.scm" (string-append script "; changed\n"))
   (test-assert "another script" (contains? (ended-with "runs/exit" "at=exit") "its script has changed"))

   ;; --- A mended script ----------------------------------------------------------------
   (write-file "toy.scm" script)
   (delete-file "fixed")
   (for-each (lambda (path) (tempera "run" "toy.scm" "at=error" (string-append "--out=" path)))
             '("runs/m1" "runs/m2" "runs/m3"))
   (write-file "fixed" "")
   (define (mended-text n) (string-append script (format #f "(define mended ~a)~%" n)))
   (write-file "toy.scm" (mended-text 1))
   (test-equal "--mended goes on by the new script" 0 (car (tempera "run" "--continue=runs/m1" "--mended")))
   (test-equal "and keeps both" (list script (mended-text 1))
     (map read-text '("runs/m1/script-1.scm" "runs/m1/script.scm")))
   (define mended (open-run "runs/m1"))
   (test-equal "nothing is lost or made twice" metrics-text (read-text "runs/m1/metrics.csv"))
   (test-equal "says which copy made what" '("script-1.scm" "script.scm" 2)
     (let ((scripts (assq-ref (run-config mended) 'scripts)))
       (list (assq-ref (first scripts) 'file) (assq-ref (second scripts) 'file)
             (assq-ref (second scripts) 'rows))))
   (test-assert "so does the log"
     (contains? (run-log mended) "going on by the mended script; script-1.scm made what there is so far"))
   (test-equal "the copies are the run's own" (run-own-files (open-run "runs/a")) (run-own-files mended))
   (test-equal "a rerun is told" '("its script was mended on the way: script-1.scm began it")
     (run-differences mended))
   ;; A second time, with one more parameter; an interruption between.
   (write-file "toy.scm" (string-append "(define-experiment toy ((n 3)) (car n))\n"))
   (test-assert "a parameter that is gone"
     (contains? (cdr (tempera "run" "--continue=runs/m2" "--mended")) "unknown parameter"))
   (write-file "broken.scm" (string-append (mended-text 2) "(set! run-path car)\n"))
   (test-equal "fails again" 1 (car (tempera "run" "--continue=runs/m2" "--mended" "broken.scm")))
   (write-file "third.scm"
               (string-append "(define-experiment toy ((n 3) (seed 1) (at 'end) (word \"\") (sizes '(1)) (more 5))\n"
                              "  (list n more at word))\n"))
   (test-equal "a new parameter has its default" '(3 5 error "plain")
     (run-result (quietly (lambda () (resume-run "runs/m2" #:mended "third.scm")))))
   (test-equal "three copies" '("script-1.scm" "script-2.scm" "script.scm")
     (map (lambda (s) (assq-ref s 'file)) (assq-ref (run-config (open-run "runs/m2")) 'scripts)))
   (test-assert "other settings all the same"
     (contains? (cdr (tempera "run" "--continue=runs/m3" "--mended" "third.scm" "n=4")) "ran with n 3, not 4"))
   (test-assert "a finished run is kept all the same"
     (contains? (cdr (tempera "run" "--continue=runs/m1" "--mended" "third.scm")) "has a finished run"))
   (for-each (lambda (text . words)
               (test-assert text (contains? (cdr (apply tempera "run" words)) text)))
             '("run: expected a script or --continue=DIR, got none" "run: expected --out or --continue, got both"
               "no-such-run: no such directory")
             '("--out=runs/m3" "--out=runs/m4" "--continue=no-such-run")
             '("" "--continue=runs/m3" "toy.scm"))
   (test-assert "--mended of no run"
     (contains? (cdr (tempera "run" "--mended" "toy.scm")) "--mended: expected --continue=DIR with it"))
   (write-file "toy.scm" (string-append script "; changed\n"))

   ;; --- Reruns ----------------------------------------------------------------------
   (test-equal "told of the changed script" 1
     (length (filter (lambda (line) (contains? line "toy.scm: has changed since")) (run-differences again))))
   (let ((said (tempera "rerun" "runs/a" "--out=runs/a2")))
     (test-equal "rerun: status" 0 (car said))
     (test-assert "tells what differs first" (contains? (cdr said) "toy.scm: has changed since"))
     (test-assert "and the same bits" (contains? (cdr said) "the same bits in result, metrics and 3 files")))
   (define (differences) (comparison-differences (compare-runs (open-run "runs/a") (open-run "runs/a2"))))
   (test-equal "none" '() (differences))
   ;; Its state says that they are as they were.
   (save-datum "runs/a2/state.scm" (alist-delete 'metrics-crc32 (load-datum "runs/a2/state.scm")))
   (write-file "runs/a2/metrics.csv" "step,loss,late\n1,1.0,\n2,0.5000001,\n3,0.3333333333333333,yes\n")
   (test-equal "a number" '("metrics.csv: column loss, row 2: 0.5, then 0.5000001") (differences))
   (write-file "runs/a2/metrics.csv" metrics-text)
   (save-npy "runs/a2/x.npy" (random-normal '(4) 2))
   (test-assert "a file" (string-match "^x.npy: differs from byte [0-9]+ on$" (first (differences))))
   (delete-file "runs/a2/x.npy")
   (write-file "runs/a2/more" "")
   (test-equal "files of one only" '("x.npy: only before" "more: only now") (differences))
   (write-file "runs/a/script.scm" "(define x 1)")
   (test-assert "a copy that was changed"
     (any (lambda (line) (contains? line "is not the script that ran")) (run-differences again)))
   (test-error-matching "of the prompt" "defined at the prompt, and has no script"
     (run-own-experiment (open-run "runs/chained")))

   ;; --- Bad input -------------------------------------------------------------------
   (write-file "runs/no-run/config.scm"
               "((format . 1) (experiment . e) (settings) (scripts (file . 3)))")
   (test-error-matching "copies that are none" "scripts: expected the file and hash of each"
     (open-run "runs/no-run"))
   (delete-file "runs/no-run/config.scm")
   (test-error-matching "no directory" "open-run: nowhere: no such directory" (open-run "nowhere"))
   (test-error-matching "no run" "is no run's directory: it has no config.scm" (open-run "runs/no-run"))
   (write-file "runs/no-run/notes.txt" "mine")
   (test-error-matching "somebody's files" "not empty (notes.txt is in it)"
     (run-experiment toy '() #:directory "runs/no-run"))
   (test-error-matching "a file for a directory" "toy.scm: is a file"
     (run-experiment toy '() #:directory "toy.scm"))
   (for-each
    (lambda (name config text)
      (write-file "runs/no-run/config.scm" config)
      (test-error-matching name text (open-run "runs/no-run")))
    '("another version" "not an association list" "evaluation" "nested" "quoted a thousand times"
      "two" "half" "a number too large" "code is data" "no experiment" "an object" "a script that is none")
    (list "((format . 2) (version . \"3.0\"))" "(1 2 3)"
          "((format . 1) (experiment . #.(system \"touch evaluated\")))"
          (string-append (make-string 100000 #\() (make-string 100000 #\)))
          (string-append "((format . " (make-string 100000 #\') "a))")
          "((format . 1)) ((format . 1))" "((format . 1)" "((format . 1) (n . 1e999999999999))"
          "(begin (system \"touch evaluated\"))" "((format . 1) (settings))"
          "((format . 1) (x . #\\a))" "((format . 1) (experiment . e) (settings) (script . 5))")
    '("is of format 2, this version reads 1; use the version of Tempera that wrote it, 3.0"
      "expected an association list" "not understood as Scheme data" "nested deeper than 64"
      "nested deeper than 64" "expected one datum" "not understood" "not understood"
      "expected an association list" "expected the name of an experiment" "not understood as Scheme data: #\\"
      "script: expected text, got 5"))
   (test-assert "nothing was evaluated" (not (file-exists? "evaluated")))
   (test-equal "list-runs passes over it" #f
     (find (lambda (r) (string=? (run-directory r) "runs/no-run")) (list-runs)))
   (write-file "runs/a2/state.scm" "((format . 1) (state . sideways))")
   (test-error-matching "a state that is none" "expected a state among" (run-state (open-run "runs/a2")))
   (test-equal "it prints all the same" "#<run toy, with a state that cannot be read, seed 1>"
     (format #f "~a" (open-run "runs/a2")))
   (test-error-matching "no run is active" "run-path: no run is active" (run-path "x.png"))
   (test-error-matching "nor here" "record-metrics!: no run is active" (record-metrics! '((a . 1))))
   (define (inside thunk)
     (define e (make-experiment 'inside "" '() thunk))
     (error-message-of (lambda () (run-experiment e '()))))
   (for-each (lambda (text thunk)
               (let ((said (inside thunk)))
                 (test-equal text text (if (and said (contains? said text)) text said))))
             '("inside of the run's directory, got ../x" "inside of the run's directory, got /x"
               "config.scm is the run's own" "name: expected the name of a file"
               "row: expected an association list")
             (list (lambda () (run-path "../x")) (lambda () (run-path "/x"))
                   (lambda () (run-path "config.scm")) (lambda () (run-path 3))
                   (lambda () (record-metrics! '(1 2)))))
   (test-error-matching "no such setting" "has no parameter sede" (run-setting again 'sede))
   (test-error-matching "no run" "run: expected one" (run-state 3))
   (chdir "/")))

(finish-tests)
