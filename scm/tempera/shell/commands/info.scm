;;; info.scm -- `tempera info': what files hold.

(define-module (tempera shell commands info)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera data file-info)
  #:use-module (tempera shell options)
  #:export (main summary))

(define summary "say what files hold: shape, coils, sampling, noise")

(define (main arguments)
  (let-values (((options files)
                (parse-options "info" '() arguments #:operands "FILE..."
                               #:text "Say what each FILE holds, of any format that is read: images, volumes, k-space
and raw data; FILE:/NAME is the array NAME of a file with several.")))
    (check-that (pair? files) 'info "expected FILE..., got none")
    (for-each (lambda (file)
                (for-each (lambda (line) (format #t "~a~%" line))
                          (file-info-lines (file-info file)))
                (unless (eq? file (car (reverse files))) (newline)))
              files)))
