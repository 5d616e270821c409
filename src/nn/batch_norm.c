/* batch_norm.c -- batch normalisation over all but the last axis (Ioffe, Szegedy 2015). */
#include <math.h>
#include <string.h>

#include "core/cpu.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *x, *y, *g;   /* input, output, output's gradient: (rows c) */
  float *out;
  int64_t rows, c;
  const float *mean, *inverse;  /* by channel; inverse standard deviation */
  const float *scale, *shift;
  const float *mean_g, *mean_gx;
  float slope;
  double *partial;          /* [piece][two sums][c] */
} job;

enum { ROWS = 512 };        /* rows in a piece of a sum; shape alone cuts them */

TP_CLONES static void
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

/* Sums of (x - mean)^2: from centred values, since E x^2 - (E x)^2 cancels. */
TP_CLONES static void
square_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  const float *restrict mean = j->mean;
  for (int64_t piece = begin; piece < end; piece++)
    {
      double *restrict sum = j->partial + piece * 2 * c;
      memset (sum, 0, (size_t) (2 * c) * sizeof *sum);
      int64_t last = (piece + 1) * ROWS < j->rows ? (piece + 1) * ROWS : j->rows;
      for (int64_t row = piece * ROWS; row < last; row++)
        {
          const float *restrict x = j->x + row * c;
          for (int64_t i = 0; i < c; i++)
            {
              float d = x[i] - mean[i];
              sum[i] += d * d;
            }
        }
    }
}

/* Sums of g and of g x^, x^ being the normalised input and g the gradient behind
 * the activation, whose argument has its output's sign. */
TP_CLONES static void
gradient_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  float slope = j->slope;
  const float *restrict mean = j->mean, *restrict inverse = j->inverse;
  for (int64_t piece = begin; piece < end; piece++)
    {
      double *restrict sum = j->partial + piece * 2 * c, *restrict product = sum + c;
      memset (sum, 0, (size_t) (2 * c) * sizeof *sum);
      int64_t last = (piece + 1) * ROWS < j->rows ? (piece + 1) * ROWS : j->rows;
      for (int64_t row = piece * ROWS; row < last; row++)
        {
          const float *restrict x = j->x + row * c, *restrict y = j->y + row * c;
          const float *restrict g = j->g + row * c;
          for (int64_t i = 0; i < c; i++)
            {
              float v = g[i] * (y[i] > 0 ? 1.0f : slope);
              sum[i] += v;
              product[i] += v * ((x[i] - mean[i]) * inverse[i]);
            }
        }
    }
}

/* out = scale (g - mean_g - x^ mean_gx); with running statistics, which do not
 * depend on x, the two means are zero. */
TP_CLONES static void
gradient_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  float slope = j->slope;
  const float *restrict mean = j->mean, *restrict inverse = j->inverse;
  const float *restrict scale = j->scale;
  const float *restrict mean_g = j->mean_g, *restrict mean_gx = j->mean_gx;
  for (int64_t row = begin; row < end; row++)
    {
      const float *restrict x = j->x + row * c, *restrict y = j->y + row * c;
      const float *restrict g = j->g + row * c;
      float *restrict out = j->out + row * c;
      for (int64_t i = 0; i < c; i++)
        out[i] = scale[i] * (g[i] * (y[i] > 0 ? 1.0f : slope) - mean_g[i]
                             - (x[i] - mean[i]) * inverse[i] * mean_gx[i]);
    }
}

/* Run PIECES, and add their sums in order into FIRST and SECOND (c) where given. */
static tp_status
sum_pieces (job *j, void (*pieces) (void *, int64_t, int64_t), tp_tensor *first,
            tp_tensor *second)
{
  int64_t count = (j->rows + ROWS - 1) / ROWS, c = j->c;
  j->partial = tp_scratch_alloc ((size_t) (count * 2 * c) * sizeof *j->partial);
  if (!j->partial)
    return TP_NO_MEMORY;
  tp_parallel_for (count, 1, pieces, j);
  for (int64_t i = 0; i < c; i++)
    {
      double sums[2] = { 0, 0 };
      for (int64_t piece = 0; piece < count; piece++)
        {
          sums[0] += j->partial[piece * 2 * c + i];
          sums[1] += j->partial[piece * 2 * c + c + i];
        }
      tp_f32 (first)[i] = (float) sums[0];
      if (second)
        tp_f32 (second)[i] = (float) sums[1];
    }
  tp_scratch_free (j->partial);
  return TP_OK;
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
  double scale_of_mean = r->numbers[0] != 0 ? 1.0 / (double) rows : 0;
  tp_tensor *sum_g = tp_tensor_like (gamma), *sum_gx = tp_tensor_like (gamma);
  tp_tensor *scale = tp_map2 (TP_MUL, gamma, r->saved[1]), *mean_g = NULL, *mean_gx = NULL;
  job j = { .x = tp_f32 (x), .y = tp_f32 (r->output), .g = tp_f32 (r->output->grad),
            .rows = rows, .c = c, .mean = tp_f32 (r->saved[0]), .inverse = tp_f32 (r->saved[1]),
            .slope = (float) r->numbers[1] };
  tp_status status = sum_g && sum_gx && scale ? sum_pieces (&j, gradient_pieces, sum_g, sum_gx)
                                              : TP_NO_MEMORY;
  if (status == TP_OK && tp_wants_grad (x))
    {
      tp_tensor *gx = tp_tensor_like (x);
      mean_g = tp_affine (sum_g, scale_of_mean, 0);
      mean_gx = tp_affine (sum_gx, scale_of_mean, 0);
      if (gx && mean_g && mean_gx)
        {
          j.out = tp_f32 (gx);
          j.scale = tp_f32 (scale);
          j.mean_g = tp_f32 (mean_g);
          j.mean_gx = tp_f32 (mean_gx);
          tp_parallel_for (rows, 1 + 16384 / c, gradient_rows, &j);
        }
      status = mean_g && mean_gx ? tp_accumulate_grad (x, gx) : TP_NO_MEMORY;
    }
  if (status == TP_OK && tp_wants_grad (gamma))
    status = tp_accumulate_grad (gamma, tp_tensor_ref (sum_gx));
  if (status == TP_OK && tp_wants_grad (beta))
    status = tp_accumulate_grad (beta, tp_tensor_ref (sum_g));
  tp_tensor_free (sum_g);
  tp_tensor_free (sum_gx);
  tp_tensor_free (scale);
  tp_tensor_free (mean_g);
  tp_tensor_free (mean_gx);
  return status;
}

/* Mean and variance of X by channel. */
static tp_status
batch_statistics (const tp_tensor *x, tp_tensor **mean, tp_tensor **variance)
{
  *mean = tp_reduce (TP_MEAN, x, leading_axes (x), false);
  tp_tensor *squares = *mean ? tp_tensor_like (*mean) : NULL;
  if (!squares)
    return tp_last_status ();
  int64_t c = squares->shape[0], rows = tp_tensor_count (x) / c;
  job j = { .x = tp_f32 (x), .rows = rows, .c = c, .mean = tp_f32 (*mean) };
  if (sum_pieces (&j, square_pieces, squares, NULL) == TP_OK)
    *variance = tp_affine (squares, 1.0 / (double) rows, 0);
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
