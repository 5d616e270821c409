/* grid_kernels.c -- the kernels of the instruction set in use. */
#include "core/cpu.h"
#include "fourier/kernels/grid_kernel.h"

extern const tp_grid_kernels tp_grid_kernels_generic;
#if defined __x86_64__
extern const tp_grid_kernels tp_grid_kernels_v3, tp_grid_kernels_v4, tp_grid_kernels_v4_bf16;
#endif

const tp_grid_kernels *
tp_grid_kernels_get (void)
{
  switch (tp_cpu_isa ())
    {
#if defined __x86_64__
    case TP_ISA_V4_BF16: return &tp_grid_kernels_v4_bf16;
    case TP_ISA_V4: return &tp_grid_kernels_v4;
    case TP_ISA_V3: return &tp_grid_kernels_v3;
#endif
    default: return &tp_grid_kernels_generic;
    }
}
