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

/* --- Work along the trajectory ----------------------------------------------------- */

/* Two segments of the path, d_0 and d_1, from the score g_0 by g_1 to g_2.  On straight
 * segments the trapezium rule gives <g_0 + g_1, d_0> / 2 + <g_1 + g_2, d_1> / 2, on the
 * chord <g_0 + g_2, d_0 + d_1> / 2; four thirds of the one less a third of the other is
 * Simpson's rule on the parabola through the three points. */
typedef struct {
  int64_t chains;
  double *work, *dot; /* dot is scratch */
  tp_tensor *g[2], *d[2];
  int segments; /* of the pair that is under way */
} path;

/* Let go of the pair that is under way. */
static void
end_pair (path *p)
{
  for (int i = 0; i < p->segments; i++)
    {
      tp_tensor_free (p->g[i]);
      tp_tensor_free (p->d[i]);
    }
  p->segments = 0;
}

static void
add_dot (path *p, double weight, const tp_tensor *g, const tp_tensor *d)
{
  tp_chains_dot (g, d, p->dot);
  for (int64_t c = 0; c < p->chains; c++)
    p->work[c] += weight * p->dot[c];
}

/* The segment D, with the scores G before it and G1 after it. */
static void
add_segment (path *p, tp_tensor *g, tp_tensor *d, tp_tensor *g1)
{
  p->g[p->segments] = tp_tensor_ref (g);
  p->d[p->segments] = tp_tensor_ref (d);
  if (p->segments++ == 0)
    return;
  for (int i = 0; i < 2; i++)
    {
      add_dot (p, (i == 0 ? 3.0 : -1.0) / 6, p->g[0], p->d[i]);
      add_dot (p, 4.0 / 6, p->g[1], p->d[i]);
      add_dot (p, (i == 0 ? -1.0 : 3.0) / 6, g1, p->d[i]);
    }
  end_pair (p);
}

/* What is left of an odd number of segments; G1 is the score at the end. */
static void
end_path (path *p, const tp_tensor *g1)
{
  if (p->segments == 1)
    {
      add_dot (p, 0.5, p->g[0], p->d[0]);
      add_dot (p, 0.5, g1, p->d[0]);
    }
}

/* --- Steps ------------------------------------------------------------------------- */

/* TIME M^-1 m: how far a drift goes. */
static tp_tensor *
displacement (const tp_tensor *m, const tp_mass *mass, double time)
{
  tp_tensor *velocity = mass && mass->inverse ? tp_score_at (mass->inverse, m)
                                              : tp_velocity (m, mass ? mass->table : NULL);
  tp_tensor *d = velocity ? tp_affine (velocity, time, 0) : NULL;
  tp_tensor_free (velocity);
  return d;
}

tp_status
tp_integrate (const tp_integrator *scheme, const tp_score *score, const tp_mass *mass,
              double step, int steps, tp_tensor *x, tp_tensor *m, tp_tensor **gradient,
              double *work)
{
  if (tp_check_chains (x, "x") || tp_check (m, "m", x->dtype, -1) || tp_check_like (m, "m", x)
      || tp_check (*gradient, "gradient", x->dtype, -1)
      || tp_check_like (*gradient, "gradient", x) || tp_check_mass (mass ? mass->table : NULL, x))
    return tp_last_status ();
  if (!(step > 0.0 && isfinite (step)))
    return tp_fail (TP_BAD_ARGUMENT, "step: expected a positive number, got %g", step);
  if (steps < 1)
    return tp_fail (TP_BAD_ARGUMENT, "steps: expected 1 or more, got %d", steps);

  path p = { .chains = x->shape[0], .work = work };
  if (work)
    {
      p.dot = tp_scratch_alloc ((size_t) p.chains * sizeof *p.dot);
      if (!p.dot)
        return TP_NO_MEMORY;
      for (int64_t c = 0; c < p.chains; c++)
        work[c] = 0;
    }
  double kick = scheme->kick[0];
  tp_status status = TP_OK;
  for (int s = 0; s < steps && !status; s++)
    for (int i = 0; i < scheme->stages && !status; i++)
      {
        tp_tensor *d = NULL, *next = NULL;
        status = tp_axpby (kick * step, *gradient, 1.0, m);
        if (!status && !(d = displacement (m, mass, scheme->drift[i] * step)))
          status = tp_last_status ();
        if (!status)
          status = tp_axpby (1.0, d, 1.0, x);
        if (!status && !(next = tp_score_at (score, x)))
          status = tp_last_status ();
        if (!status && work)
          add_segment (&p, *gradient, d, next);
        if (!status)
          {
            tp_tensor_free (*gradient);
            *gradient = next;
          }
        tp_tensor_free (d);
        /* The last kick of a step and the first of the next are at the same x. */
        bool between = i == scheme->stages - 1 && s < steps - 1;
        kick = scheme->kick[i + 1] + (between ? scheme->kick[0] : 0.0);
      }
  if (!status && work)
    end_path (&p, *gradient);
  end_pair (&p);
  tp_scratch_free (p.dot);
  return status ? status : tp_axpby (kick * step, *gradient, 1.0, m);
}
