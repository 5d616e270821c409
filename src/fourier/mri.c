/* mri.c -- the masked Fourier transform and its adjoint. */
#include "fourier/mri.h"

#include "autograd/operations.h"
#include "fourier/fft.h"

/* M K in k-space. */
static tp_tensor *
apply_mask (tp_tensor *k, tp_tensor *mask)
{
  return k ? tp_diff_map2 (TP_MUL, k, mask) : NULL;
}

tp_tensor *
tp_mri_forward (tp_tensor *x, tp_tensor *mask)
{
  if (tp_check (x, "x", TP_C64, -1) || tp_check_table (mask, "mask", x))
    return NULL;
  tp_tensor *k = tp_fft2 (x);
  tp_tensor *y = apply_mask (k, mask);
  tp_tensor_free (k);
  return y;
}

tp_tensor *
tp_mri_adjoint (tp_tensor *y, tp_tensor *mask)
{
  if (tp_check (y, "y", TP_C64, -1) || tp_check_table (mask, "mask", y))
    return NULL;
  tp_tensor *k = apply_mask (y, mask);
  tp_tensor *x = k ? tp_ifft2 (k) : NULL;
  tp_tensor_free (k);
  return x;
}
