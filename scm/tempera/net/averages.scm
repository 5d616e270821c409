;;; averages.scm -- how far back running averages of weights reach.
;;;
;;; An averaging is a number, the decay a step of an exponential average, or a `power-average', which
;;; reaches back over a share of all steps done, however many these become.

(define-module (tempera net averages)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:export (power-average power-average? averaging? averaging-name averaging-decay))

(define-record-type <power-average>
  (make-power-average length exponent)
  power-average?
  (length power-average-length)
  (exponent power-average-exponent))    ; gamma

(set-record-type-printer! <power-average>
  (lambda (average port) (format port "#<power average of ~a>" (power-average-length average))))

(define (wider? gamma length)
  ;; Whether the step in the profile t^gamma deviates by more than LENGTH times the last step: by
  ;; sqrt (gamma + 1) / ((gamma + 2) sqrt (gamma + 3))     (Karras et al. 2024, equation 126)
  (> (+ gamma 1) (* (expt (* length (+ gamma 2)) 2) (+ gamma 3))))

(define (power-average length)
  "For #:averaging of `make-trainer': an average of weights in which step t counts in proportion to t^gamma.  It
is as wide (one standard deviation) as LENGTH, from 0.001 to 0.28, times the steps done so far, so that it
suits a training whose end is not known.  0.05 and 0.1 are usual.  Source: Karras et al. 2024, section 3.1.
Example: (power-average 0.1) => #<power average of 0.1>"
  (check-that (and (real? length) (<= 0.001 length 0.28)) 'power-average
              "length: expected a number from 0.001 to 0.28, got ~s" length)
  (make-power-average length
                      (let halve ((low 0.0) (high 1e4) (times 60)) ; the deviation falls with gamma
                        (let ((middle (/ (+ low high) 2)))
                          (cond ((zero? times) middle)
                                ((wider? middle length) (halve middle high (1- times)))
                                (else (halve low middle (1- times))))))))

(define (averaging? object)
  "Whether OBJECT says how far back an average reaches: a decay from 0 to 1, or a `power-average'.
Example: (averaging? 0.999) => #t"
  (or (and (real? object) (<= 0 object 1)) (power-average? object)))

(define (averaging-name averaging)
  "What the average that AVERAGING describes is called in tables and files.
Example: (averaging-name (power-average 0.1)) => \"power-0.1\""
  (if (power-average? averaging)
      (format #f "power-~a" (power-average-length averaging))
      (number->string averaging)))

(define (averaging-decay averaging step)
  "By what AVERAGING multiplies the average at STEP, from 1, before the new weights are added.
Example: (averaging-decay 0.999 5000) => 0.998"
  (if (power-average? averaging)
      (expt (- 1 (/ 1.0 step)) (1+ (power-average-exponent averaging)))
      ;; Early on the average forgets faster, or the start would stay in it.
      (min averaging (/ (+ 1.0 step) (+ 10 step)))))

(document
 (power-average?
  "Whether OBJECT is what `power-average' gives.
Example: (power-average? 0.999) => #f"))
