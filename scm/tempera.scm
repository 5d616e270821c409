;;; tempera.scm -- everything that a user calls, in one module: which names, and from where.
;;;
;;; What is in no list here is the house's own.  A name that is to be a user's is written here
;;; once, under its module, and documented there.

(define-module (tempera))

(define face
  '(((base documentation)
     described document)
    ((base errors)
     error-text check-that complain)
    ((base interrupts)
     last-paused)
    ((base numbers)
     mean significant)
    ((base progress)
     make-progress progress-finish! progress-update!)
    ((tensor primitives)
     <tape> <tensor> average-pool batch-normalisation chains-dot clear-gradient! complex-view
     conjugate-gradient convolution convolution-adjoint dense dsm-loss image-resample
     instruction-set keep! keep-always! leaky-relu list->tensor make-tape matrix-product max-pool
     memory-trim! memory-usage mri-adjoint mri-forward mri-normal peak-flops random-normal
     random-uniform real-view release! relu require-gradient! set-threads! tape-backward!
     tape-open? tensor* tensor+ tensor- tensor->list tensor->number tensor-abs tensor-alive?
     tensor-angle tensor-assign! tensor-atan2 tensor-axpby! tensor-broadcast tensor-concatenate
     tensor-conjugate tensor-copy tensor-cos tensor-dtype tensor-element tensor-exp
     tensor-finite? tensor-gradient tensor-identical? tensor-imag tensor-log tensor-max
     tensor-maximum tensor-mean tensor-min tensor-minimum tensor-negate tensor-power
     tensor-quantile tensor-real tensor-reshape tensor-round tensor-set-element! tensor-shape
     tensor-sign tensor-sin tensor-slice tensor-sqrt tensor-square tensor-sum tensor-sum-squares
     tensor-tanh tensor-transpose tensor-zeros tensor/ tensor< tensor? threads upsample
     wavelet-transform)
    ((tensor tensors)
     gradients linspace no-tape tensor-count tensor-ref tensor-set! tensor-size tensor-tabulate
     with-scope with-tape)
    ((file files)
     call-with-temporary-folder load-datum load-dicom load-image load-json load-nifti load-npy
     load-png load-safetensors load-volume make-directories program-exists? run-program
     save-datum save-json save-npy save-png save-safetensors save-text)
    ((file tables)
     csv->table load-table rows->table save-table table table->csv table-column table-columns
     table-filter table-group table-join table-rows table-select table-size table-sort table-text
     table-with table?)
    ((data data)
     data-add! data-add-tree! data-fetch! data-folder data-remove! dataset-persons dataset-scans
     dataset-split dataset? intensity-scale load-dataset random-slices scan-contrast scan-licence
     scan-name scan-person scan-session scan-shape scan-source scan-spacing scan-volume scan?
     smooth-phase top-intensity)
    ((data images)
     half-size image-magnitude image-part image-window magnitude-statistics montage psnr ssim)
    ((data quality)
     ms-ssim)
    ((problem compositions)
     adjoint-operator composed-operator scaled-operator stacked-operator sum-operator)
    ((problem masks)
     equispaced-mask random-mask)
    ((problem masses)
     diagonal-mass make-mass mass-draw mass-operand mass? normal-mass)
    ((problem measurements)
     check-kspace coil-coherence kspace-doubts)
    ((problem operators)
     adjoint-defect apply-adjoint apply-forward apply-normal fft2 fourier-multiply ifft2
     make-operator measure mri-operator normal-inverse operator-domain operator-name
     operator-normal-diagonal operator-range operator-restrict operator?)
    ((problem priors)
     learned? funnel-prior gaussian-mixture-prior gaussian-posterior gaussian-prior has-log-density?
     hybrid-prior log-density make-prior power-law? power-spectrum power-spectrum-by-size
     power-spectrum-of prior-draw prior-dtype prior-name prior-shape prior? score two-moons-prior)
    ((problem targets)
     make-target posterior prior-target target-dtype target-log-density target-masses target-name
     target-prior target-score target-shape target-start target?)
    ((net layers)
     <layer> batch-norm-layer convolution-layer convolution-precision dense-layer
     layer-parameters layer-sequence layer? make-layer parameter-count training?
     up-convolution-layer)
    ((net networks)
     scaled-score <network> <score-network> add-body! load-network network-description
     network-metadata network-parametrisation network-precision network-sigma-data network?
     save-network score-network score-network? shipped-priors)
    ((net profile)
     process-memory profile profile-flops profile-peak profile-rows profile-seconds profile-text
     profile? save-profile)
    ((net training)
     balanced-frequencies balanced-weight cap constant-rate denoising-losses make-trainer penalty
     projection sigma-draw sigma-log-uniform sigma-mixture sigma-normal spectral-norms train!
     trainer-averaged trainer-fork trainer-history trainer-kept-steps trainer-losses
     trainer-losses-by-sigma trainer-network trainer-note! trainer-resume! trainer-rewind!
     trainer-save trainer-step trainer? warmup-cosine warmup-stable-decay)
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
     chain-target chain-trace chain-transitions chain? denoise fork rewind!)
    ((sample chain-files)
     load-chain save-chain)
    ((sample chain-warnings)
     chain-warnings)
    ((sample diagnostics)
     autocorrelation-time band-acceptance band-diverged band-energy-error-mean
     band-energy-error-sd band-from band-proposals band-to band? diagnose diagnosis-bands
     diagnosis-summary diagnosis-warnings diagnosis? ess-bulk ess-per-evaluation ess-tail hold
     power-by-frequency r-hat r-hat-between score-asymmetry score-loss-by-frequency)
    ((sample kernel)
     kernel-mass kernel-next-sigma kernel-normal kernel-sampler kernel-score kernel-seed
     kernel-sigma kernel-step-size kernel-steps kernel-target kernel? make-kernel make-state
     propose state-evaluations state-number state-score state-sigma state-x state? transition
     transition-accepted transition-energy-error transition-evaluations transition-ratio
     transition-sigma transition-step-size transition-steps transition?)
    ((sample preview)
     preview preview-evaluations preview-rows preview-seconds preview-temperatures preview?
     stability-limit)
    ((sample samplers)
     hmc integrator-limit kinetic-energy langevin mala metropolis momentum-draw path-integral
     predictor-corrector probability-flow sampler-integrator trajectory)
    ((sample schedules)
     adaptive adaptive-from adaptive-ratio adaptive-until constant dual-averaging geometric
     linear log-linear piecewise power-law schedule->list schedule-append schedule-at
     schedule-between schedule-length schedule-map schedule-ref schedule-slice schedule-tabulate
     schedule?)
    ((sample settings)
     accepted-transitions default-temperatures langevin-schedule paper-schedule trajectory-time)
    ((sample simulations)
     annealed-sampler make-model model-noise model-operator model-prior model? simulate
     simulations-draws simulations-measurements simulations-model simulations-truths
     simulations?)
    ((method compressed-sensing)
     total-variation total-variation-of wavelet-reconstruction)
    ((method conditional)
     conditional-loss conditional-network conditional-network? conditional-target)
    ((method pairs)
     measured-slices)
    ((method plug-and-play)
     pnp-admm red)
    ((method updnet)
     magnitudes updnet updnet-loss updnet-reconstruction updnet?)
    ((method vae)
     latent-schedule vae vae-bound vae-decode vae-encode vae-images vae-latent vae-loss vae-noise
     vae-sample vae-size vae-target vae?)
    ((run experiments)
     define-experiment experiment-documentation experiment-name experiment-parameters
     experiment-procedure experiment-script experiment-settings experiment? load-script
     make-experiment)
    ((run points)
     grid integers log-uniform random-points sobol-points uniform)
    ((run recorders)
     record-metrics! run-path)
    ((run reruns)
     compare-runs comparison-differences comparison-files comparison-run comparison? rerun)
    ((run runs)
     list-runs open-run resume-run run-config run-differences run-directory run-error
     run-experiment run-log run-metrics run-outcome run-pictures run-result run-seconds
     run-setting run-state run?)
    ((run sweeps)
     halving job-directory job-name job-outcome job-point job-settings make-sweep open-sweep
     sweep-directory sweep-experiment sweep-jobs sweep-metrics sweep-points sweep-results sweep?)
    ((run training-runs)
     train-run!)
    ((run workers)
     continue-sweep sweep)
    ((see animations)
     save-animation)
    ((see calibration-report)
     calibrate-to coverage-chart rank-chart reliability-chart tarp-chart)
    ((see charts)
     chart chart? heat-chart overlay-charts save-charts series series?)
    ((see colours)
     colour-map-names)
    ((see comparison)
     chain-comparison-chains chain-comparison-differences chain-comparison-notes
     chain-comparison-r-hat chain-comparison-table chain-comparison? compare)
    ((see figures)
     panel panel? picture? posterior-panels save-figure)
    ((see plots)
     add-plot! charts charts-together plot)
    ((see reconstruction)
     reconstruct-to simulated-scan summary-table)
    ((see report)
     write-report)
    ((see show)
     add-view! show view)
    ((see table-charts)
     table-chart table-heat table-parallel)
    ((see watch)
     watch)
    ((shell help)
     add-help-topic! help help-search)))

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
