;;; test-formats.scm -- raw and image formats: round trips, files of other programs both ways, files that
;;; are cut, damaged or claim too much.
;;;
;;; The other programs are Debian's bart and the Python packages numpy, h5py, scipy and nibabel; where one
;;; is missing, its part is left out, and that is said.

(use-modules (srfi srfi-1)
             (rnrs bytevectors)
             (harness)
             (files)
             (tempera base errors)
             (tempera file bart) (tempera file formats) (tempera file hdf5) (tempera file members)
             (tempera data raw-scans)
             (tempera file paths) (tempera file programs)
             (tempera tensor primitives) (tempera tensor tensors))

(start-tests "formats")

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
     (let ((bytes (read-bytes (in "a.npz"))))
       (bytevector-u8-set! bytes 300 (logxor 1 (bytevector-u8-ref bytes 300))) ; among kspace's numbers
       (write-bytes (in "flipped.npz") bytes)
       (test-error-matching "a flipped bit" "flipped.npz: kspace: damaged: "
         (load-npz (string-append (in "flipped.npz") ":/kspace"))))
     (test-equal "the same arrays, the same file" (read-bytes (in "a.npz"))
       (begin (save-npz (in "again.npz") `(("kspace" . ,y) ("mask" . ,real))) (read-bytes (in "again.npz"))))
     (test-error-matching "a name twice" "twice.npz: mask: File already exists"
       (save-npz (in "twice.npz") `(("mask" . ,y) ("mask" . ,real))))
     (test-assert "nothing is left of it" (not (file-exists? (in "twice.npz"))))
     (test-error-matching "no folder" "no/c.npz: not written: "
       (save-npz (in "no/c.npz") `(("mask" . ,real))))
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
                     "print((f['kspace'][:] == np.load('y.npy')).all(), f['kspace'].dtype, f['note'].asstr()[()])"))))

   (test-group "MATLAB"
     (save-mat (in "a.mat") `(("kspace" . ,y) ("mask" . ,real)))
     (test-assert "a round trip" (same? y (load-mat (string-append (in "a.mat") ":/kspace"))))
     (test-assert "of the other" (same? real (load-image (string-append (in "a.mat") ":/mask"))))
     (test-error-matching "which?" "several arrays: kspace, mask" (load-mat (in "a.mat")))
     (test-error-matching "not MATLAB's" "expected a MATLAB file" (begin (save-npy (in "b.mat") y) (load-mat (in "b.mat"))))
     (test-assert "damaged" (try-damaged (in "bad.mat") (read-bytes (in "a.mat"))
                                         (lambda (path) (load-mat (string-append path ":/kspace")))))
     (when (python-has? "numpy" "scipy")
       (save-npy (in "y.npy") y)
       (run-python folder "import numpy as np, scipy.io"
                   "y = np.arange(24).reshape(2, 3, 4)"
                   "scipy.io.savemat('py.mat', dict(i=y.astype('i2'), c=1j*y), do_compression=True)")
       (test-assert "integers" (same? counted (load-mat (string-append (in "py.mat") ":/i"))))
       (test-assert "complex" (same? counted (tensor-imag (load-mat (string-append (in "py.mat") ":/c")))))
       (test-equal "scipy reads ours" "True"
         (run-python folder "import numpy as np, scipy.io"
                     "print((scipy.io.loadmat('a.mat')['kspace'] == np.load('y.npy')).all())")))
     (when (python-has? "numpy" "h5py")
       ;; As MATLAB writes version 7.3: HDF5 behind 512 bytes, axes reversed, complex numbers of real and imag.
       (save-npy (in "y.npy") y)
       (run-python folder "import numpy as np, h5py"
                   "y = np.load('y.npy').T; f = h5py.File('v73.mat', 'w', userblock_size=512)"
                   "c = np.zeros(y.shape, [('real', '<f8'), ('imag', '<f8')]); c['real'] = y.real; c['imag'] = y.imag"
                   "f.create_dataset('y', data=c, chunks=y.shape, compression='gzip')"
                   "f['i'] = np.arange(24, dtype='i2').reshape(2, 3, 4).T"
                   "for name, kind in (('y', b'double'), ('i', b'int16')):"
                   "    t = h5py.h5t.C_S1.copy(); t.set_size(len(kind) + 1); t.set_strpad(h5py.h5t.STR_NULLTERM)"
                   "    h5py.h5a.create(f[name].id, b'MATLAB_class', t, h5py.h5s.create(h5py.h5s.SCALAR)).write(np.array(kind))"
                   "f.close()"
                   "b = open('v73.mat', 'r+b'); b.write(b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(116) + bytes(8) + b'\\x00\\x02IM'); b.close()")
       (test-assert "version 7.3" (same? y (load-mat (string-append (in "v73.mat") ":/y"))))
       (test-assert "its integers" (same? counted (load-mat (string-append (in "v73.mat") ":/i"))))))

   (test-group "scans"
     (save-npy (in "y.npy") y)
     (test-equal "plain k-space has coils first" '(1 3 6 8) (raw-scan-shape (load-scan (in "y.npy"))))
     (test-equal "or slices" '(3 1 6 8) (raw-scan-shape (load-scan (in "y.npy") #:first-axis 'slices)))
     (test-assert "one slice" (same? y (raw-scan-kspace (load-scan (in "y.npy")) 0)))
     (save-npy (in "columns.npy") (tensor* y (list->tensor '(1 0 0 1 1 1 0 1))))
     (test-assert "its pattern"
       (tensor-identical? (scan-pattern (load-scan (in "columns.npy")))
                          (tensor-copy (tensor-broadcast (list->tensor '(1 0 0 1 1 1 0 1)) '(6 8)))))
     ;; Two samples in one cell, one in the farthest, 3 / field of view along the rows.
     (save-npy (in "samples.npy") (random-normal '(1 3) 1 0 'c64))
     (let ((pattern (scan-pattern (load-scan (in "samples.npy")
                                             #:trajectory (list->tensor '(0 1 0.3 1.4 -3 0) '(1 3 2))))))
       (test-equal "a trajectory's" '((7 7) 2. 1. 3.)
         (list (tensor-shape pattern) (tensor-ref pattern 3 4) (tensor-ref pattern 0 3)
               (tensor->number (tensor-sum pattern)))))
     (test-error-matching "no pattern of a slice beyond" "scan-pattern: slice: expected 0 to 0, got 1"
                          (scan-pattern (load-scan (in "y.npy")) 1))
     (test-error-matching "a slice beyond" "slice: expected 0 to 0, got 1" (raw-scan-kspace (load-scan (in "y.npy")) 1))
     (test-error-matching "no file" "no such file" (load-scan (in "none.h5")))
     (write-bytes (in "a.dat") #vu8(0 0 0 0 1 0 0 0 9 9))
     (test-error-matching "twix" "siemens_to_ismrmrd" (load-scan (in "a.dat")))
     (let* ((header "<ismrmrdHeader xmlns='http://www.ismrm.org/ISMRMRD'><encoding><encodedSpace><matrixSize>\
<x>8</x><y>6</y><z>1</z></matrixSize><fieldOfView_mm><x>40</x><y>30</y><z>5</z></fieldOfView_mm></encodedSpace>\
<reconSpace><matrixSize><x>4</x><y>6</y><z>1</z></matrixSize><fieldOfView_mm><x>20</x><y>30</y><z>5</z>\
</fieldOfView_mm></reconSpace></encoding></ismrmrdHeader>")
            (image (random-normal '(2 3 4 6) 5 0 'c64))
            (wide (tensor-zeros '(2 3 8 6) 'c64)))
       ;; An object half as long as the field of view along the readout.
       (tensor-assign! (tensor-slice wide 2 2 6) image)
       (save-hdf5 (in "knee.h5") `(("kspace" . ,(fft2 wide)) ("ismrmrd_header" . ,header)
                                   ("mask" . ,(list->tensor '(1 0 1 1 0 1)))))
       (let ((scan (load-scan (in "knee.h5"))))
         (define (error-of a b) (tensor->number (tensor-max (tensor-abs (tensor- a b)))))
         (test-equal "fastMRI" '(fastmri (2 3 4 6) (4 6 1) (1.0 0.0 1.0 1.0 0.0 1.0))
           (list (raw-scan-source scan) (raw-scan-shape scan) (assq-ref (raw-scan-facts scan) 'recon)
                 (tensor->list (raw-scan-mask scan))))
         (test-assert "without oversampling it is the object's"
           (< (error-of image (ifft2 (raw-scan-kspace scan))) 1e-5))
         (test-assert "with it, the file's"
           (same? (fft2 wide) (raw-scan-kspace (load-scan (in "knee.h5") #:oversampled? #t))))
         (test-equal "as it prints" "#<raw scan knee.h5, 2 slices, 3 coils, 4 x 6, image 4 x 6>" (object->string scan)))
       (save-hdf5 (in "bad.h5") `(("kspace" . ,(fft2 wide)) ("ismrmrd_header" . "no <XML")))
       (test-error-matching "a header that is none" "is no XML" (load-scan (in "bad.h5")))
       (save-hdf5 (in "bad.h5") `(("kspace" . ,(fft2 wide)) ("mask" . ,(tensor-zeros '(5)))))
       (test-error-matching "another mask" "mask: expected 6 columns" (load-scan (in "bad.h5")))
       (when (python-has? "numpy" "h5py")
         ;; Columns 5, 4, ... of two slices, the last one twice (its mean counts); a noise scan; one line reversed.
         (save-npy (in "k.npy") (fft2 wide))
         (save-text (in "header.xml") header)
         (apply run-python folder
                (append ismrmrd-writer
                        '("k = np.load('k.npy')"
                          "add(np.full((3, 8), 7 + 1j, 'c8'), flags=1 << 18)"
                          "for s in range(2):"
                          "    for c in (5, 4, 2, 1, 0):"
                          "        add(k[s, :, ::-1, c] if c == 4 else k[s, :, :, c], c, s, (1 << 21) if c == 4 else 0)"
                          "    add(3 * k[s, :, :, 0], 0, s, average=1)"
                          "    add(0 * k[s, :, :, 0] + 99, 3, s, flags=1 << 22)"
                          "write('scan.h5', open('header.xml').read())")))
         (chmod (in "scan.h5") #o444)
         (let* ((scan (load-scan (in "scan.h5") #:oversampled? #t))
                (got (raw-scan-kspace scan)) (wanted (fft2 wide))
                (column (lambda (t c) (tensor-copy (tensor-slice t 3 c (1+ c))))))
           (test-equal "ISMRMRD" '(ismrmrd (2 3 8 6) (1.0 1.0 1.0 0.0 1.0 1.0) (3 8))
             (list (raw-scan-source scan) (raw-scan-shape scan) (tensor->list (raw-scan-mask scan))
                   (tensor-shape (raw-scan-noise scan))))
           (for-each (lambda (c) (test-assert (format #f "column ~a" c) (same? (column wanted c) (column got c))))
                     '(1 2 4 5))
           (test-equal "averages" #t (same? (tensor* 2 (column wanted 0)) (column got 0)))
           (test-equal "a navigator is none" 0.0 (tensor->number (tensor-max (tensor-abs (column got 3)))))
           (test-equal "without oversampling" '(2 3 4 6) (raw-scan-shape (load-scan (in "scan.h5"))))
           (test-error-matching "another contrast" "has (0), got 1" (load-scan (in "scan.h5") #:contrast 1)))
         (let ((before (read-bytes (in "scan.h5"))))
           (raw-scan-kspace (load-scan (in "scan.h5")) 0)
           (test-equal "which is not written to" before (read-bytes (in "scan.h5"))))
         (test-assert "damaged" (try-damaged (in "bad.h5") (read-bytes (in "scan.h5"))
                                             (lambda (path) (raw-scan-kspace (load-scan path) 0)))))))

   (test-group "scans encoded in three dimensions"
     ;; k-space of a slab (coils z x y); slices are then positions along x.
     (define slab (random-normal '(2 4 8 6) 9 0 'c64))
     (define (along axis transform kspace)
       ;; TRANSFORM along one AXIS of KSPACE.
       (let* ((shape (tensor-shape kspace)) (order (append (delete axis (iota 4)) (list axis)))
              (turned (tensor-copy (tensor-transpose kspace order))))
         (tensor-copy
          (tensor-transpose (tensor-reshape (transform (tensor-reshape turned (list (quotient (tensor-count kspace) (list-ref shape axis))
                                                                                     (list-ref shape axis) 1)))
                                            (tensor-shape turned))
                            (map (lambda (k) (list-index (lambda (o) (= o k)) order)) (iota 4))))))
     (define wanted (tensor-copy (tensor-transpose (along 2 ifft2 slab) '(2 0 3 1)))) ; (x coils y z)
     (define (error-of a b) (tensor->number (tensor-max (tensor-abs (tensor- a b)))))
     (save-cfl (in "slab.cfl") (tensor-transpose slab '(2 3 1 0)))
     (test-equal "BART" '(8 2 6 4) (raw-scan-shape (load-scan (in "slab.cfl"))))
     (test-assert "its slices" (< (error-of wanted (raw-scan-kspace (load-scan (in "slab.cfl")))) 1e-5))
     (save-cfl (in "stack.cfl") (tensor-transpose y '(1 2 0)) '(0 1 13))
     (test-equal "BART's slices" '(3 1 6 8) (raw-scan-shape (load-scan (in "stack.cfl"))))
     (save-cfl (in "maps.cfl") (tensor-transpose y '(1 2 0)) '(0 1 4))
     (test-error-matching "sets of maps are neither" "axes 0 to 3 and 13" (load-scan (in "maps.cfl")))
     (when (python-has? "numpy" "h5py")
       (save-npy (in "slab.npy") slab)
       (apply run-python folder
              (append ismrmrd-writer
                      '("k = np.load('slab.npy')"
                        "for z in range(4):"
                        "    for y in range(6): add(k[:, z, :, y], y, step2=z)"
                        "write('slab.h5', '<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>8</x><y>6</y><z>4</z></matrixSize></encodedSpace></encoding></ismrmrdHeader>')"
                        "rows.clear(); t = np.arange(5 * 8 * 2).reshape(5, 8, 2) / 100"
                        "for s in range(5): add(k[:, 0, :, s], s, traj=t[s])"
                        "write('radial.h5', '<ismrmrdHeader><encoding><trajectory>radial</trajectory></encoding></ismrmrdHeader>')"
                        "np.save('t.npy', t.astype('f4'))")))
       (test-equal "ISMRMRD" '(8 2 6 4) (raw-scan-shape (load-scan (in "slab.h5"))))
       (test-assert "its slices" (< (error-of wanted (raw-scan-kspace (load-scan (in "slab.h5")))) 1e-5))
       (let ((scan (load-scan (in "radial.h5"))))
         (test-equal "along a trajectory" '(1 2 5 8) (raw-scan-shape scan))
         (test-assert "its samples"
           (same? (tensor-copy (tensor-transpose
                                (tensor-reshape (tensor-copy (tensor-slice (tensor-slice slab 1 0 1) 3 0 5)) '(2 8 5))
                                '(0 2 1)))
                  (raw-scan-kspace scan 0)))
         (test-assert "and where they lie" (same? (load-npy (in "t.npy")) (raw-scan-trajectory scan))))))))


(finish-tests)
