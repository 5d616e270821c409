;;; test-slices.scm -- slices of a scan by processes of their own, killed and gone on with; and the volumes of them.

(use-modules (harness)
             (files)
             (srfi srfi-1) (srfi srfi-11)
             (ice-9 textual-ports)
             (tempera)
             ((tempera data scan-results) #:select (save-scan-results))
             ((tempera run slice-runs) #:select (slice-numbers)))

(start-tests "slices")

(test-equal "all" '(0 1 2) (slice-numbers 'me "all" 3))
(test-equal "some" '(1 2) (slice-numbers 'me "1-2" 3))
(test-equal "one" '(2) (slice-numbers 'me "2" 3))
(for-each (lambda (text)
            (test-error-matching text "slices: expected all, or FIRST-LAST from 0 to 3, got" (slice-numbers 'me text 4)))
          '("2-4" "3-1" "few" "1-2-3" "-1" ""))

(call-with-temporary-directory
 (lambda (directory)
   (setenv "XDG_CACHE_HOME" (string-append directory "/cache"))
   (chdir directory)
   (define size 16)
   (define field
     (tensor-abs (prior-draw (gaussian-prior (power-spectrum (list size size))) 4 #:seed 3)))
   (define mask (random-mask size #:acceleration 2 #:seed 1))
   (define y (measure (mri-operator #:mask mask) (simulated-scan (tensor-reshape (tensor-slice field 0 0 1) (list size size)))
                      #:noise 1 #:seed 1))
   (save-network "net.safetensors" (score-network '(paper-unet #:channels (2 4) #:blocks 1)))

   ;; Each slice once, however often all is killed, to the same bits, one or two at a time.
   (save-hdf5 "scan.h5" `(("kspace" . ,(tensor-concatenate
                                        (map (lambda (k) (tensor-reshape (tensor* (* 1e-6 (+ 2 k)) y) (list 1 size size)))
                                             (iota 4))
                                        0))
                          ("mask" . ,mask)))
   (define (of-slice run number file) (format #f "~a/slices/points/slice-000~a/~a" run number file))
   (let* ((of-scan "tempera reconstruct scan.h5 noise=1 prior=net.safetensors chains=2 ratio=0.9 slices=1-3")
          (killed (string-append of-scan " workers=2 --out=killed"))
          (volume (lambda (name) (load-hdf5 (string-append "killed/reconstruction.h5:/" name)))))
     (check-shell "slices" 0 "(3 of 3, 0:00 left)" of-scan "workers=1 --out=alone")
     ;; With the driver die its workers, in the middle of slices or between two.
     (for-each (lambda (file)
                 (check-shell (string-append "killed after " file) 137 ""
                        killed ">/dev/null 2>&1 & p=$!; until test -s" file "|| ! kill -0 $p; do sleep 0.02; done; kill -9 $p; \
wait $p 2>/dev/null"))
               (list (of-slice "killed" 1 "metrics.csv") (of-slice "killed" 1 "summary.json")))
     (rename-file (of-slice "killed" 1 "samples.npy") "kept.npy")
     (check-shell "gone on with" 0 "killed: reconstruction.h5" killed)
     (test-assert "what was done is not done again" (not (file-exists? (of-slice "killed" 1 "samples.npy"))))
     (rename-file "kept.npy" (of-slice "killed" 1 "samples.npy"))
     (for-each (lambda (file)
                 (test-assert (string-append "the same bits of " file)
                   (equal? (read-bytes (string-append "alone/" file)) (read-bytes (string-append "killed/" file)))))
               '("metrics.csv" "reconstruction.h5" "slices/points/slice-0001/samples.npy" "slices/points/slice-0003/samples.npy"))
     (test-equal "compared as runs" '() (comparison-differences (compare-runs (open-run "alone") (open-run "killed"))))
     (test-equal "a row for each" '(1 2 3) (table-column (run-metrics (open-run "killed")) 'slice))
     (let ((summary (load-json (of-slice "killed" 3 "summary.json"))))
       (test-equal "the volume" (list 3 size size) (tensor-shape (volume "reconstruction")))
       ;; The last slice is 5/3 of the first: in the units of the file, on one scale.
       (test-assert "in the units of the file"
         (same? (tensor-reshape (tensor-copy (tensor-slice (volume "reconstruction") 0 2 3)) (list size size))
                (tensor/ (load-npy (of-slice "killed" 3 "mean.npy")) (assoc-ref summary "scale"))))
       (test-equal "on one scale" (assoc-ref summary "scale")
         (assoc-ref (load-json (of-slice "killed" 1 "summary.json")) "scale"))))
   (check-shell "a slice and slices" 1 "slices: expected none beside slice" "tempera reconstruct scan.h5 \
prior=net.safetensors slices=all slice=1 --out=none")
   (check-shell "slices that are not there" 1 "slices: expected all, or FIRST-LAST from 0 to 3, got 2-4" "tempera reconstruct scan.h5 \
prior=net.safetensors slices=2-4 --out=beyond")
   (save-npy "maps.npy" (random-normal '(1 8 8) 1 0 'c64))
   (check-shell "slices that fail" 1 "1 of 1 slices failed: slice-0002; slice-0002: scan-measurement: sensitivities:" "tempera reconstruct scan.h5 \
prior=net.safetensors slices=2 noise=1 sensitivities=maps.npy scale=1 --out=failed")

   ;; Slices of a volume of images, at their place in it and in its units: here from the back to the front, as IPL is from
   ;; above to below.
   (save-nifti "head.nii.gz" (tensor* 1000 field) #:affine '((2 0 0 -9) (0 2 0 4) (0 0 3 7)))
   (check-shell "slices of images" 0 "n: mean.nii.gz std.nii.gz" "tempera reconstruct head.nii.gz simulate=yes acceleration=1 \
noise=0.1 prior=net.safetensors chains=2 ratio=0.8 slices=1-2 --out=n")
   (let-values (((mean spacing orientation affine) (load-nifti "n/mean.nii.gz")))
     (test-equal "their place" '((-2 0 0 21) (0 -2 0 34) (0 0 -3 13))
       (map (lambda (row) (map (compose inexact->exact round) row)) affine))
     (let ((truth (tensor-slice (load-image "head.nii.gz") 0 1 3)))
       ;; Measured whole with noise of 0.1 of 150.
       (test-approximate "their units" 1 (/ (tensor->number (tensor-sum mean)) (tensor->number (tensor-sum truth))) 0.1)))

   ;; Along a trajectory, which measures all of k-space but its corners.
   (let* ((spokes (radial-trajectory 32 32 16))
          (truth (simulated-scan (tensor-reshape (tensor-copy (tensor-slice field 0 1 2)) (list size size))))
          (seen (lambda (op) (measure op truth #:noise 0.5 #:seed 1)))
          (radial (nufft-operator #:trajectory spokes #:shape (list size size)))
          (maps (simulated-sensitivities 3 (list size size)))
          (disc (tensor-tabulate (list size size) (lambda (i j) (if (< (+ (expt (- i 8) 2) (expt (- j 8) 2)) 49) 1 0))))
          (part (lambda (image) (tensor* disc (fft2 image))))
          (error-of (lambda (run)
                      (let ((mean (tensor/ (tensor-mean (load-npy (string-append run "/samples.npy")) 0)
                                           (assoc-ref (load-json (string-append run "/summary.json")) "scale"))))
                        (sqrt (/ (tensor->number (tensor-sum-squares (tensor- (part mean) (part truth))))
                                 (tensor->number (tensor-sum-squares (part truth))))))))
          (settings "trajectory=spokes.npy noise=0.5 prior=net.safetensors chains=4 ratio=0.8"))
     (save-npy "spokes.npy" spokes)
     (save-npy "maps.npy" maps)
     (save-npy "one.npy" (seen radial))
     (save-npy "three.npy" (seen (sense-operator maps radial)))
     (check-shell "along a trajectory" 0 "one: mean.npy" "tempera reconstruct one.npy" settings "--out=one")
     (check-shell "with coils" 0 "three: mean.npy" "tempera reconstruct three.npy sensitivities=maps.npy" settings "--out=three")
     (for-each (lambda (run)
                 (test-equal "as wide as the trajectory goes" (list size size) (tensor-shape (load-npy (string-append run "/mean.npy"))))
                 (test-assert (format #f "~a: the image inside of it, but for ~a" run (error-of run)) (< (error-of run) 0.05)))
               '("one" "three")))

   ;; The formats that results have.
   (define (results input scan numbers)
     (save-scan-results input scan numbers
                        `(("mean" . ,(lambda (k) (tensor+ k (tensor-zeros (take-right (if scan (raw-scan-shape scan) '(6 5)) 2)))))
                          ("std" . ,(const (tensor-zeros (take-right (if scan (raw-scan-shape scan) '(6 5)) 2)))))
                        #:path-of identity))
   (define three (random-normal '(3 6 5) 1 0 'c64))
   (for-each (lambda (input expected)
               (save-image input three)
               (test-equal input expected (results input (load-scan input #:first-axis 'slices) '(1 2)))
               (test-equal (string-append input ": the volume") '(2 6 5) (tensor-shape (load-image (first expected)))))
             '("k.npy" "k.mat" "k.npz")
             '(("mean.npy" "std.npy") ("mean.mat" "std.mat") ("mean.npz" "std.npz")))
   (define header "<ismrmrdHeader xmlns='http://www.ismrm.org/ISMRMRD'><encoding><encodedSpace><matrixSize>\
<x>8</x><y>6</y><z>1</z></matrixSize><fieldOfView_mm><x>40</x><y>30</y><z>5</z></fieldOfView_mm></encodedSpace>\
<reconSpace><matrixSize><x>4</x><y>4</y><z>1</z></matrixSize><fieldOfView_mm><x>20</x><y>20</y><z>5</z>\
</fieldOfView_mm></reconSpace></encoding></ismrmrdHeader>")
   (save-hdf5 "knee.h5" `(("kspace" . ,(random-normal '(3 2 8 6) 1 0 'c64)) ("ismrmrd_header" . ,header)))
   (test-equal "fastMRI" '("reconstruction.h5") (results "knee.h5" (load-scan "knee.h5") '(0 1 2)))
   (test-equal "cropped as the header says" '(3 4 4) (tensor-shape (load-hdf5 "reconstruction.h5:/reconstruction")))
   (test-equal "with the header" header (assoc-ref (hdf5-facts "reconstruction.h5") "ismrmrd_header"))
   (when (python-has? "numpy" "h5py")
     (save-text "header.xml" header)
     (apply run-python directory
            (append ismrmrd-writer
                    '("for s in range(3):"
                      "    for c in range(6):"
                      "        add(np.ones((2, 8), 'c8'), c, s)"
                      "        h = rows[-1]['head']; h['position'] = (10, 20, 30 + 6 * s)"
                      "        h['read_dir'] = (0, 1, 0); h['phase_dir'] = (1, 0, 0); h['slice_dir'] = (0, 0, 1)"
                      "write('scan.mrd.h5', open('header.xml').read())")))
     (let ((scan (load-scan "scan.mrd.h5")))
       ;; Rows towards posterior, columns towards left, 5 mm each, slices 6 mm apart towards superior; the pixel in the
       ;; middle, (2, 3), is at the position, which is 10 to the left and 20 to posterior.
       (test-equal "ISMRMRD's place" '((-5 0 0 5) (0 -5 0 -10) (0 0 6 30))
         (map (lambda (row) (map (compose inexact->exact round) row)) (assq-ref (raw-scan-facts scan) 'affine)))
       (test-equal "ISMRMRD becomes NIfTI" '("mean.nii.gz" "std.nii.gz") (results "scan.mrd.h5" scan '(1 2)))
       (let-values (((mean spacing orientation affine) (load-nifti "mean.nii.gz")))
         (test-equal "cropped to its view" '(2 4 4) (tensor-shape mean))
         (test-equal "and placed" '((-5 0 0 0) (0 -5 0 -10) (0 0 6 36))
           (map (lambda (row) (map (compose inexact->exact round) row)) affine))))
     (when (python-has? "nibabel")
       (run-python directory
                   "import nibabel; print(*(nibabel.load('mean.nii.gz').affine[:3].ravel() + 0), file=open('affine.txt', 'w'))")
       (test-equal "as nibabel reads it" "-5.0 0.0 0.0 0.0 0.0 -5.0 0.0 -10.0 0.0 0.0 6.0 36.0\n" (call-with-input-file "affine.txt" get-string-all))))))

(finish-tests)
