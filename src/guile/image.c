/* image.c -- resampling, contrast, phase and quality of images for Scheme. */
#include "guile/binding.h"

#include "image/modulate.h"
#include "image/pixels.h"
#include "image/quality.h"
#include "image/reorient.h"
#include "image/resample.h"
#include "image/tone.h"
#include "image/wavelet.h"

static SCM
image_resample (SCM slab, SCM map, SCM rows, SCM columns, SCM samples)
{
  static const char name[] = "image-resample";
  double m[6];
  if (scm_ilength (map) != 6)
    tp_raise_argument (name, "map: expected a list of 6 numbers");
  for (int i = 0; i < 6; i++, map = scm_cdr (map))
    m[i] = tp_to_double (name, "map", scm_car (map));
  int64_t h = tp_to_int (name, "rows", rows, 1, 65536);
  int64_t w = tp_to_int (name, "columns", columns, 1, 65536);
  int s = (int) tp_to_int (name, "samples", samples, 1, 16);
  SCM result = tp_from_tensor (name, tp_resample (tp_to_tensor (name, "slab", slab), m, h, w, s));
  scm_remember_upto_here_1 (slab);
  return result;
}

static SCM
image_reorient (SCM tensor, SCM permutation, SCM reverse)
{
  static const char name[] = "image-reorient";
  tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  int order[TP_MAX_RANK];
  bool backwards[TP_MAX_RANK];
  if (scm_ilength (permutation) != t->rank || scm_ilength (reverse) != t->rank)
    tp_raise_argument (name, "permutation, reverse: expected lists of %d", t->rank);
  for (int i = 0; i < t->rank; i++)
    {
      order[i] = (int) tp_to_int (name, "permutation", scm_car (permutation), 0, TP_MAX_RANK - 1);
      backwards[i] = scm_is_true (scm_car (reverse));
      permutation = scm_cdr (permutation);
      reverse = scm_cdr (reverse);
    }
  SCM result = tp_from_tensor (name, tp_reorient (t, order, backwards));
  scm_remember_upto_here_1 (tensor);
  return result;
}

static SCM
image_tone (SCM images, SCM knots, SCM top)
{
  static const char name[] = "image-tone";
  double t = tp_to_double (name, "top", top);
  SCM result = tp_from_tensor (name, tp_tone (tp_to_tensor (name, "images", images),
                                              tp_to_tensor (name, "knots", knots), t));
  scm_remember_upto_here_2 (images, knots);
  return result;
}

static SCM
image_modulate (SCM images, SCM coefficients)
{
  static const char name[] = "image-modulate";
  SCM result
    = tp_from_tensor (name, tp_modulate (tp_to_tensor (name, "images", images),
                                         tp_to_tensor (name, "coefficients", coefficients)));
  scm_remember_upto_here_2 (images, coefficients);
  return result;
}

static SCM
compare (const char *name, SCM image, SCM truth,
         tp_status (*measure) (const tp_tensor *, const tp_tensor *, double *))
{
  double result;
  tp_require (name, measure (tp_to_tensor (name, "image", image),
                             tp_to_tensor (name, "truth", truth), &result));
  scm_remember_upto_here_2 (image, truth);
  return scm_from_double (result);
}

static SCM
image_psnr (SCM image, SCM truth)
{
  return compare ("psnr", image, truth, tp_psnr);
}

static SCM
image_ssim (SCM image, SCM truth)
{
  return compare ("ssim", image, truth, tp_ssim);
}

static SCM
wavelet_transform (SCM x, SCM taps, SCM inverse)
{
  static const char name[] = "wavelet-transform";
  int count = (int) tp_to_int (name, "taps", taps, 4, 20);
  bool backwards = !SCM_UNBNDP (inverse) && scm_is_true (inverse);
  SCM result = tp_from_tensor (name, tp_wavelet (tp_to_tensor (name, "x", x), count, backwards));
  scm_remember_upto_here_1 (x);
  return result;
}

static SCM
image_pixels (SCM image, SCM low, SCM high, SCM colours)
{
  static const char name[] = "image-pixels";
  const tp_tensor *t = tp_to_tensor (name, "image", image);
  double l = tp_to_double (name, "low", low), h = tp_to_double (name, "high", high);
  if (!scm_is_vector (colours) || scm_c_vector_length (colours) != 256)
    tp_raise_argument (name, "colours: expected a vector of 256 colours");
  uint32_t table[256];
  for (size_t i = 0; i < 256; i++)
    table[i] = (uint32_t) tp_to_int (name, "colours", scm_c_vector_ref (colours, i), 0, UINT32_MAX);
  if (t->rank < 2)
    tp_raise_argument (name, "image: expected (rows columns) or (rows columns 3)");
  SCM pixels = scm_c_make_bytevector (4 * (size_t) t->shape[0] * (size_t) t->shape[1]);
  tp_require (name, tp_pixels (t, l, h, table, (uint32_t *) SCM_BYTEVECTOR_CONTENTS (pixels)));
  scm_remember_upto_here_2 (image, pixels);
  return pixels;
}

void
tp_init_image (void)
{
  tp_define ("image-resample", 5, 0, image_resample, "slab map rows columns samples",
             "Image (ROWS COLUMNS) whose pixel (r, c) is the mean over the slices of SLAB, f32\n"
             "(slices rows columns), at row m0 r + m1 c + m2 and column m3 r + m4 c + m5, with MAP the\n"
             "list (m0 ... m5), by cubic convolution; 0 outside.  SAMPLES x SAMPLES places a pixel are\n"
             "averaged where the map shrinks.\n"
             "Example: (image-resample (random-normal '(1 16 16) 1) '(2 0 1/2 0 2 1/2) 8 8 2)");
  tp_define ("image-reorient", 3, 0, image_reorient, "tensor permutation reverse",
             "A copy of TENSOR, f32, whose axis i is axis p_i of TENSOR, backwards where r_i is true,\n"
             "with the lists p of PERMUTATION and r of REVERSE.\n"
             "Example: (image-reorient (tensor-abs image) '(0 1) '(#t #f))");
  tp_define ("image-tone", 3, 0, image_tone, "images knots top",
             "IMAGES, f32 (n rows columns), each through a smooth curve given by its row of KNOTS, f32\n"
             "(n k): the values at intensities 0 to TOP in k - 1 equal steps.  Results are at least 0.\n"
             "Example: (image-tone (random-uniform '(2 8 8) 1) (list->tensor '(0 1/2 1 0 1/4 1) '(2 3)) 1)");
  tp_define ("image-modulate", 2, 0, image_modulate, "images coefficients",
             "IMAGES m, f32 (n rows columns), as c64 m exp(sum_pq c(p,q) cos(pi p y) cos(pi q x)), with\n"
             "x and y from 0 to 1 and COEFFICIENTS c, c64 (n P Q): log gain and phase in radians.\n"
             "Example: (image-modulate (tensor-abs (random-normal '(2 8 8) 1)) (random-normal '(2 3 3) 2 0 'c64))");
  tp_define ("image-pixels", 4, 0, image_pixels, "image low high colours",
             "IMAGE, f32 (rows columns), as a bytevector of words #xFFrrggbb, with LOW the first of the\n"
             "vector COLOURS and HIGH the last (see `colour-words'), or f32 (rows columns 3), red, green\n"
             "and blue from LOW to HIGH.\n"
             "Example: (image-pixels (tensor-abs image) 0 1 (colour-words 'heat))");
  tp_define ("image-psnr", 2, 0, image_psnr, "image truth",
             "Peak signal to noise in dB of IMAGE, f32 (rows columns), with the data range (greatest\n"
             "less least value) of TRUTH.  `psnr' also takes complex images and batches.\n"
             "Example: (image-psnr (tensor-abs image) (tensor-abs image)) => +inf.0");
  tp_define ("image-ssim", 2, 0, image_ssim, "image truth",
             "Structural similarity of IMAGE and TRUTH, f32 (rows columns), as `ssim' describes it.\n"
             "Example: (let ((scan (tensor-abs scan))) (image-ssim scan scan)) => 1.0");
  tp_define ("wavelet-transform", 2, 1, wavelet_transform, "x taps inverse?",
             "The coefficients of the image X, f32 or c64 (n n), n a power of two, in Daubechies's\n"
             "orthonormal wavelets with TAPS coefficients, 4, 6, ..., 20; with INVERSE? the image of\n"
             "coefficients X.  Periodic; the level of m x m pixels has indices m to 2 m - 1.\n"
             "Source: Daubechies, Comm. Pure Appl. Math. 41 (1988).\n"
             "Example: (wavelet-transform (random-normal '(64 64) 1) 4)");
  tp_define_recorded ("image-resample image-reorient image-tone image-modulate wavelet-transform");
  tp_define_reading ("image-pixels");
}
