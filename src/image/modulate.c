/* modulate.c -- low cosines in gain and phase. */
#include "image/modulate.h"

#include <math.h>

#include "core/threads.h"

/* More would not be smooth. */
#define MOST_COSINES 16

typedef struct {
  const float *images;
  const tp_complex *coefficients;
  int64_t rows, columns, p, q;
  const float *cosines; /* (columns, q) */
  tp_complex *out;
} job;

static void
modulate_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t line = begin; line < end; line++)
    {
      int64_t n = line / j->rows, row = line % j->rows;
      /* The sum over p is the same along a row. */
      float gain[MOST_COSINES] = { 0 }, phase[MOST_COSINES] = { 0 };
      for (int64_t p = 0; p < j->p; p++)
        {
          double angle = M_PI * (double) p * ((double) row + 0.5) / (double) j->rows;
          float cosine = (float) cos (angle);
          for (int64_t q = 0; q < j->q; q++)
            {
              tp_complex c = j->coefficients[(n * j->p + p) * j->q + q];
              gain[q] += cosine * crealf (c);
              phase[q] += cosine * cimagf (c);
            }
        }
      for (int64_t column = 0; column < j->columns; column++)
        {
          float g = 0.0f, phi = 0.0f;
          for (int64_t q = 0; q < j->q; q++)
            {
              g += gain[q] * j->cosines[column * j->q + q];
              phi += phase[q] * j->cosines[column * j->q + q];
            }
          float m = j->images[line * j->columns + column] * expf (g);
          j->out[line * j->columns + column] = CMPLXF (m * cosf (phi), m * sinf (phi));
        }
    }
}

tp_tensor *
tp_modulate (const tp_tensor *images, const tp_tensor *coefficients)
{
  if (tp_check (images, "images", TP_F32, 3) != TP_OK
      || tp_check_shape (coefficients, "coefficients", TP_C64, 3,
                         (int64_t[]) { images->shape[0], -1, -1 }) != TP_OK)
    return NULL;
  int64_t p = coefficients->shape[1], q = coefficients->shape[2], columns = images->shape[2];
  if (p > MOST_COSINES || q > MOST_COSINES)
    {
      tp_fail (TP_BAD_SHAPE, "coefficients: expected at most %d x %d an image, got %lld x %lld",
               MOST_COSINES, MOST_COSINES, (long long) p, (long long) q);
      return NULL;
    }
  float *cosines = tp_scratch_alloc ((size_t) (columns * q + 1) * sizeof *cosines);
  tp_tensor *out = cosines ? tp_tensor_create (TP_C64, 3, images->shape) : NULL;
  if (out)
    {
      for (int64_t c = 0; c < columns; c++)
        for (int64_t k = 0; k < q; k++)
          cosines[c * q + k]
            = (float) cos (M_PI * (double) k * ((double) c + 0.5) / (double) columns);
      job j = { tp_f32 (images), tp_c64 (coefficients), images->shape[1], columns, p, q,
                cosines, tp_c64 (out) };
      tp_parallel_for (images->shape[0] * images->shape[1], 64, modulate_rows, &j);
    }
  tp_scratch_free (cosines);
  return out;
}
