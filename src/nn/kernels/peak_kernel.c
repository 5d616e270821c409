/* peak_kernel.c -- multiply-adds in registers, for each instruction set. */
#include "nn/kernels/peak_kernel.h"

#include "nn/kernels/vector.h"

/* As many sums as hide an instruction's latency and still fit in the registers. */
#if defined __AVX512F__
enum { SUMS = 24 };
#else
enum { SUMS = 12 };
#endif

static inline __attribute__ ((always_inline)) void
begin (vector sum[SUMS])
{
#pragma GCC unroll 24
  for (int i = 0; i < SUMS; i++)
    sum[i] = (vector) { 0 } + (float) (i + 1);
}

static inline __attribute__ ((always_inline)) void
finish (vector sum[SUMS], float *sink)
{
#pragma GCC unroll 24
  for (int i = 1; i < SUMS; i++)
    sum[0] += sum[i];
  *sink = sum[0][0];
}

/* s <- s a + b: as no product is of constants alone, none is taken out of the loop. */
static void
float32 (int64_t rounds, float *sink)
{
  vector sum[SUMS], a = (vector) { 0 } + 0.5f, b = (vector) { 0 } + 1;
  begin (sum);
  for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
      sum[i] = sum[i] * a + b;
  finish (sum, sink);
}

#if defined __AVX512BF16__
static void
bf16 (int64_t rounds, float *sink)
{
  vector sum[SUMS], a = (vector) ((words) { 0 } + 0x3f803f80u), b = a; /* pairs of 1 */
  begin (sum);
  for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
      sum[i] = add_pairs (sum[i], a, b);
  finish (sum, sink);
}
enum { PRODUCTS = 2 }; /* a lane's in one instruction */
#else
/* Without such an instruction the products are of floats. */
#define bf16 float32
enum { PRODUCTS = 1 };
#endif

#define NAME TP_KERNEL_NAME (tp_peak_kernels_, TP_KERNEL_ISA)
const tp_peak_kernels NAME = { float32, bf16, 2.0 * SUMS * WIDTH, 2.0 * PRODUCTS * SUMS * WIDTH };
