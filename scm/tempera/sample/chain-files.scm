;;; chain-files.scm -- chains in safetensors files.
;;;
;;; A file has the states of a chain, the present one and those it kept; its trace and what was
;;; adapted are metadata, as Scheme data.  Target and settings are procedures: they are the script's.

(define-module (tempera sample chain-files)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera file safetensors)
  #:use-module (tempera file values)
  #:use-module (tempera problem targets)
  #:use-module (tempera sample adaptation)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera sample schedules)
  #:use-module (tempera sample settings)
  #:export (save-chain load-chain))

(define chain-format "tempera-chain-3")

(define* (save-chain path chain #:key (states? #t))
  "Write CHAIN to the safetensors file PATH: its state, its trace, and with STATES? the states
that it kept.  Target and settings are procedures, which are the script's: give them again
to `load-chain'.  It is an error, and PATH stays as it is, where the chain is not finite.
Example: (save-chain \"chain.safetensors\" chain)"
  (check-that (chain? chain) 'save-chain "chain: expected one, got ~s" chain)
  (check-that (tensor-finite? (state-x (chain-present chain))) 'save-chain
              "~a: not written: the chain has NaN or infinite values" path)
  (let ((rules (chain-rules chain))
        (kept (if states? (chain-kept chain) '())))
    (save-safetensors
     path
     (append (named-tensors "" (chain-present chain))
             (append-map (lambda (s k) (named-tensors (kept-prefix k) (snapshot-state s)))
                         kept (iota (length kept))))
     #:metadata
     `(("format" . ,chain-format)
       ("seed" . ,(number->string (rules-seed rules)))
       ("temperatures" . ,(object->string (temperatures-datum rules)))
       ("trace" . ,(object->string (map transition->list (chain-reversed-trace chain))))
       ("state" . ,(object->string (numbers->list (chain-present chain) (chain-adaptation chain)
                                                  (chain-reversed-trace chain))))
       ("kept" . ,(object->string (map (lambda (s)
                                         (cons (snapshot-sigma s)
                                               (numbers->list (snapshot-state s)
                                                              (snapshot-adaptation s)
                                                              (snapshot-trace s))))
                                       kept)))))))

(define (named-tensors prefix state)
  (map (lambda (name t)
         (cons (string-append prefix name) (if (eq? (tensor-dtype t) 'c64) (real-view t) t)))
       '("x" "score") (list (state-x state) (state-score state))))

(define (kept-prefix k)
  (format #f "kept-~a." k))

(define (temperatures-datum rules)
  (let ((temperatures (rules-temperatures rules)))
    (if (adaptive? temperatures) (format #f "~a" temperatures) temperatures)))

(define (datum-text datum)
  ;; Of many temperatures their ends.
  (if (and (vector? datum) (> (vector-length datum) 3))
      (let ((n (vector-length datum)))
        (format #f "~a ... ~a (~a)" (vector-ref datum 0) (vector-ref datum (1- n)) n))
      datum))

(define (numbers->list state adaptation trace)
  ;; All of a state, its adaptation and its trace but the tensors.  The trace is the end of the
  ;; chain's: how long it is, is enough.
  (list (state-sigma state) (adaptation-sigma adaptation) (adaptation-ratio adaptation)
        (adaptation-index adaptation) (adaptation-transitions adaptation)
        (adaptation-accepted adaptation) (state-number state) (state-evaluations state)
        (adaptation-tuning adaptation) (length trace)))

(define (snapshot-maker data trace)
  ;; The snapshot that `numbers->list' made DATA of, as a procedure of its sigma, x and score; #f if
  ;; DATA are none.  TRACE is the chain's, newest first.
  (define (sigma? s) (or (not s) (positive-number? s)))
  (match data
    (((? sigma? scored) (? sigma? sigma) (? sigma? ratio) (? natural? index) (? natural? made)
      (? real? accepted) (? natural? number) (? natural? evaluations)
      ((? real? h) . (? natural? m)) (? natural? transitions))
     (and (<= transitions (length trace)) (<= 0 accepted made)
          (lambda (reached x score)
            (make-snapshot reached
                           (make-state x #:score score #:sigma scored #:number number
                                       #:evaluations evaluations)
                           (make-adaptation sigma ratio index made accepted (cons h m))
                           (list-tail trace (- (length trace) transitions))))))
    (_ #f)))

(define (transition->list t)
  (list (transition-sigma t) (transition-step-size t) (transition-steps t)
        (transition-accepted t) (transition-energy-error t) (transition-evaluations t)
        (transition-ratio t)))

(define (list->transition row)
  (apply make-transition (append row '(#f))))

(define (valid-transition? t chains)
  ;; Whether T is what `transition->list' makes, of so many CHAINS.
  (define (of-each? predicate vector)
    (and (vector? vector) (eqv? chains (vector-length vector)) (every predicate (vector->list vector))))
  (and (list? t) (= (length t) 7) (positive-number? (first t)) (positive-number? (second t))
       (natural? (third t)) (of-each? boolean? (fourth t))
       (or (not (fifth t)) (of-each? real? (fifth t)))
       (natural? (sixth t)) (or (not (seventh t)) (positive-number? (seventh t)))))

(define (load-chain path target . settings)
  "The chain that `save-chain' wrote to PATH, on TARGET and with SETTINGS as `anneal' had
them; `resume!' goes on to the bits of a chain that never was in a file.  For other
settings, `fork' it.
Example: (let ((file \"loaded.safetensors\"))
           (save-chain file chain)
           (load-chain file target #:seed 42))"
  (let*-values (((rules) (settings->rules 'load-chain target settings))
                ((tensors metadata) (load-safetensors path)))
    (define (datum name)
      (read-datum (assoc-ref metadata name)))
    (define complex? (eq? (target-dtype target) 'c64))
    (define shape (append (target-shape target) (if complex? '(2) '())))
    (define (part name)
      (let ((t (assoc-ref tensors name)))
        (check-that (and t (equal? (cdr (tensor-shape t)) shape)) 'load-chain
                    "~a: ~a: expected chains of shape ~a, got ~a" path name shape
                    (and t (tensor-shape t)))
        (if complex? (complex-view t) t)))
    (define (parts prefix)
      (let ((x (part (string-append prefix "x"))) (score (part (string-append prefix "score"))))
        (check-that (equal? (tensor-shape x) (tensor-shape score)) 'load-chain
                    "~a: x and score differ in shape" path)
        (check-that (tensor-finite? x) 'load-chain "~a: ~ax has NaN or infinite values" path prefix)
        (list x score)))
    (let* ((rows (datum "trace"))
           (shape-of-x (and=> (assoc-ref tensors "x") tensor-shape))
           (chains (and (pair? shape-of-x) (first shape-of-x)))
           (trace (and (list? rows) (every (lambda (row) (valid-transition? row chains)) rows)
                       (map list->transition rows)))
           (present (and trace (snapshot-maker (datum "state") trace)))
           (kept (datum "kept"))
           (kept (and trace (list? kept) (every pair? kept) (every positive-number? (map car kept))
                      (map (lambda (k) (cons (car k) (snapshot-maker (cdr k) trace))) kept))))
      (check-that (and (equal? (assoc-ref metadata "format") chain-format)
                       present kept (every cdr kept))
                  'load-chain "~a: expected a chain of format ~a" path chain-format)
      (check-no-others 'load-chain path tensors
                       (append-map (lambda (prefix)
                                     (list (string-append prefix "x") (string-append prefix "score")))
                                   (cons "" (map kept-prefix (iota (length kept))))))
      (for-each (lambda (name wanted)
                  (check-that (equal? wanted (datum name)) 'load-chain
                              "~a: it was annealed with ~a ~a, got ~a" path name
                              (datum-text (datum name)) (datum-text wanted)))
                '("seed" "temperatures")
                (list (rules-seed rules) (temperatures-datum rules)))
      (let ((snapshot (lambda (prefix reached maker)
                        (match (parts prefix) ((x score) (maker reached x score))))))
        (let ((now (snapshot "" #f present)))
          (make-chain settings rules (snapshot-state now) (snapshot-adaptation now)
                      #:trace (snapshot-trace now)
                      #:kept (map (lambda (k number)
                                    (snapshot (kept-prefix number) (car k) (cdr k)))
                                  kept (iota (length kept)))))))))
