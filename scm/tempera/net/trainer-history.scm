;;; trainer-history.scm -- which settings a trainer's steps ran with.
;;;
;;; A trainer may be resumed or forked with other settings.  Its history says from which step on each
;;; setting held.  It is part of checkpoints, and goes with the trained weights.

(define-module (tempera net trainer-history)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera net learned-weights)
  #:use-module (tempera net noise-levels)
  #:use-module (tempera net spectral-norms)
  #:use-module (tempera net trainer)
  #:export (trainer-note! record-settings! settings-changes))

(define (procedure-text procedure . calls)
  ;; What PROCEDURE is called, else what it gives for CALLS, lists of arguments.
  (or (procedure-description procedure)
      (and (pair? calls)
           (false-if-error
            (string-join (map (lambda (arguments)
                                (number->string (significant (apply procedure arguments) 3)))
                              calls)
                         ", ")))
      "a procedure"))

(define (settings-text trainer)
  "All that TRAINER was told, an association list from symbol to text, but for what network files have."
  (define (plain name) (cons name (object->string (trainer-setting trainer name) display)))
  (define (procedure name . calls)
    (and (trainer-setting trainer name) (cons name (apply procedure-text (trainer-setting trainer name) calls))))
  (let ((steps (trainer-setting trainer 'steps)) (spectrum (trainer-setting trainer 'spectrum))
        (about (map (lambda (entry) (cons (string->symbol (car entry)) (cdr entry)))
                    (trainer-about trainer))))
    ;; What is said of the data, say, is better than what their procedure is called.
    (filter (lambda (s) (and s (or (memq s about) (not (assq (car s) about)))))
            `(,(plain 'batch) ,(plain 'steps) ,(plain 'seed)
              ,(procedure 'rate (list 0 steps) `(,(quotient steps 2) ,steps) `(,steps ,steps))
              ,@(if (trainer-setting trainer 'loss)
                    (list (procedure 'loss))
                    `((sigma . ,(distribution-text (trainer-setting trainer 'sigma)))
                      ,(procedure 'frequencies)
                      ,(and spectrum
                            (cons 'gaussian
                                  (format #f "a spectrum of ~a, mean ~a" (tensor-shape spectrum)
                                          (significant (tensor->number (tensor-mean spectrum)) 4))))))
              ,(if (learned-weight? (trainer-setting trainer 'weight))
                   (plain 'weight)
                   (procedure 'weight '(0.1) '(1) '(10) '(100)))
              ,(procedure 'data)
              ,@(map plain '(averaging clip))
              (spectral . ,(spectral-bound-text (trainer-setting trainer 'spectral)))
              ,@(if (= 1 (trainer-setting trainer 'accumulate)) '() (list (plain 'accumulate)))
              ,@(if (trainer-setting trainer 'skip-spikes) (list (plain 'skip-spikes)) '())
              ,@(map plain '(rectified? beta1 beta2 epsilon))
              ,@about))))

(define (ran trainer)
  ;; TRAINER's history up to where it stands: what was set later never ran.
  (take-while (lambda (entry) (< (car entry) (trainer-step trainer))) (trainer-history trainer)))

(define (in-force history)
  ;; The settings at the end of HISTORY.
  (fold (lambda (entry now)
          (fold (lambda (s now) (acons (car s) (cdr s) (alist-delete (car s) now eq?))) now (cdr entry)))
        '() history))

(define (changed trainer)
  ;; The settings that TRAINER has otherwise than the steps before; #f for what there is no more.
  (let ((before (in-force (ran trainer))) (now (settings-text trainer)))
    (append (remove (lambda (s) (equal? (cdr s) (assq-ref before (car s)))) now)
            (filter-map (lambda (s) (and (cdr s) (not (assq (car s) now)) (cons (car s) #f))) before))))

(define (settings-changes trainer)
  "A line for each setting of TRAINER that the steps before did not have."
  (let ((before (in-force (ran trainer))))
    (if (null? before)
        '()
        (map (lambda (s)
               (format #f "~a: ~a until step ~a, now ~a" (car s)
                       (or (assq-ref before (car s)) "not set") (trainer-step trainer)
                       (or (cdr s) "not set")))
             (changed trainer)))))

(define (trainer-note! trainer about)
  "Add ABOUT, an association list from strings to strings as #:about of `make-trainer' is, to what is
recorded of TRAINER.
Example: (trainer-note! trainer '((\"size\" . \"128\")))"
  (check-that (trainer? trainer) 'trainer-note! "trainer: expected one, got ~s" trainer)
  (check-about 'trainer-note! about)
  (set-trainer-about! trainer (append about (remove (lambda (e) (assoc (car e) about))
                                                    (trainer-about trainer)))))

(define (record-settings! trainer)
  "From the step where TRAINER stands, its history has the settings that it has now."
  (let ((new (changed trainer)))
    (set-trainer-history! trainer
                          (append (ran trainer)
                                  (if (null? new) '() (list (cons (trainer-step trainer) new)))))))
