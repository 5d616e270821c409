/* grid_kernel.c -- a row of the square around a point is one vector of eight complex numbers.
 *
 * Compiled once for each instruction set, with TP_KERNEL_ISA naming it; GCC cuts the vectors
 * to what the set has. */
#include "fourier/kernels/grid_kernel.h"

#include "nn/kernels/vector.h"

typedef float row __attribute__ ((vector_size (2 * TP_REACH * sizeof (float))));
typedef float loose_row __attribute__ ((vector_size (2 * TP_REACH * sizeof (float)), aligned (8), may_alias));
typedef float line __attribute__ ((vector_size (TP_REACH * sizeof (float)), aligned (4), may_alias));
typedef float four __attribute__ ((vector_size (4 * sizeof (float))));

/* Each weight twice: for the real and the imaginary part. */
#define TWICE(w) __builtin_shufflevector (w, w, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)

static void
interpolate (float _Complex *values, const float _Complex *grid, int64_t stride,
             const tp_place *places, const tp_weights *weights, int64_t count)
{
  for (int64_t p = 0; p < count; p++)
    {
      const float *g = (const float *) (grid + places[p].corner), *w = weights[p].rows;
      row even = { 0 }, odd = { 0 };
#pragma GCC unroll 4
      for (int r = 0; r < TP_REACH; r += 2)
        {
          even += w[r] * *(const loose_row *) (g + 2 * r * stride);
          odd += w[r + 1] * *(const loose_row *) (g + 2 * (r + 1) * stride);
        }
      line columns = *(const line *) weights[p].columns;
      row sum = (even + odd) * TWICE (columns);
      line half = __builtin_shufflevector (sum, sum, 0, 1, 2, 3, 4, 5, 6, 7)
                  + __builtin_shufflevector (sum, sum, 8, 9, 10, 11, 12, 13, 14, 15);
      four quarter = __builtin_shufflevector (half, half, 0, 1, 2, 3)
                     + __builtin_shufflevector (half, half, 4, 5, 6, 7);
      float *to = (float *) (values + places[p].number);
      to[0] = quarter[0] + quarter[2];
      to[1] = quarter[1] + quarter[3];
    }
}

static void
spread (float _Complex *grid, const float _Complex *values, int64_t stride,
        const tp_place *places, const tp_weights *weights, int64_t count)
{
  for (int64_t p = 0; p < count; p++)
    {
      float *g = (float *) (grid + places[p].corner);
      const float *w = weights[p].rows, *from = (const float *) (values + places[p].number);
      four value = { from[0], from[1], from[0], from[1] };
      line columns = *(const line *) weights[p].columns;
      row v = TWICE (columns)
              * __builtin_shufflevector (value, value, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
#pragma GCC unroll 8
      for (int r = 0; r < TP_REACH; r++)
        *(loose_row *) (g + 2 * r * stride) += w[r] * v;
    }
}

#define NAME TP_KERNEL_NAME (tp_grid_kernels_, TP_KERNEL_ISA)
const tp_grid_kernels NAME = { interpolate, spread };
