/* spectral.h -- spectral norms of weights, as training regularises them.
 *
 * The norm is that of the weights as a matrix, (kh kw cin) x cout, as Yoshida
 * and Miyato (2017) and the paper take it.  That of the convolution as an
 * operator on images is another. */
#ifndef TP_SPECTRAL_H
#define TP_SPECTRAL_H

#include "core/status.h"
#include "tensor/tensor.h"

/* sigma_1 of W as a matrix (all axes but the last) x last, by ITERATIONS of
 * power iteration from U (cout), which keeps its place for the next call.  LEFT,
 * unless NULL, receives the left vector (W's leading count). */
tp_status tp_spectral_norm (const tp_tensor *w, tp_tensor *u, int iterations, double *sigma,
                            tp_tensor *left);

/* Add to w->grad the gradient of (weight / 2) (sigma_1 (W) - target)^2, by one
 * power iteration from U; sigma_1 to SIGMA. */
tp_status tp_spectral_penalty (tp_tensor *w, tp_tensor *u, double weight, double target,
                               double *sigma);

#endif
