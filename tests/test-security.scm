;;; test-security.scm -- the manual's promises (doc/security.texi), a test for each.
;;;
;;; More of the attacks that each is to hold against are in test-hostile, test-damage and test-formats.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 binary-ports) (ice-9 ftw) (ice-9 iconv) (ice-9 regex) (ice-9 textual-ports)
             (rnrs bytevectors)
             (tempera) (tempera file programs) (tempera run recorders))

(start-tests "security")

(define (text-of path) (call-with-input-file path get-string-all #:encoding "UTF-8"))

(define promises
  ;; Their first words in the manual, in order.
  (let* ((text (text-of (test-file "../doc/security.texi")))
         (text (substring text (string-contains text "@enumerate"))))
    (map (lambda (found) (match:substring found 1))
         (list-matches "@item\n([^.,]*)" text))))

(define tried '())
(define-syntax-rule (promise words test ...)
  ;; WORDS begin the promise that TESTs are of.
  (begin (set! tried (cons words tried)) test ...))

(define (sources)
  ;; The text of all modules, by name.
  (let ((root (test-file "../scm")))
    (file-system-fold (const #t)
                      (lambda (path stat all)
                        (if (string-suffix? ".scm" path) (acons path (text-of path) all) all))
                      (lambda (path stat all) all) (lambda (path stat all) all)
                      (lambda (path stat all) all) (lambda (path stat errno all) all)
                      '() root)))

(call-with-temporary-directory
 (lambda (folder)
   (chdir folder)
   (define evil "#.(begin (system \"touch pwned\") 1)")
   (define (save-as path text) (call-with-output-file path (lambda (port) (display text port))))
   (define (refused? thunk) (string? (error-message-of thunk)))
   (define (nothing-ran) (not (file-exists? "pwned")))
   (define-syntax-rule (test-nothing name expression ...)
     (begin (for-each error-message-of (list (lambda () expression) ...))
            (test-assert name (nothing-ran))))

   (define script "(define-experiment toy ((n 1 positive?)) (system \"touch pwned\") (record-metrics! '((step . 1))) n)")
   (save-as "toy.scm" "(define-experiment toy ((n 1 positive?)) (record-metrics! '((step . 1))) n)")
   (run-experiment (load-script "toy.scm") '() #:directory "run")
   (save-network "prior.safetensors" (score-network '(moons-mlp #:width 4)))

   (promise "Files are data"
     (save-as "a.scm" evil) (save-as "a.csv" (string-append "a\n" evil "\n")) (save-as "a.json" evil)
     (test-nothing "readers evaluate nothing" (load-datum "a.scm") (load-table "a.csv") (load-json "a.json"))
     ;; What could: named where scripts and the prompt are, and nowhere else.
     (test-equal "where anything is evaluated"
       '("evaluation.scm")
       (sort (filter-map (lambda (entry)
                           (and (string-match "\\((eval|primitive-eval|compile|load-from-path|primitive-load) " (cdr entry))
                                (basename (car entry))))
                         (sources))
             string<?)))

   (promise "No text from a file"
     (save-charts "chart.png" (list (chart "`touch pwned`" (list (series 'line '((0 0) (1 1)) #:title "\n!touch pwned\n")))))
     (test-assert "a chart's text" (nothing-ran))
     (test-equal "no option" "./-rf" (file-argument "-rf"))
     (test-equal "no shell is asked to run text" '()
       (filter-map (lambda (entry) (and (string-match "\\((system|open-input-pipe|open-output-pipe) [\"(]" (cdr entry))
                                        (basename (car entry))))
                   (sources))))

   (promise "Weights"
     (call-with-values (lambda () (load-safetensors "prior.safetensors"))
       (lambda (tensors metadata)
         (for-each
          (lambda (body)
            (save-safetensors "changed.safetensors" tensors
                              #:metadata (acons "body" body (remove (lambda (m) (string=? "body" (car m))) metadata)))
            (test-assert body (refused? (lambda () (load-network "changed.safetensors"))))
            (test-assert "nothing ran" (nothing-ran)))
          (list evil "(system \"touch pwned\")" "(moons-mlp #:width (system \"touch pwned\"))")))))

   (promise "Looking at a run or a sweep"
     (save-as "run/script.scm" script)
     (test-nothing "a run" (run-outcome (open-run "run")) (run-metrics (open-run "run")) (run-log (open-run "run"))
                   (write-report (open-run "run") "report.html"))
     (test-assert "it was looked at" (file-exists? "report.html")))

   (promise "A report is one file"
     (save-as "run/log.txt" "<script>alert(1)</script><img src=http://example.org/x onerror=alert(2)>")
     (write-report (open-run "run") "report.html")
     (let ((page (text-of "report.html")))
       (test-assert "text is text" (not (string-contains page "<script>alert(1)")))
       (test-assert "nor is it markup" (not (string-contains page "<img src=http")))
       (test-equal "nothing from elsewhere" '()
         (map match:substring (list-matches "<[a-z]+ [^<>]*(src|href)=[\"']?https?:" page)))))

   (promise "An experiment's @code{run-path}"
     (for-each (lambda (name)
                 (test-assert name
                   (refused? (lambda ()
                               (parameterize ((current-recorder (start-recorder "run"))) (run-path name))))))
               '("../a" "/tmp/a" "b/../../a" "config.scm" "script.scm")))

   (promise "Only regular files are read"
     (system* "mkfifo" "fifo.npy")
     (test-error-matching "a pipe" "expected a regular file" (load-npy "fifo.npy"))
     (test-error-matching "a device" "expected a regular file" (load-npy "/dev/zero")))

   (promise "What a file claims to hold"
     (save-npy "small.npy" (list->tensor '(1 2)))
     (let* ((bytes (call-with-input-file "small.npy" get-bytevector-all #:binary #t))
            (text (bytevector->string bytes "ISO-8859-1"))
            (at (string-contains text "(2,)")))
       (call-with-output-file "claims.npy"
         (lambda (port)
           (display (string-append (substring text 0 at) "(99999999999,)" (substring text (+ at 14))) port))
         #:encoding "ISO-8859-1"))
     (test-assert "an npy of 400 GB" (refused? (lambda () (load-npy "claims.npy")))))

   (promise "A file that refers to another outside of itself"
     ;; By test-formats, of a file that another library writes.
     (test-assert "tried there" (string-contains (text-of (test-file "test-formats.scm")) "external=")))

   (promise "A file whose bits have flipped is an error"
     (let ((bytes (call-with-input-file "prior.safetensors" get-bytevector-all #:binary #t)))
       (bytevector-u8-set! bytes (1- (bytevector-length bytes))
                           (logxor 1 (bytevector-u8-ref bytes (1- (bytevector-length bytes)))))
       (call-with-output-file "flipped.safetensors" (lambda (port) (put-bytevector port bytes)) #:binary #t)
       (test-assert "weights" (refused? (lambda () (load-network "flipped.safetensors"))))))

   (promise "A damaged file that brings down"
     (test-equal "libraries that are known to fall are tried first" '("hdf5.c" "ismrmrd.c" "mat.c")
       (sort (filter-map (lambda (name)
                           (and (string-contains (text-of (test-file (string-append "../src/io/" name))) "tp_trial (")
                                (not (string-prefix? "trial" name)) name))
                         (scandir (test-file "../src/io") (lambda (name) (string-suffix? ".c" name))))
             string<?)))

   (promise "Files appear whole or not at all"
     (save-text "whole.txt" "before")
     (test-assert "not at all" (refused? (lambda () (save-text "whole.txt" (string #\a #\nul)))))
     (test-equal "as it was" "before" (text-of "whole.txt"))
     (test-equal "a folder that nobody else may enter" #o700
       (call-with-temporary-folder (lambda (folder) (logand #o777 (stat:perms (stat folder)))))))

   (promise "The network is used by @code{data-fetch!} alone"
     (test-equal "what knows of it" '("fetch.scm")
       (filter-map (lambda (entry)
                     (and (string-match "\"(npm|apt-get|curl|wget|git)\"|\\((socket|connect|getaddrinfo) " (cdr entry))
                          (not (string-contains (cdr entry) "\"git\" \"-C\""))
                          (basename (car entry))))
                   (sources))))

   (chdir "/")))

(test-equal "each promise has its tests" promises
  (map (lambda (promise words) (if (string-prefix? words promise) promise words))
       promises (append (reverse tried) (make-list (length promises) "none"))))
(test-equal "each test its promise" (length promises) (length tried))

(finish-tests)
