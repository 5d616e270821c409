/* mixture.c -- responsibilities by log-sum-exp; from them density and score. */
#include "mcmc/mixture.h"

#include <math.h>

#include "core/threads.h"
#include "mcmc/chains.h"

typedef struct {
  const tp_tensor *x, *means, *log_weights;
  double sd;
  const double *sigma;
  double log_total;   /* log sum_k exp (log_weights_k) */
  double *exponents;  /* (C K) */
  tp_tensor *score;   /* or NULL */
  double *density;    /* or NULL */
} job;

static void
do_chains (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t components = j->means->shape[0], n = tp_chain_length (j->x);
  for (int64_t c = begin; c < end; c++)
    {
      const float *x = tp_chain (j->x, c);
      double variance = j->sd * j->sd + j->sigma[c] * j->sigma[c];
      double *exponent = j->exponents + c * components, largest = -INFINITY, sum = 0.0;
      for (int64_t k = 0; k < components; k++)
        {
          const float *mean = tp_chain (j->means, k);
          double distance = 0.0;
          for (int64_t i = 0; i < n; i++)
            distance += ((double) x[i] - mean[i]) * ((double) x[i] - mean[i]);
          exponent[k] = (double) tp_f32 (j->log_weights)[k] - j->log_total
                        - distance / (2.0 * variance);
          largest = fmax (largest, exponent[k]);
        }
      for (int64_t k = 0; k < components; k++)
        sum += exp (exponent[k] - largest);
      double log_sum = largest + log (sum);
      if (j->density)
        j->density[c] = log_sum - 0.5 * (double) n * log (2.0 * M_PI * variance);
      if (j->score)
        {
          /* sum_k r_k (mu_k - x) / variance, with responsibilities r_k. */
          float *score = tp_chain (j->score, c);
          for (int64_t k = 0; k < components; k++)
            exponent[k] = exp (exponent[k] - log_sum);
          for (int64_t i = 0; i < n; i++)
            {
              double pull = 0.0;
              for (int64_t k = 0; k < components; k++)
                pull += exponent[k] * ((double) tp_chain (j->means, k)[i] - (double) x[i]);
              score[i] = (float) (pull / variance);
            }
        }
    }
}

static tp_status
run (job *j)
{
  if (tp_check_chains (j->x, "x") || tp_check (j->means, "means", j->x->dtype, -1)
      || tp_check_chains (j->means, "means") || tp_check (j->log_weights, "log-weights", TP_F32, 1))
    return tp_last_status ();
  char text[TP_SHAPE_TEXT], other[TP_SHAPE_TEXT];
  bool fits = j->means->rank == j->x->rank;
  for (int a = 1; fits && a < j->x->rank; a++)
    fits = j->means->shape[a] == j->x->shape[a];
  if (!fits)
    return tp_fail (TP_BAD_SHAPE, "x: expected states like the means %s, got shape %s",
                    tp_shape_text (text, j->means->rank, j->means->shape),
                    tp_shape_text (other, j->x->rank, j->x->shape));
  if (tp_check_shape (j->log_weights, "log-weights", TP_F32, 1, j->means->shape))
    return tp_last_status ();
  if (!(j->sd >= 0.0 && isfinite (j->sd)))
    return tp_fail (TP_BAD_ARGUMENT, "sd: expected a number of 0 or more, got %g", j->sd);
  for (int64_t c = 0; c < j->x->shape[0]; c++)
    if (!(j->sd > 0.0 || fabs (j->sigma[c]) > 0.0) || !isfinite (j->sigma[c]))
      return tp_fail (TP_BAD_ARGUMENT, "sigma: expected a finite number, not 0 where sd is, got %g",
                      j->sigma[c]);
  int64_t chains = j->x->shape[0], components = j->means->shape[0];
  double total = 0.0;
  for (int64_t k = 0; k < components; k++)
    total += exp ((double) tp_f32 (j->log_weights)[k]);
  if (!(total > 0.0 && isfinite (total)))
    return tp_fail (TP_BAD_VALUE, "log-weights: expected finite weights, got a sum of %g", total);
  j->log_total = log (total);
  j->exponents = tp_scratch_alloc ((size_t) (chains * components) * sizeof (double));
  if (!j->exponents)
    return tp_last_status ();
  tp_parallel_for (chains, 65536 / (components * tp_chain_length (j->x)) + 1, do_chains, j);
  tp_scratch_free (j->exponents);
  return TP_OK;
}

tp_tensor *
tp_mixture_score (const tp_tensor *x, const tp_tensor *means, const tp_tensor *log_weights,
                  double sd, const double *sigma)
{
  job j = { .x = x, .means = means, .log_weights = log_weights, .sd = sd, .sigma = sigma };
  j.score = tp_tensor_like (x);
  if (j.score && run (&j))
    {
      tp_tensor_free (j.score);
      return NULL;
    }
  return j.score;
}

tp_status
tp_mixture_log_density (const tp_tensor *x, const tp_tensor *means, const tp_tensor *log_weights,
                        double sd, const double *sigma, double *density)
{
  job j = { .x = x, .means = means, .log_weights = log_weights, .sd = sd, .sigma = sigma,
            .density = density };
  return run (&j);
}
