/* metropolis.h -- which proposals are accepted. */
#ifndef TP_METROPOLIS_H
#define TP_METROPOLIS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* ACCEPTED[c] with probability min (1, exp (LOG_RATIO[c])); never where
 * LOG_RATIO is NaN or infinite: such a trajectory has left the numbers.  Chain
 * c draws number c of (SEED, STREAM). */
tp_status tp_metropolis (const double *log_ratio, int64_t chains, uint64_t seed, uint64_t stream,
                         bool *accepted);

#endif
