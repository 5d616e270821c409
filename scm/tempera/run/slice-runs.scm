;;; slice-runs.scm -- the slices of a scan, each a run of its own, as a sweep inside the run of the whole.
;;;
;;;   slices/points/slice-0010   the run of slice 10, and so on
;;;   slices/results.csv         a row for each
;;;
;;; So slices are claimed, tried again, stopped and gone on with as the points of any sweep are: however often
;;; their processes are killed, each is made once, and its bits do not depend on how many run at a time.

(define-module (tempera run slice-runs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera run run-files)
  #:use-module (tempera run sweeps)
  #:use-module (tempera run workers)
  #:use-module (tempera tensor ranks)
  #:export (slice-numbers slice-runs))

(define (slice-numbers who text count)
  "The numbers of the slices that TEXT names, all or FIRST-LAST, of COUNT of them, from 0.  Errors are of WHO.
Example: (slice-numbers 'me \"2-4\" 10) => (2 3 4)"
  (let* ((numbers (map string->number (string-split text #\-)))
         (from (if (string=? text "all") 0 (first numbers)))
         (to (if (string=? text "all") (1- count) (last numbers))))
    (check-that (and (<= (length numbers) 2) (exact-integer? from) (exact-integer? to) (<= 0 from to) (< to count)) who
                "slices: expected all, or FIRST-LAST from 0 to ~a, got ~a" (1- count) text)
    (iota (1+ (- to from)) from)))

(define (slice-name number)
  (string-append "slice-" (string-pad (number->string number) (max 4 (string-length (number->string number))) #\0)))

(define (slice-runs experiment numbers settings workers)
  "Run EXPERIMENT once for each of NUMBERS, its setting `slice', inside the run that is active, WORKERS at a time, each in
a process of its own.  SETTINGS, a thunk, gives the others, an association list; it is called once, however often the
whole is gone on with.  The directories of the runs, in the order of NUMBERS; a slice that failed is an error."
  (let* ((directory (call-on-first-rank (lambda () (run-path "slices"))))
         (sweep (if (call-on-first-rank (lambda () (file-exists? (in-run directory "sweep.scm"))))
                    (continue-sweep directory #:workers workers #:mended #t)
                    (sweep experiment (map (lambda (number) `((slice . ,number))) numbers)
                           #:settings (settings) #:directory directory #:workers workers
                           #:names (map slice-name numbers))))
         (undone (remove (lambda (job) (eq? 'finished (job-outcome job))) (sweep-jobs sweep))))
    (check-that (null? undone) (experiment-name experiment)
                "~a of ~a slices failed: ~a; ~a: ~a; given again, the same command tries them again"
                (length undone) (length numbers) (string-join (map job-name undone))
                (job-name (car undone)) (or (job-error (car undone)) "interrupted"))
    (map job-directory (sweep-jobs sweep))))
