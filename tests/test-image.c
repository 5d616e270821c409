/* test-image.c -- resampling, tone curves, phase, orientation, quality. */
#include <string.h>

#include "check.h"
#include "image/modulate.h"
#include "image/quality.h"
#include "image/reorient.h"
#include "image/resample.h"
#include "image/tone.h"
#include "image/wavelet.h"
#include "core/threads.h"

static tp_tensor *
make (int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  for (int64_t i = 0; i < tp_tensor_count (t); i++)
    tp_f32 (t)[i] = (float) ((i * 37) % 101);
  return t;
}

static void
test_resample_whole_pixels (void)
{
  tp_tensor *slab = make (3, (int64_t[]) { 1, 6, 9 });
  /* The identity, then a quarter turn, are exact. */
  tp_tensor *same = tp_resample (slab, (double[]) { 1, 0, 0, 0, 1, 0 }, 6, 9, 1);
  CHECK (!memcmp (tp_f32 (same), tp_f32 (slab), 54 * sizeof (float)));
  tp_tensor *turned = tp_resample (slab, (double[]) { 0, 1, 0, -1, 0, 8 }, 9, 6, 1);
  bool equal = true;
  for (int r = 0; r < 9; r++)
    for (int c = 0; c < 6; c++)
      equal &= tp_f32 (turned)[r * 6 + c] == tp_f32 (slab)[c * 9 + 8 - r];
  CHECK (equal);
  /* Outside is 0, however far. */
  tp_tensor *away = tp_resample (slab, (double[]) { 1, 0, 1e30, 0, 1, NAN }, 2, 2, 1);
  CHECK (tp_f32 (away)[0] == 0 && tp_f32 (away)[3] == 0);
  /* A strided slab (columns of a volume) is read as it lies. */
  tp_tensor *view = tp_transpose (slab, (int[]) { 0, 2, 1 });
  tp_tensor *of_view = tp_resample (view, (double[]) { 1, 0, 0, 0, 1, 0 }, 9, 6, 1);
  CHECK (tp_f32 (of_view)[6 * 7 + 3] == tp_f32 (slab)[3 * 9 + 7]);
  tp_tensor_free (of_view);
  tp_tensor_free (view);
  tp_tensor_free (away);
  tp_tensor_free (turned);
  tp_tensor_free (same);
  tp_tensor_free (slab);
}

static void
test_resample_between_pixels (void)
{
  /* Keys's kernel reproduces quadratics, away from the border. */
  tp_tensor *slab = tp_tensor_create (TP_F32, 3, (int64_t[]) { 2, 12, 12 });
  for (int r = 0; r < 12; r++)
    for (int c = 0; c < 12; c++)
      {
        float v = (float) (r * r - 2 * c * c + r * c + 3);
        tp_f32 (slab)[r * 12 + c] = v - 5;
        tp_f32 (slab)[144 + r * 12 + c] = v + 5;
      }
  tp_tensor *t = tp_resample (slab, (double[]) { 0.5, 0.2, 3.1, -0.1, 0.4, 4.3 }, 6, 6, 1);
  double worst = 0;
  for (int r = 0; r < 6; r++)
    for (int c = 0; c < 6; c++)
      {
        double y = 0.5 * r + 0.2 * c + 3.1, x = -0.1 * r + 0.4 * c + 4.3;
        worst = fmax (worst, fabs (tp_f32 (t)[r * 6 + c] - (y * y - 2 * x * x + y * x + 3)));
      }
  CHECK_CLOSE (worst, 0, 1e-3);
  tp_tensor_free (t);
  /* Two samples a pixel at half resolution are the mean of 2 x 2 pixels. */
  t = tp_resample (slab, (double[]) { 2, 0, 0.5, 0, 2, 0.5 }, 6, 6, 2);
  const float *s = tp_f32 (slab);
  CHECK_CLOSE (tp_f32 (t)[2 * 6 + 3],
               (s[4 * 12 + 6] + s[4 * 12 + 7] + s[5 * 12 + 6] + s[5 * 12 + 7]) / 4 + 5, 1e-4);
  tp_tensor_free (t);
  CHECK (!tp_resample (slab, (double[]) { 1, 0, 0, 0, 1, 0 }, 4, 4, 0));
  tp_tensor *image = make (2, (int64_t[]) { 4, 4 });
  CHECK (!tp_resample (image, (double[]) { 1, 0, 0, 0, 1, 0 }, 4, 4, 1));
  tp_tensor_free (image);
  tp_tensor_free (slab);
}

static void
test_tone (void)
{
  tp_tensor *t = tp_tensor_create (TP_F32, 3, (int64_t[]) { 2, 1, 5 });
  tp_tensor *knots = tp_tensor_create (TP_F32, 2, (int64_t[]) { 2, 4 });
  const float in[5] = { -1, 0, 10, 25, 60 };
  memcpy (tp_f32 (t), in, sizeof in);
  memcpy (tp_f32 (t) + 5, in, sizeof in);
  memcpy (tp_f32 (knots), (float[]) { 0, 10, 20, 30, 5, 8, -2, 7 }, 8 * sizeof (float));
  tp_tensor *out = tp_tone (t, knots, 30);
  const float *o = tp_f32 (out);
  /* The first curve is the identity from 0 on; the second passes its knots,
   * never below 0, and goes on as a logarithm. */
  CHECK (o[0] == 0 && o[1] == 0);
  CHECK_CLOSE (o[2], 10, 1e-5);
  CHECK_CLOSE (o[3], 25, 1e-5);
  CHECK_CLOSE (o[4], 30 * (1 + log (2)), 1e-5);
  CHECK_CLOSE (o[5], 5, 1e-6);
  CHECK_CLOSE (o[7], 8, 1e-5);
  CHECK (o[8] >= 0);
  CHECK_CLOSE (o[9], 7 * (1 + log (2)), 1e-5);
  tp_tensor_free (out);
  CHECK (!tp_tone (t, knots, 0) && tp_last_status () == TP_BAD_ARGUMENT);
  CHECK (!tp_tone (t, t, 30) && tp_last_status () == TP_BAD_SHAPE);
  tp_tensor_free (knots);
  tp_tensor_free (t);
}

static void
test_modulate (void)
{
  tp_tensor *images = make (3, (int64_t[]) { 2, 5, 8 });
  tp_tensor *c = tp_tensor_zeros (TP_C64, 3, (int64_t[]) { 2, 2, 3 });
  tp_c64 (c)[6 + 0] = 0.1f + 2.0f * I; /* of the second image: everywhere */
  tp_c64 (c)[6 + 5] = 0.2f + -1.0f * I; /* cos (pi y) cos (2 pi x) */
  tp_tensor *out = tp_modulate (images, c);
  const tp_complex *z = tp_c64 (out);
  const float *m = tp_f32 (images);
  CHECK (crealf (z[7]) == m[7] && cimagf (z[7]) == 0);
  double worst = 0;
  for (int r = 0; r < 5; r++)
    for (int k = 0; k < 8; k++)
      {
        double s = cos (M_PI * (r + 0.5) / 5) * cos (2 * M_PI * (k + 0.5) / 8);
        double complex expected = m[40 + r * 8 + k] * cexp (0.1 + 2.0 * I + (0.2 - I) * s);
        worst = fmax (worst, cabs (z[40 + r * 8 + k] - expected));
      }
  CHECK_CLOSE (worst, 0, 1e-4);
  /* The same bits on one thread. */
  int threads = tp_threads ();
  tp_set_threads (1);
  tp_tensor *again = tp_modulate (images, c);
  tp_set_threads (threads);
  CHECK (!memcmp (z, tp_c64 (again), 80 * sizeof *z));
  tp_tensor_free (again);
  tp_tensor_free (out);
  CHECK (!tp_modulate (images, images));
  tp_tensor_free (c);
  tp_tensor_free (images);
}

static void
test_reorient (void)
{
  tp_tensor *t = make (3, (int64_t[]) { 2, 3, 4 });
  tp_tensor *out = tp_reorient (t, (int[]) { 2, 0, 1 }, (bool[]) { true, false, true });
  CHECK (out->shape[0] == 4 && out->shape[1] == 2 && out->shape[2] == 3);
  bool equal = true;
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 2; j++)
      for (int k = 0; k < 3; k++)
        equal &= tp_f32 (out)[(i * 2 + j) * 3 + k] == tp_f32 (t)[(j * 3 + 2 - k) * 4 + 3 - i];
  CHECK (equal);
  CHECK (!tp_reorient (t, (int[]) { 0, 0, 1 }, (bool[]) { 0, 0, 0 }));
  CHECK (!tp_reorient (t, (int[]) { 0, 1, 3 }, (bool[]) { 0, 0, 0 }));
  tp_tensor_free (out);
  tp_tensor_free (t);
}

static void
test_quality (void)
{
  /* Against the formulas evaluated independently, in double, with NumPy. */
  tp_tensor *truth = tp_tensor_create (TP_F32, 2, (int64_t[]) { 20, 24 });
  tp_tensor *image = tp_tensor_like (truth);
  for (int y = 0; y < 20; y++)
    for (int x = 0; x < 24; x++)
      {
        double t = 100 + 50 * sin (0.7 * x) * cos (0.4 * y) + 2 * x;
        tp_f32 (truth)[y * 24 + x] = (float) t;
        tp_f32 (image)[y * 24 + x] = (float) (t + 8 * sin (3.1 * x + 1.7 * y));
      }
  double value = 0;
  CHECK (tp_psnr (image, truth, &value) == TP_OK);
  CHECK_CLOSE (value, 27.635495163, 1e-5);
  CHECK (tp_ssim (image, truth, &value) == TP_OK);
  CHECK_CLOSE (value, 0.966051637, 1e-6);
  CHECK (tp_psnr (truth, truth, &value) == TP_OK && isinf (value));
  CHECK (tp_ssim (truth, truth, &value) == TP_OK);
  CHECK_CLOSE (value, 1, 1e-12);
  tp_tensor *flat = tp_tensor_zeros (TP_F32, 2, (int64_t[]) { 20, 24 });
  CHECK_FAILS (TP_BAD_VALUE, tp_psnr (image, flat, &value));
  /* One number that is none, in either. */
  tp_tensor *const both[] = { image, truth };
  for (int i = 0; i < 2; i++)
    {
      float kept = tp_f32 (both[i])[30];
      tp_f32 (both[i])[30] = i ? NAN : INFINITY;
      CHECK_FAILS (TP_BAD_VALUE, tp_psnr (image, truth, &value));
      CHECK_FAILS (TP_BAD_VALUE, tp_ssim (image, truth, &value));
      tp_f32 (both[i])[30] = kept;
    }
  tp_tensor *small = make (2, (int64_t[]) { 10, 24 });
  CHECK_FAILS (TP_BAD_SHAPE, tp_psnr (small, truth, &value));
  CHECK_FAILS (TP_BAD_SHAPE, tp_ssim (small, small, &value));
  tp_tensor_free (small);
  tp_tensor_free (flat);
  tp_tensor_free (image);
  tp_tensor_free (truth);
}

static void
test_wavelet (void)
{
  tp_tensor *x = make (2, (int64_t[]) { 32, 32 });
  double squares = 0;
  for (int i = 0; i < 1024; i++)
    squares += tp_f32 (x)[i] * (double) tp_f32 (x)[i];
  for (int taps = 4; taps <= 20; taps += 4)
    {
      /* Orthonormal: as long, and its own inverse's inverse. */
      tp_tensor *w = tp_wavelet (x, taps, false), *back = tp_wavelet (w, taps, true);
      double sum = 0, error = 0;
      for (int i = 0; i < 1024; i++)
        {
          sum += tp_f32 (w)[i] * (double) tp_f32 (w)[i];
          error = fmax (error, fabs (tp_f32 (back)[i] - (double) tp_f32 (x)[i]));
        }
      CHECK (fabs (sum / squares - 1) < 1e-5);
      CHECK (error < 1e-3);
      tp_tensor_free (w), tp_tensor_free (back);
    }
  /* Four taps have two vanishing moments: of a ramp only what wraps around is left in details,
   * of a constant nothing.  A constant is one coefficient. */
  for (int i = 0; i < 1024; i++)
    tp_f32 (x)[i] = (float) (i % 32);
  tp_tensor *w = tp_wavelet (x, 4, false);
  for (int c = 16; c < 31; c++)
    CHECK (fabsf (tp_f32 (w)[c]) < 1e-4f);
  CHECK (fabsf (tp_f32 (w)[31]) > 1);
  tp_tensor_free (w);
  for (int i = 0; i < 1024; i++)
    tp_f32 (x)[i] = 1;
  w = tp_wavelet (x, 8, false);
  CHECK (fabsf (tp_f32 (w)[0] - 32) < 1e-3f);
  CHECK (fabsf (tp_f32 (w)[33]) < 1e-4f);
  tp_tensor_free (w);
  /* Complex images by their parts. */
  tp_tensor *z = tp_tensor_zeros (TP_C64, 2, (int64_t[]) { 8, 8 });
  ((float *) tp_c64 (z))[2 * 9 + 1] = 3;
  w = tp_wavelet (z, 6, false);
  bool real = false, imaginary = false;
  for (int i = 0; i < 64; i++)
    {
      real |= ((float *) tp_c64 (w))[2 * i] != 0;
      imaginary |= ((float *) tp_c64 (w))[2 * i + 1] != 0;
    }
  CHECK (!real && imaginary);
  tp_tensor_free (w), tp_tensor_free (z);
  tp_tensor *odd = make (2, (int64_t[]) { 24, 24 });
  CHECK (!tp_wavelet (odd, 4, false) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_wavelet (x, 5, false) && tp_last_status () == TP_BAD_ARGUMENT);
  tp_tensor_free (odd), tp_tensor_free (x);
}

CHECK_MAIN (test_resample_whole_pixels, test_resample_between_pixels, test_tone, test_modulate,
            test_reorient, test_quality, test_wavelet)
