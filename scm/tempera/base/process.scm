;;; process.scm -- what this process has of the system: memory.

(define-module (tempera base process)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 rdelim)
  #:export (process-memory))

(define (process-memory)
  "Bytes of memory that this whole process has now (resident) and has had at most (peak),
as an association list; without what the system does not tell (/proc/self/status of
Linux does).
Example: (assq-ref (process-memory) 'peak)"
  (define (kilobytes line name)
    (and (string-prefix? name line)
         (string->number (car (string-tokenize (substring line (string-length name)))))))
  (if (file-exists? "/proc/self/status")
      (call-with-input-file "/proc/self/status"
        (lambda (port)
          (let loop ((line (read-line port)) (found '()))
            (if (eof-object? line)
                found
                (loop (read-line port)
                      (append (filter-map (lambda (key name)
                                            (let ((n (kilobytes line name)))
                                              (and n (cons key (* 1024 n)))))
                                          '(resident peak) '("VmRSS:" "VmHWM:"))
                              found))))))
      '()))
