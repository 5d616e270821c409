/* conv_loops.h -- what conv.c's two ways to convolve share: direct sums, and
 * Winograd's fewer products for 3 x 3 windows. */
#ifndef TP_CONV_LOOPS_H
#define TP_CONV_LOOPS_H

#include "nn/conv.h"
#include "nn/kernels/conv_kernel.h"

/* A convolution as the loops see it: the input stands in a plane that has
 * DILATION - 1 zeros between its pixels and zeros all around; output pixel
 * (i, j) reads the window whose first element is plane pixel
 * (i * stride - top, j * stride - left). */
typedef struct {
  const tp_conv_kernels *kernels;
  const float *in;
  int64_t n, h, w, c;          /* the input */
  int64_t oh, ow, o;           /* the output */
  int kh, kw;
  int64_t stride, top, left, dilation;
  const float *weights;        /* packed: [block][ky][kx][c][block] */
  const float *bias;           /* padded to whole blocks, or NULL */
  const float *residual;
  float *out;
  float slope;
  int64_t rows_per_item;
  tp_status status;
} tp_conv_job;

static inline int64_t
tp_pieces (int64_t length, int64_t piece)
{
  return (length + piece - 1) / piece;
}

static inline int64_t
tp_least (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Copy to LINE the plane's pixels X .. X + COUNT - 1 of row Y of image N. */
void tp_conv_gather_row (const tp_conv_job *job, float *line, int64_t n, int64_t y, int64_t x,
                         int64_t count);

/* JOB's output, all but the weight gradients' fields being set. */
tp_status tp_conv_direct (tp_conv_job *job);
tp_status tp_conv_winograd (tp_conv_job *job);

/* The weight gradient of the convolution JOB (its weights, bias, residual and out
 * are not used) for the output's gradient G, into DW (kh kw c o). */
tp_status tp_conv_direct_weights (const tp_conv_job *job, const float *g, float *dw);
tp_status tp_conv_winograd_weights (const tp_conv_job *job, const float *g, float *dw);

/* Whether Winograd's way can do JOB, and is the faster. */
bool tp_conv_winograd_pays (const tp_conv_job *job);

#endif
