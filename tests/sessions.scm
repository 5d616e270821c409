;;; sessions.scm -- sessions at the prompt as the documentation prints them, and what differs.
;;;
;;; A session is a block of lines `tempera> FORM', each with what it prints below it.  A line
;;; `...' there stands for any lines, a time of the clock for any time.  Numbers hold within the
;;; digits printed.  A comment of one line says otherwise (in Texinfo `@c TEXT' above a prompt,
;;; for what that prompt prints; in Markdown `<!-- TEXT -->' above a block, for all of it; there may
;;; be several):
;;;
;;;   within 5%      numbers may be off by that part, or by 0.3 if it is `within 0.3', whole ones
;;;                  too: what depends on the instruction set.
;;;   within 5%: 151 0.92    only those numbers, as they are printed.
;;;   quick FORM     FORM is evaluated in place of what takes minutes; from there on, to the end
;;;                  of the chapter, numbers are not compared.
;;;   instead FORM   FORM is evaluated in place of what needs a terminal.
;;;
;;; `./bootstrap check-manual' sets SESSIONS=whole, which evaluates all of `quick' as it is
;;; printed and compares all numbers.

(define-module (sessions)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-11)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (harness)
  #:export (texinfo-blocks markdown-blocks session-steps
            step-source step-form step-output step-within step-quick? output-differences
            test-output))

(define prompt "tempera> ")
(define (prompt? line) (string-prefix? prompt line))

(define whole-sessions? (equal? (getenv "SESSIONS") "whole"))

(define-record-type <step>
  (make-step source form output within quick?)
  step?
  (source step-source)                  ; the form as printed,
  (form step-form)                      ; and what to evaluate
  (output step-output)                  ; text, trimmed
  (within step-within)                  ; tolerances, as `same-text?' takes them
  (quick? step-quick?))                 ; whether numbers are not compared from here on

;;; --- Documents --------------------------------------------------------------------

(define (texinfo-blocks text environment)
  "The contents of each ENVIRONMENT of TEXT, without Texinfo's escapes."
  (map (lambda (m)
         (regexp-substitute/global #f "@([@{}])" (match:substring m 1) 'pre 1 'post))
       (list-matches (format #f "@~a\n(([^@]|@[^e]|@e[^n])*)@end ~a" environment environment) text)))

(define (markdown-blocks text)
  "The blocks of TEXT, indented by four, that have a prompt; a comment above one is put before
each of its prompts."
  (let loop ((lines (string-split text #\newline)) (comments '()) (block '()) (blocks '()))
    (let ((done (lambda ()
                  (if (any prompt? block)
                      (cons (string-join (reverse block) "\n") blocks)
                      blocks))))
      (match lines
        (() (reverse (done)))
        (((? (lambda (line) (string-prefix? "    " line)) line) . more)
         (let ((line (string-drop line 4)))
           (loop more comments
                 (append (list line) (if (prompt? line) comments '()) block)
                 blocks)))
        ((line . more)
         (let ((m (string-match "^<!-- (.*) -->$" line)))
           (loop more
                 (cond (m (cons (string-append "@c " (match:substring m 1)) comments))
                       ((string-null? line) comments)
                       (else '()))
                 '() (done))))))))

;;; --- Steps --------------------------------------------------------------------------

(define (read-form text) (call-with-input-string text read))

(define (read-tolerance text)
  ;; As `same-text?' takes it.
  (match (string-tokenize text (char-set-complement (string->char-set " :")))
    ((amount . those)
     (let* ((part? (string-suffix? "%" amount))
            (number (string->number (string-trim-right amount #\%))))
       (unless number (error "within: expected a number, perhaps with %, got" text))
       `(,(if part? 'part 'amount) ,(if part? (/ number 100) number) ,@those)))))

(define (session-steps block)
  "The steps of BLOCK, in order."
  ;; WITHIN, QUICK and INSTEAD are what comments have said since the last prompt.
  (let loop ((lines (string-split block #\newline)) (within '()) (quick #f) (instead #f) (steps '()))
    (match lines
      (() (reverse steps))
      (((? prompt? first) . rest)
       (let*-values
           (((mine more) (break (lambda (line) (or (prompt? line) (string-prefix? "@c " line))) rest))
            ((form output)
             (call-with-input-string
                 (string-join (cons (string-drop first (string-length prompt)) mine) "\n")
               (lambda (port)
                 (let* ((form (read port)) (output (get-string-all port)))
                   (values form (string-trim-both output)))))))
         (loop more '() #f #f
               (cons (make-step form
                                (or instead (and (not whole-sessions?) quick) form)
                                output within (and quick (not whole-sessions?)))
                     steps))))
      ((line . more)
       (match (string-match "^@c (within|quick|instead) (.*)$" line)
         (#f (loop more within quick instead steps))
         (m (let ((text (match:substring m 2)))
              (match (match:substring m 1)
                ("within" (loop more (append within (list (read-tolerance text))) quick instead steps))
                ("quick" (loop more within (read-form text) instead steps))
                ("instead" (loop more within quick (read-form text) steps))))))))))

;;; --- What differs -------------------------------------------------------------------

(define (without-times text)
  (regexp-substitute/global #f "\\b[0-9]+(:[0-9][0-9])+\\b|\\b[0-9.]+ s\\b" text 'pre "TIME" 'post))

(define (without-numbers text)
  (regexp-substitute/global #f "-?[0-9][0-9.e+-]*" text 'pre "N" 'post))

(define (same-line? wanted got within numbers?)
  (let ((wanted (without-times wanted)) (got (without-times got)))
    (if numbers?
        (same-text? wanted got within)
        (string=? (without-numbers wanted) (without-numbers got)))))

(define (same-lines? wanted got same?)
  (match (list wanted got)
    ((() ()) #t)
    ((("...") _) #t)
    ((("..." line . more) (first . rest))
     (or (and (same? line first) (same-lines? more rest same?)) (same-lines? wanted rest same?)))
    (((line . more) (first . rest)) (and (same? line first) (same-lines? more rest same?)))
    (_ #f)))

(define* (output-differences wanted got #:key (within '()) (numbers? #t))
  "What differs between WANTED, an output as documented, and GOT, as printed: #f for nothing, or
the lines of both that do, as (WANTED GOT)."
  (let ((a (string-split wanted #\newline)) (b (string-split got #\newline))
        (same? (lambda (a b) (same-line? a b within numbers?))))
    (cond ((same-lines? a b same?) #f)
          ((and (= (length a) (length b)) (not (member "..." a)))
           (let ((others (filter (lambda (pair) (not (same? (first pair) (second pair)))) (zip a b))))
             (list (string-join (map first others) "\n") (string-join (map second others) "\n"))))
          (else (list wanted got)))))

(define* (test-output name step got #:optional (numbers? #t))
  "A check that GOT is what STEP prints; one that fails shows the lines that differ."
  (match (output-differences (step-output step) got #:within (step-within step)
                             #:numbers? numbers?)
    (#f (test-assert name #t))
    ((wanted got) (test-equal (format #f "~a: ~s" name (step-source step)) wanted got))))
