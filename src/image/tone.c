/* tone.c -- tone curves by splines. */
#include "image/tone.h"

#include <math.h>
#include <string.h>

#include "autograd/operations.h"
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

static tp_tensor *
tone (const tp_tensor *images, const tp_tensor *knots, double top)
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

/* G times the derivative of curve_at by X is returned, and those by KNOTS added to BY_KNOTS. */
static float
curve_gradient (const float *knots, int64_t k, float top, float x, float g, double *by_knots)
{
  if (!(x > 0.0f))
    return by_knots[0] += (double) g, 0.0f;
  if (x >= top)
    {
      by_knots[k - 1] += (double) (g * (1.0f + logf (x / top)));
      return g * knots[k - 1] / x;
    }
  float place = x / top * (float) (k - 1);
  int64_t i = (int64_t) place;
  if (i > k - 2)
    i = k - 2;
  float f = place - (float) i, f2 = f * f, f3 = f2 * f;
  /* What the four knots around count, and how that changes with f. */
  float w[4] = { -0.5f * f + f2 - 0.5f * f3, 1.0f - 2.5f * f2 + 1.5f * f3,
                 0.5f * f + 2.0f * f2 - 1.5f * f3, -0.5f * f2 + 0.5f * f3 };
  float d[4] = { -0.5f + 2.0f * f - 1.5f * f2, -5.0f * f + 4.5f * f2,
                 0.5f + 4.0f * f - 4.5f * f2, -f + 1.5f * f2 };
  float slope = 0.0f;
  for (int j = 0; j < 4; j++)
    {
      /* Beyond the ends: 2 a - b, and 2 b - a. */
      int64_t at = i - 1 + j, end = at < 0 ? 0 : k - 1, inner = at < 0 ? 1 : k - 2;
      bool inside = at >= 0 && at < k;
      slope += d[j] * (inside ? knots[at] : 2.0f * knots[end] - knots[inner]);
      if (inside)
        by_knots[at] += (double) (g * w[j]);
      else
        {
          by_knots[end] += 2.0 * (double) (g * w[j]);
          by_knots[inner] -= (double) (g * w[j]);
        }
    }
  return g * slope * (float) (k - 1) / top;
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *images = r->inputs[0], *knots = r->inputs[1];
  int64_t n = images->shape[0], k = knots->shape[1], pixels = images->shape[1] * images->shape[2];
  tp_tensor *gi = tp_tensor_like (images), *gk = tp_tensor_like (knots);
  double *sums = tp_scratch_alloc ((size_t) k * sizeof *sums);
  tp_status status = gi && gk && sums ? TP_OK : tp_last_status ();
  for (int64_t i = 0; status == TP_OK && i < n; i++)
    {
      memset (sums, 0, (size_t) k * sizeof *sums);
      for (int64_t p = i * pixels; p < (i + 1) * pixels; p++)
        {
          float g = tp_f32 (r->output)[p] > 0.0f ? tp_f32 (r->output->grad)[p] : 0.0f;
          tp_f32 (gi)[p] = curve_gradient (tp_f32 (knots) + i * k, k, (float) r->numbers[0],
                                           tp_f32 (images)[p], g, sums);
        }
      for (int64_t j = 0; j < k; j++)
        tp_f32 (gk)[i * k + j] = (float) sums[j];
    }
  tp_scratch_free (sums);
  if (status == TP_OK && tp_wants_grad (images))
    status = tp_accumulate_grad (images, tp_tensor_ref (gi));
  if (status == TP_OK && tp_wants_grad (knots))
    status = tp_accumulate_grad (knots, tp_tensor_ref (gk));
  tp_tensor_free (gi);
  tp_tensor_free (gk);
  return status;
}

tp_tensor *
tp_tone (tp_tensor *images, tp_tensor *knots, double top)
{
  tp_record r = { .inputs = { images, knots }, .input_count = 2, .numbers = { top } };
  return tp_recorded (tone (images, knots, top), &r, backward);
}
