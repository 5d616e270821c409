/* reduce.c -- sums, means, extremes and quantiles, in an order the shape alone fixes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/threads.h"
#include "tensor/tensor.h"

/* A long sum is cut into blocks of this many elements; the blocks' sums are
 * added in order.  Which thread sums a block changes nothing. */
enum { BLOCK = 8192 };

typedef struct {
  const float *a, *b;
  int64_t count;
  double *partial;
} sum_job;

TP_CLONES static void
sum_blocks (void *context, int64_t begin, int64_t end)
{
  const sum_job *j = context;
  for (int64_t block = begin; block < end; block++)
    {
      int64_t first = block * BLOCK, last = first + BLOCK < j->count ? first + BLOCK : j->count;
      /* Eight running sums, so that the additions need not wait for each other. */
      double s[8] = { 0 };
      int64_t i = first;
      if (j->b)
        {
          for (; i + 8 <= last; i += 8)
            for (int k = 0; k < 8; k++)
              s[k] += (double) j->a[i + k] * j->b[i + k];
          for (; i < last; i++)
            s[0] += (double) j->a[i] * j->b[i];
        }
      else
        {
          for (; i + 8 <= last; i += 8)
            for (int k = 0; k < 8; k++)
              s[k] += j->a[i + k];
          for (; i < last; i++)
            s[0] += j->a[i];
        }
      j->partial[block] = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    }
}

/* Without memory of its own, for which there might be no room. */
static double
block_sum (const float *a, const float *b, int64_t count)
{
  enum { BLOCKS = 2048 }; /* at a time */
  double partial[BLOCKS], total = 0;
  for (int64_t first = 0; first < count; first += (int64_t) BLOCKS * BLOCK)
    {
      int64_t left = count - first, some = left < (int64_t) BLOCKS * BLOCK ? left : (int64_t) BLOCKS * BLOCK;
      int64_t blocks = (some + BLOCK - 1) / BLOCK;
      /* cppcheck-suppress legacyUninitvar ; sum_blocks fills it */
      sum_job j = { a + first, b ? b + first : NULL, some, partial };
      tp_parallel_for (blocks, 4, sum_blocks, &j);
      for (int64_t i = 0; i < blocks; i++)
        total += partial[i];
    }
  return total;
}

double
tp_sum_f32 (const float *data, int64_t count)
{
  return block_sum (data, NULL, count);
}

double
tp_dot_f32 (const float *a, const float *b, int64_t count)
{
  return block_sum (a, b, count);
}

bool
tp_all_finite (const tp_tensor *t)
{
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return false;
  const float *data = t->dtype == TP_C64 ? (const float *) tp_c64 (whole) : tp_f32 (whole);
  int64_t count = tp_tensor_count (t) * (t->dtype == TP_C64 ? 2 : 1);
  bool finite = data != NULL;
  for (int64_t i = 0; finite && i < count; i++)
    finite = isfinite (data[i]);
  tp_tensor_free (whole);
  return finite;
}

/* The general reduction.  The tensor, made contiguous with the kept axes first,
 * is a matrix: one row of INNER elements for each element of the result. */
typedef struct {
  tp_reduction operation;
  const float *data;
  float *out;
  int64_t inner;
  bool is_complex;
} rows_job;

static void
reduce_rows (void *context, int64_t begin, int64_t end)
{
  const rows_job *j = context;
  for (int64_t r = begin; r < end; r++)
    {
      int width = j->is_complex ? 2 : 1;
      const float *row = j->data + r * j->inner * width;
      double s = 0, s_imag = 0;
      float extreme = j->operation == TP_MAX ? -INFINITY : INFINITY;
      switch (j->operation)
        {
        case TP_SUM:
        case TP_MEAN:
          for (int64_t i = 0; i < j->inner; i++)
            {
              s += row[i * width];
              if (j->is_complex)
                s_imag += row[i * 2 + 1];
            }
          if (j->operation == TP_MEAN)
            {
              s /= (double) j->inner;
              s_imag /= (double) j->inner;
            }
          j->out[r * width] = (float) s;
          if (j->is_complex)
            j->out[r * 2 + 1] = (float) s_imag;
          break;
        case TP_SUM_SQUARES:
          for (int64_t i = 0; i < j->inner * width; i++)
            s += (double) row[i] * row[i];
          j->out[r] = (float) s;
          break;
        case TP_MAX:
          for (int64_t i = 0; i < j->inner; i++)
            extreme = row[i] > extreme || row[i] != row[i] ? row[i] : extreme;
          j->out[r] = extreme;
          break;
        case TP_MIN:
          for (int64_t i = 0; i < j->inner; i++)
            extreme = row[i] < extreme || row[i] != row[i] ? row[i] : extreme;
          j->out[r] = extreme;
          break;
        }
    }
}

/* The sum of everything, which has one row only, uses all threads. */
static bool
reduce_everything (tp_reduction operation, const float *data, int64_t count, float *out)
{
  double s;
  if (operation == TP_SUM || operation == TP_MEAN)
    s = tp_sum_f32 (data, count);
  else if (operation == TP_SUM_SQUARES)
    s = tp_dot_f32 (data, data, count);
  else
    return false;
  *out = (float) (operation == TP_MEAN ? s / (double) count : s);
  return true;
}

/* Sums over leading axes (batch norm's statistics, a bias' gradient): the
 * result's elements are the matrix' columns; reading along rows keeps the
 * memory streaming. */
typedef struct {
  const float *data;
  double *partial;
  int64_t rows, columns, rows_per_item;
  bool squares;
} columns_job;

TP_CLONES static void
sum_columns (void *context, int64_t begin, int64_t end)
{
  const columns_job *j = context;
  for (int64_t item = begin; item < end; item++)
    {
      double *sum = j->partial + item * j->columns;
      memset (sum, 0, (size_t) j->columns * sizeof *sum);
      int64_t last = (item + 1) * j->rows_per_item;
      if (last > j->rows)
        last = j->rows;
      for (int64_t r = item * j->rows_per_item; r < last; r++)
        {
          const float *row = j->data + r * j->columns;
          if (j->squares)
            for (int64_t c = 0; c < j->columns; c++)
              sum[c] += (double) row[c] * row[c];
          else
            for (int64_t c = 0; c < j->columns; c++)
              sum[c] += row[c];
        }
    }
}

static bool
reduce_columns (tp_reduction operation, const float *data, int64_t rows, int64_t columns,
                float *out)
{
  enum { ROWS = 1024 };
  int64_t items = (rows + ROWS - 1) / ROWS;
  double *partial = tp_scratch_alloc ((size_t) (items * columns) * sizeof *partial);
  if (!partial)
    return false;
  columns_job j = { data, partial, rows, columns, ROWS, operation == TP_SUM_SQUARES };
  tp_parallel_for (items, 1, sum_columns, &j);
  for (int64_t c = 0; c < columns; c++)
    {
      double s = 0;
      for (int64_t i = 0; i < items; i++)
        s += partial[i * columns + c];
      out[c] = (float) (operation == TP_MEAN ? s / (double) rows : s);
    }
  tp_scratch_free (partial);
  return true;
}

tp_tensor *
tp_reduce (tp_reduction operation, const tp_tensor *t, unsigned axes, bool keep)
{
  bool is_complex = t->dtype == TP_C64;
  if (is_complex && (operation == TP_MAX || operation == TP_MIN))
    {
      tp_fail (TP_BAD_SHAPE, "tensor: expected f32, got c64; complex numbers have no order, their "
               "magnitudes have");
      return NULL;
    }
  if (axes >> t->rank)
    {
      tp_fail (TP_BAD_ARGUMENT, "axes: expected axes from 0 to %d", t->rank - 1);
      return NULL;
    }
  int order[TP_MAX_RANK], kept = 0, out_rank = 0;
  int64_t outer = 1, inner = 1, out_shape[TP_MAX_RANK] = { 0 };
  for (int i = 0; i < t->rank; i++)
    if (!(axes >> i & 1))
      {
        order[kept++] = i;
        outer *= t->shape[i];
        out_shape[out_rank++] = t->shape[i];
      }
    else if (keep)
      out_shape[out_rank++] = 1;
  int at = kept;
  bool leading = true; /* only leading axes go */
  for (int i = 0; i < t->rank; i++)
    if (axes >> i & 1)
      {
        order[at++] = i;
        inner *= t->shape[i];
      }
  for (int i = 0; i + 1 < t->rank; i++)
    if (!(axes >> i & 1) && (axes >> (i + 1) & 1))
      leading = false;
  if (inner == 0 && operation != TP_SUM && operation != TP_SUM_SQUARES)
    {
      tp_fail (TP_BAD_SHAPE, "tensor: expected at least one element to reduce");
      return NULL;
    }
  tp_dtype dtype = is_complex && operation != TP_SUM_SQUARES ? TP_C64 : TP_F32;
  tp_tensor *out = tp_tensor_create (dtype, out_rank, out_shape);
  bool by_columns = leading && kept > 0 && at > kept && !is_complex && operation != TP_MAX
                    && operation != TP_MIN;
  tp_tensor *view = by_columns ? tp_tensor_ref (t) : tp_transpose (t, order);
  tp_tensor *whole = view ? tp_contiguous (view) : NULL;
  const float *data = NULL;
  if (whole)
    data = is_complex ? (const float *) tp_c64 (whole) : tp_f32 (whole);
  bool done = out && data;
  if (done)
    {
      float *o = dtype == TP_C64 ? (float *) tp_c64 (out) : tp_f32 (out);
      if (by_columns)
        done = reduce_columns (operation, data, inner, outer, o);
      else if (!(outer == 1 && dtype == TP_F32
                 && reduce_everything (operation, data, inner * (is_complex ? 2 : 1), o)))
        {
          rows_job j = { operation, data, o, inner, is_complex };
          tp_parallel_for (outer, 1 + 16384 / (inner + 1), reduce_rows, &j);
        }
    }
  else if (out && whole)
    tp_fail (TP_BAD_ARGUMENT, "tensor: this tensor was released when its scope closed; "
             "keep it with `keep!'");
  tp_tensor_free (view);
  tp_tensor_free (whole);
  if (!done)
    {
      tp_tensor_free (out);
      return NULL;
    }
  return out;
}

/* Reorder ROW so that its K-th smallest is in place, none larger before it and
 * none smaller after (Hoare's selection).  ROW holds no NaN. */
static void
select_kth (float *row, int64_t count, int64_t k)
{
  int64_t low = 0, high = count - 1;
  while (low < high)
    {
      float pivot = row[k];
      int64_t i = low, j = high;
      while (i <= j)
        {
          while (row[i] < pivot)
            i++;
          while (pivot < row[j])
            j--;
          if (i <= j)
            {
              float swap = row[i];
              row[i++] = row[j];
              row[j--] = swap;
            }
        }
      if (j < k)
        low = i;
      if (k < i)
        high = j;
    }
}

typedef struct {
  float *rows, *out;
  const float *values; /* of quantile_weights: the rows as they were */
  int64_t length;
  double place;        /* between order statistics, from 0 */
} quantile_job;

static bool
any_nan (const float *row, int64_t length)
{
  bool nan = false;
  for (int64_t i = 0; i < length; i++)
    nan = nan || row[i] != row[i];
  return nan;
}

static void
quantile_rows (void *context, int64_t begin, int64_t end)
{
  const quantile_job *j = context;
  int64_t low = (int64_t) j->place;
  for (int64_t r = begin; r < end; r++)
    {
      float *row = j->rows + r * j->length, next = INFINITY;
      if (any_nan (row, j->length))
        {
          j->out[r] = NAN;
          continue;
        }
      select_kth (row, j->length, low);
      for (int64_t i = low + 1; i < j->length; i++)
        next = row[i] < next ? row[i] : next;
      double part = j->place - (double) low;
      j->out[r] = part > 0 ? row[low] + (float) part * (next - row[low]) : row[low];
    }
}

/* OUT: rows of weights, whose products with VALUES sum to what quantile_rows gives. */
static void
quantile_weight_rows (void *context, int64_t begin, int64_t end)
{
  const quantile_job *j = context;
  int64_t low = (int64_t) j->place;
  float part = (float) (j->place - (double) low);
  for (int64_t r = begin; r < end; r++)
    {
      float *row = j->rows + r * j->length, *out = j->out + r * j->length, next = INFINITY;
      const float *values = j->values + r * j->length;
      if (any_nan (row, j->length))
        {
          for (int64_t i = 0; i < j->length; i++)
            out[i] = NAN;
          continue;
        }
      select_kth (row, j->length, low);
      for (int64_t i = low + 1; i < j->length; i++)
        next = row[i] < next ? row[i] : next;
      int64_t at = 0, after = 0;
      while (at < j->length - 1 && values[at] != row[low])
        at++;
      memset (out, 0, (size_t) j->length * sizeof *out);
      out[at] = 1 - part;
      if (part > 0)
        { /* another one, where both have one value */
          while (after < j->length - 1 && (after == at || values[after] != next))
            after++;
          out[after] += part;
        }
    }
}

static tp_status
check_quantile (const tp_tensor *t, double q, int axis)
{
  if (t->dtype != TP_F32 || axis < 0 || axis >= t->rank || t->shape[axis] < 1)
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_SHAPE, "tensor: expected f32 with a non-empty axis %d, got %s %s", axis,
               tp_dtype_name (t->dtype), tp_shape_text (text, t->rank, t->shape));
      return tp_last_status ();
    }
  if (!(q >= 0 && q <= 1))
    return tp_fail (TP_BAD_ARGUMENT, "q: expected 0 to 1, got %g", q);
  return TP_OK;
}

/* The axes of T with AXIS last into ORDER, and the lengths of the others into SHAPE. */
static void
axis_last (const tp_tensor *t, int axis, int order[TP_MAX_RANK], int64_t shape[TP_MAX_RANK])
{
  int at = 0;
  for (int i = 0; i < t->rank; i++)
    if (i != axis)
      {
        shape[at] = t->shape[i];
        order[at++] = i;
      }
  order[at] = axis;
}

tp_tensor *
tp_quantile_weights (const tp_tensor *t, double q, int axis)
{
  if (check_quantile (t, q, axis) != TP_OK)
    return NULL;
  int order[TP_MAX_RANK], back[TP_MAX_RANK];
  int64_t shape[TP_MAX_RANK], length = t->shape[axis];
  axis_last (t, axis, order, shape);
  for (int i = 0; i < t->rank; i++)
    back[order[i]] = i;
  tp_tensor *view = tp_transpose (t, order), *values = view ? tp_copy (view) : NULL;
  tp_tensor *rows = values ? tp_copy (values) : NULL; /* reordered in place */
  tp_tensor *weights = values ? tp_tensor_like (values) : NULL, *result = NULL;
  if (rows && weights)
    {
      quantile_job j = { tp_f32 (rows), tp_f32 (weights), tp_f32 (values), length,
                         q * (double) (length - 1) };
      tp_parallel_for (tp_tensor_count (t) / length, 1 + 16384 / length, quantile_weight_rows, &j);
      tp_tensor *turned = tp_transpose (weights, back);
      result = turned ? tp_copy (turned) : NULL;
      tp_tensor_free (turned);
    }
  tp_tensor_free (view);
  tp_tensor_free (values);
  tp_tensor_free (rows);
  tp_tensor_free (weights);
  return result;
}

tp_tensor *
tp_quantile (const tp_tensor *t, double q, int axis)
{
  if (check_quantile (t, q, axis) != TP_OK)
    return NULL;
  int order[TP_MAX_RANK];
  int64_t shape[TP_MAX_RANK];
  axis_last (t, axis, order, shape);
  tp_tensor *out = tp_tensor_create (TP_F32, t->rank - 1, shape);
  tp_tensor *view = tp_transpose (t, order);
  tp_tensor *rows = view ? tp_copy (view) : NULL; /* reordered in place */
  if (out && rows)
    {
      int64_t length = t->shape[axis];
      quantile_job j = { tp_f32 (rows), tp_f32 (out), NULL, length, q * (double) (length - 1) };
      tp_parallel_for (tp_tensor_count (out), 1 + 16384 / length, quantile_rows, &j);
    }
  else
    {
      tp_tensor_free (out);
      out = NULL;
    }
  tp_tensor_free (view);
  tp_tensor_free (rows);
  return out;
}
