;;; test-report-page.scm -- a report in a browser: sliders, pointer, keys, theme, a phone.
;;;
;;; Chromium loads the page from its file and must not complain of anything; what should
;;; change when something is touched is read from the page.

(use-modules (harness) (browser)
             (srfi srfi-1) (ice-9 regex)
             (tempera) (tempera run sweeps))

(start-tests "report-page")

(define (of-all selector expression)
  ;; The values of the JavaScript EXPRESSION of e, every element that SELECTOR finds.
  (vector->list (script (format #f "return [...document.querySelectorAll(arguments[0])].map(e => ~a)"
                                expression)
                        selector)))
(define (texts selector) (of-all selector "e.textContent"))
(define (text selector) (first (texts selector)))
(define (picture name) (format #f "canvas[data-name='~a']" name))
(define (pixels name)
  ;; What is drawn of the picture NAME, as one string to be compared.
  (script "return document.querySelector(arguments[0]).toDataURL()" (picture name)))
(define (slide! name value)
  ;; As a hand does it.
  (script "const s = document.querySelector(`[data-slider=${arguments[0]}]`);
s.value = arguments[1];
s.dispatchEvent(new Event('input', { bubbles: true }))" name value))
(define (settle)
  ;; Until the page has been laid out and drawn again.
  (devtools "Runtime.evaluate" '("awaitPromise" . #t)
            '("expression" . "new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))")))
(define (device! width mobile?)
  (devtools "Emulation.setDeviceMetricsOverride" (cons "width" width) '("height" . 900)
            '("deviceScaleFactor" . 1) (cons "mobile" mobile?))
  (settle))
(define (colour-of selector property)
  (script "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
          selector property))
(define (open! path)
  (visit (string-append "file://" path))
  (settle))
(define (focused) (script "return document.activeElement.dataset.name"))

(define hostile "</script><img src=x onerror=\"document.title='taken'\">")

(define (test-chain path)
  (let* ((prior (gaussian-prior (power-spectrum '(32 32) #:amplitude 1e3)))
         (scan (tensor-reshape (prior-draw prior 1 #:seed 7) '(32 32)))
         (op (mri-operator #:mask (random-mask 32 #:acceleration 3 #:seed 1)))
         (y (measure op scan #:noise 0.1 #:seed 2))
         (chain (anneal (posterior prior op y #:noise 0.1) #:chains 6 #:seed 3
                        #:temperatures (geometric 50 #:ratio 0.8 #:until 0.1))))
    (write-report chain path #:truth scan #:title hostile #:command hostile)
    (open! path)
    (test-equal "the title is text" hostile (text "h1"))
    (test-equal "and so is the command" hostile (text ".command pre"))
    (test-equal "pictures"
      '("Truth" "Mean" "Standard deviation" "Error of the mean" "Zero-filled" "Sample 1"
        "On its way")
      (texts ".picture h3"))
    (test-assert "charts are drawn"
      (every (lambda (n) (> n 5))
             (of-all ".chart > svg" "e.childElementCount")))

    (let ((before (pixels "Sample")) (mean (pixels "Mean")))
      (slide! "sample" 4)
      (test-assert "the slider shows another sample" (not (string=? before (pixels "Sample"))))
      (test-assert "and leaves the mean" (string=? mean (pixels "Mean")))
      (test-assert (member "Sample 4" (texts ".picture h3"))))
    (let ((cold (pixels "On its way")))
      (slide! "state" 0)
      (test-assert "a hot state looks otherwise" (not (string=? cold (pixels "On its way")))))

    (hover (find-element (picture "Mean")) 2 2) ; inside a pixel, not where four meet
    (settle)
    (test-equal "the pixel under the pointer" "Row 16, column 16" (text ".pixel h3"))
    (let ((shown (map string->number (take (texts ".pixel td") 2))))
      (test-assert "its values are the truth's and the mean's"
        (every (lambda (a image) (< (abs (- a (magnitude (tensor-ref image 16 16)))) 0.02))
               shown (list scan (chain-mean chain)))))
    (let ((values (map (lambda (k) (magnitude (tensor-ref (chain-samples chain) k 16 16))) (iota 6)))
          (heights (map string->number (of-all ".pixel .bars" "e.getAttribute('height')"))))
      (test-approximate "the pixel's mean over samples" (mean values)
                        (string->number (first (texts ".pixel table:last-of-type td"))) 0.01)
      (test-approximate "its histogram counts every sample" 6
                        (/ (apply + heights) (apply min (filter positive? heights))) 1e-3))

    (script "document.querySelector(arguments[0]).focus()" (picture "Standard deviation"))
    (let ((before (pixels "Truth")))
      (keys 'right 'right 'down)
      (test-equal "arrow keys move the pixel" "Row 17, column 18" (text ".pixel h3"))
      (test-assert "in every picture" (not (string=? before (pixels "Truth"))))
      (test-assert "and are told to who cannot see"
        (string-match "^Standard deviation [0-9.e-]+, row 17, column 18$" (text ".spoken")))
      (keys #\+ #\+)
      (test-equal "+ zooms" "× 3" (text ".tools label:last-child output"))
      (keys #\0))
    (test-equal "the focus stays" "Standard deviation" (focused))
    (keys 'tab)
    (test-equal "Tab goes on to the next picture" "Error of the mean" (focused))

    (click (find-element ".choices button:last-child"))
    (test-equal "phase" '("false" "true")
      (of-all ".choices button" "e.ariaPressed"))
    (test-approximate "values are angles" (angle (tensor-ref scan 17 18))
                      (string->number (first (texts ".pixel td"))) 0.01)
    (click (find-element ".choices button:first-child"))

    (hover (find-element ".charts svg") 0 0)
    (test-assert "a chart reads its numbers"
      (string-prefix? "transition " (text ".charts figcaption output")))
    (script "document.querySelector('.scroll th button').scrollIntoView({ block: 'center' })")
    (click (find-element ".scroll th button"))
    (let ((numbers (map string->number (texts ".scroll tbody tr td:first-child"))))
      (test-assert "a header sorts" (and (> (length numbers) 1) (apply <= numbers)))
      (test-equal "ascending" (script "return document.querySelector('.scroll th').ariaSort")))

    (let ((light (colour-of "body" "backgroundColor")))
      (script "scrollTo(0, 0)")
      (click (find-element "#theme"))
      (test-assert "dark is darker" (not (equal? light (colour-of "body" "backgroundColor"))))
      (test-equal "rgb(18, 19, 23)" (colour-of "body" "backgroundColor"))
      (click (find-element "#theme"))
      (test-equal "and light again" light (colour-of "body" "backgroundColor")))
    (script "localStorage.clear()")
    (devtools "Emulation.setEmulatedMedia"
              '("features" . #((("name" . "prefers-color-scheme") ("value" . "dark")))))
    (settle)
    (test-equal "the system's choice is followed" "dark"
      (script "return document.documentElement.dataset.theme"))
    (devtools "Emulation.setEmulatedMedia" '("features" . #()))

    (device! 360 #t)
    (test-equal "nothing is wider than a phone" 360
      (script "return document.documentElement.scrollWidth"))
    (test-assert "and pictures are drawn to its size"
      (< 50 (script "return document.querySelector('.picture canvas').width") 360))
    (device! 1280 #f)
    (test-equal "no hostile text acts" hostile (script "return document.title"))
    (test-equal "no picture was made of text" 0
      (script "return document.querySelectorAll('img').length"))))

(define (test-moons path)
  (write-report (anneal (prior-target (two-moons-prior)) #:mass 'identity #:chains 60
                        #:step-size 0.1 #:temperatures '(2 1 0.3 0.1))
                path)
  (open! path)
  (let ((dots (lambda () (script "return document.querySelector('.dots').getAttribute('d')"))))
    (let ((last (dots)))
      (slide! "state" 0)
      (test-assert "points move with sigma" (not (string=? last (dots)))))))

(define script-text "(use-modules (tempera))
(define-experiment toy ((size 0.5 positive?) (way 'plain symbol?) (seed 1 exact-integer?))
  (save-png (run-path \"noise.png\") (random-normal '(4 6) seed) #:low -3 #:high 3)
  (for-each (lambda (k) (record-metrics! `((step . ,k) (loss . ,(/ size (+ 1 k)))))) (iota 5))
  (display \"</pre><script>document.title = 'taken'</script>\")
  `((psnr . ,(+ 20 size))))")

(define (choose! label value)
  (script "const s = [...document.querySelectorAll('.tool')]
  .find(t => t.textContent.startsWith(arguments[0])).querySelector('select');
s.value = arguments[1]; s.dispatchEvent(new Event('change'))" label value))

(define (test-run-and-sweep folder)
  (define (in name) (string-append folder "/" name))
  (save-text (in "toy.scm") script-text)
  (let* ((toy (load-script (in "toy.scm")))
         (sweep (make-sweep toy (grid #:size '(1 2 30) #:way '(plain odd))
                            #:directory (in "sweep"))))
    (with-output-to-string
      (lambda ()
        (run-experiment toy '() #:directory (in "run"))
        (for-each (lambda (name) (run-job sweep name)) '("0001" "0002" "0003" "0004" "0005"))))
    (open! (write-report (open-run (in "run")) (in "run")))
    (test-equal "a run's picture is shown" '#(6 4)
      (script "const i = document.querySelector('img'); return [i.naturalWidth, i.naturalHeight]"))
    (test-assert "its log is text"
      (member "</pre><script>document.title = 'taken'</script>" (texts "pre")))
    (test-equal "toy" (script "return document.title"))
    (open! (write-report sweep (in "sweep")))
    (test-equal "lines by the other parameter" '("way odd" "way plain")
      (take (texts ".legend button") 2))
    (test-equal "a cell for each point that has run" 5
      (script "return document.querySelectorAll('rect[tabindex]').length"))
    (choose! "Show" "seconds")
    (choose! "Over" "way")
    (settle)
    (test-equal "other results over another parameter" "seconds over way" (text ".chart h3"))
    (let ((psnr "th:nth-child(4) button"))
      (test-equal "psnr" (text psnr))
      (click (find-element psnr))
      (click (find-element psnr))
      (test-equal "sorted twice: the greatest first, what is missing last"
        '("50" "22" "22" "21" "21" "") (texts "tbody td:nth-child(4)")))
    (device! 360 #t)
    (test-equal "a sweep fits a phone" 360 (script "return document.documentElement.scrollWidth"))
    (device! 1280 #f)))

(define (luminance colour)
  ;; Of "rgb(r, g, b)", relative, as WCAG 2.1 has it.
  (apply + (map (lambda (weight text)
                  (let ((c (/ (string->number text) 255.)))
                    (* weight (if (<= c 0.03928) (/ c 12.92) (expt (/ (+ c 0.055) 1.055) 2.4)))))
                '(0.2126 0.7152 0.0722)
                (string-tokenize colour char-set:digit))))

(define (contrast a b)
  (let ((a (luminance a)) (b (luminance b)))
    (/ (+ (max a b) 0.05) (+ (min a b) 0.05))))

(define (test-contrast)
  (for-each
   (lambda (theme)
     (script "document.documentElement.dataset.theme = arguments[0]" theme)
     (for-each (lambda (selector ground)
                 (test-assert (format #f "~a: ~a is readable" theme selector)
                   (>= (contrast (colour-of selector "color") (colour-of ground "backgroundColor"))
                       4.5)))
               '("body" ".summary" "nav a" "dt" "button") '("body" "body" "body" "dl" "button")))
   '("light" "dark")))

(if (browser-missing)
    (format #t "skipped: ~a is not installed (./bootstrap installs it where it can)~%"
            (browser-missing))
    (call-with-temporary-directory
     (lambda (folder)
       (call-with-browser
        (lambda ()
          (device! 1280 #f)
          (test-chain (string-append folder "/chain.html"))
          (test-moons (string-append folder "/moons.html"))
          (test-run-and-sweep folder)
          (test-contrast)
          (test-equal "the console is silent" '() (console)))))))

(finish-tests)
