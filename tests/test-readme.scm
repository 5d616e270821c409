;;; test-readme.scm -- the session in README.md works as printed.
;;;
;;; Its lines go to the prompt in order, in an empty folder.  Values are compared
;;; up to their numbers, whose last digits are the processor's own.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 regex) (ice-9 textual-ports))

(start-tests "readme")

(define readme
  (map string-trim-both
       (string-split (call-with-input-file (test-file "../README.md") get-string-all
                                           #:encoding "UTF-8")
                     #\newline)))

(define prompt "tempera> ")
(define session
  (filter-map (lambda (line)
                (and (string-prefix? prompt line) (substring line (string-length prompt))))
              readme))
(define printed
  (filter (lambda (line) (string-match "^\\$[0-9]+ = " line)) readme))

(define (without-numbers text)
  (regexp-substitute/global #f "[0-9]+(\\.[0-9]+)?" text 'pre "N" 'post))

(test-assert "ten lines or so" (>= (length session) 8))

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (call-with-output-file "session"
     (lambda (port)
       (for-each (lambda (line) (display line port) (newline port)) session)))
   (let* ((pipe (open-input-pipe "tempera < session 2>&1"))
          (output (get-string-all pipe))
          (status (close-pipe pipe))
          (values (filter (lambda (line) (string-match "^\\$[0-9]+ = " line))
                          (string-split output #\newline))))
     (test-equal "status" 0 (status:exit-val status))
     (test-equal "no error" #f (and (string-contains output "(,bt shows where that came from.)") output))
     (test-equal "the values that it prints"
       (map without-numbers printed) (map without-numbers values))
     (test-assert "a picture" (file-exists? "mean.png")))
   (chdir "/")))

(finish-tests)
