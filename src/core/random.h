/* random.h -- counter-based random numbers: Philox 4x32-10.
 *
 * Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3
 * (SC 2011).  A number is a function of (seed, stream, index) alone, so
 * results do not depend on threads, on how a batch is split, or on whether a
 * run was resumed. */
#ifndef TP_RANDOM_H
#define TP_RANDOM_H

#include <stdint.h>

/* One Philox 4x32-10 block: COUNTER and KEY to four random words. */
void tp_philox (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* OUT[i], i < COUNT: number INDEX + i of the given seed and stream.
 * Uniforms lie in the open interval (0, 1); normals are Box-Muller's. */
void tp_random_uniform (float *out, int64_t count, uint64_t seed, uint64_t stream, uint64_t index);
void tp_random_normal (float *out, int64_t count, uint64_t seed, uint64_t stream, uint64_t index);

#endif
