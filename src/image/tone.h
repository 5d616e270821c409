/* tone.h -- a curve from intensity to intensity: another contrast of the same anatomy. */
#ifndef TP_TONE_H
#define TP_TONE_H

#include "autograd/tape.h"

/* IMAGES (n, rows, columns), each through its own row of KNOTS (n, k), k >= 2:
 * the curve's values at 0, TOP/(k-1), ..., TOP, joined by Catmull-Rom splines.
 * Below 0 the curve is its value at 0; above TOP it goes on as a logarithm, so
 * that a few bright vessels do not make the rest dark.  Results are at least 0.  On the tape. */
tp_tensor *tp_tone (tp_tensor *images, tp_tensor *knots, double top);

#endif
