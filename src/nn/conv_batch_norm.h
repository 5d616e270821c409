/* conv_batch_norm.h -- convolution, batch norm, residual and activation as one. */
#ifndef TP_CONV_BATCH_NORM_H
#define TP_CONV_BATCH_NORM_H

#include "nn/conv.h"
#include "nn/layers.h"

/* y = f (norm (x * w) + r): the convolution of conv.h without bias (its options' slope is
 * not used), the norm and f of layers.h.  Differentiable in x, w, gamma, beta and r. */
tp_tensor *tp_conv_batch_norm (tp_tensor *const *x, int count, tp_tensor *w, tp_norm norm,
                         tp_tensor *r, tp_conv_options conv, tp_batch_norm_options options);

#endif
