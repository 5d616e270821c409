/* reorient.c -- one copy, a line of the result at a time. */
#include "image/reorient.h"

#include "autograd/operations.h"

static tp_tensor *
reorient (const tp_tensor *t, const int *permutation, const bool *reverse)
{
  if (tp_check (t, "tensor", TP_F32, -1) != TP_OK)
    return NULL;
  int64_t shape[TP_MAX_RANK] = { 1 }, strides[TP_MAX_RANK] = { 0 };
  unsigned seen = 0;
  const float *first = tp_f32 (t);
  for (int i = 0; i < t->rank; i++)
    {
      int axis = permutation[i];
      if (axis < 0 || axis >= t->rank || seen & 1u << axis)
        {
          tp_fail (TP_BAD_ARGUMENT, "permutation: expected each of 0 to %d once", t->rank - 1);
          return NULL;
        }
      seen |= 1u << axis;
      shape[i] = t->shape[axis];
      strides[i] = reverse[i] ? -t->strides[axis] : t->strides[axis];
      if (reverse[i])
        first += (shape[i] - 1) * t->strides[axis];
    }
  tp_tensor *out = tp_tensor_create (TP_F32, t->rank, shape);
  if (!out || !tp_tensor_count (out))
    return out;
  int last = t->rank - 1;
  int64_t length = last >= 0 ? shape[last] : 1, place[TP_MAX_RANK] = { 0 };
  int64_t lines = tp_tensor_count (out) / length;
  float *to = tp_f32 (out);
  for (int64_t line = 0; line < lines; line++)
    {
      const float *from = first;
      for (int i = 0; i < last; i++)
        from += place[i] * strides[i];
      for (int64_t k = 0; k < length; k++)
        *to++ = from[k * (last >= 0 ? strides[last] : 0)];
      for (int i = last - 1; i >= 0 && ++place[i] == shape[i]; i--)
        place[i] = 0;
    }
  return out;
}

/* The other way round; numbers: the axis, and TP_MAX_RANK more where it is backwards. */
static tp_status
backward (const tp_record *r)
{
  int inverse[TP_MAX_RANK];
  bool reverse[TP_MAX_RANK];
  for (int i = 0; i < r->output->rank; i++)
    {
      int axis = (int) r->numbers[i] % TP_MAX_RANK;
      inverse[axis] = i;
      reverse[axis] = (int) r->numbers[i] >= TP_MAX_RANK;
    }
  return tp_accumulate_grad (r->inputs[0], tp_reorient (r->output->grad, inverse, reverse));
}

tp_tensor *
tp_reorient (tp_tensor *t, const int *permutation, const bool *reverse)
{
  tp_record r = { .inputs = { t }, .input_count = 1, .unneeded = 1 | TP_OUTPUT_UNNEEDED,
                  .twice = true };
  for (int i = 0; i < t->rank; i++)
    r.numbers[i] = permutation[i] + (reverse[i] ? TP_MAX_RANK : 0);
  return tp_recorded (reorient (t, permutation, reverse), &r, backward);
}
