;;; test-modules.scm -- (tempera) has every name of its modules once.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 ftw) (ice-9 documentation)
             (tempera))

(start-tests "modules")

;; A user meets the others at the prompt; these are the house's own.
(define inner
  '(cli completion environment evaluation interrupts parameters recorders registries repl report-chain report-page
        run-files settings streams suggestions terminal))

(define modules
  (filter-map (lambda (file)
                (and (string-suffix? ".scm" file)
                     (string->symbol (string-drop-right file 4))))
              (scandir (test-file "../scm/tempera"))))

(define (exports name)
  (module-map cons (resolve-interface `(tempera ,name))))

(define umbrella
  (module-map cons (resolve-interface '(tempera))))

(for-each
 (lambda (name)
   (for-each
    (lambda (export)
      (let ((value (and (variable-bound? (cdr export)) (variable-ref (cdr export)))))
        ;; (What a user calls is test-examples.scm's.)
        (when (and (procedure? value) (memq name inner) (not (parameter? value)))
          (test-assert (format #f "(tempera ~a): ~a is documented" name (car export))
            (object-documentation value)))
        (unless (memq name inner)
          (test-eq (format #f "(tempera) has ~a of (tempera ~a)" (car export) name)
            (cdr export) (assq-ref umbrella (car export))))))
    (exports name)))
 modules)

(finish-tests)
