/* grid_kernel.h -- between points and the grid around them, for each instruction set. */
#ifndef TP_GRID_KERNEL_H
#define TP_GRID_KERNEL_H

#include <complex.h>
#include <stdint.h>

/* How many points of the grid, in rows and in columns, a point of the trajectory has to do with. */
enum { TP_REACH = 8 };

/* A point: where the square of TP_REACH x TP_REACH around it begins in the grid, its number in the
 * trajectory, and the weights of the square's rows and columns. */
typedef struct {
  float rows[TP_REACH], columns[TP_REACH];
} tp_weights;
typedef struct {
  int64_t corner, number;
} tp_place;

typedef struct {
  /* VALUES of COUNT points from the GRID, whose rows are STRIDE apart, and the adjoint: added to the
   * GRID, in the order of the points. */
  void (*interpolate) (float _Complex *values, const float _Complex *grid, int64_t stride,
                       const tp_place *places, const tp_weights *weights, int64_t count);
  void (*spread) (float _Complex *grid, const float _Complex *values, int64_t stride,
                  const tp_place *places, const tp_weights *weights, int64_t count);
} tp_grid_kernels;

/* Those of tp_cpu_isa (). */
const tp_grid_kernels *tp_grid_kernels_get (void);

#endif
