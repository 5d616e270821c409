/* metropolis.c -- the Metropolis-Hastings decision, chain by chain. */
#include "mcmc/metropolis.h"

#include <math.h>

#include "core/memory.h"
#include "core/random.h"

tp_status
tp_metropolis (const double *log_ratio, int64_t chains, uint64_t seed, uint64_t stream,
               bool *accepted)
{
  float *uniform = tp_scratch_alloc ((size_t) chains * sizeof *uniform);
  if (!uniform)
    return tp_last_status ();
  tp_random_uniform (uniform, chains, seed, stream, 0);
  for (int64_t c = 0; c < chains; c++)
    accepted[c] = isfinite (log_ratio[c]) && log ((double) uniform[c]) < log_ratio[c];
  tp_scratch_free (uniform);
  return TP_OK;
}
