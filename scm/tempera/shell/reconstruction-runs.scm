;;; reconstruction-runs.scm -- what runs of `tempera reconstruct' have in common, whatever the problem.
;;;
;;; Which image of a file is meant; what is recorded at each temperature, said at the end, and left for a sweep's table.

(define-module (tempera shell reconstruction-runs)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera file formats)
  #:use-module (tempera problem kspace)
  #:use-module (tempera run recorders)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera see reconstruction)
  #:use-module (tempera tensor primitives)
  #:export (files-written plain-shape one-image region-of collector record-temperature! print-diagnosis print-results outcome))

(define files-written
  '("mean.npy" "std.npy" "quantiles.npy" "samples.npy" "figure.png" "report.html" "summary.json"))

;;; --- Images of files ------------------------------------------------------------------

(define (plain-shape tensor)
  "The lengths of TENSOR without those of 1 before its last two.
Example: (plain-shape (tensor-zeros '(1 1 8 6))) => (8 6)"
  (let loop ((shape (tensor-shape tensor)))
    (if (and (> (length shape) 2) (= 1 (car shape))) (loop (cdr shape)) shape)))

(define (one-image input given slice)
  "GIVEN, what the file INPUT has, (rows columns); or the SLICE of a volume.
Example: (tensor-shape (one-image \"v.npy\" (tensor-zeros '(3 8 6)) 1)) => (8 6)"
  (let* ((shape (plain-shape given)) (given (tensor-reshape given shape)))
    (cond ((= 2 (length shape))
           (check-that (not slice) 'reconstruct "slice: ~a is a single image" input)
           given)
          ((and (= 3 (length shape)) (not (and (= 3 (third shape)) (not slice))))
           (check-that slice 'reconstruct "~a has ~a slices: expected slice=N" input (first shape))
           (check-that (< slice (first shape)) 'reconstruct
                       "slice: expected 0 to ~a, got ~a" (1- (first shape)) slice)
           (tensor-reshape (tensor-copy (tensor-slice given 0 slice (1+ slice))) (cdr shape)))
          (else
           (complain 'reconstruct "~a: expected an image (rows columns), got shape ~a"
                     input shape)))))

(define (region-of path shape)
  "0 and 1 over images of SHAPE, of the file PATH, as pictures have it too."
  (let ((image (load-image path)))
    (check-that (and (eq? 'f32 (tensor-dtype image)) (equal? shape (plain-shape image))) 'reconstruct
                "region: ~a: expected a mask of 0 and 1 over ~a, got ~a ~a" path shape (tensor-dtype image)
                (tensor-shape image))
    (tensor< 0 (tensor-reshape image shape))))

;;; --- What is said -----------------------------------------------------------------

(define (record-temperature! chain)
  "Record a row of CHAIN at the end of a temperature."
  ;; The sigma of the transitions just made; the chain's own is that of the next.  Each row has
  ;; another one, by which a run that goes on finds where it was.
  (record-metrics! `((sigma . ,(transition-sigma (last (chain-trace chain))))
                     (acceptance . ,(chain-acceptance chain))
                     (score-evaluations . ,(chain-evaluations chain)))))

(define (collector)
  "Two values: a procedure that prints a text of what is doubtful and keeps it, and one that gives those kept."
  (let ((texts '()))
    (values (lambda (text)
              (warn-of-doubt text)
              (set! texts (append texts (list text))))
            (lambda () texts))))

(define (print-diagnosis results)
  "Say how sure the RESULTS of `reconstruct-to' are."
  (format #t "~a~%" (assoc-ref results "diagnosis"))
  (for-each (lambda (text) (format #t "  ~a~%" text))
            (vector->list (assoc-ref results "warnings"))))

(define (print-results results)
  "Say how good the RESULTS of `reconstruct-to' are, where the truth is known, how sure, and where they are."
  (when (assoc-ref results "psnr")
    (for-each (lambda (line) (format #t "~a~%" line)) (summary-table (list results))))
  (print-diagnosis results)
  (format #t "~a: ~a~%" (run-path) (string-join files-written)))

(define (outcome results)
  "The numbers of RESULTS for a sweep's table."
  (define (of-mean measure)
    (let ((values (assoc-ref results measure)))
      (if values
          `((,(string->symbol measure) . ,(assoc-ref values "sample_mean"))
            (,(string->symbol (string-append (assoc-ref results "start") "-" measure))
             . ,(cdr (first values))))
          '())))
  `(,@(of-mean "psnr") ,@(of-mean "ssim")
    (acceptance . ,(assoc-ref results "acceptance"))
    (score-evaluations . ,(assoc-ref results "score_evaluations"))))

(document
 (files-written
  "The names of the files that a reconstruction writes.
Example: (length files-written) => 7"))
