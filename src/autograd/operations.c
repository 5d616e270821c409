/* operations.c -- the derivatives of tensor operations. */
#include "autograd/operations.h"

#include <string.h>

/* Record OUTPUT (NULL: an earlier failure) and pass it on. */
static tp_tensor *
recorded (tp_tensor *output, tp_record *record, tp_backward backward)
{
  if (!output)
    return NULL;
  record->output = output;
  if (tp_tape_record (record, backward) != TP_OK)
    {
      tp_tensor_free (output);
      return NULL;
    }
  return output;
}

/* G summed over the axes that broadcasting stretched, to T's shape. Takes G. */
static tp_tensor *
unbroadcast (tp_tensor *g, const tp_tensor *t)
{
  if (!g || tp_same_shape (g, t))
    return g;
  unsigned axes = 0;
  int lead = g->rank - t->rank;
  for (int i = 0; i < g->rank; i++)
    if (i < lead || (t->shape[i - lead] == 1 && g->shape[i] != 1))
      axes |= 1u << i;
  tp_tensor *sum = tp_reduce (TP_SUM, g, axes, true);
  tp_tensor_free (g);
  tp_tensor *shaped = sum ? tp_reshape (sum, t->rank, t->shape) : NULL;
  tp_tensor_free (sum);
  return shaped;
}

/* a op b, freeing a when OWNED. */
static tp_tensor *
map2_free (tp_binary operation, tp_tensor *a, const tp_tensor *b)
{
  tp_tensor *r = a ? tp_map2 (operation, a, b) : NULL;
  tp_tensor_free (a);
  return r;
}

static tp_status
map2_backward (const tp_record *r)
{
  tp_tensor *a = r->inputs[0], *b = r->inputs[1], *g = r->output->grad;
  tp_status status = TP_OK;
  tp_binary operation = (tp_binary) r->numbers[0];
  if (tp_wants_grad (a))
    {
      tp_tensor *ga;
      if (operation == TP_MUL || operation == TP_DIV)
        ga = tp_map2 (operation, g, b);
      else
        ga = tp_copy (g);
      status = tp_accumulate_grad (a, unbroadcast (ga, a));
    }
  if (status == TP_OK && tp_wants_grad (b))
    {
      tp_tensor *gb;
      if (operation == TP_ADD)
        gb = tp_copy (g);
      else if (operation == TP_SUB)
        gb = tp_map (TP_NEGATE, g);
      else if (operation == TP_MUL)
        gb = tp_map2 (TP_MUL, g, a);
      else
        { /* d (a / b) / db = -(a / b) / b */
          tp_tensor *negative = tp_map (TP_NEGATE, g);
          gb = map2_free (TP_DIV, map2_free (TP_MUL, negative, r->output), b);
        }
      status = tp_accumulate_grad (b, unbroadcast (gb, b));
    }
  return status;
}

tp_tensor *
tp_diff_map2 (tp_binary operation, tp_tensor *a, tp_tensor *b)
{
  tp_record r = { .inputs = { a, b }, .input_count = 2, .numbers = { operation } };
  tp_tensor *out = tp_map2 (operation, a, b);
  return operation <= TP_DIV ? recorded (out, &r, map2_backward) : out;
}

static tp_status
map_backward (const tp_record *r)
{
  tp_tensor *a = r->inputs[0], *y = r->output, *g = y->grad, *factor = NULL;
  bool divide = false;
  switch ((tp_unary) r->numbers[0])
    {
    case TP_NEGATE: return tp_accumulate_grad (a, tp_map (TP_NEGATE, g));
    case TP_SQUARE: factor = tp_affine (a, 2, 0); break;
    case TP_SQRT: factor = tp_affine (y, 2, 0); divide = true; break;
    case TP_EXP: factor = tp_tensor_ref (y); break;
    case TP_LOG: factor = tp_tensor_ref (a); divide = true; break;
    case TP_SIN: factor = tp_map (TP_COS, a); break;
    case TP_COS:
      {
        tp_tensor *sine = tp_map (TP_SIN, a);
        factor = sine ? tp_map (TP_NEGATE, sine) : NULL;
        tp_tensor_free (sine);
        break;
      }
    case TP_ABS: factor = tp_map (TP_SIGN, a); break;
    case TP_TANH:
      {
        tp_tensor *square = tp_map (TP_SQUARE, y);
        factor = square ? tp_affine (square, -1, 1) : NULL;
        tp_tensor_free (square);
        break;
      }
    default: /* TP_RECIPROCAL */
      {
        tp_tensor *square = tp_map (TP_SQUARE, y);
        factor = square ? tp_affine (square, -1, 0) : NULL;
        tp_tensor_free (square);
        break;
      }
    }
  tp_tensor *ga = factor ? tp_map2 (divide ? TP_DIV : TP_MUL, g, factor) : NULL;
  tp_tensor_free (factor);
  return tp_accumulate_grad (a, ga);
}

tp_tensor *
tp_diff_map (tp_unary operation, tp_tensor *a)
{
  tp_record r = { .inputs = { a }, .input_count = 1, .numbers = { operation } };
  tp_tensor *out = tp_map (operation, a);
  bool differentiable = operation <= TP_RECIPROCAL && a->dtype == TP_F32;
  return differentiable ? recorded (out, &r, map_backward) : out;
}

static tp_status
affine_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_affine (r->output->grad, r->numbers[0], 0));
}

tp_tensor *
tp_diff_affine (tp_tensor *x, double a, double b)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .numbers = { a } };
  return recorded (tp_affine (x, a, b), &r, affine_backward);
}

static tp_status
reduce_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0], *g = r->output->grad;
  unsigned axes = (unsigned) r->numbers[1];
  int64_t shape[TP_MAX_RANK], reduced = 1;
  for (int i = 0; i < t->rank; i++)
    {
      shape[i] = axes >> i & 1 ? 1 : t->shape[i];
      reduced *= axes >> i & 1 ? t->shape[i] : 1;
    }
  tp_tensor *kept = tp_reshape (g, t->rank, shape);
  tp_tensor *stretched = kept ? tp_broadcast_to (kept, t->rank, t->shape) : NULL;
  tp_tensor *gt = NULL;
  switch ((tp_reduction) r->numbers[0])
    {
    case TP_MEAN: gt = stretched ? tp_affine (stretched, 1.0 / (double) reduced, 0) : NULL; break;
    case TP_SUM_SQUARES:
      gt = stretched ? tp_affine (t, 2, 0) : NULL;
      if (gt)
        gt = map2_free (TP_MUL, gt, stretched);
      break;
    default: gt = stretched ? tp_copy (stretched) : NULL; break;
    }
  tp_tensor_free (kept);
  tp_tensor_free (stretched);
  return tp_accumulate_grad (t, gt);
}

tp_tensor *
tp_diff_reduce (tp_reduction operation, tp_tensor *t, unsigned axes, bool keep)
{
  tp_record r = { .inputs = { t }, .input_count = 1, .numbers = { operation, axes } };
  tp_tensor *out = tp_reduce (operation, t, axes, keep);
  bool differentiable = t->dtype == TP_F32 && operation != TP_MAX && operation != TP_MIN;
  return differentiable ? recorded (out, &r, reduce_backward) : out;
}

static tp_status
reshape_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0];
  tp_tensor *view = tp_reshape (r->output->grad, t->rank, t->shape);
  tp_tensor *g = view ? tp_copy (view) : NULL;
  tp_tensor_free (view);
  return tp_accumulate_grad (t, g);
}

tp_tensor *
tp_diff_reshape (tp_tensor *t, int rank, const int64_t *shape)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return recorded (tp_reshape (t, rank, shape), &r, reshape_backward);
}

static tp_status
matmul_backward (const tp_record *r)
{
  tp_tensor *a = r->inputs[0], *b = r->inputs[1], *g = r->output->grad;
  bool ta = r->numbers[0] != 0, tb = r->numbers[1] != 0;
  tp_status status = TP_OK;
  /* C = op(A) op(B):  d op(A) = G op(B)^T,  d op(B) = op(A)^T G. */
  if (tp_wants_grad (a))
    status = tp_accumulate_grad (a, ta ? tp_matmul (b, tb, g, true) : tp_matmul (g, false, b, !tb));
  if (status == TP_OK && tp_wants_grad (b))
    status = tp_accumulate_grad (b, tb ? tp_matmul (g, true, a, ta) : tp_matmul (a, !ta, g, false));
  return status;
}

tp_tensor *
tp_diff_matmul (tp_tensor *a, bool transpose_a, tp_tensor *b, bool transpose_b)
{
  tp_record r = { .inputs = { a, b }, .input_count = 2, .numbers = { transpose_a, transpose_b } };
  return recorded (tp_matmul (a, transpose_a, b, transpose_b), &r, matmul_backward);
}

static tp_status
concatenate_backward (const tp_record *r)
{
  int axis = (int) r->numbers[0];
  int64_t at = 0;
  tp_status status = TP_OK;
  for (int i = 0; status == TP_OK && i < r->input_count; i++)
    {
      tp_tensor *part = r->inputs[i];
      int64_t length = part->shape[axis];
      if (tp_wants_grad (part))
        {
          tp_tensor *view = tp_slice (r->output->grad, axis, at, at + length, 1);
          tp_tensor *g = view ? tp_copy (view) : NULL;
          tp_tensor_free (view);
          status = tp_accumulate_grad (part, g);
        }
      at += length;
    }
  return status;
}

tp_tensor *
tp_diff_concatenate (tp_tensor *const *parts, int count, int axis)
{
  if (count < 1 || count > TP_MAX_INPUTS)
    {
      tp_fail (TP_BAD_ARGUMENT, "parts: expected 1 to %d tensors, got %d", TP_MAX_INPUTS, count);
      return NULL;
    }
  tp_record r = { .input_count = count, .numbers = { axis } };
  memcpy (r.inputs, parts, (size_t) count * sizeof *parts);
  return recorded (tp_concatenate ((const tp_tensor *const *) parts, count, axis), &r,
                   concatenate_backward);
}
