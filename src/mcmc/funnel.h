/* funnel.h -- Neal's funnel convolved with noise: a target of many scales at once.
 *
 * v ~ N(0, s^2), x_i | v ~ N(0, e^v), i = 1 ... n (Neal, Slice sampling, Annals of
 * Statistics 31, 2003, section 8, with s = 3).  With noise of standard deviation sigma
 *
 *   p_sigma (v', x') = N(v'; 0, s^2 + sigma^2) E prod_i N(x'_i; 0, e^v + sigma^2),
 *
 * the mean over v ~ N(m, s^2 sigma^2 / (s^2 + sigma^2)), m = s^2 v' / (s^2 + sigma^2): one
 * integral, taken by the trapezium rule on 257 nodes over the interval where the integrand
 * is above e^-50 of its greatest value.  Of an integrand that is about normal, 6 nodes or
 * more fall on a standard deviation, hence, as s is 4 at most, their distance h is below
 * 0.7; it is analytic to a distance pi from the line, where the rule's relative error is
 * about e^(-2 pi pi / h) < 1e-12.  Where there are two modes so far apart and so narrow that
 * nodes miss one, far out where no chain goes, the density is that of the other.
 *
 * X is f32 (C 1 + n), v first; SD is s, 4 at most; SIGMA[c] is chain c's noise, 0 allowed. */
#ifndef TP_FUNNEL_H
#define TP_FUNNEL_H

#include "tensor/tensor.h"

/* grad log p_sigma, like X. */
tp_tensor *tp_funnel_score (const tp_tensor *x, double sd, const double *sigma);

/* DENSITY[c] = log p_sigma (x_c). */
tp_status tp_funnel_log_density (const tp_tensor *x, double sd, const double *sigma,
                                 double *density);

#endif
