/* integrator.c -- splitting integrators; the leapfrog is the one of two kicks and a drift. */
#include "mcmc/integrator.h"

#include <math.h>

#include "mcmc/chains.h"
#include "mcmc/mass.h"

const tp_integrator tp_leapfrog = { "leapfrog", 1, { 0.5, 0.5 }, { 1.0 } };

static tp_status
drift (tp_tensor *x, const tp_tensor *m, const tp_tensor *mass, double time)
{
  tp_tensor *velocity = tp_velocity (m, mass);
  if (!velocity)
    return tp_last_status ();
  tp_status status = tp_axpby (time, velocity, 1.0, x);
  tp_tensor_free (velocity);
  return status;
}

tp_status
tp_integrate (const tp_integrator *scheme, const tp_score *score, const tp_tensor *mass,
              double step, int steps, tp_tensor *x, tp_tensor *m, tp_tensor **gradient)
{
  if (tp_check_chains (x, "x") || tp_check (m, "m", x->dtype, -1) || tp_check_like (m, "m", x)
      || tp_check (*gradient, "gradient", x->dtype, -1)
      || tp_check_like (*gradient, "gradient", x) || tp_check_mass (mass, x))
    return tp_last_status ();
  if (!(step > 0.0 && isfinite (step)))
    return tp_fail (TP_BAD_ARGUMENT, "step: expected a positive number, got %g", step);
  if (steps < 1)
    return tp_fail (TP_BAD_ARGUMENT, "steps: expected 1 or more, got %d", steps);

  double kick = scheme->kick[0];
  for (int s = 0; s < steps; s++)
    for (int i = 0; i < scheme->stages; i++)
      {
        if (tp_axpby (kick * step, *gradient, 1.0, m)
            || drift (x, m, mass, scheme->drift[i] * step))
          return tp_last_status ();
        tp_tensor *next = tp_score_at (score, x);
        if (!next)
          return tp_last_status ();
        tp_tensor_free (*gradient);
        *gradient = next;
        /* The last kick of a step and the first of the next are at the same x. */
        bool between = i == scheme->stages - 1 && s < steps - 1;
        kick = scheme->kick[i + 1] + (between ? scheme->kick[0] : 0.0);
      }
  return tp_axpby (kick * step, *gradient, 1.0, m);
}
