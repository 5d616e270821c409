/* ms_ssim.c -- multi-scale structural similarity, to be learned by.
 *
 * Made of operations that the tape knows: blurs are convolutions, scales are halved by
 * average pooling. */
#include <math.h>

#include "autograd/operations.h"
#include "nn/conv.h"
#include "nn/layers.h"

enum { WINDOW = 11, SCALES = 5, MOST = 256 };

/* The exponents of Wang, Simoncelli and Bovik (2003), table 1, coarsest last. */
static const double exponents[SCALES] = { 0.0448, 0.2856, 0.3001, 0.2363, 0.1333 };

/* Tensors on the way, freed together. */
typedef struct {
  tp_tensor *held[MOST];
  int count;
  bool failed;
} arena;

static tp_tensor *
hold (arena *a, tp_tensor *t)
{
  if (!t)
    a->failed = true;
  else
    a->held[a->count++] = t;
  return t;
}

static tp_tensor *
combine (arena *a, tp_binary operation, tp_tensor *x, tp_tensor *y)
{
  return a->failed ? NULL : hold (a, tp_diff_map2 (operation, x, y));
}

static tp_tensor *
affine (arena *a, tp_tensor *x, double slope, double shift)
{
  return a->failed ? NULL : hold (a, tp_diff_affine (x, slope, shift));
}

/* Gaussian weights of standard deviation 1.5, sum 1, along rows (axis 0) or columns (1). */
static tp_tensor *
gaussian_window (arena *a, int axis)
{
  tp_tensor *w = hold (a, tp_tensor_create (TP_F32, 4, (int64_t[]) { axis ? 1 : WINDOW, axis ? WINDOW : 1, 1, 1 }));
  if (!w)
    return NULL;
  double sum = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < WINDOW; i++)
      {
        double d = i - WINDOW / 2, g = exp (-d * d / (2 * 1.5 * 1.5));
        if (pass == 0)
          sum += g;
        else
          tp_f32 (w)[i] = (float) (g / sum);
      }
  return w;
}

static tp_tensor *
blur (arena *a, tp_tensor *const windows[2], tp_tensor *x)
{
  const tp_conv_options options = { .stride = 1, .padding = 0, .slope = 1 };
  for (int axis = 0; axis < 2 && !a->failed; axis++)
    x = hold (a, tp_conv (&x, 1, windows[axis], NULL, NULL, options));
  return a->failed ? NULL : x;
}

static tp_tensor *
image_means (arena *a, tp_tensor *x)
{
  /* Positive, since a root of it is taken: what is below is as good as nothing. */
  tp_tensor *mean = a->failed ? NULL : hold (a, tp_diff_reduce (TP_MEAN, x, 0xe, false));
  tp_tensor *positive = a->failed ? NULL : hold (a, tp_leaky_relu (mean, 0));
  return affine (a, positive, 1, 1e-6);
}

/* Means over each image of the contrast and structure term and, where L is wanted, of its
 * product with the luminance term. */
static void
similarity (arena *a, tp_tensor *const windows[2], tp_tensor *x, tp_tensor *y, tp_tensor *c1,
            tp_tensor *c2, tp_tensor **cs, tp_tensor **full)
{
  tp_tensor *mx = blur (a, windows, x), *my = blur (a, windows, y);
  tp_tensor *mxx = combine (a, TP_MUL, mx, mx), *myy = combine (a, TP_MUL, my, my);
  tp_tensor *mxy = combine (a, TP_MUL, mx, my);
  tp_tensor *vx = combine (a, TP_SUB, blur (a, windows, combine (a, TP_MUL, x, x)), mxx);
  tp_tensor *vy = combine (a, TP_SUB, blur (a, windows, combine (a, TP_MUL, y, y)), myy);
  tp_tensor *vxy = combine (a, TP_SUB, blur (a, windows, combine (a, TP_MUL, x, y)), mxy);
  tp_tensor *structure = combine (a, TP_DIV, combine (a, TP_ADD, affine (a, vxy, 2, 0), c2),
                                  combine (a, TP_ADD, combine (a, TP_ADD, vx, vy), c2));
  *cs = image_means (a, structure);
  if (full)
    {
      tp_tensor *luminance = combine (a, TP_DIV, combine (a, TP_ADD, affine (a, mxy, 2, 0), c1),
                                      combine (a, TP_ADD, combine (a, TP_ADD, mxx, myy), c1));
      *full = image_means (a, combine (a, TP_MUL, luminance, structure));
    }
}

/* (N) the squares of FACTOR times RANGE, as (N 1 1 1). */
static tp_tensor *
constant (arena *a, const tp_tensor *range, double factor)
{
  tp_tensor *c = hold (a, tp_tensor_create (TP_F32, 4, (int64_t[]) { range->shape[0], 1, 1, 1 }));
  for (int64_t n = 0; c && n < range->shape[0]; n++)
    tp_f32 (c)[n] = (float) pow (factor * tp_f32 (range)[n], 2);
  return c;
}

static int
scales_that_fit (const int64_t shape[3])
{
  int scales = 0;
  for (int64_t h = shape[1], w = shape[2]; scales < SCALES && h >= WINDOW && w >= WINDOW; h /= 2, w /= 2)
    {
      scales++;
      if (h % 2 || w % 2)
        break;
    }
  return scales;
}

tp_tensor *
tp_ms_ssim (tp_tensor *images, tp_tensor *truths, const tp_tensor *range)
{
  if (tp_check (images, "images", TP_F32, 3) != TP_OK
      || tp_check_shape (truths, "truths", TP_F32, 3, images->shape) != TP_OK
      || tp_check_shape (range, "range", TP_F32, 1, images->shape) != TP_OK
      || tp_tape_constant (range, "range") != TP_OK)
    return NULL;
  for (int64_t n = 0; n < range->shape[0]; n++)
    if (!(tp_f32 (range)[n] > 0) || isinf (tp_f32 (range)[n]))
      return tp_fail (TP_BAD_VALUE, "range: expected positive numbers, got %g", tp_f32 (range)[n]), NULL;
  int scales = scales_that_fit (images->shape);
  if (!scales)
    return tp_fail (TP_BAD_SHAPE, "images: expected %d x %d pixels or more, got %ld x %ld", WINDOW, WINDOW,
                    (long) images->shape[1], (long) images->shape[2]), NULL;

  arena a = { .count = 0 };
  const int64_t nhwc[4] = { images->shape[0], images->shape[1], images->shape[2], 1 };
  tp_tensor *windows[2] = { gaussian_window (&a, 0), gaussian_window (&a, 1) };
  tp_tensor *c1 = constant (&a, range, 0.01), *c2 = constant (&a, range, 0.03);
  tp_tensor *x = a.failed ? NULL : hold (&a, tp_diff_reshape (images, 4, nhwc));
  tp_tensor *y = a.failed ? NULL : hold (&a, tp_diff_reshape (truths, 4, nhwc));
  double total = 0;
  for (int s = 0; s < scales; s++)
    total += exponents[s];
  /* The product of powers, by its logarithm. */
  tp_tensor *sum = NULL;
  for (int s = 0; s < scales && !a.failed; s++)
    {
      bool last = s == scales - 1;
      tp_tensor *cs, *full = NULL;
      similarity (&a, windows, x, y, c1, c2, &cs, last ? &full : NULL);
      tp_tensor *term = a.failed ? NULL : hold (&a, tp_diff_map (TP_LOG, last ? full : cs));
      term = affine (&a, term, exponents[s] / total, 0);
      sum = sum ? combine (&a, TP_ADD, sum, term) : term;
      if (!last && !a.failed)
        {
          x = hold (&a, tp_average_pool (x, 2));
          y = a.failed ? NULL : hold (&a, tp_average_pool (y, 2));
        }
    }
  tp_tensor *result = a.failed ? NULL : tp_diff_map (TP_EXP, sum);
  for (int i = 0; i < a.count; i++)
    tp_tensor_free (a.held[i]);
  return result;
}
