;;; prior-card.scm -- what a prior is worth: its card, a folder with numbers, tables and pictures.
;;;
;;; Its density of images it has not seen, its samples without data beside such images, how well it denoises them,
;;; and whether it has learned others by heart.

(define-module (tempera see prior-card)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera base streams)
  #:use-module (tempera file paths)
  #:use-module (tempera file formats)
  #:use-module (tempera file tables)
  #:use-module (tempera file values)
  #:use-module (tempera tensor primitives)
  #:use-module (tempera tensor tensors)
  #:use-module (tempera data images)
  #:use-module (tempera problem gaussian)
  #:use-module (tempera problem priors)
  #:use-module (tempera sample learned-scores)
  #:use-module (tempera sample nearest-distances)
  #:use-module (tempera sample score-density)
  #:use-module (tempera sample simulations)
  #:use-module (tempera sample two-samples)
  #:use-module (tempera see charts)
  #:use-module (tempera see figures)
  #:use-module (tempera see gnuplot)
  #:export (prior-card-to))

;;; --- Batches side by side ---------------------------------------------------------

(define (power-table batches)
  ;; BATCHES: names and images.  The mean power of an image by |k|, a row for each band.
  (let ((power (map (lambda (batch)
                      (map (lambda (band) (cons (car band) (/ (cdr band) (tensor-size (cdr batch) 0))))
                           ((power-by-frequency (cdr (tensor-shape (cdr batch)))) (cdr batch))))
                    batches)))
    (table (cons 'to (map car batches))
           (apply map (lambda (band . others) (cons* (car band) (cdr band) (map cdr others))) power))))

(define (magnitude-table batches edges)
  (table (cons 'from (map car batches))
         (apply map list (drop-right edges 1)
                (map (lambda (batch) (magnitude-shares (cdr batch) edges)) batches))))

(define (columns-chart title source x-label y-label logarithmic)
  ;; A line for each column of SOURCE against the first; what has no logarithm is left out.
  (let* ((names (table-columns source))
         (shown? (lambda (x y) (and (or (not (memq 'x logarithmic)) (> x 0))
                                    (or (not (memq 'y logarithmic)) (> y 0)))))
         (line (lambda (name)
                 (let ((points (filter (lambda (point) (apply shown? point))
                                       (zip (table-column source (car names)) (table-column source name)))))
                   (and (pair? points) (series 'line points #:title (symbol->string name)))))))
    (chart title (filter-map line (cdr names)) #:x-label x-label #:y-label y-label
           #:logarithmic logarithmic)))

(define (image-panels title images count window)
  (map (lambda (k)
         (panel (if (zero? k) title "") (tensor-reshape (tensor-slice images 0 k (1+ k)) (cdr (tensor-shape images)))
                #:low (first window) #:high (second window)))
       (iota (min count (tensor-size images 0)))))

;;; --- The card -----------------------------------------------------------------------

(define (card-text summary denoising power)
  (let ((of (lambda (key) (assoc-ref summary key)))
        (short (lambda (x) (number->string (significant x 3)))))
    (string-append
     (format #f "# ~a~%~%" (or (of "prior") "A prior"))
     (format #f "~a samples without data, ~a held-out slices~a, ~a training slices, ~a x ~a.~%~%"
             (of "samples") (of "held_out")
             (if (of "held_out_persons") (format #f " of ~a" (of "held_out_persons")) "")
             (of "training") (vector-ref (of "size") 0) (vector-ref (of "size") 1))
     "![samples, and held-out slices below](samples.png)\n\n"
     "| | |\n| --- | --- |\n"
     (format #f "| held-out slices, bits a dimension under noise ~a, at most | ~,3f +- ~,3f |~%"
             (of "least_sigma") (of "bits") (of "bits_standard_error"))
     (format #f "| the same by the probability flow, which lost ~a of ~a slices | ~a |~%"
             (of "flow_lost") (of "held_out")
             (if (number? (of "flow_bits")) (format #f "~,3f" (of "flow_bits")) "-"))
     (format #f "| the same by a Gaussian field of the training slices' spectrum | ~,3f |~%" (of "gaussian_bits"))
     (format #f "| what the prior gains | ~,3f +- ~,3f |~%" (of "bits_gained") (of "bits_gained_standard_error"))
     (format #f "| energy distance of samples and training slices | ~a (p ~,3f) |~%"
             (short (of "energy_samples")) (of "energy_samples_p"))
     (format #f "| that of held-out and training slices | ~a (p ~,3f) |~%"
             (short (of "energy_held_out")) (of "energy_held_out_p"))
     (format #f "| nearest training slice | samples ~,3f, held-out ~,3f: ~a |~%~%"
             (of "nearest_samples") (of "nearest_held_out") (of "nearest_verdict"))
     "Bits are the fewer the better; the energy distance of samples should be no larger than that of held-out slices.\n\n"
     "![power by |k|, magnitudes, denoising](charts.png)\n\n"
     "## Denoising\n\nEquation 3's loss on held-out slices over that of a score of 0, and by upper bounds of |k|.\n\n```\n"
     (table-text denoising)
     "\n```\n\n## Power\n\nOf an image, by upper bounds of |k| in cycles per image.\n\n```\n"
     (table-text power)
     "\n```\n")))

;; A flow that a wrong score drives away ends in millions of bits.
(define lost 1)                         ; more bits a dimension than by the bound

(define (standard-error numbers)
  (let ((n (length numbers)) (m (mean numbers)))
    (sqrt (/ (apply + (map (lambda (x) (expt (- x m) 2)) numbers)) (* n (- n 1))))))

(define (median numbers) (list-ref (sort numbers <) (quotient (length numbers) 2)))

(define* (prior-card-to out prior training held-out #:key (count #f) (least 1) (greatest (greatest-sigma prior)) (probes 1)
                        (seed 0) (about '()))
  "Judge PRIOR by COUNT samples without data, as many as there are HELD-OUT images unless given, by HELD-OUT, c64
(N H W), of persons that PRIOR has not seen, and by TRAINING, N images or more; write into the folder OUT:
  card.md        what is below, to read
  summary.json   bits a dimension, energy distances, nearest training images
  samples.png    samples, and held-out images below
  charts.png     power by |k|, magnitudes, loss by sigma
  power.csv, magnitudes.csv, denoising.csv  their numbers
  bits.csv       a row for each held-out image
  samples.npy    the samples
Returns the summary, an alist; ABOUT is an alist that goes first into it.  Bits are those of
`denoising-log-density', a bound that every score has, and of `flow-log-density' with PROBES probes a step,
from sigma = LEAST, noise of which images get, to GREATEST, the largest that PRIOR knows.  A flow that a
learned score drives away, to 1 bit or more above the bound, is lost: it is counted, and left out of the
mean.  At GREATEST a Gaussian field of TRAINING's spectrum goes on; samples begin with it too, and its own
bits are the yardstick.  Distances are between magnitudes averaged to 16 x 16 and, to the nearest, 32 x 32.
Example: (let ((field (gaussian-prior (power-spectrum '(32 32) #:amplitude 100))))
           (prior-card-to \"out/card\" field (prior-draw field 8 #:seed 1) (prior-draw field 2 #:seed 2)
                          #:greatest 30))"
  (check-prior 'prior-card-to prior)
  (for-each (lambda (name images)
              (check-that (and (tensor? images) (eq? (tensor-dtype images) 'c64)
                               (= 3 (length (tensor-shape images))) (tensor-finite? images)
                               (every (lambda (n) (zero? (modulo n 32))) (cdr (tensor-shape images))))
                          'prior-card-to
                          "~a: expected finite c64 (images rows columns), rows and columns multiples of 32, got ~s"
                          name images))
            '("training" "held-out") (list training held-out))
  (let* ((n (tensor-size held-out 0)) (count (or count n)) (shape (cdr (tensor-shape held-out))))
    (check-that (>= n 2) 'prior-card-to "held-out: expected two images or more, got ~s" held-out)
    (check-that (and (>= (tensor-size training 0) n) (equal? shape (cdr (tensor-shape training)))) 'prior-card-to
                "training: expected ~a images or more of shape ~a, got ~s" n shape training)
    (check-that (and (exact-integer? count) (<= 2 count (tensor-size training 0))) 'prior-card-to
                "count: expected an integer from 2 to ~a, got ~s" (tensor-size training 0) count)
    (check-output 'prior-card-to out)
    (let* ((in-out (lambda (name) (string-append out "/" name)))
           (field (gaussian-prior (power-spectrum-of training)))
           (samples (prior-samples prior count #:shape shape #:dtype 'c64 #:from greatest #:base field #:seed seed))
           (noisy (tensor+ held-out (tensor* least (random-normal (tensor-shape held-out) seed
                                                                  (random-stream 'noise) 'c64))))
           (of-density (lambda (density images . settings)
                         (bits-per-dimension (apply density prior images #:from least #:until greatest
                                                    #:base field #:seed seed settings)
                                             images)))
           (bits (of-density denoising-log-density held-out))
           (flow-bits (of-density flow-log-density noisy #:probes probes))
           (followed (filter-map (lambda (by-flow bits) (and (< by-flow (+ bits lost)) by-flow))
                                 flow-bits bits))
           (gaussian-bits (bits-per-dimension (log-density field noisy least) noisy))
           (gains (map - gaussian-bits bits))
           (first-of (lambda (images k) (tensor-copy (tensor-slice images 0 0 (min k (tensor-size images 0))))))
           ;; Equal numbers, or distances would not compare.
           (pairs (min n count))
           (of-training (first-of training pairs))
           (energy-of-samples (energy-test (first-of samples pairs) of-training #:seed seed))
           (energy-of-held-out (energy-test (first-of held-out pairs) of-training #:seed seed))
           (nearest (nearest-distances samples training held-out))
           (denoising ((validation held-out #:sigmas (sigmas-between least greatest) #:seed seed) prior))
           (batches `((samples . ,samples) (held-out . ,held-out) (training . ,training)))
           (power (power-table batches))
           (magnitudes (magnitude-table batches (iota 41 0 (* 5 (relative-white prior)))))
           (summary
            (append
             about
             `(("samples" . ,count) ("held_out" . ,n) ("training" . ,(tensor-size training 0))
               ("size" . ,(list->vector shape))
               ("least_sigma" . ,least) ("greatest_sigma" . ,greatest) ("seed" . ,seed)
               ("bits" . ,(mean bits)) ("bits_standard_error" . ,(standard-error bits))
               ("flow_bits" . ,(if (pair? followed) (mean followed) 'null))
               ("flow_lost" . ,(- n (length followed)))
               ("gaussian_bits" . ,(mean gaussian-bits))
               ("bits_gained" . ,(mean gains)) ("bits_gained_standard_error" . ,(standard-error gains))
               ("energy_samples" . ,(energy-test-distance energy-of-samples))
               ("energy_samples_p" . ,(energy-test-p energy-of-samples))
               ("energy_held_out" . ,(energy-test-distance energy-of-held-out))
               ("energy_held_out_p" . ,(energy-test-p energy-of-held-out))
               ("nearest_samples" . ,(median (nearest-distances-samples nearest)))
               ("nearest_held_out" . ,(median (nearest-distances-held-out nearest)))
               ("nearest_p" . ,(nearest-distances-p nearest))
               ("nearest_verdict" . ,(nearest-distances-verdict nearest))))))
      (save-npy (in-out "samples.npy") samples)
      (save-table (in-out "bits.csv")
                  (table '(image bits flow-bits gaussian-bits) (zip (iota n) bits flow-bits gaussian-bits)))
      (save-table (in-out "power.csv") power)
      (save-table (in-out "magnitudes.csv") magnitudes)
      (save-table (in-out "denoising.csv") denoising)
      (let ((window (image-window (image-magnitude held-out))) (columns (min 8 pairs)))
        (save-figure (in-out "samples.png")
                     (append (image-panels "samples" samples columns window)
                             (image-panels "held out" held-out columns window))
                     #:columns columns))
      (save-charts (in-out "charts.png")
                   (list (columns-chart "power of an image" power "|k|, up to" "power" '(x y))
                         (columns-chart "magnitudes" magnitudes "magnitude" "share of pixels" '(y))
                         (columns-chart "denoising" denoising "sigma" "loss" '(x))))
      (save-text (in-out "card.md") (card-text summary denoising power))
      (save-json (in-out "summary.json") summary)
      summary)))

(define (sigmas-between least greatest)
  ;; Two a decade, and both ends.
  (let ((count (max 2 (1+ (inexact->exact (round (* 2 (log10 (/ greatest least)))))))))
    (map (lambda (k) (significant (* least (expt (/ greatest least) (/ k (- count 1.)))) 3))
         (iota count))))
