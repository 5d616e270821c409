/* adam.h -- the Adam update (Kingma, Ba 2015), also rectified (Liu et al. 2020). */
#ifndef TP_ADAM_H
#define TP_ADAM_H

#include "tensor/tensor.h"

typedef struct {
  double rate, beta1, beta2, epsilon;
  bool rectified;
} tp_adam_options;

/* One step, the STEP-th (from 1), in place, for parameters W with gradient G and
 * moments M and V, all of one shape:
 *
 *   m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,
 *   w <- w - rate m^ / (sqrt (v^) + epsilon),  m^, v^ corrected for their start.
 *
 * RECTIFIED: times the rectification r of the step's variance, and as long as that is not
 * tractable, in the first steps, w <- w - rate m^. */
tp_status tp_adam_step (tp_tensor *w, const tp_tensor *g, tp_tensor *m, tp_tensor *v,
                        int64_t step, tp_adam_options options);

#endif
