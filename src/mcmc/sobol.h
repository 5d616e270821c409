/* sobol.h -- the Sobol sequence: points that fill a cube evenly. */
#ifndef TP_SOBOL_H
#define TP_SOBOL_H

#include "tensor/tensor.h"

enum { TP_SOBOL_DIMENSIONS = 40 }; /* the most that GSL's tables have */

/* Its first COUNT points in (0, 1)^DIMENSIONS, f32 (COUNT DIMENSIONS), from 1/2 on; NULL and a
 * status when there are more dimensions than GSL has. */
tp_tensor *tp_sobol (int64_t count, int64_t dimensions);

#endif
