;;; sweep.scm -- `tempera sweep NAME key=a,b,c ...': a script's experiment, or a command, at many points.

(define-module (tempera shell commands sweep)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:use-module (tempera shell sweep-words)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera file programs)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base parameters)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera run sweeps)
  #:use-module (tempera run workers)
  #:export (main summary))

(define summary "run an experiment at many settings, in processes of their own")

(define options
  (append
   (parameter-specs
    (workers (optional integer) positive? "points at a time; as many as there are processors")
    (out (optional string) "directory for what the sweep leaves; runs/NAME-sweep-DATE-TIME")
    (continue (optional string) "go on with the sweep in this directory, or join those that do"))
   points-options
   (parameter-specs
    (halving (optional string)
             "METRIC,PARAMETER,FROM,TO: all at a small budget, the better half at more")
    (best 'largest (lambda (b) (memq b '(largest smallest))) "of --halving's metric")
    (retries 3 (lambda (n) (>= n 0)) "how often to try again a point whose process died")
    (mended #f "with --continue: failed points too, and all that is left by the script as it is now")
    (point (optional string) "run this one point of --continue, here"))))

(define operands "SCRIPT|COMMAND NAME=A,B,C...")
(define text "Runs the experiment that SCRIPT defines, or a COMMAND (train, reconstruct, calibrate, prior), at every
combination of the values given: NAME=1,2,3.  A parameter that is itself a list of numbers takes values
with semicolons: 'NAME=1,2;3,4'; so does text with commas in it.  With --random or --sobol, ranges:
NAME=0.5..2, NAME=log:0.1..10; whole numbers at both ends make whole numbers.  A name that is also one of
the options below is the option's behind dashes, else the parameter's.  Every point leaves a run's
directory.  Stop it by Ctrl-C, go on by --continue=DIR; do that at another terminal, and both work.
The status is 1 if a point failed; --continue=DIR --mended [SCRIPT] runs such points again.")

;;; --- The command --------------------------------------------------------------

(define (main words)
  (when (usage-wanted) ((usage-wanted) operands text '() options))
  (let*-values (((known) (cons help-option options))
                ((given _ words) (parse-words "sweep" words known #:leading? #t)))
    (cond ((assq 'help given) (show-usage "sweep" operands text '() options))
          ((or (null? words) (assq 'continue given)) (go-on given words))
          (else (begin-with (named-experiment (car words) (cdr words)) given (cdr words))))))

(define (halving-of text best)
  (let ((parts (string-split text #\,)))
    (check-that (= 4 (length parts)) 'sweep
                "--halving: expected METRIC,PARAMETER,FROM,TO, got ~a" text)
    (halving (string->symbol (first parts)) #:budget (string->symbol (second parts))
             #:from (string->number (third parts)) #:to (string->number (fourth parts))
             #:best best)))

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
                         ((shared points) (points-of-words 'sweep experiment settings ref))
                         ((halving) (and (ref 'halving) (halving-of (ref 'halving) (ref 'best)))))
             (check-that (not (ref 'mended)) 'sweep "--mended: expected --continue=DIR with it")
             (check-that (not (ref 'point)) 'sweep "--point: expected --continue=DIR with it")
             (say-end
              (drive (make-sweep experiment points #:settings shared
                                 #:directory (ref 'out)
                                 #:halving halving)
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
          ;; Who asks again later sees by the status that another process has it: EX_TEMPFAIL.
          (let ((job (find (lambda (job) (string=? (ref 'point) (job-name job))) (sweep-jobs (open-sweep directory)))))
            (unless (or (run-job (open-sweep directory) (ref 'point)) (not (eq? 'running (job-outcome job))))
              (exit 75))))
        (say-end (drive (open-sweep directory) (or (ref 'workers) (threads)) (ref 'retries)
                        #:mended (and (ref 'mended) (or (null? others) (car others))))))))

(define* (drive sweep workers retries #:key (mended #f))
  (call-saying-stop
   (lambda () (continue-sweep sweep #:workers workers #:retries retries #:mended mended))
   (lambda ()
     (format #f "stopped: ~a; go on with: ~a" (sweep-done-text sweep)
             (shell-text (list "tempera" "sweep"
                               (string-append "--continue=" (sweep-directory sweep))))))))
