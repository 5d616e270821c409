/* peak_kernel.h -- multiply-adds in registers and nothing else: the machine's peak, to
 * measure profiles against. */
#ifndef TP_PEAK_KERNEL_H
#define TP_PEAK_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  /* ROUNDS of independent multiply-adds into `sink', float32 or pairs of bfloat16; a
   * round is so many operations, a multiplication and an addition being two. */
  void (*float32) (int64_t rounds, float *sink);
  void (*bf16) (int64_t rounds, float *sink);
  double float32_flops, bf16_flops;
} tp_peak_kernels;

/* Those of tp_cpu_isa (). */
const tp_peak_kernels *tp_peak_kernels_get (void);

/* Operations a second on tp_threads () threads, the best of about a tenth of a second. */
double tp_peak_flops (bool bf16);

#endif
