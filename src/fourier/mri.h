/* mri.h -- single-coil magnetic resonance imaging: equation 5, y = M F x + n.
 *
 * X is c64 (... H W); MASK is M's diagonal, f32 (W) or (H W), over centred
 * k-space.  The adjoint is for the inner product Re <a, b>, real and imaginary
 * part counting as two dimensions.  A mask of 0 and 1 is its own square, so that
 * tp_fourier_multiply with it is the normal operator F^H M M F.  All on the tape. */
#ifndef TP_MRI_H
#define TP_MRI_H

#include "autograd/tape.h"

tp_tensor *tp_mri_forward (tp_tensor *x, tp_tensor *mask); /* M F x */
tp_tensor *tp_mri_adjoint (tp_tensor *y, tp_tensor *mask); /* F^H M y */

#endif
