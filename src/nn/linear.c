/* linear.c -- the fully connected layer, from the tape's own operations. */
#include "autograd/operations.h"
#include "nn/layers.h"

tp_tensor *
tp_linear (tp_tensor *x, tp_tensor *w, tp_tensor *b, float slope)
{
  if (tp_check (w, "weights", TP_F32, 2) != TP_OK
      || tp_check_shape (x, "x", TP_F32, 2, (int64_t[]) { -1, w->shape[0] }) != TP_OK
      || (b && tp_check_shape (b, "bias", TP_F32, 1, (int64_t[]) { w->shape[1] }) != TP_OK))
    return NULL;
  tp_tensor *y = tp_diff_matmul (x, false, w, false);
  if (y && b)
    {
      tp_tensor *product = y;
      y = tp_diff_map2 (TP_ADD, product, b);
      tp_tensor_free (product);
    }
  if (y && slope != 1)
    {
      tp_tensor *sum = y;
      y = tp_leaky_relu (sum, slope);
      tp_tensor_free (sum);
    }
  return y;
}
