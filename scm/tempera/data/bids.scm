;;; bids.scm -- whose a volume is, and what it shows, by the names of its file and folders.
;;;
;;; As the Brain Imaging Data Structure has them, such as sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz,
;;; with participants.tsv and dataset_description.json beside them.
;;; Source: Gorgolewski et al. 2016; https://bids-specification.readthedocs.io

(define-module (tempera data bids)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module ((ice-9 textual-ports) #:select (get-string-all))
  #:use-module (tempera file formats)
  #:use-module (tempera file values)
  #:export (bids-entity bids-contrast bids-names bids-about nifti-files image-of-head?))

(define (path-parts path)
  ;; The names in the absolute PATH, its last first.
  (reverse (remove string-null? (string-split (if (absolute-file-name? path) path
                                                  (string-append (getcwd) "/" path))
                                              #\/))))

(define (bids-entity path prefix)
  "What follows PREFIX, \"sub-\" or \"ses-\", in a part of PATH, or #f.
Example: (bids-entity \"sub-01/anat/sub-01_T1w.nii\" \"sub-\") => \"01\""
  (any (lambda (word)
         (and (string-prefix? prefix word) (not (string=? prefix word))
              (string-drop word (string-length prefix))))
       (append (string-split (without-ending (first (path-parts path))) #\_) (cdr (path-parts path)))))

(define (bids-contrast path)
  "The contrast by the suffix of PATH, such as T1w, or #f.
Example: (bids-contrast \"sub-01_T1w.nii\") => \"T1\""
  (let ((suffix (last (string-split (without-ending (basename path)) #\_))))
    (cond ((member suffix '("FLAIR" "PD" "PDT2" "T2star" "inplaneT1" "inplaneT2" "UNIT1" "FLASH")) suffix)
          ((member suffix '("T1w" "T2w" "PDw" "T2starw" "MTw")) (string-drop-right suffix 1))
          (else #f))))

(define (bids-names path prefix)
  "What the volume in PATH could be called, each with PREFIX, a list, the best first.  Where its
person is known it is told apart by that; else by the folders that it is in."
  (match (path-parts path)
    ((file . folders)
     (let ((person (bids-entity path "sub-")) (session (bids-entity path "ses-")) (stem (without-ending file)))
       (if person
           (list (string-append
                  prefix
                  (if (string-prefix? "sub-" stem) stem
                      (string-join `(,(string-append "sub-" person)
                                     ,@(if session (list (string-append "ses-" session)) '())
                                     ,stem)
                                   "_"))))
           (map (lambda (k)
                  (string-append prefix (string-join (reverse (cons file (take folders k))) "/")))
                (iota (1+ (min 3 (length folders))))))))))

;; Folders of BIDS that have other things than images of a head, and suffixes of what is derived.
(define other-folders '("func" "dwi" "fmap" "perf" "pet" "meg" "eeg" "ieeg" "nirs" "micr" "mrs" "beh"
                        "derivatives" "sourcedata"))
(define other-suffixes '("mask" "dseg" "probseg" "defacemask" "label"))

(define (nifti-files folder)
  "The NIfTI files in FOLDER, at any depth, sorted.  Links are followed, as data sets under git-annex
have them; one that leads nowhere is listed too, so that reading it says so."
  (define (with-nifti path result)
    (if (eq? 'nifti (file-format path)) (cons path result) result))
  (sort (file-system-fold (const #t)
                          (lambda (path stat result) (with-nifti path result))
                          (lambda (path stat result) result)
                          (lambda (path stat result) result)
                          (lambda (path stat result) result)
                          (lambda (path stat errno result) (with-nifti path result))
                          '() folder stat)
        string<?))

(define (image-of-head? path folder)
  "Whether the file PATH below FOLDER may be an image of a head, by the names of it and of the folders
between them."
  (not (or (any (lambda (part) (member part other-folders))
                (string-split (string-drop path (string-length folder)) #\/))
           (member (last (string-split (without-ending (basename path)) #\_)) other-suffixes))))

;;; --- What lies beside -----------------------------------------------------------

(define (beside path root name)
  ;; The file NAME in the folder of PATH or the nearest around it, up to ROOT; or #f.
  (let loop ((folder (dirname path)))
    (let ((file (string-append folder "/" name)))
      (cond ((file-exists? file) file)
            ((or (string=? folder root) (string=? folder (dirname folder))) #f)
            (else (loop (dirname folder)))))))

(define (of-participant file person)
  ;; The row for PERSON in the participants.tsv FILE: from column to text.
  (let* ((lines (remove string-null?
                        (map (lambda (line) (string-trim-right line #\return))
                             (string-split (call-with-input-file file get-string-all #:encoding "UTF-8")
                                           #\newline))))
         (cells (lambda (line) (string-split line #\tab)))
         (columns (if (pair? lines) (cells (first lines)) '())))
    (or (any (lambda (line)
               (let ((row (map cons columns (cells line))))
                 (and (equal? (assoc-ref row "participant_id") (string-append "sub-" person)) row)))
             (filter (lambda (line) (= (length (cells line)) (length columns))) lines))
        '())))

(define (bids-about path root)
  "Two values, of the volume in PATH below the folder ROOT: its licence and its source, as
participants.tsv has them of its person (columns licence or license, and source), else as License and
Name in dataset_description.json; #f where neither says."
  (let* ((table (beside path root "participants.tsv"))
         (about (beside path root "dataset_description.json"))
         (person (bids-entity path "sub-"))
         (row (if (and table person) (of-participant table person) '()))
         (whole (if about (load-json about) '()))
         (text (lambda (value) (and (string? value) (not (string-null? value)) value))))
    (values (or (text (assoc-ref row "licence")) (text (assoc-ref row "license"))
                (text (assoc-ref whole "License")))
            (or (text (assoc-ref row "source")) (text (assoc-ref whole "Name"))))))
