;;; fits.scm -- FITS files, astronomy's images, and the cards of their headers.
;;;
;;; A card is a line of up to 80 characters: a keyword, "= ", a value, and a comment after "/".  Cards that say anything
;;; beside the shape and type of numbers, world coordinates among them, come with an image and go with what is made of it.

(define-module (tempera file fits)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (tempera base errors)
  #:use-module (tempera file members)
  #:use-module (tempera file volumes)
  #:use-module (tempera tensor primitives)
  #:export (load-fits save-fits fits-value load-sky-image))

(define* (load-fits path #:key (hdu #f) (nan-is-zero? #f))
  "Two values: the image in the FITS file PATH, .fits or .fits.gz, f32, and the cards of its header, strings (see
`fits-value').  It is that of the header-data unit HDU, from 0, also as FILE:/HDU, or the first that there is; numbers
of any type, with BSCALE and BZERO applied, also in compressed tiles.  Its axes are the file's reversed: NAXIS1 is the
last, so that a row follows a row, the lowest on the sky often first.  Pixels that are NaN, or BLANK, become 0 if
NAN-IS-ZERO?, and how many is said.
Example: (begin (save-fits \"a.fits\" (tensor-abs scan)) (tensor-shape (load-fits \"a.fits\"))) => (16 16)"
  (check-path 'load-fits path)
  (let*-values (((file member) (file-and-member path))
                ((hdu) (or hdu (and member (or (string->number member)
                                               (complain 'load-fits "~a: expected the number of a header-data unit \
after :/, such as ~a:/0, got ~s" path file member))))))
    (let ((image (read-fits file hdu)))
      (values (zero-for-nan path (car image) nan-is-zero?)
              (remove string-null? (string-split (cdr image) #\newline))))))

(define* (save-fits path tensor #:key (cards '()) (note ""))
  "Write TENSOR, f32, to the FITS file PATH as 32-bit floats, with CARDS, as `load-fits' gives them, in its header; those
of shape and type are its own.  NOTE, a text, goes into its history.
Example: (save-fits \"mean.fits\" (tensor-abs scan) #:cards '(\"BUNIT   = 'Jy      '\"))"
  (check-that (tensor? tensor) 'save-fits "tensor: expected a tensor, got ~s" tensor)
  (check-that (and (list? cards) (every string? cards)) 'save-fits "cards: expected a list of strings, got ~s" cards)
  (write-fits path tensor (string-join cards "\n") note))

(define (fits-value cards keyword)
  "The value that CARDS, as `load-fits' gives them, have for KEYWORD: a number, a string, #t or #f of a logical one; #f
when there is none.
Example: (fits-value '(\"CRVAL1  =             150.1163 / degrees\") \"CRVAL1\") => 150.1163"
  (check-that (and (list? cards) (every string? cards)) 'fits-value "cards: expected a list of strings, got ~s" cards)
  (check-that (string? keyword) 'fits-value "keyword: expected a string, got ~s" keyword)
  (let ((card (find (lambda (card)
                      (and (> (string-length card) 10) (string=? "= " (substring card 8 10))
                           (string-ci=? keyword (string-trim-right (substring card 0 8)))))
                    cards)))
    (and card
         (let ((value (string-trim-both (substring card 10))))
           (if (string-prefix? "'" value)
               (quoted value)
               (let ((word (string-trim-both (car (string-split value #\/)))))
                 (cond ((string=? word "T") #t)
                       ((string=? word "F") #f)
                       ;; FITS has D for an exponent too.
                       (else (string->number (string-map (lambda (c) (if (memv c '(#\D #\d)) #\e c)) word))))))))))

(define (quoted text)
  ;; The string that TEXT begins with, in apostrophes, of which two stand for one.
  (let loop ((rest (cdr (string->list text))) (so-far '()))
    (cond ((null? rest) (list->string (reverse so-far)))
          ((not (eqv? #\' (car rest))) (loop (cdr rest) (cons (car rest) so-far)))
          ((and (pair? (cdr rest)) (eqv? #\' (cadr rest))) (loop (cddr rest) (cons #\' so-far)))
          (else (string-trim-right (list->string (reverse so-far)))))))

(define (load-sky-image path)
  "The image in the FITS file PATH without axes of one pixel before its last two, such as frequency and polarisation.
Example: (begin (save-fits \"a.fits\" (tensor-reshape (tensor-abs scan) '(1 1 16 16))) (tensor-shape (load-sky-image \"a.fits\"))) => (16 16)"
  (let* ((image (load-fits path)) (shape (tensor-shape image)))
    (let trim ((shape shape))
      (if (and (> (length shape) 2) (= 1 (car shape)))
          (trim (cdr shape))
          (tensor-reshape image shape)))))
