/* winograd_kernel.h -- the transforms of Winograd's F(4x4, 3x3), one set of kernels
 * for each instruction set.
 *
 * Lavin, Gray: Fast algorithms for convolutional neural networks (2016).  A tile
 * of 4 x 4 outputs y of a 3 x 3 window g over 6 x 6 inputs d is
 *
 *   y = A^T [ (G g G^T) . (B^T d B) ] A
 *
 * with . by element: 36 products instead of 144.  Summed over channels, each of
 * the 36 places is a matrix product, which conv_kernel.h's tiles compute.  All
 * transforms run over channels, a vector at a time. */
#ifndef TP_WINOGRAD_KERNEL_H
#define TP_WINOGRAD_KERNEL_H

#include "nn/kernels/conv_kernel.h"

enum { TP_WINOGRAD_IN = 6, TP_WINOGRAD_OUT = 4, TP_WINOGRAD_PLACES = 36 };

typedef struct {
  int width; /* channels in a vector; places below are padded to it */

  /* B^T d B: row i of the tile at rows[i], pixels CHANNELS apart; place k of
   * channel c goes to v[k * stride + c]. */
  void (*input) (float *v, int64_t stride, const float *const rows[6], int channels);

  /* A g A^T, the adjoint of `output': rows of 4 pixels; as `input'. */
  void (*spread) (float *z, int64_t stride, const float *const rows[4], int channels);

  /* A^T m A and the epilogue: place k of channel c of one block at m[k * stride + c];
   * ROWS x COLUMNS of the 4 x 4 outputs, CHANNELS of a block, at out, with
   * row_stride and pixel_stride between them (and in the residual). */
  void (*output) (float *out, int64_t row_stride, int64_t pixel_stride, const float *m,
                  int64_t stride, int rows, int columns, int channels,
                  const tp_epilogue *epilogue);

  /* G g G^T of one block's COUNT output channels: tap k of the 3 x 3 at g[k *
   * tap_stride + c], place k to u[k * stride + c], zeros to a whole block. */
  void (*weights) (float *u, int64_t stride, const float *g, int64_t tap_stride, int count);

  /* G^T u G, the adjoint of `weights': tap k to g[k * tap_stride + c], c < count. */
  void (*taps) (float *g, int64_t tap_stride, const float *u, int64_t stride, int count);
} tp_winograd_kernels;

/* Those of tp_cpu_isa (). */
const tp_winograd_kernels *tp_winograd_kernels_get (void);

#endif
