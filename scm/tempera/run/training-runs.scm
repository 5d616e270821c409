;;; training-runs.scm -- a training as a run: its checkpoint, its losses, its validation, its weights.

(define-module (tempera run training-runs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base progress)
  #:use-module (tempera file tables)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera run recorders)
  #:use-module (tempera run run-files)
  #:use-module (tempera run runs)
  #:use-module (tempera net averages)
  #:use-module (tempera net checkpoints)
  #:use-module (tempera net trainer)
  #:use-module (tempera net trainer-history)
  #:use-module (tempera net training)
  #:export (train-run! run-validation))

(define (losses->metrics row)
  ;; Of (step mean-loss (sigma . loss) ...), where a band is named by its upper end.
  `((step . ,(first row)) (loss . ,(second row))
    ,@(map (lambda (band)
             (cons (string->symbol (format #f "loss-to-~a" (car band))) (cdr band)))
           (cddr row))))

(define (recorded-row metrics step)
  ;; The row of STEP in the table METRICS as an association list, or #f.
  (and (memq 'step (table-columns metrics))
       (let ((rows (table-rows (table-filter metrics (lambda (s) (equal? s step)) 'step))))
         (and (pair? rows)
              (remove (lambda (entry) (not (cdr entry))) (map cons (table-columns metrics) (first rows)))))))

;;; --- Validation ---------------------------------------------------------------------

(define validation-file "validation.csv")

(define (load-validation directory)
  (let ((path (in-run directory validation-file)))
    (if (file-exists? path) (load-table path) (table '(step average sigma loss) '()))))

(define (run-validation run)
  "What #:validation of `train-run!' found in RUN so far, a table: for each step and average of the weights
(its decay, or power-LENGTH of a `power-average') what the validation gave.  `validation-charts' draws it.
Example: (table-size (run-validation (open-run \"runs/two-moons\"))) => 0"
  (load-validation (run-directory run)))

(define (average-name averaging)
  (if (power-average? averaging) (averaging-name averaging) averaging))

(define (averaged trainer averaging)
  ;; The prior that TRAINER trains, with that average of its weights, or with its weights for #f.
  (let ((network (if averaging (trainer-averaged trainer averaging) (trainer-network trainer)))
        (spectrum (trainer-setting trainer 'spectrum)))
    (if spectrum (hybrid-prior spectrum network) network)))

(define (validate! trainer validation directory)
  "Add what VALIDATION gives for each average of TRAINER to the table in DIRECTORY; rows of this step or later
ones, from before an interruption, are made anew."
  (let* ((step (trainer-step trainer))
         (before (table-filter (load-validation directory) (lambda (s) (< s step)) 'step))
         (averagings (if (null? (trainer-averages trainer)) '(#f) (map car (trainer-averages trainer))))
         (alists (lambda (table)
                   (map (lambda (row) (map cons (table-columns table) row)) (table-rows table))))
         (rows (append-map
                (lambda (averaging)
                  (let ((found (validation (averaged trainer averaging))))
                    (check-that (and (table? found) (memq 'loss (table-columns found))) 'train-run!
                                "validation: expected of it a table with the column loss, got ~s" found)
                    (map (lambda (row)
                           `((step . ,step) (average . ,(and averaging (average-name averaging))) ,@row))
                         (alists found))))
                averagings)))
    (save-table (in-run directory validation-file) (rows->table (append (alists before) rows)))))

(define (best-averaging trainer directory)
  "The average of TRAINER whose losses had the least geometric mean when it was validated last (at large
sigma losses are a thousandth of those at small ones, and matter as much); else its first; #f if it has
none."
  (let* ((all (map car (trainer-averages trainer)))
         (found (load-validation directory))
         (end (apply max 0 (table-column found 'step)))
         (loss (lambda (averaging)
                 (let ((losses (table-column
                                (table-filter found (lambda (step average)
                                                      (and (= step end)
                                                           (equal? average (average-name averaging))))
                                              'step 'average)
                                'loss)))
                   (if (null? losses) +inf.0 (mean (map log losses)))))))
    (and (pair? all)
         (fold (lambda (averaging best) (if (< (loss averaging) (loss best)) averaging best))
               (first all) (cdr all)))))

;;; --- The run ------------------------------------------------------------------------

(define* (train-run! trainer name #:key (every 100) (minutes 10) (validation #f)
                     (validate-every (* 10 every))
                     (metadata '()))
  "Train TRAINER to its end in the run that is active, which goes on from its checkpoint after an
interruption.  Every EVERY steps, and when MINUTES (unless #f) have passed since the last time,
checkpoint.safetensors is written.  Every EVERY steps the mean losses of those steps join the run's
metrics, with the images seen so far and how many a second, and where no terminal shows progress are
printed, with the time left.
VALIDATION: #f, or a procedure of a prior that gives a table, such as `validation' makes; every
VALIDATE-EVERY steps, a multiple of EVERY, and at the end, what it gives for each average of the weights
joins validation.csv (`run-validation').  At the end NAME.safetensors has the averaged weights, of
several averages those whose losses had the least geometric mean when last validated, or the first, with METADATA, an
association list from strings to strings, the number of steps, and what they ran with
(`trainer-history').  Returns the network in that file.
Example: (define (train-prior trainer) (train-run! trainer \"prior\" #:metadata '((\"seed\" . \"1\"))))"
  (check-that (trainer? trainer) 'train-run! "trainer: expected one, got ~s" trainer)
  (check-that (or (not validation) (procedure? validation)) 'train-run!
              "validation: expected #f or a procedure such as validation makes, got ~s" validation)
  (check-that (and (positive-integer? every) (positive-integer? validate-every)
                   (zero? (modulo validate-every every)))
              'train-run! "every, validate-every: expected positive integers, the second a multiple of the \
first, got ~s and ~s" every validate-every)
  (let* ((checkpoint (run-path "checkpoint.safetensors"))
         (weights (run-path (string-append name ".safetensors")))
         (directory (dirname checkpoint))
         (total (trainer-setting trainer 'steps))
         (recorded 0)
         (speed (speedometer)))
    (define (record-losses! before . more)
      ;; BEFORE: metrics from before an interruption, which stay as they are.  MORE: of the last row.
      (for-each (lambda (losses)
                  (when (> (first losses) recorded)
                    (record-metrics! (or (recorded-row before (first losses))
                                         (append (losses->metrics losses)
                                                 (if (= (first losses) (trainer-step trainer)) more '()))))
                    (set! recorded (first losses))))
                (reverse (trainer-losses trainer))))
    (define (at-checkpoint trainer)
      (let ((step (trainer-step trainer)))
        (when (pair? (trainer-losses trainer))
          (call-with-values (lambda () (speed step (trainer-images trainer)))
            (lambda (images-per-second steps-per-second)
              (record-losses! (table '() '()) `(images . ,(trainer-images trainer))
                              `(images-per-second . ,(significant images-per-second 3)))
              (unless (progress-shown?)
                (format #t "step ~a  loss ~a  ~a images/s  ~a left~%" step
                        (significant (second (first (trainer-losses trainer))) 4)
                        (number-text images-per-second)
                        (duration-text (/ (- total step) steps-per-second)))
                (force-output)))))
        (when (and validation (or (zero? (modulo step validate-every)) (= step total)))
          (validate! trainer validation directory)
          (speed step (trainer-images trainer)))))
    (trainer-note! trainer metadata)
    (when (file-exists? checkpoint)
      (trainer-resume! trainer checkpoint)
      ;; A run that was killed after it wrote its checkpoint has not recorded the last of them.
      (record-losses! (load-metrics directory) `(images . ,(trainer-images trainer))))
    (format #t "~a~%" trainer)
    (speed (trainer-step trainer) (trainer-images trainer))
    (train! trainer #:checkpoint checkpoint #:every every #:minutes minutes #:hook at-checkpoint)
    (let* ((averaging (best-averaging trainer directory))
           (network (trainer-averaged trainer averaging)))
      (save-network weights network
                    #:metadata `(,@metadata
                                 ("steps" . ,(number->string (trainer-step trainer)))
                                 ("training" . ,(object->string (trainer-history trainer)))))
      (format #t "wrote ~a~a~%" weights
              (if (> (length (trainer-averages trainer)) 1)
                  (format #f ", the average ~a" (averaging-name averaging))
                  ""))
      network)))

(define (speedometer)
  ;; A procedure of the numbers of steps and images done, which gives how many images and steps a second were
  ;; done since it was last called.
  (let ((time (seconds-now)) (steps 0) (images 0))
    (lambda (steps-now images-now)
      (let* ((now (seconds-now)) (seconds (max 1e-6 (- now time)))
             (per-second (lambda (n) (/ (max n 1e-6) seconds)))
             (image-rate (per-second (- images-now images))) (step-rate (per-second (- steps-now steps))))
        (set! time now)
        (set! steps steps-now)
        (set! images images-now)
        (values image-rate step-rate)))))
