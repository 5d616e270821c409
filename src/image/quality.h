/* quality.h -- how near an image is to the truth.
 *
 * IMAGE and TRUTH are f32 (rows, columns); the data range L is the greatest
 * less the least value of TRUTH, as fastMRI defines it. */
#ifndef TP_QUALITY_H
#define TP_QUALITY_H

#include "tensor/tensor.h"

/* Peak signal to noise in dB, 10 log10 (L^2 / mean square error); infinite for
 * equal images.  *RESULT is set only on success, here and below. */
tp_status tp_psnr (const tp_tensor *image, const tp_tensor *truth, double *result);

/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004): Gaussian window
 * 11 x 11 of sd 1.5, K1 = 0.01, K2 = 0.03, averaged over the places where the
 * window fits whole. */
tp_status tp_ssim (const tp_tensor *image, const tp_tensor *truth, double *result);

#endif
