;;; test-images.scm -- tensors in files, quality of images, pictures.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (ice-9 binary-ports)
             (rnrs bytevectors)
             (harness)
             (tempera see figures)
             (tempera run experiments)
             (tempera file paths) (tempera file programs) (tempera file values) (tempera file pictures) (tempera file volumes) (tempera file dicom) (tempera file safetensors) (tempera file formats)
             (tempera data images) (tempera data quality)
             (tempera tensor primitives)
             (tempera file tables))

(start-tests "images")

(define (write-bytes path . parts)
  (call-with-output-file path
    (lambda (port)
      (for-each (lambda (part)
                  (put-bytevector port (if (string? part) (string->utf8 part) part)))
                parts))
    #:binary #t))

(define (read-bytes path)
  (call-with-input-file path get-bytevector-all #:binary #t))

(define (make-test-image rows columns)
  (list->tensor (map (lambda (i) (modulo (* 37 i) 101)) (iota (* rows columns)))
                (list rows columns)))

(define (same? a b)
  (tensor-identical? a b))

;;; --- Files --------------------------------------------------------------------

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define image (make-test-image 12 17))
   (define scan (random-normal '(3 8 8) 1 0 'c64))

   (test-group "npy"
     (save-npy (in "a.npy") image)
     (test-assert "f32" (same? image (load-npy (in "a.npy"))))
     (save-npy (in "b.npy") (tensor-transpose scan '(2 0 1)))
     (test-assert "c64, transposed"
       (same? (tensor-copy (tensor-transpose scan '(2 0 1))) (load-npy (in "b.npy"))))
     (test-error-matching "missing" "load-npy: " (load-npy (in "none.npy")))
     (test-error-matching "not a path" "path: expected a string, got 3" (load-npy 3))
     ;; A finite number does not become infinite.
     (for-each
      (lambda (make)
        (test-error-matching "beyond float32" "is beyond the largest number of float32, 3.4e38" (make 1e300))
        (test-error-matching "beyond float32, in the imaginary part" "beyond the largest number"
          (make (make-rectangular 0 -1e300))))
      (list (lambda (number) (list->tensor (list 1 number)))
            (lambda (number) (tensor* number (list->tensor '(1))))
            (lambda (number) (tensor-set-element! (tensor-zeros '(1) 'c64) '(0) number))
            (lambda (number) (tensor-assign! (tensor-zeros '(1) 'c64) number))))
     (test-equal "an infinite one stays" '(+inf.0) (tensor->list (list->tensor '(+inf.0))))
     ;; The system would take a path to end at a NUL.
     (for-each
      (lambda (use)
        (test-error-matching (object->string use) "expected a string without NUL characters"
          (use (string-append (in "volume.npy") "\x00b"))))
      (list load-npy load-png load-nifti load-volume load-image load-dicom load-json load-datum
            load-safetensors load-table load-script make-directories
            (lambda (path) (save-npy path (tensor-zeros '(2))))
            (lambda (path) (save-png path (tensor-zeros '(2 2))))
            (lambda (path) (save-json path '()))
            (lambda (path) (save-text path ""))
            (lambda (path) (save-safetensors path '()))
            (lambda (path) (call-with-new-file 'copy path (const #t)))))
     (test-error-matching "text with a NUL is not cut" "text: expected a string without NUL characters"
       (save-text (in "note.txt") "a\x00b"))
     (test-error-matching "not a tensor" "tensor: expected" (save-npy (in "c.npy") '(1 2)))
     (test-error-matching "full disk" "No space left" (save-npy "/dev/full" image))
     (test-error-matching "no such folder" "No such file" (save-npy (in "x/y.npy") image))
     (test-assert "the failed ones left nothing" (not (file-exists? (in "c.npy")))))

   (test-group "png"
     (save-png (in "a.png") image #:high 255)
     (test-assert "8 bits" (same? image (load-png (in "a.png"))))
     (save-png (in "b.png") image #:high 65535 #:bits 16)
     (test-assert "16 bits" (same? image (load-image (in "b.png"))))
     (save-png (in "c.png") image)
     (test-equal "white is the greatest value" 255.0
       (tensor->number (tensor-max (load-png (in "c.png")))))
     (save-png (in "d.png") (tensor-zeros '(4 4)))
     (test-equal "a constant image is black" 0.0
       (tensor->number (tensor-max (load-png (in "d.png")))))
     (test-error-matching "complex" "expected f32" (save-png (in "e.png") (tensor-zeros '(4 4) 'c64)
                                                            #:high 1))
     (test-error-matching "bits" "bits: expected 8 or 16" (save-png (in "e.png") image #:bits 12)))

   (test-group "load-image"
     (test-assert "npy" (same? image (load-image (in "a.npy"))))
     (write-bytes (in "a.txt") "hello")
     (test-error-matching "extension" "expected .npy" (load-image (in "a.txt")))
     (test-error-matching "missing" "no such file" (load-image (in "none.png")))
     (write-bytes (in "bad.nii") "hello")
     (test-error-matching "not NIfTI" "not a NIfTI" (load-image (in "bad.nii")))
     (when (program-exists? "dcm2niix")
       (write-bytes (in "bad.dcm") "hello")
       (test-error-matching "not DICOM" "bad.dcm" (load-image (in "bad.dcm")))))

   (test-group "formats"
     (test-equal "by the longest ending, of either case" '(nifti nifti npy #f)
       (map file-format '("a.nii.gz" "A.NII" "a.b.npy" "a.nii.bz2")))
     (test-equal "and without it" '("x/a" "a.b" "a.txt")
       (map without-ending '("x/a.nii.gz" "a.b.npy" "a.txt")))
     (test-equal "what they hold" '(#t #f #t #f #t)
       (map file-holds? '("a.npy" "a.png" "a.dcm" "a.svg" "a.svg")
            '(kspace kspace volume image picture)))
     (test-equal "media types" '("image/webp" #f) (map media-type '("a.webp" "a.npy")))
     (test-equal "k-space" #t (same? (load-npy (in "b.npy")) (load-kspace (in "b.npy"))))
     (test-error-matching "an image is none" "a.npy: expected complex numbers, got f32"
       (load-kspace (in "a.npy")))
     (test-error-matching "nor is a picture" "b.png: expected .npy" (load-kspace (in "b.png")))
     (test-error-matching "a picture is no volume" "b.png: expected .npy, .nii.gz, .nii, "
       (load-volume (in "b.png")))
     (save-image (in "s.npy") scan)
     (test-assert "saved" (same? scan (load-npy (in "s.npy"))))
     (save-image (in "s.png") image)
     (test-assert "as a picture" (same? (load-png (in "c.png")) (load-png (in "s.png"))))
     (test-error-matching "as what is not written" "s.dcm: expected .npy, .png"
       (save-image (in "s.dcm") image))
     (test-error-matching "not a path" "path: expected a string without NUL characters, got 3" (save-image 3 image)))

   (test-group "orientation"
     ;; Voxel (i j k) holds 100 i + 10 j + k.
     (let ((volume (list->tensor (append-map
                                  (lambda (i)
                                    (append-map (lambda (j)
                                                  (map (lambda (k) (+ (* 100 i) (* 10 j) k))
                                                       (iota 4)))
                                                (iota 3)))
                                  (iota 2))
                                 '(2 3 4))))
       (define (voxel t . place) (tensor-element t place))
       (save-npy (in "v.npy") volume)
       ;; Axes rise to anterior, left, superior: slices are to go to the feet along the
       ;; third, rows to the back along the first, columns to the left along the second.
       (let-values (((upright spacing) (load-volume (in "v.npy") #:orientation "ALS")))
         (test-equal "shape" '(4 2 3) (tensor-shape upright))
         (test-equal "first voxel" 103.0 (voxel upright 0 0 0))
         (test-equal "last voxel" 20.0 (voxel upright 3 1 2)))
       (test-error-matching "two axes alike" "one of each"
         (load-volume (in "v.npy") #:orientation "LRS"))
       (test-error-matching "letters" "three letters" (load-volume (in "v.npy") #:orientation "LP"))
       (test-error-matching "letters" "got XYZ" (load-volume (in "v.npy") #:orientation "XYZ"))
       (test-error-matching "complex" "expected real numbers" (load-volume (in "b.npy")))
     (save-npy (in "four.npy") (tensor-zeros '(2 3 4 5)))
     (test-error-matching "several volumes" "three axes, got shape (2 3 4 5): several volumes"
       (load-volume (in "four.npy")))
     (test-equal "a picture is one slice" '(1 12 17) (tensor-shape (load-volume (in "a.npy"))))))

   (test-group "NIfTI"
     ;; DIM, lengths from the fastest on, of float32 VALUES; axes rise to right, anterior, superior.
     (define (write-nifti path dim values)
       (let ((head (make-bytevector 352 0)))
         (bytevector-s32-native-set! head 0 348)
         (bytevector-s16-native-set! head 40 (length dim))
         (for-each (lambda (k n) (bytevector-s16-native-set! head (+ 42 (* 2 k)) n))
                   (iota 7) (append dim (make-list (- 7 (length dim)) 1)))
         (bytevector-s16-native-set! head 70 16)
         (bytevector-s16-native-set! head 72 32)
         (for-each (lambda (k) (bytevector-ieee-single-native-set! head (+ 76 (* 4 k)) 1.5)) (iota 8))
         (bytevector-ieee-single-native-set! head 108 352.0)
         (bytevector-s16-native-set! head 254 1)
         (for-each (lambda (k) (bytevector-ieee-single-native-set! head (+ 280 (* 20 k)) 1.5)) (iota 3))
         (bytevector-copy! (string->utf8 "n+1") 0 head 344 3)
         (let ((voxels (make-bytevector (* 4 (length values)))))
           (for-each (lambda (k v) (bytevector-ieee-single-native-set! voxels (* 4 k) v))
                     (iota (length values)) values)
           (write-bytes path head voxels))))
     (define count (iota 24))
     (write-nifti (in "three.nii") '(4 3 2) count)
     (write-nifti (in "four.nii") '(4 3 2 1) count)
     (write-nifti (in "two.nii") '(4 6) count)
     (write-nifti (in "times.nii") '(4 3 1 2) count)
     (write-nifti (in "side.nii") '(1 4 6) count)
     (let-values (((three spacing) (load-volume (in "three.nii")))
                  ((four spacing-four) (load-volume (in "four.nii"))))
       (test-assert "(x y z 1) is (x y z)" (same? three four))
       (test-equal "and its spacing" '(1.5 1.5 1.5) spacing-four))
     (test-equal "two axes: one slice" '(1 6 4) (tensor-shape (load-volume (in "two.nii"))))
     (test-equal "and an image" '(6 4) (tensor-shape (load-image (in "two.nii"))))
     (test-equal "a slice from the side too" '(6 4) (tensor-shape (load-image (in "side.nii"))))
     (test-error-matching "two times" "several volumes" (load-volume (in "times.nii")))
     (write-nifti (in "nan.nii") '(4 3 2) (cons* -3 +nan.0 +inf.0 -inf.0 (list-tail count 4)))
     (let* ((said #f)
            (given (load-nifti (in "nan.nii")))
            (zero #f))
       (set! said (call-with-output-string
                    (lambda (port)
                      (parameterize ((current-error-port port))
                        (set! zero (load-nifti (in "nan.nii") #:nan-is-zero? #t))))))
       (test-assert "NaN stays" (nan? (tensor-element given '(0 0 1))))
       (test-equal "or is 0, and infinity stays" '(-3.0 0.0 +inf.0 -inf.0 4.0)
         (list-head (tensor->list zero) 5))
       (test-equal "and that is said" (format #f "~a: 1 voxels that are NaN become 0\n" (in "nan.nii"))
         said))
     (test-error-matching "a kind that is not read" "expected .npy, .png" (load-image (in "a.txt"))))

   (test-group "grey in three channels"
     (let ((grey (make-test-image 6 5)))
       (define (stack . channels)
         (tensor-concatenate (map (lambda (c) (tensor-reshape c '(6 5 1))) channels) 2))
       (save-png (in "grey.png") (stack grey grey grey) #:high 255)
       (test-assert "is one" (same? grey (load-image (in "grey.png"))))
       (test-equal "the file's own has three" '(6 5 3) (tensor-shape (load-png (in "grey.png"))))
       (save-png (in "red.png") (stack grey grey (tensor* 2 grey)) #:high 255)
       (test-equal "colours stay" '(6 5 3) (tensor-shape (load-image (in "red.png"))))))

   (test-group "DICOM"
     ;; Explicit VR, little endian: the least that makes an MR image of 16 x 16.
     (define (element group number vr value)
       (let* ((bytes (if (string? value) (string->utf8 value) value))
              (odd? (odd? (bytevector-length bytes)))
              (bytes (if odd?
                         (u8-list->bytevector (append (bytevector->u8-list bytes)
                                                      (list (if (string=? vr "UI") 0 32))))
                         bytes))
              (length (bytevector-length bytes))
              (long? (member vr '("OB" "OW")))
              (head (make-bytevector (if long? 12 8) 0)))
         (bytevector-u16-set! head 0 group (endianness little))
         (bytevector-u16-set! head 2 number (endianness little))
         (bytevector-copy! (string->utf8 vr) 0 head 4 2)
         (if long?
             (bytevector-u32-set! head 8 length (endianness little))
             (bytevector-u16-set! head 6 length (endianness little)))
         (append (bytevector->u8-list head) (bytevector->u8-list bytes))))
     (define (short n) (u8-list->bytevector (list (modulo n 256) (quotient n 256))))
     (define (dicom-bytes number place)
       (let ((meta (append (element 2 2 "UI" "1.2.840.10008.5.1.4.1.1.4")
                           (element 2 3 "UI" (format #f "1.2.3.~a" number))
                           (element 2 16 "UI" "1.2.840.10008.1.2.1"))))
         (append (make-list 128 0) (map char->integer (string->list "DICM"))
                 (element 2 0 "UL" (u8-list->bytevector (list (length meta) 0 0 0))) meta
                 (element 8 8 "CS" "ORIGINAL\\PRIMARY") (element 8 22 "UI" "1.2.840.10008.5.1.4.1.1.4")
                 (element 8 24 "UI" (format #f "1.2.3.~a" number)) (element 8 96 "CS" "MR")
                 (element 24 80 "DS" "2") (element 24 136 "DS" "2")
                 (element 32 13 "UI" "1.2.3.1") (element 32 14 "UI" "1.2.3.2")
                 (element 32 17 "IS" "1") (element 32 19 "IS" (number->string number))
                 (element 32 50 "DS" (format #f "0\\0\\~a" place))
                 (element 32 55 "DS" "1\\0\\0\\0\\1\\0")
                 (element 40 2 "US" (short 1)) (element 40 4 "CS" "MONOCHROME2")
                 (element 40 16 "US" (short 16)) (element 40 17 "US" (short 16))
                 (element 40 48 "DS" "1\\1")
                 (element 40 256 "US" (short 16)) (element 40 257 "US" (short 16))
                 (element 40 258 "US" (short 15)) (element 40 259 "US" (short 0))
                 (element #x7fe0 16 "OW"
                          (u8-list->bytevector (append-map (lambda (k) (list (modulo (+ k number) 256) 0))
                                                           (iota 256)))))))
     (define* (write-series folder numbers #:key (place (lambda (n) (* 2 n))))
       (mkdir folder)
       (for-each (lambda (n)
                   (write-bytes (format #f "~a/I~a" folder n)
                                (u8-list->bytevector (dicom-bytes n (place n)))))
                 numbers))
     (when (program-exists? "dcm2niix")
       (write-series (in "series") (iota 8 1))
       (test-equal "files without endings" '(8 16 16) (tensor-shape (load-image (in "series"))))
       (test-equal "one of them" '(16 16) (tensor-shape (load-image (in "series/I3"))))
       (write-bytes (in "series/notes") "what was scanned")
       (test-equal "beside others" '(8 16 16) (tensor-shape (load-image (in "series"))))
       (write-series (in "gap") '(1 2 3 5 6 7 8))
       (test-error-matching "a slice that is missing" "slices are missing from the series: 4 mm after \
its slice 3, at 4 mm from the first, where they are 2 mm apart"
         (load-image (in "gap")))
       (write-series (in "twice") (iota 6 1) #:place (lambda (n) (* 2 (if (> n 3) (1- n) n))))
       (test-error-matching "a slice that is there twice" "slices 3 and 4 are 0 mm apart, where others are 2"
         (load-image (in "twice")))
       (let ((whole (dicom-bytes 1 2)))
         (write-bytes (in "cut-head") (u8-list->bytevector (list-head whole 450)))
         (test-error-matching "cut in its head" "truncated or damaged" (load-image (in "cut-head")))
         (write-bytes (in "cut-image") (u8-list->bytevector (list-head whole (- (length whole) 99))))
         (test-error-matching "cut in its image" "not large enough" (load-image (in "cut-image")))
         (write-series (in "torn") (iota 6 1))
         (write-bytes (in "torn/I4") (u8-list->bytevector
                                      (let ((bytes (dicom-bytes 4 8)))
                                        (list-head bytes (- (length bytes) 99)))))
         (test-assert "cut within a series" (error-message-of (lambda () (load-image (in "torn"))))))))

   (test-group "safetensors"
     (define tensors `(("stem.weights" . ,(random-normal '(3 3 2 4) 5))
                       ("empty" . ,(tensor-zeros '(0 3)))
                       ("scalar" . ,(list->tensor '(2.5) '()))
                       ("naïve \"name\"" . ,image)))
     (define metadata '(("experiment" . "test") ("quote" . "a \"b\" \\ c\n")))
     (define path (in "w.safetensors"))
     (save-safetensors path tensors #:metadata metadata)
     (let-values (((back about) (load-safetensors path)))
       (test-assert "tensors" (every (lambda (t) (same? (cdr t) (assoc-ref back (car t)))) tensors))
       (test-equal "how many" 4 (length back))
       (test-equal "metadata" metadata
         (map (lambda (m) (assoc (car m) about)) metadata)))
     (save-safetensors (in "none.safetensors") '())
     (test-equal "nothing at all" '() (load-safetensors (in "none.safetensors")))
     (test-error-matching "a name twice" "twice"
       (save-safetensors path (list (first tensors) (first tensors))))
     (test-error-matching "complex" "expected f32"
       (save-safetensors path `(("z" . ,(tensor-zeros '(2) 'c64)))))
     (test-error-matching "metadata" "metadata: expected"
       (save-safetensors path '() #:metadata '(("a" . 1))))
     (test-equal "failures left the old file" 4 (length (load-safetensors path)))

     ;; In half precision: 11 bits, ties to even, subnormal numbers, and the checksum of what is read.
     (let ((given '(1 1.00048828125 1.001 0.1 -65504 5.9604645e-8 1e-9 -0.0))
           (kept '(1. 1. 1.0009765625 0.0999755859375 -65504. 5.960464477539063e-8 0. -0.0)))
       (save-safetensors (in "half.safetensors") `(("h" . ,(list->tensor given)) ("i" . ,(list->tensor '(2 3 5))))
                         #:half? #t)
       (test-equal "half precision" kept (tensor->list (assoc-ref (load-safetensors (in "half.safetensors")) "h")))
       (test-equal "and what follows" '(2. 3. 5.)
         (tensor->list (assoc-ref (load-safetensors (in "half.safetensors")) "i")))
       (test-equal "in 22 bytes" 22 (cdr (safetensors-header (in "half.safetensors"))))
       (let ((bytes (call-with-input-file (in "half.safetensors") get-bytevector-all #:binary #t)))
         (bytevector-u8-set! bytes (- (bytevector-length bytes) 1) #x41)
         (write-bytes (in "half.safetensors") bytes)
         (test-error-matching "a flipped bit" "damaged" (load-safetensors (in "half.safetensors"))))
       (save-safetensors (in "half.safetensors") '())
       (test-error-matching "beyond half precision"
                            "half.safetensors: not written: tensor \"h\": number 1 is 65520, beyond"
         (save-safetensors (in "half.safetensors") `(("h" . ,(list->tensor '(1 65520)))) #:half? #t))
       (test-equal "and the old file stays" '() (load-safetensors (in "half.safetensors"))))
     (for-each
      (lambda (type numbers)
        (let* ((size (make-bytevector 8 0))
               (text (string->utf8 (format #f "{\"a\":{\"dtype\":~s,\"shape\":[2],\"data_offsets\":[0,~a]}}"
                                           type (bytevector-length numbers)))))
          (bytevector-u64-set! size 0 (bytevector-length text) (endianness little))
          (write-bytes (in "other.safetensors") size text numbers)
          (test-equal type '(1.5 -3.) (tensor->list (assoc-ref (load-safetensors (in "other.safetensors")) "a")))))
      '("F16" "BF16" "F64")
      '(#vu8(#x00 #x3e #x00 #xc2) #vu8(#xc0 #x3f #x40 #xc0) #vu8(0 0 0 0 0 0 #xf8 #x3f 0 0 0 0 0 0 8 #xc0)))

     ;; Headers that lie.  16 bytes of numbers follow each.
     (let ((hostile
            (lambda (name expected header)
              (let ((size (make-bytevector 8 0)) (text (string->utf8 header)))
                (bytevector-u64-set! size 0 (bytevector-length text) (endianness little))
                (write-bytes (in "bad.safetensors") size text (make-bytevector 16 0))
                (test-error-matching name expected (load-safetensors (in "bad.safetensors"))))))
           (entry (lambda (shape begin end)
                    (format #f "{\"dtype\":\"F32\",\"shape\":[~a],\"data_offsets\":[~a,~a]}"
                            shape begin end))))
       (hostile "not JSON" "JSON is not understood" "{\"a\":")
       (hostile "not an object" "expected a JSON object" "[1,2]")
       (hostile "no entry" "expected numbers of a type among F32, F16" "{\"a\":3}")
       (hostile "type" "got I16" "{\"a\":{\"dtype\":\"I16\",\"shape\":[8],\"data_offsets\":[0,16]}}")
       (hostile "half as many bytes" "does not fill" "{\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,16]}}")
       (hostile "shape too small" "does not fill" (format #f "{\"a\":~a}" (entry 3 0 16)))
       (hostile "beyond the end" "truncated: it names 20 bytes of numbers and has 16" (format #f "{\"a\":~a}" (entry 5 0 20)))
       (hostile "backwards" "does not fill" (format #f "{\"a\":~a}" (entry 4 16 0)))
       (hostile "negative" "inside 16 bytes" (format #f "{\"a\":~a}" (entry 4 -16 0)))
       (hostile "fraction" "inside 16 bytes" (format #f "{\"a\":~a}" (entry 4 0.5 16.5)))
       (hostile "overflow" "does not fill"
                (format #f "{\"a\":~a}" (entry "4611686018427387904,4" 0 16)))
       (hostile "overlap" "gap or overlap"
                (format #f "{\"a\":~a,\"b\":~a}" (entry 3 0 12) (entry 2 8 16)))
       (hostile "gap" "gap or overlap"
                (format #f "{\"a\":~a,\"b\":~a}" (entry 1 0 4) (entry 2 8 16)))
       (hostile "unnamed bytes" "more than it names" (format #f "{\"a\":~a}" (entry 3 0 12)))
       (hostile "twice" "twice" (format #f "{\"a\":~a,\"a\":~a}" (entry 2 0 8) (entry 2 8 16)))
       (hostile "metadata" "metadata of strings"
                (format #f "{\"__metadata__\":{\"x\":1},\"a\":~a}" (entry 4 0 16)))
       (hostile "nesting" "nested deeper" (make-string 100000 #\[))
       (write-bytes (in "bad.safetensors") (u8-list->bytevector '(2 0 0 0 0 0 0 0 255 254)))
       (test-error-matching "not UTF-8" "not UTF-8" (load-safetensors (in "bad.safetensors"))))
     (let ((whole (read-bytes path)))
       (for-each (lambda (length)
                   (let ((part (make-bytevector length)))
                     (bytevector-copy! whole 0 part 0 length)
                     (write-bytes (in "cut.safetensors") part)
                     (test-error-matching (format #f "cut at ~a" length) "truncated"
                       (load-safetensors (in "cut.safetensors")))))
                 (iota 12 0 (quotient (bytevector-length whole) 12)))))

   (test-group "json"
     (save-json (in "a.json") `(("x" . 1/4) ("inf" . ,(inf)) ("list" . #(1 2.5 "µ"))
                                ("object" . (("yes" . #t)))))
     (test-equal "round trip" '(("inf" . null) ("list" . #(1 2.5 "µ")) ("object" ("yes" . #t))
                                ("x" . 0.25))
       (sort (load-json (in "a.json")) (lambda (a b) (string<? (car a) (car b)))))
     (test-error-matching "full disk" "No space left" (save-text "/dev/full" "text"))
     (test-error-matching "missing" "no such file" (load-json (in "none.json"))))

   (test-group "figures"
     (save-figure (in "f.png")
                  (list (panel "one" image #:colours 'heat #:bar? #t)
                        (panel "two, a title that is far too long for its small panel" (tensor-reshape (tensor-copy (tensor-slice scan 0 0 1)) (list 8 8)))
                        (panel "three" (tensor-zeros '(20 20))))
                  #:columns 2)
     (let ((shape (tensor-shape (load-png (in "f.png")))))
       (test-equal "a picture in colour" 3 (third shape))
       (test-assert "two rows of panels" (> (first shape) (* 2 200))))
     (test-error-matching "colours" "expected one of (grey" (panel "x" image #:colours 'mauve))
     (test-error-matching "limits" "high: expected" (panel "x" image #:low 3 #:high 2))
     (test-error-matching "not panels" "panels: expected" (save-figure (in "g.png") (list image)))
     (test-error-matching "no such folder" "cannot be written"
       (save-figure (in "no/g.png") (list (panel "x" image))))
     (test-equal "nothing half-written" '()
       (filter (lambda (name) (string-suffix? ".tmp" name))
               ((@ (ice-9 ftw) scandir) folder))))))

;;; --- Quality ------------------------------------------------------------------

(define (formula-image f)
  (list->tensor (append-map (lambda (y) (map (lambda (x) (f y x)) (iota 24))) (iota 20)) '(20 24)))

(define truth
  (formula-image (lambda (y x) (+ 100 (* 50 (sin (* 0.7 x)) (cos (* 0.4 y))) (* 2 x)))))
(define noisy
  (tensor+ truth (formula-image (lambda (y x) (* 8 (sin (+ (* 3.1 x) (* 1.7 y))))))))

;; Known values: the formulas evaluated in double precision with NumPy.
(test-approximate "psnr" 27.635495 (psnr noisy truth) 1e-4)
(test-approximate "ssim" 0.966051637 (ssim noisy truth) 1e-6)
(test-assert "psnr of equals" (inf? (psnr truth truth)))
(test-approximate "ssim of equals" 1 (ssim truth truth) 1e-9)
(let ((turned (image-modulate (tensor-reshape truth '(1 20 24))
                              (tensor* (list->tensor '(0+1i) '(1 1 1)) 1.3))))
  (test-assert "a phase changes no magnitude" (> (first (psnr turned truth)) 100)))
(test-equal "a batch" (list (psnr noisy truth) (psnr (tensor* truth 0.5) truth))
  (psnr (tensor-concatenate (list (tensor-reshape noisy '(1 20 24))
                                  (tensor-reshape (tensor* truth 0.5) '(1 20 24)))
                            0)
        truth))
(test-error-matching "shapes" "expected shape (20 24)" (psnr (tensor-zeros '(20 20)) truth))
(test-error-matching "constant truth" "not constant" (psnr truth (tensor-zeros '(20 24))))
(test-error-matching "too small" "at least 11 x 11" (ssim (make-test-image 8 8) (make-test-image 8 8)))
(test-error-matching "no tensor" "image: expected a tensor" (psnr 3 truth))

(let ((sheet (montage (tensor-concatenate
                       (map (lambda (k) (tensor+ (tensor-zeros '(1 2 3)) k)) '(1 2 3)) 0)
                      #:columns 2)))
  (test-equal "montage" '(4 6) (tensor-shape sheet))
  (test-equal "in order" '(1.0 2.0 3.0 0.0)
    (map (lambda (place) (tensor-element sheet place)) '((1 2) (0 3) (3 0) (2 5)))))
(test-error-matching "montage of one" "expected a batch" (montage truth))

;;; --- Half as many rows and columns ---

(test-equal "squares of four" '(2.5 4.5)
  (tensor->list (half-size (list->tensor '(0 2 4 6 3 5 3 5) '(2 4)))))
(test-error-matching "odd" "image: expected f32 (rows columns), both even"
  (half-size (tensor-zeros '(3 4))))

(finish-tests)
