;;; tempera.scm -- everything that a user calls, in one module: which names, and from where.
;;;
;;; What is in no list here is the house's own.  A name that is to be a user's is written here
;;; once, under its module, and documented there.  A module without names adds kinds of objects to
;;; a verb.

(define-module (tempera))

(define face
  '(((base documentation)
     described document)
    ((base errors)
     error-text check-that complain)
    ((base interrupts)
     last-paused)
    ((base numbers)
     mean significant timed)
    ((base process)
     process-memory)
    ((base progress)
     make-progress progress-finish! progress-update!)
    ((tensor primitives)
     <tape> <tensor> average-pool batch-normalisation chains-dot clear-gradient! complex-view
     conjugate-gradient convolution convolution-adjoint dense dsm-loss group-normalisation
     image-resample instruction-set keep! keep-always! leaky-relu list->tensor make-tape matrix-product max-pool
     memory-trim! memory-usage mpi-exchanged mpi-rank mpi-size mri-adjoint mri-forward nufft-adjoint nufft-density nufft-forward peak-flops pixel-shuffle
     pixel-unshuffle random-normal random-uniform real-view release! relu require-gradient!
     self-attention set-threads! silu tape-backward!
     tape-open? tensor* tensor+ tensor- tensor->list tensor->number tensor-abs tensor-alive?
     tensor-angle tensor-assign! tensor-atan2 tensor-axpby! tensor-broadcast tensor-concatenate
     tensor-conjugate tensor-copy tensor-cos tensor-dtype tensor-element tensor-exp
     tensor-finite? tensor-gradient tensor-identical? tensor-imag tensor-log tensor-max
     tensor-maximum tensor-mean tensor-min tensor-minimum tensor-negate tensor-power
     tensor-quantile tensor-real tensor-reshape tensor-round tensor-set-element! tensor-shape
     tensor-sign tensor-sin tensor-slice tensor-sqrt tensor-square tensor-sum tensor-sum-squares
     tensor-tanh tensor-transpose tensor-zeros tensor/ tensor< tensor? threads toeplitz-multiply
     toeplitz-table upsample
     wavelet-transform)
    ((tensor tensors)
     gradients linspace no-tape tensor-count tensor-ref tensor-set! tensor-size tensor-tabulate
     with-scope with-tape)
    ((file bart) load-cfl save-cfl)
    ((file dicom) load-dicom)
    ((file fits) fits-value load-fits save-fits)
    ((file formats) load-image load-kspace load-npy load-volume save-image save-npy)
    ((file hdf5) hdf5-arrays hdf5-facts load-hdf5 save-hdf5)
    ((file members) load-mat load-npz save-mat save-npz)
    ((file paths) call-with-temporary-folder make-directories save-text)
    ((file pictures) load-png load-tiff save-png save-tiff)
    ((file programs) program-exists? run-program)
    ((file safetensors) load-safetensors save-safetensors)
    ((file tables)
     csv->table load-table rows->table save-table table table->csv table-column table-columns
     table-filter table-group table-join table-rows table-select table-size table-sort table-text
     table-with table?)
    ((file values) load-datum load-json save-datum save-json)
    ((file volumes) load-mgh load-nifti save-mgh save-nifti volume-affine)
    ((data conversion) convert-file)
    ((data data) data-add! data-add-tree! data-remove!)
    ((data dataset)
     data-folder dataset-persons dataset-scans dataset-split dataset? load-dataset scan-contrast
     scan-licence scan-name scan-person scan-session scan-shape scan-source scan-spacing
     scan-volume scan?)
    ((data fetch) data-fetch!)
    ((data file-info) file-info)
    ((data images) half-size image-magnitude image-part image-window magnitude-statistics montage)
    ((data noise) mix-coils noise-covariance noise-deviation whitening-matrix)
    ((data quality) fastmri-psnr fastmri-ssim ms-ssim nmse psnr ssim)
    ((data raw-scans)
     load-scan raw-scan-facts raw-scan-kspace raw-scan-mask raw-scan-noise raw-scan-path raw-scan-shape
     raw-scan-source raw-scan-trajectory raw-scan? scan-pattern)
    ((data scans) intensity-scale simulated-scan smooth-phase top-intensity)
    ((data slices) random-slices scan-slice)
    ((data trajectories) density-compensation load-trajectory radial-trajectory spiral-trajectory)
    ((problem coils)
     compress-coils espirit sense-operator sensitivities simulated-sensitivities)
    ((problem compositions)
     adjoint-operator composed-operator scaled-operator stacked-operator sum-operator)
    ((problem gaussian)
     gaussian-posterior gaussian-prior hybrid-prior power-law? power-spectrum
     power-spectrum-by-size power-spectrum-of)
    ((problem inverse-problems)
     make-problem problem-dtype problem-hottest problem-likelihoods problem-load problem-measurement problem-prior problem-settings
     problem-simulation problem-white
     problem?)
    ((problem kspace) coil-coherence kspace-doubts)
    ((problem likelihoods)
     has-likelihood-density? likelihood-curvature likelihood-data likelihood-draw likelihood-log-density likelihood-name
     likelihood-operator likelihood-score likelihood-start likelihood? magnitude-likelihood make-likelihood
     poisson-likelihood student-t-likelihood)
    ((problem masks)
     caipirinha-mask equispaced-mask gaussian-mask load-mask partial-fourier poisson-mask random-mask)
    ((problem masses)
     diagonal-mass make-mass mass-draw mass-operand mass? normal-mass)
    ((problem measurements)
     measurement measurement-data measurement-noise measurement-operator measurement? zero-filled)
    ((problem mixtures) funnel-prior gaussian-mixture-prior two-moons-prior)
    ((problem blurs)
     bicubic-kernel blur-operator box-kernel fourier-operator gaussian-kernel motion-kernel strided-blur-operator)
    ((problem operator-checks) check-operator operator-check-faults operator-check?)
    ((problem pixels)
     crop-operator decimation-operator denoising-operator inpainting-operator pad-operator random-pixels)
    ((problem shear) kaiser-squires shear-operator)
    ((problem sky) angular-power-of angular-power-spectrum convergence-theory log-normal-fields)
    ((problem nufft) nufft-operator)
    ((problem operators)
     adjoint-defect apply-adjoint apply-approximate-inverse apply-forward apply-normal fft2 fourier-multiply ifft2
     make-operator measure mri-operator normal-inverse operator-domain operator-inverse-name operator-mask operator-name
     operator-normal-diagonal operator-normal-function operator-range operator-restrict operator?)
    ((problem priors)
     greatest-sigma has-log-density? image-dtype learned? log-density make-prior prior-draw prior-dtype prior-name
     prior-scale prior-shape prior? score sigma-range white-level)
    ((problem radon) enough-detectors projection-angles radon-operator)
    ((problem scan-measurements) scan-measurement)
    ((problem targets)
     denoise make-target posterior prior-target target-dtype target-gaussian-likelihood? target-likelihood-score
     target-log-density target-masses target-name target-prior target-prior-alone? target-score
     target-shape target-start target-start-name target?)
    ((problem wiener) wiener-draws wiener-filter)
    ((net averages) power-average)
    ((net bodies) any-size make-body)
    ((net tiles) tile-side)
    ((net drunet) drunet)
    ((net edm-unet) edm-unet)
    ((net checkpoints)
     trainer-resume! trainer-save)
    ((net layers)
     <layer> attention-layer batch-norm-layer convolution-layer convolution-precision dense-layer
     group-norm-layer layer-parameters layer-sequence layer? make-layer noise-embedding
     parameter-count training? up-convolution-layer)
    ((net learned-weights) learned-weight)
    ((net losses)
     balanced-frequencies balanced-weight denoising-losses)
    ((net networks)
     <network> network-metadata network? set-prior-scale!)
    ((net noise-levels)
     largest-distance sigma-draw sigma-log-uniform sigma-mixture sigma-normal)
    ((net profile)
     profile profile-flops profile-peak profile-rows profile-seconds profile-text
     profile? save-profile)
    ((net rates)
     constant-rate warmup-cosine warmup-stable-decay)
    ((net score-networks)
     <score-network> add-body! network-description network-parametrisation network-precision
     network-sigma-data scaled-score score-network score-network?)
    ((net spectral-norms)
     cap penalty projection spectral-norms)
    ((net trainer)
     make-trainer trainer-averaged trainer-fork trainer-history trainer-images trainer-kept-steps
     trainer-losses trainer-losses-by-sigma trainer-network trainer-rewind! trainer-skipped trainer-step
     trainer-weight trainer?)
    ((net trainer-history)
     trainer-note!)
    ((net training)
     train!)
    ((net unets) code-unet moons-mlp paper-unet)
    ((sample adaptation)
     adapt adapt-to-state adaptation-finished? adaptation-sigma adapted-kernel initial-adaptation)
    ((sample anneal)
     anneal chain-ahead resume! start-chain)
    ((sample calibration)
     coverage covered-share least-p log-likelihood-quantity projection-quantity rank-test-bins
     rank-test-chi-square rank-test-greatest rank-test-name rank-test-p rank-test-ranks
     rank-test? reliability reliability-bins reliability-correlation reliability-intercept
     reliability-ratio reliability-slope reliability? sbc squared-norm-quantity tarp tarp-area
     tarp-curve tarp-test tarp?)
    ((sample chain)
     chain-acceptance chain-adaptation chain-evaluations chain-finished? chain-mean chain-rules
     chain-sampler chain-samples chain-settings chain-sigma chain-state chain-states chain-std
     chain-target chain-trace chain-transitions chain? fork rewind!)
    ((sample chain-files)
     load-chain save-chain)
    ((sample chain-warnings)
     chain-warnings)
    ((sample diagnostics)
     autocorrelation-time band-acceptance band-diverged band-energy-error-mean
     band-energy-error-sd band-from band-proposals band-to band? diagnose diagnosis-bands
     diagnosis-summary diagnosis-warnings diagnosis? ess-bulk ess-per-evaluation ess-tail hold
     r-hat r-hat-between)
    ((sample kernel)
     by-chain draw-for kernel-mass kernel-next-sigma kernel-normal kernel-prior-score kernel-sampler kernel-score
     kernel-seed kernel-sigma kernel-step-size kernel-steps kernel-target kernel? make-kernel make-state
     propose state-evaluations state-number state-score state-sigma state-x state? transition
     transition-accepted transition-energy-error transition-evaluations transition-ratio
     transition-sigma transition-step-size transition-steps transition?)
    ((sample learned-scores)
     power-by-frequency score-asymmetry score-loss-by-frequency validation)
    ((sample nearest-distances)
     nearest-distances nearest-distances-held-out nearest-distances-indices nearest-distances-p
     nearest-distances-samples nearest-distances-verdict nearest-distances?)
    ((sample preview)
     preview preview-evaluations preview-rows preview-seconds preview-temperatures preview?
     stability-limit)
    ((sample samplers)
     hmc integrator-limit kinetic-energy langevin mala metropolis momentum-draw path-integral
     sampler-integrator trajectory)
    ((sample schedules)
     adaptive adaptive-from adaptive-ratio adaptive-until constant dual-averaging geometric
     linear log-linear piecewise power-law schedule->list schedule-append schedule-at
     schedule-between schedule-length schedule-map schedule-ref schedule-slice schedule-tabulate
     schedule?)
    ((sample score-density)
     bits-per-dimension denoising-log-density flow-log-density)
    ((sample settings)
     accepted-transitions default-temperatures langevin-schedule paper-schedule trajectory-time)
    ((sample simulations)
     annealed-sampler make-model model-noise model-operator model-prior model? prior-samples simulate
     simulations-draws simulations-measurements simulations-model simulations-truths
     simulations?)
    ((sample summaries)
     exceedance log-odds region-mean sample-quantile spread-by-frequency)
    ((sample transport)
     predictor-corrector probability-flow reverse-diffusion split-gibbs)
    ((sample two-samples)
     energy-test energy-test-distance energy-test-p energy-test? magnitude-shares)
    ((method compressed-sensing)
     total-variation total-variation-of wavelet-reconstruction)
    ((method conditional)
     conditional-loss conditional-network conditional-network? conditional-target)
    ((method network-files)
     load-network save-network shipped-priors)
    ((method pairs)
     measured-slices)
    ((method plug-and-play)
     pnp-admm red)
    ((method torch-weights)
     load-torch-weights! torch-name)
    ((method updnet)
     magnitudes updnet updnet-loss updnet-reconstruction updnet?)
    ((method vae)
     latent-schedule vae vae-bound vae-decode vae-encode vae-images vae-latent vae-loss vae-noise
     vae-sample vae-size vae-target vae?)
    ((run costs)
     cost-disk cost-memory cost-processor-seconds cost-seconds cost? estimate)
    ((run experiments)
     define-experiment experiment-documentation experiment-name experiment-parameters
     experiment-procedure experiment-script experiment-settings experiment-trials experiment? load-script
     make-experiment)
    ((run points)
     grid integers log-uniform random-points sobol-points uniform)
    ((run recorders)
     record-metrics! run-path)
    ((run reruns)
     compare-runs comparison-differences comparison-files comparison-run comparison? rerun)
    ((run runs)
     list-runs open-run resume-run run-config run-differences run-directory run-error
     run-experiment run-log run-memory run-metrics run-outcome run-pictures run-result run-seconds
     run-setting run-state run?)
    ((run sweeps)
     halving job-directory job-name job-outcome job-point job-settings make-sweep open-sweep
     sweep-directory sweep-experiment sweep-jobs sweep-metrics sweep-points sweep-results sweep?)
    ((run training-runs)
     run-validation train-run!)
    ((run workers)
     continue-sweep sweep)
    ((see animations)
     save-animation)
    ((see calibration-report)
     calibrate-to coverage-chart rank-chart reliability-chart tarp-chart)
    ((see charts)
     chart chart? heat-chart overlay-charts series series?)
    ((see colours)
     colour-map-names)
    ((see comparison)
     chain-comparison-chains chain-comparison-differences chain-comparison-notes
     chain-comparison-r-hat chain-comparison-table chain-comparison? compare)
    ((see figures)
     panel panel? picture? posterior-panels save-figure)
    ((see gnuplot)
     save-charts)
    ((see plots)
     add-plot! charts charts-together plot)
    ((see prior-card)
     prior-card-to)
    ((see reconstruction)
     reconstruct reconstruct-to summary-table)
    ((see report chain))
    ((see report registry)
     write-report)
    ((see report run))
    ((see report sweep))
    ((see show)
     add-view! show view)
    ((see table-charts)
     table-chart table-heat table-parallel)
    ((see validation-charts)
     validation-charts)
    ((see watch)
     watch)
    ((shell help)
     add-help-topic! help help-search)
    ((shell problems)
     define-problem problem problem-names)))

(let ((interface (module-public-interface (current-module))))
  (for-each
   (lambda (entry)
     (let ((module (resolve-interface `(tempera ,@(car entry)))))
       ;; Into the interface itself, so that (use-modules ((tempera) #:select ...)) finds it.
       (for-each (lambda (name)
                   (module-add! interface name
                                (or (module-variable module name)
                                    (error "(tempera): not exported:" (car entry) name))))
                 (cdr entry))))
   face))
