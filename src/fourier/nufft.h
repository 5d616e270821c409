/* nufft.h -- the Fourier transform at any points of k-space (NUFFT), its adjoint and its normal.
 *
 * (A x)[p] = 1/sqrt(HW) sum_n x[n] exp (-2 pi i sum_a k_a[p] (n_a - c_a) / N_a)
 *
 * with N = (H, W), the origin c = (H/2, W/2), rounded down, and k[p] the coordinates of point p along
 * rows and columns in units of 1 / field of view: at whole numbers this is fft.h's F.  X is c64
 * (... H W); TRAJECTORY f32 (P ... 2), with |k_a| <= N_a / 2; measurements are c64 (... P ...).
 *
 * The sum is taken on a grid one and a half times as fine, by a kernel eight points wide, the
 * exponential of a semicircle: to about 2e-6 of the result, root mean square.  What a trajectory needs
 * is kept with its tensor.  Points are added to the grid in an order that they alone fix.
 * Source: Barnett, Magland, af Klinteberg 2019. */
#ifndef TP_NUFFT_H
#define TP_NUFFT_H

#include "autograd/tape.h"

/* A X, and A^H Y for images of ROWS x COLUMNS.  On the tape, but for the trajectory. */
tp_tensor *tp_nufft_forward (tp_tensor *x, tp_tensor *trajectory);
tp_tensor *tp_nufft_adjoint (tp_tensor *y, tp_tensor *trajectory, int64_t rows, int64_t columns);

/* The area of k-space that each point stands for, in units of 1 / field of view each way: f32 (P ...),
 * the weights w with which A^H diag (w) A is near to 1.  By STEPS of w <- w / (C w), C the kernel
 * between points, about as wide as 1 / field of view.  Source: Pipe, Menon 1999. */
tp_tensor *tp_nufft_density (tp_tensor *trajectory, int64_t rows, int64_t columns, int steps);

/* A^H diag (WEIGHTS) A is Toeplitz: of it the eigenvalues, f32, of the circulant twice as large that it
 * is a corner of; WEIGHTS f32 (P ...), or NULL: 1.  And what it makes of X, c64 (... ROWS COLUMNS), by
 * two transforms.  On the tape, but for TABLE.  Source: Fessler et al. 2005. */
tp_tensor *tp_toeplitz_table (tp_tensor *trajectory, const tp_tensor *weights, int64_t rows,
                              int64_t columns);
tp_tensor *tp_toeplitz_multiply (tp_tensor *x, tp_tensor *table);

#endif
