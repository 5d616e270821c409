;;; test-images.scm -- tensors in files, quality of images, pictures.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (ice-9 binary-ports)
             (rnrs bytevectors)
             (harness)
             (tempera figures)
             (tempera experiments)
             (tempera files)
             (tempera images)
             (tempera primitives)
             (tempera tables))

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
       (test-error-matching "two axes" "three axes" (load-volume (in "a.npy")))))

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
       (hostile "no entry" "expected numbers of type F32" "{\"a\":3}")
       (hostile "type" "got F16" "{\"a\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[0,16]}}")
       (hostile "shape too small" "does not fill" (format #f "{\"a\":~a}" (entry 3 0 16)))
       (hostile "beyond the end" "inside 16 bytes" (format #f "{\"a\":~a}" (entry 5 0 20)))
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
                     (test-assert (format #f "cut at ~a" length)
                       (error-message-of (lambda () (load-safetensors (in "cut.safetensors")))))))
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
