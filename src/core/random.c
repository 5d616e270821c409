/* random.c -- Philox 4x32-10, uniforms and normals from it. */
#include "core/random.h"

#include <math.h>

#include "core/threads.h"

void
tp_philox (const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++)
    {
      uint64_t p0 = (uint64_t) 0xD2511F53u * c0;
      uint64_t p1 = (uint64_t) 0xCD9E8D57u * c2;
      c0 = (uint32_t) (p1 >> 32) ^ c1 ^ k0;
      c2 = (uint32_t) (p0 >> 32) ^ c3 ^ k1;
      c1 = (uint32_t) p1;
      c3 = (uint32_t) p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

typedef struct {
  float *out;
  int64_t count;
  uint64_t seed, stream, index;
  int normal;
} job;

/* The middle of one of 2^24 equal cells: never 0 or 1, exact in float32. */
static inline float
unit (uint32_t word)
{
  return ((float) (word >> 8) + 0.5f) * 0x1p-24f;
}

static void
block_values (const job *j, uint64_t block, float values[4])
{
  const uint32_t counter[4] = { (uint32_t) block, (uint32_t) (block >> 32),
                                (uint32_t) j->stream, (uint32_t) (j->stream >> 32) };
  const uint32_t key[2] = { (uint32_t) j->seed, (uint32_t) (j->seed >> 32) };
  uint32_t words[4];
  tp_philox (counter, key, words);
  if (!j->normal)
    {
      for (int i = 0; i < 4; i++)
        values[i] = unit (words[i]);
      return;
    }
  for (int i = 0; i < 4; i += 2)
    {
      float radius = sqrtf (-2.0f * logf (unit (words[i])));
      float angle = 6.28318530717958647692f * unit (words[i + 1]);
      values[i] = radius * cosf (angle);
      values[i + 1] = radius * sinf (angle);
    }
}

static void
fill (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  uint64_t first_block = j->index / 4;
  for (int64_t b = begin; b < end; b++)
    {
      float values[4];
      uint64_t block = first_block + (uint64_t) b;
      block_values (j, block, values);
      int64_t start = (int64_t) (block * 4 - j->index);
      for (int i = 0; i < 4; i++)
        if (start + i >= 0 && start + i < j->count)
          j->out[start + i] = values[i];
    }
}

static void
generate (job j)
{
  if (j.count <= 0)
    return;
  uint64_t first = j.index / 4, last = (j.index + (uint64_t) j.count - 1) / 4;
  tp_parallel_for ((int64_t) (last - first + 1), 4096, fill, &j);
}

void
tp_random_uniform (float *out, int64_t count, uint64_t seed, uint64_t stream, uint64_t index)
{
  generate ((job) { out, count, seed, stream, index, 0 });
}

void
tp_random_normal (float *out, int64_t count, uint64_t seed, uint64_t stream, uint64_t index)
{
  generate ((job) { out, count, seed, stream, index, 1 });
}
