/* path_integral.c -- Simpson's rule on the straight line between two states. */
#include "mcmc/path_integral.h"

#include <stdlib.h>

#include "mcmc/chains.h"

/* x0 + t d */
static tp_tensor *
point_on_path (const tp_tensor *x0, const tp_tensor *d, double t)
{
  tp_tensor *x = tp_copy (x0);
  if (x && tp_axpby (t, d, 1.0, x))
    {
      tp_tensor_free (x);
      return NULL;
    }
  return x;
}

/* DIFFERENCE[c] += weight <gradient_c, d_c> */
static void
add_work (const tp_tensor *gradient, const tp_tensor *d, double weight, double *scratch,
          double *difference)
{
  tp_chains_dot (gradient, d, scratch);
  for (int64_t c = 0; c < d->shape[0]; c++)
    difference[c] += weight * scratch[c];
}

tp_status
tp_path_integral (const tp_score *score, const tp_tensor *x0, const tp_tensor *gradient0,
                  const tp_tensor *x1, const tp_tensor *gradient1, int intervals,
                  double *difference)
{
  if (tp_check_chains (x0, "x0") || tp_check_like (x1, "x1", x0)
      || tp_check_like (gradient0, "gradient0", x0) || tp_check_like (gradient1, "gradient1", x0))
    return tp_last_status ();
  if (intervals < 2 || intervals % 2)
    return tp_fail (TP_BAD_ARGUMENT, "intervals: expected an even number of 2 or more, got %d",
                    intervals);

  int64_t chains = x0->shape[0];
  tp_tensor *d = tp_map2 (TP_SUB, x1, x0);
  double *scratch = tp_scratch_alloc ((size_t) chains * sizeof *scratch);
  tp_status status = d && scratch ? TP_OK : tp_last_status ();
  if (!status)
    {
      double h = 1.0 / intervals;
      for (int64_t c = 0; c < chains; c++)
        difference[c] = 0.0;
      add_work (gradient0, d, h / 3.0, scratch, difference);
      for (int i = 1; i < intervals && !status; i++)
        {
          tp_tensor *x = point_on_path (x0, d, i * h);
          tp_tensor *gradient = x ? tp_score_at (score, x) : NULL;
          if (gradient)
            add_work (gradient, d, (i % 2 ? 4.0 : 2.0) * h / 3.0, scratch, difference);
          else
            status = tp_last_status ();
          tp_tensor_free (gradient);
          tp_tensor_free (x);
        }
      if (!status)
        add_work (gradient1, d, h / 3.0, scratch, difference);
    }
  tp_scratch_free (scratch);
  tp_tensor_free (d);
  return status;
}
