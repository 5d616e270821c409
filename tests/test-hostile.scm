;;; test-hostile.scm -- what no file, name or argument may do: run a command, end the program.
;;;
;;; Every attack here once worked, or is of the kind of one that did.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 textual-ports)
             (tempera)
             (tempera file programs))

(start-tests "hostile")

(call-with-temporary-directory
 (lambda (folder)
   (define here (getcwd))
   (chdir folder)

   ;;; --- Commands in text for other programs -------------------------------------

   (define (no-command-ran name)
     ;; A command of an attack makes a file of this name.
     (test-assert name (not (find (lambda (file) (string-prefix? "pwned" file))
                                  (scandir-here)))))
   (define (scandir-here) ((@ (ice-9 ftw) scandir) "."))
   (define line '((0 0) (1 1)))

   (for-each
    (lambda (name text)
      (error-message-of (lambda ()
               (save-charts "chart.png"
                            (list (chart text (list (series 'line line #:title text))
                                         #:x-label text #:y-label text
                                         #:x-names (list text "b") #:y-names (list text "b"))
                                  (heat-chart text '((1 2) (3 4)) #:value-label text
                                              #:x-names (list text "b"))))))
      (test-assert (string-append "a chart is drawn: " name) (file-exists? "chart.png"))
      (when (file-exists? "chart.png") (delete-file "chart.png"))
      (no-command-ran (string-append "text of a chart: " name)))
    '("newlines" "quotes" "backtick" "return" "continued" "end of a block")
    '("v\n!touch pwned\n" "';system('touch pwned')#" "`touch pwned`" "v\r!touch pwned\r"
      "v\\\n!touch pwned" "end\nend\n!touch pwned"))
   ;; gnuplot reads a line only to its first NUL, and takes the next line for the rest.
   (for-each
    (lambda (command)
      (test-equal "NUL" #f
        (error-message-of (lambda () (save-charts "chart.png" (list (chart "a\0" (list (series 'line line))
                                                                #:x-label command)))))))
    '(";system(\"touch pwned\")#" "';system('touch pwned')#"))
   (no-command-ran "text of a chart: NUL")
   (for-each
    (lambda (path)
      (error-message-of (lambda () (save-charts path (list (chart "a" (list (series 'line line)))))))
      (no-command-ran (string-append "the picture's name: " path)))
    '("|touch pwned;.png" "a\n!touch pwned\n.png" "`touch pwned`.png" "';system('touch pwned')#.png"))
   (test-assert "a name that begins with a pipe is a name" (file-exists? "|touch pwned;.png"))
   (call-with-output-file "table.csv"
     (lambda (port) (display "a,b,c\n1,2,\"v\n!touch pwned\n\"\n2,3,w\n" port)))
   (save-charts "table.png" (list (table-chart (load-table "table.csv") #:x 'a #:y 'b #:by 'c)))
   (no-command-ran "a value of a table")
   (test-error-matching "scale" "scale: expected"
     (save-charts "chart.png" (list (chart "a" (list (series 'line line)))) #:scale "1; system('touch pwned')"))
   (test-error-matching "colours" "colours: expected"
     (save-charts "chart.txt" (list (chart "a" (list (series 'line line)))) #:colours "256"))

   (test-equal "a name that is an option" "./-o" (file-argument "-o"))
   (test-equal "an absolute name stays" "/a/-o" (file-argument "/a/-o"))
   ;; In place of dcm2niix, which would take a folder's name for an option: what it was called with.
   (mkdir "-o")
   (mkdir "programs")
   (call-with-output-file "programs/dcm2niix"
     (lambda (port) (display "#!/bin/sh\nfor last in \"$@\"; do :; done\necho \"$last\" >called\n" port)))
   (chmod "programs/dcm2niix" #o755)
   (let ((path (getenv "PATH")))
     (setenv "PATH" (string-append folder "/programs:" path))
     (test-error-matching "a folder named -o" "-o: no DICOM images" (load-dicom "-o"))
     (setenv "PATH" path))
   (test-equal "no option" "./-o\n" (call-with-input-file "called" get-string-all))
   (chdir here)))

(finish-tests)
