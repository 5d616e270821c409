;;; test-damage.scm -- files in which bits have flipped: an error, and not other numbers.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 binary-ports)
             (rnrs bytevectors)
             (tempera) (tempera file values))

(start-tests "damage")

(define flips 300)

(define (bytes path) (call-with-input-file path get-bytevector-all #:binary #t))

(define (write-bytes path bytes)
  (call-with-output-file path (lambda (port) (put-bytevector port bytes)) #:binary #t))

(define (value-of load path)
  ;; What LOAD makes of PATH, to be compared; `refused' after an error of ours.
  (catch #t
    (lambda () (plain (call-with-values (lambda () (load path)) list)))
    (lambda (key . arguments) (if (eq? key 'tempera-error) 'refused (cons key arguments)))))

(define (plain value)
  (cond ((tensor? value) (list (tensor-shape value) (tensor->list value)))
        ((table? value) (list (table-columns value) (table-rows value)))
        ((pair? value) (cons (plain (car value)) (plain (cdr value))))
        (else value)))

(define (places size)
  ;; Where bits flip: everywhere in turn, in a file that has fewer, else at random.
  (let ((state (seed->random-state (string->number (or (getenv "SEED") "7")))) (bits (* 8 size)))
    (if (< bits flips) (iota bits) (map (lambda (k) (random bits state)) (iota flips)))))

(define* (check-flips name load path #:optional (spoilt path))
  ;; That no bit flipped in the file SPOILT lets LOAD give another value of PATH.
  (let* ((good (bytes spoilt)) (expected (value-of load path)))
    (test-assert (string-append name " is read") (not (eq? expected 'refused)))
    (let ((silent (filter-map
                   (lambda (bit)
                     (let ((bad (bytevector-copy good)) (at (quotient bit 8)))
                       (bytevector-u8-set! bad at (logxor (bytevector-u8-ref bad at)
                                                          (ash 1 (modulo bit 8))))
                       (write-bytes spoilt bad)
                       (let ((value (value-of load path)))
                         (and (not (eq? value 'refused)) (not (equal? value expected))
                              (list bit value)))))
                   (places (bytevector-length good)))))
      (write-bytes spoilt good)
      (test-equal (format #f "~a: of ~a flips silent" name flips) '() silent))))

(define (metadata-of path)
  (call-with-values (lambda () (load-safetensors path)) (lambda (tensors metadata) metadata)))

(call-with-temporary-directory
 (lambda (folder)
   (define (file name) (string-append folder "/" name))
   (define net (score-network '(moons-mlp #:width 4)))
   (define (trainer) (make-trainer (score-network '(moons-mlp #:width 4)) (lambda (count step) (random-normal (list count 2) 1 step))
                                   #:batch 4 #:steps 4 #:seed 1))
   (define target (make-target "normal" #:shape '(2)
                               #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
   (define settings (list #:seed 1 #:mass 'identity #:step-size 0.1
                          #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5)))

   (save-network (file "prior.safetensors") net)
   (check-flips "a prior" load-safetensors (file "prior.safetensors"))
   (save-chain (file "chain.safetensors") (apply anneal target #:chains 2 settings))
   (check-flips "a chain" load-safetensors (file "chain.safetensors"))
   (train! (trainer) #:steps 2 #:checkpoint (file "run.safetensors"))
   (check-flips "a checkpoint" load-safetensors (file "run.safetensors"))
   ;; The metrics of a run that is over.
   (let* ((script (file "toy.scm"))
          (run (begin
                 (call-with-output-file script
                   (lambda (port)
                     (write '(use-modules (tempera)) port)
                     (write '(define-experiment toy ((steps 9 positive? "of it")) "Counts."
                               (let loop ((k 0))
                                 (when (< k steps)
                                   (record-metrics! `((step . ,k) (loss . ,(/ 1.0 (+ 1 k)))))
                                   (loop (+ k 1))))
                               steps)
                            port)))
                 (run-experiment (load-script script) '() #:directory (file "toy")))))
     (define (metrics directory) (run-metrics (open-run directory)))
     (check-flips "metrics" metrics (run-directory run) (file "toy/metrics.csv"))
     (check-flips "a run's config" (lambda (directory) (run-config (open-run directory)))
                  (run-directory run) (file "toy/config.scm"))
     (check-flips "a run's state" (lambda (directory)
                                    (let ((run (open-run directory)))
                                      (list (run-state run) (run-result run) (run-seconds run))))
                  (run-directory run) (file "toy/state.scm")))
   (save-datum (file "state.scm") '((state . finished) (seconds . 3.25) (result (psnr . 28.1))))
   (check-flips "a datum" load-datum (file "state.scm"))

   ;; Nobody else's key, and nothing that a user sees.
   (test-equal "the checksum is no user's metadata" #f
     (assoc "checksum" (metadata-of (file "prior.safetensors"))))
   (let ((path (file "again.safetensors")))
     (call-with-values (lambda () (load-safetensors (file "prior.safetensors")))
       (lambda (tensors metadata) (save-safetensors path tensors #:metadata metadata)))
     (test-assert "what was loaded is saved and loaded again" (network? (load-network path))))

   ;; Of the checkpoint that is damaged the one before is offered.
   (let ((path (file "run.safetensors")) (before (file "run.safetensors.before")))
     (define whole (trainer))
     (train! whole #:steps 4 #:checkpoint path #:every 2)
     (test-assert "the checkpoint before is kept" (file-exists? before))
     (test-equal "of two steps before" "2" (assoc-ref (metadata-of before) "step"))
     (let ((bad (bytes path)))
       (bytevector-u8-set! bad 900 (logxor 1 (bytevector-u8-ref bad 900)))
       (write-bytes path bad))
     (test-error-matching "it is offered" "run.safetensors.before: give it this one's name"
       (trainer-resume! (trainer) path))
     (rename-file before path)
     (let ((resumed (train! (trainer-resume! (trainer) path))))
       (test-assert "and goes on to the same bits"
         (every tensor-identical? (map cdr (layer-parameters (trainer-network resumed)))
                (map cdr (layer-parameters (trainer-network whole)))))))

   ;; Numbers that nobody wrote.
   (define (load path) (apply load-chain path target settings))
   (define (with-metadata path name old new)
     ;; The file PATH, in whose metadata NAME has the text NEW in place of OLD, and a checksum that
     ;; is right.
     (let ((changed (file "changed.safetensors")))
       (call-with-values (lambda () (load-safetensors path))
         (lambda (tensors metadata)
           (let* ((text (assoc-ref metadata name)) (at (string-contains text old)))
             (save-safetensors changed tensors
                               #:metadata (acons name
                                                 (string-append (substring text 0 at) new
                                                                (substring text (+ at (string-length old))))
                                                 (alist-delete name metadata))))))
       changed))
   (test-assert "a chain is read" (chain? (load (file "chain.safetensors"))))
   (for-each
    (lambda (name old new)
      (test-error-matching (format #f "~a: ~a" name new) "expected a chain of format"
        (load (with-metadata (file "chain.safetensors") name old new))))
    '("trace" "trace" "trace" "trace" "state")
    '("#(#t #t)" "#(#t #t)" "#f)" "4 #(" "0 0 5")
    '("42" "#(#t 42)" "-1)" "4 7 #(" "0 42 5"))
   (for-each
    (lambda (new)
      (test-error-matching (string-append "losses: " new) "losses: expected steps and losses"
        (trainer-resume! (trainer) (with-metadata (file "run.safetensors") "losses" "((2" new))))
    '("42 ((2" "((2.5" "((-2" "(((2)"))

   ;; Files that were there before there were checksums, and text that was changed on purpose.
   (call-with-output-file (file "old.scm") (lambda (port) (display "((a . 1))\n; a note\n" port)))
   (test-equal "a datum without a checksum" '((a . 1)) (load-datum (file "old.scm")))
   (test-error-matching "a datum that was changed" "where it was changed on purpose, remove that line"
     (begin
       (save-datum (file "old.scm") '((a . 1)))
       (let ((text (utf8->string (bytes (file "old.scm")))))
         (save-text (file "old.scm") (string-append "((a . 2" (substring text 7))))
       (load-datum (file "old.scm"))))
   (for-each (lambda (name) (test-assert name (network? (load-network name)))) (shipped-priors))))

(finish-tests)
