;;; test-help.scm -- help finds things by words, and errors about names suggest others.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (system base compile)
             (tempera) (tempera base documentation) (tempera shell cli) (tempera shell completion) (tempera shell help)
             (tempera tensor primitives))

(start-tests "help")

;;; --- Search ---------------------------------------------------------------------

(define (place title question)
  ;; From 1, of what is listed but for the manual's sections, which have places of their own;
  ;; 1000 when it is not there.
  (1+ (or (list-index (lambda (t) (string=? t title))
                      (remove (lambda (t) (string-prefix? "manual: " t)) (help-search question)))
          999)))

(define (take-up-to n l)
  (if (> (length l) n) (take l n) l))

(define (check-found question . expected)
  (for-each (lambda (title)
              (test-assert (format #f "~s finds ~a" question title) (<= (place title question) 10)))
            expected))

(check-found "how do I lower the temperature" "anneal" "geometric" "adaptive")
(test-assert "those first" (<= (place "geometric" "how do I lower the temperature") 3))
(check-found "Training a network?" "make-trainer" "tempera train")
(test-assert "the command among the first"
  (<= (place "tempera train" "Training a network?") 3))
;; The first hour's questions, and where they lead: among the first three of what is listed.
(for-each
 (lambda (entry)
   (let ((found (take-up-to 3 (remove (lambda (title) (string-prefix? "manual: " title))
                                      (help-search (first entry))))))
     (test-assert (format #f "~s leads to ~a: ~a" (first entry) (second entry) found)
       (member (second entry) found))))
 '(("compare two chains" "compare") ("tensor from a function of indices" "tensor-tabulate")
   ("do two chains agree" "compare")
   ("sample from the prior" "Sampling from the prior")
   ("draw samples from a Gaussian prior" "Sampling from the prior")
   ("multi-coil" "Parallel imaging")
   ("can it read multi-coil k-space" "Parallel imaging")
   ("SENSE reconstruction" "Parallel imaging")
   ("estimate the noise" "Noise of a measurement")
   ("what noise should I give" "Noise of a measurement")
   ("radial trajectory" "Radial, spiral, 3-D and dynamic data")
   ("3D volume reconstruction" "Radial, spiral, 3-D and dynamic data")
   ("does it run on a GPU" "GPU and threads")
   ("load my k-space from numpy" "K-space from NumPy, ISMRMRD, scanners")
   ("Siemens twix" "K-space from NumPy, ISMRMRD, scanners")
   ("export to matlab" "K-space from NumPy, ISMRMRD, scanners")
   ("read a NIfTI" "load-nifti")
   ("open a DICOM" "load-dicom")
   ("how many chains" "How many chains, how long")
   ("how long will it take" "How many chains, how long")
   ("confidence interval" "Uncertainty, credible intervals")
   ("uncertainty map" "Uncertainty, credible intervals")
   ("other anatomy, knees" "Another contrast, size or organ")
   ("reconstruct an image" "tempera reconstruct")
   ("undersampling mask" "random-mask")
   ("save a picture" "save-figure")
   ("PSNR" "psnr")
   ("step size too large" "Chains that reject or do not converge")
   ("did the chains converge" "Chains that reject or do not converge")
   ("train on my own images" "Training a prior")
   ("go on with a chain" "resume!")
   ("load the trained network" "load-network")
   ("write a report" "write-report")
   ("quit" "Leave the prompt")
   ("burn-in" "Warm-up, burn-in, NUTS")
   ("NUTS" "Warm-up, burn-in, NUTS")))
(check-found "masks for undersampling" "random-mask" "equispaced-mask" "mri-operator")
(check-found "go on after an interrupt" "resume!")
(check-found "is my sampler calibrated" "tempera calibrate" "calibrate-to")
(check-found "acceptance of a chain" "chain-acceptance")
(check-found "R-hat" "r-hat" "r-hat-between")
(check-found "where is my time spent" "tempera profile" "profile")
(test-equal "words of one family have one stem" '("calibr" "calibr" "converg" "converg" "step")
  (map word-stem '("calibrate" "calibration" "converged" "convergence" "stepping")))
(test-equal "in letters that are not ASCII too" "röntgen" (word-stem "röntgens"))
(test-error-matching "a stem of no word" "word-stem: word: expected a string" (word-stem 3))
(test-equal "an answer is shown whole" #t
  (->bool (string-contains (with-output-to-string (lambda () (help "parallel imaging")))
                           "tempera reconstruct kspace.npy prior=brain")))
(test-equal "a name is first" "chain-std" (first (help-search "chain-std")))
(test-equal "nothing" '() (help-search "xyzzy"))
(test-equal "stop words alone" '() (help-search "how do I"))
(test-error-matching "no question" "question: expected a string, got 3" (help-search 3))

;;; --- What is shown ----------------------------------------------------------------

(define (string-split-at text mark)
  (let ((at (string-contains text mark)))
    (if at (list (substring text 0 at) (substring text at)) (list text))))

(define-syntax-rule (output-of expression)
  (with-output-to-string (lambda () expression)))

(define-syntax-rule (check-shown name expression text ...)
  (let ((output (output-of expression)))
    (test-equal (string-append name ": shows") text (if (string-contains output text) text output))
    ...))

(check-shown "a name" (help power-law)
             "(power-law size #:key (exponent 1.5) (reference 100))" "(sigma / REFERENCE)^EXPONENT"
             "Example: (power-law 10")
(check-shown "a quoted name" (help 'power-law) "(power-law size")
(check-shown "a procedure" (help-about power-law) "(power-law size")
(check-shown "a primitive" (help tensor-slice) "(tensor-slice tensor axis begin #:optional end step)")
(check-shown "a field" (help chain-target) "(chain-target chain)")
(check-shown "syntax" (help define-experiment) "syntax of (tempera run experiments)")
(check-shown "a value" (help paper-schedule) "value of (tempera sample settings)")
(check-shown "a name that is not" (help aneal) "There is no aneal; did you mean anneal?")
(check-shown "words" (help "undersampling mask") "  random-mask  ")
(check-shown "no match" (help "xyzzy") "Nothing is about \"xyzzy\"")
(check-shown "alone" (help) "(help NAME)" "begin" "(define chain (anneal" "posteriors")
(test-equal "asked for by its name" (output-of (help)) (output-of (help "help")))
(check-shown "help itself" (help help) "syntax of (tempera shell help)")
;; What it says to type works, what it names is there.
(let ((lines (map string-trim-both (string-split (output-of (help)) #\newline)))
      (module (make-fresh-user-module)))
  (module-use! module (resolve-interface '(tempera)))
  (test-assert "its first lines run"
    (begin (for-each (lambda (line)
                       (when (any (lambda (start) (string-prefix? start line))
                                  '("(define " "(show " "(diagnose "))
                         (output-of (eval (call-with-input-string line read) module))))
                     lines)
           (chain-finished? (module-ref module 'chain))))
  (test-equal "its names" '()
              (remove (lambda (name) (memq name (documented-names)))
                      (append-map (lambda (subject) (cdr subject)) (@@ (tempera shell help) subjects)))))
(check-shown "a title" (help "tempera train") "tempera train --help")
(check-shown "of a user's procedure"
             (eval '(begin (define (twice x) "Two times X." (* 2 x)) (help twice))
                   (current-module))
             "Two times X.")
(check-shown "of a number" (help-about 3) "3 has no documentation")
(define (widest text)
  (apply max (map string-length (string-split text #\newline))))
(for-each
 (lambda (columns)
   (setenv "COLUMNS" (number->string columns))
   (test-assert (format #f "lines fit into ~a columns" columns)
     (<= (- columns 20) (widest (output-of (help "sigma"))) columns))
   (for-each (lambda (name)
               (test-assert (format #f "~a fits into ~a columns" name columns)
                 (<= (widest (car (string-split-at (output-of (help-about name)) "Example:"))) columns)))
             '(anneal posterior plot make-trainer)))
 '(60 80 99))
(setenv "COLUMNS" "40")
(test-equal "a list is filled item by item, below its second column"
  (string-append "Settings:\n"
                 "  #:one   a word after others, so many\n"
                 "          that they take two lines\n"
                 "  #:two   a single line, which is also\n"
                 "          too long\n"
                 "  #:three short\n"
                 "That is all.\n")
  (output-of ((@@ (tempera shell help) display-filled)
              "Settings:
  #:one   a word after others, so many that
          they take two lines
  #:two   a single line, which is also too long
  #:three short
That is all.")))
(setenv "COLUMNS" "200")
(test-assert "a list uses what there is" (< 99 (widest (output-of (help "sigma"))) 201))
(test-assert "text stays readable" (<= (widest (output-of (help posterior))) 99))
(unsetenv "COLUMNS")
(test-assert "filled text has all words"
  (equal? (string-tokenize (output-of (help-about 'chain-std)))
          (begin (setenv "COLUMNS" "40") (string-tokenize (output-of (help-about 'chain-std))))))
(unsetenv "COLUMNS")

;;; --- Suggestions ------------------------------------------------------------------

(define (message-of expression)
  (error-message-of (lambda () (eval expression (current-module)))))

(test-equal "a variable" "unbound variable aneal; did you mean anneal?"
            (message-of '(aneal 3)))
(test-equal "a user's own" "unbound variable my-taget; did you mean my-target?"
            (begin (eval '(define my-target 3) (current-module)) (message-of 'my-taget)))
(test-equal "nothing near" "unbound variable qqqqqqqq" (message-of 'qqqqqqqq))
(test-equal "a keyword" "unrecognized keyword #:ration; did you mean #:ratio?"
            (message-of '(geometric 100 #:ration 0.5 #:until 1)))
(test-equal "no value for a keyword" "keyword argument has no value: #:until"
            (message-of '(geometric 100 #:ratio 0.5 #:until)))
(test-error-matching "a setting" "anneal: unrecognized keyword #:step-sise; did you mean #:step-size?"
                     (anneal (prior-target (two-moons-prior)) #:step-sise 1))
(test-error-matching "one that is passed on"
                     "unrecognized keyword #:tempratures; did you mean #:temperatures?"
                     (start-chain (prior-target (two-moons-prior)) #:chains 1 #:tempratures '(2 1)))

;; What was meant where a value is of another kind.
(define some-tensor (list->tensor '(1 2 3 4)))
(test-equal "numbers' + of a tensor"
  "+: does not take a tensor, got #<tensor f32 (4) (1.0 2.0 3.0 4.0)>; use tensor+" (message-of '(+ some-tensor 1)))
(test-assert "by another name too"
  (string-suffix? "; use tensor-maximum" (message-of '(max some-tensor 1))))
(test-equal "a list without its quote" "64 is not a procedure; a list that begins with it needs a quote: '(64 ...)"
  (message-of '(tensor-reshape some-tensor (64 64))))
(test-error-matching "what a record's accessor got" "expected a chain, got #<target two moons over (2)"
  (chain-mean (prior-target (two-moons-prior))))
(test-error-matching "a complex picture" "got complex numbers; (tensor-abs TENSOR) has their magnitudes"
  (save-png "x.png" (tensor-zeros '(2 2) 'c64)))
(test-error-matching "tensor-mean of a list" "list->tensor makes one of a list or vector"
  (tensor-mean '(1 2 3)))
(test-equal "which it does" 2. (tensor->number (tensor-mean (list->tensor #(1 2 3)))))
(test-equal "ends to the bit" '(0.1 0.2 0.3)
  (map (lambda (x) (/ (round (* 10 x)) 10)) (tensor->list (linspace 0.1 0.3 3))))
(test-equal "a tensor from a function of indices" '((2 2) (0. 1. 10. 11.))
  (let ((t (tensor-tabulate '(2 2) (lambda (i j) (+ (* 10 i) j)))))
    (list (tensor-shape t) (tensor->list t))))

;;; --- Completion -------------------------------------------------------------------

(define (complete text line)
  (completions text line (current-module) '("runs")))

(test-equal "names" '("geometric") (complete "geom" "(geom"))
(test-equal "keywords of what is called" '("#:ratio" "#:until")
            (complete "#:" "(anneal target #:temperatures (geometric 100 #:"))
(test-equal "after an inner call" '("#:until")
            (complete "#:u" "(geometric (+ 1 2) #:u"))
(test-equal "its own, and what it passes on, no others'"
            '("#:start" "#:step-size")
            (complete "#:st" "(anneal target #:st"))
(test-equal "none that its docstring has of others" '() (complete "#:no" "(anneal target #:no"))
(test-equal "settings of anneal" '("#:temperatures") (complete "#:te" "(start-chain target #:te"))
(test-equal "settings of anneal, but those that a fork has not" '("#:step-size")
            (complete "#:st" "(fork chain #:st"))
(test-equal "of plot" '("#:title" "#:titles" "#:to") (complete "#:t" "(plot chain #:t"))
(test-equal "the prompt's commands" '(",runs") (complete ",ru" ",ru"))
(call-with-temporary-directory
 (lambda (directory)
   (mkdir (string-append directory "/scans"))
   (call-with-output-file (string-append directory "/scan.npy") (const #t))
   (call-with-output-file (string-append directory "/scan.csv") (const #t))
   (test-equal "files" (map (lambda (name) (string-append directory name)) '("/scan.npy" "/scans/"))
               (complete (string-append directory "/sc")
                         (string-append "(load-image \"" directory "/sc")))
   (test-equal "files of a kind that is not read there, where there are no others"
     (list (string-append directory "/scan.csv"))
     (complete (string-append directory "/scan.c")
               (string-append "(load-image \"" directory "/scan.c")))
   (test-equal "of all kinds" (map (lambda (name) (string-append directory name))
                                   '("/scan.csv" "/scan.npy" "/scans/"))
               (complete (string-append directory "/sc") (string-append "(f \"" directory "/sc")))
   (test-equal "no such folder" '()
               (complete (string-append directory "/none/a")
                         (string-append "(load-image \"" directory "/none/a")))
   (test-equal "after a string names again" '("geometric") (complete "geom" "(f \"a\" (geom"))

   ;;; --- The prompt -----------------------------------------------------------------

   (setenv "XDG_STATE_HOME" directory)
   (let ((session
          (lambda (lines . texts)
            (call-with-output-file (string-append directory "/input")
              (lambda (port) (display lines port)))
            (let* ((port (open-input-pipe (string-append "tempera < " directory "/input 2>&1")))
                   (output (get-string-all port)))
              (close-pipe port)
              (for-each (lambda (text)
                          (test-equal (string-append "the prompt: " text) text
                                      (if (string-contains output text) text output)))
                        texts)))))
     (session ",describe power-law\n" "(power-law size #:key (exponent 1.5)")
     (session ",d \"lower the temperature\"\n" "  geometric  ")
     (session ",describe (power-law 10)\n" "has no documentation")
     (session ",help\n" ",help [GROUP | COMMAND | WORDS]" "List debug commands")
     (session ",help bt\n" "Usage: backtrace")
     (session ",help how do I lower the temperature\n" "  geometric  ")
     (session ",help anneal\n" "(anneal target")
     (session ",plot (geometric 8 #:ratio 1/2 #:until 1)\n" "1 chart: not shown, this is no terminal")
     (session (string-append "(define-experiment draw ((n 3)) (* 2 n))\n"
                             "(run-experiment draw '() #:directory \"" directory "/runs/one\")\n"
                             ",runs " directory "/runs\n,runs \"" directory "/runs\"\n"
                             ",runs " directory "\n,sweep " directory "\n")
              "/runs/one  #<run draw, finished" "no runs there" "is no sweep's directory")
     (session "(last (append-map list '(4 5)))\n(tensor->list (linspace 0 1 3))\n" "= 5" "= (0.0 0.5 1.0)")
     ;; What is pasted after an error, in the nested prompt, goes on.
     (session (string-append "(define x 3)\n(aneal x)\n(define (f y)\n  (* y\n     x))\n"
                             "(f (car '()))\n(f 4)\n(define z (geometric 8 #:ratio 1/2\n"
                             "  #:until 1))\n(schedule-length z)\n")
              "unbound variable aneal; did you mean anneal?" "= 12" "= 4"))))

(finish-tests)
