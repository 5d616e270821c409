/* integrator.h -- Hamiltonian dynamics by splitting: kicks and drifts in turn.
 *
 * One step of size alpha is
 *
 *   m += kick[0] alpha grad log p (x)
 *   x += drift[i] alpha M^-1 m,  m += kick[i+1] alpha grad log p (x)   i = 0 .. stages-1
 *
 * Such a map preserves volume; it is reversible when both tables are palindromes. */
#ifndef TP_INTEGRATOR_H
#define TP_INTEGRATOR_H

#include "mcmc/mass.h"

#define TP_MAX_STAGES 4

typedef struct {
  const char *name;
  int stages;
  double kick[TP_MAX_STAGES + 1], drift[TP_MAX_STAGES];
} tp_integrator;

/* The leapfrog of equation 6, and two and three stages whose energy errors on Gaussian targets
 * are least for their cost (Blanes, Casas, Sanz-Serna 2014, for steps up to the number of
 * stages times 1).  A step costs as many scores as it has stages. */
extern const tp_integrator tp_leapfrog, tp_two_stage, tp_three_stage;

/* The one called NAME, or NULL after tp_fail. */
const tp_integrator *tp_integrator_named (const char *name);

/* STEPS steps of size STEP, in place.  *GRADIENT is the score at X before and
 * after (the old one is freed).  WORK, or NULL, takes log p at the end less log p at the
 * beginning, for each chain: the integral of the score along the trajectory itself, by
 * Simpson's rule on the parabola through every three positions at which the score is known
 * anyway (for the last of an odd number of them by the trapezium rule).  After a failure X
 * and M hold no whole step and are of no use; *GRADIENT may still be freed. */
tp_status tp_integrate (const tp_integrator *scheme, const tp_score *score,
                        const tp_mass *mass, double step, int steps,
                        tp_tensor *x, tp_tensor *m, tp_tensor **gradient, double *work);

#endif
