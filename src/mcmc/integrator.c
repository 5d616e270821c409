/* integrator.c -- splitting integrators; the leapfrog is the one of two kicks and a drift. */
#include "mcmc/integrator.h"

#include <math.h>
#include <string.h>

#include "mcmc/chains.h"
#include "mcmc/mass.h"

const tp_integrator tp_leapfrog = { "leapfrog", 1, { 0.5, 0.5 }, { 1.0 } };

#define KICK 0.21178
const tp_integrator tp_two_stage
  = { "two-stage", 2, { KICK, 1 - 2 * KICK, KICK }, { 0.5, 0.5 } };

#define OUTER_KICK 0.11888010966548
#define OUTER_DRIFT 0.29619504261126
const tp_integrator tp_three_stage
  = { "three-stage", 3, { OUTER_KICK, 0.5 - OUTER_KICK, 0.5 - OUTER_KICK, OUTER_KICK },
      { OUTER_DRIFT, 1 - 2 * OUTER_DRIFT, OUTER_DRIFT } };

const tp_integrator *
tp_integrator_named (const char *name)
{
  const tp_integrator *const all[] = { &tp_leapfrog, &tp_two_stage, &tp_three_stage };
  for (int i = 0; i < 3; i++)
    if (!strcmp (name, all[i]->name))
      return all[i];
  tp_fail (TP_BAD_ARGUMENT, "integrator: expected leapfrog, two-stage or three-stage, got %s", name);
  return NULL;
}

static tp_status
drift (tp_tensor *x, const tp_tensor *m, const tp_mass *mass, double time)
{
  tp_tensor *velocity = mass && mass->inverse ? tp_score_at (mass->inverse, m)
                                              : tp_velocity (m, mass ? mass->table : NULL);
  if (!velocity)
    return tp_last_status ();
  tp_status status = tp_axpby (time, velocity, 1.0, x);
  tp_tensor_free (velocity);
  return status;
}

tp_status
tp_integrate (const tp_integrator *scheme, const tp_score *score, const tp_mass *mass,
              double step, int steps, tp_tensor *x, tp_tensor *m, tp_tensor **gradient)
{
  if (tp_check_chains (x, "x") || tp_check (m, "m", x->dtype, -1) || tp_check_like (m, "m", x)
      || tp_check (*gradient, "gradient", x->dtype, -1)
      || tp_check_like (*gradient, "gradient", x) || tp_check_mass (mass ? mass->table : NULL, x))
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
