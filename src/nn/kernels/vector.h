/* vector.h -- the vectors of the instruction set that a kernel is compiled for. */
#ifndef TP_VECTOR_H
#define TP_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined __AVX512BF16__
#include <immintrin.h>
#endif

#if defined __AVX512F__
enum { WIDTH = 16, PIXELS = 8 }; /* floats in a vector; pixels in a register tile */
#elif defined __AVX2__
enum { WIDTH = 8, PIXELS = 6 };
#else
enum { WIDTH = 4, PIXELS = 6 };
#endif
enum { BLOCK = 2 * WIDTH }; /* output channels in a register tile */

typedef float vector __attribute__ ((vector_size (WIDTH * sizeof (float))));
typedef int bits __attribute__ ((vector_size (WIDTH * sizeof (float))));
typedef float loose __attribute__ ((vector_size (WIDTH * sizeof (float)), aligned (4), may_alias));

static inline vector
load (const float *p)
{
  return *(const loose *) p;
}

static inline void
store (float *p, vector v)
{
  *(loose *) p = v;
}

/* COUNT numbers, fewer than WIDTH; zeros beyond. */
static inline vector
load_part (const float *p, int count)
{
  float line[WIDTH] = { 0 };
  memcpy (line, p, (size_t) count * sizeof *line);
  return load (line);
}

static inline void
store_part (float *p, vector v, int count)
{
  float line[WIDTH];
  store (line, v);
  memcpy (p, line, (size_t) count * sizeof *line);
}

/* v where v > 0 or NaN, else slope v; where slope is a known 0 or 1, without the product. */
static inline __attribute__ ((always_inline)) vector
activate (vector v, const float slope)
{
  if (__builtin_constant_p (slope) && slope == 1)
    return v;
  bits low = v <= 0;
  if (__builtin_constant_p (slope) && slope == 0)
    return (vector) ((bits) v & ~low);
  bits other = (bits) (v * slope);
  return (vector) (((bits) v & ~low) | (other & low));
}

/* --- bfloat16: the upper half of a float -----------------------------------------
 *
 * The processor's own instructions where it has them; else the same by shifts, but for
 * what becomes of numbers below 2^-126. */
typedef uint32_t words __attribute__ ((vector_size (WIDTH * sizeof (float))));
typedef uint16_t halves __attribute__ ((vector_size (WIDTH * sizeof (uint16_t)), aligned (2), may_alias));

/* Rounded to nearest, ties to even; NaN stays NaN. */
static inline uint16_t
to_bf16 (float x)
{
  uint32_t u;
  memcpy (&u, &x, sizeof u);
  return (uint16_t) (x != x ? u >> 16 | 64 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline void
store_bf16 (uint16_t *p, vector v)
{
#if defined __AVX512BF16__
  __m256bh h = _mm512_cvtneps_pbh ((__m512) v);
  memcpy (p, &h, sizeof h);
#else
  words u = (words) v, nan = (words) (v != v);
  words rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  *(halves *) p = __builtin_convertvector ((nan & (u >> 16 | 64)) | (~nan & rounded), halves);
#endif
}

/* Pairs of bfloat16, as wide as floats. */
static inline vector
load_pairs (const uint16_t *p)
{
  /* cppcheck-suppress invalidPointerCast ; bytes, as they are */
  return *(const loose *) p;
}

static inline vector
broadcast_pair (const uint16_t *p)
{
  uint32_t pair;
  memcpy (&pair, p, sizeof pair);
  return (vector) (pair - (words) { 0 });
}

/* sum + a[0] b[0] + a[1] b[1] for the pairs a, b in each lane. */
static inline vector
add_pairs (vector sum, vector a, vector b)
{
#if defined __AVX512BF16__
  return (vector) _mm512_dpbf16_ps ((__m512) sum, (__m512bh) a, (__m512bh) b);
#else
  const words high = (words) { 0 } + 0xffff0000u;
  sum += (vector) ((words) a << 16) * (vector) ((words) b << 16);
  return sum + (vector) ((words) a & high) * (vector) ((words) b & high);
#endif
}

/* The name of this set's table of kernels: tp_conv_kernels_v4 and so on. */
#define TP_PASTE(a, b) a##b
#define TP_KERNEL_NAME(prefix, isa) TP_PASTE (prefix, isa)

#endif
