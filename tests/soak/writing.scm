;;; writing.scm -- what soak.scm stops, starves and kills: a run that writes files of every kind.

(use-modules (tempera))

(define-experiment writing ((n 6 positive?)) "Writes metrics, arrays, pictures, a table and a report."
  (let* ((prior (gaussian-prior (power-spectrum '(16 16))))
         (op (mri-operator #:mask (random-mask 16 #:acceleration 2 #:seed 1)))
         (scan (tensor-reshape (prior-draw prior 1 #:seed 3) '(16 16))))
    (reconstruct-to (run-path) prior (measurement op (measure op scan #:noise 1 #:seed 1) #:noise 1)
                    #:chains 3 #:truth scan #:checkpoint (run-path "chain.safetensors")
                    #:settings (list #:temperatures (geometric 20 #:ratio 0.8 #:until 1))
                    #:hook (lambda (chain)
                             (record-metrics! `((sigma . ,(chain-sigma chain))
                                                (accepted . ,(chain-acceptance chain))))))
    (save-table (run-path "table.csv") (table '(a b) '((1 2) (3 4))))
    (save-charts (run-path "chart.png") (list (chart "a" (list (series 'line '((0 0) (1 1)))))))
    (save-hdf5 (run-path "a.h5") `(("scan" . ,scan)))
    (save-npz (run-path "a.npz") `(("scan" . ,scan)))
    n))
