;;; claims.scm -- who runs a run: one process at a time, wherever it is.
;;;
;;; On one machine, and on shared file systems where flock holds across hosts, that is a lock of the file `lock', which
;;; the system takes from a process that dies.  Where it does not hold (some NFS, Lustre without -o flock), TEMPERA_CLAIMS=links
;;; adds files claim-1, claim-2, ..., of which the last one counts.  The next is made by a link to a file that is whole: that
;;; succeeds once, on any file system, and no claim is ever removed, so that none can be taken for another.  Who has it touches
;;; it every ten seconds.  One that was not touched for two minutes, by the clock of the file system, or that is of a dead process of this
;;; host, is followed by the next; whose claim is followed stops.

(define-module (tempera run claims)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:autoload (ice-9 threads) (call-with-new-thread)
  #:export (claim run-claimed?))

(define (in-run directory name) (string-append directory "/" name))

;;; --- flock ------------------------------------------------------------------------------

(define (lock directory)
  ;; The lock of the run in DIRECTORY, a port to be kept open; #f while somebody has it.
  (let ((port (catch 'system-error
                (lambda () (open (in-run directory "lock") (logior O_RDWR O_CREAT O_CLOEXEC)))
                (lambda exception
                  (complain 'run-experiment "~a/lock: ~a" directory
                            (strerror (system-error-errno exception)))))))
    (let try ((n 3))                    ; `run-claimed?' may hold it for a moment
      (catch 'system-error
        (lambda () (flock port (logior LOCK_EX LOCK_NB)) port)
        (lambda (key . arguments)
          (let ((errno (system-error-errno (cons key arguments))))
            (cond ((not (= errno EWOULDBLOCK))
                   (close-port port)
                   (complain 'run-experiment "~a/lock: ~a" directory (strerror errno)))
                  ((> n 1) (usleep 20000) (try (1- n)))
                  (else (close-port port) #f))))))))

(define (locked? directory)
  (and (file-exists? (in-run directory "lock"))
       (let* ((port (open (in-run directory "lock") (logior O_RDWR O_CLOEXEC)))
              (free? (catch 'system-error
                       (lambda () (flock port (logior LOCK_SH LOCK_NB)) #t)
                       (const #f))))
         (close-port port)
         (not free?))))

;;; --- Links ------------------------------------------------------------------------------

(define touch-seconds 10)
(define stale-seconds 120)              ; more than a file system keeps what it knows of a file

(define (links?) (equal? (getenv "TEMPERA_CLAIMS") "links"))

(define (claim-path directory number) (in-run directory (format #f "claim-~a" number)))

(define (last-claim directory)
  ;; The number of the last claim in DIRECTORY; 0 before there is one.
  (fold (lambda (name most)
          (max most (or (and (string-prefix? "claim-" name) (string->number (string-drop name 6))) 0)))
        0 (or (scandir directory) '())))

(define (text-of path)
  ;; Opened, so that the file system asks its server how PATH is now.
  (or (false-if-error (call-with-input-file path get-string-all)) ""))

(define (call-with-own-file directory procedure)
  ;; What PROCEDURE returns of the name of a new file in DIRECTORY that says which host and process this is.
  (let* ((port (mkstemp! (string-copy (in-run directory "claim-of-XXXXXX")))) (path (port-filename port)))
    (format port "~a ~a~%" (gethostname) (getpid))
    (fsync port)
    (close-port port)
    (let ((value (procedure path)))
      (delete-file path)
      value)))

(define (stale? directory number own own-lock?)
  ;; Whether nobody has the claim NUMBER of DIRECTORY any more.  OWN: a file written just now; OWN-LOCK?: nobody on this
  ;; host has it, since the lock is ours.
  (let* ((path (claim-path directory number)) (words (string-tokenize (text-of path))))
    (or (and own-lock? (pair? words) (string=? (car words) (gethostname)))
        (> (- (stat:mtime (stat own)) (stat:mtime (stat path))) stale-seconds))))

(define (link-claim directory)
  ;; The number of a claim on the run in DIRECTORY, whose lock is ours; #f while somebody else has it.
  (call-with-own-file directory
   (lambda (own)
     (let ((number (last-claim directory)))
       (and (or (zero? number) (stale? directory number own #t))
            ;; The answer to a link may be lost on its way; the count of names is not.
            (or (false-if-error (begin (link own (claim-path directory (1+ number))) #t))
                (= 2 (stat:nlink (stat own))))
            (1+ number))))))

(define (keep-touching directory number)
  ;; Touch the claim NUMBER until the thunk that is returned lets go of it.
  (define held? #t)
  (define path (claim-path directory number))
  (call-with-new-thread
   (lambda ()
     (let loop ((ticks 0))
       (when held?
         (when (= ticks touch-seconds)
           (false-if-error (utime path))
           (when (and held? (> (last-claim directory) number))
             (format (current-error-port) "~a: another process took it for dead and runs it~%" directory)
             (kill (getpid) SIGTERM)))
         (usleep 1000000)
         (loop (if (= ticks touch-seconds) 1 (1+ ticks)))))))
  (lambda ()
    (set! held? #f)
    (false-if-error (utime path 1 1)))) ; stale at once

;;; --- Both -------------------------------------------------------------------------------

(define (claim directory)
  "A claim on the run in DIRECTORY, a thunk that lets go of it; #f while somebody else has it."
  (let ((port (lock directory)))
    (and port
         (if (or (links?) (positive? (last-claim directory)))
             (let ((number (link-claim directory)))
               (if number
                   (let ((let-go (keep-touching directory number)))
                     (lambda () (let-go) (close-port port)))
                   (begin (close-port port) #f)))
             (lambda () (close-port port))))))

(define (run-claimed? directory)
  "Whether a living process runs the run in DIRECTORY.
Example: (run-claimed? \"runs/two-moons\") => #f"
  (or (locked? directory)
      (and (file-exists? directory)
           (let ((number (last-claim directory)))
             (and (positive? number)
                  (not (call-with-own-file directory
                        (lambda (own) (stale? directory number own #t)))))))))
