;;; sweep.scm -- `tempera sweep NAME key=a,b,c ...': a script's experiment, or a command, at many points.

(define-module (tempera shell commands sweep)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera file programs)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base parameters)
  #:use-module (tempera base spelling)
  #:use-module (tempera run points)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera run sweeps)
  #:use-module (tempera file tables)
  #:use-module (tempera run workers)
  #:export (main summary))

(define summary "run an experiment at many settings, in processes of their own")

(define options
  (parameter-specs
   (workers (optional integer) positive? "points at a time; as many as there are processors")
   (out (optional string) "directory for what the sweep leaves; runs/NAME-sweep-DATE-TIME")
   (continue (optional string) "go on with the sweep in this directory, or join those that do")
   (random (optional integer) positive? "this many points at random from ranges")
   (sobol (optional integer) positive? "this many Sobol points from ranges")
   (seed 0 (lambda (n) (>= n 0)) "of --random")
   (halving (optional string)
            "METRIC,PARAMETER,FROM,TO: all at a small budget, the better half at more")
   (best 'largest (lambda (b) (memq b '(largest smallest))) "of --halving's metric")
   (retries 3 (lambda (n) (>= n 0)) "how often to try again a point whose process died")
   (mended #f "with --continue: failed points too, and all that is left by the script as it is now")
   (point (optional string) "run this one point of --continue, here")))

(define operands "SCRIPT|COMMAND NAME=A,B,C...")
(define text "Runs the experiment that SCRIPT defines, or a COMMAND (train, reconstruct, calibrate, prior), at every
combination of the values given: NAME=1,2,3.  A parameter that is itself a list of numbers takes values
with semicolons: 'NAME=1,2;3,4'; so does text with commas in it.  With --random or --sobol, ranges:
NAME=0.5..2, NAME=log:0.1..10; whole numbers at both ends make whole numbers.  A name that is also one of
the options below is the option's behind dashes, else the parameter's.  Every point leaves a run's
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
       (cond ((and (eq? (parameter-type spec) 'file) (file-exists? text)) (list text))
             ((string-index text #\;) (string-split text #\;))
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

(define (main words)
  (when (usage-wanted) ((usage-wanted) operands text '() options))
  (let*-values (((known) (cons help-option options))
                ((given _ words) (parse-words "sweep" words known #:leading? #t)))
    (cond ((assq 'help given) (show-usage "sweep" operands text '() options))
          ((or (null? words) (assq 'continue given)) (go-on given words))
          (else (begin-with (named-experiment (car words) (cdr words)) given (cdr words))))))

(define (begin-with experiment given words)
  (let*-values (((more settings)
                 (experiment-words experiment words (cons help-option options)))
                ((given) (append given more)))
    (cond ((assq 'help given)
           (show-usage "sweep" operands text (experiment-parameters experiment) options))
          ((assq 'continue given) (complain 'sweep "--continue: expected nothing else, got ~a"
                                            (experiment-name experiment)))
          (else
           (let*-values (((values) (option-values "sweep" options given))
                         ((ref) (lambda (name) (assq-ref values name)))
                         ((shared points) (points-from experiment settings ref)))
             (check-that (not (ref 'mended)) 'sweep "--mended: expected --continue=DIR with it")
             (check-that (not (ref 'point)) 'sweep "--point: expected --continue=DIR with it")
             (say-end
              (drive (make-sweep experiment points #:settings shared
                                 #:directory (ref 'out)
                                 #:halving (and (ref 'halving)
                                                (halving-of (ref 'halving) (ref 'best))))
                     (or (ref 'workers) (threads)) (ref 'retries))))))))

(define (go-on given words)
  ;; With the sweep that --continue names; the first of WORDS may be the mended script.
  (let*-values (((more _ others) (parse-words "sweep" words (cons help-option options)))
                ((values) (option-values "sweep" options (append given more)))
                ((ref) (lambda (name) (assq-ref values name)))
                ((directory) (ref 'continue)))
    (check-that (or directory (not (ref 'point))) 'sweep "--point: expected --continue=DIR with it")
    (check-that (or directory (not (ref 'mended))) 'sweep "--mended: expected --continue=DIR with it")
    (check-that directory 'sweep "expected a script or a command, got none")
    (check-that (or (null? others) (and (ref 'mended) (null? (cdr others)))) 'sweep
                "--continue: expected nothing else, got ~a" (car others))
    (if (ref 'point)
        (let ((driver (getenv "TEMPERA_DRIVER")))
          (when driver (end-with-parent! (string->number driver)))
          (run-job (open-sweep directory) (ref 'point)))
        (say-end (drive (open-sweep directory) (or (ref 'workers) (threads)) (ref 'retries)
                        #:mended (and (ref 'mended) (or (null? others) (car others))))))))

(define* (drive sweep workers retries #:key (mended #f))
  (call-saying-stop
   (lambda () (continue-sweep sweep #:workers workers #:retries retries #:mended mended))
   (lambda ()
     (format #f "stopped: ~a; go on with: ~a" (sweep-done-text sweep)
             (shell-text (list "tempera" "sweep"
                               (string-append "--continue=" (sweep-directory sweep))))))))

(define (say-end sweep)
  (format #t "~a~%~a: results.csv~%" (table-text (sweep-results sweep)) (sweep-directory sweep))
  (let ((failed (filter (lambda (job) (eq? 'failed (job-outcome job))) (sweep-jobs sweep)))
        (stopped (filter (lambda (job) (and (eq? 'waiting (job-outcome job)) (job-error job)))
                         (sweep-jobs sweep))))
    (unless (null? stopped)
      (force-output)
      (complain 'sweep "~a had no room: ~a: ~a; once there is some, go on by --continue=~a"
                (if (null? (cdr stopped)) "a point" (format #f "~a points" (length stopped)))
                (string-join (map job-name stopped) " ") (job-error (car stopped))
                (sweep-directory sweep)))
    (unless (null? failed)
      (force-output)
      (complain 'sweep "~a failed: ~a; the first in ~a/log.txt; run ~a again by --continue=~a --mended"
                (if (null? (cdr failed)) "a point" (format #f "~a points" (length failed)))
                (string-join (map job-name failed) " ") (job-directory (car failed))
                (if (null? (cdr failed)) "it" "them") (sweep-directory sweep)))))
