/* mass.c -- identity and Fourier-diagonal mass matrices. */
#include "mcmc/mass.h"

#include <math.h>

#include "fourier/fft.h"
#include "mcmc/chains.h"

tp_status
tp_check_mass (const tp_tensor *mass, const tp_tensor *x)
{
  char text[TP_SHAPE_TEXT];
  if (!mass)
    return TP_OK;
  if (x->dtype != TP_C64 || x->rank != 3)
    return tp_fail (TP_BAD_SHAPE,
                    "mass: a Fourier-diagonal mass needs complex states (chains rows columns), got %s of shape %s",
                    tp_dtype_name (x->dtype), tp_shape_text (text, x->rank, x->shape));
  if (tp_check_table (mass, "mass", x))
    return tp_last_status ();
  const float *value = tp_f32 (mass);
  for (int64_t i = 0, count = tp_tensor_count (mass); i < count; i++)
    if (!(value[i] > 0.0f && isfinite (value[i])))
      return tp_fail (TP_BAD_VALUE, "mass: expected positive numbers, got %g", (double) value[i]);
  return TP_OK;
}

/* F^H diag (OPERATION (M(k))) F X. */
static tp_tensor *
multiply (const tp_tensor *x, tp_unary operation, const tp_tensor *mass)
{
  tp_tensor *table = tp_map (operation, mass);
  tp_tensor *y = table ? tp_fourier_multiply ((tp_tensor *) x, table) : NULL;
  tp_tensor_free (table);
  return y;
}

tp_tensor *
tp_momentum (const tp_tensor *x, const tp_tensor *mass, uint64_t seed, uint64_t stream)
{
  if (tp_check_chains (x, "x") || tp_check_mass (mass, x))
    return NULL;
  tp_tensor *z = tp_tensor_like (x);
  if (z && tp_fill_normal (z, seed, stream))
    {
      tp_tensor_free (z);
      return NULL;
    }
  if (!mass || !z)
    return z;
  tp_tensor *m = multiply (z, TP_SQRT, mass);
  tp_tensor_free (z);
  return m;
}

tp_tensor *
tp_velocity (const tp_tensor *m, const tp_tensor *mass)
{
  return mass ? multiply (m, TP_RECIPROCAL, mass) : tp_tensor_ref (m);
}

tp_status
tp_kinetic_energy (const tp_tensor *m, const tp_tensor *mass, double *energy)
{
  if (tp_check_chains (m, "m") || tp_check_mass (mass, m))
    return tp_last_status ();
  tp_tensor *velocity = tp_velocity (m, mass);
  if (!velocity)
    return tp_last_status ();
  tp_chains_dot (m, velocity, energy);
  for (int64_t c = 0; c < m->shape[0]; c++)
    energy[c] *= 0.5;
  tp_tensor_free (velocity);
  return TP_OK;
}
