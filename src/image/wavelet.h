/* wavelet.h -- orthonormal wavelets of square images, by GSL. */
#ifndef TP_WAVELET_H
#define TP_WAVELET_H

#include "autograd/tape.h"

/* The coefficients of X, f32 or c64 (N, N), N a power of two, in Daubechies's wavelets with TAPS
 * coefficients (4, 6, ..., 20), all levels down to one pixel, square by square (the "nonstandard"
 * form: rows and columns in turn at each level); with INVERSE back from them.  Periodic.  The
 * level of 2^j x 2^j pixels fills indices 2^j to 2^(j+1) - 1.  On the tape.
 * Source: Daubechies, Comm. Pure Appl. Math. 41 (1988); GSL's gsl_wavelet2d_nstransform. */
tp_tensor *tp_wavelet (tp_tensor *x, int taps, bool inverse);

#endif
