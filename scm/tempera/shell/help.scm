;;; help.scm -- ask in your own words: search everything that Tempera has a name for.
;;;
;;; What is searched: the names that (tempera) exports with their docstrings, the prompt's
;;; commands, the commands of the command line, and the sections of the manual.  Words are
;;; compared by their stems; a small table has the field's words for the same thing.  A word
;;; counts for more in a name than in a first sentence, there for more than further on, and
;;; the more, the fewer things have it.

(define-module (tempera shell help)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 documentation)
  #:use-module (ice-9 format)
  #:use-module (ice-9 rdelim)
  #:use-module (tempera shell cli)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera see terminal)
  #:export (help help-about help-search add-help-topic! manual-section))

;;; --- Words ----------------------------------------------------------------------

(define stop-words
  '("a" "about" "an" "and" "are" "as" "at" "be" "by" "can" "do" "does" "for" "from" "get" "give"
    "has" "have" "how" "i" "if" "in" "into" "is" "it" "its" "make" "me" "my" "of" "on" "one" "or"
    "should" "some" "such" "that" "the" "their" "them" "there" "these" "they" "this" "to" "use"
    "want" "was" "what" "when" "where" "which" "who" "why" "will" "with" "would" "you" "your"))

(define endings
  ;; With how many letters must be left.
  '(("ations" . 4) ("ation" . 4) ("ances" . 4) ("ance" . 4) ("ings" . 3) ("ing" . 3) ("ions" . 4)
    ("ion" . 4) ("ers" . 4) ("er" . 5) ("ies" . 3) ("ed" . 3) ("ly" . 4) ("es" . 3) ("s" . 3)
    ("y" . 3) ("e" . 3)))

(define (stem word)
  (let* ((ending (find (lambda (e)
                         (and (string-suffix? (car e) word)
                              (not (string-suffix? "ss" word))
                              (>= (- (string-length word) (string-length (car e))) (cdr e))))
                       endings))
         (rest (if ending (string-drop-right word (string-length (car ending))) word))
         (length (string-length rest)))
    (cond ((and ending (string-suffix? "s" (car ending)) (string-suffix? "e" rest) (> length 3))
           (string-drop-right rest 1))
          ;; "stepping" is of "step".
          ((and ending (> length 3)
                (char=? (string-ref rest (- length 1)) (string-ref rest (- length 2)))
                (not (memv (string-ref rest (1- length)) '(#\l #\s))))
           (string-drop-right rest 1))
          (else rest))))

(define (words text)
  ;; The stems of TEXT's words, without the stop words.
  (map stem
       (remove (lambda (word) (member word stop-words))
               (string-tokenize (string-downcase text) char-set:letter+digit))))

(define same-things
  ;; Words that a question has for what a docstring calls by another.
  (map (lambda (line) (map stem (string-tokenize line)))
       '("lower reduce decrease cool colder fall down anneal geometric adaptive"
         "temperature sigma anneal schedule"
         "uncertainty std standard deviation variance spread interval"
         "picture image figure plot show chart draw panel montage"
         "speed fast slow time performance profile benchmark"
         "save write store export keep"
         "load read open import"
         "train learn fit trainer"
         "network net model unet prior"
         "undersampling acceleration mask k-space"
         "pause stop interrupt"
         "continue resume proceed"
         "reconstruction posterior inverse"
         "noise sigma"
         "correct right calibrated calibrate coverage trust"
         "converge convergence mixing r-hat ess diagnose"
         "step stepsize step-size"
         "weights parameters"
         "size shape length dimension"
         "sampler hmc langevin mala"
         "denoise eds expected"
         "compare comparison two several agree between"
         "coil multi multicoil parallel sense grappa sensitivities"
         "export save write python numpy matlab"
         "quit exit leave")))

(define (related word)
  (delete word (delete-duplicates (append-map (lambda (group) (if (member word group) group '()))
                                              same-things))))

;;; --- Topics ---------------------------------------------------------------------

(define-record-type <topic>
  (make-topic title summary counts total show)
  topic?
  (title topic-title)                   ; a string
  (summary topic-summary)
  (counts topic-counts)                 ; stem -> how often, weighted
  (total topic-total)                   ; of those
  (show topic-show))                    ; a procedure that displays all of it

(define (first-sentence text)
  (let ((text (string-join (string-tokenize (or text "")) " ")))
    (let ((end (string-contains text ". ")))
      (if end (substring text 0 end) (string-trim-right text #\.)))))

(define* (topic title text show #:optional (asked ""))
  ;; ASKED has further words by which it is to be found, as if they were in its title.
  (let ((counts (make-hash-table)) (summary (first-sentence text)))
    (define (count! text weight)
      (for-each (lambda (word)
                  (hash-set! counts word (+ weight (hash-ref counts word 0))))
                (words text)))
    (count! (string-append title " " asked) 4)
    (count! summary 1)
    ;; Where such words are given, they are chosen, and a long text is not to outweigh them.
    (when (string-null? asked) (count! (or text "") 1))
    (make-topic title summary counts (hash-fold (lambda (word n sum) (+ n sum)) 0 counts) show)))

(define more-topics '())                ; of the prompt

(define* (add-help-topic! title text #:optional (asked ""))
  "Let `help' find TEXT, of which the first sentence is a summary, under TITLE, a string; by the
words of ASKED too.
Example: (add-help-topic! \",runs\" \"List the runs there are.\")"
  (set! more-topics
        (cons (topic title text (lambda () (format #t "~a~%~%" title) (display-filled text))
                     asked)
              (remove (lambda (t) (string=? title (topic-title t))) more-topics)))
  (set! all-topics #f))

(define (name-topics)
  (map (lambda (name)
         (topic (symbol->string name) (name-documentation name) (lambda () (show-name name))))
       (documented-names)))

(define (command-topics)
  (map (lambda (name)
         (topic (string-append "tempera " name) (command-summary name)
                (lambda () (format #t "tempera ~a: ~a.~%`tempera ~a --help' lists its options.~%"
                                   name (command-summary name) name))
                ;; One line is all there is of it here, and says what it is for.
                (command-summary name)))
       (command-names)))

(define all-topics #f)

(define (topics)
  (unless all-topics
    (set! all-topics (append (name-topics) more-topics (command-topics) (manual-topics))))
  all-topics)

;;; --- The manual -----------------------------------------------------------------

(define (manual-file)
  (let ((file (or (getenv "TEMPERA_MANUAL") "")))
    (and (file-exists? file) file)))

(define (manual-sections)
  ;; (title . text) of each section, as the manual's Info file has them.
  (let ((file (manual-file)))
    (if (not file)
        '()
        (filter-map
         (lambda (part)
           (let* ((part (string-trim part))
                  (line (substring part 0 (or (string-index part #\newline) 0)))
                  (at (string-contains line "Node: ")))
             (and at (string-prefix? "File:" line)
                  (let ((end (string-index line #\, at)))
                    (cons (substring line (+ at 6) (or end (string-length line)))
                          (string-trim (substring part (string-length line))))))))
         (string-split (call-with-input-file file read-string #:encoding "UTF-8") #\x1f)))))

(define (manual-topics)
  (map (lambda (section)
         (topic (string-append "manual: " (car section))
                ;; Below the heading and its underline.
                (let ((lines (string-split (cdr section) #\newline)))
                  (string-join (if (> (length lines) 2) (cddr lines) lines) "\n"))
                (lambda () (format #t "~a~%" (cdr section)))))
       ;; What is made from docstrings is found by those.
       (remove (lambda (section)
                 (or (member (car section) '("Top" "Index"))
                     (string-prefix? "Module " (car section))
                     (string-prefix? "tempera " (car section))))
               (manual-sections))))

(define (manual-section title)
  "The text of the section TITLE of the manual, a string; #f where there is none.
Example: (manual-section \"No such section\") => #f"
  (assoc-ref (manual-sections) title))

;;; --- Searching ------------------------------------------------------------------

(define (rank query topics)
  ;; TOPICS that have something of QUERY, a list of stems, best first.
  (let* ((total (length topics))
         (rarity (lambda (word)
                   (let ((having (count (lambda (t) (hash-ref (topic-counts t) word)) topics)))
                     (log (/ (+ total 1.) (+ having 0.5))))))
         ;; For each word what may stand for it, itself first; the best counts.
         (terms (map
                 (lambda (word)
                   (let ((weight (rarity word)))
                     (cons (list word weight)
                           (map (lambda (other) (list other (* 0.5 (min weight (rarity other)))))
                                (related word)))))
                 query))
         (usual (/ (apply + (map topic-total topics)) (max 1. total)))
         (score (lambda (topic)
                  ;; In a long text a word counts for less (Robertson, Walker 1994: BM25).
                  (let ((half (max 2 (+ 1 (/ (topic-total topic) usual)))))
                    (fold (lambda (same sum)
                            (+ sum (apply max (map (lambda (term)
                                                     (let ((n (hash-ref (topic-counts topic) (first term) 0)))
                                                       (* (second term) (/ n (+ n half)))))
                                                   same))))
                          0 terms)))))
    (map cdr
         (stable-sort (filter (lambda (scored) (> (car scored) 0))
                              (map (lambda (topic) (cons (score topic) topic)) topics))
                      (lambda (a b) (> (car a) (car b)))))))

(define (help-search question)
  "The titles, strings, of what there is about QUESTION, in words, best first.
Example: (list-head (help-search \"random-mask\") 1) => (\"random-mask\")"
  (check-that (string? question) 'help-search "question: expected a string, got ~s" question)
  (map topic-title (found-topics question)))

(define (found-topics question)
  ;; What has just this title first.
  (call-with-values
      (lambda () (partition (lambda (t) (string-ci=? question (topic-title t)))
                            (rank (words question) (topics))))
    append))

;;; --- Showing --------------------------------------------------------------------

(define (padded text width)
  (if (< (string-length text) width) (string-pad-right text width) text))

(define (show-topics found)
  ;; The best, and of the manual's sections the best.
  (let*-values (((sections others)
                 (partition (lambda (t) (string-prefix? "manual: " (topic-title t))) found))
                ((found) (append (take others (min 10 (length others)))
                                 (take sections (min 3 (length sections)))))
                ;; A long title is not to push what all others are from the screen.
                ((width) (min 28 (apply max (map (lambda (t) (string-length (topic-title t))) found)))))
    (for-each (lambda (topic)
                (let ((line (format #f "  ~a  ~a" (padded (topic-title topic) width)
                                    (topic-summary topic)))
                      (room (help-port-columns)))
                  (format #t "~a~%" (if (> (string-length line) room)
                                        (string-append (substring line 0 (- room 3)) "...")
                                        line))))
              found)))

(define (show-call name)
  ;; NAME with its arguments, in lines that fit.
  (let loop ((words (argument-texts name)) (line (format #f "(~a" name)))
    (cond ((null? words)
           (format #t "~a)~%" (if (name-signature name) line (substring line 1))))
          ((> (+ (string-length line) (string-length (car words)) 2) (min 99 (help-port-columns)))
           (format #t "~a~%" line)
           (loop words "   "))
          (else (loop (cdr words) (string-append line " " (car words)))))))

(define (show-name name)
  (let-values (((text example result) (documentation-parts (name-documentation name))))
    (show-call name)
    (format #t "    ~a of ~s~%~%" (name-kind name) (name-module name))
    (display-filled (or text "It has no documentation."))
    (when example
      (format #t "~%Example: ~a~a~%" example (if result (string-append " => " result) "")))))

;;; --- How to begin ---------------------------------------------------------------

(define begin-lines
  ;; They need no file.
  '("(define prior (gaussian-prior (power-spectrum '(64 64) #:amplitude 1e4)))"
    "(define scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(64 64)))"
    "(define op (mri-operator #:mask (random-mask 64 #:acceleration 4 #:seed 1)))"
    "(define y (measure op scan #:noise 0.1 #:seed 2))"
    "(define chain (anneal (posterior prior op y #:noise 0.1)))"
    "(show chain #:truth scan)"
    "(diagnose chain)"))

(define subjects
  '(("images" load-image load-npy simulated-scan psnr save-png)
    ("measuring" mri-operator random-mask measure apply-adjoint)
    ("priors" load-network gaussian-prior make-trainer train! save-network)
    ("posteriors" posterior prior-target anneal start-chain preview)
    ("chains" chain-mean chain-std chain-samples resume! fork rewind!)
    ("settings" geometric adaptive power-law hmc langevin)
    ("loops of your own" make-kernel transition chain-state)
    ("looking" show plot watch save-figure write-report)
    ("judging" diagnose compare hold r-hat calibrate-to)
    ("experiments" define-experiment run-experiment sweep load-script)))

(define (show-overview)
  (format #t "Tempera draws images that fit a measurement from what a prior holds likely: a network that was
trained, or a distribution known exactly.  To begin, type these lines:

~{  ~a~%~}
With a head and a learned prior the same takes ten minutes: (help \"Tutorial\").

What there is to ask about, as in (help anneal):

" begin-lines)
  (for-each (lambda (subject)
              (format #t "  ~a ~a~%" (string-pad-right (first subject) 12)
                      (string-join (map symbol->string (cdr subject)) "  ")))
            subjects)
  (display "
How to ask:

  (help \"in your own words\")  search everything, such as (help \"compare two chains\")
  (help NAME)                 what NAME is, its arguments, an example
  (help \"How to\")             a section of the manual, by its title
  (apropos \"part\")            names that have this part

Tab completes names, keywords, and files inside of quotes.  ,help lists the prompt's commands;
Ctrl-C pauses what runs; Ctrl-D leaves.
"))

;;; --- What is asked and has no name ---------------------------------------------------

(for-each
 (lambda (entry) (apply add-help-topic! entry))
 '(("Several coils"
    "Multi-coil data (parallel imaging, SENSE, GRAPPA, coil sensitivities) are not read yet.
Combine the coils first: with sensitivities S_c, reconstruct sum_c conj(S_c) F^H y_c as an image,
or reconstruct one coil, (H W), by itself.  With sensitivities at hand an operator of your own
does it right, x -> M F S_c x for each coil: (help \"Your own operator\")."
    "multi-coil multicoil parallel imaging SENSE GRAPPA sensitivities")
   ("Noise of a measurement"
    "How to estimate the noise, #:noise of `posterior': it is the standard deviation of the real and of the
imaginary part of k-space, each, on the scale where the image's white is 150, and nothing
estimates it for you.  Take it where there is no signal: from a scan without excitation, or from a
measured corner of k-space y, c64 (H W), centred:

  (define corner (tensor-slice (tensor-slice y 0 0 8) 1 0 8))
  (sqrt (/ (tensor->number (tensor-mean (tensor-square (tensor-abs corner)))) 2))

The mask is not to have thrown the corner away: 0 comes of that.  A wrong noise shows in
`diagnose' hardly, in residuals well: (tensor- (apply-forward op (chain-mean chain)) y) is to be
as large as the noise where it was measured."
    "estimate the noise level, what noise to give")
   ("Sampling from the prior"
    "Draw samples from the prior alone, without a measurement: (anneal (prior-target prior)) of an
exact prior, (anneal (prior-target net #:shape '(128 128))) of a network, then `chain-samples'
and `show'.  An exact prior has independent draws at once: (prior-draw prior 8)."
    "sample draw samples from a prior alone, unconditional, without data")
   ("K-space from NumPy, ISMRMRD, scanners"
    "Import raw k-space, Siemens twix, ISMRMRD, MATLAB: save it from Python as npy, complex64 (H W),
centred, and read that with `load-npy' or give it to tempera reconstruct:

  numpy.save(\"kspace.npy\", fftshift(fft2(ifftshift(x), norm=\"ortho\")).astype(\"complex64\"))

is the convention; x is the complex image, 0 stands where nothing was measured.  Back to Python or
MATLAB goes every result by `save-npy'."
    "import raw data Python MATLAB Siemens twix export")
   ("Radial, spiral, 3-D and dynamic data"
    "Non-Cartesian trajectories (radial, spiral, NUFFT), volumes in one piece and dynamic series are
not there: masks are columns or points of a Cartesian grid, images are single slices.  Reconstruct
slices one by one; grid a trajectory first; or give the forward map and its adjoint as an operator
of your own: (help \"Your own operator\")."
    "non-Cartesian NUFFT trajectory 3D volume cine")
   ("GPU and threads"
    "Everything runs on the processor's cores, by their widest vector instructions; a GPU is not used.
(help \"How fast\") says what bounds it; workers of `sweep' run several
experiments at a time."
    "CUDA graphics card cores parallel")
   ("How many chains, how long"
    "How many chains or samples, and how much time: the mean of C chains has the error s / sqrt(C) of
their deviation s, deviations are known to 1 / sqrt(2 C); 8 give a picture, 48 let R-hat be judged.
`preview' says before a run what it costs; ratios of temperatures nearer to 1 cool more slowly."
    "how many samples, how long does it take")
   ("Another contrast, size or organ"
    "Which prior suits knees, T2, other matrix sizes: brain.safetensors was trained on heads, and takes
images of any size in multiples of 8 at its scale, white 150.  Of what it never saw it is wrong
without knowing; hold out truths and calibrate (tempera calibrate), or train one: (help \"Training it\")."
    "other anatomy knee T2 matrix size resolution")
   ("Uncertainty, credible intervals"
    "Uncertainty maps, error bars, confidence, quantiles and probabilities of pixels: (tensor-quantile (tensor-abs
(chain-samples chain)) 0.05 0) and 0.95 are the ends of 90 % of each pixel; `chain-std' is the
deviation.  Intervals want samples: with fewer than 40 their ends are little but the extremes."
    "uncertainty map confidence interval error bars quantile probability")
   ("Leave the prompt"
    "Quit, exit: ,quit or Ctrl-D.  What was defined is gone; `save-chain', `save-npy' and
`save-network' keep it."
    "quit exit leave")
   ("Chains that reject or do not converge"
    "What to do where steps are too large, acceptance is low, chains did not converge or are stuck:
`diagnose' says at which temperature and what to change; `plot' draws acceptance by transition.  Smaller
steps, #:step-size of `anneal', or steps that tune themselves, (dual-averaging); slower cooling, a
ratio of `geometric' nearer to 1; other seeds, and `compare', tell whether chains agree.
(help \"Is it right?\") has more."
    "converge converged convergence step size too large low acceptance rejected stuck")
   ("Training a prior"
    "Train a network on your own images: `tempera data' prepares them, `tempera train' trains and writes
prior.safetensors, which `load-network' reads.  At the prompt `make-trainer' and `train!' do it
with every setting: (help \"Training it\")."
    "train training a network learn prior from own images")))

(define (help-port-columns)
  (max 20 (text-columns (current-output-port))))

(define (display-filled text)
  ;; TEXT, a docstring: paragraphs filled to the terminal's width, as far as it is good to read;
  ;; what is indented, a list or a formula, as it stands where it fits.
  (let ((width (min 99 (help-port-columns))))
    (define (put words indent)
      (let loop ((words words) (line "") (first? #t))
        (cond ((null? words) (format #t "~a~%" line))
              ((string-null? line)
               (loop (cdr words) (string-append (if first? (car indent) (cdr indent)) (car words)) #f))
              (else
               ;; A sentence ends with two blanks, as it is written.
               (let ((longer (string-append line (if (string-suffix? "." line) "  " " ") (car words))))
                 (cond ((> (string-length longer) width)
                        (format #t "~a~%" line)
                        (loop words "" #f))
                       (else (loop (cdr words) longer #f))))))))
    (define (indented? line) (and (not (string-null? line)) (char=? #\space (string-ref line 0))))
    (let loop ((lines (string-split text #\newline)) (paragraph '()))
      (define (flush)
        (unless (null? paragraph)
          (put (append-map string-tokenize (reverse paragraph)) (cons "" ""))))
      (cond ((null? lines) (flush))
            ((string-null? (string-trim-both (car lines)))
             (flush) (newline) (loop (cdr lines) '()))
            ((indented? (car lines))
             (flush)
             (let ((indent (string-take (car lines)
                                        (string-index (car lines) (lambda (c) (not (char=? c #\space)))))))
               (if (<= (string-length (car lines)) width)
                   (format #t "~a~%" (car lines))
                   (put (string-tokenize (car lines)) (cons indent (string-append indent "    ")))))
             (loop (cdr lines) '()))
            (else (loop (cdr lines) (cons (car lines) paragraph)))))))

(define* (help-about #:optional (what #f))
  "Show what there is on WHAT: a name (symbol), the title of something, or a question in
words; of another thing its documentation; without it how to begin.  `(help anneal)' is
`(help-about 'anneal)'.
Example: (help-about \"undersampling\")"
  (cond ((or (not what) (and (string? what) (string-ci=? what "help"))) (show-overview))
        ((symbol? what) (show-symbol what))
        ((not (string? what)) (show-value what))
        ((find (lambda (topic)
                 (let ((title (string-downcase (topic-title topic))) (asked (string-downcase what)))
                   (or (string=? title asked)
                       (string=? title (string-append "manual: " asked)))))
               (topics))
         => (lambda (topic) ((topic-show topic))))
        (else
         (let ((found (found-topics what)))
           (if (null? found)
               (format #t "Nothing is about ~s.  (help) says where to begin.~%" what)
               (show-topics found)))))
  *unspecified*)                        ; nothing for the prompt to print

(define (show-value value)
  (let ((name (find (lambda (name) (eq? value (module-ref (resolve-interface '(tempera)) name)))
                    (documented-names))))
    (if name
        (show-name name)
        (format #t "~a~%" (or (and (procedure? value) (object-documentation value))
                              (format #f "~s has no documentation." value))))))

(define (show-symbol name)
  (let ((variable (module-variable (current-module) name)))
    (cond ((memq name (documented-names)) (show-name name))
          ((and variable (variable-bound? variable)) (show-value (variable-ref variable)))
          (else
           (let ((nearest (nearest-name (symbol->string name)
                                        (map symbol->string (documented-names)))))
             (format #t "There is no ~a~a~%" name
                     (if nearest (format #f "; did you mean ~a?" nearest) ".")))))))

(define-syntax help
  (lambda (form)
    "(help), (help NAME), (help \"in your own words\")
Say what NAME is, its arguments, an example; or search all names, the prompt's commands and
the manual for words; or alone, say how to begin.
Example: (help \"undersampling\")"
    (syntax-case form (quote)
      ((_) #'(help-about))
      ((_ (quote name)) #'(help-about 'name))
      ((_ name) (identifier? #'name) #'(help-about 'name))
      ((_ what) #'(help-about what)))))
