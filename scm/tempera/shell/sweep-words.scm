;;; sweep-words.scm -- what the commands of sweeps share: the points that words spell, and what is said at
;;; the end.

(define-module (tempera shell sweep-words)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera base spelling)
  #:use-module (tempera file tables)
  #:use-module (tempera run experiments)
  #:use-module (tempera run points)
  #:use-module (tempera run sweeps)
  #:export (points-options points-of-words say-end))

(define points-options
  (parameter-specs
   (random (optional integer) positive? "this many points at random from ranges")
   (sobol (optional integer) positive? "this many Sobol points from ranges")
   (seed 0 (lambda (n) (>= n 0)) "of --random")))

;;; --- Points --------------------------------------------------------------------------

(define (spec-of who experiment name)
  (or (find (lambda (p) (eq? (parameter-name p) name)) (experiment-parameters experiment))
      (complain who "~a" (unknown-name-text
                             "parameter" (symbol->string name)
                             (map (compose symbol->string parameter-name)
                                  (experiment-parameters experiment))))))

(define (values-of who spec text)
  ;; The values that TEXT lists for the parameter SPEC.
  (map (lambda (text) (parameter-parse who spec text))
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

(define (varied who experiment settings many)
  ;; SETTINGS, pairs of name and text: those that all points share, and arguments for MANY, a
  ;; procedure such as `grid', with one range or list of values for each of the others.
  (let loop ((rest settings) (shared '()) (arguments '()))
    (if (null? rest)
        (values (reverse shared) (reverse arguments))
        (let* ((name (caar rest)) (text (cdar rest))
               (spec (spec-of who experiment name))
               (range (and (not (eq? many grid)) (range-of text)))
               (all (if range '() (values-of who spec text))))
          (if (and (not range) (= (length all) 1))
              (loop (cdr rest) (cons (cons name (car all)) shared) arguments)
              (loop (cdr rest) shared
                    (cons* (or range all) (symbol->keyword name) arguments)))))))

(define* (points-of-words who experiment settings ref #:key (single? #f))
  "Two values of SETTINGS, names and text as `experiment-words' gives them: the settings that all points
share, and the points; REF is a procedure from the name of one of `points-options' to its value.  Where
nothing is varied there is a single point if SINGLE?, else an error of WHO."
  (check-that (not (and (ref 'random) (ref 'sobol))) who "expected --random or --sobol, got both")
  (let ((many (cond ((ref 'random)
                     (lambda arguments
                       ;; The experiment's own seed, if given, is shared or an error.
                       (check-that (not (memq #:seed arguments)) who
                                   "seed: --random has no range for it; give one value")
                       (apply random-points (ref 'random) #:seed (ref 'seed) arguments)))
                    ((ref 'sobol) (lambda arguments (apply sobol-points (ref 'sobol) arguments)))
                    (else grid))))
    (let-values (((shared arguments) (varied who experiment settings many)))
      (cond ((pair? arguments) (values shared (apply many arguments)))
            (single? (values shared '(())))
            (else (complain who "expected a parameter with several values, such as KEY=1,2,3, got none"))))))

;;; --- The end ---------------------------------------------------------------------------

(define (say-end sweep)
  "Print the results of SWEEP; an error if points failed, or had no room on the disk."
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
