/* shuffle.c -- squares of pixels become channels, and back (Shi et al. 2016): nothing is lost, and
 * what follows works at a fraction of the resolution.
 *
 *   y[n, i, j, (c f + k) f + l] = x[n, i f + k, j f + l, c]
 *
 * Each of the two is the other's inverse and, as a permutation, its adjoint. */
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *in;
  float *out;
  int64_t w, c; /* columns of the small image, channels of the large one */
  int factor;
} job;

/* Items are rows of the small image, counted over the batch. */
static void
gather_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c, f = j->factor, large = j->w * f;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->w; x++)
      for (int64_t k = 0; k < f; k++)
        for (int64_t l = 0; l < f; l++)
          {
            const float *restrict in = j->in + ((row * f + k) * large + x * f + l) * c;
            float *restrict out = j->out + (row * j->w + x) * c * f * f + k * f + l;
            for (int64_t i = 0; i < c; i++)
              out[i * f * f] = in[i];
          }
}

static void
scatter_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c, f = j->factor, large = j->w * f;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->w; x++)
      for (int64_t k = 0; k < f; k++)
        for (int64_t l = 0; l < f; l++)
          {
            const float *restrict in = j->in + (row * j->w + x) * c * f * f + k * f + l;
            float *restrict out = j->out + ((row * f + k) * large + x * f + l) * c;
            for (int64_t i = 0; i < c; i++)
              out[i] = in[i * f * f];
          }
}

static tp_tensor *
unshuffled (const tp_tensor *x, int f)
{
  tp_tensor *y = tp_tensor_create (TP_F32, 4, (int64_t[]) { x->shape[0], x->shape[1] / f,
                                                            x->shape[2] / f, x->shape[3] * f * f });
  if (y)
    {
      job j = { tp_f32 (x), tp_f32 (y), y->shape[2], x->shape[3], f };
      tp_span span = tp_span_start ();
      tp_parallel_for (y->shape[0] * y->shape[1], 1, gather_rows, &j);
      tp_span_end (span, "pixel shuffle", (tp_work) { .bytes = 8.0 * (double) tp_tensor_count (x) },
                   NULL);
    }
  return y;
}

static tp_tensor *
shuffled (const tp_tensor *x, int f)
{
  tp_tensor *y = tp_tensor_create (TP_F32, 4, (int64_t[]) { x->shape[0], x->shape[1] * f,
                                                            x->shape[2] * f, x->shape[3] / (f * f) });
  if (y)
    {
      job j = { tp_f32 (x), tp_f32 (y), x->shape[2], y->shape[3], f };
      tp_span span = tp_span_start ();
      tp_parallel_for (x->shape[0] * x->shape[1], 1, scatter_rows, &j);
      tp_span_end (span, "pixel shuffle", (tp_work) { .bytes = 8.0 * (double) tp_tensor_count (x) },
                   NULL);
    }
  return y;
}

static tp_status
unshuffle_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], shuffled (r->output->grad, (int) r->numbers[0]));
}

static tp_status
shuffle_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], unshuffled (r->output->grad, (int) r->numbers[0]));
}

static tp_tensor *
recorded (tp_tensor *y, tp_tensor *x, int factor, tp_backward backward)
{
  tp_record r = { .output = y, .inputs = { x }, .input_count = 1, .numbers = { factor },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED };
  if (y && tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}

static tp_status
check (const tp_tensor *x, int factor)
{
  if (tp_check (x, "images", TP_F32, 4) != TP_OK)
    return tp_last_status ();
  return factor >= 1 && factor <= 16 ? TP_OK
         : tp_fail (TP_BAD_ARGUMENT, "factor: expected 1 to 16, got %d", factor);
}

tp_tensor *
tp_pixel_unshuffle (tp_tensor *x, int factor)
{
  if (check (x, factor) != TP_OK)
    return NULL;
  if (x->shape[1] % factor || x->shape[2] % factor)
    {
      tp_fail (TP_BAD_SHAPE, "images: expected rows and columns divisible by %d, got %lld x %lld",
               factor, (long long) x->shape[1], (long long) x->shape[2]);
      return NULL;
    }
  return recorded (unshuffled (x, factor), x, factor, unshuffle_backward);
}

tp_tensor *
tp_pixel_shuffle (tp_tensor *x, int factor)
{
  if (check (x, factor) != TP_OK)
    return NULL;
  if (x->shape[3] % (factor * factor))
    {
      tp_fail (TP_BAD_SHAPE, "images: expected channels divisible by %d, got %lld", factor * factor,
               (long long) x->shape[3]);
      return NULL;
    }
  return recorded (shuffled (x, factor), x, factor, shuffle_backward);
}
