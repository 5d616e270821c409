/* group_norm.c -- normalisation of each image by groups of its channels (Wu, He 2018), adaptive
 * where the noise's embedding scales and shifts the result (Dhariwal, Nichol 2021), and SiLU.
 *
 *   y = f (v),   v = (gamma x^ + beta) (1 + s) + t,   x^ = (x - mean) / sqrt (var + epsilon)
 *
 * Mean and variance are of one image and group, gamma and beta (c) of a channel, s and t (n c) of
 * an image and channel: so v is, for each image and channel, an affine map a x + b.  Backward
 * computes v anew from x, which costs less than to keep it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/cpu.h"
#include "core/exponential.h"
#include "core/profile.h"
#include "core/stop.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  int64_t n, pixels, c, pieces; /* pieces: of an image */
  bool silu;
  const float *x, *g;
  float *out;
  const float *a, *b;           /* (n c) */
  const float *mean, *inverse;  /* (n c); inverse standard deviation */
  const float *of_centred, *of_one; /* (n c): see gradient_pieces */
  double *partial;              /* [n][piece][two sums][c] */
  tp_moments *moments;
} job;

enum { PIXELS = 256 };      /* in a piece; shape alone cuts them */
enum { LANES = 32, SOME = 64 }; /* summed in registers; pixels in a float32 sum */

static int64_t
pixels_of (const job *j, int64_t piece)
{
  int64_t first = piece % j->pieces * PIXELS;
  return first + PIXELS < j->pixels ? PIXELS : j->pixels - first;
}

/* Where a piece's first pixel begins. */
static int64_t
start_of (const job *j, int64_t piece)
{
  return (piece / j->pieces * j->pixels + piece % j->pieces * PIXELS) * j->c;
}

static void
moments_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t piece = begin; piece < end; piece++)
    tp_moments_add (j->moments, piece, 0, j->c,
                    &(tp_run) { j->x + start_of (j, piece), pixels_of (j, piece) }, 1);
}

TP_CLONES static void
forward_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t piece = begin; piece < end; piece++)
    {
      const float *restrict a = j->a + piece / j->pieces * c;
      const float *restrict b = j->b + piece / j->pieces * c;
      int64_t start = start_of (j, piece), pixels = pixels_of (j, piece);
      for (int64_t p = 0; p < pixels; p++)
        {
          const float *restrict x = j->x + start + p * c;
          float *restrict out = j->out + start + p * c;
          if (j->silu)
            for (int64_t i = 0; i < c; i++)
              out[i] = tp_silu_of (a[i] * x[i] + b[i]);
          else
            for (int64_t i = 0; i < c; i++)
              out[i] = a[i] * x[i] + b[i];
        }
    }
}

/* The sums over PIXELS of h and h x^, h the gradient behind f, for N channels; h itself into
 * OUT where f is SiLU. */
TP_INLINE void
add_gradients (const float *restrict x, const float *restrict g, float *restrict out,
               int64_t pixels, int64_t c, const int n, const bool silu, const float *restrict a,
               const float *restrict b, const float *restrict mean,
               const float *restrict inverse, double *sum, double *product)
{
  for (int64_t first = 0; first < pixels; first += SOME)
    {
      float some[LANES] = { 0 }, some_products[LANES] = { 0 };
      for (int64_t p = first; p < first + SOME && p < pixels; p++)
        for (int i = 0; i < n; i++)
          {
            int64_t at = p * c + i;
            float h = g[at];
            if (silu)
              {
                h *= tp_silu_slope (a[i] * x[at] + b[i]);
                out[at] = h;
              }
            some[i] += h;
            some_products[i] += h * (x[at] - mean[i]);
          }
      for (int i = 0; i < n; i++)
        {
          sum[i] += some[i];
          product[i] += (double) some_products[i] * inverse[i];
        }
    }
}

TP_CLONES static void
sum_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t piece = begin; piece < end; piece++)
    {
      double *sum = j->partial + piece * 2 * c, *product = sum + c;
      memset (sum, 0, (size_t) (2 * c) * sizeof *sum);
      int64_t start = start_of (j, piece), pixels = pixels_of (j, piece);
      for (int64_t i = 0; i < c; i += LANES)
        {
          int64_t at = start + i, of = piece / j->pieces * c + i;
          int n = (int) (c - i < LANES ? c - i : LANES);
#define ADD(n, silu)                                                                           \
  add_gradients (j->x + at, j->g + at, j->out + at, pixels, c, n, silu, j->a + of, j->b + of,  \
                 j->mean + of, j->inverse + of, sum + i, product + i)
          if (n == LANES && j->silu)
            ADD (LANES, true);
          else if (n == LANES)
            ADD (LANES, false);
          else
            ADD (n, j->silu);
#undef ADD
        }
    }
}

/* out = a h - of_centred (x - mean) - of_one. */
TP_CLONES static void
gradient_pieces (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c;
  for (int64_t piece = begin; piece < end; piece++)
    {
      int64_t of = piece / j->pieces * c, start = start_of (j, piece), pixels = pixels_of (j, piece);
      const float *restrict a = j->a + of, *restrict mean = j->mean + of;
      const float *restrict of_centred = j->of_centred + of, *restrict of_one = j->of_one + of;
      for (int64_t p = 0; p < pixels; p++)
        {
          const float *restrict x = j->x + start + p * c;
          float *restrict out = j->out + start + p * c;
          const float *h = j->silu ? out : j->g + start + p * c;
          for (int64_t i = 0; i < c; i++)
            out[i] = a[i] * h[i] - of_centred[i] * (x[i] - mean[i]) - of_one[i];
        }
    }
}

static job
job_of (const tp_tensor *x, bool silu)
{
  int64_t n = x->shape[0], c = x->shape[3], pixels = x->shape[1] * x->shape[2];
  return (job) { .n = n, .pixels = pixels, .c = c, .pieces = (pixels + PIXELS - 1) / PIXELS,
                 .silu = silu, .x = tp_f32 (x) };
}

/* SUM_G and SUM_GX (n c): the sums of sum_pieces over each image, in order. */
static tp_status
sum_gradients (job *j, tp_tensor *sum_g, tp_tensor *sum_gx)
{
  int64_t c = j->c;
  j->partial = tp_scratch_alloc ((size_t) (j->n * j->pieces * 2 * c) * sizeof *j->partial);
  if (!j->partial)
    return tp_fail (TP_NO_MEMORY, "memory is exhausted");
  tp_parallel_for (j->n * j->pieces, 1, sum_pieces, j);
  for (int64_t n = 0; n < j->n; n++)
    for (int64_t i = 0; i < c; i++)
      {
        double sums[2] = { 0, 0 };
        for (int64_t piece = n * j->pieces; piece < (n + 1) * j->pieces; piece++)
          {
            sums[0] += j->partial[piece * 2 * c + i];
            sums[1] += j->partial[piece * 2 * c + c + i];
          }
        tp_f32 (sum_g)[n * c + i] = (float) sums[0];
        tp_f32 (sum_gx)[n * c + i] = (float) sums[1];
      }
  tp_scratch_free (j->partial);
  return TP_OK;
}

/* The gradients of the parameters from the sums over each image. */
static tp_status
accumulate_parameters (const tp_record *r, const float *sum_g, const float *sum_gx)
{
  tp_tensor *gamma = r->inputs[1], *beta = r->inputs[2], *modulation = r->inputs[3];
  int64_t n = r->inputs[0]->shape[0], c = gamma->shape[0];
  tp_tensor *g_gamma = tp_tensor_zeros (TP_F32, 1, &c), *g_beta = tp_tensor_zeros (TP_F32, 1, &c);
  tp_tensor *g_modulation = modulation ? tp_tensor_like (modulation) : NULL;
  tp_status status = g_gamma && g_beta && (g_modulation || !modulation) ? TP_OK : tp_last_status ();
  if (status == TP_OK)
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < c; k++)
        {
          float scale = modulation ? 1 + tp_f32 (modulation)[i * 2 * c + k] : 1;
          tp_f32 (g_gamma)[k] += scale * sum_gx[i * c + k];
          tp_f32 (g_beta)[k] += scale * sum_g[i * c + k];
          if (modulation)
            {
              tp_f32 (g_modulation)[i * 2 * c + k] = tp_f32 (gamma)[k] * sum_gx[i * c + k]
                                                     + tp_f32 (beta)[k] * sum_g[i * c + k];
              tp_f32 (g_modulation)[i * 2 * c + c + k] = sum_g[i * c + k];
            }
        }
  tp_tensor *const inputs[] = { gamma, beta, modulation };
  tp_tensor *const gradients[] = { g_gamma, g_beta, g_modulation };
  for (int i = 0; i < 3; i++)
    if (status == TP_OK && tp_wants_grad (inputs[i]))
      status = tp_accumulate_grad (inputs[i], gradients[i]);
    else
      tp_tensor_free (gradients[i]);
  return status;
}

/* saved: a, b, mean, inverse, each (n c). */
static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *a = r->saved[0], *inverse = r->saved[3];
  job j = job_of (x, r->numbers[1] != 0);
  int64_t n = j.n, c = j.c, groups = (int64_t) r->numbers[0], of_group = c / groups;
  tp_span span = tp_span_start ();
  tp_tensor *gx = tp_tensor_like (x), *of_centred = tp_tensor_like (a), *of_one = tp_tensor_like (a);
  tp_tensor *sum_g = tp_tensor_like (a), *sum_gx = tp_tensor_like (a);
  tp_status status = gx && of_centred && of_one && sum_g && sum_gx ? TP_OK : tp_last_status ();
  if (status == TP_OK)
    {
      j.g = tp_f32 (r->output->grad);
      j.out = tp_f32 (gx);
      j.a = tp_f32 (a);
      j.b = tp_f32 (r->saved[1]);
      j.mean = tp_f32 (r->saved[2]);
      j.inverse = tp_f32 (inverse);
      j.of_centred = tp_f32 (of_centred);
      j.of_one = tp_f32 (of_one);
      status = sum_gradients (&j, sum_g, sum_gx);
    }
  if (status == TP_OK && tp_wants_grad (x))
    {
      /* With h' = a h / inverse: gx = inverse (h' - mean (h') - x^ mean (h' x^)), means over
       * the group. */
      double count = (double) (j.pixels * of_group);
      for (int64_t first = 0; first < n * c; first += of_group)
        {
          double of_h = 0, of_hx = 0;
          for (int64_t i = first; i < first + of_group; i++)
            {
              of_h += (double) j.a[i] * tp_f32 (sum_g)[i];
              of_hx += (double) j.a[i] * tp_f32 (sum_gx)[i];
            }
          for (int64_t i = first; i < first + of_group; i++)
            {
              tp_f32 (of_one)[i] = (float) (of_h / count);
              tp_f32 (of_centred)[i] = (float) (of_hx / count * j.inverse[i]);
            }
        }
      tp_parallel_for (n * j.pieces, 1, gradient_pieces, &j);
      status = tp_accumulate_grad (x, tp_tensor_ref (gx));
    }
  if (status == TP_OK)
    status = accumulate_parameters (r, tp_f32 (sum_g), tp_f32 (sum_gx));
  tp_span_end (span, "group norm, gradient", (tp_work) { .bytes = 12.0 * (double) tp_tensor_count (x) },
               "%lld x %lld x %lld", (long long) n, (long long) j.pixels, (long long) c);
  tp_tensor *const t[] = { gx, of_centred, of_one, sum_g, sum_gx };
  for (int i = 0; i < 5; i++)
    tp_tensor_free (t[i]);
  return status;
}

/* Mean and inverse standard deviation of each image and group, each for its channels (n c). */
static tp_status
statistics (const job *j, int64_t groups, float epsilon, float *mean, float *inverse)
{
  tp_moments all = { 0 };
  if (tp_moments_start (&all, j->n * j->pieces, j->c) != TP_OK)
    {
      tp_moments_free (&all);
      return tp_fail (TP_NO_MEMORY, "memory is exhausted");
    }
  job own = *j;
  own.moments = &all;
  tp_parallel_for (all.pieces, 1, moments_pieces, &own);
  int64_t c = j->c, of_group = c / groups;
  for (int64_t n = 0; n < j->n; n++)
    { /* by channel, the variance where the inverse goes; then by group */
      tp_moments image = { j->pieces, c, all.sums + n * j->pieces * 2 * c,
                           all.counts + n * j->pieces };
      float *m = mean + n * c, *v = inverse + n * c;
      tp_moments_combine (&image, m, v);
      for (int64_t first = 0; first < c; first += of_group)
        {
          double middle = 0, variance = 0;
          for (int64_t i = first; i < first + of_group; i++)
            middle += m[i];
          middle /= (double) of_group;
          for (int64_t i = first; i < first + of_group; i++)
            variance += v[i] + (m[i] - middle) * (m[i] - middle);
          variance /= (double) of_group;
          for (int64_t i = first; i < first + of_group; i++)
            {
              m[i] = (float) middle;
              v[i] = (float) (1 / sqrt (variance + epsilon));
            }
        }
    }
  tp_moments_free (&all);
  return TP_OK;
}

/* Outputs from this size on are computed anew when they were let go; smaller ones are not worth
 * the time. */
#define LARGE ((size_t) 1 << 20)

/* What that takes; the tape keeps x in any case. */
typedef struct {
  tp_tensor *x, *a, *b;
  bool silu;
} recipe;

static void
recipe_free (void *object)
{
  recipe *r = object;
  tp_tensor_free (r->x);
  tp_tensor_free (r->a);
  tp_tensor_free (r->b);
  free (r);
}

static void
normalise (tp_tensor *y, const tp_tensor *x, const tp_tensor *a, const tp_tensor *b, bool silu)
{
  job j = job_of (x, silu);
  j.a = tp_f32 (a);
  j.b = tp_f32 (b);
  j.out = tp_f32 (y);
  tp_parallel_for (j.n * j.pieces, 1, forward_pieces, &j);
}

static tp_status
restore (tp_tensor *y)
{
  const recipe *r = y->derived;
  if (tp_tensor_restore (r->x) || tp_check (r->x, "x", TP_F32, -1)
      || tp_check (r->a, "a", TP_F32, -1) || tp_check (r->b, "b", TP_F32, -1))
    return tp_last_status ();
  tp_tensor *fresh = tp_tensor_like (y);
  if (!fresh)
    return tp_last_status ();
  normalise (fresh, r->x, r->a, r->b, r->silu);
  if (!tp_stopped ())
    y->buffer = tp_buffer_ref (fresh->buffer);
  tp_tensor_free (fresh);
  return tp_stop_status ();
}

/* Without it, for want of memory, Y is merely kept. */
static void
give_recipe (tp_tensor *y, tp_tensor *x, tp_tensor *a, tp_tensor *b, bool silu)
{
  recipe *r = malloc (sizeof *r);
  if (!r)
    return;
  *r = (recipe) { tp_tensor_ref (x), tp_tensor_ref (a), tp_tensor_ref (b), silu };
  tp_set_derived (y, r, recipe_free);
  y->restore = restore;
}

static tp_status
check (const tp_tensor *x, const tp_tensor *gamma, const tp_tensor *beta,
       const tp_tensor *modulation, tp_group_norm_options options)
{
  if (tp_check (x, "images", TP_F32, 4) != TP_OK)
    return tp_last_status ();
  int64_t n = x->shape[0], c = x->shape[3];
  if (tp_tensor_count (x) == 0)
    return tp_fail (TP_BAD_SHAPE, "images: expected some pixels to normalise by, got none");
  if (options.groups < 1 || c % options.groups)
    return tp_fail (TP_BAD_ARGUMENT, "groups: expected a divisor of the %lld channels, got %d",
                    (long long) c, options.groups);
  if (!(options.epsilon > 0))
    return tp_fail (TP_BAD_ARGUMENT, "epsilon: expected a positive number, got %g",
                    (double) options.epsilon);
  if (tp_check_shape (gamma, "gamma", TP_F32, 1, &c) != TP_OK
      || tp_check_shape (beta, "beta", TP_F32, 1, &c) != TP_OK
      || (modulation && tp_check_shape (modulation, "modulation", TP_F32, 2,
                                        (int64_t[]) { n, 2 * c }) != TP_OK))
    return tp_last_status ();
  return TP_OK;
}

tp_tensor *
tp_group_norm (tp_tensor *x, tp_tensor *gamma, tp_tensor *beta, tp_tensor *modulation,
               tp_group_norm_options options)
{
  if (check (x, gamma, beta, modulation, options) != TP_OK)
    return NULL;
  tp_span span = tp_span_start ();
  job j = job_of (x, options.silu);
  int64_t shape[] = { j.n, j.c }, c = j.c;
  tp_tensor *a = tp_tensor_create (TP_F32, 2, shape), *b = tp_tensor_create (TP_F32, 2, shape);
  tp_tensor *mean = tp_tensor_create (TP_F32, 2, shape);
  tp_tensor *inverse = tp_tensor_create (TP_F32, 2, shape), *y = tp_tensor_like (x);
  if (a && b && mean && inverse && y
      && statistics (&j, options.groups, options.epsilon, tp_f32 (mean), tp_f32 (inverse)) == TP_OK)
    {
      for (int64_t n = 0; n < j.n; n++)
        for (int64_t i = 0, at = n * c; i < c; i++, at++)
          {
            const float *of_image = modulation ? tp_f32 (modulation) + n * 2 * c : NULL;
            float scale = of_image ? 1 + of_image[i] : 1, shift = of_image ? of_image[c + i] : 0;
            tp_f32 (a)[at] = tp_f32 (gamma)[i] * scale * tp_f32 (inverse)[at];
            tp_f32 (b)[at] = tp_f32 (beta)[i] * scale + shift - tp_f32 (a)[at] * tp_f32 (mean)[at];
          }
      normalise (y, x, a, b, options.silu);
      tp_record r = { .inputs = { x, gamma, beta, modulation },
                      .input_count = 4, .saved = { a, b, mean, inverse },
                      .numbers = { options.groups, options.silu }, .unneeded = TP_OUTPUT_UNNEEDED };
      if ((size_t) tp_tensor_count (x) * sizeof (float) >= LARGE && tp_tape_wants (r.inputs, 4))
        give_recipe (y, x, a, b, options.silu);
      y = tp_recorded (y, &r, backward);
    }
  else
    {
      tp_tensor_free (y);
      y = NULL;
    }
  tp_span_end (span, "group norm", (tp_work) { .bytes = 12.0 * (double) tp_tensor_count (x) },
               "%lld x %lld x %lld", (long long) j.n, (long long) j.pixels, (long long) c);
  tp_tensor *const t[] = { a, b, mean, inverse };
  for (int i = 0; i < 4; i++)
    tp_tensor_free (t[i]);
  return y;
}
