;;; chain-charts.scm -- the charts of a chain, for `plot' and for its report.
;;;
;;; The trace shows what each transition did; the schedules show the temperatures, those reached and
;;; those ahead, and the step sizes at them.

(define-module (tempera see chain-charts)
  #:use-module (tempera sample anneal)
  #:use-module (srfi srfi-1)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera sample chain)
  #:use-module (tempera sample kernel)
  #:use-module (tempera see charts)
  #:export (trace-charts schedule-charts))

;;; --- The trace ----------------------------------------------------------------

(define (accepted-share transition)
  (let ((accepted (transition-accepted transition)))
    (/ (count identity (vector->list accepted)) (exact->inexact (vector-length accepted)))))

(define (running-mean numbers width)
  ;; The mean of each of NUMBERS and of up to WIDTH - 1 numbers before it.
  (let loop ((rest numbers) (window '()) (means '()))
    (if (null? rest)
        (reverse means)
        (let* ((window (cons (car rest) window))
               (window (if (> (length window) width) (list-head window width) window)))
          (loop (cdr rest) window (cons (mean window) means))))))

(define (by-transition values)
  (map list (iota (length values) 1) values))

(define (transition-chart title trace value)
  (line-chart title (by-transition (map value trace)) #:x-label "transition"))

(define (acceptance-chart trace)
  (let ((shares (map accepted-share trace)))
    (chart "acceptance" (list (series 'points (by-transition shares) #:title "of a transition")
                              (series 'curve (by-transition (running-mean shares 20))
                                      #:title "mean of 20"))
           #:x-label "transition" #:y-range '(0 1.05))))

(define (energy-chart trace)
  ;; The range over chains, and their mean; #f if no transition has an energy error.
  (let ((rows (filter-map
               (lambda (transition number)
                 (let ((errors (filter finite? (vector->list (or (transition-energy-error transition)
                                                                 #())))))
                   (and (pair? errors) (cons number errors))))
               trace (iota (length trace) 1))))
    (and (pair? rows)
         (chart "energy error"
                (list (series 'band (map (lambda (m) (list (car m) (apply min (cdr m))
                                                           (apply max (cdr m))))
                                         rows)
                              #:title "all chains")
                      (series 'curve (map (lambda (m) (list (car m) (mean (cdr m)))) rows)
                              #:title "mean"))
                #:x-label "transition"))))

(define (trace-charts chain)
  "The charts of CHAIN over its transitions, a list: sigma, step size, acceptance and, where the sampler
has one, the energy error.
Example: (map chart-title (trace-charts chain)) => (sigma step size acceptance energy error)"
  (let ((trace (chain-trace chain)))
    (check-that (pair? trace) 'plot "~a: it has made no transition yet; (resume! chain) goes on" chain)
    (filter identity
            (list (transition-chart "sigma" trace transition-sigma)
                  (transition-chart "step size" trace transition-step-size)
                  (acceptance-chart trace)
                  (energy-chart trace)))))

;;; --- The schedules --------------------------------------------------------------

(define (without-repeats numbers)
  ;; NUMBERS, with repeats in a row reduced to one.
  (reverse (fold (lambda (x kept) (if (and (pair? kept) (eqv? x (car kept))) kept (cons x kept)))
                 '() numbers)))

(define (temperature-chart reached ahead)
  (chart "temperatures"
         (filter-map (lambda (style sigmas from title)
                       (and (pair? sigmas)
                            (series style (map list (iota (length sigmas) from) sigmas)
                                    #:title title)))
                     (list (line-style reached) 'points)
                     (list reached ahead)
                     (list 1 (1+ (length reached)))
                     '("reached" "ahead"))
         #:x-label "number" #:y-label "sigma" #:logarithmic '(y)))

(define (step-size-chart trace)
  (let ((points (map (lambda (t) (list (transition-sigma t) (transition-step-size t))) trace)))
    (chart "step size at sigma" (list (series 'points points)) #:x-label "sigma"
           #:logarithmic (if (decades? (map second points)) '(x y) '(x)))))

(define (schedule-charts chain)
  "The charts of CHAIN's schedules, a list: its temperatures, those reached and those ahead, and
the step size at each sigma.
Example: (map chart-title (schedule-charts chain)) => (temperatures step size at sigma)"
  (let* ((trace (chain-trace chain))
         (reached (without-repeats (map transition-sigma trace)))
         (ahead (map first (chain-ahead chain))))
    (append (if (and (null? reached) (null? ahead)) '() (list (temperature-chart reached ahead)))
            (if (null? trace) '() (list (step-size-chart trace))))))
