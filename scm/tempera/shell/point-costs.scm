;;; point-costs.scm -- what `tempera estimate' and `tempera submit' share: the costs of points, and input made up for them.

(define-module (tempera shell point-costs)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base parameters)
  #:use-module (tempera file formats)
  #:use-module (tempera file paths)
  #:use-module (tempera problem coils)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem masks)
  #:use-module (tempera problem operators)
  #:use-module (tempera problem priors)
  #:use-module (tempera run costs)
  #:use-module (tempera run experiments)
  #:use-module (tempera tensor primitives)
  #:export (trial-option point-costs with-made-input))

(define trial-option
  (car (parameter-specs
        (trial (optional string)
               "PARAMETER=SMALL,LARGE: the trials of an experiment that does not say; time is in proportion to it"))))

(define (trials-of-text experiment settings text)
  ;; As `experiment-trials' has them: TEXT is what --trial says.
  (let* ((parts (string-split text #\=))
         (name (string->symbol (first parts)))
         (numbers (if (= 2 (length parts)) (map string->number (string-split (second parts) #\,)) '()))
         (value (assq-ref (experiment-settings experiment settings) name)))
    (check-that (and (= 2 (length numbers)) (every real? numbers) (apply < numbers) (real? value)) 'estimate
                "--trial: expected PARAMETER=SMALL,LARGE, of a parameter that is a number, got ~a" text)
    `((small (,name . ,(first numbers))) (large (,name . ,(second numbers))) (seconds ,@numbers ,value))))

(define most-tried 4)                   ; points of a sweep

(define* (point-costs experiment shared points #:key threads (ranks 1) (trial #f))
  "Costs of EXPERIMENT at POINTS with the settings SHARED: of each, or of four that stand for all.  TRIAL is what --trial says, or #f."
  (let* ((distinct (delete-duplicates (map (lambda (point) (alist-delete 'seed point)) points)))
         (n (length distinct))
         (tried (if (<= n most-tried)
                    distinct
                    (map (lambda (k) (list-ref distinct (quotient (* k (1- n)) (1- most-tried)))) (iota most-tried)))))
    (map-in-order (lambda (point)
                    (let ((settings (append shared point)))
                      (estimate experiment settings #:threads threads #:ranks ranks
                                #:trials (and trial (trials-of-text experiment settings trial)))))
                  tried)))

(define (made-input who text)
  ;; The name of a file of k-space of the shape TEXT, the same one each time.
  (let* ((shape (map string->number (string-split text #\x)))
         (path (format #f "~a/made-~a.npy" (trials-folder) text)))
    (check-that (and (= 3 (length shape)) (every (lambda (n) (and (exact-integer? n) (> n 0))) shape)) who
                "--made: expected COILSxROWSxCOLUMNS such as 16x320x320, got ~a" text)
    (unless (file-exists? path)
      (make-directories (trials-folder))
      (let* ((image (cdr shape))
             (x (prior-draw (gaussian-prior (power-spectrum image #:amplitude 1e4)) 1 #:seed 1))
             (op (sense-operator (simulated-sensitivities (first shape) image)
                                 (mri-operator #:mask (random-mask (second image) #:acceleration 4 #:seed 1)))))
        (save-npy path (measure op (tensor-reshape x image) #:noise 0.1 #:seed 1))))
    path))

(define (with-made-input who experiment settings text)
  "SETTINGS, names and text, with a made file of the shape TEXT as the input of EXPERIMENT, unless TEXT is #f."
  (if text
      (begin
        (check-that (find (lambda (p) (eq? 'input (parameter-name p))) (experiment-parameters experiment)) who
                    "--made: ~a has no input" (experiment-name experiment))
        `((input . ,(made-input who text)) ,@(alist-delete 'input settings)))
      settings))
