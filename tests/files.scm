;;; files.scm -- what the tests of file formats share: bytes, Debian's Python, files that are cut and damaged.

(define-module (files)
  #:use-module (srfi srfi-1)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 popen)
  #:use-module (ice-9 textual-ports)
  #:use-module (rnrs bytevectors)
  #:use-module (tempera tensor primitives)
  #:export (same? read-bytes write-bytes python-has? run-python try-damaged ismrmrd-writer))

(define (same? a b) (tensor-identical? a b))

(define (read-bytes path) (call-with-input-file path get-bytevector-all #:binary #t))

(define (write-bytes path bytes)
  (call-with-output-file path (lambda (port) (put-bytevector port bytes)) #:binary #t))

(define python "/usr/bin/python3")

(define (python-has? . packages)
  ;; Whether Debian's Python has PACKAGES; what is missing is said.
  (let ((there? (and (file-exists? python)
                     (zero? (system* python "-c"
                                     (format #f "import importlib.util, sys; \
sys.exit(not all(importlib.util.find_spec(p) for p in '~a'.split()))" (string-join packages)))))))
    (unless there? (format #t "left out, since Python lacks one of ~a~%" (string-join packages)))
    there?))

(define (run-python folder . lines)
  ;; What the program LINES prints, run in FOLDER.
  (let* ((port (open-pipe* OPEN_READ python "-c"
                           (string-append "import os; os.chdir('" folder "')\n" (string-join lines "\n"))))
         (text (get-string-all port)))
    (unless (zero? (status:exit-val (close-pipe port)))
      (error "the Python program fails" lines))
    (string-trim-right text)))

(define (try-damaged path whole use)
  ;; USE of PATH raises nothing but errors of ours, with the bytes of WHOLE cut at 40 places and with one
  ;; of them changed at 400; whether it does.
  (let* ((length (bytevector-length whole))
         (fine? (lambda (bytes)
                  (write-bytes path bytes)
                  (catch #t
                    (lambda () (use path) #t)
                    (lambda (key . _) (eq? key 'tempera-error)))))
         (cut (lambda (count)
                (let ((part (make-bytevector count)))
                  (bytevector-copy! whole 0 part 0 count)
                  part)))
         (changed (lambda (k)
                    (let* ((other (bytevector-copy whole))
                           (place (if (even? k) (modulo (* k 7919) length) (modulo (* 3 k) (min length 1200)))))
                      (bytevector-u8-set! other place
                                          (logxor (bytevector-u8-ref whole place) (1+ (modulo (* 37 k) 255))))
                      other))))
    (and (every (lambda (k) (fine? (cut (quotient (* k length) 40)))) (iota 40))
         (every (lambda (k) (fine? (changed k))) (iota 400)))))

(define ismrmrd-writer
  ;; Lines of Python: (add data ...) appends an acquisition, data (coils samples), and (write name header)
  ;; makes the file of them.
  '("import numpy as np, h5py"
    "idx = np.dtype([(n, '<u2') for n in 'kspace_encode_step_1 kspace_encode_step_2 average slice contrast phase repetition set segment'.split()] + [('user', '<u2', 8)])"
    "head = np.dtype(dict(names='version flags measurement_uid scan_counter acquisition_time_stamp physiology_time_stamp number_of_samples available_channels active_channels channel_mask discard_pre discard_post center_sample encoding_space_ref trajectory_dimensions sample_time_us position read_dir phase_dir slice_dir patient_table_position idx user_int user_float'.split(),"
    "  formats=['<u2','<u8','<u4','<u4','<u4',('<u4',3),'<u2','<u2','<u2',('<u8',16),'<u2','<u2','<u2','<u2','<u2','<f4']+[('<f4',3)]*5+[idx,('<i4',8),('<f4',8)]))"
    "vlen = h5py.vlen_dtype(np.dtype('<f4')); acq = np.dtype([('head', head), ('traj', vlen), ('data', vlen)])"
    "rows = []"
    "def add(data, step=0, slice=0, flags=0, average=0, step2=0, center=4, traj=None):"
    "    a = np.zeros(1, acq); h = a['head']; h['flags'] = flags; h['number_of_samples'] = data.shape[1]; h['active_channels'] = data.shape[0]; h['center_sample'] = center"
    "    h['idx']['kspace_encode_step_1'] = step; h['idx']['kspace_encode_step_2'] = step2; h['idx']['slice'] = slice; h['idx']['average'] = average"
    "    if traj is not None: h['trajectory_dimensions'] = traj.shape[1]"
    "    a['traj'][0] = np.zeros(0, 'f4') if traj is None else traj.astype('f4').ravel(); a['data'][0] = np.ascontiguousarray(data.astype('c8')).view('f4').ravel(); rows.append(a)"
    "def write(name, header):"
    "    f = h5py.File(name, 'w'); d = f.create_dataset('dataset/data', (len(rows),), acq, maxshape=(None,))"
    "    for i, a in enumerate(rows): d[i] = a[0]"
    "    f.create_dataset('dataset/xml', data=np.array([header], dtype=object), dtype=h5py.string_dtype()); f.close()"))
