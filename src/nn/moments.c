/* moments.c -- mean and variance of each channel, from pieces. */
#include "nn/moments.h"

#include <stdbool.h>
#include <string.h>

#include "core/cpu.h"
#include "core/memory.h"

/* Channels that are summed together, in registers: their sums over a few pixels in float32,
 * those over more in double. */
enum { LANES = 32, SOME = 64 };

#define INLINE static inline __attribute__ ((always_inline))

tp_status
tp_moments_start (tp_moments *m, int64_t pieces, int64_t c)
{
  m->pieces = pieces;
  m->c = c;
  m->sums = tp_scratch_alloc ((size_t) (pieces * 2 * c) * sizeof *m->sums);
  m->counts = tp_scratch_alloc ((size_t) pieces * sizeof *m->counts);
  return m->sums && m->counts ? TP_OK : TP_NO_MEMORY;
}

void
tp_moments_free (tp_moments *m)
{
  tp_scratch_free (m->sums);
  tp_scratch_free (m->counts);
  *m = (tp_moments) { 0 };
}

/* Of the channels from FIRST on, SUM[i] of x, or with SQUARES of (x - MEAN[i])^2.  N is a constant where this is
 * inlined for whole lanes. */
INLINE void
add (const tp_run *runs, int count, int64_t first, int64_t stride, const int n,
     const bool squares, const float *restrict mean, double *sum)
{
  float some[LANES] = { 0 };
  int64_t summed = 0;
  for (int r = 0; r < count; r++)
    {
      const float *restrict x = runs[r].first + first;
      for (int64_t p = 0; p < runs[r].pixels; p++, x += stride)
        {
          for (int i = 0; i < n; i++)
            {
              float d = x[i] - mean[i];
              some[i] += squares ? d * d : x[i];
            }
          if (++summed % SOME == 0)
            for (int i = 0; i < n; i++)
              {
                sum[i] += some[i];
                some[i] = 0;
              }
        }
    }
  for (int i = 0; i < n; i++)
    sum[i] += some[i];
}

TP_CLONES void
tp_moments_add (tp_moments *m, int64_t piece, int64_t first, int64_t channels,
                const tp_run *runs, int count)
{
  int64_t pixels = 0;
  for (int r = 0; r < count; r++)
    pixels += runs[r].pixels;
  m->counts[piece] = (double) pixels;
  double *sum = m->sums + piece * 2 * m->c + first, *square = sum + m->c;
  memset (sum, 0, (size_t) channels * sizeof *sum);
  memset (square, 0, (size_t) channels * sizeof *square);
  for (int64_t i = 0; i < channels; i += LANES)
    {
      int n = (int) (channels - i < LANES ? channels - i : LANES);
      float mean[LANES] = { 0 };
      if (n == LANES)
        add (runs, count, i, m->c, LANES, false, mean, sum + i);
      else
        add (runs, count, i, m->c, n, false, mean, sum + i);
      for (int k = 0; k < n; k++)
        mean[k] = (float) (sum[i + k] / (double) pixels);
      if (n == LANES)
        add (runs, count, i, m->c, LANES, true, mean, square + i);
      else
        add (runs, count, i, m->c, n, true, mean, square + i);
    }
}

void
tp_moments_combine (const tp_moments *m, float *mean, float *variance)
{
  double rows = 0;
  for (int64_t piece = 0; piece < m->pieces; piece++)
    rows += m->counts[piece];
  for (int64_t i = 0; i < m->c; i++)
    {
      double total = 0, square = 0;
      for (int64_t piece = 0; piece < m->pieces; piece++)
        total += m->sums[piece * 2 * m->c + i];
      double all = total / rows;
      for (int64_t piece = 0; piece < m->pieces; piece++)
        {
          double n = m->counts[piece], sum = m->sums[piece * 2 * m->c + i];
          /* squares were taken about the float32 mean */
          double d = (float) (sum / n) - all, off = sum - n * (d + all);
          square += m->sums[(piece * 2 + 1) * m->c + i] + 2 * d * off + n * d * d;
        }
      mean[i] = (float) all;
      variance[i] = (float) (square / rows);
    }
}
