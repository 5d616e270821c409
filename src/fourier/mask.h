/* mask.h -- which columns of k-space a scan acquires.
 *
 * Both masks are f32 (W) of 0 and 1 over centred columns.  The columns around
 * the centre, CENTER_FRACTION of all, are always acquired; about
 * W / ACCELERATION are in total. */
#ifndef TP_MASK_H
#define TP_MASK_H

#include "tensor/tensor.h"

/* Each column outside the centre with the same probability: the choice of the
 * fastMRI benchmark for knees (Zbontar et al. 2018). */
tp_tensor *tp_random_mask (int64_t columns, double acceleration, double center_fraction,
                           uint64_t seed, uint64_t stream);

/* Columns outside the centre at equal spacing, from a random first one: the
 * fastMRI choice for brains. */
tp_tensor *tp_equispaced_mask (int64_t columns, double acceleration, double center_fraction,
                               uint64_t seed, uint64_t stream);

#endif
