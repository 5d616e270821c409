/* winograd_kernel.h -- the transforms of Winograd's F(4x4, 3x3), one set of kernels
 * for each instruction set.
 *
 * Lavin, Gray: Fast algorithms for convolutional neural networks (2016).  A tile
 * of 4 x 4 outputs y of a 3 x 3 window g over 6 x 6 inputs d is
 *
 *   y = A^T [ (G g G^T) . (B^T d B) ] A
 *
 * with . by element: 36 products instead of 144.  Summed over channels, each of
 * the 36 places is a matrix product.  All transforms run over channels, a vector at
 * a time. */
#ifndef TP_WINOGRAD_KERNEL_H
#define TP_WINOGRAD_KERNEL_H

#include <stddef.h>

#include "nn/kernels/conv_kernel.h"

enum { TP_WINOGRAD_IN = 6, TP_WINOGRAD_OUT = 4, TP_WINOGRAD_PLACES = 36 };

/* The factors in one precision.  V are transformed inputs, U transformed weights, by place of
 * the tile; bfloat16's u has pairs of channels together ([place][pair][block][2], zero where
 * their count is odd). */
typedef struct {
  size_t element; /* bytes of a number */

  /* B^T d B: pixel (i, j) of the tile at rows[i] + columns[j]; place k of channel c
   * goes to v[k * place + c]. */
  void (*input) (void *v, int64_t place, const float *const rows[6], const int64_t columns[6],
                 int channels);

  /* For each place, m = v u: TILES (a multiple of conv_kernel.h's pixels) times COUNT
   * channels, v_place (even) between places and v_tile between tiles, by one block,
   * u [place][count][block]; into m [tile][place][block]. */
  void (*product) (float *m, const void *v, int64_t v_tile, int64_t v_place, const void *u,
                   int64_t count, int64_t tiles);

  /* G g G^T of channel C of COUNTED input channels and COUNT output channels of a block
   * (zeros to a whole one): tap k of the 3 x 3 at g[k * tap_stride]; to the block's u. */
  void (*weights) (void *u, int64_t counted, int64_t c, const float *g, int64_t tap_stride,
                   int count);
} tp_winograd_factors;

typedef struct {
  int width; /* channels in a vector: the fewest that `input' and `spread' take */
  tp_winograd_factors float32, bfloat16;

  /* A^T m A of one tile and block, m [place][block], and the epilogue: ROWS x COLUMNS of
   * the 4 x 4 outputs, CHANNELS of a block, at out, with row_stride and pixel_stride
   * between them (and in the residual). */
  void (*output) (float *out, int64_t row_stride, int64_t pixel_stride, const float *m,
                  int rows, int columns, int channels, const tp_epilogue *epilogue);

  /* For the weight gradient, in float32: A g A^T, the adjoint of `output', rows of 4 pixels
   * PIXEL_STRIDE apart, else as `input'; and G^T u G, the adjoint of `weights': tap k to
   * g[k * tap_stride + c], c < count. */
  void (*spread) (float *z, int64_t place, const float *const rows[4], int64_t pixel_stride,
                  int channels);
  void (*taps) (float *g, int64_t tap_stride, const float *u, int64_t place, int count);
} tp_winograd_kernels;

/* Those of tp_cpu_isa (). */
const tp_winograd_kernels *tp_winograd_kernels_get (void);

#endif
