/* operations.c -- the derivatives of tensor operations.
 *
 * Long, since each operation stands with its derivative.
 *
 * Backward functions give tp_accumulate_grad tensors that nobody else holds,
 * since it adds to them in place. */
#include "autograd/operations.h"

#include <string.h>

tp_tensor *
tp_recorded (tp_tensor *output, tp_record *record, tp_backward backward)
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

/* The same of an operation of this file. */
static tp_tensor *
recorded (tp_tensor *output, tp_record *record, tp_backward backward)
{
  record->twice = true;
  return tp_recorded (output, record, backward);
}

/* --- Operations that take over the reference of their first argument -------- */

static tp_tensor *
map2_free (tp_binary operation, tp_tensor *a, tp_tensor *b)
{
  tp_tensor *r = a && b ? tp_diff_map2 (operation, a, b) : NULL;
  tp_tensor_free (a);
  return r;
}

static tp_tensor *
map_free (tp_unary operation, tp_tensor *a)
{
  tp_tensor *r = a ? tp_diff_map (operation, a) : NULL;
  tp_tensor_free (a);
  return r;
}

static tp_tensor *
affine_free (tp_tensor *a, double slope, double shift)
{
  tp_tensor *r = a ? tp_diff_affine (a, slope, shift) : NULL;
  tp_tensor_free (a);
  return r;
}

static tp_tensor *
copy_free (tp_tensor *a)
{
  tp_tensor *r = a ? tp_diff_copy (a) : NULL;
  tp_tensor_free (a);
  return r;
}

/* a op b, both taken over. */
static tp_tensor *
map2_free_both (tp_binary operation, tp_tensor *a, tp_tensor *b)
{
  tp_tensor *r = map2_free (operation, a, b);
  tp_tensor_free (b);
  return r;
}

static tp_tensor *
conjugate (tp_tensor *t)
{
  return t->dtype == TP_C64 ? tp_diff_map (TP_CONJ, t) : tp_tensor_ref (t);
}

static tp_tensor *
imaginary_unit (void)
{
  tp_tensor *i = tp_tensor_create (TP_C64, 0, NULL);
  if (i)
    *tp_c64 (i) = I;
  return i;
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
  tp_tensor *sum = tp_diff_reduce (TP_SUM, g, axes, true);
  tp_tensor_free (g);
  tp_tensor *shaped = sum ? tp_diff_reshape (sum, t->rank, t->shape) : NULL;
  tp_tensor_free (sum);
  return shaped;
}

tp_tensor *
tp_fit_gradient (tp_tensor *g, const tp_tensor *t)
{
  g = unbroadcast (g, t);
  return g && g->dtype == TP_C64 && t->dtype == TP_F32 ? map_free (TP_REAL, g) : g;
}

/* --- By element ----------------------------------------------------------- */

/* 1 where A is the larger (of MINIMUM: the smaller), 1/2 where they are equal, else 0: a
 * constant to every tape. */
static tp_tensor *
share_of_first (tp_binary operation, tp_tensor *a, tp_tensor *b)
{
  tp_tensor *less = tp_map2 (TP_LESS, a, b), *greater = tp_map2 (TP_LESS, b, a), *sign = NULL;
  if (less && greater)
    sign = operation == TP_MAXIMUM ? tp_map2 (TP_SUB, greater, less) : tp_map2 (TP_SUB, less, greater);
  tp_tensor *share = sign ? tp_affine (sign, 0.5, 0.5) : NULL;
  tp_tensor_free (less);
  tp_tensor_free (greater);
  tp_tensor_free (sign);
  return share;
}

/* A, and 1 where it is 0. */
static tp_tensor *
without_zeros (tp_tensor *a)
{
  tp_tensor *sign = tp_map (TP_SIGN, a), *square = sign ? tp_map (TP_SQUARE, sign) : NULL;
  tp_tensor *zeros = square ? tp_affine (square, -1, 1) : NULL;
  tp_tensor_free (sign);
  tp_tensor_free (square);
  tp_tensor *sum = zeros ? tp_diff_map2 (TP_ADD, a, zeros) : NULL;
  tp_tensor_free (zeros);
  return sum;
}

/* d a^b / da = b a^(b-1);  d a^b / db = a^b log a, 0 where a is. */
static tp_tensor *
power_gradient (const tp_record *r, int which)
{
  tp_tensor *a = r->inputs[0], *b = r->inputs[1];
  if (which == 1)
    return map2_free (TP_MUL, map_free (TP_LOG, without_zeros (a)), r->output);
  tp_tensor *less = tp_diff_affine (b, 1, -1);
  tp_tensor *power = less ? tp_diff_map2 (TP_POWER, a, less) : NULL;
  tp_tensor_free (less);
  return map2_free (TP_MUL, power, b);
}

/* Of the angle of (b, a): b / (a^2 + b^2) and -a / (a^2 + b^2). */
static tp_tensor *
atan2_gradient (const tp_record *r, int which)
{
  tp_tensor *a = r->inputs[0], *b = r->inputs[1];
  tp_tensor *square = map2_free_both (TP_ADD, tp_diff_map (TP_SQUARE, a), tp_diff_map (TP_SQUARE, b));
  tp_tensor *above = which == 0 ? tp_tensor_ref (b) : tp_diff_map (TP_NEGATE, a);
  return map2_free_both (TP_DIV, above, square);
}

static tp_status
map2_backward (const tp_record *r)
{
  tp_tensor *g = r->output->grad;
  tp_binary operation = (tp_binary) r->numbers[0];
  tp_status status = TP_OK;
  for (int which = 0; status == TP_OK && which < 2; which++)
    {
      tp_tensor *t = r->inputs[which], *part, *factor = NULL;
      if (!tp_wants_grad (t))
        continue;
      switch (operation)
        {
        case TP_ADD: part = tp_diff_copy (g); break;
        case TP_SUB: part = which == 0 ? tp_diff_copy (g) : tp_diff_map (TP_NEGATE, g); break;
        case TP_MUL:
          factor = conjugate (r->inputs[1 - which]);
          part = factor ? tp_diff_map2 (TP_MUL, g, factor) : NULL;
          break;
        case TP_DIV:
          factor = conjugate (r->inputs[1]);
          if (which == 0)
            part = factor ? tp_diff_map2 (TP_DIV, g, factor) : NULL;
          else
            { /* d (a / b) / db = -(a / b) / b */
              tp_tensor *quotient = conjugate (r->output);
              part = map2_free (TP_MUL, tp_diff_map (TP_NEGATE, g), quotient);
              part = map2_free (TP_DIV, part, factor);
              tp_tensor_free (quotient);
            }
          break;
        case TP_MAXIMUM:
        case TP_MINIMUM:
          factor = share_of_first (operation, r->inputs[0], r->inputs[1]);
          if (which == 1)
            factor = affine_free (factor, -1, 1);
          part = factor ? tp_diff_map2 (TP_MUL, g, factor) : NULL;
          break;
        default:
          factor = operation == TP_POWER ? power_gradient (r, which) : atan2_gradient (r, which);
          part = factor ? tp_diff_map2 (TP_MUL, g, factor) : NULL;
          break;
        }
      tp_tensor_free (factor);
      status = tp_accumulate_grad (t, tp_fit_gradient (part, t));
    }
  return status;
}

tp_tensor *
tp_diff_map2 (tp_binary operation, tp_tensor *a, tp_tensor *b)
{
  tp_record r = { .inputs = { a, b }, .input_count = 2, .numbers = { operation } };
  switch (operation)
    {
    case TP_ADD:
    case TP_SUB: r.unneeded = 3 | TP_OUTPUT_UNNEEDED; break;
    case TP_MUL:
      r.unneeded = (tp_wants_grad (b) ? 0 : 1) | (tp_wants_grad (a) ? 0 : 2) | TP_OUTPUT_UNNEEDED;
      break;
    case TP_DIV: r.unneeded = 1 | (tp_wants_grad (b) ? 0 : TP_OUTPUT_UNNEEDED); break;
    case TP_POWER: r.unneeded = tp_wants_grad (b) ? 0 : TP_OUTPUT_UNNEEDED; break;
    default: r.unneeded = TP_OUTPUT_UNNEEDED; break;
    }
  tp_tensor *out = tp_map2 (operation, a, b);
  return operation == TP_LESS ? out : recorded (out, &r, map2_backward);
}

/* The derivative, or where DIVIDE is set its reciprocal; of c64 its conjugate is meant. */
static tp_tensor *
map_factor (tp_unary operation, tp_tensor *a, tp_tensor *y, bool *divide)
{
  switch (operation)
    {
    case TP_SQUARE: return tp_diff_affine (a, 2, 0);
    case TP_SQRT: *divide = true; return tp_diff_affine (y, 2, 0);
    case TP_EXP: return tp_tensor_ref (y);
    case TP_LOG: *divide = true; return tp_tensor_ref (a);
    case TP_SIN: return tp_diff_map (TP_COS, a);
    case TP_COS: return map_free (TP_NEGATE, tp_diff_map (TP_SIN, a));
    case TP_TANH: return affine_free (tp_diff_map (TP_SQUARE, y), -1, 1);
    default: return affine_free (tp_diff_map (TP_SQUARE, y), -1, 0); /* TP_RECIPROCAL */
    }
}

/* g z / |z|, and g i z / |z|^2. */
static tp_tensor *
polar_gradient (tp_unary operation, tp_tensor *z, tp_tensor *y, tp_tensor *g)
{
  if (operation == TP_ABS)
    {
      tp_tensor *length = without_zeros (y), *direction = length ? tp_diff_map2 (TP_DIV, z, length) : NULL;
      tp_tensor_free (length);
      return map2_free (TP_MUL, direction, g);
    }
  tp_tensor *square = map_free (TP_SQUARE, tp_diff_map (TP_ABS, z));
  tp_tensor *turned = map2_free (TP_MUL, imaginary_unit (), z);
  return map2_free (TP_MUL, map2_free_both (TP_DIV, turned, square), g);
}

static tp_status
map_backward (const tp_record *r)
{
  tp_tensor *a = r->inputs[0], *y = r->output, *g = y->grad, *ga;
  tp_unary operation = (tp_unary) r->numbers[0];
  bool is_complex = a->dtype == TP_C64;
  switch (operation)
    {
    case TP_NEGATE: ga = tp_diff_map (TP_NEGATE, g); break;
    case TP_CONJ: ga = is_complex ? tp_diff_map (TP_CONJ, g) : tp_diff_copy (g); break;
    case TP_REAL:
      { /* as complex */
        tp_tensor *zero = tp_tensor_zeros (a->dtype, 0, NULL);
        ga = zero ? tp_diff_map2 (TP_ADD, g, zero) : NULL;
        tp_tensor_free (zero);
        break;
      }
    case TP_IMAG: ga = is_complex ? map2_free (TP_MUL, imaginary_unit (), g) : tp_diff_affine (g, 0, 0); break;
    case TP_ANGLE:
      ga = is_complex ? polar_gradient (operation, a, y, g) : tp_diff_affine (g, 0, 0);
      break;
    case TP_ABS:
      if (is_complex)
        ga = polar_gradient (operation, a, y, g);
      else
        {
          tp_tensor *sign = tp_map (TP_SIGN, a);
          ga = sign ? tp_diff_map2 (TP_MUL, g, sign) : NULL;
          tp_tensor_free (sign);
        }
      break;
    default:
      {
        bool divide = false;
        tp_tensor *factor = map_factor (operation, a, y, &divide);
        if (factor && is_complex)
          factor = map_free (TP_CONJ, factor);
        ga = factor ? tp_diff_map2 (divide ? TP_DIV : TP_MUL, g, factor) : NULL;
        tp_tensor_free (factor);
      }
    }
  return tp_accumulate_grad (a, ga);
}

tp_tensor *
tp_diff_map (tp_unary operation, tp_tensor *a)
{
  tp_record r = { .inputs = { a }, .input_count = 1, .numbers = { operation } };
  switch (operation)
    {
    case TP_SQUARE: case TP_LOG: case TP_SIN: case TP_COS: case TP_ANGLE:
      r.unneeded = TP_OUTPUT_UNNEEDED;
      break;
    case TP_SQRT: case TP_EXP: case TP_TANH: case TP_RECIPROCAL: r.unneeded = 1; break;
    case TP_ABS: r.unneeded = a->dtype == TP_C64 ? 0 : TP_OUTPUT_UNNEEDED; break;
    default: r.unneeded = 1 | TP_OUTPUT_UNNEEDED; break;
    }
  tp_tensor *out = tp_map (operation, a);
  return operation == TP_SIGN || operation == TP_ROUND ? out : recorded (out, &r, map_backward);
}

static tp_status
affine_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_diff_affine (r->output->grad, r->numbers[0], 0));
}

tp_tensor *
tp_diff_affine (tp_tensor *x, double a, double b)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .numbers = { a },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED };
  return recorded (tp_affine (x, a, b), &r, affine_backward);
}

/* --- Reductions ----------------------------------------------------------- */

/* G, of T's shape without the axes in the set AXES, stretched to T's shape; a view. */
static tp_tensor *
stretch (tp_tensor *g, const tp_tensor *t, unsigned axes)
{
  int64_t shape[TP_MAX_RANK];
  for (int i = 0; i < t->rank; i++)
    shape[i] = axes >> i & 1 ? 1 : t->shape[i];
  tp_tensor *kept = tp_diff_reshape (g, t->rank, shape);
  tp_tensor *stretched = kept ? tp_diff_broadcast_to (kept, t->rank, t->shape) : NULL;
  tp_tensor_free (kept);
  return stretched;
}

/* For each element of T its share of the extreme Y: a constant to every tape. */
static tp_tensor *
shares_of_extreme (tp_reduction operation, tp_tensor *t, tp_tensor *y, unsigned axes)
{
  tp_tape *before = tp_tape_enter (NULL);
  tp_tensor *extreme = stretch (y, t, axes), *beyond = NULL;
  if (extreme)
    beyond = operation == TP_MAX ? tp_map2 (TP_LESS, t, extreme) : tp_map2 (TP_LESS, extreme, t);
  tp_tensor *is = affine_free (beyond, -1, 1), *count = is ? tp_reduce (TP_SUM, is, axes, true) : NULL;
  is = map2_free (TP_DIV, is, count);
  tp_tensor_free (extreme);
  tp_tensor_free (count);
  tp_tape_leave (before);
  return is;
}

static tp_status
reduce_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0], *gt = NULL;
  unsigned axes = (unsigned) r->numbers[1];
  int64_t reduced = 1;
  for (int i = 0; i < t->rank; i++)
    reduced *= axes >> i & 1 ? t->shape[i] : 1;
  tp_tensor *stretched = stretch (r->output->grad, t, axes);
  tp_reduction operation = (tp_reduction) r->numbers[0];
  if (stretched)
    switch (operation)
      {
      case TP_MEAN: gt = tp_diff_affine (stretched, 1.0 / (double) reduced, 0); break;
      case TP_SUM_SQUARES: gt = map2_free (TP_MUL, tp_diff_affine (t, 2, 0), stretched); break;
      case TP_SUM: gt = tp_diff_copy (stretched); break;
      default:
        gt = map2_free (TP_MUL, shares_of_extreme (operation, t, r->output, axes), stretched);
        break;
      }
  tp_tensor_free (stretched);
  return tp_accumulate_grad (t, gt);
}

tp_tensor *
tp_diff_reduce (tp_reduction operation, tp_tensor *t, unsigned axes, bool keep)
{
  tp_record r = { .inputs = { t }, .input_count = 1, .numbers = { operation, axes } };
  if (operation == TP_SUM || operation == TP_MEAN)
    r.unneeded = 1 | TP_OUTPUT_UNNEEDED;
  else if (operation == TP_SUM_SQUARES)
    r.unneeded = TP_OUTPUT_UNNEEDED;
  return recorded (tp_reduce (operation, t, axes, keep), &r, reduce_backward);
}

static tp_status
quantile_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0];
  int axis = (int) r->numbers[1];
  tp_tensor *stretched = stretch (r->output->grad, t, 1u << axis);
  tp_tensor *gt = map2_free (TP_MUL, tp_quantile_weights (t, r->numbers[0], axis), stretched);
  tp_tensor_free (stretched);
  return tp_accumulate_grad (t, gt);
}

tp_tensor *
tp_diff_quantile (tp_tensor *t, double q, int axis)
{
  tp_record r = { .inputs = { t }, .input_count = 1, .numbers = { q, axis },
                  .unneeded = TP_OUTPUT_UNNEEDED };
  return recorded (tp_quantile (t, q, axis), &r, quantile_backward);
}

/* --- Views and copies, which need no values -------------------------------- */

static tp_tensor *
moved (tp_tensor *output, tp_record *record, tp_backward backward)
{
  record->unneeded = (1u << TP_MAX_INPUTS) - 1;
  record->unneeded |= TP_OUTPUT_UNNEEDED;
  return recorded (output, record, backward);
}

static tp_status
copy_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_diff_copy (r->output->grad));
}

tp_tensor *
tp_diff_copy (tp_tensor *t)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return moved (tp_copy (t), &r, copy_backward);
}

static tp_status
reshape_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0];
  return tp_accumulate_grad (t, copy_free (tp_diff_reshape (r->output->grad, t->rank, t->shape)));
}

tp_tensor *
tp_diff_reshape (tp_tensor *t, int rank, const int64_t *shape)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return moved (tp_reshape (t, rank, shape), &r, reshape_backward);
}

/* The adjoint of a slice: G among zeros, of LIKE's shape. */
static tp_status
unslice_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0],
                             copy_free (tp_diff_slice (r->output->grad, (int) r->numbers[0],
                                                       (int64_t) r->numbers[1], (int64_t) r->numbers[2],
                                                       (int64_t) r->numbers[3])));
}

static tp_tensor *
unslice (tp_tensor *g, const tp_tensor *like, const double where[4])
{
  tp_record r = { .inputs = { g }, .input_count = 1,
                  .numbers = { where[0], where[1], where[2], where[3] } };
  tp_tensor *whole = tp_tensor_zeros (g->dtype, like->rank, like->shape);
  tp_tensor *place = whole ? tp_slice (whole, (int) where[0], (int64_t) where[1], (int64_t) where[2],
                                       (int64_t) where[3]) : NULL;
  if (!place || tp_assign (place, g) != TP_OK)
    {
      tp_tensor_free (whole);
      whole = NULL;
    }
  tp_tensor_free (place);
  return moved (whole, &r, unslice_backward);
}

static tp_status
slice_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], unslice (r->output->grad, r->inputs[0], r->numbers));
}

tp_tensor *
tp_diff_slice (tp_tensor *t, int axis, int64_t begin, int64_t end, int64_t step)
{
  /* A step beyond the end is as good as one that numbers hold exactly. */
  if (axis >= 0 && axis < t->rank && step > t->shape[axis])
    step = t->shape[axis] + 1;
  tp_record r = { .inputs = { t }, .input_count = 1,
                  .numbers = { axis, (double) begin, (double) end, (double) step } };
  return moved (tp_slice (t, axis, begin, end, step), &r, slice_backward);
}

static tp_status
transpose_backward (const tp_record *r)
{
  tp_tensor *t = r->inputs[0];
  int inverse[TP_MAX_RANK];
  for (int i = 0; i < t->rank; i++)
    inverse[(int) r->numbers[i]] = i;
  return tp_accumulate_grad (t, copy_free (tp_diff_transpose (r->output->grad, inverse)));
}

tp_tensor *
tp_diff_transpose (tp_tensor *t, const int *permutation)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  for (int i = 0; i < t->rank; i++)
    r.numbers[i] = permutation[i];
  return moved (tp_transpose (t, permutation), &r, transpose_backward);
}

static tp_status
broadcast_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], copy_free (unbroadcast (tp_tensor_ref (r->output->grad),
                                                                   r->inputs[0])));
}

tp_tensor *
tp_diff_broadcast_to (tp_tensor *t, int rank, const int64_t *shape)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return moved (tp_broadcast_to (t, rank, shape), &r, broadcast_backward);
}

static tp_status
view_real_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], copy_free (tp_diff_view_complex (r->output->grad)));
}

tp_tensor *
tp_diff_view_real (tp_tensor *t)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return moved (tp_view_real (t), &r, view_real_backward);
}

static tp_status
view_complex_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], copy_free (tp_diff_view_real (r->output->grad)));
}

tp_tensor *
tp_diff_view_complex (tp_tensor *t)
{
  tp_record r = { .inputs = { t }, .input_count = 1 };
  return moved (tp_view_complex (t), &r, view_complex_backward);
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
        status = tp_accumulate_grad (part, copy_free (tp_diff_slice (r->output->grad, axis, at,
                                                                     at + length, 1)));
      at += length;
    }
  return status;
}

tp_tensor *
tp_diff_concatenate (tp_tensor *const *parts, int count, int axis)
{
  if (!tp_tape_wants (parts, count))
    return tp_concatenate ((const tp_tensor *const *) parts, count, axis);
  if (count <= TP_MAX_INPUTS)
    {
      tp_record r = { .input_count = count, .numbers = { axis } };
      memcpy (r.inputs, parts, (size_t) count * sizeof *parts);
      return moved (tp_concatenate ((const tp_tensor *const *) parts, count, axis), &r,
                    concatenate_backward);
    }
  /* More than a record holds: joined in as many groups as it does. */
  tp_tensor *groups[TP_MAX_INPUTS] = { NULL }, *whole = NULL;
  int size = (count + TP_MAX_INPUTS - 1) / TP_MAX_INPUTS, made = 0;
  bool complete = true;
  for (int at = 0; complete && at < count; at += size)
    {
      int length = count - at < size ? count - at : size;
      groups[made] = length == 1 ? tp_tensor_ref (parts[at])
                                 : tp_diff_concatenate (parts + at, length, axis);
      complete = groups[made++] != NULL;
    }
  if (complete)
    whole = tp_diff_concatenate (groups, made, axis);
  for (int i = 0; i < made; i++)
    tp_tensor_free (groups[i]);
  return whole;
}

/* --- Matrix product ------------------------------------------------------- */

static tp_status
matmul_backward (const tp_record *r)
{
  tp_tensor *a = r->inputs[0], *b = r->inputs[1], *g = r->output->grad;
  bool ta = r->numbers[0] != 0, tb = r->numbers[1] != 0;
  tp_status status = TP_OK;
  /* C = op(A) op(B):  d op(A) = G op(B)^T,  d op(B) = op(A)^T G. */
  if (tp_wants_grad (a))
    status = tp_accumulate_grad (a, ta ? tp_diff_matmul (b, tb, g, true)
                                       : tp_diff_matmul (g, false, b, !tb));
  if (status == TP_OK && tp_wants_grad (b))
    status = tp_accumulate_grad (b, tb ? tp_diff_matmul (g, true, a, ta)
                                       : tp_diff_matmul (a, !ta, g, false));
  return status;
}

tp_tensor *
tp_diff_matmul (tp_tensor *a, bool transpose_a, tp_tensor *b, bool transpose_b)
{
  tp_record r = { .inputs = { a, b }, .input_count = 2, .numbers = { transpose_a, transpose_b },
                  .unneeded = (tp_wants_grad (b) ? 0 : 1) | (tp_wants_grad (a) ? 0 : 2)
                              | TP_OUTPUT_UNNEEDED };
  return recorded (tp_matmul (a, transpose_a, b, transpose_b), &r, matmul_backward);
}
