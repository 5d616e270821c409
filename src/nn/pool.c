/* pool.c -- mean and maximum over squares of pixels. */
#include <math.h>
#include <string.h>

#include "core/cpu.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *x, *y, *g;
  float *out;
  int64_t h, w, c; /* of the large image */
  int size;
} job;

/* Items are rows of the small image, counted over the batch. */
TP_CLONES static void
average_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t ow = j->w / j->size, c = j->c;
  float scale = 1.0f / (float) (j->size * j->size);
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < ow; x++)
      {
        float *restrict out = j->out + (row * ow + x) * c;
        memset (out, 0, (size_t) c * sizeof *out);
        for (int dy = 0; dy < j->size; dy++)
          for (int dx = 0; dx < j->size; dx++)
            {
              const float *restrict in
                = j->x + ((row * j->size + dy) * j->w + x * j->size + dx) * c;
              for (int64_t i = 0; i < c; i++)
                out[i] += in[i];
            }
        for (int64_t i = 0; i < c; i++)
          out[i] *= scale;
      }
}

TP_CLONES static void
average_gradient_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t ow = j->w / j->size, c = j->c;
  float scale = 1.0f / (float) (j->size * j->size);
  for (int64_t row = begin; row < end; row++)
    for (int dy = 0; dy < j->size; dy++)
      for (int64_t x = 0; x < j->w; x++)
        {
          float *restrict out = j->out + ((row * j->size + dy) * j->w + x) * c;
          const float *restrict g = j->g + (row * ow + x / j->size) * c;
          for (int64_t i = 0; i < c; i++)
            out[i] = g[i] * scale;
        }
}

TP_CLONES static void
max_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t ow = j->w / j->size, c = j->c;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < ow; x++)
      {
        float *restrict out = j->out + (row * ow + x) * c;
        for (int64_t i = 0; i < c; i++)
          out[i] = -INFINITY;
        for (int dy = 0; dy < j->size; dy++)
          for (int dx = 0; dx < j->size; dx++)
            {
              const float *restrict in
                = j->x + ((row * j->size + dy) * j->w + x * j->size + dx) * c;
              for (int64_t i = 0; i < c; i++)
                out[i] = in[i] > out[i] || isnan (in[i]) ? in[i] : out[i];
            }
      }
}

/* The gradient goes to the first pixel that equals the maximum. */
static void
max_gradient_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t ow = j->w / j->size, c = j->c;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < ow; x++)
      for (int64_t i = 0; i < c; i++)
        {
          int64_t at = (row * ow + x) * c + i;
          bool found = false;
          for (int dy = 0; dy < j->size; dy++)
            for (int dx = 0; dx < j->size; dx++)
              {
                int64_t in = ((row * j->size + dy) * j->w + x * j->size + dx) * c + i;
                bool here = !found && j->x[in] == j->y[at];
                j->out[in] = here ? j->g[at] : 0;
                found = found || here;
              }
        }
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *gx = tp_tensor_like (x);
  if (gx)
    {
      job j = { tp_f32 (x), tp_f32 (r->output), tp_f32 (r->output->grad), tp_f32 (gx),
                x->shape[1], x->shape[2], x->shape[3], (int) r->numbers[0] };
      tp_parallel_for (r->output->shape[0] * r->output->shape[1], 1,
                       r->numbers[1] != 0 ? max_gradient_rows : average_gradient_rows, &j);
    }
  return tp_accumulate_grad (x, gx);
}

static tp_tensor *
pool (tp_tensor *x, int size, bool maximum)
{
  if (tp_check (x, "images", TP_F32, 4) != TP_OK)
    return NULL;
  if (size < 1 || x->shape[1] % size || x->shape[2] % size)
    {
      tp_fail (TP_BAD_SHAPE, "images: expected rows and columns divisible by %d, got %lld x %lld",
               size, (long long) x->shape[1], (long long) x->shape[2]);
      return NULL;
    }
  tp_tensor *y = tp_tensor_create (TP_F32, 4, (int64_t[]) { x->shape[0], x->shape[1] / size,
                                                            x->shape[2] / size, x->shape[3] });
  if (!y)
    return NULL;
  job j = { tp_f32 (x), NULL, NULL, tp_f32 (y), x->shape[1], x->shape[2], x->shape[3], size };
  tp_span span = tp_span_start ();
  tp_parallel_for (y->shape[0] * y->shape[1], 1, maximum ? max_rows : average_rows, &j);
  tp_span_end (span, "pooling", (tp_work) { .bytes = 4.0 * (double) tp_tensor_count (x) },
               "%lld x %lld x %lld x %lld", (long long) x->shape[0], (long long) x->shape[1],
               (long long) x->shape[2], (long long) x->shape[3]);
  tp_record r = { .output = y, .inputs = { x }, .input_count = 1, .numbers = { size, maximum },
                  .unneeded = maximum ? 0 : 1 | TP_OUTPUT_UNNEEDED };
  if (tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}

tp_tensor *
tp_average_pool (tp_tensor *x, int size)
{
  return pool (x, size, false);
}

tp_tensor *
tp_max_pool (tp_tensor *x, int size)
{
  return pool (x, size, true);
}
