;;; test-formats.scm -- raw and image formats: round trips, files of other programs both ways, files that
;;; are cut, damaged or claim too much.
;;;
;;; The other programs are Debian's bart and the Python packages numpy, h5py, scipy and nibabel; where one
;;; is missing, its part is left out, and that is said.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (ice-9 binary-ports)
             (ice-9 match)
             (ice-9 popen)
             (ice-9 textual-ports)
             (rnrs bytevectors)
             (harness)
             (tempera base errors)
             (tempera file bart) (tempera file formats) (tempera file hdf5) (tempera file members)
             (tempera file paths) (tempera file programs)
             (tempera tensor primitives) (tempera tensor tensors))

(start-tests "formats")

(define (same? a b) (tensor-identical? a b))

(define (read-bytes path) (call-with-input-file path get-bytevector-all #:binary #t))

(define (write-bytes path bytes)
  (call-with-output-file path (lambda (port) (put-bytevector port bytes)) #:binary #t))

(define python "/usr/bin/python3")

(define (python-has? . packages)
  ;; Whether Debian's Python has PACKAGES; what is missing is said.
  (let ((there? (and (file-exists? python)
                     (zero? (system* python "-c"
                                     (format #f "import importlib.util, sys; \
sys.exit(not all(importlib.util.find_spec(p) for p in '~a'.split()))" (string-join packages)))))))
    (unless there? (format #t "left out, since Python lacks one of ~a~%" (string-join packages)))
    there?))

(define (run-python folder . lines)
  ;; What the program LINES prints, run in FOLDER.
  (let* ((port (open-pipe* OPEN_READ python "-c"
                           (string-append "import os; os.chdir('" folder "')\n" (string-join lines "\n"))))
         (text (get-string-all port)))
    (unless (zero? (status:exit-val (close-pipe port)))
      (error "the Python program fails" lines))
    (string-trim-right text)))

(define (try-damaged path whole use)
  ;; USE of PATH raises nothing but errors of ours, with the bytes of WHOLE cut at 40 places and with one
  ;; of them changed at 400; whether it does.
  (let* ((length (bytevector-length whole))
         (fine? (lambda (bytes)
                  (write-bytes path bytes)
                  (catch #t
                    (lambda () (use path) #t)
                    (lambda (key . _) (eq? key 'tempera-error)))))
         (cut (lambda (count)
                (let ((part (make-bytevector count)))
                  (bytevector-copy! whole 0 part 0 count)
                  part)))
         (changed (lambda (k)
                    (let* ((other (bytevector-copy whole))
                           (place (if (even? k) (modulo (* k 7919) length) (modulo (* 3 k) (min length 1200)))))
                      (bytevector-u8-set! other place
                                          (logxor (bytevector-u8-ref whole place) (1+ (modulo (* 37 k) 255))))
                      other))))
    (and (every (lambda (k) (fine? (cut (quotient (* k length) 40)))) (iota 40))
         (every (lambda (k) (fine? (changed k))) (iota 400)))))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define y (random-normal '(3 6 8) 1 0 'c64))
   (define plane (random-normal '(6 8) 2 0 'c64))
   (define real (random-normal '(6 8) 3 0))
   (define counted (tensor-tabulate '(2 3 4) (lambda (i j k) (+ (* 12 i) (* 4 j) k))))
   (define (packed name) (load-npz (string-append (in "packed.npz") ":/" name)))
   (define (from name) (load-hdf5 (string-append (in "py.h5") ":/" name)))
   (define (part name . options) (apply load-hdf5 (string-append (in "a.h5") ":/" name) options))

   (test-group "BART"
     (save-cfl (in "y.cfl") y)
     (test-assert "a round trip" (same? y (load-cfl (in "y.cfl"))))
     (test-assert "by the other name" (same? y (load-cfl (in "y.hdr"))))
     (save-cfl (in "real.cfl") real)
     (test-assert "real numbers become complex" (same? real (tensor-real (load-cfl (in "real.cfl")))))
     (save-cfl (in "coils.cfl") (tensor-reshape (tensor-transpose y '(1 2 0)) '(6 8 1 3)))
     (test-assert "coils come first" (same? y (load-kspace (in "coils.cfl"))))
     (test-assert "as header too" (same? y (load-kspace (in "coils.hdr"))))
     (save-image (in "stack.cfl") y)
     (test-assert "images as they are saved" (same? y (load-image (in "stack.cfl"))))
     (test-equal "columns vary slowest" (tensor-ref plane 1 0)
       (begin (save-cfl (in "plane.cfl") plane)
              (make-rectangular (bytevector-ieee-single-native-ref (read-bytes (in "plane.cfl")) 8)
                                (bytevector-ieee-single-native-ref (read-bytes (in "plane.cfl")) 12))))
     (let ((data (read-bytes (in "y.cfl"))) (header (read-bytes (in "y.hdr"))))
       (define (claims text)
         (save-text (in "bad.hdr") text)
         (load-cfl (in "bad.cfl")))
       (write-bytes (in "bad.cfl") data)
       (test-error-matching "too large" "truncated: its header promises" (claims "# Dimensions\n6 8 4\n"))
       (test-error-matching "too small" "too long: its header promises" (claims "# Dimensions\n6 8 2\n"))
       (test-error-matching "beyond 64 bits" "truncated"
         (claims "# Dimensions\n9999999999 9999999999 9999999999\n"))
       (test-error-matching "negative" "expected at most 16 lengths" (claims "# Dimensions\n6 -8 3\n"))
       (test-error-matching "no numbers" "not understood" (claims "# Dimensions\nsix eight\n"))
       (test-error-matching "no line" "\"# Dimensions\"" (claims "6 8 3\n"))
       (test-error-matching "seventeen" "at most 16" (claims "# Dimensions\n6 8 3 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"))
       (test-error-matching "no data" "No such file" (begin (save-text (in "alone.hdr") "# Dimensions\n2\n")
                                                            (load-cfl (in "alone.hdr"))))
       (test-assert "damaged headers" (try-damaged (in "bad.hdr") header load-cfl))
       (test-assert "cut data" (try-damaged (in "y.cfl") data load-cfl)))
     (test-error-matching "a name" "ends in .cfl or .hdr" (save-cfl (in "y.npy") y))
     (if (program-exists? "bart")
         (begin
           (system* "bart" "phantom" "-k" "-s" "3" "-x" "16" (in "phantom"))
           (system* "bart" "transpose" "0" "1" (in "phantom") (in "turned"))
           (test-equal "a phantom of bart" '(3 16 16) (tensor-shape (load-kspace (in "phantom.cfl"))))
           (test-assert "bart's transpose is ours"
             (same? (tensor-copy (tensor-transpose (load-kspace (in "phantom.cfl")) '(0 2 1)))
                    (load-kspace (in "turned.cfl"))))
           (save-cfl (in "again.cfl") (load-cfl (in "phantom.cfl")))
           (test-equal "and back, byte for byte" (read-bytes (in "phantom.cfl")) (read-bytes (in "again.cfl")))
           (system* "bart" "transpose" "0" "1" (in "coils") (in "turned"))
           (test-assert "bart reads ours"
             (same? (tensor-copy (tensor-transpose y '(0 2 1))) (load-kspace (in "turned.cfl")))))
         (format #t "left out, since bart is missing~%")))

   (test-group "npz"
     (save-npz (in "a.npz") `(("kspace" . ,y) ("mask" . ,real)))
     (test-assert "a round trip" (same? y (load-npz (string-append (in "a.npz") ":/kspace"))))
     (test-assert "of the other" (same? real (load-image (string-append (in "a.npz") ":/mask"))))
     (test-error-matching "which?" "several arrays: kspace, mask; say which" (load-npz (in "a.npz")))
     (test-error-matching "no such" "it holds no array image, but kspace, mask"
       (load-npz (string-append (in "a.npz") ":/image")))
     (save-image (in "one.npz") real)
     (test-assert "one array needs no name" (same? real (load-image (in "one.npz"))))
     (test-error-matching "not an archive" "got an npy file"
       (begin (save-npy (in "b.npz") y) (load-npz (in "b.npz"))))
     (test-error-matching "no arrays" "arrays: expected" (save-npz (in "c.npz") 3))
     (test-assert "damaged" (try-damaged (in "bad.npz") (read-bytes (in "a.npz"))
                                         (lambda (path) (load-npz (string-append path ":/kspace")))))
     (when (python-has? "numpy")
       (run-python folder "import numpy as np"
                   "y = np.arange(24).reshape(2, 3, 4)"
                   "np.savez_compressed('packed.npz', i=y, f=np.asfortranarray(y.astype('>f8')), c=1j*y, b=y > 4)"
                   "np.savez('stored.npz', y.astype('c8'))")
       (test-assert "integers" (same? counted (packed "i")))
       (test-assert "big-endian, Fortran's order" (same? counted (packed "f")))
       (test-assert "complex" (same? counted (tensor-imag (packed "c"))))
       (test-assert "booleans" (same? (tensor< 4 counted) (packed "b")))
       (test-assert "stored" (same? counted (tensor-real (load-npz (in "stored.npz")))))
       (test-assert "damaged and deflated" (try-damaged (in "bad.npz") (read-bytes (in "packed.npz"))
                                                        (lambda (path) (load-npz (string-append path ":/i")))))
       (test-equal "numpy reads ours" "True True ['kspace', 'mask']"
         (begin (save-npy (in "y.npy") y)
                (save-npy (in "r.npy") real)
                (run-python folder "import numpy as np; a = np.load('a.npz')"
                            "print((a['kspace'] == np.load('y.npy')).all(), (a['mask'] == np.load('r.npy')).all(), a.files)")))))

   (test-group "HDF5"
     (save-hdf5 (in "a.h5") `(("kspace" . ,y) ("maps/real" . ,real) ("note" . "a phantom")))
     (test-assert "a round trip" (same? y (part "kspace")))
     (test-assert "in a group" (same? real (part "maps/real")))
     (test-assert "slices" (same? (tensor-copy (tensor-slice y 0 1 3)) (part "kspace" #:first 1 #:count 2)))
     (test-equal "what it holds" '(("kspace" complex 8 (3 6 8)) ("maps/real" real 4 (6 8)))
       (hdf5-arrays (in "a.h5")))
     (test-equal "and says" '(("note" . "a phantom")) (hdf5-facts (in "a.h5")))
     (test-error-matching "no such slice" "has no part from 2 to 4" (part "kspace" #:first 2 #:count 2))
     (test-error-matching "which?" "several arrays: kspace, maps/real" (load-hdf5 (in "a.h5")))
     (test-error-matching "not HDF5" "got an npy file" (begin (save-npy (in "b.h5") y) (load-hdf5 (in "b.h5"))))
     (test-error-matching "a device" "a device or pipe" (hdf5-arrays "/dev/zero"))
     (test-error-matching "one name twice" "two arrays of one name"
       (save-hdf5 (in "c.h5") `(("a" . ,y) ("a" . ,real))))
     (test-assert "and nothing is left of it" (not (file-exists? (in "c.h5"))))
     (test-assert "damaged" (try-damaged (in "bad.h5") (read-bytes (in "a.h5"))
                                         (lambda (path)
                                           (hdf5-facts path)
                                           (load-hdf5 (string-append path ":/kspace")))))
     (when (python-has? "numpy" "h5py")
       (save-npy (in "y.npy") y)
       (run-python folder "import numpy as np, h5py"
                   "y = np.arange(24).reshape(2, 3, 4)"
                   "f = h5py.File('py.h5', 'w')"
                   "f['i'] = y; f['b'] = y > 4; f['f'] = y.astype('>f8'); f['c'] = (1j * y).astype('c16')"
                   "f.create_dataset('z', data=y.astype('f2'), chunks=(1, 2, 4), compression='gzip', shuffle=True)"
                   "f['huge'] = [1., 1e300]; f['inf'] = [1., np.inf]; f['text'] = 'word'"
                   "f['soft'] = h5py.SoftLink('/soft'); f['away'] = h5py.ExternalLink('a.h5', '/kspace')"
                   "f.create_dataset('claims', (1 << 30, 1 << 10), 'f4', chunks=(1, 1 << 10))"
                   "f.create_dataset('outside', (4,), 'f4', external=[('y.npy', 0, 16)])"
                   "f.attrs['max'] = 2.5; f.attrs['acquisition'] = 'AXT2'; f.attrs['list'] = [1, 2]"
                   "f.close()")
       (for-each (lambda (name) (test-assert name (same? counted (from name)))) '("i" "f" "z"))
       (test-assert "booleans" (same? (tensor< 4 counted) (from "b")))
       (test-assert "complex128" (same? counted (tensor-imag (from "c"))))
       (test-error-matching "beyond float32" "beyond the" (from "huge"))
       (test-equal "infinite stays" '(1.0 +inf.0) (tensor->list (from "inf")))
       (test-error-matching "more than is stored" "truncated: it claims" (from "claims"))
       (test-error-matching "in another file" "kept in other files" (from "outside"))
       (test-error-matching "a link to itself" "no array soft" (from "soft"))
       (test-error-matching "a link to another file" "no array away" (from "away"))
       (test-equal "attributes" '(("acquisition" . "AXT2") ("max" . 2.5) ("text" . "word"))
         (sort (hdf5-facts (in "py.h5")) (lambda (a b) (string<? (car a) (car b)))))
       (test-equal "h5py reads ours" "True complex64 a phantom"
         (run-python folder "import numpy as np, h5py; f = h5py.File('a.h5')"
                     "print((f['kspace'][:] == np.load('y.npy')).all(), f['kspace'].dtype, f['note'].asstr()[()])"))))))

(finish-tests)
