;;; environment.scm -- the machine and the versions that a result may depend on.

(define-module (tempera run environment)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (tempera base errors)
  #:use-module (tempera base program)
  #:use-module (tempera file programs)
  #:use-module (tempera tensor primitives)
  #:export (environment commit-of absolute-name call-in-folder))

(define (first-line . command)
  ;; What COMMAND says first, or #f when it fails or is not there.
  (and (program-exists? (car command))
       (let* ((pipe (with-error-to-port (%make-void-port "w")
                      (lambda () (apply open-pipe* OPEN_READ command))))
              (line (get-line pipe)))
         (and (zero? (close-pipe pipe)) (string? line) line))))

(define (commit-of folder)
  "The git commit of the files in FOLDER, with \"-dirty\" when some differ; #f outside of git."
  ;; A repository's own settings could name a program as its file system monitor.
  (first-line "git" "-C" folder "-c" "core.fsmonitor=false"
              "describe" "--always" "--dirty" "--abbrev=40"))

(define (processor)
  (or (false-if-error
       (let* ((text (call-with-input-file "/proc/cpuinfo" get-string-all))
              (found (string-match "model name[ \t]*: ([^\n]*)" text)))
         (and found (match:substring found 1))))
      (utsname:machine (uname))))

(define (environment)
  "What a result may depend on besides its script and settings: an association list of the
versions of Tempera and its libraries, and of host, processor, instruction set and threads.
Example: (assq-ref (environment) 'threads)"
  `((version . ,tempera-version)
    (libraries ("guile" . ,(version)) ,@(library-versions))
    (host . ,(gethostname))
    (system . ,(format #f "~a ~a" (utsname:sysname (uname)) (utsname:release (uname))))
    (processor . ,(processor))
    (instruction-set . ,(instruction-set))
    (threads . ,(threads))))

;;; --- Folders ------------------------------------------------------------------

(define (absolute-name path)
  "PATH from the root on, that means the same in any folder.
Example: (absolute-name \"/tmp/x\") => \"/tmp/x\""
  (if (string-prefix? "/" path) path (string-append (getcwd) "/" path)))

(define (call-in-folder folder thunk)
  "What THUNK returns, called in FOLDER if there still is one: names in settings mean what they did.
Example: (call-in-folder \"/tmp\" getcwd) => \"/tmp\""
  (if (and (string? folder) (false-if-error (file-is-directory? folder)))
      (let ((here (getcwd)))
        (dynamic-wind
          (lambda () (chdir folder))
          thunk
          (lambda () (chdir here))))
      (begin
        (format (current-error-port) "the folder ~a is gone; going on in ~a~%" folder (getcwd))
        (thunk))))
