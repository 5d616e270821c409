;;; test-instruction-sets.scm -- the layers' C tests by each set of kernels that this processor
;;; can run, forced one after the other.
(use-modules (harness) (ice-9 popen) (ice-9 rdelim) (tempera))
(start-tests "instruction sets")

(define (first-line command)
  (let* ((port (open-input-pipe command)) (line (read-line port)))
    (close-pipe port)
    line))

(define (set-in-force name)
  (first-line (string-append "TEMPERA_ISA=" name " guile -c "
                             "'(use-modules (tempera primitives)) (display (instruction-set))'")))

(for-each
 (lambda (name)
   (if (equal? name (set-in-force name))
       (test-equal (string-append "layers by " name) 0
         (status:exit-val (system (string-append "TEMPERA_ISA=" name " tests/test-nn"))))
       (format #t "this processor has no ~a~%" name)))
 '("generic" "v3" "v4" "v4-bf16"))

;; An unknown name changes nothing.
(test-equal "unknown" (set-in-force "") (set-in-force "v5"))
(finish-tests)
