;;; test-claims.scm -- one process at a time runs a run, by locks and, where these do not hold, by links.
;;;
;;; Another host is a claim with another name in it.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 ftw) (ice-9 popen) (ice-9 textual-ports)
             (tempera) (tempera run claims) (tempera run run-files))

(start-tests "claims")

(define (claims directory)
  (scandir directory (lambda (name) (string-prefix? "claim-" name))))

(define (claim-of-other! directory number seconds-ago)
  (let ((path (format #f "~a/claim-~a" directory number)))
    (call-with-output-file path (lambda (port) (display "elsewhere 1\n" port)))
    (utime path (- (current-time) seconds-ago) (- (current-time) seconds-ago))))

(define (text-of path) (call-with-input-file path get-string-all))

(call-with-temporary-directory
 (lambda (folder)
   (define (in-folder name) (let ((path (string-append folder "/" name))) (make-directories path) path))
   (let* ((run (in-folder "lock")) (let-go (claim run)))
     (test-assert "claimed" (procedure? let-go))
     (test-equal "by the lock alone" '() (claims run))
     (test-assert "one can tell" (run-claimed? run))
     (test-equal "nobody else gets it" #f (claim run))
     (let-go)
     (test-assert "and no more" (not (run-claimed? run))))

   (setenv "TEMPERA_CLAIMS" "links")
   (let* ((run (in-folder "links")) (let-go (claim run)))
     (test-equal "by a link too" '("claim-1") (claims run))
     (test-assert "that says whose it is" (string-prefix? (gethostname) (text-of (string-append run "/claim-1"))))
     (let-go)
     (test-assert "let go of" (not (run-claimed? run)))
     (let ((let-go (claim run)))
       (test-equal "the next has the next number" '("claim-1" "claim-2") (claims run))
       (let-go)))
   (let ((run (in-folder "other")))
     (claim-of-other! run 1 30)
     (test-assert "another host's" (run-claimed? run))
     (test-equal "is respected" #f (claim run))
     (test-equal "and nothing is left behind" '("claim-1") (claims run))
     (unsetenv "TEMPERA_CLAIMS")
     (test-equal "also by who does not know of links" #f (claim run))
     (setenv "TEMPERA_CLAIMS" "links")
     (claim-of-other! run 1 130)
     (test-assert "until it is silent for two minutes" (not (run-claimed? run)))
     (let ((let-go (claim run)))
       (test-assert "then it is followed" (procedure? let-go))
       (let-go)))
   ;; As many as there may be, all at once, on hosts whose locks do not see each other.
   (let* ((run (in-folder "race"))
          (program (string-append "(use-modules (tempera run claims)) "
                                  "(define links (@@ (tempera run claims) link-claim)) "
                                  "(display (if (links \"" run "\") \"won\" \"lost\"))"))
          (ports (map (lambda (k) (open-pipe* OPEN_READ "sh" "-c" "exec guile --no-auto-compile -c \"$0\"" program))
                      (iota 6)))
          (said (map (lambda (port) (let ((text (get-string-all port))) (close-pipe port) text)) ports)))
     ;; Of one host a claim that is not locked is a dead process's: each follows the one before, and none has the number of another.
     (test-equal "no claim is made twice" (count (lambda (text) (string=? text "won")) said) (length (claims run))))
   (let ((run (in-folder "followed")) (stopped #f))
     (let ((let-go (claim run)))
       (sigaction SIGTERM (lambda (signal) (set! stopped #t)))
       (claim-of-other! run 2 0)
       (let wait ((tries 150))
         (unless (or stopped (zero? tries)) (usleep 100000) (wait (1- tries))))
       (sigaction SIGTERM SIG_DFL)
       (test-assert "who is followed stops" stopped)
       (let-go)))
   (test-assert "claims are a run's own files" (and (own-name? "claim-1") (own-name? "claim-12")))))

(finish-tests)
