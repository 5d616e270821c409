;;; browser.scm -- Debian's chromium, driven by the tests through chromedriver.
;;;
;;; The WebDriver protocol is JSON over HTTP, here to 127.0.0.1 only.  The driver runs
;;; in a group of its own, which ends with the test, however that ends; it chooses its port.

(define-module (browser)
  #:use-module (ice-9 match)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 rdelim)
  #:use-module (ice-9 regex)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module (web client)
  #:use-module (web response)
  #:use-module (json parser)
  #:use-module (tempera file programs)
  #:use-module (tempera file values)
  #:export (browser-missing call-with-browser visit script find-element click hover keys
            devtools console screenshot))

(define (browser-missing)
  "The program that is needed and is not there, or #f."
  (find (lambda (program) (not (program-exists? program))) '("chromedriver" "chromium")))

(define session (make-parameter #f))    ; its address

(define (request method address body)
  ;; The value of what the driver answers.
  (call-with-values
      (lambda ()
        (http-request address #:method method
                      #:headers '((content-type . (application/json (charset . "utf-8"))))
                      #:body (and body (string->utf8 (json-text body)))))
    (lambda (response body)
      (let* ((answer (json-string->scm (if (string? body) body (utf8->string body))))
             (value (assoc-ref answer "value")))
        (unless (= 200 (response-code response))
          (error "chromedriver:" (assoc-ref value "error") (assoc-ref value "message")))
        value))))

(define (post path body)
  (request 'POST (string-append (session) path) body))

(define (driver-port pipe)
  (let ((line (read-line pipe)))
    (cond ((eof-object? line) (error "chromedriver ended before it began"))
          ((string-match "started successfully on port ([0-9]+)" line)
           => (lambda (m) (match:substring m 1)))
          (else (driver-port pipe)))))

(define options
  ;; As root, and in a container, chromium has no sandbox and little shared memory.
  `(("browserName" . "chrome")
    ("timeouts" . (("script" . 10000) ("pageLoad" . 20000)))
    ("goog:loggingPrefs" . (("browser" . "ALL")))
    ("goog:chromeOptions" .
     (("args" . #("--headless=new" "--no-sandbox" "--disable-gpu" "--disable-dev-shm-usage"
                  "--hide-scrollbars" "--window-size=1280,900" "--no-first-run"
                  "--disable-background-networking" "--disable-component-update"
                  "--proxy-server=127.0.0.1:9" "--force-prefers-reduced-motion"))))))

(define (call-with-browser thunk)
  "Call THUNK with a browser that the other procedures drive."
  ;; setsid: the driver and its browser are one group, led by the process of this number.
  (let* ((pipe (open-input-pipe
                "exec setsid sh -c 'echo $$; exec chromedriver --port=0' 2>/dev/null"))
         (group (string->number (read-line pipe))))
    (dynamic-wind
      (const #t)
      (lambda ()
        (let* ((driver (format #f "http://127.0.0.1:~a" (driver-port pipe)))
               (made (request 'POST (string-append driver "/session")
                              `(("capabilities" . (("alwaysMatch" . ,options)))))))
          (parameterize ((session (string-append driver "/session/" (assoc-ref made "sessionId"))))
            (dynamic-wind
              (const #t)
              thunk
              (lambda () (false-if-exception (request 'DELETE (session) #f)))))))
      (lambda ()
        (false-if-exception (kill (- group) SIGTERM))
        (close-pipe pipe)))))

(define (visit address)
  "Load ADDRESS."
  (post "/url" `(("url" . ,address))))

(define (script text . arguments)
  "What the JavaScript TEXT returns, with ARGUMENTS as its `arguments'."
  (post "/execute/sync" `(("script" . ,text) ("args" . ,(list->vector arguments)))))

(define (find-element selector)
  "The first element that the CSS SELECTOR finds."
  (cdr (first (post "/element" `(("using" . "css selector") ("value" . ,selector))))))

(define (click element)
  "Click ELEMENT."
  (post (format #f "/element/~a/click" element) '(("x" . 0))))

(define (reference element)
  `(("element-6066-11e4-a52e-4f735466cecf" . ,element)))

(define (hover element x y)
  "Move the pointer to X, Y pixels from the middle of ELEMENT."
  (post "/actions"
        `(("actions" .
           #((("type" . "pointer") ("id" . "mouse") ("parameters" . (("pointerType" . "mouse")))
              ("actions" . #((("type" . "pointerMove") ("duration" . 20) ("x" . ,x) ("y" . ,y)
                              ("origin" . ,(reference element)))))))))))

(define key-codes
  '((right . #\xE014) (left . #\xE012) (up . #\xE013) (down . #\xE015) (tab . #\xE004)
    (enter . #\xE007) (home . #\xE011)))

(define (keys . names)
  "Press the keys NAMES, symbols such as right or characters, where the focus is."
  (post "/actions"
        `(("actions" .
           #((("type" . "key") ("id" . "keyboard")
              ("actions" . ,(list->vector
                             (append-map
                              (lambda (name)
                                (let ((value (string (or (assq-ref key-codes name) name))))
                                  (map (lambda (type) `(("type" . ,type) ("value" . ,value)))
                                       '("keyDown" "keyUp"))))
                              names)))))))))

(define (devtools command . parameters)
  "Chromium's own COMMAND with PARAMETERS, pairs of a name and a value."
  (post "/goog/cdp/execute" `(("cmd" . ,command) ("params" . ,parameters))))

(define (console)
  "What the page said on the console since last asked, a list of texts, errors among them."
  (map (lambda (entry) (format #f "~a: ~a" (assoc-ref entry "level") (assoc-ref entry "message")))
       (vector->list (post "/se/log" '(("type" . "browser"))))))

(define (screenshot path)
  "Write what the window shows to the PNG file PATH."
  (let ((text (request 'GET (string-append (session) "/screenshot") #f)))
    (call-with-output-file path
      (lambda (port) (display text port)))
    (let ((temporary (string-append path ".base64")))
      (rename-file path temporary)
      (system (format #f "base64 -d '~a' > '~a'" temporary path))
      (delete-file temporary))))
