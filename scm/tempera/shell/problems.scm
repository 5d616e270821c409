;;; problems.scm -- inverse problems by name, as `tempera reconstruct problem=NAME' solves them.
;;;
;;; A problem is one file: in the folder problems/, or a user's script.  It calls `define-problem', which makes an experiment of
;;; it: its own parameters, and those that all have, for input, prior, noise and chains.  So it is run, stopped,
;;; run again and swept like any other.  MRI, whose scans want more, is the command's own experiment.

(define-module (tempera shell problems)
  #:use-module (ice-9 ftw)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera base program)
  #:use-module (tempera base spelling)
  #:use-module (tempera data scans)
  #:use-module (tempera file fits)
  #:use-module (tempera file formats)
  #:use-module (tempera file programs)
  #:use-module (tempera method network-files)
  #:use-module (tempera net tiles)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem inverse-problems)
  #:use-module (tempera problem likelihoods)
  #:use-module (tempera problem measurements)
  #:use-module (tempera problem priors)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera sample settings)
  #:use-module (tempera see reconstruction)
  #:use-module (tempera shell reconstruction-runs)
  #:use-module (tempera tensor primitives)
  #:export (define-problem problem-experiment problem-names named-problem problem-parameters problem))

;;; --- Defining -------------------------------------------------------------------------

(define kinds
  ;; From an experiment's name to its own parameters and the procedure of their values that gives the problem.
  (make-hash-table))

(define-syntax define-problem
  (lambda (form)
    "(define-problem NAME ((PARAMETER DEFAULT PREDICATE DOCUMENTATION) ...) DOCUMENTATION BODY ...)
Define the inverse problem NAME for `tempera reconstruct problem=NAME', or problem=SCRIPT where a user's script has
this: BODY gives a problem, of `make-problem', by the values of its own PARAMETERS, which are as of
`define-experiment'.  It is called before anything is written, so that what is wrong is said at once.
DOCUMENTATION says in a line what is measured.  NAME becomes an experiment, with the parameters of every problem beside its own.
Example:
  (define-problem half ((seed-of-mask 1)) \"An image of which every second pixel is lost.\"
    (make-problem #:operator (lambda (shape seed)
                               (inpainting-operator (random-pixels shape 1/2 #:seed seed-of-mask)))))"
    (syntax-case form ()
      ((_ name (parameter ...) documentation body body* ...)
       (with-syntax (((variable ...)
                      (map (lambda (p) (syntax-case p () ((v . _) #'v))) #'(parameter ...)))
                     (file (assq-ref (or (syntax-source form) '()) 'filename)))
         #'(define name
             (problem-experiment 'name documentation (parameter-specs parameter ...)
                                 (lambda (variable ...) body body* ...)
                                 #:script file #:module (current-module))))))))

(define (first-parameters name)
  ;; Of the problem called NAME, before its own.
  (parameter-specs
   (problem name (const #t) "what is measured: this, or another of `tempera reconstruct --help', or a script that defines one")
   (input (required file) (const #t) "the data as the problem has them, or with simulate a whole image")
   (prior (optional string) "the score network: the name of a shipped one, such as brain, or a .safetensors file; or \
gaussian, a field of which only the power is known, roughly")
   (simulate #f "the input is a whole image: measure it, with noise")))

(define last-parameters
  ;; Of every problem, after its own.
  (parameter-specs
   (likelihood (optional symbol) "of the noise: gaussian; student-t, with outliers; poisson, counts; magnitude, without a sign or \
phase; the problem says which fit, and which it is unless given")
   (noise (optional number) positive? "its standard deviation, on the intensity scale; unless given the problem says it")
   (counts (optional number) positive? "with poisson and simulate: those of the brightest datum; 100 unless given")
   (background 0. (lambda (b) (>= b 0)) "with poisson: counts that are not the image's")
   (freedom 4. positive? "with student-t: its degrees, fewer the more outliers there are")
   (scale (optional number) positive? "multiply data by this; unless given the problem says it, or their image is scaled")
   (slice (optional integer) (lambda (n) (>= n 0)) "which slice of a volume, from 0")
   (channel (optional integer) (lambda (n) (<= 0 n 2)) "of a picture in colour: 0 red, 1 green, 2 blue; a sweep channel=0,1,2 solves each")
   (nan-is-zero #f "take NaN in the input as background, 0; else it is refused")
   (nan-is-unmeasured #f "take data that are NaN as not measured")
   (chains 8 positive? "samples to draw")
   (region (optional file) "0 and 1 over (rows columns): the mean over it, with its interval, goes into the summary")
   (exceeds (optional number) "write exceeds.npy, the probability that the magnitude exceeds this, on the intensity scale")
   (ratio (optional number) (lambda (r) (< 0 r 1)) "of one temperature to the one before; its square below 4; 0.9 of networks")
   (until 0.046 positive? "the last temperature is the first below this, where white is 150")
   (precision 'float32 (lambda (name) (memq name '(float32 bf16)))
              "of the score's products; bf16 is faster where the processor has it")
   (tile (optional integer) positive? "rows and columns that go through the network at once, to the same bits; else all")
   (seed 1 (lambda (n) (>= n 0)) "of the operator, noise and chains")))

(define* (problem-experiment name documentation parameters body #:key (script #f) (module #f))
  "The experiment that `define-problem' makes: NAME, a symbol, solves what BODY, a procedure of the values of PARAMETERS, gives.
Example: (problem-experiment 'none \"Nothing lost.\" '()
                             (lambda () (make-problem #:operator (lambda (shape seed) (denoising-operator shape)))))"
  (let* ((before (first-parameters name))
         (clash (find (lambda (p) (find (lambda (c) (eq? (parameter-name c) (parameter-name p)))
                                        (append before last-parameters)))
                      parameters))
         (all (append before parameters last-parameters)))
    (check-that (not clash) name "~a: every problem has a parameter of this name; choose another"
                (and clash (parameter-name clash)))
    (let ((posed (lambda (values)
                   (let ((problem (apply body (list-head (list-tail values (length before)) (length parameters)))))
                     (check-that (problem? problem) name "expected a problem, of make-problem, from its body, got ~s" problem)
                     problem)))
          (settings (lambda (values) (map (lambda (p value) (cons (parameter-name p) value)) all values))))
      (hash-set! kinds name (cons parameters body))
      (make-experiment name
                       (string-append documentation "  INPUT holds its data, or with simulate=yes a whole image.  Writes "
                                      (string-join files-written ", ") ".")
                       all
                       (lambda values (solve name (posed values) (settings values)))
                       #:check (lambda values (check-settings name (posed values) (settings values)))
                       #:script script #:module module))))

;;; --- Names ----------------------------------------------------------------------------

(define (problem-names)
  "The names of the problems that there are: mri, and the files of the folder problems/.
Example: (and (member \"deblurring\" (problem-names)) #t) => #t"
  (let ((folder (find file-exists? (map (lambda (path) (string-append path "/tempera/shell/problems")) %load-path))))
    (cons "mri" (map (lambda (file) (string-drop-right file 4))
                     (or (and folder (scandir folder (lambda (file) (string-suffix? ".scm" file)))) '())))))

(define (named-problem name)
  "The experiment of the problem NAME, but for mri, or of the script NAME that defines one."
  (cond ((member name (cdr (problem-names)))
         (module-experiment `(tempera shell problems ,(string->symbol name)) (string->symbol name)))
        ((file-exists? name)
         (let ((experiment (load-script name)))
           (check-that (hash-ref kinds (experiment-name experiment)) 'reconstruct
                       "problem: ~a defines no problem; see define-problem" name)
           experiment))
        (else (complain 'reconstruct "~a" (unknown-name-text "problem" name (problem-names))))))

(define (problem-parameters name)
  "The own parameters of the problem NAME, a string, but for mri: a list of `make-parameter-spec'."
  (car (hash-ref kinds (experiment-name (named-problem name)))))

(define (problem name . settings)
  "The problem NAME, a symbol, such as deblurring, or a script's name, a string, as `problem-simulation' and `problem-measurement'
take it.  SETTINGS are keywords: the problem's own parameters.
Example: (problem 'deblurring #:kernel 'motion #:length 9)"
  (let* ((experiment (named-problem (if (symbol? name) (symbol->string name) name)))
         (settings (let loop ((rest settings))
                     (cond ((null? rest) '())
                           ((and (keyword? (car rest)) (pair? (cdr rest)))
                            (acons (keyword->symbol (car rest)) (cadr rest) (loop (cddr rest))))
                           (else (complain 'problem "settings: expected keywords and values, got ~s" rest)))))
         (kind (hash-ref kinds (experiment-name experiment)))
         (own (car kind)))
    (for-each (lambda (setting)
                (check-that (find (lambda (p) (eq? (car setting) (parameter-name p))) own) 'problem "~a"
                            (unknown-name-text "setting" (symbol->string (car setting))
                                               (map (lambda (p) (symbol->string (parameter-name p))) own))))
              settings)
    (apply (cdr kind)
           (map (lambda (p)
                  (let ((given (assq (parameter-name p) settings)))
                    (parameter-check 'problem p (if given (cdr given) (parameter-default p)))))
                own))))

;;; --- Solving --------------------------------------------------------------------------

(define (check-settings name problem settings)
  (define (ref key) (assq-ref settings key))
  (check-that (ref 'prior) name "prior: expected one of ~a, gaussian, or a .safetensors file, got none"
              (string-join (shipped-priors) ", "))
  (check-that (or (not (ref 'likelihood)) (memq (ref 'likelihood) (problem-likelihoods problem))) name
              "likelihood: expected ~a for this problem, got ~a"
              (string-join (map symbol->string (problem-likelihoods problem)) " or ") (ref 'likelihood))
  (check-that (or (ref 'simulate) (not (ref 'counts))) name "counts: they are those of the data, expected simulate=yes beside it")
  (check-that (not (and (ref 'simulate) (ref 'scale))) name "scale: it is of data, expected none with simulate=yes"))

(define (rough-field shape dtype)
  ;; A Gaussian field of power law whose pixels have a standard deviation of a third of white.
  (let ((power (power-spectrum shape)))
    (gaussian-prior (tensor* power (/ (expt (/ top-intensity 3) 2) (tensor->number (tensor-mean power)))) #:dtype dtype)))

(define (one-channel input image slice channel)
  ;; Of IMAGE of the file INPUT, in colour, (rows columns 3), its CHANNEL; others as they are.
  (let* ((shape (plain-shape image))
         (colour? (and (= 3 (length shape)) (= 3 (third shape)) (not slice))))
    (check-that (eq? colour? (and channel #t)) 'reconstruct
                (if colour?
                    "~a is in colour, ~a, and priors are of one number a pixel: expected channel=0, 1 or 2 (red, green, blue); \
a sweep channel=0,1,2 solves each"
                    "channel: ~a is not in colour, but ~a") input shape)
    (if colour?
        (tensor-reshape (tensor-copy (tensor-slice (tensor-reshape image shape) 2 channel (1+ channel))) (list-head shape 2))
        image)))

(define (last-sigma network until)
  ;; UNTIL, or the least sigma that NETWORK, or #f, was trained at: below, its score is anything.
  (let ((range (and network (sigma-range network))))
    (if range (max until (first range)) until)))

(define (solve name problem settings)
  (define (ref key) (assq-ref settings key))
  (let*-values (((doubt! doubts) (collector))
                ((input) (ref 'input))
                ((network) (and (not (equal? "gaussian" (ref 'prior)))
                                (load-score-network (ref 'prior) #:precision (ref 'precision))))
                ((white) (or (problem-white problem) (if network (white-level network) top-intensity)))
                ((relative) (/ white top-intensity))
                ((image) (and (or (ref 'simulate) (not (problem-load problem)))
                              (one-image input (one-channel input (load-image input #:nan-is-zero? (ref 'nan-is-zero))
                                                            (ref 'slice) (ref 'channel))
                                         (ref 'slice))))
                ((likelihood) (or (ref 'likelihood) (first (problem-likelihoods problem))))
                ;; Unless it is said, a Gaussian field has the images that data are of.
                ((dtype) (cond ((problem-dtype problem))
                               (network (or (image-dtype network) 'c64))
                               ((and image (not (eq? likelihood 'magnitude))) (tensor-dtype image))
                               (else 'c64)))
                ((about) (lambda more
                           (append (list #:white white #:dtype dtype #:likelihood likelihood #:seed (ref 'seed)
                                         #:counts (ref 'counts) #:background (ref 'background) #:freedom (ref 'freedom))
                                   more)))
                ((measurement truth scale)
                 (if (ref 'simulate)
                     (let-values (((measurement truth) (apply problem-simulation problem image (about #:noise (ref 'noise)))))
                       (values measurement truth 'null))
                     (let*-values (((data noise) (if (problem-load problem)
                                                     ((problem-load problem) input)
                                                     (values image #f)))
                                   ((measurement scale)
                                    (apply problem-measurement problem data
                                           (about #:noise (or (ref 'noise) noise) #:scale (ref 'scale)
                                                  #:nan-is-unmeasured? (ref 'nan-is-unmeasured)))))
                       (values measurement #f scale))))
                ((shape) (tensor-shape (if (likelihood? measurement) (likelihood-start measurement) (zero-filled measurement))))
                ((prior) (cond ((problem-prior problem) => (lambda (make) (make network shape dtype)))
                               (else (or network (rough-field shape dtype)))))
                ((results)
                 (parameterize ((tile-side (ref 'tile)))
                   (reconstruct-to (run-path) prior measurement
                                   #:chains (ref 'chains) #:seed (ref 'seed) #:truth truth
                                   #:region (and (ref 'region) (region-of (ref 'region) shape)) #:level (ref 'exceeds)
                                   #:command (shell-text (list "tempera" "rerun" (run-path)))
                                   #:settings (cons* #:temperatures
                                                     (default-temperatures prior #:from (or (problem-hottest problem) (* 100 relative))
                                                                           #:ratio (ref 'ratio)
                                                                           #:until (last-sigma network (* relative (ref 'until))))
                                                     (problem-settings problem))
                                   #:checkpoint (string-append (run-path) "/chain.safetensors")
                                   #:hook record-temperature!
                                   #:about `(("name" . ,(basename input))
                                             ("input" . ,input)
                                             ("problem" . ,(symbol->string name))
                                             ("prior" . ,(ref 'prior))
                                             ("precision" . ,(symbol->string (ref 'precision)))
                                             ("version" . ,tempera-version)
                                             ("scale" . ,scale)
                                             ("doubts" . ,(list->vector (doubts))))))))
    (save-fits-results input results)
    (print-results results)
    (outcome results)))

(define (save-fits-results input results)
  ;; Of an INPUT in FITS, mean and standard deviation in FITS too: with its header, where pixels of the image are the file's.
  (when (eq? 'fits (file-format input))
    (let-values (((given cards) (load-fits input)))
      (let* ((shape (vector->list (assoc-ref results "shape")))
             (placed? (or (equal? shape (take-right (tensor-shape given) 2)) (equal? shape (list-head (tensor-shape given) 2))))
             (scale (assoc-ref results "scale")))
        (for-each (lambda (name)
                    (save-fits (run-path (string-append name ".fits"))
                               (tensor/ (load-npy (run-path (string-append name ".npy"))) (if (number? scale) scale 1))
                               #:cards (if placed? cards '())
                               #:note (format #f "tempera ~a: reconstruct ~a" tempera-version (basename input))))
                  '("mean" "std"))
        (format #t "~a: mean.fits std.fits~a~%" (run-path) (if placed? ", with the header of the input" ""))))))
