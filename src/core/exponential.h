/* exponential.h -- exp for loops over elements: code that becomes vector instructions.
 *
 * With n the integer nearest to x / log 2, e^x = 2^n e^r, |r| <= log (2) / 2, and e^r is a
 * polynomial.  Within 1.1 units in the last place of the true value (tests/test-core.c), and
 * without branches or fused operations: the same bits on every instruction set. */
#ifndef TP_EXPONENTIAL_H
#define TP_EXPONENTIAL_H

#include <stdint.h>
#include <string.h>

#define TP_INLINE static inline __attribute__ ((always_inline))

/* e^x for x from -87 to 88; the value at the nearer end beyond them.  NaN stays NaN. */
TP_INLINE float
tp_exp (float x)
{
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  /* Added to this number, a float is rounded to an integer, which stands in the low bits. */
  const float round = 12582912.0f;
  float shifted = x * 1.44269504f + round, n = shifted - round;
  /* log 2 in two parts, the first of so few bits that n times it is exact. */
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1;
  uint32_t power;
  memcpy (&power, &shifted, sizeof power);
  power = (power << 23) + 0x3f800000u;
  float scale;
  memcpy (&scale, &power, sizeof scale);
  return p * scale;
}

/* 1 / (1 + e^-x). */
TP_INLINE float
tp_sigmoid (float x)
{
  return 1 / (1 + tp_exp (-x));
}

/* x / (1 + e^-x), and its derivative. */
TP_INLINE float
tp_silu_of (float x)
{
  return x * tp_sigmoid (x);
}

TP_INLINE float
tp_silu_slope (float x)
{
  float s = tp_sigmoid (x);
  return s * (1 + x * (1 - s));
}

#endif
