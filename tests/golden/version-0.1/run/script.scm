(use-modules (tempera))
(define-experiment toy ((n 3 positive? "rows")) "Rows of metrics."
  (let loop ((k 1))
    (when (<= k n)
      (record-metrics! `((step . ,k) (loss . ,(/ 1.0 k))))
      (loop (+ k 1))))
  (save-npy (run-path "x.npy") (list->tensor '(1 2 3)))
  `((loss . 0.25) (n . ,n)))
