;;; profile.scm -- where the time goes: a table of the operations that the C core has
;;; timed (src/core/profile.h).
;;;
;;; A profile is a value: it prints as a table, can be grouped by operation or by layer, and
;;; saved.  To tell the layers of a network apart, each is wrapped for the time of the run in a
;;; procedure that says its name; at other times they cost nothing.

(define-module (tempera net profile)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (tempera base documentation)
  #:use-module (tempera base errors)
  #:use-module (tempera base numbers)
  #:use-module (tempera file values)
  #:use-module (tempera file tables)
  #:use-module (tempera net layers)
  #:use-module (tempera tensor primitives)
  #:export (profile profile? profile-seconds profile-flops profile-peak profile-rows
            profile-text save-profile))

(define-record-type <profile>
  (make-profile rows seconds threads peaks)
  profile?
  (rows all-rows)            ; association lists, of a single run
  (seconds profile-seconds)  ; of a run, by the clock
  (threads profile-threads)
  (peaks profile-peaks))     ; from precision to GFLOP/s

(set-record-type-printer! <profile>
  (lambda (p port) (display (profile-text p) port)))

(define (field row name)
  (assq-ref row name))

;;; --- Measuring ------------------------------------------------------------------

(define (layer-names network)
  "The layers inside NETWORK, each once, with their dotted names."
  (let walk ((layer network) (prefix "") (seen '()))
    (fold (lambda (part seen)
            (if (assq (cdr part) seen)
                seen
                (let ((name (string-append prefix (car part))))
                  (walk (cdr part) (string-append name ".")
                        (acons (cdr part) name seen)))))
          seen (layer-parts layer))))

(define (saying name procedure)
  (lambda arguments
    (let ((before (profile-layer! name)))
      (call-with-values (lambda () (apply procedure arguments))
        (lambda results
          (profile-layer! before)
          (apply values results))))))

(define (with-layer-names network thunk)
  "Call THUNK while every layer inside NETWORK says its name."
  (let ((originals (map (lambda (entry) (cons (car entry) (slot-ref (car entry) 'procedure)))
                        (layer-names network))))
    (dynamic-wind
      (lambda ()
        (for-each (lambda (entry)
                    (slot-set! (car entry) 'procedure
                               (saying (cdr entry) (slot-ref (car entry) 'procedure))))
                  (layer-names network)))
      thunk
      (lambda ()
        (profile-layer! "")
        (for-each (lambda (entry) (slot-set! (car entry) 'procedure (cdr entry)))
                  originals)))))

(define measuring? #f)

(define* (profile thunk #:key (repeat 1) (network #f))
  "Call THUNK REPEAT times and measure its operations.  Returns a profile, which prints as
a table; its numbers are those of one call, the mean of all.  The layers of NETWORK, a
layer, are told apart if it is given.  What the first call prepares counts too: call
THUNK once before to have it out of the way.
Example: (profile (lambda () (tensor* t t)) #:repeat 2)"
  (check-that (procedure? thunk) 'profile "thunk: expected a procedure, got ~s" thunk)
  (check-that (and (exact-integer? repeat) (> repeat 0)) 'profile
              "repeat: expected a positive integer, got ~s" repeat)
  (check-that (or (not network) (layer? network)) 'profile
              "network: expected a layer, got ~s" network)
  (check-that (not measuring?) 'profile "thunk: expected one that does not profile itself")
  (let* ((seconds (dynamic-wind
                    (lambda () (set! measuring? #t))
                    (lambda ()
                      (define (run)
                        (let ((start (seconds-now)))
                          (profile-start!)
                          (do ((i 0 (1+ i))) ((= i repeat)) (thunk))
                          (profile-stop!)
                          (- (seconds-now) start)))
                      (if network (with-layer-names network run) (run)))
                    (lambda () (profile-stop!) (set! measuring? #f))))
         (rows (map (lambda (row) (row-of-one-run row repeat)) (profile-table))))
    (make-profile rows (/ seconds repeat) (threads)
                  (map (lambda (precision) (cons precision (peak-flops precision)))
                       (delete-duplicates (cons 'float32 (map (lambda (row) (field row 'precision))
                                                              rows)))))))

(define (row-of-one-run row repeat)
  (map (lambda (entry)
         (if (memq (car entry) '(calls seconds flops bytes))
             (cons (car entry) (/ (cdr entry) repeat))
             entry))
       row))

;;; --- Reading --------------------------------------------------------------------

(define (profile-flops profile)
  "The arithmetic of one call of what PROFILE measured, nominal: a convolution's by its
shape, however it is computed.  A multiplication and an addition are two.
Example: (/ (profile-flops p) (profile-seconds p) 1e9)"
  (apply + (map (lambda (row) (field row 'flops)) (operations profile))))

(define* (profile-peak profile #:optional (precision 'float32))
  "The machine's peak in GFLOP/s, measured after PROFILE, of PRECISION: float32 or, where
PROFILE has operations of it, bf16; else #f.
Example: (profile-peak p 'bf16)"
  (assq-ref (profile-peaks profile) precision))

(define (operations profile)
  (remove (lambda (row) (field row 'part)) (all-rows profile)))

(define names '(layer operation detail part))

(define (ratio a b)
  (if (> b 0) (/ a b) 0))

(define (grouped profile by rows)
  "The table of ROWS of PROFILE, summed where they agree in BY."
  (define (seconds row)
    ;; Parts are measured on each thread: as long as that takes on all together.
    (if (field row 'part)
        (/ (field row 'seconds) (profile-threads profile))
        (field row 'seconds)))
  (define (at-peak row)
    ;; The seconds that its arithmetic would take.
    (/ (field row 'flops) 1e9 (profile-peak profile (field row 'precision))))
  (define sums
    (table-group (table (append names '(calls seconds flops bytes at-peak))
                        (map (lambda (row)
                               (append (map (lambda (name) (field row name)) names)
                                       (list (field row 'calls) (seconds row) (field row 'flops)
                                             (field row 'bytes) (at-peak row))))
                             rows))
                 by '(calls sum) '(seconds sum) '(flops sum) '(bytes sum) '(at-peak sum)))
  (table (append by '(calls seconds flops bytes of-peak))
         (table-rows (apply table-select (table-with sums 'of-peak ratio 'at-peak-sum 'seconds-sum)
                            (append by '(calls-sum seconds-sum flops-sum bytes-sum of-peak))))))

(define (rows-of table)
  ;; As association lists.
  (map (lambda (row) (map cons (table-columns table) row)) (table-rows table)))

(define* (profile-rows profile #:key (by names))
  "What PROFILE measured, as a list of association lists, that which takes longest first.
BY says what tells rows apart, among layer, operation, detail and part; rows that agree
in it are summed.  With part among them, the parts of an operation (where part is not
#f) have rows of their own besides; their time is within the operation's, so do not add
them to it.  Each row has what BY names and
  calls    in one run
  seconds  of one run, without the operations inside; of a part, the sum over threads
           divided by their number
  flops, bytes  of one run, nominal; 0 where that says nothing
  of-peak  the part that FLOPS in SECONDS is of the machine's peak
Example: (profile-rows p #:by '(layer))"
  (check-that (profile? profile) 'profile-rows "profile: expected a profile, got ~s" profile)
  (check-that (and (pair? by) (list? by) (lset<= eq? by names)) 'profile-rows
              "by: expected some of ~a, got ~s" names by)
  (rows-of (sorted-table profile by)))

(define (sorted-table profile by)
  (table-sort (grouped profile by (if (memq 'part by) (all-rows profile) (operations profile)))
              'seconds #:descending #t))

;;; --- The table ------------------------------------------------------------------

(define (lines-of profile by)
  "Pairs of text and row, parts indented under their operation."
  (define (text row by)
    (string-join (remove string-null? (map (lambda (name) (field row name)) by)) "  "))
  (let ((parts (if (and (memq 'operation by) (memq 'detail by))
                   (filter (lambda (row) (field row 'part))
                           (profile-rows profile #:by (append by '(part))))
                   '())))
    (append-map
     (lambda (row)
       (define (mine? part)
         (every (lambda (name) (equal? (field part name) (field row name))) by))
       (cons (cons (let ((text (text row by))) (if (string-null? text) "(no layer)" text)) row)
             (map (lambda (part) (cons (string-append "    " (field part 'part)) part))
                  (filter mine? parts))))
     (profile-rows profile #:by by))))

(define (cell number format-string shown?)
  (if shown? (format #f format-string number) ""))

(define* (profile-text profile #:key (by '(operation detail)))
  "PROFILE as a table, one row for what agrees in BY (as in profile-rows, but for part: parts
are indented under their operation).  Columns: calls; milliseconds; share of the whole;
arithmetic, in GFLOP/s and per cent of the machine's peak, nominal: it may be above 100
where a convolution needs fewer products than its formula has; bytes that must be read
and written once, in GB/s.
Example: (display (profile-text p #:by '(layer)))"
  (let* ((lines (lines-of profile by))
         (whole (profile-seconds profile))
         (inside (apply + (map (lambda (row) (field row 'seconds)) (operations profile))))
         (total (match (rows-of (grouped profile '() (operations profile))) (() #f) ((row) row)))
         (width (fold max 20 (map (lambda (line) (string-length (car line))) lines))))
    (define (line text calls seconds row)
      (let* ((rate (lambda (name) (if row (ratio (field row name) (* 1e9 seconds)) 0)))
             (text (format #f "~va ~8@a ~10@a ~6@a ~9@a ~7@a ~7@a" width text
                           (if calls (number-text calls 6) "") ; 12, or where runs differ 12.4
                           (format #f "~,3f" (* 1000 seconds))
                           (format #f "~,1f%" (* 100 (ratio seconds whole)))
                           (cell (rate 'flops) "~,1f" (> (rate 'flops) 0))
                           (cell (* 100 (ratio (* (if row (field row 'of-peak) 0)
                                                  (if row (field row 'seconds) 0))
                                               seconds))
                                 "~,1f%" (> (rate 'flops) 0))
                           (cell (rate 'bytes) "~,1f" (> (rate 'bytes) 0)))))
        (string-append (string-trim-right text) "\n")))
    (string-append
     (string-trim-right (format #f "~va ~8@a ~10@a ~6@a ~9@a ~7@a ~7@a" width
                                (string-join (map symbol->string by) "  ") "calls" "ms" "share"
                                "GFLOP/s" "of peak" "GB/s"))
     "\n"
     (apply string-append
            (map (lambda (entry)
                   (line (car entry) (field (cdr entry) 'calls) (field (cdr entry) 'seconds)
                         (cdr entry)))
                 lines))
     (line "outside operations" #f (- whole inside) #f)
     (line "whole" #f whole total))))

;;; --- Files ----------------------------------------------------------------------

(define (save-profile path profile)
  "Write the rows of PROFILE, all that profile-rows gives, to the file PATH: as JSON where
its name ends with .json, else as CSV.
Example: (save-profile \"out/profile.csv\" p)"
  (check-that (profile? profile) 'save-profile "profile: expected a profile, got ~s" profile)
  (if (string-suffix? ".json" path)
      (save-json path (list->vector
                       (map (lambda (row)
                              (map (lambda (entry)
                                     (cons (symbol->string (car entry)) (or (cdr entry) 'null)))
                                   row))
                            (profile-rows profile))))
      (save-table path (sorted-table profile names))))

(document
 (profile?
  "True when OBJECT is a profile.
Example: (profile? p) => #t")
 (profile-seconds
  "The seconds of one run by the clock, of PROFILE.
Example: (profile-seconds p)"))
