;;; test-report.scm -- what a report's file has in it, whatever it is made of.
;;;
;;; test-report-page.scm looks at the same in a browser.

(use-modules (harness)
             (srfi srfi-1) (ice-9 binary-ports) (ice-9 match) (ice-9 popen) (ice-9 regex)
             (ice-9 textual-ports)
             (rnrs bytevectors)
             (json parser)
             (tempera) (tempera file paths) (tempera file programs) (tempera file formats) (tempera run runs) (tempera run sweeps))

(start-tests "report")

;;; --- Reading a report ---------------------------------------------------------

(define (text-of path) (call-with-input-file path get-string-all #:encoding "UTF-8"))

(define (between text before after)
  (let* ((from (+ (string-contains text before) (string-length before))))
    (substring text from (string-contains text after from))))

(define (report-data text)
  (json-string->scm (between text "<script type=\"application/json\" id=\"report\">" "</script>")))

(define (field object . keys)
  (fold (lambda (key object)
          (if (exact-integer? key) (vector-ref object key) (assoc-ref object key)))
        object keys))

(define (section-of data title)
  (find (lambda (s) (equal? title (field s "title"))) (vector->list (field data "sections"))))

(define alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

(define (base64->bytes text)
  (let* ((values (map (lambda (c) (string-index alphabet c))
                      (string->list (string-trim-right text #\=)))))
    (let loop ((rest values) (bytes '()))
      (match rest
        ((a b c d . rest)
         (let ((w (+ (ash a 18) (ash b 12) (ash c 6) d)))
           (loop rest (cons* (logand w 255) (logand (ash w -8) 255) (ash w -16) bytes))))
        ((a b c) (let ((w (+ (ash a 10) (ash b 4) (ash c -2))))
                   (reverse (cons* (logand w 255) (ash w -8) bytes))))
        ((a b) (reverse (cons (+ (ash a 2) (ash b -4)) bytes)))
        (() (reverse bytes))))))

(define (numbers-of text image)
  ;; Those of IMAGE in the report TEXT; #f for what is not finite.
  (let* ((bytes (base64->bytes (between text (format #f "id=\"~a\">" (field image "data"))
                                        "</script>")))
         (wide? (= 16 (field image "bits")))
         (none (if wide? 65535 255))
         (low (field image "low"))
         (step (/ (- (field image "high") low) (1- none))))
    (let loop ((bytes bytes) (numbers '()))
      (match bytes
        (() (reverse numbers))
        ((a . rest)
         (let ((q (if wide? (+ a (* 256 (first rest))) a)))
           (loop (if wide? (cdr rest) rest)
                 (cons (and (< q none) (+ low (* q step))) numbers))))))))

(define (near? tensor numbers step)
  (every (lambda (a b) (if b (<= (abs (- a b)) step) (not (finite? a))))
         (tensor->list (if (eq? 'c64 (tensor-dtype tensor)) (real-view tensor) tensor))
         numbers))

(define (report-of chain . arguments)
  ;; Its text.
  (call-with-temporary-directory
   (lambda (folder)
     (text-of (apply write-report chain (string-append folder "/r.html") arguments)))))

;;; --- Complex images -----------------------------------------------------------

(define prior (gaussian-prior (power-spectrum '(16 24) #:amplitude 1e3)))
(define scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(16 24)))
(define op (mri-operator #:mask (random-mask 24 #:acceleration 3 #:seed 1)))
(define y (measure op scan #:noise 0.1 #:seed 2))
(define temperatures (geometric 20 #:ratio 0.7 #:until 0.1))
(define chain (anneal (posterior prior op y #:noise 0.1) #:chains 5 #:seed 3
                      #:temperatures temperatures))

(define text (report-of chain #:truth scan #:title "a scan" #:command "tempera run x.scm"))
(define data (report-data text))
(define pictures (field (section-of data "Pictures") "blocks" 0))

(test-equal "its sections"
  '("Pictures" "Numbers" "Trace" "Schedules" "Diagnosis" "Configuration" "How to run it again")
  (map (lambda (s) (field s "title")) (vector->list (field data "sections"))))
(test-equal '(16 24 #t 5)
  (map (lambda (key) (field pictures key)) '("rows" "columns" "complex" "total")))

(define (step-of image)
  (/ (- (field image "high") (field image "low")) (if (= 16 (field image "bits")) 65534 254)))

(define-syntax-rule (test-embedded name tensor image)
  (test-assert name (near? tensor (numbers-of text image) (* 0.51 (step-of image)))))

(test-embedded "samples to half a step" (chain-samples chain) (field pictures "samples"))
(test-embedded "the mean" (chain-mean chain) (field pictures "mean"))
(test-embedded "the truth" scan (field pictures "truth"))
(test-embedded "the zero-filled image" (apply-adjoint op y) (field pictures "start"))
(test-embedded "the standard deviation of magnitudes"
  (call-with-values (lambda () (magnitude-statistics (chain-samples chain)))
    (lambda (mean sd) sd))
  (field pictures "sd"))

(let ((states (vector->list (field pictures "states"))))
  (test-equal "the states on the way" (map car (chain-states chain))
              (map (lambda (s) (exact->inexact (field s "sigma"))) states))
  (test-embedded "magnitudes of the first" (tensor-abs (cdr (first (chain-states chain))))
    (field (first states) "image")))

(let ((sigma (field (section-of data "Trace") "blocks" 0 "charts" 0 "series" 0 "points")))
  (test-equal "the trace by transition" (map transition-sigma (chain-trace chain))
              (map (lambda (p) (exact->inexact (vector-ref p 1))) (vector->list sigma))))

(test-assert "PSNR of the mean"
  (string-contains text (number->string (/ (round (* 100 (psnr (chain-mean chain) scan))) 100))))
(test-assert "settings as they print" (string-contains text "geometric 0.7"))
(test-assert "how to run it again" (string-contains text "tempera run x.scm"))
(test-equal "the same chain, the same bytes" text
            (report-of chain #:truth scan #:title "a scan" #:command "tempera run x.scm"))
(test-assert "no address of this process" (not (string-match "procedure [0-9a-f]{6}" text)))
(test-assert "no address in the net"
  (not (string-match "(src|href|url)[ =(\"']*https?:" text)))
(test-assert "nothing is left to be filled in"
  (not (string-match "@(title|summary|style|script|made|report|arrays)@" text)))

;;; --- Hostile words ------------------------------------------------------------

(define hostile "</script><img src=x onerror=alert(1)>\"'&<!--<script>\x01;\x7f;@report@ \u2028 \\u003c/é")
(let* ((text (report-of chain #:title hostile #:command hostile))
       (count (lambda (part) (length (list-matches part text)))))
  (test-equal "in the data as they were"
    hostile (field (section-of (report-data text) "How to run it again") "blocks" 0 "text"))
  (test-equal "as many scripts end as begin" (count "<script[ >]") (count "</script>"))
  (test-equal "no picture begins" 0 (count "<img"))
  (test-equal "the title is text" 2 (count "&lt;/script&gt;&lt;img src=x")))

;;; --- Other chains ---------------------------------------------------------------

(let* ((target (make-target "a normal" #:shape '(8 12)
                            #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
       (chain (anneal target #:chains 3 #:temperatures '(1 0.5)))
       (text (report-of chain)) (pictures (field (section-of (report-data text) "Pictures") "blocks" 0)))
  (test-equal "a real image has no truth, no zero-filled one" '(#f #f #f)
    (map (lambda (key) (field pictures key)) '("complex" "truth" "start")))
  (test-assert "and its signed numbers"
    (near? (chain-samples chain) (numbers-of text (field pictures "samples"))
           (step-of (field pictures "samples"))))
  (test-assert "a complex truth for it is taken by magnitude"
    (report-of chain #:truth (tensor-zeros '(8 12) 'c64)))
  (let ((one (anneal target #:chains 1 #:temperatures '(1 0.5))))
    (test-equal "one sample has no standard deviation" #f
      (field (section-of (report-data (report-of one)) "Pictures") "blocks" 0 "sd")))
  (let ((begun (start-chain target #:chains 2)))
    (test-equal "a chain before its first transition has no trace and no diagnosis"
      '("Pictures" "Numbers" "Schedules" "Configuration" "How to run it again")
      (map (lambda (s) (field s "title"))
           (vector->list (field (report-data (report-of begun)) "sections")))))
  (let* ((bad (let ((chain (start-chain target #:chains 2)))
                ;; No chain gets there by itself.
                (tensor-assign! ((@ (tempera sample chain) chain-x) chain)
                                (list->tensor (cons* +nan.0 +inf.0 (iota 190)) '(2 8 12)))
                chain))
         (text (report-of bad #:truth (tensor-zeros '(8 12))))
         (numbers (numbers-of text (field (section-of (report-data text) "Pictures")
                                          "blocks" 0 "samples"))))
    (test-equal "what is not finite is marked so" '(#f #f 0 189)
      (append (take numbers 3) (map (compose inexact->exact round) (take-right numbers 1))))))

(let* ((moons (anneal (prior-target (two-moons-prior)) #:mass 'identity #:chains 40
                      #:step-size 0.1 #:temperatures '(1 0.3 0.1)))
       (text (report-of moons))
       (plane (field (section-of (report-data text) "Pictures") "blocks" 0))
       (last-state (vector-ref (field plane "states") (1- (vector-length (field plane "states"))))))
  (test-equal "plane" (field plane "type"))
  (test-assert "points of the plane"
    (near? (tensor-slice (chain-samples moons) 1 1 2)
           (numbers-of text (field last-state "parts" 1)) (step-of (field last-state "parts" 1))))
  (test-error-matching "truth of points" "truth: expected an image"
    (write-report moons "x.html" #:truth (tensor-zeros '(2)))))

(let* ((long (anneal (make-target "one number" #:shape '(1)
                                  #:score (lambda (x sigma) (tensor* -1 x)))
                     #:chains 2 #:temperatures '(2 1) #:transitions-per-temperature 1050
                     #:sampler (lambda (kernel state) (values (state-x state) (state-score state) #f))))
       (data (report-data (report-of long)))
       (sigma (field (section-of data "Trace") "blocks" 0 "charts" 0)))
  (test-equal "of a long chain every second transition" '("transition, one in 2" 1050 #(1 2) #(2099 1))
    (let ((points (field sigma "series" 0 "points")))
      (list (field sigma "x" "label") (vector-length points) (vector-ref points 0)
            (vector-ref points 1049))))
  (test-equal "both temperatures" '#(#(1 2) #(2 1))
    (field (section-of data "Schedules") "blocks" 0 "charts" 0 "series" 0 "points"))
  (test-equal "one number a sample" 1
    (vector-length (field (section-of data "Pictures") "blocks" 0 "states" 0 "parts"))))

(let ((cube (anneal (make-target "cubes" #:shape '(2 3 4) #:score (lambda (x sigma) (tensor* -1 x)))
                    #:chains 2 #:temperatures '(1))))
  (test-equal "what is no picture is said so" "text"
    (field (section-of (report-data (report-of cube)) "Pictures") "blocks" 0 "type")))

;;; --- Runs and sweeps ----------------------------------------------------------------

(define script "(use-modules (tempera))
(define-experiment toy
  ((size 0.5 positive?) (way 'plain symbol?) (fail #f boolean?) (seed 1 exact-integer?))
  (save-png (run-path \"a/noise.png\") (random-normal '(4 6) seed) #:low -3 #:high 3)
  (for-each (lambda (k) (record-metrics! `((step . ,k) (loss . ,(/ size (+ 1 k))) (word . \"<b>\"))))
            '(0 1 2))
  (format #t \"said </script><b>~%\")
  (when fail (error \"on purpose </script>\"))
  `((psnr . ,(+ 20 size)) (note . \"<img>\")))\n")

(define (blocks data title) (vector->list (field (section-of data title) "blocks")))
(define (facts-of data title)
  (append-map (lambda (b) (if (equal? "facts" (field b "type"))
                              (map vector->list (vector->list (field b "rows")))
                              '()))
              (blocks data title)))
(define (quietly thunk) (with-output-to-string thunk))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (save-text (in "toy.scm") script)
   (let* ((toy (load-script (in "toy.scm"))))
     (quietly (lambda () (run-experiment toy '((size . 2)) #:directory (in "run"))))
     (let* ((run (open-run (in "run")))
            (file (write-report run (in "run")))
            (text (text-of file)) (data (report-data text)))
       (test-equal "a run's report is in its directory" (in "run/report.html") file)
       (test-equal '("Outcome" "Pictures" "Metrics" "Configuration" "How to run it again" "Log"
                     "Made with" "Script")
         (map (lambda (s) (field s "title")) (vector->list (field data "sections"))))
       (test-equal "what it came to" '(("psnr" "22") ("note" "<img>")) (facts-of data "Outcome"))
       (test-equal "its settings" '("size" "2") (first (facts-of data "Configuration")))
       (test-equal "its log" "said </script><b>\n" (field (first (blocks data "Log")) "text"))
       (test-equal "its script" script (field (first (blocks data "Script")) "text"))
       (test-equal "loss over step" '#(#(0 2) #(1 1) #(2 0.6666666666666666))
         (field (first (blocks data "Metrics")) "charts" 0 "series" 0 "points"))
       (test-equal "metrics as a table" '#("step" "loss" "word")
         (field (second (blocks data "Metrics")) "columns"))
       (let ((picture (field (first (blocks data "Pictures")) "images" 0)))
         (test-equal "its picture by name and type" '("a/noise.png" "image/png")
           (list (field picture "name") (field picture "type")))
         (test-equal "byte for byte"
           (bytevector->u8-list (call-with-input-file (in "run/a/noise.png") get-bytevector-all #:binary #t))
           (base64->bytes (between text (format #f "id=\"~a\">" (field picture "data")) "</script>"))))
       (test-equal "how to run it again" (shell-text (list "tempera" "rerun" (in "run")))
         (field (first (blocks data "How to run it again")) "text"))
       (save-table (in "run/validation.csv")
                   (table '(step average sigma loss to-1 to-2)
                          '((5 0.9 1 0.9 0.5 0.6) (5 0.9 10 0.4 0.3 0.2) (10 0.9 1 0.8 0.4 0.6) (10 0.9 10 0.3 0.2 0.1))))
       (let ((charts (field (first (blocks (report-data (text-of (write-report (open-run (in "run")) (in "v.html"))))
                                           "Validation"))
                            "charts")))
         (test-equal "validation, a line for each sigma" '#(#(5 0.4) #(10 0.3))
           (field charts 0 "series" 1 "points"))
         (test-equal "and at the last step by |k|" '#(#(1 0.4) #(10 0.2))
           (field charts 1 "series" 0 "points")))
       (delete-file (in "run/validation.csv"))
       (delete-file (in "v.html"))
       (test-equal "again, the same bytes" text
         (text-of (write-report (open-run (in "run")) (in "again.html"))))
       (test-equal "a report is no result of its run" '("a/noise.png") (run-own-files run)))
     (quietly (lambda () (false-if-exception (run-experiment toy '((fail . #t)) #:directory (in "failed")))))
     (let ((data (report-data (text-of (write-report (open-run (in "failed")) (in "failed.html"))))))
       (test-assert "a run that failed says why"
         (string-contains (field (first (blocks data "Outcome")) "items" 0) "on purpose </script>")))
     (let ((sweep (make-sweep toy (grid #:size '(1 2) #:way '(plain odd)) #:settings '((seed . 5))
                              #:directory (in "sweep"))))
       (quietly (lambda () (for-each (lambda (name) (run-job sweep name)) '("0001" "0002" "0003"))))
       (let* ((data (report-data (text-of (write-report sweep (in "sweep")))))
              (results (first (blocks data "Results"))))
         (test-equal "a sweep's parameters and results"
           '(#("size" "way") #("psnr" "seconds"))
           (list (field results "parameters") (field results "results")))
         (test-equal "a row a point, what is missing null"
           '(("finished" 21) ("finished" 21) ("finished" 22) ("waiting" null))
           (let ((column (lambda (row name)
                           (vector-ref row (list-index (lambda (c) (equal? c name))
                                                       (vector->list (field results "columns")))))))
             (map (lambda (row) (list (column row "state") (column row "psnr")))
                  (vector->list (field results "rows")))))
         (test-equal "metrics of the points that have some" '("size 1, way plain" "size 1, way odd" "size 2, way plain")
           (map (lambda (s) (field s "name"))
                (vector->list (field (first (blocks data "Metrics")) "charts" 0 "series"))))
         (test-equal "how to go on" (shell-text (list "tempera" "sweep" (string-append "--continue=" (in "sweep"))))
           (field (first (blocks data "How to go on with it")) "text")))
       (test-error-matching "a truth is a chain's" "unrecognized keyword: #:truth; of #<sweep"
         (write-report sweep (in "x.html") #:truth scan))))))

(test-equal "a command's words" "tempera run 'a b.scm' 'it'\\''s' ''"
  (shell-text '("tempera" "run" "a b.scm" "it's" "")))

;;; --- The command --------------------------------------------------------------

(define (tempera . arguments)
  ;; Its exit status and what it said.
  (let* ((pipe (open-input-pipe (string-append (shell-text (cons "tempera" arguments)) " 2>&1")))
         (said (string-trim-right (get-string-all pipe))))
    (list (status:exit-val (close-pipe pipe)) said)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (save-chain (in "c.safetensors") chain)
   (save-npy (in "scan.npy") scan)
   (test-equal "a chain in a file" (list 0 (in "c.html"))
     (tempera "report" (in "c.safetensors") (string-append "--truth=" (in "scan.npy"))))
   (let ((made (report-data (text-of (in "c.html")))))
     (test-equal "has the pictures of the chain but for the measurement"
       (map (lambda (key) (field pictures key)) '("rows" "complex" "samples" "mean" "sd" "truth"))
       (map (lambda (key) (field made "sections" 0 "blocks" 0 key))
            '("rows" "complex" "samples" "mean" "sd" "truth"))))
   (for-each (match-lambda
               ((name (arguments ...) part)
                (let ((answer (apply tempera "report" arguments)))
                  (test-equal name (list 1 part)
                    (list (first answer)
                          (if (string-contains (second answer) part) part (second answer)))))))
             `(("nothing" () "expected a directory or a chain's file, got none")
               ("no file" (,(in "none")) "no such file or directory")
               ("no run" (,folder) "is no run's directory")
               ("no chain" (,(in "scan.npy")) "expected a directory or a name that ends in .safetensors")
               ("two, and one name" ("--out=x.html" ,folder ,folder) "--out: expected one")))))

;;; --- What it loads --------------------------------------------------------------

;; Of these, what a program has loaded that reconstructs.
(let* ((modules '((tempera see report chain) (tempera see report run) (tempera run runs)
                  (tempera run sweeps) (tempera run experiments) (tempera shell cli)
                  (system base compile)))
       (program `(begin (use-modules (srfi srfi-1) (tempera see reconstruction))
                        (write (filter (lambda (name) (resolve-module name #f #:ensure #f))
                                       ',modules))))
       (pipe (open-pipe* OPEN_READ "guile" "-c" (object->string program)))
       (loaded (read pipe)))
  (close-pipe pipe)
  (test-equal "a reconstruction loads the report of chains, and no runs, no compiler"
    '((tempera see report chain)) loaded))

;;; --- As large as they come ----------------------------------------------------

(let* ((shape '(320 320))
       (target (make-target "large" #:shape shape #:dtype 'c64
                            #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))
                            #:start (tensor-zeros shape 'c64)))
       (chain (anneal target #:chains 8 #:keep #t #:trajectory-length 1
                      #:temperatures (geometric 100 #:ratio 0.5 #:until 0.05)))
       (text (report-of chain #:truth (tensor-zeros shape 'c64)))
       (pictures (field (section-of (report-data text) "Pictures") "blocks" 0)))
  (test-equal '(8 12) (list (field pictures "samples" "count")
                            (vector-length (field pictures "states"))))
  (test-assert "8 samples of 320 x 320 and 12 states in 8 MB" (< (string-length text) 8100000)))

;;; --- Where it goes ------------------------------------------------------------

(call-with-temporary-directory
 (lambda (folder)
   (let ((made (write-report chain (string-append folder "/new/folder"))))
     (test-equal "a folder gets report.html" (string-append folder "/new/folder/report.html") made)
     (test-assert (file-exists? made)))
   (test-error-matching "a folder that is a file" "report.html"
     (write-report chain (string-append folder "/new/folder/report.html/x.html")))
   (test-error-matching "no device takes it" "/dev/full: is a file"
     (write-report chain "/dev/full/x.html"))))
(test-error-matching "no chain" "write-report: expected a chain, a run or a sweep, got 42"
  (write-report 42 "x.html"))
(test-error-matching "no path" "path: expected a string, got 7" (write-report chain 7))
(test-error-matching "no truth" "truth: expected an image of shape (16 24), got"
  (write-report chain "x.html" #:truth (tensor-zeros '(16 16))))
(test-error-matching "no title" "title: expected a string or #f, got 3"
  (write-report chain "x.html" #:title 3))
(test-error-matching "no command" "command: expected a string or #f, got 3"
  (write-report chain "x.html" #:command 3))

(finish-tests)
