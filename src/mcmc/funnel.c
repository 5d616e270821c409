/* funnel.c -- the integral over the funnel's width, for density and score at once. */
#include "mcmc/funnel.h"

#include <math.h>

#include "core/threads.h"
#include "mcmc/chains.h"

#define NODES 257
#define DEPTH 50.0 /* below exp (-DEPTH) of the greatest value there is nothing */

/* What the integrand depends on. */
typedef struct {
  double mean, variance; /* of v given v' */
  double noise;          /* sigma^2 */
  double squares, n;     /* |x'|^2, and of how many */
} integrand;

typedef struct {
  double log_integral; /* log E prod_i N(x'_i; 0, e^v + sigma^2) */
  double shift;        /* E (v - m) / variance, under the posterior of v */
  double precision;    /* E 1 / (e^v + sigma^2) */
} moments;

static double
log_value (const integrand *f, double v)
{
  double width = exp (v) + f->noise, away = v - f->mean;
  return -0.5 * (away * away / f->variance + f->n * log (width) + f->squares / width);
}

/* Where the integrand is not negligible.  Below m - n variance / 2 it rises and beyond the
 * greater of m and log (|x|^2 / n) it falls, faster than the Gaussian alone; between these,
 * nodes over an interval leave out what is negligible, until that is little. */
static void
find_interval (const integrand *f, double *low, double *high, double values[NODES])
{
  double spread = sqrt (2.0 * DEPTH * f->variance);
  *low = f->mean - 0.5 * f->n * f->variance - spread;
  *high = fmax (f->mean, log (f->squares / f->n)) + spread;
  for (;;)
    {
      double step = (*high - *low) / (NODES - 1), greatest = -INFINITY;
      for (int i = 0; i < NODES; i++)
        {
          values[i] = log_value (f, *low + i * step);
          greatest = fmax (greatest, values[i]);
        }
      int first = 0, last = NODES - 1;
      while (first < last && !(values[first] >= greatest - DEPTH))
        first++;
      while (last > first && !(values[last] >= greatest - DEPTH))
        last--;
      first = first > 0 ? first - 1 : 0;
      last = last < NODES - 1 ? last + 1 : NODES - 1;
      /* What cannot shrink to half is narrow enough; where it cannot shrink at all in
       * floating point, too. */
      if (2 * (last - first) > NODES - 1 || *low + step == *low)
        return;
      *high = *low + last * step;
      *low += first * step;
    }
}

static moments
integrate (const integrand *f)
{
  double low, high, values[NODES], greatest = -INFINITY;
  find_interval (f, &low, &high, values);
  double step = (high - low) / (NODES - 1), sum = 0.0, away = 0.0, precision = 0.0;
  for (int i = 0; i < NODES; i++)
    greatest = fmax (greatest, values[i]);
  for (int i = 0; i < NODES; i++)
    {
      double v = low + i * step, weight = exp (values[i] - greatest);
      sum += weight;
      away += weight * (v - f->mean);
      precision += weight / (exp (v) + f->noise);
    }
  return (moments) {
    .log_integral = greatest + log (sum * step)
                    - 0.5 * (log (2.0 * M_PI * f->variance) + f->n * log (2.0 * M_PI)),
    .shift = away / sum / f->variance,
    .precision = precision / sum,
  };
}

/* The same without noise, where v is v'. */
static moments
without_noise (double v, double squares, double n)
{
  double precision = exp (-v);
  return (moments) {
    .log_integral = -0.5 * (n * (log (2.0 * M_PI) + v) + squares * precision),
    .shift = -0.5 * (n - squares * precision),
    .precision = precision,
  };
}

typedef struct {
  const tp_tensor *x;
  double sd;
  const double *sigma;
  tp_tensor *score; /* or NULL */
  double *density;  /* or NULL */
} job;

static void
do_chains (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t n = j->x->shape[1] - 1;
  for (int64_t c = begin; c < end; c++)
    {
      const float *x = tp_chain (j->x, c);
      double noise = j->sigma[c] * j->sigma[c], prior = j->sd * j->sd, total = prior + noise;
      double v = (double) x[0], share = prior / total, squares = 0.0;
      for (int64_t i = 1; i <= n; i++)
        squares += (double) x[i] * (double) x[i];
      integrand f = { .mean = share * v, .variance = share * noise, .noise = noise,
                      .squares = squares, .n = (double) n };
      moments m = { NAN, NAN, NAN };
      if (isfinite (v) && isfinite (squares))
        m = f.variance > 0.0 ? integrate (&f) : without_noise (v, squares, (double) n);
      if (j->density)
        j->density[c] = m.log_integral - 0.5 * (log (2.0 * M_PI * total) + v * v / total);
      if (j->score)
        {
          /* v' acts through its own normal density and through m. */
          float *score = tp_chain (j->score, c);
          score[0] = (float) (share * m.shift - v / total);
          for (int64_t i = 1; i <= n; i++)
            score[i] = (float) (-(double) x[i] * m.precision);
        }
    }
}

static tp_status
run (job *j)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (j->x, "x", TP_F32, -1))
    return tp_last_status ();
  if (j->x->rank != 2 || j->x->shape[0] < 1 || j->x->shape[1] < 2)
    return tp_fail (TP_BAD_SHAPE, "x: expected (chains dimension), two dimensions or more, got shape %s",
                    tp_shape_text (text, j->x->rank, j->x->shape));
  if (!(j->sd > 0.0 && j->sd <= 4.0))
    return tp_fail (TP_BAD_ARGUMENT, "sd: expected a positive number, 4 at most, got %g", j->sd);
  for (int64_t c = 0; c < j->x->shape[0]; c++)
    if (!isfinite (j->sigma[c]))
      return tp_fail (TP_BAD_ARGUMENT, "sigma: expected a finite number, got %g", j->sigma[c]);
  tp_parallel_for (j->x->shape[0], 4, do_chains, j);
  return TP_OK;
}

tp_tensor *
tp_funnel_score (const tp_tensor *x, double sd, const double *sigma)
{
  job j = { .x = x, .sd = sd, .sigma = sigma, .score = tp_tensor_like (x) };
  if (j.score && run (&j))
    {
      tp_tensor_free (j.score);
      return NULL;
    }
  return j.score;
}

tp_status
tp_funnel_log_density (const tp_tensor *x, double sd, const double *sigma, double *density)
{
  job j = { .x = x, .sd = sd, .sigma = sigma, .density = density };
  return run (&j);
}
