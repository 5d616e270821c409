/* distributions.h -- the distributions that tests of calibration and convergence refer to.
 *
 * The numbers are GSL's.  Its way of reporting errors, which is to abort, is kept
 * away from the core. */
#ifndef TP_DISTRIBUTIONS_H
#define TP_DISTRIBUTIONS_H

#include <stdint.h>

/* The z with Phi (z) = P, 0 < P < 1, of the standard normal distribution. */
double tp_normal_quantile (double p);

/* P (X > CHI_SQUARE) of a chi-square of FREEDOM degrees of freedom; 0 where it is too
 * small for a double. */
double tp_chi_square_tail (double chi_square, double freedom);

/* P (X <= COUNT) of the successes among TRIALS, each with probability P. */
double tp_binomial_cdf (int64_t count, double p, int64_t trials);

#endif
