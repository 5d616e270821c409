/* sobol.c -- GSL's Sobol sequence in a tensor. */
#include "mcmc/sobol.h"

#include <gsl/gsl_qrng.h>

#include "core/stop.h"

tp_tensor *
tp_sobol (int64_t count, int64_t dimensions)
{
  if (count < 0 || dimensions < 1 || dimensions > TP_SOBOL_DIMENSIONS)
    {
      tp_fail (TP_BAD_ARGUMENT, "dimensions: expected 1 to %d, got %lld", TP_SOBOL_DIMENSIONS,
               (long long) dimensions);
      return NULL;
    }
  tp_tensor *points = tp_tensor_create (TP_F32, 2, (int64_t[]){ count, dimensions });
  if (!points)
    return NULL;
  gsl_qrng *sequence = gsl_qrng_alloc (gsl_qrng_sobol, (unsigned int) dimensions);
  if (!sequence)
    {
      tp_tensor_free (points);
      tp_fail (TP_NO_MEMORY, "no memory for a sequence of %lld dimensions",
               (long long) dimensions);
      return NULL;
    }
  float *out = tp_f32 (points);
  double point[TP_SOBOL_DIMENSIONS];
  for (int64_t i = 0; i < count && !tp_stop_wanted (); i++)
    {
      gsl_qrng_get (sequence, point);
      for (int64_t k = 0; k < dimensions; k++)
        *out++ = (float) point[k];
    }
  gsl_qrng_free (sequence);
  return points;
}
