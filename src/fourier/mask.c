/* mask.c -- random and equispaced column masks. */
#include "fourier/mask.h"

#include <math.h>

#include "core/random.h"

/* How many columns the centre has, and how many outside it are wanted. */
typedef struct {
  int64_t columns, low, first_low;
  double wanted;
} layout;

static tp_status
plan_columns (layout *l, int64_t columns, double acceleration, double center_fraction)
{
  if (columns < 1)
    return tp_fail (TP_BAD_ARGUMENT, "columns: expected 1 or more, got %lld", (long long) columns);
  if (!(acceleration >= 1.0 && isfinite (acceleration)))
    return tp_fail (TP_BAD_ARGUMENT, "acceleration: expected a number of 1 or more, got %g",
                    acceleration);
  if (!(center_fraction >= 0.0 && center_fraction <= 1.0))
    return tp_fail (TP_BAD_ARGUMENT, "center-fraction: expected a number from 0 to 1, got %g",
                    center_fraction);
  l->columns = columns;
  l->low = llround ((double) columns * center_fraction);
  l->first_low = (columns - l->low + 1) / 2;
  l->wanted = (double) columns / acceleration - (double) l->low;
  if (l->wanted < 0.0)
    return tp_fail (TP_BAD_ARGUMENT,
                    "center-fraction: the centre alone, %lld of %lld columns, exceeds acceleration %g",
                    (long long) l->low, (long long) columns, acceleration);
  return TP_OK;
}

/* All zero but the centre. */
static tp_tensor *
centre_mask (const layout *l)
{
  tp_tensor *mask = tp_tensor_zeros (TP_F32, 1, &l->columns);
  for (int64_t i = 0; mask && i < l->low; i++)
    tp_f32 (mask)[l->first_low + i] = 1.0f;
  return mask;
}

tp_tensor *
tp_random_mask (int64_t columns, double acceleration, double center_fraction, uint64_t seed,
                uint64_t stream)
{
  layout l;
  if (plan_columns (&l, columns, acceleration, center_fraction))
    return NULL;
  tp_tensor *mask = centre_mask (&l), *uniform = tp_tensor_create (TP_F32, 1, &columns);
  if (mask && uniform)
    {
      double probability = l.low < columns ? l.wanted / (double) (columns - l.low) : 0.0;
      tp_random_uniform (tp_f32 (uniform), columns, seed, stream, 0);
      for (int64_t c = 0; c < columns; c++)
        if ((double) tp_f32 (uniform)[c] < probability)
          tp_f32 (mask)[c] = 1.0f;
    }
  tp_tensor_free (uniform);
  return mask;
}

tp_tensor *
tp_equispaced_mask (int64_t columns, double acceleration, double center_fraction, uint64_t seed,
                    uint64_t stream)
{
  layout l;
  if (plan_columns (&l, columns, acceleration, center_fraction))
    return NULL;
  tp_tensor *mask = centre_mask (&l);
  if (mask && l.wanted >= 1.0)
    {
      /* The OUTSIDE columns, counted without the centre, are sampled evenly. */
      int64_t outside = columns - l.low;
      double spacing = (double) outside / l.wanted;
      float u;
      tp_random_uniform (&u, 1, seed, stream, 0);
      for (double at = (double) u * spacing; at < (double) outside; at += spacing)
        {
          int64_t c = (int64_t) at;
          tp_f32 (mask)[c < l.first_low ? c : c + l.low] = 1.0f;
        }
    }
  return mask;
}
