/* conv_kernel.c -- the register tiles of direct convolution.
 *
 * Compiled once for each instruction set, with TP_KERNEL_ISA naming it; GCC's
 * vector extensions take the width that the set has. */
#include "nn/kernels/conv_kernel.h"

#include "nn/kernels/vector.h"

/* P is a constant wherever this is inlined, so that SUM lives in registers. */
static inline __attribute__ ((always_inline)) void
tile_of (const int P, float *out, int64_t out_stride, const float *const *rows, int row_count,
         int64_t in_stride, int64_t run, const float *weights, int channels,
         const tp_epilogue *e)
{
  vector sum[PIXELS][2];
#pragma GCC unroll 8
  for (int p = 0; p < P; p++)
    sum[p][0] = sum[p][1] = (vector) { 0 };
  for (int ky = 0; ky < row_count; ky++)
    {
      const float *in = rows[ky];
      for (int64_t j = 0; j < run; j++, weights += BLOCK)
        {
          vector w0 = load (weights), w1 = load (weights + WIDTH);
#pragma GCC unroll 8
          for (int p = 0; p < P; p++)
            {
              float x = in[p * in_stride + j];
              sum[p][0] += x * w0;
              sum[p][1] += x * w1;
            }
        }
    }
  vector b0 = { 0 }, b1 = { 0 };
  if (e->bias)
    {
      b0 = load (e->bias);
      b1 = load (e->bias + WIDTH);
    }
  if (channels == BLOCK)
    {
#pragma GCC unroll 8
      for (int p = 0; p < P; p++)
        {
          vector v0 = sum[p][0] + b0, v1 = sum[p][1] + b1;
          if (e->residual)
            {
              v0 += load (e->residual + p * out_stride);
              v1 += load (e->residual + p * out_stride + WIDTH);
            }
          store (out + p * out_stride, activate (v0, e->slope));
          store (out + p * out_stride + WIDTH, activate (v1, e->slope));
        }
      return;
    }
#pragma GCC unroll 8
  for (int p = 0; p < P; p++)
    { /* the last block of channels, not full */
      float line[BLOCK], residual[BLOCK] = { 0 };
      if (e->residual)
        memcpy (residual, e->residual + p * out_stride, (size_t) channels * sizeof *line);
      store (line, activate (sum[p][0] + b0 + load (residual), e->slope));
      store (line + WIDTH, activate (sum[p][1] + b1 + load (residual + WIDTH), e->slope));
      memcpy (out + p * out_stride, line, (size_t) channels * sizeof *line);
    }
}

static void
tile (float *out, int64_t out_stride, const float *const *rows, int row_count, int64_t in_stride,
      int64_t run, const float *weights, int pixels, int channels, const tp_epilogue *e)
{
#define CASE(P)                                                                        \
  case P:                                                                              \
    tile_of (P, out, out_stride, rows, row_count, in_stride, run, weights, channels, e); \
    break;
  switch (pixels)
    {
      CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#if defined __AVX512F__
      CASE (7) CASE (8)
#endif
    }
#undef CASE
}

static inline __attribute__ ((always_inline)) void
weight_tile_of (const int P, float *acc, const float *in, int64_t in_stride, const float *g,
                int64_t g_stride, int64_t count)
{
  vector sum[PIXELS][2];
#pragma GCC unroll 8
  for (int p = 0; p < P; p++)
    {
      sum[p][0] = load (acc + p * BLOCK);
      sum[p][1] = load (acc + p * BLOCK + WIDTH);
    }
  for (int64_t x = 0; x < count; x++, in += in_stride, g += g_stride)
    {
      vector g0 = load (g), g1 = load (g + WIDTH);
#pragma GCC unroll 8
      for (int p = 0; p < P; p++)
        {
          sum[p][0] += in[p] * g0;
          sum[p][1] += in[p] * g1;
        }
    }
#pragma GCC unroll 8
  for (int p = 0; p < P; p++)
    {
      store (acc + p * BLOCK, sum[p][0]);
      store (acc + p * BLOCK + WIDTH, sum[p][1]);
    }
}

static void
weight_tile (float *acc, const float *in, int64_t in_stride, const float *g, int64_t g_stride,
             int64_t count, int width)
{
#define CASE(P)                                          \
  case P:                                                       \
    weight_tile_of (P, acc, in, in_stride, g, g_stride, count); \
    break;
  switch (width)
    {
      CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#if defined __AVX512F__
      CASE (7) CASE (8)
#endif
    }
#undef CASE
}

static inline float
total (vector v)
{
  float line[WIDTH];
  store (line, v);
#pragma GCC unroll 4
  for (int half = WIDTH / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; i++)
      line[i] += line[i + half];
  return line[0];
}

/* P pixels, C channels: as many sums of vectors, each added up at the end. */
static inline __attribute__ ((always_inline)) void
narrow_of (const int P, const int C, float *out, int64_t out_stride, const float *const *rows,
           int row_count, int64_t in_stride, int64_t at, int64_t run, const float *weights,
           const tp_epilogue *e)
{
  vector sum[4][TP_CONV_NARROW];
#pragma GCC unroll 4
  for (int p = 0; p < P; p++)
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
      sum[p][c] = (vector) { 0 };
  for (int ky = 0; ky < row_count; ky++)
    for (int64_t j = 0; j < run; j += WIDTH)
      {
        vector w[TP_CONV_NARROW];
#pragma GCC unroll 4
        for (int c = 0; c < C; c++)
          w[c] = load (weights + (c * row_count + ky) * run + j);
#pragma GCC unroll 4
        for (int p = 0; p < P; p++)
          {
            vector x = load (rows[ky] + at + p * in_stride + j);
#pragma GCC unroll 4
            for (int c = 0; c < C; c++)
              sum[p][c] += x * w[c];
          }
      }
#pragma GCC unroll 4
  for (int p = 0; p < P; p++)
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
      {
        float y = total (sum[p][c]) + (e->bias ? e->bias[c] : 0);
        if (e->residual)
          y += e->residual[p * out_stride + c];
        out[p * out_stride + c] = y <= 0 ? y * e->slope : y;
      }
}

static void
narrow_tile (float *out, int64_t out_stride, const float *const *rows, int row_count,
             int64_t in_stride, int64_t run, const float *weights, int pixels, int channels,
             const tp_epilogue *epilogue)
{
  int p = 0;
  tp_epilogue e = *epilogue;
#define CASE(P, C)                                                                            \
  case C:                                                                                     \
    narrow_of (P, C, out, out_stride, rows, row_count, in_stride, p * in_stride, run, weights, \
               &e);                                                                           \
    break;
#define STEP(P)                                               \
  for (; p + P <= pixels; p += P, out += P * out_stride)      \
    {                                                         \
      switch (channels)                                       \
        {                                                     \
          CASE (P, 1) CASE (P, 2) CASE (P, 3) CASE (P, 4)     \
        }                                                     \
      if (e.residual)                                         \
        e.residual += P * out_stride;                         \
    }
  STEP (4)
  STEP (1)
#undef STEP
#undef CASE
}

#define NAME TP_KERNEL_NAME (tp_conv_kernels_, TP_KERNEL_ISA)
extern const tp_conv_kernels NAME;
const tp_conv_kernels NAME = { PIXELS, BLOCK, WIDTH, tile, narrow_tile, weight_tile };
