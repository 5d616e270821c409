;;; safetensors.scm -- tensors by name in one file: the weights of networks, the states of chains.
;;;
;;; The numbers are read and written in C (src/io/safetensors.c); here is the JSON before them,
;;; which is believed in nothing.  A file of ours has a checksum in its metadata, of header and
;;; numbers, which other readers pass over; files without one are read too.
;;; Source: https://github.com/huggingface/safetensors, its section "Format".

(define-module (tempera file safetensors)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera base errors)
  #:use-module (tempera file values)
  #:use-module (tempera tensor primitives)
  #:export (load-safetensors save-safetensors check-no-others))

;; Types that are read, and the bytes of a number.
(define type-sizes '(("F32" . 4) ("F16" . 2) ("BF16" . 2) ("F64" . 8)))

(define (check-entry path name entry bytes)
  ;; (NAME BEGIN END TYPE SHAPE), if ENTRY describes numbers inside BYTES.
  (define (length? n) (and (exact-integer? n) (<= 0 n bytes)))
  (define (field key) (and (list? entry) (assoc-ref entry key)))
  (let ((type (field "dtype")) (shape (field "shape")) (offsets (field "data_offsets")))
    (check-that (assoc type type-sizes) 'load-safetensors
                "~a: ~a: expected numbers of a type among ~a, got ~a" path name
                (string-join (map car type-sizes) ", ") type)
    (match (list shape offsets)
      (((? vector? shape) #((? length? begin) (? length? end)))
       (let ((shape (vector->list shape)))
         (check-that (and (every length? shape)
                          (= (- end begin) (* (assoc-ref type-sizes type) (apply * shape))))
                     'load-safetensors "~a: ~a: shape ~a does not fill bytes ~a to ~a"
                     path name shape begin end)
         (list name begin end type shape)))
      (_ (complain 'load-safetensors "~a: ~a: expected a shape and two offsets inside ~a bytes"
                   path name bytes)))))

(define (distinct? names)
  ;; A file may have many: no time that grows with their square.
  (let ((seen (make-hash-table)))
    (every (lambda (name) (and (not (hash-ref seen name)) (hash-set! seen name #t))) names)))

;;; --- The checksum ---------------------------------------------------------------

(define sum-key "checksum")
(define sum-label "\"checksum\":\"crc32 ")
(define sum-entry (cons sum-key (string-append "crc32 " no-sum)))

(define (sum-of header tensors)
  ;; Of HEADER, with zeros for the sum itself, and the numbers of TENSORS.
  (fold crc32 (crc32 header) tensors))

(define (has-sum? metadata)
  ;; Also where a bit of the entry has flipped.
  (any (lambda (entry) (or (equal? sum-key (car entry)) (string-prefix? "crc32 " (cdr entry))))
       metadata))

(define (check-sum path header tensors)
  (let* ((start (string-contains header sum-label))
         (at (and start (+ start (string-length sum-label))))
         (end (and at (+ at 8)))
         (zeroed (and end (<= end (string-length header))
                      (string-append (substring header 0 at) no-sum (substring header end)))))
    (check-that (and zeroed (string=? (substring header at end) (sum-text (sum-of zeroed tensors))))
                'load-safetensors
                "~a: damaged: it is not as it was written, by the checksum in its metadata" path)))

(define (without-sum metadata)
  (alist-delete sum-key metadata))

(define (padded header)
  ;; To 8 bytes, which aligns the numbers.
  (let ((left (modulo (- (bytevector-length (string->utf8 header))) 8)))
    (string-append header (make-string left #\space))))

(define (load-safetensors path)
  "The tensors in the safetensors file PATH as a list of (name . tensor), in the
order of their bytes; the second value is its metadata, a list of (key . text).
Numbers are F32, or F16, BF16 or F64, which become f32 too, and fill the file without gap or overlap;
where it has a checksum, as `save-safetensors' writes one, that has to be right.
Example: (assoc-ref (load-safetensors \"priors/brain.safetensors\") \"stem.weights\")"
  (let* ((header+bytes (catch 'decoding-error
                         (lambda () (safetensors-header path))
                         (lambda _ (complain 'load-safetensors
                                             "~a: its header is not UTF-8" path))))
         (bytes (cdr header+bytes))
         (header (parse-json 'load-safetensors path (car header+bytes))))
    (define (end-of entry)
      ;; Where the bytes of ENTRY are said to end.
      (match (and (list? (cdr entry)) (assoc-ref (cdr entry) "data_offsets"))
        (#(_ (? exact-integer? end)) end)
        (_ 0)))
    (check-that (and (list? header) (every pair? header)) 'load-safetensors
                "~a: expected a JSON object as header" path)
    (let ((end (apply max 0 (map end-of (alist-delete "__metadata__" header)))))
      (check-that (<= end bytes) 'load-safetensors
                  "~a: truncated: it names ~a bytes of numbers and has ~a" path end bytes))
    (let* ((metadata (or (assoc-ref header "__metadata__") '()))
           (entries (sort (map (lambda (entry)
                                 (check-entry path (car entry) (cdr entry) bytes))
                               (alist-delete "__metadata__" header))
                          (lambda (a b)
                            (or (< (cadr a) (cadr b)) ; an empty one comes first
                                (and (= (cadr a) (cadr b)) (< (caddr a) (caddr b))))))))
      (check-that (and (list? metadata)
                       (every (lambda (m) (and (pair? m) (string? (cdr m)))) metadata))
                  'load-safetensors "~a: expected metadata of strings" path)
      (check-that (distinct? (map car entries)) 'load-safetensors "~a: a name appears twice" path)
      (check-that (= bytes (fold (lambda (entry at)
                                   (check-that (= at (cadr entry)) 'load-safetensors
                                               "~a: ~a: gap or overlap at byte ~a"
                                               path (car entry) at)
                                   (caddr entry))
                                 0 entries))
                  'load-safetensors "~a: ~a bytes follow the header, more than it names"
                  path bytes)
      (let ((tensors (map (match-lambda
                            ((name begin _ type shape)
                             (cons name (safetensors-read path begin type shape))))
                          entries)))
        (when (has-sum? metadata) (check-sum path (car header+bytes) (map cdr tensors)))
        (values tensors (without-sum metadata))))))

(define (check-no-others who path tensors names)
  "Complain from WHO if TENSORS, as `load-safetensors' has them of the file PATH, have others than
NAMES: one that is misspelt would be missed by nobody.
Example: (check-no-others 'load-network \"w.safetensors\" '() '(\"stem.weights\"))"
  (let ((others (lset-difference string=? (map car tensors) names)))
    (check-that (null? others) who "~a: it has tensors that are not of it: ~a" path
                (string-join (map object->string (take others (min 5 (length others)))) ", "))))

(define (rounded-tensor path name tensor)
  (catch 'tempera-error
    (lambda () (round-to-half tensor))
    (lambda (key who message arguments . rest)
      (complain 'save-safetensors "~a: not written: tensor ~s: ~a" path name (apply format #f message arguments)))))

(define* (save-safetensors path tensors #:key (metadata '()) (half? #f))
  "Write TENSORS, a list of (name . tensor) of f32, and METADATA, a list of
(key . text), to the safetensors file PATH.  HALF?: in half precision, F16, which takes half the room and
keeps 11 of 24 bits; a number beyond 65504 is an error.
Example: (save-safetensors \"t.safetensors\" `((\"t\" . ,t)) #:metadata '((\"experiment\" . \"train-brain\")))"
  (define (text-key? entry) (and (pair? entry) (string? (car entry))))
  (check-that (and (list? tensors) (every text-key? tensors)) 'save-safetensors
              "tensors: expected a list of (name . tensor), got ~s" tensors)
  (check-that (and (list? metadata) (every text-key? metadata)
                   (every string? (map cdr metadata)))
              'save-safetensors "metadata: expected a list of (key . text), got ~s" metadata)
  (let ((names (map car tensors)))
    (check-that (distinct? names) 'save-safetensors
                "tensors: a name appears twice in ~s" names)
    (check-that (not (member "__metadata__" names)) 'save-safetensors
                "tensors: the name __metadata__ is the format's own"))
  (let loop ((rest tensors) (at 0) (rounded '()) (entries '()))
    (match rest
      (() (let* ((tensors (reverse rounded))
                 (header (padded (json-text
                                  (cons `("__metadata__" . ,(cons sum-entry (without-sum metadata)))
                                        (reverse entries))))))
            (safetensors-write path (with-sum header sum-label (sum-of header tensors)) tensors half?)))
      (((name . tensor) . rest)
       (let* ((shape (tensor-shape tensor)) (type (if half? "F16" "F32"))
              (end (+ at (* (assoc-ref type-sizes type) (apply * shape)))))
         (loop rest end
               (cons (if half? (rounded-tensor path name tensor) tensor) rounded)
               (cons `(,name . (("dtype" . ,type) ("shape" . ,(list->vector shape))
                                ("data_offsets" . ,(vector at end))))
                     entries)))))))
