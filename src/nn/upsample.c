/* upsample.c -- nearest-neighbour enlargement; its adjoint sums squares. */
#include <string.h>

#include "core/cpu.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *in;
  float *out;
  int64_t w, c; /* of the small image */
  int factor;
} job;

/* Items are rows of the large image, counted over the batch. */
static void
enlarge_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  size_t pixel = (size_t) j->c * sizeof (float);
  for (int64_t row = begin; row < end; row++)
    {
      const float *in = j->in + row / j->factor * j->w * j->c;
      float *out = j->out + row * j->w * j->factor * j->c;
      for (int64_t x = 0; x < j->w; x++, in += j->c)
        for (int k = 0; k < j->factor; k++, out += j->c)
          memcpy (out, in, pixel);
    }
}

/* Items are rows of the small image. */
TP_CLONES static void
sum_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t c = j->c, large = j->w * j->factor;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->w; x++)
      {
        float *restrict out = j->out + (row * j->w + x) * c;
        memset (out, 0, (size_t) c * sizeof *out);
        for (int dy = 0; dy < j->factor; dy++)
          for (int dx = 0; dx < j->factor; dx++)
            {
              const float *restrict in
                = j->in + ((row * j->factor + dy) * large + x * j->factor + dx) * c;
              for (int64_t i = 0; i < c; i++)
                out[i] += in[i];
            }
      }
}

tp_tensor *
tp_upsample_adjoint (const tp_tensor *y, int factor)
{
  tp_tensor *x = tp_tensor_create (TP_F32, 4, (int64_t[]) { y->shape[0], y->shape[1] / factor,
                                                            y->shape[2] / factor, y->shape[3] });
  if (x)
    {
      job j = { tp_f32 (y), tp_f32 (x), x->shape[2], x->shape[3], factor };
      tp_span span = tp_span_start ();
      tp_parallel_for (x->shape[0] * x->shape[1], 1, sum_rows, &j);
      tp_span_end (span, "sum of squares of pixels",
                   (tp_work) { .bytes = 20.0 * (double) tp_tensor_count (x) }, NULL);
    }
  return x;
}

static tp_status
backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0],
                             tp_upsample_adjoint (r->output->grad, (int) r->numbers[0]));
}

tp_tensor *
tp_upsample (tp_tensor *x, int factor)
{
  if (tp_check (x, "images", TP_F32, 4) != TP_OK)
    return NULL;
  if (factor < 1 || factor > 16)
    {
      tp_fail (TP_BAD_ARGUMENT, "factor: expected 1 to 16, got %d", factor);
      return NULL;
    }
  tp_tensor *y = tp_tensor_create (TP_F32, 4, (int64_t[]) { x->shape[0], x->shape[1] * factor,
                                                            x->shape[2] * factor, x->shape[3] });
  if (!y)
    return NULL;
  job j = { tp_f32 (x), tp_f32 (y), x->shape[2], x->shape[3], factor };
  tp_parallel_for (y->shape[0] * y->shape[1], 1, enlarge_rows, &j);
  tp_record r = { .output = y, .inputs = { x }, .input_count = 1, .numbers = { factor },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED };
  if (tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}
