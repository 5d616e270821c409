/* path_integral.h -- log p (x*) - log p (x) from the score alone: equation 7. */
#ifndef TP_PATH_INTEGRAL_H
#define TP_PATH_INTEGRAL_H

#include "mcmc/score.h"

/* DIFFERENCE[c] = log p (x1_c) - log p (x0_c) along the straight line, by
 * Simpson's rule with INTERVALS (even) intervals.  GRADIENT0 and GRADIENT1,
 * the scores at X0 and X1, are known from the trajectory, so that INTERVALS - 1
 * evaluations are needed. */
tp_status tp_path_integral (const tp_score *score, const tp_tensor *x0,
                            const tp_tensor *gradient0, const tp_tensor *x1,
                            const tp_tensor *gradient1, int intervals, double *difference);

#endif
