/* coils.h -- an image as several receive coils see it: x_c = s_c x, with sensitivities s_c.
 *
 * X is c64 (... H W), images of coils (... K H W), sensitivities S c64 (K H W).  On the tape by
 * the images; sensitivities are constants. */
#ifndef TP_COILS_H
#define TP_COILS_H

#include "autograd/tape.h"

tp_tensor *tp_coil_images (tp_tensor *x, tp_tensor *s);  /* s_c x */
tp_tensor *tp_coil_combine (tp_tensor *y, tp_tensor *s); /* sum_c conj (s_c) y_c, its adjoint */

/* sum_c conj (s_c) F^H diag (TABLE) F (s_c x): the normal operator of Cartesian imaging with
 * several coils (SENSE), without the images of coils in memory.  TABLE is f32 (W) or (H W) over
 * centred k-space, and constant too. */
tp_tensor *tp_sense_normal (tp_tensor *x, tp_tensor *s, tp_tensor *table);

#endif
