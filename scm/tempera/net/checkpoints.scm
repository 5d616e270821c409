;;; checkpoints.scm -- a trainer's state in a file, from which training goes on to the same bits.

(define-module (tempera net checkpoints)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera base numbers)
  #:use-module (tempera file safetensors)
  #:use-module (tempera file values)
  #:use-module (tempera net networks)
  #:use-module (tempera net trainer)
  #:use-module (tempera net trainer-history)
  #:export (trainer-save trainer-resume!))

;; The checkpoint before the newest stays beside it: should a disk have spoilt that, one goes on
;; from there.
(define (before path) (string-append path ".before"))

(define (keep-before! path)
  (when (file-exists? path)
    ;; A second name of the file, which PATH then leaves to it; some file systems have none.
    (let ((new (string-append (before path) ".new")))
      (false-if-error (delete-file new))
      (when (false-if-error (link path new))
        (rename-file new (before path))))))

(define (load-checkpoint path)
  (catch 'tempera-error
    (lambda () (load-safetensors path))
    (lambda (key who message arguments . rest)
      (complain 'trainer-resume! "~a~a" (apply format #f message arguments)
                (if (file-exists? (before path))
                    (format #f "; the checkpoint before it is ~a: give it this one's name to go on from there"
                            (before path))
                    "")))))

(define (trainer-save trainer path)
  "Write all of TRAINER's state to the safetensors file PATH, whole or not at all; what was there
is kept under the name PATH.before.  It is an error, and
PATH stays as it is, when TRAINER has diverged.
Example: (trainer-save trainer \"run.safetensors\")"
  (check-that (not (eqv? (trainer-diverged trainer) (trainer-step trainer))) 'trainer-save
              "~a: not written: training diverged by step ~a; trainer-rewind!, or trainer-resume! from \
an earlier checkpoint, goes back" path (trainer-step trainer))
  (for-each (lambda (entry)
              (check-that (tensor-finite? (cdr entry)) 'trainer-save
                          "~a: not written: tensor ~s has NaN or infinite values" path (car entry)))
            (trainer-state trainer))
  (keep-before! path)
  (save-safetensors path (trainer-state trainer)
                    #:metadata `(("format" . "tempera-trainer-1")
                                 ,@(alist-delete "format" (network-metadata
                                                           (trainer-network trainer)))
                                 ,@(let ((name (first-average-name trainer)))
                                     (if name `(("average" . ,name)) '()))
                                 ("step" . ,(number->string (trainer-step trainer)))
                                 ("seed" . ,(number->string (trainer-setting trainer 'seed)))
                                 ("images" . ,(number->string (trainer-images trainer)))
                                 ("losses" . ,(object->string (trainer-losses trainer)))
                                 ("pending" . ,(object->string (trainer-pending trainer)))
                                 ,@(if (trainer-setting trainer 'skip-spikes)
                                       `(("spikes" . ,(object->string (trainer-spikes trainer))))
                                       '())
                                 ("history" . ,(object->string (trainer-history trainer))))))

(define (trainer-resume! trainer path)
  "Put TRAINER, made with the settings of the run that wrote PATH, into the state saved
there; the steps that follow have the bits of a run that never stopped.  The network and the seed must
be those of that run; where other settings differ it goes on with TRAINER's, and a line for each says
so, as does `trainer-history' from then on.  Returns TRAINER.
Example: (train! (trainer-resume! trainer \"run.safetensors\"))"
  (define (bad text . arguments)
    (complain 'trainer-resume! "~a: ~a" path (apply format #f text arguments)))
  (define-values (saved metadata) (load-checkpoint path))
  (define tensors (state-for trainer saved (assoc-ref metadata "average")))
  (define (field name)
    (or (assoc-ref metadata name) (bad "not a trainer's checkpoint: no ~s" name)))
  (define (number name)
    (let ((n (read-datum (field name))))
      (if (natural? n) n (bad "~a: expected a number" name))))
  (unless (equal? (field "format") "tempera-trainer-1")
    (bad "expected format tempera-trainer-1, got ~s" (field "format")))
  (for-each (lambda (entry)
              (unless (equal? (field (car entry)) (cdr entry))
                (bad "~a: this trainer has ~s, the checkpoint ~s" (car entry) (cdr entry)
                     (field (car entry)))))
            (alist-delete "format" (network-metadata (trainer-network trainer))))
  (unless (= (number "seed") (trainer-setting trainer 'seed))
    (bad "seed: this trainer has ~a, the checkpoint ~a" (trainer-setting trainer 'seed) (number "seed")))
  ;; Averages and a learned weight are the trainer's choice, like other settings: those that are new begin here.
  (let* ((state (filter (lambda (entry)
                          (or (assoc (car entry) tensors) (not (optional-state? (car entry)))))
                        (trainer-state trainer))))
    (check-no-others 'trainer-resume! path
                     (remove (lambda (entry) (optional-state? (car entry))) tensors) (map car state))
    (for-each (lambda (entry)
                (let ((saved (assoc-ref tensors (car entry))))
                  (unless (and saved (equal? (tensor-shape saved) (tensor-shape (cdr entry))))
                    (bad "tensor ~s: ~a" (car entry)
                         (if saved (format #f "expected shape ~a, got ~a"
                                           (tensor-shape (cdr entry)) (tensor-shape saved))
                             "missing")))
                  (unless (tensor-finite? saved)
                    (bad "tensor ~s has NaN or infinite values: training had diverged when it was written; \
remove it to begin anew" (car entry)))))
              state)
    (restore-state! trainer tensors)
    (set-trainer-step! trainer (number "step"))
    ;; Of checkpoints before these were counted, none.
    (set-trainer-images! trainer (if (assoc-ref metadata "images") (number "images") 0))
    (set-trainer-losses! trainer
                         (match (read-datum (field "losses"))
                           ((and losses (((? natural?) (? real?) ((? real?) . (? real?)) ...) ...)) losses)
                           (_ (bad "losses: expected steps and losses"))))
    (set-trainer-pending! trainer
                          (match (read-datum (or (assoc-ref metadata "pending") "()"))
                            ((? list? pending) pending)
                            (_ (bad "pending: expected a list"))))
    (set-trainer-spikes! trainer
                         (match (read-datum (or (assoc-ref metadata "spikes") "(0)"))
                           ((and spikes ((? natural?) (? real?) ...)) spikes)
                           (_ (bad "spikes: expected a number of steps and losses"))))
    (set-trainer-history! trainer
                          (match (read-datum (or (assoc-ref metadata "history") "()"))
                            ((and history
                                  (((? exact-integer?) ((? symbol?) . (or #f (? string?))) ...) ...))
                             history)
                            (_ (bad "history: unreadable"))))
    (if (and (null? (trainer-history trainer)) (> (trainer-step trainer) 0))
        (format (current-error-port) "~a: does not say what settings its ~a steps had~%"
                path (trainer-step trainer))
        (for-each (lambda (line) (format (current-error-port) "~a~%" line))
                  (settings-changes trainer)))
    (record-settings! trainer)
    trainer))
