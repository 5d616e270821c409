/* tone.c -- tone curves by splines. */
#include "image/tone.h"

#include <math.h>

#include "core/threads.h"

typedef struct {
  const float *images, *knots;
  int64_t pixels, k;
  float top;
  float *out;
} job;

static float
curve_at (const float *knots, int64_t k, float top, float x)
{
  if (!(x > 0.0f))
    return knots[0];
  if (x >= top)
    return knots[k - 1] * (1.0f + logf (x / top));
  float place = x / top * (float) (k - 1);
  int64_t i = (int64_t) place;
  if (i > k - 2)
    i = k - 2;
  float f = place - (float) i;
  float a = knots[i], b = knots[i + 1];
  /* Beyond the ends, as the end's own slope would have it. */
  float before = i > 0 ? knots[i - 1] : 2.0f * a - b;
  float after = i + 2 < k ? knots[i + 2] : 2.0f * b - a;
  float slope_a = 0.5f * (b - before), slope_b = 0.5f * (after - a);
  float c2 = 3.0f * (b - a) - 2.0f * slope_a - slope_b;
  float c3 = 2.0f * (a - b) + slope_a + slope_b;
  return a + f * (slope_a + f * (c2 + f * c3));
}

static void
tone_images (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t n = begin; n < end; n++)
    {
      const float *knots = j->knots + n * j->k, *in = j->images + n * j->pixels;
      float *out = j->out + n * j->pixels;
      for (int64_t p = 0; p < j->pixels; p++)
        {
          float y = curve_at (knots, j->k, j->top, in[p]);
          out[p] = y > 0.0f ? y : 0.0f;
        }
    }
}

tp_tensor *
tp_tone (const tp_tensor *images, const tp_tensor *knots, double top)
{
  if (tp_check (images, "images", TP_F32, 3) != TP_OK
      || tp_check_shape (knots, "knots", TP_F32, 2, (int64_t[]) { images->shape[0], -1 }) != TP_OK)
    return NULL;
  if (knots->shape[1] < 2)
    {
      tp_fail (TP_BAD_SHAPE, "knots: expected 2 or more a curve, got %lld",
               (long long) knots->shape[1]);
      return NULL;
    }
  if (!(top > 0))
    {
      tp_fail (TP_BAD_ARGUMENT, "top: expected a positive number, got %g", top);
      return NULL;
    }
  tp_tensor *out = tp_tensor_like (images);
  if (out)
    {
      job j = { tp_f32 (images), tp_f32 (knots), images->shape[1] * images->shape[2],
                knots->shape[1], (float) top, tp_f32 (out) };
      tp_parallel_for (images->shape[0], 1, tone_images, &j);
    }
  return out;
}
