/* conv_loops.h -- what conv.c's two ways to convolve share: direct sums, and
 * Winograd's fewer products for 3 x 3 windows. */
#ifndef TP_CONV_LOOPS_H
#define TP_CONV_LOOPS_H

#include "nn/conv.h"
#include "nn/kernels/conv_kernel.h"

/* Images whose channels are some of the input's.  ENLARGED: of half the rows and
 * columns, each pixel standing for a square of four. */
typedef struct {
  const float *data;
  int64_t c;
  bool enlarged;
} tp_conv_source;

/* Images that take some of the output's channels; RESIDUAL (which may be the same
 * memory) is added. */
typedef struct {
  float *data;
  const float *residual;
  int64_t o;
} tp_conv_sink;

/* A convolution as the loops see it: the input stands in a plane that has
 * DILATION - 1 zeros between its pixels and zeros all around; output pixel
 * (i, j) reads the window whose first element is plane pixel
 * (i * stride - top, j * stride - left). */
typedef struct {
  const tp_conv_kernels *kernels;
  tp_precision precision;
  int64_t n, h, w, c;          /* the input, all channels of its sources */
  int64_t oh, ow, o;           /* the output, all channels of its sinks */
  int kh, kw;
  int64_t stride, top, left, dilation;
  tp_conv_source sources[TP_CONV_MAX_SOURCES];
  tp_conv_sink sinks[TP_CONV_MAX_SOURCES];
  int source_count, sink_count;
  const float *bias;           /* of o and, if o is not whole blocks, zeros; or NULL */
  float slope;
  tp_moments *moments;         /* of the one sink, for Winograd's way to take; or NULL */
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

/* --- Direct: one source, one sink ------------------------------------------- */

/* Copy to LINE the plane's pixels X .. X + COUNT - 1 of row Y of image N of SOURCE. */
void tp_conv_gather_row (const tp_conv_job *job, const tp_conv_source *source, float *line,
                         int64_t n, int64_t y, int64_t x, int64_t count);

/* The weights W (kh kw C O), of which the input channels from FIRST_C on and the output
 * channels from FIRST_O on are JOB's, as the tiles read them; scratch memory, or NULL. */
float *tp_conv_direct_pack (const tp_conv_job *job, const float *w, int64_t c, int64_t first_c,
                            int64_t o, int64_t first_o);

/* JOB's output, by packed weights. */
tp_status tp_conv_direct (const tp_conv_job *job, const float *packed);

/* The weight gradient of the convolution JOB (its bias and sinks are not used) for the
 * output's gradient G, into DW (kh kw c o). */
tp_status tp_conv_direct_weights (const tp_conv_job *job, const float *g, float *dw);

/* --- Winograd: 3 x 3 at stride 1 -------------------------------------------- */

/* Whether Winograd's way can do JOB, and is the faster. */
bool tp_conv_winograd_pays (const tp_conv_job *job);

/* The weights W (3 3 c o) transformed; scratch memory, or NULL. */
void *tp_conv_winograd_transform (const tp_conv_job *job, const float *w);

tp_status tp_conv_winograd (const tp_conv_job *job, const void *transformed);
tp_status tp_conv_winograd_weights (const tp_conv_job *job, const float *g, float *dw);

#endif
