/* mixture.c -- responsibilities by log-sum-exp; from them density and score. */
#include "mcmc/mixture.h"

#include <math.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "mcmc/chains.h"

typedef struct {
  const tp_tensor *x, *means, *log_weights;
  double sd;
  const double *sigma;
  double log_total;   /* log sum_k exp (log_weights_k) */
  double *exponents;  /* (C K) */
  tp_tensor *score;   /* or NULL */
  const tp_tensor *along; /* or NULL: SCORE is to be the score's derivative in this direction */
  double *density;    /* or NULL */
} job;

/* The covariance of the means, weighted by the responsibilities R, times d over variance^2, less
 * d over variance: symmetric, so the gradient's way back too. */
static void
differentiate (job *j, int64_t c, double *r, double variance)
{
  int64_t components = j->means->shape[0], n = tp_chain_length (j->x);
  const float *d = tp_chain (j->along, c);
  float *out = tp_chain (j->score, c);
  double mean = 0.0;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t k = 0; k < components; k++)
      {
        const float *centre = tp_chain (j->means, k);
        double dot = 0.0;
        for (int64_t i = 0; i < n; i++)
          dot += (double) centre[i] * d[i];
        if (pass == 0)
          mean += r[k] * dot;
        else
          r[k] *= dot - mean;
      }
  for (int64_t i = 0; i < n; i++)
    {
      double sum = 0.0;
      for (int64_t k = 0; k < components; k++)
        sum += r[k] * (double) tp_chain (j->means, k)[i];
      out[i] = (float) (sum / (variance * variance) - (double) d[i] / variance);
    }
}

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
      /* cppcheck-suppress invalidFunctionArg ; the largest term is 1 */
      double log_sum = largest + log (sum);
      if (j->density)
        j->density[c] = log_sum - 0.5 * (double) n * log (2.0 * M_PI * variance);
      if (j->score)
        {
          /* sum_k r_k (mu_k - x) / variance, with responsibilities r_k. */
          float *score = tp_chain (j->score, c);
          for (int64_t k = 0; k < components; k++)
            exponent[k] = exp (exponent[k] - log_sum);
          if (j->along)
            {
              differentiate (j, c, exponent, variance);
              continue;
            }
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

static tp_tensor *
score (const tp_tensor *x, const tp_tensor *means, const tp_tensor *log_weights, double sd,
       const double *sigma, const tp_tensor *along)
{
  job j = { .x = x, .means = means, .log_weights = log_weights, .sd = sd, .sigma = sigma,
            .along = along };
  j.score = tp_tensor_like (x);
  if (j.score && run (&j))
    {
      tp_tensor_free (j.score);
      return NULL;
    }
  return j.score;
}

/* saved: means, log-weights, and sigma in two parts, whose sum is as good as a double. */
static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0];
  int64_t chains = x->shape[0];
  double *sigma = tp_scratch_alloc ((size_t) chains * sizeof *sigma);
  if (!sigma)
    return tp_last_status ();
  for (int64_t c = 0; c < chains; c++)
    sigma[c] = (double) tp_f32 (r->saved[2])[c] + (double) tp_f32 (r->saved[3])[c];
  tp_tensor *g = score (x, r->saved[0], r->saved[1], r->numbers[0], sigma, r->output->grad);
  tp_scratch_free (sigma);
  return tp_accumulate_grad (x, g);
}

tp_tensor *
tp_mixture_score (tp_tensor *x, tp_tensor *means, tp_tensor *log_weights, double sd,
                  const double *sigma)
{
  if (tp_tape_constant (means, "means") || tp_tape_constant (log_weights, "log-weights"))
    return NULL;
  tp_tensor *result = score (x, means, log_weights, sd, sigma, NULL);
  if (!result || !tp_tape_wants (&x, 1))
    return result;
  tp_tensor *high = tp_tensor_create (TP_F32, 1, x->shape), *low = tp_tensor_create (TP_F32, 1, x->shape);
  tp_record r = { .inputs = { x }, .input_count = 1, .saved = { means, log_weights, high, low },
                  .numbers = { sd }, .unneeded = TP_OUTPUT_UNNEEDED };
  if (high && low)
    {
      for (int64_t c = 0; c < x->shape[0]; c++)
        {
          tp_f32 (high)[c] = (float) sigma[c];
          tp_f32 (low)[c] = (float) (sigma[c] - (double) tp_f32 (high)[c]);
        }
      result = tp_recorded (result, &r, backward);
    }
  else
    {
      tp_tensor_free (result);
      result = NULL;
    }
  tp_tensor_free (high);
  tp_tensor_free (low);
  return result;
}

tp_status
tp_mixture_log_density (const tp_tensor *x, const tp_tensor *means, const tp_tensor *log_weights,
                        double sd, const double *sigma, double *density)
{
  job j = { .x = x, .means = means, .log_weights = log_weights, .sd = sd, .sigma = sigma,
            .density = density };
  return run (&j);
}
