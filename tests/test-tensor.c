/* test-tensor.c -- tensors: views, broadcasting, reductions, products; hostile shapes. */
#include "check.h"

#include <string.h>

#include "core/threads.h"
#include "tensor/tensor.h"

#define SHAPE(...) (int64_t[]) { __VA_ARGS__ }

static tp_tensor *
counting (int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  for (int64_t i = 0; i < tp_tensor_count (t); i++)
    tp_f32 (t)[i] = (float) i;
  return t;
}

static void
test_views (void)
{
  tp_tensor *t = counting (3, SHAPE (2, 3, 4));
  tp_tensor *s = tp_slice (t, 1, 1, 3, 1), *p = tp_transpose (s, (int[]) { 2, 0, 1 });
  CHECK (s->shape[1] == 2 && !tp_tensor_contiguous (s));
  tp_tensor *c = tp_copy (p);
  /* c[k][i][j] = t[i][j + 1][k] */
  bool right = true;
  for (int k = 0; k < 4; k++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++)
        right = right && tp_f32 (c)[(k * 2 + i) * 2 + j] == (float) (i * 12 + (j + 1) * 4 + k);
  CHECK (right);
  CHECK (tp_reshape (t, 2, SHAPE (5, -1)) == NULL && strstr (tp_last_message (), "(2 3 4)"));
  tp_tensor *r = tp_reshape (t, 2, SHAPE (-1, 6));
  CHECK (r && r->shape[0] == 4 && tp_f32 (r) == tp_f32 (t));
  CHECK (tp_slice (t, 3, 0, 1, 1) == NULL && tp_slice (t, 0, 1, 3, 1) == NULL);
  CHECK (tp_transpose (t, (int[]) { 0, 0, 1 }) == NULL);
  tp_tensor *stepped = tp_slice (t, 2, 1, 4, 2);
  CHECK (stepped->shape[2] == 2 && stepped->strides[2] == 2);
  /* Writing through a view changes the whole. */
  CHECK (tp_fill (stepped, -1) == TP_OK && tp_f32 (t)[1] == -1 && tp_f32 (t)[2] == 2
         && tp_f32 (t)[3] == -1);
  tp_tensor_free (t);
  tp_tensor_free (s);
  tp_tensor_free (p);
  tp_tensor_free (c);
  tp_tensor_free (r);
  tp_tensor_free (stepped);
}

static void
test_complex_views (void)
{
  tp_tensor *z = tp_tensor_zeros (TP_C64, 2, SHAPE (2, 3));
  tp_c64 (z)[4] = 5 + 6 * I;
  tp_tensor *r = tp_view_real (z), *back = tp_view_complex (r);
  CHECK (r->rank == 3 && r->shape[2] == 2 && tp_f32 (r)[8] == 5 && tp_f32 (r)[9] == 6);
  CHECK (tp_c64 (back) == tp_c64 (z) && tp_same_shape (back, z));
  CHECK (tp_view_complex (z) == NULL && tp_view_real (r) == NULL);
  tp_tensor *odd = tp_tensor_zeros (TP_F32, 2, SHAPE (2, 3));
  CHECK (tp_view_complex (odd) == NULL && strstr (tp_last_message (), "length 2"));
  CHECK (tp_assign (odd, z) != TP_OK);
  tp_tensor_free (z);
  tp_tensor_free (r);
  tp_tensor_free (back);
  tp_tensor_free (odd);
}

static void
test_broadcasting (void)
{
  tp_tensor *a = counting (2, SHAPE (2, 3)), *row = counting (1, SHAPE (3));
  tp_tensor *column = counting (2, SHAPE (2, 1)), *one = tp_tensor_zeros (TP_F32, 0, NULL);
  *tp_f32 (one) = 10;
  tp_tensor *sum = tp_map2 (TP_ADD, a, row), *outer = tp_map2 (TP_MUL, column, row);
  tp_tensor *shifted = tp_map2 (TP_SUB, one, a);
  CHECK (tp_f32 (sum)[4] == 5 && tp_f32 (outer)[5] == 2 && outer->rank == 2);
  CHECK (tp_f32 (shifted)[5] == 5);
  tp_tensor *bad = tp_tensor_zeros (TP_F32, 1, SHAPE (4));
  CHECK (tp_map2 (TP_ADD, a, bad) == NULL && strstr (tp_last_message (), "(2 3)"));
  tp_tensor *z = tp_tensor_zeros (TP_C64, 1, SHAPE (3));
  tp_fill (z, 2);
  tp_tensor *product = tp_map2 (TP_MUL, a, z);
  CHECK (product->dtype == TP_C64 && crealf (tp_c64 (product)[5]) == 10);
  CHECK (tp_map2 (TP_MAXIMUM, a, z) == NULL);
  tp_tensor *t[] = { a, row, column, one, sum, outer, shifted, bad, z, product };
  for (size_t i = 0; i < sizeof t / sizeof *t; i++)
    tp_tensor_free (t[i]);
}

/* Every set of axes of a rank-3 tensor, against plain loops. */
static void
test_reductions (void)
{
  const int64_t shape[3] = { 3, 4, 5 };
  tp_tensor *t = tp_tensor_create (TP_F32, 3, shape);
  tp_fill_normal (t, 1, 0);
  for (unsigned axes = 0; axes < 8; axes++)
    for (int operation = TP_SUM; operation <= TP_SUM_SQUARES; operation++)
      {
        tp_tensor *r = tp_reduce ((tp_reduction) operation, t, axes, true);
        double worst = 0;
        for (int64_t out = 0; out < tp_tensor_count (r); out++)
          {
            double sum = 0, high = -INFINITY, low = INFINITY, squares = 0;
            int64_t count = 0;
            for (int64_t i = 0; i < 60; i++)
              {
                int64_t at[3] = { i / 20, i / 5 % 4, i % 5 }, place = 0;
                for (int k = 0; k < 3; k++)
                  place = place * r->shape[k] + (axes >> k & 1 ? 0 : at[k]);
                if (place != out)
                  continue;
                double x = tp_f32 (t)[i];
                sum += x;
                squares += x * x;
                high = x > high ? x : high;
                low = x < low ? x : low;
                count++;
              }
            double expected[] = { sum, sum / (double) count, high, low, squares };
            worst = fmax (worst, fabs (expected[operation] - tp_f32 (r)[out]));
          }
        CHECK_CLOSE (worst, 0, 1e-5);
        tp_tensor_free (r);
      }
  CHECK (tp_reduce (TP_SUM, t, 8, false) == NULL);
  tp_f32 (t)[7] = NAN;
  tp_tensor *high = tp_reduce (TP_MAX, t, 7, false), *low = tp_reduce (TP_MIN, t, 7, false);
  CHECK (isnan (*tp_f32 (high)) && isnan (*tp_f32 (low)) && !tp_all_finite (t));
  tp_tensor_free (t);
  tp_tensor_free (high);
  tp_tensor_free (low);
}

static void
test_sum_is_accurate_and_ordered (void)
{
  /* A million times 0.1: float32 alone would be off by 1 %. */
  const int64_t n = 1000003;
  tp_tensor *t = tp_tensor_create (TP_F32, 1, &n);
  tp_fill (t, 0.1);
  CHECK_CLOSE (tp_sum_f32 (tp_f32 (t), n) / (0.1f * (double) n), 1, 1e-12);
  tp_fill_normal (t, 2, 0);
  int threads = tp_threads ();
  tp_set_threads (1);
  double one = tp_sum_f32 (tp_f32 (t), n);
  tp_set_threads (3);
  CHECK (one == tp_sum_f32 (tp_f32 (t), n));
  tp_set_threads (threads);
  tp_tensor_free (t);
}

static void
test_products (void)
{
  for (int ta = 0; ta < 2; ta++)
    for (int tb = 0; tb < 2; tb++)
      {
        const int64_t m = 130, n = 7, k = 33;
        tp_tensor *a = tp_tensor_create (TP_F32, 2, ta ? SHAPE (k, m) : SHAPE (m, k));
        tp_tensor *b = tp_tensor_create (TP_F32, 2, tb ? SHAPE (n, k) : SHAPE (k, n));
        tp_fill_normal (a, 1, 1);
        tp_fill_normal (b, 1, 2);
        tp_tensor *c = tp_matmul (a, ta, b, tb);
        double worst = 0;
        for (int64_t i = 0; i < m; i++)
          for (int64_t j = 0; j < n; j++)
            {
              double sum = 0;
              for (int64_t l = 0; l < k; l++)
                sum += (double) tp_f32 (a)[ta ? l * m + i : i * k + l]
                       * tp_f32 (b)[tb ? j * k + l : l * n + j];
              worst = fmax (worst, fabs (sum - tp_f32 (c)[i * n + j]));
            }
        CHECK_CLOSE (worst, 0, 1e-4);
        tp_set_threads (1);
        tp_tensor *d = tp_matmul (a, ta, b, tb);
        CHECK (!memcmp (tp_f32 (c), tp_f32 (d), (size_t) (m * n) * sizeof (float)));
        tp_set_threads (2);
        tp_tensor_free (d);
        CHECK (tp_matmul (a, !ta, b, tb) == NULL);
        tp_tensor_free (a);
        tp_tensor_free (b);
        tp_tensor_free (c);
      }
}

static void
test_quantile (void)
{
  tp_tensor *t = tp_tensor_create (TP_F32, 2, SHAPE (5, 2));
  const float values[] = { 5, 10, 3, 20, 1, 30, 4, 40, 2, 50 };
  memcpy (tp_f32 (t), values, sizeof values);
  tp_tensor *median = tp_quantile (t, 0.5, 0), *tail = tp_quantile (t, 0.9, 0);
  CHECK (tp_f32 (median)[0] == 3 && tp_f32 (median)[1] == 30);
  CHECK_CLOSE (tp_f32 (tail)[0], 4.6, 1e-6);
  /* Against sorting, with many equal values. */
  tp_tensor *many = tp_tensor_create (TP_F32, 1, SHAPE (1001)), *order = tp_tensor_zeros (TP_F32, 1, SHAPE (1001));
  for (int64_t i = 0; i < 1001; i++)
    tp_f32 (many)[i] = (float) (i * 7919 % 1001 / 3);
  for (int64_t i = 0; i < 1001; i++)
    for (int64_t k = 0; k < 1001; k++)
      tp_f32 (order)[i] += tp_f32 (many)[k] < tp_f32 (many)[i] || (tp_f32 (many)[k] == tp_f32 (many)[i] && k < i);
  bool right = true;
  for (int64_t rank = 0; rank < 1001; rank += 50)
    {
      tp_tensor *q = tp_quantile (many, (double) rank / 1000, 0);
      for (int64_t i = 0; i < 1001; i++)
        right = right && (tp_f32 (order)[i] != (float) rank || fabsf (tp_f32 (many)[i] - *tp_f32 (q)) < 1e-3f);
      tp_tensor_free (q);
    }
  CHECK (right);
  tp_f32 (many)[500] = NAN;
  tp_tensor *none = tp_quantile (many, 0.5, 0);
  CHECK (isnan (*tp_f32 (none)));
  tp_tensor_free (many);
  tp_tensor_free (order);
  tp_tensor_free (none);
  CHECK (tp_quantile (t, 1.5, 0) == NULL && tp_quantile (t, NAN, 0) == NULL);
  tp_tensor_free (t);
  tp_tensor_free (median);
  tp_tensor_free (tail);
}

static void
test_hostile_shapes (void)
{
  CHECK (tp_tensor_create (TP_F32, 9, SHAPE (1, 1, 1, 1, 1, 1, 1, 1, 1)) == NULL);
  CHECK (tp_tensor_create (TP_F32, 2, SHAPE (INT64_MAX / 2, 4)) == NULL);
  CHECK (tp_tensor_create (TP_F32, 1, SHAPE (-1)) == NULL);
  CHECK (tp_tensor_create (TP_F32, 1, SHAPE ((int64_t) 1 << 50)) == NULL
         && tp_last_status () == TP_NO_MEMORY);
  tp_tensor *empty = tp_tensor_create (TP_F32, 2, SHAPE (0, 3));
  CHECK (empty && tp_tensor_count (empty) == 0);
  tp_tensor *sum = tp_reduce (TP_SUM, empty, 3, false);
  CHECK (sum && *tp_f32 (sum) == 0);
  CHECK (tp_reduce (TP_MAX, empty, 3, false) == NULL);
  tp_tensor_free (empty);
  tp_tensor_free (sum);
}

/* TARGET assigned from SOURCE, both views of T, is TARGET assigned from a copy; the same of y <- 2 x - y.
 * Takes over the views. */
static void
check_overlapping (const tp_tensor *t, tp_tensor *target, tp_tensor *source)
{
  tp_tensor *before = tp_copy (target), *values = tp_copy (source), *as = tp_copy (target), *sum = NULL;
  if (tp_tensor_contiguous (target) && tp_tensor_contiguous (source) && target->dtype == source->dtype
      && tp_same_shape (target, source))
    {
      tp_tensor *double_of = tp_affine (values, 2, 0);
      sum = tp_map2 (TP_SUB, double_of, before);
      tp_tensor_free (double_of);
      CHECK (tp_axpby (2, source, -1, target) == TP_OK);
      tp_tensor *now = tp_copy (target);
      CHECK (!memcmp (tp_f32 (now), tp_f32 (sum), (size_t) tp_tensor_count (now) * sizeof (float)));
      tp_tensor_free (now);
      tp_tensor_free (values);
      values = tp_copy (source); /* as they are after that */
    }
  CHECK (tp_assign (as, values) == TP_OK && tp_assign (target, source) == TP_OK);
  tp_tensor *now = tp_copy (target);
  CHECK (!memcmp (tp_buffer_data (now->buffer), tp_buffer_data (as->buffer),
                  (size_t) tp_tensor_count (now) * tp_dtype_size (now->dtype)));
  CHECK (tp_overlap (target, source) && tp_overlap (t, target));
  tp_tensor *all[] = { target, source, before, values, as, sum, now };
  for (int i = 0; i < 7; i++)
    tp_tensor_free (all[i]);
}

static void
test_overlapping (void)
{
  for (int threads = 1; threads <= 3; threads += 2)
    {
      tp_set_threads (threads);
      tp_tensor *line = counting (1, SHAPE (100000)), *square = counting (2, SHAPE (300, 300));
      tp_tensor *small = counting (1, SHAPE (4)), *pairs = tp_reshape (small, 2, SHAPE (2, 2));
      check_overlapping (small, tp_slice (small, 0, 1, 4, 1), tp_slice (small, 0, 0, 3, 1));
      check_overlapping (line, tp_slice (line, 0, 1, 100000, 1), tp_slice (line, 0, 0, 99999, 1));
      check_overlapping (line, tp_slice (line, 0, 0, 99999, 1), tp_slice (line, 0, 1, 100000, 1));
      check_overlapping (line, tp_slice (line, 0, 0, 100000, 2), tp_slice (line, 0, 50000, 100000, 1));
      check_overlapping (line, tp_tensor_ref (line), tp_slice (line, 0, 7, 8, 1));
      check_overlapping (square, tp_tensor_ref (square), tp_transpose (square, (int[]) { 1, 0 }));
      check_overlapping (square, tp_slice (square, 0, 1, 300, 1), tp_slice (square, 0, 299, 300, 1));
      check_overlapping (square, tp_tensor_ref (square), tp_tensor_ref (square));
      check_overlapping (small, tp_view_complex (pairs), tp_slice (small, 0, 0, 2, 1)); /* c64 from f32 */
      tp_tensor *left = tp_slice (line, 0, 0, 50000, 1), *right = tp_slice (line, 0, 50000, 100000, 1);
      CHECK (!tp_overlap (left, right) && !tp_overlap (line, square));
      tp_tensor *stretched = tp_broadcast_to (small, 2, SHAPE (3, 4));
      CHECK (tp_assign (stretched, small) == TP_BAD_ARGUMENT && strstr (tp_last_message (), "stretched view"));
      CHECK (tp_fill (stretched, 1) == TP_BAD_ARGUMENT);
      tp_tensor *all[] = { line, square, small, pairs, left, right, stretched };
      for (int i = 0; i < 7; i++)
        tp_tensor_free (all[i]);
    }
}

/* Lengths that would overflow. */
static void
test_enormous_views (void)
{
  tp_tensor *t = counting (2, SHAPE (2, 5)), *one = tp_tensor_zeros (TP_F32, 1, SHAPE (1));
  tp_tensor *s = tp_slice (t, 1, 0, 3, INT64_MAX);
  CHECK (s && s->shape[1] == 1 && tp_tensor_count (s) == 2 && tp_tensor_contiguous (t));
  tp_tensor *copy = tp_copy (s), *none = tp_slice (t, 1, 5, 5, INT64_MAX);
  CHECK (tp_f32 (copy)[1] == 5 && none && none->shape[1] == 0);
  CHECK (!tp_broadcast_to (one, 2, SHAPE ((int64_t) 1 << 40, (int64_t) 1 << 40)));
  CHECK (!tp_broadcast_to (one, 1, SHAPE (-1)));
  CHECK (!tp_reshape (t, 3, SHAPE ((int64_t) 1 << 40, (int64_t) 1 << 40, -1)));
  CHECK (!tp_tensor_create (TP_F32, 2, SHAPE ((int64_t) 1 << 40, (int64_t) 1 << 40)));
  CHECK (!tp_tensor_create (TP_F32, 3, SHAPE (0, (int64_t) 1 << 59, (int64_t) 1 << 59)));
  tp_tensor *empty = tp_tensor_create (TP_F32, 3, SHAPE (0, 1 << 13, 1 << 13));
  CHECK (empty && tp_tensor_count (empty) == 0);
  tp_tensor *wide = tp_broadcast_to (one, 1, SHAPE (INT64_MAX / 16));
  const tp_tensor *parts[20];
  for (int i = 0; i < 20; i++)
    parts[i] = wide;
  CHECK (wide && !tp_concatenate (parts, 20, 0) && strstr (tp_last_message (), "too long"));
  tp_tensor *all[] = { t, one, s, copy, none, empty, wide };
  for (int i = 0; i < 7; i++)
    tp_tensor_free (all[i]);
}

static void
test_released_tensors_say_so (void)
{
  int depth = tp_scope_open ();
  tp_tensor *t = counting (1, SHAPE (4));
  tp_scope_close (depth, true);
  CHECK (tp_f32 (t) == NULL);
  CHECK (tp_map (TP_EXP, t) == NULL && strstr (tp_last_message (), "released"));
  CHECK (tp_map2 (TP_ADD, t, t) == NULL && tp_reduce (TP_SUM, t, 1, false) == NULL);
  CHECK (tp_check (t, "x", TP_F32, 1) != TP_OK && tp_copy (t) == NULL);
  tp_tensor_free (t);
}

CHECK_MAIN (test_views, test_complex_views, test_broadcasting, test_reductions,
            test_sum_is_accurate_and_ordered, test_products, test_quantile, test_hostile_shapes,
            test_overlapping, test_enormous_views, test_released_tensors_say_so)
