;;; headers.scm -- the facts of an ISMRMRD header, which fastMRI's files have too: matrices, fields of view.

(define-module (tempera data headers)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 match)
  #:use-module (sxml simple)
  #:use-module (tempera base errors)
  #:export (header-facts))

(define longest-header (expt 2 20))

(define (child node name)
  ;; The first child NAME of the SXML NODE, or #f.
  (and node (find (lambda (child) (and (pair? child) (eq? name (local-name (car child))))) (cdr node))))

(define (local-name name)
  ;; NAME without its namespace.
  (let* ((text (symbol->string name)) (colon (string-rindex text #\:)))
    (if colon (string->symbol (substring text (1+ colon))) name)))

(define (descend node . names)
  (fold (lambda (name node) (child node name)) node names))

(define (number-of node)
  (match node
    ((_ (? string? text)) (string->number (string-trim-both text)))
    (_ #f)))

(define (three node)
  ;; The numbers x, y and z of NODE, or #f.
  (let ((numbers (map (lambda (name) (number-of (child node name))) '(x y z))))
    (and node (every (lambda (n) (and n (real? n) (>= n 0))) numbers) numbers)))

(define (header-facts who path xml)
  "What the ISMRMRD header XML, text, of the file PATH says, an alist of what is there of: encoded and
recon, matrix lengths (x y z); encoded-view and recon-view, the fields of view in mm (x y z);
trajectory, a string; center-1 and center-2, the encoding steps where k-space has its middle; coils.
Errors are of WHO.
Example: (header-facts 'f \"a.h5\" \"<ismrmrdHeader><encoding><trajectory>radial</trajectory></encoding></ismrmrdHeader>\") => ((trajectory . \"radial\"))"
  (check-that (< (string-length xml) longest-header) who "~a: expected a header of at most ~a characters, got ~a"
              path longest-header (string-length xml))
  (let* ((top (catch-errors
                (lambda () (xml->sxml xml #:trim-whitespace? #t))
                (lambda _ (complain who "~a: its header is no XML" path))))
         (header (child top 'ismrmrdHeader))
         (encoding (child header 'encoding))
         (limits (child encoding 'encodingLimits)))
    (filter cdr
            `((encoded . ,(three (descend encoding 'encodedSpace 'matrixSize)))
              (encoded-view . ,(three (descend encoding 'encodedSpace 'fieldOfView_mm)))
              (recon . ,(three (descend encoding 'reconSpace 'matrixSize)))
              (recon-view . ,(three (descend encoding 'reconSpace 'fieldOfView_mm)))
              (trajectory . ,(match (child encoding 'trajectory)
                               ((_ (? string? text)) text)
                               (_ #f)))
              (center-1 . ,(number-of (descend limits 'kspace_encoding_step_1 'center)))
              (center-2 . ,(number-of (descend limits 'kspace_encoding_step_2 'center)))
              (coils . ,(number-of (descend header 'acquisitionSystemInformation 'receiverChannels)))))))
