/* fft.h -- the centred, orthonormal two-dimensional Fourier transform F.
 *
 * (F x)[k] = 1/sqrt(HW) sum_n x[n] exp (-2 pi i sum_a (k_a - c_a) (n_a - c_a) / N_a)
 *
 * with N = (H, W) and the origin c = (H/2, W/2), rounded down, of both image
 * and k-space in the middle.  F is unitary: its adjoint F^H is its inverse.
 *
 * Everything here acts on the last two axes of c64 tensors, one image after
 * the other.  Plans are FFTW's estimates, so that every run has the same bits.
 * TEMPERA_FFT_PLAN=measure takes measured plans instead: faster, and the same
 * from run to run, since their wisdom is kept in the user's cache folder. */
#ifndef TP_FFT_H
#define TP_FFT_H

#include "autograd/tape.h"

/* F x, and F^H k; (... H W) c64.  On the tape. */
tp_tensor *tp_fft2 (tp_tensor *x);
tp_tensor *tp_ifft2 (tp_tensor *k);

/* F^H D F x with D = diag (TABLE), f32 over centred k-space: (W), (H W), or of
 * X's own shape, a table for every image.  This is a circular convolution of
 * X, so the shifts to the centre and back cancel and are left out.  X may be
 * given as its real view, f32 (... H W 2), and comes back as one.  On the tape, in both. */
tp_tensor *tp_fourier_multiply (tp_tensor *x, tp_tensor *table);

/* Fail unless TABLE (called NAME) is f32 of shape (W), (H W) or X's own. */
tp_status tp_check_table (const tp_tensor *table, const char *name, const tp_tensor *x);

#endif
