/* resample.h -- an image under an affine map, by cubic convolution. */
#ifndef TP_RESAMPLE_H
#define TP_RESAMPLE_H

#include "autograd/tape.h"

/* SLAB (slices, rows, columns; f32, any strides) to (ROWS, COLUMNS): output
 * pixel (r, c) is the mean over the slices of SLAB at
 *
 *     (map[0] r + map[1] c + map[2],  map[3] r + map[4] c + map[5]),
 *
 * interpolated with the cubic kernel of Keys (1981, a = -1/2), which leaves
 * integer places as they are.  SLAB is 0 outside.  Where the map shrinks,
 * SAMPLES > 1 averages SAMPLES x SAMPLES places spread over the pixel.
 * On the tape. */
tp_tensor *tp_resample (tp_tensor *slab, const double map[6],
                        int64_t rows, int64_t columns, int samples);

#endif
