/* mixture.h -- mixtures of isotropic Gaussians convolved with noise: a target
 * whose density and score are known exactly.
 *
 * p_sigma (x) = sum_k w_k N (x; mu_k, (s^2 + sigma^2) I)
 *
 * X is (C ...), MEANS (K ...) of the same type and trailing shape, LOG_WEIGHTS
 * f32 (K), normalised here.  SD is s; SIGMA[c] is chain c's noise. */
#ifndef TP_MIXTURE_H
#define TP_MIXTURE_H

#include "autograd/tape.h"

/* grad log p_sigma, like X.  On the tape, in X. */
tp_tensor *tp_mixture_score (tp_tensor *x, tp_tensor *means, tp_tensor *log_weights, double sd, const double *sigma);

/* DENSITY[c] = log p_sigma (x_c). */
tp_status tp_mixture_log_density (const tp_tensor *x, const tp_tensor *means,
                                  const tp_tensor *log_weights, double sd, const double *sigma,
                                  double *density);

#endif
