/* diagnostics.h -- have the chains converged, and how much do their draws tell?
 *
 * Vehtari, Gelman, Simpson, Carpenter, Buerkner: Rank-normalization, folding, and
 * localization: an improved R-hat for assessing convergence of MCMC (Bayesian
 * Analysis 16, 2021).  Equations are that paper's.
 *
 * DRAWS is f32 or c64 (S C ...): S draws of each of C chains of anything.  The result is
 * f32 (...), a number for each quantity; a complex one counts as its real and its
 * imaginary part, of which the worse is given.  Chains are split into halves (of an odd
 * number of draws the middle one is left out), so that a chain that drifts disagrees with
 * itself.  A quantity whose draws are all equal gets NaN; where all do, that is an error,
 * as are NaN and infinite draws. */
#ifndef TP_DIAGNOSTICS_H
#define TP_DIAGNOSTICS_H

#include "tensor/tensor.h"

typedef enum {
  TP_R_HAT,               /* the greater of the bulk's and the folded draws' */
  TP_ESS_BULK,            /* effective sample size of the rank-normalised draws */
  TP_ESS_TAIL,            /* the smaller of the 5 % and 95 % quantiles' */
  TP_AUTOCORRELATION_TIME /* draws for one independent draw of the mean; >= 1 / log10 (SC) */
} tp_diagnostic;

tp_tensor *tp_diagnose (tp_diagnostic which, const tp_tensor *draws);

/* R-hat between COUNT groups (n ...), all of one shape: rank-normalised and folded, not
 * split, the members of a group in the place of the draws of a chain. */
tp_tensor *tp_r_hat_between (const tp_tensor *const *groups, int count);

#endif
