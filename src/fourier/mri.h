/* mri.h -- single-coil magnetic resonance imaging: equation 5, y = M F x + n.
 *
 * X is c64 (... H W); MASK is M's diagonal, f32 (W) or (H W), over centred
 * k-space.  The adjoint is for the inner product Re <a, b>, real and imaginary
 * part counting as two dimensions. */
#ifndef TP_MRI_H
#define TP_MRI_H

#include "tensor/tensor.h"

tp_tensor *tp_mri_forward (const tp_tensor *x, const tp_tensor *mask); /* M F x */
tp_tensor *tp_mri_adjoint (const tp_tensor *y, const tp_tensor *mask); /* F^H M y */
tp_tensor *tp_mri_normal (const tp_tensor *x, const tp_tensor *mask);  /* F^H M M F x */

#endif
