;;; answers.scm -- answers of `help' to common questions that no single name answers.

(define-module (tempera shell answers)
  #:export (answers))

(define answers
  ;; Title, text, and further words by which it is found.
  '(("Parallel imaging"
    "Multi-coil data (several coils, SENSE, GRAPPA, coil sensitivities): c64 (coils rows columns), 0 where
nothing was measured, or a raw file of ISMRMRD or fastMRI, multi-coil k-space as it is:

  tempera reconstruct kspace.npy prior=brain
  (reconstruct (load-scan \"scan.h5\") (load-network \"brain\") #:slice 5)

A SENSE reconstruction finds noise and whitens it, and sensitivities by ESPIRiT in the middle of k-space.
(help \"Several coils\") has its parts."
    "multi-coil multicoil parallel imaging SENSE GRAPPA sensitivities")
   ("Noise of a measurement"
    "How to estimate the noise, #:noise of `posterior': it is the standard deviation of the real and of the
imaginary part of k-space, each, on the scale where the image's white is 150.  tempera reconstruct
with noise=auto and `scan-measurement' take it from a noise scan, or from the edges of k-space y, c64 (coils
rows columns), as does

  (noise-deviation (noise-covariance y))

The mask is not to have thrown the edges away, nor a filter to have smoothed them: too little comes of
that.  A wrong noise shows in `diagnose' hardly, in residuals well: (tensor- (apply-forward op
(chain-mean chain)) y) is to be as large as the noise where it was measured."
    "estimate the noise level, what noise to give")
   ("Sampling from the prior"
    "Draw samples from the prior alone, without a measurement: (anneal (prior-target prior)) of an
exact prior, (anneal (prior-target net #:shape '(128 128))) of a network, then `chain-samples'
and `show'.  An exact prior has independent draws at once: (prior-draw prior 8)."
    "sample draw samples from a prior alone, unconditional, without data")
   ("K-space from NumPy, ISMRMRD, scanners"
    "Import raw k-space: `load-scan' reads ISMRMRD, fastMRI's HDF5, and k-space in npy, npz, MATLAB's
.mat, BART's .cfl or any HDF5 array, by slice, with coils, mask and header; a Siemens twix file has to go
through siemens_to_ismrmrd first.  In a file of several arrays FILE:/NAME is one of them.  All go to
tempera reconstruct as they are, with several coils too.

  numpy.save(\"kspace.npy\", fftshift(fft2(ifftshift(x), norm=\"ortho\")).astype(\"complex64\"))

is the convention; x is the complex image, 0 stands where nothing was measured.  Back to Python, MATLAB
or BART goes every result by `save-npy', `save-mat' or `save-cfl'."
    "import raw data Python MATLAB Siemens twix export")
   ("Radial, spiral, 3-D and dynamic data"
    "Non-Cartesian trajectories (radial, spiral, NUFFT), volumes in one piece and dynamic series are
not there: masks are columns or points of a Cartesian grid, images are single slices.  Reconstruct
slices one by one; grid a trajectory first; or give the forward map and its adjoint as an operator
of your own: (help \"Your own operator\")."
    "non-Cartesian NUFFT trajectory 3D volume cine")
   ("GPU and threads"
    "Everything runs on the processor's cores, by their widest vector instructions; a GPU is not used.
(help \"How fast\") says what bounds it; workers of `sweep' run several
experiments at a time."
    "CUDA graphics card cores parallel")
   ("How many chains, how long"
    "How many chains or samples, and how much time: the mean of C chains has the error s / sqrt(C) of
their deviation s, deviations are known to 1 / sqrt(2 C); 8 give a picture, 48 let R-hat be judged.
`preview' says before a run what it costs; ratios of temperatures nearer to 1 cool more slowly."
    "how many samples, how long does it take")
   ("Another contrast, size or organ"
    "Which prior suits knees, T2, other matrix sizes: brain.safetensors was trained on heads, and takes
images of any size in multiples of 8 at its scale, white 150.  Of what it never saw it is wrong
without knowing; hold out truths and calibrate (tempera calibrate), or train one: (help \"Training it\")."
    "other anatomy knee T2 matrix size resolution")
   ("Uncertainty, credible intervals"
    "Uncertainty maps, error bars, confidence, quantiles and probabilities of pixels: (tensor-quantile (tensor-abs
(chain-samples chain)) 0.05 0) and 0.95 are the ends of 90 % of each pixel; `chain-std' is the
deviation.  Intervals want samples: with fewer than 40 their ends are little but the extremes."
    "uncertainty map confidence interval error bars quantile probability")
   ("Warm-up, burn-in, NUTS"
    "There is no warm-up, or burn-in, to discard: cooling takes its place, and each chain gives one sample, its
state at the last temperature.  More draws of a chain at that temperature come from `hold'.  Step sizes
are given; (dual-averaging) tunes them while the chains cool.  NUTS is not there: trajectories have
the #:trajectory-length of `anneal'."
    "warm-up warmup burn-in burnin NUTS No-U-Turn discard")
   ("Leave the prompt"
    "Quit, exit: ,quit or Ctrl-D.  What was defined is gone; `save-chain', `save-npy' and
`save-network' keep it."
    "quit exit leave")
   ("Chains that reject or do not converge"
    "What to do where steps are too large, acceptance is low, chains did not converge or are stuck:
`diagnose' says at which temperature and what to change; `plot' draws acceptance by transition.  Smaller
steps, #:step-size of `anneal', or steps that tune themselves, (dual-averaging); slower cooling, a
ratio of `geometric' nearer to 1; other seeds, and `compare', tell whether chains agree.
(help \"Is it right?\") has more."
    "converge converged convergence step size too large low acceptance rejected stuck")
   ("Training a prior"
    "Train a network on your own images: `tempera data' prepares them, `tempera train' trains and writes
prior.safetensors, which `load-network' reads.  At the prompt `make-trainer' and `train!' do it
with every setting: (help \"Training it\")."
    "train training a network learn prior from own images")))
