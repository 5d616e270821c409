/* fourier.c -- the Fourier transform and the MRI operator for Scheme. */
#include "guile/binding.h"

#include "fourier/coils.h"
#include "fourier/espirit.h"
#include "fourier/fft.h"
#include "fourier/mri.h"
#include "fourier/nufft.h"
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
nufft_forward (SCM x, SCM trajectory)
{
  return apply_table ("nufft-forward", "x", x, "trajectory", trajectory, tp_nufft_forward);
}

/* Sizes that images can have. */
static int64_t
to_length (const char *name, const char *argument, SCM object)
{
  return tp_to_int (name, argument, object, 1, 1 << 24);
}

static SCM
nufft_adjoint (SCM y, SCM trajectory, SCM rows, SCM columns)
{
  const char *name = "nufft-adjoint";
  int64_t h = to_length (name, "rows", rows), w = to_length (name, "columns", columns);
  SCM x = tp_from_tensor (name, tp_nufft_adjoint (tp_to_tensor (name, "y", y),
                                                  tp_to_tensor (name, "trajectory", trajectory), h, w));
  scm_remember_upto_here_2 (y, trajectory);
  return x;
}

static SCM
nufft_density (SCM trajectory, SCM rows, SCM columns, SCM steps)
{
  const char *name = "nufft-density";
  int64_t h = to_length (name, "rows", rows), w = to_length (name, "columns", columns);
  int count = (int) tp_to_int (name, "steps", steps, 0, 100000);
  SCM weights = tp_from_tensor (name, tp_nufft_density (tp_to_tensor (name, "trajectory", trajectory), h,
                                                        w, count));
  scm_remember_upto_here_1 (trajectory);
  return weights;
}

static SCM
toeplitz_table (SCM trajectory, SCM weights, SCM rows, SCM columns)
{
  const char *name = "toeplitz-table";
  int64_t h = to_length (name, "rows", rows), w = to_length (name, "columns", columns);
  SCM table = tp_from_tensor (name, tp_toeplitz_table (tp_to_tensor (name, "trajectory", trajectory),
                                                       tp_to_tensor_or_null (name, "weights", weights), h,
                                                       w));
  scm_remember_upto_here_2 (trajectory, weights);
  return table;
}

static SCM
toeplitz_multiply (SCM x, SCM table)
{
  return apply_table ("toeplitz-multiply", "x", x, "table", table, tp_toeplitz_multiply);
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
espirit_maps (SCM calibration, SCM shape, SCM kernel, SCM threshold)
{
  const char *me = "espirit-maps";
  int64_t lengths[TP_MAX_RANK];
  if (tp_to_shape (me, "shape", shape, lengths, 1) != 2)
    tp_raise_argument (me, "shape: expected (rows columns)");
  tp_tensor *maps, *values, *y = tp_to_tensor (me, "calibration", calibration);
  tp_require (me, tp_espirit (y, (int) tp_to_int (me, "kernel", kernel, 2, 32),
                              tp_to_double (me, "threshold", threshold), lengths[0], lengths[1],
                              &maps, &values));
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
  tp_define ("nufft-forward", 2, 0, nufft_forward, "x trajectory",
             "The Fourier transform of X, c64 (... H W), at the points of TRAJECTORY, f32 (P ... 2): their\n"
             "coordinates along rows and columns of centred k-space in units of 1 / field of view, up to half\n"
             "of H and W.  c64 (... P ...), scaled as `fft2', whose values it has at whole numbers; exact\n"
             "to about 2e-6.  Source: Barnett, Magland, af Klinteberg 2019.\n"
             "Example: (tensor-shape (nufft-forward image (radial-trajectory 5 8))) => (5 8)");
  tp_define ("nufft-adjoint", 4, 0, nufft_adjoint, "y trajectory rows columns",
             "The adjoint of `nufft-forward': from Y, c64 (... P ...), a number for each point of TRAJECTORY,\n"
             "f32 (P ... 2), to images of ROWS x COLUMNS, c64 (... ROWS COLUMNS).\n"
             "Example: (tensor-shape (nufft-adjoint (tensor-zeros '(3 5 8) 'c64) (radial-trajectory 5 8) 16 16))\n"
             "         => (3 16 16)");
  tp_define ("nufft-density", 4, 0, nufft_density, "trajectory rows columns steps",
             "How much of k-space each point of TRAJECTORY, f32 (P ... 2), stands for, in units of\n"
             "1 / field of view each way: f32 (P ...), by STEPS steps of Pipe and Menon's iteration, for images of\n"
             "ROWS x COLUMNS.  See `density-compensation'.\n"
             "Example: (tensor-shape (nufft-density (radial-trajectory 5 8) 8 8 20)) => (5 8)");
  tp_define ("toeplitz-table", 4, 0, toeplitz_table, "trajectory weights rows columns",
             "For `toeplitz-multiply': A^H diag(WEIGHTS) A of the transform A at TRAJECTORY's points, f32\n"
             "(P ... 2), over images of ROWS x COLUMNS.  WEIGHTS: f32 (P ...), or #f for 1.\n"
             "Example: (tensor-shape (toeplitz-table (radial-trajectory 5 8) #f 8 8)) => (16 16)");
  tp_define ("toeplitz-multiply", 2, 0, toeplitz_multiply, "x table",
             "A^H diag(w) A X for X, c64 (... H W), by the TABLE of `toeplitz-table': two transforms of twice\n"
             "the size, however many points there are.  Source: Fessler et al. 2005.\n"
             "Example: (toeplitz-multiply image (toeplitz-table (radial-trajectory 5 8) #f 8 8))");
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
  tp_define ("espirit-maps", 4, 0, espirit_maps, "calibration shape kernel threshold",
             "ESPIRiT as `espirit' has it, without cropping, from CALIBRATION, c64 (K h w), alone: two values, maps\n"
             "c64 (K H W) with SHAPE (H W), and eigenvalues f32 (H W).\n"
             "Example: (espirit-maps (random-normal '(2 12 12) 1 0 'c64) '(16 16) 4 0.03)");
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
  tp_define_recorded ("fft2 ifft2 fourier-multiply mri-forward mri-adjoint nufft-forward nufft-adjoint "
                      "toeplitz-multiply coil-images coil-combine sense-normal");
}
