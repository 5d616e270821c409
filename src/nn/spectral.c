/* spectral.c -- spectral norms of weights by power iteration. */
#include "nn/spectral.h"

#include <math.h>

#include "autograd/tape.h"
#include "core/stop.h"

/* V scaled to length 1 in place; its length before. */
static double
normalise (tp_tensor *v)
{
  int64_t count = tp_tensor_count (v);
  double length = sqrt (tp_dot_f32 (tp_f32 (v), tp_f32 (v), count));
  if (length > 0)
    for (int64_t i = 0; i < count; i++)
      tp_f32 (v)[i] = (float) (tp_f32 (v)[i] / length);
  return length;
}

tp_status
tp_spectral_norm (const tp_tensor *w, tp_tensor *u, int iterations, double *sigma,
                  tp_tensor *left)
{
  if (tp_check (w, "weights", TP_F32, -1) != TP_OK)
    return tp_last_status ();
  if (w->rank < 2 || iterations < 1)
    return tp_fail (TP_BAD_ARGUMENT, "weights, iterations: expected 2 axes or more and 1 iteration "
                    "or more, got %d and %d", w->rank, iterations);
  int64_t o = w->shape[w->rank - 1], rows = o ? tp_tensor_count (w) / o : 0;
  if (tp_check_shape (u, "vector", TP_F32, 1, &o) != TP_OK
      || (left && tp_check_shape (left, "left", TP_F32, 1, &rows) != TP_OK))
    return tp_last_status ();
  if (tp_overlap (u, w))
    return tp_fail (TP_BAD_ARGUMENT, "vector: expected memory of its own, got a view of the weights");
  tp_tensor *matrix = tp_reshape (w, 2, (int64_t[]) { rows, o });
  tp_tensor *column = tp_reshape (u, 2, (int64_t[]) { o, 1 });
  tp_status status = matrix && column ? TP_OK : tp_last_status ();
  for (int i = 0; status == TP_OK && i < iterations; i++)
    { /* v = W u / |W u|, u = W^T v / |W^T v|, sigma_1 = |W^T v| */
      tp_tensor *v = tp_matmul (matrix, false, column, false), *next = NULL;
      if (v)
        {
          normalise (v);
          next = tp_matmul (matrix, true, v, false);
        }
      if (next && !tp_stopped ())
        {
          *sigma = normalise (next);
          status = tp_assign (column, next);
          if (left && status == TP_OK)
            {
              tp_tensor *flat = tp_reshape (v, 1, &rows);
              status = flat ? tp_assign (left, flat) : tp_last_status ();
              tp_tensor_free (flat);
            }
        }
      else
        status = next ? tp_stop_status () : tp_last_status ();
      tp_tensor_free (v);
      tp_tensor_free (next);
    }
  tp_tensor_free (matrix);
  tp_tensor_free (column);
  return status;
}

tp_status
tp_spectral_penalty (tp_tensor *w, tp_tensor *u, double weight, double target, double *sigma)
{
  int64_t o = w->rank ? w->shape[w->rank - 1] : 0, rows = o ? tp_tensor_count (w) / o : 0;
  tp_tensor *left = tp_tensor_create (TP_F32, 1, &rows);
  tp_status status = left ? tp_spectral_norm (w, u, 1, sigma, left) : tp_last_status ();
  if (status == TP_OK)
    { /* d sigma_1 / dW = v u^T */
      tp_tensor *column = tp_reshape (left, 2, (int64_t[]) { rows, 1 });
      tp_tensor *row = tp_reshape (u, 2, (int64_t[]) { 1, o });
      tp_tensor *outer = column && row ? tp_matmul (column, false, row, false) : NULL;
      tp_tensor *scaled = outer ? tp_affine (outer, weight * (*sigma - target), 0) : NULL;
      tp_tensor *shaped = scaled ? tp_reshape (scaled, w->rank, w->shape) : NULL;
      status = tp_accumulate_grad (w, shaped);
      tp_tensor_free (column);
      tp_tensor_free (row);
      tp_tensor_free (outer);
      tp_tensor_free (scaled);
    }
  tp_tensor_free (left);
  return status;
}
