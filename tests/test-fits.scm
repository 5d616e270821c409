;;; test-fits.scm -- FITS files: every type of number, scaled and blank pixels, cubes, several units, header cards, damage;
;;; and that no name of a file is anything but a name.
;;;
;;; Files are put together here by hand, card by card; with Debian's astropy they are tried both ways too.

(use-modules (srfi srfi-1)
             (srfi srfi-11)
             (rnrs bytevectors)
             (harness)
             (files)
             (tempera base errors)
             (tempera data conversion) (tempera data file-info)
             (tempera file fits) (tempera file formats) (tempera file paths) (tempera file programs)
             (tempera tensor primitives) (tempera tensor tensors))

(start-tests "FITS")

;;; --- Files made by hand --------------------------------------------------------------

(define (card keyword value)
  (string-pad-right (format #f "~a= ~a" (string-pad-right keyword 8)
                            (if (string? value) value (string-pad (format #f "~a" value) 20)))
                    80))

(define (padded bytes with)
  (let ((whole (make-bytevector (* 2880 (quotient (+ (bytevector-length bytes) 2879) 2880)) with)))
    (bytevector-copy! bytes 0 whole 0 (bytevector-length bytes))
    whole))

(define (joined . parts)
  (let ((whole (make-bytevector (apply + (map bytevector-length parts)))))
    (fold (lambda (part at) (bytevector-copy! part 0 whole at (bytevector-length part)) (+ at (bytevector-length part)))
          0 parts)
    whole))

(define (header . cards)
  (padded (string->utf8 (string-concatenate (append cards (list (string-pad-right "END" 80))))) 32))

(define (image-header first bitpix lengths . more)
  (apply header (append (list first (card "BITPIX" bitpix) (card "NAXIS" (length lengths)))
                        (map (lambda (k n) (card (format #f "NAXIS~a" (1+ k)) n)) (iota (length lengths)) lengths)
                        (if (string-prefix? "XTENSION" first) (list (card "PCOUNT" 0) (card "GCOUNT" 1)) '())
                        more)))

(define simple (card "SIMPLE" "                   T"))
(define extension (card "XTENSION" "'IMAGE   '"))

(define (numbers bitpix . values)
  ;; VALUES as FITS has them, big-endian.
  (let* ((size (quotient (abs bitpix) 8)) (bytes (make-bytevector (* size (length values)))))
    (for-each (lambda (k v)
                (case bitpix
                  ((8) (bytevector-u8-set! bytes k v))
                  ((16) (bytevector-s16-set! bytes (* 2 k) v (endianness big)))
                  ((32) (bytevector-s32-set! bytes (* 4 k) v (endianness big)))
                  ((64) (bytevector-s64-set! bytes (* 8 k) v (endianness big)))
                  ((-32) (bytevector-ieee-single-set! bytes (* 4 k) v (endianness big)))
                  ((-64) (bytevector-ieee-double-set! bytes (* 8 k) v (endianness big)))))
              (iota (length values)) values)
    (padded bytes 0)))

(call-with-temporary-directory
 (lambda (folder)
   (define (in name) (string-append folder "/" name))
   (define (put name . parts)
     (write-bytes (in name) (apply joined parts))
     (in name))
   (define (pixels path . options) (tensor->list (apply load-fits path options)))
   (define picture (random-normal '(5 7) 1 0))

   (test-group "types"
     (for-each (lambda (bitpix)
                 (test-equal (format #f "BITPIX ~a" bitpix) '(1.0 2.0 3.0 4.0 5.0 100.0)
                   (pixels (put "a.fits" (image-header simple bitpix '(3 2)) (numbers bitpix 1 2 3 4 5 100)))))
               '(8 16 32 64 -32 -64))
     (test-equal "the last axis is NAXIS1" '(2 3)
       (tensor-shape (load-fits (put "a.fits" (image-header simple 8 '(3 2)) (numbers 8 1 2 3 4 5 6)))))
     (test-equal "scaled" '(5.5 3.0)
       (pixels (put "a.fits" (image-header simple 16 '(2) (card "BSCALE" 0.5) (card "BZERO" 5)) (numbers 16 1 -4))))
     (test-equal "unsigned by BZERO" '(65535.0 0.0)
       (pixels (put "a.fits" (image-header simple 16 '(2) (card "BZERO" 32768) (card "BSCALE" 1)) (numbers 16 32767 -32768))))
     (let ((blank (put "blank.fits" (image-header simple 32 '(2 1) (card "BLANK" -99)) (numbers 32 7 -99)))
           (nan (put "nan.fits" (image-header simple -32 '(2 1)) (numbers -32 7 +nan.0))))
       (for-each (lambda (name path)
                   (test-assert name (nan? (second (pixels path))))
                   (test-equal (string-append name ", as 0 when asked to") '(7.0 0.0) (pixels path #:nan-is-zero? #t))
                   (test-equal (string-append name ", by load-image") '(7.0 0.0) (tensor->list (load-image path #:nan-is-zero? #t))))
                 '("BLANK is NaN" "NaN is NaN") (list blank nan)))
     (test-error-matching "beyond float32" "beyond the"
       (load-fits (put "a.fits" (image-header simple -64 '(1)) (numbers -64 1e300)))))

   (test-group "shapes"
     (test-equal "a cube" '(2 2 3)
       (tensor-shape (load-fits (put "cube.fits" (image-header simple 8 '(3 2 2)) (apply numbers 8 (iota 12))))))
     (test-equal "axes of one pixel are left out of images" '(2 3)
       (tensor-shape (load-image (put "radio.fits" (image-header simple 8 '(3 2 1 1)) (numbers 8 1 2 3 4 5 6)))))
     (test-error-matching "more axes than a tensor has" "at most 8 axes, got 9"
       (load-fits (put "a.fits" (image-header simple 8 '(1 1 1 1 1 1 1 1 1)) (numbers 8 1))))
     (let ((path (put "many.fits" (image-header simple 8 '() (card "EXTEND" "                   T"))
                      (image-header extension 16 '(2)) (numbers 16 10 20)
                      (image-header extension -32 '(2 1)) (numbers -32 0.5 1.5))))
       (test-equal "the first unit with an image" '(10.0 20.0) (pixels path))
       (test-equal "by number" '(0.5 1.5) (pixels path #:hdu 2))
       (test-equal "by name" '(0.5 1.5) (tensor->list (load-image (string-append path ":/2"))))
       (test-equal "what it holds" '(("1" integer 2 (2)) ("2" real 4 (1 2))) (file-items 'fits path))
       (test-equal "by info" '(("1" "16-bit integers" (2)) ("2" "32-bit floats" (1 2))) (assq-ref (file-info path) 'arrays))
       (test-error-matching "no image in it" "expected an image in header-data unit 0, got none" (load-fits path #:hdu 0))
       (test-error-matching "no such unit" "hdu: expected 0 to 2, got 3" (load-fits path #:hdu 3))
       (test-error-matching "no number" "expected the number of a header-data unit" (load-fits (string-append path ":/SCI")))))
   (test-error-matching "FITS without an image" "expected a FITS file with an image, got one without"
     (load-fits (put "empty.fits" (image-header simple 8 '()))))
   (test-error-matching "an axis of no pixels" "expected a FITS file with an image"
     (load-fits (put "empty.fits" (image-header simple 8 '(0)))))
   (test-error-matching "no FITS" "expected a FITS file" (begin (save-npy (in "a.fits.npy") picture)
                                                                (rename-file (in "a.fits.npy") (in "npy.fits"))
                                                                (load-fits (in "npy.fits"))))
   (test-error-matching "more than is there" "promises"
     (load-fits (put "a.fits" (image-header simple -64 '(100000 100000)) (numbers -64 1))))

   (test-group "headers"
     (let* ((cards '("CTYPE1  = 'RA---TAN'           / projection" "CRVAL1  =             150.1163" "CDELT1  =           -4.83D-3 / degrees"
                     "OBJECT  = 'O''Neill''s field'" "FLAG    =                    T" "COMMENT a word = another" "BUNIT   = 'Jy/beam '"))
            (path (in "cards.fits")))
       (save-fits path picture #:cards (append '("BITPIX  =                    8" "NAXIS1  =                  999") cards) #:note "by hand")
       (let-values (((image kept) (load-fits path)))
         (test-assert "the numbers" (same? picture image))
         (test-equal "the cards, but those of shape and type" (append cards '("HISTORY by hand")) kept)
         (for-each (lambda (keyword value) (test-equal keyword value (fits-value kept keyword)))
                   '("CTYPE1" "crval1" "CDELT1" "OBJECT" "FLAG" "BUNIT" "CRVAL2")
                   '("RA---TAN" 150.1163 -4.83e-3 "O'Neill's field" #t "Jy/beam" #f)))
       (convert-file path (in "copy.fits"))
       (test-equal "another FITS file has them too" 150.1163
         (let-values (((_ kept) (load-fits (in "copy.fits")))) (fits-value kept "CRVAL1"))))
     (test-error-matching "a card that is too long" "lines of up to 80 characters"
       (save-fits (in "a.fits") picture #:cards (list (make-string 81 #\x))))
     (test-error-matching "no text" "cards: expected a list of strings" (save-fits (in "a.fits") picture #:cards '(1)))
     (test-error-matching "complex" "expected f32 with pixels" (save-fits (in "a.fits") (random-normal '(2 2) 1 0 'c64)))
     (test-error-matching "no tensor" "tensor: expected a tensor" (save-fits (in "a.fits") 1)))

   (test-group "names"
     ;; Each means something to cfitsio.
     (save-fits (in "a.fits") picture)
     (let ((before (getcwd)))
       (chdir folder)
       (for-each (lambda (name)
                   (test-error-matching name "No such file" (load-fits name)))
                 '("a.fits[0]" "a.fits[1:2,1:2]" "a.fits+0" "-" "stdin" "| touch piped" "a.fits(b.fits)"))
       (for-each (lambda (name)
                   (test-error-matching name "expected the number of a header-data unit" (load-fits name)))
                 '("file://a.fits" "mem://" "http://localhost/a.fits" "root://a.fits" "shmem://h1"))
       (test-assert "nothing was run" (not (file-exists? "piped")))
       (for-each (lambda (name)
                   (save-fits name picture)
                   (test-assert (string-append "written as " name) (same? picture (load-fits name))))
                 '("b.fits[0]" "!c.fits" "d.fits(e.fits)" "f+1"))
       (chdir before)))

   (test-group "damage"
     (let ((whole (read-bytes (in "cards.fits"))) (many (read-bytes (in "many.fits"))))
       (test-assert "cut and changed" (try-damaged (in "damaged.fits") whole load-fits))
       (test-assert "of several units" (try-damaged (in "damaged.fits") many (lambda (path) (file-items 'fits path))))
       (test-error-matching "a table without its number of fields" "damaged: the header of a table"
         (load-fits (test-file "fuzz/seeds/fits/big-table.fits")))))

   (test-group "gzip"
     (if (program-exists? "gzip")
         (begin
           (system* "gzip" "-k" (in "cards.fits"))
           (test-assert "packed" (same? picture (load-image (in "cards.fits.gz"))))
           (test-assert "damaged" (try-damaged (in "damaged.fits.gz") (read-bytes (in "cards.fits.gz")) load-fits)))
         (format #t "left out, since there is no gzip~%")))

   (when (python-has? "astropy" "numpy")
     (test-group "astropy"
       (run-python folder
                   "import numpy, astropy.io.fits as fits"
                   "x = numpy.arange(24, dtype='f4').reshape(4, 6)"
                   "fits.PrimaryHDU(x).writeto('py.fits')"
                   "fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU((x * 10).astype('i4'))]).writeto('tiles.fits')")
       (test-equal "its file" (map exact->inexact (iota 24)) (pixels (in "py.fits")))
       (test-error-matching "compressed tiles" "compressed in tiles: funpack" (load-fits (in "tiles.fits")))
       (test-equal "ours" "-32 (5, 7) 150.1163 O'Neill's field"
         (run-python folder
                     "import astropy.io.fits as fits"
                     "h = fits.open('cards.fits'); h.verify('exception')"
                     "print(h[0].header['BITPIX'], h[0].data.shape, h[0].header['CRVAL1'], h[0].header['OBJECT'])"))))))

(finish-tests)
