/* activation.c -- the (leaky) rectifier. */
#include "autograd/operations.h"
#include "core/cpu.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *x, *g;
  float *out, slope;
} job;

TP_CLONES static void
forward_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict x = j->x;
  float *restrict out = j->out, slope = j->slope;
  for (int64_t i = begin; i < end; i++)
    out[i] = x[i] * (x[i] > 0 ? 1.0f : slope);
}

TP_CLONES static void
gradient_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const float *restrict y = j->x, *restrict g = j->g;
  float *restrict out = j->out, slope = j->slope;
  for (int64_t i = begin; i < end; i++)
    out[i] = g[i] * (y[i] > 0 ? 1.0f : slope);
}

tp_tensor *
tp_leaky_relu_gradient (const tp_tensor *y, const tp_tensor *g, float slope)
{
  if (slope == 1)
    return tp_tensor_ref (g);
  tp_tensor *out = tp_tensor_like (g);
  if (out)
    {
      job j = { tp_f32 (y), tp_f32 (g), tp_f32 (out), slope };
      tp_span span = tp_span_start ();
      tp_parallel_for (tp_tensor_count (g), 16384, gradient_piece, &j);
      tp_span_end (span, "activation, gradient",
                   (tp_work) { .bytes = 12.0 * (double) tp_tensor_count (g) }, "%lld",
                   (long long) tp_tensor_count (g));
    }
  return out;
}

static tp_status
backward (const tp_record *r)
{
  if (tp_tape_current ())
    { /* the same of operations that record themselves */
      tp_tensor *zero = tp_tensor_zeros (TP_F32, 0, NULL);
      tp_tensor *positive = zero ? tp_map2 (TP_LESS, zero, r->output) : NULL;
      tp_tensor *slope = positive ? tp_affine (positive, 1 - r->numbers[0], r->numbers[0]) : NULL;
      tp_tensor *g = slope ? tp_diff_map2 (TP_MUL, r->output->grad, slope) : NULL;
      tp_tensor_free (zero);
      tp_tensor_free (positive);
      tp_tensor_free (slope);
      return tp_accumulate_grad (r->inputs[0], g);
    }
  return tp_accumulate_grad (r->inputs[0],
                             tp_leaky_relu_gradient (r->output, r->output->grad,
                                                     (float) r->numbers[0]));
}

tp_tensor *
tp_leaky_relu (tp_tensor *x, float slope)
{
  if (tp_check (x, "x", TP_F32, -1) != TP_OK)
    return NULL;
  if (!(slope >= 0))
    {
      tp_fail (TP_BAD_ARGUMENT, "slope: expected 0 or more, got %g", (double) slope);
      return NULL;
    }
  tp_tensor *y = tp_tensor_like (x);
  if (!y)
    return NULL;
  job j = { tp_f32 (x), NULL, tp_f32 (y), slope };
  tp_parallel_for (tp_tensor_count (x), 16384, forward_piece, &j);
  tp_record r = { .output = y, .inputs = { x }, .input_count = 1, .numbers = { slope }, .unneeded = 1,
                  .twice = true };
  if (tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}
