/* conv_batch_norm.c -- convolution, batch norm, residual and activation as one: what U-nets
 * are made of.
 *
 * With running statistics batch norm is an affine map of each channel, which is folded
 * into the weights, so that one pass does all.  In training its statistics are taken by
 * the convolution while its output is in cache. */
#include "nn/conv_batch_norm.h"

tp_tensor *
tp_conv_batch_norm (tp_tensor *const *x, int count, tp_tensor *w, tp_norm norm, tp_tensor *r,
              tp_conv_options conv, tp_batch_norm_options options)
{
  tp_tensor *const parameters[] = { w, norm.gamma, norm.beta, r };
  if (options.training || tp_tape_wants (parameters, 4) || tp_tape_wants (x, count))
    {
      conv.slope = 1;
      tp_moments moments = { 0 };
      tp_tensor *z = tp_conv_moments (x, count, w, options.training ? &moments : NULL, conv);
      tp_tensor *y = z ? tp_batch_norm (z, norm, r, &moments, options) : NULL;
      tp_moments_free (&moments);
      tp_tensor_free (z);
      return y;
    }
  if (tp_check (w, "weights", TP_F32, 4) != TP_OK)
    return NULL;
  tp_tensor *y = NULL;
  tp_tensor *scale = tp_tensor_create (TP_F32, 1, &w->shape[3]);
  tp_tensor *shift = tp_tensor_create (TP_F32, 1, &w->shape[3]);
  conv.slope = options.slope;
  if (scale && shift && tp_batch_norm_fold (norm, options.epsilon, scale, shift) == TP_OK)
    y = tp_conv_forward (x, count, w, scale, shift, r, NULL, conv, true);
  tp_tensor_free (scale);
  tp_tensor_free (shift);
  return y;
}
