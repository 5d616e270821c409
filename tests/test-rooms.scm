;;; test-rooms.scm -- the house is as CONTRIBUTING.md says: rooms in order, nothing imported upward.
;;;
;;; Of Scheme's modules and of C's folders alike: each uses its own room and those before it.  A
;;; module's name is its path, the Makefile has it, what it exports is documented, and a file
;;; of more than 500 lines says why.  No module but one catches signals with errors.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 ftw) (ice-9 documentation) (ice-9 match) (ice-9 regex) (ice-9 textual-ports)
             (tempera))

(start-tests "rooms")

(define top (test-file ".."))
(define (in-top . parts) (string-join (cons top parts) "/"))
(define (text-of path) (call-with-input-file path get-string-all #:encoding "UTF-8"))

(define (files-below path endings)
  ;; Of the folder PATH of the source tree, from the top.
  (append-map (lambda (name)
                (let ((path (string-append path "/" name)))
                  (cond ((file-is-directory? (in-top path)) (files-below path endings))
                        ((any (lambda (e) (string-suffix? e name)) endings) (list path))
                        (else '()))))
              (scandir (in-top path) (lambda (name) (not (string-prefix? "." name))))))

(define (upward rooms room used)
  ;; The rooms in USED that are not ROOM nor before it.
  (filter (lambda (u) (not (memq u (memq room (reverse rooms))))) used))

;;; --- Scheme -----------------------------------------------------------------------

(define rooms '(base tensor file data problem net sample method run see shell))

(define modules (files-below "scm/tempera" '(".scm")))
(define (module-at path)
  ;; scm/tempera/net/unets.scm -> (tempera net unets)
  (map string->symbol (cdr (string-split (string-drop-right path 4) #\/))))

(define (definition path)
  (call-with-input-file (in-top path) read #:encoding "UTF-8"))

(define (imports path)
  ;; The modules of Tempera that the file at PATH imports.
  (filter-map (lambda (clause)
                (match clause
                  ((or ('tempera . _) (('tempera . _) . _)) (if (pair? (car clause)) (car clause) clause))
                  (_ #f)))
              (let loop ((rest (cddr (definition path))))
                (match rest
                  ((#:use-module spec . rest) (cons spec (loop rest)))
                  ((#:autoload spec names . rest) (cons spec (loop rest)))
                  ((_ . rest) (loop rest))
                  (() '())))))

(define makefile (text-of (in-top "Makefile.am")))

(test-assert "there are modules" (> (length modules) 70))
(for-each
 (lambda (path)
   (let ((name (module-at path)))
     (test-assert (format #f "~a: in a room" path) (and (>= (length name) 3) (memq (second name) rooms)))
     (test-equal (format #f "~a: its name is its path" path) name (cadr (definition path)))
     (test-equal (format #f "~a: imports nothing upward" path) '()
       (upward rooms (second name) (map second (imports path))))
     (test-equal (format #f "~a: (tempera) is for users" path) #f (member '(tempera) (imports path)))
     (test-equal (format #f "~a: once in the Makefile" path) 1
       (length (list-matches (string-append "\n  " (regexp-quote path) "( |\n)") makefile)))))
 modules)

;; Ctrl-C goes through what catches every error.
(test-equal "who catches everything" '("scm/tempera/base/errors.scm")
  (filter (lambda (path) (string-match "\\(catch #t|\\(false-if-exception" (text-of (in-top path))))
          modules))

(test-equal "an import upward is seen" '(see) (upward rooms 'net '(base net see)))

;; Nor in a circle, within a room.
(define (reaches? from to seen)
  (any (lambda (name)
         (or (equal? name to)
             (and (not (member name seen))
                  (reaches? name to (cons name seen)))))
       (let ((path (string-append "scm/" (string-join (map symbol->string from) "/") ".scm")))
         (filter (lambda (name) (eq? (second name) (second to))) (imports path)))))
(for-each (lambda (path)
            (let ((name (module-at path)))
              (test-assert (format #f "~a: in no circle" path) (not (reaches? name name '())))))
          modules)

;;; --- What CONTRIBUTING.md names ---------------------------------------------------------

(define named
  ;; Files in backquotes: `net/unets.scm', `nn/conv.c'.
  (delete-duplicates
   (map (lambda (m) (match:substring m 1))
        (list-matches "`([a-z]+/[a-z/_-]+[.](scm|c|h))`" (text-of (in-top "CONTRIBUTING.md"))))))
(test-assert "it names files" (> (length named) 30))
(for-each (lambda (name)
            (test-assert (format #f "CONTRIBUTING.md: ~a exists" name)
              (any (lambda (folder) (file-exists? (in-top (string-append folder name))))
                   '("" "scm/tempera/" "src/"))))
          named)

;; The walks say so: what computes does not load the compiler.
(define (loads from)
  ;; The files of the modules that FROM imports, and these, and so on.
  (let loop ((names (list from)) (seen '()))
    (cond ((null? names) seen)
          ((member (car names) seen) (loop (cdr names) seen))
          (else (loop (append (imports (string-append "scm/" (string-join (map symbol->string (car names)) "/")
                                                      ".scm"))
                              (cdr names))
                      (cons (car names) seen))))))
(for-each (lambda (name)
            (test-equal (format #f "~a does not load the compiler" name) '(#t #f)
              (let ((all (loads name)))
                (list (and (member '(tempera base errors) all) #t)
                      (and (member '(tempera base evaluation) all) #t)))))
          '((tempera sample anneal) (tempera net training) (tempera method network-files)))
(test-assert "runs do" (member '(tempera base evaluation) (loads '(tempera run runs))))

;;; --- Exports ------------------------------------------------------------------------

(define (exports name) (module-map cons (resolve-interface name)))

(define umbrella (exports '(tempera)))

;; (What a user calls is test-examples.scm's; a command's `main' is what (tempera shell cli) says.)
(for-each
 (lambda (path)
   (for-each
    (lambda (export)
      (let ((value (and (variable-bound? (cdr export)) (variable-ref (cdr export)))))
        (when (and (procedure? value) (not (eq? (cdr export) (assq-ref umbrella (car export)))))
          (test-assert (format #f "~a: ~a is documented" path (car export))
            (or (and (eq? (car export) 'main) (member 'commands (module-at path)))
                (object-property (cdr export) 'documentation)
                (object-documentation value)
                (parameter? value))))))
    (exports (module-at path))))
 modules)

;;; --- C --------------------------------------------------------------------------------

(define folders '(core tensor autograd nn fourier mcmc image io mpi guile))

(define (included path)
  ;; The folders of src/ that the file at PATH includes from.
  (map (lambda (m) (string->symbol (match:substring m 1)))
       (list-matches "#include \"([a-z]+)/" (text-of (in-top path)))))

(define sources (files-below "src" '(".c" ".h")))
(for-each
 (lambda (path)
   (let ((folder (string->symbol (second (string-split path #\/)))))
     (test-assert (format #f "~a: in a folder" path) (memq folder folders))
     (test-equal (format #f "~a: includes nothing upward" path) '()
       (upward folders folder (included path)))))
 sources)

;;; --- Length -----------------------------------------------------------------------------

(define most-lines 500)

(define (long? path) (> (length (string-split (text-of (in-top path)) #\newline)) (1+ most-lines)))

(define (reason path)
  ;; In the comment at its head: "Long, since ...".
  (string-contains (string-take (text-of (in-top path)) 1500) "Long, since "))

;; Each of these has two ideas or more and is to be divided; none may join them.
(define undivided
  '())

(for-each (lambda (path)
            (test-assert (format #f "~a: ~a lines at most, or its head says why" path most-lines)
              (if (member path undivided)
                  (long? path)          ; else it leaves the list
                  (or (not (long? path)) (reason path)))))
          (append modules sources
                  (append-map (lambda (folder) (files-below folder '(".scm" ".c")))
                              '("experiments" "bench" "tests"))))

(finish-tests)
