/* test-fourier.c -- transforms, on a grid and at any points, against direct sums; the MRI operator, several coils. */
#include "check.h"

#include <string.h>
#include <unistd.h>

#include "core/random.h"
#include "core/threads.h"
#include "fourier/coils.h"
#include "fourier/espirit.h"
#include "fourier/fft.h"
#include "fourier/mri.h"
#include "fourier/nufft.h"
#include "fourier/row_eigen.h"

#define SHAPE(...) (const int64_t[]) { __VA_ARGS__ }

static tp_tensor *
noise (int rank, const int64_t *shape, uint64_t stream)
{
  tp_tensor *t = tp_tensor_create (TP_C64, rank, shape);
  tp_fill_normal (t, 7, stream);
  return t;
}

static double
inner (const tp_tensor *a, const tp_tensor *b)
{
  return tp_dot_f32 ((float *) tp_c64 (a), (float *) tp_c64 (b), 2 * tp_tensor_count (a));
}

/* Largest |a - b|. */
static double
distance (const tp_tensor *a, const tp_tensor *b)
{
  double largest = 0;
  for (int64_t i = 0; i < tp_tensor_count (a); i++)
    largest = fmax (largest, cabs ((double complex) tp_c64 (a)[i] - (double complex) tp_c64 (b)[i]));
  return largest;
}

static double complex
direct (const tp_complex *x, int h, int w, int row, int column)
{
  double complex sum = 0;
  for (int r = 0; r < h; r++)
    for (int c = 0; c < w; c++)
      {
        double turns = (double) (row - h / 2) * (r - h / 2) / h
                       + (double) (column - w / 2) * (c - w / 2) / w;
        sum += (double complex) x[r * w + c] * cexp (-2.0 * M_PI * I * turns);
      }
  return sum / sqrt ((double) h * w);
}

static void
test_direct (void)
{
  static const int sizes[][2] = { { 8, 8 }, { 7, 9 }, { 6, 5 }, { 1, 12 }, { 11, 1 }, { 1, 1 } };
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    {
      int h = sizes[s][0], w = sizes[s][1];
      tp_tensor *x = noise (3, SHAPE (2, h, w), s), *k = tp_fft2 (x), *back = tp_ifft2 (k);
      double worst = 0;
      for (int i = 0; i < 2; i++)
        for (int r = 0; r < h; r++)
          for (int c = 0; c < w; c++)
            worst = fmax (worst, cabs (direct (tp_c64 (x) + i * h * w, h, w, r, c)
                                       - (double complex) tp_c64 (k)[(i * h + r) * w + c]));
      CHECK_CLOSE (worst, 0, 1e-5);
      CHECK_CLOSE (distance (back, x), 0, 1e-5);
      /* Parseval: F is unitary. */
      CHECK_CLOSE (inner (k, k) / inner (x, x), 1, 1e-6);
      tp_tensor_free (back);
      tp_tensor_free (k);
      tp_tensor_free (x);
    }
}

/* <F a, b> = <a, F^H b> on sizes with large prime factors too. */
static void
test_adjoint (void)
{
  static const int sizes[][2] = { { 64, 64 }, { 61, 83 }, { 320, 48 } };
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    {
      tp_tensor *a = noise (2, SHAPE (sizes[s][0], sizes[s][1]), 1);
      tp_tensor *b = noise (2, SHAPE (sizes[s][0], sizes[s][1]), 2);
      tp_tensor *fa = tp_fft2 (a), *fb = tp_ifft2 (b);
      /* Both are sums of n products of unit variance: sd sqrt (2 n). */
      CHECK_CLOSE (inner (fa, b), inner (a, fb), 1e-6 * sqrt (2.0 * (double) tp_tensor_count (a)) * 10);
      tp_tensor_free (a), tp_tensor_free (b), tp_tensor_free (fa), tp_tensor_free (fb);
    }
}

static void
test_multiply (void)
{
  static const int sizes[][2] = { { 8, 8 }, { 9, 7 }, { 6, 11 } };
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    for (int table_rank = 1; table_rank <= 3; table_rank++)
      {
        int64_t shape[3] = { 3, sizes[s][0], sizes[s][1] };
        tp_tensor *x = noise (3, shape, 3);
        tp_tensor *table = tp_tensor_create (TP_F32, table_rank, shape + 3 - table_rank);
        tp_fill_uniform (table, 5, 6);
        tp_tensor *got = tp_fourier_multiply (x, table);
        tp_tensor *k = tp_fft2 (x), *product = tp_map2 (TP_MUL, k, table);
        tp_tensor *expected = tp_ifft2 (product);
        CHECK_CLOSE (distance (got, expected), 0, 1e-5);
        tp_tensor_free (x), tp_tensor_free (table), tp_tensor_free (got), tp_tensor_free (k);
        tp_tensor_free (product), tp_tensor_free (expected);
      }
}

static void
test_threads (void)
{
  tp_tensor *x = noise (3, SHAPE (5, 96, 80), 4);
  tp_set_threads (1);
  tp_tensor *one = tp_fft2 (x);
  tp_set_threads (2);
  tp_tensor *two = tp_fft2 (x);
  CHECK (!memcmp (tp_c64 (one), tp_c64 (two), (size_t) tp_tensor_count (x) * sizeof (tp_complex)));
  tp_tensor_free (x), tp_tensor_free (one), tp_tensor_free (two);
}

static void
test_mri (void)
{
  for (int rank = 1; rank <= 2; rank++)
    {
      tp_tensor *mask = tp_tensor_zeros (TP_F32, 1, SHAPE (31));
      for (int c = 0; c < 31; c += c < 14 || c > 17 ? 4 : 1)
        tp_f32 (mask)[c] = 1;
      if (rank == 2)
        {
          tp_tensor *wide = tp_broadcast_to (mask, 2, SHAPE (24, 31)), *full = tp_copy (wide);
          tp_tensor_free (wide), tp_tensor_free (mask);
          mask = full;
        }
      tp_tensor *x = noise (3, SHAPE (2, 24, 31), 1), *y = noise (3, SHAPE (2, 24, 31), 2);
      tp_tensor *ax = tp_mri_forward (x, mask), *aty = tp_mri_adjoint (y, mask);
      tp_tensor *nx = tp_fourier_multiply (x, mask), *atax = tp_mri_adjoint (ax, mask);
      CHECK_CLOSE (inner (ax, y), inner (x, aty), 1e-3);
      CHECK (fabs (inner (ax, y)) > 0.1);
      CHECK_CLOSE (distance (nx, atax), 0, 1e-5);
      for (int64_t i = 0; i < 24 * 31; i++)
        if (tp_f32 (mask)[rank == 1 ? i % 31 : i] == 0.0f && tp_c64 (ax)[i] != 0)
          CHECK (!"unmeasured k-space is zero");
      tp_tensor_free (mask), tp_tensor_free (x), tp_tensor_free (y), tp_tensor_free (ax);
      tp_tensor_free (aty), tp_tensor_free (nx), tp_tensor_free (atax);
    }
}

/* --- At any points ----------------------------------------------------------- */

/* COUNT points all over the k-space of images of H x W, its corners and whole numbers among them. */
static tp_tensor *
points (int64_t count, int64_t h, int64_t w, uint64_t stream)
{
  tp_tensor *t = tp_tensor_create (TP_F32, 2, SHAPE (count, 2));
  tp_fill_uniform (t, 5, stream);
  for (int64_t i = 0; i < count; i++)
    {
      float *k = tp_f32 (t) + 2 * i;
      k[0] = (k[0] - 0.5f) * (float) h;
      k[1] = (k[1] - 0.5f) * (float) w;
      if (i % 7 == 0)
        k[0] = 0.5f * (float) (i % 2 ? h : -h), k[1] = rintf (k[1] * 0.5f);
    }
  return t;
}

static double complex
direct_at (const tp_complex *x, int64_t h, int64_t w, const float *k)
{
  double complex sum = 0;
  for (int64_t r = 0; r < h; r++)
    for (int64_t c = 0; c < w; c++)
      sum += (double complex) x[r * w + c]
             * cexp (-2.0 * M_PI * I * ((double) k[0] * (double) (r - h / 2) / (double) h
                                        + (double) k[1] * (double) (c - w / 2) / (double) w));
  return sum / sqrt ((double) (h * w));
}

static double
norm (const tp_tensor *a)
{
  return sqrt (inner (a, a));
}

/* |a - b| / |b| */
static double
relative (const tp_tensor *a, const tp_tensor *b)
{
  tp_tensor *difference = tp_map2 (TP_SUB, a, b);
  double r = norm (difference) / norm (b);
  tp_tensor_free (difference);
  return r;
}

static const int64_t nufft_sizes[][2] = { { 64, 64 }, { 61, 83 }, { 33, 48 }, { 1, 12 }, { 2, 3 }, { 1, 1 },
                                          { 160, 9 } };

static void
test_nufft (void)
{
  for (size_t s = 0; s < sizeof nufft_sizes / sizeof nufft_sizes[0]; s++)
    {
      int64_t h = nufft_sizes[s][0], w = nufft_sizes[s][1], count = 500;
      tp_tensor *x = noise (3, SHAPE (3, h, w), s), *t = points (count, h, w, s);
      tp_tensor *y = tp_nufft_forward (x, t), *sum = tp_tensor_like (y);
      for (int64_t i = 0; i < 3; i++)
        for (int64_t p = 0; p < count; p++)
          tp_c64 (sum)[i * count + p]
            = (tp_complex) direct_at (tp_c64 (x) + i * h * w, h, w, tp_f32 (t) + 2 * p);
      CHECK_CLOSE (relative (y, sum), 0, 4e-6);
      /* The adjoint: <A x, z> = <x, A^H z>. */
      tp_tensor *z = noise (2, SHAPE (3, count), 50 + s), *az = tp_nufft_adjoint (z, t, h, w);
      CHECK_CLOSE ((inner (y, z) - inner (x, az)) / (norm (y) * norm (z)), 0, 1e-6);
      /* The normal, weighted: A^H D A x. */
      tp_tensor *d = tp_tensor_create (TP_F32, 1, SHAPE (count));
      tp_fill_uniform (d, 9, s);
      tp_tensor *dy = tp_map2 (TP_MUL, y, d), *expected = tp_nufft_adjoint (dy, t, h, w);
      tp_tensor *table = tp_toeplitz_table (t, d, h, w), *normal = tp_toeplitz_multiply (x, table);
      CHECK_CLOSE (relative (normal, expected), 0, 8e-6);
      tp_tensor *plain = tp_toeplitz_table (t, NULL, h, w), *once = tp_toeplitz_multiply (x, plain);
      tp_tensor *back = tp_nufft_adjoint (y, t, h, w);
      CHECK_CLOSE (relative (once, back), 0, 8e-6);
      tp_tensor_free (x), tp_tensor_free (t), tp_tensor_free (y), tp_tensor_free (sum), tp_tensor_free (z);
      tp_tensor_free (az), tp_tensor_free (d), tp_tensor_free (dy), tp_tensor_free (expected);
      tp_tensor_free (table), tp_tensor_free (normal), tp_tensor_free (plain), tp_tensor_free (once);
      tp_tensor_free (back);
    }
}

/* At whole numbers it is F, and every point stands for the same area: nearly 1, for the kernel of densities is
 * hardly wider than the points are apart. */
static void
test_nufft_cartesian (void)
{
  int64_t h = 12, w = 15;
  tp_tensor *x = noise (3, SHAPE (2, h, w), 1), *t = tp_tensor_create (TP_F32, 3, SHAPE (h, w, 2));
  for (int64_t r = 0; r < h; r++)
    for (int64_t c = 0; c < w; c++)
      {
        tp_f32 (t)[2 * (r * w + c)] = (float) (r - h / 2);
        tp_f32 (t)[2 * (r * w + c) + 1] = (float) (c - w / 2);
      }
  tp_tensor *y = tp_nufft_forward (x, t), *k = tp_fft2 (x), *density = tp_nufft_density (t, h, w, 30);
  CHECK_CLOSE (relative (y, k), 0, 4e-6);
  double most = 0, area = tp_f32 (density)[0];
  for (int64_t i = 0; i < h * w; i++)
    most = fmax (most, fabs (tp_f32 (density)[i] / area - 1));
  CHECK_CLOSE (most, 0, 1e-3);
  CHECK (area > 0.8 && area < 1);
  /* Other values in the same tensor, and other sizes: what is kept with it is made anew. */
  tp_fill (t, 0);
  tp_tensor_changed (t);
  tp_tensor *sums = tp_nufft_forward (x, t);
  CHECK_CLOSE (cabsf (tp_c64 (sums)[0] - tp_c64 (k)[h / 2 * w + w / 2]), 0, 1e-5);
  tp_tensor *other = noise (2, SHAPE (5, 4), 2), *at = tp_nufft_forward (other, t), *f = tp_fft2 (other);
  CHECK_CLOSE (cabsf (tp_c64 (at)[3] - tp_c64 (f)[2 * 4 + 2]), 0, 1e-5);
  tp_tensor_free (x), tp_tensor_free (t), tp_tensor_free (y), tp_tensor_free (k), tp_tensor_free (density);
  tp_tensor_free (sums), tp_tensor_free (other), tp_tensor_free (at), tp_tensor_free (f);
}

/* Of a diameter's points at radius r every one stands for the part pi r dr / diameters of its ring. */
static void
test_nufft_density (void)
{
  int64_t spokes = 50, samples = 64;
  tp_tensor *t = tp_tensor_create (TP_F32, 3, SHAPE (spokes, samples, 2));
  for (int64_t i = 0; i < spokes * samples; i++)
    {
      double angle = M_PI * (double) (i / samples) / (double) spokes, r = 0.5 * (double) (i % samples - samples / 2);
      tp_f32 (t)[2 * i] = (float) (r * cos (angle)), tp_f32 (t)[2 * i + 1] = (float) (r * sin (angle));
    }
  tp_tensor *density = tp_nufft_density (t, 32, 32, 100);
  double most = 0;
  /* Neither next to the centre nor at the rim, beyond which there is nothing. */
  for (int64_t i = 0; i < spokes * samples; i++)
    {
      double r = 0.5 * (double) llabs (i % samples - samples / 2);
      if (r >= 2 && r <= 13)
        most = fmax (most, fabs (tp_f32 (density)[i] / (M_PI * r * 0.5 / (double) spokes) - 1));
    }
  CHECK_CLOSE (most, 0, 0.1);
  tp_tensor_free (t), tp_tensor_free (density);
}

static bool
same_bits (const tp_tensor *a, const tp_tensor *b)
{
  return !memcmp (tp_c64 (a), tp_c64 (b), (size_t) tp_tensor_count (a) * sizeof (tp_complex));
}

static void
test_nufft_threads (void)
{
  for (int64_t images = 1; images <= 5; images += 4)
    {
      int64_t h = 96, w = 80, count = 9000;
      tp_tensor *x = noise (3, SHAPE (images, h, w), 4), *z = noise (2, SHAPE (images, count), 4);
      tp_tensor *results[2][4];
      for (int run = 0; run < 2; run++)
        {
          tp_set_threads (1 + run);
          tp_tensor *t = points (count, h, w, 3), *table = tp_toeplitz_table (t, NULL, h, w);
          results[run][0] = tp_nufft_forward (x, t);
          results[run][1] = tp_nufft_adjoint (z, t, h, w);
          results[run][2] = tp_toeplitz_multiply (x, table);
          tp_tensor *density = tp_nufft_density (t, h, w, 3), *zeros = tp_tensor_zeros (TP_C64, 1, SHAPE (count));
          results[run][3] = tp_map2 (TP_ADD, zeros, density);
          tp_tensor_free (t), tp_tensor_free (table), tp_tensor_free (density), tp_tensor_free (zeros);
        }
      for (int i = 0; i < 4; i++)
        {
          CHECK (same_bits (results[0][i], results[1][i]));
          tp_tensor_free (results[0][i]), tp_tensor_free (results[1][i]);
        }
      tp_tensor_free (x), tp_tensor_free (z);
    }
  tp_set_threads (2);
}

static void
test_nufft_bad_input (void)
{
  tp_tensor *x = tp_tensor_zeros (TP_C64, 2, SHAPE (8, 8)), *y = tp_tensor_zeros (TP_C64, 1, SHAPE (4));
  tp_tensor *t = tp_tensor_zeros (TP_F32, 2, SHAPE (4, 2)), *flat = tp_tensor_zeros (TP_F32, 1, SHAPE (4));
  tp_tensor *none = tp_tensor_zeros (TP_F32, 2, SHAPE (0, 2)), *three = tp_tensor_zeros (TP_F32, 2, SHAPE (4, 3));
  tp_tensor *few = tp_tensor_zeros (TP_C64, 1, SHAPE (3));
  CHECK (!tp_nufft_forward (x, flat) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_forward (x, none) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_forward (x, three) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_forward (y, t) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_forward (t, t) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_adjoint (few, t, 8, 8) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_nufft_adjoint (y, t, 0, 8) && tp_last_status () == TP_BAD_ARGUMENT);
  CHECK (!tp_toeplitz_table (t, flat, INT64_MAX / 2, 8) && tp_last_status () == TP_UNSUPPORTED);
  CHECK (!tp_toeplitz_multiply (x, flat) && tp_last_status () == TP_BAD_SHAPE);
  tp_f32 (t)[5] = NAN;
  tp_tensor_changed (t);
  CHECK (!tp_nufft_forward (x, t) && tp_last_status () == TP_BAD_VALUE
         && strstr (tp_last_message (), "point 2 is"));
  tp_f32 (t)[5] = 4.01f;
  tp_tensor_changed (t);
  CHECK (!tp_nufft_forward (x, t) && tp_last_status () == TP_BAD_VALUE
         && strstr (tp_last_message (), "within 4 and 4"));
  tp_tensor_free (x), tp_tensor_free (y), tp_tensor_free (t), tp_tensor_free (flat), tp_tensor_free (none);
  tp_tensor_free (three), tp_tensor_free (few);
}

static void
test_bad_input (void)
{
  tp_tensor *real = tp_tensor_zeros (TP_F32, 2, SHAPE (4, 4));
  tp_tensor *line = tp_tensor_zeros (TP_C64, 1, SHAPE (4));
  tp_tensor *x = tp_tensor_zeros (TP_C64, 2, SHAPE (4, 4));
  tp_tensor *wrong = tp_tensor_zeros (TP_F32, 1, SHAPE (5));
  CHECK (!tp_fft2 (real) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_fft2 (line) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_fourier_multiply (x, wrong) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_fourier_multiply (x, x) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_mri_forward (x, wrong) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_mri_adjoint (x, wrong) && tp_last_status () == TP_BAD_SHAPE);
  tp_tensor_free (real), tp_tensor_free (line), tp_tensor_free (x), tp_tensor_free (wrong);
}

/* On the tape: <c, A x> has the gradient A c, for A is its own adjoint. */
static void
test_tape (void)
{
  tp_tensor *z = noise (3, SHAPE (2, 6, 8), 1), *c = noise (3, SHAPE (2, 6, 8), 2);
  tp_tensor *table = tp_tensor_create (TP_F32, 3, SHAPE (2, 6, 8));
  tp_fill_normal (table, 7, 3);
  tp_tensor *x = tp_view_real (z), *seed = tp_view_real (c);
  x->requires_grad = true;
  tp_tape *tape = tp_tape_create ();
  tp_tape_enter (tape);
  tp_tensor *y = tp_fourier_multiply (x, table);
  tp_tape_enter (NULL);
  tp_tensor *direct = tp_fourier_multiply (z, table), *view = tp_view_complex (y);
  CHECK (distance (direct, view) == 0);
  CHECK (tp_tape_backward (tape, y, seed) == TP_OK);
  tp_tensor *expected = tp_fourier_multiply (c, table), *gradient = x->grad ? tp_view_complex (x->grad) : NULL;
  CHECK (gradient && distance (expected, gradient) < 1e-6);
  tp_tape_free (tape);
  tp_tensor_free (z), tp_tensor_free (c), tp_tensor_free (table), tp_tensor_free (x), tp_tensor_free (seed);
  tp_tensor_free (y), tp_tensor_free (direct), tp_tensor_free (view), tp_tensor_free (expected), tp_tensor_free (gradient);
}

/* What FFTW has measured is kept, and what a killed process has left of it goes. */
static void
test_wisdom (void)
{
  char folder[] = "/tmp/tempera-test-XXXXXX", file[128], left[160], command[64];
  CHECK (mkdtemp (folder) != NULL);
  setenv ("XDG_CACHE_HOME", folder, 1);
  setenv ("TEMPERA_FFT_PLAN", "measure", 1);
  snprintf (file, sizeof file, "%s/tempera/fftw-wisdom", folder);
  snprintf (left, sizeof left, "%s.new", file);
  tp_tensor *x = noise (2, SHAPE (12, 20), 1), *y = tp_fft2 (x);
  CHECK (y && !access (file, R_OK) && access (left, F_OK));
  FILE *half = fopen (left, "w");
  CHECK (half && fputs ("half", half) >= 0 && !fclose (half));
  tp_tensor *z = noise (2, SHAPE (20, 12), 1), *w = tp_fft2 (z);
  CHECK (w && !access (file, R_OK) && access (left, F_OK));
  unsetenv ("TEMPERA_FFT_PLAN");
  tp_tensor_free (x), tp_tensor_free (y), tp_tensor_free (z), tp_tensor_free (w);
  snprintf (command, sizeof command, "rm -r %s", folder);
  CHECK (system (command) == 0);
}

/* Three coils: A = M F s, its normal operator in one go, and by eigenvectors of rows. */
static void
test_coils (void)
{
  tp_tensor *s = noise (3, SHAPE (3, 7, 10), 1), *x = noise (3, SHAPE (2, 7, 10), 2);
  tp_tensor *y = noise (4, SHAPE (2, 3, 7, 10), 3), *mask = tp_tensor_zeros (TP_F32, 1, SHAPE (10));
  for (int c = 0; c < 10; c += c < 4 || c > 6 ? 3 : 1)
    tp_f32 (mask)[c] = 1;
  tp_tensor *seen = tp_coil_images (x, s), *combined = tp_coil_combine (y, s);
  CHECK_CLOSE (inner (seen, y), inner (x, combined), 1e-3);
  CHECK (fabs (inner (seen, y)) > 0.1);
  tp_tensor *ax = tp_mri_forward (seen, mask), *images = tp_mri_adjoint (ax, mask);
  tp_tensor *expected = tp_coil_combine (images, s), *normal = tp_sense_normal (x, s, mask);
  CHECK_CLOSE (distance (normal, expected), 0, 1e-4);
  tp_tensor *values, *vectors;
  CHECK (tp_row_eigen (s, mask, &values, &vectors) == TP_OK);
  tp_tensor *by_rows = tp_row_multiply (x, vectors, values);
  CHECK_CLOSE (distance (by_rows, expected), 0, 1e-4);
  tp_tensor *wrong = noise (3, SHAPE (2, 7, 9), 2);
  CHECK (!tp_coil_images (wrong, s) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_coil_combine (x, s) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_sense_normal (x, s, vectors) && !tp_row_multiply (wrong, vectors, values));
  CHECK (tp_row_eigen (s, values, &values, &vectors) == TP_BAD_SHAPE);
  tp_tensor_free (s), tp_tensor_free (x), tp_tensor_free (y), tp_tensor_free (mask), tp_tensor_free (seen);
  tp_tensor_free (combined), tp_tensor_free (ax), tp_tensor_free (images), tp_tensor_free (expected);
  tp_tensor_free (normal), tp_tensor_free (values), tp_tensor_free (vectors), tp_tensor_free (by_rows);
  tp_tensor_free (wrong);
}

/* Two coils that see points with (1, i / 2) everywhere: their sensitivities, of length 1. */
static void
test_espirit (void)
{
  tp_tensor *y = noise (3, SHAPE (2, 16, 16), 1), *maps, *values;
  for (int i = 0; i < 256; i++)
    tp_c64 (y)[256 + i] = 0.5f * I * tp_c64 (y)[i];
  CHECK (tp_espirit (y, 4, 0.03, 5, 6, &maps, &values) == TP_OK);
  for (int i = 0; i < 30; i++)
    {
      double complex a = tp_c64 (maps)[i], b = tp_c64 (maps)[30 + i];
      CHECK_CLOSE (cabs (b - 0.5 * I * a), 0, 1e-5);
      CHECK_CLOSE (cabs (a) * cabs (a) + cabs (b) * cabs (b), 1, 1e-5);
      CHECK_CLOSE (tp_f32 (values)[i], 1, 1e-4);
    }
  tp_tensor_free (maps), tp_tensor_free (values);
  CHECK (tp_espirit (y, 20, 0.03, 5, 6, &maps, &values) == TP_BAD_SHAPE);
  CHECK (tp_espirit (y, 4, 1, 5, 6, &maps, &values) == TP_BAD_ARGUMENT);
  memset (tp_c64 (y), 0, 512 * sizeof (tp_complex));
  CHECK (tp_espirit (y, 4, 0.03, 5, 6, &maps, &values) == TP_BAD_VALUE);
  tp_c64 (y)[3] = NAN;
  CHECK (tp_espirit (y, 4, 0.03, 5, 6, &maps, &values) == TP_BAD_VALUE);
  tp_tensor_free (y);
}

CHECK_MAIN (test_coils, test_espirit, test_nufft, test_nufft_cartesian, test_nufft_density, test_nufft_threads, test_nufft_bad_input, test_tape, test_direct, test_adjoint, test_multiply, test_threads, test_mri, test_wisdom,
            test_bad_input)
