;;; run.scm -- `tempera run SCRIPT key=value ...': run a script, or the experiment that it defines.

(define-module (tempera shell commands run)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera shell cli)
  #:use-module (tempera base errors)
  #:use-module (tempera run experiments)
  #:use-module (tempera file programs)
  #:use-module (tempera base interrupts)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:export (main summary))

(define summary "run a script, or the experiment that it defines")

(define options
  '((run string "directory for what the run leaves; runs/NAME-DATE-TIME")
    (mended flag "with --run: go on by the script as it is now, though it has changed")))

(define (show-usage script)
  (display "Usage: tempera run [--run=DIR] SCRIPT [KEY=VALUE...]
       tempera run --run=DIR [--mended [SCRIPT]]
       tempera run SCRIPT [ARGUMENT...]
Run the experiment that SCRIPT defines last, with the parameters given, and print what it
returns.  `tempera run SCRIPT --help' lists them.  A SCRIPT that defines no experiment is run as it
is, with (command-line) as SCRIPT and its ARGUMENTs.  A SCRIPT - is standard input.

  --run=DIR  directory for what the run leaves: config, log, metrics, results;
             runs/NAME-DATE-TIME.  A run that was interrupted or failed is gone on with,
             by its own copy of the script if none is given; a finished one is kept.
  --mended   go on by SCRIPT as it is now, though it has changed since the run began; both
             copies are kept, and which made what.
")
  (when script
    (newline)
    (display (experiment-usage (load-script script)))))

(define (main arguments)
  (let* ((script (find (lambda (a) (or (string=? a "-") (not (string-prefix? "-" a)))) arguments))
         (text (and script (script-text script))))
    (if (and text (plain-script? text))
        (let-values (((before after) (break (lambda (a) (eq? a script)) arguments)))
          (run-plain before after text))
        (run-with-parameters arguments text))))

(define (script-text script)
  ;; What SCRIPT has in it; #f where `load-script' has something to say.
  (cond ((string=? script "-") (get-string-all (current-input-port)))
        ((and (file-exists? script) (not (file-is-directory? script))) (file-text script))
        (else #f)))

(define (run-plain before words text)
  ;; The script that WORDS begin with, its arguments after it; BEFORE are words of this command's.
  (let-values (((options operands) (parse-options "run" options (delete "--help" before))))
    (if (member "--help" before)
        (show-usage #f)
        (begin
          (for-each (lambda (option)
                      (check-that (not (cdr option)) 'run "--~a: ~a defines no experiment, whose run \
would be kept; it can only be run as it is" (car option) (car words)))
                    options)
          (set-program-arguments words)
          (load-script (car words) #:text text #:needed? #f)))))

(define (run-with-parameters arguments text)
  (let-values (((options operands)
                (parse-options "run" options (delete "--help" arguments))))
    (let ((directory (assq-ref options 'run)) (mended (assq-ref options 'mended)))
      (check-that (or directory (not mended)) 'run "--mended: expected --run=DIR with it")
      (cond ((member "--help" arguments)
             (show-usage (and (pair? operands) (car operands))))
            ((and (pair? operands) (or (not mended) (pair? (cdr operands))))
             (run-script (car operands) text (cdr operands) directory mended))
            (directory
             (say-end (call-saying-stopped directory
                       (lambda ()
                         (resume-run directory #:mended (and mended (or (null? operands)
                                                                        (car operands))))))))
            (else
             (complain 'run "expected a script, got none"))))))

(define (run-script script text arguments directory mended)
  (set-program-arguments (cons script arguments))
  (let ((experiment (load-script script #:text text #:needed? #f)))
    ;; A script that loads others may define none after all.
    (when experiment
      (say-end
       ;; Checked before a directory is made.
       (let* ((settings (experiment-settings experiment (settings-from-arguments 'run arguments)))
              (directory (or directory (fresh-directory (experiment-name experiment)))))
         (call-saying-stopped directory
          (lambda ()
            (run-experiment experiment settings #:mended mended #:directory directory))))))))

(define (call-saying-stopped directory thunk)
  ;; After Ctrl-C or an error of the script's, how to go on.
  (after-error
   (lambda ()
     (and (eq? 'failed (false-if-exception (run-state (open-run directory))))
          (format #f "~a/log.txt has its backtrace; once it is mended, go on with: ~a" directory
                  (shell-text (list "tempera" "run" (string-append "--run=" directory) "--mended"))))))
  (call-saying-stop thunk
    (lambda ()
      (format #f "~a: interrupted; go on with: ~a" directory
              (shell-text (list "tempera" "run" (string-append "--run=" directory)))))))

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
