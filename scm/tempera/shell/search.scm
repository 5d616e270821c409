;;; search.scm -- ranks texts by how well they match a question in words.
;;;
;;; Words are compared by their stems, and a small table lists synonyms of the field.  A word in a
;;; title counts more than one in the first sentence, that one more than one further on; rare
;;; words count more than common ones (BM25).

(define-module (tempera shell search)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera tensor primitives)
  #:export (topic topic-title topic-summary topic-show topics-about))

;;; --- Words ----------------------------------------------------------------------

(define stop-words
  '("a" "about" "an" "and" "are" "as" "at" "be" "by" "can" "do" "does" "for" "from" "get" "give"
    "has" "have" "how" "i" "if" "in" "into" "is" "it" "its" "make" "me" "my" "of" "on" "one" "or"
    "should" "some" "such" "that" "the" "their" "them" "there" "these" "they" "this" "to" "up" "use"
    "want" "was" "what" "when" "where" "which" "who" "why" "will" "with" "would" "you" "your"))

(define (words text)
  ;; The stems of TEXT's words, without the stop words.
  (map word-stem
       (remove (lambda (word) (member word stop-words))
               (string-tokenize (string-downcase text) char-set:letter+digit))))

(define same-things
  ;; Words that mean much the same: one in the question, another in the text.
  (map (lambda (line) (map word-stem (string-tokenize line)))
       '("lower reduce decrease cool colder fall down anneal geometric"
         "temperature sigma anneal schedule"
         "uncertainty std standard deviation variance spread interval"
         "picture image figure plot show chart draw panel montage"
         "speed fast slow time spent performance profile benchmark"
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
  "What is to be found under TITLE: TEXT, of which the first sentence is a summary, and which the
procedure SHOW displays.  ASKED has further words by which it is to be found, as if they were in
its title.
Example: (topic-summary (topic \",runs\" \"List the runs.  All of them.\" newline)) => List the runs"
  (let ((counts (make-hash-table)) (summary (first-sentence text)))
    (define (count! text weight)
      (for-each (lambda (word)
                  (hash-set! counts word (+ weight (hash-ref counts word 0))))
                (words text)))
    (count! (string-append title " " asked) 4)
    (count! summary 1)
    ;; ASKED is chosen with care; a long text must not outweigh it.
    (when (string-null? asked) (count! (or text "") 1))
    (make-topic title summary counts (hash-fold (lambda (word n sum) (+ n sum)) 0 counts) show)))

;;; --- Searching ------------------------------------------------------------------

(define (topics-about question topics)
  "Those of TOPICS, a list, that have something of QUESTION, in words, the best first; before them
what has just that title.
Example: (map topic-title (topics-about \"reports\" (list (topic \"write-report\" \"A report.\" newline))))
=> (write-report)"
  (call-with-values
      (lambda () (partition (lambda (t) (string-ci=? question (topic-title t)))
                            (ranked (words question) topics)))
    append))

(define (ranked query topics)
  ;; TOPICS that have some of QUERY, a list of stems, the best first.
  (let* ((total (length topics))
         (rarity (lambda (word)
                   (let ((having (count (lambda (t) (hash-ref (topic-counts t) word)) topics)))
                     (log (/ (+ total 1.) (+ having 0.5))))))
         ;; For each word, itself and its synonyms at half the weight; the best of them counts.
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
