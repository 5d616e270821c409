/* row_eigen.c -- a Hermitian matrix for each row of the image, and products with its eigenvectors. */
#include "fourier/row_eigen.h"

#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "fourier/fft.h"
#include "tensor/blas.h"
#include "tensor/eigen.h"

/* --- Eigenvectors ------------------------------------------------------------- */

typedef struct {
  const tp_complex *s;
  const double complex *kernel; /* F^H diag (table) F of a row, over differences of columns from 0 on */
  float *values;
  tp_complex *vectors;
  int64_t coils, height, width;
  atomic_bool failed;
} job;

static void
solve_rows (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t w = j->width;
  double complex *matrix = tp_scratch_alloc ((size_t) (w * w) * sizeof *matrix);
  double *values = tp_scratch_alloc ((size_t) w * sizeof *values);
  bool ok = matrix && values;
  for (int64_t r = begin; r < end && ok; r++)
    {
      memset (matrix, 0, (size_t) (w * w) * sizeof *matrix);
      for (int64_t c = 0; c < j->coils; c++)
        {
          const tp_complex *s = j->s + (c * j->height + r) * w;
          for (int64_t a = 0; a < w; a++)
            for (int64_t b = a; b < w; b++)
              matrix[a * w + b] += conj ((double complex) s[a]) * (double complex) s[b];
        }
      for (int64_t a = 0; a < w; a++)
        for (int64_t b = a; b < w; b++)
          matrix[a * w + b] *= conj (j->kernel[b - a]);
      ok = tp_eigen ((int) w, matrix, values) == TP_OK;
      for (int64_t i = 0; i < w && ok; i++)
        j->values[r * w + i] = (float) fmax (values[i], 0); /* below 0 by rounding alone */
      for (int64_t i = 0; i < w * w && ok; i++)
        j->vectors[r * w * w + i] = (tp_complex) matrix[i];
    }
  tp_scratch_free (matrix);
  tp_scratch_free (values);
  if (!ok)
    atomic_store (&j->failed, true);
}

tp_status
tp_row_eigen (const tp_tensor *s, const tp_tensor *table, tp_tensor **values, tp_tensor **vectors)
{
  if (tp_check (s, "s", TP_C64, 3)
      || tp_check_shape (table, "table", TP_F32, 1, (int64_t[]) { s->shape[2] }))
    return tp_last_status ();
  if (!tp_all_finite (s) || !tp_all_finite (table))
    return tp_fail (TP_BAD_VALUE, "s, table: expected finite numbers");
  int64_t h = s->shape[1], w = s->shape[2];
  double complex *kernel = tp_scratch_alloc ((size_t) w * sizeof *kernel + 1);
  *values = tp_tensor_create (TP_F32, 2, (int64_t[]) { h, w });
  *vectors = tp_tensor_create (TP_C64, 3, (int64_t[]) { h, w, w });
  tp_status status = kernel && *values && *vectors && w <= 4096
                     ? TP_OK : tp_fail (TP_NO_MEMORY, "no memory for the eigenvectors of images of %lld x %lld",
                                        (long long) h, (long long) w);
  if (!status && h * w > 0)
    {
      for (int64_t d = 0; d < w; d++)
        {
          kernel[d] = 0;
          for (int64_t k = 0; k < w; k++)
            {
              double angle = 2 * M_PI * (double) ((k - w / 2) * d % w) / (double) w;
              kernel[d] += tp_f32 (table)[k] * cexp (I * angle) / (double) w;
            }
        }
      job j = { .s = tp_c64 (s), .kernel = kernel, .values = tp_f32 (*values), .vectors = tp_c64 (*vectors),
                .coils = s->shape[0], .height = h, .width = w };
      tp_parallel_for (h, 1, solve_rows, &j);
      if (j.failed)
        status = tp_fail (TP_NO_MEMORY, "no memory for the eigenvectors of a row of %lld", (long long) w);
    }
  tp_scratch_free (kernel);
  if (status)
    {
      tp_tensor_free (*values);
      tp_tensor_free (*vectors);
    }
  return status;
}

/* --- Products ------------------------------------------------------------------- */

typedef struct {
  const tp_complex *x, *vectors;
  const float *weights;
  tp_complex *y;
  int64_t images, height, width;
  atomic_bool failed;
} product;

static void
multiply_rows (void *context, int64_t begin, int64_t end)
{
  product *p = context;
  int images = (int) p->images, w = (int) p->width, stride = (int) (p->height * p->width);
  const tp_complex one = 1.0f, zero = 0.0f;
  tp_complex *parts = tp_scratch_alloc ((size_t) images * (size_t) w * sizeof *parts);
  if (!parts)
    {
      atomic_store (&p->failed, true);
      return;
    }
  for (int64_t r = begin; r < end; r++)
    {
      /* V has eigenvectors as rows, U = V^T; images are rows too: parts = X conj (V)^T, Y = parts W V. */
      const tp_complex *v = p->vectors + r * w * (int64_t) w;
      const float *weights = p->weights + r * w;
      cblas_cgemm (CblasRowMajor, CblasNoTrans, CblasConjTrans, images, w, w, &one, p->x + r * w, stride, v,
                   w, &zero, parts, w);
      for (int64_t i = 0; i < images; i++)
        for (int64_t k = 0; k < w; k++)
          parts[i * w + k] *= weights[k];
      cblas_cgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, images, w, w, &one, parts, w, v, w, &zero,
                   p->y + r * w, stride);
    }
  tp_scratch_free (parts);
}

tp_tensor *
tp_row_multiply (const tp_tensor *x, const tp_tensor *vectors, const tp_tensor *weights)
{
  if (tp_check (vectors, "vectors", TP_C64, 3))
    return NULL;
  int64_t h = vectors->shape[0], w = vectors->shape[1];
  if (tp_check_shape (vectors, "vectors", TP_C64, 3, (int64_t[]) { h, w, w })
      || tp_check_shape (x, "x", TP_C64, 3, (int64_t[]) { -1, h, w })
      || tp_check_shape (weights, "weights", TP_F32, 2, (int64_t[]) { h, w }))
    return NULL;
  tp_tensor *y = tp_tensor_like (x);
  if (!y || !tp_tensor_count (x))
    return y;
  if (h * w > INT32_MAX || x->shape[0] > INT32_MAX)
    {
      tp_fail (TP_UNSUPPORTED, "x: images of %lld x %lld are too large", (long long) h, (long long) w);
      tp_tensor_free (y);
      return NULL;
    }
  tp_blas_prepare ();
  product p = { .x = tp_c64 (x), .vectors = tp_c64 (vectors), .weights = tp_f32 (weights), .y = tp_c64 (y),
                .images = x->shape[0], .height = h, .width = w };
  tp_parallel_for (h, 1, multiply_rows, &p);
  if (!p.failed)
    return y;
  tp_fail (TP_NO_MEMORY, "no memory for a row of %lld images", (long long) x->shape[0]);
  tp_tensor_free (y);
  return NULL;
}
