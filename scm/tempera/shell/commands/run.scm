;;; run.scm -- `tempera run SCRIPT key=value ...': run a script, or the experiment that it defines.

(define-module (tempera shell commands run)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base parameters)
  #:use-module (tempera base progress)
  #:use-module (tempera run experiments)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera shell launch)
  #:use-module (tempera shell options)
  #:export (main summary))

(define summary "run a script, or the experiment that it defines; go on with a run")

(define options
  (parameter-specs
   (out (optional string) "directory for what the run leaves; runs/NAME-DATE-TIME")
   (continue (optional string) "go on with the run in this directory")
   (mended #f "with --continue: by the script as it is now, though it has changed")))

(define operands "SCRIPT")
(define text "Runs the experiment that SCRIPT defines last, with the parameters given (NAME=VALUE or
--NAME=VALUE), and prints what it returns.  `tempera run SCRIPT --help' lists them.  A SCRIPT that
defines no experiment is run as it is, with (command-line) as SCRIPT and its ARGUMENTs.  A SCRIPT -
is standard input.
Every run leaves a directory: config, log, metrics, results.  One that was interrupted or failed,
a command's too, is gone on with by --continue=DIR alone; a finished one is kept.  With --mended SCRIPT
is what it is now, though it has changed since the run began; both copies are kept, and which
made what.")

(define (main words)
  (when (usage-wanted) ((usage-wanted) operands text '() options))
  (let*-values (((given _ words) (parse-words "run" words (cons help-option options) #:leading? #t))
                ((script) (and (pair? words) (script-text (car words)))))
    (cond ((null? words)
           (if (assq 'help given) (show-own-usage) (go-on (option-values "run" options given))))
          ((and script (plain-script? script)) (run-plain given words script))
          ((mended-values given words) => (lambda (values) (go-on values (car words))))
          (else (run-with-parameters given words script)))))

(define (show-own-usage)
  (show-usage "run" operands text '() options))

(define (script-text script)
  ;; What SCRIPT has in it; #f where `load-script' has something to say.
  (cond ((string=? script "-") (get-string-all (current-input-port)))
        ((and (file-exists? script) (not (file-is-directory? script))) (file-text script))
        (else #f)))

(define (run-plain given words text)
  ;; The script that WORDS begin with, its arguments after it.
  (if (assq 'help given)
      (show-own-usage)
      (begin
        (for-each (lambda (option)
                    (complain 'run "--~a: ~a defines no experiment, whose run would be kept; it can \
only be run as it is" (car option) (car words)))
                  given)
        (set-program-arguments words)
        (load-script (car words) #:text text #:needed? #f))))

(define (mended-values given words)
  ;; The options' values if they are to mend a run by the script that WORDS begin with, and it is
  ;; given no parameters: then it is the run's to load it.
  (and (every (lambda (word) (or (string=? word "--mended") (string-prefix? "--continue=" word)))
              (cdr words))
       (let*-values (((more _ others) (parse-words "run" (cdr words) options))
                     ((values) (option-values "run" options (append given more))))
         (and (assq-ref values 'mended) values))))

(define (run-with-parameters given words text)
  (set-program-arguments words)
  (let ((experiment (load-script (car words) #:text text #:needed? #f)))
    ;; A script that loads others may define none after all.
    (when experiment
      (let*-values (((more settings)
                     (experiment-words experiment (cdr words) (cons help-option options)))
                    ((given) (append given more)))
        (if (assq 'help given)
            (show-usage "run" (string-join (cons (car words) (operand-names experiment)))
                        (experiment-documentation experiment) (experiment-parameters experiment)
                        options)
            (run-script experiment settings (option-values "run" options given)))))))

(define (run-script experiment settings values)
  ;; Checked before a directory is made.
  (let* ((settings (experiment-settings experiment settings))
         (directory (or (run-named values) (fresh-directory (experiment-name experiment)))))
    (say-end
     (call-saying-stopped directory #t
      (lambda ()
        (run-experiment experiment settings #:mended (assq-ref values 'mended)
                        #:directory directory))))))

(define* (go-on values #:optional script)
  ;; With the run that the options' VALUES name; when mended, by the file SCRIPT if there is one.
  (let ((directory (run-named values)))
    (check-that (assq-ref values 'continue) 'run "expected a script or --continue=DIR, got none")
    (say-end
     (call-saying-stopped directory (assq-ref (run-config (open-run directory)) 'script)
      (lambda ()
        (resume-run directory #:mended (and (assq-ref values 'mended) (or script #t))))))))

(define (run-named values)
  ;; The directory that the options' VALUES name, or #f.
  (let ((out (assq-ref values 'out)) (continued (assq-ref values 'continue)))
    (check-that (not (and out continued)) 'run "expected --out or --continue, got both")
    (check-that (or continued (not (assq-ref values 'mended))) 'run
                "--mended: expected --continue=DIR with it")
    (when continued (open-run continued)) ; says what is missing
    (or continued out)))

;;; --- What is said at the end -----------------------------------------------------

(define (value-text value)
  (cond ((and (real? value) (not (exact? value))) (number->string (significant value 6)))
        ((list? value) (string-append "(" (string-join (map value-text value) " ") ")"))
        (else (format #f "~a" value))))

(define longest-value 200)              ; in characters; all of it is in state.scm

(define (cut text)
  (if (> (string-length text) longest-value)
      (string-append (string-take text longest-value) "...")
      text))

(define (say-end run)
  (format #t "~a: ~a in ~a~%" (run-directory run) (run-state run) (duration-text (run-seconds run)))
  (let ((result (run-result run)))
    (when (and result (not (unspecified? result)))
      (let* ((entries (if (pair? result) (run-outcome run) `((result . ,result))))
             (width (fold max 0 (map (lambda (e) (string-length (symbol->string (car e)))) entries))))
        (for-each (lambda (entry)
                    (format #t "  ~a  ~a~%"
                            (string-pad-right (symbol->string (car entry)) width)
                            (cut (value-text (cdr entry)))))
                  entries)))))
