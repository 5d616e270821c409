/* fourier.c -- the Fourier transform and the MRI operator for Scheme. */
#include "guile/binding.h"

#include "fourier/fft.h"
#include "fourier/mri.h"

static SCM
fft2 (SCM x)
{
  SCM k = tp_from_tensor ("fft2", tp_fft2 (tp_to_tensor ("fft2", "x", x)));
  scm_remember_upto_here_1 (x);
  return k;
}

static SCM
ifft2 (SCM k)
{
  SCM x = tp_from_tensor ("ifft2", tp_ifft2 (tp_to_tensor ("ifft2", "k", k)));
  scm_remember_upto_here_1 (k);
  return x;
}

/* A primitive NAME (X, TABLE) of two tensors, called LEFT and RIGHT. */
static SCM
apply_table (const char *name, const char *left, SCM x, const char *right, SCM table,
             tp_tensor *(*function) (tp_tensor *, tp_tensor *))
{
  tp_tensor *a = tp_to_tensor (name, left, x), *b = tp_to_tensor (name, right, table);
  SCM result = tp_from_tensor (name, function (a, b));
  scm_remember_upto_here_2 (x, table);
  return result;
}

static SCM
fourier_multiply (SCM x, SCM table)
{
  return apply_table ("fourier-multiply", "x", x, "table", table, tp_fourier_multiply);
}

static SCM
mri_forward (SCM x, SCM mask)
{
  return apply_table ("mri-forward", "x", x, "mask", mask, tp_mri_forward);
}

static SCM
mri_adjoint (SCM y, SCM mask)
{
  return apply_table ("mri-adjoint", "y", y, "mask", mask, tp_mri_adjoint);
}

void
tp_init_fourier (void)
{
  tp_define ("fft2", 1, 0, fft2, "x",
             "The centred, orthonormal two-dimensional Fourier transform F of X, c64 (... H W),\n"
             "over its last two axes: the origins of image and k-space are in the middle.\n"
             "Example: (tensor-dtype (fft2 image)) => c64");
  tp_define ("ifft2", 1, 0, ifft2, "k",
             "The inverse, and adjoint, F^H of `fft2': from centred k-space K, c64 (... H W), to images.\n"
             "Example: (ifft2 (fft2 image))");
  tp_define ("fourier-multiply", 2, 0, fourier_multiply, "x table",
             "F^H diag(TABLE) F X for X c64 (... H W).  TABLE is f32 over centred k-space: (W),\n"
             "(H W), or of X's shape with a table for every image.  X may be given as its real view, f32\n"
             "(... H W 2), which comes back as one.\n"
             "Example: (fourier-multiply image (tensor-zeros '(8 8)))");
  tp_define ("mri-forward", 2, 0, mri_forward, "x mask",
             "M F X (equation 5): the k-space of X, c64 (... H W), where MASK, f32 (W) or (H W), is not 0.\n"
             "Example: (mri-forward image (random-mask 8 #:acceleration 2))");
  tp_define ("mri-adjoint", 2, 0, mri_adjoint, "y mask",
             "F^H M Y: the zero-filled image of the k-space Y, c64 (... H W).\n"
             "Example: (mri-adjoint image (random-mask 8 #:acceleration 2))");
  tp_define_recorded ("fft2 ifft2 fourier-multiply mri-forward mri-adjoint");
}
