;;; registry.scm -- (write-report OBJECT PATH): an object as one HTML file that needs nothing else.
;;;
;;; The modules beside this one add the kinds of objects that have a report; a program loads
;;; those it needs.

(define-module (tempera see report registry)
  #:use-module (tempera base errors)
  #:use-module (tempera base keywords)
  #:use-module (tempera base registries)
  #:use-module (tempera file paths)
  #:use-module (tempera see report page)
  #:export (write-report add-report!))

(define reports
  (make-registry 'write-report "a chain, a run or a sweep"))

(define (add-report! predicate procedure)
  "Let `write-report' write of what PREDICATE is true of: PROCEDURE of the object and of the
keywords that `write-report' does not know itself gives a `report'."
  (registry-add! reports 'add-report! predicate procedure))

(define (page-path path)
  ;; PATH itself if it names a page, else report.html in that folder.
  (if (string-suffix? ".html" path) path (string-append path "/report.html")))

(define (write-report object path . options)
  "Write a report of OBJECT, a chain, a run or a sweep, to the HTML file PATH, or to report.html in
the folder PATH when that does not end in .html; returns the file's name.  The one file needs
no network and no other: of a chain, pictures with sliders through samples and temperatures,
mean and standard deviation with the histogram of the pixel under the pointer, traces,
schedules, the diagnosis, the settings; of a run, what it came to, its pictures, metrics, log,
script; of a sweep, its table, with charts over its parameters.  #:title stands over it.  Of a
chain, #:truth, an image, adds error and PSNR, and #:command is what is run to make it again.
Example: (write-report chain \"chain.html\" #:truth scan)"
  (check-that (and (string? path) (not (string-null? path))) 'write-report
              "path: expected a string, got ~s" path)
  (call-with-values (lambda () (split-options 'write-report '(#:title) options))
    (lambda (own others)
      (let ((title (and (pair? own) (cadr own))) (file (page-path path)))
        (check-that (or (not title) (string? title)) 'write-report
                    "title: expected a string or #f, got ~s" title)
        (check-output 'write-report (dirname file) (list (basename file)))
        (let ((report (registry-apply reports object others)))
          (save-text file (report-text report #:title (or title (report-title report))))
          file)))))
