/* espirit.c -- from windows of k-space to kernels, from these to a small Hermitian matrix at each
 * pixel, whose eigenvectors are the sensitivities. */
#include "fourier/espirit.h"

#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "tensor/blas.h"
#include "tensor/eigen.h"

/* --- Kernels ---------------------------------------------------------------- */

/* Add sum_p v_p v_p^H of COUNT vectors V, a row of N each, to the conjugate of SUM (N N), on and above
 * the diagonal. */
static void
add_products (const double complex *v, int64_t count, int n, double complex *sum)
{
  tp_blas_prepare ();
  cblas_zherk (CblasRowMajor, CblasUpper, CblasConjTrans, n, (int) count, 1.0, v, n, 1.0, sum, n);
}

static void
conjugate (double complex *a, size_t count)
{
  for (size_t i = 0; i < count; i++)
    a[i] = conj (a[i]);
}

/* GRAM (n n): the sum over windows p of a_p a_p^H, with a_p[c, q] = y_c[p + q]. */
static tp_status
sum_windows (const tp_tensor *calibration, int kernel, int n, double complex *gram)
{
  int64_t coils = calibration->shape[0], h = calibration->shape[1], w = calibration->shape[2];
  int64_t across = w - kernel + 1, windows = (h - kernel + 1) * across;
  /* Some windows at a time, so that they take no more memory than GRAM. */
  int64_t most = windows < n ? windows : n;
  double complex *a = tp_scratch_alloc ((size_t) (most * n) * sizeof *a);
  if (!a)
    return tp_fail (TP_NO_MEMORY, "no memory for the windows of %lld coils", (long long) coils);
  memset (gram, 0, (size_t) n * (size_t) n * sizeof *gram);
  const tp_complex *y = tp_c64 (calibration);
  for (int64_t begin = 0; begin < windows; begin += most)
    {
      int64_t count = begin + most < windows ? most : windows - begin;
      double complex *to = a;
      for (int64_t p = begin; p < begin + count; p++)
        for (int64_t c = 0; c < coils; c++)
          for (int q = 0; q < kernel; q++)
            for (int r = 0; r < kernel; r++)
              *to++ = y[(c * h + p / across + q) * w + p % across + r];
      add_products (a, count, n, gram);
    }
  tp_scratch_free (a);
  conjugate (gram, (size_t) n * (size_t) n);
  return TP_OK;
}

/* What M(r) is the Fourier sum of: LAGS[d, (c, c')] = 1 / KERNEL^2 sum_j sum_q e_j[c, q + d] conj (e_j[c', q])
 * for c <= c' and lags d below KERNEL each way.  E has COUNT directions e_j; PRODUCTS (n n) is scratch. */
static void
correlate (const double complex *e, int64_t count, int n, int64_t coils, int kernel,
           double complex *products, double complex *lags)
{
  int64_t k = kernel, width = 2 * k - 1, pairs = coils * (coils + 1) / 2;
  memset (products, 0, (size_t) n * (size_t) n * sizeof *products);
  add_products (e, count, n, products);
  memset (lags, 0, (size_t) (width * width * pairs) * sizeof *lags);
  int64_t pair = 0;
  for (int64_t c = 0; c < coils; c++)
    for (int64_t other = c; other < coils; other++, pair++)
      for (int64_t q = 0; q < k * k; q++)
        for (int64_t r = 0; r < k * k; r++)
          {
            int64_t lag = (q / k - r / k + k - 1) * width + q % k - r % k + k - 1;
            int64_t i = c * k * k + q, j = other * k * k + r;
            /* PRODUCTS has the conjugate, and only above the diagonal. */
            double complex product = i <= j ? conj (products[i * n + j]) : products[j * n + i];
            lags[lag * pairs + pair] += product / (double) (k * k);
          }
}

/* The same from CALIBRATION: windows, their eigenvectors, the lags of those above THRESHOLD; and
 * COMBINATION (coils), the greatest eigenvector of the coils' covariance. */
static tp_status
find_lags (const tp_tensor *calibration, int kernel, double threshold, double complex *lags,
           double complex *combination)
{
  int64_t coils = calibration->shape[0];
  int n = (int) coils * kernel * kernel;
  size_t square = (size_t) n * (size_t) n;
  double complex *gram = tp_scratch_alloc (2 * square * sizeof *gram), *products = gram + square;
  double *values = tp_scratch_alloc ((size_t) n * sizeof *values);
  tp_status status = gram && values ? sum_windows (calibration, kernel, n, gram)
                     : tp_fail (TP_NO_MEMORY, "no memory for the kernels of %lld coils", (long long) coils);
  if (!status)
    {
      /* That of the first point of each window. */
      for (int64_t c = 0; c < coils; c++)
        for (int64_t other = 0; other < coils; other++)
          products[c * coils + other] = gram[(c * kernel * kernel) * n + other * kernel * kernel];
      status = tp_eigen ((int) coils, products, values);
      memcpy (combination, products, (size_t) coils * sizeof *combination);
    }
  status = status ? status : tp_eigen (n, gram, values);
  if (!status)
    {
      int64_t kept = 0;
      while (kept < n && values[kept] > threshold * threshold * values[0])
        kept++;
      correlate (gram, kept, n, coils, kernel, products, lags);
    }
  tp_scratch_free (gram);
  tp_scratch_free (values);
  return status;
}

/* --- Pixels ----------------------------------------------------------------- */

typedef struct {
  int64_t coils, height, width, lags_width;
  int sets;
  const double complex *lags, *combination;
  tp_complex *maps;
  float *values;
  atomic_bool failed;
} job;

/* exp (2 pi i d (n - N / 2) / N) */
static double complex
phase (int64_t d, int64_t n, int64_t length)
{
  double angle = 2 * M_PI * (double) (d * (n - length / 2)) / (double) length;
  return cexp (I * angle);
}

/* TO += FACTOR FROM, by parts, as the compiler vectorises it. */
static void
add_multiple (double complex *to, double complex factor, const double complex *from, int64_t count)
{
  double *restrict t = (double *) to, a = creal (factor), b = cimag (factor);
  const double *restrict f = (const double *) from;
  for (int64_t i = 0; i < 2 * count; i += 2)
    {
      t[i] += a * f[i] - b * f[i + 1];
      t[i + 1] += a * f[i + 1] + b * f[i];
    }
}

/* Eigenvector number SET, of the pixel AT, to its place. */
static void
put_map (job *j, int set, const double complex *vector, double value, int64_t at)
{
  int64_t pixels = j->height * j->width;
  double complex combined = 0;
  for (int64_t c = 0; c < j->coils; c++)
    combined += conj (j->combination[c]) * vector[c];
  double size = cabs (combined);
  double complex turn = size > 0 ? conj (combined) / size : 1;
  for (int64_t c = 0; c < j->coils; c++)
    j->maps[(set * j->coils + c) * pixels + at] = (tp_complex) (turn * vector[c]);
  j->values[set * pixels + at] = (float) value;
}

static void
map_rows (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t coils = j->coils, width = j->lags_width, pairs = coils * (coils + 1) / 2, middle = width / 2;
  size_t count = (size_t) (width * pairs + pairs + coils * coils);
  double complex *row = tp_scratch_alloc (count * sizeof *row + (size_t) coils * sizeof (double));
  double complex *pixel = row + width * pairs, *matrix = pixel + pairs;
  double *values = (double *) (matrix + coils * coils);
  bool ok = row != NULL;
  for (int64_t r = begin; r < end && ok; r++)
    {
      memset (row, 0, (size_t) (width * pairs) * sizeof *row);
      for (int64_t d = 0; d < width; d++)
        add_multiple (row, phase (d - middle, r, j->height), j->lags + d * width * pairs, width * pairs);
      for (int64_t c = 0; c < j->width && ok; c++)
        {
          memset (pixel, 0, (size_t) pairs * sizeof *pixel);
          for (int64_t d = 0; d < width; d++)
            add_multiple (pixel, phase (d - middle, c, j->width), row + d * pairs, pairs);
          int64_t pair = 0;
          for (int64_t i = 0; i < coils; i++)
            for (int64_t k = i; k < coils; k++)
              matrix[i * coils + k] = pixel[pair++];
          ok = tp_eigen ((int) coils, matrix, values) == TP_OK;
          for (int set = 0; set < j->sets && ok; set++)
            put_map (j, set, matrix + set * coils, values[set], r * j->width + c);
        }
    }
  tp_scratch_free (row);
  if (!ok)
    atomic_store (&j->failed, true);
}

/* --- Together ----------------------------------------------------------------- */

static tp_status
check (const tp_tensor *calibration, int kernel, double threshold, int sets)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (calibration, "calibration", TP_C64, 3))
    return tp_last_status ();
  const int64_t *shape = calibration->shape;
  if (kernel < 2 || shape[1] < kernel || shape[2] < kernel)
    return tp_fail (TP_BAD_SHAPE, "calibration: expected (coils rows columns) of at least the kernel, %d, each"
                    " way, got shape %s", kernel, tp_shape_text (text, 3, shape));
  if (shape[0] < 1 || shape[0] * kernel * kernel > 8192)
    return tp_fail (TP_UNSUPPORTED, "calibration: expected 1 to %d coils, got %lld; compress them first",
                    8192 / (kernel * kernel), (long long) shape[0]);
  if (sets < 1 || sets > shape[0])
    return tp_fail (TP_BAD_ARGUMENT, "sets: expected 1 to %lld, as many as there are coils, got %d",
                    (long long) shape[0], sets);
  if (!(threshold > 0 && threshold < 1))
    return tp_fail (TP_BAD_ARGUMENT, "threshold: expected a number between 0 and 1, got %g", threshold);
  if (!tp_all_finite (calibration))
    return tp_fail (TP_BAD_VALUE, "calibration: it has NaN or infinite values");
  const float *parts = (const float *) tp_c64 (calibration);
  for (int64_t i = 0; i < 2 * tp_tensor_count (calibration); i++)
    if (parts[i] != 0)
      return TP_OK;
  return tp_fail (TP_BAD_VALUE, "calibration: it is 0 everywhere");
}

tp_status
tp_espirit (const tp_tensor *calibration, int kernel, double threshold, int64_t height, int64_t width,
            int sets, tp_tensor **maps, tp_tensor **values)
{
  if (check (calibration, kernel, threshold, sets))
    return tp_last_status ();
  int64_t coils = calibration->shape[0], across = 2 * kernel - 1;
  double complex *lags = tp_scratch_alloc ((size_t) (across * across * coils * (coils + 1) / 2 + coils)
                                           * sizeof *lags);
  *maps = tp_tensor_create (TP_C64, 4, (int64_t[]) { sets, coils, height, width });
  *values = tp_tensor_create (TP_F32, 3, (int64_t[]) { sets, height, width });
  tp_status status = lags && *maps && *values ? TP_OK
                     : tp_fail (TP_NO_MEMORY, "no memory for the sensitivities of %lld coils", (long long) coils);
  double complex *combination = lags + across * across * coils * (coils + 1) / 2;
  status = status ? status : find_lags (calibration, kernel, threshold, lags, combination);
  if (!status && height * width > 0)
    {
      job j = { .coils = coils, .height = height, .width = width, .lags_width = across, .sets = sets,
                .lags = lags, .combination = combination, .maps = tp_c64 (*maps), .values = tp_f32 (*values) };
      tp_parallel_for (height, 4, map_rows, &j);
      if (j.failed)
        status = tp_fail (TP_NO_MEMORY, "no memory for the sensitivities of a row of %lld", (long long) width);
    }
  tp_scratch_free (lags);
  if (status)
    {
      tp_tensor_free (*maps);
      tp_tensor_free (*values);
    }
  return status;
}
