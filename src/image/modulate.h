/* modulate.h -- a smooth gain and phase, as coils and field inhomogeneity give
 * to a magnitude image. */
#ifndef TP_MODULATE_H
#define TP_MODULATE_H

#include "autograd/tape.h"

/* IMAGES m (n, rows, columns) of f32 to c64
 *
 *     m(y, x) exp( sum_pq c(p, q) cos(pi p y) cos(pi q x) ),   y, x in (0, 1),
 *
 * with c the image's own COEFFICIENTS (n, P, Q) of c64: their real parts are a
 * logarithm of gain, their imaginary parts a phase in radians.  On the tape. */
tp_tensor *tp_modulate (tp_tensor *images, tp_tensor *coefficients);

#endif
