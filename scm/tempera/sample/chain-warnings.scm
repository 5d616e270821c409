;;; chain-warnings.scm -- what is wrong with the samples of a chain, in words.
;;;
;;; Each warning has its cause and what to do.  Statistics of acceptance and energy errors are
;;; diagnostics.scm's.

(define-module (tempera sample chain-warnings)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera problem masses)
  #:use-module (tempera problem priors)
  #:use-module (tempera problem targets)
  #:use-module (tempera tensor primitives)
  #:use-module ((tempera tensor tensors) #:select (tensor-count))
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:export (chain-warnings print-warnings chains-without-score rejection-remedy))

(define (chain-warnings chain)
  "What is wrong with the samples of CHAIN, a list of strings, each with its cause and what to do:
a target that is doubtful, scores that were not finite, proposals none of which was accepted, samples that
have grown without bounds, temperatures that rise, or at which the prior was not trained.
`anneal' and `resume!' print them at the end, and `diagnose' has them first.
Example: (chain-warnings chain) => ()"
  (check-that (chain? chain) 'chain-warnings "chain: expected one, got ~s" chain)
  (filter identity (list (target-caution (chain-target chain)) (score-warning chain) (rejection-warning chain)
                         (standing-warning chain) (growth-warning chain) (rising-warning chain) (untrained-warning chain))))

(define (print-warnings chain)
  "Write the warnings of CHAIN to the warning port.
Example: (print-warnings chain)"
  (for-each (lambda (text) (format (current-warning-port) "warning: ~a~%" text))
            (chain-warnings chain)))

(define (several numbers)
  ;; NUMBERS of chains, in words.
  (format #f "chain~a ~a~a" (if (null? (cdr numbers)) "" "s")
          (string-join (map number->string (take numbers (min 5 (length numbers)))) ", ")
          (if (> (length numbers) 5) (format #f " and ~a more" (- (length numbers) 5)) "")))

(define (chain-numbers chain)
  (iota (chain-count chain)))

(define (without-score chain number)
  ;; The transitions in which chain NUMBER had no finite score, oldest first.
  (let ((trace (chain-reversed-trace chain)))
    (define (scoreless? t)
      (let ((errors (transition-energy-error t))) (and errors (nan? (vector-ref errors number)))))
    (define (rejected? t)
      (not (vector-ref (transition-accepted t) number)))
    (reverse (if (vector-ref (finite-chains (chain-present chain)) number)
                 (filter scoreless? trace)
                 ;; Uncorrected samplers have no energy errors to tell by.
                 (append (take-while (lambda (t) (or (scoreless? t)
                                                     (and (not (transition-energy-error t))
                                                          (rejected? t))))
                                     trace)
                         (filter scoreless? (drop-while rejected? trace)))))))

(define (chains-without-score chain)
  "The chains of CHAIN, by number, whose score was NaN or infinite at some time, so that they stood
still: a list of (number transition ...), with the transitions in which they did.
Example: (chains-without-score chain) => ()"
  (filter (lambda (entry) (pair? (cdr entry)))
          (map (lambda (c) (cons c (without-score chain c))) (chain-numbers chain))))

(define (score-warning chain)
  (let ((trace (chain-trace chain)) (bad (chains-without-score chain)))
    (and (pair? bad)
         (let ((begun (cadr (reduce (lambda (a b) (if (>= (transition-sigma (cadr a))
                                                          (transition-sigma (cadr b))) a b))
                                    #f bad))))
           (format #f "the score of ~a was NaN or infinite, first at sigma ~a, after ~a transitions: there \
x stands still, and ends as no sample; leave it out, or look into the prior at that sigma"
                   (several (map car bad)) (significant (transition-sigma begun) 3)
                   (list-index (lambda (t) (eq? t begun)) trace))))))

(define (none-accepted? t)
  (not (memq #t (vector->list (transition-accepted t)))))

(define (longest-rejection trace)
  ;; The longest run of TRACE's transitions in which no chain accepted.
  (let loop ((rest trace) (longest '()))
    (if (null? rest)
        longest
        (call-with-values (lambda () (span none-accepted? rest))
          (lambda (run after)
            (loop (if (pair? after) (cdr after) '())
                  (if (> (length run) (length longest)) run longest)))))))

;; Where a tenth is accepted so many proposals are rejected with a probability of 1e-3.
(define improbable-rejections 64)

(define (rejection-warning chain)
  (let* ((trace (chain-trace chain)) (run (longest-rejection trace))
         (proposals (* (length run) (length (chain-numbers chain)))))
    (and (pair? run)
         (or (>= proposals improbable-rejections) (= (length run) (length trace)))
         (format #f "no proposal of ~a was accepted ~a: the chains ~a; ~a"
                 proposals
                 (let ((from (transition-sigma (first run))) (to (transition-sigma (last run))))
                   (if (= from to)
                       (format #f "at sigma ~a" (significant from 3))
                       (format #f "from sigma ~a to ~a" (significant from 3) (significant to 3))))
                 (if (= (length run) (length trace)) "are where they began" "stood still there")
                 (rejection-remedy chain run)))))

(define (rejection-remedy chain transitions)
  "What would make CHAIN accept more of what it rejected in TRANSITIONS, some of its trace: a string.
Example: (rejection-remedy chain (chain-trace chain)) => \"a smaller #:step-size there\""
  (let* ((masses (target-masses (chain-target chain)))
         (sigma (transition-sigma (first transitions))))
    (cond
     ((target-caution (chain-target chain)) "see the warning about the target")
     ((and (pair? masses) (not ((rules-mass (chain-rules chain)) sigma)))
      (format #f "with the mass identity a step must suit the sharpest direction of the data: take \
the target's mass, #:mass '~a~a" (car (first masses))
              (if (assq 'normal masses)
                  ", or as the paper has it the likelihood with #:widening 1 of `posterior'"
                  "")))
     (else "a smaller #:step-size there"))))

(define (standing-warning chain)
  ;; Chains that rejected all at the end while others, which met the same, did not.
  (let* ((trace (chain-reversed-trace chain))
         (sound (finite-chains (chain-present chain)))
         (numbers (filter (lambda (c) (vector-ref sound c)) (chain-numbers chain)))
         (standing
          (filter (lambda (c)
                    (let* ((run (take-while (lambda (t) (not (vector-ref (transition-accepted t) c)))
                                            trace))
                           (rejected (length run)))
                      (and (>= rejected 8)
                           ;; Of N chains by chance one in a thousand runs, at most.
                           (< (* (expt (- 1 (min 0.95 (mean (map (compose mean-true transition-accepted)
                                                                 run))))
                                       rejected)
                                 (length numbers))
                              1e-3))))
                  numbers)))
    (and (pair? standing)
         (format #f "~a of ~a accepted nothing at the end (from sigma ~a on at least): leave ~a out, or \
take a smaller #:step-size there"
                 (several standing) (length (chain-numbers chain))
                 (significant (transition-sigma (list-ref trace 7)) 3)
                 (if (null? (cdr standing)) "it" "them")))))

;; Of samples g^H M^-1 g, with the score g and a mass M above all curvatures, is at most as many as they have
;; numbers, on average.  Too long a step, which nothing rejects, makes it grow from one to the next.
(define most-growth 100)

(define (growth-warning chain)
  (let* ((state (chain-present chain)) (target (chain-target chain)) (trace (chain-reversed-trace chain)))
    (and (state-sigma state) (pair? trace) (not (transition-energy-error (first trace)))
         (pair? (target-masses target))
         (let* ((g (state-score state)) (sound (finite-chains state))
                (mass ((cdr (first (target-masses target))) (state-sigma state)))
                (numbers (* (tensor-count (state-x state)) (if (eq? (tensor-dtype g) 'c64) 2 1)
                            (/ (chain-count chain))))
                (shares (map (lambda (square) (if (finite? square) (/ square numbers) +inf.0))
                             (vector->list (chains-dot g (mass-velocity mass g)))))
                (grown (filter (lambda (c) (and (vector-ref sound c)
                                                (> (list-ref shares c) most-growth)))
                               (chain-numbers chain))))
           (and (pair? grown)
                (format #f "x has grown in ~a: its score at sigma ~a is ~a times what samples have; steps \
were too long, and nothing rejected them: take a sampler that treats the data exactly, such as (split-gibbs), \
more #:temperatures, or #:widening 1 of `posterior'"
                        (several grown) (significant (state-sigma state) 3)
                        (significant (sqrt (apply max (map (lambda (c) (list-ref shares c)) grown))) 2)))))))

(define (rising-warning chain)
  (let ((temperatures (chain-temperatures chain)))
    (and (not (adaptive? temperatures))
         (let loop ((rest (vector->list temperatures)))
           (cond ((null? (cdr rest)) #f)
                 ((not-above? (second rest) (first rest)) (loop (cdr rest)))
                 (else
                  (format #f "temperatures rise, from sigma ~a to ~a: what was found below is lost again; \
give #:temperatures that fall, such as (geometric 100 #:ratio 0.9 #:until 0.05)"
                          (significant (first rest) 3) (significant (second rest) 3))))))))

(define barely 1.5)                     ; a network is still right so many times beyond its sigmas

(define (untrained-warning chain)
  (let ((range (sigma-range (target-prior (chain-target chain))))
        (sigmas (map transition-sigma (chain-trace chain))))
    (and range (pair? sigmas)
         (let ((least (apply min sigmas)) (greatest (apply max sigmas)))
           (define (beyond text sigma)
             (format #f "the prior was trained at sigma from ~a to ~a, and asked at ~a, where it cannot know the score: let the \
temperatures ~a that" (significant (first range) 3) (significant (second range) 3)
                     (significant sigma 3) text))
           (cond ((> greatest (* barely (second range))) (beyond "begin below" greatest))
                 ((< least (/ (first range) barely)) (beyond "end above" least))
                 (else #f))))))
