/* batch_norm.c -- batch normalisation over all but the last axis (Ioffe, Szegedy 2015). */
#include <math.h>

#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *x, *g, *y;
  float *out;
  const float *scale, *shift, *mean, *mean_g, *mean_gx, *inverse;
  int64_t c;
  float slope;
} job;

static void
normalise_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict scale = j->scale, *restrict shift = j->shift;
  int64_t c = j->c;
  float slope = j->slope;
  for (int64_t row = begin; row < end; row++)
    {
      const float *restrict x = j->x + row * c;
      float *restrict out = j->out + row * c;
      for (int64_t i = 0; i < c; i++)
        {
          float v = scale[i] * x[i] + shift[i];
          out[i] = v * (v > 0 ? 1.0f : slope);
        }
    }
}

/* out = scale (g - mean_g - (x - mean) inverse mean_gx); with running
 * statistics, which do not depend on x, the two means are zero. */
static void
gradient_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t row = begin; row < end; row++)
    {
      const float *restrict x = j->x + row * c, *restrict g = j->g + row * c;
      float *restrict out = j->out + row * c;
      for (int64_t i = 0; i < c; i++)
        out[i] = j->scale[i] * (g[i] - j->mean_g[i]
                                - (x[i] - j->mean[i]) * j->inverse[i] * j->mean_gx[i]);
    }
}

/* g (x - mean) inverse, for the gradient of gamma. */
static void
product_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t row = begin; row < end; row++)
    {
      const float *restrict x = j->x + row * c, *restrict g = j->g + row * c;
      float *restrict out = j->out + row * c;
      for (int64_t i = 0; i < c; i++)
        out[i] = g[i] * (x[i] - j->mean[i]) * j->inverse[i];
    }
}

static unsigned
leading_axes (const tp_tensor *x)
{
  return (1u << (x->rank - 1)) - 1;
}

/* saved: 0 mean, 1 inverse standard deviation. */
static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *gamma = r->inputs[1], *beta = r->inputs[2];
  int64_t c = gamma->shape[0], rows = tp_tensor_count (x) / c;
  bool training = r->numbers[0] != 0;
  tp_tensor *g = tp_leaky_relu_gradient (r->output, r->output->grad, (float) r->numbers[1]);
  tp_tensor *product = tp_tensor_like (x), *gx = tp_tensor_like (x);
  tp_tensor *scale = tp_map2 (TP_MUL, gamma, r->saved[1]);
  tp_tensor *sum_g = NULL, *sum_gx = NULL, *mean_g = NULL, *mean_gx = NULL;
  tp_status status = TP_NO_MEMORY;
  if (!g || !product || !gx || !scale)
    goto done;
  job j = { .x = tp_f32 (x), .g = tp_f32 (g), .out = tp_f32 (product), .scale = tp_f32 (scale),
            .mean = tp_f32 (r->saved[0]), .inverse = tp_f32 (r->saved[1]), .c = c };
  tp_parallel_for (rows, 1 + 16384 / c, product_rows, &j);
  sum_g = tp_reduce (TP_SUM, g, leading_axes (x), false);
  sum_gx = tp_reduce (TP_SUM, product, leading_axes (x), false);
  double scale_of_mean = training ? 1.0 / (double) rows : 0;
  mean_g = sum_g ? tp_affine (sum_g, scale_of_mean, 0) : NULL;
  mean_gx = sum_gx ? tp_affine (sum_gx, scale_of_mean, 0) : NULL;
  if (!mean_g || !mean_gx)
    goto done;
  status = TP_OK;
  if (tp_wants_grad (x))
    {
      j.out = tp_f32 (gx);
      j.mean_g = tp_f32 (mean_g);
      j.mean_gx = tp_f32 (mean_gx);
      tp_parallel_for (rows, 1 + 16384 / c, gradient_rows, &j);
      status = tp_accumulate_grad (x, tp_tensor_ref (gx));
    }
  if (status == TP_OK && tp_wants_grad (gamma))
    status = tp_accumulate_grad (gamma, tp_tensor_ref (sum_gx));
  if (status == TP_OK && tp_wants_grad (beta))
    status = tp_accumulate_grad (beta, tp_tensor_ref (sum_g));
done:
  tp_tensor_free (g);
  tp_tensor_free (product);
  tp_tensor_free (gx);
  tp_tensor_free (scale);
  tp_tensor_free (sum_g);
  tp_tensor_free (sum_gx);
  tp_tensor_free (mean_g);
  tp_tensor_free (mean_gx);
  return status;
}

/* Mean and variance of X by channel: the variance from centred values, since
 * E x^2 - (E x)^2 cancels. */
static tp_status
batch_statistics (const tp_tensor *x, tp_tensor **mean, tp_tensor **variance)
{
  *mean = tp_reduce (TP_MEAN, x, leading_axes (x), false);
  tp_tensor *centred = *mean ? tp_map2 (TP_SUB, x, *mean) : NULL;
  tp_tensor *squares = centred ? tp_reduce (TP_SUM_SQUARES, centred, leading_axes (x), false) : NULL;
  int64_t rows = tp_tensor_count (x) / x->shape[x->rank - 1];
  *variance = squares ? tp_affine (squares, 1.0 / (double) rows, 0) : NULL;
  tp_tensor_free (centred);
  tp_tensor_free (squares);
  return *variance ? TP_OK : tp_last_status ();
}

tp_tensor *
tp_batch_norm (tp_tensor *x, tp_tensor *gamma, tp_tensor *beta, tp_tensor *running_mean,
               tp_tensor *running_variance, tp_batch_norm_options options)
{
  if (tp_check (x, "x", TP_F32, -1) != TP_OK)
    return NULL;
  if (x->rank < 2)
    {
      tp_fail (TP_BAD_SHAPE, "x: expected a batch with channels last, got %d axes", x->rank);
      return NULL;
    }
  int64_t c = x->shape[x->rank - 1], rows = c ? tp_tensor_count (x) / c : 0;
  if (tp_check_shape (gamma, "gamma", TP_F32, 1, &c) != TP_OK
      || tp_check_shape (beta, "beta", TP_F32, 1, &c) != TP_OK
      || tp_check_shape (running_mean, "running-mean", TP_F32, 1, &c) != TP_OK
      || tp_check_shape (running_variance, "running-variance", TP_F32, 1, &c) != TP_OK)
    return NULL;
  if (!(options.decay >= 0 && options.decay <= 1) || !(options.epsilon > 0) || !(options.slope >= 0))
    {
      tp_fail (TP_BAD_ARGUMENT, "options: expected decay in 0 to 1, epsilon above 0, slope of 0 or "
               "more, got %g, %g, %g", (double) options.decay, (double) options.epsilon,
               (double) options.slope);
      return NULL;
    }
  if (options.training && rows < 2)
    {
      tp_fail (TP_BAD_SHAPE, "x: expected at least two values a channel to normalise by, got %lld",
               (long long) rows);
      return NULL;
    }
  tp_tensor *mean = NULL, *variance = NULL, *y = NULL;
  tp_tensor *inverse = tp_tensor_create (TP_F32, 1, &c), *scale = tp_tensor_create (TP_F32, 1, &c);
  tp_tensor *shift = tp_tensor_create (TP_F32, 1, &c);
  if (!inverse || !scale || !shift)
    goto done;
  if (options.training)
    {
      if (batch_statistics (x, &mean, &variance) != TP_OK)
        goto done;
      tp_axpby (1 - options.decay, mean, options.decay, running_mean);
      tp_axpby ((1 - options.decay) * (double) rows / (double) (rows - 1), variance,
                options.decay, running_variance);
    }
  else
    {
      mean = tp_copy (running_mean);
      variance = tp_copy (running_variance);
      if (!mean || !variance)
        goto done;
    }
  for (int64_t i = 0; i < c; i++)
    {
      float s = 1.0f / sqrtf (tp_f32 (variance)[i] + options.epsilon);
      tp_f32 (inverse)[i] = s;
      tp_f32 (scale)[i] = tp_f32 (gamma)[i] * s;
      tp_f32 (shift)[i] = tp_f32 (beta)[i] - tp_f32 (mean)[i] * tp_f32 (scale)[i];
    }
  y = tp_tensor_like (x);
  if (y)
    {
      job j = { .x = tp_f32 (x), .out = tp_f32 (y), .scale = tp_f32 (scale),
                .shift = tp_f32 (shift), .c = c, .slope = options.slope };
      tp_parallel_for (rows, 1 + 16384 / c, normalise_rows, &j);
      tp_record r = { .output = y, .inputs = { x, gamma, beta }, .input_count = 3,
                      .saved = { mean, inverse }, .numbers = { options.training, options.slope } };
      if (tp_tape_record (&r, backward) != TP_OK)
        {
          tp_tensor_free (y);
          y = NULL;
        }
    }
done:
  tp_tensor_free (mean);
  tp_tensor_free (variance);
  tp_tensor_free (inverse);
  tp_tensor_free (scale);
  tp_tensor_free (shift);
  return y;
}
