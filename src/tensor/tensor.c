/* tensor.c -- making, viewing and copying tensors.
 *
 * Long, since shapes and strides are checked in one place for all of them. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "core/threads.h"

size_t
tp_dtype_size (tp_dtype dtype)
{
  return dtype == TP_C64 ? sizeof (tp_complex) : sizeof (float);
}

const char *
tp_dtype_name (tp_dtype dtype)
{
  return dtype == TP_C64 ? "c64" : "f32";
}

char *
tp_shape_text (char text[TP_SHAPE_TEXT], int rank, const int64_t *shape)
{
  int used = snprintf (text, TP_SHAPE_TEXT, "(");
  for (int i = 0; i < rank && used < TP_SHAPE_TEXT - 24; i++)
    if (shape[i] < 0)
      used += snprintf (text + used, (size_t) (TP_SHAPE_TEXT - used), "%s*", i ? " " : "");
    else
      used += snprintf (text + used, (size_t) (TP_SHAPE_TEXT - used), "%s%lld", i ? " " : "",
                        (long long) shape[i]);
  snprintf (text + used, (size_t) (TP_SHAPE_TEXT - used), ")");
  return text;
}

/* A tensor that has no elements may still have sides, of which something is done for each:
 * a file of 128 bytes can claim 2^40 rows of nothing. */
#define LARGEST_EMPTY ((int64_t) 1 << 26)

static tp_status
check_sides (int rank, const int64_t *shape)
{
  int64_t sides = 1;
  bool empty = false, fits = true;
  for (int i = 0; i < rank; i++)
    if (shape[i] == 0)
      empty = true;
    else
      fits = fits && !__builtin_mul_overflow (sides, shape[i], &sides);
  if (!empty || (fits && sides <= LARGEST_EMPTY))
    return TP_OK;
  char text[TP_SHAPE_TEXT];
  return tp_fail (TP_BAD_SHAPE, "shape: expected of a tensor without elements that its other lengths "
                  "multiply to %lld at most, got %s", (long long) LARGEST_EMPTY,
                  tp_shape_text (text, rank, shape));
}

static void
set_row_major (tp_tensor *t)
{
  int64_t stride = 1;
  for (int i = t->rank - 1; i >= 0; i--)
    {
      t->strides[i] = stride;
      stride *= t->shape[i];
    }
}

/* A tensor header over BUFFER (whose reference it takes), row-major. */
static tp_tensor *
header (tp_dtype dtype, int rank, const int64_t *shape, tp_buffer *buffer, int64_t offset)
{
  if (!buffer)
    return NULL;
  if (check_sides (rank, shape) != TP_OK)
    {
      tp_buffer_free (buffer);
      return NULL;
    }
  tp_tensor *t = calloc (1, sizeof *t);
  if (!t)
    {
      tp_buffer_free (buffer);
      tp_fail (TP_NO_MEMORY, "tensor: a header could not be had");
      return NULL;
    }
  atomic_init (&t->references, 1);
  t->buffer = buffer;
  t->offset = offset;
  t->dtype = dtype;
  t->rank = rank;
  for (int i = 0; i < rank; i++)
    t->shape[i] = shape[i];
  set_row_major (t);
  return t;
}

tp_tensor *
tp_view (const tp_tensor *t)
{
  tp_tensor *v = header (t->dtype, t->rank, t->shape, tp_buffer_ref (t->buffer), t->offset);
  if (v)
    memcpy (v->strides, t->strides, sizeof v->strides);
  return v;
}

tp_tensor *
tp_tensor_create (tp_dtype dtype, int rank, const int64_t *shape)
{
  if (rank < 0 || rank > TP_MAX_RANK)
    {
      tp_fail (TP_BAD_SHAPE, "shape: expected 0 to %d axes, got %d", TP_MAX_RANK, rank);
      return NULL;
    }
  int64_t count = 1;
  for (int i = 0; i < rank; i++)
    if (shape[i] < 0 || __builtin_mul_overflow (count, shape[i], &count)
        || count > INT64_MAX / 16)
      {
        char text[TP_SHAPE_TEXT];
        tp_fail (TP_BAD_SHAPE, "shape: expected lengths of 0 or more that fit in memory, got %s",
                 tp_shape_text (text, rank, shape));
        return NULL;
      }
  return header (dtype, rank, shape, tp_buffer_create ((size_t) count * tp_dtype_size (dtype)), 0);
}

tp_tensor *
tp_tensor_zeros (tp_dtype dtype, int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  if (t)
    memset (tp_buffer_data (t->buffer), 0, tp_buffer_bytes (t->buffer));
  return t;
}

tp_tensor *
tp_tensor_like (const tp_tensor *t)
{
  return tp_tensor_create (t->dtype, t->rank, t->shape);
}

tp_tensor *
tp_tensor_husk (const tp_tensor *t)
{
  tp_tensor *husk = calloc (1, sizeof *husk);
  if (!husk)
    {
      tp_fail (TP_NO_MEMORY, "tensor: a header could not be had");
      return NULL;
    }
  atomic_init (&husk->references, 1);
  husk->dtype = t->dtype;
  husk->rank = t->rank;
  memcpy (husk->shape, t->shape, sizeof husk->shape);
  memcpy (husk->strides, t->strides, sizeof husk->strides);
  return husk;
}

tp_tensor *
tp_tensor_ref (const tp_tensor *t)
{
  tp_tensor *mutable = (tp_tensor *) t;
  atomic_fetch_add (&mutable->references, 1);
  return mutable;
}

void
tp_tensor_changed (tp_tensor *t)
{
  tp_buffer_changed (t->buffer);
}

void
tp_tensor_let_go (tp_tensor *t)
{
  if ((t->needed > 0 && !t->restore) || !t->buffer || tp_buffer_shared (t->buffer))
    return;
  tp_buffer_free (t->buffer);
  t->buffer = NULL;
}

tp_status
tp_tensor_restore (tp_tensor *t)
{
  return !t->buffer && t->restore ? t->restore (t) : TP_OK;
}

void
tp_set_derived (tp_tensor *t, void *derived, void (*release) (void *))
{
  if (t->derived)
    t->derived_free (t->derived);
  t->derived = derived;
  t->derived_free = release;
}

void
tp_tensor_free (tp_tensor *t)
{
  if (!t || atomic_fetch_sub (&t->references, 1) != 1)
    return;
  tp_set_derived (t, NULL, NULL);
  tp_tensor_free (t->grad);
  tp_buffer_free (t->buffer);
  free (t);
}

int64_t
tp_tensor_count (const tp_tensor *t)
{
  int64_t count = 1;
  for (int i = 0; i < t->rank; i++)
    count *= t->shape[i];
  return count;
}

bool
tp_tensor_contiguous (const tp_tensor *t)
{
  int64_t stride = 1;
  for (int i = t->rank - 1; i >= 0; i--)
    {
      if (t->shape[i] != 1 && t->strides[i] != stride)
        return tp_tensor_count (t) == 0;
      stride *= t->shape[i];
    }
  return true;
}

bool
tp_same_shape (const tp_tensor *a, const tp_tensor *b)
{
  return a->rank == b->rank
         && !memcmp (a->shape, b->shape, (size_t) a->rank * sizeof a->shape[0]);
}

/* The first byte of T's elements, and the first behind them, in its buffer. */
static void
extent (const tp_tensor *t, int64_t *begin, int64_t *end)
{
  int64_t last = t->offset, size = (int64_t) tp_dtype_size (t->dtype);
  for (int i = 0; i < t->rank; i++)
    last += (t->shape[i] - 1) * t->strides[i];
  *begin = t->offset * size;
  *end = (last + 1) * size;
}

bool
tp_overlap (const tp_tensor *a, const tp_tensor *b)
{
  if (a->buffer != b->buffer || tp_tensor_count (a) == 0 || tp_tensor_count (b) == 0)
    return false;
  int64_t a0, a1, b0, b1;
  extent (a, &a0, &a1);
  extent (b, &b0, &b1);
  return a0 < b1 && b0 < a1;
}

float *
tp_f32 (const tp_tensor *t)
{
  float *data = tp_buffer_data (t->buffer);
  return data ? data + t->offset : NULL;
}

tp_complex *
tp_c64 (const tp_tensor *t)
{
  tp_complex *data = tp_buffer_data (t->buffer);
  return data ? data + t->offset : NULL;
}

tp_status
tp_check (const tp_tensor *t, const char *name, tp_dtype dtype, int rank)
{
  static const int64_t any[TP_MAX_RANK] = { -1, -1, -1, -1, -1, -1, -1, -1 };
  if (rank < 0)
    rank = t->rank;
  return tp_check_shape (t, name, dtype, rank, any);
}

tp_status
tp_check_shape (const tp_tensor *t, const char *name, tp_dtype dtype, int rank,
                const int64_t *shape)
{
  char came[TP_SHAPE_TEXT], wanted[TP_SHAPE_TEXT];
  if (!tp_buffer_data (t->buffer))
    return tp_fail (TP_BAD_ARGUMENT, "%s: this tensor was released when its scope closed; "
                    "keep it with `keep!'", name);
  bool fits = t->rank == rank && t->dtype == dtype;
  for (int i = 0; fits && i < rank; i++)
    fits = shape[i] < 0 || t->shape[i] == shape[i];
  if (!fits)
    return tp_fail (TP_BAD_SHAPE, "%s: expected %s %s, got %s %s", name, tp_dtype_name (dtype),
                    tp_shape_text (wanted, rank, shape), tp_dtype_name (t->dtype),
                    tp_shape_text (came, t->rank, t->shape));
  if (!tp_tensor_contiguous (t))
    return tp_fail (TP_BAD_SHAPE, "%s: expected a contiguous tensor, got a strided view", name);
  return TP_OK;
}

tp_tensor *
tp_copy (const tp_tensor *t)
{
  tp_tensor *c = tp_tensor_like (t);
  if (c && tp_assign (c, t) != TP_OK)
    {
      tp_tensor_free (c);
      return NULL;
    }
  return c;
}

tp_tensor *
tp_contiguous (const tp_tensor *t)
{
  return tp_tensor_contiguous (t) ? tp_tensor_ref (t) : tp_copy (t);
}

tp_tensor *
tp_reshape (const tp_tensor *t, int rank, const int64_t *shape)
{
  char came[TP_SHAPE_TEXT], wanted[TP_SHAPE_TEXT];
  int64_t resolved[TP_MAX_RANK], known = 1, count = tp_tensor_count (t);
  int open = -1;
  bool bad = rank < 0 || rank > TP_MAX_RANK;
  for (int i = 0; !bad && i < rank; i++)
    {
      resolved[i] = shape[i];
      if (shape[i] == -1 && open < 0)
        open = i;
      else if (shape[i] < 0 || __builtin_mul_overflow (known, shape[i], &known))
        bad = true;
    }
  if (!bad && open >= 0)
    {
      bad = known == 0 || count % known;
      resolved[open] = bad ? 0 : count / known;
    }
  else if (!bad)
    bad = known != count;
  if (bad)
    {
      tp_fail (TP_BAD_SHAPE, "shape: %s (%lld elements) cannot become %s",
               tp_shape_text (came, t->rank, t->shape), (long long) count,
               tp_shape_text (wanted, rank < 0 || rank > TP_MAX_RANK ? 0 : rank, shape));
      return NULL;
    }
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return NULL;
  tp_tensor *v = header (t->dtype, rank, resolved, tp_buffer_ref (whole->buffer), whole->offset);
  tp_tensor_free (whole);
  return v;
}

tp_tensor *
tp_slice (const tp_tensor *t, int axis, int64_t begin, int64_t end, int64_t step)
{
  if (axis < 0 || axis >= t->rank)
    {
      tp_fail (TP_BAD_ARGUMENT, "axis: expected 0 to %d, got %d", t->rank - 1, axis);
      return NULL;
    }
  if (begin < 0 || end < begin || end > t->shape[axis] || step < 1)
    {
      tp_fail (TP_BAD_ARGUMENT, "range: expected 0 <= begin <= end <= %lld and step >= 1, "
               "got %lld to %lld by %lld", (long long) t->shape[axis], (long long) begin,
               (long long) end, (long long) step);
      return NULL;
    }
  tp_tensor *v = tp_view (t);
  if (!v)
    return NULL;
  v->offset += begin * v->strides[axis];
  v->shape[axis] = (end - begin) / step + ((end - begin) % step != 0);
  if (v->shape[axis] > 1) /* else it may overflow, and does not matter */
    v->strides[axis] *= step;
  if (check_sides (v->rank, v->shape) != TP_OK)
    {
      tp_tensor_free (v);
      return NULL;
    }
  return v;
}

tp_tensor *
tp_transpose (const tp_tensor *t, const int *permutation)
{
  unsigned seen = 0;
  for (int i = 0; i < t->rank; i++)
    if (permutation[i] >= 0 && permutation[i] < t->rank)
      seen |= 1u << permutation[i];
  if (seen != (1u << t->rank) - 1)
    {
      tp_fail (TP_BAD_ARGUMENT, "axes: expected each of 0 to %d once", t->rank - 1);
      return NULL;
    }
  tp_tensor *v = tp_view (t);
  for (int i = 0; v && i < t->rank; i++)
    {
      v->shape[i] = t->shape[permutation[i]];
      v->strides[i] = t->strides[permutation[i]];
    }
  return v;
}

tp_tensor *
tp_broadcast_to (const tp_tensor *t, int rank, const int64_t *shape)
{
  char came[TP_SHAPE_TEXT], wanted[TP_SHAPE_TEXT];
  bool fits = rank >= t->rank && rank <= TP_MAX_RANK;
  int64_t count = 1;
  for (int i = 0; fits && i < rank; i++)
    fits = shape[i] >= 0 && !__builtin_mul_overflow (count, shape[i], &count)
           && count <= INT64_MAX / 16;
  for (int i = 0; fits && i < t->rank; i++)
    fits = t->shape[i] == 1 || t->shape[i] == shape[rank - t->rank + i];
  if (!fits)
    {
      tp_fail (TP_BAD_SHAPE, "shape: %s does not broadcast to %s",
               tp_shape_text (came, t->rank, t->shape),
               tp_shape_text (wanted, rank > TP_MAX_RANK ? 0 : rank, shape));
      return NULL;
    }
  if (check_sides (rank, shape) != TP_OK)
    return NULL;
  tp_tensor *v = tp_view (t);
  if (!v)
    return NULL;
  v->rank = rank;
  for (int i = 0; i < rank; i++)
    {
      int j = i - (rank - t->rank);
      v->shape[i] = shape[i];
      v->strides[i] = j >= 0 && t->shape[j] == shape[i] ? t->strides[j] : 0;
    }
  return v;
}

tp_tensor *
tp_view_real (const tp_tensor *t)
{
  if (tp_check (t, "tensor", TP_C64, -1) != TP_OK)
    return NULL;
  if (t->rank == TP_MAX_RANK)
    {
      tp_fail (TP_BAD_SHAPE, "tensor: no room for one more axis than %d", TP_MAX_RANK);
      return NULL;
    }
  int64_t shape[TP_MAX_RANK];
  memcpy (shape, t->shape, sizeof shape);
  shape[t->rank] = 2;
  return header (TP_F32, t->rank + 1, shape, tp_buffer_ref (t->buffer), t->offset * 2);
}

tp_tensor *
tp_view_complex (const tp_tensor *t)
{
  if (tp_check (t, "tensor", TP_F32, -1) != TP_OK)
    return NULL;
  if (t->rank < 1 || t->shape[t->rank - 1] != 2)
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_SHAPE, "tensor: expected a last axis of length 2, got %s",
               tp_shape_text (text, t->rank, t->shape));
      return NULL;
    }
  if (t->offset % 2)
    {
      tp_fail (TP_BAD_ARGUMENT, "tensor: the view begins in the middle of a complex number");
      return NULL;
    }
  return header (TP_C64, t->rank - 1, t->shape, tp_buffer_ref (t->buffer), t->offset / 2);
}

tp_tensor *
tp_concatenate (const tp_tensor *const *parts, int count, int axis)
{
  char first_text[TP_SHAPE_TEXT], text[TP_SHAPE_TEXT];
  if (count < 1 || axis < 0 || axis >= parts[0]->rank)
    {
      tp_fail (TP_BAD_ARGUMENT, "axis: expected an axis of the %d parts, got %d", count, axis);
      return NULL;
    }
  int64_t shape[TP_MAX_RANK];
  memcpy (shape, parts[0]->shape, sizeof shape);
  for (int p = 1; p < count; p++)
    {
      bool fits = parts[p]->rank == parts[0]->rank && parts[p]->dtype == parts[0]->dtype;
      for (int i = 0; fits && i < parts[0]->rank; i++)
        fits = i == axis || parts[p]->shape[i] == shape[i];
      if (!fits)
        {
          tp_fail (TP_BAD_SHAPE, "part %d: expected %s %s but for axis %d, got %s %s", p,
                   tp_dtype_name (parts[0]->dtype),
                   tp_shape_text (first_text, parts[0]->rank, parts[0]->shape), axis,
                   tp_dtype_name (parts[p]->dtype),
                   tp_shape_text (text, parts[p]->rank, parts[p]->shape));
          return NULL;
        }
      if (__builtin_add_overflow (shape[axis], parts[p]->shape[axis], &shape[axis]))
        {
          tp_fail (TP_BAD_SHAPE, "parts: together they are too long for memory along axis %d", axis);
          return NULL;
        }
    }
  tp_tensor *whole = tp_tensor_create (parts[0]->dtype, parts[0]->rank, shape);
  int64_t at = 0;
  for (int p = 0; whole && p < count; p++)
    {
      tp_tensor *place = tp_slice (whole, axis, at, at + parts[p]->shape[axis], 1);
      tp_status status = place ? tp_assign (place, parts[p]) : TP_NO_MEMORY;
      tp_tensor_free (place);
      if (status != TP_OK)
        {
          tp_tensor_free (whole);
          return NULL;
        }
      at += parts[p]->shape[axis];
    }
  return whole;
}

static tp_status
fill_random (tp_tensor *t, uint64_t seed, uint64_t stream,
             void (*fill) (float *, int64_t, uint64_t, uint64_t, uint64_t))
{
  tp_status status = tp_check (t, "tensor", t->dtype, -1);
  if (status != TP_OK)
    return status;
  int64_t count = tp_tensor_count (t) * (t->dtype == TP_C64 ? 2 : 1);
  float *data = t->dtype == TP_C64 ? (float *) tp_c64 (t) : tp_f32 (t);
  fill (data, count, seed, stream, 0);
  return TP_OK;
}

tp_status
tp_fill_normal (tp_tensor *t, uint64_t seed, uint64_t stream)
{
  return fill_random (t, seed, stream, tp_random_normal);
}

tp_status
tp_fill_uniform (tp_tensor *t, uint64_t seed, uint64_t stream)
{
  return fill_random (t, seed, stream, tp_random_uniform);
}
