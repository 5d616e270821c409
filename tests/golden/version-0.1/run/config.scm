((format . 1)
 (experiment . toy)
 (settings (n . 4))
 (inputs)
 (script . "/tmp/golden/make.scm")
 (script-hash
   .
   "sha256-98b8dd7bb6d59b2b55739136ad70a5ca4fe2bf2831ab94d8d4bdb808a6d02e9a")
 (module . #f)
 (commit . #f)
 (folder . "/tmp/golden")
 (command
   "tempera"
   "run"
   "--out=run"
   "make.scm"
   "n=4")
 (started . "2026-11-28T23:57:58Z")
 (version . "0.1.0")
 (libraries
   ("guile" . "3.0.8")
   ("openblas"
    .
    "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Cooperlake MAX_THREADS=64")
   ("fftw" . "fftw-3.3.10-sse2-avx")
   ("gsl" . "2.7.1")
   ("png" . "1.6.39")
   ("zlib" . "1.2.13"))
 (host . "host")
 (system . "Linux")
 (processor . "AMD EPYC")
 (instruction-set . v4-bf16)
 (threads . 2))
; crc32 6330a8fe
