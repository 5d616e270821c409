/* layers.h -- the layers beside convolution, forward and backward.
 *
 * Images are f32 (N H W C).  Each function records itself on the open tape
 * (autograd/tape.h) and returns a new tensor, or NULL after tp_fail. */
#ifndef TP_LAYERS_H
#define TP_LAYERS_H

#include "autograd/tape.h"
#include "nn/moments.h"

/* batch_norm.c.  y = f (gamma (x - mean) / sqrt (var + epsilon) + beta + r) for each
 * channel (the last axis); r, of x's shape, may be NULL.  TRAINING: mean and variance of
 * this batch, and running <- decay running + (1 - decay) batch (the variance unbiased);
 * else the running ones.  f is a leaky ReLU of SLOPE (1: none).  The four of tp_norm: (C).
 * MOMENTS of x, if whoever made x took them; NULL or empty else. */
typedef struct {
  tp_tensor *gamma, *beta, *running_mean, *running_variance;
} tp_norm;
typedef struct {
  bool training;
  float decay, epsilon, slope;
} tp_batch_norm_options;
tp_tensor *tp_batch_norm (tp_tensor *x, tp_norm norm, tp_tensor *r, const tp_moments *moments,
                          tp_batch_norm_options options);

/* The affine map of each channel that batch norm is with running statistics: SCALE and
 * SHIFT (C). */
tp_status tp_batch_norm_fold (tp_norm norm, float epsilon, tp_tensor *scale, tp_tensor *shift);

/* activation.c.  x where x > 0, else slope x; slope 0 is ReLU. */
tp_tensor *tp_leaky_relu (tp_tensor *x, float slope);

/* The gradient G of a leaky ReLU's output Y carried to its argument; Y's sign is
 * its argument's as SLOPE is not negative.  Not recorded. */
tp_tensor *tp_leaky_relu_gradient (const tp_tensor *y, const tp_tensor *g, float slope);

/* silu.c.  x / (1 + e^-x). */
tp_tensor *tp_silu (tp_tensor *x);

/* group_norm.c.  x (N H W C) with mean 0 and variance 1 for each image and each of the groups of
 * channels, then v = gamma x + beta for each channel, v (1 + s) + t for each image and channel if
 * MODULATION (N 2C), s and t one after the other, is not NULL, and SiLU if wanted. */
typedef struct {
  int groups;
  float epsilon; /* added to the variance */
  bool silu;
} tp_group_norm_options;
tp_tensor *tp_group_norm (tp_tensor *x, tp_tensor *gamma, tp_tensor *beta, tp_tensor *modulation,
                          tp_group_norm_options options);

/* attention.c.  QKV (N H W 3C): queries, keys and values, the channels of each divided evenly
 * among HEADS.  Every position attends to all; gives (N H W C). */
tp_tensor *tp_self_attention (tp_tensor *qkv, int heads);

/* pool.c.  Mean or maximum over SIZE x SIZE squares; H and W divisible by SIZE. */
tp_tensor *tp_average_pool (tp_tensor *x, int size);
tp_tensor *tp_max_pool (tp_tensor *x, int size);

/* upsample.c.  Each pixel becomes a FACTOR x FACTOR square. */
tp_tensor *tp_upsample (tp_tensor *x, int factor);

/* The sum over each FACTOR x FACTOR square.  Not recorded. */
tp_tensor *tp_upsample_adjoint (const tp_tensor *y, int factor);

/* shuffle.c.  Each FACTOR x FACTOR square of pixels becomes one pixel of FACTOR^2 times the
 * channels, channel c's rows by columns one after the other; and back. */
tp_tensor *tp_pixel_unshuffle (tp_tensor *x, int factor);
tp_tensor *tp_pixel_shuffle (tp_tensor *x, int factor);

/* linear.c.  y = f (x W + b): x (N I), W (I O), b (O) or NULL. */
tp_tensor *tp_linear (tp_tensor *x, tp_tensor *w, tp_tensor *b, float slope);

/* dsm_loss.c.  Equation 3, one number for each image of the batch:
 *
 *   loss[n] = mean over n's elements of (u + sigma r)^2,
 *
 * given q = |sigma| r, the score scaled by the noise, which is finite at any
 * sigma, also at 0: sigma r = sign (sigma) q, with sign (0) = 1.  q and u: (N ...),
 * sigma: (N).  Differentiable in q and u. */
tp_tensor *tp_dsm_loss (tp_tensor *q, tp_tensor *u, const tp_tensor *sigma);

#endif
