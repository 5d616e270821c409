/* modulate.c -- low cosines in gain and phase. */
#include "image/modulate.h"

#include <math.h>

#include "autograd/operations.h"
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
          float *out = (float *) &j->out[line * j->columns + column];
          out[0] = m * cosf (phi);
          out[1] = m * sinf (phi);
        }
    }
}

/* cos (pi k (c + 1/2) / COUNT) for places c and k < Q, (COUNT Q): scratch. */
static float *
cosine_table (int64_t count, int64_t q)
{
  float *cosines = tp_scratch_alloc ((size_t) (count * q + 1) * sizeof *cosines);
  for (int64_t c = 0; cosines && c < count; c++)
    for (int64_t k = 0; k < q; k++)
      cosines[c * q + k] = (float) cos (M_PI * (double) k * ((double) c + 0.5) / (double) count);
  return cosines;
}

static tp_tensor *
modulate (const tp_tensor *images, const tp_tensor *coefficients)
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
  float *cosines = cosine_table (columns, q);
  tp_tensor *out = cosines ? tp_tensor_create (TP_C64, 3, images->shape) : NULL;
  if (out)
    {
      job j = { tp_f32 (images), tp_c64 (coefficients), images->shape[1], columns, p, q,
                cosines, tp_c64 (out) };
      tp_parallel_for (images->shape[0] * images->shape[1], 64, modulate_rows, &j);
    }
  tp_scratch_free (cosines);
  return out;
}

/* With y = m e^E: of m, Re conj (e^E) g; of c(p, q), which E is linear in, the sum of
 * conj (y) g times its cosines. */
static tp_status
coefficients_gradient (const tp_record *r)
{
  tp_tensor *coefficients = r->inputs[1], *gc = tp_tensor_zeros (TP_C64, 3, coefficients->shape);
  int64_t n = coefficients->shape[0], p = coefficients->shape[1], q = coefficients->shape[2];
  int64_t rows = r->output->shape[1], columns = r->output->shape[2];
  float *down = cosine_table (rows, p), *across = cosine_table (columns, q);
  const tp_complex *y = tp_c64 (r->output), *g = tp_c64 (r->output->grad);
  for (int64_t line = 0; gc && down && across && line < n * rows; line++)
    for (int64_t b = 0; b < q; b++)
      {
        double _Complex sum = 0;
        for (int64_t c = 0; c < columns; c++)
          sum += (double _Complex) (conjf (y[line * columns + c]) * g[line * columns + c])
                 * (double) across[c * q + b];
        for (int64_t a = 0; a < p; a++)
          tp_c64 (gc)[(line / rows * p + a) * q + b] += (tp_complex) (sum * (double) down[line % rows * p + a]);
      }
  if (!down || !across)
    {
      tp_tensor_free (gc);
      gc = NULL;
    }
  tp_scratch_free (down);
  tp_scratch_free (across);
  return tp_accumulate_grad (coefficients, gc);
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *images = r->inputs[0], *coefficients = r->inputs[1];
  tp_status status = tp_wants_grad (coefficients) ? coefficients_gradient (r) : TP_OK;
  if (status != TP_OK || !tp_wants_grad (images))
    return status;
  tp_tensor *one = tp_tensor_like (images), *e = NULL, *conjugate = NULL, *product = NULL;
  if (one && tp_fill (one, 1) == TP_OK)
    e = modulate (one, coefficients);
  if (e)
    conjugate = tp_map (TP_CONJ, e);
  if (conjugate)
    product = tp_map2 (TP_MUL, conjugate, r->output->grad);
  tp_tensor_free (one);
  tp_tensor_free (e);
  tp_tensor_free (conjugate);
  return tp_accumulate_grad (images, tp_fit_gradient (product, images));
}

tp_tensor *
tp_modulate (tp_tensor *images, tp_tensor *coefficients)
{
  tp_record r = { .inputs = { images, coefficients }, .input_count = 2, .unneeded = 1 };
  return tp_recorded (modulate (images, coefficients), &r, backward);
}
