/* moments.h -- mean and variance of each channel, from pieces.
 *
 * A piece is a few pixels of an image, summed by whoever has them in cache; pieces are
 * combined in order.  Each sums squares about its own mean, since E x^2 - (E x)^2
 * cancels (Chan, Golub, LeVeque 1979). */
#ifndef TP_MOMENTS_H
#define TP_MOMENTS_H

#include <stdint.h>

#include "core/status.h"

/* Pixels that follow one another. */
typedef struct {
  const float *first;
  int64_t pixels;
} tp_run;

typedef struct {
  int64_t pieces, c;
  double *sums; /* [piece][sum, sum of squares][c] */
  double *counts;
} tp_moments;

/* For PIECES pieces of C channels; freed by tp_moments_free. */
tp_status tp_moments_start (tp_moments *m, int64_t pieces, int64_t c);
void tp_moments_free (tp_moments *m);

/* PIECE's CHANNELS channels from FIRST on: they stand at the head of every pixel of RUNS
 * (COUNT of them), and pixels are m->c apart.  Different pieces, or channels, by any
 * threads. */
void tp_moments_add (tp_moments *m, int64_t piece, int64_t first, int64_t channels,
                     const tp_run *runs, int count);

/* The mean and the (biased) variance of all pieces, each (C). */
void tp_moments_combine (const tp_moments *m, float *mean, float *variance);

/* The same of a batch, of which each rank may have a part (core/ranks.h); its pixels, on all ranks, into
 * *ROWS. */
tp_status tp_moments_of_batch (const tp_moments *m, float *mean, float *variance, double *rows);

#endif
