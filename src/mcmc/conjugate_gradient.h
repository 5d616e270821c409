/* conjugate_gradient.h -- solve A x = b for a batch of chains, A given as a procedure. */
#ifndef TP_CONJUGATE_GRADIENT_H
#define TP_CONJUGATE_GRADIENT_H

#include "mcmc/score.h"

/* x with |A x - b| <= TOLERANCE |b| for each chain, or what STEPS (at most) steps give; A is
 * symmetric and positive definite on each chain.  A chain's result does not depend on the
 * others.  NULL after tp_fail.  Source: Hestenes, Stiefel 1952. */
tp_tensor *tp_conjugate_gradient (const tp_score *a, const tp_tensor *b, int steps,
                                  double tolerance);

#endif
