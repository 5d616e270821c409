/* mass.h -- the mass matrix M of equation 6: which space the chain moves in.
 *
 * NULL is the identity.  A table M(k), f32 (W), (H W) or (C H W), over centred
 * k-space is the Fourier-diagonal mass M = F^H diag (M(k)) F for c64 states
 * (C H W).  Another M is known to the integrator by the procedure m -> M^-1 m.  The
 * best mass is the target's precision: then all directions move at the same rate,
 * measured or not. */
#ifndef TP_MASS_H
#define TP_MASS_H

#include "mcmc/score.h"

typedef struct {
  const tp_tensor *table;  /* or NULL: */
  const tp_score *inverse; /* m -> M^-1 m; or NULL too: the identity */
} tp_mass;

/* Fail unless MASS is positive, finite, and fits states like X. */
tp_status tp_check_mass (const tp_tensor *mass, const tp_tensor *x);

/* A momentum m ~ N(0, M), of X's type and shape; each chain's own numbers. */
tp_tensor *tp_momentum (const tp_tensor *x, const tp_tensor *mass, uint64_t seed, uint64_t stream);

/* M^-1 m. */
tp_tensor *tp_velocity (const tp_tensor *m, const tp_tensor *mass);

/* ENERGY[c] = m_c^H M^-1 m_c / 2. */
tp_status tp_kinetic_energy (const tp_tensor *m, const tp_tensor *mass, double *energy);

#endif
