;;; registries.scm -- verbs over objects of many kinds: `show', `plot' and `write-report'.
;;;
;;; A registry has a procedure for each kind of object, which a predicate recognises.  Modules add
;;; their own; where several match, the newest counts.

(define-module (tempera base registries)
  #:use-module ((ice-9 session) #:select (procedure-arguments))
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tempera base errors)
  #:export (make-registry registry-add! registry-apply))

(define-record-type <registry>
  (%make-registry verb expected entries)
  registry?
  (verb registry-verb)
  (expected registry-expected)          ; in words, for what is of no kind
  (entries registry-entries set-registry-entries!)) ; (predicate . procedure), the newest first

(define (make-registry verb expected)
  "A registry for VERB, a symbol; EXPECTED says in words what it takes."
  (%make-registry verb expected '()))

(define (registry-add! registry who predicate procedure)
  "Let REGISTRY have PROCEDURE for what PREDICATE is true of; errors are of WHO."
  (check-that (procedure? predicate) who "predicate: expected a procedure, got ~s" predicate)
  (check-that (procedure? procedure) who "procedure: expected one, got ~s" procedure)
  (set-registry-entries! registry (acons predicate procedure (registry-entries registry))))

(define (takes-options? procedure)
  (let ((arguments (procedure-arguments procedure)))
    (or (pair? (assq-ref arguments 'keyword)) (assq-ref arguments 'rest))))

(define (registry-apply registry object options)
  "What the procedure of OBJECT's kind gives for OBJECT and OPTIONS, keywords and values."
  (let ((found (find (lambda (entry) ((car entry) object)) (registry-entries registry)))
        (verb (registry-verb registry)))
    (define (refuse message what)
      (complain verb "~a: ~s; of ~a" (string-downcase message) what object))
    (check-that found verb "expected ~a, got ~s" (registry-expected registry) object)
    (unless (or (null? options) (takes-options? (cdr found)))
      (refuse "unrecognized keyword" (car options)))
    (catch 'keyword-argument-error
      (lambda () (apply (cdr found) object options))
      (lambda (key where message irritants culprit)
        (refuse message (if (pair? culprit) (car culprit) culprit))))))
