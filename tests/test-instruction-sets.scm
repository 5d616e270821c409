;;; test-instruction-sets.scm -- what the environment decides: the layers' C tests by each set of
;;; kernels that this processor can run, forced one after the other; and the number of threads.
(use-modules (harness) (ice-9 popen) (ice-9 rdelim) (ice-9 threads) (tempera))
(start-tests "instruction sets")

(define (first-line command)
  (let* ((port (open-input-pipe command)) (line (read-line port)))
    (close-pipe port)
    line))

(define (shown variables expression)
  ;; What EXPRESSION displays where VARIABLES are set.
  (first-line (format #f "env -u TEMPERA_ISA -u TEMPERA_THREADS -u OMP_NUM_THREADS ~a guile -c ~a"
                      variables
                      (format #f "'(use-modules (tempera tensor primitives)) (display ~s)'" expression))))

(define (set-in-force name)
  (shown (string-append "TEMPERA_ISA=" name) '(instruction-set)))

(for-each
 (lambda (name)
   (if (equal? name (set-in-force name))
       (test-equal (string-append "layers by " name) 0
         (status:exit-val (system (string-append "TEMPERA_ISA=" name " tests/test-nn"))))
       (format #t "this processor has no ~a~%" name)))
 '("generic" "v3" "v4" "v4-bf16"))

;; An unknown name changes nothing.
(test-equal "unknown" (set-in-force "") (set-in-force "v5"))
;;; --- Threads ----------------------------------------------------------------------

(for-each (lambda (variables count)
            (test-equal (string-append "threads by " variables) count
                        (shown variables '(threads))))
          '("OMP_NUM_THREADS=3" "OMP_NUM_THREADS=3,2" "TEMPERA_THREADS=5"
            "TEMPERA_THREADS=5 OMP_NUM_THREADS=3")
          '("3" "3" "5" "5"))
(test-equal "threads by default: the processors at hand"
  (shown "" '(threads)) (number->string (current-processor-count)))

;; What cannot be used is said, and nothing of what can.
(define (warning variables)
  (first-line (format #f "env -u TEMPERA_ISA -u TEMPERA_THREADS ~a tempera --version 2>&1 >/dev/null"
                      variables)))
(for-each (lambda (variable)
            (let ((line (warning variable)))
              (test-assert (string-append "a warning of " variable)
                (and (string? line)
                     (string-prefix? (string-append "tempera: " variable ": expected ") line)))))
          '("TEMPERA_ISA=v5" "TEMPERA_THREADS=many" "TEMPERA_THREADS=0"
            "TEMPERA_THREADS=100000" "TEMPERA_THREADS=-3" "TEMPERA_THREADS=99999999999999999999"))
(test-assert "no warning" (eof-object? (warning "TEMPERA_ISA=generic TEMPERA_THREADS=1")))

(finish-tests)
