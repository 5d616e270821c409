/* conv.h -- two-dimensional convolution (cross-correlation) of NHWC images.
 *
 *   y[n, i, j, o] = f (b[o] + r[n, i, j, o]
 *                      + sum_{k, l, c} w[k, l, c, o] x[n, i s + k - p, j s + l - p, c])
 *
 * with stride s, padding p (zeros), bias b, residual r, and f the identity or
 * a leaky ReLU.  x may come in parts whose channels follow one another, so that
 * nothing need be concatenated first. */
#ifndef TP_CONV_H
#define TP_CONV_H

#include "autograd/tape.h"
#include "nn/moments.h"

enum { TP_CONV_MAX_SOURCES = 4 };

/* Of the factors of the products where that is faster; sums, images and weight
 * gradients are float32 always.  bfloat16 keeps 8 bits. */
typedef enum { TP_FLOAT32, TP_BFLOAT16 } tp_precision;

typedef struct {
  int stride;             /* 1 or 2 */
  int padding;            /* 0 to the window's size - 1 */
  float slope;            /* of f below zero: 1 none, 0 ReLU */
  unsigned enlarged;      /* bit i: part i has half the rows and columns, each pixel
                             standing for a square of four */
  tp_precision precision;
} tp_conv_options;

/* COUNT parts x (N H W C_i), w (K L C O) with K, L odd and C the sum of the C_i, b (O) or
 * NULL, r (of y's shape) or NULL; gives y (N H' W' O), H' = (H + 2p - K) / s + 1.
 * Differentiable in x, w, b and r; for slopes of 0 or more. */
tp_tensor *tp_conv (tp_tensor *const *x, int count, tp_tensor *w, tp_tensor *b, tp_tensor *r,
                    tp_conv_options options);

/* The adjoint in x alone: from y's shape to x's, (N H W C) given by SHAPE.  Half of the
 * true norm of the convolution (nn/spectral.h).  Differentiable in y and w. */
tp_tensor *tp_conv_adjoint (tp_tensor *y, tp_tensor *w, const int64_t shape[4],
                            tp_conv_options options);

/* --- For what is built of convolutions (conv_batch_norm.c) -------------------------- */

/* Without the tape.  CHANNEL_SCALE (O) or NULL multiplies the weights.  With KEEP the
 * weights as the kernels want them stay with W for the next call, as long as W and the
 * scale have the same values.  MOMENTS (empty), or NULL, takes y's, if the way that the
 * convolution goes has them in passing. */
tp_tensor *tp_conv_forward (tp_tensor *const *x, int count, tp_tensor *w,
                            const tp_tensor *channel_scale, const tp_tensor *b,
                            const tp_tensor *r, tp_moments *moments, tp_conv_options options,
                            bool keep);

/* tp_conv without bias and residual, with MOMENTS. */
tp_tensor *tp_conv_moments (tp_tensor *const *x, int count, tp_tensor *w, tp_moments *moments,
                            tp_conv_options options);

/* Add to the gradients of those of x and w that want them, for the gradient G of the
 * convolution's sum. */
tp_status tp_conv_accumulate (tp_tensor *const *x, int count, tp_tensor *w, tp_tensor *g,
                              tp_conv_options options);

#endif
