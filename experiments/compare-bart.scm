;;; compare-bart.scm -- our compressed sensing beside BART's `pics' on the same measurement.
;;;
;;; One slice, one mask, the same weights: how far the two images are from each other, how good
;;; each is, and what each takes.  BART (Debian's package bart) minimises the same total
;;; variation by ADMM, and the same kind of sum over Daubechies's wavelets, its frame moved at random,
;;; by FISTA.
;;;
;;;   tempera run experiments/compare-bart.scm

(use-modules (tempera)
             (ice-9 binary-ports)
             (ice-9 format)
             (rnrs bytevectors)
             (srfi srfi-1))

(define here (dirname (or (current-filename) "experiments/compare-bart.scm")))

;;; BART's files: a header of text with 16 lengths, the first varying fastest, and c64 numbers
;;; as they are.  An npy file has the same numbers after its own header, our rows last to first.

(define (header-size npy)
  (+ 10 (bytevector-u16-ref npy 8 (endianness little))))

(define (save-cfl base image)
  "Write IMAGE, c64 (rows columns), as BASE.hdr and BASE.cfl."
  (let ((npy (string-append base ".npy")))
    (save-npy npy image)
    (let* ((bytes (call-with-input-file npy get-bytevector-all #:binary #t))
           (size (header-size bytes)))
      (call-with-output-file (string-append base ".cfl")
        (lambda (port) (put-bytevector port bytes size))
        #:binary #t)
      (save-text (string-append base ".hdr")
                 (format #f "# Dimensions\n~{~a ~}\n"
                         (append (reverse (tensor-shape image)) (make-list 14 1)))))))

(define (load-cfl base like)
  "The image in BASE.cfl, which has the shape and type of LIKE."
  (let ((npy (string-append base ".npy")))
    (save-npy npy like)
    (let* ((bytes (call-with-input-file npy get-bytevector-all #:binary #t))
           (numbers (call-with-input-file (string-append base ".cfl") get-bytevector-all #:binary #t)))
      (bytevector-copy! numbers 0 bytes (header-size bytes) (bytevector-length numbers))
      (call-with-output-file npy (lambda (port) (put-bytevector port bytes)) #:binary #t)
      (load-npy npy))))

(define (pics y iterations . options)
  "What BART makes of the k-space Y by ITERATIONS with OPTIONS."
  (call-with-temporary-folder
   (lambda (folder)
     (let ((file (lambda (name) (string-append folder "/" name))))
       (save-cfl (file "kspace") y)
       (save-cfl (file "coil") (tensor+ 1 (tensor-zeros (tensor-shape y) 'c64)))
       (apply run-program 'pics "bart" "pics" "-S" "-w" "1" "-i" (number->string iterations)
              (append options (list (file "kspace") (file "coil") (file "image"))))
       (load-cfl (file "image") y)))))

(define (distance a b)
  (sqrt (/ (tensor->number (tensor-sum-squares (tensor- a b)))
           (tensor->number (tensor-sum-squares b)))))

(define-experiment compare-bart
  ((image (string-append here "/pd-head/brain_013.png") string? "a slice")
   (acceleration 4 (lambda (r) (>= r 1)) "of the random mask")
   (noise 0.1 positive? "standard deviation")
   (weights '(0.1 0.3 1 3) pair? "of the regularisation")
   (iterations 100 positive? "of each method")
   (seed 42 (lambda (n) (>= n 0)) "of phase, mask and noise"))
  "Compressed sensing here and by BART."
  (check-that (program-exists? "bart") 'compare-bart
              "bart: no such program; apt-get install bart")
  (let* ((scan (simulated-scan (load-image image) #:seed seed))
         (op (mri-operator #:mask (random-mask (second (tensor-shape scan))
                                               #:acceleration acceleration #:seed seed)))
         (y (measure op scan #:noise noise #:seed seed))
         (excess                        ; of the sum that both minimise, BART's over ours
          (lambda (weight x b)
            (let ((sum (lambda (x)
                         (+ (/ (tensor->number (tensor-sum-squares (tensor- (apply-forward op x) y))) 2)
                            (* weight (total-variation-of x))))))
              (- (/ (sum b) (sum x)) 1))))
         (row (lambda (method weight ours bart)
                (call-with-values (lambda () (timed ours))
                  (lambda (x here)
                    (call-with-values (lambda () (timed bart))
                      (lambda (b there)
                        (list method weight (psnr x scan) (psnr b scan) (distance x b)
                              (and (equal? method "total variation") (excess weight x b))
                              here there)))))))
         (rows (append-map
                (lambda (weight)
                  (list (row "total variation" weight
                             (lambda () (total-variation op y #:weight weight
                                                         #:iterations iterations))
                             (lambda () ; with the penalty that ours has
                               (pics y iterations "-R" (format #f "T:3:0:~a" weight)
                                     "-u" (number->string (/ weight 5.)))))
                        (row "wavelets" weight
                             (lambda () (wavelet-reconstruction op y #:weight weight
                                                                #:iterations iterations))
                             (lambda ()
                               (pics y iterations "-R" (format #f "W:3:0:~a" weight))))))
                weights))
         (result (table '(method weight psnr bart-psnr distance excess seconds bart-seconds) rows)))
    (save-table (run-path "compare-bart.csv") result)
    (format #t "zero-filled ~,2f dB~%~a~%" (psnr (apply-adjoint op y) scan) (table-text result))
    result))
