/* batch_norm.c -- batch normalisation over all but the last axis (Ioffe, Szegedy 2015). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/profile.h"
#include "core/ranks.h"
#include "core/stop.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *x, *y, *g, *r; /* input, output, output's gradient, residual: (rows c) */
  float *out, *g_inner;       /* g_inner: the gradient behind the activation */
  int64_t rows, c;
  const float *mean, *inverse;  /* by channel; inverse standard deviation */
  const float *scale, *shift;
  const float *mean_g, *mean_gx;
  float slope;
  double *partial;          /* [piece][two sums][c] */
  tp_moments *moments;
} job;

enum { ROWS = 256 };        /* rows in a piece of a sum; shape alone cuts them */

TP_CLONES static void
normalise_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict scale = j->scale, *restrict shift = j->shift;
  int64_t c = j->c;
  float slope = j->slope;
  for (int64_t row = begin; row < end; row++)
    {
      const float *restrict x = j->x + row * c, *restrict r = j->r ? j->r + row * c : NULL;
      float *restrict out = j->out + row * c;
      if (r)
        for (int64_t i = 0; i < c; i++)
          {
            float v = scale[i] * x[i] + shift[i] + r[i];
            out[i] = v * (v > 0 ? 1.0f : slope);
          }
      else
        for (int64_t i = 0; i < c; i++)
          {
            float v = scale[i] * x[i] + shift[i];
            out[i] = v * (v > 0 ? 1.0f : slope);
          }
    }
}

/* Channels that are summed together, in registers: their sums over a few rows in float32,
 * those over more in double. */
enum { LANES = 32, SOME = 64 };

#define INLINE static inline __attribute__ ((always_inline))

static void
moments_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t piece = begin; piece < end; piece++)
    {
      int64_t rows = (piece + 1) * ROWS < j->rows ? ROWS : j->rows - piece * ROWS;
      tp_moments_add (j->moments, piece, 0, j->c,
                      &(tp_run) { j->x + piece * ROWS * j->c, rows }, 1);
    }
}

/* Sums of v and of v x^, x^ being the normalised input and v the gradient behind
 * the activation, whose argument has its output's sign; v itself into OUT if wanted. */
INLINE void
add_gradients (const float *restrict x, const float *restrict y, const float *restrict g,
               float *restrict out, int64_t rows, int64_t c, const int n, const float slope,
               const float *restrict mean, const float *restrict inverse, double *sum,
               double *product)
{
  for (int64_t row = 0; row < rows; row += SOME)
    {
      float some[LANES] = { 0 }, some_products[LANES] = { 0 };
      for (int64_t r = row; r < row + SOME && r < rows; r++)
        for (int i = 0; i < n; i++)
          {
            int64_t at = r * c + i;
            float v = g[at] * (y[at] > 0 ? 1.0f : slope);
            if (out)
              out[at] = v;
            some[i] += v;
            some_products[i] += v * (x[at] - mean[i]);
          }
      for (int i = 0; i < n; i++)
        {
          sum[i] += some[i];
          product[i] += (double) some_products[i] * inverse[i];
        }
    }
}

TP_CLONES static void
gradient_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t piece = begin; piece < end; piece++)
    {
      double *sum = j->partial + piece * 2 * c, *product = sum + c;
      memset (sum, 0, (size_t) (2 * c) * sizeof *sum);
      int64_t rows = (piece + 1) * ROWS < j->rows ? ROWS : j->rows - piece * ROWS;
      for (int64_t i = 0; i < c; i += LANES)
        {
          int64_t at = piece * ROWS * c + i;
          int n = (int) (c - i < LANES ? c - i : LANES);
#define ADD(out, n)                                                                        \
  add_gradients (j->x + at, j->y + at, j->g + at, out, rows, c, n, j->slope, j->mean + i,  \
                 j->inverse + i, sum + i, product + i)
          if (n == LANES && j->g_inner)
            ADD (j->g_inner + at, LANES);
          else if (n == LANES)
            ADD (NULL, LANES);
          else
            ADD (j->g_inner ? j->g_inner + at : NULL, n);
#undef ADD
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

/* Of gradient_pieces, added in order, into SUM_G and SUM_GX (c); those times SCALE_OF_MEAN, of the batch that this
 * rank may have but a part of, into MEAN_G and MEAN_GX. */
static tp_status
sum_gradients (job *j, tp_tensor *sum_g, tp_tensor *sum_gx, double scale_of_mean, tp_tensor *mean_g,
               tp_tensor *mean_gx)
{
  int64_t count = (j->rows + ROWS - 1) / ROWS, c = j->c;
  j->partial = tp_scratch_alloc ((size_t) ((count + 1) * 2 * c) * sizeof *j->partial);
  if (!j->partial)
    return TP_NO_MEMORY;
  double *all = j->partial + count * 2 * c; /* of all pieces, and then of all ranks */
  tp_parallel_for (count, 1, gradient_pieces, j);
  for (int64_t i = 0; i < c; i++)
    {
      double sums[2] = { 0, 0 };
      for (int64_t piece = 0; piece < count; piece++)
        {
          sums[0] += j->partial[piece * 2 * c + i];
          sums[1] += j->partial[piece * 2 * c + c + i];
        }
      all[i] = tp_f32 (sum_g)[i] = (float) sums[0];
      all[c + i] = tp_f32 (sum_gx)[i] = (float) sums[1];
    }
  /* With running statistics there is nothing that ranks share. */
  tp_status status = scale_of_mean != 0 ? tp_ranks_sum_of_batch (all, 2 * c) : TP_OK;
  for (int64_t i = 0; i < c; i++)
    {
      tp_f32 (mean_g)[i] = (float) scale_of_mean * (float) all[i];
      tp_f32 (mean_gx)[i] = (float) scale_of_mean * (float) all[c + i];
    }
  tp_scratch_free (j->partial);
  return status;
}

/* saved: 0 mean, 1 inverse standard deviation. */
static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *gamma = r->inputs[1], *beta = r->inputs[2];
  tp_tensor *residual = r->inputs[3];
  int64_t c = gamma->shape[0], rows = tp_tensor_count (x) / c;
  tp_span span = tp_span_start ();
  double all_rows = r->numbers[0], scale_of_mean = all_rows != 0 ? 1.0 / all_rows : 0;
  tp_tensor *sum_g = tp_tensor_like (gamma), *sum_gx = tp_tensor_like (gamma);
  tp_tensor *scale = tp_map2 (TP_MUL, gamma, r->saved[1]);
  tp_tensor *mean_g = tp_tensor_like (gamma), *mean_gx = tp_tensor_like (gamma);
  tp_tensor *g_inner = tp_wants_grad (residual) ? tp_tensor_like (x) : NULL;
  /* Without an activation any sign will do, and the output may have been let go. */
  const tp_tensor *y = r->numbers[1] == 1 ? x : r->output;
  job j = { .x = tp_f32 (x), .y = tp_f32 (y), .g = tp_f32 (r->output->grad),
            .rows = rows, .c = c, .mean = tp_f32 (r->saved[0]), .inverse = tp_f32 (r->saved[1]),
            .slope = (float) r->numbers[1], .g_inner = g_inner ? tp_f32 (g_inner) : NULL };
  bool ready = sum_g && sum_gx && mean_g && mean_gx && scale && (g_inner || !tp_wants_grad (residual));
  tp_status status = ready ? sum_gradients (&j, sum_g, sum_gx, scale_of_mean, mean_g, mean_gx) : TP_NO_MEMORY;
  if (status == TP_OK && tp_wants_grad (x))
    {
      tp_tensor *gx = tp_tensor_like (x);
      if (gx)
        {
          j.out = tp_f32 (gx);
          j.scale = tp_f32 (scale);
          j.mean_g = tp_f32 (mean_g);
          j.mean_gx = tp_f32 (mean_gx);
          tp_parallel_for (rows, 1 + 16384 / c, gradient_rows, &j);
        }
      status = tp_accumulate_grad (x, gx);
    }
  if (status == TP_OK && tp_wants_grad (gamma))
    status = tp_accumulate_grad (gamma, tp_tensor_ref (sum_gx));
  if (status == TP_OK && tp_wants_grad (beta))
    status = tp_accumulate_grad (beta, tp_tensor_ref (sum_g));
  tp_span_end (span, "batch norm, gradient", (tp_work) { .bytes = 16.0 * (double) (rows * c) },
               "%lld x %lld", (long long) rows, (long long) c);
  if (status == TP_OK && g_inner)
    status = tp_accumulate_grad (residual, tp_tensor_ref (g_inner));
  tp_tensor_free (g_inner);
  tp_tensor_free (sum_g);
  tp_tensor_free (sum_gx);
  tp_tensor_free (scale);
  tp_tensor_free (mean_g);
  tp_tensor_free (mean_gx);
  return status;
}

/* Mean and variance by channel of the batch that X is, or is this rank's part of, from MOMENTS if they were
 * taken, else from X.  The batch's rows into *ALL_ROWS. */
static tp_status
batch_statistics (const tp_tensor *x, const tp_moments *moments, tp_tensor *mean,
                  tp_tensor *variance, double *all_rows)
{
  tp_moments own = { 0 };
  tp_status status = TP_NO_MEMORY;
  int64_t c = mean->shape[0], rows = tp_tensor_count (x) / c, pieces = (rows + ROWS - 1) / ROWS;
  if (!moments || !moments->pieces)
    {
      if (tp_moments_start (&own, pieces, c) == TP_OK)
        tp_parallel_for (pieces, 1, moments_pieces,
                         &(job) { .x = tp_f32 (x), .rows = rows, .c = c, .moments = &own });
      moments = &own;
    }
  if (moments->sums && moments->counts)
    status = tp_moments_of_batch (moments, tp_f32 (mean), tp_f32 (variance), all_rows);
  tp_moments_free (&own);
  return status;
}

/* Outputs from this size on are computed anew; smaller ones are not worth the time. */
#define LARGE ((size_t) 5 << 20)

/* What it takes to compute an output without residual anew from its input, which the tape
 * keeps in any case: half of what a training step would hold otherwise. */
typedef struct {
  tp_tensor *x, *scale, *shift;
  float slope;
} recipe;

static void
recipe_free (void *object)
{
  recipe *r = object;
  tp_tensor_free (r->x);
  tp_tensor_free (r->scale);
  tp_tensor_free (r->shift);
  free (r);
}

static void
normalise (tp_tensor *y, const tp_tensor *x, const tp_tensor *scale, const tp_tensor *shift,
           const tp_tensor *r, float slope)
{
  int64_t c = scale->shape[0];
  job j = { .x = tp_f32 (x), .out = tp_f32 (y), .r = r ? tp_f32 (r) : NULL,
            .scale = tp_f32 (scale), .shift = tp_f32 (shift), .c = c, .slope = slope };
  tp_parallel_for (tp_tensor_count (x) / c, 1 + 16384 / c, normalise_rows, &j);
}

static tp_status
restore (tp_tensor *y)
{
  const recipe *r = y->derived;
  if (tp_tensor_restore (r->x) || tp_check (r->x, "x", TP_F32, -1)
      || tp_check (r->scale, "scale", TP_F32, 1) || tp_check (r->shift, "shift", TP_F32, 1))
    return tp_last_status ();
  tp_tensor *fresh = tp_tensor_like (y);
  if (!fresh)
    return tp_last_status ();
  normalise (fresh, r->x, r->scale, r->shift, NULL, r->slope);
  if (!tp_stopped ())
    y->buffer = tp_buffer_ref (fresh->buffer);
  tp_tensor_free (fresh);
  return tp_stop_status ();
}

/* Without it, for want of memory, Y is merely kept. */
static void
give_recipe (tp_tensor *y, tp_tensor *x, tp_tensor *scale, tp_tensor *shift, float slope)
{
  recipe *r = malloc (sizeof *r);
  if (!r)
    return;
  *r = (recipe) { tp_tensor_ref (x), tp_tensor_ref (scale), tp_tensor_ref (shift), slope };
  tp_set_derived (y, r, recipe_free);
  y->restore = restore;
}

/* What is written, the running statistics, is nothing else that is read. */
static tp_status
check_apart (const tp_tensor *x, tp_norm norm, const tp_tensor *r)
{
  const tp_tensor *const others[] = { x, norm.gamma, norm.beta, r ? r : x };
  bool shared = tp_overlap (norm.running_mean, norm.running_variance);
  for (int i = 0; i < 4; i++)
    shared = shared || tp_overlap (norm.running_mean, others[i])
             || tp_overlap (norm.running_variance, others[i]);
  return shared ? tp_fail (TP_BAD_ARGUMENT, "running-mean, running-variance: expected memory of their "
                           "own, got views of other arguments; pass copies") : TP_OK;
}

static tp_status
check_norm (tp_norm norm, int64_t c)
{
  const char *const names[] = { "gamma", "beta", "running-mean", "running-variance" };
  const tp_tensor *const tensors[] = { norm.gamma, norm.beta, norm.running_mean,
                                       norm.running_variance };
  for (int i = 0; i < 4; i++)
    if (tp_check_shape (tensors[i], names[i], TP_F32, 1, &c) != TP_OK
        || (i >= 2 && tp_tape_constant (tensors[i], names[i]) != TP_OK))
      return tp_last_status ();
  return TP_OK;
}

/* y = scale x + shift, of given mean and variance; INVERSE (or NULL): the inverse standard
 * deviation. */
static void
affine_map (tp_norm norm, const tp_tensor *mean, const tp_tensor *variance, float epsilon,
            tp_tensor *scale, tp_tensor *shift, tp_tensor *inverse)
{
  for (int64_t i = 0; i < norm.gamma->shape[0]; i++)
    {
      float s = 1.0f / sqrtf (tp_f32 (variance)[i] + epsilon);
      if (inverse)
        tp_f32 (inverse)[i] = s;
      tp_f32 (scale)[i] = tp_f32 (norm.gamma)[i] * s;
      tp_f32 (shift)[i] = tp_f32 (norm.beta)[i] - tp_f32 (mean)[i] * tp_f32 (scale)[i];
    }
}

tp_status
tp_batch_norm_fold (tp_norm norm, float epsilon, tp_tensor *scale, tp_tensor *shift)
{
  if (check_norm (norm, scale->shape[0]) != TP_OK)
    return tp_last_status ();
  affine_map (norm, norm.running_mean, norm.running_variance, epsilon, scale, shift, NULL);
  return TP_OK;
}

tp_tensor *
tp_batch_norm (tp_tensor *x, tp_norm norm, tp_tensor *r, const tp_moments *moments,
               tp_batch_norm_options options)
{
  if (tp_check (x, "x", TP_F32, -1) != TP_OK)
    return NULL;
  if (x->rank < 2)
    {
      tp_fail (TP_BAD_SHAPE, "x: expected a batch with channels last, got %d axes", x->rank);
      return NULL;
    }
  int64_t c = x->shape[x->rank - 1], rows = c ? tp_tensor_count (x) / c : 0;
  if (check_norm (norm, c) != TP_OK
      || (r && tp_check_shape (r, "residual", TP_F32, x->rank, x->shape) != TP_OK)
      || (options.training && check_apart (x, norm, r) != TP_OK))
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
  tp_span span = tp_span_start ();
  tp_tensor *mean = NULL, *variance = NULL, *y = NULL;
  double all_rows = (double) rows;
  tp_tensor *inverse = tp_tensor_create (TP_F32, 1, &c), *scale = tp_tensor_create (TP_F32, 1, &c);
  tp_tensor *shift = tp_tensor_create (TP_F32, 1, &c);
  if (!inverse || !scale || !shift)
    goto done;
  if (options.training)
    {
      mean = tp_tensor_create (TP_F32, 1, &c);
      variance = tp_tensor_create (TP_F32, 1, &c);
      if (!mean || !variance || batch_statistics (x, moments, mean, variance, &all_rows) != TP_OK)
        goto done;
      tp_axpby (1 - options.decay, mean, options.decay, norm.running_mean);
      tp_axpby ((1 - options.decay) * all_rows / (all_rows - 1), variance,
                options.decay, norm.running_variance);
    }
  else
    {
      mean = tp_copy (norm.running_mean);
      variance = tp_copy (norm.running_variance);
      if (!mean || !variance)
        goto done;
    }
  affine_map (norm, mean, variance, options.epsilon, scale, shift, inverse);
  y = tp_tensor_like (x);
  if (y)
    {
      normalise (y, x, scale, shift, r, options.slope);
      tp_record record = { .output = y, .inputs = { x, norm.gamma, norm.beta, r },
                           .input_count = 4, .saved = { mean, inverse },
                           .numbers = { options.training ? all_rows : 0, options.slope },
                           .unneeded = 12 /* beta, r */ | (options.slope == 1 ? TP_OUTPUT_UNNEEDED : 0) };
      if (!r && (size_t) (rows * c) * sizeof (float) >= LARGE && tp_tape_wants (record.inputs, 4))
        give_recipe (y, x, scale, shift, options.slope);
      if (tp_tape_record (&record, backward) != TP_OK)
        {
          tp_tensor_free (y);
          y = NULL;
        }
    }
  tp_span_end (span, "batch norm", (tp_work) { .bytes = 12.0 * (double) (rows * c) },
               "%lld x %lld", (long long) rows, (long long) c);
done:
  tp_tensor_free (mean);
  tp_tensor_free (variance);
  tp_tensor_free (inverse);
  tp_tensor_free (scale);
  tp_tensor_free (shift);
  return y;
}
