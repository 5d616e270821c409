;;; files.scm -- tensors in files: npy, NIfTI, DICOM, PNG, safetensors.
;;;
;;; The bytes are read and written in C (src/io); here is what is convenient, the
;;; JSON of safetensors, and DICOM by way of Debian's dcm2niix.  Every writer
;;; replaces its file whole or leaves it as it was.

(define-module (tempera files)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 pretty-print)
  #:use-module (ice-9 textual-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera errors)
  #:use-module (tempera primitives)
  #:autoload (json parser) (json-string->scm)
  #:autoload (json builder) (scm->json-string)
  #:re-export (load-npy save-npy load-png save-text)
  #:export (save-png load-nifti load-dicom load-image load-volume
            load-safetensors save-safetensors check-no-others
            load-json save-json json-text load-datum save-datum datum?
            make-directories check-output check-output-file call-with-temporary-folder call-with-new-file run-program program-exists? shell-text))

;;; --- Folders, programs and text ---------------------------------------------

(define (make-directories path)
  "Make the folder PATH and those that hold it, where they are missing.
Example: (make-directories \"out/demo/slice-1\")"
  (check-path 'make-directories path)
  (unless (or (string-null? path) (file-exists? path))
    (make-directories (dirname path))
    (catch 'system-error
      (lambda () (mkdir path))
      (lambda (key . arguments)
        (unless (file-exists? path)
          (complain 'make-directories "~a: ~a" path
                    (strerror (system-error-errno (cons key arguments)))))))))

(define* (check-output who folder #:optional (names '()))
  "Make FOLDER where it is missing, and try to write into it, for WHO (a symbol), before the long
work whose results are to be the files NAMES in it: what cannot be written is an error now and not
after that work.
Example: (check-output 'f \"out/scan\" '(\"mean.npy\"))"
  (make-directories folder)
  (check-that (file-is-directory? folder) who "~a: is a file, where a folder is expected" folder)
  (for-each (lambda (name)
              (let ((path (string-append folder "/" name)))
                (check-that (not (and (file-exists? path) (file-is-directory? path))) who
                            "~a: is a folder, where a file is expected" path)))
            names)
  (catch 'system-error
    (lambda ()
      (let ((port (mkstemp! (string-append folder "/.tempera-XXXXXX"))))
        (delete-file (port-filename port)) ; a closed port has no name
        (close-port port)))
    (lambda arguments
      (complain who "~a: cannot be written into: ~a" folder
                (strerror (system-error-errno arguments))))))

(define (check-output-file who path)
  "The same for one file PATH, whose folder has to be there.
Example: (check-output-file 'f \"heads.gif\")"
  (check-that (file-exists? (dirname path)) who "~a: no such folder: ~a" path (dirname path))
  (check-output who (dirname path) (list (basename path))))

(define (remove-tree path)
  (file-system-fold (const #t)
                    (lambda (file stat result) (delete-file file))
                    (const #t)
                    (lambda (folder stat result) (rmdir folder))
                    (const #t)
                    (const #t)
                    #t path))

(define (call-with-temporary-folder procedure)
  "Call PROCEDURE with the name of a fresh folder, which is removed with all it
holds when PROCEDURE returns or raises.
Example: (call-with-temporary-folder file-is-directory?) => #t"
  (let ((folder (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tempera-XXXXXX"))))
    (dynamic-wind
      (const #t)
      (lambda () (procedure folder))
      (lambda () (when (file-exists? folder) (remove-tree folder))))))

(define (call-with-new-file who path write)
  "Call WRITE with a name beside PATH; the file that it writes there takes PATH's place, whole or
not at all.  An error of WHO if PATH is a folder or a device, or its folder is not to be
written into.  For what libraries write; the writers of this module need it not.
Example: (call-with-new-file 'copy \"copy.png\" (lambda (name) (copy-file \"brain.png\" name)))"
  (check-path who path)
  (check-that (or (not (file-exists? path)) (eq? 'regular (stat:type (stat path)))) who
              "~a: is there, and no file that could be replaced" path)
  (check-that (access? (dirname path) W_OK) who "~a: cannot be written" path)
  (let ((temporary (format #f "~a.~a.tmp" path (getpid))))
    (dynamic-wind
      (const #t)
      (lambda ()
        (write temporary)
        (call-with-input-file temporary fsync)
        (rename-file temporary path))
      (lambda () (when (file-exists? temporary) (delete-file temporary))))))

(define (program-exists? name)
  "True if a program NAME can be run.
Example: (program-exists? \"no-such-program\") => #f"
  (and (search-path (parse-path (or (getenv "PATH") "")) name) #t))

(define (run-program who program . arguments)
  "Run PROGRAM with ARGUMENTS, its output to nowhere.  It is an error of WHO (a
symbol) that names the program if that is missing or fails.
Example: (run-program 'f \"true\")"
  (check-that (program-exists? program) who
              "the program ~a is needed and is not installed" program)
  (let* ((nowhere (open-output-file "/dev/null"))
         (status (with-error-to-port nowhere
                   (lambda ()
                     (with-output-to-port nowhere
                       (lambda () (apply system* program arguments)))))))
    (close-port nowhere)
    (check-that (zero? status) who "~a failed on ~a" program (last arguments))))

(define (program-lines program . arguments)
  ;; What PROGRAM says on its standard output, in lines.
  (let* ((port (with-error-to-port (%make-void-port "w")
                 (lambda () (apply open-pipe* OPEN_READ program arguments))))
         (text (begin (set-port-conversion-strategy! port 'substitute) (get-string-all port))))
    (close-pipe port)
    (string-split text #\newline)))

(define plain-characters
  (char-set-union (char-set-intersection char-set:ascii char-set:letter+digit)
                  (string->char-set "-_./=,:+@%")))

(define (shell-text words)
  "WORDS, a program and its arguments, as one types them at a shell.
Example: (shell-text '(\"tempera\" \"run\" \"two moons.scm\")) => tempera run 'two moons.scm'"
  (string-join (map (lambda (word)
                      (if (and (not (string-null? word)) (string-every plain-characters word))
                          word
                          (string-append "'" (string-join (string-split word #\') "'\\''") "'")))
                    words)))

(define* (json-text value #:key (pretty #f))
  "VALUE as JSON: alists with string keys are objects, vectors are lists; numbers may be exact,
and infinite ones become null.
Example: (json-text '((\"a\" . 1/2))) => \"{\\\"a\\\":0.5}\""
  (call-with-output-string
    (lambda (port)
      (string-for-each
       (lambda (c)
         ;; guile-json leaves these as they are, and what reads JSON does not take them.
         (if (and (char<? c #\space) (not (char=? c #\newline)))
             (format port "\\u00~a" (string-pad (number->string (char->integer c) 16) 2 #\0))
             (display c port)))
       (scm->json-string (plain value) #:pretty pretty)))))

(define (save-json path value)
  "Write VALUE to the file PATH as `json-text' has it, in lines.
Example: (save-json \"summary.json\" '((\"gamma\" . 0.9) (\"sizes\" . #(64 64))))"
  (save-text path (string-append (json-text value #:pretty #t) "
")))

(define (plain value)
  ;; VALUE as guile-json writes it: no fractions, no infinities.
  (cond ((and (real? value) (not (and (rational? value) (finite? value)))) 'null)
        ((exact-integer? value) value)
        ((real? value) (exact->inexact value))
        ((vector? value) (vector-map-in-order plain value))
        ((pair? value) (map (lambda (entry) (cons (car entry) (plain (cdr entry)))) value))
        (else value)))

(define (vector-map-in-order procedure vector)
  (list->vector (map-in-order procedure (vector->list vector))))

(define (load-json path)
  "What the JSON file PATH holds: alists with string keys, vectors, numbers.
Example: (begin (save-json \"a.json\" '((\"gamma\" . 0.9))) (load-json \"a.json\")) => ((\"gamma\" . 0.9))"
  (check-path 'load-json path)
  (check-that (file-exists? path) 'load-json "~a: no such file" path)
  (parse-json 'load-json path (call-with-input-file path get-string-all #:encoding "UTF-8")))

;;; --- Scheme data --------------------------------------------------------------

(define (datum? value)
  "Whether VALUE is data that `save-datum' writes and `load-datum' reads as it was: numbers,
text, symbols, booleans, and lists, pairs and vectors of such.
Example: (datum? '((psnr . 28.1))) => #t"
  (cond ((pair? value) (and (datum? (car value)) (datum? (cdr value))))
        ((vector? value) (every datum? (vector->list value)))
        (else (or (number? value) (string? value) (symbol? value) (boolean? value)
                  (null? value)))))

(define (save-datum path value)
  "Write VALUE, data as `datum?' says, to the file PATH for `load-datum', whole or not at all.
Example: (save-datum \"config.scm\" '((steps . 500) (rate . 1e-3)))"
  (check-that (datum? value) 'save-datum
              "value: expected numbers, text, symbols, booleans and lists of them, got ~s" value)
  (save-text path (call-with-output-string (lambda (port) (pretty-print value port)))))

(define largest-datum (* 16 1024 1024)) ; in bytes; more is no config

(define (load-datum path)
  "The one datum in the file PATH.  It is read and never evaluated.
Example: (load-datum \"runs/two-moons/config.scm\")"
  (define (refuse . text) (apply complain 'load-datum "~a: ~a" path text))
  (check-path 'load-datum path)
  (check-that (and (file-exists? path) (not (file-is-directory? path))) 'load-datum
              "~a: no such file" path)
  (let ((size (stat:size (stat path))))
    (check-that (<= size largest-datum) 'load-datum "~a: ~a bytes are more than the ~a of a datum"
                path size largest-datum))
  (let ((text (catch #t
                (lambda () (call-with-input-file path get-string-all #:encoding "UTF-8"))
                (lambda _ (refuse "cannot be read as text")))))
    (check-that (<= (nesting text) 64) 'load-datum "~a: nested deeper than 64" path)
    (let ((value+rest
           (catch #t
             (lambda ()
               (with-fluids ((read-eval? #f))
                 (call-with-input-string text
                   (lambda (port) (let ((value (read port))) (cons value (read port)))))))
             (lambda _ (refuse "its text is not understood as Scheme data")))))
      (check-that (and (datum? (car value+rest)) (eof-object? (cdr value+rest))) 'load-datum
                  "~a: expected one datum of numbers, text, symbols, booleans and lists" path)
      (car value+rest))))

;;; --- Pictures ---------------------------------------------------------------

(define* (save-png path tensor #:key (low 0) (high #f) (bits 8))
  "Write TENSOR, f32 (rows columns) or (rows columns 3), to the PNG file PATH with
LOW black and HIGH white, clipped outside; HIGH is the greatest value unless given.
BITS a channel: 8 or 16.
Example: (save-png \"scan.png\" (tensor-abs scan) #:high 150)"
  (check-that (tensor? tensor) 'save-png "tensor: expected a tensor, got ~s" tensor)
  (check-that (eq? (tensor-dtype tensor) 'f32) 'save-png
              "tensor: expected f32, got complex numbers; (tensor-abs TENSOR) has their magnitudes")
  (write-png path tensor low
             (or high
                 (let ((greatest (tensor->number (tensor-max tensor))))
                   (if (and (finite? greatest) (> greatest low)) greatest (+ low 1))))
             bits))

;;; --- Volumes ----------------------------------------------------------------

(define (zero-for-nan path volume nan-is-zero?)
  ;; VOLUME, with 0 where it is NaN if NAN-IS-ZERO?; how often that was is said.
  (if (or (not nan-is-zero?) (tensor-finite? volume))
      volume
      ;; NaN is neither below infinity nor above 0; and to the power of 0 it is 1, as all is.
      (let* ((good (tensor-minimum 1 (tensor+ (tensor< volume +inf.0) (tensor< 0 volume))))
             (bad (tensor- 1 good))
             (count (inexact->exact (round (tensor->number (tensor-sum bad))))))
        (when (> count 0)               ; else some are infinite
          (format (current-error-port) "~a: ~a voxels that are NaN become 0~%" path count))
        (tensor- (tensor-power volume good) bad))))

(define* (load-nifti path #:key (nan-is-zero? #f))
  "The volume in the NIfTI-1 file PATH (.nii, .nii.gz) as f32, its slowest axis
first, with the file's slope and intercept applied.  Two values follow it: the
millimetres between voxels along each axis, and three letters for the directions
in which the last three axes rise, such as \"SAR\" (superior, anterior, right),
or \"???\" where the file does not say.  Voxels that are NaN, as some programs leave
where there is no head, become 0 if NAN-IS-ZERO?, and how many is said.
Example: (catch 'tempera-error (lambda () (load-nifti \"missing.nii\")) (const 'missing)) => missing"
  (match (read-nifti path)
    ((volume spacing orientation)
     (values (zero-for-nan path volume nan-is-zero?) spacing orientation))))

(define (dicom? path)
  ;; Whether the file PATH begins as DICOM does, whatever its name.
  (and (not (file-is-directory? path))
       (let ((start (call-with-input-file path (lambda (port) (get-bytevector-n port 132))
                                          #:binary #t)))
         (and (bytevector? start) (= 132 (bytevector-length start))
              (equal? (map char->integer (string->list "DICM"))
                      (list-tail (bytevector->u8-list start) 128))))))

(define (check-dicom path lines)
  ;; Complain of what dcm2niix says in LINES and goes on after: slices that are missing
  ;; from a series, files that are cut before their image.
  (define (numbers-in line)
    (filter-map string->number (string-tokenize line (char-set-complement (string->char-set " =[]\t")))))
  (define (after prefix)
    (find (lambda (line) (string-prefix? prefix line)) lines))
  (fold (lambda (line file)
          (check-that (not (string-contains line " valid 0 ")) 'load-dicom
                      "~a: truncated or damaged before its image" file)
          (if (string-prefix? "DICOM file: " line) (substring line 12) file))
        path lines)
  (let* ((places (let ((line (after "dx=["))) (if line (numbers-in (substring line 4)) '())))
         (steps (if (pair? places) (map - (cdr places) places) '()))
         (apart (sort (filter positive? steps) <))
         (usual (if (pair? apart) (list-ref apart (quotient (length apart) 2)) 0)))
    (for-each (lambda (step place number)
                (check-that (<= step (* 1.5 usual)) 'load-dicom
                            "~a: slices are missing from the series: ~a mm after its slice ~a, at ~a mm \
from the first, where they are ~a mm apart" path step number place usual)
                (check-that (> step (* 0.5 usual)) 'load-dicom
                            "~a: slices ~a and ~a are ~a mm apart, where others are ~a: is one there twice?"
                            path number (1+ number) step usual))
              steps (if (pair? places) (drop-right places 1) '()) (iota (length steps) 1))))

(define* (load-dicom path #:key (nan-is-zero? #f))
  "The DICOM file PATH, or the series in the folder PATH, by the program dcm2niix,
with the values of `load-nifti', NAN-IS-ZERO? as there.  A single slice has one voxel on its first axis.  Files need
no ending; a series with slices missing between others, or with a file that is cut, is an error.
Example: (catch 'tempera-error (lambda () (load-dicom \"missing.dcm\")) (const 'missing)) => missing"
  (check-path 'load-dicom path)
  (check-that (file-exists? path) 'load-dicom "~a: no such file" path)
  (check-that (program-exists? "dcm2niix") 'load-dicom
              "the program dcm2niix is needed and is not installed")
  (call-with-temporary-folder
   (lambda (folder)
     (let ((lines (program-lines "dcm2niix" "-b" "n" "-z" "n" "-f" "volume" "-v" "1"
                                 "-s" (if (file-is-directory? path) "n" "y") "-o" folder path)))
       (check-dicom path lines)
       (match (scandir folder (lambda (name) (string-suffix? ".nii" name)))
         ((file) (load-nifti (string-append folder "/" file) #:nan-is-zero? nan-is-zero?))
         (() (complain 'load-dicom "~a: no DICOM images~a" path
                       (let ((why (find (lambda (line) (string-prefix? "Warning: File " line)) lines)))
                         (if why (format #f "; dcm2niix says: ~a" why) ""))))
         (files (complain 'load-dicom "~a: expected one series, got ~a" path (length files))))))))

(define upright
  ;; Slowest axis down to the feet, rows down to the back, columns to the
  ;; patient's left: slices along any axis look as radiologists show them.
  "IPL")

(define (opposite letter)
  (cdr (assv letter '((#\L . #\R) (#\R . #\L) (#\A . #\P) (#\P . #\A) (#\I . #\S) (#\S . #\I)))))

(define (turn-upright volume spacing orientation)
  ;; VOLUME and SPACING in the order and direction of `upright'.
  (let* ((letters (string->list orientation))
         (axis-of (lambda (letter)
                    (or (list-index (lambda (l) (memv l (list letter (opposite letter)))) letters)
                        (complain 'load-volume "orientation: expected three letters, one of each \
of LR, AP and IS, got ~a" orientation))))
         (axes (map axis-of (string->list upright))))
    (values (image-reorient volume axes
                            (map (lambda (axis letter) (not (eqv? (list-ref letters axis) letter)))
                                 axes (string->list upright)))
            (map (lambda (axis) (list-ref spacing axis)) axes))))

(define (extension path)
  (find (lambda (suffix) (string-suffix? suffix (string-downcase path)))
        '(".nii.gz" ".nii" ".hdr" ".img" ".dcm" ".ima" ".npy" ".png")))

(define (three-axes volume spacing)
  ;; VOLUME without axes of one point before its last three, such as time's, or with one slice.
  (let* ((shape (tensor-shape volume)) (extra (- (length shape) 3)))
    (cond ((and (> extra 0) (every (lambda (n) (= n 1)) (take shape extra)))
           (values (tensor-reshape volume (drop shape extra)) (drop spacing extra)))
          ((= extra -1)
           (values (tensor-reshape volume (cons 1 shape)) (cons 1.0 spacing)))
          (else (values volume spacing)))))

(define* (load-volume path #:key (orientation #f) (nan-is-zero? #f))
  "The volume in PATH (NIfTI, DICOM or a folder of DICOM slices, npy) as f32 (slices rows
columns), turned so that slices go from head to feet, rows from front to back,
columns from the patient's right to left.  The second value is the millimetres
between voxels.  ORIENTATION, three letters, overrides what the file says of the
directions in which its axes rise, slowest first; npy files say nothing and are
taken as they are without it.  Voxels that are NaN become 0 if NAN-IS-ZERO?.
An axis of one point, such as one time, is left out; a picture is one slice.
Example: (load-volume \"volume.npy\")"
  (define (finish given given-spacing from-file)
    (define-values (volume spacing) (three-axes given given-spacing))
    (check-that (= 3 (length (tensor-shape volume))) 'load-volume
                "~a: expected a volume of three axes, got shape ~a~a" path (tensor-shape volume)
                (if (= 4 (length (tensor-shape volume))) ": several volumes; save the one you mean" ""))
    (let ((letters (or orientation from-file)))
      (if (string=? letters "???")
          (values volume spacing)
          (begin
            (check-that (= 3 (string-length letters)) 'load-volume
                        "orientation: expected three letters, got ~s" letters)
            (turn-upright volume spacing letters)))))
  (cond ((member (extension path) '(".nii.gz" ".nii" ".hdr" ".img"))
         (call-with-values (lambda () (load-nifti path #:nan-is-zero? nan-is-zero?)) finish))
        ((equal? (extension path) ".npy")
         (let ((volume (load-npy path)))
           (check-that (eq? 'f32 (tensor-dtype volume)) 'load-volume
                       "~a: expected real numbers, got complex ones" path)
           (finish (zero-for-nan path volume nan-is-zero?) (map (const 1.0) (tensor-shape volume)) "???")))
        (else (call-with-values (lambda () (load-dicom path #:nan-is-zero? nan-is-zero?)) finish))))

(define (one-channel picture)
  ;; PICTURE, grey if it is grey that was saved as three equal channels.
  (match (tensor-shape picture)
    ((rows columns 3)
     (let ((channel (lambda (k) (tensor-copy (tensor-slice picture 2 k (1+ k))))))
       (if (and (tensor-identical? (channel 0) (channel 1)) (tensor-identical? (channel 0) (channel 2)))
           (tensor-reshape (channel 0) (list rows columns))
           picture)))
    (_ picture)))

(define* (load-image path #:key (nan-is-zero? #f))
  "The image or images in PATH, by its extension: .npy (f32 or c64), .png, .nii,
.nii.gz, .dcm (DICOM also without), or a folder of DICOM slices.  A single slice of a volume
comes as (rows columns), and so does a PNG with colours that are all grey; the numbers are the
file's own, but that NaN becomes 0 if NAN-IS-ZERO?.
Example: (tensor-shape (load-image \"brain.png\")) => (256 256)"
  (check-path 'load-image path)
  (check-that (file-exists? path) 'load-image "~a: no such file" path)
  (let ((kind (extension path)))
    (cond ((equal? kind ".npy")
           (let ((image (load-npy path)))
             (if (eq? 'f32 (tensor-dtype image)) (zero-for-nan path image nan-is-zero?) image)))
          ((equal? kind ".png") (one-channel (load-png path)))
          ((or kind (file-is-directory? path) (dicom? path))
           (let* ((volume (load-volume path #:nan-is-zero? nan-is-zero?))
                  (lengths (delete 1 (tensor-shape volume))))
             ;; Turned upright, a single slice may lie along any axis.
             (if (= 2 (length lengths)) (tensor-reshape volume lengths) volume)))
          (else (complain 'load-image "~a: expected .npy, .png, .nii, .nii.gz, .dcm or a folder \
of DICOM slices" path)))))

;;; --- safetensors ------------------------------------------------------------

(define (nesting text)
  ;; How deep the brackets of TEXT nest, or the quotes of Scheme, without the recursion that
  ;; reading a hostile one would cost.
  (let loop ((i 0) (depth 0) (deepest 0) (quotes 0) (in-string? #f))
    (if (= i (string-length text))
        deepest
        (let ((c (string-ref text i)))
          (cond ((and in-string? (char=? c #\\))
                 (loop (min (+ i 2) (string-length text)) depth deepest 0 #t))
                ((char=? c #\") (loop (1+ i) depth deepest 0 (not in-string?)))
                (in-string? (loop (1+ i) depth deepest 0 #t))
                ((memv c '(#\[ #\{ #\())
                 (loop (1+ i) (1+ depth) (max deepest (1+ depth)) 0 #f))
                ((memv c '(#\] #\} #\))) (loop (1+ i) (1- depth) deepest 0 #f))
                ((memv c '(#\' #\` #\, #\@ #\;))
                 (loop (1+ i) depth (max deepest (1+ quotes)) (1+ quotes) #f))
                ((or (char-whitespace? c) (char=? c #\#)) (loop (1+ i) depth deepest quotes #f))
                (else (loop (1+ i) depth deepest 0 #f)))))))

(define (parse-json who path text)
  (check-that (<= (nesting text) 32) who "~a: JSON nested deeper than 32" path)
  (catch #t
    (lambda () (json-string->scm text))
    (lambda _ (complain who "~a: its JSON is not understood" path))))

(define (check-entry path name entry bytes)
  ;; (NAME BEGIN END SHAPE), if ENTRY describes f32 numbers inside BYTES.
  (define (length? n) (and (exact-integer? n) (<= 0 n bytes)))
  (define (field key) (and (list? entry) (assoc-ref entry key)))
  (let ((type (field "dtype")) (shape (field "shape")) (offsets (field "data_offsets")))
    (check-that (equal? type "F32") 'load-safetensors
                "~a: ~a: expected numbers of type F32, got ~a" path name type)
    (match (list shape offsets)
      (((? vector? shape) #((? length? begin) (? length? end)))
       (let ((shape (vector->list shape)))
         (check-that (and (every length? shape)
                          (= (- end begin) (* 4 (apply * shape))))
                     'load-safetensors "~a: ~a: shape ~a does not fill bytes ~a to ~a"
                     path name shape begin end)
         (list name begin end shape)))
      (_ (complain 'load-safetensors "~a: ~a: expected a shape and two offsets inside ~a bytes"
                   path name bytes)))))

(define (load-safetensors path)
  "The tensors in the safetensors file PATH as a list of (name . tensor), in the
order of their bytes; the second value is its metadata, a list of (key . text).
All must be F32, and fill the file without gap or overlap.
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
      (let ((names (map car entries)))
        (check-that (= (length names) (length (delete-duplicates names))) 'load-safetensors
                    "~a: a name appears twice" path))
      (check-that (= bytes (fold (lambda (entry at)
                                   (check-that (= at (cadr entry)) 'load-safetensors
                                               "~a: ~a: gap or overlap at byte ~a"
                                               path (car entry) at)
                                   (caddr entry))
                                 0 entries))
                  'load-safetensors "~a: ~a bytes follow the header, more than it names"
                  path bytes)
      (values (map (match-lambda
                     ((name begin _ shape)
                      (cons name (safetensors-read path begin shape))))
                   entries)
              metadata))))

(define (check-no-others who path tensors names)
  "Complain from WHO if TENSORS, as `load-safetensors' has them of the file PATH, have others than
NAMES: one that is misspelt would be missed by nobody.
Example: (check-no-others 'load-network \"w.safetensors\" '() '(\"stem.weights\"))"
  (let ((others (lset-difference string=? (map car tensors) names)))
    (check-that (null? others) who "~a: it has tensors that are not of it: ~a" path
                (string-join (map object->string (take others (min 5 (length others)))) ", "))))

(define* (save-safetensors path tensors #:key (metadata '()))
  "Write TENSORS, a list of (name . tensor) of f32, and METADATA, a list of
(key . text), to the safetensors file PATH.
Example: (save-safetensors \"t.safetensors\" `((\"t\" . ,t)) #:metadata '((\"experiment\" . \"train-brain\")))"
  (define (text-key? entry) (and (pair? entry) (string? (car entry))))
  (check-that (and (list? tensors) (every text-key? tensors)) 'save-safetensors
              "tensors: expected a list of (name . tensor), got ~s" tensors)
  (check-that (and (list? metadata) (every text-key? metadata)
                   (every string? (map cdr metadata)))
              'save-safetensors "metadata: expected a list of (key . text), got ~s" metadata)
  (let ((names (map car tensors)))
    (check-that (= (length names) (length (delete-duplicates names))) 'save-safetensors
                "tensors: a name appears twice in ~s" names)
    (check-that (not (member "__metadata__" names)) 'save-safetensors
                "tensors: the name __metadata__ is the format's own"))
  (let loop ((rest tensors) (at 0) (entries '()))
    (match rest
      (() (safetensors-write
           path
           (scm->json-string (append (if (null? metadata) '() `(("__metadata__" . ,metadata)))
                                     (reverse entries)))
           (map cdr tensors)))
      (((name . tensor) . rest)
       (let* ((shape (tensor-shape tensor)) (end (+ at (* 4 (apply * shape)))))
         (loop rest end
               (cons `(,name . (("dtype" . "F32") ("shape" . ,(list->vector shape))
                                ("data_offsets" . ,(vector at end))))
                     entries)))))))
