/* fourier.c -- the Fourier transform and the MRI operator for Scheme. */
#include "guile/binding.h"

#include "fourier/coils.h"
#include "fourier/espirit.h"
#include "fourier/fft.h"
#include "fourier/mri.h"
#include "fourier/row_eigen.h"

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

static SCM
coil_images (SCM x, SCM s)
{
  return apply_table ("coil-images", "x", x, "s", s, tp_coil_images);
}

static SCM
coil_combine (SCM y, SCM s)
{
  return apply_table ("coil-combine", "y", y, "s", s, tp_coil_combine);
}

static SCM
sense_normal (SCM x, SCM s, SCM table)
{
  const char *me = "sense-normal";
  tp_tensor *images = tp_to_tensor (me, "x", x), *maps = tp_to_tensor (me, "s", s);
  SCM result = tp_from_tensor (me, tp_sense_normal (images, maps, tp_to_tensor (me, "table", table)));
  scm_remember_upto_here (x, s, table);
  return result;
}

static SCM
espirit_maps (SCM calibration, SCM shape, SCM kernel, SCM threshold, SCM sets)
{
  const char *me = "espirit-maps";
  int64_t lengths[TP_MAX_RANK];
  if (tp_to_shape (me, "shape", shape, lengths, 1) != 2)
    tp_raise_argument (me, "shape: expected (rows columns)");
  tp_tensor *maps, *values, *y = tp_to_tensor (me, "calibration", calibration);
  tp_require (me, tp_espirit (y, (int) tp_to_int (me, "kernel", kernel, 2, 32),
                              tp_to_double (me, "threshold", threshold), lengths[0], lengths[1],
                              (int) tp_to_int (me, "sets", sets, 1, 4096), &maps, &values));
  scm_remember_upto_here_1 (calibration);
  SCM first = tp_from_tensor (me, maps);
  return scm_values_2 (first, tp_from_tensor (me, values));
}

static SCM
row_eigen (SCM s, SCM table)
{
  const char *me = "row-eigen";
  tp_tensor *values, *vectors, *maps = tp_to_tensor (me, "s", s);
  tp_require (me, tp_row_eigen (maps, tp_to_tensor (me, "table", table), &values, &vectors));
  scm_remember_upto_here_2 (s, table);
  SCM first = tp_from_tensor (me, values);
  return scm_values_2 (first, tp_from_tensor (me, vectors));
}

static SCM
row_multiply (SCM x, SCM vectors, SCM weights)
{
  const char *me = "row-multiply";
  tp_tensor *images = tp_to_tensor (me, "x", x), *u = tp_to_tensor (me, "vectors", vectors);
  SCM y = tp_from_tensor (me, tp_row_multiply (images, u, tp_to_tensor (me, "weights", weights)));
  scm_remember_upto_here (x, vectors, weights);
  return y;
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
  tp_define ("coil-images", 2, 0, coil_images, "x s",
             "s_c X: the images X, c64 (... H W), as K coils see them, (... K H W), of the sensitivities S, c64 (K H W).\n"
             "Example: (tensor-shape (coil-images image (tensor-zeros '(2 8 8) 'c64))) => (2 8 8)");
  tp_define ("coil-combine", 2, 0, coil_combine, "y s",
             "sum_c conj(s_c) Y_c, the adjoint of `coil-images': of images of coils, c64 (... K H W), one each.\n"
             "Example: (tensor-shape (coil-combine (tensor-zeros '(5 2 8 8) 'c64) (tensor-zeros '(2 8 8) 'c64))) => (5 8 8)");
  tp_define ("sense-normal", 3, 0, sense_normal, "x s table",
             "sum_c conj(s_c) F^H diag(TABLE) F s_c X: the normal operator of several coils with the sensitivities\n"
             "S, c64 (K H W), on X, c64 (... H W).  TABLE is f32 (W) or (H W) over centred k-space.\n"
             "Example: (sense-normal image (tensor-zeros '(2 8 8) 'c64) (random-mask 8 #:acceleration 2))");
  tp_define ("espirit-maps", 5, 0, espirit_maps, "calibration shape kernel threshold sets",
             "ESPIRiT as `espirit' has it, without cropping, from CALIBRATION, c64 (K h w), alone: two values, maps\n"
             "c64 (SETS K H W) with SHAPE (H W), and eigenvalues f32 (SETS H W).\n"
             "Example: (espirit-maps (random-normal '(2 12 12) 1 0 'c64) '(16 16) 4 0.03 1)");
  tp_define ("row-eigen", 2, 0, row_eigen, "s table",
             "Two values: the eigenvalues of sum_c conj(s_c) F^H diag(TABLE) F s_c in each row of images, f32 (H W), and\n"
             "its eigenvectors, c64 (H W W), rows of the last two axes, for the sensitivities S, c64 (K H W), and TABLE, f32\n"
             "(W) over centred columns.\n"
             "Example: (row-eigen (random-normal '(2 8 8) 1 0 'c64) (random-mask 8 #:acceleration 2))");
  tp_define ("row-multiply", 3, 0, row_multiply, "x vectors weights",
             "X, c64 (C H W), times the matrices with the eigenvectors VECTORS, c64 (H W W), of `row-eigen', and\n"
             "the eigenvalues WEIGHTS, f32 (H W).\n"
             "Example: (call-with-values (lambda () (row-eigen (random-normal '(2 8 8) 1 0 'c64) (random-mask 8)))\n"
             "           (lambda (values vectors) (row-multiply (random-normal '(1 8 8) 2 0 'c64) vectors values)))");
  tp_define_recorded ("fft2 ifft2 fourier-multiply mri-forward mri-adjoint coil-images coil-combine sense-normal");
}
