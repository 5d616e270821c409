;;; run.scm -- the report of a run: its outcome, pictures, metrics, settings, log and script.

(define-module (tempera see report run)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base evaluation)
  #:use-module (tempera base progress)
  #:use-module (tempera file programs)
  #:use-module (tempera file tables)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera run training-runs)
  #:use-module (tempera see report metrics)
  #:use-module (tempera see report page)
  #:use-module (tempera see report registry)
  #:use-module (tempera see validation-charts)
  #:export (run-report pair-rows script-block))

(define most-picture-bytes 12000000)    ; of a run's pictures in all

(define (image-blocks run)
  ;; The pictures of RUN, up to MOST-PICTURE-BYTES together, and the names of those left out.
  (let loop ((paths (run-pictures run)) (bytes 0) (in '()) (out '()))
    (match paths
      ((path . rest)
       (let ((size (stat:size (stat path)))
             (name (substring path (1+ (string-length (run-directory run))))))
         (if (<= (+ bytes size) most-picture-bytes)
             (loop rest (+ bytes size) (cons (picture-data path name) in) out)
             (loop rest bytes in (cons name out)))))
      (()
       (list (and (pair? in) (block "images" `("images" . ,(list->vector (reverse in)))))
             (and (pair? out)
                  (text-block (format #f "Left out, since they are large: ~a."
                                      (string-join (reverse out) ", ")))))))))

(define (pair-rows alist)
  "The pairs of ALIST whose names are symbols or strings, as rows of `facts'.
Example: (facts (pair-rows (run-outcome run)))"
  (filter-map (match-lambda
                (((? symbol? name) . value) (list (symbol->string name) value))
                (((? string? name) . value) (list name value))
                (_ #f))
              alist))

(define (script-block directory)
  "The script that the run or sweep in DIRECTORY kept; #f where there is none.
Example: (script-block \"runs/norms\")"
  (let ((path (string-append directory "/script.scm")))
    (and (file-exists? path) (log-block (file-text path)))))

(define (environment-rows config)
  `(,@(filter-map (lambda (key) (let ((value (assq-ref config key)))
                                  (and value (list (symbol->string key) value))))
                  '(version commit started host system processor instruction-set threads))
    ,@(pair-rows (or (assq-ref config 'libraries) '()))))

(define (run-summary run)
  (format #f "~a~a~a" (run-state run)
          (if (eq? (run-state run) 'finished)
              (format #f " in ~a" (duration-text (run-seconds run)))
              "")
          (let ((started (assq-ref (run-config run) 'started)))
            (if started (format #f ", started ~a" started) ""))))

(define (run-report run)
  "The report of RUN: what it came to, its pictures, metrics, validation, settings, log and script.
Example: (report-text (run-report (open-run \"runs/norms\")))"
  (let ((config (run-config run)) (metrics (run-metrics run)) (validation (run-validation run))
        (directory (run-directory run)))
    (report (format #f "~a" (assq-ref config 'experiment))
            (run-summary run)
            (section "Outcome"
                     (and (run-error run)
                          (block "notes" '("good" . #f) `("items" . ,(vector (run-error run)))))
                     (facts (pair-rows (run-outcome run))))
            (apply section "Pictures" (image-blocks run))
            (and (pair? (table-rows metrics))
                 (section "Metrics" (metric-charts `(("" . ,metrics)))
                          (table-block "Rows as they were recorded" metrics)))
            (and (pair? (table-rows validation))
                 (section "Validation" (chart-block (validation-charts validation))
                          (table-block "Losses on held-out images" validation)))
            (section "Configuration" (facts (pair-rows (assq-ref config 'settings))))
            (section "How to run it again"
                     (command-block (shell-text (list "tempera" "rerun" directory)))
                     (let ((command (assq-ref config 'command)))
                       (and (pair? command) (every string? command)
                            (facts `(("It was run by" ,(shell-text command)))))))
            (section "Log" (log-block (run-log run)))
            (section "Made with" (facts (environment-rows config)))
            (section "Script" (script-block directory)))))

(add-report! run? run-report)
