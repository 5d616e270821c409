/* resample.c -- cubic convolution; a row of the output is an item of work. */
#include "image/resample.h"

#include <math.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/threads.h"

typedef struct {
  const tp_tensor *slab;
  const double *map;
  int samples;
  int64_t columns;
  float *out;
} job;

/* Keys's weights of the four neighbours at distance F past the second. */
static inline void
cubic_weights (float f, float w[4])
{
  w[0] = ((-0.5f * f + 1.0f) * f - 0.5f) * f;
  w[1] = (1.5f * f - 2.5f) * f * f + 1.0f;
  w[2] = ((-1.5f * f + 2.0f) * f + 0.5f) * f;
  w[3] = (0.5f * f - 0.5f) * f * f;
}

static float
value_at (const tp_tensor *slab, double y, double x)
{
  int64_t height = slab->shape[1], width = slab->shape[2];
  /* Also keeps the conversion to integers below defined, for NaN too. */
  if (!(y > -2.0 && x > -2.0 && y < (double) height + 1.0 && x < (double) width + 1.0))
    return 0.0f;
  int64_t y0 = (int64_t) floor (y), x0 = (int64_t) floor (x);
  float wy[4], wx[4], sum = 0.0f;
  cubic_weights ((float) (y - (double) y0), wy);
  cubic_weights ((float) (x - (double) x0), wx);
  const float *data = tp_f32 (slab);
  for (int64_t slice = 0; slice < slab->shape[0]; slice++)
    for (int i = 0; i < 4; i++)
      {
        int64_t row = y0 - 1 + i;
        if (row < 0 || row >= height || wy[i] == 0.0f)
          continue;
        const float *line = data + slice * slab->strides[0] + row * slab->strides[1];
        float part = 0.0f;
        for (int j = 0; j < 4; j++)
          {
            int64_t column = x0 - 1 + j;
            if (column >= 0 && column < width)
              part += wx[j] * line[column * slab->strides[2]];
          }
        sum += wy[i] * part;
      }
  return sum;
}

static void
resample_rows (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const double *m = j->map;
  float weight = 1.0f / (float) (j->slab->shape[0] * j->samples * j->samples);
  for (int64_t r = begin; r < end; r++)
    for (int64_t c = 0; c < j->columns; c++)
      {
        float sum = 0.0f;
        for (int a = 0; a < j->samples; a++)
          for (int b = 0; b < j->samples; b++)
            {
              double y = (double) r + (a + 0.5) / j->samples - 0.5;
              double x = (double) c + (b + 0.5) / j->samples - 0.5;
              sum += value_at (j->slab, m[0] * y + m[1] * x + m[2], m[3] * y + m[4] * x + m[5]);
            }
        j->out[r * j->columns + c] = weight * sum;
      }
}

static tp_tensor *
resample (const tp_tensor *slab, const double map[6], int64_t rows, int64_t columns,
             int samples)
{
  char text[TP_SHAPE_TEXT];
  if (slab->dtype != TP_F32 || slab->rank != 3 || slab->shape[0] < 1 || !tp_f32 (slab))
    {
      tp_fail (TP_BAD_SHAPE, "slab: expected f32 (slices rows columns), got %s %s",
               tp_dtype_name (slab->dtype), tp_shape_text (text, slab->rank, slab->shape));
      return NULL;
    }
  if (samples < 1 || samples > 16)
    {
      tp_fail (TP_BAD_ARGUMENT, "samples: expected 1 to 16, got %d", samples);
      return NULL;
    }
  tp_tensor *out = tp_tensor_create (TP_F32, 2, (int64_t[]) { rows, columns });
  if (out)
    {
      job j = { slab, map, samples, columns, tp_f32 (out) };
      tp_parallel_for (rows, 128, resample_rows, &j);
    }
  return out;
}

/* The adjoint of value_at: G to the sixteen places of IMAGE (height, width). */
static void
spread_at (float *image, int64_t height, int64_t width, double y, double x, float g)
{
  if (!(y > -2.0 && x > -2.0 && y < (double) height + 1.0 && x < (double) width + 1.0))
    return;
  int64_t y0 = (int64_t) floor (y), x0 = (int64_t) floor (x);
  float wy[4], wx[4];
  cubic_weights ((float) (y - (double) y0), wy);
  cubic_weights ((float) (x - (double) x0), wx);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      {
        int64_t row = y0 - 1 + i, column = x0 - 1 + j;
        if (row >= 0 && row < height && column >= 0 && column < width)
          image[row * width + column] += g * wy[i] * wx[j];
      }
}

/* numbers: the map, and samples.  One thread, as places overlap. */
static tp_status
backward (const tp_record *r)
{
  tp_tensor *slab = r->inputs[0], *g = r->output->grad;
  tp_tensor *gs = tp_tensor_zeros (TP_F32, 3, slab->shape);
  if (!gs)
    return tp_last_status ();
  const double *m = r->numbers;
  int samples = (int) m[6];
  int64_t height = slab->shape[1], width = slab->shape[2], columns = g->shape[1];
  float weight = 1.0f / (float) (slab->shape[0] * samples * samples), *first = tp_f32 (gs);
  for (int64_t i = 0; i < tp_tensor_count (g); i++)
    for (int a = 0; a < samples; a++)
      for (int b = 0; b < samples; b++)
        {
          double y = (double) (i / columns) + (a + 0.5) / samples - 0.5;
          double x = (double) (i % columns) + (b + 0.5) / samples - 0.5;
          spread_at (first, height, width, m[0] * y + m[1] * x + m[2], m[3] * y + m[4] * x + m[5],
                     weight * tp_f32 (g)[i]);
        }
  for (int64_t slice = 1; slice < slab->shape[0]; slice++)
    memcpy (first + slice * height * width, first, (size_t) (height * width) * sizeof *first);
  return tp_accumulate_grad (slab, gs);
}

tp_tensor *
tp_resample (tp_tensor *slab, const double map[6], int64_t rows, int64_t columns, int samples)
{
  tp_record r = { .inputs = { slab }, .input_count = 1, .unneeded = 1 | TP_OUTPUT_UNNEEDED };
  memcpy (r.numbers, map, 6 * sizeof *map);
  r.numbers[6] = samples;
  return tp_recorded (resample (slab, map, rows, columns, samples), &r, backward);
}
