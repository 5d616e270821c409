;;; test-hostile.scm -- what no file, name or argument may do: run a command, end the program.
;;;
;;; Every attack here once worked, or is of the kind of one that did.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 binary-ports) (ice-9 popen) (ice-9 textual-ports)
             (rnrs bytevectors)
             (tempera)
             (tempera file programs))

(start-tests "hostile")

(call-with-temporary-directory
 (lambda (folder)
   (define here (getcwd))
   (chdir folder)

   ;;; --- Commands in text for other programs -------------------------------------

   (define (no-command-ran name)
     ;; A command of an attack makes a file of this name.
     (test-assert name (not (find (lambda (file) (string-prefix? "pwned" file))
                                  (scandir-here)))))
   (define (scandir-here) ((@ (ice-9 ftw) scandir) "."))
   (define line '((0 0) (1 1)))

   (for-each
    (lambda (name text)
      (error-message-of (lambda ()
               (save-charts "chart.png"
                            (list (chart text (list (series 'line line #:title text))
                                         #:x-label text #:y-label text
                                         #:x-names (list text "b") #:y-names (list text "b"))
                                  (heat-chart text '((1 2) (3 4)) #:value-label text
                                              #:x-names (list text "b"))))))
      (test-assert (string-append "a chart is drawn: " name) (file-exists? "chart.png"))
      (when (file-exists? "chart.png") (delete-file "chart.png"))
      (no-command-ran (string-append "text of a chart: " name)))
    '("newlines" "quotes" "backtick" "return" "continued" "end of a block")
    '("v\n!touch pwned\n" "';system('touch pwned')#" "`touch pwned`" "v\r!touch pwned\r"
      "v\\\n!touch pwned" "end\nend\n!touch pwned"))
   ;; gnuplot reads a line only to its first NUL, and takes the next line for the rest.
   (for-each
    (lambda (command)
      (test-equal "NUL" #f
        (error-message-of (lambda () (save-charts "chart.png" (list (chart "a\0" (list (series 'line line))
                                                                #:x-label command)))))))
    '(";system(\"touch pwned\")#" "';system('touch pwned')#"))
   (no-command-ran "text of a chart: NUL")
   (for-each
    (lambda (path)
      (error-message-of (lambda () (save-charts path (list (chart "a" (list (series 'line line)))))))
      (no-command-ran (string-append "the picture's name: " path)))
    '("|touch pwned;.png" "a\n!touch pwned\n.png" "`touch pwned`.png" "';system('touch pwned')#.png"))
   (test-assert "a name that begins with a pipe is a name" (file-exists? "|touch pwned;.png"))
   (call-with-output-file "table.csv"
     (lambda (port) (display "a,b,c\n1,2,\"v\n!touch pwned\n\"\n2,3,w\n" port)))
   (save-charts "table.png" (list (table-chart (load-table "table.csv") #:x 'a #:y 'b #:by 'c)))
   (no-command-ran "a value of a table")
   (test-error-matching "scale" "scale: expected"
     (save-charts "chart.png" (list (chart "a" (list (series 'line line)))) #:scale "1; system('touch pwned')"))
   (test-error-matching "colours" "colours: expected"
     (save-charts "chart.txt" (list (chart "a" (list (series 'line line)))) #:colours "256"))

   (test-equal "a name that is an option" "./-o" (file-argument "-o"))
   (test-equal "an absolute name stays" "/a/-o" (file-argument "/a/-o"))
   ;; In place of dcm2niix, which would take a folder's name for an option: what it was called with.
   (mkdir "-o")
   (mkdir "programs")
   (call-with-output-file "programs/dcm2niix"
     (lambda (port) (display "#!/bin/sh\nfor last in \"$@\"; do :; done\necho \"$last\" >called\n" port)))
   (chmod "programs/dcm2niix" #o755)
   (let ((path (getenv "PATH")))
     (setenv "PATH" (string-append folder "/programs:" path))
     (test-error-matching "a folder named -o" "-o: no DICOM images" (load-dicom "-o"))
     (setenv "PATH" path))
   (test-equal "no option" "./-o\n" (call-with-input-file "called" get-string-all))

   ;;; --- Files that would end the program -----------------------------------------

   (define (repeated count text) (string-concatenate (make-list count text)))
   (define (refused? thunk)
     ;; An error of ours, and no page of text.
     (catch #t
       (lambda () (thunk) 'taken)
       (lambda (key . arguments)
         (cond ((not (eq? key 'tempera-error)) key)
               ((> (string-length (error-text key arguments)) 5000) 'long)
               (else #t)))))

   (define hostile-data
     ;; By name: text that overflows the stack or takes long to be read, or printed.
     `(("quotes" . ,(repeated 100000 "'"))
       ("backticks" . ,(string-append (repeated 100000 "`") "a"))
       ("brackets" . ,(repeated 100000 "("))
       ("closed brackets" . ,(string-append (repeated 100000 "(") (repeated 100000 ")")))
       ("vectors" . ,(string-append (repeated 100000 "#(") (repeated 100000 ")")))
       ("quotes apart" . ,(string-append (repeated 100000 "' ") "a"))
       ("behind a character" . ,(string-append "(#\\\" " (repeated 100000 "(")))
       ("behind a comment" . ,(string-append "; \"\n" (repeated 100000 "(")))
       ("behind a block comment" . ,(string-append "#| \" |#" (repeated 100000 "(")))
       ("behind a symbol" . ,(string-append "#{\"}#" (repeated 100000 "(")))
       ("comments of data" . ,(string-append (repeated 100000 "#;") "a"))
       ("evaluated" . "#.(display 1)")
       ("a long number" . ,(repeated 1000000 "9"))
       ("a long symbol" . ,(repeated 1000000 "a"))
       ("many" . ,(string-append "(" (repeated 100000 "1 ") ")"))))

   (define (save-prior metadata)
     (save-network "prior.safetensors" (score-network '(moons-mlp #:width 4)))
     (call-with-values (lambda () (load-safetensors "prior.safetensors"))
       (lambda (tensors own)
         (save-safetensors "prior.safetensors" tensors
                           #:metadata (append metadata
                                              (filter (lambda (m) (not (assoc (car m) metadata))) own))))))

   (for-each
    (lambda (entry)
      (call-with-output-file "datum.scm" (lambda (port) (display (cdr entry) port)))
      (unless (string=? "many" (car entry))
        (test-eq (string-append "load-datum: " (car entry)) #t
          (refused? (lambda () (load-datum "datum.scm")))))
      (for-each (lambda (setting)
                  (save-prior (list (cons setting (cdr entry))))
                  (test-eq (string-append setting " of a prior: " (car entry)) #t
                    (refused? (lambda () (load-network "prior.safetensors")))))
                '("body" "sigma-data" "format")))
    hostile-data)
   (for-each
    (lambda (text)
      (call-with-output-file "value.json" (lambda (port) (display text port)))
      (test-eq "JSON" #t (refused? (lambda () (load-json "value.json")))))
    (list (repeated 100000 "[") (repeated 100000 "{\"a\":") (repeated 1000000 "9")))

   (let* ((target (make-target "normal" #:shape '(2)
                               #:score (lambda (x sigma) (tensor* (/ -1 (+ 1 (* sigma sigma))) x))))
          (chain (anneal target #:chains 2 #:seed 1 #:mass 'identity #:step-size 0.1
                         #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5))))
     (save-chain "chain.safetensors" chain)
     (call-with-values (lambda () (load-safetensors "chain.safetensors"))
       (lambda (tensors metadata)
         (for-each
          (lambda (name)
            (for-each
             (lambda (entry)
               (save-safetensors "chain.safetensors" tensors
                                 #:metadata (acons name (cdr entry)
                                                   (filter (lambda (m) (not (equal? name (car m))))
                                                           metadata)))
               (test-eq (format #f "~a of a chain: ~a" name (car entry)) #t
                 (refused? (lambda ()
                             (load-chain "chain.safetensors" target #:seed 1 #:mass 'identity
                                         #:step-size 0.1
                                         #:temperatures (geometric 2 #:ratio 0.7 #:until 0.5))))))
             hostile-data))
          '("temperatures" "trace" "state" "kept" "seed")))))

   (save-network "updnet.safetensors" (updnet #:iterations 1 #:channels '(4)))
   (call-with-values (lambda () (load-safetensors "updnet.safetensors"))
     (lambda (tensors metadata)
       (save-safetensors "updnet.safetensors" tensors
                         #:metadata (acons "body" "(1000000000 2 (4))"
                                           (filter (lambda (m) (not (string=? "body" (car m)))) metadata)))))
   (test-error-matching "as many networks as there is no room to count" "body: expected iterations"
     (load-network "updnet.safetensors"))
   ;; A network that is described as larger than its file is.
   (for-each
    (lambda (body)
      (save-prior `(("body" . ,body)))
      (test-error-matching body "more parameters than there are in its file"
        (load-network "prior.safetensors")))
    '("(paper-unet #:blocks 100000)" "(moons-mlp #:width 1000000)" "(edm-unet #:width 100000)"
      "(paper-unet #:channels (100000 100000))"))
   (for-each
    (lambda (number)
      (save-prior `(("sigma-data" . ,number)))
      (test-error-matching number "sigma-data: expected a positive number"
        (load-network "prior.safetensors")))
    '("+nan.0" "0" "-1" "+inf.0" "a"))

   ;; Many names take no time that grows with their square.
   (save-safetensors "many.safetensors"
                     (map (lambda (i) (cons (number->string i) (tensor-zeros '()))) (iota 20000)))
   (test-equal "20,000 names" 20000 (length (load-safetensors "many.safetensors")))
   (test-equal "an error that prints what is nested" "f: ((((((((((((((((...))))))))))))))))"
     (string-append
      (error-message-of
       (lambda () (complain 'f "~s" (let loop ((i 0) (x '())) (if (= i 1000000) x (loop (1+ i) (list x)))))))
      ""))
   (test-error-matching "and of a primitive" "x: expected a tensor, got ("
     (relu (let loop ((i 0) (x '())) (if (= i 1000000) x (loop (1+ i) (list x))))))

   ;; Only regular files are read: others may have no end, and no writer.
   (system* "mkfifo" "fifo.csv" "fifo.npy" "fifo.png" "fifo.json" "fifo.scm" "fifo.nii" "fifo.nii.gz"
            "fifo.safetensors" "fifo.dcm" "fifo")
   (for-each
    (lambda (load . names)
      (for-each (lambda (name)
                  (test-error-matching name "expected a regular file" (load name)))
                names))
    (list load-table load-npy load-image load-json load-datum load-volume load-safetensors load-dicom
          load-network load-image load-kspace)
    (list "fifo.csv" "fifo.npy" "fifo.png" "fifo.json" "fifo.scm" "fifo.nii" "fifo.safetensors"
          "fifo.dcm" "fifo.safetensors" "fifo" "fifo.npy")
    (list "/dev/zero" "/dev/zero" "fifo.nii.gz" "/dev/zero" "/dev/zero" "fifo.nii.gz" "/dev/zero"
          "/dev/zero" "/dev/zero" "/dev/zero" "/dev/zero"))
   ;;; --- Shapes and sizes that no memory has ---------------------------------------

   ;; Of what is empty there may still be 2^40 rows to go through.
   (define huge (expt 2 40))
   (define-syntax-rule (test-huge name expression)
     (test-error-matching name "of a tensor without elements" expression))
   (test-huge "zeros" (tensor-zeros (list huge 0)))
   (test-huge "zeros, the last" (tensor-zeros (list 0 huge)))
   (test-huge "sides that overflow" (tensor-zeros (list 0 (1- (expt 2 58)) (1- (expt 2 58)))))
   (test-huge "reshaped" (tensor-reshape (tensor-zeros '(0)) (list huge 0)))
   (test-huge "stretched" (tensor-broadcast (tensor-zeros '(1 0)) (list huge 0)))
   (test-huge "sliced" (tensor-slice (tensor-broadcast (tensor-zeros '(1 1)) (list huge 1)) 1 0 0))
   (test-huge "upsampled" (upsample (tensor-zeros (list 0 (expt 2 13) (expt 2 12) 1))))
   (test-huge "concatenated"
     (tensor-concatenate (make-list 2 (tensor-zeros (list 0 (expt 2 26)))) 1))
   (test-equal "those of usual size are there" '(0 4096 4096 2)
     (tensor-shape (tensor-zeros '(0 4096 4096 2))))
   (define (write-bytes path . parts)
     (call-with-output-file path
       (lambda (port) (for-each (lambda (part) (display part port)) parts))
       #:encoding "ISO-8859-1"))
   (let ((head (format #f "{'descr': '<f4', 'fortran_order': False, 'shape': (~a, 0), }\n" huge)))
     (write-bytes "huge.npy" "\x93NUMPY\x01\x00" (string (integer->char (string-length head)) #\nul) head)
     (test-huge "an npy file of 2^40 rows" (load-npy "huge.npy")))

   ;; The header of a NIfTI pair promises 2000 x 3000 x 1000 floats, of which there are 11 bytes.
   (let ((header (make-bytevector 348 0)))
     (define (short at n) (bytevector-s16-set! header at n (endianness little)))
     (bytevector-s32-set! header 0 348 (endianness little))
     (for-each (lambda (at n) (short at n))
               '(40 42 44 46 48 50 52 54 70 72) '(3 2000 3000 1000 1 1 1 1 16 32))
     (bytevector-copy! (string->utf8 "ni1") 0 header 344 3)
     (call-with-output-file "pair.hdr" (lambda (port) (put-bytevector port header)) #:binary #t)
     (write-bytes "pair.img" "eleven byte"))
   (test-error-matching "a pair that promises 24 GB" "pair.img: truncated"
     (load-nifti "pair.hdr"))

   ;;; --- Threads, and long arguments ------------------------------------------------

   (define (said-by program)
     ;; By a Guile that has 3 GB of addresses for PROGRAM, an expression of text.
     (let* ((pipe (open-input-pipe
                   (format #f "ulimit -v 3000000; exec guile -c '~s' 2>&1"
                           `(begin (use-modules (tempera)) (display ,program)))))
            (text (get-string-all pipe)))
       (close-pipe pipe)
       text))
   (test-assert "less memory than OpenBLAS waits for"
     (let* ((pipe (open-input-pipe "ulimit -v 350000; exec timeout -s KILL 60 tempera run --out=small toy.scm 2>&1"))
            (text (get-string-all pipe)))
       (close-pipe pipe)
       (string-contains text "tempera: the limit of memory (ulimit -v) leaves ")))
   (define sum-of-threads '(tensor->number (tensor-sum (tensor* 1 (tensor-zeros (list 1000000))))))
   (test-assert "more threads than there are"
     (string-contains (said-by `(catch (string->symbol "tempera-error")
                                  (lambda () (set-threads! 1000) "taken")
                                  (lambda (key . arguments)
                                    (string-append (error-text key arguments)
                                                   (number->string ,sum-of-threads)))))
                      "threads: 1000 asked for, "))
   (setenv "TEMPERA_THREADS" "100000")
   (test-equal "more threads by the environment" "0.0" (said-by sum-of-threads))
   (unsetenv "TEMPERA_THREADS")
   (test-error-matching "beyond measure" "count: expected an integer from 1 to 1024" (set-threads! 4096))

   (for-each
    (lambda (count)
      ;; Cut at any byte of a letter of three.
      (let ((text (string-append (make-string count #\a) (make-string 4000 #\€))))
        (test-error-matching "a long number" "expected a tensor, got" (relu text))
        (test-error-matching "a long name" "aaa" (load-npy text))
        (test-error-matching "a long path" "aaa" (save-npy text (tensor-zeros '(2))))))
    '(3 4 5))

   (for-each
    (lambda (procedure)
      (test-error-matching "of no network" "expected" (procedure 3)))
    (list network-sigma-data network-description network-precision network-parametrisation
          network-metadata layer-parameters parameter-count vae-size show))
   (chdir here)))

(finish-tests)
