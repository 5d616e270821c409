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
  int width; /* channels in a vector: the fewest that `input' and `spread' take */

  /* B^T d B: pixel (i, j) of the tile at rows[i] + columns[j]; place k of channel c
   * goes to v[k * place + c]. */
  void (*input) (float *v, int64_t place, const float *const rows[6], const int64_t columns[6],
                 int channels);

  /* A g A^T, the adjoint of `output': rows of 4 pixels PIXEL_STRIDE apart; as `input'. */
  void (*spread) (float *z, int64_t place, const float *const rows[4], int64_t pixel_stride,
                  int channels);

  /* For each place, m = v u: TILES (a multiple of conv_kernel.h's pixels) times COUNT
   * channels, v_place between places and v_tile between tiles, by one block,
   * u [place][count][block]; into m [tile][place][block]. */
  void (*product) (float *m, const float *v, int64_t v_tile, int64_t v_place, const float *u,
                   int64_t count, int64_t tiles);

  /* The same with v and u in bfloat16: v_place even, u [place][pair of channels][block][2],
   * zero where COUNT is odd. */
  void (*input_bf16) (uint16_t *v, int64_t place, const float *const rows[6],
                      const int64_t columns[6], int channels);
  void (*product_bf16) (float *m, const uint16_t *v, int64_t v_tile, int64_t v_place,
                        const uint16_t *u, int64_t count, int64_t tiles);

  /* A^T m A of one tile and block, m [place][block], and the epilogue: ROWS x COLUMNS of
   * the 4 x 4 outputs, CHANNELS of a block, at out, with row_stride and pixel_stride
   * between them (and in the residual). */
  void (*output) (float *out, int64_t row_stride, int64_t pixel_stride, const float *m,
                  int rows, int columns, int channels, const tp_epilogue *epilogue);

  /* G g G^T of one block's COUNT output channels: tap k of the 3 x 3 at g[k *
   * tap_stride + c], place k to u[k * place + c], zeros to a whole block. */
  void (*weights) (float *u, int64_t place, const float *g, int64_t tap_stride, int count);

  /* The same for product_bf16: channel C of COUNTED input channels of a block. */
  void (*weights_bf16) (uint16_t *u, int64_t counted, int64_t c, const float *g,
                        int64_t tap_stride, int count);

  /* G^T u G, the adjoint of `weights': tap k to g[k * tap_stride + c], c < count. */
  void (*taps) (float *g, int64_t tap_stride, const float *u, int64_t place, int count);
} tp_winograd_kernels;

/* Those of tp_cpu_isa (). */
const tp_winograd_kernels *tp_winograd_kernels_get (void);

#endif
