/* wavelet.c -- orthonormal wavelets of square images, by GSL. */
#include "image/wavelet.h"

#include <stdlib.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_wavelet2d.h>

#include "autograd/operations.h"

static float *
numbers (const tp_tensor *t)
{
  return t->dtype == TP_C64 ? (float *) tp_c64 (t) : tp_f32 (t);
}

static tp_tensor *
transform (const tp_tensor *x, int taps, bool inverse)
{
  if (!x || (x->dtype != TP_F32 && x->dtype != TP_C64) || x->rank != 2)
    return tp_fail (TP_BAD_SHAPE, "x: expected an image (rows columns)"), NULL;
  size_t n = (size_t) x->shape[0];
  if (x->shape[0] != x->shape[1] || n < 2 || n > 32768 || (n & (n - 1)))
    return tp_fail (TP_BAD_SHAPE, "x: expected as many rows as columns, a power of two, got %ld x %ld",
                    (long) x->shape[0], (long) x->shape[1]), NULL;
  if (taps < 4 || taps > 20 || taps % 2)
    return tp_fail (TP_BAD_ARGUMENT, "taps: expected 4, 6, ..., 20, got %d", taps), NULL;

  /* GSL would end the program where memory is short. */
  gsl_error_handler_t *before = gsl_set_error_handler_off ();
  tp_tensor *source = tp_contiguous (x);
  tp_tensor *result = tp_tensor_create (x->dtype, 2, x->shape);
  gsl_wavelet *wavelet = gsl_wavelet_alloc (gsl_wavelet_daubechies, (size_t) taps);
  gsl_wavelet_workspace *workspace = gsl_wavelet_workspace_alloc (n);
  double *plane = malloc (n * n * sizeof *plane);
  if (source && result && wavelet && workspace && plane)
    {
      /* Real and imaginary parts are images of their own. */
      int parts = x->dtype == TP_C64 ? 2 : 1;
      const float *values = numbers (source);
      float *coefficients = numbers (result);
      for (int part = 0; part < parts; part++)
        {
          for (size_t i = 0; i < n * n; i++)
            plane[i] = values[i * (size_t) parts + (size_t) part];
          gsl_wavelet2d_nstransform (wavelet, plane, n, n, n,
                                     inverse ? gsl_wavelet_backward : gsl_wavelet_forward, workspace);
          for (size_t i = 0; i < n * n; i++)
            coefficients[i * (size_t) parts + (size_t) part] = (float) plane[i];
        }
    }
  else
    {
      tp_fail (TP_NO_MEMORY, "no memory for wavelets of %zu x %zu pixels", n, n);
      tp_tensor_free (result);
      result = NULL;
    }
  tp_tensor_free (source);
  free (plane);
  if (workspace)
    gsl_wavelet_workspace_free (workspace);
  if (wavelet)
    gsl_wavelet_free (wavelet);
  gsl_set_error_handler (before);
  return result;
}

/* Orthonormal: the inverse is the adjoint. */
static tp_status
backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_wavelet (r->output->grad, (int) r->numbers[0],
                                                       r->numbers[1] == 0));
}

tp_tensor *
tp_wavelet (tp_tensor *x, int taps, bool inverse)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .numbers = { taps, inverse },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED, .twice = true };
  return tp_recorded (transform (x, taps, inverse), &r, backward);
}
