;;; prior.scm -- `tempera prior': what is a prior worth?

(define-module (tempera shell commands prior)
  #:use-module (ice-9 format)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera base program)
  #:use-module (tempera data dataset)
  #:use-module (tempera data slices)
  #:use-module (tempera file programs)
  #:use-module (tempera method network-files)
  #:use-module (tempera problem priors)
  #:use-module (tempera run experiments)
  #:use-module (tempera run recorders)
  #:use-module (tempera see prior-card)
  #:use-module (tempera shell launch)
  #:export (main summary prior))

(define summary "a card of a prior: its samples, bits a dimension, denoising, memorising")

(define (multiple-of-32 n)
  (and (>= n 32) (zero? (modulo n 32))))

(define (split-data folder hold-out)
  ;; Two values: the volumes of all persons but HOLD-OUT, names with commas, and of these.
  (let*-values (((dataset) (load-dataset #:folder (or folder (data-folder))))
                ((training held-out) (apply dataset-split dataset (string-split hold-out #\,))))
    (check-that (pair? (dataset-scans training)) 'prior "hold-out: nobody is left to compare with: ~a is all there are"
                (string-join (dataset-persons dataset) ", "))
    (values training held-out)))

(define (greatest-sigma-of prior greatest least)
  ;; GREATEST, unless it is #f; else what the file PRIOR says, or white, which those that do not were trained with.
  (let ((greatest (or greatest (greatest-sigma (load-score-network prior)))))
    (check-that (< least greatest) 'prior "expected least below greatest, got ~a and ~a" least greatest)
    greatest))

(define-experiment prior
  ((prior (required string) (const #t) "a score network: the name of a shipped one, or a .safetensors file")
   (hold-out (required string) (const #t) "persons that it was not trained on, separated by commas")
   (folder (optional file) "of prepared volumes; else that of `tempera data'")
   (size 64 multiple-of-32 "rows and columns of an image")
   (samples 16 (lambda (n) (>= n 2)) "without data, and as many held-out slices")
   (training 8 positive? "times as many slices of the other persons")
   (least 1 positive? "the noise under which slices have their density")
   (greatest (optional number) positive? "the largest sigma that it was trained with, if its file does not say")
   (probes 1 positive? "for the divergence, a step")
   (seed 0 (lambda (n) (>= n 0)) "of slices, samples and probes"))
  "Draws samples of a prior without data, and compares them with slices of persons that it has not seen; says how
many bits a dimension such slices take, how well it denoises them, and whether it has learned
others by heart.  Leaves card.md, summary.json, samples.png, charts.png, samples.npy and tables."
  #:check (begin
            (greatest-sigma-of prior greatest least)
            (split-data folder hold-out)
            (check-that (program-exists? "gnuplot") 'prior
                        "the program gnuplot is needed: install gnuplot-nox"))
  (let*-values
      (((others held-out) (split-data folder hold-out))
       ((results)
        (prior-card-to (run-path) (load-score-network prior)
                       (random-slices others (* training samples) size #:seed seed #:stream 0)
                       (random-slices held-out samples size #:seed seed #:stream 1)
                       #:least least #:greatest (greatest-sigma-of prior greatest least) #:probes probes #:seed seed
                       #:about `(("prior" . ,prior) ("version" . ,tempera-version)
                                 ("held_out_persons" . ,hold-out)
                                 ("training_persons" . ,(length (dataset-persons others))))))
       ((of) (lambda (key) (assoc-ref results key))))
    (format #t "bits a dimension        ~,3f +- ~,3f~%" (of "bits") (of "bits_standard_error"))
    (format #t "by the flow             ~a, which lost ~a of ~a slices~%"
            (if (number? (of "flow_bits")) (format #f "~,3f" (of "flow_bits")) "-")
            (of "flow_lost") samples)
    (format #t "by a Gaussian field     ~,3f~%" (of "gaussian_bits"))
    (format #t "energy distance         samples ~,3f, held-out slices ~,3f~%"
            (of "energy_samples") (of "energy_held_out"))
    (format #t "nearest training slice  samples ~,3f, held-out slices ~,3f: ~a~%"
            (of "nearest_samples") (of "nearest_held_out") (of "nearest_verdict"))
    (format #t "~a: card.md summary.json samples.png charts.png~%" (run-path))
    `((bits . ,(of "bits")) (flow-lost . ,(of "flow_lost")) (gaussian-bits . ,(of "gaussian_bits"))
      (energy-samples . ,(of "energy_samples")) (energy-held-out . ,(of "energy_held_out"))
      (energy-samples-p . ,(of "energy_samples_p"))
      (nearest-p . ,(of "nearest_p")))))

(define (main words) (run-command prior words))
