;;; sweep.scm -- `tempera sweep SCRIPT key=a,b,c ...': an experiment at many points.

(define-module (tempera shell commands sweep)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera shell cli)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera file programs)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base parameters)
  #:use-module (tempera run points)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera run sweeps)
  #:use-module (tempera file tables)
  #:use-module (tempera run workers)
  #:export (main summary))

(define summary "run an experiment at many settings, in processes of their own")

(define options
  `((workers integer "points at a time; as many as there are processors" #f ,positive?)
    (directory string "where all goes; runs/NAME-sweep-DATE-TIME")
    (continue string "go on with the sweep in this directory, or join those that do")
    (random integer "this many points at random from ranges" #f ,positive?)
    (sobol integer "this many Sobol points from ranges" #f ,positive?)
    (seed integer "of --random" 0 ,(lambda (n) (>= n 0)))
    (halving string "METRIC,PARAMETER,FROM,TO: all at a small budget, the better half at more")
    (best symbol "of --halving's metric: largest or smallest" largest
          ,(lambda (b) (memq b '(largest smallest))))
    (retries integer "how often to try again a point whose process died" 3
             ,(lambda (n) (>= n 0)))
    (mended flag "with --continue: failed points too, and all that is left by the script as it is now")
    (point string "run this one point of --continue, here")))

(define usage "Runs the experiment that SCRIPT defines at every combination of the values given:
KEY=1,2,3.  A parameter that is itself a list of numbers takes values with semicolons:
'KEY=1,2;3,4'; so does text with commas in it.  With --random or --sobol, ranges: KEY=0.5..2,
KEY=log:0.1..10; whole numbers at both ends make whole numbers.  Every point leaves a run's
directory.  Stop it by Ctrl-C, go on by --continue=DIR; do that at another terminal, and both work.
The status is 1 if a point failed; --continue=DIR --mended [SCRIPT] runs such points again.")

;;; --- Settings from text -----------------------------------------------------------

(define (spec-of experiment name)
  (or (find (lambda (p) (eq? (parameter-name p) name)) (experiment-parameters experiment))
      (complain 'sweep "~a" (unknown-name-text
                             "parameter" (symbol->string name)
                             (map (compose symbol->string parameter-name)
                                  (experiment-parameters experiment))))))

(define (values-of spec text)
  ;; The values that TEXT lists for the parameter SPEC.
  (map (lambda (text) (parameter-parse 'sweep spec text))
       (cond ((string-index text #\;) (string-split text #\;))
             ((eq? (parameter-type spec) 'numbers) (list text))
             (else (string-split text #\,)))))

(define (range-of text)
  ;; The range that TEXT spells, or #f.
  (let ((found (string-match "^(log:)?(.+)\\.\\.(.+)$" text)))
    (and found
         (let ((low (string->number (match:substring found 2)))
               (high (string->number (match:substring found 3))))
           (and (real? low) (real? high)
                (cond ((match:substring found 1) (log-uniform low high))
                      ((and (exact-integer? low) (exact-integer? high)) (integers low high))
                      (else (uniform low high))))))))

(define (varied experiment settings many)
  ;; SETTINGS, pairs of name and text: those that all points share, and arguments for MANY, a
  ;; procedure such as `grid', with one range or list of values for each of the others.
  (let loop ((rest settings) (shared '()) (arguments '()))
    (if (null? rest)
        (values (reverse shared) (reverse arguments))
        (let* ((name (caar rest)) (text (cdar rest))
               (spec (spec-of experiment name))
               (range (and (not (eq? many grid)) (range-of text)))
               (all (if range '() (values-of spec text))))
          (if (and (not range) (= (length all) 1))
              (loop (cdr rest) (cons (cons name (car all)) shared) arguments)
              (loop (cdr rest) shared
                    (cons* (or range all) (symbol->keyword name) arguments)))))))

(define (halving-of text best)
  (let ((parts (string-split text #\,)))
    (check-that (= 4 (length parts)) 'sweep
                "--halving: expected METRIC,PARAMETER,FROM,TO, got ~a" text)
    (halving (string->symbol (first parts)) #:budget (string->symbol (second parts))
             #:from (string->number (third parts)) #:to (string->number (fourth parts))
             #:best best)))

(define (points-from experiment settings ref)
  (check-that (not (and (ref 'random) (ref 'sobol))) 'sweep "expected --random or --sobol, got both")
  (let ((many (cond ((ref 'random)
                     (lambda arguments
                       (apply random-points (ref 'random)
                              ;; The experiment's own seed, if given, is shared or an error.
                              (begin
                                (check-that (not (memq #:seed arguments)) 'sweep
                                            "seed: --random has no range for it; give one value")
                                (cons* #:seed (ref 'seed) arguments)))))
                    ((ref 'sobol) (lambda arguments (apply sobol-points (ref 'sobol) arguments)))
                    (else grid))))
    (let-values (((shared arguments) (varied experiment settings many)))
      (check-that (pair? arguments) 'sweep
                  "expected a parameter with several values, such as KEY=1,2,3, got none")
      (values shared (apply many arguments)))))

;;; --- The command --------------------------------------------------------------

(define (main arguments)
  (let-values (((options operands)
                (parse-options "sweep" options arguments #:operands "SCRIPT KEY=A,B,C..."
                               #:summary usage)))
    (let* ((ref (lambda (name) (assq-ref options name)))
           (workers (or (ref 'workers) (threads))))
      (cond ((ref 'point)
             (check-that (ref 'continue) 'sweep "--point: expected --continue=DIR with it")
             (run-job (open-sweep (ref 'continue)) (ref 'point)))
            ((ref 'continue)
             (check-that (or (null? operands) (and (ref 'mended) (null? (cdr operands)))) 'sweep
                         "--continue: expected nothing else, got ~a" (car operands))
             (say-end (drive (open-sweep (ref 'continue)) workers (ref 'retries)
                             #:mended (and (ref 'mended) (or (null? operands) (car operands))))))
            ((ref 'mended) (complain 'sweep "--mended: expected --continue=DIR with it"))
            ((null? operands) (complain 'sweep "expected a script, got none"))
            (else
             (let ((experiment (load-script (car operands))))
               (let-values (((shared points)
                             (points-from experiment
                                          (settings-from-arguments 'sweep (cdr operands)) ref)))
                 (say-end
                  (drive (make-sweep experiment points #:settings shared
                                     #:directory (ref 'directory)
                                     #:halving (and (ref 'halving)
                                                    (halving-of (ref 'halving) (ref 'best))))
                         workers (ref 'retries))))))))))

(define* (drive sweep workers retries #:key (mended #f))
  (call-saying-stop
   (lambda () (continue-sweep sweep #:workers workers #:retries retries #:mended mended))
   (lambda ()
     (format #f "stopped: ~a; go on with: ~a" (sweep-done-text sweep)
             (shell-text (list "tempera" "sweep"
                               (string-append "--continue=" (sweep-directory sweep))))))))

(define (say-end sweep)
  (format #t "~a~%~a: results.csv~%" (table-text (sweep-results sweep)) (sweep-directory sweep))
  (let ((failed (filter (lambda (job) (eq? 'failed (job-outcome job))) (sweep-jobs sweep))))
    (unless (null? failed)
      (force-output)
      (complain 'sweep "~a failed: ~a; the first in ~a/log.txt; run ~a again by --continue=~a --mended"
                (if (null? (cdr failed)) "a point" (format #f "~a points" (length failed)))
                (string-join (map job-name failed) " ") (job-directory (car failed))
                (if (null? (cdr failed)) "it" "them") (sweep-directory sweep)))))
