/* moments.c -- mean and variance of each channel, from pieces. */
#include "nn/moments.h"

#include <stdbool.h>
#include <string.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "core/ranks.h"

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

static double
rows_of (const tp_moments *m)
{
  double rows = 0;
  for (int64_t piece = 0; piece < m->pieces; piece++)
    rows += m->counts[piece];
  return rows;
}

static double
total_of (const tp_moments *m, int64_t i)
{
  double total = 0;
  for (int64_t piece = 0; piece < m->pieces; piece++)
    total += m->sums[piece * 2 * m->c + i];
  return total;
}

/* The sum of squares of channel I about MEAN. */
static double
squares_about (const tp_moments *m, int64_t i, double mean)
{
  double square = 0;
  for (int64_t piece = 0; piece < m->pieces; piece++)
    {
      double n = m->counts[piece], sum = m->sums[piece * 2 * m->c + i];
      /* squares were taken about the float32 mean */
      double d = (float) (sum / n) - mean, off = sum - n * (d + mean);
      square += m->sums[(piece * 2 + 1) * m->c + i] + 2 * d * off + n * d * d;
    }
  return square;
}

void
tp_moments_combine (const tp_moments *m, float *mean, float *variance)
{
  double rows = rows_of (m);
  for (int64_t i = 0; i < m->c; i++)
    {
      double all = total_of (m, i) / rows;
      mean[i] = (float) all;
      variance[i] = (float) (squares_about (m, i, all) / rows);
    }
}

tp_status
tp_moments_of_batch (const tp_moments *m, float *mean, float *variance, double *rows)
{
  int64_t c = m->c;
  double *totals = tp_scratch_alloc ((size_t) (c + 1) * sizeof *totals);
  double *squares = tp_scratch_alloc ((size_t) c * sizeof *squares);
  tp_status status = totals && squares ? TP_OK : TP_NO_MEMORY;
  if (status == TP_OK)
    {
      for (int64_t i = 0; i < c; i++)
        totals[i] = total_of (m, i);
      totals[c] = rows_of (m);
      status = tp_ranks_sum_of_batch (totals, c + 1);
    }
  if (status == TP_OK)
    {
      *rows = totals[c];
      for (int64_t i = 0; i < c; i++)
        squares[i] = squares_about (m, i, totals[i] / *rows);
      status = tp_ranks_sum_of_batch (squares, c);
    }
  if (status == TP_OK)
    for (int64_t i = 0; i < c; i++)
      {
        mean[i] = (float) (totals[i] / *rows);
        variance[i] = (float) (squares[i] / *rows);
      }
  tp_scratch_free (totals);
  tp_scratch_free (squares);
  return status;
}
