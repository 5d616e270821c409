/* quality.c -- PSNR and SSIM. */
#include "image/quality.h"

#include <math.h>

#include "core/threads.h"

#define WINDOW 11
#define WINDOW_SD 1.5

static tp_status
check_pair (const tp_tensor *image, const tp_tensor *truth, double *range)
{
  tp_status status = tp_check (truth, "truth", TP_F32, 2);
  if (status == TP_OK)
    status = tp_check_shape (image, "image", TP_F32, 2, truth->shape);
  if (status != TP_OK)
    return status;
  if (!tp_all_finite (truth) || !tp_all_finite (image))
    return tp_fail (TP_BAD_VALUE, "%s: expected finite numbers, got NaN or infinite ones",
                    tp_all_finite (truth) ? "image" : "truth");
  const float *t = tp_f32 (truth);
  int64_t count = tp_tensor_count (truth);
  float low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < count; i++)
    {
      low = t[i] < low ? t[i] : low;
      high = t[i] > high ? t[i] : high;
    }
  *range = (double) high - low;
  if (!(*range > 0) || isinf (*range))
    return tp_fail (TP_BAD_VALUE, "truth: expected an image that is finite and not constant");
  return TP_OK;
}

tp_status
tp_psnr (const tp_tensor *image, const tp_tensor *truth, double *result)
{
  double range;
  tp_status status = check_pair (image, truth, &range);
  if (status != TP_OK)
    return status;
  const float *a = tp_f32 (image), *b = tp_f32 (truth);
  int64_t count = tp_tensor_count (truth);
  double squares = 0;
  for (int64_t i = 0; i < count; i++)
    squares += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
  *result = 10 * log10 (range * range * (double) count / squares);
  return TP_OK;
}

typedef struct {
  const float *a, *b;
  int64_t columns;
  double weights[WINDOW], c1, c2;
  double *row_sums; /* of the similarity, one a row of the output */
} ssim_job;

/* The window slides along one row of places: moments of its columns first. */
static void
ssim_rows (void *context, int64_t begin, int64_t end)
{
  const ssim_job *j = context;
  for (int64_t row = begin; row < end; row++)
    {
      /* Columns' weighted sums of a, b, aa, bb, ab, the last WINDOW of them. */
      double ring[WINDOW][5], total = 0;
      for (int64_t column = 0; column < j->columns; column++)
        {
          double *m = ring[column % WINDOW];
          for (int k = 0; k < 5; k++)
            m[k] = 0;
          for (int i = 0; i < WINDOW; i++)
            {
              double a = j->a[(row + i) * j->columns + column];
              double b = j->b[(row + i) * j->columns + column], w = j->weights[i];
              m[0] += w * a;
              m[1] += w * b;
              m[2] += w * a * a;
              m[3] += w * b * b;
              m[4] += w * a * b;
            }
          if (column < WINDOW - 1)
            continue;
          double s[5] = { 0 };
          for (int i = 0; i < WINDOW; i++)
            for (int k = 0; k < 5; k++)
              s[k] += j->weights[i] * ring[(column - (WINDOW - 1) + i) % WINDOW][k];
          double variance_a = s[2] - s[0] * s[0], variance_b = s[3] - s[1] * s[1];
          double covariance = s[4] - s[0] * s[1];
          total += (2 * s[0] * s[1] + j->c1) * (2 * covariance + j->c2)
                   / ((s[0] * s[0] + s[1] * s[1] + j->c1) * (variance_a + variance_b + j->c2));
        }
      j->row_sums[row] = total;
    }
}

tp_status
tp_ssim (const tp_tensor *image, const tp_tensor *truth, double *result)
{
  double range;
  tp_status status = check_pair (image, truth, &range);
  if (status != TP_OK)
    return status;
  int64_t rows = truth->shape[0] - (WINDOW - 1), columns = truth->shape[1] - (WINDOW - 1);
  if (rows < 1 || columns < 1)
    {
      char text[TP_SHAPE_TEXT];
      return tp_fail (TP_BAD_SHAPE, "truth: expected at least %d x %d pixels, got %s", WINDOW,
                      WINDOW, tp_shape_text (text, 2, truth->shape));
    }
  ssim_job j = { .a = tp_f32 (image), .b = tp_f32 (truth), .columns = truth->shape[1],
                 .c1 = pow (0.01 * range, 2),
                 .c2 = pow (0.03 * range, 2) };
  double sum = 0;
  for (int i = 0; i < WINDOW; i++)
    sum += j.weights[i] = exp (-pow ((i - WINDOW / 2) / WINDOW_SD, 2) / 2);
  for (int i = 0; i < WINDOW; i++)
    j.weights[i] /= sum;
  if (!(j.row_sums = tp_scratch_alloc ((size_t) rows * sizeof *j.row_sums)))
    return tp_last_status ();
  tp_parallel_for (rows, 16, ssim_rows, &j);
  double total = 0;
  for (int64_t i = 0; i < rows; i++)
    total += j.row_sums[i];
  tp_scratch_free (j.row_sums);
  *result = total / (double) (rows * columns);
  return TP_OK;
}
