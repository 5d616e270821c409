;;; test-sweeps.scm -- sweeps: points, processes that are killed, halving, bad input.
;;;
;;; The points of the experiment here take a twentieth of a second and write into a journal
;;; when they begin and when they end.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 format) (ice-9 ftw) (ice-9 popen) (ice-9 textual-ports)
             (tempera) (tempera tensor primitives) (tempera run sweeps))

(start-tests "sweeps")

;;; --- Points -------------------------------------------------------------------

(test-equal "a grid, the last fastest"
  '(((a . 1) (b . x)) ((a . 1) (b . y)) ((a . 2) (b . x)) ((a . 2) (b . y)))
  (grid #:a '(1 2) #:b '(x y)))
(let ((points (random-points 40 #:seed 1 #:a (uniform 1 2) #:b (log-uniform 0.01 100)
                             #:c (integers 1 3) #:d '(x y))))
  (define (all name) (map (lambda (p) (assq-ref p name)) points))
  (test-equal "as many as asked" 40 (length points))
  (test-equal "the same again" points
    (random-points 40 #:seed 1 #:a (uniform 1 2) #:b (log-uniform 0.01 100)
                   #:c (integers 1 3) #:d '(x y)))
  (test-assert "others of another seed"
    (not (equal? (all 'a) (map cdar (random-points 40 #:seed 2 #:a (uniform 1 2))))))
  (test-assert "uniform" (every (lambda (a) (<= 1 a 2)) (all 'a)))
  ;; 40 coins with probability 2^-40 each way that all are on one side.
  (test-assert "log-uniform: below 1 as likely as above"
    (and (every (lambda (b) (<= 0.01 b 100)) (all 'b)) (any (lambda (b) (< b 1)) (all 'b))
         (any (lambda (b) (> b 1)) (all 'b))))
  (test-equal "integers" '(1 2 3) (sort (delete-duplicates (all 'c)) <))
  (test-equal "a choice" 2 (length (delete-duplicates (all 'd)))))
;; The first points in each dimension are known: 1/2, 3/4, 1/4, ...
(test-equal "Sobol in one dimension" '(0.5 0.75 0.25 0.375)
  (map cdar (sobol-points 4 #:a (uniform 0 1))))
(let ((cells (map (lambda (p) (list (inexact->exact (floor (* 4 (assq-ref p 'a))))
                                    (inexact->exact (floor (* 4 (assq-ref p 'b))))))
                  (sobol-points 15 #:a (uniform 0 1) #:b (uniform 0 1)))))
  ;; With the origin, which is left out, the first 16 fill the cells of a grid once each.
  (test-equal "Sobol in two: each cell once" 15 (length (delete-duplicates cells))))
(test-assert "40 dimensions" (tensor-finite? (sobol-sequence 100 40)))
(for-each
 (lambda (name text thunk) (test-equal name text
                             (let ((said (error-message-of thunk)))
                               (if (and said (string-contains said text)) text said))))
 '("no values" "a value that is no list" "a name twice" "no count" "no range" "bounds" "logarithm"
   "dimensions")
 '("expected a parameter such as" "a: expected a list of values, got 3" "#:a comes twice"
   "count: expected an integer" "a: expected a range" "low < high, got 2 and 1"
   "0 < low < high, got 0 and 1" "dimensions: expected an integer from 1 to 40")
 (list (lambda () (grid)) (lambda () (grid #:a 3)) (lambda () (grid #:a '(1) #:a '(2)))
       (lambda () (random-points 0 #:a (uniform 0 1))) (lambda () (sobol-points 3 #:a 4))
       (lambda () (uniform 2 1)) (lambda () (log-uniform 0 1)) (lambda () (sobol-sequence 3 41))))

;;; --- Processes ------------------------------------------------------------------

(define (write-file name text)
  (call-with-output-file name (lambda (port) (display text port))))

(define script "
(define-experiment toy ((n 1 positive?) (scale 1.0 positive?) (kind 'good) (sizes '(1)) (wait 50)
                        (journal \"\"))
  (define (note! what)
    (unless (string-null? journal)
      (let ((port (open journal (logior O_WRONLY O_APPEND O_CREAT))))
        (display (format #f \"~a ~a ~a~%\" what n (getpid)) port)
        (close-port port))))
  (note! 'begin)
  (case kind
    ((broken) (car '()))
    ((deadly) (kill (getpid) SIGKILL)))
  ;; A signal ends usleep before it is an exception; what came after could have been done by then.
  (let sleep ((left (* 1000 wait)))
    (when (> left 0) (sleep (usleep left))))
  (record-metrics! `((step . 1) (loss . ,(/ scale n))))
  (save-npy (run-path \"x.npy\") (random-normal '(8) n))
  (note! 'end)
  `((score . ,(* scale n (tensor->number (tensor-sum (random-normal '(8) n))))) (kind . ,kind)))
")

(define (read-journal file)
  ;; Lists (what n process) in the order of their writing.
  (if (file-exists? file)
      (map (lambda (line) (map (lambda (word) (or (string->number word) (string->symbol word)))
                               (string-split line #\space)))
           (string-split (string-trim-right (call-with-input-file file get-string-all)) #\newline))
      '()))

(define (results-of directory)
  (table-rows (apply table-select (sweep-results directory)
                     '(point n score state))))

(define (start-driver . arguments)
  ;; In a process group of its own; its number.
  (call-with-values
      (lambda ()
        (pipeline (list (append '("setsid" "sh" "-c" "exec \"$@\" >>driver.log 2>&1 </dev/null"
                                  "driver" "tempera" "sweep")
                                arguments))))
    (lambda (from to processes)
      (close-port from)
      (close-port to)
      (car processes))))

(define (wait-for process)
  (status:exit-val (cdr (waitpid process))))

(define (children process)
  ;; The processes whose parent is PROCESS.
  (filter-map (lambda (name)
                (let* ((text (false-if-exception
                              (call-with-input-file (format #f "/proc/~a/stat" name)
                                get-string-all)))
                       ;; After the name in parentheses: state, parent.
                       (fields (and text (string-tokenize
                                          (substring text (1+ (string-rindex text #\))))))))
                  (and fields (equal? (second fields) (number->string process))
                       (string->number name))))
              (scandir "/proc" (lambda (name) (string-every char-numeric? name)))))

(define (wait-until true? seconds)
  (let wait ((tries (* 100 seconds)))
    (cond ((true?) #t)
          ((zero? tries) #f)
          (else (usleep 10000) (wait (1- tries))))))

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (write-file "toy.scm" script)
   (define points 24)
   (define all-n (string-join (map number->string (iota points 1)) ","))

   ;; Unbroken.
   (test-equal "an unbroken sweep" 0
     (wait-for (start-driver "toy.scm" (string-append "n=" all-n) "wait=1" "--workers=2"
                             "--out=whole")))
   (define whole (results-of "whole"))
   (test-equal "all points" (iota points 1) (map first whole))
   (test-equal "all finished" '(finished) (delete-duplicates (map fourth whole)))
   (test-equal "no word of trouble" "" (call-with-input-file "whole/errors.txt" get-string-all))
   (test-equal "results.csv" whole
     (table-rows (let ((t (load-table "whole/results.csv")))
                   (table-with (table-select t 'point 'n 'score 'state) 'state string->symbol
                               'state))))
   (test-equal "metrics of all" points (table-size (sweep-metrics "whole")))

   ;; Broken many times, by a seeded choice of when and whom; the points and how long they
   ;; take are others, the results not.
   (define journal (string-append directory "/journal"))
   (define random-state (seed->random-state 5))
   (define kills 0)
   (define (under-way?)
     (let ((entries (read-journal journal)))
       (> (count (lambda (e) (eq? (first e) 'begin)) entries)
          (count (lambda (e) (eq? (first e) 'end)) entries))))
   (define (complete?) (every (lambda (row) (eq? (fourth row) 'finished)) (results-of "broken")))
   (let loop ((round 0))
     (let ((driver (if (zero? round)
                       (start-driver "toy.scm" (string-append "n=" all-n) "wait=50"
                                     (string-append "journal=" journal) "--workers=3"
                                     "--retries=20" "--out=broken")
                       (start-driver "--continue=broken" "--workers=3" "--retries=20"))))
       (if (= round 5)
           (test-equal "the last driver ends well" 0 (wait-for driver))
           (begin
             (let ((begun (length (read-journal journal))))
               (wait-until (lambda ()
                             (or (> (length (read-journal journal)) (+ begun 2))
                                 (and (> round 0) (complete?))))
                           20))
             (usleep (random 150000 random-state))
             (when (odd? round)         ; one worker, while its driver goes on
               (let ((workers (children driver)))
                 (unless (null? workers)
                   (false-if-exception
                    (kill (list-ref workers (random (length workers) random-state)) SIGKILL))
                   (set! kills (1+ kills))
                   (usleep (random 200000 random-state)))))
             ;; Then the driver: with its whole group, or alone, its points going on.  While a
             ;; point is under way, or there would be nothing to break.
             (wait-until (lambda () (or (under-way?) (complete?))) 20)
             (false-if-exception (kill (if (= round 2) driver (- driver)) SIGKILL))
             (waitpid driver)
             (set! kills (1+ kills))
             (loop (1+ round))))))
   (test-assert (format #f "killed ~a times" kills) (>= kills 5))
   (test-assert "complete" (complete?))
   (test-equal "results are those of the unbroken sweep" whole (results-of "broken"))
   (test-assert "and the files"
     (every (lambda (k)
              (let ((x (lambda (name) (load-npy (format #f "~a/points/~4,'0d/x.npy" name k)))))
                (equal? (tensor->list (x "whole")) (tensor->list (x "broken")))))
            (iota points 1)))
   (let ((entries (read-journal journal)))
     (define (of n) (filter (lambda (e) (eqv? (second e) n)) entries))
     (test-assert "some began more than once"
       (> (count (lambda (e) (eq? (first e) 'begin)) entries) points))
     ;; Who ends is the one who began last, and nobody begins after an end that counts: a
     ;; process killed between its last word and its result would show an earlier one.
     (test-equal "each ends once, by whom began it last, and no more begins" '()
       (remove (lambda (n)
                 (let* ((mine (of n)) (end (last mine)))
                   (and (eq? (first end) 'end)
                        (equal? (third end) (third (list-ref mine (- (length mine) 2)))))))
               (iota points 1)))
     (test-assert "no two at a time"
       (every (lambda (n)
                ;; An end is always that of the begin before it.
                (every (lambda (before after)
                         (or (eq? (first after) 'begin) (equal? (third before) (third after))))
                       (drop-right (of n) 1) (cdr (of n))))
              (iota points 1))))
   (let ((before (read-journal journal)))
     (test-equal "going on with what is complete" 0
       (wait-for (start-driver "--continue=broken")))
     (test-equal "runs nothing" before (read-journal journal)))

   ;; Two drivers at once.
   (delete-file journal)
   (let* ((first-driver (start-driver "toy.scm" "n=1,2,3,4,5,6,7,8" (string-append "journal=" journal)
                                      "--workers=1" "--out=two"))
          (second-driver (begin
                           (wait-until (lambda () (file-exists? "two/sweep.scm")) 20)
                           (start-driver "--continue=two" "--workers=2"))))
     (test-equal "two drivers" '(0 0) (list (wait-for first-driver) (wait-for second-driver)))
     (test-equal "share the points: each begins once" '(1 2 3 4 5 6 7 8)
       (sort (filter-map (lambda (e) (and (eq? (first e) 'begin) (second e))) (read-journal journal))
             <)))

   ;; Ctrl-C: status 130; what ran is interrupted; it says what is done and how to go on.
   (let ((driver (start-driver "toy.scm" "n=1,2,3,4" "wait=20000" "--workers=2" "--out=stopped")))
     (wait-until (lambda ()
                   (and (file-exists? "stopped/sweep.scm")
                        (= 2 (count (lambda (state) (eq? state 'running))
                                    (table-column (sweep-results "stopped") 'state)))))
                 20)
     (kill driver SIGINT)
     (test-equal "Ctrl-C" 130 (wait-for driver))
     (test-equal "nothing runs any more" '(waiting)
       (delete-duplicates (map job-outcome (sweep-jobs (open-sweep "stopped"))))))

   ;; Errors and deaths.
   (define toy (load-script "toy.scm"))
   (define (quietly thunk) (with-output-to-string thunk))
   (let ((said (quietly (lambda ()
                          (sweep toy (grid #:kind '(good broken deadly)) #:directory "bad"
                                 #:settings '((wait . 1)) #:workers 2 #:retries 1)))))
     (test-equal "one finishes, two fail" '(finished failed failed)
       (table-column (sweep-results "bad") 'state))
     (test-assert "a line for each" (= 3 (string-count said #\newline)))
     (test-assert "with the error" (string-contains said "car")))
   (test-assert "a death is told"
     (string-contains (run-error (open-run "bad/points/0003")) "died 2 times, the last by signal 9"))
   (test-assert "a sweep prints"
     (string-contains (format #f "~a" (open-sweep "bad")) "toy of 3 points: 1 finished, 2 failed"))

   ;; Halving: of scales 1, 4, 2, 3 the best two go on, then the best.
   (write-file "line.scm" "(define-experiment line ((n 1) (scale 1.0)) `((score . ,(* n scale))))")
   (quietly (lambda ()
              (sweep (load-script "line.scm") (grid #:scale '(1 4 2 3)) #:directory "halves"
                     #:halving (halving 'score #:budget 'n #:from 1 #:to 4) #:workers 2)))
   (test-equal "halving" '((1 1 1 stopped) (4 4 16 finished) (2 1 2 stopped) (3 2 6 stopped))
     (table-rows (table-select (sweep-results "halves") 'scale 'n 'score 'state)))
   (test-equal "seven runs, not twelve" 7 (length (sweep-jobs (open-sweep "halves"))))
   (quietly (lambda ()
              (sweep toy (grid #:scale '(1 4 2 3)) #:settings '((wait . 1)) #:directory "least"
                     #:halving (halving 'loss #:budget 'n #:from 1 #:to 2 #:best 'smallest)
                     #:workers 2)))
   (test-equal "by the last of a metric, the smallest" '(finished stopped finished stopped)
     (table-column (sweep-results "least") 'state))
   (test-error-matching "keep" "keep: expected a share between 0 and 1, got 2"
     (halving 'score #:budget 'n #:from 1 #:to 4 #:keep 2))
   (test-equal "budgets" '(10 30 90 100)
     (assq-ref (halving 'score #:budget 'n #:from 10 #:to 100 #:keep 1/3) 'budgets))

   ;; On the command line.
   (define (tempera . arguments)
     ;; What it says, both streams.
     (let* ((pipe (open-input-pipe (string-append "tempera " (string-join arguments) " 2>&1")))
            (text (get-string-all pipe)))
       (close-pipe pipe)
       text))
   (tempera "sweep" "toy.scm" "'sizes=1,2;3,4'" "kind=good" "wait=1" "--out=lists")
   (test-equal "lists of numbers" '((1 2) (3 4)) (table-column (sweep-results "lists") 'sizes))
   (for-each
    (lambda (text . arguments)
      (let ((said (apply tempera "sweep" arguments)))
        (test-equal (format #f "~a" arguments) text
                    (if (and (string-contains said text) (= 1 (string-count said #\newline)))
                        text said))))
    '("expected a script" "parameter m; did you mean n?" "scale: expected number for which `positive?'"
      "expected a parameter with several values" "no sweep's directory"
      "has a sweep with other points" "--random or --sobol, got both" "METRIC,PARAMETER"
      "has no point 0099" "bad: has a sweep with other text of its script"
      "whole/points/0001: is a run's directory")
    '() '("toy.scm" "m=1,2") '("toy.scm" "scale=1,-1") '("toy.scm" "n=1") '("--continue=/tmp")
    '("toy.scm" "n=1,2" "--out=whole") '("toy.scm" "--random=2" "--sobol=2" "n=1..2")
    '("toy.scm" "n=1,2" "--halving=x") '("--continue=whole" "--point=0099")
    (begin (system* "cp" "toy.scm" "other.scm")
           (system "echo '; more' >>other.scm")
           '("other.scm" "kind=good,broken" "--out=bad"))
    '("toy.scm" "n=1,2" "--out=whole/points/0001"))

   ;; A failed point: status 1, and the whole sweep goes on when its script is mended.
   (define (status-of . arguments)
     (status:exit-val (system (string-append "tempera sweep " (string-join arguments)
                                             " >said 2>&1"))))
   (define (said? text) (string-contains (call-with-input-file "said" get-string-all) text))
   (write-file "frail.scm" "(define-experiment frail ((n 1)) (if (= n 2) (car n)) (* 10 n))")
   (test-equal "a failed point: status 1" 1
     (status-of "frail.scm" "n=1,2,3" "--workers=1" "--out=frail"))
   (test-assert "and says how to go on"
     (said? "a point failed: 0002; the first in frail/points/0002/log.txt; run it again by --continue=frail --mended"))
   (test-equal "without that, it stays failed" 1 (status-of "--continue=frail"))
   (test-equal "mended, the same script: again, and again failed" 1 (status-of "--continue=frail" "--mended"))
   (test-assert "no copy of the same" (not (file-exists? "frail/script-1.scm")))
   (write-file "frail.scm" "(define-experiment frail ((n 1)) (* 100 n))")
   (test-equal "mended" 0 (status-of "--continue=frail" "--mended" "--workers=1"))
   (test-equal "what had finished stays, and which copy made what"
     '((1 10 "script-1.scm" finished) (2 200 "script.scm" finished) (3 30 "script-1.scm" finished))
     (table-rows (table-select (sweep-results "frail") 'n 'result 'script 'state)))
   (test-equal "both copies" '(#t #t)
     (map file-exists? '("frail/script-1.scm" "frail/points/0002/script-1.scm")))
   (test-equal "complete" 0 (status-of "--continue=frail"))
   (write-file "frail.scm" "(define-experiment frail ((m 1)) m)")
   (test-error-matching "a mended script that the points do not fit" "unknown parameter n"
     (mend-sweep! "frail"))
   (test-equal "--mended alone" 1 (status-of "--mended" "frail.scm" "m=1,2"))
   (test-assert "says so" (said? "--mended: expected --continue=DIR with it"))

   (test-error-matching "an experiment without a script" "define it in a file"
     (let () (define e (make-experiment 'e "" '() (const 1))) (sweep e (grid #:a '(1)))))
   (test-error-matching "workers" "workers: expected an integer from 1 to 999, got 0"
     (continue-sweep "whole" #:workers 0))
   (test-error-matching "points" "points: expected a list of points"
     (sweep toy '(1 2)))
   (write-file "whole/sweep.scm" "((format . 1) (experiment . toy) (script . \"x\") (settings) (points ((n . 1))) (halving . 3))")
   (test-error-matching "halving" "halving: expected what `halving' makes, got 3" (open-sweep "whole"))
   (write-file "whole/sweep.scm" "((format . 99) (version . \"9.9\"))")
   (test-error-matching "another version" "is of format 99, this version reads 1; use the version \
of Tempera that wrote it, 9.9" (open-sweep "whole"))
   (chdir "/")))

(finish-tests)
