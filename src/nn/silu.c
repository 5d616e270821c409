/* silu.c -- the sigmoid linear unit, y = x s (x) with s (x) = 1 / (1 + e^-x): "swish", of which
 * ReLU is the sharp limit (Elfwing, Uchibe, Doya 2018). */
#include "core/cpu.h"
#include "core/exponential.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

enum { GRAIN = 8192 };

typedef struct {
  const float *x, *g;
  float *out;
} job;

TP_CLONES static void
forward_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict x = j->x;
  float *restrict out = j->out;
  for (int64_t i = begin; i < end; i++)
    out[i] = tp_silu_of (x[i]);
}

TP_CLONES static void
gradient_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict x = j->x, *restrict g = j->g;
  float *restrict out = j->out;
  for (int64_t i = begin; i < end; i++)
    out[i] = g[i] * tp_silu_slope (x[i]);
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *gx = tp_tensor_like (x);
  if (gx)
    {
      job j = { tp_f32 (x), tp_f32 (r->output->grad), tp_f32 (gx) };
      tp_span span = tp_span_start ();
      tp_parallel_for (tp_tensor_count (x), GRAIN, gradient_piece, &j);
      tp_span_end (span, "silu, gradient", (tp_work) { .bytes = 12.0 * (double) tp_tensor_count (x) },
                   "%lld", (long long) tp_tensor_count (x));
    }
  return tp_accumulate_grad (x, gx);
}

tp_tensor *
tp_silu (tp_tensor *x)
{
  if (tp_check (x, "x", TP_F32, -1) != TP_OK)
    return NULL;
  tp_tensor *y = tp_tensor_like (x);
  if (!y)
    return NULL;
  job j = { tp_f32 (x), NULL, tp_f32 (y) };
  tp_span span = tp_span_start ();
  tp_parallel_for (tp_tensor_count (x), GRAIN, forward_piece, &j);
  tp_span_end (span, "silu", (tp_work) { .bytes = 8.0 * (double) tp_tensor_count (x) }, "%lld",
               (long long) tp_tensor_count (x));
  tp_record r = { .output = y, .inputs = { x }, .input_count = 1, .unneeded = TP_OUTPUT_UNNEEDED };
  if (tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}
