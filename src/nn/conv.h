/* conv.h -- two-dimensional convolution (cross-correlation) of NHWC images.
 *
 *   y[n, i, j, o] = f (b[o] + r[n, i, j, o]
 *                      + sum_{k, l, c} w[k, l, c, o] x[n, i s + k - p, j s + l - p, c])
 *
 * with stride s, padding p (zeros), bias b, residual r, and f the identity or
 * a leaky ReLU. */
#ifndef TP_CONV_H
#define TP_CONV_H

#include "autograd/tape.h"

typedef struct {
  int stride;   /* 1 or 2 */
  int padding;  /* 0 to the window's size - 1 */
  float slope;  /* of f below zero: 1 none, 0 ReLU */
} tp_conv_options;

/* x (N H W C), w (K L C O) with K, L odd, b (O) or NULL, r (of y's shape) or
 * NULL; gives y (N H' W' O), H' = (H + 2p - K) / s + 1.  Differentiable in x, w,
 * b and r; for slopes of 0 or more. */
tp_tensor *tp_conv (tp_tensor *x, tp_tensor *w, tp_tensor *b, tp_tensor *r,
                    tp_conv_options options);

/* The adjoint in x alone: from y's shape to x's, (N H W C) given by SHAPE.  The
 * data gradient, and half of the true norm of the convolution (nn/spectral.h). */
tp_tensor *tp_conv_adjoint (const tp_tensor *y, const tp_tensor *w, const int64_t shape[4],
                            tp_conv_options options);

#endif
