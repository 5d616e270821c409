;;; test-profile.scm -- profiles: what they count, and `tempera profile'.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 textual-ports)
             (tempera) (tempera net layers) (tempera tensor primitives))

(start-tests "profile")

(define x (random-normal '(1 16 16 16) 1))
(define w (random-normal '(3 3 16 32) 2))
(define (value row name) (assq-ref row name))

;;; A known convolution, twice: calls and arithmetic by its shape, its parts under it.

(let* ((p (profile (lambda () (convolution x w #f #f 1 1) (convolution x w #f #f 1 1))))
       (rows (profile-rows p #:by '(operation part)))
       (convolutions (filter (lambda (row) (string=? (value row 'operation) "convolution")) rows))
       (whole (find (lambda (row) (not (value row 'part))) convolutions))
       (products (find (lambda (row) (equal? (value row 'part) "products")) convolutions)))
  (test-equal "calls" 2 (value whole 'calls))
  (test-equal "arithmetic" (* 2. 2 9 16 32 16 16) (value whole 'flops))
  (test-equal "parts are not counted again" (* 2. 2 9 16 32 16 16) (profile-flops p))
  ;; 36 products for each tile of 16 outputs, however many of either a kernel takes at once
  (test-equal "Winograd's products" (* 2. 2 36 16 16 32) (value products 'flops))
  (test-assert "seconds" (< 0 (value whole 'seconds)))
  (test-assert "the table" (string-contains (object->string p) "3x3 16 -> 32, 1 x 16 x 16, Winograd")))

;;; What fills a kernel's tiles up is not the layer's: not for a row of tiles that is no whole
;;; number of them, nor for channels that are no whole block, forward or back.
(let* ((x (random-normal '(1 12 20 17) 3))
       (w (random-normal '(3 3 17 21) 4))
       (tiles (* 3 5))
       (p (profile (lambda ()
                     (gradients (lambda () (tensor-sum (convolution x w #f #f 1 1))) (list w)))))
       (products (lambda (operation)
                   (value (find (lambda (row) (and (string=? (value row 'operation) operation)
                                                   (equal? (value row 'part) "products")))
                                (profile-rows p #:by '(operation part)))
                          'flops))))
  (for-each (lambda (operation)
              (test-equal (string-append operation ": products of the layer alone")
                (* 2. 36 tiles 17 21) (products operation)))
            '("convolution" "convolution, weight gradient")))

;;; Off, nothing is added.

(let ((p (profile (lambda () #t))))
  (convolution x w #f #f 1 1)
  (test-equal "off" 0. (* 1. (profile-flops p)))
  (test-equal "no rows" '() (profile-rows p)))

;;; Layers are told apart, and are themselves again afterwards.

(let* ((net (layer-sequence (convolution-layer 16 4) (convolution-layer 4 3 #:size 1)))
       (before (net x))
       (p (profile (lambda () (net x)) #:network net))
       (names (filter-map (lambda (row) (value row 'layer)) (profile-rows p #:by '(layer)))))
  (test-assert "layers" (and (member "0" names) (member "1" names)))
  (test-assert "the same layer after" (tensor-identical? before (net x))))

;; Also on the way back, and what is outside of them has no name.
(let* ((net (layer-sequence (convolution-layer 16 4) (convolution-layer 4 3 #:size 1)))
       (p (profile (lambda ()
                     (gradients (lambda () (tensor-sum (tensor-square (net x))))
                                (map cdr (layer-parameters net))))
                   #:network net))
       (layers (lambda (operation)
                 (sort (filter-map (lambda (row)
                                     (and (equal? (value row 'operation) operation)
                                          (value row 'layer)))
                                   (profile-rows p #:by '(layer operation)))
                       string<?))))
  (test-equal "layers of gradients" '("0" "1") (layers "convolution, weight gradient"))
  (test-equal "outside of layers" '("") (layers "elementwise"))
  (test-equal "layers together make the whole" (profile-flops p)
              (apply + (map (lambda (row) (value row 'flops)) (profile-rows p #:by '(layer))))))

;; A run that fails leaves the layers as they were, and nothing measured.
(let ((net (layer-sequence (convolution-layer 16 4)
                           (make-layer "broken" (lambda (x) (error "broken"))))))
  (test-error-matching "an error goes through" "broken"
                       (profile (lambda () (net x)) #:network net))
  (let ((table (profile-table))
        (first-layer (cdar (layer-parts net))))
    (first-layer x)
    (test-equal "nothing is measured after" table (profile-table))
    (test-equal "no layer says its name after" '("")
                (map (lambda (row) (value row 'layer))
                     (profile-rows (profile (lambda () (first-layer x))) #:by '(layer))))))

;;; The mean of several runs is of one.

(let* ((p (profile (lambda () (convolution x w #f #f 1 1)) #:repeat 4))
       (row (first (profile-rows p #:by '(operation)))))
  (test-equal "calls of one run" 1 (value row 'calls))
  (test-equal "arithmetic of one run" (* 2. 9 16 32 16 16) (profile-flops p))
  (test-assert "no more inside than the whole" (<= (value row 'seconds) (profile-seconds p))))

;;; Files.

(call-with-temporary-directory
 (lambda (folder)
   (let ((p (profile (lambda () (convolution x w #f #f 1 1))))
         (file (lambda (name) (string-append folder "/" name))))
     (save-profile (file "p.csv") p)
     (let ((lines (string-split (string-trim-right (call-with-input-file (file "p.csv")
                                                     get-string-all))
                                #\newline)))
       (test-equal "columns" "layer,operation,detail,part,calls,seconds,flops,bytes,of-peak"
                   (car lines))
       (test-equal "a line for a row" (length (profile-rows p)) (length (cdr lines)))
       (test-assert "commas are quoted"
         (find (lambda (line) (string-contains line ",\"3x3 16 -> 32, 1 x 16 x 16, Winograd\",,1,"))
               lines)))
     (save-profile (file "p.json") p)
     (let ((rows (load-json (file "p.json"))))
       (test-equal "a row for a row" (length (profile-rows p)) (vector-length rows))
       (test-assert "a number"
         (= (profile-flops p)
            (apply + (map (lambda (row)
                            (if (eq? 'null (assoc-ref row "part")) (assoc-ref row "flops") 0))
                          (vector->list rows))))))
     (test-error-matching "no profile" "save-profile: profile: expected a profile"
                          (save-profile (file "p.csv") 3)))))

(let ((memory (process-memory)))
  (test-assert "memory" (or (null? memory)
                            (<= 1e6 (assq-ref memory 'resident) (assq-ref memory 'peak)))))

(test-error-matching "thunk" "profile: thunk: expected a procedure" (profile 3))
(test-error-matching "repeat" "repeat: expected a positive integer, got 0" (profile list #:repeat 0))
(test-error-matching "network" "network: expected a layer" (profile list #:network 3))
(test-error-matching "rows" "profile-rows: by: expected some of" (profile-rows (profile list) #:by '(time)))
(test-error-matching "a precision" "peak-flops: precision: expected float32 or bf16" (peak-flops 'half))
(test-error-matching "nested" "does not profile itself" (profile (lambda () (profile list))))
(test-assert "peak" (< 0.01 (peak-flops 'float32)))

;;; The command.

(define (run . arguments)
  "Exit status and output of `tempera ARGUMENTS'."
  (call-with-temporary-directory
   (lambda (folder)
     (let* ((file (string-append folder "/out"))
            (status (system (format #f "tempera ~a > ~a 2>&1"
                                    (string-join (map (lambda (a) (format #f "'~a'" a)) arguments))
                                    file))))
       (cons (status:exit-val status) (call-with-input-file file get-string-all))))))

(define body "(paper-unet #:channels (4 16) #:blocks 1)")

(define-syntax-rule (test-run name status text argument ...)
  (let ((result (run argument ...)))
    (test-equal name status (car result))
    (test-assert (string-append name ": " text)
      (or (string-contains (cdr result) text) (begin (display (cdr result)) #f)))))

(test-run "score" 0 "peak of this machine" "profile" (string-append "--body=" body) "--size=16" "--repeat=1")
(test-run "step" 0 "convolution, weight gradient" "profile" (string-append "--body=" body) "--size=16"
          "--repeat=1" "--train" "--precision=bf16")
;; Of every network that comes with Tempera, of whatever kind.
(test-assert "networks come with it" (pair? (shipped-priors)))
(for-each (lambda (name)
            (test-run name 0 "peak of this machine" "profile" name "--repeat=1"
                      (if (string=? name "vae") "--images=1" "--size=32")))
          (shipped-priors))
(test-run "another size" 1 "size: expected 64, of which all images of this network are, got 32"
          "profile" "vae" "--size=32")
(test-run "only score networks are trained so" 1 "make-trainer: network: expected a score network" "profile" "updnet"
          "--size=32" "--train")
(test-run "help" 0 "Usage" "profile" "--help")
(test-run "no file" 1 "none: no such file" "profile" "none")
(test-run "body" 1 "description: expected (NAME #:key value ...)" "profile" "--body=(other)")
(test-run "no datum" 1 "--body: expected" "profile" "--body=(paper-unet")
(test-run "any size" 0 "15 x 15" "profile" (string-append "--body=" body) "--size=15")
(test-run "images" 1 "images" "profile" "--images=0")
(test-run "precision" 1 "precision" "profile" "--precision=half")
(finish-tests)
