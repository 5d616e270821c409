;;; test-volumes.scm -- NIfTI, MGH and TIFF: round trips, files of nibabel and Pillow both ways, files that
;;; are cut, damaged or claim too much.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (rnrs bytevectors)
             (harness)
             (files)
             (tempera file formats) (tempera file pictures) (tempera file volumes)
             (tempera tensor primitives) (tempera tensor tensors))

(start-tests "volumes")

(define affine '((-1.5 0.25 0.0 10.0) (0.25 1.25 0.5 -20.0) (0.0 -0.75 3.0 5.0)))

(define (about load path . options)
  (call-with-values (lambda () (apply load path options)) (lambda (tensor . rest) rest)))

(define (same-affine? a b tolerance)
  (every (lambda (x y) (< (abs (- x y)) tolerance)) (concatenate a) (concatenate b)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define volume (random-normal '(4 5 6) 1 0))
   (define complex (random-normal '(4 5 6) 2 0 'c64))
   (define series (tensor-tabulate '(3 4 5 6) (lambda (t k j i) (+ (* 120 t) (* 30 k) (* 6 j) i))))
   (define (time k) (tensor-reshape (tensor-copy (tensor-slice series 0 k (1+ k))) '(4 5 6)))
   (define (damaged load ending . files)
     (every (lambda (file) (try-damaged (in (string-append "bad" ending)) (read-bytes (in file)) load)) files))

   (test-group "NIfTI"
     (for-each
      (lambda (name)
        (save-nifti (in name) volume #:affine affine #:note "a test")
        (test-assert name (same? volume (load-nifti (in name))))
        (test-equal (string-append name ": its place") affine (third (about load-nifti (in name))))
        (test-equal (string-append name ": directions") "SAL" (second (about load-nifti (in name)))))
      '("a.nii" "a.nii.gz"))
     (test-assert "packed" (< (bytevector-length (read-bytes (in "a.nii.gz")))
                              (bytevector-length (read-bytes (in "a.nii")))))
     (test-equal "the same bytes again" (read-bytes (in "a.nii.gz"))
       (begin (save-nifti (in "b.nii.gz") volume #:affine affine #:note "a test") (read-bytes (in "b.nii.gz"))))
     (save-nifti (in "c.nii") complex #:spacing '(3 2 1))
     (test-assert "complex" (same? complex (load-nifti (in "c.nii"))))
     (test-equal "spacing alone says no place" '((3.0 2.0 1.0) "???" #f) (about load-nifti (in "c.nii")))
     (save-nifti (in "placed.nii") complex #:affine affine)
     (test-assert "complex, upright as the real one"
       (let ((part (lambda (t) (save-nifti (in "part.nii") t #:affine affine) (load-image (in "part.nii")))))
         (and (same? (part (tensor-real complex)) (tensor-real (load-image (in "placed.nii"))))
              (same? (part (tensor-imag complex)) (tensor-imag (load-image (in "placed.nii")))))))
     (save-nifti (in "t.nii.gz") series #:affine affine #:spacing '(2.5 1 1 1))
     (test-assert "several volumes" (same? series (load-nifti (in "t.nii.gz"))))
     (test-equal "their spacing" 2.5 (caar (about load-nifti (in "t.nii.gz"))))
     (test-assert "one of them" (same? (time 2) (load-nifti (in "t.nii.gz") #:volume 2)))
     (test-equal "and its spacing" 3 (length (car (about load-nifti (in "t.nii.gz") #:volume 2))))
     (test-error-matching "none of them" "volume: expected 0 to 2, got 3" (load-nifti (in "t.nii.gz") #:volume 3))
     (test-error-matching "which?" "several volumes; say which, from 0 to 2" (load-volume (in "t.nii.gz")))
     (test-equal "upright" '(4 5 6) (tensor-shape (load-volume (in "t.nii.gz") #:volume 1)))
     (test-equal "of an image too" '(4 5 6) (tensor-shape (load-image (in "t.nii.gz") #:volume 1)))
     (save-npy (in "t.npy") series)
     (test-assert "of other formats" (same? (time 1) (load-image (in "t.npy") #:volume 1)))
     (test-error-matching "and none" "volume: expected 0 to 2, got 7" (load-image (in "t.npy") #:volume 7))
     (save-nifti (in "long.nii") (random-normal '(2 40000) 1 0))
     (test-assert "a long axis is NIfTI-2's" (and (same? (random-normal '(2 40000) 1 0) (load-nifti (in "long.nii")))
                                                 (= 540 (bytevector-u16-native-ref (read-bytes (in "long.nii")) 0))))
     (test-error-matching "no axes" "expected 1 to 7 axes" (save-nifti (in "no.nii") (tensor-zeros '())))
     (test-error-matching "no voxels" "and voxels" (save-nifti (in "no.nii") (tensor-zeros '(3 0 2))))
     (test-error-matching "spacing" "spacing: expected a positive number for each of 3 axes"
       (save-nifti (in "no.nii") volume #:spacing '(1 1)))
     (test-error-matching "affine" "affine: expected three rows of four" (save-nifti (in "no.nii") volume #:affine '(1 2)))
     (test-error-matching "a flat one" "no axis without direction"
       (save-nifti (in "no.nii") volume #:affine '((1 0 0 0) (0 1 0 0) (0 0 0 0))))
     (test-error-matching "no folder" "No such file" (save-nifti (in "no/no.nii") volume))
     (test-error-matching "a full disk" "No space left" (save-nifti "/dev/full" volume))
     (test-assert "nothing is left of it" (not (file-exists? (in "no.nii"))))
     (test-assert "damaged" (damaged load-nifti ".nii" "a.nii" "long.nii" "c.nii"))
     (test-assert "damaged and packed" (damaged load-nifti ".nii.gz" "a.nii.gz"))
     (when (python-has? "numpy" "nibabel")
       (save-npy (in "v.npy") volume)
       (save-npy (in "c.npy") complex)
       (run-python folder "import numpy as np, nibabel as nib"
                   (format #f "A = np.array([[~a], [0, 0, 0, 1]])"
                           (string-join (map (lambda (row) (string-join (map number->string row) ",")) affine) "],["))
                   "v = np.load('v.npy').T; c = np.load('c.npy').T; s = np.load('t.npy').T"
                   "nib.save(nib.Nifti1Image(v, A), 'n1.nii.gz'); nib.save(nib.Nifti2Image(v, A), 'n2.nii')"
                   "nib.save(nib.Nifti1Pair(v, A), 'n.img')"
                   "nib.save(nib.Nifti2Image(c, A), 'c64.nii.gz'); nib.save(nib.Nifti1Image(c.astype('c16') * 2, A), 'c128.nii')"
                   "i = nib.Nifti2Image(s.astype('i2'), A); i.header.set_slope_inter(2, -1); nib.save(i, 's.nii.gz')"
                   "nib.save(nib.Nifti1Image(s.astype('i8'), A, dtype='int64'), 'i8.nii')"
                   "nib.save(nib.Nifti1Image(s.astype('i2'), A, nib.Nifti1Header(endianness='>')), 'be1.nii')"
                   "nib.save(nib.Nifti2Image(s, A, nib.Nifti2Header(endianness='>')), 'be2.nii.gz')")
       (for-each (lambda (name)
                   (test-assert name (same? volume (load-nifti (in name))))
                   (test-assert (string-append name ": its place")
                     (same-affine? affine (third (about load-nifti (in name))) 1e-12)))
                 '("n1.nii.gz" "n2.nii" "n.img" "n.hdr"))
       (test-assert "complex64" (same? complex (load-nifti (in "c64.nii.gz"))))
       (test-assert "complex128" (same? (tensor* 2 complex) (load-nifti (in "c128.nii"))))
       (test-assert "slope and intercept" (same? (tensor- (tensor* 2 series) 1) (load-nifti (in "s.nii.gz"))))
       (for-each (lambda (name) (test-assert name (same? series (load-nifti (in name)))))
                 '("i8.nii" "be1.nii" "be2.nii.gz"))
       (test-equal "nibabel reads ours"
         "True True True True 0.0 True True b'a test' Nifti2Image (40000, 2) 2.5"
         (run-python folder "import numpy as np, nibabel as nib"
                     "load = lambda f: np.asanyarray(nib.load(f).dataobj).T"
                     "v, c, t = (np.load(f + '.npy') for f in 'vct')"
                     "print(*[(load(f) == v).all() for f in ('a.nii', 'a.nii.gz')], (load('c.nii') == c).all(), (load('t.nii.gz') == t).all(),"
                     "      np.abs(nib.load('a.nii').affine - nib.load('n2.nii').affine).max(), load('c.nii').dtype == 'c8',"
                     "      (load('placed.nii') == c).all(), nib.load('a.nii').header['descrip'].item(),"
                     "      type(nib.load('long.nii')).__name__, nib.load('long.nii').shape,"
                     "      float(nib.load('t.nii.gz').header.get_zooms()[3]))"))))

   (test-group "a volume's place"
     (test-equal "by its directions" '((-1 0 0 2) (0 -1 0 2) (0 0 -2 2)) (volume-affine '(3 5 5) '(2 1 1) "IPL"))
     (for-each (lambda (letters)
                 (save-nifti (in "turned.nii") volume #:affine (volume-affine '(4 5 6) '(3 2 1.5) letters))
                 (test-equal letters (list '(3.0 2.0 1.5) letters) (take (about load-nifti (in "turned.nii")) 2)))
               '("SAR" "IPL" "LSP" "AIR"))
     (test-error-matching "no directions" "one of each of LR, AP and IS" (volume-affine '(4 5 6) '(1 1 1) "SSR"))
     (test-error-matching "two axes" "expected three numbers each" (volume-affine '(4 5) '(1 1 1) "SAR")))

   (test-group "MGH"
     (for-each
      (lambda (name)
        (save-mgh (in name) volume #:affine affine)
        (test-assert name (same? volume (load-mgh (in name))))
        (test-equal (string-append name ": directions") "SAL" (second (about load-mgh (in name))))
        (test-assert (string-append name ": its place")
          (same-affine? affine (third (about load-mgh (in name))) 1e-5)))
      '("a.mgh" "a.mgz"))
     (save-mgh (in "t.mgz") series)
     (test-assert "several volumes" (same? series (load-mgh (in "t.mgz"))))
     (test-assert "one of them" (same? (time 1) (load-mgh (in "t.mgz") #:volume 1)))
     (test-equal "no place" '((1.0 1.0 1.0) "???" #f) (about load-mgh (in "t.mgz") #:volume 1))
     (test-equal "upright" '(4 5 6) (tensor-shape (load-volume (in "a.mgz"))))
     (test-error-matching "complex" "expected f32 of two to four axes" (save-mgh (in "no.mgz") complex))
     (test-error-matching "not MGH" "expected an MGH file, got an npy file"
       (begin (save-npy (in "b.mgh") series) (load-mgh (in "b.mgh"))))
     (test-error-matching "an empty file" "got an empty file"
       (begin (write-bytes (in "b.mgz") #vu8()) (load-mgh (in "b.mgz"))))
     (let ((bytes (read-bytes (in "a.mgh"))))
       (define (claims at number)
         (let ((other (bytevector-copy bytes)))
           (bytevector-s32-set! other at number (endianness big))
           (write-bytes (in "b.mgh") other)
           (load-mgh (in "b.mgh"))))
       (test-error-matching "more than is there" "truncated: the header promises" (claims 4 1000000))
       (test-error-matching "a negative length" "axis 2: expected a positive length, got -5" (claims 8 -5))
       (test-error-matching "another type" "expected voxels of 8 to 32 bits" (claims 20 5)))
     (test-assert "damaged" (damaged load-mgh ".mgh" "a.mgh"))
     (test-assert "damaged and packed" (damaged load-mgh ".mgz" "a.mgz"))
     (when (python-has? "numpy" "nibabel")
       (save-npy (in "v.npy") volume)
       (save-npy (in "t.npy") series)
       (run-python folder "import numpy as np, nibabel as nib"
                   "A = nib.load('a.mgz').affine; v = np.load('v.npy').T; s = np.load('t.npy').T"
                   "nib.save(nib.MGHImage(v, A), 'py.mgz')"
                   "for t in ('i2', 'i4', 'f4'): nib.save(nib.MGHImage(s.astype(t), A), t + '.mgz')"
                   "nib.save(nib.MGHImage((s % 200).astype('u1'), A), 'u1.mgh'); np.save('u1.npy', (s % 200).T)")
       (test-assert "of nibabel" (same? volume (load-mgh (in "py.mgz"))))
       (test-assert "and its place" (same-affine? affine (third (about load-mgh (in "py.mgz"))) 1e-5))
       (for-each (lambda (type) (test-assert type (same? series (load-mgh (in (string-append type ".mgz"))))))
                 '("i2" "i4" "f4"))
       (test-assert "u1" (same? (load-npy (in "u1.npy")) (load-mgh (in "u1.mgh"))))
       (test-equal "nibabel reads ours" "True True True True"
         (run-python folder "import numpy as np, nibabel as nib"
                     "print(*[(np.asanyarray(nib.load(f).dataobj).T == np.load(g)).all() for f, g in (('a.mgh', 'v.npy'), ('a.mgz', 'v.npy'), ('t.mgz', 't.npy'))],"
                     "      np.abs(nib.load('a.mgz').affine - nib.load('a.nii').affine).max() < 1e-5)"))))

   (test-group "TIFF"
     (define image (tensor-reshape (tensor-copy (tensor-slice volume 0 0 1)) '(5 6)))
     (save-tiff (in "a.tif") image #:note "a test")
     (test-assert "a picture" (same? image (load-tiff (in "a.tif"))))
     (save-tiff (in "v.tiff") volume)
     (test-assert "pages" (same? volume (load-image (in "v.tiff"))))
     (test-error-matching "complex" "expected f32 (rows columns) or (pages rows columns), got c64"
       (save-tiff (in "no.tif") complex))
     (test-error-matching "not TIFF" "got an npy file" (begin (save-npy (in "b.tif") image) (load-tiff (in "b.tif"))))
     (test-error-matching "no folder" "No such file" (save-tiff (in "no/no.tif") image))
     (test-assert "nothing is left" (not (file-exists? (in "no.tif"))))
     (test-assert "damaged" (damaged load-tiff ".tif" "a.tif" "v.tiff"))
     (when (python-has? "numpy" "PIL")
       (save-npy (in "image.npy") image)
       (run-python folder "import numpy as np; from PIL import Image"
                   "p = (np.arange(9 * 11).reshape(9, 11) * 37 % 251).astype('u1'); np.save('p.npy', p)"
                   "Image.fromarray(p).save('u1.tif'); Image.fromarray(p.astype('f4')).save('f4.tif', compression='tiff_lzw')"
                   "Image.fromarray(p.astype('i4')).save('i4.tif', compression='packbits')"
                   "Image.fromarray(p.astype('u2') * 200).save('u2.tif', compression='tiff_deflate')"
                   "Image.fromarray(np.stack([p, p, p], -1)).save('grey.tif', compression='tiff_deflate')"
                   "Image.fromarray(np.stack([p, p, 250 - p], -1)).save('rgb.tif')"
                   "Image.fromarray(np.stack([p, p, p, p], -1)).save('rgba.tif')"
                   "Image.fromarray(p).save('jpeg.tif', compression='jpeg'); Image.fromarray(p > 9).save('bits.tif')"
                   "Image.fromarray(p).save('many.tif', save_all=True, append_images=[Image.fromarray(250 - p)])"
                   "Image.fromarray(p).save('mixed.tif', save_all=True, append_images=[Image.fromarray(p[:5])])")
       (let ((p (load-npy (in "p.npy"))))
         (for-each (lambda (name) (test-assert name (same? p (load-image (in (string-append name ".tif"))))))
                   '("u1" "i4" "f4" "grey" "rgba"))
         (test-assert "16 bits" (same? (tensor* 200 p) (load-image (in "u2.tif"))))
         (test-equal "colours" '(9 11 3) (tensor-shape (load-image (in "rgb.tif"))))
         (test-assert "in their order"
           (same? (tensor- 250 p) (tensor-reshape (tensor-copy (tensor-slice (load-tiff (in "rgb.tif")) 2 2 3)) '(9 11))))
         (test-assert "pages of Pillow"
           (same? (tensor- 250 p) (tensor-reshape (tensor-copy (tensor-slice (load-tiff (in "many.tif")) 0 1 2)) '(9 11)))))
       (test-error-matching "of several sizes" "page 2 is another" (load-tiff (in "mixed.tif")))
       (test-error-matching "lossy" "got compression 7" (load-tiff (in "jpeg.tif")))
       (test-error-matching "of bits" "got 1 samples of 1 bits" (load-tiff (in "bits.tif")))
       (test-assert "damaged ones of Pillow" (damaged load-tiff ".tif" "f4.tif" "u2.tif" "rgb.tif" "many.tif"))
       (test-equal "Pillow reads ours" "True a test 4 True"
         (run-python folder "import numpy as np; from PIL import Image"
                     "a = Image.open('a.tif'); v = Image.open('v.tiff'); n = v.n_frames; v.seek(2)"
                     "print((np.array(a) == np.load('image.npy')).all(), a.tag_v2[270], n, (np.array(v) == np.load('v.npy')[2]).all())"))))))

(finish-tests)
