/* conv_kernel.h -- direct convolution on NHWC images, one set of kernels for
 * each instruction set.
 *
 * A tile of PIXELS output pixels times BLOCK output channels stays in
 * registers while the products of one window run by.  In an NHWC row the
 * window's columns and channels are contiguous, so that a window is, for each
 * of its rows, one run of (columns x input channels) numbers. */
#ifndef TP_CONV_KERNEL_H
#define TP_CONV_KERNEL_H

#include <stdint.h>

enum { TP_CONV_MAX_SIZE = 15, /* largest window */
       TP_CONV_NARROW = 4 };  /* most outputs that narrow_tile takes */

/* What follows the sum: y = f (sum + bias + residual), f (v) = v where v > 0,
 * else slope * v. */
typedef struct {
  const float *bias;     /* a whole padded block, or NULL */
  const float *residual; /* at the tile's first pixel and channel, or NULL */
  float slope;           /* 1: no activation */
} tp_epilogue;

typedef struct {
  int pixels; /* a tile's width */
  int block;  /* output channels in a tile; weights are padded to it */
  int width;  /* numbers in a vector */

  /* One tile: out[p * out_stride + c], p < pixels (at most the tile's width),
   * c < channels (at most a block), from the window's rows: rows[ky] + p *
   * in_stride is row ky of pixel p's window, RUN numbers long; weights
   * [ky][run][block]. */
  void (*tile) (float *out, int64_t out_stride, const float *const *rows, int row_count,
                int64_t in_stride, int64_t run, const float *weights, int pixels, int channels,
                const tp_epilogue *epilogue);

  /* The same for at most TP_CONV_NARROW channels and a run of whole vectors; weights
   * [channel][ky][run]. */
  void (*narrow_tile) (float *out, int64_t out_stride, const float *const *rows, int row_count,
                       int64_t in_stride, int64_t run, const float *weights, int pixels,
                       int channels, const tp_epilogue *epilogue);

  /* Weight gradient of one tile: sum over x < count of in[x * in_stride + j] *
   * g[x * g_stride + c] for j < width (at most `pixels'), c < block, added to
   * acc[j * block + c]. */
  void (*weight_tile) (float *acc, const float *in, int64_t in_stride, const float *g,
                       int64_t g_stride, int64_t count, int width);
} tp_conv_kernels;

/* Those of tp_cpu_isa (). */
const tp_conv_kernels *tp_conv_kernels_get (void);

#endif
