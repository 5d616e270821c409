/* vector.h -- the vectors of the instruction set that a kernel is compiled for. */
#ifndef TP_VECTOR_H
#define TP_VECTOR_H

#include <stdint.h>
#include <string.h>

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

/* v where v > 0, else slope v. */
static inline vector
activate (vector v, float slope)
{
  bits positive = v > 0, other = (bits) (v * slope);
  return (vector) (((bits) v & positive) | (other & ~positive));
}

/* The name of this set's table of kernels: tp_conv_kernels_v4 and so on. */
#define TP_PASTE(a, b) a##b
#define TP_KERNEL_NAME(prefix, isa) TP_PASTE (prefix, isa)

#endif
