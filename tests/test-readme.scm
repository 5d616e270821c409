;;; test-readme.scm -- the session in README.md works as printed.
;;;
;;; Its lines go to the real prompt in order, in an empty folder; what it prints is compared as
;;; sessions.scm has it.

(use-modules (harness) (sessions)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 regex) (ice-9 textual-ports))

(start-tests "readme")

(define steps
  (append-map session-steps
              (markdown-blocks (call-with-input-file (test-file "../README.md") get-string-all
                                                     #:encoding "UTF-8"))))
(define printing (remove (lambda (step) (string-null? (step-output step))) steps))

(test-assert "ten lines or so" (>= (length steps) 8))
(test-equal "a comment holds of its block" '(((part 1/20 "2")) ((part 1/20 "2")) ())
  (map step-within
       (append-map session-steps
                   (markdown-blocks (string-append "<!-- within 5%: 2 -->\n\n    tempera> 1\n    2\n"
                                                   "    tempera> 3\n\nThen\n\n    tempera> 4\n")))))

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (call-with-output-file "session"
     (lambda (port)
       (for-each (lambda (step) (format port "~s~%" (step-form step))) steps)))
   (let* ((pipe (open-input-pipe "tempera < session 2>&1"))
          (output (get-string-all pipe))
          (status (close-pipe pipe))
          (values (filter (lambda (line) (string-match "^\\$[0-9]+ = " line))
                          (string-split output #\newline))))
     (test-equal "status" 0 (status:exit-val status))
     (test-equal "no error" #f (and (string-contains output "(,bt shows where that came from.)") output))
     (test-equal "as many values as are printed" (length printing) (length values))
     (for-each (lambda (step value) (check-output "README.md" step value)) printing values)
     (test-assert "a picture" (file-exists? "mean.png")))
   (chdir "/")))

(finish-tests)
