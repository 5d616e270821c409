/* espirit.h -- sensitivities of coils from the middle of k-space: ESPIRiT (Uecker et al. 2014). */
#ifndef TP_ESPIRIT_H
#define TP_ESPIRIT_H

#include "tensor/tensor.h"

/* From CALIBRATION, c64 (K rows columns), the fully measured middle of K coils' centred k-space:
 * MAPS, c64 (K H W), which have sum_c |s_c|^2 = 1 at each pixel, and VALUES, f32 (H W), the
 * eigenvalues: 1 where the coils see something that the maps explain, less where they see none.
 *
 * Windows of KERNEL x KERNEL points and all coils span a space; kept are the directions whose singular
 * values are more than THRESHOLD times the largest.  At pixel r the sensitivities are the first eigenvector of
 *
 *   M(r) = 1 / KERNEL^2 sum_j f_j f_j^H,   f_j[c] = sum_q e_j[c, q] exp (2 pi i q r / N),
 *
 * with e_j these directions.  Phases are such that the coil combined from all by the greatest eigenvector
 * of CALIBRATION's covariance is real and positive. */
tp_status tp_espirit (const tp_tensor *calibration, int kernel, double threshold, int64_t height,
                      int64_t width, tp_tensor **maps, tp_tensor **values);

#endif
