;;; test-terminal.scm -- a session as somebody has it: real keys in a real terminal.
;;;
;;; tmux is the terminal.  Keys go into it, and what stands on its screen is read.

(use-modules (harness)
             (srfi srfi-1)
             (ice-9 popen) (ice-9 textual-ports)
             (tempera base numbers))

(start-tests "terminal")

(define socket (format #f "tempera-test-~a" (getpid)))

(define (tmux . arguments)
  ;; What it prints; "" when it fails.
  (let* ((pipe (apply open-pipe* OPEN_READ "tmux" "-L" socket "-f" "/dev/null" arguments))
         (text (get-string-all pipe)))
    (if (zero? (status:exit-val (close-pipe pipe))) text "")))

(define (screen)
  (tmux "capture-pane" "-p" "-J" "-t" "session"))

(define (last-line text)
  (let ((lines (filter (lambda (line) (not (string-null? (string-trim-both line))))
                       (string-split text #\newline))))
    (if (null? lines) "" (string-trim-right (last lines)))))

(define* (wait-for done? #:key (seconds 60))
  ;; The seconds until DONE? of the screen, or #f if it takes longer than SECONDS.
  (let ((begun (seconds-now)))
    (let loop ()
      (cond ((done? (screen)) (- (seconds-now) begun))
            ((> (- (seconds-now) begun) seconds) #f)
            (else (usleep 20000) (loop))))))

(define (type text)
  (tmux "send-keys" "-t" "session" "-l" text)
  (tmux "send-keys" "-t" "session" "Enter"))

(define (at-prompt? text)
  ;; Nothing typed after it yet.
  (string=? "tempera>" (last-line text)))

(define (clear)
  (tmux "send-keys" "-t" "session" "C-l")
  (tmux "clear-history" "-t" "session"))

(define* (enter text #:optional (expected #f))
  ;; Type TEXT, wait for the prompt's return, and check that EXPECTED is on the screen.
  (clear)
  (usleep 50000)
  (type text)
  (let ((returned (wait-for (lambda (screen)
                              (and (string-contains screen (string-take text (min 20 (string-length text))))
                                   (at-prompt? screen))))))
    (test-assert (string-append "the prompt is back after " text) returned)
    (when expected
      (let ((text-there (screen)))
        (test-equal (format #f "~a shows ~a" text expected) expected
          (if (string-contains text-there expected) expected text-there))))))

(define head (test-file "../experiments/pd-head/brain_013.png"))
(define network (test-file "../priors/brain.safetensors"))

(define (session)
  (test-assert "a prompt" (wait-for at-prompt?))
  ;; Tab goes into a folder, whose name does not end the string.
  (mkdir "subjects")
  (call-with-output-file "subjects/scan.npy" (const #t))
  (define (press-tab) (tmux "send-keys" "-t" "session" "Tab"))
  (tmux "send-keys" "-t" "session" "-l" "(load-npy \"sub")
  (press-tab)
  (test-assert "a folder stays open"
    (wait-for (lambda (text) (string=? "tempera> (load-npy \"subjects/" (last-line text))) #:seconds 20))
  (press-tab)
  (test-assert "a file is closed"
    (wait-for (lambda (text) (string-prefix? "tempera> (load-npy \"subjects/scan.npy\"" (last-line text)))
              #:seconds 20))
  (tmux "send-keys" "-t" "session" "C-u")
  (tmux "send-keys" "-t" "session" "-l" "(anneal target #:step-")
  (press-tab)
  (test-assert "a keyword of the call"
    (wait-for (lambda (text) (string-prefix? "tempera> (anneal target #:step-size" (last-line text)))
              #:seconds 20))
  (tmux "send-keys" "-t" "session" "C-u")
  (enter (format #f "(define prior (load-network ~s))" network))
  (enter (format #f "(define scan (simulated-scan (half-size (load-image ~s)) #:seed 1))" head))
  (enter "(define op (mri-operator #:mask (random-mask 128 #:acceleration 4 #:seed 1)))")
  (enter "(define y (measure op scan #:noise 0.1 #:seed 2))")
  (enter "(define target (posterior prior op y #:noise 0.1))" "target")
  ;; Annealing, until it moves.
  (clear)
  (type "(define chain (anneal target #:chains 2 #:seed 42))")
  (test-assert "a line of progress with the time left"
    (wait-for (lambda (text) (and (string-contains text "annealing")
                                  (string-contains text "left  sigma")))))
  (tmux "send-keys" "-t" "session" "C-c")
  (test-assert "Ctrl-C: paused, and the prompt is back" (wait-for at-prompt?))
  (test-assert "and says how to go on" (string-contains (screen) "(resume! chain) goes on"))
  (enter "chain" "#<chain 2 x (128 128), at sigma")
  ;; Look, tweak, go on.
  (enter "(show chain)" "mean")
  (enter "(define bold (fork chain #:step-size (power-law 0.45 #:exponent 0.02) #:temperatures (geometric 100 #:ratio 0.7 #:until 0.05)))")
  (enter "bold" "#<chain 2 x (128 128), at sigma")
  (enter "(resume! bold)" "finished at sigma 0.05")
  (enter "(schedule-at (power-law 0.45 #:exponent 0.02) 100)" "0.45")
  (enter "(write-report bold \"bold.html\" #:truth scan)")
  (test-assert "a report" (file-exists? "bold.html"))
  ;; An error, and what was pasted after it.
  (tmux "send-keys" "-t" "session" "-l" "(geometric 100 #:ratio 2 #:until 1)\n(+ 40 2)\n")
  (test-assert "an error leaves the session usable"
    (wait-for (lambda (text) (and (string-contains text "ratio: expected a number between 0 and 1, got 2")
                                  (string-contains text " = 42")))))
  (test-assert "at one level" (wait-for at-prompt?))
  ;; Ctrl-C at a prompt with nothing typed, with half a line, with half an expression: a fresh
  ;; line, and what is typed next counts.
  (define (interrupt-after text next result)
    (clear)
    (usleep 50000)
    (tmux "send-keys" "-t" "session" "-l" text)
    (wait-for (lambda (screen) (string-suffix? (string-trim-right (last-line (string-append "\n" text))) (last-line screen))))
    (tmux "send-keys" "-t" "session" "C-c")
    (test-assert (format #f "Ctrl-C after ~s: a fresh line" text) (wait-for at-prompt? #:seconds 20))
    (enter next result))
  ;; Nothing is typed between: any key, C-l too, would wake a prompt that has not noticed.
  (define (prompts screen)
    (count (lambda (line) (string-prefix? "tempera>" line)) (string-split screen #\newline)))
  (clear)
  (wait-for (lambda (screen) (= 1 (prompts screen))))
  (tmux "send-keys" "-t" "session" "C-c")
  (test-assert "Ctrl-C at an idle prompt: a fresh line"
    (wait-for (lambda (screen) (= 2 (prompts screen))) #:seconds 20))
  (type "(* 7 9)")
  (test-assert "and the next line typed counts"
    (wait-for (lambda (screen) (string-contains screen "= 63")) #:seconds 20))
  (interrupt-after "(car (list 1 " "(* 60 7)" "= 420")
  (interrupt-after "(list 1\n 2" "(* 600 7)" "= 4200")
  ;; The largest images: within one step of the sampler.
  (enter "(define field (gaussian-prior (power-spectrum '(320 320) #:amplitude 1e4)))")
  (enter "(define large (tensor-reshape (prior-draw field 1 #:seed 7) '(320 320)))")
  (enter "(define op (mri-operator #:mask (random-mask 320 #:acceleration 4 #:seed 1)))")
  (enter "(define target (posterior prior op (measure op large #:noise 0.1 #:seed 2) #:noise 0.1))")
  (clear)
  (type "(define slow (anneal target #:chains 8))")
  (sleep 2)
  (test-assert "no prompt while it works" (not (at-prompt? (screen))))
  (tmux "send-keys" "-t" "session" "C-c")
  ;; Not a measurement of speed: a session in which Ctrl-C waits is broken.
  (test-assert "the prompt is back within a second" (wait-for at-prompt? #:seconds 1))
  (enter "slow" "#<chain 8 x (320 320), at sigma 100.0")
  (type ",quit")
  (test-assert "quit"
    (let loop ((tries 100))
      (cond ((string-null? (tmux "has-session" "-t" "session")) #t)
            (else (usleep 50000) (and (> tries 0) (loop (1- tries))))))))

(call-with-temporary-directory
 (lambda (directory)
   (chdir directory)
   (setenv "XDG_STATE_HOME" directory)
   (dynamic-wind
     (lambda ()
       (tmux "new-session" "-d" "-s" "session" "-x" "140" "-y" "60" "tempera"))
     session
     (lambda ()
       (tmux "kill-server")
       (chdir "/")))))

(finish-tests)
